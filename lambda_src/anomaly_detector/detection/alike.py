"""Which earlier days a day is like: the same place in the week, month, quarter or year.

A **kind** names earlier days, and how many of them must have deviated alike before the same is
expected of this day. The days of a calendar are apart (`special`): one earlier day of the name is
enough, however long ago.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

REACH = 760  # days: two years and some
THREE_OF = 4  # earlier days of a kind, of which three must be alike
_EPOCH = date(1970, 1, 1)
_WEEKEND = 5
_Pick = Callable[[int, int, date], date | None]


@dataclass(frozen=True)
class Kind:
    """Earlier days that a day is like.

    Attributes
    ----------
    needed : of them that must have deviated alike. certain : whether the same is then expected;
        otherwise it may come, and the value decides.
    ages : days from each of them to this one.
    """

    name: str
    needed: int
    certain: bool
    ages: tuple[int, ...]


@lru_cache(maxsize=2048)
def kinds(number: int) -> tuple[Kind, ...]:
    """The kinds of a day; the first that holds counts.

    Parameters
    ----------
    number : days since 1970, of a date in the detector's time zone.
    """
    day = _EPOCH + timedelta(days=number)
    years = [_date(day.year - back, day.month, day.day) for back in (1, 2)]
    weekdays = [_of_weekday(day.year - back, day.month, day) for back in (1, 2)]
    found = [
        _kind(day, "year", 2, years),
        Kind("day", 3, True, tuple(range(1, THREE_OF + 1))),
        Kind("week", 3, True, tuple(7 * n for n in range(1, THREE_OF + 1))),
        Kind("two weeks", 3, True, tuple(14 * n for n in range(1, THREE_OF + 1))),
        _kind(day, "month", 3, _months(day, 1, _same_day)),
        _kind(day, "month's end", 3, _months(day, 1, _same_from_end)),
    ]
    if day.weekday() < _WEEKEND:
        found += [
            _kind(day, "month's working day", 3, _months(day, 1, _same_working_day)),
            _kind(day, "month's last working days", 3, _months(day, 1, _same_from_last_working)),
        ]
    found += [
        _kind(day, "month's weekday", 3, _months(day, 1, _of_weekday)),
        _kind(day, "quarter", 3, _months(day, 3, _same_day)),
        _kind(day, "quarter's end", 3, _months(day, 3, _same_from_end)),
        _kind(day, "last year", 1, years[:1], certain=False),
        _kind(day, "last year's weekday", 1, weekdays[:1], certain=False),
    ]
    return tuple(kind for kind in found if len(kind.ages) >= kind.needed)


@lru_cache(maxsize=64)
def by_age(number: int) -> NDArray[np.uint16]:
    """(REACH + 1,) for each age in days, the kinds of a day that hold it: bit i is kind i."""
    table = np.zeros(REACH + 1, dtype=np.uint16)
    for place, kind in enumerate(kinds(number)):
        for age in kind.ages:
            if age < REACH:
                table[age] |= np.uint16(1 << place)
    return table


@lru_cache(maxsize=4096)
def positions(number: int) -> tuple[int, ...]:
    """Where a day is in its month, in five ways: counted from the start and from the end, by days
    and by working days (0 at the weekend), and by weekday; and where in a fortnight.
    """
    day = _EPOCH + timedelta(days=number)
    left = _length(day.year, day.month) - day.day + 1
    working = _working_days(day.year, day.month)
    place = working.index(day) + 1 if day.weekday() < _WEEKEND else 0
    last = len(working) - place + 1 if place else 0
    weekday = 7 * ((day.day - 1) // 7) + day.weekday() + 1
    return day.day, left, place, last, weekday, (number + 3) % 14 + 1


def _kind(
    day: date, name: str, needed: int, days: list[date | None], *, certain: bool = True
) -> Kind:
    return Kind(name, needed, certain, tuple((day - one).days for one in days if one is not None))


def _months(day: date, step: int, pick: _Pick) -> list[date | None]:
    """The days that `pick` names in the last months that have one, `step` months apart."""
    found: list[date | None] = []
    months = day.year * 12 + day.month - 1
    for back in range(step, step * (THREE_OF + 4) + 1, step):
        year, month = divmod(months - back, 12)
        one = pick(year, month + 1, day)
        if one is not None:
            found.append(one)
        if len(found) == THREE_OF:
            break
    return found


def _date(year: int, month: int, day: int) -> date | None:
    return date(year, month, day) if day <= _length(year, month) else None


def _length(year: int, month: int) -> int:
    following = date(year + month // 12, month % 12 + 1, 1)
    return (following - date(year, month, 1)).days


def _same_day(year: int, month: int, day: date) -> date | None:
    return _date(year, month, day.day)


def _same_from_end(year: int, month: int, day: date) -> date | None:
    own = _length(year, month) - (_length(day.year, day.month) - day.day)
    return _date(year, month, own) if own >= 1 else None


def _of_weekday(year: int, month: int, day: date) -> date | None:
    """The same weekday for the same time in the month: its second Tuesday."""
    first = date(year, month, 1).weekday()
    own = 1 + (day.weekday() - first) % 7 + 7 * ((day.day - 1) // 7)
    return _date(year, month, own)


@lru_cache(maxsize=256)
def _working_days(year: int, month: int) -> tuple[date, ...]:
    days = (date(year, month, day) for day in range(1, _length(year, month) + 1))
    return tuple(day for day in days if day.weekday() < _WEEKEND)


def _same_working_day(year: int, month: int, day: date) -> date | None:
    place = _working_days(day.year, day.month).index(day)
    found = _working_days(year, month)
    return found[place] if place < len(found) else None


def _same_from_last_working(year: int, month: int, day: date) -> date | None:
    own = _working_days(day.year, day.month)
    place = len(own) - own.index(day)
    found = _working_days(year, month)
    return found[-place] if place <= len(found) else None
