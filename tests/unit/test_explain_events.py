"""How anomalous intervals become events, in one window and in several."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from anomaly_detector.detection import THRESHOLD_SEVERITY
from anomaly_detector.errors import PermanentError
from anomaly_detector.events.group import group_id
from anomaly_detector.events.store import groups_from_bytes, groups_to_bytes
from anomaly_detector.explain.events import (
    Advance,
    EventState,
    advance,
    events_from_json,
    events_to_json,
)
from anomaly_detector.panel import Mark, Scores
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.unit.detection_panels import DIMENSIONS, settings, starts

CHOSEN = settings(dimensions=DIMENSIONS)
HOUR = timedelta(hours=1)
REMEMBERED = 3
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


def _scores(size: int, changes: dict[tuple[tuple[str, str], int], float]) -> Scores:
    """Scores where every leaf expects 100, roll-ups their sum; given points have another value."""
    keys = np.array(SLICES, dtype=object)
    expected = np.array([100.0 * 2 ** key.count("*") for key in SLICES])
    actual = np.tile(expected[None, None, :], (size, 1, 1))
    for (key, t), value in changes.items():
        actual[t, 0, SLICES.index(key)] = value
    expected = np.tile(expected[None, None, :], (size, 1, 1))
    change = actual - expected
    marks = _marks(size, {(key, t) for key, t in changes})
    severity = np.where(np.isfinite(change), 100 * np.abs(change) / (np.abs(change) + 50), 0.0)
    return Scores(
        starts(size),
        DIMENSIONS,
        keys,
        ("views",),
        actual,
        expected,
        expected - 50,
        expected + 50,
        severity,
        np.where(np.isfinite(change), np.sign(change), 0).astype(np.int8),
        severity >= THRESHOLD_SEVERITY,
        marks,
    )


def _marks(size: int, shown: set[tuple[tuple[str, str], int]]) -> tuple[Mark, ...]:
    """One event per changed slice, remembered for three intervals without a change."""
    begin = int(BEGIN.timestamp())
    found = []
    for t in range(size):
        for key in sorted({key for key, _ in shown}):
            times = sorted(at for one, at in shown if one == key and at <= t)
            run: list[int] = []
            for at in times:
                run = [*run, at] if run and at - run[-1] <= REMEMBERED else [at]
            if not run or t - run[-1] > REMEMBERED:
                continue
            quiet = t - run[-1]
            found.append(
                Mark(
                    begin + 3600 * t,
                    "views",
                    begin + 3600 * run[0],
                    key,
                    (key,),
                    -1,
                    60.0 + len(run),
                    "SHOWN" if quiet == 0 else "QUIET" if quiet == 1 else "CLOSED",
                )
            )
    return tuple(found)


def _advance(*anomalous: int, size: int = 12) -> Advance:
    changes = {(("app", "de"), t): 10.0 for t in anomalous}
    return advance(CHOSEN, EventState(), _scores(size, changes), None)


def test_consecutive_intervals_are_one_event() -> None:
    (group,) = _advance(3, 4, 5).groups

    assert (group.start, group.end) == (BEGIN + 3 * HOUR, BEGIN + 6 * HOUR)
    assert (group.state, group.direction, group.series_count) == ("CLOSED", "down", 1)
    assert (group.actual, group.expected) == (30.0, 300.0)
    assert group.slices == ({"platform": "app", "marketplace": "de"},)
    assert group.contributions == {"platform": {"app": 100.0}, "marketplace": {"de": 100.0}}
    assert group.id == group_id("shop", "views", group.start, ("app", "de"))
    assert [point.start for point in group.points] == [BEGIN + t * HOUR for t in (3, 4, 5)]


def test_quiet_intervals_add_nothing() -> None:
    first, second = _advance(2, 4, 9).groups

    assert (first.start, first.end) == (BEGIN + 2 * HOUR, BEGIN + 5 * HOUR)
    assert (second.start, second.end) == (BEGIN + 9 * HOUR, BEGIN + 10 * HOUR)
    assert first.expected == 200.0


@pytest.mark.parametrize(("last", "state"), [(11, "OPEN"), (10, "OPEN"), (9, "CLOSED")])
def test_an_event_is_open_as_long_as_the_detector_says(last: int, state: str) -> None:
    done = _advance(last)

    assert done.groups[0].state == state
    assert len(done.carried.open) == 1


def test_a_carried_event_that_ends_is_handed_out_once_more() -> None:
    whole = _scores(16, {(("app", "de"), 11): 10.0})
    carried = advance(CHOSEN, EventState(), _cut(whole, 0, 12), None).carried

    done = advance(CHOSEN, carried, _cut(whole, 12, 16), None)

    assert [group.state for group in done.groups] == ["CLOSED"]
    assert done.groups[0].start == BEGIN + 11 * HOUR
    assert not done.carried.open


def _cut(scores: Scores, begin: int, end: int) -> Scores:
    series = {
        name: getattr(scores, name)[begin:end]
        for name in ("actual", "expected", "lower", "upper", "severity", "direction", "anomalous")
    }
    kept = set(scores.starts[begin:end].astype(np.int64).tolist())
    marks = tuple(mark for mark in scores.marks if mark.at in kept)
    return Scores(
        scores.starts[begin:end],
        scores.dimensions,
        scores.slices,
        scores.measures,
        **series,
        marks=marks,
    )


@hypothesis_settings(max_examples=80)
@given(
    st.dictionaries(
        st.tuples(st.sampled_from(SLICES), st.integers(0, 15)),
        st.sampled_from([0.1, 1 / 3, 333.3, 1e6, float("nan")]),
        max_size=20,
    ),
    st.integers(0, 16),
)
def test_windows_with_carried_events_give_the_same_groups(
    changes: dict[tuple[tuple[str, str], int], float], at: int
) -> None:
    whole = _scores(16, changes)

    full = advance(CHOSEN, EventState(), whole, starts(17)[at])
    first = advance(CHOSEN, EventState(), _cut(whole, 0, at), None)
    carried = events_from_json(events_to_json(first.carried))
    second = advance(CHOSEN, carried, _cut(whole, at, 16), None)

    assert full.carried == first.carried == carried
    kept = {group.id: group for group in first.groups} | {
        group.id: group for group in second.groups
    }
    late = {group.id for group in second.groups}
    expected = {group.id: group for group in full.groups}
    assert set(kept) == set(expected)
    assert all(kept[name] == expected[name] for name in late)
    # What the later window no longer touches was closed, or is closed by its quiet start.
    assert all(kept[name].points == expected[name].points for name in expected)


@hypothesis_settings(max_examples=30)
@given(
    st.dictionaries(
        st.tuples(st.sampled_from(SLICES), st.integers(0, 7)), st.floats(0, 1e9), max_size=20
    )
)
def test_shares_sum_to_a_hundred(changes: dict[tuple[tuple[str, str], int], float]) -> None:
    for group in advance(CHOSEN, EventState(), _scores(8, changes), None).groups:
        assert group.slices
        for shares in group.contributions.values():
            assert sum(round(100 * share) for share in shares.values()) == 10_000
        assert groups_from_bytes(groups_to_bytes([group])) == (group,)


def test_a_slice_without_rows_counts_as_zero() -> None:
    (group,) = advance(CHOSEN, EventState(), _scores(8, {(("app", "de"), 5): np.nan}), None).groups

    assert group.slices == ({"platform": "app", "marketplace": "de"},)
    assert (group.actual, group.expected) == (0.0, 100.0)
    assert group.contributions["platform"] == {"app": 100.0}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 0, "open": []}'])
def test_events_that_cannot_be_read_say_what_to_do(text: str) -> None:
    with pytest.raises(PermanentError, match="start the pipeline again"):
        events_from_json(text)
