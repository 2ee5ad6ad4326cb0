"""From apply to alert, with IAM enforced on every call."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import boto3
import pyarrow.compute as pc
import pytest
from anomaly_detector import lookout
from anomaly_detector.intervals import parse_iso
from anomaly_detector.operate import actions
from anomaly_detector.operate.deployment import Deployment as Deployed

from local.cloud import LocalCloud
from local.harness import Deployment, largest_share
from local.shop import Shop
from local.shop_truth import judge
from scripts import cost
from tests import old_client

LIVE_HOURS = 13


def test_apply_loads_the_history_and_brings_the_detector_into_force(detector: Deployment) -> None:
    pipeline = detector.wait_for_pipeline()

    assert pipeline.succeeded, pipeline.cause
    assert pipeline.name == f"{detector.config_hash()}-1"
    state = detector.detector()
    assert state["status"] == "ACTIVE"
    assert state["config_hash"] == detector.config_hash()
    # History reaches to the newest interval that was over when the pipeline began.
    assert timedelta(0) <= datetime.now(UTC) - detector.watermark() < timedelta(hours=2)
    chunks = detector.items("CHUNK#")
    assert len(chunks) >= 3
    assert all(int(each["rows"]) > 0 for each in chunks)
    assert len(detector.unloads()) == len(chunks)
    assert detector.received("operations") == []


def test_the_unload_role_is_attached_beside_the_roles_of_others(detector: Deployment) -> None:
    roles = detector.attached_roles("shop")

    assert set(roles.values()) == {"in-sync"}
    assert detector.outputs["unload_role_arn"] in roles
    assert any(arn.endswith("/of-somebody-else") for arn in roles)


def test_a_second_plan_shows_no_change(detector: Deployment) -> None:
    assert detector.plan().addresses == ()


def test_incidents_are_found_grouped_explained_and_delivered_once(
    detector: Deployment, sample: Shop
) -> None:
    begin = detector.watermark()

    crawls = [detector.crawl_next() for _ in range(LIVE_HOURS)]

    assert all(each.succeeded for each in crawls), [each.cause for each in crawls]
    assert detector.watermark() == begin + timedelta(hours=LIVE_HOURS)
    groups = _live(detector, begin)
    found = judge(groups, sample.incidents, begin, detector.watermark())
    assert (found.precision, found.recall) == (1.0, 1.0), found
    by_id = {each["AnomalyGroupId"]: each for each in groups}
    for plant, ids in found.found:
        assert len(ids) == 1, "consecutive intervals of one measure are one group"
        group = by_id[ids[0]]
        assert parse_iso(group["StartTime"]) == plant.incident.start
        assert parse_iso(group["EndTime"]) == plant.incident.end
        assert plant.incident.slice in group["Slices"]
        shares = largest_share(group)
        for dimension, value in plant.incident.slice.items():
            assert shares[dimension][0] == value
            assert shares[dimension][1] > 90
        assert (float(group["Actual"]) < float(group["Expected"])) is (plant.incident.factor < 1)
        for each in group["MetricLevelImpactList"][0]["ContributionMatrix"][
            "DimensionContributionList"
        ]:
            total = sum(one["ContributionScore"] for one in each["DimensionValueContributionList"])
            assert total == pytest.approx(100, abs=0.01)
    _is_told_once(detector, set(by_id))


def test_scores_are_stored_once_per_series_and_interval(detector: Deployment) -> None:
    scores = detector.results("scores")

    keys = ["interval_start", "measure", "platform", "marketplace"]
    assert scores.num_rows == scores.group_by(keys).aggregate([]).num_rows
    # Total, 3 platforms, 7 marketplaces, 21 pairs; two measures.
    newest = scores.filter(pc.equal(scores["interval_start"], pc.max(scores["interval_start"])))
    assert newest.num_rows == 2 * (1 + 3 + 7 + 21)


def test_results_have_the_columns_of_the_catalogue(cloud: LocalCloud, detector: Deployment) -> None:
    tables = cloud.client("glue").get_tables(DatabaseName=detector.outputs["glue_database_name"])

    names = {each["Name"]: each["StorageDescriptor"]["Columns"] for each in tables["TableList"]}
    bills = [json.loads(body) for body in detector.objects("statements/").values()]
    assert {each["Name"] for each in names.pop("statements")} == set(bills[0])
    assert sum(each["purpose"] in ("history", "live") for each in bills) == len(detector.unloads())
    assert set(names) == {"scores", "anomalies", "contributions"}
    for name, columns in names.items():
        assert [each["Name"] for each in columns] == detector.results(name).column_names


def test_the_saved_queries_are_in_athena(cloud: LocalCloud, detector: Deployment) -> None:
    client = cloud.client("athena")
    ids = client.list_named_queries()["NamedQueryIds"]
    found = client.batch_get_named_query(NamedQueryIds=ids)["NamedQueries"]

    assert len(found) == 10
    assert {each["Database"] for each in found} == {detector.outputs["glue_database_name"]}


def test_csv_exports_hold_every_group(detector: Deployment) -> None:
    ids = {each["AnomalyGroupId"] for each in detector.groups()}

    for name, header in (
        ("metricValue_AnomalyScore", "key,Timestamp,platform,marketplace,"),
        ("dimensionContributions", "Timestamp,metricName,dimensionName,dimensionValue,"),
    ):
        files = detector.objects(f"results/{name}/")
        assert {key.rsplit("/", 1)[-1].removesuffix(".csv") for key in files} == ids
        assert all(content.decode().startswith(header) for content in files.values())


def test_the_newest_page_has_all_live_events(detector: Deployment) -> None:
    newest = detector.objects("reports/latest.html")["reports/latest.html"].decode()

    assert all(f'id="event={each["AnomalyGroupId"]}"' in newest for each in detector.groups()[-3:])


def test_a_script_of_the_ended_service_changes_one_line(
    cloud: LocalCloud, detector: Deployment, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in cloud.environment().items():
        monkeypatch.setenv(name, value)

    client = lookout.client(name="shop")

    arn = old_client.the_detector(client, "shop")
    assert arn == detector.outputs["crawl_arn"]
    found = old_client.groups(client, arn, 0, 3)
    stored = {each["AnomalyGroupId"]: each for each in detector.groups()}
    assert {each["AnomalyGroupId"] for each in found} == set(stored)
    levels = set()
    for group in found:
        begin, end = (parse_iso(group[key]) for key in ("StartTime", "EndTime"))
        assert all(
            len(by_time) == (end - begin) / timedelta(hours=1) for _, by_time, _ in group["Series"]
        )
        # Those of the finest level that shows it: what all of its leaves show a little has none.
        depths = {len(values) for values, _, _ in group["Series"]}
        assert len(depths) <= 1
        levels |= depths
    assert 2 in levels
    group = next(each for each in found if each["Series"])
    series_id = group["Series"][0][2]
    assert old_client.deny(client, arn, group, series_id)[series_id] is False
    (said,) = (each for each in detector.items("FEEDBACK#") if "undone_at" not in each)
    actions.undo(Deployed("shop", boto3.Session()), said["id"])
    facts = old_client.facts(client, arn)
    assert facts["dimensions"] == ["platform", "marketplace"]
    assert facts["runs"] == ["COMPLETED"] * 5
    assert facts["rows"] > 0
    assert len(facts["sample"]["SampleRows"]) == 10


def _live(detector: Deployment, begin: datetime) -> list[dict[str, Any]]:
    return [each for each in detector.groups() if parse_iso(each["StartTime"]) >= begin]


def _is_told_once(detector: Deployment, groups: set[str]) -> None:
    """Every group reached the queue as one alert, in the shape that old consumers read."""
    alerts = detector.alerts()
    assert sorted(each["anomalyGroupId"] for each in alerts) == sorted(groups)
    for alert in alerts:
        # Where one comes after another event, it is told in that one's thread.
        assert set(alert) - {"state"} == {
            *("anomalyDetectorArn", "anomalyScore", "consoleUrl", "anomalyGroupId", "alertName"),
            *("alertArn", "alertEventId", "alertDescription", "impactedMetric", "timestamp"),
        }
        assert alert["alertName"] == "everything"
        page = f"reports/events/{alert['anomalyGroupId']}.html"
        assert alert["consoleUrl"].endswith(f"prefix={quote(page, safe='')}")
        assert f'id="event={alert["anomalyGroupId"]}"' in detector.objects(page)[page].decode()
        assert set(alert["impactedMetric"]) == {
            *("metricName", "dimensionContribution", "relevantTimeSeries"),
        }


def test_a_crawl_takes_the_steps_that_the_cost_is_counted_with(
    cloud: LocalCloud, detector: Deployment
) -> None:
    crawl, unload = (
        detector.executions(detector.outputs[name])[-1] for name in ("crawl_arn", "statement_arn")
    )
    assert crawl.succeeded
    assert unload.succeeded

    pages = cloud.client("stepfunctions").get_paginator("get_execution_history")
    events = [
        event
        for arn in (crawl.arn, unload.arn)
        for page in pages.paginate(executionArn=arn)
        for event in page["events"]
    ]
    entered = [event for event in events if event["type"].endswith("StateEntered")]
    names = [event["stateEnteredEventDetails"]["name"] for event in entered]
    # Of a poll more than one: Judge, Wait and Poll.
    more = names.count("Poll") - 1
    called = {"Reconcile", "PlanCrawl", "Submit", "Poll", "DetectPart", "Commit", "Deliver"}
    steps = len(names) - 3 * more
    calls = sum(name in called for name in names) - more
    assert steps <= cost.CRAWL.transitions <= 1.25 * steps, names
    assert calls <= cost.CRAWL.invocations <= 1.25 * calls, names
