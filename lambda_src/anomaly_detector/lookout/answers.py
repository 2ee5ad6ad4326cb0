"""Answers of Lookout's former client, from what a deployed detector has stored. Pure, but for pages
of Parquet rows; the keys are exactly those of the former service.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import pyarrow as pa

from anomaly_detector.config import ROLLED_UP, Alert, Config
from anomaly_detector.intervals import iso
from anomaly_detector.ledger.items import Detector, FeedbackItem, Interval
from anomaly_detector.lookout.payload import time_series_id

Answer = dict[str, Any]

# Statuses of a run of the former detector, by the status of its interval.
_RUNS: Final = {
    "DUE": "PENDING",
    "LANDED": "IN_PROGRESS",
    "SCORED": "COMPLETED",
    "REVISED": "COMPLETED",
    "MISSING": "COMPLETED",
    "FAILED": "FAILED",
}
_GROUP_KEYS: Final = (
    "StartTime",
    "EndTime",
    "AnomalyGroupId",
    "AnomalyGroupScore",
    "PrimaryMetricName",
    "MetricLevelImpactList",
)
_SUMMARY_KEYS: Final = _GROUP_KEYS[:-1]
_RELATED_KEYS: Final = (
    "MetricName",
    "AnomalyGroupId",
    "RelationshipType",
    "ContributionPercentage",
)
# Aggregations whose interval without a row is zero; of others it has no value.
_ZERO_WITHOUT_ROWS: Final = ("SUM", "COUNT")
_TEXT: Final = 256
_SAMPLE: Final = 10


@dataclass(frozen=True)
class Names:
    """ARNs of the detector, its one dataset and its alerts, and how those of a former detector of
    the same name are understood.

    Attributes
    ----------
    detector : `anomalyDetectorArn` of the alerts, the ARN of the crawl machine.
    """

    detector: str
    name: str

    @property
    def metric_set(self) -> str:
        """ARN of the dataset."""
        return f"{self.detector}:metric-set/{self.name}"

    def alert(self, name: str) -> str:
        """ARN of an alert, as in its payload."""
        return f"{self.detector}:alert/{name}"

    def is_detector(self, arn: str) -> bool:
        """Whether the ARN is that of the detector, or of a former one with its name."""
        return arn == self.detector or self._alike(_former(arn, "AnomalyDetector"))

    def is_metric_set(self, arn: str) -> bool:
        """Whether the ARN is that of the dataset, or of any of a former detector of this name."""
        return arn == self.metric_set or self._alike(_former(arn, "MetricSet").partition("/")[0])

    def alert_of(self, arn: str) -> str:
        """Name of the alert with this ARN, or of a former alert; empty for other ARNs."""
        own = self.alert("")
        return arn.removeprefix(own) if arn.startswith(own) else _former(arn, "Alert")

    def _alike(self, former: str) -> bool:
        return former.lower().replace("_", "-") == self.name


def _former(arn: str, kind: str) -> str:
    found = re.fullmatch(rf"arn:[a-z-]+:lookoutmetrics:[^:]*:[^:]*:{kind}[:/](.+)", arn)
    return found.group(1) if found else ""


def detector(names: Names, config: Config, found: Detector, created: datetime) -> Answer:
    """DescribeAnomalyDetector."""
    answer = {
        "AnomalyDetectorArn": names.detector,
        "AnomalyDetectorName": names.name,
        "AnomalyDetectorDescription": config.description,
        "AnomalyDetectorConfig": {"AnomalyDetectorFrequency": config.interval},
        "CreationTime": created,
        "LastModificationTime": found.wanted_at or created,
        "Status": found.status,
        "FailureReason": _cut(found.status_reason),
        "KmsKeyArn": config.redshift.kms_key_arn if config.redshift else None,
        "FailureType": "ACTIVATION_FAILURE" if found.status == "FAILED" else None,
    }
    return _without_none(answer)


def detector_summary(
    names: Names, config: Config, found: Detector, created: datetime, tags: Mapping[str, str]
) -> Answer:
    """An item of ListAnomalyDetectors."""
    whole = detector(names, config, found, created)
    left_out = ("AnomalyDetectorConfig", "FailureReason", "KmsKeyArn", "FailureType")
    return {key: value for key, value in whole.items() if key not in left_out} | {
        "Tags": dict(tags)
    }


def metric_set(names: Names, config: Config, found: Detector, created: datetime) -> Answer:
    """DescribeMetricSet: the query, as the dataset that it is."""
    source = config.redshift
    column = config.timestamp_column
    filters = [
        {
            "Name": name,
            "FilterList": [
                {"DimensionValue": value, "FilterOperation": "EQUALS"} for value in values
            ],
        }
        for name, values in config.dimension_filters.items()
    ]
    return {
        "MetricSetArn": names.metric_set,
        "AnomalyDetectorArn": names.detector,
        "MetricSetName": names.name,
        "CreationTime": created,
        "LastModificationTime": found.wanted_at or created,
        "Offset": config.offset_seconds,
        "MetricList": [
            {"MetricName": name, "AggregationFunction": one.aggregation}
            for name, one in config.measures.items()
        ],
        "TimestampColumn": _without_none(
            {"ColumnName": column.name, "ColumnFormat": column.format}
        ),
        "DimensionList": list(config.dimensions),
        "MetricSetFrequency": config.interval,
        "Timezone": config.timezone,
        "MetricSource": {
            "RedshiftSourceConfig": _without_none(
                {
                    "ClusterIdentifier": source.cluster_identifier,
                    "SecretManagerArn": source.secret_arn,
                    "DatabaseName": source.database,
                    "RoleArn": source.unload_role,
                }
            )
            if source
            else {}
        },
        "DimensionFilterList": filters,
    }


def metric_set_summary(
    names: Names, found: Detector, created: datetime, tags: Mapping[str, str]
) -> Answer:
    """An item of ListMetricSets."""
    return {
        "MetricSetArn": names.metric_set,
        "AnomalyDetectorArn": names.detector,
        "MetricSetName": names.name,
        "CreationTime": created,
        "LastModificationTime": found.wanted_at or created,
        "Tags": dict(tags),
    }


def alert(
    names: Names, name: str, one: Alert, found: Detector, created: datetime, role: str
) -> Answer:
    """The Alert of DescribeAlert; of several targets the first is its action.

    Parameters
    ----------
    role : ARN of the role that sends it.
    """
    action: Answer = {}
    if one.sns_topic_arns:
        topic = {"RoleArn": role, "SnsTopicArn": one.sns_topic_arns[0], "SnsFormat": "JSON"}
        action = {"SNSConfiguration": topic}
    elif one.lambda_function_arns:
        action = {
            "LambdaConfiguration": {"RoleArn": role, "LambdaArn": one.lambda_function_arns[0]}
        }
    filters: Answer = {}
    if one.measures:
        filters["MetricList"] = list(one.measures)
    if one.dimension_filters:
        filters["DimensionFilterList"] = [
            {"DimensionName": dimension, "DimensionValueList": list(values)}
            for dimension, values in one.dimension_filters.items()
        ]
    answer = {
        "Action": action,
        "AlertDescription": _cut(one.description),
        **_alert(names, name, one, found, created),
        "AlertFilters": filters or None,
    }
    return _without_none(answer)


def alert_summary(
    names: Names,
    name: str,
    one: Alert,
    found: Detector,
    created: datetime,
    tags: Mapping[str, str],
) -> Answer:
    """An item of ListAlerts."""
    return _alert(names, name, one, found, created) | {"Tags": dict(tags)}


def _alert(names: Names, name: str, one: Alert, found: Detector, created: datetime) -> Answer:
    return {
        "AlertArn": names.alert(name),
        "AnomalyDetectorArn": names.detector,
        "AlertName": name,
        "AlertSensitivityThreshold": int(one.threshold),
        "AlertType": "LAMBDA" if one.lambda_function_arns and not one.sns_topic_arns else "SNS",
        "AlertStatus": "ACTIVE",
        "LastModificationTime": found.wanted_at or created,
        "CreationTime": created,
    }


def summary(group: Mapping[str, Any]) -> Answer:
    """An AnomalyGroupSummary of a stored group."""
    return _group(group, _SUMMARY_KEYS)


def anomaly_group(group: Mapping[str, Any]) -> Answer:
    """The AnomalyGroup of a stored group."""
    return _group(group, _GROUP_KEYS)


def _group(group: Mapping[str, Any], keys: Sequence[str]) -> Answer:
    return {key: group[key] for key in keys} | {
        # The table gives whole numbers as such.
        "AnomalyGroupScore": float(group["AnomalyGroupScore"])
    }


def related(group: Mapping[str, Any], kind: str | None) -> list[Answer]:
    """The InterMetricImpactList of a stored group: potential causes, potential effects, or both."""
    return [
        {key: one[key] for key in _RELATED_KEYS}
        for one in group.get("RelatedMetrics", ())
        if kind in (None, one["RelationshipType"])
    ]


def statistics(groups: Sequence[Mapping[str, Any]], since: datetime | None) -> Answer:
    """AnomalyGroupStatistics of all groups that were asked for.

    Parameters
    ----------
    since : start of the first scored interval.
    """
    counts = Counter(str(one["PrimaryMetricName"]) for one in groups)
    return {
        **({} if since is None else {"EvaluationStartDate": iso(since)}),
        "TotalCount": len(groups),
        "ItemizedMetricStatsList": [
            {"MetricName": name, "OccurrenceCount": count} for name, count in sorted(counts.items())
        ],
    }


def time_series(
    config: Config,
    measure: str,
    starts: Sequence[datetime],
    slices: Sequence[tuple[str, ...]],
    rows: pa.Table,
) -> list[Answer]:
    """The TimeSeriesList: a value per start, which is NaN where a mean has none.

    Parameters
    ----------
    rows : of the scores table, in `starts`.
    """
    known = {
        (row["interval_start"], tuple(row[name] for name in config.dimensions)): row["actual"]
        for row in rows.to_pylist()
        if row["measure"] == measure
    }
    absent = 0.0 if config.measures[measure].aggregation in _ZERO_WITHOUT_ROWS else math.nan
    return [
        {
            "TimeSeriesId": time_series_id(measure, config.dimensions, one),
            "DimensionList": [
                {"DimensionName": name, "DimensionValue": value}
                for name, value in zip(config.dimensions, one, strict=True)
                if value != ROLLED_UP
            ],
            "MetricValueList": [
                absent if (found := known.get((at, one))) is None else found for at in starts
            ],
        }
        for one in slices
    ]


def feedback(
    config: Config, measure: str, slices: Sequence[tuple[str, ...]], said: Sequence[FeedbackItem]
) -> list[Answer]:
    """The TimeSeriesFeedbackList: the newest answer to each series, or to what it lies within.

    Parameters
    ----------
    said : answers to the event that have not been undone, by time.
    """
    found = []
    for one in slices:
        values = dict(zip(config.dimensions, one, strict=True))
        answers = [item for item in said if any(_lies_in(values, each) for each in item.slices)]
        if answers:
            series = time_series_id(measure, config.dimensions, one)
            found.append({"TimeSeriesId": series, "IsAnomaly": answers[-1].is_anomaly})
    return found


def execution(one: Interval) -> Answer:
    """An item of the ExecutionList: the run of an interval."""
    reason = one.reason if one.status == "FAILED" else None
    return _without_none(
        {
            "Timestamp": iso(one.start),
            "Status": _RUNS[one.status],
            "FailureReason": _cut(reason),
        }
    )


def data_quality(
    names: Names,
    config: Config,
    intervals: Sequence[Interval],
    rows: pa.Table,
) -> list[Answer]:
    """The AnomalyDetectorDataQualityMetricList of some intervals.

    Parameters
    ----------
    intervals : at least one, ascending. rows : of the scores table, in them.
    """
    leaves = [row for row in rows.to_pylist() if _is_leaf(row, config)]
    newest = max((row["interval_start"] for row in leaves), default=None)
    found = [
        _metric(
            "ROWS_PROCESSED",
            "Rows of the query in the intervals since StartTimestamp.",
            sum(one.rows or 0 for one in intervals),
        ),
        _metric(
            "TIME_SERIES_COUNT",
            "Series in the newest interval, without roll-ups.",
            sum(row["interval_start"] == newest for row in leaves),
        ),
    ]
    for name in config.measures:
        values = [row["actual"] is not None for row in leaves if row["measure"] == name]
        if values:
            share = 100 * sum(values) / len(values)
            text = "Percentage of the expected values of the series that arrived."
            found.append(_metric("COLUMN_COMPLETENESS", text, share, name))
    for name in config.dimensions:
        count = len({row[name] for row in leaves})
        found.append(_metric("DIMENSION_UNIQUENESS", "Number of different values.", count, name))
    return [
        {
            "StartTimestamp": intervals[0].start,
            "MetricSetDataQualityMetricList": [
                {"MetricSetArn": names.metric_set, "DataQualityMetricList": found}
            ],
        }
    ]


def sample(config: Config, rows: pa.Table) -> Answer:
    """GetSampleData: aggregated rows of an interval, as text.

    Parameters
    ----------
    rows : of the scores table, in the interval.
    """
    measures = tuple(config.measures)
    lines: dict[tuple[str, ...], dict[str, str]] = {}
    for row in rows.to_pylist():
        if _is_leaf(row, config) and row["actual"] is not None:
            key = (iso(row["interval_start"]), *(row[name] for name in config.dimensions))
            lines.setdefault(key, {})[row["measure"]] = f"{row['actual']:.17g}"
    return {
        "HeaderValues": [config.timestamp_column.name, *config.dimensions, *measures],
        "SampleRows": [
            [*key, *(values.get(name, "") for name in measures)]
            for key, values in sorted(lines.items())[:_SAMPLE]
        ],
    }


def _metric(kind: str, text: str, value: float, column: str | None = None) -> Answer:
    return _without_none(
        {
            "MetricType": kind,
            "MetricDescription": text,
            "RelatedColumnName": column,
            "MetricValue": float(value),
        }
    )


def _lies_in(values: Mapping[str, str], one: Mapping[str, str]) -> bool:
    return all(values.get(name) == value for name, value in one.items())


def _is_leaf(row: Mapping[str, Any], config: Config) -> bool:
    return all(row[name] != ROLLED_UP for name in config.dimensions)


def _cut(text: str | None) -> str | None:
    return None if text is None else text[:_TEXT]


def _without_none(answer: Mapping[str, Any]) -> Answer:
    return {key: value for key, value in answer.items() if value is not None}
