"""The slices of a detector and how they lie above each other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.config import ROLLED_UP

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Lattice:
    """K slices by what they hold; a level is the set of dimensions that are not rolled up.

    Attributes
    ----------
    slices : (K, D) object array of str, `*` where rolled up, distinct.
    values : per dimension its values, ascending.
    codes : (K, D) number of each value within its dimension, -1 where rolled up.
    level : (K,) number of the slice's level.
    count : number of levels.
    leaves : (L,) places of the slices of the finest level.
    places : (count, L) place of the slice of each level that holds a leaf, -1 where it is not kept.
    """

    slices: NDArray[np.object_]
    values: tuple[NDArray[np.str_], ...]
    codes: NDArray[np.int64]
    level: NDArray[np.int64]
    count: int
    leaves: NDArray[np.int64]
    places: NDArray[np.int64]

    @classmethod
    def of(cls, slices: NDArray[np.object_]) -> Lattice:
        """The lattice of the (K, D) slices."""
        size, dimensions = slices.shape
        codes = np.full(slices.shape, -1, dtype=np.int64)
        values = []
        for axis in range(dimensions):
            kept = slices[:, axis] != ROLLED_UP
            names, code = np.unique(slices[kept, axis].astype(np.str_), return_inverse=True)
            codes[kept, axis] = code
            values.append(names)
        mask = (codes >= 0) @ (2 ** np.arange(dimensions, dtype=np.int64))
        found, level = np.unique(mask, return_inverse=True)
        depth = (codes >= 0).sum(axis=1)
        leaves = np.nonzero(depth == depth.max(initial=0))[0]
        # One number per slice, by which the slice of a level that holds a leaf is looked up.
        radix = np.array([len(names) + 1 for names in values], dtype=np.int64)
        weights = np.cumprod(np.r_[1, radix[:-1]]) if dimensions else np.empty(0, dtype=np.int64)
        key = (codes + 1) @ weights
        order = np.argsort(key)
        ordered = key[order]
        places = np.full((len(found), len(leaves)), -1, dtype=np.int64)
        for number, kept_axes in enumerate(found):
            held = (int(kept_axes) >> np.arange(dimensions)) & 1
            wanted = (codes[leaves] + 1) @ (weights * held)
            near = np.minimum(np.searchsorted(ordered, wanted), size - 1)
            places[number] = np.where(ordered[near] == wanted, order[near], -1)
        return cls(slices, tuple(values), codes, level.astype(np.int64), len(found), leaves, places)

    @cached_property
    def names(self) -> list[tuple[str, ...]]:
        """The slices as tuples."""
        return [tuple(row) for row in self.slices.tolist()]

    @cached_property
    def index(self) -> dict[tuple[str, ...], int]:
        """Place of each slice."""
        return dict(zip(self.names, range(len(self.names)), strict=True))

    @cached_property
    def _holders(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Every slice with every leaf that it holds, by number: places, and places in `leaves`."""
        level, leaf = np.nonzero(self.places >= 0)
        return self.places[level, leaf], leaf

    def summed(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(K,) values of the leaves (L,), summed over those that each slice holds."""
        places, leaves = self._holders
        return np.bincount(places, values[leaves], len(self.level)).astype(np.float64)

    def overlapping(self, place: int) -> Mask:
        """(K,) slices that may share a leaf with the one at `place`: no dimension holds them
        apart.
        """
        own = self.codes[place]
        fixed = own >= 0
        part = self.codes[:, fixed]
        return np.asarray(((part < 0) | (part == own[fixed])).all(axis=1))

    def held(self, place: int) -> Mask:
        """(L,) leaves that lie in the slice at `place`."""
        own = self.codes[place]
        fixed = own >= 0
        return np.asarray((self.codes[self.leaves][:, fixed] == own[fixed]).all(axis=1))

    def joint(self, one: int, other: int) -> int | None:
        """Place of the smallest slice that holds both, where it is kept."""
        wanted = np.where(self.codes[one] == self.codes[other], self.codes[one], -1)
        at = np.nonzero((self.codes == wanted).all(axis=1))[0]
        return int(at[0]) if len(at) else None
