"""Events of static bounds: what crosses `min` or `max` of its measure, whatever has been learned.

A value beyond a bound has severity 100, also before the warm-up. An event **opens** on the widest
slice that crosses; among slices as wide, on the one that contains the most crossing leaves. What
crosses on the same side and shares leaves with it belongs to it. It **continues** while any of that
crosses, moves to a wider slice if that comes to cross too, and **closes** after a few intervals
within the bounds.

One fault is one event: where an event of the model is open on the same side, that event becomes
severe instead. If it opens later than an event of a bound, it takes over the name of the latter.
Nothing is frozen: the model learns as it does without bounds.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.detection.habits import Observed
from anomaly_detector.detection.settings import DetectorSettings
from anomaly_detector.detection.state import Judged
from anomaly_detector.events.event import Event, Sums
from anomaly_detector.lattice import Lattice, Mask

Sides = NDArray[np.int8]
"""1 above the maximum, -1 below the minimum, otherwise 0."""

SEVERITY = 100.0
QUIET_TO_CLOSE = 3  # intervals within the bounds that close an event


@dataclass(frozen=True)
class Bounds:
    """Bounds of each series of a replay.

    Attributes
    ----------
    measures : names. counted : (M,) whether no row means zero.
    least, most : (M, K), infinite where a series has no bound.
    """

    lattice: Lattice
    measures: tuple[str, ...]
    counted: tuple[bool, ...]
    least: NDArray[np.float64]
    most: NDArray[np.float64]

    @classmethod
    def of(cls, settings: DetectorSettings, lattice: Lattice) -> Self | None:
        """Bounds of the slices of a lattice; None if no measure has any."""
        rules = settings.measures
        if not any(rule.bounded for rule in rules):
            return None
        held = np.array([lattice.widest | (rule.bounded_series == "all") for rule in rules])
        least = [[-np.inf if rule.min is None else rule.min] for rule in rules]
        most = [[np.inf if rule.max is None else rule.max] for rule in rules]
        return cls(
            lattice,
            tuple(rule.name for rule in rules),
            tuple(rule.absent_is_zero for rule in rules),
            np.where(held, least, -np.inf),
            np.where(held, most, np.inf),
        )

    def crossed(self, observed: Observed, *, known: bool | Mask) -> Sides:
        """(M, K) which bound the values of an interval cross.

        A sum or count of a born series without a row is zero here, whatever is usual at that time.

        Parameters
        ----------
        known : whether it is known which rows the interval has, or (M, K) of which series.
        """
        counted = np.array(self.counted)[:, None] & known
        value = np.where(counted & observed.born & ~observed.present, 0.0, observed.actual)
        beyond = (value > self.most).view(np.int8) - (value < self.least).view(np.int8)
        return np.asarray(beyond)

    def judge(self, judged: Judged, crossed: Sides) -> Judged:
        """The scores with the bounds: no filter hides a crossing, and no band exceeds them."""
        beyond = crossed != 0
        return replace(
            judged,
            lower=np.clip(judged.lower, self.least, self.most),
            upper=np.clip(judged.upper, self.least, self.most),
            severity=np.where(beyond, SEVERITY, judged.severity),
            direction=np.where(beyond, crossed, judged.direction),
            anomalous=judged.anomalous | beyond,
        )

    def follow(
        self, events: tuple[Event, ...], crossed: Sides, judged: Judged | None, at: int
    ) -> tuple[Event, ...]:
        """Update the events with the crossings of one interval; they are changed in place.

        Parameters
        ----------
        events : of the model, which has seen the interval, and of bounds, which have not.
        judged : scores with the bounds; None where the interval is not scored.
        at : seconds since 1970 of the interval's start.
        """
        found: list[Event] = []
        for m, measure in enumerate(self.measures):
            of_measure = [event for event in events if event.measure == measure]
            if crossed[m].any() or any(event.bound for event in of_measure):
                of_measure = _Now(self, m, crossed[m].copy(), judged, at).follow(of_measure)
            found += of_measure
        return tuple(found)


@dataclass
class _Now:
    """One measure in one interval. `left` (K,) are the crossings that no event explains yet;
    `claimed` (K,) are the slices that share leaves with open events, by their side.
    """

    bounds: Bounds
    m: int
    left: Sides
    judged: Judged | None
    at: int
    claimed: dict[int, Mask] = field(default_factory=dict)

    def follow(self, events: list[Event]) -> list[Event]:
        """The events after the interval, including those that it ends."""
        others = [event for event in events if not event.bound]
        own = [event for event in events if event.bound and not event.closed]
        own.sort(key=lambda one: (one.opened, one.first))
        kept: list[Event] = []
        for event in others:
            if not event.closed:
                self._make_severe(event, own, kept)
        for event in own:
            self._go_on(event)
        return [*others, *kept, *own, *self._opened()]

    def _make_severe(self, event: Event, own: list[Event], ended: list[Event]) -> None:
        """What crosses where an event of the model is open belongs to it.

        Events of bounds there move from `own` to `ended`, except the oldest if the model's event
        has just opened: the latter takes over its name.
        """
        overlap = self._overlap(event)
        if not self._taken(event.side, overlap):
            return
        event.severity = SEVERITY
        if event.last < self.at:
            self._show(event)
        for one in [one for one in own if one.side == event.side and self._meets(one, overlap)]:
            own.remove(one)
            if event.opened == self.at:
                event.take_over(one)
            else:
                one.closed = 1
                ended.append(one)

    def _go_on(self, event: Event) -> None:
        """Continue or close an event of a bound; older ones have been processed."""
        event.age += 1
        if event.side in self.claimed and self._meets(event, self.claimed[event.side]):
            event.closed = 1
            return
        lattice = self.bounds.lattice
        own = lattice.codes[lattice.index[event.slices[0]]]
        holds = ((lattice.codes < 0) | (lattice.codes == own)).all(axis=1)
        wider = holds & (self.left == event.side)
        if len(event.slices) == 1 and wider.any():
            event.slices = (lattice.names[self._widest(wider)],)
        overlap = self._overlap(event)
        if self._taken(event.side, overlap):
            event.quiet = 0
            self._show(event)
        else:
            event.quiet += 1
            event.closed = int(event.quiet >= QUIET_TO_CLOSE)
        if not event.closed:
            before = self.claimed.get(event.side, np.zeros_like(overlap))
            self.claimed[event.side] = before | overlap

    def _opened(self) -> list[Event]:
        """Events of what is left; slices that no monitored slice contains together are one."""
        lattice = self.bounds.lattice
        found: list[Event] = []
        for side in (1, -1):
            first: int | None = None
            while (self.left == side).any():
                place = self._widest(self.left == side)
                name = lattice.names[place]
                self._taken(side, lattice.overlapping(place))
                if first is not None and lattice.joint(first, place) is None:
                    found[-1].slices = (*found[-1].slices, name)
                    continue
                first = place
                event = Event(
                    self.bounds.measures[self.m],
                    self.at,
                    name,
                    (name,),
                    side,
                    self.at,
                    Sums.none(len(lattice.level)),
                    severity=SEVERITY,
                    bound=True,
                )
                found.append(event)
        for event in found:
            self._show(event)
        return found

    def _widest(self, slices: Mask) -> int:
        """Index of the widest of some slices (K,); of equally wide ones, that which contains the
        most leaves that cross.
        """
        lattice = self.bounds.lattice
        places = np.flatnonzero(slices)
        depth = (lattice.codes[places] >= 0).sum(axis=1)
        places = places[depth == depth.min()]
        held = lattice.summed(slices[lattice.leaves].astype(np.float64))
        return int(places[int(np.argmax(held[places]))])

    def _taken(self, side: int, overlap: Mask) -> bool:
        """Whether anything there crosses on this side; it is then explained."""
        hit = overlap & (self.left == side)
        self.left[hit] = 0
        return bool(hit.any())

    def _overlap(self, event: Event) -> Mask:
        return event.overlapping(self.bounds.lattice)

    def _meets(self, event: Event, overlap: Mask) -> bool:
        return any(overlap[self.bounds.lattice.index[name]] for name in event.slices)

    def _show(self, event: Event) -> None:
        """Take in the interval. What the bounds exclude is not quoted as the expectation of their
        events; before anything has been learned, it is the bound.
        """
        if self.judged is None:
            return
        judged, bounds = self.judged, self.bounds
        if event.bound:
            expected = np.clip(judged.expected, bounds.least, bounds.most)
            crossed = (bounds.most if event.side > 0 else bounds.least)[self.m]
            for name in event.slices:
                place = bounds.lattice.index[name]
                if np.isnan(expected[self.m, place]):
                    expected[self.m, place] = crossed[place]
            judged = replace(judged, expected=expected)
        event.show(judged, self.m, bounds.lattice, self.at, counted=bounds.counted[self.m])
