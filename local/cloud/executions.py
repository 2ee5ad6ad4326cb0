"""How executions end: stopped, or with their state machine deleted.

In ministack a nested execution is part of its parent's thread: it raises no event and cannot be
stopped, and a deleted state machine takes its executions' records along at once.
"""

# ruff: noqa: SLF001, ANN401 - patches ministack's inner functions, which have no types

from __future__ import annotations

import contextvars
import json
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ministack.core import responses
from ministack.services import stepfunctions

_LOOK_SECONDS = 0.05
_parent: contextvars.ContextVar[dict[str, Any] | None] = contextvars.ContextVar(
    "parent", default=None
)


def install() -> None:
    """Patch everything; call once, before serving."""
    let_a_stop_be_final()
    stop_nested_executions_with_their_parent()
    time_out_without_a_cause()
    delete_state_machines_when_their_executions_have_ended()


def let_a_stop_be_final() -> None:
    """Begin nothing more for an execution that has ended, and let no failure change how."""
    execute, fail = stepfunctions._execute_task, stepfunctions._fail_execution

    def execute_task(state: Any, given: Any, execution: Any, context: Any) -> Any:
        if execution and execution["status"] != "RUNNING":
            raise stepfunctions._ExecutionError("States.Runtime", "The execution has ended.")
        token = _parent.set(execution)
        try:
            return execute(state, given, execution, context)
        finally:
            _parent.reset(token)

    def fail_execution(execution: dict[str, Any], error: Any, cause: Any) -> None:
        if execution["status"] == "RUNNING":
            fail(execution, error, cause)

    stepfunctions._execute_task = execute_task
    stepfunctions._fail_execution = fail_execution


def stop_nested_executions_with_their_parent() -> None:
    """Run what ``startExecution.sync`` starts as an execution of its own, stopped with its parent.

    It raises events like any other, and where it fails its parent's task fails as on AWS: with
    States.TaskFailed and the child's description as cause.
    """

    def run(resource: str, given: Any) -> dict[str, Any]:
        request = stepfunctions._nested_start_execution_request(given)
        status, _, body = stepfunctions._start_execution(request)
        answer = json.loads(body)
        if status >= 400:
            name = str(answer.get("__type", "")).rpartition("#")[2]
            raise stepfunctions._ExecutionError(f"StepFunctions.{name}", answer.get("message", ""))
        arn, parent = answer["executionArn"], _parent.get()
        child = stepfunctions._executions[arn]
        while child["status"] == "RUNNING":
            if parent is not None and parent["status"] != "RUNNING":
                stepfunctions._stop_execution({"executionArn": arn})
            time.sleep(_LOOK_SECONDS)
        _, _, body = stepfunctions._describe_execution({"executionArn": arn})
        found = {name[0].upper() + name[1:]: value for name, value in json.loads(body).items()}
        if child["status"] != "SUCCEEDED":
            raise stepfunctions._ExecutionError("States.TaskFailed", json.dumps(found))
        if resource.endswith(":2"):
            found["Output"] = json.loads(found["Output"])
        return found

    stepfunctions._invoke_nested_start_execution_sync = run


def time_out_without_a_cause() -> None:
    """Let a Catch of States.Timeout see no Cause, as may happen on AWS."""
    catch = stepfunctions._apply_catcher

    def apply_catcher(
        catcher: Any, given: Any, context: Any, language: str, error: Mapping[str, Any]
    ) -> Any:
        if error.get("Error") == "States.Timeout":
            error = {"Error": "States.Timeout"}
        return catch(catcher, given, context, language, error)

    stepfunctions._apply_catcher = apply_catcher


def delete_state_machines_when_their_executions_have_ended() -> None:
    """Keep a machine DELETING until its executions have ended, each at its next transition."""
    delete, add_event = stepfunctions._delete_state_machine, stepfunctions._add_event

    def finish(data: Mapping[str, Any]) -> None:
        while _runs(data["stateMachineArn"]):
            time.sleep(_LOOK_SECONDS)
        delete(data)

    def delete_state_machine(data: dict[str, Any]) -> Any:
        arn = data.get("stateMachineArn", "")
        machine = stepfunctions._state_machines.get(arn)
        if machine is None or not _runs(arn):
            return delete(data)
        if machine["status"] != "DELETING":
            machine["status"] = "DELETING"
            scope = contextvars.copy_context()
            threading.Thread(target=scope.run, args=(finish, data), daemon=True).start()
        return responses.json_response({})

    def add(execution: dict[str, Any], kind: str, details: Any = None) -> Any:
        answer = add_event(execution, kind, details)
        ends = kind.endswith("StateExited") and execution["status"] == "RUNNING"
        if ends and _is_deleting(execution["stateMachineArn"]):
            stepfunctions._stop_execution({"executionArn": execution["executionArn"]})
        return answer

    stepfunctions._delete_state_machine = delete_state_machine
    stepfunctions._add_event = add
    stepfunctions._start_execution = _unless_deleting(stepfunctions._start_execution)
    stepfunctions._update_state_machine = _unless_deleting(stepfunctions._update_state_machine)
    stepfunctions._create_state_machine = _unless_deleting(stepfunctions._create_state_machine)


def _runs(machine_arn: str) -> bool:
    return any(
        each["stateMachineArn"] == machine_arn and each["status"] == "RUNNING"
        for each in list(stepfunctions._executions.values())
    )


def _is_deleting(machine_arn: str) -> bool:
    machine = stepfunctions._state_machines.get(machine_arn)
    return machine is not None and machine["status"] == "DELETING"


def _unless_deleting(call: Callable[[dict[str, Any]], Any]) -> Callable[[dict[str, Any]], Any]:
    def checked(data: dict[str, Any]) -> Any:
        where = f"{responses.get_region()}:{responses.get_account_id()}"
        made = f"arn:aws:states:{where}:stateMachine:{data.get('name', '')}"
        arn = str(data.get("stateMachineArn") or made)
        if _is_deleting(arn):
            message = f"State Machine is being deleted: '{arn}'"
            return responses.error_response_json("StateMachineDeleting", message, 400)
        return call(data)

    return checked
