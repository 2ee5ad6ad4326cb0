"""Snapshots in the bucket: one generation is a model per shard and the open groups as of the same
moment.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from anomaly_detector.explain import events
from anomaly_detector.lake import layout
from anomaly_detector.lake.store import ObjectStore


def read_carried(store: ObjectStore, version: str | None) -> events.EventState:
    """Open groups as of the snapshots of that version."""
    if version is None:
        return events.EventState()
    return events.events_from_json(store.get(layout.carried(version)).decode())


def write_carried(store: ObjectStore, version: str, state: events.EventState) -> None:
    """Keep the open groups beside the snapshots of that version."""
    store.put(layout.carried(version), events.events_to_json(state).encode(), "application/json")


def forget(store: ObjectStore, versions: Sequence[str], carried: str | None) -> None:
    """Delete one generation."""
    keys = [layout.model(shard, version) for shard, version in enumerate(versions)]
    if carried is not None:
        keys.append(layout.carried(carried))
    if keys:
        store.delete(keys)


def second(moment: datetime) -> np.datetime64:
    """The moment as detection takes it: UTC, without a zone, in seconds."""
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "s")


def known(table: pa.Table) -> pa.Table:
    """Scores without rows that say nothing: a slice that appears late in a window was not
    known before.

    A crawl over fewer intervals would not have such rows, and what is stored must not depend on
    that.
    """
    said = pc.or_(pc.is_valid(table["actual"]), pc.is_valid(table["expected"]))
    return table.filter(said)
