"""The training report: seasons, spread, missing rows, sparse and constant series."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from anomaly_detector.detection import DetectorSettings
from anomaly_detector.detection.report import Report, SeriesClass, describe
from anomaly_detector.panel import Panel
from anomaly_detector.replay import replay
from anomaly_detector.snapshot import Snapshot
from numpy.typing import NDArray

from tests.unit.detection_panels import DIMENSIONS, by_measure, cut, panel, seasonal, settings, shop

HOURS = 24 * 7 * 6
HOUR = np.arange(HOURS)
DAYS = 7 * 20
DAY = np.arange(DAYS)
MEAN = {"views": {"aggregation": "AVG"}}


def _report(whole: Panel, chosen: DetectorSettings) -> Report:
    return describe(chosen, replay(chosen, Snapshot.initial(chosen), whole).after.state)


def _class(
    *series: Any, chosen: DetectorSettings | None = None, seconds: int = 3600
) -> SeriesClass:
    """What is said of the series of one measure by platform."""
    named = {f"s{number:02d}": one for number, one in enumerate(series)}
    (found,) = _report(panel(named, seconds), chosen or settings()).classes
    return found


def _classes(
    series: Mapping[str, Sequence[Any]], rules: Mapping[str, Mapping[str, Any]] | None = None
) -> tuple[SeriesClass, ...]:
    """What is said of each of many measures."""
    chosen = settings(measures=rules or {name: {} for name in series})
    return _report(by_measure(series), chosen).classes


def _noise(seed: int, size: float, count: int = HOURS) -> NDArray[np.float64]:
    return np.random.default_rng(seed).normal(0, size, count)


# --- seasons ------------------------------------------------------------------------------------


def test_a_day_is_told_with_the_share_that_it_explains() -> None:
    sine = 1000 + 100 * np.sin(2 * np.pi * HOUR / 24)

    found = _class(*(sine + _noise(seed, 50) for seed in range(6)))

    assert found.seasons == ("day",)
    assert (found.with_day, found.with_week) == (6, 0)
    # The variance of the sine is 100^2 / 2, of the noise 50^2.
    assert found.day_share == pytest.approx(2 / 3, abs=0.08)
    assert found.week_share == pytest.approx(0, abs=0.05)
    assert found.spread == pytest.approx(0.05, rel=0.15)
    assert found.level == pytest.approx(1000, rel=0.02)


@pytest.mark.parametrize("cut_off", [0, 30])
def test_a_weekend_is_told_as_a_week_and_not_as_a_day(cut_off: int) -> None:
    weekend = np.where(HOUR // 24 % 7 >= 5, 1500.0, 1000.0)[: HOURS - cut_off]

    found = _class(weekend + _noise(1, 20)[: HOURS - cut_off])

    assert found.seasons == ("week",)
    # Weekends are learnt slowly while they are young: a fault must not teach them.
    assert found.week_share == pytest.approx(0.93, abs=0.07)
    assert found.day_share == pytest.approx(0, abs=0.05)


def test_a_day_and_a_week_are_both_told() -> None:
    found = _class(seasonal(HOURS))

    assert found.seasons == ("day", "week")
    assert found.day_share is not None
    assert found.week_share is not None
    assert found.day_share > found.week_share > 0.05
    assert found.day_share + found.week_share < 1


def test_noise_and_swings_below_it_are_no_season() -> None:
    series = {}
    for swing in (0.0, 0.3, 0.55):
        weak = 1000 + 100 * swing * np.sin(2 * np.pi * HOUR / 24)
        series[f"swing {swing}"] = [weak + _noise(seed, 100) for seed in range(20)]

    for found in _classes(series):
        assert found.seasons == ()
        assert (found.with_day, found.with_week) == (0, 0)
        assert found.spread == pytest.approx(0.1, rel=0.1)


def test_noise_of_a_short_history_is_no_season() -> None:
    chosen = settings("P1D")

    found = _class(
        *(1000 + _noise(seed, 50, 30) for seed in range(40)), chosen=chosen, seconds=86_400
    )

    assert found.with_week <= 2
    assert found.seasons == ()


def test_days_know_no_season_of_the_day() -> None:
    weekend = np.where(DAY % 7 >= 5, 1300.0, 1000.0) + _noise(1, 20, DAYS)

    found = _class(weekend, chosen=settings("P1D"), seconds=86_400)

    assert found.seasons == ("week",)
    assert (found.with_day, found.day_share) == (0, 0)


def test_a_season_of_the_minority_is_counted_but_not_that_of_the_class() -> None:
    sine = 1000 + 400 * np.sin(2 * np.pi * HOUR / 24) + _noise(1, 50)

    found = _class(sine, *(1000 + _noise(seed, 50) for seed in (2, 3)))

    assert found.seasons == ()
    assert found.with_day == 1


# --- gaps, sparse and constant series -----------------------------------------------------------


def _gappy(seed: int, share: float, level: float) -> NDArray[np.float64]:
    random = np.random.default_rng(seed)
    return np.where(random.random(HOURS) < share, np.nan, random.normal(level, level / 20, HOURS))


def test_the_share_of_missing_rows_is_told() -> None:
    shares = (0.05, 0.3, 0.8)
    series = {
        f"share {share}": [
            *(_gappy(seed, share, 500) for seed in range(8)),
            np.full(HOURS, 500.5),
        ]
        for share in shares
    }

    for share, found in zip(shares, _classes(series), strict=True):
        assert found.share_missing == pytest.approx(8 / 9 * share, abs=0.02)


def test_an_interval_without_any_row_is_not_missing() -> None:
    values = seasonal(HOURS)
    values[-20:-10] = np.nan

    assert _class(values).share_missing == 0


def test_sparse_counts_are_counted_and_their_absent_rows_are_zero() -> None:
    random = np.random.default_rng(1)
    rare = [random.poisson(0.02, HOURS).astype(float) for _ in range(3)]
    few = [random.poisson(2, HOURS).astype(float) for _ in range(2)]
    many = [random.poisson(40, HOURS).astype(float) for _ in range(4)]

    found = _class(*(np.where(one > 0, one, np.nan) for one in rare + few), *many)

    assert (found.series, found.sparse) == (9, 5)
    # Of 2 events an interval, e^-2 of the intervals have no row.
    assert found.absent_is_zero == 5
    # One interval of either is too little; 48 of the few are not.
    assert (found.windows_only, found.left_to_rollup) == (5, 3)
    assert "count as zero" in found.treatment


def test_missing_rows_of_a_mean_are_no_evidence() -> None:
    chosen = settings(measures=MEAN)

    found = _class(*(_gappy(seed, 0.6, 80) for seed in range(3)), 80 + _noise(9, 2), chosen=chosen)

    assert found.sparse == 3
    assert (found.absent_is_zero, found.windows_only, found.left_to_rollup) == (0, 0, 0)
    assert "no evidence" in found.treatment
    assert found.spread == pytest.approx(1 / 20, rel=0.2)


def test_rows_that_are_complete_are_not_sparse_however_few_stand_behind_them() -> None:
    series = {"SUM": [seasonal(HOURS)], "AVG": [seasonal(HOURS)]}

    found = _classes(series, {name: {"aggregation": name} for name in series})

    assert [one.sparse for one in found] == [0, 0]


def test_float_noise_is_constant() -> None:
    series = {
        f"level {level}": [level * (1 + _noise(3, 4e-16)), np.zeros(HOURS), 5 * seasonal(HOURS)]
        for level in (0.1, -7.3, 1e15, 1e-12)
    }

    for found in _classes(series):
        assert found.constant == 2
        assert (found.with_day, found.with_week) == (1, 1)


def test_a_series_that_varies_little_is_not_constant() -> None:
    noiseless = 1000 + 0.1 * np.sin(2 * np.pi * HOUR / 24)

    found = _classes({"noise": [1000 + _noise(3, 0.1)], "sine": [noiseless]})

    assert [one.constant for one in found] == [0, 0]


# --- classes ------------------------------------------------------------------------------------


def test_series_that_have_not_seen_enough_are_learning() -> None:
    young = seasonal(HOURS)
    young[: HOURS - 100] = np.nan

    found = _class(young, seasonal(HOURS), np.full(HOURS, np.nan))

    assert (found.series, found.learning) == (2, 1)
    assert found.intervals_learnt == (HOURS + 100) / 2


SHOP = settings(dimensions=DIMENSIONS, measures={"views": {}, "revenue": {}})


@cache
def _of_the_shop() -> Report:
    return _report(shop(HOURS, 1), SHOP)


def test_classes_are_measures_by_level_from_the_total_to_the_leaves() -> None:
    report = _of_the_shop()

    assert [(one.measure, one.dimensions, one.series) for one in report.classes] == [
        (measure, dimensions, series)
        for measure in ("views", "revenue")
        for dimensions, series in (
            ((), 1),
            (("platform",), 3),
            (("marketplace",), 7),
            (DIMENSIONS, 21),
        )
    ]
    spread = {(one.measure, one.dimensions): one.spread or 0 for one in report.classes}
    # A total is calmer than its leaves, and revenue has noise of its own.
    assert spread["views", ()] < spread["views", ("platform",)] < spread["views", DIMENSIONS]
    assert spread["views", DIMENSIONS] < spread["revenue", DIMENSIONS]
    assert all(one.seasons == ("day", "week") for one in report.classes)
    assert report.learnt_to == "2025-02-16T23:00:00Z"
    assert (report.interval, report.intervals, report.warm_up) == ("PT1H", HOURS, 336)


def test_measures_do_not_mix() -> None:
    whole = shop(HOURS, 1)
    values = whole.values.copy()
    values[:, 1] = np.nan

    both, alone = _of_the_shop(), _report(replace(whole, values=values), SHOP)

    assert both.classes[:4] == alone.classes[:4]
    for one in alone.classes[4:]:
        assert (one.series, one.level, one.spread, one.seasons) == (0, None, None, ())


@pytest.mark.parametrize("dimensions", [(), ("platform",)])
def test_a_state_before_any_interval_has_no_class(dimensions: tuple[str, ...]) -> None:
    chosen = settings(dimensions=dimensions)

    report = describe(chosen, Snapshot.initial(chosen).state)

    assert (report.classes, report.learnt_to, report.intervals) == ((), None, 0)


@pytest.mark.parametrize("size", [1, 2, 30, 400])
def test_wild_and_young_series_give_json_without_warnings(size: int) -> None:
    random = np.random.default_rng(2)
    series = {
        "large": 1e29 * (1 + 0.1 * random.random(size)),
        "tiny": 1e-200 * random.random(size),
        "around zero": random.normal(0, 1, size),
        "zero": np.zeros(size),
        "wild": random.choice([np.nan, np.inf, -np.inf, 1e300, 5.0], size),
        "once": np.r_[3.0, np.full(size - 1, np.nan)],
    }
    chosen = settings()
    state = replay(chosen, Snapshot.initial(chosen), cut(panel(series), 0, size)).after.state

    with np.errstate(all="raise", under="ignore"):
        report = describe(chosen, state)

    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["intervals"] == size
    assert report.classes[0].series >= 5
