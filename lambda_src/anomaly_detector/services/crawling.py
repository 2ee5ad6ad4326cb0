"""One crawl: the due intervals, and the scores of the unloaded window; then `committing`.

Every crawl replays `[base, window_end)` from the snapshot at `base`, which is the look-back before
the watermark. So late rows within the look-back change scores and groups to what they would be if
the rows had arrived on time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

import numpy as np

from anomaly_detector import capacity
from anomaly_detector.blocks import blocks, rows_at_once
from anomaly_detector.capacity import Size
from anomaly_detector.config import Budget, Config
from anomaly_detector.detection import DetectorSettings
from anomaly_detector.errors import PermanentError, refuse
from anomaly_detector.events.group import Group, in_order
from anomaly_detector.events.store import groups_to_bytes
from anomaly_detector.intervals import Grid
from anomaly_detector.lake import layout, parquet, results
from anomaly_detector.lake.landed import Source, digests
from anomaly_detector.lake.store import ObjectStore
from anomaly_detector.ledger.ledger import Ledger
from anomaly_detector.limits import MOST_DUE
from anomaly_detector.panel import second
from anomaly_detector.services import documents, feedback
from anomaly_detector.services.committing import Facts, IntervalFacts, unchanged
from anomaly_detector.services.payloads import CrawlPlan, CrawlWindow, Detected, LandedFiles, Part
from anomaly_detector.services.replaying import Piece, replay_block
from anomaly_detector.services.watching import Watch
from anomaly_detector.snapshot import Snapshot, from_bytes, to_bytes


def plan_crawl(
    store: ObjectStore,
    ledger: Ledger,
    watch: Watch,
    scheduled: datetime,
    execution: str,
    now: datetime,
) -> CrawlPlan:
    """Find the intervals that are due at `scheduled` (UTC): oldest first, at most 48.

    Nothing is due unless a configuration is in force whose model was trained by this version; it
    stays in force while another one trains, or if that fails. If intervals are due, the execution
    holds the lease until its commit or failure; while another execution holds it, there is nothing
    to do. If nothing has been scored for long, the operations topic is told.
    """
    held_by = ledger.begin_crawl(execution, now)
    plan = _plan(store, ledger, watch, scheduled, execution, held_by, now)
    if not plan.due and held_by is None:
        ledger.end_crawl(execution)
    return plan


def _plan(
    store: ObjectStore,
    ledger: Ledger,
    watch: Watch,
    scheduled: datetime,
    execution: str,
    held_by: str | None,
    now: datetime,
) -> CrawlPlan:
    nothing = CrawlPlan(
        due=False, attempt=layout.attempt_id(execution), execution=execution, held_by=held_by
    )
    detector = ledger.detector()
    watch.in_force(detector, now)
    config_hash, watermark, base = detector.config_hash, detector.watermark, detector.base
    if not detector.is_live or config_hash is None or watermark is None or base is None:
        return nothing.model_copy(update={"config_hash": config_hash})
    config = documents.load(store, config_hash)
    grid = Grid.of(config)
    waiting = grid.count(watermark, grid.due_end(scheduled, config.offset_seconds))
    watch.scored(config, watermark, waiting, held_by)
    if waiting <= 0 or held_by is not None:
        return nothing.model_copy(update={"config_hash": config_hash})
    end = grid.shift(watermark, min(waiting, MOST_DUE))
    spent = None if config.budget == Budget() else watch.spent(config, now)
    if spent is not None:
        ledger.mark_intervals(grid.starts(watermark, end), "DUE", reason=spent)
        ledger.note_failure(spent)
        return nothing.model_copy(update={"config_hash": config_hash})
    known = ledger.intervals(base, watermark)
    digests: list[str] = []
    for start in grid.starts(base, watermark):
        one = known.get(start)
        if one is None or one.digest is None or one.trained != detector.trained:
            break
        digests.append(one.digest)
    ledger.mark_intervals(grid.starts(watermark, end), "DUE", reason=None)
    return CrawlPlan(
        due=True,
        more=waiting > MOST_DUE,
        asof=grid.shift(watermark, waiting),
        digests=tuple(digests),
        config_hash=config_hash,
        window_start=base,
        due_start=watermark,
        window_end=end,
        next_base=max(base, grid.shift(end, -config.lookback_intervals)),
        parts=tuple(
            Part(part=part, measures=measures) for part, measures in enumerate(detector.parts)
        ),
        model=detector.model,
        taught=detector.taught,
        attempt=nothing.attempt,
        execution=execution,
    )


def detect(
    store: ObjectStore,
    ledger: Ledger,
    plan: CrawlPlan,
    landed: LandedFiles,
    part: int,
    now: datetime,
) -> Detected:
    """Score one part's unloaded window; store scores, groups, facts, and the snapshot for the next
    crawl.

    At the start, `now` (UTC), the crawl's lease is renewed. If another crawl has taken it over, the
    commit decides which of the two is superseded.

    Raises
    ------
    PermanentError
        If an unloaded file or the model cannot be read, or the window does not fit into memory_mb.
    """
    window = CrawlWindow.of(plan)
    ledger.renew_crawl(plan.execution, now)
    config = documents.load(store, window.config_hash)
    grid = Grid.of(config)
    version = layout.model_version(window.next_base, landed.attempt_id)
    key = layout.model(str(plan.model), part)
    model = store.find(key)
    if model is None:
        if plan.is_superseded(ledger.detector()):
            return Detected(part=part, version=version, series=0, superseded=True)
        raise PermanentError(
            f"The model {key} does not exist: start the pipeline again to train a new one."
        )
    of_part = plan.parts[part].measures
    said = feedback.verdicts(ledger, config, plan.taught)
    settings = replace(DetectorSettings.of(config, grid).part(of_part), verdicts=said)
    starts = grid.starts(window.base, window.end)
    source = Source(landed.manifest, window.base, window.end)
    snapshot = from_bytes(model.body)
    most = rows_at_once(config.memory_mb, len(of_part))
    rows = landed.rows / len(starts)

    def admit(slices: int) -> None:
        size = Size(slices, len(starts), slices * len(starts))
        refuse(capacity.refuse_crawl(config, size, len(of_part), "in the window"))

    groups: dict[str, Group] = {}
    facts: list[IntervalFacts] = []
    before: Snapshot | None = None
    for low, high in blocks([0] * len(starts), [rows] * len(starts), most):
        for piece in replay_block(
            store,
            config,
            settings,
            snapshot,
            [source],
            starts[low:high],
            admit,
            snapshot_at=second(window.next_base),
        ):
            snapshot = piece.done.after
            before = piece.done.before or before
            # A later piece returns the group of an event again for as long as it is remembered.
            groups |= {group.id: group for group in piece.done.groups}
            facts += _facts(config, starts[len(facts) :], piece)
            table = results.scores_table(piece.done.scores, config)
            changed = starts[unchanged(plan, [[one.digest] for one in facts])]
            files = {
                layout.scores_from(layout.scored(landed.prefix, part), start): parquet.write(rows)
                for start, rows in results.by_interval(table)
                if start >= changed
            }
            store.put_all(files, parquet.CONTENT_TYPE)
    store.put(layout.model(version, part), to_bytes(before or snapshot))
    told = in_order(groups.values())
    store.put(layout.scored_groups(landed.prefix, part), groups_to_bytes(told), "application/json")
    known = Facts(
        intervals=tuple(facts),
        groups=len(told),
        open_groups=sum(group.state == "OPEN" for group in told),
    )
    body = known.model_dump_json().encode()
    store.put(layout.scored_facts(landed.prefix, part), body, "application/json")
    series = len(snapshot.state.slices) * len(of_part)
    return Detected(part=part, version=version, series=series)


def _facts(config: Config, starts: Sequence[datetime], piece: Piece) -> list[IntervalFacts]:
    """Facts of the first of the intervals, which are those of the piece."""
    grid, clock = Grid.of(config), config.timestamp_column.timezone
    twice = f"Not scored: clocks in {clock} show its times twice."
    scores = piece.done.scores
    columns = zip(
        starts,
        piece.rows.tolist(),
        digests(piece.panel),
        np.isfinite(scores.actual).sum(axis=(1, 2)).tolist(),
        scores.anomalous.sum(axis=(1, 2)).tolist(),
        strict=False,
    )
    return [
        IntervalFacts(
            start=start,
            rows=rows,
            digest=digest,
            series=series,
            anomalous=anomalous,
            reason=twice if grid.shown_twice(start, clock) else None,
        )
        for start, rows, digest, series, anomalous in columns
    ]
