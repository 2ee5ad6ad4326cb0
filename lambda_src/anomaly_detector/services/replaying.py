"""Reads and replays one block of landed intervals: what training and every crawl do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.blocks import intervals_at_once
from anomaly_detector.config import Config
from anomaly_detector.detection import DetectorSettings
from anomaly_detector.lake.landed import Source, read_landed
from anomaly_detector.lake.store import ObjectStore
from anomaly_detector.panel import Panel
from anomaly_detector.replay import Replay, replay
from anomaly_detector.snapshot import Snapshot


@dataclass(frozen=True)
class Piece:
    """Some intervals of a block.

    Attributes
    ----------
    rows : (T,) int64, rows of the user's query behind each interval.
    """

    panel: Panel
    rows: NDArray[np.int64]
    done: Replay


def replay_block(
    store: ObjectStore,
    config: Config,
    settings: DetectorSettings,
    snapshot: Snapshot,
    sources: Sequence[Source],
    starts: Sequence[datetime],
    admit: Callable[[int], None],
    snapshot_at: np.datetime64,
    score_from: np.datetime64 | None = None,
) -> Iterator[Piece]:
    """Replay the landed rows of consecutive intervals, as many at a time as can be held.

    Parameters
    ----------
    settings : of the part that is replayed, whose measures alone are read.
    starts : UTC.
    admit : is told how many slices there are, before arrays are made of them.
    snapshot_at : UTC; `before` is given by the piece whose intervals hold it, and by no other.
    score_from : as `replay` takes it.
    """
    measures = [rule.name for rule in settings.measures]
    landed = read_landed(store, sources, config, starts, measures)
    known, new = snapshot.state.slices.tolist(), landed.slices.tolist()
    slices = len({*map(tuple, known), *map(tuple, new)})
    admit(slices)
    size = intervals_at_once(config.memory_mb, slices * len(measures))
    low = 0
    for panel in landed.panels(size):
        held = panel.starts[0] <= snapshot_at <= panel.starts[-1]
        done = replay(settings, snapshot, panel, snapshot_at if held else None, score_from)
        snapshot = done.after
        yield Piece(panel, landed.rows[low : low + size], done)
        low += size
