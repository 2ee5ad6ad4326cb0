"""A seeded shop with faults of ten kinds, and the truth about each.

The world (Europe/Berlin; `STRETCHES` of four intervals, hours are those of PT1H): 3, 4 or 5
dimensions by seed, whose values have Zipf shares; of all combinations those with the largest shares
exist and a sample of the small ones, many of which sell less than one order an hour. Means have a
day and a weekend in local time, whose shape differs by marketplace, and a trend; noise is shared
(autoregressive), shared by marketplace, and each leaf's own (Student t, 5 degrees), then Poisson.

The measures are a chain. `latency` (AVG in ms, over requests) rises with load. One interval after
it is too high customers go: `orders` (SUM) falls by its power -0.6. `revenue` (SUM) is the sum of
gamma-distributed prices over the orders. A leaf without orders has no row of either.

A fault hits one measure on one slice, 0 to 3 dimensions deep, and what follows from it in the other
measures is truth as well: a row each.

The expected log-likelihood ratio of a row (nats) says how visible it is in principle, at its true
slice. For changes of the mean it is that of the expectation-based scan statistic (Neill 2009;
Kulldorff 1997) with the expected faulty sum C and the expected normal sum B over windows of 1 to 48
hours: (C ln(C/B) - (C - B)) / phi for SUM and (C - B)^2 / (2 var) for AVG, where phi and var of
that slice and window are measured on a fault-free twin of the shop: shared and autocorrelated noise
count. The largest window inside the fault counts, or the sum over successive blocks of 6 where that
is larger (a broken season changes its sign). For variance: n/2 (r - 1 - ln r) with the
ratio r of the variances. For stuck: (n - 1) x -ln P(a value repeats by chance), at least 1e-3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
from anomaly_detector.config import ROLLED_UP, Config, IntervalName
from anomaly_detector.detection import DetectorSettings
from anomaly_detector.detection.slots import day_slots
from anomaly_detector.intervals import Grid
from numpy.typing import NDArray

from tests.benchmarks.ground_truth import (
    Simulated,
    Truth,
    evidence,
    gamma_squares,
    leaves_in,
    roll_up,
)

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

ZONE = "Europe/Berlin"
MEASURES = ("latency", "orders", "revenue")
KINDS = (
    "spike",
    "dip",
    "level up",
    "level down",
    "ramp",
    "broken season",
    "variance",
    "stuck",
    "zero",
    "missing",
)
HOURS = (1, 2, 3, 6, 12, 24, 48)
PRICE, PRICE_SHAPE = 25.0, 1.5
_DIMENSIONS = (("platform", 3), ("marketplace", 6), ("category", 5), ("channel", 3), ("plan", 2))
_DEPTHS = (0.15, 0.40, 0.30, 0.15)
# Kind: measures it may hit, shortest and longest length, smallest and largest size.
_PLANS: dict[str, tuple[tuple[str, ...], int, int, float, float]] = {
    "spike": (MEASURES, 1, 3, 1.4, 3.0),
    "dip": (("orders", "revenue"), 1, 3, 0.2, 0.7),
    "level up": (MEASURES, 24, 60, 1.2, 1.8),
    "level down": (("orders", "revenue"), 24, 60, 0.5, 0.85),
    "ramp": (MEASURES, 12, 36, 1.3, 2.0),
    "broken season": (("orders", "revenue"), 24, 60, 0.0, 0.0),
    "variance": (MEASURES, 12, 48, 0.25, 0.6),
    "stuck": (MEASURES, 6, 24, 0.0, 0.0),
    "zero": (("orders", "revenue"), 2, 8, 0.0, 0.0),
    "missing": (("orders",), 2, 8, 0.0, 0.0),
}


@dataclass(frozen=True)
class Fault:
    """One planted fault; `begin` and `end` are places in the panel, half-open."""

    kind: str
    measure: str
    where: tuple[str, ...]
    begin: int
    end: int
    size: float


@dataclass(frozen=True)
class _World:
    """Means without faults: (L, T) each."""

    leaves: tuple[tuple[str, ...], ...]
    orders: Array
    requests: Array
    latency: Array
    stretch: Stretch


@dataclass(frozen=True)
class _Effect:
    """What all faults together do: factors (L, T), and where values stick, vanish or are zero."""

    factor: dict[str, Array]
    expected: dict[str, Array]  # the same without the chance in it
    stuck: tuple[tuple[str, Mask, int, int], ...]
    zero: dict[str, Mask]
    missing: Mask


class Stretch(NamedTuple):
    """How much of the shop there is at an interval.

    Attributes
    ----------
    seconds : of an interval.
    pace : length of faults and of what lies between them, in intervals for each hour at PT1H.
    per_kind : faults of each kind.
    """

    seconds: int
    train_weeks: int
    weeks: int
    pace: float
    per_kind: int

    @property
    def hours(self) -> float:
        return self.seconds / 3600

    def intervals(self, hours: float) -> int:
        """How many stand here for some hours at PT1H, at least one."""
        return max(1, round(hours * self.pace))


STRETCHES: dict[IntervalName, Stretch] = {
    "PT5M": Stretch(300, 3, 2, 6.0, 1),
    "PT15M": Stretch(900, 4, 4, 3.0, 1),
    "PT1H": Stretch(3600, 8, 8, 1.0, 2),
    "P1D": Stretch(86_400, 52, 52, 0.25, 2),
}


def generate(
    seed: int,
    interval: IntervalName = "PT1H",
    *,
    faults: bool = True,
    train_weeks: int | None = None,
    weeks: int | None = None,
    per_kind: int | None = None,
) -> Simulated:
    """The shop of a seed: the same bytes each time.

    Parameters
    ----------
    faults : whether faults are planted in the scored weeks.
    train_weeks, weeks, per_kind : those of `STRETCHES` if not given; faults of each kind.
    """
    stretch = STRETCHES[interval]
    random = np.random.default_rng([seed, 1])
    week = round(7 * 24 / stretch.hours)
    first = (stretch.train_weeks if train_weeks is None else train_weeks) * week
    size = first + (stretch.weeks if weeks is None else weeks) * week
    per_kind = stretch.per_kind if per_kind is None else per_kind
    names = tuple(name for name, _ in _DIMENSIONS[: 3 + seed % 3])
    settings = _settings(names, interval)
    begin = np.datetime64("2025-01-06T00:00:00", "s") + np.timedelta64(
        int(random.integers(52)), "W"
    )
    starts = begin + np.arange(size) * np.timedelta64(stretch.seconds, "s")
    world = _world(random, settings, starts, stretch)
    planted = _plant(random, world.leaves, first, size, per_kind, stretch) if faults else ()
    effect = _effect(random, world, planted)
    values, counts = _simulate(np.random.default_rng([seed, 2]), world, effect)
    squares = _squares(np.random.default_rng([seed, 4]), values, counts)
    panel, levels = roll_up(names, starts, world.leaves, values, counts, squares, settings)
    truths: tuple[Truth, ...] = ()
    if planted:
        none = _effect(random, world, ())
        twin = _simulate(np.random.default_rng([seed, 3]), world, none)
        truths = _truths(world, planted, effect, twin)
    return Simulated(seed, settings, panel, first, world.leaves, levels, truths)


def _settings(names: Sequence[str], interval: IntervalName) -> DetectorSettings:
    config = Config.model_validate(
        {
            "name": "shop",
            "interval": interval,
            "timezone": ZONE,
            "timestamp_column": {"name": "timestamp"},
            "measures": {
                "latency": {"aggregation": "AVG"},
                "orders": {"aggregation": "SUM"},
                "revenue": {"aggregation": "SUM"},
            },
            "dimensions": list(names),
        }
    )
    return DetectorSettings.of(config, Grid.of(config))


def _world(
    random: np.random.Generator,
    settings: DetectorSettings,
    starts: NDArray[np.datetime64],
    stretch: Stretch,
) -> _World:
    sizes = dict(_DIMENSIONS)
    values = [[f"{name}_{i}" for i in range(sizes[name])] for name in settings.dimensions]
    weights = []
    for own in values:
        zipf = np.arange(1, len(own) + 1) ** -random.uniform(0.8, 1.5)
        weights.append(random.permutation(zipf / zipf.sum()))
    every = list(product(*(range(len(own)) for own in values)))
    share = np.array(
        [np.prod([w[i] for w, i in zip(weights, leaf, strict=True)]) for leaf in every]
    )
    share = share * np.exp(random.normal(0, 0.5, len(every)))
    order = np.argsort(-share)
    most = min(60, len(every))
    rest = random.permutation(order[most:])[:40]
    kept = sorted(np.r_[order[:most], rest].tolist())
    leaves = tuple(
        tuple(own[i] for own, i in zip(values, every[place], strict=True)) for place in kept
    )
    share = share[kept] / share[kept].sum()

    size = len(starts)
    slots, weekdays = day_slots(settings.grid, starts)
    market = np.array([every[place][1] for place in kept])
    peak = random.uniform(10, 18, sizes["marketplace"])[market]
    depth = random.uniform(0.4, 0.75, sizes["marketplace"])[market]
    weekend = random.uniform(0.7, 1.4, sizes["marketplace"])[market]
    angle = 2 * np.pi * (slots[None, :] * stretch.hours - peak[:, None]) / 24
    shape = 1 + depth[:, None] * np.cos(angle) + 0.15 * np.cos(2 * angle)
    if stretch.hours >= 24:
        shape = np.ones(angle.shape)
    shape = shape * np.where(weekdays[None, :] >= 5, weekend[:, None], 1.0)
    trend = 1 + random.uniform(-0.4, 0.6) * np.arange(size) * stretch.hours / (52 * 7 * 24)
    total = random.uniform(1500, 4000)
    orders = total * stretch.hours * share[:, None] * shape * trend
    base = 120 * np.exp(random.normal(0, 0.25, len(leaves)))
    latency = base[:, None] * (0.9 + 0.1 * shape)
    return _World(leaves, orders, 12 * orders, latency, stretch)


def _plant(
    random: np.random.Generator,
    leaves: tuple[tuple[str, ...], ...],
    first: int,
    size: int,
    per_kind: int,
    stretch: Stretch,
) -> tuple[Fault, ...]:
    kinds = random.permutation(list(KINDS) * per_kind).tolist()
    lengths = [
        stretch.intervals(int(random.integers(_PLANS[kind][1], _PLANS[kind][2] + 1)))
        for kind in kinds
    ]
    head = gap = stretch.intervals(24)
    slack = size - first - head - sum(lengths) - gap * len(kinds)
    if slack < 0:
        raise ValueError(f"{len(kinds)} faults do not fit into {size - first} intervals")
    extra = np.floor(random.dirichlet(np.ones(len(kinds))) * slack).astype(int)
    found, at = [], first + head
    for kind, length, more in zip(kinds, lengths, extra.tolist(), strict=True):
        measures, _, _, low, high = _PLANS[kind]
        at += more
        amount = float(random.uniform(low, high))
        if kind == "ramp" and random.random() < 0.4:
            amount = 1 / amount
        measure = str(random.choice(measures))
        where = _slice(random, leaves, shallowest=1 if kind == "missing" else 0)
        found.append(Fault(kind, measure, where, at, at + length, amount))
        at += length + gap
    return tuple(found)


def _slice(
    random: np.random.Generator, leaves: tuple[tuple[str, ...], ...], shallowest: int
) -> tuple[str, ...]:
    depth = max(shallowest, int(random.choice(len(_DEPTHS), p=_DEPTHS)))
    leaf = leaves[int(random.integers(len(leaves)))]
    kept = random.permutation(len(leaf))[:depth]
    return tuple(value if axis in kept else ROLLED_UP for axis, value in enumerate(leaf))


def _effect(random: np.random.Generator, world: _World, faults: Sequence[Fault]) -> _Effect:
    shape = world.orders.shape
    factor = {name: np.ones(shape) for name in MEASURES}
    expected = {name: np.ones(shape) for name in MEASURES}
    zero = {name: np.zeros(shape, dtype=np.bool_) for name in MEASURES}
    missing = np.zeros(shape, dtype=np.bool_)
    stuck = []
    for fault in faults:
        held = leaves_in(world.leaves, fault.where)
        span = np.arange(fault.begin, fault.end)
        area = np.ix_(held, span)
        length = len(span)
        if fault.kind in ("spike", "dip", "level up", "level down"):
            change = np.full((1, length), fault.size)
        elif fault.kind == "ramp":
            change = (1 + (fault.size - 1) * np.arange(1, length + 1) / length)[None]
        elif fault.kind == "broken season":
            # Half a day off, or days of the week that have changed places.
            off = round(12 / world.stretch.hours) or 3
            change = world.orders[np.ix_(held, span - off)] / world.orders[area]
        elif fault.kind == "variance":
            noise = random.normal(0, fault.size, length)
            factor[fault.measure][area] *= np.exp(noise - fault.size**2 / 2)[None]
            continue
        elif fault.kind == "stuck":
            stuck.append((fault.measure, held, fault.begin, fault.end))
            mean = world.latency if fault.measure == "latency" else world.orders
            expected[fault.measure][area] *= mean[held, fault.begin][:, None] / mean[area]
            continue
        elif fault.kind == "zero":
            zero[fault.measure][area] = True
            expected[fault.measure][area] = 0.0
            continue
        else:
            missing[area] = True
            expected["orders"][area] = 0.0
            continue
        factor[fault.measure][area] *= change
        expected[fault.measure][area] *= change
        if fault.measure == "latency":
            later = np.ix_(held, span + 1)
            lost = np.maximum(change, 1.0) ** -0.6
            factor["orders"][later] *= lost
            expected["orders"][later] *= lost
    expected["revenue"] = expected["revenue"] * expected["orders"]
    return _Effect(factor, expected, tuple(stuck), zero, missing)


def _simulate(
    random: np.random.Generator, world: _World, effect: _Effect
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Values and counts (L, T) of each measure; NaN and 0 where a leaf has no row."""
    shape = world.orders.shape
    noise = _common(random, shape[1], 0.025, world.stretch)[None] + _own(
        random, shape, world.stretch
    )
    markets = [leaf[1] for leaf in world.leaves]
    for market in sorted(set(markets)):
        noise[[own == market for own in markets]] += _common(random, shape[1], 0.02, world.stretch)
    mean = world.orders * effect.factor["orders"] * np.exp(noise)
    orders = random.poisson(mean).astype(np.float64)
    requests = random.poisson(world.requests * np.exp(noise)).astype(np.float64)
    slow = _common(random, shape[1], 0.02, world.stretch)[None] + random.normal(0, 0.02, shape)
    slow = slow + 0.6 * random.normal(size=shape) / np.sqrt(np.maximum(requests, 1))
    latency = world.latency * effect.factor["latency"] * np.exp(slow)
    frozen: list[tuple[str, Mask, int, int]] = []
    for measure, held, begin, end in effect.stuck:
        if measure == "orders":
            orders[held, begin:end] = orders[held, begin][:, None]
        elif measure == "latency":
            weight = requests[held, begin]
            mean_now = np.average(latency[held, begin], weights=weight + 1e-9)
            latency[held, begin:end] = mean_now
        else:
            frozen.append((measure, held, begin, end))
    revenue = random.gamma(np.maximum(PRICE_SHAPE * orders, 1e-12)) * (PRICE / PRICE_SHAPE)
    revenue = np.where(orders > 0, np.maximum(np.round(revenue, 2), 0.01), 0.0)
    revenue = np.round(revenue * effect.factor["revenue"], 2)
    rows = orders.copy()
    for _, held, begin, end in frozen:
        revenue[held, begin:end] = revenue[held, begin][:, None]
    absent = (rows == 0) | effect.missing
    orders[effect.zero["orders"]] = 0.0
    revenue[effect.zero["orders"] | effect.zero["revenue"]] = 0.0
    counts = np.where(absent, 0.0, rows)
    unseen = requests == 0
    return (
        {
            "latency": np.where(unseen, np.nan, np.round(latency, 2)),
            "orders": np.where(absent, np.nan, orders),
            "revenue": np.where(absent, np.nan, revenue),
        },
        {"latency": requests, "orders": counts, "revenue": counts},
    )


def _squares(
    random: np.random.Generator, values: dict[str, Array], counts: dict[str, Array]
) -> dict[str, Array]:
    """Sums of squares (L, T): each order is one, and prices make up the revenue."""
    orders, revenue = (np.nan_to_num(values[name]) for name in ("orders", "revenue"))
    prices = gamma_squares(random, counts["revenue"], revenue, PRICE_SHAPE)
    return {"orders": orders, "revenue": prices}


def _own(random: np.random.Generator, shape: tuple[int, ...], stretch: Stretch) -> Array:
    """Noise (L, T) of each leaf; that of a day is the mean of its hours."""
    hours = max(1, round(stretch.hours))
    noise = np.zeros(shape)
    for _ in range(hours):
        noise += random.standard_t(5, shape)
    return 0.06 * noise / hours


def _common(random: np.random.Generator, size: int, spread: float, stretch: Stretch) -> Array:
    """Autoregressive noise (T,) of a given deviation, 0.7 from one hour to the next; that of a
    day is the mean of its hours.
    """
    hours = max(1, round(stretch.hours))
    rho = 0.7 ** min(stretch.hours, 1.0)
    # The weights fall below 1e-9 after 64 intervals at PT1H.
    length = round(64 / min(stretch.hours, 1.0))
    shocks = random.normal(0, spread * np.sqrt(1 - rho**2), size * hours + length)
    noise = np.convolve(shocks, rho ** np.arange(length + 1), mode="full")
    return np.asarray(noise[length : length + size * hours].reshape(size, hours).mean(axis=1))


def _truths(
    world: _World,
    faults: Sequence[Fault],
    effect: _Effect,
    twin: tuple[dict[str, Array], dict[str, Array]],
) -> tuple[Truth, ...]:
    found = []
    follows = {"latency": MEASURES, "orders": ("orders", "revenue"), "revenue": ("revenue",)}
    for number, fault in enumerate(faults):
        held = leaves_in(world.leaves, fault.where)
        for measure in follows[fault.measure]:
            later = int(fault.measure == "latency" and measure != "latency")
            if later and (fault.kind in ("variance", "stuck") or fault.size < 1):
                continue
            begin, end = fault.begin + later, fault.end + later
            nats = _nats(world, effect, twin, fault, measure, held, begin, end)
            found.append(Truth(number, fault.kind, measure, fault.where, begin, end, nats, held))
    return tuple(found)


def _nats(
    world: _World,
    effect: _Effect,
    twin: tuple[dict[str, Array], dict[str, Array]],
    fault: Fault,
    measure: str,
    held: Mask,
    begin: int,
    end: int,
) -> float:
    """Expected log-likelihood ratio at the true slice; see the head of this file."""
    span = slice(begin, end)
    if measure == "latency":
        weight = world.requests[held]
        share = weight / weight.sum(axis=0)
        normal = (share * world.latency[held]).sum(axis=0)
        faulty = (share * world.latency[held] * effect.expected["latency"][held]).sum(axis=0)
        rows = twin[1]["latency"][held]
        sums = (rows * np.nan_to_num(twin[0]["latency"][held])).sum(axis=0)
        seen = np.where(rows.sum(axis=0) > 0, sums / np.maximum(rows.sum(axis=0), 1), normal)
    else:
        unit = PRICE if measure == "revenue" else 1.0
        normal = unit * world.orders[held].sum(axis=0)
        faulty = unit * (world.orders[held] * effect.expected[measure][held]).sum(axis=0)
        seen = np.nan_to_num(twin[0][measure][held]).sum(axis=0)
    additive = measure != "latency"
    error = seen - normal
    windows = sorted({world.stretch.intervals(hours) for hours in HOURS})
    found = [evidence(error, normal, faulty, span, windows, additive=additive)]
    length = end - begin
    variance = np.mean(error**2 / normal) * normal[span] if additive else np.mean(error**2)
    if fault.kind == "variance":
        ratio = 1 + (np.exp(fault.size**2) - 1) * normal[span] ** 2 / variance
        found.append(float(((ratio - 1 - np.log(ratio)) / 2).sum()))
    if fault.kind == "stuck" and measure == fault.measure:
        step = 1.0 if measure == "orders" else 0.01
        deviation = np.sqrt(np.mean(variance))
        chance = np.clip(step / (2 * np.sqrt(np.pi) * deviation), 1e-3, 1.0)
        found.append(float((length - 1) * -np.log(chance)))
    return max(found)
