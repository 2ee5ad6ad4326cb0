"""Puts scores in their places among the results, without holding more than an interval of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from anomaly_detector.lake import layout, parquet, results
from anomaly_detector.lake.store import ObjectStore


def publish_intervals(store: ObjectStore, parts: Mapping[datetime, Sequence[str]]) -> int:
    """Write the scores of each interval as one file, the same in however many parts they were made;
    how many files there were.

    Parameters
    ----------
    parts : the keys of an interval's scores by its start, one of each part of the detector. Where
        an object is not there, the part has nothing to say.
    """
    copied = {layout.interval_scores(at): keys[0] for at, keys in parts.items() if len(keys) == 1}
    published = store.copy_all(copied)
    for start, keys in parts.items():
        if len(keys) == 1:
            continue
        found = [one for key in keys if (one := store.find(key)) is not None]
        if found:
            rows = results.by_measure([parquet.read(one.body) for one in found])
            store.put(layout.interval_scores(start), parquet.write(rows), parquet.CONTENT_TYPE)
            published += 1
    return published
