"""Basic statistics of a series that all parts use: number of values, level, presence, kind.

**Born**: a series is born in a measure when its first value is learned. No state exists before
that, and the first value is not learned while an open event covers the series. Storing or omitting
slices without a born series therefore makes no difference.

**Unit**: the contribution of one occurrence to a series of SUM or COUNT: 1 if values are integers,
the mean nonzero value if values are often zero, 0 if unknown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anomaly_detector.detection.arrays import Array, Mask, Part, Places, kept
from anomaly_detector.detection.rules import Rules

MOSTLY = 0.9  # share below which rows are often absent, or values often zero
SMALL_COUNT = 25.0  # up to this count the variance is Poisson's; from twice as many on, it is not
SEEN_MAX = 1e6
LARGEST = 1e30  # larger values are treated as missing; sums and squares up to here are exact
RATE_LEVEL, RATE_PRESENCE, RATE_HABIT = 0.05, 0.002, 0.01


@dataclass(frozen=True)
class Observed:
    """The observations of one interval, with the statistics before it; arrays (M, K).

    Attributes
    ----------
    born, young, unit : as in `Habits`.
    actual : NaN if missing; 0 if a missing row of SUM or COUNT is read as zero.
    count : number of rows per value.
    present : whether a value landed. live : whether `actual` is a number.
    absent : whether a born series of SUM or COUNT has no actual value.
    landed : whether any measure of the detector has a value in the interval.
    """

    born: Mask
    young: Array
    unit: Array
    actual: Array
    count: Array
    present: Mask
    live: Mask
    absent: Mask
    landed: bool


@dataclass
class Habits(Part):
    """Decayed statistics of the values of each series."""

    seen: Array = kept()  # values learned
    level: Array = kept()  # decayed mean of the value
    magnitude: Array = kept()  # decayed mean of nonzero |value|
    rows: Array = kept()  # decayed mean of the number of rows per value
    presence: Array = kept(initial=1.0)  # decayed share of intervals with a row
    nonzero: Array = kept()  # decayed share of nonzero values
    fractional: Array = kept()  # 1 after the first non-integer value
    signed: Array = kept()  # 1 after the first negative value

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
        """(M, K) series that often have no row, which then means zero for SUM and COUNT."""
        return self.presence < MOSTLY

    @property
    def often_zero(self) -> Mask:
        """(M, K) series that are often zero."""
        return self.nonzero < MOSTLY

    def unit(self, rules: Rules) -> Array:
        """(M, K) contribution of one occurrence, 0 if unknown."""
        unit = np.maximum(self.magnitude * self.often_zero, self.fractional == 0)
        unit *= rules.additive
        return np.asarray(unit)

    def small(self, unit: Array) -> Array:
        """(M, K) the unit of series with small counts, 0 for others."""
        return np.asarray(unit * (np.abs(self.level) < 2 * SMALL_COUNT * unit))

    def judge(self, rules: Rules, value: Array, count: Array, *, landed: bool | None) -> Observed:
        """Interpret the values of one interval.

        Parameters
        ----------
        value, count : (M, K), NaN and 0 if no row landed. Infinite and huge values are missing.
        landed : as in `Observed`; None if these are all measures of the detector.
        """
        present = np.abs(value) <= LARGEST  # False for NaN
        actual = np.where(present, value, np.nan)
        if landed is None:
            landed = bool(present.any())
        born = self.born
        silent = rules.additive & born & ~present if landed else np.zeros_like(present)
        zero = silent & self.often_absent
        np.copyto(actual, 0.0, where=zero)
        return Observed(
            born,
            self.young,
            self.unit(rules),
            actual,
            count,
            present,
            present | zero,
            silent & ~zero,
            landed,
        )

    def learn_presence(self, observed: Observed) -> None:
        """Learn which series had a row; call this before all other learning."""
        rate = np.maximum(1.0 / (self.seen + 2.0), RATE_PRESENCE)
        rate *= observed.born
        rate *= observed.present - self.presence
        self.presence += rate

    def learn(
        self, observed: Observed, value: Array, learnt: Array, on: Mask, young: Array
    ) -> None:
        """Learn one interval of the series `on`; call this after the other parts have learned.

        Parameters
        ----------
        value : as observed. learnt : clipped around the expectation.
        """
        level = np.maximum(young, RATE_LEVEL)
        level *= on
        level *= learnt - self.level
        self.level += level
        rate = np.maximum(young, RATE_HABIT)
        rate *= on
        nonzero = on & (value != 0)
        self.nonzero += rate * (nonzero - self.nonzero)
        self.rows += rate * (observed.count - self.rows)
        first = nonzero & (self.magnitude <= 0)
        self.magnitude += (rate * nonzero) * (np.abs(learnt) - self.magnitude)
        np.copyto(self.magnitude, np.abs(value), where=first)
        np.copyto(self.fractional, 1.0, where=on & (value != np.rint(value)))
        np.copyto(self.signed, 1.0, where=on & (value < 0))
        np.minimum(self.seen + on, SEEN_MAX, out=self.seen)

    def move(self, rules: Rules, at: Places, factor: Array, added: Array) -> None:
        """Move series to a new level, and return them to the warm-up for a while."""
        self.level[at] = self.level[at] * factor + added
        quiet = float(rules.warm_up - min(rules.shift_after, rules.warm_up - 1))
        self.seen[at] = np.minimum(self.seen[at], quiet)
