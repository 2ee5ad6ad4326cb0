"""Evidence of events: the expectation-based scan statistic over slices and window lengths.

Neill (2009), Kulldorff (1997). Arrays have the axes M, K (measure, slice).

For each window of w = 1 ... 48 intervals, C sums what came beyond the expectation and B what was
expected. Of SUM and COUNT the log-likelihood ratio is D = ((B + C) ln(1 + C / B) - C) / phi, of all
others C^2 / (2 var). Leaves have heavier tails than that, and sums of many less so: D counts as
n ln(1 + D / n), as of Student's t, with n in proportion to the leaves that a slice amounts to, and
not above the terms in the sum (B / phi, or rows). Values that repeat themselves give
D = repeats x -ln(usual share of repeats), summed over the leaves of a slice.

The dispersion phi of a slice and window is the decayed mean of C^2 / B, clipped at three
deviations, shrunk to what slices of its size usually have, and no smaller than that of shorter
windows.

**Evidence** R = max over w of D / ln 10, less log10(slices in the level): the price of having
looked at as many. **Threshold** T = log10(intervals a week x measures x levels / false events a
week). **Severity of an event** = 100 x / (x + T) with x = R x min(1, |C / B| / s), s the relative
change that counts as full; for means, minima and maxima x is at most 3 L, L the surprise of the
series itself. So 50 is the threshold, for events as for points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.detection.state import LONGEST, WINDOWS
from anomaly_detector.detection.step import OFTEN_ABSENT, SMALL_COUNT, Rules, Seen
from anomaly_detector.lattice import Lattice

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

FULL_SIZE = 0.2  # s
CAP = 3.0
TEMPER = 1.25  # the dispersion is an estimate: its error makes tails heavier
TAIL_TERMS = 5.0  # n of one leaf in one interval, about Student's t with 9 degrees
FEWEST = 3.0  # B / phi below which a slice is left to its roll-up
LEAST_SHARE = 0.01  # deviation of a window, as a share of its expectation, at the least
RATE_DISPERSION = 0.003
CLIP_DISPERSION = 9.0
SHRINK = 30.0  # windows that what is usual for the size counts as
USUAL_FROM = 50  # windows learnt before a slice tells what is usual
UNCLIPPED_UNTIL = 20
CLIP_LEAF = 8.0
RATE_SAME, SAME_PRIOR = 0.002, 50.0
FEWEST_SAME = 3
LEAST_SAME = 0.003
RARELY_SAME = 3.0  # nats of a repeat below which repeats tell nothing
NOT_STUCK = 5.0  # nats that a leaf which goes on moving speaks against its slice
TINY = 1e-100


@dataclass(frozen=True)
class Evidence:
    """What speaks for an event in each series; arrays (M, K), or (V, M, K) per window.

    Attributes
    ----------
    evidence : R, -inf where the series may open no event.
    weight : x, the evidence with the size of the change and the cap.
    side : 1 above, -1 below.
    window : number of the best window; change, base : sums over it.
    now_change, now_base : residual and expectation of this interval.
    price : log10(slices in the level), which R has paid.
    alone : R of this interval alone, before the price.
    repeats : nats for the leaves of the slice that are stuck; stuck : they are the evidence.
    threshold : (M,) T.
    changes, bases, dispersions : C, B and phi of each window.
    size : what a relative change of one adds to an interval of base 1.
    fresh : C^2 / B to be learnt, NaN where there is none.
    """

    evidence: Array
    weight: Array
    side: Array
    window: NDArray[np.int64]
    change: Array
    base: Array
    now_change: Array
    now_base: Array
    price: Array
    alone: Array
    repeats: Array
    stuck: Mask
    threshold: Array
    changes: Array
    bases: Array
    dispersions: Array
    size: Array
    fresh: Array

    def likely(self, m: int, window: int, lattice: Lattice) -> Array:
        """(K,) log-likelihood ratio that just the leaves of a slice changed, all in proportion.

        With u = C b / var and v = b^2 / var of each leaf, b what a change of one would add, it is
        (sum u)^2 / (2 sum v): the one factor is fitted by weighted least squares. The noise of
        leaves is their own, so slices that share the fault's leaves are told apart better than by
        their sums.
        """
        leaves = lattice.leaves
        b = self.bases[window, m, leaves]
        variance = self.dispersions[window, m, leaves] * np.maximum(b, TINY)
        reach = CLIP_LEAF * np.sqrt(variance)
        c = np.clip(self.changes[window, m, leaves], -reach, reach)
        b = b * self.size[m, leaves]
        u, v = c * b / variance, np.square(b) / variance
        found = np.zeros(self.evidence.shape[1])
        for places in lattice.places:
            total, weight = _summed(u, places, found.size), _summed(v, places, found.size)
            held = weight > 0
            found[held] = np.square(total[held]) / (2 * weight[held])
        return found


def scan(
    rules: Rules, arrays: dict[str, Array], seen: Seen, lattice: Lattice, clock: int
) -> Evidence:
    """Take one interval into the windows and weigh them; dispersions are learnt afterwards.

    Parameters
    ----------
    clock : number of the interval, which the rings turn by.
    """
    known = arrays["seen"] > 0
    counted = rules.additive & (arrays["signed"] == 0)
    change, base, now_base = _newest(rules, arrays, seen, counted, known)
    place = clock % LONGEST
    arrays["ring_change"][place] = change
    arrays["ring_base"][place] = base
    arrays["ring_fill"] = np.minimum(arrays["ring_fill"] + known, LONGEST)
    _follow_repeats(rules, arrays, seen)
    changes, bases = _sums(arrays, clock)

    level = np.abs(arrays["level"])
    # A slice of few events varies by whole ones.
    unit = np.where(arrays["nonzero"] < OFTEN_ABSENT, arrays["magnitude"], 0.0)
    unit = np.where(rules.additive, np.maximum(unit, arrays["fractional"] == 0), 0.0)
    unit = np.where(level < 2 * SMALL_COUNT * unit, unit, 0.0)
    usual = _usual(rules, arrays, known)
    parts = _parts(level, lattice)
    full = np.where(counted, 1.0, level)
    learnt = np.minimum(arrays["dispersion_seen"], 1.0 / RATE_DISPERSION)

    best = np.full(change.shape, -np.inf)
    side, best_change, best_base = np.zeros((3, *change.shape))
    window = np.zeros(change.shape, dtype=np.int64)
    alone, calmest = np.zeros((2, *change.shape))
    dispersions, fresh = np.empty(changes.shape), np.empty(changes.shape)
    for number, length in enumerate(WINDOWS):
        c, b = changes[number], bases[number]
        safe = np.maximum(b, TINY)
        whole = (arrays["ring_fill"] >= length) & (b > 0)
        own = learnt / length
        calm = (own * arrays["dispersion"][number] + SHRINK * usual[number]) / (own + SHRINK)
        calm = np.maximum(calm, usual[number])
        # Things that vary together deviate in proportion to their size, independent ones by its
        # root: half-way between the two through the season.
        tide = np.clip(b / np.maximum(level * length, TINY), 0.04, 25.0)
        tide = np.where(counted, np.sqrt(tide), 1.0)
        raw = np.square(c) / safe
        settled = (arrays["dispersion_seen"] >= UNCLIPPED_UNTIL) & (calm > 0)
        limit = np.where(settled, CLIP_DISPERSION * calm, np.inf)
        fresh[number] = np.where(whole, np.minimum(raw / tide, limit), np.nan)
        # A forecast that follows makes long sums calmer than chance would; a frozen one does not.
        calmest = np.maximum(calm, calmest)
        phi = TEMPER * calmest * tide
        phi = np.maximum(phi, LEAST_SHARE**2 * np.square(full) * np.where(counted, b, safe))
        phi = dispersions[number] = np.maximum(phi, unit) + TINY
        ratio = np.clip(1.0 + c / safe, 0.0, 1e9)
        likely = ratio * np.log(np.maximum(ratio, TINY)) - (ratio - 1.0)
        d = np.where(counted, likely * b, 0.5 * raw) / phi
        terms = np.where(counted, b / phi, np.maximum(arrays["rows"], 1.0) * length)
        terms = np.clip(terms, 1.0, TAIL_TERMS * parts * math.sqrt(length))
        d = np.where(counted & (c < 0), d, terms * np.log1p(np.maximum(d, 0.0) / terms))
        there = full * b
        counts = whole & (~counted | (b >= FEWEST * phi)) & np.where(c > 0, rules.up, rules.down)
        counts &= np.abs(c) >= rules.min_absolute * length
        counts &= np.abs(c) >= rules.min_relative * there
        d = np.where(counts, d, 0.0)
        if number == 0:
            alone = d / math.log(10)
        better = d > best
        best = np.where(better, d, best)
        window[better] = number
        side = np.where(better, np.sign(c), side)
        best_change = np.where(better, c, best_change)
        best_base = np.where(better, there, best_base)

    repeats = _repeats(rules, arrays, seen, lattice)
    stuck = repeats > best
    evidence = np.where(stuck, repeats, best) / math.log(10)
    ready = (arrays["seen"] >= rules.warm_up) & (arrays["dispersion_seen"] >= USUAL_FROM)
    threshold, price = np.ones(len(evidence)), np.zeros_like(evidence)
    for m in range(len(evidence)):
        slices = np.bincount(lattice.level[ready[m]], minlength=lattice.count)
        price[m] = np.log10(np.maximum(slices, 1))[lattice.level]
        looks = max(1, int((slices > 0).sum())) * len(evidence)
        threshold[m] = max(1.0, math.log10(looks / rules.budget))
    evidence = evidence - price
    relative = np.abs(best_change) / np.maximum(best_base, TINY)
    weight = evidence * np.where(stuck, 1.0, np.minimum(1.0, relative / FULL_SIZE))
    capped = ~rules.additive & ~stuck
    weight = np.where(capped, np.minimum(weight, CAP * seen.surprise), weight)
    return Evidence(
        evidence=np.where(ready & (stuck | (side != 0)), evidence, -np.inf),
        weight=weight,
        side=np.where(side != 0, side, 1.0),
        window=window,
        change=best_change,
        base=best_base,
        now_change=change,
        now_base=now_base,
        price=price,
        alone=alone,
        repeats=repeats,
        stuck=stuck,
        threshold=threshold,
        changes=changes,
        bases=bases,
        dispersions=dispersions,
        size=full,
        fresh=fresh,
    )


def learn_dispersion(rules: Rules, arrays: dict[str, Array], found: Evidence, frozen: Mask) -> None:
    """Learn how the windows vary, except those of `frozen` (M, K) series."""
    on = ~frozen & (arrays["seen"] > rules.warm_up // 2)
    rate = np.maximum(1.0 / (arrays["dispersion_seen"] + 1.0), RATE_DISPERSION)
    step = np.where(on & np.isfinite(found.fresh), found.fresh - arrays["dispersion"], 0.0)
    arrays["dispersion"] += rate * step
    arrays["dispersion_seen"] = np.minimum(arrays["dispersion_seen"] + on, 1e6)


def _newest(
    rules: Rules, arrays: dict[str, Array], seen: Seen, counted: Mask, known: Mask
) -> tuple[Array, Array, Array]:
    """Residual, base and expectation of this interval; an absent SUM or COUNT is zero."""
    expected = np.where(known, seen.forecast.expected, 0.0)
    taken = known & (seen.live | seen.absent)
    # A mean of few rows says less than one of many.
    share = np.clip(seen.count / np.maximum(arrays["rows"], 1.0), 0.1, 10)
    few = np.where(rules.averaged & (seen.count > 0), np.sqrt(share), 1.0)
    change = np.where(taken, (np.where(seen.absent, 0.0, seen.value) - expected) * few, 0.0)
    base = np.where(taken, np.where(counted, expected, 1.0), 0.0)
    return change, base, np.where(taken, np.abs(expected), 0.0)


def _sums(arrays: dict[str, Array], clock: int) -> tuple[Array, Array]:
    """(V, M, K) residuals and bases, summed over the newest intervals of each window."""
    at = (clock - np.arange(LONGEST)) % LONGEST
    shape = (len(WINDOWS), *arrays["level"].shape)
    changes, bases = np.empty(shape), np.empty(shape)
    change, base = np.zeros((2, *shape[1:]))
    before = 0
    for number, length in enumerate(WINDOWS):
        for one in at[before:length]:
            change += arrays["ring_change"][one]
            base += arrays["ring_base"][one]
        changes[number], bases[number] = change, base
        before = length
    return changes, bases


def _summed(values: Array, places: NDArray[np.int64], size: int) -> Array:
    """(size,) values of the leaves, summed by the slice of one level that holds them."""
    known = places >= 0
    return np.bincount(places[known], values[known], size).astype(np.float64)


def _usual(rules: Rules, arrays: dict[str, Array], known: Mask) -> Array:
    """(V, M, K) the dispersion that a slice of its size usually has: a line through the logs.

    Sums go over the slices that tell, so that slices yet unborn change no digit.
    """
    usual = arrays["dispersion"].copy()
    for m in range(known.shape[0]):
        additive = bool(rules.additive[m, 0])
        size = np.abs(arrays["level"][m]) if additive else arrays["rows"][m]
        tells = known[m] & (arrays["dispersion_seen"][m] >= USUAL_FROM) & (size > 0)
        tells &= (arrays["dispersion"][:, m] > 0).all(axis=0)
        if tells.sum() < 3:
            continue
        x = np.log(np.maximum(size, TINY))
        middle = x[tells].mean()
        spread = np.square(x[tells] - middle).sum()
        y = np.log(arrays["dispersion"][:, m][:, tells])
        slope = y @ (x[tells] - middle) / spread if spread > 1e-12 else np.zeros(len(WINDOWS))
        slope = np.clip(slope, 0.0, 1.0) if additive else np.clip(slope, -1.0, 0.0)
        line = slope[:, None] * np.clip(x - middle, -100, 100)
        usual[:, m] = np.exp(np.clip(y.mean(axis=1)[:, None] + line, -600, 600))
    return usual


def _parts(level: Array, lattice: Lattice) -> Array:
    """(M, K) leaves of equal size that a slice amounts to: (sum of sizes)^2 / sum of squares."""
    found, size = np.ones_like(level), len(lattice.level)
    for m in range(len(level)):
        own = level[m, lattice.leaves] / max(float(level[m].max(initial=0.0)), TINY)
        for places in lattice.places:
            total, squares = _summed(own, places, size), _summed(np.square(own), places, size)
            held = squares > 0
            found[m, held] = np.maximum(1.0, np.square(total[held]) / squares[held])
    return found


def _repeats(rules: Rules, arrays: dict[str, Array], seen: Seen, lattice: Lattice) -> Array:
    """(M, K) nats that the leaves of a slice are stuck rather than alike by chance."""
    found = np.zeros(arrays["same"].shape)
    leaves = lattice.leaves
    run = arrays["same"][:, leaves]
    wanted = (rules.min_absolute + rules.min_relative == 0) & (run >= FEWEST_SAME)
    for m in np.nonzero(wanted.any(axis=1))[0]:
        usual = -np.log(np.clip(arrays["same_share"][m, leaves], LEAST_SAME, 1.0))
        gain = np.where(run[m] >= FEWEST_SAME, run[m] * usual, -NOT_STUCK)
        telling = seen.live[m, leaves] & (seen.value[m, leaves] != 0) & (usual >= RARELY_SAME)
        gain = np.where(telling, gain, 0.0)
        for places in lattice.places:
            found[m] = np.maximum(found[m], _summed(gain, places, len(lattice.level)))
    return found


def _follow_repeats(rules: Rules, arrays: dict[str, Array], seen: Seen) -> None:
    live = seen.live & (arrays["seen"] > 0)
    same = live & (seen.value == arrays["last"]) & (seen.value != 0)
    arrays["same"] = np.where(live, np.where(same, arrays["same"] + 1, 0.0), arrays["same"])
    # A value that is stuck teaches once; one that has always been so is no fault.
    telling = live & ((arrays["same"] <= 2) | (arrays["seen"] < rules.warm_up))
    rate = np.maximum(1.0 / (arrays["seen"] + SAME_PRIOR), RATE_SAME)
    arrays["same_share"] += rate * telling * (same - arrays["same_share"])
    arrays["last"] = np.where(seen.live, seen.value, arrays["last"])
