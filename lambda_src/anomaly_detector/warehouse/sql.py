"""The SQL that is sent to the warehouse, as pure functions over the user's query.

Names: every column is referenced by a quoted name in lower case, because Redshift folds names to
lower case, including quoted ones, unless `enable_case_sensitive_identifier` is on; in that case the
query must return its columns in lower case (the query check reports it).

Time: a TIMESTAMP, or a text with a time of day, is wall-clock time in `timestamp_column.timezone`.
A DATE, or a text without a time of day, is a whole day in the detector's time zone. A TIMESTAMPTZ
is cast to TIMESTAMP in the session's time zone, so it needs `timestamp_column.timezone` 'UTC' and a
session in UTC (`checks` verifies both). Only the warehouse knows the type of the column; the SQL is
correct for each of them.

Dimension values: values are compared character by character, whatever the collation, without
trailing blanks, as Redshift does. The name of a value is the value itself, with a few exceptions
(`_key`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Final, Literal
from zoneinfo import ZoneInfo

from anomaly_detector.config import (
    APPROXIMATED,
    PERCENTILES,
    ROLLED_UP,
    Config,
    IntervalName,
    Measure,
)
from anomaly_detector.errors import PermanentError
from anomaly_detector.intervals import Grid
from anomaly_detector.warehouse.query import (
    outer_words,
    render,
    timestamp_literal,
    validate,
    wall_bounds,
    written_in,
)
from anomaly_detector.warehouse.time_format import TimeFormat
from anomaly_detector.warehouse.tokens import tokenize

__all__ = [
    "aggregate",
    "aggregated_value",
    "folded",
    "grouping",
    "identifier",
    "interval_start",
    "is_utc",
    "kept_values",
    "literal",
    "measure_columns",
    "placed",
    "render",
    "rendered_query",
    "unload",
    "validate",
    "value_names",
    "wall_bounds",
    "within_limit",
    "zone_seconds",
]

NULL_VALUE: Final = "(null)"
# Name of a dimension value '*', to distinguish it from a roll-up.
STAR_VALUE: Final = "(*)"
# The name of a longer value is its beginning and its MD5, of this total length.
MAX_VALUE_LENGTH: Final = 256
_MD5_LENGTH: Final = 32
# The Data API documents 100 KB, not whether that is 100,000 or 102,400 bytes; the smaller is safe.
MAX_STATEMENT_BYTES: Final = 100_000

# Up to here, doubles are exact integers.
_MOST_COUNT: Final = 2**53
_MOST_SQUARED: Final = "1e30"
# In Redshift, a week begins on Monday.
_TRUNCATED: Final[Mapping[IntervalName, str]] = {"P1D": "day", "P1W": "week", "P1M": "month"}
_UNIT_SEPARATOR: Final = "chr(31)"
_UTC_NAMES: Final = frozenset(
    {"UTC", "Etc/UTC", "GMT", "Etc/GMT", "Zulu", "Etc/Zulu", "UCT", "Etc/UCT"}
)
_ROLE: Final = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+")


def folded(name: str) -> str:
    """A name as Redshift stores it: ASCII letters in lower case."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in name)


def identifier(name: str) -> str:
    """A column's name, folded and quoted."""
    return '"' + folded(name).replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text literal, with quotes and backslashes doubled: both are escape characters."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _utc(moment: datetime) -> str:
    return timestamp_literal(moment.astimezone(UTC))


def _event_time(config: Config) -> str:
    column, days_of = config.timestamp_column, config.timezone
    raw = f"source.{identifier(column.name)}"
    if column.format:
        form = TimeFormat.parse(column.format)
        text = raw
        for word in sorted(form.blanked, key=len, reverse=True):
            text = f"replace({text}, {literal(word)}, ' ')"
        # TO_TIMESTAMP assumes the session's time zone and the cast converts back to it, so that
        # the session's time zone cancels out.
        wall = f"CAST(to_timestamp({text}, {literal(form.redshift)}) AS timestamp)"
        return _of_day(wall, days_of) if form.dates_only else _of_zone(wall, column.timezone)
    wall = f"CAST({raw} AS timestamp)"
    if not config.of_days or (is_utc(column.timezone) and is_utc(days_of)):
        return _of_zone(wall, column.timezone)
    # As text, a DATE has ten characters; every other type has more.
    return (
        f"CASE WHEN len(CAST({raw} AS varchar(64))) = 10 THEN {_of_day(wall, days_of)} "
        f"ELSE {_of_zone(wall, column.timezone)} END"
    )


def _of_zone(wall: str, timezone: str) -> str:
    return _converted(wall, timezone, "UTC")


def _of_day(midnight: str, timezone: str) -> str:
    # Noon identifies a day; midnight may be skipped or occur twice.
    return _of_zone(f"dateadd(hour, 12, {midnight})", timezone)


def zone_seconds(config: Config, end: datetime) -> str:
    """SQL of the seconds by which the warehouse's time zone data differ from the package's, summed
    over one instant of each month in the year before and the year after `end`: the warehouse's may
    be older than a government's latest decision.
    """
    terms = []
    for zone in dict.fromkeys(written_in(config)):
        if is_utc(zone):
            continue
        for month in range(end.year * 12 + end.month - 13, end.year * 12 + end.month + 12):
            noon = datetime(month // 12, month % 12 + 1, 15, 12, tzinfo=ZoneInfo(zone))
            wall = timestamp_literal(noon.replace(tzinfo=None))
            terms.append(f"abs(datediff(second, {_of_zone(wall, zone)}, {_utc(noon)}))")
    return " + ".join(terms) or "0"


def is_utc(timezone: str) -> bool:
    """Whether a time zone is UTC under one of its names."""
    return timezone in _UTC_NAMES


def _converted(expression: str, source: str, target: str) -> str:
    if is_utc(source) and is_utc(target):
        return expression
    return f"convert_timezone({literal(source)}, {literal(target)}, {expression})"


def _key(text: str) -> str:
    """SQL for the name of a dimension value, from its text: unique and stable for each value.

    NULL is `(null)`, `*` is `(*)`; a value that looks like one of these gets another pair of
    parentheses to distinguish it. The name of a value of 256 characters or more is its first 223
    characters, a blank and its MD5.
    """
    # A wider type would cost memory in every group. All characters fit: where a cast cuts, it cuts
    # bytes.
    short = f"CAST(left({text}, {MAX_VALUE_LENGTH - 1}) AS varchar({MAX_VALUE_LENGTH * 4}))"
    core, kept = f"btrim({short}, '()')", MAX_VALUE_LENGTH - _MD5_LENGTH - 1
    name = (
        f"CASE WHEN {text} IS NULL THEN '{NULL_VALUE}' "
        f"WHEN len({text}) >= {MAX_VALUE_LENGTH} THEN left({short}, {kept}) || ' ' || md5({text}) "
        f"WHEN {core} = '{ROLLED_UP}' OR ({core} = 'null' AND {short} <> 'null') "
        f"THEN '(' || {short} || ')' ELSE {short} END"
    )
    # With a case-insensitive collation, GROUP BY would return an arbitrary spelling.
    return f"COLLATE(CAST({name} AS varchar({MAX_VALUE_LENGTH * 4})), 'case_sensitive')"


def value_names(value: str) -> tuple[str, ...]:
    """The names (`_key`) that a value in a filter may refer to: it is written as alerts and results
    show it, or as it is in the column.
    """
    text = value.rstrip(" ")
    if text == ROLLED_UP:
        return (STAR_VALUE,)
    if len(text) < MAX_VALUE_LENGTH:
        return (text,)
    digest = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
    return (text, f"{text[: MAX_VALUE_LENGTH - _MD5_LENGTH - 1]} {digest}")


def _raw_filter(config: Config, start: datetime, end: datetime) -> list[str]:
    column = config.timestamp_column
    raw = f"source.{identifier(column.name)}"
    lower, upper = wall_bounds(start, end, *written_in(config))
    if column.format is None:
        return [f"{raw} >= {timestamp_literal(lower)}", f"{raw} < {timestamp_literal(upper)}"]
    form = TimeFormat.parse(column.format)
    if not form.sortable:
        return []  # such texts cannot be compared with bounds; only the guard filters
    # With a fraction of a second, a text is longer than the bound, and therefore greater.
    return [
        f"{raw} >= {literal(form.write(lower))}",
        f"{raw} <= {literal(form.write_after(upper))}",
    ]


def interval_start(grid: Grid, moment: str, start: datetime, end: datetime) -> str:
    """SQL for the start (UTC) of the interval that contains `moment`, SQL for a UTC TIMESTAMP.

    Days, weeks and months begin at midnight in the time zone. If midnight is skipped or occurs
    twice, databases differ, so the few such days of `[start, end)` are listed as computed by
    `Grid`.
    """
    if not grid.of_days:
        passed = f"datediff(second, TIMESTAMP '1970-01-01 00:00:00', {moment})"
        over = f"mod({passed} + {grid.anchor_seconds}, {grid.seconds})"
        return f"dateadd(second, -CAST({over} AS integer), date_trunc('second', {moment}))"
    day = f"date_trunc('{_TRUNCATED[grid.interval]}', {_converted(moment, 'UTC', grid.timezone)})"
    midnight = _converted(day, grid.timezone, "UTC")
    odd = _odd_midnights(grid, start, end)
    if not odd:
        return midnight
    cases = " ".join(
        f"WHEN TIMESTAMP '{odd_day:%Y-%m-%d} 00:00:00' THEN {_utc(begins)}"
        for odd_day, begins in odd
    )
    return f"CASE {day} {cases} ELSE {midnight} END"


def _odd_midnights(grid: Grid, start: datetime, end: datetime) -> list[tuple[date, datetime]]:
    zone = ZoneInfo(grid.timezone)
    odd = []
    for begins in grid.starts(grid.floor(start), end):
        day = begins.astimezone(zone).date()
        midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
        if midnight.utcoffset() != midnight.replace(fold=1).utcoffset():
            odd.append((day, begins))
    return odd


def rendered_query(config: Config, start: datetime, end: datetime, *, history: bool) -> str:
    """The query for history, or for live data, over `[start, end)`.

    Raises
    ------
    PermanentError
        If the configuration has no query, or it is invalid.
    """
    own = config.history_query if history else None
    query, name = (own, "history_query") if own else (config.query, "query")
    if not query:
        raise PermanentError("The configuration has no query; set query to a SELECT statement.")
    return render(query, start, end, config, name)


def placed(
    config: Config, start: datetime, end: datetime, *, history: bool, window_only: bool = True
) -> str:
    """A SELECT of the user's rows: event_time (UTC), key_0 … (text), column_0 … (the measures), and
    divisor_0 … (denominators).

    `window_only` adds a comparison of the raw timestamp column with the converted bounds, so that
    the warehouse prunes blocks.
    """
    query = rendered_query(config, start, end, history=history)
    width = len(config.dimensions)
    measures = measure_columns(config)
    named = ["event_time", *(f"{_key(f'text_{i}')} AS key_{i}" for i in range(width)), *measures]
    read = [f"{_event_time(config)} AS event_time"]
    # Trailing blanks change the hash but not equality: without rtrim, one value could be in two
    # shards.
    read += [
        f"rtrim(CAST(source.{identifier(name)} AS varchar(65535)), ' ') AS text_{i}"
        for i, name in enumerate(config.dimensions)
    ]
    read += [f"source.{identifier(name)} AS {column}" for column, name in measures.items()]
    conditions = _raw_filter(config, start, end) if window_only else []
    where = ("\nWHERE " + "\n  AND ".join(conditions)) if conditions else ""
    # Line breaks, so that a comment at the end of the query does not include the parenthesis.
    return (
        f"SELECT {_list(named)}\nFROM (\n"
        f"SELECT {_list(read)}\nFROM (\n{query}\n) AS source{where}\n) AS read"
    )


def measure_columns(config: Config) -> dict[str, str]:
    """The columns that measures read, by their names in `placed`."""
    found: dict[str, str] = {}
    for i, (name, measure) in enumerate(config.measures.items()):
        found |= zip((f"column_{i}", f"divisor_{i}"), measure.columns(name), strict=False)
    return found


def kept_values(config: Config) -> list[str]:
    """Conditions on key_0 … for the dimension filters."""
    kept = []
    for i, name in enumerate(config.dimensions):
        values = config.dimension_filters.get(name, ())
        names = dict.fromkeys(found for value in values for found in value_names(value))
        if names:
            kept.append(f"key_{i} IN ({', '.join(literal(found) for found in names)})")
    return kept


def grouping(config: Config, levels: Sequence[Sequence[str]], first: Sequence[str] = ()) -> str:
    """GROUP BY clause (or nothing) with a set for each of `levels`; `first` is in every set."""
    position = {name: f"key_{i}" for i, name in enumerate(config.dimensions)}
    sets = [[*first, *(position[name] for name in level)] for level in levels]
    if len(sets) == 1:
        return f"\nGROUP BY {', '.join(sets[0])}" if sets[0] else ""
    return (
        "\nGROUP BY GROUPING SETS ("
        + ", ".join(f"({', '.join(columns)})" for columns in sets)
        + ")"
    )


def aggregate(config: Config, start: datetime, end: datetime, *, history: bool) -> str:
    """The SELECT whose rows leave the warehouse: one per interval, level and slice.

    Columns: interval_start TIMESTAMP (UTC), dimension_0 … VARCHAR (`*` if rolled up, else the name
    of the value), measure_0_value DOUBLE PRECISION, measure_0_count BIGINT, …, of each SUM or AVG
    measure_0_norm DOUBLE PRECISION, row_count BIGINT, shard INTEGER. Distinct counts and
    percentiles of all levels are those of their rows.

    Parameters
    ----------
    start, end : window `[start, end)`, aware, on the interval grid.
    history : whether to use the history query, if there is one.

    Raises
    ------
    PermanentError
        If the query or the format of the timestamp column is invalid.
    """
    grid = Grid.of(config)
    keys = [f"key_{i}" for i in range(len(config.dimensions))]
    inner = [f"{interval_start(grid, 'event_time', start, end)} AS interval_start", *keys]
    inner += measure_columns(config)
    located = (
        f"SELECT {_list(inner)}\nFROM (\n{placed(config, start, end, history=history)}\n) AS placed"
    )

    levels = config.levels
    places = ["interval_start"]
    for i, (key, name) in enumerate(zip(keys, config.dimensions, strict=True)):
        always = all(name in level for level in levels)
        value = (
            key if always else f"CASE WHEN GROUPING({key}) = 1 THEN '{ROLLED_UP}' ELSE {key} END"
        )
        places.append(f"{value} AS dimension_{i}")
    alone = {i: one for i, one in enumerate(config.measures.values()) if one.exact}
    rolled = list(places)
    for i, measure in enumerate(config.measures.values()):
        if i not in alone:
            rolled.append(f"{aggregated_value(measure, i)} AS measure_{i}_value")
        rolled.append(f"{_count(measure, i)} AS measure_{i}_count")
    norms = {f"measure_{i}_norm": i for i, one in enumerate(config.measures.values()) if one.normed}
    rolled += [f"{_norm(i)} AS {name}" for name, i in norms.items()]
    rolled.append("count(*) AS row_count")
    guard = [
        f"interval_start >= {_utc(start)}",
        f"interval_start < {_utc(end)}",
        *kept_values(config),
    ]
    where = f" AS located\nWHERE {_and(guard)}" + grouping(config, levels, ["interval_start"])

    landed = ["interval_start", *(f"dimension_{i}" for i in range(len(keys)))]
    for i in range(len(config.measures)):
        landed += [f"measure_{i}_value", f"measure_{i}_count"]
    landed += [*norms, "row_count", f"{_shard(len(keys), config.shards)} AS shard"]
    if not alone:
        table = f"SELECT {_list(rolled)}\nFROM (\n{located}\n){where}"
    else:
        exact = {
            i: f"SELECT {_list([*places, f'{aggregated_value(one, i)} AS measure_{i}_value'])}\n"
            f"FROM located{where}"
            for i, one in alone.items()
        }
        table = _joined(located, f"SELECT {_list(rolled)}\nFROM located{where}", exact, len(keys))
    return f"SELECT {_list(landed)}\nFROM (\n{table}\n) AS rolled"


def _joined(located: str, rolled: str, exact: Mapping[int, str], dimensions: int) -> str:
    """The rolled-up rows with the measures that are computed in a SELECT of their own.

    In one SELECT, Redshift accepts neither PERCENTILE_CONT over two columns, nor beside DISTINCT.
    """
    joins = []
    for i, select in exact.items():
        same = [f"exact_{i}.interval_start = base.interval_start"]
        same += [
            f"COLLATE(exact_{i}.dimension_{n}, 'case_sensitive') = "
            f"COLLATE(base.dimension_{n}, 'case_sensitive')"
            for n in range(dimensions)
        ]
        joins.append(f"\nLEFT JOIN (\n{select}\n) AS exact_{i} ON {_and(same)}")
    values = [f"exact_{i}.measure_{i}_value" for i in exact]
    return (
        f"WITH located AS (\n{located}\n)\nSELECT {_list(['base.*', *values])}\n"
        f"FROM (\n{rolled}\n) AS base{''.join(joins)}"
    )


def aggregated_value(measure: Measure, place: int) -> str:
    """SQL of an aggregated value, DOUBLE PRECISION."""
    column, aggregation = f"column_{place}", measure.aggregation
    if measure.exact and aggregation in PERCENTILES:
        # Of integers and decimals, the result would be DECIMAL, which may overflow.
        return (
            f"PERCENTILE_CONT({PERCENTILES[aggregation]}) WITHIN GROUP (ORDER BY "
            f"CAST({column} AS double precision))"
        )
    # In Redshift, AVG of integers is an integer and AVG of decimals keeps their scale; SUM is
    # exact for both.
    total = f"CAST(sum({column}) AS double precision)"
    if aggregation == "AVG":
        return f"{total} / nullif(count({column}), 0)"
    if aggregation == "RATIO":
        return f"{total} / nullif({_divisor(place)}, 0)"
    if aggregation == "COUNT_DISTINCT":
        kind = "" if measure.exact else "APPROXIMATE "
        return f"CAST({kind}COUNT(DISTINCT {column}) AS double precision)"
    if aggregation in APPROXIMATED:
        found = f"PERCENTILE_DISC({PERCENTILES[aggregation]}) WITHIN GROUP (ORDER BY {column})"
        return f"CAST(APPROXIMATE {found} AS double precision)"
    return f"CAST({aggregation.lower()}({column}) AS double precision)"


def _count(measure: Measure, place: int) -> str:
    """SQL of the number of values behind an aggregated one, BIGINT; for a ratio its denominator."""
    if measure.aggregation != "RATIO":
        return f"count(column_{place})"
    return f"CAST(ceil(least(greatest({_divisor(place)}, 0), {_MOST_COUNT})) AS bigint)"


def _norm(place: int) -> str:
    """SQL of the root of the sum of the squared values behind a sum or mean, DOUBLE PRECISION: what
    single large ones add to it. Squares of huge values would overflow.
    """
    value = f"CAST(column_{place} AS double precision)"
    return f"sqrt(sum(CASE WHEN abs({value}) < {_MOST_SQUARED} THEN power({value}, 2) END))"


def _divisor(place: int) -> str:
    return f"CAST(sum(divisor_{place}) AS double precision)"


def _shard(dimensions: int, shards: int) -> str:
    if dimensions == 0:
        return "CAST(0 AS integer)"
    joined = f" || {_UNIT_SEPARATOR} || ".join(f"dimension_{i}" for i in range(dimensions))
    return f"CAST(abs(mod(fnv_hash({joined}), {shards})) AS integer)"


def unload(
    select: str,
    prefix_url: str,
    role: str | None,
    *,
    encrypted: bool = False,
    partition_by: Literal["shard"] | None = "shard",
) -> str:
    """An UNLOAD of `select` as Parquet with a verbose manifest.

    Parameters
    ----------
    select : one SELECT, without a semicolon. A LIMIT at its top level is wrapped in a subquery, as
        UNLOAD requires.
    prefix_url : `s3://bucket/…/`; the manifest is `<prefix_url>manifest`.
    role : ARN of a role, a chain of ARNs joined by commas, or `default`.
    encrypted : whether objects are encrypted with the bucket's default key. Otherwise UNLOAD
        requests encryption with S3's own keys. `KMS_KEY_ID` accepts only a key ID, which cannot
        refer to a key of another account.
    partition_by : column that becomes a folder, `shard=0/`.

    Raises
    ------
    PermanentError
        If the role is invalid, or the statement is too long for the Data API.
    """
    if {"LIMIT", "TOP"} & set(outer_words(tokenize(select))):
        select = f"SELECT *\nFROM (\n{select}\n) AS limited"
    parts = [
        f"UNLOAD ({literal(select)})",
        f"TO {literal(prefix_url)}",
        f"IAM_ROLE {_role(role)}",
        *(["ENCRYPTED AUTO"] if encrypted else []),
        "FORMAT AS PARQUET",
        *([f"PARTITION BY ({partition_by})"] if partition_by else []),
        "MANIFEST VERBOSE",
    ]
    return within_limit("\n".join(parts))


def within_limit(statement: str) -> str:
    """The statement, unless it is too long for the Data API.

    Raises
    ------
    PermanentError
        States the size and what to change.
    """
    size = len(statement.encode())
    if size > MAX_STATEMENT_BYTES:
        raise PermanentError(
            f"The SQL statement has {size:,} bytes; the limit of the Redshift Data API is "
            f"{MAX_STATEMENT_BYTES:,}. "
            "Shorten the query, for example by creating a view and selecting from it."
        )
    return statement


def _role(role: str | None) -> str:
    if role is None:
        raise PermanentError("redshift.unload_role must be set: UNLOAD assumes it.")
    if role.strip().lower() == "default":
        return "default"
    # A role name may contain a comma, so the chain is split where the next ARN begins.
    chain = [part.strip() for part in re.split(r",(?=\s*arn:)", role)]
    for part in chain:
        if not _ROLE.fullmatch(part):
            raise PermanentError(
                f"redshift.unload_role contains '{part}', which is not the ARN of a role; "
                "use one ARN, a chain 'arn1,arn2', or default."
            )
    return literal(",".join(chain))


def _and(conditions: Sequence[str]) -> str:
    return "\n  AND ".join(conditions)


def _list(columns: Iterable[str]) -> str:
    return ",\n       ".join(columns)
