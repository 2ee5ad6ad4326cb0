"""Stored scores as series on one grid: what charts are drawn from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from anomaly_detector.config import ROLLED_UP, Config
from anomaly_detector.intervals import Grid
from anomaly_detector.panel import Panel, second
from anomaly_detector.report.charts import Line

Array = NDArray[np.float64]
Slice = tuple[str, ...]

NUMBERS = ("actual", "expected", "lower", "upper")


@dataclass(frozen=True)
class Stored:
    """N series over T consecutive intervals.

    Attributes
    ----------
    edges : (T + 1,) datetime64[s], UTC.
    names : measure and slice of each series, `*` where rolled up; ascending.
    values : (4, N, T) float64: actual, expected, lower and upper, NaN where missing.
    anomalous : (N, T) bool.
    """

    edges: NDArray[np.datetime64]
    dimensions: tuple[str, ...]
    names: tuple[tuple[str, Slice], ...]
    values: Array
    anomalous: NDArray[np.bool_]

    @classmethod
    def of(cls, config: Config, table: pa.Table, begin: datetime, end: datetime) -> Self:
        """The rows of a scores table in `[begin, end)`, which are on the interval grid (UTC)."""
        grid = Grid.of(config)
        starts = grid.starts(begin, end)
        edges = np.array([second(one) for one in (*starts, end)], dtype="datetime64[s]")
        columns = [table[name].combine_chunks() for name in ("measure", *config.dimensions)]
        series = np.zeros(table.num_rows, dtype=np.int64)
        for column in columns:
            encoded = column.dictionary_encode()
            codes = np.asarray(encoded.indices.to_numpy(zero_copy_only=False), dtype=np.int64)
            series = series * max(1, len(encoded.dictionary)) + codes
        found, first, place = np.unique(series, return_index=True, return_inverse=True)
        named = [tuple(column[int(row)].as_py() for column in columns) for row in first]
        order = sorted(range(len(found)), key=named.__getitem__)
        rank = np.empty(len(found), dtype=np.int64)
        rank[order] = np.arange(len(found))
        milliseconds = table["interval_start"].cast(pa.int64()).to_numpy()
        at = np.searchsorted(edges[:-1].astype(np.int64), milliseconds // 1000)
        inside = at < len(starts)
        inside[inside] = edges[at[inside]].astype(np.int64) == milliseconds[inside] // 1000
        where = (rank[place[inside]], at[inside])
        values = np.full((len(NUMBERS), len(found), len(starts)), np.nan)
        for number, name in enumerate(NUMBERS):
            column = table[name].to_numpy()
            values[number][where] = column[inside]
        anomalous = np.zeros(values.shape[1:], dtype=np.bool_)
        anomalous[where] = table["anomalous"].to_numpy()[inside]
        names = tuple((named[row][0], tuple(named[row][1:])) for row in order)
        return cls(edges, config.dimensions, names, values, anomalous)

    def after(self, panel: Panel) -> Self:
        """The series with the values of the intervals before, of which nothing was expected.

        Parameters
        ----------
        panel : of intervals up to the first one; series that are not stored are left out.
        """
        size = len(panel.starts)
        if not size:
            return self
        past = np.full((len(NUMBERS), len(self.names), size), np.nan)
        held = {tuple(one): place for place, one in enumerate(panel.slices)}
        for place, (measure, one) in enumerate(self.names):
            if one in held:
                past[0, place] = panel.values[:, panel.measures.index(measure), held[one]]
        return replace(
            self,
            edges=np.concatenate([panel.starts.astype(self.edges.dtype), self.edges]),
            values=np.concatenate([past, self.values], axis=2),
            anomalous=np.pad(self.anomalous, ((0, 0), (size, 0))),
        )

    @cached_property
    def index(self) -> Mapping[tuple[str, Slice], int]:
        """Place of each series."""
        return {name: place for place, name in enumerate(self.names)}

    @cached_property
    def slices(self) -> NDArray[np.object_]:
        """(N, D) slices."""
        found = np.empty((len(self.names), len(self.dimensions)), dtype=object)
        for place, (_, one) in enumerate(self.names):
            found[place] = one
        return found

    @cached_property
    def measures(self) -> NDArray[np.object_]:
        """(N,) measures."""
        return np.array([measure for measure, _ in self.names], dtype=object)

    @cached_property
    def depth(self) -> NDArray[np.int64]:
        """(N,) number of dimensions that are not rolled up."""
        held = (self.slices != ROLLED_UP).astype(np.int64)
        return np.asarray(held.sum(axis=1, initial=0), dtype=np.int64)

    def named(self, measure: str, one: Mapping[str, str]) -> tuple[str, Slice]:
        """The name of a series by a map of dimension to value."""
        return measure, tuple(one.get(name, ROLLED_UP) for name in self.dimensions)

    def place(self, start: datetime) -> int:
        """The first interval that starts at a time (UTC) or later; T if there is none."""
        return int(np.searchsorted(self.edges[:-1], second(start)))

    def edge(self, place: int) -> datetime:
        """The start of an interval, or the end of the last (UTC)."""
        return datetime.fromtimestamp(int(self.edges[place].astype(np.int64)), UTC)

    def line(self, place: int) -> Line:
        """A series."""
        actual, expected, lower, upper = self.values[:, place]
        return Line(self.edges, actual, expected, lower, upper, self.anomalous[place])

    def together(self, places: Sequence[int], *, summed: bool) -> Line:
        """Several series as one: their sum, or the mean of those that are known. Bounds are those
        of independent series.
        """
        if len(places) == 1:
            return self.line(places[0])
        actual, expected, lower, upper = self.values[:, list(places)]
        known = np.isfinite(actual)
        size = 1.0 if summed else np.maximum(known.sum(axis=0), 1)
        total = np.where(known.any(axis=0), np.nansum(actual, axis=0) / size, np.nan)
        middle = np.nansum(expected, axis=0) / (1.0 if summed else len(places))
        middle = np.where(np.isfinite(expected).any(axis=0), middle, np.nan)
        share = 1.0 if summed else len(places)
        below = np.sqrt(np.nansum((expected - lower) ** 2, axis=0)) / share
        above = np.sqrt(np.nansum((upper - expected) ** 2, axis=0)) / share
        anomalous = np.asarray(self.anomalous[list(places)].any(axis=0))
        return Line(self.edges, total, middle, middle - below, middle + above, anomalous)

    def inside(self, measure: str, slices: Sequence[Mapping[str, str]]) -> NDArray[np.int64]:
        """Places of the finest series of a measure that lie in any of the slices."""
        of_measure = self.measures == measure
        finest = of_measure & (self.depth == self.depth[of_measure].max(initial=0))
        held = np.zeros(len(self.names), dtype=np.bool_)
        for one in slices:
            fits = finest.copy()
            for name, value in one.items():
                if name in self.dimensions:
                    fits &= self.slices[:, self.dimensions.index(name)] == value
            held |= fits
        return np.flatnonzero(held)
