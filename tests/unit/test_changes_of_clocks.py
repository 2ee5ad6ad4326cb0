"""Days, weeks and months through both changes of clocks of a year: the schedule finds each interval
due once, and the windows of its crawls hold each row once, where the grid and the column are in
different zones.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise, product
from zoneinfo import ZoneInfo

import pytest
from anomaly_detector.intervals import Grid

from tests.unit.test_warehouse_sql import changes
from tests.unit.test_warehouse_time import KINDS, config, fill, landed, right

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
OFFSET = 300
# Kathmandu changes no clocks; there, the other zone's changes lie in its days.
ZONES = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]
OF_YEAR = range(2024, 2025)
# Days before and after a change, and the distance of rows.
AROUND = {"P1D": (3, HOUR / 2), "P1W": (16, 6 * HOUR), "P1M": (70, 12 * HOUR)}


@cache
def both_changes(grid_zone: str, column: str) -> list[datetime]:
    found = {
        change for zone in (grid_zone, column) for change in changes(zone) if change.year in OF_YEAR
    }
    return sorted(found)


def ticks(zone: str, begin: datetime, end: datetime) -> list[datetime]:
    """When the module's schedule runs: five past midnight and an hour later, by the clock."""
    found = []
    day = begin.astimezone(ZoneInfo(zone)).date()
    while (start := datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))) < end:
        for hour in (0, 1):
            clock = start.replace(hour=hour, minute=5)
            moment = clock.astimezone(UTC)
            # A time that the clock leaves out has no run.
            if moment.astimezone(ZoneInfo(zone)).replace(tzinfo=None) == clock.replace(tzinfo=None):
                found.append(moment)
        day += DAY
    return found


@pytest.mark.parametrize(
    ("interval", "zone", "column"),
    [
        *(("P1D", *zones) for zones in product(ZONES, ZONES)),
        *((name, *zones) for name in ("P1W", "P1M") for zones in pairwise([*ZONES, ZONES[0]])),
    ],
)
def test_each_interval_is_due_once_and_each_row_lands_once(
    interval: str, zone: str, column: str
) -> None:
    days, step = AROUND[interval]
    kind = KINDS["timestamp"]
    given = config(kind, column, zone, interval)
    grid = Grid.of(given)
    for change in both_changes(zone, column):
        begin, end = grid.floor(change - DAY * days), grid.floor(change + DAY * days)
        # given rows at equal distances, and close to the change and to every edge
        edges = grid.starts(begin, grid.shift(end, 1))
        count = (end - begin + 2 * DAY) // step
        times = {begin - DAY + step * number for number in range(count)}
        times |= {edge + timedelta(minutes=late) for edge in edges for late in (-1, 0, 1)}
        times |= {change + HOUR / 2 * number for number in range(-4, 5)}
        instants = sorted(times)
        written = [kind.write(instant, column) for instant in instants]
        fill(kind, written)

        # when the schedule runs
        due: list[datetime] = []
        found: dict[int, list[datetime]] = {}
        watermark = begin
        for tick in ticks(zone, begin, end + 3 * HOUR):
            until = grid.due_end(tick, OFFSET)
            if until <= watermark:
                continue
            assert until + timedelta(seconds=OFFSET) <= tick
            due += grid.starts(watermark, until)
            for place, start in landed(given, watermark, until).items():
                found.setdefault(place, []).append(start)
            watermark = until

        # then each interval is due once, without a gap, and soon
        assert due == list(grid.starts(begin, end)), (zone, change)
        assert all(grid.shift(one, 1) == other for one, other in pairwise(due))
        # and each row is in its own interval, once
        lost = Counter[str]()
        for place, (instant, value) in enumerate(zip(instants, written, strict=True)):
            allowed = right(kind, value, instant, column, grid)
            inside = {start for start in allowed if begin <= start < end}
            starts = found.get(place, [])
            assert len(starts) <= 1, (value, starts)
            assert set(starts) <= inside, (value, starts, allowed)
            lost["rows"] += not starts and inside == allowed
        assert not lost["rows"], (zone, column, change)


@pytest.mark.parametrize("zone", ZONES)
def test_a_day_has_as_many_hours_as_its_clock_says(zone: str) -> None:
    grid = Grid("P1D", zone)
    begin = grid.floor(datetime(2024, 1, 1, 12, tzinfo=UTC))
    hours = Counter(
        (later - start) / HOUR for start, later in pairwise(grid.starts(begin, begin + 366 * DAY))
    )
    expected = {
        "Europe/Berlin": {24: 363, 23: 1, 25: 1},
        "America/New_York": {24: 363, 23: 1, 25: 1},
        "Australia/Lord_Howe": {24: 363, 23.5: 1, 24.5: 1},
        "Asia/Kathmandu": {24: 365},
    }
    assert hours == expected[zone]
