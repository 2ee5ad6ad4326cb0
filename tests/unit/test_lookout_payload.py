from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest
from anomaly_detector.lookout import payload as module
from anomaly_detector.lookout.payload import (
    MAX_BYTES,
    Origin,
    alert_payload,
    console_url,
    encode,
    time_series_id,
    whole_shares,
    zoned,
)
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.alerts_samples import CRAWL, HOUR, START, TOPIC, config, group, leaf, point

ORIGIN = Origin(CRAWL, "shop-results")
FR = ("mobile_app", "fr")
KEY = "results/anomalies/date=2022-01-15/x.parquet"
# The documented alert, whose keys, order, types and nesting old consumers rely on.
DOCUMENTED = """
{"anomalyDetectorArn": "…", "anomalyScore": 83.33, "consoleUrl": "https://…",
 "anomalyGroupId": "<uuid>", "alertName": "…", "alertArn": "…",
 "alertEventId": "<alertArn>:event/<anomalyGroupId>", "alertDescription": "…",
 "impactedMetric": {"metricName": "revenue",
   "dimensionContribution": [{"dimensionName": "category", "dimensionValueContributions": [
       {"dimensionValue": "apparels", "valueContribution": 68},
       {"dimensionValue": "electronics", "valueContribution": 32}]}],
   "relevantTimeSeries": [{"timeSeriesId": "<128 hex digits>", "dimensions": [
       {"dimensionName": "category", "dimensionValue": "electronics"}], "metricValue": 650}]},
 "timestamp": "2022-01-15T04:25Z[UTC]"}
"""


def shape(value: object) -> object:
    """Keys in their order and types of values; of a list its first element."""
    if isinstance(value, dict):
        return [(key, shape(one)) for key, one in value.items()]
    if isinstance(value, list):
        return [shape(value[0])]
    return type(value).__name__


def described(**changes):
    alert = {"threshold": 50, "sns_topic_arns": [TOPIC], "description": "tell the shop"}
    return config(alerts={"orders": alert}, **changes)


def sent(one=None, configuration=None) -> dict:
    body = encode(
        alert_payload(ORIGIN, configuration or described(), "orders", one or group(), KEY)
    )
    return json.loads(body)


def test_the_payload_has_the_documented_keys_order_types_and_nesting() -> None:
    assert shape(sent()) == shape(json.loads(DOCUMENTED))


def test_the_payload_says_what_the_group_says() -> None:
    found = sent()
    arn = f"{CRAWL}:alert/orders"
    assert found["anomalyDetectorArn"] == CRAWL
    assert found["anomalyScore"] == 83.33
    assert found["anomalyGroupId"] == group().id
    assert (found["alertName"], found["alertArn"]) == ("orders", arn)
    assert found["alertEventId"] == f"{arn}:event/{group().id}"
    assert found["alertDescription"] == "tell the shop"
    assert found["timestamp"] == "2022-01-15T04:00Z[UTC]"
    assert found["impactedMetric"]["dimensionContribution"][1] == {
        "dimensionName": "marketplace",
        "dimensionValueContributions": [
            {"dimensionValue": "us", "valueContribution": 68},
            {"dimensionValue": "de", "valueContribution": 32},
        ],
    }


def test_an_alert_without_description_has_null() -> None:
    assert sent(configuration=config())["alertDescription"] is None


def test_series_are_leaves_with_their_first_anomalous_value_or_mean_most_affected_first() -> None:
    points = [
        point(START, ("mobile_app", "*"), 900, 99),
        point(START, ("mobile_app", "us"), 650, 60),
        point(START + HOUR, ("mobile_app", "us"), 10, 70),
        point(START + HOUR, ("mobile_app", "de"), 12.5, 80),
    ]
    leaves = [leaf(("mobile_app", "de"), 12.5), leaf(("mobile_app", "us"), 660), leaf(FR, 900, 450)]
    one = group(points=points, hours=2, leaves=leaves)
    series = sent(one)["impactedMetric"]["relevantTimeSeries"]
    assert [(one["dimensions"][1]["dimensionValue"], one["metricValue"]) for one in series] == [
        ("de", 12.5),
        ("us", 650),
        ("fr", 450),
    ]
    assert all(re.fullmatch("[0-9a-f]{128}", one["timeSeriesId"]) for one in series)


def test_a_series_has_the_dimensions_that_there_are() -> None:
    by_platform = described(dimensions=["platform"])
    (one,) = sent(group(leaves=[leaf(("mobile_app",))]), by_platform)["impactedMetric"][
        "relevantTimeSeries"
    ]
    assert one["dimensions"] == [{"dimensionName": "platform", "dimensionValue": "mobile_app"}]
    (total,) = sent(group(leaves=[leaf(())]), described(dimensions=[]))["impactedMetric"][
        "relevantTimeSeries"
    ]
    assert total["dimensions"] == []


def test_series_ids_tell_series_apart_and_stay_the_same() -> None:
    names = ("platform", "marketplace")
    ids = {
        time_series_id(measure, names, one)
        for measure in ("revenue", "views")
        for one in [("a", "b"), ("ab", "*"), ("a", "*"), ("*", "a"), ("*", "*")]
    }
    assert len(ids) == 10
    assert time_series_id("revenue", names, ("a", "b")) in ids


@pytest.mark.parametrize(
    ("zone", "moment", "expected"),
    [
        ("UTC", datetime(2022, 1, 15, 4, 25, tzinfo=UTC), "2022-01-15T04:25Z[UTC]"),
        (
            "Europe/Berlin",
            datetime(2022, 1, 15, 4, 25, tzinfo=UTC),
            "2022-01-15T05:25+01:00[Europe/Berlin]",
        ),
        (
            "Europe/Berlin",
            datetime(2022, 7, 15, 4, 0, tzinfo=UTC),
            "2022-07-15T06:00+02:00[Europe/Berlin]",
        ),
        (
            "America/St_Johns",
            datetime(2022, 1, 15, 4, 0, tzinfo=UTC),
            "2022-01-15T00:30-03:30[America/St_Johns]",
        ),
        ("Europe/London", datetime(2022, 1, 15, tzinfo=UTC), "2022-01-15T00:00Z[Europe/London]"),
    ],
)
def test_timestamps_are_in_the_detectors_zone(zone, moment, expected) -> None:
    assert zoned(moment, zone) == expected


@pytest.mark.parametrize(
    ("partition", "region", "host"),
    [
        ("aws", "eu-west-1", "console.aws.amazon.com"),
        ("aws-us-gov", "us-gov-west-1", "console.amazonaws-us-gov.com"),
        ("aws-cn", "cn-north-1", "console.amazonaws.cn"),
    ],
)
def test_the_console_link_opens_the_results_in_the_partition(partition, region, host) -> None:
    origin = Origin(f"arn:{partition}:states:{region}:123456789012:stateMachine:shop-crawl", "b")
    assert console_url(origin, "results/date=x/a b.parquet") == (
        f"https://{host}/s3/object/b?region={region}&prefix=results%2Fdate%3Dx%2Fa%20b.parquet"
    )


shares = st.dictionaries(st.text(max_size=3), st.floats(0.001, 1e6), min_size=1, max_size=40)


@given(shares, st.integers(1, 20))
def test_shares_are_whole_and_sum_to_100(given_shares, limit) -> None:
    found = whole_shares(given_shares, limit)
    assert len(found) <= limit
    assert sum(share for _, share in found) == 100
    assert all(share >= 0 for _, share in found)
    if len(given_shares) > limit:
        assert found[-1][0] == module.OTHERS


def test_shares_of_nothing_are_none() -> None:
    assert whole_shares({}, 5) == []
    assert whole_shares({"a": 0.0}, 5) == []


def test_a_huge_group_stays_below_the_size_of_a_message() -> None:
    values = [f"{'ü' * 900}{place}" for place in range(400)]
    one = group(
        leaves=[leaf((value, value)) for value in values],
        contributions={
            "platform": dict.fromkeys(values, 0.25),
            "marketplace": dict.fromkeys(values, 0.25),
        },
    )
    body = encode(alert_payload(ORIGIN, described(), "orders", one, KEY))
    assert len(json.dumps(body, ensure_ascii=False).encode()) <= MAX_BYTES
    impact = json.loads(body)["impactedMetric"]
    # The most affected series is kept.
    assert impact["relevantTimeSeries"][0]["dimensions"][0]["dimensionValue"] == values[0]
    for dimension in impact["dimensionContribution"]:
        assert (
            sum(one["valueContribution"] for one in dimension["dimensionValueContributions"]) == 100
        )


def test_values_too_long_for_any_message_leave_the_alert_itself() -> None:
    long = "x" * 300_000
    one = group(leaves=[leaf((long, long))], contributions={"platform": {long: 100.0}}, slices=[{}])
    found = sent(one)
    assert found["impactedMetric"]["relevantTimeSeries"] == []
    assert found["anomalyGroupId"] == one.id
