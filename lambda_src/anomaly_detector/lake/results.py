"""Tables of results. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from anomaly_detector.config import Config
from anomaly_detector.errors import PermanentError
from anomaly_detector.events.group import Group
from anomaly_detector.lookout.group import root_cause
from anomaly_detector.panel import Scores

# Milliseconds are INT64 in Parquet, which Glue reads as `timestamp` without conversion.
TIMESTAMP = pa.timestamp("ms", tz="UTC")
_NUMBERS = ("actual", "expected", "lower", "upper", "severity")
_DIRECTIONS = pa.array(["down", "up"], pa.string())
_DAY_MS = 86_400_000


def scores_schema(dimensions: Sequence[str]) -> pa.Schema:
    """Columns of the scores table with these dimensions."""
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
    """One row per interval, measure and slice, in the order of their names.

    Rows without an actual and an expected value are omitted: they precede the first value of a
    slice, and would depend on the window. Missing numbers are null; direction is 'up', 'down' or
    null; interval_start is UTC.
    """
    if scores.dimensions != config.dimensions:
        raise PermanentError(
            f"Scores have the dimensions {scores.dimensions}, the detector has {config.dimensions}."
        )
    intervals, measures, slices = scores.actual.shape
    order = np.argsort(np.array(scores.measures, dtype=object), kind="stable")
    sorted_already = bool(np.all(order[1:] > order[:-1]))
    said = ~(np.isnan(scores.actual) & np.isnan(scores.expected))
    rows: NDArray[np.bool_] | slice = slice(None)
    if not said.all():
        rows = (said if sorted_already else said[:, order]).reshape(-1)

    def column(name: str) -> NDArray[Any]:
        values = getattr(scores, name)
        return np.asarray((values if sorted_already else values[:, order]).reshape(-1)[rows])

    starts = np.repeat(scores.starts.astype("datetime64[ms]").astype(np.int64), measures * slices)
    of_measure = np.tile(np.repeat(np.arange(measures, dtype=np.int32), slices), intervals)
    columns: list[pa.Array] = [
        pa.array(starts[rows], pa.int64()).cast(TIMESTAMP),
        _texts(
            pa.array([scores.measures[place] for place in order], pa.string()), of_measure[rows]
        ),
    ]
    for place in range(len(scores.dimensions)):
        encoded = pa.array(scores.slices[:, place], pa.string()).dictionary_encode()
        codes = np.tile(encoded.indices.to_numpy(), intervals * measures)
        columns.append(_texts(encoded.dictionary, codes[rows]))
    columns.extend(pa.array(column(name), pa.float64(), from_pandas=True) for name in _NUMBERS)
    direction = column("direction")
    up_or_down = pa.array((direction > 0).astype(np.int8), mask=direction == 0)
    columns.append(_texts(_DIRECTIONS, up_or_down))
    columns.append(pa.array(column("anomalous")))
    return pa.Table.from_arrays(columns, schema=scores_schema(scores.dimensions))


def by_interval(table: pa.Table) -> Iterator[tuple[datetime, pa.Table]]:
    """The rows of each interval, by start (UTC, ascending)."""
    for milliseconds, rows in _runs(table, 1):
        yield datetime.fromtimestamp(milliseconds / 1000, UTC), rows


def by_date_until(table: pa.Table, until: datetime) -> Iterator[tuple[datetime, pa.Table]]:
    """Rows of one file each, with the start (UTC) of their first interval: rows of a date before
    `until`, and of an interval from then on.
    """
    edge = int(np.searchsorted(_milliseconds(table), round(until.timestamp() * 1000)))
    for _, rows in _runs(table.slice(0, edge), _DAY_MS):
        yield datetime.fromtimestamp(int(_milliseconds(rows.slice(0, 1))[0]) / 1000, UTC), rows
    yield from by_interval(table.slice(edge))


def by_measure(tables: Sequence[pa.Table]) -> pa.Table:
    """The rows of one interval in the order of `scores_table`, merged from tables in that order
    with different measures.
    """
    runs: list[tuple[str, pa.Table]] = []
    for table in tables:
        names = table["measure"].combine_chunks().dictionary_encode()
        codes = np.asarray(names.indices.to_numpy())
        edges = [0, *(np.flatnonzero(codes[1:] != codes[:-1]) + 1).tolist(), len(codes)]
        runs.extend(
            (names.dictionary[int(codes[low])].as_py(), table.slice(low, high - low))
            for low, high in pairwise(edges)
            if low < high
        )
    ordered = [table for _, table in sorted(runs, key=lambda run: run[0])]
    return pa.concat_tables(ordered or tables)


def anomalies_table(groups: Sequence[Group]) -> pa.Table:
    """One row per group; times are UTC. `slices` and `root_cause` are the JSON of the group's
    `Slices` and `RootCause`, the latter null where there is none.
    """
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
            pa.field("kind", pa.string()),
            pa.field("slices", pa.string()),
            pa.field("root_cause", pa.string()),
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
            "kind": group.kind,
            "slices": _json([dict(one) for one in group.slices]),
            "root_cause": None if group.cause is None else _json(root_cause(group.cause)),
        }
        for group in groups
    ]
    return pa.Table.from_pylist(rows, schema=schema)


def contributions_table(groups: Sequence[Group]) -> pa.Table:
    """One row per group, dimension and value; percentages sum to 100 per dimension."""
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


def _runs(table: pa.Table, divisor: int) -> Iterator[tuple[int, pa.Table]]:
    if not table.num_rows:
        return
    keys = _milliseconds(table) // divisor
    edges = [0, *(np.flatnonzero(keys[1:] != keys[:-1]) + 1).tolist(), len(keys)]
    for low, high in pairwise(edges):
        yield int(keys[low]), table.slice(low, high - low)


def _milliseconds(table: pa.Table) -> NDArray[np.int64]:
    return np.asarray(table["interval_start"].cast(pa.int64()).to_numpy())


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _number(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
