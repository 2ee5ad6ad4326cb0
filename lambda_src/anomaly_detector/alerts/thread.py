"""What a target is told of an event and of what is told in its thread, message by message. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from anomaly_detector.alerts.life import begins_again, is_news, standing
from anomaly_detector.config import Alert, Config
from anomaly_detector.events.group import Group
from anomaly_detector.ledger.items import AlertItem, Told


@dataclass
class Thread:
    """All that is told in the thread of an event: `groups`, of which `later` came after it, and
    `linked` are of other measures, with what names them (`AlertItem.linked`).
    """

    groups: list[Group] = field(default_factory=list)
    later: list[Group] = field(default_factory=list)
    linked: list[tuple[Group, str]] = field(default_factory=list)

    @property
    def own(self) -> list[Group]:
        """Those of its own measure."""
        beside = [group for group, _ in self.linked]
        return [one for one in self.groups if one not in beside]

    def add(self, group: Group, item: AlertItem) -> None:
        """Take in a group by the decision on it."""
        self.groups.append(group)
        self.later += [group] if item.again else []
        self.linked += [(group, item.linked)] if item.linked else []

    def without(self, muted: Sequence[Group]) -> Thread:
        """The same without what is muted: that is the event with all that came after it in its
        measure, or one that is linked to it, and none of the others.
        """
        held = {one.measure for one in self.own if one in muted}
        left = [
            one
            for one in self.groups
            if one not in muted and not (one in self.own and one.measure in held)
        ]
        return Thread(
            left,
            [one for one in self.later if one in left],
            [one for one in self.linked if one[0] in left],
        )

    def holds(self, config: Config, alert: Alert, before: Told) -> Told:
        """What holds of it, by what held before."""
        since = max((group.start for group in self.later), default=None)
        names = [name for _, name in self.linked]
        return standing(config, alert, self.groups, before, since, names)


@dataclass(frozen=True)
class Step:
    """One message.

    Attributes
    ----------
    group : the event that it is about. linked : those of other measures that are told with it.
    named : whether it goes by the name of the event that was told first.
    told : what the target knows then.
    """

    group: Group
    linked: tuple[Group, ...]
    named: bool
    told: Told


def steps(
    config: Config, alert: Alert, thread: Thread, holds: Told, knows: Told | None
) -> list[Step]:
    """What a target that knows so much is told, one after the other: of the event, of each that
    came after it, and of those that are linked to it, with what they began with or by themselves.

    Parameters
    ----------
    holds : what it knows in the end.
    """
    known = () if knows is None else knows.linked
    new = [
        one
        for one in thread.linked
        if one[1] not in known and (knows is None or one[1] in holds.linked)
    ]
    # Also what is linked to it and of which nothing is at hand any more.
    holds = _knowing(holds, (*known, *holds.linked, *(name for _, name in new)))
    begun = _begun(thread, holds, knows)
    if begun:
        return _opened(config, alert, thread, begun, new, holds, known)
    newest = _newest(thread, holds)
    if not new or knows is None:
        return [_step(thread, newest, holds)]
    # Whether all is over is told of all of it, after that.
    told = holds.model_copy(update={"over": holds.over and knows.over})
    added = _step(thread, [group for group, _ in new], told)
    return [added, _step(thread, newest, holds)] if is_news(told, holds) else [added]


def _begun(thread: Thread, holds: Told, knows: Told | None) -> list[list[Group]]:
    """The event, if the target does not know it, and each that came after it that it does not."""
    found = []
    if knows is None:
        found.append([one for one in thread.own if one not in thread.later])
    if knows is None or begins_again(knows, holds):
        since = None if knows is None else knows.since
        found += [[one] for one in thread.later if since is None or one.start > since]
    return [one for one in found if one]


def _opened(
    config: Config,
    alert: Alert,
    thread: Thread,
    begun: Sequence[list[Group]],
    new: Sequence[tuple[Group, str]],
    holds: Told,
    known: tuple[str, ...],
) -> list[Step]:
    """One step for each, with those of `new` that began about then."""
    linked: list[list[tuple[Group, str]]] = [[] for _ in begun]
    for one in new:
        away = [abs(groups[0].start - one[0].start) for groups in begun]
        linked[away.index(min(away))].append(one)
    found = []
    for groups, beside in zip(begun, linked, strict=True):
        together = [*groups, *(group for group, _ in beside)]
        known = (*known, *(name for _, name in beside))
        told = holds
        if groups is not begun[-1]:
            over = standing(config, alert, together).over
            since = groups[0].start if groups[0] in thread.later else None
            told = _knowing(holds, known).model_copy(update={"over": over, "since": since})
        found.append(_step(thread, together, told))
    return found


def _newest(thread: Thread, holds: Told) -> list[Group]:
    """The newest events that a target knows."""
    newest = [one for one in thread.groups if holds.since and one.start >= holds.since]
    return newest or thread.groups


def _step(thread: Thread, groups: Sequence[Group], told: Told) -> Step:
    """What tells of some groups: of the event itself first, if it is among them."""
    own = [one for one in groups if one in thread.own]
    group = max(own or groups, key=lambda one: (one.severity, one.id))
    linked = tuple(one for one in groups if one is not group and one not in thread.own)
    return Step(group, linked, bool(own) and group not in thread.later, told)


def _knowing(told: Told, linked: Sequence[str]) -> Told:
    return told.model_copy(update={"linked": tuple(dict.fromkeys(linked))})
