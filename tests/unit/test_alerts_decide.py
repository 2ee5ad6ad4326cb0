from __future__ import annotations

from datetime import timedelta

import pytest
from anomaly_detector.alerts.decide import decide, predecessors, triggers
from anomaly_detector.config import Alert
from anomaly_detector.ledger.items import GroupItem
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.alerts_samples import HOUR, START, config, group, point

DIMENSIONS = ("platform", "marketplace")


def extent(one, **changes) -> GroupItem:
    values = {"group_id": one.id, "measure": one.measure, "start": one.start, "end": one.end}
    return GroupItem(**(values | changes))


def never(_alert: str, _group_id: str) -> bool:
    return False


@pytest.mark.parametrize(("threshold", "expected"), [(0, True), (83.333, True), (83.34, False)])
def test_threshold_is_reached_or_not(threshold, expected) -> None:
    assert triggers(Alert(threshold=threshold), group(), DIMENSIONS) is expected


@pytest.mark.parametrize(
    ("measures", "expected"), [((), True), (("revenue",), True), (("views",), False)]
)
def test_measures_filter(measures, expected) -> None:
    assert triggers(Alert(measures=measures), group(), DIMENSIONS) is expected


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"platform": ["mobile_app"]}, True),
        ({"platform": ["pc_web"]}, False),
        ({"platform": ["pc_web", "mobile_app"]}, True),
        ({"platform": ["mobile_app"], "marketplace": ["us"]}, True),
        ({"platform": ["mobile_app"], "marketplace": ["uk"]}, False),
        ({"platform": ["pc_web"], "marketplace": ["us"]}, False),
        ({"platform": []}, True),
        ({"marketplace": ["*"]}, True),
    ],
)
def test_dimension_filters_are_or_inside_and_across(filters, expected) -> None:
    assert triggers(Alert(dimension_filters=filters), group(), DIMENSIONS) is expected


def test_dimension_filters_are_met_by_one_slice_not_by_two_together() -> None:
    apart = group(
        points=[point(START, ("mobile_app", "uk")), point(START, ("pc_web", "us"))], slices=[{}]
    )
    both = Alert(dimension_filters={"platform": ("mobile_app",), "marketplace": ("us",)})
    assert not triggers(both, apart, DIMENSIONS)


def test_groups_from_before_activation_are_history() -> None:
    alerts = config().alerts
    told = {"live_from": START, "earlier": (), "told": never}
    assert [one.because for one in decide(alerts, [group()], DIMENSIONS, **told)] == [None]
    before = group(start=START - HOUR, hours=3)
    assert decide(alerts, [before], DIMENSIONS, **told) == ()


def test_what_was_decided_is_not_decided_again() -> None:
    told = {("orders", group().id)}
    found = decide(
        config().alerts,
        [group()],
        DIMENSIONS,
        live_from=None,
        earlier=[extent(group())],
        told=lambda alert, one: (alert, one) in told,
    )
    assert found == ()


def test_a_group_that_replaces_one_that_was_told_is_held_back() -> None:
    old, new = group(start=START, hours=2), group(start=START + HOUR, hours=2)
    alerts = config().alerts | {
        "late": Alert(sns_topic_arns=("arn:aws:sns:eu-west-1:123456789012:late",))
    }
    decisions = decide(
        alerts,
        [new],
        DIMENSIONS,
        live_from=None,
        earlier=[extent(old)],
        told=lambda alert, one: (alert, one) == ("orders", old.id),
    )
    assert [(one.alert, one.because) for one in decisions] == [("orders", old.id), ("late", None)]


@given(st.integers(-5, 5), st.integers(1, 4), st.integers(1, 4))
def test_kin_shares_an_interval(shift: int, hours: int, others: int) -> None:
    one = group(hours=hours)
    other = group(start=START + shift * HOUR, hours=others, id="other")
    mine = {START + n * HOUR for n in range(hours)}
    theirs = {other.start + n * HOUR for n in range(others)}
    assert bool(predecessors(one, [extent(other)])) == bool(mine & theirs)
    assert not predecessors(one, [extent(other, measure="views")])
    assert not predecessors(one, [extent(one)])


def test_oldest_groups_come_first() -> None:
    groups = [group(start=START + timedelta(hours=n)) for n in (5, 1, 3)]
    found = decide(config().alerts, groups, DIMENSIONS, live_from=None, earlier=(), told=never)
    assert [one.group.start for one in found] == sorted(one.start for one in groups)
