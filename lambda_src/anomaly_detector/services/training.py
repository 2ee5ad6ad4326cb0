"""Train the parts of the detector on the unloaded history, and activate the result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, time, timedelta

import numpy as np
from numpy.typing import NDArray

from anomaly_detector import backtest, capacity
from anomaly_detector.blocks import blocks, rows_at_once
from anomaly_detector.capacity import Size
from anomaly_detector.config import Config
from anomaly_detector.detection import DetectorSettings
from anomaly_detector.errors import PermanentError, RetryableError, refuse
from anomaly_detector.events.group import Group, in_order
from anomaly_detector.events.store import groups_from_bytes, groups_to_bytes
from anomaly_detector.intervals import Grid
from anomaly_detector.lake import layout, parquet, results
from anomaly_detector.lake.landed import Source, owners_of
from anomaly_detector.lake.store import ObjectStore
from anomaly_detector.ledger.items import Delivery, Detector, Run
from anomaly_detector.ledger.ledger import Ledger
from anomaly_detector.limits import MOST_ROUNDS, MOST_SECONDS
from anomaly_detector.model_format import FORMAT
from anomaly_detector.panel import second
from anomaly_detector.replay import Replay
from anomaly_detector.services import documents, feedback, history, models
from anomaly_detector.services.payloads import Activated, Trained
from anomaly_detector.services.replaying import Piece, replay_block
from anomaly_detector.snapshot import Snapshot, from_bytes, to_bytes

# Seconds between stored snapshots: the most that a crash can cost.
_STORED_AFTER = 120.0
# Reserved at the end of the function's time, to store the snapshot and return.
_LAST_SECONDS = 60.0


def train(
    store: ObjectStore,
    ledger: Ledger,
    config_hash: str,
    part: int,
    measures: tuple[str, ...],
    history_start: datetime,
    history_end: datetime,
    execution: str,
    trained: Trained | None = None,
    *,
    taught: datetime | None = None,
    remaining: Callable[[], float] = lambda: MOST_SECONDS,
) -> Trained:
    """Replay one part's history block by block; store the snapshot before the look-back, scores and
    groups of the backtest, and the training report.

    Before the function's time is over, the snapshot is stored and the result says that training is
    not done: call it again to continue. After a crash it continues from the last stored snapshot.
    The files written do not depend on the interruptions.

    Parameters
    ----------
    trained : result of the previous call, None for the first.
    taught : UTC; feedback that was given until then counts for the whole history.
    remaining : returns the seconds that the function has left.

    Raises
    ------
    PermanentError
        If an unloaded file cannot be read or has expired, the part does not fit into memory_mb, or
        training takes more than 200 calls.
    """
    rounds = 1 if trained is None else trained.rounds + 1
    if rounds > MOST_ROUNDS:
        raise PermanentError(
            f"Training took more than {MOST_ROUNDS} calls of {MOST_SECONDS // 60} minutes: "
            "increase lambda.memory_mb, reduce the number of series, or shorten the history."
        )
    config = documents.load(store, config_hash)
    grid = Grid.of(config)
    base = base_of(grid, history_start, history_end, config.lookback_intervals)
    score_from = second(backtest_start(grid, history_start, history_end))
    starts = grid.starts(history_start, history_end)
    axis = np.array([second(start) for start in starts])
    chunks = history.landed_chunks(store, ledger, config.query_hash)
    sources = history.sources(grid, chunks)
    said = feedback.verdicts(ledger, config, taught)
    settings = replace(DetectorSettings.of(config, grid).part(measures), verdicts=said)
    progress = _Progress.of(store, layout.model_version(base, layout.attempt_id(execution)), part)
    snapshot = progress.snapshot or Snapshot.initial(settings)
    clock = _Clock(remaining)

    def admit(slices: int) -> None:
        size = Size(slices, len(starts), slices * len(starts))
        refuse(capacity.refuse_part(config, size, len(measures), "in the unloaded history"))

    def answer(intervals: int) -> Trained:
        return Trained(
            part=part,
            measures=measures,
            version=progress.version,
            series=len(snapshot.state.slices) * len(measures),
            done=intervals == len(starts),
            share=intervals / len(starts),
            rounds=rounds,
        )

    for low, high in _blocks(config, axis, sources, len(measures)):
        if axis[high - 1] <= snapshot.state.until:  # trained by an earlier call; false for NaT
            continue
        if clock.is_short():
            progress.store(snapshot)
            return answer(low)
        for piece in replay_block(
            store,
            config,
            settings,
            snapshot,
            sources,
            starts[low:high],
            admit,
            second(base),
            score_from,
        ):
            snapshot = piece.done.after
            progress.late += _late_rows(ledger, piece)
            if piece.done.before is not None:
                store.put(layout.model(progress.version, part), to_bytes(piece.done.before))
            if len(piece.done.scores.starts):
                progress.add(config, base, piece.done)
        clock.lap()
        if clock.is_due():
            progress.store(snapshot)
    if base == history_end:
        store.put(layout.model(progress.version, part), to_bytes(snapshot))
    progress.store(snapshot)
    report = backtest.training(settings, snapshot)
    late = {"late_rows": progress.late}
    store.put_json(layout.learnt(progress.version, part), report.to_dict() | late)
    return answer(len(starts))


def _late_rows(ledger: Ledger, piece: Piece) -> int:
    """Rows that no crawl has read, because they came later than the look-back."""
    starts = [start.item().replace(tzinfo=UTC) for start in piece.panel.starts]
    scored = ledger.intervals(starts[0], starts[-1] + timedelta(seconds=1))
    return sum(
        max(0, int(rows) - (scored[start].rows or 0))
        for start, rows in zip(starts, piece.rows, strict=True)
        if start in scored and not scored[start].is_open
    )


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
    taught: datetime | None = None,
) -> Activated:
    """Activate the configuration from the end of its history; its backtest is pending in the outbox
    from then on, as results of a crawl are.

    The model in force may have crawled meanwhile: what began after its watermark, which it did not
    judge, is not history, and is told when the backtest is delivered.

    Without training, model and watermark remain, and only the configuration changes.

    Parameters
    ----------
    parts : the trained parts of the detector, which it keeps until it is trained again.
    taught : as they were trained with.
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
        # An earlier attempt has activated it; whether it did the rest is unknown.
        _complete(store, ledger, detector, (), now)
        return _active(detector, config_hash)
    values: dict[str, object] = {
        "status": "ACTIVE",
        "status_reason": None,
        "execution": execution,
        "config_hash": config_hash,
        "query_hash": config.query_hash,
        "model_hash": config.model_hash,
    }
    backtest_of: Delivery | None = None
    if train:
        grid = Grid.of(config)
        parts = sorted(parts, key=lambda one: one.part)
        version = parts[0].version
        base = base_of(grid, history_start, history_end, config.lookback_intervals)
        live_from = min(history_end, detector.watermark or history_end)
        live_since = detector.live_since or detector.live_from or live_from
        values |= {
            "watermark": history_end,
            "live_from": live_from,
            "live_since": live_since,
            "base": base,
            "parts": tuple(one.measures for one in parts),
            "model": version,
            "old_model": None,
            "model_format": FORMAT,
            "trained": version,
            "history_end": history_end,
            "taught": taught,
        }
        backtest_of = Delivery(
            due_start=history_end,
            attempt_id=version,
            config_hash=config_hash,
            window_start=backtest_start(grid, history_start, history_end),
            window_end=history_end,
            groups_keys=tuple(layout.backtest_groups(version, one.part) for one in parts),
            scored_prefixes=tuple(layout.backtest(version, one.part) for one in parts),
            live_from=live_from,
            live_since=live_since,
            history_end=history_end,
            revision=detector.revision + 1,
            trained=version,
            base=base,
        )
    after = detector.model_copy(update=values)
    if not ledger.activate(detector, after, backtest_of):
        raise RetryableError("The detector was changed concurrently.")
    replaced = (detector.model, detector.old_model) if train else ()
    _complete(store, ledger, after, replaced, now)
    return _active(after, config_hash)


def _complete(
    store: ObjectStore,
    ledger: Ledger,
    detector: Detector,
    replaced: Sequence[str | None],
    now: datetime,
) -> None:
    """Record the success of the detector's execution; delete the models that were replaced."""
    config_hash = str(detector.config_hash)
    run = ledger.run(config_hash) or Run(attempt=1, status="SUCCEEDED")
    done = {"status": "SUCCEEDED", "execution": detector.execution, "reason": None}
    ledger.set_run(config_hash, run.model_copy(update=done))
    standing = (detector.model, detector.old_model, *ledger.backtests())
    models.forget(store, standing=standing, replaced=replaced, now=now)


def _active(detector: Detector, config_hash: str) -> Activated:
    if detector.watermark is None:
        raise PermanentError("The detector has no watermark: start the pipeline again.")
    return Activated(status=detector.status, config_hash=config_hash, watermark=detector.watermark)


@dataclass
class _Progress:
    """Stored progress of a training.

    Scores are written block by block; if they are computed again after a crash, the files are the
    same. The snapshot is written last, because it marks the progress of all files.
    """

    objects: ObjectStore
    version: str
    part: int
    snapshot: Snapshot | None = None
    groups: dict[str, Group] = field(default_factory=dict)
    late: int = 0

    @classmethod
    def of(cls, store: ObjectStore, version: str, part: int) -> _Progress:
        """Progress of earlier calls, if any."""
        found = store.find(layout.unfinished(version, part))
        if found is None:
            return cls(store, version, part)
        groups = groups_from_bytes(store.get(layout.backtest_groups(version, part)))
        by_id = {group.id: group for group in groups}
        late = int(store.get_json(layout.late_rows(version, part))["rows"])
        return cls(store, version, part, from_bytes(found.body), by_id, late)

    def add(self, config: Config, base: datetime, done: Replay) -> None:
        """Write the scores: one file per date, and one per interval of the look-back, which crawls
        will overwrite. A later piece returns the group of an event again for as long as it is
        remembered.
        """
        self.groups |= {group.id: group for group in done.groups}
        table = results.scores_table(done.scores, config)
        prefix = layout.backtest(self.version, self.part)
        files = {
            layout.scores_from(prefix, begin): parquet.write(rows)
            for begin, rows in results.by_date_until(table, base)
        }
        self.objects.put_all(files, parquet.CONTENT_TYPE)

    def store(self, snapshot: Snapshot) -> None:
        """Write the progress."""
        groups = groups_to_bytes(in_order(self.groups.values()))
        key = layout.backtest_groups(self.version, self.part)
        self.objects.put(key, groups, "application/json")
        self.objects.put_json(layout.late_rows(self.version, self.part), {"rows": self.late})
        self.objects.put(layout.unfinished(self.version, self.part), to_bytes(snapshot))


class _Clock:
    """Decides when to stop and when to store, by the seconds that the function has left."""

    def __init__(self, remaining: Callable[[], float]) -> None:
        self._remaining = remaining
        self._last = self._stored = remaining()
        self._longest: float | None = None

    def lap(self) -> None:
        """Measure a finished block."""
        now = self._remaining()
        self._longest = max(self._longest or 0.0, self._last - now)
        self._last = now

    def is_short(self) -> bool:
        """Whether the time may not suffice for another block; false before the first."""
        if self._longest is None:
            return False
        return self._last < 1.5 * self._longest + _LAST_SECONDS

    def is_due(self) -> bool:
        """Whether the snapshot should be stored; then false for the next two minutes."""
        due = self._stored - self._last >= _STORED_AFTER
        if due:
            self._stored = self._last
        return due


def _blocks(
    config: Config, axis: NDArray[np.datetime64], sources: Sequence[Source], measures: int
) -> list[tuple[int, int]]:
    """Blocks of the history whose rows fit into memory.

    Raises
    ------
    PermanentError
        If an interval has not been unloaded, or its files have expired.
    """
    owners = owners_of(sources, axis)
    lacking = np.flatnonzero(owners < 0)
    if len(lacking):
        raise PermanentError(
            f"The unloaded history of {axis[lacking[0]]} (UTC) is no longer in the bucket: start "
            "the pipeline again with the input {}."
        )
    rates = [source.rows / source.intervals for source in sources]
    rows = [rates[owner] for owner in owners.tolist()]
    return blocks(owners.tolist(), rows, rows_at_once(config.memory_mb, measures))
