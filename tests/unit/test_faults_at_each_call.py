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


@pytest.fixture(autouse=True)
def _aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield


def active(name: str) -> World:
    world = World(sales(5), name, emulated=True)
    world.upload(document())
    world.activate()
    return world


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
