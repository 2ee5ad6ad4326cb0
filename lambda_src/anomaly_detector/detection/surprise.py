"""The surprise of a single value, by the history of its series.

Five channels evaluate a value, six if an interval is less than an hour, each as a distance |z| in
units of its past distances:

* **jump**: the change of the slow forecast's residual since the previous interval;
* **season**: the residual of the slow forecast;
* **level**: the distance from the decayed mean of about the latest 330 values;
* **range**: the distance beyond its usual range, the 1 % and 99 % quantiles of that distance;
* **drift**: the decayed mean over six hours (intervals, if longer) of the residual in deviations of
  its time of the day, each clipped at 3;
* **change**, below an hour only: the jump, or the change of the value itself if that is smaller, as
  the weekly profile has a step at each hour.

The unit is a decayed mean absolute distance of values clipped at 4 units, so that a fault hardly
widens it; it is at least the floor of the slow forecast's scale; of a share near one, that of what
is left of it.

**Tail**: each channel knows the decayed share of its distances over 1, 2 and 4 units, and the mean
excess of ln |z| over ln 4 (Hill 1975, "A simple general approach to inference about the tail of a
distribution"), both shrunk to a prior. L_c = -log10 P(|z| as large) is linear in log |z| through
the shares, and continues with Hill's exponent. Of consecutive distances over 4 only the first is
learned, as they raise one alert. So a series that leaps every day is not surprising when it leaps.
The prior has the weight of 100 values, and is forgotten as they are, 0.002 sqrt(hours) of it with
each value: the tail of a calm series gets lighter with each week.

**Rare leaps**: in calm times, where all channels are calm, Hill's exponent is at least 3.3 as long
as distances over 4 come four times a week at most, and in 0.3 % of the intervals, and its own from
twice as many on. Leaps that rare may all be faults, and a series that has had some would else take
each of the next for one of its usual leaps, however far it goes.

**Two tails**: a channel has one tail for calm times, and one for a quarter of a day (6 to 72
intervals) after the newest distance over 4. Each judges its own values, and learns from them only.
So what follows a fault does not make the tail heavier by which the next fault is judged. Events and
habits ask whether such values have come often lately: for them, L is that by a third tail of all
values, forgotten at 0.001 a value, without i, the drift and what makes rare leaps light.

**Explained**: e = max(0, 1 - 8 s / w), s the mean |residual| of the slow forecast and w the width
between the 10 % and 90 % quantiles; 0 if the series is often zero. If the season explains a series,
its leaps are faults, even if they recur: in jump and season, 0.012 e^2 is subtracted from the
shares over 2 and 4, which leaves at least an exponential tail. **Close**, c, is the same with the
mean |change|: whether neighbours are alike.

**Independent**, i, is whether a residual says nothing of the next one: the mean jump, in mean
|residuals|, is about 1.4 then; i grows from 0 at 0.9 to 1 at 1.3. Where residuals come in runs, as
in most series of five minutes, a large one is usual for hours, whatever its share is.

**Surprise**: L is the largest of the mean of the first four L_c, and of min(L_jump, L_season),
max(i, min(1, 3 e)) L_season, i L_drift and min(1, 3 c) L_change, each less log10 4. A geometric
mean of p-values needs no independence and costs at most a factor e (Vovk and Wang 2020, "Combining
p-values via averaging"). The others are for values that are usual, but not at that time of the day
or week, not for so long, or not beside their neighbours, as in a dip of a single value; log10 4
corrects for several tests.

**Weight**: x = L sqrt(min(1, max(r / 0.2, |z| / 10))) (0.8 + 0.2 min(1, n / warm-up)), r the size
of the change relative to the expectation, z the distance of the season's channel and n the number
of learned values: a change that is small both for the level and for what the series varies by, and
a short history, reduce the weight.

**Aftermath**: m is the decayed mean of L over that quarter of a day. The weight of
a value is at least T u / (1 + u), u = (2.5 m)^2 / T. As this is always below the threshold T, it
ranks intervals near a fault higher, but never raises an alert.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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

CHANNELS = 4  # jump, season, level, range; then drift, and change, if there is one
DISTANCES = 3  # channels with a learned unit: the first three, drift and change
DRIFT = 3  # place of drift among them
TAILS = 3  # calm, aftermath, all
ALL = 2  # place of the last
LEVELS = 3  # |z| of 1, 2 and 4, linear in log2 between them
OCTAVES = np.arange(float(LEVELS))[:, None, None]
QUANTILES = np.array([0.01, 0.1, 0.9, 0.99])[:, None, None]

PRIOR_SHARE = (0.35, 0.07, 0.01)
PRIOR_COUNT = 100.0  # weight of the prior shares, in values
PRIOR_EXCESS, PRIOR_HILL = 0.35, 1.5  # mean excess of ln |z|; its weight in leaps
KEPT_LEAPS = 50.0  # leaps in the decayed mean of the excess

RATE, RATE_RANGE = 0.003, 0.01
RATE_ALL = 0.001  # of the tail of all values
RATE_TAIL = 0.002  # of the others, of PT1H; of shorter intervals times the root of their hours
DRIFT_HOURS, DRIFT_CLIP = 6.0, 3.0
CALMEST_DRIFT = 0.3  # least unit of the drift, in what independent residuals give
RUNS, INDEPENDENT = 0.9, 1.3  # mean jump in mean |residuals|, between which i grows
CLIP = 4.0
TELLS_FROM = 48  # values before which the unit is too noisy to learn the tail
FLOOR = 0.003  # least unit, as a share of the usual size of a value
LEAST_LEFT = 0.01  # what is left of a share, at least, as a part of it, in its least unit
NARROWEST = 0.3  # least width of the range, in units of the level
YOUNG = 4.0  # values at which units are doubled, as they are uncertain
LARGEST = 1e9
FAULTS = 0.012  # share of large distances that may be faults, if the season explains the series
# Distances over 4 that are as rare as faults are taken for faults, and from twice as many on, one a
# day, for a habit. No more are than are sure to be fewer than the prior says.
FAULTS_A_WEEK, RARE = 4.0, 0.003
FAULTLESS = 3.3  # Hill's exponent without them: twice the distance is a tenth as likely
LEAST_GAIN = 8.0  # width in mean |residuals| up to which nothing is explained
KNOWN = 3.0  # if a third is explained, the season alone is sufficient, and likewise the change
FULL_UNITS = 10.0  # units of the season's channel from which values have full weight
# In a series that has hardly ever changed, a change by one unit is no evidence.
LEAST_SHARE = np.array([0.05, 0.003, 1e-6])[None, :, None, None]
STEEPEST = 2.0**1.5  # of -log10 P from 1 to 2 units, without faults; 2^1.5 is Gaussian
LOOKS = 0.6  # log10 4: correction for four tests
LOOKS_ALL = 0.48  # log10 3: likewise, without drift
ASKED = 1.0  # log2 of the units of the season's channel from which a sum stands out at all
LEAST_CERTAIN = 0.8
GAIN = 2.5  # of the aftermath


@dataclass(frozen=True)
class Tail:
    """Tail probabilities of distances, arrays (C, M, K).

    Attributes
    ----------
    one, two, four : -log10 P at |z| of 1, 2 and 4. low, high : the differences.
    slope : increase per octave beyond 4.
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
    """Surprise of one interval and its components; arrays (M, K) unless stated otherwise.

    Attributes
    ----------
    surprise : L, in powers of ten; 0 if missing.
    weight : x, L weighted by size and certainty.
    residual : value minus expectation.
    distance : (4, M, K) |change of the residual|, |residual|, |distance from the long level| and
        |drift|, or (5, M, K), with |change|.
    unit : likewise, their units.
    away : signed distance from the long level. drift : signed drift, in deviations.
    octave : (C, M, K) log2 |z|. calm : (C, M, K) whether its tail is that of calm times.
    least : lower bound of the units.
    explained : e. trust, close : what they say of season and change, at most 1.
    """

    surprise: Array
    weight: Array
    residual: Array
    distance: Array
    unit: Array
    away: Array
    drift: Array
    octave: Array
    calm: Mask
    least: Array
    explained: Array
    trust: Array
    close: Array


@dataclass
class Surprise(Part):
    """Usual distances of the values of each series, and their tail."""

    usual: Array = kept("distances")  # decayed mean of each distance, clipped
    last_residual: Array = kept()  # latest residual of the slow forecast
    last: Array = kept()  # latest value
    long_level: Array = kept()  # decayed mean of the clipped value
    range: Array = kept(len(QUANTILES))  # four quantiles of the signed distance from it
    drift: Array = kept()  # decayed mean residual, in deviations
    # Decayed share of distances over each level.
    tail_share: Array = kept(TAILS, "channels", LEVELS, initial=[[PRIOR_SHARE]])
    # Decayed number over the last level.
    leaps: Array = kept(TAILS, "channels", initial=PRIOR_HILL)
    # Sum of ln |z| beyond it.
    leap_excess: Array = kept(TAILS, "channels", initial=PRIOR_HILL * PRIOR_EXCESS)
    leapt: Array = kept("channels")  # 1 if the latest distance was over it
    aftermath: Array = kept("channels")  # intervals that are left of an aftermath
    memory: Array = kept()  # decayed mean surprise

    def judge(
        self,
        rules: Rules,
        habits: Habits,
        observed: Observed,
        expectation: Expectation,
        value: Array,
        residual: Array,
        shares: Mask,
    ) -> Surprisal:
        """Evaluate one interval, without learning.

        Parameters
        ----------
        value : the expectation if missing. residual : value minus expectation.
        shares : (M, K) series whose values are shares.
        """
        away = value - self.long_level
        # The first distance is zero, as there is no unit yet.
        away *= observed.born
        distance = np.empty_like(self.usual)
        np.subtract(residual, self.last_residual, out=distance[0])
        distance[1], distance[2] = residual, away
        rate = rules.pace / DRIFT_HOURS
        drift = residual / expectation.calm_scale
        drift.clip(-DRIFT_CLIP, DRIFT_CLIP, out=drift)
        drift -= self.drift
        drift *= observed.live * rate
        drift += self.drift
        distance[DRIFT] = drift
        for change in distance[DRIFT + 1 :]:
            np.subtract(value, self.last, out=change)
        np.abs(distance, out=distance)
        for change in distance[DRIFT + 1 :]:
            np.minimum(change, distance[0], out=change)
        # A success rate of 99.9 % varies by a part of what fails, not of itself.
        left = np.where(shares, (1.0 / np.maximum(habits.level, 0.5) - 1.0).clip(0.0, 1.0), 1.0)
        floor = np.maximum(expectation.floor, FLOOR * habits.magnitude)
        floor *= np.maximum(left, LEAST_LEFT)
        least = np.empty_like(distance)
        least[:] = floor
        least[DRIFT] = CALMEST_DRIFT * math.sqrt(rate / 2.0)
        unit = TO_DEVIATION * self.usual
        np.maximum(unit, least, out=unit)
        # Of the drift, each residual has been divided by it already.
        unit[:DRIFT] *= expectation.few
        unit[DRIFT + 1 :] *= expectation.few
        wide = 1.0 + YOUNG * observed.young
        low, tenth, ninetieth, high = self.range
        width = np.maximum(ninetieth - tenth, NARROWEST * unit[2])
        width *= wide
        z = np.empty_like(self.leapt)
        scaled = distance / (unit * wide)
        z[:DISTANCES], z[CHANNELS:] = scaled[:DISTANCES], scaled[DISTANCES:]
        outside = np.maximum(away - high, low - away) / width
        np.maximum(1.5 * (outside + 1.0), 0.0, out=z[DISTANCES])
        octave = np.log2(z.clip(0.25, LARGEST))

        explained = self._explained(habits, 1)
        calm = self.aftermath <= 0
        share, slope = self._own_tail(rules, calm)
        strange = _tail(explained, share, slope).at(octave)
        trust = np.minimum(1.0, KNOWN * explained)
        close = np.zeros_like(trust)
        if len(distance) > DRIFT + 1:
            close = np.minimum(1.0, KNOWN * self._explained(habits, DRIFT + 1))
        independent = self.usual[0] / np.maximum(self.usual[1], TINY)
        independent -= RUNS
        independent /= INDEPENDENT - RUNS
        independent.clip(0.0, 1.0, out=independent)
        independent *= np.maximum(strange[1], strange[CHANNELS])
        surprise = np.maximum(_agreed(strange, trust, close, LOOKS), independent - LOOKS)
        surprise *= observed.live
        size = np.maximum(np.abs(expectation.expected), np.abs(habits.level))
        size = FULL_SIZE * np.maximum(size * left, floor)
        # Of either measure of size: the smaller divisor counts.
        np.minimum(size, FULL_UNITS * unit[1], out=size)
        weight = np.sqrt(np.minimum(1.0, distance[1] / size))
        weight *= LEAST_CERTAIN + (1.0 - LEAST_CERTAIN) * np.minimum(
            1.0, habits.seen / rules.warm_up
        )
        weight *= surprise
        return Surprisal(
            surprise,
            weight,
            residual,
            distance,
            unit,
            away,
            drift,
            octave,
            calm,
            least,
            explained,
            trust,
            close,
        )

    def _own_tail(self, rules: Rules, calm: Mask) -> tuple[Array, Array]:
        """(C, 3, M, K) shares and (C, M, K) slopes of the tail that judges each channel."""
        share, slope = self.tail_share[0], self.leaps[0] / self.leap_excess[0]
        if not calm.all():
            share = share.copy()
            at = c, m, k = _places(~calm)
            share[c, :, m, k] = self.tail_share[1, c, :, m, k]
            slope[at] = self.leaps[1][at] / self.leap_excess[1][at]
        # How far a few faults went says nothing of how far this series goes without them.
        rare = min(FAULTS_A_WEEK / rules.intervals_a_week, RARE)
        faults = (2.0 - share[:, -1] / rare).clip(0.0, 1.0)
        faults *= calm.all(axis=0)
        slope += faults * np.maximum(FAULTLESS - slope, 0.0)
        return share, slope

    def lasting(self, rules: Rules, found: Surprisal, at: Places) -> Array:
        """(n,) L of some series by the tail of all values, without what independence adds, for
        events and habits; 0 in a sum that is as usual for its time. Call this before `learn`.
        """
        places = np.ravel_multi_index(at, self.memory.shape)

        def of(array: Array) -> Array:
            # (…, M, K) to (…, 1, n)
            return np.asarray(array.reshape(*array.shape[:-2], 1, -1).take(places, axis=-1))

        octave = of(found.octave)
        slope = of(self.leaps[ALL]) / of(self.leap_excess[ALL])
        tail = _tail(of(found.explained), of(self.tail_share[ALL]), slope)
        surprise = _agreed(tail.at(octave), of(found.trust), of(found.close), LOOKS_ALL)[0]
        surprise *= (octave[1, 0] > ASKED) | ~rules.additive[at[0], 0]
        return np.asarray(surprise)

    def _explained(self, habits: Habits, channel: int) -> Array:
        """(M, K) e of the season, c of the change: 0 if those are hardly smaller than the range."""
        width = self.range[2] - self.range[1]
        share = np.maximum(0.0, width - LEAST_GAIN * self.usual[channel]) / np.maximum(width, TINY)
        share *= ~habits.often_zero
        return np.asarray(share)

    def severity(self, rules: Rules, found: Surprisal, threshold: Array, live: Mask) -> Array:
        """Severity 100 x / (x + T), including the aftermath; 50 if x equals the threshold T."""
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
        """Learn one interval of the `live` series; call this before `habits` learn.

        Parameters
        ----------
        few : as in `Expectation`.
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
        # Quantiles are updated independently, and must not cross.
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
        clipped[DRIFT] = found.distance[DRIFT]
        np.minimum(clipped, limit, out=clipped, where=settled)
        clipped -= self.usual
        clipped *= rate
        self.usual += clipped
        np.copyto(self.last_residual, found.residual, where=live)
        np.copyto(self.last, value, where=live)
        np.copyto(self.drift, found.drift, where=live)
        self.memory += (found.surprise - self.memory) * live / rules.memory

        far = found.octave > LEVELS - 1
        tells = ~(far & (self.leapt > 0))
        tells &= live & (seen >= TELLS_FROM)
        prior = 1.0 / (seen + PRIOR_COUNT)
        rate = np.maximum(prior, RATE_TAIL * math.sqrt(rules.pace)) * tells
        reached = (found.octave[:, None] > OCTAVES).astype(np.float64)
        aftermath = ~found.calm
        if aftermath.any():
            c, m, k = _places(aftermath)
            left = reached[c, :, m, k] - self.tail_share[1, c, :, m, k]
            self.tail_share[1, c, :, m, k] += rate[c, m, k][:, None] * left
            rate *= found.calm
        for tail, each in ((0, rate), (ALL, np.maximum(prior, RATE_ALL) * tells)):
            over = reached - self.tail_share[tail]
            over *= each[:, None]
            self.tail_share[tail] += over
        first = tells & far
        leap = _places(first)
        if len(leap[0]):
            excess = (found.octave[leap] - (LEVELS - 1)) * math.log(2.0)
            whole = np.full(len(excess), ALL)
            for which in (aftermath[leap].astype(np.int64), whole):
                of_tail = (which, *leap)
                for sums, one, usual in (
                    (self.leap_excess, excess, PRIOR_HILL * PRIOR_EXCESS),
                    (self.leaps, 1.0, PRIOR_HILL),
                ):
                    sums[of_tail] += one + (usual - sums[of_tail]) / KEPT_LEAPS
        self.aftermath -= live * aftermath
        np.copyto(self.aftermath, rules.memory, where=first)
        np.copyto(self.leapt, far, where=live)

    def move(self, at: Places, moved: Array) -> None:
        """Move series to a new level, which is then no surprise."""
        self.long_level[at] += moved
        self.last_residual[at] = self.drift[at] = 0.0


def _places(mask: Mask) -> tuple[NDArray[np.int64], ...]:
    """Indices of a mask of three axes; of one axis they are found much faster."""
    return np.unravel_index(mask.reshape(-1).nonzero()[0], mask.shape)


def _agreed(strange: Array, trust: Array, close: Array, looks: float) -> Array:
    """(M, K) the larger of what all channels say, and of what jump, season and change do alone."""
    jump, season = strange[:2]
    alone = np.maximum(np.minimum(jump, season), trust * season)
    for change in strange[CHANNELS + 1 :]:
        np.maximum(alone, close * change, out=alone)
    alone -= looks
    return np.asarray(np.maximum(strange[:CHANNELS].sum(axis=0) / CHANNELS, alone))


def _tail(explained: Array, learned: Array, slope: Array) -> Tail:
    """The tail of each channel, without faults if the season explains the series.

    Parameters
    ----------
    learned : (C, 3, M, K) its shares. slope : increase per octave beyond 4, by Hill.
    """
    share = np.maximum(learned, LEAST_SHARE)
    seen = np.log10(share)
    np.negative(seen, out=seen)
    one, two, four = (seen[:, level] for level in range(LEVELS))
    slope *= math.log10(2.0)
    # Without faults the tail is lighter, but not lighter than its inner part allows; this
    # applies to jump and season only.
    left = np.maximum(learned[:2, 1:] - FAULTS * np.square(explained), LEAST_SHARE[:, 1:])
    lighter = np.log10(left)
    np.negative(lighter, out=lighter)
    np.maximum(two[:2], np.minimum(lighter[:, 0], STEEPEST * one[:2]), out=two[:2])
    straight = 3.0 * two[:2] - 2.0 * one[:2]
    np.maximum(four[:2], np.minimum(lighter[:, 1], straight), out=four[:2])
    part = np.minimum(1.0, left[:, 1] / share[:2, 2])
    low, high = two - one, four - two
    slope[:2] = part * slope[:2] + (1.0 - part) * high[:2]
    return Tail(one, two, four, low, high, slope)
