"""What is chance in intervals of minutes: noise hides errors, few rows come, and values repeat."""

from __future__ import annotations

import numpy as np
import pytest
from anomaly_detector.config import ROLLED_UP
from anomaly_detector.detection.rules import Rules
from anomaly_detector.replay import _slots, replay
from anomaly_detector.snapshot import Snapshot
from numpy.typing import NDArray

from tests.unit.detection_panels import panel, settings, starts

DAY, FIVE_MINUTES = 288, 300
WEEK = 7 * DAY
NO_TIME, QUARTER = np.timedelta64(0, "s"), np.timedelta64(900, "s")
Series = NDArray[np.float64]


def _night(weeks: int, depth: float) -> Series:
    """Profile of a day with a mean of one, lowest at midnight."""
    at = np.arange(weeks * WEEK) % DAY
    return 1.0 - depth * np.cos(2 * np.pi * at / DAY)


def test_a_weekend_is_expected_of_what_is_known_of_weekends() -> None:
    # given four weeks of few orders by day, and hardly any on weekends
    at = np.arange(4 * WEEK)
    opened = (at % DAY >= DAY // 4) & (at % DAY < 5 * DAY // 6)
    expected = np.where(opened, 3.0, 0.0) * np.where(at // DAY % 7 >= 5, 0.05, 1.0)
    orders = np.random.default_rng(1).poisson(expected).astype(np.float64)
    chosen = settings("PT5M")
    noon = 3 * WEEK + 5 * DAY + DAY // 2
    before = panel({"a": np.where(opened, orders, np.nan)[:noon]}, FIVE_MINUTES)
    state = replay(chosen, Snapshot.initial(chosen), before).after.state
    # when the fourth Saturday comes, then it is not expected to be a mean of all days
    slots = _slots(chosen, starts(noon + 1, FIVE_MINUTES))[noon]
    shown = state.judge(Rules.of(chosen), np.zeros((1, 1)), np.ones((1, 1)), None, slots)
    assert shown.expectation.expected.item() < 0.3


def _cents(weeks: int, leaves: int = 16) -> tuple[Series, Series]:
    """Amounts in cents, of which only a few come by night, and their sum."""
    random = np.random.default_rng(2)
    means = 0.3 * _night(weeks, 0.85)
    own = np.round(random.gamma(4.0, means / 4.0, (leaves, len(means))), 2)
    return own, np.round(own.sum(axis=0), 2)


@pytest.mark.parametrize("stuck", [False, True])
def test_cents_that_repeat_by_chance_are_not_stuck(*, stuck: bool) -> None:
    own, total = _cents(3)
    begin = 2 * WEEK + DAY // 2
    if stuck:
        own[3, begin : begin + 24] = own[3, begin]
    series = {f"leaf {n}": one for n, one in enumerate(own)} | {ROLLED_UP: total}

    chosen = settings("PT5M", false_events_per_week=1)
    found = replay(chosen, Snapshot.initial(chosen), panel(series, FIVE_MINUTES)).groups

    assert [(one.kind, one.slices) for one in found] == (
        [("stuck", ({"platform": "leaf 3"},))] if stuck else []
    )
