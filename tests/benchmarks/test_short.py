"""The benchmarks in short: what they measure with is right, and each runs on any machine."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from anomaly_detector.replay import replay
from anomaly_detector.snapshot import Snapshot

from tests.benchmarks import (
    bands,
    calibration,
    cause_peers,
    causes,
    cubes,
    judging,
    market_generator,
    measures,
    peers,
    public,
    speed,
    world_generator,
    world_peers,
    worlds,
)
from tests.benchmarks.shop_generator import KINDS, MEASURES, generate
from tests.benchmarks.world_generator import FAULTS, LOSING, WORLDS

SMALL: dict[str, Any] = {"train_weeks": 4, "weeks": 4, "per_kind": 1}


def _labels(size: int, *places: tuple[int, int]) -> np.ndarray:
    labels = np.zeros(size, dtype=np.bool_)
    for first, last in places:
        labels[first : last + 1] = True
    return labels


def test_an_alert_that_lasts_is_raised_again_every_48_points() -> None:
    flagged = _labels(300, (10, 10), (20, 116), (200, 247))

    assert measures.alerts(flagged).tolist() == [10, 20, 68, 116, 200]


def test_events_are_counted_without_point_adjust() -> None:
    labels = _labels(300, (50, 59), (100, 199), (250, 250))
    # Lasts from before an event into it, is raised twice in one, and once where nothing is.
    score = _labels(300, (45, 59), (110, 110), (150, 150), (220, 220)).astype(np.float64)

    found = measures.count([score], [labels], 1.0)

    assert (found.tp, found.fp, found.fn) == (1, 2, 2)
    assert found.f1 == pytest.approx(2 / (2 + 2 + 2))


def test_the_best_threshold_is_one_for_the_corpus() -> None:
    labels = [_labels(100, (50, 50)), _labels(100, (20, 20))]
    scores = [np.zeros(100), np.zeros(100)]
    scores[0][[50, 70]] = 9.0, 4.0
    scores[1][20] = 5.0

    threshold, found = measures.best_threshold(scores, labels)

    assert (threshold, found.f1) == (5.0, 1.0)


def _plain_vus(score: np.ndarray, labels: np.ndarray, window: int) -> float:
    """Range-based PR volume, point by point and threshold by threshold."""
    truth, areas = measures.segments(labels), []
    cuts = np.sort(score)[::-1][np.linspace(0, len(score) - 1, 250).astype(int)]
    for length in range(window + 1):
        faded = labels.astype(np.float64)
        for first, last in truth:
            for d in range(1, length // 2 + 1):
                for at in (first - d, last + d):
                    if 0 <= at < len(score):
                        faded[at] += np.sqrt(1 - d / length)
        faded = np.minimum(faded, 1.0)
        area, before = 0.0, 0.0
        for cut in cuts:
            hit = score >= cut
            touched = [hit[a : b + 1].any() for a, b in measures.segments(faded > 0)]
            right = faded[hit].sum()
            grown = (labels.sum() + labels.sum() + faded[hit & ~labels].sum()) / 2
            recall = min(right / grown, 1.0) * np.mean(touched)
            area, before = area + (recall - before) * right / hit.sum(), recall
        areas.append(area)
    return float(np.mean(areas))


def test_the_volume_under_the_surface_is_that_of_the_definition() -> None:
    random = np.random.default_rng(3)
    labels = _labels(400, (0, 3), (100, 120), (126, 130), (396, 399))
    score = np.round(random.normal(size=400) + labels, 1)

    assert measures.vus_pr(score, labels, 12) == pytest.approx(_plain_vus(score, labels, 12))
    assert measures.vus_pr(labels.astype(np.float64), labels, 0) == pytest.approx(1.0)


@pytest.mark.parametrize("name", list(peers.installed()[0]))
def test_peers_use_nothing_later_than_the_point(name: str) -> None:
    values = np.random.default_rng(4).normal(10, 1, 400)
    values[[30, 31, 200]] = np.nan
    peer = peers.installed()[0][name]

    whole, part = peer(values, 24), peer(values[:300], 24)

    np.testing.assert_allclose(whole[:300], part)
    assert whole[200] == 0


def test_public_corpora_in_short() -> None:
    result = public.run(("cloud_monitoring",), short=True, only=("ours", "z-score"))
    if not result["tables"]:
        pytest.skip(result["notes"][-1])

    rows, (own,) = result["tables"].values()

    assert [row["detector"] for row in rows] == ["ours", "rolling z-score"]
    assert own["F1 of values at 50"] == rows[0]["F1 at 50"]
    assert all(0 < row["best F1"] <= 1 and 0 < row["VUS-PR"] <= 1 for row in rows)


def test_the_shop_is_the_same_each_time_and_its_roll_ups_add_up() -> None:
    one, again = generate(4, **SMALL), generate(4, **SMALL)

    np.testing.assert_array_equal(one.panel.values, again.panel.values)
    assert [truth.nats for truth in one.truths] == [truth.nats for truth in again.truths]
    assert {truth.kind for truth in one.truths} == set(KINDS)
    orders = np.nan_to_num(one.panel.values[:, MEASURES.index("orders")].T)
    leaves = orders[one.levels[-1]].sum(axis=0)
    for level in one.levels:
        np.testing.assert_allclose(orders[np.unique(level)].sum(axis=0), leaves)


def test_a_detector_that_knows_the_truth_scores_full_marks() -> None:
    world, tally = generate(4, **SMALL), judging.Tally()
    events = [judging.Event(t.measure, t.begin, t.end, (t.begin,), t.leaves) for t in world.truths]

    judging.judge(world, events, tally)

    row = tally.row("truth")
    assert row["strict F1"] == row["loose F1"] == row["exact slice"] == 1.0
    assert (row["false a week"], row["median delay"]) == (0.0, 0.0)


def test_one_endless_event_is_no_strict_match() -> None:
    world, tally = generate(4, **SMALL), judging.Tally()
    size, everywhere = len(world.panel.starts), np.ones(len(world.leaves), dtype=np.bool_)

    judging.judge(
        world,
        [judging.Event(m, world.first, size, (world.first,), everywhere) for m in MEASURES],
        tally,
    )

    row = tally.row("endless")
    assert (row["loose F1"], row["strict F1"]) == (1.0, 0.0)


@pytest.mark.parametrize("name", list(WORLDS))
def test_a_world_is_the_same_each_time_and_its_rows_are_those_of_things_that_happened(
    name: str,
) -> None:
    one, again = world_generator.generate(name, 2), world_generator.generate(name, 2)

    np.testing.assert_array_equal(one.panel.values, again.panel.values)
    kinds = {truth.kind for truth in one.truths}
    assert kinds == set(FAULTS) - (set() if "nightly" in WORLDS[name].jobs else {"skipped job"})
    count = WORLDS[name].measures[0]
    values = one.panel.values[:, one.panel.measures.index(count)]
    zero = [truth for truth in one.truths if truth.kind == "zero"]
    written = np.flatnonzero((values == 0).any(axis=1))
    assert all(any(t.begin <= at < t.end for t in zero) for at in written)
    outage = next(truth for truth in one.truths if truth.kind == "outage")
    assert np.isnan(one.panel.values[outage.begin : outage.end]).all()
    assert not one.panel.counts[outage.begin : outage.end].any()
    rows = np.nan_to_num(values)
    for level in one.levels:
        np.testing.assert_allclose(rows[:, np.unique(level)].sum(axis=1), rows[:, one.levels[0, 0]])
    # An amount that only follows its count is not much more visible than that.
    nats = {(truth.fault, truth.measure): truth.nats for truth in one.truths}
    amount = WORLDS[name].measures[1]
    for truth in one.truths:
        own = nats.get((truth.fault, count))
        if truth.measure == amount and own is not None and truth.kind not in LOSING:
            assert truth.nats <= 2 * own + 10 or truth.kind == "birth", truth.kind


@pytest.mark.parametrize(("name", "interval"), [("market", "PT1H"), ("market4", "P1D")])
def test_a_market_is_the_same_each_time_and_its_faults_lie_one_after_another_where_it_is_scored(
    name: str, interval: Any
) -> None:
    one, again = (worlds.world_of(name, 4, interval, faults=True) for _ in range(2))

    np.testing.assert_array_equal(one.panel.values, again.panel.values)
    assert [truth.nats for truth in one.truths] == [truth.nats for truth in again.truths]
    assert len(one.panel.dimensions) == worlds.MARKETS[name]
    assert {truth.kind for truth in one.truths} == set(market_generator.KINDS)
    for truth in one.truths:
        assert one.first <= truth.begin < truth.end <= len(one.panel.starts)
        np.testing.assert_array_equal(truth.leaves, one.held(truth.where))
    spans = {truth.fault: (truth.begin, truth.end) for truth in one.truths}
    ordered = [spans[fault] for fault in sorted(spans)]
    assert all(before[1] <= after[0] for before, after in pairwise(ordered))
    counts = one.panel.values[:, one.panel.measures.index("orders")]
    for level in one.levels:
        leaves = np.nan_to_num(counts)[:, np.unique(level)].sum(axis=1)
        np.testing.assert_allclose(leaves, np.nan_to_num(counts[:, one.levels[0, 0]]))


def test_faults_end_with_a_panel_that_ends_on_a_weekend() -> None:
    world = world_generator.generate("logistics", 12, "PT5M")

    assert max(truth.end for truth in world.truths) == len(world.panel.starts)


@pytest.mark.parametrize("interval", ["PT5M", "PT15M", "PT1H", "P1D"])
def test_faults_are_what_their_truths_say(interval: Any) -> None:
    world = world_generator.generate("iot", 5, interval)
    calm = world_generator.generate("iot", 5, interval, faults=False)
    assert not calm.truths
    values = np.nan_to_num(world.panel.values[:, 0])
    place = {tuple(where): k for k, where in enumerate(world.panel.slices.tolist())}
    seen = 0

    for truth in world.truths:
        if truth.measure != "readings" or truth.where not in place:
            continue
        span = values[truth.begin : truth.end, place[truth.where]]
        before = values[truth.begin - len(span) : truth.begin, place[truth.where]]
        if truth.kind in ("silence", "outage", "death", "zero"):
            assert not span.any(), truth.kind
            seen += 1
        if truth.kind == "birth":
            assert not values[: truth.begin, place[truth.where]].any()
            assert span.all()
            seen += 1
        if truth.kind in ("burst", "spike") and truth.nats > 100:
            assert span.mean() > 1.1 * before.mean(), truth.kind
            seen += 1
    assert seen >= 4


def test_a_detector_that_knows_the_truth_of_a_world_scores_full_marks() -> None:
    world, tally = world_generator.generate("payments", 2), judging.Tally()
    events = [judging.Event(t.measure, t.begin, t.end, (t.begin,), t.leaves) for t in world.truths]

    judging.judge(world, events, tally)

    row = tally.row("truth")
    assert row["strict F1"] == row["loose F1"] == row["exact slice"] == 1.0


@pytest.mark.parametrize(
    ("names", "interval", "shrink", "lowest"),
    [(("shop", "retail", "iot"), "PT1H", 3, 0.55), (("retail", "iot"), "P1D", 1, 0.25)],
)
def test_worlds_in_short(names: tuple[str, ...], interval: Any, shrink: int, lowest: float) -> None:
    result = worlds.run(names, (interval,), (3,), (6,), shrink=shrink)

    of_worlds = next(rows for title, rows in result["tables"].items() if "seeds" in title)
    mean = next(row for row in of_worlds if row["world"] == "mean")
    assert mean["strict F1"] > lowest
    assert mean["recall of visible"] > 0.6
    assert mean["false a week, no fault"] < 1


def test_simple_grouping_names_the_strangest_series_of_intervals_that_lie_together() -> None:
    world = world_generator.generate("payments", 2)
    slices = [tuple(where) for where in world.panel.slices.tolist()]
    total, leaf = slices.index(("*",) * len(slices[0])), int(world.levels[-1, 0])
    scores = np.zeros((50, *world.panel.values.shape[1:]))
    scores[[10, 11, 14], 1, leaf] = 5.0
    scores[[10, 30], 1, total] = 3.0

    events = world_peers.group(world, scores, 3.0)

    first = len(world.panel.starts) - 50
    assert [(event.begin - first, event.end - first) for event in events] == [(10, 15), (30, 31)]
    assert {event.measure for event in events} == {world.panel.measures[1]}
    assert [event.leaves.sum() for event in events] == [1, len(world.leaves)]


def test_the_budget_is_not_met_by_one_event_that_holds_everything() -> None:
    world = world_generator.generate("payments", 2)
    scores = np.random.default_rng(1).random((500, *world.panel.values.shape[1:]))

    threshold = world_peers.within_budget(world, scores, 3)

    # Each of the three measures is one event at nought, too.
    assert len(world_peers.group(world, scores, 0.0)) == 3
    assert threshold > 0.999
    assert len(world_peers.group(world, scores, threshold)) == 3


def test_values_of_a_faulty_slice_are_faulty_and_those_of_its_relatives_are_not_judged() -> None:
    world = world_generator.generate("payments", 2)
    slices = [tuple(where) for where in world.panel.slices.tolist()]
    truth = next(t for t in world.truths if t.visible and t.kind == "spike" and t.where in slices)
    at = (truth.begin - world.first, world.panel.measures.index(truth.measure))

    faulty, judged = world_peers.labelled(world)

    assert faulty[(*at, slices.index(truth.where))]
    for k, where in enumerate(slices):
        if where != truth.where and (world.held(where) & truth.leaves).any():
            assert not judged[(*at, k)] or faulty[(*at, k)]
    silent = next(t for t in world.truths if t.visible and t.kind == "outage")
    at = (silent.begin - world.first, world.panel.measures.index(silent.measure))
    assert not faulty[at].any()
    assert not judged[at].any()
    assert judged.mean() > 0.5


def test_a_peer_that_knows_the_truth_has_full_marks_of_values_and_one_that_guesses_none() -> None:
    world = world_generator.generate("payments", 2)
    faulty, _ = world_peers.labelled(world)
    random = np.random.default_rng(1).random(faulty.shape)
    rows = {}

    for name, scores in (("knows", np.where(faulty, 9.0, 0.0)), ("guesses", random)):
        judged = world_peers.Judged()
        judged.add(world, world_peers.Found(scores, 0.9, lambda _threshold: []))
        rows[name] = judged.row("payments")

    assert rows["knows"]["F1 of values"] == rows["knows"]["at its best"] == 1.0
    assert rows["guesses"]["F1 of values"] < 0.05


def test_worlds_with_peers_in_short() -> None:
    result = world_peers.run(("iot",), ("PT1H",), (3,), (6,), only=("ours", "MAD"), shrink=3)

    ((own, peer),) = result["tables"].values()
    assert [own["detector"], peer["detector"]] == ["ours", "last value / MAD"]
    for row in (own, peer):
        assert 0 <= row["strict F1"] <= row["at the best"] <= 1
        assert 0 <= row["F1 of values"] <= row["at its best"] <= 1
    assert own["strict F1"] > peer["at the best"] + 0.2


@pytest.mark.parametrize("name", list(causes.DETECTORS))
def test_every_method_finds_the_only_fault_of_a_clean_cube(name: str) -> None:
    easy = cubes.Kind(noise=(0.01, 0.01), change=(0.6, 0.6), depths=(1, 1))
    lone = (cube for cube in cubes.cubes(easy, range(40)) if len(cube.faults) == 1)

    tally = causes.Tally()
    for cube in lone:
        tally.add(cube, causes.DETECTORS[name](cube), 0.0)

    # Adtributor stops at two thirds of the change, and takes what is large for it.
    assert tally.f1 > (0.5 if name == "Adtributor" else 0.9)


def test_causes_in_short() -> None:
    result = causes.run(causes.SHORT_SEEDS[:6])

    by_kind, times, large = result["tables"].values()
    whole = {row["cubes"]: row for row in by_kind}
    for quality, least in (("clean", 0.9), ("noisy", 0.75)):
        row = whole[f"all {quality}"]
        assert row[causes.OURS] > least
        assert row[causes.OURS] >= max(row[name] for name in cause_peers.PEERS)
    assert all(row["s"] < 1 for row in large)
    assert sum(row["faults found of 3"] for row in large) >= 12
    assert next(row for row in times if row["detector"] == causes.OURS)["99 % ms"] < 500


def test_calibration_in_short() -> None:
    result = calibration.run((1,), series=6, scored=2 * calibration.WEEK, nominals=(1e-3,))

    for row in next(iter(result["tables"].values())):
        assert row["points / nominal, 0.001"] < 8, row


def test_bands_in_short() -> None:
    world = generate(3, **SMALL)
    done = replay(
        world.settings,
        Snapshot.initial(world.settings),
        world.panel,
        score_from=world.panel.starts[world.first],
    )

    row = bands.coverage("shop", done.scores)
    told = bands.faults(world, done.scores)

    assert 0.97 < row["inside"] < 0.997
    assert row["inside"] + row["below"] + row["above"] == pytest.approx(1)
    assert sum(one["number"] for one in bands.by_size("shop", done.scores)) == row["number"]
    assert told["faults"] == len(world.truths)
    assert told["visible outside"] > 0.5


def test_speed_in_short() -> None:
    row = speed.case(200, "PT1H", learnt=16)

    assert row["CPU, s"] < 2
    assert row["state a series, B"] < 8_000
