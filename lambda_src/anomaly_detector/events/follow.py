"""Opens, updates and closes the events of each measure, and selects the series that must not learn.

An event **opens** on the slice with the largest evidence above the threshold. It is attributed to
the slice whose leaves together explain the change best (`Evidence.likely`), and attributed again as
the evidence grows. While it is open, another event opens only on slices that share no leaf with it
(of new values, that do not hold them), and only after a few intervals in which the first one
settles on its slice, unless it is about what is gone, of which nothing else is a part. Two events
that a common slice explains as well are merged. An event is told in the name of a wider slice if
what that also holds is gone or new, and tells nothing.

It **continues** while its slice deviates about as before, and **closes** after a few intervals that
are normal according to their log-likelihood. Evidence in the same slices shortly afterwards
continues the event; evidence below half of the event's is its aftermath (a rebound, or windows that
still contain it) and opens nothing. Series that share leaves with an open event do not learn; an
event that lasts becomes the new level, unless it is quiet just then, or only varies.

Limits are those of `Rules`, in intervals: of an open event, `quiet_to_close` without it close it if
the log-likelihood agrees, `quiet_at_most` in any case; after `quiet_to_yield` another event may
replace it; for `settled` intervals it settles on its slice, without others in its measure. After
its end, it may continue for `continued` intervals at most, evidence may be its aftermath for
`remembered`, and other slices that share leaves may show it too for `settling`. One that has gone
on for `lasted` keeps its name where it is steady: what fails besides is another. Until the week of
a series is known, an event keeps it from learning for `learned_after` only, as what lasts may be
its weekend.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.detection.arrays import Array
from anomaly_detector.detection.rules import Rules
from anomaly_detector.detection.scan import FEWEST_SAME, NOT_STUCK, Evidence
from anomaly_detector.detection.slots import Slots
from anomaly_detector.detection.state import Held, Judged, Shown, State
from anomaly_detector.detection.verdicts import FIRM, Verdict
from anomaly_detector.events.event import Event, Slice, Sums
from anomaly_detector.events.new_value import (
    NEW_WINDOWS,
    evidence,
    is_by_itself,
    new_values,
    was_roll_up,
)
from anomaly_detector.events.usual import Usual
from anomaly_detector.lattice import Lattice

Mask = NDArray[np.bool_]

BACK_TO_NORMAL = 5.0  # nats in favour of the normal state that close an event
LEFT_BEHIND = 0.5  # share of an event's evidence below which evidence is its aftermath; decays
STILL_THERE = 0.5  # share of a window's usual change that the newest hour must have
SHOWS_ALONE = 2.0  # evidence of a single interval, in either direction, that continues an event
AS_STRONG = 0.5  # share of the best evidence that a slice needs to be attributed instead
CERTAIN = 5.0  # thresholds from which more evidence makes a slice no likelier
BY_NEW = 0.8  # share of a change that new values must have to be its cause
CHANCE = 3.0  # usual deviations that the rest may differ from nought, where most is new
MOSTLY_NEW = 0.5  # the same of a single interval, when it is accepted, and beside what is by chance
LEAST_EXPECTED = 0.01  # share of a window's usual sum that each shorter one must expect, to tell
NOTHING_CAME = 0.9  # share of what was expected that is missing where next to nothing came
SOMETHING_COMES = 0.9  # the same of an interval, below which something comes again
SAME_DAY = 5 / 3  # half days within which a slice that shows an event again continues it
JOINED = 0.8  # share of what two slices explain that a common slice must explain


def follow(
    rules: Rules,
    state: State,
    lattice: Lattice,
    judged: Judged | None,
    events: tuple[Event, ...],
    found: Evidence,
    shown: Shown,
    at: int,
    accept_after: int,
    verdicts: Sequence[Verdict] = (),
) -> tuple[tuple[Event, ...], Held]:
    """Update the events with the evidence of one interval; they are changed in place.

    Parameters
    ----------
    judged : what is said of the interval; None where it is not scored, so that no event is told.
    shown : the interval, as it was weighed.
    at : seconds since 1970 of the interval's start.
    accept_after : intervals after which the values during an event become the new level.
    verdicts : what people have said of events, as far as it holds for this interval.

    Returns
    -------
    The events that are remembered, and what they keep from being learned.
    """
    held = Held.by(np.zeros(found.evidence.shape, dtype=np.bool_))
    kept: list[Event] = []
    for m, measure in enumerate(state.measures):
        of_measure = [event for event in events if event.measure == measure]
        come = new_values(rules, state, lattice, m)
        shows = found.evidence[m].max(initial=-np.inf) >= found.threshold[m]
        if not (of_measure or shows or len(come)):
            continue
        said = [one for one in verdicts if measure in one.span.measures]
        now = _Now(rules, state, lattice, found, m, shown.observed.actual[m], of_measure, said)
        for event in of_measure:
            event.age += 1
            now.go_on(event, accept_after)
        now.drop_overlaps()
        now.open_new(measure, at)
        now.tell_new(measure, at, come)
        now.widen()
        additive, counted = bool(rules.additive[m, 0]), bool(rules.absent_is_zero[m, 0])
        for event in now.open:
            overlap, new = now.overlapping(event), None
            if additive and event.side > 0:
                new = now.new(event, overlap)
                if new is not None:
                    names = (lattice.names[place] for place in np.flatnonzero(new).tolist())
                    event.new = tuple(dict.fromkeys((*event.new, *names)))
            now.count(event)
            held.add(
                m,
                now.held(event, overlap, new),
                lasting=event.age >= 2 * rules.half_day,
                evident=bool(event.new) or event.no_data,
            )
            moved = now.moved(event, shown.slots)
            if judged is None:
                continue
            variance = found.dispersions[0, m] * found.bases[0, m]
            event.follow(
                judged, variance, found.stuck[m], m, lattice, at, additive=additive, moved=moved
            )
            if event in now.shown:
                # The only series of a detector is judged by its own record alone: an event that
                # is none would flag all of its values.
                for place in now.shown_in(event) if state.dimensions else ():
                    judged.share_in(m, place, event.side, event.severity)
                new = now.told_new(event, overlap, new)
                event.show(judged, m, lattice, at, counted=counted, new=new, moved=moved)
                if new is not None:
                    judged.tell_new(m, new & now.rises(), event.severity)
        held.over[m] = now.over()
        kept += sorted([*now.open, *now.ended], key=lambda one: (one.opened, one.first))
    return tuple(kept), held


@dataclass
class _Now:
    """One measure in one interval, and its events that have been processed so far."""

    rules: Rules
    state: State
    lattice: Lattice
    found: Evidence
    m: int
    actual: Array  # (K,) values, NaN where missing
    known: list[Event]  # of earlier intervals, in the order in which they are processed
    verdicts: Sequence[Verdict]  # on events of the measure
    open: list[Event] = field(default_factory=list)
    ended: list[Event] = field(default_factory=list)
    shown: set[Event] = field(default_factory=set)
    grown: set[Event] = field(default_factory=set)  # of which more is known than before
    overlaps: dict[tuple[Slice, ...], Mask] = field(default_factory=dict)  # that were asked for

    def count(self, event: Event) -> None:
        """Count what an open event shows of every slice, and how far its own have been from what
        was expected in an hour; in every interval, as no event depends on which are scored.
        """
        found, m = self.found, self.m
        if event in self.shown:
            event.sums.change += found.now_change[m]
            event.sums.base += found.now_base[m]
        if event.age + 1 < self.rules.an_hour:
            return
        hour, places = self.rules.within_hour, [self.lattice.index[name] for name in event.slices]
        change = float(found.changes[hour, m, places].sum())
        variance = float((found.dispersions * found.bases)[hour, m, places].sum())
        far = change / math.sqrt(max(variance, 1e-200))
        event.above, event.below = max(event.above, far), max(event.below, -far)

    def place(self, event: Event) -> int:
        """Index of the event's first slice."""
        return self.lattice.index[event.slices[0]]

    def shown_in(self, event: Event) -> list[int]:
        """Indices of the event's slices that this interval shows, where it shows the event.

        That is judged by the first slice; the fault in another one may be over.
        """
        first, *others = (self.lattice.index[name] for name in event.slices)
        change, base = (sums[self.m] for sums in (self.found.now_change, self.found.now_base))
        least = STILL_THERE * abs(event.change) / max(event.base, 1e-100)
        return [first, *(k for k in others if event.side * change[k] >= least * base[k])]

    def overlapping(self, event: Event) -> Mask:
        """(K,) slices that share leaves with the event; read only."""
        found = self.overlaps.get(event.slices)
        if found is None:
            if is_by_itself(event):
                found = self.lattice.within(self.place(event))
            else:
                found = event.overlapping(self.lattice)
            self.overlaps[event.slices] = found
        return found

    def over(self) -> Mask:
        """(K,) slices that share leaves with an event that has ended, and is remembered."""
        found = np.zeros(len(self.lattice.names), dtype=np.bool_)
        for event in self.ended:
            found |= self.overlapping(event)
        return found

    def barred(self, event: Event) -> Mask:
        """(K,) slices that an event keeps others from: those that share leaves with it. Of new
        values, it is those that hold them, as the others of their roll-up are as they were.
        """
        overlap = self.overlapping(event)
        return overlap & self.holding(self._new_of(event)) if self._is_new(event) else overlap

    def moved(self, event: Event, slots: Slots) -> float:
        """What the expectations of the event's slices have moved since it opened."""
        places = [self.lattice.index[name] for name in event.slices]
        if event.usual is None or event.usual.slices != event.slices:
            event.usual = Usual.of(event.slices, self.state, self.m, places)
            event.moved = 0.0
        moved = event.usual.moved(self.state, self.m, places, slots)
        if np.isfinite(self.actual[places]).all():
            event.usual.pass_by(self.state, self.m, places, slots)
        return moved

    def new(self, event: Event, overlap: Mask) -> Mask | None:
        """(K,) slices in the event that are new, if they make up its change in this interval, or
        did before. They are learned, unlike the other series of an open event.

        Parameters
        ----------
        overlap : (K,) slices that share leaves with the event.
        """
        found, place, actual = self.found, self.place(event), self.actual
        newborn = overlap & self._newborn(event)
        leaves = self.lattice.leaves[newborn[self.lattice.leaves]]
        if not len(leaves):
            return None
        if self._came_anew(event):
            return newborn
        change, came = float(found.now_change[self.m, place]), float(actual[leaves].sum())
        usual = event.change / max(event.base, 1e-100) * float(found.now_base[self.m, place])
        return newborn if came >= BY_NEW * max(change, usual) else None

    def rises(self) -> Mask:
        """(K,) slices of which a rise from nothing to their value counts."""
        limits = (self.rules.up, self.rules.min_absolute)
        up, least = (np.broadcast_to(one, self.found.evidence.shape)[self.m] for one in limits)
        return np.asarray(up & (self.actual >= least))

    def told_new(self, event: Event, overlap: Mask, new: Mask | None) -> Mask | None:
        """(K,) slices of which an event tells in this interval that they are new, if any.

        Parameters
        ----------
        new : those that make up its change.
        """
        if new is None and self.rules.additive[self.m, 0] and event.side > 0:
            new = self._mostly_new(event, overlap)
        # Also what is outside of the slices that show it best just now.
        return None if new is None else new | (self.akin(event) & np.isfinite(self.actual))

    def _mostly_new(self, event: Event, overlap: Mask) -> Mask | None:
        """(K,) slices in the event that are new, if most of its change in this interval is theirs,
        and the rest no more than chance brings. It may be they that are told.
        """
        found, m, place = self.found, self.m, self.place(event)
        newborn = overlap & self._newborn(event)
        leaves = self.lattice.leaves[newborn[self.lattice.leaves]]
        change, came = float(found.now_change[m, place]), float(self.actual[leaves].sum())
        usual = math.sqrt(float(found.dispersions[0, m, place] * found.bases[0, m, place]))
        by_chance = abs(change - came) <= CHANCE * usual
        return newborn if by_chance and 0 < MOSTLY_NEW * change <= came else None

    def held(self, event: Event, overlap: Mask, new: Mask | None) -> Mask:
        """(K,) slices that an event keeps from learning. Of what is new, nothing but its roll-ups
        is to blame; of what is missing, nothing that comes for the first time.
        """
        held = overlap
        if new is not None:
            held = self.holding(new) & ~new
            held = held if was_roll_up(event) else overlap & held
        if event.side < 0:
            held = held & self.state.habits.born[self.m]
        return np.asarray(held & self.holds_back(event))

    def holds_back(self, event: Event) -> bool | Mask:
        """(K,) slices that an event keeps from learning: not for long before their week is known,
        as what lasts may be its weekend.
        """
        if event.age < self.rules.learned_after:
            return True
        return np.asarray(self.state.habits.seen[self.m] >= self.rules.week_known_after)

    def holding(self, slices: Mask) -> Mask:
        """(K,) slices that contain leaves of some slices (K,)."""
        leaves = slices[self.lattice.leaves].astype(np.float64)
        return np.asarray(self.lattice.summed(leaves) > 0)

    def _came_anew(self, event: Event) -> bool:
        """Whether new values made up the event's change, and have come in this interval, too."""
        if not event.new:
            return False
        leaves = self.lattice.leaves
        new = self._new_of(event)[leaves] & (self.actual[leaves] > 0)
        return bool(new.any())

    def _still_new(self, event: Event) -> bool:
        """Whether new values make up most of the change in this interval: they may have gone, or
        others have come to change.
        """
        leaves = self.lattice.leaves
        came = float(np.nansum(self.actual[leaves] * self._new_of(event)[leaves]))
        return came > 0 and came >= MOSTLY_NEW * self.found.now_change[self.m, self.place(event)]

    def _new_of(self, event: Event) -> Mask:
        """(K,) slices that have made up the change of an event as new ones, scored or not."""
        found = np.zeros(len(self.lattice.level), dtype=np.bool_)
        index = self.lattice.index
        found[[index[name] for name in event.new if name in index]] = True
        return found

    def go_on(self, event: Event, accept_after: int) -> None:
        """Continue or close an event of an earlier interval."""
        if event.closed:
            event.closed += 1
            if event.closed <= self.rules.remembered:
                self.ended.append(event)
            elif not (is_by_itself(event) or self._is_anomaly(event)):
                self.state.scan.count(self.rules, self.m, self.place(event), event.severity)
            return
        shown = self._is_shown(event)
        if shown:
            event.quiet = 0
            self.shown.add(event)
            self._name_again(event)
            self._weigh_parts(event)
        elif shown is not None:
            event.quiet += 1
        over = event.quiet >= self.rules.quiet_to_close and event.doubt >= BACK_TO_NORMAL
        over |= event.quiet >= self.rules.quiet_at_most
        if self._is_anomaly(event):
            accept_after *= FIRM
        # What is quiet may be over, and is no level.
        wait = event.quiet or (event.age < 2 * accept_after and not self._steady(event))
        if not over and (event.age < accept_after or wait):
            self.open.append(event)
            return
        overlap = self.overlapping(event)
        if not over:
            event.accepted = True
            new = self.akin(event) & self._still_new(event)
            by_itself = is_by_itself(event) and not was_roll_up(event)
            if new.any() and not by_itself:
                # What else happens in its roll-ups is no part of it.
                overlap = self.holding(new)
            stuck = overlap & (self.found.repeats[self.m] >= BACK_TO_NORMAL)
            self.state.scan.accept_repeats(self.m, stuck)
            self._accept_silence(overlap & self.found.silent[self.m])
            within = self._parts(event)
            # Others have learned what lasted.
            held = self.holds_back(event)
            if not by_itself:
                self.state.accept(
                    self.rules, self.found, self.m, within & held, overlap & held, new, event.age
                )
            seen = self.state.scan.dispersion_seen[self.m]
            seen[new] = np.maximum(seen[new], NEW_WINDOWS + 1.0)
        self.state.scan.empty(self.m, overlap)
        self.found.evidence[self.m, overlap] = -np.inf
        self._close(event)

    def _accept_silence(self, slices: Mask) -> None:
        """Accept that slices (K,) have no rows, or no values."""
        if self.rules.absent_is_zero[self.m, 0]:
            self.state.habits.accept_silence(self.m, slices)
        else:
            self.state.scan.accept_missing(self.rules, self.m, slices)

    def _steady(self, event: Event) -> bool:
        """Whether what the event shows is a level: windows within it agree down to the newest hour.
        What varies has none.
        """
        found, m, place = self.found, self.m, self.place(event)
        if event.no_data or found.stuck[m, place] or self._came_anew(event):
            return True
        held = slice(self.rules.within_hour, max(1, bisect_right(self.rules.windows, event.age)))
        changes, bases = event.side * found.changes[held, m, place], found.bases[held, m, place]
        if not len(changes):
            return True
        usual = changes[-1] / max(bases[-1], 1e-100)
        return bool(usual > 0 and (changes >= STILL_THERE * usual * bases).all())

    def drop_overlaps(self) -> None:
        """Close events that overlap with one of more evidence."""
        if len(self.open) < 2:
            return
        kept: list[Event] = []
        for event in sorted(self.open, key=lambda one: (-one.evidence, one.opened, one.first)):
            if any(self._clash(event, other) for other in kept):
                self._close(event)
            else:
                kept.append(event)
        self.open = kept

    def _clash(self, event: Event, other: Event) -> bool:
        """Whether an event cannot be open beside another one. What fails is no part of what is new,
        nor its end.
        """
        apart = self._is_apart(event, other.side) or self._is_apart(other, event.side)
        if apart or is_by_itself(event):
            return False
        own = [self.lattice.index[name] for name in event.slices]
        return bool(self.barred(other)[self._new_of(event) if self._is_new(event) else own].any())

    def _is_apart(self, event: Event, side: int) -> bool:
        """Whether what deviates to a side is surely not what an event of new values is about."""
        return event.side != side and self._is_new(event)

    def _is_new(self, event: Event) -> bool:
        """Whether an event is about new values, or was and is still where they are."""
        return bool(event.new) and bool(self.overlapping(event)[self._new_of(event)].any())

    def open_new(self, measure: str, at: int) -> None:
        """Open events where there is enough evidence, or continue recent ones."""
        found, m = self.found, self.m
        evidence = found.evidence[m]
        may = self._may_open()
        parts = np.zeros_like(may)  # that may join an event which opens now, but open none
        while may.any():
            best = int(np.where(may, evidence, -np.inf).argmax())
            overlap = self.lattice.overlapping(best)
            before = [
                one for one in self.ended if overlap[self.place(one)] and not is_by_itself(one)
            ]
            if any(self._left_behind(one)[best] for one in before):
                self.state.scan.empty(self.m, overlap)
                may &= ~overlap
                continue
            place = self._locate(may & overlap & (found.side[m] == found.side[m, best]), best)
            may &= ~overlap
            if self._join(place, only_part=bool(parts[best])):
                may &= ~self.overlapping(self.open[-1])
                continue
            if parts[best]:
                continue
            event = self._taken_up(place, before, float(evidence[best]))
            if event is None:
                name = self.lattice.names[place]
                side = int(found.side[m, place])
                none = Sums.none(len(self.lattice.level))
                lacks = bool(found.no_data[m, best])
                event = Event(measure, at, name, (name,), side, at, none, no_data=lacks)
            self._measure(event, self.place(event))
            own = self.place(event)
            event.change = float(found.change[m, own])
            event.base = float(found.base[m, own])
            self._take_along(event, may & ~parts & (found.side[m] == event.side))
            self.open.append(event)
            self.shown.add(event)
            may &= ~self.overlapping(event)
            for other in self.open:
                if not self._is_settled(other):
                    parts |= evidence <= other.evidence

    def tell_new(self, measure: str, at: int, places: NDArray[np.int64]) -> None:
        """Open or continue the events of new values that are large, if no other tells them.

        Parameters
        ----------
        places : indices of the slices of the values.
        """
        found, m = self.found, self.m
        threshold = float(found.threshold[m])
        needed = np.broadcast_to(threshold * self._needed(), found.evidence[m].shape)
        for place in places.tolist():
            x, came = evidence(self.rules, self.state, self.lattice, found, m, place)
            if x < needed[place] or self._is_told(place):
                continue
            name = self.lattice.names[place]
            event = self._told_of_its_roll_up(place, came)
            if event is None:
                event = Event(measure, at, name, (name,), 1, at, Sums.none(len(self.actual)))
            else:
                (self.ended if event.closed else self.open).remove(event)
                event.slices = (name,)
                event.closed = event.quiet = 0
                event.doubt = 0.0
            inside = self.lattice.within(place) & self._newborn(event)
            names = (self.lattice.names[one] for one in np.flatnonzero(inside).tolist())
            event.new = tuple(dict.fromkeys((name, *event.new, *names)))
            event.evidence = max(event.evidence, x)
            event.severity = max(event.severity, 100.0 * x / (x + threshold))
            event.change = event.base = came
            self.open.append(event)
            self.shown.add(event)

    def _told_of_its_roll_up(self, place: int, came: float) -> Event | None:
        """The event that has told a new value so far, by itself before a pause, or of a roll-up: of
        what has risen since the value came, most is its own.
        """
        age = self.state.clock - self.state.habits.first[self.m, place]
        for one in reversed((*self.ended, *self.open)):
            if one.closed > self._continued(one) or one.side < 0 or one.no_data:
                continue
            if is_by_itself(one):
                if one.slices == (self.lattice.names[place],):
                    return one
            elif (
                self.overlapping(one)[place] and one.age <= age and came >= MOSTLY_NEW * one.change
            ):
                return one
        return None

    def _is_told(self, place: int) -> bool:
        """Whether an event tells a new value already, or has."""
        if self.state.scan.dispersion_seen[self.m, place] > NEW_WINDOWS:
            return True
        if any(not is_by_itself(one) and self._new_of(one)[place] for one in self.ended):
            return True
        return any(one.side > 0 and self.akin(one)[place] for one in self.open)

    def _may_open(self) -> Mask:
        """(K,) slices on which an event may open beside the open ones."""
        found, m = self.found, self.m
        evidence = found.evidence[m]
        threshold = found.threshold[m] * self._needed()
        may = (found.weight[m] >= threshold) & (evidence >= threshold)
        may &= ~self.state.returning(self.rules, found, m)
        for event in self.open:
            overlap = self.overlapping(event)
            if event.quiet >= self.rules.quiet_to_yield:
                alike, fresh = self._alike_to(self.place(event)), self._fresh()
                # On its own side, long windows of a part show what was, not what goes on.
                again = fresh | (found.side[m] != event.side) | ~self._parts(event)
                again &= evidence >= LEFT_BEHIND * event.evidence
                may &= ~overlap | (~alike & fresh) | again
                continue
            stronger = evidence > event.evidence
            if self._repeats(event):
                may &= ~self.barred(event) | (found.stuck[m] & stronger)
                continue
            if _nothing_came(event):
                # What is gone does not repeat.
                stronger &= ~found.stuck[m]
            may &= ~self.barred(event) | np.where(
                found.side[m] != event.side,
                stronger | self._is_new(event),
                self._later(event, may & stronger),
            )
            if not self._is_settled(event):
                may &= stronger
        places = np.flatnonzero(may)
        if len(places):
            may[places] = self._still_there(places)
            may &= ~self._by_known_new()
        return np.asarray(may)

    def _is_settled(self, event: Event) -> bool:
        """Whether it is sure what an event is about, so that what else deviates is no part of it:
        after a while, and at once of what is gone.
        """
        return event.age >= self.rules.settled or _tells_silence(event)

    def _still_there(self, places: NDArray[np.int64]) -> Mask:
        """(N,) whether slices show it now. Long windows still contain an event that is over: each
        shorter one, down to the newest hour, must show it, too.
        """
        found, m = self.found, self.m
        change, base, window = (of[m, places] for of in (found.change, found.base, found.window))
        usual = np.abs(change) / np.maximum(base, 1e-100) * found.size[m, places]
        changes = found.side[m, places] * found.changes[:, m, places]
        bases = found.bases[:, m, places]
        lengths = self.rules.lengths[:, 0]
        hourly = bases[window, np.arange(len(places))] / lengths[window, 0]
        # Where next to nothing is expected, nothing is shown.
        expected = bases > LEAST_EXPECTED * hourly * lengths
        shows = (changes >= STILL_THERE * usual * bases) & expected
        windows = np.arange(len(shows))[:, None]
        asked = (windows <= window) & (windows >= np.minimum(window, self.rules.within_hour))
        there = (shows | ~asked).all(axis=0)
        return np.asarray(there | found.stuck[m, places] | found.no_data[m, places])

    def _by_known_new(self) -> Mask:
        """(K,) slices whose change is that of new values that an open event is about."""
        by = np.zeros(len(self.lattice.level), dtype=np.bool_)
        for event in self.open:
            if self._came_anew(event):
                by |= self.akin(event)
        return self._made_by(by) if by.any() else by

    def _made_by(self, by: Mask) -> Mask:
        """(K,) slices whose change is what new values (K,) brought."""
        found, lattice = self.found, self.lattice
        leaves = np.where(by, np.nan_to_num(self.actual), 0.0)[lattice.leaves]
        came = lattice.summed(leaves)
        most = (came > 0) & (came >= BY_NEW * found.now_change[self.m])
        # A single interval of five minutes says little: what came in the windows says more.
        m, window = self.m, found.window[self.m]
        of_leaves = (found.changes[:, m] + found.bases[:, m] * found.size[m])[:, lattice.leaves]
        of_leaves = np.where(by[lattice.leaves], of_leaves, 0.0)
        pick = (window, np.arange(len(window)))
        came, change = lattice.summed(of_leaves)[pick], found.change[m]
        most |= (came > 0) & (came >= BY_NEW * change)
        variance = (found.dispersions[:, m] * found.bases[:, m])[pick]
        by_chance = change - came <= CHANCE * np.sqrt(np.maximum(variance, 0.0))
        return np.asarray(most | ((came > 0) & (came >= MOSTLY_NEW * change) & by_chance))

    def akin(self, event: Event) -> Mask:
        """(K,) new slices within the same new values as those that the event is about."""
        newborn = self._newborn(event)
        akin = self._new_of(event)
        for place in np.flatnonzero(newborn & self.holding(akin)).tolist():
            akin = akin | (self.lattice.within(place) & newborn)
        return akin

    def _newborn(self, event: Event) -> Mask:
        """(K,) slices that are new, seen from an event; some are learned while it lasts."""
        seen = self.state.scan.dispersion_seen[self.m]
        return np.asarray((seen <= min(event.age, NEW_WINDOWS)) & np.isfinite(self.actual))

    def _needed(self) -> Array | float:
        """(K,) what evidence needs to open an event, in thresholds, by what people have said."""
        if all(one.is_anomaly for one in self.verdicts):
            return 1.0
        least = np.ones(len(self.lattice.level))
        most = np.full(len(self.lattice.level), np.inf)
        for one in self.verdicts:
            alike = self.found.side[self.m] == one.side
            alike &= self._alike_to_any(one.names)
            if one.is_anomaly:
                most[alike] = np.minimum(most[alike], one.needed)
            else:
                least[alike] = np.maximum(least[alike], one.needed)
        return np.asarray(np.minimum(least, most))

    def _is_anomaly(self, event: Event) -> bool:
        """Whether people have said so of an event that goes on."""
        return any(
            one.is_anomaly
            and one.side == event.side
            and one.span.holds(event.opened)
            and bool(self._alike_to_any(one.names)[self.place(event)])
            for one in self.verdicts
        )

    def _alike_to_any(self, names: Sequence[Slice]) -> Mask:
        """(K,) slices that have most of their leaves in common with any of some slices."""
        alike = np.zeros(len(self.lattice.level), dtype=np.bool_)
        for name in names:
            if name in self.lattice.index:
                alike |= self._alike_to(self.lattice.index[name])
        return alike

    def _left_behind(self, event: Event) -> Mask:
        """(K,) slices whose evidence may be only the aftermath of an event that has ended."""
        found, m, place = self.found, self.m, self.place(event)
        fading = 1.0 - event.closed / (self.rules.remembered + 1.0)
        less = found.evidence[m] < LEFT_BEHIND * fading * event.evidence
        since = event.quiet + event.closed
        # What has fallen silent anew is none.
        lengths = self.rules.lengths[:, 0, 0]
        less &= ~(found.silent[m] & (lengths[found.window[m]] <= since))
        if _nothing_came(event) and since > event.age - since:
            # What was held up does not come for longer than it did not.
            less &= found.side[m] <= 0
        if not less.any():
            return np.asarray(less)
        after = self._alike_to(place)
        if event.closed <= self.rules.settling:
            after |= self.lattice.overlapping(place) & ~self._fresh()
        return np.asarray(less & after)

    def _fresh(self) -> Mask:
        """(K,) slices that show something in the newest hour alone."""
        found, m = self.found, self.m
        return np.asarray(found.of_hour[m] - found.price[m] >= found.threshold[m])

    def _elsewhere(self, event: Event, place: int) -> bool:
        """Whether what the newest hour shows at `place` is another fault than that of an event.

        It is not where the event began, and of the leaves that the two slices have not in common
        the event has not shown what deviates now, and what it has shown deviates no more.
        """
        found, m, lattice = self.found, self.m, self.lattice
        own, hour = self.place(event), found.of_hour[m]
        if (
            lattice.names[place] == event.first
            or not self._fresh()[place]
            or hour[own] >= AS_STRONG * hour[place]
        ):
            return False
        new = lattice.held(place) & ~lattice.held(own)
        over = lattice.held(own) & ~lattice.held(place)
        came, now = self._shares(event, new)
        went, still = self._shares(event, over)
        return (not new.any() or came < AS_STRONG * now) and (
            not over.any() or still < AS_STRONG * went
        )

    def _shares(self, event: Event, part: Mask) -> tuple[float, float]:
        """Change of some leaves (L,) to an event's side, during it and now, in one unit."""
        some, sums = self.lattice.leaves[part], event.sums
        then, usual = sums.change[some].sum(), sums.base[some].sum()
        change, base = (
            of[self.m, some].sum() for of in (self.found.now_change, self.found.now_base)
        )
        return event.side * then * base, event.side * usual * change

    def _is_later(self, event: Event, place: int) -> bool:
        """Whether what `place` shows is a fault that began long after an event."""
        late = event.age >= self.rules.lasted and not event.new
        return late and place != self.place(event) and self._elsewhere(event, place)

    def _later(self, event: Event, slices: Mask) -> Mask:
        """(K,) those of some slices that show a fault which began long after an event."""
        found = np.zeros_like(slices)
        if event.age >= self.rules.lasted:
            for place in np.flatnonzero(slices & self._fresh()).tolist():
                found[place] = self._is_later(event, place)
        return found

    def _taken_up(self, place: int, before: list[Event], evidence: float) -> Event | None:
        """The event that the evidence at `place` continues; other events there are closed.

        Parameters
        ----------
        before : events that have ended there.
        """
        name, side = self.lattice.names[place], int(self.found.side[self.m, place])
        again = [one for one in before if self._goes_on(one, place, side, evidence)]
        overlap = self.lattice.overlapping(place)
        for event in [one for one in self.open if overlap[self.place(one)]]:
            apart = is_by_itself(event) or self._is_apart(event, side)
            if apart or not self.barred(event)[place]:
                continue
            if self._goes_on(event, place, side, evidence):
                again.append(event)
            self.open.remove(event)
            self._close(event)
        if not again:
            return None
        event = max(again, key=lambda one: (one.opened, one.first))
        self.ended.remove(event)
        event.closed = event.quiet = 0
        event.doubt = 0.0
        event.accepted = False
        # What another slice shows better is not asked of the present one, which would end it again.
        own = self.place(event)
        elsewhere = name == event.first and evidence > self.found.evidence[self.m, own]
        if event.side != side and not self._alike(place, own):
            event.side = side
        elif evidence > event.evidence or elsewhere:
            event.slices, event.side = (name,), side
        return event

    def _goes_on(self, one: Event, place: int, side: int, evidence: float) -> bool:
        """Whether evidence at `place` is of an event that has ended, or would end by it."""
        # More than usual is no part of what was gone, nor is less of what is new.
        apart = self._is_apart(one, side) or (side > 0 and _nothing_came(one))
        lacks = bool(self.found.no_data[self.m, place])
        again = one.closed <= self._continued(one) or self._is_same_day(one, place)
        if apart or one.no_data != lacks or not again:
            return False
        if self._alike(place, self.place(one)):
            return True
        if (one.closed or one.quiet) > self.rules.settling:
            return False
        if not one.accepted and one.turned:
            return self._is_part(one, place)
        if one.side != side:
            return not one.closed and self._turns(one, place)
        same = evidence <= one.evidence if one.closed else self._is_part(one, place)
        return same and not self._elsewhere(one, place)

    def _parts(self, event: Event) -> Mask:
        """(K,) slices within those of an event."""
        within = [self.lattice.within(self.lattice.index[name]) for name in event.slices]
        return np.asarray(np.any(within, axis=0))

    def _is_part(self, event: Event, place: int) -> bool:
        """Whether a slice has no other leaves than an event."""
        return not (self.lattice.held(place) & ~self._leaves(event)).any()

    def _leaves(self, event: Event) -> Mask:
        """(L,) leaves of the event's slices."""
        held = [self.lattice.held(self.lattice.index[name]) for name in event.slices]
        return np.asarray(np.any(held, axis=0))

    def _turns(self, event: Event, place: int) -> bool:
        """Whether a part of an open event has turned to the other side, and the rest is on its way
        there, as in a day that is unlike the days before: it deviates no more.
        """
        if not self._is_part(event, place):
            return False
        rest = self._leaves(event) & ~self.lattice.held(place)
        went, still = self._shares(event, rest)
        return not rest.any() or still < AS_STRONG * went

    def _is_same_day(self, event: Event, place: int) -> bool:
        """Whether a slice shows an event within 20 hours on the other side, too, as a day that is
        unlike the others does at some of its hours. What falls silent again is another fault.
        """
        silent = _tells_silence(event) or bool(self.found.silent[self.m, place])
        # All of a measure, or its only series, may have several faults in a day.
        all_of_it = not (self.lattice.codes[place] >= 0).any()
        same = not all_of_it and event.slices == (self.lattice.names[place],)
        both = event.turned or event.side != self.found.side[self.m, place]
        # At the same hour of the next day it may become a habit.
        since = event.quiet + event.closed
        return bool(same and both and not silent and since <= SAME_DAY * self.rules.half_day)

    def _continued(self, event: Event) -> int:
        """Intervals after its end in which an event may continue: no more than it lasted, but half
        of what it may pause for.
        """
        lasted = event.age - event.closed - event.quiet
        return min(self.rules.continued, max(self.rules.quiet_at_most // 2, lasted))

    def _join(self, place: int, *, only_part: bool) -> bool:
        """Whether the evidence at `place` is merged into an open event.

        The event moves to the smallest common slice if that explains both; if no such slice is
        monitored, or another event has a part of it, the new slice is added to its own. It is then
        the last of the open events.

        Parameters
        ----------
        only_part : whether it is merged only where what is gone keeps the common slice from
            showing both.
        """
        found, m = self.found, self.m
        for event in self.open:
            own = self.place(event)
            if (
                event.quiet >= self.rules.quiet_to_yield
                or is_by_itself(event)
                or event.side != found.side[m, place]
                or event.no_data != found.no_data[m, place]
                or self.overlapping(event)[place]
            ):
                continue
            if self._steady(event) and not self._as_old(event, place):
                continue
            wider = self.lattice.joint(place, own)
            if only_part and (wider is None or not self._is_cut(wider)):
                continue
            apart = wider is None or self._is_taken(wider, event, event.side)
            if wider is not None and not apart and self._explains_both(wider, place, own):
                event.slices = (self.lattice.names[wider],)
                event.change = float(found.change[m, wider])
                event.base = float(found.base[m, wider])
                self._measure(event, wider)
            # What an event of the other side takes away keeps the common slice from showing both.
            elif apart or (wider is not None and self._is_taken(wider, event, -event.side)):
                event.slices = (*event.slices, self.lattice.names[place])
                self._measure(event, place)
            else:
                continue
            self.open.remove(event)
            self.open.append(event)
            return True
        return False

    def _take_along(self, event: Event, slices: Mask) -> None:
        """Add slices that show the same now, where an event that has lasted holds leaves of what
        they have in common, so that it cannot be named.
        """
        own = self.place(event)
        slices = slices & (self.found.no_data[self.m] == event.no_data)
        while (slices := slices & ~self.overlapping(event)).any():
            evidence = np.where(slices, self.found.evidence[self.m], -np.inf)
            place = int(evidence.argmax())
            wider = self.lattice.joint(place, own)
            if wider is not None and self._is_taken(wider, event, event.side):
                event.slices = (*event.slices, self.lattice.names[place])
            slices = slices & ~self.lattice.overlapping(place)

    def _as_old(self, event: Event, place: int) -> bool:
        """Whether a slice has changed for half of the event's time at least; of a young event, none
        began long after it.
        """
        found, m = self.found, self.m
        if event.age < self.rules.settled:
            return True
        if event.no_data:
            return bool(self.state.scan.gone[m, place] >= STILL_THERE * event.age)
        held = bisect_right(self.rules.windows, event.age) - 1
        if held <= found.window[m, place] or found.stuck[m, place]:
            return True
        usual = abs(found.change[m, place]) / max(found.base[m, place], 1e-100)
        usual *= found.size[m, place]
        change, base = (of[held, m, place] for of in (found.changes, found.bases))
        return bool(event.side * change >= STILL_THERE * usual * base)

    def _is_cut(self, place: int) -> bool:
        """Whether a slice shares leaves with what is gone."""
        return any(_tells_silence(one) and bool(self.overlapping(one)[place]) for one in self.open)

    def _is_taken(self, place: int, event: Event, side: int) -> bool:
        """Whether a stronger event of a side shares leaves with a slice: of the event's own side,
        one that has lasted.
        """
        return any(
            bool(self.overlapping(one)[place])
            and (
                (
                    (one.age >= self.rules.lasted or side != event.side)
                    and one.evidence > event.evidence
                    and one.side == side
                )
                or self._cannot_repeat(one, event)
            )
            for one in self.open
        )

    def _cannot_repeat(self, one: Event, event: Event) -> bool:
        """Whether values that repeat are no part of an event, of which nothing comes."""
        stuck = bool(self.found.stuck[self.m, self.place(event)])
        return stuck and one is not event and _nothing_came(one)

    def _repeats(self, event: Event) -> bool:
        """Whether the value of an event's slice has repeated since it opened."""
        if len(event.slices) > 1 or _tells_silence(event):
            return False
        same = self.state.scan.same[self.m, self.place(event)]
        return bool(same >= max(FEWEST_SAME, event.age))

    def widen(self) -> None:
        """Say anew in the place of which slices the wider ones are told, where more is known."""
        for event in self.open:
            if event in self.grown:
                event.wider = self._wider(event)

    def _wider(self, event: Event) -> tuple[Slice, ...]:
        """The slice that is told in the place of the event's own, if any: one that holds them, but
        cannot show the event, as another event or the warm-up after one has it.

        What it also holds and what tells nothing now, being gone or new, is left out; the other
        leaves decide, as in `_locate`.
        """
        found, m, lattice, rules = self.found, self.m, self.lattice, self.rules
        places = [lattice.index[name] for name in event.slices]
        habits, leaves = self.state.habits, lattice.leaves
        may = habits.seen[m] < rules.open_after
        others = np.zeros(len(leaves), dtype=np.bool_)  # of which another event tells
        if rules.additive[m, 0]:
            values = np.nan_to_num(self.actual)
            mute = self.state.forecast.is_gone(habits, values)[m, leaves]
        else:
            mute = self.state.scan.gone[m, leaves] >= rules.quiet_at_most
        for other in self.open:
            barred = self.barred(other)
            later = event.age + (0 if _tells_silence(other) else rules.settled)
            if other is not event and not (_tells_silence(other) or self._is_new(other)):
                others |= barred[leaves]
            if other.age < later or barred[places].any():
                continue
            if self._is_new(other):
                # Before long, new values have an expectation of their own.
                young = self.akin(other) & (habits.seen[m] < rules.quiet_at_most)
                mute = mute | young[leaves]
            elif _tells_silence(other):
                mute = mute | barred[leaves]
            else:
                continue
            may = may | barred
        mute = mute & habits.born[m, leaves]
        wider = habits.born[m].copy()
        wider[places] = False
        # What is mostly another event's is not this one's.
        base = found.now_base[m]
        wider &= lattice.summed(base[leaves] * others) <= base[places].sum()
        for place in places:
            mute &= ~lattice.held(place)
            wider &= lattice.holding(place)
        may = may & wider & (lattice.summed(mute.astype(np.float64)) > 0)
        if not may.any():
            return ()
        best = max(places, key=lambda place: float(found.evidence[m, place]))
        likely = self._likely_of(best, ~mute) - self._price()
        own = float(likely[places].sum()) * (JOINED if len(places) > 1 else 1.0)
        chosen = int(np.where(wider, likely, -np.inf).argmax())
        return (lattice.names[chosen],) if may[chosen] and likely[chosen] > own else ()

    def _likely_of(self, best: int, tells: Mask) -> Array:
        """(K,) nats of each slice for the kind of evidence that the slice `best` has, by those of
        its leaves that tell (L,), whether the slice can show it or not.
        """
        found, m, lattice = self.found, self.m, self.lattice
        tells = tells & self.state.habits.born[m, lattice.leaves]
        if found.stuck[m, best]:
            nats = found.repeats[m, lattice.leaves]
            gain = np.where(nats > 0, nats, -NOT_STUCK)
        elif found.no_data[m, best]:
            come = found.now_base[m, lattice.leaves] > 0
            gain = np.where(come, -NOT_STUCK, found.missing[m, lattice.leaves])
        else:
            return found.likely(m, int(found.window[m, best]), lattice, tells=tells)
        return lattice.summed(np.where(tells, gain, 0.0))

    def _price(self) -> Array:
        """(K,) the logarithm of the number of slices in the level of each."""
        lattice = self.lattice
        born = self.state.habits.born[self.m].astype(np.float64)
        slices = np.bincount(lattice.level, born, lattice.count)[lattice.level]
        return np.asarray(np.log(np.maximum(slices, 1.0)))

    def _explains_both(self, wider: int, one: int, other: int) -> bool:
        likely = self._likely(one)
        return bool(likely[wider] >= JOINED * (likely[one] + likely[other]))

    def _likely(self, best: int, age: int = 0) -> Array:
        """(K,) nats of each slice for the kind of evidence that the slice `best` has.

        Parameters
        ----------
        age : of the event in question: what came long after it began is no part of it.
        """
        found, m, lattice = self.found, self.m, self.lattice
        if found.stuck[m, best]:
            return np.asarray(found.repeats[m])
        if found.no_data[m, best]:
            gone = self.state.scan.gone[m]
            late = (gone > 0) & (gone < STILL_THERE * age)
            own = np.where(late, 0.0, found.missing[m])
            come = (found.now_base[m] > 0)[lattice.leaves] | late[lattice.leaves]
            gain = np.where(come, -NOT_STUCK, own[lattice.leaves])
            return np.asarray(np.where(own > 0, own + lattice.summed(gain), 0.0))
        window = int(found.window[m, best])
        if not age:
            return found.likely(m, window, lattice)
        # Clipped leaves would all look alike, whether they are gone for days or for an hour.
        held = min(bisect_left(self.rules.windows, age), len(self.rules.windows) - 1)
        return found.likely(m, max(held, window), lattice, math.inf)

    def _locate(self, may: Mask, best: int, age: int = 0) -> int:
        """Index of the slice whose leaves together explain the change best; the penalty of each
        level is the logarithm of its number of slices. For `age` see `_likely`.
        """
        found, m = self.found, self.m
        least = min(AS_STRONG * found.evidence[m, best], CERTAIN * found.threshold[m])
        may = may & (found.evidence[m] >= least)
        may[best] = True
        likely = self._likely(best, age)
        if not (found.stuck[m, best] or found.no_data[m, best]):
            likely = likely - self._price()
        likely = np.where(may, likely, -np.inf)
        # Leaves whose change is clipped explain equally much, and rounding must not decide.
        most = likely.max()
        near = likely >= most - 1e-6 * abs(most)
        return int(np.where(near, found.evidence[m], -np.inf).argmax())

    def _still_likelier(self, own: int, other: int, best: int) -> bool:
        """Whether a slice whose sum shows nothing, as in the weeks after a new level, explains a
        change by its leaves better than another one.
        """
        found, m = self.found, self.m
        if found.weight[m, own] >= found.threshold[m]:
            return False
        likely = self._likely(best) - self._price()
        return bool(likely[own] > likely[other])

    def _alike(self, one: int, other: int) -> bool:
        """Whether two slices have most of their leaves in common: a Jaccard index of half."""
        born = self.state.habits.born[self.m, self.lattice.leaves]
        held, also = self.lattice.held(one) & born, self.lattice.held(other) & born
        return bool(2 * (held & also).sum() >= (held | also).sum())

    def _alike_to(self, place: int) -> Mask:
        """(K,) slices that have most of their leaves in common with the one at `place`."""
        born = self.state.habits.born[self.m, self.lattice.leaves].astype(np.float64)
        own = born * self.lattice.held(place)
        held, both = self.lattice.summed(born), self.lattice.summed(own)
        return np.asarray((both > 0) & (3 * both >= held + own.sum()))

    def _name_again(self, event: Event) -> None:
        """Attribute the event again if its evidence has grown; several slices stay its own."""
        found, m = self.found, self.m
        if len(event.slices) > 1:
            for own in (self.lattice.index[name] for name in event.slices):
                if found.side[m, own] == event.side:
                    self._measure(event, own)
            return
        place = self.place(event)
        # What repeats is more than usual by night, and less by day.
        either = found.stuck[m] if self._repeats(event) else False
        may = self.overlapping(event) & ((found.side[m] == event.side) | either)
        may &= found.weight[m] >= found.threshold[m]
        if self._came_anew(event):
            # What the new values are not in is another event.
            may &= self._made_by(self.akin(event))
        may &= self._of_its_kind(event, place)
        for other in self.known:
            if other.closed:
                # Not into what one that has ended has left in the windows.
                may &= ~self._left_behind(other)
            elif other.quiet < self.rules.quiet_to_yield and (
                (other.side == event.side and other.evidence > event.evidence)
                or self._cannot_repeat(other, event)
            ):
                # Nor into the slices of a stronger one, which would end this one, to open it anew.
                may &= ~self.barred(other)
        best = int(np.where(may, found.evidence[m], -np.inf).argmax())
        if not may[best] or found.evidence[m, best] <= event.evidence:
            return
        # Of what varies, the sum over its time says little.
        settled = event.age >= self.rules.lasted and self._steady(event)
        chosen = self._locate(may, best, event.age if settled else 0)
        if not event.new and (event.turned or self._still_likelier(place, chosen, best)):
            # Of what has turned, one part does after the other.
            chosen = place
        if self._is_later(event, chosen):
            return
        if chosen != place:
            event.slices, event.side = (self.lattice.names[chosen],), int(found.side[m, chosen])
            event.change = float(found.change[m, chosen])
            event.base = float(found.base[m, chosen])
        self._measure(event, chosen)
        event.evidence = max(event.evidence, float(found.evidence[m, best]))

    def _of_its_kind(self, event: Event, place: int) -> Mask:
        """(K,) slices that may show the event as `place` does: what is of another kind is another
        event.
        """
        found, m, kind = self.found, self.m, np.ones(len(self.actual), dtype=np.bool_)
        if event.age >= self.rules.lasted:
            kind &= found.no_data[m] == event.no_data
            kind &= found.stuck[m] <= found.stuck[m, place]
        if self._repeats(event):
            # By day less than usual, by night more: parts would be told in turns.
            kind &= self.lattice.holding(place)
            kind &= found.stuck[m] | (self.state.scan.same[m] >= event.age)
        return kind

    def _weigh_parts(self, event: Event) -> None:
        """Take in the evidence of the parts of what repeats: it is left in their windows."""
        if self._repeats(event):
            parts = self.found.evidence[self.m, self.lattice.within(self.place(event))]
            event.evidence = max(event.evidence, float(parts.max()))

    def _measure(self, event: Event, place: int) -> None:
        found, m = self.found, self.m
        if found.evidence[m, place] >= event.evidence:
            self.grown.add(event)
        event.evidence = max(event.evidence, float(found.evidence[m, place]))
        x = float(found.weight[m, place])
        event.severity = max(event.severity, 100.0 * x / (x + float(found.threshold[m])))

    def _is_shown(self, event: Event) -> bool | None:
        """Whether this interval continues the event; updates the evidence against it. None if
        nothing was expected, so that it says nothing.

        The log-likelihood ratio of the normal state to the event's usual change adds up, never
        below nought; an interval that leads it back there shows the event.
        """
        found, m, place = self.found, self.m, self.place(event)
        base, change = float(found.now_base[m, place]), float(found.now_change[m, place])
        if event.no_data:
            event.doubt = event.doubt + BACK_TO_NORMAL if base > 0 else 0.0
            return False if base > 0 else bool(found.silent[m, place]) or None
        # What comes by the clock shows nothing between.
        usual = float((found.bases[-1] * found.size)[m, place]) / self.rules.windows[-1]
        if base <= LEAST_EXPECTED * usual:
            return None
        if self._came_anew(event):
            # At night they are few, and are there all the same.
            event.doubt = 0.0
            return True
        if self._is_new(event) and self._is_gone(event):
            # New values that fail with others are not over.
            return None
        if _nothing_came(event) and not self.actual[place] > 0:
            # However much the forecast is in doubt, which makes the change smaller.
            change = -base
        asked = base * event.change / event.base if event.base > 0 else 0.0
        variance = float(found.dispersions[0, m, place] * found.bases[0, m, place])
        against = asked * (0.5 * asked - change) / max(variance, 1e-200)
        comes = _nothing_came(event) and change > -SOMETHING_COMES * base
        if comes:
            # Of what was gone altogether, little is enough.
            against = BACK_TO_NORMAL
        event.doubt = max(0.0, event.doubt + max(-BACK_TO_NORMAL, min(BACK_TO_NORMAL, against)))
        # What another slice shows much better is another event's.
        alone = found.alone[m]
        repeats = found.repeats[m, place] >= BACK_TO_NORMAL or self._repeats(event)
        if repeats or (
            # Where what was gone comes again, more than usual is another event.
            not (comes and change > 0)
            and alone[place] >= SHOWS_ALONE
            and alone[place] >= AS_STRONG * float(alone[self.overlapping(event)].max())
        ):
            event.doubt = 0.0
        if event.doubt > 0.0:
            return False
        if event.side * change > 0:
            event.change += change
            event.base += base
        return True

    def _is_gone(self, event: Event) -> bool:
        """Whether an open event of the other side is about all that is new in an event."""
        new = self._new_of(event)
        return any(
            not one.closed and one.side != event.side and bool(self.overlapping(one)[new].all())
            for one in self.known
        )

    def _close(self, event: Event) -> None:
        event.closed = 1
        self.ended.append(event)


def _tells_silence(event: Event) -> bool:
    """Whether an event is about what is gone."""
    return event.no_data or _nothing_came(event)


def _nothing_came(event: Event) -> bool:
    """Whether next to nothing came of what an event is about."""
    return event.base > 0 and event.change <= -NOTHING_CAME * event.base
