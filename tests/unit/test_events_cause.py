"""The fewest slices that explain an event, in numbers: any depth, rate and mix, sums to 100."""

from __future__ import annotations

import math
from itertools import combinations, product

import numpy as np
import pytest
from anomaly_detector.config import ROLLED_UP
from anomaly_detector.events.cause import Leaves, causes
from anomaly_detector.events.group import Group
from anomaly_detector.panel import Panel
from anomaly_detector.replay import Replay, replay
from anomaly_detector.snapshot import Snapshot, from_bytes, to_bytes

from tests.unit.detection_panels import cut, settings, starts

HOURS = 24
BEGIN, SIZE = 16 * HOURS, 16 * HOURS + 8
DIMENSIONS = ("app", "country", "device", "release")
SHAPE = (3, 3, 3, 2)
Slice = tuple[int, ...]


def _codes(shape: tuple[int, ...]) -> np.ndarray:
    return np.array(list(product(*map(range, shape))), dtype=np.int64)


def _held(codes: np.ndarray, name: Slice) -> np.ndarray:
    wanted = np.array(name)
    return ((wanted < 0) | (codes == wanted)).all(axis=1)


def _found(
    shape: tuple[int, ...], faults: dict[Slice, float], noise: float = 0.03
) -> tuple[Slice, ...]:
    codes = _codes(shape)
    random = np.random.default_rng(1)
    expected = np.asarray(100.0 * (1 + np.arange(len(codes))), dtype=np.float64)
    actual = np.asarray(expected * random.normal(1, noise, len(codes)), dtype=np.float64)
    for name, factor in faults.items():
        actual[_held(codes, name)] *= factor
    side = 1 if actual.sum() > expected.sum() else -1
    return causes(Leaves(codes, actual, expected), side)


@pytest.mark.parametrize("factor", [0.4, 1.8])
@pytest.mark.parametrize("where", [(-1, -1), (0, -1), (2, -1), (-1, 3), (1, 0), (2, 3)], ids=str)
def test_the_planted_slice_is_named(where: Slice, factor: float) -> None:
    assert _found((3, 4), {where: factor}) == (where,)


@pytest.mark.parametrize("factor", [0.1, 0.6, 2.5])
@pytest.mark.parametrize("where", [(1, 2, -1, 0), (-1, 0, 3, 1), (2, -1, -1, -1), (1, 1, 1, 1)])
def test_of_four_dimensions_slices_of_any_depth_are_named(where: Slice, factor: float) -> None:
    assert _found((4, 3, 5, 3), {where: factor}) == (where,)


def test_several_faults_are_named_what_brings_most_first() -> None:
    found = _found((4, 3, 5, 3), {(3, -1, -1, -1): 0.7, (0, 1, -1, -1): 0.2, (2, 0, 2, -1): 0.1})

    assert found == ((3, -1, -1, -1), (0, 1, -1, -1), (2, 0, 2, -1))


def test_faults_that_cross_are_both_named() -> None:
    assert set(_found((6, 5, 4), {(2, -1, -1): 0.5, (-1, 3, -1): 0.3})) == {
        (2, -1, -1),
        (-1, 3, -1),
    }


def test_leaves_of_which_nothing_is_known_tell_nothing() -> None:
    assert causes(Leaves(np.zeros((0, 2), dtype=np.int64), np.zeros(0), np.zeros(0)), 1) == ()
    none = np.zeros(4)
    assert causes(Leaves(_codes((2, 2)), none, none), -1) == ()


def _panel(leaves: np.ndarray, rows: np.ndarray | None) -> Panel:
    """Total, single values, pairs and leaves of sums (T, L), or of rates with the `rows` they are
    weighted by.
    """
    codes = _codes(SHAPE)
    names, values, counts = [], [], []
    for depth in (0, 1, 2, len(SHAPE)):
        for axes in combinations(range(len(SHAPE)), depth):
            for one in sorted({tuple(row) for row in codes[:, axes].tolist()}):
                name = np.full(len(SHAPE), -1)
                name[list(axes)] = one
                held = _held(codes, tuple(name.tolist()))
                names.append(
                    [
                        ROLLED_UP if code < 0 else f"{dimension}{code}"
                        for dimension, code in zip(DIMENSIONS, name.tolist(), strict=True)
                    ]
                )
                weight = np.ones(leaves.shape) if rows is None else rows
                total = (leaves * (1.0 if rows is None else weight))[:, held].sum(axis=1)
                values.append(total if rows is None else total / weight[:, held].sum(axis=1))
                counts.append(weight[:, held].sum(axis=1))
    slices = np.empty((len(names), len(SHAPE)), dtype=object)
    slices[:] = names
    return Panel(
        starts(len(leaves)),
        DIMENSIONS,
        slices,
        ("views",),
        np.array(values).T[:, None, :],
        np.array(counts).T[:, None, :],
    )


def _usual(noise: float = 0.04) -> np.ndarray:
    """(T, L) sums with a daily season."""
    random = np.random.default_rng(3)
    size = 300.0 * (1 + random.uniform(0, 3, math.prod(SHAPE)))
    day = 1 + 0.4 * np.sin(2 * np.pi * np.arange(SIZE) / HOURS)
    return np.round(day[:, None] * size * random.normal(1, noise, (SIZE, len(size))))


def _replayed(whole: Panel, aggregation: str) -> Replay:
    own = {"numerator": "n", "denominator": "d"} if aggregation == "RATIO" else {}
    chosen = settings(measures={"views": {"aggregation": aggregation} | own}, dimensions=DIMENSIONS)
    return replay(chosen, Snapshot.initial(chosen), whole, score_from=whole.starts[BEGIN - HOURS])


def _only(done: Replay) -> Group:
    group = max(done.groups, key=lambda one: one.severity)
    assert group.cause is not None
    shares = [one.share for one in group.cause.parts]
    assert sum(shares) + group.cause.unexplained == pytest.approx(100, abs=1e-6)
    if not any(one.effect == "mix" for one in group.cause.parts):
        assert [one.slice for one in group.cause.parts] == list(group.slices)
    for own in group.contributions.values():
        assert sum(own.values()) == pytest.approx(100, abs=0.011)
    return group


@pytest.mark.parametrize("where", [(1, 2, 0, -1), (-1, 0, 2, 1)], ids=str)
def test_a_slice_that_is_not_monitored_is_named_with_its_numbers(where: Slice) -> None:
    values = _usual()
    normal = values.copy()
    held = _held(_codes(SHAPE), where)
    values[BEGIN:, held] *= 0.1
    whole = _panel(values, None)

    group = _only(_replayed(whole, "SUM"))

    named = {
        dimension: f"{dimension}{code}"
        for dimension, code in zip(DIMENSIONS, where, strict=True)
        if code >= 0
    }
    assert group.slices == (named,)
    (part,) = group.cause.parts if group.cause else ()
    hours = round((group.end - group.start).total_seconds() / 3600)
    came, usual = (one[BEGIN : BEGIN + hours, held].sum() for one in (values, normal))
    assert (group.actual, group.expected) == (part.actual, part.expected)
    assert part.actual == pytest.approx(came, rel=1e-9)
    assert part.expected == pytest.approx(usual, rel=0.1)
    assert part.deviation == pytest.approx(part.actual - part.expected)
    assert (part.effect, part.share > 80) == ("value", True)


def test_what_is_named_is_the_same_however_intervals_come() -> None:
    values = _usual()
    values[BEGIN:, _held(_codes(SHAPE), (1, 2, 0, -1))] *= 0.1
    rows = _usual(0.1)
    rates = values / np.maximum(rows, 1)
    for whole, aggregation in ((_panel(values, None), "SUM"), (_panel(rates, rows), "RATIO")):
        own = {"numerator": "n", "denominator": "d"} if aggregation == "RATIO" else {}
        rule = {"views": {"aggregation": aggregation} | own}
        chosen = settings(measures=rule, dimensions=DIMENSIONS)
        first = whole.starts[BEGIN - HOURS]
        full = replay(chosen, Snapshot.initial(chosen), whole, score_from=first)
        assert any(group.cause for group in full.groups)
        for middle in (BEGIN + 1, BEGIN + 3):
            before = replay(
                chosen, Snapshot.initial(chosen), cut(whole, 0, middle), score_from=first
            )
            held = from_bytes(to_bytes(before.after))
            rest = replay(chosen, held, cut(whole, middle, SIZE), score_from=first)

            assert rest.groups == full.groups
            assert to_bytes(rest.after) == to_bytes(full.after)


@pytest.mark.parametrize("aggregation", ["RATIO", "AVG"])
def test_a_rate_that_falls_is_told_from_a_mix_that_changes(aggregation: str) -> None:
    codes = _codes(SHAPE)
    random = np.random.default_rng(5)
    rates = 0.2 + 0.02 * codes[:, 1] + random.normal(0, 0.004, (SIZE, len(codes)))
    good = _held(codes, (-1, -1, 2, -1))
    rates[:, good] += 0.5
    rows = _usual()
    fallen, moved = rates.copy(), rows.copy()
    fallen[BEGIN:, _held(codes, (1, 2, 0, -1))] *= 0.3
    moved[BEGIN:, good] *= 0.2

    rate = _only(_replayed(_panel(fallen, rows), aggregation))
    mix = _only(_replayed(_panel(rates, moved), aggregation))

    assert rate.cause is not None
    assert mix.cause is not None
    assert rate.slices == ({"app": "app1", "country": "country2", "device": "device0"},)
    assert rate.cause.parts[0].effect == "rate"
    assert rate.cause.rate == pytest.approx(100, abs=15)
    # The rate of the whole is what fell; that of no slice did.
    assert mix.slices == ({},)
    assert mix.actual is not None
    assert mix.actual < 0.8 * mix.expected
    (part,) = mix.cause.parts
    assert (part.slice, part.effect) == ({"device": "device2"}, "mix")
    assert mix.cause.mix == pytest.approx(100, abs=15)
    assert part.share > 80
    # The rows of the slice are what changed.
    assert part.actual / part.expected == pytest.approx(0.2, rel=0.5)


def test_new_values_are_named_as_such() -> None:
    values = _usual()
    born = _held(_codes(SHAPE), (2, -1, -1, -1))
    values[:BEGIN, born] = 0
    whole = _panel(values, None)
    unknown = np.isin(whole.slices[:, 0], ["app2"])
    whole.values[:BEGIN, :, unknown] = np.nan
    whole.counts[:BEGIN, :, unknown] = 0

    group = _only(_replayed(whole, "SUM"))

    assert group.slices == ({"app": "app2"},)
    (part,) = group.cause.parts if group.cause else ()
    assert (part.new, part.expected) == (True, 0.0)
    assert part.actual == group.actual == part.deviation
