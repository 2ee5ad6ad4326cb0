"""The slices that an event is told of.

An event is attributed to the slice whose leaves together explain the change best
(`Evidence.likely`), and attributed again as the evidence grows. It is told in the name of a wider
slice if what that also holds is gone or new, and tells nothing.
"""

from __future__ import annotations

import math
from bisect import bisect_left

import numpy as np

from anomaly_detector.detection.arrays import Array
from anomaly_detector.detection.scan import NOT_STUCK
from anomaly_detector.events.event import Event, Slice
from anomaly_detector.events.new_in_event import made_by
from anomaly_detector.events.now import AS_STRONG, STILL_THERE, Mask, Now, tells_silence

CERTAIN = 5.0  # thresholds from which more evidence makes a slice no likelier
JOINED = 0.8  # share of what two slices explain that a common slice must explain


def widen(now: Now) -> None:
    """Say anew in the place of which slices the wider ones are told, where more is known."""
    for event in now.open:
        if event in now.grown:
            event.wider = _wider(now, event)


def _wider(now: Now, event: Event) -> tuple[Slice, ...]:
    """The slice that is told in the place of the event's own, if any: one that holds them, but
    cannot show the event, as another event or the warm-up after one has it.

    What it also holds and what tells nothing now, being gone or new, is left out; the other
    leaves decide, as in `_locate`.
    """
    found, m, lattice, rules = now.found, now.m, now.lattice, now.rules
    places = [lattice.index[name] for name in event.slices]
    habits, leaves = now.state.habits, lattice.leaves
    may = habits.seen[m] < rules.open_after
    others = np.zeros(len(leaves), dtype=np.bool_)  # of which another event tells
    if rules.additive[m, 0]:
        values = np.nan_to_num(now.actual)
        mute = now.state.forecast.is_gone(habits, values)[m, leaves]
    else:
        mute = now.state.scan.gone[m, leaves] >= rules.quiet_at_most
    for other in now.open:
        barred = now.barred(other)
        later = event.age + (0 if tells_silence(other) else rules.settled)
        if other is not event and not (tells_silence(other) or now.is_new(other)):
            others |= barred[leaves]
        if other.age < later or barred[places].any():
            continue
        if now.is_new(other):
            # Before long, new values have an expectation of their own.
            young = now.akin(other) & (habits.seen[m] < rules.quiet_at_most)
            mute = mute | young[leaves]
        elif tells_silence(other):
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
    likely = _likely_of(now, best, ~mute) - _price(now)
    own = float(likely[places].sum()) * (JOINED if len(places) > 1 else 1.0)
    chosen = int(np.where(wider, likely, -np.inf).argmax())
    return (lattice.names[chosen],) if may[chosen] and likely[chosen] > own else ()


def _likely_of(now: Now, best: int, tells: Mask) -> Array:
    """(K,) nats of each slice for the kind of evidence that the slice `best` has, by those of
    its leaves that tell (L,), whether the slice can show it or not.
    """
    found, m, lattice = now.found, now.m, now.lattice
    tells = tells & now.state.habits.born[m, lattice.leaves]
    if found.stuck[m, best]:
        nats = found.repeats[m, lattice.leaves]
        gain = np.where(nats > 0, nats, -NOT_STUCK)
    elif found.no_data[m, best]:
        come = found.now_base[m, lattice.leaves] > 0
        gain = np.where(come, -NOT_STUCK, found.missing[m, lattice.leaves])
    else:
        return found.likely(m, int(found.window[m, best]), lattice, tells=tells)
    return lattice.summed(np.where(tells, gain, 0.0))


def _price(now: Now) -> Array:
    """(K,) the logarithm of the number of slices in the level of each."""
    lattice = now.lattice
    born = now.state.habits.born[now.m].astype(np.float64)
    slices = np.bincount(lattice.level, born, lattice.count)[lattice.level]
    return np.asarray(np.log(np.maximum(slices, 1.0)))


def explains_both(now: Now, wider: int, one: int, other: int) -> bool:
    likely = _likely(now, one)
    return bool(likely[wider] >= JOINED * (likely[one] + likely[other]))


def _likely(now: Now, best: int, age: int = 0) -> Array:
    """(K,) nats of each slice for the kind of evidence that the slice `best` has.

    Parameters
    ----------
    age : of the event in question: what came long after it began is no part of it.
    """
    found, m, lattice = now.found, now.m, now.lattice
    if found.stuck[m, best]:
        return np.asarray(found.repeats[m])
    if found.no_data[m, best]:
        gone = now.state.scan.gone[m]
        late = (gone > 0) & (gone < STILL_THERE * age)
        own = np.where(late, 0.0, found.missing[m])
        come = (found.now_base[m] > 0)[lattice.leaves] | late[lattice.leaves]
        gain = np.where(come, -NOT_STUCK, own[lattice.leaves])
        return np.asarray(np.where(own > 0, own + lattice.summed(gain), 0.0))
    window = int(found.window[m, best])
    if not age:
        return found.likely(m, window, lattice)
    # Clipped leaves would all look alike, whether they are gone for days or for an hour.
    held = min(bisect_left(now.rules.windows, age), len(now.rules.windows) - 1)
    return found.likely(m, max(held, window), lattice, math.inf)


def locate(now: Now, may: Mask, best: int, age: int = 0) -> int:
    """Index of the slice whose leaves together explain the change best; the penalty of each
    level is the logarithm of its number of slices. For `age` see `_likely`.
    """
    found, m = now.found, now.m
    least = min(AS_STRONG * found.evidence[m, best], CERTAIN * found.threshold[m])
    may = may & (found.evidence[m] >= least)
    may[best] = True
    likely = _likely(now, best, age)
    if not (found.stuck[m, best] or found.no_data[m, best]):
        likely = likely - _price(now)
    likely = np.where(may, likely, -np.inf)
    # Leaves whose change is clipped explain equally much, and rounding must not decide.
    most = likely.max()
    near = likely >= most - 1e-6 * abs(most)
    return int(np.where(near, found.evidence[m], -np.inf).argmax())


def _still_likelier(now: Now, own: int, other: int, best: int) -> bool:
    """Whether a slice whose sum shows nothing, as in the weeks after a new level, explains a
    change by its leaves better than another one.
    """
    found, m = now.found, now.m
    if found.weight[m, own] >= found.threshold[m]:
        return False
    likely = _likely(now, best) - _price(now)
    return bool(likely[own] > likely[other])


def name_again(now: Now, event: Event) -> None:
    """Attribute the event again if its evidence has grown; several slices stay its own."""
    found, m = now.found, now.m
    if len(event.slices) > 1:
        for own in (now.lattice.index[name] for name in event.slices):
            if found.side[m, own] == event.side:
                now.measure(event, own)
        return
    place = now.place(event)
    # What repeats is more than usual by night, and less by day.
    either = found.stuck[m] if now.repeats(event) else False
    may = now.overlapping(event) & ((found.side[m] == event.side) | either)
    may &= found.weight[m] >= found.threshold[m]
    if now.came_anew(event):
        # What the new values are not in is another event.
        may &= made_by(now, now.akin(event))
    may &= _of_its_kind(now, event, place)
    for other in now.known:
        if other.closed:
            # Not into what one that has ended has left in the windows.
            may &= ~now.left_behind(other)
        elif other.quiet < now.rules.quiet_to_yield and (
            (other.side == event.side and other.evidence > event.evidence)
            or now.cannot_repeat(other, event)
        ):
            # Nor into the slices of a stronger one, which would end this one, to open it anew.
            may &= ~now.barred(other)
    best = int(np.where(may, found.evidence[m], -np.inf).argmax())
    if not may[best] or found.evidence[m, best] <= event.evidence:
        return
    # Of what varies, the sum over its time says little.
    settled = event.age >= now.rules.lasted and now.steady(event)
    chosen = locate(now, may, best, event.age if settled else 0)
    if not event.new and (event.turned or _still_likelier(now, place, chosen, best)):
        # Of what has turned, one part does after the other.
        chosen = place
    if now.is_later(event, chosen):
        return
    if chosen != place:
        event.slices, event.side = (now.lattice.names[chosen],), int(found.side[m, chosen])
        now.take_change(event, chosen)
    now.measure(event, chosen)
    event.evidence = max(event.evidence, float(found.evidence[m, best]))


def _of_its_kind(now: Now, event: Event, place: int) -> Mask:
    """(K,) slices that may show the event as `place` does: what is of another kind is another
    event.
    """
    found, m, kind = now.found, now.m, np.ones(len(now.actual), dtype=np.bool_)
    if event.age >= now.rules.lasted:
        kind &= found.no_data[m] == event.no_data
        kind &= found.stuck[m] <= found.stuck[m, place]
    if now.repeats(event):
        # By day less than usual, by night more: parts would be told in turns.
        kind &= now.lattice.holding(place)
        kind &= found.stuck[m] | (now.state.scan.same[m] >= event.age)
    return kind


def weigh_parts(now: Now, event: Event) -> None:
    """Take in the evidence of the parts of what repeats: it is left in their windows."""
    if now.repeats(event):
        parts = now.found.evidence[now.m, now.lattice.within(now.place(event))]
        event.evidence = max(event.evidence, float(parts.max()))
