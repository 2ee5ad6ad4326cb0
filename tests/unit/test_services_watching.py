"""A detector that scores nothing, or whose document does not come into force, says so once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from anomaly_detector.services import documents
from anomaly_detector.services.failures import record_failure
from anomaly_detector.services.topic import Topic
from botocore.exceptions import ClientError
from moto import mock_aws

from tests.unit.services_world import DAY, H1, World, document, sales

NOON = timedelta(hours=12)


class Spy:
    """A topic that keeps what is published, or refuses it."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.refuses = False

    def publish(self, **given: Any) -> None:
        if self.refuses:
            raise ClientError({"Error": {"Code": "Throttled"}}, "Publish")
        self.messages.append(f"{given['Subject']}\n{given['Message']}")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        found = World(sales(8))
        found.upload(document())
        yield found


@pytest.fixture
def spy(world: World) -> Spy:
    found = Spy()
    world.operations = Topic(found, "arn")
    return found


def fails(world: World, day: int) -> None:
    """A crawl that fails when it unloads."""
    at = H1 + DAY * day + NOON
    assert world.plan(at, f"c{day}").due
    nobody = Topic(Spy(), "arn")
    error = {"Error": "PermanentError", "Cause": "no route to S3"}
    record_failure(world.ledger, nobody, "shop", "crawl", f"c{day}", world.config_hash, error)


def test_a_detector_that_scores_nothing_says_so_once_and_again_the_next_time(
    world: World, spy: Spy
) -> None:
    world.activate()
    for day in (1, 2, 3):
        fails(world, day)
    assert spy.messages == []

    for day in (4, 5):
        fails(world, day)

    (message,) = spy.messages
    assert "shop: no interval is scored" in message
    assert "since 2026-03-02T00:00:00Z; 4 are due" in message
    assert "Reason: no route to S3" in message
    assert world.crawl(H1 + DAY * 5 + NOON, "works")
    assert len(spy.messages) == 1
    for day in (6, 7, 8, 9):
        fails(world, day)
    assert len(spy.messages) == 2


def test_the_first_crawl_after_a_pause_says_nothing(world: World, spy: Spy) -> None:
    world.activate()

    assert world.crawl(H1 + DAY * 7 + NOON, "late")

    assert spy.messages == []


def test_a_crawl_that_goes_on_for_long_is_named(world: World, spy: Spy) -> None:
    world.activate()
    assert world.plan(H1 + DAY + NOON, "slow").due

    for day in (4, 5):
        moment = H1 + DAY * day + NOON
        assert not world.plan(moment, f"c{day}", now=H1 + DAY + NOON).due

    (message,) = spy.messages
    assert "Reason: The execution slow is still crawling." in message


def test_what_could_not_be_told_is_told_by_the_next_crawl(world: World, spy: Spy) -> None:
    world.activate()
    for day in (1, 2, 3):
        fails(world, day)
    spy.refuses = True
    fails(world, 4)
    spy.refuses = False

    fails(world, 5)

    assert len(spy.messages) == 1


@pytest.mark.parametrize("valid", [True, False])
def test_a_document_that_does_not_come_into_force_says_so(
    world: World,
    spy: Spy,
    valid: bool,  # noqa: FBT001
) -> None:
    world.activate()
    in_force = world.config_hash
    world.upload(document(description="new") if valid else b"{}")
    documents.keep_current(world.store)
    uploaded = H1 + NOON
    body = {"wanted_hash": world.config_hash, "wanted_at": uploaded.isoformat()}
    world.table.update("DETECTOR", {**body, "status": "FAILED", "status_reason": "no such column"})

    world.config_hash = in_force

    done = [world.crawl(uploaded + DAY * day, f"c{day}") for day in (1, 2, 3, 4, 5)]

    (message,) = spy.messages
    assert "shop: has not been ACTIVE for 3 intervals" in message
    assert f"while configuration {in_force} stays in force" in message
    assert "Reason: no such column" in message
    assert done[-1]


def test_a_detector_that_was_never_in_force_says_that_nothing_is_watched(
    world: World, spy: Spy
) -> None:
    world.table.update(
        "DETECTOR",
        {"status": "ACTIVATING", "wanted_hash": world.config_hash, "wanted_at": H1.isoformat()},
    )

    world.plan(H1 + DAY * 9, "c")

    (message,) = spy.messages
    assert "ACTIVATING" in message
    assert "nothing is watched" in message


@pytest.mark.parametrize("budget", [{"seconds": 100}, {"dollars": 0.2, "dollars_per_hour": 3}])
def test_a_spent_budget_pauses_crawls_until_the_month_ends_and_says_so_once(
    world: World, spy: Spy, budget: dict[str, float]
) -> None:
    world.upload(document(budget=budget))
    world.activate()
    assert world.crawl(H1 + DAY + NOON, "c1")
    # Four statements count as a minute each: four minutes, of which 0.2 dollars pay four.
    for number in range(4):
        world.ledger.add_usage(H1 + DAY, f"s{number}", 26_000)

    assert not any(world.crawl(H1 + DAY * day + NOON, f"c{day}") for day in (2, 3))

    (message,) = spy.messages
    assert "shop: the budget is spent" in message
    assert "4 statements took 104 seconds" in message
    assert "pause until 2026-04-01T00:00:00Z" in message
    assert "budget is spent" in (world.ledger.detector().status_reason or "")
    waiting = world.ledger.intervals(H1 + DAY, H1 + DAY * 3).values()
    assert {one.status for one in waiting} == {"DUE"}
    # The next month pays for all of them.
    assert world.crawl(H1 + DAY * 7 + NOON, "april", now=H1 + DAY * 31)
    assert world.ledger.detector().watermark == H1 + DAY * 7
    assert world.ledger.detector().status_reason is None


def test_without_a_budget_nothing_is_counted_at_a_crawl(world: World, spy: Spy) -> None:
    world.activate()
    world.ledger.add_usage(H1 + DAY, "s", 10**9)

    assert world.crawl(H1 + DAY + NOON, "c1")
    assert spy.messages == []
