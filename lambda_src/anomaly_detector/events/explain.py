"""Makes the group of an event: what it is worth, where it is, and what slices and values bring."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise, takewhile

import numpy as np

from anomaly_detector.config import ROLLED_UP
from anomaly_detector.detection.arrays import Array, Mask
from anomaly_detector.detection.settings import DetectorSettings, MeasureRule
from anomaly_detector.events.cause import Leaves, causes
from anomaly_detector.events.contributions import holds, shares
from anomaly_detector.events.event import Event, Slice, Track
from anomaly_detector.events.group import MOST_LEAVES, Cause, Earlier, Group, Kind, Leaf, Part
from anomaly_detector.events.kind import kind_of
from anomaly_detector.events.new_in_event import BY_NEW, CHANCE, MOSTLY_NEW
from anomaly_detector.events.now import BACK_TO_NORMAL
from anomaly_detector.events.parts import Brought, Cube
from anomaly_detector.largest_remainder import apportion
from anomaly_detector.lattice import Lattice

MOST = 0.8  # share of what is usual in an event's slices that what explains it holds, if it is all
# Kinds of which the leaves have a change in common.
_LOCALISED: tuple[Kind, ...] = ("spike", "dip", "level", "ramp")


def explain(settings: DetectorSettings, event: Event, lattice: Lattice) -> Group:
    """The group of an event as it stands: of the scored intervals that show it, at least one.

    Parameters
    ----------
    lattice : of the slices that the event has sums of.
    """
    rule = next(rule for rule in settings.measures if rule.name == event.measure)
    if event.few_rows:
        # Its numbers are those of the rows, whatever is made of them.
        rule = MeasureRule(rule.name, "COUNT")
    found = _found(settings, rule, event, lattice)
    if event.sums.new.any():
        found = _found_new(event, lattice) or found
    return Group(
        id=event.id(settings.name),
        measure=event.measure,
        start=event.points[0].start,
        end=settings.grid.shift(datetime.fromtimestamp(event.last, UTC), 1),
        severity=event.severity,
        direction="up" if found.side > 0 else "down",
        state="CLOSED" if event.closed else "OPEN",
        actual=None if event.no_data else found.actual,
        expected=found.expected,
        series_count=found.series,
        contributions=shares(
            lattice, settings.dimensions, found.deviation, found.side, _known(event)
        ),
        slices=tuple(_named(settings.dimensions, one) for one in found.slices),
        been=tuple(
            _named(settings.dimensions, one) for one in dict.fromkeys((*event.been, *found.slices))
        ),
        points=tuple(event.points),
        kind=found.kind,
        accepted=event.accepted,
        habit=event.habit,
        first=_named(settings.dimensions, event.first),
        rose=tuple((datetime.fromtimestamp(at, UTC), severity) for at, severity in event.rose),
        quiet=_quiet(event, found.kind, settings.grid.seconds),
        leaves=_leaves(rule, event, lattice, found),
        cause=None if event.no_data else _cause(settings.dimensions, found),
        after=tuple(
            Earlier(
                one.id,
                one.severity,
                tuple(_named(settings.dimensions, of) for of in one.slices),
                one.before,
            )
            for one in event.after
            if one.id != event.id(settings.name)
        ),
    )


@dataclass(frozen=True)
class _Found:
    """What is told of an event.

    Attributes
    ----------
    actual, expected : of `slices`. whole : deviation of the slices that it was found in.
    deviation : (K,) of its leaves, 0 for others.
    cube : None where new values are the cause.
    """

    kind: Kind
    side: int
    actual: float
    expected: float
    whole: float
    deviation: Array
    slices: tuple[Slice, ...]
    parts: Sequence[Brought]
    series: int
    cube: Cube | None


def _found(settings: DetectorSettings, rule: MeasureRule, event: Event, lattice: Lattice) -> _Found:
    known = _known(event)
    cube = Cube.of(rule, event, lattice, known)
    flagged = {point.slice for point in event.points}
    held = cube.places[cube.held].tolist()
    leaves = sum(lattice.names[leaf] in flagged for leaf in held)
    deviation = np.zeros(len(lattice.names))
    deviation[cube.places] = cube.rate + cube.mix
    actual, expected = _values(rule, event, lattice)
    side = event.side
    if (actual - expected) * side < 0:
        # In sum, values that vary or that have moved in time may be on the other side.
        if not rule.one_sided:
            side = -side
        else:
            actual, expected = _values_on_side(rule, event) or (actual, expected)
    kind = kind_of(event, side, settings.grid.seconds)
    whole = actual - expected
    parts: Sequence[Brought] = []
    if len(held) > 1 and (kind in _LOCALISED or len(event.slices) > 1):
        parts = cube.localised(side, whole)
    if not parts:
        parts = cube.brought(event.slices)
    slices = tuple(one.slice for one in parts)
    if any(one.effect == "mix" for one in parts):
        # Where rows come from another place than usual, no value of a slice is off.
        slices = event.slices
    elif set(slices) != set(event.slices):
        actual, expected = cube.values(parts)
    elif len(parts) == 1:
        own = parts[0]
        brought = own.deviation if own.effect == "rate" else whole
        parts = [Brought(own.slice, actual, expected, brought, own.effect)]
    if event.wider and _is_whole(event, cube, slices):
        actual, expected = _values(rule, event, lattice)
        slices = event.wider
        parts = [Brought(slices[0], actual, expected, whole)]
    series = leaves or max(1, len(flagged))
    return _Found(kind, side, actual, expected, whole, deviation, slices, parts, series, cube)


def _is_whole(event: Event, cube: Cube, slices: Sequence[Slice]) -> bool:
    """Whether slices hold most of what the event is about, and a wider one holds that."""
    if not all(holds(event.wider[0], one) for one in event.slices):
        return False
    usual = np.abs(cube.expected) * cube.held
    named = np.logical_or.reduce([cube.within(one) for one in slices])
    return bool(usual[named].sum() >= MOST * usual.sum())


def _found_new(event: Event, lattice: Lattice) -> _Found | None:
    """What is told where values that were never seen before make up the change; else None.

    They are the cause, and the other values of the roll-up are innocent.
    """
    places = [lattice.index[name] for name in event.slices]
    # Of what is new, nothing was expected.
    expected = np.where(event.sums.new > 0, 0.0, event.sums.expected)
    change = float((event.sums.actual - expected)[places].sum())
    held = _held(event, lattice) & (event.sums.new > 0)
    new = np.where(held, event.sums.new, 0.0)
    came = float(new.sum())
    by_chance = math.sqrt(float(event.sums.variance[places].sum())) * CHANCE
    most = MOSTLY_NEW if abs(change - came) <= by_chance else BY_NEW
    if change <= 0 or not held.any() or came < most * change:
        return None
    leaves = lattice.leaves[_known(event)[lattice.leaves]]
    usual = event.sums.expected[leaves]
    # Seen from now on, what is new would all be gone before.
    before = Leaves(
        lattice.codes[leaves],
        np.where(held[leaves], 0.0, usual),
        np.where(held[leaves], new[leaves], usual),
    )
    named = [
        tuple(
            ROLLED_UP if code < 0 else str(lattice.values[axis][code])
            for axis, code in enumerate(one)
        )
        for one in causes(before, -1)
    ]
    parts = []
    for one in dict.fromkeys(_widest_new(event, lattice, one) for one in named or event.slices):
        place = lattice.index.get(one)
        inside = [holds(one, name) for name in lattice.names] if place is None else []
        came = float(new[inside].sum() if place is None else event.sums.new[place])
        parts.append(Brought(one, came, 0.0, came))
    actual = sum(one.actual for one in parts)
    slices = tuple(one.slice for one in parts)
    return _Found("new value", 1, actual, 0.0, change, new, slices, parts, int(held.sum()), None)


def _cause(dimensions: tuple[str, ...], found: _Found) -> Cause:
    """The numbers of the slices; percentages sum to 100."""
    brought = [max(0.0, found.side * one.deviation) for one in found.parts]
    rest = max(0.0, found.side * found.whole - sum(brought))
    *percent, unexplained = (part / 100 for part in apportion([*brought, rest], 10_000))
    parts = tuple(
        Part(
            _named(dimensions, one.slice),
            one.actual,
            one.expected,
            one.deviation,
            share,
            one.effect,
            found.cube is None,
        )
        for one, share in zip(found.parts, percent, strict=True)
    )
    cube = found.cube
    if cube is None or cube.rows is None or not found.whole:
        return Cause(found.whole, parts, unexplained)
    rate, mix = (
        round(100 * float(one[cube.held].sum()) / found.whole, 2) for one in (cube.rate, cube.mix)
    )
    return Cause(found.whole, parts, unexplained, rate, mix)


def _quiet(event: Event, kind: Kind, seconds: int) -> int:
    """Intervals since its end, up to where it closed; see `Group.quiet`."""
    if event.closed:
        return max(1, event.quiet)
    if kind == "stuck":
        # A value that changes is surely normal, however near to the expectation the stuck one was.
        return _varied(event.track)
    if not (event.bound or event.few_rows) and event.doubt < BACK_TO_NORMAL:
        return 0
    shown = sorted({point.start for point in event.points})
    pauses = ((after - before).total_seconds() for before, after in pairwise(shown))
    return event.quiet if event.quiet > max(pauses, default=0.0) / seconds - 1 else 0


def _varied(track: Track) -> int:
    """The newest intervals that have another value than the one that was stuck."""
    stuck = max(place for place, one in enumerate(track.stuck) if one)
    newer = track.actual[stuck + 1 :]
    varied = [
        math.isfinite(one) and not math.isclose(one, track.actual[stuck], rel_tol=1e-9)
        for one in newer
    ]
    return len(list(takewhile(bool, reversed(varied))))


def _leaves(rule: MeasureRule, event: Event, lattice: Lattice, found: _Found) -> tuple[Leaf, ...]:
    """The leaves that moved with the event, the largest change first; if none did, all of it."""
    sums, new = event.sums, found.kind == "new value"
    moved = found.side * found.deviation[lattice.leaves]
    own = moved > 0
    if not own.any():
        moved, own = np.abs(moved), _held(event, lattice)[lattice.leaves]
    places = lattice.leaves[own][np.argsort(-moved[own], kind="stable")]
    told = []
    for place in places[:MOST_LEAVES].tolist():
        intervals = max(1, int(sums.intervals[place]))
        actual = float(sums.new[place] if new else sums.actual[place])
        expected = 0.0 if new else float(sums.expected[place])
        value = actual / intervals
        if not rule.additive:
            actual, expected = value, expected / intervals
        told.append(Leaf(lattice.names[place], actual, expected, value))
    return tuple(told)


def _widest_new(event: Event, lattice: Lattice, one: tuple[str, ...]) -> tuple[str, ...]:
    """The widest slice that holds a new one and is new itself, also beyond the event's slices."""
    places = np.flatnonzero(event.sums.new > 0).tolist()
    wider = [lattice.names[place] for place in places if holds(lattice.names[place], one)]
    return min(wider, key=lambda name: (-name.count(ROLLED_UP), name), default=one)


def _known(event: Event) -> Mask:
    """(K,) slices that have sums: one that was born later is as if it were not there."""
    return np.asarray((event.sums.intervals > 0) | (event.sums.new > 0))


def _held(event: Event, lattice: Lattice) -> Mask:
    """(K,) leaves in the event's slices that have sums."""
    held = np.zeros(len(lattice.names), dtype=np.bool_)
    for name in event.slices:
        held[lattice.leaves[lattice.held(lattice.index[name])]] = True
    return held & _known(event)


def _named(dimensions: tuple[str, ...], one: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, value in zip(dimensions, one, strict=True) if value != ROLLED_UP}


def _values(rule: MeasureRule, event: Event, lattice: Lattice) -> tuple[float, float]:
    """Actual of the slices over the intervals that show the event, and what was expected of them
    when it opened.
    """
    sums, places = event.sums, [lattice.index[name] for name in event.slices]
    actual, expected = float(sums.actual[places].sum()), float(sums.expected[places].sum())
    expected -= event.moved
    intervals = 1 if rule.additive else max(1, int(sums.intervals[places].sum()))
    return actual / intervals, expected / intervals


def _values_on_side(rule: MeasureRule, event: Event) -> tuple[float, float] | None:
    """The same over the intervals in which they are on the event's side, None if there are none."""
    own = [
        (point.actual, point.expected)
        for point in event.points
        if point.slice in event.slices and event.side * (point.actual - point.expected) > 0
    ]
    if not own:
        return None
    actual, expected = (float(total) for total in np.sum(own, axis=0))
    intervals = 1 if rule.additive else len(own)
    return actual / intervals, expected / intervals
