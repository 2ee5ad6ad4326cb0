"""Feedback through the services: what it changes, and that the order of crawls changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from anomaly_detector.services import feedback

from tests.unit.services_world import DAY, H1, Sale, World, document, sales

FALLS = (H1 + 3 * DAY, H1 + 14 * DAY)
SAID_AT = H1 + 5 * DAY + DAY / 2


def rows(late: int = 0) -> list[Sale]:
    """Two falls alike of one platform, the later one no stronger; half of the rows of a day in
    between may come late.
    """
    found = []
    for one in sales(19, late={(6, "mobile_web"): late} if late else None):
        revenue = one.revenue
        if one.platform == "mobile_app" and one.day in FALLS:
            usual = 0.5 * (1000 + 100 * one.day.weekday())
            revenue = round(usual * (0.8 if one.day == FALLS[0] else 0.81), 2)
        found.append(replace(one, revenue=revenue))
    return found


def world(
    crawls: Sequence[int], *, answer: bool | None, late: int = 0, undo: bool = False
) -> World:
    """A shop that is crawled after so many days; after the fifth day somebody answers."""
    made = World(rows(late))
    made.upload(document(alerts={}))
    made.activate()
    given = False
    for day in crawls:
        if day > 5 and not given and answer is not None:
            given = True
            (event,) = fallen(made, 0)
            name = str(event["AnomalyGroupId"])
            facts = feedback.give(made.ledger, made.config, name, answer, None, "jane", SAID_AT)
            if undo:
                feedback.undo(made.ledger, made.config, facts["id"], SAID_AT + DAY / 4)
        made.crawl(H1 + day * DAY, f"crawl-{day}")
    return made


def fallen(made: World, which: int) -> list[dict[str, object]]:
    return [
        one
        for one in made.groups()
        if str(one["StartTime"])[:10] == f"{FALLS[which]:%Y-%m-%d}"
        and one["PrimaryMetricName"] == "revenue"
    ]


EACH = range(1, 18)


@pytest.fixture(scope="module")
def silent() -> World:
    """Crawled daily, with a no."""
    return world(EACH, answer=False)


def test_what_is_undone_can_be_said_again_within_the_same_second() -> None:
    made = world(range(1, 6), answer=None)
    name = str(made.groups()[0]["AnomalyGroupId"])
    ids = []
    for _ in range(2):
        facts = feedback.give(made.ledger, made.config, name, False, None, "jane", SAID_AT)
        feedback.undo(made.ledger, made.config, facts["id"], SAID_AT)
        ids.append(facts["id"])

    ended = feedback.listed(made.ledger, made.config, ended=True)
    assert sorted(one["id"] for one in ended) == sorted(set(ids))
    assert len(ended) == 2


def test_no_holds_for_the_intervals_after_it_and_for_no_other(silent: World) -> None:
    assert len(fallen(world(EACH, answer=None), 1)) == 1
    assert len(fallen(silent, 0)) == 1
    assert fallen(silent, 1) == []


def test_what_is_undone_before_it_matters_never_was() -> None:
    undone, never = world(EACH, answer=False, undo=True), world(EACH, answer=None)
    assert undone.published() == never.published()


@pytest.mark.parametrize(
    ("crawls", "late"), [((1, 2, 4, 5, 9, 10, 16, 17), 0), (EACH, 2), ((1, 5, 6, 7, 8, 17), 1)]
)
def test_missed_crawls_and_late_rows_give_what_one_on_time_gives(
    crawls: Sequence[int], late: int, silent: World
) -> None:
    other = world(crawls, answer=False, late=late)
    assert other.published() == silent.published()


def test_a_training_takes_what_was_said_before_it_for_the_whole_history(silent: World) -> None:
    at = H1 + 18 * DAY
    assert silent.ledger.detector().taught == H1
    # The same document with another budget of false events is another model.
    silent.upload(document(alerts={}, false_events_per_week=1.1))
    silent.activate("pipeline-2", at)

    assert silent.ledger.detector().taught == at
    assert silent.plan(at + DAY, "next").taught == at
    assert fallen(silent, 0) == fallen(silent, 1) == []
