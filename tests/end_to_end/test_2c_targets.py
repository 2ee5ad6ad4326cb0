"""Alerts of one's own: limited by filters, to a function and to a given topic."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from local.cloud import LocalCloud
from local.cloud.testing import eventually
from local.harness import Deployment
from local.shop import Shop

# Sends what it is called with to a queue.
TARGET = """
import json, os, boto3
def handler(event, context):
    boto3.client("sqs").send_message(QueueUrl=os.environ["QUEUE"], MessageBody=json.dumps(event))
"""


@dataclass(frozen=True)
class Targets:
    """A function and a topic of somebody else, and the queues where what reaches them ends."""

    cloud: LocalCloud
    function_arn: str
    topic_arn: str
    queues: dict[str, str]

    def got(self, name: str) -> list[dict[str, Any]]:
        """What has reached a queue, waited for: a function is called without waiting for it."""
        client, url = self.cloud.client("sqs"), self.queues[name]
        # The first may have to wait for a function to start; the others follow at once.
        found = eventually(lambda: self._received(client, url))
        while messages := self._received(client, url):
            found += messages
        return found

    def _received(self, client: Any, url: str) -> list[dict[str, Any]]:
        answer = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=5)
        messages = answer.get("Messages", [])
        for each in messages:
            client.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
        return [json.loads(each["Body"]) for each in messages]


@pytest.fixture
def targets(cloud: LocalCloud) -> Iterator[Targets]:
    queue, topic, function = (cloud.client(name) for name in ("sqs", "sns", "lambda"))
    queues = {
        name: str(queue.create_queue(QueueName=f"of-somebody-else-{name}")["QueueUrl"])
        for name in ("function", "topic")
    }
    arns = {
        name: queue.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
        for name, url in queues.items()
    }
    topic_arn = str(topic.create_topic(Name="of-somebody-else")["TopicArn"])
    allowed = _policy("sqs:SendMessage", Resource="*", Principal={"Service": "sns.amazonaws.com"})
    queue.set_queue_attributes(QueueUrl=queues["topic"], Attributes={"Policy": allowed})
    subscription = topic.subscribe(
        TopicArn=topic_arn,
        Protocol="sqs",
        Endpoint=arns["topic"]["QueueArn"],
        Attributes={"RawMessageDelivery": "true"},
        ReturnSubscriptionArn=True,
    )
    role_arn = _role(cloud, arns["function"]["QueueArn"])
    function_arn = function.create_function(
        FunctionName="of-somebody-else",
        Runtime="python3.13",
        Role=role_arn,
        Handler="target.handler",
        Code={"ZipFile": _zip()},
        Environment={"Variables": {"QUEUE": queues["function"]}},
    )["FunctionArn"]
    yield Targets(cloud, str(function_arn), topic_arn, queues)
    function.delete_function(FunctionName="of-somebody-else")
    cloud.client("logs").delete_log_group(logGroupName="/aws/lambda/of-somebody-else")
    topic.unsubscribe(SubscriptionArn=subscription["SubscriptionArn"])
    topic.delete_topic(TopicArn=topic_arn)
    for url in queues.values():
        queue.delete_queue(QueueUrl=url)
    cloud.client("iam").delete_role_policy(RoleName="target-of-somebody-else", PolicyName="send")
    cloud.client("iam").delete_role(RoleName="target-of-somebody-else")


def test_an_alert_reaches_its_own_targets_and_only_by_its_filters(
    detector: Deployment, sample: Shop, targets: Targets
) -> None:
    detector.apply(
        alerts={
            "japan": {
                "description": "Revenue of Japan",
                "lambda_function_arns": [targets.function_arn],
                "measures": ["revenue"],
                "dimension_filters": {"marketplace": ["jp"]},
            },
            "all": {"sns_topic_arns": [targets.topic_arn]},
            "loud": {"threshold": 100},
        }
    )
    pipeline = detector.wait_for_pipeline()
    assert pipeline.succeeded, pipeline.cause
    begin = detector.watermark()
    happened = [each for each in sample.incidents[:3] if each.start >= begin]
    *_, of_japan = happened
    assert of_japan.slice == {"marketplace": "jp"}

    crawl = detector.crawl(of_japan.end + timedelta(minutes=1))

    assert crawl.succeeded, crawl.cause
    told = [each for each in targets.got("topic") if "state" not in each]
    assert {each["alertName"] for each in told} == {"all"}
    assert sorted(each["impactedMetric"]["metricName"] for each in told) == sorted(
        measure for incident in happened for measure in incident.measures
    )
    japan = targets.got("function")
    assert {(each["alertName"], each["alertDescription"]) for each in japan} == {
        ("japan", "Revenue of Japan")
    }
    assert {each["impactedMetric"]["metricName"] for each in japan} == {"revenue"}
    # A platform's fall is Japan's too; what happens in Germany alone is not.
    slices = {each["AnomalyGroupId"]: each["Slices"] for each in detector.groups()}
    of_function = [slices[each["anomalyGroupId"]] for each in japan]
    assert sum(of_japan.slice in each for each in of_function) == 1
    assert not any(sample.incidents[0].slice in each for each in of_function)
    own = detector.alerts()
    assert {each["alertName"] for each in own} <= {"everything"}

    # when it is over
    assert detector.crawl_next(2).succeeded
    # then that is told as well
    ended = {each["anomalyGroupId"]: each["state"] for each in targets.got("function")}
    assert ended.items() >= {each["anomalyGroupId"]: "RESOLVED" for each in japan}.items()
    detector.apply(alerts={})
    assert detector.wait_for_pipeline().succeeded


def _role(cloud: LocalCloud, queue_arn: str) -> str:
    name = "target-of-somebody-else"
    trusted = {"Service": "lambda.amazonaws.com"}
    role = cloud.client("iam").create_role(
        RoleName=name, AssumeRolePolicyDocument=_policy("sts:AssumeRole", Principal=trusted)
    )
    cloud.client("iam").put_role_policy(
        RoleName=name,
        PolicyName="send",
        PolicyDocument=_policy("sqs:SendMessage", Resource=queue_arn),
    )
    return str(role["Role"]["Arn"])


def _policy(action: str, **more: object) -> str:
    statement = {"Effect": "Allow", "Action": action, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("target.py", TARGET)
    return file.getvalue()


def test_every_alarm_goes_off_and_reaches_the_operations_topic(
    cloud: LocalCloud, detector: Deployment
) -> None:
    # given
    watch = cloud.client("cloudwatch")

    def alarms() -> dict[str, dict[str, Any]]:
        found = watch.describe_alarms()["MetricAlarms"]
        return {one["AlarmName"]: one for one in found if one["AlarmName"].startswith("shop-")}

    assert len(alarms()) >= 10
    detector.received("operations")
    # when the metric of each crosses its threshold; AWS writes these itself
    for alarm in alarms().values():
        below = alarm["ComparisonOperator"].startswith("LessThan")
        datum = {
            "MetricName": alarm["MetricName"],
            "Dimensions": alarm["Dimensions"],
            "Value": alarm["Threshold"] - 1 if below else alarm["Threshold"],
        }
        watch.put_metric_data(Namespace=alarm["Namespace"], MetricData=[datum])
    # then
    assert {one["StateValue"] for one in alarms().values()} == {"ALARM"}
    told = [each["Message"] for each in detector.received("operations")]
    assert {each["AlarmName"] for each in told if "AlarmName" in each} == alarms().keys()
