"""The local cloud ends executions as Step Functions does."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.cloud.testing import ACCOUNT, REGION, Scene, allow, eventually, unique

SYNC = "arn:aws:states:::states:startExecution.sync:2"
WAIT = {"Type": "Wait", "Seconds": 60, "Next": "End"}
END = {"Type": "Succeed"}


class Machines:
    """State machines of one test."""

    def __init__(self, scene: Scene) -> None:
        self.client = scene.cloud.client("stepfunctions")
        self._role = scene.role(allow("*"), service="states.amazonaws.com")

    def machine(self, states: dict[str, Any]) -> str:
        definition = {"StartAt": next(iter(states)), "States": states}
        made = self.client.create_state_machine(
            name=unique("machine"), definition=json.dumps(definition), roleArn=self._role
        )
        return str(made["stateMachineArn"])

    def parent_of(self, child: str, **more: Any) -> str:
        task = {"Type": "Task", "Resource": SYNC, "Parameters": {"StateMachineArn": child}}
        return self.machine({"Child": {**task, "Next": "End", **more}, "End": END})

    def start(self, machine: str) -> str:
        return str(self.client.start_execution(stateMachineArn=machine)["executionArn"])

    def wait_for(self, execution: str, *statuses: str) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            answer = self.client.describe_execution(executionArn=execution)
            wanted = statuses or ("SUCCEEDED", "FAILED", "ABORTED")
            return dict(answer) if answer["status"] in wanted else None

        return eventually(found)

    def child(self, machine: str) -> str:
        started = eventually(
            lambda: self.client.list_executions(stateMachineArn=machine)["executions"]
        )
        return str(started[0]["executionArn"])


@pytest.fixture
def machines(scene: Scene) -> Machines:
    return Machines(scene)


def test_given_a_parent_is_stopped_then_its_child_is_and_both_stay_aborted(machines: Machines):
    child = machines.machine({"Wait": WAIT, "End": END})
    parent = machines.start(machines.parent_of(child))
    nested = machines.child(child)

    machines.client.stop_execution(executionArn=parent)

    assert machines.wait_for(nested)["status"] == "ABORTED"
    time.sleep(0.3)
    assert machines.wait_for(parent)["status"] == "ABORTED"


def test_given_a_child_is_stopped_then_its_parent_fails_with_its_description(machines: Machines):
    child = machines.machine({"Wait": WAIT, "End": END})
    parent = machines.start(machines.parent_of(child))
    nested = machines.child(child)

    machines.client.stop_execution(executionArn=nested, error="Stopped", cause="by a person")

    failed = machines.wait_for(parent)
    assert (failed["status"], failed["error"]) == ("FAILED", "States.TaskFailed")
    told = json.loads(failed["cause"])
    assert (told["Status"], told["Cause"]) == ("ABORTED", "by a person")


def test_given_a_nested_execution_then_its_end_is_an_event(scene: Scene, machines: Machines):
    queue = scene.cloud.client("sqs").create_queue(QueueName=unique("ends"))["QueueUrl"]
    arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{queue.rsplit('/', 1)[-1]}"
    scene.cloud.client("sqs").set_queue_attributes(
        QueueUrl=queue,
        Attributes={
            "Policy": json.dumps(
                {
                    "Statement": [
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": "events.amazonaws.com"},
                            "Action": "sqs:SendMessage",
                            "Resource": arn,
                        }
                    ]
                }
            )
        },
    )
    child = machines.machine({"Wait": WAIT, "End": END})
    events = scene.cloud.client("events")
    rule = unique("rule")
    pattern = {"source": ["aws.states"], "detail": {"stateMachineArn": [child]}}
    events.put_rule(Name=rule, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=rule, Targets=[{"Id": "queue", "Arn": arn}])
    machines.start(machines.parent_of(child))
    nested = machines.child(child)
    machines.client.stop_execution(executionArn=nested)

    statuses: list[str] = []
    while "ABORTED" not in statuses:
        details = [json.loads(each["Body"])["detail"] for each in scene.messages(queue)]
        assert {each["executionArn"] for each in details} <= {nested}
        statuses += [each["status"] for each in details]
    assert sorted(statuses) == ["ABORTED", "RUNNING"]


def test_given_a_task_timed_out_then_its_catch_sees_no_cause(machines: Machines):
    child = machines.machine({"Wait": {**WAIT, "Seconds": 30}, "End": END})
    catch = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "End"}]
    parent = machines.start(machines.parent_of(child, TimeoutSeconds=1, Catch=catch))

    output = json.loads(machines.wait_for(parent, "SUCCEEDED")["output"])

    assert output["error"] == {"Error": "States.Timeout"}


def test_given_an_execution_runs_then_its_machine_is_deleted_at_the_next_transition(
    machines: Machines,
):
    machine = machines.machine(
        {"Wait": {**WAIT, "Seconds": 5, "Next": "More"}, "More": WAIT, "End": END}
    )
    execution = machines.start(machine)

    for _ in range(2):
        machines.client.delete_state_machine(stateMachineArn=machine)

    found = machines.client.describe_state_machine(stateMachineArn=machine)
    assert found["status"] == "DELETING"
    assert machines.wait_for(execution, "RUNNING")
    with pytest.raises(ClientError, match="StateMachineDeleting"):
        machines.start(machine)
    _is_gone(machines, machine)


def test_given_its_executions_are_stopped_then_a_machine_goes_at_once(machines: Machines):
    machine = machines.machine({"Wait": WAIT, "End": END})
    execution = machines.start(machine)
    machines.client.delete_state_machine(stateMachineArn=machine)

    machines.client.stop_execution(executionArn=execution)

    _is_gone(machines, machine)


def _is_gone(machines: Machines, machine: str) -> None:
    eventually(
        lambda: all(
            each["stateMachineArn"] != machine
            for each in machines.client.list_state_machines()["stateMachines"]
        )
    )
