"""New values of a dimension that are told by themselves.

A value that was never seen before is told as what lifts its roll-ups, where they show it. Where
they vary by as much as it brings, it is told by itself, once it has come for `settling` intervals:
with r = share of the total / (0.05 (1 + n)), its evidence is x = r T, its severity 100 r / (r + 1).
n is the number of other values of its dimension that have come in the last half-year and have half
of its size at least: where new values come each week, only a larger one is news. In the first two
weeks of a measure it is not known yet which values there are, and none is told.

Such an event says nothing of other slices: others may open beside it, and it keeps none from
learning. An event of a roll-up goes on as that of the new value, if most of it was the value's; it
then keeps the roll-ups from learning, until they take over what the value brings.
"""

from __future__ import annotations

from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.detection.rules import Rules
from anomaly_detector.detection.scan import Evidence
from anomaly_detector.detection.state import State
from anomaly_detector.events.event import Event
from anomaly_detector.lattice import Lattice

NEW_WINDOWS = 10  # learned windows up to which a slice is new; it learns some in a long event
SHARE = 0.05  # of the total that a new value has at a severity of 50
ROWS = 10.0  # of a new value from which it is told by itself
AS_LARGE = 0.5  # share of its size from which another new value is like it
WEEKS = 26.0  # in which others count

_NONE = np.zeros(0, dtype=np.int64)


def new_values(rules: Rules, state: State, lattice: Lattice, m: int) -> NDArray[np.int64]:
    """(N,) indices of the new values of a measure that are as old as they are told at, among the
    slices of a single value. None of other measures than sums and counts.
    """
    if not rules.additive[m, 0]:
        return _NONE
    habits = state.habits
    age = state.clock - habits.first[m]
    new = habits.born[m] & (state.scan.dispersion_seen[m] <= NEW_WINDOWS)
    new &= (age >= rules.settling) & (age <= 2 * rules.remembered)
    new &= habits.rows[m] * habits.seen[m] >= ROWS
    if not new.any():
        return _NONE
    depth = (lattice.codes >= 0).sum(axis=1)
    if depth.min() > 0:
        return _NONE
    return np.flatnonzero(new & (depth == 1) & _came_late(rules, state, lattice, m))


def evidence(
    rules: Rules, state: State, lattice: Lattice, found: Evidence, m: int, place: int
) -> tuple[float, float]:
    """Evidence x of a new value, in powers of ten beyond chance, and what came of it in the longest
    window of its life; 0 and 0 where the measure's direction or minimum change excludes it.

    Parameters
    ----------
    place : index of its slice.
    """
    window = bisect_right(rules.windows, int(state.clock - state.habits.first[m, place])) - 1
    usual = found.bases[window, m] * found.size[m]
    came = found.changes[window, m] + usual
    up, least = (
        np.broadcast_to(one, found.evidence.shape)[m, place]
        for one in (rules.up, rules.min_absolute)
    )
    brought = float(came[place])
    if not up or brought <= 0 or brought < least * rules.windows[window]:
        return 0.0, 0.0
    total = _total(lattice)
    share = brought / max(brought, float(came[total]), float(usual[total]))
    needed = SHARE * (1 + _others(rules, state, lattice, m, place))
    return float(found.threshold[m]) * share / needed, brought


def is_by_itself(event: Event) -> bool:
    """Whether an event is told of a new value by itself, not of a roll-up that it lifts."""
    return event.slices[0] in event.new


def was_roll_up(event: Event) -> bool:
    """Whether an event is told of a new value by itself after it was told of a roll-up."""
    return is_by_itself(event) and event.first not in event.new


def _others(rules: Rules, state: State, lattice: Lattice, m: int, place: int) -> int:
    habits, codes = state.habits, lattice.codes
    axis = int(codes[place].argmax())
    others = (codes[:, axis] >= 0) & ((codes >= 0).sum(axis=1) == 1)
    others[place] = False
    since = state.clock - habits.first[m]
    others &= habits.born[m] & _came_late(rules, state, lattice, m)
    others &= since < WEEKS * rules.intervals_a_week
    return int((others & (habits.level[m] >= AS_LARGE * habits.level[m, place])).sum())


def _came_late(rules: Rules, state: State, lattice: Lattice, m: int) -> NDArray[np.bool_]:
    """(K,) slices that came when the values of the measure had been known for a while."""
    first = state.habits.first[m]
    known = first[_total(lattice)] + max(rules.open_after, rules.week_known_after)
    return np.asarray(first >= known)


def _total(lattice: Lattice) -> int:
    return int((lattice.codes >= 0).sum(axis=1).argmin())
