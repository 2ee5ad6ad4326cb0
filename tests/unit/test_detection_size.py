"""Changes that are small for the level, and dips that are short: both weighed by what varies."""

from __future__ import annotations

import numpy as np
from anomaly_detector.config import IntervalName
from anomaly_detector.detection import THRESHOLD_SEVERITY
from anomaly_detector.intervals import SECONDS
from anomaly_detector.panel import Scores
from anomaly_detector.replay import replay
from anomaly_detector.snapshot import Snapshot
from numpy.typing import NDArray

from tests.unit.detection_panels import by_measure, settings

FAULT = -30


def _scored(interval: IntervalName, series: dict[str, NDArray[np.float64]]) -> Scores:
    """Scores of means, each with the default budget."""
    chosen = settings(
        interval,
        {name: {"aggregation": "AVG"} for name in series},
        false_events_per_week=len(series),
    )
    whole = by_measure({name: [one] for name, one in series.items()}, SECONDS[interval])
    return replay(chosen, Snapshot.initial(chosen), whole).scores


SEEDS = (1, 7, 20)


def test_a_share_that_never_varied_and_falls_is_severe() -> None:
    series = {}
    for seed in SEEDS:
        random = np.random.default_rng(seed)
        share = np.clip(random.normal(0.998, 0.0006, 24 * 7 * 6), 0, 1)
        series[f"calm {seed}"] = share
        for fallen in (0.97, 0.9):
            series[f"{seed} to {fallen}"] = share.copy()
            series[f"{seed} to {fallen}"][FAULT] = fallen

    scores = _scored("PT1H", series)

    for severity in scores.severity[FAULT, :, 0].reshape(len(SEEDS), 3):
        assert severity[0] < THRESHOLD_SEVERITY < severity[1] < severity[2]
        assert severity[2] > 66


def test_a_dip_of_a_value_among_close_neighbours_is_found() -> None:
    size, series = 288 * 12, {}
    for seed in SEEDS:
        random = np.random.default_rng(seed)
        wander = np.zeros(size)
        for t in range(1, size):
            wander[t] = 0.985 * wander[t - 1] + random.normal(0, 2)
        day = 100 + 20 * np.sin(2 * np.pi * np.arange(size) / 288)
        smooth = day + wander + random.normal(0, 0.25, size)
        series[f"smooth {seed}"] = smooth
        for length in (1, 2):
            series[f"{seed}, dip of {length}"] = smooth.copy()
            series[f"{seed}, dip of {length}"][FAULT : FAULT + length] *= 0.75

    scores = _scored("PT5M", series)

    of_seeds = scores.severity[FAULT, :, 0].reshape(len(SEEDS), 3)
    assert (of_seeds[:, 1:] > THRESHOLD_SEVERITY).all()
    assert (scores.anomalous[size // 2 :, ::3, 0].sum(axis=0) <= 2).all()
