"""A fault too weak for an hour to tell does not become its own forecast while evidence adds up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from anomaly_detector.config import ROLLED_UP
from anomaly_detector.detection import scan
from anomaly_detector.panel import Panel
from anomaly_detector.replay import replay
from anomaly_detector.snapshot import Snapshot

from tests.unit.detection_panels import panel, settings

WEEK = 168
LEAVES, SIZE, BEGIN, HOURS = 8, 20.0, 8 * WEEK + 30, 48


def _world(seed: int, rise: float) -> Panel:
    """Counts of eight platforms; all of them rise by a share for some hours at the end."""
    random = np.random.default_rng(seed)
    normal = np.full(BEGIN + HOURS, SIZE)
    normal *= 1 + 0.4 * np.sin(np.arange(len(normal)) * 2 * np.pi / 24)
    normal[BEGIN:] *= 1 + rise
    leaves = {f"p{number}": random.poisson(normal).astype(np.float64) for number in range(LEAVES)}
    return panel({ROLLED_UP: np.sum(list(leaves.values()), axis=0)} | leaves)


def _learned(world: Panel, place: int) -> float:
    """What the expectation of a series grows by from the first day of the rise to the second."""
    chosen = settings(measures={"views": {}}, false_events_per_week=0.01)
    scores = replay(chosen, Snapshot.initial(chosen), world, score_from=world.starts[BEGIN]).scores
    expected = scores.expected[-HOURS:, 0, place]
    return float(np.sum(expected[24:]) / np.sum(expected[: HOURS - 24])) - 1.0


def test_a_weak_fault_of_all_does_not_become_its_own_forecast(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    worlds = [_world(seed, 0.07) for seed in range(6)]
    cautious = np.mean([_learned(world, 0) for world in worlds])
    # A leaf may fade or grow, and is followed as ever.
    leaf = [_learned(world, 1) for world in worlds]
    monkeypatch.setattr(scan, "CAUTION", 0.0)
    rash = np.mean([_learned(world, 0) for world in worlds])
    assert 0 < cautious < 0.8 * rash
    assert leaf == [_learned(world, 1) for world in worlds]


def test_short_intervals_are_followed_as_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    # given a rise of 12 hours in intervals of five minutes
    random, day = np.random.default_rng(1), 288
    leaves = random.poisson(20.0, (10 * day, LEAVES)).astype(np.float64)
    leaves[-day // 2 :] = random.poisson(21.5, (day // 2, LEAVES))
    names = {f"p{number}": leaves[:, number] for number in range(LEAVES)}
    whole = panel({ROLLED_UP: leaves.sum(axis=1)} | names, seconds=300)
    chosen = settings("PT5M", false_events_per_week=0.01)
    # when it is replayed with and without caution, then nothing differs
    cautious = replay(chosen, Snapshot.initial(chosen), whole).scores
    monkeypatch.setattr(scan, "CAUTION", 0.0)
    rash = replay(chosen, Snapshot.initial(chosen), whole).scores
    np.testing.assert_array_equal(cautious.expected, rash.expected)


def test_intervals_without_any_slice_are_learned() -> None:
    chosen, one = settings(measures={"views": {}}), panel({ROLLED_UP: np.ones(5)})
    nothing = replace(
        one, slices=one.slices[:0], values=one.values[:, :, :0], counts=one.counts[:, :, :0]
    )
    assert not replay(chosen, Snapshot.initial(chosen), nothing).groups
