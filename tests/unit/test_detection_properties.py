"""What must hold of scores and events, whatever the data: the future, the unit, the order, wild
numbers, a state that was stored, and series that are still being learnt.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from anomaly_detector.detection import (
    THRESHOLD_SEVERITY,
    DetectorSettings,
    State,
    from_bytes,
    initial_state,
    replay,
    to_bytes,
)
from anomaly_detector.detection.follow import CONTINUED
from anomaly_detector.detection.scan import WINDOWS
from anomaly_detector.events.group import Group, group_id
from anomaly_detector.explain import events
from anomaly_detector.panel import ROLLED_UP, Panel, Scores
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tests.unit.cli_files import DOCUMENT, backtest, shop, write_csv
from tests.unit.detection_panels import DIMENSIONS, cut, panel, settings, starts

DAY = 86_400
SIZE = 160
MEASURES = {"revenue": {}, "views": {"aggregation": "COUNT"}, "latency": {"aggregation": "AVG"}}
CHOSEN = settings("P1D", MEASURES, DIMENSIONS, false_events_per_week=1)
LEAVES = [(platform, market) for platform in ("app", "pc", "web") for market in ("de", "fr", "uk")]
SEEDS = st.integers(0, 2**32 - 1)
few = hypothesis_settings(max_examples=4, derandomize=True)
more = hypothesis_settings(max_examples=8, derandomize=True)


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
        mean[np.ix_(hit, range(begin, stop))] *= random.choice([0.05, 0.4, 2.5])
        slow[np.ix_(hit, range(begin, stop))] *= random.choice([1.0, 3.0])
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
    whole: Panel, chosen: DetectorSettings = CHOSEN, state: State | None = None
) -> tuple[Scores, State]:
    done = replay(chosen, state or initial_state(chosen), whole)
    return done.scores, done.state


def _groups(scores: Scores, chosen: DetectorSettings = CHOSEN) -> dict[str, Group]:
    found = events.advance(chosen, events.EventState(), scores, carry_at=None).groups
    assert len({group.id for group in found}) == len(found)
    return {group.id: group for group in found}


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
        if part.name not in ("starts", "dimensions", "slices", "measures", "marks"):
            left = np.ascontiguousarray(getattr(one, part.name)[:size, :, own])
            right = np.ascontiguousarray(getattr(other, part.name)[:size, :, shared])
            assert left.tobytes() == right.tobytes(), part.name


def _before(scores: Scores, size: int) -> list[Any]:
    """Marks of the first intervals."""
    seconds = scores.starts.astype("datetime64[s]").astype(np.int64)
    return [mark for mark in scores.marks if mark.at <= seconds[size - 1]]


def test_the_panels_hold_events_to_speak_of() -> None:
    found = [_groups(_run(_market(seed))[0]) for seed in range(3)]

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
    whole = _market(seed, late=(2, 7))
    if another:
        later = _market(seed + 1, late=(2, 7))
        values, counts = whole.values.copy(), whole.counts.copy()
        values[end:], counts[end:] = later.values[end:], later.counts[end:]
        whole = replace(whole, values=values, counts=counts)

    full, _ = _run(whole)
    early, _ = _run(cut(whole, 0, end, drop_empty=True))

    _assert_same(full, early, end)
    assert _before(full, end) == list(early.marks)
    unborn = ~np.isin(
        ["|".join(key) for key in full.slices], ["|".join(key) for key in early.slices]
    )
    assert not full.severity[:end, :, unborn].any()
    after = _groups(full)
    last = _at(early, end)
    for name, group in _groups(early).items():
        assert name in after
        newest = [mark.state for mark in early.marks if _of(mark, group)][-CONTINUED - 1 :]
        forgotten = not any(_of(mark, group) for mark in early.marks if mark.at == last)
        if forgotten or newest == ["CLOSED"] * (CONTINUED + 1):
            assert after[name] == group


def _of(mark: Any, group: Group) -> bool:
    opened = datetime.fromtimestamp(mark.opened, UTC)
    return group_id(CHOSEN.name, mark.measure, opened, mark.first) == group.id


@few
@given(SEEDS, st.integers(60, SIZE - 1))
def test_groups_in_windows_are_those_in_one(seed: int, middle: int) -> None:
    whole = _market(seed, late=(4,))
    full, _ = _run(whole)

    first, state = _run(cut(whole, 0, middle, drop_empty=True))
    second, _ = _run(cut(whole, middle, SIZE, drop_empty=True), state=state)
    carried = events.advance(CHOSEN, events.EventState(), first, carry_at=None)
    stored = events.events_from_json(events.events_to_json(carried.carried))
    rest = events.advance(CHOSEN, stored, second, carry_at=None)

    found = {group.id: group for group in (*carried.groups, *rest.groups)}
    assert found == _groups(full)


# --- the unit -----------------------------------------------------------------------------------


def _scaled(whole: Panel, factor: float) -> Panel:
    """Revenue and latency in another unit; views stay counts."""
    values = whole.values.copy()
    values[:, [0, 2]] *= factor
    return replace(whole, values=values)


@few
@given(SEEDS, st.sampled_from([1000.0, 1e-3, 1e6]))
def test_the_unit_changes_neither_severities_nor_groups(seed: int, factor: float) -> None:
    whole = _market(seed, late=(2,))

    plain, _ = _run(whole)
    scaled, _ = _run(_scaled(whole, factor))

    np.testing.assert_allclose(scaled.severity, plain.severity, rtol=1e-3, atol=1e-3)
    for name in ("expected", "lower", "upper"):
        apart = getattr(scaled, name)[:, [0, 2]] / factor - getattr(plain, name)[:, [0, 2]]
        relative = np.abs(apart) / np.maximum(
            plain.expected[:, [0, 2]], 1e-3 * np.nanmax(plain.expected)
        )
        assert np.nanmax(relative) < 1e-4, name
    one, other = _groups(plain), _groups(scaled)
    assert _told(other) == _told(one)
    for name, group in one.items():
        assert other[name].score == pytest.approx(group.score, rel=1e-3)


# --- the order ----------------------------------------------------------------------------------


@few
@given(SEEDS, st.randoms(use_true_random=False))
def test_the_order_of_slices_changes_nothing(seed: int, random: Any) -> None:
    whole = _market(seed, late=(2, 7))
    order = list(range(len(whole.slices)))
    random.shuffle(order)

    one, state = _run(whole)
    other, turned = _run(_picked(whole, order))

    _assert_same(one, other)
    assert one.marks == other.marks
    assert to_bytes(state) == to_bytes(turned)
    assert _groups(one) == _groups(other)


@few
@given(SEEDS, st.permutations(list(range(len(MEASURES)))))
def test_the_order_of_the_panels_measures_changes_nothing(seed: int, order: list[int]) -> None:
    whole = _market(seed)
    turned = replace(
        whole,
        measures=tuple(whole.measures[m] for m in order),
        values=whole.values[:, order],
        counts=whole.counts[:, order],
    )

    one, other = _run(whole)[0], _run(turned)[0]

    _assert_same(one, other)
    assert one.marks == other.marks


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


WILD = [np.nan, np.inf, -np.inf, 1e300, -1e300]


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("wild", WILD)
@pytest.mark.parametrize("rows", [0.0, 1.0, 1e300])
def test_a_series_that_is_wild_throughout_changes_no_bit_elsewhere(
    wild: float, rows: float
) -> None:
    whole = _market(11)
    leaf = whole.slices.tolist().index(["app", "de"])
    values, counts = whole.values.copy(), whole.counts.copy()
    values[:, :, leaf], counts[:, :, leaf] = wild, rows

    without, state = _run(_picked(whole, [k for k in range(len(whole.slices)) if k != leaf]))
    scores, grown = _run(replace(whole, values=values, counts=counts))

    _assert_same(scores, without)
    assert scores.marks == without.marks
    assert to_bytes(grown) == to_bytes(state)
    assert not scores.severity[:, :, leaf].any()


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

    one, state = _run(replace(whole, values=wild))
    other, same = _run(replace(whole, values=missing))

    _assert_same(one, other)
    assert one.marks == other.marks
    assert to_bytes(state) == to_bytes(same)
    assert _groups(one) == _groups(other)


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("size", [1e-300, 1e-30, 1e29])
def test_very_small_and_very_large_series_give_no_warning(size: float) -> None:
    scores, _ = _run(_scaled(_market(5), size / 100))

    assert np.isfinite(scores.severity).all()


@pytest.mark.usefixtures("strict")
@pytest.mark.parametrize("after", [1.0, 1e6, 1e12, 1e29])
def test_a_first_value_after_zeros_gives_no_warning(after: float) -> None:
    values = np.zeros(40)
    values[20:] = after
    chosen = settings("P1D")

    scores, _ = _run(panel({"a": values}, DAY), chosen)

    assert np.isfinite(scores.severity).all()


# --- what is stored -----------------------------------------------------------------------------


@few
@given(SEEDS, st.data())
def test_a_stored_state_goes_on_as_if_it_had_not_been_stored(seed: int, data: Any) -> None:
    whole = _market(seed, late=(2,))
    full, last = _run(whole)
    opened = [
        place
        for place in range(60, SIZE - 1)
        if any(
            mark.state != "CLOSED" for mark in _before(full, place) if mark.at == _at(full, place)
        )
    ]
    middle = data.draw(st.sampled_from(opened))

    _, state = _run(cut(whole, 0, middle, drop_empty=True))
    again = from_bytes(to_bytes(state))
    rest, end = _run(cut(whole, middle, SIZE, drop_empty=True), state=again)

    assert any(not event.closed for event in state.events)
    assert again.events == state.events
    assert to_bytes(again) == to_bytes(state)
    assert to_bytes(end) == to_bytes(last)
    assert list(rest.marks) == list(full.marks)[len(_before(full, middle)) :]
    _assert_same(replace(rest), _tail(full, middle))


def _at(scores: Scores, place: int) -> int:
    """Second of the interval before `place`."""
    return int(scores.starts[place - 1].astype("datetime64[s]").astype(np.int64))


def _tail(scores: Scores, begin: int) -> Scores:
    parts = {
        part.name: getattr(scores, part.name)[begin:]
        for part in fields(Scores)
        if part.name not in ("starts", "dimensions", "slices", "measures", "marks")
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

    scores, state = _run(replace(whole, slices=slices, values=values, counts=counts))

    warm_up = CHOSEN.warm_up
    learnt = np.isfinite(scores.actual[:, :, -1]).cumsum(axis=0)
    early = learnt <= warm_up
    assert early[born:].any()
    assert scores.severity[:, :, -1][early].max() < THRESHOLD_SEVERITY
    assert not scores.anomalous[:, :, -1][early].any()
    at = {
        int(one): place
        for place, one in enumerate(scores.starts.astype("datetime64[s]").astype(np.int64))
    }
    for mark in scores.marks:
        if ("zz", "zz") in (mark.first, *mark.slices):
            assert not early[at[mark.opened], MEASURE_PLACES[mark.measure]]
    assert state.slices[-1].tolist() == ["zz", "zz"]


MEASURE_PLACES = {name: place for place, name in enumerate(MEASURES)}


@pytest.mark.parametrize("begin", [0, 40])
def test_nothing_opens_before_the_first_series_has_been_learnt(begin: int) -> None:
    whole = _market(3)
    values = whole.values * np.where(np.random.default_rng(1).random((SIZE, 1, 1)) < 0.3, 50.0, 1.0)
    values[:begin] = np.nan

    scores, _ = _run(replace(whole, values=values))

    end = begin + CHOSEN.warm_up
    assert scores.severity[:end].max() < THRESHOLD_SEVERITY
    assert not _before(scores, end)


@pytest.mark.parametrize(("interval", "seconds"), [("PT1H", 3600), ("P1D", DAY)])
def test_every_window_learns_how_it_varies(interval: str, seconds: int) -> None:
    chosen = settings(interval)
    random = np.random.default_rng(1)
    size = chosen.warm_up + 150
    noise = {f"s{number}": random.normal(1000, 50, size) for number in range(4)}

    _, state = _run(panel(noise, seconds), chosen)

    assert (state.scan.dispersion > 0).all(axis=(1, 2)).tolist() == [True] * len(WINDOWS)
