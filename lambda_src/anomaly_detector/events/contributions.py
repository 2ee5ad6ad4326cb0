"""Localises an event in the dimensions: the share of each value, and the slices that explain it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.config import ROLLED_UP
from anomaly_detector.largest_remainder import apportion
from anomaly_detector.lattice import Lattice

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

# Among slices that explain nearly as much, the coarsest one is chosen.
_AS_GOOD = 0.97
# A further slice is named if it explains at least this share of what the first one does.
_WORTH_NAMING = 0.2
_MOST_SLICES = 5


def shares(
    lattice: Lattice, dimensions: Sequence[str], deviation: Array, side: int, known: Mask
) -> dict[str, dict[str, float]]:
    """Percentages of the values of each dimension in the deviation, largest first; they sum to 100.

    Values that moved in the other direction, or contribute less than 0.005 %, are left out. Only
    leaves are summed, so that callers can set those outside of the event to zero: the noise of
    large ones would mask it.

    Parameters
    ----------
    deviation : (K,) actual minus expected, summed over the event's intervals; 0 for leaves outside
        the event.
    side : 1 if the event is above the expectation, -1 if below.
    known : (K,) slices that have sums; where no leaf moved, the values of these share equally.
    """
    found = {}
    leaves = lattice.leaves[known[lattice.leaves]]
    for axis, name in enumerate(dimensions):
        codes = lattice.codes[leaves, axis]
        occurring = np.flatnonzero(np.bincount(codes))
        values = lattice.values[axis][occurring]
        sums = np.bincount(codes, deviation[leaves])[occurring]
        weights = np.maximum(0.0, side * sums)
        if weights.sum() <= 0:
            weights = np.abs(sums)
        parts = zip(values.tolist(), apportion(weights.tolist(), 10_000), strict=True)
        kept = {value: round(part / 100, 2) for value, part in parts if part}
        found[name] = dict(sorted(kept.items(), key=lambda item: (-item[1], item[0])))
    return found


def explaining_slices(
    lattice: Lattice, deviation: Array, expected: Array, flagged: Mask, known: Mask
) -> tuple[tuple[str, ...], ...]:
    """The fewest, coarsest slices that explain the event.

    A slice explains its leaves as far as they moved by the same share (the ripple effect of
    Adtributor and Squeeze, Li et al. 2019): its gain is how much of the leaves' absolute deviation
    vanishes when its total deviation is spread over them in proportion to their expectation. The
    slice with the largest gain is taken, then further ones that neither hold it nor lie in it,
    while they are worth naming. Only slices that are anomalous themselves, or half of whose leaves
    are, come into question, so that the usual noise of large slices is not taken for the cause.

    Parameters
    ----------
    deviation, expected : (K,) sums over the event's intervals.
    flagged : (K,) whether the slice was anomalous in any of them.
    known : (K,) slices that have sums; the others count as if they were not kept.

    Returns
    -------
    at least one slice, values with `*` where rolled up.
    """
    leaves = lattice.leaves[known[lattice.leaves]]
    names, codes = _candidates(lattice, leaves)
    rest = deviation[leaves].astype(np.float64)
    weight = np.abs(expected[leaves])
    size = len(names)
    hit = sum(np.bincount(code, flagged[leaves].astype(float), size) for code in codes)
    members = sum(np.bincount(code, minlength=size) for code in codes)
    marked = {lattice.names[place] for place in np.nonzero(flagged & known)[0].tolist()}
    own = np.array([name in marked for name in names])
    eligible = own | (2 * np.asarray(hit) >= np.asarray(members))
    depth = np.array([sum(value != ROLLED_UP for value in name) for name in names])

    chosen: list[int] = []
    first = 0.0
    while len(chosen) < _MOST_SLICES and eligible.any():
        gain, spread = _gains(codes, rest, weight, size)
        gain = np.where(eligible, gain, -np.inf)
        good = gain >= _AS_GOOD * gain.max() if gain.max() > 0 else gain >= gain.max()
        best = min(np.nonzero(good)[0], key=lambda place: (depth[place], -gain[place], place))
        if chosen and gain[best] < _WORTH_NAMING * first:
            break
        first = first or float(gain[best])
        chosen.append(int(best))
        level = int(np.nonzero((codes == best).any(axis=1))[0][0])
        rest = np.where(codes[level] == best, rest - spread[level], rest)
        eligible &= ~np.array([_nested(name, names[best]) for name in names])
        if first <= 0:
            break
    return tuple(sorted(names[place] for place in chosen))


def _candidates(
    lattice: Lattice, leaves: NDArray[np.int64]
) -> tuple[tuple[tuple[str, ...], ...], NDArray[np.int64]]:
    """Every slice of these leaves that may be named, coarse to fine, and (V, L) which of them
    holds a leaf, per level.

    Total and single values may be named even where their roll-ups are not kept.
    """
    size = lattice.codes.shape[1]
    levels = {tuple(bool(kept) for kept in row) for row in np.unique(lattice.codes >= 0, axis=0)}
    for depth in (0, 1):
        for chosen in combinations(range(size), min(depth, size)):
            levels.add(tuple(axis in chosen for axis in range(size)))
    names: dict[tuple[str, ...], int] = {}
    codes = []
    for level in sorted(levels, key=lambda kept: (sum(kept), [not one for one in kept])):
        held = [
            tuple(
                value if keep else ROLLED_UP
                for value, keep in zip(lattice.names[leaf], level, strict=True)
            )
            for leaf in leaves
        ]
        codes.append([names.setdefault(name, len(names)) for name in held])
    return tuple(names), np.array(codes, dtype=np.int64)


def _gains(
    codes: NDArray[np.int64], rest: Array, weight: Array, size: int
) -> tuple[Array, list[Array]]:
    """(V,) gain of each candidate, and per level the deviation it would lend to each leaf."""
    gain = np.zeros(size)
    lent = []
    for code in codes:
        total = np.bincount(code, weight, size)
        members = np.bincount(code, minlength=size)
        portion = np.where(
            total[code] > 0,
            weight / np.where(total[code] > 0, total[code], 1.0),
            1.0 / members[code],
        )
        spread = np.bincount(code, rest, size)[code] * portion
        gain += np.bincount(code, np.abs(rest) - np.abs(rest - spread), size)
        lent.append(spread)
    return gain, lent


def _nested(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    """Whether one of the slices holds the other."""
    return holds(one, other) or holds(other, one)


def holds(coarse: tuple[str, ...], fine: tuple[str, ...]) -> bool:
    """Whether `fine` is the slice `coarse` or lies in it."""
    return all(value in (ROLLED_UP, part) for value, part in zip(coarse, fine, strict=True))
