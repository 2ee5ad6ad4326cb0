"""The SQL that is sent to the warehouse, as pure functions over the user's query.

Names: every column is addressed as a quoted name in lower case, because Redshift folds names to lower case, quoted ones too,
unless `enable_case_sensitive_identifier` is on; then the query has to name its columns in lower case (the check says so).

Time: the timestamp column holds wall-clock time in `timestamp_column.timezone`. It is cast to TIMESTAMP before it is converted to UTC;
for TIMESTAMPTZ the cast gives the session's zone, which is UTC unless the user was altered, so such a column needs the time zone 'UTC'
(`checks.judge_columns` sees to it).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

from anomaly_detector.config import Aggregation, Config, TimestampColumn
from anomaly_detector.errors import PermanentError
from anomaly_detector.intervals import Grid
from anomaly_detector.panel import ROLLED_UP
from anomaly_detector.warehouse.scan import Kind, Token, scan
from anomaly_detector.warehouse.time_format import TimeFormat

NULL_VALUE: Final = "(null)"
# What a dimension's own value '*' becomes, so that it is not taken for a roll-up.
STAR_VALUE: Final = "(*)"
MAX_VALUE_LENGTH: Final = 256
# The Data API says 100 KB and not which; the smaller reading is safe.
MAX_STATEMENT_BYTES: Final = 100_000

WINDOW_NAMES: Final = ("window_start", "window_end")
_UNIT_SEPARATOR: Final = "chr(31)"
_PLACEHOLDER: Final = re.compile(r"\{\{([^{}]*)\}\}")
_UTC_NAMES: Final = frozenset(
    {"UTC", "Etc/UTC", "GMT", "Etc/GMT", "Zulu", "Etc/Zulu", "UCT", "Etc/UCT"}
)
_ROLE: Final = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[\w+=,.@/-]+")
_INVISIBLE: Final = frozenset({Kind.BLANK, Kind.COMMENT})


# --- the user's query ---------------------------------------------------------------------------------


def validate(query: str, name: str = "query") -> str:
    """Accept one SELECT (or WITH … SELECT) that holds both window placeholders.

    Parameters
    ----------
    query : the user's text; leading and trailing comments, blanks and semicolons are allowed.
    name : the configuration key that the query stands under, for the message.

    Returns
    -------
    The statement without those.

    Raises
    ------
    PermanentError
        Where it is anything else; the message names what was found and what to change.
    """
    tokens = _statement(query, name)
    found = [held for token in tokens for held in _placeholders(token)]
    for held in found:
        if held not in WINDOW_NAMES:
            raise PermanentError(
                f"{name} holds '{{{{ {held} }}}}', which is not known; "
                "only {{ window_start }} and {{ window_end }} are."
            )
    for wanted in WINDOW_NAMES:
        if wanted not in found:
            raise PermanentError(
                f"{name} does not hold {{{{ {wanted} }}}} (outside of comments); "
                "filter the timestamp column with >= {{ window_start }} and < {{ window_end }}."
            )
    return "".join(token.text for token in tokens)


def render(query: str, start: datetime, end: datetime, timestamp_column: TimestampColumn) -> str:
    """Fill the window `[start, end)` (aware) into a query, as wall-clock time of the timestamp column.

    A placeholder becomes a TIMESTAMP literal; inside a text literal it becomes the bare text, in the column's own
    format where it has one. Around a change of the clocks the bounds are wider than the window (see `wall_bounds`).

    Raises
    ------
    PermanentError
        As `validate`.
    """
    tokens = scan(validate(query))
    bounds = wall_bounds(start, end, timestamp_column.timezone)
    values = dict(zip(WINDOW_NAMES, bounds, strict=True))
    texts = dict(zip(WINDOW_NAMES, _bound_texts(bounds, timestamp_column), strict=True))
    rendered = []
    for token in tokens:
        if token.kind is Kind.PLACEHOLDER:
            rendered.append(_timestamp(values[_placeholders(token)[0]]))
        elif token.kind is Kind.STRING:
            rendered.append(_PLACEHOLDER.sub(lambda held: texts[held[1].strip()], token.text))
        else:
            rendered.append(token.text)
    return "".join(rendered)


def wall_bounds(start: datetime, end: datetime, timezone: str) -> tuple[datetime, datetime]:
    """Naive bounds between which lies the wall-clock time of every instant in `[start, end)`.

    Where the clocks change within a day of a bound, wall-clock time is not in order there, and a warehouse may read an
    ambiguous or skipped time either way; so the bound moves out by the change. The guard on interval_start is exact.
    """
    first, last = start.astimezone(UTC), end.astimezone(UTC)
    lower = min(_offsets_near(first, timezone))
    upper = max(_offsets_near(last, timezone))
    return (first + lower).replace(tzinfo=None), (last + upper).replace(tzinfo=None)


def _offsets_near(moment: datetime, timezone: str) -> set[timedelta]:
    # No zone ever moved its clocks by more than a day (the date line), and none keeps an offset for less than an hour.
    zone = ZoneInfo(timezone)
    steps = range(-25 * 4, 25 * 4 + 1)
    near = (moment + timedelta(minutes=15 * step) for step in steps)
    return {instant.astimezone(zone).utcoffset() or timedelta() for instant in near}


def _statement(query: str, name: str) -> list[Token]:
    tokens = list(scan(query))
    while tokens and (tokens[-1].kind in _INVISIBLE or tokens[-1].text == ";"):
        tokens.pop()
    while tokens and (tokens[0].kind in _INVISIBLE or tokens[0].text == ";"):
        tokens.pop(0)
    if not tokens:
        raise PermanentError(f"{name} is empty; give one SELECT statement.")
    first = tokens[0].text
    if tokens[0].kind is not Kind.WORD or first.upper() not in {"SELECT", "WITH"}:
        raise PermanentError(
            f"{name} begins with '{first}'; it must be one statement that begins with SELECT or WITH."
        )
    depth = 0
    for token in tokens:
        if token.kind is not Kind.SYMBOL:
            continue
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if token.text == ";":
            raise PermanentError(
                f"{name} holds more than one statement (a ; in line {token.line}); keep one SELECT."
            )
        if depth < 0:
            raise PermanentError(
                f"{name} closes a parenthesis in line {token.line} that was not opened."
            )
    if depth:
        raise PermanentError(f"{name} leaves {depth} parenthesis open; close it.")
    _refuse_writing(tokens, name)
    return tokens


def _refuse_writing(tokens: Sequence[Token], name: str) -> None:
    words = _outer_words(tokens)
    if words[0] == "WITH":
        verb = next(
            (word for word in words if word in {"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"}),
            None,
        )
        if verb != "SELECT":
            raise PermanentError(
                f"{name} has {verb or 'no SELECT'} after WITH …; it must only SELECT."
            )
    if "INTO" in words:
        raise PermanentError(
            f"{name} holds SELECT … INTO, which makes a table; remove INTO and what follows it."
        )


def _outer_words(tokens: Sequence[Token]) -> list[str]:
    depth = 0
    words = []
    for token in tokens:
        if token.kind is Kind.SYMBOL:
            depth += {"(": 1, ")": -1}.get(token.text, 0)
        elif token.kind is Kind.WORD and depth == 0:
            words.append(token.text.upper())
    return words


def _placeholders(token: Token) -> list[str]:
    if token.kind not in {Kind.PLACEHOLDER, Kind.STRING}:
        return []
    return [held.strip() for held in _PLACEHOLDER.findall(token.text)]


def _bound_texts(bounds: tuple[datetime, datetime], column: TimestampColumn) -> tuple[str, str]:
    if column.format is None:
        return f"{bounds[0]:%Y-%m-%d %H:%M:%S}", f"{bounds[1]:%Y-%m-%d %H:%M:%S}"
    form = TimeFormat.parse(column.format)
    return form.write(bounds[0]), form.write_after(bounds[1])


# --- pieces of SQL ------------------------------------------------------------------------------------


def folded(name: str) -> str:
    """A name as Redshift keeps it: ASCII letters in lower case."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in name)


def identifier(name: str) -> str:
    """A column's name, folded and quoted."""
    return '"' + folded(name).replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text literal; quotes and backslashes are doubled, because Redshift reads both as escapes."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _timestamp(wall: datetime) -> str:
    return f"TIMESTAMP '{wall:%Y-%m-%d %H:%M:%S}'"


def _utc(moment: datetime) -> str:
    return _timestamp(moment.astimezone(UTC))


def _event_time(column: TimestampColumn) -> str:
    raw = f"source.{identifier(column.name)}"
    # TO_TIMESTAMP takes the text as the session's zone and the cast goes back from it, so the session's zone falls out.
    wall = (
        f"to_timestamp({raw}, {literal(TimeFormat.parse(column.format).redshift)})"
        if column.format
        else raw
    )
    return _converted(f"CAST({wall} AS timestamp)", column.timezone, "UTC")


def is_utc(timezone: str) -> bool:
    """Whether a zone's name means UTC."""
    return timezone in _UTC_NAMES


def _converted(expression: str, source: str, target: str) -> str:
    if is_utc(source) and is_utc(target):
        return expression
    return f"convert_timezone({literal(source)}, {literal(target)}, {expression})"


def _key(dimension: str) -> str:
    # Trailing blanks count for the hash but not for equality: without rtrim one value could land in two shards.
    text = f"rtrim(CAST(source.{identifier(dimension)} AS varchar({MAX_VALUE_LENGTH * 4})))"
    return f"CASE WHEN {text} = '{ROLLED_UP}' THEN '{STAR_VALUE}' ELSE coalesce({text}, '{NULL_VALUE}') END"


def _raw_filter(column: TimestampColumn, start: datetime, end: datetime) -> list[str]:
    raw = f"source.{identifier(column.name)}"
    lower, upper = wall_bounds(start, end, column.timezone)
    if column.format is None:
        return [f"{raw} >= {_timestamp(lower)}", f"{raw} < {_timestamp(upper)}"]
    form = TimeFormat.parse(column.format)
    if not form.sortable:
        return []  # texts out of order cannot be compared; the guard alone decides
    # A fraction of a second makes a text longer than the bound's, and so greater.
    return [
        f"{raw} >= {literal(form.write(lower))}",
        f"{raw} <= {literal(form.write_after(upper))}",
    ]


def interval_start(grid: Grid, moment: str, start: datetime, end: datetime) -> str:
    """SQL for the start (UTC) of the interval that holds `moment`, an expression for a UTC TIMESTAMP.

    P1D asks for the zone's midnight. Where it is skipped or comes twice, warehouses differ, so those few days of
    `[start, end)` are spelt out as `Grid` has them.
    """
    if grid.interval != "P1D":
        passed = f"datediff(second, TIMESTAMP '1970-01-01 00:00:00', {moment})"
        over = f"mod({passed} + {grid.anchor_seconds}, {grid.seconds})"
        return f"dateadd(second, -CAST({over} AS integer), date_trunc('second', {moment}))"
    day = f"date_trunc('day', {_converted(moment, 'UTC', grid.timezone)})"
    midnight = _converted(day, grid.timezone, "UTC")
    odd = _odd_midnights(grid, start, end)
    if not odd:
        return midnight
    cases = " ".join(
        f"WHEN {_timestamp(datetime(d.year, d.month, d.day))} THEN {_utc(begins)}"  # noqa: DTZ001 wall clock
        for d, begins in odd
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


# --- statements ---------------------------------------------------------------------------------------


def query_of(config: Config, *, history: bool) -> str:
    """The query for history, or for live data.

    Raises
    ------
    PermanentError
        Where the configuration has none.
    """
    query = (config.history_query if history else None) or config.query
    if not query:
        raise PermanentError("The configuration has no query; give one SELECT under query.")
    return query


def placed(
    config: Config, start: datetime, end: datetime, *, history: bool, window_only: bool = True
) -> str:
    """The user's rows with event_time (UTC), key_0 … (text) and column_0 … (the measures' columns), as a SELECT.

    `window_only` adds the comparison of the raw timestamp column with the converted bounds, which prunes blocks.
    """
    query = render(query_of(config, history=history), start, end, config.timestamp_column)
    columns = [f"{_event_time(config.timestamp_column)} AS event_time"]
    columns += [f"{_key(name)} AS key_{i}" for i, name in enumerate(config.dimensions)]
    columns += [
        f"source.{identifier(name)} AS column_{i}" for i, name in enumerate(config.measures)
    ]
    conditions = _raw_filter(config.timestamp_column, start, end) if window_only else []
    where = ("\nWHERE " + "\n  AND ".join(conditions)) if conditions else ""
    # The line breaks keep a comment at the query's end from swallowing the parenthesis.
    return f"SELECT {_list(columns)}\nFROM (\n{query}\n) AS source{where}"


def kept_values(config: Config) -> list[str]:
    """Conditions on key_0 … that the dimension filters ask for."""
    return [
        f"key_{i} IN ({', '.join(literal(value) for value in config.dimension_filters[name])})"
        for i, name in enumerate(config.dimensions)
        if config.dimension_filters.get(name)
    ]


def grouping(config: Config, levels: Sequence[Sequence[str]], first: Sequence[str] = ()) -> str:
    """GROUP BY clause (or nothing) that keeps each of `levels` apart, with the expressions `first` in every set."""
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
    """The SELECT whose rows leave the warehouse: one per interval and slice of every level in `[start, end)`.

    Columns: interval_start TIMESTAMP (UTC), dimension_0 … VARCHAR (`*` rolled up, `(null)` for NULL), measure_0_value
    DOUBLE PRECISION, measure_0_count BIGINT, …, row_count BIGINT, shard INTEGER.

    Parameters
    ----------
    start, end : aware, on the interval grid.
    history : whether the history query is meant, where there is one.

    Raises
    ------
    PermanentError
        Where the query or the column's format is refused.
    """
    grid = Grid.of(config)
    keys = [f"key_{i}" for i in range(len(config.dimensions))]
    inner = [f"{interval_start(grid, 'event_time', start, end)} AS interval_start", *keys]
    inner += [f"column_{i}" for i in range(len(config.measures))]
    located = (
        f"SELECT {_list(inner)}\nFROM (\n{placed(config, start, end, history=history)}\n) AS placed"
    )

    levels = config.levels
    rolled = ["interval_start"]
    for i, (key, name) in enumerate(zip(keys, config.dimensions, strict=True)):
        always = all(name in level for level in levels)
        value = (
            key if always else f"CASE WHEN GROUPING({key}) = 1 THEN '{ROLLED_UP}' ELSE {key} END"
        )
        rolled.append(f"{value} AS dimension_{i}")
    for i, measure in enumerate(config.measures.values()):
        rolled.append(f"{_value(measure.aggregation, f'column_{i}')} AS measure_{i}_value")
        rolled.append(f"count(column_{i}) AS measure_{i}_count")
    rolled.append("count(*) AS row_count")
    guard = [
        f"interval_start >= {_utc(start)}",
        f"interval_start < {_utc(end)}",
        *kept_values(config),
    ]

    landed = ["interval_start", *(f"dimension_{i}" for i in range(len(keys)))]
    for i in range(len(config.measures)):
        landed += [f"measure_{i}_value", f"measure_{i}_count"]
    landed += ["row_count", f"{_shard(len(keys), config.shards)} AS shard"]
    return (
        f"SELECT {_list(landed)}\nFROM (\nSELECT {_list(rolled)}\nFROM (\n{located}\n) AS located\nWHERE "
        + "\n  AND ".join(guard)
        + grouping(config, levels, ["interval_start"])
        + "\n) AS rolled"
    )


def _value(aggregation: Aggregation, column: str) -> str:
    # Redshift's AVG of integers is an integer and of decimals keeps their scale; SUM is exact for both.
    double: dict[Aggregation, str] = {
        "SUM": f"CAST(sum({column}) AS double precision)",
        "AVG": f"CAST(sum({column}) AS double precision) / nullif(count({column}), 0)",
        "MIN": f"CAST(min({column}) AS double precision)",
        "MAX": f"CAST(max({column}) AS double precision)",
        "COUNT": f"CAST(count({column}) AS double precision)",
    }
    return double[aggregation]


def _shard(dimensions: int, shards: int) -> str:
    if dimensions == 0:
        return "CAST(0 AS integer)"
    joined = f" || {_UNIT_SEPARATOR} || ".join(f"dimension_{i}" for i in range(dimensions))
    return f"CAST(abs(mod(fnv_hash({joined}), {shards})) AS integer)"


def unload(
    select: str,
    prefix_url: str,
    role: str,
    kms_key: str | None = None,
    partition_by: Literal["shard"] | None = "shard",
) -> str:
    """An UNLOAD of `select` as Parquet with a verbose manifest.

    Parameters
    ----------
    select : one SELECT, without a semicolon. A LIMIT in its outermost part is wrapped, as UNLOAD demands.
    prefix_url : `s3://bucket/…/`; the manifest is `<prefix_url>manifest`.
    role : a role's ARN, a chain of ARNs joined by commas, or `default`.
    kms_key : ARN of the key that the objects are encrypted with; without it the bucket's own setting holds.
    partition_by : column that becomes a folder, `shard=0/`.

    Raises
    ------
    PermanentError
        Where the role is no role, or the statement is longer than the Data API takes.
    """
    if "LIMIT" in _outer_words(scan(select)) or "TOP" in _outer_words(scan(select)):
        select = f"SELECT *\nFROM (\n{select}\n) AS limited"
    parts = [
        f"UNLOAD ({literal(select)})",
        f"TO {literal(prefix_url)}",
        f"IAM_ROLE {_role(role)}",
        "FORMAT AS PARQUET",
        *([f"PARTITION BY ({partition_by})"] if partition_by else []),
        "MANIFEST VERBOSE",
        *([f"KMS_KEY_ID {literal(kms_key)}", "ENCRYPTED"] if kms_key else []),
    ]
    return within_limit("\n".join(parts))


def within_limit(statement: str) -> str:
    """The statement itself, if the Data API takes its size.

    Raises
    ------
    PermanentError
        With the size and what to change.
    """
    size = len(statement.encode())
    if size > MAX_STATEMENT_BYTES:
        raise PermanentError(
            f"The statement for the warehouse is {size:,} bytes; the Redshift Data API takes {MAX_STATEMENT_BYTES:,}. "
            "Shorten the query, for example by putting it into a view and selecting from that."
        )
    return statement


def _role(role: str) -> str:
    if role.strip().lower() == "default":
        return "default"
    # A role's name may hold a comma, so the chain is parted where the next ARN begins.
    chain = [part.strip() for part in re.split(r",(?=\s*arn:)", role)]
    for part in chain:
        if not _ROLE.fullmatch(part):
            raise PermanentError(
                f"redshift.unload_role has '{part}', which is not the ARN of a role; "
                "give one ARN, a chain 'arn1,arn2', or default."
            )
    return literal(",".join(chain))


def _list(columns: Sequence[str]) -> str:
    return ",\n       ".join(columns)
