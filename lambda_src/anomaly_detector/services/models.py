"""Snapshots in the bucket: a generation is one model per shard and the groups that were open at the
same time.
"""

from __future__ import annotations

from collections.abc import Sequence

from anomaly_detector.explain import events
from anomaly_detector.lake import layout
from anomaly_detector.lake.store import ObjectStore
from anomaly_detector.panel import Mark


def read_carried(store: ObjectStore, version: str | None) -> events.EventState:
    """Open groups of the snapshots with this version."""
    if version is None:
        return events.EventState()
    return events.events_from_json(store.get(layout.carried(version)).decode())


def write_carried(store: ObjectStore, version: str, state: events.EventState) -> None:
    """Store the open groups of the snapshots with this version."""
    store.put(layout.carried(version), events.events_to_json(state).encode(), "application/json")


def read_marks(store: ObjectStore, scores_keys: Sequence[str]) -> tuple[Mark, ...]:
    """Marks stored with these scores."""
    return tuple(
        mark
        for key in scores_keys
        for mark in events.marks_from_json(store.get(layout.marks(key)).decode())
    )


def forget(store: ObjectStore, versions: Sequence[str], carried: str | None) -> None:
    """Delete one generation."""
    keys = [layout.model(shard, version) for shard, version in enumerate(versions)]
    if carried is not None:
        keys.append(layout.carried(carried))
    if keys:
        store.delete(keys)
