"""What an operator asks of the pipeline: a new model, and a time of the history unloaded again."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from anomaly_detector.errors import PermanentError
from anomaly_detector.intervals import Grid
from anomaly_detector.ledger.items import Chunk
from anomaly_detector.services.history import plan_history, sources
from anomaly_detector.services.payloads import HistoryPlan, Retraining, Window
from moto import mock_aws

from tests.unit.services_world import DAY, H1, World, document, sales

LATER = H1 + timedelta(hours=6)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        found = World(sales(4))
        found.upload(document())
        found.activate(at=H1)
        yield found


def plan(world: World, **asked: object) -> HistoryPlan:
    wanted = Retraining.model_validate(asked)
    return plan_history(world.store, world.ledger, world.config_hash, LATER, asked=wanted)


def again(first: int, last: int) -> Window:
    """Days before H1."""
    return Window(window_start=H1 - DAY * first, window_end=H1 - DAY * last)


def test_without_being_asked_a_model_that_fits_is_kept(world: World) -> None:
    assert not plan(world).train
    assert not plan(world, config_hash="what reconcile gives").train


def test_a_new_model_is_trained_on_what_is_landed(world: World) -> None:
    found = plan(world, retrain=True)

    assert found.train
    assert found.parts
    assert found.chunks == ()


def test_chunks_of_a_time_are_unloaded_again_as_a_whole(world: World) -> None:
    landed = world.ledger.chunks(world.config.query_hash)
    wanted = again(40, 39)

    found = plan(world, again=wanted)

    (chunk,) = [
        each
        for each in landed
        if each.window_start < wanted.window_end and wanted.window_start < each.window_end
    ]
    assert found.train
    assert [(each.window_start, each.window_end) for each in found.chunks] == [
        (chunk.window_start, chunk.window_end)
    ]


def test_what_lies_outside_of_the_history_is_refused_with_its_bounds(world: World) -> None:
    with pytest.raises(PermanentError, match="lies outside of the history, which is from"):
        plan(world, again=again(4000, 3999))


def test_what_was_unloaded_last_counts() -> None:
    def chunk(first: int, last: int, landed: int | None) -> Chunk:
        return Chunk(
            window_start=H1 - DAY * first,
            window_end=H1 - DAY * last,
            prefix="",
            manifest=f"{first}",
            landed_at=None if landed is None else H1 + DAY * landed,
        )

    # given chunks of a former version, and one of their time that was unloaded again
    chunks = [chunk(20, 10, 5), chunk(30, 0, None), chunk(40, 30, None)]
    # then it is read last, although another ends later
    found = sources(Grid("P1D", "UTC"), chunks)
    assert [each.manifest for each in found] == ["40", "30", "20"]
