"""Tokens of Redshift SQL: separates literals, names and comments from other tokens."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from anomaly_detector.errors import PermanentError


class Kind(Enum):
    """Kind of a token."""

    BLANK = auto()
    COMMENT = auto()
    STRING = auto()  # 'it''s', 'it\'s', $$it's$$
    NAME = auto()  # "Quoted ""name"""
    WORD = auto()
    PLACEHOLDER = auto()  # {{ window_start }} outside of text
    SYMBOL = auto()


@dataclass(frozen=True)
class Token:
    """A part of a statement. The concatenated texts of all tokens are the statement."""

    kind: Kind
    text: str
    line: int


# Possessive repeats, so that an unclosed literal is not matched again from its middle.
_SIMPLE: Final = re.compile(
    r"""
    (?P<BLANK>[\s\u200b\ufeff]+)  # also a byte order mark and a zero-width space
    | (?P<COMMENT>--[^\r\n]*)
    | (?P<STRING>'(?:[^'\\]|''|\\.)*+')
    | (?P<NAME>"(?:[^"]|"")*+")
    | (?P<PLACEHOLDER>\{\{[^{}]*\}\})
    | (?P<WORD>[^\W\d][\w$]*)
    | (?P<SYMBOL>\d[\w.]*|.)
    """,
    re.VERBOSE | re.DOTALL,
)
_DOLLAR: Final = re.compile(r"\$(?:[^\W\d]\w*)?\$")
_COMMENT_EDGE: Final = re.compile(r"/\*|\*/")
_UNCLOSED: Final = {"'": "string", '"': "quoted name"}


def tokenize(text: str) -> tuple[Token, ...]:
    """Split a statement into tokens.

    Redshift, like PostgreSQL 8, treats a backslash in a text literal as an escape character. It
    also allows nested block comments and tagged dollar quotes ($q$); both are rejected, because
    the regular expressions of the Terraform validations, which reject the same, cannot match them.

    Raises
    ------
    PermanentError
        If a literal, a quoted name or a comment is not closed or not supported; the message has
        its first line.
    """
    tokens: list[Token] = []
    position, line = 0, 1
    while position < len(text):
        token = _next(text, position, line)
        tokens.append(token)
        position += len(token.text)
        line += token.text.count("\n")
    return tuple(tokens)


def _next(text: str, position: int, line: int) -> Token:
    if text.startswith("/*", position):
        return Token(Kind.COMMENT, text[position : _comment_end(text, position, line)], line)
    opening = _DOLLAR.match(text, position)
    if opening and opening.group() != "$$":
        raise PermanentError(
            f"The query must not quote strings with a tag such as $q$: write '…' or $$…$$; got "
            f"{opening.group()} in line {line}."
        )
    if opening:
        end = text.find(opening.group(), opening.end())
        if end < 0:
            raise _unclosed(f"dollar-quoted string {opening.group()}", line)
        return Token(Kind.STRING, text[position : end + len(opening.group())], line)
    found = _SIMPLE.match(text, position)
    if found is None or found.lastgroup is None:  # the last alternative takes any character
        raise AssertionError(text[position])
    if found.group() in _UNCLOSED:
        raise _unclosed(_UNCLOSED[found.group()], line)
    return Token(Kind[found.lastgroup], found.group(), line)


def _comment_end(text: str, position: int, line: int) -> int:
    edges = _COMMENT_EDGE.finditer(text, position + 2)
    first = next(edges, None)
    if first is None:
        raise _unclosed("comment /*", line)
    if first.group() == "/*":
        raise _unclosed("comment that contains another comment", line)
    return first.end()


def _unclosed(what: str, line: int) -> PermanentError:
    return PermanentError(
        "The query must close every string, quoted name and comment, and must not nest comments: "
        f"a {what} begins in line {line}."
    )
