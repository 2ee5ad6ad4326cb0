"""Handlers parse, call and answer; errors leave them as the two classes that the machines know."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import numpy as np
import pyarrow as pa
import pytest
from anomaly_detector import observability
from anomaly_detector.errors import PermanentError, RetryableError
from anomaly_detector.handlers import (
    activate,
    commit,
    console,
    deliver,
    detect,
    plan_crawl,
    plan_history,
    prepare,
    reconcile,
    record_failure,
    respond,
    train,
)
from anomaly_detector.handlers._boundary import boundary
from anomaly_detector.handlers._wiring import Wiring, wiring
from anomaly_detector.intervals import Grid, iso
from anomaly_detector.lake import layout
from anomaly_detector.ledger.items import Chunk
from anomaly_detector.services import feedback
from anomaly_detector.services.payloads import CrawlPlan
from anomaly_detector.settings import Settings
from anomaly_detector.warehouse.redaction import UnredactedError
from botocore.exceptions import ClientError, EndpointConnectionError, ParamValidationError
from moto import mock_aws

from tests import stopped_clock
from tests.unit.alerts_samples import group, stored
from tests.unit.services_world import DAY, H1, World, document, sales
from tests.widget_rules import Widget

REGION = "us-east-1"
NOON = timedelta(hours=12)


@dataclass
class Context:
    """What Lambda hands to a handler."""

    function_name: str = "shop-function"
    memory_limit_in_mb: int = 512
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:123456789012:function:shop-function"
    aws_request_id: str = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        """Time left."""
        return 60_000


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", REGION)
    monkeypatch.setenv("AWS_REGION", REGION)
    with mock_aws():
        topics = boto3.client("sns")
        machine = boto3.client("stepfunctions").create_state_machine(
            name="shop-pipeline",
            definition=json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}),
            roleArn="arn:aws:iam::123456789012:role/r",
        )["stateMachineArn"]
        for name, value in {
            "DETECTOR_NAME": "shop",
            "TABLE_NAME": "shop",
            "BUCKET_NAME": "shop-bucket",
            "REDSHIFT": json.dumps(json.loads(document())["redshift"]),
            "PIPELINE_ARN": machine,
            "CRAWL_ARN": machine.replace("pipeline", "crawl"),
            "OPERATIONS_TOPIC_ARN": topics.create_topic(Name="operations")["TopicArn"],
        }.items():
            monkeypatch.setenv(name, value)
        wiring.cache_clear()
        yield World(sales(4), emulated=True)
        wiring.cache_clear()


def test_the_whole_way_through_the_handlers(world: World) -> None:
    context = Context()
    world.upload(document(alerts={}))
    begun = reconcile.handler({}, context)
    assert begun["started"]
    execution = {"execution": "arn:pipeline:1"}
    started = iso(H1 + NOON)

    prepared = prepare.handler(
        {"config_hash": begun["config_hash"], "started_at": started, **execution}, context
    )
    assert prepared["window_end"] == iso(H1)
    plan = plan_history.handler(
        {"config_hash": begun["config_hash"], "started_at": started}, context
    )
    for number, chunk in enumerate(plan["chunks"]):
        window = Chunk.model_validate(chunk | {"prefix": ""})
        query_hash = world.config.query_hash
        begin, end = window.window_start, window.window_end
        prefix = layout.history_attempt(query_hash, begin, end, f"a-{number}")
        files = world.land(prefix, begin, end, H1)
        landed = {"prefix": prefix, "manifest": files.manifest}
        world.ledger.put_chunk(query_hash, window.model_copy(update=landed))
    bounds = {key: plan[key] for key in ("config_hash", "history_start", "history_end")}
    trained = [train.handler({**bounds, **part, **execution}, context) for part in plan["parts"]]
    active = activate.handler(
        {**bounds, "train": plan["train"], "parts": trained, **execution}, context
    )
    assert (active["status"], active["watermark"]) == ("ACTIVE", iso(H1))
    assert deliver.handler({}, context)["sent"] == 0
    assert list(world.store.keys(layout.SCORES))

    crawl = plan_crawl.handler(
        {
            "scheduled_time": "<aws.scheduler.scheduled-time>",
            "started_at": iso(H1 + DAY * 4 + NOON),
            "execution": "arn:crawl:1",
        },
        context,
    )
    assert crawl["due"]
    assert (crawl["due_start"], crawl["window_end"]) == (iso(H1), iso(H1 + DAY * 4))
    files = world.unload(CrawlPlan.model_validate(crawl), H1 + DAY * 4, "arn:crawl:1")
    found = [
        detect.handler({"plan": crawl, "landed": files.answer(), "part": one["part"]}, context)
        for one in crawl["parts"]
    ]
    done = commit.handler({"plan": crawl, "landed": files.answer(), "parts": found}, context)
    assert done == {"committed": True, "groups": 1}
    again = commit.handler({"plan": crawl, "landed": files.answer(), "parts": found}, context)
    assert again["committed"]
    assert deliver.handler({}, context) == {"sent": 0, "published": 6}


def _without_warehouse() -> bytes:
    found = json.loads(document())
    del found["redshift"]
    return json.dumps(found).encode()


def test_a_document_chooses_neither_warehouse_nor_role(world: World) -> None:
    # given a document that names the role of somebody else
    given = json.loads(document())["redshift"]
    other = given | {"unload_role": "arn:aws:iam::123456789012:role/admin"}
    world.upload(document(redshift=other))
    config_hash = reconcile.handler({}, Context())["config_hash"]
    event = {"config_hash": config_hash, "execution": "arn:pipeline:1", "started_at": iso(H1)}
    # when
    with pytest.raises(PermanentError, match="redshift must be left out of the document"):
        prepare.handler(event, Context())


def test_another_warehouse_is_another_configuration(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given a document that runs on the warehouse of the environment
    world.upload(_without_warehouse())
    first = reconcile.handler({}, Context())
    assert first["started"]
    assert not reconcile.handler({}, Context())["started"]
    kept = world.store.get_json(layout.configuration_version(first["config_hash"]))
    assert kept["redshift"]["cluster_identifier"] == "c"
    # when Terraform changes the cluster, and with it nothing but the environment
    other = kept["redshift"] | {"cluster_identifier": "other"}
    monkeypatch.setenv("REDSHIFT", json.dumps(other))
    wiring.cache_clear()
    second = reconcile.handler({}, Context())
    # then
    assert second["started"]
    assert second["config_hash"] != first["config_hash"]
    kept = world.store.get_json(layout.configuration_version(second["config_hash"]))
    assert kept["redshift"]["cluster_identifier"] == "other"


@pytest.mark.usefixtures("world")
def test_statements_run_where_and_as_whom_the_environment_says() -> None:
    own = wiring().settings.redshift
    kept = own.model_copy(update={"db_user": "admin", "unload_role": "arn:of:another"})
    assert wiring().warehouse(kept).redshift == own

    elsewhere = own.model_copy(update={"database": "other"})
    with pytest.raises(PermanentError, match="for another warehouse or database"):
        wiring().warehouse(elsewhere)


def test_a_scheduled_time_counts_before_the_start() -> None:
    event = plan_crawl.PlanCrawl.model_validate(
        {
            "scheduled_time": "2026-03-03T00:05:00Z",
            "started_at": iso(H1),
            "execution": "e",
        }
    )
    tolerance = timedelta(minutes=1)
    scheduled = H1 + DAY + timedelta(minutes=5)
    assert event.moment(scheduled, tolerance) == scheduled
    # The function's clock may be late, but not by much.
    assert event.moment(scheduled - tolerance, tolerance) == scheduled
    before = scheduled - tolerance * 2
    assert event.moment(before, tolerance) == before
    assert event.model_copy(update={"scheduled_time": None}).moment(scheduled, tolerance) == H1


def test_a_crawl_that_is_scheduled_in_the_future_takes_only_what_has_ended(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = datetime(2026, 11, 27, 23, 59, 59, tzinfo=UTC)
    stopped_clock.stop(monkeypatch, now, plan_crawl)
    world.upload(document())
    world.activate()
    event = {
        "scheduled_time": "2126-03-02T12:00:00Z",
        "started_at": iso(H1 + NOON),
        "execution": "arn:crawl:1",
    }

    detector, grid = world.ledger.detector(), Grid.of(world.config)
    yesterday = grid.shift(grid.floor(now), -1)
    world.ledger.advance_detector(detector, detector.model_copy(update={"watermark": yesterday}))

    plan = CrawlPlan.model_validate(plan_crawl.handler(event, Context()))

    assert (plan.due_start, plan.window_end) == (yesterday, yesterday + DAY)


def test_a_failure_is_told_on_the_operations_topic(world: World) -> None:
    queue = boto3.client("sqs").create_queue(QueueName="q")["QueueUrl"]
    arn = "arn:aws:sqs:us-east-1:123456789012:q"
    topic = Wiring(wiring().settings).settings.operations_topic_arn
    boto3.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
    world.upload(document())

    answer = record_failure.handler(
        {
            "machine": "pipeline",
            "execution": "e",
            "config_hash": None,
            "error": {"Error": "X", "Cause": "why"},
        },
        Context(),
    )

    assert answer == {"reason": "why"}
    (message,) = boto3.client("sqs").receive_message(QueueUrl=queue)["Messages"]
    assert json.loads(message["Body"])["Subject"] == "shop: pipeline failed"


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (ClientError({"Error": {"Code": "ThrottlingException"}}, "X"), RetryableError),
        (ClientError({"Error": {"Code": "AccessDenied"}}, "X"), RetryableError),
        (
            ClientError(
                {"Error": {"Code": "Odd"}, "ResponseMetadata": {"HTTPStatusCode": 503}},
                "X",
            ),
            RetryableError,
        ),
        (ClientError({"Error": {"Code": "ValidationException"}}, "X"), PermanentError),
        (EndpointConnectionError(endpoint_url="x"), RetryableError),
        (ParamValidationError(report="x"), PermanentError),
        (RetryableError("x"), RetryableError),
        (PermanentError("x"), PermanentError),
    ],
)
def test_faults_leave_as_one_of_two_classes(fault: Exception, kind: type[Exception]) -> None:
    @boundary
    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        del event, context
        raise fault

    with pytest.raises(kind):
        handler({}, Context())


@pytest.mark.parametrize("logged", [False, True])
@pytest.mark.parametrize("fault", ["arrow", "python", "parameter", "warehouse"])
def test_values_of_rows_stay_in_the_log_if_at_all(
    fault: str, *, logged: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    # given texts that quote a value
    value = "jane@example.com"

    @boundary
    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        del event, context
        if fault == "arrow":
            pa.array([value]).cast(pa.float64())
        if fault == "python":
            float(value)
        if fault == "parameter":
            boto3.client("sns", region_name=REGION).publish(Message={value: 1})
        raise PermanentError("cut") from UnredactedError(f"Value '{value}'")

    monkeypatch.setattr(observability, "_ROW_VALUES", logged)
    # when
    with caplog.at_level("INFO", logger=observability.logger.name):
        observability.logger.addHandler(caplog.handler)
        with pytest.raises(PermanentError) as caught:
            handler({}, Context())
        observability.logger.removeHandler(caplog.handler)  # type: ignore[attr-defined]
    # then
    assert "jane" not in str(caught.value)
    assert ("jane" in "".join(str(vars(one)) for one in caplog.records)) == logged


def test_memory_that_cannot_be_had_is_told_with_what_to_set() -> None:
    @boundary
    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        del event, context
        return {"answer": np.empty(2**50)}

    with pytest.raises(PermanentError, match=r"increase it.*Unable to allocate"):
        handler({}, Context())


@pytest.mark.usefixtures("world")
def test_an_event_that_lacks_something_says_what() -> None:
    with pytest.raises(PermanentError, match="config_hash"):
        plan_history.handler({"started_at": iso(H1)}, Context())


def test_the_environment_is_read_at_once() -> None:
    with pytest.raises(PermanentError, match="BUCKET_NAME, CRAWL_ARN"):
        Settings.of({"DETECTOR_NAME": "shop"})


def test_people_mute_and_unmute_through_the_handler(world: World) -> None:
    # given
    asked = {"action": "mute", "mute": {"end": "2999-01-01T00:00:00Z", "reason": "r"}, "by": "jane"}
    world.upload(document(alerts={}))
    with pytest.raises(PermanentError, match="No configuration is in force yet"):
        respond.handler(asked, Context())
    world.activate()
    with pytest.raises(PermanentError, match="The mute must end within 366 days"):
        respond.handler(asked, Context())

    # when
    soon = iso(datetime.now(UTC) + timedelta(days=1))
    made = respond.handler(asked | {"mute": {"end": soon, "reason": "r"}}, Context())

    # then
    assert (made["state"], made["by"], made["end"]) == ("ACTIVE", "jane", soon)
    assert respond.handler({"action": "mutes"}, Context())["mutes"] == [made]
    ended = respond.handler({"action": "unmute", "id": made["id"]}, Context())
    assert ended["state"] == "ENDED"
    assert respond.handler({"action": "mutes"}, Context())["mutes"] == []
    with pytest.raises(PermanentError, match="The event is invalid: correct or add"):
        respond.handler({"action": "sing"}, Context())


def test_widgets_are_text_and_their_buttons_get_a_sentence(world: World) -> None:
    world.upload(document(alerts={}))
    world.activate()
    drawn = console.handler({"widgetContext": {"params": {"view": "status"}}}, Context())
    assert isinstance(drawn, str)
    assert "ACTIVE" in Widget(drawn).text
    assert console.handler({"describe": True}, Context()).startswith("## Anomaly detector")

    pressed = {
        "action": "mute",
        "days": 1,
        "mute": {"measures": ["revenue"]},
        "widgetContext": {"dashboardName": "shop", "forms": {"all": {"reason": "Sale"}}},
    }
    assert respond.handler(pressed, Context())["markdown"].startswith("Alerts are held back until")
    (mute,) = respond.handler({"action": "mutes"}, Context())["mutes"]
    assert (mute["measures"], mute["reason"], mute["by"]) == (["revenue"], "Sale", "dashboard shop")
    unknown = pressed | {"mute": {"measures": ["none"]}}
    assert respond.handler(unknown, Context())["markdown"].startswith("**Not done.** The mute is")


def _say(**asked: Any) -> dict[str, Any]:
    return respond.handler({"action": "feedback", "by": "jane", **asked}, Context())


def test_people_say_what_events_were_and_undo_it(world: World) -> None:
    # given
    world.upload(document(alerts={}))
    world.activate()
    one = group(hours=24, severity=60.0, slices=({"platform": "web"},))
    bound = group("views", severity=100.0, kind="bound")
    for each in (one, bound):
        world.ledger.put_group(stored(each), each)

    # when
    no = _say(group_id=one.id, is_anomaly=False)

    # then
    assert no["effect"] == {"similar_events_need_severity": 60.5, "at_most": 75.0}
    assert _say(group_id=one.id, is_anomaly=False) == no
    (said,) = feedback.verdicts(world.ledger, world.config, None)
    assert (said.names, said.side, said.is_anomaly) == ((("web",),), -1, False)
    given = datetime.fromisoformat(no["since"])
    assert not said.holds(int(given.timestamp()) - 1)
    assert said.holds(int(given.timestamp()) + 1)
    # A training that began later knows it, and one that began before does not.
    later, earlier = given + timedelta(minutes=1), given - timedelta(minutes=1)
    assert feedback.verdicts(world.ledger, world.config, later)[0].holds(0)
    assert not feedback.verdicts(world.ledger, world.config, earlier)[0].holds(0)

    # Of a configuration without the measure or the dimension, it says nothing.
    for gone in ({"dimensions": ()}, {"measures": {"views": world.config.measures["views"]}}):
        other = world.config.model_copy(update=gone)
        assert feedback.verdicts(world.ledger, other, later) == ()

    # when another answer follows, and one to a series of it
    yes = _say(group_id=one.id, is_anomaly=True)
    _say(group_id=one.id, is_anomaly=True, series={"platform": "app"})

    # then
    assert yes["effect"]["intervals_not_learned"] == 1
    assert yes["effect"]["similar_events_need_severity_at_most"] == 55.1
    answers = respond.handler({"action": "answers"}, Context())["answers"]
    assert [(each["is_anomaly"], each["slices"]) for each in answers] == [
        (True, [{"platform": "web"}]),
        (True, [{"platform": "app"}]),
    ]
    undone = respond.handler({"action": "undo", "id": yes["id"]}, Context())
    assert undone["effect"] == {}
    everything = respond.handler({"action": "answers", "ended": True}, Context())["answers"]
    assert len(everything) == 3
    assert sum(each["undone_at"] is None for each in everything) == 1
    # What was undone before a training is not known to it.
    after = datetime.now(UTC) + timedelta(minutes=1)
    assert [each.names for each in feedback.verdicts(world.ledger, world.config, after)] == [
        (("app",),)
    ]
    for asked, says in (
        ({"group_id": "x", "is_anomaly": True}, "There is no event 'x': give the anomalyGroupId"),
        ({"group_id": bound.id, "is_anomaly": False}, "crosses a static bound: change min or max"),
        ({"group_id": one.id, "is_anomaly": True, "series": {"x": "y"}}, "must be keyed by dim"),
    ):
        with pytest.raises(PermanentError, match=says):
            _say(**asked)
    with pytest.raises(PermanentError, match="has ended at"):
        respond.handler({"action": "undo", "id": yes["id"]}, Context())
    with pytest.raises(PermanentError, match="There is no answer 'x'"):
        respond.handler({"action": "undo", "id": "x"}, Context())
