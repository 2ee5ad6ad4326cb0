"""A consumer of Lookout for Metrics' alerts, written from the documented shape alone, reads the
JSON of every kind of event. It imports nothing of the package.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

GOLDEN = sorted(
    path
    for path in (Path(__file__).parent / "messages").glob("*.txt")
    # It is asked for by an input of our own.
    if not path.stem.startswith("digest")
)
TIMESTAMP = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d)(:\d\d)?(Z|[+-]\d\d:\d\d)\[([\w/+-]+)\]")


@dataclass(frozen=True)
class Alert:
    """What the consumer keeps of an alert."""

    detector: str
    score: float
    url: str
    group: UUID
    name: str
    arn: str
    event: str
    description: str | None
    metric: str
    shares: dict[str, dict[str, int]]
    series: tuple[tuple[dict[str, str], float], ...]
    when: datetime


def read(body: str) -> Alert:
    """Read an alert; every key is needed, and has the documented type."""
    found: dict[str, Any] = json.loads(body)
    metric = found["impactedMetric"]
    shares = {
        _text(one["dimensionName"]): {
            _text(each["dimensionValue"]): int(each["valueContribution"])
            for each in one["dimensionValueContributions"]
        }
        for one in metric["dimensionContribution"]
    }
    series = []
    for one in metric["relevantTimeSeries"]:
        assert re.fullmatch("[0-9a-f]{128}", one["timeSeriesId"])
        place = {
            _text(each["dimensionName"]): _text(each["dimensionValue"])
            for each in one["dimensions"]
        }
        assert isinstance(one["metricValue"], int | float)
        series.append((place, float(one["metricValue"])))
    stamp = TIMESTAMP.fullmatch(found["timestamp"])
    assert stamp is not None
    offset = "+00:00" if stamp[3] == "Z" else stamp[3]
    return Alert(
        detector=_text(found["anomalyDetectorArn"]),
        score=float(found["anomalyScore"]),
        url=_text(found["consoleUrl"]),
        group=UUID(found["anomalyGroupId"]),
        name=_text(found["alertName"]),
        arn=_text(found["alertArn"]),
        event=_text(found["alertEventId"]),
        description=found["alertDescription"],
        metric=_text(metric["metricName"]),
        shares=shares,
        series=tuple(series),
        when=datetime.fromisoformat(f"{stamp[1]}{stamp[2] or ':00'}{offset}"),
    )


def _text(value: object) -> str:
    assert isinstance(value, str)
    return value


def _body(path: Path) -> str:
    """What SQS, Lambda and HTTPS get."""
    parts = path.read_text(encoding="utf-8").split("\n==== ")
    return next(one for one in parts if one.startswith("JSON\n")).removeprefix("JSON\n")


def _alerts(path: Path) -> list[str]:
    found = json.loads(_body(path))
    return [json.dumps(one) for one in found.get("alerts", [found])]


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_an_old_consumer_reads_every_kind_of_event(path: Path) -> None:
    for body in _alerts(path):
        alert = read(body)
        assert alert.arn == f"{alert.detector}:alert/{alert.name}"
        assert alert.event.startswith(f"{alert.arn}:event/{alert.group}")
        assert 0 <= alert.score <= 100
        assert alert.url.startswith("https://")
        assert alert.when.astimezone(UTC).year in (2025, 2026)
        for shares in alert.shares.values():
            assert sum(shares.values()) == 100
        # Series are leaves: each has a value of every dimension that occurs.
        names = {name for place, _ in alert.series for name in place}
        assert all(place.keys() == names for place, _ in alert.series)


def test_the_consumer_reads_the_figures_of_the_first_event() -> None:
    (path,) = [one for one in GOLDEN if one.stem == "dip"]
    alert = read(_body(path))
    assert (alert.metric, alert.score) == ("revenue", 98.0)
    assert alert.shares == {"platform": {"mobile_web": 100}, "marketplace": {"us": 68, "de": 32}}
    assert alert.series[0] == ({"platform": "mobile_web", "marketplace": "us"}, 738.5)
    assert alert.when == datetime(2026, 1, 5, 9, tzinfo=UTC)
