"""Slots of intervals in the profiles of day, week and month, in the detector's time zone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.intervals import Grid

MONTH_SLOTS = 31
UTC_NAME = "UTC"  # the zone that most detectors have, and whose clocks never change
_DAY = 86_400


@dataclass(frozen=True)
class Slots:
    """Slots of one interval in the profiles of day and week, and those that not all have.

    Attributes
    ----------
    date : days since 1970, in the detector's zone; `alike` knows which days it is like.
    month : day of the month, for P1D. season : if an input names the length of one.
    special : part of a special day of the calendar. silent : whether the day is one that is
        neither scored nor learned.
    """

    date: int
    day: int
    week: int
    month: int | None
    season: int | None
    special: int | None = None
    silent: bool = False


def day_slots(
    grid: Grid, starts: NDArray[np.datetime64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Slot of the day and weekday (Monday = 0) of each start, in the detector's zone.

    Parameters
    ----------
    starts : (T,) datetime64[s], UTC.

    Returns
    -------
    two (T,) int64 arrays: slot of the day in 0 … 86400 / seconds - 1, and weekday.
    """
    local = _local(grid, starts)
    days = local // _DAY
    # A week or a month has no weekday, on whichever day it begins.
    weekdays = (days + 3) % 7 if grid.seconds <= _DAY else np.zeros_like(days)
    return (local % _DAY) // grid.seconds, weekdays


def dates(grid: Grid, starts: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """(T,) date of each start in the detector's zone: days since 1970."""
    return _local(grid, starts) // _DAY


def month_slots(grid: Grid, starts: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """(T,) day of the month of each start in the detector's zone: 0 … 29, and 30 for the last
    day of any month.
    """
    day = _local(grid, starts) // 86_400
    dates = day.astype("datetime64[D]")
    first = dates.astype("datetime64[M]").astype("datetime64[D]")
    following = (dates.astype("datetime64[M]") + 1).astype("datetime64[D]")
    slot = (dates - first).astype(np.int64)
    last = (following - dates).astype(np.int64) == 1
    return np.asarray(np.where(last, MONTH_SLOTS - 1, np.minimum(slot, MONTH_SLOTS - 2)))


def season_slots(grid: Grid, starts: NDArray[np.datetime64], length: int) -> NDArray[np.int64]:
    """(T,) slot of each start in a season of `length` intervals.

    Seasons of whole days follow the clocks of the detector's zone, shorter or uneven ones do not.
    """
    if grid.interval == "P1M":
        months = dates(grid, starts).astype("datetime64[D]").astype("datetime64[M]")
        return months.astype(np.int64) % length
    if grid.interval == "P1W":
        return (dates(grid, starts) + 3) // 7 % length
    if length * grid.seconds % _DAY == 0:
        return _local(grid, starts) // grid.seconds % length
    seconds = starts.astype("datetime64[s]").astype(np.int64)
    return (seconds + grid.anchor_seconds) // grid.seconds % length


def shown_twice(grid: Grid, starts: NDArray[np.datetime64], clock: str) -> NDArray[np.bool_]:
    """(T,) intervals whose wall-clock times occur twice in `clock`: see `Grid.shown_twice`."""
    found = np.zeros(len(starts), dtype=np.bool_)
    if clock == UTC_NAME:
        return found
    seconds = starts.astype("datetime64[s]").astype(np.int64)
    zone = ZoneInfo(clock)
    days, of_day = np.unique(seconds // _DAY, return_inverse=True)
    changing = np.array([_offset(day - 1, zone) != _offset(day + 2, zone) for day in days.tolist()])
    for place in np.flatnonzero(changing[of_day]) if len(days) else ():
        start = datetime.fromtimestamp(int(seconds[place]), UTC)
        found[place] = grid.shown_twice(start, clock)
    return found


def _offset(day: int, zone: ZoneInfo) -> timedelta:
    return datetime.fromtimestamp(day * _DAY, zone).utcoffset() or timedelta()


def _local(grid: Grid, starts: NDArray[np.datetime64]) -> NDArray[np.int64]:
    """(T,) wall-clock seconds since 1970 in the detector's time zone."""
    seconds = starts.astype("datetime64[s]").astype(np.int64)
    if grid.timezone == UTC_NAME:
        return seconds
    # Offsets change at quarter hours only: one lookup per quarter hour is enough.
    zone = ZoneInfo(grid.timezone)
    quarters, which = np.unique(seconds // 900, return_inverse=True)
    offsets = np.array(
        [
            int(
                (
                    datetime.fromtimestamp(int(quarter) * 900, zone).utcoffset() or timedelta()
                ).total_seconds()
            )
            for quarter in quarters
        ],
        dtype=np.int64,
    )
    return np.asarray(seconds + (offsets[which] if len(offsets) else 0))
