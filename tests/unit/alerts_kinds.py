"""Events of twelve kinds, whose messages in every form are kept beside the tests to be read."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from anomaly_detector.config import Config, load
from anomaly_detector.events.group import Cause, Group, Leaf, Part, Related, group_id

TOPIC = "arn:aws:sns:eu-west-1:123456789012:orders"
NINE = datetime(2026, 1, 5, 9, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
QUERY = """\
SELECT ordered_at AS ts, p.name AS platform, m.name AS marketplace, revenue, views, latency
FROM ecommerce AS e
JOIN platform AS p ON p.id = e.platform
JOIN marketplace AS m ON m.id = e.marketplace
WHERE ordered_at >= {{ window_start }} AND ordered_at < {{ window_end }}"""
HOSTILE = "<b>Sale</b> & *5* `%s` [x](https://example.com)\r\nSubject: \u202eevil\u202c <!channel>"

DIP = Cause(
    -5_492.0,
    (Part({"platform": "mobile_web"}, 1055.0, 6547.0, -5_333.0, 97.1),),
    2.9,
)
RELATED = (
    Related("views", "1", "CAUSE_OF_INPUT_ANOMALY_GROUP", 60.0, 7_200, 3, 4, now=True),
    Related("latency", "2", "EFFECT_OF_INPUT_ANOMALY_GROUP", 20.0, -3_600, 0, 0, now=True),
    Related("conversion", "3", "CAUSE_OF_INPUT_ANOMALY_GROUP", 5.0, 3_600, 2, 9, now=False),
)
RATES = Cause(
    0.0302,
    (
        Part({"platform": "mobile_web"}, 0.0614, 0.0312, 0.0245, 81.0, "rate"),
        Part({"marketplace": "us"}, 900.0, 400.0, 0.0057, 19.0, "mix"),
    ),
    0.0,
    rate=81.0,
    mix=19.0,
)


@dataclass(frozen=True)
class Sample:
    """An event, the configuration that found it, and when it is told."""

    group: Group
    asof: datetime
    config: Config
    late: bool = False


def document(**changes: Any) -> Config:
    values: dict[str, Any] = {
        "name": "shop",
        "interval": "PT1H",
        "timestamp_column": {"name": "ts"},
        "measures": {
            "revenue": {},
            "views": {"aggregation": "COUNT"},
            "latency": {"aggregation": "AVG"},
            "conversion": {
                "aggregation": "RATIO",
                "numerator": "orders",
                "denominator": "visits",
                "unit": "share",
                "max": 0.05,
            },
        },
        "dimensions": ["platform", "marketplace"],
        "query": QUERY,
        "alerts": {
            "orders": {
                "threshold": 50,
                "sns_topic_arns": [TOPIC],
                "description": "Call the shop's duty officer.",
            }
        },
    }
    return load(json.dumps(values | changes))


def event(
    kind: Any,
    measure: str = "revenue",
    *,
    actual: float | None,
    expected: float,
    slices: Any = ({"platform": "mobile_web"},),
    start: datetime = NINE,
    end: datetime = NINE + HOUR,
    severity: float = 98.0,
    is_open: bool = True,
    contributions: dict[str, dict[str, float]] | None = None,
    leaves: tuple[Leaf, ...] | None = None,
    **changes: Any,
) -> Group:
    below = actual is None or actual < expected
    if leaves is None:
        part = actual or 0.0
        leaves = (
            Leaf(("mobile_web", "us"), 0.7 * part, 0.68 * expected, 0.7 * part),
            Leaf(("mobile_web", "de"), 0.3 * part, 0.32 * expected, 0.3 * part),
        )
    values: dict[str, Any] = {
        "id": group_id("shop", measure, start),
        "measure": measure,
        "start": start,
        "end": end,
        "severity": severity,
        "direction": "down" if below else "up",
        "state": "OPEN" if is_open else "CLOSED",
        "actual": actual,
        "expected": expected,
        "series_count": len(leaves),
        "contributions": contributions
        or {"platform": {"mobile_web": 100.0}, "marketplace": {"us": 67.6, "de": 32.4}},
        "slices": tuple(slices),
        "points": (),
        "kind": kind,
        "leaves": leaves,
    }
    return Group(**(values | changes))


def samples() -> dict[str, Sample]:
    """By the name of the file that holds its messages."""
    shop, later = document(), NINE + 3 * HOUR
    daily = document(interval="P1D", timezone="Europe/Berlin")
    midnight = datetime(2025, 12, 29, 23, tzinfo=UTC)
    nested = document(
        dimensions=["platform", "marketplace", HOSTILE],
        measures={f"m {HOSTILE}": {}},
        query=None,
        alerts={"orders": {"sns_topic_arns": [TOPIC], "description": HOSTILE}},
    )
    hostile = {"platform": HOSTILE, "marketplace": "\u0645\u0635\u0631", HOSTILE: ""}
    return {
        "dip": Sample(
            event("dip", actual=1055.0, expected=6547.0, cause=DIP, related=RELATED),
            NINE + HOUR,
            shop,
        ),
        "spike": Sample(
            event(
                "spike",
                "views",
                actual=48_210.0,
                expected=3_512.4,
                slices=({},),
                end=NINE + 2 * HOUR,
                severity=99.6,
                is_open=False,
            ),
            later,
            shop,
        ),
        "level": Sample(
            event(
                "level",
                actual=1_204_882.4,
                expected=1_511_020.9,
                slices=({"platform": "mobile_web", "marketplace": "us"},),
                start=NINE - 2 * DAY,
                severity=71.2,
            ),
            later,
            shop,
        ),
        "ramp": Sample(
            event("ramp", actual=61.4, expected=48.0, start=NINE - 6 * HOUR, severity=64.0),
            later,
            shop,
        ),
        "stuck": Sample(
            event(
                "stuck",
                "latency",
                actual=12.5,
                expected=12.497,
                slices=({"marketplace": "7"},),
                leaves=(Leaf(("mobile_web", "7"), 12.5, 12.497, 12.5),),
            ),
            later,
            shop,
        ),
        "season": Sample(
            event("season", actual=8_120.0, expected=8_644.0, start=NINE - DAY, severity=58.3),
            later,
            shop,
        ),
        "variance": Sample(
            event("variance", "latency", actual=0.0421, expected=0.0398, severity=55.0),
            later,
            shop,
        ),
        "no-data": Sample(
            event(
                "no data",
                "latency",
                actual=None,
                expected=118.2,
                slices=({},),
                contributions={},
                leaves=(),
            ),
            later,
            shop,
        ),
        "few-rows": Sample(
            event(
                "few rows",
                "latency",
                actual=120.0,
                expected=1_150.4,
                severity=89.6,
                slices=({},),
                contributions={"platform": {"mobile_web": 67.0, "pc_web": 33.0}},
                leaves=(Leaf(("mobile_web", "7"), 80.0, 770.8, 80.0),),
            ),
            later,
            shop,
        ),
        "new-value": Sample(
            event(
                "new value",
                actual=2_310.5,
                expected=0.0,
                slices=({"platform": "tablet"},),
                contributions={"platform": {"tablet": 100.0}, "marketplace": {"jp": 100.0}},
                leaves=(Leaf(("tablet", "jp"), 2310.5, 0.0, 2310.5),),
            ),
            later,
            shop,
        ),
        "bound": Sample(
            event(
                "bound",
                "conversion",
                actual=0.0614,
                expected=0.0312,
                severity=100.0,
                cause=RATES,
            ),
            later,
            shop,
        ),
        "days": Sample(
            event(
                "level",
                actual=88_000.0,
                expected=120_000.0,
                slices=(
                    {"platform": "mobile_web"},
                    {"platform": "mobile_app", "marketplace": "de"},
                    {"marketplace": "jp"},
                ),
                start=midnight,
                end=midnight + 5 * DAY,
                is_open=False,
            ),
            midnight + 6 * DAY,
            daily,
            late=True,
        ),
        "accepted": Sample(
            event(
                "level",
                actual=1_204_882.4,
                expected=1_511_020.9,
                start=NINE - 3 * DAY,
                severity=91.0,
                is_open=False,
                accepted=True,
            ),
            later,
            shop,
        ),
        "hostile": Sample(
            event(
                "dip",
                f"m {HOSTILE}",
                actual=-3.0e18,
                expected=1.0e-9,
                slices=(hostile,),
                contributions={"platform": {HOSTILE: 60.0, "x" * 300: 40.0}},
                leaves=(Leaf((HOSTILE, "\u0645\u0635\u0631", ""), -3.0e18, 1.0e-9, -3.0e18),),
            ),
            later,
            nested,
        ),
    }
