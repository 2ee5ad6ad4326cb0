"""Delivery on an emulated table, bucket and topics: every alert once, wherever a run stops."""

from __future__ import annotations

import io
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from math import inf
from typing import Any, Literal

import boto3
import numpy as np
import pyarrow.parquet as pq
import pytest
from anomaly_detector.alerts.https import BusyError, UncertainError
from anomaly_detector.alerts.message import Message
from anomaly_detector.alerts.targets import SEND_ONCE, Targets
from anomaly_detector.config import Config
from anomaly_detector.errors import PermanentError, RetryableError
from anomaly_detector.events.group import Earlier, Group, Kind
from anomaly_detector.events.store import groups_to_bytes
from anomaly_detector.intervals import iso
from anomaly_detector.lake import layout, parquet, results
from anomaly_detector.lake.store import ObjectStore
from anomaly_detector.ledger.items import (
    ALERT,
    DELIVERING,
    DELIVERY,
    DETECTOR,
    GROUP,
    PARKED,
    Delivery,
    Detector,
    alert_key,
    delivery_key,
    interval_key,
)
from anomaly_detector.ledger.ledger import Ledger
from anomaly_detector.ledger.table import StateTable, Write
from anomaly_detector.lookout.payload import Origin
from anomaly_detector.panel import Scores
from anomaly_detector.services import muting
from anomaly_detector.services.delivery import Delivered, deliver
from anomaly_detector.services.outbox import Post
from anomaly_detector.services.topic import Topic
from botocore.exceptions import ClientError, ReadTimeoutError
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from tests import state_table
from tests.simulation.cloud import Bucket, Client, Table
from tests.unit.alerts_samples import CRAWL, HOUR, NO_SECRETS, NO_WEB, START, config, group, message

REGION = "eu-west-1"
NOW = datetime(2022, 1, 15, 9, tzinfo=UTC)
LEASE = timedelta(minutes=1, seconds=11)
FOREVER = START - 100 * HOUR


@cache
def client(name: str) -> Any:
    """One client for all tests, which are many; the emulator forgets everything between them."""
    return boto3.client(
        name,
        REGION,
        endpoint_url=f"https://{name}.{REGION}.amazonaws.com",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
        config=SEND_ONCE,
    )


class Crash(Exception):  # noqa: N818
    """The process is gone."""


class Cloud:
    """Table, bucket, two alert topics and the operations topic.

    Parameters
    ----------
    emulated : whether they are the emulator's, where each topic feeds a queue; or in memory, where
        a process can die at any call (`mortal`).
    """

    def __init__(self, *, emulated: bool = True) -> None:
        self.clients = (
            {name: client(name) for name in ("dynamodb", "s3", "sns")}
            if emulated
            else {
                "dynamodb": Client(self, "dynamodb", Table(lambda: NOW), 1),
                "s3": Client(self, "s3", Bucket(lambda: NOW), 1),
            }
        )
        self.process = Mortal(inf)
        self.words = ""  # of the newest message, before its JSON
        names = ("orders", "second", "operations")
        self.topics = {name: f"arn:aws:sns:{REGION}:123456789012:{name}" for name in names}
        if emulated:
            state_table.create(self.clients["dynamodb"], "shop")
            self.clients["s3"].create_bucket(
                Bucket="shop-results", CreateBucketConfiguration={"LocationConstraint": REGION}
            )
            self.queues = client("sqs")
            for name in names:
                self._connect(name)
        self.table = StateTable(self.clients["dynamodb"], "shop", "shop")
        self.objects = ObjectStore(self.clients["s3"], "shop-results")
        self.post = Post(
            "shop",
            Ledger(self.table),
            self.objects,
            Targets(lambda service, _: self.clients[service], NO_SECRETS, NO_WEB),
            Origin(CRAWL, "shop-results"),
            Topic(self.clients.get("sns"), self.topics["operations"]),
        )
        self.table.put(DETECTOR, Detector(status="ACTIVE", live_from=FOREVER).attributes())

    def _connect(self, name: str) -> None:
        topic = self.clients["sns"].create_topic(Name=name)["TopicArn"]
        queue = self.queues.create_queue(QueueName=name)["QueueUrl"]
        arn = self.queues.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])
        self.clients["sns"].subscribe(
            TopicArn=topic, Protocol="sqs", Endpoint=arn["Attributes"]["QueueArn"]
        )

    def received(self, name: str = "orders") -> list[dict[str, Any]]:
        """All messages that have arrived since the last look."""
        url = self.queues.get_queue_url(QueueName=name)["QueueUrl"]
        found = []
        while messages := self.queues.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get(
            "Messages"
        ):
            for one in messages:
                text = json.loads(one["Body"])["Message"]
                self.words, brace, facts = text.partition("{")
                found.append(json.loads(brace + facts))
                self.queues.delete_message(QueueUrl=url, ReceiptHandle=one["ReceiptHandle"])
        return found

    def alert(self, *targets: str, **changes: Any) -> dict[str, Any]:
        arns = [self.topics.get(name, name) for name in targets or ("orders",)]
        return {"threshold": 50, "sns_topic_arns": arns} | changes

    def commit(
        self,
        groups: Sequence[Group],
        *,
        due: datetime = START,
        hours: int = 1,
        lookback: int = 3,
        live_from: datetime | None = FOREVER,
        live_since: datetime | None = None,
        configuration: Config | None = None,
        attempt: str = "one",
        level: float = 1.0,
        revision: int = 0,
    ) -> Delivery:
        """What a crawl leaves behind."""
        one = configuration or config(alerts={"orders": self.alert()})
        document = one.model_dump_json().encode()
        self.objects.put(layout.configuration_version("hash"), document)
        prefix = layout.live_attempt(due, attempt)
        self.objects.put(layout.scored_groups(prefix, 0), groups_to_bytes(groups))
        begin, end = due - lookback * HOUR, due + hours * HOUR
        table = results.scores_table(scores(begin, end, level), one)
        prefix_of_scores = layout.scored(prefix, 0)
        for start, rows in results.by_interval(table):
            self.objects.put(layout.scores_from(prefix_of_scores, start), parquet.write(rows))
        delivery = Delivery(
            due_start=due,
            attempt_id=attempt,
            config_hash="hash",
            window_start=begin,
            window_end=end,
            groups_keys=(layout.scored_groups(prefix, 0),),
            scored_prefixes=(prefix_of_scores,),
            live_from=live_from,
            live_since=live_since,
            revision=revision,
        )
        self.table.put(delivery_key(due, attempt), delivery.attributes())
        return delivery

    def deliver(self, *, now: datetime = NOW, post: Post | None = None) -> Delivered:
        return deliver(
            post or self.post, clock=lambda: now, holder=now.isoformat(), sleep=lambda _: None
        )

    def sending(self, send: Callable[[str, Message], None]) -> Post:
        class Sender:
            def send(self, arn: str, message: Message) -> None:
                send(arn, message)

        class Operations(Topic):
            def publish(self, subject: str, _text: str, facts: Mapping[str, object]) -> None:
                send(self._arn, message(subject=subject, body=json.dumps(facts)))

        operations = Operations(None, self.topics["operations"])
        return Post("shop", self.post.ledger, self.objects, Sender(), self.post.origin, operations)

    def ledger_interval(self, start: datetime, status: str) -> None:
        item = {"start": iso(start), "status": status}
        self.table.put(interval_key(start), item)

    def keys(self, prefix: str) -> list[str]:
        return list(self.objects.keys(prefix))

    def states(self) -> dict[str, str]:
        return {item["sk"]: item["state"] for item in self.table.query(ALERT)}

    def stored(self) -> dict[str, bytes]:
        """All that delivery has made: results and groups."""
        found = {key: self.objects.get(key) for key in self.keys("results/")}
        for item in self.table.query(GROUP):
            found[item["sk"]] = json.dumps(item, sort_keys=True).encode()
        return found

    def through(self, _service: str, operation: str, _attempts: int, call: Any, given: Any) -> Any:
        """What lies between the clients in memory and their services."""
        self.process.make(operation)
        return call(**given)

    @contextmanager
    def mortal(self, last: float = inf) -> Iterator[Mortal]:
        """A process that dies when it has made `last` calls, messages included.

        Dead before a call is dead after the answer to the one before it: both are covered.
        """
        others, self.process = self.process, Mortal(last)
        try:
            yield self.process
        finally:
            self.process = others


class Mortal:
    def __init__(self, last: float) -> None:
        self.last = last
        self.calls: list[str] = []
        self.sent: list[tuple[str, dict[str, Any]]] = []

    def make(self, call: str) -> None:
        if len(self.calls) >= self.last:
            raise Crash
        self.calls.append(call)

    def send(self, arn: str, message: Message) -> None:
        self.make("send")
        self.sent.append((arn.rpartition(":")[2], json.loads(message.body)))


def scores(begin: datetime, end: datetime, level: float) -> Scores:
    intervals = (end - begin) // HOUR
    axis = np.datetime64(begin.replace(tzinfo=None), "s") + np.arange(intervals) * np.timedelta64(
        3600, "s"
    )
    values = np.full((intervals, 2, 1), level)
    return Scores(
        starts=axis,
        dimensions=("platform", "marketplace"),
        slices=np.array([["mobile_app", "us"]], dtype=object),
        measures=("revenue", "views"),
        actual=values,
        expected=values,
        lower=values,
        upper=values,
        severity=np.zeros_like(values),
        direction=np.zeros(values.shape, dtype=np.int8),
        anomalous=np.zeros(values.shape, dtype=bool),
    )


@pytest.fixture
def cloud() -> Iterator[Cloud]:
    with mock_aws():
        yield Cloud()


def test_a_commit_is_published_and_its_alert_arrives(cloud: Cloud) -> None:
    one = group(hours=1)
    cloud.commit([one])
    done = cloud.deliver()
    assert (done.sent, done.published, done.suppressed, done.reported) == (1, 4, 0, 0)
    (alert,) = cloud.received()
    assert alert["anomalyGroupId"] == one.id
    assert alert["timestamp"] == "2022-01-15T04:00Z[UTC]"
    assert cloud.keys("results/") == [
        f"results/anomalies/date=2022-01-15/{one.id}.parquet",
        f"results/contributions/date=2022-01-15/{one.id}.parquet",
        f"results/dimensionContributions/date=2022-01-15/{one.id}.csv",
        f"results/metricValue_AnomalyScore/date=2022-01-15/{one.id}.csv",
        *(f"results/scores/date=2022-01-15/0{hour}00.parquet" for hour in range(1, 5)),
    ]
    (item,) = cloud.table.query(GROUP)
    assert item["sk"] == f"GROUP#2022-01-15T04:00:00Z#{one.id}"
    assert item["AnomalyGroupScore"] == 83.33
    assert cloud.states() == {alert_key("orders", one.id): "SENT"}
    assert cloud.table.query(DELIVERY) == []
    assert cloud.table.get(DELIVERING) is None


def test_the_groups_of_all_parts_are_published_and_told(cloud: Cloud) -> None:
    delivery = cloud.commit([group()])
    other = layout.scored_groups("live/other/", 1)
    cloud.objects.put(other, groups_to_bytes([group("views")]))
    keys = (*delivery.groups_keys, other)
    cloud.table.put(
        delivery_key(delivery.due_start, delivery.attempt_id),
        delivery.attributes() | {"groups_keys": list(keys)},
    )

    assert cloud.deliver().sent == 2

    told = [message["impactedMetric"]["metricName"] for message in cloud.received()]
    assert sorted(told) == ["revenue", "views"]
    assert len(cloud.keys(layout.ANOMALIES)) == 2


def test_a_delivery_that_a_former_version_left_pending_is_delivered(cloud: Cloud) -> None:
    delivery = cloud.commit([group()])
    (key,) = delivery.groups_keys
    groups = json.loads(cloud.objects.get(key))
    for one in groups:
        one["score"] = one.pop("severity")
    cloud.objects.put_json(key, groups)
    former = delivery.attributes() | {"events_key": key}
    del former["groups_keys"]
    cloud.table.put(delivery_key(delivery.due_start, delivery.attempt_id), former)

    assert cloud.deliver().sent == 1

    (message,) = cloud.received()
    assert message["anomalyScore"] == round(group().severity, 2)
    assert cloud.table.query(DELIVERY) == []


def without_groups(cloud: Cloud, delivery: Delivery) -> None:
    cloud.objects.delete(delivery.groups_keys)


def with_broken_groups(cloud: Cloud, delivery: Delivery) -> None:
    cloud.objects.put_json(delivery.groups_keys[0], [{"id": "a"}])


def with_cut_groups(cloud: Cloud, delivery: Delivery) -> None:
    cloud.objects.put(delivery.groups_keys[0], b'[{"id": ')


def without_a_window(cloud: Cloud, delivery: Delivery) -> None:
    cloud.table.update(delivery_key(delivery.due_start, "one"), {"window_end": None})


def of_a_later_shape(cloud: Cloud, delivery: Delivery) -> None:
    cloud.table.update(delivery_key(delivery.due_start, "one"), {"groups_keys": {"a": 1}})


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (without_groups, "part=0.groups.json does not exist"),
        (with_broken_groups, r"stored groups cannot be read: 0\.measure, 0\.start"),
        (with_cut_groups, "Invalid JSON"),
        (without_a_window, "DELIVERY#.* cannot be read: window_end"),
        (of_a_later_shape, "DELIVERY#.* cannot be read: groups_keys"),
    ],
)
def test_a_delivery_that_cannot_be_read_is_reported_and_the_next_go_on(
    cloud: Cloud, spoil: Callable[[Cloud, Delivery], None], reason: str
) -> None:
    spoil(cloud, cloud.commit([group("views")]))
    (stored,) = cloud.table.query(DELIVERY)
    cloud.commit([group()], due=START + HOUR, attempt="two")

    with pytest.raises(PermanentError, match=reason):
        cloud.deliver()

    assert [one["impactedMetric"]["metricName"] for one in cloud.received()] == ["revenue"]
    (report,) = cloud.received("operations")
    assert report["event"] == "DELIVERY_PARKED"
    assert report["delivery"] == stored
    key = f"{PARKED}{stored['sk']}"
    assert key in cloud.words
    assert cloud.table.get(key) == stored | {"sk": key}
    assert cloud.table.query(DELIVERY) == []
    assert cloud.deliver() == Delivered(0, 0, 0, 0)


def test_a_delivery_is_parked_only_when_somebody_knows(cloud: Cloud) -> None:
    without_groups(cloud, cloud.commit([group()]))

    def deaf(_arn: str, _message: Message) -> None:
        raise ClientError({"Error": {"Code": "Throttled"}}, "Publish")

    with pytest.raises(RetryableError, match="operations topic was not notified"):
        cloud.deliver(post=cloud.sending(deaf))
    assert len(cloud.table.query(DELIVERY)) == 1
    assert cloud.table.query(PARKED) == []


def test_nothing_pending_does_nothing(cloud: Cloud) -> None:
    assert cloud.deliver() == Delivered(0, 0, 0, 0)


def test_the_same_group_in_later_crawls_is_told_once(cloud: Cloud) -> None:
    cloud.commit([group()])
    cloud.deliver()
    cloud.commit([group(hours=2)], due=START + HOUR, attempt="two")
    assert cloud.deliver().sent == 0
    assert len(cloud.received()) == 1
    (item,) = cloud.table.query(GROUP)
    assert item["end"] == "2022-01-15T06:00:00Z"


def test_a_group_is_told_when_it_grows_over_the_threshold(cloud: Cloud) -> None:
    cloud.commit([group(severity=40)])
    assert cloud.deliver().sent == 0
    cloud.commit([group(hours=2)], due=START + HOUR, attempt="two")
    assert cloud.deliver().sent == 1


def test_a_group_that_late_rows_undo_is_removed_with_its_files(cloud: Cloud) -> None:
    cloud.commit([group(), group("views")])
    cloud.deliver()
    cloud.commit([group("views")], due=START + HOUR, attempt="two", level=2.0)
    cloud.deliver()
    assert [item["measure"] for item in cloud.table.query(GROUP)] == ["views"]
    assert not [key for key in cloud.keys("results/") if group().id in key]
    assert len([key for key in cloud.keys("results/") if group("views").id in key]) == 4
    file = io.BytesIO(cloud.objects.get(layout.interval_scores(START)))
    assert set(pq.read_table(file)["actual"].to_pylist()) == {2.0}


def test_a_group_that_late_rows_undo_is_retracted_once_at_whoever_was_told(cloud: Cloud) -> None:
    both = config(alerts={"all": cloud.alert("orders", "second")})
    cloud.commit([group(), group("views")], configuration=both)

    def orders_only(arn: str, message: Message) -> None:
        if arn.endswith(":second") and '"revenue"' in message.body:
            raise PermanentError(arn)
        cloud.post.targets.send(arn, message)

    with pytest.raises(PermanentError):
        cloud.deliver(post=cloud.sending(orders_only))
    cloud.received()
    cloud.received("second")
    cloud.commit([group("views")], due=START + HOUR, attempt="two", configuration=both)

    assert cloud.deliver().sent == 1
    assert cloud.deliver().sent == 0

    (void,) = cloud.received()
    assert void["retracted"] is True
    assert void["anomalyGroupId"] == group().id
    assert void["impactedMetric"]["metricName"] == "revenue"
    assert void["alertEventId"].endswith(f":event/{group().id}/retracted")
    # It was never told there.
    assert cloud.received("second") == []
    assert cloud.states()[alert_key("all", group().id)] == "RETRACTED"


def test_a_group_that_was_retracted_and_comes_back_is_told_again(cloud: Cloud) -> None:
    for number, groups in enumerate([[group()], [], [group()]]):
        cloud.commit(groups, due=START + number * HOUR, attempt=f"a{number}")
        assert cloud.deliver().sent == 1

    first, void, again = cloud.received()
    assert "retracted" not in first
    assert void["retracted"]
    assert again["alertEventId"] == first["alertEventId"] + "/2"
    # Its evidence lies before the intervals that were due.
    assert again["late"]


def _state(message: dict[str, Any]) -> str:
    return str(message.get("state", "OPEN"))


def test_an_event_is_told_when_it_opens_when_its_class_rises_and_when_it_ends(
    cloud: Cloud,
) -> None:
    lives: list[dict[str, Any]] = [
        {"severity": 70.0, "state": "OPEN"},
        {"severity": 73.0, "state": "OPEN"},
        {"severity": 80.0, "state": "OPEN"},
        {"severity": 95.0, "state": "OPEN"},
        {"severity": 96.0, "state": "OPEN", "quiet": 1},
        {"severity": 96.0, "state": "OPEN", "quiet": 2},
        {"severity": 96.0, "state": "CLOSED", "quiet": 4},
    ]
    told = []
    for number, life in enumerate(lives):
        one = group(hours=min(number, 4) + 1, **life)
        cloud.commit([one], due=START + number * HOUR, attempt=f"a{number}")
        cloud.deliver()
        told += cloud.received()
    assert [_state(one) for one in told] == ["OPEN", "ONGOING", "ONGOING", "RESOLVED"]
    event = told[0]["alertEventId"]
    assert [one["alertEventId"] for one in told[1:]] == [
        f"{event}/ongoing/1",
        f"{event}/ongoing/2",
        f"{event}/resolved/3",
    ]
    assert {one["anomalyGroupId"] for one in told} == {group().id}
    # An old consumer finds all of its keys, in their order, and one more.
    assert [list(one) for one in told[1:]] == [[*told[0], "state"]] * 3
    assert cloud.table.query(DELIVERY) == []


@pytest.mark.parametrize(
    ("changes", "states"),
    [
        ({"risen": False}, ["OPEN", "RESOLVED"]),
        ({"ended": False}, ["OPEN", "ONGOING"]),
        ({"risen": False, "ended": False}, ["OPEN"]),
    ],
)
def test_each_message_after_the_opening_has_its_own_switch(
    cloud: Cloud, changes: dict[str, bool], states: list[str]
) -> None:
    chosen = config(alerts={"all": cloud.alert(**changes)})
    for number, life in enumerate(
        [{"severity": 70.0, "state": "OPEN"}, {"severity": 95.0, "state": "OPEN"}, {"quiet": 1}]
    ):
        one = group(hours=number + 1, **({"severity": 95.0} | life))
        cloud.commit([one], due=START + number * HOUR, attempt=f"{number}", configuration=chosen)
        cloud.deliver()
    assert [_state(one) for one in cloud.received()] == states


def test_a_level_that_is_accepted_is_told_so(cloud: Cloud) -> None:
    lives: list[dict[str, Any]] = [{"state": "OPEN"}, {"state": "CLOSED", "accepted": True}]
    for number, life in enumerate(lives):
        cloud.commit([group(**life)], due=START + number * HOUR, attempt=f"{number}")
        cloud.deliver()
    assert [_state(one) for one in cloud.received()] == ["OPEN", "ACCEPTED"]


def test_an_event_that_is_over_when_it_is_found_is_told_once(cloud: Cloud) -> None:
    for number in range(3):
        cloud.commit([group(state="CLOSED")], due=START + number * HOUR, attempt=f"{number}")
        cloud.deliver()
    assert [_state(one) for one in cloud.received()] == ["OPEN"]


def test_an_event_that_goes_on_after_its_end_was_told_is_told_to_go_on(cloud: Cloud) -> None:
    for number, quiet in enumerate([0, 1, 0, 0, 2]):
        one = group(state="OPEN", quiet=quiet)
        cloud.commit([one], due=START + number * HOUR, attempt=f"{number}")
        cloud.deliver()
    states = [_state(one) for one in cloud.received()]
    assert states == ["OPEN", "RESOLVED", "ONGOING", "RESOLVED"]


def test_an_event_that_begins_again_is_told_in_the_thread_of_the_former(cloud: Cloud) -> None:
    # given an event whose end was told
    first = group(id="first", severity=70.0)
    later: dict[str, Any] = {
        "start": START + 5 * HOUR,
        "id": "second",
        "severity": 60.0,
        "after": (Earlier("first"),),
    }
    lives = [
        [replace(first, state="OPEN")],
        [first],
        # when another one comes after it, crawl after crawl, and ends
        [first, group(**later, state="OPEN")],
        [first, group(**later, hours=2, state="OPEN")],
        [group(**later, hours=2)],
        # and one more, which is over when it is found
        [
            group(**later, hours=2),
            group(
                start=START + 9 * HOUR,
                id="third",
                severity=70.0,
                after=(Earlier("second"), Earlier("first")),
            ),
        ],
    ]
    told = []
    for number, groups in enumerate(lives):
        cloud.commit(groups, due=START + number * HOUR, attempt=f"a{number}")
        cloud.deliver()
        told += cloud.received()
    # then it is told as what goes on, with its own figures
    assert [(_state(one), one["anomalyGroupId"], one["anomalyScore"]) for one in told] == [
        ("OPEN", "first", 70.0),
        ("RESOLVED", "first", 70.0),
        ("ONGOING", "second", 60.0),
        ("RESOLVED", "second", 60.0),
        ("ONGOING", "third", 70.0),
    ]
    assert [one["alertEventId"].partition(":event/")[2] for one in told] == [
        "first",
        "first/resolved/1",
        "second/after/first/ongoing/2",
        "second/after/first/resolved/3",
        "third/after/first/ongoing/4",
    ]


@pytest.mark.parametrize("digest_above", [1, 10])
def test_events_that_are_found_at_once_after_each_other_are_all_told_in_one_thread(
    cloud: Cloud, digest_above: int
) -> None:
    chosen = config(alerts={"orders": cloud.alert(digest_above=digest_above)})
    first = group(id="first", severity=70.0)
    second = group(start=START + 5 * HOUR, id="second", severity=60.0, after=(Earlier("first"),))
    third = group(start=START + 9 * HOUR, id="third", severity=65.0, after=(Earlier("second"),))
    beside = group("views", id="beside")
    for number in range(2):
        cloud.commit(
            [third, second, first, beside],
            due=START + number * HOUR,
            attempt=f"a{number}",
            configuration=chosen,
        )
        cloud.deliver()
    told = [each for one in cloud.received() for each in one.get("alerts", [one])]
    events = [one["alertEventId"].partition(":event/")[2] for one in told]
    assert sorted(events) == [
        "beside",
        "first",
        "second/after/first/ongoing/1",
        "third/after/first/ongoing/1",
    ]
    if digest_above > 1:
        assert events.index("first") < events.index("second/after/first/ongoing/1")
        assert events.index("second/after/first/ongoing/1") < events.index(
            "third/after/first/ongoing/1"
        )


def test_an_event_whose_thread_was_retracted_is_told_by_itself(cloud: Cloud) -> None:
    first = group(id="first")
    second = group(start=START + 5 * HOUR, id="second", after=(Earlier("first"),))
    again = replace(second, severity=98.0)
    for number, groups in enumerate([[first], [first, second], [second], [second], [again]]):
        cloud.commit(groups, due=START + number * HOUR, attempt=f"a{number}")
        cloud.deliver()
    told = [(one["alertEventId"].partition(":event/")[2]) for one in cloud.received()]
    # then no two messages have the same name
    assert told == [
        "first",
        "second/after/first/ongoing/1",
        "first/retracted",
        "second",
        "second/ongoing/1",
    ]


def test_a_target_that_was_down_is_told_what_holds_in_one_message(cloud: Cloud) -> None:
    chosen = config(alerts={"all": cloud.alert("orders", "second")})
    down = True

    def refuse(arn: str, message: Message) -> None:
        if arn == cloud.topics["second"] and down:
            raise RetryableError(arn)
        cloud.post.targets.send(arn, message)

    lives: list[dict[str, Any]] = [
        {"severity": 70.0, "state": "OPEN"},
        {"severity": 95.0, "state": "OPEN"},
        {"severity": 95.0, "state": "CLOSED"},
    ]
    for number, life in enumerate(lives):
        one = group(**life)
        cloud.commit([one], due=START + number * HOUR, attempt=f"{number}", configuration=chosen)
        with pytest.raises(RetryableError):
            cloud.deliver(post=cloud.sending(refuse))
    # The other target has not waited.
    assert [_state(one) for one in cloud.received()] == ["OPEN", "ONGOING", "RESOLVED"]
    assert cloud.received("second") == []
    down = False
    cloud.deliver(post=cloud.sending(refuse))
    (late,) = cloud.received("second")
    assert _state(late) == "OPEN"
    assert cloud.table.query(DELIVERY) == []


def _digest(body: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = body["digest"]
    return found


def test_what_was_not_told_at_once_is_told_in_a_digest_once(cloud: Cloud) -> None:
    chosen = config(
        alerts={
            "all": cloud.alert(threshold=80, measures=["revenue"], digest={"hour": 6}),
        },
        mutes={"known": {"end": "2022-01-15T05:00:00Z", "reason": "known"}},
    )
    loud, quiet = group(severity=90), group(start=START + HOUR, severity=60)
    others = group("views", start=START + HOUR, severity=60)
    cloud.ledger_interval(START - HOUR, "MISSING")
    cloud.commit([loud, quiet, others], hours=2, configuration=chosen)
    cloud.deliver()
    (told,) = [_digest(one) for one in cloud.received()]
    assert (told["from"], told["to"]) == ("2022-01-14T06:00:00Z", "2022-01-15T06:00:00Z")
    assert [one["AnomalyGroupId"] for one in told["belowThreshold"]] == [quiet.id]
    assert [one["AnomalyGroupId"] for one in told["muted"]] == [loud.id]
    assert told["intervalsWithoutRows"] == 1
    # The next crawls of the day tell it no more.
    cloud.commit([quiet], due=START + 2 * HOUR, attempt="two", configuration=chosen)
    cloud.deliver()
    assert cloud.received() == []


def test_a_digest_tells_nothing_of_a_measure_that_is_gone(cloud: Cloud) -> None:
    cloud.commit([group("views", severity=60)])
    cloud.deliver()
    cloud.received()
    alert = cloud.alert(threshold=80, digest={"hour": 5})
    chosen = config(alerts={"all": alert}, measures={"revenue": {}})
    cloud.commit([], due=START + HOUR, attempt="two", configuration=chosen)
    cloud.deliver()
    (told,) = [_digest(one) for one in cloud.received()]
    assert told["belowThreshold"] == []


def test_no_digest_is_of_a_time_before_the_detector_was(cloud: Cloud) -> None:
    chosen = config(alerts={"all": cloud.alert(digest={"hour": 5})})
    cloud.commit([], live_from=START - HOUR, configuration=chosen)
    cloud.deliver()
    assert cloud.received() == []


def test_a_digest_that_a_target_refuses_is_sent_by_the_next_crawl(cloud: Cloud) -> None:
    pager = f"arn:aws:secretsmanager:{REGION}:123456789012:secret:pager-abcdef"
    alert = cloud.alert("orders", "second", digest={"hour": 5}, pagerduty_secret_arns=[pager])
    chosen = config(alerts={"all": alert})
    down = True

    def refuse(arn: str, message: Message) -> None:
        if arn == cloud.topics["second"] and down:
            raise RetryableError(arn)
        cloud.post.targets.send(arn, message)

    cloud.commit([], configuration=chosen)
    with pytest.raises(RetryableError):
        cloud.deliver(post=cloud.sending(refuse))
    assert len(cloud.received()) == 1
    down = False
    cloud.commit([], due=START + HOUR, attempt="two", configuration=chosen)
    cloud.deliver(post=cloud.sending(refuse))
    assert (cloud.received(), len(cloud.received("second"))) == ([], 1)


SLACK = f"arn:aws:secretsmanager:{REGION}:123456789012:secret:slack-abcdef"


def test_a_target_that_wants_to_be_left_alone_is_until_then(cloud: Cloud) -> None:
    chosen = config(alerts={"all": cloud.alert("orders", slack_secret_arns=[SLACK])})
    tried: list[str] = []

    def busy(arn: str, message: Message) -> None:
        if arn == f"slack:{SLACK}":
            tried.append(message.id)
            raise BusyError("busy", 900)
        cloud.post.targets.send(arn, message)

    cloud.commit([group()], configuration=chosen)
    for minutes in (0, 5, 14):
        with pytest.raises(RetryableError):
            cloud.deliver(now=NOW + timedelta(minutes=minutes), post=cloud.sending(busy))
    assert len(tried) == 1
    with pytest.raises(RetryableError):
        cloud.deliver(now=NOW + timedelta(minutes=16), post=cloud.sending(busy))
    assert len(tried) == 2
    assert len(cloud.received()) == 1, "the other target has not waited"


@pytest.mark.parametrize("error", [RetryableError("no"), UncertainError("no answer")])
def test_a_service_on_the_web_that_fails_is_tried_once_in_a_run(
    cloud: Cloud, error: Exception
) -> None:
    chosen = config(alerts={"all": cloud.alert("orders", slack_secret_arns=[SLACK])})
    tried: list[str] = []

    def slow(arn: str, message: Message) -> None:
        if arn == f"slack:{SLACK}":
            tried.append(message.id)
            raise error
        if arn != cloud.topics["operations"]:
            cloud.post.targets.send(arn, message)

    cloud.commit([group(), group("views"), group(start=START + HOUR)], configuration=chosen)
    with pytest.raises(RetryableError):
        cloud.deliver(post=cloud.sending(slow))
    assert len(tried) == 1
    assert len(cloud.received()) == 3


def test_what_follows_an_opening_is_its_thread(cloud: Cloud) -> None:
    chosen = config(alerts={"all": {"slack_secret_arns": [SLACK]}})
    sent: list[Message] = []

    class Slack:
        def send(self, _target: str, message: Message) -> str:
            sent.append(message)
            return f"thread-{len(sent)}"

    post = replace(cloud.post, targets=Slack())
    for number, state in enumerate(["OPEN", "CLOSED"]):
        one = group(state=state)
        cloud.commit([one], due=START + number * HOUR, attempt=f"{number}", configuration=chosen)
        cloud.deliver(post=post)
    assert [(one.state, one.thread) for one in sent] == [("OPEN", None), ("RESOLVED", "thread-1")]


def test_the_end_of_an_event_whose_group_has_another_name_now_is_told_under_the_first(
    cloud: Cloud,
) -> None:
    former = group(start=START, hours=2, state="OPEN")
    cloud.commit([former], hours=2, attempt="one")
    cloud.deliver()
    (opened,) = cloud.received()
    for number, state in enumerate(["OPEN", "CLOSED"]):
        now = group(start=START + HOUR, hours=1, state=state)
        cloud.commit([now], due=START + (2 + number) * HOUR, attempt=f"{number}")
        cloud.deliver()
    (ended,) = cloud.received()
    assert _state(ended) == "RESOLVED"
    assert ended["alertEventId"] == f"{opened['alertEventId']}/resolved/1"
    assert ended["anomalyGroupId"] == opened["anomalyGroupId"]


def test_an_older_delivery_that_comes_back_says_nothing_of_what_is_newer(cloud: Cloud) -> None:
    cloud.commit([group(state="OPEN")], attempt="one", revision=1)
    cloud.deliver()
    older = cloud.commit([group(state="OPEN")], attempt="two", revision=2)
    cloud.table.delete(delivery_key(START, "two"))
    cloud.commit([group(state="CLOSED")], due=START + HOUR, attempt="three", revision=3)
    cloud.deliver()
    assert [_state(one) for one in cloud.received()] == ["OPEN", "RESOLVED"]
    cloud.table.put(delivery_key(START, "two"), older.attributes())
    cloud.deliver()
    assert cloud.received() == []


def test_what_is_told_of_a_muted_event_waits_for_the_end_of_the_mute(cloud: Cloud) -> None:
    cloud.commit([group(state="OPEN")], attempt="one")
    cloud.deliver()
    mute = {"end": "2022-01-15T07:00:00Z", "reason": "known"}
    muted = config(mutes={"known": mute})
    cloud.commit([group(state="CLOSED")], due=START + HOUR, attempt="two", configuration=muted)
    cloud.deliver()
    assert [_state(one) for one in cloud.received()] == ["OPEN"]
    cloud.commit([group(state="CLOSED")], due=START + 2 * HOUR, attempt="three")
    cloud.deliver()
    assert [_state(one) for one in cloud.received()] == ["RESOLVED"]


def test_an_event_that_a_former_version_has_told_is_told_to_be_over(cloud: Cloud) -> None:
    cloud.commit([group(state="OPEN")], attempt="one")
    cloud.deliver()
    cloud.received()
    key = alert_key("orders", group().id)
    item = cloud.table.get(key) or {}
    for name in ("sk", "holds", "knows", "turn", "revision"):
        item.pop(name)
    cloud.table.put(key, item)
    cloud.commit([group(state="CLOSED")], due=START + HOUR, attempt="two")
    cloud.deliver()
    assert [_state(one) for one in cloud.received()] == ["RESOLVED"]


def test_a_group_that_nobody_was_told_of_is_not_retracted(cloud: Cloud) -> None:
    cloud.commit([group(severity=20)])
    cloud.deliver()
    cloud.commit([], due=START + HOUR, attempt="two")

    assert cloud.deliver().sent == 0
    assert cloud.received() == []


def test_a_retraction_survives_a_target_that_refuses(cloud: Cloud) -> None:
    cloud.commit([group()])
    cloud.deliver()
    cloud.received()
    cloud.commit([], due=START + HOUR, attempt="two")

    def refuse(arn: str, _message: Message) -> None:
        raise RetryableError(arn)

    with pytest.raises(RetryableError):
        cloud.deliver(post=cloud.sending(refuse))
    assert cloud.table.query(GROUP) == []
    assert cloud.deliver().sent == 1
    assert cloud.received()[0]["retracted"]


def test_a_group_that_late_rows_bring_is_told_and_marked_late(cloud: Cloud) -> None:
    late, new = group(start=START - 2 * HOUR), group("views", start=START - HOUR, hours=2)
    cloud.commit([late, new])

    assert cloud.deliver().sent == 2

    told = {one["anomalyGroupId"]: one.get("late") for one in cloud.received()}
    assert told == {late.id: True, new.id: None}


def test_an_event_that_is_too_old_is_recorded_and_not_sent(cloud: Cloud) -> None:
    alerts = {
        "day": cloud.alert(max_age_days=1),
        "usual": cloud.alert("second"),
    }
    delivery = cloud.commit([group()], configuration=config(alerts=alerts))
    asof = (START + 26 * HOUR).isoformat()
    cloud.table.update(delivery_key(START, delivery.attempt_id), {"asof": asof})

    assert cloud.deliver().sent == 1

    assert cloud.received() == []
    assert len(cloud.received("second")) == 1
    assert cloud.states() == {
        alert_key("day", group().id): "OLD",
        alert_key("usual", group().id): "SENT",
    }
    assert len(cloud.table.query(GROUP)) == 1


def test_many_alerts_are_one_message(cloud: Cloud) -> None:
    groups = [
        group(name, start=START + hour * HOUR, severity=60 + hour, id=f"{name}-{hour}")
        for name in ("revenue", "views")
        for hour in range(3)
    ]
    alerts = {
        "digest": cloud.alert(digest_above=5),
        "single": cloud.alert("second", digest_above=6),
    }
    cloud.commit(groups, hours=3, configuration=config(alerts=alerts))

    assert cloud.deliver().sent == 1 + 6

    (told,) = cloud.received()
    assert told["count"] == 6
    assert [one["anomalyScore"] for one in told["alerts"]] == [62, 62, 61, 61, 60, 60]
    assert {one["anomalyGroupId"] for one in told["alerts"]} == {one.id for one in groups}
    assert len(cloud.received("second")) == 6
    assert set(cloud.states().values()) == {"SENT"}


@pytest.mark.parametrize("kind", ["no data", "few rows"])
def test_events_of_missing_data_have_their_own_switch(cloud: Cloud, kind: Kind) -> None:
    silent = group("views", kind=kind, id="silent")
    alerts = {"on": cloud.alert(), "off": cloud.alert("second", missing_data=False)}
    cloud.commit([group(), silent], configuration=config(alerts=alerts))

    cloud.deliver()

    assert len(cloud.received()) == 2
    assert [one["anomalyGroupId"] for one in cloud.received("second")] == [group().id]


MUTE = {"end": iso(START + 2 * HOUR), "reason": "price test"}


def mute(cloud: Cloud, now: datetime = START, **changes: Any) -> str:
    """A mute that somebody asks for at `now`."""
    asked = {**MUTE, "start": iso(START), **changes}
    return str(muting.mute(cloud.post.ledger, config(), asked, "jane", now)["id"])


def test_a_mute_that_was_lifted_can_be_asked_for_again_within_the_same_second(
    cloud: Cloud,
) -> None:
    first = mute(cloud)
    assert mute(cloud) == first
    muting.unmute(cloud.post.ledger, first, START)

    again = mute(cloud)

    assert [one["id"] for one in muting.listed(cloud.post.ledger, START)] == [again]


def test_a_muted_event_is_recorded_counted_and_listed_when_the_mute_ends(cloud: Cloud) -> None:
    # given
    held = mute(cloud, measures=["revenue"], dimension_filters={"platform": ["mobile_app"]})
    cloud.commit([group(hours=2), group("views", hours=2)], hours=2)

    # when
    done = cloud.deliver(now=START + 2 * HOUR - timedelta(minutes=1))

    # then: one of them is told
    assert (done.sent, done.muted) == (1, 1)
    assert cloud.received()[0]["impactedMetric"]["metricName"] == "views"
    assert cloud.states()[alert_key("orders", group().id)] == "MUTED"
    (listed,) = muting.listed(cloud.post.ledger, START + HOUR)
    assert (listed["id"], listed["state"], listed["events"]) == (held, "ACTIVE", [group().id])
    assert cloud.received("operations") == []

    # when it has ended
    assert cloud.deliver(now=START + 2 * HOUR).reported == 1

    (told,) = cloud.received("operations")
    assert told["event"] == "MUTE_ENDED"
    assert told["mute"]["events"] == [group().id]
    assert "price test (jane)" in cloud.words
    assert "revenue down (platform mobile_app)" in cloud.words
    assert cloud.deliver(now=START + 3 * HOUR).reported == 0
    assert muting.listed(cloud.post.ledger, START + 3 * HOUR) == []
    assert len(muting.listed(cloud.post.ledger, START + 3 * HOUR, ended=True)) == 1


def test_an_event_that_outlasts_the_mute_is_told_then_and_once(cloud: Cloud) -> None:
    held = mute(cloud)
    for hours, sent in ((1, 0), (2, 0), (3, 1), (4, 0)):
        due = START + (hours - 1) * HOUR
        cloud.commit([group(hours=hours)], due=due, attempt=f"a{hours}")
        assert cloud.deliver(now=due + HOUR).sent == sent

    assert len(cloud.received()) == 1
    assert cloud.states()[alert_key("orders", group().id)] == "SENT"
    # What was held back stays counted.
    (told,) = cloud.received("operations")
    assert told["mute"]["id"] == held
    assert told["mute"]["alerts"] == 1


def test_an_event_of_which_people_know_stays_told_when_it_is_muted(cloud: Cloud) -> None:
    cloud.commit([group()])
    assert cloud.deliver().sent == 1
    mute(cloud, end=iso(START + 9 * HOUR))
    cloud.commit([group(hours=2)], due=START + HOUR, attempt="two")

    done = cloud.deliver()

    assert (done.sent, done.muted) == (0, 0)
    assert cloud.states()[alert_key("orders", group().id)] == "SENT"


def test_a_mute_that_is_lifted_ends_then(cloud: Cloud) -> None:
    held = mute(cloud, end=iso(START + 9 * HOUR))
    cloud.commit([group()])
    assert cloud.deliver(now=START + HOUR).muted == 1

    facts = muting.unmute(cloud.post.ledger, held, START + HOUR)

    assert (facts["state"], facts["end"]) == ("ENDED", iso(START + HOUR))
    cloud.commit([group(hours=2)], due=START + HOUR, attempt="two")
    assert cloud.deliver(now=START + 2 * HOUR).sent == 1
    for unknown in (held, "other"):
        with pytest.raises(PermanentError, match=r"has ended at|There is no mute"):
            muting.unmute(cloud.post.ledger, unknown, START + 2 * HOUR)


def test_a_mute_of_the_document_holds_and_its_removal_ends_it(cloud: Cloud) -> None:
    # given
    alerts = {"orders": cloud.alert()}
    declared = config(alerts=alerts, mutes={"house": {**MUTE, "end": iso(START + 9 * HOUR)}})
    cloud.table.update(DETECTOR, {"config_hash": "hash"})
    cloud.commit([group()], configuration=declared)
    assert cloud.deliver(now=START + HOUR).muted == 1
    with pytest.raises(PermanentError, match="is declared in the configuration"):
        muting.unmute(cloud.post.ledger, "house", START + HOUR)

    # when
    cloud.commit(
        [group(hours=2)], due=START + HOUR, attempt="two", configuration=config(alerts=alerts)
    )
    done = cloud.deliver(now=START + 2 * HOUR)

    # then
    assert (done.sent, done.reported) == (1, 1)
    (told,) = cloud.received("operations")
    assert (told["mute"]["id"], told["mute"]["end"]) == ("house", iso(START + 2 * HOUR))
    # It comes back with another end, and is told again.
    cloud.commit([], due=START + HOUR, attempt="three", configuration=declared)
    assert cloud.deliver(now=START + 3 * HOUR).reported == 0
    assert cloud.deliver(now=START + 9 * HOUR).reported == 1


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"end": iso(START)}, "The mute must end in the future; got 2022-01-15T04:00:00Z"),
        ({"end": "2024-01-01T00:00:00Z"}, "must end within 366 days, by 2023-01-16T04:00:00Z"),
        (
            {"end": "tomorrow"},
            'end must be an RFC 3339 timestamp such as 2024-01-01T00:00:00Z; got "t',
        ),
        ({"reason": " "}, "reason must be a text of 1-500 characters"),
        ({"reason": None}, "reason must be a"),
        ({"measures": ["x"]}, 'measures must be measures (revenue, views); got ["x"]'),
        ({"dimension_filters": {"x": ["a"]}}, "dimension_filters must be keyed by dimensions (pl"),
        ({"why": "x"}, "why is not a known key"),
        ({"start": iso(START + 3 * HOUR)}, "must start before its end"),
    ],
)
def test_a_mute_that_is_not_valid_says_why(
    cloud: Cloud, changes: dict[str, Any], says: str
) -> None:
    changes = {"start": iso(START - HOUR)} | changes
    with pytest.raises(PermanentError) as raised:
        mute(cloud, **changes)
    assert says in str(raised.value)
    assert cloud.post.ledger.mutes() == []


def test_the_same_request_twice_is_one_mute(cloud: Cloud) -> None:
    assert mute(cloud) == mute(cloud)
    assert len(cloud.post.ledger.mutes()) == 1


def test_unchanged_intervals_are_not_published_again(cloud: Cloud) -> None:
    cloud.commit([])
    assert cloud.deliver().published == 4
    delivery = cloud.commit([], due=START + HOUR, attempt="two", level=2.0)
    changed = (START + HOUR).isoformat()
    cloud.table.update(delivery_key(START + HOUR, delivery.attempt_id), {"changed_from": changed})

    assert cloud.deliver().published == 1


def test_a_group_whose_start_moves_is_not_told_again_however_often(cloud: Cloud) -> None:
    cloud.commit([group(start=START, hours=1)])
    cloud.deliver()
    moved = group(start=START - HOUR, hours=2)
    cloud.commit([moved], due=START + HOUR, attempt="two")
    assert cloud.deliver().suppressed == 1
    again = group(start=START - 2 * HOUR, hours=2)
    cloud.commit([again], due=START + HOUR, attempt="three", hours=2)
    assert cloud.deliver().suppressed == 1
    assert len(cloud.received()) == 1
    assert cloud.table.get(alert_key("orders", again.id))["because"] == group(hours=1).id


def test_an_event_that_falls_apart_is_not_told_again(cloud: Cloud) -> None:
    cloud.commit([group(hours=4)], hours=4)
    cloud.deliver()
    parts = [group(hours=1), group(start=START + 3 * HOUR)]
    cloud.commit(parts, due=START + 4 * HOUR, lookback=4, attempt="two")
    assert cloud.deliver().sent == 0
    assert len(cloud.received()) == 1


def test_an_event_beside_one_that_was_told_is_told_too(cloud: Cloud) -> None:
    app = group(hours=2)
    cloud.commit([app])
    cloud.deliver()
    of_web: dict[str, Any] = {"slices": [{"platform": "pc_web"}], "id": "web"}
    web = group(start=START + HOUR, **of_web)
    rise = group(start=START + HOUR, direction="up", id="rise")
    cloud.commit([app, web, rise], due=START + HOUR, attempt="two")

    assert cloud.deliver().suppressed == 0

    told = [alert["anomalyGroupId"] for alert in cloud.received()]
    assert told == [app.id, "rise", "web"]


def test_an_event_whose_beginning_goes_away_when_it_has_grown_is_not_told_again(
    cloud: Cloud,
) -> None:
    cloud.commit([group(hours=1)])
    cloud.deliver()
    cloud.commit([group(hours=4)], due=START + HOUR, hours=3, attempt="two")
    cloud.deliver()
    # Its rest shares no interval with what was told, but with what that has become.
    rest = group(start=START + 2 * HOUR, hours=3)
    cloud.commit([rest], due=START + 4 * HOUR, lookback=4, attempt="three")

    assert cloud.deliver().suppressed == 1

    assert len(cloud.received()) == 1


def test_groups_of_history_are_kept_but_not_told(cloud: Cloud) -> None:
    live = START + HOUR
    cloud.commit(
        [group(start=START, hours=2), group("views", start=live)], due=live, live_from=live
    )
    cloud.deliver()
    assert [one["impactedMetric"]["metricName"] for one in cloud.received()] == ["views"]
    assert len(cloud.table.query(GROUP)) == 2


def test_a_retraining_makes_no_history_of_an_event_that_lasts(cloud: Cloud) -> None:
    # given a model that came into force during an event, which touches the alert only now, and
    # after another event had ended
    live: dict[str, Any] = {"live_from": START + HOUR, "live_since": START - 9 * HOUR}
    lasts, over = group(start=START, hours=2), group(start=START - 2 * HOUR, hours=3, id="over")
    before = group(start=START - 10 * HOUR, hours=12, id="before")
    # when
    cloud.commit([lasts, over, before], due=START + HOUR, **live)
    cloud.deliver()
    # then
    assert [one["anomalyGroupId"] for one in cloud.received()] == [lasts.id]


def test_the_end_of_an_event_that_a_former_model_has_told_is_told(cloud: Cloud) -> None:
    # given an event that was told, and a model that came into force after its last interval
    cloud.commit([group(hours=2, state="OPEN")], hours=2)
    cloud.deliver()
    (told,) = cloud.received()
    live: dict[str, Any] = {"live_from": START + 2 * HOUR, "live_since": FOREVER}
    # when its crawl finds that it is over
    over = group(hours=2, state="CLOSED")
    cloud.commit([over], due=START + 2 * HOUR, attempt="two", **live)
    cloud.deliver()
    # then
    (end,) = cloud.received()
    assert (end["anomalyGroupId"], end["state"]) == (told["anomalyGroupId"], "RESOLVED")


@pytest.mark.parametrize("state", ["OPEN", "CLOSED"])
def test_an_event_that_lasted_when_a_backtest_began_is_on_file_once(
    cloud: Cloud, state: Literal["OPEN", "CLOSED"]
) -> None:
    # given an event on file, and a new model whose backtest begins in the midst of it
    whole = group(start=START - 5 * HOUR, hours=6, severity=90, state=state)
    cloud.commit([whole], lookback=6)
    cloud.deliver()
    before = cloud.stored()
    end = replace(group(start=START - HOUR, hours=3, severity=80), id=whole.id)
    backtest = cloud.commit([end], lookback=2, attempt="two")
    cloud.objects.put_json(layout.learnt("new", 0), {"classes": []})
    detector = Detector(status="ACTIVE", live_from=START, trained="new", model="new")
    cloud.table.put(DETECTOR, detector.attributes())
    activated = backtest.model_copy(
        update={"trained": "new", "base": START, "live_from": START, "live_since": FOREVER}
    )
    cloud.table.put(delivery_key(START, "two"), activated.attributes())
    # when
    cloud.deliver()
    # then it is there once, whole if it was over
    assert [one.group_id for one in cloud.post.ledger.groups(FOREVER, None)] == [whole.id]
    of_groups = {key for key in before if whole.id in key}
    after = cloud.stored()
    assert {key for key in after if whole.id in key} == of_groups
    same = {key for key in of_groups if after[key] == before[key]}
    assert (same == of_groups) == (state == "CLOSED")
    # and when a crawl of the new model goes on with the event
    crawl = cloud.commit([end], due=START + 2 * HOUR, lookback=2, attempt="three")
    cloud.table.put(
        delivery_key(START + 2 * HOUR, "three"),
        crawl.model_copy(update={"trained": "new"}).attributes(),
    )
    cloud.deliver()
    # then it begins as it did
    (item,) = cloud.post.ledger.groups(FOREVER, None)
    assert (item.start, item.end) == (whole.start, end.end)
    assert {key for key in cloud.stored() if whole.id in key} == of_groups


def test_a_delivery_from_before_a_retraining_only_sends_its_alerts(cloud: Cloud) -> None:
    cloud.commit([group()])
    after = Detector(status="ACTIVE", live_from=START + 2 * HOUR, trained="newer")
    cloud.table.put(DETECTOR, after.attributes())
    done = cloud.deliver()
    assert (done.sent, done.published) == (1, 0)
    assert cloud.stored() == {}


def test_a_newer_delivery_that_waits_decides_about_its_own_window(cloud: Cloud) -> None:
    cloud.commit([group(start=START - 4 * HOUR), group(start=START)], lookback=5)
    # Late rows have undone the newer group before anyone was told.
    cloud.commit([], due=START + HOUR, attempt="two")
    assert cloud.deliver().sent == 1
    (alert,) = cloud.received()
    assert alert["timestamp"] == "2022-01-15T00:00Z[UTC]"


def test_an_alert_without_target_tells_nobody(cloud: Cloud) -> None:
    quiet = {"orders": cloud.alert(sns_topic_arns=[])}
    cloud.commit([group()], configuration=config(alerts=quiet))
    assert cloud.deliver().sent == 0
    assert cloud.states() == {}


def test_each_alert_goes_to_each_of_its_targets_once(cloud: Cloud) -> None:
    alerts = {
        "both": cloud.alert("orders", "second", "orders"),
        "views": cloud.alert("second", measures=["views"]),
        "app": cloud.alert("second", dimension_filters={"platform": ["mobile_app"]}),
        "us": cloud.alert("second", dimension_filters={"marketplace": ["us"]}),
    }
    cloud.commit([group()], configuration=config(alerts=alerts))
    assert cloud.deliver().sent == 3
    assert [one["alertName"] for one in cloud.received("orders")] == ["both"]
    assert sorted(one["alertName"] for one in cloud.received("second")) == ["app", "both"]


def test_one_failing_target_does_not_stop_the_others_and_is_tried_again(cloud: Cloud) -> None:
    alerts = {"all": cloud.alert("orders", "second")}
    cloud.commit([group()], configuration=config(alerts=alerts))
    cloud.commit(
        [group(start=START + HOUR)],
        due=START + HOUR,
        lookback=0,
        attempt="two",
        configuration=config(alerts=alerts),
    )

    def refuse(arn: str, message: Message) -> None:
        if arn.endswith(":orders"):
            raise RetryableError(f"{arn}: Throttling")
        cloud.post.targets.send(arn, message)

    with pytest.raises(RetryableError, match="orders: Throttling"):
        cloud.deliver(post=cloud.sending(refuse))
    assert len(cloud.received("second")) == 2
    assert cloud.received("orders") == []
    before = cloud.stored()
    assert cloud.deliver().sent == 2
    assert len(cloud.received("orders")) == 2
    assert cloud.received("second") == []
    assert cloud.stored() == before
    assert cloud.table.query(DELIVERY) == []


def test_an_older_delivery_that_is_tried_again_does_not_undo_a_newer_one(cloud: Cloud) -> None:
    cloud.commit([group(hours=1)])

    def refuse(arn: str, _message: Message) -> None:
        raise RetryableError(arn)

    with pytest.raises(RetryableError):
        cloud.deliver(post=cloud.sending(refuse))
    cloud.commit([group(hours=2)], due=START + HOUR, attempt="two", level=2.0)
    with pytest.raises(RetryableError):
        cloud.deliver(post=cloud.sending(refuse))
    newer = cloud.stored()
    assert cloud.deliver().sent == 1
    assert cloud.stored() == newer


def test_a_target_that_is_gone_is_reported_with_the_payload_and_fails_once(cloud: Cloud) -> None:
    gone = f"{cloud.topics['orders']}-gone"
    cloud.commit([group()], configuration=config(alerts={"all": cloud.alert(gone, "second")}))
    with pytest.raises(PermanentError, match="gone"):
        cloud.deliver()
    (report,) = cloud.received("operations")
    assert cloud.words.startswith(f"Alert 'all' was not sent at {gone}.\n\nReason: ")
    assert report["event"] == "ALERT_FAILED"
    assert report["target"] == gone
    assert report["payload"] == cloud.received("second")[0]
    assert cloud.deliver().sent == 0
    assert cloud.states() == {alert_key("all", group().id): "FAILED"}


def test_a_target_that_refuses_for_a_day_is_given_up(cloud: Cloud) -> None:
    cloud.commit([group()])

    def refuse(arn: str, message: Message) -> None:
        if not arn.endswith(":operations"):
            raise RetryableError(f"{arn}: AccessDenied")
        cloud.post.targets.send(arn, message)

    with pytest.raises(RetryableError):
        cloud.deliver(post=cloud.sending(refuse))
    with pytest.raises(PermanentError, match="given up"):
        cloud.deliver(now=NOW + timedelta(days=1), post=cloud.sending(refuse))
    assert len(cloud.received("operations")) == 1
    assert cloud.table.query(DELIVERY) == []


def test_a_lost_answer_is_reported_and_never_sent_again(cloud: Cloud) -> None:
    cloud.commit([group()])

    def lost(arn: str, message: Message) -> None:
        cloud.post.targets.send(arn, message)
        if not arn.endswith(":operations"):
            raise UncertainError(f"{arn}: read timed out")

    assert cloud.deliver(post=cloud.sending(lost)).reported == 1
    assert cloud.deliver() == Delivered(0, 0, 0, 0)
    (alert,) = cloud.received()
    (report,) = cloud.received("operations")
    assert report["payload"] == alert
    assert cloud.states() == {alert_key("orders", group().id): "UNKNOWN"}


def test_an_alert_whose_claim_got_no_reply_is_sent_by_the_next_run(cloud: Cloud) -> None:
    cloud.commit([group()])
    transact = cloud.table.transact
    done: list[Sequence[Write]] = []

    def unheard(writes: Sequence[Write]) -> bool:
        assert transact(writes)
        done.append(writes)
        # The decision comes first, and then the claim.
        if len(done) == 2:
            raise ReadTimeoutError(endpoint_url="https://aws")
        return True

    cloud.table.transact = unheard  # type: ignore[method-assign]
    with pytest.raises(ReadTimeoutError):
        cloud.deliver()
    (item,) = cloud.table.query(ALERT)
    assert list(item["targets"].values()) == ["PENDING"]

    assert cloud.deliver().sent == 1
    assert len(cloud.received()) == 1
    assert cloud.received("operations") == []


def test_a_report_that_fails_is_made_again(cloud: Cloud) -> None:
    cloud.commit([group()])

    def nothing_works(arn: str, _message: Message) -> None:
        if arn.endswith(":operations"):
            raise ClientError({"Error": {"Code": "Throttled"}}, "Publish")
        raise PermanentError(arn)

    with pytest.raises(RetryableError, match="operations topic was not notified"):
        cloud.deliver(post=cloud.sending(nothing_works))
    # The target works by now, and nothing had been sent: it is sent, not reported.
    assert cloud.deliver().sent == 1


def test_two_runs_at_once_do_not_both_deliver(cloud: Cloud) -> None:
    cloud.commit([group()])
    refused = []

    def meanwhile(arn: str, message: Message) -> None:
        assert cloud.deliver(now=NOW + timedelta(seconds=1)).left
        refused.append(arn)
        cloud.post.targets.send(arn, message)

    assert cloud.deliver(post=cloud.sending(meanwhile)).sent == 1
    assert len(refused) == 1
    assert len(cloud.received()) == 1


def test_a_run_that_finds_another_at_work_waits_for_its_turn(cloud: Cloud) -> None:
    cloud.commit([group()])
    assert cloud.post.ledger.begin_delivering("killed", NOW)
    times = [NOW]

    def sleep(seconds: float) -> None:
        times.append(times[-1] + timedelta(seconds=seconds))

    done = deliver(cloud.post, clock=lambda: times[-1], holder="next", sleep=sleep)

    assert done.sent == 1
    assert times[-1] - NOW < LEASE + timedelta(seconds=6)


def test_what_is_committed_while_another_run_delivers_is_delivered_by_that_run(
    cloud: Cloud,
) -> None:
    cloud.commit([group()])
    others: list[Delivered] = []

    def meanwhile(arn: str, message: Message) -> None:
        if not others:
            cloud.commit([group(), group("views")], due=START + HOUR, attempt="two")
            others.append(cloud.deliver(now=NOW + timedelta(seconds=1)))
        cloud.post.targets.send(arn, message)

    assert cloud.deliver(post=cloud.sending(meanwhile)).sent == 2
    assert [one.left for one in others] == [True]
    assert cloud.table.query(DELIVERY) == []
    assert len(cloud.received()) == 2


def test_a_run_that_outlives_its_lease_sends_nothing_twice(cloud: Cloud) -> None:
    cloud.commit([group(start=START, hours=2)], hours=2)
    later = NOW + LEASE + timedelta(seconds=1)
    copies = threading.Lock()

    def stall(**_: Any) -> None:
        # Late rows have moved the event by the time this run goes on.
        if copies.acquire(blocking=False):
            moved = group(start=START - HOUR, hours=3)
            cloud.commit([moved], due=START + 2 * HOUR, attempt="two")
            assert cloud.deliver(now=later).sent == 1

    events = cloud.clients["s3"].meta.events
    events.register("before-call.s3.CopyObject", stall)
    try:
        with pytest.raises(RetryableError, match="Another run has taken over"):
            cloud.deliver()
    finally:
        events.unregister("before-call.s3.CopyObject", stall)

    assert len(cloud.received()) == 1
    assert cloud.deliver(now=later).sent == 0
    assert cloud.received() == []


def test_a_run_that_is_overtaken_while_it_sends_takes_no_final_state_back(cloud: Cloud) -> None:
    alerts = {"all": cloud.alert("orders", "second")}
    cloud.commit([group()], configuration=config(alerts=alerts))
    later = NOW + LEASE + timedelta(seconds=1)

    def slow(arn: str, _message: Message) -> None:
        cloud.deliver(now=later)
        raise RetryableError(f"{arn}: Throttling")

    with pytest.raises(RetryableError, match="Another run has taken over"):
        cloud.deliver(post=cloud.sending(slow))

    assert [one["event"] for one in cloud.received("operations")] == ["ALERT_UNKNOWN"]
    assert len(cloud.received("second")) == 1
    (item,) = cloud.table.query(ALERT)
    assert sorted(item["targets"].values()) == ["SENT", "UNKNOWN"]
    assert cloud.deliver(now=later) == Delivered(0, 0, 0, 0)


def test_a_slow_run_keeps_its_lease(cloud: Cloud) -> None:
    times = iter(NOW + timedelta(seconds=50) * step for step in range(100))
    cloud.commit([group(), group("views")])
    refused = []

    def meanwhile(arn: str, message: Message) -> None:
        moment = next(times)
        assert cloud.deliver(now=moment).left
        refused.append(moment)
        cloud.post.targets.send(arn, message)

    done = deliver(
        cloud.sending(meanwhile), clock=lambda: next(times), holder="slow", sleep=lambda _: None
    )

    assert (done.sent, len(refused)) == (2, 2)
    assert refused[-1] - NOW > 2 * LEASE


def scenario() -> Cloud:
    """A group was told; late rows move its start and its end, and bring another. Two targets."""
    cloud = Cloud(emulated=False)
    both = config(alerts={"all": cloud.alert("orders", "second")})
    cloud.commit([group(start=START, hours=1, state="OPEN")], configuration=both)
    cloud.deliver(post=cloud.sending(lambda *_: None))
    cloud.commit(
        [group(start=START - HOUR, hours=2), group("views", start=START + HOUR)],
        due=START + HOUR,
        attempt="two",
        level=2.0,
        configuration=both,
    )
    return cloud


def run(cloud: Cloud, now: datetime, last: float = inf) -> Mortal:
    with cloud.mortal(last) as process, suppress(Crash):
        cloud.deliver(now=now, post=cloud.sending(process.send))
    return process


@cache
def clean_run() -> tuple[dict[str, bytes], list[str]]:
    """What an undisturbed run stores, and its calls."""
    cloud = scenario()
    process = run(cloud, NOW)
    assert [name for name, _ in process.sent] == ["orders", "orders", "second", "second"]
    return cloud.stored(), process.calls


def check(cloud: Cloud, processes: Sequence[Mortal]) -> None:
    """The end is that of a clean run, and each target was told once, or operations were of it."""
    assert cloud.stored() == clean_run()[0]
    assert cloud.table.query(DELIVERY) == []
    sent = [message for process in processes for message in process.sent]
    reported = {
        (body["target"].rpartition(":")[2], *_news(body["payload"]))
        for name, body in sent
        if name == "operations"
    }
    for target in ("orders", "second"):
        told = [_news(body) for name, body in sent if name == target]
        assert len(set(told)) == len(told)
        for news in {("revenue", "RESOLVED"), ("views", "OPEN")}:
            assert news in told or (target, *news) in reported


def _news(body: dict[str, Any]) -> tuple[str, str]:
    return body["impactedMetric"]["metricName"], _state(body)


def test_a_crash_at_any_call_loses_nothing_and_tells_nothing_twice() -> None:
    calls = clean_run()[1]
    assert len(calls) > 30
    for last in range(len(calls)):
        cloud = scenario()
        died = run(cloud, NOW, last)
        check(cloud, [died, run(cloud, NOW + LEASE + timedelta(minutes=1))])


@settings(max_examples=30)
@given(crashes=st.lists(st.integers(0, 40), max_size=4))
def test_several_crashes_in_a_row_converge(crashes: list[int]) -> None:
    cloud = scenario()
    times = [NOW + n * (LEASE + timedelta(minutes=1)) for n in range(len(crashes) + 1)]
    check(cloud, [run(cloud, *one) for one in zip(times, [*crashes, inf], strict=True)])
