"""The configuration document `config/detector.json`: one model for every function and the CLI."""

from __future__ import annotations

import hashlib
import json
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from anomaly_detector.errors import PermanentError

Aggregation = Literal["SUM", "AVG", "MIN", "MAX", "COUNT"]
Direction = Literal["up", "down", "both"]
IntervalName = Literal["PT5M", "PT10M", "PT15M", "PT30M", "PT1H", "P1D"]
Rollup = Literal["total", "single", "pairs"]
Threshold = Annotated[float, Field(ge=0, le=100)]

# What a Lambda function can have.
MOST_MEMORY_MB = 10_240
# Columns of the results tables; a dimension of that name would stand there twice.
RESERVED_COLUMNS = frozenset(
    {"interval_start", "measure", "actual", "expected", "lower", "upper", "severity", "direction"}
    | {"anomalous", "date", "shard"}
)
# Where no history is given: enough seasons to learn from, few enough rows to load.
DEFAULT_HISTORY_DAYS: dict[IntervalName, int] = {
    "PT5M": 30,
    "PT10M": 30,
    "PT15M": 60,
    "PT30M": 60,
    "PT1H": 90,
    "P1D": 730,
}
_DAYS = re.compile(r"P([1-9]\d{0,4})D")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"'{name}' is not an IANA time zone, such as 'Europe/Berlin'") from None
    return name


class TimestampColumn(_Model):
    """The column that says when a row happened: TIMESTAMP, TIMESTAMPTZ, DATE or formatted text."""

    name: str = Field(min_length=1, max_length=127)
    format: str | None = None
    timezone: str = "UTC"

    _zone = field_validator("timezone")(_known_zone)


class Measure(_Model):
    """A numeric column, how it is aggregated per interval, and which changes of it matter."""

    aggregation: Aggregation = "SUM"
    direction: Direction = "both"
    min_absolute_change: float = Field(default=0, ge=0)
    min_relative_change: float = Field(default=0, ge=0)


class Redshift(_Model):
    """Where the warehouse is, how to sign in, and the role that UNLOAD assumes."""

    cluster_identifier: str | None = None
    workgroup_name: str | None = None
    database: str
    secret_arn: str | None = None
    db_user: str | None = None
    unload_role: str
    kms_key_arn: str | None = None

    @property
    def encrypted(self) -> bool:
        """Whether the bucket has a customer key as its default."""
        return self.kms_key_arn is not None

    @model_validator(mode="after")
    def _one_warehouse(self) -> Self:
        if (self.cluster_identifier is None) == (self.workgroup_name is None):
            raise ValueError("give exactly one of cluster_identifier and workgroup_name")
        if self.secret_arn and self.db_user:
            raise ValueError("give at most one of secret_arn and db_user")
        if self.workgroup_name and self.db_user:
            raise ValueError(
                "db_user goes with a cluster; a workgroup takes secret_arn or the caller's identity"
            )
        return self


class History(_Model):
    """How much of the past is loaded, and in which pieces."""

    start: datetime | None = None
    length: str | None = None
    chunk: str = "P30D"
    parallelism: int = Field(default=4, ge=1, le=40)

    @field_validator("length", "chunk")
    @classmethod
    def _is_days(cls, value: str | None) -> str | None:
        if value is not None and not _DAYS.fullmatch(value):
            raise ValueError(f"'{value}' is not a number of days such as 'P90D'")
        return value

    @field_validator("start")
    @classmethod
    def _is_utc(cls, value: datetime | None) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    @property
    def chunk_length(self) -> timedelta:
        """Length of one chunk."""
        return _days(self.chunk)

    def begin(self, end: datetime, interval: IntervalName) -> datetime:
        """Start of the history that ends at `end` (both UTC), not yet put on the interval grid."""
        if self.start is not None:
            return self.start
        length = (
            _days(self.length) if self.length else timedelta(days=DEFAULT_HISTORY_DAYS[interval])
        )
        return end - length


def _days(text: str) -> timedelta:
    found = _DAYS.fullmatch(text)
    assert found is not None  # validated on the way in
    return timedelta(days=int(found.group(1)))


class Alert(_Model):
    """One alert: from which severity, of which measures and dimension values, and to whom."""

    threshold: Threshold = 50
    description: str | None = None
    sns_topic_arns: tuple[str, ...] = ()
    lambda_function_arns: tuple[str, ...] = ()
    measures: tuple[str, ...] = ()
    dimension_filters: dict[str, tuple[str, ...]] = Field(default_factory=dict)


class Config(_Model):
    """The whole document; a local file needs interval, timestamp_column, measures, dimensions."""

    name: str = "detector"
    description: str | None = None
    interval: IntervalName
    timezone: str = "UTC"
    offset_seconds: int = Field(default=300, ge=0, le=432_000)
    lookback_intervals: int = Field(default=3, ge=0, le=24)
    timestamp_column: TimestampColumn
    measures: dict[str, Measure] = Field(min_length=1, max_length=10)
    dimensions: tuple[str, ...] = Field(default=(), max_length=10)
    dimension_filters: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    rollups: tuple[Rollup, ...] = ("total", "single", "pairs")
    false_events_per_week: float = Field(default=1, gt=0, le=1000)
    max_series: int = Field(default=50_000, ge=1, le=1_000_000)
    memory_mb: int = Field(default=1_769, ge=128, le=MOST_MEMORY_MB)
    shards: int = Field(default=1, ge=1, le=64)
    query: str | None = None
    history_query: str | None = None
    redshift: Redshift | None = None
    history: History = Field(default_factory=History)
    alerts: dict[str, Alert] = Field(default_factory=dict)

    _zone = field_validator("timezone")(_known_zone)

    @model_validator(mode="after")
    def _columns_agree(self) -> Self:
        names = [self.timestamp_column.name, *self.dimensions]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(
                f"column '{doubled[0]}' is named twice among timestamp_column and dimensions"
            )
        clash = sorted(set(self.dimensions) & set(self.measures))
        if clash:
            raise ValueError(f"column '{clash[0]}' cannot be a measure and a dimension at once")
        taken = [name for name in self.dimensions if name.lower() in RESERVED_COLUMNS]
        if taken:
            raise ValueError(
                f"dimension '{taken[0]}' has the name of a results column; "
                "give it another name in the query (… AS …)"
            )
        for where, filters in [
            ("dimension_filters", self.dimension_filters),
            *(
                (f"alerts.{name}.dimension_filters", alert.dimension_filters)
                for name, alert in self.alerts.items()
            ),
        ]:
            unknown = sorted(set(filters) - set(self.dimensions))
            if unknown:
                raise ValueError(f"{where} names '{unknown[0]}', which is not a dimension")
        for name, alert in self.alerts.items():
            strange = sorted(set(alert.measures) - set(self.measures))
            if strange:
                raise ValueError(
                    f"alerts.{name}.measures names '{strange[0]}', which is not a measure"
                )
        return self

    @property
    def levels(self) -> tuple[tuple[str, ...], ...]:
        """The sets of dimensions that are kept apart, coarse to fine: roll-ups, then the leaves."""
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

    @property
    def query_hash(self) -> str:
        """Hash of what decides which rows leave the warehouse, and in which columns: equal hash,
        equal landed rows, in however many files.
        """
        # Another secret or role reads the same rows.
        place = {"cluster_identifier", "workgroup_name", "database"}
        column = self.timestamp_column.model_dump(mode="json")
        document: dict[str, object] = {
            "interval": self.interval,
            "timezone": self.timezone,
            "timestamp_column": column,
            # Direction and minimum changes are judged after the rows have landed. The order tells
            # the columns of the landed files.
            "measures": [[name, one.aggregation] for name, one in self.measures.items()],
            "dimensions": self.dimensions,
            "dimension_filters": {
                name: sorted(set(values))
                for name, values in self.dimension_filters.items()
                if values
            },
            "levels": sorted(self.levels),
            "query": self.query,
            "history_query": self.history_query,
            "redshift": self.redshift.model_dump(include=place) if self.redshift else None,
        }
        return _hash(document)

    @property
    def model_hash(self) -> str:
        """Hash of what the trained model depends on: the rows, how they are judged, and from when
        to when they are learnt.
        """
        history = self.history
        document: dict[str, object] = {
            "query_hash": self.query_hash,
            "name": self.name,  # part of every event's id
            "measures": {name: one.model_dump(mode="json") for name, one in self.measures.items()},
            "false_events_per_week": self.false_events_per_week,
            # The snapshot is that of the look-back's start.
            "lookback_intervals": self.lookback_intervals,
            "history": (
                history.start.isoformat()
                if history.start
                else history.length or f"P{DEFAULT_HISTORY_DAYS[self.interval]}D"
            ),
        }
        return _hash(document)


def _hash(document: dict[str, object]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]


def load(document: bytes | str) -> Config:
    """Read the document.

    Raises
    ------
    PermanentError
        With one sentence per fault, each naming the key.
    """
    try:
        return Config.model_validate_json(document)
    except ValidationError as error:
        faults = "; ".join(_sentence(list(fault["loc"]), fault["msg"]) for fault in error.errors())
        raise PermanentError(f"The configuration is not valid: {faults}.") from None


def _sentence(place: list[int | str], message: str) -> str:
    key = ".".join(str(part) for part in place) or "document"
    if message == "Extra inputs are not permitted":
        message = "this key is not known"
    return f"{key}: {message.removeprefix('Value error, ')}"


def document_hash(document: bytes) -> str:
    """Name of one uploaded document (first 16 hex digits of its SHA-256), valid or not."""
    return hashlib.sha256(document).hexdigest()[:16]
