"""Precision and recall against the plants."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from anomaly_detector.intervals import iso

from local.shop import Incident
from local.shop_truth import judge

NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
INCIDENT = Incident(
    ("views", "revenue"), NOON, NOON + 2 * HOUR, {"platform": "mobile_app"}, "platform", 0.3
)


def _group(
    name: str, measure: str = "views", start: int = 0, slices: list[dict[str, str]] | None = None
) -> dict[str, Any]:
    return {
        "AnomalyGroupId": name,
        "PrimaryMetricName": measure,
        "StartTime": iso(NOON + start * HOUR),
        "EndTime": iso(NOON + (start + 1) * HOUR),
        "Slices": slices if slices is not None else [{"platform": "mobile_app"}],
    }


def test_same_measure_overlap_and_slice_match() -> None:
    found = judge([_group("a"), _group("b", "revenue", 1)], [INCIDENT], NOON, NOON + HOUR)

    assert (found.precision, found.recall) == (1.0, 1.0)
    assert [groups for _, groups in found.found] == [("a",), ("b",)]


@pytest.mark.parametrize(
    "group",
    [
        _group("other measure", "clicks"),
        _group("later", start=2),
        _group("earlier", start=-1),
        _group("another slice", slices=[{"platform": "pc_web"}]),
        _group("the total says nothing of where", slices=[{}]),
    ],
    ids=lambda group: group["AnomalyGroupId"],
)
def test_what_differs_is_false_and_leaves_the_plant_missed(group: dict[str, Any]) -> None:
    found = judge([group], [INCIDENT], NOON, NOON + HOUR)

    assert (found.precision, found.recall) == (0.0, 0.0)
    assert found.false == (group["AnomalyGroupId"],)


def test_a_finer_slice_lies_within_the_planted_one() -> None:
    finer = _group("a", slices=[{"platform": "mobile_app", "marketplace": "de"}])

    assert judge([finer], [INCIDENT], NOON, NOON + HOUR).recall == 0.5


def test_an_event_in_two_pieces_is_found_once_and_no_piece_is_false() -> None:
    found = judge([_group("a"), _group("b", start=1)], [INCIDENT], NOON, NOON + HOUR)

    assert (found.precision, found.recall) == (1.0, 0.5)


def test_plants_that_begin_outside_the_window_are_not_asked_for() -> None:
    found = judge([], [INCIDENT], NOON + HOUR, NOON + 9 * HOUR)

    assert (found.precision, found.recall) == (1.0, 1.0)
