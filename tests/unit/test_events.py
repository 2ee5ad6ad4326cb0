"""How an event sums up the intervals that show it, and what group is made of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from anomaly_detector.detection import THRESHOLD_SEVERITY
from anomaly_detector.detection.state import Judged
from anomaly_detector.events.earlier import note_earlier
from anomaly_detector.events.event import Event, Sums, Track
from anomaly_detector.events.explain import explain
from anomaly_detector.events.group import Group, Leaf, group_id
from anomaly_detector.events.store import groups_from_bytes, groups_to_bytes
from anomaly_detector.lattice import Lattice
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.unit.detection_panels import DIMENSIONS, settings

CHOSEN = settings(dimensions=DIMENSIONS)
HOUR = timedelta(hours=1)
BEGIN = datetime(2025, 1, 6, tzinfo=UTC)
SLICES = (
    ("*", "*"),
    ("*", "de"),
    ("*", "us"),
    ("app", "*"),
    ("app", "de"),
    ("app", "us"),
    ("web", "*"),
    ("web", "de"),
    ("web", "us"),
)
Changes = Mapping[tuple[tuple[str, str], int], float]


def _lattice(keys: Sequence[tuple[str, str]] = SLICES) -> Lattice:
    slices = np.empty((len(keys), 2), dtype=object)
    slices[:] = keys
    return Lattice.of(slices)


LATTICE = _lattice()


def _judged(t: int, changes: Changes) -> Judged:
    """Every leaf expects 100, roll-ups their sum; points of `changes` have another value."""
    expected = np.array([[100.0 * 2 ** key.count("*") for key in SLICES]])
    actual = expected.copy()
    for (key, at), value in changes.items():
        if at == t:
            actual[0, SLICES.index(key)] = value
    change = actual - expected
    severity = np.where(np.isfinite(change), 100 * np.abs(change) / (np.abs(change) + 50), 0.0)
    return Judged(
        actual,
        expected,
        expected - 50,
        expected + 50,
        severity,
        np.where(np.isfinite(change), np.sign(change), 0).astype(np.int8),
        severity >= THRESHOLD_SEVERITY,
    )


def _event(
    changes: Changes, slices: Sequence[tuple[str, str]] = (("app", "de"),), **others: Any
) -> Event:
    """An event that is shown by every interval of `changes`."""
    times = sorted({t for _, t in changes})
    opened = int((BEGIN + times[0] * HOUR).timestamp())
    event = Event(
        "views", opened, slices[0], tuple(slices), -1, opened, Sums.none(len(SLICES)), **others
    )
    for t in times:
        at = int((BEGIN + t * HOUR).timestamp())
        _show(event, _judged(t, changes), at)
    return event


def _show(event: Event, judged: Judged, at: int, new: NDArray[np.bool_] | None = None) -> None:
    usual, stuck = np.full(len(SLICES), 100.0), np.zeros(len(SLICES), dtype=np.bool_)
    event.follow(judged, usual, stuck, 0, LATTICE, at, additive=True)
    event.show(judged, 0, LATTICE, at, counted=True, new=new)


def _group(event: Event, lattice: Lattice = LATTICE) -> Group:
    return explain(CHOSEN, event, lattice)


def test_the_intervals_that_show_an_event_are_summed() -> None:
    group = _group(_event({(("app", "de"), t): 10.0 for t in (3, 4, 5)}))

    assert (group.start, group.end) == (BEGIN + 3 * HOUR, BEGIN + 6 * HOUR)
    assert (group.state, group.direction, group.series_count) == ("OPEN", "down", 1)
    assert (group.actual, group.expected) == (30.0, 300.0)
    assert group.slices == ({"platform": "app", "marketplace": "de"},)
    assert group.contributions == {"platform": {"app": 100.0}, "marketplace": {"de": 100.0}}
    assert group.id == group_id("shop", "views", group.start, ("app", "de"))
    assert [point.start for point in group.points] == [BEGIN + t * HOUR for t in (3, 4, 5)]


def test_the_leaves_of_an_event_are_told_the_most_affected_first_and_no_roll_up() -> None:
    """A fault that is found in the total is of one leaf, which is not anomalous itself."""
    changes = {
        **{(("*", "*"), t): 200.0 for t in (3, 4)},
        **{(("web", "us"), t): 60.0 for t in (3, 4)},
        **{(("app", "us"), t): 75.0 for t in (3, 4)},
        **{(("app", "de"), t): 130.0 for t in (3, 4)},
    }

    group = _group(_event(changes, [("*", "*")]))

    assert {point.slice for point in group.points} == {("*", "*")}
    assert group.leaves == (
        Leaf(("web", "us"), 120.0, 200.0, 60.0),
        Leaf(("app", "us"), 150.0, 200.0, 75.0),
    )


@pytest.mark.parametrize(
    ("shown", "others", "quiet"),
    [
        ((3, 4), {"quiet": 1, "doubt": 5.0}, 1),
        ((3, 4), {"quiet": 3, "doubt": 5.0}, 3),
        # The values may still be those of the event.
        ((3, 4), {"quiet": 3, "doubt": 4.9}, 0),
        ((3, 4), {"quiet": 0}, 0),
        # It has gone on after pauses of two intervals.
        ((3, 6), {"quiet": 2, "doubt": 5.0}, 0),
        ((3, 6), {"quiet": 3, "doubt": 5.0}, 3),
        # A bound is crossed or not.
        ((3, 4), {"quiet": 1, "bound": True}, 1),
        ((3, 6), {"quiet": 4, "closed": 1}, 4),
        # What has closed does not change any more.
        ((3, 4), {"quiet": 4, "closed": 3}, 4),
        ((3, 4), {"accepted": True, "closed": 1}, 1),
    ],
)
def test_an_event_is_quiet_once_it_is_surely_normal_for_longer_than_it_ever_paused(
    shown: tuple[int, ...], others: dict[str, Any], quiet: int
) -> None:
    group = _group(_event({(("app", "de"), t): 10.0 for t in shown}, **others))

    assert group.quiet == quiet


@pytest.mark.parametrize(
    ("after", "quiet"),
    [
        ((), 0),
        ((12.0,), 0),
        ((12.5,), 1),
        ((12.5, 11.0), 2),
        # It was stuck again.
        ((12.5, 12.0), 0),
        # No row says nothing.
        ((math.nan,), 0),
    ],
)
def test_a_value_that_was_stuck_is_normal_as_soon_as_it_changes(
    after: tuple[float, ...], quiet: int
) -> None:
    # given an event in which a value repeats that is all but the expected one, so that no
    # likelihood tells them apart
    event = _event({(("app", "de"), t): 100.001 for t in (3, 4)}, doubt=0.0)
    values = [12.0, 12.0, *after]
    starts = [event.opened + 3600 * place for place in range(len(values))]
    of_all = [1.0] * len(values)
    stuck = [place < 2 for place in range(len(values))]
    event.track = Track(starts, values, of_all, of_all, stuck)
    assert _group(event).kind == "stuck"
    assert _group(event).quiet == quiet


def test_an_event_knows_those_that_it_comes_after_in_the_same_place() -> None:
    def of(start: int, *where: tuple[str, str], **others: object) -> Event:
        return _event({(where[0], t): 10.0 for t in (start, start + 1)}, where, **others)

    # given events that were in slices which share leaves with another one, or not
    leaf, inside, wider = ("app", "de"), of(1, ("app", "de"), closed=3), of(4, ("*", "de"))
    beside, other = of(2, ("web", "us")), of(3, ("app", "*"))
    other.measure = "orders"
    # when one opens, and another one in the same interval
    event, twin = of(9, leaf), of(9, ("app", "*"), few_rows=True)
    events = [inside, beside, other, wider, event, twin]
    note_earlier(events, event.last, "shop")

    # then it comes after the former ones, the newest first, and the twin after it
    def ids(one: Event) -> list[str]:
        return [after.id for after in one.after]

    assert ids(event) == [wider.id("shop"), inside.id("shop")]
    # (one in a country and one on a platform only cross)
    assert ids(twin) == [event.id("shop"), inside.id("shop")]
    assert (wider.after, inside.after) == ((), ())
    assert [one.id for one in _group(event).after] == ids(event)
    # (with what both were then: it has only just begun)
    assert [(one.before, one.severity) for one in event.after] == [(0.0, wider.severity)] * 2
    # and when it moves to where another one was, it comes after that one, too
    event.slices = (("*", "*"),)
    note_earlier(events, event.last, "shop")
    assert ids(event) == [wider.id("shop"), inside.id("shop"), beside.id("shop")]
    assert event.after[-1].before == event.severity


def test_a_group_says_where_it_opened_and_when_it_rose() -> None:
    # given an event that rises, moves and does not fall
    event = _event({(("app", "de"), t): 10.0 for t in (1, 2, 3, 4)})
    begun = event.opened
    for hour, severity in enumerate([60.0, 60.0, 75.0, 75.0]):
        event.severity, event.last = severity, begun + 3_600 * hour
        note_earlier([event], event.last, "shop")
    event.slices = (("*", "*"),)
    group = _group(event)
    start = datetime.fromtimestamp(begun, UTC)
    assert group.first == {"platform": "app", "marketplace": "de"}
    assert group.rose == ((start, 60.0), (start + 2 * HOUR, 75.0))
    assert groups_from_bytes(groups_to_bytes([group])) == (group,)
    # then anybody knows when an alert could tell of it
    reached = {50: start, 60: start, 61: start + 2 * HOUR, 75: start + 2 * HOUR}
    assert {one: group.reached(one) for one in reached} == {
        one: max(group.start, at) for one, at in reached.items()
    }


def test_intervals_that_do_not_show_it_add_nothing() -> None:
    group = _group(_event({(("app", "de"), t): 10.0 for t in (2, 4)}, closed=1))

    assert (group.start, group.end) == (BEGIN + 2 * HOUR, BEGIN + 5 * HOUR)
    assert (group.state, group.expected) == ("CLOSED", 200.0)


def test_a_slice_without_rows_counts_as_zero() -> None:
    group = _group(_event({(("app", "de"), 5): np.nan}))

    assert group.slices == ({"platform": "app", "marketplace": "de"},)
    assert (group.actual, group.expected) == (0.0, 100.0)
    assert group.contributions["platform"] == {"app": 100.0}


def test_an_event_that_begins_anew_tells_of_what_shows_it_since() -> None:
    event = _event({(("app", "de"), t): 10.0 for t in (2, 4)})
    before = _group(event)

    event.restart()
    at = int((BEGIN + 6 * HOUR).timestamp())
    _show(event, _judged(6, {(("app", "de"), 6): 40.0}), at)
    group = _group(event)

    assert group.id == before.id
    assert (group.start, group.end) == (BEGIN + 6 * HOUR, BEGIN + 7 * HOUR)
    assert (group.actual, group.expected, len(group.points)) == (40.0, 100.0, 1)


@pytest.mark.parametrize("slices", [(("app", "de"),), (("app", "de"), ("web", "us"))])
def test_slices_that_have_no_sums_change_nothing(slices: tuple[tuple[str, str], ...]) -> None:
    event = _event({(key, t): 10.0 for key in slices for t in (2, 3)}, slices)
    # born after the event has ended
    keys = sorted([*SLICES, *((one, new) for one in ("*", "app", "web") for new in ("at", "uk"))])
    whole = _lattice(keys)
    places = np.array([whole.index[key] for key in SLICES])

    assert _group(event.grown(len(keys), places), whole) == _group(event)


def test_places_follow_the_slices_that_are_kept() -> None:
    event = _event({(("web", "de"), 1): 10.0}, (("web", "de"),))
    kept = np.array([key != ("app", "us") for key in SLICES])
    fewer = _lattice([key for key in SLICES if key != ("app", "us")])

    picked = event.picked(kept)

    assert picked.sums.actual.tolist() == event.sums.actual[kept].tolist()
    assert _group(picked, fewer).actual == _group(event).actual == 10.0


@hypothesis_settings(max_examples=30)
@given(
    st.dictionaries(
        st.tuples(st.sampled_from(SLICES), st.integers(0, 7)),
        st.one_of(st.floats(0, 1e9), st.just(float("nan"))),
        min_size=1,
        max_size=20,
    ),
    st.lists(st.sampled_from(SLICES), min_size=1, max_size=3, unique=True),
)
def test_shares_sum_to_a_hundred_and_a_group_comes_back_as_it_was(
    changes: Changes, slices: list[tuple[str, str]]
) -> None:
    group = _group(_event(changes, slices))

    assert group.slices
    for shares in group.contributions.values():
        assert sum(round(100 * share) for share in shares.values()) == 10_000
    assert groups_from_bytes(groups_to_bytes([group])) == (group,)


def test_numbers_and_direction_agree_where_the_sum_is_on_the_other_side() -> None:
    # opened by one low interval, and shown by a high one that weighs more
    changes = {(("app", "de"), 3): 10.0, (("app", "de"), 4): 300.0}

    group = _group(_event(changes))
    low_only = explain(
        settings(measures={"views": {"direction": "down"}}, dimensions=DIMENSIONS),
        _event(changes),
        LATTICE,
    )

    assert (group.direction, group.actual, group.expected) == ("up", 310.0, 200.0)
    assert (low_only.direction, low_only.actual, low_only.expected) == ("down", 10.0, 100.0)
    assert [point.direction for point in group.points] == ["down", "up"]


def test_new_values_that_make_up_a_change_are_its_cause() -> None:
    total = ("*", "*")
    event = _event({(total, 3): 700.0}, (total,))
    event.side = 1
    assert _group(event).kind == "spike"

    new = np.array([key[1] == "us" for key in SLICES])
    leaves = {(("app", "us"), 4): 240.0, (("web", "us"), 4): 200.0}
    grown = _judged(4, {(total, 4): 700.0, (("*", "us"), 4): 440.0, **leaves})
    event = _event({(total, 3): 400.0}, (total,))
    event.side = 1
    _show(event, grown, int((BEGIN + 4 * HOUR).timestamp()), new)
    group = _group(event)

    assert (group.kind, group.direction) == ("new value", "up")
    assert (group.actual, group.expected) == (440.0, 0.0)
    assert group.slices == ({"marketplace": "us"},)
    assert group.contributions["marketplace"] == {"us": 100.0}
    told = {point.slice: point.expected for point in group.points if point.slice[1] == "us"}
    assert told == {("*", "us"): 0.0, ("app", "us"): 0.0, ("web", "us"): 0.0}


def test_a_new_value_is_named_whole_where_the_event_shows_a_part_of_it() -> None:
    part = ("*", "us")
    changes = {(part, 4): 440.0, (("web", "us"), 4): 240.0, (("web", "*"), 4): 900.0}
    event = _event({(part, 3): 200.0}, (part,))
    event.side = 1

    new = np.array([key in (("web", "us"), ("web", "*")) for key in SLICES])
    _show(event, _judged(4, changes), int((BEGIN + 4 * HOUR).timestamp()), new)
    group = _group(event)

    assert (group.kind, group.slices) == ("new value", ({"platform": "web"},))
    assert (group.actual, group.expected) == (900.0, 0.0)


def test_a_mean_without_data_has_no_value() -> None:
    prices = settings(measures={"views": {"aggregation": "AVG"}}, dimensions=DIMENSIONS)
    changes = {(("app", "de"), t): np.nan for t in (2, 3)}

    group = explain(prices, _event(changes, no_data=True), LATTICE)

    assert (group.kind, group.direction) == ("no data", "down")
    assert (group.actual, group.expected) == (None, 100.0)
    assert group.contributions["marketplace"] == {"de": 100.0}
    assert groups_from_bytes(groups_to_bytes([group])) == (group,)
