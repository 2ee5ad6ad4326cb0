"""What all parts read of a series: how much it has shown, how large, how often, of what kind.

**Born**: a series is born in a measure with the first value of it that is learnt. Of a series that
is not born nothing is known and nothing is learnt but that value; while an event holds it, not even
that. So it makes no difference whether a slice without a born series is kept.

**Unit**: what one event adds to a series of SUM or COUNT: 1 to a whole-valued one, a usual value to
one that is often zero; 0 where it is not known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anomaly_detector.detection.arrays import Array, Mask, Part, Places, kept
from anomaly_detector.detection.rules import Rules

MOSTLY = 0.9  # share below which something is often not so: rows that land, values beyond zero
SMALL_COUNT = 25.0  # events up to which a count varies as Poisson's; twice as many are no small one
SEEN_MAX = 1e6
LARGEST = 1e30  # what is larger is taken for missing: sums and squares of it still have digits
RATE_LEVEL, RATE_PRESENCE, RATE_HABIT = 0.05, 0.002, 0.01


@dataclass(frozen=True)
class Observed:
    """One interval as it came, and what is known of it beforehand; arrays (M, K).

    Attributes
    ----------
    born, young, unit : as in `Habits`.
    actual : NaN where missing; 0 where an absent row of SUM or COUNT means that.
    count : rows behind the values.
    present : whether a value came. live : whether there is an actual value.
    absent : whether a born series of SUM or COUNT has none.
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
    """What is known of the values of a series."""

    seen: Array = kept()  # values learnt
    level: Array = kept()  # decayed mean of the value
    magnitude: Array = kept()  # decayed mean of |value| where it is not zero
    rows: Array = kept()  # decayed mean of the number of rows behind a value
    presence: Array = kept(initial=1.0)  # decayed share of intervals that had a row
    nonzero: Array = kept()  # decayed share of values that are not zero
    fractional: Array = kept()  # 1 once a value was not whole
    signed: Array = kept()  # 1 once a value was negative

    @property
    def born(self) -> Mask:
        """(M, K) series of which a value has been learnt."""
        return self.seen > 0

    @property
    def young(self) -> Array:
        """(M, K) rate at which a series learns a mean: one over the values with the next."""
        return np.asarray(1.0 / (self.seen + 1.0))

    @property
    def often_absent(self) -> Mask:
        """(M, K) series that often lack a row, so that none of SUM or COUNT means zero."""
        return self.presence < MOSTLY

    @property
    def often_zero(self) -> Mask:
        """(M, K) series that are often zero."""
        return self.nonzero < MOSTLY

    def unit(self, rules: Rules) -> Array:
        """(M, K) what one event adds, 0 where it is not known."""
        unit = np.maximum(self.magnitude * self.often_zero, self.fractional == 0)
        unit *= rules.additive
        return np.asarray(unit)

    def small(self, unit: Array) -> Array:
        """(M, K) the unit of series of few events, 0 for others."""
        return np.asarray(unit * (np.abs(self.level) < 2 * SMALL_COUNT * unit))

    def judge(self, rules: Rules, value: Array, count: Array, *, landed: bool | None) -> Observed:
        """Tell what came.

        Parameters
        ----------
        value, count : (M, K), NaN and 0 where no row landed. What is not finite or huge is missing.
        landed : as in `Observed`; None where these are all measures of the detector.
        """
        present = np.abs(value) <= LARGEST  # not so of NaN
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
        """Learn which series had a row; to be called before anything else is learnt."""
        rate = np.maximum(1.0 / (self.seen + 2.0), RATE_PRESENCE)
        rate *= observed.born
        rate *= observed.present - self.presence
        self.presence += rate

    def learn(
        self, observed: Observed, value: Array, learnt: Array, on: Mask, young: Array
    ) -> None:
        """Learn one interval of the series `on`; the last of the parts to do so.

        Parameters
        ----------
        value : as it came. learnt : clipped to what was expected.
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
        """Follow series to a new level, and let them learn quietly for a while."""
        self.level[at] = self.level[at] * factor + added
        quiet = float(rules.warm_up - min(rules.shift_after, rules.warm_up - 1))
        self.seen[at] = np.minimum(self.seen[at], quiet)
