"""Minimum changes by level, and directions by slice: which events they leave."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from anomaly_detector.detection.rules import Rules
from anomaly_detector.lattice import Lattice
from anomaly_detector.panel import Panel
from anomaly_detector.replay import replay
from anomaly_detector.snapshot import Snapshot

from tests.unit.detection_panels import settings, starts

HOURS = 24 * 24
FAULT = slice(22 * 24 + 9, 22 * 24 + 13)


def panel(factors: dict[str, float]) -> Panel:
    """A shop's hours on two platforms, and their total; some are changed for four hours."""
    hours = np.arange(HOURS)
    level = 900.0 * (1 + 0.5 * np.sin(hours % 24 / 24 * 2 * np.pi))
    leaves = np.random.default_rng(3).poisson(level[:, None] * [0.8, 0.2]).astype(np.float64)
    for name, factor in factors.items():
        leaves[FAULT, "ab".index(name)] *= factor
    leaves = np.rint(leaves)
    values = np.concatenate([leaves.sum(axis=1, keepdims=True), leaves], axis=1)[:, None, :]
    slices = np.array([["*"], ["a"], ["b"]], dtype=object)
    return Panel(starts(HOURS), ("platform",), slices, ("views",), values, 9 * np.ones_like(values))


def events(factors: dict[str, float], **of_measure: Any) -> list[tuple[str, str]]:
    wanted = settings(measures={"views": of_measure})
    found = replay(wanted, Snapshot.initial(wanted), panel(factors)).groups
    return [(one.slices[0].get("platform", "*"), one.direction) for one in found]


def test_a_minimum_of_a_level_holds_for_its_slices_alone() -> None:
    big, rest = {"min_absolute_change": 1e6}, {"min_absolute_change": 1}
    assert events({"a": 0.8}, min_change_by_level={"total": big}) == [("a", "down")]
    assert events({"a": 0.8, "b": 0.8}, min_change_by_level={"leaves": big}) == [("*", "down")]
    assert events({"a": 0.8}, min_change_by_level={"leaves": big, "total": big}) == []
    # Of one dimension, leaves are single, too: the former counts.
    assert events({"a": 0.8}, min_change_by_level={"leaves": rest, "single": big, "total": big})


def test_a_level_stands_in_for_the_minimum_of_the_measure() -> None:
    low = {"leaves": {"min_absolute_change": 0}}
    assert events({"b": 0.2}, min_absolute_change=1e6) == []
    assert events({"b": 0.2}, min_absolute_change=1e6, min_change_by_level=low) == [("b", "down")]


@pytest.mark.parametrize(
    ("direction", "own", "factor", "found"),
    [
        ("both", "up", 0.2, []),
        ("both", "up", 2.0, [("b", "up")]),
        ("up", "down", 0.2, [("b", "down")]),
        ("up", "both", 0.2, [("b", "down")]),
        ("down", "up", 0.2, []),
    ],
)
def test_a_direction_of_a_slice_stands_in_for_that_of_the_measure(
    direction, own, factor, found
) -> None:
    rule = [{"dimension_filters": {"platform": ["b"]}, "direction": own}]
    told = events({"b": factor}, direction=direction, direction_by_slice=rule)
    assert [one for one in told if one[0] == "b"] == found


def test_the_first_direction_that_fits_counts_and_levels_are_told_apart() -> None:
    names = [("*", "*", "*"), ("a", "*", "*"), ("a", "x", "*"), ("a", "x", "1"), ("b", "*", "1")]
    slices = np.array(names, dtype=object)
    wanted = settings(
        dimensions=("platform", "market", "kind"),
        measures={
            "views": {
                "min_absolute_change": 5,
                "min_change_by_level": {
                    "total": {"min_absolute_change": 1000},
                    "pairs": {"min_relative_change": 0.5},
                    "leaves": {"min_absolute_change": 1},
                },
                "direction_by_slice": [
                    {"dimension_filters": {"platform": ["a"], "market": ["x"]}, "direction": "up"},
                    {"dimension_filters": {"platform": ["a", "b"]}, "direction": "down"},
                ],
            }
        },
    )
    rules = Rules.of(wanted).on(wanted, Lattice.of(slices))
    assert rules.min_absolute[0].tolist() == [1000, 5, 5, 1, 5]
    assert rules.min_relative[0].tolist() == [0, 0, 0.5, 0, 0.5]
    assert rules.up[0].tolist() == [True, False, True, True, False]
    assert rules.down[0].tolist() == [True, True, False, False, True]
    assert rules.one_sided
    assert rules.minima
