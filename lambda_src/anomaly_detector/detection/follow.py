"""The event step: opens, moves and closes events, and says which slices must not learn."""

from __future__ import annotations

from dataclasses import replace

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
MOST_AT_ONCE = 20
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
        open_ones: list[Event] = []
        ended: list[Event] = []
        shown: set[int] = set()
        for event in events:
            if event.measure != name:
                continue
            event = replace(event, age=event.age + 1)
            if event.closed:
                event.closed += 1
                if event.closed <= REMEMBERED:
                    ended.append(event)
                continue
            place = index[event.slice]
            if _is_shown(event, found, m, place):
                event.quiet = 0
                shown.add(id(event))
                # What begins while it is quiet is another event.
                _choose_again(event, levels, found, m, place, slices)
                place = index[event.slice]
            else:
                event.quiet += 1
            if event.quiet >= QUIET_TO_CLOSE or event.age >= accept_after:
                overlap = levels.overlapping(place)
                if event.age >= accept_after and event.quiet < QUIET_TO_CLOSE:
                    _accept(rules, arrays, m, overlap)
                # Slices beside it may still hold the end of the same fault in their windows.
                overlap |= (found.evidence[m] > 0) & (found.side[m] == event.side)
                _empty(arrays, m, overlap)
                found.evidence[m, overlap] = -np.inf
                event.closed = 1
                ended.append(event)
            else:
                open_ones.append(event)
        _merge(open_ones, ended, levels, index)
        taken = np.zeros(len(slices), dtype=np.bool_)
        for event in open_ones:
            place = index[event.slice]
            if event.quiet >= QUIET_TO_YIELD:
                taken |= levels.nested(place)
                continue
            # One fault shows on many slices, above and below: beside it only a larger one opens.
            taken |= levels.overlapping(place) | (event.age < SETTLED)
            taken |= found.evidence[m] <= event.evidence
        # An event that is over leaves its trace in long windows: it must be there now.
        now = found.stuck[m] | (
            found.side[m] * found.now_change[m]
            >= STILL_SHOWN
            * np.abs(found.change[m])
            * found.now_base[m]
            / np.maximum(found.base[m], 1e-300)
        )
        for _ in range(MOST_AT_ONCE):
            candidate = np.where(
                ~taken & now & (found.weight[m] >= found.threshold[m]),
                found.evidence[m],
                -np.inf,
            )
            if not len(candidate) or candidate.max() < found.threshold[m]:
                break
            place = int(candidate.argmax())
            overlap = levels.overlapping(place)
            again = _continued(
                ended, levels, place, index, int(found.side[m, place]), candidate[place]
            )
            if again is not None and again.side != found.side[m, place]:
                _empty(arrays, m, overlap)
                taken |= overlap
                continue
            if again is None:
                key = tuple(str(value) for value in slices[place])
                again = Event(name, at, key, key, int(found.side[m, place]), -np.inf, 0.0, 0.0, 0.0)
            else:
                ended.remove(again)
                again.closed = again.quiet = 0
            _choose(again, found, m, place, slices)
            again.change = float(found.change[m, place])
            again.base = float(found.base[m, place])
            open_ones.append(again)
            shown.add(id(again))
            taken[:] = True
            for event in [one for one in open_ones if one.quiet >= QUIET_TO_YIELD]:
                if overlap[index[event.slice]]:
                    event.closed = 1
                    open_ones.remove(event)
                    ended.append(event)
        for event in open_ones:
            frozen[m] |= levels.overlapping(index[event.slice])
        for event in sorted([*open_ones, *ended], key=lambda one: (one.opened, one.first)):
            kept.append(event)
            marks.append(_mark(event, at, shown=id(event) in shown))
    return tuple(kept), tuple(marks), frozen


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
