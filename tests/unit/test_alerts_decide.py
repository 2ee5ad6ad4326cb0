from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import accumulate

import pytest
from anomaly_detector.alerts.decide import Linked, decide, muted_by, near, openings, triggers
from anomaly_detector.alerts.past import former_of, predecessors
from anomaly_detector.config import Alert
from anomaly_detector.events.group import Earlier, share_leaves
from anomaly_detector.ledger.items import AlertItem, GroupItem, MuteItem
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.alerts_samples import HOUR, START, TOPIC, config, group

ALERT = Alert(threshold=50, link_measures=True, sns_topic_arns=(TOPIC,))


def told(one, **changes) -> AlertItem:
    values = {
        "alert": "orders",
        "group_id": one.id,
        "measure": one.measure,
        "start": one.start,
        "end": one.end,
        "since": START,
        "expires_at": 1,
        "state": "SENT",
        "attempt_id": "a",
        "targets": {TOPIC: "SENT"},
    }
    return AlertItem(**(values | changes))


def on_file(one, **changes) -> GroupItem:
    values = {
        "group_id": one.id,
        "measure": one.measure,
        "start": one.start,
        "end": one.end,
        "direction": one.direction,
        "slices": one.slices,
    }
    return GroupItem(**(values | changes))


@pytest.mark.parametrize(("threshold", "expected"), [(0, True), (83.333, True), (83.34, False)])
def test_threshold_is_reached_or_not(threshold, expected) -> None:
    assert triggers(Alert(threshold=threshold), group()) is expected


@pytest.mark.parametrize(
    ("measures", "expected"), [((), True), (("revenue",), True), (("views",), False)]
)
def test_measures_filter(measures, expected) -> None:
    assert triggers(Alert(measures=measures), group()) is expected


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"platform": ["mobile_app"]}, True),
        ({"platform": ["pc_web"]}, False),
        ({"platform": ["pc_web", "mobile_app"]}, True),
        # Series in the US are affected, but the event is not theirs alone.
        ({"marketplace": ["us"]}, False),
        ({"platform": ["mobile_app"], "marketplace": ["us"]}, False),
        ({"platform": []}, True),
        ({"marketplace": ["*"]}, True),
    ],
)
def test_dimension_filters_are_met_by_slices_of_the_event(filters, expected) -> None:
    assert triggers(Alert(dimension_filters=filters), group()) is expected


def test_dimension_filters_are_met_by_one_slice_not_by_two_together() -> None:
    both = Alert(dimension_filters={"platform": ("mobile_app",), "marketplace": ("us",)})
    apart = [
        {"platform": "mobile_app", "marketplace": "uk"},
        {"platform": "pc_web", "marketplace": "us"},
    ]
    assert not triggers(both, group(slices=apart))
    assert triggers(both, group(slices=[*apart, {"platform": "mobile_app", "marketplace": "us"}]))


def test_an_event_that_was_within_a_filter_once_remains_so() -> None:
    app = Alert(dimension_filters={"platform": ("mobile_app",)})
    moved = replace(group(slices=[{"platform": "pc_web"}]), been=({"platform": "mobile_app"},))
    assert triggers(app, moved)


def decisions(groups, *items, stored=(), standing=(), alerts=None, mute=None, beside=()):
    """Decisions on groups, as deliveries make them one after the other; `beside` are others that
    may have been told.
    """
    by_id = {one.group_id: one for one in stored}
    there = {*standing, *(one.id for one in groups)}
    decided = {(one.alert, one.group_id): one for one in items}
    alerts = alerts or {"orders": ALERT}
    found = []
    for one in decide(
        alerts,
        groups,
        former={one.id: former_of(one, by_id.get(one.id), stored, there) for one in groups},
        linked=Linked((*groups, *beside), HOUR),
        decided=lambda alert, group_id: decided.get((alert, group_id)),
        muted=lambda _: mute,
    ):
        found.append(one)
        state = "SENT" if one.because is None else "SUPPRESSED"
        state = state if one.mute is None else "MUTED"
        decided[one.alert, one.group.id] = told(
            one.group,
            alert=one.alert,
            state=state,
            because=one.because,
            linked=one.linked,
            targets=dict.fromkeys(alerts[one.alert].targets, "SENT"),
        )
    return found


def test_what_was_decided_is_not_decided_again() -> None:
    assert decisions([group()], told(group())) == []


@pytest.mark.parametrize(
    ("before", "mute", "found"),
    [
        ({"state": "MUTED", "mute": "m"}, "m", []),
        ({"state": "MUTED", "mute": "m"}, None, [(None, 1)]),
        ({"state": "RETRACTED", "retracted": True}, "m", [("m", 2)]),
        ({"state": "SENT"}, "m", []),
    ],
)
def test_what_was_muted_is_decided_again_when_nothing_mutes_it(before, mute, found) -> None:
    decided = decisions([group()], told(group(), **before), mute=mute)
    assert [(one.mute, one.tellings) for one in decided] == found


def test_what_was_muted_holds_no_other_group_back() -> None:
    old = group(start=START - HOUR, hours=2)
    (found,) = decisions([group()], told(old, state="MUTED", mute="m"), stored=[on_file(old)])
    assert found.because is None


@pytest.mark.parametrize(
    ("changes", "held"),
    [
        ({}, True),
        ({"measures": ("views",)}, False),
        ({"measures": ("views", "revenue")}, True),
        ({"dimension_filters": {"platform": ("mobile_app", "x")}}, True),
        ({"dimension_filters": {"platform": ("x",)}}, False),
        ({"dimension_filters": {"marketplace": ("us",)}}, False),  # the event is wider
        # The newest interval is that from 5 to 6.
        ({"end": START + HOUR}, False),
        ({"end": START + HOUR + timedelta(seconds=1)}, True),
        ({"start": START + 2 * HOUR}, False),
        ({"start": START + 2 * HOUR - timedelta(seconds=1)}, True),
        ({"lifted_at": START + HOUR}, False),
    ],
)
def test_a_mute_holds_for_the_newest_interval_and_for_all_slices(changes, held) -> None:
    values = {"id": "m", "end": START + 9 * HOUR, "reason": "r", "since": START, "expires_at": 1}
    mute = MuteItem(**(values | changes))
    assert muted_by(group(hours=2), START + HOUR, [mute]) == ("m" if held else None)


def test_an_event_that_a_mute_covers_in_part_is_not_held_back() -> None:
    app: dict[str, tuple[str, ...]] = {"platform": ("mobile_app",)}
    mute = MuteItem(
        id="m",
        end=START + 9 * HOUR,
        reason="r",
        since=START,
        expires_at=1,
        dimension_filters=app,
    )
    assert muted_by(group(slices=[APP, WEB]), START, [mute]) is None
    assert muted_by(group(slices=[{}]), START, [mute]) is None


def test_a_group_that_replaces_one_that_was_told_is_held_back() -> None:
    old, new = group(start=START, hours=2), group(start=START + HOUR, hours=2)
    alerts = config().alerts | {
        "late": Alert(sns_topic_arns=("arn:aws:sns:eu-west-1:123456789012:late",))
    }
    found = decisions([new], told(old), stored=[on_file(old)], alerts=alerts)
    assert [(one.alert, one.because) for one in found] == [("orders", old.id), ("late", None)]


APP, WEB = {"platform": "mobile_app"}, {"platform": "pc_web"}


@pytest.mark.parametrize(
    ("before", "state", "gone", "suppressed"),
    [
        ({"slices": [APP]}, "SENT", True, True),
        ({"slices": [APP]}, "SENT", False, True),
        ({"slices": [WEB]}, "SENT", True, True),
        # Beside an event that goes on in other slices, or in the other direction.
        ({"slices": [WEB]}, "SENT", False, False),
        ({"slices": [APP], "direction": "up"}, "SENT", False, False),
        ({"slices": [APP], "direction": "up"}, "SENT", True, False),
        # Nobody was told of the former.
        ({"slices": [APP]}, "FAILED", True, False),
        ({"slices": [APP]}, "UNKNOWN", True, True),
        ({"slices": [APP], "direction": None}, "SENT", True, True),  # of a former version
    ],
)
def test_only_the_same_event_holds_an_alert_back(before, state, gone, suppressed) -> None:
    other = group(start=START - HOUR, hours=2)
    standing = () if gone else (other.id,)
    stored = [on_file(other, **before)]
    found = decisions([group()], told(other, state=state), stored=stored, standing=standing)
    assert [one.because is not None for one in found] == [suppressed]


def test_an_event_that_came_to_overlap_another_is_not_taken_for_it() -> None:
    # given two events that were side by side when they were found, of which one was told
    other = group(start=START - HOUR, hours=3, id="other")
    stored = [on_file(other), on_file(group(), slices=[WEB])]
    # when the second one comes to touch an alert, in leaves of the first
    found = decisions([group()], told(other), stored=stored, standing=[other.id])
    # then it is told
    assert [one.because for one in found] == [None]


@pytest.mark.parametrize(("root", "suppressed"), [("SENT", True), ("FAILED", False)])
def test_what_was_held_back_counts_as_what_it_was_held_back_for(root, suppressed) -> None:
    first = group(start=START - 2 * HOUR, hours=2)
    second = group(start=START - HOUR, hours=2)
    items = [told(first, state=root), told(second, state="SUPPRESSED", because=first.id)]
    found = decisions([group()], *items, stored=[on_file(second, former=(first.id,))])
    assert [one.because for one in found] == [first.id if suppressed else None]


def after(other, hours=5, **changes):
    return group(start=START + hours * HOUR, after=(Earlier(other.id),), **changes)


@pytest.mark.parametrize(
    ("then", "again"),
    [
        ({}, True),
        # It had been told before it came to the place of the other.
        ({"before": 70.0}, False),
        # The other was too weak to be told then, or elsewhere: an early crawl told this one alone.
        ({"severity": 49.0}, False),
        ({"slices": ({"platform": "mobile_app"},)}, False),
    ],
)
def test_a_late_crawl_takes_what_came_after_as_an_early_one_did(then, again) -> None:
    alert = Alert(threshold=50, dimension_filters={"platform": ("pc_web",)})
    first = group(id="first")
    here = ({"platform": "pc_web"},)
    where = {"slices": here} | then
    second = group(start=START + 5 * HOUR, slices=here, after=(Earlier("first", **where),))

    (found,) = decisions([second], told(first), alerts={"orders": alert})

    assert found.again == again


@pytest.mark.parametrize(
    ("state", "because", "again"),
    [
        ("SENT", "first", True),
        ("CLAIMED", "first", True),
        ("UNKNOWN", "first", True),
        # Nobody was told of the former.
        ("FAILED", None, False),
        ("OLD", None, False),
        ("MUTED", None, False),
        ("RETRACTED", None, False),
    ],
)
def test_an_event_that_comes_after_one_that_was_told_is_told_in_its_thread(
    state, because, again
) -> None:
    first = group(id="first")
    before = told(first, state=state, retracted=state == "RETRACTED")
    (found,) = decisions([after(first)], before)
    assert (found.because, found.again) == (because, again)


def test_an_event_that_comes_after_one_that_was_told_is_held_back_by_a_mute() -> None:
    first = group(id="first")
    (held,) = decisions([after(first)], told(first), mute="m")
    assert (held.because, held.again, held.mute) == (None, False, "m")
    # when the mute has ended, it is told in the thread
    muted = told(after(first), state="MUTED", mute="m")
    (found,) = decisions([after(first)], told(first), muted)
    assert (found.because, found.again) == ("first", True)


def test_events_that_are_found_together_make_one_thread_too() -> None:
    # given three events, each after the one before
    first = group(id="first")
    second = after(first, id="second")
    third = after(second, hours=9, id="third")
    # when one crawl finds all of them, or each finds one
    together = decisions([third, first, second])
    # then all are told in the thread of the first one
    assert [(one.group.id, one.because) for one in together] == [
        ("first", None),
        ("second", "first"),
        ("third", "first"),
    ]
    items = [told(first), told(second, state="SUPPRESSED", because="first", again=True)]
    assert [(one.because, one.again) for one in decisions([third], *items)] == [("first", True)]


def test_an_event_that_gets_another_begin_is_not_told_again_in_its_thread() -> None:
    # given an event that was told in the thread of another one
    first, second = group(id="first"), group(start=START + 5 * HOUR, hours=2, id="second")
    items = [told(first), told(second, state="SUPPRESSED", because="first", again=True)]
    # when late rows move its begin, so that it has another name
    moved = after(first, hours=6)
    (found,) = decisions([moved], *items, stored=[on_file(second)], standing=["first"])
    # then it is the same event
    assert (found.because, found.again) == ("first", False)


def test_an_event_whose_thread_was_retracted_is_told_by_itself() -> None:
    first = group(id="first")
    second = after(first)
    items = [
        told(first, state="RETRACTED", retracted=True),
        told(second, state="SUPPRESSED", because="first", again=True),
    ]
    (found,) = decisions([second], *items)
    assert (found.because, found.again, found.tellings) == (None, False, 1)


def shown(measure="revenue", hours=0, *rose, first=APP, **changes):
    """An event that opened on a slice; `rose` are its severities, hour after hour."""
    start = START + hours * HOUR
    named = changes.pop("id", f"{measure}-{hours}")
    rises = tuple((start + place * HOUR, one) for place, one in enumerate(rose or (70.0,)))
    severity = max(one for _, one in rises)
    return group(measure, start, id=named, first=first, rose=rises, severity=severity, **changes)


def linked_as(groups, *items, alert=ALERT, **changes):
    """Who is told in whose thread, as one that is linked."""
    return {
        one.group.id: one.because if one.linked else None
        for one in decisions(groups, *items, alerts={"orders": alert}, **changes)
    }


SNS = {"sns_topic_arns": [TOPIC]}
SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:one-abcdef"
SLACK, WEBHOOK = {"slack_secret_arns": [SECRET]}, {"webhook_secret_arns": [SECRET]}
PAGER, TEAMS = {"pagerduty_secret_arns": [SECRET]}, {"teams_secret_arns": [SECRET]}


@pytest.mark.parametrize(
    ("chosen", "links"),
    [
        (SNS, False),
        (WEBHOOK, False),
        (SLACK | SNS, False),
        (SLACK | WEBHOOK, False),
        (SLACK, True),
        (SLACK | PAGER | TEAMS, True),
        (SNS | {"link_measures": True}, True),
        (SLACK | {"link_measures": False}, False),
        ({}, False),
    ],
)
def test_measures_are_told_as_one_where_only_people_read_it_or_on_demand(chosen, links) -> None:
    alert = Alert(threshold=50, **chosen)
    views, revenue = shown("views"), shown("revenue")
    expected = {"revenue-0": None, "views-0": "revenue-0" if links else None}
    assert linked_as([views, revenue], alert=alert) == expected
    assert openings(alert, [views, revenue], Linked([views, revenue], HOUR)) == 2 - links


def test_an_event_of_another_measure_at_the_same_time_and_place_opens_nothing() -> None:
    views, revenue = shown("views"), shown("revenue")
    # whether one crawl finds both, or each one
    assert linked_as([views, revenue]) == {"revenue-0": None, "views-0": "revenue-0"}
    assert linked_as([views], told(revenue), beside=[revenue]) == {"views-0": "revenue-0"}
    assert linked_as([revenue], told(views), beside=[views]) == {"revenue-0": "views-0"}


@pytest.mark.parametrize(
    ("other", "linked"),
    [
        ({}, True),
        ({"hours": 2}, True),
        ({"hours": 3}, False),
        ({"first": {"marketplace": "us"}}, True),
        ({"first": {}, "hours": 1}, True),
        # On other slices, half as long.
        ({"first": {}, "hours": 2}, False),
        ({"first": WEB}, False),
        ({"first": None}, False),  # what a former version has left
        # Where it is now does not matter: when it was told, it may have been elsewhere.
        ({"slices": [WEB]}, True),
        ({"measure": "revenue", "id": "other"}, True),
        ({"rose": (45.0, 46.0, 70.0)}, True),
        ({"rose": (45.0, 46.0, 47.0, 70.0)}, False),
        ({"kind": "no data"}, False),  # which the alert leaves out
    ],
)
def test_events_are_linked_by_what_does_not_change(other, linked) -> None:
    alert = ALERT.model_copy(update={"missing_data": False})
    values = {"measure": "views", "hours": 0, "rose": (70.0,)} | other
    rose = values.pop("rose")
    one = shown(values.pop("measure"), values.pop("hours"), *rose, **values)
    found = linked_as([one, shown()], alert=alert)
    assert sum(because is not None for because in found.values()) == linked


@pytest.mark.parametrize(
    ("one", "other", "hours", "linked"),
    [
        (APP | {"marketplace": "de"}, APP | {"marketplace": "us"}, 1, True),
        (APP | {"marketplace": "de"}, APP | {"marketplace": "us"}, 2, False),
        (APP | {"marketplace": "de"}, WEB | {"marketplace": "us"}, 0, False),
        ({"marketplace": "de"}, {"marketplace": "us"}, 0, False),  # nothing in common
        (APP | {"marketplace": "de"}, WEB, 0, False),
        # In total there may be several faults a day.
        ({}, {}, 1, True),
        ({}, {}, 2, False),
    ],
)
@pytest.mark.parametrize("measure", ["revenue", "views"])
def test_events_side_by_side_are_linked(one, other, hours, linked, measure) -> None:
    first, second = shown(first=one, id="first"), shown(measure, hours, first=other, id="second")
    assert linked_as([first, second])["second"] == ("first" if linked else None)


def test_how_far_linked_events_may_be_apart() -> None:
    hours = {300: 12, 3_600: 12, 86_400: 24}
    assert {one: near(one) // timedelta(hours=1) for one in hours} == hours


@pytest.mark.parametrize(
    "changes",
    [
        {"state": "MUTED", "mute": "m"},
        {"state": "FAILED"},
        {"state": "OLD"},
        {"state": "RETRACTED", "retracted": True},
        # Another configuration, without the target.
        {"targets": {"arn:aws:sns:eu-west-1:123456789012:other": "SENT"}},
    ],
)
def test_an_event_whose_linked_one_not_all_were_told_of_is_told_by_itself(changes) -> None:
    first = shown("views")
    assert linked_as([shown()], told(first, **changes), beside=[first]) == {"revenue-0": None}


@pytest.mark.parametrize(
    "hides",
    [
        {"threshold": 80},
        {"measures": ("revenue",)},
        {"dimension_filters": {"platform": ("mobile_app",), "marketplace": ("de",)}},
    ],
)
def test_an_event_whose_linked_one_the_alert_does_not_tell_is_told_by_itself(hides) -> None:
    views = shown("views", slices=[APP])
    revenue = shown("revenue", 0, 90.0, slices=[APP | {"marketplace": "de"}])
    found = linked_as([views, revenue], alert=ALERT.model_copy(update=hides))
    assert found == {"revenue-0": None}


def test_what_a_mute_holds_back_is_told_in_the_thread_when_it_has_ended() -> None:
    views, revenue = shown("views"), shown()
    (muted,) = decisions([views], told(revenue), beside=[revenue], mute="m")
    assert (muted.because, muted.mute) == (None, "m")
    items = [told(revenue), told(views, state="MUTED", mute="m")]
    assert linked_as([views, revenue], *items) == {"views-0": "revenue-0"}


def test_an_event_whose_linked_one_was_retracted_is_told_by_itself() -> None:
    views, revenue = shown("views"), shown()
    items = [
        told(revenue, state="RETRACTED", retracted=True),
        told(views, state="SUPPRESSED", because="revenue-0", linked="views-0/1"),
    ]
    assert linked_as([views], *items) == {"views-0": None}


def test_a_linked_event_that_was_retracted_and_comes_back_is_news_in_the_thread() -> None:
    views, revenue = shown("views"), shown()
    void = {"because": "revenue-0", "linked": "views-0/1", "retracted": True}
    (found,) = decisions([views], told(revenue), told(views, **void), beside=[revenue])
    assert (found.because, found.linked) == ("revenue-0", "views-0/2")


def test_a_linked_event_that_gets_another_begin_goes_by_its_name_in_the_thread() -> None:
    views, revenue = shown("views", id="old", hours=1), shown()
    known = told(views, state="SUPPRESSED", because="revenue-0", linked="old/1")
    moved = shown("views", end=START + 2 * HOUR)
    (found,) = decisions([moved], told(revenue), known, stored=[on_file(views)], beside=[revenue])
    assert (found.because, found.linked) == ("revenue-0", "old/1")


def test_what_comes_after_a_linked_event_is_told_in_the_same_thread() -> None:
    revenue, views = shown(), shown("views")
    more = after(views, measure="views", id="more", first=APP)
    found = decisions([revenue, views, more])
    assert [(one.group.id, one.because, one.again) for one in found] == [
        ("revenue-0", None, False),
        ("views-0", "revenue-0", False),
        ("more", "revenue-0", True),
    ]


DE, US = APP | {"marketplace": "de"}, APP | {"marketplace": "us"}
places = st.sampled_from([{}, APP, WEB, {"marketplace": "us"}, DE, US])
several = st.lists(
    st.tuples(
        st.sampled_from(["revenue", "views", "clicks"]),
        st.integers(0, 3),
        st.lists(st.floats(40, 99), min_size=1, max_size=3),
        places,
    ),
    min_size=1,
    max_size=7,
).map(
    lambda found: [
        shown(measure, hours, *accumulate(rose, max), first=first, slices=[first], id=f"{place}")
        for place, (measure, hours, rose, first) in enumerate(found)
    ]
)


def seen(one, hour):
    """An event as a crawl of that hour finds it; None before it has begun."""
    rises = tuple(rise for rise in one.rose if rise[0] <= START + hour * HOUR)
    if not rises:
        return None
    return replace(one, rose=rises, severity=max(to for _, to in rises))


def crawled(events, hours, decided, alerts, muted=()):
    """Decisions of crawls that come after some of the hours."""

    def crawl(hour):
        groups = [now for one in events if (now := seen(one, hour)) is not None]
        for one in decide(
            alerts,
            groups,
            former={one.id: () for one in groups},
            linked=Linked(groups, HOUR),
            decided=lambda alert, group_id: decided.get((alert, group_id)),
            muted=lambda one: "m" if (one.id, hour) in muted else None,
        ):
            state = "SENT" if one.because is None else "SUPPRESSED"
            decided[one.alert, one.group.id] = told(
                one.group,
                alert=one.alert,
                state="MUTED" if one.mute else state,
                because=one.because,
                linked=one.linked,
            )

    for hour in hours:
        crawl(hour)
    return decided


@given(several, st.sets(st.integers(0, 6)), st.permutations(range(7)))
def test_each_event_is_told_and_no_linked_pair_opens_twice(events, looks, order) -> None:
    alerts = {"orders": ALERT}
    shuffled = [events[place] for place in order if place < len(events)]
    each = crawled(events, range(8), {}, alerts)
    # whenever somebody looks, he decides the same
    assert each == crawled(shuffled, [*sorted(looks), 7], {}, alerts)
    # each event at the threshold is told: by itself, or in the thread of one that is
    assert {group_id for _, group_id in each} == {one.id for one in events if one.severity >= 50}
    for item in each.values():
        assert item.because is None or each["orders", item.because].because is None
        assert (item.linked is None) == (item.because is None)
    opened = [one for one in events if (item := each.get(("orders", one.id))) and not item.because]
    linked = Linked(events, HOUR)
    for one in opened:
        assert not [other for other in linked.to(ALERT, one) if other in opened]
    # as many as the recommendation counts
    assert len(opened) == openings(ALERT, events, linked)


@given(several, st.sets(st.tuples(st.sampled_from("0123456"), st.integers(0, 7))))
def test_whatever_is_muted_the_others_are_told(events, muted) -> None:
    found = crawled(events, range(9), {}, {"orders": ALERT}, muted)
    # after the last mute has ended
    assert {group_id for _, group_id in found} == {one.id for one in events if one.severity >= 50}
    assert all(item.state in ("SENT", "SUPPRESSED") for item in found.values())
    for item in found.values():
        assert item.because is None or found["orders", item.because].state == "SENT"
    opened = [one for one in events if (item := found.get(("orders", one.id))) and not item.because]
    linked = Linked(events, HOUR)
    for one in opened:
        assert not [other for other in linked.to(ALERT, one) if other in opened]


@pytest.mark.parametrize(
    ("some", "others", "shared"),
    [
        ([{}], [APP], True),
        ([APP], [APP | {"marketplace": "us"}], True),
        ([APP], [{"marketplace": "us"}], True),
        ([APP], [WEB], False),
        ([APP, WEB], [WEB], True),
        ([APP | {"marketplace": "us"}], [APP | {"marketplace": "de"}], False),
    ],
)
def test_slices_share_leaves_unless_a_dimension_tells_them_apart(some, others, shared) -> None:
    assert share_leaves(some, others) is share_leaves(others, some) is shared


@given(st.integers(-5, 5), st.integers(1, 4), st.integers(1, 4))
def test_kin_shares_an_interval(shift: int, hours: int, others: int) -> None:
    one = group(hours=hours)
    other = group(start=START + shift * HOUR, hours=others, id="other")
    mine = {START + n * HOUR for n in range(hours)}
    theirs = {other.start + n * HOUR for n in range(others)}

    def kin(item: GroupItem) -> bool:
        return bool(predecessors(one, [item], ()))

    assert kin(on_file(other)) == bool(mine & theirs)
    assert not kin(on_file(other, measure="views"))
    assert not kin(on_file(one))


def test_oldest_groups_come_first() -> None:
    groups = [group(start=START + timedelta(hours=n)) for n in (5, 1, 3)]
    assert [one.group.start for one in decisions(groups)] == sorted(one.start for one in groups)
