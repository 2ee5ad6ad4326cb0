"""Days that are unlike the days before, which no sum over a window of them shows."""

from __future__ import annotations

import numpy as np
import pytest
from anomaly_detector.config import ROLLED_UP
from anomaly_detector.detection.day import HOURS, season, varies
from anomaly_detector.panel import Panel
from anomaly_detector.replay import replay
from anomaly_detector.snapshot import Snapshot
from numpy.typing import NDArray

from tests.unit.detection_panels import panel, settings

WEEK = 24 * 7
Series = NDArray[np.float64]
PROFILE = 1 - 0.5 * np.cos(2 * np.pi * np.arange(HOURS) / HOURS)
EXPECTED = 100 * PROFILE[:, None]
ONE = np.ones(1)


def _sums(broken: slice, seed: int) -> Panel:
    """Twelve leaves and their total; one has the values of other hours for a while."""
    random = np.random.default_rng(seed)
    day = np.tile(PROFILE, 42)
    leaves = [5.0 * (1 + leaf % 4) * day for leaf in range(12)]
    leaves[0][broken] = 5.0 * np.roll(day, HOURS // 2)[broken]
    counts = [random.poisson(leaf) * 1.0 for leaf in leaves]
    series = {ROLLED_UP: np.sum(counts, axis=0)}
    series |= {f"leaf {place:02d}": count for place, count in enumerate(counts)}
    return panel({name: np.where(one == 0, np.nan, one) for name, one in series.items()})


@pytest.mark.parametrize("seed", [3, 5])
def test_a_broken_season_is_an_event_though_each_half_day_says_little(seed: int) -> None:
    # given a small slice that has for a day and a half at night what it usually has by day
    whole = _sums(slice(5 * WEEK + 6, 5 * WEEK + 42), seed)
    chosen = settings(measures={name: {} for name in whole.measures}, false_events_per_week=1)
    # when it is replayed, then that is told of it alone
    (event,) = replay(chosen, Snapshot.initial(chosen), whole).groups
    assert event.slices == ({"platform": "leaf 00"},)


def test_a_level_is_no_change_of_season_and_varies_not() -> None:
    change = -0.3 * EXPECTED
    assert season(change, EXPECTED, ONE)[0] == pytest.approx(0.0, abs=1e-9)
    assert varies(change, EXPECTED, EXPECTED)[0] == pytest.approx(0.0, abs=1e-9)


def test_a_flat_day_is_one_and_a_steeper_one_is_none() -> None:
    flat = EXPECTED.mean() - EXPECTED
    assert season(flat, EXPECTED, ONE)[0] > 20
    assert season(-flat, EXPECTED, ONE)[0] == 0


def test_a_day_without_a_season_tells_nothing_of_one() -> None:
    random = np.random.default_rng(1)
    level = np.full((HOURS, 1), 100.0)
    assert season(random.normal(0, 50, (HOURS, 1)), level, ONE)[0] == 0


def test_one_hour_tells_little_of_a_day() -> None:
    # given a night hour that is ten times the usual, and nothing else
    change = np.zeros((HOURS, 1))
    change[0] = 9 * EXPECTED[0]
    # then it is no season, nor more variance
    assert season(change, EXPECTED, ONE)[0] < 5
    assert varies(change, EXPECTED, EXPECTED)[0] < 5


def test_more_variance_is_told_by_all_hours_and_the_usual_by_none() -> None:
    sides = np.where(np.arange(HOURS) % 2, 1.0, -1.0)[:, None] * np.sqrt(EXPECTED)
    assert varies(sides, EXPECTED, EXPECTED)[0] < 0.1
    assert varies(2.5 * sides, EXPECTED, EXPECTED)[0] > 30


def test_hours_that_expect_nothing_have_no_part_in_a_day() -> None:
    # given a shop that is closed for half of the day
    bases = EXPECTED.copy()
    bases[: HOURS // 2] = 0
    change = np.where(bases > 0, 2.5 * np.sqrt(bases), 0.0)
    change[::2] *= -1
    # then its open hours alone count
    assert varies(change, bases, bases)[0] == pytest.approx(
        varies(change[HOURS // 2 :], bases[HOURS // 2 :], bases[HOURS // 2 :])[0]
    )
    assert np.isfinite(season(change, bases, ONE)).all()
