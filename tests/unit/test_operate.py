"""Commands for a deployed detector: what they read, start and say, and each fault as a sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import boto3
import pytest
from anomaly_detector import cli
from anomaly_detector.errors import PermanentError, RetryableError
from anomaly_detector.handlers import respond
from anomaly_detector.handlers._wiring import wiring
from anomaly_detector.lake import layout
from anomaly_detector.ledger.items import Interval, Run
from anomaly_detector.ledger.ledger import Ledger
from anomaly_detector.ledger.table import StateTable
from anomaly_detector.model_format import FORMAT
from anomaly_detector.operate import commands
from anomaly_detector.operate.commands import COMMANDS
from botocore.client import BaseClient
from moto import mock_aws

from tests import stopped_clock
from tests.state_table import create as create_table
from tests.unit.alerts_samples import group, stored
from tests.unit.test_handlers import Context

SOURCES = Path(__file__).resolve().parents[2] / "lambda_src"
HOUR = timedelta(hours=1)
NOON = datetime(2026, 3, 31, 12, tzinfo=UTC)
NOW = NOON + timedelta(hours=2, minutes=59)
SCHEDULE: dict[str, Any] = {
    "Name": "shop-crawl",
    "GroupName": "shop",
    "Description": "Crawls",
    "ScheduleExpression": "cron(5 * * * ? *)",
    "ScheduleExpressionTimezone": "Europe/Berlin",
    "FlexibleTimeWindow": {"Mode": "OFF"},
    "Target": {
        "Arn": "arn:aws:states:eu-west-1:123456789012:stateMachine:shop-crawl",
        "RoleArn": "arn:aws:iam::123456789012:role/shop-schedule",
        "Input": '{"scheduled_time":"<aws.scheduler.scheduled-time>"}',
        "RetryPolicy": {"MaximumEventAgeInSeconds": 3600, "MaximumRetryAttempts": 10},
        "DeadLetterConfig": {"Arn": "arn:aws:sqs:eu-west-1:123456789012:shop-dead-letters"},
    },
}


@pytest.fixture(autouse=True)
def _the_clock_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    stopped_clock.stop(monkeypatch, NOW, commands, respond)


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    with mock_aws():
        table = boto3.client("dynamodb")
        create_table(table, "shop-state")
        scheduler = boto3.client("scheduler")
        scheduler.create_schedule_group(Name="shop")
        scheduler.create_schedule(**SCHEDULE, State="ENABLED")
        for key in ("pipeline", "crawl"):
            waits = {"StartAt": "A", "States": {"A": {"Type": "Wait", "Seconds": 9, "End": True}}}
            boto3.client("stepfunctions").create_state_machine(
                name=f"shop-{key}",
                definition=json.dumps(waits),
                roleArn="arn:aws:iam::123456789012:role/r",
            )
        yield Ledger(StateTable(table, "shop-state", "shop"))


@pytest.fixture
def active(ledger: Ledger) -> Ledger:
    """A detector in force, four hours scored, another configuration that failed."""
    ledger.claim_run("bad", None, Run(attempt=2, status="FAILED", reason="measures must be set"))
    before = ledger.detector()
    values = {
        "status": "FAILED",
        "status_reason": "measures must be set",
        "config_hash": "good",
        "watermark": NOON,
        "model_format": FORMAT,
        "history_end": NOON - 24 * HOUR,
    }
    assert ledger.advance_detector(before, before.model_copy(update=values))
    statuses: list[tuple[int, Any]]
    statuses = [(4, "SCORED"), (3, "SCORED"), (2, "REVISED"), (1, "MISSING")]
    for hours, status in statuses:
        one = Interval(start=NOON - HOUR * hours, status=status, rows=1200 * (hours - 1))
        ledger._table.put(f"INTERVAL#{one.start:%Y-%m-%dT%H:%M:%SZ}", one.attributes())
    ledger.add_usage(NOW, "one", 61_000, 1_200)
    return ledger


def run(*arguments: str) -> int:
    command, *others = arguments
    return cli.main([command, "--name", "shop", *others])


def said(capsys: pytest.CaptureFixture[str]) -> Any:
    return json.loads(capsys.readouterr().out)


@pytest.mark.usefixtures("active")
def test_status_tells_what_is_in_force_and_what_failed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("status", "--json") == 0

    facts = said(capsys)
    assert (facts["status"], facts["in_force"]) == ("FAILED", True)
    assert facts["configuration"] == {"active": "good", "uploaded": "bad"}
    assert facts["pipeline"]["reason"] == "measures must be set"
    assert facts["intervals_of_7_days"] == {"MISSING": 1, "REVISED": 1, "SCORED": 2}
    assert (facts["schedule"], facts["crawl"], facts["parked_deliveries"]) == ("ENABLED", None, [])
    assert facts["seconds_since_watermark"] == 2 * 3600 + 59 * 60


@pytest.mark.usefixtures("active")
def test_status_is_readable(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("status") == 0

    text = capsys.readouterr().out
    assert "shop (123456789012, eu-west-1)\n  status                FAILED\n" in text
    assert "1 MISSING, 1 REVISED, 2 SCORED" in text
    assert "newer upload          bad" in text
    assert "(2 h " in text
    assert "warehouse this month  1 statements, 61 s, 1,200 rows unloaded" in text


@pytest.mark.usefixtures("ledger")
def test_status_of_a_detector_that_has_not_begun(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("status") == 0

    assert (
        "status                INACTIVE\n  scored until          nothing" in capsys.readouterr().out
    )


@pytest.mark.usefixtures("active")
@pytest.mark.parametrize(
    ("arguments", "hours"),
    [
        ((), [4, 3, 2, 1]),
        (("--last", "2"), [2, 1]),
        (
            ("--from", f"{NOON - 3 * HOUR:%Y-%m-%dT%H:%M}", "--to", (NOON - HOUR).isoformat()),
            [3, 2],
        ),
    ],
)
def test_intervals_are_listed(
    arguments: tuple[str, ...], hours: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("intervals", *arguments, "--json") == 0

    starts = [datetime.fromisoformat(one["start"]) for one in said(capsys)["intervals"]]
    assert starts == [NOON - hour * HOUR for hour in hours]


@pytest.mark.usefixtures("active")
def test_intervals_are_a_table(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("intervals") == 0

    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == [
        "start",
        "status",
        "rows",
        "series",
        "anomalous",
        "milliseconds",
        "reason",
    ]
    assert lines[1].split()[1:] == ["SCORED", "3,600"]


@pytest.mark.usefixtures("active")
def test_replay_starts_the_pipeline_with_what_is_unloaded_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("replay", "--from", "2026-01-05", "--to", "2026-01-06T02:00+02:00", "--json") == 0

    execution = said(capsys)["execution"]
    found = boto3.client("stepfunctions").describe_execution(executionArn=execution)
    again = {"window_start": "2026-01-05T00:00:00Z", "window_end": "2026-01-06T00:00:00Z"}
    assert json.loads(found["input"]) == {"retrain": True, "again": again}


@pytest.mark.usefixtures("active")
def test_a_second_pipeline_is_not_started(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("retrain", "--json") == 0
    execution = said(capsys)["execution"]

    assert run("retrain") == 2

    assert f"The pipeline is running already ({execution})" in capsys.readouterr().err


@pytest.mark.usefixtures("active")
def test_pause_and_resume_change_the_state_of_the_schedule_and_nothing_else(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def schedule() -> dict[str, Any]:
        found = boto3.client("scheduler").get_schedule(GroupName="shop", Name="shop-crawl")
        return {key: found[key] for key in (*SCHEDULE, "State")}

    before = schedule()
    assert before["State"] == "ENABLED"

    assert run("pause") == 0
    assert schedule() == before | {"State": "DISABLED"}
    assert run("pause", "--json") == 0
    assert run("resume") == 0
    assert schedule() == before

    out = capsys.readouterr().out
    assert "Paused: no crawl is started" in out
    assert '"changed": false' in out
    assert "Resumed: the next scheduled crawl" in out


def test_parked_deliveries_are_tried_again(
    active: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    # given
    item = {"sk": "DELIVERY#2026-01-05T00:00:00Z#a", "attempt_id": "a", "due_start": "odd"}
    active._table.put(item["sk"], item)
    active.park_delivery(active.deliveries()[0])
    assert run("status", "--json") == 0
    assert said(capsys)["parked_deliveries"] == [f"PARKED#{item['sk']}"]
    # when
    assert run("resume", "--parked", "--json") == 0
    # then
    assert said(capsys)["unparked_deliveries"] == 1
    assert active.deliveries() == [item]
    assert active.parked() == []


@pytest.fixture
def answered(active: Ledger, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    """The function `respond` answers as it is deployed, whoever has invoked it."""
    for name, value in {
        "DETECTOR_NAME": "shop",
        "TABLE_NAME": "shop-state",
        "BUCKET_NAME": "shop-bucket",
        "REDSHIFT": json.dumps(
            {"workgroup_name": "abc", "database": "d", "unload_role": "default"}
        ),
        "PIPELINE_ARN": "p",
        "CRAWL_ARN": "c",
        "OPERATIONS_TOPIC_ARN": "o",
    }.items():
        monkeypatch.setenv(name, value)
    wiring.cache_clear()
    bucket = boto3.client("s3")
    region = {"LocationConstraint": "eu-west-1"}
    bucket.create_bucket(Bucket="shop-bucket", CreateBucketConfiguration=region)
    document = {
        "interval": "PT1H",
        "timestamp_column": {"name": "ts"},
        "measures": {"revenue": {}},
        "dimensions": ["platform"],
    }
    key = layout.configuration_version("good")
    bucket.put_object(Bucket="shop-bucket", Key=key, Body=json.dumps(document))
    made = BaseClient._make_api_call

    def call(client: Any, operation: str, arguments: dict[str, Any]) -> Any:
        if operation != "Invoke":
            return made(client, operation, arguments)
        assert arguments["FunctionName"] == "shop-respond"
        try:
            body = respond.handler(json.loads(arguments["Payload"]), Context())
        except (PermanentError, RetryableError) as error:
            failed = {"errorType": type(error).__name__, "errorMessage": str(error)}
            return {"FunctionError": "Unhandled", "Payload": BytesIO(json.dumps(failed).encode())}
        return {"Payload": BytesIO(json.dumps(body).encode())}

    monkeypatch.setattr(BaseClient, "_make_api_call", call)
    yield active
    wiring.cache_clear()


def test_alerts_are_muted_listed_and_unmuted(
    answered: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    scope = ("--measure", "revenue", "--value", "platform=a", "--value", "platform=b=c")
    assert run("mute", *scope, "--for", "3d", "--reason", "price test", "--json") == 0
    made = said(capsys)
    assert made["dimension_filters"] == {"platform": ["a", "b=c"]}
    assert made["state"] == "ACTIVE"
    assert made["by"]
    (stored,) = answered.mutes()
    assert abs(stored.end - stored.since - timedelta(days=3)) <= timedelta(seconds=5)

    assert run("mutes") == 0
    text = capsys.readouterr().out
    assert text.startswith(f"{made['id']}  ACTIVE  until {made['end']}  0 events held back\n")
    assert "    revenue in platform a or b=c: price test (" in text
    assert run("unmute", "--id", made["id"]) == 0
    assert f"Ended {made['id']}, which has held back" in capsys.readouterr().out
    assert run("mutes") == 0
    assert capsys.readouterr().out == "No mute holds.\n"
    assert run("mutes", "--ended", "--json") == 0
    assert [one["state"] for one in said(capsys)["mutes"]] == ["ENDED"]


def test_feedback_is_given_listed_and_undone(
    answered: Ledger, capsys: pytest.CaptureFixture[str]
) -> None:
    one = group(severity=60.0)
    answered.put_group(stored(one), one)

    assert run("feedback", "--event", one.id, "--no") == 0
    text = capsys.readouterr().out
    assert "revenue down (platform mobile_app) from 2022-01-15T04:00:00Z" in text
    assert "similar events need a severity of 60.5 instead of 50 (at most 75)" in text
    assert run("feedback", "--event", one.id, "--yes", "--json") == 0
    made = said(capsys)
    assert run("feedback", "--event", one.id, "--yes", "--value", "platform=mobile_app") == 0
    assert "Its 1 intervals will not be learned" in capsys.readouterr().out
    assert run("answers", "--ended") == 0
    assert capsys.readouterr().out.count(" was an") == 1
    assert run("undo", "--id", made["id"]) == 0
    assert f"Ended {made['id']}" in capsys.readouterr().out
    assert run("answers") == 0
    assert capsys.readouterr().out == "No answer holds.\n"
    assert run("feedback", "--event", "x", "--no") == 2
    assert "There is no event 'x'" in capsys.readouterr().err


@pytest.mark.usefixtures("answered")
def test_a_mute_that_is_refused_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("mute", "--for", "3d", "--reason", "r", "--measure", "x") == 2

    said = "anomaly_detector: The mute is not valid: measures must be measures (revenue); got "
    assert capsys.readouterr().err == said + '["x"].\n'


@pytest.mark.usefixtures("active")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("status", "--region", "us-east-1"), "There is no detector 'shop' in the region of us-"),
        (("status", "--profile", "none"), "(none) could not be found; check your credentials"),
        (("replay", "--from", "2026-01-05", "--to", "2026-01-05"), "--from must be before --to"),
        (("replay", "--from", "2999-01-05", "--to", "2999-01-06"), "--from must be in the past"),
    ],
)
def test_faults_are_one_sentence(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(*arguments) == 2

    assert message in capsys.readouterr().err


@pytest.mark.usefixtures("ledger")
def test_nothing_is_retrained_before_there_is_a_configuration(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run("retrain") == 2

    assert "No configuration has been uploaded yet" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("status", "--name", "Shop"), "'Shop' is not the name of a detector"),
        (("status",), "--name"),
        (("replay", "--name", "shop"), "--from"),
        (("intervals", "--name", "shop", "--from", "yesterday"), "is not a time such as"),
        (("intervals", "--name", "shop", "--last", "0"), "is not a whole number from 1"),
        (("stop",), "invalid choice: 'stop'"),
        (("mute", "--name", "shop", "--reason", "r"), "one of the arguments --to --for is req"),
        (("mute", "--name", "shop", "--for", "3d"), "--reason"),
        (("mute", "--name", "shop", "--for", "3 d"), "is not a time such as 90m, 12h, 3d or 2w"),
        (("mute", "--name", "shop", "--value", "x"), "'x' is not DIMENSION=VALUE"),
        (("feedback", "--name", "shop", "--event", "x"), "one of the arguments --yes --no is req"),
    ],
)
def test_invalid_arguments_are_one_sentence(
    arguments: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main(arguments)

    assert caught.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples_and_permissions(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        cli.main([command, "--help"])

    text = capsys.readouterr().out
    assert caught.value.code == 0
    assert f"python -m anomaly_detector {command} --name shop" in text
    assert "needs:" in text


def test_without_boto3_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(
        "import importlib.util as u\n"
        "found = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'boto3' else found(name, *a)\n",
        encoding="utf-8",
    )
    done = subprocess.run(
        [sys.executable, "-m", "anomaly_detector", "status", "--name", "shop"],
        env={"PYTHONPATH": f"{tmp_path}:{SOURCES}"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 2
    assert "boto3 cannot be imported: run pip install boto3." in done.stderr


def test_the_command_line_does_not_import_the_aws_libraries() -> None:
    code = "import sys, anomaly_detector.cli; print('boto3' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(SOURCES)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == "False"
