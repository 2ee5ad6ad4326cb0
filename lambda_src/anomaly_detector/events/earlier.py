"""Which events another one has come after, as people see it: in the same place, not long ago."""

from __future__ import annotations

from collections.abc import Sequence

from anomaly_detector.config import ROLLED_UP
from anomaly_detector.events.event import After, Event, Slice, once


def note_earlier(events: Sequence[Event], at: int, detector: str) -> None:
    """Let events that the interval `at` shows know those that they come after: of their measure, in
    the place where they are now, open or remembered; the newest first. Call this in each interval.

    Of several that open in the same interval, those before one in `events` are earlier. How severe
    all were when is kept, so that whoever looks late decides as if he had looked then.
    """
    for place, event in enumerate(events):
        if event.last != at:
            continue
        found = [
            one
            for where, one in enumerate(events)
            if one.measure == event.measure
            and (one.opened, where) < (event.opened, place)
            and any(_same_place(own, other) for own in event.slices for other in one.slices)
        ]
        found.sort(key=lambda one: (-one.last, -one.opened, one.first))
        new = (After(one.id(detector), one.severity, one.slices, event.before) for one in found)
        event.after = once((*event.after, *new))
    for event in events:
        if event.severity > event.before:
            event.rose = (*event.rose, (at, event.severity))
            event.before = event.severity


def _same_place(one: Slice, other: Slice) -> bool:
    """Whether slices have a value in common and no dimension tells them apart; the total is in the
    place of each. What happens in a country and what happens on a platform only cross.
    """
    both = [pair for pair in zip(one, other, strict=True) if ROLLED_UP not in pair]
    total = (ROLLED_UP,) * len(one)
    return all(own == its for own, its in both) and (bool(both) or total in (one, other))
