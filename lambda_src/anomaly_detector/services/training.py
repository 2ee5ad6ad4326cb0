"""Train the detector on the unloaded history, and activate the result."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time

import pyarrow as pa
import pyarrow.compute as pc

from anomaly_detector import backtest, capacity
from anomaly_detector.capacity import Size
from anomaly_detector.config import Config
from anomaly_detector.detection import to_bytes
from anomaly_detector.errors import PermanentError, RetryableError, refuse
from anomaly_detector.events.group import Group
from anomaly_detector.explain import events
from anomaly_detector.intervals import Grid
from anomaly_detector.lake import layout, parquet, results
from anomaly_detector.lake.group_files import group_files
from anomaly_detector.lake.landed import read_panel
from anomaly_detector.lake.store import ObjectStore
from anomaly_detector.ledger.items import Chunk, Detector, Run
from anomaly_detector.ledger.ledger import Ledger
from anomaly_detector.panel import second
from anomaly_detector.services import documents, history, models
from anomaly_detector.services.payloads import Activated, Trained


def train(
    store: ObjectStore,
    ledger: Ledger,
    config_hash: str,
    shard: int,
    history_start: datetime,
    history_end: datetime,
    execution: str,
) -> Trained:
    """Replay one shard's history; store the snapshot before the look-back, the scores of the
    newest part, and the training report.

    Raises
    ------
    PermanentError
        If an unloaded file cannot be read, or the history or a crawl does not fit into memory_mb.
    """
    config = documents.load(store, config_hash)
    grid = Grid.of(config)
    chunks = history.landed_chunks(store, ledger, config.query_hash)
    starts = grid.starts(history_start, history_end)

    def admit(size: Size) -> None:
        refuse(capacity.refuse_detector(config, size, "in the landed history"))

    read = [one for one in chunks if _overlaps(one, history_start, history_end)]
    spans = [(one.rows, grid.count(one.window_start, one.window_end)) for one in read]
    slices = max((Size.least(rows, intervals).slices for rows, intervals in spans), default=0)
    admit(Size(slices, len(starts), sum(rows for rows, _ in spans)))
    landed = read_panel(store, history.sources(chunks), config, starts, admit)
    base = base_of(grid, history_start, history_end, config.lookback_intervals)
    scored = backtest.score(
        config,
        landed.panel,
        score_from=second(backtest_start(grid, history_start, history_end)),
        snapshot_at=second(base),
    )
    if scored.snapshot is None:
        raise PermanentError(
            "The replay returned no snapshot: start the pipeline again with the input {}."
        )
    version = layout.model_version(base, layout.attempt_id(execution))
    store.put(layout.model(shard, version), to_bytes(scored.snapshot))
    scores_key = layout.backtest(shard, version)
    store.put(scores_key, parquet.write(scored.table), parquet.CONTENT_TYPE)
    store.put(layout.marks(scores_key), events.marks_to_json(scored.marks).encode())
    store.put_json(layout.learnt(scores_key), backtest.training(config, scored.state).to_dict())
    return Trained(shard=shard, version=version, series=scored.series, scores_key=scores_key)


def _overlaps(chunk: Chunk, begin: datetime, end: datetime) -> bool:
    return chunk.window_start < end and begin < chunk.window_end


def base_of(grid: Grid, begin: datetime, end: datetime, lookback: int) -> datetime:
    """Time of the snapshot: the look-back before `end`, but not before `begin`."""
    return max(begin, grid.shift(end, -lookback))


def backtest_start(grid: Grid, begin: datetime, end: datetime) -> datetime:
    """First scored interval: the newest 30 %, extended to whole UTC dates if the history allows."""
    exact = backtest.scored_from(grid, begin, end, backtest.SCORED_SHARE)
    midnight = datetime.combine(exact.date(), time(), UTC)
    first = grid.floor(midnight)
    if first < midnight:
        first = grid.shift(first, 1)
    return max(begin, first)


def activate(
    store: ObjectStore,
    ledger: Ledger,
    config_hash: str,
    history_start: datetime,
    history_end: datetime,
    *,
    train: bool,
    shards: Sequence[Trained],
    execution: str,
) -> Activated:
    """Publish the backtest and activate the configuration from the end of its history.

    Without training, model and watermark remain, and only the configuration changes.

    Raises
    ------
    PermanentError
        If a newer document has been uploaded.
    RetryableError
        If the detector was changed concurrently.
    """
    config = documents.load(store, config_hash)
    detector = ledger.detector()
    if detector.wanted_hash not in (None, config_hash):
        raise PermanentError(
            f"Configuration {config_hash} was replaced by {detector.wanted_hash} before it was "
            "activated."
        )
    if detector.status == "ACTIVE" and detector.execution == execution:
        return _active(detector, config_hash, 0)  # the response of an earlier attempt was lost
    values: dict[str, object] = {
        "status": "ACTIVE",
        "status_reason": None,
        "execution": execution,
        "config_hash": config_hash,
        "query_hash": config.query_hash,
        "model_hash": config.model_hash,
    }
    groups = 0
    if train:
        grid = Grid.of(config)
        shards = sorted(shards, key=lambda one: one.shard)
        base = base_of(grid, history_start, history_end, config.lookback_intervals)
        begin = backtest_start(grid, history_start, history_end)
        found = _publish_backtest(store, config, shards, begin, base, history_end)
        ledger.forget_groups(begin)
        # The look-back of a crawl may remove the newest groups, and finds them by these items.
        for group in found:
            ledger.put_group(group, shards[0].version)
        ledger.forget_intervals(history_end)
        groups = len(found)
        values |= {
            "watermark": history_end,
            "live_from": history_end,
            "base": base,
            "models": tuple(one.version for one in shards),
            "carried": shards[0].version,
            "old_models": (),
            "old_carried": None,
        }
    after = detector.model_copy(update=values)
    if not ledger.advance_detector(detector, after):
        raise RetryableError("The detector was changed concurrently.")
    run = ledger.run(config_hash) or Run(attempt=1, status="SUCCEEDED")
    done = {"status": "SUCCEEDED", "execution": execution, "reason": None}
    ledger.set_run(config_hash, run.model_copy(update=done))
    if train:
        store.delete(one.scores_key for one in shards)
        store.delete(layout.marks(one.scores_key) for one in shards)
        store.delete(layout.learnt(one.scores_key) for one in shards)
        models.forget(store, detector.models, detector.carried)
        models.forget(store, detector.old_models, detector.old_carried)
    return _active(after, config_hash, groups)


def _active(detector: Detector, config_hash: str, groups: int) -> Activated:
    if detector.watermark is None:
        raise PermanentError("The detector has no watermark: start the pipeline again.")
    return Activated(
        status=detector.status, config_hash=config_hash, watermark=detector.watermark, groups=groups
    )


def _publish_backtest(
    store: ObjectStore,
    config: Config,
    shards: Sequence[Trained],
    begin: datetime,
    base: datetime,
    end: datetime,
) -> tuple[Group, ...]:
    """Write scores and groups of `[begin, end)`, and delete those of a previous configuration."""
    table = parquet.joined(store, [one.scores_key for one in shards])
    marks = models.read_marks(store, [one.scores_key for one in shards])
    advance = backtest.group(config, table, marks, begin, end, carry_at=second(base))
    models.write_carried(store, shards[0].version, advance.carried)
    files = _score_files(config, table, base) | group_files(advance.groups, config)
    store.put_all(files, parquet.CONTENT_TYPE)
    stale = [
        key
        for prefix in (layout.SCORES, *layout.OF_GROUPS)
        for key in store.keys(prefix)
        if key not in files and (layout.date_of(key) or begin.date()) >= begin.date()
    ]
    store.delete(stale)
    store.put_json(layout.PREVIEW, backtest.preview(advance.groups, begin, end))
    # One model contains the series of all shards.
    store.put_json(layout.TRAINING, store.get_json(layout.learnt(shards[0].scores_key)))
    return advance.groups


def _score_files(config: Config, table: pa.Table, base: datetime) -> dict[str, bytes]:
    """One file per date, and one per interval of the look-back, which crawls will overwrite."""
    table = results.in_order(table, config)
    early = pc.less(table["interval_start"], pa.scalar(base, results.TIMESTAMP))
    files = {
        layout.history_scores(day): parquet.write(rows)
        for day, rows in results.by_date(table.filter(early))
    }
    for start, rows in results.by_interval(table.filter(pc.invert(early))):
        files[layout.interval_scores(start)] = parquet.write(rows)
    return files
