"""Which faults open an event, which chance does not, and what a fault may not change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from anomaly_detector.config import ROLLED_UP
from anomaly_detector.detection import DetectorSettings
from anomaly_detector.events.group import Group
from anomaly_detector.panel import Panel, second
from anomaly_detector.replay import replay
from anomaly_detector.snapshot import Snapshot
from numpy.typing import NDArray

from tests.unit.detection_panels import cut, panel, settings

WEEK = 24 * 7
Series = NDArray[np.float64]


def _with_total(leaves: Sequence[Series], seconds: int = 3600) -> Panel:
    """Leaves and their total; zero has no row."""
    total = np.sum(leaves, axis=0)
    series = {ROLLED_UP: total, **{f"leaf {n:02d}": leaf for n, leaf in enumerate(leaves)}}
    return panel({name: np.where(one == 0, np.nan, one) for name, one in series.items()}, seconds)


def _groups(whole: Panel, chosen: DetectorSettings | None = None, **others: Any) -> list[Group]:
    """Groups, at the default budget unless told otherwise."""
    chosen = chosen or settings(**{"false_events_per_week": 1, **others})
    return list(replay(chosen, Snapshot.initial(chosen), whole).groups)


def _within(groups: Sequence[Group], whole: Panel, begin: int, end: int) -> list[Group]:
    """Groups that share time with the intervals `begin` to `end`."""
    low, high = whole.starts[begin], whole.starts[end]
    return [one for one in groups if second(one.start) < high and second(one.end) > low]


# --- values that repeat -------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_small_counts_that_repeat_by_chance_are_no_event(seed: int) -> None:
    random = np.random.default_rng(seed)
    leaves = [random.poisson(rate, 8 * WEEK) * 1.0 for rate in np.linspace(0.05, 1.2, 60)]

    assert not _groups(_with_total(leaves))


def test_a_count_that_is_stuck_is_an_event() -> None:
    random = np.random.default_rng(1)
    leaves = [random.poisson(rate, 6 * WEEK) * 1.0 for rate in (200.0, 300.0, 1.0, 0.3)]
    begin, end = 5 * WEEK, 5 * WEEK + 8
    leaves[0][begin:end] = leaves[0][begin]

    whole = _with_total(leaves)
    groups = _groups(whole)

    assert [group.slices for group in _within(groups, whole, begin, end)] == [
        ({"platform": "leaf 00"},)
    ]


# --- silence ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("interval", "seconds"), [("PT1H", 3600), ("P1D", 86_400)])
@pytest.mark.parametrize("aggregation", ["SUM", "COUNT"])
def test_hours_without_any_row_are_an_event(aggregation: str, interval: str, seconds: int) -> None:
    random = np.random.default_rng(1)
    size = 4 * WEEK if seconds == 3600 else 100
    leaves = [random.poisson(rate, size) * 1.0 for rate in (50.0, 200.0, 5.0)]
    for leaf in leaves:
        leaf[size - 20 : size - 16] = 0

    whole = _with_total(leaves, seconds)
    groups = _groups(whole, settings(interval, {"views": {"aggregation": aggregation}}))

    (group,) = _within(groups, whole, size - 20, size - 16)
    assert second(group.start) == whole.starts[size - 20]
    assert second(group.end) == whole.starts[size - 16]
    assert (group.direction, group.slices, group.actual) == ("down", ({},), 0.0)
    assert group.expected == pytest.approx(4 * 255, rel=0.1)
    assert groups == [group]


def test_hours_at_which_rows_never_came_are_no_event() -> None:
    random = np.random.default_rng(1)
    hour = np.arange(6 * WEEK)
    closed = (hour % 24 < 7) | (hour // 24 % 7 == 6)
    # at work from seven to midnight, and never on a Sunday; and with an hour of maintenance
    nights = [np.where(closed, 0.0, random.poisson(rate, hour.size)) for rate in (3.0, 40.0, 200.0)]
    hours = [np.where(hour % 24 == 3, 0.0, random.poisson(rate, hour.size)) for rate in (40.0, 9.0)]

    for leaves in (nights, hours):
        assert not _groups(_with_total(leaves), false_events_per_week=0.1)


@pytest.mark.parametrize("aggregation", ["AVG", "MIN", "MAX"])
def test_a_mean_without_data_is_an_event_of_its_own(aggregation: str) -> None:
    random = np.random.default_rng(1)
    size = 4 * WEEK
    series = {name: random.normal(100, 5, size) for name in (ROLLED_UP, "a", "b", "c")}
    begin, end = size - 40, size - 34
    for one in series.values():
        one[begin:end] = np.nan
    series["a"][size - 16 : size - 10] = np.nan
    chosen = settings(measures={"views": {"aggregation": aggregation}}, false_events_per_week=1)

    whole = panel(series)
    done = replay(chosen, Snapshot.initial(chosen), whole)

    of_all, of_one = done.groups
    assert second(of_all.start) == whole.starts[begin + 1]
    assert second(of_all.end) == whole.starts[end]
    assert (of_all.slices, of_all.direction) == (({},), "down")
    assert of_one.slices == ({"platform": "a"},)
    assert of_all.expected == pytest.approx(100, rel=0.1)
    (event,) = done.after.events
    assert (event.no_data, event.closed > 0) == (True, True)


def test_a_measure_that_is_null_while_rows_of_others_come_is_an_event() -> None:
    random = np.random.default_rng(1)
    size = 4 * WEEK
    values = random.poisson(300.0, (size, 2, 1)) * 1.0
    values[size - 20 : size - 14, 0] = np.nan
    chosen = settings(measures={"views": {}, "clicks": {}}, false_events_per_week=1)
    whole = panel({"a": values[:, 0, 0]})
    whole = replace(
        whole, measures=("views", "clicks"), values=values, counts=np.isfinite(values) * 1.0
    )

    (group,) = _groups(whole, chosen)

    assert (group.measure, group.direction, group.actual) == ("views", "down", 0.0)
    assert second(group.start) == whole.starts[size - 20]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_series_that_comes_every_night_and_does_not_is_an_event(seed: int) -> None:
    random = np.random.default_rng(seed)
    size = 8 * WEEK
    night = np.arange(size) % 24 == 2
    jobs = [np.where(night, random.normal(5000, 250, size).round(2), 0.0) for _ in range(2)]
    missed = size - 24 * 3 + 2
    jobs[0][missed] = 0

    whole = _with_total(jobs)
    groups = _groups(whole)

    assert [one.slices for one in _within(groups, whole, missed, missed + 1)] == [
        ({"platform": "leaf 00"},)
    ]
    assert len(groups) == 1


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_burst_of_something_rare_is_an_event(seed: int) -> None:
    random = np.random.default_rng(seed)
    size = 6 * WEEK
    errors = [random.poisson(0.02, size) * 1.0 for _ in range(6)]
    errors[2][size - 30 : size - 28] = 12

    whole = _with_total(errors)
    whole = replace(whole, counts=np.nan_to_num(whole.values))
    groups = _groups(whole, settings(measures={"views": {"aggregation": "COUNT"}}))

    (group,) = groups
    assert (group.direction, group.slices) == ("up", ({"platform": "leaf 02"},))
    assert second(group.start) == whole.starts[size - 30]


@pytest.mark.parametrize("rate", [2.5, 3.2, 4.0])
def test_a_small_slice_that_stops_is_an_event_until_it_is_the_new_level(rate: float) -> None:
    """At these rates the share of nonzero values crosses that from which zeros are usual."""
    random = np.random.default_rng(1)
    size = 6 * WEEK
    leaves = [random.poisson(one, size) * 1.0 for one in (rate, 60.0, 25.0, 9.0)]
    stop = size - 24 * 5
    leaves[0][stop:] = 0

    whole = _with_total(leaves)
    (group,) = _groups(whole, false_events_per_week=0.02)

    assert (group.direction, group.slices) == ("down", ({"platform": "leaf 00"},))
    assert second(group.start) < whole.starts[stop + 12]
    assert second(group.end) > whole.starts[stop + 48]


def test_a_level_that_lasts_ends_its_event_as_accepted() -> None:
    random = np.random.default_rng(1)
    size = 4 * WEEK
    values = random.poisson(300.0, size) * 1.0
    values[size - 80 :] *= 3
    values[size - 200 : size - 190] *= 3
    chosen = settings(false_events_per_week=1)

    whole = panel({"a": values})
    first, last = (
        replay(chosen, Snapshot.initial(chosen), cut(whole, 0, end)).after.events
        for end in (size - 180, size)
    )

    assert [(event.accepted, event.closed > 0) for event in first] == [(False, True)]
    assert [(event.accepted, event.closed > 0) for event in last] == [(True, True)]
