"""Effects beside those of day and week: of the day of the month in daily series (pay days, first
and last days), and of the slots of a season whose length an input names.

A slot is the decayed mean residual of its day (the last day of a month has its own), as a share of
the forecast (of the level, if values can be negative). It is used from its third time on, if it
exceeds the noise, and while forecasts with it have smaller errors than without: series without
such days are not affected.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.detection.arrays import Array, Mask, Part, kept
from anomaly_detector.detection.habits import Habits
from anomaly_detector.detection.rules import SMALL

SEEN_FROM = 2  # times that a slot has come before it is used
YOUNG = 12  # times in which a slot is learned even during an event
STANDS_OUT = 2.5  # standard errors of a slot's mean
LITTLE = 0.2  # share of the level that a day's effect refers to at least
CLIP = 30.0  # standard deviations at which residuals are clipped
RATE = 0.3
RATE_ERROR = 0.01
SEEN_MAX = 250
BETTER = 0.97
WITHOUT, WITH = 0, 1


@dataclass
class Month(Part):
    """Effects of the days of the month; empty unless data is daily."""

    adds: NDArray[np.float32] = kept("slots_a_month", dtype=np.float32)  # shares of the forecast
    seen: NDArray[np.uint8] = kept("slots_a_month", dtype=np.uint8)
    error: Array = kept("month_errors")  # decayed mean absolute error without and with it

    def judge(
        self, habits: Habits, slot: int, forecast: Array, deviation: Array
    ) -> tuple[Array, Array]:
        """The slot's estimated effect, and the part of it that is used; (M, K) each.

        Parameters
        ----------
        forecast : without the effect.
        deviation : standard deviation of residuals.
        """
        seen = self.seen[slot].astype(np.float64)
        adds = self.adds[slot] * _size(habits, forecast)
        out = np.abs(adds) > STANDS_OUT * deviation / np.sqrt(np.maximum(seen, 1.0))
        adds = np.where((seen >= SEEN_FROM) & out, adds, 0.0)
        return adds, np.where(self.error[WITH] < BETTER * self.error[WITHOUT], adds, 0.0)

    def learn(
        self,
        habits: Habits,
        slot: int,
        forecast: Array,
        residual: Array,
        adds: Array,
        deviation: Array,
        live: Mask,
        frozen: Mask,
    ) -> None:
        """Learn one interval of the series that are `live`.

        Parameters
        ----------
        residual : of the forecast without the effect.
        adds : the slot's estimated effect.
        frozen : series in an open event, which learn young slots only.
        """
        seen = self.seen[slot].astype(np.float64)
        usual = np.maximum(np.abs(habits.level), SMALL)
        size = np.maximum(_size(habits, forecast), SMALL)
        # A weekday on which hardly anything is expected tells little of the others.
        tells = np.minimum(size / usual, 1.0)
        size = np.maximum(size, LITTLE * usual)
        reach = CLIP * deviation
        clipped = np.minimum(np.maximum(residual, -reach), reach)
        rate = live * np.maximum(1.0 / (np.maximum(habits.seen, 1.0)), RATE_ERROR)
        for error, left in zip(self.error, (clipped, clipped - adds), strict=True):
            error += rate * (np.abs(left) - error)
        on = live & (~frozen | (seen < YOUNG))
        share = np.minimum(np.maximum(clipped / size, -100.0), 100.0)
        step = on * tells * np.maximum(1.0 / (seen + 1.0), RATE)
        self.adds[slot] += step * (share - self.adds[slot])
        self.seen[slot] = np.minimum(seen + on, SEEN_MAX)


@dataclass
class Season(Month):
    """Effects of the slots of the season that an input names; empty without it."""

    adds: NDArray[np.float32] = kept("season_intervals", dtype=np.float32)
    seen: NDArray[np.uint8] = kept("season_intervals", dtype=np.uint8)
    error: Array = kept("season_errors")


def _size(habits: Habits, forecast: Array) -> Array:
    return np.abs(np.where(habits.signed > 0, habits.level, forecast))
