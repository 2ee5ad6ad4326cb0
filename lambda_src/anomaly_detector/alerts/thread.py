"""What a target is told of an event and of what is told in its thread, message by message. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from anomaly_detector.alerts.life import added, is_news, standing
from anomaly_detector.config import Alert, Config
from anomaly_detector.events.group import Group
from anomaly_detector.ledger.items import AlertItem, Told

Named = tuple[Group, str]


@dataclass
class Thread:
    """All that is told in the thread of an event: `groups`, of which `later` came after it, and
    `linked` began with it, each with what names it there.
    """

    groups: list[Group] = field(default_factory=list)
    later: list[Named] = field(default_factory=list)
    linked: list[Named] = field(default_factory=list)

    @property
    def own(self) -> list[Group]:
        """Itself and what came after it."""
        beside = [group for group, _ in self.linked]
        return [one for one in self.groups if one not in beside]

    @property
    def first(self) -> list[Group]:
        """The event itself, which late rows may have made several of."""
        after = [group for group, _ in self.later]
        return [one for one in self.own if one not in after]

    def add(self, group: Group, item: AlertItem) -> None:
        """Take in a group by the decision on it."""
        self.groups.append(group)
        if item.named is not None:
            there = self.linked if item.linked else self.later
            there.append((group, item.named))

    def without(self, muted: Sequence[Group]) -> Thread:
        """The same without what is muted: that is the event with all that came after it, or one
        that is linked to it, and none of the others.
        """
        held = {one.measure for one in self.own if one in muted}
        left = [
            one
            for one in self.groups
            if one not in muted and not (one in self.own and one.measure in held)
        ]
        return Thread(
            left,
            [one for one in self.later if one[0] in left],
            [one for one in self.linked if one[0] in left],
        )

    def holds(self, config: Config, alert: Alert, before: Told) -> Told:
        """What holds of it, by what held before."""
        later, linked = ([name for _, name in one] for one in (self.later, self.linked))
        return standing(config, alert, self.groups, before, later, linked)


@dataclass(frozen=True)
class Step:
    """One message.

    Attributes
    ----------
    group : the event that it is about. linked : those that are told with it.
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
    known = Told() if knows is None else knows
    later, linked = (
        [one for one in there if one[1] not in its and (knows is None or one[1] in to_know)]
        for there, its, to_know in (
            (thread.later, known.later, holds.later),
            (thread.linked, known.linked, holds.linked),
        )
    )
    # Also what is told in its thread and of which nothing is at hand any more.
    both = Told(
        later=(*known.later, *holds.later),
        linked=(*known.linked, *holds.linked),
    )
    holds = _naming(holds, both, later, linked)
    begun = [[one] for one in later]
    if knows is None and thread.first:
        begun.insert(0, [(one, "") for one in thread.first])
    if begun:
        return _opened(config, alert, thread, begun, linked, holds, known)
    newest = _newest(thread, holds)
    if not linked or knows is None:
        return [_step(thread, newest, holds)]
    # Whether all is over is told of all of it, after that.
    told = holds.model_copy(update={"over": holds.over and knows.over})
    also = _step(thread, [group for group, _ in linked], told)
    return [also, _step(thread, newest, holds)] if is_news(told, holds) else [also]


def _opened(
    config: Config,
    alert: Alert,
    thread: Thread,
    begun: Sequence[list[Named]],
    linked: Sequence[Named],
    holds: Told,
    known: Told,
) -> list[Step]:
    """One step for each, with those of `linked` that began about then."""
    beside: list[list[Named]] = [[] for _ in begun]
    for one in linked:
        away = [abs(named[0][0].start - one[0].start) for named in begun]
        beside[away.index(min(away))].append(one)
    found = []
    for named, with_it in zip(begun, beside, strict=True):
        together = [group for group, _ in (*named, *with_it)]
        later = [one for one in named if one in thread.later]
        known = _naming(holds, known, later, with_it)
        over = standing(config, alert, together).over
        told = holds if named is begun[-1] else known.model_copy(update={"over": over})
        found.append(_step(thread, together, told))
    return found


def _naming(told: Told, known: Told, later: Sequence[Named], linked: Sequence[Named]) -> Told:
    """What is told, with the names of what is known and of some more."""
    return told.model_copy(
        update={
            "later": added(known.later, [name for _, name in later]),
            "linked": added(known.linked, [name for _, name in linked]),
        }
    )


def _newest(thread: Thread, holds: Told) -> list[Group]:
    """The newest events that a target knows."""
    later = [group for group, name in thread.later if name in holds.later]
    since = max((one.start for one in later), default=None)
    newest = [one for one in thread.groups if since is not None and one.start >= since]
    return newest or thread.groups


def _step(thread: Thread, groups: Sequence[Group], told: Told) -> Step:
    """What tells of some groups: of the event itself first, if it is among them."""
    own = [one for one in groups if one in thread.own]
    group = max(own or groups, key=lambda one: (one.severity, one.id))
    linked = tuple(one for one in groups if one is not group and one not in thread.own)
    return Step(group, linked, group in thread.first, told)
