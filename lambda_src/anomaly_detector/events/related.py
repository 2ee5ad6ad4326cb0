"""Events of other measures that are related to an event: at the same time and place, or by habit.

Two events are **linked** if they are of different measures, neither begins more than six intervals
after the other has ended (a day, or one interval if that is longer), and their slices may share a
leaf. The one that began first is told as the potential cause; of two that began in the same
interval, the one of more severity.

A potential cause may have contributed w = p (j + 1) / (n + 2): p is the share of the event's change
in the other's slices (by the event's contributions, as if dimensions were independent), and j of
the n earlier events of its measure were led by the other measure likewise, in the 90 days before.
Several explain 1 - (1 - w1)(1 - w2)..., divided in proportion to w; the rest is unexplained. What
an event may have contributed to a later one is seen from that one.

A measure without an event now is told as well if it led or followed **by habit**: at least three
times, by a lag that is not nought in the median, and more often than chance. Chance is binomial,
with the probability that an event of that measure begins as near; the share of false discoveries
among the measures is at most 5 % (Benjamini and Hochberg 1995).

Nothing here proves a cause. It is a function of the events alone: of each that began in the 90 days
before, and of those linked to it.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from statistics import median_low
from typing import Self

from anomaly_detector.events.group import Group, Related, Relationship, share_leaves
from anomaly_detector.largest_remainder import apportion

NEAR = 6  # intervals
NEAR_AT_MOST = timedelta(days=1)  # unless an interval is longer
REMEMBERED = timedelta(days=90)
FEWEST = 3
FALSE_DISCOVERIES = 0.05
MOST = 20

CAUSE: Relationship = "CAUSE_OF_INPUT_ANOMALY_GROUP"
EFFECT: Relationship = "EFFECT_OF_INPUT_ANOMALY_GROUP"


@dataclass(frozen=True)
class Happened:
    """What relates an event to others, as in `Group`."""

    id: str
    measure: str
    start: datetime
    end: datetime
    severity: float
    slices: tuple[Mapping[str, str], ...]
    contributions: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, group: Group) -> Self:
        """What relates a group to others."""
        return cls(
            group.id,
            group.measure,
            group.start,
            group.end,
            # As it is stored.
            round(group.severity, 2),
            group.slices,
            group.contributions,
        )

    @property
    def began(self) -> tuple[datetime, float, str, str]:
        """Order in which linked events are told."""
        return (self.start, -self.severity, self.measure, self.id)


class Events:
    """Events in the order of their begin, by which each one's related ones are found.

    Parameters
    ----------
    seconds : of an interval.
    """

    def __init__(self, events: Iterable[Happened], seconds: int) -> None:
        self._interval = timedelta(seconds=seconds)
        self._near = max(self._interval, min(NEAR * self._interval, NEAR_AT_MOST))
        self._all = sorted(events, key=lambda one: one.began)
        self._starts = [one.start for one in self._all]
        self._of: dict[str, list[Happened]] = {}
        for one in self._all:
            self._of.setdefault(one.measure, []).append(one)
        self._starts_of = {name: [one.start for one in own] for name, own in self._of.items()}
        self._known: dict[tuple[str, str], list[Happened]] = {}
        self._longest = max((one.end - one.start for one in self._all), default=timedelta())
        # Between the ends of one event and the begin of another that shares a linked one with it.
        self.reach = self._longest + 2 * self._near

    def linked(self, event: Happened) -> list[Happened]:
        """Events of other measures at the same time and place, in the order of their begin."""
        low = bisect_left(self._starts, event.start - self._longest - self._near)
        high = bisect_right(self._starts, event.end + self._near)
        return [one for one in self._all[low:high] if self._are_linked(event, one)]

    def related(self, event: Happened) -> tuple[tuple[Related, ...], float]:
        """The related events of an event, those that may have contributed most first, and the
        percentage of it that none of them may explain.
        """
        linked = self.linked(event)
        causes = [one for one in linked if one.began < event.began]
        weights = [self._weight(event, one) for one in causes]
        percent, unexplained = _shared(weights)
        found = [
            self._told(event, one, CAUSE, share) for one, share in zip(causes, percent, strict=True)
        ]
        found += [
            self._told(event, one, EFFECT, self._contributed(event, one))
            for one in linked
            if one.began > event.began
        ]
        found += self._habits(event, {one.measure for one in linked})
        order = (CAUSE, EFFECT)
        found.sort(
            key=lambda one: (
                not one.now,
                order.index(one.relationship),
                -one.contribution,
                one.measure,
                one.group_id,
            )
        )
        return tuple(found[:MOST]), unexplained

    def _are_linked(self, event: Happened, other: Happened) -> bool:
        return (
            event.measure != other.measure
            and event.start <= other.end + self._near
            and other.start <= event.end + self._near
            and share_leaves(event.slices, other.slices)
        )

    def _contributed(self, event: Happened, later: Happened) -> float:
        causes = [one for one in self.linked(later) if one.began < later.began]
        percent, _ = _shared([self._weight(later, one) for one in causes])
        return percent[[one.id for one in causes].index(event.id)]

    def _weight(self, event: Happened, cause: Happened) -> float:
        joint, number = self._often(event, cause.measure, CAUSE)
        return _place(event, cause) * (len(joint) + 1) / (number + 2)

    def _told(
        self, event: Happened, other: Happened, relationship: Relationship, percent: float
    ) -> Related:
        joint, number = self._often(event, other.measure, relationship)
        lag = round((event.start - other.start).total_seconds())
        return Related(
            other.measure, other.id, relationship, percent, lag, len(joint), number, now=True
        )

    def _often(
        self, event: Happened, measure: str, relationship: Relationship
    ) -> tuple[list[tuple[timedelta, str]], int]:
        """Lags and other event of each earlier event of the measure that another measure led, or
        followed; and how many earlier ones there are.
        """
        sign = 1 if relationship == CAUSE else -1
        joint, number = self._joint(event, measure)
        return [one for one in joint if sign * one[0] >= timedelta()], number

    def _joint(self, event: Happened, measure: str) -> tuple[list[tuple[timedelta, str]], int]:
        """Of each earlier event that began near one of another measure: by how much later it did,
        and the other's ID. And how many earlier ones there are.
        """
        before = self._earlier(event)
        found = []
        for one in before:
            # Of what has come since, nothing was known then.
            near = [two for two in self._close(one, measure) if two.start < event.start]
            if near:
                found.append((one.start - near[0].start, near[0].id))
        return found, len(before)

    def _close(self, event: Happened, measure: str) -> list[Happened]:
        """Events of a measure that began near an event and share leaves with it, nearest first."""
        key = (event.id, measure)
        if key not in self._known:
            others, starts = self._of[measure], self._starts_of[measure]
            low = bisect_left(starts, event.start - self._near)
            high = bisect_right(starts, event.start + self._near)
            near = [two for two in others[low:high] if share_leaves(event.slices, two.slices)]
            near.sort(key=lambda two: (abs(event.start - two.start), two.began))
            self._known[key] = near
        return self._known[key]

    def _earlier(self, event: Happened) -> list[Happened]:
        own, starts = self._of[event.measure], self._starts_of[event.measure]
        return own[bisect_left(starts, event.start - REMEMBERED) : bisect_left(starts, event.start)]

    def _habits(self, event: Happened, present: set[str]) -> list[Related]:
        """Measures without an event now that led or followed earlier ones."""
        tested: list[tuple[float, Related | None]] = []
        for measure in self._of:
            if measure == event.measure or not self._begun(event, measure):
                continue
            joint, number = self._joint(event, measure)
            chance = self._chance(event, measure, len(joint), number)
            lag = median_low([one for one, _ in joint]) if joint else timedelta()
            told = None
            if len(joint) >= FEWEST and lag and measure not in present:
                which = CAUSE if lag > timedelta() else EFFECT
                times = sum((one > timedelta()) == (which == CAUSE) for one, _ in joint if one)
                seconds = round(lag.total_seconds())
                told = Related(measure, joint[-1][1], which, 0.0, seconds, times, number, now=False)
            tested.append((chance, told))
        return [told for told in _discovered(tested) if told is not None]

    def _begun(self, event: Happened, measure: str) -> int:
        """How many events of a measure are remembered when an event begins."""
        starts = self._starts_of[measure]
        return bisect_left(starts, event.start) - bisect_left(starts, event.start - REMEMBERED)

    def _chance(self, event: Happened, measure: str, joint: int, number: int) -> float:
        """Probability of as many coincidences or more."""
        since = max(event.start - REMEMBERED, self._starts[0])
        span = max(event.start - since, self._interval) / self._interval
        begun = self._begun(event, measure)
        width = (2 * self._near + self._interval) / self._interval
        p = 1 - math.exp(-begun * width / span)
        if not joint:
            return 1.0
        return math.fsum(_binomial(k, number, p) for k in range(joint, number + 1))


def with_related(groups: Iterable[Group], events: Events) -> tuple[Group, ...]:
    """The groups, which are among the events, with their related events."""
    found = []
    for group in groups:
        related, unexplained = events.related(Happened.of(group))
        found.append(replace(group, related=related, related_unexplained=unexplained))
    return tuple(found)


def _place(event: Happened, cause: Happened) -> float:
    """The share of the event's change in the slices of another one, at most 1."""
    shares = event.contributions
    return min(
        1.0,
        math.fsum(
            math.prod(shares[name].get(value, 0.0) / 100 for name, value in one.items())
            for one in cause.slices
        ),
    )


def _shared(weights: Sequence[float]) -> tuple[list[float], float]:
    """Percentages of the parts, and of what is unexplained; they sum to 100."""
    rest = math.prod(1 - one for one in weights)
    whole = math.fsum(weights)
    parts = [one / whole * (1 - rest) if whole else 0.0 for one in weights]
    *percent, unexplained = (part / 100 for part in apportion([*parts, rest], 10_000))
    return percent, unexplained


def _binomial(k: int, n: int, p: float) -> float:
    """Probability of k of n, for p above 0."""
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    p = min(p, 1 - 1e-12)
    return math.exp(ways + k * math.log(p) + (n - k) * math.log1p(-p))


def _discovered(tested: Sequence[tuple[float, Related | None]]) -> list[Related | None]:
    """Those whose chance is small enough among as many."""
    ordered = sorted(tested, key=lambda one: one[0])
    most = max(
        (
            rank
            for rank, (chance, _) in enumerate(ordered, 1)
            if chance <= FALSE_DISCOVERIES * rank / len(ordered)
        ),
        default=0,
    )
    return [told for _, told in ordered[:most]]
