"""Settings and panels that the detector's tests share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from anomaly_detector.config import ROLLED_UP, Config
from anomaly_detector.detection import DetectorSettings
from anomaly_detector.intervals import Grid
from anomaly_detector.panel import Panel
from numpy.typing import NDArray

MONDAY = np.datetime64("2025-01-06T00:00:00", "s")
PLATFORMS = ("pc_web", "mobile_web", "mobile_app")
MARKETPLACES = ("us", "uk", "de", "fr", "es", "it", "jp")
DIMENSIONS = ("platform", "marketplace")
SMALL_PLATFORMS, SMALL_MARKETS = ("app", "desk", "web"), ("de", "it", "us")
PARTS = [(one, other) for one in SMALL_PLATFORMS for other in SMALL_MARKETS]


def settings(
    interval: str = "PT1H",
    measures: Mapping[str, Mapping[str, Any]] | None = None,
    dimensions: Sequence[str] = ("platform",),
    **others: Any,
) -> DetectorSettings:
    """Settings of a detector, one SUM measure `views` unless told otherwise.

    Few series are tested, and chance alone may not reach the threshold in them.
    """
    config = Config.model_validate(
        {
            "name": "shop",
            "interval": interval,
            "timestamp_column": {"name": "ts"},
            "measures": measures or {"views": {}},
            "dimensions": list(dimensions),
            **({"false_events_per_week": 0.02} | others),
        }
    )
    return DetectorSettings.of(config, Grid.of(config))


def starts(size: int, seconds: int = 3600) -> NDArray[np.datetime64]:
    """Interval starts from a Monday's midnight, UTC."""
    return MONDAY + np.arange(size) * np.timedelta64(seconds, "s")


def panel(series: Mapping[str, Any], seconds: int = 3600) -> Panel:
    """A panel of one dimension and one measure: value of the dimension to its series (T,)."""
    values = np.array([np.asarray(one, dtype=np.float64) for one in series.values()]).T[:, None, :]
    slices = np.empty((len(series), 1), dtype=object)
    slices[:, 0] = list(series)
    counts = np.isfinite(values).astype(np.float64)
    return Panel(starts(len(values), seconds), ("platform",), slices, ("views",), values, counts)


def by_measure(series: Mapping[str, Sequence[Any]], seconds: int = 3600) -> Panel:
    """A panel of one dimension: measure to its series (T,), as many for each.

    The detector looks at each measure alone, so one replay serves many cases.
    """
    values = np.stack([np.stack(some, axis=1) for some in series.values()], axis=1)
    slices = np.empty((values.shape[2], 1), dtype=object)
    slices[:, 0] = [f"s{number:02d}" for number in range(values.shape[2])]
    counts = np.isfinite(values).astype(np.float64)
    return Panel(starts(len(values), seconds), ("platform",), slices, tuple(series), values, counts)


def beside(panels: Mapping[str, Panel]) -> Panel:
    """Panels of the same intervals and slices as measures of one: each is looked at alone.

    Norms that a panel lacks are unknown, which is the same.
    """
    first = next(iter(panels.values()))
    unknown = np.full(first.values.shape, np.nan, dtype=np.float32)
    norms = [unknown if one.norms is None else one.norms for one in panels.values()]
    values, counts = (
        np.concatenate([getattr(one, name) for one in panels.values()], axis=1)
        for name in ("values", "counts")
    )
    known = None if all(one is unknown for one in norms) else np.concatenate(norms, axis=1)
    return Panel(first.starts, first.dimensions, first.slices, tuple(panels), values, counts, known)


def cut(whole: Panel, begin: int, end: int, *, drop_empty: bool = False) -> Panel:
    """Some intervals of a panel, without slices that have no row in them where asked for."""
    values, counts = whole.values[begin:end], whole.counts[begin:end]
    kept = (
        np.isfinite(values).any(axis=(0, 1))
        if drop_empty
        else np.ones(len(whole.slices), dtype=np.bool_)
    )
    return Panel(
        whole.starts[begin:end],
        whole.dimensions,
        whole.slices[kept],
        whole.measures,
        values[:, :, kept],
        counts[:, :, kept],
    )


def seasonal(
    size: int, level: float = 1000.0, noise: float = 0.05, seed: int = 1, growth: float = 0.0
) -> NDArray[np.float64]:
    """An hourly series with a day, a weekend, growth (share a year) and noise of its size."""
    hour = np.arange(size)
    daily = 1 + 0.6 * np.sin(2 * np.pi * (hour % 24 - 9) / 24)
    weekly = np.where(hour // 24 % 7 >= 5, 1.3, 1.0)
    random = np.random.default_rng(seed)
    return np.asarray(
        level * daily * weekly * (1 + growth * hour / 8760) * np.exp(random.normal(0, noise, size))
    )


Fault = tuple[tuple[str, str], int, int, float]
"""Slice, first interval, end, factor."""


def shop(
    size: int,
    seed: int,
    faults: Sequence[Fault] = (),
    *,
    noise: float = 0.06,
    level: float = 1000.0,
) -> Panel:
    """A shop of 21 leaves with all roll-ups: views, and the revenue that follows them."""
    random = np.random.default_rng(seed)
    leaves = [(platform, market) for platform in PLATFORMS for market in MARKETPLACES]
    sizes = level * np.exp(random.normal(0, 0.8, len(leaves)))
    # A disturbance that all share, then each leaf's own.
    common = np.exp(random.normal(0, 0.02, size))
    mean = sizes[:, None] * seasonal(size, 1.0, 0.0, growth=0.3) * common
    for where, begin, end, factor in faults:
        hit = [
            all(value in (ROLLED_UP, part) for value, part in zip(where, leaf, strict=True))
            for leaf in leaves
        ]
        mean[np.ix_(hit, range(begin, end))] *= factor
    views = random.poisson(mean * np.exp(random.normal(0, noise, mean.shape))).astype(np.float64)
    revenue = np.round(views * 0.4 * np.exp(random.normal(0, 0.05, mean.shape)), 2)
    values = np.stack([views, revenue], axis=1)
    names: list[tuple[str, str]] = list(leaves)
    parts = [values]
    for rolled in [
        *((platform, ROLLED_UP) for platform in PLATFORMS),
        *((ROLLED_UP, market) for market in MARKETPLACES),
        (ROLLED_UP, ROLLED_UP),
    ]:
        held = [
            all(value in (ROLLED_UP, part) for value, part in zip(rolled, leaf, strict=True))
            for leaf in leaves
        ]
        names.append(rolled)
        parts.append(values[held].sum(axis=0)[None])
    slices = np.array(names, dtype=object)
    stacked = np.concatenate(parts).T
    return Panel(
        starts(size), DIMENSIONS, slices, ("views", "revenue"), stacked, np.ones_like(stacked)
    )


def rolled_up(leaves: NDArray[np.float64], seconds: int) -> Panel:
    """Leaves of three platforms and three markets with their roll-ups; zero has no row."""
    found = {}
    for one in ("*", *SMALL_PLATFORMS):
        for other in ("*", *SMALL_MARKETS):
            held = [one in ("*", own) and other in ("*", of) for own, of in PARTS]
            found[one, other] = leaves[held].sum(axis=0)
    slices = np.empty((len(found), 2), dtype=object)
    slices[:] = list(found)
    values = np.array([np.where(one > 0, one, np.nan) for one in found.values()]).T[:, None, :]
    counts = np.isfinite(values).astype(np.float64)
    size = leaves.shape[1]
    return Panel(starts(size, seconds), DIMENSIONS, slices, ("views",), values, counts)
