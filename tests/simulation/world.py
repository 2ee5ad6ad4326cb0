"""One detector with all that it runs on: real handlers and state machines over clients in memory.

Every client call of a function is numbered, as is every invocation by a state machine; a fault
strikes one of these numbers. Other tasks may go on at each of them.
"""

from __future__ import annotations

import importlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from functools import cache
from random import Random
from typing import Any

from anomaly_detector.handlers import _wiring
from anomaly_detector.intervals import iso
from anomaly_detector.lake import layout, store
from anomaly_detector.observability import logger
from botocore.exceptions import ClientError, ConnectionClosedError

from tests.simulation.cloud import Bucket, Call, Client, Table, Targets, refused
from tests.simulation.loop import Loop, Task
from tests.simulation.machines import Run, StepError
from tests.simulation.pure import answers_kept
from tests.simulation.shop import OFFSET, WAREHOUSE, Kind
from tests.simulation.warehouse import Rows, Warehouse
from tests.state_machines import MACHINES, ROOT, render

ACCOUNT = "arn:aws:{}:eu-central-1:123456789012:{}"
ENVIRONMENT = {
    "DETECTOR_NAME": "shop",
    "TABLE_NAME": "shop",
    "BUCKET_NAME": "shop-bucket",
    "PIPELINE_ARN": ACCOUNT.format("states", "stateMachine:shop-pipeline"),
    "CRAWL_ARN": ACCOUNT.format("states", "stateMachine:shop-crawl"),
    "REDSHIFT": json.dumps(WAREHOUSE),
    "OPERATIONS_TOPIC_ARN": ACCOUNT.format("sns", "operations"),
    "AWS_REGION": "eu-central-1",
}
CRASHES = ("Lambda.Unknown", "Runtime.ExitError", "Sandbox.Timedout")
# How a service refuses one call too many.
_BUSY = {"s3": "SlowDown", "dynamodb": "ProvisionedThroughputExceededException"}
# Seconds after which Lambda invokes a function again that an event has invoked.
_AGAIN = (60, 120)
# Seconds until an operator has removed the reason of a failure.
_OPERATOR = 300


@dataclass(frozen=True)
class Fault:
    """What happens to one call.

    Attributes
    ----------
    kind : `crash-before`, `crash-after`: the function is killed before or after the call;
        `throttle`: it is refused; `lost`: it is done, but its reply is lost; `stall`: it is done
        only after a while.
    depth : how many attempts of the client are struck; seconds, where it stalls.
    """

    kind: str
    depth: int = 9


class Killed(BaseException):
    """The function does not exist any more."""


class Stopped(BaseException):
    """The execution was stopped."""


@dataclass(eq=False)
class Process:
    """A call of a function."""

    function: str
    request: str
    deadline: datetime
    dead: bool = False


@dataclass(eq=False)
class Execution:
    """An execution of a state machine."""

    arn: str
    machine: str
    given: Any
    started: datetime
    status: str = "RUNNING"
    output: Any = None
    error: str = ""
    cause: str = ""
    task: Task | None = None
    parent: Execution | None = None


@dataclass
class _Context:
    """What a handler is told by Lambda."""

    process: Process
    clock: Callable[[], datetime]
    function_name: str = "function"
    memory_limit_in_mb: int = 1769
    invoked_function_arn: str = "arn"

    @property
    def aws_request_id(self) -> str:
        return self.process.request

    def get_remaining_time_in_millis(self) -> int:
        return int((self.process.deadline - self.clock()).total_seconds() * 1000)


@cache
def machine(name: str) -> dict[str, Any]:
    """The definition, as Terraform renders it."""
    return render(name)


@cache
def seconds_of(function: str) -> int:
    """A function's time limit."""
    text = (ROOT / "modules/functions/main.tf").read_text(encoding="utf-8")
    found = re.search(rf"^\s*{function}\s*= \{{ timeout = (\d+)", text, re.MULTILINE)
    assert found is not None
    return int(found[1])


@dataclass
class Kept:
    """What a world keeps, to begin others from.

    Attributes
    ----------
    received : what targets have got, in order.
    """

    now: datetime
    objects: dict[str, Any]
    items: dict[Any, Any]
    executions: dict[str, Execution]
    received: list[tuple[str, str, str]]


class World:
    """A detector in its account.

    Parameters
    ----------
    faults : by the number of the call that is struck.
    kept : where another world has left off; None for a new account.
    """

    def __init__(
        self,
        kind: Kind,
        rows: Rows,
        seed: int | str,
        faults: Mapping[int, Fault] | None = None,
        kept: Kept | None = None,
    ) -> None:
        random = Random(f"world {seed}")
        self.kind, self.faults = kind, dict(faults or {})
        self.loop = Loop(kept.now if kept else kind.start - timedelta(minutes=30), random)
        self.random = random
        self.calls = 0
        self.log: list[tuple[str, str, str]] = []
        self.struck: list[tuple[int, Fault, str, str, str]] = []
        self.requests = 0
        self.executions: dict[str, Execution] = dict(kept.executions) if kept else {}
        self.refusals: list[tuple[str, datetime, datetime, str]] = []
        # No fault strikes from then on.
        self.until: datetime | None = None
        # Reasons of a failed pipeline that an operator removes; and how often one has.
        self.removable: tuple[str, ...] = ()
        self.removed = 0

        def clock() -> datetime:
            return self.loop.now

        self.bucket = Bucket(clock, dict(kept.objects) if kept else {})
        self.table = Table(clock, dict(kept.items) if kept else {})
        self.targets = Targets(list(kept.received) if kept else [], self._told)
        self.warehouse = Warehouse(rows, self.bucket, clock, self.loop.after, random)
        self.bucket.changed = self._changed
        self._backends = {
            "s3": self.bucket,
            "dynamodb": self.table,
            "sns": self.targets,
            "lambda": self.targets,
            "stepfunctions": self,
            "redshift-data": self.warehouse,
        }

    # Lifecycle

    def run(self, until: datetime) -> None:
        """Let time pass."""
        with self._here(), answers_kept():
            self.loop.run(until)

    def kept(self) -> Kept:
        """What there is now."""
        return Kept(
            self.loop.now,
            dict(self.bucket.objects),
            dict(self.table.items),
            dict(self.executions),
            list(self.targets.received),
        )

    def upload(self, document: bytes) -> None:
        """Upload a configuration."""
        self.bucket.write(layout.CONFIGURATION, document)

    def crawl_at(self, when: datetime, scheduled: datetime | None = None) -> None:
        """Have the schedule start a crawl."""
        given = {"scheduled_time": iso(scheduled or when)}
        self.loop.at(when, lambda: self._begin("crawl", f"crawl-{len(self.executions)}", given))

    def abort_at(self, when: datetime, machine_name: str) -> None:
        """Stop what runs of a machine then."""

        def stop() -> None:
            for each in list(self.executions.values()):
                if each.machine == machine_name and each.status == "RUNNING":
                    self._end(each, "ABORTED")

        self.loop.at(when, stop)

    @contextmanager
    def _here(self) -> Iterator[None]:
        """Clients, clock and threads of the code are this world's."""
        now = self.loop

        class Clock(datetime):
            @classmethod
            def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
                return now.now.astimezone(tz)

        changes: list[tuple[Any, str, Any]] = [
            (_wiring, "boto3", self),
            (store, "ThreadPoolExecutor", _InTurn),
        ]
        for name in HANDLERS:
            module = importlib.import_module(f"anomaly_detector.handlers.{name}")
            if hasattr(module, "datetime"):
                changes.append((module, "datetime", Clock))
            if hasattr(module, "time"):
                changes.append((module, "time", self.loop))
        before = [(where, name, getattr(where, name)) for where, name, _ in changes]
        environment, level = dict(os.environ), logger.log_level
        try:
            os.environ.update(ENVIRONMENT)
            logger.setLevel("CRITICAL")
            for where, name, value in changes:
                setattr(where, name, value)
            _wiring.wiring.cache_clear()
            _wiring._sender.cache_clear()
            yield
        finally:
            for where, name, value in before:
                setattr(where, name, value)
            logger.setLevel(level)
            os.environ.clear()
            os.environ.update(environment)
            _wiring.wiring.cache_clear()
            _wiring._sender.cache_clear()

    # boto3

    def Session(self) -> World:  # noqa: N802 as in boto3
        """As `boto3.Session`: its clients are the same."""
        return self

    def client(self, service: str, *, config: Any, region_name: str = "") -> Client:  # noqa: ARG002
        """As `boto3.client`."""
        attempts = config.retries["total_max_attempts"]
        return Client(self, service, self._backends[service], attempts)

    def through(self, service: str, operation: str, attempts: int, call: Call, given: Any) -> Any:
        """Make a call for the function that runs, or fail it."""
        process = self._process()
        fault = self._counted(process.function, service, operation)
        for attempt in range(attempts):
            self.loop.pause()
            self._alive(process)
            last = attempt + 1 == attempts
            if fault is not None:
                answer, over = self._struck(fault, attempt, last, process, service, call, given)
                if over:
                    return answer
                if fault.kind in ("throttle", "lost") and attempt < fault.depth:
                    self.loop.sleep(0.5 * 2**attempt)
                    continue
            self._refuse(service, operation, given)
            answer = call(**given)
            if fault is not None and fault.kind == "crash-after":
                process.dead = True
            self._alive(process)
            return answer
        raise AssertionError(operation)

    def _struck(
        self,
        fault: Fault,
        attempt: int,
        last: bool,  # noqa: FBT001
        process: Process,
        service: str,
        call: Call,
        given: Any,
    ) -> tuple[Any, bool]:
        """What becomes of an attempt that is struck; whether the call is over with it."""
        if fault.kind == "crash-before":
            process.dead = True
            self._alive(process)
        if fault.kind == "stall" and not attempt:
            self.loop.sleep(fault.depth)
            self._alive(process)
        if fault.kind == "throttle" and attempt < fault.depth and last:
            raise refused(_BUSY.get(service, "ThrottlingException"), "Call")
        if fault.kind == "lost" and attempt < fault.depth:
            try:
                call(**given)
            except ClientError as error:
                # A refusal is a reply: it is lost as well.
                del error
            if last:
                raise ConnectionClosedError(endpoint_url=f"https://{service}")
        return None, False

    def _counted(self, function: str, service: str, operation: str) -> Fault | None:
        self.calls += 1
        self.log.append((function, service, operation))
        fault = self.faults.get(self.calls)
        if self.until is not None and self.loop.now >= self.until:
            fault = None
        if fault is not None:
            self.struck.append((self.calls, fault, function, service, operation))
        return fault

    def _process(self) -> Process:
        assert self.loop.task is not None
        process: Process = self.loop.task.holder
        self._alive(process)
        return process

    def _alive(self, process: Process) -> None:
        if process.dead or self.loop.now >= process.deadline:
            process.dead = True
            raise Killed

    def _refuse(self, service: str, operation: str, given: Any) -> None:
        arn = given.get("TopicArn") or given.get("FunctionName")
        for target, begin, end, code in self.refusals:
            if target == arn and service in ("sns", "lambda") and begin <= self.loop.now < end:
                raise refused(code, operation)

    # Lambda

    def invoke(self, function: str, payload: Any, seconds: float) -> Any:
        """Call a function, and wait for its answer."""
        fault = self._counted(function, "lambda", "Invoke")
        kind = fault.kind if fault else ""
        if kind == "stall":
            assert fault
            self.loop.sleep(min(fault.depth, seconds))
        if kind == "throttle":
            raise StepError("Lambda.TooManyRequestsException", "Rate exceeded")
        if kind == "crash-before":
            raise StepError("Lambda.Unknown", "The function did not start.")
        answer = self._call(function, payload)
        if kind in ("lost", "crash-after"):
            error = "Lambda.SdkClientException" if kind == "lost" else "Runtime.ExitError"
            raise StepError(error, "The answer was lost.")
        return answer

    def _call(self, function: str, payload: Any) -> Any:
        self.requests += 1
        deadline = self.loop.now + timedelta(seconds=seconds_of(function))
        process = Process(function, f"request-{self.requests}", deadline)
        task = self.loop.task
        assert task is not None
        before, task.holder = task.holder, process
        handler = importlib.import_module(f"anomaly_detector.handlers.{function}").handler
        try:
            return handler(payload, _Context(process, lambda: self.loop.now))
        except Killed:
            crash = CRASHES[2] if self.loop.now >= process.deadline else CRASHES[self.requests % 2]
            raise StepError(crash, "The function was killed.") from None
        except Exception as error:
            if process.dead:
                raise StepError(CRASHES[0], "The function was killed.") from error
            cause = {"errorMessage": str(error), "errorType": type(error).__name__}
            raise StepError(type(error).__name__, json.dumps(cause)) from error
        finally:
            process.dead = True
            task.holder = before

    def invoked_by_event(self, function: str, payload: Any) -> None:
        """Call a function as EventBridge does, or Terraform; again, if it fails."""

        def invoked() -> None:
            for wait in (*_AGAIN, None):
                try:
                    self._call(function, payload)
                except StepError:
                    if wait is None:
                        return
                    self.loop.sleep(wait)
                else:
                    return

        self.loop.spawn(function, invoked)

    # EventBridge

    def _changed(self, key: str) -> None:
        if key == layout.CONFIGURATION:
            self.invoked_by_event("reconcile", {})

    def _ended(self, execution: Execution) -> None:
        if execution.status == "SUCCEEDED":
            return
        if execution.machine == "statement":
            self.invoked_by_event("statement", {"action": "cancel", "executions": [execution.arn]})
        else:
            event = {"execution": execution.arn, "status": execution.status}
            self.invoked_by_event("record_failure", event)

    # Operator

    def _told(self, subject: str, text: str) -> None:
        """Do what is documented of a pipeline that has failed: remove the reason, start it again.

        Nothing is done but upon the report.
        """
        if subject.endswith("pipeline failed") and any(one in text for one in self.removable):
            self.loop.after(_OPERATOR, self._again)

    def _again(self) -> None:
        running = (
            one.status == "RUNNING" for one in self.executions.values() if one.machine == "pipeline"
        )
        if not any(running):
            self.removed += 1
            self._begin("pipeline", f"again-{self.removed}", {})

    # Step Functions

    def start_execution(self, *, stateMachineArn: str, name: str, input: str) -> dict[str, Any]:  # noqa: A002, N803
        """As the API: a name is used once; the same again while it runs is the same execution."""
        of_machine = stateMachineArn.rpartition("-")[2]
        known = self.executions.get(self._arn(of_machine, name))
        if known is not None:
            if known.status != "RUNNING" or known.given != json.loads(input):
                raise refused("ExecutionAlreadyExists", "StartExecution")
            return {"executionArn": known.arn}
        return {"executionArn": self._begin(of_machine, name, json.loads(input)).arn}

    def describe_execution(self, *, executionArn: str) -> dict[str, Any]:  # noqa: N803
        """As the API."""
        if executionArn not in self.executions:
            raise refused("ExecutionDoesNotExist", "DescribeExecution")
        return {"status": self.executions[executionArn].status}

    def stop_execution(self, *, executionArn: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        """As the API."""
        self._end(self.executions[executionArn], "ABORTED")
        return {}

    def _arn(self, of_machine: str, name: str) -> str:
        return ACCOUNT.format("states", f"execution:shop-{of_machine}:{name}")

    def _begin(
        self, of_machine: str, name: str, given: Any, parent: Execution | None = None
    ) -> Execution:
        made = Execution(self._arn(of_machine, name), of_machine, given, self.loop.now)
        made.parent = parent
        self.executions[made.arn] = made
        made.task = self.loop.spawn(made.arn, lambda: self._execute(made))
        return made

    def _execute(self, execution: Execution) -> None:
        named = {"Id": execution.arn, "StartTime": iso(execution.started), "Input": execution.given}
        context = {"Execution": named}
        try:
            machinery = _Machinery(self, execution)
            execution.output = Run(machinery, context).states(
                machine(execution.machine), execution.given
            )
        except StepError as error:
            execution.error, execution.cause = error.error, error.cause
            self._end(execution, "FAILED")
        except Stopped:
            return
        else:
            self._end(execution, "SUCCEEDED")

    def _end(self, execution: Execution, status: str) -> None:
        if execution.status != "RUNNING":
            return
        execution.status = status
        for each in list(self.executions.values()):
            if each.parent is execution:
                self._end(each, "ABORTED")
        self._ended(execution)


@dataclass
class _Machinery:
    """What an execution asks for."""

    world: World
    execution: Execution
    children: int = 0

    def _going(self) -> None:
        if self.execution.status != "RUNNING":
            raise Stopped

    def invoke(self, function: str, payload: Any, seconds: float) -> Any:
        self._going()
        try:
            return self.world.invoke(function, payload, seconds)
        finally:
            # A function that runs when its execution is stopped runs on.
            self._going()

    def nested(self, machine_name: str, payload: Any, seconds: float) -> Any:
        self._going()
        world = self.world
        fault = world._counted("states", "stepfunctions", "StartExecution")
        if fault is not None and fault.kind in ("throttle", "crash-before"):
            raise StepError("StepFunctions.ThrottlingException", "Rate exceeded")
        name = f"{self.execution.arn.rpartition(':')[2]}-{len(world.executions)}"
        child = world._begin("statement", name, payload, self.execution)
        assert machine_name == "<statement_arn>", machine_name
        assert child.task is not None
        if not world.loop.join(child.task, seconds):
            world._end(child, "ABORTED")
            raise StepError("States.Timeout", "")
        self._going()
        if child.status != "SUCCEEDED":
            found = {"Status": child.status, "Error": child.error, "Cause": child.cause}
            raise StepError("States.TaskFailed", json.dumps(found))
        return {"ExecutionArn": child.arn, "Status": child.status, "Output": child.output}

    def sleep(self, seconds: float) -> None:
        self._going()
        self.world.loop.sleep(seconds)
        self._going()

    def jitter(self, seconds: float) -> float:
        return self.world.random.uniform(0, seconds)

    def parallel(self, calls: list[Callable[[], Any]]) -> list[Any]:
        if len(calls) == 1:
            return [calls[0]()]
        loop = self.world.loop
        tasks = [loop.spawn(f"{self.execution.arn} item", _kept_error(call)) for call in calls]
        for task in tasks:
            loop.join(task)
        self._going()
        for task in tasks:
            if isinstance(task.result, StepError):
                raise task.result
        return [task.result for task in tasks]


def _kept_error(call: Callable[[], Any]) -> Callable[[], Any]:
    def made() -> Any:
        try:
            return call()
        except StepError as error:
            return error
        except Stopped:
            return None

    return made


class _InTurn:
    """Stands for a pool of threads: what it is given is done at once, in order."""

    def __init__(self, workers: int) -> None:
        """As a pool."""

    def __enter__(self) -> _InTurn:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def map(self, call: Callable[..., Any], *given: Any) -> list[Any]:
        return [call(*each) for each in zip(*given, strict=False)]

    def submit(self, call: Callable[..., Any], *given: Any) -> _Done:
        return _Done(call(*given))


@dataclass
class _Done:
    value: Any

    def result(self) -> Any:
        return self.value


HANDLERS = (
    "activate",
    "commit",
    "deliver",
    "detect",
    "plan_crawl",
    "plan_history",
    "prepare",
    "reconcile",
    "record_failure",
    "statement",
    "train",
)
__all__ = ["MACHINES", "OFFSET", "Fault", "Kept", "World"]
