"""A value that was never seen before is named as what lifts its roll-ups."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from anomaly_detector.config import ROLLED_UP
from anomaly_detector.panel import Panel, second
from anomaly_detector.replay import replay
from anomaly_detector.snapshot import Snapshot
from numpy.typing import NDArray

from tests.unit.detection_panels import DIMENSIONS, cut, settings, shop, starts

DAY = 24
SIZE, BORN = 68 * DAY, 62 * DAY
PLATFORMS, MARKETS = ("app", "desk", "web"), ("de", "it", "us")
NAMES = [(one, other) for one in PLATFORMS for other in MARKETS]


def _without_before(whole: Panel, axis: int, value: str, born: int) -> Panel:
    """The shop as if a value of a dimension had come into being."""
    names = [tuple(row) for row in whole.slices.tolist()]
    values = whole.values.copy()
    for place, name in enumerate(names):
        if name[axis] == value:
            values[:born, :, place] = np.nan
        elif name[axis] == ROLLED_UP:
            part = tuple(value if one == axis else text for one, text in enumerate(name))
            values[:born, :, place] -= whole.values[:born, :, names.index(part)]
    return replace(whole, values=values, counts=np.isfinite(values).astype(np.float64))


@pytest.mark.parametrize(
    ("seed", "axis", "value"), [(1, 0, "mobile_app"), (2, 1, "us"), (4, 0, "mobile_app")]
)
def test_a_new_value_is_named_whole_and_learned(seed: int, axis: int, value: str) -> None:
    born = BORN + seed
    whole = _without_before(shop(SIZE, seed), axis, value, born)
    chosen = settings(measures={"views": {}, "revenue": {}}, dimensions=DIMENSIONS)

    done = replay(chosen, Snapshot.initial(chosen), whole, score_from=whole.starts[born - DAY])

    for measure in ("views", "revenue"):
        own = [group for group in done.groups if group.measure == measure]
        group = max(own, key=lambda one: one.end - one.start)
        assert (group.kind, group.direction, group.expected) == ("new value", "up", 0.0)
        assert group.slices == ({DIMENSIONS[axis]: value},)
        assert group.contributions[DIMENSIONS[axis]] == {value: 100.0}
        assert (
            group.start.replace(tzinfo=None) - whole.starts[born].item()
            < np.timedelta64(4, "h").item()
        )
    # As long as it is new it is learned.
    place = [tuple(row) for row in done.scores.slices.tolist()].index(
        tuple(value if one == axis else ROLLED_UP for one in range(2))
    )
    expected, actual = (
        array[-DAY:, 0, place] for array in (done.scores.expected, done.scores.actual)
    )
    assert expected.sum() == pytest.approx(actual.sum(), rel=0.2)


def _in_small_parts(size: int, begin: int, seed: int, factor: float) -> Panel:
    """Quarters of an hour of three platforms, with a third market from `begin` on: a little in each
    of them. Half a day later one platform changes for half a day.
    """
    random, at = np.random.default_rng(seed), np.arange(size)
    shape = 1 + 0.4 * np.sin(at * 2 * np.pi / 96)
    sizes = (400, 60, 300, 150, 30, 100, 200, 60, 250)
    leaves = random.poisson(np.multiply.outer(sizes, shape)).astype(np.float64)
    more = slice(begin + 48, begin + 96)
    for place, (platform, market) in enumerate(NAMES):
        if market == "it":
            leaves[place, :begin] = 0
        if platform == "app":
            leaves[place, more] = np.round(factor * leaves[place, more])
    return _rolled_up(leaves, 900)


def _rolled_up(leaves: NDArray[np.float64], seconds: int) -> Panel:
    """Leaves of three platforms and three markets with their roll-ups; zero has no row."""
    found = {}
    for one in ("*", *PLATFORMS):
        for other in ("*", *MARKETS):
            held = [one in ("*", own) and other in ("*", of) for own, of in NAMES]
            found[one, other] = leaves[held].sum(axis=0)
    slices = np.empty((len(found), 2), dtype=object)
    slices[:] = list(found)
    values = np.array([np.where(one > 0, one, np.nan) for one in found.values()]).T[:, None, :]
    counts = np.isfinite(values).astype(np.float64)
    size = leaves.shape[1]
    return Panel(starts(size, seconds), DIMENSIONS, slices, ("views",), values, counts)


def test_a_new_value_is_told_once_though_single_intervals_say_little() -> None:
    # given a new value that lifts its roll-ups by less than they vary from interval to interval
    size, begin = 25 * 96, 21 * 96 + 20
    chosen = settings("PT15M", dimensions=DIMENSIONS)
    whole = _in_small_parts(size, begin, 2, 1.15)
    # when it is replayed, then no roll-up opens an event of its own
    groups = replay(chosen, Snapshot.initial(chosen), whole).groups
    (group,) = [one for one in groups if second(one.end) > whole.starts[begin]]
    told = (group.kind, group.slices, group.accepted)
    assert told == ("new value", ({DIMENSIONS[1]: "it"},), True)


def test_a_new_value_is_told_though_its_roll_ups_vary_as_usual_beside_it() -> None:
    # given days that vary by a twentieth, all alike, and a new value in days a twentieth up
    size, begin = 300, 280
    random = np.random.default_rng(1)
    common = 1 + 0.05 * random.normal(size=size)
    common[begin:] = 1.05
    sizes = (4000, 800, 3000, 1500, 300, 1000, 2000, 600, 2500)
    leaves = random.poisson(np.multiply.outer(sizes, common)).astype(np.float64)
    leaves[[market == "it" for _, market in NAMES], :begin] = 0
    whole = _rolled_up(leaves, 86_400)
    # when it is replayed, then no roll-up is told
    chosen = settings("P1D", dimensions=DIMENSIONS, false_events_per_week=0.1)
    groups = replay(chosen, Snapshot.initial(chosen), whole).groups
    (group,) = [one for one in groups if second(one.end) > whole.starts[begin]]
    assert (group.kind, group.slices) == ("new value", ({DIMENSIONS[1]: "it"},))


def test_a_new_value_is_told_whole_though_its_event_was_elsewhere_for_a_while() -> None:
    # given the event of a new value, which for some hours is attributed to one of its platforms
    begin = 21 * 96 + 20
    chosen = settings("PT15M", dimensions=DIMENSIONS)
    whole = _in_small_parts(begin + 90, begin, 1, 1.0)
    done = replay(chosen, Snapshot.initial(chosen), cut(whole, 0, begin + 10))
    for first, where in ((10, ("desk", ROLLED_UP)), (50, (ROLLED_UP, ROLLED_UP))):
        (event,) = done.after.events
        event.slices, event.evidence = (where,), 1e9
        done = replay(chosen, done.after, cut(whole, begin + first, begin + first + 40))
    # when it is told, then what came of it elsewhere is part of it
    (group,) = done.groups
    assert (group.kind, group.slices) == ("new value", ({DIMENSIONS[1]: "it"},))
