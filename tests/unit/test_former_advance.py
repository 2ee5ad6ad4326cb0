"""Groups that a replay gives are those that were made of its scores before, window by window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from anomaly_detector import replay as module
from anomaly_detector.detection import DetectorSettings
from anomaly_detector.events.follow import follow
from anomaly_detector.panel import Panel
from anomaly_detector.replay import replay
from anomaly_detector.snapshot import Snapshot, from_bytes, to_bytes

from tests.unit import detection_panels, test_detection_properties
from tests.unit.former_advance import EventState, Mark, advance

MARKET = test_detection_properties.CHOSEN
SHOP = detection_panels.settings(
    measures={"views": {}, "revenue": {}},
    dimensions=detection_panels.DIMENSIONS,
    false_events_per_week=1,
)
FAULTS = [(("mobile_app", "*"), 400, 404, 0.3), (("*", "de"), 420, 423, 3.0)]


@pytest.fixture
def marks(monkeypatch: pytest.MonkeyPatch) -> list[Mark]:
    """What was once said of each event in each interval of a replay."""
    found: list[Mark] = []

    def recording(*given: Any) -> Any:
        kept, frozen = follow(*given)
        at = given[6]
        for event in kept:
            shown = "SHOWN" if event.last == at else "QUIET"
            found.append(
                Mark(
                    at,
                    event.measure,
                    event.opened,
                    event.first,
                    event.slices,
                    event.side,
                    event.severity,
                    "CLOSED" if event.closed else shown,
                )
            )
        return kept, frozen

    monkeypatch.setattr(module, "follow", recording)
    return found


def _market(seed: int) -> tuple[DetectorSettings, Panel]:
    return MARKET, test_detection_properties._market(seed, late=(2, 7))


def _shop(seed: int) -> tuple[DetectorSettings, Panel]:
    return SHOP, detection_panels.shop(480, seed, FAULTS)


@pytest.mark.parametrize(
    ("made", "seed"), [(_market, 1), (_market, 2), (_market, 3), (_market, 4), (_shop, 1)]
)
def test_windows_with_a_look_back_give_the_same_groups(
    made: Callable[[int], tuple[DetectorSettings, Panel]], seed: int, marks: list[Mark]
) -> None:
    chosen, whole = made(seed)
    size, lookback = len(whole.starts), 3
    random = np.random.default_rng(seed)
    told = 0
    # training, of which the newest part is scored, then crawls of some intervals each
    begin, end = 0, size // 2
    scored_from = whole.starts[size // 4]
    snapshot, carried = Snapshot.initial(chosen), EventState()
    while True:
        base = end - lookback
        marks.clear()
        done = replay(
            chosen,
            snapshot,
            whole.cut(begin, end),
            snapshot_at=whole.starts[base],
            score_from=scored_from if begin == 0 else None,
        )
        first = int(done.scores.starts[0].astype(np.int64))
        scored = [mark for mark in marks if mark.at >= first]
        was = advance(chosen, carried, done.scores, scored, whole.starts[base])

        assert done.groups == was.groups
        told += len(done.groups)
        assert done.before
        snapshot, carried = from_bytes(to_bytes(done.before)), was.carried
        if end == size:
            break
        begin, end = base, min(size, end + int(random.integers(1, 13)))
    assert told > 10
