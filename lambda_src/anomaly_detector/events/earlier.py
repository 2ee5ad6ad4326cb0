"""Which events another one has come after, as people see it: in the same place, not long ago."""

from __future__ import annotations

from collections.abc import Sequence

from anomaly_detector.events.event import Event
from anomaly_detector.lattice import Lattice


def note_earlier(events: Sequence[Event], at: int, lattice: Lattice, detector: str) -> None:
    """Let events that the interval `at` shows know those that they come after: of their measure, in
    slices that share leaves with their own now, open or remembered; the newest first.

    Of several that open in the same interval, those before one in `events` are earlier.
    """
    for place, event in enumerate(events):
        if event.last != at:
            continue
        overlap = event.overlapping(lattice)
        found = [
            one
            for where, one in enumerate(events)
            if one.measure == event.measure
            and (one.opened, where) < (event.opened, place)
            and any(overlap[lattice.index[name]] for name in one.slices)
        ]
        found.sort(key=lambda one: (-one.last, -one.opened, one.first))
        ids = (one.id(detector) for one in found)
        event.after = tuple(dict.fromkeys((*event.after, *ids)))
