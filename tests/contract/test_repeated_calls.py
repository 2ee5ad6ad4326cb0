"""A call that is made again is answered as AWS does: clients repeat what got no reply in time.

Where a row names an error, AWS's API has it for what is gone or there already, and clients know it.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError
from botocore.httpsession import URLLib3Session

from local.cloud.testing import ACCOUNT, REGION, Scene, unique

WHERE = f"{REGION}:{ACCOUNT}"
TRUSTED = [
    {
        "Effect": "Allow",
        "Principal": {
            "Service": ["lambda.amazonaws.com", "states.amazonaws.com", "scheduler.amazonaws.com"]
        },
        "Action": "sts:AssumeRole",
    }
]
RIGHTS = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}],
    }
)
WAITING = json.dumps(
    {"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 600, "End": True}}}
)


@dataclass
class Made:
    """What one case works with; made afresh for each."""

    scene: Scene
    name: str = field(default_factory=lambda: unique("again"))

    def __post_init__(self) -> None:
        self.role = self.scene.role(trust=TRUSTED)

    def call(self, service: str, operation: str, **arguments: Any) -> dict[str, Any]:
        answer = getattr(self.scene.cloud.client(service), operation)(**arguments)
        answer.pop("ResponseMetadata")
        return dict(answer)

    @property
    def machine(self) -> str:
        return f"arn:aws:states:{WHERE}:stateMachine:{self.name}"

    @property
    def topic(self) -> str:
        return f"arn:aws:sns:{WHERE}:{self.name}"

    @property
    def policy(self) -> str:
        return f"arn:aws:iam::{ACCOUNT}:policy/{self.name}"


Call = Callable[[Made], dict[str, Any]]


def call(service: str, operation: str, **arguments: Any) -> Call:
    """A call whose text arguments may hold `{name}`, `{machine}`, `{role}` and the like."""

    def made(case: Made) -> dict[str, Any]:
        def fill(value: Any) -> Any:
            if isinstance(value, str) and value.startswith("{") and value.endswith("}"):
                return getattr(case, value[1:-1], value)
            return value

        return case.call(service, operation, **{key: fill(each) for key, each in arguments.items()})

    return made


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("main.py", "def handle(event, context): return 1")
    return file.getvalue()


CREATE_MACHINE = call(
    "stepfunctions", "create_state_machine", name="{name}", definition=WAITING, roleArn="{role}"
)
START = call("stepfunctions", "start_execution", stateMachineArn="{machine}", name="one", input="1")
CREATE_GROUP = call("scheduler", "create_schedule_group", Name="{name}", ClientToken="a")


def create_schedule(case: Made) -> dict[str, Any]:
    return case.call(
        "scheduler",
        "create_schedule",
        Name=case.name,
        ClientToken="a",
        ScheduleExpression="rate(1 hour)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": f"arn:aws:lambda:{WHERE}:function:none", "RoleArn": case.role},
    )


def create_function(case: Made) -> dict[str, Any]:
    return case.call(
        "lambda",
        "create_function",
        FunctionName=case.name,
        Runtime="python3.12",
        Role=case.role,
        Handler="main.handle",
        Code={"ZipFile": _zip()},
    )


def create_table(case: Made) -> dict[str, Any]:
    return case.call(
        "dynamodb",
        "create_table",
        TableName=case.name,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


def create_bucket(case: Made) -> dict[str, Any]:
    return case.call(
        "s3",
        "create_bucket",
        Bucket=case.name,
        CreateBucketConfiguration={"LocationConstraint": REGION},
    )


def subscribe(case: Made) -> dict[str, Any]:
    return case.call(
        "sns",
        "subscribe",
        TopicArn=case.topic,
        Protocol="sqs",
        Endpoint=f"arn:aws:sqs:{WHERE}:none",
        ReturnSubscriptionArn=True,
    )


CREATE_ROLE = call(
    "iam",
    "create_role",
    RoleName="{name}",
    AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": TRUSTED}),
)
CREATE_POLICY = call("iam", "create_policy", PolicyName="{name}", PolicyDocument=RIGHTS)
CREATE_TOPIC = call("sns", "create_topic", Name="{name}")
CREATE_QUEUE = call("sqs", "create_queue", QueueName="{name}")
CREATE_GROUP_OF_LOGS = call("logs", "create_log_group", logGroupName="{name}")
CREATE_DATABASE = call("glue", "create_database", DatabaseInput={"Name": "again"})
CREATE_SECRET = call(
    "secretsmanager", "create_secret", Name="{name}", SecretString="x", ClientRequestToken="a" * 32
)
PUT_RULE = call("events", "put_rule", Name="{name}", EventPattern='{"source": ["a"]}')


def delete_message(case: Made) -> dict[str, Any]:
    """Deletes the message that the first call received."""
    url = case.call("sqs", "get_queue_url", QueueName=case.name)["QueueUrl"]
    handle = getattr(case, "handle", None)
    if handle is None:
        case.call("sqs", "send_message", QueueUrl=url, MessageBody="x")
        (message,) = case.call("sqs", "receive_message", QueueUrl=url)["Messages"]
        handle = message["ReceiptHandle"]
        case.__dict__["handle"] = handle
    return case.call("sqs", "delete_message", QueueUrl=url, ReceiptHandle=handle)


def delete_queue(case: Made) -> dict[str, Any]:
    known = case.__dict__
    if "url" not in known:
        known["url"] = case.call("sqs", "get_queue_url", QueueName=case.name)["QueueUrl"]
    return case.call("sqs", "delete_queue", QueueUrl=known["url"])


SAME = ""  # succeeds again

# What must be there before, the call that is made twice, and what AWS answers the second time.
CASES: dict[str, tuple[list[Call], Call, str]] = {
    "CreateStateMachine": ([], CREATE_MACHINE, SAME),
    "DeleteStateMachine": (
        [CREATE_MACHINE],
        call("stepfunctions", "delete_state_machine", stateMachineArn="{machine}"),
        SAME,
    ),
    "StartExecution": ([CREATE_MACHINE], START, SAME),
    "CreateScheduleGroup": ([], CREATE_GROUP, SAME),
    "CreateSchedule": ([], create_schedule, SAME),
    "DeleteSchedule": (
        [create_schedule],
        call("scheduler", "delete_schedule", Name="{name}"),
        "ResourceNotFoundException",
    ),
    "DeleteScheduleGroup": (
        [CREATE_GROUP],
        call("scheduler", "delete_schedule_group", Name="{name}"),
        "ResourceNotFoundException",
    ),
    "PutRule": ([], PUT_RULE, SAME),
    "DeleteRule": ([PUT_RULE], call("events", "delete_rule", Name="{name}"), SAME),
    "CreateTopic": ([], CREATE_TOPIC, SAME),
    "Subscribe": ([CREATE_TOPIC], subscribe, SAME),
    "DeleteTopic": ([CREATE_TOPIC], call("sns", "delete_topic", TopicArn="{topic}"), SAME),
    "CreateQueue": ([], CREATE_QUEUE, SAME),
    "DeleteMessage": ([CREATE_QUEUE], delete_message, SAME),
    "DeleteQueue": ([CREATE_QUEUE], delete_queue, "AWS.SimpleQueueService.NonExistentQueue"),
    "CreateRole": ([], CREATE_ROLE, "EntityAlreadyExists"),
    "DeleteRole": ([CREATE_ROLE], call("iam", "delete_role", RoleName="{name}"), "NoSuchEntity"),
    "PutRolePolicy": (
        [CREATE_ROLE],
        call("iam", "put_role_policy", RoleName="{name}", PolicyName="p", PolicyDocument=RIGHTS),
        SAME,
    ),
    "DeletePolicy": (
        [CREATE_POLICY],
        call("iam", "delete_policy", PolicyArn="{policy}"),
        "NoSuchEntity",
    ),
    "AttachRolePolicy": (
        [CREATE_ROLE, CREATE_POLICY],
        call("iam", "attach_role_policy", RoleName="{name}", PolicyArn="{policy}"),
        SAME,
    ),
    "DetachRolePolicy": (
        [
            CREATE_ROLE,
            CREATE_POLICY,
            call("iam", "attach_role_policy", RoleName="{name}", PolicyArn="{policy}"),
        ],
        call("iam", "detach_role_policy", RoleName="{name}", PolicyArn="{policy}"),
        "NoSuchEntity",
    ),
    "CreateFunction": ([], create_function, "ResourceConflictException"),
    "DeleteFunction": (
        [create_function],
        call("lambda", "delete_function", FunctionName="{name}"),
        "ResourceNotFoundException",
    ),
    "CreateBucket": ([], create_bucket, "BucketAlreadyOwnedByYou"),
    "DeleteBucket": ([create_bucket], call("s3", "delete_bucket", Bucket="{name}"), "NoSuchBucket"),
    "DeleteBucketPolicy": (
        [create_bucket],
        call("s3", "delete_bucket_policy", Bucket="{name}"),
        SAME,
    ),
    "DeleteObject": ([create_bucket], call("s3", "delete_object", Bucket="{name}", Key="k"), SAME),
    "CreateTable": ([], create_table, "ResourceInUseException"),
    "DeleteTable": (
        [create_table],
        call("dynamodb", "delete_table", TableName="{name}"),
        "ResourceNotFoundException",
    ),
    "CreateLogGroup": ([], CREATE_GROUP_OF_LOGS, "ResourceAlreadyExistsException"),
    "DeleteLogGroup": (
        [CREATE_GROUP_OF_LOGS],
        call("logs", "delete_log_group", logGroupName="{name}"),
        "ResourceNotFoundException",
    ),
    "DeleteDatabase": (
        [CREATE_DATABASE],
        call("glue", "delete_database", Name="again"),
        "EntityNotFoundException",
    ),
    "CreateSecret": ([], CREATE_SECRET, SAME),
    "DeleteSecret": (
        [CREATE_SECRET],
        call(
            "secretsmanager",
            "delete_secret",
            SecretId="{name}",
            ForceDeleteWithoutRecovery=True,
        ),
        SAME,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_given_a_call_made_again_then_it_is_answered_as_aws_does(scene: Scene, name: str) -> None:
    before, again, wanted = CASES[name]
    case = Made(scene)
    for each in before:
        each(case)
    first = again(case)

    if wanted:
        with pytest.raises(ClientError) as refused:
            again(case)
        assert refused.value.response["Error"]["Code"] == wanted
    else:
        second = again(case)
        named = [key for key in first if key in second and key.endswith(("Arn", "ARN", "Url"))]
        assert [first[key] for key in named] == [second[key] for key in named]


def test_given_an_execution_of_that_name_then_another_input_is_refused_and_so_is_an_ended_one(
    scene: Scene,
) -> None:
    case = Made(scene)
    CREATE_MACHINE(case)
    run = START(case)["executionArn"]
    other = call(
        "stepfunctions", "start_execution", stateMachineArn="{machine}", name="one", input="2"
    )
    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        other(case)

    case.call("stepfunctions", "stop_execution", executionArn=run)

    with pytest.raises(ClientError, match="ExecutionAlreadyExists"):
        START(case)


def test_given_another_token_then_a_schedule_is_not_made_twice(scene: Scene) -> None:
    case = Made(scene)
    CREATE_GROUP(case)
    with pytest.raises(ClientError, match="ConflictException"):
        case.call("scheduler", "create_schedule_group", Name=case.name, ClientToken="b")


def _sent_again(client: Any) -> Callable[[Any], Any]:
    """Make a client throw each first reply away and send the call again, as its SDK would."""
    session = URLLib3Session()

    def again(request: Any, **_: Any) -> Any:
        assert session.send(request).status_code < 300
        request.headers["amz-sdk-request"] = "attempt=2; max=5"
        return session.send(request)

    client.meta.events.register("before-send", again)
    return again


@pytest.mark.parametrize("other_faults", [False, True])
def test_given_a_reply_thrown_away_then_the_next_attempt_gets_it_again(
    scene: Scene, *, other_faults: bool
) -> None:
    name = unique("again")
    if other_faults:
        scene.cloud.redshift_faults.refuse_call("dynamodb", "ListTables", code="Throttling")
    client = scene.cloud.client("logs")
    again = _sent_again(client)
    client.create_log_group(logGroupName=name)
    client.meta.events.unregister("before-send", again)

    with pytest.raises(ClientError, match="ResourceAlreadyExistsException"):
        client.create_log_group(logGroupName=name)


def test_given_a_reply_lost_on_request_then_the_next_attempt_is_a_call_of_its_own(
    scene: Scene,
) -> None:
    scene.cloud.redshift_faults.lose_reply("CreateLogGroup", service="logs")
    with pytest.raises(ClientError, match="ResourceAlreadyExistsException"):
        scene.cloud.client("logs").create_log_group(logGroupName=unique("again"))
