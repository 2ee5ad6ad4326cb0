"""Layout of the bucket. Pure; times in keys are interval starts in UTC."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime

CONFIGURATION = "config/detector.json"
PREVIEW = "reports/preview.json"
RECOMMENDATION = "reports/recommendation.json"
TRAINING = "reports/training.json"
PAGE = "reports/latest.html"
HISTORY = "history/"
MODELS = "models/"
SCORES = "results/scores/"
ANOMALIES = "results/anomalies/"
CONTRIBUTIONS = "results/contributions/"
STATEMENTS = "statements/"
METRIC_VALUES_CSV = "results/metricValue_AnomalyScore/"
CONTRIBUTIONS_CSV = "results/dimensionContributions/"
# Prefixes of the files of a group; each file is named by the group's id.
OF_GROUPS = (ANOMALIES, CONTRIBUTIONS, METRIC_VALUES_CSV, CONTRIBUTIONS_CSV)
_MINUTE = "%Y%m%dT%H%M"


def attempt_id(execution: str, attempt: int | None = None) -> str:
    """Short name of an execution, or of an attempt in it; a retried step gets the same name."""
    name = hashlib.sha256(execution.encode()).hexdigest()[:12]
    return name if attempt is None else f"{name}-{attempt}"


def configuration_version(config_hash: str) -> str:
    """Immutable copy of an uploaded configuration."""
    return f"config/versions/{config_hash}.json"


def history_run(query_hash: str) -> str:
    """Prefix of the landed history of a query."""
    return f"{HISTORY}run={query_hash}/"


def history_attempt(query_hash: str, begin: datetime, end: datetime, attempt: str) -> str:
    """Prefix of an attempt to land the chunk `[begin, end)`."""
    return f"{history_run(query_hash)}chunk={_minute(begin)}-{_minute(end)}/attempt={attempt}/"


def check_attempt(query_hash: str, attempt: str) -> str:
    """Prefix of an attempt to check the query, which lands nothing."""
    return f"{history_run(query_hash)}check/attempt={attempt}/"


def statement_sql(prefix: str) -> str:
    """SQL of an attempt that failed permanently."""
    return f"{prefix}statement.sql"


def statement_row(started_at: datetime, statement_id: str) -> str:
    """What an ended statement took in the warehouse, by the UTC date of its execution's start."""
    day = started_at.astimezone(UTC).date().isoformat()
    return f"{STATEMENTS}date={day}/{statement_id}.json"


def live_attempt(due_start: datetime, attempt: str) -> str:
    """Prefix of an attempt to land the window with the first due interval `due_start`."""
    start = due_start.astimezone(UTC)
    return f"live/{start:%Y%m%d}/{start:%H%M}/attempt={attempt}/"


def manifest(prefix: str) -> str:
    """Manifest written by UNLOAD."""
    return f"{prefix}manifest"


def scored(prefix: str, part: int) -> str:
    """Prefix of a part's scores of a landed window, one file per interval."""
    return f"{prefix}scored/part={part}/"


def scores_from(prefix: str, start: datetime) -> str:
    """Unpublished scores that begin with an interval."""
    return f"{prefix}{_minute(start)}.parquet"


def start_of(key: str) -> datetime:
    """The first interval of such an object, from its key."""
    name = key.rpartition("/")[2].removesuffix(".parquet")
    return datetime.strptime(name, _MINUTE).replace(tzinfo=UTC)


def scored_groups(prefix: str, part: int) -> str:
    """A part's groups in a landed window, with all points."""
    return f"{prefix}scored/part={part}.groups.json"


def scored_facts(prefix: str, part: int) -> str:
    """A part's counts and digests of the intervals of a landed window."""
    return f"{prefix}scored/part={part}.json"


def model_version(base: datetime, attempt: str) -> str:
    """Version of snapshots that have learned all intervals before `base`."""
    return f"{_minute(base)}-{attempt}"


def version_of(key: str) -> str:
    """Version of an object below `MODELS`, from its key."""
    return key.removeprefix(MODELS).split("/", 1)[0]


def model(version: str, part: int) -> str:
    """Snapshot of a part: series and events."""
    return f"{_part(version, part)}.npz"


def backtest(version: str, part: int) -> str:
    """Prefix of a part's backtest scores, until activation publishes them."""
    return f"{_part(version, part)}/scores/"


def backtest_groups(version: str, part: int) -> str:
    """A part's backtest groups with all points, until activation publishes them."""
    return f"{_part(version, part)}.groups.json"


def unfinished(version: str, part: int) -> str:
    """Snapshot from which a part's training resumes."""
    return f"{_part(version, part)}.unfinished.npz"


def late_rows(version: str, part: int) -> str:
    """How many rows came later than any crawl read them, as counted by a training so far."""
    return f"{_part(version, part)}.late.json"


def learnt(version: str, part: int) -> str:
    """A part's training report, until activation publishes it."""
    return f"{_part(version, part)}.training.json"


def of_version(version: str) -> str:
    """Prefix of all objects of a version."""
    return f"{MODELS}{version}/"


def _part(version: str, part: int) -> str:
    return f"{of_version(version)}part={part}"


def interval_scores(start: datetime) -> str:
    """Published scores of an interval."""
    start = start.astimezone(UTC)
    return f"{scores_of(start.date())}{start:%H%M}.parquet"


def scores_of(day: date) -> str:
    """Prefix of the published scores of a UTC date."""
    return f"{SCORES}date={day.isoformat()}/"


def history_scores(start: datetime, part: int) -> str:
    """A part's published scores of history, from an interval to the end of its UTC date."""
    start = start.astimezone(UTC)
    return f"{scores_of(start.date())}history-{start:%H%M}-{part}.parquet"


def is_of_history(key: str) -> bool:
    """Whether an object with scores is a file of history, which has more than one interval."""
    return key.rpartition("/")[2].startswith("history-")


def first_scored(key: str) -> datetime:
    """Start of the first interval of an object with published scores, from its key."""
    name = key.rpartition("/")[2].removeprefix("history-")
    day = date_of(key)
    assert day is not None
    return datetime.strptime(f"{day.isoformat()} {name[:4]}", "%Y-%m-%d %H%M").replace(tzinfo=UTC)


def group_file(kind: str, start: datetime, group_id: str) -> str:
    """A group's file below one of `OF_GROUPS`, by the UTC date of the group's start."""
    suffix = "csv" if kind in (METRIC_VALUES_CSV, CONTRIBUTIONS_CSV) else "parquet"
    return f"{kind}date={start.astimezone(UTC).date().isoformat()}/{group_id}.{suffix}"


def event_page(group_id: str) -> str:
    """The page of an event."""
    return f"reports/events/{group_id}.html"


def date_of(key: str) -> date | None:
    """The date of a results file, from its partition; None if it has none."""
    for part in key.split("/"):
        if part.startswith("date="):
            return date.fromisoformat(part.removeprefix("date="))
    return None


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):{_MINUTE}}"
