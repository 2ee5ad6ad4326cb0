"""The commit of a crawl: one transaction moves watermark, model, intervals and outbox, or nothing.

What it writes was computed by the parts before; this module needs neither numpy nor pyarrow.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, ConfigDict, ValidationError

from anomaly_detector.errors import PermanentError, RetryableError, places_of
from anomaly_detector.lake import layout
from anomaly_detector.lake.store import ObjectStore
from anomaly_detector.ledger.items import Delivery, Interval
from anomaly_detector.ledger.ledger import Commit, Ledger
from anomaly_detector.services import models
from anomaly_detector.services.payloads import CrawlPlan, CrawlWindow, Detected, LandedFiles

# What an interval's item says besides its values.
_COUNTS = {"rows", "series", "anomalous", "reason"}


class IntervalFacts(BaseModel):
    """What one part knows of one interval.

    Attributes
    ----------
    rows : rows of the user's query behind it, of all parts.
    digest : of the part's unloaded values.
    series : the part's series that have a value. anomalous : its anomalous ones.
    reason : why it was not scored.
    """

    model_config = ConfigDict(frozen=True)

    start: datetime
    rows: int
    digest: str
    series: int
    anomalous: int
    reason: str | None = None


class Facts(BaseModel):
    """What one part tells of an unloaded window: its intervals, and the groups that overlap it."""

    model_config = ConfigDict(frozen=True)

    intervals: tuple[IntervalFacts, ...]
    groups: int
    open_groups: int


@dataclass(frozen=True)
class Outcome:
    """Result of a commit; counts refer to the due intervals, and are 0 if another crawl won."""

    committed: bool
    groups: int = 0
    open_groups: int = 0
    scored: int = 0
    missing: int = 0
    revised: int = 0
    rows: int = 0
    anomalous: int = 0


def unchanged(plan: CrawlPlan, digests: Sequence[Sequence[str]]) -> int:
    """How many of the first intervals of the window have the values that were scored before, so
    that their published scores stand. Of several parts, one alone cannot tell: none.

    Parameters
    ----------
    digests : of each part, by interval.
    """
    count = 0
    for known, of_parts in zip(plan.digests, digests, strict=False):
        if len(of_parts) != len(plan.parts) or joined(of_parts) != known:
            break
        count += 1
    return count


def commit(
    store: ObjectStore,
    ledger: Ledger,
    plan: CrawlPlan,
    landed: LandedFiles,
    parts: Sequence[Detected],
    now: datetime,
) -> Outcome:
    """Update watermark, model, intervals and outbox of all parts in one transaction, and release
    the crawl's lease.

    Of two crawls of the same window, one commits; the other changes nothing.

    Raises
    ------
    RetryableError
        If the detector is changed at the same time, as by the start of a pipeline.

    Parameters
    ----------
    now : start, UTC.
    """
    ledger.renew_crawl(plan.execution, now)
    outcome = _commit(store, ledger, plan, landed, sorted(parts, key=lambda one: one.part), now)
    ledger.end_crawl(plan.execution)
    return outcome


def _commit(
    store: ObjectStore,
    ledger: Ledger,
    plan: CrawlPlan,
    landed: LandedFiles,
    parts: Sequence[Detected],
    now: datetime,
) -> Outcome:
    window = CrawlWindow.of(plan)
    version = layout.model_version(window.next_base, landed.attempt_id)
    detector = ledger.detector()
    if plan.is_superseded(detector) or any(one.superseded for one in parts):
        return _lost(store, ledger, plan, version)
    facts = [_facts(store, layout.scored_facts(landed.prefix, one.part)) for one in parts]
    intervals = _intervals(ledger, window, landed, facts, detector.trained)
    of_parts = zip(*(one.intervals for one in facts), strict=True)
    digests = [[each.digest for each in one] for one in of_parts]
    starts = [one.start for one in facts[0].intervals]
    delivery = Delivery(
        due_start=window.due,
        attempt_id=landed.attempt_id,
        config_hash=window.config_hash,
        window_start=window.base,
        window_end=window.end,
        groups_keys=tuple(layout.scored_groups(landed.prefix, one.part) for one in parts),
        scored_prefixes=tuple(layout.scored(landed.prefix, one.part) for one in parts),
        live_from=detector.live_from,
        live_since=detector.live_since,
        history_end=detector.history_end,
        revision=detector.revision + 1,
        trained=detector.trained,
        asof=plan.asof,
        changed_from=starts[unchanged(plan, digests)],
    )
    after = detector.model_copy(
        update={
            "status_reason": None if detector.status == "ACTIVE" else detector.status_reason,
            "watermark": window.end,
            "base": window.next_base,
            "model": version,
            "old_model": detector.model,
        }
    )
    if not ledger.commit(Commit(detector, after, intervals, delivery)):
        if plan.is_superseded(ledger.detector()):
            return _lost(store, ledger, plan, version)
        raise RetryableError("The detector was changed concurrently.")
    # The files of a backtest that is not delivered yet are beside its model.
    waiting = ledger.backtests() if detector.old_model == detector.trained else ()
    models.forget(
        store,
        standing=(after.model, after.old_model, *waiting),
        replaced=(detector.old_model,),
        now=now,
    )
    return _outcome(window, intervals, facts)


def _lost(store: ObjectStore, ledger: Ledger, plan: CrawlPlan, version: str) -> Outcome:
    """The detector has changed since the plan: by another crawl, by a new configuration, or by an
    earlier attempt of the same commit.
    """
    detector = ledger.detector()
    if version in (detector.model, detector.old_model):
        return Outcome(committed=True)
    if version != plan.model:
        store.delete(layout.model(version, part.part) for part in plan.parts)
    window = CrawlWindow.of(plan)
    if detector.watermark is not None:
        learned = min(window.end, detector.watermark)
        ledger.forget_intervals(window.due, lambda one: one.is_open and one.start < learned)
    return Outcome(committed=False)


def _facts(store: ObjectStore, key: str) -> Facts:
    try:
        return Facts.model_validate_json(store.get(key))
    except ValidationError as error:
        raise PermanentError(
            f"s3://{store.bucket}/{key} cannot be read ({places_of(error)}): the next crawl writes "
            "it again."
        ) from error


def _intervals(
    ledger: Ledger,
    window: CrawlWindow,
    landed: LandedFiles,
    facts: Sequence[Facts],
    trained: str | None,
) -> list[Interval]:
    """The intervals whose item changes: those that were due, and those in the look-back whose
    values have changed, or whose counts have changed because those before them have.
    """
    before = ledger.intervals(window.base, window.end)
    changed = []
    for of_parts in zip(*(one.intervals for one in facts), strict=True):
        # Every part reads the same rows.
        start, rows = of_parts[0].start, of_parts[0].rows
        now = Interval(
            start=start,
            status="SCORED" if rows else "MISSING",
            rows=rows,
            series=sum(one.series for one in of_parts),
            anomalous=sum(one.anomalous for one in of_parts),
            digest=joined(one.digest for one in of_parts),
            trained=trained,
            statement_id=landed.statement_id,
            milliseconds=landed.milliseconds,
            bytes=landed.bytes,
            reason=of_parts[0].reason,
        )
        if start < window.due:
            old = before.get(start)
            # Intervals of history have no item yet, or that of another model, which may have read
            # other columns; later digests are compared with the first.
            if old is not None and old.trained != trained:
                old = None
            if old is not None and old.digest == now.digest:
                now = old.model_copy(update=now.model_dump(include=_COUNTS))
                if now == old:
                    continue
            elif old is not None and old.digest is not None:
                now = now.model_copy(update={"status": "REVISED"})
        changed.append(now)
    return changed


def joined(of_parts: Iterable[str]) -> str:
    """The digest of an interval, of those of the detector's parts."""
    return hashlib.sha256("-".join(of_parts).encode()).hexdigest()[:16]


def _outcome(window: CrawlWindow, intervals: Sequence[Interval], facts: Sequence[Facts]) -> Outcome:
    due = [one for one in intervals if one.start >= window.due]
    return Outcome(
        committed=True,
        groups=sum(one.groups for one in facts),
        open_groups=sum(one.open_groups for one in facts),
        scored=sum(one.status == "SCORED" for one in due),
        missing=sum(one.status == "MISSING" for one in due),
        revised=sum(one.status == "REVISED" for one in intervals),
        rows=sum(one.rows or 0 for one in due),
        anomalous=sum(one.anomalous or 0 for one in due),
    )
