"""Far fewer rows than usual: an event of its own, where the values look as they always do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from anomaly_detector.config import ROLLED_UP
from anomaly_detector.detection.habits import Habits
from anomaly_detector.events.event import Event
from anomaly_detector.events.few_rows import FewRows, RowCounts
from anomaly_detector.events.group import Group
from anomaly_detector.lattice import Lattice
from anomaly_detector.panel import Panel
from anomaly_detector.replay import replay
from anomaly_detector.snapshot import Snapshot, from_bytes, to_bytes
from numpy.typing import NDArray

from tests.unit.detection_panels import MONDAY, cut, settings, starts

DAY = 24
SIZE = DAY * 7 * 4
HOUR = np.timedelta64(3600, "s")
PLATFORMS = ("app", "web")


def usual_rows(size: int, seed: int = 1) -> NDArray[np.float64]:
    """Rows (T, 2) of two platforms by the hour: 600 and 300 at noon, a twentieth of it at night."""
    generator = np.random.default_rng(seed)
    hours = np.arange(size)
    shape = 0.525 - 0.475 * np.cos(2 * np.pi * hours / DAY)
    weekend = np.where((hours // DAY) % 7 >= 5, 0.6, 1.0)
    lively = np.exp(generator.normal(0, 0.05, size))
    mean = (shape * weekend * lively)[:, None] * np.array([600.0, 300.0])
    return generator.poisson(mean).astype(np.float64)


def shop(rows: Mapping[str, NDArray[np.float64]], aggregation: str = "AVG") -> Panel:
    """Leaves and their total by measure, each with rows of its own: prices around 50, as a mean, a
    sum or a number.
    """
    generator = np.random.default_rng(2)
    values, counts = [], []
    for leaves in rows.values():
        count = np.concatenate([leaves.sum(axis=1, keepdims=True), leaves], axis=1)
        mean = 50 + generator.normal(0, 5, leaves.shape) / np.sqrt(np.maximum(leaves, 1))
        total = np.concatenate([(leaves * mean).sum(axis=1, keepdims=True), leaves * mean], axis=1)
        value = {"AVG": total / np.maximum(count, 1), "SUM": total, "COUNT": count}[aggregation]
        values.append(np.where(count > 0, value, np.nan))
        counts.append(count)
    size = len(values[0])
    return Panel(
        starts(size),
        ("platform",),
        np.array([[ROLLED_UP], *([one] for one in PLATFORMS)], dtype=object),
        tuple(rows),
        np.stack(values, axis=1),
        np.stack(counts, axis=1),
    )


def run(
    rows: Mapping[str, NDArray[np.float64]],
    aggregation: str = "AVG",
    **measure: Any,
) -> dict[str, list[Group]]:
    """Groups by measure: each is looked at alone, so one replay serves many cases."""
    of = settings("PT1H", {name: {"aggregation": aggregation, **measure} for name in rows})
    done = replay(of, Snapshot.initial(of), shop(rows, aggregation))
    return {name: [one for one in done.groups if one.measure == name] for name in rows}


def fewer(begin: int, length: int, share: float, size: int = SIZE) -> NDArray[np.float64]:
    rows = usual_rows(size)
    rows[begin : begin + length] = np.round(rows[begin : begin + length] * share)
    return rows


def at(hour: int) -> datetime:
    """The start of an hour of the panel."""
    return datetime.fromtimestamp(int((MONDAY + hour * HOUR).astype(np.int64)), UTC)


def test_far_fewer_rows_open_an_event_that_lasts_and_ends() -> None:
    # given a mean that does not change, of far fewer rows for five hours
    begin = SIZE - 36
    shares = (0.05, 0.2, 0.35)
    wanted = usual_rows(SIZE)[begin + 1 : begin + 5].sum()
    # when
    found = run({f"{share:g}": fewer(begin, 5, share) for share in shares})
    # then
    for share in shares:
        (group,) = found[f"{share:g}"]
        assert (group.kind, group.is_missing_data) == ("few rows", True)
        # As with no data, from the second one on.
        assert (group.start, group.end) == (at(begin + 1), at(begin + 5))
        assert (group.state, group.direction, group.slices) == ("CLOSED", "down", ({},))
        assert group.actual == fewer(begin, 5, share)[begin + 1 : begin + 5].sum()
        assert group.expected == pytest.approx(wanted, rel=0.15)
        assert group.severity == pytest.approx(100 * (1 - share), abs=8)
        assert group.contributions["platform"] == pytest.approx({"app": 67, "web": 33}, abs=4)


def test_it_is_told_apart_from_no_rows_from_chance_and_from_less_than_half() -> None:
    begin = SIZE - 36
    # A third of the fifty rows of an hour at night may be chance.
    night = fewer(begin - 11, 2, 0.35)
    # The platform of two thirds of the rows sends none.
    gone = usual_rows(SIZE)
    gone[begin : begin + 6, 0] = 0
    cases = {
        "none": fewer(begin, 6, 0),
        "gone": gone,
        "night": night,
        "less": fewer(begin, 6, 0.65),
    }
    kinds = {name: {one.kind for one in groups} for name, groups in run(cases).items()}
    assert kinds == {"none": {"no data"}, "gone": {"no data"}, "night": set(), "less": set()}


def test_nothing_is_told_of_rows_that_vary_as_usual() -> None:
    # given nights, weekends, lively hours, and growth
    growth = np.exp(np.linspace(0, 1, DAY * 7 * 8))[:, None]
    rows = {f"m{seed}": np.round(usual_rows(len(growth), seed) * growth) for seed in range(10)}
    # when, then
    assert not any(one.kind == "few rows" for groups in run(rows).values() for one in groups)


def test_what_falls_with_its_rows_is_told_once() -> None:
    rows = {"price": fewer(SIZE - 36, 6, 0.1)}
    assert [one.kind for one in run(rows, "SUM")["price"]] == ["dip"]
    assert [one.kind for one in run(rows, "COUNT")["price"]] == ["dip"]
    # Where only rises of a sum count, its rows are told; a count is its rows.
    assert [one.kind for one in run(rows, "SUM", direction="up")["price"]] == ["few rows"]
    assert not run(rows, "COUNT", direction="up")["price"]


def test_what_lasts_is_the_new_level() -> None:
    (group,) = run({"price": fewer(SIZE - 7 * DAY, 7 * DAY, 0.2)})["price"]
    assert (group.kind, group.accepted) == ("few rows", True)
    assert timedelta(days=3) <= group.end - group.start <= timedelta(days=3, hours=2)


def test_rows_of_minutes_may_be_late() -> None:
    # given numbers of rows every five minutes, for sixteen days, with few for 2 and for 3 intervals
    of = settings("PT5M", {"price": {"aggregation": "AVG"}})
    panel = shop({"price": usual_rows(1)})
    few_rows = FewRows.of(of, Lattice.of(panel.slices))
    habits, rows, none = Habits.fresh(of, 3), RowCounts.fresh(of), np.zeros((1, 3))
    habits.seen += 1
    habits.rows += [[300.0, 200.0, 100.0]]
    events: tuple[Event, ...] = ()
    opened = []
    # when
    for t in range(288 * 16):
        count = np.array([[3.0, 2.0, 1.0]]) * (100 + t % 7)
        if t - 288 * 15 in (100, 101, 200, 201, 202):
            count *= 0.1
        here = [one for one in events if not one.closed]
        slot = t // 12 % 168
        events = few_rows.follow(
            rows, habits, count, slot, here, (), t, gone=none, known=True, scored=True
        )
        opened += [t - 288 * 15 for one in events if one.opened == t]
    # then it takes a quarter of an hour
    assert opened == [202]


def test_rows_of_a_job_that_ends_within_an_hour_are_as_usual() -> None:
    # given a job that ends at a quarter past two each night, for sixteen days
    of = settings("PT15M", {"price": {"aggregation": "AVG"}})
    few_rows = FewRows.of(of, Lattice.of(shop({"price": usual_rows(1)}).slices))
    habits, rows, none = Habits.fresh(of, 3), RowCounts.fresh(of), np.zeros((1, 3))
    habits.seen += 1
    habits.rows += [[300.0, 200.0, 100.0]]
    events: tuple[Event, ...] = ()
    # when
    for t in range(96 * 30):
        job = 4 <= t % 96 < 9
        count = np.array([[3.0, 2.0, 1.0]]) * (1000 if job else 100 + t % 7)
        if t == 96 * 29 + 50:
            count *= 0.1
        events = few_rows.follow(
            rows, habits, count, t // 4 % 168, events, (), t, gone=none, known=True, scored=True
        )
        # then the rest of the hour is not less than usual
        assert not events


def test_replays_in_pieces_and_at_once_are_equal() -> None:
    whole = shop({"price": fewer(SIZE - 100, 10, 0.1)})
    of = settings("PT1H", {"price": {"aggregation": "AVG"}})
    at_once = replay(of, Snapshot.initial(of), whole)
    snapshot, groups = Snapshot.initial(of), {}
    for low, high in pairwise([0, 400, SIZE - 96, SIZE - 93, SIZE - 20, SIZE]):
        done = replay(of, from_bytes(to_bytes(snapshot)), cut(whole, low, high))
        snapshot = done.after
        groups |= {one.id: one for one in done.groups}
    assert to_bytes(snapshot) == to_bytes(at_once.after)
    assert [one.kind for one in groups.values()] == ["few rows"]
    assert tuple(groups.values()) == at_once.groups


def test_it_needs_all_slices_together() -> None:
    whole = shop({"price": fewer(SIZE - 36, 6, 0.1)})
    leaves = replace(
        whole, slices=whole.slices[1:], values=whole.values[..., 1:], counts=whole.counts[..., 1:]
    )
    of = settings("PT1H", {"price": {"aggregation": "AVG"}})
    assert replay(of, Snapshot.initial(of), leaves).groups == ()


@pytest.mark.parametrize("aggregation", ["AVG", "SUM"])
def test_rows_that_have_risen_for_two_days_are_not_few_when_they_are_as_before(
    aggregation: str,
) -> None:
    rows = usual_rows(SIZE)
    begin = SIZE - 5 * DAY
    rows[begin : begin + 41] *= np.linspace(1, 4, 41)[:, None]
    found = run({"price": np.round(rows)}, aggregation)["price"]
    assert not [one for one in found if one.kind == "few rows"]
