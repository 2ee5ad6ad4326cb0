"""Synthetic series of several types, and faults of each kind of event in them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tests.unit.detection_panels import seasonal

Array = NDArray[np.float64]

TYPES = {"sales": "SUM", "orders": "COUNT", "revenue": "SUM", "latency": "AVG"}
"""Aggregation of each type of series."""
FAULTS = ("spike", "dip", "level", "ramp", "stuck", "season", "variance", "no data")
_HOURS = {"spike": 3, "dip": 4, "no data": 8, "stuck": 18}


def length(kind: str) -> int:
    """Hours that a fault lasts."""
    return _HOURS.get(kind, 48)


def faulty(kind: str, of: str, size: int, begin: int, random: np.random.Generator) -> Array:
    """An hourly series of a type with a fault of a kind from `begin` on; NaN without a row."""
    span = slice(begin, begin + length(kind))
    swing = 0.1 if of == "latency" and kind != "season" else 0.3 if of == "latency" else 1.0
    level = {"sales": 3000.0, "orders": 40.0, "revenue": 120.0, "latency": 200.0}[of]
    mean = level * (1 - swing + swing * seasonal(size, 1.0, 0.0))
    factor = np.ones(size)
    factor[span] = _factor(kind, mean, span, random)
    mean = mean * factor * np.exp(random.normal(0, 0.03, size))
    values = np.round(mean, 2) if of == "latency" else random.poisson(mean).astype(np.float64)
    if of == "revenue":
        values = np.round(random.gamma(np.maximum(values, 1e-9)) * 25.0, 2)
    if kind == "stuck":
        values[span] = values[begin]
    elif kind == "no data":
        values[span] = np.nan
    return values


def _factor(kind: str, mean: Array, span: slice, random: np.random.Generator) -> Array | float:
    """What the mean is multiplied by in the fault."""
    size, up = span.stop - span.start, bool(random.integers(2))
    steps = np.arange(1, size + 1) / size
    if kind == "season":
        return mean[span.start - 12 : span.stop - 12] / mean[span]
    if kind == "variance":
        return np.exp(random.normal(0, 1.0, size))
    if kind == "ramp":
        return 1 + (3.0 if up else -0.95) * steps
    return {"spike": 2.2, "dip": 0.3, "level": 1.7 if up else 0.5}.get(kind, 1.0)
