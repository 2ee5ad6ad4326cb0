"""Where everything lies in the bucket. Pure: keys from values; every time in a path is UTC, an
interval's start.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime

CONFIGURATION = "config/detector.json"
PREVIEW = "reports/preview.json"
TRAINING = "reports/training.json"
MODELS = "models/"
SCORES = "results/scores/"
ANOMALIES = "results/anomalies/"
CONTRIBUTIONS = "results/contributions/"
METRIC_VALUES_CSV = "results/metricValue_AnomalyScore/"
CONTRIBUTIONS_CSV = "results/dimensionContributions/"
# Everything that belongs to one group; the group's id is the file's name in each.
OF_GROUPS = (ANOMALIES, CONTRIBUTIONS, METRIC_VALUES_CSV, CONTRIBUTIONS_CSV)
_MINUTE = "%Y%m%dT%H%M"


def attempt_id(execution: str, attempt: int | None = None) -> str:
    """Short name of one execution, or of one attempt within it: the same again when a step is
    retried.
    """
    name = hashlib.sha256(execution.encode()).hexdigest()[:12]
    return name if attempt is None else f"{name}-{attempt}"


def configuration_version(config_hash: str) -> str:
    """The immutable copy of one uploaded document."""
    return f"config/versions/{config_hash}.json"


def history_run(query_hash: str) -> str:
    """Prefix of all history landed for one query."""
    return f"history/run={query_hash}/"


def history_attempt(query_hash: str, begin: datetime, end: datetime, attempt: str) -> str:
    """Prefix of one attempt to land the chunk `[begin, end)`."""
    return f"{history_run(query_hash)}chunk={_minute(begin)}-{_minute(end)}/attempt={attempt}/"


def check_attempt(query_hash: str, attempt: str) -> str:
    """Prefix of one attempt to check the query, which lands nothing."""
    return f"{history_run(query_hash)}check/attempt={attempt}/"


def statement_sql(prefix: str) -> str:
    """The SQL of an attempt that failed for good, beside what it may have landed."""
    return f"{prefix}statement.sql"


def live_attempt(due_start: datetime, attempt: str) -> str:
    """Prefix of one attempt to land the window whose due part begins at `due_start`."""
    start = due_start.astimezone(UTC)
    return f"live/{start:%Y%m%d}/{start:%H%M}/attempt={attempt}/"


def manifest(prefix: str) -> str:
    """The manifest that UNLOAD writes beside its files."""
    return f"{prefix}manifest"


def scored(prefix: str, part: int) -> str:
    """Prefix of the scores of a landed window by one part of the detector, a file per interval."""
    return f"{prefix}scored/part={part}/"


def scores_from(prefix: str, start: datetime) -> str:
    """Scores below the prefix from an interval on, until they are published."""
    return f"{prefix}{_minute(start)}.parquet"


def start_of(key: str) -> datetime:
    """The interval that the name of such an object says."""
    name = key.rpartition("/")[2].removesuffix(".parquet")
    return datetime.strptime(name, _MINUTE).replace(tzinfo=UTC)


def scored_groups(prefix: str, part: int) -> str:
    """Groups that touch a landed window, whole, one file per part."""
    return f"{prefix}scored/part={part}.groups.json"


def scored_facts(prefix: str, part: int) -> str:
    """Counts and digests of a landed window's intervals, one file per part."""
    return f"{prefix}scored/part={part}.json"


def model_version(base: datetime, attempt: str) -> str:
    """Name of the snapshots that have learnt every interval before `base`."""
    return f"{_minute(base)}-{attempt}"


def version_of(key: str) -> str:
    """The version that a key below `MODELS` belongs to."""
    return key.removeprefix(MODELS).split("/", 1)[0]


def model(version: str, part: int) -> str:
    """The snapshot of one part: its series and its events."""
    return f"{_part(version, part)}.npz"


def backtest(version: str, part: int) -> str:
    """Prefix of one part's scores of the newest part of history, until activation publishes
    them.
    """
    return f"{_part(version, part)}/scores/"


def backtest_groups(version: str, part: int) -> str:
    """One part's groups of the same, whole, until activation publishes them."""
    return f"{_part(version, part)}.groups.json"


def unfinished(version: str, part: int) -> str:
    """The snapshot from which one part's training goes on."""
    return f"{_part(version, part)}.unfinished.npz"


def learnt(version: str, part: int) -> str:
    """What training says of one part's series, until activation publishes it."""
    return f"{_part(version, part)}.training.json"


def of_version(version: str) -> str:
    """Prefix of all that belongs to a version."""
    return f"{MODELS}{version}/"


def _part(version: str, part: int) -> str:
    return f"{of_version(version)}part={part}"


def interval_scores(start: datetime) -> str:
    """Published scores of one interval."""
    start = start.astimezone(UTC)
    return f"{scores_of(start.date())}{start:%H%M}.parquet"


def scores_of(day: date) -> str:
    """Prefix of the published scores of one UTC date."""
    return f"{SCORES}date={day.isoformat()}/"


def history_scores(start: datetime, part: int) -> str:
    """Published scores of one part from an interval of history on, up to the end of its date."""
    start = start.astimezone(UTC)
    return f"{scores_of(start.date())}history-{start:%H%M}-{part}.parquet"


def group_file(kind: str, start: datetime, group_id: str) -> str:
    """One group's file below one of `OF_GROUPS`, by the date on which the group starts."""
    suffix = "csv" if kind in (METRIC_VALUES_CSV, CONTRIBUTIONS_CSV) else "parquet"
    return f"{kind}date={start.astimezone(UTC).date().isoformat()}/{group_id}.{suffix}"


def date_of(key: str) -> date | None:
    """The date of a results file, from its partition; None where the key has none."""
    for part in key.split("/"):
        if part.startswith("date="):
            return date.fromisoformat(part.removeprefix("date="))
    return None


def _minute(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):{_MINUTE}}"
