"""Events that last for hours or days: what belongs to them, and what follows them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest
from anomaly_detector.events.group import Group
from anomaly_detector.panel import Panel, second
from anomaly_detector.replay import replay
from anomaly_detector.snapshot import Snapshot
from numpy.typing import NDArray

from tests.unit.detection_panels import DIMENSIONS, PARTS, rolled_up, settings, starts

DAY = 24
BEGIN = 28 * DAY + 12
SIZE = 34 * DAY
EVERY = np.ones(len(PARTS), dtype=np.bool_)
APP = np.array([platform == "app" for platform, _ in PARTS])


def _leaves(seed: int, mean: float = 60.0) -> NDArray[np.float64]:
    """(9, SIZE) means by the hour, a tenth of it by night, at other hours in each market."""
    random, at = np.random.default_rng(seed), np.arange(SIZE)
    late = {"de": 0, "it": 8, "us": 16}
    shapes = [0.55 - 0.45 * np.cos(2 * np.pi * (at - late[market]) / DAY) for _, market in PARTS]
    lively = np.exp(random.normal(0, 0.03, SIZE))
    return np.asarray(mean * np.linspace(0.5, 2, len(PARTS))[:, None] * np.array(shapes) * lively)


def _counts(means: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    return np.random.default_rng(seed).poisson(means).astype(np.float64)


def _groups(leaves: NDArray[np.float64]) -> list[Group]:
    """Events of counts from `BEGIN` on."""
    whole = rolled_up(leaves, 3600)
    chosen = settings(
        measures={"views": {"aggregation": "COUNT"}}, dimensions=DIMENSIONS, false_events_per_week=1
    )
    found = replay(chosen, Snapshot.initial(chosen), whole).groups
    return [one for one in found if second(one.end) > whole.starts[BEGIN]]


def _means(
    rows: NDArray[np.float64], seed: int, factor: NDArray[np.float64] | float = 1.0
) -> Panel:
    """Means of so many rows in each leaf, with their roll-ups."""
    random = np.random.default_rng(seed)
    mean = 300 * np.exp(random.normal(0, 0.5, rows.shape) / np.sqrt(np.maximum(rows, 1)))
    mean *= factor
    counts, sums = (rolled_up(one, 3600) for one in (rows, rows * mean))
    count = np.nan_to_num(counts.values)
    values = np.where(count > 0, sums.values / np.maximum(count, 1), np.nan)
    return Panel(starts(SIZE), DIMENSIONS, counts.slices, ("views",), values, count)


def _groups_of_means(whole: Panel) -> list[Group]:
    chosen = settings(
        measures={"views": {"aggregation": "AVG"}}, dimensions=DIMENSIONS, false_events_per_week=1
    )
    found = replay(chosen, Snapshot.initial(chosen), whole).groups
    return [one for one in found if second(one.end) > whole.starts[BEGIN]]


@pytest.mark.parametrize("held", [EVERY, APP], ids=["all", "a platform"])
def test_what_is_stuck_is_one_event_through_the_night(held: NDArray[np.bool_]) -> None:
    # given numbers that repeat for a day and a half, by night above and by day below the usual ones
    leaves = _counts(_leaves(1, 300.0), 1)
    leaves[held, BEGIN : BEGIN + 36] = leaves[held, BEGIN][:, None]
    # when they are replayed, then that is one event, under one name
    (event,) = _groups(leaves)
    assert event.kind == "stuck"
    assert event.slices == (({},) if held.all() else ({"platform": "app"},))


def test_an_outage_is_told_by_its_own_time_where_a_leaf_has_fallen_before() -> None:
    # given half of a leaf, which fades to nothing, and an outage of all 36 hours after it began
    means = _leaves(6, 20.0)
    means[0, BEGIN : BEGIN + 60] *= 0.45
    means[0, BEGIN + 20 : BEGIN + 60] *= np.linspace(0.8, 0.0, 40)
    means[:, BEGIN + 36 : BEGIN + 42] = 0
    # when they are replayed, then the outage is told from its begin on
    found = _groups(_counts(means, 6))
    at = starts(SIZE)
    told = [one for one in found if one.slices == ({},)]
    assert [second(one.start) for one in told] == [at[BEGIN + 36]]
    assert any(second(one.start) < at[BEGIN + 36] for one in found)


def test_what_is_left_in_the_windows_of_a_part_is_no_event_when_the_whole_is_over() -> None:
    # given an outage, and later a platform that lacks most of its rows for two days
    means, random = _leaves(3, 40.0), np.random.default_rng(3)
    means *= np.exp(np.convolve(random.normal(0, 0.06, SIZE), np.ones(8) / 2.8, "same"))
    means[:, BEGIN - 46 : BEGIN - 9] = 0
    means[APP, BEGIN : BEGIN + 41] *= 0.3
    found = _groups(_counts(means, 3))
    assert [one.slices for one in found] == [({"platform": "app"},)]


def test_a_season_that_breaks_is_one_event() -> None:
    # given two days of a market without day and night
    means = _leaves(4)
    held = np.array([market == "de" for _, market in PARTS])
    means[held, BEGIN : BEGIN + 48] = means[held].mean(axis=1)[:, None]
    found = _groups(_counts(means, 4))
    assert [one.slices for one in found] == [({"marketplace": "de"},)]


def test_a_mean_that_is_at_another_level_is_one_event_through_the_night() -> None:
    # given a leaf whose means are higher for two days and a half, of which few rows come by night
    rows, higher = _counts(_leaves(9, 80.0), 9), np.ones((len(PARTS), SIZE))
    higher[0, BEGIN : BEGIN + 60] = 1.5
    whole = _means(rows, 9, higher)
    (event,) = _groups_of_means(whole)
    assert event.slices == ({"platform": "app", "marketplace": "de"},)
    assert second(event.end) == whole.starts[BEGIN + 60]


def test_what_repeats_is_told_without_values_that_have_just_changed() -> None:
    # given a platform that is stuck, beside others of so few rows that they often repeat
    means = _leaves(8, 300.0)
    means[~APP] = 0.5
    leaves = _counts(means, 8)
    leaves[APP, BEGIN : BEGIN + 24] = leaves[APP, BEGIN][:, None]
    found = _groups(leaves)
    assert [(one.kind, one.slices) for one in found] == [("stuck", ({"platform": "app"},))]


def test_what_was_stuck_is_over_when_values_move_again() -> None:
    # given means that repeat for half a day, near what is expected of them
    whole = _means(_counts(_leaves(7, 80.0), 7), 7)
    values = whole.values.copy()
    of_app = whole.slices[:, 0] == "app"
    values[BEGIN : BEGIN + 12, :, of_app] = values[BEGIN - 1, :, of_app].T * 1.02
    found = _groups_of_means(replace(whole, values=values))
    # when they are replayed, then that is stuck for as long as they repeat
    assert [one.kind for one in found] == ["stuck"]
    assert second(found[0].end) == whole.starts[BEGIN + 12]


@pytest.mark.parametrize("held", [EVERY, APP], ids=["all", "a platform"])
def test_a_day_that_is_shifted_is_one_event_where_markets_have_other_hours(
    held: NDArray[np.bool_],
) -> None:
    # given a day and a half that come six hours late, by which some markets rise as others fall
    means = _leaves(5, 150.0)
    means[held, BEGIN : BEGIN + 36] = means[held, BEGIN - 6 : BEGIN + 30]
    # when they are replayed, then that is one event, but for what was told when it began
    found = _groups(_counts(means, 5))
    (event,) = (one for one in found if one.slices == ({} if held.all() else {"platform": "app"},))
    assert event.kind in ("season", "variance")
    assert all(second(one.start) < starts(SIZE)[BEGIN + 6] for one in found)
    assert len(found) <= 2


def test_what_moves_from_one_market_to_another_is_no_event_of_all_markets() -> None:
    # given rows of a platform that move from one market to another
    means = _leaves(6, 150.0)
    means[1, BEGIN : BEGIN + 12] += 0.8 * means[0, BEGIN : BEGIN + 12]
    means[0, BEGIN : BEGIN + 12] *= 0.2
    found = _groups(_counts(means, 6))
    names = [{"platform": "app", "marketplace": one} for one in ("de", "it")]
    assert sorted((one.slices for one in found), key=str) == [(one,) for one in names]


@pytest.mark.parametrize(("factor", "told"), [(1.1, False), (1.3, True)])
def test_rows_by_the_thousand_do_not_make_certain_what_they_have_in_common(
    factor: float, *, told: bool
) -> None:
    # given means that all vary by 3 %, of which most rows come in the evening, and one evening hour
    random, at = np.random.default_rng(1), np.arange(SIZE)
    evening = np.abs(at % DAY - 20) < 2
    rows = random.poisson(np.where(evening, 20_000.0, 2_000.0), (len(PARTS), SIZE)).astype(float)
    level = 300 * np.exp(random.normal(0, 0.03, SIZE))
    level[BEGIN + 8] = 300 * factor
    mean = level * (1 + random.normal(0, 0.5, rows.shape) / np.sqrt(rows))
    counts, sums, squares = (
        rolled_up(one, 3600) for one in (rows, rows * mean, rows * (mean**2 + 150.0**2))
    )
    norms = np.sqrt(squares.values).astype(np.float32)
    whole = replace(counts, values=sums.values / counts.values, counts=counts.values, norms=norms)
    # when it is replayed, then it is an event by how much all of them vary
    assert bool(_groups_of_means(whole)) is told


def test_leaves_without_a_row_are_no_event_where_few_rows_are_left() -> None:
    # given a platform of which one row in five is left for a day
    rows = _leaves(4, 20.0)
    rows[APP, BEGIN : BEGIN + 24] *= 0.2
    found = _groups_of_means(_means(_counts(rows, 4), 4))
    assert not [one for one in found if one.kind == "no data"]


@pytest.mark.parametrize("silence", [True, False], ids=["after one", "without one"])
def test_missing_values_are_told_after_a_silence_that_was_accepted(*, silence: bool) -> None:
    # given a market without a row for hours, two days after it had none for so long that it was
    # taken for its level
    rows = _leaves(5)
    held = np.array([market == "it" for _, market in PARTS])
    begin = BEGIN - 6 * DAY
    if silence:
        rows[held, begin : begin + 4 * DAY] = 0
    rows[held, BEGIN : BEGIN + 8] = 0
    found = _groups_of_means(_means(_counts(rows, 5), 5))
    told = [one for one in found if one.kind == "no data"]
    assert [one.slices for one in told] == [({"marketplace": "it"},)]


def test_what_comes_hours_after_a_large_event_and_is_not_at_its_hours_is_told() -> None:
    # given three hours in which a tenth of all comes, and fifteen hours later a third more for six
    means = _leaves(1)
    means[:, BEGIN : BEGIN + 3] *= 0.1
    means[:, BEGIN + 18 : BEGIN + 24] *= 1.35

    down, up = _groups(_counts(means, 1))

    assert (down.direction, up.direction, up.slices) == ("down", "up", ({},))
    assert timedelta(hours=17) <= up.start - down.start <= timedelta(hours=19)
