"""Evidence of events: the expectation-based scan statistic over slices and window lengths.

Neill (2009), Kulldorff (1997).

For each window of up to 48 hours (intervals, if longer), C is the sum of residuals and B the sum of
expectations. The log-likelihood ratio of SUM and COUNT is D = ((B + C) ln(1 + C / B) - C) / phi, of
the others C^2 / (2 var). Leaves have heavier tails than that, and sums of many less so: D is
replaced by n ln(1 + D / n), as for Student's t, with n in proportion to the effective number of
leaves of a slice, and at most the number of terms in the sum (B / phi, or rows). What small counts
lack has no such tail; but if they are more regular than independent units, n is the units that
lack. A repeated value that is not zero gives D = -ln p, summed over the repeats and the leaves of a
slice; p is the usual share of repeats of the series or, if larger, the Poisson probability of that
value, or that of the likeliest step of as many decimals: small counts and a few cents repeat by
chance. A missing value of a mean, minimum or maximum whose values always come gives D = -ln p, with
p the usual share of missing values of the slice, or the sum of it over the leaves that it has lost;
the event is then that there is no data.

Where the squares behind a mean are known, n is at most the number of rows that make the change,
C^2 / the sum of the squares of the rows' differences from the expectation: the only click of an
hour is one row, however far it is away. What few rows make is learned whole, without a clip. (Of
sums, `tickets` cuts what a single row brings.)

The dispersion phi of a slice and window is the decayed mean of C^2 / B, clipped at three
deviations, shrunk towards that of slices of its size, and no smaller than that, nor than that of
shorter windows, nor than what the forecast has at present: the weekdays of a new level are not
known yet. It is forgotten by the clock, not by values. A window that expects little has a tenth of
the usual variance at least, and tells no dispersion: the forecast of a quiet weekend errs as the
working days do that it is made of.

**Evidence** R = max over w of D / ln 10 - log10(slices in the level), the correction for multiple
slices. Where it is some but not enough, that of the newest day (`day`) may be more.
**Threshold** T = log10(intervals a week x measures x levels / false events a week). **Severity of
an event** = 100 x / (x + T) with x = R x min(1, |C / B| / s), s the relative change that counts as
full; for means, minima and maxima x is at most 3 L, L the surprise of the series itself. So 50 is
the threshold, for events as for points. Of a share near one, the change is relative to what is left
of it, and so is the least deviation of a window.

**Earlier runs**: what is no sum or count has no law of its own for how large evidence becomes by
chance, but a record: the largest runs of evidence (consecutive intervals with max D / ln 10 of at
least 1) that the series has shown without an event, the first weeks among them. x is 0 where the
evidence is below 1.25 times the third largest of them; so a series that leaps every day does not
open an event every day. Runs are forgotten as months pass.

**Weak events**: how heavy the tail of the evidence is, depends on the data. An event that ends with
a severity below 66.7 is weak (2 T); real faults are spread over a hundred thresholds, so that few
of them are. Where a measure has had more weak events than were asked for, T is multiplied by
1 + h ln((1 + weak) / (1 + asked)), at least 1 and at most 1.6. With h the mean excess of weak
events, in T, this is the threshold that as many exceed as were asked, if the tail is exponential.
Events under a raised threshold count for those that it kept from opening.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.detection import day
from anomaly_detector.detection.arrays import Array, Mask, Part, Places, kept, places_of
from anomaly_detector.detection.forecast import Expectation
from anomaly_detector.detection.habits import FADES, Habits, Observed
from anomaly_detector.detection.rules import FULL_SIZE, SMALL, TINY, Rules
from anomaly_detector.lattice import Lattice

CAP = 3.0
TEMPER = 1.25  # the error of the estimated dispersion makes tails heavier
TAIL_TERMS = 5.0  # n of one leaf in one hour, about Student's t with 9 degrees
FEWEST = 3.0  # B / phi below which a slice is evaluated in its roll-up only
LEAST_SHARE = 0.01  # least standard deviation of a window, as a share of its usual sum
LEAST_TIDE = 0.01  # share of its usual sum that a window has at least for its variance
EBB = 0.1  # share of the usual variance of a window that the least expectation has
RATE_DISPERSION = 0.003  # an hour, or a longer interval
LEAST_OPEN = 0.25  # share of intervals with a value from which dispersion follows the clock
YOUNG_HOURS = 336  # values, in hours, up to which dispersion is forgotten as fast as that of PT1H
CLIP_DISPERSION = 9.0
REGULAR_FROM = 5.0  # units in a window from which it may be known how regularly they come
SHRINK = 30.0  # weight of the usual dispersion for the size, in windows
USUAL_FROM = 50  # learned windows before a slice contributes to the usual dispersion
READY_FROM = 28  # learned windows before a slice may open an event
FEWEST_TELL = 3  # least number of slices to fit a line
UNCLIPPED_WINDOWS = 20  # learned windows before new ones are clipped
CLIP_LEAF = 8.0
A_FEW = 3.0  # rows of a change that is learned without a clip
FEWEST_ROWS = 0.01  # share of the usual rows from which a mean of few counts in full proportion
RATE_SAME, SAME_PRIOR = 0.002, 50.0
FEWEST_SAME = 3
DENSEST = 0.4  # chance of the likeliest value, where the deviation is one step
CENTS, DECIMALS = 2, 6  # fewest and most decimals of values that are no whole numbers
ROUNDED = 1e-9  # relative error of a sum of decimals
LEAST_CHANCE = 0.003  # of a repeat, or of a missing value
RARELY = 3.0  # mean nats of repeats, or of missing values, below which they are ignored
GONE_FROM = 5.0  # rows that lack, from which a slice has gone, and has not just fewer
FEW_DUE = 0.5  # share of the usual rows below which a time has hardly any
FEWEST_A_DAY = 0.1  # share of its usual rows that a slice may have on its own quietest weekday
MISSING_TELLS = -0.999 * math.log(LEAST_CHANCE)  # nats from which missing rows of sums are zero
FEWEST_BURST = 5.0  # occurrences in a burst of something rare
NOT_STUCK = 5.0  # nats against a slice for each of its leaves that is not stuck
USUAL_AFTER = 0.5  # usual share of repeats of a series that was stuck for long
BEYOND_DOUBT = 5.0  # thresholds of evidence of a silence that is told during a warm-up, too
SEEN_MAX = 1e6
RUNS = 3  # largest earlier runs of evidence that are kept: one or two may have been faults
LEAST_RUN = 1.0  # evidence from which it is a run, in powers of ten
CAUTION = 2.0  # the weight of evidence beyond that, in what a forecast follows less by
SEVERAL_HOURS = 6  # window from which it counts there, or as many intervals
BEYOND_RUNS = 1.25  # times the smallest of the runs that evidence must exceed to count
RATE_RUNS = 0.0003  # at which runs are forgotten
WEAK_BELOW = 200.0 / 3.0  # severity, twice the threshold: chance brings hardly any that is stronger
EXCESS = 0.4  # mean of what weak events exceed the threshold by, as a share of it
MOST_RAISED = 1.6  # largest factor of the threshold, where weak events come too often
WEEKS_COUNTED = 26.0  # in which weak events are forgotten
_HALF_LOG_TAU = 0.5 * math.log(2.0 * math.pi)


@dataclass(frozen=True)
class Evidence:
    """Evidence of an event in each series; arrays (M, K), or (V, M, K) per window.

    Attributes
    ----------
    evidence : R, -inf if the series may not open an event.
    weight : x, the evidence weighted by the size of the change; capped where it is T or more.
    side : 1 above, -1 below.
    window : index of the best window; change, base : sums over it.
    now_change, now_base : residual and expectation of this interval.
    price : log10(slices in the level), subtracted in R.
    alone : R of this interval alone, without the correction. of_hour : of the newest hour.
    strength : the same of the best window.
    repeats : nats for stuck leaves of the slice; stuck : whether they are the evidence.
    silent : series of which a row or value is missing that usually comes.
    missing : nats for missing values of the series; no_data : whether they are the evidence.
    threshold : (M,) T.
    changes, bases, dispersions : C, B and phi of each window.
    size : change of an interval of base 1 for a relative change of one.
    fresh : C^2 / B to be learned, for windows that are `whole`. rate : (M, K) least rate of that.
    """

    evidence: Array
    weight: Array
    side: Array
    window: NDArray[np.int8]
    change: Array
    base: Array
    now_change: Array
    now_base: Array
    price: Array
    alone: Array
    of_hour: Array
    strength: Array
    repeats: Array
    stuck: Mask
    silent: Mask
    missing: Array
    no_data: Mask
    threshold: Array
    changes: Array
    bases: Array
    dispersions: Array
    size: Array
    fresh: Array
    rate: Array
    whole: Mask

    def take_in(self, weight: Array, severe: Mask) -> None:
        """Let severe values be evidence by themselves, where their windows say less; in place.

        Parameters
        ----------
        weight : (M, K) x of the values. severe : (M, K) which of them are.
        """
        at = places_of(severe & (weight > np.minimum(self.evidence, self.weight)))
        change, x = self.changes[0][at], weight[at]
        self.evidence[at] = np.maximum(self.evidence[at], x)
        self.weight[at] = x
        self.window[at] = 0
        self.change[at], self.base[at] = change, self.bases[0][at] * self.size[at]
        self.side[at] = np.where(change >= 0, 1.0, -1.0)
        self.stuck[at] = self.no_data[at] = False

    def caution(self, rules: Rules) -> Array:
        """(M, K) share of its usual rate at which a forecast follows its errors: the less, the more
        evidence several hours give for what is no event yet. It would become its own forecast
        before it is told. Leaves, which fade and grow, are followed as ever, and so are intervals
        below 15 minutes.
        """
        if not rules.long:
            return np.ones_like(self.strength)
        known = self.threshold[:, None] + self.price
        leaves = self.price.max(axis=1, keepdims=True, initial=0.0)
        may = (self.strength < known) & (self.price < leaves)
        may &= self.window >= rules.windows.index(SEVERAL_HOURS * rules.an_hour)
        return np.asarray(1.0 / (1.0 + CAUTION * np.maximum(self.strength - LEAST_RUN, 0.0) * may))

    def likely(
        self,
        m: int,
        window: int,
        lattice: Lattice,
        most: float = CLIP_LEAF,
        tells: Mask | None = None,
    ) -> Array:
        """(K,) log-likelihood ratio that exactly the leaves of a slice changed, in proportion.

        With u = C b / var and v = b^2 / var of each leaf, where b is its change for a relative
        change of one, it is (sum u)^2 / (2 sum v): the factor is fitted by weighted least squares.
        As leaves have independent noise, this separates slices that share leaves of the fault
        better than their sums do.

        Parameters
        ----------
        most : usual deviations at which the change of a leaf is clipped.
        tells : (L,) leaves that count, None for all.
        """
        leaves = lattice.leaves
        b = self.bases[window, m, leaves]
        if tells is not None:
            b = b * tells
        variance = self.dispersions[window, m, leaves] * np.maximum(b, SMALL)
        reach = most * np.sqrt(variance)
        c = np.minimum(np.maximum(self.changes[window, m, leaves], -reach), reach)
        b = b * self.size[m, leaves]
        total = lattice.summed(c * b / variance)
        weight = lattice.summed(np.square(b) / variance)
        held = weight > 0
        found = np.zeros(len(total))
        found[held] = np.square(total[held]) / (2 * weight[held])
        return found


@dataclass
class Scan(Part):
    """The latest residuals of each series, and the usual dispersion of its windows."""

    # Sums of residuals an hour, indexed by the hour modulo their number, each with its base
    # (expectation, or 1 for a mean), and the squares of a mean. Seven digits are enough.
    ring: NDArray[np.float32] = kept("blocks", "window_sums", dtype=np.float32)
    # The same of the latest intervals, indexed by the clock, where an hour has several.
    recent: NDArray[np.float32] = kept("recent", "window_sums", dtype=np.float32)
    ring_fill: Array = kept()  # intervals in it since it was last reset
    dispersion: Array = kept("window_count")  # decayed mean of change^2 / base per window
    dispersion_seen: Array = kept()
    same: Array = kept()  # consecutive intervals with an unchanged value
    same_nats: Array = kept()  # sum of -ln of their chances
    same_share: Array = kept(initial=0.02)  # decayed share of unchanged values after nonzero ones
    last: Array = kept()  # latest value
    # Consecutive intervals with a missing value where one usually comes; below nought, those that
    # have to come until one is missed again.
    gone: Array = kept()
    run: Array = kept()  # largest evidence of the present run of it, 0 if there is none
    runs: Array = kept(RUNS)  # that of the largest earlier runs, ascending
    weak: Array = kept()  # decayed number of weak events, as if the threshold had not been raised
    watched: Array = kept()  # decayed number of intervals in which one might have opened

    def judge(
        self,
        rules: Rules,
        habits: Habits,
        observed: Observed,
        expectation: Expectation,
        surprise: Callable[[Places], Array],
        value: Array,
        squares: Array | None,
        long_level: Array,
        shares: Mask,
        lattice: Lattice,
        clock: int,
        due: Array | float = 1.0,
    ) -> Evidence:
        """Add one interval to the windows and evaluate them; `learn` learns their dispersion.

        Parameters
        ----------
        surprise : L of some series, 0 if they are not scored.
        value : the expectation if missing.
        squares : sums of the squares of the rows' values, NaN if unknown; None if all are.
        long_level : mean of the values; unlike a short one, it hardly follows a fault.
        shares : (M, K) series whose values are shares.
        clock : number of the interval, by which rings are indexed.
        due : (M, 1) share of the usual rows that come at this time of the week, 1 where unknown.
        """
        born = observed.born
        gone = self._follow_missing(habits, observed)
        told = observed.live | (observed.absent & (gone >= MISSING_TELLS))
        counted = rules.additive & (habits.signed == 0)
        change, base, now_base = _newest(
            rules, habits, observed, expectation, value, counted, told, squares
        )
        around = _squares(rules, habits, observed, expectation, squares)
        self._add(rules, change, base, around, clock)
        np.minimum(self.ring_fill + born, rules.windows[-1], out=self.ring_fill)
        self._follow_repeats(rules, habits, observed, expectation, value, told)
        sums = self._sums(rules, clock)
        changes, bases = sums[:, 0], sums[:, 1]
        lengths = rules.lengths

        level = np.abs(long_level)
        usual = self._usual(rules, habits, observed.unit)
        full = np.where(counted, 1.0, level)
        # Of a share near one, what is left of it counts: 98 of 100 is half of what 99 leave.
        left = np.where(shares, (1.0 / np.maximum(level, 0.5) - 1.0).clip(0.0, 1.0), 1.0)
        safe = np.maximum(bases, SMALL)
        whole = (self.ring_fill >= lengths) & (bases > 0)
        rate = _rate(rules, habits)
        own = np.minimum(self.dispersion_seen, 1.0 / rate) / lengths
        calm = own * self.dispersion
        calm += SHRINK * usual
        calm /= own + SHRINK
        np.maximum(calm, usual, out=calm)
        # Correlated counts deviate in proportion to their size, independent ones by its root; the
        # season uses the geometric mean of both. What a weekend on which hardly anything comes
        # expects is as uncertain as the working days that its forecast is made of.
        sums_of_level = level * lengths
        part = (bases / np.maximum(sums_of_level, SMALL)).clip(LEAST_TIDE, 25.0)
        # So that the least expectation has the geometric mean, and nothing is added.
        ebb = EBB if rules.long else LEAST_TIDE**1.5
        tide = np.where(counted, _tide(part, ebb), 1.0)
        raw = np.square(changes) / safe
        fresh = raw / tide
        settled = (self.dispersion_seen >= UNCLIPPED_WINDOWS) & (calm > 0)
        rows = _rows(sums)
        if rows is not None:
            settled &= rows >= A_FEW
        np.minimum(fresh, CLIP_DISPERSION * calm, out=fresh, where=settled)
        # An adapting forecast makes long sums calmer than chance does; a frozen one does not.
        _accumulate(np.maximum, calm)
        # Small counts vary by whole units.
        small = habits.small(observed.unit, level)
        units = self._least(rules, small, level)
        phi = _phi(calm * tide, units)
        there = full * bases
        least = LEAST_SHARE * left * np.maximum(there, sums_of_level)
        np.maximum(phi, np.square(least) / safe, out=phi)
        doubt = _unsure(expectation)
        np.maximum(phi, doubt * lengths / safe, out=phi)
        if expectation.newest is not None:
            _of_their_time(rules, expectation.newest, safe, phi)
        ratio = changes / safe
        ratio += 1.0
        ratio.clip(0.0, 1e9, out=ratio)
        likely = ratio * np.log(np.maximum(ratio, SMALL))
        likely -= ratio - 1.0
        d = np.where(counted, likely * bases, 0.5 * raw)
        d /= phi
        terms = bases / phi
        # A burst of something rare counts by its occurrences, of several rows.
        rare = counted & (observed.count >= FEWEST_BURST) & (bases[0] < FEWEST * phi[0])
        rare &= changes[0] >= FEWEST_BURST * phi[0]
        enough = ~counted | (terms >= FEWEST)
        burst = rare & ~enough if rare.any() else None
        if burst is not None:
            enough |= burst
            np.copyto(terms, (changes + bases) / phi, where=burst)
        terms = np.where(counted, terms, np.maximum(habits.rows, 1.0) * lengths)
        most = TAIL_TERMS * _parts(level, lattice) * np.sqrt(lengths * rules.pace)
        if burst is not None:
            most = np.where(burst, np.inf, most)
        terms = terms.clip(1.0, most)
        if rows is not None:
            np.minimum(terms, np.maximum(rows, 1.0), out=terms)
        heavy = terms * np.log1p(np.maximum(d, 0.0) / terms)
        # Low counts have no heavy tail. Multiplying by irregular masks is faster than selecting.
        light = counted & (changes < 0)
        d *= light
        d += heavy * ~light
        _weigh_units(d, changes, phi, small * light)
        counts = whole & enough
        if rules.one_sided:
            counts &= np.where(changes > 0, rules.up, rules.down)
        if rules.minima:
            size = np.abs(changes)
            counts &= size >= rules.min_absolute * lengths
            counts &= size >= rules.min_relative * there
        d *= counts
        alone = d[0] / math.log(10)
        of_hour = d[: rules.within_hour + 1].max(axis=0) / math.log(10)
        best, window = _first_largest(d)
        pick = (window, np.arange(len(rules.additive))[:, None], np.arange(window.shape[1]))
        best_change, best_base = changes[pick], there[pick]
        side = np.sign(best_change)

        repeats = self._repeats(rules, observed, value, lattice)
        missing = _missing(rules, habits, observed, due, self.gone, lattice)
        stuck = repeats > best
        no_data = missing > np.maximum(best, repeats)
        stuck &= ~no_data
        side[no_data] = -1.0
        other = stuck | no_data
        known = self.dispersion_seen >= min(READY_FROM, rules.few_windows)
        ready = known & (habits.seen >= rules.open_after)
        threshold, price = _looks(rules, ready, lattice)
        self.watched += ready
        if lattice.count > 1:
            # The only series of a measure is judged by its own record, which knows its tail.
            threshold *= self._raised(rules)
        # Where no window tells enough, the hours of the newest day may together.
        strength = best / math.log(10)
        weak = (strength >= LEAST_RUN) & (strength < threshold[:, None] + price) & ~other
        weak &= lattice.count > 1
        hour = rules.within_hour
        size = np.where(counted, np.maximum(sums_of_level[hour], SMALL), lengths[hour])
        floor = np.maximum(units[hour], doubt * lengths[hour] / size)
        np.maximum(floor, np.square(LEAST_SHARE * left * full) * size, out=floor)
        half = bisect_right(rules.windows, rules.half_day) - 1
        unlike = self._unlike(
            rules,
            weak,
            counted,
            size,
            calm[hour],
            calm[half] / np.maximum(calm[hour], SMALL),
            floor,
            ebb,
            clock,
        )
        nats = np.maximum(np.maximum(np.maximum(best, unlike), repeats), missing)
        evidence = nats / math.log(10) - price
        # What has just moved may move back, but does not fall silent.
        silent = observed.absent | observed.gone
        sure = silent & known & (habits.seen >= rules.open_after // 2)
        ready |= sure & (evidence >= BEYOND_DOUBT * threshold[:, None])
        relative = np.abs(best_change) / np.maximum(best_base * left, SMALL)
        weight = evidence * np.where(other, 1.0, np.minimum(1.0, relative / FULL_SIZE))
        # What is too little to open an event needs no cap, and silence has no surprise of its own.
        may = ~rules.additive & ~other & ~observed.absent
        capped = places_of(may & (weight >= threshold[:, None]))
        if len(capped[0]):
            weight[capped] = np.minimum(weight[capped], CAP * surprise(capped))
            beyond = evidence[capped] + price[capped] >= BEYOND_RUNS * self.runs[0][capped]
            weight[capped] *= beyond
        return Evidence(
            evidence=np.where(ready & (other | (side != 0)), evidence, -np.inf),
            weight=weight,
            side=np.where(side != 0, side, 1.0),
            window=window,
            change=best_change,
            base=best_base,
            now_change=change,
            now_base=now_base,
            price=price,
            alone=alone,
            of_hour=of_hour,
            strength=strength,
            repeats=repeats,
            stuck=stuck,
            silent=silent,
            missing=missing,
            no_data=no_data,
            threshold=threshold,
            changes=changes,
            bases=bases,
            dispersions=phi,
            size=full,
            fresh=fresh,
            rate=rate,
            # From this share of its usual sum, a window has more than the least variance. Hours at
            # which hardly anything is expected do not tell how the others vary.
            whole=whole & (~counted | (bases > ebb ** (2 / 3) * sums_of_level)),
        )

    def learn(
        self, rules: Rules, habits: Habits, found: Evidence, value: Array, live: Mask, frozen: Mask
    ) -> None:
        """Learn the dispersion, except of `frozen` series; call this before `habits` learn.

        Parameters
        ----------
        live : series whose latest value is stored.
        """
        on = ~frozen & (habits.seen > rules.open_after // 2)
        # Before day and week are known, residuals are larger: they are forgotten faster.
        young = habits.seen < YOUNG_HOURS * rules.an_hour
        most = 1.0 / RATE_DISPERSION
        np.minimum(self.dispersion_seen, most, out=self.dispersion_seen, where=young)
        rate = np.maximum(1.0 / (self.dispersion_seen + 1.0), found.rate)
        step = found.fresh - self.dispersion
        step *= rate
        step *= on & found.whole
        self.dispersion += step
        np.minimum(self.dispersion_seen + (on & found.whole[0]), SEEN_MAX, out=self.dispersion_seen)
        np.copyto(self.last, value, where=live)
        for number in (self.weak, self.watched):
            number *= 1.0 - 1.0 / (WEEKS_COUNTED * rules.intervals_a_week)
        if not rules.additive.all():
            self._learn_runs(rules, found.strength, frozen)

    def _learn_runs(self, rules: Rules, strength: Array, frozen: Mask) -> None:
        """Learn the largest runs of evidence; an event's is none."""
        # Windows that are emptied as an event ends held its own evidence.
        on = ~rules.additive & ~frozen & (self.ring_fill > 0)
        on &= self.dispersion_seen >= min(READY_FROM, rules.few_windows)
        self.runs *= 1.0 - RATE_RUNS * rules.pace
        goes_on = on & (strength >= LEAST_RUN)
        over = places_of(on & ~goes_on & (self.run > 0))
        if len(over[0]):
            all_runs = np.concatenate([self.run[over][None], self.runs[:, over[0], over[1]]])
            all_runs.sort(axis=0)
            self.runs[:, over[0], over[1]] = all_runs[1:]
        np.maximum(self.run, strength, out=self.run)
        self.run *= goes_on

    def _raised(self, rules: Rules) -> Array:
        """(M,) factor of the threshold, by which weak events come no more often than was asked."""
        asked = rules.budget / rules.measures_in_all * self.watched.max(axis=1, initial=0.0)
        often = np.log((1.0 + self.weak.sum(axis=1)) / (1.0 + asked))
        return np.asarray((1.0 + EXCESS * often).clip(1.0, MOST_RAISED))

    def count(self, rules: Rules, m: int, k: int, severity: float) -> None:
        """Count an event of series (m, k) that is over, if it was weak.

        Parameters
        ----------
        severity : the highest that it had, 0 to 100.
        """
        if severity < WEAK_BELOW:
            # Of as many, a raised threshold lets fewer pass.
            self.weak[m, k] += math.exp((float(self._raised(rules)[m]) - 1.0) / EXCESS)

    def empty(self, m: int, slices: Mask) -> None:
        """Reset the windows of some slices (K,) of a measure."""
        for ring in (self.ring, self.recent):
            ring[:, :, m, slices] = 0.0
        for count in (self.ring_fill, self.same, self.same_nats):
            count[m, slices] = 0.0
        self.gone[m, slices] = np.minimum(self.gone[m, slices], 0.0)

    def accept_missing(self, rules: Rules, m: int, slices: Mask) -> None:
        """Accept that values of some slices (K,) of a measure are missing, until they have come for
        a day: how often one is missing otherwise has not changed.
        """
        self.gone[m, slices] = -float(rules.shift_after)

    def accept_repeats(self, m: int, slices: Mask) -> None:
        """Accept repeated values of some slices (K,) of a measure as usual."""
        self.same_share[m, slices] = np.maximum(self.same_share[m, slices], USUAL_AFTER)

    def _unlike(
        self,
        rules: Rules,
        weak: Mask,
        counted: Mask,
        usual: Array,
        calm: Array,
        alike: Array,
        floor: Array,
        ebb: float,
        clock: int,
    ) -> Array:
        """(M, K) nats that the newest day is unlike the days before, of some series.

        Parameters
        ----------
        weak : which. usual : what an hour usually expects. calm, floor : its dispersion, and the
            least there is at present. alike : times that of half a day has of it, where hours are
            alike. ebb : see `_tide`.
        """
        found = np.zeros(weak.shape)
        # The day after an event holds what it has left.
        at = places_of(weak & (self.ring_fill >= rules.windows[-1]))
        # Below an hour, jobs vary by more within it than their day tells.
        if round(2 * rules.half_day) != day.HOURS or not len(at[0]):
            return found
        hours = np.arange(clock + 1 - day.HOURS, clock + 1) % len(self.ring)
        held = self.ring[hours[:, None], :, at[0], at[1]].astype(np.float64)
        changes, bases = held[..., 0], held[..., 1]
        calm, alike, floor, sums = calm[at], np.maximum(alike[at], 1.0), floor[at], counted[at]
        dispersion = np.maximum(TEMPER * calm * alike, floor)
        flat = day.season(changes, bases, dispersion)
        part = (bases / usual[at]).clip(LEAST_TIDE, 25.0)
        variance = np.maximum(calm, floor) * bases * np.where(sums, _tide(part, ebb), 1.0)
        nats = np.maximum(flat, day.varies(changes, bases, variance) / (TEMPER * alike))
        enough = bases.sum(axis=0) >= day.FEWEST_UNITS * dispersion
        found[at] = nats * (enough | ~sums)
        return found

    def _least(self, rules: Rules, small: Array, level: Array) -> Array:
        """(V, M, K) least dispersion of small counts: that of independent units, unless they are
        known to be more regular, such as those of devices that report at fixed times.
        """
        memory = 1.0 / (RATE_DISPERSION * rules.pace)
        known = np.minimum(self.dispersion_seen, memory) / rules.lengths
        known *= (level * rules.lengths / (REGULAR_FROM * np.maximum(small, SMALL)) - 1).clip(0, 1)
        return np.asarray(small * (SHRINK / (SHRINK + known)))

    def expects_little(self, rules: Rules, habits: Habits, unit: Array) -> Mask:
        """(V, M, K) windows whose usual expectation is too small for evaluation."""
        calmest = np.maximum.accumulate(self.dispersion, axis=0)
        counted = rules.additive & (habits.signed == 0) & habits.born
        phi = _phi(calmest, habits.small(unit, habits.level))
        return np.asarray(counted & (np.abs(habits.level) * rules.lengths < FEWEST * phi))

    def _add(
        self, rules: Rules, change: Array, base: Array, squares: Array | float, clock: int
    ) -> None:
        """Add an interval to the windows."""
        hour, place = divmod(clock, rules.an_hour)
        block = self.ring[hour % len(self.ring)]
        newest = self.recent[place] if len(self.recent) else block
        newest[0], newest[1] = change, base
        if len(newest) > 2:
            newest[2] = squares
        if newest is block:
            return
        if not place:
            block[:] = 0.0
        block += newest

    def _sums(self, rules: Rules, clock: int) -> Array:
        """(V, 2 or 3, M, K) residuals, bases and squares, summed over the intervals of a window.

        A window of several hours takes of the oldest hour the share that it reaches into.
        """
        hour, place = divmod(clock, rules.an_hour)
        sums = np.empty((len(rules.windows), *self.ring.shape[1:]))
        short = rules.within_hour + 1 if len(self.recent) else 0
        long = [0, *(window // rules.an_hour for window in rules.windows[short:])]
        # First the intervals that no shorter window has.
        for ring, newest, totals, ends in (
            (self.recent, place, sums[:short], [0, *rules.windows[:short]]),
            (self.ring, hour, sums[short:], long),
        ):
            for total, (begin, end) in zip(totals, pairwise(ends), strict=True):
                _add_up(ring, newest - end, newest - begin, total)
            _accumulate(np.add, totals)
        left = rules.an_hour - 1 - place
        if left:
            for total, end in zip(sums[short:], long[1:], strict=True):
                total += self.ring[(hour - end) % len(self.ring)] * (left * rules.pace)
        return sums

    def _usual(self, rules: Rules, habits: Habits, unit: Array) -> Array:
        """(V, M, K) the usual dispersion of slices of the same size: a line through the logarithms.

        Only eligible slices are summed, so that slices which are not born change no digit.
        """
        size = np.where(rules.additive, np.abs(habits.level), habits.rows)
        tells = (
            habits.born & (self.dispersion_seen >= min(USUAL_FROM, rules.few_windows)) & (size > 0)
        )
        tells &= (self.dispersion > 0).all(axis=0)
        x = np.log(np.maximum(size, SMALL))
        # Of what hardly comes in a window, the clipped mean tells less than whole units vary.
        level = np.abs(habits.level)
        least = self._least(rules, habits.small(unit, level), level)
        usual = np.maximum(self.dispersion, np.maximum(least, SMALL))
        # What has faded away has no size, by which it would outweigh all others.
        counted = rules.additive & (habits.signed == 0)
        tells &= ~counted | (level * rules.lengths[-1] >= FEWEST * usual[-1])
        usual = np.log(usual)
        for m, additive in enumerate(rules.additive[:, 0]):
            told = tells[m].nonzero()[0]
            count = len(told)
            if count < FEWEST_TELL:
                usual[:, m] = self.dispersion[:, m]
                continue
            y, away = usual[:, m, told], x[m, told]
            middle = away.sum() / count
            away -= middle
            spread = np.square(away).sum()
            slope = y @ away / spread if spread > 1e-12 else np.zeros(len(rules.windows))
            slope = np.minimum(
                np.maximum(slope, 0.0 if additive else -1.0), 1.0 if additive else 0.0
            )
            line = slope[:, None] * (x[m] - middle).clip(-100, 100)
            line += y.sum(axis=1, keepdims=True) / count
            np.exp(line.clip(-600, 600), out=usual[:, m])
        return usual

    def _repeats(self, rules: Rules, observed: Observed, value: Array, lattice: Lattice) -> Array:
        """(M, K) nats for stuck leaves of a slice, against values that are equal by chance."""
        found = np.zeros(self.same.shape)
        leaves = lattice.leaves
        run = self.same.take(leaves, axis=1)
        wanted = run >= FEWEST_SAME
        if rules.minima:
            free = rules.min_absolute + rules.min_relative == 0
            wanted &= np.broadcast_to(free, self.same.shape)[:, leaves]
        for m in np.nonzero(wanted.any(axis=1))[0].tolist():
            nats = self.same_nats[m, leaves]
            gain = np.where(run[m] >= FEWEST_SAME, nats, -NOT_STUCK)
            telling = self.same_share[m, leaves] <= math.exp(-RARELY)
            telling &= nats >= RARELY * run[m]
            # However often a value repeats, one that has just changed is not stuck.
            telling |= run[m] == 0
            telling &= observed.live[m, leaves] & (value[m, leaves] != 0)
            found[m] = np.maximum(0.0, lattice.summed(np.where(telling, gain, 0.0)))
        return found

    def _follow_missing(self, habits: Habits, observed: Observed) -> Array:
        """(M, K) nats that speak for a fault where rows or values are missing."""
        lacks = observed.absent | observed.gone
        accepted = self.gone < 0
        self.gone *= ~observed.present | accepted
        self.gone += np.where(accepted, observed.present, lacks)
        if not lacks.any():
            return np.zeros(self.gone.shape)
        nats = np.log(np.maximum(1.0 - habits.presence, LEAST_CHANCE))
        return np.asarray(-nats * self.gone)

    def _follow_repeats(
        self,
        rules: Rules,
        habits: Habits,
        observed: Observed,
        expectation: Expectation,
        value: Array,
        told: Mask,
    ) -> None:
        expected, scale = expectation.expected, expectation.calm_scale
        live = observed.live & observed.born
        # A share of few rows is one by chance, of ten payments none fails; that says nothing of how
        # often another value repeats.
        perfect = ~rules.additive & (value == 1) & (expected > 0) & (expected < 1)
        same = live & (value == self.last) & (value != 0)
        # What fell silent has not repeated.
        stays = same | ~(live | told)
        self.same *= stays
        self.same_nats *= stays
        self.same += same
        at = np.nonzero(same)
        if len(at[0]):
            chance = np.maximum(self.same_share[at], LEAST_CHANCE)
            counts = rules.additive & (habits.fractional == 0) & (habits.signed == 0)
            whole = counts[at] & (value[at] >= 1)
            by_chance = _poisson(value[at][whole], expected[at][whole])
            chance[whole] = np.maximum(chance[whole], by_chance)
            ones = perfect[at]
            of_rows = expected[at][ones] ** np.maximum(observed.count[at][ones], 1.0)
            chance[ones] = np.maximum(chance[ones], of_rows)
            step = np.where(habits.fractional[at] > 0, _step(value[at]), 1.0)
            chance = np.maximum(chance, DENSEST * step / np.maximum(scale[at], TINY))
            self.same_nats[at] -= np.log(np.minimum(chance, 1.0))
        # A stuck value is learned once; a series that has always been constant is no fault.
        telling = (
            live & (self.last != 0) & ~perfect & ((self.same <= 2) | (habits.seen < rules.warm_up))
        )
        rate = np.maximum(1.0 / (habits.seen + SAME_PRIOR), RATE_SAME * rules.pace)
        rate *= telling
        rate *= same - self.same_share
        self.same_share += rate


def _rate(rules: Rules, habits: Habits) -> Array:
    """(M, K) least rate at which a value's window is learned: what is closed by night and on
    weekends would otherwise remember for months how little was known of its first weeks.
    """
    open_for = habits.seen / np.maximum(habits.age, 1.0)
    return np.asarray(RATE_DISPERSION * rules.pace / open_for.clip(LEAST_OPEN, 1.0))


def _newest(
    rules: Rules,
    habits: Habits,
    observed: Observed,
    expectation: Expectation,
    value: Array,
    counted: Mask,
    told: Mask,
    squares: Array | None,
) -> tuple[Array, Array, Array]:
    """Residual, base and expectation of this interval, where `told`; absent rows are zero."""
    taken = observed.born & told
    expected = expectation.expected
    change = value * ~observed.absent
    change -= expected
    change *= taken
    now_base = np.abs(expected) * taken
    for m in rules.averages:
        # A mean of few rows is less certain than one of many.
        share = observed.count[m] / np.maximum(habits.rows[m], 1.0)
        share = np.minimum(np.maximum(share, FEWEST_ROWS), 10.0)
        if squares is not None:
            share = _more_certain(share, observed, expectation, squares, m)
        share = np.sqrt(share)
        for sums in (change, now_base):
            np.multiply(sums[m], share, out=sums[m], where=observed.count[m] > 0)
    if expectation.unsure is not None:
        change /= expectation.unsure
    base = np.where(counted, expected, 1.0)
    base *= taken
    return change, base, now_base


def _more_certain(
    share: Array, observed: Observed, expectation: Expectation, squares: Array, m: int
) -> Array:
    """(K,) by how much more certain means of a measure are than those of the usual rows: more rows
    lessen only what the rows vary by, and not what all of them have in common.

    Parameters
    ----------
    share : (K,) rows relative to the usual ones.
    """
    count = np.maximum(observed.count[m], 1.0)
    own = np.maximum(squares[m] / count - np.square(observed.actual[m]), 0.0) / count
    part = np.minimum(own / np.maximum(np.square(expectation.calm_scale[m]), TINY), 1.0)
    known = (share > 1) & np.isfinite(part)
    return np.where(known, 1.0 + part * (share - 1.0), share)


def _squares(
    rules: Rules,
    habits: Habits,
    observed: Observed,
    expectation: Expectation,
    squares: Array | None,
) -> Array | float:
    """(M, K) sums of squares around the expectation of means, in units of C^2, 0 if unknown."""
    if squares is None:
        return 0.0
    found = np.zeros(squares.shape)
    known = observed.born & observed.live & np.isfinite(squares)
    for m in rules.averages:
        count, expected = np.maximum(observed.count[m], 1.0), expectation.expected[m]
        around = expected * (expected - 2.0 * observed.actual[m]) + squares[m] / count
        around = np.maximum(around, 0.0) / np.maximum(habits.rows[m], 1.0)
        np.copyto(found[m], around, where=known[m])
    return found


def _unsure(expectation: Expectation) -> Array:
    """(M, K) variance that an interval's forecast has at present, where more than its floor."""
    least = expectation.floor
    if expectation.unsure is not None:
        least = least * expectation.unsure
    return np.square(expectation.scale / expectation.few) * (expectation.scale > least)


def _tide(part: Array, ebb: float) -> Array:
    """Usual variance for each unit that is expected, relative to that of the average interval.

    Parameters
    ----------
    part : what is expected, relative to the average. ebb : variance of the least expectation.
    """
    return np.maximum(np.sqrt(part), ebb / part)


def _of_their_time(rules: Rules, newest: Array, bases: Array, phi: Array) -> None:
    """Let windows have at least the variance that the intervals of the newest hour have at their
    times of the day, in place: those of a job vary more than a dispersion of all times says.

    Parameters
    ----------
    newest : (h, M, K) variances of the intervals. bases, phi : (V, M, K).
    """
    for at, window in enumerate(rules.windows):
        if window > 1:
            # Longer ones hold the hour.
            variance = newest[-window:].sum(axis=0)
            np.maximum(phi[at], variance / bases[at], out=phi[at])


def _rows(sums: Array) -> Array | None:
    """(V, M, K) rows that make the change of a mean, infinite if unknown; None if all are."""
    # The longest window holds the others.
    if sums.shape[1] < 3 or not sums[-1, 2].any():
        return None
    changes, squares = sums[:, 0], sums[:, 2]
    rows = np.full_like(changes, np.inf)
    np.divide(np.square(changes), squares, out=rows, where=squares > 0)
    return rows


def _missing(
    rules: Rules,
    habits: Habits,
    observed: Observed,
    due: Array | float,
    gone: Array,
    lattice: Lattice,
) -> Array:
    """(M, K) nats for missing values of other series than sums, if their values always come.

    Where a slice has none, none of its leaves has: each of those that always come tells.
    """
    lacks = observed.gone & rules.down & (gone >= rules.fewest_gone)
    if not lacks.any():
        return np.zeros(gone.shape)
    # At a time at which hardly a row comes, none may come; of what fades, the newest days tell.
    here = np.minimum(due, _come(habits, observed, gone, lattice))
    few = np.where(here < FEW_DUE, habits.rows * here, np.inf)
    fades = _fades(habits, lattice)
    fewer = habits.lately < FADES * habits.rows
    few = np.where(fewer, np.minimum(few, habits.rows * fades), few)
    chance = np.maximum(1.0 - habits.presence, 0.0)
    often = chance > math.exp(-RARELY)
    # What lacks now and then, lacks more often where fewer are due.
    now_and_then = chance >= LEAST_CHANCE
    np.power(chance, fades * np.minimum(due, 1.0), out=chance, where=now_and_then)
    chance = np.maximum(chance, np.exp(-np.maximum(few, 0.0) / TEMPER))
    if rules.fewest_gone == 1:
        tells = lacks & (chance <= math.exp(-RARELY))
    else:
        # Where fewer are due, the rows of several intervals are as rarely missed.
        tells = lacks & ~often & (few >= TEMPER * RARELY / np.maximum(gone, 1.0))
    least: Array | float = LEAST_CHANCE
    if rules.fewest_gone == 1:
        # One interval of a day tells as much as two of an hour, where as many rows are due.
        # How a slice's own weekdays differ is not known.
        rows = FEWEST_A_DAY * habits.rows * fades * np.minimum(here, 1.0)
        least = np.exp(-rows / TEMPER).clip(LEAST_CHANCE**2, LEAST_CHANCE)
    own = np.asarray(-np.log(np.maximum(chance, least)) * gone * tells)
    for m in np.nonzero(lacks.any(axis=1))[0].tolist():
        of_leaves = lattice.summed(own[m, lattice.leaves])
        np.maximum(own[m], of_leaves, out=own[m], where=lacks[m])
    return own


def _fades(habits: Habits, lattice: Lattice) -> Array:
    """(M, K) rows of the newest days as a share of the usual ones, at most 1, beside those of all
    slices: after a weekend all have few.
    """
    # Summed one after the other, so that leaves without rows change no digit.
    usual, lately = (
        rows[:, lattice.leaves].cumsum(axis=1)[:, -1] for rows in (habits.rows, habits.lately)
    )
    of_all = np.where(lately > 0, lately, usual) / np.maximum(usual, TINY)
    own = habits.lately / np.maximum(habits.rows, TINY)
    return np.asarray(np.minimum(own / np.maximum(of_all, TINY)[:, None], 1.0))


def _come(habits: Habits, observed: Observed, gone: Array, lattice: Lattice) -> Array:
    """(M, K) rows that have come in this interval, as a share of those of the average one: the
    least of the widest slices that hold each. It may be night in one country, or an outage. What
    has gone, for now or for good, does not make the others fewer: more than their share explains.
    """
    leaves = lattice.leaves
    usual = habits.rows[:, leaves]
    share = _least_share(observed, habits.rows, lattice)[:, leaves]
    left = usual * are_left(usual, share, gone[:, leaves])
    return _least_share(
        observed, np.minimum(habits.rows, np.array([lattice.summed(one) for one in left])), lattice
    )


def are_left(usual: Array, share: Array | float, gone: Array) -> Mask:
    """Which slices have not gone, where a share of all rows comes: what they lack may be chance.

    Parameters
    ----------
    usual : rows of an interval. gone : see `Scan.gone`.
    """
    return (gone >= 0) & (usual * np.minimum(share, 1.0) * gone < GONE_FROM)


def _least_share(observed: Observed, usual: Array, lattice: Lattice) -> Array:
    """(M, K) least share of some usual rows (M, K) that the widest slices that hold each have."""
    share = observed.count / np.maximum(usual, 1.0)
    # Of a slice without rows it is not known whether they are due.
    np.copyto(share, np.inf, where=observed.count <= 0)
    found = np.full(share.shape, np.inf)
    for wider in lattice.wider:
        np.minimum(found, np.where(wider >= 0, share[:, wider], np.inf), out=found)
    return found


def _step(value: Array) -> Array:
    """(N,) the least step between values, by their decimals: .01 for amounts in cents; 0 if there
    are more than `DECIMALS`.
    """
    step = np.zeros_like(value)
    for decimals in range(DECIMALS, CENTS - 1, -1):
        scaled = value * 10.0**decimals
        step[np.abs(scaled - np.rint(scaled)) <= ROUNDED * np.abs(scaled)] = 0.1**decimals
    return step


def _poisson(value: Array, expected: Array) -> Array:
    """Probability of each whole value, at least 1, at a Poisson mean; factorials by Stirling."""
    mean = np.maximum(expected, TINY)
    nats = value * (np.log(mean / value) + 1.0) - mean
    nats -= 0.5 * np.log(value) + _HALF_LOG_TAU + 1.0 / (12.0 * value)
    return np.asarray(np.exp(np.maximum(nats, -700.0)))


def _add_up(ring: NDArray[np.float32], after: int, last: int, total: Array) -> None:
    """Sum of the places of a ring from the one behind `after` up to `last`."""
    first, end = (after + 1) % len(ring), last % len(ring) + 1
    if first < end:
        np.add.reduce(ring[first:end], axis=0, dtype=np.float64, out=total)
        return
    np.add.reduce(ring[first:], axis=0, dtype=np.float64, out=total)
    total += np.add.reduce(ring[:end], axis=0, dtype=np.float64)


def _accumulate(how: np.ufunc, values: Array) -> None:
    """Accumulate along the first axis, in place; numpy's `accumulate` is slow along it."""
    for before, after in pairwise(values):
        how(before, after, out=after)


def _first_largest(values: Array) -> tuple[Array, NDArray[np.int8]]:
    """(M, K) maximum of (V, M, K) values along the first axis, and its first index; overwrites the
    values.
    """
    _accumulate(np.maximum, values)
    largest = values[-1]
    return largest, np.asarray((values[:-1] < largest).sum(axis=0, dtype=np.int8))


def _phi(dispersion: Array, unit: Array) -> Array:
    """Dispersion that evidence is divided by: tempered, and at least that of whole units."""
    return np.maximum(TEMPER * dispersion, unit) + SMALL


def _weigh_units(d: Array, changes: Array, phi: Array, unit: Array) -> None:
    """Let what lacks of counts that come more regularly than by chance be as many terms as units
    lack, in place: two of ten devices that always report are two that fail by themselves, however
    little their number varies.

    Parameters
    ----------
    d, changes, phi : (V, M, K). unit : likewise, of small counts, 0 where none lacks.
    """
    at = np.nonzero(phi < unit)
    lack = np.maximum(-changes[at] / (unit[at] - phi[at]), TINY)
    d[at] = lack * np.log1p(np.maximum(d[at], 0.0) / lack)


def _parts(level: Array, lattice: Lattice) -> Array:
    """(M, K) effective number of leaves of a slice: (sum of sizes)^2 / sum of squares."""
    largest = level.max(axis=1, keepdims=True, initial=SMALL)
    own = level.take(lattice.leaves, axis=1) / largest
    total, squares = lattice.summed(np.array([own, np.square(own)]))
    parts = np.square(total) / np.maximum(squares, TINY)
    return np.asarray(np.maximum(1.0, parts))


def _looks(rules: Rules, ready: Mask, lattice: Lattice) -> tuple[Array, Array]:
    """(M,) T and (M, K) log10(slices in the level), counted over the series that are ready."""
    slices = lattice.counted(ready)
    price = np.log10(np.maximum(slices, 1.0))[:, lattice.level]
    looks = np.maximum(1, (slices > 0).sum(axis=1)) * rules.measures_in_all
    return np.maximum(1.0, np.log10(looks / rules.budget)), price
