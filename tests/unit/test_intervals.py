"""The interval grid: half-open intervals, zones, daylight saving."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise, product
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from anomaly_detector.detection.slots import day_slots, shown_twice
from anomaly_detector.intervals import SECONDS, Grid, iso, parse_iso
from anomaly_detector.panel import second
from hypothesis import given
from hypothesis import strategies as st

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]
ZONES += ["America/Havana", "Pacific/Apia", "Asia/Kathmandu"]
moments = st.integers(1_100_000_000, 2_050_000_000).map(
    lambda seconds: datetime.fromtimestamp(seconds, UTC)
)
grids = st.builds(Grid, st.sampled_from(sorted(SECONDS)), st.sampled_from(ZONES))


@given(grids, moments)
def test_every_moment_lies_in_exactly_the_interval_that_floor_names(grid, moment):
    start = grid.floor(moment)

    assert start <= moment < grid.shift(start, 1)
    assert grid.floor(start) == start


@given(grids, moments, st.integers(-400, 400))
def test_shift_and_count_undo_each_other(grid, moment, intervals):
    start = grid.floor(moment)
    shifted = grid.shift(start, intervals)

    assert grid.count(start, shifted) == intervals
    assert grid.shift(shifted, -intervals) == start
    assert grid.floor(shifted) == shifted


@given(grids, moments, st.integers(0, 50))
def test_starts_are_the_grid_without_gap(grid, moment, intervals):
    start = grid.floor(moment)
    end = grid.shift(start, intervals)

    starts = grid.starts(start, end)

    assert len(starts) == intervals
    assert list(starts) == [grid.shift(start, number) for number in range(intervals)]


@given(st.sampled_from(ZONES), moments)
def test_weeks_begin_on_monday_and_months_on_the_first_in_the_zone(zone, moment):
    week, month = (Grid(name, zone).floor(moment) for name in ("P1W", "P1M"))
    local = moment.astimezone(ZoneInfo(zone)).date()

    # A day that the zone left out has the midnight of the next.
    assert Grid("P1D", zone).floor(week) == week
    assert week.astimezone(ZoneInfo(zone)).date() == local - timedelta(days=local.weekday())
    assert month.astimezone(ZoneInfo(zone)).date() == local.replace(day=1)


def test_months_differ_in_length_and_weeks_in_hours():
    months = Grid("P1M", "Europe/Berlin")
    first = months.floor(datetime(2024, 1, 20, tzinfo=UTC))

    starts = months.starts(first, months.shift(first, 4))

    assert [(later - start).days for start, later in pairwise(starts)] == [31, 29, 30]
    assert (months.shift(first, 3) - months.shift(first, 2)) == timedelta(days=31, hours=-1)
    assert months.count(first, months.shift(first, 30)) == 30
    weeks = Grid("P1W", "Europe/Berlin")
    spring = weeks.floor(datetime(2024, 3, 30, tzinfo=UTC))
    assert weeks.shift(spring, 1) - spring == timedelta(days=7, hours=-1)
    assert weeks.due_end(datetime(2024, 4, 1, 1, tzinfo=UTC), 7200) == weeks.shift(spring, 1)
    assert weeks.due_end(datetime(2024, 3, 31, 23, tzinfo=UTC), 7200) == spring


def test_days_have_23_and_25_hours_where_the_zone_changes_its_clocks():
    grid = Grid("P1D", "Europe/Berlin")

    spring = grid.starts(
        grid.floor(datetime(2024, 3, 31, 5, tzinfo=UTC)),
        grid.floor(datetime(2024, 4, 2, 5, tzinfo=UTC)),
    )
    autumn = grid.starts(
        grid.floor(datetime(2024, 10, 27, 5, tzinfo=UTC)),
        grid.floor(datetime(2024, 10, 29, 5, tzinfo=UTC)),
    )

    assert spring[1] - spring[0] == timedelta(hours=23)
    assert autumn[1] - autumn[0] == timedelta(hours=25)


def test_hours_begin_at_half_past_where_the_zone_does():
    assert Grid("PT1H", "Asia/Kolkata").floor(datetime(2024, 1, 1, 12, 45, tzinfo=UTC)) == datetime(
        2024, 1, 1, 12, 30, tzinfo=UTC
    )


def test_an_interval_is_due_once_its_end_and_the_offset_have_passed():
    grid = Grid("PT1H", "UTC")

    before = grid.due_end(datetime(2024, 1, 1, 13, 4, 59, tzinfo=UTC), 300)
    after = grid.due_end(datetime(2024, 1, 1, 13, 5, tzinfo=UTC), 300)

    assert before == datetime(2024, 1, 1, 12, tzinfo=UTC)
    assert after == datetime(2024, 1, 1, 13, tzinfo=UTC)


def test_slots_follow_local_time_through_daylight_saving():
    starts = np.array(["2024-10-26T22:00", "2024-10-27T00:00", "2024-10-27T01:00"], "datetime64[s]")

    slots, weekdays = day_slots(Grid("PT1H", "Europe/Berlin"), starts)

    assert slots.tolist() == [0, 2, 2]
    assert weekdays.tolist() == [6, 6, 6]


@given(moments)
def test_times_survive_being_stored(moment):
    assert parse_iso(iso(moment)) == moment


def test_a_time_without_offset_is_refused():
    with pytest.raises(ValueError, match="has no UTC offset"):
        parse_iso("2024-01-01T00:00:00")


CLOCKS = ["UTC", "Europe/Berlin", "Europe/Dublin", "America/Havana", "America/Sao_Paulo"]
CLOCKS += ["America/St_Johns", "Australia/Lord_Howe", "Africa/Casablanca", "Antarctica/Troll"]
CLOCKS += ["Asia/Kolkata", "Pacific/Apia", "Asia/Gaza", "America/Scoresbysund", "Antarctica/Casey"]


@pytest.mark.parametrize("clock", CLOCKS)
def test_times_that_clocks_show_twice_are_known_for_each_interval(clock):
    # given the minutes around each change of the clocks in some years, and the time they show
    zone = ZoneInfo(clock)
    hours = [datetime(2009, 12, 1, tzinfo=UTC) + timedelta(hours=n) for n in range(8800)]
    hours += [datetime(2019, 6, 1, tzinfo=UTC) + timedelta(hours=n) for n in range(8800)]
    changes = [
        one
        for one, other in pairwise(hours)
        if one.astimezone(zone).utcoffset() != other.astimezone(zone).utcoffset()
    ]
    assert changes or clock in ("UTC", "Asia/Kolkata")
    for change in changes:
        minutes = [change + timedelta(minutes=n) for n in range(-300, 300)]
        shown = defaultdict(set)
        for interval, detector in product(sorted(SECONDS), ["UTC", "Asia/Kathmandu", clock]):
            grid = Grid(interval, detector)
            shown.clear()
            for minute in minutes:
                shown[minute.astimezone(zone).replace(tzinfo=None)].add(grid.floor(minute))
            # when two intervals hold the same time, then both are known
            twice = {start for starts in shown.values() if len(starts) > 1 for start in starts}
            begin, end = grid.floor(minutes[0]), grid.floor(minutes[-1])
            axis = grid.starts(begin, end)
            found = shown_twice(grid, np.array([second(start) for start in axis]), clock)
            known = {start for start, yes in zip(axis, found, strict=True) if yes}
            assert known == (set() if Grid(interval, detector).of_days else twice), (
                change,
                interval,
                detector,
            )


def test_a_day_that_a_zone_left_out_is_no_interval():
    # given Samoa, which went from 29 to 31 December 2011
    grid = Grid("P1D", "Pacific/Apia")
    begin = grid.floor(datetime(2011, 12, 27, 22, tzinfo=UTC))
    end = grid.floor(datetime(2012, 1, 3, 22, tzinfo=UTC))

    starts = grid.starts(begin, end)

    assert len(set(starts)) == len(starts) == grid.count(begin, end)
    assert all(grid.shift(end, -n - 1) == start for n, start in enumerate(reversed(starts)))
    assert all(grid.shift(begin, n) == start for n, start in enumerate(starts))
    assert -grid.count(end, begin) == len(starts)
