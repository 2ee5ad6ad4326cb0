"""Opens, updates and closes the events of each measure, and selects the series that must not learn.

In each interval, what is known of a measure is put together (`now`); the events that are known
continue or close (`continuing`); others open where there is enough evidence (`opening`), on the
slices that explain it best (`naming`), or tell new values by themselves (`new_in_event`). Series
that share leaves with an open event do not learn.

Limits are those of `Rules`, in intervals: of an open event, `quiet_to_close` without it close it if
the log-likelihood agrees, `quiet_at_most` in any case; after `quiet_to_yield` another event may
replace it; for `settled` intervals it settles on its slice, without others in its measure. After
its end, it may continue for `continued` intervals at most, evidence may be its aftermath for
`remembered`, and other slices that share leaves may show it too for `settling`. One that has gone
on for `lasted` keeps its name where it is steady: what fails besides is another. Until the week of
a series is known, an event keeps it from learning for `learned_after` only, as what lasts may be
its weekend.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anomaly_detector.detection.rules import Rules
from anomaly_detector.detection.scan import Evidence
from anomaly_detector.detection.state import Held, Judged, Shown, State
from anomaly_detector.detection.verdicts import Verdict
from anomaly_detector.events.continuing import drop_overlaps, go_on
from anomaly_detector.events.event import Event
from anomaly_detector.events.naming import widen
from anomaly_detector.events.new_in_event import made_by_new, rises, tell_new, told_new
from anomaly_detector.events.new_value import new_values, was_roll_up
from anomaly_detector.events.now import Mask, Now
from anomaly_detector.events.opening import open_new
from anomaly_detector.lattice import Lattice


def follow(
    rules: Rules,
    state: State,
    lattice: Lattice,
    judged: Judged | None,
    events: tuple[Event, ...],
    found: Evidence,
    shown: Shown,
    at: int,
    accept_after: int,
    verdicts: Sequence[Verdict] = (),
) -> tuple[tuple[Event, ...], Held]:
    """Update the events with the evidence of one interval; they are changed in place.

    Parameters
    ----------
    judged : what is said of the interval; None where it is not scored, so that no event is told.
    shown : the interval, as it was weighed.
    at : seconds since 1970 of the interval's start.
    accept_after : intervals after which the values during an event become the new level.
    verdicts : what people have said of events, as far as it holds for this interval.

    Returns
    -------
    The events that are remembered, and what they keep from being learned.
    """
    held = Held.by(np.zeros(found.evidence.shape, dtype=np.bool_))
    kept: list[Event] = []
    for m, measure in enumerate(state.measures):
        of_measure = [event for event in events if event.measure == measure]
        come = new_values(rules, state, lattice, m)
        shows = found.evidence[m].max(initial=-np.inf) >= found.threshold[m]
        if not (of_measure or shows or len(come)):
            continue
        said = [one for one in verdicts if measure in one.span.measures]
        now = Now(rules, state, lattice, found, m, shown.observed.actual[m], of_measure, said)
        for event in of_measure:
            event.age += 1
            go_on(now, event, accept_after)
        drop_overlaps(now)
        open_new(now, measure, at)
        tell_new(now, measure, at, come)
        widen(now)
        additive, counted = bool(rules.additive[m, 0]), bool(rules.absent_is_zero[m, 0])
        for event in now.open:
            overlap, new = now.overlapping(event), None
            if additive and event.side > 0:
                new = made_by_new(now, event, overlap)
                if new is not None:
                    names = (lattice.names[place] for place in np.flatnonzero(new).tolist())
                    event.new = tuple(dict.fromkeys((*event.new, *names)))
            now.count(event)
            held.add(
                m,
                _held(now, event, overlap, new),
                lasting=event.age >= 2 * rules.half_day,
                evident=bool(event.new) or event.no_data,
            )
            moved = now.moved(event, shown.slots)
            if judged is None:
                continue
            variance = found.dispersions[0, m] * found.bases[0, m]
            event.follow(
                judged, variance, found.stuck[m], m, lattice, at, additive=additive, moved=moved
            )
            if event in now.shown:
                # The only series of a detector is judged by its own record alone: an event that
                # is none would flag all of its values.
                for place in now.shown_in(event) if state.dimensions else ():
                    judged.share_in(m, place, event.side, event.severity)
                new = told_new(now, event, overlap, new)
                event.show(judged, m, lattice, at, counted=counted, new=new, moved=moved)
                if new is not None:
                    judged.tell_new(m, new & rises(now), event.severity)
        held.over[m] = now.over()
        kept += sorted([*now.open, *now.ended], key=lambda one: (one.opened, one.first))
    return tuple(kept), held


def _held(now: Now, event: Event, overlap: Mask, new: Mask | None) -> Mask:
    """(K,) slices that an event keeps from learning. Of what is new, nothing but its roll-ups
    is to blame; of what is missing, nothing that comes for the first time.
    """
    held = overlap
    if new is not None:
        held = now.holding(new) & ~new
        held = held if was_roll_up(event) else overlap & held
    if event.side < 0:
        held = held & now.state.habits.born[now.m]
    return np.asarray(held & now.holds_back(event))
