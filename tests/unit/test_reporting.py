"""The page of a deployed detector: what bucket and table hold, and the command that writes it."""

from __future__ import annotations

import json
import webbrowser
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from anomaly_detector import cli
from anomaly_detector.config import ROLLED_UP
from anomaly_detector.errors import PermanentError
from anomaly_detector.intervals import iso
from anomaly_detector.lake import layout
from anomaly_detector.operate import deployment as operate
from anomaly_detector.report import axes
from anomaly_detector.report.page import page
from anomaly_detector.services import documents, feedback, muting, reporting
from moto import mock_aws

from tests.unit.report_pages import Read
from tests.unit.services_world import DAY, H1, TOPIC, World, document, sales

NOW = H1 + 6 * DAY + timedelta(hours=2)
MONTH = timedelta(days=30)


@pytest.fixture(scope="module")
def world() -> World:
    made = World(sales(6, late={(4, "pc_web"): 1}))
    made.upload(document(alerts={"any": {"sns_topic_arns": [TOPIC], "threshold": 40}}))
    made.activate()
    for day in range(1, 7):
        made.crawl(H1 + day * DAY, f"crawl-{day}")
    return made


def test_the_page_tells_what_is_stored(world: World) -> None:
    found = reporting.content(world.store, world.ledger, NOW, MONTH)

    ids = {one["AnomalyGroupId"] for one in world.groups()}
    assert ids
    assert {one.id for one in found.groups} == ids
    assert found.watched.end == H1 + 6 * DAY
    assert found.status is not None
    assert found.status.state == "active"
    assert found.status.delay == 7200
    assert found.quality.revised == 1
    assert found.quality.scored == found.quality.due
    day = found.stored.place(H1 + 3 * DAY)
    at = found.stored.index["revenue", ("mobile_app",)]
    assert found.stored.values[0, at, day] < 0.2 * found.stored.values[1, at, day]
    assert found.stored.index.keys() >= {("revenue", (ROLLED_UP,))}
    told = Read(page(found)).text
    assert "Alert 'any' was sent." in told
    assert "revenue down 90 % on mobile_app since 5 Mar 2026" in told
    assert f"s3://{world.store.bucket}/results/scores/" not in told  # nothing is left out


def test_a_shorter_time_holds_only_its_own_events_and_intervals(world: World) -> None:
    found = reporting.content(world.store, world.ledger, NOW, timedelta(days=2))

    assert found.watched.start == H1 + 4 * DAY
    assert found.quality.due == 2
    # What precedes it is there for its events, as far as it is stored.
    begin = found.stored.place(found.watched.start)
    assert found.stored.values.shape[2] - begin == 2
    assert np.isfinite(found.stored.values[0][:, begin:]).all()
    alone = reporting.content(world.store, world.ledger, NOW, timedelta(days=2), timedelta(0))
    assert alone.stored.values.shape[2] == 2
    assert found.groups == []
    assert "No event in 2 days; the closest to one was" in Read(page(found)).text


def test_missing_intervals_are_told_by_their_times() -> None:
    rows = [sale for sale in sales(6) if sale.day != H1 + 2 * DAY]
    made = World(rows)
    made.upload(document())
    made.activate()
    for day in range(1, 7):
        made.crawl(H1 + day * DAY, f"crawl-{day}")

    found = reporting.content(made.store, made.ledger, NOW, MONTH)

    assert [(one.start, one.end) for one in found.quality.empty] == [(H1 + 2 * DAY, H1 + 3 * DAY)]


def test_a_day_without_rows_in_the_history_is_missing_too() -> None:
    rows = [sale for sale in sales(6) if sale.day != H1 - 3 * DAY]
    made = World(rows)
    made.upload(document())
    made.activate()
    made.crawl(H1 + DAY, "crawl-1")

    found = reporting.content(made.store, made.ledger, H1 + 2 * DAY, MONTH)

    assert [(one.start, one.end) for one in found.quality.empty] == [(H1 - 3 * DAY, H1 - 2 * DAY)]


@dataclass
class Found:
    ledger: Any
    store: Any


def test_the_command_writes_the_page_and_opens_it(
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked: list[Any] = []
    opened: list[str] = []

    def found(*arguments: Any) -> Found:
        asked.append(arguments)
        return Found(world.ledger, world.store)

    monkeypatch.setattr(operate, "deployment", found)
    monkeypatch.setattr(webbrowser, "open", opened.append)
    out = tmp_path / "page.html"

    status = cli.main(["report", "--name", "shop", "--days", "20", "--out", str(out), "--open"])

    assert status == 0
    assert asked == [("shop", None, None, None)]
    assert opened == [out.as_uri()]
    assert "</html>" in out.read_text("utf-8")
    assert capsys.readouterr().out.startswith(f"Written to {out}: 1 event and 6 series")
    assert cli.main(["report", "--bucket", "b", "--out", str(tmp_path / "no" / "x"), "--json"]) == 2
    assert "cannot be written: No such file or directory." in capsys.readouterr().err


def test_a_bucket_says_which_detector_it_is_of(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        s3 = boto3.client("s3", region_name="us-east-1")
        s3.create_bucket(Bucket="anything")
        with pytest.raises(PermanentError, match=r"config/detector\.json does not exist"):
            operate.deployment(None, "us-east-1", None, "anything")
        body = json.dumps(json.loads(document()) | {"name": "orders"}).encode()
        s3.put_object(Bucket="anything", Key=layout.CONFIGURATION, Body=body)

        found = operate.deployment(None, "us-east-1", None, "anything")

        assert found.name == "orders"
        assert found.store.bucket == "anything"


def test_answers_and_mutes_are_on_the_page(world: World) -> None:
    made = world
    config = documents.in_force(made.store, made.ledger)
    [event] = made.ledger.anomaly_groups()
    key = event["AnomalyGroupId"]
    given = feedback.give(made.ledger, config, key, True, None, "alice", NOW - 5 * DAY)
    feedback.give(made.ledger, config, key, False, None, "bob <b>", NOW - DAY)
    mute = {"measures": ["revenue"], "reason": "a move", "end": iso(NOW + DAY)}
    muting.mute(made.ledger, config, mute, "carol", NOW)

    found = reporting.content(made.store, made.ledger, NOW, MONTH)

    assert [one.at for one in found.said or ()] == [NOW, NOW - DAY, NOW - 5 * DAY]
    text = Read(page(found)).text
    assert "No alerts on revenue until Mon 9 Mar 2026, 02:00; a move; by carol" in text
    needed = feedback.listed(made.ledger, config)[0]["effect"]["similar_events_need_severity"]
    assert f"by bob <b>; events like it need a severity of {needed:g}" in text
    assert f"by alice; withdrawn on {axes.spoken(NOW - DAY, config.timezone)}" in text
    assert given["is_anomaly"]
    assert "Said to be an anomaly by alice." in text
    assert "The answer was withdrawn." in text
    assert found.advice is not None
    assert "set the threshold of alerts to" in text


def test_a_detector_that_has_scored_nothing_is_told_so() -> None:
    made = World(sales(1))
    made.upload(document())

    with pytest.raises(PermanentError):
        reporting.content(made.store, made.ledger, NOW, MONTH)
