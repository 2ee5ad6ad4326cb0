"""The threshold that gives the messages a week that somebody wishes for, and what it shows."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from anomaly_detector import backtest
from anomaly_detector.alerts.decide import Linked, openings
from anomaly_detector.alerts.words import sentence
from anomaly_detector.config import Alert
from anomaly_detector.events.group import Earlier
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.alerts_samples import HOUR, START, config, group

WEEK = timedelta(weeks=1)


def events(*severities: float):
    return [group(start=START + place * HOUR, severity=one) for place, one in enumerate(severities)]


@pytest.mark.parametrize(
    ("severities", "weeks", "wished", "threshold", "expected"),
    [
        ((), 4, 1, 50, 0),
        ((60, 55, 90), 4, 1, 50, 0.75),
        ((60, 55.5, 90, 70, 80), 4, 1, 56, 1.0),
        ((60, 60, 60), 2, 1, 61, 0),  # as strong as one that is too many
        ((60, 60, 90), 4, 0.25, 61, 0.25),
        ((60, 90), 4, 0.1, 91, 0),
        ((100, 100), 1, 1, 100, 2),  # static bounds: there is no higher threshold
    ],
)
def test_the_threshold_is_the_lowest_that_gives_no_more(
    severities, weeks, wished, threshold, expected
) -> None:
    found = backtest.recommend(events(*severities), START, START + weeks * WEEK, wished, 3600)
    assert (found.threshold, found.expected_per_week) == (threshold, expected)


@given(
    st.lists(st.floats(50, 99.9), max_size=60), st.integers(1, 20), st.sampled_from([0.2, 1, 3, 10])
)
def test_no_more_than_wished_and_a_lower_one_would_give_more(severities, weeks, wished) -> None:
    found = backtest.recommend(events(*severities), START, START + weeks * WEEK, wished, 3600)

    def told(threshold: float) -> int:
        return sum(one >= threshold for one in severities)

    assert told(found.threshold) <= wished * weeks
    assert found.threshold == 50 or told(found.threshold - 1) > int(wished * weeks)


def test_what_is_told_in_a_thread_opens_nothing() -> None:
    # given an event, one that came after it, and one that came after one which the threshold hides
    first, other = group(severity=70.0), group(start=START + 9 * HOUR, severity=52.0)
    again = group(start=START + 5 * HOUR, severity=80.0, after=(Earlier(first.id, 70.0),))
    alone = group(start=START + 14 * HOUR, severity=60.0, after=(Earlier(other.id, 52.0),))
    groups = [alone, again, other, first]
    # then threads are no messages of their own, as long as the event that they follow is told
    none = Linked((), HOUR)
    assert openings(Alert(threshold=50), groups, none) == 2
    assert openings(Alert(threshold=60), groups, none) == 2
    assert openings(Alert(threshold=75), groups, none) == 1
    found = backtest.recommend(groups, START, START + WEEK, 2, 3600)
    assert (found.threshold, found.expected_per_week) == (50, 2.0)


@pytest.mark.parametrize(
    ("alerts", "threshold"),
    [
        ([], 61),
        ([Alert(link_measures=True)], 50),
        ([Alert(link_measures=True), Alert(link_measures=False)], 61),
    ],
)
def test_linked_events_count_as_the_alerts_tell_them(alerts, threshold) -> None:
    both = [
        group(measure, first={}, rose=((START, severity),), severity=severity)
        for measure, severity in (("views", 60.0), ("revenue", 61.0))
    ]
    found = backtest.recommend(both, START, START + WEEK, 1, 3600, alerts)
    assert found.threshold == threshold


def test_the_ten_strongest_are_shown_in_words() -> None:
    groups = events(*range(50, 65))
    found = backtest.recommend(groups, START, START + WEEK, 1, 3600)
    said = found.to_dict(lambda one: sentence(config(), one))

    assert [one["severity"] for one in said["strongest"]] == list(range(64, 54, -1))
    assert said["strongest"][0]["event"].startswith("revenue down 35 % on mobile_app")
    assert said["strongest"][0]["id"] == groups[-1].id
    assert json.loads(json.dumps(said)) == said
