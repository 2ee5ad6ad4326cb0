"""Public corpora: event F1 and VUS-PR of this detector and its peers, in the same run.

`python -m tests.benchmarks.public [--corpora nab,cloud_monitoring] [--short] [--json out]`. The
module `measures` defines how events are counted, `corpora` how series are aligned to a grid.

Every series gets its own detector: one AVG measure, no dimension, the default false-event budget
and no other setting. The series is replayed from its first point; the score is the severity of each
point. As in NAB (Lavin and Ahmad 2015), the first 15 % of a series are for training and are not
judged (`--learn`); a detector that needs a longer warm-up gets no compensation. VUS-PR is the mean
over the series that contain an anomaly, with buffers of up to 24 points (`--buffer`; a day at
PT1H).

*F1 at 50* is what a user gets with the fixed threshold of severity 50, which only this detector
has; *best F1* is that of the best threshold of each detector, chosen with the labels. *Events* are
the groups of the detector: each counts like one alert, at its begin. *Outside band*: labelled
anomalies with at least one value outside the band of 99 %; *inside band*: share of the unlabelled
values within it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from anomaly_detector.config import Config
from anomaly_detector.detection import DetectorSettings
from anomaly_detector.intervals import SECONDS, Grid
from anomaly_detector.panel import Panel, second
from anomaly_detector.replay import Replay, replay
from anomaly_detector.snapshot import Snapshot
from numpy.typing import NDArray

from tests.benchmarks import console, peers
from tests.benchmarks.corpora import Series, load
from tests.benchmarks.measures import (
    best_threshold,
    count,
    count_raised,
    segments,
    vus_pr,
)

Array = NDArray[np.float64]

OURS = "ours"
CORPORA = ("nab", "cloud_monitoring")
BUFFER = 24
LEARN = 0.15
DEFAULT_THRESHOLD = 50.0
SHORT_POINTS = 6_000
SHORT_SERIES = 12


def ours(series: Series, aggregation: str = "AVG") -> Array:
    """Severity of every point of one series; 0 where missing."""
    return severity_of(replayed(series, aggregation))


def replayed(series: Series, aggregation: str = "AVG") -> Replay:
    """One series, replayed from its first point."""
    config = Config.model_validate(
        {
            "interval": series.interval,
            "timestamp_column": {"name": "timestamp"},
            "measures": {"value": {"aggregation": aggregation}},
        }
    )
    settings = DetectorSettings.of(config, Grid.of(config))
    values = series.values[:, None, None]
    panel = Panel(
        series.starts,
        (),
        np.empty((1, 0), dtype=object),
        ("value",),
        values,
        np.isfinite(values).astype(np.float64),
    )
    return replay(settings, Snapshot.initial(settings), panel)


def severity_of(done: Replay) -> Array:
    """(T,) severity of the only series; 0 where missing."""
    severity = done.scores.severity
    # A series without one finite value is never born, and has no row in the scores.
    if not severity.shape[2]:
        return np.zeros(len(severity))
    return np.nan_to_num(severity[:, 0, 0])


def opened(done: Replay, first: int) -> NDArray[np.int64]:
    """Points from `first` on at which events begin."""
    begins = [second(group.start) for group in done.groups]
    at = np.unique(np.searchsorted(done.scores.starts, np.array(begins, dtype="datetime64[s]")))
    return at[at >= first] - first


def of_events(corpus: Sequence[Series], runs: Sequence[Replay], learn: float) -> dict[str, Any]:
    """A row for events of ours, and for its bands: both where values are judged."""
    alarms, labels, severities = [], [], []
    inside = calm = flagged = truths = 0
    for series, done in zip(corpus, runs, strict=True):
        first = int(learn * len(series.values))
        label, scores = series.labels[first:], done.scores
        alarms.append(opened(done, first))
        labels.append(label)
        severities.append(severity_of(done)[first:])
        if not scores.severity.shape[2]:
            continue
        actual, lower, upper = (
            part[first:, 0, 0] for part in (scores.actual, scores.lower, scores.upper)
        )
        known = np.isfinite(actual) & np.isfinite(lower) & np.isfinite(upper)
        outside = (actual < lower) | (actual > upper)
        calm += int((known & ~label).sum())
        inside += int((known & ~label & ~outside).sum())
        events = segments(label)
        truths += len(events)
        flagged += sum(bool(outside[a : b + 1].any()) for a, b in events)
    raised, values = count_raised(alarms, labels), count(severities, labels, DEFAULT_THRESHOLD)
    return {
        "series": len(corpus),
        "F1 of events": raised.f1,
        "TP": raised.tp,
        "FP": raised.fp,
        "FN": raised.fn,
        "F1 of values at 50": values.f1,
        "FP of values": values.fp,
        "true events outside band": flagged / max(1, truths),
        "unlabelled values inside band": inside / max(1, calm),
    }


def judge(
    name: str,
    corpus: Sequence[Series],
    scores: Sequence[Array],
    *,
    buffer: int = BUFFER,
    learn: float = LEARN,
) -> dict[str, Any]:
    """One row of the table."""
    first = [int(learn * len(series.values)) for series in corpus]
    labels = [series.labels[begin:] for series, begin in zip(corpus, first, strict=True)]
    scores = [score[begin:] for score, begin in zip(scores, first, strict=True)]
    threshold, best = best_threshold(scores, labels)
    volumes = [
        vus_pr(score, label, buffer)
        for score, label in zip(scores, labels, strict=True)
        if label.any()
    ]
    fixed = count(scores, labels, DEFAULT_THRESHOLD).f1 if name == OURS else None
    return {
        "detector": name,
        "F1 at 50": fixed,
        "best F1": best.f1,
        "VUS-PR": float(np.mean(volumes)),
        "precision": best.precision,
        "recall": best.recall,
        "TP": best.tp,
        "FP": best.fp,
        "FN": best.fn,
        "threshold": threshold,
    }


def run(
    corpora: Sequence[str] = CORPORA,
    *,
    short: bool = False,
    only: Sequence[str] = (),
    aggregation: str = "AVG",
    buffer: int = BUFFER,
    learn: float = LEARN,
) -> dict[str, Any]:
    """Tables of all corpora that are at hand."""
    tables: dict[str, Any] = {}
    others, notes = peers.installed()
    runs: list[Replay] = []

    def own(series: Series) -> Array:
        runs.append(replayed(series, aggregation))
        return severity_of(runs[-1])

    detectors: dict[str, Callable[[Series], Array]] = {OURS: own}
    for name, peer in others.items():
        detectors[name] = lambda series, peer=peer: peer(  # type: ignore[misc]
            series.values, max(1, 86_400 // SECONDS[series.interval])
        )
    for corpus in corpora:
        try:
            series = load(corpus)
        except FileNotFoundError as error:
            notes.append(f"{corpus} is left out: {error}.")
            continue
        if short:
            series = [one for one in series if len(one.values) <= SHORT_POINTS][:SHORT_SERIES]
        rows = []
        runs.clear()
        for name, detector in detectors.items():
            if only and not any(part in name for part in only):
                continue
            steps = console.progress(series, f"{corpus}: {name}", len(series))
            scores = [detector(one) for one in steps]
            rows.append(judge(name, series, scores, buffer=buffer, learn=learn))
        points = sum(len(one.values) for one in series)
        events = rows[0]["TP"] + rows[0]["FN"] if rows else 0
        title = f"{corpus}: {len(series)} series, {points:,} points, {events} events judged"
        tables[title] = rows
        if runs:
            tables[f"{corpus}: events and bands of ours"] = _of_intervals(series, runs, learn)
    return {"benchmark": "public", "tables": tables, "notes": notes}


def _of_intervals(
    corpus: Sequence[Series], runs: Sequence[Replay], learn: float
) -> list[dict[str, Any]]:
    rows = [{"interval": "all"} | of_events(corpus, runs, learn)]
    for interval in sorted({one.interval for one in corpus}):
        place = [k for k, one in enumerate(corpus) if one.interval == interval]
        own = of_events([corpus[k] for k in place], [runs[k] for k in place], learn)
        rows.append({"interval": interval} | own)
    return rows if len(rows) > 2 else rows[1:]


def main() -> int:
    parser = console.arguments(__doc__.partition("\n")[0])
    parser.add_argument("--corpora", default=",".join(CORPORA))
    parser.add_argument("--aggregation", default="AVG", help="of every series; AVG if not given")
    parser.add_argument("--learn", type=float, default=LEARN, help="share that is not judged")
    parser.add_argument("--buffer", type=int, default=BUFFER, help="largest one of VUS-PR")
    chosen = parser.parse_args()
    console.finish(
        run(
            chosen.corpora.split(","),
            short=chosen.short,
            only=chosen.only.split(",") if chosen.only else (),
            aggregation=chosen.aggregation,
            buffer=chosen.buffer,
            learn=chosen.learn,
        ),
        chosen.json,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
