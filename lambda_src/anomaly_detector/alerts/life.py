"""What is to be told of an event after its opening: a higher severity class, its end, that it goes
on, what comes after it in the same place, and what began with it elsewhere. Pure.

What holds of an event is compared with what each target knows, so that a target that was down is
told what holds then, and none is told anything twice.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Literal

from anomaly_detector.config import Alert, Config, SeverityClass
from anomaly_detector.events.group import Group
from anomaly_detector.intervals import Grid
from anomaly_detector.ledger.items import AlertItem, Told

EventState = Literal["OPEN", "ONGOING", "RESOLVED", "ACCEPTED", "RETRACTED"]

# Normal values for so long, at least in one interval, end an event.
RESOLVED_AFTER = timedelta(minutes=30)
# Events that are known to be told in a thread: what flaps for years must fit into an item.
MOST_NAMED = 100


def standing(
    config: Config,
    alert: Alert,
    groups: Sequence[Group],
    before: Told | None = None,
    later: Sequence[str] = (),
    linked: Sequence[str] = (),
) -> Told:
    """What holds of an event, as far as the alert tells it.

    Parameters
    ----------
    groups : of the event; several, if late rows have made several of it, or others came after it or
        are linked to it.
    before : what held at the former delivery; the class does not fall.
    later : what names those that came after it. linked : those that are linked to it.
    """
    now = config.severity_class(max(one.severity for one in groups))
    if before is not None:
        rises = alert.risen and _rank(now) > _rank(before.severity_class)
        now = now if rises else before.severity_class
        later, linked = added(before.later, later), added(before.linked, linked)
    over = alert.ended and all(is_over(config, one) for one in groups)
    accepted = over and any(one.accepted for one in groups)
    return Told(
        severity_class=now,
        over=over,
        accepted=accepted,
        later=added((), later),
        linked=added((), linked),
    )


def added(names: Sequence[str], new: Sequence[str]) -> tuple[str, ...]:
    """Names with new ones, each once; of many, the newest are kept, and what is at hand."""
    found = tuple(dict.fromkeys((*names, *new)))
    if len(found) <= MOST_NAMED:
        return found
    return tuple(dict.fromkeys((*(one for one in names if one not in new), *new)))[-MOST_NAMED:]


def is_over(config: Config, group: Group) -> bool:
    """Whether an event has ended: it closed, or has been normal for `RESOLVED_AFTER`."""
    quiet = timedelta(seconds=Grid.of(config).seconds) * group.quiet
    return group.state == "CLOSED" or quiet >= RESOLVED_AFTER


def state_of(item: AlertItem, knows: Told | None) -> EventState:
    """The state of the event that a target is told next, which knows so much of it."""
    if item.retracted:
        return "RETRACTED"
    if knows is None:
        return "OPEN"
    if begins_again(knows, item.holds) or adds(knows, item.holds):
        return "ONGOING"
    if item.holds.over and not knows.over:
        return "ACCEPTED" if item.holds.accepted else "RESOLVED"
    return "ONGOING"


def is_news(knows: Told, holds: Told) -> bool:
    """Whether a target that knows the one is told the other."""
    if knows.over != holds.over or begins_again(knows, holds) or adds(knows, holds):
        return True
    return _rank(holds.severity_class) > _rank(knows.severity_class)


def begins_again(knows: Told, holds: Told) -> bool:
    """Whether another event came after those that a target knows."""
    return not set(holds.later) <= set(knows.later)


def adds(knows: Told, holds: Told) -> bool:
    """Whether an event is linked to those that a target knows."""
    return not set(holds.linked) <= set(knows.linked)


def _rank(one: SeverityClass) -> int:
    return ("low", "medium", "high").index(one)
