"""Which chunks of history must be unloaded. Pure except for one read of ledger and bucket."""

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
from anomaly_detector.services.payloads import HistoryPlan, Part, Window

# Limit of one inline Map of the pipeline with a payload of 256 KB.
MOST_CHUNKS = 500
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)


def plan_history(
    store: ObjectStore, ledger: Ledger, config_hash: str, started_at: datetime
) -> HistoryPlan:
    """Plan the chunks to unload and whether to train a model.

    Chunks begin at multiples of the chunk length from a fixed day, so that a repeated run reuses
    the chunks that an earlier run has unloaded, and requests only the rest.

    Raises
    ------
    PermanentError
        If the history is empty or would need more than 500 chunks.
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
            f"The history from {iso(begin)} to {iso(end)} has {len(chunks)} chunks, more than the "
            f"maximum of {MOST_CHUNKS}: increase history.chunk, or shorten the history."
        )
    return HistoryPlan(
        config_hash=config_hash,
        history_start=begin,
        history_end=end,
        chunks=tuple(Window(window_start=first, window_end=last) for first, last in chunks),
        parts=(Part(part=0, measures=tuple(config.measures)),) if train else (),
        train=train,
    )


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


def sources(chunks: Sequence[Chunk]) -> list[Source]:
    """Sources to read, ordered by their end: if chunks overlap, the one with the later end was
    unloaded later and contains late rows.
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
