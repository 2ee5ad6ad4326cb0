"""Reconcile, planning, activation and failures, over a bucket, a table and a state machine in
memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import numpy as np
import pytest
from anomaly_detector.errors import PermanentError, RetryableError
from anomaly_detector.intervals import Grid, iso
from anomaly_detector.lake import layout, parquet
from anomaly_detector.ledger.items import Run
from anomaly_detector.services import training
from anomaly_detector.services.executions import Executions
from anomaly_detector.services.failures import innermost, record_end, record_failure
from anomaly_detector.services.history import missing_chunks, plan_history
from anomaly_detector.services.preparing import prepare
from anomaly_detector.services.reconcile import reconcile
from anomaly_detector.services.topic import Topic
from anomaly_detector.services.training import backtest_start, base_of
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st
from moto import mock_aws

from tests.unit.services_world import DAY, H1, HISTORY_DAYS, World, document, sales

NOON = timedelta(hours=12)
REGION = "us-east-1"


class Pipeline:
    """A state machine, and the executions that were started on it."""

    def __init__(self) -> None:
        self.client = boto3.client("stepfunctions", region_name=REGION)
        self.arn = self.client.create_state_machine(
            name="pipeline",
            definition=json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}),
            roleArn="arn:aws:iam::123456789012:role/r",
        )["stateMachineArn"]
        self.executions = Executions(self.client, self.arn)

    def names(self) -> list[str]:
        """Names of all executions, ascending."""
        found = self.client.list_executions(stateMachineArn=self.arn)["executions"]
        return sorted(one["name"] for one in found)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    with mock_aws():
        yield World(sales(4))


@pytest.fixture
def pipeline(world: World) -> Pipeline:  # noqa: ARG001 it lives in the same cloud
    return Pipeline()


def run(world: World, pipeline: Pipeline) -> bool:
    return reconcile(world.store, world.ledger, pipeline.executions, lambda _: None).started


def fail(world: World, reason: str = "no such column") -> list[str]:
    """Let the pipeline fail; what was published."""
    sent: list[str] = []

    class Spy:
        def publish(self, **given: Any) -> None:
            sent.append(given["Message"])

    error = {"Error": "PermanentError", "Cause": json.dumps({"errorMessage": reason})}
    topic = Topic(Spy(), "arn")
    execution = "arn:execution"
    record_failure(world.ledger, topic, "shop", "pipeline", execution, world.config_hash, error)
    return sent


def age_upload(world: World, seconds: int = 5) -> None:
    """Make the run look as if its upload had been some seconds before the object's."""
    stored = world.ledger.run(world.config_hash)
    assert stored
    assert stored.uploaded_at
    early = stored.uploaded_at - timedelta(seconds=seconds)
    world.ledger.set_run(world.config_hash, stored.model_copy(update={"uploaded_at": early}))


# --- reconcile ----------------------------------------------------------------------------------


def test_a_document_that_was_never_begun_is_started_once(world: World, pipeline: Pipeline) -> None:
    world.upload(document())

    assert [run(world, pipeline) for _ in range(3)] == [True, False, False]
    assert pipeline.names() == [f"{world.config_hash}-1"]
    assert world.store.get(layout.configuration_version(world.config_hash)) == document()


def test_a_start_that_broke_off_is_made_good(world: World, pipeline: Pipeline) -> None:
    world.upload(document())
    run(world, pipeline)
    world.table.update(f"RUN#{world.config_hash}", {"status": "STARTING"})

    assert run(world, pipeline)
    assert pipeline.names() == [f"{world.config_hash}-1"]


def test_a_failed_document_starts_again_only_when_uploaded_again(
    world: World, pipeline: Pipeline
) -> None:
    world.upload(document())
    run(world, pipeline)
    fail(world)
    assert not run(world, pipeline)

    age_upload(world)

    assert run(world, pipeline)
    assert not run(world, pipeline)
    assert pipeline.names() == [f"{world.config_hash}-{n}" for n in (1, 2)]


def test_a_run_that_was_stopped_without_a_word_counts_as_failed(
    world: World, pipeline: Pipeline
) -> None:
    world.upload(document())
    run(world, pipeline)
    stored = world.ledger.run(world.config_hash)
    assert stored
    assert stored.execution
    pipeline.client.stop_execution(executionArn=stored.execution)
    age_upload(world)

    assert run(world, pipeline)


@pytest.mark.parametrize("recorded", [True, False], ids=["with its event", "without an event"])
def test_a_pipeline_that_was_stopped_is_started_again_a_few_times(
    world: World,
    pipeline: Pipeline,
    recorded: bool,  # noqa: FBT001
) -> None:
    world.upload(document())
    assert run(world, pipeline)
    words = []
    for _ in range(4):
        stored = world.ledger.run(world.config_hash)
        assert stored
        assert stored.execution
        assert not run(world, pipeline)
        pipeline.client.stop_execution(executionArn=stored.execution)
        if recorded:
            words += ended(world, stored.execution)
        run(world, pipeline)

    assert pipeline.names() == [f"{world.config_hash}-{n}" for n in (1, 2, 3, 4)]
    if recorded:
        assert ["starts the pipeline again" in one for one in words] == [True, True, True, False]
        assert "upload the document again" in words[3]
    # An upload begins anew.
    age_upload(world)
    assert run(world, pipeline)


def test_a_run_that_ended_well_while_it_was_looked_at_is_not_started_again(
    world: World, pipeline: Pipeline
) -> None:
    world.upload(document())
    assert run(world, pipeline)
    stored = world.ledger.run(world.config_hash)
    assert stored
    is_running = pipeline.executions.is_running

    def ends(execution: str) -> bool:
        world.ledger.set_run(world.config_hash, stored.model_copy(update={"status": "SUCCEEDED"}))
        pipeline.client.stop_execution(executionArn=execution)
        return is_running(execution)

    pipeline.executions.is_running = ends  # type: ignore[method-assign]

    assert not run(world, pipeline)
    assert len(pipeline.names()) == 1


def test_a_document_that_is_not_valid_touches_nothing(world: World, pipeline: Pipeline) -> None:
    world.upload(document())
    run(world, pipeline)
    world.activate()
    in_force = world.ledger.detector()
    world.upload(document(interval="PT7M"))
    assert run(world, pipeline)

    with pytest.raises(PermanentError, match="interval must be"):
        prepare(world.store, world.ledger, world.config_hash, f"{PIPELINE}:bad", H1)

    assert world.ledger.detector().status == "ACTIVE"
    assert world.ledger.detector().revision == in_force.revision
    (message,) = fail(world)
    assert f"Configuration {in_force.config_hash} stays in force" in message
    world.config_hash = str(in_force.config_hash)
    assert world.crawl(H1 + DAY + NOON, "one")


def test_going_back_to_an_earlier_document_starts_it(world: World, pipeline: Pipeline) -> None:
    for body in (document(), document(description="other"), document()):
        world.upload(body)
        assert run(world, pipeline)

    assert pipeline.names()[-1].endswith(("-1", "-2"))
    assert len(pipeline.names()) == 3


def test_a_reconcile_that_read_before_an_upload_does_not_bring_the_old_document_back(
    world: World, pipeline: Pipeline
) -> None:
    world.upload(document())
    old = world.config_hash
    now = datetime.now(UTC)
    newer = Run(attempt=1, status="STARTING", uploaded_at=now + timedelta(seconds=5))
    begun: list[str] = []

    def newer_meanwhile(table: Any) -> Any:
        read = table.get

        def get(sk: str) -> Any:
            if not begun:
                begun.append("newer")
                assert world.ledger.claim_run("newer", None, newer)
            return read(sk)

        return get

    world.table.get = newer_meanwhile(world.table)  # type: ignore[method-assign]

    assert not run(world, pipeline)

    assert begun
    assert pipeline.names() == []
    assert world.ledger.detector().wanted_hash == "newer"
    assert world.ledger.run(old) is None


def test_a_document_that_was_uploaded_again_is_the_newest(world: World, pipeline: Pipeline) -> None:
    world.upload(document())
    assert run(world, pipeline)
    wanted = world.ledger.detector().wanted_at
    assert wanted
    world.ledger.note_upload(world.config_hash, wanted - DAY)

    assert not run(world, pipeline)

    assert world.ledger.detector().wanted_at == wanted
    between = Run(attempt=1, status="STARTING", uploaded_at=wanted - timedelta(hours=1))
    assert not world.ledger.claim_run("between", None, between)


def test_refused_access_is_waited_for(world: World, pipeline: Pipeline) -> None:
    world.upload(document())
    refused = ClientError({"Error": {"Code": "AccessDeniedException"}}, "StartExecution")
    answers: list[Exception | None] = [refused, refused, None]
    start = pipeline.executions.start
    waited: list[float] = []

    def flaky(name: str, value: dict[str, Any]) -> str:
        fault = answers.pop(0)
        if fault:
            raise fault
        return start(name, value)

    pipeline.executions.start = flaky  # type: ignore[method-assign]
    assert reconcile(world.store, world.ledger, pipeline.executions, waited.append).started
    assert waited == [2, 4]


def test_access_that_stays_refused_fails_after_two_minutes(
    world: World, pipeline: Pipeline
) -> None:
    world.upload(document())
    refused = ClientError({"Error": {"Code": "AccessDenied"}}, "StartExecution")
    waited: list[float] = []

    def never(name: str, value: dict[str, Any]) -> str:
        del name, value
        raise refused

    pipeline.executions.start = never  # type: ignore[method-assign]
    with pytest.raises(PermanentError, match="two minutes"):
        reconcile(world.store, world.ledger, pipeline.executions, waited.append)
    assert sum(waited) == 120


def test_without_a_document_it_says_so(world: World, pipeline: Pipeline) -> None:
    with pytest.raises(PermanentError, match=r"config/detector\.json does not exist"):
        run(world, pipeline)


# --- prepare ------------------------------------------------------------------------------------


def test_prepare_takes_the_uploaded_document_on(world: World) -> None:
    world.upload(document())

    answer = prepare(world.store, world.ledger, None, "e1", H1 + NOON)

    assert answer.config_hash == world.config_hash
    assert answer.window_end == H1
    assert world.ledger.detector().status == "ACTIVATING"
    again = prepare(world.store, world.ledger, world.config_hash, "e1", H1 + NOON)
    assert again == answer
    assert world.ledger.detector().revision == 1


def test_prepare_names_the_key_that_is_not_valid(world: World) -> None:
    world.upload(document(intervall="PT1H"))

    with pytest.raises(PermanentError, match="intervall is not a known key"):
        prepare(world.store, world.ledger, None, "e1", H1)


@pytest.mark.parametrize("key", ["query", "history_query"])
@pytest.mark.parametrize(
    ("query", "said"),
    [
        # 70 KB as it stands, and more than 100 KB in the UNLOAD, where quotes are doubled.
        (
            "SELECT *, '" + "'" * 70_000 + "' AS x FROM t WHERE {}",
            "The SQL statement has 14.,... bytes",
        ),
        ("WITH RECURSIVE n AS (SELECT 1) SELECT * FROM n, t WHERE {}", "WITH RECURSIVE"),
    ],
)
def test_prepare_refuses_what_could_not_be_sent_before_anything_is(
    world: World, key: str, query: str, said: str
) -> None:
    window = "ts >= {{ window_start }} AND ts < {{ window_end }}"
    world.upload(document(**{key: query.replace("{}", window)}))

    with pytest.raises(PermanentError, match=said):
        prepare(world.store, world.ledger, None, "e1", H1)


def test_prepare_refuses_a_document_that_was_replaced(world: World) -> None:
    world.upload(document())
    prepare(world.store, world.ledger, None, "e1", H1)
    old = world.config_hash
    world.upload(document(description="new"))
    prepare(world.store, world.ledger, None, "e2", H1)

    with pytest.raises(PermanentError, match="was replaced"):
        prepare(world.store, world.ledger, old, "e1", H1)


# --- history ------------------------------------------------------------------------------------


def test_a_resumed_run_lands_only_what_lacks(world: World) -> None:
    world.upload(document())
    world.activate()
    first = plan_history(world.store, world.ledger, world.config_hash, H1 + NOON)
    assert (first.train, first.chunks) == (False, ())

    world.upload(document(false_events_per_week=2))
    prepare(world.store, world.ledger, None, "e2", H1)
    same = plan_history(world.store, world.ledger, world.config_hash, H1 + NOON)
    later = plan_history(world.store, world.ledger, world.config_hash, H1 + DAY)

    assert (same.train, same.chunks) == (True, ())
    assert [(one.window_start, one.window_end) for one in later.chunks] == [
        (H1 - DAY * 2, H1 + DAY)
    ]


def test_rows_later_than_the_look_back_are_taken_in_and_counted_at_the_next_training(
    world: World,
) -> None:
    world.upload(document())
    world.activate("one")
    for day in (1, 2, 3, 4, 5):
        assert world.crawl(H1 + DAY * day + NOON, f"c{day}")
    early = (H1 - DAY * 40, H1 + DAY)  # of history, and live; the look-back is two days
    extra = [replace(one, rows=7) for one in world.rows if one.day in early]
    world.rows = world.rows + extra

    world.upload(document(false_events_per_week=2))
    at = H1 + DAY * 6 + NOON
    world.activate("two", at)

    landed = world.ledger.chunks(world.config.query_hash)
    again = [one for one in landed if one.landed_at == at]
    assert any(one.window_start <= early[0] < one.window_end for one in again)
    # Two platforms, two parts of each day's rows; what is of history had not been counted.
    assert world.store.get_json(layout.TRAINING)["late_rows"] == 2 * 2 * 7


def test_a_run_that_failed_reuses_what_it_has_landed_for_two_days(world: World) -> None:
    world.upload(document())
    world.activate("one")

    def chunks(at: datetime) -> int:
        world.table.update("DETECTOR", {"model": None})
        return len(plan_history(world.store, world.ledger, world.config_hash, at).chunks)

    assert chunks(H1 + timedelta(hours=20)) == 0
    assert chunks(H1 + DAY * 2 + NOON) >= HISTORY_DAYS // 30


def test_a_chunk_whose_files_have_expired_is_landed_again(world: World) -> None:
    world.upload(document())
    world.activate()
    world.upload(document(false_events_per_week=2))
    prepare(world.store, world.ledger, None, "e2", H1)
    chunk = world.ledger.chunks(world.config.query_hash)[1]
    assert chunk.manifest
    world.store.delete([chunk.manifest])

    plan = plan_history(world.store, world.ledger, world.config_hash, H1)

    assert [(one.window_start, one.window_end) for one in plan.chunks] == [
        (chunk.window_start, chunk.window_end)
    ]


def test_too_many_chunks_are_refused(world: World) -> None:
    world.upload(document(history={"length": "P600D", "chunk": "P1D"}))
    prepare(world.store, world.ledger, None, "e1", H1)

    with pytest.raises(PermanentError, match="600 chunks"):
        plan_history(world.store, world.ledger, world.config_hash, H1)


@settings(max_examples=60)
@given(
    grid=st.sampled_from(
        [Grid("PT1H", "UTC"), Grid("P1D", "Europe/Berlin"), Grid("PT30M", "Asia/Kolkata")]
    ),
    days=st.integers(1, 120),
    length=st.integers(1, 40),
    landed=st.lists(st.tuples(st.integers(-10, 120), st.integers(1, 50)), max_size=4),
    lookback=st.integers(0, 5),
)
def test_landed_and_planned_chunks_cover_history_without_a_gap(
    grid: Grid, days: int, length: int, landed: list[tuple[int, int]], lookback: int
) -> None:
    begin = grid.floor(datetime(2026, 2, 20, 3, tzinfo=UTC))
    end = grid.floor(begin + DAY * days + NOON)
    pieces = [
        (grid.floor(begin + DAY * first), grid.floor(begin + DAY * (first + size)))
        for first, size in landed
    ]
    chunks = missing_chunks(grid, begin, end, DAY * length, pieces, lookback)

    seen = np.zeros(grid.count(begin, end), dtype=int)
    for first, last in [*pieces, *chunks]:
        low, high = grid.count(begin, first), grid.count(begin, last)
        seen[max(low, 0) : max(high, 0)] += 1
    assert (seen > 0).all()
    assert all(first < last for first, last in chunks)
    assert all(last - first <= DAY * (length + 1) for first, last in chunks)
    again = missing_chunks(grid, begin, end, DAY * length, [*pieces, *chunks], lookback)
    assert again == []


@settings(max_examples=40)
@given(
    st.sampled_from([Grid("P1W", "America/New_York"), Grid("P1M", "Europe/Berlin")]),
    st.integers(1, 40),
    st.integers(1, 100),
)
def test_chunks_shorter_than_an_interval_are_whole_intervals(
    grid: Grid, intervals: int, length: int
) -> None:
    begin = grid.floor(datetime(2022, 2, 20, 3, tzinfo=UTC))
    end = grid.shift(begin, intervals)

    chunks = missing_chunks(grid, begin, end, DAY * length, [], 3)

    assert [begin, *(last for _, last in chunks)] == [*(first for first, _ in chunks), end]
    assert all(grid.count(first, last) >= 1 for first, last in chunks)
    longest = DAY * max(length + 31, 62)
    assert all(last - first <= longest for first, last in chunks)
    assert missing_chunks(grid, begin, end, DAY * length, chunks, 3) == []


@given(st.sampled_from([Grid("PT1H", "UTC"), Grid("P1D", "America/New_York")]), st.integers(2, 300))
def test_the_backtest_is_at_least_the_newest_thirty_percent(grid: Grid, intervals: int) -> None:
    begin = grid.floor(datetime(2026, 1, 5, 12, tzinfo=UTC))
    end = grid.shift(begin, intervals)
    first = backtest_start(grid, begin, end)

    assert grid.floor(first) == first
    assert begin <= first < end
    assert grid.count(first, end) >= min(0.3 * intervals - 1, intervals)
    assert begin <= base_of(grid, begin, end, 400)


# --- activation and failure ---------------------------------------------------------------------


def test_a_changed_alert_keeps_model_and_watermark(world: World) -> None:
    world.upload(document())
    world.activate()
    world.crawl(H1 + DAY + NOON, "c1")
    before = world.ledger.detector()

    world.upload(document(description="other"))
    world.activate("pipeline-2", H1 + DAY * 2)

    after = world.ledger.detector()
    assert (after.status, after.config_hash) == ("ACTIVE", world.config_hash)
    assert (after.watermark, after.model) == (before.watermark, before.model)


def test_a_changed_measure_is_trained_anew_and_replaces_results(world: World) -> None:
    world.upload(document())
    world.activate()
    world.crawl(H1 + DAY * 2 + NOON, "c1")
    old = set(world.store.keys("models/"))

    world.upload(document(false_events_per_week=2))
    world.activate("pipeline-2", H1 + DAY * 3 + NOON)

    after = world.ledger.detector()
    assert after.watermark == after.history_end == H1 + DAY * 3
    assert after.live_from == H1 + DAY * 2
    assert not old & set(world.store.keys("models/"))
    keys = list(world.store.keys("results/scores/"))
    assert f"{layout.SCORES}date=2026-03-03/history.parquet" not in keys  # within the look-back
    assert len({key.split("/")[2] for key in keys}) == len(keys)


def test_the_first_crawl_after_a_change_of_measures_finds_no_late_rows(world: World) -> None:
    world.rows = sales(6)
    world.upload(document())
    world.activate()
    for day in (1, 2, 3):
        world.crawl(H1 + DAY * day + NOON, f"c{day}")

    world.upload(document(measures={"views": {"aggregation": "COUNT"}}))
    world.activate("pipeline-2", H1 + DAY * 3 + NOON)
    world.crawl(H1 + DAY * 4 + NOON, "c4")

    found = world.ledger.intervals(H1, H1 + DAY * 9)
    assert [one.status for one in found.values()] == ["SCORED"] * 4


def test_a_crawl_under_way_loses_against_a_new_configuration(world: World) -> None:
    world.upload(document())
    world.activate()
    at = H1 + DAY + NOON
    plan = world.plan(at, "c1")
    world.upload(document(false_events_per_week=2))
    world.activate("pipeline-2", at)

    landed = world.unload(plan, at, "c1")
    parts = world.detect(plan, landed)

    assert all(one.superseded for one in parts)
    assert world.plan(at, "c2", at + timedelta(hours=1)).due is False


def retrained(**changes: Any) -> bytes:
    return document(false_events_per_week=2, **changes)


def test_what_begins_before_the_end_of_the_new_history_is_told_late(world: World) -> None:
    # given an incident on the fourth day, after the last crawl
    world.rows = sales(8)
    world.upload(document())
    world.activate()
    for day in (1, 2):
        world.crawl(H1 + DAY * day + NOON, f"c{day}")

    # when a model is trained on a history that contains it
    world.upload(retrained())
    world.activate("pipeline-2", H1 + DAY * 5 + NOON)

    # then it is told, once and marked late
    (message,) = world.mail.news
    assert message["late"] is True
    assert message["timestamp"].startswith("2026-03-05")
    for day in (6, 7):
        assert world.crawl(H1 + DAY * day + NOON, f"c{day}")
    assert len(world.mail.news) == 1


@pytest.mark.parametrize(
    ("days", "trained", "told_by"),
    [
        # It began within the look-back of the new history: the next crawl judges it again.
        (1, 4, "crawl"),
        # It began before, and lasted when the model came into force.
        (4, 7, "activation"),
        # It had ended long before.
        (1, 7, None),
    ],
)
def test_an_event_that_another_model_does_not_know_is_retracted_once(
    world: World, days: int, trained: int, told_by: str | None
) -> None:
    # given an event that was told
    world.rows = [
        replace(one, revenue=one.revenue * 0.1)
        if one.platform == "mobile_app" and H1 + DAY * 4 <= one.day < H1 + DAY * (3 + days)
        else one
        for one in sales(9)
    ]
    world.upload(document())
    world.activate()
    for day in range(1, trained + 1):
        world.crawl(H1 + DAY * day + NOON, f"c{day}")
    (told,) = world.mail.news
    # when a model is trained that does not watch the measure any more
    world.upload(retrained(measures={"views": {"aggregation": "COUNT"}}))
    world.activate("pipeline-2", H1 + DAY * trained + NOON)
    at_once = world.mail.news[1:]
    for day in (1, 2):
        world.crawl(H1 + DAY * (trained + day) + NOON, f"d{day}")
    # then
    later = world.mail.news[1 + len(at_once) :]
    found = {"activation": at_once, "crawl": later}
    assert [who for who, messages in found.items() if messages] == [told_by] * bool(told_by)
    for message in at_once + later:
        assert message["retracted"] is True
        assert message["anomalyGroupId"] == told["anomalyGroupId"]
    assert len(at_once + later) == bool(told_by)
    assert "revenue" not in {one["measure"] for one in world.groups()}


def test_crawls_go_on_while_another_configuration_trains(world: World) -> None:
    # given a crawl under way when the pipeline begins
    world.rows = sales(8)
    world.upload(document())
    world.activate()
    at = H1 + DAY + NOON
    plan = world.plan(at, "c1")
    landed = world.unload(plan, at, "c1")
    old = world.config_hash
    world.upload(retrained())

    # when it trains for days
    def meanwhile() -> None:
        detector = world.ledger.detector()
        assert (detector.status, detector.config_hash) == ("ACTIVATING", old)
        new, world.config_hash = world.config_hash, old
        assert world.commit(plan, landed, world.detect(plan, landed, at), at).committed
        for day in range(2, 6):
            assert world.crawl(H1 + DAY * day + NOON, f"c{day}")
        assert world.ledger.detector().status == "ACTIVATING"
        world.config_hash = new

    world.activate("pipeline-2", at, meanwhile)

    # then the incident was told in time, and not again by the new model, which judges it too
    detector = world.ledger.detector()
    assert detector.watermark == detector.live_from == detector.history_end == H1 + DAY
    assert world.ledger.intervals(H1, H1 + DAY * 9) == {}
    (message,) = world.mail.news
    assert "late" not in message
    assert world.crawl(H1 + DAY * 6 + NOON, "c6")
    assert world.crawl(H1 + DAY * 7 + NOON, "c7")
    assert len(world.mail.news) == 1
    assert [group["AnomalyGroupId"] for group in world.groups()] == [message["anomalyGroupId"]]


def test_crawls_go_on_when_another_configuration_has_failed(world: World) -> None:
    world.upload(document())
    world.activate()
    active = world.config_hash
    world.upload(document(query="SELECT"))
    with pytest.raises(PermanentError):
        prepare(world.store, world.ledger, None, "e2", H1)
    fail(world, "not a query")
    world.config_hash = active

    assert world.crawl(H1 + DAY + NOON, "c1")

    detector = world.ledger.detector()
    assert (detector.status, detector.status_reason) == ("FAILED", "not a query")


def test_an_activation_that_fails_leaves_the_results_as_they_were(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.upload(document())
    world.activate()
    world.crawl(H1 + DAY * 2 + NOON, "c1")
    before = (world.published(), world.groups(), world.table.query("INTERVAL#"))
    world.upload(retrained())
    monkeypatch.setattr(world.ledger, "activate", lambda *_: False)

    with pytest.raises(RetryableError, match="changed concurrently"):
        world.activate("pipeline-2", H1 + DAY * 3 + NOON)

    world.deliver(H1 + DAY * 3 + NOON)
    assert (world.published(), world.groups(), world.table.query("INTERVAL#")) == before


def results_of_an_activation(name: str, order: str) -> dict[str, Any]:
    """Results after a retraining, and a crawl of the former model that is delivered before or after
    it, or whose delivery is pending when the new model has crawled already.
    """
    world = World(sales(8), name)
    world.upload(document())
    world.activate()
    at = H1 + DAY * 4 + NOON
    plan = world.plan(at, "c1")
    landed = world.unload(plan, at, "c1")
    assert world.commit(plan, landed, world.detect(plan, landed, at), at).committed
    if order == "before":
        world.deliver(at)
    deliver = world.deliver
    world.deliver = lambda *_: None  # type: ignore[method-assign]
    world.upload(retrained())
    world.activate("pipeline-2", at + DAY)
    if order != "at the end":
        deliver(at + DAY)
    for day in (6, 7):
        world.crawl(H1 + DAY * day + NOON, f"c{day}")
    deliver(H1 + DAY * 8)
    assert world.table.query("DELIVERY#") == []
    detector = world.ledger.detector()
    models = {layout.model(str(one), 0) for one in (detector.model, detector.old_model)}
    assert set(world.store.keys("models/")) == models
    sent = [message["anomalyGroupId"] for message in world.mail.news]
    assert len(sent) == 1
    groups = world.groups()
    assert [group["AnomalyGroupId"] for group in groups] == sent
    reports = {key: world.store.get(key) for key in world.store.keys("reports/")}
    return world.published() | reports | {"groups": groups}


@pytest.mark.usefixtures("world")
def test_pending_deliveries_do_not_mix_the_results_of_two_models() -> None:
    wanted = results_of_an_activation("clean", "before")

    for order in ("after", "at the end"):
        found = results_of_an_activation(order.replace(" ", "-"), order)
        assert found.keys() == wanted.keys()
        assert [key for key in wanted if found[key] != wanted[key]] == []


def test_intervals_that_another_model_has_learned_do_not_stay_due(world: World) -> None:
    world.upload(document())
    world.activate()
    world.crawl(H1 + DAY + NOON, "c1")
    assert world.plan(H1 + DAY * 5 + NOON, "crashed").due

    world.upload(retrained())
    world.activate("pipeline-2", H1 + DAY * 5 + NOON)
    world.table.delete("LEASE#crawl")
    world.crawl(H1 + DAY * 6 + NOON, "c2")

    found = world.ledger.intervals(H1, H1 + DAY * 9)
    assert {one.status for one in found.values()} <= {"SCORED", "MISSING"}
    assert H1 + DAY not in found


def test_a_superseded_crawl_leaves_no_due_intervals(world: World) -> None:
    world.upload(document())
    world.activate()
    at = H1 + DAY + NOON
    plan = world.plan(at, "c1")
    landed = world.unload(plan, at, "c1")
    parts = world.detect(plan, landed)
    world.upload(retrained())
    world.activate("pipeline-2", H1 + DAY * 2 + NOON)
    # As if it had been planned while the other was activated.
    world.ledger.mark_intervals([H1], "DUE")

    assert not world.commit(plan, landed, parts).committed

    assert world.ledger.intervals(H1, H1 + DAY) == {}


def test_activation_may_be_repeated(world: World) -> None:
    world.upload(document())
    world.activate()
    before = world.ledger.detector()

    world.activate()

    assert world.ledger.detector().watermark == before.watermark
    assert world.ledger.detector().status == "ACTIVE"


def test_an_activation_that_was_cut_off_is_completed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    activate, set_run = training.activate, world.ledger.set_run
    runs: list[Run] = []

    def cut_off(config_hash: str, run: Run) -> None:
        if run.status == "SUCCEEDED":
            runs.append(run)
            if len(runs) == 1:
                raise TimeoutError
        set_run(config_hash, run)

    def again(*given: Any, **named: Any) -> Any:
        try:
            return activate(*given, **named)
        except TimeoutError:
            return activate(*given, **named)

    monkeypatch.setattr(world.ledger, "set_run", cut_off)
    monkeypatch.setattr(training, "activate", again)
    world.upload(document())
    world.activate()

    run = world.ledger.run(world.config_hash)
    assert run
    assert run.status == "SUCCEEDED"
    kept = {layout.model(str(world.ledger.detector().model), 0)}
    assert set(world.store.keys("models/")) == kept


def test_a_failed_pipeline_is_on_file_and_told(world: World) -> None:
    world.upload(document())
    prepare(world.store, world.ledger, None, "e1", H1)

    (message,) = fail(world, "Column 'x' is not returned by the query")

    detector = world.ledger.detector()
    assert detector.status == "FAILED"
    assert detector.status_reason == "Column 'x' is not returned by the query"
    text, facts = message.split("\n\n{", 1)
    assert "Column 'x'" in text
    assert json.loads("{" + facts)["machine"] == "pipeline"
    stored = world.ledger.run(world.config_hash)
    assert stored
    assert stored.status == "FAILED"
    assert not world.plan(H1 + DAY * 2, "c").due


def test_a_failed_crawl_leaves_the_detector_active_and_is_tried_again(world: World) -> None:
    world.upload(document())
    world.activate()
    world.plan(H1 + DAY + NOON, "c1")

    class Deaf:
        def publish(self, **_: Any) -> None:
            pass

    error = {"Error": "States.Timeout", "Cause": ""}
    record_failure(world.ledger, Topic(Deaf(), "arn"), "shop", "crawl", "e", None, error)

    detector = world.ledger.detector()
    assert (detector.status, detector.status_reason) == ("ACTIVE", "States.Timeout")
    assert world.ledger.intervals(H1, H1 + DAY)[H1].status == "FAILED"
    assert world.crawl(H1 + DAY * 2 + NOON, "c2")
    assert world.ledger.intervals(H1, H1 + DAY)[H1].status == "SCORED"
    assert world.ledger.detector().status_reason is None


def ended(world: World, execution: str, status: Any = "ABORTED") -> list[str]:
    """Let an execution end without a word of its own; what was published."""
    sent: list[str] = []

    class Spy:
        def publish(self, **given: Any) -> None:
            sent.append(given["Message"])

    record_end(world.ledger, Topic(Spy(), "arn"), "shop", execution, status)
    return sent


PIPELINE = "arn:aws:states:eu-west-1:123456789012:execution:shop-pipeline"
CRAWL = "arn:aws:states:eu-west-1:123456789012:execution:shop-crawl"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("ABORTED", "was stopped"),
        ("TIMED_OUT", "took longer than its state machine allows"),
        ("FAILED", "could not record"),
    ],
)
def test_a_pipeline_that_ends_without_a_word_is_on_file_and_told(
    world: World, status: str, words: str
) -> None:
    world.upload(document())
    prepare(world.store, world.ledger, None, f"{PIPELINE}:one", H1)

    (message,) = ended(world, f"{PIPELINE}:one", status)

    assert words in message
    detector = world.ledger.detector()
    assert detector.status == "FAILED"
    assert words in (detector.status_reason or "")
    stored = world.ledger.run(world.config_hash)
    assert stored
    assert stored.status == ("FAILED" if status == "FAILED" else "STOPPED")
    # The event may come twice.
    assert ended(world, f"{PIPELINE}:one", status) == []


def test_a_pipeline_that_is_stopped_before_its_first_step_is_on_file(
    world: World, pipeline: Pipeline
) -> None:
    world.upload(document())
    assert run(world, pipeline)
    stored = world.ledger.run(world.config_hash)
    assert stored
    assert stored.execution

    assert len(ended(world, stored.execution)) == 1

    assert world.ledger.detector().status == "FAILED"


def test_an_end_that_was_recorded_or_has_been_overtaken_changes_nothing(world: World) -> None:
    world.upload(document())
    world.activate(f"{PIPELINE}:one")
    active = world.ledger.detector()

    for execution in (f"{PIPELINE}:one", f"{PIPELINE}:unknown", f"{CRAWL}:unknown"):
        assert ended(world, execution, "FAILED") == []

    assert world.ledger.detector() == active
    # The execution of a document that was replaced does not fail the newer one.
    world.upload(document(description="old"))
    prepare(world.store, world.ledger, None, f"{PIPELINE}:two", H1)
    world.upload(document(description="new"))
    prepare(world.store, world.ledger, None, f"{PIPELINE}:three", H1)
    ended(world, f"{PIPELINE}:two")
    assert world.ledger.detector().status == "ACTIVATING"


@pytest.mark.parametrize("machine", ["pipeline", "crawl"])
def test_a_failure_that_could_not_be_recorded_is_recorded_by_the_event(
    world: World, machine: Any
) -> None:
    class Throttled:
        def publish(self, **_: Any) -> None:
            raise ClientError({"Error": {"Code": "Throttled"}}, "Publish")

    world.upload(document())
    execution = f"{PIPELINE}:one"
    if machine == "crawl":
        world.activate(execution)
        execution = f"{CRAWL}:one"
        assert world.plan(H1 + DAY + NOON, execution).due
    else:
        prepare(world.store, world.ledger, None, execution, H1)
    error = {"Error": "X", "Cause": "why"}
    topic = Topic(Throttled(), "arn")
    with pytest.raises(ClientError):
        record_failure(world.ledger, topic, "shop", machine, execution, world.config_hash, error)

    assert len(ended(world, execution, "FAILED")) == 1
    assert ended(world, execution, "FAILED") == []


def test_a_crawl_that_is_stopped_holds_up_nobody(world: World) -> None:
    world.upload(document())
    world.activate()
    at = H1 + DAY + NOON
    assert world.plan(at, f"{CRAWL}:one").due
    assert world.plan(at, f"{CRAWL}:two").held_by == f"{CRAWL}:one"

    # Not the holder's end: of one that came while it crawled.
    assert ended(world, f"{CRAWL}:two") == []
    assert world.plan(at, f"{CRAWL}:two").held_by == f"{CRAWL}:one"
    (message,) = ended(world, f"{CRAWL}:one")

    assert "was stopped" in message
    assert world.ledger.detector().status == "ACTIVE"
    assert world.ledger.intervals(H1, H1 + DAY)[H1].status == "FAILED"
    assert world.plan(at, f"{CRAWL}:three").due
    # A late event gives back no lease of another.
    assert ended(world, f"{CRAWL}:one") == []
    assert world.plan(at, f"{CRAWL}:four").held_by == f"{CRAWL}:three"


def test_the_failure_of_a_replaced_document_does_not_fail_the_newer(world: World) -> None:
    world.upload(document())
    prepare(world.store, world.ledger, None, "e1", H1)
    old = world.config_hash
    world.upload(document(description="new"))
    prepare(world.store, world.ledger, None, "e2", H1)
    world.config_hash = old

    fail(world)

    assert world.ledger.detector().status == "ACTIVATING"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ({"Error": "PermanentError", "Cause": '{"errorMessage": "why"}'}, "why"),
        ({"Error": "States.Timeout", "Cause": ""}, "States.Timeout"),
        ({"Error": "States.TaskFailed"}, "States.TaskFailed"),
        ({"Error": "X", "Cause": "plain text"}, "plain text"),
        (
            {
                "Error": "States.TaskFailed",
                "Cause": json.dumps(
                    {"Status": "FAILED", "Cause": json.dumps({"errorMessage": "deep"})}
                ),
            },
            "deep",
        ),
        ({"Error": "E", "Cause": json.dumps({"Status": "TIMED_OUT", "Error": "Late"})}, "Late"),
        ({}, "unknown"),
    ],
)
def test_the_innermost_reason_is_told(error: dict[str, Any], reason: str) -> None:
    assert innermost(error) == reason


# --- crawls -------------------------------------------------------------------------------------


def test_a_long_pause_is_caught_up_in_capped_crawls(world: World) -> None:
    world.upload(document())
    world.activate()

    plan = world.plan(H1 + DAY * 60 + NOON, "c1")

    assert plan.more
    assert plan.window_end == H1 + DAY * 48
    world.crawl(H1 + DAY * 60 + NOON, "c1")
    rest = world.plan(H1 + DAY * 60 + NOON, "c2")
    assert not rest.more
    assert (rest.due_start, rest.window_end) == (H1 + DAY * 48, H1 + DAY * 60)


def test_intervals_say_what_became_of_them(world: World) -> None:
    world.upload(document())
    world.activate()
    world.crawl(H1 + DAY * 5 + NOON, "c1")
    world.rows = [
        row for row in world.rows if not (row.day == H1 + DAY * 3 and row.platform == "pc_web")
    ]
    world.crawl(H1 + DAY * 6 + NOON, "c2")

    found = world.ledger.intervals(H1, H1 + DAY * 6)

    statuses = [found[H1 + DAY * day].status for day in range(6)]
    assert statuses == ["SCORED", "SCORED", "SCORED", "REVISED", "MISSING", "MISSING"]
    assert found[H1].rows == 200
    assert found[H1 + DAY * 3].rows == 100
    assert found[H1].statement_id


def test_an_interval_that_loses_all_its_rows_is_revised(world: World) -> None:
    world.upload(document())
    world.activate()
    world.crawl(H1 + DAY * 3 + NOON, "c1")
    assert world.ledger.intervals(H1, H1 + DAY * 3)[H1 + DAY].rows == 200
    world.rows = [row for row in world.rows if row.day != H1 + DAY]
    for day in (4, 5):
        world.crawl(H1 + DAY * day + NOON, f"c{day}")

    found = world.ledger.intervals(H1, H1 + DAY * 4)

    assert (found[H1 + DAY].status, found[H1 + DAY].rows) == ("REVISED", 0)
    assert (found[H1 + DAY].series, found[H1 + DAY].anomalous) == (0, 0)


def test_an_unchanged_look_back_writes_nothing_but_the_new_interval(world: World) -> None:
    world.upload(document())
    world.activate()
    for day in (1, 2, 3):
        assert world.crawl(H1 + DAY * day + NOON, f"c{day}")
    written: list[str] = []
    put, copy = world.store.put_all, world.store.copy_all

    def put_all(bodies: Any, *rest: Any) -> None:
        written.extend(bodies)
        put(bodies, *rest)

    def copy_all(copies: Any) -> int:
        written.extend(copies)
        return copy(copies)

    world.store.put_all = put_all  # type: ignore[assignment,method-assign]
    world.store.copy_all = copy_all  # type: ignore[method-assign]

    assert world.crawl(H1 + DAY * 4 + NOON, "c4")

    days = {key.partition("date=")[2][:10] for key in written if key.startswith(layout.SCORES)}
    assert days == {"2026-03-05"}
    scored = [key for key in written if key.startswith("live/") and key.endswith(".parquet")]
    assert [key.rpartition("/")[2] for key in scored if "/scored/" in key] == [
        "20260305T0000.parquet"
    ]


def test_a_changed_interval_publishes_itself_and_what_follows(world: World) -> None:
    world.upload(document())
    world.activate()
    for day in (1, 2, 3):
        assert world.crawl(H1 + DAY * day + NOON, f"c{day}")
    before = world.published()
    world.rows = [one for one in world.rows if one.day != H1 + DAY * 2 or one.platform != "pc_web"]

    assert world.crawl(H1 + DAY * 4 + NOON, "c4")

    after = world.published()
    changed = {
        key for key in after if key.startswith(layout.SCORES) and after[key] != before.get(key)
    }
    assert {key.partition("date=")[2][:10] for key in changed} >= {"2026-03-04", "2026-03-05"}
    assert world.ledger.intervals(H1, H1 + DAY * 9)[H1 + DAY * 2].status == "REVISED"


def test_nothing_is_due_before_the_offset_has_passed(world: World) -> None:
    world.upload(document(offset_seconds=7200))
    world.activate(at=H1 + timedelta(hours=3))

    assert not world.plan(H1 + DAY + timedelta(hours=1), "c").due
    assert world.plan(H1 + DAY + timedelta(hours=2), "c").due


def test_a_crawl_that_comes_while_another_runs_ends_at_once(world: World) -> None:
    world.upload(document())
    world.activate()
    at = H1 + DAY + NOON
    plan = world.plan(at, "c1")
    landed = world.unload(plan, at, "c1")
    before = world.table.query("INTERVAL#")

    overlapping = world.plan(at + DAY, "c2", at + timedelta(minutes=19))

    assert (overlapping.due, overlapping.held_by) == (False, "c1")
    assert world.table.query("INTERVAL#") == before
    assert world.commit(plan, landed, world.detect(plan, landed)).committed
    # What it would have taken is taken by the next.
    after = world.plan(at + DAY, "c3", at + timedelta(minutes=19))
    assert (after.due_start, after.window_end) == (H1 + DAY, H1 + DAY * 2)


def test_each_step_of_a_crawl_keeps_its_lease(world: World) -> None:
    world.upload(document())
    world.activate()
    at = H1 + DAY + NOON
    plan = world.plan(at, "c1")
    landed = world.unload(plan, at, "c1")
    parts = world.detect(plan, landed, at + timedelta(minutes=15))

    assert world.plan(at, "c2", at + timedelta(minutes=34)).held_by == "c1"
    # Later than that, another takes over, and the commit of the first still is one of the two.
    assert world.plan(at, "c2", at + timedelta(minutes=35)).due
    assert world.commit(plan, landed, parts).committed
    assert world.plan(at, "c3", at + timedelta(minutes=36)).held_by == "c2"


def test_a_repeated_plan_is_the_same_plan(world: World) -> None:
    world.upload(document())
    world.activate()
    at = H1 + DAY + NOON

    assert world.plan(at, "c1") == world.plan(at, "c1", at + timedelta(minutes=3))


def test_a_crawl_without_work_or_that_failed_holds_up_nobody(world: World) -> None:
    class Deaf:
        def publish(self, **_: Any) -> None:
            pass

    world.upload(document())
    world.activate()

    # Nothing is over until a minute later.
    assert not world.plan(H1 + DAY - timedelta(minutes=1), "c1").due
    assert world.plan(H1 + DAY, "c2").due
    record_failure(
        world.ledger,
        Topic(Deaf(), "arn"),
        "shop",
        "crawl",
        "c2",
        None,
        {"Error": "X", "Cause": "y"},
    )
    assert world.plan(H1 + DAY, "c3").due


def test_two_generations_of_models_are_kept(world: World) -> None:
    world.upload(document())
    world.activate()
    for day in range(1, 5):
        world.crawl(H1 + DAY * day + NOON, f"c{day}")

    detector = world.ledger.detector()
    assert detector.model
    assert detector.old_model
    kept = {layout.model(version, 0) for version in (detector.model, detector.old_model)}
    assert set(world.store.keys("models/")) == kept


@pytest.mark.parametrize(("days", "left"), [(14, True), (16, False)])
def test_what_dead_runs_left_of_models_goes_after_two_weeks(
    world: World,
    days: int,
    left: bool,  # noqa: FBT001 drawn
) -> None:
    world.upload(document())
    world.activate()
    leftovers = [
        layout.model("20260101T0000-dead", 0),
        layout.backtest("20260101T0000-dead", 0),
        # of the former version
        "models/shard=0/20260101T0000-old.npz",
        "models/events/20260101T0000-old.json",
    ]
    for key in leftovers:
        world.store.put(key, b"x")
    standing = world.ledger.detector().model
    assert standing

    at = H1 + DAY + NOON
    plan = world.plan(at, "c1")
    landed = world.unload(plan, at, "c1")
    parts = world.detect(plan, landed)
    assert world.commit(plan, landed, parts, datetime.now(UTC) + DAY * days).committed

    now = world.ledger.detector()
    assert now.old_model == standing
    kept = {layout.model(str(version), 0) for version in (now.model, now.old_model)}
    assert set(world.store.keys("models/")) == kept | (set(leftovers) if left else set())


def test_a_crawl_that_loses_deletes_only_its_own_model(world: World) -> None:
    world.upload(document())
    world.activate()
    at = H1 + DAY + NOON
    plans = [world.plan(at, f"c{n}", at + timedelta(hours=n)) for n in (1, 2)]
    landed = [world.unload(plan, at, f"c{n}") for n, plan in enumerate(plans)]
    detected = [world.detect(plan, files) for plan, files in zip(plans, landed, strict=True)]

    won = [world.commit(*of).committed for of in zip(plans, landed, detected, strict=True)]

    assert won == [True, False]
    now = world.ledger.detector()
    kept = {layout.model(str(version), 0) for version in (now.model, now.old_model)}
    assert set(world.store.keys("models/")) == kept


def test_what_is_stored_in_another_shape_is_named(world: World) -> None:
    world.upload(document())
    world.activate()
    at = H1 + DAY + NOON
    plan = world.plan(at, "c1")
    landed = world.unload(plan, at, "c1")
    parts = world.detect(plan, landed)
    key = layout.scored_facts(landed.prefix, 0)
    world.store.put_json(key, {"intervals": []})

    with pytest.raises(PermanentError, match=rf"{key} cannot be read \(groups, open_groups\)"):
        world.commit(plan, landed, parts)

    world.table.update("DETECTOR", {"revision": "many"})
    with pytest.raises(PermanentError, match=r"item DETECTOR .* cannot be read: revision"):
        world.ledger.detector()


def as_former_version(world: World) -> None:
    """The detector as the package before this one left it."""
    detector = world.ledger.detector()
    old: dict[str, Any] = {
        "models": ["20260101T0000-old"],
        "carried": "20260101T0000-old",
        "old_models": [],
    }
    old |= {"version": detector.revision}
    new = ("parts", "model", "old_model", "model_format", "revision")
    world.table.update("DETECTOR", old | dict.fromkeys(new))
    for key in list(world.store.keys("models/")):
        world.store.delete([key])
    world.store.put("models/shard=0/20260101T0000-old.npz", b"x")
    world.store.put("models/events/20260101T0000-old.json", b"{}")
    assert world.ledger.detector().watermark == detector.watermark


def test_a_detector_of_a_former_version_is_trained_again_by_itself_and_says_so(
    world: World, pipeline: Pipeline
) -> None:
    # given a detector that has told of an incident
    world.rows = sales(8)
    world.upload(document())
    run(world, pipeline)
    world.activate()
    for day in range(1, 6):
        world.crawl(H1 + DAY * day + NOON, f"c{day}")
    told = [message["anomalyGroupId"] for message in world.mail.messages]
    assert told
    as_former_version(world)

    # when the package is replaced: nothing is scored with a model that cannot be read
    at = H1 + DAY * 6 + NOON
    assert not world.plan(at, "c6").due

    # then the next tick starts the pipeline, once, with the reason
    answer = reconcile(world.store, world.ledger, pipeline.executions, lambda _: None)
    assert answer.started
    assert answer.reason
    assert "former version" in answer.reason
    assert not run(world, pipeline)
    assert pipeline.names() == [f"{world.config_hash}-{n}" for n in (1, 2)]
    prepare(world.store, world.ledger, world.config_hash, "pipeline-2", at)
    detector = world.ledger.detector()
    assert detector.status == "ACTIVATING"
    assert detector.status_reason == answer.reason

    # and the crawls go on with the new model, telling nothing again
    world.activate("pipeline-2", at)
    detector = world.ledger.detector()
    assert (detector.status, detector.status_reason) == ("ACTIVE", None)
    assert not detector.is_of_former_version
    assert detector.watermark == H1 + DAY * 6
    assert detector.live_from == H1 + DAY * 5
    assert not run(world, pipeline)
    for day in (7, 8):
        assert world.crawl(H1 + DAY * day + NOON, f"c{day}")
    assert [message["anomalyGroupId"] for message in world.mail.messages] == told


def test_a_retraining_that_was_stopped_is_begun_again_and_one_that_failed_is_not(
    world: World, pipeline: Pipeline
) -> None:
    world.upload(document())
    run(world, pipeline)
    world.activate()
    as_former_version(world)
    assert run(world, pipeline)
    running = world.ledger.run(world.config_hash)
    assert running
    assert running.execution

    pipeline.client.stop_execution(executionArn=running.execution)
    assert run(world, pipeline)
    assert not run(world, pipeline)
    fail(world)

    assert not run(world, pipeline)
    assert pipeline.names() == [f"{world.config_hash}-{n}" for n in (1, 2, 3)]


def test_the_report_of_training_is_published_with_the_model(world: World) -> None:
    world.upload(document(shards=2))
    world.activate()

    report = world.store.get_json(layout.TRAINING)

    assert [one["series"] for one in report["classes"]] == [1, 2, 1, 2]
    assert {one["intervals_learnt"] for one in report["classes"]} == {70}
    assert report["learnt_to"] == iso(H1 - DAY)
    assert not [key for key in world.store.keys("models/") if key.endswith("training.json")]

    world.upload(document(false_events_per_week=3))
    world.activate("pipeline-2", at=H1 + DAY * 2)
    assert world.store.get_json(layout.TRAINING)["learnt_to"] == iso(H1 + DAY)


def test_all_landed_shards_are_scored_by_one_model(world: World) -> None:
    world.upload(document(shards=2))
    world.activate()
    for day in range(1, 5):
        world.crawl(H1 + DAY * day + NOON, f"c{day}")

    detector = world.ledger.detector()
    assert detector.parts == (("revenue", "views"),)
    (group,) = world.groups()
    assert group["Slices"] == [{"platform": "mobile_app"}]
    incident = parquet.read(world.store.get(layout.interval_scores(H1 + DAY * 3)))
    assert sorted(set(incident["platform"].to_pylist())) == ["*", "mobile_app", "pc_web"]
    assert incident.num_rows == 6
    assert world.ledger.intervals(H1, H1 + DAY)[H1].rows == 200
