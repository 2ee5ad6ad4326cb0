"""What the state machines hand from function to function. Times are UTC: `2022-01-15T04:25:00Z`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer

from anomaly_detector.intervals import iso, parse_iso


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("the time names no UTC offset")
    return parse_iso(moment.isoformat())


Moment = Annotated[
    datetime, AfterValidator(_utc), PlainSerializer(iso, return_type=str, when_used="json")
]
Purpose = Literal["check_columns", "check_series", "history", "live"]


class Payload(BaseModel):
    """Part of an event or an answer; what a machine adds beside it is ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def answer(self) -> dict[str, Any]:
        """The JSON value that a function returns."""
        return self.model_dump(mode="json")


class Window(Payload):
    """Half-open `[window_start, window_end)`."""

    window_start: Moment
    window_end: Moment


class Reconciled(Payload):
    config_hash: str
    started: bool
    status: str


class Prepared(Window):
    config_hash: str


class HistoryPlan(Payload):
    config_hash: str
    history_start: Moment
    history_end: Moment
    chunks: tuple[Window, ...]
    shards: tuple[int, ...]
    train: bool


class Request(Window):
    """What one statement is for.

    Attributes
    ----------
    due_start, crawl : of live windows only; the execution of the crawl that waits for it.
    timeout_seconds : after so long the statement is cancelled. The warehouse itself takes a day.
    """

    config_hash: str
    purpose: Purpose
    due_start: Moment | None = None
    crawl: str | None = None
    timeout_seconds: int = 86_400


class Statement(Payload):
    """Where a statement stands.

    Attributes
    ----------
    status : ATTACH is AGAIN, after the UNLOAD role was looked after.
    failed : marks the pause before another attempt.
    role : whether the last attempt failed for the UNLOAD role.
    blocked : nothing was submitted yet, as a statement of an earlier crawl still runs.
    cancelled : its time is over.
    """

    status: Literal["RUNNING", "ATTACH", "AGAIN", "FINISHED"]
    statement_id: str = ""
    attempt: int
    attempt_id: str
    polls: int = 0
    wait_seconds: int = 1
    failed: bool = False
    role: bool = False
    blocked: bool = False
    cancelled: bool = False
    result: dict[str, Any] = Field(default_factory=dict)


class Cancelled(Payload):
    """Ids of statements that were cancelled, and of those that still run nevertheless."""

    cancelled: tuple[str, ...] = ()
    running: tuple[str, ...] = ()


class Stopped(Payload):
    """What was stopped before a machine is deleted.

    Attributes
    ----------
    executions, statements : ARNs and ids of what was stopped and cancelled.
    problems : what could not be cancelled, in words.
    """

    executions: tuple[str, ...] = ()
    statements: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


class LandedFiles(Payload):
    """Answer of a finished UNLOAD; no manifest where there was no row."""

    prefix: str
    manifest: str | None = None
    rows: int = 0
    attempt_id: str
    statement_id: str | None = None
    milliseconds: int | None = None


class Trained(Payload):
    shard: int
    version: str
    series: int
    scores_key: str


class Activated(Payload):
    status: str
    config_hash: str
    watermark: Moment
    groups: int


class ShardModel(Payload):
    shard: int
    model_version: str


class CrawlPlan(Payload):
    """What a crawl does; without due intervals only `due`, `more` and the hash mean anything.

    Attributes
    ----------
    execution : the crawl's execution, which holds the lease.
    held_by : the execution that crawls already; then nothing is to be done.
    window_start : base of the model snapshots; window_end the new watermark.
    due_start : the watermark.
    version : of the detector's item, which must not have moved at commit.
    more : due intervals remain beyond what one crawl takes.
    """

    due: bool
    more: bool = False
    config_hash: str | None = None
    version: int = 0
    window_start: Moment | None = None
    due_start: Moment | None = None
    window_end: Moment | None = None
    shards: tuple[ShardModel, ...] = ()
    carried: str | None = None
    attempt: str
    execution: str
    held_by: str | None = None


class Detected(Payload):
    """One shard's scores; `superseded` where its model is gone because another crawl has
    committed.
    """

    shard: int
    version: str
    scores_key: str
    series: int
    superseded: bool = False


class Committed(Payload):
    committed: bool
    groups: int


class Failure(Payload):
    reason: str
