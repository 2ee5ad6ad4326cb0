"""Payloads between functions and state machines. Times are UTC: `2022-01-15T04:25:00Z`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer

from anomaly_detector.errors import PermanentError
from anomaly_detector.intervals import iso, parse_iso
from anomaly_detector.ledger.items import Detector


def _utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        raise ValueError("the time has no UTC offset")
    return parse_iso(moment.isoformat())


Moment = Annotated[
    datetime, AfterValidator(_utc), PlainSerializer(iso, return_type=str, when_used="json")
]
Purpose = Literal["check_columns", "check_series", "history", "live"]


class Payload(BaseModel):
    """Part of an event or a result; other keys of an event are ignored."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def answer(self) -> dict[str, Any]:
        """The JSON value that a function returns."""
        return self.model_dump(mode="json")


class Window(Payload):
    """Half-open `[window_start, window_end)`."""

    window_start: Moment
    window_end: Moment


class Reconciled(Payload):
    """`reason` is why the pipeline was started for a document that was active."""

    config_hash: str
    started: bool
    status: str
    reason: str | None = None


class Prepared(Window):
    config_hash: str


class Part(Payload):
    """A part of the detector: some of its measures, in the order of the configuration."""

    part: int
    measures: tuple[str, ...]


class Counted(Payload):
    """The size of the history as estimated by the query check: see `capacity.Size`."""

    slices: int
    intervals: int
    rows: int
    text: float


class Retraining(Payload):
    """What an operator asks of a pipeline; nothing unless its input says so.

    Attributes
    ----------
    retrain : train a new model, although the one in force fits the configuration.
    again : unload these intervals again, although they were unloaded before.
    """

    retrain: bool = False
    again: Window | None = None


class HistoryPlan(Payload):
    """What to unload and train; each part is trained separately.

    `taught` is until when feedback was given that the training takes for the whole history.
    """

    config_hash: str
    history_start: Moment
    history_end: Moment
    chunks: tuple[Window, ...]
    parts: tuple[Part, ...]
    train: bool
    taught: Moment | None = None


class Request(Window):
    """What one statement is for.

    Attributes
    ----------
    due_start, crawl : for live windows only; `crawl` is the execution that waits for the statement.
    timeout_seconds : time after which the statement is cancelled. The Data API's limit is a day.
    """

    config_hash: str
    purpose: Purpose
    due_start: Moment | None = None
    crawl: str | None = None
    timeout_seconds: int = 86_400


class Statement(Payload):
    """State of a statement.

    Attributes
    ----------
    status : AGAIN submits another attempt; ATTACH does so after attaching the UNLOAD role.
    failed : whether this is the wait before another attempt.
    role : whether the last attempt failed because of the UNLOAD role.
    blocked : nothing has been submitted, because a statement of an earlier crawl is still running.
    busy : how often the warehouse took no statement; it is waited for.
    cancelled : it exceeded its time limit and was cancelled.
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
    busy: int = 0
    cancelled: bool = False
    result: dict[str, Any] = Field(default_factory=dict)


class Cancelled(Payload):
    """IDs of statements that were cancelled, and of those that are still running."""

    cancelled: tuple[str, ...] = ()
    running: tuple[str, ...] = ()


class Stopped(Payload):
    """What was stopped before a state machine is deleted.

    Attributes
    ----------
    executions, statements : ARNs of stopped executions and IDs of cancelled statements.
    problems : messages about statements that could not be cancelled.
    """

    executions: tuple[str, ...] = ()
    statements: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


class LandedFiles(Payload):
    """Result of a finished UNLOAD; no manifest if there were no rows."""

    prefix: str
    manifest: str | None = None
    rows: int = 0
    bytes: int = 0
    attempt_id: str
    statement_id: str | None = None
    milliseconds: int | None = None


class Bill(Payload):
    """What an ended statement took in the warehouse: a row of the results table `statements`.

    Attributes
    ----------
    status : as the Data API names it. started_at : of the execution that submitted it.
    row_count, byte_count : unloaded.
    """

    statement_id: str
    purpose: Purpose
    status: str
    started_at: Moment
    milliseconds: int
    row_count: int
    byte_count: int


class Trained(Part):
    """The training progress of a part; `version` is that of its snapshot.

    Attributes
    ----------
    share : trained share of the history, 0-1.
    rounds : number of calls so far.
    """

    version: str
    series: int
    done: bool = True
    share: float = 1.0
    rounds: int = 1


class Activated(Payload):
    status: str
    config_hash: str
    watermark: Moment


class CrawlPlan(Payload):
    """Plan of a crawl; without due intervals only `due`, `more` and the hash are meaningful.

    Attributes
    ----------
    execution : the crawl's execution, which holds the lease.
    held_by : another execution that is crawling; then nothing is to be done.
    window_start : the model has learned every interval before it; window_end is the new watermark.
    due_start : the watermark.
    next_base : the model that this crawl stores has learned every interval before it.
    model : version of the parts' snapshots, which must be in force at commit.
    taught : as in `Detector`.
    more : whether more intervals are due than one crawl processes.
    asof : end of the newest due interval.
    digests : of the values of the intervals from `window_start` on that the model in force has
        scored before, up to the first that it has not.
    """

    due: bool
    more: bool = False
    asof: Moment | None = None
    digests: tuple[str, ...] = ()
    config_hash: str | None = None
    window_start: Moment | None = None
    due_start: Moment | None = None
    window_end: Moment | None = None
    next_base: Moment | None = None
    parts: tuple[Part, ...] = ()
    model: str | None = None
    taught: Moment | None = None
    attempt: str
    execution: str
    held_by: str | None = None

    def is_superseded(self, detector: Detector) -> bool:
        """Whether another crawl has committed, or another configuration is in force."""
        return (self.model, self.config_hash) != (detector.model, detector.config_hash)


@dataclass(frozen=True)
class CrawlWindow:
    """The bounds of a plan that has due intervals, UTC; names as in `CrawlPlan`."""

    config_hash: str
    base: datetime
    due: datetime
    end: datetime
    next_base: datetime

    @classmethod
    def of(cls, plan: CrawlPlan) -> Self:
        """The bounds.

        Raises
        ------
        PermanentError
            If no interval was due.
        """
        bounds = (plan.window_start, plan.due_start, plan.window_end, plan.next_base)
        if plan.config_hash is None or None in bounds:
            raise PermanentError(
                "The plan has no window, because no interval was due: start the crawl state "
                "machine instead of invoking this function."
            )
        base, due, end, next_base = (bound for bound in bounds if bound is not None)
        return cls(plan.config_hash, base, due, end, next_base)


class Detected(Payload):
    """A part whose window is scored; `superseded` if its model was deleted because another crawl
    has committed.
    """

    part: int
    version: str
    series: int
    superseded: bool = False


class Committed(Payload):
    committed: bool
    groups: int


class Failure(Payload):
    reason: str
