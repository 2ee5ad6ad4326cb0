"""Which alerts a group triggers. Pure: values in, values out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from anomaly_detector.config import Alert
from anomaly_detector.events.group import Group
from anomaly_detector.ledger.items import GroupItem


@dataclass(frozen=True)
class Decision:
    """An alert is sent for a group, unless `because` is the group that was alerted on instead."""

    alert: str
    group: Group
    because: str | None = None


def triggers(alert: Alert, group: Group, dimensions: Sequence[str]) -> bool:
    """Whether the group matches the alert's threshold, measures and dimension filters."""
    if group.severity < alert.threshold:
        return False
    if alert.measures and group.measure not in alert.measures:
        return False
    return _touches(alert.dimension_filters, group, dimensions)


def decide(
    alerts: Mapping[str, Alert],
    groups: Iterable[Group],
    dimensions: Sequence[str],
    *,
    live_from: datetime | None,
    earlier: Sequence[GroupItem],
    told: Callable[[str, str], bool],
) -> tuple[Decision, ...]:
    """Decisions that have not been made yet, oldest group first.

    If late rows change the begin of an event, its group gets another ID. If the alert was already
    decided for a group of the same measure that shares an interval with this one, it is the same
    event and is not sent again.

    Parameters
    ----------
    live_from : UTC; the watermark at activation. A group that began before is history, not news.
    earlier : the groups as they were before this delivery.
    told : whether an alert (name) has been decided for a group (id), however that ended.
    """
    found = []
    for group in sorted(groups, key=lambda one: (one.start, one.id)):
        if live_from is not None and group.start < live_from:
            continue
        kin = predecessors(group, earlier)
        for name, alert in alerts.items():
            if told(name, group.id) or not triggers(alert, group, dimensions):
                continue
            because = next((one.group_id for one in kin if told(name, one.group_id)), None)
            found.append(Decision(name, group, because))
    return tuple(found)


def predecessors(group: Group, earlier: Sequence[GroupItem]) -> tuple[GroupItem, ...]:
    """Other groups of the same measure that share an interval with this one."""
    return tuple(
        one
        for one in earlier
        if one.group_id != group.id
        and one.measure == group.measure
        and one.start < group.end
        and group.start < one.end
    )


def _touches(filters: Mapping[str, Sequence[str]], group: Group, dimensions: Sequence[str]) -> bool:
    # A filter without values has no effect.
    wanted = {name: frozenset(values) for name, values in filters.items() if values}
    if not wanted:
        return True
    named: list[Mapping[str, str]] = list(group.slices)
    named += [dict(zip(dimensions, point.slice, strict=True)) for point in group.points]
    return any(all(one.get(name) in values for name, values in wanted.items()) for one in named)
