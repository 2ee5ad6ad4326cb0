"""One fault that shows in several measures is one opening message, whatever fails on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from math import inf
from typing import Any

import pytest
from anomaly_detector.alerts import forms
from anomaly_detector.alerts.decide import Linked
from anomaly_detector.alerts.message import Message
from anomaly_detector.config import Config
from anomaly_detector.errors import RetryableError
from anomaly_detector.events.group import Earlier, Group
from anomaly_detector.intervals import iso
from anomaly_detector.services import muting
from anomaly_detector.services.delivery import Delivered
from anomaly_detector.services.topic import Topic
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from tests.unit.alerts_samples import HOUR, START, config, group
from tests.unit.test_delivery import LEASE, NOW, SLACK, Cloud, run

APP, WEB = {"platform": "mobile_app"}, {"platform": "pc_web"}
MEASURES: dict[str, Any] = {"revenue": {}, "views": {}, "clicks": {}}


def shown(
    measure: str,
    hour: int = 0,
    *,
    severity: float = 70.0,
    first: dict[str, str] = APP,
    **changes: Any,
) -> Group:
    """An event that goes on, unless told otherwise."""
    start = START + hour * HOUR
    values = {"id": measure, "state": "OPEN", "slices": [first]} | changes
    rose = ((start, severity),)
    return group(measure, start, first=first, rose=rose, severity=severity, **values)


def over(one: Group) -> Group:
    return replace(one, state="CLOSED")


class _Unread(Topic):
    def publish(self, *_: object) -> None:
        """Nobody looks at it here."""


class Reader:
    """A detector, and somebody who gets its alerts; Slack with threads, unless told otherwise."""

    def __init__(self, cloud: Cloud, **changes: Any) -> None:
        self.cloud, self.sent, self.crawls = cloud, list[Message](), 0
        self.config = config(
            measures=MEASURES,
            alerts={"all": {"threshold": 50, "slack_secret_arns": [SLACK]} | changes},
        )
        self.down = False

    def send(self, _target: str, message: Message) -> str:
        if self.down:
            raise RetryableError("down")
        self.sent.append(message)
        return f"thread-{len(self.sent)}"

    def crawl(self, *groups: Group, retry: bool = False, hours: int = 1) -> list[Message]:
        """What a crawl tells."""
        at, before = self.crawls, len(self.sent)
        self.crawls += 1
        self.cloud.commit(
            groups,
            due=START + at * HOUR,
            hours=hours,
            attempt=f"a{at}",
            configuration=self.config,
            lookback=9,
        )
        post = replace(self.cloud.post, targets=self, operations=_Unread(None, "operations"))
        if retry:
            with pytest.raises(RetryableError):
                self.cloud.deliver(post=post)
        else:
            self.cloud.deliver(post=post)
        return self.sent[before:]


@pytest.fixture
def reader() -> Reader:
    return Reader(Cloud(emulated=False))


def names(message: Message) -> tuple[str, list[str]]:
    """The state of a message and the measures that it is of."""
    body = message_body(message)
    linked = body.get("linked", {"alerts": []})["alerts"]
    return message.state, [one["impactedMetric"]["metricName"] for one in (body, *linked)]


def message_body(message: Message) -> dict[str, Any]:
    body: dict[str, Any] = forms.webhook(message)["alert"]
    return body


def test_a_fault_in_two_measures_is_one_message_and_its_end_is_another(reader: Reader) -> None:
    views, revenue = shown("views", severity=95.0), shown("revenue")
    (opened,) = reader.crawl(revenue, views)
    assert names(opened) == ("OPEN", ["revenue", "views"])
    assert opened.line.startswith("shop: revenue down 35 % and views down 35 % on mobile_app")
    # it is as severe as the more severe of both
    assert (opened.severity, opened.severity_class) == (95.0, "high")
    # while one goes on, both do
    assert reader.crawl(over(revenue), views) == []
    (ended,) = reader.crawl(over(revenue), over(views))
    assert names(ended) == ("RESOLVED", ["revenue", "views"])
    assert (ended.event, ended.thread) == (opened.event, "thread-1")
    assert reader.crawl(over(revenue), over(views)) == []


def test_programs_get_an_alert_for_each_measure_unless_asked_otherwise() -> None:
    cloud = Cloud(emulated=False)
    apart = Reader(cloud, sns_topic_arns=[cloud.topics["orders"]], slack_secret_arns=[])
    found = apart.crawl(shown("revenue"), shown("views"))
    assert [names(one) for one in found] == [("OPEN", ["revenue"]), ("OPEN", ["views"])]
    # what each says ends by itself
    (ended,) = apart.crawl(over(shown("revenue")), shown("views"))
    assert names(ended) == ("RESOLVED", ["revenue"])
    # someone who asks for one message gets both in it
    changes = {"sns_topic_arns": [cloud.topics["orders"]], "link_measures": True}
    asked = Reader(Cloud(emulated=False), slack_secret_arns=[], **changes)
    (opened,) = asked.crawl(shown("revenue"), shown("views"))
    assert names(opened) == ("OPEN", ["revenue", "views"])


def test_a_measure_that_follows_is_told_in_the_thread(reader: Reader) -> None:
    views, revenue = shown("views"), shown("revenue", 1, severity=95.0)
    (opened,) = reader.crawl(views)
    (also,) = reader.crawl(views, revenue)
    assert names(also) == ("ONGOING", ["revenue"])
    assert also.line.startswith("shop: also: revenue down 35 % on mobile_app")
    assert (also.event, also.thread, also.severity_class) == (opened.event, "thread-1", "high")
    assert also.id.endswith("event/revenue/after/views/ongoing/1")
    # what of it gets worse is told
    (risen,) = reader.crawl(replace(views, severity=99.0), revenue, shown("clicks", 1))
    assert names(risen) == ("ONGOING", ["clicks"])
    # and one end
    (ended,) = reader.crawl(over(views), over(revenue), over(shown("clicks", 1)))
    assert names(ended) == ("RESOLVED", ["views", "clicks", "revenue"])


def test_the_end_is_told_even_if_it_is_found_with_another_measure(reader: Reader) -> None:
    views = shown("views")
    reader.crawl(views)
    also, ended = reader.crawl(over(views), over(shown("revenue", 1)))
    assert names(also) == ("ONGOING", ["revenue"])
    assert names(ended) == ("RESOLVED", ["views", "revenue"])
    assert reader.crawl(over(views), over(shown("revenue", 1))) == []


def test_a_measure_that_follows_an_end_is_told_in_the_thread(reader: Reader) -> None:
    views = shown("views")
    reader.crawl(views)
    (ended,) = reader.crawl(over(views))
    assert names(ended) == ("RESOLVED", ["views"])
    (also,) = reader.crawl(over(views), shown("revenue", 1))
    assert names(also) == ("ONGOING", ["revenue"])
    (ended,) = reader.crawl(over(views), over(shown("revenue", 1)))
    assert ended.state == "RESOLVED"


def test_who_was_down_is_told_of_all_measures_at_once(reader: Reader) -> None:
    reader.down = True
    views, revenue = shown("views"), shown("revenue", 1)
    reader.crawl(views, retry=True)
    reader.crawl(views, revenue, retry=True)
    reader.down = False
    (opened,) = reader.crawl(views, revenue)
    assert names(opened) == ("OPEN", ["views", "revenue"])


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"measures": ["revenue"]}, ["revenue"]),
        ({"threshold": 80}, ["revenue"]),
        ({"dimension_filters": {"marketplace": ["us"]}}, ["revenue"]),
    ],
)
def test_what_an_alert_leaves_out_takes_nothing_with_it(
    changes: dict[str, Any], told: list[str]
) -> None:
    reader = Reader(Cloud(emulated=False), **changes)
    revenue = shown("revenue", severity=85.0, first=APP | {"marketplace": "us"})
    (opened,) = reader.crawl(shown("views"), revenue)
    assert names(opened) == ("OPEN", told)


def mute(reader: Reader, **changes: Any) -> None:
    asked = {"reason": "known", "end": iso(START + 3 * HOUR)} | changes
    muting.mute(reader.cloud.post.ledger, reader.config, asked, "jane", START)


def test_a_mute_on_one_measure_holds_back_none_of_the_others(reader: Reader) -> None:
    mute(reader, measures=["views"])
    views, revenue = shown("views"), shown("revenue")
    (opened,) = reader.crawl(views, revenue)
    assert names(opened) == ("OPEN", ["revenue"])
    (risen,) = reader.crawl(views, replace(revenue, severity=95.0))
    assert names(risen) == ("ONGOING", ["revenue"])
    # when the mute has ended
    for _ in range(2):
        assert reader.crawl(views, replace(revenue, severity=95.0)) == []
    longer = replace(views, end=START + 5 * HOUR)
    (also,) = reader.crawl(longer, replace(revenue, severity=95.0))
    assert names(also) == ("ONGOING", ["views"])


def test_a_mute_of_what_was_told_first_holds_back_none_of_what_is_linked(reader: Reader) -> None:
    views, revenue = shown("views"), shown("revenue", 1)
    reader.crawl(views)
    mute(reader, measures=["views"], end=iso(START + 9 * HOUR))
    (also,) = reader.crawl(views, revenue)
    assert names(also) == ("ONGOING", ["revenue"])
    (ended,) = reader.crawl(views, over(revenue))
    assert ended.state == "RESOLVED"


def test_a_mute_of_what_was_told_first_holds_back_none_of_its_measure_elsewhere(
    reader: Reader,
) -> None:
    views, revenue = shown("views"), shown("revenue", first={})
    reader.crawl(views, revenue)
    mute(reader, measures=["views"], dimension_filters={"platform": ["mobile_app"]})
    (also,) = reader.crawl(views, revenue, shown("views", first=WEB, id="elsewhere"))
    assert names(also) == ("ONGOING", ["views"])
    assert message_body(also)["anomalyGroupId"] == "elsewhere"


def test_late_rows_that_explain_one_measure_leave_the_other(reader: Reader) -> None:
    (opened,) = reader.crawl(shown("revenue"), shown("views"))
    # what is linked is void
    (void,) = reader.crawl(shown("revenue"))
    assert names(void) == ("RETRACTED", ["views"])
    assert void.line.startswith("shop: views on mobile_app from 04:00 to 05:00 is no event any")
    # an incident goes on
    assert forms.pagerduty(void, "")["dedup_key"] != forms.pagerduty(opened, "")["dedup_key"]
    assert void.thread == "thread-1"
    # and is told anew when it comes back
    (also,) = reader.crawl(shown("revenue"), shown("views"))
    assert names(also) == ("ONGOING", ["views"])


def test_an_event_whose_thread_is_void_opens_by_itself(reader: Reader) -> None:
    (opened,) = reader.crawl(shown("revenue"), shown("views"))
    (void,) = reader.crawl(shown("views"))
    assert (void.state, void.event) == ("RETRACTED", opened.event)
    (anew,) = reader.crawl(shown("views"))
    assert names(anew) == ("OPEN", ["views"])


def test_late_rows_that_explain_both_measures_are_one_message(reader: Reader) -> None:
    (opened,) = reader.crawl(shown("revenue"), shown("views"))
    (void,) = reader.crawl()
    assert names(void) == ("RETRACTED", ["revenue", "views"])
    assert void.event == opened.event
    assert void.line.startswith("shop: revenue and views on mobile_app")
    assert reader.crawl() == []


@pytest.mark.parametrize("goes_on", [False, True])
def test_an_event_that_came_after_another_one_and_is_void_is_told_so_in_its_thread(
    reader: Reader, *, goes_on: bool
) -> None:
    first = shown("views") if goes_on else over(shown("views"))
    second = shown("views", 5, id="second", after=(Earlier("views"),))
    sent = [
        one
        for groups in ([first], [first, second], [first], [first], [first, second])
        for one in reader.crawl(*groups, hours=9)
        if one.state != "RESOLVED"
    ]
    assert [(one.state, one.id.partition(":event/")[2], one.thread) for one in sent] == [
        ("OPEN", "views", None),
        ("ONGOING", "second/after/views/ongoing/1", "thread-1"),
        ("RETRACTED", "second/retracted", "thread-1"),
        # and anew when it comes back
        ("ONGOING", f"second/after/views/ongoing/{2 if goes_on else 3}", "thread-1"),
    ]
    # The incident is over with it, unless the former event goes on.
    opened, _, void, _ = sent
    assert (void.event == opened.event) is not goes_on


def test_an_event_that_is_severe_enough_later_than_a_newer_one_is_told_too(reader: Reader) -> None:
    first, after = over(shown("views")), (Earlier("views"),)
    weak = shown("views", 5, id="second", severity=40.0, after=after)
    newer = shown("views", 6, id="third", after=after)
    crawls = [[first], [first, weak], [first, weak, newer]]
    crawls.append([first, replace(weak, severity=70.0), newer])
    told = [one.id.partition(":event/")[2] for groups in crawls for one in reader.crawl(*groups)]
    assert told == ["views", "third/after/views/ongoing/1", "second/after/views/ongoing/2"]


def test_many_at_once_name_each_event(reader: Reader) -> None:
    reader = Reader(Cloud(emulated=False), digest_above=1)
    groups = [
        shown(measure, id=f"{measure}-{place}", first={"platform": str(place)})
        for measure in ("revenue", "views")
        for place in range(3)
    ]
    (bundle,) = reader.crawl(*groups)
    assert bundle.line.startswith("shop: 6 events, the most severe: ")
    body = message_body(bundle)
    assert body["count"] == 3
    assert {one["anomalyGroupId"] for one in ids(body["alerts"])} == {one.id for one in groups}


def ids(alerts: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [each for one in alerts for each in (one, *one["linked"]["alerts"])]


def test_every_kind_of_target_names_all_measures(reader: Reader) -> None:
    groups = [shown(one) for one in MEASURES]
    (opened,) = reader.crawl(*groups)
    found = {
        "slack": str(forms.slack(opened)),
        "teams": str(forms.teams(opened)),
        "pagerduty": str(forms.pagerduty(opened, "")),
        "webhook and event bus": str(forms.webhook(opened)),
        "e-mail": opened.text,
        "text message": opened.short,
        "subject": opened.subject,
        "SQS, Lambda, HTTPS": opened.body,
    }
    assert [name for name, told in found.items() if not all(one in told for one in MEASURES)] == []


def test_what_a_former_version_has_left_pending_is_told_as_before() -> None:
    with mock_aws():
        cloud = Cloud()
        cloud.commit([group(state="OPEN"), group("views", state="OPEN")])
        assert cloud.deliver().sent == 2
        # and what it told of goes on
        cloud.commit([group(), group("views")], due=START + HOUR, attempt="two")
        assert cloud.deliver() == Delivered(2, 4, 0, 0)
        states = sorted(one.get("state", "OPEN") for one in cloud.received())
        assert states == ["OPEN", "OPEN", "RESOLVED", "RESOLVED"]


life = st.tuples(
    st.sampled_from(["revenue", "views", "clicks"]),
    st.integers(0, 2),  # its hour
    st.integers(1, 3),  # hours until it is over
    st.sampled_from([45.0, 60.0, 80.0, 95.0]),
    st.sampled_from([APP, WEB, {}, {"marketplace": "us"}]),
)
lives = st.lists(life, min_size=1, max_size=5)
# Of another one of its measure, an event would be a part.
apart = st.lists(life, min_size=1, max_size=3, unique_by=lambda one: one[0])


@settings(max_examples=60)
@given(lives, st.lists(st.integers(0, 60), max_size=3), st.lists(st.booleans(), min_size=7))
def test_whatever_fails_each_event_is_told_and_no_pair_opens_twice(
    drawn: Any, crashes: list[int], crawls: list[bool]
) -> None:
    cloud = Cloud(emulated=False)
    chosen: Config = config(measures=MEASURES, alerts={"all": cloud.alert("orders")})
    events = [
        shown(measure, hour, severity=severity, first=first, id=f"{measure}{place}")
        for place, (measure, hour, _, severity, first) in enumerate(drawn)
    ]
    ends = [hour + long for _, hour, long, _, _ in drawn]
    processes, now = [], NOW
    for hour in range(7):
        if not crawls[hour] and hour < 6:
            continue  # the next one makes up for it
        groups = [
            over(one) if end <= hour else one
            for one, end in zip(events, ends, strict=True)
            if one.start <= START + hour * HOUR
        ]
        due = START + hour * HOUR
        cloud.commit(groups, due=due, attempt=f"a{hour}", configuration=chosen, lookback=9)
        for last in [*crashes, inf]:
            processes.append(run(cloud, now, last))
            now += LEASE + timedelta(minutes=1)
        crashes = []
    bodies = [body for one in processes for name, body in one.sent if name == "orders"]
    reports = [body for one in processes for name, body in one.sent if name == "operations"]
    told = [*bodies, *(one["payload"] for one in reports)]
    keys = [one["alertEventId"] for one in bodies]
    assert len(set(keys)) == len(keys)
    loud = [one for one in events if one.severity >= 50]
    known = {
        each["anomalyGroupId"]
        for one in told
        for each in (one, *one.get("linked", {"alerts": []})["alerts"])
    }
    assert known == {one.id for one in loud}
    opened = {one["anomalyGroupId"] for one in told if "state" not in one}
    linked, alert = Linked(events, HOUR), chosen.alerts["all"]
    for one in loud:
        if one.id in opened:
            assert opened.isdisjoint(other.id for other in linked.to(alert, one))
    # in the end, each thread is over for whoever reads it
    for item in cloud.table.query("ALERT#"):
        assert all(knows["over"] for knows in item["knows"].values())


@settings(max_examples=40, phases=set(Phase) - {Phase.shrink})
@given(
    apart,
    st.lists(st.sets(st.integers(0, 2)), min_size=3, max_size=3),
    st.sets(st.integers(0, 2)),
)
def test_whatever_late_rows_undo_people_know_in_the_end_what_stands(
    drawn: Any, undone: list[set[int]], muted: set[int]
) -> None:
    reader = Reader(Cloud(emulated=False))
    events = [
        shown(measure, 0, severity=severity, first=first, id=f"{measure}{place}")
        for place, (measure, _, _, severity, first) in enumerate(drawn)
    ]
    for place in muted:
        if place < len(events):
            one = events[place]
            filters = {name: [value] for name, value in one.slices[0].items()}
            mute(reader, measures=[one.measure], dimension_filters=filters)
    last = [replace(one, end=START + 9 * HOUR) for one in events]
    for gone in undone:
        reader.crawl(*(one for place, one in enumerate(events) if place not in gone))
    stands = [one for place, one in enumerate(last) if place not in undone[-1]]
    for _ in range(3):
        reader.crawl(*stands)
    known: set[str] = set()
    for message in reader.sent:
        body = message_body(message)
        ids = {
            one["anomalyGroupId"] for one in (body, *body.get("linked", {"alerts": []})["alerts"])
        }
        known = known - ids if message.state == "RETRACTED" else known | ids
    assert known == {one.id for one in stands if one.severity >= 50}
    keys = [one.id for one in reader.sent]
    assert len(set(keys)) == len(keys)
