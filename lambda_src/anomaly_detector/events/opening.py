"""Opens events where there is enough evidence, continues recent ones, and merges what is one.

An event opens on the slice with the largest evidence above the threshold. While it is open, another
one opens only on slices that share no leaf with it (of new values, that do not hold them), and only
after a few intervals in which the first one settles on its slice, unless it is about what is gone,
of which nothing else is a part. Two events that a common slice explains as well are merged.
Evidence in the same slices shortly after the end continues an event; evidence below half of the
event's is its aftermath (a rebound, or windows that still contain it) and opens nothing.
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.events.both_sides import join_both_sides
from anomaly_detector.events.event import Event, Sums
from anomaly_detector.events.naming import explains_both, locate
from anomaly_detector.events.new_in_event import by_known_new
from anomaly_detector.events.new_value import is_by_itself
from anomaly_detector.events.now import (
    AS_STRONG,
    LEAST_EXPECTED,
    LEFT_BEHIND,
    STILL_THERE,
    Mask,
    Now,
    nothing_came,
    tells_silence,
)

SAME_DAY = 5 / 3  # half days within which a slice that shows an event again continues it


def open_new(now: Now, measure: str, at: int) -> None:
    """Open events where there is enough evidence, or continue recent ones."""
    found, m = now.found, now.m
    evidence = found.evidence[m]
    may = _may_open(now)
    parts = np.zeros_like(may)  # that may join an event which opens now, but open none
    while may.any():
        best = int(np.where(may, evidence, -np.inf).argmax())
        overlap = now.lattice.overlapping(best)
        before = [one for one in now.ended if overlap[now.place(one)] and not is_by_itself(one)]
        if any(now.left_behind(one)[best] for one in before):
            now.state.scan.empty(now.m, overlap)
            may &= ~overlap
            continue
        place = locate(now, may & overlap & (found.side[m] == found.side[m, best]), best)
        may &= ~overlap
        only_part = bool(parts[best])
        joined = not only_part and join_both_sides(now, place)
        if joined or _join(now, place, only_part=only_part):
            may &= ~now.overlapping(now.open[-1])
            continue
        if only_part:
            continue
        event = _taken_up(now, place, before, float(evidence[best]))
        if event is None:
            name = now.lattice.names[place]
            side = int(found.side[m, place])
            none = Sums.none(len(now.lattice.level))
            lacks = bool(found.no_data[m, best])
            event = Event(measure, at, name, (name,), side, at, none, no_data=lacks)
        now.measure(event, now.place(event))
        now.take_change(event, now.place(event))
        _take_along(now, event, may & ~parts & (found.side[m] == event.side))
        now.open.append(event)
        now.shown.add(event)
        may &= ~now.overlapping(event)
        for other in now.open:
            if not now.is_settled(other):
                parts |= evidence <= other.evidence


def _may_open(now: Now) -> Mask:
    """(K,) slices on which an event may open beside the open ones."""
    found, m = now.found, now.m
    evidence = found.evidence[m]
    threshold = found.threshold[m] * now.needed()
    may = (found.weight[m] >= threshold) & (evidence >= threshold)
    may &= ~now.state.returning(now.rules, found, m)
    for event in now.open:
        overlap = now.overlapping(event)
        if event.quiet >= now.rules.quiet_to_yield:
            alike, fresh = now.alike_to(now.place(event)), now.fresh()
            # On its own side, long windows of a part show what was, not what goes on.
            again = fresh | (found.side[m] != event.side) | ~now.parts(event)
            again &= evidence >= LEFT_BEHIND * event.evidence
            may &= ~overlap | (~alike & fresh) | again
            continue
        stronger = evidence > event.evidence
        if now.repeats(event):
            may &= ~now.barred(event) | (found.stuck[m] & stronger)
            continue
        if nothing_came(event):
            # What is gone does not repeat.
            stronger &= ~found.stuck[m]
        may &= ~now.barred(event) | np.where(
            found.side[m] != event.side,
            stronger | now.is_new(event),
            now.later(event, may & stronger),
        )
        if not now.is_settled(event):
            may &= stronger
    places = np.flatnonzero(may)
    if len(places):
        may[places] = _still_there(now, places)
        may &= ~by_known_new(now)
    return np.asarray(may)


def _still_there(now: Now, places: NDArray[np.int64]) -> Mask:
    """(N,) whether slices show it now. Long windows still contain an event that is over: each
    shorter one, down to the newest hour, must show it, too.
    """
    found, m = now.found, now.m
    change, base, window = (of[m, places] for of in (found.change, found.base, found.window))
    usual = np.abs(change) / np.maximum(base, 1e-100) * found.size[m, places]
    changes = found.side[m, places] * found.changes[:, m, places]
    bases = found.bases[:, m, places]
    lengths = now.rules.lengths[:, 0]
    hourly = bases[window, np.arange(len(places))] / lengths[window, 0]
    # Where next to nothing is expected, nothing is shown.
    expected = bases > LEAST_EXPECTED * hourly * lengths
    shows = (changes >= STILL_THERE * usual * bases) & expected
    windows = np.arange(len(shows))[:, None]
    asked = (windows <= window) & (windows >= np.minimum(window, now.rules.within_hour))
    there = (shows | ~asked).all(axis=0)
    return np.asarray(there | found.stuck[m, places] | found.no_data[m, places])


def _taken_up(now: Now, place: int, before: list[Event], evidence: float) -> Event | None:
    """The event that the evidence at `place` continues; other events there are closed.

    Parameters
    ----------
    before : events that have ended there.
    """
    name, side = now.lattice.names[place], int(now.found.side[now.m, place])
    again = [one for one in before if _goes_on(now, one, place, side, evidence)]
    overlap = now.lattice.overlapping(place)
    for event in [one for one in now.open if overlap[now.place(one)]]:
        apart = is_by_itself(event) or now.is_apart(event, side)
        if apart or not now.barred(event)[place]:
            continue
        if _goes_on(now, event, place, side, evidence):
            again.append(event)
        now.open.remove(event)
        now.close(event)
    if not again:
        return None
    event = max(again, key=lambda one: (one.opened, one.first))
    now.ended.remove(event)
    event.closed = event.quiet = 0
    event.doubt = 0.0
    event.accepted = False
    # What another slice shows better is not asked of the present one, which would end it again.
    own = now.place(event)
    elsewhere = name == event.first and evidence > now.found.evidence[now.m, own]
    if event.side != side and not now.alike(place, own):
        event.side = side
    elif (evidence > event.evidence or elsewhere) and not event.both:
        event.slices, event.side = (name,), side
    return event


def _goes_on(now: Now, one: Event, place: int, side: int, evidence: float) -> bool:
    """Whether evidence at `place` is of an event that has ended, or would end by it."""
    # More than usual is no part of what was gone, nor is less of what is new.
    apart = now.is_apart(one, side) or (side > 0 and nothing_came(one))
    lacks = bool(now.found.no_data[now.m, place])
    again = one.closed <= now.continued(one) or _is_same_day(now, one, place)
    if apart or one.no_data != lacks or not again:
        return False
    if now.alike(place, now.place(one)):
        return True
    if (one.closed or one.quiet) > now.rules.settling:
        return False
    if not one.accepted and one.turned:
        return now.is_part(one, place)
    if one.side != side:
        return not one.closed and _turns(now, one, place)
    same = evidence <= one.evidence if one.closed else now.is_part(one, place)
    return same and not now.elsewhere(one, place)


def _turns(now: Now, event: Event, place: int) -> bool:
    """Whether a part of an open event has turned to the other side, and the rest is on its way
    there, as in a day that is unlike the days before: it deviates no more.
    """
    if not now.is_part(event, place):
        return False
    rest = now.leaves(event) & ~now.lattice.held(place)
    went, still = now.shares(event, rest)
    return not rest.any() or still < AS_STRONG * went


def _is_same_day(now: Now, event: Event, place: int) -> bool:
    """Whether a slice shows an event within 20 hours on the other side, too, as a day that is
    unlike the others does at some of its hours. What falls silent again is another fault.
    """
    silent = tells_silence(event) or bool(now.found.silent[now.m, place])
    # All of a measure, or its only series, may have several faults in a day.
    all_of_it = not (now.lattice.codes[place] >= 0).any()
    same = not all_of_it and event.slices == (now.lattice.names[place],)
    both = event.turned or event.side != now.found.side[now.m, place]
    # At the same hour of the next day it may become a habit.
    since = event.quiet + event.closed
    return bool(same and both and not silent and since <= SAME_DAY * now.rules.half_day)


def _join(now: Now, place: int, *, only_part: bool) -> bool:
    """Whether the evidence at `place` is merged into an open event.

    The event moves to the smallest common slice if that explains both; if no such slice is
    monitored, or another event has a part of it, the new slice is added to its own. It is then
    the last of the open events.

    Parameters
    ----------
    only_part : whether it is merged only where what is gone keeps the common slice from
        showing both.
    """
    found, m = now.found, now.m
    for event in now.open:
        own = now.place(event)
        if (
            event.quiet >= now.rules.quiet_to_yield
            or is_by_itself(event)
            or event.both
            or event.side != found.side[m, place]
            or event.no_data != found.no_data[m, place]
            or now.overlapping(event)[place]
        ):
            continue
        if now.steady(event) and not _as_old(now, event, place):
            continue
        wider = now.lattice.joint(place, own)
        if only_part and (wider is None or not _is_cut(now, wider)):
            continue
        apart = wider is None or _is_taken(now, wider, event, event.side)
        if wider is not None and not apart and explains_both(now, wider, place, own):
            event.slices = (now.lattice.names[wider],)
            now.take_change(event, wider)
            now.measure(event, wider)
        # What an event of the other side takes away keeps the common slice from showing both.
        elif apart or (wider is not None and _is_taken(now, wider, event, -event.side)):
            event.slices = (*event.slices, now.lattice.names[place])
            now.measure(event, place)
        else:
            continue
        now.open.remove(event)
        now.open.append(event)
        return True
    return False


def _take_along(now: Now, event: Event, slices: Mask) -> None:
    """Add slices that show the same now, where an event that has lasted holds leaves of what
    they have in common, so that it cannot be named.
    """
    own = now.place(event)
    slices = slices & (now.found.no_data[now.m] == event.no_data)
    while (slices := slices & ~now.overlapping(event)).any():
        evidence = np.where(slices, now.found.evidence[now.m], -np.inf)
        place = int(evidence.argmax())
        wider = now.lattice.joint(place, own)
        if wider is not None and _is_taken(now, wider, event, event.side):
            event.slices = (*event.slices, now.lattice.names[place])
        slices = slices & ~now.lattice.overlapping(place)


def _as_old(now: Now, event: Event, place: int) -> bool:
    """Whether a slice has changed for half of the event's time at least; of a young event, none
    began long after it.
    """
    found, m = now.found, now.m
    if event.age < now.rules.settled:
        return True
    if event.no_data:
        return bool(now.state.scan.gone[m, place] >= STILL_THERE * event.age)
    held = bisect_right(now.rules.windows, event.age) - 1
    if held <= found.window[m, place] or found.stuck[m, place]:
        return True
    usual = abs(found.change[m, place]) / max(found.base[m, place], 1e-100)
    usual *= found.size[m, place]
    change, base = (of[held, m, place] for of in (found.changes, found.bases))
    return bool(event.side * change >= STILL_THERE * usual * base)


def _is_cut(now: Now, place: int) -> bool:
    """Whether a slice shares leaves with what is gone."""
    return any(tells_silence(one) and bool(now.overlapping(one)[place]) for one in now.open)


def _is_taken(now: Now, place: int, event: Event, side: int) -> bool:
    """Whether a stronger event of a side shares leaves with a slice: of the event's own side,
    one that has lasted.
    """
    return any(
        bool(now.overlapping(one)[place])
        and (
            (
                (one.age >= now.rules.lasted or side != event.side)
                and one.evidence > event.evidence
                and one.side == side
            )
            or now.cannot_repeat(one, event)
        )
        for one in now.open
    )
