"""What a change is measured by, in slices of all sizes: how they vary, and what part is left."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from anomaly_detector.config import ROLLED_UP
from anomaly_detector.events.group import Group
from anomaly_detector.panel import Panel, second
from anomaly_detector.replay import replay
from anomaly_detector.snapshot import Snapshot
from numpy.typing import NDArray

from tests.unit.detection_panels import panel, settings

Series = NDArray[np.float64]
WEEK = 168
BEGIN = 11 * WEEK + 61
SIZE = 12 * WEEK


def _told(whole: Panel, **rule: str) -> list[Group]:
    """Events of the last week."""
    chosen = settings(measures={"views": rule}, false_events_per_week=1)
    groups = replay(chosen, Snapshot.initial(chosen), whole).groups
    return [one for one in groups if second(one.start) >= whole.starts[11 * WEEK]]


def _counts(faded: int) -> dict[str, Series]:
    """Counts that vary by more than chance where they are large, and some that fade away."""
    random = np.random.default_rng(3)
    day = 1 + 0.4 * np.sin(np.arange(SIZE) * 2 * np.pi / 24)
    leaves = {}
    for size in (3, 4, 5, 6, 200, 400, 800, 1600, 3200, 6400):
        noise = np.exp(0.12 * random.normal(size=SIZE))
        leaves[f"of {size}"] = random.poisson(size * day * noise).astype(np.float64)
    ends = np.exp(-np.maximum(np.arange(SIZE) - 2 * WEEK, 0) / 24)
    for number in range(faded):
        leaves[f"faded {number}"] = random.poisson(0.4 * ends).astype(np.float64)
    return leaves


@pytest.mark.parametrize("faded", [0, 3])
def test_a_small_slice_is_told_though_others_have_faded_away(faded: int) -> None:
    # given large leaves that vary by much more than small ones, and some that are gone for weeks
    leaves = _counts(faded)
    total = np.sum(list(leaves.values()), axis=0)
    whole = panel({ROLLED_UP: total} | leaves)
    # when thrice as much as usual comes in one of the smallest for six hours
    fault = slice(BEGIN, BEGIN + 6)
    whole.values[fault, 0, 1 + list(leaves).index("of 4")] += 10
    whole.values[fault, 0, 0] += 10
    # then it is told, and nothing else
    (event,) = _told(whole)
    assert event.slices == ({"platform": "of 4"},)


def _rates(usual: float, later: float) -> Panel:
    """Shares of 100 to 400 rows an hour in eight slices, one of which changes for a day."""
    random = np.random.default_rng(5)
    rows = random.poisson(np.linspace(100, 400, 8), (SIZE, 8)).astype(np.float64)
    chance = np.full((SIZE, 8), usual)
    chance[BEGIN : BEGIN + 24, 4] = later
    hits = random.binomial(rows.astype(np.int64), chance).astype(np.float64)
    of_all = hits.sum(axis=1) / rows.sum(axis=1)
    names = {f"s{number}": hits[:, number] / rows[:, number] for number in range(8)}
    whole = panel({ROLLED_UP: of_all} | names)
    counts = np.concatenate([rows.sum(axis=1, keepdims=True), rows], axis=1)
    return replace(whole, counts=counts[:, None, :])


@pytest.mark.parametrize(("usual", "later"), [(0.05, 0.1), (0.95, 0.9)])
def test_a_share_near_one_changes_by_what_is_left_of_it(usual: float, later: float) -> None:
    # given shares of errors, and shares of successes
    whole = _rates(usual, later)
    # when twice as much fails in a slice for a day, then either is told, and is severe
    (event,) = _told(whole, aggregation="AVG")
    assert event.slices == ({"platform": "s4"},)
    assert event.severity >= 60
