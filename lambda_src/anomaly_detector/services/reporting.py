"""What a page tells of a deployed detector, read from its bucket and its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from anomaly_detector.config import Config
from anomaly_detector.errors import PermanentError
from anomaly_detector.events.group import Group
from anomaly_detector.intervals import Grid
from anomaly_detector.lake import layout, published
from anomaly_detector.lake.store import ObjectStore
from anomaly_detector.ledger.items import AlertStatus, Interval
from anomaly_detector.ledger.ledger import Ledger
from anomaly_detector.lookout.group import group_of
from anomaly_detector.report.charts import Span
from anomaly_detector.report.content import Content, Quality, Status, empty_spans
from anomaly_detector.report.stored import Stored
from anomaly_detector.services import documents

_SENT: Mapping[AlertStatus, str] = {
    "SENT": "was sent",
    "CLAIMED": "is being sent",
    "UNKNOWN": "may not have arrived",
    "FAILED": "could not be sent",
    "SUPPRESSED": "was not sent: it told of this event before",
    "OLD": "was not sent: the event was found too late",
    "MUTED": "was held back by a mute",
    "RETRACTED": "was retracted",
}
# Alerts on so many events are looked up.
_TOLD = 100


def content(store: ObjectStore, ledger: Ledger, now: datetime, length: timedelta) -> Content:
    """The newest `length` of a detector's results.

    Parameters
    ----------
    now : UTC.

    Raises
    ------
    PermanentError
        If nothing has been scored yet.
    """
    config = documents.in_force(store, ledger)
    detector = ledger.detector()
    since = published.scored_since(store)
    end = detector.watermark
    if end is None or since is None or since >= end:
        raise PermanentError("Nothing has been scored yet: there is nothing to show.")
    grid = Grid.of(config)
    begin = min(max(grid.floor(end - length), since), grid.shift(end, -1))
    stored = Stored.of(config, published.scores(store, config, begin, end), begin, end)
    groups = [group_of(one) for one in ledger.anomaly_groups()]
    # A measure may be gone since.
    groups = [one for one in groups if one.end > begin and one.measure in config.measures]
    found = ledger.intervals(begin, end)
    return Content(
        config=config,
        watched=Span(begin, end),
        asof=end,
        stored=stored,
        groups=groups,
        preview=_json(store, layout.PREVIEW, []),
        training=_json(store, layout.TRAINING, {"classes": []}),
        quality=_quality(grid, stored, found, begin, end),
        status=Status(
            state=_state(detector.status, detector.status_reason),
            next_look=grid.shift(end, 1) + timedelta(seconds=config.offset_seconds),
            delay=(now - end).total_seconds(),
            warehouse_seconds=ledger.usage(now).milliseconds / 1000,
        ),
        steps=_steps(ledger, config, groups),
        source=f"s3://{store.bucket}/{layout.SCORES}",
    )


def _json(store: ObjectStore, key: str, otherwise: Any) -> Any:  # noqa: ANN401 as json.loads
    return otherwise if store.find(key) is None else store.get_json(key)


def _state(status: str, reason: str | None) -> str:
    words = status.lower()
    return f"{words}: {reason}" if reason and status == "FAILED" else words


def _quality(
    grid: Grid, stored: Stored, found: Mapping[datetime, Interval], begin: datetime, end: datetime
) -> Quality:
    """Of intervals in the history of the model, the scores alone tell."""
    starts = grid.starts(begin, end)
    scored = np.isfinite(stored.values[1]).any(axis=0)
    missing = {at for at, one in found.items() if one.status == "MISSING"}
    rows = [one.rows for one in found.values() if one.rows is not None]
    notes = []
    if found:
        notes.append(
            "Rows and intervals scored again are counted since the model in force is live."
        )
    return Quality(
        due=len(starts),
        scored=int(scored.sum()),
        empty=empty_spans(starts, end, [at not in missing for at in starts]),
        revised=sum(one.status == "REVISED" for one in found.values()),
        rows=sum(rows) if rows else None,
        notes=notes,
    )


def _steps(
    ledger: Ledger, config: Config, groups: Sequence[Group]
) -> dict[str, list[tuple[datetime, str]]]:
    """What became of the alerts on the newest events."""
    newest = sorted(groups, key=lambda one: one.start, reverse=True)[:_TOLD]
    found: dict[str, list[tuple[datetime, str]]] = {}
    for group in newest:
        for name in config.alerts:
            item = ledger.alert(name, group.id)
            if item is not None:
                told = f"Alert '{name}' {_SENT[item.state]}."
                found.setdefault(group.id, []).append((item.since, told))
    return found
