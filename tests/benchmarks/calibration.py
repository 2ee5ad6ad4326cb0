"""Calibration: the observed rate of false alarms relative to the nominal rate.

`python -m tests.benchmarks.calibration [--seeds 1-3] [--short] [--json out]`. Series of pure noise
without faults, one slice each. Severity is 50 at the surprise that chance reaches as often as the
budget allows, so a nominal rate of p per point over S series and I intervals per week corresponds
to a budget of p x S x I false events per week. A point at severity 50 or more is a false alarm. The
first six weeks are for training and are not judged.

Two rates are shown, each divided by the nominal rate (1 is exact, less is conservative). *Points*
is the share of points at severity 50 or more. *Events* is the number of groups that `advance`
opens, per point: adjacent false alarms form one event, which is the unit of the budget.

The six kinds of noise: Gaussian, Laplace, Student t with 3 degrees of freedom, lognormal (sigma
0.5), autoregressive (0.8), and Poisson counts with mean 8; all added to a daily and weekend
profile, except the last, whose mean is constant.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from anomaly_detector.config import Config
from anomaly_detector.detection import THRESHOLD_SEVERITY, DetectorSettings
from anomaly_detector.intervals import Grid
from anomaly_detector.panel import Panel
from anomaly_detector.replay import replay
from anomaly_detector.snapshot import Snapshot
from numpy.typing import NDArray

from tests.benchmarks import console

Array = NDArray[np.float64]

NOMINAL = (1e-3, 1e-4)
SEEDS = (1, 2, 3)
SERIES = 50
LEARNT, SCORED = 42 * 24, 84 * 24
WEEK = 168


def _seasonal(size: int) -> Array:
    hour = np.arange(size)
    daily = 1 + 0.5 * np.sin(2 * np.pi * (hour % 24 - 9) / 24)
    return 1000 * daily * np.where(hour // 24 % 7 >= 5, 1.3, 1.0)


def _gaussian(random: np.random.Generator, shape: tuple[int, int]) -> Array:
    return _seasonal(shape[1]) + 80 * random.normal(size=shape)


def _laplace(random: np.random.Generator, shape: tuple[int, int]) -> Array:
    return _seasonal(shape[1]) + 60 * random.laplace(size=shape)


def _student(random: np.random.Generator, shape: tuple[int, int]) -> Array:
    return _seasonal(shape[1]) + 50 * random.standard_t(3, shape)


def _lognormal(random: np.random.Generator, shape: tuple[int, int]) -> Array:
    return _seasonal(shape[1]) * np.exp(random.normal(0, 0.5, shape))


def _autoregressive(random: np.random.Generator, shape: tuple[int, int]) -> Array:
    shocks = random.normal(0, 60, (shape[0], shape[1] + 100))
    for t in range(1, shocks.shape[1]):
        shocks[:, t] += 0.8 * shocks[:, t - 1]
    return _seasonal(shape[1]) + shocks[:, 100:]


def _poisson(random: np.random.Generator, shape: tuple[int, int]) -> Array:
    return random.poisson(8, shape).astype(np.float64)


NOISES: dict[str, tuple[str, Callable[[np.random.Generator, tuple[int, int]], Array]]] = {
    "Gaussian": ("AVG", _gaussian),
    "Laplace": ("AVG", _laplace),
    "Student t, 3": ("AVG", _student),
    "lognormal, 0.5": ("AVG", _lognormal),
    "autoregressive, 0.8": ("AVG", _autoregressive),
    "Poisson, 8": ("SUM", _poisson),
}


def posed(aggregation: str, values: Array, nominal: float) -> tuple[DetectorSettings, Panel]:
    """A detector of the series (K, T), one slice each, whose budget is the nominal rate."""
    config = Config.model_validate(
        {
            "interval": "PT1H",
            "timestamp_column": {"name": "timestamp"},
            "measures": {"value": {"aggregation": aggregation}},
            "dimensions": ["series"],
            "rollups": [],
            "false_events_per_week": nominal * len(values) * WEEK,
        }
    )
    slices = np.empty((len(values), 1), dtype=object)
    slices[:, 0] = [f"{place:03}" for place in range(len(values))]
    hours = np.arange(values.shape[1]) * np.timedelta64(3600, "s")
    starts = np.datetime64("2025-01-06T00:00:00", "s") + hours
    turned = values.T[:, None]
    panel = Panel(starts, ("series",), slices, ("value",), turned, np.ones_like(turned))
    return DetectorSettings.of(config, Grid.of(config)), panel


def measure(aggregation: str, values: Array, nominal: float, learnt: int) -> tuple[int, int]:
    """False points and false events of the panel (K, T) at a nominal rate."""
    settings, panel = posed(aggregation, values, nominal)
    done = replay(settings, Snapshot.initial(settings), panel, score_from=panel.starts[learnt])
    return int((done.scores.severity >= THRESHOLD_SEVERITY).sum()), len(done.groups)


def run(
    seeds: Sequence[int] = SEEDS,
    *,
    series: int = SERIES,
    scored: int = SCORED,
    nominals: Sequence[float] = NOMINAL,
) -> dict[str, Any]:
    """One row per kind of noise."""
    rows: list[dict[str, Any]] = []
    for name in console.progress(NOISES, "calibration", len(NOISES)):
        aggregation, noise = NOISES[name]
        row: dict[str, Any] = {"noise": name}
        for nominal in nominals:
            points = events = 0
            for seed in seeds:
                values = noise(np.random.default_rng([seed, 9]), (series, LEARNT + scored))
                found = measure(aggregation, values, nominal, LEARNT)
                points, events = points + found[0], events + found[1]
            size = len(seeds) * series * scored
            row[f"points / nominal, {nominal:g}"] = points / size / nominal
            row[f"events / nominal, {nominal:g}"] = events / size / nominal
        rows.append(row)
    title = f"calibration: {len(seeds) * series * scored:,} points of noise per row"
    return {"benchmark": "calibration", "tables": {title: rows}, "notes": []}


def main() -> int:
    chosen = console.arguments(__doc__.partition("\n")[0], SEEDS).parse_args()
    scored = 4 * WEEK if chosen.short else SCORED
    result = run(chosen.seeds[:1] if chosen.short else chosen.seeds, scored=scored)
    console.finish(result, chosen.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
