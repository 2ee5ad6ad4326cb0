"""The slices of a detector and their hierarchy."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.config import ROLLED_UP

Mask = NDArray[np.bool_]

_UNKNOWN = -2


@dataclass(frozen=True)
class _Index:
    """An index of slices by their codes, combined into one number per slice."""

    weights: NDArray[np.int64]
    ordered: NDArray[np.int64]
    order: NDArray[np.int64]

    @classmethod
    def of(cls, codes: NDArray[np.int64], values: Sequence[Sequence[str]]) -> _Index:
        sizes = [len(names) + 1 for names in values]
        weights = np.cumprod([1, *sizes], dtype=np.int64)[:-1]
        numbers = (codes + 1) @ weights
        order = np.argsort(numbers)
        return cls(weights, numbers[order], order)

    def find(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """(N,) indices of the slices with these codes (N, D), -1 if there is none."""
        if not len(self.order):
            return np.full(len(codes), -1, dtype=np.int64)
        wanted = (codes + 1) @ self.weights
        near = np.minimum(np.searchsorted(self.ordered, wanted), len(self.order) - 1)
        return np.where(self.ordered[near] == wanted, self.order[near], -1)


def _coded(slices: NDArray[np.object_], values: Iterable[Iterable[str]]) -> NDArray[np.int64]:
    """(N, D) code of each value in its dimension; -1 for `*`, -2 for unknown values."""
    codes = np.empty(slices.shape, dtype=np.int64)
    for axis, names in enumerate(values):
        number = {name: place for place, name in enumerate(names)} | {ROLLED_UP: -1}
        codes[:, axis] = [number.get(text, _UNKNOWN) for text in slices[:, axis].tolist()]
    return codes


@dataclass(frozen=True)
class Lattice:
    """K slices and which leaves they contain; a level is a set of dimensions not rolled up.

    Attributes
    ----------
    slices : (K, D) object array of str, `*` where rolled up, distinct.
    values : the values of each dimension, ascending.
    codes : (K, D) code of each value in its dimension, -1 where rolled up.
    level : (K,) level of each slice.
    count : number of levels.
    leaves : (L,) indices of the slices of the finest level.
    places : (count, L) index of the slice of each level that contains a leaf, -1 if there is none.
    """

    slices: NDArray[np.object_]
    values: tuple[NDArray[np.object_], ...]
    codes: NDArray[np.int64]
    level: NDArray[np.int64]
    count: int
    leaves: NDArray[np.int64]
    places: NDArray[np.int64]
    _numbered: _Index

    @classmethod
    def of(cls, slices: NDArray[np.object_]) -> Lattice:
        """The lattice of the (K, D) slices."""
        dimensions = slices.shape[1]
        values = [sorted({*slices[:, axis].tolist()} - {ROLLED_UP}) for axis in range(dimensions)]
        codes = _coded(slices, values)
        mask = (codes >= 0) @ (2 ** np.arange(dimensions, dtype=np.int64))
        found, level = np.unique(mask, return_inverse=True)
        depth = (codes >= 0).sum(axis=1)
        leaves = np.flatnonzero(depth == depth.max(initial=0))
        numbered = _Index.of(codes, values)
        places = np.full((len(found), len(leaves)), -1, dtype=np.int64)
        for number, kept_axes in enumerate(found):
            held = (int(kept_axes) >> np.arange(dimensions)) & 1
            places[number] = numbered.find(np.where(held, codes[leaves], -1))
        return cls(
            slices,
            tuple(np.array(names, dtype=object) for names in values),
            codes,
            level.astype(np.int64),
            len(found),
            leaves,
            places,
            numbered,
        )

    def find(self, slices: NDArray[np.object_]) -> NDArray[np.int64]:
        """(N,) indices of the given slices (N, D), -1 if unknown."""
        codes = _coded(slices, self.values)
        places = self._numbered.find(np.maximum(codes, -1))
        return np.where((codes > _UNKNOWN).all(axis=1), places, -1)

    @cached_property
    def names(self) -> list[tuple[str, ...]]:
        """The slices as tuples."""
        return [tuple(row) for row in self.slices.tolist()]

    @cached_property
    def index(self) -> dict[tuple[str, ...], int]:
        """Index of each slice."""
        return dict(zip(self.names, range(len(self.names)), strict=True))

    @cached_property
    def _holders(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """All pairs of a slice and a leaf in it: indices of slices, and indices in `leaves`."""
        level, leaf = np.nonzero(self.places >= 0)
        return self.places[level, leaf], leaf

    @cached_property
    def widest(self) -> Mask:
        """(K,) slices of the levels that no wider level contains."""
        axes = np.zeros((self.count, self.codes.shape[1]), dtype=np.bool_)
        axes[self.level] = self.codes >= 0
        within = (axes[:, None] >= axes[None]).all(axis=2).sum(axis=1)
        return np.asarray((within == 1)[self.level])

    @cached_property
    def wider(self) -> NDArray[np.int64]:
        """(1 + D, K) the widest slices that hold each: the total, and each of its values alone; -1
        where that is rolled up or no slice.
        """
        found = np.full((1 + self.codes.shape[1], len(self.codes)), -1, dtype=np.int64)
        found[0] = self._numbered.find(np.full_like(self.codes, -1))
        for axis, held in enumerate(self.codes.T):
            alone = np.full_like(self.codes, -1)
            alone[:, axis] = held
            found[1 + axis] = np.where(held >= 0, self._numbered.find(alone), -1)
        return found

    def summed(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(…, K) sums of the leaves' values (…, L) that each slice contains."""
        places, leaves = self._holders
        return _totals(places, values.take(leaves, axis=-1), len(self.level))

    def counted(self, slices: Mask) -> NDArray[np.float64]:
        """(…, count) number of selected slices (…, K) of each level."""
        return _totals(self.level, slices, self.count)

    def overlapping(self, place: int) -> Mask:
        """(K,) slices that may share a leaf with the slice `place`: no dimension separates them."""
        own = self.codes[place]
        fixed = own >= 0
        part = self.codes[:, fixed]
        return np.asarray(((part < 0) | (part == own[fixed])).all(axis=1))

    def within(self, place: int) -> Mask:
        """(K,) slices that the slice `place` contains, itself included."""
        own = self.codes[place]
        fixed = own >= 0
        return np.asarray((self.codes[:, fixed] == own[fixed]).all(axis=1))

    def holding(self, place: int) -> Mask:
        """(K,) slices that contain the slice `place`, itself included."""
        return np.asarray(((self.codes < 0) | (self.codes == self.codes[place])).all(axis=1))

    def held(self, place: int) -> Mask:
        """(L,) leaves that the slice `place` contains."""
        own = self.codes[place]
        fixed = own >= 0
        return np.asarray((self.codes[self.leaves][:, fixed] == own[fixed]).all(axis=1))

    def joint(self, one: int, other: int) -> int | None:
        """Index of the smallest slice that contains both, or None if there is none."""
        wanted = np.where(self.codes[one] == self.codes[other], self.codes[one], -1)
        at = np.nonzero((self.codes == wanted).all(axis=1))[0]
        return int(at[0]) if len(at) else None


def _totals(
    places: NDArray[np.int64], values: NDArray[np.generic], size: int
) -> NDArray[np.float64]:
    """(…, size) sums of values (…, N) by index (N,)."""
    *shape, width = values.shape
    rows = values.reshape(math.prod(shape), width)
    totals = np.empty((len(rows), size))
    for total, row in zip(totals, rows, strict=True):
        total[:] = np.bincount(places, row, size)
    return totals.reshape(*shape, size)
