"""The expected value of a series, and its usual deviation.

* **Expectation**: four experts, weighted by (decayed absolute error)^-3 (of an hour, where
  intervals are below 15 minutes and there are dimensions): the level; the daily profile; the same
  plus the weekly profile; the latter times a slow factor, which follows the trend. Where hardly
  anything is expected at this time of the week, the first two count less if they are more than two
  errors of the weekly profile away from it. The weekly profile grows and shrinks with the daily
  one. A slot without values falls back to the level, or to the daily profile; once the week is
  known, the first value at an hour at which other weekdays have theirs is its own forecast. All of
  them adapt slowly, so that a fault does not become its own forecast. `month` adds to daily data.
* **Spread**: decayed mean absolute residual per slot of the day, times the recent volatility, with
  floors: a share of the level (rounding noise of a constant series is not an event) and, for
  small counts, the Poisson deviation.
* **Learning**: from the value clipped to the expectation +- 2 spreads. After a day on one side of
  the expectation the new level is accepted: the profiles are scaled (shifted, if values can be
  negative) and the series returns to the warm-up for a day. If values are those of the level before
  again, by 15 nats, the acceptance is undone.
* **Special days** (`special`) of a calendar take the place of the day of the month's effect and of
  habits where earlier days of their name are known.
* **Habits** (`recurring`) take the place of the day of the month's effect; where they may come or
  may not, the value decides. Their doubt widens all scales.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.detection.arrays import Array, Mask, Part, Places, kept, places_of
from anomaly_detector.detection.habits import SMALL_COUNT, Habits, Observed
from anomaly_detector.detection.month import Month, Season
from anomaly_detector.detection.recurring import Habit
from anomaly_detector.detection.rules import (
    SMALL,
    TINY,
    TO_DEVIATION,
    UNCLIPPED_UNTIL,
    Rules,
)
from anomaly_detector.detection.slots import Slots
from anomaly_detector.detection.special import Precedent, Special

EXPERTS = 4
SHUT = 0.2  # share of the average day that comes at most when a shop is closed
APART = 2.0  # errors by which an average is away from the week, from which it counts less
CLIP, CLIP_LEARNING = 2.0, 6.0
HEALING_WEEKS = 6  # weeks up to which a weekly slot of a moved series is learned during an event
REFUTED = 0.5  # share of a residual that is left without a weekly slot that was learned wrongly
USUAL = 1.0  # usual deviations up to which a value refutes no weekly slot
NOTHING = 1e-3  # share of a usual value that next to nothing is less than
MOST_GROWTH = 0.5  # of the daily profile, by one value, that weekdays follow
OFTEN, MOST_WEEKDAYS = 3, 4  # values at a time of the week, on that many of its days, are usual
WHOLE_WEEK = 7  # days before a daily slot represents an average day
RUN_LEVEL = 2.0
BACK_CLIP = 5.0  # nats of an hour for the level before an accepted one
BACK_HOLDS, BACK_AGAIN = 5.0, 15.0  # nats from which nothing is learned, and it is the level again
BACK_WITHIN = 3  # times the values before a series may open events, in which it may return
RELATIVE_FLOOR_ADDITIVE, RELATIVE_FLOOR = 0.01, 0.003
VOLATILITY_MIN, VOLATILITY_MAX = 0.8, 4.0
SLOT_SEEN_MAX = 250
SEEN_AFTER_MOVE = 3
GONE = 1e-3  # factor of accepted levels up to which a series is gone
UNSURE = 0.1  # share of what leaves add to a sum that is doubtful
PUNCTUAL = 0.05  # hours by which what comes by the clock usually is early or late
RATE_OFFSET, RATE_ERROR = 0.03, 0.01
RATE_DAY, RATE_WEEK, RATE_SPREAD = 0.1, 0.2, 0.04
RATE_HEALING = 0.7
RATE_SPREAD_ALL, RATE_VOLATILITY = 0.01, 0.02

Narrow = NDArray[np.float32]
"""Profiles are most of the state, and seven digits are enough for them."""
Count = NDArray[np.uint8]


@dataclass(frozen=True)
class Expectation:
    """The expectation of one interval and its components; arrays (M, K).

    Attributes
    ----------
    experts : (E, M, K). day : daily profile. shape : daily and weekly profile.
    scale : standard deviation of the residual, with volatility. calm_scale : without it.
    floor : lower bound of both scales.
    few : factor for means of few rows and for the doubt about habits, included in both scales;
        otherwise 1. unsure : the latter's part; None if 1 throughout.
    season : effect of the season that an input names, included in the expectation.
    special : likewise of the day of the month, or of a habit.
    season_adds, month_adds : estimates of those of season and month. habit : the habit, if any
        series has one.
    base : the expectation without what is special.
    newest : (h, M, K) variances of the intervals of the newest hour; None if it has only one.
    precedent : of a special day of the calendar; its effect is `special`, too.
    """

    expected: Array
    experts: Array
    day: Array
    shape: Array
    scale: Array
    calm_scale: Array
    floor: Array
    few: Array
    unsure: Array | None
    season: Array | float
    season_adds: Array
    special: Array
    month_adds: Array
    habit: Habit | None
    base: Array
    precedent: Precedent | None
    newest: Array | None


@dataclass
class Forecast(Part):
    """Profiles, errors and spread of each series."""

    # Decayed mean error of each expert; for the last, a factor.
    offset: Array = kept(EXPERTS, initial=(0.0, 0.0, 0.0, 1.0))
    error: Array = kept(EXPERTS)  # decayed mean absolute error of each expert
    day: Narrow = kept("slots_a_day", dtype=np.float32)  # daily profile
    day_seen: Count = kept("slots_a_day", dtype=np.uint8)
    # Hourly deviation of each weekday from the daily profile.
    week: Narrow = kept("slots_a_week", dtype=np.float32)
    week_seen: Count = kept("slots_a_week", dtype=np.uint8)
    spread: Narrow = kept("slots_a_day", dtype=np.float32)  # decayed mean absolute residual
    spread_all: Array = kept()  # the same over all slots
    volatility: Array = kept(initial=1.0)  # decayed mean of residuals relative to their usual size
    run: Array = kept()  # intervals in a row on one side of the expectation, signed
    run_length: Array = kept()  # number of intervals in the next two sums
    run_actual: Array = kept()
    run_expected: Array = kept()
    moved: Array = kept(initial=1.0)  # product of the factors of accepted levels
    back: Array = kept()  # nats that speak for the level before them

    def judge(
        self,
        rules: Rules,
        habits: Habits,
        season: Season,
        month: Month,
        habit: Habit | None,
        observed: Observed,
        slots: Slots,
        special: Special | None = None,
    ) -> Expectation:
        """The expectation of one interval; uses its values only for series that are not born."""
        # The first value of a series is its own forecast.
        first = observed.live & ~observed.born
        level = habits.level.copy()
        np.copyto(level, observed.actual, where=first)
        trust = self.day_seen[slots.day]
        day = self.day[slots.day].astype(np.float64)
        np.copyto(day, level, where=trust == 0)
        shape = day + self.within_hour(slots) * self.week[slots.week]
        experts = np.empty_like(self.error)
        experts[0] = level
        # Where there has never been anything, the errors of other slots say nothing.
        some = np.abs(shape) > NOTHING * habits.magnitude
        np.multiply(self.offset[1:3], some, out=experts[1:3])
        experts[1] += day
        experts[2] += shape
        np.multiply(shape, self.offset[3], out=experts[3])
        error = self.error + (1e-12 * np.abs(level) + TINY)
        weight = error.min(axis=0) / error
        error_of_week = error[2]
        if rules.by_hour:
            # Noise of minutes hides by how much experts err: what the best one errs by is taken for
            # noise, of which an hour has less.
            error_of_week = error_of_week * math.sqrt(rules.pace)
            weight *= weight
            weight *= rules.pace / (1.0 - (1.0 - rules.pace) * weight)
            np.sqrt(weight, out=weight)
        if len(self.day) > 1:
            # When a shop is closed, an average of other days has errors that are not its usual
            # ones. Of days as a whole there is one in a week, too few to know it by.
            size = np.abs(experts[1:3])
            shut = size[1] < SHUT * size[0]
            if shut.any():
                apart = np.abs(experts[:2] - experts[2]) * shut
                weight[:2] *= error_of_week / np.maximum(error_of_week, apart / APART)
        weight *= weight * weight
        expected = (weight * experts).sum(axis=0)
        expected /= weight.sum(axis=0)
        spread = (trust * self.spread[slots.day] + 3.0 * self.spread_all) / (trust + 3.0)
        spread *= TO_DEVIATION
        newest = self._newest(rules, slots)
        np.maximum(spread, newest[-1], out=spread)
        adds = added = season_adds = np.zeros_like(level)
        of_season: Array | float = 0.0
        if slots.season is not None:
            season_adds, of_season = season.judge(habits, slots.season, expected, spread)
            expected = expected + of_season
        if slots.month is not None:
            adds, added = month.judge(habits, slots.month, expected, spread)
        base, doubt = expected, None
        if habit is not None:
            added, doubt = _habitual(habits, habit, observed, base, added)
        precedent = None
        if special is not None and slots.special is not None:
            precedent = special.judge(habits, slots.special, base, spread)
            added = np.where(precedent.known, precedent.effect, added)
            doubt = np.where(precedent.known, precedent.doubt, 0.0 if doubt is None else doubt)
        expected = base + added
        np.maximum(expected, 0.0, out=expected, where=habits.signed == 0)
        np.copyto(expected, observed.actual, where=first | (observed.live & observed.strange))

        # A mean of few rows varies more than a mean of many.
        few = np.ones_like(level)
        for m in rules.averages:
            share = habits.rows[m] / np.maximum(observed.count[m], 1.0)
            share = np.sqrt(np.minimum(np.maximum(share, 0.1), 100.0))
            np.copyto(few[m], share, where=observed.count[m] > 0)
        spread *= few
        floor = _floor(rules, habits, observed, expected, level)
        newest[-1] = spread / few
        volatility = self.volatility.clip(VOLATILITY_MIN, VOLATILITY_MAX)
        scale, calm = np.maximum(spread * volatility, floor), np.maximum(spread, floor)
        unsure = None
        if doubt is not None:
            unsure = np.hypot(1.0, np.minimum(doubt / scale, 1e6))
            for factor in (scale, calm, few):
                factor *= unsure
        return Expectation(
            expected,
            experts,
            day,
            shape,
            scale,
            calm,
            floor,
            few,
            unsure,
            of_season,
            season_adds,
            added,
            adds,
            habit,
            base,
            precedent,
            np.square(newest * volatility) if rules.an_hour > 1 else None,
        )

    def learn(
        self,
        rules: Rules,
        habits: Habits,
        expectation: Expectation,
        residual: Array,
        z: Array,
        slots: Slots,
        on: Mask,
        profiles: Mask,
        young: Array,
        caution: Array,
        unlearned: Mask,
        held: Mask | None = None,
    ) -> Array:
        """Learn one interval, before `habits` do.

        Parameters
        ----------
        residual : 0 if missing. z : residual in units of the scale.
        on : series that learn. profiles : series that learn their profiles.
        caution : share of the usual rate at which the offsets of the experts follow.
        unlearned : series in their first weeks, which may have been a fault's.
        held : series that an open event keeps from it; None if there are none.

        Returns
        -------
        (M, K) the learned, clipped values.
        """
        seen = habits.seen
        settled = (seen >= rules.warm_up) & (self.week_seen[slots.week] >= rules.young_week)
        limit = np.where(seen < UNCLIPPED_UNTIL, np.inf, CLIP_LEARNING)
        np.copyto(limit, CLIP, where=settled)
        # Of a time of the day that is not known, the level says nothing: what a nightly job brings
        # would be learned for a week, as that of each day of the week.
        np.copyto(limit, np.inf, where=self.day_seen[slots.day] == 0)
        limit /= np.maximum(np.abs(z), 1.0)
        clipped = residual * np.minimum(1.0, limit)
        if expectation.unsure is not None:
            # Little is learnt where little is certain.
            clipped /= np.square(expectation.unsure)
        size = np.abs(clipped)
        # Profiles are learned without the effects of the season and of special days.
        learnt = expectation.expected + clipped - expectation.special - expectation.season
        # Plain means first, decayed means once there are enough values.
        left = learnt - expectation.experts
        error = np.abs(left)
        error -= self.error
        error *= on * np.maximum(young, RATE_ERROR * rules.pace)
        self.error += error
        left[1:] *= on * caution * (RATE_OFFSET * rules.pace)
        self.offset[1:3] += left[1:3]
        large = np.maximum(np.abs(habits.level), np.abs(expectation.shape))
        large = np.maximum(np.maximum(large, 1e-12 * np.abs(learnt)), TINY)
        factor = self.offset[3]
        factor += left[3] / large
        np.maximum(factor, 0.2, out=factor)
        np.minimum(factor, 5.0, out=factor)
        np.copyto(factor, 1.0, where=habits.signed > 0)
        day_seen = self.day_seen[slots.day]
        whole = profiles & (day_seen >= WHOLE_WEEK)
        # A slot of an hour has several values a week.
        rate, target = np.full_like(z, RATE_WEEK * rules.pace), learnt - expectation.day
        # The first weeks may have been a fault's: they are forgotten, not averaged.
        value = expectation.expected + residual
        wrong = self._young_week(rules, slots) & unlearned
        if wrong.any():
            wrong &= _refuted(expectation, value) & (np.abs(z) > USUAL)
            np.copyto(rate, RATE_HEALING * rules.pace, where=wrong)
            target *= ~wrong
        _learn_slot(self.week[slots.week], self.week_seen[slots.week], whole, rate, target)
        spread = self.spread[slots.day]
        spread += on * np.maximum(1.0 / (day_seen + 1.0), RATE_SPREAD) * (size - spread)
        day = self.day[slots.day].copy()
        within = self.within_hour(slots)
        of_hour = self.week[self._weekdays(slots)]
        mean = of_hour.mean(axis=0)
        size_of_day = mean + self._hour(slots)
        _learn_slot(self.day[slots.day], day_seen, profiles, RATE_DAY, learnt)
        if held is not None:
            # Days that an event leaves out would be missing from the average day, from which those
            # of the week deviate: weekends would be expected to be like other days. What all days
            # of the week have in common would move it without end.
            week = (self.week[slots.week] - mean) * (held & (day_seen >= WHOLE_WEEK))
            self.day[slots.day] += np.float32(RATE_DAY) * within * week
            # On them, what knows no weekends would have been as far away as ever.
            usual = expectation.expected - expectation.special - expectation.season
            away = np.abs(usual - expectation.experts)
            away -= self.error
            self.error += np.maximum(away, 0.0) * (held * (RATE_ERROR * rules.pace))
        # Weekdays deviate in proportion: what has lost half of its size has lost half of what its
        # weekends lack. At less than an hour, times of the day share their slot.
        scales = (habits.signed == 0) & (size_of_day > NOTHING * habits.magnitude)
        growth = (self.day[slots.day] - day) / np.where(scales, size_of_day, 1.0)
        growth = np.where(scales, growth, 0.0).clip(-MOST_GROWTH, MOST_GROWTH)
        of_hour += (growth / self._an_hour()) * (of_hour - mean)
        size -= self.spread_all
        size *= on * np.maximum(young, RATE_SPREAD_ALL * rules.pace)
        self.spread_all += size
        relative = np.abs(residual) / expectation.calm_scale
        relative = np.minimum(TO_DEVIATION * relative, VOLATILITY_MAX)
        relative -= self.volatility
        relative *= on * (RATE_VOLATILITY * rules.pace)
        self.volatility += relative
        return learnt

    def follow_back(
        self, rules: Rules, habits: Habits, expectation: Expectation, value: Array, live: Mask
    ) -> None:
        """Add up the log-likelihood ratio of the level before an accepted one to the latter."""
        # A level that has held for long is the level, and what has become negative has no factor.
        held = (habits.age >= BACK_WITHIN * rules.open_after) | (habits.signed > 0)
        self.moved[held] = 1.0
        may = live & (self.moved != 1.0)
        # What is missing speaks for neither, whatever other series have.
        self.back *= may | ~live
        if not may.any():
            return
        before = expectation.expected / self.moved
        now, then = (
            np.minimum(np.abs(value - level) / expectation.scale, 1e6)
            for level in (expectation.expected, before)
        )
        gain = 0.5 * (np.square(now) - np.square(then))
        # What goes as far beyond the level before is no return to it.
        beyond = np.abs(value - before) > np.abs(expectation.expected - before)
        np.copyto(gain, 0.0, where=beyond & (gain > 0))
        clip = BACK_CLIP * math.sqrt(rules.pace)
        self.back += np.minimum(np.maximum(gain, -clip), clip) * may
        np.maximum(self.back, 0.0, out=self.back)

    def is_gone(self, habits: Habits, value: Array) -> Mask:
        """(M, K) series whose silence has been accepted, and lasts."""
        gone: Mask = self.moved <= GONE
        return gone & (np.abs(value) <= NOTHING * habits.magnitude) if gone.any() else gone

    def heals(
        self,
        rules: Rules,
        habits: Habits,
        observed: Observed,
        expectation: Expectation,
        value: Array,
        slots: Slots,
    ) -> Mask:
        """(M, K) series that learn their profiles even during an event: those that have just been
        moved to a new level, while the weekly slot is young, and those whose slot is refuted or
        unknown, which would open the same event every week. Others would learn the fault.
        """
        moved = self._young_week(rules, slots) & (habits.seen < rules.open_after)
        return np.asarray(moved | observed.strange | _refuted(expectation, value))

    def strange(self, rules: Rules, slots: Slots, known_for: Array) -> Mask:
        """(M, K) series of which no value has come at this time of the week for weeks, though one
        does on most weekdays, as when a shop is closed: what comes of a working day says nothing of
        it. Slices that are rare at all times are not meant.

        Parameters
        ----------
        known_for : intervals since their first value, whatever levels they have had.
        """
        never = (self.week_seen[slots.week] == 0) & (known_for >= rules.week_known_after)
        if never.any():
            often = self.week_seen[self._weekdays(slots)] >= OFTEN * rules.an_hour
            never &= often.sum(axis=0) >= MOST_WEEKDAYS
        return np.asarray(never)

    def within_hour(self, slots: Slots) -> Array | float:
        """(M, K) what the average day has in this interval, as a share of the mean of its hour.

        The weekly profile has one value an hour, by which its intervals deviate in proportion: a
        job that begins at half past two does not move the two quarters before.
        """
        an_hour = self._an_hour()
        if an_hour == 1:
            return 1.0
        day, mean = self.day[slots.day].astype(np.float64), self._hour(slots)
        known = (self.day_seen[slots.day] > 0) & (day >= 0) & (mean > 0)
        found = np.where(known, day / np.where(known, mean, 1.0), 1.0)
        return np.asarray(np.minimum(found, an_hour))

    def _newest(self, rules: Rules, slots: Slots) -> Array:
        """(h, M, K) deviations of the intervals of the newest hour at their times of the day, the
        last of which is this one, of which only that is told which comes of what is some minutes
        early or late, such as the end of a job: the steps of the daily profile beside it.
        """
        size, here = len(self.day), slots.day
        if size == 1:
            return np.zeros((1, *self.day.shape[1:]))
        around = np.arange(here - rules.an_hour, here + 2) % size
        steps = np.abs(np.diff(self.day[around].astype(np.float64), axis=0))
        known = self.day_seen[around] > 0
        steps *= known[1:] & known[:-1]
        found = np.maximum(steps[1:], steps[:-1])
        found *= PUNCTUAL * rules.an_hour * self.offset[3]
        np.maximum(found[:-1], TO_DEVIATION * self.spread[around[1:-2]], out=found[:-1])
        return np.asarray(found)

    def _hour(self, slots: Slots) -> Array:
        """(M, K) mean of the daily profile in the hour of an interval."""
        first = slots.day - slots.day % self._an_hour()
        hour: Array = self.day[first : first + self._an_hour()].mean(axis=0, dtype=np.float64)
        return hour

    def _an_hour(self) -> int:
        """Slots of the daily profile that share one of the weekly profile."""
        return 7 * len(self.day) // len(self.week)

    def _young_week(self, rules: Rules, slots: Slots) -> Mask:
        return np.asarray(self.week_seen[slots.week] < HEALING_WEEKS * rules.an_hour)

    def take_in(self, at: Places, slots: Slots, added: Array) -> None:
        """Learn at once what comes every day at the same time."""
        day, week = self.day[slots.day], self.week[:, *at]
        before, of_hour = day[at].astype(np.float64), self._hour(slots)[at]
        day[at] += added
        # Weekdays deviate in proportion; at less than an hour they share their slot.
        week[self._weekdays(slots)] *= _factor(of_hour, added / self._an_hour())
        factor = _factor(before, added)
        self.spread[slots.day][at] *= factor
        self.week[:, *at] = week
        seen = self.day_seen[slots.day]
        seen[at] = np.minimum(seen[at], SEEN_AFTER_MOVE)

    def _weekdays(self, slots: Slots) -> slice:
        """The slots of the weekly profile at this time of the day."""
        hours = len(self.week) // 7
        return slice(slots.week % hours, None, hours)

    def came_before(self, slots: Slots) -> Mask:
        """(M, K) series that have had values at this time of the day and of the week."""
        return np.asarray((self.day_seen[slots.day] > 0) & (self.week_seen[slots.week] > 0))

    def follow_run(
        self, rules: Rules, value: Array, expected: Array, z: Array, on: Mask
    ) -> Places | None:
        """Count intervals on one side of the expectation.

        Returns
        -------
        The series that have been there long enough to be at a new level, if any.
        """
        side = (z > RUN_LEVEL).astype(np.float64)
        side -= z < -RUN_LEVEL
        turned = on & (side * self.run < 0)
        grown = self.run + side
        # Within the usual range a run shortens by one.
        np.subtract(
            self.run, np.minimum(np.maximum(self.run, -1.0), 1.0), out=grown, where=side == 0
        )
        np.copyto(grown, side, where=turned)
        np.copyto(self.run, grown, where=on)
        runs = self.run != 0
        stays, counts = runs & ~turned, (on & runs).astype(np.float64)
        sums = (self.run_length, self.run_actual, self.run_expected)
        for total, one in zip(sums, (1.0, value, expected), strict=True):
            total *= stays
            total += counts * one
        there = on & (np.abs(self.run) >= rules.shift_after)
        return places_of(there) if there.any() else None

    def move(
        self, rules: Rules, at: Places, factor: Array, added: Array | float, moved: Array
    ) -> None:
        """Move series to a new level."""
        pick = (slice(None), *at)
        trend = self.offset[3][at]
        self.day[pick] = self.day[pick] * (factor * trend) + added
        self.week[pick] *= factor * trend
        self.spread[pick] *= factor
        # The spread at the new level is unknown: start wide, and learn quickly.
        self.spread_all[at] = np.maximum(self.spread_all[at] * factor, 0.2 * np.abs(moved))
        self.offset[pick] = np.array([0.0, 0.0, 0.0, 1.0])[:, None]
        for seen, visits in ((self.day_seen, 1), (self.week_seen, rules.an_hour)):
            seen[pick] = np.minimum(seen[pick], SEEN_AFTER_MOVE * visits)
        self.moved[at] *= factor
        for sums in (self.run, self.run_length, self.run_actual, self.run_expected, self.back):
            sums[at] = 0.0

    def shape_of(self, m: int, slices: NDArray[np.int64], level: Array) -> tuple[Array, Array]:
        """Daily and weekly profiles (slots, N) of slices of a measure, at their present size. Where
        a slice is closed on some weekdays, nothing is left of its average day.
        """
        day = self.day[:, m, slices].astype(np.float64)
        day = np.where(self.day_seen[:, m, slices] > 0, day, level[m, slices])
        trend = self.offset[3, m, slices]
        hours, visits = len(self.week) // 7, self._an_hour()
        seen = self.week_seen[:, m, slices].reshape(7, hours, len(slices))
        often = (seen >= OFTEN * visits).sum(axis=0) >= MOST_WEEKDAYS
        closed = ((seen == 0) & often).reshape(7 * hours, len(slices))
        of_hour = np.tile(day.reshape(hours, visits, len(slices)).mean(axis=1), (7, 1))
        week = np.where(closed, -of_hour, self.week[:, m, slices])
        return day * trend, week * trend

    def lend_week(self, m: int, slices: Mask, place: int) -> None:
        """Let weekdays that slices (K,) of a measure have not seen yet deviate from their average
        day as those of another slice do, in proportion.
        """
        hours = len(self.week) // 7
        day = self.day[:, m].reshape(hours, -1, self.day.shape[2]).mean(axis=1, dtype=np.float64)
        own = day[:, place]
        share = self.week[:, m, place].reshape(7, hours) / np.where(own > 0, own, np.inf)
        week = (share[:, :, None].clip(-1.0, MOST_GROWTH) * day[:, slices]).reshape(7 * hours, -1)
        seen = self.week_seen[:, m, slices] > 0
        self.week[:, m, slices] = np.where(seen, self.week[:, m, slices], week)

    def add(
        self, rules: Rules, at: Places, day: Array, week: Array, factor: Array, large: Mask
    ) -> None:
        """Add to the profiles of N series what the profiles of their leaves have changed by.

        Parameters
        ----------
        day, week : (slots, N). factor : (N,) of their levels. large : (N,) series whose slots are
            learned as if they were young.
        """
        pick = (slice(None), *at)
        before, trend = self.day[pick].astype(np.float64), self.offset[3][at]
        after = np.maximum(before + day / trend, 0.01 * before)
        known = (before > 0) & (self.day_seen[pick] > 0)
        self.day[pick] = np.where(known, after, before)  # unknown slots fall back to the level
        self.week[pick] += week / trend
        scale = np.where(known, after / np.where(known, before, 1.0), factor)
        self.spread[pick] *= np.sqrt(np.clip(scale, 0.01, 100.0))
        # What the leaves do at each time has been seen a few times only.
        doubt = UNSURE * np.abs(day)
        self.spread[pick] = np.maximum(self.spread[pick], doubt)
        self.spread_all[at] = np.maximum(self.spread_all[at] * np.sqrt(factor), doubt.mean(axis=0))
        for seen, visits in ((self.day_seen, 1), (self.week_seen, rules.an_hour)):
            few = np.minimum(seen[pick], SEEN_AFTER_MOVE * visits)
            seen[pick] = np.where(large, few, seen[pick])
        for sums in (self.run, self.run_length, self.run_actual, self.run_expected, self.back):
            sums[at] = 0.0


def _habitual(
    habits: Habits, habit: Habit, observed: Observed, base: Array, month: Array
) -> tuple[Array, Array]:
    """Effects of the month or of habits, and the doubt about the latter, in the series' unit."""
    size = np.where(habit.moment, moment_size(habits, base), day_size(habits, base))
    added = habit.share * size
    nearer = np.abs(observed.actual - base - added) < np.abs(observed.actual - base - month)
    used = habit.known & (habit.certain | nearer)
    return np.where(used, added, month), np.where(used, habit.doubt * size, 0.0)


def day_size(habits: Habits, base: Array) -> Array:
    """(M, K) size that shares of whole days refer to."""
    return np.abs(np.where(habits.signed > 0, habits.magnitude, base))


def moment_size(habits: Habits, base: Array) -> Array:
    """(M, K) size that shares of single intervals refer to: by night there may be none."""
    return np.asarray(np.maximum(np.abs(base), habits.magnitude))


def _floor(
    rules: Rules, habits: Habits, observed: Observed, expected: Array, level: Array
) -> Array:
    """(M, K) lower bound of the scale."""
    size = np.abs(expected)
    floor = np.maximum(
        np.where(rules.additive, RELATIVE_FLOOR_ADDITIVE * size, RELATIVE_FLOOR * np.abs(level)),
        1e-9 * habits.magnitude,
    )
    events = size / np.maximum(observed.unit, SMALL)
    # The Poisson deviation applies up to a small count, and fades out up to twice as much.
    small = (2.0 - events / SMALL_COUNT).clip(0.0, 1.0)
    poisson = np.sqrt(small * (np.minimum(events, 2 * SMALL_COUNT) + 0.5))
    np.maximum(floor, observed.unit * poisson, out=floor)
    # For a series of zeros, the size of the first nonzero value is arbitrary.
    zero = observed.live & (habits.magnitude <= 0)
    if zero.any():
        np.maximum(floor, 0.7 * np.abs(observed.actual), out=floor, where=zero)
    return np.maximum(floor, TINY)


def _factor(before: Array, added: Array) -> Array:
    """(N,) by what profiles grow if something is added to them, 1 if they have no size."""
    scales = (before > 0) & (before + added > 0)
    return np.where(scales, (before + added) / np.where(scales, before, 1.0), 1.0).clip(0.01, 100.0)


def _refuted(expectation: Expectation, value: Array) -> Mask:
    """(M, K) series that were as usual without their weekly slot: it was learned from a fault."""
    # The offset of the daily profile alone is that of the last days, such as a weekend. What the
    # day of the month or a habit brings refutes no weekday.
    left = value - expectation.special - expectation.season - expectation.experts[2]
    without = left + (expectation.shape - expectation.day)
    return np.asarray(np.abs(without) < REFUTED * np.abs(left))


def _learn_slot(slot: Narrow, seen: Count, on: Mask, rate: float | Array, target: Array) -> None:
    slot += on * np.maximum(1.0 / (seen + 1.0), rate) * (target - slot)
    np.minimum(seen + on, SLOT_SEEN_MAX, out=seen)
