"""Widgets of the dashboard on the local cloud: who may look, who may press, what that changes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.cloud import LocalCloud
from local.harness import Deployment
from local.shop import Shop
from tests.widget_rules import Action, Widget

HOUR = timedelta(hours=1)
ROLES = ("looks", "presses")


@pytest.fixture
def people(cloud: LocalCloud, detector: Deployment) -> Iterator[dict[str, Any]]:
    """Lambda clients of somebody who may look, and of somebody who may press as well."""
    iam = cloud.client("iam")
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    found = {}
    for name, functions in (("looks", ["console"]), ("presses", ["console", "respond"])):
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy(trust))["Role"]
        allowed = {
            "Effect": "Allow",
            "Action": "lambda:InvokeFunction",
            "Resource": [_arn(detector, key) for key in functions],
        }
        iam.put_role_policy(RoleName=name, PolicyName="it", PolicyDocument=_policy(allowed))
        signed_in = cloud.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="jane")
        found[name] = cloud.client("lambda", **signed_in["Credentials"])
    yield found
    for name in ROLES:
        iam.delete_role_policy(RoleName=name, PolicyName="it")
        iam.delete_role(RoleName=name)


def test_what_people_press_changes_what_the_next_crawl_tells(
    cloud: LocalCloud, detector: Deployment, sample: Shop, people: dict[str, Any]
) -> None:
    # given an event whose alerts somebody holds back with the button below it
    incident = sample.incidents[1]
    widget = _shown(detector, people["looks"], view="events")
    assert widget.button("Show").attributes["endpoint"] == _arn(detector, "console")
    (known,) = (
        each
        for each in detector.groups()
        if incident.slice in each["Slices"] and each["PrimaryMetricName"] == "revenue"
    )
    event = _shown(detector, people["looks"], view="event", group_id=known["AnomalyGroupId"])
    assert "Noted as an anomaly" in _pressed(people["presses"], event.button("Yes"))
    (said,) = (each for each in detector.items("FEEDBACK#") if "undone_at" not in each)
    assert (said["group_id"], said["by"]) == (known["AnomalyGroupId"], "dashboard shop")
    button = event.button("For a week")
    with pytest.raises(ClientError, match="AccessDenied"):
        _pressed(people["looks"], button, reason="A sale")
    assert "field Reason" in _pressed(people["presses"], button, reason="")
    assert "held back until" in _pressed(people["presses"], button, reason="A sale")
    # when rows of its slice are lacking, so long after that it is not the same event
    late = incident.end + 36 * HOUR
    if detector.watermark() < late:
        assert detector.crawl(late + timedelta(minutes=1)).succeeded
    hour = detector.watermark()
    before = {each["AnomalyGroupId"] for each in detector.groups()}
    detector.received("alerts")
    _take(cloud, hour, incident.slice)
    try:
        crawl = detector.crawl_next()
        # then the event is found, and told of the other measure alone
        assert crawl.succeeded, crawl.cause
        fresh = [each for each in detector.groups() if each["AnomalyGroupId"] not in before]
        assert {each["PrimaryMetricName"] for each in fresh} == {"revenue", "views"}
        told = [each["Message"]["impactedMetric"] for each in detector.received("alerts")]
        assert [each["metricName"] for each in told] == ["views"]
        # when the mute is ended, the event that lasts is told
        status = _shown(detector, people["looks"], view="status")
        assert "A sale" in status.text
        assert "has ended" in _pressed(people["presses"], status.button("End it"))
        crawl = detector.crawl_next()
        assert crawl.succeeded, crawl.cause
        told = [each["Message"]["impactedMetric"] for each in detector.received("alerts")]
        assert "revenue" in [each["metricName"] for each in told]
    finally:
        _bring_back(cloud)


def test_every_widget_keeps_the_rules_and_the_dashboard_calls_it(
    cloud: LocalCloud, detector: Deployment, people: dict[str, Any]
) -> None:
    found = cloud.client("cloudwatch").get_dashboard(DashboardName="shop")
    for one in json.loads(found["DashboardBody"])["widgets"]:
        if one["type"] == "custom":
            properties = one["properties"]
            assert properties["endpoint"] == _arn(detector, "console")
            assert _shown(detector, people["looks"], **properties["params"]).text


def _arn(detector: Deployment, key: str) -> str:
    found = detector.cloud.client("lambda").get_function_configuration(
        FunctionName=detector.outputs["function_names"][key]
    )
    return str(found["FunctionArn"])


def _shown(detector: Deployment, client: Any, **params: str) -> Widget:
    now = detector.watermark() + HOUR
    span = {"start": _ms(now - timedelta(days=20)), "end": _ms(now)}
    context = {"theme": "dark", "timeRange": span, "forms": {"all": {}}, "params": params}
    html = _invoked(client, _arn(detector, "console"), {**params, "widgetContext": context})
    assert isinstance(html, str)
    widget = Widget(html)
    assert widget.faults == []
    return widget


def _pressed(client: Any, button: Action, **form: str) -> str:
    """What the popup shows, as CloudWatch calls the function with the rights of who presses."""
    context = {"dashboardName": "shop", "forms": {"all": form}}
    endpoint = button.attributes["endpoint"]
    return str(_invoked(client, endpoint, {**button.payload, "widgetContext": context})["markdown"])


def _invoked(client: Any, function: str, event: dict[str, Any]) -> Any:
    answer = client.invoke(FunctionName=function, Payload=json.dumps(event))
    body = json.loads(answer["Payload"].read())
    assert not answer.get("FunctionError"), body
    return body


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _ms(moment: Any) -> int:
    return round(moment.timestamp() * 1000)


def _take(cloud: LocalCloud, hour: Any, where: dict[str, str]) -> None:
    """Take the rows of two hours and a slice away."""
    of_slice = " and ".join(
        f"{table} = (select id from {table} where name = '{value}')"
        for table, value in where.items()
    )
    until = hour + 2 * HOUR
    rows = f"ts >= timestamp '{hour:%F %T}' and ts < timestamp '{until:%F %T}' and {of_slice}"
    cloud.execute("shop", f"create table taken as select * from ecommerce where {rows}")
    cloud.execute("shop", f"delete from ecommerce where {rows}")


def _bring_back(cloud: LocalCloud) -> None:
    columns = "ts, platform, marketplace, views, revenue"
    cloud.execute("shop", f"insert into ecommerce ({columns}) select {columns} from taken")
    cloud.execute("shop", "drop table taken")
