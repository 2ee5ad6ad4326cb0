"""Joins anomalous intervals of one measure into events, across the windows of successive crawls.

An event is open while any slice of its measure, roll-up or leaf, is anomalous. One quiet interval
within it does not end it, because a fault near the threshold would otherwise fall into pieces; the
second one closes it, and its end stays that of the last anomalous interval. Only anomalous
intervals count towards its values and shares. A series of SUM or COUNT that has no row while its
measure is anomalous counts as zero there: its silence may be the fault.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.detection.settings import DetectorSettings, MeasureRule
from anomaly_detector.errors import PermanentError
from anomaly_detector.explain.contributions import Lattice, explaining_slices, holds, shares
from anomaly_detector.explain.group import Group, Point, group_id
from anomaly_detector.intervals import iso, parse_iso
from anomaly_detector.panel import ROLLED_UP, Scores

QUIET_TO_CLOSE = 2
_VERSION = 1


@dataclass(frozen=True)
class OpenEvent:
    """An event that may still grow.

    Attributes
    ----------
    start, last : UTC starts of its first and newest anomalous interval.
    quiet : intervals since `last`.
    sums : slice to (actual, expected, intervals), summed over the anomalous intervals, where known.
    silent : slices that had no row in one of them.
    """

    measure: str
    start: datetime
    last: datetime
    quiet: int
    points: tuple[Point, ...]
    sums: dict[tuple[str, ...], tuple[float, float, int]]
    silent: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True)
class EventState:
    """Events that were open at the start of an interval."""

    open: tuple[OpenEvent, ...] = ()


@dataclass(frozen=True)
class Advance:
    """Groups that touch the window, by start and measure, and the events open at `carry_at`."""

    groups: tuple[Group, ...]
    carried: EventState


@dataclass
class _Growing:
    """An event while the window is gone through; arrays (K,) over the lattice's slices."""

    measure: str
    start: datetime
    last: datetime
    place: int  # index of `last` in the window, negative where before it
    actual: NDArray[np.float64]
    expected: NDArray[np.float64]
    intervals: NDArray[np.int64]
    silent: NDArray[np.bool_]
    points: list[Point] = field(default_factory=list)


def advance(
    settings: DetectorSettings, events: EventState, scores: Scores, carry_at: np.datetime64 | None
) -> Advance:
    """Grow, close and open events over the window of the scores.

    Parameters
    ----------
    events : events open at the start of the window.
    scores : one window of consecutive intervals; slices in any order.
    carry_at : UTC; `carried` holds the events as they stood before this interval. At the end of the
        window where None.

    Returns
    -------
    The same groups, whether intervals come in one window or in several with `carried` between them.
    """
    keys = [tuple(str(value) for value in row) for row in scores.slices]
    lattice = Lattice(
        scores.dimensions,
        tuple(sorted({*keys, *(key for event in events.open for key in event.sums)})),
    )
    rows = np.array([lattice.index[key] for key in keys], dtype=np.int64)
    size = len(scores.starts)
    carry = (
        size
        if carry_at is None
        else int(np.searchsorted(scores.starts, carry_at.astype("datetime64[s]")))
    )
    groups: list[Group] = []
    carried: list[OpenEvent] = []
    for rule in settings.measures:
        measure = scores.measures.index(rule.name)
        found = [_resume(event, lattice) for event in events.open if event.measure == rule.name]
        kept = False
        for t in np.nonzero(scores.anomalous[:, measure, :].any(axis=0))[0]:
            if not kept and t >= carry:
                carried.extend(_carry(found, carry, lattice))
                kept = True
            if not found or t - found[-1].place > QUIET_TO_CLOSE:
                found.append(_open(rule.name, _moment(scores.starts[t]), len(lattice.slices)))
            _grow(found[-1], rule, scores, int(t), rows)
        if not kept:
            carried.extend(_carry(found, carry, lattice))
        groups.extend(_close(settings, rule, event, lattice, size) for event in found)
    groups.sort(key=lambda group: (group.start, group.measure))
    return Advance(tuple(groups), EventState(tuple(carried)))


def _moment(start: np.datetime64) -> datetime:
    return datetime.fromtimestamp(int(start.astype("datetime64[s]").astype(np.int64)), UTC)


def _open(measure: str, moment: datetime, slices: int) -> _Growing:
    return _Growing(
        measure,
        moment,
        moment,
        0,
        np.zeros(slices),
        np.zeros(slices),
        np.zeros(slices, dtype=np.int64),
        np.zeros(slices, dtype=np.bool_),
    )


def _resume(event: OpenEvent, lattice: Lattice) -> _Growing:
    growing = _open(event.measure, event.start, len(lattice.slices))
    growing.last, growing.place, growing.points = event.last, -1 - event.quiet, list(event.points)
    for key, (actual, expected, intervals) in event.sums.items():
        place = lattice.index[key]
        growing.actual[place], growing.expected[place], growing.intervals[place] = (
            actual,
            expected,
            intervals,
        )
    growing.silent[[lattice.index[key] for key in event.silent]] = True
    return growing


def _carry(found: list[_Growing], at: int, lattice: Lattice) -> list[OpenEvent]:
    """The newest event as it stands before the interval `at`, unless it is closed by then."""
    if not found or at - 1 - found[-1].place >= QUIET_TO_CLOSE:
        return []
    event = found[-1]
    sums = {
        lattice.slices[place]: (
            float(event.actual[place]),
            float(event.expected[place]),
            int(event.intervals[place]),
        )
        for place in np.nonzero(event.intervals)[0]
    }
    silent = tuple(lattice.slices[place] for place in np.nonzero(event.silent)[0])
    return [
        OpenEvent(
            event.measure,
            event.start,
            event.last,
            at - 1 - event.place,
            tuple(event.points),
            sums,
            silent,
        )
    ]


def _grow(
    event: _Growing, rule: MeasureRule, scores: Scores, t: int, rows: NDArray[np.int64]
) -> None:
    measure, moment = scores.measures.index(rule.name), _moment(scores.starts[t])
    actual, expected = scores.actual[:, measure, t], scores.expected[:, measure, t]
    silent = ~np.isfinite(actual) & (expected > 0) & rule.additive
    known = (np.isfinite(actual) | silent) & np.isfinite(expected)
    event.actual[rows] += np.where(known & ~silent, actual, 0.0)
    event.expected[rows] += np.where(known, expected, 0.0)
    event.intervals[rows] += known
    event.silent[rows] |= silent
    event.last, event.place = moment, t
    points = [
        Point(
            moment,
            tuple(str(value) for value in scores.slices[k]),
            float(actual[k]),
            float(expected[k]),
            float(scores.severity[k, measure, t]),
            _word(int(scores.direction[k, measure, t])),
        )
        for k in np.nonzero(scores.anomalous[:, measure, t])[0]
    ]
    event.points.extend(sorted(points, key=lambda point: point.slice))


def _word(side: float) -> Literal["up", "down"]:
    return "up" if side > 0 else "down"


def _close(
    settings: DetectorSettings, rule: MeasureRule, event: _Growing, lattice: Lattice, size: int
) -> Group:
    deviation = event.actual - event.expected
    flagged = np.zeros(len(lattice.slices), dtype=np.bool_)
    flagged[[lattice.index[point.slice] for point in event.points]] = True
    # The worst points give the direction: a large roll-up's usual noise may point elsewhere.
    pull = sum(point.severity * (1 if point.direction == "up" else -1) for point in event.points)
    side = 1 if pull > 0 else -1
    chosen = explaining_slices(lattice, deviation, event.expected, flagged | event.silent)
    part = np.isin(np.arange(len(lattice.slices)), _held(lattice, chosen)) | flagged
    actual, expected = _values(rule, event, lattice, chosen)
    leaves = flagged[lattice.leaves].sum()
    return Group(
        id=group_id(settings.name, event.measure, event.start),
        measure=event.measure,
        start=event.start,
        end=settings.grid.shift(event.last, 1),
        score=max(point.severity for point in event.points),
        direction=_word(side),
        state="CLOSED" if size - 1 - event.place >= QUIET_TO_CLOSE else "OPEN",
        actual=actual,
        expected=expected,
        series_count=int(leaves or flagged.sum()),
        contributions=shares(lattice, np.where(part, deviation, 0.0), side),
        slices=tuple(_named(lattice.dimensions, key) for key in chosen),
        points=tuple(event.points),
    )


def _named(dimensions: tuple[str, ...], key: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, value in zip(dimensions, key, strict=True) if value != ROLLED_UP}


def _held(lattice: Lattice, chosen: tuple[tuple[str, ...], ...]) -> list[int]:
    """Places of the leaves that lie in any of the slices."""
    return [
        int(leaf)
        for leaf in lattice.leaves
        if any(holds(key, lattice.slices[leaf]) for key in chosen)
    ]


def _values(
    rule: MeasureRule, event: _Growing, lattice: Lattice, chosen: tuple[tuple[str, ...], ...]
) -> tuple[float, float]:
    """Actual and expected over the explaining slices: of their own series, or of their leaves."""
    own = len(chosen) == 1 and chosen[0] in lattice.index
    at = [lattice.index[chosen[0]]] if own else _held(lattice, chosen)
    actual, expected = float(event.actual[at].sum()), float(event.expected[at].sum())
    if rule.additive:
        return actual, expected
    intervals = max(1, int(event.intervals[at].sum()))
    return actual / intervals, expected / intervals


def group_to_dict(group: Group) -> dict[str, Any]:
    """Lookout's AnomalyGroup, with State, Direction, Actual, Expected and Slices besides."""
    dimensions = [
        {
            "DimensionName": name,
            "DimensionValueContributionList": [
                {"DimensionValue": value, "ContributionScore": share}
                for value, share in values.items()
            ],
        }
        for name, values in group.contributions.items()
    ]
    return {
        "StartTime": iso(group.start),
        "EndTime": iso(group.end),
        "AnomalyGroupId": group.id,
        "AnomalyGroupScore": round(group.score, 2),
        "PrimaryMetricName": group.measure,
        "MetricLevelImpactList": [
            {
                "MetricName": group.measure,
                "NumTimeSeries": group.series_count,
                "ContributionMatrix": {"DimensionContributionList": dimensions},
            }
        ],
        "State": group.state,
        "Direction": group.direction,
        "Actual": group.actual,
        "Expected": group.expected,
        "Slices": [dict(one) for one in group.slices],
    }


def groups_to_json(
    groups: Sequence[Group], *, threshold: float, scored_from: datetime, scored_to: datetime
) -> str:
    """The content of `groups.json` (design, section 11)."""
    document = {
        "threshold": threshold,
        "scored_from": iso(scored_from),
        "scored_to": iso(scored_to),
        "groups": [group_to_dict(group) for group in groups],
    }
    return json.dumps(document, ensure_ascii=False, indent=1)


def _point_to_list(point: Point) -> list[Any]:
    return [
        iso(point.start),
        list(point.slice),
        point.actual,
        point.expected,
        point.severity,
        point.direction,
    ]


def _point_of(parts: list[Any]) -> Point:
    start, key, actual, expected, severity, direction = parts
    return Point(parse_iso(start), tuple(key), actual, expected, severity, direction)


def events_to_json(events: EventState) -> str:
    """The carried events as JSON; floats keep every digit."""
    found = [
        {
            "measure": event.measure,
            "start": iso(event.start),
            "last": iso(event.last),
            "quiet": event.quiet,
            "points": [_point_to_list(point) for point in event.points],
            "sums": [[list(key), *values] for key, values in event.sums.items()],
            "silent": [list(key) for key in event.silent],
        }
        for event in events.open
    ]
    return json.dumps({"version": _VERSION, "open": found}, ensure_ascii=False)


def events_from_json(text: str | bytes) -> EventState:
    """Read what `events_to_json` wrote.

    Raises
    ------
    PermanentError
        Where the text has another version or shape.
    """
    try:
        document = json.loads(text)
        if document["version"] != _VERSION:
            raise PermanentError(
                f"The open events have version {document['version']}, this package reads "
                f"{_VERSION}: start the pipeline again, which trains a new model from history."
            )
        return EventState(
            tuple(
                OpenEvent(
                    measure=event["measure"],
                    start=parse_iso(event["start"]),
                    last=parse_iso(event["last"]),
                    quiet=event["quiet"],
                    points=tuple(_point_of(parts) for parts in event["points"]),
                    sums={
                        tuple(key): (actual, expected, intervals)
                        for key, actual, expected, intervals in event["sums"]
                    },
                    silent=tuple(tuple(key) for key in event["silent"]),
                )
                for event in document["open"]
            )
        )
    except (KeyError, TypeError, ValueError) as error:
        raise PermanentError(
            f"The open events cannot be read ({error}): start the pipeline again."
        ) from error


def group_to_json(group: Group) -> str:
    """One group with every field, for storage between functions."""
    document = {
        "id": group.id,
        "measure": group.measure,
        "start": iso(group.start),
        "end": iso(group.end),
        "score": group.score,
        "direction": group.direction,
        "state": group.state,
        "actual": group.actual,
        "expected": group.expected,
        "series_count": group.series_count,
        "contributions": group.contributions,
        "slices": list(group.slices),
        "points": [_point_to_list(point) for point in group.points],
    }
    return json.dumps(document, ensure_ascii=False)


def group_from_json(text: str | bytes) -> Group:
    """Read what `group_to_json` wrote."""
    document = json.loads(text)
    return Group(
        **{
            **document,
            "start": parse_iso(document["start"]),
            "end": parse_iso(document["end"]),
            "slices": tuple(document["slices"]),
            "points": tuple(_point_of(parts) for parts in document["points"]),
        }
    )
