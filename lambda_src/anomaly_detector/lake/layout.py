"""Where everything lies in the bucket. Pure: keys from values; every time in a path is UTC, an
interval's start.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime

CONFIGURATION = "config/detector.json"
PREVIEW = "reports/preview.json"
TRAINING = "reports/training.json"
SCORES = "results/scores/"
ANOMALIES = "results/anomalies/"
CONTRIBUTIONS = "results/contributions/"
METRIC_VALUES_CSV = "results/metricValue_AnomalyScore/"
CONTRIBUTIONS_CSV = "results/dimensionContributions/"
# Everything that belongs to one group; the group's id is the file's name in each.
OF_GROUPS = (ANOMALIES, CONTRIBUTIONS, METRIC_VALUES_CSV, CONTRIBUTIONS_CSV)


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


def scored(prefix: str, shard: int) -> str:
    """Scores of a landed window, one file per shard."""
    return f"{prefix}scored/shard={shard}.parquet"


def marks(scores_key: str) -> str:
    """What the detector says of the events in the intervals whose scores lie at that key."""
    return scores_key.removesuffix(".parquet") + ".marks.json"


def learnt(scores_key: str) -> str:
    """What training says of the model whose backtest lies at that key, until it is in force."""
    return scores_key.removesuffix(".parquet") + ".training.json"


def scored_intervals(prefix: str, shard: int) -> str:
    """Rows and digests per interval of a landed window, one file per shard."""
    return f"{prefix}scored/shard={shard}.json"


def events(prefix: str) -> str:
    """Groups of a landed window, and the open groups carried to the next."""
    return f"{prefix}events.json"


def model_version(base: datetime, attempt: str) -> str:
    """Name of the snapshot that has learnt every interval before `base`."""
    return f"{_minute(base)}-{attempt}"


def model(shard: int, version: str) -> str:
    """One shard's snapshot."""
    return f"models/shard={shard}/{version}.npz"


def backtest(shard: int, version: str) -> str:
    """One shard's scores of the newest part of history, until activation publishes them."""
    return f"models/shard={shard}/{version}.backtest.parquet"


def carried(version: str) -> str:
    """Open groups as of the snapshots of the same version."""
    return f"models/events/{version}.json"


def interval_scores(start: datetime) -> str:
    """Published scores of one interval."""
    start = start.astimezone(UTC)
    return f"{scores_of(start.date())}{start:%H%M}.parquet"


def scores_of(day: date) -> str:
    """Prefix of the published scores of one UTC date."""
    return f"{SCORES}date={day.isoformat()}/"


def history_scores(day: date) -> str:
    """Published scores of one date of history."""
    return f"{scores_of(day)}history.parquet"


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
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M}"
