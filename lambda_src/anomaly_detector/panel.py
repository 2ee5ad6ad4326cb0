"""Landed rows and scores as arrays: input and output of the detector."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Self

import numpy as np
from numpy.typing import NDArray


def second(moment: datetime) -> np.datetime64:
    """A time as datetime64[s], UTC."""
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "s")


@dataclass(frozen=True)
class Panel:
    """Aggregated values of every slice and measure over consecutive intervals.

    K slices (a combination of dimension values, `*` where rolled up), M measures, T intervals.

    Attributes
    ----------
    starts : (T,) datetime64[s], UTC, ascending; includes intervals without rows.
    dimensions : D names.
    slices : (K, D) object array of str.
    measures : M names.
    values : (T, M, K) float64, NaN if no row landed.
    counts : (T, M, K) float64, number of non-null values aggregated, 0 if none.
    norms : (T, M, K) float32, root of the sum of the squares of the values aggregated in a sum or a
        mean, NaN if unknown; None if it is unknown throughout.
    """

    starts: NDArray[np.datetime64]
    dimensions: tuple[str, ...]
    slices: NDArray[np.object_]
    measures: tuple[str, ...]
    values: NDArray[np.float64]
    counts: NDArray[np.float64]
    norms: NDArray[np.float32] | None = None

    def cut(self, low: int, high: int) -> Self:
        """The intervals `low` to `high`, as views."""
        return replace(
            self,
            starts=self.starts[low:high],
            values=self.values[low:high],
            counts=self.counts[low:high],
            norms=None if self.norms is None else self.norms[low:high],
        )


@dataclass(frozen=True)
class Scores:
    """Scores of every series and interval of a panel; axes T, M, K.

    Attributes
    ----------
    actual, expected, lower, upper : (T, M, K) float64, NaN if missing or not yet learned. Between
        `lower` and `upper` lie 99 % of normal values, or the configured share.
    severity : (T, M, K) float64, 0-100; 50 is the threshold given by the false-event budget.
    direction : (T, M, K) int8, 1 above, -1 below the expected value, otherwise 0.
    anomalous : (T, M, K) bool.
    """

    starts: NDArray[np.datetime64]
    dimensions: tuple[str, ...]
    slices: NDArray[np.object_]
    measures: tuple[str, ...]
    actual: NDArray[np.float64]
    expected: NDArray[np.float64]
    lower: NDArray[np.float64]
    upper: NDArray[np.float64]
    severity: NDArray[np.float64]
    direction: NDArray[np.int8]
    anomalous: NDArray[np.bool_]
