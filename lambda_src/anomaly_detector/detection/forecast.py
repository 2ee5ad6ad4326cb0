"""What a series is expected to show, and how far it usually lies from that.

* **Expectation**: four experts, weighted by (decayed absolute error)^-3: the level; the profile of
  the day; the same plus what the weekday's hour adds; the latter times a slow factor, which follows
  trend. A slot falls back to the level, or to the day, until it has been seen. Nothing in it
  follows quickly, so a fault does not become its own forecast. Daily data gets what `month` adds.
* **Spread**: decayed mean absolute residual per slot of the day, times the recent volatility, with
  floors: a share of the level (the float noise of a constant series is no event) and, for small
  counts, the Poisson deviation.
* **Learning**: from the value clipped to the expectation +- 2 spreads. After a day on one side of
  the expectation the new level is accepted: the profiles are scaled (moved, where values can be
  negative) and the series learns quietly for a day.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.detection.arrays import Array, Mask, Part, Places, kept
from anomaly_detector.detection.habits import SMALL_COUNT, Habits, Observed
from anomaly_detector.detection.month import Month
from anomaly_detector.detection.rules import (
    SMALL,
    TINY,
    TO_DEVIATION,
    UNCLIPPED_UNTIL,
    Rules,
)
from anomaly_detector.detection.slots import Slots

EXPERTS = 4
CLIP, CLIP_LEARNING = 2.0, 6.0
HEALING_WEEKS = 6  # weeks in a slot of the week, before which a fault does not stop its learning
WHOLE_WEEK = 7  # days in a slot of the day, before which it does not stand for an average day
RUN_LEVEL = 2.0
RELATIVE_FLOOR_ADDITIVE, RELATIVE_FLOOR = 0.01, 0.003
VOLATILITY_MIN, VOLATILITY_MAX = 0.8, 4.0
SLOT_SEEN_MAX = 250
SEEN_AFTER_MOVE = 3
RATE_OFFSET, RATE_ERROR = 0.03, 0.01
RATE_DAY, RATE_WEEK, RATE_SPREAD = 0.1, 0.2, 0.04
RATE_SPREAD_ALL, RATE_VOLATILITY = 0.01, 0.02

Narrow = NDArray[np.float32]
"""Profiles are most of the state: seven digits are enough for them."""
Count = NDArray[np.uint8]


@dataclass(frozen=True)
class Expectation:
    """What one interval was expected to show, and how that came about; arrays (M, K).

    Attributes
    ----------
    experts : (E, M, K). day : profile of the day. shape : day and week.
    scale : deviation of the residual, volatility included. calm_scale : without it.
    floor : smallest deviation that is believed.
    few : factor of a mean of few rows, part of both scales; 1 elsewhere.
    month : what the day of the month adds, part of the expectation. month_adds : what it would add.
    """

    expected: Array
    experts: Array
    day: Array
    shape: Array
    scale: Array
    calm_scale: Array
    floor: Array
    few: Array
    month: Array
    month_adds: Array


@dataclass
class Forecast(Part):
    """What is known of the course of a series."""

    # Decayed mean error of each expert; a factor for the last.
    offset: Array = kept(EXPERTS, initial=(0.0, 0.0, 0.0, 1.0))
    error: Array = kept(EXPERTS)  # decayed mean absolute error of each expert
    day: Narrow = kept("slots_a_day", dtype=np.float32)  # profile of the day
    day_seen: Count = kept("slots_a_day", dtype=np.uint8)
    # What a weekday's hour adds to the profile of the day.
    week: Narrow = kept("slots_a_week", dtype=np.float32)
    week_seen: Count = kept("slots_a_week", dtype=np.uint8)
    spread: Narrow = kept("slots_a_day", dtype=np.float32)  # decayed mean absolute residual
    spread_all: Array = kept()  # the same over all slots
    volatility: Array = kept(initial=1.0)  # decayed mean of residuals relative to their usual size
    run: Array = kept()  # intervals in a row on one side of the expectation, signed
    run_length: Array = kept()  # intervals behind the next two sums
    run_actual: Array = kept()
    run_expected: Array = kept()

    def judge(
        self, rules: Rules, habits: Habits, month: Month, observed: Observed, slots: Slots
    ) -> Expectation:
        """Expect one interval; what came is used of series that are not born only."""
        # The first value of a series is its own forecast: nothing is known yet.
        first = observed.live & ~habits.born
        value = np.where(observed.live, observed.actual, 0.0)
        level = np.where(first, value, habits.level)
        day = np.where(self.day_seen[slots.day] > 0, self.day[slots.day], level)
        shape = day + self.week[slots.week]
        offset = self.offset
        experts = np.stack([level, day + offset[1], shape + offset[2], shape * offset[3]])
        error = self.error + (1e-12 * np.abs(level) + TINY)
        weight = error.min(axis=0) / error
        weight = weight * weight * weight
        total = weight[0] + weight[1] + weight[2] + weight[3]
        mixed = (
            weight[0] * experts[0]
            + weight[1] * experts[1]
            + weight[2] * experts[2]
            + weight[3] * experts[3]
        ) / total
        trust = self.day_seen[slots.day]
        spread = (trust * self.spread[slots.day] + 3.0 * self.spread_all) / (trust + 3.0)
        adds = added = np.zeros_like(level)
        if slots.month is not None:
            adds, added = month.judge(habits, slots.month, mixed, TO_DEVIATION * spread)
        expected = mixed + added
        expected = np.where(habits.signed > 0, expected, np.maximum(expected, 0.0))
        expected = np.where(first, value, expected)

        # A mean of few rows varies more than a mean of many.
        few = habits.rows / np.maximum(observed.count, 1.0)
        few = np.sqrt(np.minimum(np.maximum(few, 0.1), 100.0))
        few = np.where(rules.averaged & (observed.count > 0), few, 1.0)
        spread = TO_DEVIATION * spread * few
        floor = _floor(rules, habits, value, expected, level)
        volatility = np.minimum(np.maximum(self.volatility, VOLATILITY_MIN), VOLATILITY_MAX)
        return Expectation(
            expected,
            experts,
            day,
            shape,
            np.maximum(spread * volatility, floor),
            np.maximum(spread, floor),
            floor,
            few,
            added,
            adds,
        )

    def learn(
        self,
        rules: Rules,
        habits: Habits,
        expectation: Expectation,
        value: Array,
        z: Array,
        slots: Slots,
        on: Mask,
        profiles: Mask,
    ) -> Array:
        """Learn one interval, before `habits` do.

        Parameters
        ----------
        value : the expectation where nothing came.
        z : residual in scales.
        on : series that learn. profiles : those whose profiles do.

        Returns
        -------
        (M, K) the clipped values that were learnt.
        """
        seen, expected = habits.seen, expectation.expected
        settled = (seen >= rules.warm_up) & (self.week_seen[slots.week] >= rules.young_week)
        limit = np.where(settled, CLIP, np.where(seen >= UNCLIPPED_UNTIL, CLIP_LEARNING, np.inf))
        ratio = np.minimum(1.0, limit / np.maximum(np.abs(z), 1.0))
        residual = (value - expected) * ratio
        size = np.abs(residual)
        # The profiles learn what is left without the month.
        learnt = expected + residual - expectation.month
        # Averages first, decays once there are enough values for that.
        young = 1.0 / (seen + 1.0)
        left = learnt - expectation.experts
        self.error += on * np.maximum(young, RATE_ERROR) * (np.abs(left) - self.error)
        self.offset[1:3] += on * RATE_OFFSET * left[1:3]
        large = np.maximum(np.abs(habits.level), np.abs(expectation.shape))
        large = np.maximum(np.maximum(large, 1e-12 * np.abs(learnt)), TINY)
        factor = self.offset[3] + on * RATE_OFFSET * left[3] / large
        factor = np.minimum(np.maximum(factor, 0.2), 5.0)
        self.offset[3] = np.where(habits.signed > 0, 1.0, factor)
        day_seen = self.day_seen[slots.day]
        whole = profiles & (day_seen >= WHOLE_WEEK)
        _learn_slot(
            self.week[slots.week],
            self.week_seen[slots.week],
            whole,
            RATE_WEEK,
            learnt - expectation.day,
        )
        spread = self.spread[slots.day]
        spread += on * np.maximum(1.0 / (day_seen + 1.0), RATE_SPREAD) * (size - spread)
        _learn_slot(self.day[slots.day], day_seen, profiles, RATE_DAY, learnt)
        self.spread_all += on * np.maximum(young, RATE_SPREAD_ALL) * (size - self.spread_all)
        relative = TO_DEVIATION * np.abs(value - expected) / expectation.calm_scale
        relative = np.minimum(relative, VOLATILITY_MAX)
        self.volatility += on * RATE_VOLATILITY * (relative - self.volatility)
        return learnt

    def young_week(self, slots: Slots) -> Mask:
        """(M, K) series whose slot of the week is learnt even while an event holds them."""
        return np.asarray(self.week_seen[slots.week] < HEALING_WEEKS)

    def follow_run(
        self, rules: Rules, value: Array, expected: Array, z: Array, on: Mask
    ) -> Places | None:
        """Count intervals on one side of the expectation.

        Returns
        -------
        The series that have stayed there for long enough to be at a new level, if any.
        """
        side = np.where(np.abs(z) > RUN_LEVEL, np.sign(z), 0.0)
        turned = on & (side * self.run < 0)
        fading = np.sign(self.run) * np.maximum(np.abs(self.run) - 1, 0)
        grown = np.where(turned, side, np.where(side != 0, self.run + side, fading))
        self.run[:] = np.where(on, grown, self.run)
        stays = np.where(turned | (self.run == 0), 0.0, 1.0)
        counts = np.where(on & (self.run != 0), 1.0, 0.0)
        self.run_length[:] = self.run_length * stays + counts
        self.run_actual[:] = self.run_actual * stays + counts * value
        self.run_expected[:] = self.run_expected * stays + counts * expected
        there = on & (np.abs(self.run) >= rules.shift_after)
        return _places(there) if there.any() else None

    def move(self, at: Places, factor: Array, added: Array, moved: Array) -> None:
        """Follow series to a new level."""
        pick = (slice(None), *at)
        self.day[pick] = self.day[pick] * factor + added
        self.week[pick] *= factor
        self.spread[pick] *= factor
        # How a moved series varies is not known: guess wide, and learn it quickly.
        self.spread_all[at] = np.maximum(self.spread_all[at] * factor, 0.2 * np.abs(moved))
        self.offset[pick] = np.array([0.0, 0.0, 0.0, 1.0])[:, None]
        for seen in (self.day_seen, self.week_seen):
            seen[pick] = np.minimum(seen[pick], SEEN_AFTER_MOVE)
        for sums in (self.run, self.run_length, self.run_actual, self.run_expected):
            sums[at] = 0.0


def _floor(rules: Rules, habits: Habits, value: Array, expected: Array, level: Array) -> Array:
    """(M, K) smallest deviation that is believed."""
    size = np.abs(expected)
    floor = np.maximum(
        np.where(rules.additive, RELATIVE_FLOOR_ADDITIVE * size, RELATIVE_FLOOR * np.abs(level)),
        1e-9 * habits.magnitude,
    )
    unit = habits.unit(rules)
    events = size / np.maximum(unit, SMALL)
    # The Poisson deviation holds in full up to a small count, and is gone at twice that.
    small = np.minimum(np.maximum(2.0 - events / SMALL_COUNT, 0.0), 1.0)
    poisson = np.sqrt(np.minimum(events, 2 * SMALL_COUNT) * small + 0.5 * small)
    floor = np.maximum(floor, unit * poisson)
    # Of a series that was always zero nothing says how large a first value may be.
    floor = np.where(habits.magnitude > 0, floor, np.maximum(floor, 0.7 * np.abs(value)))
    return np.maximum(floor, TINY)


def _learn_slot(slot: Narrow, seen: Count, on: Mask, rate: float, target: Array) -> None:
    slot += on * np.maximum(1.0 / (seen + 1.0), rate) * (target - slot)
    seen[:] = np.minimum(seen + on.astype(np.float64), SLOT_SEEN_MAX)


def _places(mask: Mask) -> Places:
    measures, slices = np.nonzero(mask)
    return measures, slices
