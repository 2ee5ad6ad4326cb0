"""Which chunks of history must be unloaded. Pure except for one read of ledger and bucket."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np

from anomaly_detector import capacity
from anomaly_detector.blocks import rows_at_once
from anomaly_detector.capacity import Size
from anomaly_detector.config import Config
from anomaly_detector.errors import PermanentError
from anomaly_detector.intervals import SECONDS, Grid, iso
from anomaly_detector.lake import layout
from anomaly_detector.lake.landed import Source
from anomaly_detector.lake.store import ObjectStore
from anomaly_detector.ledger.items import Chunk, Detector
from anomaly_detector.ledger.ledger import Ledger
from anomaly_detector.services import documents
from anomaly_detector.services.payloads import Counted, HistoryPlan, Part, Retraining, Window

# Limit of one inline Map of the pipeline with a payload of 256 KB.
MOST_CHUNKS = 500
NOT_ASKED = Retraining()
# A chunk that was unloaded earlier is unloaded again for a training: rows may have come since,
# later than the look-back. What a run that failed has unloaded is reused.
_FRESH = timedelta(days=2)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)
# Chunk lengths below history.chunk: whole days, and divisors of a day.
_LENGTHS = (
    *(_DAY * days for days in (30, 15, 10, 7, 5, 3, 2, 1)),
    *(_HOUR * hours for hours in (12, 8, 6, 4, 3, 2, 1)),
    *(timedelta(minutes=minutes) for minutes in (30, 15, 10, 5)),
)


def plan_history(
    store: ObjectStore,
    ledger: Ledger,
    config_hash: str,
    started_at: datetime,
    counted: Counted | None = None,
    asked: Retraining = NOT_ASKED,
) -> HistoryPlan:
    """Plan the chunks to unload, whether to train a model, and in how many parts.

    Chunks begin at multiples of the chunk length from a fixed day, so that a repeated run reuses
    the chunks that an earlier run has unloaded within two days, and requests only the rest.

    Parameters
    ----------
    counted : result of the query check. Without it, chunks have the maximum length, and the
        detector has one part.
    asked : what an operator has asked for. Chunks that overlap what is to be unloaded again are
        unloaded again as a whole.

    Raises
    ------
    PermanentError
        If the history is empty, would need more than 500 chunks, or does not contain what is to be
        unloaded again.
    """
    config = documents.load(store, config_hash)
    grid = Grid.of(config)
    end = grid.due_end(started_at, config.offset_seconds)
    begin = grid.floor(config.history.begin(end, config.interval))
    train = asked.retrain or asked.again is not None or not is_trained(ledger.detector(), config)
    again = asked.again
    if again is not None and not _overlap(again.window_start, again.window_end, begin, end):
        raise PermanentError(
            f"The time from {iso(again.window_start)} to {iso(again.window_end)} lies outside of "
            f"the history, which is from {iso(begin)} to {iso(end)}: lengthen history.length or "
            "history.start."
        )
    size = Size(0, grid.count(begin, end), 0)
    if counted is not None:
        size = Size(counted.slices, counted.intervals, counted.rows, counted.text)
    parts = capacity.parts(config, size) if train else ()
    chunks: Sequence[tuple[datetime, datetime]] = ()
    if train:
        landed = landed_chunks(store, ledger, config.query_hash)
        pieces = [
            (chunk.window_start, chunk.window_end)
            for chunk in landed
            if (chunk.landed_at is not None and started_at - chunk.landed_at < _FRESH)
            and (
                again is None
                or not _overlap(
                    chunk.window_start, chunk.window_end, again.window_start, again.window_end
                )
            )
        ]
        most = rows_at_once(config.memory_mb, max(len(measures) for measures in parts))
        length = chunk_length(config, size, most)
        chunks = missing_chunks(grid, begin, end, length, pieces, config.lookback_intervals)
    if len(chunks) > MOST_CHUNKS:
        raise PermanentError(
            f"The history from {iso(begin)} to {iso(end)} has {len(chunks)} chunks, more than the "
            f"maximum of {MOST_CHUNKS}: increase history.chunk, or shorten the history."
        )
    return HistoryPlan(
        config_hash=config_hash,
        history_start=begin,
        history_end=end,
        chunks=tuple(Window(window_start=first, window_end=last) for first, last in chunks),
        parts=tuple(Part(part=part, measures=names) for part, names in enumerate(parts)),
        train=train,
        taught=started_at,
    )


def chunk_length(config: Config, size: Size, most_rows: int) -> timedelta:
    """Maximum length of chunks with at most `most_rows` rows, which training reads in one block; at
    most `history.chunk`, and not so short that there are too many chunks.
    """
    limit = config.history.chunk_length
    interval = timedelta(seconds=SECONDS[config.interval])
    history = interval * size.intervals
    shortest = max(interval, history / (MOST_CHUNKS - 1))
    lengths = [limit, *(one for one in _LENGTHS if shortest <= one < limit)]
    fitting = [one for one in lengths if size.rows * (one / history) <= most_rows]
    return max(fitting, default=min(lengths))


def is_trained(detector: Detector, config: Config) -> bool:
    """Whether the stored model fits this configuration without training."""
    known = detector.model is not None and not detector.is_of_former_version
    return known and detector.model_hash == config.model_hash


def landed_chunks(store: ObjectStore, ledger: Ledger, query_hash: str) -> list[Chunk]:
    """Recorded chunks whose manifest still exists: the bucket's life-cycle rules may have deleted
    it.
    """
    chunks = ledger.chunks(query_hash)
    if not chunks:
        return []
    run = layout.history_run(query_hash)
    kept = {key for key in store.keys(run) if key.endswith("/manifest")}
    return [chunk for chunk in chunks if chunk.manifest is None or chunk.manifest in kept]


def sources(grid: Grid, chunks: Sequence[Chunk]) -> list[Source]:
    """Sources to read, in the order in which they were unloaded: if chunks overlap, the later one
    contains late rows.
    """
    # A chunk of a former version has no time; then the one with the later end was unloaded later.
    ordered = sorted(
        chunks,
        key=lambda chunk: (chunk.landed_at or _EPOCH, chunk.window_end, chunk.window_start),
    )
    return [
        Source(
            chunk.manifest,
            chunk.window_start,
            chunk.window_end,
            chunk.rows,
            grid.count(chunk.window_start, chunk.window_end),
        )
        for chunk in ordered
    ]


def missing_chunks(
    grid: Grid,
    begin: datetime,
    end: datetime,
    length: timedelta,
    landed: Sequence[tuple[datetime, datetime]],
    lookback: int,
) -> list[tuple[datetime, datetime]]:
    """Windows that together with `landed` cover `[begin, end)`, cut at multiples of `length`;
    all on the grid.

    If `[begin, end)` extends beyond the newest unloaded interval, the look-back before it is
    unloaded again, because its late rows may not have been there the first time.
    """
    total = grid.count(begin, end)
    covered = np.zeros(total, dtype=np.bool_)

    def place(moment: datetime) -> int:
        return min(max(grid.count(begin, moment), 0), total)

    for first, last in landed:
        covered[place(first) : place(last)] = True
    newest = max((last for _, last in landed), default=begin)
    if begin < newest < end:
        covered[place(grid.shift(newest, -lookback)) :] = False
    # Intervals may be longer than chunks.
    cuts = sorted({place(moment) for moment in _boundaries(grid, begin, end, length)})
    edges = np.flatnonzero(np.diff(np.concatenate(([True], covered, [True])).astype(np.int8)))
    chunks: list[tuple[datetime, datetime]] = []
    for low, high in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        inner = [cut for cut in cuts if low < cut < high]
        bounds = [grid.shift(begin, steps) for steps in (low, *inner, high)]
        chunks.extend(pairwise(bounds))
    return chunks


def _overlap(begin: datetime, end: datetime, other: datetime, other_end: datetime) -> bool:
    return begin < other_end and other < end


def _boundaries(grid: Grid, begin: datetime, end: datetime, length: timedelta) -> list[datetime]:
    first = (begin - _EPOCH) // length + 1
    last = (end - _EPOCH) // length
    return [grid.floor(_EPOCH + length * number) for number in range(first, last + 1)]
