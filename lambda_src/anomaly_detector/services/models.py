"""Stored models: one version is a snapshot for each part of the detector."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

from anomaly_detector.lake import layout
from anomaly_detector.lake.store import ObjectStore

# Longer than a pipeline may take, so that a run that is under way has written within this time.
_ABANDONED = timedelta(days=15)


def forget(
    store: ObjectStore,
    *,
    standing: Collection[str | None],
    replaced: Collection[str | None],
    now: datetime,
) -> None:
    """Delete versions that nothing needs any more, and what runs that died have left behind.

    Parameters
    ----------
    standing : versions that stay. replaced : versions that go at once, unless they stay.
    now : UTC.
    """
    keys: dict[str, list[str]] = {}
    newest: dict[str, datetime] = {}
    for key, modified in store.modified(layout.MODELS):
        version = layout.version_of(key)
        keys.setdefault(version, []).append(key)
        newest[version] = max(modified, newest.get(version, modified))
    gone = [
        version
        for version, written in newest.items()
        if version not in standing and (version in replaced or written < now - _ABANDONED)
    ]
    store.delete(key for version in gone for key in keys[version])
