"""A query with a window at the time of the run, as the old connector had it, into one with
`{{ window_start }}` and `{{ window_end }}`.

Only comparisons of the timestamp column with an expression of `getdate()` and the like are
replaced, and only where WHERE joins them with AND: anything else would change which rows are
returned. The rest of the text is kept as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from anomaly_detector.errors import PermanentError
from anomaly_detector.warehouse.query import validate
from anomaly_detector.warehouse.tokens import Kind, Token, tokenize

_BLANKS: Final = frozenset({Kind.BLANK, Kind.COMMENT})
_AFTER_WHERE: Final = frozenset(
    {"GROUP", "ORDER", "HAVING", "QUALIFY", "LIMIT", "OFFSET", "UNION", "EXCEPT", "INTERSECT"}
    | {"MINUS", "WINDOW", "FETCH"}
)
# Parts of a SELECT, by the word that begins them; subqueries in FROM and WITH give rows.
_PARTS: Final = {
    **dict.fromkeys(("FROM", "JOIN"), "FROM"),
    **dict.fromkeys(("SELECT", "WHERE", "ON", *_AFTER_WHERE), "VALUE OF"),
    **dict.fromkeys(("UNION", "EXCEPT", "INTERSECT", "MINUS"), ""),
    "WITH": "WITH",
}
# Functions and names whose value is the time of the run; the first ones only with parentheses.
_CALLED: Final = frozenset({"GETDATE", "NOW", "TIMEOFDAY"})
_CLOCKS: Final = frozenset(
    {"SYSDATE", "CURRENT_DATE", "CURRENT_TIMESTAMP", "CURRENT_TIME", "LOCALTIMESTAMP"}
)
_START: Final = "{{ window_start }}"
_END: Final = "{{ window_end }}"
# Characters of a part that a message shows.
_SHOWN: Final = 80
# In SQL that is parsed, a placeholder is a value.
_PLACEHOLDER_VALUE: Final = "TIMESTAMP '2000-01-01'"


@dataclass(frozen=True)
class Converted:
    """A converted query.

    Attributes
    ----------
    text : the query, windowed as far as possible.
    columns : names of the columns that it returns, folded; None if it selects `*`.
    timezone : the zone that the old query converted the time of the run to, if it did.
    ended : the end of the old window, where that was not the time of the run itself.
    done : what was changed, a sentence each.
    left : what a person has to change, a sentence each.
    """

    text: str
    columns: tuple[str, ...] | None
    timezone: str | None
    ended: str | None
    done: tuple[str, ...]
    left: tuple[str, ...]


@dataclass(frozen=True)
class _Bound:
    """One side of a window: `column >= window_start` or `column < window_end`."""

    column: exp.Column
    lower: bool
    moment: exp.Expr

    @property
    def zone(self) -> str | None:
        """The time zone to which the time of the run is converted."""
        converted = self.moment.find(exp.ConvertTimezone, exp.AtTimeZone)
        if converted is None:
            return None
        named = converted.args.get("target_tz") or converted.args.get("zone")
        return named.name if isinstance(named, exp.Literal) else None

    @property
    def moved(self) -> bool:
        """Whether the moment is some time away from that of the run."""
        return any(
            isinstance(each, exp.Interval) or (each.is_number and float(each.name) != 0)
            for each in self.moment.find_all(exp.Interval, exp.Literal)
        )

    @property
    def text(self) -> str:
        column = self.column.sql(dialect="redshift")
        return f"{column} >= {_START}" if self.lower else f"{column} < {_END}"


@dataclass(frozen=True)
class _Edit:
    """Tokens `first` to `last` (exclusive) that are replaced, in the WHERE that begins at
    `clause`.
    """

    clause: int
    first: int
    last: int
    bounds: tuple[_Bound, ...]


def convert(query: str, timestamp: str, name: str = "query.sql") -> Converted:
    """Replace the window predicates of a query.

    Parameters
    ----------
    query : one SELECT, as the old connector put it into UNLOAD.
    timestamp : the column of the result that holds the time.
    name : of the file, for messages.

    Raises
    ------
    PermanentError
        If it is not one SELECT, or cannot be read as Redshift SQL.
    """
    text = query.removeprefix("\ufeff").rstrip().rstrip(";").rstrip()
    done: list[str] = []
    if (single := _with_single_quotes(text)) != text:
        text = single
        done.append(
            "Doubled quotes were undone: the connector put the query between quotes, this module "
            "does that itself."
        )
    tree = _parsed(text, name)
    tokens = tokenize(text)
    columns = _returned(tree)
    edits = list(_edits(tokens, 0, len(tokens), _sources(tree, timestamp)))
    done += [
        f"Line {tokens[edit.first].line}: {_flat(tokens[edit.first : edit.last])} became "
        f"{' and '.join(bound.text for bound in edit.bounds)}."
        for edit in edits
    ]
    text, added = _applied(tokens, edits)
    done += added
    if not edits and _is_windowed(tokens):
        done.append("The query has the placeholders already.")
    elif not edits and not any(_clocks(tokens)) and isinstance(tree, exp.Query):
        column = exp.to_identifier(timestamp).sql(dialect="redshift")
        text = (
            f"select *\nfrom (\n{text}\n) as selected\n"
            f"where {column} >= {_START} and {column} < {_END}"
        )
        done.append(
            "No comparison with the time of the run was found, so the query was put into a SELECT "
            f"with a window. Move the window to the raw column behind {timestamp}, so that the "
            "sort key prunes blocks."
        )
    left = [_sentence(name, line, what) for line, what in _remaining(tokenize(text))]
    left += [
        f"{name}: «{what}» sees the rows of one read, an interval or a few in a crawl, weeks in "
        "the history: make sure that an interval has the same rows in both."
        for what in _of_all_rows(tree)
    ]
    try:
        validate(text, name)
    except PermanentError as error:
        left.append(str(error))
    bounds = [bound for edit in edits for bound in edit.bounds]
    zones = {bound.zone for bound in bounds}
    if len(zones) > 1:
        named = ", ".join(sorted(zone or "that of the session" for zone in zones))
        left.append(
            f"{name} compares {timestamp} with the time of the run in several zones ({named}): "
            "set timestamp_column.timezone to the zone of the column."
        )
    timezone = zones.pop() if len(zones) == 1 else None
    ends = [one.moment.sql("redshift") for one in bounds if not one.lower and one.moved]
    return Converted(text, columns, timezone, min(ends, default=None), tuple(done), tuple(left))


def same(one: str, other: str) -> bool:
    """Whether two converted queries are the same, apart from comments, line breaks and the order of
    conditions.
    """
    return _ordered(_parsed(one, "query")) == _ordered(_parsed(other, "query"))


def _ordered(tree: exp.Expr) -> exp.Expr:
    """The tree with the conditions of each WHERE in the order of their texts."""
    for where in tree.find_all(exp.Where):
        if isinstance(where.this, exp.And):
            conditions = sorted(where.this.flatten(), key=lambda each: each.sql("redshift"))
            where.set("this", exp.and_(*conditions, copy=False))
    return tree


def _of_all_rows(tree: exp.Expr) -> Iterator[str]:
    """What depends on the other rows that are read: window functions without a time in their
    partition, and LIMIT.
    """
    for window in tree.find_all(exp.Window):
        if not any(part.find(exp.TimestampTrunc) for part in window.args.get("partition_by") or []):
            yield _short(window)
    for limit in tree.find_all(exp.Limit, exp.Fetch):
        yield _short(limit)


def _short(part: exp.Expr) -> str:
    text = " ".join(part.sql(dialect="redshift").split())
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def _with_single_quotes(text: str) -> str:
    """The query as it reaches the warehouse, if every quote in it is doubled for UNLOAD ('…')."""
    runs = [len(run) for run in re.findall(r"'+", text)]
    if not runs or any(run % 2 for run in runs):
        return text
    single = text.replace("''", "'")
    try:
        tokenize(single)
    except PermanentError:
        return text
    return single


def _parsed(text: str, name: str) -> exp.Expr:
    readable = "".join(
        _PLACEHOLDER_VALUE if token.kind is Kind.PLACEHOLDER else token.text
        for token in tokenize(text)
    )
    try:
        statements = sqlglot.parse(readable, dialect="redshift")
    except SqlglotError as error:
        said = re.sub(r"\x1b\[\d*m", "", str(error)).splitlines()[0].rstrip(".")
        raise PermanentError(f"{name} cannot be read as Redshift SQL: {said}.") from None
    tree = statements[0] if len(statements) == 1 else None
    if not isinstance(tree, exp.Query):
        raise PermanentError(
            f"{name} must be a single SELECT, without UNLOAD, INSERT or CREATE around it."
        )
    return tree


def _returned(tree: exp.Expr) -> tuple[str, ...] | None:
    """Names of the returned columns, None where a star hides them."""
    assert isinstance(tree, exp.Query)
    names = [each.alias_or_name.lower() for each in tree.selects]
    return None if "*" in names or "" in names else tuple(names)


def _sources(tree: exp.Expr, timestamp: str) -> set[tuple[str, str]]:
    """Table (or its alias, or empty for any) and name of the columns that become the timestamp,
    folded.
    """
    names, found = {timestamp.lower()}, set[tuple[str, str]]()
    while True:
        before = len(found)
        for select in tree.find_all(exp.Select):
            if select.is_star:
                found |= {("", name) for name in names}
            for projection in select.expressions:
                column = _raw(projection.unalias())
                if column is not None and projection.alias_or_name.lower() in names:
                    found.add((column.table.lower(), column.name.lower()))
        names |= {name for _, name in found}
        if len(found) == before:
            return found


def _raw(value: exp.Expr) -> exp.Column | None:
    """The column itself, or the column that is cast or truncated: its order stays the same."""
    while isinstance(value, (exp.Cast, exp.TimestampTrunc, exp.DateTrunc, exp.Paren)):
        value = value.this
    return value if isinstance(value, exp.Column) else None


def _edits(
    tokens: Sequence[Token], first: int, last: int, sources: set[tuple[str, str]]
) -> Iterator[_Edit]:
    """Each window predicate in the WHERE clauses of the tokens `first` to `last` (exclusive)."""
    for begin, end in _clauses(tokens, first, last):
        for inner, after, bounds in _conjuncts(tokens, begin, end, sources):
            yield _Edit(begin, inner, after, bounds)


def _clauses(tokens: Sequence[Token], first: int, last: int) -> Iterator[tuple[int, int]]:
    """Begin and end (exclusive) of what follows each WHERE whose rows reach the result: not within
    a condition or a value.
    """
    # Of each level of parentheses: the part of the statement, and where its WHERE begins.
    levels: list[tuple[str, int | None]] = [("", None)]
    for place in range(first, last):
        token = tokens[place]
        word = token.text.upper() if token.kind in (Kind.WORD, Kind.SYMBOL) else ""
        part, begin = levels[-1]
        if begin is not None and (word in _AFTER_WHERE or word == ")"):
            yield begin, place
        if word in ("(", "CASE"):
            reaches = part in ("", "WITH", "FROM") and word == "("
            levels.append(("" if reaches else "VALUE", None))
        elif word in (")", "END"):
            levels.pop()
        elif part != "VALUE" and word in _PARTS:
            levels[-1] = (_PARTS[word], place + 1 if word == "WHERE" else None)
    if levels[-1][1] is not None:
        yield levels[-1][1], last


def _depths(tokens: Sequence[Token]) -> list[int]:
    """How many parentheses and CASEs are open: at a closing one, as outside of it."""
    depths, depth = [], 0
    for token in tokens:
        word = token.text.upper() if token.kind in (Kind.WORD, Kind.SYMBOL) else ""
        depth -= word in (")", "END")
        depths.append(depth)
        depth += word in ("(", "CASE")
    return depths


def _conjuncts(
    tokens: Sequence[Token], first: int, last: int, sources: set[tuple[str, str]]
) -> Iterator[tuple[int, int, tuple[_Bound, ...]]]:
    """Begin, end and bounds of the window predicates among conditions that are joined by AND;
    nothing where there is OR.
    """
    first, last = _trimmed(tokens, first, last)
    depths = _depths(tokens)
    if first == last:
        return
    outer = depths[first]
    places = [
        (place, tokens[place].text.upper())
        for place in range(first, last)
        if tokens[place].kind is Kind.WORD and depths[place] == outer
    ]
    if any(word == "OR" for _, word in places):
        return
    starts, between = [first], False
    for place, word in places:
        if word == "AND" and not between:
            starts.append(place + 1)
        between = word == "BETWEEN" or (between and word != "AND")
    for begin, end in zip(starts, [*(start - 1 for start in starts[1:]), last], strict=True):
        inner, after = _trimmed(tokens, begin, end)
        whole = tokens[inner].text == "(" and after - 1 == _closing(depths, inner)
        if whole and not any(word == "SELECT" for word in _words(tokens[inner:after])):
            yield from _conjuncts(tokens, inner + 1, after - 1, sources)
        elif bounds := _bounds("".join(token.text for token in tokens[inner:after]), sources):
            yield inner, after, bounds


def _trimmed(tokens: Sequence[Token], first: int, last: int) -> tuple[int, int]:
    """The range without blanks and comments at both ends."""
    while first < last and tokens[first].kind in _BLANKS:
        first += 1
    while first < last and tokens[last - 1].kind in _BLANKS:
        last -= 1
    return first, last


def _closing(depths: Sequence[int], opening: int) -> int:
    """Place of the parenthesis that closes the one at `opening`."""
    return next(
        place for place in range(opening + 1, len(depths)) if depths[place] == depths[opening]
    )


def _words(tokens: Sequence[Token]) -> Iterator[str]:
    return (token.text.upper() for token in tokens if token.kind is Kind.WORD)


def _bounds(condition: str, sources: set[tuple[str, str]]) -> tuple[_Bound, ...]:
    """The bounds that a condition sets on the timestamp column at the time of the run, if it is
    nothing else.
    """
    if not any(_clocks(tokenize(condition))):
        return ()
    try:
        parsed = sqlglot.parse_one(condition, dialect="redshift")
    except SqlglotError:
        return ()
    found = []
    if isinstance(parsed, exp.Between):
        pairs = [(parsed.this, parsed.args["low"], True), (parsed.this, parsed.args["high"], False)]
    elif isinstance(parsed, (exp.GT, exp.GTE)):
        pairs = [(parsed.left, parsed.right, True), (parsed.right, parsed.left, False)]
    elif isinstance(parsed, (exp.LT, exp.LTE)):
        pairs = [(parsed.left, parsed.right, False), (parsed.right, parsed.left, True)]
    else:
        return ()
    for compared, moment, lower in pairs:
        column = compared.unnest()
        if isinstance(column, exp.Column) and _is_time_of_run(moment):
            table, name = column.table.lower(), column.name.lower()
            if any(name == own and (not table or of in ("", table)) for of, own in sources):
                found.append(_Bound(column, lower, moment))
    # BETWEEN with one bound that is not recognised stays as it is.
    return tuple(found) if len(found) == (2 if isinstance(parsed, exp.Between) else 1) else ()


def _is_time_of_run(moment: exp.Expr) -> bool:
    """Whether the value depends on the time of the run, and on nothing else."""
    return not moment.find(exp.Column, exp.Query) and any(
        _clocks(tokenize(moment.sql(dialect="redshift")))
    )


def _applied(tokens: Sequence[Token], edits: Sequence[_Edit]) -> tuple[str, list[str]]:
    """The text with the edits; a window with one side only gets the other at its last predicate."""
    added = []
    said = {edit.first: [bound.text for bound in edit.bounds] for edit in edits}
    windows: dict[tuple[int, str], list[tuple[int, _Bound]]] = {}
    for edit in edits:
        for bound in edit.bounds:
            windows.setdefault((edit.clause, bound.column.sql()), []).append((edit.first, bound))
    for (_, column), found in windows.items():
        if len({bound.lower for _, bound in found}) == 1:
            place, last = found[-1]
            other = _Bound(last.column, not last.lower, last.moment).text
            # The lower bound first, as people write windows.
            said[place] = [*said[place], other] if last.lower else [other, *said[place]]
            added.append(f"The window of {column} had one side: {other} was added.")
    parts, place = [], 0
    for edit in sorted(edits, key=lambda each: each.first):
        parts += [token.text for token in tokens[place : edit.first]]
        parts.append(" and ".join(said[edit.first]))
        place = edit.last
    return "".join([*parts, *(token.text for token in tokens[place:])]), added


def _is_windowed(tokens: Sequence[Token]) -> bool:
    return any(token.kind is Kind.PLACEHOLDER for token in tokens)


def _clocks(tokens: Sequence[Token]) -> Iterator[Token]:
    """What gives the time of the run."""
    seen = [token for token in tokens if token.kind not in _BLANKS]
    for place, token in enumerate(seen):
        word = token.text.upper()
        called = place + 1 < len(seen) and seen[place + 1].text == "("
        part = place > 0 and seen[place - 1].text == "."
        if token.kind is Kind.WORD and not part:
            if word in _CLOCKS or (word in _CALLED and called):
                yield token
        elif token.kind is Kind.STRING and word in ("'NOW'", "'TODAY'", "'YESTERDAY'"):
            yield token


def _remaining(tokens: Sequence[Token]) -> Iterator[tuple[int, str]]:
    """Line and text of each line that still depends on the time of the run."""
    lines = "".join(token.text for token in tokens).split("\n")
    for line in dict.fromkeys(token.line for token in _clocks(tokens)):
        yield line, " ".join(lines[line - 1].split())


def _sentence(name: str, line: int, what: str) -> str:
    return (
        f"{name}, line {line}: «{what}» depends on the time of the run, so that the same interval "
        f"would not always have the same rows. Write it with {_START} and {_END}, or without the "
        "time."
    )


def _flat(tokens: Sequence[Token]) -> str:
    return " ".join("".join(token.text for token in tokens).split())
