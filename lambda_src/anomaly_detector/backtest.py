"""Replay of history that shows what a detector would have found, for training of the deployed
detector and for a local file. Pure: values in, values out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa

from anomaly_detector.config import Config
from anomaly_detector.detection import DetectorSettings, State, initial_state, replay
from anomaly_detector.detection.report import Report, describe
from anomaly_detector.events.group import Group
from anomaly_detector.explain import events
from anomaly_detector.intervals import Grid
from anomaly_detector.lake import results
from anomaly_detector.panel import Mark, Panel, second

# The newest part of history is scored as if it were live, as in the backtest of Lookout for
# Metrics.
SCORED_SHARE = 0.3
# Events open at severity 50, so a lower threshold would not yield more events.
_PREVIEW = range(50, 100, 5)
# Steps of the progress; the state is copied at each.
_PIECES = 50


@dataclass(frozen=True)
class Scored:
    """Scores of the newest part as a `scores_table` without rows of missing values, the marks of
    events, and the state after all intervals.
    """

    table: pa.Table
    marks: tuple[Mark, ...]
    series: int
    state: State
    snapshot: State | None


def scored_from(grid: Grid, begin: datetime, end: datetime, share: float) -> datetime:
    """Start of the newest `share` of the intervals in `[begin, end)`, at least one of them."""
    total = grid.count(begin, end)
    return grid.shift(begin, total - max(1, round(total * share)))


def score(
    config: Config,
    panel: Panel,
    *,
    score_from: np.datetime64,
    snapshot_at: np.datetime64 | None = None,
    progress: Callable[[float], None] | None = None,
) -> Scored:
    """Train a new detector on the panel, and keep the scores from `score_from` on.

    Parameters
    ----------
    score_from, snapshot_at : UTC, as for `replay`.
    progress : called with the completed share (0-1). The results do not depend on it.
    """
    settings = DetectorSettings.of(config, Grid.of(config))
    state, snapshot = initial_state(settings), None
    size = len(panel.starts)
    step = size if progress is None else max(1, -(-size // _PIECES))
    marks: list[Mark] = []
    tables = [results.scores_schema(config.dimensions).empty_table()]
    for low in range(0, size, max(1, step)):
        piece = panel.cut(low, low + step)
        ahead = snapshot_at is not None and (np.isnat(state.until) or snapshot_at > state.until)
        done = replay(
            settings,
            state,
            piece,
            snapshot_at=snapshot_at if ahead else None,
            score_from=score_from,
        )
        state = done.state
        marks.extend(done.scores.marks)
        snapshot = done.snapshot if ahead else snapshot
        if len(done.scores.starts):
            tables.append(results.known(results.scores_table(done.scores, config)))
        if progress is not None:
            progress(min(1.0, (low + step) / size))
    series = len(panel.slices) * len(panel.measures)
    return Scored(pa.concat_tables(tables), tuple(marks), series, state, snapshot)


def group(
    config: Config,
    table: pa.Table,
    marks: Sequence[Mark],
    begin: datetime,
    end: datetime,
    carry_at: np.datetime64 | None = None,
) -> events.Advance:
    """Events over `[begin, end)`, none open before it; `table` and `marks` cover that window."""
    grid = Grid.of(config)
    axis = np.array([second(start) for start in grid.starts(begin, end)])
    scores = replace(results.scores_from_table(table, config, axis), marks=tuple(marks))
    settings = DetectorSettings.of(config, grid)
    return events.advance(settings, events.EventState(), scores, carry_at=carry_at)


def training(config: Config, state: State) -> Report:
    """The training report: what the state has learned, per series class."""
    return describe(DetectorSettings.of(config, Grid.of(config)), state)


def preview(groups: Sequence[Group], begin: datetime, end: datetime) -> list[dict[str, float]]:
    """Number of events per week over `[begin, end)` at each alert threshold."""
    weeks = (end - begin) / timedelta(weeks=1)
    return [
        {
            "threshold": threshold,
            "events_per_week": round(sum(one.score >= threshold for one in groups) / weeks, 2),
        }
        for threshold in _PREVIEW
    ]
