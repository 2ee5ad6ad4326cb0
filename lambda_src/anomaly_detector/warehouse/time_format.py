"""Formats of timestamps stored as text, in the pattern letters of Lookout for Metrics."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from anomaly_detector.errors import PermanentError

_DAY: Final = 86_400
# Run of pattern letters (java.text.SimpleDateFormat) -> Redshift's TO_TIMESTAMP, Python's
# strftime, seconds of one unit.
_FIELDS: Final[dict[str, tuple[str, str, int]]] = {
    "yyyy": ("YYYY", "%Y", 0),
    "MMM": ("Mon", "%b", 0),
    "MM": ("MM", "%m", 0),
    "M": ("MM", "%-m", 0),
    "dd": ("DD", "%d", _DAY),
    "d": ("DD", "%-d", _DAY),
    "HH": ("HH24", "%H", 3600),
    "H": ("HH24", "%-H", 3600),
    "hh": ("HH12", "%I", 3600),
    "a": ("AM", "%p", 0),
    "mm": ("MI", "%M", 60),
    "ss": ("SS", "%S", 1),
    "SSS": ("MS", "000", 1),
    "SSSSSS": ("US", "000000", 1),
}
# Texts whose fields are in this order sort like their times.
_SORTABLE: Final = ["yyyy", "MM", "dd", "HH", "mm", "ss"]
_MONTHS: Final = "JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC"
_WORD: Final = re.compile(r"[^\W_]")
_PIECE: Final = re.compile(r"'((?:[^']|'')*)'|([A-Za-z])\2*|[^A-Za-z']+")


@dataclass(frozen=True)
class TimeFormat:
    """A parsed text format.

    Attributes
    ----------
    redshift : the format for TO_TIMESTAMP: fields, and characters between them.
    blanked : words between the fields, for which TO_TIMESTAMP has no documented syntax; a blank
        replaces each of them in the text, as in `redshift`.
    sortable : whether texts sort like their times, so that the raw column can be compared with
        bounds.
    """

    redshift: str
    blanked: tuple[str, ...]
    sortable: bool
    _pieces: tuple[tuple[str, bool], ...]
    _unit: int

    @classmethod
    def parse(cls, pattern: str) -> TimeFormat:
        """Parse a pattern.

        Raises
        ------
        PermanentError
            Names the unsupported letters or the missing field.
        """
        if pattern.count("'") % 2:
            raise PermanentError(f'timestamp_column.format must close its quotes; got "{pattern}".')
        pieces: list[tuple[str, bool]] = []
        for found in _PIECE.finditer(pattern):
            run = found.group()
            if found.group(1) is not None:
                pieces.append((found.group(1).replace("''", "'") or "'", False))
            elif not found.group(2):
                pieces.append((run, False))
            elif run in _FIELDS:
                pieces.append((run, True))
            else:
                raise PermanentError(_unknown(pattern, run))
        fields = [text for text, is_field in pieces if is_field]
        parts = {"year": {"yyyy"}, "month": {"MM", "M", "MMM"}, "day": {"dd", "d"}}
        for part, spellings in parts.items():
            if not spellings & set(fields):
                raise PermanentError(
                    "timestamp_column.format must contain year, month and day, such as yyyy-MM-dd "
                    f'HH:mm:ss; got "{pattern}", which has no {part}.'
                )
        if ("hh" in fields) != ("a" in fields):
            raise PermanentError(
                "timestamp_column.format must use hh (hours 1-12) and a (AM or PM) together, or HH "
                f'(hours 0-23); got "{pattern}".'
            )
        words = [text for text, is_field in pieces if not is_field and _WORD.search(text)]
        for word in words:
            _refuse_unclear(pattern, word, fields)
        whole = [field for field in fields if set(field) != {"S"}]
        return cls(
            redshift="".join(
                _FIELDS[text][0] if is_field else " " if text in words else text
                for text, is_field in pieces
            ),
            blanked=tuple(dict.fromkeys(words)),
            sortable=whole == _SORTABLE[: len(whole)] and fields[: len(whole)] == whole,
            _pieces=tuple(pieces),
            _unit=min(unit for unit in (_FIELDS[field][2] for field in fields) if unit),
        )

    @property
    def dates_only(self) -> bool:
        """Whether the format has no time of day, so that a text is a whole day."""
        return self._unit == _DAY

    @property
    def pieces(self) -> tuple[tuple[str, bool], ...]:
        """Fields (True) and the text between them (False), in order."""
        return self._pieces

    def write(self, wall: datetime) -> str:
        """Text of the latest time at or before `wall` (naive) that the format can express."""
        return "".join(
            _strftime(wall, _FIELDS[text][1]) if is_field else text
            for text, is_field in self._pieces
        )

    def write_after(self, wall: datetime) -> str:
        """Text of the first time at or after `wall` (naive) that the format can express."""
        midnight = wall.replace(hour=0, minute=0, second=0, microsecond=0)
        passed = int((wall - midnight).total_seconds())
        return self.write(midnight + timedelta(seconds=-(-passed // self._unit) * self._unit))


def _strftime(wall: datetime, code: str) -> str:
    if code == "%Y":
        return f"{wall.year:04d}"  # strftime omits leading zeros on some systems
    if code.startswith("%-"):
        return str(int(wall.strftime(f"%{code[2]}")))
    return wall.strftime(code)


def _refuse_unclear(pattern: str, word: str, fields: list[str]) -> None:
    """Reject a word that may also occur in a field's text: replacing it would change the field."""
    spelled = [_MONTHS] * ("MMM" in fields) + ["AM PM"] * ("a" in fields)
    said = word.strip().upper()
    if said.isdecimal() or any(said in text for text in spelled):
        raise PermanentError(
            "timestamp_column.format must have no text between its fields that a field can "
            "contain: return a TIMESTAMP from the query instead; got "
            f"\"{pattern}\", which has '{word}'."
        )


def _unknown(pattern: str, run: str) -> str:
    return (
        f"timestamp_column.format must consist of {', '.join(_FIELDS)}, with other letters in "
        "quotes, such as 'T'; cast a column with a time zone in the query; got "
        f"\"{pattern}\", which has '{run}'."
    )
