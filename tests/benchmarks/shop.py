"""A synthetic shop: events across series at the default budget, against the truth of each fault.

`python -m tests.benchmarks.shop [--seeds 11-15] [--clean 6-7] [--short] [--json out]`. The world is
in `shop_generator`. Seeds 1-5 are for tuning, 11-15 are reported, 6-7 are free of faults.

8 weeks are learnt and 8 scored. Ours: `replay` of the whole panel and `advance` over the scored
part, default budget of 1 false event a week; its groups are the events. How they are judged (a
truth is a fault's effect on one measure; its time is [begin, end + 2 intervals)):

* **Loose** match: same measure, and the two overlap in time.
* **Strict** match: same measure, at least half of the event's time inside the truth's, and a
  Jaccard index of the leaves (those of the event's `Slices` and those of the true slice) >= .5.
* **F1** of precision (matched events of all events) and recall (matched of the visible truths). A
  truth below 25 nats costs nothing where it is missed, and an event that matches it is right.
  Strictly, a truth takes one event, the best by Jaccard, so that a fault that falls into pieces
  costs precision. Loosely it takes any number: this can be gamed by one endless event, and so
  proves nothing alone.
* **Recall of visible**: visible truths that some event matches loosely.
* **False events a week**: events that match no truth, visible or not, loosely.
* **Exact slice**: of the visible truths matched loosely, the share where the overlapping event of
  the best Jaccard holds just the leaves of the true slice.
* **Delay**: intervals from a truth's begin to the first anomalous interval (of any overlapping
  event) in it; median and 90th percentile over visible truths matched loosely.

Baselines score every series (roll-ups too) by itself, in deviations of that series' own scores in
the last 3 learning weeks, after a week to warm up. Anomalous intervals of a measure with at most
two quiet ones between them are one event, and its slice is the one with the largest sum of scores:
simple grouping. Their one threshold is what gave them a budget of 1 event a week in those 3 weeks,
which hold no fault. Random Cut Forest has 30 trees here, as in OpenSearch, to bound the time.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from anomaly_detector.detection import initial_state, replay
from anomaly_detector.explain.events import EventState, advance
from anomaly_detector.panel import ROLLED_UP
from numpy.typing import NDArray

from tests.benchmarks import console, peers
from tests.benchmarks.shop_generator import KINDS, WEEK, Shop, Truth, generate

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

TUNING, REPORTED, CLEAN = (1, 2, 3, 4, 5), (11, 12, 13, 14, 15), (6, 7)
AFTER = 2
QUIET = 2
BUDGET = 1.0
WARM = 3 * WEEK
TREES = 30


@dataclass(frozen=True)
class Event:
    """What a detector reports; `begin`, `end` are places in the panel, half-open.

    Attributes
    ----------
    anomalous : places of its anomalous intervals, ascending.
    leaves : (L,) those of the slices that it names.
    """

    measure: str
    begin: int
    end: int
    anomalous: tuple[int, ...]
    leaves: Mask


Detector = Callable[[Shop], list[Event]]


def ours(shop: Shop) -> list[Event]:
    """Events of the detector, by its public contract only."""
    starts = shop.panel.starts
    done = replay(
        shop.settings,
        initial_state(shop.settings),
        shop.panel,
        score_from=starts[shop.first],
    )
    groups = advance(shop.settings, EventState(), done.scores, None).groups

    def place(moment: Any) -> int:
        found = np.datetime64(moment.replace(tzinfo=None), "s")
        return int(np.searchsorted(starts, found))

    events = []
    for group in groups:
        leaves = np.zeros(len(shop.leaves), dtype=np.bool_)
        for named in group.slices:
            leaves |= shop.held([named.get(name, ROLLED_UP) for name in shop.settings.dimensions])
        begin, end = place(group.start), place(group.end)
        at = tuple(sorted({place(point.start) for point in group.points})) or (begin,)
        events.append(Event(group.measure, begin, end, at, leaves))
    return events


def grouped(peer: Callable[[Array, int], Array]) -> Detector:
    """A per-series detector with simple grouping, at the same budget."""

    def detect(shop: Shop) -> list[Event]:
        values = shop.panel.values
        begin = max(0, shop.first - WARM - WEEK)
        scores = np.zeros(values.shape)
        # An absent row of SUM is no sale.
        for m, rule in enumerate(shop.settings.measures):
            series = values[:, m, begin:]
            series = np.where(np.isfinite(series), series, 0.0) if rule.additive else series
            for k, one in enumerate(series):
                scores[k, m, begin:] = peer(one, 24)
        warm = scores[:, :, shop.first - WARM : shop.first]
        spread = np.maximum(warm.std(axis=2, keepdims=True), 1e-6)
        scores = (scores - warm.mean(axis=2, keepdims=True)) / spread
        threshold = _within_budget(scores[:, :, shop.first - WARM : shop.first])
        return _group(shop, scores, threshold)

    return detect


def _within_budget(scores: Array) -> float:
    """Lowest threshold that gives at most the budget of events in weeks without faults."""
    peaks = scores.max(axis=0)  # (M, T): an interval of a measure is anomalous by its worst series
    allowed = BUDGET * peaks.shape[1] / WEEK
    tried = np.sort(peaks, axis=None)[::-1]
    low, high = 0, len(tried) - 1
    while low < high:
        middle = (low + high + 1) // 2
        events = sum(len(_runs(np.nonzero(row >= tried[middle])[0])) for row in peaks)
        low, high = (middle, high) if events <= allowed else (low, middle - 1)
    return float(tried[low])


def _group(shop: Shop, scores: Array, threshold: float) -> list[Event]:
    events = []
    for m, measure in enumerate(shop.panel.measures):
        over = scores[:, m, shop.first :] >= threshold
        for at in _runs(np.nonzero(over.any(axis=0))[0]):
            weight = np.where(over[:, at], scores[:, m, shop.first :][:, at], 0.0).sum(axis=1)
            where = shop.panel.slices[int(weight.argmax())]
            places = tuple((at + shop.first).tolist())
            events.append(
                Event(measure, places[0], places[-1] + 1, places, shop.held(where.tolist()))
            )
    return events


def _runs(at: NDArray[np.int64]) -> list[NDArray[np.int64]]:
    """Places that lie together, with at most `QUIET` others between two of them."""
    if not len(at):
        return []
    return np.split(at, np.nonzero(np.diff(at) > QUIET + 1)[0] + 1)


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


def judge(shop: Shop, events: Sequence[Event], tally: Tally) -> list[Match]:
    """Add one faulted shop to the sums, and say how each truth fared."""
    truths = shop.truths
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
            for event in near
            for at in events[event].anomalous
            if truth.begin <= at < truth.end + AFTER
        ]
        delay = min(first, default=truth.end) - truth.begin
        matches.append(Match(truth, bool(len(near)), place in taken_truths, exact, delay))
    visible = [match for match in matches if match.truth.visible]
    tally.weeks += shop.weeks
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
    for match in matches:
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
                np.median([match.delay for match in own if match.loose] or [np.nan])
            ),
        }
        for kind in KINDS
        if (own := found[kind])
    ]


def run(
    seeds: Sequence[int] = REPORTED,
    clean: Sequence[int] = CLEAN,
    *,
    only: Sequence[str] = (),
    **sizes: int,
) -> dict[str, Any]:
    """Table of all detectors, and one by kind of fault for ours.

    Parameters
    ----------
    sizes : weeks and faults of `generate`, its defaults where not given.
    """
    notes = peers.installed()[1]
    detectors: dict[str, Detector] = {"ours": ours}
    forest = peers.random_cut_forest(TREES)
    if forest:
        detectors["Random Cut Forest (krcf) + grouping"] = grouped(forest)
    detectors["rolling z-score + grouping"] = grouped(peers.rolling_z)
    notes = [note for note in notes if note.startswith("Random Cut Forest")]
    tallies = {
        name: Tally() for name in detectors if not only or any(part in name for part in only)
    }
    own: list[Match] = []
    jobs = [(seed, True) for seed in seeds] + [(seed, False) for seed in clean]
    work = [(job, name) for job in jobs for name in tallies]
    shop: Shop | None = None
    for (seed, faults), name in console.progress(work, "shop", len(work)):
        if shop is None or (shop.seed, bool(shop.truths)) != (seed, faults):
            shop = generate(seed, faults=faults, **sizes)
        events, tally = detectors[name](shop), tallies[name]
        if faults:
            matches = judge(shop, events, tally)
            own.extend(matches if name == "ours" else ())
        else:
            tally.clean_weeks += shop.weeks
            tally.clean_events += len(events)
    title = f"shop: seeds {_text(seeds)}, without faults {_text(clean)}"
    tables = {title: [tally.row(name) for name, tally in tallies.items()]}
    if own:
        tables["ours by kind of fault"] = by_kind(own)
    return {"benchmark": "shop", "tables": tables, "notes": notes}


def _text(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds)) or "none"


def main() -> int:
    parser = console.arguments(__doc__.partition("\n")[0], REPORTED)
    parser.add_argument("--clean", type=console.numbers, default=CLEAN, help="seeds of no fault")
    chosen = parser.parse_args()
    sizes = {"train_weeks": 6, "weeks": 4, "per_kind": 1} if chosen.short else {}
    seeds = chosen.seeds[:1] if chosen.short else chosen.seeds
    clean = chosen.clean[:1] if chosen.short else chosen.clean
    only = chosen.only.split(",") if chosen.only else ()
    console.finish(run(seeds, clean, only=only, **sizes), chosen.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
