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
QUIET_TO_YIELD = 2  # quiet intervals after which another event may take its place
REMEMBERED = 12  # intervals after its end in which an event's rebound is swallowed
CONTINUED = 4  # and in which it may go on
STILL_SHOWN = 0.5  # share of the event's usual change that an interval must have
REBOUND = 0.5
SETTLED = 3  # intervals in which an event alone on its side finds its slice


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
        _merge(now.open, now.ended, levels, index)
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
        # What begins while it is quiet is another event.
        _choose_again(event, now.levels, found, m, place, now.slices)
        place = now.index[event.slice]
    else:
        event.quiet += 1
    if event.quiet < QUIET_TO_CLOSE and event.age < accept_after:
        now.open.append(event)
        return
    overlap = now.levels.overlapping(place)
    if event.quiet < QUIET_TO_CLOSE:
        _accept(now.rules, now.arrays, m, overlap)
    # Slices beside it may still hold the end of the same fault in their windows.
    overlap |= (found.evidence[m] > 0) & (found.side[m] == event.side)
    _empty(now.arrays, m, overlap)
    found.evidence[m, overlap] = -np.inf
    event.closed = 1
    now.ended.append(event)


def _open(now: _Now, name: str, at: int) -> None:
    """Open an event on the slice with the largest evidence, or go on with one that has ended."""
    found, m, levels = now.found, now.m, now.levels
    # An event that is over leaves its trace in long windows: it must be there now.
    usual = np.abs(found.change[m]) / np.maximum(found.base[m], 1e-300)
    may = found.side[m] * found.now_change[m] >= STILL_SHOWN * usual * found.now_base[m]
    may = (found.stuck[m] | may) & (found.weight[m] >= found.threshold[m])
    may &= found.evidence[m] >= found.threshold[m]
    for event in now.open:
        place = now.index[event.slice]
        if event.quiet >= QUIET_TO_YIELD:
            may &= ~levels.nested(place)
            continue
        # One fault shows on many slices, above and below: beside it only a larger one opens.
        may &= ~levels.overlapping(place) & (found.evidence[m] > event.evidence)
        may &= event.age >= SETTLED
    while may.any():
        place = int(np.where(may, found.evidence[m], -np.inf).argmax())
        side, evidence = int(found.side[m, place]), float(found.evidence[m, place])
        overlap = levels.overlapping(place)
        again = _continued(now.ended, levels, place, now.index, side, evidence)
        if again is not None and again.side != side:
            _empty(now.arrays, m, overlap)
            may &= ~overlap
            continue
        if again is None:
            key = tuple(str(value) for value in now.slices[place])
            again = Event(name, at, key, key, side, -np.inf, 0.0, 0.0, 0.0)
        else:
            now.ended.remove(again)
            again.closed = again.quiet = 0
        _choose(again, found, m, place, now.slices)
        again.change, again.base = float(found.change[m, place]), float(found.base[m, place])
        for event in [one for one in now.open if one.quiet >= QUIET_TO_YIELD]:
            if overlap[now.index[event.slice]]:
                event.closed = 1
                now.open.remove(event)
                now.ended.append(event)
        now.open.append(again)
        now.shown.add(id(again))
        return


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


def _merge(
    open_ones: list[Event],
    ended: list[Event],
    levels: Levels,
    index: dict[tuple[str, ...], int],
) -> None:
    """End an event whose slice an older one has come to overlap."""
    kept: list[Event] = []
    taken: Mask | None = None
    for event in sorted(open_ones, key=lambda one: (one.opened, -one.evidence, one.first)):
        place = index[event.slice]
        if taken is not None and taken[place]:
            event.closed = 1
            ended.append(event)
            continue
        overlap = levels.overlapping(place)
        taken = overlap if taken is None else taken | overlap
        kept.append(event)
    open_ones[:] = kept


def _choose(event: Event, found: Evidence, m: int, place: int, slices: NDArray[np.object_]) -> None:
    event.slice = tuple(str(value) for value in slices[place])
    event.evidence = max(event.evidence, float(found.evidence[m, place]))
    x = float(found.weight[m, place])
    event.severity = max(event.severity, 100.0 * x / (x + float(found.threshold[m])))


def _choose_again(
    event: Event,
    levels: Levels,
    found: Evidence,
    m: int,
    place: int,
    slices: NDArray[np.object_],
) -> None:
    """Name the slice that shows it best, where the evidence has grown."""
    may = levels.overlapping(place) & (found.side[m] == event.side)
    may &= found.weight[m] >= found.threshold[m]
    evidence = np.where(may, found.evidence[m], -np.inf)
    best = int(evidence.argmax())
    if evidence[best] > event.evidence:
        if best != place:
            event.change, event.base = float(found.change[m, best]), float(found.base[m, best])
        _choose(event, found, m, best, slices)


def _is_shown(event: Event, found: Evidence, m: int, place: int) -> bool:
    """Whether the slice still deviates as it did, in the middle of the event."""
    if found.stuck[m, place]:
        return True
    base, change = float(found.now_base[m, place]), float(found.now_change[m, place])
    usual = event.change / event.base if event.base > 0 else 0.0
    if event.side * change >= STILL_SHOWN * event.side * usual * base and event.side * change > 0:
        event.change += change
        event.base += base
        return True
    return False


def _continued(
    ended: list[Event],
    levels: Levels,
    place: int,
    index: dict[tuple[str, ...], int],
    side: int,
    evidence: float,
) -> Event | None:
    """The event that has just ended and goes on in the same place, or whose rebound this is."""
    overlap = levels.overlapping(place)
    for event in ended:
        other = index[event.slice]
        if event.side == side:
            if levels.nested(place)[other] and event.closed <= CONTINUED:
                return event
        elif overlap[other] and evidence <= REBOUND * event.evidence:
            return event
    return None


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
