"""Round values on an axis, and times in a time zone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from anomaly_detector.alerts.figures import figure
from anomaly_detector.alerts.words import MONTHS
from anomaly_detector.config import Unit

MOST_TICKS = 6
# Minutes that divide a day, and hours.
_MINUTES = (5, 10, 15, 30, 60, 120, 180, 360, 720)
_DAYS = (1, 2, 7, 14)
_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200)
_DIGITS = 4
_PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONDAY = datetime(2001, 1, 1)  # noqa: DTZ001 times of the clock on the wall


@dataclass(frozen=True)
class Tick:
    """A time on the axis; `below` is the date or year where it changes, else empty."""

    at: datetime
    label: str
    below: str


def labels(ticks: Sequence[float], unit: Unit | None = None) -> list[str]:
    """Values on an axis with SI steps, `1.2 k`, `3.4 M`, or percent for a share; with all digits
    that multiples of their distance have.
    """
    apart = ticks[1] - ticks[0] if len(ticks) > 1 else 0.0
    largest = max(map(abs, ticks), default=0.0)
    digits = _DIGITS
    if apart > 0 and largest > 0:
        digits = max(digits, 2 + math.floor(math.log10(largest)) - _power(apart))
    return [_stepped(value, unit, digits) for value in ticks]


def _power(value: float) -> int:
    """That of the first digit, of a value that may lie a little below a power of ten."""
    return math.floor(math.log10(value) + 1e-9)


def _stepped(value: float, unit: Unit | None, digits: int) -> str:
    for size, prefix in _PREFIXES if unit != "share" else ():
        if size <= abs(value) < 1000 * size:
            return f"{figure(value / size, digits=digits)} {prefix}"
    return figure(value, unit, digits)


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


@lru_cache(512)
def time_ticks(begin: datetime, end: datetime, zone: str) -> tuple[Tick, ...]:
    """Round times of the clock in the zone, at most six, within `[begin, end]` (UTC)."""
    place = ZoneInfo(zone)
    first, last = _wall(begin, place), _wall(end, place)
    found: list[Tick] = []
    for step, walk, label in _STEPS:
        if last - first > (MOST_TICKS + 2) * step:
            continue
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
    return tuple(found)


def day(moment: datetime) -> str:
    """`26 Nov`."""
    return f"{moment.day} {MONTHS[moment.month - 1]}"


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
    return MONTHS[wall.month - 1], str(wall.year)


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


# Length, walk and labels of each step, ascending.
_STEPS: tuple[
    tuple[
        timedelta, Callable[[datetime], Iterator[datetime]], Callable[[datetime], tuple[str, str]]
    ],
    ...,
] = (
    *((timedelta(minutes=size), _every(timedelta(minutes=size)), _of_time) for size in _MINUTES),
    *((timedelta(days=size), _every(timedelta(days=size)), _of_day) for size in _DAYS),
    *(
        (timedelta(days=30 * size), _every_months(size), _of_month if size < 12 else _of_year)
        for size in _MONTHS
    ),
)
