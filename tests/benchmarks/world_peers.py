"""Worlds with peers: this detector and others in the same worlds, by events and by values.

`python -m tests.benchmarks.world_peers [--worlds retail,saas] [--intervals PT1H,P1D] [--seeds 11]
[--clean 16] [--only ours,MAD] [--short] [--json out]`. Worlds, truths and how events are judged are
those of `worlds`; the mean over worlds is shown, and the worst of them of strict F1.

The peers score every series by itself, roll-ups included; their scores are relative to what that
series has shown, and are taken as they are. An absent row of a sum is no sale. *Grouping*:
anomalous intervals of a measure with at most two others between them form one event, whose slice is
that of the series with the largest sum of scores. Of three scales and two groupings, tried on
seed 1 of retail, saas and iot at PT1H, this one has the highest mean strict F1 for each peer; for
Random Cut Forest only the scales were compared, on saas and iot.

The *fixed* threshold is severity 50 for this detector, and for a peer the lowest down to which
there is at most 1 event a week in the last three eighths of training, which hold no fault, after a
warm-up of an eighth; it is one for all series of a world. The *best* one is found with the labels,
for each world and for events and values apart: the fixed one times a third to five, in steps of
6 %. Of this detector there are no events below 50.

*Values*: the values of the slice of a visible truth are faulty while it lasts, if there are any;
those of all slices that share leaves with a truth, up to two intervals longer, are not judged, all
others are normal. Alerts of values are counted as in `measures`: one where a run of flags begins
and at every 48th value of it, and F1 is that of faults in which at least one is raised, and alerts
at normal values.

Random Cut Forest has 30 trees here, as in OpenSearch, and is run at PT1H and P1D only, as it takes
some 45 us of CPU a value.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from anomaly_detector.config import IntervalName
from anomaly_detector.detection import THRESHOLD_SEVERITY
from numpy.typing import NDArray

from tests.benchmarks import console, measures, peers, worlds
from tests.benchmarks.ground_truth import Simulated
from tests.benchmarks.judging import AFTER, Event, Tally, judge, ours_with_scores

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Peer = Callable[[Array, int], Array]

OURS = "ours"
FOREST = "Random Cut Forest (krcf)"
FOREST_INTERVALS: tuple[IntervalName, ...] = ("PT1H", "P1D")
TREES = 30
QUIET = 2
BUDGET = 1.0
FACTORS: tuple[float, ...] = tuple((10.0 ** (np.arange(-20, 29) / 40)).tolist())


@dataclass(frozen=True)
class Found:
    """What a detector says of one world.

    Attributes
    ----------
    scores : (T, M, K) of the scored intervals, in the order of the panel's slices; larger where
        stranger.
    fixed : the threshold of this detector.
    events : its events at a threshold.
    """

    scores: Array
    fixed: float
    events: Callable[[float], list[Event]]


Detector = Callable[[Simulated], Found]


def ours(world: Simulated) -> Found:
    """This detector, by its public contract only."""
    found, told = ours_with_scores(world)
    place = {tuple(where): k for k, where in enumerate(world.panel.slices.tolist())}
    scores = np.zeros(world.panel.values[world.first :].shape)
    at = [place[tuple(where)] for where in told.slices.tolist()]
    scores[:, :, at] = np.nan_to_num(told.severity)
    return Found(
        scores,
        THRESHOLD_SEVERITY,
        lambda threshold: [event for event in found if event.severity >= threshold],
    )


def grouped(peer: Peer) -> Detector:
    """A detector of single series with simple grouping, at the same budget."""

    def detect(world: Simulated) -> Found:
        values = world.panel.values
        # Half of the training: an eighth to warm up, three eighths to calibrate.
        begin, calm = world.first // 2, slice(world.first // 8 * 5, world.first)
        scores = np.zeros(values.shape)
        for m, rule in enumerate(world.settings.measures):
            for k in range(values.shape[2]):
                one = values[begin:, m, k]
                one = np.where(np.isfinite(one), one, 0.0) if rule.additive else one
                scores[begin:, m, k] = peer(one, world.settings.slots_a_day)
        weeks = (calm.stop - calm.start) / world.settings.intervals_a_week
        judged = scores[world.first :]
        return Found(
            judged,
            within_budget(world, scores[calm], BUDGET * weeks),
            lambda threshold: group(world, judged, threshold),
        )

    return detect


def within_budget(world: Simulated, scores: Array, allowed: float) -> float:
    """Lowest threshold down to which all give at most so many events.

    Far below it there are few again, as all intervals lie together.
    """
    tried = np.unique(scores.max(axis=2))[::-1].tolist()
    found = tried[0]
    for threshold in tried:
        if len(group(world, scores, threshold)) > allowed:
            break
        found = threshold
    return float(found)


def group(world: Simulated, scores: Array, threshold: float) -> list[Event]:
    """Events of scores (T, M, K) of the panel's last intervals: see the module's grouping."""
    first = len(world.panel.starts) - len(scores)
    events = []
    for m, measure in enumerate(world.panel.measures):
        over = np.where(scores[:, m] >= threshold, scores[:, m], 0.0)
        for at in _runs(np.flatnonzero(over.any(axis=1))):
            where = world.panel.slices[int(over[at].sum(axis=0).argmax())].tolist()
            places = tuple((at + first).tolist())
            events.append(Event(measure, places[0], places[-1] + 1, places, world.held(where)))
    return events


def _runs(at: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Places that lie together, with at most `QUIET` others between two of them."""
    if not len(at):
        return []
    return np.split(at, np.flatnonzero(np.diff(at) > QUIET + 1) + 1)


def labelled(world: Simulated) -> tuple[Mask, Mask]:
    """Which of the scored values (T, M, K) are faulty, and which are judged."""
    panel = world.panel
    values = panel.values[world.first :]
    faulty, judged = np.zeros(values.shape, dtype=np.bool_), np.ones(values.shape, dtype=np.bool_)
    slices = [tuple(where) for where in panel.slices.tolist()]
    held = np.array([world.held(where) for where in slices])
    for truth in world.truths:
        m = panel.measures.index(truth.measure)
        begin, end = truth.begin - world.first, truth.end - world.first
        judged[begin : end + AFTER, m, (held & truth.leaves).any(axis=1)] = False
        if truth.visible and truth.where in slices:
            at = (slice(begin, end), m, slices.index(truth.where))
            # Where nothing is left to judge only an event can tell.
            faulty[at] = np.isfinite(values[at]).any()
    return faulty, judged | faulty


def _line(values: NDArray[Any]) -> NDArray[Any]:
    """All series (T, M, K) one after the other, with a gap that belongs to none."""
    series = values.reshape(len(values), -1).T
    return np.concatenate([series, np.zeros((len(series), 1), dtype=series.dtype)], axis=1).ravel()


@dataclass
class Judged:
    """One detector in one world, a place for each of `FACTORS`."""

    events: list[Tally] = field(default_factory=lambda: [Tally() for _ in FACTORS])
    values: list[measures.Counts] = field(
        default_factory=lambda: [measures.Counts(0, 0, 0) for _ in FACTORS]
    )

    def add(self, world: Simulated, found: Found) -> None:
        faulty, judged = labelled(world)
        labels = _line(faulty)
        for place, factor in enumerate(FACTORS):
            threshold = found.fixed * factor
            events, tally = found.events(threshold), self.events[place]
            if not world.truths:
                tally.clean_weeks += world.weeks
                tally.clean_events += len(events)
                continue
            judge(world, events, tally)
            raised = measures.alerts(_line((found.scores >= threshold) & judged))
            more, before = measures.count_raised([raised], [labels]), self.values[place]
            self.values[place] = measures.Counts(
                before.tp + more.tp, before.fp + more.fp, before.fn + more.fn
            )

    def row(self, world: str) -> dict[str, Any]:
        rows = [tally.row(world) for tally in self.events]
        fixed = FACTORS.index(1.0)
        values = self.values[fixed]
        return {
            "world": world,
            "strict F1": rows[fixed]["strict F1"],
            "at the best": max(row["strict F1"] for row in rows),
            "F1 of values": values.f1,
            "at its best": max(one.f1 for one in self.values),
            "precision": rows[fixed]["precision"],
            "recall of visible": rows[fixed]["recall of visible"],
            "false a week": rows[fixed]["false a week"],
            "false a week, no fault": rows[fixed]["false a week, no fault"],
            "exact slice": rows[fixed]["exact slice"],
            "recall of values": values.recall,
            "precision of values": values.precision,
        }


def detectors(interval: IntervalName) -> dict[str, Detector]:
    """All that this machine has, this one first."""
    found: dict[str, Detector] = {OURS: ours}
    forest = peers.random_cut_forest(TREES)
    if forest and interval in FOREST_INTERVALS:
        found[FOREST] = grouped(forest)
    return found | {
        "last value / MAD": grouped(peers.last_value),
        "ADTK PersistAD": grouped(peers.persist),
        "rolling z-score": grouped(peers.rolling_z),
    }


def run(
    names: Sequence[str] = worlds.REPORTED_WORLDS,
    intervals: Sequence[IntervalName] = worlds.INTERVALS,
    seeds: Sequence[int] = worlds.REPORTED,
    clean: Sequence[int] = worlds.CLEAN,
    *,
    only: Sequence[str] = (),
    shrink: int = 1,
) -> dict[str, Any]:
    """A table for each interval: a row for each detector."""
    tables = {}
    for interval in intervals:
        chosen = {
            name: detector
            for name, detector in detectors(interval).items()
            if not only or any(part in name for part in only)
        }
        found = {(name, world): Judged() for name in chosen for world in names}
        jobs = [(world, seed) for world in names for seed in (*seeds, *clean)]
        for world, seed in console.progress(jobs, f"worlds, {interval}", len(jobs)):
            made = worlds.world_of(world, seed, interval, faults=seed in seeds, shrink=shrink)
            for name, detector in chosen.items():
                found[name, world].add(made, detector(made))
        rows = []
        for name in chosen:
            mean, worst = worlds.mean_and_worst([found[name, world].row(world) for world in names])
            del mean["world"]
            rows.append({"detector": name} | mean | {"worst strict F1": worst["strict F1"]})
        title = f"{interval}, {len(names)} worlds, seeds {worlds.text(seeds)}"
        tables[f"{title}, without faults {worlds.text(clean)}"] = rows
    notes = [] if peers.random_cut_forest() else [f"{FOREST} is left out: it is not installed."]
    return {"benchmark": "world_peers", "tables": tables, "notes": notes}


def main() -> int:
    chosen = worlds.arguments(__doc__.partition("\n")[0]).parse_args()
    result = run(
        *worlds.chosen_of(chosen),
        only=chosen.only.split(",") if chosen.only else (),
        shrink=worlds.SHORT if chosen.short else 1,
    )
    console.finish(result, chosen.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
