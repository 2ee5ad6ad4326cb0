"""The state table stores items unchanged, and one of two concurrent writers wins."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import anomaly_detector
import boto3
import pytest
from anomaly_detector.errors import PermanentError
from anomaly_detector.ledger.items import AlertItem, Chunk, Delivery, Detector, Interval, Run
from anomaly_detector.ledger.ledger import Commit, Ledger
from anomaly_detector.ledger.table import StateTable, Write
from botocore.exceptions import ClientError
from moto import mock_aws

from tests import state_table

START = datetime(2026, 1, 5, tzinfo=UTC)


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[StateTable]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        state_table.create(client, "state")
        yield StateTable(client, "state", "shop")


def test_items_come_back_as_they_went_in(table: StateTable) -> None:
    item = {"n": 3, "x": 0.1, "big": 1e100, "t": "ü", "l": [1, 2.5], "m": {"a": True}}
    table.put("A#1", item | {"nothing": None})

    assert table.get("A#1") == item | {"sk": "A#1"}
    assert table.get("A#2") is None


def test_a_query_is_ascending_and_bounded_on_both_sides(table: StateTable) -> None:
    for key in ("A#3", "A#1", "A#2", "B#1"):
        table.put(key, {})

    assert [item["sk"] for item in table.query("A#")] == ["A#1", "A#2", "A#3"]
    assert [item["sk"] for item in table.query("A#", "2", None)] == ["A#2", "A#3"]
    assert [item["sk"] for item in table.query("A#", "1", "2")] == ["A#1", "A#2"]


def test_a_query_reads_every_page(table: StateTable) -> None:
    for number in range(12):
        table.put(f"A#{number:02}", {"text": "x" * 200_000})

    assert len(table.query("A#")) == 12


def test_conditions(table: StateTable) -> None:
    assert table.put_new("A", {"status": "ONE"})
    assert not table.put_new("A", {"status": "TWO"})
    assert not table.update("A", {"status": "TWO"}, {"status": ("THREE", None)})
    assert table.update("A", {"status": "TWO", "more": 1}, {"status": (None, "ONE")})
    assert table.update("A", {"more": None})
    assert table.get("A") == {"sk": "A", "status": "TWO"}
    assert not table.delete("A", {"status": "ONE"})
    assert table.delete("A", {"status": "TWO"})
    assert table.delete("A")


def test_a_transaction_is_all_or_nothing(table: StateTable) -> None:
    table.put("A", {"version": 1})

    assert not table.transact(
        [Write("B", {"x": 1}, fresh=True), Write("A", {"version": 3}, {"version": 2})]
    )
    assert table.get("B") is None
    assert table.transact(
        [Write("B", {"x": 1}, fresh=True), Write("A", {"version": 2}, {"version": 1})]
    )
    assert table.get("A") == {"sk": "A", "version": 2}


def test_a_transaction_that_is_too_large_is_refused(table: StateTable) -> None:
    with pytest.raises(PermanentError, match="101 writes"):
        table.transact([Write(f"A#{number}", {}) for number in range(101)])


@pytest.mark.usefixtures("table")
def test_other_faults_are_not_taken_for_a_lost_race() -> None:
    missing = StateTable(boto3.client("dynamodb", region_name="us-east-1"), "other", "shop")

    with pytest.raises(ClientError):
        missing.transact([Write("A", {"x": 1})])
    with pytest.raises(ClientError):
        missing.put_new("A", {})


def test_the_detector_moves_on_once_per_revision(table: StateTable) -> None:
    ledger = Ledger(table)
    before = ledger.detector()
    after = before.model_copy(
        update={"status": "ACTIVE", "watermark": START, "models": ("v1",), "base": START}
    )

    assert ledger.advance_detector(before, after)
    assert not ledger.advance_detector(before, after)
    stored = ledger.detector()
    assert stored == after.model_copy(update={"revision": 1})
    cleared = stored.model_copy(update={"watermark": None, "models": ()})
    assert ledger.advance_detector(stored, cleared)
    assert ledger.detector().watermark is None


def test_the_wanted_document_is_kept_by_other_changes(table: StateTable) -> None:
    ledger = Ledger(table)
    before = ledger.detector()
    run = Run(attempt=1, status="STARTING")

    assert ledger.claim_run("abc", None, run)
    assert not ledger.claim_run("abc", None, run)
    assert ledger.advance_detector(before, before.model_copy(update={"status": "ACTIVATING"}))
    assert ledger.detector().wanted_hash == "abc"


def test_a_commit_writes_the_largest_window_at_once(table: StateTable) -> None:
    ledger = Ledger(table)
    before = Detector()
    intervals = [
        Interval(start=START.replace(hour=number // 60, minute=number % 60), status="SCORED")
        for number in range(72)
    ]
    delivery = Delivery(
        due_start=START,
        attempt_id="attempt",
        config_hash="c",
        window_start=START,
        window_end=START.replace(hour=2),
        groups_keys=("k",),
        scored_keys=(),
    )
    commit = Commit(before, before, intervals, delivery)

    assert ledger.commit(commit)
    assert not ledger.commit(commit)
    assert len(ledger.intervals(START, START.replace(hour=2))) == 72
    assert ledger.deliveries() == [delivery]

    ledger.mark_published(delivery)
    assert ledger.deliveries() == [delivery.model_copy(update={"published": True})]
    ledger.delete_delivery(delivery)
    assert ledger.deliveries() == []


def test_only_the_ledger_reads_and_writes_the_table() -> None:
    package = Path(anomaly_detector.__file__).parent
    users = {
        str(file.relative_to(package))
        for file in package.rglob("*.py")
        if "ledger.table" in file.read_text(encoding="utf-8")
    }
    # The wiring hands the table to the ledger.
    assert users == {"ledger/ledger.py", "ledger/lease.py", "handlers/_wiring.py"}


def test_an_alert_is_decided_once_and_marked_by_one_run(table: StateTable) -> None:
    ledger = Ledger(table)
    item = AlertItem(
        alert="orders",
        group_id="g",
        measure="revenue",
        start=START,
        end=START.replace(hour=1),
        since=START,
        expires_at=1,
        state="CLAIMED",
        targets={"arn": "PENDING"},
        attempt_id="attempt",
    )

    assert ledger.alert("orders", "g") is None
    assert ledger.decide_alert(item)
    assert not ledger.decide_alert(item)
    assert ledger.alert("orders", "g") == item
    sent = ledger.mark_alert(item, "SENT", {"arn": "SENT"})
    assert ledger.mark_alert(item, "FAILED", {"arn": "FAILED"}) is None
    assert ledger.alert("orders", "g") == sent


def test_waiting_intervals_fail_and_committed_ones_stay(table: StateTable) -> None:
    ledger = Ledger(table)
    hours = [START.replace(hour=hour) for hour in range(4)]
    for hour, status in zip(hours, ("DUE", "DUE", "LANDED", "SCORED"), strict=True):
        ledger.mark_intervals([hour], status)

    ledger.fail_waiting(hours[1], "why")

    found = ledger.intervals(START, START.replace(hour=4))
    assert [found[hour].status for hour in hours] == ["DUE", "FAILED", "FAILED", "SCORED"]
    assert [found[hour].reason for hour in hours] == [None, "why", "why", None]


def test_a_committed_interval_is_not_marked_again(table: StateTable) -> None:
    ledger = Ledger(table)
    ledger.mark_intervals([START], "DUE")
    ledger.mark_intervals([START], "FAILED", reason="why")
    assert ledger.intervals(START, START.replace(day=6))[START].reason == "why"
    table.update("INTERVAL#2026-01-05T00:00:00Z", {"status": "SCORED"})

    ledger.mark_intervals([START], "DUE")

    assert ledger.intervals(START, START.replace(day=6))[START].status == "SCORED"


def test_chunks_are_kept_per_query(table: StateTable) -> None:
    ledger = Ledger(table)
    chunk = Chunk(window_start=START, window_end=START.replace(day=9), prefix="p/", rows=3)
    ledger.put_chunk("q1", chunk)

    assert ledger.chunks("q1") == [chunk]
    assert ledger.chunks("q2") == []
