"""Values of a measure as people read them. Pure."""

from __future__ import annotations

import math

from anomaly_detector.config import Config, Unit
from anomaly_detector.events.group import Group

_DIGITS = 4
# From here on, digits are noise.
_LARGEST, _SMALLEST = 1e15, 1e-6
_MOST_PERCENT = 10_000.0


def unit_of(config: Config, measure: str) -> Unit | None:
    """The unit in which values of a measure are shown: its own, or that of its aggregation."""
    found = config.measures[measure]
    counted = found.aggregation in ("COUNT", "COUNT_DISTINCT")
    return found.unit or ("count" if counted else None)


def unit_of_event(config: Config, group: Group) -> Unit | None:
    """The unit of an event's numbers: of its measure, or rows where it tells of their number."""
    return "count" if group.kind == "few rows" else unit_of(config, group.measure)


def figure(value: float | None, unit: Unit | None = None, digits: int = _DIGITS) -> str:
    """A value with thousands separators and four digits, a share in percent: `1,055`, `0.42 %`."""
    if value is None or not math.isfinite(value):
        return "nothing"
    # A share of that size is none, and would be infinite in percent.
    if unit == "share" and abs(value) < _LARGEST:
        return f"{_text(100 * value, digits - 1)} %"
    if unit == "count" and digits == _DIGITS and abs(value) >= 10:
        value = round(value)
    return _text(value, digits)


def compared(actual: float | None, expected: float, unit: Unit | None = None) -> str:
    """`1,055 instead of 6,547`, with as many digits as tell the two apart."""
    if actual is None:
        return f"{figure(expected, unit)} expected"
    digits = _DIGITS
    while True:
        some, other = figure(actual, unit, digits), figure(expected, unit, digits)
        if some != other or actual == expected or digits > 2 * _DIGITS:
            return f"{some} instead of {other}"
        digits += 1


def percent(actual: float | None, expected: float) -> str | None:
    """The size of a change without its sign, `84 %`; None where nothing was expected."""
    if actual is None or not expected or not math.isfinite(actual / expected):
        return None
    size = 100 * abs(actual - expected) / abs(expected)
    if size >= _MOST_PERCENT:
        return f"over {_MOST_PERCENT:,.0f} %"
    if 0 < size < 0.01:
        return "under 0.01 %"
    if 99 < size < 100:
        # Something is left: it is not all of it.
        return f"{math.floor(10 * size) / 10:.1f} %"
    return f"{_text(size, 2 if size < 10 else 3 if size < 1000 else 4, whole=size >= 10)} %"


def difference(actual: float | None, expected: float, unit: Unit | None = None) -> str | None:
    """How far it is off, in the measure's unit: `-5,492`; of shares in percentage points."""
    if actual is None or not math.isfinite(actual - expected):
        return None
    moved = actual - expected
    if unit == "share" and abs(moved) < _LARGEST:
        return f"{'+' * (moved > 0)}{_text(100 * moved, _DIGITS - 1)} points"
    return f"{'+' * (moved > 0)}{figure(moved, unit)}"


def change(actual: float | None, expected: float) -> str | None:
    """The change with its sign: `-84 %`; `new` where nothing was expected."""
    if actual is None:
        return None
    size = percent(actual, expected)
    if size is None:
        return "new" if actual else None
    bound, _, number = size.rpartition("er ")
    sign = "-" if actual < expected else "+"
    return f"{bound}er {sign}{number}" if bound else f"{sign}{size}"


def _text(value: float, digits: int, *, whole: bool = False) -> str:
    size = abs(value)
    if size >= _LARGEST or 0 < size < _SMALLEST:
        return f"{value:.{digits}g}"
    before = math.floor(math.log10(size)) + 1 if size else 1
    decimals = 0 if whole else max(0, digits - before)
    text = f"{value:,.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text
