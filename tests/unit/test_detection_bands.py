"""Bounds: the share of normal values between them, what values they allow, and where faults lie."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from anomaly_detector.detection import DetectorSettings
from anomaly_detector.panel import Scores
from anomaly_detector.replay import replay
from anomaly_detector.snapshot import Snapshot
from numpy.typing import NDArray

from tests.unit.detection_panels import by_measure, seasonal, settings

LEARNT, SCORED = 24 * 7 * 5, 24 * 7 * 5
HOURS = LEARNT + SCORED
SERIES = 12
Random = np.random.Generator
DAY = seasonal(HOURS, noise=0.0)
# What is added to a day, or multiplies it; counts, and a count that is mostly zero.
NOISES: dict[str, Callable[[Random], NDArray[np.float64]]] = {
    "normal": lambda random: DAY + 60 * random.normal(size=HOURS),
    "Laplace": lambda random: DAY + 50 * random.laplace(size=HOURS),
    "Student": lambda random: DAY + 40 * random.standard_t(3, HOURS),
    "lognormal": lambda random: DAY * np.exp(random.normal(0, 0.5, HOURS)),
    "counts": lambda random: random.poisson(8, HOURS).astype(float),
    "rare": lambda random: random.poisson(0.2, HOURS).astype(float),
}


def _scored(series: dict[str, Any], chosen: DetectorSettings | None = None) -> Scores:
    chosen = chosen or settings(measures={name: {} for name in series})
    whole = by_measure(series)
    return replay(chosen, Snapshot.initial(chosen), whole, score_from=whole.starts[LEARNT]).scores


@cache
def _of_noises(share: float) -> Scores:
    """Scores of noises, by a band that holds this share."""
    noises = {
        name: [noise(np.random.default_rng([place, 5])) for place in range(SERIES)]
        for name, noise in NOISES.items()
    }
    # 0.99 is the default.
    chosen: dict[str, Any] = {} if share == 0.99 else {"band": share}
    return _scored(noises, settings(measures={name: {} for name in NOISES}, **chosen))


@pytest.mark.parametrize("share", [0.99, 0.9])
def test_the_share_asked_for_lies_in_the_band_whatever_the_noise(share: float) -> None:
    scores = _of_noises(share)

    inside = (scores.actual >= scores.lower) & (scores.actual <= scores.upper)
    found = dict(zip(scores.measures, inside.mean(axis=(0, 2)), strict=True))
    beyond = 1 - share
    for name, one in found.items():
        assert abs(one - share) <= max(0.005, 0.25 * beyond), (name, found)


def test_the_band_leaves_out_as_much_on_either_side() -> None:
    scores = _of_noises(0.99)

    below, above = scores.actual < scores.lower, scores.actual > scores.upper
    for name in ("normal", "Laplace", "lognormal"):
        m = scores.measures.index(name)
        for side in (below, above):
            assert 0.002 < side[:, m].mean() < 0.008, name


def test_a_band_holds_only_values_that_the_series_can_have() -> None:
    random = np.random.default_rng(4)
    scores = _scored(
        {
            "few": [random.poisson(2, HOURS).astype(float)],
            "amount": [np.where(random.random(HOURS) < 0.5, 0.0, random.gamma(2, 9.5, HOURS))],
            "balance": [random.normal(0, 3.5, HOURS)],
        }
    )

    few, amount, balance = (scores.lower[:, m, 0] for m in range(3))
    assert (few >= 0).all()
    assert (amount >= 0).all()
    assert (balance < -3).all()
    for bound in (few, scores.upper[:, 0, 0]):
        np.testing.assert_array_equal(bound, np.rint(bound))
    assert (scores.upper[:, 1, 0] != np.rint(scores.upper[:, 1, 0])).all()


def test_a_fault_lies_outside_and_does_not_widen_the_band() -> None:
    calm = seasonal(HOURS)
    series = {"calm": [calm]}
    for factor in (0.6, 2.0):
        values = calm.copy()
        values[LEARNT + 200 : LEARNT + 212] *= factor
        series[f"times {factor}"] = [values]

    scores = _scored(series)

    fault = slice(200, 212)
    assert (scores.actual[fault, 1, 0] < scores.lower[fault, 1, 0]).all()
    assert (scores.actual[fault, 2, 0] > scores.upper[fault, 2, 0]).all()
    width = scores.upper[-1, :, 0] - scores.lower[-1, :, 0]
    assert (width < 1.4 * width[0]).all()


def test_a_band_is_narrow_enough_to_say_something() -> None:
    scores = _of_noises(0.99)

    normal = scores.measures.index("normal")
    # 99 % of a normal distribution with deviation 60 lie within 309.
    assert np.median((scores.upper - scores.lower)[:, normal]) < 1.25 * 309


def test_the_unit_of_a_measure_decides_where_its_band_ends() -> None:
    random = np.random.default_rng(6)
    share = np.clip(random.normal(0.97, 0.02, HOURS), 0, 1)
    seconds = np.abs(random.normal(0.97, 0.2, HOURS))
    mean = {"aggregation": "AVG"}
    rules = {
        "share": mean,
        "seconds": mean,
        "amount": mean | {"unit": "amount"},
        "said": {"unit": "share"},
        "count": mean | {"unit": "count"},
    }
    values = (share, seconds, share, share, 20 * seconds)

    scores = _scored(
        {name: [one] for name, one in zip(rules, values, strict=True)}, settings(measures=rules)
    )

    upper = dict(zip(rules, scores.upper[:, :, 0].max(axis=0), strict=True))
    assert (upper["share"], upper["said"]) == (1, 1)
    assert upper["seconds"] > 1.1
    assert upper["amount"] > 1.01
    count = scores.upper[:, list(rules).index("count"), 0]
    np.testing.assert_array_equal(count, np.rint(count))
