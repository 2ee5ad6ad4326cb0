"""The user's query: accepted if it is one SELECT, and rendered for a time window."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from anomaly_detector.config import Config, TimestampColumn
from anomaly_detector.errors import PermanentError
from anomaly_detector.warehouse.time_format import TimeFormat
from anomaly_detector.warehouse.tokens import Kind, Token, tokenize

WINDOW_NAMES: Final = ("window_start", "window_end")
_PLACEHOLDER: Final = re.compile(r"\{\{([^{}]*)\}\}")
_STRANGE_BLANK: Final = re.compile(r"[^ \t\r\n\f]")
_INVISIBLE: Final = frozenset({Kind.BLANK, Kind.COMMENT})


def validate(query: str, name: str = "query") -> str:
    """Accept one SELECT (or WITH … SELECT) that contains both window placeholders.

    Parameters
    ----------
    query : the user's text; leading and trailing comments, blanks and semicolons are allowed.
    name : the configuration key of the query, for error messages.

    Returns
    -------
    The statement without leading and trailing comments, blanks and semicolons.

    Raises
    ------
    PermanentError
        If it is anything else; the message names what was found and what to change.
    """
    tokens = _statement(query, name)
    found = [held for token in tokens for held in _placeholders(token)]
    strange = [held for held in found if held not in WINDOW_NAMES]
    if strange:
        raise PermanentError(
            f"{name} must contain no placeholder other than {{{{ window_start }}}} and "
            f"{{{{ window_end }}}}; got {{{{ {strange[0]} }}}}."
        )
    if not set(WINDOW_NAMES) <= set(found):
        raise PermanentError(
            f"{name} must contain both {{{{ window_start }}}} and {{{{ window_end }}}} outside of "
            "comments: filter the timestamp column with >= {{ window_start }} and < "
            "{{ window_end }}."
        )
    return "".join(token.text for token in tokens)


def render(query: str, start: datetime, end: datetime, config: Config, name: str = "query") -> str:
    """Insert the window `[start, end)` (aware) into a query, in the timestamp column's time zone.

    A placeholder becomes a TIMESTAMP literal; inside a text literal it becomes the bare text, in
    the column's format if it has one. The bounds may be wider than the window (see
    `wall_bounds`).

    Raises
    ------
    PermanentError
        As for `validate`.
    """
    tokens = tokenize(validate(query, name))
    bounds = wall_bounds(start, end, *written_in(config))
    values = dict(zip(WINDOW_NAMES, bounds, strict=True))
    texts = dict(zip(WINDOW_NAMES, _bound_texts(bounds, config.timestamp_column), strict=True))
    rendered = []
    for token in tokens:
        if token.kind is Kind.PLACEHOLDER:
            rendered.append(timestamp_literal(values[_placeholders(token)[0]]))
        elif token.kind is Kind.STRING:
            rendered.append(_PLACEHOLDER.sub(lambda held: texts[held[1].strip()], token.text))
        else:
            rendered.append(token.text)
    return "".join(rendered)


def written_in(config: Config) -> tuple[str, ...]:
    """Time zones in which the values of the timestamp column may be: its own, and for intervals of
    whole days also the detector's, because a date is a day in the detector's time zone (only the
    warehouse knows the type of the column).
    """
    own = config.timestamp_column.timezone
    return (own, config.timezone) if config.of_days else (own,)


def wall_bounds(start: datetime, end: datetime, *timezones: str) -> tuple[datetime, datetime]:
    """Naive bounds that enclose the wall-clock time, in each of the time zones, of every instant
    in `[start, end)`.

    If the clocks change within a day of a bound, wall-clock time is not monotonic there, and a
    warehouse may interpret an ambiguous or skipped time either way, so the bound is widened by the
    change. The guard on interval_start is exact.
    """
    first, last = start.astimezone(UTC), end.astimezone(UTC)
    lower = min(min(_offsets_near(first, zone)) for zone in timezones)
    upper = max(max(_offsets_near(last, zone)) for zone in timezones)
    return (first + lower).replace(tzinfo=None), (last + upper).replace(tzinfo=None)


def _offsets_near(moment: datetime, timezone: str) -> set[timedelta]:
    # No time zone ever changed its offset by more than a day (the date line), or kept an offset
    # for less than an hour.
    zone = ZoneInfo(timezone)
    steps = range(-25 * 4, 25 * 4 + 1)
    near = (moment + timedelta(minutes=15 * step) for step in steps)
    return {instant.astimezone(zone).utcoffset() or timedelta() for instant in near}


def _statement(query: str, name: str) -> list[Token]:
    tokens = [_plain(token) for token in tokenize(query)]
    while tokens and (tokens[-1].kind in _INVISIBLE or tokens[-1].text == ";"):
        tokens.pop()
    while tokens and tokens[0].kind in _INVISIBLE:
        tokens.pop(0)
    first = tokens[0].text if tokens else ""
    if first.upper() not in {"SELECT", "WITH"}:
        raise PermanentError(f"{name} must start with SELECT or WITH; got '{first}'.")
    _refuse_recursion(tokens, name)
    _refuse_templates(tokens, name)
    depth = 0
    for token in tokens:
        if token.kind is not Kind.SYMBOL:
            continue
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if token.text == ";":
            raise PermanentError(
                f"{name} must be a single statement: something follows a semicolon in line "
                f"{token.line}."
            )
        if depth < 0:
            raise PermanentError(
                f"{name} must have balanced parentheses: line {token.line} closes a parenthesis "
                "that was not opened."
            )
    if depth:
        raise PermanentError(f"{name} must have balanced parentheses: {depth} are not closed.")
    _refuse_writing(tokens, name)
    return tokens


def _plain(token: Token) -> Token:
    """The token, with blanks that Redshift does not recognise replaced by spaces."""
    if token.kind is not Kind.BLANK:
        return token
    return replace(token, text=_STRANGE_BLANK.sub(" ", token.text))


def _refuse_recursion(tokens: Sequence[Token], name: str) -> None:
    seen = [token for token in tokens if token.kind not in _INVISIBLE]
    for first, second in pairwise(seen):
        if (first.kind, second.kind) == (Kind.WORD, Kind.WORD) and (
            (first.text.upper(), second.text.upper()) == ("WITH", "RECURSIVE")
        ):
            raise PermanentError(
                f"{name} must not contain WITH RECURSIVE, which Redshift rejects in a subquery, "
                f"and the detector uses the query as a subquery (line {first.line}): write the "
                "recursive part to a table with a scheduled query, and select from that table."
            )


def _refuse_templates(tokens: Sequence[Token], name: str) -> None:
    for first, second in pairwise(tokens):
        if first.text == "{" and second.text in ("%", "#"):
            raise PermanentError(
                f"{name} must not contain template tags such as {{% … %}}: give the rendered SQL; "
                f"one begins in line {first.line}."
            )


def _refuse_writing(tokens: Sequence[Token], name: str) -> None:
    words = outer_words(tokens)
    if words[0] == "WITH":
        verb = next(
            (word for word in words if word in {"SELECT", "INSERT", "UPDATE", "DELETE", "MERGE"}),
            None,
        )
        if verb != "SELECT":
            raise PermanentError(f"{name} must select after WITH …; got {verb or 'no SELECT'}.")
    if any(token.kind is Kind.WORD and token.text.upper() == "INTO" for token in tokens):
        raise PermanentError(f"{name} must not contain SELECT … INTO, which creates a table.")


def outer_words(tokens: Sequence[Token]) -> list[str]:
    """The words outside of parentheses, in upper case."""
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


def timestamp_literal(wall: datetime) -> str:
    """A TIMESTAMP literal for a naive time, in whole seconds."""
    return f"TIMESTAMP '{wall:%Y-%m-%d %H:%M:%S}'"
