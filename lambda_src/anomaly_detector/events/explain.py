"""Makes the group of an event: what it is worth, where it is, and how much each value shares."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np

from anomaly_detector.config import ROLLED_UP
from anomaly_detector.detection.settings import DetectorSettings
from anomaly_detector.events.contributions import explaining_slices, shares
from anomaly_detector.events.event import Event, Sums
from anomaly_detector.events.group import Group
from anomaly_detector.lattice import Lattice


def explain(settings: DetectorSettings, event: Event, lattice: Lattice) -> Group:
    """The group of an event as it stands: of the scored intervals that show it, at least one.

    Parameters
    ----------
    lattice : of the slices that the event has sums of.
    """
    rule = next(rule for rule in settings.measures if rule.name == event.measure)
    chosen = [lattice.index[name] for name in event.slices]
    # What has no sums, as it was born later, is as if it were not there.
    known = event.sums.intervals > 0
    held = np.zeros(len(lattice.names), dtype=np.bool_)
    for place in chosen:
        held[lattice.leaves[lattice.held(place)]] = True
    held &= known
    flagged = {point.slice for point in event.points}
    leaves = sum(lattice.names[leaf] in flagged for leaf in np.nonzero(held)[0].tolist())
    deviation = np.where(held, event.sums.actual - event.sums.expected, 0.0)
    named = (
        event.slices
        if len(chosen) == 1
        else explaining_slices(lattice, deviation, event.sums.expected, held, known)
    )
    actual, expected = _values(event.sums, chosen, additive=rule.additive)
    return Group(
        id=event.id(settings.name),
        measure=event.measure,
        start=event.points[0].start,
        end=settings.grid.shift(datetime.fromtimestamp(event.last, UTC), 1),
        severity=event.severity,
        direction=event.direction,
        state="CLOSED" if event.closed else "OPEN",
        actual=actual,
        expected=expected,
        series_count=leaves or max(1, len(flagged)),
        contributions=shares(lattice, settings.dimensions, deviation, event.side, known),
        slices=tuple(_named(settings.dimensions, one) for one in named),
        points=tuple(event.points),
    )


def _named(dimensions: tuple[str, ...], one: tuple[str, ...]) -> dict[str, str]:
    return {name: value for name, value in zip(dimensions, one, strict=True) if value != ROLLED_UP}


def _values(sums: Sums, chosen: Sequence[int], *, additive: bool) -> tuple[float, float]:
    """Actual and expected of the slices over the intervals that show the event."""
    places = list(chosen)
    actual, expected = float(sums.actual[places].sum()), float(sums.expected[places].sum())
    if additive:
        return actual, expected
    intervals = max(1, int(sums.intervals[places].sum()))
    return actual / intervals, expected / intervals
