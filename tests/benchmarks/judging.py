"""How events over slices are judged against the truth: see `worlds` for the definitions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from anomaly_detector.config import ROLLED_UP
from anomaly_detector.panel import Scores
from anomaly_detector.replay import replay
from anomaly_detector.snapshot import Snapshot
from numpy.typing import NDArray

from tests.benchmarks.ground_truth import Simulated, Truth

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

AFTER = 2


@dataclass(frozen=True)
class Event:
    """What a detector reports; `begin`, `end` are places in the panel, half-open.

    Attributes
    ----------
    anomalous : places of its anomalous intervals, ascending.
    leaves : (L,) those of the slices that it names.
    severity : 0-100, of this detector's events.
    """

    measure: str
    begin: int
    end: int
    anomalous: tuple[int, ...]
    leaves: Mask
    severity: float = 100.0


def ours_with_scores(world: Simulated) -> tuple[list[Event], Scores]:
    """Events of the detector, and the scores of all scored values."""
    starts = world.panel.starts
    done = replay(
        world.settings,
        Snapshot.initial(world.settings),
        world.panel,
        score_from=starts[world.first],
    )

    def place(moment: Any) -> int:
        found = np.datetime64(moment.replace(tzinfo=None), "s")
        return int(np.searchsorted(starts, found))

    events = []
    for group in done.groups:
        leaves = np.zeros(len(world.leaves), dtype=np.bool_)
        for named in group.slices:
            where = [named.get(name, ROLLED_UP) for name in world.settings.dimensions]
            leaves |= world.held(where)
        begin, end = place(group.start), place(group.end)
        at = tuple(sorted({place(point.start) for point in group.points})) or (begin,)
        events.append(Event(group.measure, begin, end, at, leaves, group.severity))
    return events, done.scores


@dataclass
class Tally:
    """Sums over seeds."""

    weeks: float = 0.0
    events: int = 0
    loose: int = 0
    strict: int = 0
    false: int = 0
    truths: int = 0
    visible: int = 0
    visible_loose: int = 0
    visible_strict: int = 0
    exact: int = 0
    delays: tuple[int, ...] = ()
    clean_weeks: float = 0.0
    clean_events: int = 0

    def row(self, name: str) -> dict[str, Any]:
        """One line of the table."""
        delays = np.array(self.delays) if self.delays else np.array([np.nan])
        return {
            "detector": name,
            "strict F1": _f1(self.strict, self.events, self.visible_strict, self.visible),
            "precision": self.strict / max(1, self.events),
            "strict recall": self.visible_strict / max(1, self.visible),
            "loose F1": _f1(self.loose, self.events, self.visible_loose, self.visible),
            "recall of visible": self.visible_loose / max(1, self.visible),
            "false a week": self.false / self.weeks if self.weeks else np.nan,
            "false a week, no fault": (
                self.clean_events / self.clean_weeks if self.clean_weeks else np.nan
            ),
            "exact slice": self.exact / max(1, self.visible_loose),
            "median delay": float(np.median(delays)),
            "90 % delay": float(np.percentile(delays, 90)),
            "events": self.events,
            "visible": self.visible,
            "truths": self.truths,
        }


def _f1(right: int, events: int, found: int, visible: int) -> float:
    precision, recall = right / max(1, events), found / max(1, visible)
    return 2 * precision * recall / max(1e-12, precision + recall)


@dataclass(frozen=True)
class Match:
    """How one truth fared."""

    truth: Truth
    loose: bool
    strict: bool
    exact: bool
    delay: int


def judge(world: Simulated, events: Sequence[Event], tally: Tally) -> list[Match]:
    """Add one faulted shop to the sums, and say how each truth fared."""
    truths = world.truths
    overlap = np.array([[_overlaps(e, t) for t in truths] for e in events], dtype=np.bool_)
    overlap = overlap.reshape(len(events), len(truths))
    alike = np.array([[_jaccard(e.leaves, t.leaves) for t in truths] for e in events])
    alike = alike.reshape(len(events), len(truths))
    inside = np.array([[_inside(e, t) for t in truths] for e in events], dtype=np.float64)
    inside = inside.reshape(len(events), len(truths))
    good = overlap & (inside >= 0.5) & (alike >= 0.5)
    # One event for each truth and one truth for each event, the closest pairs first.
    taken_events: set[int] = set()
    taken_truths: set[int] = set()
    pairs = sorted(zip(*np.nonzero(good), strict=True), key=lambda pair: (-alike[pair], pair))
    for event, truth in pairs:
        if event not in taken_events and truth not in taken_truths:
            taken_events.add(int(event))
            taken_truths.add(int(truth))
    matches = []
    for place, truth in enumerate(truths):
        near = np.nonzero(overlap[:, place])[0]
        exact = bool(len(near)) and alike[near, place].max() == 1.0
        first = [
            at
            for event in near.tolist()
            for at in events[event].anomalous
            if truth.begin <= at < truth.end + AFTER
        ]
        delay = min(first, default=truth.end) - truth.begin
        matches.append(Match(truth, bool(len(near)), place in taken_truths, exact, delay))
    visible = [match for match in matches if match.truth.visible]
    tally.weeks += world.weeks
    tally.events += len(events)
    tally.loose += int(overlap.any(axis=1).sum())
    tally.strict += len(taken_events)
    tally.false += int((~overlap.any(axis=1)).sum())
    tally.truths += len(truths)
    tally.visible += len(visible)
    tally.visible_loose += sum(match.loose for match in visible)
    tally.visible_strict += sum(match.strict for match in visible)
    tally.exact += sum(match.exact for match in visible)
    tally.delays += tuple(match.delay for match in visible if match.loose)
    return matches


def against_bands(world: Simulated, scores: Scores) -> tuple[Mask, Mask]:
    """Values (T, M, K) that can be judged, and those outside their band. No row is a zero of sums
    and counts, and no value of others.
    """
    additive = np.array([rule.additive for rule in world.settings.measures])
    actual = np.where(additive[:, None] & np.isnan(scores.actual), 0.0, scores.actual)
    return np.isfinite(actual), (actual < scores.lower) | (actual > scores.upper)


def _overlaps(event: Event, truth: Truth) -> bool:
    return (
        event.measure == truth.measure
        and event.begin < truth.end + AFTER
        and event.end > truth.begin
    )


def _inside(event: Event, truth: Truth) -> float:
    """Share of the event's time inside the truth's."""
    common = min(event.end, truth.end + AFTER) - max(event.begin, truth.begin)
    return max(0, common) / max(1, event.end - event.begin)


def _jaccard(one: Mask, other: Mask) -> float:
    return float((one & other).sum() / max(1, (one | other).sum()))


def by_kind(matches: Iterable[Match]) -> list[dict[str, Any]]:
    """Visible truths per kind of fault: found, found strictly, exact, median delay."""
    found: dict[str, list[Match]] = defaultdict(list)
    for match in sorted(matches, key=lambda one: one.truth.kind):
        if match.truth.visible:
            found[match.truth.kind].append(match)
    return [
        {
            "kind": kind,
            "visible": len(own),
            "recall": float(np.mean([match.loose for match in own])),
            "strict recall": float(np.mean([match.strict for match in own])),
            "exact slice": float(np.mean([match.exact for match in own])),
            "median delay": float(
                np.median([float(match.delay) for match in own if match.loose] or [np.nan])
            ),
        }
        for kind, own in found.items()
    ]
