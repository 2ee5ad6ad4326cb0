"""The event step: opens, moves and closes events, and says which slices must not learn."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.detection.scan import Evidence, Levels
from anomaly_detector.detection.state import LONGEST, Event
from anomaly_detector.detection.step import Rules, accept
from anomaly_detector.panel import Mark

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

QUIET_TO_CLOSE = 4
BACK_TO_NORMAL = 5.0  # nats for the normal state that close a weak event
REMEMBERED = 24  # intervals after its end in which an event explains what is left of it
CONTINUED = 12  # and in which it may go on
STILL_SHOWN = 0.5  # share of the event's usual change that an interval must have
SHOWS_ALONE = 2.0  # evidence of one interval, either way, that goes on with an event
LEFT_OVER = 0.5  # share of an event's evidence below which what follows is its own trace
AS_STRONG = 0.5
QUIET_TO_YIELD = 2
SETTLED = 3
JOINED = 0.8
QUIET_AT_MOST = 12


def follow(
    rules: Rules,
    arrays: dict[str, Array],
    levels: Levels,
    index: dict[tuple[str, ...], int],
    names: tuple[str, ...],
    slices: NDArray[np.object_],
    events: tuple[Event, ...],
    found: Evidence,
    at: int,
    accept_after: int,
) -> tuple[tuple[Event, ...], tuple[Mark, ...], Mask]:
    """Take one interval's evidence into the events.

    Parameters
    ----------
    index : place of each slice.
    at : seconds since 1970 of the interval's start.
    accept_after : intervals after which what an event showed is the new level.

    Returns
    -------
    The events that are remembered, their marks, and (M, K) series that must not learn.
    """
    frozen = np.zeros(found.evidence.shape, dtype=np.bool_)
    kept: list[Event] = []
    marks: list[Mark] = []
    for m, name in enumerate(names):
        now = _Now(rules, arrays, levels, index, slices, found, m)
        for event in events:
            if event.measure == name:
                _go_on(now, replace(event, age=event.age + 1), accept_after)
        _merge(now)
        _open(now, name, at)
        for event in now.open:
            frozen[m] |= levels.overlapping(index[event.slice])
        for event in sorted([*now.open, *now.ended], key=lambda one: (one.opened, one.first)):
            kept.append(event)
            marks.append(_mark(event, at, shown=id(event) in now.shown))
    return tuple(kept), tuple(marks), frozen


@dataclass
class _Now:
    """One measure in one interval: what is known of it, and its events as far as they are done."""

    rules: Rules
    arrays: dict[str, Array]
    levels: Levels
    index: dict[tuple[str, ...], int]
    slices: NDArray[np.object_]
    found: Evidence
    m: int
    open: list[Event] = field(default_factory=list)
    ended: list[Event] = field(default_factory=list)
    shown: set[int] = field(default_factory=set)


def _go_on(now: _Now, event: Event, accept_after: int) -> None:
    """Grow or close an event."""
    found, m = now.found, now.m
    if event.closed:
        event.closed += 1
        if event.closed <= REMEMBERED:
            now.ended.append(event)
        return
    place = now.index[event.slice]
    if _is_shown(event, found, m, place):
        event.quiet = 0
        now.shown.add(id(event))
        _choose_again(now, event, place)
        place = now.index[event.slice]
    else:
        event.quiet += 1
    over = event.quiet >= QUIET_TO_CLOSE and event.doubt >= BACK_TO_NORMAL
    over = over or event.quiet >= QUIET_AT_MOST
    if not over and event.age < accept_after:
        now.open.append(event)
        return
    overlap = now.levels.overlapping(place)
    if not over:
        _accept(now.rules, now.arrays, m, overlap)
    _end(now, event, overlap)


def _end(now: _Now, event: Event, overlap: Mask) -> None:
    _empty(now.arrays, now.m, overlap)
    now.found.evidence[now.m, overlap] = -np.inf
    event.closed = 1
    now.ended.append(event)


def _open(now: _Now, name: str, at: int) -> None:
    """Open events where the evidence asks for it, or go on with those that have ended."""
    found, m, levels = now.found, now.m, now.levels
    # An event that is over leaves its trace in long windows: it must be there now.
    usual = np.abs(found.change[m]) / np.maximum(found.base[m], 1e-300)
    may = found.side[m] * found.now_change[m] >= STILL_SHOWN * usual * found.now_base[m]
    may = (found.stuck[m] | may) & (found.weight[m] >= found.threshold[m])
    may &= found.evidence[m] >= found.threshold[m]
    for event in now.open:
        overlap = levels.overlapping(now.index[event.slice])
        weaker = found.evidence[m] <= event.evidence
        if event.quiet >= QUIET_TO_YIELD:
            may &= ~(overlap & (found.evidence[m] < LEFT_OVER * event.evidence))
        else:
            may &= ~(overlap & (weaker | (found.side[m] == event.side)))
            may &= ~weaker if event.age < SETTLED else True
    while may.any():
        best = int(np.where(may, found.evidence[m], -np.inf).argmax())
        side, evidence = int(found.side[m, best]), float(found.evidence[m, best])
        overlap = levels.overlapping(best)
        before = [one for one in now.ended if overlap[now.index[one.slice]]]
        if any(_is_left(one, evidence) for one in before):
            _empty(now.arrays, m, overlap)
            may &= ~overlap
            continue
        place = _locate(now, may & overlap & (found.side[m] == side), best)
        wider = _join(now, place, int(found.window[m, best]), side)
        may &= ~overlap
        if wider is not None:
            may &= ~levels.overlapping(wider)
            continue
        key = tuple(str(value) for value in now.slices[place])
        again = [
            one
            for one in before
            if one.closed <= CONTINUED
            and (evidence <= one.evidence or levels.alike(place, now.index[one.slice]))
        ]
        for event in list(now.open):
            if levels.overlapping(place)[now.index[event.slice]]:
                now.open.remove(event)
                if levels.alike(place, now.index[event.slice]):
                    again.append(event)
                else:
                    event.closed = 1
                    now.ended.append(event)
        if again:
            event = max(again, key=lambda one: (one.opened, one.first))
            if event in now.ended:
                now.ended.remove(event)
            for other in again:
                if other is not event and other not in now.ended:
                    other.closed = 1
                    now.ended.append(other)
            event.closed = event.quiet = 0
            event.doubt = 0.0
            if evidence > event.evidence:
                event.slice, event.side = key, side
        else:
            event = Event(name, at, key, key, side, -np.inf, 0.0, 0.0, 0.0)
        _measure(event, found, m, now.index[event.slice])
        event.change, event.base = (
            float(found.change[m, place]),
            float(found.base[m, place]),
        )
        now.open.append(event)
        now.shown.add(id(event))
        may &= ~levels.overlapping(now.index[event.slice])
        for other in now.open:
            may &= (found.evidence[m] > other.evidence) | (other.age >= SETTLED)


def _join(now: _Now, place: int, window: int, side: int) -> int | None:
    """Move an open event to the slice that holds it and the one at `place`, where that explains
    both; the place of that slice.
    """
    found, m, levels = now.found, now.m, now.levels
    for event in now.open:
        own = now.index[event.slice]
        if event.quiet >= QUIET_TO_YIELD or event.side != side or levels.overlapping(place)[own]:
            continue
        joint = np.where(levels.codes[place] == levels.codes[own], levels.codes[own], -1)
        at = np.nonzero((levels.codes == joint).all(axis=1))[0]
        if not len(at):
            continue
        wider = int(at[0])
        likely = found.repeats[m] if found.stuck[m, place] else found.likely(m, window, levels)
        if likely[wider] >= JOINED * (likely[place] + likely[own]):
            event.slice = tuple(str(value) for value in now.slices[wider])
            event.change = float(found.change[m, wider])
            event.base = float(found.base[m, wider])
            _measure(event, found, m, wider)
            return wider
    return None


def _is_left(event: Event, evidence: float) -> bool:
    """Whether what is found may be no more than the trace of an event that has ended."""
    return evidence < LEFT_OVER * event.evidence


def still(events: tuple[Event, ...], at: int) -> tuple[Mark, ...]:
    """Marks of an interval without any row, which changes no event."""
    return tuple(_mark(event, at, shown=False) for event in events)


def _mark(event: Event, at: int, *, shown: bool) -> Mark:
    return Mark(
        at,
        event.measure,
        event.opened,
        event.first,
        event.slice,
        event.side,
        event.severity,
        "CLOSED" if event.closed else "SHOWN" if shown else "QUIET",
    )


def _merge(now: _Now) -> None:
    """End an event whose slice an older one has come to overlap."""
    kept: list[Event] = []
    taken: Mask | None = None
    for event in sorted(now.open, key=lambda one: (-one.evidence, one.opened, one.first)):
        place = now.index[event.slice]
        if taken is not None and taken[place]:
            event.closed = 1
            now.ended.append(event)
            continue
        overlap = now.levels.overlapping(place)
        taken = overlap if taken is None else taken | overlap
        kept.append(event)
    now.open[:] = kept


def _locate(now: _Now, may: Mask, best: int) -> int:
    """Place of the slice whose leaves together explain the change best, among those with evidence.

    Each level pays the logarithm of its slices.
    """
    found, m, levels = now.found, now.m, now.levels
    may = may & (found.evidence[m] >= AS_STRONG * found.evidence[m, best])
    may[best] = True
    if found.stuck[m, best]:
        score = found.repeats[m]
    else:
        counts = np.bincount(levels.level, minlength=levels.count)[levels.level]
        score = found.likely(m, int(found.window[m, best]), levels) - np.log(counts)
    return int(np.where(may, score, -np.inf).argmax())


def _measure(event: Event, found: Evidence, m: int, place: int) -> None:
    event.evidence = max(event.evidence, float(found.evidence[m, place]))
    x = float(found.weight[m, place])
    event.severity = max(event.severity, 100.0 * x / (x + float(found.threshold[m])))


def _choose_again(now: _Now, event: Event, place: int) -> None:
    """Name the slice that shows it best, where the evidence has grown."""
    found, m = now.found, now.m
    may = now.levels.overlapping(place) & (found.side[m] == event.side)
    may &= found.weight[m] >= found.threshold[m]
    best = int(np.where(may, found.evidence[m], -np.inf).argmax())
    if not may[best] or found.evidence[m, best] <= event.evidence:
        return
    chosen = _locate(now, may, best)
    if chosen != place:
        event.slice = tuple(str(value) for value in now.slices[chosen])
        event.change, event.base = float(found.change[m, chosen]), float(found.base[m, chosen])
    _measure(event, found, m, chosen)
    event.evidence = max(event.evidence, float(found.evidence[m, best]))


def _is_shown(event: Event, found: Evidence, m: int, place: int) -> bool:
    """Whether this interval goes on with the event; keeps count of what speaks against it.

    The log-likelihood ratio of the normal state to the event's usual change adds up, never below
    nought; an interval that leads it back there shows the event.
    """
    base, change = float(found.now_base[m, place]), float(found.now_change[m, place])
    usual = event.change / event.base if event.base > 0 else 0.0
    asked = usual * base
    phi = float(found.dispersions[0, m, place])
    unit = max(float(found.bases[0, m, place]), 1e-300)
    against = asked * (0.5 * asked - change) / max(phi * unit, 1e-300)
    against = max(-BACK_TO_NORMAL, min(BACK_TO_NORMAL, against))
    event.doubt = max(0.0, event.doubt + against)
    if found.repeats[m, place] >= BACK_TO_NORMAL or found.single[m, place] >= SHOWS_ALONE:
        event.doubt = 0.0
    if event.doubt > 0.0 or base <= 0:
        return False
    if event.side * change > 0:
        event.change += change
        event.base += base
    return True


def _empty(arrays: dict[str, Array], m: int, overlap: Mask) -> None:
    for name in ("ring_change", "ring_base"):
        arrays[name][:, m, overlap] = 0.0
    for name in ("ring_fill", "same"):
        arrays[name][m, overlap] = 0.0


def _accept(rules: Rules, arrays: dict[str, Array], m: int, overlap: Mask) -> None:
    """Take what the newest half of the windows showed for the new level."""
    places = np.nonzero(overlap & (arrays["ring_fill"][m] >= LONGEST))[0]
    if not len(places):
        return
    at = (np.full(len(places), m), places)
    change = arrays["ring_change"][:, m, places].sum(axis=0)
    length = np.full(len(places), float(LONGEST))
    level = arrays["level"][at]
    counted = bool(rules.additive[m, 0])
    signed = arrays["signed"][at] > 0
    base = np.where(
        counted & ~signed, arrays["ring_base"][:, m, places].sum(axis=0), level * length
    )
    accept(rules, arrays, at, base, base + change, length)
