"""An event of one measure, from its opening to its end: the one form in which it is remembered."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime
from statistics import NormalDist
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.detection.state import Judged
from anomaly_detector.events.group import Direction, Point, group_id
from anomaly_detector.events.usual import Usual
from anomaly_detector.lattice import Lattice

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Slice = tuple[str, ...]

BY_CHANCE = 0.01  # chance of what is not taken for chance


@dataclass
class Sums:
    """Sums over the intervals that show an event, of all slices; arrays (K,).

    Attributes
    ----------
    actual, expected : what came and what was expected, where both are known.
    new : what came of slices that are new and make up the change; else 0.
    variance : usual one of `actual`; of means, that of `weighed`.
    rows, usual_rows : of means, rows behind the values (of a ratio, its denominator), and usual
        ones; else 0.
    weighed, weighed_expected : of means, values and expectations times the rows that came; else 0.
    change, base : residuals and expectations, also of the intervals that are not scored.
    intervals : int64, number of intervals behind `actual` and `expected`.
    """

    actual: Array
    expected: Array
    new: Array
    variance: Array
    rows: Array
    usual_rows: Array
    weighed: Array
    weighed_expected: Array
    change: Array
    base: Array
    intervals: NDArray[np.int64]

    @classmethod
    def none(cls, slices: int) -> Self:
        """Nothing yet."""
        floats = {one.name: np.zeros(slices) for one in fields(cls) if one.name != "intervals"}
        return cls(**floats, intervals=np.zeros(slices, dtype=np.int64))

    def grown(self, slices: int, places: NDArray[np.int64]) -> Self:
        """A copy with room for `slices`, in which `places` are where its own go."""

        def spread(array: NDArray[Any]) -> NDArray[Any]:
            found = np.zeros(slices, dtype=array.dtype)
            found[places] = array
            return found

        return self._mapped(spread)

    def picked(self, slices: Mask) -> Self:
        """A copy of some slices (K,)."""
        return self._mapped(lambda array: array[slices])

    def copied(self) -> Self:
        """A copy."""
        return self._mapped(np.copy)

    def _mapped(self, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Self:
        return type(self)(*(change(getattr(self, one.name)) for one in fields(self)))


@dataclass
class Track:
    """The slices of an event, together, in each scored interval of its life; as long as each other.

    Attributes
    ----------
    starts : seconds since 1970.
    actual : sum of the slices (mean of averages), NaN where none has a value.
    expected : likewise. variance : usual one of `actual` around it.
    stuck : whether values that repeat are the evidence.
    """

    starts: list[int] = field(default_factory=list)
    actual: list[float] = field(default_factory=list)
    expected: list[float] = field(default_factory=list)
    variance: list[float] = field(default_factory=list)
    stuck: list[bool] = field(default_factory=list)

    def copied(self) -> Self:
        """A copy."""
        return type(self)(*(list(getattr(self, one.name)) for one in fields(self)))

    def until(self, last: int) -> Self:
        """A copy of the intervals that start at `last` at the latest."""
        size = bisect_right(self.starts, last)
        return type(self)(*(getattr(self, one.name)[:size] for one in fields(self)))


class After(NamedTuple):
    """An event that another one came after, as both were then.

    Attributes
    ----------
    severity, slices : its own. before : severity of the other one until then.
    """

    id: str
    severity: float
    slices: tuple[Slice, ...]
    before: float


def once(after: Iterable[After]) -> tuple[After, ...]:
    """Each event once, as it was first."""
    found: dict[str, After] = {}
    for one in after:
        found.setdefault(one.id, one)
    return tuple(found.values())


@dataclass(eq=False)
class Event:
    """An event of one measure; changed in place as intervals come. Times are seconds since 1970.

    Attributes
    ----------
    opened : start of the interval that opened it; with the measure and `first`, the slice that it
        opened on, it names the event.
    slices : the slice that shows it best so far; several where no kept slice holds them all.
    side : 1 above the expectation, -1 below.
    last : start of the newest interval that shows it.
    sums : over the scored intervals that show it; slices as in the state beside it.
    points : series in the scored intervals that show it, ascending by time and slice; its own among
        them.
    track : its slices in all scored intervals since it opened.
    usual : profiles of its slices when it opened; moved : sum of what their expectations have moved
        since, over the intervals that show it.
    evidence : largest R so far, in powers of ten beyond chance; severity likewise, 0-100.
    change, base : residuals and expectations of the slice, summed over the intervals that show it.
    above, below : how far its slices, together, have been from what was expected in an hour of its
        life, or an interval if longer, to either side; in usual deviations.
    age : intervals since it opened; quiet : of them without it, in a row.
    doubt : nats that speak against its going on.
    closed : intervals since its end, 0 while it is open.
    bound : whether it is an event of a static bound (`bounds`), beside those of the model.
    no_data : whether it is that values are missing that always came, in another measure than SUM or
        COUNT, for which no row means zero.
    few_rows : whether it is that far fewer rows came than usual (`few_rows`), which its sums and
        points then count.
    accepted : whether it ended because it lasted: what it brought is the new level.
    habit : on which days it will be expected, as it has come alike often enough; else empty.
    been : slices that have been its own in some interval that shows it, in the order in which they
        became so.
    after : the events that it came after, so far (`earlier`).
    before : its severity before the newest interval.
    rose : starts of the intervals in which its severity rose, and to what.
    new : new slices that have made up its change.
    wider : the slice that is told in the place of its own, as what else that holds tells nothing.
    both : whether its parts deviate to both sides at once, so that their sum tells nothing.
    """

    measure: str
    opened: int
    first: Slice
    slices: tuple[Slice, ...]
    side: int
    last: int
    sums: Sums
    points: list[Point] = field(default_factory=list)
    track: Track = field(default_factory=Track)
    usual: Usual | None = None
    moved: float = 0.0
    evidence: float = -math.inf
    severity: float = 0.0
    change: float = 0.0
    base: float = 0.0
    above: float = 0.0
    below: float = 0.0
    age: int = 0
    quiet: int = 0
    doubt: float = 0.0
    closed: int = 0
    bound: bool = False
    no_data: bool = False
    few_rows: bool = False
    accepted: bool = False
    habit: str = ""
    been: tuple[Slice, ...] = ()
    after: tuple[After, ...] = ()
    before: float = 0.0
    rose: tuple[tuple[int, float], ...] = ()
    new: tuple[Slice, ...] = ()
    wider: tuple[Slice, ...] = ()
    both: bool = False

    def id(self, detector: str) -> str:
        """The id of its group, the same in every replay."""
        # Beside an event of the values.
        first = (*self.first, "few rows") if self.few_rows else self.first
        return group_id(detector, self.measure, datetime.fromtimestamp(self.opened, UTC), first)

    @property
    def direction(self) -> Direction:
        """The side as a word."""
        return "up" if self.side > 0 else "down"

    def usual_share(self, lattice: Lattice) -> float:
        """What its slices would be expected to be, had the event not moved their expectations, as a
        share of what was expected.
        """
        expected = float(self.sums.expected[[lattice.index[name] for name in self.slices]].sum())
        usual = expected - self.moved
        return usual / expected if expected * usual > 0 else 1.0

    @property
    def turned(self) -> bool:
        """Whether its slices have been far above what was expected in an hour, and far below."""
        if self.both:
            return True
        # The more hours, the farther does one get by chance.
        far = NormalDist().inv_cdf(1.0 - BY_CHANCE / (self.age + 1))
        return min(self.above, self.below) > far

    def overlapping(self, lattice: Lattice) -> Mask:
        """(K,) slices that share leaves with the event."""
        overlap = np.zeros(len(lattice.level), dtype=np.bool_)
        for name in self.slices:
            overlap |= lattice.overlapping(lattice.index[name])
        return overlap

    def follow(
        self,
        judged: Judged,
        variance: Array,
        stuck: Mask,
        m: int,
        lattice: Lattice,
        at: int,
        *,
        additive: bool,
        moved: float = 0.0,
    ) -> None:
        """Take in an interval of its life, whether it shows the event or not.

        Parameters
        ----------
        moved : what the expectations of its slices have moved in sum since it opened.
        variance : (K,) usual ones of the values. stuck : (K,) slices whose evidence is repeats.
        m : place of the measure. at : start of the interval.
        additive : whether the measure is SUM or COUNT.
        """
        places = [lattice.index[name] for name in self.slices]
        none = 0.0 if additive else math.nan
        track = self.track
        track.starts.append(at)
        track.actual.append(_together(judged.actual[m, places], math.nan, additive=additive))
        moved = moved if additive else moved / len(places)
        expected = _together(judged.expected[m, places], none, additive=additive)
        track.expected.append(expected - moved)
        track.variance.append(_together(variance[places], none, additive=additive))
        track.stuck.append(bool(stuck[places].any()))

    def show(
        self,
        judged: Judged,
        m: int,
        lattice: Lattice,
        at: int,
        *,
        counted: bool,
        new: Mask | None = None,
        moved: float = 0.0,
    ) -> None:
        """Take in an interval that shows the event: its sums grow, and points are added.

        A sum or count without a row counts as zero: its silence may be the fault. So does
        a missing value in an event without data.

        Parameters
        ----------
        m : place of the measure. at : start of the interval.
        counted : whether no row means zero for the measure.
        new : (K,) slices that are new and make up the change, if any: of them nothing is expected.
        moved : as `follow` takes it.
        """
        self.moved += moved
        self.been = tuple(dict.fromkeys((*self.been, *self.slices)))
        actual, expected = judged.actual[m], judged.expected[m]
        silent = ~np.isfinite(actual) & (self.no_data | ((expected > 0) & counted))
        known = (np.isfinite(actual) | silent) & np.isfinite(expected)
        self.sums.actual += np.where(known & ~silent, actual, 0.0)
        self.sums.expected += np.where(known, expected, 0.0)
        self.sums.intervals += known
        self.last = at
        flagged = judged.anomalous[m] & (judged.direction[m] == self.side)
        near = np.zeros(len(known), dtype=np.bool_)
        for name in self.slices:
            place = lattice.index[name]
            near |= lattice.overlapping(place) & flagged
            near[place] |= known[place]
        severity = judged.severity[m]
        if new is not None:
            self.sums.new += np.where(new, actual, 0.0)
            near |= new & (actual != 0)
            expected = np.where(new, 0.0, expected)
            severity = np.where(new, self.severity, severity)
        self.points += [
            Point(
                datetime.fromtimestamp(at, UTC),
                lattice.names[k],
                0.0 if silent[k] else float(actual[k]),
                float(expected[k]),
                float(severity[k]),
                self._direction(0.0 if silent[k] else actual[k], expected[k]),
            )
            for k in np.nonzero(near)[0].tolist()
        ]

    def weigh(
        self, actual: Array, expected: Array, variance: Array, rows: tuple[Array, Array] | None
    ) -> None:
        """Take in what localises the event of an interval that shows it; arrays (K,).

        Parameters
        ----------
        variance : usual one of the values.
        rows : those that came and usual ones, of a mean; None of others.
        """
        known = np.isfinite(expected)
        if rows is None:
            self.sums.variance += np.where(known, variance, 0.0)
            return
        came, usual = (np.where(known, np.maximum(0.0, one), 0.0) for one in rows)
        known &= np.isfinite(actual) & (came > 0)
        self.sums.variance += np.where(known, np.square(came) * variance, 0.0)
        self.sums.rows += came
        self.sums.usual_rows += usual
        self.sums.weighed += np.where(known, came * actual, 0.0)
        self.sums.weighed_expected += np.where(known, came * expected, 0.0)

    def _direction(self, actual: float, expected: float) -> Direction:
        if actual == expected or not math.isfinite(expected):
            return self.direction
        return "up" if actual > expected else "down"

    def restart(self) -> None:
        """Begin sums and points anew, as if the event had not been shown yet, but for what it goes
        on by.
        """
        change, base = self.sums.change, self.sums.base
        self.sums = replace(Sums.none(len(change)), change=change, base=base)
        self.points = []
        self.been = ()
        self.track = Track()
        self.moved = 0.0
        self.last = self.opened

    def take_over(self, other: Event) -> None:
        """Go on as an event that ended in the interval that opened this one, under its name."""
        self.opened, self.first = other.opened, other.first
        self.been = tuple(dict.fromkeys((*other.been, *self.been)))
        self.new = tuple(dict.fromkeys((*other.new, *self.new)))
        self.after = once((*other.after, *self.after))
        self.before, self.rose = max(self.before, other.before), other.rose
        self.severity = max(self.severity, other.severity)
        for one in fields(Sums):
            total = getattr(self.sums, one.name)
            total += getattr(other.sums, one.name)
        told = {(point.start, point.slice) for point in other.points}
        self.points = [
            *other.points,
            *(point for point in self.points if (point.start, point.slice) not in told),
        ]

    def grown(self, slices: int, places: NDArray[np.int64]) -> Self:
        """A copy with room for `slices`, in which `places` are where its own go."""
        return self._with(self.sums.grown(slices, places))

    def picked(self, slices: Mask) -> Self:
        """A copy of some slices (K,)."""
        return self._with(self.sums.picked(slices))

    def copied(self) -> Self:
        """A copy."""
        return self._with(self.sums.copied())

    def _with(self, sums: Sums) -> Self:
        usual = None if self.usual is None else self.usual.copied()
        points, track = list(self.points), self.track.copied()
        return replace(self, sums=sums, points=points, track=track, usual=usual)


def _together(values: Array, none: float, *, additive: bool) -> float:
    """Sum or mean of the values that are known, `none` if there is none."""
    known = ~np.isnan(values)
    count = int(np.count_nonzero(known))
    if not count:
        return none
    total = float(np.where(known, values, 0.0).sum())
    return total if additive else total / count
