"""Events of far fewer rows than usual: a mean of one row in ten may look as it always does.

The rows behind each measure, in all slices together, are compared with what is usual at their time
of the week: a mean of logarithms for each slot, moved by a level that follows within half a week,
so that two days of more rows than usual do not make the usual ones few.
Intervals below an hour share its slot, and may have as few as the hours beside it: a job ends at a
quarter past. Rows are **few** where they are less than half of that, and further away than they
ever vary by chance: `FAR` usual distances, and `SURE` roots of the expectation, as small numbers
vary more.

An event **opens** on all slices together, where rows have been few in two intervals in a row and
for a quarter of an hour; it **continues** while they are less than usual, and **closes** after a
few intervals in which they are not, or once it has lasted as long as what becomes a new level. Few
rows teach nothing until then.

No row at all is no data, which the model tells, also of a slice: what lacks for that reason makes
no rows few. What it tells is not told again: neither while it says that data are missing, nor where
it says that a sum is down, which falls with its rows. Where falls of a sum count, they tell what
lacks; a count is its rows. Of other measures nothing is known: they may be judged elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Self

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.config import ROLLED_UP
from anomaly_detector.detection.habits import Habits
from anomaly_detector.detection.scan import are_left
from anomaly_detector.detection.settings import DetectorSettings
from anomaly_detector.events.event import Event, Sums
from anomaly_detector.events.group import Point
from anomaly_detector.lattice import Lattice

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

HALF, STILL = 0.5, 0.7  # shares of the usual rows below which an event opens, and continues
FAR, SURE = 6.0, 5.0
WEEKS = 2  # that teach a slot before it tells anything
LEAST_RATE, SPREAD_RATE = 0.15, 0.01
FOLLOWS_WITHIN, LEAST_FOLLOWS = 3.5, 7.0  # days, and intervals
CLIP = 0.5  # of a distance that is learned, in logarithms
LEAST_SPREAD = 0.02
OPENS_AFTER, FEWEST = 900, 2  # seconds, and intervals, as for no data
QUIET_TO_CLOSE = 3  # intervals


@dataclass
class RowCounts:
    """What is usual; arrays by slot of the week (S) and measure (M).

    Attributes
    ----------
    usual : (S, M) mean logarithm of the rows. seen : (S, M) values behind it.
    level : (M,) by how much the newest are away from it. spread : (M,) mean distance from both.
    low : (M,) intervals in a row with few.
    came : (M,) share of the usual rows that has come lately, of what has not gone.
    """

    usual: Array
    seen: Array
    level: Array
    spread: Array
    low: Array
    came: Array

    @classmethod
    def fresh(cls, settings: DetectorSettings) -> Self:
        """Nothing yet."""
        slots, measures = settings.slots_a_week, len(settings.measures)
        table, row = np.zeros((2, slots, measures)), np.zeros((3, measures))
        return cls(table[0], table[1], row[0], row[1], row[2], np.ones(measures))

    def named(self) -> dict[str, Array]:
        """Arrays by name."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def copied(self) -> Self:
        """A copy."""
        return type(self)(**{name: array.copy() for name, array in self.named().items()})


@dataclass(frozen=True)
class FewRows:
    """What is judged of a lattice in a replay.

    Attributes
    ----------
    total : place of all slices together. judged : (M,) measures that are no counts of rows.
    falls : (M,) measures whose value falls with their rows.
    slot_values : values that a slot of the week has in a week.
    opens_after, accept_after, follows_within : intervals.
    """

    settings: DetectorSettings
    lattice: Lattice
    total: int
    judged: Mask
    falls: Mask
    slot_values: int
    opens_after: int
    accept_after: int
    follows_within: float

    @classmethod
    def of(cls, settings: DetectorSettings, lattice: Lattice) -> Self:
        """Nothing is judged where the roll-up of all slices is not kept, or has no row yet."""
        total = lattice.index.get((ROLLED_UP,) * len(settings.dimensions))
        # What falls with its rows is told as such, unless only its rises count.
        counts = np.array(
            [
                rule.aggregation == "COUNT" or (rule.absent_is_zero and rule.direction != "up")
                for rule in settings.measures
            ]
        )
        return cls(
            settings,
            lattice,
            total or 0,
            ~counts & (total is not None),
            np.array([rule.absent_is_zero for rule in settings.measures]),
            max(1, settings.slots_a_day // settings.slots_a_weekday),
            max(FEWEST, math.ceil(OPENS_AFTER / settings.grid.seconds)),
            settings.accept_after,
            max(FOLLOWS_WITHIN * settings.slots_a_day, LEAST_FOLLOWS),
        )

    def due(self, rows: RowCounts, slot: int) -> Array:
        """(M, 1) rows that usually come at a slot of the week, in all slices together, as a share
        of those of the average interval; 1 where that is not known. Where they have been few of
        late, as few are due.
        """
        share = np.ones((rows.usual.shape[1], 1))
        told = np.flatnonzero(self.judged & (rows.seen[slot] >= WEEKS * self.slot_values))
        for m in told.tolist():
            usual = np.exp(rows.usual[:, m])
            share[m] = usual[slot] / usual[rows.seen[:, m] > 0].mean()
            if rows.came[m] < HALF:
                share[m] *= rows.came[m]
        return share

    def follow(
        self,
        rows: RowCounts,
        habits: Habits,
        count: Array,
        slot: int,
        own: Collection[Event],
        others: Iterable[Event],
        at: int,
        *,
        gone: Array,
        known: bool,
        scored: bool,
    ) -> tuple[Event, ...]:
        """Judge an interval, update the events, and learn it; `rows` and events change in place.

        Parameters
        ----------
        habits : before the interval is learned: which share of the rows each slice has.
        count : (M, K) rows of the interval. slot : of the week.
        own : open events of few rows. others : of the values, which have seen the interval.
        at : seconds since 1970 of the interval's start.
        gone : (M, K) see `Scan.gone`.
        known : whether it is known which rows the interval has. scored : whether events show it.
        """
        if not known or not self.judged.any():
            return tuple(own)
        here = count[:, self.total]
        usual = self._least(rows, slot) + rows.level
        expected = np.exp(usual)
        away = np.log(np.maximum(here, 1.0)) - rows.usual[slot] - rows.level
        enough = WEEKS * self.slot_values
        learnt = self.judged & (rows.seen[slot] >= enough)
        taught = rows.seen.sum(axis=0)
        learnt &= taught >= self.settings.open_after
        for m in np.flatnonzero(learnt & (here > 0)).tolist():
            newest = self._came(habits, float(here[m] / max(expected[m], 1.0)), gone[m], m)
            rows.came[m] += (newest - rows.came[m]) / FEWEST
        less = learnt & (here < STILL * expected)
        if not less.any() and not own:
            rows.low[:] = 0.0
            self._learn(rows, here, away, slot, taught, here > 0)
            return ()
        beyond = np.maximum(rows.spread, LEAST_SPREAD) * FAR
        few = less & (here > 0) & (here < HALF * expected)
        few &= usual - np.log(np.maximum(here, 1.0)) > beyond
        few &= expected - here > SURE * np.sqrt(expected)
        for m in few.nonzero()[0].tolist():
            few[m] = here[m] < HALF * expected[m] * self._present(habits, count[m], m)
        rows.low[:] = np.where(few | (less & (rows.low > 0)), rows.low + 1, 0.0)
        told = {event.measure: event for event in own}
        lacking = {one.measure for one in others if one.no_data and not one.closed}
        down = {one.measure for one in others if one.side < 0 and not one.closed}
        found = []
        frozen = few | (less & (rows.low > 0))
        for m, rule in enumerate(self.settings.measures):
            event = told.get(rule.name)
            hidden = rule.name in lacking or (self.falls[m] and rule.name in down)
            if event is not None:
                self._go_on(event, showing=bool(less[m]))
            elif few[m] and not hidden and rows.low[m] >= self.opens_after:
                event = self._opened(rule.name, at)
            if event is None:
                if rows.low[m] >= max(1, self.accept_after // 2):
                    frozen[m] = self._accept(rows, m, away)
                continue
            if not event.quiet and scored:
                self._show(event, habits, count[m], float(expected[m]), m, at)
            if event.age >= self.accept_after and not event.closed:
                event.accepted, event.closed = True, 1
                frozen[m] = self._accept(rows, m, away)
            found.append(event)
        self._learn(rows, here, away, slot, taught, ~frozen & (here > 0))
        return tuple(found)

    def _least(self, rows: RowCounts, slot: int) -> Array:
        """(M,) logarithm of the rows that usually come at a slot of the week: where it has several
        intervals, as few as in the hours beside it. A job that ends at a quarter past two leaves
        the rest of the hour with few.
        """
        if self.slot_values == 1:
            return np.asarray(rows.usual[slot])
        beside = [slot, (slot - 1) % len(rows.usual), (slot + 1) % len(rows.usual)]
        return np.asarray(np.where(rows.seen > 0, rows.usual, np.inf)[beside].min(axis=0))

    def _present(self, habits: Habits, count: Array, m: int) -> float:
        """The share of the usual rows that leaves have of which any came; others have no data."""
        leaves = self.lattice.leaves
        usual = (habits.rows[m] * habits.presence[m] * habits.born[m])[leaves]
        return float(usual[count[leaves] > 0].sum() / max(usual.sum(), 1.0))

    def _came(self, habits: Habits, share: float, gone: Array, m: int) -> float:
        """The share of the usual rows that has come of all that is left, if `share` has of all."""
        leaves = self.lattice.leaves
        usual = (habits.rows[m] * habits.born[m])[leaves]
        left = usual[are_left(usual, share, gone[leaves])].sum()
        return float(share * usual.sum() / max(left, 1.0))

    def _go_on(self, event: Event, *, showing: bool) -> None:
        event.age += 1
        event.quiet = 0 if showing else event.quiet + 1
        event.closed = int(event.quiet >= QUIET_TO_CLOSE)

    def _opened(self, measure: str, at: int) -> Event:
        name = self.lattice.names[self.total]
        none = Sums.none(len(self.lattice.level))
        return Event(measure, at, name, (name,), -1, at, none, few_rows=True)

    def _show(
        self, event: Event, habits: Habits, count: Array, expected: float, m: int, at: int
    ) -> None:
        """Take in the interval: numbers of rows, of slices by their usual share."""
        usual = np.where(habits.born[m], habits.rows[m], 0.0)
        share = usual / max(float(usual[self.total]), 1.0)
        here = float(count[self.total])
        event.sums.actual += np.where(share > 0, count, 0.0)
        event.sums.expected += expected * share
        event.sums.intervals += share > 0
        event.last, event.been = at, event.slices
        lacking = min(1.0, max(0.0, 1.0 - here / (HALF * expected)))
        severity = 50.0 + 50.0 * lacking
        event.severity = max(event.severity, severity)
        event.points.append(
            Point(
                datetime.fromtimestamp(at, UTC),
                event.slices[0],
                here,
                expected,
                severity,
                "down",
            )
        )

    def _accept(self, rows: RowCounts, m: int, away: Array) -> bool:
        """Take what lasts for the new level; returns that the interval may be learned."""
        rows.level[m] += away[m]
        rows.low[m] = 0.0
        away[m] = 0.0
        return False

    def _learn(
        self, rows: RowCounts, here: Array, away: Array, slot: int, taught: Array, on: Mask
    ) -> None:
        seen = rows.seen[slot]
        new = on & (seen == 0)
        rows.usual[slot] = np.where(
            new, np.log(np.maximum(here, 1.0)) - rows.level, rows.usual[slot]
        )
        away = np.where(new, 0.0, np.minimum(np.maximum(away, -CLIP), CLIP))
        least = LEAST_RATE / self.slot_values
        rate = np.where(on, np.maximum(1.0 / (seen + 1.0), least), 0.0)
        rows.usual[slot] += rate * away
        rows.level += np.where(on, away / self.follows_within, 0.0)
        spread = np.maximum(SPREAD_RATE, 1.0 / (taught + 1.0))
        rows.spread += np.where(on & ~new, spread * (np.abs(away) - rows.spread), 0.0)
        rows.seen[slot] = seen + on
