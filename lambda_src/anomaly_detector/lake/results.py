"""Tables that hold results. Pure: values in, tables out."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from anomaly_detector.config import Config
from anomaly_detector.errors import PermanentError
from anomaly_detector.events.group import Group
from anomaly_detector.panel import Scores, second

# Milliseconds are INT64 in Parquet, which Glue's `timestamp` reads; INT96 would need conversion.
TIMESTAMP = pa.timestamp("ms", tz="UTC")
_NUMBERS = ("actual", "expected", "lower", "upper", "severity")
_DIRECTIONS = pa.array(["down", "up"], pa.string())
_DAY_MS = 86_400_000


def scores_schema(dimensions: Sequence[str]) -> pa.Schema:
    """Columns of the scores table, for these dimensions, in the order of the file."""
    return pa.schema(
        [
            pa.field("interval_start", TIMESTAMP),
            pa.field("measure", pa.string()),
            *(pa.field(name, pa.string()) for name in dimensions),
            *(pa.field(name, pa.float64()) for name in _NUMBERS),
            pa.field("direction", pa.string()),
            pa.field("anomalous", pa.bool_()),
        ]
    )


def scores_table(scores: Scores, config: Config) -> pa.Table:
    """One row per interval, measure and slice, in this order; T x M x K rows.

    Missing numbers are null; direction is 'up', 'down' or null; interval_start is UTC.
    """
    if scores.dimensions != config.dimensions:
        raise PermanentError(
            f"Scores have the dimensions {scores.dimensions}, the detector has {config.dimensions}."
        )
    intervals, measures, slices = scores.actual.shape

    starts = np.repeat(scores.starts.astype("datetime64[ms]").astype(np.int64), measures * slices)
    of_measure = np.tile(np.repeat(np.arange(measures, dtype=np.int32), slices), intervals)
    columns: list[pa.Array] = [
        pa.array(starts, pa.int64()).cast(TIMESTAMP),
        _texts(pa.array(scores.measures, pa.string()), of_measure),
    ]
    for place in range(len(scores.dimensions)):
        encoded = pa.array(scores.slices[:, place], pa.string()).dictionary_encode()
        codes = np.tile(encoded.indices.to_numpy(), intervals * measures)
        columns.append(_texts(encoded.dictionary, codes))
    columns.extend(
        pa.array(getattr(scores, name).reshape(-1), pa.float64(), from_pandas=True)
        for name in _NUMBERS
    )
    direction = scores.direction.reshape(-1)
    up_or_down = pa.array((direction > 0).astype(np.int8), mask=direction == 0)
    columns.append(_texts(_DIRECTIONS, up_or_down))
    columns.append(pa.array(scores.anomalous.reshape(-1)))
    return pa.Table.from_arrays(columns, schema=scores_schema(scores.dimensions))


def known(table: pa.Table) -> pa.Table:
    """Scores without rows that say nothing: a slice that appears late in a window was not
    known before.

    A crawl over fewer intervals would not have such rows, and what is stored must not depend on
    that.
    """
    said = pc.or_(pc.is_valid(table["actual"]), pc.is_valid(table["expected"]))
    return table.filter(said)


def in_order(table: pa.Table, config: Config) -> pa.Table:
    """Scores by interval, measure and slice, as they are stored."""
    order = ("interval_start", "measure", *config.dimensions)
    return table.sort_by([(name, "ascending") for name in order])


def scores_from_table(
    table: pa.Table, config: Config, starts: NDArray[np.datetime64] | None = None
) -> Scores:
    """Read back what `scores_table` made; tables of several shards may have been concatenated.

    Parameters
    ----------
    table : columns of `scores_schema`, rows in any order; a row that lacks reads as missing.
    starts : (T,) datetime64[s], UTC, the intervals of the window; without it those in the table.

    Raises
    ------
    PermanentError
        Where a column lacks, or an interval is not in `starts`, or a measure is not configured.
    """
    lacking = [
        name for name in scores_schema(config.dimensions).names if name not in table.column_names
    ]
    if lacking:
        raise PermanentError(f"The scores table lacks the column '{lacking[0]}'.")
    begins = np.asarray(table["interval_start"].cast(TIMESTAMP).cast(pa.int64()).to_numpy()) // 1000
    begins = begins.astype("datetime64[s]")
    axis = np.unique(begins) if starts is None else starts.astype("datetime64[s]")
    when = np.searchsorted(axis, begins)
    if len(begins) and (when.max() >= len(axis) or np.any(axis[when] != begins)):
        raise PermanentError("The scores table holds an interval outside the window.")
    measures = tuple(config.measures)
    which = pc.index_in(table["measure"], value_set=pa.array(measures, pa.string()))
    if which.null_count:
        raise PermanentError("The scores table holds a measure that the detector does not have.")
    what = np.asarray(which.to_numpy())
    slices, who = _slices(table, config.dimensions)
    shape = (len(axis), len(measures), len(slices))

    def spread(values: NDArray[Any], empty: float) -> NDArray[Any]:
        found = np.full(shape, empty, dtype=values.dtype)
        found[when, what, who] = values
        return found

    numbers = {
        name: spread(np.asarray(table[name].to_numpy(), dtype=np.float64), np.nan)
        for name in _NUMBERS
    }
    up = _flags(pc.equal(table["direction"], "up")).astype(np.int8)
    down = _flags(pc.equal(table["direction"], "down")).astype(np.int8)
    return Scores(
        starts=axis,
        dimensions=config.dimensions,
        slices=slices,
        measures=measures,
        **(numbers | {"severity": np.nan_to_num(numbers["severity"])}),
        direction=spread((up - down).astype(np.int8), 0),
        anomalous=spread(_flags(table["anomalous"]), False),
    )


def by_interval(table: pa.Table) -> Iterator[tuple[datetime, pa.Table]]:
    """Each interval start (UTC, ascending) with its rows."""
    for milliseconds, rows in _runs(table, 1):
        yield datetime.fromtimestamp(milliseconds / 1000, UTC), rows


def by_date(table: pa.Table) -> Iterator[tuple[date, pa.Table]]:
    """Each date (UTC, ascending) with the rows of the intervals that start on it."""
    for day, rows in _runs(table, _DAY_MS):
        yield datetime.fromtimestamp(day * 86_400, UTC).date(), rows


def window(scores: Scores, begin: datetime, end: datetime) -> Scores:
    """The part of `scores` whose intervals start in `[begin, end)` (UTC), as views."""
    low, high = np.searchsorted(scores.starts, [second(begin), second(end)])
    cut = np.s_[low:high]
    return Scores(
        starts=scores.starts[cut],
        dimensions=scores.dimensions,
        slices=scores.slices,
        measures=scores.measures,
        actual=scores.actual[cut],
        expected=scores.expected[cut],
        lower=scores.lower[cut],
        upper=scores.upper[cut],
        severity=scores.severity[cut],
        direction=scores.direction[cut],
        anomalous=scores.anomalous[cut],
    )


def anomalies_table(groups: Sequence[Group]) -> pa.Table:
    """One row per group; times are UTC."""
    schema = pa.schema(
        [
            pa.field("group_id", pa.string()),
            pa.field("measure", pa.string()),
            pa.field("start_time", TIMESTAMP),
            pa.field("end_time", TIMESTAMP),
            pa.field("severity", pa.float64()),
            pa.field("direction", pa.string()),
            pa.field("state", pa.string()),
            pa.field("actual", pa.float64()),
            pa.field("expected", pa.float64()),
            pa.field("series_count", pa.int32()),
        ]
    )
    rows = [
        {
            "group_id": group.id,
            "measure": group.measure,
            "start_time": group.start,
            "end_time": group.end,
            "severity": group.severity,
            "direction": group.direction,
            "state": group.state,
            "actual": _number(group.actual),
            "expected": _number(group.expected),
            "series_count": group.series_count,
        }
        for group in groups
    ]
    return pa.Table.from_pylist(rows, schema=schema)


def contributions_table(groups: Sequence[Group]) -> pa.Table:
    """One row per group, dimension and value; percentages, which sum to 100 per dimension."""
    schema = pa.schema(
        [
            pa.field("group_id", pa.string()),
            pa.field("measure", pa.string()),
            pa.field("start_time", TIMESTAMP),
            pa.field("dimension", pa.string()),
            pa.field("value", pa.string()),
            pa.field("contribution", pa.float64()),
        ]
    )
    rows = [
        {
            "group_id": group.id,
            "measure": group.measure,
            "start_time": group.start,
            "dimension": dimension,
            "value": value,
            "contribution": share,
        }
        for group in groups
        for dimension, shares in group.contributions.items()
        for value, share in shares.items()
    ]
    return pa.Table.from_pylist(rows, schema=schema)


def _texts(values: pa.Array, codes: NDArray[np.int32] | pa.Array) -> pa.Array:
    return pa.DictionaryArray.from_arrays(pa.array(codes), values).cast(pa.string())


def _slices(
    table: pa.Table, dimensions: Sequence[str]
) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """The (K, D) distinct slices in order of first appearance, and the slice of each row."""
    rows = table.num_rows
    key = np.zeros(rows, dtype=np.int64)
    values: list[NDArray[np.object_]] = []
    codes: list[NDArray[np.int64]] = []
    for name in dimensions:
        encoded = table[name].combine_chunks().dictionary_encode()
        values.append(np.array(encoded.dictionary.to_pylist(), dtype=object))
        codes.append(np.asarray(encoded.indices.to_numpy(), dtype=np.int64))
        # Made dense after every dimension, so that the product of their sizes cannot overflow.
        _, key = np.unique(key * max(1, len(values[-1])) + codes[-1], return_inverse=True)
    _, first, key = np.unique(key, return_index=True, return_inverse=True)
    order = np.argsort(first, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    slices = np.empty((len(first), len(dimensions)), dtype=object)
    for place in range(len(dimensions)):
        slices[:, place] = values[place][codes[place][first[order]]]
    return slices, rank[key] if rows else np.zeros(0, dtype=np.int64)


def _runs(table: pa.Table, divisor: int) -> Iterator[tuple[int, pa.Table]]:
    if not table.num_rows:
        return
    keys = np.asarray(table["interval_start"].cast(pa.int64()).to_numpy()) // divisor
    if np.any(keys[1:] < keys[:-1]):
        order = np.argsort(keys, kind="stable")
        table, keys = table.take(pa.array(order)), keys[order]
    edges = [0, *(np.flatnonzero(keys[1:] != keys[:-1]) + 1).tolist(), len(keys)]
    for low, high in pairwise(edges):
        yield int(keys[low]), table.slice(low, high - low)


def _flags(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    return np.asarray(pc.fill_null(column, False).to_numpy(zero_copy_only=False), dtype=np.bool_)


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
