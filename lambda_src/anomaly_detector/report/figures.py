"""Numbers as people read them."""

from __future__ import annotations

import math

from anomaly_detector.config import Unit

MINUS = "\N{MINUS SIGN}"
_PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))
# Beyond these, digits say more with an exponent.
_LARGEST, _SMALLEST = 1e15, 1e-4
_SURPASSING = 100.0  # a change of so many times its base is told as a factor


def figure(value: float | None, unit: Unit | None = None) -> str:
    """A value in a text: `6,547`, `0.0321`, `3.21 %` for a share, `nothing` where there is none."""
    if value is None or not math.isfinite(value):
        return "nothing"
    if unit == "share":
        return f"{_plain(100 * value)} %"
    return _plain(value)


def steps(value: float, unit: Unit | None = None) -> str:
    """A value on an axis, with SI steps: `1.2 k`, `3.4 M`."""
    if unit == "share":
        return f"{_plain(100 * value)} %"
    for size, prefix in _PREFIXES:
        if size <= abs(value) < 1000 * size:
            return f"{_plain(value / size)} {prefix}"
    return _plain(value)


def change(actual: float | None, expected: float) -> str:
    """`-84 %`, `+210 %`, `x 140` for what is over a hundred times as large, `new` where nothing was
    expected; empty where there is nothing to compare.
    """
    if actual is None or not (math.isfinite(actual) and math.isfinite(expected)):
        return ""
    if expected == 0:
        return "new" if actual else ""
    ratio = (actual - expected) / abs(expected)
    if abs(ratio) >= _SURPASSING:
        return f"× {_plain(actual / expected)}"
    percent = 100 * ratio
    digits = 0 if abs(percent) >= 10 else 1
    text = f"{abs(percent):.{digits}f} %"
    return f"{'+' if percent >= 0 else MINUS}{text}"


def instead(actual: float | None, expected: float, unit: Unit | None = None) -> str:
    """`1,055 instead of 6,547`."""
    return f"{figure(actual, unit)} instead of {figure(expected, unit)}"


def count(number: int, noun: str) -> str:
    """`1 event`, `1,200 events`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _plain(value: float) -> str:
    size = abs(value)
    if size and (size >= _LARGEST or size < _SMALLEST):
        digits, _, power = f"{size:.2e}".partition("e")
        text = f"{digits.rstrip('0').rstrip('.')}e{int(power)}"
    elif size >= 1000:
        text = f"{size:,.0f}"
    else:
        text = f"{size:.4g}"
    return f"{MINUS}{text}" if value < 0 and text != "0" else text
