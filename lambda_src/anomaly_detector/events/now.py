"""What is known of one measure in one interval while its events are followed.

Questions that opening, naming and continuing an event all ask: where it is, what shares leaves with
it, what is new, whether it repeats, is steady, or shows elsewhere.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.detection.arrays import Array
from anomaly_detector.detection.rules import Rules
from anomaly_detector.detection.scan import FEWEST_SAME, Evidence
from anomaly_detector.detection.slots import Slots
from anomaly_detector.detection.state import State
from anomaly_detector.detection.verdicts import Verdict
from anomaly_detector.events.event import Event, Slice
from anomaly_detector.events.new_value import NEW_WINDOWS, is_by_itself
from anomaly_detector.events.usual import Usual
from anomaly_detector.lattice import Lattice

Mask = NDArray[np.bool_]

BACK_TO_NORMAL = 5.0  # nats in favour of the normal state that close an event
LEFT_BEHIND = 0.5  # share of an event's evidence below which evidence is its aftermath; decays
STILL_THERE = 0.5  # share of a window's usual change that the newest hour must have
SHOWS_ALONE = 2.0  # evidence of a single interval, in either direction, that continues an event
AS_STRONG = 0.5  # share of the best evidence that a slice needs to be attributed instead
LEAST_EXPECTED = 0.01  # share of a window's usual sum that each shorter one must expect, to tell
NOTHING_CAME = 0.9  # share of what was expected that is missing where next to nothing came


@dataclass
class Now:
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
        return overlap & self.holding(self.new_of(event)) if self.is_new(event) else overlap

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

    def came_anew(self, event: Event) -> bool:
        """Whether new values made up the event's change, and have come in this interval, too."""
        if not event.new:
            return False
        leaves = self.lattice.leaves
        new = self.new_of(event)[leaves] & (self.actual[leaves] > 0)
        return bool(new.any())

    def new_of(self, event: Event) -> Mask:
        """(K,) slices that have made up the change of an event as new ones, scored or not."""
        found = np.zeros(len(self.lattice.level), dtype=np.bool_)
        index = self.lattice.index
        found[[index[name] for name in event.new if name in index]] = True
        return found

    def steady(self, event: Event) -> bool:
        """Whether what the event shows is a level: windows within it agree down to the newest hour.
        What varies has none.
        """
        found, m, place = self.found, self.m, self.place(event)
        if event.no_data or found.stuck[m, place] or self.came_anew(event):
            return True
        held = slice(self.rules.within_hour, max(1, bisect_right(self.rules.windows, event.age)))
        changes, bases = event.side * found.changes[held, m, place], found.bases[held, m, place]
        if not len(changes):
            return True
        usual = changes[-1] / max(bases[-1], 1e-100)
        return bool(usual > 0 and (changes >= STILL_THERE * usual * bases).all())

    def is_apart(self, event: Event, side: int) -> bool:
        """Whether what deviates to a side is surely not what an event of new values is about."""
        return event.side != side and self.is_new(event)

    def is_new(self, event: Event) -> bool:
        """Whether an event is about new values, or was and is still where they are."""
        return bool(event.new) and bool(self.overlapping(event)[self.new_of(event)].any())

    def is_settled(self, event: Event) -> bool:
        """Whether it is sure what an event is about, so that what else deviates is no part of it:
        after a while, and at once of what is gone.
        """
        return event.age >= self.rules.settled or tells_silence(event)

    def akin(self, event: Event) -> Mask:
        """(K,) new slices within the same new values as those that the event is about."""
        newborn = self.newborn(event)
        akin = self.new_of(event)
        for place in np.flatnonzero(newborn & self.holding(akin)).tolist():
            akin = akin | (self.lattice.within(place) & newborn)
        return akin

    def newborn(self, event: Event) -> Mask:
        """(K,) slices that are new, seen from an event; some are learned while it lasts."""
        seen = self.state.scan.dispersion_seen[self.m]
        return np.asarray((seen <= min(event.age, NEW_WINDOWS)) & np.isfinite(self.actual))

    def needed(self) -> Array | float:
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

    def is_anomaly(self, event: Event) -> bool:
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
                alike |= self.alike_to(self.lattice.index[name])
        return alike

    def left_behind(self, event: Event) -> Mask:
        """(K,) slices whose evidence may be only the aftermath of an event that has ended."""
        found, m, place = self.found, self.m, self.place(event)
        fading = 1.0 - event.closed / (self.rules.remembered + 1.0)
        less = found.evidence[m] < LEFT_BEHIND * fading * event.evidence
        since = event.quiet + event.closed
        # What has fallen silent anew is none.
        lengths = self.rules.lengths[:, 0, 0]
        less &= ~(found.silent[m] & (lengths[found.window[m]] <= since))
        if nothing_came(event) and since > event.age - since:
            # What was held up does not come for longer than it did not.
            less &= found.side[m] <= 0
        if not less.any() or not self._may_be_after(event):
            return np.zeros_like(less)
        after = self.alike_to(place)
        if event.closed <= self.rules.settling:
            after |= self.lattice.overlapping(place) & ~self.fresh()
        return np.asarray(less & after)

    def _may_be_after(self, event: Event) -> bool:
        """Whether this is a time for the aftermath of an event that has ended: as long after it as
        it lasted, half a day at least, and at its hours of the next day, of which the forecast may
        have learned it.
        """
        hour, since = self.rules.an_hour, event.quiet + event.closed
        lasted = event.age - since
        day = round(2 * self.rules.half_day)
        again = (event.age + hour) % day < lasted + 2 * hour
        return since <= max(lasted, self.rules.half_day) or again

    def fresh(self) -> Mask:
        """(K,) slices that show something in the newest hour alone."""
        found, m = self.found, self.m
        return np.asarray(found.of_hour[m] - found.price[m] >= found.threshold[m])

    def elsewhere(self, event: Event, place: int) -> bool:
        """Whether what the newest hour shows at `place` is another fault than that of an event.

        It is not where the event began, and of the leaves that the two slices have not in common
        the event has not shown what deviates now, and what it has shown deviates no more.
        """
        found, m, lattice = self.found, self.m, self.lattice
        own, hour = self.place(event), found.of_hour[m]
        if (
            lattice.names[place] == event.first
            or not self.fresh()[place]
            or hour[own] >= AS_STRONG * hour[place]
        ):
            return False
        new = lattice.held(place) & ~lattice.held(own)
        over = lattice.held(own) & ~lattice.held(place)
        came, now = self.shares(event, new)
        went, still = self.shares(event, over)
        return (not new.any() or came < AS_STRONG * now) and (
            not over.any() or still < AS_STRONG * went
        )

    def shares(self, event: Event, part: Mask) -> tuple[float, float]:
        """Change of some leaves (L,) to an event's side, during it and now, in one unit."""
        some, sums = self.lattice.leaves[part], event.sums
        then, usual = sums.change[some].sum(), sums.base[some].sum()
        change, base = (
            of[self.m, some].sum() for of in (self.found.now_change, self.found.now_base)
        )
        return event.side * then * base, event.side * usual * change

    def is_later(self, event: Event, place: int) -> bool:
        """Whether what `place` shows is a fault that began long after an event."""
        late = event.age >= self.rules.lasted and not event.new
        return late and place != self.place(event) and self.elsewhere(event, place)

    def later(self, event: Event, slices: Mask) -> Mask:
        """(K,) those of some slices that show a fault which began long after an event."""
        found = np.zeros_like(slices)
        if event.age >= self.rules.lasted:
            for place in np.flatnonzero(slices & self.fresh()).tolist():
                found[place] = self.is_later(event, place)
        return found

    def parts(self, event: Event) -> Mask:
        """(K,) slices within those of an event."""
        within = [self.lattice.within(self.lattice.index[name]) for name in event.slices]
        return np.asarray(np.any(within, axis=0))

    def is_part(self, event: Event, place: int) -> bool:
        """Whether a slice has no other leaves than an event."""
        return not (self.lattice.held(place) & ~self.leaves(event)).any()

    def leaves(self, event: Event) -> Mask:
        """(L,) leaves of the event's slices."""
        held = [self.lattice.held(self.lattice.index[name]) for name in event.slices]
        return np.asarray(np.any(held, axis=0))

    def continued(self, event: Event) -> int:
        """Intervals after its end in which an event may continue: no more than it lasted, but half
        of what it may pause for.
        """
        lasted = event.age - event.closed - event.quiet
        return min(self.rules.continued, max(self.rules.quiet_at_most // 2, lasted))

    def cannot_repeat(self, one: Event, event: Event) -> bool:
        """Whether values that repeat are no part of an event, of which nothing comes."""
        stuck = bool(self.found.stuck[self.m, self.place(event)])
        return stuck and one is not event and nothing_came(one)

    def repeats(self, event: Event) -> bool:
        """Whether the value of an event's slice has repeated since it opened."""
        if len(event.slices) > 1 or tells_silence(event):
            return False
        same = self.state.scan.same[self.m, self.place(event)]
        return bool(same >= max(FEWEST_SAME, event.age))

    def alike(self, one: int, other: int) -> bool:
        """Whether two slices have most of their leaves in common: a Jaccard index of half."""
        born = self.state.habits.born[self.m, self.lattice.leaves]
        held, also = self.lattice.held(one) & born, self.lattice.held(other) & born
        return bool(2 * (held & also).sum() >= (held | also).sum())

    def alike_to(self, place: int) -> Mask:
        """(K,) slices that have most of their leaves in common with the one at `place`."""
        born = self.state.habits.born[self.m, self.lattice.leaves].astype(np.float64)
        own = born * self.lattice.held(place)
        held, both = self.lattice.summed(born), self.lattice.summed(own)
        return np.asarray((both > 0) & (3 * both >= held + own.sum()))

    def take_change(self, event: Event, place: int) -> None:
        """Let an event go on by what a slice shows in its best window. What repeats goes on by its
        repeats alone: how far the value is from what was expected by chance says nothing of it.
        """
        repeats = self.found.stuck[self.m, place] or event.both
        event.change = 0.0 if repeats else float(self.found.change[self.m, place])
        event.base = 0.0 if repeats else float(self.found.base[self.m, place])

    def measure(self, event: Event, place: int) -> None:
        found, m = self.found, self.m
        if found.evidence[m, place] >= event.evidence:
            self.grown.add(event)
        event.evidence = max(event.evidence, float(found.evidence[m, place]))
        x = float(found.weight[m, place])
        event.severity = max(event.severity, 100.0 * x / (x + float(found.threshold[m])))

    def close(self, event: Event) -> None:
        event.closed = 1
        self.ended.append(event)


def tells_silence(event: Event) -> bool:
    """Whether an event is about what is gone."""
    return event.no_data or nothing_came(event)


def nothing_came(event: Event) -> bool:
    """Whether next to nothing came of what an event is about."""
    return event.base > 0 and event.change <= -NOTHING_CAME * event.base
