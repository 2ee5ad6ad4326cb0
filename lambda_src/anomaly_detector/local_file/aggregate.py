"""Aggregates rows into a panel, by the rules of `warehouse.sql.aggregate`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from anomaly_detector.config import Aggregation, Config
from anomaly_detector.errors import PermanentError
from anomaly_detector.intervals import Grid, iso, second
from anomaly_detector.local_file import values
from anomaly_detector.local_file.rows import Source
from anomaly_detector.panel import ROLLED_UP, Panel

# Beyond these a wrong timestamp is more likely than so much data, and memory would end.
_MOST_INTERVALS = 1_000_000
_MOST_VALUES = 400_000_000
# Up to here distinct numbers are marked instead of sorted, which takes a tenth of the time.
_MOST_MARKS = 20_000_000


@dataclass(frozen=True)
class Aggregated:
    """The file as a panel, and what became of its rows.

    Attributes
    ----------
    begin, end : UTC; the intervals `[begin, end)` from the file's first row to its last.
    rows, undated, filtered : all rows; those without a timestamp, and those that do not pass
        dimension_filters, which are left out.
    """

    panel: Panel
    begin: datetime
    end: datetime
    rows: int
    undated: int
    filtered: int


def aggregate(config: Config, source: Source) -> Aggregated:
    """Read the columns that the configuration names and aggregate them.

    Sums are taken in the order of the values, so that the order of rows does not matter, not even
    in the last digit.

    Raises
    ------
    PermanentError
        With what is wrong with the file, and where.
    """
    described = config.timestamp_column
    names = {
        name: source.name_of(name)
        for name in (described.name, *config.dimensions, *config.measures)
    }
    table = source.read(list(names.values()))
    if not table.num_rows:
        raise PermanentError(f"{source.path} holds no rows, only the names of its columns.")
    times = table[names[described.name]]
    seconds = values.unix_times(times, described)
    dated = seconds != values.MISSING
    if not dated.any():
        raise PermanentError(
            f"Column '{described.name}' (timestamp_column) of {source.path} has no value."
        )
    if config.interval != "P1D" and values.only_dates(times, described):
        raise PermanentError(
            f"Column '{described.name}' (timestamp_column) holds dates without a time of day; set "
            f"interval to 'P1D' (it is '{config.interval}')."
        )
    grid = Grid.of(config)
    begin, end = _span(grid, seconds[dated])
    _check_span(config, grid, begin, end)
    keys = [values.keys(table[names[name]], name) for name in config.dimensions]
    kept = dated & _passing(config, keys)
    if not kept.any():
        raise PermanentError(f"No row of {source.path} passes dimension_filters.")
    when = _places(grid, seconds[kept], begin, end)
    leaves, which = _leaves([(found, codes[kept]) for found, codes in keys], int(kept.sum()))
    rolled = _levels(config, leaves)
    _check_size(config, keys, len(rolled.slices), grid.count(begin, end))

    axis = np.array([second(start) for start in grid.starts(begin, end)])
    shape = (len(rolled.slices), len(config.measures), len(axis))
    found, counts = np.empty(shape), np.empty(shape)
    cells = _Cells(which * len(axis) + when, (len(leaves), len(axis)))
    for place, (name, measure) in enumerate(config.measures.items()):
        column = table[names[name]]
        _measure(
            measure.aggregation,
            column,
            name,
            kept,
            cells,
            rolled,
            found[:, place],
            counts[:, place],
        )
    slices = np.empty((len(rolled.slices), len(config.dimensions)), dtype=object)
    for place, key in enumerate(rolled.slices):
        slices[place] = key
    panel = Panel(axis, config.dimensions, slices, tuple(config.measures), found, counts)
    undated = int((~dated).sum())
    filtered = table.num_rows - undated - int(kept.sum())
    return Aggregated(panel, begin, end, table.num_rows, undated, filtered)


@dataclass(frozen=True)
class _Cells:
    """The leaf and interval of each kept row, and their number of each."""

    of_row: NDArray[np.int64]
    shape: tuple[int, int]

    def count(self, rows: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Rows of each cell (L, T)."""
        found = np.bincount(self.of_row[rows], minlength=self.shape[0] * self.shape[1])
        return found.reshape(self.shape).astype(np.float64)

    def reduce(
        self, aggregation: Aggregation, rows: NDArray[np.bool_], numbers: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Sum, smallest or largest number of each cell (L, T); 0 or infinity where it has none."""
        order = np.argsort(numbers)
        order = order[rows[order]]
        cells, numbers = self.of_row[order], numbers[order]
        size = self.shape[0] * self.shape[1]
        found: NDArray[np.float64]
        if aggregation in ("SUM", "AVG"):
            found = np.bincount(cells, weights=numbers, minlength=size).astype(np.float64)
        elif aggregation == "MAX":
            found = np.full(size, -np.inf)
            found[cells] = numbers  # of several the last stays, which is the largest
        else:
            found = np.full(size, np.inf)
            found[cells[::-1]] = numbers[::-1]
        return found.reshape(self.shape)


@dataclass(frozen=True)
class _Rolled:
    """Slices of all levels, and the leaves below each: `leaf` at `[first[k], first[k + 1])`."""

    slices: list[tuple[str, ...]]
    leaf: NDArray[np.int64]
    first: NDArray[np.int64]

    def reduce(self, ufunc: np.ufunc, of_leaves: NDArray[np.float64]) -> NDArray[np.float64]:
        """(K, T) over slices of (L, T) over leaves."""
        found = np.empty((len(self.slices), of_leaves.shape[1]))
        for slice_, (low, high) in enumerate(zip(self.first, self.first[1:], strict=False)):
            below = self.leaf[low:high]
            found[slice_] = (
                of_leaves[below[0]] if len(below) == 1 else ufunc.reduce(of_leaves[below])
            )
        return found


def _measure(
    aggregation: Aggregation,
    column: pa.ChunkedArray,
    name: str,
    kept: NDArray[np.bool_],
    cells: _Cells,
    rolled: _Rolled,
    found: NDArray[np.float64],
    counts: NDArray[np.float64],
) -> None:
    """Fill values and counts (K, T) of one measure."""
    numbers = None if aggregation == "COUNT" else values.numbers(column, name)[kept]
    filled = values.filled(column)[kept] if numbers is None else ~np.isnan(numbers)
    counts[:] = rolled.reduce(np.add, cells.count(filled))
    if numbers is None:
        rows = rolled.reduce(np.add, cells.count(np.ones_like(filled)))
        found[:] = np.where(rows > 0, counts, np.nan)
        return
    ufunc = {"MIN": np.minimum, "MAX": np.maximum}.get(aggregation, np.add)
    with np.errstate(over="ignore", invalid="ignore"):
        reduced = rolled.reduce(ufunc, cells.reduce(aggregation, filled, numbers))
        if aggregation == "AVG":
            reduced = reduced / np.maximum(counts, 1.0)
    found[:] = np.where(counts > 0, reduced, np.nan)


def _span(grid: Grid, seconds: NDArray[np.int64]) -> tuple[datetime, datetime]:
    try:
        first = grid.floor(datetime.fromtimestamp(int(seconds.min()), UTC))
        last = grid.floor(datetime.fromtimestamp(int(seconds.max()), UTC))
        return first, grid.shift(last, 1)
    except (OverflowError, ValueError, OSError):
        raise PermanentError("The file holds times before the year 1 or after 9999.") from None


def _check_span(config: Config, grid: Grid, begin: datetime, end: datetime) -> None:
    count = grid.count(begin, end)
    if count == 1:
        raise PermanentError(
            f"All rows lie in one interval of {config.interval}, which starts at {iso(begin)}: "
            "give more rows, or a shorter interval."
        )
    if count > _MOST_INTERVALS:
        raise PermanentError(
            f"The rows run from {iso(begin)} to {iso(end)}, which is {count:,} intervals of "
            f"{config.interval}; at most {_MOST_INTERVALS:,} are taken: take out rows with a wrong "
            "time, or give a longer interval."
        )


def _check_size(
    config: Config,
    keys: list[tuple[NDArray[np.object_], NDArray[np.int64]]],
    slices: int,
    intervals: int,
) -> None:
    series = slices * len(config.measures)
    most = max(
        zip(config.dimensions, (len(np.unique(codes)) for _, codes in keys), strict=True),
        key=lambda pair: pair[1],
        default=None,
    )
    advice = (
        f"dimension '{most[0]}' has the most values, {most[1]:,}: remove it, group its rare "
        "values, narrow it with dimension_filters, take 'pairs' out of rollups"
        if most
        else "take measures out"
    )
    if series > config.max_series:
        raise PermanentError(
            f"The file gives {series:,} series ({len(config.measures)} measures times {slices:,} "
            f"slices), above max_series ({config.max_series:,}); {advice}, or raise max_series."
        )
    if series * intervals > _MOST_VALUES:
        raise PermanentError(
            f"{series:,} series over {intervals:,} intervals are more than one machine holds at "
            f"once ({_MOST_VALUES:,} values); {advice}, or give a longer interval."
        )


def _passing(
    config: Config, keys: list[tuple[NDArray[np.object_], NDArray[np.int64]]]
) -> NDArray[np.bool_]:
    passing: NDArray[np.bool_] = np.array(True)
    for name, (found, codes) in zip(config.dimensions, keys, strict=True):
        wanted = config.dimension_filters.get(name)
        if wanted:
            passing = passing & np.isin(found.astype(np.str_), wanted)[codes]
    return passing


def _places(
    grid: Grid, seconds: NDArray[np.int64], begin: datetime, end: datetime
) -> NDArray[np.int64]:
    """Interval of each row, counted from `begin`."""
    if grid.interval != "P1D":
        return (seconds - int(begin.timestamp())) // grid.seconds
    starts = np.array([int(start.timestamp()) for start in grid.starts(begin, end)])
    return np.searchsorted(starts, seconds, side="right").astype(np.int64) - 1


def _leaves(
    keys: list[tuple[NDArray[np.object_], NDArray[np.int64]]], rows: int
) -> tuple[list[tuple[str, ...]], NDArray[np.int64]]:
    """The combinations that occur, ascending, and that of each row."""
    joined = np.zeros(rows, dtype=np.int64)
    codes = np.zeros((0, 1), dtype=np.int64)
    for found, of_row in keys:
        # Made dense after every dimension, so that the product of their sizes cannot overflow.
        distinct, joined = _dense(joined * len(found) + of_row, codes.shape[1] * len(found))
        before, own = np.divmod(distinct, len(found))
        codes = np.vstack([codes[:, before], own[None]])
    names = [found[row] for (found, _), row in zip(keys, codes, strict=True)]
    return (list(zip(*names, strict=True)) if names else [()]), joined


def _dense(numbers: NDArray[np.int64], size: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The distinct numbers, ascending, and the place of each; all are below `size`."""
    if size > _MOST_MARKS:
        distinct, place = np.unique(numbers, return_inverse=True)
        return distinct, place.astype(np.int64)
    seen = np.zeros(size, dtype=np.bool_)
    seen[numbers] = True
    return np.flatnonzero(seen), (np.cumsum(seen) - 1)[numbers]


def _levels(config: Config, leaves: list[tuple[str, ...]]) -> _Rolled:
    held: dict[tuple[str, ...], list[int]] = {}
    for level in config.levels:
        kept = [name in level for name in config.dimensions]
        of_level: dict[tuple[str, ...], list[int]] = {}
        for place, leaf in enumerate(leaves):
            key = tuple(
                value if keep else ROLLED_UP for value, keep in zip(leaf, kept, strict=True)
            )
            of_level.setdefault(key, []).append(place)
        held |= of_level
    slices = sorted(held)
    sizes = [len(held[key]) for key in slices]
    below = np.array([place for key in slices for place in held[key]], dtype=np.int64)
    return _Rolled(slices, below, np.concatenate(([0], np.cumsum(sizes))))
