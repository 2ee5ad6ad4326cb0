"""What is chance in intervals of minutes: noise hides errors, few rows come, and values repeat."""

from __future__ import annotations

import numpy as np
import pytest
from anomaly_detector.config import ROLLED_UP
from anomaly_detector.detection.rules import Rules
from anomaly_detector.panel import Panel, second
from anomaly_detector.replay import _slots, replay
from anomaly_detector.snapshot import Snapshot
from numpy.typing import NDArray

from tests.unit.detection_panels import by_measure, cut, panel, settings, starts

DAY, FIVE_MINUTES = 288, 300
WEEK = 7 * DAY
NO_TIME, QUARTER = np.timedelta64(0, "s"), np.timedelta64(900, "s")
Series = NDArray[np.float64]


def _night(weeks: int, depth: float) -> Series:
    """Profile of a day with a mean of one, lowest at midnight."""
    at = np.arange(weeks * WEEK) % DAY
    return 1.0 - depth * np.cos(2 * np.pi * at / DAY)


def test_a_weekend_is_expected_of_what_is_known_of_weekends() -> None:
    # given four weeks of few orders by day, and hardly any on weekends
    at = np.arange(4 * WEEK)
    opened = (at % DAY >= DAY // 4) & (at % DAY < 5 * DAY // 6)
    expected = np.where(opened, 3.0, 0.0) * np.where(at // DAY % 7 >= 5, 0.05, 1.0)
    orders = np.random.default_rng(1).poisson(expected).astype(np.float64)
    chosen = settings("PT5M")
    noon = 3 * WEEK + 5 * DAY + DAY // 2
    before = panel({"a": np.where(opened, orders, np.nan)[:noon]}, FIVE_MINUTES)
    state = replay(chosen, Snapshot.initial(chosen), before).after.state
    # when the fourth Saturday comes, then it is not expected to be a mean of all days
    slots = _slots(chosen, starts(noon + 1, FIVE_MINUTES))[noon]
    shown = state.judge(Rules.of(chosen), np.zeros((1, 1)), np.ones((1, 1)), None, slots)
    assert shown.expectation.expected.item() < 0.3


def _cents(weeks: int, leaves: int = 16) -> tuple[Series, Series]:
    """Amounts in cents, of which only a few come by night, and their sum."""
    random = np.random.default_rng(2)
    means = 0.3 * _night(weeks, 0.85)
    own = np.round(random.gamma(4.0, means / 4.0, (leaves, len(means))), 2)
    return own, np.round(own.sum(axis=0), 2)


@pytest.mark.parametrize("stuck", [False, True])
def test_cents_that_repeat_by_chance_are_not_stuck(*, stuck: bool) -> None:
    own, total = _cents(3)
    begin = 2 * WEEK + DAY // 2
    if stuck:
        own[3, begin : begin + 24] = own[3, begin]
    series = {f"leaf {n}": one for n, one in enumerate(own)} | {ROLLED_UP: total}

    chosen = settings("PT5M", false_events_per_week=1)
    found = replay(chosen, Snapshot.initial(chosen), panel(series, FIVE_MINUTES)).groups

    assert [(one.kind, one.slices) for one in found] == (
        [("stuck", ({"platform": "leaf 3"},))] if stuck else []
    )


def _means(weeks: int, silent: slice) -> Panel:
    """Means of few rows by night, of a leaf of which half as many come in the last week."""
    random = np.random.default_rng(3)
    rates = np.outer([6.0, 40.0, 30.0], _night(weeks, 0.45))
    rates[0, -WEEK:] *= 0.6
    rates[0, silent] = 0.0
    rows = random.poisson(rates).astype(np.float64)
    sums = random.normal(40.0 * rows, 10.0 * np.sqrt(rows))
    rows, sums = (np.vstack([one, one.sum(axis=0)]) for one in (rows, sums))
    values = np.where(rows > 0, sums / np.maximum(rows, 1.0), np.nan)
    slices = np.empty((4, 1), dtype=object)
    slices[:, 0] = ["leaf 0", "leaf 1", "leaf 2", ROLLED_UP]
    begins = starts(values.shape[1], FIVE_MINUTES)
    shape = values.T[:, None, :], rows.T[:, None, :]
    return Panel(begins, ("platform",), slices, ("views",), *shape)


@pytest.mark.parametrize("ends", [False, True])
def test_no_row_for_a_while_is_no_event_where_few_are_due(*, ends: bool) -> None:
    begin = 3 * WEEK + 3 * DAY + DAY // 2
    whole = _means(4, slice(begin, begin + 24 * ends))
    chosen = settings("PT5M", {"views": {"aggregation": "AVG"}}, false_events_per_week=1)

    groups = replay(chosen, Snapshot.initial(chosen), whole).groups

    found = [second(one.start) for one in groups if one.kind == "no data"]
    assert len(found) == ends
    assert all(NO_TIME <= one - whole.starts[begin] <= QUARTER for one in found)


@pytest.mark.parametrize("fails", [False, True])
def test_two_of_ten_devices_that_fail_at_once_are_chance(*, fails: bool) -> None:
    random, begin = np.random.default_rng(4), 3 * WEEK
    values = random.binomial(10, 0.998, (4 * WEEK, 12)).astype(np.float64)
    if fails:
        values[begin : begin + 6, 4] = 7.0
    chosen = settings("PT5M", false_events_per_week=1)
    shown = by_measure({"views": list(values.T)}, FIVE_MINUTES)

    groups = replay(chosen, Snapshot.initial(chosen), shown).groups

    assert len(groups) == fails
    assert all(NO_TIME <= second(one.start) - shown.starts[begin] <= QUARTER for one in groups)


@pytest.mark.parametrize("dimensions", [(), ("platform",)])
def test_the_only_series_of_a_measure_is_forecast_value_by_value(
    dimensions: tuple[str, ...],
) -> None:
    random = np.random.default_rng(6)
    at = np.arange(3 * WEEK)
    normal = 20 * (1.2 + np.sin(at * 2 * np.pi / DAY)) * np.where(at // DAY % 7 >= 5, 0.5, 1.0)
    values = random.poisson(normal).astype(np.float64)[:, None, None]
    keys = np.empty((1, len(dimensions)), dtype=object)
    keys[:] = ROLLED_UP
    chosen = settings("PT5M", dimensions=dimensions)
    times, counts = starts(len(at), FIVE_MINUTES), np.ones_like(values)
    whole = Panel(times, dimensions, keys, ("views",), values, counts)
    done = replay(chosen, Snapshot.initial(chosen), cut(whole, 0, len(at) - 1))

    last = cut(whole, len(at) - 1, len(at))
    error = done.after.state.forecast.error[:, 0, 0].copy()
    slots = _slots(chosen, last.starts)[0]
    shown = done.after.state.judge(Rules.of(chosen), last.values[0], last.counts[0], None, slots)
    weight = error**-3.0
    by_value = (weight * shown.expectation.experts[:, 0, 0]).sum() / weight.sum()

    assert (shown.expectation.expected[0, 0] == pytest.approx(by_value, rel=1e-9)) == (
        not dimensions
    )


QUARTERS, LATE_BY = 96, 0.4


def _jobs(weeks: int, late: float) -> dict[str, Series]:
    """Requests in quarters of an hour: a job of three quarters begins each night at half past two,
    as large as the day allows, and late on one night in ten; beside it, a website.
    """
    random = np.random.default_rng(5)
    days = 7 * weeks
    job = np.full((days, QUARTERS), 4.0)
    size = 3000 * np.exp(random.normal(0, 0.1, (days, 1)))
    over = (random.random((days, 1)) < 0.1) * late * random.uniform(0.5, 1, (days, 1))
    job[:, 10:14] += size * np.concatenate([1 - over, np.ones((days, 2)), over], axis=1)
    at = np.arange(days * QUARTERS)
    site = 400 * (1 - 0.6 * np.cos(2 * np.pi * at / QUARTERS))
    job, site = (random.poisson(one.ravel()).astype(np.float64) for one in (job, site))
    return {"job": job, "site": site, ROLLED_UP: job + site}


def test_a_job_is_not_expected_before_the_quarter_in_which_it_begins() -> None:
    # given a job that begins within an hour, of which the weekly profile has one value
    chosen = settings("PT15M")
    whole = panel(_jobs(5, 0.0), 900)
    night = len(whole.starts) - QUARTERS + 8
    state = replay(chosen, Snapshot.initial(chosen), cut(whole, 0, night)).after.state
    # when the hour of the last night begins, then not even a small part of it is expected
    slots = _slots(chosen, whole.starts)[night]
    shown = state.judge(Rules.of(chosen), np.zeros((1, 3)), np.ones((1, 3)), None, slots)
    assert shown.expectation.expected[0, state.lattice.index["job",]] < 40


def test_a_job_that_is_larger_or_ends_some_minutes_late_is_no_event() -> None:
    chosen = settings("PT15M", false_events_per_week=1)
    whole = panel(_jobs(8, LATE_BY), 900)
    found = replay(chosen, Snapshot.initial(chosen), whole).groups
    # once two weekends are known
    assert not [one for one in found if second(one.start) > whole.starts[2 * 7 * QUARTERS]]


@pytest.mark.parametrize("fails", [False, True])
def test_one_error_of_a_few_rows_is_no_event_of_a_ratio(*, fails: bool) -> None:
    # given shares of errors of three rows, whose squares the warehouse does not return
    random = np.random.default_rng(6)
    size, begin = 4 * 7 * QUARTERS, 25 * QUARTERS + 40
    rows = random.poisson(3.0, (30, size))
    chance = np.full(rows.shape, 0.01)
    chance[4, begin : begin + 12] += 0.4 * fails
    errors = random.binomial(rows, chance)
    rows, errors = (np.vstack([one, one.sum(axis=0)]) for one in (rows, errors))
    values = np.where(rows > 0, errors / np.maximum(rows, 1), np.nan).T[:, None, :]
    slices = np.array([*([f"leaf {n}"] for n in range(30)), [ROLLED_UP]], dtype=object)
    counts = rows.T[:, None, :].astype(np.float64)
    whole = Panel(starts(size, 900), ("platform",), slices, ("errors",), values, counts)
    ratio = {"aggregation": "RATIO", "numerator": "failed", "denominator": "all"}
    chosen = settings("PT15M", {"errors": ratio}, false_events_per_week=1)

    found = replay(chosen, Snapshot.initial(chosen), whole).groups

    assert [one.slices for one in found] == ([({"platform": "leaf 4"},)] if fails else [])
