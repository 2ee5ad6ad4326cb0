"""Basic statistics of a series that all parts use: number of values, level, presence, kind.

**Born**: a series is born in a measure when its first value is learned. No state exists before
that, and the first value is not learned while an open event covers the series. Storing or omitting
slices without a born series therefore makes no difference.

**Unit**: the contribution u of one occurrence to a sum or count, which counts vary by. A
Poisson number of occurrences is not zero in a share p = 1 - e^-n of the intervals, so with the mean
nonzero value m, u = m p / -ln(1 - p). Intervals that expect less than usual count in proportion:
that nothing comes on a weekend on which hardly anything is expected is no chance. It fades out as p
grows from 0.9 to 0.98, beyond which p says nothing of n, and for a series that comes by the clock,
not by chance: whose mean absolute residual is below 0.4 of what chance gives, 2 m p (1 - p). It is
at least 1 if values are integers, and 0 if unknown.

**A fault changes no habit**: after the warm-up, zeros and absent rows do not lower p and the
presence once 5 occurrences have been expected since the last one (probability e^-5), nor during an
event.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anomaly_detector.detection.arrays import Array, Mask, Part, Places, kept
from anomaly_detector.detection.rules import TINY, Rules

MOSTLY = 0.9  # share below which rows are often absent, or values often zero
SMALL_COUNT = 25.0  # up to this count the variance is Poisson's; from twice as many on, it is not
SEEN_MAX = 1e6
RARE = 0.25  # share of the intervals with a value below which a missing row is zero at all times
LARGEST = 1e30  # larger values are treated as missing; sums and squares up to here are exact
RATE_LEVEL, RATE_PRESENCE, RATE_HABIT = 0.05, 0.002, 0.01
FADES, FEW_LATELY = 0.5, 4.0  # share of its usual rows, and rows, below which a series fades
LATELY = 0.25  # at which the rows of the newest days are followed, in half a day
FADE_FROM, FADE_TO = 0.9, 0.98  # shares of nonzero values between which the unit fades out
REGULAR, IRREGULAR = 0.1, 0.4  # residual, as a share of chance's, between which it does
LONG_SILENCE = 5.0  # occurrences expected without one, from which silence is no habit
ABSENT_AFTER = 0.5  # usual presence of a series whose silence has been accepted


@dataclass(frozen=True)
class Observed:
    """The observations of one interval, with the statistics before it; arrays (M, K).

    Attributes
    ----------
    born, young, unit : as in `Habits`.
    actual : NaN if missing; 0 if a missing row of a sum or count is read as zero.
    count : number of rows per value.
    present : whether a value landed. live : whether `actual` is a number.
    absent : whether a born series of sums or counts has no actual value, though rows usually come.
    gone : the same for other aggregations.
    strange : whether none has come at this time of the week for weeks.
    """

    born: Mask
    young: Array
    unit: Array
    actual: Array
    count: Array
    present: Mask
    live: Mask
    absent: Mask
    gone: Mask
    strange: Mask


@dataclass
class Habits(Part):
    """Decayed statistics of the values of each series."""

    seen: Array = kept()  # values learned
    age: Array = kept()  # intervals since the first of them, or less after a new level
    first: Array = kept()  # intervals that the detector had learned before the first of them
    level: Array = kept()  # decayed mean of the value
    magnitude: Array = kept()  # decayed mean of nonzero |value|
    rows: Array = kept()  # decayed mean of the number of rows per value
    lately: Array = kept()  # the same of the newest days alone
    presence: Array = kept(initial=1.0)  # decayed share of intervals with a row
    nonzero: Array = kept()  # decayed share of nonzero values, weighted by expectation
    fractional: Array = kept()  # 1 after the first non-integer value
    signed: Array = kept()  # 1 after the first negative value
    silence: Array = kept()  # occurrences expected since the last one

    @property
    def born(self) -> Mask:
        """(M, K) series with at least one learned value."""
        return self.seen > 0

    @property
    def young(self) -> Array:
        """(M, K) learning rate of a plain mean: 1 / (values + 1)."""
        return np.asarray(1.0 / (self.seen + 1.0))

    @property
    def often_absent(self) -> Mask:
        """(M, K) series that often have no row, which then means zero for sums and counts."""
        return self.presence < MOSTLY

    @property
    def fade(self) -> Mask:
        """(M, K) series that have had so few of their usual rows lately that none may come."""
        return np.asarray((self.lately < FADES * self.rows) & (self.lately < FEW_LATELY))

    @property
    def often_zero(self) -> Mask:
        """(M, K) series that are often zero."""
        return self.nonzero < MOSTLY

    def unit(self, rules: Rules, residual: Array) -> Array:
        """(M, K) contribution of one occurrence, 0 if unknown.

        Parameters
        ----------
        residual : mean absolute residual.
        """
        share = self.nonzero.clip(1e-9, FADE_TO)
        chance = 2.0 * share * (1.0 - share) * self.magnitude
        part = residual / np.maximum(chance, TINY)
        part -= REGULAR
        part /= IRREGULAR - REGULAR
        part.clip(0.0, 1.0, out=part)
        part *= np.minimum((FADE_TO - share) / (FADE_TO - FADE_FROM), 1.0)
        part *= share / -np.log1p(-share)
        unit = np.maximum(self.magnitude * part, self.fractional == 0)
        unit *= rules.absent_is_zero
        return np.asarray(unit)

    def small(self, unit: Array, level: Array) -> Array:
        """(M, K) the unit of series with small counts, less than that where they are neither small
        nor large, 0 for others.
        """
        return np.asarray((2.0 * unit - np.abs(level) / SMALL_COUNT).clip(0.0, unit))

    def judge(
        self,
        rules: Rules,
        value: Array,
        count: Array,
        residual: Array,
        usual: Mask,
        strange: Mask,
        *,
        known: bool | Mask,
    ) -> Observed:
        """Interpret the values of one interval.

        Parameters
        ----------
        value, count : (M, K), NaN and 0 if no row landed. Infinite and huge values are missing.
        residual : mean absolute residual.
        usual : (M, K) whether rows have come at this time of the day and the week: if not, an
            interval without any value of a measure says nothing of series that are not rare.
        strange : (M, K) whether none has come at this time of the week for weeks.
        known : whether it is known which rows the interval has, or (M, K) of which series; where
            it is not, none is absent.
        """
        present = np.abs(value) <= LARGEST  # False for NaN
        actual = np.where(present, value, np.nan)
        born = self.born
        rare = (self.presence < RARE) | (self.seen < RARE * self.age)
        due = usual | rare | (present.any(axis=1, keepdims=True) & ~strange)
        silent = born & ~present & due & known
        counted = silent & rules.absent_is_zero
        zero = counted & (self.often_absent | self.fade)
        np.copyto(actual, 0.0, where=zero)
        return Observed(
            born,
            self.young,
            self.unit(rules, residual),
            actual,
            count,
            present,
            present | zero,
            counted & ~zero,
            silent & ~rules.absent_is_zero,
            strange,
        )

    def learn_presence(
        self, rules: Rules, observed: Observed, expected: Array, frozen: Mask
    ) -> None:
        """Learn which series had a row; call this before all other learning.

        Parameters
        ----------
        frozen : series in an open event, whose silence is no habit.
        """
        np.minimum(self.age + self.born, SEEN_MAX, out=self.age)
        came = observed.present & (observed.actual != 0)
        each = np.where(observed.unit > 0, observed.unit, self.magnitude)
        silent = observed.absent | (observed.live & ~came)
        missed = np.zeros(each.shape)
        np.divide(np.maximum(expected, 0.0), each, out=missed, where=silent & (each > TINY))
        self.silence += missed
        self.silence *= ~came
        np.minimum(self.silence, SEEN_MAX, out=self.silence)
        rate = np.maximum(1.0 / (self.seen + 2.0), RATE_PRESENCE * rules.pace)
        rate *= observed.born & ~frozen
        rate *= (observed.live | observed.absent | observed.gone) & self._tells(
            rules, observed.present
        )
        rate *= observed.present - self.presence
        self.presence += rate

    def _tells(self, rules: Rules, came: Mask) -> Mask:
        """(M, K) series of which this interval is a habit, not part of a long silence."""
        young = self.seen < rules.open_after
        return np.asarray(came | young | (self.silence <= LONG_SILENCE))

    def learn(
        self,
        rules: Rules,
        observed: Observed,
        value: Array,
        learnt: Array,
        on: Mask,
        young: Array,
        expected: Array,
        clock: int,
    ) -> None:
        """Learn one interval of the series `on`; call this after the other parts have learned.

        Parameters
        ----------
        value : as observed. learnt : clipped around the expectation. expected : before the value.
        clock : number of the interval.
        """
        np.copyto(self.first, clock, where=on & ~self.born)
        usual = np.maximum(np.abs(self.level), TINY)
        level = np.maximum(young, RATE_LEVEL * rules.pace)
        level *= on
        level *= learnt - self.level
        self.level += level
        rate = np.maximum(young, RATE_HABIT * rules.pace)
        rate *= on
        nonzero = on & (value != 0)
        part = rate
        if rules.long:
            # Where less than usual is expected, zeros tell less of how much comes at once.
            part = np.minimum(np.abs(expected), usual)
            part /= usual
            part *= rate
        self.nonzero += part * self._tells(rules, nonzero) * (nonzero - self.nonzero)
        self.rows += rate * (observed.count - self.rows)
        lately = np.maximum(young, LATELY / rules.half_day) * on
        self.lately += lately * (observed.count - self.lately)
        first = nonzero & (self.magnitude <= 0)
        self.magnitude += (rate * nonzero) * (np.abs(learnt) - self.magnitude)
        np.copyto(self.magnitude, np.abs(value), where=first)
        np.copyto(self.fractional, 1.0, where=on & (value != np.rint(value)))
        np.copyto(self.signed, 1.0, where=on & (value < 0))
        np.minimum(self.seen + on, SEEN_MAX, out=self.seen)

    def move(self, rules: Rules, at: Places, factor: Array, added: Array | float) -> None:
        """Move series to a new level, and return them to the warm-up for a while."""
        self.level[at] = self.level[at] * factor + added
        quiet = float(rules.open_after - min(rules.shift_after, rules.open_after - 1))
        for count in (self.seen, self.age):
            count[at] = np.minimum(count[at], quiet)
        self.silence[at] = 0.0

    def accept_silence(self, m: int, slices: Mask) -> None:
        """Accept that rows of some slices (K,) of a measure are often absent."""
        self.presence[m, slices] = np.minimum(self.presence[m, slices], ABSENT_AFTER)
