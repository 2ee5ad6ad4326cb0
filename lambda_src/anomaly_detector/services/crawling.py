"""One crawl: the due intervals, the scores of the unloaded window, and the commit.

Every crawl replays `[base, window_end)` from the snapshots at `base`, which is the look-back before
the watermark. So late rows within the look-back change scores and groups to what they would be if
the rows had arrived on time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np

from anomaly_detector import capacity
from anomaly_detector.capacity import Size
from anomaly_detector.config import Config
from anomaly_detector.detection import DetectorSettings, from_bytes, replay, to_bytes
from anomaly_detector.errors import PermanentError, refuse
from anomaly_detector.events.group import Group
from anomaly_detector.events.store import groups_to_bytes
from anomaly_detector.explain import events
from anomaly_detector.intervals import Grid
from anomaly_detector.lake import layout, parquet, results
from anomaly_detector.lake.landed import Landed, Source, digests, read_panel
from anomaly_detector.lake.store import ObjectStore
from anomaly_detector.ledger.items import Delivery, Interval
from anomaly_detector.ledger.ledger import Commit, Ledger
from anomaly_detector.limits import MOST_DUE
from anomaly_detector.panel import Scores, second
from anomaly_detector.services import documents, models
from anomaly_detector.services.payloads import (
    CrawlPlan,
    Detected,
    LandedFiles,
    ShardModel,
)


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


@dataclass(frozen=True)
class _Window:
    """The bounds of a plan that has due intervals."""

    config_hash: str
    base: datetime
    due: datetime
    end: datetime

    @classmethod
    def of(cls, plan: CrawlPlan) -> _Window:
        bounds = (plan.window_start, plan.due_start, plan.window_end)
        if plan.config_hash is None or None in bounds:
            raise PermanentError(
                "The plan has no window, because no interval was due: start the crawl state "
                "machine instead of invoking this function."
            )
        base, due, end = (bound for bound in bounds if bound is not None)
        return cls(plan.config_hash, base, due, end)


def plan_crawl(
    store: ObjectStore, ledger: Ledger, scheduled: datetime, execution: str, now: datetime
) -> CrawlPlan:
    """Find the intervals that are due at `scheduled` (UTC): oldest first, at most 48.

    Nothing is due unless the detector is ACTIVE. If intervals are due, the execution holds the
    lease until its commit or failure; while another execution holds it, there is nothing to do.
    """
    held_by = ledger.begin_crawl(execution, now)
    if held_by is not None:
        attempt = layout.attempt_id(execution)
        return CrawlPlan(due=False, attempt=attempt, execution=execution, held_by=held_by)
    plan = _plan(store, ledger, scheduled, execution)
    if not plan.due:
        ledger.end_crawl(execution)
    return plan


def _plan(store: ObjectStore, ledger: Ledger, scheduled: datetime, execution: str) -> CrawlPlan:
    nothing = CrawlPlan(due=False, attempt=layout.attempt_id(execution), execution=execution)
    detector = ledger.detector()
    config_hash, watermark, base = detector.config_hash, detector.watermark, detector.base
    if detector.status != "ACTIVE" or config_hash is None or watermark is None or base is None:
        return nothing.model_copy(update={"config_hash": config_hash})
    config = documents.load(store, config_hash)
    grid = Grid.of(config)
    waiting = grid.count(watermark, grid.due_end(scheduled, config.offset_seconds))
    if waiting <= 0:
        return nothing.model_copy(update={"config_hash": config_hash})
    end = grid.shift(watermark, min(waiting, MOST_DUE))
    ledger.mark_intervals(grid.starts(watermark, end), "DUE", reason=None)
    return CrawlPlan(
        due=True,
        more=waiting > MOST_DUE,
        config_hash=config_hash,
        version=detector.version,
        window_start=base,
        due_start=watermark,
        window_end=end,
        shards=tuple(
            ShardModel(shard=shard, model_version=version)
            for shard, version in enumerate(detector.models)
        ),
        carried=detector.carried,
        attempt=nothing.attempt,
        execution=execution,
    )


def detect(
    store: ObjectStore,
    ledger: Ledger,
    plan: CrawlPlan,
    landed: LandedFiles,
    shard: int,
    model_version: str,
    now: datetime,
) -> Detected:
    """Score one shard's unloaded window and take the snapshot for the next crawl.

    At the start, `now` (UTC), the crawl's lease is renewed. If another crawl has taken it over, the
    commit decides which of the two is superseded.

    Raises
    ------
    PermanentError
        If an unloaded file or the model cannot be read, or the window does not fit into memory_mb.
    """
    window = _Window.of(plan)
    ledger.renew_crawl(plan.execution, now)
    config = documents.load(store, window.config_hash)
    grid = Grid.of(config)
    version = _next_version(grid, config, window, landed)
    scores_key = layout.scored(landed.prefix, shard)
    model = store.find(layout.model(shard, model_version))
    if model is None:
        if ledger.detector().version != plan.version:
            return Detected(
                shard=shard, version=version, scores_key=scores_key, series=0, superseded=True
            )
        raise PermanentError(
            f"The model {layout.model(shard, model_version)} does not exist: start the pipeline "
            "again to train a new one."
        )
    starts = grid.starts(window.base, window.end)
    source = Source(landed.manifest, window.base, window.end)
    state = from_bytes(model.body)

    def admit(size: Size) -> None:
        # The model keeps its slices, whether they have rows or not.
        size = replace(size, slices=max(size.slices, len(state.slices)))
        refuse(capacity.refuse_crawl(config, size, "in the window"))

    admit(Size.least(landed.rows, len(starts)))
    read = read_panel(store, [source], config, starts, admit)
    replayed = replay(
        DetectorSettings.of(config, grid),
        state,
        read.panel,
        snapshot_at=second(_next_base(grid, config, window)),
    )
    if replayed.snapshot is None:
        raise PermanentError(
            "The replay returned no snapshot: start the pipeline again to train a new model."
        )
    store.put(layout.model(shard, version), to_bytes(replayed.snapshot))
    table = results.known(results.scores_table(replayed.scores, config))
    store.put(scores_key, parquet.write(table), parquet.CONTENT_TYPE)
    marks = events.marks_to_json(replayed.scores.marks)
    store.put(layout.marks(scores_key), marks.encode(), "application/json")
    store.put_json(layout.scored_intervals(landed.prefix, shard), _facts(read, replayed.scores))
    series = len(replayed.scores.slices) * len(replayed.scores.measures)
    return Detected(shard=shard, version=version, scores_key=scores_key, series=series)


def commit(
    store: ObjectStore,
    ledger: Ledger,
    plan: CrawlPlan,
    landed: LandedFiles,
    shards: Sequence[Detected],
    now: datetime,
) -> Outcome:
    """Group the window's anomalies, update watermark, pointers, intervals and outbox in one
    transaction, and release the crawl's lease.

    Of two crawls of the same window, one commits; the other changes nothing.

    Parameters
    ----------
    now : start, UTC.
    """
    ledger.renew_crawl(plan.execution, now)
    outcome = _commit(store, ledger, plan, landed, shards)
    ledger.end_crawl(plan.execution)
    return outcome


def _commit(
    store: ObjectStore,
    ledger: Ledger,
    plan: CrawlPlan,
    landed: LandedFiles,
    shards: Sequence[Detected],
) -> Outcome:
    window = _Window.of(plan)
    detector = ledger.detector()
    shards = sorted(shards, key=lambda one: one.shard)
    if detector.version != plan.version or any(one.superseded for one in shards):
        return _lost(store, ledger, plan, shards)
    config = documents.load(store, window.config_hash)
    grid = Grid.of(config)
    version = _next_version(grid, config, window, landed)
    settings = DetectorSettings.of(config, grid)
    table = parquet.joined(store, [one.scores_key for one in shards])
    axis = np.array([second(start) for start in grid.starts(window.base, window.end)])
    marks = models.read_marks(store, [one.scores_key for one in shards])
    scores = replace(results.scores_from_table(table, config, axis), marks=marks)
    advance = events.advance(
        settings,
        models.read_carried(store, plan.carried),
        scores,
        carry_at=second(_next_base(grid, config, window)),
    )
    store.put(layout.events(landed.prefix), groups_to_bytes(advance.groups), "application/json")
    models.write_carried(store, version, advance.carried)
    intervals = _intervals(store, ledger, config, window, landed, shards)
    delivery = Delivery(
        due_start=window.due,
        attempt_id=landed.attempt_id,
        config_hash=window.config_hash,
        window_start=window.base,
        window_end=window.end,
        events_key=layout.events(landed.prefix),
        scored_keys=tuple(one.scores_key for one in shards),
        live_from=detector.live_from,
    )
    after = detector.model_copy(
        update={
            "status_reason": None,
            "watermark": window.end,
            "base": _next_base(grid, config, window),
            "models": tuple(one.version for one in shards),
            "carried": version,
            "old_models": detector.models,
            "old_carried": detector.carried,
        }
    )
    if not ledger.commit(Commit(detector, after, intervals, delivery)):
        return _lost(store, ledger, plan, shards)
    models.forget(store, detector.old_models, detector.old_carried)
    return _outcome(window, intervals, advance.groups)


def _next_base(grid: Grid, config: Config, window: _Window) -> datetime:
    return max(window.base, grid.shift(window.end, -config.lookback_intervals))


def _next_version(grid: Grid, config: Config, window: _Window, landed: LandedFiles) -> str:
    return layout.model_version(_next_base(grid, config, window), landed.attempt_id)


def _lost(
    store: ObjectStore, ledger: Ledger, plan: CrawlPlan, shards: Sequence[Detected]
) -> Outcome:
    """The detector has changed since the plan: by another crawl, by a new configuration, or by an
    earlier attempt of the same commit.
    """
    detector = ledger.detector()
    versions = tuple(one.version for one in shards)
    if versions in (detector.models, detector.old_models):
        return Outcome(committed=True)
    standing = {*detector.models, *detector.old_models, *(one.model_version for one in plan.shards)}
    own = [layout.model(one.shard, one.version) for one in shards if one.version not in standing]
    if own:
        store.delete(own)
    return Outcome(committed=False)


def _facts(read: Landed, scores: Scores) -> dict[str, Any]:
    """Per interval: rows, a digest of the values, series with a value, and anomalous series."""
    seen = np.isfinite(scores.actual).sum(axis=(1, 2))
    return {
        "rows": read.rows.tolist(),
        "digests": digests(read.panel),
        "series": seen.tolist(),
        "anomalous": scores.anomalous.sum(axis=(1, 2)).tolist(),
    }


def _intervals(
    store: ObjectStore,
    ledger: Ledger,
    config: Config,
    window: _Window,
    landed: LandedFiles,
    shards: Sequence[Detected],
) -> list[Interval]:
    """The intervals whose item changes: those that were due, and those in the look-back whose
    values have changed.
    """
    facts = [store.get_json(layout.scored_intervals(landed.prefix, one.shard)) for one in shards]
    before = ledger.intervals(window.base, window.end)
    grid, clock = Grid.of(config), config.timestamp_column.timezone
    changed = []
    for place, start in enumerate(grid.starts(window.base, window.end)):
        twice = grid.shown_twice(start, clock)
        rows = sum(one["rows"][place] for one in facts)
        now = Interval(
            start=start,
            status="SCORED" if rows else "MISSING",
            rows=rows,
            series=sum(one["series"][place] for one in facts),
            anomalous=sum(one["anomalous"][place] for one in facts),
            digest=_joined(one["digests"][place] for one in facts),
            statement_id=landed.statement_id,
            milliseconds=landed.milliseconds,
            reason=f"Not scored: clocks in {clock} show its times twice." if twice else None,
        )
        if start < window.due:
            old = before.get(start)
            # Intervals of history have no item yet; later digests are compared with the first.
            if old is not None and old.digest == now.digest:
                continue
            if old is not None and old.digest is not None:
                now = now.model_copy(update={"status": "REVISED"})
        changed.append(now)
    return changed


def _joined(of_shards: Iterable[str]) -> str:
    return hashlib.sha256("-".join(of_shards).encode()).hexdigest()[:16]


def _outcome(window: _Window, intervals: Sequence[Interval], groups: Sequence[Group]) -> Outcome:
    due = [one for one in intervals if one.start >= window.due]
    return Outcome(
        committed=True,
        groups=len(groups),
        open_groups=sum(group.state == "OPEN" for group in groups),
        scored=sum(one.status == "SCORED" for one in due),
        missing=sum(one.status == "MISSING" for one in due),
        revised=sum(one.status == "REVISED" for one in intervals),
        rows=sum(one.rows or 0 for one in due),
        anomalous=sum(one.anomalous or 0 for one in due),
    )
