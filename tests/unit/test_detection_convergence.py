"""A replay in pieces equals one in full; the order of slices and later data change nothing."""

from __future__ import annotations

from dataclasses import fields, replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from anomaly_detector.detection.forecast import Forecast
from anomaly_detector.detection.habits import Habits
from anomaly_detector.detection.rules import Rules
from anomaly_detector.panel import Panel, Scores
from anomaly_detector.replay import replay
from anomaly_detector.snapshot import Snapshot, from_bytes, to_bytes
from hypothesis import given
from hypothesis import strategies as st

from tests.examples import examples
from tests.unit.detection_panels import cut, panel, settings, starts

SIZE = 90
MEASURES = {"views": {}, "price": {"aggregation": "AVG"}}
CHOSEN = settings("P1D", MEASURES)


@st.composite
def _panels(draw: st.DrawFn) -> Panel:
    """Random walks, counts and constants, with gaps, late starts and faults."""
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    slices = draw(st.integers(1, 7))
    values = random.poisson(random.uniform(0, 30), (slices, 2, SIZE)).astype(np.float64)
    values[random.random(slices) < 0.3] *= random.normal(0, 1e6)
    values *= 1 + 10 * (random.random(values.shape) < draw(st.sampled_from([0.0, 0.03])))
    values[random.random(values.shape) < draw(st.sampled_from([0.0, 0.1, 0.7]))] = np.nan
    values[:, :, random.random(SIZE) < 0.05] = np.nan
    for one in values:
        one[:, : random.integers(0, SIZE)] = np.nan if random.random() < 0.4 else one[:, :1]
    counts = np.where(np.isfinite(values), random.integers(1, 50, values.shape), 0).astype(
        np.float64
    )
    keys = np.array([[f"p{index}"] for index in random.permutation(slices)], dtype=object)
    return Panel(starts(SIZE, 86_400), ("platform",), keys, tuple(MEASURES), values.T, counts.T)


def _assert_same(one: Scores, other: Scores, where: slice = slice(None)) -> None:
    """`other` equals what `one` says of the intervals `where` and of the slices of `other`."""
    place = [one.slices.tolist().index(key) for key in other.slices.tolist()]
    for part in fields(Scores):
        if part.name in ("dimensions", "measures", "slices"):
            continue
        left: Any = getattr(one, part.name)
        right: Any = getattr(other, part.name)
        left = left[where] if part.name == "starts" else left[where][:, :, place]
        assert np.ascontiguousarray(left).tobytes() == right.tobytes(), part.name


@examples(6)
@given(_panels(), st.data())
def test_a_replay_in_pieces_equals_one_in_full(whole: Panel, data: st.DataObject) -> None:
    middle = data.draw(st.integers(1, SIZE - 1))
    interval, seconds = data.draw(st.sampled_from([("P1D", 86_400), ("PT5M", 300)]))
    chosen = settings(interval, MEASURES)
    whole = replace(whole, starts=starts(SIZE, seconds))

    full = replay(chosen, Snapshot.initial(chosen), whole, snapshot_at=whole.starts[middle])
    # What lands in a window are only the slices that have rows in it.
    first = replay(chosen, Snapshot.initial(chosen), cut(whole, 0, middle, drop_empty=True))
    second = replay(
        chosen, from_bytes(to_bytes(first.after)), cut(whole, middle, SIZE, drop_empty=True)
    )

    assert full.before is not None
    assert to_bytes(full.before) == to_bytes(first.after)
    assert to_bytes(full.after) == to_bytes(second.after)
    _assert_same(full.scores, first.scores, slice(0, middle))
    _assert_same(full.scores, second.scores, slice(middle, SIZE))
    told = {group.id: group for group in (*first.groups, *second.groups)}
    assert tuple(told[group.id] for group in full.groups) == full.groups


def _part(whole: Panel, m: int) -> Panel:
    """One measure of a panel, with the slices that have a value of it."""
    kept = np.isfinite(whole.values[:, m]).any(axis=0)
    return replace(
        whole,
        slices=whole.slices[kept],
        measures=whole.measures[m : m + 1],
        values=whole.values[:, m : m + 1, kept],
        counts=whole.counts[:, m : m + 1, kept],
    )


@examples(6)
@given(_panels(), st.integers(0, 2**32 - 1))
def test_a_detector_in_parts_gives_what_it_gives_in_one(whole: Panel, seed: int) -> None:
    random = np.random.default_rng(seed)
    # A measure may be NULL in some slices, for ever or in some intervals, and in whole intervals.
    null = random.random((1, 2, len(whole.slices))) < 0.3
    null = null | (random.random((SIZE, 2, 1)) < 0.1)
    whole = replace(whole, values=np.where(null, np.nan, whole.values))

    full = replay(CHOSEN, Snapshot.initial(CHOSEN), whole)

    for m, name in enumerate(MEASURES):
        chosen = CHOSEN.part([name])
        alone = replay(chosen, Snapshot.initial(chosen), _part(whole, m))
        assert alone.groups == tuple(group for group in full.groups if group.measure == name)
        at = [full.scores.slices.tolist().index(key) for key in alone.scores.slices.tolist()]
        for kind in ("actual", "expected", "lower", "upper", "severity", "anomalous"):
            of_measure = np.ascontiguousarray(getattr(full.scores, kind)[:, m][:, at])
            assert of_measure.tobytes() == getattr(alone.scores, kind)[:, 0].tobytes(), kind


def test_what_is_missing_does_not_speak_for_a_former_level_whatever_other_measures_have() -> None:
    found = []
    for names in (["views", "price"], ["views"]):
        chosen = CHOSEN.part(names)
        forecast, habits = Forecast.fresh(chosen, 1), Habits.fresh(chosen, 1)
        forecast.moved[:], forecast.back[:] = 0.5, 6.0
        numbers = np.full((len(names), 1), 10.0)
        expectation: Any = SimpleNamespace(expected=numbers, scale=numbers / 10)
        # Views have no value, the price has one.
        live = np.arange(len(names))[:, None] > 0

        forecast.follow_back(Rules.of(chosen), habits, expectation, numbers, live)

        found.append(float(forecast.back[0, 0]))
    assert found == [6.0, 6.0]


@examples(6)
@given(_panels(), st.randoms(use_true_random=False))
def test_the_order_of_slices_is_irrelevant(whole: Panel, random: Any) -> None:
    order = list(range(len(whole.slices)))
    random.shuffle(order)
    turned = Panel(
        whole.starts,
        whole.dimensions,
        whole.slices[order],
        whole.measures,
        whole.values[:, :, order],
        whole.counts[:, :, order],
    )

    one = replay(CHOSEN, Snapshot.initial(CHOSEN), whole)
    other = replay(CHOSEN, Snapshot.initial(CHOSEN), turned)

    _assert_same(one.scores, other.scores)
    assert to_bytes(one.after) == to_bytes(other.after)


@examples(6)
@given(_panels(), st.integers(1, SIZE - 1), st.floats(-1e9, 1e9))
def test_later_data_changes_no_earlier_score(whole: Panel, end: int, other: float) -> None:
    values = whole.values.copy()
    values[end:] = other
    changed = Panel(
        whole.starts, whole.dimensions, whole.slices, whole.measures, values, whole.counts
    )

    one = replay(CHOSEN, Snapshot.initial(CHOSEN), whole).scores
    two = replay(CHOSEN, Snapshot.initial(CHOSEN), changed).scores

    for part in ("expected", "lower", "upper", "severity", "anomalous"):
        assert getattr(one, part)[:end].tobytes() == getattr(two, part)[:end].tobytes()


def test_scores_are_kept_from_an_interval_on() -> None:
    chosen = settings()
    values = np.arange(40.0)[:, None, None]
    whole = Panel(
        starts(40),
        ("platform",),
        np.array([["a"]], dtype=object),
        ("views",),
        values,
        values * 0 + 1,
    )

    full = replay(chosen, Snapshot.initial(chosen), whole)
    late = replay(chosen, Snapshot.initial(chosen), whole, score_from=whole.starts[30])

    _assert_same(full.scores, late.scores, slice(30, 40))
    assert to_bytes(full.after) == to_bytes(late.after)


def test_an_event_tells_of_scored_intervals_alone_wherever_they_begin() -> None:
    size, chosen = 110, settings("P1D")
    days = np.round(np.random.default_rng(3).normal(1000.0, 30.0, size))
    for begin, end, factor in ((60, 64, 0.3), (92, 99, 1.8)):
        days[begin:end] *= factor
    whole = panel({"a": days}, 86_400)
    opened = [one.start for one in replay(chosen, Snapshot.initial(chosen), whole).groups]
    assert len(opened) == 2

    for first in range(59, size, 2):
        begin = whole.starts[first]
        groups = replay(chosen, Snapshot.initial(chosen), whole, score_from=begin).groups
        for group in groups:
            assert np.datetime64(group.start.replace(tzinfo=None)) >= begin
            assert group.points[0].start == group.start < group.end
            assert group.expected > 0
        later = {one for one in opened if np.datetime64(one.replace(tzinfo=None)) >= begin}
        assert {one.start for one in groups} >= later


def test_a_snapshot_at_the_end_has_learnt_everything() -> None:
    chosen = settings()
    whole = Panel(
        starts(5),
        ("platform",),
        np.array([["a"]], dtype=object),
        ("views",),
        np.ones((5, 1, 1)),
        np.ones((5, 1, 1)),
    )

    done = replay(
        chosen,
        Snapshot.initial(chosen),
        whole,
        snapshot_at=whole.starts[-1] + np.timedelta64(1, "h"),
    )

    assert done.before is not None
    assert to_bytes(done.before) == to_bytes(done.after)


def test_a_new_value_that_opens_an_event_is_its_cause_however_intervals_come() -> None:
    size, born = 110, 90
    chosen = settings("P1D")
    random = np.random.default_rng(8)
    leaves = random.poisson(1000.0, (size, 5)).astype(np.float64)
    leaves[:born, 4] = np.nan
    values = np.concatenate([np.nansum(leaves, axis=1, keepdims=True), leaves], axis=1)[:, None]
    keys = np.array([["*"], ["a"], ["b"], ["c"], ["d"], ["new"]], dtype=object)
    counts = np.isfinite(values).astype(np.float64)
    whole = Panel(starts(size, 86_400), ("platform",), keys, ("views",), values, counts)

    full = replay(chosen, Snapshot.initial(chosen), whole)

    (group,) = full.groups
    assert (group.kind, group.direction, group.expected) == ("new value", "up", 0.0)
    assert group.slices == ({"platform": "new"},)
    assert group.contributions == {"platform": {"new": 100.0}}
    shown = range(born, born + (group.end - group.start).days)
    assert group.actual == leaves[shown, 4].sum()
    # it is learnt from the first day on, unlike the total, though it is told that none was expected
    expected = full.scores.expected[born + 1 :, 0]
    assert (expected[:6, -1] == 0).all()
    learnt = replay(chosen, Snapshot.initial(chosen), cut(whole, 0, born + 4)).after.state
    assert learnt.habits.level[0, -1] == pytest.approx(1000, rel=0.1)
    assert np.abs(expected[:6, 0] - 4000).max() < 200
    assert abs(expected[-1, -1] - 1000) < 100
    for middle in range(born - 1, born + 14):
        first = replay(chosen, Snapshot.initial(chosen), cut(whole, 0, middle, drop_empty=True))
        rest = replay(chosen, from_bytes(to_bytes(first.after)), cut(whole, middle, size))

        assert to_bytes(rest.after) == to_bytes(full.after)
        assert rest.groups == full.groups
        _assert_same(full.scores, rest.scores, slice(middle, size))


@pytest.mark.parametrize("factor", [0.2, 5.0])
def test_a_value_that_is_new_under_an_open_event_is_learnt_alike_however_intervals_come(
    factor: float,
) -> None:
    """A series that an event holds before it is born is not kept by a snapshot: whatever was learnt
    of it would be gone in one batch and there in another. One that comes while others are down is
    not held.
    """
    size, fault, born = 120, 90, 92
    chosen = settings("P1D", {"views": {}, "orders": {"aggregation": "COUNT"}})
    random = np.random.default_rng(7)
    leaves = random.poisson(1000.0, (size, 2, 4)).astype(np.float64)
    leaves[fault : fault + 9] *= factor
    leaves[:born, :, 3] = np.nan
    values = np.concatenate([np.nansum(leaves, axis=2, keepdims=True), leaves], axis=2)
    keys = np.array([["*"], ["a"], ["b"], ["c"], ["new"]], dtype=object)
    counts = np.isfinite(values).astype(np.float64)
    whole = Panel(starts(size, 86_400), ("platform",), keys, ("views", "orders"), values, counts)

    full = replay(chosen, Snapshot.initial(chosen), whole)
    # given: the event is open when the value comes, and holds it if it is above
    for place in range(born, born + 4):
        held = replay(chosen, Snapshot.initial(chosen), cut(whole, 0, place)).after.events
        assert any(not event.closed for event in held)
    assert np.isnan(full.scores.expected[born + 2, :, -1]).all() == (factor > 1)

    for middle in range(born, born + 8):
        first = replay(chosen, Snapshot.initial(chosen), cut(whole, 0, middle))
        rest = replay(chosen, from_bytes(to_bytes(first.after)), cut(whole, middle, size))

        assert to_bytes(rest.after) == to_bytes(full.after)
        _assert_same(full.scores, rest.scores, slice(middle, size))
