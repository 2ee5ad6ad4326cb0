"""Aggregates the rows of a file into a panel by the very SQL that is sent to a warehouse."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import duckdb
import numpy as np
from numpy.typing import NDArray

from anomaly_detector.config import Config
from anomaly_detector.detection.slots import shown_twice
from anomaly_detector.errors import PermanentError
from anomaly_detector.intervals import Grid, iso
from anomaly_detector.local_file import times
from anomaly_detector.local_file.engine import Engine
from anomaly_detector.local_file.files import Files, fault
from anomaly_detector.local_file.numbers import Decimal
from anomaly_detector.local_file.rows import VIEW, Rows, read_rows
from anomaly_detector.panel import Panel, second
from anomaly_detector.warehouse import sql

# More than this suggests a wrong timestamp, and would exhaust memory.
_MOST_INTERVALS: Final = 1_000_000
_MOST_VALUES: Final = 400_000_000
# Every interval is a multiple of it, and every zone's offset.
_BUCKET: Final = 300
# Largest share of far-off rows that is dropped as wrong.
_MOST_FAR_OFF: Final = 0.05
# Time zones have rules for the years to come, but not for all.
_LAST_RULES: Final = datetime(2036, 1, 1, tzinfo=UTC)
# An incomplete edge needs this many intervals, and is shorter than all but this share of them.
_ENOUGH_INTERVALS: Final = 8
_ODD_INTERVALS: Final = 0.02
_INT = NDArray[np.int64]


@dataclass(frozen=True)
class Aggregated:
    """The file as a panel, and what became of its rows.

    Attributes
    ----------
    config : that of the detector, with the zone in which the times are written.
    begin, end : UTC; the intervals `[begin, end)` from the file's first row to its last.
    rows, undated, filtered : all rows; those without a timestamp, and those that do not pass
        dimension_filters, which are left out.
    held : (T,) rows of each interval.
    said : notes for the user on how the file was read and what was left out.
    """

    config: Config
    panel: Panel
    begin: datetime
    end: datetime
    rows: int
    undated: int
    filtered: int
    held: _INT
    said: tuple[str, ...]


def aggregate(
    config: Config, files: Files, engine: Engine, decimal: Decimal | None = None
) -> Aggregated:
    """Read the columns that the configuration names and aggregate them.

    The order of rows does not matter: sums of decimal numbers are exact, those of floating-point
    numbers are taken in the order of the values.

    Parameters
    ----------
    decimal : decimal separator of the numbers, if the user gave one.

    Raises
    ------
    PermanentError
        With what is wrong with the file, and where.
    """
    try:
        return _aggregate(config, files, engine, decimal)
    except duckdb.Error as error:
        raise fault(files.name, error) from None


def _aggregate(config: Config, files: Files, engine: Engine, decimal: Decimal | None) -> Aggregated:
    rows = read_rows(config, files, engine, decimal)
    grid = Grid.of(config)
    buckets = _buckets(engine, rows)
    said = [*files.said, *rows.said]
    buckets = _without_far_off(buckets, said)
    first, last = _moment(int(buckets.first[0])), _moment(int(buckets.last[-1]))
    times.refuse_other_calendars(config.timestamp_column.name, first.year, last.year)
    begin, end = _span(config, grid, first, last)
    begin, end = _whole(grid, buckets, begin, end, said)
    axis = np.array([second(start) for start in grid.starts(begin, end)])
    held = buckets.of_intervals(axis, end)

    # DuckDB leaves out an alias that differs from its column only by case.
    kinds = {sql.folded(name): kind for name, kind, *_ in engine.rows(f"DESCRIBE {VIEW}")}
    floating = [
        column
        for column, name in sql.measure_columns(config).items()
        if kinds[sql.folded(name)] == "DOUBLE"
    ]
    statement = engine.redshift(sql.aggregate(rows.config, begin, end, history=False), floating)
    # The shard says which function reads a row; here is one.
    engine.rows(
        f"CREATE OR REPLACE TEMP TABLE landed AS SELECT * EXCLUDE (shard) FROM ({statement})"
    )
    panel, passed = landed_panel(config, engine, axis)
    if not len(panel.slices):
        raise PermanentError(f"No row of {files.name} passes dimension_filters.")
    undated = rows.times.rows - rows.times.filled
    filtered = int(held.sum()) - passed
    column = config.timestamp_column.model_copy(
        update={"timezone": rows.config.timestamp_column.timezone}
    )
    config = config.model_copy(update={"timestamp_column": column})
    said += not_scored(grid, axis, column.timezone)
    zones = f"SELECT {sql.zone_seconds(rows.config, min(end, _LAST_RULES))} AS seconds"
    if engine.row(engine.redshift(zones))["seconds"]:
        said.append(
            f"the time zone data of DuckDB for {column.timezone} or {config.timezone} differ from "
            "those of this computer: times may be an hour off; times in UTC would not be"
        )
    return Aggregated(
        config, panel, begin, end, rows.times.rows, undated, filtered, held, tuple(said)
    )


def not_scored(grid: Grid, axis: NDArray[np.datetime64], clock: str) -> list[str]:
    """What is said of times of `clock` that occur twice, in the intervals that start at `axis`."""
    starts = axis[shown_twice(grid, axis, clock)]
    if not len(starts):
        return []
    first = iso(_moment(int(starts[0].astype(np.int64))))
    line = (
        f"{len(starts):,} intervals, the first from {first}, are not scored: clocks in {clock} go "
        "back and show their times twice; times in UTC or with their offset can be told apart"
    )
    return [line]


# --- time ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Buckets:
    """Row counts per five-minute bucket: start, rows, and first and last time (seconds, UTC)."""

    start: _INT
    rows: _INT
    first: _INT
    last: _INT

    def __getitem__(self, kept: slice) -> _Buckets:
        return _Buckets(self.start[kept], self.rows[kept], self.first[kept], self.last[kept])

    def of_intervals(self, axis: NDArray[np.datetime64], end: datetime) -> _INT:
        """(T,) rows of each interval."""
        known = axis.astype("datetime64[s]").astype(np.int64)
        inside = (self.start >= known[0]) & (self.start < int(end.timestamp()))
        place = np.searchsorted(known, self.start[inside], side="right") - 1
        found = np.bincount(place, weights=self.rows[inside], minlength=len(known))
        return found.astype(np.int64)


def _buckets(engine: Engine, rows: Rows) -> _Buckets:
    # No window is asked for: any will do.
    start, end = datetime(2000, 1, 1, tzinfo=UTC), datetime(2000, 1, 2, tzinfo=UTC)
    placed = sql.placed(rows.config, start, end, history=False, window_only=False)
    seconds = "CAST(floor(epoch_us(event_time) / 1000000.0) AS BIGINT)"
    table = engine.table(
        f"SELECT CAST(floor({seconds} / {_BUCKET}.0) AS BIGINT) * {_BUCKET} AS start, "
        f"count(*) AS rows, min({seconds}) AS first, max({seconds}) AS last "
        f"FROM ({engine.redshift(placed)}) WHERE event_time IS NOT NULL AND isfinite(event_time) "
        "GROUP BY 1 ORDER BY 1"
    )
    return _Buckets(*(np.asarray(column.to_numpy(), dtype=np.int64) for column in table.columns))


def _without_far_off(buckets: _Buckets, said: list[str]) -> _Buckets:
    """Drop the few rows at either end that are further away than the others' whole span."""
    total = int(buckets.rows.sum())
    while len(buckets.start) > 2:
        gaps = np.diff(buckets.start)
        at = int(np.argmax(gaps))
        before = int(buckets.rows[: at + 1].sum())
        after = int(buckets.rows.sum()) - before
        late = after <= before
        few, rest = (
            (buckets[at + 1 :], buckets[: at + 1])
            if late
            else (buckets[: at + 1], buckets[at + 1 :])
        )
        apart = int(rest.start[-1] - rest.start[0])
        # Within 5 %, a row of a small file too.
        if min(before, after) > max(1, _MOST_FAR_OFF * total) or gaps[at] <= max(apart, 86_400):
            break
        if int(rest.rows.sum()) < 5 * min(before, after):
            break
        days = int(gaps[at]) // 86_400
        found = [iso(_moment(int(one))) for one in (few.first.min(), few.last.max())]
        shown = found[0] if found[0] == found[1] else f"{found[0]} to {found[1]}"
        count = min(before, after)
        said.append(
            f"{count:,} row{'' if count == 1 else 's'} dated {shown} left out: {days:,} days "
            f"{'after' if late else 'before'} all others"
        )
        buckets = rest
    return buckets


def _moment(seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        raise PermanentError("The file holds times before the year 1 or after 9999.") from None


def _span(config: Config, grid: Grid, first: datetime, last: datetime) -> tuple[datetime, datetime]:
    try:
        begin = grid.floor(first)
        end = grid.shift(grid.floor(last), 1)
    except (OverflowError, ValueError):
        raise PermanentError("The file holds times before the year 1 or after 9999.") from None
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
    return begin, end


def _whole(
    grid: Grid, buckets: _Buckets, begin: datetime, end: datetime, said: list[str]
) -> tuple[datetime, datetime]:
    """Drop a first or last interval that the file covers only in part."""
    starts = np.array([int(start.timestamp()) for start in grid.starts(begin, end)])
    place = np.searchsorted(starts, buckets.start, side="right") - 1
    kept, at = np.unique(place, return_index=True)
    if len(kept) < _ENOUGH_INTERVALS:
        return begin, end
    rows = np.add.reduceat(buckets.rows, at)
    typical = float(np.median(rows))
    last = np.maximum.reduceat(buckets.last, at) - starts[kept]
    first = np.minimum.reduceat(buckets.first, at) - starts[kept]
    short = _moment(int(buckets.last[-1]))
    if rows[-1] < typical and last[-1] < np.quantile(last[:-1], _ODD_INTERVALS, method="lower"):
        end = grid.shift(end, -1)
        said.append(
            f"the last interval, from {iso(end)}, is incomplete and left out: its rows end at "
            f"{short:%H:%M} (UTC), those of the others later"
        )
    if rows[0] < typical and first[0] > np.quantile(first[1:], 1 - _ODD_INTERVALS, method="higher"):
        said.append(
            f"the first interval, from {iso(begin)}, is incomplete and left out: its rows begin at "
            f"{_moment(int(buckets.first[0])):%H:%M} (UTC), those of the others earlier"
        )
        begin = grid.shift(begin, 1)
    return begin, end


# --- values -------------------------------------------------------------------------------------


def landed_panel(config: Config, engine: Engine, axis: NDArray[np.datetime64]) -> tuple[Panel, int]:
    """The rows of the table `landed`, as `sql.aggregate` returns them, as arrays; and the number of
    rows behind them.

    Parameters
    ----------
    axis : (T,) datetime64[s], starts of consecutive intervals, which contain all rows.
    """
    keys = [f"dimension_{place}" for place in range(len(config.dimensions))]
    if keys:
        listed = ", ".join(keys)
        engine.rows(
            "CREATE OR REPLACE TEMP TABLE slices AS SELECT *, row_number() OVER (ORDER BY "
            f"{listed}) - 1 AS slice FROM (SELECT DISTINCT {listed} FROM landed)"
        )
        found = engine.rows(f"SELECT {listed} FROM slices ORDER BY slice")
    else:
        found = engine.rows("SELECT 1 FROM landed LIMIT 1")
        found = [() for _ in found]
    _check_size(config, found, len(axis))
    slices = np.empty((len(found), len(keys)), dtype=object)
    for place, key in enumerate(found):
        slices[place] = key
    shape = (len(axis), len(config.measures), len(found))
    values, counts = np.full(shape, np.nan), np.zeros(shape)
    normed = [place for place, one in enumerate(config.measures.values()) if one.normed]
    norms = np.full(shape, np.nan, dtype=np.float32) if normed else None
    known = axis.astype("datetime64[s]").astype(np.int64)
    columns = [
        f"coalesce(CAST(measure_{place}_{what} AS DOUBLE), {missing}) AS measure_{place}_{what}"
        for place in range(len(config.measures))
        for what, missing in (("value", "'nan'"), ("count", "0"))
    ]
    columns += [
        f"coalesce(measure_{place}_norm, 'nan') AS measure_{place}_norm" for place in normed
    ]
    of_slice = "slice" if keys else "0 AS slice"
    joined = f"landed JOIN slices USING ({', '.join(keys)})" if keys else "landed"
    for batch in engine.batches(
        f"SELECT {of_slice}, epoch(interval_start) AS start, {', '.join(columns)} FROM {joined}"
    ):
        which, start, *numbers = (np.asarray(column.to_numpy()) for column in batch.columns)
        when = np.searchsorted(known, start.astype(np.int64))
        for place in range(len(config.measures)):
            values[when, place, which] = numbers[2 * place]
            counts[when, place, which] = numbers[2 * place + 1]
        for place, norm in zip(normed, numbers[2 * len(config.measures) :], strict=True):
            assert norms is not None
            norms[when, place, which] = norm
    leaf = " AND ".join(f"{key} <> '*'" for key in keys) or "true"
    passed = engine.rows(f"SELECT coalesce(sum(row_count), 0) FROM landed WHERE {leaf}")[0][0]
    panel = Panel(axis, config.dimensions, slices, tuple(config.measures), values, counts, norms)
    return panel, int(passed)


def _check_size(config: Config, slices: list[tuple[str, ...]], intervals: int) -> None:
    series = len(slices) * len(config.measures)
    sizes = Counter(
        {
            name: len({key[place] for key in slices} - {"*"})
            for place, name in enumerate(config.dimensions)
        }
    )
    advice = "take measures out"
    if sizes:
        name, most = sizes.most_common(1)[0]
        advice = (
            f"dimension '{name}' has the most values, {most:,}: remove it, group its rare values, "
            "narrow it with dimension_filters, take 'pairs' out of rollups"
        )
    if config.max_series is not None and series > config.max_series:
        raise PermanentError(
            f"There are {series:,} series ({len(config.measures)} measures times "
            f"{len(slices):,} slices), above max_series ({config.max_series:,}); {advice}, or "
            "raise max_series."
        )
    if series * intervals > _MOST_VALUES:
        raise PermanentError(
            f"{series:,} series over {intervals:,} intervals are more than one machine holds at "
            f"once ({_MOST_VALUES:,} values); {advice}, or give a longer interval."
        )
