"""The share of each value of the dimensions in an event."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.config import ROLLED_UP
from anomaly_detector.largest_remainder import apportion
from anomaly_detector.lattice import Lattice

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


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


def holds(coarse: tuple[str, ...], fine: tuple[str, ...]) -> bool:
    """Whether `fine` is the slice `coarse` or lies in it."""
    return all(value in (ROLLED_UP, part) for value, part in zip(coarse, fine, strict=True))
