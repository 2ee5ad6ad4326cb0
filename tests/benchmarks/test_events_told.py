"""What is told of every event of the benchmarks makes sense to a reader."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
from anomaly_detector.alerts.figures import compared
from anomaly_detector.config import IntervalName
from anomaly_detector.events.group import Group, Kind
from anomaly_detector.replay import replay
from anomaly_detector.snapshot import Snapshot

from tests.benchmarks import shop_generator, world_generator
from tests.benchmarks.ground_truth import Simulated

WORLDS = [("shop", "PT1H"), *((name, "PT1H") for name in world_generator.WORLDS)]
WORLDS += [("retail", "P1D"), ("payments", "P1D")]


def _world(name: str, interval: IntervalName) -> Simulated:
    if name == "shop":
        return shop_generator.generate(4, train_weeks=4, weeks=4, per_kind=1)
    return world_generator.generate(name, 2, interval, shrink=1 if interval == "P1D" else 3)


@pytest.mark.parametrize(("name", "interval"), WORLDS)
def test_numbers_direction_kind_and_text_of_every_event_agree(
    name: str, interval: IntervalName
) -> None:
    world = _world(name, interval)
    begin = world.panel.starts[world.first]

    groups = replay(
        world.settings, Snapshot.initial(world.settings), world.panel, score_from=begin
    ).groups

    assert groups
    for group in groups:
        assert _faults(group, begin) == [], group


def _faults(group: Group, begin: np.datetime64) -> list[str]:
    """What a reader would not understand."""
    found = []
    if group.kind not in get_args(Kind):
        found.append("no kind")
    if np.datetime64(group.start.replace(tzinfo=None)) < begin:
        found.append("before the scored part")
    if not group.start == group.points[0].start < group.end:
        found.append("its time is not that of its points")
    if group.actual == group.expected == 0:
        found.append("nothing instead of nothing")
    if group.actual is None:
        return found if group.kind == "no data" else [*found, "no value"]
    change = group.actual - group.expected
    if group.kind == "stuck" and change == 0:
        return found
    if not change * (1 if group.direction == "up" else -1) > 0:
        found.append("up or down, against the numbers")
    if group.kind in ("spike", "dip") and (group.kind == "spike") is not (change > 0):
        found.append("a spike is up, a dip is down")
    actual, _, expected = compared(group.actual, group.expected).partition(" instead of ")
    if actual == expected:
        found.append("numbers that look alike")
    return found
