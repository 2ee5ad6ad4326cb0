"""A detector without dimensions: each measure has one series, judged by its own record."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest
from anomaly_detector.detection import THRESHOLD_SEVERITY, scan
from anomaly_detector.panel import Panel, Scores, second
from anomaly_detector.replay import Replay, replay
from anomaly_detector.snapshot import Snapshot, from_bytes, to_bytes
from numpy.typing import NDArray

from tests.unit.detection_panels import cut, settings, starts

Array = NDArray[np.float64]

DAY, WEEK = 24, 168
HOURS = 6 * WEEK


def _noise(seed: int, size: int = HOURS) -> Array:
    """Hours of a mean without season."""
    return np.random.default_rng(seed).normal(100, 3, size)


def _replayed(values: Array, aggregation: str = "AVG", budget: float = 1.0) -> Replay:
    chosen = settings(
        measures={"value": {"aggregation": aggregation}},
        dimensions=(),
        false_events_per_week=budget,
    )
    return replay(chosen, Snapshot.initial(chosen), _panel(values))


def _panel(values: Array) -> Panel:
    one = values[:, None, None]
    none = np.empty((1, 0), dtype=object)
    counts = np.isfinite(one).astype(np.float64)
    return Panel(starts(len(values)), (), none, ("value",), one, counts)


def _opened(done: Replay) -> list[int]:
    """Hours at which events begin."""
    return [int(np.searchsorted(done.scores.starts, second(group.start))) for group in done.groups]


def _leaping(seed: int) -> Array:
    """A mean that rises in an hour of each day, at any time of it, by more or less."""
    values, random = _noise(seed), np.random.default_rng(seed)
    for day in range(0, HOURS, DAY):
        values[day + random.integers(0, DAY - 1)] += 40 * np.exp(0.5 * random.normal())
    return values


def test_a_mean_that_leaps_every_day_opens_no_event_every_day(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Given a mean that leaps on every day of six weeks, once
    values = _leaping(1)

    # When it is replayed, then few of the 28 leaps from the third week on are events: not half as
    # many as where earlier runs of evidence do not count
    found = [hour for hour in _opened(_replayed(values)) if hour >= 2 * WEEK]
    assert len(found) <= 4
    monkeypatch.setattr(scan, "BEYOND_RUNS", 0.0)
    assert len([hour for hour in _opened(_replayed(values)) if hour >= 2 * WEEK]) > 2 * len(found)


def test_what_is_larger_than_the_leaps_of_a_mean_is_an_event() -> None:
    # Given the same, and a fault that is much larger and lasts longer
    values, fault = _leaping(1), 5 * WEEK + 15
    values[fault : fault + 8] += 400

    # When it is replayed, then the fault is an event
    assert set(_opened(_replayed(values))) & set(range(fault, fault + 8))


@pytest.mark.parametrize("aggregation", ["AVG", "SUM"])
@pytest.mark.parametrize("hour", [5 * DAY + 10, 4 * WEEK + 10])
def test_a_severe_value_is_an_event_also_in_the_first_weeks(hour: int, aggregation: str) -> None:
    # Given a fault of a single hour, in the first week or later
    values = _noise(2)
    values[hour] += 60

    # When it is replayed
    done = _replayed(values, aggregation)

    # Then its value is severe, and the event begins with it
    assert done.scores.severity[hour, 0, 0] >= THRESHOLD_SEVERITY
    (event,) = [group for group in done.groups if second(group.start) == done.scores.starts[hour]]
    assert event.severity >= THRESHOLD_SEVERITY
    assert event.direction == "up"


def test_each_fault_of_a_day_is_an_event_of_its_own() -> None:
    # Given two faults, eight hours apart
    values, hours = _noise(3), [4 * WEEK + 8, 4 * WEEK + 16]
    values[hours] += 60

    # When they are replayed, then each is told
    assert set(hours) <= set(_opened(_replayed(values)))


def test_the_way_back_into_the_band_is_not_severe() -> None:
    # Given faults of one and of several hours
    values, faults = _noise(4), {4 * WEEK + 9: 1, 5 * WEEK + 9: 5}
    for hour, hours in faults.items():
        values[hour : hour + hours] += 60

    # When they are replayed, then they are severe, and the first value after each is not
    scores = _replayed(values).scores
    severity = scores.severity[:, 0, 0]
    for hour, hours in faults.items():
        assert severity[hour] >= THRESHOLD_SEVERITY
        back = hour + hours
        assert scores.lower[back, 0, 0] <= values[back] <= scores.upper[back, 0, 0]
        assert severity[back] < THRESHOLD_SEVERITY


def test_a_single_series_in_pieces_is_told_as_in_full() -> None:
    # Given a series with leaps and faults, and three ways to cut it into calls, scored or not
    values = _leaping(5)[: 4 * WEEK]
    values[[3 * DAY, 3 * WEEK]] += 90
    chosen = settings(
        measures={"value": {"aggregation": "AVG"}}, dimensions=(), false_events_per_week=1.0
    )
    panel = _panel(values)
    whole = replay(chosen, Snapshot.initial(chosen), panel)

    for ends in ([3 * DAY, 3 * DAY + 1], [2 * WEEK + 5], [WEEK, 3 * WEEK, 3 * WEEK + 1]):
        # When it is replayed in pieces, each from a stored snapshot, and the first is not scored
        snapshot, begin = Snapshot.initial(chosen), 0
        for end in [*ends, len(values)]:
            piece = cut(panel, begin, end)
            unscored = panel.starts[end - 1] + np.timedelta64(3600, "s") if not begin else None
            done = replay(chosen, snapshot, piece, score_from=unscored)
            if begin:
                _assert_same(whole.scores, done.scores, slice(begin, end))
            snapshot, begin = from_bytes(to_bytes(done.after)), end

        # Then all that is remembered is the same
        for name, array in whole.after.state.named().items():
            assert array.tobytes() == snapshot.state.named()[name].tobytes(), name


def _assert_same(whole: Scores, piece: Scores, where: slice) -> None:
    for part in fields(Scores):
        if part.name in ("dimensions", "measures", "slices"):
            continue
        one: Any = getattr(whole, part.name)[where]
        other: Any = getattr(piece, part.name)
        assert np.ascontiguousarray(one).tobytes() == other.tobytes(), part.name


def test_a_dip_of_a_success_rate_is_judged_by_what_fails() -> None:
    # Given a success rate that hardly varies, of which five to ten times as much fails for an hour
    random = np.random.default_rng(7)
    values, fault = 1 - 0.001 * np.exp(0.3 * random.normal(size=4 * WEEK)), 3 * WEEK + 30
    values[fault] = 0.99

    # When it is replayed, then that is severe, as it is of the error rate, which is its mirror
    for one in (values, 1 - values):
        severity = _replayed(one).scores.severity[:, 0, 0]
        assert severity[fault] >= THRESHOLD_SEVERITY
        assert (severity >= THRESHOLD_SEVERITY).sum() <= 3


def _quarters(leaps: list[int], size: int) -> Replay:
    """Quarters of an hour of noise with leaps of half an hour, by 24, 38 and 60 in turn."""
    values = np.random.default_rng(8).normal(100, 3, size)
    for place, leap in enumerate(leaps):
        values[leap : leap + 2] += 24 * (1, 1.6, 2.5)[place % 3]
    chosen = settings(
        "PT15M",
        measures={"value": {"aggregation": "AVG"}},
        dimensions=(),
        false_events_per_week=1.0,
    )
    one = values[:, None, None]
    none = np.empty((1, 0), dtype=object)
    panel = Panel(starts(size, 900), (), none, ("value",), one, np.ones_like(one))
    return replay(chosen, Snapshot.initial(chosen), panel)


def test_faults_that_are_rare_do_not_hide_the_next() -> None:
    # Given a series that is hit twice a week, harder or less hard
    leaps = [4 * (2 * WEEK + place * 84 + 5 * (place % 4)) for place in range(8)]

    # When it is replayed, then each of them is severe
    severity = _quarters(leaps, 6 * 4 * WEEK).scores.severity[:, 0, 0]
    assert [leap for leap in leaps if severity[leap] < THRESHOLD_SEVERITY] == []


def test_what_follows_a_fault_lasts_from_its_newest_leap() -> None:
    # Given noise that leaps, and again before a quarter of a day has passed
    first = 4 * 2 * WEEK
    done = _quarters([first, first + 16], first + 32)

    # When it is replayed, then what follows is judged as such for a quarter of a day more: of its
    # 24 intervals, 15 have passed
    assert done.after.state.surprise.aftermath[1, 0, 0] == 24 - 15
