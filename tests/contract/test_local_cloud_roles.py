"""Roles of state machines, schedules, rules and the warehouse: what ministack does not ask and AWS
does.
"""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from anomaly_detector.errors import PermanentError
from anomaly_detector.warehouse import roles as warehouse_roles
from anomaly_detector.warehouse.roles import ClusterRoles, NamespaceRoles
from botocore.exceptions import ClientError

from local.cloud.testing import ACCOUNT, REGION, Scene, allow, allowed, eventually, unique

WHERE = f"{REGION}:{ACCOUNT}"


def machine(scene: Scene, role: str, definition: dict, name: str | None = None) -> str:
    return scene.cloud.client("stepfunctions").create_state_machine(
        name=name or unique("machine"), roleArn=role, definition=json.dumps(definition)
    )["stateMachineArn"]


def task(resource: str, parameters: dict) -> dict:
    return {
        "StartAt": "Do",
        "States": {
            "Do": {"Type": "Task", "Resource": resource, "Parameters": parameters, "End": True}
        },
    }


def execute(scene: Scene, arn: str) -> dict:
    client = scene.cloud.client("stepfunctions")
    run = client.start_execution(stateMachineArn=arn, input="{}")["executionArn"]

    def ended() -> dict | None:
        found = client.describe_execution(executionArn=run)
        return found if found["status"] != "RUNNING" else None

    return eventually(ended)


def pass_machine(scene: Scene) -> str:
    role = scene.role(service="states.amazonaws.com")
    return machine(scene, role, {"StartAt": "P", "States": {"P": {"Type": "Pass", "End": True}}})


class TestStateMachines:
    def test_given_no_right_to_invoke_then_the_task_fails(self, scene: Scene):
        name = scene.function(scene.role(), "def handle(event, context): return 7")
        arn = f"arn:aws:lambda:{WHERE}:function:{name}"
        definition = task("arn:aws:states:::lambda:invoke", {"FunctionName": arn, "Payload": {}})
        good = scene.role(allow("lambda:InvokeFunction", arn), service="states.amazonaws.com")
        assert execute(scene, machine(scene, good, definition))["status"] == "SUCCEEDED"
        bad = scene.role(
            allow("lambda:InvokeFunction", f"{arn}-other"), service="states.amazonaws.com"
        )
        failed = execute(scene, machine(scene, bad, definition))
        assert failed["status"] == "FAILED"
        assert failed["error"] == "Lambda.AWSLambdaException"
        assert "lambda:InvokeFunction" in failed["cause"]

    @pytest.mark.parametrize("missing", range(3))
    def test_given_a_nested_execution_then_every_right_that_aws_asks_for_is_needed(
        self, scene: Scene, missing: int
    ):
        inner = pass_machine(scene)
        run = inner.replace(":stateMachine:", ":execution:") + ":*"
        rule = f"arn:aws:events:{WHERE}:rule/StepFunctionsGetEventsForStepFunctionsExecutionRule"
        rights = [
            allow("states:StartExecution", inner),
            allow(["states:DescribeExecution", "states:StopExecution"], run),
            allow(["events:PutTargets", "events:PutRule", "events:DescribeRule"], rule),
        ]
        definition = task(
            "arn:aws:states:::states:startExecution.sync:2", {"StateMachineArn": inner, "Input": {}}
        )
        good = scene.role(*rights, service="states.amazonaws.com")
        assert execute(scene, machine(scene, good, definition))["status"] == "SUCCEEDED"
        del rights[missing]
        bad = scene.role(*rights, service="states.amazonaws.com")
        failed = execute(scene, machine(scene, bad, definition))
        assert failed["error"] == "StepFunctions.AccessDeniedException"

    def test_given_a_topic_then_publishing_needs_its_right(self, scene: Scene):
        topic = scene.cloud.client("sns").create_topic(Name=unique("topic"))["TopicArn"]
        definition = task("arn:aws:states:::sns:publish", {"TopicArn": topic, "Message": "m"})
        good = scene.role(allow("sns:Publish", topic), service="states.amazonaws.com")
        assert execute(scene, machine(scene, good, definition))["status"] == "SUCCEEDED"
        bad = scene.role(service="states.amazonaws.com")
        assert execute(scene, machine(scene, bad, definition))["status"] == "FAILED"

    def test_given_a_role_of_another_service_then_no_machine_is_made(self, scene: Scene):
        with pytest.raises(ClientError, match="assume the provided role"):
            machine(scene, scene.role(), task("arn:aws:states:::sns:publish", {}))


class TestTrust:
    def test_given_a_role_of_another_service_then_lambda_cannot_assume_it(self, scene: Scene):
        with pytest.raises(ClientError, match="cannot be assumed by Lambda"):
            scene.function(scene.role(service="states.amazonaws.com"), "")

    def test_given_a_young_role_then_lambda_can_assume_it_later(self, scene: Scene):
        fault = scene.cloud.redshift_faults.refuse_role("fresh-*", seconds=3600)
        role = scene.role(name=unique("fresh"))
        with pytest.raises(ClientError, match="cannot be assumed by Lambda"):
            scene.function(role, "")
        scene.cloud.redshift_faults.clear(fault)
        scene.cloud.redshift_faults.refuse_role("fresh-*", seconds=1)
        source = "def handle(event, context): return 1"
        assert eventually(lambda: allowed(scene.function, role, source))

    def test_given_a_source_in_the_trust_then_only_that_function_may_be_made(self, scene: Scene):
        trust = [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
                "Condition": {
                    "ArnLike": {"aws:SourceArn": f"arn:aws:lambda:{WHERE}:function:mine-*"},
                    "StringEquals": {"aws:SourceAccount": ACCOUNT},
                },
            }
        ]
        role = scene.role(trust=trust)
        scene.function(role, "", name=unique("mine"))
        with pytest.raises(ClientError, match="cannot be assumed by Lambda"):
            scene.function(role, "", name=unique("other"))


def queue(scene: Scene, policy: dict | None = None) -> tuple[str, str]:
    sqs = scene.cloud.client("sqs")
    url = sqs.create_queue(QueueName=unique("queue"))["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    if policy:
        document = {"Version": "2012-10-17", "Statement": [{**policy, "Resource": arn}]}
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(document)})
    return url, arn


class TestSchedules:
    def test_given_a_schedule_then_its_input_has_the_time_and_its_role_is_asked(self, scene: Scene):
        scheduler = scene.cloud.client("scheduler")
        url, arn = queue(scene)
        dead_url, dead = queue(scene)
        body = '{"at": "<aws.scheduler.scheduled-time>", "try": "<aws.scheduler.attempt-number>"}'
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": "scheduler.amazonaws.com"},
            "Action": "sts:AssumeRole",
            "Condition": {
                "ArnEquals": {"aws:SourceArn": f"arn:aws:scheduler:{WHERE}:schedule-group/default"}
            },
        }
        good = scene.role(allow("sqs:SendMessage", arn), trust=[trust])
        bad = scene.role(allow("sqs:SendMessage", dead), trust=[trust])
        for role in (good, bad):
            scheduler.create_schedule(
                Name=unique("schedule"),
                ScheduleExpression="at(2024-01-01T00:00:00)",
                FlexibleTimeWindow={"Mode": "OFF"},
                Target={
                    "Arn": arn,
                    "RoleArn": role,
                    "Input": body,
                    "DeadLetterConfig": {"Arn": dead},
                },
            )
        with pytest.raises(ClientError, match="must allow AWS EventBridge Scheduler"):
            scheduler.create_schedule(
                Name=unique("schedule"),
                ScheduleExpression="rate(1 hour)",
                FlexibleTimeWindow={"Mode": "OFF"},
                Target={"Arn": arn, "RoleArn": scene.role()},
            )
        got = scene.messages(url)
        assert len(got) == 1
        event = json.loads(got[0]["Body"])
        assert event["try"] == "1"
        assert time.strptime(event["at"], "%Y-%m-%dT%H:%M:00Z")
        assert len(scene.messages(dead_url)) == 1


class TestRules:
    def test_given_a_rule_then_its_target_must_allow_it(self, scene: Scene):
        events = scene.cloud.client("events")
        open_policy = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
        }
        open_url, open_arn = queue(scene, open_policy)
        closed_url, closed_arn = queue(scene)
        source, rule = unique("my.source"), unique("rule")
        events.put_rule(Name=rule, EventPattern=json.dumps({"source": [source]}))
        events.put_targets(
            Rule=rule, Targets=[{"Id": "a", "Arn": open_arn}, {"Id": "b", "Arn": closed_arn}]
        )
        events.put_events(Entries=[{"Source": source, "DetailType": "t", "Detail": "{}"}])
        sqs = scene.cloud.client("sqs")
        assert scene.messages(open_url)
        assert not sqs.receive_message(QueueUrl=closed_url, WaitTimeSeconds=1).get("Messages")

    def test_given_a_machine_as_target_then_the_targets_role_must_start_it(self, scene: Scene):
        events = scene.cloud.client("events")
        states = scene.cloud.client("stepfunctions")
        good_machine, bad_machine = pass_machine(scene), pass_machine(scene)
        role = scene.role(
            allow("states:StartExecution", good_machine), service="events.amazonaws.com"
        )
        source, rule = unique("my.source"), unique("rule")
        events.put_rule(Name=rule, EventPattern=json.dumps({"source": [source]}))
        events.put_targets(
            Rule=rule,
            Targets=[
                {"Id": "a", "Arn": good_machine, "RoleArn": role},
                {"Id": "b", "Arn": bad_machine, "RoleArn": role},
            ],
        )
        events.put_events(Entries=[{"Source": source, "DetailType": "t", "Detail": "{}"}])
        eventually(lambda: states.list_executions(stateMachineArn=good_machine)["executions"])
        assert len(states.list_executions(stateMachineArn=good_machine)["executions"]) == 1
        assert states.list_executions(stateMachineArn=bad_machine)["executions"] == []

    def test_given_a_function_as_target_then_its_own_policy_must_allow_the_rule(self, scene: Scene):
        events = scene.cloud.client("events")
        functions = scene.cloud.client("lambda")
        url, arn = queue(scene)
        source_code = (
            "import boto3\n"
            f"def handle(e, c): boto3.client('sqs').send_message(QueueUrl='{url}', "
            "MessageBody=c.function_name)\n"
        )
        role = scene.role(allow("sqs:SendMessage", arn))
        good, bad = (scene.function(role, source_code) for _ in range(2))
        source, rule = unique("my.source"), unique("rule")
        rule_arn = events.put_rule(Name=rule, EventPattern=json.dumps({"source": [source]}))[
            "RuleArn"
        ]
        functions.add_permission(
            FunctionName=good,
            StatementId="s",
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
            SourceArn=rule_arn,
        )
        events.put_targets(
            Rule=rule,
            Targets=[
                {"Id": name, "Arn": f"arn:aws:lambda:{WHERE}:function:{name}"}
                for name in (good, bad)
            ],
        )
        events.put_events(Entries=[{"Source": source, "DetailType": "t", "Detail": "{}"}])
        sqs = scene.cloud.client("sqs")
        got = scene.messages(url)
        assert [each["Body"] for each in got] == [good]
        assert not sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages")


def workgroup_rights(scene: Scene, workgroup: str, passed: list[str]) -> list[dict]:
    """What attaching a role to the namespace of one workgroup needs, by the ids in its ARNs."""
    client = scene.cloud.client("redshift-serverless")
    found = client.get_workgroup(workgroupName=workgroup)["workgroup"]
    namespace = client.get_namespace(namespaceName=found["namespaceName"])["namespace"]
    return [
        allow("redshift-serverless:GetWorkgroup", found["workgroupArn"]),
        allow(
            ["redshift-serverless:GetNamespace", "redshift-serverless:UpdateNamespace"],
            namespace["namespaceArn"],
        ),
        allow("iam:PassRole", passed),
    ]


class TestWarehouseRoles:
    @pytest.fixture(autouse=True)
    def _short_waits(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(warehouse_roles, "PAUSE_SECONDS", 0.05)
        monkeypatch.setattr(warehouse_roles, "ACCESS_SECONDS", 0.3)

    def test_given_rights_on_one_namespace_then_another_is_refused(self, scene: Scene):
        ours, theirs = (scene.role(service="redshift.amazonaws.com") for _ in range(2))
        mine, other = scene.workgroup([theirs]), scene.workgroup([theirs])
        rights = workgroup_rights(scene, mine, [ours, theirs])
        client = scene.cloud.client_as(scene.role(*rights), "redshift-serverless")
        assert set(NamespaceRoles(client, mine).attach(ours).roles) == {ours, theirs}
        with pytest.raises(PermanentError, match="GetWorkgroup"):
            NamespaceRoles(client, other).attach(ours)

    def test_given_a_role_attached_later_then_the_refusal_says_to_apply_again(self, scene: Scene):
        ours, theirs, later = (scene.role(service="redshift.amazonaws.com") for _ in range(3))
        name = scene.workgroup([theirs])
        rights = workgroup_rights(scene, name, [ours, theirs])
        client = scene.cloud.client_as(scene.role(*rights), "redshift-serverless")
        NamespaceRoles(scene.cloud.client("redshift-serverless"), name).attach(later)
        with pytest.raises(PermanentError) as caught:
            NamespaceRoles(client, name).attach(ours)
        assert f"also has the role {later}, which was attached after the last" in str(caught.value)

    def test_given_many_detectors_on_one_namespace_then_each_role_is_attached_at_last(
        self, scene: Scene
    ):
        theirs, *ours = (scene.role(service="redshift.amazonaws.com") for _ in range(5))
        name = scene.workgroup([theirs], default_role=theirs)

        def attach(role: str) -> object:
            client = scene.cloud.client("redshift-serverless")
            return NamespaceRoles(client, name).attach(role, 300)

        with ThreadPoolExecutor() as threads:
            list(threads.map(attach, ours))
        found = scene.cloud.admin("GET", f"redshift/warehouses/{name}")
        assert found["roles"] == dict.fromkeys([theirs, *ours], "in-sync")
        assert found["default_role"] == theirs

    def test_given_a_cluster_that_is_resized_then_its_role_comes_and_goes_when_it_is_done(
        self, scene: Scene
    ):
        ours, theirs = (scene.role(service="redshift.amazonaws.com") for _ in range(2))
        name = scene.cluster([theirs])
        path = f"redshift/warehouses/{name}"
        cluster = ClusterRoles(scene.cloud.client("redshift"), name)
        for status, change in [("resizing", cluster.attach), ("modifying", cluster.detach)]:
            scene.cloud.admin("PATCH", path, {"status": status, "status_seconds": 0.6})
            assert change(ours, 300).changed
        assert list(scene.cloud.admin("GET", path)["roles"]) == [theirs]

    def test_given_rights_on_one_workgroup_then_statements_on_another_are_refused(
        self, scene: Scene
    ):
        mine, other = scene.workgroup(), scene.workgroup()
        client = scene.cloud.client("redshift-serverless")
        arn = client.get_workgroup(workgroupName=mine)["workgroup"]["workgroupArn"]
        rights = allow(
            ["redshift-data:ExecuteStatement", "redshift-serverless:GetCredentials"], arn
        )
        data = scene.cloud.client_as(scene.role(rights), "redshift-data")
        call = {"Database": "dev", "Sql": "select 1"}
        assert data.execute_statement(WorkgroupName=mine, **call)["Id"]
        with pytest.raises(ClientError, match="ExecuteStatement"):
            data.execute_statement(WorkgroupName=other, **call)
