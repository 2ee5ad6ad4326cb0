"""How surprising one value of one series is, by what the series itself has shown.

Four channels look at a value, each as a distance |z| in units that its own past has shown:

* **jump**: how the residual of the slow forecast changed since the interval before;
* **season**: the residual of the slow forecast;
* **level**: the distance from the decayed mean of about the newest 330 values;
* **range**: how far outside its usual range, the 1 % and 99 % quantiles of that distance, it lies.

The unit is a decayed mean absolute distance, learnt from distances clipped at 4 times itself, so
that a fault hardly widens it; never less than the floor of the slow forecast's scale.

**Tail**: each channel knows the decayed share of its distances over 1, 2 and 4 units, and the mean
excess of ln |z| over ln 4 (Hill 1975, "A simple general approach to inference about the tail of a
distribution"), both drawn to a prior while few are known. L_c = -log10 P(|z| as large) runs
straight in log |z| through the shares, and on with Hill's exponent. Of neighbouring distances over
4 only the first tells, as an alert is raised once for them. So a series that leaps every day is not
surprising when it leaps.

**Explained**: e = max(0, 1 - 12 s / w), s the mean |residual| of the slow forecast and w the width
between the 10 % and 90 % quantiles; 0 where the series is often zero. Of a series that its season
explains, a leap is a fault and no habit, even if faults recur: in jump and season, a share of
0.012 e^2 is taken off the shares over 2 and 4, down to an exponential tail at the least.

**Surprise**: L is the largest of the mean of the four L_c, min(L_jump, L_season) - log10 3, and
min(1, 3 e) L_season - log10 3. A geometric mean of p-values needs no independence and costs at most
a factor e (Vovk and Wang 2020, "Combining p-values via averaging"), less than the power-law tail
gives away. The other two are for a value that is usual in itself, but not at its time of the day or
week; log10 3 is the price of three looks.

**Weight**: x = L sqrt(min(1, r / 0.2)) (0.8 + 0.2 min(1, n / warm-up)), r the size of the change
relative to what is expected and n the values learnt: a change of a few percent matters less, and
little history proves less.

**Aftermath**: m is the decayed mean of L over a quarter of a day (6 to 72 intervals). A value
counts at least T u / (1 + u), u = (2.5 m)^2 / T. That is always below the threshold T: it ranks
what stands near a fault above what does not, and never raises an alert.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from anomaly_detector.detection.arrays import Array, Mask, Part, Places, kept
from anomaly_detector.detection.forecast import Expectation
from anomaly_detector.detection.habits import Habits
from anomaly_detector.detection.rules import (
    FULL_SIZE,
    TINY,
    TO_DEVIATION,
    UNCLIPPED_UNTIL,
    Rules,
)

Tail = tuple[Array, Array, Array, Array]

CHANNELS = 4  # jump, season, level, range
DISTANCES = 3  # those that a unit is learnt of
LEVELS = 3  # |z| of 1, 2 and 4: a straight line in log2 between them
QUANTILES = np.array([0.01, 0.1, 0.9, 0.99])[:, None, None]

PRIOR_SHARE = (0.35, 0.07, 0.01)
PRIOR_COUNT = 100.0  # values that the prior shares weigh as much as
PRIOR_EXCESS, PRIOR_HILL = 0.35, 1.5  # mean excess of ln |z|; leaps that it weighs as much as
KEPT_LEAPS = 50.0  # leaps that the excess is a mean of

RATE, RATE_RANGE, RATE_TAIL = 0.003, 0.01, 0.001
CLIP = 4.0
TELLS_FROM = 48  # values; before that the tail would learn the noise of the unit
FLOOR = 0.003  # of the usual size of a value
NARROWEST = 0.3  # of the level's unit: the range of a series that is nearly constant
YOUNG = 4.0  # values for which a unit is taken as twice as wide as it was seen
LARGEST = 1e9
FAULTS = 0.012  # share of far distances that may be faults, of a series that its season explains
LEAST_GAIN = 12.0  # mean |residual| in a width of which nothing counts as explained
KNOWN = 3.0  # a third explained is enough to believe the season alone
# Of a series that hardly ever moved, a move by one unit is no proof of anything.
LEAST_SHARE = np.array([0.05, 0.003, 1e-6])[None, :, None, None]
LEAST_SLOPE = 0.01
STEEPEST = 2.0**1.5  # of -log10 P from 1 to 2 units, once faults are taken off; Gaussian 2^1.5
WIDEST = 8.0  # octaves of a bound: beyond it nothing is known of the tail
LOOKS = 0.48  # log10 3: three ways to be a surprise
LEAST_CERTAIN = 0.8
GAIN = 2.5  # of the aftermath


@dataclass(frozen=True)
class Surprisal:
    """What one interval shows; arrays (M, K) unless said otherwise.

    Attributes
    ----------
    surprise : L, in powers of ten; 0 where no value is.
    weight : x, the same weighed by size and certainty.
    distance : (3, M, K) |change of the residual|, |residual| and |distance from the long level|.
    unit : (3, M, K) what these are measured in.
    away : distance from the long level, signed.
    octave : (C, M, K) log2 |z|.
    tail : -log10 P at |z| of 1, 2 and 4 and its rise per octave from there on; (C, M, K) each.
    trust : min(1, 3 e), how far the season alone is believed.
    least, few : smallest deviation that is believed, and the factor of a mean of few rows.
    """

    surprise: Array
    weight: Array
    residual: Array
    distance: Array
    unit: Array
    away: Array
    octave: Array
    tail: Tail
    trust: Array
    least: Array
    few: Array
    live: Mask


@dataclass
class Surprise(Part):
    """What is known of how far the values of a series usually lie from what is expected."""

    usual: Array = kept(DISTANCES)  # decayed mean of each distance, clipped
    last_residual: Array = kept()  # newest residual of the slow forecast
    long_level: Array = kept()  # decayed mean of the clipped value
    range: Array = kept(len(QUANTILES))  # four quantiles of the distance from it
    # Decayed share of distances over each level.
    tail_share: Array = kept(CHANNELS, LEVELS, initial=[PRIOR_SHARE] * CHANNELS)
    leaps: Array = kept(CHANNELS, initial=[PRIOR_HILL] * CHANNELS)  # decayed number over the last
    # The sum of how far, in logarithms.
    leap_excess: Array = kept(CHANNELS, initial=[PRIOR_HILL * PRIOR_EXCESS] * CHANNELS)
    leapt: Array = kept(CHANNELS)  # 1 where the newest distance was over it
    memory: Array = kept()  # decayed mean surprise

    def judge(
        self, rules: Rules, habits: Habits, expectation: Expectation, value: Array, live: Mask
    ) -> Surprisal:
        """Judge one interval; nothing is learnt.

        Parameters
        ----------
        value : the expectation where `live` is not set.
        """
        seen, expected, few = habits.seen, expectation.expected, expectation.few
        first = seen == 0
        residual = value - expected
        away = np.where(first, 0.0, value - self.long_level)
        distance = np.abs(np.stack([residual - self.last_residual, residual, away]))
        least = np.maximum(expectation.floor, FLOOR * habits.magnitude)
        # The unit of the very first distances is not known: none of them surprises.
        unknown = np.where(first, distance[1:].max(axis=0), least)
        unit = np.maximum(TO_DEVIATION * self.usual, np.maximum(least, unknown)) * few
        wide = 1.0 + YOUNG / (seen + 1.0)
        low, tenth, ninetieth, high = self.range
        width = np.maximum(ninetieth - tenth, NARROWEST * unit[2]) * wide
        outside = np.maximum(away - high, low - away) / width
        z = np.empty((CHANNELS, *value.shape))
        z[:3] = distance / (unit * wide)
        z[3] = 1.5 * np.maximum(outside + 1.0, 0.0)
        octave = np.log2(np.minimum(np.maximum(z, 0.25), LARGEST))

        explained = self._explained(habits)
        tail = self._levels(explained)
        jump, season, level, spread = _tail(tail, octave)
        mean = (jump + season + level + spread) / CHANNELS
        trust = np.minimum(1.0, KNOWN * explained)
        alone = np.maximum(np.minimum(jump, season), trust * season) - LOOKS
        surprise = np.where(live, np.maximum(mean, alone), 0.0)
        size = np.maximum(np.maximum(np.abs(expected), np.abs(habits.level)), least)
        part = np.sqrt(np.minimum(1.0, np.abs(residual) / (FULL_SIZE * size)))
        certain = LEAST_CERTAIN + (1.0 - LEAST_CERTAIN) * np.minimum(1.0, seen / rules.warm_up)
        return Surprisal(
            surprise,
            surprise * part * certain,
            residual,
            distance,
            unit,
            away,
            octave,
            tail,
            trust,
            least,
            few,
            live,
        )

    def _levels(self, explained: Array) -> Tail:
        """-log10 P at |z| of 1, 2 and 4, and its rise per octave from there on; (C, M, K) each."""
        faults = np.zeros(self.leaps.shape)
        faults[:2] = FAULTS * np.square(explained)
        calm = np.maximum(self.tail_share - faults[:, None], LEAST_SHARE)
        seen = -np.log10(np.maximum(self.tail_share, LEAST_SHARE))
        one, two, four = seen[:, 0], seen[:, 1], seen[:, 2]
        # Without its faults the tail is lighter, yet no lighter than what lies nearer to the
        # middle.
        two = np.maximum(two, np.minimum(-np.log10(calm[:, 1]), STEEPEST * one))
        four = np.maximum(four, np.minimum(-np.log10(calm[:, 2]), 3.0 * two - 2.0 * one))
        part = np.minimum(1.0, calm[:, 2] / np.maximum(self.tail_share[:, 2], LEAST_SHARE[:, 2]))
        hill = self.leaps / self.leap_excess * math.log10(2.0)
        return one, two, four, part * hill + (1.0 - part) * (four - two)

    def _explained(self, habits: Habits) -> Array:
        """How well the slow forecast knows the series: 0 where it is hardly better than its
        mean.
        """
        width = self.range[2] - self.range[1]
        share = np.maximum(0.0, width - LEAST_GAIN * self.usual[1]) / np.maximum(width, TINY)
        return np.where(habits.often_zero, 0.0, share)

    def reach(self, habits: Habits, found: Surprisal, asked: Array) -> tuple[Array, Array]:
        """Residuals (lower, upper) from which on the channels of the season ask for an alert.

        A value within them can still be one, by its level and its range.

        Parameters
        ----------
        asked : (M, 1) L.
        """
        asked = asked + LOOKS
        wide = 1.0 + YOUNG / (habits.seen + 1.0)
        jump, season = _distance(found, wide, asked[None])
        share = np.maximum(found.trust, 0.1)
        _, alone = _distance(found, wide, (asked / share)[None])
        last = self.last_residual
        lower = np.maximum(np.minimum(last - jump, -season), -alone)
        return lower, np.minimum(np.maximum(last + jump, season), alone)

    def severity(self, rules: Rules, found: Surprisal, threshold: Array) -> Array:
        """Severity 100 x / (x + T), the aftermath included; 50 where x is the threshold T."""
        lasting = self.memory + (found.surprise - self.memory) * found.live / rules.memory
        u = np.square(GAIN * lasting) / threshold
        x = np.maximum(found.weight, threshold * u / (1.0 + u))
        return 100.0 * x / (x + threshold)

    def learn(
        self, rules: Rules, habits: Habits, found: Surprisal, value: Array, live: Mask
    ) -> None:
        """Learn one interval of the `live` series, before `habits` do."""
        seen = habits.seen
        on = live.astype(np.float64)
        young = 1.0 / (seen + 1.0)
        rate = on * np.maximum(young, RATE)
        loose = seen < UNCLIPPED_UNTIL
        limit = np.where(loose, np.inf, CLIP * self.usual + found.least)
        clipped = np.minimum(found.distance / found.few, limit)
        step = 2.0 * np.maximum(TO_DEVIATION * self.usual[2], FLOOR * habits.magnitude)
        self.range += (on * np.maximum(young, RATE_RANGE) * step) * (
            QUANTILES - (found.away < self.range)
        )
        # They move by steps of their own, and may not cross.
        low, tenth, ninetieth, high = self.range
        np.maximum(ninetieth, tenth, out=ninetieth)
        np.minimum(low, tenth, out=low)
        np.maximum(high, ninetieth, out=high)
        step = np.where(loose, np.abs(found.away), np.minimum(np.abs(found.away), limit[2]))
        moved = self.long_level + rate * np.copysign(step, found.away)
        self.long_level[:] = np.where(live & (seen == 0), value, moved)
        self.usual += rate * (clipped - self.usual)
        self.last_residual[:] = np.where(live, found.residual, self.last_residual)
        self.memory += on / rules.memory * (found.surprise - self.memory)

        far = found.octave > LEVELS - 1
        tells = live & (seen >= TELLS_FROM) & ~(far & (self.leapt > 0))
        weight = np.maximum(1.0 / (seen + PRIOR_COUNT), RATE_TAIL) * tells
        over = found.octave[:, None] > np.arange(LEVELS)[:, None, None]
        self.tail_share += weight[:, None] * (over - self.tail_share)
        leap = (tells & far).astype(np.float64)
        least = leap / KEPT_LEAPS
        excess = (found.octave - (LEVELS - 1)) * math.log(2.0)
        self.leap_excess += leap * excess + least * (PRIOR_HILL * PRIOR_EXCESS - self.leap_excess)
        self.leaps += leap + least * (PRIOR_HILL - self.leaps)
        self.leapt[:] = np.where(live, far, self.leapt)

    def move(self, at: Places, moved: Array) -> None:
        """Follow series to a new level: neither it nor the way there is a surprise."""
        self.long_level[at] += moved
        self.last_residual[at] = 0.0


def _tail(tail: Tail, octave: Array) -> Array:
    """(C, M, K) -log10 P(|z| as large)."""
    one, two, four, slope = tail
    found = one * np.minimum(np.maximum(0.5 * octave + 1.0, 0.0), 1.0)
    found += (two - one) * np.minimum(np.maximum(octave, 0.0), 1.0)
    found += (four - two) * np.minimum(np.maximum(octave - 1.0, 0.0), 1.0)
    found += slope * np.maximum(octave - 2.0, 0.0)
    return np.asarray(found)


def _distance(found: Surprisal, wide: Array, asked: Array) -> Array:
    """(2, M, K) distances of jump and season at which -log10 P is `asked`."""
    one, two, four, slope = (part[:2] for part in found.tail)
    near = 2.0 * (np.minimum(asked, one) / one - 1.0)
    near += np.minimum(np.maximum((asked - one) / np.maximum(two - one, TINY), 0.0), 1.0)
    near += np.minimum(np.maximum((asked - two) / np.maximum(four - two, TINY), 0.0), 1.0)
    octave = near + np.maximum(asked - four, 0.0) / np.maximum(slope, LEAST_SLOPE)
    return np.asarray(np.exp2(np.minimum(octave, WIDEST)) * found.unit[:2] * wide)
