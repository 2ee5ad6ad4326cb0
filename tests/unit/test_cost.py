"""The cost table counts a crawl's requests and events, adds up, and is what README.md shows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from anomaly_detector.lake import layout
from anomaly_detector.services import reconcile
from anomaly_detector.services.executions import Executions
from anomaly_detector.services.payloads import Request
from anomaly_detector.services.statement import poll, submit
from moto import mock_aws

from scripts import cost
from tests.unit.services_world import DAY, H1, World, document, sales
from tests.unit.test_services_statement import Warehouse

WRITES = {"PutObject", "CopyObject", "ListObjectsV2", "ListObjects"}
FREE = {"DeleteObject", "DeleteObjects"}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        found = World(sales(8), emulated=True)
        found.upload(document())
        found.activate()
        yield found


class Meter:
    """Counts what S3, DynamoDB and EventBridge charge for."""

    def __init__(self, world: World) -> None:
        self.counts: Counter[str] = Counter()
        for one in (world.store, world.table):
            one._client.meta.events.register("before-parameter-build", self._count)

    def _count(self, params: dict[str, Any], model: Any, **_: object) -> None:
        name = model.name
        if model.service_model.service_name == "s3":
            # Objects written and deleted; a lifecycle rule deletes those below live/.
            if name in ("PutObject", "CopyObject"):
                self.counts["events"] += 2 if params["Key"].startswith("live/") else 1
            elif name in FREE:
                self.counts["events"] += len(params.get("Delete", {}).get("Objects", [None]))
            if name not in FREE:
                self.counts["s3_writes" if name in WRITES else "s3_reads"] += 1
        elif name == "TransactWriteItems":
            self.counts["table_writes"] += 2 * len(params["TransactItems"])
        elif name in ("GetItem", "Query"):
            # Consistent reads take a whole unit of 4 KB.
            self.counts["table_reads"] += 1
        else:
            self.counts["table_writes"] += 1


def _crawl(world: World, number: int) -> None:
    at, execution = H1 + DAY * number, f"crawl-{number}"
    pipeline = Executions(None, "none is started")
    reconcile.reconcile(world.store, world.ledger, pipeline, lambda _: None)
    plan = world.plan(at, execution)
    request = Request.model_validate(
        {
            "config_hash": plan.config_hash,
            "purpose": "live",
            "window_start": plan.window_start,
            "window_end": plan.window_end,
            "due_start": plan.due_start,
            "crawl": execution,
        }
    )
    warehouse = Warehouse([{"Status": "FINISHED", "ResultRows": -1, "Duration": 1}])
    submitting = (world.store, world.ledger, warehouse.of, request, execution, 1, at)
    begun = submit(*submitting, lambda _: None, at)
    assert plan.due_start
    assert plan.window_start
    assert plan.window_end
    prefix = layout.live_attempt(plan.due_start, begun.attempt_id)
    landed = world.land(prefix, plan.window_start, plan.window_end, at)
    poll(world.store, world.ledger, warehouse.of, request, begun, execution, at, at)
    detected = world.detect(plan, landed, at)
    assert world.commit(plan, landed, detected, at).committed
    world.deliver(at, execution)


def test_given_a_quiet_crawl_when_its_requests_are_counted_then_the_table_has_as_many(
    world: World,
) -> None:
    _crawl(world, 1)
    meter = Meter(world)
    _crawl(world, 2)
    for name, counted in meter.counts.items():
        assert counted <= getattr(cost.CRAWL, name) <= 1.25 * counted, (name, counted)


def test_given_the_table_when_its_columns_are_added_then_they_are_the_sums_that_it_shows() -> None:
    lines = cost.table().splitlines()
    amounts = [
        [float(each) for each in re.findall(r"\$(\d+\.\d\d)\*{0,2} \|", f"{line} |")]
        for line in lines
    ]
    parts, (total,) = amounts[2:-2], amounts[-2:-1]
    assert len(total) == len(cost.CRAWLS)
    for place, amount in enumerate(total):
        assert sum(part[-len(total) :][place] for part in parts) == pytest.approx(amount)


def test_given_readme_when_compared_then_it_shows_the_table() -> None:
    assert cost.table() in cost.README.read_text(encoding="utf-8")
