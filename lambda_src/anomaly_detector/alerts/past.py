"""Under which other groups the same event was on file. Pure: values in, values out."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from anomaly_detector.events.group import Group, share_leaves
from anomaly_detector.ledger.items import GroupItem


def former_of(
    group: Group, known: GroupItem | None, stored: Iterable[GroupItem], standing: Collection[str]
) -> tuple[str, ...]:
    """IDs of the groups that the same event had before, under which it may have been told.

    It is found at a group's first delivery and does not change: two events that come to overlap
    later remain two.

    Parameters
    ----------
    known : the group's own item. stored : groups on file, as former deliveries left them.
    standing : IDs of the groups that still exist; late rows or another model have removed others.
    """
    if known is not None:
        return known.former
    before = predecessors(group, stored, standing)
    ids = (one for item in before for one in (item.group_id, *item.former))
    return tuple(dict.fromkeys(ids))


def predecessors(
    group: Group, stored: Iterable[GroupItem], standing: Collection[str]
) -> tuple[GroupItem, ...]:
    """The groups on file that are the same event as a new group.

    Such a group is of the same measure and direction, shares an interval with this one, and does
    not stand any more or shares leaves with this one: two events side by side are both told.
    """
    return tuple(
        one
        for one in stored
        if one.group_id != group.id
        and is_alike(one, group)
        and (share_leaves(one.slices, group.slices) or one.group_id not in standing)
    )


def is_alike(item: GroupItem, group: Group) -> bool:
    """Whether a group on file and another are of the same measure and direction, and share an
    interval.
    """
    return (
        item.measure == group.measure
        and item.start < group.end
        and group.start < item.end
        and item.direction in (None, group.direction)
    )
