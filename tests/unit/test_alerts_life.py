"""What is told of an event after its opening."""

from __future__ import annotations

from typing import Any

import pytest
from anomaly_detector.alerts.life import is_news, is_over, standing, state_of
from anomaly_detector.config import Alert
from anomaly_detector.ledger.items import Told
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.alerts_samples import config, group, item

OPEN: dict[str, Any] = {"state": "OPEN"}
tolds = st.builds(
    Told, severity_class=st.sampled_from(["low", "medium", "high"]), over=st.booleans()
)


@pytest.mark.parametrize(
    ("severity", "expected"), [(50, "low"), (74.9, "low"), (75, "medium"), (90, "high")]
)
def test_a_severity_has_a_class(severity: float, expected: str) -> None:
    assert config().severity_class(severity) == expected


def test_the_classes_are_an_input() -> None:
    chosen = config(severity_classes={"medium": 50, "high": 60})
    assert [chosen.severity_class(one) for one in (49, 50, 60)] == ["low", "medium", "high"]


@pytest.mark.parametrize(
    ("interval", "quiet", "over"),
    [
        ("PT5M", 5, False),
        ("PT5M", 6, True),
        ("PT10M", 3, True),
        ("PT15M", 1, False),
        ("PT15M", 2, True),
        ("PT30M", 1, True),
        ("PT1H", 0, False),
        ("PT1H", 1, True),
        ("P1D", 1, True),
    ],
)
def test_an_event_is_over_after_half_an_hour_at_least_one_interval(
    interval: str, quiet: int, *, over: bool
) -> None:
    assert is_over(config(interval=interval), group(quiet=quiet, **OPEN)) is over


def test_an_event_that_closed_is_over() -> None:
    assert is_over(config(interval="PT5M"), group(quiet=1, state="CLOSED"))


def test_the_class_never_falls_and_rises_only_where_that_is_told() -> None:
    before = Told(severity_class="medium")
    for severity, alert, expected in [
        (60, Alert(), "medium"),
        (95, Alert(), "high"),
        (95, Alert(risen=False), "medium"),
    ]:
        found = standing(config(), alert, [group(severity=severity, **OPEN)], before)
        assert found.severity_class == expected


def test_an_event_that_has_become_several_is_over_with_the_last_of_them() -> None:
    parts = [group(severity=60), group("views", severity=92, **OPEN)]
    assert standing(config(), Alert(), parts) == Told(severity_class="high")
    assert standing(config(), Alert(), parts[:1]) == Told(severity_class="low", over=True)
    assert not standing(config(), Alert(ended=False), parts[:1]).over


@given(tolds, tolds)
def test_after_the_news_there_is_none(knows: Told, holds: Told) -> None:
    assert not is_news(holds, holds)
    found = state_of(item(group(), holds=holds), knows)
    if is_news(knows, holds):
        assert (found == "RESOLVED") is (holds.over and not knows.over)
    assert state_of(item(group(), holds=holds), None) == "OPEN"
