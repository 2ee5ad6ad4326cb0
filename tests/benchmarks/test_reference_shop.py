"""A synthetic shop: false events keep to the budget, incidents are found and explained."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from anomaly_detector.config import ROLLED_UP
from anomaly_detector.events.group import Group
from anomaly_detector.panel import Panel
from anomaly_detector.replay import replay
from anomaly_detector.snapshot import Snapshot

from tests.unit.detection_panels import DIMENSIONS, MONDAY, settings, shop

CHOSEN = settings(
    measures={"views": {}, "revenue": {}}, dimensions=DIMENSIONS, false_events_per_week=1
)
DAY = 24
TRAINED = 60 * DAY


def _groups(whole: Panel) -> tuple[Group, ...]:
    done = replay(CHOSEN, Snapshot.initial(CHOSEN), whole, score_from=whole.starts[TRAINED])
    return done.groups


def test_false_events_stay_within_the_budget() -> None:
    # given three shops, beside each other: a measure is looked at alone
    seeds = (1, 2, 3)
    shops = {seed: shop(TRAINED + 90 * DAY, seed) for seed in seeds}
    values, counts = (
        np.concatenate([getattr(one, name) for one in shops.values()], axis=1)
        for name in ("values", "counts")
    )
    measures = tuple(f"{name} {seed}" for seed, one in shops.items() for name in one.measures)
    whole = replace(shops[1], measures=measures, values=values, counts=counts)
    chosen = settings(
        measures={name: {} for name in measures},
        dimensions=DIMENSIONS,
        false_events_per_week=len(seeds),
    )

    done = replay(chosen, Snapshot.initial(chosen), whole, score_from=whole.starts[TRAINED])

    # One a week is asked for; 39 weeks are few, so half as much again is allowed.
    assert len(done.groups) / (len(seeds) * 90 / 7) <= 1.5


INCIDENTS = [
    (("mobile_app", ROLLED_UP), 4, 0.4),
    (("mobile_web", "de"), 6, 0.4),
    ((ROLLED_UP, ROLLED_UP), 3, 0.4),
    (("pc_web", ROLLED_UP), 5, 1.8),
    (("mobile_app", "us"), 6, 1.8),
    ((ROLLED_UP, ROLLED_UP), 3, 1.8),
    ((ROLLED_UP, "fr"), 4, 0.4),
]


@pytest.mark.parametrize("seed", [21, 22])
def test_planted_incidents_are_found_and_explained(seed: int) -> None:
    faults = [
        (where, TRAINED + (3 + 4 * index) * DAY + 5 * index, length, factor)
        for index, (where, length, factor) in enumerate(INCIDENTS)
    ]
    planted = [(where, begin, begin + length, factor) for where, begin, length, factor in faults]

    groups = _groups(shop(TRAINED + 32 * DAY, seed, planted))

    for where, begin, end, factor in planted:
        first = MONDAY.item() + timedelta(hours=begin)
        last = MONDAY.item() + timedelta(hours=end)
        named = {
            name: value for name, value in zip(DIMENSIONS, where, strict=True) if value != ROLLED_UP
        }
        for measure in ("views", "revenue"):
            match = [
                group
                for group in groups
                if group.measure == measure
                and group.start.replace(tzinfo=None) < last
                and group.end.replace(tzinfo=None) > first
            ]
            assert match, (where, measure)
            best = max(match, key=lambda group: group.severity)
            assert best.slices == (named,), (where, measure)
            assert best.direction == ("up" if factor > 1 else "down")
            assert np.isclose(best.actual / best.expected, factor, rtol=0.35)
            for name, value in named.items():
                assert best.contributions[name] == {value: 100.0}
