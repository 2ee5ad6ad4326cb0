"""Which alerts a group triggers. Pure: values in, values out.

An event that comes after another one in the same place, which was told, is told in its thread: it
opens nothing new for people.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from anomaly_detector.config import ROLLED_UP, Alert
from anomaly_detector.events.group import Group
from anomaly_detector.ledger.items import AlertItem, MuteItem


@dataclass(frozen=True)
class Decision:
    """An alert is sent for a group, unless `because` is the group that was alerted on instead, or
    `mute` holds it back. If it comes `again`, that was another event, in whose thread it is told.

    `before` is the decision that it replaces: one that was retracted, was muted, or has lost the
    group that was alerted on instead. `tellings` is above 1 if the group was told before, and
    retracted.
    """

    alert: str
    group: Group
    because: str | None = None
    again: bool = False
    mute: str | None = None
    before: AlertItem | None = None

    @property
    def tellings(self) -> int:
        """How often the group is told, with this."""
        if self.before is None:
            return 1
        return self.before.tellings + self.before.retracted


def triggers(alert: Alert, group: Group) -> bool:
    """Whether the group matches the alert's threshold and measures, a slice that it has been on the
    alert's dimension filters, and tells of missing data only if the alert does.
    """
    if group.is_missing_data and not alert.missing_data:
        return False
    if group.severity < alert.threshold:
        return False
    if alert.measures and group.measure not in alert.measures:
        return False
    # While an event grows, it may be found elsewhere: a crawl that comes late decides as others do.
    return any(is_within(one, alert.dimension_filters) for one in (*group.slices, *group.been))


def is_within(one: Mapping[str, str], filters: Mapping[str, Sequence[str]]) -> bool:
    """Whether a slice lies within the dimension values; a dimension without values has no effect.

    A slice that rolls such a dimension up does not, as it holds other values, too; unless `*` is
    among them.
    """
    return all(one.get(name, ROLLED_UP) in values for name, values in filters.items() if values)


def muted_by(group: Group, start: datetime, mutes: Iterable[MuteItem]) -> str | None:
    """The ID of the mute that holds for the newest interval of a group and for all of its slices,
    the first by ID; None if there is none.

    Parameters
    ----------
    start : of the newest interval that shows the group.
    """
    for mute in sorted(mutes, key=lambda one: one.id):
        if mute.measures and group.measure not in mute.measures:
            continue
        if not all(is_within(one, mute.dimension_filters) for one in group.slices):
            continue
        if mute.holds(start, group.end):
            return mute.id
    return None


def openings(alert: Alert, groups: Iterable[Group]) -> int:
    """How many of some groups, all of a time, open something new for whoever gets the alert: one
    that comes after another one which was told is told in its thread.
    """
    told: set[str] = set()
    opened = 0
    for group in sorted(groups, key=lambda one: (one.start, one.id)):
        if triggers(alert, group):
            opened += told.isdisjoint(_came_after(alert, group))
            told.add(group.id)
    return opened


Decided = Callable[[str, str], AlertItem | None]


def decide(
    alerts: Mapping[str, Alert],
    groups: Iterable[Group],
    *,
    former: Mapping[str, Sequence[str]],
    decided: Decided,
    muted: Callable[[Group], str | None] = lambda _: None,
) -> Iterator[Decision]:
    """Decisions that have not been made yet, oldest group first; each has to be stored before the
    next one is asked for, which may depend on it.

    If late rows or another model change the begin of an event, its group gets another ID. If the
    alert was already sent for the former group, it is the same event and is not sent again.

    Parameters
    ----------
    groups : without those that are history, not news.
    former : see `past.former_of`, by ID.
    decided : returns the decision on an alert for a group, however it ended; None if there is none.
    muted : returns the ID of the mute that holds a group back. What was muted is decided again when
        an interval after the mute shows it.
    """
    for group in sorted(groups, key=lambda one: (one.start, one.id)):
        for name, alert in alerts.items():
            before = decided(name, group.id)
            if before is not None and not _is_open(before, decided):
                continue
            if not triggers(alert, group):
                continue
            because = _told(name, former[group.id], decided)
            mute = muted(group) if because is None else None
            if mute is not None and before is not None and before.state == "MUTED":
                continue
            after = _came_after(alert, group) if because is mute is None else ()
            thread = _told(name, after, decided)
            yield Decision(name, group, because or thread, thread is not None, mute, before)


def _is_open(item: AlertItem, decided: Decided) -> bool:
    """Whether a decision has to be made again."""
    if item.retracted or item.state == "MUTED":
        return True
    told = None if item.because is None else decided(item.alert, item.because)
    return told is not None and told.retracted


def _came_after(alert: Alert, group: Group) -> tuple[str, ...]:
    """IDs of the events that a group comes after, as far as people had been told of them, and not
    of this one, when that was found: a crawl that comes late decides as each would have.
    """
    return tuple(
        one.id
        for one in group.after
        if one.severity >= alert.threshold > one.before
        and any(is_within(each, alert.dimension_filters) for each in one.slices)
    )


def _told(alert: str, groups: Iterable[str], decided: Decided) -> str | None:
    """The first of some groups that people were told of; under its own ID, or that of the one that
    they were told of instead.
    """
    for group_id in groups:
        item, seen = decided(alert, group_id), {group_id}
        while item is not None and item.because not in {None, *seen}:
            seen.add(item.group_id)
            item = decided(alert, str(item.because))
        if item is not None and _was_told(item):
            return item.group_id
    return None


def _was_told(item: AlertItem) -> bool:
    return not item.retracted and item.state not in ("FAILED", "SUPPRESSED", "OLD", "MUTED")
