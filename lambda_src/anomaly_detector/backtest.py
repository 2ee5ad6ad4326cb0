"""Replay of history that shows what a detector would have found, for training of the deployed
detector and for a local file. Pure: values in, values out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from anomaly_detector.alerts.decide import Linked, near, openings
from anomaly_detector.config import Alert, Config
from anomaly_detector.detection import THRESHOLD_SEVERITY, DetectorSettings
from anomaly_detector.detection.report import Report, describe
from anomaly_detector.events.group import Group, in_order
from anomaly_detector.events.related import Events, Happened, with_related
from anomaly_detector.intervals import Grid
from anomaly_detector.lake import results
from anomaly_detector.panel import Panel
from anomaly_detector.replay import replay
from anomaly_detector.snapshot import Snapshot

# The newest part of history is scored as if it were live, as in the backtest of Lookout for
# Metrics.
SCORED_SHARE = 0.3
# Events open at severity 50, so a lower threshold would not yield more events.
_PREVIEW = range(50, 100, 5)
_STRONGEST = 10
# Steps of the progress; the state is copied at each.
_PIECES = 50


@dataclass(frozen=True)
class Scored:
    """Scores of the newest part as a `scores_table` without rows of missing values, the groups of
    its events, and the snapshots after all intervals and before `snapshot_at`.
    """

    table: pa.Table
    groups: tuple[Group, ...]
    series: int
    after: Snapshot
    before: Snapshot | None


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
    after = Snapshot.initial(settings)
    before: Snapshot | None = None
    size = len(panel.starts)
    step = size if progress is None else max(1, -(-size // _PIECES))
    groups: dict[str, Group] = {}
    tables = [results.scores_schema(config.dimensions).empty_table()]
    for low in range(0, size, max(1, step)):
        until = after.state.until
        ahead = snapshot_at is not None and (np.isnat(until) or snapshot_at > until)
        done = replay(
            settings,
            after,
            panel.cut(low, low + step),
            snapshot_at=snapshot_at if ahead else None,
            score_from=score_from,
        )
        after = done.after
        before = done.before if ahead else before
        # A later piece gives the group of an event again for as long as it is remembered.
        groups |= {one.id: one for one in done.groups}
        if len(done.scores.starts):
            tables.append(results.scores_table(done.scores, config))
        if progress is not None:
            progress(min(1.0, (low + step) / size))
    related = Events(map(Happened.of, groups.values()), settings.grid.seconds)
    return Scored(
        table=pa.concat_tables(tables),
        groups=with_related(in_order(groups.values()), related),
        series=len(panel.slices) * len(panel.measures),
        after=after,
        before=before,
    )


def training(settings: DetectorSettings, learnt: Snapshot) -> Report:
    """The training report: what was learned, per series class."""
    return describe(settings, learnt.state)


def preview(groups: Sequence[Group], begin: datetime, end: datetime) -> list[dict[str, float]]:
    """Number of events per week over `[begin, end)` at each alert threshold."""
    weeks = (end - begin) / timedelta(weeks=1)
    return [
        {
            "threshold": threshold,
            "events_per_week": round(sum(one.severity >= threshold for one in groups) / weeks, 2),
        }
        for threshold in _PREVIEW
    ]


@dataclass(frozen=True)
class Recommendation:
    """The threshold of alerts for as many messages a week as somebody wishes for.

    Attributes
    ----------
    messages_per_week : wished, of those that open something new. expected_per_week : as many as
        the threshold gives.
    threshold : the lowest whole severity that gives no more, at least that of the detector's.
    strongest : the ten strongest events, whatever they are worth.
    """

    messages_per_week: float
    threshold: int
    expected_per_week: float
    strongest: tuple[Group, ...]

    def to_dict(self, say: Callable[[Group], str]) -> dict[str, Any]:
        """As JSON; `say` gives the sentence about an event."""
        return {
            "messages_per_week": self.messages_per_week,
            "threshold": self.threshold,
            "expected_per_week": self.expected_per_week,
            "strongest": [
                {"id": one.id, "severity": round(one.severity, 2), "event": say(one)}
                for one in self.strongest
            ],
        }


def recommend(
    groups: Sequence[Group],
    begin: datetime,
    end: datetime,
    messages_per_week: float,
    seconds: int,
    alerts: Iterable[Alert] = (),
) -> Recommendation:
    """What to set as the threshold of alerts, by the events of `[begin, end)`.

    Parameters
    ----------
    seconds : of an interval.
    alerts : linked events count as one if all of them tell these as one.
    """
    weeks = (end - begin) / timedelta(weeks=1)
    ordered = sorted(groups, key=lambda one: (-one.severity, one.start, one.measure, one.id))
    wished = math.floor(messages_per_week * weeks)
    linked = Linked(groups, near(seconds))
    links = [one.links for one in alerts]
    together = bool(links) and all(links)
    for threshold in range(round(THRESHOLD_SEVERITY), 101):
        alert = Alert(threshold=threshold, link_measures=together)
        told = openings(alert, groups, linked)
        if told <= wished:
            break
    return Recommendation(
        messages_per_week, threshold, round(told / weeks, 2), tuple(ordered[:_STRONGEST])
    )
