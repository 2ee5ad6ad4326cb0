from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from anomaly_detector.alerts.decide import decide, muted_by, triggers
from anomaly_detector.alerts.past import former_of, predecessors
from anomaly_detector.config import Alert
from anomaly_detector.events.group import Earlier, share_leaves
from anomaly_detector.ledger.items import AlertItem, GroupItem, MuteItem
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.alerts_samples import HOUR, START, config, group


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


def decisions(groups, *items, stored=(), standing=(), alerts=None, mute=None):
    """Decisions on groups, as deliveries make them one after the other."""
    by_id = {one.group_id: one for one in stored}
    there = {*standing, *(one.id for one in groups)}
    decided = {(one.alert, one.group_id): one for one in items}
    found = []
    for one in decide(
        alerts or config().alerts,
        groups,
        former={one.id: former_of(one, by_id.get(one.id), stored, there) for one in groups},
        decided=lambda alert, group_id: decided.get((alert, group_id)),
        muted=lambda _: mute,
    ):
        found.append(one)
        state = "SENT" if one.because is None else "SUPPRESSED"
        decided[one.alert, one.group.id] = told(
            one.group, alert=one.alert, state=state, because=one.because
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
