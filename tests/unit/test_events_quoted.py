"""What a group quotes as expected is what was expected when its event opened."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from anomaly_detector.replay import replay
from anomaly_detector.snapshot import Snapshot, from_bytes, to_bytes

from tests.unit.detection_panels import by_measure, cut, panel, seasonal, settings

DAY = 24
BOTH, FACTORS = ["SUM", "AVG"], (0.4, 2.0)


@pytest.mark.parametrize(("weeks", "aggregations"), [(3, ["SUM"]), (5, BOTH), (8, BOTH)])
def test_an_event_of_three_days_quotes_the_level_before_it(
    weeks: int, aggregations: list[str]
) -> None:
    begin = weeks * 7 * DAY
    normal = seasonal(begin + 4 * DAY, 3000.0, 0.0)
    random = np.random.default_rng(weeks)
    usual = normal * np.exp(random.normal(0, 0.02, len(normal)))
    series, rules = {}, {}
    for aggregation, factor in product(aggregations, FACTORS):
        values = usual.copy()
        values[begin : begin + 3 * DAY] *= factor
        series[f"{aggregation} {factor}"] = [np.round(values)]
        rules[f"{aggregation} {factor}"] = {"aggregation": aggregation}
    whole = by_measure(series)
    chosen = settings(measures=rules, false_events_per_week=0.02 * len(rules))

    done = replay(chosen, Snapshot.initial(chosen), whole, score_from=whole.starts[begin - DAY])

    hours = whole.starts.tolist()
    for aggregation, factor in product(aggregations, FACTORS):
        groups = [one for one in done.groups if one.measure == f"{aggregation} {factor}"]
        group = max(groups, key=lambda one: one.end - one.start)
        assert group.kind == "level"
        shown = [hours.index(point.start.replace(tzinfo=None)) for point in group.points]
        assert len(shown) > 1.5 * DAY
        true = normal[shown].sum() if aggregation == "SUM" else normal[shown].mean()
        assert group.expected / true == pytest.approx(1.0, abs=0.06)
        assert group.actual / group.expected == pytest.approx(factor, rel=0.06)
        # the three days pass in the average day, as they do for what is expected
        assert weeks < 8 or group.expected / true == pytest.approx(1.0, abs=0.0095)


def test_what_is_quoted_is_the_same_however_intervals_come() -> None:
    begin = 3 * 7 * DAY
    values = seasonal(begin + 3 * DAY, 3000.0, 0.03)
    values[begin:] *= 0.3
    whole = panel({"a": np.round(values)})
    chosen = settings()
    first = whole.starts[begin - DAY]
    full = replay(chosen, Snapshot.initial(chosen), whole, score_from=first)
    assert full.groups

    for middle in (begin - 1, begin + 1, begin + 30):
        before = replay(chosen, Snapshot.initial(chosen), cut(whole, 0, middle), score_from=first)
        held = from_bytes(to_bytes(before.after))
        rest = replay(chosen, held, cut(whole, middle, len(values)), score_from=first)

        assert rest.groups == full.groups
        assert to_bytes(rest.after) == to_bytes(full.after)
