"""Which alerts a group triggers. Pure: values in, values out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from anomaly_detector.config import ROLLED_UP, Alert
from anomaly_detector.events.group import Group
from anomaly_detector.ledger.items import AlertItem, MuteItem


@dataclass(frozen=True)
class Decision:
    """An alert is sent for a group, unless `because` is the group that was alerted on instead, or
    `mute` holds it back.

    `before` is the decision that it replaces: one that was retracted, or was muted. `tellings` is
    above 1 if the group was told before, and retracted.
    """

    alert: str
    group: Group
    because: str | None = None
    mute: str | None = None
    before: AlertItem | None = None

    @property
    def tellings(self) -> int:
        """How often the group is told, with this."""
        if self.before is None:
            return 1
        return self.before.tellings + self.before.retracted


def triggers(alert: Alert, group: Group) -> bool:
    """Whether the group matches the alert's threshold and measures, a slice of it the alert's
    dimension filters, and tells of missing data only if the alert does.
    """
    if group.is_missing_data and not alert.missing_data:
        return False
    if group.severity < alert.threshold:
        return False
    if alert.measures and group.measure not in alert.measures:
        return False
    return any(is_within(one, alert.dimension_filters) for one in group.slices)


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


class Decided(Protocol):
    """The decisions so far."""

    def on(self, alert: str, group_id: str) -> AlertItem | None:
        """The decision on an alert for a group, however it ended; None if there is none."""

    def of(self, alert: str) -> Mapping[str, AlertItem]:
        """All decisions on an alert, by group."""

    def stands(self, item: AlertItem) -> bool:
        """Whether the group still exists, or late rows or another model have removed it."""


def decide(
    alerts: Mapping[str, Alert],
    groups: Iterable[Group],
    *,
    live_from: datetime | None,
    decided: Decided,
    muted: Callable[[Group], str | None] = lambda _: None,
) -> tuple[Decision, ...]:
    """Decisions that have not been made yet, oldest group first.

    If late rows or another model change the begin of an event, its group gets another ID. If the
    alert was already sent for the former group, it is the same event and is not sent again.

    Parameters
    ----------
    live_from : UTC; a group that began before is history, not news.
    muted : returns the ID of the mute that holds a group back. What was muted is decided again when
        an interval after the mute shows it.
    """
    found = []
    for group in sorted(groups, key=lambda one: (one.start, one.id)):
        if live_from is not None and group.start < live_from:
            continue
        for name, alert in alerts.items():
            before = decided.on(name, group.id)
            if before is not None and not before.retracted and before.state != "MUTED":
                continue
            if not triggers(alert, group):
                continue
            former = predecessors(group, decided.of(name), decided.stands)
            because = former[0].group_id if former else None
            mute = muted(group) if because is None else None
            if mute is not None and before is not None and before.state == "MUTED":
                continue
            found.append(Decision(name, group, because, mute, before))
    return tuple(found)


def predecessors(
    group: Group, decided: Mapping[str, AlertItem], stands: Callable[[AlertItem], bool]
) -> tuple[AlertItem, ...]:
    """Decisions on the same event under another group, which was told.

    The other group is of the same measure and direction, shares an interval with this one, and does
    not stand any more or shares leaves with this one: two events side by side are both told.
    """
    return tuple(
        one
        for one in decided.values()
        if one.group_id != group.id
        and is_alike(one, group)
        and _was_told(one, decided)
        and (share_leaves(one.slices, group.slices) or not stands(one))
    )


def is_alike(item: AlertItem, group: Group) -> bool:
    """Whether the group of a decision and another are of the same measure and direction, and share
    an interval.
    """
    return (
        item.measure == group.measure
        and item.start < group.end
        and group.start < item.end
        and item.direction in (None, group.direction)
    )


def share_leaves(some: Sequence[Mapping[str, str]], others: Sequence[Mapping[str, str]]) -> bool:
    """Whether a leaf may be in a slice of either: one in which no dimension tells them apart."""
    return any(
        all(one[name] == other[name] for name in one.keys() & other.keys())
        for one in some
        for other in others
    )


def _was_told(item: AlertItem, decided: Mapping[str, AlertItem]) -> bool:
    seen: set[str] = set()
    while item.because is not None and item.because in decided and item.group_id not in seen:
        seen.add(item.group_id)
        item = decided[item.because]
    return not item.retracted and item.state not in ("FAILED", "SUPPRESSED", "OLD", "MUTED")
