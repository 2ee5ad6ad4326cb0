"""A season whose length an input names."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np
import pytest
from anomaly_detector.detection import DetectorSettings
from anomaly_detector.detection.slots import season_slots
from anomaly_detector.intervals import Grid
from anomaly_detector.panel import Panel
from anomaly_detector.replay import Replay
from anomaly_detector.replay import replay as replayed
from anomaly_detector.snapshot import Snapshot, from_bytes, to_bytes

from tests.unit.detection_panels import by_measure, cut, seasonal, settings

DAY = 86_400


def days(seed: int, *, fault: bool = False) -> Panel:
    """Two years of days: every tenth is larger, the others rise towards it; a missing tenth."""
    random = np.random.default_rng(seed)
    size = 700
    place = np.arange(size) % 10
    values = 1000 * (1 + 0.05 * place) * np.exp(random.normal(0, 0.03, size))
    values[place == 9] *= 2.0
    if fault:
        values[669] /= 2.0
    return by_measure({"views": [values]}, DAY)


def run(panel: Panel, season: int | None, interval: str = "P1D") -> tuple[DetectorSettings, Replay]:
    chosen = settings(interval, {name: {} for name in panel.measures}, season_intervals=season)
    begin = len(panel.starts) // 2
    done = replayed(chosen, Snapshot.initial(chosen), panel, score_from=panel.starts[begin])
    return chosen, done


@pytest.mark.parametrize("seed", [1, 2])
def test_a_season_of_ten_days_is_expected_if_its_length_is_given(seed: int) -> None:
    whole = days(seed)
    # given no season, then the tenth day is not expected; given one, it is, and there is no event
    errors = []
    for season in (None, 10):
        _, done = run(whole, season)
        scores = done.scores
        errors.append(np.median(np.abs(scores.expected / scores.actual - 1)[9::10]))
        assert season is None or done.groups == ()
    assert errors[1] < 0.08 < errors[0]


@pytest.mark.parametrize("seed", [3, 4])
def test_a_tenth_day_that_is_as_the_others_is_an_event(seed: int) -> None:
    whole = days(seed, fault=True)
    _, done = run(whole, 10)
    found = {group.start.replace(tzinfo=None) for group in done.groups}
    assert found <= {whole.starts[669].item()}
    assert done.scores.anomalous[669 - 350, 0, 0]


def test_a_season_of_hours_that_are_no_days() -> None:
    # given a machine that runs for 36 hours, beside the day
    size = 24 * 70
    values = seasonal(size, noise=0.04)
    values[np.arange(size) % 36 < 4] *= 1.7
    whole = by_measure({"views": [values]})
    _, without = run(whole, None, "PT1H")
    _, done = run(whole, 36, "PT1H")
    errors = [np.abs(one.scores.expected / one.scores.actual - 1) for one in (without, done)]
    assert np.mean(errors[1]) < 0.5 * np.mean(errors[0])
    assert done.groups == ()


def test_in_pieces_and_at_once_are_the_same() -> None:
    whole = days(5, fault=True)
    chosen, _ = run(whole, 10)
    once = replayed(chosen, Snapshot.initial(chosen), whole)
    snapshot = Snapshot.initial(chosen)
    for begin, end in pairwise([0, 33, 34, 400, 700]):
        snapshot = from_bytes(to_bytes(replayed(chosen, snapshot, cut(whole, begin, end)).after))
    assert to_bytes(snapshot) == to_bytes(once.after)


@pytest.mark.parametrize(
    ("interval", "zone", "length", "begin"),
    [
        ("PT1H", "Europe/Berlin", 48, datetime(2025, 3, 29, 23, tzinfo=UTC)),
        ("PT1H", "Asia/Kolkata", 36, datetime(2025, 3, 29, 18, 30, tzinfo=UTC)),
        ("PT5M", "America/New_York", 999, datetime(2025, 11, 1, 4, tzinfo=UTC)),
        ("P1D", "America/New_York", 10, datetime(2025, 10, 30, 4, tzinfo=UTC)),
        ("P1W", "Europe/Berlin", 52, datetime(2025, 10, 5, 22, tzinfo=UTC)),
        ("P1M", "Europe/Berlin", 12, datetime(2025, 8, 31, 22, tzinfo=UTC)),
    ],
)
def test_slots_of_a_season_follow_each_other(
    interval: str, zone: str, length: int, begin: datetime
) -> None:
    grid = Grid(interval, zone)  # type: ignore[arg-type]
    moments = [grid.shift(begin, number) for number in range(3 * length)]
    starts = np.array([one.replace(tzinfo=None) for one in moments], dtype="datetime64[s]")
    slots = season_slots(grid, starts, length)
    assert set(slots.tolist()) == set(range(length))
    # Each is followed by the next, except where clocks change, in seasons of whole days.
    steps = np.diff(slots) % length
    whole_days = length * grid.seconds % DAY == 0 and grid.seconds < DAY
    assert np.sum(steps != 1) <= (2 if whole_days else 0)
    assert timedelta(0) < moments[1] - moments[0]
