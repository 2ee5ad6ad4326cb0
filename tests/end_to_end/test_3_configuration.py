"""Changes of the configuration, by apply and by upload, and what can be wrong with them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.cloud import LocalCloud
from local.cloud.testing import eventually
from local.harness import Deployment, Execution

MEASURES: dict[str, Any] = {"views": {}, "revenue": {}}


def test_a_changed_measure_runs_the_pipeline_again(detector: Deployment) -> None:
    before, query = len(detector.unloads()), detector.detector()["query_hash"]

    detector.apply(measures={"views": {}, "revenue": {"aggregation": "AVG"}})
    pipeline = detector.wait_for_pipeline()

    assert pipeline.succeeded, pipeline.cause
    state = detector.detector()
    assert state["status"] == "ACTIVE"
    assert state["config_hash"] == detector.config_hash()
    assert state["query_hash"] != query
    assert len(detector.unloads()) > before


def test_what_is_landed_for_the_same_query_is_not_unloaded_again(detector: Deployment) -> None:
    before = len(detector.unloads())

    detector.apply(alert_threshold=70)
    pipeline = detector.wait_for_pipeline()

    assert pipeline.succeeded, pipeline.cause
    assert detector.detector()["config_hash"] == detector.config_hash()
    assert len(detector.unloads()) == before


def test_an_uploaded_document_starts_the_pipeline_by_its_event(detector: Deployment) -> None:
    detector.upload({**detector.document(), "description": "Uploaded by hand"})

    pipeline = detector.wait_for_pipeline()

    assert pipeline.succeeded, pipeline.cause
    assert detector.detector()["config_hash"] == detector.config_hash()


def test_without_the_event_the_next_crawl_starts_the_pipeline(
    cloud: LocalCloud, detector: Deployment
) -> None:
    cloud.redshift_faults.drop_object_events("config/detector.json")
    detector.upload({**detector.document(), "description": "Nobody heard of it"})
    eventually(lambda: any(each["hits"] for each in cloud.redshift_faults.list()))
    assert detector.pipelines(detector.config_hash()) == []

    crawl = detector.crawl_next()
    pipeline = detector.wait_for_pipeline()

    assert crawl.succeeded, crawl.cause
    assert pipeline.succeeded, pipeline.cause
    assert len(detector.pipelines(detector.config_hash())) == 1


def test_memory_that_cannot_hold_the_series_is_refused_with_what_to_set(
    detector: Deployment,
) -> None:
    detector.received("operations")

    # Memory is also the share of a CPU, and so long a history takes its time.
    history = {"length": "P99999D", "chunk": "P365D"}
    small = {"interval": "PT5M", "memory_mb": 512, "history": history}
    detector.upload({**detector.document(), **small})
    pipeline = detector.wait_for_pipeline()

    _is_failed(detector, pipeline, "and lambda.memory_mb is 512; set lambda.memory_mb to at least")


def test_a_bad_column_is_named_before_anything_is_unloaded(detector: Deployment) -> None:
    before = len(detector.unloads())
    detector.received("operations")

    detector.apply(measures={"views": {}, "revenu": {}})
    pipeline = detector.wait_for_pipeline()

    _is_failed(detector, pipeline, "revenu")
    assert len(detector.unloads()) == before


def test_back_to_the_last_good_configuration_needs_no_new_unload(detector: Deployment) -> None:
    before = len(detector.unloads())

    detector.apply(measures={"views": {}, "revenue": {"aggregation": "AVG"}})
    pipeline = detector.wait_for_pipeline()

    assert pipeline.succeeded, pipeline.cause
    assert detector.detector()["status"] == "ACTIVE"
    # Nothing but the hours since the first history.
    assert len(detector.unloads()) <= before + 1


def test_a_wrong_secret_fails_the_pipeline_until_it_is_put_right(
    cloud: LocalCloud, detector: Deployment, secret: str
) -> None:
    secrets = cloud.client("secretsmanager")
    right = secrets.get_secret_value(SecretId=secret)["SecretString"]
    wrong = json.dumps({**json.loads(right), "password": "not-the-password"})
    secrets.put_secret_value(SecretId=secret, SecretString=wrong)
    detector.received("operations")

    try:
        detector.apply(lookback_intervals=2)
        _is_failed(detector, detector.wait_for_pipeline(), "password authentication failed")
        assert "not-the-password" not in str(detector.items(""))
    finally:
        secrets.put_secret_value(SecretId=secret, SecretString=right)

    by_hand = detector.wait_for(detector.start_pipeline())
    assert by_hand.succeeded, by_hand.cause
    assert detector.detector()["status"] == "ACTIVE"


def test_a_failed_chunk_fails_the_pipeline_and_the_rest_is_kept(
    cloud: LocalCloud, detector: Deployment
) -> None:
    cloud.redshift_faults.fail("unload", error="ERROR: Disk Full")
    before = len(detector.unloads())
    detector.received("operations")

    detector.apply(measures=MEASURES | {"views": {"aggregation": "AVG"}})
    _is_failed(detector, detector.wait_for_pipeline(), "Disk Full")
    tried = len(detector.unloads()) - before

    landed = [each for each in detector.unloads()[before:] if each["status"] == "FINISHED"]
    by_hand = detector.wait_for(detector.start_pipeline())
    assert by_hand.succeeded, by_hand.cause
    assert detector.detector()["status"] == "ACTIVE"
    # Every chunk was unloaded to its end once.
    finished = [each for each in detector.unloads()[before:] if each["status"] == "FINISHED"]
    assert len(detector.unloads()) - before == tried + len(finished) - len(landed)
    query = detector.detector()["query_hash"]
    assert len(finished) == len(detector.items(f"CHUNK#{query}"))


def _is_failed(detector: Deployment, pipeline: Execution, reason: str) -> None:
    """The execution is FAILED, and status, reason and one message to the operators say why."""
    assert pipeline.status == "FAILED"
    state = detector.detector()
    assert state["status"] == "FAILED"
    assert reason in state["status_reason"]
    told = detector.received("operations")
    assert len(told) == 1, told
    assert reason in str(told[0]["Message"])


@pytest.fixture(autouse=True)
def _starts_in_force(detector: Deployment) -> None:
    """Each test here finds a detector whose document was tried, however that ended."""
    detector.wait_for_pipeline()
