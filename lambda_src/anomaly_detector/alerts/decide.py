"""Which alerts a group triggers. Pure: values in, values out.

An event that comes after another one in the same place, which was told, is told in its thread: it
opens nothing new for people. So is one that began at about the same time and in the same place or
beside it: one fault shows in several measures, and in several slices of one.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from anomaly_detector.config import ROLLED_UP, Alert
from anomaly_detector.events.group import Group
from anomaly_detector.ledger.items import AlertItem, MuteItem

NEAR = timedelta(hours=12)  # unless an interval is longer


@dataclass(frozen=True)
class Decision:
    """An alert is sent for a group, unless `because` is the group that was alerted on instead, or
    `mute` holds it back. If it comes `again`, that was another event, in whose thread it is told;
    so it is if it is `linked` to another one, and is then named this there.

    `before` is the decision that it replaces: one that was retracted, was muted, or has lost the
    group that was alerted on instead. `tellings` is above 1 if the group was told before, and
    retracted.
    """

    alert: str
    group: Group
    because: str | None = None
    again: bool = False
    linked: str | None = None
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


def near(seconds: int) -> timedelta:
    """How far linked events are apart at most: half a day, or an interval of so many seconds if
    that is longer; on the same slice twice as far.
    """
    return max(timedelta(seconds=seconds), NEAR)


class Linked:
    """Which events are told as one: those that began, and became severe enough for the alert,
    within a short time, and opened on slices that may share a leaf, or that one dimension alone
    tells apart. None of that changes while they grow, so that a crawl that comes late decides as
    each would have.

    Parameters
    ----------
    near : that time; events on the same slice may be twice as far apart, unless it is the total,
        which has room for several faults a day.
    """

    def __init__(self, groups: Iterable[Group], near: timedelta) -> None:
        # What a former version has left does not say where it opened.
        self._all = sorted(
            ((one, one.first) for one in groups if one.first is not None),
            key=lambda one: one[0].start,
        )
        self._starts = [one.start for one, _ in self._all]
        self._near = near
        self._known: dict[str, list[tuple[Group, timedelta]]] = {}

    def to(self, alert: Alert, group: Group) -> list[Group]:
        """Those that are linked to a group as the alert sees them, the one that was told first
        first; none if it tells each by itself.
        """
        if not alert.links:
            return []
        reached = group.reached(alert.threshold)
        found = [
            one
            for one, apart in self._beside(group)
            if triggers(alert, one) and abs(one.reached(alert.threshold) - reached) <= apart
        ]
        return in_order(alert, found)

    def _beside(self, group: Group) -> list[tuple[Group, timedelta]]:
        """Those that began with it in its place or beside it, whatever they are worth, and how far
        they may be apart.
        """
        if group.id not in self._known:
            low = bisect_left(self._starts, group.start - 2 * self._near)
            high = bisect_right(self._starts, group.start + 2 * self._near)
            found: list[tuple[Group, timedelta]] = []
            for one, first in self._all[low:high]:
                if one.id == group.id or group.first is None or not _are_near(first, group.first):
                    continue
                apart = self._near * (2 if first and first == group.first else 1)
                if abs(one.start - group.start) <= apart:
                    found.append((one, apart))
            self._known[group.id] = found
        return self._known[group.id]


def _are_near(one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Whether a leaf may be in both slices, or they have a value in common and one that differs."""
    both = one.keys() & other.keys()
    differ = sum(one[name] != other[name] for name in both)
    return differ == 0 or (differ == 1 and len(both) > 1)


def in_order(alert: Alert, groups: Iterable[Group]) -> list[Group]:
    """As the alert tells them if each interval is crawled by itself."""
    return sorted(groups, key=lambda one: (one.reached(alert.threshold), one.start, one.id))


def openings(alert: Alert, groups: Iterable[Group], linked: Linked) -> int:
    """How many of some groups, all of a time, open something new for whoever gets the alert: one
    that comes after another one which was told, or is linked to it, is told in its thread.
    """
    told: set[str] = set()
    opened = 0
    for group in in_order(alert, (one for one in groups if triggers(alert, one))):
        if told.isdisjoint(_came_after(alert, group)):
            opened += told.isdisjoint(one.id for one in linked.to(alert, group))
        told.add(group.id)
    return opened


Decided = Callable[[str, str], AlertItem | None]


def decide(
    alerts: Mapping[str, Alert],
    groups: Iterable[Group],
    *,
    former: Mapping[str, Sequence[str]],
    linked: Linked,
    decided: Decided,
    muted: Callable[[Group], str | None] = lambda _: None,
) -> Iterator[Decision]:
    """Decisions that have not been made yet, of each alert in the order in which it tells them.
    Each has to be stored before the next one is asked for, which may depend on it.

    If late rows or another model change the begin of an event, its group gets another ID. If the
    alert was already sent for the former group, it is the same event and is not sent again.

    Parameters
    ----------
    groups : without those that are history, not news.
    former : see `past.former_of`, by ID.
    linked : of these groups, and of others that may have been told.
    decided : returns the decision on an alert for a group, however it ended; None if there is none.
    muted : returns the ID of the mute that holds a group back. What was muted is decided again when
        an interval after the mute shows it.
    """
    everything = tuple(groups)
    for name, alert in alerts.items():
        for group in in_order(alert, everything):
            before = decided(name, group.id)
            if before is not None and not _is_open(before, decided):
                continue
            if not triggers(alert, group):
                continue
            because = _told(name, former[group.id], decided)
            if because is not None:
                # Under its former name, it may have been told in the thread of another one.
                named = (decided(name, one) for one in former[group.id])
                known = next((one.linked for one in named if one and one.linked), None)
                yield Decision(name, group, because, linked=known, before=before)
                continue
            mute = muted(group)
            if mute is not None:
                if before is None or before.state != "MUTED":
                    yield Decision(name, group, mute=mute, before=before)
                continue
            thread = _told(name, _came_after(alert, group), decided)
            again = thread is not None
            if thread is None:
                threads = (_told(name, [one.id], decided) for one in linked.to(alert, group))
                reached = (one for one in threads if _reaches_all(name, alert, one, decided))
                thread = next(reached, None)
            one = Decision(name, group, thread, again, before=before)
            if thread is not None and not again:
                # It is told anew if it was retracted in between.
                one = replace(one, linked=f"{group.id}/{one.tellings}")
            yield one


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


def _reaches_all(name: str, alert: Alert, thread: str | None, decided: Decided) -> bool:
    """Whether a thread is that of all targets: another configuration may have had fewer."""
    item = None if thread is None else decided(name, thread)
    return item is not None and set(alert.targets) <= item.targets.keys()


def _was_told(item: AlertItem) -> bool:
    return not item.retracted and item.state not in ("FAILED", "SUPPRESSED", "OLD", "MUTED")
