"""Running executions are stopped and statements cancelled, even if replies are lost."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from anomaly_detector.errors import PermanentError, RetryableError
from anomaly_detector.handlers import statement as statement_handler
from anomaly_detector.handlers import stop as stop_handler
from anomaly_detector.services.cancelling import cancel
from anomaly_detector.services.executions import Executions
from anomaly_detector.services.function import Function
from anomaly_detector.services.stopping import stop
from anomaly_detector.warehouse.data_api import DataApi
from botocore.exceptions import ClientError, ReadTimeoutError
from moto import mock_aws

from tests.unit.services_world import H1, World, sales

MACHINE = "arn:aws:states:eu-west-1:123456789012:stateMachine:shop-statement"
EXECUTION = MACHINE.replace("stateMachine", "execution")


@dataclass
class Warehouse:
    """A `redshift-data` client; a cancelled statement takes some looks to end, or for ever."""

    names: dict[str, str]
    looks: int = 1
    cancelled: list[str] = field(default_factory=list)
    _left: dict[str, int] = field(default_factory=dict)

    def list_statements(
        self,
        Status: str,  # noqa: N803
        StatementName: str,  # noqa: N803
        RoleLevel: bool,  # noqa: FBT001, N803
    ) -> dict[str, Any]:
        assert not RoleLevel
        if Status != "STARTED":
            return {"Statements": []}
        for key in [key for key, left in self._left.items() if left <= 0]:
            del self.names[key], self._left[key]
        self._left = {key: left - 1 for key, left in self._left.items()}
        found = [
            {"Id": key, "StatementName": name, "Status": "STARTED"}
            for key, name in self.names.items()
            if name.startswith(StatementName)
        ]
        return {"Statements": found}

    def cancel_statement(self, Id: str) -> dict[str, Any]:  # noqa: N803
        self.cancelled.append(Id)
        self._left[Id] = self.looks
        return {"Status": True}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield World(sales(4))


def names() -> dict[str, str]:
    return {
        "a": "shop/live/one/1",
        "b": "shop/history/two/3",
        "c": "shop/history/three/1",
        "d": "other/history/one/1",
        "e": "shop-else/live/one/1",
    }


def test_only_the_statements_of_these_executions_are_cancelled_and_awaited(world: World) -> None:
    warehouse = Warehouse(names(), looks=3)
    slept: list[float] = []
    ended = [f"{EXECUTION}:one", f"{EXECUTION}:two"]

    answer = cancel(world.ledger, DataApi(warehouse, None), "shop", ended, H1, slept.append)

    assert (answer.cancelled, answer.running) == (("a", "b"), ())
    assert sorted(warehouse.cancelled) == ["a", "b"], "each is asked to end once"
    assert slept
    assert sum(slept) <= 30
    assert [world.ledger.is_stopped(each) for each in ended] == [True, True]
    assert not world.ledger.is_stopped(f"{EXECUTION}:three")


def test_what_does_not_end_is_told(world: World) -> None:
    warehouse = Warehouse(names(), looks=99)

    answer = cancel(
        world.ledger, DataApi(warehouse, None), "shop", [], H1, lambda _: None, everything=True
    )

    assert answer.running == answer.cancelled == ("a", "b", "c")


def test_the_event_of_an_execution_that_ended_is_repeated_until_its_statement_ends(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Settings:
        detector_name = "shop"

    class Parts:
        ledger = world.ledger
        settings = Settings
        client = Warehouse(names(), looks=99)

        def warehouse(self, redshift: None) -> DataApi:
            return DataApi(self.client, redshift)

    monkeypatch.setattr(statement_handler, "wiring", Parts)
    monkeypatch.setattr(time, "sleep", lambda _: None)
    event = {"action": "cancel", "executions": [f"{EXECUTION}:one"]}

    with pytest.raises(RetryableError, match="still running: a"):
        statement_handler.handler(event, Context())
    Parts.client = Warehouse(names())
    assert statement_handler.handler(event, Context()) == {"cancelled": ["a"], "running": []}


class Context:
    function_name = "shop-statement"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:shop-statement"
    aws_request_id = "request-1"


# --- destroy ------------------------------------------------------------------------------------


@dataclass
class Machines:
    """A Step Functions client whose list lags behind."""

    running: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    stopped: list[str] = field(default_factory=list)
    gone: bool = False

    def get_paginator(self, name: str) -> Machines:
        assert name == "list_executions"
        return self

    def paginate(self, **given: str) -> list[dict[str, Any]]:
        assert given == {"stateMachineArn": MACHINE, "statusFilter": "RUNNING"}
        if self.gone:
            raise ClientError({"Error": {"Code": "StateMachineDoesNotExist"}}, "ListExecutions")
        listed = [{"executionArn": each} for each in self.running]
        self.running += self.late
        self.late = []
        return [{"executions": listed[:1]}, {"executions": listed[1:]}]

    def stop_execution(self, executionArn: str, **_: str) -> dict[str, Any]:  # noqa: N803
        self.stopped.append(executionArn)
        self.running.remove(executionArn)
        return {}


@dataclass
class Owner:
    """A Lambda client: the function that owns the statements."""

    answers: list[Any]
    asked: list[dict[str, Any]] = field(default_factory=list)

    def invoke(self, FunctionName: str, Payload: str) -> dict[str, Any]:  # noqa: N803
        assert FunctionName == "arn"
        self.asked.append(json.loads(Payload))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        failed = {"FunctionError": "Unhandled"} if "errorMessage" in answer else {}
        return {"Payload": io.BytesIO(json.dumps(answer).encode()), **failed}


def quietly(_: float) -> None:
    """Do not sleep."""


def test_executions_are_stopped_before_their_statements_are_cancelled() -> None:
    machines = Machines(["x:one", "x:two"], late=["x:three"])
    owner = Owner([{"cancelled": ["a"], "running": ["a"]}, {"cancelled": ["a"], "running": []}])

    answer = stop([Executions(machines, MACHINE)], Function(owner, "arn"), quietly)

    assert answer.executions == tuple(machines.stopped) == ("x:one", "x:two", "x:three")
    assert (answer.statements, answer.problems) == (("a",), ())
    event = {"action": "cancel", "everything": True, "awaited": False}
    assert owner.asked == [event | {"executions": ["x:one", "x:two", "x:three"]}] * 2


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"errorType": "RetryableError", "errorMessage": "Rate exceeded"}, "Rate exceeded"),
        ({"errorType": "PermanentError", "errorMessage": "The cluster is paused"}, "is paused"),
        (ClientError({"Error": {"Code": "ResourceNotFoundException"}}, "Invoke"), "cannot be"),
        ({"cancelled": ["a"], "running": ["a"]}, "still running: a"),
    ],
)
def test_a_warehouse_that_cannot_be_asked_is_told_and_does_not_stop_destroy(
    answer: Any, words: str
) -> None:
    machines = Machines(["x:one"])

    done = stop([Executions(machines, MACHINE)], Function(Owner([answer] * 9), "arn"), quietly)

    assert done.executions == ("x:one",)
    assert len(done.problems) == 1
    assert words in done.problems[0]


@pytest.mark.parametrize(
    "stumble",
    [
        {"errorType": "RetryableError", "errorMessage": "Rate exceeded"},
        {"errorMessage": "2026-03-02T00:00:00Z Task timed out after 60.00 seconds"},
        ClientError({"Error": {"Code": "TooManyRequestsException"}}, "Invoke"),
        ReadTimeoutError(endpoint_url="https://lambda"),
    ],
)
def test_the_owner_of_the_statements_is_asked_again_when_it_stumbles(stumble: Any) -> None:
    owner = Owner([stumble, {"cancelled": ["a"], "running": ["a"]}, stumble, {"running": []}])

    done = stop([Executions(Machines(), MACHINE)], Function(owner, "arn"), quietly)

    assert (done.statements, done.problems) == (("a",), ())
    assert len(owner.asked) == 4


def test_a_statement_that_lists_late_is_cancelled_too(world: World) -> None:
    class Late(Warehouse):
        lists = 0

        def list_statements(self, **given: Any) -> dict[str, Any]:  # type: ignore[override]
            self.lists += 1
            return super().list_statements(**given) if self.lists > 3 else {"Statements": []}

    warehouse = Late(names())

    answer = cancel(
        world.ledger,
        DataApi(warehouse, None),
        "shop",
        [f"{EXECUTION}:one"],
        H1,
        lambda _: None,
    )

    assert (answer.cancelled, answer.running) == (("a",), ())


def test_a_machine_that_is_gone_has_nothing_to_stop() -> None:
    assert stop([Executions(Machines(gone=True), MACHINE)], None, quietly).executions == ()


def test_what_starts_executions_all_the_time_fails_destroy_with_advice() -> None:
    class Restarting(Machines):
        def stop_execution(self, executionArn: str, **_: str) -> dict[str, Any]:  # noqa: N803
            self.stopped.append(executionArn)
            return {}

    with pytest.raises(PermanentError, match="disable the schedule"):
        stop([Executions(Restarting(["x:one"]), MACHINE)], None, quietly)


def test_an_execution_that_ended_by_itself_is_no_fault_and_a_refusal_is() -> None:
    class Refusing:
        code = "ExecutionDoesNotExist"

        def stop_execution(self, **_: str) -> None:
            raise ClientError({"Error": {"Code": self.code}}, "StopExecution")

    client = Refusing()
    Executions(client, MACHINE).stop("x", "why")
    client.code = "AccessDeniedException"
    with pytest.raises(ClientError):
        Executions(client, MACHINE).stop("x", "why")


@pytest.mark.parametrize("action", ["create", "update"])
def test_apply_stops_nothing(action: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stop_handler, "wiring", None)
    event = {"machine_arns": [MACHINE], "tf": {"action": action, "prev_input": None}}

    answer = stop_handler.handler(event, Context())

    assert answer == {"executions": [], "statements": [], "problems": []}
