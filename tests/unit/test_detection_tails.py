"""How rare a value is: plain faults, faults after faults, and noise that is only noise."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from anomaly_detector.detection import THRESHOLD_SEVERITY
from anomaly_detector.panel import Scores
from anomaly_detector.replay import replay
from anomaly_detector.snapshot import Snapshot
from numpy.typing import NDArray

from tests.benchmarks import calibration
from tests.unit.detection_panels import by_measure, settings

Array = NDArray[np.float64]

WEEK = 168
HOURS = 8 * WEEK
DAY = HOURS - 4 * 24  # the day of the fault
PROFILE = 1 + 0.6 * np.sin(2 * np.pi * (np.arange(HOURS) % 24 - 9) / 24)


def _scored(series: dict[str, Array]) -> Scores:
    """Scores of hourly means since the fault, one series a measure, with the default budget."""
    chosen = settings(
        "PT1H",
        {name: {"aggregation": "AVG"} for name in series},
        false_events_per_week=len(series),
    )
    panel = by_measure({name: [one] for name, one in series.items()}, 3600)
    return replay(chosen, Snapshot.initial(chosen), panel, score_from=panel.starts[DAY]).scores


def _sales(random: np.random.Generator) -> Array:
    """A series with a daily profile that varies by a tenth at all hours."""
    return 1000 * PROFILE * np.exp(0.1 * random.normal(size=HOURS))


FAULTS: dict[str, Callable[[Array], None]] = {
    "thirteenfold for a day": lambda one: _times(one, 0, 24, 13),
    "-70 % for a day": lambda one: _times(one, 0, 24, 0.3),
    "-70 % at night": lambda one: _times(one, 1, 4, 0.3),
    "-30 % for six hours": lambda one: _times(one, 12, 6, 0.7),
    "-70 % twelve days after threefold": lambda one: _threefold_before(one),
}


def _threefold_before(one: Array) -> None:
    _times(one, -12 * 24, 3, 3)
    _times(one, 14, 3, 0.3)


def _times(one: Array, hour: int, hours: int, factor: float) -> None:
    one[DAY + hour : DAY + hour + hours] *= factor


@pytest.mark.parametrize("seed", [2, 11, 29])
def test_plain_faults_reach_the_threshold(seed: int) -> None:
    random = np.random.default_rng(seed)
    series = {}
    for name, fault in FAULTS.items():
        series[name] = _sales(random)
        fault(series[name])
    speed = 65 + 3 * random.normal(size=HOURS)
    speed[DAY + 12 : DAY + 15] = 10
    series["speed from 65 to 10"] = speed

    scores = _scored(series)

    largest = dict(zip(scores.measures, scores.severity[:24, :, 0].max(axis=0), strict=True))
    assert {name: s for name, s in largest.items() if s < THRESHOLD_SEVERITY} == {}


@pytest.mark.parametrize("noise", ["Gaussian", "lognormal, 0.5", "Poisson, 8"])
def test_noise_is_as_often_severe_as_the_budget_says_once_its_tail_is_known(noise: str) -> None:
    aggregation, draw = calibration.NOISES[noise]
    values = draw(np.random.default_rng([len(noise), 5]), (16, 14 * WEEK))
    nominal, learned = 0.01, 10 * WEEK

    points, _ = calibration.measure(aggregation, values, nominal, learned)

    share = points / (values.shape[0] * 4 * WEEK)
    assert nominal / 3 < share < nominal * 3
