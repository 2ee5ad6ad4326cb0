"""Round values on an axis, and times in a time zone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

MOST_TICKS = 6
# Minutes that divide a day, and hours.
_MINUTES = (5, 10, 15, 30, 60, 120, 180, 360, 720)
_DAYS = (1, 2, 7, 14)
_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200)
_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONDAY = datetime(2001, 1, 1)  # noqa: DTZ001 times of the clock on the wall


_Label = Callable[[datetime], tuple[str, str]]


@dataclass(frozen=True)
class Tick:
    """A time on the axis; `below` is the date or year where it changes, else empty."""

    at: datetime
    label: str
    below: str


def value_ticks(low: float, high: float, most: int = MOST_TICKS) -> list[float]:
    """Round values, at most `most`, from the last at or below `low` to the first at or above
    `high`; 1, 2 or 5 times a power of ten apart.
    """
    span = max(high - low, 1e-300)
    power = math.floor(math.log10(span / most))
    for factor in (1, 2, 5, 10, 20, 50):
        step = factor * 10.0**power
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        if last - first < most:
            break
    # Multiplied by powers below one, values would show the error of binary fractions.
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def time_ticks(begin: datetime, end: datetime, zone: str) -> list[Tick]:
    """Round times of the clock in the zone, at most six, within `[begin, end]` (UTC)."""
    place = ZoneInfo(zone)
    first, last = _wall(begin, place), _wall(end, place)
    steps: list[tuple[Callable[[datetime], Iterator[datetime]], _Label]] = [
        *((_every(timedelta(minutes=minutes)), _of_time) for minutes in _MINUTES),
        *((_every(timedelta(days=days)), _of_day) for days in _DAYS),
        *((_every_months(months), _of_month if months < 12 else _of_year) for months in _MONTHS),
    ]
    found: list[Tick] = []
    for walk, label in steps:
        found = []
        before = ""
        for wall in walk(first):
            if wall > last or len(found) > MOST_TICKS:
                break
            at = wall.replace(tzinfo=place).astimezone(UTC)
            # Clocks that go forward leave out times.
            if begin <= at <= end and _wall(at, place) == wall:
                name, below = label(wall)
                found.append(Tick(at, name, below if below != before else ""))
                before = below
        if len(found) <= MOST_TICKS:
            break
    return found


def day(moment: datetime) -> str:
    """`26 Nov`."""
    return f"{moment.day} {_NAMES[moment.month - 1]}"


def spoken(moment: datetime, zone: str, *, of_days: bool = False) -> str:
    """`Thu 26 Nov 2026, 09:00`, without the time for intervals of whole days."""
    wall = _wall(moment, ZoneInfo(zone))
    date = f"{_WEEKDAYS[wall.weekday()]} {day(wall)} {wall.year}"
    return date if of_days else f"{date}, {wall:%H:%M}"


def _wall(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def _of_time(wall: datetime) -> tuple[str, str]:
    return f"{wall:%H:%M}", day(wall)


def _of_day(wall: datetime) -> tuple[str, str]:
    return day(wall), str(wall.year)


def _of_month(wall: datetime) -> tuple[str, str]:
    return _NAMES[wall.month - 1], str(wall.year)


def _of_year(wall: datetime) -> tuple[str, str]:
    return str(wall.year), ""


def _every(step: timedelta) -> Callable[[datetime], Iterator[datetime]]:
    def walk(first: datetime) -> Iterator[datetime]:
        wall = first - (first - _MONDAY) % step
        while True:
            yield wall
            wall += step

    return walk


def _every_months(months: int) -> Callable[[datetime], Iterator[datetime]]:
    def walk(first: datetime) -> Iterator[datetime]:
        number = (first.year * 12 + first.month - 1) // months * months
        while True:
            yield datetime(number // 12, number % 12 + 1, 1)  # noqa: DTZ001 of the wall
            number += months

    return walk
