"""Static bounds of a measure: what crosses them is an event, whatever has been learned."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from anomaly_detector.config import ROLLED_UP
from anomaly_detector.detection import DetectorSettings
from anomaly_detector.panel import Panel, second
from anomaly_detector.replay import Replay, replay
from anomaly_detector.snapshot import Snapshot, from_bytes, to_bytes
from numpy.typing import NDArray

from tests.unit.detection_panels import DIMENSIONS, by_measure, cut, seasonal, settings, starts

LEAVES = [(platform, market) for platform in ("app", "web") for market in ("de", "fr", "uk")]


def _replayed(whole: Panel, chosen: DetectorSettings, snapshot: Snapshot | None = None) -> Replay:
    return replay(chosen, snapshot or Snapshot.initial(chosen), whole)


def _one(values: Any, interval: str = "PT1H", **measure: Any) -> Replay:
    seconds = {"PT1H": 3600, "PT5M": 300, "P1D": 86_400}[interval]
    chosen = settings(interval, {"m": measure})
    return _replayed(by_measure({"m": [np.asarray(values, dtype=np.float64)]}, seconds), chosen)


def _lattice(leaves: NDArray[np.float64]) -> Panel:
    """Six leaves (T, 6) of a mean, with all roll-ups, as a warehouse gives them."""
    keys = sorted(
        {
            tuple(part if keep else ROLLED_UP for part, keep in zip(leaf, kept, strict=True))
            for leaf in LEAVES
            for kept in ((0, 0), (0, 1), (1, 0), (1, 1))
        }
    )
    values = np.full((len(leaves), 1, len(keys)), np.nan)
    for place, key in enumerate(keys):
        held = [
            all(one in (ROLLED_UP, part) for one, part in zip(key, leaf, strict=True))
            for leaf in LEAVES
        ]
        some = np.isfinite(leaves[:, held]).any(axis=1)
        values[some, 0, place] = np.nanmean(leaves[some][:, held], axis=1)
    slices = np.empty((len(keys), 2), dtype=object)
    slices[:] = keys
    counts = np.isfinite(values).astype(np.float64)
    return Panel(starts(len(leaves)), DIMENSIONS, slices, ("m",), values, counts)


def _chosen(**measure: Any) -> DetectorSettings:
    return settings("PT1H", {"m": measure}, DIMENSIONS)


def _calm(size: int, seed: int = 1) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0.02, 0.002, (size, len(LEAVES)))


@pytest.mark.parametrize(
    ("bound", "value", "direction"), [({"max": 5}, 5.5, "up"), ({"min": 0.5}, 0.4, "down")]
)
def test_a_crossing_is_an_event_before_anything_has_been_learnt(bound, value, direction):
    values = [1.0, 1.2, value, value, 1.1, 1.0, 1.0, 1.2]

    done = _one(values, aggregation="AVG", **bound)

    (group,) = done.groups
    assert (group.severity, group.direction, group.state) == (100, direction, "CLOSED")
    assert second(group.start) == done.scores.starts[2]
    assert second(group.end) == done.scores.starts[4]
    assert group.actual == pytest.approx(value)
    assert done.scores.severity[:, 0, 0].tolist() == [0, 0, 100, 100, 0, 0, 0, 0]
    assert done.scores.anomalous[:, 0, 0].sum() == 2


def test_the_very_first_value_may_cross():
    done = _one([9.0, 1.0, 1.0], aggregation="AVG", max=5)

    (group,) = done.groups
    assert (group.actual, group.expected, group.state) == (9, 5, "OPEN")
    assert done.scores.severity[0, 0, 0] == 100


def test_a_value_on_the_bound_is_within_it():
    assert not _one([5.0, 1.0, 1.0], aggregation="AVG", min=1, max=5).groups


@pytest.mark.parametrize(
    "filters", [{"direction": "down"}, {"min_absolute_change": 1e9}, {"min_relative_change": 50}]
)
def test_filters_of_changes_do_not_hide_a_crossing(filters):
    values = seasonal(24 * 16)
    values[-3:] = 9000

    done = _one(values, aggregation="AVG", max=5000, **filters)

    assert [group.severity for group in done.groups] == [100]
    assert done.scores.severity[-3:, 0, 0].tolist() == [100] * 3


def test_what_has_been_learnt_as_usual_crosses_nevertheless():
    values = seasonal(24 * 24, noise=0.01)

    bounds: tuple[dict[str, Any], ...] = ({}, {"max": 1400})
    plain, bounded = (_one(values, aggregation="AVG", **one) for one in bounds)

    above = values > 1400
    assert not plain.groups
    assert above[-24 * 7 :].any()
    np.testing.assert_array_equal(bounded.scores.severity[:, 0, 0] == 100, above)
    assert np.nanmax(bounded.scores.upper) <= 1400
    assert bounded.groups
    assert all(group.actual > group.expected for group in bounded.groups)


def test_one_fault_is_one_event_of_the_widest_slice_that_crosses():
    leaves = _calm(30)
    leaves[10:13, :3] = 0.3  # the app, in all markets

    done = _replayed(_lattice(leaves), _chosen(aggregation="AVG", max=0.2))
    wide = _replayed(_lattice(leaves), _chosen(aggregation="AVG", max=0.1))

    (group,) = done.groups
    assert group.slices == ({"platform": "app"},)
    assert {point.slice for point in group.points} >= {("app", "de"), ("app", ROLLED_UP)}
    (group,) = wide.groups
    assert group.slices == ({},)


def test_faults_that_share_no_leaf_are_told_apart():
    leaves = _calm(30)
    leaves[10:13, 0] = 0.5
    leaves[11:14, 5] = 0.4

    done = _replayed(_lattice(leaves), _chosen(aggregation="AVG", max=0.3))

    assert [group.slices for group in done.groups] == [
        ({"platform": "app", "marketplace": "de"},),
        ({"platform": "web", "marketplace": "uk"},),
    ]


def test_an_event_moves_to_the_wider_slice_that_comes_to_cross():
    leaves = _calm(30)
    leaves[10:14, 0] = 0.5
    leaves[11:14, 1:3] = 0.5

    done = _replayed(_lattice(leaves), _chosen(aggregation="AVG", max=0.3))

    (group,) = done.groups
    assert group.slices == ({"platform": "app"},)
    assert second(group.start) == done.scores.starts[10]


def test_a_short_return_within_the_bounds_ends_no_event():
    values = np.ones(30)
    values[10:20:2] = 9
    values[25] = 9

    groups = _one(values, aggregation="MAX", max=5).groups

    assert [group.start.hour for group in groups] == [10, 1]


def test_an_event_of_the_model_becomes_severe_and_stays_one():
    values = seasonal(24 * 20)
    values[-6:] *= [3, 3, 3, 6, 6, 6]

    bounds: tuple[dict[str, Any], ...] = ({}, {"max": 5000})
    plain, bounded = (_one(values, **one) for one in bounds)

    assert (values[-3:] > 5000).any()
    (before,), (after,) = plain.groups, bounded.groups
    assert (after.id, after.slices) == (before.id, before.slices)
    assert before.severity < after.severity == 100


def test_an_event_of_the_model_takes_over_the_name_of_that_of_the_bound():
    random = np.random.default_rng(3)
    values = random.normal(1000, 10, 24 * 20)
    values[-12:-6] = 1046  # beyond the bound, and too small for the model
    values[-6:] = 3000
    measure = {"aggregation": "AVG", "max": 1045}
    chosen = settings("PT1H", {"m": measure})
    whole = by_measure({"m": [values]})

    first = _replayed(cut(whole, 0, len(values) - 8), chosen)
    rest = _replayed(cut(whole, len(values) - 8, len(values)), chosen, first.after)

    (early,) = [group for group in first.groups if group.state == "OPEN"]
    (late,) = [group for group in rest.groups if group.state == "OPEN"]
    assert (early.id, early.start) == (late.id, late.start)
    assert late.severity == early.severity == 100
    assert late.rose == early.rose != ()
    assert len(late.points) > len(early.points)


@pytest.mark.parametrize("begin", [3, 40, 400])
@pytest.mark.parametrize("name", ["SUM", "COUNT", "COUNT_DISTINCT"])
def test_an_absent_count_crosses_a_minimum(name, begin):
    series = np.full(begin + 10, 50.0)
    series[begin : begin + 3] = np.nan
    other = np.full(len(series), 20.0)
    chosen = settings("PT1H", {"m": {"aggregation": name, "min": 1}})

    partly, wholly = (
        _replayed(by_measure({"m": some}), chosen).groups for some in ([series, other], [series])
    )

    for groups in (partly, wholly):
        (group,) = groups
        assert (group.slices, group.actual, group.direction) == (({"platform": "s00"},), 0, "down")
        assert group.end - group.start == timedelta(hours=3)


def test_an_absent_mean_crosses_no_bound():
    values = np.full(60, 50.0)
    values[40:43] = np.nan

    scores = _one(values, aggregation="AVG", min=1, max=60).scores

    assert not (scores.severity == 100).any()


def test_bounds_may_hold_for_the_widest_slices_only():
    leaves = np.full((20, len(LEAVES)), 10.0)
    leaves[12:15] = 1.0
    whole = _lattice(leaves)
    every, widest = (_chosen(min=5, bounded_series=name) for name in ("all", "widest"))

    assert (_replayed(whole, every).scores.severity == 100).sum() == 3 * 12
    done = _replayed(whole, widest)
    assert (done.scores.severity == 100).sum() == 3
    assert [group.slices for group in done.groups] == [({},)]
    parts = [place for place, key in enumerate(whole.slices.tolist()) if ROLLED_UP not in key]
    alone = replace(
        whole,
        slices=whole.slices[parts],
        values=whole.values[:, :, parts],
        counts=whole.counts[:, :, parts],
    )
    done = _replayed(alone, widest)
    assert (done.scores.severity == 100).sum() == 3 * 6
    # No monitored slice contains them: they are one event.
    (group,) = done.groups
    assert group.series_count == 6


@pytest.mark.parametrize("seed", range(3))
def test_in_pieces_and_at_once_are_the_same_to_the_last_bit(seed):
    random = np.random.default_rng(seed)
    size = 24 * 17
    leaves = _calm(size, seed)
    leaves[random.random(leaves.shape) < 0.05] = np.nan
    leaves[: size // 2, 4] = np.nan
    for begin in range(5, size, 37):
        hit = random.random(len(LEAVES)) < 0.4
        leaves[begin : begin + int(random.integers(1, 20)), hit] *= random.choice([0.1, 4.0, 20.0])
    whole = _lattice(leaves)
    chosen = _chosen(aggregation="AVG", min=0.005, max=0.06)

    full = _replayed(whole, chosen)
    snapshot, groups, severities = Snapshot.initial(chosen), {}, []
    edges = [0, *sorted(random.choice(np.arange(1, size), 12, replace=False).tolist()), size]
    for low, high in pairwise(edges):
        part = _replayed(cut(whole, low, high, drop_empty=True), chosen, snapshot)
        snapshot = from_bytes(to_bytes(part.after))
        groups |= {group.id: group for group in part.groups}
        severities.append(part.scores)

    assert to_bytes(snapshot) == to_bytes(full.after)
    assert groups == {group.id: group for group in full.groups}
    assert len(full.groups) == len(groups) > 5
    (bound,) = {group.severity for group in full.groups if group.severity == 100}
    assert bound == 100
