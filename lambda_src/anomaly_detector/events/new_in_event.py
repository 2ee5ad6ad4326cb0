"""What new values are of an event, and the events that tell them by themselves."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.events.event import Event, Sums
from anomaly_detector.events.new_value import NEW_WINDOWS, evidence, is_by_itself
from anomaly_detector.events.now import Mask, Now

BY_NEW = 0.8  # share of a change that new values must have to be its cause
CHANCE = 3.0  # usual deviations that the rest may differ from nought, where most is new
MOSTLY_NEW = 0.5  # the same of a single interval, when it is accepted, and beside what is by chance


def made_by_new(now: Now, event: Event, overlap: Mask) -> Mask | None:
    """(K,) slices in the event that are new, if they make up its change in this interval, or
    did before. They are learned, unlike the other series of an open event.

    Parameters
    ----------
    overlap : (K,) slices that share leaves with the event.
    """
    found, place, actual = now.found, now.place(event), now.actual
    newborn = overlap & now.newborn(event)
    leaves = now.lattice.leaves[newborn[now.lattice.leaves]]
    if not len(leaves):
        return None
    if now.came_anew(event):
        return newborn
    change, came = float(found.now_change[now.m, place]), float(actual[leaves].sum())
    usual = event.change / max(event.base, 1e-100) * float(found.now_base[now.m, place])
    return newborn if came >= BY_NEW * max(change, usual) else None


def rises(now: Now) -> Mask:
    """(K,) slices of which a rise from nothing to their value counts."""
    limits = (now.rules.up, now.rules.min_absolute)
    up, least = (np.broadcast_to(one, now.found.evidence.shape)[now.m] for one in limits)
    return np.asarray(up & (now.actual >= least))


def told_new(now: Now, event: Event, overlap: Mask, new: Mask | None) -> Mask | None:
    """(K,) slices of which an event tells in this interval that they are new, if any.

    Parameters
    ----------
    new : those that make up its change.
    """
    if new is None and now.rules.additive[now.m, 0] and event.side > 0:
        new = _mostly_new(now, event, overlap)
    # Also what is outside of the slices that show it best just now.
    return None if new is None else new | (now.akin(event) & np.isfinite(now.actual))


def _mostly_new(now: Now, event: Event, overlap: Mask) -> Mask | None:
    """(K,) slices in the event that are new, if most of its change in this interval is theirs,
    and the rest no more than chance brings. It may be they that are told.
    """
    found, m, place = now.found, now.m, now.place(event)
    newborn = overlap & now.newborn(event)
    leaves = now.lattice.leaves[newborn[now.lattice.leaves]]
    change, came = float(found.now_change[m, place]), float(now.actual[leaves].sum())
    usual = math.sqrt(float(found.dispersions[0, m, place] * found.bases[0, m, place]))
    by_chance = abs(change - came) <= CHANCE * usual
    return newborn if by_chance and 0 < MOSTLY_NEW * change <= came else None


def still_new(now: Now, event: Event) -> bool:
    """Whether new values make up most of the change in this interval: they may have gone, or
    others have come to change.
    """
    leaves = now.lattice.leaves
    came = float(np.nansum(now.actual[leaves] * now.new_of(event)[leaves]))
    return came > 0 and came >= MOSTLY_NEW * now.found.now_change[now.m, now.place(event)]


def tell_new(now: Now, measure: str, at: int, places: NDArray[np.int64]) -> None:
    """Open or continue the events of new values that are large, if no other tells them.

    Parameters
    ----------
    places : indices of the slices of the values.
    """
    found, m = now.found, now.m
    threshold = float(found.threshold[m])
    needed = np.broadcast_to(threshold * now.needed(), found.evidence[m].shape)
    for place in places.tolist():
        x, came = evidence(now.rules, now.state, now.lattice, found, m, place)
        if x < needed[place] or _is_told(now, place):
            continue
        name = now.lattice.names[place]
        event = _told_of_its_roll_up(now, place, came)
        if event is None:
            event = Event(measure, at, name, (name,), 1, at, Sums.none(len(now.actual)))
        else:
            (now.ended if event.closed else now.open).remove(event)
            event.slices = (name,)
            event.closed = event.quiet = 0
            event.doubt = 0.0
        inside = now.lattice.within(place) & now.newborn(event)
        names = (now.lattice.names[one] for one in np.flatnonzero(inside).tolist())
        event.new = tuple(dict.fromkeys((name, *event.new, *names)))
        event.evidence = max(event.evidence, x)
        event.severity = max(event.severity, 100.0 * x / (x + threshold))
        event.change = event.base = came
        now.open.append(event)
        now.shown.add(event)


def _told_of_its_roll_up(now: Now, place: int, came: float) -> Event | None:
    """The event that has told a new value so far, by itself before a pause, or of a roll-up: of
    what has risen since the value came, most is its own.
    """
    age = now.state.clock - now.state.habits.first[now.m, place]
    for one in reversed((*now.ended, *now.open)):
        if one.closed > now.continued(one) or one.side < 0 or one.no_data:
            continue
        if is_by_itself(one):
            if one.slices == (now.lattice.names[place],):
                return one
        elif now.overlapping(one)[place] and one.age <= age and came >= MOSTLY_NEW * one.change:
            return one
    return None


def _is_told(now: Now, place: int) -> bool:
    """Whether an event tells a new value already, or has."""
    if now.state.scan.dispersion_seen[now.m, place] > NEW_WINDOWS:
        return True
    if any(not is_by_itself(one) and now.new_of(one)[place] for one in now.ended):
        return True
    return any(one.side > 0 and now.akin(one)[place] for one in now.open)


def by_known_new(now: Now) -> Mask:
    """(K,) slices whose change is that of new values that an open event is about."""
    by = np.zeros(len(now.lattice.level), dtype=np.bool_)
    for event in now.open:
        if now.came_anew(event):
            by |= now.akin(event)
    return made_by(now, by) if by.any() else by


def made_by(now: Now, by: Mask) -> Mask:
    """(K,) slices whose change is what new values (K,) brought."""
    found, lattice = now.found, now.lattice
    leaves = np.where(by, np.nan_to_num(now.actual), 0.0)[lattice.leaves]
    came = lattice.summed(leaves)
    most = (came > 0) & (came >= BY_NEW * found.now_change[now.m])
    # A single interval of five minutes says little: what came in the windows says more.
    m, window = now.m, found.window[now.m]
    of_leaves = (found.changes[:, m] + found.bases[:, m] * found.size[m])[:, lattice.leaves]
    of_leaves = np.where(by[lattice.leaves], of_leaves, 0.0)
    pick = (window, np.arange(len(window)))
    came, change = lattice.summed(of_leaves)[pick], found.change[m]
    most |= (came > 0) & (came >= BY_NEW * change)
    variance = (found.dispersions[:, m] * found.bases[:, m])[pick]
    by_chance = change - came <= CHANCE * np.sqrt(np.maximum(variance, 0.0))
    return np.asarray(most | ((came > 0) & (came >= MOSTLY_NEW * change) & by_chance))
