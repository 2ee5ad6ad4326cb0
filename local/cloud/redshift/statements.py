"""The Data API's statements: submitted, run on threads, described, kept."""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from local.cloud.errors import AwsError
from local.cloud.faults import Fault, FaultPlan
from local.cloud.redshift import copy, dialect, unload
from local.cloud.redshift.engine import Session
from local.cloud.redshift.errors import RedshiftError
from local.cloud.redshift.warehouses import Warehouse

TOKEN_SECONDS = 8 * 3600.0
RESULT_SECONDS = 24 * 3600.0
_OPEN = ("SUBMITTED", "PICKED", "STARTED")
_AS_LONG_AS_IT_TAKES = 24 * 3600.0


class _CancelledError(Exception):
    """The statement was cancelled."""


@dataclass
class SubStatement:
    """One statement of a batch, or the only one."""

    id: str
    sql: str
    parameters: dict[str, str]
    status: str = "SUBMITTED"
    error: str = ""
    result: pa.Table | None = None
    rows: int = -1
    started: float = 0.0
    ended: float = 0.0
    query_id: int = 0
    created: float = field(default_factory=time.time)
    updated: float = field(default_factory=time.time)


@dataclass
class Statement:
    """A statement as the Data API keeps it."""

    id: str
    warehouse: Warehouse
    database: str
    user: str
    owner: str
    parts: list[SubStatement]
    batch: bool = False
    secret_arn: str = ""
    db_user: str = ""
    name: str = ""
    login_error: str = ""
    status: str = "SUBMITTED"
    error: str = ""
    created: float = field(default_factory=time.time)
    updated: float = field(default_factory=time.time)
    pid: int = 0
    stop: threading.Event = field(default_factory=threading.Event)
    session: Session | None = None
    with_event: bool = False

    @property
    def is_open(self) -> bool:
        return self.status in _OPEN

    def part(self, part_id: str) -> SubStatement | None:
        """Return the statement of a batch with this id; the only one by the whole's id too."""
        if part_id == self.id and not self.batch:
            return self.parts[0]
        return next((each for each in self.parts if each.id == part_id), None)


class Statements:
    """Every statement of a local cloud."""

    def __init__(
        self,
        plan: FaultPlan,
        endpoint: str,
        status_seconds: float,
        on_end: Callable[[Statement], None],
    ) -> None:
        self._plan = plan
        self._endpoint = endpoint
        self._status_seconds = status_seconds
        self._on_end = on_end
        self._all: dict[str, Statement] = {}
        self._tokens: dict[tuple[str, str], tuple[str, float]] = {}
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(max_workers=64, thread_name_prefix="redshift")
        self._query_ids = itertools.count(1000)
        self.timestamps: unload.TimestampEncoding = "int64"

    def submit(self, statement: Statement, client_token: str | None) -> Statement:
        """Keep a statement and start it; the same client token gives the first one again."""
        with self._lock:
            if client_token:
                known = self._tokens.get((statement.owner, client_token))
                if known is not None and time.time() < known[1] + TOKEN_SECONDS:
                    return self._all[known[0]]
            active = sum(
                each.is_open and each.warehouse is statement.warehouse
                for each in self._all.values()
            )
            if active >= statement.warehouse.max_active:
                raise AwsError(
                    "ActiveStatementsExceededException",
                    "The number of active statements exceeds the limit.",
                )
            if client_token:
                self._tokens[statement.owner, client_token] = (statement.id, time.time())
            self._all[statement.id] = statement
        self._threads.submit(self._run, statement)
        return statement

    def find(self, statement_id: str) -> Statement:
        """Return a statement by its id or the id of one of its parts."""
        with self._lock:
            found = self._all.get(statement_id.partition(":")[0])
        if found is None or (":" in statement_id and found.part(statement_id) is None):
            raise AwsError("ResourceNotFoundException", "Query does not exist.")
        return found

    def all(self) -> list[Statement]:
        with self._lock:
            return list(self._all.values())

    def summaries(self) -> list[dict[str, Any]]:
        """Return every single statement, oldest first, for the admin interface."""
        return [
            {
                "id": part.id,
                "statement": each.id,
                "warehouse": each.warehouse.identifier,
                "sql": part.sql,
                "status": part.status,
                "error": part.error,
                "rows": part.rows,
                "user": each.user,
                "owner": each.owner,
                "name": each.name,
            }
            for each in self.all()
            for part in each.parts
        ]

    def cancel(self, statement: Statement) -> None:
        with self._lock:
            # "To be canceled, a query must be running."
            if statement.status != "STARTED":
                raise AwsError(
                    "ValidationException",
                    f"Could not cancel a query that is already in {statement.status} state "
                    f"with ID: {statement.id}",
                )
            statement.stop.set()
            if statement.session is not None:
                statement.session.interrupt()

    def close(self) -> None:
        for each in self.all():
            each.stop.set()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _run(self, statement: Statement) -> None:
        try:
            self._pause(statement, self._status_seconds)
            self._set(statement, "PICKED")
            self._pause(statement, self._status_seconds)
            self._set(statement, "STARTED")
            if statement.login_error:
                raise RedshiftError(statement.login_error)
            self._run_parts(statement)
            self._set(statement, "FINISHED")
        except _CancelledError:
            self._end(statement, "ABORTED", "Query aborted on request.")
        except RedshiftError as error:
            if statement.stop.is_set():
                self._end(statement, "ABORTED", "Query aborted on request.")
            else:
                self._end(statement, "FAILED", str(error))
        except Exception as error:  # noqa: BLE001 - a statement must end, whatever happened
            self._end(statement, "FAILED", f"ERROR: internal error of the stand-in: {error!r}")
        finally:
            if statement.session is not None:
                statement.session.close()
                statement.session = None
            self._on_end(statement)

    def _run_parts(self, statement: Statement) -> None:
        try:
            database = statement.warehouse.database(statement.database)
        except LookupError as error:
            raise RedshiftError(f"FATAL: {error.args[0]}") from error
        database.sign_in(statement.user)
        session = statement.session = database.session()
        if statement.batch:
            session.begin()
        try:
            for part in statement.parts:
                self._run_part(statement, part, session)
        except BaseException:
            if statement.batch:
                session.roll_back()
            raise
        if statement.batch:
            session.commit()

    def _run_part(self, statement: Statement, part: SubStatement, session: Session) -> None:
        part.started = part.updated = time.time()
        part.status = "STARTED"
        part.query_id = next(self._query_ids)
        try:
            fault = self._plan.strike("statement", lambda each: each.matches(part.sql))
            if fault is not None:
                self._suffer(fault, statement, part, session)
            self._execute(statement, part, session)
            if statement.stop.is_set():
                raise _CancelledError
            part.status = "FINISHED"
        except RedshiftError as error:
            part.status, part.error = "FAILED", str(error)
            raise
        except _CancelledError:
            part.status = "ABORTED"
            raise
        finally:
            part.ended = part.updated = time.time()

    def _suffer(
        self, fault: Fault, statement: Statement, part: SubStatement, session: Session
    ) -> None:
        if fault.outcome == "abort":
            raise _CancelledError
        if fault.outcome == "stall":
            self._pause(
                statement,
                _AS_LONG_AS_IT_TAKES if fault.seconds is None else fault.seconds,
                until=lambda: not self._plan.waits(fault.id),
            )
            return
        if fault.files and dialect.first_word(part.sql) == "unload":
            self._execute(statement, part, session, stop_after_files=fault.files)
        raise RedshiftError(fault.error or "failed on request")

    def _execute(
        self,
        statement: Statement,
        part: SubStatement,
        session: Session,
        stop_after_files: int | None = None,
    ) -> None:
        translated = dialect.translate(part.sql, part.parameters)
        if translated.kind == "unload":
            unload.run(
                part.sql,
                session=session,
                warehouse=statement.warehouse,
                user=statement.user,
                endpoint=self._endpoint,
                plan=self._plan,
                timestamps=self.timestamps,
                stop_after_files=stop_after_files,
            )
            return
        if translated.kind == "copy":
            part.rows = copy.run(
                part.sql,
                session=session,
                warehouse=statement.warehouse,
                user=statement.user,
                endpoint=self._endpoint,
                plan=self._plan,
            )
            return
        part.result = session.run(translated)
        if part.result is not None:
            part.rows = part.result.num_rows
        elif session.affected is not None:
            part.rows = session.affected
        else:
            part.rows = 0

    def _pause(
        self,
        statement: Statement,
        seconds: float,
        until: Callable[[], bool] = lambda: False,
    ) -> None:
        end = time.monotonic() + seconds
        while not until():
            rest = end - time.monotonic()
            if rest <= 0:
                break
            if statement.stop.wait(min(rest, 0.1)):
                raise _CancelledError
        if statement.stop.is_set():
            raise _CancelledError

    def _set(self, statement: Statement, status: str) -> None:
        with self._lock:
            statement.status = status
            statement.updated = time.time()

    def _end(self, statement: Statement, status: str, error: str) -> None:
        with self._lock:
            statement.error = error if status == "FAILED" else ""
            for part in statement.parts:
                if part.status in _OPEN:
                    part.status = "ABORTED" if statement.batch else status
                    part.error = "" if statement.batch else statement.error
        self._set(statement, status)


def new_id() -> str:
    """Return a statement's id."""
    return str(uuid.uuid4())
