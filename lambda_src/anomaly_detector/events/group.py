"""An anomaly group: what is told of one event, whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Literal
from uuid import UUID, uuid5

Direction = Literal["up", "down"]
Effect = Literal["value", "rate", "mix"]
Relationship = Literal["CAUSE_OF_INPUT_ANOMALY_GROUP", "EFFECT_OF_INPUT_ANOMALY_GROUP"]
Kind = Literal[
    "spike",
    "dip",
    "level",
    "ramp",
    "stuck",
    "season",
    "variance",
    "no data",
    "few rows",
    "new value",
    "bound",
]

MOST_LEAVES = 200
_NAMESPACE = UUID("8f0e7a54-54b5-4f57-9c8e-3e1a5f7c2b90")


@dataclass(frozen=True, slots=True)
class Point:
    """One anomalous series in one interval (UTC); `slice` holds a value or `*` per dimension."""

    start: datetime
    slice: tuple[str, ...]
    actual: float
    expected: float
    severity: float
    direction: Direction


@dataclass(frozen=True, slots=True)
class Leaf:
    """A series of the finest level in an event; `actual` and `expected` as those of `Group`.

    `value` is the measure in one of the intervals that show the event, in the mean.
    """

    slice: tuple[str, ...]
    actual: float
    expected: float
    value: float


@dataclass(frozen=True)
class Part:
    """What one slice has to do with an event's deviation.

    Attributes
    ----------
    slice : dimensions and values; `{}` is the total.
    actual, expected : of the slice, as those of a group; `expected` is 0 where it is new. Of a
        `mix`, they are its rows (of a ratio, its denominator).
    deviation : that it brings, in the measure's unit.
    share : percent of the event's deviation.
    effect : of weighted means, whether the slice's own `rate` changed, or its part in the whole,
        the `mix`; of others `value`.
    new : whether the slice was never seen before.
    """

    slice: dict[str, str]
    actual: float
    expected: float
    deviation: float
    share: float
    effect: Effect = "value"
    new: bool = False


@dataclass(frozen=True)
class Cause:
    """What explains an event's deviation, in numbers.

    Attributes
    ----------
    deviation : actual minus expected of the slices that the event was found in, in the measure's
        unit.
    parts : those of `Group.slices` in their order; or, where the mix changed, the slices that
        changed it, while `Group.slices` are those whose value it moved.
    unexplained : percent that no part brings; with their shares it sums to 100.
    rate, mix : of weighted means, percent of the deviation that is due to changed rates of the
        leaves, and to changed parts of them in the whole; of either sign. None of others.
    """

    deviation: float
    parts: tuple[Part, ...]
    unexplained: float
    rate: float | None = None
    mix: float | None = None


@dataclass(frozen=True)
class Related:
    """An event of another measure that is related to an event; it proves nothing.

    Attributes
    ----------
    measure, group_id : of the other event; of a habit, of the latest event that showed it.
    relationship : whether the other one may be a cause of the event, or an effect.
    contribution : percent that a potential cause may have contributed, at most; those of all causes
        and the unexplained rest sum to 100. Of an effect, what the event may have contributed to
        it.
    lag : seconds by which the event began later than the other one, negative if earlier; of a
        habit, the median.
    times, of : how many earlier events of the measure the other measure led (followed) likewise, of
        how many.
    now : whether the other event is at the same time and place, or is only a habit.
    """

    measure: str
    group_id: str
    relationship: Relationship
    contribution: float
    lag: int
    times: int
    of: int
    now: bool


@dataclass(frozen=True)
class Earlier:
    """An event that another one came after, as both were when that was found.

    Attributes
    ----------
    severity : its own. slices : its own. before : severity that the other one had had until then;
        whoever was told of that at once was not told of it in this one's thread.
    """

    id: str
    severity: float = 100.0
    slices: tuple[dict[str, str], ...] = ({},)
    before: float = 0.0


@dataclass(frozen=True)
class Group:
    """An event of one measure.

    Attributes
    ----------
    start, end : UTC; start of the first and end of the last scored interval that shows it
        (half-open).
    severity : 0-100, the largest severity so far.
    direction : up if `actual` is above `expected`.
    actual, expected : the measure over the explained slices and the intervals that show the event
        (mean for AVG, MIN and MAX, else sum); `actual` is None where a mean has no data.
    contributions : per dimension, percentages of its values, which sum to 100.
    slices : smallest set of slices that explains the event, each a map of dimension to value, the
        one that brings most first; `{}` is the total.
    points : anomalous series and intervals, ascending by start.
    kind : see `events.kind`; it may change while the event grows. None in what a former version
        left.
    accepted : whether it ended because it lasted, so that it is the new level.
    habit : the like days (`alike`) on which the same is expected from now on, as it has come often
        enough; else empty.
    quiet : intervals in a row that were normal since, as far as that is sure, once they are more
        than in any pause before; 0 while it goes on. They are counted until it closes.
    been : slices that it has been on so far, among them `slices`: whether an alert is about it does
        not depend on when somebody looks.
    first : slice that it opened on; None in what a former version left.
    rose : starts of the intervals in which its severity rose, and to what.
    leaves : those that moved with the event, the largest change first; at most `MOST_LEAVES`.
    related : events of other measures (`events.related`), which are known where all measures are.
    related_unexplained : percent of the event that no potential cause among them may explain.
    after : events that were in the same place when it began, or shortly before. Whoever was told of
        one of them by then is told of this one in its thread.
    cause : numbers of `slices`; None in what a former version left, and where nothing is expected
        or has come.
    """

    id: str
    measure: str
    start: datetime
    end: datetime
    severity: float
    direction: Direction
    state: Literal["OPEN", "CLOSED"]
    actual: float | None
    expected: float
    series_count: int
    contributions: dict[str, dict[str, float]]
    slices: tuple[dict[str, str], ...]
    points: tuple[Point, ...]
    kind: Kind | None = None
    accepted: bool = False
    habit: str = ""
    quiet: int = 0
    leaves: tuple[Leaf, ...] = ()
    been: tuple[dict[str, str], ...] = ()
    first: dict[str, str] | None = None
    rose: tuple[tuple[datetime, float], ...] = ()
    cause: Cause | None = None
    related: tuple[Related, ...] = ()
    related_unexplained: float = 100.0
    after: tuple[Earlier, ...] = ()

    def reached(self, severity: float) -> datetime:
        """Start of the interval in which it was as severe, its own start if that was earlier."""
        return max(
            self.start, min((at for at, to in self.rose if to >= severity), default=self.start)
        )

    @property
    def is_missing_data(self) -> bool:
        """Whether it tells of data that do not arrive, instead of values."""
        return self.kind in ("no data", "few rows")


@lru_cache(maxsize=1024)  # each interval names the events that are open
def group_id(detector: str, measure: str, start: datetime, first: tuple[str, ...] = ()) -> str:
    """UUID that a replay of the same event gives again; `first` is the slice that it opened on."""
    name = "|".join((detector, measure, start.isoformat(), *first))
    return str(uuid5(_NAMESPACE, name))


def share_leaves(some: Sequence[Mapping[str, str]], others: Sequence[Mapping[str, str]]) -> bool:
    """Whether a leaf may be in a slice of either: one in which no dimension tells them apart."""
    return any(
        all(one[name] == other[name] for name in one.keys() & other.keys())
        for one in some
        for other in others
    )


def in_order(groups: Iterable[Group]) -> tuple[Group, ...]:
    """By start, measure and id."""
    return tuple(sorted(groups, key=lambda one: (one.start, one.measure, one.id)))
