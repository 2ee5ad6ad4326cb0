"""Events of daily data: what fades, what is closed on Sundays, and what earlier events leave."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from anomaly_detector.config import ROLLED_UP
from anomaly_detector.detection.habits import Habits
from anomaly_detector.detection.month import Month
from anomaly_detector.events.group import Group
from anomaly_detector.panel import Panel, second
from anomaly_detector.replay import Replay, replay
from anomaly_detector.snapshot import Snapshot
from numpy.typing import NDArray

from tests.unit.detection_panels import settings, starts

Series = NDArray[np.float64]
DAY = 86_400
OPEN = np.array([1.1, 1.0, 1.0, 1.05, 1.2, 1.3, 0.0])  # closed on Sundays


def _counted(rates: Series, seed: int) -> Series:
    """(L, T) independent counts."""
    return np.random.default_rng(seed).poisson(rates).astype(np.float64)


def _of_week(level: float, days: int, week: Series) -> Series:
    return np.asarray(level * week[np.arange(days) % 7])


def _panel(values: Series, rows: Series) -> Panel:
    """Leaves and, last, the total; NaN where there is no row."""
    slices = np.empty((len(values), 1), dtype=object)
    slices[:, 0] = [*(f"leaf {place}" for place in range(len(values) - 1)), ROLLED_UP]
    found = np.where(rows > 0, values, np.nan).T[:, None, :]
    return Panel(
        starts(values.shape[1], DAY), ("platform",), slices, ("views",), found, rows.T[:, None, :]
    )


def _added_up(leaves: Series) -> Panel:
    rows = np.vstack([leaves, leaves.sum(axis=0)])
    return _panel(rows, rows)


def _averaged(sums: Series, rows: Series) -> Panel:
    sums, rows = (np.vstack([one, one.sum(axis=0)]) for one in (sums, rows))
    return _panel(sums / np.maximum(rows, 1.0), rows)


def _replayed(whole: Panel, aggregation: str, **others: Any) -> Replay:
    rule = {"aggregation": aggregation}
    if aggregation == "RATIO":
        rule |= {"numerator": "bad", "denominator": "all"}
    chosen = settings("P1D", {"views": rule}, **({"false_events_per_week": 0.1} | others))
    return replay(chosen, Snapshot.initial(chosen), whole)


def _groups(whole: Panel, aggregation: str, begin: int, **others: Any) -> list[Group]:
    """Events from a day on."""
    found = _replayed(whole, aggregation, **others).groups
    return [one for one in found if second(one.end) > whole.starts[begin]]


def test_a_distinct_count_that_falls_silent_is_an_event_of_its_slice() -> None:
    # given users of thirty values, of one of which none comes for three days
    leaves = _counted(np.full((30, 200), 300.0), 1)
    leaves[1, 150:153] = 0.0
    # when they are replayed, then that is told at once, though the total hardly shows it
    (event,) = _groups(_added_up(leaves), "COUNT_DISTINCT", 140)
    assert event.slices == ({"platform": "leaf 1"},)
    assert second(event.start) == starts(200, DAY)[150]


def test_a_day_without_the_mean_of_many_rows_is_an_event() -> None:
    # given means of forty leaves, one of which has none on a single day
    rows = _counted(np.full((40, 200), 300.0), 2)
    sums = rows * 50.0 * (1.0 + np.random.default_rng(3).normal(0.0, 0.02, rows.shape))
    rows[4, 160] = sums[4, 160] = 0.0
    # when they are replayed, then that is told
    (event,) = _groups(_averaged(sums, rows), "AVG", 155)
    assert (event.kind, event.slices) == ("no data", ({"platform": "leaf 4"},))


def test_a_mean_is_missed_after_a_weekend_of_few_rows_as_on_other_days() -> None:
    # given leaves with a fiftieth of their rows on weekends, and one without any from Monday on
    week = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 0.05, 0.02])
    rows = _counted(np.array([_of_week(level, 210, week) for level in (900.0, 600.0, 700.0)]), 4)
    sums = rows * 50.0 * (1.0 + np.random.default_rng(5).normal(0.0, 0.02, rows.shape))
    rows[0, 196:200] = sums[0, 196:200] = 0.0
    # when they are replayed, then each of its days shows it
    (event,) = _groups(_averaged(sums, rows), "AVG", 190)
    assert event.kind == "no data"
    assert [second(one.start) for one in event.points] == list(starts(200, DAY)[196:])


@pytest.mark.parametrize("ends", [False, True])
def test_a_sum_that_fades_to_nothing_is_not_missed_and_one_that_ends_is(*, ends: bool) -> None:
    # given orders of a leaf that end, or become fewer for months until none comes
    days, silent = np.arange(420), 0
    fading = np.where(days < 320, 12.0, 0.0) if ends else 12.0 * np.clip(2.8 - days / 140, 0, 1)
    for seed in range(5):
        leaves = _counted(np.array([np.full(420, 150.0), np.full(420, 80.0), fading]), seed)
        # when they are replayed, then the former alone is told as gone
        found = _groups(_added_up(leaves), "COUNT", 240)
        silent += sum(one.kind == "no data" for one in found)
    assert silent == 5 * ends


def test_one_bad_one_of_a_few_is_no_event_of_a_ratio() -> None:
    # given a year and a half of leaves with three to fifteen of which one in a hundred fails
    random = np.random.default_rng(6)
    rates = np.geomspace(3.0, 15.0, 24)[:, None] * np.ones((1, 500))
    rows = random.poisson(rates).astype(np.float64)
    bad = random.binomial(rows.astype(int), 0.01).astype(np.float64)
    # when they are replayed, then hardly one of five hundred such days is told (one in twenty-five
    # where a ratio is taken to be as certain as a mean of so many)
    assert len(_groups(_averaged(bad, rows), "RATIO", 0)) <= 2


def test_what_earlier_events_have_shown_hides_no_later_one() -> None:
    # given means that leap for three days, in the total, four times, the last time by less
    rows = np.full((4, 400), 100.0)
    random = np.random.default_rng(7)
    means = 50.0 * (1.0 + random.normal(0.0, 0.02, rows.shape))
    for begin, factor in ((150, 3.0), (200, 3.0), (250, 3.0), (340, 1.4)):
        means[:, begin : begin + 3] *= factor
    # when they are replayed, then all are told
    found = _groups(_averaged(means * rows, rows), "AVG", 140)
    assert [second(one.start) for one in found] == list(starts(400, DAY)[[150, 200, 250, 340]])


def test_what_is_closed_on_sundays_is_no_event_on_the_first_ones_at_a_new_level() -> None:
    # given four shops that are closed on Sundays, two of which sell more, and one that is open
    rates = np.array([_of_week(100.0 + 20 * place, 500, OPEN) for place in range(4)])
    rates = np.vstack([rates, np.full(500, 300.0)])
    rates[:2, 422:] *= 1.5
    # when that is replayed, then both new levels are events, and no Sunday is, of all shops either
    found = _groups(_added_up(_counted(rates, 8)), "COUNT", 400)
    assert [one.slices for one in found] == [({"platform": f"leaf {leaf}"},) for leaf in (1, 0)]


def test_a_sunday_with_the_orders_of_a_working_day_is_forgotten_though_a_level_is_new() -> None:
    # given orders that hardly come on Sundays, a new level, and a Sunday like a working day
    week = np.array([1.2, 1.0, 1.0, 1.0, 1.1, 0.2, 0.03])
    rates = np.array([_of_week(400.0 + 50 * place, 330, week) for place in range(4)])
    rates[:, 210:] *= 1.6
    rates[:, 237] = rates[:, 238]
    assert 237 % 7 == 6
    # when they are replayed, then next Sundays are expected to be as before
    scores = _replayed(_added_up(_counted(rates, 9)), "COUNT").scores
    total = [tuple(one) for one in scores.slices].index((ROLLED_UP,))
    for sunday in (244, 251, 258):
        assert scores.expected[sunday, 0, total] < 0.3 * scores.expected[sunday + 1, 0, total]


def test_a_leap_beyond_the_level_before_an_accepted_one_is_no_return_to_it() -> None:
    # given orders that have fallen by a third for good, and a day of four times as many
    rates = np.array([np.full(260, 200.0 + 40 * place) for place in range(4)])
    rates[:, 200:] *= 0.65
    rates[:, 228] *= 4.0
    # when they are replayed, then that day is an event
    events = _groups(_added_up(_counted(rates, 10)), "COUNT", 226)
    assert [(one.direction, second(one.start)) for one in events] == [("up", starts(260, DAY)[228])]


def test_a_busy_sunday_tells_little_of_that_day_of_the_month() -> None:
    # given a quiet Sunday's forecast and the orders of a working day
    chosen = settings("P1D", {"views": {"aggregation": "COUNT"}})
    month, habits = Month.fresh(chosen, 1), Habits.fresh(chosen, 1)
    habits.level[:], habits.seen[:] = 400.0, 300.0
    quiet, busy = np.full((1, 1), 12.0), np.full((1, 1), 400.0)
    every, none = np.ones((1, 1), dtype=np.bool_), np.zeros((1, 1), dtype=np.bool_)
    month.seen[:] = 3
    # when that is learned, then a working day on the same date is not expected to be as much busier
    month.learn(habits, 5, quiet, busy - quiet, np.zeros((1, 1)), busy, every, none)
    assert 0.0 < month.adds[5, 0, 0] < 0.1
