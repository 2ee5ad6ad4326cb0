"""Groups and configurations that the tests of results, alerts and delivery share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from anomaly_detector.alerts.https import Https
from anomaly_detector.alerts.message import Message
from anomaly_detector.alerts.secrets import Secrets
from anomaly_detector.config import Config, load
from anomaly_detector.events.group import Group, Leaf, Point, group_id
from anomaly_detector.ledger.items import AlertItem, GroupItem

HOUR = timedelta(hours=1)
START = datetime(2022, 1, 15, 4, tzinfo=UTC)
TOPIC = "arn:aws:sns:eu-west-1:123456789012:orders"
CRAWL = "arn:aws:states:eu-west-1:123456789012:stateMachine:shop-crawl"


def _unused(*_: object) -> Any:
    raise AssertionError


NO_SECRETS, NO_WEB = Secrets(_unused), Https(_unused)


def config(**changes: Any) -> Config:
    document: dict[str, Any] = {
        "name": "shop",
        "interval": "PT1H",
        "timestamp_column": {"name": "ts"},
        "measures": {"revenue": {}, "views": {}},
        "dimensions": ["platform", "marketplace"],
        "alerts": {"orders": {"threshold": 50, "sns_topic_arns": [TOPIC]}},
    }
    return load(json.dumps(document | changes))


def point(
    start: datetime, one: Sequence[str], actual: float = 650, severity: float = 83.333
) -> Point:
    return Point(start, tuple(one), actual, 1000.0, severity, "down")


def leaf(one: Sequence[str], actual: float = 650, value: float | None = None) -> Leaf:
    return Leaf(tuple(one), actual, 1000.0, actual if value is None else value)


def group(
    measure: str = "revenue",
    start: datetime = START,
    hours: int = 1,
    *,
    severity: float = 83.333,
    points: Iterable[Point] | None = None,
    slices: Sequence[Mapping[str, str]] = ({"platform": "mobile_app"},),
    contributions: Mapping[str, Mapping[str, float]] | None = None,
    **changes: Any,
) -> Group:
    if points is None:
        points = [
            point(start + hour * HOUR, one)
            for hour in range(hours)
            for one in [("mobile_app", "*"), ("mobile_app", "us"), ("mobile_app", "de")]
        ]
    if contributions is None:
        contributions = {
            "platform": {"mobile_app": 100.0},
            "marketplace": {"us": 67.6, "de": 32.4},
        }
    points = tuple(points)
    values: dict[str, Any] = {
        "id": group_id("shop", measure, start),
        "measure": measure,
        "start": start,
        "end": start + hours * HOUR,
        "severity": severity,
        "direction": "down",
        "kind": "dip",
        "state": "CLOSED",
        "actual": 650.0,
        "expected": 1000.0,
        "series_count": len({one.slice for one in points}),
        "contributions": {name: dict(shares) for name, shares in contributions.items()},
        "slices": tuple(dict(one) for one in slices),
        "points": points,
        "leaves": [leaf(("mobile_app", "us")), leaf(("mobile_app", "de"))],
    }
    values |= changes
    return Group(**(values | {"leaves": tuple(values["leaves"])}))


def item(one: Group, **changes: Any) -> AlertItem:
    """The alert on a group, which nobody was told of yet."""
    values: dict[str, Any] = {
        "alert": "orders",
        "group_id": one.id,
        "measure": one.measure,
        "start": one.start,
        "end": one.end,
        "direction": one.direction,
        "slices": one.slices,
        "since": one.end,
        "expires_at": 0,
        "state": "CLAIMED",
        "targets": {TOPIC: "PENDING"},
        "attempt_id": "one",
    }
    return AlertItem(**(values | changes))


def message(**changes: Any) -> Message:
    event = f"{CRAWL}:alert/orders:event/1"
    values: dict[str, Any] = {
        "id": event,
        "event": event,
        "state": "OPEN",
        "severity": 83.33,
        "severity_class": "medium",
        "line": "shop: revenue down 84 % on ü",
        "subject": "shop: revenue down 84 % on u",
        "short": "shop: revenue down 84 % on ü",
        "facts": (("Where", "platform = ü"),),
        "sections": (),
        "links": (("Data", "https://console.aws.amazon.com/s3/object/b?prefix=x"),),
        "sql": None,
        "about": "Alert 'orders' of detector shop.",
        "body": json.dumps({"anomalyScore": 83.33, "name": "ü"}, ensure_ascii=False),
    }
    return Message(**(values | changes))


def stored(one: Group) -> GroupItem:
    """What the ledger keeps of a group, besides Lookout's."""
    return GroupItem(
        group_id=one.id,
        measure=one.measure,
        start=one.start,
        end=one.end,
        direction=one.direction,
        slices=one.slices,
    )
