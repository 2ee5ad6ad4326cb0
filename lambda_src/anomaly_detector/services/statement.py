"""One statement in the warehouse, submitted and polled: a query check, or an UNLOAD of history or
of a live window.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from anomaly_detector import capacity
from anomaly_detector.capacity import Size
from anomaly_detector.config import Config, Redshift
from anomaly_detector.errors import PermanentError
from anomaly_detector.intervals import Grid, iso
from anomaly_detector.lake import layout
from anomaly_detector.lake.landed import Manifest, read_manifest
from anomaly_detector.lake.store import ObjectStore
from anomaly_detector.ledger.items import Chunk
from anomaly_detector.ledger.ledger import Ledger
from anomaly_detector.services import cancelling, documents
from anomaly_detector.services.cancelling import Sleep
from anomaly_detector.services.history import is_trained
from anomaly_detector.services.payloads import Bill, Counted, LandedFiles, Request, Statement
from anomaly_detector.warehouse import checks, sql
from anomaly_detector.warehouse.checks import SeriesNumbers
from anomaly_detector.warehouse.data_api import BusyError, DataApi
from anomaly_detector.warehouse.faults import DRIFT, Fault, FaultKind, classify, is_drift
from anomaly_detector.warehouse.redaction import UnredactedError
from anomaly_detector.warehouse.statement import Statement as Submitted

Warehouse = Callable[[Redshift], DataApi]

# Seconds between polls; the last one is repeated, so that a query of a day stays far below the
# limit of 25,000 events per execution.
_WAITS = (1, 2, 4, 8, 15, 30, 60)
# Seconds before each further attempt, two and a half minutes in total: the time until a new role
# can be assumed.
_PAUSES = (5, 10, 20, 30, 30, 30, 30)
# The longest wait for a warehouse that takes no statement: paused, being resized, its queue full.
_LONGEST_WAIT = 300
# Seconds that it is waited for: the next crawl would begin again, unless it is hours away.
_PATIENCE, _LEAST_PATIENCE = 10_800, 900
# A statement that fails for another reason may have run for long, so it gets fewer attempts.
_AGAIN = {
    FaultKind.ROLE: len(_PAUSES),
    FaultKind.BUSY: 0,
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
    started_at: datetime,
    busy: int = 0,
) -> Statement:
    """Submit the statement; a repeated call with the same arguments returns the same statement.

    A warehouse that takes no statement for now is waited for, RUNNING and failed, with growing
    waits: for an interval, but between a quarter of an hour and three hours. The statement of a
    live window waits, RUNNING and blocked, for the end of statements that an earlier crawl has
    abandoned; these are cancelled.

    Raises
    ------
    PermanentError
        If the query is invalid, the warehouse was busy for too long, or the execution or its crawl
        has ended.
    RetryableError
        If the warehouse rejects a role that may not have propagated.

    Parameters
    ----------
    started_at : of the execution. busy : how often the warehouse was busy since then.
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
    try:
        statement_id = api.submit(text, token, name)
    except BusyError as error:
        if now - started_at >= _patience(config, request):
            raise PermanentError(_out_of_patience(now - started_at, str(error))) from error
        return Statement(
            status="RUNNING",
            attempt=attempt,
            attempt_id=attempt_id,
            failed=True,
            busy=busy + 1,
            wait_seconds=_busy_wait(execution, busy),
        )
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
        busy=busy,
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
        # Nothing was submitted where the warehouse was busy: the same attempt is made again.
        attempt = statement.attempt + bool(statement.statement_id)
        again = {"status": status, "attempt": attempt, "failed": False}
        return statement.model_copy(update=again)
    config = documents.load(store, request.config_hash)
    api = warehouse(_redshift(config))
    if statement.blocked:
        if cancelling.cancel_left_behind(api, config.name, execution):
            return _waiting(statement)
        return statement.model_copy(update={"status": "AGAIN"})
    found = api.describe(statement.statement_id)
    bill = functools.partial(_bill, store, ledger, request, found, started_at, now)
    if found.status in ("FAILED", "ABORTED"):
        bill()
    if found.running and over and not statement.cancelled:
        asked = api.cancel(statement.statement_id)
        return statement.model_copy(update={"cancelled": asked, "wait_seconds": _WAITS[0]})
    if found.status == "FINISHED":
        if not request.purpose.startswith("check"):
            landed = _landed(store, ledger, config, request, statement, found, now)
            bill(landed.rows, landed.bytes)
            return statement.model_copy(update={"status": "FINISHED", "result": landed.answer()})
        bill()
        if request.purpose == "check_columns":
            result = _columns(config, api, statement.statement_id)
        else:
            detector = ledger.detector()
            parts = detector.parts if is_trained(detector, config) else ()
            result = _series(config, api, request, statement, parts, found.duration_seconds)
        return statement.model_copy(update={"status": "FINISHED", "result": result})
    if found.status in ("FAILED", "ABORTED"):
        if statement.cancelled:
            told = _told(store, config, request, statement, found, _timed_out(request))
            raise PermanentError(told)
        waited = now - started_at
        return _paused(store, config, request, statement, found, execution, waited)
    return _waiting(statement)


def _bill(
    store: ObjectStore,
    ledger: Ledger,
    request: Request,
    found: Submitted,
    started_at: datetime,
    now: datetime,
    rows: int = 0,
    size: int = 0,
) -> None:
    """Add an ended statement to the table `statements` and to the usage of the month; a repeated
    call changes nothing.
    """
    milliseconds = round(found.duration_seconds * 1000)
    row = Bill(
        statement_id=found.id,
        purpose=request.purpose,
        status=found.status,
        started_at=started_at,
        milliseconds=milliseconds,
        row_count=rows,
        byte_count=size,
    )
    key, body = layout.statement_row(started_at, found.id), row.model_dump_json().encode()
    if found.status == "FINISHED":
        store.put(key, body, "application/json")
    else:
        # As below: that the bucket takes nothing may be why it failed, and must not hide it.
        store.put_if_it_can(key, body, "application/json")
    ledger.add_usage(now, found.id, milliseconds, rows, size)


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


def _patience(config: Config, request: Request) -> timedelta:
    if request.purpose != "live":
        return timedelta(seconds=_PATIENCE)
    seconds = Grid.of(config).seconds
    return timedelta(seconds=min(max(seconds, _LEAST_PATIENCE), _PATIENCE))


def _out_of_patience(waited: timedelta, reason: str) -> str:
    minutes = waited.total_seconds() / 60
    return f"The warehouse was waited for {minutes:.0f} minutes. {reason}"


def _busy_wait(execution: str, busy: int) -> int:
    return _jittered(min(2 ** (busy + 1), _LONGEST_WAIT), f"{execution}/{busy}")


def _jittered(seconds: int, seed: str) -> int:
    """Between half and all of the seconds, the same for the same seed, so that statements which
    failed together do not come again together.
    """
    share = int(hashlib.sha256(seed.encode()).hexdigest()[:8], 16) / 2**32
    return max(1, round(seconds * (0.5 + share / 2)))


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
    store: ObjectStore,
    config: Config,
    request: Request,
    statement: Statement,
    found: Submitted,
    execution: str,
    waited: timedelta,
) -> Statement:
    text = found.error or f"The statement was {found.status.lower()}, and no reason was given."
    fault = classify(text, found.sql)
    if found.status == "ABORTED" and fault.kind in (FaultKind.UNCERTAIN, FaultKind.PERMANENT):
        fault = Fault(FaultKind.PASSING, fault.sentence)
    if request.purpose == "live" and is_drift(text):
        fault = Fault(fault.kind, f"{DRIFT} {fault.sentence}")
    if fault.kind is FaultKind.BUSY and waited < _patience(config, request):
        wait, busy = _busy_wait(execution, statement.busy), statement.busy + 1
        return statement.model_copy(update={"failed": True, "busy": busy, "wait_seconds": wait})
    if statement.attempt - statement.busy > _AGAIN[fault.kind]:
        several = f"Failed after {statement.attempt} attempts: " if statement.attempt > 1 else ""
        told = _told(store, config, request, statement, found, fault.sentence)
        raise PermanentError(several + told) from UnredactedError(text)
    pause = _PAUSES[min(statement.attempt, len(_PAUSES)) - 1]
    role = fault.kind is FaultKind.ROLE
    if not role:
        pause = _jittered(pause, f"{execution}/{statement.attempt}")
    failed = {"failed": True, "role": role, "wait_seconds": pause}
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
    refuse_problems(checks.judge_columns(config, api.result(statement_id).columns))
    return {"ok": True}


def _series(
    config: Config,
    api: DataApi,
    request: Request,
    statement: Statement,
    parts: Sequence[Sequence[str]],
    seconds: float,
) -> dict[str, object]:
    """Judge the counts, and what loading the history would take, by the run time of this statement;
    `parts` are those of a trained model, which keeps them and needs no history.
    """
    numbers = checks.read_series(config, api.result(statement.statement_id))
    problems = checks.judge_series(config, numbers)
    size = history_size(config, numbers, request.window_start, request.window_end)
    # Series are counted over the sample window only, because counting all of history means scanning
    # all of it. Training counts the unloaded rows before it allocates memory for them.
    if parts:
        window, measures = capacity.largest_window(config, size), max(map(len, parts))
        found = capacity.refuse_crawl(config, window, measures, "in the sample window")
    else:
        found = capacity.refuse_detector(config, size, "in the sample window")
    refuse_problems([*problems, *([] if found is None else [found])])
    backfill = 0.0 if parts else seconds * size.intervals / _intervals_of(config, request)
    over = config.budget.refuses(backfill)
    if over is not None:
        raise PermanentError(over)
    counted = Counted(slices=size.slices, intervals=size.intervals, rows=size.rows, text=size.text)
    return {
        "ok": True,
        "series": numbers.series,
        "backfill_seconds": round(backfill, 1),
        **counted.answer(),
    }


def _intervals_of(config: Config, request: Request) -> int:
    """Intervals of the request's window."""
    return Grid.of(config).count(request.window_start, request.window_end)


def history_size(config: Config, numbers: SeriesNumbers, start: datetime, end: datetime) -> Size:
    """Size of the history until `end`, extrapolated from the sample window `[start, end)`."""
    grid = Grid.of(config)
    sampled = grid.count(start, end)
    intervals = grid.count(grid.floor(config.history.begin(end, config.interval)), end)
    # A slice has at most one unloaded row per interval, a level at most as many as the query's.
    slices = (numbers.slices.get(level, 0) for level in config.levels)
    found = (min(of_level * sampled, numbers.rows_inside) for of_level in slices)
    size = Size(numbers.series // len(config.measures), sampled, sum(found), numbers.text)
    return size.of_intervals(intervals)


def refuse_problems(problems: list[str]) -> None:
    """Raise PermanentError with the problems that a check has found, if there are any."""
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
    listed = read_manifest(store, manifest) if written else Manifest(entries=())
    landed = LandedFiles(
        prefix=prefix,
        manifest=manifest if written else None,
        rows=listed.rows,
        bytes=listed.bytes,
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
            bytes=landed.bytes,
            statement_id=statement.statement_id,
            milliseconds=milliseconds,
            landed_at=now,
        )
        ledger.put_chunk(config.query_hash, chunk)
    else:
        due = Grid.of(config).starts(request.due_start or request.window_start, request.window_end)
        ledger.mark_intervals(
            due,
            "LANDED",
            statement_id=statement.statement_id,
            milliseconds=milliseconds,
            bytes=landed.bytes,
        )
    return landed
