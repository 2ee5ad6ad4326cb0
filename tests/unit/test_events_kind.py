"""Every event has a kind: from tracks as faults leave them, and from faults in series."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta

import numpy as np
import pytest
from anomaly_detector.detection.scan import FEWEST_SAME
from anomaly_detector.events.event import Event, Sums, Track
from anomaly_detector.events.group import Kind
from anomaly_detector.events.kind import SHORT, kind_of
from anomaly_detector.replay import replay
from anomaly_detector.snapshot import Snapshot
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.unit.detection_panels import by_measure, seasonal, settings
from tests.unit.event_faults import FAULTS, TYPES, faulty, length

Array = NDArray[np.float64]
SECONDS = st.sampled_from([300, 900, 3600, 86_400])
SEEDS = st.integers(0, 2**32 - 1)
# As a share of the change: a few values with much more look like another kind by chance.
NOISE = st.floats(0.0, 0.05)
CHANGE = st.one_of(st.floats(0.1, 0.7), st.floats(1.4, 5.0))
SIZE, BEGIN = 800, 680


def _event(
    actual: Array, expected: Array, variance: Array, seconds: int, *, stuck: bool = False
) -> Event:
    """An event with this track, which its newest interval shows."""
    starts = [10**9 // seconds * seconds + seconds * t for t in range(len(actual))]
    track = Track(
        starts, actual.tolist(), expected.tolist(), variance.tolist(), [stuck] * len(starts)
    )
    return Event("views", starts[0], (), ((),), 1, starts[-1], Sums.none(1), track=track)


def _kind(
    seed: int,
    seconds: int,
    hours: float,
    factor: Array | float,
    noise: float,
    *,
    least: int = 1,
    variance: float = 0.1,
    **others: bool,
) -> Kind:
    """The kind of a change by a factor of a series with a day, for some hours."""
    random = np.random.default_rng(seed)
    size = max(least, round(hours * 3600 / seconds))
    day = np.arange(size) * seconds / 86_400 + random.random()
    expected = 1000 * np.exp(random.normal(0, 3)) * (1 + 0.5 * np.sin(2 * np.pi * day))
    steps = np.atleast_1d(factor)
    shape = np.interp(np.linspace(0, 1, size), np.linspace(0, 1, len(steps)), steps)
    actual = expected * shape * np.exp(random.normal(0, noise, size))
    usual = np.square(variance * expected)
    side = 1 if actual.sum() > expected.sum() else -1
    return kind_of(_event(actual, expected, usual, seconds, **others), side, seconds)


@given(SEEDS, SECONDS, st.floats(0.01, 12.0), CHANGE, NOISE)
def test_what_is_over_within_half_a_day_is_a_spike_or_a_dip(
    seed: int, seconds: int, hours: float, factor: float, noise: float
) -> None:
    kind = _kind(seed, seconds, hours, factor, noise * abs(factor - 1) / factor)

    assert kind == ("spike" if factor > 1 else "dip")


@given(SEEDS, SECONDS, st.floats(13.0, 72.0), CHANGE, NOISE)
def test_what_lasts_is_a_level(
    seed: int, seconds: int, hours: float, factor: float, noise: float
) -> None:
    noise *= abs(factor - 1) / factor
    assert _kind(seed, seconds, hours, factor, noise, least=4) == "level"


@given(SEEDS, SECONDS, st.floats(10.0, 72.0), st.sampled_from([0.1, 0.4, 1.7, 3.0]), NOISE)
def test_what_grows_is_a_ramp(
    seed: int, seconds: int, hours: float, last: float, noise: float
) -> None:
    ramp = np.linspace(1 + (last - 1) / 10, last, 20)

    assert _kind(seed, seconds, hours, ramp, noise, least=10) == "ramp"


@given(SEEDS, st.sampled_from([300, 900, 3600]), st.floats(48.0, 72.0), st.floats(0.4, 0.8))
def test_values_around_the_expectation_vary(
    seed: int, seconds: int, hours: float, noise: float
) -> None:
    assert _kind(seed, seconds, hours, 1.0, noise, variance=0.05) == "variance"


@given(
    SEEDS, st.sampled_from([300, 900, 3600]), st.floats(24.0, 72.0), NOISE, st.sampled_from([0, 1])
)
def test_a_day_that_is_flat_or_comes_later_breaks_the_season(
    seed: int, seconds: int, hours: float, noise: float, swing: int
) -> None:
    random = np.random.default_rng(seed)
    size = round(hours * 3600 / seconds)
    day = 2 * np.pi * (np.arange(size) * seconds / 86_400 + random.random())
    expected = 1000 * (1 + 0.5 * np.sin(day))
    actual = 1000 * (1 + 0.5 * swing * np.sin(day - np.pi))
    actual *= np.exp(random.normal(0, noise, size))

    for side in (-1, 1):
        event = _event(actual, expected, np.square(0.1 * expected), seconds)
        assert kind_of(event, side, seconds) == "season"


@given(SEEDS, SECONDS, st.floats(1.0, 72.0), CHANGE)
def test_values_that_repeat_are_stuck_whatever_their_shape(
    seed: int, seconds: int, hours: float, factor: float
) -> None:
    assert _kind(seed, seconds, hours, factor, 0.0, stuck=True) == "stuck"


@given(SECONDS, st.integers(1, 50), st.integers(0, 50))
def test_intervals_without_a_row_have_no_data(seconds: int, missing: int, rest: int) -> None:
    rest = min(rest, missing)
    actual = np.r_[np.full(missing, np.nan), np.zeros(rest)]
    expected = np.full(missing + rest, 20.0)

    assert kind_of(_event(actual, expected, expected, seconds), -1, seconds) == "no data"


def test_the_kind_changes_as_an_event_grows() -> None:
    hours = SHORT // 3600
    whole = np.full(2 * hours, 100.0)
    event = _event(whole * 1.5, whole, whole, 3600)
    starts = event.track.starts

    for last, kind in ((0, "spike"), (hours - 1, "spike"), (hours, "level")):
        event.last = starts[last]
        assert kind_of(event, 1, 3600) == kind


@pytest.mark.parametrize("kind", FAULTS)
def test_faults_of_a_kind_make_events_of_it_in_series_of_all_types(kind: str) -> None:
    """Asked are events that hold at least half of the fault."""
    told: dict[bool, list[object]] = defaultdict(list)
    for seeds in ((21, 22), (23,)):
        # One measure has rows throughout.
        series, rules = {"calm": [seasonal(SIZE)]}, {"calm": {}}
        for seed in seeds:
            random = np.random.default_rng(seed)
            begin = BEGIN + int(random.integers(48))
            for of in TYPES:
                series[f"{of} {seed}"] = [faulty(kind, of, SIZE, begin, random)]
                rules[f"{of} {seed}"] = {"aggregation": TYPES[of]}
        # The budget of one seed's measures for each of them.
        budget = 0.02 * len(rules) / (1 + len(TYPES))
        chosen = settings(measures=rules, false_events_per_week=budget)
        whole = by_measure(series)
        done = replay(
            chosen, Snapshot.initial(chosen), whole, score_from=whole.starts[BEGIN - FEWEST_SAME]
        )
        for one in done.groups:
            lasts = one.end - one.start
            if one.measure != "calm" and 2 * lasts >= length(kind) * timedelta(hours=1):
                told[one.kind == kind].append((one.measure, one.kind, lasts))

    assert len(told[True]) >= 5, told
    assert len(told[False]) <= 1, told
