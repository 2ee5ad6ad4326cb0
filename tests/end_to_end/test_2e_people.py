"""What people tell the detector: holidays, maintenance, feedback both ways, undone, and a mute."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from local.cloud import LocalCloud
from local.harness import Deployment

DAY = timedelta(days=1)
YEARS = 3
AHEAD = 16
# Days with a fall of one platform, from today; the first is larger.
FALLS = {-20: 0.86, 2: 0.9, 12: 0.9}
MEANS = {"a": 3000.0, "b": 2000.0}


class Days:
    """Days of the tests, counted from today's midnight (UTC): as they were, and will be."""

    def __init__(self) -> None:
        # Midnight may pass until the days are learnt; a day more that has ended changes nothing.
        now = datetime.now(UTC) + timedelta(minutes=10)
        self.today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        # One holiday is on the same date each year, the other one moves.
        fixed, moving = (self.today - back * DAY for back in (60, 100))
        years = range(YEARS)
        self.fixed = [_same_day(fixed, year) for year in years]
        self.moving = [
            _same_day(moving, year) + shift * DAY
            for year, shift in zip(years, (0, 11, -9), strict=True)
        ]

    @property
    def effects(self) -> dict[datetime, dict[str, float]]:
        """Factors of platforms by day."""
        both = {
            **dict.fromkeys(self.fixed, dict.fromkeys(MEANS, 0.3)),
            **dict.fromkeys(self.moving, dict.fromkeys(MEANS, 1.6)),
        }
        falls = {self.today + place * DAY: {"a": factor} for place, factor in FALLS.items()}
        return {**both, **falls, self.today: dict.fromkeys(MEANS, 0.05)}


def _same_day(day: datetime, years: int) -> datetime:
    return day.replace(year=day.year - years, day=min(day.day, 28))


@pytest.fixture(scope="module")
def days(cloud: LocalCloud, tmp_path_factory: pytest.TempPathFactory) -> Days:
    """A table `stalls` with a row per day and platform, three years and some days ahead."""
    found, generator = Days(), np.random.default_rng(12)
    rows: dict[str, list[Any]] = {"at": [], "platform": [], "amount": []}
    for back in range(-AHEAD, 365 * YEARS + 30):
        day = found.today - back * DAY
        for platform, mean in MEANS.items():
            amount = generator.normal(mean, 0.02 * mean)
            rows["at"].append(day.replace(tzinfo=None) + timedelta(hours=9))
            rows["platform"].append(platform)
            rows["amount"].append(amount * found.effects.get(day, {}).get(platform, 1.0))
    file = Path(tmp_path_factory.mktemp("stalls")) / "stalls.parquet"
    pq.write_table(pa.table(rows), file)
    cloud.load_table("shop", "stalls", file)
    return found


def document(detector: Deployment, **more: Any) -> dict[str, Any]:
    """Days of the table, alerted on to the module's own topic."""
    kept = ("name", "memory_mb")
    return {
        **{key: value for key, value in detector.document().items() if key in kept},
        "interval": "P1D",
        "timestamp_column": {"name": "at"},
        "measures": {"amount": {}},
        "dimensions": ["platform"],
        "false_events_per_week": 1,
        "offset_seconds": 0,
        "alerts": {"all": {"sns_topic_arns": [detector.outputs["alerts_topic_arn"]]}},
        "query": "select at, platform, amount from stalls "
        "where at >= '{{ window_start }}' and at < '{{ window_end }}'",
        "history": {"length": f"P{365 * YEARS}D", "chunk": "P400D"},
        **more,
    }


def train(detector: Deployment, wanted: Mapping[str, Any]) -> None:
    detector.upload(wanted)
    pipeline = detector.wait_for_pipeline()
    assert pipeline.succeeded, pipeline.cause
    detector.received("alerts")


def on(detector: Deployment, *wanted: datetime) -> list[dict[str, Any]]:
    """Groups that begin on these days."""
    texts = {f"{day:%Y-%m-%d}" for day in wanted}
    return [each for each in detector.groups() if each["StartTime"][:10] in texts]


def crawl(detector: Deployment, until: datetime) -> list[dict[str, Any]]:
    """What is told by crawling all days before."""
    done = detector.crawl(until + timedelta(minutes=1))
    assert done.succeeded, done.cause
    assert detector.watermark() == until
    return detector.alerts()


def respond(cloud: LocalCloud, **asked: Any) -> dict[str, Any]:
    answer = cloud.client("lambda").invoke(
        FunctionName="shop-respond", Payload=json.dumps({"by": "jane", **asked})
    )
    body: dict[str, Any] = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, body
    return body


def test_holidays_of_the_third_year_are_no_events_with_a_calendar_and_are_without_one(
    detector: Deployment, days: Days
) -> None:
    train(detector, document(detector))
    # The date of the year before is expected again; the one that has moved is not.
    assert len(on(detector, days.moving[0])) == 1

    calendar = {
        "days": {
            "Founders' Day": [f"{date(*day.timetuple()[:3])}" for day in days.fixed],
            "Moving Day": [f"{date(*day.timetuple()[:3])}" for day in days.moving],
        }
    }
    works = {
        "start": f"{days.today:%Y-%m-%dT%H:%M:%SZ}",
        "end": f"{days.today + timedelta(hours=6):%Y-%m-%dT%H:%M:%SZ}",
        "reason": "maintenance",
    }
    train(detector, document(detector, calendar=calendar, incidents={"works": works}))

    assert on(detector, *days.fixed, *days.moving) == []
    assert len(on(detector, days.today - 20 * DAY)) == 1


def test_a_maintenance_window_tells_nobody_and_is_shown(detector: Deployment, days: Days) -> None:
    assert detector.watermark() == days.today

    told = crawl(detector, days.today + DAY)

    assert told == []
    assert on(detector, days.today) == []
    shown = [
        row
        for row in detector.results("scores").to_pylist()
        if row["interval_start"] == days.today and row["platform"] == "*"
    ]
    assert [row["actual"] < 0.1 * row["expected"] for row in shown] == [True]
    assert [row["severity"] for row in shown] == [0.0]


def test_no_to_an_event_silences_one_alike_until_it_is_undone(
    cloud: LocalCloud, detector: Deployment, days: Days
) -> None:
    # given: what people say of a fall in the history
    (known,) = on(detector, days.today - 20 * DAY)
    assert known["Slices"] == [{"platform": "a"}]
    event = {"action": "feedback", "group_id": known["AnomalyGroupId"]}
    no = respond(cloud, **event, is_anomaly=False)
    severity = known["AnomalyGroupScore"]
    assert severity < no["effect"]["similar_events_need_severity"] <= 75 or severity >= 75

    # when a fall like it comes
    told = crawl(detector, days.today + 6 * DAY)

    # then
    assert told == []
    assert on(detector, days.today + 2 * DAY) == []
    (listed,) = (
        each
        for each in respond(cloud, action="answers")["answers"]
        if each["group_id"] == known["AnomalyGroupId"]
    )
    assert listed == no
    # Another answer ends it, and is undone itself.
    yes = respond(cloud, **event, is_anomaly=True)
    assert yes["effect"]["intervals_not_learned"] == 1
    assert respond(cloud, action="undo", id=yes["id"])["effect"] == {}


def test_an_event_that_is_muted_is_told_when_the_mute_is_lifted(
    cloud: LocalCloud, detector: Deployment, days: Days
) -> None:
    # given: the third fall of its kind, of which nobody says no any more
    detector.received("operations")
    mute = {
        "start": f"{days.today:%Y-%m-%dT%H:%M:%SZ}",
        "end": f"{days.today + 30 * DAY:%Y-%m-%dT%H:%M:%SZ}",
        "reason": "price test",
        "dimension_filters": {"platform": ["a"]},
    }
    held = respond(cloud, action="mute", mute=mute)

    # when
    told = crawl(detector, days.today + 13 * DAY)

    # then
    assert told == []
    (found,) = on(detector, days.today + 12 * DAY)
    (listed,) = (
        each for each in respond(cloud, action="mutes")["mutes"] if each["id"] == held["id"]
    )
    assert listed["events"] == [found["AnomalyGroupId"]]

    # when it is lifted
    respond(cloud, action="unmute", id=held["id"])
    told = crawl(detector, days.today + 14 * DAY)

    # then
    assert [each["anomalyGroupId"] for each in told] == [found["AnomalyGroupId"]]
    ended = [each["Message"] for each in detector.received("operations")]
    assert any(f"The mute '{held['id']}' of detector shop has ended" in str(each) for each in ended)
