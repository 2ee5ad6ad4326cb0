"""Changes that are small for the level are weighed by what the series varies."""

from __future__ import annotations

import numpy as np
import pytest
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


@pytest.mark.parametrize("seed", [1, 7, 20])
def test_a_share_that_never_varied_and_falls_is_severe(seed: int) -> None:
    random = np.random.default_rng(seed)
    share = np.clip(random.normal(0.998, 0.0006, 24 * 7 * 6), 0, 1)
    series = {"calm": share}
    for fallen in (0.97, 0.9):
        series[f"to {fallen}"] = share.copy()
        series[f"to {fallen}"][FAULT] = fallen

    scores = _scored("PT1H", series)

    severity = scores.severity[FAULT, :, 0]
    assert severity[0] < THRESHOLD_SEVERITY < severity[1] < severity[2]
    assert severity[2] > 66
