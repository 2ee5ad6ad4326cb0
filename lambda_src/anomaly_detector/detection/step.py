"""One interval of every series at once: forecast, surprise, then learning.

Arrays have the axes M, K (measure, slice). How the parts work, in the order of the way:

* **Forecast**: four experts, weighted by (decayed absolute error)^-3: the level; the profile of the
  day; the same plus what the weekday's hour adds; the latter times a slow factor, which follows
  trend. A slot falls back to the level, or to the day, until it has been seen. Nothing in it
  follows quickly, so a fault does not become its own forecast. Daily data gets what `month` adds.
* **Spread**: decayed mean absolute residual per slot of the day, times the recent volatility, with
  floors: a share of the level (the float noise of a constant series is no event) and, for small
  counts, the Poisson deviation.
* **Surprise**: L = -log10 P(a value as strange), see `surprise`.
* **Severity**: 100 x / (x + T) with x = L weighed by the size of the change, and
  T = log10(series x intervals a week / false events a week): 50 where chance alone reaches it as
  often as the budget allows. **A change that does not count, because of the measure's direction or
  its minimum change, has severity 0**, and so has everything of a series that is still being
  learnt.
* **Learning**: from the value clipped to the forecast +- 2 spreads. After a day on one side of the
  forecast the new level is accepted: the profiles are scaled (moved, where values can be negative)
  and the series learns quietly for a day.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.detection import surprise
from anomaly_detector.detection.month import expect as expect_month
from anomaly_detector.detection.month import learn as learn_month
from anomaly_detector.detection.settings import THRESHOLD_SEVERITY, DetectorSettings
from anomaly_detector.detection.surprise import Surprise

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

TO_DEVIATION = 1.2533  # sqrt(pi / 2): mean absolute residual to standard deviation, Gaussian
CLIP = 2.0
CLIP_LEARNING = 6.0
HEALING_WEEKS = 6  # weeks in a slot of the week, before which a fault does not stop its learning
YOUNG_WEEK = 3  # weeks in a slot of the week, before which it is learnt with the wider clip
WHOLE_WEEK = 7  # days in a slot of the day, before which it does not stand for an average day
UNCLIPPED_UNTIL = 10  # values; before that the spread is not known
RUN_LEVEL = 2.0
OFTEN_ABSENT = 0.9  # presence below which an absent row of SUM and COUNT means zero
SMALL_COUNT = 25.0  # the Poisson floor holds in full up to here and is gone at twice that
RELATIVE_FLOOR_ADDITIVE, RELATIVE_FLOOR = 0.01, 0.003
VOLATILITY_MIN, VOLATILITY_MAX = 0.8, 4.0
SEEN_MAX = 1e6
SLOT_SEEN_MAX = 250
LARGEST = 1e30  # what is larger is taken for missing: sums and squares of it still have digits
RATE_LEVEL, RATE_OFFSET, RATE_ERROR = 0.05, 0.03, 0.01
RATE_DAY, RATE_WEEK, RATE_SPREAD = 0.1, 0.2, 0.04
RATE_SPREAD_ALL, RATE_VOLATILITY = 0.01, 0.02
RATE_PRESENCE, RATE_HABIT = 0.002, 0.01
TINY = 1e-300


@dataclass(frozen=True)
class Rules:
    """Per-measure constants as columns (M, 1), which broadcast over slices."""

    additive: Mask
    averaged: Mask
    up: Mask
    down: Mask
    min_absolute: Array
    min_relative: Array
    warm_up: int
    score_after: int
    memory: float
    shift_after: int
    young_week: int
    budget: float

    @classmethod
    def of(cls, settings: DetectorSettings) -> Rules:
        """Constants of a configured detector."""
        rules = settings.measures

        def mask(values: list[bool]) -> Mask:
            return np.array(values, dtype=np.bool_)[:, None]

        return cls(
            additive=mask([rule.additive for rule in rules]),
            averaged=mask([rule.aggregation == "AVG" for rule in rules]),
            up=mask([rule.direction != "down" for rule in rules]),
            down=mask([rule.direction != "up" for rule in rules]),
            min_absolute=np.array([[rule.min_absolute_change] for rule in rules]),
            min_relative=np.array([[rule.min_relative_change] for rule in rules]),
            warm_up=settings.warm_up,
            score_after=settings.score_after,
            memory=settings.memory,
            shift_after=settings.shift_after,
            young_week=YOUNG_WEEK * settings.slots_a_day // settings.slots_a_weekday,
            budget=settings.false_events_per_week / settings.intervals_a_week,
        )


@dataclass(frozen=True)
class Slots:
    """Where an interval lies in the profiles of the day, the week and, for P1D, the month."""

    day: int
    week: int
    month: int | None


@dataclass(frozen=True)
class Judged:
    """What is said of one interval; all arrays (M, K)."""

    actual: Array
    expected: Array
    lower: Array
    upper: Array
    severity: Array
    direction: NDArray[np.int8]
    anomalous: Mask


@dataclass(frozen=True)
class Forecast:
    """Expectation and spread of one interval, with what learning needs of how they came about."""

    expected: Array
    experts: Array  # (E, M, K)
    day: Array
    shape: Array  # day plus week
    scale: Array
    calm_scale: Array  # without the volatility
    floor: Array  # smallest deviation that is believed
    few: Array  # factor of a mean of few rows, which is part of both scales
    month: Array  # what the day of the month adds, which is part of the expectation
    month_adds: Array  # what it would add


@dataclass(frozen=True)
class Seen:
    """What one interval showed, for the scan and for learning; arrays (M, K).

    `present` is whether any series had a row, `absent` where a known SUM or COUNT has none.
    """

    value: Array
    count: Array
    forecast: Forecast
    z: Array
    live: Mask
    surprise: Array
    found: Surprise
    present: bool
    absent: Mask
    slots: Slots


def judge(
    rules: Rules,
    arrays: dict[str, Array],
    value: Array,
    count: Array,
    slots: Slots,
) -> tuple[Judged, Seen]:
    """Judge one interval; nothing of it is learnt but which series had a row.

    Parameters
    ----------
    value, count : (M, K), NaN and 0 where no row landed. NaN, infinite and huge values are missing.
    slots : where the interval lies in the profiles.
    """
    present = np.abs(value) <= LARGEST  # not so of NaN
    known = arrays["seen"] > 0
    actual = np.where(present, value, np.nan)
    any_row = bool(present.any())
    if any_row:
        absent_is_zero = rules.additive & known & ~present & (arrays["presence"] < OFTEN_ABSENT)
        actual[absent_is_zero] = 0.0
        rate = np.maximum(1.0 / (arrays["seen"] + 2.0), RATE_PRESENCE) * known
        arrays["presence"] += rate * (present - arrays["presence"])
    live = np.isfinite(actual)

    forecast = _forecast(rules, arrays, np.where(live, actual, 0.0), live & ~known, count, slots)
    value = np.where(live, actual, forecast.expected)
    residual = value - forecast.expected
    z = np.clip(residual / forecast.scale, -1e6, 1e6)
    found = surprise.judge(
        arrays, value, forecast.expected, forecast.floor, forecast.few, live, rules.warm_up
    )
    judged, evidence = _judge(rules, arrays, actual, forecast, z, found)
    absent = rules.additive & known & ~live & any_row
    return judged, Seen(value, count, forecast, z, live, evidence, found, any_row, absent, slots)


def _forecast(
    rules: Rules,
    arrays: dict[str, Array],
    value: Array,
    first: Mask,
    count: Array,
    slots: Slots,
) -> Forecast:
    # The first value of a series is its own forecast: nothing is known yet.
    level = np.where(first, value, arrays["level"])
    day = np.where(arrays["day_seen"][slots.day] > 0, arrays["day"][slots.day], level)
    shape = day + arrays["week"][slots.week]
    experts = np.stack(
        [level, day + arrays["offset"][1], shape + arrays["offset"][2], shape * arrays["offset"][3]]
    )
    error = arrays["error"] + (1e-12 * np.abs(level) + TINY)
    weight = error.min(axis=0) / error
    weight = weight * weight * weight
    total = weight[0] + weight[1] + weight[2] + weight[3]
    mixed = (
        weight[0] * experts[0]
        + weight[1] * experts[1]
        + weight[2] * experts[2]
        + weight[3] * experts[3]
    ) / total
    trust = arrays["day_seen"][slots.day]
    spread = (trust * arrays["spread"][slots.day] + 3.0 * arrays["spread_all"]) / (trust + 3.0)
    month = month_adds = np.zeros_like(level)
    if slots.month is not None:
        month_adds, month = expect_month(arrays, slots.month, mixed, TO_DEVIATION * spread)
    expected = mixed + month
    expected = np.where(arrays["signed"] > 0, expected, np.maximum(expected, 0.0))
    expected = np.where(first, value, expected)

    # A mean of few rows varies more than a mean of many.
    few = np.sqrt(np.clip(arrays["rows"] / np.maximum(count, 1.0), 0.1, 100.0))
    few = np.where(rules.averaged & (count > 0), few, 1.0)
    spread = TO_DEVIATION * spread * few
    size = np.abs(expected)
    floor = np.maximum(
        np.where(rules.additive, RELATIVE_FLOOR_ADDITIVE * size, RELATIVE_FLOOR * np.abs(level)),
        1e-9 * arrays["magnitude"],
    )
    # One event adds 1 to a whole-valued series, and a usual value to one that is mostly zero.
    unit = np.where(arrays["nonzero"] < OFTEN_ABSENT, arrays["magnitude"], 0.0)
    unit = np.where(rules.additive, np.maximum(unit, arrays["fractional"] == 0), 0.0)
    events = size / np.maximum(unit, 1e-100)
    small = np.clip(2.0 - events / SMALL_COUNT, 0.0, 1.0)
    floor = np.maximum(
        floor, unit * np.sqrt(np.minimum(events, 2 * SMALL_COUNT) * small + 0.5 * small)
    )
    # Of a series that was always zero nothing says how large a first value may be.
    floor = np.where(arrays["magnitude"] > 0, floor, np.maximum(floor, 0.7 * np.abs(value)))
    floor = np.maximum(floor, TINY)
    volatility = np.clip(arrays["volatility"], VOLATILITY_MIN, VOLATILITY_MAX)
    return Forecast(
        expected,
        experts,
        day,
        shape,
        np.maximum(spread * volatility, floor),
        np.maximum(spread, floor),
        floor,
        few,
        month,
        month_adds,
    )


def _judge(
    rules: Rules,
    arrays: dict[str, Array],
    actual: Array,
    forecast: Forecast,
    z: Array,
    found: Surprise,
) -> tuple[Judged, Array]:
    expected, live = forecast.expected, found.live
    known = arrays["seen"] > 0
    scored = arrays["seen"] >= rules.score_after
    series = max(1, int(known.sum()))
    threshold = max(1.0, math.log10(series / rules.budget))

    change = np.where(live, np.abs(actual - expected), 0.0)
    counts = scored & live & np.where(z > 0, rules.up, rules.down)
    counts &= (change >= rules.min_absolute) & (change >= rules.min_relative * np.abs(expected))
    severity = np.where(counts, surprise.severity(arrays, found, threshold, rules.memory), 0.0)
    anomalous = severity >= THRESHOLD_SEVERITY

    below, above = surprise.reach(arrays, found, threshold)
    lower, upper = expected + below, expected + above
    # The bounds go by the season alone; what was said of this value holds before them.
    struck = live & (found.weight >= threshold)
    lower = np.where(struck == (actual < lower), lower, np.where(z < 0, actual, lower))
    upper = np.where(struck == (actual > upper), upper, np.where(z > 0, actual, upper))
    lower = np.where(arrays["signed"] > 0, lower, np.maximum(lower, 0.0))
    judged = Judged(
        actual=actual,
        expected=np.where(known, expected, np.nan),
        lower=np.where(scored, lower, np.nan),
        upper=np.where(scored, upper, np.nan),
        severity=severity,
        direction=np.where(known & live, np.sign(z), 0).astype(np.int8),
        anomalous=anomalous,
    )
    return judged, np.where(scored, found.surprise, 0.0)


def learn(rules: Rules, arrays: dict[str, Array], seen_now: Seen, frozen: Mask) -> None:
    """Learn one interval, changing `arrays` in place.

    `frozen` series take it into young profiles only, clipped: a slot that was learnt wrongly would
    otherwise open the same event every week, and never be put right.
    """
    value, count, forecast, z = seen_now.value, seen_now.count, seen_now.forecast, seen_now.z
    surprise.learn(arrays, seen_now.found, value, rules.memory)
    slots = seen_now.slots
    live = seen_now.live & ~frozen
    seen = arrays["seen"]
    on = live.astype(np.float64)
    young_slot = arrays["week_seen"][slots.week] < HEALING_WEEKS
    profiles = (seen_now.live & (~frozen | young_slot)).astype(np.float64)
    distance = np.abs(z)
    scored = seen >= rules.warm_up
    settled = scored & (arrays["week_seen"][slots.week] >= rules.young_week)
    limit = np.where(settled, CLIP, np.where(seen >= UNCLIPPED_UNTIL, CLIP_LEARNING, np.inf))
    ratio = np.minimum(1.0, limit / np.maximum(distance, 1.0))
    residual = (value - forecast.expected) * ratio
    # The profiles learn what is left without the month.
    learnt = forecast.expected + residual - forecast.month
    if slots.month is not None:
        learn_month(
            arrays,
            slots.month,
            forecast.expected - forecast.month,
            value - forecast.expected + forecast.month,
            forecast.month_adds,
            forecast.calm_scale,
            seen_now.live,
            frozen,
        )
    # Averages first, decays once there are enough values for that.
    young = 1.0 / (seen + 1.0)

    def decay(name: str, rate: float, target: Array) -> None:
        arrays[name] += on * np.maximum(young, rate) * (target - arrays[name])

    arrays["error"] += (
        on * np.maximum(young, RATE_ERROR) * (np.abs(learnt - forecast.experts) - arrays["error"])
    )
    arrays["offset"][1:3] += on * RATE_OFFSET * (learnt - forecast.experts[1:3])
    size = np.maximum(np.abs(arrays["level"]), np.abs(forecast.shape))
    size = np.maximum(np.maximum(size, 1e-12 * np.abs(learnt)), TINY)
    factor = arrays["offset"][3] + on * RATE_OFFSET * (learnt - forecast.experts[3]) / size
    arrays["offset"][3] = np.where(arrays["signed"] > 0, 1.0, np.clip(factor, 0.2, 5.0))
    whole = profiles * (arrays["day_seen"][slots.day] >= WHOLE_WEEK)
    _slot(arrays, "week", slots.week, whole, RATE_WEEK, learnt - forecast.day)
    young_slot = 1.0 / (arrays["day_seen"][slots.day] + 1.0)
    arrays["spread"][slots.day] += (
        on * np.maximum(young_slot, RATE_SPREAD) * (np.abs(residual) - arrays["spread"][slots.day])
    )
    _slot(arrays, "day", slots.day, profiles, RATE_DAY, learnt)
    decay("level", RATE_LEVEL, learnt)
    decay("spread_all", RATE_SPREAD_ALL, np.abs(residual))
    relative = TO_DEVIATION * np.abs(value - forecast.expected) / forecast.calm_scale
    arrays["volatility"] += (
        on * RATE_VOLATILITY * (np.minimum(relative, VOLATILITY_MAX) - arrays["volatility"])
    )

    nonzero = live & (value != 0)
    decay("nonzero", RATE_HABIT, nonzero.astype(np.float64))
    decay("rows", RATE_HABIT, count)
    usual = arrays["magnitude"] + np.maximum(young, RATE_HABIT) * (
        np.abs(learnt) - arrays["magnitude"]
    )
    arrays["magnitude"] = np.where(
        nonzero, np.where(arrays["magnitude"] > 0, usual, np.abs(value)), arrays["magnitude"]
    )
    arrays["fractional"] = np.maximum(arrays["fractional"], live & (value != np.rint(value)))
    arrays["signed"] = np.maximum(arrays["signed"], live & (value < 0))
    arrays["seen"] = np.minimum(seen + on, SEEN_MAX)
    _follow_run(rules, arrays, value, forecast.expected, z, live)


def _slot(
    arrays: dict[str, Array], name: str, slot: int, on: Array, rate: float, target: Array
) -> None:
    seen = arrays[f"{name}_seen"][slot]
    arrays[name][slot] += on * np.maximum(1.0 / (seen + 1.0), rate) * (target - arrays[name][slot])
    arrays[f"{name}_seen"][slot] = np.minimum(seen + on, SLOT_SEEN_MAX)


def _follow_run(
    rules: Rules, arrays: dict[str, Array], value: Array, expected: Array, z: Array, live: Mask
) -> None:
    """Count intervals on one side of the forecast, and accept a new level after enough of them."""
    run = arrays["run"]
    side = np.where(np.abs(z) > RUN_LEVEL, np.sign(z), 0.0)
    turned = live & (side * run < 0)
    grown = np.where(
        turned, side, np.where(side != 0, run + side, np.sign(run) * np.maximum(np.abs(run) - 1, 0))
    )
    arrays["run"] = run = np.where(live, grown, run)
    kept = np.where(turned | (run == 0), 0.0, 1.0)
    on = np.where(live & (run != 0), 1.0, 0.0)
    for name, term in [
        ("run_length", np.ones_like(value)),
        ("run_actual", value),
        ("run_expected", expected),
    ]:
        arrays[name] = arrays[name] * kept + on * term

    accepted = live & (np.abs(run) >= rules.shift_after)
    if not accepted.any():
        return
    at = np.nonzero(accepted)
    accept(
        rules,
        arrays,
        at,
        arrays["run_expected"][at],
        arrays["run_actual"][at],
        arrays["run_length"][at],
    )


def accept(
    rules: Rules,
    arrays: dict[str, Array],
    at: tuple[NDArray[np.int64], ...],
    before: Array,
    after: Array,
    length: Array,
) -> None:
    """Move the series `at` (measures, slices) to a new level, and learn it quietly for a while.

    Parameters
    ----------
    before, after : sums of what was expected and of what came, over `length` intervals.
    """
    scales = (arrays["signed"][at] == 0) & (before > 0) & (after > 0)
    factor = np.where(scales, np.clip(after / np.where(scales, before, 1.0), 0.01, 100.0), 1.0)
    moved = (after - before) / np.maximum(length, 1.0)
    added = np.where(scales, 0.0, moved)
    pick = (slice(None), at[0], at[1])
    arrays["level"][at] = arrays["level"][at] * factor + added
    arrays["day"][pick] = arrays["day"][pick] * factor + added
    for name in ("week", "spread"):
        arrays[name][pick] *= factor
    surprise.move(arrays, at, moved)
    # How a moved series varies around its new level is not known: guess wide, and learn it quickly.
    arrays["spread_all"][at] = np.maximum(arrays["spread_all"][at] * factor, 0.2 * np.abs(moved))
    arrays["offset"][pick] = np.array([0.0, 0.0, 0.0, 1.0])[:, None]
    for name in ("day_seen", "week_seen"):
        arrays[name][pick] = np.minimum(arrays[name][pick], 3.0)
    arrays["seen"][at] = np.minimum(
        arrays["seen"][at], float(rules.warm_up - min(rules.shift_after, rules.warm_up - 1))
    )
    for name in ("run", "run_length", "run_actual", "run_expected"):
        arrays[name][at] = 0.0
