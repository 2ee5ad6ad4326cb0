"""Aggregated rows from the warehouse itself, by the Data API with the caller's own credentials: the
SQL that a deployed detector unloads, without a bucket or a role.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, TypeVar

import numpy as np
import pyarrow as pa

from anomaly_detector.config import Config
from anomaly_detector.errors import PermanentError, RetryableError
from anomaly_detector.intervals import Grid, iso
from anomaly_detector.local_file.aggregate import Aggregated, landed_panel, not_scored
from anomaly_detector.local_file.engine import Engine
from anomaly_detector.local_file.progress import Progress
from anomaly_detector.panel import second
from anomaly_detector.services.history import chunk_length, missing_chunks
from anomaly_detector.services.preparing import sample
from anomaly_detector.services.statement import history_size, refuse_problems
from anomaly_detector.warehouse import checks, sql
from anomaly_detector.warehouse.data_api import DataApi
from anomaly_detector.warehouse.faults import FaultKind, classify
from anomaly_detector.warehouse.statement import Result, Statement

Ask = Callable[[str], None]
_T = TypeVar("_T")
# Rows of a statement's result: far below the Data API's limit of 500 MB.
_MOST_ROWS: Final = 500_000
# Seconds between polls, and before a call, or a statement, is tried again.
_POLLS: Final = (0.2, 0.5, 1, 2, 5)
_CALLS: Final = (1, 2, 4)
_PAUSES: Final = (1, 5, 15, 30)
# Redshift Serverless charges a minute at least.
_LEAST_CHARGED: Final = 60


class Warehouse:
    """Statements on the caller's warehouse, one at a time; what runs is cancelled when the caller
    stops waiting.

    Parameters
    ----------
    name : the beginning of the statements' names.
    """

    def __init__(
        self, api: DataApi, name: str, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._api = api
        self._name = f"{name}-backtest"
        self._sleep = sleep

    @property
    def label(self) -> str:
        """The warehouse in messages."""
        place = self._api.redshift
        kind, named = (
            ("cluster", place.cluster_identifier)
            if place.cluster_identifier
            else ("workgroup", place.workgroup_name)
        )
        return f"{kind} '{named}'"

    @property
    def serverless(self) -> bool:
        """Whether run time is charged by the second."""
        return self._api.redshift.workgroup_name is not None

    def run(self, text: str, purpose: str) -> tuple[str, float]:
        """Run a statement to its end; returns its ID and its seconds in the warehouse.

        Raises
        ------
        PermanentError
            If it fails; what may pass is tried again.
        """
        for pause in (*_PAUSES, None):
            found = self._until_ended(text, purpose)
            if found.status == "FINISHED":
                return found.id, found.duration_seconds
            fault = classify(found.error or "The statement was cancelled.", text)
            if pause is None or fault.kind in (FaultKind.PERMANENT, FaultKind.UNCERTAIN):
                raise PermanentError(f"The {purpose} failed in {self.label}: {fault.sentence}")
            self._sleep(pause)
        raise AssertionError

    def pages(self, statement_id: str) -> Iterator[Result]:
        """The result of a finished statement, page by page."""
        return self._api.pages(statement_id)

    def _until_ended(self, text: str, purpose: str) -> Statement:
        token = uuid.uuid4().hex
        statement_id = self._patiently(
            lambda: self._api.submit(text, token, f"{self._name}-{purpose.replace(' ', '-')}")
        )
        try:
            polls = iter(_POLLS)
            while (found := self._patiently(lambda: self._api.describe(statement_id))).running:
                self._sleep(next(polls, _POLLS[-1]))
        except BaseException:
            self._api.cancel(statement_id)
            raise
        return found

    def _patiently(self, call: Callable[[], _T]) -> _T:
        for pause in _CALLS:
            try:
                return call()
            except RetryableError:
                self._sleep(pause)
        try:
            return call()
        except RetryableError as error:
            raise PermanentError(f"{error} See --help for the permissions.") from error


def read(
    config: Config,
    warehouse: Warehouse,
    engine: Engine,
    now: datetime,
    ask: Ask,
    progress: Progress,
) -> Aggregated:
    """Check the query, and read its history up to `now`.

    Parameters
    ----------
    now : UTC; intervals that end, with the offset, by then are read.
    ask : is told what comes next and what it costs, before anything is run; it raises to stop.

    Raises
    ------
    PermanentError
        If the query does not fit the configuration, a statement fails, or there are no rows.
    """
    grid = Grid.of(config)
    start, end = sample(config, now)
    begin = grid.floor(config.history.begin(end, config.interval))
    # The longest statements are sent last: whether they can be sent is known before.
    sql.within_limit(sql.aggregate(config, begin, end, history=True))
    price = _price(config, warehouse, 2 * [_LEAST_CHARGED])
    ask(
        f"The query check runs two statements in {warehouse.label}, over the rows from "
        f"{iso(start)} to {iso(end)}{price and f', which cost at least {price}'}."
    )
    progress.start("Checking the query")
    statement, _ = warehouse.run(checks.columns_statement(config, start, end), "query check")
    refuse_problems(checks.judge_columns(config, _whole(warehouse.pages(statement)).columns))
    statement, seconds = warehouse.run(
        checks.series_statement(config, start, end, history=True), "query check"
    )
    numbers = checks.read_series(config, _whole(warehouse.pages(statement)))
    refuse_problems(checks.judge_series(config, numbers))
    size = history_size(config, numbers, start, end)
    chunks = missing_chunks(grid, begin, end, chunk_length(config, size, _MOST_ROWS), [], 0)
    expected = seconds * size.intervals / grid.count(start, end)
    price = _price(config, warehouse, [expected / len(chunks)] * len(chunks))
    ask(
        f"The history from {iso(begin)} to {iso(end)} is read by {_many(len(chunks), 'statement')} "
        f"that return about {size.rows:,} rows and are expected to take {max(1, expected):,.0f} "
        f"seconds in {warehouse.label}{price and f', which cost about {price}'}."
    )
    progress.start(f"Reading from {warehouse.label}")
    engine.rows(f"CREATE OR REPLACE TEMP TABLE landed ({', '.join(_columns(config))})")
    for done, (first, last) in enumerate(chunks):
        statement, _ = warehouse.run(
            sql.aggregate(config, first, last, history=True), "read of the history"
        )
        for page in warehouse.pages(statement):
            engine.insert("landed", _table(page))
        progress((done + 1) / len(chunks))
    return _aggregated(config, engine, end)


def _price(config: Config, warehouse: Warehouse, seconds: Sequence[float]) -> str:
    """What statements of these seconds cost, empty for a cluster, which is paid anyway."""
    if not warehouse.serverless:
        return ""
    charged = sum(max(_LEAST_CHARGED, each) for each in seconds)
    rate = config.budget.dollars_per_hour
    return f"${charged / 3600 * rate:.2f} at ${rate:g} an hour (budget.dollars_per_hour)"


def _whole(pages: Iterator[Result]) -> Result:
    found = list(pages)
    return Result(found[0].columns, tuple(row for page in found for row in page.records))


def _columns(config: Config) -> list[str]:
    """Names and types of what `sql.aggregate` returns, without the shard."""
    measures = config.measures.values()
    return [
        "interval_start TIMESTAMP",
        *(f"dimension_{place} VARCHAR" for place in range(len(config.dimensions))),
        *(
            f"measure_{place}_{what}"
            for place in range(len(config.measures))
            for what in ("value DOUBLE", "count BIGINT")
        ),
        *(f"measure_{place}_norm DOUBLE" for place, one in enumerate(measures) if one.normed),
        "row_count BIGINT",
    ]


def _table(page: Result) -> pa.Table:
    names = [column.name for column in page.columns]
    columns = zip(*page.records, strict=True) if page.records else ((),) * len(names)
    arrays = {name: pa.array(column) for name, column in zip(names, columns, strict=True)}
    arrays.pop("shard")
    return pa.table(arrays)


def _aggregated(config: Config, engine: Engine, end: datetime) -> Aggregated:
    grid = Grid.of(config)
    leaf = " AND ".join(f"dimension_{place} <> '*'" for place in range(len(config.dimensions)))
    held = engine.rows(
        "SELECT epoch(interval_start)::BIGINT, sum(row_count)::BIGINT FROM landed "
        f"WHERE {leaf or 'true'} GROUP BY 1 ORDER BY 1"
    )
    if not held:
        raise PermanentError(
            "The query returns no rows for the history: lengthen history.length, or check the "
            "comparison with the placeholders."
        )
    begin = datetime.fromtimestamp(held[0][0], UTC)
    axis = np.array([second(start) for start in grid.starts(begin, end)])
    starts = axis.astype("datetime64[s]").astype(np.int64)
    rows = np.zeros(len(axis), dtype=np.int64)
    rows[np.searchsorted(starts, [start for start, _ in held])] = [count for _, count in held]
    panel, passed = landed_panel(config, engine, axis)
    said = not_scored(grid, axis, config.timestamp_column.timezone)
    return Aggregated(config, panel, begin, end, passed, 0, 0, rows, tuple(said))


def _many(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
