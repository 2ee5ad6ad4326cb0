"""The state table stores items unchanged, and one of two concurrent writers wins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anomaly_detector
import boto3
import pytest
from anomaly_detector.errors import PermanentError
from anomaly_detector.ledger.items import AlertItem, Chunk, Delivery, Detector, Interval, Run
from anomaly_detector.ledger.ledger import Commit, Ledger
from anomaly_detector.ledger.table import StateTable, Write
from botocore.exceptions import ClientError, ReadTimeoutError
from moto import mock_aws

from tests import state_table

START = datetime(2026, 1, 5, tzinfo=UTC)
DAY = timedelta(days=1)


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
    table.delete("A", {"status": "ONE"})
    assert table.get("A")
    table.delete("A", {"status": "TWO"})
    table.delete("A")
    assert table.get("A") is None


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
    assert not ledger.advance_detector(before, after.model_copy(update={"execution": "other"}))
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
    assert not ledger.claim_run("abc", None, Run(attempt=1, status="RUNNING"))
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
        scored_prefixes=(),
    )
    commit = Commit(before, before, intervals, delivery)

    assert ledger.commit(commit)
    assert ledger.commit(commit)
    of_another = replace(commit, delivery=delivery.model_copy(update={"attempt_id": "other"}))
    assert not ledger.commit(of_another)
    assert len(ledger.intervals(START, START.replace(hour=2))) == 72
    assert [Delivery.of(item) for item in ledger.deliveries()] == [delivery]

    ledger.mark_published(delivery)
    (stored,) = ledger.deliveries()
    assert Delivery.of(stored) == delivery.model_copy(update={"published": True})
    ledger.delete_delivery(delivery)
    assert ledger.deliveries() == []


def test_only_the_ledger_reads_and_writes_the_table() -> None:
    package = Path(anomaly_detector.__file__).parent
    users = {
        str(file.relative_to(package))
        for file in package.rglob("*.py")
        if "ledger.table" in file.read_text(encoding="utf-8")
    }
    # The wirings of functions and commands hand the table to the ledger.
    wirings = {"handlers/_wiring.py", "operate/deployment.py"}
    assert users == {"ledger/ledger.py", "ledger/lease.py", *wirings}


def test_an_alert_is_decided_once_and_marked_by_one_run(table: StateTable) -> None:
    ledger, item = Ledger(table), alert()
    other = item.model_copy(update={"holder": "b"})

    assert ledger.alert("orders", "g") is None
    assert not ledger.decide_alert(None, item, START)
    assert ledger.begin_delivering("a", START)
    assert ledger.decide_alert(None, item, START)
    assert ledger.decide_alert(None, item, START)
    assert not ledger.decide_alert(None, other, START)
    assert ledger.alert("orders", "g") == item
    sent = item.model_copy(update={"targets": {"arn": "SENT"}, "state": "SENT"})
    assert ledger.mark_alert(item, sent)
    failed = other.model_copy(update={"targets": {"arn": "FAILED"}, "state": "FAILED"})
    assert not ledger.mark_alert(item, failed)
    assert ledger.alert("orders", "g") == sent


def test_a_run_that_has_lost_its_lease_neither_decides_nor_claims(table: StateTable) -> None:
    ledger, item = Ledger(table), alert()
    claimed = item.model_copy(update={"targets": {"arn": "CLAIMED"}})
    assert ledger.begin_delivering("a", START)
    assert ledger.decide_alert(None, item, START)
    later = START + timedelta(minutes=2)
    # As long as nobody else has taken it over, an expired lease is renewed.
    assert ledger.keep_delivering("a", later)
    assert not ledger.begin_delivering("b", later + timedelta(minutes=1))
    assert ledger.begin_delivering("b", later + timedelta(minutes=2))

    assert not ledger.keep_delivering("a", later)
    assert not ledger.claim_alert(item, claimed, later)
    assert not ledger.decide_alert(None, item.model_copy(update={"group_id": "h"}), later)

    assert ledger.alert("orders", "g") == item
    assert ledger.alert("orders", "h") is None


def alert(**changes: Any) -> AlertItem:
    values: dict[str, Any] = {
        "alert": "orders",
        "group_id": "g",
        "measure": "revenue",
        "start": START,
        "end": START.replace(hour=1),
        "since": START,
        "expires_at": 1,
        "state": "CLAIMED",
        "targets": {"arn": "PENDING"},
        "attempt_id": "attempt",
        "holder": "a",
    }
    return AlertItem(**(values | changes))


class Replies:
    """A DynamoDB client whose reply to one call is lost: it calls again, as botocore does, or gives
    up.
    """

    def __init__(self, client: Any, lost: str, *, gives_up: bool) -> None:
        self._client = client
        self._lost = lost
        self._gives_up = gives_up

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(**given: Any) -> Any:
            if name != self._lost:
                return method(**given)
            self._lost = ""
            method(**given)
            if self._gives_up:
                raise ReadTimeoutError(endpoint_url="https://aws")
            return method(**given)

        return call


CLAIMED = alert(targets={"arn": "CLAIMED"})
CONDITIONAL: dict[str, tuple[str, Callable[[Ledger], object]]] = {
    "lease": ("put_item", lambda ledger: ledger.begin_delivering("new", START + DAY)),
    "lease that expired": ("update_item", lambda ledger: ledger.begin_delivering("b", START + DAY)),
    "renewal": ("update_item", lambda ledger: ledger.keep_delivering("a", START)),
    "run": (
        "transact_write_items",
        lambda ledger: ledger.claim_run("c", None, Run(attempt=1, status="STARTING")),
    ),
    "detector": (
        "update_item",
        lambda ledger: ledger.advance_detector(Detector(), Detector(execution="e")),
    ),
    "decision": (
        "transact_write_items",
        lambda ledger: ledger.decide_alert(None, alert(group_id="h"), START),
    ),
    "claim": ("transact_write_items", lambda ledger: ledger.claim_alert(alert(), CLAIMED, START)),
    "mark": ("update_item", lambda ledger: ledger.mark_alert(alert(), CLAIMED)),
    "commit": (
        "transact_write_items",
        lambda ledger: ledger.commit(
            Commit(
                Detector(),
                Detector(status="ACTIVE", watermark=START),
                [Interval(start=START, status="SCORED", rows=0)],
                Delivery(
                    due_start=START,
                    attempt_id="x",
                    config_hash="c",
                    window_start=START,
                    window_end=START + DAY,
                    groups_keys=(),
                ),
            )
        ),
    ),
}


@pytest.mark.parametrize("gives_up", [False, True], ids=["called again", "given up"])
@pytest.mark.parametrize("write", CONDITIONAL)
def test_ones_own_write_is_not_taken_for_anothers_when_its_reply_is_lost(
    table: StateTable,
    write: str,
    gives_up: bool,  # noqa: FBT001 drawn
) -> None:
    before = Ledger(table)
    if write != "lease":
        assert before.begin_delivering("a", START)
        assert before.decide_alert(None, alert(), START)
    operation, call = CONDITIONAL[write]
    client = Replies(table._client, operation, gives_up=gives_up)

    assert call(Ledger(StateTable(client, "state", "shop")))
    assert client._lost == ""


def test_waiting_intervals_fail_and_committed_ones_stay(table: StateTable) -> None:
    ledger = Ledger(table)
    hours = [START.replace(hour=hour) for hour in range(4)]
    for hour, status in zip(hours, ("DUE", "DUE", "LANDED", "SCORED"), strict=True):
        ledger.mark_intervals([hour], "DUE")
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


def test_a_late_step_of_a_crawl_begins_no_interval(table: StateTable) -> None:
    ledger = Ledger(table)

    ledger.mark_intervals([START], "LANDED")

    assert ledger.intervals(START, START + DAY) == {}
    ledger.mark_intervals([START, START.replace(hour=1)], "DUE")
    table.update("INTERVAL#2026-01-05T00:00:00Z", {"status": "SCORED"})
    ledger.forget_intervals(START, lambda one: one.is_open)
    assert list(ledger.intervals(START, START + DAY)) == [START]


def test_chunks_are_kept_per_query(table: StateTable) -> None:
    ledger = Ledger(table)
    chunk = Chunk(window_start=START, window_end=START.replace(day=9), prefix="p/", rows=3)
    ledger.put_chunk("q1", chunk)

    assert ledger.chunks("q1") == [chunk]
    assert ledger.chunks("q2") == []
