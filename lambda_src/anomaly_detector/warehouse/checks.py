"""The query check, before anything is unloaded: its statements and the rules for their results."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from anomaly_detector.config import OF_ANY_TYPE, Config
from anomaly_detector.warehouse import sql
from anomaly_detector.warehouse.query import written_in
from anomaly_detector.warehouse.statement import Column, Result, Value
from anomaly_detector.warehouse.time_format import TimeFormat

_TIMES: Final = frozenset({"timestamp", "timestamptz", "date"})
_TEXTS: Final = frozenset({"varchar", "bpchar", "text", "name"})
_NUMBERS: Final = frozenset({"int2", "int4", "int8", "numeric", "float4", "float8"})
# Types that cannot be cast to text, or whose text is not stable.
_NO_DIMENSION: Final = frozenset(
    {"super", "geometry", "geography", "hllsketch", "varbyte", "float4", "float8"}
)
_SPELLINGS: Final = {
    "smallint": "int2",
    "integer": "int4",
    "int": "int4",
    "bigint": "int8",
    "decimal": "numeric",
    "real": "float4",
    "float": "float8",
    "double": "float8",
    "double precision": "float8",
    "boolean": "bool",
    "char": "bpchar",
    "character": "bpchar",
    "character varying": "varchar",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamptz",
}
_PREFIX: Final = "slices_of"
_END: Final = "end_of_query"
# A TIMESTAMPTZ is cast to a TIMESTAMP in the session's time zone.
_SESSION_SECONDS: Final = " + ".join(
    f"abs(datediff(second, TIMESTAMP '{day} 00:00:00', "
    f"CAST(CAST('{day} 00:00:00+00' AS timestamptz) AS timestamp)))"
    for day in ("2024-01-01", "2024-07-01")
)
# Minimum digits of a sum before the decimal point, and of its headroom over the addends.
_WHOLE_DIGITS: Final = 16
_SPARE_DIGITS: Final = 9


def columns_statement(config: Config, start: datetime, end: datetime) -> str:
    """The query over the sample window `[start, end)`, without rows, for its column names and
    types; if there is a history query, followed by a column `_END` and its names and types.

    Raises
    ------
    PermanentError
        If a query is invalid as text.
    """
    live = sql.rendered_query(config, start, end, history=False)
    if not config.history_query:
        return sql.within_limit(f"SELECT *\nFROM (\n{live}\n) AS source\nWHERE 1 = 0")
    past = sql.rendered_query(config, start, end, history=True)
    return sql.within_limit(
        f"SELECT source.*, 1 AS {_END}, past.*\nFROM (\n{live}\n) AS source\nCROSS JOIN "
        f"(\n{past}\n) AS past\nWHERE 1 = 0"
    )


def judge_columns(config: Config, columns: Sequence[Column]) -> list[str]:
    """Problems of the columns that the queries return, one sentence each; empty if there are
    none.
    """
    names = [column.name for column in columns]
    place = names.index(_END) if config.history_query else len(names)
    problems = _judge_query(config, columns[:place])
    if config.history_query:
        found = _judge_query(config, columns[place + 1 :])
        problems += [f"In history_query: {problem}" for problem in found]
    return problems


def _judge_query(config: Config, columns: Sequence[Column]) -> list[str]:
    problems = []
    found = Counter(column.name for column in columns)
    by_name = {column.name: column for column in columns}
    shown = ", ".join(column.name for column in columns) or "none"
    measured = sql.measure_columns(config).values()
    wanted = [config.timestamp_column.name, *config.dimensions, *measured]
    roles = {config.timestamp_column.name: "timestamp_column"}
    roles |= dict.fromkeys(config.dimensions, "dimension")
    for name in dict.fromkeys(wanted):
        role, folded = roles.get(name, "measure"), sql.folded(name)
        others = [other for other in found if sql.folded(other) == folded]
        if not others:
            problems.append(
                f"Column '{name}' ({role}) is not returned by the query, which returns: {shown}; "
                "add it to the SELECT, or use one of these columns."
            )
        elif len(others) > 1 or found[others[0]] > 1:
            problems.append(
                f"Column '{name}' ({role}) is returned more than once ({', '.join(others)}); "
                "names that differ only in case are the same name: rename the columns with AS."
            )
        elif others[0] != folded:
            problems.append(
                f"Column '{name}' ({role}) is returned as \"{others[0]}\", because "
                "enable_case_sensitive_identifier is on; "
                f'return it in lower case: AS "{folded}".'
            )
        else:
            problems += _judge_type(config, name, role, by_name[folded])
    return problems


def _judge_type(config: Config, name: str, role: str, column: Column) -> list[str]:
    kind = _plain(column.type_name)
    if role == "timestamp_column":
        return _judge_time(config, name, kind)
    if role == "dimension":
        return _judge_dimension(name, kind)
    aggregations = {
        one.aggregation for key, one in config.measures.items() if name in one.columns(key)
    }
    if kind not in _NUMBERS and not aggregations <= OF_ANY_TYPE:
        return [
            (
                f"Column '{name}' (measure) is {kind.upper()}, not a number; cast it in the query "
                f"(CAST({name} AS double precision) AS {name}), or use the aggregation COUNT "
                "or COUNT_DISTINCT."
            )
        ]
    # Redshift sums DECIMAL(p,s) as DECIMAL(38,s).
    whole, spare = 38 - column.scale, 38 - column.precision
    if (
        aggregations & {"SUM", "AVG", "RATIO"}
        and kind == "numeric"
        and whole < _WHOLE_DIGITS
        and spare < _SPARE_DIGITS
    ):
        return [
            (
                f"Column '{name}' (measure) is DECIMAL({column.precision},{column.scale}), whose "
                f"sum has only {whole} digits before the decimal point and could overflow; cast "
                f"it in the query: CAST({name} AS double precision) AS {name}."
            )
        ]
    return []


def _judge_time(config: Config, name: str, kind: str) -> list[str]:
    column = config.timestamp_column
    if kind in _TEXTS:
        if column.format and (config.of_days or not _dates_only(column.format)):
            return []
        if column.format:
            return [_no_time_of_day(config, name, f"has the format '{column.format}'")]
        return [
            (
                f"Column '{name}' (timestamp_column) is {kind.upper()}; set "
                "timestamp_column.format, such as "
                "'yyyy-MM-dd HH:mm:ss', or cast the column in the query."
            )
        ]
    if kind not in _TIMES:
        return [
            (
                f"Column '{name}' (timestamp_column) is {kind.upper()}, not a timestamp; convert "
                "it in the query, "
                "for example timestamp 'epoch' + seconds * interval '1 second'."
            )
        ]
    problems = []
    if column.format:
        problems.append(
            f"Column '{name}' (timestamp_column) is {kind.upper()}, not text; remove "
            "timestamp_column.format."
        )
    if kind == "timestamptz" and not sql.is_utc(column.timezone):
        problems.append(
            f"Column '{name}' (timestamp_column) is TIMESTAMPTZ, which is stored in UTC; set "
            "timestamp_column.timezone "
            f"to 'UTC' (it is '{column.timezone}'). This does not affect the detector's own time "
            "zone."
        )
    if kind == "date" and not config.of_days:
        problems.append(_no_time_of_day(config, name, "is DATE"))
    return problems


def _dates_only(pattern: str) -> bool:
    return TimeFormat.parse(pattern).dates_only


def _no_time_of_day(config: Config, name: str, what: str) -> str:
    return (
        f"Column '{name}' (timestamp_column) {what}, which has no time of day; "
        f"set interval to 'P1D' (it is '{config.interval}'), or return a TIMESTAMP."
    )


def _judge_dimension(name: str, kind: str) -> list[str]:
    if kind == "bool":
        return [
            (
                f"Column '{name}' (dimension) is BOOLEAN, which Redshift cannot cast to text; "
                "write "
                f"CASE WHEN {name} THEN 'true' WHEN NOT {name} THEN 'false' END AS {name}."
            )
        ]
    if kind == "unknown":
        return [
            (
                f"Column '{name}' (dimension) is a literal without a type; cast it in the query: "
                f"CAST('…' AS varchar(64)) AS {name}."
            )
        ]
    if kind in _NO_DIMENSION:
        return [
            (
                f"Column '{name}' (dimension) is {kind.upper()}, which cannot be used to group "
                "rows; cast it to text or an integer in the query, or remove it from dimensions."
            )
        ]
    return []


def _plain(type_name: str) -> str:
    name = re.sub(r"\s*\([^)]*\)", "", type_name.strip().lower())
    return _SPELLINGS.get(name, name)


def series_statement(config: Config, start: datetime, end: datetime, *, history: bool) -> str:
    """One statement over the sample window `[start, end)` that counts rows, and slices per level.

    The result has one row per level: slices_of (`d`, then 1 for each grouped dimension and 0 for
    each rolled-up one), slices, text_bytes, rows_inside, rows_returned, earliest, latest,
    session_seconds, zone_seconds. `read_series` reads it.
    """
    width = len(config.dimensions)
    keys = [f"key_{i}" for i in range(width)]
    levels = tuple(dict.fromkeys([(), *((name,) for name in config.dimensions), *config.levels]))
    marks = [
        "CAST('d' AS varchar(16))",
        *(f"CASE WHEN GROUPING({key}) = 1 THEN '0' ELSE '1' END" for key in keys),
    ]
    inside = (
        f"event_time >= TIMESTAMP '{start.astimezone(UTC):%Y-%m-%d %H:%M:%S}'"
        f" AND event_time < TIMESTAMP '{end.astimezone(UTC):%Y-%m-%d %H:%M:%S}'"
    )
    inner = [
        f"{' || '.join(marks)} AS {_PREFIX}",
        "count(*) AS returned",
        f"sum(CASE WHEN {inside} THEN 1 ELSE 0 END) AS inside",
        "min(event_time) AS earliest",
        "max(event_time) AS latest",
        f"{' + '.join(['0', *map(_landed_bytes, keys)])} AS key_bytes",
    ]
    outer = [
        _PREFIX,
        "sum(CASE WHEN inside > 0 THEN 1 ELSE 0 END) AS slices",
        "sum(CASE WHEN inside > 0 THEN key_bytes ELSE 0 END) AS text_bytes",
        "sum(inside) AS rows_inside",
        "sum(returned) AS rows_returned",
        "CAST(min(earliest) AS varchar(32)) AS earliest",
        "CAST(max(latest) AS varchar(32)) AS latest",
        f"{_SESSION_SECONDS} AS session_seconds",
        f"{sql.zone_seconds(config, end)} AS zone_seconds",
    ]
    # Rows outside the window are counted too, to distinguish a wrong time zone from an empty table.
    rows = sql.placed(config, start, end, history=history, window_only=False)
    kept = sql.kept_values(config)
    where = f"\nWHERE {' AND '.join(kept)}" if kept else ""
    return sql.within_limit(
        f"SELECT {', '.join(outer)}\nFROM (\nSELECT {', '.join(inner)}\nFROM (\n{rows}\n) AS "
        f"placed{where}"
        f"{sql.grouping(config, levels)}\n) AS counted\nGROUP BY {_PREFIX}"
    )


def _landed_bytes(key: str) -> str:
    # A rolled-up value is unloaded as one character.
    return f"CASE WHEN GROUPING({key}) = 1 THEN 1 ELSE max(octet_length({key})) END"


@dataclass(frozen=True)
class SeriesNumbers:
    """Contents of the sample window.

    Attributes
    ----------
    rows_inside, rows_returned : rows inside the window, and all rows that the query returned.
    earliest, latest : UTC text of the first and last row that the query returned.
    slices : slices per level (a tuple of dimension names).
    session_seconds : offset of the session's time zone from UTC, winter and summer added up.
    zone_seconds : see `sql.zone_seconds`.
    text : bytes of a slice's dimension values, on average over the configured levels.
    series : lower bound of the number of series: slices of the configured levels times measures.
    """

    rows_inside: int
    rows_returned: int
    earliest: str | None
    latest: str | None
    slices: dict[tuple[str, ...], int]
    session_seconds: int
    zone_seconds: int
    text: float
    series: int


def read_series(config: Config, result: Result) -> SeriesNumbers:
    """Read the result of `series_statement`."""
    slices: dict[tuple[str, ...], int] = {}
    total: dict[str, Value] = {}
    text = 0
    for row in result.rows():
        marks = str(row[_PREFIX])[1:]
        level = tuple(
            name for name, mark in zip(config.dimensions, marks, strict=True) if mark == "1"
        )
        slices[level] = _number(row["slices"])
        text += _number(row["text_bytes"]) if level in config.levels else 0
        if not level:
            total = row
    kept = sum(slices.get(level, 0) for level in config.levels)
    return SeriesNumbers(
        rows_inside=_number(total.get("rows_inside")),
        rows_returned=_number(total.get("rows_returned")),
        earliest=_text(total.get("earliest")),
        latest=_text(total.get("latest")),
        slices=slices,
        session_seconds=_number(total.get("session_seconds")),
        zone_seconds=_number(total.get("zone_seconds")),
        text=text / max(1, kept),
        series=kept * len(config.measures),
    )


def judge_series(config: Config, numbers: SeriesNumbers) -> list[str]:
    """Problems of what a query returns over the sample window, one sentence each."""
    if numbers.rows_inside == 0:
        return [_nothing(config, numbers)]
    problems = []
    column = config.timestamp_column
    if numbers.session_seconds and (column.format or sql.is_utc(column.timezone)):
        problems.append(
            "The database user's session is not in UTC, so a text or TIMESTAMPTZ value in "
            f"'{column.name}' would be misread; run ALTER USER … SET timezone TO 'UTC'."
        )
    if numbers.zone_seconds:
        zones = " or ".join(dict.fromkeys(written_in(config)))
        problems.append(
            f"The time zone data of the warehouse and of the functions differ for {zones}, between "
            "a year ago and a year from now: use a fixed offset, such as Etc/GMT-1 for UTC+1, or "
            "return UTC from the query and set timestamp_column.timezone to 'UTC'."
        )
    if config.max_series is not None and numbers.series > config.max_series:
        problems.append(_too_many(config, numbers))
    return problems


def _nothing(config: Config, numbers: SeriesNumbers) -> str:
    column = config.timestamp_column
    if numbers.rows_returned == 0:
        filtered = " that pass dimension_filters" if config.dimension_filters else ""
        return (
            f"The query returns no rows{filtered} for the sample window; check that it compares "
            f"'{column.name}' "
            "with >= {{ window_start }} and < {{ window_end }}, that the table contains current "
            "data, and that "
            f"timestamp_column.timezone ('{column.timezone}') is the time zone of the column's "
            "values."
        )
    return (
        f"The query returns {numbers.rows_returned:,} rows, none of them in the sample window: "
        f"'{column.name}' ranges "
        f"from {numbers.earliest} to {numbers.latest} (UTC); check that the query compares this "
        "column with the "
        f"placeholders, and that timestamp_column.timezone ('{column.timezone}') is the time zone "
        "of its values."
    )


def _too_many(config: Config, numbers: SeriesNumbers) -> str:
    count = (
        f"The query yields at least {numbers.series:,} series ({len(config.measures)} measures × "
        f"{numbers.series // len(config.measures):,} slices), more than max_series "
        f"({config.max_series:,})"
    )
    singles = {name: numbers.slices.get((name,), 0) for name in config.dimensions}
    if not singles:
        return f"{count}; raise max_series."
    largest = max(singles, key=lambda name: singles[name])
    return (
        f"{count}; dimension '{largest}' has the most values, {singles[largest]:,}: remove it, "
        "group its rare values in "
        "the query (CASE … ELSE 'other' END), restrict it with dimension_filters, remove 'pairs' "
        "from rollups, "
        "or raise max_series."
    )


def _number(value: Value) -> int:
    return int(float(value)) if value is not None else 0


def _text(value: Value) -> str | None:
    return None if value is None else str(value)
