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

    def execute_statement(self, **given: Any) -> dict[str, Any]:
        self.sent.append(given)
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
    **more: Any,
) -> Statement:
    wanted = request(world, purpose, **more)
    return submit(
        world.store, world.ledger, warehouse.of, wanted, EXECUTION, attempt, now, lambda _: None
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

    done = look(world, warehouse, at, "live")

    assert done.result["manifest"] is None
    assert done.result["rows"] == 0
    assert done.result["prefix"].startswith("live/20260301/0000/attempt=")
    assert world.ledger.intervals(H1 - DAY, H1)[H1 - DAY].status == "LANDED"


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


def test_any_other_fault_is_final_and_told_as_the_warehouse_told_it(world: World) -> None:
    warehouse = Warehouse([{"Status": "FAILED", "Error": 'ERROR: column "revenu" does not exist'}])

    with pytest.raises(PermanentError, match='column "revenu" does not exist'):
        look(world, warehouse, begin(world, warehouse))


@pytest.mark.parametrize("purpose", ["check_columns", "check_series", "history", "live"])
def test_what_is_reported_names_the_statement_and_keeps_its_sql(world: World, purpose: str) -> None:
    error = 'ERROR: syntax error at or near "whre"\n  Position: 7\n' + "detail " * 1000
    warehouse = Warehouse([{"Status": "FAILED", "Error": error}])
    at = begin(world, warehouse, purpose)

    with pytest.raises(PermanentError) as caught:
        look(world, warehouse, at, purpose)

    said = str(caught.value)
    assert said.startswith('syntax error at or near "whre" Position: 7')
    assert len(said) < 2_000  # all of it fits into the detector's reason
    assert f"Statement {at.statement_id}; " in said
    key = said.rpartition(f"s3://{world.store.bucket}/")[2].rstrip(".")
    assert f"attempt={at.attempt_id}/statement.sql" in key
    kept = world.store.get(key).decode()
    assert kept.endswith(warehouse.sent[0]["Sql"])
    assert "query 77" in kept
    assert kept.count("detail ") == 1000
    assert all(line.startswith("--") for line in kept.partition("\n\n")[0].splitlines())


def test_a_bucket_that_takes_nothing_does_not_hide_the_reason(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    warehouse = Warehouse([{"Status": "FAILED", "Error": "KMSInvalidStateException: key k"}])
    at = begin(world, warehouse)

    def refuse(**_: Any) -> None:
        raise ClientError({"Error": {"Code": "KMS.DisabledException"}}, "PutObject")

    monkeypatch.setattr(world.store._client, "put_object", refuse)
    with pytest.raises(PermanentError, match=r"^KMSInvalidState.*SYS_QUERY_TEXT, query 77\.$"):
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
    assert look(world, warehouse, at, "check_series").result == {"ok": True, "series": 2_002}

    warehouse.result = counted(slices=300_000, rows=10**9)
    with pytest.raises(PermanentError) as caught:
        look(world, warehouse, at, "check_series")
    assert (
        "600,002 series in the sample window: training on 730 intervals (730 days of P1D) needs"
        in str(caught.value)
    )
    assert "lambda.memory_mb is 1,769; " in str(caught.value)


def test_few_rows_behind_many_series_need_less_memory(world: World) -> None:
    world.upload(
        document(
            max_series=1_000_000,
            history={"length": "P730D"},
            measures={"revenue": {}},
            memory_mb=10_240,
        )
    )
    documents.keep_current(world.store)
    warehouse = Warehouse([{"Status": "FINISHED", "HasResultSet": True}] * 2)
    at = begin(world, warehouse, "check_series")

    # A row a day of each of them, or one in ten days.
    warehouse.result = counted(slices=80_000, rows=800_000)
    with pytest.raises(PermanentError, match="needs about"):
        look(world, warehouse, at, "check_series")
    warehouse.result = counted(slices=80_000, rows=80_000)
    assert look(world, warehouse, at, "check_series").result["ok"]


def test_what_is_trained_already_has_only_to_be_crawled(world: World) -> None:
    world.upload(document(max_series=1_000_000, memory_mb=1_500, history={"length": "P400D"}))
    documents.keep_current(world.store)
    warehouse = Warehouse([{"Status": "FINISHED", "HasResultSet": True}] * 3)
    at = begin(world, warehouse, "check_series")
    warehouse.result = counted(slices=20_000, rows=10**9)
    with pytest.raises(PermanentError, match="training on 400 intervals"):
        look(world, warehouse, at, "check_series")

    world.activate()

    assert look(world, warehouse, at, "check_series").result["ok"]
    warehouse.result = counted(slices=200_000, rows=10**9)
    with pytest.raises(PermanentError, match="a crawl of 50 intervals"):
        look(world, warehouse, at, "check_series")


def test_a_statement_is_named_after_what_waits_for_it(world: World) -> None:
    warehouse = Warehouse()

    begin(world, warehouse, attempt=2)

    assert warehouse.sent[0]["StatementName"] == "shop/history/one/2"


# --- time ---------------------------------------------------------------------------------------

LATE = H1 + timedelta(hours=3)
SHORT = {"timeout_seconds": 3 * 3600}


def test_a_statement_whose_time_is_over_is_cancelled_once_and_its_end_awaited(world: World) -> None:
    running, aborted = {"Status": "STARTED"}, {"Status": "ABORTED"}
    warehouse = Warehouse([running, running, running, aborted])
    at = begin(world, warehouse, **SHORT)

    at = look(world, warehouse, at, now=LATE - timedelta(seconds=1), **SHORT)
    assert warehouse.cancelled == []
    for _ in range(2):
        at = look(world, warehouse, at, now=LATE, **SHORT)
        assert (at.status, at.cancelled) == ("RUNNING", True)
    assert warehouse.cancelled == [at.statement_id]
    with pytest.raises(PermanentError, match="did not end within 3 hours and was cancelled"):
        look(world, warehouse, at, now=LATE, **SHORT)


def test_what_finishes_while_it_is_cancelled_counts(world: World) -> None:
    warehouse = Warehouse([{"Status": "STARTED"}, {"Status": "FINISHED", "ResultRows": 0}])
    at = look(world, warehouse, begin(world, warehouse), now=LATE, **SHORT)

    assert look(world, warehouse, at, now=LATE, **SHORT).status == "FINISHED"


def test_no_further_attempt_begins_when_the_time_is_over(world: World) -> None:
    warehouse = Warehouse([{"Status": "ABORTED"}])
    at = look(world, warehouse, begin(world, warehouse))
    assert at.failed

    with pytest.raises(PermanentError, match="did not end within"):
        look(world, warehouse, at, now=LATE, **SHORT)


# --- what else runs -----------------------------------------------------------------------------


def test_a_live_statement_waits_for_the_end_of_what_an_earlier_crawl_left(world: World) -> None:
    warehouse = Warehouse()
    own = {"Id": "own", "StatementName": "shop/live/one/1", "Status": "STARTED"}
    history = {"Id": "history", "StatementName": "shop/history/two/1", "Status": "STARTED"}
    left = {"Id": "left", "StatementName": "shop/live/two/1", "Status": "PICKED"}
    warehouse.listed = [own, history, left]

    at = begin(world, warehouse, "live")

    assert (at.status, at.blocked, at.statement_id) == ("RUNNING", True, "")
    assert (warehouse.sent, warehouse.cancelled) == ([], ["left"])
    left["Status"] = "STARTED"
    # It may have been too early for the first cancellation.
    for looks in (2, 3):
        at = look(world, warehouse, at, "live")
        assert (at.status, at.blocked) == ("RUNNING", True)
        assert warehouse.cancelled == ["left"] * looks
    left["Status"] = "ABORTED"
    at = look(world, warehouse, at, "live")
    assert (at.status, at.attempt) == ("AGAIN", 1)
    at = begin(world, warehouse, "live", at.attempt)
    assert (at.status, at.blocked, at.statement_id) == ("RUNNING", False, "id-1")


def test_what_does_not_end_when_it_is_cancelled_is_not_waited_for_for_ever(world: World) -> None:
    warehouse = Warehouse()
    warehouse.listed = [{"Id": "x", "StatementName": "shop/live/two/1", "Status": "STARTED"}]
    at = begin(world, warehouse, "live")

    with pytest.raises(PermanentError, match="did not end within 3 hours"):
        look(world, warehouse, at, "live", LATE, **SHORT)


def test_history_is_loaded_beside_other_statements(world: World) -> None:
    warehouse = Warehouse()
    warehouse.listed = [{"Id": "x", "StatementName": "shop/history/two/1", "Status": "STARTED"}]

    assert begin(world, warehouse).statement_id == "id-1"
    assert warehouse.cancelled == []


def test_a_statement_of_an_execution_that_was_stopped_meanwhile_is_cancelled(world: World) -> None:
    class StoppedMeanwhile(Warehouse):
        def execute_statement(self, **given: Any) -> dict[str, Any]:
            world.ledger.mark_stopped(EXECUTION, H1)
            return super().execute_statement(**given)

    # At first it waits for its start, and then the service stumbles.
    refusals = ["ValidationException", "QueryTimeoutException", "ThrottlingException"]
    warehouse = StoppedMeanwhile(
        [{"Status": "SUBMITTED"}, {"Status": "STARTED"}, {"Status": "ABORTED"}], refusals=refusals
    )

    with pytest.raises(PermanentError, match="was stopped; its statement was cancelled"):
        begin(world, warehouse)

    assert (refusals, warehouse.cancelled) == ([], ["id-1", "id-1"])


def test_a_statement_that_cannot_be_cancelled_is_named(world: World) -> None:
    class StoppedMeanwhile(Warehouse):
        def execute_statement(self, **given: Any) -> dict[str, Any]:
            world.ledger.mark_stopped(EXECUTION, H1)
            return super().execute_statement(**given)

    with pytest.raises(PermanentError, match="its statement id-1 could not be cancelled"):
        begin(world, StoppedMeanwhile([{"Status": "STARTED"}] * 9))


def test_every_look_keeps_the_lease_of_the_crawl(world: World) -> None:
    warehouse = Warehouse([{"Status": "STARTED"}] * 3)
    assert world.ledger.begin_crawl("crawl-1", H1) is None
    crawl = {"crawl": "crawl-1"}
    at = begin(world, warehouse, "live", **crawl)
    for minutes in (15, 30, 45):
        now = H1 + timedelta(minutes=minutes)
        at = look(world, warehouse, at, "live", now, **crawl)
        assert world.ledger.begin_crawl("crawl-2", now) == "crawl-1"


def test_a_crawl_that_lost_its_lease_submits_nothing(world: World) -> None:
    warehouse = Warehouse()
    assert world.ledger.begin_crawl("crawl-1", H1) is None
    at = begin(world, warehouse, "live", crawl="crawl-1")
    later = H1 + timedelta(minutes=20)
    assert world.ledger.begin_crawl("crawl-2", later) is None

    with pytest.raises(PermanentError, match="another crawl has taken over"):
        look(world, warehouse, at, "live", later, crawl="crawl-1")
    with pytest.raises(PermanentError, match="another crawl has taken over"):
        begin(world, warehouse, "live", attempt=2, now=later, crawl="crawl-1")
    assert len(warehouse.sent) == 1
