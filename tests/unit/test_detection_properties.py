"""What must hold of scores and events, whatever the data: the future, the unit, the order, wild
numbers, a state that was stored, and series that are still being learnt.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from anomaly_detector.config import ROLLED_UP
from anomaly_detector.detection import THRESHOLD_SEVERITY, DetectorSettings
from anomaly_detector.detection.rules import Rules
from anomaly_detector.events.group import Group
from anomaly_detector.panel import Panel, Scores, second
from anomaly_detector.replay import Replay, replay
from anomaly_detector.snapshot import Snapshot, from_bytes, to_bytes
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.examples import examples
from tests.unit.cli_files import DOCUMENT, backtest, shop, write_csv
from tests.unit.detection_panels import DIMENSIONS, cut, panel, settings, starts

DAY = 86_400
SIZE = 160
MEASURES = {"revenue": {}, "views": {"aggregation": "COUNT"}, "latency": {"aggregation": "AVG"}}
CHOSEN = settings("P1D", MEASURES, DIMENSIONS, false_events_per_week=1)
LEAVES = [(platform, market) for platform in ("app", "pc", "web") for market in ("de", "fr", "uk")]
# Few, so that properties share what one replay of a panel gives.
SEEDS = st.sampled_from([3, 1415, 92653, 58979, 3238462, 643383279])
few = examples(3, derandomize=True)
more = examples(4, derandomize=True)


# --- panels and what is said of them ------------------------------------------------------------


def _market(seed: int, size: int = SIZE, late: Sequence[int] = ()) -> Panel:
    """Days of nine leaves with all roll-ups, a weekend, gaps, and faults of some slices.

    Parameters
    ----------
    late : leaves that are born in the newest third, and begin with a fault.
    """
    random = np.random.default_rng(seed)
    count = len(LEAVES)
    sizes = 300 * np.exp(random.normal(0, 1, count))[:, None]
    mean = sizes * np.where(np.arange(size) % 7 >= 5, 1.4, 1.0)
    slow = np.full((count, size), 80.0)
    for begin in range(70, size - 3, 15):
        hit = np.array(
            [leaf[begin % 2] == LEAVES[random.integers(count)][begin % 2] for leaf in LEAVES]
        )
        stop = begin + int(random.integers(1, 5))
        mean[np.ix_(hit, np.arange(begin, stop))] *= random.choice([0.05, 0.4, 2.5])
        slow[np.ix_(hit, np.arange(begin, stop))] *= random.choice([1.0, 3.0])
    views = random.poisson(mean * np.exp(random.normal(0, 0.05, mean.shape))).astype(np.float64)
    views[random.random(views.shape) < 0.01] = np.nan
    views[random.integers(count)] = random.poisson(0.5, size)
    for leaf in late:
        born = int(random.integers(2 * size // 3, size - 20))
        views[leaf, :born] = np.nan
        views[leaf, born + 5 :] *= 20
    views[views == 0] = np.nan
    # Digits enough that no value is whole, in whatever unit.
    revenue = views * np.exp(random.normal(-1, 0.05, mean.shape))
    latency = slow * np.exp(random.normal(0, 0.5, mean.shape) / np.sqrt(np.fmax(views, 1)))
    return _rolled_up(revenue, views, np.where(np.isfinite(views), latency, np.nan))


def _rolled_up(
    revenue: NDArray[np.float64], views: NDArray[np.float64], latency: NDArray[np.float64]
) -> Panel:
    """Leaves (L, T) and the slices above them."""
    keys = sorted(
        {
            tuple(part if keep else ROLLED_UP for part, keep in zip(leaf, kept, strict=True))
            for leaf in LEAVES
            for kept in ((0, 0), (0, 1), (1, 0), (1, 1))
        }
    )
    rows = np.nan_to_num(views)
    values, counts = np.empty((2, views.shape[1], 3, len(keys)))
    for place, key in enumerate(keys):
        held = [
            all(one in (ROLLED_UP, part) for one, part in zip(key, leaf, strict=True))
            for leaf in LEAVES
        ]
        total = rows[held].sum(axis=0)
        none = total == 0
        slowness = np.nansum(latency[held] * rows[held], axis=0) / np.maximum(total, 1)
        for m, one in enumerate((np.nansum(revenue[held], axis=0), total, slowness)):
            values[:, m, place] = np.where(none, np.nan, one)
            counts[:, m, place] = total
    slices = np.empty((len(keys), 2), dtype=object)
    slices[:] = keys
    when = starts(views.shape[1], DAY)
    return Panel(when, DIMENSIONS, slices, tuple(MEASURES), values, counts)


def _picked(whole: Panel, places: Sequence[int]) -> Panel:
    at = list(places)
    return replace(
        whole,
        slices=whole.slices[at],
        values=whole.values[:, :, at],
        counts=whole.counts[:, :, at],
    )


def _run(
    whole: Panel, chosen: DetectorSettings = CHOSEN, snapshot: Snapshot | None = None
) -> Replay:
    return replay(chosen, snapshot or Snapshot.initial(chosen), whole)


@cache
def _born_late(seed: int) -> tuple[Panel, Replay]:
    """A panel of which three leaves are born late, and one replay of it."""
    whole = _market(seed, late=(2, 4, 7))
    return whole, _run(whole)


def _groups(done: Replay) -> dict[str, Group]:
    assert len({group.id for group in done.groups}) == len(done.groups)
    return {group.id: group for group in done.groups}


def _told(groups: dict[str, Group]) -> set[tuple[Any, ...]]:
    """What a reader would call the same events."""
    return {
        (one.measure, one.start, one.end, one.direction, one.state, json.dumps(one.slices))
        for one in groups.values()
    }


def _assert_same(one: Scores, other: Scores, size: int | None = None) -> None:
    """The first `size` intervals of both are equal to the last bit, for the slices of both."""
    at = {tuple(key): place for place, key in enumerate(one.slices.tolist())}
    shared = [place for place, key in enumerate(other.slices.tolist()) if tuple(key) in at]
    own = [at[tuple(other.slices[place])] for place in shared]
    assert own
    for part in fields(Scores):
        if part.name not in ("starts", "dimensions", "slices", "measures"):
            left = np.ascontiguousarray(getattr(one, part.name)[:size, :, own])
            right = np.ascontiguousarray(getattr(other, part.name)[:size, :, shared])
            assert left.tobytes() == right.tobytes(), part.name


def _assert_alike(one: Replay, other: Replay) -> None:
    """Scores, groups, and what is remembered are equal to the last bit."""
    _assert_same(one.scores, other.scores)
    assert to_bytes(one.after) == to_bytes(other.after)
    assert _groups(one) == _groups(other)


def test_the_panels_hold_events_to_speak_of() -> None:
    found = [_groups(_run(_market(seed))) for seed in range(3)]

    measures = [{group.measure for group in one.values()} for one in found]
    assert set.union(*measures) == set(MEASURES)
    assert all(len(one) >= 5 for one in found)
    assert any(len(group.slices[0]) == 1 for one in found for group in one.values())


# --- the future ---------------------------------------------------------------------------------


@more
@given(SEEDS, st.integers(100, SIZE - 1), st.booleans())
def test_later_data_and_slices_change_no_score_and_no_group_that_had_ended(
    seed: int,
    end: int,
    another: bool,  # noqa: FBT001 drawn
) -> None:
    whole = _market(seed, late=(2, 4, 7))
    if another:
        later = _market(seed + 1, late=(2, 4, 7))
        values, counts = whole.values.copy(), whole.counts.copy()
        values[end:], counts[end:] = later.values[end:], later.counts[end:]
        whole = replace(whole, values=values, counts=counts)

    full = replay(CHOSEN, Snapshot.initial(CHOSEN), whole, snapshot_at=whole.starts[end])
    early = _run(cut(whole, 0, end, drop_empty=True))

    _assert_same(full.scores, early.scores, end)
    assert full.before
    assert to_bytes(full.before) == to_bytes(early.after)
    unborn = ~np.isin(
        ["|".join(key) for key in full.scores.slices],
        ["|".join(key) for key in early.scores.slices],
    )
    assert not full.scores.severity[:end, :, unborn].any()
    after = _groups(full)
    closed = {event.id(CHOSEN.name): event.closed for event in early.after.events}
    continued = Rules.of(CHOSEN).continued
    for name, group in _groups(early).items():
        assert name in after
        if closed.get(name, continued + 1) > continued:
            assert after[name] == group


@few
@given(SEEDS, st.integers(60, SIZE - 1))
def test_groups_in_windows_are_those_in_one(seed: int, middle: int) -> None:
    whole, full = _born_late(seed)

    first = _run(cut(whole, 0, middle, drop_empty=True))
    stored = from_bytes(to_bytes(first.after))
    rest = _run(cut(whole, middle, SIZE, drop_empty=True), snapshot=stored)

    assert _groups(first) | _groups(rest) == _groups(full)


# --- the unit -----------------------------------------------------------------------------------


def _scaled(whole: Panel, factor: float) -> Panel:
    """Revenue and latency in another unit; views stay counts."""
    values = whole.values.copy()
    values[:, [0, 2]] *= factor
    return replace(whole, values=values)


@few
@given(SEEDS, st.sampled_from([1000.0, 1e-3, 1e6]))
def test_the_unit_changes_neither_severities_nor_groups(seed: int, factor: float) -> None:
    whole, before = _born_late(seed)

    after = _run(_scaled(whole, factor))
    plain, scaled = before.scores, after.scores

    np.testing.assert_allclose(scaled.severity, plain.severity, rtol=1e-3, atol=1e-3)
    for name in ("expected", "lower", "upper"):
        apart = getattr(scaled, name)[:, [0, 2]] / factor - getattr(plain, name)[:, [0, 2]]
        relative = np.abs(apart) / np.maximum(
            plain.expected[:, [0, 2]], 1e-3 * np.nanmax(plain.expected)
        )
        assert np.nanmax(relative) < 1e-4, name
    one, other = _groups(before), _groups(after)
    assert _told(other) == _told(one)
    for name, group in one.items():
        assert other[name].severity == pytest.approx(group.severity, rel=1e-3)


# --- the order ----------------------------------------------------------------------------------


@few
@given(SEEDS, st.randoms(use_true_random=False))
def test_the_order_of_slices_changes_nothing(seed: int, random: Any) -> None:
    whole, one = _born_late(seed)
    order = list(range(len(whole.slices)))
    random.shuffle(order)

    other = _run(_picked(whole, order))

    _assert_alike(one, other)


@few
@given(SEEDS, st.permutations(list(range(len(MEASURES)))))
def test_the_order_of_the_panels_measures_changes_nothing(seed: int, order: list[int]) -> None:
    whole, one = _born_late(seed)
    turned = replace(
        whole,
        measures=tuple(whole.measures[m] for m in order),
        values=whole.values[:, order],
        counts=whole.counts[:, order],
    )

    _assert_alike(one, _run(turned))


def test_the_order_of_rows_changes_no_byte(tmp_path: Path) -> None:
    random = np.random.default_rng(8)
    rows = [row for row in shop(20) if random.random() > 0.1]
    rows += [(None, *row[1:]) for row in rows[:5]]
    rows += [(*row[:3], None, row[4], "") for row in rows[:300:3]]
    rows += [(row[0], None, row[2], 0.1 + 0.2, 1e-9, "x") for row in rows[:300:4]]
    rows += [(*row[:3], -1e15, row[4], "x") for row in rows[1000:1200:7]]
    written = []
    for number in range(3):
        order = np.random.default_rng(number).permutation(len(rows)) if number else range(len(rows))
        data = write_csv(tmp_path / f"{number}.csv", [rows[index] for index in order])
        written.append(backtest(DOCUMENT, data))

    for name in ("scores.parquet", "groups.json", "preview.json", "training.json"):
        assert len({(out / name).read_bytes() for out in written}) == 1, name


# --- wild numbers -------------------------------------------------------------------------------


@pytest.fixture
def strict() -> Iterator[None]:
    """Every warning of numpy is an error."""
    with warnings.catch_warnings(), np.errstate(divide="raise", over="raise", invalid="raise"):
        warnings.simplefilter("error")
        yield


@cache
def _without_a_leaf() -> tuple[Panel, int, Replay]:
    """A panel, a leaf of it, and a replay of the other slices."""
    whole = _market(11)
    leaf = whole.slices.tolist().index(["app", "de"])
    return whole, leaf, _run(_picked(whole, [k for k in range(len(whole.slices)) if k != leaf]))


WILD = [np.nan, np.inf, -np.inf, 1e300, -1e300]


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("wild", WILD)
@pytest.mark.parametrize("rows", [0.0, 1.0, 1e300])
def test_a_series_that_is_wild_throughout_changes_no_bit_elsewhere(
    wild: float, rows: float
) -> None:
    whole, leaf, without = _without_a_leaf()
    values, counts = whole.values.copy(), whole.counts.copy()
    values[:, :, leaf], counts[:, :, leaf] = wild, rows

    wildly = _run(replace(whole, values=values, counts=counts))

    _assert_alike(wildly, without)
    assert not wildly.scores.severity[:, :, leaf].any()


@pytest.mark.usefixtures("strict")
@few
@given(SEEDS, st.sampled_from([0.02, 0.5]))
def test_wild_numbers_among_others_are_missing_and_no_more(seed: int, share: float) -> None:
    whole = _market(seed)
    random = np.random.default_rng(seed)
    hit = random.random(whole.values.shape) < share
    hit[:, :, random.random(hit.shape[2]) < 0.6] = False
    wild, missing = whole.values.copy(), whole.values.copy()
    wild[hit] = random.choice(WILD, int(hit.sum()))
    missing[hit] = np.nan

    _assert_alike(_run(replace(whole, values=wild)), _run(replace(whole, values=missing)))


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("size", [1e-300, 1e-30, 1e29])
def test_very_small_and_very_large_series_give_no_warning(size: float) -> None:
    scores = _run(_scaled(_market(5), size / 100)).scores

    assert np.isfinite(scores.severity).all()


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("after", [1.0, 1e6, 1e12, 1e29])
def test_a_first_value_after_zeros_gives_no_warning(after: float) -> None:
    values = np.zeros(40)
    values[20:] = after
    chosen = settings("P1D")

    scores = _run(panel({"a": values}, DAY), chosen).scores

    assert np.isfinite(scores.severity).all()


# --- what is stored -----------------------------------------------------------------------------


@few
@given(SEEDS, st.data())
def test_a_stored_state_goes_on_as_if_it_had_not_been_stored(seed: int, data: Any) -> None:
    whole, full = _born_late(seed)
    # Right after it has opened, an event is open.
    starts_of = {group.start.replace(tzinfo=None) for group in full.groups}
    times = [moment.item() for moment in whole.starts.astype("datetime64[us]")]
    opened = [place + 1 for place in range(59, SIZE - 2) if times[place] in starts_of]
    middle = data.draw(st.sampled_from(opened))

    first = _run(cut(whole, 0, middle, drop_empty=True)).after
    again = from_bytes(to_bytes(first))
    rest = _run(cut(whole, middle, SIZE, drop_empty=True), snapshot=again)

    assert any(not event.closed for event in first.events)
    assert any(event.points for event in again.events)
    assert any(event.sums.intervals.any() for event in again.events)
    assert to_bytes(again) == to_bytes(first)
    assert to_bytes(rest.after) == to_bytes(full.after)
    assert _groups(rest).items() <= _groups(full).items()
    _assert_same(rest.scores, _tail(full.scores, middle))


def _tail(scores: Scores, begin: int) -> Scores:
    parts = {
        part.name: getattr(scores, part.name)[begin:]
        for part in fields(Scores)
        if part.name not in ("starts", "dimensions", "slices", "measures")
    }
    return replace(scores, starts=scores.starts[begin:], **parts)


# --- learning -----------------------------------------------------------------------------------


@few
@given(SEEDS, st.sampled_from([0.01, 8.0, 1000.0]))
def test_a_series_that_is_still_learnt_is_not_severe_and_opens_no_event(
    seed: int, factor: float
) -> None:
    whole = _market(seed)
    born = SIZE - 30
    random = np.random.default_rng(seed)
    slices = np.concatenate([whole.slices, np.array([["zz", "zz"]], dtype=object)])
    new = whole.values[:, :, -1:].copy()
    new[:born] = np.nan
    new[born:] *= np.where(random.random((SIZE - born, 1, 1)) < 0.5, factor, 1.0)
    rows = np.where(np.isfinite(new), whole.counts[:, :, -1:], 0)
    counts = np.concatenate([whole.counts, rows], axis=2)
    values = np.concatenate([whole.values, new], axis=2)

    whole = replace(whole, slices=slices, values=values, counts=counts)
    done = _run(whole)
    scores = done.scores

    warm_up = CHOSEN.warm_up
    learnt = np.isfinite(scores.actual[:, :, -1]).cumsum(axis=0)
    early = learnt <= warm_up
    assert early[born:].any()
    at = {int(one): place for place, one in enumerate(scores.starts.astype(np.int64))}
    # By itself: an event may tell that it is new, and is then that severe.
    by_itself = early.copy()
    for group in done.groups:
        for point in group.points:
            if point.slice == ("zz", "zz"):
                by_itself[at[int(point.start.timestamp())], MEASURE_PLACES[group.measure]] = False
    assert scores.severity[:, :, -1][by_itself].max() < THRESHOLD_SEVERITY
    assert not scores.anomalous[:, :, -1][by_itself].any()
    snapshot = _run(cut(whole, 0, born)).after
    for place in range(born, SIZE):
        snapshot = _run(cut(whole, place, place + 1), snapshot=snapshot).after
        for event in snapshot.events:
            if ("zz", "zz") in (event.first, *event.slices):
                assert not early[at[event.opened], MEASURE_PLACES[event.measure]]
    assert snapshot.state.slices[-1].tolist() == ["zz", "zz"]


MEASURE_PLACES = {name: place for place, name in enumerate(MEASURES)}


@pytest.mark.parametrize("begin", [0, 40])
def test_nothing_opens_before_the_first_series_has_been_learnt(begin: int) -> None:
    whole = _market(3)
    values = whole.values * np.where(np.random.default_rng(1).random((SIZE, 1, 1)) < 0.3, 50.0, 1.0)
    values[:begin] = np.nan

    done = _run(replace(whole, values=values))

    end = begin + CHOSEN.warm_up
    assert done.scores.severity[:end].max() < THRESHOLD_SEVERITY
    assert all(second(group.start) >= whole.starts[end] for group in done.groups)


@pytest.mark.parametrize(("interval", "seconds"), [("PT1H", 3600), ("P1D", DAY)])
def test_every_window_learns_how_it_varies(interval: str, seconds: int) -> None:
    chosen = settings(interval)
    random = np.random.default_rng(1)
    size = chosen.warm_up + 150
    noise = {f"s{number}": random.normal(1000, 50, size) for number in range(4)}

    state = _run(panel(noise, seconds), chosen).after.state

    assert (state.scan.dispersion > 0).all(axis=(1, 2)).tolist() == [True] * len(chosen.windows)
