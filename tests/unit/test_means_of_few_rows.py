"""Means at times at which hardly a row comes: one row is no evidence, and none may come."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from anomaly_detector.config import ROLLED_UP
from anomaly_detector.events.group import Group
from anomaly_detector.panel import Panel, second
from anomaly_detector.replay import replay
from anomaly_detector.snapshot import Snapshot
from numpy.typing import NDArray

from tests.unit.detection_panels import beside, settings, starts

WEEK = 24 * 7
SEEDS = 6
Series = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Series]


def _panel(
    random: np.random.Generator, rates: list[Series], draw: Draw, seconds: int = 3600
) -> Panel:
    """Means of rows that come at these rates, of leaves and in total; `draw` draws so many."""
    shape = (len(rates) + 1, len(rates[0]))
    rows, total, squares = np.zeros((3, *shape))
    for leaf, rate in enumerate(rates):
        rows[leaf] = random.poisson(rate)
        for at in np.flatnonzero(rows[leaf]):
            values = draw(random, int(rows[leaf, at]))
            total[leaf, at], squares[leaf, at] = values.sum(), np.square(values).sum()
    for one in (rows, total, squares):
        one[-1] = one[:-1].sum(axis=0)
    slices = np.empty((shape[0], 1), dtype=object)
    slices[:, 0] = [*(f"leaf {leaf}" for leaf in range(len(rates))), ROLLED_UP]
    mean = np.where(rows > 0, total / np.maximum(rows, 1.0), np.nan)
    norms = np.where(rows > 0, np.sqrt(squares), np.nan).astype(np.float32)
    values, counts, roots = mean.T[:, None, :], rows.T[:, None, :], norms.T[:, None, :]
    begins = starts(shape[1], seconds)
    return Panel(begins, ("platform",), slices, ("views",), values, counts, roots)


def _weekdays(weeks: int, rows: tuple[float, ...], weekend: float) -> list[Series]:
    """Rates of what is open from 6 to 20 o'clock, and nearly stops on weekends."""
    at = np.arange(weeks * WEEK)
    opened = (at % 24 >= 6) & (at % 24 < 20)
    day = np.where(at // 24 % 7 >= 5, weekend, 1.0)
    return [np.where(opened, one * day, 0.0) for one in rows]


def _times(random: np.random.Generator, rows: int) -> Series:
    return np.asarray(40 * np.exp(random.normal(0, 0.5, rows)))


def _groups(panels: dict[str, Panel], interval: str = "PT1H") -> tuple[Group, ...]:
    whole = beside(panels)
    rules = {name: {"aggregation": "AVG"} for name in whole.measures}
    chosen = settings(interval, rules, false_events_per_week=0.2 * len(rules))
    return replay(chosen, Snapshot.initial(chosen), whole).groups


def test_a_single_row_of_a_weekend_is_no_event() -> None:
    rates = _weekdays(16, (90.0, 60.0, 30.0), 0.02)
    panels = {
        f"seed {seed}": _panel(np.random.default_rng(seed), rates, _times) for seed in range(SEEDS)
    }

    found = _groups(panels)

    weekends = [one for one in found if one.start.weekday() >= 5]
    assert len(weekends) <= 1  # of three months, six times


def test_no_row_is_no_event_when_hardly_a_row_comes() -> None:
    rates = _weekdays(16, (40.0, 60.0, 30.0), 0.06)
    panels = {
        f"seed {seed}": _panel(np.random.default_rng(seed), rates, _times) for seed in range(SEEDS)
    }

    # Of a thousand such hours; without what is known of weekends, five.
    assert len([one for one in _groups(panels) if one.kind == "no data"]) <= 1


def test_no_row_on_a_day_of_many_rows_is_an_event() -> None:
    rates = _weekdays(8, (40.0, 60.0, 30.0), 0.06)
    begin = 7 * WEEK + 34
    rates[1][begin : begin + 4] = 0.0
    whole = _panel(np.random.default_rng(1), rates, _times)

    (event,) = [one for one in _groups({"views": whole}) if one.kind == "no data"]

    assert event.slices == ({"platform": "leaf 1"},)
    assert second(event.start) - whole.starts[begin] <= np.timedelta64(2, "h")


@pytest.mark.parametrize("ends", [False, True])
def test_no_row_is_an_event_where_rows_end_and_not_where_they_fade(*, ends: bool) -> None:
    # given days of a leaf whose rows end, or become a fifth fewer each day until none comes
    at, begin = np.arange(360), 300
    fading = 20.0 * np.minimum(1.0, 0.8 ** (at - begin))
    rates = [
        np.full(360, 60.0),
        np.full(360, 40.0),
        np.where(at < begin, 20.0, fading * (not ends)),
    ]
    panels = {
        f"seed {seed}": _panel(np.random.default_rng(seed), rates, _times, 86_400)
        for seed in range(SEEDS)
    }
    # when they are replayed, then the former is told
    told = [one for one in _groups(panels, "P1D") if one.kind == "no data"]
    assert len(told) == SEEDS * ends
    for one in told:
        assert (one.slices, second(one.start)) == (
            ({"platform": "leaf 2"},),
            panels["seed 0"].starts[begin],
        )


def test_a_share_is_one_by_chance_in_small_slices() -> None:
    at = np.arange(12 * WEEK)
    day = 1 + 0.6 * np.cos(2 * np.pi * (at % 24 - 14) / 24)
    rates = [200.0 * day for _ in range(10)]

    def paid(random: np.random.Generator, rows: int) -> Series:
        return np.asarray((random.random(rows) < 0.99) * 1.0)

    panels = {
        f"seed {seed}": _panel(np.random.default_rng(seed), rates, paid) for seed in range(SEEDS)
    }

    assert not [one for one in _groups(panels) if one.kind == "stuck"]


def test_small_slices_may_have_no_row_while_all_have_fewer() -> None:
    # given three weeks of five minutes; for the last ten hours a tenth of all rows come
    size, long = 3 * WEEK * 12, 10 * 12
    rates = [np.full(size, rows) for rows in (9.0, 7.0, 6.0, 5.0)]
    for one in rates:
        one[-long:] *= 0.1
    whole = _panel(np.random.default_rng(1), rates, _times, 300)

    assert not [one for one in _groups({"views": whole}, "PT5M") if one.kind == "no data"]


def test_no_row_is_an_event_in_the_day_of_one_country_and_the_night_of_the_others() -> None:
    # given two countries: the second has most of the rows, and its night in the day of the first
    at = np.arange(3 * WEEK * 12)
    tide = np.cos(2 * np.pi * at / 288)
    rates = [12.5 + 9.5 * tide, 50.0 - 33.0 * tide]
    begin = len(at) - 288
    rates[0][begin : begin + 24] = 0.0
    whole = _panel(np.random.default_rng(1), rates, _times, 300)

    (event,) = [one for one in _groups({"views": whole}, "PT5M") if one.kind == "no data"]

    assert event.slices == ({"platform": "leaf 0"},)
    assert second(event.start) - whole.starts[begin] <= np.timedelta64(45, "m")
