"""Cuts values of rows out of the warehouse's error texts.

Redshift quotes what it could not read: `Invalid digit, Value 'jane@example.com', …`. Status,
history and mail are read by more people than the tables, so only what cannot come from a row is
kept: plain words, names and literals of the statement itself, error codes and quantities.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

_CUT: Final = "…"
# What Redshift writes after an error; a value ends before the next of these.
_FIELDS: Final = (
    r"code|context|error|query|location|process|pos|position|type|length|line|detail|hint|where"
)
_NEXT: Final = rf"(?=[\s,;]+(?:{_FIELDS})\b|\s*-{{5,}}|$)"
_REST: Final = re.compile(rf".*?{_NEXT}", re.IGNORECASE)
# A text that follows one of these and a colon, up to the next field.
_LABELLED: Final = re.compile(
    r"\b(values?|input|string|data|context|detail|row|record|field|column value|key|sequence|"
    r"for [^:,;]{1,60}|range|overflow|format|number|literal|json|element|path|"
    r"float|double precision|integer|int\d?|bigint|numeric|decimal|bool\w*|date|time\w*)"
    rf"\s*[:=]\s*(?!\s*$).*?{_NEXT}",
    re.IGNORECASE,
)
_PAIR: Final = re.compile(r"\([^()]*\)\s*=\s*\([^()]*\)")
_BRACED: Final = re.compile(r"\{.*\}|\[.*\]")
# An apostrophe within a word does not quote.
_OPENING: Final = re.compile(r"\"|(?<!\w)'|`")
_CLOSING: Final = {'"': re.compile(r'"'), "'": re.compile(r"'(?!\w)"), "`": re.compile("`")}
_TOKEN: Final = re.compile(r"[^\s,;()\"'`…]*[\d@][^\s,;()\"'`…]*")
_WORDS: Final = re.compile(r"\w+")
# Before a number that is none of a row's, and after a quantity.
_NUMBERED: Final = re.compile(
    r"\b(code|error|query|queries|pid|line|pos|position|status|oid|process|location|character|"
    r"statement|limit|errno|canretry|version|xid|transaction|than|least|most|maximum|max|of)\s*[:=#]?\s*\(?$",
    re.IGNORECASE,
)
_QUANTITY: Final = re.compile(
    r"\s*(ms|milli\w*|seconds?|minutes?|hours?|days?|rows?|bytes?|[kmgt]b|%|statements?|sessions?|"
    r"connections?|attempts?|queries|slots?|nodes?|columns?|expressions?|tables?|retries|bits?)\b",
    re.IGNORECASE,
)
# Names that contain digits.
_NAMES: Final = re.compile(
    r"arn:aws\S*|S3\w*(:\w+)*|UTF-?8|u?int\d|float\d|varchar\d*|md5|(64|128)-?bit|HTTP/\d.*",
    re.IGNORECASE,
)


class UnredactedError(Exception):
    """The warehouse's own text for a failed statement: only ever the cause of an error whose
    message is free of values, so that a log may have it.
    """


def without_values(text: str, sql: str) -> str:
    """The error text of a statement, with … for everything that may be a value of a row.

    Parameters
    ----------
    sql : the statement; what it contains is kept.
    """
    known = {word.lower() for word in _WORDS.findall(sql)}

    def is_known(part: str) -> bool:
        return all(word.lower() in known for word in _WORDS.findall(part))

    def labelled(found: re.Match[str]) -> str:
        return found.group() if is_known(found.group()) else f"{found.group(1)}: {_CUT}"

    def numbered(found: re.Match[str]) -> str:
        part = found.group()
        bare = part.rstrip(".:!?")
        before, after = found.string[: found.start()], found.string[found.end() :]
        allowed = bare.isdigit() and (_NUMBERED.search(before) or _QUANTITY.match(after))
        if allowed or _NAMES.fullmatch(bare) or is_known(bare):
            return part
        return _CUT + part[len(bare) :]

    shown = _PAIR.sub(f"({_CUT})=({_CUT})", text)
    shown = _BRACED.sub(lambda found: found.group() if is_known(found.group()) else _CUT, shown)
    shown = _unquoted(shown, is_known)
    shown = _LABELLED.sub(labelled, shown)
    return _TOKEN.sub(numbered, shown)


def _unquoted(text: str, is_known: Callable[[str], bool]) -> str:
    """The text without the quoted parts that are not known.

    A value may contain quotes itself, so it ends only with the next field after the last one.
    """
    shown, place = [], 0
    while opening := _OPENING.search(text, place):
        quote, start = opening.group(), opening.end()
        closing = _CLOSING[quote].search(text, start)
        if closing and is_known(text[start : closing.start()]):
            shown.append(text[place : closing.end()])
            place = closing.end()
            continue
        shown.append(f"{text[place : opening.start()]}{quote}{_CUT}{quote}")
        ends = [found.end() for found in _CLOSING[quote].finditer(text, start)]
        rest = _REST.match(text, ends[-1]) if ends else None
        place = rest.end() if rest else len(text)
    return "".join([*shown, text[place:]])
