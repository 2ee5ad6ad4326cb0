"""Faults that begin while another lasts, or soon after it: each has its own event and name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from anomaly_detector.config import ROLLED_UP
from anomaly_detector.detection import DetectorSettings
from anomaly_detector.events.group import Group
from anomaly_detector.panel import Panel, second
from anomaly_detector.replay import replay
from anomaly_detector.snapshot import Snapshot
from numpy.typing import NDArray

from tests.unit.detection_panels import (
    DIMENSIONS,
    PARTS,
    SMALL_MARKETS,
    cut,
    panel,
    rolled_up,
    settings,
    shop,
    starts,
)

DAY = 288
SIZE, BEGIN = 24 * DAY, 21 * DAY + 100
Series = NDArray[np.float64]


def _leaves(means: Sequence[float], size: int = SIZE) -> list[Series]:
    """Counts of five minutes with a daily profile."""
    random, at = np.random.default_rng(1), np.arange(size)
    shape = 1 + 0.4 * np.sin(at * 2 * np.pi / DAY)
    return [random.poisson(mean * shape).astype(np.float64) for mean in means]


def _whole(leaves: Sequence[Series]) -> Panel:
    """Leaves and their total; zero has no row."""
    series = {f"leaf {n}": leaf for n, leaf in enumerate(leaves)}
    series[ROLLED_UP] = np.sum(leaves, axis=0)
    return panel({name: np.where(one == 0, np.nan, one) for name, one in series.items()}, 300)


def _since(whole: Panel, chosen: DetectorSettings, begin: int = BEGIN) -> list[Group]:
    """Groups that have not ended when an interval begins."""
    found = replay(chosen, Snapshot.initial(chosen), whole).groups
    return [one for one in found if second(one.end) > whole.starts[begin]]


def _names(group: Group) -> set[str]:
    return {one.get("platform", "all") for one in group.slices}


@pytest.mark.parametrize("factor", [0.0, 0.5])
def test_a_value_that_ended_keeps_its_event_when_all_others_fail(factor: float) -> None:
    # given half of everything that ends for good, and 15 hours later a fault of the rest
    leaves = _leaves((900, 300, 250, 200, 150))
    begin, end = BEGIN + 180, BEGIN + 216
    leaves[0][BEGIN:] = 0
    for leaf in leaves[1:]:
        leaf[begin:end] = np.round(factor * leaf[begin:end])
    whole = _whole(leaves)
    # when it is replayed, then each is told by its own time, and the first by its own name
    ended, failed = _since(whole, settings("PT5M"))
    assert (_names(ended), second(ended.start)) == ({"leaf 0"}, whole.starts[BEGIN])
    assert second(ended.end) > whole.starts[end]
    assert _names(failed) == {"all"}
    assert (second(failed.start), second(failed.end)) == (whole.starts[begin], whole.starts[end])


def test_a_mean_without_data_keeps_its_event_when_all_others_have_none() -> None:
    # given a leaf without data for good, and an hour in which none has any
    random = np.random.default_rng(1)
    means = {f"leaf {n}": random.normal(100, 5, SIZE) for n in range(4)}
    begin, end = BEGIN + 180, BEGIN + 192
    means["leaf 0"][BEGIN:] = np.nan
    for one in means.values():
        one[begin:end] = np.nan
    known = np.array(list(means.values()))
    known[0] = np.where(np.arange(SIZE) < BEGIN, known[0], known[1])
    whole = panel({ROLLED_UP: known.mean(axis=0), **means}, 300)
    # when it is replayed, then the leaf's event goes on under its name
    chosen = settings("PT5M", measures={"views": {"aggregation": "AVG"}})
    lost, others = _since(whole, chosen)
    assert (_names(lost), lost.kind) == ({"leaf 0"}, "no data")
    assert second(lost.end) > whole.starts[end + DAY]
    assert (_names(others), others.kind) == ({"all"}, "no data")
    assert second(others.end) == whole.starts[end]


def test_an_outage_hours_after_another_is_one_of_its_own() -> None:
    # given two outages of an hour, ten hours apart
    leaves = _leaves((400, 300, 200))
    for begin in (BEGIN, BEGIN + 132):
        for leaf in leaves:
            leaf[begin : begin + 12] = 0
    whole = _whole(leaves)
    # when it is replayed, then they are two
    first, other = _since(whole, settings("PT5M"))
    assert (second(first.start), second(first.end)) == (
        whole.starts[BEGIN],
        whole.starts[BEGIN + 12],
    )
    assert second(other.start) == whole.starts[BEGIN + 132]


def _at_once(faults: Sequence[tuple[tuple[str, str], int, int, float]], until: int) -> list[Group]:
    """Events of the revenue of a shop whose faults begin in its 34th day, at hours of that day."""
    begin = 33 * 24
    planted = [(place, begin + at, begin + end, factor) for place, at, end, factor in faults]
    whole = cut(shop(36 * 24, 1, planted), 0, begin + until)
    chosen = settings(
        measures={"views": {}, "revenue": {}}, dimensions=DIMENSIONS, false_events_per_week=0.5
    )
    return [one for one in _since(whole, chosen, begin) if one.measure == "revenue"]


def test_a_fault_that_crosses_what_is_gone_is_one_event() -> None:
    # given a platform that is gone, and four hours later three times as much in one marketplace
    gone, more = (("mobile_web", "*"), 6, 42, 0.0), (("*", "it"), 10, 34, 3.0)
    # when it is replayed, then what is left of the marketplace is one event, told as it
    of_platform, parts = _at_once([gone, more], 26)
    assert of_platform.slices == ({"platform": "mobile_web"},)
    assert parts.slices == ({"marketplace": "it"},)
    # and as severe as its clearest part
    assert parts.severity > 80


@pytest.mark.parametrize(
    ("silent", "where", "factor", "told"),
    [
        (("mobile_web", "*"), ("pc_web", "*"), 0.6, {"platform": "pc_web"}),
        (("mobile_web", "*"), ("*", "it"), 3.0, {"marketplace": "it"}),
        (("mobile_web", "us"), ("*", "*"), 1.6, {}),
    ],
    ids=["beside it", "across it", "around it"],
)
def test_a_fault_in_the_hour_in_which_a_slice_falls_silent_is_told_too(
    silent: tuple[str, str], where: tuple[str, str], factor: float, told: dict[str, str]
) -> None:
    # given an hour in which nothing comes of one slice, and less or more than usual of another
    faults = [(silent, 10, 11, 0.0), (where, 10, 11, factor)]
    # when it is replayed, then there are two events, each by its own name
    lost = {name: value for name, value in zip(DIMENSIONS, silent, strict=True) if value != "*"}
    named = [one.slices for one in _at_once(faults, 20)]
    assert len(named) == 2
    assert (lost,) in named
    assert (told,) in named


def test_an_outage_is_told_of_the_total_though_more_than_usual_comes_in_a_part_of_it() -> None:
    # given three times as much on one platform, and forty hours later nothing anywhere
    more, none = (("mobile_web", "*"), 6, 54, 3.0), (("*", "*"), 46, 50, 0.0)
    # when it is replayed, then its parts are not kept apart by the platform's event
    assert [(one.direction, one.slices) for one in _at_once([more, none], 50)] == [
        ("up", ({"platform": "mobile_web"},)),
        ("down", ({},)),
    ]


@pytest.mark.parametrize("later", [60, 96 * 3 + 40], ids=["while it is told", "once accepted"])
@pytest.mark.parametrize(("where", "told"), [("us", {"marketplace": "us"}), ("*", {})])
def test_a_fault_is_named_as_if_nothing_were_gone(
    where: str, told: dict[str, str], later: int
) -> None:
    # given a platform that ends for good, and later a market, or all, at half for three hours
    size, begin = 26 * 96, 21 * 96 + 20
    random, at = np.random.default_rng(1), np.arange(size)
    shape = 1 + 0.4 * np.sin(at * 2 * np.pi / 96)
    sizes = (400, 160, 300, 150, 130, 100, 200, 160, 250)
    leaves = random.poisson(np.multiply.outer(sizes, shape)).astype(np.float64)
    fault = slice(begin + later, begin + later + 12)
    for place, (platform, market) in enumerate(PARTS):
        if where in ("*", market):
            leaves[place, fault] = np.round(0.5 * leaves[place, fault])
        if platform == "desk":
            leaves[place, begin:] = 0
    whole = rolled_up(leaves, 900)
    # when it is replayed, then the fault is that of the market, or of all, though a part is gone
    groups = _since(whole, settings("PT15M", dimensions=DIMENSIONS), begin)
    ended, failed = groups
    assert ended.slices == ({"platform": "desk"},)
    assert failed.slices == (told,)
    assert second(failed.start) == whole.starts[fault.start]
    assert second(failed.end) == whole.starts[fault.stop]
    # What is gone is not expected.
    assert failed.actual == pytest.approx(0.5 * failed.expected, rel=0.1)


def test_a_level_of_days_keeps_its_name_when_its_market_falls_silent() -> None:
    # given daily counts, a leaf at half for eleven days, and all of its market gone on the tenth
    size, begin = 150, 120
    random, at = np.random.default_rng(2), np.arange(size)
    shape = 20 + 4 * np.sin(at * 2 * np.pi / 7)
    sizes = (400, 160, 300, 150, 130, 100, 200, 160, 250)
    leaves = random.poisson(np.multiply.outer(sizes, shape)).astype(np.float64)
    for place, (platform, market) in enumerate(PARTS):
        if (platform, market) == ("app", "us"):
            leaves[place, begin : begin + 11] = np.round(0.5 * leaves[place, begin : begin + 11])
        if market == "us":
            leaves[place, begin + 9] = 0
    whole = rolled_up(leaves, 86_400)
    # when it is replayed, then the level is told of the leaf, and the silence of the others
    level, silence = _since(whole, settings("P1D", dimensions=DIMENSIONS), begin)
    assert level.slices == ({"platform": "app", "marketplace": "us"},)
    assert second(level.start) == whole.starts[begin]
    assert {one["platform"] for one in silence.slices} == {"desk", "web"}
    assert second(silence.start) == whole.starts[begin + 9]
    assert second(silence.end) == whole.starts[begin + 10]


def test_a_mild_fault_of_all_after_a_value_has_come_back_is_told_of_the_total() -> None:
    # given daily counts, a platform gone for two weeks, and two weeks later all down by a fifth
    size, begin, mild = 200, 150, slice(180, 183)
    random, at = np.random.default_rng(2), np.arange(size)
    shape = 20 + 4 * np.sin(at * 2 * np.pi / 7)
    sizes = (400, 160, 300, 150, 130, 100, 200, 160, 250)
    leaves = random.poisson(np.multiply.outer(sizes, shape)).astype(np.float64)
    for place, (platform, _) in enumerate(PARTS):
        if platform == "app":
            leaves[place, begin : begin + 14] = 0
        leaves[place, mild] = np.round(0.82 * leaves[place, mild])
    whole = rolled_up(leaves, 86_400)
    # when it is replayed, then it is the total's, though that is still unsure of its level
    (failed,) = _since(whole, settings("P1D", dimensions=DIMENSIONS), mild.start)
    assert failed.slices == ({},)
    assert (second(failed.start), second(failed.end)) == (
        whole.starts[mild.start],
        whole.starts[mild.stop],
    )


def test_a_job_that_is_skipped_is_over_when_its_hours_are() -> None:
    # given jobs of two hours each night, beside what comes all day, and a night without one of them
    size = 26 * 96
    random, at = np.random.default_rng(1), np.arange(size)
    night = at % 96 < 8
    leaves = [np.where(night, random.poisson(mean, size), 0.0) for mean in (2000, 3000)]
    leaves += [random.poisson(mean, size).astype(np.float64) for mean in (400, 300)]
    # with a row now and then by day, so that a little is always expected
    leaves[0][(at % 96 == 50) & (at // 96 % 3 == 0)] = 1
    begin = 22 * 96
    leaves[0][begin : begin + 8] = 0
    series = {f"leaf {n}": np.where(leaf == 0, np.nan, leaf) for n, leaf in enumerate(leaves)}
    whole = panel({ROLLED_UP: np.sum(leaves, axis=0), **series}, 900)
    # when it is replayed, then it is told for two hours, not until the next night
    (skipped,) = _since(whole, settings("PT15M"), begin)
    assert _names(skipped) == {"leaf 0"}
    assert second(skipped.start) == whole.starts[begin]
    assert second(skipped.end) == whole.starts[begin + 8]


def test_what_comes_every_second_week_is_not_over_while_it_is_gone() -> None:
    # given a value of which three times as much comes for six hours every second week, and which
    # ends for good 20 hours before the fifth time, of which it is not sure how much it will be
    size, random = 9 * 168, np.random.default_rng(1)
    shape = 1 + 0.4 * np.sin(np.arange(size) * 2 * np.pi / 24)
    leaves = [random.poisson(mean * shape).astype(np.float64) for mean in (400, 300, 200)]
    for begin in range(58, size, 336):
        leaves[0][begin : begin + 6] *= 3 * (1 + 0.3 * random.normal())
    begin -= 20
    leaves[0][begin:] = 0
    series = {f"leaf {n}": np.where(leaf == 0, np.nan, leaf) for n, leaf in enumerate(leaves)}
    whole = panel({ROLLED_UP: np.sum(leaves, axis=0), **series}, 3600)
    # when it is replayed, then its end is one event, until it is accepted
    (ended,) = _since(whole, settings("PT1H"), begin)
    assert _names(ended) == {"leaf 0"}
    assert ended.accepted
    assert second(ended.start) == whole.starts[begin]


def test_what_is_gone_is_no_part_of_what_is_stuck() -> None:
    # given a small value that ended for good, and a day later hours in which all others repeat
    leaves = _leaves((20, 300, 250, 200, 150))
    begin, end = BEGIN + DAY, BEGIN + DAY + 100
    leaves[0][BEGIN:] = 0
    for leaf in leaves[1:]:
        leaf[begin:end] = leaf[begin - 1]
    whole = _whole(leaves)
    # when it is replayed, then the first goes on under its name, and the other is told of all
    ended, stuck = _since(whole, settings("PT5M"))
    assert (_names(ended), second(ended.start)) == ({"leaf 0"}, whole.starts[BEGIN])
    assert second(ended.end) > whole.starts[end]
    assert (_names(stuck), stuck.kind) == ({"all"}, "stuck")
    assert second(stuck.end) == whole.starts[end]


def _unlike(shifts: Sequence[int]) -> tuple[Panel, DetectorSettings, int]:
    """A shop, its settings, and where two days of one platform begin that are moved by hours, by
    its market.
    """
    size, begin = 38 * 24, 33 * 24 + 6
    random, hour = np.random.default_rng(4), np.arange(size)
    sizes = (8000, 3200, 6000, 3000, 2600, 2000, 4000, 3200, 5000)
    leaves = np.empty((len(PARTS), size))
    for place, (platform, market) in enumerate(PARTS):
        at = hour.copy()
        if platform == "web":
            at[begin : begin + 48] += shifts[SMALL_MARKETS.index(market)]
        shape = (1 + 0.5 * np.sin(at * 2 * np.pi / 24)) * np.exp(random.normal(0, 0.05, size))
        leaves[place] = random.poisson(sizes[place] * shape)
    return rolled_up(leaves, 3600), settings(dimensions=DIMENSIONS), begin


AT_ONCE_OR_APART = pytest.mark.parametrize(
    "shifts", [(12, 12, 12), (10, 12, 14)], ids=["at once", "apart"]
)


@AT_ONCE_OR_APART
def test_days_unlike_the_days_before_are_one_event_though_its_parts_turn_apart(
    shifts: tuple[int, int, int],
) -> None:
    # given a platform whose days are moved by half a day, in its markets at other hours
    # when it is replayed, then it is not an event for each side and part
    (event,) = _since(*_unlike(shifts))
    assert (event.kind, event.slices) == ("season", ({"platform": "web"},))


@AT_ONCE_OR_APART
def test_such_days_are_the_same_event_whichever_of_their_intervals_are_scored(
    shifts: tuple[int, int, int],
) -> None:
    # given the same days
    whole, chosen, begin = _unlike(shifts)
    all_scored = few = replay(chosen, Snapshot.initial(chosen), cut(whole, 0, begin)).after
    for first in range(begin, begin + 60, 5):
        # when all of their hours are scored, or every fifth
        part = cut(whole, first, first + 5)
        all_scored = replay(chosen, all_scored, part).after
        few = replay(chosen, few, part, score_from=part.starts[-1]).after
        # then the same events are known
        of_all, of_few = (
            [(one.opened, one.slices, one.side, one.age, one.closed) for one in then.events]
            for then in (all_scored, few)
        )
        assert of_all == of_few
    assert of_all


@pytest.mark.parametrize("days", [1, 4, 12])
def test_means_that_fall_silent_are_told_though_most_rows_have_ended_before(days: int) -> None:
    # given means of three platforms, most of whose rows were in a market that has ended, at times
    # for so long that it is the new level
    size, begin = 43 * 24, 42 * 24 + 10
    random = np.random.default_rng(1)
    names = [(one, other) for one in "abc" for other in ("big", "de", "uk", "us")]
    big = np.array([market == "big" for _, market in names])
    rows = random.poisson(np.where(big, 40_000, 200), (size, len(names))).astype(np.float64)
    rows[begin - 24 * days :, big] = 0
    # and a platform without any for an hour long ago, and for three now
    of_a = np.array([platform == "a" for platform, _ in names])
    rows[begin - 20 * 24, of_a] = 0
    rows[begin : begin + 3, of_a] = 0
    sums = rows * random.normal(100, 5, rows.shape)
    slices = np.empty((20, 2), dtype=object)
    slices[:] = [(one, other) for one in "*abc" for other in ("*", "big", "de", "uk", "us")]
    held = np.array(
        [[one in ("*", own) and other in ("*", of) for own, of in names] for one, other in slices]
    ).T
    counts = rows @ held
    means = np.where(counts > 0, (sums @ held) / np.maximum(counts, 1.0), np.nan)
    whole = Panel(starts(size), DIMENSIONS, slices, ("delay",), means[:, None], counts[:, None])
    chosen = settings(measures={"delay": {"aggregation": "AVG"}}, dimensions=DIMENSIONS)
    # when it is replayed, then the silence is an event of the platform
    silent = _since(whole, chosen, begin)[-1]
    assert (silent.kind, silent.slices) == ("no data", ({"platform": "a"},))
    assert second(silent.end) == whole.starts[begin + 3]


@pytest.mark.parametrize(
    ("where", "told"),
    [
        (("mobile_app", "*"), {"platform": "mobile_app"}),
        (("mobile_app", "it"), {"platform": "mobile_app", "marketplace": "it"}),
    ],
)
def test_what_begins_hours_after_a_level_is_an_event_of_its_own_beside_what_is_gone(
    where: tuple[str, str], told: dict[str, str]
) -> None:
    # given a platform that is gone, a second one that is at a new level, and later two hours of
    # far more in the third one
    gone, level = (("mobile_web", "*"), 2, 60, 0.0), (("pc_web", "*"), 6, 60, 1.4)
    # when it is replayed, then each is told under its own name
    of_gone, of_level, spike = _at_once([gone, level, (where, 14, 16, 2.5)], 22)
    assert of_gone.slices == ({"platform": "mobile_web"},)
    assert of_level.slices == ({"platform": "pc_web"},)
    assert (spike.kind, spike.slices) == ("spike", (told,))


@pytest.mark.parametrize(
    ("where", "factor", "kind"),
    [(("*", "*"), 1.6, "spike"), (("*", "*"), 0.6, "dip"), (("*", "it"), 0.5, "dip")],
)
def test_two_faults_in_a_day_are_two_events(
    where: tuple[str, str], factor: float, kind: str
) -> None:
    # given three hours of far less, and 13 hours later another three that are unlike others
    first, other = _at_once([(where, 6, 9, 0.5), (where, 22, 25, factor)], 30)
    # when it is replayed, then each is told by its own time
    assert (first.kind, other.kind) == ("dip", kind)
    assert (other.end - other.start).total_seconds() == 3 * 3600
