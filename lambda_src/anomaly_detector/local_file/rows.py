"""The columns of a file as a query would return them: times, numbers and dimension values."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from anomaly_detector.config import Config, TimestampColumn
from anomaly_detector.errors import PermanentError
from anomaly_detector.local_file import numbers, times
from anomaly_detector.local_file.engine import Engine, quote, text
from anomaly_detector.local_file.files import Files
from anomaly_detector.local_file.numbers import Decimal
from anomaly_detector.local_file.times import Times
from anomaly_detector.warehouse.sql import folded

# Texts that stand for no value, whatever the column is, and what they begin with.
_NULLS: Final = r"(?i)|\(?null\)?|none|nan|nat|#?n/a|#na|<na>|nil|\\n|--?|[\x{2013}\x{2014}.]"
_NULLS_BEGIN: Final = "nN#<(-.\\"
_BLANKS: Final = " \t\r\n\u00a0\u202f\u2009\u2007\u200b\ufeff"
_LOOKED_AT: Final = 50_000
_TEXTS: Final = "file_texts"
_TYPED: Final = "disk.file_typed"
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
    said : what the user should know of how the columns are read.
    """

    config: Config
    times: Times
    said: tuple[str, ...]


def cleaned(engine: Engine, files: Files, names: Iterable[str]) -> str:
    """A relation of these columns, texts without blanks around them; NULL where they say so."""
    wanted = {name: files.columns[name] for name in dict.fromkeys(names)}
    texts = [name for name, kind in wanted.items() if kind == "VARCHAR"]
    source = files.relation
    if files.parsed:
        listed = ", ".join(map(quote, wanted))
        engine.rows(f"CREATE OR REPLACE TEMP TABLE {_TEXTS} AS SELECT {listed} FROM {source}")
        source = _TEXTS
    kept = _codes(engine, source, texts) if texts else set()
    columns = [
        f"{_tidied(engine, source, name, na_is_a_code=name in kept)} AS {quote(name)}"
        if name in texts
        else quote(name)
        for name in wanted
    ]
    return f"(SELECT {', '.join(columns)} FROM {source})"


def _tidied(engine: Engine, source: str, name: str, *, na_is_a_code: bool) -> str:
    """SQL of a text column; the bare column where it has few values, which need nothing."""
    held, trimmed = quote(name), f"trim({quote(name)}, {text(_BLANKS)})"
    nulls = _NULLS if na_is_a_code else f"{_NULLS}|na"
    # Most texts need neither; an IN list would become a join of every column.
    tidy = (
        f"CASE WHEN ascii({held}) BETWEEN 33 AND 126 AND ascii(right({held}, 1)) BETWEEN 33 "
        f"AND 126 AND instr({text(_NULLS_BEGIN)}, left({held}, 1)) = 0 THEN {held} "
        f"WHEN NOT regexp_full_match({trimmed}, {text(nulls)}) THEN {trimmed} END"
    )
    some = f"(SELECT {held} FROM {source} LIMIT {_LOOKED_AT})"
    ((few,),) = engine.rows(f"SELECT count(DISTINCT {held}) < {_LOOKED_AT // 50} FROM {some}")
    if few and not engine.rows(
        f"SELECT 1 FROM (SELECT DISTINCT {held} FROM {source}) WHERE {tidy} IS DISTINCT FROM "
        f"{held} LIMIT 1"
    ):
        return held
    return tidy


def _codes(engine: Engine, source: str, texts: list[str]) -> set[str]:
    """Columns in which NA is a code of two letters (North America, Namibia), as others are."""
    asked = ", ".join(
        f"bool_or({quote(name)} = 'NA') AND bool_or({quote(name)} <> 'NA' AND "
        f"regexp_full_match({quote(name)}, '[A-Z]{{2}}'))"
        for name in texts
    )
    found = engine.rows(f"SELECT {asked} FROM (SELECT * FROM {source} LIMIT {_LOOKED_AT})")
    return {name for name, yes in zip(texts, found[0], strict=True) if yes}


def read_rows(config: Config, files: Files, engine: Engine, decimal: Decimal | None) -> Rows:
    """Find out how each column that the configuration names reads, and make the view.

    Raises
    ------
    PermanentError
        With what is wrong with the file, and where.
    """
    described = config.timestamp_column
    names = {
        name: files.name_of(name) for name in (described.name, *config.dimensions, *config.measures)
    }
    relation = cleaned(engine, files, names.values())
    stamp = names[described.name]
    when = times.read_times(engine, relation, stamp, files.columns[stamp], described)
    if not when.rows:
        raise PermanentError(f"{files.name} holds no rows, only the names of its columns.")
    times.refuse_misfits(engine, relation, stamp, when, described)
    if not when.known:
        raise PermanentError(
            f"Column '{described.name}' (timestamp_column) of {files.name} has no value."
        )
    if when.dates and config.interval != "P1D":
        raise PermanentError(
            f"Column '{described.name}' (timestamp_column) holds dates without a time of day; set "
            f"interval to 'P1D' (it is '{config.interval}')."
        )
    columns = {folded(described.name): when.expression}
    said = list(when.said)
    for name in config.dimensions:
        columns[folded(name)] = _dimension(names[name], files.columns[names[name]], name)
    for name, measure in config.measures.items():
        column = names[name]
        kind = files.columns[column]
        if measure.aggregation == "COUNT":
            columns.setdefault(folded(name), _counted(column, kind))
            continue
        if kind not in ("VARCHAR", "BOOLEAN") and not numbers.is_number(kind):
            raise PermanentError(
                f"Column '{name}' (measure) is {kind}, not a number; use the aggregation COUNT, or "
                "store numbers."
            )
        found = numbers.read_numbers(engine, relation, column, kind, decimal)
        numbers.refuse_misfits(engine, relation, name if column == name else column, found)
        said += found.said
        columns[folded(name)] = found.expression
    zone = when.timezone or described.timezone
    selected = ", ".join(f"{value} AS {quote(name)}" for name, value in columns.items())
    read = f"SELECT {selected} FROM {relation}"
    if files.parsed:
        # Texts are converted once; on disk a repeated text is kept once, which is faster to group.
        engine.rows(f"CREATE OR REPLACE TABLE {_TYPED} AS {read}")
        engine.rows(f"DROP TABLE {_TEXTS}")
        read = f"SELECT * FROM {_TYPED}"
    engine.rows(f"CREATE OR REPLACE TEMP VIEW {VIEW} AS {read}")
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
    # pandas writes no value of a number so.
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
