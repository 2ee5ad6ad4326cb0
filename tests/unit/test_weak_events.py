"""Weak events by chance raise the threshold where they come more often than was asked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from anomaly_detector.config import ROLLED_UP
from anomaly_detector.detection import scan
from anomaly_detector.panel import Panel, second
from anomaly_detector.replay import Replay, replay
from anomaly_detector.snapshot import Snapshot
from numpy.typing import NDArray

from tests.unit.detection_panels import panel, settings

Series = NDArray[np.float64]
WEEK = 168
LEAVES = 24


def _leaves(weeks: int, seed: int = 1) -> list[Series]:
    """Counts with a day, and noise of their own with tails as of Student's t."""
    random = np.random.default_rng(seed)
    at = np.arange(weeks * WEEK)
    day = 1 + 0.4 * np.sin(at * 2 * np.pi / 24)
    return [
        np.asarray(random.poisson(400 * day) * np.exp(0.08 * random.standard_t(5, len(at))))
        for _ in range(LEAVES)
    ]


def _with_total(leaves: Sequence[Series]) -> Panel:
    whole = [np.round(one) for one in leaves]
    return panel(
        {ROLLED_UP: np.sum(whole, axis=0)} | {f"leaf {n}": one for n, one in enumerate(whole)}
    )


def _replayed(whole: Panel) -> Replay:
    chosen = settings(false_events_per_week=1)
    return replay(chosen, Snapshot.initial(chosen), whole)


def test_weak_events_come_less_often_once_it_is_known_how_often_they_come(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # given leaves that rise for three hours now and then, by about as much as an event needs
    random = np.random.default_rng(1)
    leaves = _leaves(20)
    for leaf in leaves:
        for at in np.flatnonzero(random.random(len(leaf)) < 1 / 250).tolist():
            leaf[at : at + 3] *= 1 + random.exponential(0.25)
    whole = _with_total(leaves)

    def told() -> int:
        return sum(second(one.start) >= whole.starts[8 * WEEK] for one in _replayed(whole).groups)

    # when they are counted, then of nearly three a week about one is told, as was asked
    assert 6 <= told() <= 18
    monkeypatch.setattr(scan, "MOST_RAISED", 1.0)
    assert told() >= 30


def test_real_faults_do_not_hide_those_that_follow(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a fault each fourth day, for ten weeks, and one that is just strong enough
    leaves = _leaves(14)
    for n, at in enumerate(range(3 * WEEK, 13 * WEEK, 96)):
        leaves[n % LEAVES][at : at + 6] *= 0.3
    begin = 13 * WEEK + 60
    leaves[3][begin : begin + 4] *= 0.68
    whole = _with_total(leaves)
    # when it is replayed, then it is told, and nearly all that would be told if none were counted
    groups = _replayed(whole).groups
    span = whole.starts[begin], whole.starts[begin + 4]
    (weak,) = (one for one in groups if span[0] <= second(one.start) < span[1])
    assert weak.slices == ({"platform": "leaf 3"},)
    assert weak.severity < scan.WEAK_BELOW
    monkeypatch.setattr(scan, "MOST_RAISED", 1.0)
    without = {one.id for one in _replayed(whole).groups}
    assert len(without & {one.id for one in groups}) >= 0.9 * len(without)
