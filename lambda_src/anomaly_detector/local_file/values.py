"""Turns columns into times, numbers and dimension values by the rules of the warehouse SQL."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from anomaly_detector.config import TimestampColumn
from anomaly_detector.errors import PermanentError
from anomaly_detector.warehouse.sql import MAX_VALUE_LENGTH, NULL_VALUE, STAR_VALUE, is_utc
from anomaly_detector.warehouse.time_format import TimeFormat

MISSING: Final = np.iinfo(np.int64).min
"""Unix time of a row whose timestamp is NULL."""

_ISO: Final = (
    r"^\s*(?P<year>\d{4})[-/](?P<month>\d{1,2})[-/](?P<day>\d{1,2})"
    r"(?:[ T](?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,]\d+)?)?"
    r"(?: ?(?P<zone>Z|UTC|[+-]\d{2}(?::?\d{2})?))?)?\s*$"
)
_NUMBER: Final = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$|^[+-]?(?i:inf(inity)?)$"
_NOT_A_NUMBER: Final = pa.array(["", "nan", "null", "none", "na", "n/a", r"\n"])
_EPOCH_TEXT: Final = r"^\s*\d{9,13}(\.\d+)?\s*$"
_MONTHS: Final = [
    *("jan", "feb", "mar", "apr", "may", "jun"),
    *("jul", "aug", "sep", "oct", "nov", "dec"),
]
# Letters of a time format -> part of a time and what its text looks like.
_PATTERNS: Final[dict[str, tuple[str, str]]] = {
    "yyyy": ("year", r"\d{4}"),
    "MMM": ("name", r"[A-Za-z]{3}"),
    "MM": ("month", r"\d{1,2}"),
    "M": ("month", r"\d{1,2}"),
    "dd": ("day", r"\d{1,2}"),
    "d": ("day", r"\d{1,2}"),
    "HH": ("hour", r"\d{1,2}"),
    "H": ("hour", r"\d{1,2}"),
    "hh": ("hour", r"\d{1,2}"),
    "a": ("half", r"(?i:am|pm)"),
    "mm": ("minute", r"\d{1,2}"),
    "ss": ("second", r"\d{1,2}"),
    "SSS": ("", r"\d{1,6}"),
    "SSSSSS": ("", r"\d{1,6}"),
}
_QUARTER: Final = 900


def texts(column: pa.ChunkedArray) -> pa.Array:
    """The column in one piece, without dictionary."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    array = column.combine_chunks()
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array


def is_text(kind: pa.DataType) -> bool:
    """Whether a column holds text, dictionary-encoded or not."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def is_number(kind: pa.DataType) -> bool:
    """Whether a column holds numbers."""
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )


def unix_times(column: pa.ChunkedArray, described: TimestampColumn) -> NDArray[np.int64]:
    """Unix time (s, UTC) of each row, rounded down; `MISSING` where it is NULL.

    Raises
    ------
    PermanentError
        With the first value that is not a time, and its row.
    """
    array = texts(column)
    name = described.name
    if is_text(array.type):
        return _parsed(array, described)
    if described.format:
        raise PermanentError(
            f"Column '{name}' is {array.type}, not text; remove timestamp_column.format."
        )
    if not (pa.types.is_timestamp(array.type) or pa.types.is_date(array.type)):
        raise PermanentError(
            f"Column '{name}' (timestamp_column) is {array.type}, not a timestamp; store it as a "
            "timestamp or as text such as 2022-01-15 04:25:00."
        )
    aware = pa.types.is_timestamp(array.type) and array.type.tz is not None
    if aware and not is_utc(described.timezone):
        raise PermanentError(
            f"Column '{name}' (timestamp_column) holds times with a zone ({array.type}); set "
            f"timestamp_column.timezone to 'UTC' (it is '{described.timezone}'). The detector's "
            "own time zone is not touched by that."
        )
    kind = pa.timestamp("ms") if pa.types.is_date(array.type) else array.type
    numbers = pc.fill_null(array.cast(kind).cast(pa.int64()), MISSING).to_numpy()
    known = numbers != MISSING
    a_second = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[kind.unit]
    seconds = np.where(known, numbers // a_second, MISSING)
    return seconds if aware else _to_utc(seconds, described.timezone)


def only_dates(column: pa.ChunkedArray, described: TimestampColumn) -> bool:
    """Whether no value has a time of day, because its type or text has no room for one."""
    if not is_text(column.type):
        return bool(pa.types.is_date(column.type))
    if described.format:
        return not any(
            text[0] in "Hh"
            for text, is_field in TimeFormat.parse(described.format).pieces
            if is_field
        )
    found = pc.match_substring(pc.cast(column, pa.string()), ":")
    return not pc.any(found).as_py()


def numbers(column: pa.ChunkedArray, name: str) -> NDArray[np.float64]:
    """Values of a measure; NaN where NULL. NaN in the file counts as NULL, as pandas writes it.

    Raises
    ------
    PermanentError
        With the first value that is not a number, and its row.
    """
    array = texts(column)
    if is_text(array.type):
        trimmed = pc.utf8_trim_whitespace(array)
        empty = pc.is_in(pc.utf8_lower(trimmed), value_set=_NOT_A_NUMBER.cast(trimmed.type))
        trimmed = pc.if_else(empty, pa.scalar(None, trimmed.type), trimmed)
        bad = _first_bad(trimmed, pc.match_substring_regex(trimmed, _NUMBER))
        if bad is not None:
            raise PermanentError(
                f"Column '{name}' (measure) holds '{array[bad].as_py()}' in row {bad + 1:,}, "
                "which is not a number; take it out, or use the aggregation COUNT."
            )
        array = pc.utf8_ltrim(trimmed, characters="+")
    elif not is_number(array.type) and not pa.types.is_null(array.type):
        raise PermanentError(
            f"Column '{name}' (measure) is {array.type}, not a number; use the aggregation COUNT, "
            "or store numbers."
        )
    values = array.cast(pa.float64(), safe=False)
    return np.asarray(pc.fill_null(values, np.nan).to_numpy(), dtype=np.float64)


def filled(column: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Which rows have a value, whatever it is: what COUNT counts."""
    array = texts(column)
    valid = pc.is_valid(array)
    if pa.types.is_floating(array.type):
        valid = pc.and_kleene(valid, pc.invert(pc.is_nan(pc.fill_null(array, np.nan))))
    return np.asarray(valid.to_numpy(zero_copy_only=False), dtype=np.bool_)


def keys(column: pa.ChunkedArray, name: str) -> tuple[NDArray[np.object_], NDArray[np.int64]]:
    """Distinct values of a dimension, ascending, and the place of each row's value among them.

    NULL is `(null)`, trailing blanks do not count, and the value `*`, which stands for roll-ups,
    becomes `(*)`.

    Raises
    ------
    PermanentError
        Where the column holds what cannot tell groups apart, or too long a text.
    """
    array = texts(column)
    kind = array.type
    if not is_text(kind):
        if pa.types.is_floating(kind) or pa.types.is_nested(kind) or pa.types.is_binary(kind):
            raise PermanentError(
                f"Column '{name}' (dimension) is {kind}, which cannot tell groups apart; store it "
                "as text or as a whole number."
            )
        array = array.cast(pa.string())
    encoded = array.dictionary_encode()
    found = pc.utf8_rtrim(encoded.dictionary, characters=" ").to_pylist()
    named = [STAR_VALUE if value == "*" else value for value in found] + [NULL_VALUE]
    long = max(named, key=len)
    if len(long) > MAX_VALUE_LENGTH:
        raise PermanentError(
            f"Dimension '{name}' has a value of {len(long)} characters, which begins with "
            f"'{long[:40]}'; at most {MAX_VALUE_LENGTH} are kept apart: shorten it."
        )
    values = sorted(set(named))
    place = {value: index for index, value in enumerate(values)}
    ranks = np.array([place[value] for value in named], dtype=np.int64)
    codes = pc.fill_null(encoded.indices, len(named) - 1).to_numpy()
    return np.array(values, dtype=object), ranks[codes]


def utc_offsets(seconds: NDArray[np.int64], timezone: str) -> NDArray[np.int64]:
    """Offset (s) of the zone's wall clock at each Unix time."""
    return _offsets(seconds, timezone, wall=False)


def _to_utc(wall: NDArray[np.int64], timezone: str) -> NDArray[np.int64]:
    """Unix times of wall-clock times; an hour that comes twice is the first of both."""
    if is_utc(timezone):
        return wall
    known = wall != MISSING
    shifted = wall.copy()
    shifted[known] -= _offsets(wall[known], timezone, wall=True)
    return shifted


def _offsets(seconds: NDArray[np.int64], timezone: str, *, wall: bool) -> NDArray[np.int64]:
    # Offsets change on quarter hours, so one look-up serves all times of a quarter hour.
    zone, epoch = ZoneInfo(timezone), datetime(1970, 1, 1)  # noqa: DTZ001 counted, not read
    quarters, which = np.unique(seconds // _QUARTER, return_inverse=True)
    found = np.zeros(len(quarters), dtype=np.int64)
    for index, quarter in enumerate(quarters.tolist()):
        moment = (
            (epoch + timedelta(seconds=quarter * _QUARTER)).replace(tzinfo=zone)
            if wall
            else datetime.fromtimestamp(quarter * _QUARTER, zone)
        )
        found[index] = int((moment.utcoffset() or timedelta()).total_seconds())
    return found[which]


def _parsed(array: pa.Array, described: TimestampColumn) -> NDArray[np.int64]:
    pattern = _pattern(described.format) if described.format else _ISO
    # Rows share their times: each text is read once.
    encoded = array.dictionary_encode()
    distinct = encoded.dictionary.cast(pa.string())
    seconds, zoned, good = _read(distinct, pattern)
    codes = pc.fill_null(encoded.indices, -1).to_numpy()
    if not good.all():
        row = int(np.flatnonzero((codes >= 0) & ~good[codes])[0])
        raise PermanentError(_unread(described, str(array[row].as_py()), row))
    seconds = np.where(zoned, seconds, _to_utc(seconds, described.timezone))
    found: NDArray[np.int64] = np.append(seconds, MISSING)[codes]
    return found


def _unread(described: TimestampColumn, text: str, row: int) -> str:
    said = (
        f"Column '{described.name}' (timestamp_column) holds '{text}' in row {row + 1:,}, which is "
    )
    if described.format:
        return f"{said}not a time in the format '{described.format}'."
    if re.match(_EPOCH_TEXT, text):
        return f"{said}a number; write times as text such as 2022-01-15 04:25:00."
    return (
        f"{said}not a time such as 2022-01-15 04:25:00; give timestamp_column.format, such as "
        "'dd.MM.yyyy HH:mm', or take the row out."
    )


def _pattern(letters: str) -> str:
    """Regular expression of a text format."""
    pieces = TimeFormat.parse(letters).pieces
    parts = []
    for index, (text, is_field) in enumerate(pieces):
        if not is_field:
            parts.append(re.escape(text))
            continue
        name, digits = _PATTERNS[text]
        beside = pieces[max(0, index - 1) : index] + pieces[index + 1 : index + 2]
        if any(field for _, field in beside) and digits == r"\d{1,2}":
            digits = r"\d{2}"  # yyyyMMdd: nothing else tells where a field ends
        parts.append(f"(?P<{name}>{digits})" if name else digits)
    return r"^\s*" + "".join(parts) + r"\s*$"


def _read(
    distinct: pa.Array, pattern: str
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.bool_]]:
    """Wall-clock or Unix time of each text, whether it names its offset, whether it is a time."""
    found = pc.extract_regex(distinct, pattern)
    good = np.asarray(pc.is_valid(found).to_numpy(zero_copy_only=False), dtype=np.bool_)
    names = [field.name for field in found.type]

    def part(name: str, default: int) -> NDArray[np.int64]:
        if name not in names:
            return np.full(len(good), default, dtype=np.int64)
        text = pc.struct_field(found, name)
        whole = pc.if_else(pc.equal(text, ""), str(default), text)
        return np.asarray(pc.fill_null(whole.cast(pa.int64()), default).to_numpy())

    year, month, day = part("year", 1970), part("month", 1), part("day", 1)
    hour, minute, second = part("hour", 0), part("minute", 0), part("second", 0)
    if "name" in names:
        of_name = pc.index_in(
            pc.utf8_lower(pc.struct_field(found, "name")), value_set=pa.array(_MONTHS)
        )
        month = pc.fill_null(of_name, -1).to_numpy().astype(np.int64) + 1
    if "half" in names:
        good &= (hour >= 1) & (hour <= 12)
        late = pc.equal(pc.utf8_lower(pc.struct_field(found, "half")), "pm")
        hour = hour % 12 + 12 * pc.fill_null(late, False).to_numpy(zero_copy_only=False)
    good &= (month >= 1) & (month <= 12) & (hour <= 23) & (minute <= 59) & (second <= 59)
    months = (year - 1970) * 12 + np.clip(month, 1, 12) - 1
    first = months.astype("datetime64[M]")
    days = (first + 1).astype("datetime64[D]") - first.astype("datetime64[D]")
    good &= (day >= 1) & (day <= days.astype(np.int64))
    date = first.astype("datetime64[D]").astype(np.int64) + day - 1
    seconds = date * 86_400 + hour * 3600 + minute * 60 + second
    if "zone" not in names:
        return seconds, np.zeros(len(good), dtype=np.bool_), good
    offset, zoned = _zone_offsets(pc.fill_null(pc.struct_field(found, "zone"), ""))
    return seconds - offset, zoned, good


def _zone_offsets(zones: pa.Array) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    encoded = zones.dictionary_encode()
    spelt: list[Any] = encoded.dictionary.to_pylist()
    codes = encoded.indices.to_numpy()
    offsets = np.array([_offset(text) for text in spelt], dtype=np.int64)
    zoned = np.array([text != "" for text in spelt], dtype=np.bool_)
    return offsets[codes], zoned[codes]


def _offset(text: str) -> int:
    digits = text.lstrip("+-").replace(":", "")
    if not digits.isdigit():
        return 0
    size = int(digits[:2]) * 3600 + int(digits[2:] or 0) * 60
    return -size if text.startswith("-") else size


def _first_bad(array: pa.Array, good: pa.Array) -> int | None:
    bad = np.flatnonzero(
        ~np.asarray(pc.fill_null(good, True).to_numpy(zero_copy_only=False), dtype=np.bool_)
    )
    return int(bad[0]) if len(bad) and len(array) else None
