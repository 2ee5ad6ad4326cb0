"""The alert in the form that readers of Lookout for Metrics parse, and as text for people."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from anomaly_detector.config import ROLLED_UP, Config
from anomaly_detector.events.group import Group
from anomaly_detector.largest_remainder import apportion
from anomaly_detector.ledger.items import AlertItem
from anomaly_detector.lookout.group import largest_first

# Messages of SNS and asynchronous Lambda invocations are limited to 256 KB. SNS gets the payload as
# a text within JSON, in which quotes and backslashes are escaped, beside texts for people.
MAX_BYTES = 200_000
MAX_SERIES = 200
MAX_VALUES = 50
OTHERS = "(other)"
_CONSOLES = {
    "aws": "console.aws.amazon.com",
    "aws-us-gov": "console.amazonaws-us-gov.com",
    "aws-cn": "console.amazonaws.cn",
}


@dataclass(frozen=True)
class Origin:
    """Source of alerts: ARN of the crawl machine, and the bucket of the results."""

    detector_arn: str
    bucket: str

    @property
    def partition(self) -> str:
        """`aws`, `aws-us-gov`, `aws-cn`."""
        return self.detector_arn.split(":")[1]

    @property
    def region(self) -> str:
        """Region of the detector."""
        return self.detector_arn.split(":")[3]


def alert_payload(
    origin: Origin,
    config: Config,
    name: str,
    group: Group,
    results_key: str,
    *,
    late: bool = False,
    tellings: int = 1,
    most: int = MAX_BYTES,
) -> dict[str, Any]:
    """The alert: key names, order, types and nesting are those of Lookout for Metrics.

    `timestamp` is the start of the group in the detector's time zone; each series of the group has
    its value in the first interval in which it was anomalous itself, else its mean over the
    intervals that show the event. Of what is larger than `most` bytes, the most affected series and
    the largest shares are kept.

    Parameters
    ----------
    results_key : object that the console link opens: the file of the group in the bucket.
    late : whether the event is told late, which a key of our own says at the end: `"late": true`.
    tellings : of an event that is told again, after its retraction, the ID of the message ends with
        this number.
    """
    series, values = MAX_SERIES, MAX_VALUES
    while True:
        payload = _payload(origin, config, name, group, results_key, series, values)
        payload |= {"late": True} if late else {}
        if tellings > 1:
            payload["alertEventId"] += f"/{tellings}"
        if size(payload) <= most or not (series or values):
            return payload
        series, values = (series // 2, values) if series > values else (series, values // 2)


def _payload(
    origin: Origin,
    config: Config,
    name: str,
    group: Group,
    results_key: str,
    series: int,
    values: int,
) -> dict[str, Any]:
    arn = f"{origin.detector_arn}:alert/{name}"
    return {
        "anomalyDetectorArn": origin.detector_arn,
        "anomalyScore": round(float(group.severity), 2),
        "consoleUrl": console_url(origin, results_key),
        "anomalyGroupId": group.id,
        "alertName": name,
        "alertArn": arn,
        "alertEventId": f"{arn}:event/{group.id}",
        "alertDescription": config.alerts[name].description,
        "impactedMetric": {
            "metricName": group.measure,
            "dimensionContribution": [
                {
                    "dimensionName": dimension,
                    "dimensionValueContributions": [
                        {"dimensionValue": value, "valueContribution": share}
                        for value, share in whole_shares(shares, values)
                    ],
                }
                for dimension, shares in group.contributions.items()
                if shares and values
            ],
            "relevantTimeSeries": [
                {
                    "timeSeriesId": time_series_id(group.measure, config.dimensions, one),
                    "dimensions": [
                        {"dimensionName": dimension, "dimensionValue": value}
                        for dimension, value in _named(config.dimensions, one)
                    ],
                    "metricValue": _plain(value_of_series),
                }
                for one, value_of_series in _relevant_series(group)[:series]
            ],
        },
        "timestamp": zoned(group.start, config.timezone),
    }


def retraction_payload(
    origin: Origin, config: Config, name: str, item: AlertItem
) -> dict[str, Any]:
    """What says that an event that was told is void: rows that came late, or were changed, explain
    it. The keys are those of the alert, with `"retracted": true` at the end, severity 0, and no
    series.
    """
    arn = f"{origin.detector_arn}:alert/{name}"
    again = f"/{item.tellings}" if item.tellings > 1 else ""
    return {
        "anomalyDetectorArn": origin.detector_arn,
        "anomalyScore": 0.0,
        "consoleUrl": console_url(origin, ""),
        "anomalyGroupId": item.group_id,
        "alertName": name,
        "alertArn": arn,
        "alertEventId": f"{arn}:event/{item.group_id}{again}/retracted",
        "alertDescription": config.alerts[name].description,
        "impactedMetric": {
            "metricName": item.measure,
            "dimensionContribution": [],
            "relevantTimeSeries": [],
        },
        "timestamp": zoned(item.start, config.timezone),
        "retracted": True,
    }


def with_linked(payload: dict[str, Any], linked: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The alert with those on the events that are told with it, in the key `linked` of our own.
    Those that do not fit into `MAX_BYTES` are only counted: they are in the results.
    """
    if not linked:
        return payload
    found = payload | {"linked": {"count": len(linked), "alerts": []}}
    _fill(found, found["linked"]["alerts"], linked)
    return found


def digest_payload(
    origin: Origin, config: Config, name: str, attempt: str, payloads: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """One message with many alerts, in the given order. Those that do not fit into `MAX_BYTES` are
    only counted: they are in the results.
    """
    arn = f"{origin.detector_arn}:alert/{name}"
    found: dict[str, Any] = {
        "anomalyDetectorArn": origin.detector_arn,
        "alertName": name,
        "alertArn": arn,
        "alertEventId": f"{arn}:digest/{attempt}",
        "alertDescription": config.alerts[name].description,
        "count": len(payloads),
        "alerts": [],
    }
    _fill(found, found["alerts"], payloads)
    return found


def _fill(
    whole: Mapping[str, Any], alerts: list[Mapping[str, Any]], found: Sequence[Mapping[str, Any]]
) -> None:
    """Put as many alerts into a part of a message as fit into it."""
    taken = size(whole)
    for one in found:
        taken += size(one) + 2
        if taken > MAX_BYTES:
            break
        alerts.append(one)


def size(payload: Mapping[str, Any]) -> int:
    """Bytes of the payload as a text within JSON."""
    return len(json.dumps(encode(payload), ensure_ascii=False).encode())


def encode(payload: Mapping[str, Any]) -> str:
    """The payload as it is sent; NaN is rejected, because JSON does not support it."""
    return json.dumps(payload, ensure_ascii=False, allow_nan=False)


def zoned(moment: datetime, zone: str) -> str:
    """`2022-01-15T04:25Z[UTC]`, `2022-01-15T05:25+01:00[Europe/Berlin]`: Java's `ZonedDateTime`."""
    local = moment.astimezone(ZoneInfo(zone))
    text = local.strftime("%Y-%m-%dT%H:%M:%S" if local.second else "%Y-%m-%dT%H:%M")
    offset = local.strftime("%z")
    return f"{text}{'Z' if offset == '+0000' else f'{offset[:3]}:{offset[3:5]}'}[{zone}]"


def time_series_id(measure: str, dimensions: Sequence[str], one: Sequence[str]) -> str:
    """SHA-512 (128 hex digits) of the measure and the dimension values: the same in every alert."""
    text = json.dumps([measure, *_named(dimensions, one)], ensure_ascii=False)
    return hashlib.sha512(text.encode()).hexdigest()


def console_url(origin: Origin, key: str) -> str:
    """URL of a results object in the S3 console of the detector's partition."""
    host = _CONSOLES.get(origin.partition, _CONSOLES["aws"])
    return (
        f"https://{host}/s3/object/{origin.bucket}"
        f"?region={origin.region}&prefix={quote(key, safe='')}"
    )


def whole_shares(shares: Mapping[str, float], limit: int) -> list[tuple[str, int]]:
    """The largest shares as whole percentages that sum to 100.

    Values beyond `limit` are put together as `(other)`.
    """
    ordered = largest_first(shares)
    if len(ordered) > limit:
        kept = ordered[: max(0, limit - 1)]
        ordered = [*kept, (OTHERS, sum(share for _, share in ordered[len(kept) :]))]
    if not any(share > 0 for _, share in ordered):
        return []
    whole = apportion([share for _, share in ordered], 100)
    return [(value, share) for (value, _), share in zip(ordered, whole, strict=True)]


def _relevant_series(group: Group) -> list[tuple[tuple[str, ...], float]]:
    """Leaves and their values, the most affected first."""
    first: dict[tuple[str, ...], float] = {}
    for point in sorted(group.points, key=lambda one: one.start):
        first.setdefault(point.slice, point.actual)
    found = ((leaf.slice, float(first.get(leaf.slice, leaf.value))) for leaf in group.leaves)
    return [(one, value) for one, value in found if math.isfinite(value)]


def _named(dimensions: Sequence[str], one: Sequence[str]) -> list[tuple[str, str]]:
    return [pair for pair in zip(dimensions, one, strict=True) if pair[1] != ROLLED_UP]


def _plain(value: float) -> int | float:
    # 650, not 650.0, as in Lookout for Metrics; from 2^53 on, doubles are not exact integers.
    return int(value) if value.is_integer() and abs(value) < 2**53 else value
