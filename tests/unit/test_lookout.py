"""Lookout's shapes: the anomaly group, the list of groups, the CSV exports."""

from __future__ import annotations

import csv
import io
import json

from anomaly_detector.alerts.words import sentence
from anomaly_detector.events.store import groups_from_bytes, groups_to_bytes
from anomaly_detector.lookout.exports import (
    dimension_contributions_csv,
    metric_value_csv,
    relevant_points,
)
from anomaly_detector.lookout.group import group_item, groups_json

from tests.unit.alerts_samples import HOUR, START, config, group, point


def test_groups_json_is_a_list_of_lookouts_groups_with_the_threshold() -> None:
    one = group(contributions={"platform": {"mobile_app": 100.0}})
    text = groups_json([one], threshold=50, scored_from=START, scored_to=START + 12 * HOUR)
    document = json.loads(text)
    assert document["threshold"] == 50
    assert document["scored_from"] == "2022-01-15T04:00:00Z"
    assert document["scored_to"] == "2022-01-15T16:00:00Z"
    (found,) = document["groups"]
    assert found["StartTime"] == "2022-01-15T04:00:00Z"
    assert found["EndTime"] == "2022-01-15T05:00:00Z"
    assert found["PrimaryMetricName"] == "revenue"
    assert found["Slices"] == [{"platform": "mobile_app"}]
    assert (found["State"], found["Actual"], found["Expected"]) == ("CLOSED", 650.0, 1000.0)
    (impact,) = found["MetricLevelImpactList"]
    assert (impact["MetricName"], impact["NumTimeSeries"]) == ("revenue", 3)
    assert impact["ContributionMatrix"]["DimensionContributionList"] == [
        {
            "DimensionName": "platform",
            "DimensionValueContributionList": [
                {"DimensionValue": "mobile_app", "ContributionScore": 100.0}
            ],
        }
    ]


def test_metric_value_csv_has_one_schema_for_all_measures() -> None:
    text = metric_value_csv(group("views", hours=2), config())
    rows = list(csv.DictReader(io.StringIO(text)))
    assert list(rows[0]) == [
        "key",
        "Timestamp",
        "platform",
        "marketplace",
        "revenueAnomalyMetricValue",
        "revenueGroupScore",
        "viewsAnomalyMetricValue",
        "viewsGroupScore",
    ]
    # Leaves only: with the roll-up (mobile_app, *) beside them, a dashboard's sum would be double.
    assert [row["key"] for row in rows] == [
        "2022-01-15 04:00:00mobile_appus",
        "2022-01-15 04:00:00mobile_appde",
        "2022-01-15 05:00:00mobile_appus",
        "2022-01-15 05:00:00mobile_appde",
    ]
    assert rows[0]["viewsAnomalyMetricValue"] == "650.0"
    assert rows[0]["viewsGroupScore"] == "83.333"
    assert rows[0]["revenueAnomalyMetricValue"] == rows[0]["revenueGroupScore"] == ""


def test_dimension_contributions_csv_has_the_old_columns() -> None:
    text = dimension_contributions_csv(group(contributions={"platform": {'a "b", c': 100.0}}))
    assert text == (
        "Timestamp,metricName,dimensionName,dimensionValue,valueContribution\n"
        '2022-01-15 04:00:00,revenue,platform,"a ""b"", c",100.0\n'
    )


def test_the_finest_level_that_occurs_is_relevant() -> None:
    rolled_up = [point(START, ("mobile_app", "*")), point(START, ("*", "*"))]
    assert [one.slice for one in relevant_points(rolled_up)] == [("mobile_app", "*")]
    assert relevant_points([point(START, ("a", "b"), actual=float("nan"))]) == ()


def test_the_stored_summary_has_lookouts_shape() -> None:
    item = group_item(group())
    assert list(item)[:6] == [
        "StartTime",
        "EndTime",
        "AnomalyGroupId",
        "AnomalyGroupScore",
        "PrimaryMetricName",
        "MetricLevelImpactList",
    ]
    assert item["StartTime"] == "2022-01-15T04:00:00Z"
    assert item["EndTime"] == "2022-01-15T05:00:00Z"
    (impact,) = item["MetricLevelImpactList"]
    assert impact["NumTimeSeries"] == 3
    assert impact["ContributionMatrix"]["DimensionContributionList"][1] == {
        "DimensionName": "marketplace",
        "DimensionValueContributionList": [
            {"DimensionValue": "us", "ContributionScore": 67.6},
            {"DimensionValue": "de", "ContributionScore": 32.4},
        ],
    }
    assert item["Slices"] == [{"platform": "mobile_app"}]


def test_the_stored_summary_stays_below_the_size_of_an_item() -> None:
    names = [f"dimension_{place}" for place in range(10)]
    many = {f"{'é' * 5000}{value}": 0.01 for value in range(1000)}
    item = group_item(
        group(
            contributions=dict.fromkeys(names, many),
            slices=[dict.fromkeys(names, "é" * 5000)] * 1000,
            actual=1e300,
            expected=1e-300,
        )
    )
    assert len(json.dumps(item, ensure_ascii=False).encode()) < 400_000
    assert (item["Actual"], item["Expected"]) == (None, 0.0)


def test_a_group_has_its_kind_its_value_may_be_none_and_it_may_be_the_new_level() -> None:
    one = group(kind="no data", actual=None)

    item = group_item(one)
    assert (item["Kind"], item["Actual"], item["Expected"]) == ("no data", None, 1000.0)
    text = groups_json([one], threshold=50, scored_from=START, scored_to=START + HOUR)
    (told,) = json.loads(text)["groups"]
    assert (told["Kind"], told["Actual"], told["Accepted"]) == ("no data", None, False)
    assert group_item(group(kind="level", accepted=True))["Accepted"] is True
    assert (told["Habit"], group_item(group(habit="month"))["Habit"]) == ("", "month")


def test_groups_of_a_former_version_have_no_kind() -> None:
    stored = json.loads(groups_to_bytes([group()]))
    for one in stored:
        del one["kind"], one["accepted"], one["habit"], one["leaves"]

    (found,) = groups_from_bytes(json.dumps(stored).encode())

    assert (found.kind, found.leaves) == (None, ())
    assert sentence(config(), found).startswith("revenue down 35 % on mobile_app")
