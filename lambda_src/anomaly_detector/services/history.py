"""Which pieces of history are still to be landed. Pure but for one read of ledger and bucket."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import numpy as np

from anomaly_detector.config import Config
from anomaly_detector.errors import PermanentError
from anomaly_detector.intervals import Grid, iso
from anomaly_detector.lake import layout
from anomaly_detector.lake.landed import Source
from anomaly_detector.lake.store import ObjectStore
from anomaly_detector.ledger.items import Chunk, Detector
from anomaly_detector.ledger.ledger import Ledger
from anomaly_detector.services import documents
from anomaly_detector.services.payloads import HistoryPlan, Window

# What one inline Map of the pipeline takes on within a payload of 256 KB.
MOST_CHUNKS = 500
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def plan_history(
    store: ObjectStore, ledger: Ledger, config_hash: str, started_at: datetime
) -> HistoryPlan:
    """Plan what is to be landed and whether a model is to be trained.

    Chunks begin at multiples of the chunk length from a fixed day, whenever they are planned: a
    run that is started again finds what an earlier one has landed, and asks only for the rest.

    Raises
    ------
    PermanentError
        Where history is empty or would need more than 500 chunks.
    """
    config = documents.load(store, config_hash)
    grid = Grid.of(config)
    end = grid.due_end(started_at, config.offset_seconds)
    begin = grid.floor(config.history.begin(end, config.interval))
    train = not is_trained(ledger.detector(), config)
    chunks: Sequence[tuple[datetime, datetime]] = ()
    if train:
        landed = landed_chunks(store, ledger, config.query_hash)
        pieces = [(chunk.window_start, chunk.window_end) for chunk in landed]
        length = config.history.chunk_length
        chunks = missing_chunks(grid, begin, end, length, pieces, config.lookback_intervals)
    if len(chunks) > MOST_CHUNKS:
        raise PermanentError(
            f"History from {iso(begin)} to {iso(end)} makes {len(chunks)} chunks, at most "
            f"{MOST_CHUNKS} are taken: "
            "make history.chunk longer or the history shorter."
        )
    return HistoryPlan(
        config_hash=config_hash,
        history_start=begin,
        history_end=end,
        chunks=tuple(Window(window_start=first, window_end=last) for first, last in chunks),
        shards=(0,) if train else (),
        train=train,
    )


def is_trained(detector: Detector, config: Config) -> bool:
    """Whether the stored model serves this configuration as it is."""
    known = detector.watermark is not None and len(detector.models) == 1
    return known and detector.model_hash == config.model_hash


def landed_chunks(store: ObjectStore, ledger: Ledger, query_hash: str) -> list[Chunk]:
    """Chunks on file whose manifest is still in the bucket: its life-cycle rules may have expired
    them.
    """
    chunks = ledger.chunks(query_hash)
    if not chunks:
        return []
    run = layout.history_run(query_hash)
    kept = {key for key in store.keys(run) if key.endswith("/manifest")}
    return [chunk for chunk in chunks if chunk.manifest is None or chunk.manifest in kept]


def sources(chunks: Sequence[Chunk]) -> list[Source]:
    """What to read, the later ending last: where chunks overlap, it was landed later and holds
    late rows.
    """
    ordered = sorted(chunks, key=lambda chunk: (chunk.window_end, chunk.window_start))
    return [Source(chunk.manifest, chunk.window_start, chunk.window_end) for chunk in ordered]


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

    Where anything newer than the newest landed interval is asked for, the look-back before it is
    landed again: when it was landed first, its late rows had not come.
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
    cuts = [place(moment) for moment in _boundaries(grid, begin, end, length)]
    edges = np.flatnonzero(np.diff(np.concatenate(([True], covered, [True])).astype(np.int8)))
    chunks: list[tuple[datetime, datetime]] = []
    for low, high in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        inner = [cut for cut in cuts if low < cut < high]
        bounds = [grid.shift(begin, steps) for steps in (low, *inner, high)]
        chunks.extend(pairwise(bounds))
    return chunks


def _boundaries(grid: Grid, begin: datetime, end: datetime, length: timedelta) -> list[datetime]:
    first = (begin - _EPOCH) // length + 1
    last = (end - _EPOCH) // length
    return [grid.floor(_EPOCH + length * number) for number in range(first, last + 1)]
