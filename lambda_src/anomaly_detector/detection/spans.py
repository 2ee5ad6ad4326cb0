"""Some intervals of some series, as people name them: planned incidents, judged events."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Self

import numpy as np

from anomaly_detector.config import ROLLED_UP
from anomaly_detector.intervals import Grid
from anomaly_detector.lattice import Lattice, Mask

Values = tuple[tuple[str, tuple[str, ...]], ...]
"""Values of dimensions; of others any."""


@dataclass(frozen=True)
class Span:
    """The intervals that begin in `[first, end)`, seconds since 1970, of the series of some
    measures (all, if there are none) that share leaves with any of the slices.
    """

    measures: tuple[str, ...]
    slices: tuple[Values, ...]
    first: int
    end: int

    @classmethod
    def of(
        cls,
        grid: Grid,
        measures: Iterable[str],
        slices: Iterable[Mapping[str, Sequence[str]]],
        start: datetime,
        end: datetime,
    ) -> Self:
        """The intervals that overlap `[start, end)`, UTC."""
        return cls(
            tuple(measures),
            tuple(tuple((name, tuple(of)) for name, of in one.items()) for one in slices),
            round(grid.floor(start).timestamp()),
            round(end.timestamp()),
        )

    def holds(self, at: int) -> bool:
        """Whether it contains the interval that starts then."""
        return self.first <= at < self.end

    def mask(self, measures: Sequence[str], dimensions: Sequence[str], lattice: Lattice) -> Mask:
        """(M, K) series that it contains; none of a dimension that is gone."""
        held = np.zeros(len(lattice.names), dtype=np.bool_)
        for one in self.slices:
            if any(name not in dimensions for name, _ in one):
                continue
            wanted = [(dimensions.index(name), {*of, ROLLED_UP}) for name, of in one]
            held |= np.array(
                [all(name[axis] in of for axis, of in wanted) for name in lattice.names],
                dtype=np.bool_,
            )
        named = np.array([not self.measures or one in self.measures for one in measures])
        return np.asarray(named[:, None] & held)
