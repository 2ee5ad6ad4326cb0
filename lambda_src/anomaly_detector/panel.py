"""The array form of landed rows: what the detector reads, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Self

import numpy as np
from numpy.typing import NDArray


def second(moment: datetime) -> np.datetime64:
    """The moment as arrays hold it: UTC, without a zone, in seconds."""
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "s")


@dataclass(frozen=True)
class Panel:
    """Aggregated values of every slice and measure over consecutive intervals.

    K slices (a combination of dimension values, `*` where rolled up), M measures, T intervals.

    Attributes
    ----------
    starts : (T,) datetime64[s], UTC, ascending: every interval of the window, rows or none.
    dimensions : D names.
    slices : (K, D) object array of str.
    measures : M names.
    values : (T, M, K) float64, NaN where no row landed.
    counts : (T, M, K) float64, number of non-null values behind each value, 0 where none.
    landed : (T,) whether any measure of the detector has a value in the interval; None where
        these are all its measures, so that the values tell.
    """

    starts: NDArray[np.datetime64]
    dimensions: tuple[str, ...]
    slices: NDArray[np.object_]
    measures: tuple[str, ...]
    values: NDArray[np.float64]
    counts: NDArray[np.float64]
    landed: NDArray[np.bool_] | None = None

    def cut(self, low: int, high: int) -> Self:
        """The intervals `low` to `high`, as views."""
        return replace(
            self,
            starts=self.starts[low:high],
            values=self.values[low:high],
            counts=self.counts[low:high],
            landed=None if self.landed is None else self.landed[low:high],
        )


@dataclass(frozen=True)
class Scores:
    """What the detector says of every series and interval of a panel; same axes T, M, K.

    Attributes
    ----------
    actual, expected, lower, upper : (T, M, K) float64, NaN where missing or not yet known.
    severity : (T, M, K) float64, 0-100; 50 is the threshold that the false-event budget gives.
    direction : (T, M, K) int8, 1 above, -1 below the expected value, 0 where neither.
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
