"""Events of parts that deviate to both sides at once.

Such is a day that is shifted or flat, in each country at another time: the sum shows nothing, as
the parts cancel out, and they have no factor in common, so that they would be told one by one.
Where a part deviates soon after another one of the same whole, and parts that make up half of it
deviate now, some above and some below what was expected, that is one event of the whole. It goes on
while any part shows something in a single interval. What only moves from one part to another is
none.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.events.event import Event
from anomaly_detector.events.new_value import is_by_itself
from anomaly_detector.events.now import SHOWS_ALONE, Now, tells_silence

MOST = 0.5  # share of a whole that its deviating parts make up at least
CHANCE = 3.0  # usual deviations that parts which balance differ by at most
FEWEST_PARTS = 3  # of them, unless the event itself has turned from one side to the other


def join_both_sides(now: Now, place: int) -> bool:
    """Whether the evidence at `place` becomes part of an event of a whole, whose other parts go to
    the other side. The event is then the last of the open ones.
    """
    m = now.m
    if not now.rules.absent_is_zero[m, 0] or not _may_be_part(now, place):
        return False
    for event in (*now.open, *now.ended):
        whole = _whole(now, event, place)
        if whole is None or not _deviates(now, event, place, whole):
            continue
        inside = now.lattice.within(whole)
        others = [one for one in now.open if now.overlapping(one)[whole] and one is not event]
        if any(_is_apart(one) or not inside[now.place(one)] for one in others):
            continue
        for one in others:
            now.open.remove(one)
            now.close(one)
        (now.ended if event.closed else now.open).remove(event)
        event.slices, event.both = (now.lattice.names[whole],), True
        event.evidence = max(event.evidence, *(one.evidence for one in others), -np.inf)
        event.closed = event.quiet = 0
        event.doubt = 0.0
        now.take_change(event, whole)
        now.measure(event, place)
        now.open.append(event)
        now.shown.add(event)
        return True
    return False


def goes_on_in_parts(now: Now, event: Event) -> bool:
    """Whether any part of an event shows something in this interval alone."""
    found, m = now.found, now.m
    alone = (found.alone[m] - found.price[m])[now.parts(event)]
    return bool(alone.max() >= SHOWS_ALONE)


def _is_apart(event: Event) -> bool:
    """Whether an event is about what is gone or new, which is no part of an unusual day."""
    return tells_silence(event) or bool(event.new) or is_by_itself(event)


def _may_be_part(now: Now, place: int) -> bool:
    found, m = now.found, now.m
    return not (found.stuck[m, place] or found.no_data[m, place] or found.silent[m, place])


def _whole(now: Now, event: Event, place: int) -> int | None:
    """The smallest slice that holds an event which began not long ago, and another slice."""
    if (
        len(event.slices) > 1
        or event.accepted
        or event.age > 2 * now.rules.half_day
        or max(event.closed, event.quiet) > now.rules.settling
        or _is_apart(event)
        or now.overlapping(event)[place]
        or now.repeats(event)
    ):
        return None
    return now.lattice.joint(place, now.place(event))


def _deviates(now: Now, event: Event, place: int, whole: int) -> bool:
    """Whether most of a whole deviates, some above and some below what was expected, by the values
    of a dimension that sets `place` and the event apart.
    """
    found, m, codes = now.found, now.m, now.lattice.codes
    own = now.place(event)
    size = found.bases[-1, m] * found.size[m]
    for axis in np.flatnonzero((codes[whole] < 0) & (codes[own] >= 0) & (codes[place] >= 0)):
        parts = _parts(codes, whole, int(axis))
        sides = np.where(found.strength[m, parts] >= SHOWS_ALONE, found.side[m, parts], 0.0)
        # The event's own may be quiet just now.
        sides[parts == own] = event.side
        shows = sides != 0
        both = (sides > 0).any() and (sides < 0).any()
        # What moves from one value to another is no unusual day: all of it is as usual.
        both &= event.turned or shows.sum() >= FEWEST_PARTS or not _balance(now, place, parts)
        if both and size[parts][shows].sum() >= MOST * size[parts].sum():
            return True
    return False


def _balance(now: Now, place: int, parts: NDArray[np.int64]) -> bool:
    """Whether parts, together, are as usual in the window that shows a slice best."""
    found, m = now.found, now.m
    window = found.window[m, place]
    change, variance = (
        found.changes[window, m],
        found.dispersions[window, m] * found.bases[window, m],
    )
    return abs(float(change[parts].sum())) <= CHANCE * math.sqrt(float(variance[parts].sum()))


def _parts(codes: NDArray[np.int64], whole: int, axis: int) -> NDArray[np.int64]:
    """(N,) indices of the slices of a whole by the values of one more dimension."""
    same = codes == codes[whole]
    same[:, axis] = codes[:, axis] >= 0
    return np.flatnonzero(same.all(axis=1))
