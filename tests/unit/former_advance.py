"""The former way to groups, for one commit: what the new one is compared with.

Makes groups of the events that the detector follows, across the windows of successive crawls.

The detector says in which interval which event is open, and on which slice (`Scores.marks`). A
group sums what came and what was expected over the intervals that show its event, and ends with the
last of them. A series of SUM or COUNT that has no row there counts as zero: its silence may be the
fault.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

import numpy as np
from anomaly_detector.config import ROLLED_UP
from anomaly_detector.detection.settings import DetectorSettings, MeasureRule
from anomaly_detector.events.contributions import explaining_slices, shares
from anomaly_detector.events.group import Group, Point, group_id
from anomaly_detector.lattice import Lattice
from anomaly_detector.panel import Scores
from numpy.typing import NDArray


@dataclass(frozen=True)
class Mark:
    """What the detector says of one event in one interval.

    Attributes
    ----------
    at, opened : seconds since 1970, UTC: start of the interval, and of the one that opened the
        event. With `measure` and `first`, the slice that it opened on, `opened` names the event.
    slices : the slice that shows it best so far; several where no kept slice holds them all.
    side : 1 above the expectation, -1 below.
    severity : largest so far, 0-100.
    state : whether the interval shows the event, is quiet within it, or follows its end.
    """

    at: int
    measure: str
    opened: int
    first: tuple[str, ...]
    slices: tuple[tuple[str, ...], ...]
    side: int
    severity: float
    state: Literal["SHOWN", "QUIET", "CLOSED"]


@dataclass(frozen=True)
class OpenEvent:
    """An event that may still grow.

    Attributes
    ----------
    start, last : UTC starts of its first interval, and of the newest that shows it.
    first, slices : the slice that it opened on, and those that show it best.
    sums : slice to (actual, expected, intervals), summed over the intervals that show it.
    """

    measure: str
    start: datetime
    last: datetime
    first: tuple[str, ...]
    slices: tuple[tuple[str, ...], ...]
    side: int
    severity: float
    state: Literal["OPEN", "CLOSED"]
    points: tuple[Point, ...]
    sums: dict[tuple[str, ...], tuple[float, float, int]]


@dataclass(frozen=True)
class EventState:
    """Events that were remembered at the start of an interval."""

    open: tuple[OpenEvent, ...] = ()


@dataclass(frozen=True)
class Advance:
    """Groups that touch the window, by start and measure, and the events known at `carry_at`."""

    groups: tuple[Group, ...]
    carried: EventState


_Key = tuple[str, int, tuple[str, ...]]


@dataclass
class _Growing:
    """An event while the window is gone through; arrays (K,) over the lattice's slices."""

    measure: str
    start: datetime
    last: datetime
    first: tuple[str, ...]
    slices: tuple[tuple[str, ...], ...]
    side: int
    severity: float
    state: Literal["OPEN", "CLOSED"]
    marked: int  # place of its newest mark in the window
    actual: NDArray[np.float64]
    expected: NDArray[np.float64]
    intervals: NDArray[np.int64]
    points: list[Point] = field(default_factory=list)


def advance(
    settings: DetectorSettings,
    events: EventState,
    scores: Scores,
    marks: Sequence[Mark],
    carry_at: np.datetime64 | None,
) -> Advance:
    """Grow, close and open groups over the window of the scores.

    Parameters
    ----------
    events : events known at the start of the window.
    scores : one window of consecutive intervals, as a replay gave it; slices in any order.
    carry_at : UTC; `carried` holds the events as they stood before this interval. At the end of the
        window where None.

    Returns
    -------
    The same groups, whether intervals come in one window or in several with `carried` between them.
    """
    lattice = Lattice.of(scores.slices)
    unknown = {key for event in events.open for key in event.sums if key not in lattice.index}
    if unknown:
        slices = np.empty((len(scores.slices) + len(unknown), len(scores.dimensions)), dtype=object)
        slices[:] = [*lattice.names, *sorted(unknown)]
        lattice = Lattice.of(slices)
    rows = np.arange(len(scores.slices))
    size = len(scores.starts)
    seconds = scores.starts.astype("datetime64[s]").astype(np.int64)
    carry = (
        size
        if carry_at is None
        else int(np.searchsorted(scores.starts, carry_at.astype("datetime64[s]")))
    )
    rules = {rule.name: rule for rule in settings.measures}
    found: dict[_Key, _Growing] = {
        (event.measure, int(event.start.timestamp()), event.first): _resume(event, lattice)
        for event in events.open
    }
    carried: list[OpenEvent] | None = None
    for mark in marks:
        t = int(np.searchsorted(seconds, mark.at))
        if carried is None and t >= carry:
            carried = _carry(found, carry, lattice)
        key = (mark.measure, mark.opened, mark.first)
        if key not in found:
            found[key] = _open(mark, len(lattice.names))
        event = found[key]
        event.slices, event.side, event.severity = mark.slices, mark.side, mark.severity
        event.state, event.marked = "CLOSED" if mark.state == "CLOSED" else "OPEN", t
        if mark.state == "SHOWN":
            _grow(event, rules[mark.measure], scores, t, rows, lattice)
    if carried is None:
        carried = _carry(found, carry, lattice)
    groups = [
        _close(settings, rules[event.measure], event, lattice, scores.dimensions)
        for event in found.values()
    ]
    groups.sort(key=lambda group: (group.start, group.measure, group.id))
    return Advance(tuple(groups), EventState(tuple(carried)))


def _moment(start: np.datetime64) -> datetime:
    return datetime.fromtimestamp(int(start.astype("datetime64[s]").astype(np.int64)), UTC)


def _open(mark: Mark, slices: int) -> _Growing:
    moment = datetime.fromtimestamp(mark.opened, UTC)
    return _Growing(
        mark.measure,
        moment,
        moment,
        mark.first,
        mark.slices,
        mark.side,
        mark.severity,
        "OPEN",
        0,
        np.zeros(slices),
        np.zeros(slices),
        np.zeros(slices, dtype=np.int64),
    )


def _resume(event: OpenEvent, lattice: Lattice) -> _Growing:
    size = len(lattice.names)
    growing = _Growing(
        event.measure,
        event.start,
        event.last,
        event.first,
        event.slices,
        event.side,
        event.severity,
        event.state,
        -1,
        np.zeros(size),
        np.zeros(size),
        np.zeros(size, dtype=np.int64),
        list(event.points),
    )
    for key, (actual, expected, intervals) in event.sums.items():
        place = lattice.index[key]
        growing.actual[place], growing.expected[place], growing.intervals[place] = (
            actual,
            expected,
            intervals,
        )
    return growing


def _carry(found: dict[_Key, _Growing], at: int, lattice: Lattice) -> list[OpenEvent]:
    """The events that were known in the interval before `at`, as they stand before it."""
    return [
        OpenEvent(
            event.measure,
            event.start,
            event.last,
            event.first,
            event.slices,
            event.side,
            event.severity,
            event.state,
            tuple(event.points),
            _sums(event, lattice),
        )
        for _, event in sorted(found.items())
        if event.marked == at - 1
    ]


def _sums(event: _Growing, lattice: Lattice) -> dict[tuple[str, ...], tuple[float, float, int]]:
    places = np.nonzero(event.intervals)[0]
    columns = (event.actual[places], event.expected[places], event.intervals[places])
    values = zip(*(column.tolist() for column in columns), strict=True)
    return {lattice.names[place]: sums for place, sums in zip(places.tolist(), values, strict=True)}


def _grow(
    event: _Growing,
    rule: MeasureRule,
    scores: Scores,
    t: int,
    rows: NDArray[np.int64],
    lattice: Lattice,
) -> None:
    measure, moment = scores.measures.index(rule.name), _moment(scores.starts[t])
    actual, expected = scores.actual[t, measure], scores.expected[t, measure]
    silent = ~np.isfinite(actual) & (expected > 0) & rule.additive
    known = (np.isfinite(actual) | silent) & np.isfinite(expected)
    event.actual[rows] += np.where(known & ~silent, actual, 0.0)
    event.expected[rows] += np.where(known, expected, 0.0)
    event.intervals[rows] += known
    event.last = moment
    flagged = scores.anomalous[t, measure] & (scores.direction[t, measure] == event.side)
    near = np.zeros(len(rows), dtype=np.bool_)
    for key in event.slices:
        place = lattice.index[key]
        near |= lattice.overlapping(place)[rows] & (flagged | (known & (rows == place)))
    points = [
        Point(
            moment,
            lattice.names[rows[k]],
            0.0 if silent[k] else float(actual[k]),
            float(expected[k]),
            float(scores.severity[t, measure, k]),
            _word(event.side),
        )
        for k in np.nonzero(near)[0]
    ]
    event.points.extend(sorted(points, key=lambda point: point.slice))


def _word(side: float) -> Literal["up", "down"]:
    return "up" if side > 0 else "down"


def _close(
    settings: DetectorSettings,
    rule: MeasureRule,
    event: _Growing,
    lattice: Lattice,
    dimensions: tuple[str, ...],
) -> Group:
    chosen = [lattice.index[key] for key in event.slices]
    held = np.zeros(len(lattice.names), dtype=np.bool_)
    for place in chosen:
        held[lattice.leaves[lattice.held(place)]] = True
    flagged = {point.slice for point in event.points}
    part = lattice.leaves[held[lattice.leaves]]
    leaves = sum(lattice.names[leaf] in flagged for leaf in part) if flagged else 0
    deviation = event.actual - event.expected
    within = np.where(held, deviation, 0.0)
    everything = np.ones(len(lattice.names), dtype=np.bool_)
    named = (
        event.slices
        if len(chosen) == 1
        else explaining_slices(
            lattice, np.where(held, deviation, 0.0), event.expected, held, everything
        )
    )
    actual, expected = _values(rule, event, chosen)
    return Group(
        id=group_id(settings.name, event.measure, event.start, event.first),
        measure=event.measure,
        start=event.start,
        end=settings.grid.shift(event.last, 1),
        score=event.severity,
        direction=_word(event.side),
        state=event.state,
        actual=actual,
        expected=expected,
        series_count=int(leaves or max(1, len(flagged))),
        contributions=shares(
            lattice, dimensions, np.where(held, deviation, 0.0), event.side, everything
        ),
        slices=tuple(_named(dimensions, key) for key in named),
        points=tuple(event.points),
    )


def _named(dimensions: tuple[str, ...], key: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, value in zip(dimensions, key, strict=True) if value != ROLLED_UP}


def _values(rule: MeasureRule, event: _Growing, chosen: Sequence[int]) -> tuple[float, float]:
    """Actual and expected of the slices over the intervals that show the event."""
    actual, expected = float(event.actual[chosen].sum()), float(event.expected[chosen].sum())
    if rule.additive:
        return actual, expected
    intervals = max(1, int(event.intervals[chosen].sum()))
    return actual / intervals, expected / intervals
