"""Reads published results back: scores of a time, and the series of a group."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc

from anomaly_detector.config import Config
from anomaly_detector.lake import layout, parquet, results
from anomaly_detector.lake.store import ObjectStore

_DAY = timedelta(days=1)


def scores(
    store: ObjectStore,
    config: Config,
    begin: datetime,
    end: datetime,
    keep: pc.Expression | None = None,
) -> pa.Table:
    """The rows of the scores table of the intervals that start in `[begin, end)`, both on the grid.

    Reads a file per interval, or those of a date where history was scored.

    Parameters
    ----------
    keep : of each file, only these rows are held; None for all.
    """

    def read(body: bytes) -> pa.Table:
        table = parquet.read(body)
        return table if keep is None else table.filter(keep)

    found = store.read_all(list(_keys(store, begin, end)), read)
    rows = pa.concat_tables([results.scores_schema(config.dimensions).empty_table(), *found])
    starts = rows["interval_start"]
    first, last = (pa.scalar(moment, results.TIMESTAMP) for moment in (begin, end))
    return rows.filter(pc.and_(pc.greater_equal(starts, first), pc.less(starts, last)))


def scored_since(store: ObjectStore) -> datetime | None:
    """Start of the first interval that has scores, None if none has."""
    first = next(store.keys(layout.SCORES), None)
    if first is None:
        return None
    day = layout.date_of(first)
    assert day is not None
    starts = [layout.first_scored(key) for key in store.keys(layout.scores_of(day))]
    return min(starts)


def series_of(
    store: ObjectStore, config: Config, start: datetime, group_id: str
) -> list[tuple[str, ...]]:
    """The slices of a group's series, at the finest level of roll-up that it has, by name; none if
    its file is gone.
    """
    stored = store.find(layout.group_file(layout.METRIC_VALUES_CSV, start, group_id))
    if stored is None:
        return []
    rows = csv.DictReader(io.StringIO(stored.body.decode(), newline=""))
    return sorted({tuple(row[name] for name in config.dimensions) for row in rows})


def _keys(store: ObjectStore, begin: datetime, end: datetime) -> Iterator[str]:
    day = begin.astimezone(UTC).date()
    while day <= end.astimezone(UTC).date():
        for key in store.keys(layout.scores_of(day)):
            first = layout.first_scored(key)
            if first < end and (first >= begin or layout.is_of_history(key)):
                yield key
        day += _DAY
