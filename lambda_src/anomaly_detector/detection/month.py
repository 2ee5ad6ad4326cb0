"""What the day of the month adds to a daily series: pay days, first and last days.

A slot holds the decayed mean residual of its day (the last day of a month has one of its own), as a
share of the forecast (of the level, where values can be negative). It counts once two months have
shown it and it stands out of the noise, and only while forecasts with it are better than without: a
series that knows no such days pays nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.detection.arrays import Array, Mask, Part, kept
from anomaly_detector.detection.habits import Habits
from anomaly_detector.detection.rules import SMALL

SEEN_FROM = 2  # months that have shown a slot before it counts
YOUNG = 12  # months in which a slot is learnt even while an event is open
STANDS_OUT = 2.5  # deviations of a slot's mean
CLIP = 30.0  # deviations that a residual is clipped at
RATE = 0.3
RATE_ERROR = 0.01
SEEN_MAX = 250
BETTER = 0.97
WITHOUT, WITH = 0, 1


@dataclass
class Month(Part):
    """What is known of the days of the month; empty but for daily data."""

    adds: NDArray[np.float32] = kept("slots_a_month", dtype=np.float32)  # as a share of the level
    seen: NDArray[np.uint8] = kept("slots_a_month", dtype=np.uint8)
    error: Array = kept("month_errors")  # decayed mean absolute error without and with it

    def judge(
        self, habits: Habits, slot: int, forecast: Array, deviation: Array
    ) -> tuple[Array, Array]:
        """What the slot would add to the forecast, and what of it is believed; (M, K) each.

        Parameters
        ----------
        forecast : without the month.
        deviation : of single residuals.
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
        """Learn one day of the series that are `live`.

        Parameters
        ----------
        residual : of the forecast without the month.
        adds : what the slot would have added.
        frozen : series that an event holds: they learn young slots only.
        """
        seen = self.seen[slot].astype(np.float64)
        size = np.maximum(_size(habits, forecast), SMALL)
        reach = CLIP * deviation
        clipped = np.minimum(np.maximum(residual, -reach), reach)
        rate = live * np.maximum(1.0 / (np.maximum(habits.seen, 1.0)), RATE_ERROR)
        for error, left in zip(self.error, (clipped, clipped - adds), strict=True):
            error += rate * (np.abs(left) - error)
        on = live & (~frozen | (seen < YOUNG))
        share = np.minimum(np.maximum(clipped / size, -100.0), 100.0)
        step = on * np.maximum(1.0 / (seen + 1.0), RATE)
        self.adds[slot] += step * (share - self.adds[slot])
        self.seen[slot] = np.minimum(seen + on, SEEN_MAX)


def _size(habits: Habits, forecast: Array) -> Array:
    return np.abs(np.where(habits.signed > 0, habits.level, forecast))
