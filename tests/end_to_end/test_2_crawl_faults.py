"""Faults of a crawl: each ends as the design says, nothing is lost and nothing is sent twice."""

from __future__ import annotations

import json
import time
from collections import Counter
from datetime import timedelta
from typing import Any

from anomaly_detector.intervals import iso, parse_iso

from local.cloud import LocalCloud
from local.cloud.testing import eventually
from local.harness import Deployment
from local.shop import Shop

PASSING = "S3ServiceException: Please reduce your request rate., Status 503, Error SlowDown"


def test_an_unload_that_fails_for_the_moment_is_sent_again(
    cloud: LocalCloud, detector: Deployment
) -> None:
    cloud.redshift_faults.fail("unload", error=PASSING, files=1)
    before = len(detector.unloads())

    crawl = _moves_on(detector)

    assert crawl["landed"]["result"]["attempt_id"].endswith("-2")
    assert [each["status"] for each in detector.unloads()[before:]] == ["FAILED", "FINISHED"]
    # What the failed one left behind is not counted.
    assert _newest_interval(detector)["rows"] == _usual_rows(detector)


def test_an_aborted_unload_is_sent_again(cloud: LocalCloud, detector: Deployment) -> None:
    cloud.redshift_faults.abort("unload")
    before = len(detector.unloads())

    _moves_on(detector)

    assert [each["status"] for each in detector.unloads()[before:]] == ["ABORTED", "FINISHED"]


def test_an_unload_that_fails_for_good_fails_the_crawl_and_loses_nothing(
    cloud: LocalCloud, detector: Deployment
) -> None:
    cloud.redshift_faults.fail("unload", error='permission denied for relation "ecommerce"')
    begin = detector.watermark()

    failed = detector.crawl_next()

    assert failed.status == "FAILED"
    assert detector.watermark() == begin
    state = detector.detector()
    assert state["status"] == "ACTIVE"
    assert "permission denied" in state["status_reason"]
    told = detector.received("operations")
    assert len(told) == 1
    assert "permission denied" in str(told[0]["Message"])
    # The next tick takes both hours.
    after = detector.crawl_next(2)
    assert after.succeeded, after.cause
    assert detector.watermark() == begin + timedelta(hours=2)
    assert {each["status"] for each in _intervals(detector)[-2:]} == {"SCORED"}


def test_throttled_calls_are_made_again(cloud: LocalCloud, detector: Deployment) -> None:
    cloud.redshift_faults.throttle("ExecuteStatement", count=2)
    cloud.redshift_faults.throttle(
        "ExecuteStatement", count=1, code="ActiveStatementsExceededException"
    )
    cloud.redshift_faults.throttle("DescribeStatement", count=2)
    before = len(detector.unloads())

    _moves_on(detector)

    assert len(detector.unloads()) == before + 1


def test_a_lost_reply_does_not_unload_twice(cloud: LocalCloud, detector: Deployment) -> None:
    cloud.redshift_faults.lose_reply("ExecuteStatement")
    before = len(detector.unloads())

    _moves_on(detector)

    assert len(detector.unloads()) == before + 1


def test_a_crawl_run_twice_at_once_commits_once(detector: Deployment) -> None:
    begin = detector.watermark()
    tick = detector.next_tick()

    started = [detector.start_crawl(tick) for _ in range(2)]
    ended = [detector.wait_for(each) for each in started]

    assert all(each.succeeded for each in ended), [each.cause for each in ended]
    assert detector.watermark() == begin + timedelta(hours=1)
    _nothing_is_doubled(detector)


def test_a_crawl_run_again_later_does_nothing(detector: Deployment) -> None:
    before = detector.watermark()
    unloads = len(detector.unloads())

    again = detector.crawl(detector.next_tick(0))

    assert again.succeeded, again.cause
    assert detector.watermark() == before
    assert len(detector.unloads()) == unloads


def test_missed_crawls_are_made_up_for_and_what_happened_is_told_once(
    detector: Deployment, sample: Shop
) -> None:
    begin = detector.watermark()
    last = sample.incidents[-1]
    assert begin <= last.start
    missed = 30
    assert last.end < begin + timedelta(hours=missed)
    before = len(detector.unloads())
    detector.alerts()

    crawl = detector.crawl_next(missed)

    assert crawl.succeeded, crawl.cause
    assert detector.watermark() == begin + timedelta(hours=missed)
    assert len(detector.unloads()) == before + 1, "one statement for the whole window"
    told = [(each, _group(detector, each)) for each in detector.alerts()]
    alerts = [alert for alert, group in told if parse_iso(group["StartTime"]) == last.start]
    assert [each["impactedMetric"]["metricName"] for each in alerts] == list(last.measures)
    _moves_on(detector)
    assert detector.alerts() == []
    _nothing_is_doubled(detector)


def test_a_function_that_is_killed_half_way_loses_and_doubles_nothing(
    cloud: LocalCloud, detector: Deployment
) -> None:
    begin = detector.watermark()

    for function, operation, service in (
        ("shop-detect", "PUT *", "s3"),
        ("shop-commit", "TransactWriteItems", "dynamodb"),
        ("shop-deliver", "DeleteItem", "dynamodb"),
    ):
        cloud.redshift_faults.kill(function, operation, service=service)
        ended = detector.crawl_next()
        assert ended.succeeded, ended.cause

    assert [each["hits"] for each in cloud.redshift_faults.list()] == [1, 1, 1]
    assert detector.watermark() == begin + timedelta(hours=3)
    _nothing_is_doubled(detector)


def test_a_query_slower_than_the_interval_never_runs_twice_at_once(
    cloud: LocalCloud, detector: Deployment
) -> None:
    begin, before = detector.watermark(), len(detector.unloads())
    slow = cloud.redshift_faults.stall("unload")
    first = detector.start_crawl(detector.next_tick())
    detector.wait_for_unload("STARTED")

    overlapping = [detector.crawl(detector.next_tick(each)) for each in (2, 3)]

    assert all(each.succeeded for each in overlapping), [each.cause for each in overlapping]
    assert {each.output["plan"]["held_by"] for each in overlapping} == {first}
    assert [each["status"] for each in detector.unloads()[before:]] == ["STARTED"]
    cloud.redshift_faults.clear(slow)
    ended = detector.wait_for(first)
    assert ended.succeeded, ended.cause
    assert detector.watermark() == begin + timedelta(hours=1)
    # What the others left is taken at once, by the next.
    after = detector.crawl_next(2)
    assert after.succeeded, after.cause
    assert detector.watermark() == begin + timedelta(hours=3)
    assert [each["status"] for each in detector.unloads()[before:]] == ["FINISHED", "FINISHED"]
    _nothing_is_doubled(detector)


def test_a_stopped_crawl_has_its_statement_cancelled_and_the_next_goes_on(
    cloud: LocalCloud, detector: Deployment
) -> None:
    begin, before = detector.watermark(), len(detector.unloads())
    detector.received("operations")
    cloud.redshift_faults.stall("unload")
    stopped = detector.start_crawl(detector.next_tick())
    detector.wait_for_unload("STARTED")

    detector.stop(stopped)

    detector.wait_for_unload("ABORTED")
    assert detector.execution(stopped).status == "ABORTED"
    # It could not give its lease back; the event of its end does.
    (told,) = eventually(lambda: detector.received("operations"))
    assert told["Subject"] == "shop: crawl failed"
    assert "The execution was stopped." in told["Message"]
    assert detector.items("LEASE#crawl") == []
    _moves_on(detector)
    assert detector.watermark() == begin + timedelta(hours=1)
    assert [each["status"] for each in detector.unloads()[before:]] == ["ABORTED", "FINISHED"]


def test_what_a_crawl_left_behind_ends_before_the_same_rows_are_asked_for_again(
    cloud: LocalCloud, detector: Deployment
) -> None:
    before = len(detector.unloads())
    cloud.redshift_faults.stall("unload")
    # Nobody is told that the execution of the statement has ended.
    deaf = cloud.redshift_faults.refuse_call(
        "redshift-data", "CancelStatement", code="InternalServerException", status=500, count=None
    )
    stopped = detector.start_crawl(detector.next_tick())
    detector.wait_for_unload("STARTED")
    detector.stop(stopped)
    eventually(lambda: detector.items("LEASE#crawl") == [])
    crawl = detector.start_crawl(detector.next_tick())
    time.sleep(3)
    assert [each["status"] for each in detector.unloads()[before:]] == ["STARTED"]

    cloud.redshift_faults.clear(deaf)

    ended = detector.wait_for(crawl)
    assert ended.succeeded, ended.cause
    assert [each["status"] for each in detector.unloads()[before:]] == ["ABORTED", "FINISHED"]
    _nothing_is_doubled(detector)


def test_a_statement_whose_time_is_over_is_cancelled(
    cloud: LocalCloud, detector: Deployment
) -> None:
    cloud.redshift_faults.stall("unload")
    end = detector.watermark()
    request = {
        "config_hash": detector.config_hash(),
        "purpose": "history",
        "window_start": iso(end - timedelta(days=3)),
        "window_end": iso(end),
        "timeout_seconds": 4,
    }
    execution = cloud.client("stepfunctions").start_execution(
        stateMachineArn=detector.outputs["crawl_arn"].replace("-crawl", "-statement"),
        input=json.dumps(request),
    )["executionArn"]

    ended = detector.wait_for(execution)

    assert ended.status == "FAILED"
    assert "was cancelled" in ended.cause
    assert detector.unloads()[-1]["status"] == "ABORTED"


def _moves_on(detector: Deployment) -> dict[str, Any]:
    """Crawl the next hour; returns the execution's output."""
    begin = detector.watermark()
    crawl = detector.crawl_next()
    assert crawl.succeeded, crawl.cause
    assert detector.watermark() == begin + timedelta(hours=1)
    return dict(crawl.output)


def _intervals(detector: Deployment) -> list[dict[str, Any]]:
    return detector.items("INTERVAL#")


def _newest_interval(detector: Deployment) -> dict[str, Any]:
    return _intervals(detector)[-1]


def _usual_rows(detector: Deployment) -> int:
    return int(_intervals(detector)[0]["rows"])


def _group(detector: Deployment, alert: dict[str, Any]) -> dict[str, Any]:
    return next(
        each for each in detector.groups() if each["AnomalyGroupId"] == alert["anomalyGroupId"]
    )


def _nothing_is_doubled(detector: Deployment) -> None:
    starts = [each["start"] for each in _intervals(detector)]
    assert max(Counter(starts).values()) == 1
    assert len(starts) == (parse_iso(starts[-1]) - parse_iso(starts[0])) // timedelta(hours=1) + 1
    scores = detector.results("scores")
    keys = ["interval_start", "measure", "platform", "marketplace"]
    assert scores.num_rows == scores.group_by(keys).aggregate([]).num_rows
    told = [each["anomalyGroupId"] for each in detector.alerts()]
    assert max(Counter(told).values(), default=1) == 1
