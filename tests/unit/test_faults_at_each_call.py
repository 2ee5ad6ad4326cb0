"""A crawl whose calls fail one by one: each step, tried again, ends as that of a clean one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import pytest
from anomaly_detector.services.failures import record_end
from anomaly_detector.services.topic import Topic
from botocore.exceptions import ClientError, ReadTimeoutError
from moto import mock_aws

from tests.unit.services_world import DAY, H1, World, document, sales

NOON = timedelta(hours=12)
CRAWL = "arn:aws:states:eu-west-1:123456789012:execution:shop-crawl:one"
T = TypeVar("T")
# Of the calls of a crawl, so many apart: all of them take minutes.
EVERY = 9


class Line:
    """What lies between a world's clients and AWS: one call is refused, or its reply lost."""

    def __init__(self, world: World) -> None:
        self.calls = 0
        self.fails_at = 0
        self.lost = False
        self.struck = ""
        for client in (world.store._client, world.table._client):
            client.meta.events.register("before-call", self._before)
            client.meta.events.register("after-call", self._after)

    def _before(self, model: Any, context: dict[str, Any], **_: Any) -> None:
        self.calls += 1
        context["number"] = self.calls
        if self.calls == self.fails_at and not self.lost:
            self.struck = model.name
            raise ClientError({"Error": {"Code": "ThrottlingException"}}, model.name)

    def _after(self, model: Any, context: dict[str, Any], **_: Any) -> None:
        if context["number"] == self.fails_at and self.lost:
            self.struck = model.name
            raise ReadTimeoutError(endpoint_url="https://aws")


def until_done(step: Callable[[], T]) -> T:
    """A step as its state machine tries it: again, where it failed for what may pass."""
    try:
        return step()
    except (ClientError, ReadTimeoutError):
        return step()


def crawl(world: World) -> None:
    """One crawl, step by step."""
    at = H1 + DAY * 4 + NOON
    plan = until_done(lambda: world.plan(at, CRAWL))
    assert plan.due, plan.held_by
    landed = until_done(lambda: world.unload(plan, at, CRAWL))
    shards = until_done(lambda: world.detect(plan, landed, at))
    assert until_done(lambda: world.commit(plan, landed, shards, at)).committed
    until_done(lambda: world.deliver(at))


@pytest.fixture(autouse=True)
def _aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield


def active(name: str) -> World:
    world = World(sales(5), name)
    world.upload(document())
    world.activate()
    return world


def ended(world: World) -> tuple[Any, ...]:
    """All that a crawl leaves behind, but for what counts tries, and when the world was made."""
    detector = world.ledger.detector().model_dump(exclude={"revision", "wanted_at"})
    kinds = ("INTERVAL#", "DELIVERY#", "LEASE#", "LOCK#")
    items = [item for kind in kinds for item in world.table.query(kind)]
    sent = {message["anomalyGroupId"] for message in world.mail.messages}
    assert len(sent) == len(world.mail.messages)
    alerts = world.table.query("ALERT#")
    assert {item["group_id"] for item in alerts} == sent
    return world.published(), world.groups(), detector, items, sent


@pytest.mark.parametrize("lost", [False, True], ids=["refused", "reply lost"])
def test_a_crawl_ends_as_a_clean_one_whichever_call_fails(lost: bool) -> None:  # noqa: FBT001
    clean = active("clean")
    line = Line(clean)
    crawl(clean)
    total, wanted = line.calls, ended(clean)
    assert total > 50
    for number in range(1 + EVERY // 2 * lost, total + 1, EVERY):
        world = active(f"faulty-{number}")
        line = Line(world)
        line.fails_at, line.lost = number, lost

        crawl(world)

        assert line.struck
        names = ("results", "groups", "detector", "items", "sent")
        for name, left, right in zip(names, ended(world), wanted, strict=True):
            assert left == right, (number, line.struck, name)


@pytest.mark.parametrize("lost", [False, True], ids=["refused", "reply lost"])
def test_the_end_of_a_crawl_is_recorded_whichever_call_fails(lost: bool) -> None:  # noqa: FBT001
    told: list[str] = []

    class Client:
        def publish(self, **_: Any) -> None:
            told.append("told")

    topic = Topic(Client(), "arn")
    world = active("ending")
    line = Line(world)
    line.lost = lost
    number, total = 1, 1
    while number <= total:
        execution = f"{CRAWL}-{number}"
        line.fails_at = 0
        assert world.plan(H1 + DAY + NOON, execution).due
        line.calls, line.fails_at = 0, number
        told.clear()

        until_done(partial(record_end, world.ledger, topic, "shop", execution, "ABORTED"))

        total = max(total, line.calls // 2)
        assert told
        line.fails_at = 0
        assert world.ledger.intervals(H1, H1 + DAY)[H1].status == "FAILED"
        assert world.table.query("LEASE#") == []
        number += 1
    assert total > 3
