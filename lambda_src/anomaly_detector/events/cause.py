"""The fewest slices that explain how leaves differ from their expectations.

A cause is a slice all of whose leaves changed by the same factor q (the ripple effect of HotSpot
and Squeeze: Sun et al. 2018, Li et al. 2019). With v and e the actual and the expected values of a
leaf and s^2 the usual variance of v, naming the cause gains it

    t(v - e) - t(v - q e),   t(x) = (n + 1) / 2 ln(1 + x^2 / (n s^2)),

nats of the likelihood of Student's t with n degrees. Its tails are heavy: a leaf that is far off
whatever the factor counts little, so the unchanged leaves of a slice that is too wide weigh as much
as the changed ones. A set of causes gains the sum over leaves of the best cause that holds each,
less a price for every slice: ln of the number of levels, of its rank in its level by how much it
changed in sum, and a constant. The set that gains most is searched among slices of all levels:
candidates are collected in rounds, each without the leaves that the best slice of the round before
holds, then slices are added, and exchanged while that gains.

With many dimensions, levels are taken up to a depth that keeps their number in bounds, and the
leaves themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Slice = tuple[int, ...]

DEGREES = 6.0
FACTORS = (0.0, 0.15, 0.3, 0.45, 0.6, 0.75, 0.88, 1.15, 1.35, 1.7, 2.2, 3.0, 5.0, 12.0)
LEAST_CHANGE = 0.02  # relative deviation of the noise of a leaf, at least
PRICE = 3.0  # nats of a further slice, beside the choice among those of its level
LEAST_SHARE = 0.05  # of what all explain, that a slice must explain
MOST = 5  # slices
ROUNDS = 6
CANDIDATES = 24  # slices that a round collects, fewer of very many leaves
MOST_CELLS = 400_000  # candidates of a round times leaves: gains are held for each
MOST_LEVELS = 250
REFINED = 4  # steps in which a factor is fitted
_TINY = 1e-12
_SMALL_FACTOR = 0.2  # below which deviations are not relative to it
_FEWEST = 5  # leaves that have something in common
_DENSE = 100_000  # combinations up to which they are counted, not sorted
_EQUAL = 1e-9  # nats


@dataclass(frozen=True)
class Leaves:
    """Leaves by their values, in any unit that adds up; arrays (L,).

    Attributes
    ----------
    codes : (L, D) code of the value in each dimension.
    variance : usual one of `actual` around `expected`; None to estimate it from the leaves.
    """

    codes: Codes
    actual: Array
    expected: Array
    variance: Array | None = None


@dataclass(frozen=True)
class _Slices:
    """The N slices that are searched, those of a level behind each other, coarse to fine.

    Attributes
    ----------
    places : (V, L) which slice of each level holds a leaf.
    level : (N,) of each slice. leaf : (N,) one that it holds.
    axes : (V, D) dimensions that a level does not roll up.
    rank : (N,) from nought within its level. price : (N,) of the slice that has this rank there.
    """

    places: Codes
    level: Codes
    leaf: Codes
    axes: NDArray[np.bool_]
    rank: Codes
    price: Array

    def summed(self, values: Array) -> Array:
        """(N,) sums of the leaves' values (L,) that each slice holds."""
        every = np.concatenate([values] * len(self.places))
        return np.asarray(
            np.bincount(self.places.reshape(-1), every, len(self.level)), dtype=np.float64
        )


def causes(leaves: Leaves, side: int, most: int = MOST) -> tuple[Slice, ...]:
    """The slices that explain the change; the one that explains most first.

    Parameters
    ----------
    side : 1 if the causes are above their expectations, -1 if below.

    Returns
    -------
    codes of the values, -1 where rolled up. At least one, unless nothing changed on that side.
    """
    told = (leaves.actual != 0) | (leaves.expected != 0)
    codes, actual, expected = leaves.codes[told], leaves.actual[told], leaves.expected[told]
    if not len(actual):
        return ()
    variance = None if leaves.variance is None else leaves.variance[told]
    deviation = _deviation(actual, expected, variance)
    found = _Search(codes, actual, expected, deviation, side).run(most)
    change = [float(side * (actual - expected)[held].sum()) for _, held in found]
    least = LEAST_SHARE * sum(max(0.0, one) for one in change)
    kept = [(one, name) for one, (name, _) in zip(change, found, strict=True) if one > least]
    return tuple(name for _, name in sorted(kept, key=lambda one: (-one[0], one[1])))


def _deviation(actual: Array, expected: Array, variance: Array | None) -> Array:
    """(L,) usual deviation of a leaf, which is never nought."""
    size = np.abs(expected)
    if variance is None:
        noise = _noise(actual[size > 0], expected[size > 0])
        variance = np.square(noise * size)
    least = np.square(LEAST_CHANGE * size)
    some = np.sqrt(np.maximum(variance, least))
    # What never came has no deviation: that of small leaves is as good as any.
    known = some[some > 0]
    small = _tenth(known) if len(known) else 1.0
    return np.maximum(some, max(small, _TINY))


def _tenth(values: Array) -> float:
    """The quantile of 10 %, between two values; `np.quantile` costs more than a whole search."""
    ordered = np.sort(values)
    below, part = divmod(0.1 * (len(ordered) - 1), 1.0)
    one, other = ordered[int(below) : int(below) + 2][[0, -1]].tolist()
    step = other - one
    return float(one + step * part if part < 0.5 else other - step * (1.0 - part))


def _noise(actual: Array, expected: Array) -> float:
    """The relative deviation of leaves that did not change, or all did by the same factor."""
    if len(actual) < _FEWEST:
        return LEAST_CHANGE
    _, width = _common(actual / expected, 3)
    # Of a normal distribution, a third is within 0.43 deviations of its middle.
    return max(LEAST_CHANGE, width / 0.86)


def common_factor(actual: Array, expected: Array) -> float:
    """The factor by which most leaves changed; of few leaves, their sum."""
    known = expected > 0
    if known.sum() < _FEWEST:
        return float(actual.sum()) / max(float(expected.sum()), _TINY)
    return _common(actual[known] / expected[known], 2)[0]


def _common(factors: Array, part: int) -> tuple[float, float]:
    """Middle and relative width of the narrowest range that holds one in `part` of the values."""
    ordered = np.sort(factors)
    count = max(2, len(ordered) // part)
    low, high = ordered[: len(ordered) - count + 1], ordered[count - 1 :]
    widths = (high - low) / np.maximum((high + low) / 2, _SMALL_FACTOR)
    at = int(widths.argmin())
    return float(ordered[at : at + count].mean()), float(widths[at])


class _Search:
    """A search over the slices of some leaves."""

    def __init__(
        self, codes: Codes, actual: Array, expected: Array, deviation: Array, side: int
    ) -> None:
        self._codes, self._actual, self._expected = codes, actual, expected
        self._deviation, self._side = deviation, side
        self._unchanged = _nats((actual - expected) / deviation)
        self._factors = np.array([[one] for one in FACTORS if (one - 1.0) * side > 0])
        self._each = self._gained(self._factors)
        self._slices = _searched(codes)
        self._most = min(CANDIDATES, max(4, MOST_CELLS // len(codes)))

    def run(self, most: int) -> list[tuple[Slice, NDArray[np.bool_]]]:
        """The slices chosen, and (L,) which leaves each holds."""
        names, held, price = self._candidates()
        if not names:
            return []
        gain = self._gains(np.array(held))
        chosen = _choose(gain, np.array(price), _nested(np.array(names)), most)
        return [(names[one], held[one]) for one in chosen]

    def _gains(self, held: NDArray[np.bool_]) -> Array:
        """(P, L) nats that slices, of which (P, L) hold each leaf, gain their leaves by the factor
        that those have in common, on the side of the event; -inf for others.
        """
        own = held.astype(np.float64)
        factor = self._factors[(own @ self._each.T).argmax(axis=1)]
        weight = own * (self._expected / np.square(self._deviation))
        on_side = np.maximum if self._side > 0 else np.minimum
        for _ in range(REFINED):
            x = (self._actual - factor * self._expected) / self._deviation
            trust = weight / (DEGREES + np.square(x))
            size = (trust @ self._expected)[:, None]
            fitted = (trust @ self._actual)[:, None] / np.where(size > 0, size, 1.0)
            factor = np.where(size > 0, on_side(1.0, fitted), factor)
        return np.where(held, self._gained(factor), -np.inf)

    def _gained(self, factors: Array) -> Array:
        """(N, L) nats that factors (N, 1) gain each leaf."""
        changed = _changed(self._actual, self._expected, self._deviation, factors)
        return np.asarray(self._unchanged - changed)

    def _candidates(self) -> tuple[list[Slice], list[NDArray[np.bool_]], list[float]]:
        """Slices among which the causes are: names, leaves and prices."""
        each, slices = self._each.copy(), self._slices
        found: dict[bytes, tuple[Slice, NDArray[np.bool_], float]] = {}
        left = np.ones(len(self._actual), dtype=np.bool_)
        for _ in range(ROUNDS):
            best, worth, prices = self._best(each, left)
            if not len(best):
                break
            levels = slices.level[best]
            holds = slices.places[levels] == best[:, None]
            names = np.where(slices.axes[levels], self._codes[slices.leaf[best]], -1).tolist()
            for name, held, price in zip(names, holds, prices.tolist(), strict=True):
                # Of slices with the same leaves, the coarsest is named.
                key = held.tobytes()
                if key not in found:
                    found[key] = (tuple(name), held, price)
                elif price < found[key][2]:
                    found[key] = (found[key][0], held, price)
            first = holds[0]
            if worth[0] <= 0 or not (left & first).any():
                break
            left &= ~first
            each[:, first] = 0.0
        each_of = list(found.values())
        return [one[0] for one in each_of], [one[1] for one in each_of], [one[2] for one in each_of]

    def _best(self, each: Array, left: NDArray[np.bool_]) -> tuple[Codes, Array, Array]:
        """The slices that gain most, by the leaves' gains (F, L) for some factors; most first, with
        what they are worth and their prices.
        """
        slices, most = self._slices, self._most
        gain = slices.summed(each[0])
        for own in each[1:]:
            np.maximum(gain, slices.summed(own), out=gain)
        change = slices.summed(np.where(left, self._side * (self._actual - self._expected), 0.0))
        price = np.empty(len(gain))
        price[np.lexsort((-change, slices.level))] = slices.price
        worth = gain - price
        of_level = np.lexsort((-worth, slices.level))[slices.rank < most]
        top = np.sort(of_level[gain[of_level] > 0])
        best = top[np.argsort(-worth[top], kind="stable")][:most]
        return best, worth[best], price[best]


def _searched(codes: Codes) -> _Slices:
    """The slices of the levels that are searched."""
    leaves, size = codes.shape
    axes = np.flatnonzero((codes != codes[0]).any(axis=0)).tolist()
    chosen: list[tuple[int, ...]] = []
    number = 0
    for depth in range(len(axes) + 1):
        here = list(combinations(axes, depth))
        if depth < len(axes) and number + len(here) > MOST_LEVELS:
            number = MOST_LEVELS
            continue
        number += len(here)
        chosen += here
    grouped = [_grouped(codes[:, one], leaves) for one in chosen]
    sizes = [len(leaf) for _, leaf in grouped]
    begins = np.cumsum([0, *sizes[:-1]])
    rank = np.concatenate([np.arange(one) for one in sizes])
    held = np.zeros((len(chosen), size), dtype=np.bool_)
    for row, one in zip(held, chosen, strict=True):
        row[list(one)] = True
    return _Slices(
        np.array([place for place, _ in grouped]) + begins[:, None],
        np.repeat(np.arange(len(sizes)), sizes),
        np.concatenate([leaf for _, leaf in grouped]),
        held,
        rank,
        PRICE + float(np.log(number)) + np.log(rank + 1),
    )


def _grouped(codes: Codes, leaves: int) -> tuple[Codes, Codes]:
    """(L,) number of the combination of codes that a leaf has, and a leaf of each."""
    key, span = np.zeros(leaves, dtype=np.int64), 1
    for column in codes.T:
        size = int(column.max()) + 1
        if span * size > _DENSE:
            _, key = np.unique(key, return_inverse=True)
            span = int(key.max()) + 1
        key, span = key * size + column, span * size
    if span > _DENSE:
        _, first, key = np.unique(key, return_index=True, return_inverse=True)
        return key, first
    # Without sorting: which combinations occur.
    occurs = np.zeros(span, dtype=np.bool_)
    occurs[key] = True
    place = (np.cumsum(occurs) - 1)[key]
    first = np.empty(int(occurs.sum()), dtype=np.int64)
    first[place] = np.arange(leaves)
    return place, first


def _nested(names: Codes) -> NDArray[np.bool_]:
    """(P, P) whether one of two slices (P, D) holds the other."""
    one, other = names[:, None], names[None]
    holds = ((one < 0) | (one == other)).all(axis=2)
    return np.asarray(holds | holds.T)


def _choose(gain: Array, price: Array, nested: NDArray[np.bool_], most: int) -> list[int]:
    """The set of candidates that gains most, by their leaves' gains (P, L), none in another."""
    chosen: list[int] = []
    chosen, value = _added(gain, price, nested, chosen, most)
    improved = True
    while improved:
        improved = False
        for one in list(chosen):
            other = [place for place in chosen if place != one]
            again, worth = _added(gain, price, nested, other, most, without=one)
            if worth > value + _EQUAL:
                chosen, value, improved = again, worth, True
                break
    return chosen


def _added(
    gain: Array,
    price: Array,
    nested: NDArray[np.bool_],
    chosen: list[int],
    most: int,
    without: int = -1,
) -> tuple[list[int], float]:
    """The set with further candidates, each the one that gains most, and what it gains in all.

    Something has changed, so there is a first one, whatever its price.
    """
    chosen = list(chosen)
    out = np.asarray(nested[chosen].any(axis=0))
    paid = float(price[chosen].sum())
    if without >= 0:
        out[without] = True
    best, value = np.full(gain.shape[1], -np.inf), -np.inf
    if chosen:
        best = gain[chosen].max(axis=0)
        value = float(np.where(best > -np.inf, best, 0.0).sum() - paid)
    while len(chosen) < most:
        with_each = np.maximum(gain, best)
        worth = np.where(with_each > -np.inf, with_each, 0.0).sum(axis=1)
        worth -= paid + price
        worth[out] = -np.inf
        at = int(worth.argmax())
        if worth[at] <= value + _EQUAL:
            break
        chosen.append(at)
        out |= nested[at]
        paid += float(price[at])
        best = with_each[at]
        value = float(worth[at])
    return chosen, value


def _nats(x: Array) -> Array:
    """Of Student's t: how improbable standardised values are."""
    return np.asarray((DEGREES + 1.0) / 2.0 * np.log1p(np.square(x) / DEGREES))


def _changed(actual: Array, expected: Array, deviation: Array, factors: Array) -> Array:
    """Nats of values that changed by factors: what is larger varies more."""
    wider = np.maximum(1.0, factors)
    return np.asarray(_nats((actual - factors * expected) / (wider * deviation)) + np.log(wider))
