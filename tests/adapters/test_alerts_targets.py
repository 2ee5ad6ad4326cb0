from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import unquote

import boto3
import pytest
from anomaly_detector.alerts.https import UncertainError
from anomaly_detector.alerts.targets import SEND_ONCE, Targets
from anomaly_detector.errors import PermanentError, RetryableError
from anomaly_detector.handlers._wiring import _sender
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError
from moto import mock_aws

from tests.unit.alerts_samples import NO_SECRETS, NO_WEB, message

REGION = "eu-west-1"
FUNCTION = f"arn:aws:lambda:{REGION}:123456789012:function:tell"
MESSAGE = message()


class Raw(io.BytesIO):
    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.read()


class Cloud:
    def __init__(self) -> None:
        self.events = boto3.client("events", REGION, config=SEND_ONCE)
        self.sns = boto3.client("sns", REGION, config=SEND_ONCE)
        self.functions = boto3.client("lambda", REGION, config=SEND_ONCE)
        self.queues = boto3.client("sqs", REGION)
        self.topic = self.sns.create_topic(Name="orders")["TopicArn"]
        self.queue = self.queues.create_queue(QueueName="orders")["QueueUrl"]
        answer = self.queues.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])
        self.sns.subscribe(
            TopicArn=self.topic, Protocol="sqs", Endpoint=answer["Attributes"]["QueueArn"]
        )
        clients = {"sns": self.sns, "lambda": self.functions, "events": self.events}
        self.targets = Targets(lambda service, _: clients[service], NO_SECRETS, NO_WEB)

    def received(self) -> list[dict]:
        answer = self.queues.receive_message(QueueUrl=self.queue, MaxNumberOfMessages=10)
        return [json.loads(one["Body"]) for one in answer.get("Messages", ())]

    def fail(self, answer: object) -> None:
        """Let every call to SNS and Lambda end so, before it is sent."""
        for client in (self.sns, self.functions):
            client.meta.events.register_first("before-send", lambda **_: _raise_or_give(answer))


def _raise_or_give(answer: object) -> object:
    if isinstance(answer, Exception):
        raise answer
    return answer


def refusal(code: str, status: int) -> AWSResponse:
    body = f"<ErrorResponse><Error><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"

    return AWSResponse("https://sns", status, {}, Raw(body.encode()))


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    with mock_aws():
        yield Cloud()


def test_a_topic_gets_the_body_as_it_is(cloud: Cloud) -> None:
    cloud.targets.send(cloud.topic, MESSAGE)
    (one,) = cloud.received()
    assert one["Message"] == MESSAGE.body
    assert one["Subject"] == MESSAGE.subject


def test_each_protocol_gets_its_form(cloud: Cloud) -> None:
    sent = []
    cloud.sns.meta.events.register(
        "provide-client-params.sns.Publish", lambda params, **_: sent.append(params)
    )
    cloud.targets.send(cloud.topic, MESSAGE)
    (one,) = sent
    assert one["MessageStructure"] == "json"
    # SQS, Lambda, HTTPS and e-mail-json get the JSON as it is.
    assert json.loads(one["Message"]) == {
        "default": MESSAGE.body,
        "email": MESSAGE.text,
        "sms": MESSAGE.short,
    }


def test_a_function_gets_the_payload_as_its_event(cloud: Cloud) -> None:
    requests = []

    def take(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        requests.append(request)
        return AWSResponse(request.url, 202, {}, Raw(b""))

    cloud.functions.meta.events.register_first("before-send", take)
    cloud.targets.send(FUNCTION, MESSAGE)
    (request,) = requests
    assert request.body == MESSAGE.body.encode()
    assert request.headers["X-Amz-Invocation-Type"] == b"Event"
    assert unquote(request.url).endswith(f"/functions/{FUNCTION}/invocations")


def test_an_event_bus_gets_the_facts_under_a_type_that_rules_can_match(cloud: Cloud) -> None:
    bus = cloud.events.create_event_bus(Name="shop")["EventBusArn"]
    sent = []
    cloud.events.meta.events.register(
        "provide-client-params.events.PutEvents", lambda params, **_: sent.append(params)
    )
    cloud.targets.send(bus, replace(MESSAGE, state="RESOLVED"))
    ((entry,),) = [one["Entries"] for one in sent]
    assert (entry["Source"], entry["DetailType"]) == ("anomaly-detector", "Anomaly Resolved")
    assert entry["EventBusName"] == bus
    assert entry["Resources"] == [MESSAGE.event.partition(":alert/")[0]]
    detail = json.loads(entry["Detail"])
    assert (detail["state"], detail["severityClass"]) == ("RESOLVED", "medium")
    assert detail["alert"] == json.loads(MESSAGE.body)


@pytest.mark.parametrize(
    ("code", "expected"),
    [("ThrottlingException", RetryableError), ("AccessDenied", PermanentError)],
)
def test_an_event_that_a_bus_refuses_is_not_sent(cloud: Cloud, code, expected) -> None:
    entry = {"ErrorCode": code, "ErrorMessage": "no"}
    answer = {"FailedEntryCount": 1, "Entries": [entry]}
    body = Raw(json.dumps(answer).encode())
    cloud.events.meta.events.register_first(
        "before-send", lambda request, **_: AWSResponse(request.url, 200, {}, body)
    )
    with pytest.raises(expected, match=code):
        cloud.targets.send(f"arn:aws:events:{REGION}:123456789012:event-bus/shop", MESSAGE)


def test_a_target_that_does_not_exist_is_permanent(cloud: Cloud) -> None:
    with pytest.raises(PermanentError, match="NotFound"):
        cloud.targets.send(f"{cloud.topic}-gone", MESSAGE)
    gone = AWSResponse(
        "https://lambda", 404, {"x-amzn-errortype": "ResourceNotFoundException"}, Raw(b"{}")
    )
    cloud.fail(gone)
    with pytest.raises(PermanentError, match="ResourceNotFound"):
        cloud.targets.send(FUNCTION, MESSAGE)


@pytest.mark.parametrize(
    "arn", ["nobody", "arn:aws:sqs:eu-west-1:123456789012:orders", "arn:aws:sns:::orders"]
)
def test_what_is_neither_topic_nor_function_is_permanent(cloud: Cloud, arn: str) -> None:
    with pytest.raises(PermanentError, match="is not the ARN of an SNS topic"):
        cloud.targets.send(arn, MESSAGE)


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (refusal("Throttling", 400), RetryableError),
        (refusal("AuthorizationError", 403), RetryableError),
        (refusal("KMSAccessDenied", 400), RetryableError),
        (refusal("ServiceUnavailable", 503), RetryableError),
        (ConnectTimeoutError(endpoint_url="https://sns"), RetryableError),
        (refusal("InvalidParameter", 400), PermanentError),
        (refusal("InternalError", 500), UncertainError),
        (ReadTimeoutError(endpoint_url="https://sns"), UncertainError),
    ],
)
def test_a_refusal_says_whether_to_send_again(cloud: Cloud, answer, expected) -> None:
    cloud.fail(answer)
    with pytest.raises(expected, match="orders"):
        cloud.targets.send(cloud.topic, MESSAGE)


def test_a_lost_answer_is_not_sent_again_by_the_client(cloud: Cloud) -> None:
    calls = []

    def lost(**_: object) -> None:
        calls.append(1)
        raise ReadTimeoutError(endpoint_url="https://sns")

    cloud.sns.meta.events.register_first("before-send", lost)
    with pytest.raises(UncertainError):
        cloud.targets.send(cloud.topic, MESSAGE)
    assert len(calls) == 1


@pytest.mark.parametrize("service", ["sns", "lambda"])
def test_given_a_target_of_another_region_when_sent_to_then_the_client_is_of_that_region(
    monkeypatch: pytest.MonkeyPatch, service: str
) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    asked = []

    def client(wanted: str, region: str) -> object:
        made = _sender(wanted, region)

        def take(request: AWSPreparedRequest, **_: object) -> AWSResponse:
            asked.append(request.url)
            body = b"<PublishResponse><PublishResult/></PublishResponse>"
            return AWSResponse(request.url, 200, {}, Raw(body))

        made.meta.events.register_first("before-send", take)
        return made

    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    name = "orders" if service == "sns" else "function:tell"
    Targets(client, NO_SECRETS, NO_WEB).send(
        f"arn:aws:{service}:ap-south-1:123456789012:{name}", MESSAGE
    )
    assert f"https://{service}.ap-south-1.amazonaws.com" in asked[0]


def test_given_a_fifo_topic_when_an_event_is_sent_twice_then_it_arrives_once(cloud: Cloud) -> None:
    fifo = {"FifoTopic": "true", "ContentBasedDeduplication": "false"}
    topic = cloud.sns.create_topic(Name="orders.fifo", Attributes=fifo)["TopicArn"]
    sent = []
    cloud.sns.meta.events.register(
        "provide-client-params.sns.Publish", lambda params, **_: sent.append(params)
    )
    other = replace(MESSAGE, id=f"{MESSAGE.event}2", event=f"{MESSAGE.event}2")
    for one in (MESSAGE, MESSAGE, other):
        cloud.targets.send(topic, one)
    groups = {one["MessageGroupId"] for one in sent}
    copies = [one["MessageDeduplicationId"] for one in sent]
    assert len(groups) == 1
    assert copies[0] == copies[1] != copies[2]
    assert all(re.fullmatch(r"[\w-]{1,128}", one) for one in (*groups, *copies))
