"""What the slices that explain an event bring to its deviation, in numbers.

Of a sum or count, a slice brings what its leaves bring. Of a weighted mean (AVG, RATIO) with r the
values of the leaves and w their shares of the rows (of the denominator), usual ones with a bar,

    sum w r - sum w' r' = sum w (r - r') + sum (w - w') (r' - R'),   R' = sum w' r':

the **rate** of the leaves, which is localised in the numerators given the rows that came, and their
**mix**, localised in the rows. Of minima, maxima, percentiles and distinct counts nothing adds up:
the deviations of the leaves are compared as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.config import ROLLED_UP
from anomaly_detector.detection.arrays import Array, Mask
from anomaly_detector.detection.settings import MeasureRule
from anomaly_detector.events.cause import Leaves, causes, common_factor
from anomaly_detector.events.event import Event, Slice
from anomaly_detector.events.group import Effect
from anomaly_detector.lattice import Lattice

FORECAST_ERROR = 0.1  # of a leaf, relative
ENOUGH = 0.67  # share of the deviation that slices together must explain to be named
TOLD = 0.2  # share of the deviation from which rate or mix is localised
MIX_TOLD = 0.1  # share of the deviation that a slice's mix must bring
_TINY = 1e-12


@dataclass(frozen=True)
class Brought:
    """A slice and what it brings.

    Attributes
    ----------
    actual, expected : of the slice; of a mix, its rows. deviation : in the measure's unit.
    """

    slice: Slice
    actual: float
    expected: float
    deviation: float
    effect: Effect = "value"


@dataclass(frozen=True)
class Cube:
    """The leaves of an event's smallest common slice that have sums; arrays (N,).

    Attributes
    ----------
    fixed : (D,) codes of the common slice.
    places : of the leaves among the slices. held : those in the event's slices.
    actual, expected : of additive measures sums; of weighted means, of the values times the rows
        that came; of others, of the values. What is not held is as expected.
    variance : usual one of `actual`.
    rows, usual_rows : of weighted means, None of others.
    rates : expected value of each leaf of a weighted mean.
    """

    lattice: Lattice
    fixed: NDArray[np.int64]
    places: NDArray[np.int64]
    held: Mask
    actual: Array
    expected: Array
    variance: Array
    rows: Array | None = None
    usual_rows: Array | None = None
    rates: Array | None = None

    @classmethod
    def of(cls, rule: MeasureRule, event: Event, lattice: Lattice, known: Mask) -> Self:
        """The cube of an event; `known` (K,) slices have sums."""
        named = lattice.codes[[lattice.index[name] for name in event.slices]]
        fixed = np.where((named == named[0]).all(axis=0), named[0], -1)
        leaves = lattice.leaves[known[lattice.leaves]]
        codes = lattice.codes[leaves]
        places = leaves[((fixed < 0) | (codes == fixed)).all(axis=1)]
        codes = lattice.codes[places]
        held = np.zeros(len(places), dtype=np.bool_)
        for one in named:
            held |= ((one < 0) | (codes == one)).all(axis=1)
        sums, usual = event.sums, event.usual_share(lattice)
        if not (rule.weighted_mean and sums.rows[places][held].sum() > 0):
            actual, expected = sums.actual[places], usual * sums.expected[places]
            actual = np.where(held, actual, expected)
            return cls(lattice, fixed, places, held, actual, expected, sums.variance[places])
        rates = usual * sums.expected[places] / np.maximum(sums.intervals[places], 1)
        expected = usual * sums.weighed_expected[places]
        actual = np.where(held, sums.weighed[places], expected)
        return cls(
            lattice,
            fixed,
            places,
            held,
            actual,
            expected,
            sums.variance[places],
            np.where(held, sums.rows[places], 0.0),
            np.where(held, sums.usual_rows[places], 0.0),
            rates,
        )

    @property
    def codes(self) -> NDArray[np.int64]:
        """(N, D) codes of the leaves."""
        return self.lattice.codes[self.places]

    @cached_property
    def rate(self) -> Array:
        """What each leaf brings by its own value, in the measure's unit."""
        change = self.actual - self.expected
        return change if self.rows is None else change / float(self.rows.sum())

    @cached_property
    def mix(self) -> Array:
        """What each leaf of a weighted mean brings by its part in the whole; else 0."""
        if self.rows is None or self.usual_rows is None or self.rates is None:
            return np.zeros(len(self.places))
        usual = self.usual_rows / max(float(self.usual_rows.sum()), _TINY)
        away = self.rows / float(self.rows.sum()) - usual
        return np.asarray(away * (self.rates - float(usual @ self.rates)))

    def within(self, name: Slice) -> Mask:
        """(N,) leaves of a slice."""
        found = np.ones(len(self.places), dtype=np.bool_)
        for axis, value in enumerate(name):
            if value != ROLLED_UP:
                found &= self.lattice.slices[self.places, axis] == value
        return found

    def localised(self, side: int, deviation: float) -> list[Brought]:
        """The slices that explain the event, what brings most first; none if none do.

        Parameters
        ----------
        side : 1 if the event is above the expectation, -1 if below.
        deviation : of the event, in the measure's unit.
        """
        found: list[Brought] = []
        whole = abs(deviation)
        if self.rows is None or side * float(self.rate.sum()) >= TOLD * whole:
            # An error of the forecast that lasts as long as the event adds up, unlike noise.
            variance = self.variance + np.square(FORECAST_ERROR * self.expected)
            leaves = Leaves(self.codes, self.actual, self.expected, variance)
            found += self.brought([self._name(one) for one in causes(leaves, side)])
        if side * float(self.mix.sum()) >= TOLD * whole:
            found += [
                one for one in self._mixed() if side * one.deviation >= max(MIX_TOLD * whole, _TINY)
            ]
        if sum(max(0.0, side * one.deviation) for one in found) < ENOUGH * whole:
            return []
        return sorted(found, key=lambda one: (-side * one.deviation, one.slice, one.effect))

    def brought(self, names: Sequence[Slice]) -> list[Brought]:
        """What slices bring by their values; a leaf in several counts for the first."""
        found = []
        left = self.held.copy()
        for name in names:
            held = self.within(name)
            own = held & left
            left &= ~held
            rows = 1.0 if self.rows is None else max(float(self.rows[held].sum()), _TINY)
            found.append(
                Brought(
                    name,
                    float(self.actual[held].sum()) / rows,
                    float(self.expected[held].sum()) / rows,
                    float(self.rate[own].sum()),
                    "value" if self.rows is None else "rate",
                )
            )
        return found

    def values(self, parts: Sequence[Brought]) -> tuple[float, float]:
        """Actual and expected value of some slices together."""
        held = np.logical_or.reduce([self.within(one.slice) for one in parts])
        rows = 1.0 if self.rows is None else max(float(self.rows[held].sum()), _TINY)
        actual, expected = (float(of[held].sum()) / rows for of in (self.actual, self.expected))
        return actual, expected

    def _mixed(self) -> list[Brought]:
        """Slices whose rows changed unlike those of most others, and what that brings: by how much
        the whole would differ if they had changed alike.
        """
        if self.rows is None or self.usual_rows is None or self.rates is None:
            return []
        held = self.held
        alike = self.usual_rows * common_factor(self.rows[held], self.usual_rows[held])
        leaves = Leaves(self.codes[held], self.rows[held], alike[held])
        found = []
        rows = self.rows
        for side in (1, -1):
            for one in causes(leaves, side):
                name = self._name(one)
                own = self.within(name) & held
                without = np.where(own, alike, rows)
                brought = _mean(self.rates, rows) - _mean(self.rates, without)
                rows = without
                came, usual = float(self.rows[own].sum()), float(self.usual_rows[own].sum())
                found.append(Brought(name, came, usual, brought, "mix"))
        return found

    def _name(self, codes: tuple[int, ...]) -> Slice:
        """A slice in words; the values that all leaves have in common are among them."""
        return tuple(
            str(self.lattice.values[axis][code if own < 0 else own])
            if max(code, own) >= 0
            else ROLLED_UP
            for axis, (code, own) in enumerate(zip(codes, self.fixed.tolist(), strict=True))
        )


def _mean(values: Array, weights: Array) -> float:
    return float(values @ weights) / max(float(weights.sum()), _TINY)
