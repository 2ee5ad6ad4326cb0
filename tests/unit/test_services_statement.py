"""The statement machine's function: attempts, waits, and what it answers in the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from anomaly_detector.config import Redshift
from anomaly_detector.errors import PermanentError
from anomaly_detector.lake import layout
from anomaly_detector.services import documents
from anomaly_detector.services.failures import record_failure
from anomaly_detector.services.payloads import LandedFiles, Request, Statement
from anomaly_detector.services.statement import poll, submit
from anomaly_detector.warehouse.data_api import DataApi
from botocore.exceptions import ClientError
from moto import mock_aws

from tests.unit.services_world import DAY, H1, World, document, sales

EXECUTION = "arn:aws:states:eu-central-1:123456789012:execution:statement:one"


@dataclass
class Warehouse:
    """A `redshift-data` client that answers what it is told to."""

    answers: list[dict[str, Any]] = field(default_factory=list)
    result: dict[str, Any] = field(default_factory=dict)
    sent: list[dict[str, Any]] = field(default_factory=list)
    listed: list[dict[str, Any]] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    # What CancelStatement refuses before it takes anything: a statement that waits for its start.
    refusals: list[str] = field(default_factory=list)
    # Codes and texts with which ExecuteStatement refuses.
    busy: list[tuple[str, str]] = field(default_factory=list)

    def execute_statement(self, **given: Any) -> dict[str, Any]:
        self.sent.append(given)
        if self.busy:
            code, text = self.busy.pop(0)
            raise ClientError({"Error": {"Code": code, "Message": text}}, "ExecuteStatement")
        return {"Id": f"id-{len({one['ClientToken'] for one in self.sent})}"}

    def describe_statement(self, Id: str) -> dict[str, Any]:  # noqa: N803 boto3's name
        sql = self.sent[-1]["Sql"] if self.sent else ""
        return {"Id": Id, "QueryString": sql, "RedshiftQueryId": 77} | self.answers.pop(0)

    def list_statements(
        self,
        Status: str,  # noqa: N803
        StatementName: str,  # noqa: N803
        RoleLevel: bool,  # noqa: FBT001, N803
    ) -> dict[str, Any]:
        assert not RoleLevel
        named = [one for one in self.listed if one["StatementName"].startswith(StatementName)]
        return {"Statements": [one for one in named if one["Status"] == Status]}

    def cancel_statement(self, Id: str) -> dict[str, Any]:  # noqa: N803
        if self.refusals:
            code = self.refusals.pop(0)
            raise ClientError({"Error": {"Code": code, "Message": "not now"}}, "CancelStatement")
        self.cancelled.append(Id)
        return {"Status": True}

    def get_statement_result(self, **_: Any) -> dict[str, Any]:
        return self.result

    def of(self, redshift: Redshift | None) -> DataApi:
        return DataApi(self, redshift)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        found = World(sales(4))
        found.upload(document())
        documents.keep_current(found.store)
        yield found


def request(world: World, purpose: str = "history", **more: Any) -> Request:
    return Request.model_validate(
        {
            "config_hash": world.config_hash,
            "purpose": purpose,
            "window_start": H1 - DAY * 10,
            "window_end": H1,
            "due_start": H1 - DAY if purpose == "live" else None,
            **more,
        }
    )


def begin(
    world: World,
    warehouse: Warehouse,
    purpose: str = "history",
    attempt: int = 1,
    now: datetime = H1,
    busy: int = 0,
    **more: Any,
) -> Statement:
    wanted = request(world, purpose, **more)
    return submit(
        world.store,
        world.ledger,
        warehouse.of,
        wanted,
        EXECUTION,
        attempt,
        now,
        lambda _: None,
        H1,
        busy,
    )


def look(
    world: World,
    warehouse: Warehouse,
    at: Statement,
    purpose: str = "history",
    now: datetime = H1,
    **more: Any,
) -> Statement:
    wanted = request(world, purpose, **more)
    return poll(world.store, world.ledger, warehouse.of, wanted, at, EXECUTION, H1, now)


def test_a_repeated_submit_is_the_same_statement_and_another_attempt_is_not(world: World) -> None:
    warehouse = Warehouse()

    first, again = begin(world, warehouse), begin(world, warehouse)
    other = begin(world, warehouse, attempt=2)

    assert first == again
    assert first.statement_id != other.statement_id
    assert first.attempt_id == layout.attempt_id(EXECUTION, 1)
    assert all(len(one["ClientToken"]) == 64 for one in warehouse.sent)
    assert f"attempt={first.attempt_id}/" in warehouse.sent[0]["Sql"]
    assert f"attempt={other.attempt_id}/" in warehouse.sent[2]["Sql"]


def test_waits_grow_to_a_minute(world: World) -> None:
    warehouse = Warehouse([{"Status": "STARTED"}] * 8)
    at = begin(world, warehouse)

    waits = [at.wait_seconds]
    for _ in range(8):
        at = look(world, warehouse, at)
        waits.append(at.wait_seconds)

    assert waits == [1, 2, 4, 8, 15, 30, 60, 60, 60]


def test_finished_history_is_on_file(world: World) -> None:
    warehouse = Warehouse([{"Status": "FINISHED", "ResultRows": -1, "Duration": 2_000_000_000}])
    at = begin(world, warehouse)
    prefix = layout.history_attempt(world.config.query_hash, H1 - DAY * 10, H1, at.attempt_id)
    world.land(prefix, H1 - DAY * 10, H1, H1)

    done = look(world, warehouse, at)

    assert done.status == "FINISHED"
    landed = LandedFiles.model_validate(done.result)
    assert landed.prefix == prefix
    assert landed.manifest == f"{prefix}manifest"
    assert landed.rows == 30
    (chunk,) = world.ledger.chunks(world.config.query_hash)
    assert (chunk.manifest, chunk.rows, chunk.milliseconds) == (landed.manifest, 30, 2000)


def test_a_live_window_without_rows_has_no_manifest(world: World) -> None:
    warehouse = Warehouse([{"Status": "FINISHED", "ResultRows": 0}])
    at = begin(world, warehouse, "live")
    world.ledger.mark_intervals([H1 - DAY], "DUE")

    done = look(world, warehouse, at, "live")

    assert done.result["manifest"] is None
    assert done.result["rows"] == 0
    assert done.result["prefix"].startswith("live/20260301/0000/attempt=")
    assert world.ledger.intervals(H1 - DAY, H1)[H1 - DAY].status == "LANDED"


def test_a_crawl_keeps_its_lease_while_it_waits_and_ends_if_it_has_lost_it(world: World) -> None:
    warehouse = Warehouse([{"Status": "STARTED"}] * 2)
    waits, late = H1 + timedelta(minutes=15), H1 + timedelta(minutes=40)
    world.ledger.begin_crawl("crawl", H1)
    at = begin(world, warehouse, "live", crawl="crawl")

    look(world, warehouse, at, "live", now=waits, crawl="crawl")

    # It was taken for twenty minutes, and then again.
    assert world.ledger.begin_crawl("other", H1 + timedelta(minutes=30)) == "crawl"
    assert world.ledger.begin_crawl("other", late) is None
    with pytest.raises(PermanentError, match="lost its lease"):
        look(world, warehouse, at, "live", now=late, crawl="crawl")


@pytest.mark.parametrize(
    ("answer", "attempts", "status"),
    [
        (
            {"Status": "FAILED", "Error": "ERROR: User arn:… is not authorized to assume IAM Role"},
            8,
            "ATTACH",
        ),
        (
            {"Status": "FAILED", "Error": "The requested role arn:… is not associated to cluster"},
            8,
            "ATTACH",
        ),
        ({"Status": "FAILED", "Error": "SSL SYSCALL error: EOF detected"}, 4, "AGAIN"),
        ({"Status": "ABORTED"}, 4, "AGAIN"),
        (
            {"Status": "FAILED", "Error": "ERROR: Assert DETAIL: code: 1000 context: pool"},
            3,
            "AGAIN",
        ),
        ({"Status": "FAILED", "Error": 'ERROR: relation "shop" does not exist'}, 3, "AGAIN"),
    ],
)
def test_a_passing_fault_is_tried_again_after_a_pause_and_given_up_in_the_end(
    world: World, answer: dict[str, Any], attempts: int, status: str
) -> None:
    warehouse = Warehouse([answer] * attempts)
    at = begin(world, warehouse)
    waited = 0
    for attempt in range(1, attempts):
        at = look(world, warehouse, at)
        assert (at.status, at.failed) == ("RUNNING", True)
        waited += at.wait_seconds
        at = look(world, warehouse, at)
        assert (at.status, at.attempt) == (status, attempt + 1)
        at = begin(world, warehouse, attempt=at.attempt)
    with pytest.raises(PermanentError, match=f"Failed after {attempts} attempts"):
        look(world, warehouse, at)
    assert waited <= 155


BUSY = [
    ("ValidationException", "Cluster c is paused. Resume it and try again."),
    ("ActiveStatementsExceededException", "Active statements exceeded the allowed quota (500)."),
    ("ThrottlingException", "Rate exceeded"),
    ("InternalServerException", ""),
    ("ValidationException", "The workgroup is resuming"),
]


@pytest.mark.parametrize("refusal", BUSY, ids=[f"{code} {text}" for code, text in BUSY])
def test_a_warehouse_that_takes_no_statement_is_waited_for(
    world: World, refusal: tuple[str, str]
) -> None:
    warehouse = Warehouse(busy=[refusal] * 9)
    now, waits = H1, []
    at = begin(world, warehouse, "live")
    for _ in range(8):
        assert (at.status, at.failed, at.statement_id) == ("RUNNING", True, "")
        waits.append(at.wait_seconds)
        now += timedelta(seconds=at.wait_seconds)
        at = look(world, warehouse, at, "live", now)
        assert (at.status, at.attempt) == ("AGAIN", 1)
        at = begin(world, warehouse, "live", at.attempt, now, at.busy)

    waits.append(at.wait_seconds)
    assert all(2 ** (n + 1) / 2 <= wait <= 2 ** (n + 1) for n, wait in enumerate(waits[:8]))
    assert waits[8] <= 300
    at = begin(world, warehouse, "live", busy=at.busy, now=now)
    assert at.statement_id
    # Whether one of them was taken or not: the same token.
    assert len({one["ClientToken"] for one in warehouse.sent}) == 1


@pytest.mark.parametrize(("purpose", "hours"), [("live", 3), ("history", 3)])
def test_a_warehouse_is_not_waited_for_for_ever(world: World, purpose: str, hours: int) -> None:
    warehouse = Warehouse(busy=[BUSY[0]] * 2)
    almost = H1 + timedelta(hours=hours, seconds=-1)
    assert begin(world, warehouse, purpose, now=almost, busy=40).failed

    with pytest.raises(PermanentError, match=r"waited for 180 minutes.*paused.*resume it"):
        begin(world, warehouse, purpose, now=H1 + timedelta(hours=hours), busy=41)


def test_a_statement_that_a_full_queue_ends_is_sent_again_for_as_long(world: World) -> None:
    full = {"Status": "FAILED", "Error": "Query queue is full: too many queries"}
    warehouse = Warehouse([full] * 12)
    now = H1
    at = begin(world, warehouse)
    for attempt in range(1, 12):
        at = look(world, warehouse, at, now=now)
        now += timedelta(seconds=at.wait_seconds)
        at = look(world, warehouse, at, now=now)
        assert (at.status, at.attempt) == ("AGAIN", attempt + 1)
        at = begin(world, warehouse, attempt=at.attempt, now=now, busy=at.busy)
    with pytest.raises(PermanentError, match="queue is full"):
        look(world, warehouse, at, now=H1 + timedelta(hours=4))


def test_what_statements_took_is_on_file_once_however_often_they_are_looked_at(
    world: World,
) -> None:
    prefix = layout.live_attempt(H1 - DAY, layout.attempt_id(EXECUTION, 1))
    world.store.put_json(
        layout.manifest(prefix), world.manifest({f"{prefix}a": 3, f"{prefix}b": 4})
    )
    done = {"Status": "FINISHED", "Duration": 5_000_000_000, "ResultRows": 7}
    failed = {"Status": "FAILED", "Error": "deadlock detected", "Duration": 90_000_000_000}
    warehouse = Warehouse([done, done, failed])
    at = begin(world, warehouse, "live")
    world.ledger.mark_intervals([H1 - DAY], "DUE")
    look(world, warehouse, at, "live")
    look(world, warehouse, at, "live")

    interval = world.ledger.intervals(H1 - DAY, H1)[H1 - DAY]
    assert (interval.milliseconds, interval.bytes) == (5000, 2)
    look(world, warehouse, at.model_copy(update={"statement_id": "id-9"}), "live")
    usage = world.ledger.usage(H1)
    assert (usage.statements, usage.milliseconds, usage.rows, usage.bytes) == (2, 95_000, 7, 2)
    # Serverless charges a minute at least.
    assert usage.billed == 150_000
    assert world.ledger.usage(H1 + DAY * 31).statements == 0
    day = f"{layout.STATEMENTS}date={H1.date().isoformat()}/"
    rows = [world.store.get_json(key) for key in world.store.keys(layout.STATEMENTS)]
    assert [key for key in world.store.keys(layout.STATEMENTS) if not key.startswith(day)] == []
    assert [(one["status"], one["milliseconds"], one["row_count"]) for one in rows] == [
        ("FINISHED", 5000, 7),
        ("FAILED", 90_000, 0),
    ]


@pytest.mark.parametrize(
    "text",
    [
        'ERROR: column "revenue" does not exist',
        'ERROR: relation "shop.orders" does not exist',
        "ERROR: function sum(character varying) does not exist",
    ],
)
def test_a_query_that_no_longer_fits_its_tables_says_so_and_stays_due(
    world: World, text: str
) -> None:
    world.activate()
    at = H1 + DAY + DAY / 2
    plan = world.plan(at, "arn:c1")
    warehouse = Warehouse([{"Status": "FAILED", "Error": text}])
    last = begin(world, warehouse, "live").model_copy(update={"attempt": 9})

    with pytest.raises(PermanentError, match="no longer fits its tables") as caught:
        look(world, warehouse, last, "live")

    error = {"Error": "PermanentError", "Cause": str(caught.value)}
    record_failure(
        world.ledger, world.operations, "shop", "crawl", "arn:c1", plan.config_hash, error
    )
    interval = world.ledger.intervals(H1, H1 + DAY)[H1]
    assert interval.status == "DUE"
    assert "no longer fits its tables" in (interval.reason or "")
    assert "no longer fits its tables" in (world.ledger.detector().status_reason or "")
    # It heals by itself.
    assert world.crawl(at + DAY, "arn:c2")
    assert world.ledger.detector().status_reason is None
    assert {one.status for one in world.ledger.intervals(H1, H1 + DAY * 2).values()} == {"SCORED"}


def test_waits_of_statements_that_failed_together_differ(world: World) -> None:
    found = set()
    for name in ("one", "two", "three", "four", "five", "six"):
        warehouse = Warehouse(busy=[BUSY[0]])
        at = submit(
            world.store,
            world.ledger,
            warehouse.of,
            request(world),
            f"{EXECUTION}-{name}",
            1,
            H1,
            lambda _: None,
            H1,
            6,
        )
        found.add(at.wait_seconds)
    assert len(found) >= 4


def test_any_other_fault_is_final_and_told_as_the_warehouse_told_it(world: World) -> None:
    warehouse = Warehouse([{"Status": "FAILED", "Error": 'ERROR: column "revenue" does not exist'}])

    with pytest.raises(PermanentError, match='column "revenue" does not exist'):
        look(world, warehouse, begin(world, warehouse))


@pytest.mark.parametrize("purpose", ["check_columns", "check_series", "history", "live"])
def test_what_is_reported_names_the_statement_and_keeps_its_sql(world: World, purpose: str) -> None:
    value = "jane@example.com"
    error = f"ERROR: syntax error at or near \"where\"\n  Position: 7\n {'more ' * 1000}'{value}'"
    warehouse = Warehouse([{"Status": "FAILED", "Error": error}])
    at = begin(world, warehouse, purpose)

    with pytest.raises(PermanentError) as caught:
        look(world, warehouse, at, purpose)

    said = str(caught.value)
    assert said.startswith('syntax error at or near "where" Position: 7')
    assert len(said) < 2_000  # all of it fits into the detector's reason
    assert f"Statement {at.statement_id}, query 77; the complete error is in" in said
    key = said.rpartition(f"s3://{world.store.bucket}/")[2].rstrip(".")
    assert f"attempt={at.attempt_id}/statement.sql" in key
    kept = world.store.get(key).decode()
    assert kept.endswith(warehouse.sent[0]["Sql"])
    assert "query 77" in kept
    # Values of rows stay in the warehouse; the log may get them.
    assert value not in said + kept
    assert value in str(caught.value.__cause__)
    assert all(line.startswith("--") for line in kept.partition("\n\n")[0].splitlines())


def test_a_bucket_that_takes_nothing_does_not_hide_the_reason(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = Warehouse([{"Status": "FAILED", "Error": "KMSInvalidStateException: key k"}])
    at = begin(world, warehouse)

    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "KMS.DisabledException"}}, "PutObject")

    monkeypatch.setattr(world.store._client, "put_object", refuse)
    with pytest.raises(PermanentError, match=r"^KMSInvalidState.*query 77.*SYS_QUERY_TEXT\.$"):
        look(world, warehouse, at)


def test_a_fault_that_passes_leaves_no_file(world: World) -> None:
    warehouse = Warehouse([{"Status": "FAILED", "Error": "could not open relation with OID 12"}])

    look(world, warehouse, begin(world, warehouse))

    assert not [key for key in world.store.keys("history/") if key.endswith(".sql")]


def test_a_check_names_every_problem(world: World) -> None:
    columns = [("ts", "varchar"), ("platform", "varchar"), ("revenue", "varchar")]
    warehouse = Warehouse(
        [{"Status": "FINISHED", "HasResultSet": True}],
        {
            "ColumnMetadata": [{"name": name, "typeName": kind} for name, kind in columns],
            "Records": [],
        },
    )
    at = begin(world, warehouse, "check_columns")

    with pytest.raises(PermanentError) as caught:
        look(world, warehouse, at, "check_columns")

    for name in ("'ts'", "'revenue'", "'views'"):
        assert name in str(caught.value)


def counted(slices: int, rows: int) -> dict[str, Any]:
    """The answer to the check of a day's series: so many platforms, and their total."""
    columns = ["slices_of", "slices", "text_bytes", "rows_inside", "rows_returned"]
    columns += ["earliest", "latest", "session_seconds"]
    return {
        "ColumnMetadata": [{"name": name, "typeName": "varchar"} for name in columns],
        "Records": [
            [
                {"stringValue": str(value)}
                for value in (level, found, found * 10, rows, rows, H1, H1, 0)
            ]
            for level, found in (("d0", 1), ("d1", slices))
        ],
    }


def test_a_check_refuses_what_the_memory_cannot_hold(world: World) -> None:
    world.upload(document(max_series=1_000_000, history={"length": "P730D"}))
    documents.keep_current(world.store)
    warehouse = Warehouse([{"Status": "FINISHED", "HasResultSet": True}] * 2)
    at = begin(world, warehouse, "check_series")

    warehouse.result = counted(slices=1_000, rows=10**9)
    assert look(world, warehouse, at, "check_series").result == {
        "ok": True,
        "series": 2_002,
        "backfill_seconds": 0.0,
        "slices": 1_001,
        "intervals": 730,
        "rows": 730 * 1_001,
        "text": 10.0,
    }

    warehouse.result = counted(slices=300_000, rows=10**9)
    with pytest.raises(PermanentError) as caught:
        look(world, warehouse, at, "check_series")
    assert "600,002 series in the sample window: a crawl of 50 intervals of each measure needs" in (
        str(caught.value)
    )
    assert "lambda.memory_mb is 1,769; " in str(caught.value)


def test_a_history_that_would_take_more_than_the_budget_is_not_loaded(world: World) -> None:
    for seconds, refused in ((15_000, False), (14_000, True)):
        world.upload(document(history={"length": "P730D"}, budget={"seconds": seconds}))
        documents.keep_current(world.store)
        timed = {"Status": "FINISHED", "HasResultSet": True, "Duration": 200_000_000_000}
        warehouse = Warehouse([timed], counted(slices=10, rows=1000))
        at = begin(world, warehouse, "check_series")
        if refused:
            with pytest.raises(PermanentError, match=r"take 14,600 seconds .* 1\.0 times"):
                look(world, warehouse, at, "check_series")
        else:
            # Ten of 730 days took 200 seconds.
            result = look(world, warehouse, at, "check_series").result
            assert result["backfill_seconds"] == 14_600


def test_few_rows_behind_many_series_are_expected_in_history(world: World) -> None:
    world.upload(document(history={"length": "P730D"}))
    documents.keep_current(world.store)
    warehouse = Warehouse([{"Status": "FINISHED", "HasResultSet": True}] * 2)
    at = begin(world, warehouse, "check_series")

    warehouse.result = counted(slices=10_000, rows=10**9)
    dense = look(world, warehouse, at, "check_series").result
    warehouse.result = counted(slices=10_000, rows=28_000)
    sparse = look(world, warehouse, at, "check_series").result

    assert (dense["slices"], dense["rows"]) == (10_001, 10_001 * 730)
    assert sparse["slices"] == 10_001
    assert 0 < sparse["rows"] < dense["rows"] / 3


def test_a_trained_detector_keeps_its_parts_and_has_only_to_be_crawled(world: World) -> None:
    # given a detector of two measures in one part
    world.upload(document(memory_mb=1_024, history={"length": "P400D"}))
    documents.keep_current(world.store)
    warehouse = Warehouse([{"Status": "FINISHED", "HasResultSet": True}] * 3)
    at = begin(world, warehouse, "check_series")
    # when there are more series than one part holds, and two would
    warehouse.result = counted(slices=37_500, rows=10**9)
    # then that is no matter before it is trained, and one afterwards
    assert look(world, warehouse, at, "check_series").result["ok"]
    world.activate()
    assert [len(part) for part in world.ledger.detector().parts] == [2]
    with pytest.raises(PermanentError, match="a crawl of 50 intervals needs about"):
        look(world, warehouse, at, "check_series")
    warehouse.result = counted(slices=10_000, rows=10**9)
    assert look(world, warehouse, at, "check_series").result["ok"]
