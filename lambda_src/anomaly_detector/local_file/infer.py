"""Proposes a configuration for a file, and says why."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from anomaly_detector.config import RESERVED_COLUMNS, IntervalName, TimestampColumn
from anomaly_detector.errors import PermanentError
from anomaly_detector.intervals import SECONDS
from anomaly_detector.local_file import values
from anomaly_detector.local_file.rows import Source
from anomaly_detector.warehouse.sql import MAX_VALUE_LENGTH

# Formats that are tried where a text is no ISO 8601 time, the likelier first.
_FORMATS: Final = (
    "dd.MM.yyyy HH:mm:ss",
    "dd.MM.yyyy HH:mm",
    "MM/dd/yyyy HH:mm:ss",
    "MM/dd/yyyy HH:mm",
    "MM/dd/yyyy hh:mm:ss a",
    "MM/dd/yyyy hh:mm a",
    "dd/MM/yyyy HH:mm:ss",
    "dd/MM/yyyy HH:mm",
    "dd-MMM-yyyy HH:mm:ss",
    "yyyyMMdd HH:mm:ss",
    "yyyyMMddHHmmss",
    "dd.MM.yyyy",
    "MM/dd/yyyy",
    "dd/MM/yyyy",
)
_TIME_NAME: Final = re.compile(r"time|date|^ts$|_ts$|_at$|^day$|^hour$", re.IGNORECASE)
_MEAN_NAME: Final = re.compile(
    r"(^|_)(avg|average|mean|rate|ratio|pct|percent|share|latency|duration|price|temperature|cpu"
    r"|utili[sz]ation|score|p\d\d)(_|$)",
    re.IGNORECASE,
)
_KEY_NAME: Final = re.compile(r"(^|_)(id|key|code|no|nr|number|zip|uuid)$", re.IGNORECASE)
_MOST_COLUMNS: Final = 10
_MOST_VALUES: Final = 1000
_MOST_SERIES: Final = 50_000
# Detection learns two weeks before it scores; a third of the history more is then scored.
_ENOUGH_INTERVALS: Final = 400
_ENOUGH_DAYS: Final = 60
_ENOUGH_ROWS: Final = 5.0
_SAMPLE: Final = 1000


@dataclass(frozen=True)
class Proposal:
    """The document, in the order in which it reads best, and a line for each thing decided."""

    document: dict[str, Any]
    reasons: tuple[str, ...]


def infer(source: Source, name: str) -> Proposal:
    """Propose timestamp column, interval, measures and dimensions.

    Raises
    ------
    PermanentError
        Where the file is empty or has no column of times, or the rows lie in one interval.
    """
    table = source.read(list(source.types))
    if not table.num_rows:
        raise PermanentError(f"{source.path} holds no rows, only the names of its columns.")
    column = _timestamp(source, table)
    seconds = values.unix_times(table[column.name], column)
    seconds = seconds[seconds != values.MISSING]
    interval, why = _interval(seconds, dates=values.only_dates(table[column.name], column))
    reasons = [f"interval {interval}: {why}"]
    measures: dict[str, dict[str, str]] = {}
    sizes: dict[str, int] = {}
    for other in source.types:
        if other != column.name:
            verdict = _judge(table[other], other)
            if verdict.measure:
                measures[other] = {"aggregation": verdict.measure}
            elif verdict.values:
                sizes[other] = verdict.values
            else:
                reasons.append(f"column '{other}' is left out: {verdict.why}")
    for extra in list(measures)[_MOST_COLUMNS:]:
        del measures[extra]
        reasons.append(f"column '{extra}' is left out: {_MOST_COLUMNS} measures are the most")
    if not measures:
        measures = {column.name: {"aggregation": "COUNT"}}
        reasons.append("no column holds a number to watch, so the rows are counted")
    dimensions = _dimensions(table, sizes, len(measures), reasons)
    stamp = {"name": column.name} | ({"format": column.format} if column.format else {})
    document = {
        "name": re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:32].strip("-") or "detector",
        "interval": interval,
        "timestamp_column": stamp,
        "measures": measures,
        "dimensions": dimensions,
    }
    return Proposal(document, tuple(reasons))


def _timestamp(source: Source, table: pa.Table) -> TimestampColumn:
    named = sorted(source.types, key=lambda name: _TIME_NAME.search(name) is None)
    for name in named:
        kind = source.types[name]
        if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
            return TimestampColumn(name=name)
    for name in named:
        if values.is_text(source.types[name]):
            filled = table[name].drop_null()
            for form in (None, *_FORMATS):
                column = TimestampColumn(name=name, format=form)
                # A day above 12 may come late in the file and tell day from month; where the
                # texts are ISO 8601, one that is not is complained of by its row.
                if (
                    len(filled)
                    and _reads(filled.slice(0, _SAMPLE), column)
                    and (form is None or _reads(filled, column))
                ):
                    return column
    raise PermanentError(
        f"No column of {source.path} holds times that can be read, such as 2022-01-15 04:25:00; "
        f"its columns are: {', '.join(source.types)}."
    )


def _reads(column: pa.ChunkedArray, described: TimestampColumn) -> bool:
    try:
        values.unix_times(column, described)
    except PermanentError:
        return False
    return True


def _interval(seconds: NDArray[np.int64], *, dates: bool) -> tuple[IntervalName, str]:
    distinct = np.unique(seconds)
    if len(distinct) < 2:
        raise PermanentError("All rows have the same time, so there is no interval to be found.")
    coarse_first = sorted(SECONDS, key=lambda one: -SECONDS[one])
    if dates:
        return "P1D", "the times have no time of day"
    for interval in coarse_first:
        if not np.any(distinct % SECONDS[interval]):
            return interval, "all times lie on its grid"
    # Single events: the finest interval that is well filled, and not finer than it need be.
    span = int(distinct[-1] - distinct[0])
    for interval in ("PT1H", "PT30M", "PT15M", "PT10M", "PT5M"):
        rows = len(seconds) * SECONDS[interval] / max(span, 1)
        if interval == "PT1H" and rows < _ENOUGH_ROWS and span >= _ENOUGH_DAYS * SECONDS["P1D"]:
            return "P1D", f"there are {rows:.1f} rows an hour, too few to watch each"
        if span / SECONDS[interval] >= _ENOUGH_INTERVALS:
            return interval, f"single events, {rows:,.0f} rows in each on average"
    return "PT5M", "the history is short"


@dataclass(frozen=True)
class _Verdict:
    measure: str | None = None
    values: int = 0
    why: str = ""


def _judge(column: pa.ChunkedArray, name: str) -> _Verdict:
    filled = column.drop_null()
    if not len(filled):
        return _Verdict(why="it holds no values")
    kind = column.type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_temporal(kind):
        return _Verdict(why=f"it is {kind}")
    distinct = len(pc.unique(filled)) + (len(filled) < len(column))
    if distinct == 1:
        return _Verdict(why="it has one value in all rows")
    number = _number(filled, name)
    if number is not None and not _KEY_NAME.search(name):
        if np.isin(number[np.isfinite(number)], (0.0, 1.0)).all():
            return _Verdict(why="it holds 0 and 1 only, which is a mark and no measure")
        return _Verdict(measure="AVG" if _MEAN_NAME.search(name) else "SUM")
    if distinct > min(_MOST_VALUES, max(20, len(column) // 10)):
        return _Verdict(why=f"{distinct:,} different values are too many to watch each")
    if pa.types.is_floating(kind):
        return _Verdict(why=f"it is {kind}, which cannot tell groups apart")
    if name.lower() in RESERVED_COLUMNS:
        return _Verdict(why="a results column has this name; give it another one")
    longest = pc.max(pc.utf8_length(pc.cast(pc.unique(filled), pa.string()))).as_py()
    if longest > MAX_VALUE_LENGTH:
        return _Verdict(why=f"a value has {longest} characters")
    return _Verdict(values=distinct)


def _number(column: pa.ChunkedArray, name: str) -> NDArray[np.float64] | None:
    try:
        found = values.numbers(column, name)
    except PermanentError:
        return None
    return found if np.isfinite(found).any() else None


def _dimensions(
    table: pa.Table, sizes: dict[str, int], measures: int, reasons: list[str]
) -> list[str]:
    """Columns with few values, as long as their combinations stay within max_series."""
    chosen: list[str] = []
    joined = np.zeros(table.num_rows, dtype=np.int64)
    for name in sorted(sizes, key=lambda one: sizes[one]):
        found, codes = values.keys(table[name], name)
        distinct, together = np.unique(joined * len(found) + codes, return_inverse=True)
        # Pairs and singles come on top; leaves are most of it where there are many.
        if len(chosen) == _MOST_COLUMNS or 2 * len(distinct) * measures > _MOST_SERIES:
            reasons.append(f"column '{name}' is left out: there would be too many series")
            continue
        chosen.append(name)
        joined = together
    return [name for name in table.column_names if name in chosen]
