"""A value that was never seen before is named as what lifts its roll-ups."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from anomaly_detector.config import ROLLED_UP
from anomaly_detector.panel import Panel, second
from anomaly_detector.replay import replay
from anomaly_detector.snapshot import Snapshot

from tests.unit.detection_panels import DIMENSIONS, PARTS, cut, panel, rolled_up, settings, shop

DAY = 24
SIZE, BORN = 68 * DAY, 62 * DAY


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


def test_values_of_a_told_new_value_lie_outside_their_band() -> None:
    """While they are learned, no band was known of them, and no value was anomalous."""
    born = BORN + 1
    whole = _without_before(shop(SIZE, 1), 0, "mobile_app", born)
    chosen = settings(measures={"views": {}, "revenue": {}}, dimensions=DIMENSIONS)

    done = replay(chosen, Snapshot.initial(chosen), whole, score_from=whole.starts[born - DAY])

    scores = done.scores
    (group,) = (one for one in done.groups if one.measure == "views")
    names = [tuple(row) for row in scores.slices.tolist()]
    of_leaf = [point for point in group.points if point.slice == ("mobile_app", "de")]
    assert len(of_leaf) > 3
    for point in of_leaf:
        start = np.datetime64(point.start.replace(tzinfo=None), "s")
        at = (int(np.searchsorted(scores.starts, start)), 0, names.index(point.slice))
        assert scores.expected[at] == scores.lower[at] == scores.upper[at] == 0.0
        assert (scores.severity[at], scores.direction[at]) == (pytest.approx(point.severity), 1)
        assert scores.anomalous[at]
    # Slices that were there before keep what they expect.
    total = scores.expected[:, 0, names.index((ROLLED_UP, ROLLED_UP))]
    assert (total > 0).all()


def test_small_values_of_a_new_value_do_not_count_where_a_minimum_is_set() -> None:
    born = BORN + 1
    whole = _without_before(shop(SIZE, 1), 0, "mobile_app", born)
    own = whole.slices[:, 0] == "mobile_app"
    least = float(np.median(whole.values[born:, 0, own]))
    rules = {"views": {"min_absolute_change": least}, "revenue": {}}
    chosen = settings(measures=rules, dimensions=DIMENSIONS)

    scores = replay(chosen, Snapshot.initial(chosen), whole).scores

    own = scores.slices[:, 0] == "mobile_app"
    told = scores.anomalous[born:, 0, own]
    assert told.any()
    assert (scores.actual[born:, 0, own][told] >= least).all()


def _in_small_parts(
    size: int,
    begin: int,
    seed: int,
    factor: float,
    changed: Sequence[str] = ("app",),
    lasting: int = 48,
) -> Panel:
    """Quarters of an hour of three platforms, with a third market from `begin` on: a little in each
    of them. Half a day later one platform or market changes for half a day.
    """
    random, at = np.random.default_rng(seed), np.arange(size)
    shape = 1 + 0.4 * np.sin(at * 2 * np.pi / 96)
    sizes = (400, 60, 300, 150, 30, 100, 200, 60, 250)
    leaves = random.poisson(np.multiply.outer(sizes, shape)).astype(np.float64)
    more = slice(begin + 48, begin + 48 + lasting)
    for place, (platform, market) in enumerate(PARTS):
        if market == "it":
            leaves[place, :begin] = 0
        if platform in changed or market in changed:
            leaves[place, more] = np.round(factor * leaves[place, more])
    return rolled_up(leaves, 900)


def test_a_new_value_is_told_once_though_single_intervals_say_little() -> None:
    # given a new value that lifts its roll-ups by less than they vary from interval to interval
    size, begin = 25 * 96, 21 * 96 + 20
    chosen = settings("PT15M", dimensions=DIMENSIONS)
    whole = _in_small_parts(size, begin, 2, 1.15)
    # when it is replayed, then no roll-up opens an event of its own, though the other markets of
    # the platform that changes may
    groups = replay(chosen, Snapshot.initial(chosen), whole).groups
    group, *others = [one for one in groups if second(one.end) > whole.starts[begin]]
    told = (group.kind, group.slices, group.accepted)
    assert told == ("new value", ({DIMENSIONS[1]: "it"},), True)
    parts = [part for one in others for part in one.slices]
    assert all(part[DIMENSIONS[0]] == "app" and part[DIMENSIONS[1]] != "it" for part in parts)


def test_what_changes_beside_a_new_value_is_an_event_of_its_own() -> None:
    # given a new market, and half a day later half as much again in another one, for three hours
    size, begin = 25 * 96, 21 * 96 + 20
    chosen = settings("PT15M", dimensions=DIMENSIONS)
    whole = _in_small_parts(size, begin, 2, 1.5, ("us",), 12)
    # when it is replayed, then both are told
    groups = replay(chosen, Snapshot.initial(chosen), whole).groups
    new, more = [one for one in groups if second(one.end) > whole.starts[begin]]
    assert (new.kind, new.slices, new.accepted) == ("new value", ({DIMENSIONS[1]: "it"},), True)
    assert (more.slices, more.direction) == (({DIMENSIONS[1]: "us"},), "up")
    assert whole.starts[begin + 48] <= second(more.start) <= whole.starts[begin + 50]
    assert second(more.end) == whole.starts[begin + 60]


def test_an_outage_is_not_the_end_of_a_new_value() -> None:
    # given a new market, and half a day later three hours in which nothing comes of any
    size, begin = 25 * 96, 21 * 96 + 20
    chosen = settings("PT15M", dimensions=DIMENSIONS)
    whole = _in_small_parts(size, begin, 2, 0.0, ("app", "desk", "web"), 12)
    # when it is replayed, then the new market is told once, and accepted
    groups = replay(chosen, Snapshot.initial(chosen), whole).groups
    new, outage = [one for one in groups if second(one.end) > whole.starts[begin]]
    assert (new.kind, new.slices, new.accepted) == ("new value", ({DIMENSIONS[1]: "it"},), True)
    assert (outage.slices, outage.direction) == (({},), "down")
    assert second(outage.end) == whole.starts[begin + 60]


def test_a_new_value_is_told_though_its_roll_ups_vary_as_usual_beside_it() -> None:
    # given days that vary by a twentieth, all alike, and a new value in days a twentieth up
    size, begin = 300, 280
    random = np.random.default_rng(1)
    common = 1 + 0.05 * random.normal(size=size)
    common[begin:] = 1.05
    sizes = (4000, 800, 3000, 1500, 300, 1000, 2000, 600, 2500)
    leaves = random.poisson(np.multiply.outer(sizes, common)).astype(np.float64)
    leaves[[market == "it" for _, market in PARTS], :begin] = 0
    whole = rolled_up(leaves, 86_400)
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


def _in_noise(begins: Mapping[str, int], share: float, seed: int = 1) -> Panel:
    """Hours of six markets that vary by a quarter together, and of others from an hour on, each of
    some share of the total; until six days after the last.
    """
    random, size = np.random.default_rng(seed), max(begins.values()) + 6 * DAY
    shocks = random.normal(0, 0.25 * np.sqrt(1 - 0.7**2), size)
    common = np.exp(np.convolve(shocks, 0.7 ** np.arange(40))[:size])
    shape = common * (1 + 0.3 * np.sin(np.arange(size) * 2 * np.pi / DAY))
    old = {f"old_{number}": random.poisson(130 * shape) for number in range(6)}
    new = {name: random.poisson(6 * 130 * share / (1 - share) * shape) for name in begins}
    for name, begin in begins.items():
        new[name][:begin] = 0
    found = panel({"*": sum([*old.values(), *new.values()]), **old, **new})
    values = np.where(found.values > 0, found.values, np.nan)
    return replace(found, values=values, counts=np.nan_to_num(found.values))


@pytest.mark.parametrize(("share", "told"), [(0.12, True), (0.08, True), (0.03, False)])
def test_a_new_value_is_told_by_itself_where_its_roll_ups_vary_more(
    share: float, *, told: bool
) -> None:
    # given a total that varies by more than a new value brings
    begin = 30 * DAY
    whole = _in_noise({"new": begin}, share)
    # when it is replayed
    groups = replay(settings(), Snapshot.initial(settings()), whole).groups
    # then it is told once, after some hours, if it is large
    found = [one for one in groups if second(one.end) > whole.starts[begin]]
    assert len(found) == told
    for group in found:
        assert (group.kind, group.slices, group.accepted) == (
            "new value",
            ({"platform": "new"},),
            True,
        )
        assert (group.expected, group.contributions) == (0.0, {"platform": {"new": 100.0}})
        assert second(group.start) - whole.starts[begin] == np.timedelta64(6, "h")


def test_a_new_value_is_less_news_where_others_have_come() -> None:
    # given three values of a tenth that come a week apart
    begins = {"first": 30 * DAY, "second": 37 * DAY, "third": 44 * DAY}
    whole = _in_noise(begins, 0.09)
    # when they are replayed, then only the first is told: the second had to be twice as large
    groups = replay(settings(), Snapshot.initial(settings()), whole).groups
    told = [one.slices for one in groups if one.kind == "new value"]
    assert told == [({"platform": "first"},)]


def test_nothing_is_a_new_value_where_only_less_is_watched_for() -> None:
    begin = 30 * DAY
    chosen = settings(measures={"views": {"direction": "down"}})
    groups = replay(chosen, Snapshot.initial(chosen), _in_noise({"new": begin}, 0.12)).groups
    assert not [one for one in groups if one.kind == "new value"]


def test_a_new_value_is_told_on_while_something_else_fails() -> None:
    # given a new value of a third, which is told of the total, and a market that is gone meanwhile
    begin = 30 * DAY
    whole = _in_noise({"new": begin}, 0.35)
    values, counts = whole.values.copy(), whole.counts.copy()
    gone = slice(begin + 30, begin + 36)
    place = whole.slices[:, 0].tolist().index("old_2")
    for array in (values, counts):
        array[gone, 0, 0] -= np.nan_to_num(array[gone, 0, place])
    values[gone, 0, place], counts[gone, 0, place] = np.nan, 0.0
    whole = replace(whole, values=values, counts=counts)
    # when it is replayed
    groups = replay(settings(), Snapshot.initial(settings()), whole).groups
    # then both are told, each once and to its end
    found = [
        (one.kind, one.slices, second(one.end) - whole.starts[begin])
        for one in groups
        if second(one.end) > whole.starts[begin]
    ]
    hour = np.timedelta64(1, "h")
    assert found == [
        ("new value", ({"platform": "new"},), 74 * hour),
        ("no data", ({"platform": "old_2"},), 36 * hour),
    ]
