"""How the detector treats one series: season, gaps, constants, counts, faults, new levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
from anomaly_detector.detection import THRESHOLD_SEVERITY, DetectorSettings
from anomaly_detector.detection.rules import Rules
from anomaly_detector.detection.slots import Slots
from anomaly_detector.detection.state import Held, State
from anomaly_detector.intervals import SECONDS
from anomaly_detector.lattice import Lattice
from anomaly_detector.panel import Panel, Scores
from anomaly_detector.replay import _slots, replay
from anomaly_detector.snapshot import Snapshot
from numpy.typing import NDArray

from tests.unit.detection_panels import by_measure, cut, panel, seasonal, settings, starts

HOURS = 24 * 7 * 7


def _scores(values: object, chosen: DetectorSettings | None = None, **others: object) -> Scores:
    """Scores of the series `a`, among which the given others stand."""
    chosen = chosen or settings()
    return replay(chosen, Snapshot.initial(chosen), panel({"a": values, **others})).scores


def _of_measures(
    series: Mapping[str, Sequence[Any]],
    rules: Mapping[str, Mapping[str, Any]] | None = None,
    *,
    budget: float = 0.02,
    interval: str = "PT1H",
) -> Scores:
    """Scores of many measures, each with the budget that it would have alone."""
    chosen = settings(
        interval,
        rules or {name: {} for name in series},
        false_events_per_week=budget * len(series),
    )
    whole = by_measure(series, SECONDS[interval])  # type: ignore[index]
    return replay(chosen, Snapshot.initial(chosen), whole).scores


def _ending(values: NDArray[np.float64], factor: float) -> NDArray[np.float64]:
    """The series, whose last value is another one."""
    values[-1] *= factor
    return values


CALM = seasonal(HOURS, noise=0.03)
# What ends otherwise than it was, and series that tests compare with the truth.
CASES = {
    "trend": seasonal(HOURS, noise=0.05, growth=2.0),
    "times 0.7": _ending(seasonal(HOURS), 0.7),
    "times 0.4": _ending(seasonal(HOURS), 0.4),
    "times 0.1": _ending(seasonal(HOURS), 0.1),
    "constant": _ending(np.full(HOURS, 20.5), 40 / 20.5),
    "zeros": np.r_[np.zeros(HOURS - 1), 0.37],
    "calm": CALM,
    "fault": np.r_[CALM[:-60], 5 * CALM[-60:-54], CALM[-54:]],
}


@cache
def _of_cases() -> Scores:
    """Scores of all of them, each a measure."""
    return _of_measures({name: [values] for name, values in CASES.items()})


def _place(name: str) -> int:
    return list(CASES).index(name)


def test_expectation_follows_day_week_and_trend() -> None:
    clean = seasonal(HOURS, noise=0.0, growth=2.0)

    scores = _of_cases()

    late, m = slice(HOURS - 14 * 24, None), _place("trend")
    assert np.mean(np.abs(scores.expected[late, m, 0] / clean[late] - 1)) < 0.03
    assert np.all(scores.lower[late, m, 0] < scores.expected[late, m, 0])
    assert np.all(scores.upper[late, m, 0] > scores.expected[late, m, 0])


def test_a_fault_is_anomalous_and_its_size_ranks_it() -> None:
    scores = _of_cases()

    faults = [_place(f"times {factor}") for factor in (0.7, 0.4, 0.1)]
    severity = scores.severity[-1, faults, 0]
    assert (scores.direction[-1, faults, 0] == -1).all()
    assert severity[0] < severity[1] < severity[2] < 100
    assert severity[1] > THRESHOLD_SEVERITY


def test_the_unit_of_a_measure_changes_no_severity() -> None:
    values = seasonal(HOURS)
    values[-40:-30] *= 1.5
    series = {f"times {factor}": [factor * values] for factor in (1.0, 1e-3, 1e3, 1e12)}

    scores = _of_measures(series, {name: {"aggregation": "AVG"} for name in series})

    assert scores.severity.max() > THRESHOLD_SEVERITY
    for place in range(1, len(series)):
        # Part of the state has seven digits.
        np.testing.assert_allclose(
            scores.severity[:, 0], scores.severity[:, place], rtol=1e-3, atol=1e-3
        )


def test_constant_series_with_float_noise_never_alerts() -> None:
    noise = np.random.default_rng(3).normal(0, 4e-16, HOURS)
    levels = (0.0, 0.1, -7.3, 1e15, 1e-12)

    scores = _of_measures({f"level {level}": [level * (1 + noise)] for level in levels})

    assert not scores.anomalous.any()


def test_constant_series_that_jumps_alerts() -> None:
    assert _of_cases().anomalous[-1, _place("constant"), 0]


def test_first_value_of_a_series_that_was_always_zero_is_no_event() -> None:
    assert not _of_cases().anomalous[:, _place("zeros")].any()


def test_small_counts_stay_within_the_budget() -> None:
    series = {}
    for rate in (0.05, 0.5, 3.0, 12.0):
        random = np.random.default_rng(11)
        series[f"rate {rate}"] = [random.poisson(rate, HOURS).astype(float) for _ in range(20)]

    scores = _of_measures(series, budget=1.0)

    weeks = HOURS / 168
    assert (scores.anomalous.any(axis=0).sum(axis=1) / weeks <= 2.0).all()


def test_missing_values_are_not_scored_and_teach_nothing() -> None:
    series = {}
    for gap in (np.nan, np.inf, -np.inf, 1e100, -1e300):
        values = seasonal(HOURS)
        values[-30:-20] = gap
        series[f"gap {gap}"] = [values, seasonal(HOURS, seed=2)]

    scores = _of_measures(series)

    assert np.isnan(scores.actual[-30:-20, :, 0]).all()
    assert not scores.severity[-30:-20, :, 0].any()
    assert (scores.severity[-1, :, 0] < THRESHOLD_SEVERITY).all()
    for place in range(1, len(series)):
        np.testing.assert_array_equal(scores.expected[:, place], scores.expected[:, 0])


def test_absent_rows_of_a_sum_are_zero_only_where_they_are_usual() -> None:
    random = np.random.default_rng(5)
    sparse = np.where(random.random(HOURS) < 0.4, 12.5, np.nan)
    dense = seasonal(HOURS)
    dense[-3:] = np.nan
    sparse[-3:] = np.nan

    scores = _scores(sparse, b=dense, c=seasonal(HOURS, seed=2))

    assert (scores.actual[-3:, 0, 0] == 0).all()
    assert np.isnan(scores.actual[-3:, 0, 1]).all()
    assert not scores.anomalous[-3:, 0, :2].any()


def test_absent_rows_of_a_mean_are_missing() -> None:
    chosen = settings(measures={"views": {"aggregation": "AVG"}})
    sparse = np.where(np.random.default_rng(5).random(HOURS) < 0.4, 12.5, np.nan)

    scores = _scores(sparse, chosen, b=seasonal(HOURS))

    np.testing.assert_array_equal(scores.actual[:, 0, 0], sparse)


def test_an_interval_without_any_row_is_one_like_others() -> None:
    sparse = np.where(np.random.default_rng(5).random(HOURS) < 0.4, 12.5, np.nan)
    dense = seasonal(HOURS)
    sparse[-5], dense[-5] = np.nan, np.nan

    scores = _scores(sparse, b=dense)

    assert scores.actual[-5, 0, 0] == 0
    assert np.isnan(scores.actual[-5, 0, 1])


def test_a_fault_is_not_learnt() -> None:
    scores, fault, calm = _of_cases(), _place("fault"), _place("calm")

    assert scores.anomalous[-60:-54, fault, 0].all()
    after = scores.expected[-48:, fault, 0] / scores.expected[-48:, calm, 0]
    assert np.all(np.abs(after - 1) < 0.05)
    assert not scores.anomalous[-54:, fault, 0].any()


def _away_on_weekends(values: NDArray[np.float64], frozen_from: int) -> NDArray[np.float64]:
    """(weekends,) mean relative error of what is expected, of which some are not learned."""
    whole, chosen = panel({"a": values}), settings()
    state = Snapshot.initial(chosen).state
    state = state.grown(chosen, Lattice.of(whole.slices), np.empty(0, dtype=np.int64))
    rules, away = Rules.of(chosen), []
    for at, slots in enumerate(_slots(chosen, whole.starts)):
        shown = state.judge(rules, whole.values[at], whole.counts[at], None, slots)
        evidence = state.weigh(rules, shown, state.lattice)
        weekend = at // 24 % 7 >= 5
        frozen = np.full(shown.value.shape, weekend and at >= frozen_from)
        state.learn(rules, shown, evidence, Held.by(frozen))
        if weekend:
            away.append(shown.expectation.expected.item() / values[at] - 1)
    return np.reshape(away, (-1, 48)).mean(axis=1)


def test_weekends_that_events_leave_out_are_expected_as_they_were() -> None:
    values = seasonal(13 * 168, noise=0.02)
    values *= np.where(np.arange(len(values)) // 24 % 7 >= 5, 0.4, 1.0)

    away = _away_on_weekends(values, 6 * 168)

    assert abs(away[-1]) < 0.03


@pytest.mark.parametrize(("frozen_from", "most"), [(42 * 24, 0.25), (15 * 168, 0.08)])
def test_weekends_of_what_fades_lack_less(frozen_from: int, most: float) -> None:
    values = seasonal(15 * 168, noise=0.02)
    days = np.arange(len(values)) // 24
    # To a third within five weeks.
    values *= np.where(days % 7 >= 5, 0.3, 1.0) * 0.97 ** np.clip(days - 42, 0, 35)

    away = _away_on_weekends(values, frozen_from)

    assert np.abs(away[6:]).max() < most


def test_what_all_days_of_the_week_have_in_common_does_not_grow_in_events() -> None:
    values = seasonal(6 * 168, noise=0.02)
    whole, chosen = panel({"a": values}), settings()
    state = replay(chosen, Snapshot.initial(chosen), whole).after.state
    rules, slots = Rules.of(chosen), _slots(chosen, whole.starts[:24])[12]
    day = state.forecast.day[slots.day].item()
    state.forecast.week[slots.week % 24 :: 24] = day

    for _ in range(60):
        shown = state.judge(rules, 2 * whole.values[12], whole.counts[12], None, slots)
        evidence = state.weigh(rules, shown, state.lattice)
        held = Held.by(np.ones(shown.value.shape, dtype=np.bool_))
        state.learn(rules, shown, evidence, held)

    assert state.forecast.day[slots.day].item() == pytest.approx(day, rel=0.01)


def _days_of(values: NDArray[np.float64], at: int) -> tuple[State, Rules, Slots]:
    """State of a daily series before one of its days, and that day's slots."""
    whole, chosen = panel({"a": values}, 86_400), settings("P1D")
    state = replay(chosen, Snapshot.initial(chosen), cut(whole, 0, at)).after.state
    return state, Rules.of(chosen), _slots(chosen, whole.starts)[at]


def test_what_a_month_brings_on_a_saturday_in_an_event_changes_no_saturday() -> None:
    size = 300
    days = starts(size, 86_400)
    first = days.astype("datetime64[D]") == days.astype("datetime64[M]")
    values = np.where(np.arange(size) % 7 >= 5, 300.0, 1000.0)
    values += np.random.default_rng(1).normal(0, 10, size)
    values[first] *= 3
    at = int(np.flatnonzero(first & (np.arange(size) % 7 == 5))[-1])
    state, rules, slots = _days_of(values, at)
    state.forecast.week_seen[:] = 4  # as after a new level
    week = state.forecast.week[slots.week].item()

    value = 0.8 * values[at].reshape(1, 1)
    shown = state.judge(rules, value, np.ones((1, 1)), None, slots)
    assert shown.expectation.habit is not None
    evidence = state.weigh(rules, shown, state.lattice)
    state.learn(rules, shown, evidence, Held.by(np.ones((1, 1), dtype=np.bool_)))

    assert state.forecast.week[slots.week].item() == pytest.approx(week, rel=0.1)


def test_what_the_forecast_is_unsure_of_is_little_evidence() -> None:
    """The weekdays of a level that was accepted a few days ago have not come yet."""
    values = np.random.default_rng(1).normal(1000, 10, 120)
    found = []
    for doubt in (1, 20):
        state, rules, slots = _days_of(values, 119)
        state.forecast.spread_all *= doubt
        state.forecast.spread *= doubt

        shown = state.judge(rules, np.full((1, 1), 850.0), np.ones((1, 1)), None, slots)
        found.append(state.weigh(rules, shown, state.lattice))

    sure, unsure = found
    assert sure.weight.item() > sure.threshold.item()
    assert unsure.weight.item() < 0.1 * sure.weight.item()


def _opened(weeks: int, weekend: float, seed: int = 1) -> NDArray[np.float64]:
    """Orders of a business that opens at eight for twelve hours, and has few on weekends."""
    hours = np.arange(weeks * 168)
    expected = np.where((hours % 24 >= 8) & (hours % 24 < 20), 40.0, 0.0)
    expected[hours // 24 % 7 >= 5] *= weekend
    orders = np.random.default_rng(seed).poisson(expected)
    return np.where(expected > 0, orders, np.nan)


def _shut(weeks: int) -> NDArray[np.float64]:
    """The same, without a row on weekends."""
    weekday = np.arange(weeks * 168) // 24 % 7
    return np.where(weekday < 5, _opened(weeks, 0.0), np.nan)


def _after(values: NDArray[np.float64]) -> tuple[State, Rules]:
    chosen = settings()
    return replay(chosen, Snapshot.initial(chosen), panel({"a": values})).after.state, Rules.of(
        chosen
    )


def test_a_weekend_on_which_hardly_anything_comes_says_nothing_of_how_much_comes_at_once() -> None:
    state, rules = _after(_opened(12, 0.02))

    assert state.habits.unit(rules, state.forecast.spread_all).item() == 1.0


def test_what_is_closed_for_most_of_the_week_forgets_its_first_weeks_in_time() -> None:
    """Before its weekend is known, what one expects of it is that of a working day."""
    state, rules = _after(_opened(14, 0.05))

    # The count is Poisson, so that an error of the forecast is all that adds to one.
    assert state.scan.dispersion[rules.windows.index(12)].item() < 3


def test_a_window_of_a_quiet_weekend_is_as_uncertain_as_the_working_days_make_it() -> None:
    values, at = _opened(12, 0.05), 11 * 168 + 8  # when a Monday begins
    state, rules = _after(values[:at])
    slots = _slots(settings(), starts(at + 1))[at]

    shown = state.judge(rules, np.full((1, 1), 40.0), np.ones((1, 1)), None, slots)
    found = state.weigh(rules, shown, state.lattice)

    longest = rules.windows[-1]
    usual = state.scan.dispersion[-1].item() * longest * state.surprise.long_level.item()
    assert found.bases[-1].item() < 0.1 * longest * state.surprise.long_level.item()
    assert found.dispersions[-1].item() * found.bases[-1].item() > 0.1 * usual


@pytest.mark.parametrize(
    ("rate", "factor"),
    [(12, 0.5), (30, 0.7), (48, 0.85)],
)
def test_counts_that_hardly_vary_are_judged_by_how_little(rate: int, factor: float) -> None:
    random, size, begin = np.random.default_rng(3), 24 * 60, 1_300

    def events(values: NDArray[np.int64]) -> int:
        values = values.astype(np.float64)
        values[begin : begin + 4, 4] = np.round(rate * factor)
        shown = by_measure({"views": list(values.T)})
        return len(replay(settings(), Snapshot.initial(settings()), shown).groups)

    assert events(random.binomial(rate, 0.998, (size, 12))) == 1
    # Where chance rules, that is none.
    assert events(random.poisson(rate, (size, 12))) == 0


@pytest.mark.parametrize(("hour", "tells"), [(5 * 24 + 12, False), (7 * 24 + 12, True)])
def test_an_hour_of_a_quiet_weekend_tells_nothing_of_how_others_vary(
    hour: int, *, tells: bool
) -> None:
    values, at = _opened(13, 0.05), 11 * 168 + hour
    state, rules = _after(values[:at])
    slots = _slots(settings(), starts(at + 1))[at]

    shown = state.judge(rules, values[at].reshape(1, 1), np.ones((1, 1)), None, slots)

    assert state.weigh(rules, shown, state.lattice).whole[0].item() == tells


def test_the_first_value_at_an_hour_of_the_week_is_no_working_day_s() -> None:
    """An hour at which a shop has always been closed is learned when something comes."""
    values, at = _shut(6), 5 * 168 + 5 * 24 + 10  # a Saturday
    state, rules = _after(values[:at])
    slots = _slots(settings(), starts(at + 1))[at]
    held = np.ones((1, 1), dtype=np.bool_)

    shown = state.judge(rules, np.full((1, 1), 2.0), np.ones((1, 1)), None, slots)
    evidence = state.weigh(rules, shown, state.lattice)
    state.learn(rules, shown, evidence, Held.by(held))

    assert shown.expectation.expected.item() == 2.0
    assert state.forecast.day[slots.day].item() > 30
    learnt = state.forecast.day[slots.day] + state.forecast.week[slots.week]
    assert learnt.item() == pytest.approx(2.0, abs=1.0)


def test_no_row_at_an_hour_of_the_week_at_which_none_has_come_is_no_news_though_others_have() -> (
    None
):
    one, at = _shut(6), 5 * 168 + 5 * 24 + 10
    other = one.copy()
    other[at] = 1.0
    chosen, both = settings(), panel({"a": one, "b": other})
    state = replay(chosen, Snapshot.initial(chosen), cut(both, 0, at)).after.state
    rules, slots = Rules.of(chosen), _slots(chosen, both.starts)[at]

    shown = state.judge(rules, both.values[at], both.counts[at], None, slots)

    assert not shown.observed.absent.any()


def test_a_slice_that_is_rare_at_all_times_is_no_shop_that_is_closed() -> None:
    """It has a value at some hours of the week for the first time; that is not learned whole."""
    random, hours = np.random.default_rng(1), 6 * 168
    values = np.where(random.random(hours) < 0.3, random.normal(40.0, 4.0, hours), np.nan)
    chosen = settings(measures={"views": {"aggregation": "AVG"}})
    state = replay(chosen, Snapshot.initial(chosen), panel({"a": values})).after.state
    rules = Rules.of(chosen)

    strange = [
        shown.expectation.expected.item()
        for slots in _slots(chosen, starts(hours + 168))[hours:]
        if state.forecast.week_seen[slots.week].item() == 0
        for shown in [state.judge(rules, np.full((1, 1), 400.0), np.ones((1, 1)), None, slots)]
    ]

    assert len(strange) > 10
    assert max(strange) < 50


def test_a_weekend_seldom_told_of_is_none_of_a_working_day() -> None:
    """What is closed on weekends has values then now and then: their errors are hardly known."""
    values, at = _shut(12), 11 * 168 + 5 * 24 + 12  # a Saturday
    values[[week * 168 + 5 * 24 + 12 for week in (3, 7, 9)]] = 1.0
    state, rules = _after(values[:at])
    slots = _slots(settings(), starts(at + 1))[at]

    shown = state.judge(rules, np.full((1, 1), 1.0), np.ones((1, 1)), None, slots)

    assert state.forecast.week_seen[slots.week].item() > 0
    assert shown.expectation.expected.item() < 5


def test_hours_without_anything_expect_nothing_of_what_others_have_learnt() -> None:
    size = 30 * 7 * 24
    moments = np.datetime64("2025-01-06T00:00:00") + np.arange(size) * np.timedelta64(1, "h")
    first = moments.astype("datetime64[D]") == moments.astype("datetime64[M]")
    noise = np.random.default_rng(5).normal(0, 0.03, size)
    job = np.isin(np.arange(size) % 24, (2, 3))
    values = np.where(job, 5000 * np.exp(noise) * np.where(first, 3.0, 1.0), 0.0)

    scores = _scores(values)

    job[: 6 * 168] = True
    assert scores.expected[~job, 0, 0].max() < 1e-5 * 5000
    assert not scores.anomalous[~job, 0, 0].any()


def test_a_new_level_is_accepted_after_three_days() -> None:
    values = seasonal(HOURS, noise=0.03)
    series = {"SUM": values.copy(), "AVG": values - 2000}  # negative: moved, not scaled
    series["SUM"][-10 * 24 :] *= 2.5
    series["AVG"][-10 * 24 :] += 1500

    scores = _of_measures(
        {name: [one] for name, one in series.items()},
        {name: {"aggregation": name} for name in series},
    )

    flagged = scores.anomalous[:, :, 0]
    assert flagged[-10 * 24 : -9 * 24 - 12].all()
    assert not flagged[-6 * 24 :].any()
    for place, one in enumerate(series.values()):
        assert np.mean(np.abs(scores.expected[-48:, place, 0] - one[-48:])) < 200


def test_a_series_that_starts_later_is_learnt_before_it_is_scored() -> None:
    late = seasonal(HOURS, seed=4)
    late[: HOURS // 2] = np.nan
    late[HOURS // 2 + 30] *= 20
    late[-1] *= 20

    scores = _scores(seasonal(HOURS), b=late)

    learning = slice(HOURS // 2, HOURS // 2 + settings().score_after)
    assert not scores.severity[learning, 0, 1].any()
    assert np.isnan(scores.expected[: HOURS // 2 + 1, 0, 1][:-1]).all()
    assert scores.anomalous[-1, 0, 1]


def test_a_change_that_does_not_count_has_severity_zero() -> None:
    cases: list[tuple[dict[str, object], float, bool]] = [
        ({"direction": "up"}, 0.2, False),
        ({"direction": "up"}, 3.0, True),
        ({"direction": "down"}, 3.0, False),
        ({"direction": "down"}, 0.2, True),
        ({"min_absolute_change": 1e6}, 3.0, False),
        ({"min_relative_change": 0.9}, 0.2, False),
        ({"min_relative_change": 0.7}, 0.2, True),
    ]
    series, rules = {}, {}
    for number, (rule, factor, _) in enumerate(cases):
        values = seasonal(HOURS, noise=0.02)
        values[-1] *= factor
        series[f"case {number}"], rules[f"case {number}"] = [values], rule

    scores = _of_measures(series, rules)

    counts = [one[2] for one in cases]
    assert scores.anomalous[-1, :, 0].tolist() == counts
    assert (scores.severity[-1, :, 0] > 0).tolist() == counts


def test_a_larger_budget_asks_for_less() -> None:
    values = seasonal(HOURS)

    lenient = _scores(values, settings(false_events_per_week=100))
    strict = _scores(values, settings(false_events_per_week=0.1))

    assert np.all(lenient.severity[-24:] > strict.severity[-24:])
    for bound in ("lower", "upper"):
        np.testing.assert_array_equal(getattr(lenient, bound), getattr(strict, bound))


@pytest.mark.parametrize("interval", sorted(SECONDS))
def test_every_interval_and_size_gives_finite_scores(interval: str) -> None:
    random = np.random.default_rng(2)
    size = 450
    series = [
        1e15 * (1 + 0.1 * random.random(size)),
        random.normal(-5, 1, size),
        random.normal(0, 1, size),
        random.poisson(4, size).astype(float),
        np.where(random.random(size) < 0.2, np.nan, random.normal(3, 1, size)),
        np.full(size, np.nan),
    ]
    aggregations = ("SUM", "AVG", "MIN", "COUNT", "COUNT_DISTINCT", "P95")

    scores = _of_measures(
        dict.fromkeys(aggregations, series),
        {name: {"aggregation": name} for name in aggregations},
        interval=interval,
    )

    known = scores.slices[:, 0] != "s05"
    assert np.isfinite(scores.expected[30:][:, :, known]).all()
    assert np.isfinite(scores.severity).all()
    assert ((scores.severity >= 0) & (scores.severity <= 100)).all()
    assert np.isfinite(scores.upper[-1][:, known]).all()
    assert not scores.severity[:, :, ~known].any()


def test_a_distinct_count_without_rows_is_zero_where_rows_are_often_absent() -> None:
    random = np.random.default_rng(4)
    users = random.poisson(3, 200).astype(float)
    users[random.random(200) < 0.4] = np.nan
    rules = {name: {"aggregation": name} for name in ("COUNT", "COUNT_DISTINCT", "P50", "AVG")}

    other = np.full(200, 7.0)  # some row always comes
    scores = _of_measures({name: [users, other] for name in rules}, rules, interval="P1D")

    late = {name: scores.actual[100:, m, 0] for m, name in enumerate(scores.measures)}
    absent = np.isnan(users[100:])
    assert (late["COUNT_DISTINCT"][absent] == 0).all()
    assert np.isnan(late["P50"][absent]).all()
    assert np.nanmin(scores.lower) >= 0
    np.testing.assert_array_equal(late["COUNT"], late["COUNT_DISTINCT"])


def test_a_panel_that_does_not_go_with_the_state_is_refused() -> None:
    chosen = settings()
    whole = panel({"a": seasonal(50)})
    learnt = replay(chosen, Snapshot.initial(chosen), whole).after

    other = settings(measures={"clicks": {}})
    backwards = Panel(
        whole.starts[::-1],
        whole.dimensions,
        whole.slices,
        whole.measures,
        whole.values,
        whole.counts,
    )

    with pytest.raises(ValueError, match="has learnt"):
        replay(chosen, learnt, whole)
    with pytest.raises(ValueError, match="the state"):
        replay(other, Snapshot.initial(other), whole)
    with pytest.raises(ValueError, match="do not ascend"):
        replay(chosen, Snapshot.initial(chosen), backwards)


def test_a_pay_day_is_learnt_and_a_fault_on_another_day_is_found() -> None:
    size = 3 * 365
    starts = np.datetime64("2023-01-01", "s") + np.arange(size) * np.timedelta64(1, "D")
    first = starts.astype("datetime64[D]") == starts.astype("datetime64[M]").astype("datetime64[D]")
    random = np.random.default_rng(4)
    values = 1000 * np.where(first, 1.6, 1.0) * np.exp(0.04 * random.normal(size=size))
    fault = size - 40
    values[fault] *= 0.5
    daily = settings(interval="P1D")
    whole = replace(panel({"a": values}, 86_400), starts=starts)

    scores = replay(daily, Snapshot.initial(daily), whole).scores

    late = np.arange(size) >= 730
    assert scores.anomalous[fault, 0, 0]
    assert not scores.anomalous[late & first, 0, 0].any()
    relative = scores.expected[late & first, 0, 0] / np.median(scores.expected[late & ~first, 0, 0])
    assert np.all(np.abs(relative - 1.6) < 0.15)
