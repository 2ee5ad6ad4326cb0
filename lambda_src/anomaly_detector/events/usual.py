"""What was usual when an event opened: an expectation that the event has not moved.

The series of an open event do not learn, except young profiles, and what lasts becomes the new
level. What is told of an event is compared with what was expected when it opened, at each time of
the day and of the week; days pass in it as in the profiles of series that an event holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from anomaly_detector.detection.arrays import Array
from anomaly_detector.detection.forecast import RATE_DAY, WHOLE_WEEK
from anomaly_detector.detection.slots import Slots
from anomaly_detector.detection.state import State

_DIGITS = 9
"""Of stored numbers; profiles have seven."""


@dataclass
class Usual:
    """Sums of the profiles of an event's slices when it opened.

    Attributes
    ----------
    slices : of the event. day, week : by the slots of the day and of the week.
    """

    slices: tuple[tuple[str, ...], ...]
    day: list[float]
    week: list[float]

    @classmethod
    def of(
        cls, slices: tuple[tuple[str, ...], ...], state: State, m: int, places: list[int]
    ) -> Self:
        """Those of some slices at `places` of the measure `m`."""
        day = _day(state, slice(None), m, places).sum(axis=1)
        week = state.forecast.week[:, m, places].sum(axis=1, dtype=np.float64)
        return cls(slices, [*map(_short, day.tolist())], [*map(_short, week.tolist())])

    def copied(self) -> Self:
        """A copy."""
        return type(self)(self.slices, list(self.day), list(self.week))

    def moved(self, state: State, m: int, places: list[int], slots: Slots) -> float:
        """By how much the profiles have moved since, at one time."""
        day = float(_day(state, slots.day, m, places).sum())
        week = float(state.forecast.week[slots.week, m, places].sum(dtype=np.float64))
        first, an_hour = self._hour(slots)
        hours = _day(state, slice(first, first + an_hour), m, places).sum(axis=1)
        week *= _within(day, hours.tolist())
        return day + week - self.day[slots.day] - self.week[slots.week] * self._within(slots)

    def pass_by(self, state: State, m: int, places: list[int], slots: Slots) -> None:
        """Let one interval pass as it would have been, as `Forecast.learn` does."""
        if not (state.forecast.day_seen[slots.day, m, places] >= WHOLE_WEEK).all():
            return
        hours = len(self.week) // 7
        of_hour = range(slots.week % hours, len(self.week), hours)
        day, mean = self.day[slots.day], sum(self.week[slot] for slot in of_hour) / 7
        first, an_hour = self._hour(slots)
        size = sum(self.day[first : first + an_hour]) / an_hour + mean
        passed = RATE_DAY * (self.week[slots.week] - mean) * self._within(slots)
        self.day[slots.day] = _short(day + passed)
        if size > 0 and not state.habits.signed[m, places].any():
            growth = passed / size / an_hour
            for slot in of_hour:
                week = self.week[slot]
                self.week[slot] = _short(week + growth * (week - mean))

    def _hour(self, slots: Slots) -> tuple[int, int]:
        """The first slot of the hour of an interval, and the number of its slots."""
        an_hour = 7 * len(self.day) // len(self.week)
        return slots.day - slots.day % an_hour, an_hour

    def _within(self, slots: Slots) -> float:
        """Like `Forecast.within_hour`."""
        first, an_hour = self._hour(slots)
        return _within(self.day[slots.day], self.day[first : first + an_hour])


def _within(day: float, hour: list[float]) -> float:
    mean = sum(hour) / len(hour)
    return min(day / mean, len(hour)) if len(hour) > 1 and day >= 0 and mean > 0 else 1.0


def _day(state: State, slots: int | slice, m: int, places: list[int]) -> Array:
    """Daily profile; the level where it has no value, as the forecast takes it."""
    forecast, level = state.forecast, state.habits.level[m, places]
    seen, day = forecast.day_seen[slots][..., m, places], forecast.day[slots][..., m, places]
    return np.where(seen > 0, day.astype(np.float64), level)


def _short(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
