"""Whether an event goes on, is over, or has become the new level.

An event continues while its slice deviates about as before, and closes after a few intervals that
are normal according to their log-likelihood. One that lasts becomes the new level, unless it is
quiet just then, or only varies.
"""

from __future__ import annotations

import numpy as np

from anomaly_detector.detection.verdicts import FIRM
from anomaly_detector.events.both_sides import goes_on_in_parts
from anomaly_detector.events.event import Event
from anomaly_detector.events.naming import name_again, weigh_parts
from anomaly_detector.events.new_in_event import still_new
from anomaly_detector.events.new_value import NEW_WINDOWS, is_by_itself, was_roll_up
from anomaly_detector.events.now import (
    AS_STRONG,
    BACK_TO_NORMAL,
    LEAST_EXPECTED,
    SHOWS_ALONE,
    Mask,
    Now,
    nothing_came,
)

SOMETHING_COMES = 0.9  # share of what was expected that is missing below which something comes


def go_on(now: Now, event: Event, accept_after: int) -> None:
    """Continue or close an event of an earlier interval."""
    if event.closed:
        event.closed += 1
        if event.closed <= now.rules.remembered:
            now.ended.append(event)
        elif not (is_by_itself(event) or now.is_anomaly(event)):
            now.state.scan.count(now.rules, now.m, now.place(event), event.severity)
        return
    shown = _is_shown(now, event)
    if shown:
        event.quiet = 0
        now.shown.add(event)
        name_again(now, event)
        weigh_parts(now, event)
    elif shown is not None:
        event.quiet += 1
    over = event.quiet >= now.rules.quiet_to_close and event.doubt >= BACK_TO_NORMAL
    over |= event.quiet >= now.rules.quiet_at_most
    if now.is_anomaly(event):
        accept_after *= FIRM
    # What is quiet may be over, and is no level.
    wait = event.quiet or (event.age < 2 * accept_after and not now.steady(event))
    if not over and (event.age < accept_after or wait):
        now.open.append(event)
        return
    overlap = now.overlapping(event)
    if not over:
        event.accepted = True
        new = now.akin(event) & still_new(now, event)
        by_itself = is_by_itself(event) and not was_roll_up(event)
        if new.any() and not by_itself:
            # What else happens in its roll-ups is no part of it.
            overlap = now.holding(new)
        stuck = overlap & (now.found.repeats[now.m] >= BACK_TO_NORMAL)
        now.state.scan.accept_repeats(now.m, stuck)
        _accept_silence(now, overlap & now.found.silent[now.m])
        within = now.parts(event)
        # Others have learned what lasted.
        held = now.holds_back(event)
        if not by_itself:
            now.state.accept(
                now.rules, now.found, now.m, within & held, overlap & held, new, event.age
            )
        seen = now.state.scan.dispersion_seen[now.m]
        seen[new] = np.maximum(seen[new], NEW_WINDOWS + 1.0)
    now.state.scan.empty(now.m, overlap)
    now.found.evidence[now.m, overlap] = -np.inf
    now.close(event)


def _accept_silence(now: Now, slices: Mask) -> None:
    """Accept that slices (K,) have no rows, or no values."""
    if now.rules.absent_is_zero[now.m, 0]:
        now.state.habits.accept_silence(now.m, slices)
    else:
        now.state.scan.accept_missing(now.rules, now.m, slices)


def drop_overlaps(now: Now) -> None:
    """Close events that overlap with one of more evidence."""
    if len(now.open) < 2:
        return
    kept: list[Event] = []
    for event in sorted(now.open, key=lambda one: (-one.evidence, one.opened, one.first)):
        if any(_clash(now, event, other) for other in kept):
            now.close(event)
        else:
            kept.append(event)
    now.open = kept


def _clash(now: Now, event: Event, other: Event) -> bool:
    """Whether an event cannot be open beside another one. What fails is no part of what is new,
    nor its end.
    """
    apart = now.is_apart(event, other.side) or now.is_apart(other, event.side)
    if apart or is_by_itself(event):
        return False
    own = [now.lattice.index[name] for name in event.slices]
    return bool(now.barred(other)[now.new_of(event) if now.is_new(event) else own].any())


def _is_shown(now: Now, event: Event) -> bool | None:
    """Whether this interval continues the event; updates the evidence against it. None if
    nothing was expected, so that it says nothing.

    The log-likelihood ratio of the normal state to the event's usual change adds up, never
    below nought; an interval that leads it back there shows the event.
    """
    found, m, place = now.found, now.m, now.place(event)
    base, change = float(found.now_base[m, place]), float(found.now_change[m, place])
    if event.no_data:
        event.doubt = event.doubt + BACK_TO_NORMAL if base > 0 else 0.0
        return False if base > 0 else bool(found.silent[m, place]) or None
    # What comes by the clock shows nothing between.
    usual = float((found.bases[-1] * found.size)[m, place]) / now.rules.windows[-1]
    if base <= LEAST_EXPECTED * usual:
        return None
    if event.both:
        shows = goes_on_in_parts(now, event)
        event.doubt = 0.0 if shows else event.doubt + BACK_TO_NORMAL
        return shows
    if now.came_anew(event):
        # At night they are few, and are there all the same.
        event.doubt = 0.0
        return True
    if now.is_new(event) and _is_gone(now, event):
        # New values that fail with others are not over.
        return None
    if nothing_came(event) and not now.actual[place] > 0:
        # However much the forecast is in doubt, which makes the change smaller.
        change = -base
    asked = base * event.change / event.base if event.base > 0 else 0.0
    variance = float(found.dispersions[0, m, place] * found.bases[0, m, place])
    against = asked * (0.5 * asked - change) / max(variance, 1e-200)
    repeats = found.repeats[m, place] >= BACK_TO_NORMAL or now.repeats(event)
    comes = nothing_came(event) and change > -SOMETHING_COMES * base
    if comes or not (event.base > 0 or repeats):
        # Of what was gone altogether, little is enough; what repeated does so no more.
        against = BACK_TO_NORMAL
    event.doubt = max(0.0, event.doubt + max(-BACK_TO_NORMAL, min(BACK_TO_NORMAL, against)))
    # What another slice shows much better is another event's.
    alone = found.alone[m]
    if repeats or (
        # Where what was gone comes again, more than usual is another event.
        not (comes and change > 0)
        and alone[place] >= SHOWS_ALONE
        and alone[place] >= AS_STRONG * float(alone[now.overlapping(event)].max())
    ):
        event.doubt = 0.0
    if event.doubt > 0.0:
        return False
    if event.side * change > 0 and not repeats:
        event.change += change
        event.base += base
    return True


def _is_gone(now: Now, event: Event) -> bool:
    """Whether an open event of the other side is about all that is new in an event."""
    new = now.new_of(event)
    return any(
        not one.closed and one.side != event.side and bool(now.overlapping(one)[new].all())
        for one in now.known
    )
