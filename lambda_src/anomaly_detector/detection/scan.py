"""Evidence of events: the expectation-based scan statistic over slices and window lengths.

Neill (2009), Kulldorff (1997). Arrays have the axes M, K (measure, slice).

For each window of w = 1 ... 48 intervals, C sums what came and B what was expected. Of SUM and
COUNT the log-likelihood ratio is D = (C ln(C / B) - (C - B)) / phi, of all others
(C - B)^2 / (2 var); rises of few terms n (B / phi, or rows) count as n ln(1 + D / n), as their
tails are heavier. A value that repeats itself gives D = repeats x -ln(usual share of repeats). The
dispersion phi of a slice and window is the decayed mean of (C - B)^2 / B, clipped at three
deviations and shrunk to what slices of its size usually have.

**Evidence** R = max over w of D / ln 10, less log10(slices in the level): the price of having
looked at as many. **Threshold** T = log10(intervals a week x measures x levels / false events a
week). **Severity of an event** = 100 x / (x + T) with x = R x min(1, |C - B| / B / s), s the
relative change that counts as full; for means, minima and maxima x is at most 3 L, L the calibrated
surprise of the series itself. So 50 is the threshold, for events as for points.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.detection.state import LONGEST, WINDOWS
from anomaly_detector.detection.step import OFTEN_ABSENT, SMALL_COUNT, TINY, Rules, Seen

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

FULL_SIZE = 0.2
CAP = 3.0
SHRINK = 30.0
FLOOR = 1.0
TEMPER = 1.4
TERMS = 5.0
RATE_DISPERSION = 0.003
CLIP_DISPERSION = 9.0
FEWEST = 3.0  # B / phi below which a slice is left to its roll-up
LEAST_SHARE = 0.01  # deviation of a window, as a share of its expectation, at the least
USUAL_FROM = 50  # windows learnt before a slice tells what is usual
RATE_SAME = 0.002
FEWEST_SAME = 3
LEAST_SAME = 0.003
NOT_STUCK = 5.0
RARELY_SAME = 3.0
CLIP_LEAF = 8.0


@dataclass(frozen=True)
class Levels:
    """The slices by what they hold.

    Attributes
    ----------
    codes : (K, D) number of each value within its dimension, -1 where rolled up.
    level : (K,) number of the slice's level.
    count : number of levels.
    leaves : (L,) places of the slices of the finest level.
    places : (count, L) place of the slice of each level that holds a leaf, -1 where unknown.
    """

    codes: NDArray[np.int64]
    level: NDArray[np.int64]
    count: int
    leaves: NDArray[np.int64]
    places: NDArray[np.int64]

    @classmethod
    def of(cls, slices: NDArray[np.object_], rolled_up: str) -> Levels:
        """Levels of the (K, D) slices."""
        codes = np.full(slices.shape, -1, dtype=np.int64)
        for axis in range(slices.shape[1]):
            _, code = np.unique(slices[:, axis].astype(np.str_), return_inverse=True)
            codes[:, axis] = np.where(slices[:, axis] == rolled_up, -1, code)
        kept = (codes >= 0) @ (2 ** np.arange(slices.shape[1], dtype=np.int64))
        found, level = np.unique(kept, return_inverse=True)
        count = max(1, len(found))
        leaves = np.nonzero(kept == kept.max(initial=0))[0]
        sizes = codes.max(axis=0, initial=-1) + 2
        weights = np.concatenate([np.cumprod(sizes[::-1])[::-1][1:], [1]]).astype(np.int64)
        key = (codes + 1) @ weights if slices.shape[1] else np.zeros(len(slices), dtype=np.int64)
        order = np.argsort(key)
        places = np.full((count, len(leaves)), -1, dtype=np.int64)
        for number, mask in enumerate(found):
            holds = (int(mask) >> np.arange(slices.shape[1])) & 1
            wanted = (codes[leaves] + 1) @ (weights * holds) if slices.shape[1] else key[leaves]
            at = np.minimum(np.searchsorted(key, wanted, sorter=order), len(key) - 1)
            places[number] = np.where(key[order[at]] == wanted, order[at], -1)
        return cls(codes, level.astype(np.int64), count, leaves, places)

    def overlapping(self, place: int) -> Mask:
        """(K,) slices that share a leaf with the one at `place`, as far as their values tell."""
        own = self.codes[place]
        fixed = own >= 0
        part = self.codes[:, fixed]
        return np.asarray(((part < 0) | (part == own[fixed])).all(axis=1))

    def alike(self, one: int, other: int) -> bool:
        """Whether two slices have most of their leaves in common: a Jaccard index of half."""
        held = []
        for place in (one, other):
            own = self.codes[place]
            fixed = own >= 0
            held.append((self.codes[self.leaves][:, fixed] == own[fixed]).all(axis=1))
        return bool(2 * (held[0] & held[1]).sum() >= (held[0] | held[1]).sum())


@dataclass(frozen=True)
class Evidence:
    """What speaks for an event in each series; arrays (M, K).

    Attributes
    ----------
    evidence : R, -inf where the series may open no event.
    weight : x, the evidence with the size of the change and the cap.
    side : 1 above, -1 below.
    change, base : sums over the best window; residual and expectation of this interval.
    threshold : (M,) T.
    window : number of the best window.
    changes, bases, dispersions : (V, M, K), per window.
    size : what a relative change of one adds to an interval with base 1.
    single : evidence of this interval alone, D of w = 1 / ln 10.
    repeats : nats for leaves that repeat themselves, of those in the slice.
    """

    evidence: Array
    weight: Array
    side: Array
    change: Array
    base: Array
    now_change: Array
    now_base: Array
    stuck: Mask
    threshold: Array
    window: NDArray[np.int64]
    changes: Array
    bases: Array
    dispersions: Array
    size: Array
    single: Array
    repeats: Array

    def likely(self, m: int, window: int, levels: Levels) -> Array:
        """(K,) log-likelihood ratio that just the leaves of a slice changed, all in proportion.

        With the change u = C b / var and v = b^2 / var of each leaf it is (sum u)^2 / (2 sum v)
        (Neill 2009, expectation-based, with the one factor fitted by weighted least squares). The
        noise of leaves is their own, so slices that share the fault's leaves can be told apart
        better than by their sums.
        """
        leaves = levels.leaves
        c, b = self.changes[window, m, leaves], self.bases[window, m, leaves]
        phi = self.dispersions[window, m, leaves]
        variance = phi * np.maximum(b, TINY)
        b = b * self.size[m, leaves]
        deviation = np.sqrt(variance)
        c = np.clip(c, -CLIP_LEAF * deviation, CLIP_LEAF * deviation)
        u, v = c * b / variance, np.square(b) / variance
        found = np.zeros(self.evidence.shape[1])
        for places in levels.places:
            known = places >= 0
            size = len(found)
            total = np.bincount(places[known], u[known], size)
            weight = np.bincount(places[known], v[known], size)
            held = weight > 0
            found[held] = np.square(total[held]) / (2 * weight[held])
        return found


def scan(
    rules: Rules, arrays: dict[str, Array], seen: Seen, levels: Levels, clock: int
) -> tuple[Evidence, Array]:
    """Take one interval into the windows and weigh them; dispersions are not yet learnt.

    Returns
    -------
    The evidence, and (V, M, K) what `learn_dispersion` takes.
    """
    known = arrays["seen"] > 0
    expected = np.where(known, seen.forecast.expected, 0.0)
    value = np.where(seen.absent, 0.0, seen.value)
    taken = known & (seen.live | seen.absent)
    counted = rules.additive & (arrays["signed"] == 0)
    few = np.sqrt(
        np.clip(
            np.where(seen.count > 0, seen.count, 1.0) / np.maximum(arrays["rows"], 1.0), 0.1, 10
        )
    )
    few = np.where(rules.averaged & (seen.count > 0), few, 1.0)
    change = np.where(taken, (value - expected) * few, 0.0)
    base = np.where(taken, np.where(counted, expected, 1.0), 0.0)
    place = clock % LONGEST
    arrays["ring_change"][place] = change
    arrays["ring_base"][place] = base
    arrays["ring_fill"] = np.minimum(arrays["ring_fill"] + known, LONGEST)
    _follow_repeats(arrays, seen)

    at = (clock - np.arange(LONGEST)) % LONGEST
    shape = (len(WINDOWS), *change.shape)
    changes, bases = np.empty(shape), np.empty(shape)
    total_change, total_base = np.zeros_like(change), np.zeros_like(base)
    before = 0
    for window, length in enumerate(WINDOWS):
        for one in at[before:length]:
            total_change = total_change + arrays["ring_change"][one]
            total_base = total_base + arrays["ring_base"][one]
        changes[window], bases[window] = total_change, total_base
        before = length

    unit = np.where(arrays["nonzero"] < OFTEN_ABSENT, arrays["magnitude"], 0.0)
    counts = arrays["fractional"] == 0
    unit = np.where(rules.additive, np.maximum(unit, counts), 0.0)
    unit = np.where(np.abs(arrays["level"]) < 2 * SMALL_COUNT * unit, unit, 0.0)
    usual = _usual(rules, arrays, known)
    size = np.where(counted, 1.0, np.square(arrays["level"]))
    ready = (arrays["seen"] >= rules.warm_up) & (arrays["dispersion_seen"] >= USUAL_FROM)
    best = np.full(change.shape, -np.inf)
    side, best_change, best_base = np.zeros(shape[1:]), np.zeros(shape[1:]), np.zeros(shape[1:])
    best_window = np.zeros(shape[1:], dtype=np.int64)
    phis, single = np.empty(shape), np.zeros(shape[1:])
    stuck = np.zeros(shape[1:], dtype=np.bool_)
    fresh = np.zeros(shape)
    up, down = rules.up, rules.down
    widest = np.zeros(shape[1:])
    parts = _parts(arrays["level"], levels)
    least = np.maximum(rules.min_absolute, 0.0)
    for window, length in enumerate(WINDOWS):
        c, b = changes[window], bases[window]
        safe = np.maximum(b, TINY)
        raw = np.square(c) / safe
        # Of slices that vary together the deviation grows with the size: half-way between the two.
        usual_base = np.maximum(np.abs(arrays["level"]) * length, TINY)
        tide = np.where(counted, np.sqrt(np.clip(b / usual_base, 0.04, 25.0)), 1.0)
        effective = np.minimum(arrays["dispersion_seen"], 1.0 / RATE_DISPERSION) / length
        prior = usual[window]
        phi = (effective * arrays["dispersion"][window] + SHRINK * prior) / (effective + SHRINK)
        phi = np.maximum(phi, FLOOR * prior)
        calm = phi
        # A forecast that follows makes long sums calmer than chance would; a frozen one does not.
        widest = np.maximum(phi, widest)
        phi = widest
        phi = TEMPER * phi * tide
        phi = np.maximum(phi, LEAST_SHARE**2 * np.where(counted, b, size * b))
        phi = np.maximum(phi, unit) + TINY
        phis[window] = phi
        fresh[window] = np.where(
            (arrays["ring_fill"] >= length) & (b > 0),
            np.where(
                arrays["dispersion_seen"] >= 20,
                np.minimum(raw / tide, CLIP_DISPERSION * calm),
                raw / tide,
            ),
            np.nan,
        )
        ratio = np.maximum(1.0 + c / safe, 0.0)
        ratio = np.minimum(ratio, 1e9)
        likely = np.where(ratio > 0, ratio * np.log(np.maximum(ratio, TINY)), 0.0) - (ratio - 1.0)
        d = np.where(counted, likely * b, 0.5 * raw) / phi
        # The tails of sums of few terms, and of means of few rows, are heavier than assumed.
        terms = np.where(counted, b / phi, np.maximum(arrays["rows"], 1.0) * length)
        terms = np.clip(terms, 1.0, TERMS * parts * math.sqrt(length))
        d = np.where(counted & (c < 0), d, terms * np.log1p(np.maximum(d, 0.0) / terms))
        whole = arrays["ring_fill"] >= length
        d = np.where(whole & (b > 0) & (~counted | (b >= FEWEST * phi)), d, 0.0)
        there = np.where(counted, b, np.abs(arrays["level"]) * b)
        allowed = np.where(c > 0, up, down) & (np.abs(c) >= least * length)
        allowed &= np.abs(c) >= rules.min_relative * there
        d = np.where(allowed, d, 0.0)
        if window == 0:
            single = d / math.log(10)
        better = d > best
        best_window[better] = window
        best = np.where(better, d, best)
        side = np.where(better, np.sign(c), side)
        best_change = np.where(better, c, best_change)
        best_base = np.where(better, there, best_base)
    repeats = _repeats(rules, arrays, seen, levels)
    stuck = repeats > best
    best = np.where(stuck, repeats, best)
    evidence = best / math.log(10)
    relative = np.abs(best_change) / np.maximum(best_base, TINY)
    part = np.where(stuck, 1.0, np.minimum(1.0, relative / FULL_SIZE))
    threshold = np.ones(len(evidence))
    for m in range(len(evidence)):
        counts = np.bincount(levels.level[ready[m]], minlength=levels.count)
        evidence[m] -= np.log10(np.maximum(counts, 1))[levels.level]
        threshold[m] = max(
            1.0, math.log10(max(1, int((counts > 0).sum())) * len(evidence) / rules.budget)
        )
    weight = evidence * part
    capped = ~rules.additive & ~stuck
    weight = np.where(capped, np.minimum(weight, CAP * seen.surprise), weight)
    found = Evidence(
        evidence=np.where(ready & (side != 0), evidence, -np.inf),
        weight=weight,
        side=side,
        change=best_change,
        base=best_base,
        now_change=change,
        now_base=np.where(taken, np.abs(expected), 0.0),
        stuck=stuck,
        threshold=threshold,
        window=best_window,
        changes=changes,
        bases=bases,
        dispersions=phis,
        size=np.where(counted, 1.0, np.abs(arrays["level"])),
        single=single,
        repeats=repeats,
    )
    return found, fresh


def _parts(level: Array, levels: Levels) -> Array:
    """(M, K) how many leaves of equal size a slice amounts to: (sum of sizes)^2 / sum of squares."""
    found = np.ones(level.shape)
    for m in range(len(level)):
        size = np.abs(level[m, levels.leaves])
        size = size / max(size.max(initial=0.0), TINY)
        for places in levels.places:
            known = places >= 0
            total = np.bincount(places[known], size[known], level.shape[1])
            squares = np.bincount(places[known], np.square(size[known]), level.shape[1])
            held = squares > 0
            found[m, held] = np.maximum(1.0, np.square(total[held]) / squares[held])
    return found


def learn_dispersion(rules: Rules, arrays: dict[str, Array], fresh: Array, frozen: Mask) -> None:
    """Learn how windows vary; `fresh` as `scan` gave it."""
    on = ~frozen & (arrays["seen"] > rules.warm_up // 2)
    rate = np.maximum(1.0 / (arrays["dispersion_seen"] + 1.0), RATE_DISPERSION)
    step = np.where(on & np.isfinite(fresh), fresh - arrays["dispersion"], 0.0)
    arrays["dispersion"] += rate * step
    arrays["dispersion_seen"] = np.minimum(arrays["dispersion_seen"] + on, 1e6)


def _usual(rules: Rules, arrays: dict[str, Array], known: Mask) -> Array:
    """(V, M, K) the dispersion that a slice of its size usually has: a line through the logs.

    Sums go over the slices that tell, so that slices yet unborn change no digit.
    """
    usual = arrays["dispersion"].copy()
    for m in range(known.shape[0]):
        tells = known[m] & (arrays["dispersion_seen"][m] >= USUAL_FROM)
        tells &= (arrays["dispersion"][:, m] > 0).all(axis=0)
        if tells.sum() < 3:
            continue
        additive = bool(rules.additive[m, 0])
        size = np.abs(arrays["level"][m]) if additive else arrays["rows"][m]
        tells &= size > 0
        if tells.sum() < 3:
            continue
        x = np.log(np.maximum(size, 1e-300))
        own = x[tells]
        middle = own.mean()
        spread = np.square(own - middle).sum()
        y = np.log(arrays["dispersion"][:, m][:, tells])
        slope = y @ (own - middle) / spread if spread > 1e-12 else np.zeros(len(WINDOWS))
        slope = np.clip(slope, 0.0, 1.0) if additive else np.clip(slope, -1.0, 0.0)
        line = slope[:, None] * np.clip(x - middle, -100, 100)
        usual[:, m] = np.exp(np.clip(y.mean(axis=1)[:, None] + line, -600, 600))
    return usual


def _repeats(rules: Rules, arrays: dict[str, Array], seen: Seen, levels: Levels) -> Array:
    """(M, K) nats that the leaves of a slice are stuck rather than alike by chance."""
    found = np.zeros(arrays["same"].shape)
    leaves = levels.leaves
    run = arrays["same"][:, leaves]
    wanted = (rules.min_absolute + rules.min_relative == 0) & (run >= FEWEST_SAME)
    for m in np.nonzero(wanted.any(axis=1))[0]:
        usual = -np.log(np.clip(arrays["same_share"][m, leaves], LEAST_SAME, 1.0))
        gain = np.where(run[m] >= FEWEST_SAME, run[m] * usual, -NOT_STUCK)
        telling = seen.live[m, leaves] & (seen.value[m, leaves] != 0) & (usual >= RARELY_SAME)
        gain = np.where(telling, gain, 0.0)
        for places in levels.places:
            known = places >= 0
            total = np.bincount(places[known], gain[known], found.shape[1])
            found[m] = np.maximum(found[m], total)
    return found


def _follow_repeats(arrays: dict[str, Array], seen: Seen) -> None:
    live = seen.live & (arrays["seen"] > 0)
    same = live & (seen.value == arrays["last"]) & (seen.value != 0)
    arrays["same"] = np.where(live, np.where(same, arrays["same"] + 1, 0.0), arrays["same"])
    # A value that is stuck teaches once.
    telling = live & (arrays["same"] <= 2)
    arrays["same_share"] += RATE_SAME * telling * (same - arrays["same_share"])
    arrays["last"] = np.where(seen.live, seen.value, arrays["last"])
