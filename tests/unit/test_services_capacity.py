"""What training, crawls and machines do with more than a function's memory or time holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from anomaly_detector import capacity
from anomaly_detector.errors import PermanentError
from anomaly_detector.services import history
from anomaly_detector.services.failures import record_failure
from anomaly_detector.services.payloads import HistoryPlan, Part, Window
from anomaly_detector.services.topic import Topic
from moto import mock_aws

from tests.unit.services_world import DAY, H1, World, document, sales

NOON = timedelta(hours=12)
# The least that a function can have, and what makes it too little.
LEAST_MB = 512
BASE = (LEAST_MB + 100) * 2**20


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with mock_aws():
        yield World(sales(4))


def test_history_that_the_memory_cannot_hold_is_refused_before_it_is_held(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capacity, "BASE", BASE)
    world.upload(document(memory_mb=LEAST_MB))

    with pytest.raises(PermanentError, match=r"6 series in the unloaded history: .* set lambda\."):
        world.activate()

    assert not list(world.store.keys("models/"))


def test_a_crawl_that_has_outgrown_the_memory_says_what_to_set(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.upload(document())
    world.activate()
    trained = world.config
    world.upload(document(memory_mb=LEAST_MB))
    world.activate("pipeline-2")
    monkeypatch.setattr(capacity, "BASE", BASE)
    plan = world.plan(H1 + DAY + NOON, "c1")
    landed = world.unload(plan, H1 + DAY + NOON, "c1")

    with pytest.raises(PermanentError, match="6 series in the window: a crawl of 3 intervals"):
        world.detect(plan, landed)

    assert world.config.query_hash == trained.query_hash
    assert world.config.model_hash == trained.model_hash


@pytest.mark.parametrize(
    "error",
    [
        {
            "Error": "Runtime.ExitError",
            "Cause": json.dumps(
                {
                    "errorType": "Runtime.ExitError",
                    "errorMessage": "RequestId: 1 Error: Runtime exited with error: signal: killed",
                }
            ),
        },
        {"Error": "Runtime.OutOfMemory", "Cause": ""},
        {
            "Error": "Lambda.Unknown",
            "Cause": "The cause could not be determined because Lambda did not return an error "
            'type. Returned payload: {"errorMessage":"RequestId: 1 Process exited before '
            'completing request"}',
        },
    ],
)
def test_a_function_that_was_killed_for_its_memory_is_told_in_words(
    world: World, error: dict[str, str]
) -> None:
    reason = recorded(world, error)

    assert reason.startswith("A function needed more memory than lambda.memory_mb: increase it")
    assert reason.endswith(")")


@pytest.mark.parametrize(
    "error",
    [
        {"Error": "Sandbox.Timedout", "Cause": "RequestId: 1 Error: Task timed out after 900.00 s"},
        {
            "Error": "Lambda.Unknown",
            "Cause": 'Returned payload: {"errorMessage":"1 Task timed out after 900.10 seconds"}',
        },
    ],
)
def test_a_function_that_reached_its_time_is_told_in_words(
    world: World, error: dict[str, str]
) -> None:
    assert "exceeded its time limit of 15 minutes" in recorded(world, error)
    short = {**error, "Cause": error["Cause"].replace("900", "60")}
    assert "15 minutes" not in recorded(world, short)


def recorded(world: World, error: dict[str, str]) -> str:
    """What is on file and on the topic of a failure of the pipeline."""
    world.upload(document())
    sent: list[str] = []

    class Spy:
        def publish(self, **given: Any) -> None:
            sent.append(given["Message"])

    failure = record_failure(
        world.ledger, Topic(Spy(), "arn"), "shop", "pipeline", "e", world.config_hash, error
    )
    assert world.ledger.detector().status_reason == failure.reason
    assert f"Reason: {failure.reason}\n" in sent[0]
    return failure.reason


def test_what_functions_hand_on_stays_within_a_payload() -> None:
    moment = H1 + DAY * 12_345
    window = Window(window_start=moment, window_end=moment)
    plan = HistoryPlan(
        config_hash="0" * 16,
        history_start=moment,
        history_end=moment,
        chunks=(window,) * history.MOST_CHUNKS,
        parts=(Part(part=0, measures=("revenue",)),),
        train=True,
    )
    # What the Map makes of each chunk stands in its output until it is dropped.
    item = {"config_hash": plan.config_hash, **window.answer()}
    state = json.dumps({"plan": plan.answer(), "unloaded": [item] * history.MOST_CHUNKS})

    assert len(state.encode()) < 256 * 1024
