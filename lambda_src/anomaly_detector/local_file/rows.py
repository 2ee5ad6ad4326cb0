"""The columns of a file as a query would return them: times, numbers and dimension values."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import duckdb

from anomaly_detector.config import OF_ANY_TYPE, Config, TimestampColumn
from anomaly_detector.errors import PermanentError
from anomaly_detector.local_file import numbers, times
from anomaly_detector.local_file.engine import Engine, Plain, quote, text
from anomaly_detector.local_file.files import Files
from anomaly_detector.local_file.numbers import Decimal
from anomaly_detector.local_file.times import Times
from anomaly_detector.warehouse.sql import folded

# Null markers of any column, and the characters that they begin with.
_NULLS: Final = (
    r"(?i)|\(?null\)?|none|nan|nat|#?n/a|n\.a\.|#na|<na>|nil|\\n|--?|[\x{2013}\x{2014}.]"
)
_NULLS_BEGIN: Final = "nN#<(-.\\="
_BLANKS: Final = " \t\r\n\u00a0\u202f\u2009\u2007\u200b\ufeff"
_SAMPLE: Final = 50_000
_TABLE: Final = "disk.file_table"
# The error raised when a later row is not written as the sampled rows are.
_NOT_PLAIN: Final = "not written as the first rows are"
Reader = Callable[[Engine, str, str], Plain | None]
VIEW: Final = "file_rows"
# The placeholders prune nothing here: the outer guard of the module's SQL decides.
_QUERY: Final = f"select * from {VIEW} where {{{{ window_start }}}} < {{{{ window_end }}}}"


@dataclass(frozen=True)
class Rows:
    """The view `file_rows` over a file, and the configuration by which the module's SQL reads it.

    Attributes
    ----------
    config : with a query over the view, and the zone that its times are written in.
    times : how the timestamp column reads.
    said : notes for the user on how the columns are read.
    """

    config: Config
    times: Times
    said: tuple[str, ...]


def cleaned(
    engine: Engine, files: Files, names: Iterable[str], plain: Mapping[str, Reader] | None = None
) -> tuple[str, dict[str, str], tuple[str, ...]]:
    """A relation of these columns, texts without blanks around them and NULL where they say so;
    the type of each column in it; and what is said of rows that are not in it.

    Parameters
    ----------
    plain : readers of the columns that may be typed while they are parsed.
    """
    kinds = {name: files.columns[name] for name in dict.fromkeys(names)}
    source = files.relation
    if files.parsed:
        kinds |= _load(engine, source, kinds, plain or {})
        source = _TABLE
    texts = [name for name, kind in kinds.items() if kind == "VARCHAR"]
    codes = _codes(engine, source, texts)
    columns = [
        f"{_tidied(engine, source, name, na_is_a_code=name in codes)} AS {quote(name)}"
        if name in texts
        else quote(name)
        for name in kinds
    ]
    where, said = _without_headers(engine, source, texts) if files.parsed else ("", ())
    return f"(SELECT {', '.join(columns)} FROM {source}{where})", kinds, said


def _without_headers(
    engine: Engine, source: str, texts: Sequence[str]
) -> tuple[str, tuple[str, ...]]:
    """A condition that excludes header lines among the rows, as in concatenated files."""
    header = " AND ".join(f"{quote(name)} = {text(name)}" for name in texts)
    if len(texts) < 2:
        return "", ()
    ((count,),) = engine.rows(f"SELECT count(*) FROM {source} WHERE {header}")
    if not count:
        return "", ()
    rows = "1 row" if count == 1 else f"{count:,} rows"
    return f" WHERE ({header}) IS NOT TRUE", (f"{rows} left out as a repeated header",)


def _load(
    engine: Engine, source: str, names: Iterable[str], plain: Mapping[str, Reader]
) -> dict[str, str]:
    """Parse the columns into a table; returns the types of the columns that were converted.

    A column whose first rows are all written as SQL writes its values is converted while it is
    parsed, which is cheaper than keeping its text. Where a later row is written differently, the
    file is parsed again as text, and its columns are judged by all of their rows.
    """
    listed = ", ".join(map(quote, names))
    sample = f"(SELECT {listed} FROM {source} LIMIT {_SAMPLE})"
    engine.rows(f"CREATE OR REPLACE TEMP TABLE file_sample AS FROM {sample}")
    typed = {}
    for name, reader in plain.items():
        held = f"(SELECT {_tidy(name)} AS {quote(name)} FROM file_sample)"
        if found := reader(engine, held, name):
            typed[name] = found
    create = f"CREATE OR REPLACE TABLE {_TABLE} AS SELECT"
    if typed:
        value = {name: quote(f"value {place}") for place, name in enumerate(typed)}
        read = ", ".join(f"{typed[name].expression} AS {value[name]}" for name in typed)
        strict = ", ".join(
            f"CASE WHEN {value[name]} IS NULL AND {_tidy(name)} IS NOT NULL "
            f"THEN error({text(_NOT_PLAIN)}) ELSE {value[name]} END AS {quote(name)}"
            if name in typed
            else quote(name)
            for name in names
        )
        try:
            engine.rows(f"{create} {strict} FROM (SELECT {listed}, {read} FROM {source})")
            return {name: found.kind for name, found in typed.items()}
        except duckdb.InvalidInputException as error:
            if _NOT_PLAIN not in str(error):
                raise
    engine.rows(f"{create} {listed} FROM {source}")
    return {}


def _tidy(name: str, *, na_is_a_code: bool = False) -> str:
    """SQL of a text without blanks around it; NULL where it stands for no value."""
    held, trimmed = quote(name), f"trim({quote(name)}, {text(_BLANKS)})"
    nulls = _NULLS if na_is_a_code else f"{_NULLS}|na"
    # Most texts need neither; an IN list would become a join of every column.
    return (
        f"CASE WHEN ascii({held}) BETWEEN 33 AND 126 AND ascii(right({held}, 1)) BETWEEN 33 "
        f"AND 126 AND instr({text(_NULLS_BEGIN)}, left({held}, 1)) = 0 THEN {held} "
        f"WHEN NOT regexp_full_match({trimmed}, {text(nulls)}) "
        # ="00123" is how Excel is made to keep a text as it is.
        f"THEN regexp_replace({trimmed}, '^=\"(.*)\"$', '\\1') END"
    )


def _tidied(engine: Engine, source: str, name: str, *, na_is_a_code: bool) -> str:
    """SQL of a text column; the bare column where it has few values, which need nothing."""
    held, tidy = quote(name), _tidy(name, na_is_a_code=na_is_a_code)
    some = f"(SELECT {held} FROM {source} LIMIT {_SAMPLE})"
    ((few,),) = engine.rows(f"SELECT count(DISTINCT {held}) < {_SAMPLE // 50} FROM {some}")
    if few and not engine.rows(
        f"SELECT 1 FROM (SELECT DISTINCT {held} FROM {source}) WHERE {tidy} IS DISTINCT FROM "
        f"{held} LIMIT 1"
    ):
        return held
    return tidy


def _codes(engine: Engine, source: str, texts: list[str]) -> set[str]:
    """Columns in which NA is a code of two letters (North America, Namibia), as others are."""
    if not texts:
        return set()
    asked = ", ".join(
        f"bool_or({quote(name)} = 'NA') AND bool_or({quote(name)} <> 'NA' AND "
        f"regexp_full_match({quote(name)}, '[A-Z]{{2}}'))"
        for name in texts
    )
    found = engine.rows(f"SELECT {asked} FROM (SELECT * FROM {source} LIMIT {_SAMPLE})")
    return {name for name, yes in zip(texts, found[0], strict=True) if yes}


def read_rows(config: Config, files: Files, engine: Engine, decimal: Decimal | None) -> Rows:
    """Find out how each column that the configuration names reads, and make the view.

    Raises
    ------
    PermanentError
        With what is wrong with the file, and where.
    """
    described = config.timestamp_column
    # Whether the column is a number, or of any type.
    measured: dict[str, bool] = {}
    for key, one in config.measures.items():
        for name in one.columns(key):
            measured[name] = measured.get(name, False) or one.aggregation not in OF_ANY_TYPE
    names = {name: files.name_of(name) for name in (described.name, *config.dimensions, *measured)}
    stamp = names[described.name]
    summed = {names[name] for name, is_number in measured.items() if is_number}.difference(
        {stamp}, (names[name] for name in config.dimensions)
    )
    plain: dict[str, Reader] = {name: partial(numbers.plain, decimal=decimal) for name in summed}
    plain[stamp] = partial(times.plain, described=described)
    relation, kinds, left_out = cleaned(engine, files, names.values(), plain)
    when = times.read_times(engine, relation, stamp, kinds[stamp], described)
    if not when.rows:
        raise PermanentError(f"{files.name} holds no rows, only the names of its columns.")
    times.refuse_misfits(engine, relation, stamp, when, described)
    if not when.known:
        raise PermanentError(
            f"Column '{described.name}' (timestamp_column) of {files.name} has no value."
        )
    if when.dates and not config.of_days:
        raise PermanentError(
            f"Column '{described.name}' (timestamp_column) holds dates without a time of day; set "
            f"interval to 'P1D' (it is '{config.interval}')."
        )
    columns = {folded(described.name): when.expression}
    said = [*left_out, *when.said]
    for name in config.dimensions:
        columns[folded(name)] = _dimension(names[name], kinds[names[name]], name)
    for name, is_number in measured.items():
        column = names[name]
        kind = kinds[column]
        if not is_number:
            columns.setdefault(folded(name), _counted(column, kind))
            continue
        if kind not in ("VARCHAR", "BOOLEAN") and not numbers.is_number(kind):
            raise PermanentError(
                f"Column '{name}' (measure) is {kind}, not a number; use the aggregation COUNT "
                "or COUNT_DISTINCT, or store numbers."
            )
        found = numbers.read_numbers(engine, relation, column, kind, decimal)
        numbers.refuse_misfits(engine, relation, name if column == name else column, found)
        said += found.said
        columns[folded(name)] = found.expression
    zone = when.timezone or described.timezone
    selected = ", ".join(f"{value} AS {quote(name)}" for name, value in columns.items())
    engine.rows(f"CREATE OR REPLACE TEMP VIEW {VIEW} AS SELECT {selected} FROM {relation}")
    own = config.model_copy(
        update={
            "query": _QUERY,
            "history_query": None,
            "timestamp_column": TimestampColumn(name=described.name, timezone=zone),
        }
    )
    return Rows(own, when, tuple(said))


def _counted(column: str, kind: str) -> str:
    name = quote(column)
    # pandas writes a missing number as NaN.
    return f"CASE WHEN NOT isnan({name}) THEN {name} END" if kind in ("DOUBLE", "FLOAT") else name


def _dimension(column: str, kind: str, name: str) -> str:
    if kind == "VARCHAR":
        return quote(column)
    nested = kind.endswith(("]", ")")) and not kind.startswith("DECIMAL")
    if nested or kind in ("DOUBLE", "FLOAT", "BLOB", "JSON"):
        raise PermanentError(
            f"Column '{name}' (dimension) is {kind}, which cannot tell groups apart; store it as "
            "text or as a whole number."
        )
    return f"CAST({quote(column)} AS VARCHAR)"
