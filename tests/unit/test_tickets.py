"""Single large orders: no event if orders of that size are known, whatever many of them are."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from itertools import pairwise, product

import numpy as np
import pytest
from anomaly_detector.events.group import Group
from anomaly_detector.panel import Panel
from anomaly_detector.replay import replay as replayed
from anomaly_detector.snapshot import Snapshot, from_bytes, to_bytes
from numpy.typing import NDArray

from tests.unit.detection_panels import beside, settings, starts

DAYS, LEARNT = 70, 42
SIZE = 24 * DAYS
HUGE, PRICE = 40.0, 25.0
Values = NDArray[np.float64]


class Orders:
    """Orders of leaves, hour by hour, with all amounts; some are huge."""

    def __init__(self, seed: int, rates: tuple[float, ...] = (0.3, 1.0, 3.0, 8.0)) -> None:
        self.random = np.random.default_rng(seed)
        self.rates = rates
        shape = len(rates), SIZE
        day = 1 + 0.5 * np.sin(2 * np.pi * np.arange(SIZE) / 24)
        self.count = self.random.poisson(np.array(rates)[:, None] * day).astype(np.float64)
        self.total, self.squares = np.zeros(shape), np.zeros(shape)
        for place in zip(*np.nonzero(self.count), strict=True):
            amounts = PRICE * self.random.gamma(1.5, 1 / 1.5, int(self.count[place]))
            self.total[place] += amounts.sum()
            self.squares[place] += np.square(amounts).sum()

    def add(self, leaf: int, at: int, amount: float, many: int = 1) -> None:
        """More orders of an amount."""
        self.count[leaf, at] += many
        self.total[leaf, at] += many * amount
        self.squares[leaf, at] += many * amount**2

    def add_huge(self, share: float) -> None:
        """Turn a share of the orders into huge ones, like those of a Pareto distribution."""
        for leaf, at in zip(*np.nonzero(self.random.poisson(self.count * share)), strict=True):
            self.add(leaf, at, PRICE * HUGE * float(self.random.uniform(0.5, 1.5)))

    def panel(self, *, norms: bool = True) -> Panel:
        """Leaves and total, revenue."""
        names = [*(f"p{number}" for number in range(len(self.rates))), "*"]
        slices = np.empty((len(names), 1), dtype=object)
        slices[:, 0] = names
        count, total, squares = (
            np.vstack([one, one.sum(axis=0)]).T[:, None, :]
            for one in (self.count, self.total, self.squares)
        )
        norm = np.where(count > 0, np.sqrt(squares), np.nan).astype(np.float32)
        return Panel(
            starts(SIZE),
            ("platform",),
            slices,
            ("revenue",),
            np.where(count > 0, np.round(total, 2), np.nan),
            count,
            norm if norms else None,
        )


CHOSEN = settings(measures={"revenue": {}}, false_events_per_week=0.2)


def groups_of(panels: dict[str, Panel], budget: float = 0.2, **rule: str) -> dict[str, list[Group]]:
    """Groups of each panel, replayed beside each other with a budget for each."""
    rules = dict.fromkeys(panels, rule)
    chosen = settings(measures=rules, false_events_per_week=budget * len(panels))
    whole = beside(panels)
    score_from = whole.starts[24 * LEARNT]
    done = replayed(chosen, Snapshot.initial(chosen), whole, score_from=score_from)
    return {name: [one for one in done.groups if one.measure == name] for name in panels}


def test_single_large_orders_of_a_known_size_are_no_events() -> None:
    # given shops with now and then a huge order
    panels = {}
    for seed in (1, 2, 3):
        orders = Orders(seed)
        orders.add_huge(0.004)
        panels[f"known {seed}"] = orders.panel()
        panels[f"unknown {seed}"] = orders.panel(norms=False)
    # when the sums of squares are known, then none of them is an event, and otherwise some are
    for name, groups in groups_of(panels).items():
        assert bool(groups) == name.startswith("unknown"), name


def test_a_larger_order_than_any_before_is_an_event() -> None:
    at, panels = 24 * 60 + 15, {}
    for leaf in (0, 2):
        orders = Orders(4)
        orders.add_huge(0.004)
        orders.add(leaf, at, 100 * PRICE * HUGE)
        panels[f"leaf {leaf}"] = orders.panel()
    for groups in groups_of(panels).values():
        assert [one.start.replace(tzinfo=None) for one in groups] == [starts(SIZE)[at].item()]


def test_many_larger_orders_and_more_orders_are_events() -> None:
    # given four times the prices, or the orders, of one leaf for a day
    begin = 24 * 60 + 6
    span = slice(begin, begin + 24)
    shops = {}
    for seed, kind in product((5, 6), ("prices", "orders")):
        orders = shops[f"{kind} {seed}"] = Orders(seed)
        orders.add_huge(0.004)
        orders.total[2, span] *= 4
        orders.squares[2, span] *= 16 if kind == "prices" else 4
        orders.count[2, span] *= 1 if kind == "prices" else 4
    # when it is replayed, then it is found where it is, and nothing else is
    found = groups_of({name: orders.panel() for name, orders in shops.items()})
    for name, groups in found.items():
        first = groups[0]
        assert first.slices == ({"platform": "p2"},)
        hours = [starts(SIZE)[at].item().replace(tzinfo=UTC) for at in (begin, begin + 24)]
        assert all(hours[0] <= group.start < hours[1] for group in groups)
        assert len(groups) <= 2
        # and all is told of it, single large orders too
        sums = dict(zip(starts(SIZE).tolist(), shops[name].total[2], strict=True))
        for point in first.points:
            if point.slice == ("p2",):
                told = sums[point.start.replace(tzinfo=None)]
                assert point.actual == pytest.approx(told, abs=0.01)


def test_in_pieces_and_at_once_are_the_same() -> None:
    shops = {str(seed): Orders(seed) for seed in (7, 8)}
    for orders in shops.values():
        orders.add_huge(0.01)
    whole = beside({name: orders.panel() for name, orders in shops.items()})
    # of some files the squares are not known
    assert whole.norms is not None
    whole.norms[200:300] = np.nan
    chosen = settings(measures={name: {} for name in shops}, false_events_per_week=0.4)
    once = replayed(chosen, Snapshot.initial(chosen), whole)
    snapshot = Snapshot.initial(chosen)
    cuts = [0, *sorted(np.random.default_rng(7).integers(1, SIZE, 8).tolist()), SIZE]
    for begin, end in pairwise(cuts):
        part = whole.cut(begin, end)
        snapshot = from_bytes(to_bytes(replayed(chosen, snapshot, part).after))
    assert to_bytes(snapshot) == to_bytes(once.after)


def test_unknown_squares_change_nothing() -> None:
    orders = Orders(9)
    orders.add_huge(0.01)
    none = orders.panel(norms=False)
    unknown = replace(none, norms=np.full(none.values.shape, np.nan, dtype=np.float32))
    first, other = (replayed(CHOSEN, Snapshot.initial(CHOSEN), panel) for panel in (none, unknown))
    assert to_bytes(first.after) == to_bytes(other.after)
    np.testing.assert_array_equal(first.scores.severity, other.scores.severity)


def clicks(seed: int, fault: slice | None = None, *, norms: bool = True) -> Panel:
    """A share of clicks, by leaves of few views an hour and one of many; a leaf each has a row."""
    random = np.random.default_rng(seed)
    views = random.poisson(np.array([0.5, 1.0, 2.0, 4.0, 200.0])[:, None], (5, SIZE))
    share = np.full((5, SIZE), 0.002)
    if fault is not None:
        share[4, fault] *= 6
    hits = random.binomial(views, share)
    views, hits = (np.vstack([one, one.sum(axis=0)]) for one in (views, hits))
    slices = np.empty((6, 1), dtype=object)
    slices[:, 0] = [*(f"p{number}" for number in range(5)), "*"]
    count = views.T[:, None, :].astype(np.float64)
    mean = np.where(views > 0, hits / np.maximum(views, 1), np.nan).T[:, None, :]
    norm = np.sqrt(np.where(count > 0, hits.T[:, None, :], np.nan)).astype(np.float32)
    dimensions, measures = ("platform",), ("rate",)
    return Panel(starts(SIZE), dimensions, slices, measures, mean, count, norm if norms else None)


def test_the_only_click_of_an_hour_is_no_event_and_many_are() -> None:
    # given a share that is mostly 0 of a few rows, and now and then 1 of 1
    begin = 24 * 60 + 6
    panels = {}
    for seed in (1, 2):
        panels[f"calm {seed}"] = clicks(seed)
        panels[f"without {seed}"] = clicks(seed, norms=False)
        panels[f"fault {seed}"] = clicks(seed, slice(begin, begin + 12))
    # when it is replayed
    found = groups_of(panels, budget=1, aggregation="AVG")
    for seed in (1, 2):
        # then no leaf opens an event
        assert [one for one in found[f"calm {seed}"] if one.slices != ({},)] == []
        assert len(found[f"without {seed}"]) > 2
        # and a higher share of many rows does
        slices = [one.slices for one in found[f"fault {seed}"]]
        assert slices in ([({},)], [({"platform": "p4"},)])
