"""The series that a page's script can draw, as one block of data."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.alerts.figures import unit_of
from anomaly_detector.config import ROLLED_UP, Config
from anomaly_detector.report.stored import Stored

# 65,535 stands for a missing value.
_STEPS = 65_534
_BESIDES = 200  # bytes of a series beside its values


@dataclass(frozen=True)
class Chosen:
    """The places of the series that the block holds; `total` are all of them."""

    places: tuple[int, ...]
    total: int


def choose(stored: Stored, first: Iterable[int], budget: int) -> Chosen:
    """As many series as the budget in bytes holds: `first`, then from the total to the leaves, the
    largest first.
    """
    each = _BESIDES + 4 * -(-stored.values.shape[2] * 2 * len(stored.values) // 3)
    most = max(1, budget // each)
    with np.errstate(all="ignore"):
        size = np.nan_to_num(np.abs(np.nansum(stored.values[0], axis=1)))
    rank = np.lexsort((np.arange(len(size)), -size, stored.depth))
    ordered = dict.fromkeys([*first, *rank.tolist()])
    return Chosen(tuple(list(ordered)[:most]), len(stored.names))


def block(config: Config, stored: Stored, chosen: Sequence[int]) -> str:
    """JSON that an HTML script element can hold.

    A value is one of 65,535 steps between the smallest and the largest of its series, in base64.
    """
    values = [
        sorted({str(one) for one in stored.slices[list(chosen), axis].tolist()} - {ROLLED_UP})
        for axis in range(len(stored.dimensions))
    ]
    number = [{name: place for place, name in enumerate(names)} for names in values]
    measures = list(config.measures)
    document: dict[str, Any] = {
        "edges": stored.edges.astype(np.int64).tolist(),
        "zone": config.timezone,
        "days": config.of_days,
        "measures": [
            {"name": name, "unit": unit_of(config, name), "zero": counts(config, name)}
            for name in measures
        ],
        "dimensions": [
            {"name": name, "values": held}
            for name, held in zip(stored.dimensions, values, strict=True)
        ],
        "series": [
            {
                "m": measures.index(stored.names[place][0]),
                "s": [
                    number[axis].get(value, -1) for axis, value in enumerate(stored.names[place][1])
                ],
                **_packed(stored.values[:, place]),
                "a": np.flatnonzero(stored.anomalous[place]).tolist(),
            }
            for place in chosen
        ],
    }
    return embeddable(document)


def embeddable(document: Mapping[str, Any]) -> str:
    """JSON without a sign that could end its element."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    for sign in "<>&\u2028\u2029":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    # Lone surrogates cannot be written.
    return text.encode("utf-8", "replace").decode()


def counts(config: Config, measure: str) -> bool:
    """Whether zero belongs on the axis of a measure."""
    return config.measures[measure].aggregation in ("SUM", "COUNT", "COUNT_DISTINCT")


def _packed(rows: NDArray[np.float64]) -> dict[str, Any]:
    known = np.isfinite(rows)
    low, high = (float(rows[known].min()), float(rows[known].max())) if known.any() else (0.0, 0.0)
    span = (high - low) or 1.0
    steps = np.where(known, np.nan_to_num(rows - low) / span * _STEPS, _STEPS + 1)
    packed = np.rint(np.clip(steps, 0, _STEPS + 1)).astype("<u2")
    return {"l": low, "h": high, "v": base64.b64encode(packed.tobytes()).decode()}
