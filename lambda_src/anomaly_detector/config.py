"""The configuration document `config/detector.json`: one model for every function and the CLI."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Annotated, Literal, Self, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from anomaly_detector import ical
from anomaly_detector.errors import PermanentError

Aggregation = Literal[
    "SUM",
    "AVG",
    "MIN",
    "MAX",
    "COUNT",
    "COUNT_DISTINCT",
    "P50",
    "P90",
    "P95",
    "P99",
    "RATIO",
]
Direction = Literal["up", "down", "both"]
SliceLevel = Literal["total", "single", "pairs", "leaves"]
BoundedSeries = Literal["all", "widest"]
Unit = Literal["share", "amount", "count"]
IntervalName = Literal["PT5M", "PT10M", "PT15M", "PT30M", "PT1H", "P1D", "P1W", "P1M"]
Rollup = Literal["total", "single", "pairs"]
SeverityClass = Literal["low", "medium", "high"]

# Fraction of the values that are at most the percentile.
PERCENTILES: dict[Aggregation, str] = {"P50": "0.5", "P90": "0.9", "P95": "0.95", "P99": "0.99"}
# Aggregations that the warehouse approximates unless `exact` is set.
APPROXIMATED = frozenset({"COUNT_DISTINCT", *PERCENTILES})
# Aggregations that accept columns of any type.
OF_ANY_TYPE = frozenset({"COUNT", "COUNT_DISTINCT"})
# Services on the web that alerts are sent to; their addresses and keys are in secrets.
WEB_TARGETS = ("slack", "teams", "pagerduty", "webhook")
READ_BY_PEOPLE = frozenset({"slack", "teams", "pagerduty"})
# The value of a dimension that is rolled up.
ROLLED_UP = "*"
# The state keeps what each has brought, of every series.
MOST_SPECIAL_NAMES = 200
# Limit of Lambda.
MOST_MEMORY_MB = 10_240
# Columns of the results tables, which cannot be names of dimensions as well.
RESERVED_COLUMNS = frozenset(
    {"interval_start", "measure", "actual", "expected", "lower", "upper", "severity", "direction"}
    | {"anomalous", "date", "shard"}
)
# Intervals of whole days in the detector's time zone.
OF_DAYS: frozenset[IntervalName] = frozenset({"P1D", "P1W", "P1M"})
# False events a week that are expected unless told otherwise: 1, but one in 70 intervals at most.
DEFAULT_FALSE_EVENTS: dict[str, float] = {"P1D": 0.1, "P1W": 0.014, "P1M": 0.003}
# Defaults for history: enough seasons for training, and few enough rows to load.
DEFAULT_HISTORY_DAYS: dict[IntervalName, int] = {
    "PT5M": 30,
    "PT10M": 30,
    "PT15M": 60,
    "PT30M": 60,
    "PT1H": 90,
    "P1D": 730,
    "P1W": 1095,
    "P1M": 1826,
}
_DAYS = re.compile(r"P([1-9]\d{0,4})D")
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
_NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}"
# The rule for each key, in the words of Terraform's validations (variables.tf), which reject the
# same values if they can; tests/terraform/validation_cases.py compares both.
_RULES = {
    "name": "must be 3-32 lowercase letters, digits and hyphens, starting with a letter and not "
    "ending with a hyphen",
    "interval": "must be PT5M, PT10M, PT15M, PT30M, PT1H, P1D, P1W or P1M",
    "timezone": "must be an IANA time zone such as Europe/Berlin, or UTC",
    "offset_seconds": "must be a whole number from 0 to 432000",
    "lookback_intervals": "must be a whole number from 0 to 24",
    "silence_intervals": "must be a whole number from 1 to 7",
    "timestamp_column.name": "must be the name of a column, 1-127 characters and not *",
    "timestamp_column.timezone": "must be an IANA time zone such as Europe/Berlin, or UTC",
    "measures": "must have 1 to 10 entries",
    "measures.*.aggregation": "must be SUM, AVG, MIN, MAX, COUNT, COUNT_DISTINCT, P50, P90, P95, "
    "P99 or RATIO",
    "measures.*.numerator": "must be the name of a column, 1-127 characters and not *",
    "measures.*.denominator": "must be the name of a column, 1-127 characters and not *",
    "measures.*.exact": "must be true or false",
    "measures.*.direction": "must be up, down or both",
    "measures.*.min_absolute_change": "must be 0 or greater",
    "measures.*.min_relative_change": "must be 0 or greater",
    **{
        f"measures.*.min_change_by_level.{level}.{key}": "must be 0 or greater"
        for level in ("total", "single", "pairs", "leaves")
        for key in ("min_absolute_change", "min_relative_change")
    },
    "measures.*.direction_by_slice": "must have at most 20 entries",
    "measures.*.direction_by_slice.direction": "must be up, down or both",
    "measures.*.min": "must be a number",
    "measures.*.max": "must be a number",
    "measures.*.bounded_series": "must be all or widest",
    "measures.*.unit": "must be share, amount or count",
    "dimensions": "must have at most 10 entries",
    "rollups": "must be any of total, single and pairs, each at most once",
    "false_events_per_week": "must be greater than 0 and at most 1000",
    "messages_per_week": "must be greater than 0 and at most 1000",
    "band": "must be a number from 0.5 to 0.999",
    "season_intervals": "must be a whole number from 2 to 1000",
    "max_series": "must be a whole number from 1 to 1000000",
    "memory_mb": "must be a whole number from 512 to 10240",
    "shards": "must be a whole number from 1 to 64",
    "redshift.cluster_identifier": "must be 1-63 lowercase letters, digits and hyphens, starting "
    "with a letter, not ending with a hyphen and without two hyphens in a row",
    "redshift.workgroup_name": "must be 3-63 lowercase letters, digits and hyphens",
    "redshift.database": "must be 1-127 characters long",
    "redshift.db_user": "must be 1-64 letters, digits and _ + . @ -, starting with a letter",
    "redshift.secret_arn": "must be the ARN of a Secrets Manager secret",
    "redshift.role_arn": "must be the ARN of an IAM role",
    "redshift.external_id": "must be 2-1000 letters, digits and _ + = , . @ : / -, and be set only "
    "with redshift.role_arn",
    "redshift.unload_role": "must be the ARN of an IAM role, a chain of role ARNs separated by "
    "commas without spaces, or default",
    "history.start": "must be an RFC 3339 timestamp such as 2024-01-01T00:00:00Z",
    "history.length": "must be a number of days such as P90D",
    "history.chunk": "must be a number of days such as P30D",
    "history.parallelism": "must be a whole number from 1 to 40",
    "budget.seconds": "must be greater than 0",
    "budget.dollars": "must be greater than 0",
    "budget.dollars_per_hour": "must be greater than 0",
    "severity_classes.medium": "must be a number from 0 to 100",
    "severity_classes.high": "must be a number from 0 to 100",
    "alerts": "must have at most 10 entries",
    "alerts.*.threshold": "must be a number from 0 to 100",
    "alerts.*.missing_data": "must be true or false",
    "alerts.*.max_age_days": "must be greater than 0 and at most 3650",
    "alerts.*.digest_above": "must be a whole number from 1 to 1000",
    "alerts.*.digest.every": "must be day or week",
    "alerts.*.digest.hour": "must be a whole number from 0 to 23",
    "alerts.*.risen": "must be true or false",
    "alerts.*.link_measures": "must be true or false",
    "alerts.*.ended": "must be true or false",
    "alerts.*.sns_topic_arns": "must be ARNs of SNS topics",
    "alerts.*.lambda_function_arns": "must be ARNs of Lambda functions",
    "alerts.*.event_bus_arns": "must be ARNs of EventBridge event buses",
    **{
        f"alerts.*.{kind}_secret_arns": "must be ARNs of Secrets Manager secrets"
        for kind in WEB_TARGETS
    },
    "mutes": "must have at most 100 entries",
    "mutes.*.start": "must be an RFC 3339 timestamp such as 2024-01-01T00:00:00Z",
    "mutes.*.end": "must be an RFC 3339 timestamp such as 2024-01-01T00:00:00Z",
    "mutes.*.reason": "must be a text of 1-500 characters",
    "incidents": "must have at most 500 entries",
    "incidents.*.start": "must be an RFC 3339 timestamp such as 2024-01-01T00:00:00Z",
    "incidents.*.end": "must be an RFC 3339 timestamp such as 2024-01-01T00:00:00Z",
    "incidents.*.reason": "must be a text of 1-500 characters",
}
_COUNTED = frozenset({"measures", "dimensions", "alerts", "mutes", "incidents"})
# Errors of pydantic about the JSON type of a value.
_TYPES = {
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "tuple_type": "must be a list",
    "string_type": "must be a string",
}
# Inputs of the Terraform module whose keys stand at the top of the document.
_GROUPS = {
    "schedule": "timezone, offset_seconds",
    "monitoring": "silence_intervals",
    "detection": "rollups, false_events_per_week, messages_per_week, band, season_intervals, "
    "lookback_intervals, max_series, shards",
}


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _names_its_zone(value: object) -> object:
    if isinstance(value, str) and not _RFC_3339.fullmatch(value):
        raise ValueError
    return value


def _is_day(value: object) -> object:
    if isinstance(value, date):
        return value
    try:
        if not isinstance(value, str) or len(value) != len("2024-12-25"):
            raise ValueError
        return date.fromisoformat(value)
    except ValueError:
        raise ValueError(f"must be dates such as 2024-12-25; got {_shown(value)}") from None


Day = Annotated[date, BeforeValidator(_is_day)]
Moment = Annotated[
    datetime,
    BeforeValidator(_names_its_zone),
    AfterValidator(lambda moment: moment.astimezone(UTC)),
]


def _known_zone(name: str) -> str:
    # The system's folder of time zones contains other files besides those of the IANA database.
    if not re.match(r"[A-Z]", name) or name == "Factory":
        raise ValueError
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError from None
    return name


def _is_column(name: str) -> bool:
    return bool(name.strip()) and len(name) <= 127 and name != "*"


def _column(name: str) -> str:
    if not _is_column(name):
        raise ValueError
    return name


def _arn(pattern: str) -> Callable[[str], str]:
    """Accept an ARN of any partition whose rest matches the pattern."""

    def check(arn: str) -> str:
        if not re.fullmatch(rf"arn:aws[a-z-]*:{pattern}", arn):
            raise ValueError
        return arn

    return check


def _said(text: str) -> str:
    if not text.strip():
        raise ValueError
    return text


Zone = Annotated[str, AfterValidator(_known_zone)]
SecretArn = Annotated[str, AfterValidator(_arn(r"secretsmanager:[a-z0-9-]+:\d{12}:secret:.+"))]
TopicArn = Annotated[str, AfterValidator(_arn(r"sns:[a-z0-9-]+:\d{12}:.+"))]
BusArn = Annotated[str, AfterValidator(_arn(r"events:[a-z0-9-]+:\d{12}:event-bus/[\w./-]+"))]
FunctionArn = Annotated[str, AfterValidator(_arn(r"lambda:[a-z0-9-]+:\d{12}:function:.+"))]
_ROLE = _arn(r"iam::\d{12}:role/[^, ]+")


def _role_chain(chain: str) -> str:
    if chain != "default":
        for role in chain.split(","):
            _ROLE(role)
    return chain


class TimestampColumn(_Model):
    """The column with the time of a row: TIMESTAMP, TIMESTAMPTZ, DATE or formatted text."""

    name: Annotated[str, AfterValidator(_column)]
    format: str | None = None
    timezone: Zone = "UTC"


class MinimumChange(_Model):
    """Minimum changes of the slices of one level, in place of the measure's own."""

    min_absolute_change: float | None = Field(default=None, ge=0)
    min_relative_change: float | None = Field(default=None, ge=0)


class SliceDirection(_Model):
    """The direction of the slices within some dimension values, in place of the measure's own."""

    dimension_filters: dict[str, tuple[str, ...]]
    direction: Direction


class Measure(_Model):
    """A numeric column, how it is aggregated per interval, and which of its changes to detect.

    A RATIO is sum(numerator) / sum(denominator); its own name is that of no column.
    `min` and `max` are static bounds beside the model, for the series that `bounded_series` names.
    `min_change_by_level` and `direction_by_slice`, of which the first that fits counts, stand in
    for the measure's own. `unit` says which values are possible, and so where the band of normal
    values ends.
    """

    aggregation: Aggregation = "SUM"
    numerator: Annotated[str, AfterValidator(_column)] | None = None
    denominator: Annotated[str, AfterValidator(_column)] | None = None
    exact: bool = False
    direction: Direction = "both"
    min_absolute_change: float = Field(default=0, ge=0)
    min_relative_change: float = Field(default=0, ge=0)
    min_change_by_level: dict[SliceLevel, MinimumChange] = Field(default_factory=dict)
    direction_by_slice: tuple[SliceDirection, ...] = Field(default=(), max_length=20)
    min: float | None = Field(default=None, allow_inf_nan=False)
    max: float | None = Field(default=None, allow_inf_nan=False)
    bounded_series: BoundedSeries = "all"
    unit: Unit | None = None

    def columns(self, name: str) -> tuple[str, ...]:
        """Columns that the measure of this name reads: one, or numerator and denominator."""
        if self.numerator is not None and self.denominator is not None:
            return (self.numerator, self.denominator)
        return (name,)

    @property
    def normed(self) -> bool:
        """Whether the norm of the aggregated values is unloaded, too."""
        return self.aggregation in ("SUM", "AVG")

    @property
    def unloaded(self) -> list[str]:
        """Everything that the unloaded values depend on."""
        more = [name for name in ("exact", "normed") if getattr(self, name)]
        return [self.aggregation, *(self.columns("") if self.numerator else ()), *more]

    @field_validator("min_change_by_level", mode="before")
    @classmethod
    def _has_levels(cls, value: object) -> object:
        if isinstance(value, dict) and not value.keys() <= {*get_args(SliceLevel)}:
            raise ValueError(
                f"must be keyed by total, single, pairs and leaves; got {_shown(list(value))}"
            )
        return value

    @model_validator(mode="after")
    def _columns_of_a_ratio(self) -> Self:
        given = (self.numerator, self.denominator)
        if (None in given) if self.aggregation == "RATIO" else any(given):
            raise ValueError(
                "must have numerator and denominator if, and only if, its aggregation is RATIO; "
                f"got {_shown(self.numerator)} and {_shown(self.denominator)}"
            )
        if self.exact and self.aggregation not in APPROXIMATED:
            raise ValueError(
                "must not be exact unless its aggregation is COUNT_DISTINCT, P50, P90, P95 or P99; "
                f"got {_shown(self.aggregation)}"
            )
        return self

    @model_validator(mode="after")
    def _bounds_in_order(self) -> Self:
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ValueError(
                f"must not have a min that is greater than its max; got {self.min:g} and "
                f"{self.max:g}"
            )
        return self


class Redshift(_Model):
    """The warehouse, how to authenticate to it, and the role that UNLOAD assumes.

    `role_arn` is assumed (with `external_id`) to run statements in another account.
    """

    cluster_identifier: str | None = Field(
        default=None, max_length=63, pattern=r"^[a-z](-?[a-z0-9])*$"
    )
    workgroup_name: str | None = Field(default=None, pattern=r"^[a-z0-9-]{3,63}$")
    database: str = Field(min_length=1, max_length=127)
    secret_arn: SecretArn | None = None
    db_user: str | None = Field(default=None, pattern=r"^[A-Za-z][A-Za-z0-9_+.@-]{0,63}$")
    role_arn: Annotated[str, AfterValidator(_ROLE)] | None = None
    external_id: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_+=,.@:/-]{2,1000}$")
    unload_role: Annotated[str, AfterValidator(_role_chain)] | None = None
    kms_key_arn: str | None = None

    @property
    def place(self) -> tuple[str | None, str | None, str]:
        """Cluster, workgroup and database."""
        return (self.cluster_identifier, self.workgroup_name, self.database)

    @property
    def encrypted(self) -> bool:
        """Whether the bucket is encrypted with a customer managed key."""
        return self.kms_key_arn is not None

    @model_validator(mode="after")
    def _one_warehouse(self) -> Self:
        if (self.cluster_identifier is None) == (self.workgroup_name is None):
            raise ValueError(
                "must have exactly one of cluster_identifier and workgroup_name; got "
                f"{_shown(self.cluster_identifier)} and {_shown(self.workgroup_name)}"
            )
        if self.secret_arn and self.db_user:
            raise ValueError(
                "must have at most one of secret_arn and db_user; got "
                f"{_shown(self.secret_arn)} and {_shown(self.db_user)}"
            )
        if self.external_id and not self.role_arn:
            raise ValueError(
                f"external_id {_RULES['redshift.external_id']}; got {_shown(self.external_id)}"
            )
        if self.workgroup_name and self.db_user:
            raise ValueError(
                "db_user must not be set with a workgroup: use secret_arn, or neither to "
                f"authenticate as the function's IAM role; got {_shown(self.db_user)}"
            )
        return self


class History(_Model):
    """How much history is loaded, and in which chunks."""

    start: Moment | None = None
    length: str | None = None
    chunk: str = "P30D"
    parallelism: int = Field(default=4, ge=1, le=40)

    @field_validator("length", "chunk")
    @classmethod
    def _is_days(cls, value: str | None) -> str | None:
        if value is not None and not _DAYS.fullmatch(value):
            raise ValueError
        return value

    @model_validator(mode="after")
    def _one_begin(self) -> Self:
        if self.start is not None and self.length is not None:
            raise ValueError(
                f"must have at most one of start and length; got "
                f"{_shown(self.start.isoformat())} and {_shown(self.length)}"
            )
        return self

    @property
    def chunk_length(self) -> timedelta:
        """Length of one chunk."""
        return _days(self.chunk)

    def begin(self, end: datetime, interval: IntervalName) -> datetime:
        """Start of the history that ends at `end` (both UTC), not aligned to the interval grid.

        Raises
        ------
        PermanentError
            If the history is empty.
        """
        if self.start is not None:
            if self.start >= end:
                raise PermanentError(
                    "history.start must be in the past, before the end of the newest interval that "
                    f"is due, {end.isoformat()}; got {_shown(self.start.isoformat())}."
                )
            return self.start
        length = (
            _days(self.length) if self.length else timedelta(days=DEFAULT_HISTORY_DAYS[interval])
        )
        return end - length


def _days(text: str) -> timedelta:
    found = _DAYS.fullmatch(text)
    assert found is not None  # validated by the model
    return timedelta(days=int(found.group(1)))


class Budget(_Model):
    """What the detector's statements may take in the warehouse in a month: seconds, or dollars at
    `dollars_per_hour`, in which a statement counts as a minute at least.
    """

    seconds: float | None = Field(default=None, gt=0)
    dollars: float | None = Field(default=None, gt=0)
    dollars_per_hour: float = Field(default=3, gt=0)

    def used(self, milliseconds: int, billed: int) -> float | None:
        """Used share of the budget (1 is all), None if there is none.

        Parameters
        ----------
        milliseconds : run time. billed : milliseconds that are charged.
        """
        shares = []
        if self.seconds is not None:
            shares.append(milliseconds / 1000 / self.seconds)
        if self.dollars is not None:
            shares.append(billed / 3_600_000 * self.dollars_per_hour / self.dollars)
        return max(shares, default=None)

    def refuses(self, seconds: float) -> str | None:
        """Why a history is not loaded that is expected to take so many seconds, or None."""
        share = self.used(round(seconds * 1000), round(seconds * 1000))
        if share is None or share <= 1:
            return None
        return (
            f"Loading the history is expected to take {seconds:,.0f} seconds in the warehouse, "
            f"{share:.1f} times the month's budget: shorten the history, filter on the sort key in "
            "the query, or raise the budget."
        )


class Digest(_Model):
    """When a digest is sent: each day, or each Monday, after an hour in the detector's zone."""

    every: Literal["day", "week"] = "day"
    hour: int = Field(default=8, ge=0, le=23)


class Alert(_Model):
    """One alert: minimum severity, measures, dimension values and targets.

    `missing_data` says whether findings about data that do not arrive are sent, `max_age_days` how
    old an event may be when it is found, and `digest_above` from how many alerts on they are sent
    as one message. `risen` and `ended` say whether there is a message when the severity class of an
    event rises, and when it has ended. `link_measures` says whether events that are linked, most of
    them of several measures, are told as one; None: if only people read it. `digest` says when what
    it did not send at once is told.
    """

    threshold: float = Field(default=50, ge=0, le=100)
    missing_data: bool = True
    max_age_days: float | None = Field(default=None, gt=0, le=3650)
    digest_above: int = Field(default=10, ge=1, le=1000)
    risen: bool = True
    ended: bool = True
    link_measures: bool | None = None
    digest: Digest | None = None
    description: str | None = None
    sns_topic_arns: tuple[TopicArn, ...] = ()
    lambda_function_arns: tuple[FunctionArn, ...] = ()
    event_bus_arns: tuple[BusArn, ...] = ()
    slack_secret_arns: tuple[SecretArn, ...] = ()
    teams_secret_arns: tuple[SecretArn, ...] = ()
    pagerduty_secret_arns: tuple[SecretArn, ...] = ()
    webhook_secret_arns: tuple[SecretArn, ...] = ()
    measures: tuple[str, ...] = ()
    dimension_filters: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    @property
    def targets(self) -> tuple[str, ...]:
        """Everything that it is sent to, each once: ARNs, and those of secrets behind the kind of
        a service on the web.
        """
        found = [*self.sns_topic_arns, *self.lambda_function_arns, *self.event_bus_arns]
        for kind in WEB_TARGETS:
            found += [f"{kind}:{arn}" for arn in getattr(self, f"{kind}_secret_arns")]
        return tuple(dict.fromkeys(found))

    @property
    def links(self) -> bool:
        """Whether events that are linked are told as one. A program that reads an event per
        measure, as the ended service sent it, would miss the others.
        """
        if self.link_measures is not None:
            return self.link_measures
        read = {one.partition(":")[0] for one in self.targets}
        return bool(read) and read <= READ_BY_PEOPLE


class SeverityClasses(_Model):
    """The severities at which the classes medium and high begin; what is below is low."""

    medium: float = Field(default=75, ge=0, le=100)
    high: float = Field(default=90, ge=0, le=100)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.medium > self.high:
            raise ValueError(
                f"must not have a medium that is greater than high; got {self.medium:g} and "
                f"{self.high:g}"
            )
        return self


class Mute(_Model):
    """Events that alert nobody for a while: those within these measures and dimension values.

    `start` is None where it holds from the beginning; it must end, and somebody must say why.
    """

    measures: tuple[str, ...] = ()
    dimension_filters: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    start: Moment | None = None
    end: Moment
    reason: Annotated[str, AfterValidator(_said)] = Field(max_length=500)

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> Self:
        if self.start is not None and self.start >= self.end:
            raise ValueError(
                f"must start before its end; got {_shown(self.start.isoformat())} and "
                f"{_shown(self.end.isoformat())}"
            )
        return self


class Incident(Mute):
    """A time, past or planned, in which values within these measures and dimension values tell
    nothing: neither are they scored, nor learned.
    """

    start: Moment


class Calendar(_Model):
    """Special days, each expected to be like the earlier ones of its name.

    `ical` is iCalendar text, whose events are days by their summaries. `silent` are names of days
    that are neither scored nor learned instead, `*` for all.
    """

    days: dict[str, tuple[Day, ...]] = Field(default_factory=dict)
    ical: str | None = None
    silent: tuple[str, ...] = ()


class Config(_Model):
    """The document; a local file needs interval, timestamp_column, measures and dimensions."""

    name: str = Field(default="detector", pattern=r"^[a-z][a-z0-9-]{1,30}[a-z0-9]$")
    description: str | None = None
    interval: IntervalName
    timezone: Zone = "UTC"
    offset_seconds: int = Field(default=300, ge=0, le=432_000)
    lookback_intervals: int = Field(default=3, ge=0, le=24)
    silence_intervals: int = Field(default=3, ge=1, le=7)
    timestamp_column: TimestampColumn
    measures: dict[str, Measure] = Field(min_length=1, max_length=10)
    dimensions: tuple[str, ...] = Field(default=(), max_length=10)
    dimension_filters: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    rollups: tuple[Rollup, ...] = ("total", "single", "pairs")
    false_events_per_week: float = Field(default=1, gt=0, le=1000)  # of days and longer: less
    messages_per_week: float = Field(default=1, gt=0, le=1000)
    band: float = Field(default=0.99, ge=0.5, le=0.999)
    season_intervals: int | None = Field(default=None, ge=2, le=1000)
    max_series: int | None = Field(default=None, ge=1, le=1_000_000)
    memory_mb: int = Field(default=1_769, ge=512, le=MOST_MEMORY_MB)
    shards: int = Field(default=1, ge=1, le=64)
    query: str | None = None
    history_query: str | None = None
    redshift: Redshift | None = None
    history: History = Field(default_factory=History)
    budget: Budget = Field(default_factory=Budget)
    severity_classes: SeverityClasses = Field(default_factory=SeverityClasses)
    alerts: dict[str, Alert] = Field(default_factory=dict, max_length=10)
    mutes: dict[str, Mute] = Field(default_factory=dict, max_length=100)
    calendar: Calendar = Field(default_factory=Calendar)
    incidents: dict[str, Incident] = Field(default_factory=dict, max_length=500)

    @model_validator(mode="before")
    @classmethod
    def _usual_budget(cls, document: object) -> object:
        if not isinstance(document, Mapping) or document.get("false_events_per_week") is not None:
            return document
        usual = DEFAULT_FALSE_EVENTS.get(str(document.get("interval")), 1.0)
        return {**document, "false_events_per_week": usual}

    @model_validator(mode="after")
    def _parts_agree(self) -> Self:
        faults = [*_column_faults(self), *_alert_faults(self), *_mute_faults(self)]
        faults += [*_incident_faults(self), *_calendar_faults(self)]
        for name, measure in self.measures.items():
            place = f"measures.{name}.direction_by_slice.dimension_filters"
            for one in measure.direction_by_slice:
                if one.dimension_filters:
                    faults += _filter_faults(place, one.dimension_filters, self)
                else:
                    named = ", ".join(self.dimensions)
                    faults.append(f"{place} must be keyed by dimensions ({named}); got {{}}")
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def severity_class(self, severity: float) -> SeverityClass:
        """The class of a severity."""
        if severity >= self.severity_classes.high:
            return "high"
        return "medium" if severity >= self.severity_classes.medium else "low"

    @property
    def of_days(self) -> bool:
        """Whether intervals are days, weeks or months: dates without a time of day suffice."""
        return self.interval in OF_DAYS

    @property
    def levels(self) -> tuple[tuple[str, ...], ...]:
        """The sets of dimensions to group rows by, coarse to fine: roll-ups, then the leaves."""
        found: list[tuple[str, ...]] = []
        if "total" in self.rollups:
            found.append(())
        if "single" in self.rollups:
            found.extend((name,) for name in self.dimensions)
        if "pairs" in self.rollups:
            found.extend(
                (one, other)
                for i, one in enumerate(self.dimensions)
                for other in self.dimensions[i + 1 :]
            )
        found.append(self.dimensions)
        return tuple(dict.fromkeys(found))

    @cached_property
    def special_days(self) -> dict[str, tuple[date, ...]]:
        """The days of the calendar by name, those of its iCalendar text included."""
        found = dict(self.calendar.days)
        for name, days in _days_of_ical(self).items():
            found[name] = tuple(sorted({*found.get(name, ()), *days}))
        return found

    @property
    def query_hash(self) -> str:
        """Hash of everything that determines the unloaded rows and their columns: with the same
        hash, the unloaded rows are the same, in however many files.
        """
        # The rows do not depend on the secret or the role.
        place = {"cluster_identifier", "workgroup_name", "database"}
        column = self.timestamp_column.model_dump(mode="json")
        document: dict[str, object] = {
            "interval": self.interval,
            "timezone": self.timezone,
            "timestamp_column": column,
            # Direction and minimum changes are applied after unloading. The order determines the
            # columns of the unloaded files.
            "measures": [[name, *one.unloaded] for name, one in self.measures.items()],
            "dimensions": self.dimensions,
            "dimension_filters": {
                name: sorted(set(values)) for name, values in self.dimension_filters.items()
            },
            "levels": sorted(self.levels),
            "query": self.query,
            "history_query": self.history_query,
            "redshift": self.redshift.model_dump(include=place) if self.redshift else None,
        }
        return _hash(document)

    @property
    def model_hash(self) -> str:
        """Hash of everything that the trained model depends on: the rows, the settings of the
        detector, and the time range of the history.
        """
        history = self.history
        document: dict[str, object] = {
            "query_hash": self.query_hash,
            "name": self.name,  # part of every event's ID
            "measures": {name: one.model_dump(mode="json") for name, one in self.measures.items()},
            "false_events_per_week": self.false_events_per_week,
            "band": self.band,
            "season_intervals": self.season_intervals,
            "calendar": self.calendar.model_dump(mode="json"),
            "incidents": [
                one.model_dump(mode="json", exclude={"reason"}) for one in self.incidents.values()
            ],
            # The snapshot is taken at the start of the look-back.
            "lookback_intervals": self.lookback_intervals,
            "history": (
                history.start.isoformat()
                if history.start
                else history.length or f"P{DEFAULT_HISTORY_DAYS[self.interval]}D"
            ),
        }
        return _hash(document)


def _column_faults(config: Config) -> Iterator[str]:
    """Errors in the names of columns, and in filters by them."""
    measures, dimensions = _shown(list(config.measures)), _shown(config.dimensions)
    folded = [name.lower() for name in config.dimensions]
    # To Redshift, names that differ only in case are the same name.
    doubled = "must not name a column twice, in any case"
    if not all(_is_column(name) for name in config.measures):
        yield (
            "measures must be keyed by names of columns, 1-127 characters and not *; "
            f"got {measures}"
        )
    if len({name.lower() for name in config.measures}) < len(config.measures):
        yield f"measures {doubled}; got {measures}"
    if not all(_is_column(name) for name in config.dimensions):
        yield f"dimensions must be names of columns, 1-127 characters and not *; got {dimensions}"
    if len(set(folded)) < len(folded):
        yield f"dimensions {doubled}; got {dimensions}"
    if RESERVED_COLUMNS & set(folded):
        reserved = ", ".join(sorted(RESERVED_COLUMNS))
        yield (
            f"dimensions must not use the name of a results column ({reserved}): rename the column "
            f"in the query; got {dimensions}"
        )
    if {name.lower() for name in config.measures} & set(folded):
        yield f"dimensions must not contain a measure; got {dimensions}"
    if config.timestamp_column.name.lower() in folded:
        yield f"dimensions must not contain the timestamp column; got {dimensions}"
    if len(set(config.rollups)) < len(config.rollups):
        yield f"rollups {_RULES['rollups']}; got {_shown(config.rollups)}"
    yield from _filter_faults("dimension_filters", config.dimension_filters, config)


def _alert_faults(config: Config) -> Iterator[str]:
    """Errors in alerts that concern more than one value."""
    yield from _key_faults("alerts", config.alerts)
    for name, alert in config.alerts.items():
        yield from scope_faults(f"alerts.{name}.", alert.measures, alert.dimension_filters, config)


def _mute_faults(config: Config) -> Iterator[str]:
    yield from _key_faults("mutes", config.mutes)
    for name, mute in config.mutes.items():
        yield from scope_faults(f"mutes.{name}.", mute.measures, mute.dimension_filters, config)


def _incident_faults(config: Config) -> Iterator[str]:
    yield from _key_faults("incidents", config.incidents)
    for name, one in config.incidents.items():
        yield from scope_faults(f"incidents.{name}.", one.measures, one.dimension_filters, config)


def _calendar_faults(config: Config) -> Iterator[str]:
    calendar = config.calendar
    if config.interval == "P1M" and (calendar.days or calendar.ical):
        yield "calendar must not be set with months (P1M): every one has its special days"
    if not all(1 <= len(name) <= 100 and name.strip() and name != "*" for name in calendar.days):
        yield (
            "calendar.days must be keyed by names of 1-100 characters and not *; "
            f"got {_shown(list(calendar.days))}"
        )
    try:
        known = config.special_days
    except ical.InvalidError as error:
        yield f"calendar.ical must be iCalendar text: {error}"
        return
    if len(known) > MOST_SPECIAL_NAMES:
        yield f"calendar must have at most {MOST_SPECIAL_NAMES} names of days; got {len(known)}"
    if not set(calendar.silent) <= {"*", *known}:
        yield (
            f"calendar.silent must be * or names of days ({', '.join(known)}); "
            f"got {_shown(calendar.silent)}"
        )


def _days_of_ical(config: Config) -> dict[str, tuple[date, ...]]:
    text = config.calendar.ical
    return {} if text is None else ical.special_days(text, config.timezone)


def _key_faults(place: str, named: Mapping[str, object]) -> Iterator[str]:
    if not all(re.fullmatch(_NAME, name) for name in named):
        yield (
            f"{place} must be keyed by names of 1-63 letters, digits, hyphens and underscores, "
            f"starting with a letter or digit; got {_shown(list(named))}"
        )


def scope_faults(
    place: str, measures: tuple[str, ...], filters: dict[str, tuple[str, ...]], config: Config
) -> Iterator[str]:
    """What is wrong with measures and dimension values that narrow something down.

    Parameters
    ----------
    place : what stands before the names of both, such as `alerts.orders.`.
    """
    if not set(measures) <= set(config.measures):
        yield (
            f"{place}measures must be measures ({', '.join(config.measures)}); "
            f"got {_shown(measures)}"
        )
    yield from _filter_faults(f"{place}dimension_filters", filters, config)


def _filter_faults(
    place: str, filters: dict[str, tuple[str, ...]], config: Config
) -> Iterator[str]:
    if not set(filters) <= set(config.dimensions):
        dimensions = ", ".join(config.dimensions)
        yield f"{place} must be keyed by dimensions ({dimensions}); got {_shown(list(filters))}"
    if not all(filters.values()):
        yield (f"{place} must have at least one value for each dimension; got {_shown(filters)}")


def _hash(document: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]


def load(document: bytes | str) -> Config:
    """Parse the document.

    Raises
    ------
    PermanentError
        States each error and names its key.
    """
    try:
        return Config.model_validate_json(document)
    except ValidationError as error:
        raise PermanentError(f"The configuration is not valid: {_sentences(error)}.") from None


def load_mute(values: Mapping[str, object], config: Config) -> Mute:
    """Read a mute that somebody asks for, by the rules of those in the document.

    Raises
    ------
    PermanentError
        States each error and names its key.
    """
    try:
        # As JSON, because an event of a function is JSON, too.
        found = Mute.model_validate_json(json.dumps(dict(values), default=str))
    except ValidationError as error:
        said = _sentences(error, "mutes.*.")
        raise PermanentError(f"The mute is not valid: {said}.") from None
    faults = list(scope_faults("", found.measures, found.dimension_filters, config))
    if faults:
        raise PermanentError(f"The mute is not valid: {'; '.join(faults)}.")
    return found


def _sentences(error: ValidationError, of: str = "") -> str:
    return "; ".join(dict.fromkeys(_sentence(fault, of) for fault in error.errors()))


def _sentence(fault: ErrorDetails, of: str = "") -> str:
    """A sentence about a fault; its rule is that of the key after `of`."""
    place = [str(part) for part in fault["loc"] if isinstance(part, str)]
    key = ".".join(place) or "document"
    message = fault["msg"].removeprefix("Value error").removeprefix(", ")
    pattern = of + ".".join(
        "*" if n == 1 and place[0] in _COUNTED else part for n, part in enumerate(place)
    )
    if key in _GROUPS:
        return f"{key} is not a known key: write its keys ({_GROUPS[key]}) without it"
    if fault["type"] == "extra_forbidden":
        return f"{key} is not a known key: correct or remove it"
    if fault["type"] == "missing":
        return f"{key} must be set"
    if fault["type"] == "value_error" and message:
        # Raised by a model's own validator, which names the key if it is a nested one.
        return f"{key} {message}" if place else message
    got = _shown(fault["input"])
    if pattern in _RULES and not (key in _COUNTED and fault["type"] in _TYPES):
        return f"{key} {_RULES[pattern]}; got {len(fault['input']) if key in _COUNTED else got}"
    if fault["type"] in _TYPES:
        return f"{key} {_TYPES[fault['type']]}; got {got}"
    return f"{key}: {message}; got {got}"


def _shown(value: object) -> str:
    """A value in the format of Terraform's `jsonencode`."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def document_hash(document: bytes) -> str:
    """Hash of an uploaded document, valid or not: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(document).hexdigest()[:16]
