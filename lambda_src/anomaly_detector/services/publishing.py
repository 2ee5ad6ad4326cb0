"""Puts scores in their places among the results, without holding more than an interval of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from anomaly_detector import backtest
from anomaly_detector.alerts.words import sentence
from anomaly_detector.config import Config
from anomaly_detector.events.group import Group
from anomaly_detector.intervals import Grid
from anomaly_detector.lake import layout, parquet, results
from anomaly_detector.lake.group_files import group_files
from anomaly_detector.lake.store import ObjectStore
from anomaly_detector.ledger.items import Delivery


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


def publish_backtest(
    store: ObjectStore, config: Config, delivery: Delivery, groups: Sequence[Group]
) -> int:
    """Write scores and groups of a backtest, its preview and the report of the training, and delete
    the results of a previous model; how many files of scores there are.
    """
    begin, end = delivery.window_start, delivery.window_end
    files = group_files(groups, config)
    store.put_all(files, parquet.CONTENT_TYPE)
    scores = _publish_scores(store, delivery)
    published = files.keys() | scores
    stale = [
        key
        for prefix in (layout.SCORES, *layout.OF_GROUPS)
        for key in store.keys(prefix)
        if key not in published and (layout.date_of(key) or begin.date()) >= begin.date()
    ]
    store.delete(stale)
    store.put_json(layout.PREVIEW, backtest.preview(groups, begin, end))
    found = backtest.recommend(
        groups,
        begin,
        end,
        config.messages_per_week,
        Grid.of(config).seconds,
        config.alerts.values(),
    )
    store.put_json(layout.RECOMMENDATION, found.to_dict(lambda one: sentence(config, one)))
    parts = range(len(delivery.scored_prefixes))
    learnt = [store.get_json(layout.learnt(str(delivery.trained), part)) for part in parts]
    classes = [one for of_part in learnt for one in of_part["classes"]]
    store.put_json(layout.TRAINING, learnt[0] | {"classes": classes})
    return len(scores)


def _publish_scores(store: ObjectStore, delivery: Delivery) -> set[str]:
    """Copy the files written by training, and write one file per interval from the model's base on,
    which crawls will overwrite; return the keys.
    """
    copies: dict[str, str] = {}
    newest: dict[datetime, list[str]] = {}
    for part, prefix in enumerate(delivery.scored_prefixes):
        for key in store.keys(prefix):
            start = layout.start_of(key)
            if delivery.base is None or start < delivery.base:
                copies[layout.history_scores(start, part)] = key
            else:
                newest.setdefault(start, []).append(key)
    store.copy_all(copies)
    publish_intervals(store, newest)
    return {*copies, *map(layout.interval_scores, newest)}


def forget_backtest(store: ObjectStore, delivery: Delivery, standing: Sequence[str | None]) -> None:
    """Delete what training has left beside the model, and the model unless it is one of `standing`,
    which are versions.
    """
    version = str(delivery.trained)
    parts = range(len(delivery.scored_prefixes)) if version in standing else ()
    kept = {layout.model(version, part) for part in parts}
    store.delete(key for key in store.keys(layout.of_version(version)) if key not in kept)
