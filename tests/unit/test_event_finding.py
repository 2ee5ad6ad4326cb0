"""Which faults open an event, which chance does not, and what a fault may not change."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from anomaly_detector.config import ROLLED_UP
from anomaly_detector.detection import DetectorSettings
from anomaly_detector.detection.rules import Rules
from anomaly_detector.events.group import Group
from anomaly_detector.panel import Panel, second
from anomaly_detector.replay import replay
from anomaly_detector.snapshot import Snapshot
from numpy.typing import NDArray

from tests.unit.detection_panels import DIMENSIONS, beside, cut, panel, seasonal, settings, shop

WEEK = 24 * 7
Series = NDArray[np.float64]


def _with_total(leaves: Sequence[NDArray[np.floating[Any]]], seconds: int = 3600) -> Panel:
    """Leaves and their total; zero has no row."""
    total = np.sum(leaves, axis=0)
    series = {ROLLED_UP: total, **{f"leaf {n:02d}": leaf for n, leaf in enumerate(leaves)}}
    return panel({name: np.where(one == 0, np.nan, one) for name, one in series.items()}, seconds)


def _of(groups: Sequence[Group], measure: str) -> list[Group]:
    return [one for one in groups if one.measure == measure]


def _groups(whole: Panel, chosen: DetectorSettings | None = None, **others: Any) -> list[Group]:
    """Groups, each measure with the default budget unless told otherwise."""
    size = len(whole.measures)
    rules = {name: {} for name in whole.measures}
    budget = others.pop("false_events_per_week", 1)
    chosen = chosen or settings(measures=rules, false_events_per_week=size * budget, **others)
    return list(replay(chosen, Snapshot.initial(chosen), whole).groups)


def _within(groups: Sequence[Group], whole: Panel, begin: int, end: int) -> list[Group]:
    """Groups that share time with the intervals `begin` to `end`."""
    low, high = whole.starts[begin], whole.starts[end]
    return [one for one in groups if second(one.start) < high and second(one.end) > low]


# --- values that repeat -------------------------------------------------------------------------


def test_small_counts_that_repeat_by_chance_are_no_event() -> None:
    panels = {}
    for seed in (1, 2):
        random = np.random.default_rng(seed)
        leaves = [random.poisson(rate, 8 * WEEK) * 1.0 for rate in np.linspace(0.05, 1.2, 60)]
        panels[f"seed {seed}"] = _with_total(leaves)

    assert not _groups(beside(panels))


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


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_rows_that_come_again_end_a_silence_however_few_they_are(seed: int) -> None:
    random = np.random.default_rng(seed)
    leaves = [random.poisson(rate, 6 * WEEK + 1) * 1.0 for rate in (3.0, 20.0, 30.0)]
    begin, end = 6 * WEEK - 10, 6 * WEEK
    leaves[0][begin:end], leaves[0][end] = 0.0, 1.0

    (event,) = _within(_groups(whole := _with_total(leaves)), whole, begin, end)

    assert event.slices == ({"platform": "leaf 00"},)
    assert second(event.end) == whole.starts[end]
    assert event.quiet == 1


@pytest.mark.parametrize(("interval", "seconds"), [("PT1H", 3600), ("P1D", 86_400)])
def test_hours_without_any_row_are_an_event(interval: str, seconds: int) -> None:
    random = np.random.default_rng(1)
    size = 4 * WEEK if seconds == 3600 else 100
    leaves = [random.poisson(rate, size) * 1.0 for rate in (50.0, 200.0, 5.0)]
    for leaf in leaves:
        leaf[size - 20 : size - 16] = 0

    names = ("SUM", "COUNT")
    whole = beside({name: _with_total(leaves, seconds) for name in names})
    rules = {name: {"aggregation": name} for name in names}
    groups = _groups(whole, settings(interval, rules, false_events_per_week=0.04))

    for name in names:
        (group,) = _of(groups, name)
        assert second(group.start) == whole.starts[size - 20]
        assert second(group.end) == whole.starts[size - 16]
        assert (group.direction, group.slices, group.actual) == ("down", ({},), 0.0)
        assert group.expected == pytest.approx(4 * 255, rel=0.1)


def test_hours_at_which_rows_never_came_are_no_event() -> None:
    random = np.random.default_rng(1)
    hour = np.arange(6 * WEEK)
    closed = (hour % 24 < 7) | (hour // 24 % 7 == 6)
    # at work from seven to midnight, and never on a Sunday; and with an hour of maintenance
    nights = [np.where(closed, 0.0, random.poisson(rate, hour.size)) for rate in (3.0, 40.0, 200.0)]
    hours = [np.where(hour % 24 == 3, 0.0, random.poisson(rate, hour.size)) for rate in (40.0, 9.0)]

    for leaves in (nights, hours):
        assert not _groups(_with_total(leaves), false_events_per_week=0.1)


def test_a_mean_without_data_is_an_event_of_its_own() -> None:
    random = np.random.default_rng(1)
    size = 4 * WEEK
    series = {name: random.normal(100, 5, size) for name in (ROLLED_UP, "a", "b", "c")}
    begin, end = size - 40, size - 34
    for one in series.values():
        one[begin:end] = np.nan
    series["a"][size - 16 : size - 10] = np.nan
    names = ("AVG", "MIN", "MAX")
    rules = {name: {"aggregation": name} for name in names}
    chosen = settings(measures=rules, false_events_per_week=len(names))

    whole = beside({name: panel(series) for name in names})
    done = replay(chosen, Snapshot.initial(chosen), whole)

    for name in names:
        of_all, of_one = _of(done.groups, name)
        assert second(of_all.start) == whole.starts[begin + 1]
        assert second(of_all.end) == whole.starts[end]
        assert (of_all.slices, of_all.direction) == (({},), "down")
        assert of_one.slices == ({"platform": "a"},)
        assert of_all.expected == pytest.approx(100, rel=0.1)
        (event,) = [one for one in done.after.events if one.measure == name]
        assert (event.no_data, event.closed > 0) == (True, True)


def test_a_day_without_data_is_an_event_where_all_of_its_leaves_always_have_some() -> None:
    random = np.random.default_rng(1)
    size = 200
    leaves = {f"leaf {n}": random.normal(100, 5, size) for n in range(6)}
    for one in leaves.values():
        one[size - 10] = np.nan
    # A single leaf that has none for once may be chance.
    leaves["leaf 0"][size - 30] = np.nan
    series = {ROLLED_UP: np.mean(list(leaves.values()), axis=0), **leaves}
    series[ROLLED_UP][size - 30] = 100.0
    rules = {"views": {"aggregation": "AVG"}}

    whole = panel(series, 86_400)
    (group,) = _groups(whole, settings("P1D", measures=rules, false_events_per_week=0.1))

    assert (group.kind, group.slices) == ("no data", ({},))
    assert second(group.start) == whole.starts[size - 10]
    assert group.severity > 80


def test_a_measure_that_is_null_while_rows_of_others_come_is_an_event() -> None:
    random = np.random.default_rng(1)
    size = 4 * WEEK
    values = random.poisson(300.0, (size, 2, 1)).astype(np.float64)
    values[size - 20 : size - 14, 0] = np.nan
    chosen = settings(measures={"views": {}, "clicks": {}}, false_events_per_week=1)
    whole = panel({"a": values[:, 0, 0]})
    whole = replace(
        whole, measures=("views", "clicks"), values=values, counts=np.isfinite(values) * 1.0
    )

    (group,) = _groups(whole, chosen)

    assert (group.measure, group.direction, group.actual) == ("views", "down", 0.0)
    assert second(group.start) == whole.starts[size - 20]


def test_a_series_that_comes_every_night_and_does_not_is_an_event() -> None:
    size = 8 * WEEK
    night = np.arange(size) % 24 == 2
    missed = size - 24 * 3 + 2
    panels = {}
    for seed in (1, 2):
        random = np.random.default_rng(seed)
        jobs = [np.where(night, random.normal(5000, 250, size).round(2), 0.0) for _ in range(2)]
        jobs[0][missed] = 0
        panels[f"seed {seed}"] = _with_total(jobs)

    whole = beside(panels)
    groups = _groups(whole)

    assert [(one.measure, one.slices) for one in _within(groups, whole, missed, missed + 1)] == [
        (name, ({"platform": "leaf 00"},)) for name in panels
    ]
    assert len(groups) == len(panels)


def test_a_burst_of_something_rare_is_an_event() -> None:
    size, panels = 6 * WEEK, {}
    for seed in (1, 2):
        random = np.random.default_rng(seed)
        errors = [random.poisson(0.02, size) * 1.0 for _ in range(6)]
        errors[2][size - 30 : size - 28] = 12
        panels[f"seed {seed}"] = _with_total(errors)

    whole = beside(panels)
    whole = replace(whole, counts=np.nan_to_num(whole.values))
    rules = {name: {"aggregation": "COUNT"} for name in panels}
    groups = _groups(whole, settings(measures=rules, false_events_per_week=0.04))

    assert [one.measure for one in groups] == list(panels)
    for group in groups:
        assert (group.direction, group.slices) == ("up", ({"platform": "leaf 02"},))
        assert second(group.start) == whole.starts[size - 30]


def test_a_small_slice_that_stops_is_an_event_until_it_is_the_new_level() -> None:
    """At these rates the share of nonzero values crosses that from which zeros are usual."""
    size, panels = 6 * WEEK, {}
    stop = size - 24 * 5
    for rate in (2.5, 3.2, 4.0):
        random = np.random.default_rng(1)
        leaves = [random.poisson(one, size) * 1.0 for one in (rate, 60.0, 25.0, 9.0)]
        leaves[0][stop:] = 0
        panels[f"rate {rate}"] = _with_total(leaves)

    whole = beside(panels)
    groups = _groups(whole, false_events_per_week=0.02)

    for name in panels:
        (group,) = _of(groups, name)
        assert (group.direction, group.slices) == ("down", ({"platform": "leaf 00"},))
        assert second(group.start) < whole.starts[stop + 12]
        assert second(group.end) > whole.starts[stop + 48]


def _by_day_and_night(random: np.random.Generator, size: int) -> list[Series]:
    """Leaves of which most come by day, and one at night alone."""
    hour = np.arange(size) % 24
    day = 1.3 + np.sin(2 * np.pi * (hour - 6) / 24)
    night = (hour >= 2) & (hour < 4)
    shapes = [600 * day, 150 * day, 400 * day, 800.0 * night]
    return [random.poisson(shape).astype(float) for shape in shapes]


def test_roll_ups_take_what_an_accepted_event_leaves_behind_as_their_leaves_have_it() -> None:
    """Without its largest value, a total has another day: the jobs at night are all still there."""
    size, panels = 8 * WEEK, {}
    gone = 6 * WEEK
    for seed in (1, 2, 3):
        leaves = _by_day_and_night(np.random.default_rng(seed), size)
        leaves[0][gone:] = 0
        panels[f"seed {seed}"] = _with_total(leaves)

    whole = beside(panels)
    groups = _groups(whole, false_events_per_week=0.1)

    for name in panels:
        (group,) = _of(_within(groups, whole, gone, gone + WEEK), name)
        assert (group.slices, group.accepted) == (({"platform": "leaf 00"},), True)
        assert whole.starts[gone] <= second(group.start) < whole.starts[gone + 6]


def test_a_new_value_is_one_event_until_its_roll_ups_know_it() -> None:
    """It comes by day, so that what it brings is little at night, and seems to be over."""
    size, panels = 8 * WEEK, {}
    begin = 6 * WEEK + 8
    for seed in (1, 2, 3):
        *leaves, new, night = _by_day_and_night(np.random.default_rng(seed), size)
        new[:begin] = 0
        panels[f"seed {seed}"] = _with_total([*leaves, night, new])

    whole = beside(panels)
    groups = _groups(whole, false_events_per_week=0.1)

    for name in panels:
        (group,) = _of(_within(groups, whole, begin, size - 1), name)
        told = (group.kind, group.slices, group.expected, group.accepted)
        assert told == ("new value", ({"platform": "leaf 03"},), 0.0, True)
        assert whole.starts[begin] <= second(group.start) < whole.starts[begin + 6]


def test_a_new_value_that_is_gone_again_is_no_part_of_the_new_level() -> None:
    """What goes on is the change of another value, under the same event."""
    size, panels = 8 * WEEK, {}
    begin = 6 * WEEK + 8
    for seed in (1, 2, 3):
        grows, other, new, night = _by_day_and_night(np.random.default_rng(seed), size)
        new[:] = 0
        new[begin : begin + 2] = 4000
        grows[begin + 2 :] *= 3
        panels[f"seed {seed}"] = _with_total([grows, other, night, new])

    whole = beside(panels)
    groups = _groups(whole, false_events_per_week=0.1)

    for name in panels:
        group, *later = _of(_within(groups, whole, begin, size - 1), name)
        assert (group.slices, group.accepted) == (({"platform": "leaf 00"},), True)
        assert second(group.end) == whole.starts[begin + 72]
        # The new level is known well enough that nothing lasts that deviates from it.
        assert all(one.end - one.start < timedelta(hours=12) for one in later)


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


def test_a_level_that_ends_soon_after_it_was_accepted_is_the_former_one_again() -> None:
    random = np.random.default_rng(1)
    size = 5 * WEEK
    mean = 300.0 * (1 + 0.5 * np.sin(np.arange(size) * 2 * np.pi / 24))
    values = random.poisson(mean) * 1.0
    begin, end = size - 24 * 6, size - 24 * 2
    values[begin:end] *= 2.5
    chosen = settings(false_events_per_week=1)

    whole = panel({"a": values})
    done = replay(chosen, Snapshot.initial(chosen), whole)

    (group,) = done.groups
    assert second(group.start) == whole.starts[begin]
    assert second(group.end) < whole.starts[end]
    late = slice(end + 6, size)
    assert np.abs(done.scores.expected[late, 0, 0] / mean[late] - 1).mean() < 0.1


def test_a_fault_does_not_teach_the_weekday_on_which_it_lasted() -> None:
    random = np.random.default_rng(1)
    size = 5 * WEEK
    values = random.normal(1000, 30, size).round()
    values[size - WEEK - 24 : size - WEEK] *= 2
    chosen = settings(false_events_per_week=1)

    scores = replay(chosen, Snapshot.initial(chosen), panel({"a": values})).scores

    assert np.abs(scores.expected[-24:, 0, 0] / 1000 - 1).max() < 0.04


def test_a_fault_before_events_may_open_is_forgotten_within_a_month() -> None:
    # The second week is the first that teaches weekly slots.
    random = np.random.default_rng(1)
    size = 12 * WEEK
    usual = 1000 * (1 + 0.5 * np.sin(np.arange(size) * 2 * np.pi / 24))
    noisy = (usual * random.normal(1, 0.03, size)).round()
    begin, panels = 11 * 24 + 4, {}
    for factor in (0.2, 2.3):
        values = noisy.copy()
        values[begin : begin + 6] *= factor
        panels[f"times {factor}"] = panel({"a": values})
    whole = beside(panels)

    chosen = settings(measures={name: {} for name in panels}, false_events_per_week=2)
    done = replay(chosen, Snapshot.initial(chosen), whole, score_from=whole.starts[5 * WEEK])

    assert done.groups == ()
    expected = done.scores.expected[:, :, 0]
    assert np.abs(expected / usual[5 * WEEK :, None] - 1).max() < 0.1


def test_a_second_fault_of_a_day_is_found_where_there_was_one_ten_days_before() -> None:
    random = np.random.default_rng(1)
    size = 150
    values = random.normal(1000, 30, size).round()
    places = (size - 20, size - 10)
    values[list(places)] *= 0.6

    whole = panel({"a": values}, 86_400)
    groups = _groups(whole, settings("P1D"))

    assert [second(group.start) for group in groups] == [whole.starts[place] for place in places]


@pytest.mark.parametrize("factor", [0.6, 1.6])
@pytest.mark.parametrize("days", [9, 10, 14])
def test_a_level_of_days_is_one_event_with_its_way_back(factor: float, days: int) -> None:
    random = np.random.default_rng(1)
    size = 150
    leaves = [random.normal(mean, mean / 50, size).round() for mean in (3000.0, 1000.0, 2000.0)]
    begin = size - 40
    leaves[1][begin : begin + days] *= factor

    whole = _with_total(leaves, 86_400)
    done = replay(settings("P1D"), Snapshot.initial(settings("P1D")), whole)

    (group,) = done.groups
    assert group.slices == ({"platform": "leaf 01"},)
    assert second(group.start) == whole.starts[begin]
    place = done.scores.slices.tolist().index(["leaf 01"])
    expected = done.scores.expected[:, 0, place]
    # It is the new level after ten days, unless it is over, and then the old one.
    on_its_last_day = expected[begin + days - 1] / 1000
    assert on_its_last_day == pytest.approx(factor if days > 11 else 1.0, rel=0.1)
    assert np.abs(expected[begin + days + 4 :] / 1000 - 1).max() < 0.1


@pytest.mark.parametrize("factor", [0.0, 0.01, 0.3])
@pytest.mark.parametrize("days", [10, 11, 12, 14, 25])
def test_a_slice_that_is_back_after_days_is_told_once(factor: float, days: int) -> None:
    """The day on which a level is accepted, and those of the way back, teach nothing."""
    random = np.random.default_rng(1)
    size = 230
    leaves = [random.poisson(mean, size) * 1.0 for mean in (3000, 1000, 2000)]
    begin = size - 100
    leaves[1][begin : begin + days] = (leaves[1][begin : begin + days] * factor).round()

    whole = _with_total(leaves, 86_400)
    done = replay(settings("P1D"), Snapshot.initial(settings("P1D")), whole)

    (group,) = done.groups
    assert group.slices == ({"platform": "leaf 01"},)
    assert second(group.start) == whole.starts[begin]
    expected = done.scores.expected[begin + days + 4 :, 0]
    for name, size_of in (("leaf 01", 1000), (ROLLED_UP, 6000)):
        place = done.scores.slices.tolist().index([name])
        assert np.abs(expected[:, place] / size_of - 1).max() < 0.15


def test_what_varies_for_days_is_no_new_level() -> None:
    random = np.random.default_rng(1)
    size = 150
    leaves = [random.normal(mean, mean / 50, size).round() for mean in (3000.0, 1000.0, 2000.0)]
    begin, days = size - 40, 14
    wild = np.tile([1.8, 0.4, 1.5, 0.5], 4)[:days]
    for leaf in leaves:
        leaf[begin : begin + days] *= wild

    whole = _with_total(leaves, 86_400)
    done = replay(settings("P1D"), Snapshot.initial(settings("P1D")), whole)

    assert {second(group.start) for group in done.groups} <= set(whole.starts[begin : begin + days])
    place = done.scores.slices.tolist().index([ROLLED_UP])
    expected = done.scores.expected[begin + days :, 0, place]
    assert np.abs(expected / 6000 - 1).max() < 0.15


def test_a_level_that_has_held_for_long_is_the_one_to_return_to() -> None:
    random = np.random.default_rng(1)
    size = 260
    values = random.normal(1000, 20, size).round()
    values[100:] *= 1.5
    values[200:214] *= 1.6

    whole = panel({"a": values}, 86_400)
    done = replay(settings("P1D"), Snapshot.initial(settings("P1D")), whole)

    assert [second(group.start) for group in done.groups] == [whole.starts[100], whole.starts[200]]
    expected = done.scores.expected[218:, 0, 0]
    assert np.abs(expected / 1500 - 1).max() < 0.1


@pytest.mark.parametrize("seed", [1, 2])
def test_what_comes_each_night_is_not_told_for_ever_though_no_single_hour_stands_out(
    seed: int,
) -> None:
    random = np.random.default_rng(seed)
    size, first = 16 * WEEK, 6 * WEEK
    hour = np.arange(size)
    night = hour % 24 < 6
    # Hours of a night deviate in turn, above or below by chance, so that no profile knows them.
    turn = np.where(hour % 2, 1, -1) * (2 * random.integers(0, 2, size // 24) - 1).repeat(24)
    usual = np.where((hour >= first) & night, 0.9, 1.0) * np.where(night, 1 + 0.05 * turn, 1.0)
    leaves = [(usual * random.normal(5000, 50, size)).round() for _ in range(3)]

    groups = _groups(_with_total(leaves))

    # Of seventy nights.
    assert len(groups) <= 3


# --- short intervals ----------------------------------------------------------------------------


def _five_minutes(days: int) -> Series:
    """A day's season of counts in five minutes."""
    random = np.random.default_rng(1)
    at = np.arange(days * 288)
    mean = 200.0 * (1 + 0.5 * np.sin(at * 2 * np.pi / 288))
    return random.poisson(mean).astype(np.float64)


@pytest.mark.parametrize(
    ("interval", "windows"),
    [
        ("PT5M", (1, 3, 12, 36, 72, 144, 288, 576)),
        ("PT15M", (1, 4, 12, 24, 48, 96, 192)),
        ("PT1H", (1, 2, 3, 6, 12, 24, 48)),
        ("P1D", (1, 2, 3, 6, 12, 24, 48)),
    ],
)
def test_windows_are_hours(interval: str, windows: tuple[int, ...]) -> None:
    assert settings(interval).windows == windows


def test_at_five_minutes_no_event_opens_before_a_week_is_known_and_a_fault_is_not_learnt() -> None:
    values = _five_minutes(18)
    begin, end = 16 * 288, 16 * 288 + 10 * 12
    values[begin:end] *= 0.6
    values[2 * 288 : 2 * 288 + 24] *= 3
    chosen = settings("PT5M", false_events_per_week=0.1)

    whole = panel({"a": values}, 300)
    done = replay(chosen, Snapshot.initial(chosen), whole)

    assert all(second(one.start) >= whole.starts[7 * 288] for one in done.groups)
    (group,) = _within(done.groups, whole, begin, end)
    assert whole.starts[begin] <= second(group.start) <= whole.starts[begin + 6]
    assert whole.starts[end - 3] <= second(group.end) <= whole.starts[end + 3]
    assert group.direction == "down"
    assert group.actual / group.expected == pytest.approx(0.6, abs=0.03)


def test_at_five_minutes_a_weekend_is_learned_though_events_open_before_the_week_is_known() -> None:
    # The first week ends with it.
    random = np.random.default_rng(2)
    at = np.arange(28 * 288)
    mean = (1 + 0.4 * np.sin(at * 2 * np.pi / 288)) * np.where(at // 288 % 7 >= 5, 0.25, 1.0)
    leaves = [random.poisson(size * mean) * 1.0 for size in (600, 300, 150, 150)]
    whole = _with_total(leaves, 300)
    chosen = settings("PT5M")

    done = replay(chosen, Snapshot.initial(chosen), whole)

    assert any(second(one.start) < whole.starts[14 * 288] for one in done.groups)
    days = done.scores.expected[:, 0].sum(axis=1)[-14 * 288 :].reshape(14, 288).sum(axis=1)
    actual = 2 * sum(leaves)[-14 * 288 :].reshape(14, 288).sum(axis=1)
    # A weekend on weekdays, or the other way round, would be off by a factor of four.
    assert np.abs(days / actual - 1).max() < 1.0


def test_rare_leaves_do_not_tell_how_much_the_total_varies() -> None:
    # In five minutes, leaves expect from 5 down to a hundredth.
    random = np.random.default_rng(1)
    size = 18 * 288
    leaves = [random.poisson(5.0 * 0.7**place, size) * 1.0 for place in range(18)]
    begin, end = size - 200, size - 191
    for leaf in leaves:
        leaf[begin:end] = 0.0

    whole = _with_total(leaves, 300)
    groups = _groups(whole, settings("PT5M"))

    (group,) = _within(groups, whole, begin, end)
    assert [dict(one) for one in group.slices] == [{}]
    assert second(group.start) <= whole.starts[begin + 4]


def test_windows_of_hours_hold_the_sums_of_the_latest_intervals() -> None:
    values = np.random.default_rng(1).poisson(50.0, 900) * 1.0
    chosen = settings("PT5M")
    rules = Rules.of(chosen)
    done = replay(chosen, Snapshot.initial(chosen), panel({"a": values}, 300))
    scan = done.after.state.scan

    sums = scan._sums(rules, done.after.state.clock)[:, :, 0, 0]

    expected = done.scores.expected[:, 0, 0]
    for (change, base), window in zip(sums, rules.windows, strict=True):
        # the oldest hour counts by the share that the window reaches into
        assert base == pytest.approx(expected[-window:].sum(), rel=0.01)
        assert base + change == pytest.approx(values[-window:].sum(), rel=0.02)


def test_a_value_that_ended_stays_accepted_when_its_total_is_again_as_it_was() -> None:
    # given one of two values that ends for good, and another that makes up for it a week later
    random = np.random.default_rng(3)
    size, ends, back = 9 * WEEK, 6 * WEEK, 6 * WEEK + 5 * 24
    usual = 1 + 0.4 * np.sin(np.arange(size) * 2 * np.pi / 24)
    first, second = random.poisson(200 * usual) * 1.0, random.poisson(800 * usual) * 1.0
    second[back:] = random.poisson(1000 * usual[back:])
    first[ends:] = np.nan
    whole = panel({"first": first, "second": second, "*": np.nan_to_num(first) + second})
    # when it is replayed, then the end is told once
    groups = _groups(whole, settings(false_events_per_week=1))
    ended = [group for group in groups if {"platform": "first"} in group.slices]
    assert [np.datetime64(group.start.replace(tzinfo=None), "s") for group in ended] == [
        whole.starts[ends]
    ]


def test_two_faults_that_share_leaves_are_told_once_each_not_every_other_hour() -> None:
    # given two faults that cross, the second of which is weaker
    size, begin = 8 * WEEK, 7 * WEEK + 9
    chosen = settings(
        measures={"views": {}, "revenue": {}}, dimensions=DIMENSIONS, false_events_per_week=1
    )
    done = replay(
        chosen,
        Snapshot.initial(chosen),
        shop(
            size,
            5,
            [
                (("mobile_app", ROLLED_UP), begin, begin + 30, 0.3),
                ((ROLLED_UP, "us"), begin + 3, begin + 30, 0.7),
            ],
        ),
    )
    # when they are replayed, then there is no chain of short events
    for measure in ("views", "revenue"):
        told = [group for group in done.groups if group.measure == measure]
        assert 1 <= len(told) <= 3, [(group.start, group.slices) for group in told]


# --- what is told --------------------------------------------------------------------------------


def test_nothing_is_told_of_what_is_not_scored() -> None:
    # given an outage that is over, and one that is still there when the scored part begins
    size, begin = 24 * 45, 24 * 35
    values = seasonal(size, noise=0.05, seed=3)
    values[begin - 200 : begin - 190] = 0.0
    values[begin - 10 : begin + 10] = 0.0
    chosen = settings()
    whole = panel({"a": values})
    # when it is scored at once, and after a snapshot within the second
    first = whole.starts[begin]
    at_once = replay(chosen, Snapshot.initial(chosen), whole, score_from=first).groups
    before = replay(chosen, Snapshot.initial(chosen), whole.cut(0, begin - 5), score_from=first)
    later = replay(chosen, before.after, whole.cut(begin - 5, size), score_from=first).groups
    # then only the scored part of the second is told
    assert before.groups == ()
    assert later == at_once
    (group,) = at_once
    assert group.start.replace(tzinfo=None) == first.item()
    assert group.actual == 0.0 < group.expected
    assert all(point.start >= group.start for point in group.points)


def test_an_event_ends_although_another_slice_lifts_its_own_soon_after() -> None:
    # given a dip of a platform, and two hours after it more of a market: the platform rises, too
    size, begin = 8 * WEEK, 7 * WEEK + 9
    chosen = settings(measures={"views": {}, "revenue": {}}, dimensions=DIMENSIONS)
    faults = [
        (("mobile_app", ROLLED_UP), begin, begin + 2, 0.3),
        ((ROLLED_UP, "us"), begin + 4, begin + 6, 2.3),
    ]
    whole = shop(size, 5, faults, noise=0.03)
    # when it is replayed, then each is told at its own time
    done = replay(chosen, Snapshot.initial(chosen), whole, score_from=whole.starts[begin - 24])
    told = {
        (*group.slices[0].values(), group.measure): (second(group.start), second(group.end))
        for group in done.groups
    }
    assert told == {
        (next(one for one in where if one != ROLLED_UP), measure): (
            whole.starts[first],
            whole.starts[end],
        )
        for where, first, end, _ in faults
        for measure in ("views", "revenue")
    }


def test_an_outage_is_told_of_the_total_though_less_is_certain_of_it() -> None:
    """Evidence that is beyond doubt anyway does not decide where it is."""
    random = np.random.default_rng(1)
    size = 120
    leaves = [mean * random.normal(1, 0.02, size) for mean in (4e4, 3e4, 2e4, 1e4)]
    for leaf in leaves:
        leaf[-2] = 0
    whole = _with_total([leaf.round() for leaf in leaves], 86_400)
    before = replay(settings("P1D"), Snapshot.initial(settings("P1D")), cut(whole, 0, size - 2))
    # As after a level that the total has taken from one of them.
    total = before.after.state.slices.tolist().index([ROLLED_UP])
    before.after.state.forecast.spread[:, 0, total] *= 10

    (group,) = replay(settings("P1D"), before.after, cut(whole, size - 2, size)).groups

    assert group.slices == ({},)


@pytest.mark.parametrize("seed", [1, 2])
def test_an_outage_a_few_days_after_a_new_level_is_told_of_the_total(seed: int) -> None:
    """Other changes may be the way back from the level, and open no event yet."""
    random = np.random.default_rng(seed)
    size, gone, lost = 130, 100, 115
    leaves = [mean * random.normal(1, 0.02, size) for mean in (4e4, 3e4, 2e4, 1e4)]
    leaves[0][gone:] = 0
    for leaf in leaves:
        leaf[lost] = 0

    whole = _with_total([leaf.round() for leaf in leaves], 86_400)
    first, second_one = _groups(whole, settings("P1D"))

    assert (first.slices, first.accepted) == (({"platform": "leaf 00"},), True)
    assert (second_one.kind, second_one.slices) == ("no data", ({},))
    assert second(second_one.start) == whole.starts[lost]


def _five_minute_leaves(means: Sequence[float], size: int) -> list[Series]:
    """Counts with a daily profile and calmer weekends."""
    random, at = np.random.default_rng(1), np.arange(size)
    shape = 1 + 0.4 * np.sin(at * 2 * np.pi / 288) - 0.1 * (at // 288 % 7 >= 5)
    return [random.poisson(mean * shape).astype(np.float64) for mean in means]


def test_an_outage_ends_when_rows_come_again_though_more_than_usual() -> None:
    # given an outage of an hour, after which there is more than before for a day
    size, begin = 288 * 23, 288 * 21 + 100
    end, normal = begin + 12, begin + 288
    leaves = _five_minute_leaves((400, 300, 200), size)
    for leaf in leaves:
        leaf[begin:end] = 0
        leaf[end:normal] = np.round(1.3 * leaf[end:normal])
    whole = _with_total(leaves, 300)
    # when it is replayed, then the outage is told by itself, and what comes after it, too
    outage, more = _within(_groups(whole, settings("PT5M")), whole, begin, size - 1)
    assert (outage.direction, outage.slices, more.direction, more.slices) == (
        "down",
        ({},),
        "up",
        ({},),
    )
    assert (second(outage.start), second(outage.end)) == (whole.starts[begin], whole.starts[end])
    # What was held up may come for as long as it did not.
    assert whole.starts[end] <= second(more.start) <= whole.starts[end + 24]
    assert second(more.end) == whole.starts[normal]


def test_an_event_goes_back_to_where_it_began_when_that_shows_it_best() -> None:
    # given a value that ends for good, while hours later others lose half for half a day
    size, begin = 288 * 26, 288 * 21 + 100
    *others, gone = _five_minute_leaves((400, 300, 100), size)
    gone[begin:] = 0
    for leaf in others:
        leaf[begin + 100 : begin + 250] = np.round(0.5 * leaf[begin + 100 : begin + 250])
    whole = _with_total([*others, gone], 300)
    # when it is replayed, then it is not told of the total for ever, closed and opened each hour
    group, half = _within(_groups(whole, settings("PT5M")), whole, begin, size - 1)
    assert (group.slices, group.accepted) == (({"platform": "leaf 02"},), True)
    assert second(group.end) == whole.starts[begin + 3 * 288]
    # What fails hours later is another event.
    assert second(half.start) == whole.starts[begin + 100]
    # While the week is unknown, the forecast learns under an event of more than six hours, so that
    # it is over before the fault is.
    assert whole.starts[begin + 172] <= second(half.end) <= whole.starts[begin + 250]


@pytest.mark.parametrize(
    ("seed", "noise", "quiet", "then"),
    [
        # What the windows of the first slice still hold is more than the second one shows.
        (5, 0.02, 2, (("*", "it"), 0.5)),
        # The first event is open no more, and is not continued elsewhere.
        (2, 0.06, 4, (("*", "it"), 0.4)),
        (2, 0.06, 6, (("mobile_web", "it"), 0.1)),
    ],
)
def test_a_fault_in_a_slice_that_crosses_that_of_hours_before_is_told_by_itself(
    seed: int, noise: float, quiet: int, then: tuple[tuple[str, str], float]
) -> None:
    size = 36 * 24
    begin = 33 * 24 + 18
    place, factor = then
    again = begin + 2 + quiet
    faults = [(("mobile_web", "*"), begin, begin + 2, 0.17), (place, again, again + 6, factor)]
    whole = cut(shop(size, seed, faults, noise=noise), 0, again + 8)
    groups = _within(
        _groups(whole, dimensions=DIMENSIONS, false_events_per_week=0.5), whole, begin, again + 6
    )
    hit = tuple(value for value in place if value != ROLLED_UP)
    for measure in whole.measures:
        told = [(tuple(one.slices[0].values()), second(one.start)) for one in _of(groups, measure)]
        assert told == [(("mobile_web",), whole.starts[begin]), (hit, whole.starts[again])]
