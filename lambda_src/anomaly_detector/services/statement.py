"""One statement in the warehouse, submitted and polled: a query check, or an UNLOAD of history or
of a live window.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from anomaly_detector import capacity
from anomaly_detector.capacity import Size
from anomaly_detector.config import Config, Redshift
from anomaly_detector.errors import PermanentError
from anomaly_detector.intervals import Grid, iso
from anomaly_detector.lake import layout
from anomaly_detector.lake.landed import read_manifest
from anomaly_detector.lake.store import ObjectStore
from anomaly_detector.ledger.items import Chunk
from anomaly_detector.ledger.ledger import Ledger
from anomaly_detector.services import cancelling, documents
from anomaly_detector.services.cancelling import Sleep
from anomaly_detector.services.history import is_trained
from anomaly_detector.services.payloads import Counted, LandedFiles, Request, Statement
from anomaly_detector.warehouse import checks, sql
from anomaly_detector.warehouse.checks import SeriesNumbers
from anomaly_detector.warehouse.data_api import DataApi
from anomaly_detector.warehouse.faults import Fault, FaultKind, classify
from anomaly_detector.warehouse.redaction import UnredactedError
from anomaly_detector.warehouse.statement import Statement as Submitted

Warehouse = Callable[[Redshift], DataApi]

# Seconds between polls; the last one is repeated, so that a query of a day stays far below the
# limit of 25,000 events per execution.
_WAITS = (1, 2, 4, 8, 15, 30, 60)
# Seconds before each further attempt, two and a half minutes in total: the time until a new role
# can be assumed.
_PAUSES = (5, 10, 20, 30, 30, 30, 30)
# A statement that fails for another reason may have run for long, so it gets fewer attempts.
_AGAIN = {
    FaultKind.ROLE: len(_PAUSES),
    FaultKind.PASSING: 3,
    FaultKind.UNCERTAIN: 2,
    FaultKind.PERMANENT: 0,
}


def submit(
    store: ObjectStore,
    ledger: Ledger,
    warehouse: Warehouse,
    request: Request,
    execution: str,
    attempt: int,
    now: datetime,
    sleep: Sleep,
) -> Statement:
    """Submit the statement; a repeated call with the same arguments returns the same statement.

    The statement of a live window waits, RUNNING and blocked, for the end of statements that an
    earlier crawl has abandoned; these are cancelled.

    Raises
    ------
    PermanentError
        If the query is invalid, or the execution or its crawl has ended.
    RetryableError
        If the warehouse is busy, or rejects a role that may not have propagated.
    """
    config = documents.load(store, request.config_hash)
    api = warehouse(_redshift(config))
    attempt_id = layout.attempt_id(execution, attempt)
    text = _text(store, config, api.redshift, request, attempt_id)
    _keep_lease(ledger, request, now)
    if request.purpose == "live" and cancelling.cancel_left_behind(api, config.name, execution):
        return Statement(
            status="RUNNING",
            attempt=attempt,
            attempt_id=attempt_id,
            wait_seconds=_WAITS[0],
            blocked=True,
        )
    window = f"{iso(request.window_start)}/{iso(request.window_end)}"
    token = hashlib.sha256(f"{attempt_id}/{request.purpose}/{window}".encode()).hexdigest()
    name = cancelling.statement_name(config.name, request.purpose, execution, attempt)
    statement_id = api.submit(text, token, name)
    # Checked after submitting: whoever marks the execution later finds the statement.
    if ledger.is_stopped(execution):
        ended = cancelling.cancel_one(api, statement_id, sleep)
        outcome = "was cancelled" if ended else f"{statement_id} could not be cancelled"
        raise PermanentError(f"The execution was stopped; its statement {outcome}.")
    return Statement(
        status="RUNNING",
        statement_id=statement_id,
        attempt=attempt,
        attempt_id=attempt_id,
        wait_seconds=_WAITS[0],
    )


def poll(
    store: ObjectStore,
    ledger: Ledger,
    warehouse: Warehouse,
    request: Request,
    statement: Statement,
    execution: str,
    started_at: datetime,
    now: datetime,
) -> Statement:
    """Check the state of the statement; when it has finished, judge the result of a check, or
    record the unloaded files.

    A statement that was aborted or failed with a transient error returns RUNNING once more, for a
    wait, and then AGAIN with the number of the next attempt, or ATTACH if it failed because of the
    UNLOAD role, which may have been detached. A statement that exceeds its time limit is cancelled,
    and its end is waited for.

    Raises
    ------
    PermanentError
        If the statement failed permanently or exceeded its time limit, with the warehouse's text,
        the statement ID and where its SQL is stored; or with every problem that a check found.
    """
    _keep_lease(ledger, request, now)
    over = now - started_at >= timedelta(seconds=request.timeout_seconds)
    if over and (statement.failed or statement.blocked):
        raise PermanentError(_timed_out(request))
    if statement.failed:
        status = "ATTACH" if statement.role else "AGAIN"
        again = {"status": status, "attempt": statement.attempt + 1, "failed": False}
        return statement.model_copy(update=again)
    config = documents.load(store, request.config_hash)
    api = warehouse(_redshift(config))
    if statement.blocked:
        if cancelling.cancel_left_behind(api, config.name, execution):
            return _waiting(statement)
        return statement.model_copy(update={"status": "AGAIN"})
    found = api.describe(statement.statement_id)
    if found.running and over and not statement.cancelled:
        asked = api.cancel(statement.statement_id)
        return statement.model_copy(update={"cancelled": asked, "wait_seconds": _WAITS[0]})
    if found.status == "FINISHED":
        if request.purpose == "check_columns":
            result = _columns(config, api, statement.statement_id)
        elif request.purpose == "check_series":
            detector = ledger.detector()
            parts = detector.parts if is_trained(detector, config) else ()
            result = _series(config, api, request, statement, parts)
        else:
            result = _landed(store, ledger, config, request, statement, found, now).answer()
        return statement.model_copy(update={"status": "FINISHED", "result": result})
    if found.status in ("FAILED", "ABORTED"):
        if statement.cancelled:
            told = _told(store, config, request, statement, found, _timed_out(request))
            raise PermanentError(told)
        return _paused(store, config, request, statement, found)
    return _waiting(statement)


def _keep_lease(ledger: Ledger, request: Request, now: datetime) -> None:
    if request.crawl is not None and not ledger.renew_crawl(request.crawl, now):
        raise PermanentError(
            "This crawl lost its lease, because it was unresponsive for too long: another crawl "
            "has taken over."
        )


def _timed_out(request: Request) -> str:
    return (
        f"The statement did not end within {request.timeout_seconds / 3600:g} hours and was "
        "cancelled: filter on the sort key in the query, shorten history.chunk, or give the "
        "database user a higher query priority."
    )


def _waiting(statement: Statement) -> Statement:
    polls = statement.polls + 1
    wait = _WAITS[min(polls, len(_WAITS) - 1)]
    return statement.model_copy(update={"polls": polls, "wait_seconds": wait})


def _redshift(config: Config) -> Redshift:
    if config.redshift is None:
        raise PermanentError("The configuration is not valid: redshift must be set.")
    return config.redshift


def _text(
    store: ObjectStore, config: Config, redshift: Redshift, request: Request, attempt_id: str
) -> str:
    start, end = request.window_start, request.window_end
    if request.purpose == "check_columns":
        return checks.columns_statement(config, start, end)
    if request.purpose == "check_series":
        return checks.series_statement(config, start, end, history=True)
    select = sql.aggregate(config, start, end, history=request.purpose == "history")
    url = f"s3://{store.bucket}/{_prefix(config, request, attempt_id)}"
    return sql.unload(select, url, redshift.unload_role, encrypted=redshift.encrypted)


def _prefix(config: Config, request: Request, attempt_id: str) -> str:
    if request.purpose == "history":
        start, end = request.window_start, request.window_end
        return layout.history_attempt(config.query_hash, start, end, attempt_id)
    if request.purpose != "live":
        return layout.check_attempt(config.query_hash, attempt_id)
    return layout.live_attempt(request.due_start or request.window_start, attempt_id)


def _paused(
    store: ObjectStore, config: Config, request: Request, statement: Statement, found: Submitted
) -> Statement:
    text = found.error or f"The statement was {found.status.lower()}, and no reason was given."
    fault = classify(text, found.sql)
    if found.status == "ABORTED" and fault.kind in (FaultKind.UNCERTAIN, FaultKind.PERMANENT):
        fault = Fault(FaultKind.PASSING, fault.sentence)
    if statement.attempt > _AGAIN[fault.kind]:
        several = f"Failed after {statement.attempt} attempts: " if statement.attempt > 1 else ""
        told = _told(store, config, request, statement, found, fault.sentence)
        raise PermanentError(several + told) from UnredactedError(text)
    pause = _PAUSES[statement.attempt - 1]
    failed = {"failed": True, "role": fault.kind is FaultKind.ROLE, "wait_seconds": pause}
    return statement.model_copy(update=failed)


def _told(
    store: ObjectStore,
    config: Config,
    request: Request,
    statement: Statement,
    found: Submitted,
    sentence: str,
) -> str:
    """A sentence, followed by the statement ID and where the SQL is stored.

    The error itself stays in the warehouse, as it may quote values of rows.
    """
    # UNLOAD requires an empty prefix, so the SQL is stored when the statement has ended. If this
    # function cannot write to the bucket either, that must not hide the reason.
    key = layout.statement_sql(_prefix(config, request, statement.attempt_id))
    heading = f"-- statement {found.id}, query {found.query_id}\n-- {sentence}\n\n"
    body = (heading + found.sql).encode()
    if store.put_if_it_can(key, body, "text/plain; charset=utf-8"):
        place = f"s3://{store.bucket}/{key}"
    else:
        place = "the warehouse's SYS_QUERY_TEXT"
    return (
        f"{sentence} Statement {found.id}, query {found.query_id}; the complete error is in the "
        f"warehouse's SYS_QUERY_HISTORY, the SQL in {place}."
    )


def _columns(config: Config, api: DataApi, statement_id: str) -> dict[str, object]:
    _refuse(checks.judge_columns(config, api.result(statement_id).columns))
    return {"ok": True}


def _series(
    config: Config,
    api: DataApi,
    request: Request,
    statement: Statement,
    parts: Sequence[Sequence[str]],
) -> dict[str, object]:
    """Judge the counts; `parts` are those of a trained model, which keeps them."""
    numbers = checks.read_series(config, api.result(statement.statement_id))
    problems = checks.judge_series(config, numbers)
    size = _history(config, numbers, request)
    # Series are counted over the sample window only, because counting all of history means scanning
    # all of it. Training counts the unloaded rows before it allocates memory for them.
    if parts:
        window, measures = capacity.largest_window(config, size), max(map(len, parts))
        found = capacity.refuse_crawl(config, window, measures, "in the sample window")
    else:
        found = capacity.refuse_detector(config, size, "in the sample window")
    _refuse([*problems, *([] if found is None else [found])])
    counted = Counted(slices=size.slices, intervals=size.intervals, rows=size.rows, text=size.text)
    return {"ok": True, "series": numbers.series, **counted.answer()}


def _history(config: Config, numbers: SeriesNumbers, request: Request) -> Size:
    """Size of the history, extrapolated from the sample window."""
    grid = Grid.of(config)
    sampled = grid.count(request.window_start, request.window_end)
    begin = grid.floor(config.history.begin(request.window_end, config.interval))
    intervals = grid.count(begin, request.window_end)
    # A slice has at most one unloaded row per interval, a level at most as many as the query's.
    slices = (numbers.slices.get(level, 0) for level in config.levels)
    found = (min(of_level * sampled, numbers.rows_inside) for of_level in slices)
    size = Size(numbers.series // len(config.measures), sampled, sum(found), numbers.text)
    return size.of_intervals(intervals)


def _refuse(problems: list[str]) -> None:
    if problems:
        raise PermanentError("The query does not fit the configuration: " + " ".join(problems))


def _landed(
    store: ObjectStore,
    ledger: Ledger,
    config: Config,
    request: Request,
    statement: Statement,
    found: Submitted,
    now: datetime,
) -> LandedFiles:
    prefix = _prefix(config, request, statement.attempt_id)
    manifest = layout.manifest(prefix)
    # Without rows, UNLOAD may write neither files nor a manifest.
    written = manifest in set(store.keys(manifest))
    if not written and found.rows:
        raise PermanentError(
            f"UNLOAD reported {found.rows} rows, but its manifest s3://{store.bucket}/{manifest} "
            "does not exist: check that nothing else deletes objects from the bucket, and start "
            "again."
        )
    milliseconds = round(found.duration_seconds * 1000)
    landed = LandedFiles(
        prefix=prefix,
        manifest=manifest if written else None,
        rows=read_manifest(store, manifest).rows if written else 0,
        attempt_id=statement.attempt_id,
        statement_id=statement.statement_id,
        milliseconds=milliseconds,
    )
    if request.purpose == "history":
        chunk = Chunk(
            window_start=request.window_start,
            window_end=request.window_end,
            prefix=prefix,
            manifest=landed.manifest,
            rows=landed.rows,
            statement_id=statement.statement_id,
            milliseconds=milliseconds,
            landed_at=now,
        )
        ledger.put_chunk(config.query_hash, chunk)
    else:
        due = Grid.of(config).starts(request.due_start or request.window_start, request.window_end)
        ledger.mark_intervals(
            due, "LANDED", statement_id=statement.statement_id, milliseconds=milliseconds
        )
    return landed
