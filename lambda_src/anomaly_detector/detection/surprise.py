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
from anomaly_detector.detection.habits import Habits, Observed
from anomaly_detector.detection.rules import (
    FULL_SIZE,
    TINY,
    TO_DEVIATION,
    UNCLIPPED_UNTIL,
    Rules,
)

CHANNELS = 4  # jump, season, level, range
DISTANCES = 3  # those that a unit is learnt of
LEVELS = 3  # |z| of 1, 2 and 4: a straight line in log2 between them
OCTAVES = np.arange(float(LEVELS))[:, None, None]
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
class Tail:
    """How rare distances are, all arrays (C, M, K).

    Attributes
    ----------
    one, two, four : -log10 P at |z| of 1, 2 and 4. low, high : the rise between them.
    slope : the rise per octave from there on.
    """

    one: Array
    two: Array
    four: Array
    low: Array
    high: Array
    slope: Array

    def at(self, octave: Array) -> Array:
        """(C, M, K) -log10 P(|z| as large); `octave` is at least -2."""
        over = np.maximum(octave, 0.0)
        found = self.one * (0.5 * (octave - over) + 1.0)
        for rise in (self.low, self.high):
            within = np.minimum(over, 1.0)
            over -= within
            found += rise * within
        over *= self.slope
        found += over
        return np.asarray(found)


@dataclass(frozen=True)
class Surprisal:
    """What one interval shows; arrays (M, K) unless said otherwise.

    Attributes
    ----------
    surprise : L, in powers of ten; 0 where no value is.
    weight : x, the same weighed by size and certainty.
    residual : beyond the expectation.
    distance : (3, M, K) |change of the residual|, |residual| and |distance from the long level|.
    unit : (3, M, K) what these are measured in, times `wide`: wider while a series is young.
    away : distance from the long level, signed.
    octave : (C, M, K) log2 |z|.
    trust : min(1, 3 e), how far the season alone is believed.
    least : smallest deviation that is believed.
    """

    surprise: Array
    weight: Array
    residual: Array
    distance: Array
    unit: Array
    wide: Array
    away: Array
    octave: Array
    tail: Tail
    trust: Array
    least: Array


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
        self,
        rules: Rules,
        habits: Habits,
        observed: Observed,
        expectation: Expectation,
        value: Array,
        residual: Array,
    ) -> Surprisal:
        """Judge one interval; nothing is learnt.

        Parameters
        ----------
        value : the expectation where nothing came. residual : beyond the expectation, then 0.
        """
        away = value - self.long_level
        # The very first distances are none: nothing is known that they could be measured in.
        away *= observed.born
        distance = np.empty_like(self.usual)
        np.subtract(residual, self.last_residual, out=distance[0])
        distance[1], distance[2] = residual, away
        np.abs(distance, out=distance)
        least = np.maximum(expectation.floor, FLOOR * habits.magnitude)
        unit = TO_DEVIATION * self.usual
        np.maximum(unit, least, out=unit)
        unit *= expectation.few
        wide = 1.0 + YOUNG * observed.young
        low, tenth, ninetieth, high = self.range
        width = np.maximum(ninetieth - tenth, NARROWEST * unit[2])
        width *= wide
        z = np.empty_like(self.leaps)
        np.divide(distance, unit * wide, out=z[:DISTANCES])
        outside = np.maximum(away - high, low - away) / width
        np.maximum(1.5 * (outside + 1.0), 0.0, out=z[DISTANCES])
        octave = np.log2(np.minimum(np.maximum(z, 0.25), LARGEST))

        explained = self._explained(habits)
        tail = self._tail(explained)
        strange = tail.at(octave)
        jump, season = strange[:2]
        trust = np.minimum(1.0, KNOWN * explained)
        alone = np.maximum(np.minimum(jump, season), trust * season) - LOOKS
        surprise = np.maximum(strange.sum(axis=0) / CHANNELS, alone)
        surprise *= observed.live
        size = np.maximum(np.abs(expectation.expected), np.abs(habits.level))
        size = FULL_SIZE * np.maximum(size, least)
        weight = np.sqrt(np.minimum(1.0, distance[1] / size))
        weight *= LEAST_CERTAIN + (1.0 - LEAST_CERTAIN) * np.minimum(
            1.0, habits.seen / rules.warm_up
        )
        weight *= surprise
        return Surprisal(
            surprise, weight, residual, distance, unit, wide, away, octave, tail, trust, least
        )

    def _tail(self, explained: Array) -> Tail:
        """The tail of each channel, without faults of what is `explained`."""
        share = np.maximum(self.tail_share, LEAST_SHARE)
        seen = np.log10(share)
        np.negative(seen, out=seen)
        one, two, four = (seen[:, level] for level in range(LEVELS))
        slope = self.leaps / self.leap_excess
        slope *= math.log10(2.0)
        # Without its faults the tail is lighter, yet no lighter than what lies nearer to the
        # middle; jump and season know them, the other channels do not.
        calm = np.maximum(
            self.tail_share[:2, 1:] - FAULTS * np.square(explained), LEAST_SHARE[:, 1:]
        )
        lighter = np.log10(calm)
        np.negative(lighter, out=lighter)
        np.maximum(two[:2], np.minimum(lighter[:, 0], STEEPEST * one[:2]), out=two[:2])
        straight = 3.0 * two[:2] - 2.0 * one[:2]
        np.maximum(four[:2], np.minimum(lighter[:, 1], straight), out=four[:2])
        part = np.minimum(1.0, calm[:, 1] / share[:2, 2])
        low, high = two - one, four - two
        slope[:2] = part * slope[:2] + (1.0 - part) * high[:2]
        return Tail(one, two, four, low, high, slope)

    def _explained(self, habits: Habits) -> Array:
        """How well the slow forecast knows the series: 0 where it is hardly better than its
        mean.
        """
        width = self.range[2] - self.range[1]
        share = np.maximum(0.0, width - LEAST_GAIN * self.usual[1]) / np.maximum(width, TINY)
        share *= ~habits.often_zero
        return np.asarray(share)

    def reach(self, found: Surprisal, asked: Array) -> tuple[Array, Array]:
        """Residuals (lower, upper) from which on the channels of the season ask for an alert.

        A value within them can still be one, by its level and its range.

        Parameters
        ----------
        asked : (M, 1) L.
        """
        asked = asked + LOOKS
        jump, season = _distance(found, asked, slice(0, 2))
        (alone,) = _distance(found, asked / np.maximum(found.trust, 0.1), slice(1, 2))
        last = self.last_residual
        lower = np.maximum(np.minimum(last - jump, -season), -alone)
        return lower, np.minimum(np.maximum(last + jump, season), alone)

    def severity(self, rules: Rules, found: Surprisal, threshold: Array, live: Mask) -> Array:
        """Severity 100 x / (x + T), the aftermath included; 50 where x is the threshold T."""
        lasting = self.memory + (found.surprise - self.memory) * live / rules.memory
        u = np.square(GAIN * lasting) / threshold
        x = np.maximum(found.weight, threshold * u / (1.0 + u))
        return np.asarray(100.0 * x / (x + threshold))

    def learn(
        self,
        rules: Rules,
        habits: Habits,
        found: Surprisal,
        few: Array,
        value: Array,
        live: Mask,
        young: Array,
    ) -> None:
        """Learn one interval of the `live` series, before `habits` do.

        Parameters
        ----------
        few : factor of a mean of few rows.
        """
        seen = habits.seen
        settled = seen >= UNCLIPPED_UNTIL
        limit = CLIP * self.usual
        limit += found.least
        step = np.maximum(young, RATE_RANGE)
        step *= live
        step *= 2.0 * np.maximum(TO_DEVIATION * self.usual[2], FLOOR * habits.magnitude)
        move = QUANTILES - (found.away < self.range)
        move *= step
        self.range += move
        # They move by steps of their own, and may not cross.
        low, tenth, ninetieth, high = self.range
        np.maximum(ninetieth, tenth, out=ninetieth)
        np.minimum(low, tenth, out=low)
        np.maximum(high, ninetieth, out=high)
        rate = np.maximum(young, RATE)
        rate *= live
        away = found.distance[2].copy()
        np.minimum(away, limit[2], out=away, where=settled)
        self.long_level += rate * np.copysign(away, found.away)
        np.copyto(self.long_level, value, where=live & (seen == 0))
        clipped = found.distance / few
        np.minimum(clipped, limit, out=clipped, where=settled)
        clipped -= self.usual
        clipped *= rate
        self.usual += clipped
        np.copyto(self.last_residual, found.residual, where=live)
        self.memory += (found.surprise - self.memory) * live / rules.memory

        far = found.octave > LEVELS - 1
        tells = ~(far & (self.leapt > 0))
        tells &= live & (seen >= TELLS_FROM)
        over = (found.octave[:, None] > OCTAVES).astype(np.float64)
        over -= self.tail_share
        over *= (np.maximum(1.0 / (seen + PRIOR_COUNT), RATE_TAIL) * tells)[:, None]
        self.tail_share += over
        leap = np.nonzero(tells & far)
        if len(leap[0]):
            excess = (found.octave[leap] - (LEVELS - 1)) * math.log(2.0)
            for sums, one, prior in (
                (self.leap_excess, excess, PRIOR_HILL * PRIOR_EXCESS),
                (self.leaps, 1.0, PRIOR_HILL),
            ):
                sums[leap] += one + (prior - sums[leap]) / KEPT_LEAPS
        np.copyto(self.leapt, far, where=live)

    def move(self, at: Places, moved: Array) -> None:
        """Follow series to a new level: neither it nor the way there is a surprise."""
        self.long_level[at] += moved
        self.last_residual[at] = 0.0


def _distance(found: Surprisal, asked: Array, channels: slice) -> Array:
    """(C, M, K) distances of jump, season or both at which -log10 P is `asked` (M, K)."""
    tail = found.tail
    one, two, four = tail.one[channels], tail.two[channels], tail.four[channels]
    octave = 2.0 * (np.minimum(asked, one) / one - 1.0)
    for begin, rise in ((one, tail.low[channels]), (two, tail.high[channels])):
        octave += np.minimum(np.maximum((asked - begin) / np.maximum(rise, TINY), 0.0), 1.0)
    octave += np.maximum(asked - four, 0.0) / np.maximum(tail.slope[channels], LEAST_SLOPE)
    distance = np.exp2(np.minimum(octave, WIDEST))
    distance *= found.unit[channels]
    distance *= found.wide
    return np.asarray(distance)
