"""Rows that arrive after their interval was crawled: in the end all is as if they had been there.

The same hours are crawled twice, with all rows in time and with some of them late.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from anomaly_detector.intervals import iso, parse_iso

from local.cloud import LocalCloud
from local.harness import Deployment

HOUR = timedelta(hours=1)
KEYS = ["interval_start", "measure", "platform", "marketplace"]
COLUMNS = "ts, platform, marketplace, views, revenue"
FIRST = "platform = (select min(id) from platform)"
NUMBERS = ["actual", "expected", "lower", "upper", "severity"]


def test_rows_that_are_late_end_as_in_a_clean_run_and_are_told_once(
    cloud: LocalCloud, detector: Deployment
) -> None:
    begin = _trained_afresh(detector, 1)
    end = begin + 4 * HOUR
    _crawls(detector, end)
    clean_scores, clean_groups = _found(detector, begin)

    late = begin = max(begin, _trained_afresh(detector, 2))
    detector.alerts()
    _hold_back(cloud, late)
    try:
        _crawls(detector, late + HOUR)
        # Without its first platform the shop has collapsed, as far as anybody can see.
        wrong = [each for each in detector.groups() if parse_iso(each["StartTime"]) == late]
        assert {each["PrimaryMetricName"] for each in wrong} == {"views", "revenue"}
        told = [each["anomalyGroupId"] for each in detector.alerts()]
        assert sorted(told) == sorted(each["AnomalyGroupId"] for each in wrong)
        rows = _interval(detector, late)["rows"]
    finally:
        _let_come(cloud)

    _crawls(detector, late + 2 * HOUR)

    revised = _interval(detector, late)
    assert revised["status"] == "REVISED"
    assert revised["rows"] > rows
    assert _interval(detector, late + HOUR)["status"] == "SCORED"
    _crawls(detector, end)
    scores, groups = _found(detector, begin)
    assert groups == [each for each in clean_groups if parse_iso(each["StartTime"]) >= begin]
    clean = clean_scores.filter(pc.greater_equal(clean_scores["interval_start"], _time(begin)))
    assert scores.select(KEYS).equals(clean.select(KEYS))
    assert scores["anomalous"].equals(clean["anomalous"])
    for name in NUMBERS:
        np.testing.assert_allclose(
            scores[name].to_numpy(), clean[name].to_numpy(), rtol=1e-9, err_msg=name
        )
    # What both runs found was told in the first; what was undone is retracted, once.
    undone = [each["AnomalyGroupId"] for each in wrong]
    void = detector.alerts()
    assert sorted(each["anomalyGroupId"] for each in void) == sorted(undone)
    assert all(each["retracted"] for each in void)
    assert not [key for key in detector.objects("results/") for each in undone if each in key]


def test_late_rows_raise_an_event_and_their_deletion_takes_it_back(
    cloud: LocalCloud, detector: Deployment
) -> None:
    hour = detector.watermark() - HOUR
    detector.alerts()
    _add_rows(cloud, hour, times=3)
    try:
        _crawls(detector, hour + 2 * HOUR)

        assert _interval(detector, hour)["status"] == "REVISED"
        raised = {
            each["AnomalyGroupId"]: each["PrimaryMetricName"]
            for each in detector.groups()
            if parse_iso(each["StartTime"]) == hour
        }
        assert set(raised.values()) == {"views", "revenue"}
        told = [each["anomalyGroupId"] for each in detector.alerts()]
        assert set(raised) <= set(told)
        assert len(told) == len(set(told))
    finally:
        _take_rows(cloud, hour)

    _crawls(detector, hour + 3 * HOUR)

    assert not set(raised) & {each["AnomalyGroupId"] for each in detector.groups()}


def test_an_hour_without_any_row_is_missing_and_an_event(
    cloud: LocalCloud, detector: Deployment
) -> None:
    # given an hour of which nothing was told when it was crawled for the first time
    _crawls(detector, detector.watermark() + 7 * HOUR)
    hour = detector.watermark()
    detector.alerts()
    _hold_back(cloud, hour, "platform is not null")
    try:
        # when
        _crawls(detector, hour + HOUR)
        # then
        missing = _interval(detector, hour)
        assert (missing["status"], missing["rows"]) == ("MISSING", 0)
        found = [each for each in detector.groups() if parse_iso(each["StartTime"]) == hour]
        # A sum is zero then.
        assert "views" in {each["PrimaryMetricName"] for each in found}
        told = [each["anomalyGroupId"] for each in detector.alerts()]
        assert {each["AnomalyGroupId"] for each in found} <= set(told)
    finally:
        _let_come(cloud)
    _crawls(detector, hour + 2 * HOUR)
    assert _interval(detector, hour)["status"] == "REVISED"


def _trained_afresh(detector: Deployment, number: int) -> datetime:
    """Train again on what has landed, so that time goes back to now; returns the watermark."""
    # Scores do not depend on the look-back, and the model is trained anew for each.
    detector.upload({**detector.document(), "lookback_intervals": 3 + number})
    pipeline = detector.wait_for_pipeline()
    assert pipeline.succeeded, pipeline.cause
    return detector.watermark()


def _crawls(detector: Deployment, until: datetime) -> None:
    crawl = detector.crawl(until + timedelta(minutes=1))
    assert crawl.succeeded, crawl.cause
    assert detector.watermark() == until


def _found(detector: Deployment, begin: datetime) -> tuple[pa.Table, list[dict[str, Any]]]:
    """Scores, sorted, and groups from a time on."""
    scores = detector.results("scores")
    scores = scores.filter(pc.greater_equal(scores["interval_start"], _time(begin)))
    groups = [each for each in detector.groups() if parse_iso(each["StartTime"]) >= begin]
    for each in groups:
        # Which crawl wrote it.
        del each["attempt_id"]
    return scores.sort_by([(name, "ascending") for name in KEYS]), groups


def _time(moment: datetime) -> pa.Scalar:
    return pa.scalar(moment, pa.timestamp("ms", tz="UTC"))


def _interval(detector: Deployment, start: datetime) -> dict[str, Any]:
    (found,) = detector.items(f"INTERVAL#{iso(start)}")
    return found


def _hold_back(cloud: LocalCloud, hour: datetime, which: str = FIRST) -> None:
    where = f"{_within(hour)} and {which}"
    cloud.execute("shop", f"create table late as select {COLUMNS} from ecommerce where {where}")
    cloud.execute("shop", f"delete from ecommerce where {where}")


def _within(hour: datetime) -> str:
    return f"ts >= timestamp '{hour:%F %T}' and ts < timestamp '{hour + HOUR:%F %T}'"


def _add_rows(cloud: LocalCloud, hour: datetime, times: int) -> None:
    """The rows of an hour so many times again."""
    rows = f"select {COLUMNS} from ecommerce where {_within(hour)}"
    cloud.execute("shop", f"create table known as {rows}")
    for _ in range(times):
        cloud.execute("shop", f"insert into ecommerce ({COLUMNS}) select {COLUMNS} from known")


def _take_rows(cloud: LocalCloud, hour: datetime) -> None:
    cloud.execute("shop", f"delete from ecommerce where {_within(hour)}")
    cloud.execute("shop", f"insert into ecommerce ({COLUMNS}) select {COLUMNS} from known")
    cloud.execute("shop", "drop table known")


def _let_come(cloud: LocalCloud) -> None:
    cloud.execute("shop", f"insert into ecommerce ({COLUMNS}) select {COLUMNS} from late")
    cloud.execute("shop", "drop table late")
