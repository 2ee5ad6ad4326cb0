"""Parses text columns as numbers: signs, separators, currencies; one style for all rows."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, Literal

from anomaly_detector.errors import PermanentError
from anomaly_detector.local_file.engine import Engine, Plain, quote, text

Decimal = Literal[".", ","]

_BLANKS: Final = "\u00a0\u202f\u2009\u2007\u2002\u2003\u205f\t"
_MINUS: Final = "\u2212\u2012\u2013\ufe63\uff0d"
_APOSTROPHES: Final = "\u2019\u2018\u00b4`"
_CODES: Final = (
    "EUR|USD|GBP|CHF|JPY|CNY|RMB|INR|AUD|CAD|NZD|SEK|NOK|DKK|PLN|CZK|HUF|RON|BGN|TRY|RUB|UAH|BRL|"
    "MXN|ARS|CLP|COP|PEN|ZAR|KRW|SGD|HKD|TWD|THB|IDR|MYR|PHP|VND|AED|SAR|ILS|EGP|NGN|KES|PKR|BDT|"
    r"LKR|kr\.?|zł|Kč|Ft|lei|Rs\.?|Rp\.?|RM|S/\.?|Fr\.|TL|R|[A-Z]{1,3}\$"
)
_UNIT: Final = rf"\p{{Sc}}|(?i:{_CODES})"
_BODY: Final = r"[\d.,_ ']*\d[\d.,_ ']*?(?:[eE][-+]?\d+)?"
# Excel keeps a number as text by an apostrophe before it.
_WRITTEN: Final = (
    rf"^'?(\(?) ?([-+]?) ?((?:{_UNIT})?) ?([-+]?) ?({_BODY}) ?([-+]?) ?((?:{_UNIT}|%)?) ?([-+]?) ?"
    r"(\)?)$"
)
# Digits of other scripts, and their decimal and thousands separators.
_DIGITS: Final = "".join(
    chr(zero + digit) for zero in (0x660, 0x6F0, 0x966, 0x9E6, 0xE50, 0xFF10) for digit in range(10)
)
_SEPARATORS: Final = "\u066b\u066c\uff0e\uff0c"
_ODD: Final = _BLANKS + _MINUS + _APOSTROPHES + _DIGITS + _SEPARATORS
_PLAIN: Final = (
    " " * len(_BLANKS)
    + "-" * len(_MINUS)
    + "'" * len(_APOSTROPHES)
    + "0123456789" * (len(_DIGITS) // 10)
    + ".,.,"
)
_EXPONENT: Final = r"([eE][-+]?\d+)?"
_TRUE: Final = "(?i)true|yes|y|t"
_FLAG: Final = f"{_TRUE}|false|no|n|f"
# With more digits, sums are taken in floating point.
_MOST_DIGITS: Final = 28
_SOME: Final = 20_000


@dataclass(frozen=True)
class _Style:
    """Decimal and thousands separators."""

    decimal: str
    group: str
    indian: bool = False

    @property
    def pattern(self) -> str:
        point, group = re.escape(self.decimal), re.escape(self.group)
        part = rf"({point}\d*)?"
        if not group:
            return rf"^(\d+{part}|{point}\d+){_EXPONENT}$"
        if self.indian:
            return rf"^(\d{{1,2}}(,\d{{2}})*,\d{{3}}|\d+){part}$"
        return rf"^(\d{{1,3}}({group}\d{{3}})+|\d+){part}$"

    def converted(self, body: str) -> str:
        """SQL that converts the digits to SQL's notation."""
        if self.group:
            body = f"replace({body}, {text(self.group)}, '')"
        return body if self.decimal == "." else f"replace({body}, ',', '.')"


_STYLES: Final = (
    _Style(".", ""),
    _Style(",", ""),
    _Style(".", ","),
    _Style(",", "."),
    _Style(",", " "),
    _Style(".", " "),
    _Style(".", "'"),
    _Style(",", "'"),
    _Style(".", "_"),
    _Style(".", ",", indian=True),
)


@dataclass(frozen=True)
class Numbers:
    """How one column reads.

    Attributes
    ----------
    expression : SQL of the number of a row; NULL where it has none, and where its text is none.
    rows, filled, misfits : rows, those with a text, and those whose text is no number.
    said : notes for the user.
    mean : whether the numbers are percentages, whose sum is meaningless.
    flag : whether it holds yes and no.
    """

    expression: str
    rows: int
    filled: int
    misfits: int
    said: tuple[str, ...] = ()
    mean: bool = False
    flag: bool = False


def read_numbers(
    engine: Engine, relation: str, column: str, kind: str, decimal: Decimal | None = None
) -> Numbers:
    """Detect how to parse a column as numbers.

    Parameters
    ----------
    relation, column, kind : where it stands, and DuckDB's type of it. Texts are trimmed, and NULL
        where they stand for none.
    decimal : decimal separator, if the user gave one.
    """
    name = quote(column)
    if kind == "BOOLEAN":
        return _counted(engine, relation, f"CAST({name} AS INTEGER)", flag=True)
    if kind != "VARCHAR":
        return _typed(engine, relation, name, kind)
    found = _plainness(engine, relation, name)
    rows, filled = found["rows"], found["filled"]
    if filled and not found["plain"] and _all(engine, relation, name, _FLAG):
        truth = f"CAST(regexp_full_match({name}, {text(_TRUE)}) AS INTEGER)"
        said = f"column '{column}' holds yes and no, which are read as 1 and 0"
        return Numbers(truth, rows, filled, 0, (said,), flag=True)
    if found["plain"] == filled and _is_clear(engine, relation, name, decimal):
        return Numbers(_exact(name, found), rows, filled, 0)
    return _written(engine, relation, column, rows, filled, decimal)


def plain(
    engine: Engine, relation: str, column: str, *, decimal: Decimal | None = None
) -> Plain | None:
    """How a column of texts is converted to decimal numbers; None where not all of its texts in
    `relation` are plain ones, or they could be read in two ways.
    """
    name = quote(column)
    found = _plainness(engine, relation, name)
    if not found["filled"] or found["plain"] < found["filled"] or found["letters"]:
        return None
    kind = _decimal_type(found["most"], found["scale"])
    if not kind or not _is_clear(engine, relation, name, decimal):
        return None
    value = f"TRY_CAST({name} AS {kind})"
    # A cast would round a value with more digits than the type.
    exact = f"CAST({value} AS DOUBLE) = TRY_CAST({name} AS DOUBLE)"
    return Plain(kind, f"CASE WHEN {exact} THEN {value} END")


def _plainness(engine: Engine, relation: str, name: str) -> dict[str, Any]:
    return engine.row(
        f"SELECT count(*) AS rows, count({name}) AS filled, "
        f"count(try_cast({name} AS DOUBLE)) FILTER (instr({name}, '_') = 0) AS plain, "
        f"{_measured(name)} FROM {relation}"
    )


def _is_clear(engine: Engine, relation: str, name: str, decimal: Decimal | None) -> bool:
    """Whether points in plain numbers can only be decimal separators."""
    return decimal == "." or (decimal is None and not _has_two_meanings(engine, relation, name))


def first_misfit(
    engine: Engine, relation: str, column: str, expression: str, where: str = "true"
) -> tuple[int, str]:
    """Row (counted from 1) and text of the first value that the expression does not parse."""
    name = quote(column)
    rows = engine.rows(
        f"SELECT place, CAST(held AS VARCHAR) FROM (SELECT row_number() OVER () AS place, {name} "
        f"AS held, {expression} AS was_read, {where} AS wanted FROM {relation}) "
        "WHERE held IS NOT NULL AND was_read IS NULL AND wanted LIMIT 1"
    )
    return (int(rows[0][0]), str(rows[0][1])) if rows else (0, "")


def refuse_misfits(
    engine: Engine, relation: str, column: str, numbers: Numbers, where: str = "true"
) -> None:
    """Reject values that are not numbers.

    Raises
    ------
    PermanentError
        With the first such value, its row, and how many there are.
    """
    if not numbers.misfits:
        return
    row, held = first_misfit(engine, relation, column, numbers.expression, where)
    if not row:
        return
    others = numbers.misfits - 1
    if numbers.misfits == numbers.filled:
        raise PermanentError(
            f"Column '{column}' (measure) holds no number, but '{held[:60]}' in row {row:,}"
            f"{hint(held)}; take it out of measures, or use the aggregation COUNT."
        )
    more = f", and {others:,} more row{'' if others == 1 else 's'} like it" if others else ""
    raise PermanentError(
        f"Column '{column}' (measure) holds '{held[:60]}' in row {row:,}, which is not a number as "
        f"the others are{more}{hint(held)}; take it out, or use the aggregation COUNT."
    )


def hint(held: str) -> str:
    """Advice on a text that is nearly a number, in parentheses; empty if there is none."""
    return next((f" ({said})" for form, said in _HINTS if re.search(form, held)), "")


_HINTS: Final = (
    (r"\d ?([kKMB]|Mio\.?|Mrd\.?|mn|bn)$", "export the numbers in full, not shortened"),
    (r"(?i)\d ?(cr|dr)\.?$", "write debits and credits as numbers with a sign"),
    (r"\d ?[^\W\d_]{1,6}\.?$", "write units into the column's name"),
)


def _typed(engine: Engine, relation: str, name: str, kind: str) -> Numbers:
    if kind in ("DOUBLE", "FLOAT"):
        value = f"CASE WHEN NOT isnan({name}) THEN CAST({name} AS DOUBLE) END"
        scales = ", ".join(
            f"bool_and(round({value}, {scale}) = {value}) AS scale_{scale}" for scale in range(7)
        )
        found = engine.row(f"SELECT max(abs({value})) AS most, {scales} FROM {relation}")
        scale = next((scale for scale in range(7) if found[f"scale_{scale}"]), None)
        return _counted(engine, relation, _decimal(value, found["most"], scale))
    if kind.startswith("DECIMAL") or kind in _INTEGERS:
        return _counted(engine, relation, name)
    return _counted(engine, relation, "CAST(NULL AS DOUBLE)")


_INTEGERS: Final = frozenset(
    {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER"}
    | {"UBIGINT", "UHUGEINT"}
)


def is_number(kind: str) -> bool:
    """Whether a type of DuckDB is one of numbers."""
    return kind in _INTEGERS or kind in ("DOUBLE", "FLOAT") or kind.startswith("DECIMAL")


def _counted(engine: Engine, relation: str, expression: str, *, flag: bool = False) -> Numbers:
    found = engine.row(f"SELECT count(*) AS rows, count({expression}) AS known FROM {relation}")
    return Numbers(expression, found["rows"], found["known"], 0, flag=flag)


def _all(engine: Engine, relation: str, name: str, pattern: str) -> bool:
    """Whether all texts match a pattern."""
    other = f"{name} IS NOT NULL AND NOT regexp_full_match({name}, {text(pattern)})"
    return not engine.rows(f"SELECT 1 FROM {relation} WHERE {other} LIMIT 1")


def _has_two_meanings(engine: Engine, relation: str, name: str) -> bool:
    """Whether points may be thousands separators; the first rows usually rule it out."""
    some = f"(SELECT {name} FROM {relation} WHERE instr({name}, '.') > 0 LIMIT {_SOME})"
    return all(
        engine.rows(f"SELECT {_ambiguity(name, '.')} FROM {each}")[0][0]
        for each in (some, relation)
    )


def _measured(plain: str) -> str:
    """SQL of what `_exact` needs to know of plain texts."""
    return (
        f"max(abs(try_cast({plain} AS DOUBLE))) AS most, max(CASE WHEN instr({plain}, '.') > 0 "
        f"THEN len({plain}) - instr({plain}, '.') ELSE 0 END) AS scale, "
        f"bool_or(regexp_matches({plain}, '[a-zA-Z]')) AS letters"
    )


def _exact(plain: str, measured: dict[str, Any]) -> str:
    """SQL of a plain text as a number whose sums do not depend on the order of rows."""
    if measured["letters"]:  # an exponent, or infinity
        value = f"try_cast({plain} AS DOUBLE)"
        return f"CASE WHEN NOT isnan({value}) THEN {value} END"
    return _decimal(plain, measured["most"], measured["scale"], cast="TRY_CAST")


def _decimal(value: str, most: float | None, scale: int | None, cast: str = "CAST") -> str:
    kind = _decimal_type(most, scale)
    return f"{cast}({value} AS {kind})" if kind else f"try_cast({value} AS DOUBLE)"


def _decimal_type(most: float | None, scale: int | None) -> str | None:
    """The type that holds numbers up to `most` exactly; None where there is none."""
    digits = len(f"{most:.0f}") if most is not None and most < 10.0**_MOST_DIGITS else 0
    if not digits:
        return None
    if scale is None:
        scale = min(_MOST_DIGITS - digits, 18)
    if digits + scale > _MOST_DIGITS:
        return None
    return f"DECIMAL({18 if digits + scale <= 17 else 38}, {scale})"


def _ambiguity(body: str, mark: str) -> str:
    """SQL: whether all rows read both with `mark` between thousands and as the decimal sign."""
    sign = text(mark)
    at = f"instr({body}, {sign})"
    whole = f"len(ltrim({body}, '+-')) - len({body}) + {at} - 1"
    return (
        f"(bool_or({at} > 0) AND bool_and({at} = 0 OR (len({body}) - {at} = 3 "
        f"AND {whole} BETWEEN 1 AND 3 AND ltrim({body}, '+-')[1] <> '0')) "
        f"AND coalesce(max(len(ltrim({body}, '+-'))) FILTER ({at} = 0), 1) <= 3)"
    )


def _written(
    engine: Engine, relation: str, column: str, rows: int, filled: int, decimal: Decimal | None
) -> Numbers:
    """A column that is not written as SQL writes numbers."""
    name = quote(column)
    tidy = f"regexp_replace(translate({name}, {text(_ODD)}, {text(_PLAIN)}), ' +', ' ', 'g')"
    parts = ["opened", "sign", "before", "sign_2", "body", "dash", "after", "dash_2", "closed"]
    struct = f"regexp_extract({tidy}, {text(_WRITTEN)}, {parts})"
    # Once for each row: in all of what is asked, it would take long to plan.
    read = (
        f"SELECT held, nullif(written.body, '') AS body, upper(trim(written.before || "
        f"written.after)) AS unit FROM (SELECT {name} AS held, {struct} AS written FROM {relation})"
    )
    matches = [
        f"count(*) FILTER (regexp_matches(body, {text(style.pattern)})) AS style_{place}"
        for place, style in enumerate(_STYLES)
    ]
    used = [
        f"bool_or(instr(body, {text(mark)}) > 0) AS used_{place}"
        for place, mark in enumerate(_MARKS)
    ]
    found = engine.row(
        f"SELECT {', '.join(matches + used)}, list(DISTINCT unit) FILTER "
        f"(body IS NOT NULL) AS units, {_ambiguity('body', '.')} AS dots, "
        f"{_ambiguity('body', ',')} AS commas, any_value(body) FILTER (instr(body, '.') + "
        f"instr(body, ',') > 0) AS example, count(*) FILTER (unit = '%') AS "
        f"shares, bool_or(instr(body, '.') + instr(body, ',') = 0) AS bare, "
        f"any_value(held) FILTER (body IS NOT NULL AND held <> body) AS odd "
        f"FROM ({read})"
    )
    counts = [found[f"style_{place}"] for place in range(len(_STYLES))]
    allowed = [
        place
        for place, style in enumerate(_STYLES)
        if decimal in (None, style.decimal) and style.group != decimal
    ]
    best = max(allowed, key=lambda place: (counts[place], -place))
    said: list[str] = []
    both = "." if found["dots"] else "," if found["commas"] else ""
    if both and decimal is None and counts[best]:
        best, other = _decided(both, bare=bool(found["bare"]), semicolons=engine.semicolons)
        shown = str(found["example"])
        ways = [shown.replace(both, "."), shown.replace(both, "")]
        taken = ways if not _STYLES[best].group else ways[::-1]
        said.append(
            f"column '{column}': '{shown}' can mean {taken[0]} or {taken[1]}; it is read as "
            f"{taken[0]} in all rows (--decimal '{other}' reads {taken[1]})"
        )
    style, explained = _STYLES[best], bool(said)
    units = [each for each in found["units"] or [] if each or "%" in found["units"]]
    if len(units) == 1 < len(found["units"]):
        said.append(
            f"column '{column}': some values have '{units[0]}' and others no currency; all are "
            "taken as amounts of one currency"
        )
    body, unit = f"nullif({struct}.body, '')", f"upper(trim({struct}.before || {struct}.after))"
    # In 717,- the dash stands for no cents.
    dashes = f"{struct}.dash || {struct}.dash_2"
    last = f"CASE WHEN right({body}, 1) IN ('.', ',') THEN '' ELSE {dashes} END"
    signs = f"{struct}.sign || {struct}.sign_2 || {last}"
    minus = f"{struct}.opened = '(' OR contains({signs}, '-')"
    closed = f"({struct}.opened = '(') = ({struct}.closed = ')')"
    if len(units) > 1:
        # Amounts in two currencies must not be added; the rarer currency counts as invalid.
        closed += f" AND {unit} = {text(_commonest(engine, relation, body, unit))}"
    plain = (
        f"(CASE WHEN {closed} AND regexp_matches({body}, {text(style.pattern)}) THEN "
        f"(CASE WHEN {minus} THEN '-' ELSE '' END) || {style.converted(body)} END)"
    )
    found |= engine.row(
        f"SELECT count(plain) AS known, {_measured('plain')} FROM (SELECT {plain} AS plain FROM "
        f"{relation})"
    )
    known = found["known"]
    if known and not explained:
        said += _said(engine, relation, column, plain)
    expression = _exact(plain, found)
    return Numbers(
        expression, rows, filled, filled - known, tuple(said), mean=bool(found["shares"])
    )


_MARKS: Final = (".", ",", " ", "'", "_")


def _decided(mark: str, *, bare: bool, semicolons: bool) -> tuple[int, str]:
    """Style of an ambiguous column, and the decimal sign of the other reading.

    Numbers below 1,000 without the mark beside others with three digits after it are written by
    somebody who groups thousands; where all have it, it is taken as its own language's decimal.
    """
    grouped = bare or (mark == "," and not semicolons)
    place = next(
        place
        for place, style in enumerate(_STYLES)
        if (style.group == mark if grouped else style.decimal == mark and not style.group)
    )
    return place, mark if grouped else {".": ",", ",": "."}[mark]


def _commonest(engine: Engine, relation: str, body: str, unit: str) -> str:
    rows = engine.rows(
        f"SELECT {unit} AS unit, count(*) AS rows FROM {relation} WHERE {body} IS NOT NULL "
        "GROUP BY unit ORDER BY rows DESC, unit LIMIT 1"
    )
    return str(rows[0][0]) if rows else ""


def _said(engine: Engine, relation: str, column: str, plain: str) -> list[str]:
    name = quote(column)
    rows = engine.rows(
        f"SELECT held, plain FROM (SELECT {name} AS held, {plain} AS plain FROM {relation}) "
        "WHERE plain IS NOT NULL AND plain <> held LIMIT 1"
    )
    return [f"column '{column}': '{held}' is read as {number}" for held, number in rows]
