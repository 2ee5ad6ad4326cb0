"""What an event says of the values in it: those of its slice are at least as severe."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from anomaly_detector.config import ROLLED_UP
from anomaly_detector.detection import THRESHOLD_SEVERITY
from anomaly_detector.events.group import Group
from anomaly_detector.panel import Scores, second
from anomaly_detector.replay import Replay, replay
from anomaly_detector.snapshot import Snapshot

from tests.unit.detection_panels import DIMENSIONS, settings, shop

HOURS = 24 * 7 * 5
BEGIN, END = HOURS - 40, HOURS - 30
CHOSEN = settings(
    measures={"views": {}, "revenue": {}}, dimensions=DIMENSIONS, false_events_per_week=1
)


def _run(seed: int, factor: float) -> Replay:
    whole = shop(HOURS, seed, [(("pc_web", ROLLED_UP), BEGIN, END, factor)])
    return replay(CHOSEN, Snapshot.initial(CHOSEN), whole, score_from=whole.starts[HOURS - 7 * 24])


def _values(scores: Scores, group: Group) -> tuple[np.ndarray, np.ndarray]:
    """Severity of the values of the event's slice in its time, and whether they lie on its side."""
    (where,) = group.slices
    names = tuple(where.get(name, ROLLED_UP) for name in scores.dimensions)
    k = [tuple(key) for key in scores.slices.tolist()].index(names)
    m = scores.measures.index(group.measure)
    at = (scores.starts >= second(group.start)) & (scores.starts < second(group.end))
    side = 1 if group.direction == "up" else -1
    return scores.severity[at, m, k], scores.direction[at, m, k] == side


@pytest.mark.parametrize(("seed", "factor"), [(3, 0.65), (5, 0.65), (8, 1.3)])
def test_a_value_in_an_event_of_its_slice_is_flagged(seed: int, factor: float) -> None:
    done = _run(seed, factor)

    assert done.groups
    for group in done.groups:
        severity, with_it = _values(done.scores, group)
        assert with_it.any()
        assert (severity[with_it] >= THRESHOLD_SEVERITY).mean() > 0.7
        # The event is as severe as its newest evidence says; so is the value beside it.
        assert severity.max() >= group.severity - 1e-9
        assert (severity[~with_it] < THRESHOLD_SEVERITY).all()


def test_the_only_series_of_a_detector_is_judged_by_its_own_record() -> None:
    whole = shop(HOURS, 5, [((ROLLED_UP, ROLLED_UP), BEGIN, END, 0.65)])
    total = [tuple(key) for key in whole.slices.tolist()].index((ROLLED_UP, ROLLED_UP))
    alone = replace(
        whole,
        dimensions=(),
        slices=np.empty((1, 0), dtype=object),
        values=whole.values[:, :, [total]],
        counts=whole.counts[:, :, [total]],
    )
    chosen = settings(measures={"views": {}, "revenue": {}}, dimensions=(), false_events_per_week=1)

    done = replay(chosen, Snapshot.initial(chosen), alone)

    (group,) = (one for one in done.groups if one.measure == "views")
    severity, _ = _values(done.scores, group)
    assert 0 < severity.min() <= severity.max() < group.severity
