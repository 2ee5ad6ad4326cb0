"""Parses columns as times: ISO 8601, epoch counts, or a format detected in the texts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from anomaly_detector.config import TimestampColumn
from anomaly_detector.errors import PermanentError
from anomaly_detector.local_file.engine import Engine, Plain, quote, text
from anomaly_detector.local_file.numbers import first_misfit, is_number
from anomaly_detector.local_file.translation import strptime_format
from anomaly_detector.warehouse.sql import is_utc
from anomaly_detector.warehouse.time_format import TimeFormat

# Plausible epoch times (1973 to 2128), by unit.
_EPOCHS: Final = (
    ("seconds", 1, 1e8, 5e9),
    ("milliseconds", 1_000, 1e11, 5e12),
    ("microseconds", 1_000_000, 1e14, 5e15),
    ("nanoseconds", 1_000_000_000, 1e17, 5e18),
)
# Shapes of ISO 8601, with an underscore for each digit.
_ISO: Final = re.compile(
    r"____([-/])__\1__(?P<clock>[ T]__:__(:__(\._+)?)?(?P<zone>Z|[-+]__(:?__)?)?)?"
)
_COMPACT: Final = {
    8: "%Y%m%d",
    10: "%Y%m%d%H",
    12: "%Y%m%d%H%M",
    14: "%Y%m%d%H%M%S",
    17: "%Y%m%d%H%M%S%g",
}
_TOTALS: Final = (
    r"^(grand|sub|overall)?[ -]?(total|sum|summe|gesamt|gesamtsumme|zwischensumme|ergebnis|"
    r"gesamtergebnis|totals|totaal|totale|suma|somme|soma|itogo|итого)"
    r"( (total|general|général))?:?$"
)
# Excel's day 0 is 1900-01-00.
_ZEROS: Final = r"^([0/.: -]*0[0/.: -]*|(1900-01-00|1/0/1900|00\.01\.1900)[0:T ]*)$"
_BLANKS: Final = "\u00a0\u202f\u2009\u2007\t"
_MONTHS: Final = (
    ("Jan", "jan|janv|ene|gen|januar|january|janvier|enero|gennaio|janeiro|januari"),
    ("Feb", "feb|febr|fév|févr|fev|février|februar|february|febrero|febbraio|fevereiro|februari"),
    ("Mar", "mar|mär|mrz|mrt|märz|march|mars|marzo|março|maart"),
    ("Apr", "apr|avr|abr|april|avril|abril|aprile"),
    ("May", "may|mai|mei|mayo|maggio|maio|mag"),
    ("Jun", "jun|juin|giu|juni|june|junio|giugno|junho"),
    ("Jul", "jul|juil|lug|juli|july|juillet|julio|luglio|julho"),
    ("Aug", "aug|août|ago|august|augustus|agosto"),
    ("Sep", "sep|sept|set|september|septembre|septiembre|settembre|setembro"),
    ("Oct", "oct|okt|ott|out|october|oktober|octobre|octubre|ottobre|outubro"),
    ("Nov", "nov|november|novembre|noviembre|novembro"),
    ("Dec", "dec|dez|déc|dic|dezember|december|décembre|diciembre|dicembre|dezembro"),
)
_WEEKDAYS: Final = (
    r"(mon|tue|wed|thu|fri|sat|sun)[a-z]*|(mo|di|mi|do|fr|sa|so)(\pL*tag|ttwoch)?|lun|mer|jeu|ven|"
    "sam|dim"
)
# Spellings that are rewritten, in this order, before a format is detected.
_SPELLINGS: Final = (
    (r"^\[(.*)\]$", r"\1"),  # [06/Jan/2025:00:00:00 +0000]
    (r"\[[A-Za-z_/+-]+\]$", ""),  # …+01:00[Europe/Berlin]
    (r" ?\([^)]*\)$", ""),  # … GMT+0100 (Central European Standard Time)
    (rf"(?i)^({_WEEKDAYS})[.,]* +(\d|\pL)", r"\5"),
    (r"^(\d{4})[年년] ?(\d{1,2})[月월] ?(\d{1,2})[日일]?", r"\1-\2-\3"),
    (r" ?(\d{1,2})[时時点點시] ?(\d{1,2})[分분]?", r" \1:\2"),
    (r"(:\d{1,2}) ?(\d{1,2})[秒초]$", r"\1:\2"),
    (r"(\d{4}):(\d{2}:\d{2})", r"\1 \2"),  # 06/Jan/2025:00:00:00
    # Jan  6 00:00:00 CET 2025
    (r"^(\pL+\.?) +(\d{1,2}) (\d{1,2}:\d{2}(:\d{2})?)( [-+\w]+)? (\d{4})$", r"\1 \2 \6 \3\5"),
    (r"(?i)(\d{1,2})h(\d{2})", r"\1:\2"),
    (r"(?i)(\d) ?(uhr|hrs?|h)\.?$", r"\1"),
    (r"(?i),? (at|um|à|a las|às|alle|kl\.?) (\d)", r" \2"),
    (r"(\d,?) (\d{1,2})\.(\d{2})\.(\d{2})", r"\1 \2:\3:\4"),  # 06-JAN-25 12.00.00.000000 AM
    (r"(\d{4},?) (\d{1,2})\.(\d{2})$", r"\1 \2:\3"),
    (r"(?i) ?\b(gmt|utc) ?([-+])(\d)(:?\d{2})?$", r" \20\3\4"),
    (r"(?i) ?\b(gmt|utc) ?([-+]\d{2})", r" \2"),
    (r"(\d)t(\d)", r"\1T\2"),
    (r"(\d)z$", r"\1Z"),
    (r"^(\d{1,2}:\d{2}(:\d{2})?( ?[AaPp]\.?[Mm]\.?)?),? +(.*\d.*)$", r"\4 \1"),
    (r"^(\d{14})[.,]\d+$", r"\1"),
)
_CLOCK: Final = re.compile(
    r"(?P<join>[ T,]+)(?P<hour>\d{1,2})(?P<minute>:\d{2})?(?P<second>:\d{2})?(?P<half> ?[AaPp]m)?$"
)
_ZONE: Final = r"((?::|T\d{2}|T\d{4})\d{2}(?: ?[AaPp]m)?) ?(Z|UTC|GMT|[+-]\d{2}(:?\d{2})?)$"
# /Date(1736121600000)/, as .NET writes milliseconds since 1970 into JSON.
_DOTNET: Final = re.compile(r"^\\?/Date\((\d+)([-+]\d{4})?\)\\?/$")
_TOKEN: Final = re.compile(r"\d+|[^\W\d_]+|.")
_MOST_SHAPES: Final = 40
_SOME: Final = 20_000
_LETTERS: Final = {
    "%Y": "yyyy",
    "%m": "MM",
    "%d": "dd",
    "%b": "MMM",
    "%H": "HH",
    "%I": "hh",
    "%M": "mm",
    "%S": "ss",
    "%p": "a",
}


@dataclass(frozen=True)
class Times:
    """How one column reads.

    Attributes
    ----------
    expression : SQL of the time of a row, a TIMESTAMP or (where no row has a time of day) a DATE;
        NULL where it has none.
    timezone : zone that the times are written in, where the values themselves say so.
    dates : whether no row has a time of day.
    rows, filled, misfits : rows, those with a value, and those whose value is no time.
    totals : rows that say they are totals, or hold only zeros; they are left out.
    format : what the configuration's timestamp_column.format would be, where it can say it.
    said : notes for the user.
    """

    expression: str
    rows: int
    filled: int
    misfits: int
    dates: bool = False
    timezone: str | None = None
    format: str | None = None
    totals: int = 0
    said: tuple[str, ...] = ()
    skipped: str = field(default="false", repr=False)

    @property
    def known(self) -> int:
        """Rows with a time."""
        return self.filled - self.misfits - self.totals


def read_times(
    engine: Engine, relation: str, column: str, kind: str, described: TimestampColumn
) -> Times:
    """Detect how to parse a column as times.

    Raises
    ------
    PermanentError
        Where the type or the format of the configuration cannot be that of times.
    """
    name = quote(column)
    if kind == "DATE" or kind.startswith("TIMESTAMP"):
        return _typed(engine, relation, name, kind, described)
    if kind != "VARCHAR" and not is_number(kind):
        raise PermanentError(
            f"Column '{described.name}' (timestamp_column) is {kind}, not a timestamp; store it as "
            "a timestamp or as text such as 2022-01-15 04:25:00."
        )
    if kind != "VARCHAR":
        if described.format:
            raise PermanentError(_no_text(described, kind))
        # 1735689600.0 of a double is the text of a whole number.
        return _of_converted(engine, relation, column, f"CAST(CAST({name} AS HUGEINT) AS VARCHAR)")
    if described.format:
        form, held = TimeFormat.parse(described.format), name
        for word in sorted(form.blanked, key=len, reverse=True):
            held = f"replace({held}, {text(word)}, ' ')"
        read = f"try_strptime({held}, {text(strptime_format(form.redshift))})"
        return _finished(engine, relation, column, read, dates=form.dates_only)
    first = engine.rows(f"SELECT {name} FROM {relation} WHERE {name} IS NOT NULL LIMIT 1")
    if first and _DOTNET.match(first[0][0]):
        milliseconds = f"nullif(regexp_extract({name}, {text(_DOTNET.pattern)}, 1), '')"
        return _of_converted(engine, relation, column, milliseconds)
    return _of_texts(engine, relation, column, described.timezone)


def plain(
    engine: Engine, relation: str, column: str, *, described: TimestampColumn
) -> Plain | None:
    """How a column of ISO 8601 texts is converted to dates, or to times without a zone or (where
    the texts say it) of UTC; None where not all texts in `relation` are of one such shape.
    """
    if described.format:
        return None
    name = quote(column)
    rows = engine.rows(
        f"SELECT DISTINCT regexp_replace({name}, '\\d', '_', 'g') FROM {relation} WHERE {name} IS "
        "NOT NULL LIMIT 2"
    )
    shape = _ISO.fullmatch(rows[0][0]) if len(rows) == 1 else None
    if shape is None or (shape["zone"] and not is_utc(described.timezone)):
        return None
    kind = "TIMESTAMP" if shape["clock"] else "DATE"
    of_shape = f"{name} LIKE {text(shape.group())}"
    return Plain(kind, f"CASE WHEN {of_shape} THEN TRY_CAST({name} AS {kind}) END")


def refuse_misfits(
    engine: Engine, relation: str, column: str, times: Times, described: TimestampColumn
) -> None:
    """Reject values that are not times.

    Raises
    ------
    PermanentError
        With the first such value, its row, and how many there are.
    """
    if not times.misfits:
        return
    where = f"NOT coalesce({times.skipped}, false)"
    row, held = first_misfit(engine, relation, column, times.expression, where)
    more = f" ({times.misfits:,} rows have none)" if times.misfits > 1 else ""
    said = (
        f"Column '{described.name}' (timestamp_column) holds '{held[:60]}' in row {row:,}, which is"
    )
    if described.format:
        raise PermanentError(f"{said} not a time in the format '{described.format}'{more}.")
    if re.fullmatch(r"[\d.]{9,}", held):
        raise PermanentError(
            f"{said} a number, but the others are not{more}; write times as text such as "
            "2022-01-15 04:25:00."
        )
    example = described.name and "'dd.MM.yyyy HH:mm'"
    raise PermanentError(
        f"{said} not a time such as 2022-01-15 04:25:00{more}; give timestamp_column.format, such "
        f"as {example}, or take the row out."
    )


def refuse_other_calendars(column: str, first: int, last: int) -> None:
    """Reject files whose rows all lie centuries away.

    Raises
    ------
    PermanentError
        With the year, and the calendar that it may be of.
    """
    if last >= 1900 and first <= 2200:
        return
    calendar = " of the Buddhist calendar, which is 543 years ahead" if 2400 < first < 2700 else ""
    calendar = " of the Islamic or Persian calendar" if 1300 < first < 1500 else calendar
    raise PermanentError(
        f"Column '{column}' (timestamp_column) holds years from {first} to {last}{calendar}; "
        "write the times in years of the Gregorian calendar, such as 2022-01-15."
    )


def hint(held: str) -> str:
    """Advice on a text that is not a time, to end a sentence; empty if there is none."""
    if re.fullmatch(r"[2-7]\d{4}(\.\d+)?", held):
        return " (a day number of Excel? Format the column as yyyy-mm-dd before you save it)"
    if re.fullmatch(r"\d{4}[-/.]?\d{1,2}|\d{4}-?[WQ]\d{1,2}|\d{4}", held):
        return " (a month, a week, a quarter or a year is longer than the longest interval, a day)"
    if re.search(r"\d:\d\d.*\b((?!AM|PM)[A-Z]{3,4}|[A-Z][a-z]+/\w+)\]?$", held):
        return " (write its zone as an offset, such as +02:00)"
    return ""


def _no_text(described: TimestampColumn, kind: str) -> str:
    return (
        f"Column '{described.name}' (timestamp_column) is {kind}, not text; remove "
        "timestamp_column.format."
    )


def _typed(
    engine: Engine, relation: str, name: str, kind: str, described: TimestampColumn
) -> Times:
    if described.format:
        raise PermanentError(_no_text(described, kind))
    aware = "TIME ZONE" in kind or "TZ" in kind
    if aware and not is_utc(described.timezone):
        raise PermanentError(
            f"Column '{described.name}' (timestamp_column) holds times with a zone ({kind}); set "
            f"timestamp_column.timezone to 'UTC' (it is '{described.timezone}'). The detector's "
            "own time zone is not touched by that."
        )
    found = engine.row(f"SELECT count(*) AS rows, count({name}) AS filled FROM {relation}")
    expression = f"CAST({name} AS TIMESTAMPTZ) AT TIME ZONE 'UTC'" if aware else name
    if kind not in ("DATE", "TIMESTAMP") and not aware:
        expression = f"CAST({name} AS TIMESTAMP)"
    return Times(expression, found["rows"], found["filled"], 0, dates=kind == "DATE")


def _of_converted(engine: Engine, relation: str, column: str, converted: str) -> Times:
    """Times of values that an expression first converts to texts."""
    name = quote(column)
    found = _of_texts(
        engine, f"(SELECT {converted} AS {name} FROM {relation})", column, timezone=None
    )
    return replace(
        found,
        expression=found.expression.replace(name, converted),
        skipped=found.skipped.replace(name, converted),
        format=None,
    )


def _of_texts(engine: Engine, relation: str, column: str, timezone: str | None) -> Times:
    """Texts without a format in the configuration."""
    name = quote(column)
    # Otherwise a two-digit year would be one of the first century.
    iso = f"CASE WHEN instr('-/', {name}[5]) > 0 THEN try_cast({name} AS TIMESTAMP) END"
    clock = f"substr({name}, 11)"
    found = engine.row(
        f"SELECT count(*) AS rows, count({name}) AS filled, count({iso}) AS iso, "
        f"bool_and({iso} = date_trunc('day', {iso})) AS midnights, "
        f"bool_or(instr({name}, ':') > 0) AS clock, "
        # DuckDB accepts the name of a zone and ignores it.
        f"count(*) FILTER (regexp_matches({clock}, '[-+A-SU-Za-z]')) AS zoned, "
        f"count(try_cast({name} AS DOUBLE)) AS numbers FROM {relation}"
    )
    filled = found["filled"]
    if filled and found["numbers"] > filled / 2:
        return _counted_from_1970(engine, relation, column)
    if filled and found["iso"] == filled and not found["zoned"]:
        dates = bool(found["midnights"]) and not found["clock"]
        expression = f"CAST({iso} AS DATE)" if dates else iso
        return Times(expression, found["rows"], filled, 0, dates)
    if found["iso"] > filled / 2 and not found["zoned"]:
        whole = _finished(engine, relation, column, iso)
        if not whole.misfits:
            return whole
    return _by_shapes(engine, relation, column, timezone)


def _counted_from_1970(engine: Engine, relation: str, column: str) -> Times:
    name = quote(column)
    digits = f"regexp_extract({name}, '^(\\d+)(\\.0*)?$', 1)"
    tries = {
        form: f"CASE WHEN len({digits}) = {length} THEN try_strptime({digits}, '{form}') END"
        for length, form in _COMPACT.items()
    }
    sane = {
        form: f"CASE WHEN year({one}) BETWEEN 1900 AND 2100 THEN {one} END"
        for form, one in tries.items()
    }
    counts = ", ".join(
        f"count({one}) AS n_{length}" for length, one in zip(_COMPACT, sane.values(), strict=True)
    )
    found = engine.row(
        f"SELECT count({name}) AS filled, {counts}, "
        f"quantile_disc(try_cast({name} AS DOUBLE), 0.5) AS middle FROM {relation}"
    )
    for length, form in _COMPACT.items():
        if found[f"n_{length}"] > found["filled"] / 2:
            return _finished(
                engine, relation, column, sane[form], dates=length == 8, strptime=[form]
            )
    middle = float(found["middle"] or 0)
    for unit, size, least, most in _EPOCHS:
        if least <= middle <= most:
            number = f"try_cast({name} AS DECIMAL(30, 6))"
            seconds = f"make_timestamp(CAST(floor({number} * (1000000 / {size}.0)) AS BIGINT))"
            if size > 1_000_000:
                seconds = f"make_timestamp(CAST(floor({number} / {size // 1_000_000}) AS BIGINT))"
            one = f"CASE WHEN {number} <> 0 THEN {seconds} END"
            warehouse = f"timestamp 'epoch' + {column}{f' / {size}' if size > 1 else ''}"
            said = (
                f"column '{column}' counts {unit} since 1970 (UTC); in the warehouse's query write "
                f"{warehouse} * interval '1 second' AS {column}"
            )
            return _finished(engine, relation, column, one, timezone="UTC", said=(said,))
    return _finished(engine, relation, column, "CAST(NULL AS TIMESTAMP)")


def _finished(
    engine: Engine,
    relation: str,
    column: str,
    expression: str,
    *,
    dates: bool | None = None,
    timezone: str | None = None,
    strptime: Sequence[str] = (),
    said: tuple[str, ...] = (),
) -> Times:
    """Count what an expression parses, and which other rows may be left out."""
    name = quote(column)
    totals = (
        f"(regexp_matches(lower({name}), {text(_TOTALS)}) OR "
        f"regexp_matches({name}, {text(_ZEROS)}))"
    )
    found = engine.row(
        f"SELECT count(*) AS rows, count({name}) AS filled, count(t) AS known, count(*) FILTER "
        f"(t IS NULL AND {totals}) AS totals, bool_and(t = date_trunc('day', t)) AS dates, "
        f"bool_or(instr({name}, ':') > 0) AS clock, first({name}) FILTER (t IS NULL AND {totals}) "
        f"AS total FROM (SELECT {name}, {expression} AS t FROM {relation})"
    )
    if dates is None:
        dates = bool(found["dates"]) and not found["clock"]
    if found["totals"]:
        row, held = first_misfit(engine, relation, column, expression, totals)
        rows = "1 row" if found["totals"] == 1 else f"{found['totals']:,} rows"
        said += (f"{rows} left out whose '{column}' is '{held}' (row {row:,}), which is no time",)
    if dates:
        expression = f"CAST({expression} AS DATE)"
    return Times(
        expression,
        found["rows"],
        found["filled"],
        found["filled"] - found["known"] - found["totals"],
        dates,
        timezone,
        _config_format(strptime),
        found["totals"],
        said,
        totals,
    )


# --- formats found in the texts -----------------------------------------------------------------


def _tidied(engine: Engine, relation: str, name: str) -> str:
    """SQL of the text with times of day, zones, months and AM/PM in one spelling."""
    tidy = f"translate({name}, {text(_BLANKS)}, {text(' ' * len(_BLANKS))})"
    held = "held"
    some = f"(SELECT {tidy} AS held FROM {relation} WHERE {name} IS NOT NULL LIMIT {_SOME})"
    for pattern, spelling in _SPELLINGS:
        found = f"regexp_matches({held}, {text(pattern)})"
        if engine.rows(f"SELECT 1 FROM {some} WHERE {found} LIMIT 1"):
            tidy, held = (
                f"regexp_replace({one}, {text(pattern)}, {text(spelling)})" for one in (tidy, held)
            )
    letters = f"regexp_matches({held}, '[a-su-yA-SU-Y]')"
    if engine.rows(
        f"SELECT 1 FROM (SELECT {name} AS held FROM {relation}) WHERE {letters} LIMIT 1"
    ):
        tidy = f"regexp_replace({tidy}, '(?i)(\\d) ?([ap])\\.? ?m\\b\\.?', '\\1 \\2m')"
        for month, spellings in _MONTHS:
            spelt = f"(?i)(^|[^\\pL])({spellings})\\.?([^\\pL]|$)"
            tidy = f"regexp_replace({tidy}, {text(spelt)}, '\\1{month}\\3')"
    return f"regexp_replace({tidy}, '(:\\d{{2}}:\\d{{2}})[.,:]\\d+', '\\1')"


def _by_shapes(engine: Engine, relation: str, column: str, timezone: str | None) -> Times:
    name = quote(column)
    tidy = _tidied(engine, relation, name)
    bare = f"regexp_replace({tidy}, {text(_ZONE)}, '\\1')"
    zone = f"regexp_extract({tidy}, {text(_ZONE)}, 2)"
    midnight = f"regexp_matches({bare}, '[ T]24:00(:00)?$')"
    early = f"replace(replace({bare}, ' 24:00', ' 00:00'), 'T24:00', 'T00:00')"
    shape = f"regexp_replace(regexp_replace({early}, '\\d', '9', 'g'), '\\pL+', 'A', 'g')"
    rows = engine.rows(
        f"SELECT {shape} AS shape, any_value({early}) AS example, count(*) AS rows, "
        f"count(nullif({zone}, '')) AS zoned, bool_or({midnight}) AS late FROM {relation} "
        f"WHERE {name} IS NOT NULL GROUP BY shape ORDER BY rows DESC LIMIT {_MOST_SHAPES}"
    )
    examples = [str(row[1]) for row in rows]
    orders = {
        order: list(dict.fromkeys(found for one in examples if (found := _derived(one, order))))
        for order in ("ymd", "dmy", "mdy")
    }
    # Two orders that give the same formats are one.
    tries = {
        tuple(formats): f"try_strptime({early}, [{', '.join(map(text, formats))}])"
        for formats in reversed(orders.values())
        if formats
    }
    if not tries:
        return _finished(engine, relation, column, "CAST(NULL AS TIMESTAMP)")
    tried = list(tries.items())
    formats, read, said = _best(engine, relation, column, tried)
    late = any(row[4] for row in rows)
    if late:
        read = f"({read} + CASE WHEN {midnight} THEN INTERVAL 1 DAY ELSE INTERVAL 0 DAY END)"
    zoned = sum(int(row[3]) for row in rows)
    spoken = None
    if zoned:
        spoken = "UTC"
        hours = f"coalesce(try_cast(regexp_extract({zone}, '^[+-](\\d{{2}})', 1) AS INTEGER), 0)"
        minutes = f"coalesce(try_cast(regexp_extract({zone}, '(\\d{{2}})$', 1) AS INTEGER), 0)"
        minutes = f"CASE WHEN len({zone}) > 3 THEN {minutes} ELSE 0 END"
        offset = f"(CASE WHEN {zone}[1] = '-' THEN -60 ELSE 60 END * ({hours} * 60 + {minutes}))"
        own = f"({read} - to_seconds({offset}))"
        if timezone and not is_utc(timezone):
            there = f"({read} AT TIME ZONE {text(timezone)} AT TIME ZONE 'UTC')"
            own = f"CASE WHEN {zone} = '' THEN {there} ELSE {own} END"
        read = own
    as_written = len(formats) == 1 and not (zoned or late)
    as_written = as_written and _is_plain(engine, relation, name, tidy)
    plain = formats if as_written else ()
    return _finished(engine, relation, column, read, timezone=spoken, strptime=plain, said=said)


def _is_plain(engine: Engine, relation: str, name: str, tidy: str) -> bool:
    """Whether the texts needed no rewriting, so that a warehouse can parse them too."""
    return not engine.row(
        f"SELECT coalesce(bool_or({tidy} <> {name}), false) AS respelt FROM {relation}"
    )["respelt"]


def _best(
    engine: Engine, relation: str, column: str, tried: list[tuple[tuple[str, ...], str]]
) -> tuple[tuple[str, ...], str, tuple[str, ...]]:
    """The formats that parse most texts; among equals, those that put the rows in time order."""
    reads = ", ".join(f"{read} AS t_{i}" for i, (_, read) in enumerate(tried))
    before = ", ".join(f"lag(t_{i}) OVER () AS p_{i}" for i in range(len(tried)))
    measured = ", ".join(
        f"count(t_{i}) AS n_{i}, least(count(*) FILTER (t_{i} < p_{i}), "
        f"count(*) FILTER (t_{i} > p_{i})) AS turns_{i}, "
        f"count(DISTINCT date_trunc('day', t_{i})) / "
        f"(1 + date_diff('day', min(t_{i}), max(t_{i}))::DOUBLE) AS dense_{i}, "
        f"bool_or(t_{i} <> t_0) AS other_{i}, any_value(held) FILTER (t_{i} <> t_0) AS example_{i}"
        for i in range(len(tried))
    )
    found = engine.row(
        f"SELECT {measured} FROM (SELECT *, {before} FROM (SELECT {quote(column)} AS held, {reads} "
        f"FROM {relation}))"
    )
    ranked = sorted(
        range(len(tried)),
        key=lambda i: (-found[f"n_{i}"], found[f"turns_{i}"], -(found[f"dense_{i}"] or 0), i),
    )
    best = ranked[0]
    rivals = [
        i
        for i in ranked[1:]
        if found[f"n_{i}"] == found[f"n_{best}"] > 0
        and (found[f"other_{i}"] or found[f"other_{best}"])
    ]
    said: tuple[str, ...] = ()
    if rivals:
        other = rivals[0]
        shown = found[f"example_{other}"] or found[f"example_{best}"]
        why = (
            "then the rows are in order of time"
            if found[f"turns_{best}"] < found[f"turns_{other}"]
            else "then the days lie closer together"
            if (found[f"dense_{best}"] or 0) > (found[f"dense_{other}"] or 0)
            else "nothing in the file tells which"
        )
        ways = [_spelt(tried[i][0][0]) for i in (best, other)]
        line = (
            f"column '{column}': '{shown}' reads as {ways[0]} or as {ways[1]}: the order of "
            f"day, month and year; it is read as {ways[0]}, because {why}; give "
            "timestamp_column.format to decide it"
        )
        said = (line,)
    return tried[best][0], tried[best][1], said


def _derived(example: str, order: str) -> str | None:
    """The strptime format of one text whose date is in this order; None if it has none."""
    if example.isdigit():
        return _COMPACT.get(len(example)) if 1900 <= int(example[:4]) <= 2100 else None
    if compact := re.fullmatch(r"(\d{8})([ T_-]?)(\d{4}|\d{6})?", example):
        clock = {None: "", 4: "%H%M", 6: "%H%M%S"}[len(compact[3]) if compact[3] else None]
        return f"%Y%m%d{compact[2]}{clock}"
    clock, half = "", _CLOCK.search(example)
    if half and (half["minute"] or half["half"] or re.match(r"\d{4}.\d\d?.\d\d?[ T]", example)):
        clock = half["join"] + ("%I" if half["half"] else "%H")
        clock += (":%M" if half["minute"] else "") + (":%S" if half["second"] else "")
        clock += half["half"][:-2] + "%p" if half["half"] else ""
        example = example[: half.start()]
    tokens = _TOKEN.findall(example)
    fields = [i for i, token in enumerate(tokens) if token[0].isalnum()]
    if len(fields) == 1 and tokens[fields[0]].isdigit() and len(tokens) == 1:
        return (_COMPACT[8] + clock) if len(example) == 8 else None
    if len(fields) != 3:
        return None
    names = _fields([tokens[i] for i in fields], order)
    if names is None:
        return None
    for i, code in zip(fields, names, strict=True):
        tokens[i] = code
    return (
        "".join(
            token if token.startswith("%") and len(token) > 1 else token.replace("%", "%%")
            for token in tokens
        )
        + clock
    )


def _fields(tokens: Sequence[str], order: str) -> list[str] | None:
    """The strptime code of each of the three parts of a date."""
    word = [i for i, token in enumerate(tokens) if not token.isdigit()]
    year = [i for i, token in enumerate(tokens) if token.isdigit() and len(token) == 4]
    if (
        len(word) > 1
        or len(year) > 1
        or any(len(t) > 2 for t in tokens if t.isdigit() and len(t) != 4)
    ):
        return None
    if word:
        if tokens[word[0]] not in dict(_MONTHS):
            return None
        at = year[0] if year else 2
        if at == word[0]:
            return None
        names = ["%d"] * 3
        names[word[0]] = "%b"
        names[at] = "%Y" if year else "%y"
        return names
    if year and year[0] == 0:
        order = "ymd"
    elif year and (year[0] == 1 or order == "ymd"):
        return None
    codes = {"y": "%Y" if year else "%y", "m": "%m", "d": "%d"}
    return [codes[letter] for letter in order]


def _spelt(strptime: str) -> str:
    """A format in the letters of timestamp_column.format."""
    letters = _LETTERS | {"%y": "yy"}
    return re.sub(r"%[a-zA-Z]", lambda code: letters[code.group()], strptime)


def _config_format(strptime: Sequence[str]) -> str | None:
    if not strptime:
        return None
    pieces = re.split(r"(%[a-zA-Z])", strptime[0])
    if any(piece.startswith("%") and piece not in _LETTERS for piece in pieces[1::2]):
        return None
    spelt = "".join(
        _LETTERS.get(piece, f"'{piece}'" if re.search(r"[A-Za-z']", piece) else piece)
        for piece in pieces
    )
    try:
        TimeFormat.parse(spelt)
    except PermanentError:
        return None
    return spelt
