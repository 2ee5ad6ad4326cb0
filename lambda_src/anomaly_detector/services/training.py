"""Train the detector on the unloaded history, and activate the result."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time

import pyarrow as pa
import pyarrow.compute as pc

from anomaly_detector import backtest, capacity
from anomaly_detector.capacity import Size
from anomaly_detector.config import Config
from anomaly_detector.errors import PermanentError, RetryableError, refuse
from anomaly_detector.events.group import Group
from anomaly_detector.events.store import groups_from_bytes, groups_to_bytes
from anomaly_detector.intervals import Grid
from anomaly_detector.lake import layout, parquet, results
from anomaly_detector.lake.group_files import group_files
from anomaly_detector.lake.landed import read_panel
from anomaly_detector.lake.store import ObjectStore
from anomaly_detector.ledger.items import Chunk, Detector, Run
from anomaly_detector.ledger.ledger import Ledger
from anomaly_detector.model_format import FORMAT
from anomaly_detector.panel import second
from anomaly_detector.services import documents, history, models
from anomaly_detector.services.payloads import Activated, Trained
from anomaly_detector.snapshot import to_bytes


def train(
    store: ObjectStore,
    ledger: Ledger,
    config_hash: str,
    part: int,
    measures: tuple[str, ...],
    history_start: datetime,
    history_end: datetime,
    execution: str,
) -> Trained:
    """Replay one part's history; store the snapshot before the look-back, scores and groups of the
    backtest, and the training report.

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
    if scored.before is None:
        raise PermanentError(
            "The replay returned no snapshot: start the pipeline again with the input {}."
        )
    version = layout.model_version(base, layout.attempt_id(execution))
    store.put(layout.model(version, part), to_bytes(scored.before))
    store.put(layout.backtest(version, part), parquet.write(scored.table), parquet.CONTENT_TYPE)
    groups = groups_to_bytes(scored.groups)
    store.put(layout.backtest_groups(version, part), groups, "application/json")
    report = backtest.training(config, scored.after)
    store.put_json(layout.learnt(version, part), report.to_dict())
    return Trained(part=part, measures=measures, version=version, series=scored.series)


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
    parts: Sequence[Trained],
    execution: str,
    now: datetime,
) -> Activated:
    """Publish the backtest and activate the configuration from the end of its history.

    Without training, model and watermark remain, and only the configuration changes.

    Parameters
    ----------
    parts : the trained parts of the detector, which it keeps until it is trained again.
    now : UTC.

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
        parts = sorted(parts, key=lambda one: one.part)
        base = base_of(grid, history_start, history_end, config.lookback_intervals)
        begin = backtest_start(grid, history_start, history_end)
        found = _publish_backtest(store, config, parts, begin, base, history_end)
        ledger.forget_groups(begin)
        # The look-back of a crawl may remove the newest groups, and finds them by these items.
        for group in found:
            ledger.put_group(group, parts[0].version)
        ledger.forget_intervals(history_end)
        groups = len(found)
        values |= {
            "watermark": history_end,
            "live_from": history_end,
            "base": base,
            "parts": tuple(one.measures for one in parts),
            "model": parts[0].version,
            "old_model": None,
            "model_format": FORMAT,
        }
    after = detector.model_copy(update=values)
    if not ledger.advance_detector(detector, after):
        raise RetryableError("The detector was changed concurrently.")
    run = ledger.run(config_hash) or Run(attempt=1, status="SUCCEEDED")
    done = {"status": "SUCCEEDED", "execution": execution, "reason": None}
    ledger.set_run(config_hash, run.model_copy(update=done))
    if train:
        made = (layout.backtest, layout.backtest_groups, layout.learnt)
        store.delete(key(one.version, one.part) for one in parts for key in made)
        models.forget(
            store,
            standing=(after.model,),
            replaced=(detector.model, detector.old_model),
            now=now,
        )
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
    parts: Sequence[Trained],
    begin: datetime,
    base: datetime,
    end: datetime,
) -> tuple[Group, ...]:
    """Write scores and groups of `[begin, end)`, and delete those of a previous configuration."""
    table = parquet.joined(store, [layout.backtest(one.version, one.part) for one in parts])
    keys = [layout.backtest_groups(one.version, one.part) for one in parts]
    of_parts = store.read_all(keys, groups_from_bytes)
    groups = sorted(
        (group for one in of_parts for group in one),
        key=lambda one: (one.start, one.measure, one.id),
    )
    files = _score_files(config, table, base) | group_files(groups, config)
    store.put_all(files, parquet.CONTENT_TYPE)
    stale = [
        key
        for prefix in (layout.SCORES, *layout.OF_GROUPS)
        for key in store.keys(prefix)
        if key not in files and (layout.date_of(key) or begin.date()) >= begin.date()
    ]
    store.delete(stale)
    store.put_json(layout.PREVIEW, backtest.preview(groups, begin, end))
    learnt = [store.get_json(layout.learnt(one.version, one.part)) for one in parts]
    classes = [one for of_part in learnt for one in of_part["classes"]]
    store.put_json(layout.TRAINING, learnt[0] | {"classes": classes})
    return tuple(groups)


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
