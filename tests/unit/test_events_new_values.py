"""A value that was never seen before is named as what lifts its roll-ups."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from anomaly_detector.config import ROLLED_UP
from anomaly_detector.panel import Panel
from anomaly_detector.replay import replay
from anomaly_detector.snapshot import Snapshot

from tests.unit.detection_panels import DIMENSIONS, settings, shop

DAY = 24
SIZE, BORN = 68 * DAY, 62 * DAY


def _without_before(whole: Panel, axis: int, value: str, born: int) -> Panel:
    """The shop as if a value of a dimension had come into being."""
    names = [tuple(row) for row in whole.slices.tolist()]
    values = whole.values.copy()
    for place, name in enumerate(names):
        if name[axis] == value:
            values[:born, :, place] = np.nan
        elif name[axis] == ROLLED_UP:
            part = tuple(value if one == axis else text for one, text in enumerate(name))
            values[:born, :, place] -= whole.values[:born, :, names.index(part)]
    return replace(whole, values=values, counts=np.isfinite(values).astype(np.float64))


@pytest.mark.parametrize(
    ("seed", "axis", "value"), [(1, 0, "mobile_app"), (2, 1, "us"), (4, 0, "mobile_app")]
)
def test_a_new_value_is_named_whole_and_learned(seed: int, axis: int, value: str) -> None:
    born = BORN + seed
    whole = _without_before(shop(SIZE, seed), axis, value, born)
    chosen = settings(measures={"views": {}, "revenue": {}}, dimensions=DIMENSIONS)

    done = replay(chosen, Snapshot.initial(chosen), whole, score_from=whole.starts[born - DAY])

    for measure in ("views", "revenue"):
        own = [group for group in done.groups if group.measure == measure]
        group = max(own, key=lambda one: one.end - one.start)
        assert (group.kind, group.direction, group.expected) == ("new value", "up", 0.0)
        assert group.slices == ({DIMENSIONS[axis]: value},)
        assert group.contributions[DIMENSIONS[axis]] == {value: 100.0}
        assert (
            group.start.replace(tzinfo=None) - whole.starts[born].item()
            < np.timedelta64(4, "h").item()
        )
    # As long as it is new it is learned.
    place = [tuple(row) for row in done.scores.slices.tolist()].index(
        tuple(value if one == axis else ROLLED_UP for one in range(2))
    )
    expected, actual = (
        array[-DAY:, 0, place] for array in (done.scores.expected, done.scores.actual)
    )
    assert expected.sum() == pytest.approx(actual.sum(), rel=0.2)
