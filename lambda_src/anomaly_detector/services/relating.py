"""Relates the groups of a delivery to those on file, and those on file to them.

What is said of a group's related events is a function of all groups on file once the delivery is
complete, however many deliveries it took: every group that is new or has changed is related anew,
and so is every one that may be linked to it, or to one that is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from anomaly_detector.events.group import Group
from anomaly_detector.events.related import REMEMBERED, Events, Happened, with_related
from anomaly_detector.ledger.items import GroupItem
from anomaly_detector.ledger.ledger import Ledger
from anomaly_detector.lookout.group import group_item, group_of

READ = REMEMBERED + timedelta(days=30)
"""How far groups on file are read: what is related anew may itself have begun before."""


@dataclass(frozen=True)
class Filed:
    """Groups on file, among them those of a delivery as they were before it, without their points.

    Attributes
    ----------
    groups : that stand, ascending by start. seconds : of an interval.
    """

    groups: tuple[Group, ...]
    seconds: int

    @classmethod
    def of(
        cls, ledger: Ledger, delivered: Sequence[Group], gone: Sequence[GroupItem], seconds: int
    ) -> Self:
        """What is on file as far back as related events reach; nothing if nothing is delivered.

        Parameters
        ----------
        gone : groups on file that stand no more.
        """
        changed: list[Group | GroupItem] = [*delivered, *gone]
        if not changed:
            return cls((), seconds)
        left = {item.group_id for item in gone}
        found = ledger.anomaly_groups(min(one.start for one in changed) - READ)
        groups = (group_of(one) for one in found)
        return cls(tuple(group for group in groups if group.id not in left), seconds)

    def begun(self, before: datetime) -> dict[str, Group]:
        """Those that began before then, by ID."""
        return {group.id: group for group in self.groups if group.start < before}

    def relate(self, delivered: Sequence[Group]) -> tuple[Group, ...]:
        """The groups of the delivery with their related events."""
        return with_related(delivered, self._events(delivered))

    def relate_back(
        self, ledger: Ledger, delivered: Sequence[Group], gone: Sequence[GroupItem]
    ) -> None:
        """Put on file what has changed for the other groups."""
        changed: list[Group | GroupItem] = [*delivered, *gone]
        if not changed:
            return
        events = self._events(delivered)
        # What an event may have contributed to a later one depends on that one's other causes.
        begin = min(one.start for one in changed) - events.reach
        end = max(one.end for one in changed) + events.reach
        for group in self._others(delivered):
            if group.end < begin or group.start > end:
                continue
            related, unexplained = events.related(Happened.of(group))
            if (related, unexplained) != (group.related, group.related_unexplained):
                ledger.relate_group(group, related, unexplained)

    def _events(self, delivered: Sequence[Group]) -> Events:
        # All as they are on file, where long lists are cut.
        groups = (*self._others(delivered), *(group_of(group_item(one)) for one in delivered))
        return Events(map(Happened.of, groups), self.seconds)

    def _others(self, delivered: Sequence[Group]) -> list[Group]:
        own = {group.id for group in delivered}
        return [group for group in self.groups if group.id not in own]
