"""What comes again is a habit: on like days, at like times, and what is still found beside it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from itertools import pairwise, product

import numpy as np
import pytest
from anomaly_detector.detection import DetectorSettings
from anomaly_detector.detection.alike import kinds, positions
from anomaly_detector.detection.report import describe
from anomaly_detector.panel import Panel
from anomaly_detector.replay import Replay
from anomaly_detector.replay import replay as replayed
from anomaly_detector.snapshot import Snapshot, from_bytes, to_bytes
from numpy.typing import NDArray

from tests.unit.detection_panels import by_measure, cut, seasonal, settings

DAY = 86_400
WEEK = 24 * 7
YEARS = 3 * 365
Values = NDArray[np.float64]
Mask = NDArray[np.bool_]


# --- days ---------------------------------------------------------------------------------------


class Calendar:
    """Days from 1 January 2023, a Sunday."""

    def __init__(self, size: int) -> None:
        self.days = np.datetime64("2023-01-01", "D") + np.arange(size)
        month = self.days.astype("datetime64[M]")
        self.month = month.astype(int) % 12 + 1
        self.day = (self.days - month.astype("datetime64[D]")).astype(int) + 1
        self.left = ((month + 1).astype("datetime64[D]") - self.days).astype(int)
        self.weekday = (np.arange(size) + 6) % 7

    def dates(self, *names: str) -> Mask:
        return np.isin([str(day)[5:] for day in self.days], names)


def habits_of(at: Calendar) -> dict[str, tuple[Mask, float]]:
    """Days that are special, and their factor."""
    week = (np.arange(len(at.days)) + 6) // 7
    return {
        "first": (at.day == 1, 3.0),
        "pay": (at.day == 25, 1.5),
        "end": (at.left == 1, 0.3),
        "quarter": ((at.left == 1) & (at.month % 3 == 0), 2.0),
        "fortnight": ((at.weekday == 4) & (week % 2 == 0), 4.0),
        "patch": ((at.weekday == 1) & (at.day > 7) & (at.day <= 14), 2.5),
        "holiday": (at.dates("01-01", "05-01", "07-04", "12-25", "12-26"), 0.3),
    }


def of_days(names: Iterable[str]) -> DetectorSettings:
    """Settings with a measure, and a budget of its own, for each series."""
    return settings("P1D", {name: {} for name in names}, false_events_per_week=0.2)


def daily(series: dict[str, Values]) -> Replay:
    """The replay of series of days."""
    chosen = of_days(series)
    whole = by_measure({name: [values] for name, values in series.items()}, DAY)
    starts = Calendar(len(whole.starts)).days.astype("datetime64[s]")
    return replayed(chosen, Snapshot.initial(chosen), replace(whole, starts=starts))


def noisy(size: int, noise: float, random: np.random.Generator) -> Values:
    return np.asarray(1000 * np.exp(random.normal(0, noise, size)))


@pytest.mark.parametrize(("seed", "noise"), [(1, 0.02), (2, 0.05)])
def test_days_that_came_alike_are_no_events_and_one_that_does_not_is(
    seed: int, noise: float
) -> None:
    # given three years of days that are special in a way each, the last of which is as other days
    random = np.random.default_rng(seed)
    at = Calendar(YEARS)
    series, last = {}, {}
    for name, (special, factor) in habits_of(at).items():
        where = np.flatnonzero(special)
        last[name] = int(where[-1])
        series[name] = noisy(YEARS, noise, random)
        series[name][where[:-1]] *= factor
    # when they are replayed
    done = daily(series)
    # then the third year has no other event, and each of them is told as an event or a value
    late = {(one.measure, one.start.date()) for one in done.groups if one.start.year == 2025}
    missing = {(name, at.days[day].item()) for name, day in last.items()}
    assert late <= missing
    # except after years of two levels every other week, whose difference is part of the spread
    missing = {one for one in missing if one[0] != "fortnight"}
    assert missing <= late | told(done, at, last)
    # and the report names the seasons
    report = describe(of_days(series), done.after.state)
    named = {one.measure: one.seasons[0] for one in report.classes if one.seasons}
    months = dict.fromkeys(("first", "pay", "end", "patch"), "month")
    assert named == months | {"quarter": "year"}  # each came on the same dates of two years


def told(done: Replay, at: Calendar, days: dict[str, int]) -> set[tuple[str, date]]:
    """Of some days, one of each measure, those whose value is anomalous."""
    return {
        (name, at.days[day].item())
        for m, (name, day) in enumerate(days.items())
        if done.scores.anomalous[day, m, 0]
    }


@pytest.mark.parametrize("seed", [3, 4])
def test_a_fault_of_another_size_on_a_special_day_is_found(seed: int) -> None:
    random = np.random.default_rng(seed)
    at = Calendar(YEARS)
    series, last = {}, {}
    for name, (special, factor) in habits_of(at).items():
        where = np.flatnonzero(special)
        last[name] = int(where[-1])
        series[name] = noisy(YEARS, 0.03, random)
        series[name][where] *= factor
        series[name][where[-1]] *= 3.0 if factor > 1 else 0.2
    done = daily(series)
    found = {(group.measure, group.start.date()) for group in done.groups}
    faults = {(name, at.days[day].item()) for name, day in last.items()}
    assert faults <= found | told(done, at, last)


def test_a_fault_is_not_expected_again_a_year_later() -> None:
    # given a fault of one day, whose date has nothing else to it
    random = np.random.default_rng(5)
    series = {f"fault_{number}": noisy(2 * 365, 0.04, random) for number in range(6)}
    faults = {name: 200 + 17 * number for number, name in enumerate(series)}
    for number, (name, day) in enumerate(faults.items()):
        series[name][day] *= (0.3, 3.0)[number % 2]
    # when a year has passed
    done = daily(series)
    # then its date is a day as others, and the fault is the only event
    assert {group.measure for group in done.groups} == set(series)
    assert len(done.groups) == len(series)
    for m, (name, day) in enumerate(faults.items()):
        expected = done.scores.expected[day + 365 : day + 367, m, 0]
        assert np.all(np.abs(expected / 1000 - 1) < 0.1), name


def test_the_third_time_is_told_as_a_habit() -> None:
    # given days of the month that are three times as large, and a fault
    random = np.random.default_rng(8)
    at = Calendar(200)
    series = {"first": noisy(200, 0.03, random), "fault": noisy(200, 0.03, random)}
    series["first"][at.day == 1] *= 3.0
    series["fault"][120] *= 3.0
    # when they are replayed
    groups = daily(series).groups
    # then the last of those that are events says so, and nothing else does
    (fault,) = [group for group in groups if group.measure == "fault"]
    *before, last = [group for group in groups if group.measure == "first"]
    assert {group.habit for group in (fault, *before)} == {""}
    assert (last.habit, last.start.date()) == ("month", date(2023, 4, 1))


# --- hours --------------------------------------------------------------------------------------


def hourly(series: dict[str, Values], seeds: int = 1) -> tuple[Panel, Replay]:
    """The replay of series of hours, each a measure; a budget for the series of each seed."""
    chosen = settings("PT1H", {name: {} for name in series}, false_events_per_week=0.2 * seeds)
    whole = by_measure({name: [values] for name, values in series.items()})
    return whole, replayed(chosen, Snapshot.initial(chosen), whole)


def test_a_job_that_moved_by_an_hour_is_learnt_within_a_week() -> None:
    # given nightly jobs of several sizes that come an hour later from day 40 on, but for one night
    size, moved, skipped = 24 * 70, 40, 65
    hour, day = np.arange(size) % 24, np.arange(size) // 24
    series = {}
    for seed, (number, factor) in product((1, 2), enumerate((1.8, 3.0, 10.0))):
        values = seasonal(size, noise=0.05, seed=10 * seed + number)
        comes = np.where(day < moved, hour == 2, (hour == 3) & (day != skipped))
        values[comes] *= factor
        series[f"seed_{seed}_times_{factor}".replace(".", "_")] = values
    # when they are replayed
    whole, done = hourly(series, seeds=2)
    # then the first nights are events, the others none, and the night without it is one
    first = whole.starts[24 * (moved + 7)].item()
    missed = whole.starts[24 * skipped].item().date()
    # and one of the first nights says that it is expected from now on
    told = {(group.measure, group.habit) for group in done.groups if group.habit}
    assert told == {(name, "day") for name in series}
    for name in series:
        starts = [
            group.start.replace(tzinfo=None) for group in done.groups if group.measure == name
        ]
        late = [start for start in starts if start >= first]
        assert whole.starts[24 * moved].item() <= starts[0] < first
        assert missed in [start.date() for start in late], name
        assert len([start for start in late if start.date() != missed]) <= 1, (name, late)


def test_jobs_and_days_of_the_month_are_learnt_in_hourly_data() -> None:
    # given jobs on the first of the month at two, and last days and pay days that are larger
    size = 24 * 200
    starts = np.datetime64("2025-01-06T00", "h") + np.arange(size)
    days = starts.astype("datetime64[D]")
    first = days == starts.astype("datetime64[M]").astype("datetime64[D]")
    last = days + 1 == (starts.astype("datetime64[M]") + 1).astype("datetime64[D]")
    pay = np.arange(size) // 24 % 14 == 4
    night = np.isin(np.arange(size) % 24, (2, 3))
    series = {}
    cases = [(first & night, 1.8), (first & night, 8.0), (last, 1.5), (last, 4.0), (pay, 3.0)]
    for seed, (number, (where, factor)) in product((1, 2), enumerate(cases)):
        name = f"seed_{seed}_{number}"
        series[name] = seasonal(size, noise=0.05, seed=20 * seed + number)
        series[name][where] *= factor
    # when they are replayed
    _, done = hourly(series, seeds=2)
    # then those that are told as habits are so
    for number, kinds_of in ((4, {"two weeks"}), (2, {"month", "month's end"})):
        for seed in (1, 2):
            own = [group for group in done.groups if group.measure == f"seed_{seed}_{number}"]
            assert {group.habit for group in own if group.habit} <= kinds_of
            assert own[-1].habit
    # and after four months there is no event
    late = [group for group in done.groups if group.start.date() >= date(2025, 5, 10)]
    early = {group.measure for group in done.groups} - {group.measure for group in late}
    assert not late
    assert early == set(series)


def test_a_fault_of_days_is_no_habit() -> None:
    # given faults that last longer than three days
    size, begin = 24 * 45, 24 * 35
    series = {}
    for number, factor in enumerate((0.2, 0.5, 2.0)):
        series[f"m{number}"] = seasonal(size, noise=0.05, seed=number)
        series[f"m{number}"][begin : begin + 60] *= factor
    whole, done = hourly(series)
    # then it is one event to its end, and nothing of it is expected afterwards
    for m, name in enumerate(series):
        (group,) = [group for group in done.groups if group.measure == name]
        assert (
            abs((group.end.replace(tzinfo=None) - whole.starts[begin + 60].item()).total_seconds())
            <= 2 * 3600
        )
        after = done.scores.expected[begin + 72 :, m, 0] / seasonal(size, noise=0.0)[begin + 72 :]
        assert np.all(np.abs(after - 1) < 0.25), name


@pytest.mark.parametrize("seed", [6, 7])
def test_in_pieces_and_at_once_are_the_same(seed: int) -> None:
    random = np.random.default_rng(seed)
    size = 24 * 40
    series = {f"m{number}": seasonal(size, noise=0.1, seed=seed + number) for number in range(3)}
    for values in series.values():
        moved = int(random.integers(14, 25)) * 24
        hour = int(random.integers(1, 20))
        values[hour:moved:24] *= 4
        values[moved + hour + 1 :: 24] *= 4
        values[random.integers(0, size, 30)] *= random.choice([0.2, 5.0], 30)
    chosen = settings("PT1H", {name: {} for name in series})
    whole = by_measure({name: [values] for name, values in series.items()})
    once = replayed(chosen, Snapshot.initial(chosen), whole)
    snapshot = Snapshot.initial(chosen)
    cuts = [0, *sorted(random.integers(1, size, 5).tolist()), size]
    for begin, end in pairwise(cuts):
        snapshot = from_bytes(to_bytes(replayed(chosen, snapshot, cut(whole, begin, end)).after))
    assert to_bytes(snapshot) == to_bytes(once.after)


@pytest.mark.parametrize("hours", [0, 4])
def test_a_day_that_lacks_rows_again_and_again_is_a_habit(hours: int) -> None:
    # given sums of which every second Friday brings few rows, or none
    size, series = 20 * WEEK, {}
    day = np.arange(size) // 24
    few = (day % 14 == 4) & (day >= 28)
    for seed in range(4):
        random = np.random.default_rng(seed)
        values = 100 * np.exp(random.normal(0, 0.15, (3, size)))
        place = random.permuted(np.tile(np.arange(24), (size // 24, 1)), axis=1).reshape(-1)
        values[0, few] = np.where(place[few] < hours, 0.1 * values[0, few], np.nan)
        series[f"seed {seed}"] = [*values]
    chosen = settings("PT1H", {name: {} for name in series}, false_events_per_week=0.2)
    # when they are replayed
    groups = replayed(chosen, Snapshot.initial(chosen), by_measure(series)).groups
    # then three of them are told, and the others, six or more, are expected
    for name in series:
        told = [one.start for one in groups if one.measure == name]
        assert 3 <= len(told) <= 4
        assert all(one.weekday() == 4 for one in told)


# --- the calendar -------------------------------------------------------------------------------


def number(text: str) -> int:
    return (date.fromisoformat(text) - date(1970, 1, 1)).days


@pytest.mark.parametrize(
    ("day", "kind", "earlier"),
    [
        ("2025-03-31", "month", ["2025-01-31", "2024-12-31", "2024-10-31", "2024-08-31"]),
        ("2024-03-31", "month's end", ["2024-02-29", "2024-01-31", "2023-12-31", "2023-11-30"]),
        (
            "2025-12-01",
            "month's working day",
            ["2025-11-03", "2025-10-01", "2025-09-01", "2025-08-01"],
        ),
        ("2025-06-30", "quarter's end", ["2025-03-31", "2024-12-31", "2024-09-30", "2024-06-30"]),
        ("2025-01-14", "month's weekday", ["2024-12-10", "2024-11-12", "2024-10-08", "2024-09-10"]),
        ("2025-12-25", "year", ["2024-12-25", "2023-12-25"]),
        ("2025-11-28", "last year's weekday", ["2024-11-22"]),
        ("2025-01-10", "two weeks", ["2024-12-27", "2024-12-13", "2024-11-29", "2024-11-15"]),
    ],
)
def test_days_that_a_day_is_like(day: str, kind: str, earlier: list[str]) -> None:
    found = next(one for one in kinds(number(day)) if one.name == kind)
    assert [number(day) - age for age in found.ages] == [number(one) for one in earlier]


def test_the_29_of_february_has_no_last_year() -> None:
    names = {kind.name for kind in kinds(number("2024-02-29"))}
    assert "last year" not in names
    assert "month's end" in names


def test_positions_tell_the_last_day_from_the_last_working_day() -> None:
    assert positions(number("2025-05-30"))[1:4] == (2, 22, 1)
    assert positions(number("2025-05-31"))[1:4] == (1, 0, 0)
