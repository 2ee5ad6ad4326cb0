"""A script as people had it for Lookout for Metrics, written from its reference alone: it pages
through the groups, takes their series, gives feedback, and asks for what else there was to read.

It got its client from `boto3.client("lookoutmetrics")`; that one line is all that has changed.
"""

from __future__ import annotations

from typing import Any


def groups(client: Any, detector: str, threshold: int, at_once: int) -> list[dict[str, Any]]:
    """All groups of this severity, with their contributions and series."""
    found = []
    arguments: dict[str, Any] = {
        "AnomalyDetectorArn": detector,
        "SensitivityThreshold": threshold,
        "MaxResults": at_once,
    }
    while True:
        page = client.list_anomaly_group_summaries(**arguments)
        for summary in page["AnomalyGroupSummaryList"]:
            group = client.get_anomaly_group(
                AnomalyDetectorArn=detector, AnomalyGroupId=summary["AnomalyGroupId"]
            )["AnomalyGroup"]
            found.append(group | {"Series": series(client, detector, group, at_once)})
        if "NextToken" not in page:
            return found
        arguments["NextToken"] = page["NextToken"]


def series(
    client: Any, detector: str, group: dict[str, Any], at_once: int
) -> list[tuple[dict[str, str], dict[str, float], str]]:
    """The series of a group: dimension values, value by time, and the id."""
    found = []
    token: dict[str, str] = {}
    while True:
        page = client.list_anomaly_group_time_series(
            AnomalyDetectorArn=detector,
            AnomalyGroupId=group["AnomalyGroupId"],
            MetricName=group["PrimaryMetricName"],
            MaxResults=at_once,
            **token,
        )
        for one in page["TimeSeriesList"]:
            values = {
                each["DimensionName"]: each["DimensionValue"] for each in one["DimensionList"]
            }
            by_time = dict(zip(page["TimestampList"], one["MetricValueList"], strict=True))
            found.append((values, by_time, one["TimeSeriesId"]))
        if "NextToken" not in page:
            return found
        token = {"NextToken": page["NextToken"]}


def deny(client: Any, detector: str, group: dict[str, Any], series_id: str) -> dict[str, bool]:
    """Say that a series of a group is no anomaly; returns what is on file about the group."""
    client.put_feedback(
        AnomalyDetectorArn=detector,
        AnomalyGroupTimeSeriesFeedback={
            "AnomalyGroupId": group["AnomalyGroupId"],
            "TimeSeriesId": series_id,
            "IsAnomaly": False,
        },
    )
    answer = client.get_feedback(
        AnomalyDetectorArn=detector,
        AnomalyGroupTimeSeriesFeedback={"AnomalyGroupId": group["AnomalyGroupId"]},
    )
    return {
        one["TimeSeriesId"]: one["IsAnomaly"] for one in answer["AnomalyGroupTimeSeriesFeedback"]
    }


def the_detector(client: Any, name: str) -> str:
    """ARN of the active detector with this name."""
    for one in client.list_anomaly_detectors()["AnomalyDetectorSummaryList"]:
        if one["AnomalyDetectorName"] == name and one["Status"] == "ACTIVE":
            return str(one["AnomalyDetectorArn"])
    raise LookupError(name)


def facts(client: Any, detector: str) -> dict[str, Any]:
    """What the detector watches, whom it alerts, and how its runs went."""
    described = client.describe_anomaly_detector(AnomalyDetectorArn=detector)
    (metric_set,) = client.list_metric_sets(AnomalyDetectorArn=detector)["MetricSetSummaryList"]
    dataset = client.describe_metric_set(MetricSetArn=metric_set["MetricSetArn"])
    alerts = client.list_alerts(AnomalyDetectorArn=detector)["AlertSummaryList"]
    runs = client.describe_anomaly_detection_executions(AnomalyDetectorArn=detector, MaxResults=5)
    (quality,) = client.get_data_quality_metrics(AnomalyDetectorArn=detector)[
        "AnomalyDetectorDataQualityMetricList"
    ]
    (of_dataset,) = quality["MetricSetDataQualityMetricList"]
    return {
        "interval": described["AnomalyDetectorConfig"]["AnomalyDetectorFrequency"],
        "measures": {
            one["MetricName"]: one["AggregationFunction"] for one in dataset["MetricList"]
        },
        "dimensions": dataset["DimensionList"],
        "alerts": [
            client.describe_alert(AlertArn=one["AlertArn"])["Alert"]["AlertSensitivityThreshold"]
            for one in alerts
        ],
        "runs": [one["Status"] for one in runs["ExecutionList"]],
        "rows": sum(
            one["MetricValue"]
            for one in of_dataset["DataQualityMetricList"]
            if one["MetricType"] == "ROWS_PROCESSED"
        ),
        "sample": client.get_sample_data(),
        "tags": client.list_tags_for_resource(ResourceArn=detector)["Tags"],
    }
