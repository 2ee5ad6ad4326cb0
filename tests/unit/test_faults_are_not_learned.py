"""What an event shows is no habit and in no profile: what comes after it is expected as ever."""

from __future__ import annotations

import numpy as np
import pytest
from anomaly_detector.config import ROLLED_UP
from anomaly_detector.detection.recurring import Moments
from anomaly_detector.panel import Scores
from anomaly_detector.replay import Replay, replay
from anomaly_detector.snapshot import Snapshot
from numpy.typing import NDArray

from tests.unit.detection_panels import (
    DIMENSIONS,
    SMALL_MARKETS,
    SMALL_PLATFORMS,
    rolled_up,
    settings,
)

WEEK = 7 * 24
Values = NDArray[np.float64]


def _usage(size: int, seed: int, weekend: float = 1.0) -> Values:
    """Counts of three platforms and three markets an hour, (9, size), by day more than by night."""
    at = np.arange(size)
    shape = 1 + 0.5 * np.sin((at - 8) * 2 * np.pi / 24)
    shape *= np.where(at // 24 % 7 >= 5, weekend, 1.0)
    sizes = np.linspace(600, 1400, 9)
    return np.random.default_rng(seed).poisson(np.multiply.outer(sizes, shape)).astype(np.float64)


def _of(market: str) -> NDArray[np.bool_]:
    return np.array([one == market for _ in SMALL_PLATFORMS for one in SMALL_MARKETS])


def _replayed(leaves: Values) -> Replay:
    chosen = settings(measures={"views": {}}, dimensions=DIMENSIONS)
    return replay(chosen, Snapshot.initial(chosen), rolled_up(leaves, 3600))


def _slice(scores: Scores, name: tuple[str, str]) -> tuple[Values, Values]:
    """Expected and actual values of a slice."""
    place = [tuple(one) for one in scores.slices.tolist()].index(name)
    return scores.expected[:, 0, place], scores.actual[:, 0, place]


def test_jobs_of_what_is_gone_are_gone_from_its_roll_ups() -> None:
    """The job that did not come for three nights was a habit before its end was accepted, so that
    the total kept it.
    """
    size, gone = 8 * WEEK, 7 * WEEK + 4
    leaves = _usage(size, 3)
    # One platform is nothing but a job of the first two hours.
    job = np.array([one == SMALL_PLATFORMS[0] for one in SMALL_PLATFORMS for _ in SMALL_MARKETS])
    leaves[job] = np.where(np.arange(size) % 24 < 2, 40 * leaves[job], 0)
    leaves[_of("us"), gone:] = 0

    expected, actual = _slice(_replayed(leaves).scores, (ROLLED_UP, ROLLED_UP))

    nights = [gone + 72 + 20 + hour for hour in (0, 1, 24, 25)]
    assert np.abs(expected[nights] / actual[nights] - 1).max() < 0.15


def test_a_new_value_changes_no_weekend_of_its_roll_ups() -> None:
    """It came on the first weekend after another one's end had been accepted: what it brought was
    learned as that of the weekend, and added once more.
    """
    size, gone, born = 10 * WEEK, 7 * WEEK + 10, 8 * WEEK + 3 * 24 + 12
    leaves = _usage(size, 4, weekend=0.4)
    leaves[_of("us"), gone:] = 0
    leaves[_of("it"), :born] = 0

    scores = _replayed(leaves).scores
    # Its own weekends are not known yet.
    total, new = (_slice(scores, (ROLLED_UP, market)) for market in (ROLLED_UP, "it"))

    weekend = slice(9 * WEEK + 5 * 24, 10 * WEEK)
    expected, actual = ((one - other)[weekend].sum() for one, other in zip(total, new, strict=True))
    assert abs(expected / actual - 1) < 0.1


@pytest.mark.parametrize(("days", "every_day"), [((1, 2, 3), True), ((0, 2, 3), False)])
def test_what_came_on_three_days_in_a_row_comes_every_day(
    *, days: tuple[int, ...], every_day: bool
) -> None:
    """Three faults that happen to fall on the nightly job within four days are no habit."""
    moments = Moments.fresh(settings(), 1)
    out, found = np.ones((1, 1), dtype=np.bool_), None
    for day in days:
        moments.learn(20_000 + day, 2, np.full((1, 1), -0.4), out, out, out, 1 / 12)
        found = moments.daily(20_000 + day, 2, out)

    assert (found is not None) == every_day
