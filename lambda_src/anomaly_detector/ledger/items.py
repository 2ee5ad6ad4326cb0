"""Items of the state table as frozen models. Times are UTC, stored as ISO 8601 text."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal, Self

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, model_validator

from anomaly_detector.config import SeverityClass
from anomaly_detector.errors import PermanentError, places_of
from anomaly_detector.events.group import Direction
from anomaly_detector.intervals import iso
from anomaly_detector.model_format import FORMAT

# A subset of the statuses of Lookout for Metrics.
DetectorStatus = Literal["INACTIVE", "ACTIVATING", "ACTIVE", "FAILED"]
IntervalStatus = Literal["DUE", "LANDED", "SCORED", "REVISED", "MISSING", "FAILED"]
RunStatus = Literal["STARTING", "RUNNING", "SUCCEEDED", "FAILED", "STOPPED"]
TargetStatus = Literal["PENDING", "CLAIMED", "SENT", "UNKNOWN", "FAILED"]
AlertStatus = Literal[
    "CLAIMED", "SENT", "UNKNOWN", "FAILED", "SUPPRESSED", "OLD", "MUTED", "RETRACTED"
]

# Whoever may have got the message, knows.
_KNOWING = ("SENT", "UNKNOWN")
# Statuses of intervals that are not committed.
OPEN = ("DUE", "LANDED", "FAILED")

DETECTOR = "DETECTOR"
INTERVAL = "INTERVAL#"
CHUNK = "CHUNK#"
RUN = "RUN#"
DELIVERY = "DELIVERY#"
PARKED = "PARKED#"
GROUP = "GROUP#"
ALERT = "ALERT#"
MUTE = "MUTE#"
FEEDBACK = "FEEDBACK#"
CRAWLING = "LEASE#crawl"
DELIVERING = "LOCK#deliver"
STOPPED = "STOPPED#"
SILENCE = "SILENCE#"
USAGE = "USAGE#"


class _Item(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Self:
        """Validate a stored item.

        Raises
        ------
        PermanentError
            If it has another shape.
        """
        try:
            return cls.model_validate(item)
        except ValidationError as error:
            raise PermanentError(
                f"The item {item.get('sk')} of the state table cannot be read: {places_of(error)}."
            ) from error

    def attributes(self) -> dict[str, Any]:
        """The attributes to store; None values are omitted."""
        return self.model_dump(mode="json", exclude_none=True)


class Detector(_Item):
    """The detector: its status, watermark and current model.

    Attributes
    ----------
    revision : incremented by each change that invalidates a crawl in progress.
    wanted_hash : hash of the latest uploaded configuration; config_hash that of the active one.
    wanted_at : when the former was uploaded.
    watermark : end of the latest committed interval.
    base : the model has learned all intervals before it.
    parts : measures of each part of the detector, fixed at activation.
    model : version of the parts' snapshots; `old_model` is the previous one, which a crawl in
        progress may still read.
    model_format : format of the snapshot files.
    trained : version of the snapshot that the model in force was at its activation.
    history_end : end of the history that it was trained on.
    taught : the feedback that was given until then was known to its training.
    live_from : the watermark before the activation, or the end of history; groups that start before
        it belong to the backtest.
    live_since : that of the first model; what began before is history, whatever model finds it.
    """

    status: DetectorStatus = "INACTIVE"
    status_reason: str | None = None
    revision: int = 0
    execution: str | None = None
    wanted_hash: str | None = None
    wanted_at: datetime | None = None
    config_hash: str | None = None
    query_hash: str | None = None
    model_hash: str | None = None
    watermark: datetime | None = None
    base: datetime | None = None
    live_from: datetime | None = None
    live_since: datetime | None = None
    parts: tuple[tuple[str, ...], ...] = ()
    model: str | None = None
    old_model: str | None = None
    model_format: int | None = None
    trained: str | None = None
    history_end: datetime | None = None
    taught: datetime | None = None

    @property
    def is_of_former_version(self) -> bool:
        """Whether its model has a format that this version of the package cannot read."""
        return self.watermark is not None and self.model_format != FORMAT

    @property
    def is_live(self) -> bool:
        """Whether a configuration is in force, also while another one trains or after it failed."""
        return self.watermark is not None and self.model_format == FORMAT


class Run(_Item):
    """The pipeline's progress for one configuration.

    Attributes
    ----------
    attempt : number of its executions.
    status : STOPPED if somebody, or the time limit, stopped the execution.
    stopped : number of executions before it that were stopped, since the document was uploaded.
    """

    attempt: int
    status: RunStatus
    stopped: int = 0
    uploaded_at: datetime | None = None
    execution: str | None = None
    reason: str | None = None


class Chunk(_Item):
    """A landed chunk `[window_start, window_end)` of history; without rows, `manifest` is None.

    Attributes
    ----------
    rows, bytes : of the unloaded files. milliseconds : run time in the warehouse.
    landed_at : when its end was noticed; None for a chunk of a former version.
    """

    window_start: datetime
    window_end: datetime
    prefix: str
    manifest: str | None = None
    rows: int = 0
    bytes: int = 0
    statement_id: str | None = None
    milliseconds: int | None = None
    landed_at: datetime | None = None


class Interval(_Item):
    """Status of one interval.

    Attributes
    ----------
    rows : number of rows of the query in the interval.
    digest : hash of the landed values; a change in a later crawl indicates late rows.
    trained : `Detector.trained` of the model that scored it.
    milliseconds, bytes : of the crawl's statement, whatever else it unloaded.
    """

    start: datetime
    status: IntervalStatus
    rows: int | None = None
    series: int | None = None
    anomalous: int | None = None
    digest: str | None = None
    trained: str | None = None
    statement_id: str | None = None
    milliseconds: int | None = None
    bytes: int | None = None
    reason: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether no crawl has committed it."""
        return self.status in OPEN


class Usage(_Item):
    """What the statements of a month (UTC) took in the warehouse.

    Attributes
    ----------
    milliseconds : run time. billed : run time, at least a minute for each statement, as a workgroup
        is charged that would otherwise sleep.
    rows, bytes : unloaded.
    recent : statements that were added last, which are not added again.
    """

    statements: int = 0
    milliseconds: int = 0
    billed: int = 0
    rows: int = 0
    bytes: int = 0
    recent: tuple[str, ...] = ()


class Delivery(_Item):
    """Locations of the results of a committed crawl, or of the backtest of a model that has been
    activated, until they are delivered.

    Attributes
    ----------
    due_start, attempt_id : identify the item.
    window_start, window_end : all scored intervals, including the look-back.
    groups_keys : objects with the groups that overlap the window, one per part of the detector.
    scored_prefixes : prefixes of the parts' scores, which have one object per interval.
    live_from, live_since, history_end, revision, trained : of the detector at the commit.
    asof : end of the newest interval that was due when the crawl was planned.
    changed_from : start of the first interval whose scores may differ from the published ones.
    base : of the model, if this is its backtest; crawls score the intervals from there on again.
    published : whether only alerts remain to be sent.
    retracted : alerts and groups whose retraction it sends.
    """

    due_start: datetime
    attempt_id: str
    config_hash: str
    window_start: datetime
    window_end: datetime
    groups_keys: tuple[str, ...]
    scored_prefixes: tuple[str, ...] = ()
    live_from: datetime | None = None
    live_since: datetime | None = None
    history_end: datetime | None = None
    revision: int = 0
    trained: str | None = None
    asof: datetime | None = None
    changed_from: datetime | None = None
    base: datetime | None = None
    published: bool = False
    retracted: tuple[tuple[str, str], ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _of_former_version(cls, values: Any) -> Any:  # noqa: ANN401 whatever is stored
        # A delivery that was pending when the package was replaced has one object of all groups.
        if isinstance(values, dict) and "events_key" in values:
            return {"groups_keys": (values["events_key"],)} | values
        return values


class GroupItem(_Item):
    """A published group: its measure and intervals `[start, end)`. The stored item also contains
    Lookout's AnomalyGroup.

    Attributes
    ----------
    direction, slices : as of its latest delivery; of a former version, any direction and the total.
    state : likewise; None of a former version.
    attempt_id : of that delivery.
    former : see `alerts.past.former_of`.
    """

    group_id: str
    measure: str
    start: datetime
    end: datetime
    direction: Direction | None = None
    slices: tuple[dict[str, str], ...] = ({},)
    state: Literal["OPEN", "CLOSED"] | None = None
    attempt_id: str = ""
    former: tuple[str, ...] = ()


class Told(_Item):
    """What holds of an event, or what a target was told of it.

    Attributes
    ----------
    over : whether it has ended; accepted : because it lasted, and is the new level.
    later : the events that came after it and are told in its thread, by `AlertItem.named`; linked :
        those that began with it, in another measure or beside it. Of many, the newest.
    """

    severity_class: SeverityClass = "high"
    over: bool = False
    accepted: bool = False
    later: tuple[str, ...] = ()
    linked: tuple[str, ...] = ()


class StoredGroup(GroupItem):
    """A published group, with what people are asked about."""

    severity: float = Field(validation_alias="AnomalyGroupScore")
    direction: Direction = Field(validation_alias=AliasChoices("direction", "Direction"))
    kind: str | None = Field(default=None, validation_alias="Kind")


class AlertItem(_Item):
    """The decision on one alert for one group, and the status of its targets.

    Attributes
    ----------
    end, direction, slices : of the group as of its latest delivery; the direction is None if the
        decision was made by a former version.
    since : time of the decision, or of the latest news.
    expires_at : Unix time after which DynamoDB may delete the item.
    because : id of the group that the alert has already reported, if it is SUPPRESSED.
    again : whether that was another event, in whose thread this one is told. linked : likewise, if
        that was one that it is linked to: what names it in the thread.
    mute : ID of the mute that has held it back, also if it was sent when the mute had ended.
    targets : status of the message to each target, with which it learns what holds.
    holds : what is so of the event, as far as the alert tells it.
    knows : what each target was told; none of those that do not know of the event.
    waits : until when a target wants to be left alone. threads : what a message in the thread of
        the first one has to name.
    turn : how often `holds` has changed. revision : of the delivery that changed it.
    attempt_id : of the delivery that sends what is pending.
    holder : the run of the delivery that last changed it.
    late : whether the group began in the history of the model that found it, or was found by rows
        that came late.
    retracted : whether `targets` are told that the group is void.
    tellings : how often the group was told; more than once if it was retracted in between.
    """

    alert: str
    group_id: str
    measure: str
    start: datetime
    end: datetime
    direction: Direction | None = None
    slices: tuple[dict[str, str], ...] = ({},)
    since: datetime
    expires_at: int
    state: AlertStatus
    because: str | None = None
    again: bool = False
    linked: str | None = None
    mute: str | None = None
    targets: dict[str, TargetStatus] = {}
    holds: Told = Told()
    knows: dict[str, Told] = {}
    waits: dict[str, datetime] = {}
    threads: dict[str, str] = {}
    turn: int = 0
    revision: int = 0
    attempt_id: str
    holder: str | None = None
    late: bool = False
    retracted: bool = False
    tellings: int = 1

    @property
    def named(self) -> str | None:
        """What names it in the thread of another event; None if it is told by itself."""
        return self.linked or (f"{self.group_id}/{self.tellings}" if self.again else None)

    @model_validator(mode="before")
    @classmethod
    def _of_former_version(cls, values: Any) -> Any:  # noqa: ANN401 whatever is stored
        # A former version told of the opening alone.
        if isinstance(values, dict) and "knows" not in values:
            told = [one for one, state in values.get("targets", {}).items() if state in _KNOWING]
            return values | {"knows": {one: Told() for one in told}}
        return values


class FeedbackItem(_Item):
    """What somebody said of an event, or of one series of it.

    Attributes
    ----------
    measure, direction, severity, start, end : of the event when it was said.
    slices : of the event, or the series.
    since, undone_at : it holds for intervals that begin from the one until the other.
    """

    id: str
    group_id: str
    measure: str
    slices: tuple[dict[str, str], ...]
    direction: Direction
    severity: float
    start: datetime
    end: datetime
    is_anomaly: bool
    by: str | None = None
    since: datetime
    undone_at: datetime | None = None


class MuteItem(_Item):
    """A mute: alerts on events within its measures and dimension values are held back.

    Attributes
    ----------
    measures, dimension_filters : empty for all.
    start, end : the intervals that it holds for overlap `[start, end)`; start is None if it holds
        from the beginning. If it was lifted early, `lifted_at` is its end.
    by : who asked for it. declared : whether the document did.
    told : whether its end was told.
    """

    id: str
    measures: tuple[str, ...] = ()
    dimension_filters: dict[str, tuple[str, ...]] = {}
    start: datetime | None = None
    end: datetime
    reason: str
    by: str | None = None
    since: datetime
    lifted_at: datetime | None = None
    declared: bool = False
    told: bool = False
    expires_at: int

    @property
    def until(self) -> datetime:
        """When it ends, or has ended."""
        return self.end if self.lifted_at is None else min(self.end, self.lifted_at)

    def is_over(self, now: datetime) -> bool:
        """Whether it has ended."""
        return self.until <= now

    def holds(self, start: datetime, end: datetime) -> bool:
        """Whether it holds for any of `[start, end)`."""
        return start < self.until and (self.start is None or self.start < end)


def interval_key(start: datetime) -> str:
    """Sort key of an interval."""
    return f"{INTERVAL}{iso(start)}"


def chunk_prefix(query_hash: str) -> str:
    """Sort key prefix of all chunks of a query."""
    return f"{CHUNK}{query_hash}#"


def chunk_key(query_hash: str, begin: datetime, end: datetime) -> str:
    """Sort key of a chunk."""
    return f"{chunk_prefix(query_hash)}{iso(begin)}#{iso(end)}"


def run_key(config_hash: str) -> str:
    """Sort key of a configuration's run."""
    return f"{RUN}{config_hash}"


def delivery_key(due_start: datetime, attempt: str) -> str:
    """Sort key of a pending delivery; sorts by start of the window."""
    return f"{DELIVERY}{iso(due_start)}#{attempt}"


def group_key(start: datetime, group_id: str) -> str:
    """Sort key of a group."""
    return f"{GROUP}{iso(start)}#{group_id}"


def alert_key(alert: str, group_id: str) -> str:
    """Sort key of an alert for a group."""
    return f"{ALERT}{alert}#{group_id}"


def feedback_key(feedback: str) -> str:
    """Sort key of an answer; sorts by its time."""
    return f"{FEEDBACK}{feedback}"


def mute_key(mute: str) -> str:
    """Sort key of a mute."""
    return f"{MUTE}{mute}"


def usage_key(month: datetime) -> str:
    """Sort key of what a month has taken."""
    return f"{USAGE}{month.astimezone(UTC):%Y-%m}"


def stopped_key(execution: str) -> str:
    """Sort key of the record that an execution of the statement machine was stopped."""
    return f"{STOPPED}{execution.rpartition(':')[2]}"
