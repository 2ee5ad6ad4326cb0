"""The state machines keep the house rules and name the classes that the functions raise."""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from anomaly_detector import errors
from anomaly_detector.config import Config
from anomaly_detector.limits import MOST_ROUNDS
from anomaly_detector.services.history import MOST_CHUNKS

from local.cloud.testing import Scene, allow, eventually, unique
from tests.state_machines import MACHINES, ROOT, State, render, retry_blocks

LARGEST_HISTORY = 25_000
LONGEST_FUNCTION = 900
(MOST_MEASURES,) = (
    rule.max_length
    for rule in Config.model_fields["measures"].metadata
    if hasattr(rule, "max_length")
)
# How a function that was killed, or ran out of time, is named by Step Functions.
CRASHES = {"Lambda.Unknown", "Runtime.ExitError", "Sandbox.Timedout", "States.Timeout"}

# What follows a step that may fail without failing the execution.
GOES_ON = {
    # The pipeline has done its work by then; what is pending is left to the next crawl.
    ("pipeline", "Deliver"): "Active",
    # The configuration in force goes on without the document; the function's errors have an alarm.
    ("crawl", "Reconcile"): "PlanCrawl",
}


def states_of(machine: State) -> Iterator[tuple[str, State]]:
    """All states, those inside a Map as well."""
    for name, state in machine["States"].items():
        yield name, state
        if "ItemProcessor" in state:
            yield from states_of(state["ItemProcessor"])


def every_state() -> list[Any]:
    """Each state of each machine, to be tested by itself."""
    return [
        pytest.param(machine, state, id=f"{machine}-{name}")
        for machine in MACHINES
        for name, state in states_of(render(machine))
    ]


def every_task() -> list[Any]:
    """Those states that call something."""
    return [each for each in every_state() if each.values[1]["Type"] == "Task"]


def our_errors() -> set[str]:
    """Names of the classes in `errors.py`."""
    return {
        name
        for name, found in inspect.getmembers(errors, inspect.isclass)
        if issubclass(found, Exception) and found.__module__ == errors.__name__
    }


@pytest.mark.parametrize(("machine", "state"), every_task())
def test_a_task_ends_in_time_and_is_tried_again(machine: str, state: State) -> None:
    assert state["TimeoutSeconds"] > 0, machine
    for retry in state["Retry"]:
        assert retry["JitterStrategy"] == "FULL"
        assert retry["MaxDelaySeconds"] <= 60
        waits = [
            min(retry["IntervalSeconds"] * retry["BackoffRate"] ** n, retry["MaxDelaySeconds"])
            for n in range(retry["MaxAttempts"])
        ]
        if CRASHES & set(retry["ErrorEquals"]):
            # The same input mostly ends the same way, and each attempt may take fifteen minutes.
            assert set(retry["ErrorEquals"]) == CRASHES
            assert retry["MaxAttempts"] == 2
        else:
            # A new role may be refused for two minutes; jitter halves the waits on average.
            assert 120 <= sum(waits) <= 300


@pytest.mark.parametrize(("machine", "state"), every_task())
def test_only_passing_faults_are_tried_again(machine: str, state: State) -> None:
    named = [error for retry in state["Retry"] for error in retry["ErrorEquals"]]
    of_the_functions = {error for error in named if "." not in error}
    assert of_the_functions <= our_errors(), machine
    assert "PermanentError" not in named
    assert not {"States.ALL", "States.TaskFailed"} & set(named)
    if state["Resource"].startswith("<functions."):
        assert "RetryableError" in named
        assert {"Lambda.TooManyRequestsException", "Lambda.ServiceException"} <= set(named)
        assert "Lambda.KMSAccessDeniedException" in named  # As slow to settle as a new role.
        assert set(named) >= CRASHES
    else:
        # A nested execution that takes too long would take as long again.
        assert not set(named) & CRASHES


@pytest.mark.parametrize("machine", MACHINES)
def test_no_retry_stands_in_a_template(machine: str) -> None:
    text = MACHINES[machine].read_text(encoding="utf-8")
    written = re.findall(r'"Retry": (.*),', text)
    assert written
    assert set(written) <= {f"${{retry.{kind}}}" for kind in retry_blocks()}


@pytest.mark.parametrize("machine", MACHINES)
def test_both_kinds_of_failure_exist(machine: str) -> None:
    assert our_errors() == {"RetryableError", "PermanentError"}, machine


@pytest.mark.parametrize("machine", MACHINES)
def test_every_failure_goes_one_way_that_ends_in_fail(machine: str) -> None:
    states = render(machine)["States"]
    way = "Failed" if machine == "statement" else "RecordFailure"
    for name, state in states.items():
        if state["Type"] not in ("Task", "Map") or name == "RecordFailure":
            continue
        after = GOES_ON.get((machine, name), "IsCauseGiven")
        assert [(catch["ErrorEquals"], catch["Next"]) for catch in state["Catch"]] == [
            (["States.ALL"], after)
        ], name
        if (machine, name) not in GOES_ON:
            assert state["Catch"][0]["ResultPath"] == "$.error", name
    assert states["IsCauseGiven"]["Choices"][0]["Next"] == way
    assert states["GiveCause"]["Next"] == way
    assert states["Failed"]["Type"] == "Fail"
    assert states["Failed"]["ErrorPath"] == "$.error.Error"
    assert states["Failed"]["CausePath"] == "$.error.Cause"
    if way == "RecordFailure":
        record = states["RecordFailure"]
        assert record["Next"] == "Failed"
        assert record["Catch"][0]["Next"] == "Failed"
        # What went wrong first is what the execution fails with.
        assert record["Catch"][0]["ResultPath"] != "$.error"


@pytest.mark.parametrize("machine", MACHINES)
def test_a_step_that_timed_out_without_a_cause_fails_with_words(scene: Scene, machine: str) -> None:
    client = scene.cloud.client("stepfunctions")
    role = scene.role(allow("*"), service="states.amazonaws.com")

    def start(states: State) -> dict[str, Any]:
        definition = {"StartAt": next(iter(states)), "States": states}
        made = client.create_state_machine(
            name=unique("late"), definition=json.dumps(definition), roleArn=role
        )
        return dict(client.start_execution(stateMachineArn=made["stateMachineArn"]) | made)

    sleeps = start({"Sleep": {"Type": "Wait", "Seconds": 30, "End": True}})["stateMachineArn"]
    states = render(machine)["States"]
    task = next(
        state
        for name, state in states_of(render(machine))
        if "Catch" in state and (machine, name) not in GOES_ON
    )
    late = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Parameters": {"StateMachineArn": sleeps},
        "TimeoutSeconds": 1,
        "Catch": task["Catch"],
        "Next": "Failed",
    }
    kept = {name: states[name] for name in ("IsCauseGiven", "GiveCause", "Failed")}
    record = {"RecordFailure": {"Type": "Pass", "Next": "Failed"}} if machine != "statement" else {}

    execution = start({"Late": late, **kept, **record})["executionArn"]

    def ended() -> dict[str, Any] | None:
        found = client.describe_execution(executionArn=execution)
        return found if found["status"] != "RUNNING" else None

    found = eventually(ended)
    assert (found["status"], found["error"]) == ("FAILED", "States.Timeout")
    assert "exceeds its time limit" in found["cause"]
    assert execution in found["cause"]


@pytest.mark.parametrize("machine", MACHINES)
def test_every_state_is_reached_and_every_target_exists(machine: str) -> None:
    def check(part: State) -> None:
        states = part["States"]
        reached = {part["StartAt"]}
        for state in states.values():
            reached |= {state[key] for key in ("Next", "Default") if key in state}
            for branch in [*state.get("Choices", []), *state.get("Catch", [])]:
                reached.add(branch["Next"])
            assert ("Next" in state) + bool(state.get("End")) + (
                state["Type"] in ("Choice", "Succeed", "Fail")
            ) == 1
            if "ItemProcessor" in state:
                check(state["ItemProcessor"])
        assert reached == set(states)

    check(render(machine))


@pytest.mark.parametrize(("machine", "state"), every_state())
def test_no_field_that_only_one_side_knows(machine: str, state: State) -> None:
    assert "MaxConcurrencyPath" not in state, machine
    assert "TimeoutSecondsPath" not in state, machine
    assert state.get("QueryLanguage", "JSONPath") == "JSONPath"


@pytest.mark.parametrize(("machine", "state"), every_task())
def test_a_function_ends_before_its_task(machine: str, state: State) -> None:
    function = re.fullmatch(r"<functions\.(\w+)>", state["Resource"])
    if function is None:
        assert state["Resource"].endswith(":states:startExecution.sync:2"), machine
        return
    text = (ROOT / "modules/functions/main.tf").read_text(encoding="utf-8")
    found = re.search(rf"^\s*{function[1]}\s*= \{{ timeout = (\d+)", text, re.MULTILINE)
    assert found is not None
    assert int(found[1]) <= LONGEST_FUNCTION
    assert int(found[1]) < state["TimeoutSeconds"] <= int(found[1]) + 60


def test_a_statement_ends_before_those_who_wait_for_it() -> None:
    longest = render("statement")["TimeoutSeconds"]
    assert longest >= 24 * 3600  # A query may run for a day.
    waiting = [
        state["TimeoutSeconds"]
        for _, state in states_of(render("pipeline"))
        if state.get("Resource", "").endswith("startExecution.sync:2")
    ]
    assert waiting
    assert all(longest < each for each in waiting)


def test_a_crawl_waits_to_see_its_statement_cancelled() -> None:
    template = MACHINES["crawl"].read_text(encoding="utf-8")
    assert '"timeout_seconds": ${unload_seconds}' in template
    assert '"TimeoutSeconds": ${unload_task_seconds}' in template
    found = re.search(
        r"unload_task_seconds = local.unload_seconds \+ (\d+)",
        (ROOT / "modules/crawler/main.tf").read_text(encoding="utf-8"),
    )
    # Polls are a minute apart, and one may be tried again for five.
    assert found is not None
    assert int(found[1]) >= 900


def test_the_rounds_of_a_crawl_fit_into_its_history() -> None:
    crawl = render("crawl")["States"]
    rounds = next(
        rule["NumericLessThan"]
        for rule in crawl["IsMoreDue"]["Choices"][0]["And"]
        if "NumericLessThan" in rule
    )
    # A round: up to twelve states of six events; a shard: an iteration of three and a task of five.
    assert rounds * (12 * 6 + 64 * 8) < LARGEST_HISTORY


def test_the_rounds_of_training_fit_into_its_history() -> None:
    # A round is a task of five events and a choice of two; an iteration of a Map has three of its
    # own, that of a part a state of two besides, that of a chunk a task of six.
    parts = MOST_MEASURES * (MOST_ROUNDS * (5 + 2) + 3 + 2)
    chunks = MOST_CHUNKS * (3 + 6)
    others = 20 * 8
    assert parts + chunks + others < LARGEST_HISTORY


def test_a_part_is_trained_until_it_is_done(scene: Scene) -> None:
    # given a function that is done after as many calls as its part says
    source = (
        "def handle(event, context):\n"
        "    rounds = 1 if event['trained'] is None else event['trained']['rounds'] + 1\n"
        "    part = event['part']\n"
        "    return {'part': part, 'measures': event['measures'], 'rounds': rounds, "
        "'done': rounds > part}\n"
    )
    name = scene.function(scene.role(allow("*")), source)
    found = scene.cloud.client("lambda").get_function(FunctionName=name)
    arn = found["Configuration"]["FunctionArn"]
    machine = json.loads(
        json.dumps(render("pipeline")["States"]["Train"]).replace("<functions.train>", arn)
    )
    del machine["Next"], machine["Catch"]
    client = scene.cloud.client("stepfunctions")
    made = client.create_state_machine(
        name=unique("rounds"),
        definition=json.dumps({"StartAt": "Train", "States": {"Train": machine | {"End": True}}}),
        roleArn=scene.role(allow("*"), service="states.amazonaws.com"),
    )
    # when
    measures = [["revenue"], ["views", "price"], ["orders"]]
    parts = [{"part": part, "measures": names} for part, names in enumerate(measures)]
    plan = {
        "parts": parts,
        "history_start": "2026-01-01T00:00:00Z",
        "history_end": "2026-02-01T00:00:00Z",
    }
    given = json.dumps({"config_hash": "abc", "plan": plan})
    execution = client.start_execution(stateMachineArn=made["stateMachineArn"], input=given)

    def ended() -> dict[str, Any] | None:
        found = client.describe_execution(executionArn=execution["executionArn"])
        return found if found["status"] != "RUNNING" else None

    ending = eventually(ended, 60)
    # then
    assert ending["status"] == "SUCCEEDED", ending
    assert json.loads(ending["output"])["parts"] == [
        {**one, "rounds": place + 1, "done": True} for place, one in enumerate(parts)
    ]


@pytest.mark.parametrize(
    "function",
    sorted(
        {
            found
            for path in MACHINES.values()
            for found in re.findall(r"\$\{functions\.(\w+)\}", path.read_text(encoding="utf-8"))
        }
        | {"respond", "stop", "warehouse_role"}
    ),
)
def test_every_function_has_a_handler_and_a_role(function: str) -> None:
    assert importlib.util.find_spec(f"anomaly_detector.handlers.{function}") is not None
    for path in ("modules/iam/functions.tf", "modules/functions/main.tf"):
        text = (ROOT / path).read_text(encoding="utf-8")
        assert re.search(rf"^ +{function}\s*= (\{{|local\.{function}$)", text, re.MULTILINE), path
