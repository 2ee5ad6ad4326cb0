"""The band of normal values of each series: the share of them that lies in it is asked for.

    expected - r q_below s ... expected + r q_above s

s is the geometric mean of the forecast's scale and of the usual residual (`surprise`): the former
follows the time of the day, the latter the values that were not clipped. r is the deviations of a
normal distribution that hold the share asked for. The factors q are learnt on each side by itself,
by quantile tracking, as in adaptive conformal inference (Gibbs and Candes 2021): with every value,

    ln q += g (1 - a) where the value lies beyond that side, -g a where it does not

a is half the share beyond, and g falls from 0.5 to 0.1: on each side the share a of the values ends
up beyond, whatever their distribution is.

A band says what is normal, and no more: of many values some lie outside without being an alarm.

**Unit**: a band ends where no value can be. A count is whole and not below 0, a share lies within 0
and 1, an amount is neither. Where the configuration does not say so, a series that was never
negative does not go below 0, one that only had whole values has whole ends, and a mean or extreme
that was never above 1, and is not whole, is a share.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anomaly_detector.detection.arrays import Array, Mask, Part, kept
from anomaly_detector.detection.habits import Habits
from anomaly_detector.detection.rules import UNCLIPPED_UNTIL, Rules

SIDES = 2  # below, above
INITIAL = 1.1  # most series have heavier tails than the normal distribution
NARROWEST, WIDEST = 0.2, 15.0
FASTEST, SLOWEST = 0.5, 0.1  # g
SLOWER_WITH = 300.0  # values times g on the way from the one to the other


@dataclass
class Band(Part):
    """Reach of the band of each series."""

    reach: Array = kept(SIDES, initial=INITIAL)  # q
    above_one: Array = kept()  # 1 after the first value above 1

    def judge(
        self, rules: Rules, expected: Array, scale: Array, usual: Array
    ) -> tuple[Array, Array]:
        """Lower and upper end (M, K), which may lie where no value can; see `cut`.

        Parameters
        ----------
        scale, usual : the forecast's scale, and the unit of the season's channel.
        """
        width = np.sqrt(scale * usual)
        width *= rules.band_reach
        below, above = self.reach * width
        np.subtract(expected, below, out=below)
        above += expected
        return below, above

    def learn(
        self, rules: Rules, habits: Habits, value: Array, lower: Array, upper: Array, live: Mask
    ) -> None:
        """Learn one interval of the `live` series; call this before `habits` learn."""
        on = live & (habits.seen >= UNCLIPPED_UNTIL)
        rate = np.maximum(SLOWEST, np.minimum(FASTEST, SLOWER_WITH / (habits.seen + 1.0)))
        rate *= on
        step = np.array([value < lower, value > upper], dtype=np.float64)
        step -= rules.band_beyond
        step *= rate
        np.exp(step, out=step)
        self.reach *= step
        self.reach.clip(NARROWEST, WIDEST, out=self.reach)
        np.copyto(self.above_one, 1.0, where=live & (value > 1.0))

    def cut(self, rules: Rules, habits: Habits, lower: Array, upper: Array) -> None:
        """Cut a band, in place, to the values that a series can have."""
        positive = habits.signed == 0
        np.maximum(lower, 0.0, out=lower, where=positive | rules.units.positive)
        fractional = habits.fractional > 0
        np.minimum(upper, 1.0, out=upper, where=self.shares(rules, habits))
        whole = (rules.units.maybe_whole & ~fractional) | rules.units.whole
        # Rounded inward, the same whole values lie in the band.
        np.ceil(lower, out=lower, where=whole)
        np.floor(upper, out=upper, where=whole)

    def shares(self, rules: Rules, habits: Habits) -> Mask:
        """(M, K) series whose values are shares, as far as is known."""
        seems = rules.units.maybe_share & (habits.signed == 0) & (habits.fractional > 0)
        return np.asarray(seems & (self.above_one == 0) | rules.units.share)
