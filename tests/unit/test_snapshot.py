"""A snapshot is one file of series and events, and comes back as it was."""

from __future__ import annotations

import numpy as np
import pytest
from anomaly_detector import snapshot as module
from anomaly_detector.errors import PermanentError
from anomaly_detector.replay import replay
from anomaly_detector.snapshot import Snapshot, from_bytes, to_bytes

from tests.unit.detection_panels import panel, seasonal, settings


def _with_an_event() -> Snapshot:
    chosen = settings()
    values = seasonal(500)
    values[-2:] *= 0.1
    series = {"ä": values, "(null)": seasonal(500, seed=2)}
    return replay(chosen, Snapshot.initial(chosen), panel(series)).after


def test_a_snapshot_comes_back_from_bytes_as_it_was() -> None:
    learnt = _with_an_event()
    (event,) = learnt.events

    again = from_bytes(to_bytes(learnt))

    state = again.state
    assert state.until == learnt.state.until
    assert (state.dimensions, state.measures) == (("platform",), ("views",))
    assert state.slices.tolist() == [["(null)"], ["ä"]]
    assert set(state.named()) == set(learnt.state.named())
    assert all((state.named()[name] == array).all() for name, array in learnt.state.named().items())
    (found,) = again.events
    assert (found.first, found.slices, found.points) == (event.first, event.slices, event.points)
    assert found.points
    assert (found.evidence, found.severity) == (event.evidence, event.severity)
    for name in ("actual", "expected", "intervals"):
        one, other = getattr(found.sums, name), getattr(event.sums, name)
        assert one.dtype == other.dtype
        assert one.tolist() == other.tolist()
        assert one.any()
    assert to_bytes(again) == to_bytes(learnt)


def test_a_snapshot_before_any_interval_comes_back() -> None:
    none = Snapshot.initial(settings(dimensions=()))

    again = from_bytes(to_bytes(none))

    assert np.isnat(again.state.until)
    assert again.events == ()


def test_a_replay_leaves_the_snapshot_that_it_begins_with_as_it_is() -> None:
    learnt = _with_an_event()
    before = to_bytes(learnt)
    chosen = settings()
    later = panel({"ä": seasonal(520), "(null)": seasonal(520), "new": seasonal(520)})

    replay(chosen, learnt, later.cut(500, 520))

    assert to_bytes(learnt) == before


def test_a_snapshot_of_another_format_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FORMAT", 0)
    old = to_bytes(Snapshot.initial(settings()))
    monkeypatch.undo()

    with pytest.raises(PermanentError, match=r"format 0.*start the pipeline again"):
        from_bytes(old)


@pytest.mark.parametrize("content", [b"", b"PK", b"not a model"])
def test_what_is_no_snapshot_says_what_to_do(content: bytes) -> None:
    with pytest.raises(PermanentError, match="start the pipeline again"):
        from_bytes(content)


@pytest.mark.parametrize("wrong", [b"{", b"{}", b'[{"measure": "views"}]'])
def test_events_that_cannot_be_read_say_what_to_do(
    wrong: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    learnt = _with_an_event()
    monkeypatch.setattr(module, "events_to_bytes", lambda _: wrong)
    content = to_bytes(learnt)

    with pytest.raises(PermanentError, match="start the pipeline again"):
        from_bytes(content)
