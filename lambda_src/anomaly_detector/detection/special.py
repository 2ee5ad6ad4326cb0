"""Special days of a calendar: a day is expected to be like the earlier ones of its name.

Of each name, and of each of eight parts of the day below P1D, the usual deviation from the forecast
is kept as a share of it. The first day of a name is neither scored nor learned by anything else:
there is none that it could be like.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.detection.arrays import Array, Mask, Part, kept
from anomaly_detector.detection.habits import Habits
from anomaly_detector.detection.rules import SMALL, TO_DEVIATION

NONE = -1
RATE = 0.3  # of the newest day, once there are some
ONCE, SURE = 0.25, 0.1  # least relative doubt of what came once, and of what came more often
LEAST_SIZE = 0.1  # of the usual size of a value, that shares refer to: by night there may be none
LARGEST = 100.0
TIMES_MAX = 250


@dataclass(frozen=True)
class Precedent:
    """What is expected of an interval by earlier days of the same name; arrays (M, K).

    Attributes
    ----------
    effect : in place of those of month and habits. doubt : its standard deviation.
    known : series that have it.
    """

    effect: Array
    doubt: Array
    known: Mask


@dataclass
class Special(Part):
    """Deviations of each series on special days; empty without a calendar."""

    share: NDArray[np.float32] = kept("special_slots", dtype=np.float32)
    # Decayed mean deviation of a day from it.
    spread: NDArray[np.float32] = kept("special_slots", dtype=np.float32)
    times: NDArray[np.uint8] = kept("special_slots", dtype=np.uint8)
    # The newest part of a day, which is taken in when the next one begins.
    slot: NDArray[np.int32] = kept("special_now", dtype=np.int32, initial=NONE)
    day: NDArray[np.int32] = kept("special_now", dtype=np.int32)
    total: Array = kept("special_now")  # residuals of the forecast without what is special
    size: Array = kept("special_now")  # sizes that shares refer to

    def begin(self, number: int, slot: int | None) -> None:
        """Take in the newest part of a day if another one begins.

        Parameters
        ----------
        number : days since 1970. slot : of the interval; None if it is not special.
        """
        if not len(self.slot):
            return
        now = NONE if slot is None else slot
        over = (self.slot[0] != NONE) & ((self.slot[0] != now) | (self.day[0] != number))
        if not over.any():
            return
        at = np.nonzero(over)
        entry = (self.slot[0][at], *at)
        share = self.total[0][at] / np.maximum(self.size[0][at], SMALL)
        share = np.clip(share, -LARGEST, LARGEST)
        times = self.times[entry].astype(np.float64)
        rate = np.maximum(1.0 / (times + 1.0), RATE)
        away = share - self.share[entry]
        self.share[entry] += rate * away
        again = times > 0
        rate = np.maximum(1.0 / np.maximum(times, 1.0), RATE)
        self.spread[entry] += again * rate * (np.abs(away) - self.spread[entry])
        self.times[entry] = np.minimum(times + 1.0, TIMES_MAX)
        self.slot[0][over] = NONE
        self.total[0][over] = self.size[0][over] = 0.0

    def first(self, slot: int) -> Mask:
        """(M, K) series without an earlier day of the name."""
        return np.asarray(self.times[slot] == 0)

    def judge(self, habits: Habits, slot: int, base: Array, deviation: Array) -> Precedent:
        """What is expected of a special interval.

        Parameters
        ----------
        base : forecast without what is special. deviation : standard deviation of residuals.
        """
        times = np.maximum(self.times[slot].astype(np.float64), 1.0)
        share, size = self.share[slot].astype(np.float64), _size(habits, base)
        doubt = np.where(times > 1.0, SURE, ONCE) * np.abs(share)
        doubt = np.maximum(doubt, TO_DEVIATION * self.spread[slot])
        # What came so few times was as noisy as any other value.
        doubt = np.hypot(doubt * size, deviation / np.sqrt(times))
        return Precedent(share * size, doubt, self.times[slot] > 0)

    def learn(
        self, habits: Habits, number: int, slot: int, base: Array, value: Array, on: Mask
    ) -> None:
        """Add one interval to the sums of its part of the day.

        Parameters
        ----------
        base : forecast without what is special. on : (M, K) series that have a value.
        """
        self.slot[0][on], self.day[0][on] = slot, number
        np.add(self.total[0], value - base, out=self.total[0], where=on)
        np.add(self.size[0], _size(habits, base), out=self.size[0], where=on)


def _size(habits: Habits, base: Array) -> Array:
    """(M, K) size that shares refer to."""
    size = np.where(habits.signed > 0, habits.magnitude, np.abs(base))
    return np.asarray(np.maximum(size, LEAST_SIZE * habits.magnitude))
