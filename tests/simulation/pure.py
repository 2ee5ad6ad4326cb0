"""Pure functions of the code whose answers are kept: hundreds of runs ask them the same.

The same rows replayed by the same model give the same scores, to the last bit, and equal values
give equal files; that is tested elsewhere. What a run asks of its clients is done again each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from anomaly_detector import config as document
from anomaly_detector.lake import parquet, results
from anomaly_detector.ledger import table
from anomaly_detector.panel import Panel
from anomaly_detector.services import crawling, delivery, replaying, training
from anomaly_detector.warehouse import sql
from boto3.dynamodb.types import TypeSerializer

_kept: dict[tuple[Any, ...], tuple[Any, Any]] = {}
# Tables that are kept, by id: only these are worth looking up.
_tables: set[int] = set()


def forget() -> None:
    """Keep nothing any more; what the next runs ask is of other detectors or tables."""
    _kept.clear()
    _tables.clear()


@contextmanager
def answers_kept() -> Iterator[None]:
    """Have the code ask the kept answers first."""
    before = [(where, name, getattr(where, name)) for where, name, _ in _CHANGES]
    for where, name, made in _CHANGES:
        setattr(where, name, made)
    try:
        yield
    finally:
        for where, name, value in before:
            setattr(where, name, value)


def _answer(key: tuple[Any, ...], of: Any, make: Callable[[], Any]) -> Any:
    """The kept answer; `of` are the objects whose ids are in the key, which are kept as well."""
    found = _kept.get(key)
    if found is None:
        found = _kept[key] = (make(), of)
    return found[0]


def _by_value(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: _answer((function, value), None, lambda: function(value))


def _by_identity(function: Callable[..., Any]) -> Callable[..., Any]:
    def asked(first: Any, *others: Any) -> Any:
        return _answer((function, id(first), *others), first, lambda: function(first, *others))

    return asked


def _content(panel: Panel) -> tuple[Any, ...]:
    names = tuple(map(tuple, panel.slices.tolist()))
    arrays = (panel.starts, panel.values, panel.counts)
    return (panel.dimensions, panel.measures, names, *(array.tobytes() for array in arrays))


def _replay(
    settings: Any, snapshot: Any, panel: Panel, snapshot_at: Any = None, score_from: Any = None
) -> Any:
    key = (settings, id(snapshot), str(snapshot_at), str(score_from), *_content(panel))
    given = (settings, snapshot, panel, snapshot_at, score_from)
    return _answer((_REPLAY, *key), snapshot, lambda: _REPLAY(*given))


def _scores_table(scores: Any, config: Any) -> Any:
    key = (_SCORES_TABLE, id(scores), config.dimensions)
    return _answer(key, scores, lambda: _SCORES_TABLE(scores, config))


def _rows_of(function: Callable[..., Any]) -> Callable[..., Sequence[Any]]:
    def asked(table: Any, *others: Any) -> Any:
        found = _answer(
            (function, id(table), *others), table, lambda: list(function(table, *others))
        )
        _tables.update(id(rows) for _, rows in found)
        return found

    return asked


def _write(rows: Any) -> bytes:
    if id(rows) not in _tables:
        return _WRITE(rows)
    found: bytes = _answer((_WRITE, id(rows)), rows, lambda: _WRITE(rows))
    return found


def _aggregate(config: Any, start: Any, end: Any, **how: bool) -> Any:
    key = (_AGGREGATE, id(config), start, end, *how.items())
    return _answer(key, config, lambda: _AGGREGATE(config, start, end, **how))


def _group_files(groups: Sequence[Any], config: Any) -> Any:
    key = (_GROUP_FILES, tuple(map(id, groups)), id(config))
    return _answer(key, (tuple(groups), config), lambda: _GROUP_FILES(groups, config))


class _Serializer(TypeSerializer):  # type: ignore[misc]
    """Boto3's, which takes long to find out what a text is."""

    def serialize(self, value: Any) -> Any:
        if type(value) is not str:
            return super().serialize(value)
        return {"S": value}


_REPLAY, _SCORES_TABLE, _WRITE = replaying.replay, results.scores_table, parquet.write  # type: ignore[attr-defined]
_AGGREGATE, _GROUP_FILES = sql.aggregate, delivery.group_files  # type: ignore[attr-defined]
_CHANGES: list[tuple[Any, str, Callable[..., Any]]] = [
    (replaying, "replay", _replay),
    (results, "scores_table", _scores_table),
    (results, "by_interval", _rows_of(results.by_interval)),
    (results, "by_date_until", _rows_of(results.by_date_until)),
    (parquet, "write", _write),
    *((where, "from_bytes", _by_value(where.from_bytes)) for where in (crawling, training)),
    *((where, "to_bytes", _by_identity(where.to_bytes)) for where in (crawling, training)),
    (document, "load", _by_value(document.load)),
    (delivery, "load", _by_value(document.load)),
    (delivery, "groups_from_bytes", _by_value(delivery.groups_from_bytes)),  # type: ignore[attr-defined]
    (delivery, "group_files", _group_files),
    (sql, "aggregate", _aggregate),
    (sql, "tokenize", _by_value(sql.tokenize)),  # type: ignore[attr-defined]
    (table, "TypeSerializer", _Serializer),
]
