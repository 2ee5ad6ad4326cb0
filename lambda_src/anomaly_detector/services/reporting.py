"""What a page tells of a deployed detector, read from its bucket and its table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from anomaly_detector.alerts.words import plain, time, where
from anomaly_detector.config import Config
from anomaly_detector.errors import PermanentError
from anomaly_detector.events.group import Group
from anomaly_detector.intervals import Grid
from anomaly_detector.lake import layout, published
from anomaly_detector.lake.store import ObjectStore
from anomaly_detector.ledger.items import AlertStatus, FeedbackItem, Interval, MuteItem
from anomaly_detector.ledger.ledger import Ledger
from anomaly_detector.lookout.group import group_of
from anomaly_detector.report import axes
from anomaly_detector.report.charts import Span
from anomaly_detector.report.content import Content, Quality, Said, Status, empty_spans
from anomaly_detector.report.events import lead
from anomaly_detector.report.stored import Stored
from anomaly_detector.services import documents, feedback, muting

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
# Alerts on so many events are looked up, and so many answers and mutes are told.
_TOLD = 100
_NAME, _REASON = 120, 500


def content(
    store: ObjectStore,
    ledger: Ledger,
    now: datetime,
    length: timedelta,
    before: timedelta | None = None,
) -> Content:
    """The newest `length` of a detector's results.

    Parameters
    ----------
    now : UTC. before : series are shown from so long before, as far as they are stored; None for
        what is shown before an event.

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
    before = lead(config) if before is None else before
    first = min(begin, max(grid.floor(begin - before), since))
    stored = Stored.of(config, published.scores(store, config, first, end), first, end)
    groups = [group_of(one) for one in ledger.anomaly_groups()]
    # A measure may be gone since.
    groups = [one for one in groups if one.end > begin and one.measure in config.measures]
    found = ledger.intervals(begin, end)
    answers = ledger.feedback()
    return Content(
        config=config,
        watched=Span(begin, end),
        asof=end,
        stored=stored,
        groups=groups,
        preview=_json(store, layout.PREVIEW, []),
        training=_json(store, layout.TRAINING, {"classes": []}),
        advice=_json(store, layout.RECOMMENDATION, None),
        said=_said(config, answers, ledger.mutes(), begin),
        quality=_quality(grid, stored, found, begin, end),
        status=Status(
            state=_state(detector.status, detector.status_reason),
            next_look=grid.shift(end, 1) + timedelta(seconds=config.offset_seconds),
            delay=(now - end).total_seconds(),
            warehouse_seconds=ledger.usage(now).milliseconds / 1000,
        ),
        steps=steps(ledger, config, groups, answers),
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
    known = np.isfinite(stored.values[:2, :, stored.place(begin) :])
    held, scored = (np.logical_or.reduce(one) for one in known)
    missing = {at for at, one in found.items() if one.status == "MISSING"}
    missing |= {at for at, has in zip(starts, held, strict=True) if at not in found and not has}
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


def _said(
    config: Config, answers: Sequence[FeedbackItem], mutes: Sequence[MuteItem], begin: datetime
) -> list[Said]:
    """Answers and mutes that hold, or have held since `begin`; the newest first."""
    found = [_answer(config, one) for one in answers if not one.undone_at or one.undone_at > begin]
    found += [_mute(config, one) for one in mutes if one.until > begin]
    found.sort(key=lambda one: one.at, reverse=True)
    return found[:_TOLD]


def _answer(config: Config, one: FeedbackItem) -> Said:
    moved = f"{plain(one.measure, _NAME)} {one.direction}"
    about = (moved, where(config, one.slices), time(config, one.start, one.end, is_open=False))
    notes = [f"by {plain(one.by, _NAME)}"] if one.by else []
    if one.undone_at:
        notes.append(f"withdrawn on {axes.spoken(one.undone_at, config.timezone)}")
    elif one.is_anomaly:
        notes.append("nothing is learnt from its intervals")
    else:
        notes.append(f"events like it need a severity of {feedback.needed(one, config):g}")
    what = "Anomaly:" if one.is_anomaly else "No anomaly:"
    told = " ".join(part for part in about if part)
    return Said(one.since, what, told, "; ".join(notes), one.group_id)


def _mute(config: Config, one: MuteItem) -> Said:
    notes = [f"until {axes.spoken(one.until, config.timezone)}", plain(one.reason, _REASON)]
    if one.start and one.start > one.since:
        notes.insert(0, f"from {axes.spoken(one.start, config.timezone)}")
    notes.append("declared in the configuration" if one.declared else "")
    notes.append(f"by {plain(one.by, _NAME)}" if one.by else "")
    scope = plain(muting.scope(one), _REASON)
    return Said(one.since, "No alerts on", scope, "; ".join(filter(None, notes)))


def steps(
    ledger: Ledger, config: Config, groups: Sequence[Group], answers: Sequence[FeedbackItem]
) -> dict[str, list[tuple[datetime, str]]]:
    """What became of the alerts on the newest events, and what people said of them."""
    newest = sorted(groups, key=lambda one: one.start, reverse=True)[:_TOLD]
    found: dict[str, list[tuple[datetime, str]]] = {}
    for group in newest:
        for name in config.alerts:
            item = ledger.alert(name, group.id)
            if item is not None:
                told = f"Alert '{name}' {_SENT[item.state]}."
                found.setdefault(group.id, []).append((item.since, told))
    for one in answers:
        told_of = found.setdefault(one.group_id, [])
        by = f" by {plain(one.by, _NAME)}" if one.by else ""
        told = f"Said to be {'an' if one.is_anomaly else 'no'} anomaly{by}."
        told_of.append((one.since, told))
        if one.undone_at:
            told_of.append((one.undone_at, "The answer was withdrawn."))
    return found
