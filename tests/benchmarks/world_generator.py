"""Seeded worlds with faults of many kinds, at any interval, and the truth about each fault.

A world is things that happen (orders, requests, payments, parcels, readings), each with an amount
and a quality, so that every world has three measures: how many (`count`), their `amount` in sum,
and the `mean` of the quality. Names and kinds differ (`World`). A combination of dimension values
in which nothing happens in an interval has no row, as in a warehouse.

What varies: Zipf shares of values, with many combinations that see less than one thing an hour; day
and weekend in local time by the value of the first dimension; opening hours; growth, and a slow
drift by value; jobs (first of the month, every second Friday, once a night); small combinations
that fade in or out, fault or no fault; noise that is shared (autoregressive) and each leaf's own
(Student t, 5 degrees); counts that are Poisson, or nearly exact (devices that report); amounts with
single huge tickets (Pareto); a mean that is a share of the count, a time or a level.

Faults hit one measure, or all where rows are what is lost, on a slice 0 to 3 dimensions deep. Some
begin while another lasts. The kinds beside those of `shop_generator`: *outage* (no row at all, any
measure), *silence* (no row of a slice), *null* (one measure has no value while rows keep coming),
*burst* (much of something rare), *mild* (-10 % in total), *birth* (a value never seen before) and
*death* (a value ends for good), *skipped job* (the nightly job does not run).

Truths and nats are as in `shop_generator`. No row at all in a mean is as visible as its rows were
sure to come. A birth is as visible as its effect on the total.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC
from itertools import product
from typing import Literal, NamedTuple

import numpy as np
from anomaly_detector.config import ROLLED_UP, Config, IntervalName
from anomaly_detector.detection import DetectorSettings
from anomaly_detector.detection.slots import day_slots, month_slots
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
Range = tuple[float, float]

WINDOWS = (1, 2, 3, 6, 12, 24, 48, 96, 192)
GIANTS = 1.6  # Pareto exponent of huge tickets
TIMES = 0.5  # deviation of one time, of the mean
GIANT = 15.0  # smallest of them, in usual tickets
SURE = 1e3  # nats are not counted beyond


@dataclass(frozen=True)
class World:
    """One kind of business; ranges are drawn from by seed.

    Attributes
    ----------
    measures : names of count, amount and mean.
    dimensions : names and numbers of values.
    leaves : most combinations that exist.
    skew : Zipf exponent of the shares of values.
    hourly : things an hour, in all.
    day : depth of the daily profile, 0 to 1.
    weekend : factor of Saturday and Sunday.
    opened : first and last local hour in which anything happens.
    growth : relative change in a year. drift : the same by chance, its deviation in a week.
    common, own : deviation of the noise that all share, and of each leaf's.
    exact : whether counts are those of devices that report all the time.
    spread : coefficient of variation of the amount of one thing.
    giants : share of things with a huge amount.
    quality : what the mean is of; `usual` is its size.
    jobs : calendar effects: `first of month`, `second friday`, `nightly`.
    fading : combinations that fade in or out in the course of the panel.
    strength : size of faults, relative to those of `FAULTS`.
    """

    about: str
    measures: tuple[str, str, str]
    dimensions: tuple[tuple[str, int], ...]
    leaves: int
    hourly: Range
    quality: Literal["share", "time", "level"]
    usual: Range
    skew: Range = (0.8, 1.5)
    day: Range = (0.3, 0.7)
    weekend: Range = (0.7, 1.4)
    opened: tuple[int, int] = (0, 24)
    growth: Range = (-0.3, 0.6)
    drift: float = 0.01
    common: float = 0.025
    own: float = 0.06
    exact: bool = False
    price: float = 25.0
    spread: float = 0.8
    giants: float = 0.0
    jobs: tuple[str, ...] = ()
    fading: int = 4
    strength: float = 1.0
    zone: str = "Europe/Berlin"


WORLDS: dict[str, World] = {
    "retail": World(
        "few orders over many combinations, single huge orders, growth",
        ("orders", "revenue", "items"),
        (("platform", 4), ("country", 7), ("category", 6)),
        90,
        (60, 250),
        "time",
        (1.5, 4),
        growth=(-0.2, 1.0),
        spread=1.2,
        giants=3e-4,
        fading=8,
    ),
    "saas": World(
        "many requests, a small share of errors, a nightly job and a billing run each month",
        ("requests", "bytes", "error_rate"),
        (("region", 4), ("service", 6), ("plan", 3)),
        60,
        (2e4, 8e4),
        "share",
        (0.002, 0.01),
        weekend=(0.3, 0.8),
        growth=(0.2, 2.0),
        common=0.02,
        own=0.04,
        price=3e4,
        spread=2.0,
        jobs=("nightly", "first of month"),
    ),
    "ads": World(
        "four dimensions, campaigns that come and go, a share of clicks, strong noise",
        ("impressions", "spend", "click_rate"),
        (("network", 3), ("campaign", 8), ("country", 4), ("device", 3)),
        110,
        (8e3, 5e4),
        "share",
        (0.01, 0.04),
        day=(0.4, 0.8),
        drift=0.04,
        common=0.05,
        own=0.12,
        price=0.004,
        spread=1.0,
        fading=25,
        strength=1.3,
    ),
    "payments": World(
        "heavy-tailed amounts, a share of success, pay day every second Friday",
        ("payments", "volume", "success_rate"),
        (("method", 5), ("country", 5), ("merchant", 6)),
        80,
        (400, 2500),
        "share",
        (0.94, 0.99),
        growth=(0.0, 0.8),
        price=60.0,
        spread=1.8,
        giants=1e-3,
        jobs=("second friday",),
    ),
    "logistics": World(
        "opening hours, hardly any weekend, few parcels, times of transit",
        ("parcels", "weight", "transit_hours"),
        (("depot", 6), ("carrier", 4), ("service", 3)),
        60,
        (150, 700),
        "time",
        (20, 60),
        day=(0.2, 0.5),
        weekend=(0.0, 0.15),
        opened=(6, 20),
        growth=(-0.1, 0.3),
        own=0.1,
        price=4.0,
        spread=1.1,
        giants=2e-4,
    ),
    "iot": World(
        "devices that report at all times, temperatures, totals that hardly vary",
        ("readings", "energy", "temperature"),
        (("site", 5), ("model", 4), ("firmware", 3)),
        50,
        (6e3, 2e4),
        "level",
        (15, 30),
        day=(0.2, 0.5),
        weekend=(0.6, 1.0),
        growth=(0.0, 0.2),
        drift=0.002,
        common=0.006,
        own=0.02,
        exact=True,
        price=0.4,
        spread=0.3,
        fading=2,
        zone="UTC",
    ),
}


class Stretch(NamedTuple):
    """How much of a world there is at an interval.

    `pace` is the length of faults, and `gap` what lies between them, in intervals.
    """

    train_days: int
    scored_days: int
    pace: float
    gap: int


STRETCHES: dict[IntervalName, Stretch] = {
    "PT5M": Stretch(21, 14, 3.0, 108),
    "PT15M": Stretch(28, 28, 2.0, 72),
    "PT1H": Stretch(56, 42, 1.0, 24),
    "P1D": Stretch(365, 365, 0.25, 10),
}


class Plan(NamedTuple):
    """A kind of fault.

    `roles` are the measures it may hit, empty for all at once; `shortest` and `longest` are hours
    at PT1H; `size` is a factor; `depths` are the chances of 0 to 3 dimensions.
    """

    roles: tuple[int, ...]
    shortest: int
    longest: int
    size: Range = (0.0, 0.0)
    depths: tuple[float, ...] = (0.15, 0.40, 0.30, 0.15)


COUNT, AMOUNT, MEAN = 0, 1, 2
_TOTAL = (1.0,)
FAULTS: dict[str, Plan] = {
    "spike": Plan((COUNT, AMOUNT, MEAN), 1, 3, (1.4, 3.0)),
    "dip": Plan((COUNT, AMOUNT), 1, 3, (0.2, 0.7)),
    "level up": Plan((COUNT, AMOUNT, MEAN), 24, 60, (1.2, 1.8)),
    "level down": Plan((COUNT, AMOUNT), 24, 60, (0.5, 0.85)),
    "ramp": Plan((COUNT, AMOUNT, MEAN), 12, 36, (1.3, 2.0)),
    "broken season": Plan((COUNT, AMOUNT), 24, 60),
    "variance": Plan((COUNT, AMOUNT, MEAN), 12, 48, (0.25, 0.6)),
    "stuck": Plan((COUNT, AMOUNT, MEAN), 8, 24),
    "zero": Plan((COUNT, AMOUNT), 2, 8),
    "silence": Plan((), 2, 8, depths=(0.0, 0.5, 0.35, 0.15)),
    "outage": Plan((), 2, 6, depths=_TOTAL),
    "null": Plan((COUNT, AMOUNT, MEAN), 2, 8, depths=(0.4, 0.4, 0.2)),
    "burst": Plan((COUNT,), 1, 4, (8.0, 30.0), depths=(0.0, 0.0, 0.0, 1.0)),
    "mild": Plan((COUNT,), 6, 12, (0.9, 0.9), depths=_TOTAL),
    "birth": Plan((), 24, 24, depths=(0.0, 1.0)),
    "death": Plan((), 24, 24, depths=(0.0, 1.0)),
    "skipped job": Plan((), 24, 48, depths=(0.0, 1.0)),
}
LOSING = ("silence", "outage", "null", "death", "skipped job")  # rows or values
_OVERLAPPING = ("level up", "level down", "spike", "silence")
_WITHIN_A_DAY = ("broken season", "skipped job")
_FOR_GOOD = ("birth", "death")
_LASTING_HOURS = 72  # of what is for good, the time in which it is news; two weeks of P1D


@dataclass(frozen=True)
class Fault:
    """One planted fault; `begin` and `end` are places in the panel, half-open.

    `role` is the measure it hits, None for all.
    """

    kind: str
    role: int | None
    where: tuple[str, ...]
    begin: int
    end: int
    size: float


@dataclass(frozen=True)
class _Means:
    """What is expected of each leaf (L, T) without faults; the mean's kind as in the world."""

    world: World
    leaves: tuple[tuple[str, ...], ...]
    count: Array
    price: Array
    quality: Array
    newborn: tuple[str, ...]
    nightly: str | None
    hours: float  # of an interval

    def of(self, role: int) -> Array:
        """Expected count, amount or quality."""
        return (self.count, self.count * self.price, self.quality)[role]


def generate(
    name: str,
    seed: int,
    interval: IntervalName = "PT1H",
    *,
    faults: bool = True,
    shrink: int = 1,
) -> Simulated:
    """The world of a seed: the same bytes each time.

    Parameters
    ----------
    faults : whether faults are planted in the scored part: one of each kind, and four more that
        begin while another lasts.
    shrink : the panel is so many times shorter, with as many times fewer faults.
    """
    world, stretch = WORLDS[name], STRETCHES[interval]
    key = [seed, *name.encode(), *interval.encode()]
    random = np.random.default_rng([*key, 1])
    settings = _settings(name, world, interval)
    first = stretch.train_days * settings.slots_a_day // shrink
    size = first + stretch.scored_days * settings.slots_a_day // shrink
    starts = _starts(random, settings.grid, size)
    means = _means(random, world, settings, starts)
    planted = _plant(random, means, stretch, first, size, shrink) if faults else ()
    means = _born(means, planted)
    # What single things amount to is drawn apart from how many there are.
    draws = np.random.default_rng([*key, 2]), np.random.default_rng([*key, 4])
    values, counts, squares = _simulate(*draws, means, planted)
    panel, levels = roll_up(
        settings.dimensions, starts, means.leaves, values, counts, squares, settings
    )
    truths: tuple[Truth, ...] = ()
    if planted:
        twin = _simulate(np.random.default_rng([*key, 3]), draws[1], means, ())
        truths = tuple(_truths(means, planted, twin))
    return Simulated(seed, settings, panel, first, means.leaves, levels, truths)


def _settings(name: str, world: World, interval: IntervalName) -> DetectorSettings:
    config = Config.model_validate(
        {
            "name": name,
            "interval": interval,
            "timezone": world.zone,
            "timestamp_column": {"name": "timestamp"},
            "measures": {
                measure: {"aggregation": aggregation}
                for measure, aggregation in zip(world.measures, ("SUM", "SUM", "AVG"), strict=True)
            },
            "dimensions": [dimension for dimension, _ in world.dimensions],
        }
    )
    return DetectorSettings.of(config, Grid.of(config))


def _starts(random: np.random.Generator, grid: Grid, size: int) -> NDArray[np.datetime64]:
    monday = np.datetime64("2024-01-08T12:00:00", "s") + np.timedelta64(
        7 * int(random.integers(40)), "D"
    )
    begin = grid.floor(monday.item().replace(tzinfo=UTC))
    moments = grid.starts(begin, grid.shift(begin, size))
    return np.array([moment.replace(tzinfo=None) for moment in moments], dtype="datetime64[s]")


def _means(
    random: np.random.Generator,
    world: World,
    settings: DetectorSettings,
    starts: NDArray[np.datetime64],
) -> _Means:
    leaves, share, codes = _combinations(random, world)
    hours = settings.grid.seconds / 3600
    weeks = np.arange(len(starts)) * hours / 168
    slots, weekdays = day_slots(settings.grid, starts)
    clock = np.asarray(slots * hours, dtype=np.float64)
    shape = _shape(random, world, codes[:, 0], clock, weekdays, daily=hours >= 24)
    steady = np.ones_like(shape)
    growth = 1 + random.uniform(*world.growth) * weeks / 52
    drift = world.drift * _walks(random, world.dimensions[0][1], hours, len(weeks))
    level = growth * np.exp(drift[codes[:, 0]]) * _fading(random, world, share, weeks)
    count = random.uniform(*world.hourly) * hours * share[:, None] * level
    count = count * (steady if world.exact else shape)
    nightly = None
    if "nightly" in world.jobs and hours < 24:
        job = int(random.integers(world.dimensions[1][1]))
        held, night = codes[:, 1] == job, (slots * hours >= 2) & (slots * hours < 4)
        count[held] = count[held].mean(axis=1, keepdims=True) * np.where(night, 12.0, 0.0)
        nightly = f"{world.dimensions[1][0]}_{job}"
    if "first of month" in world.jobs:
        job = int(random.integers(world.dimensions[2][1]))
        count[codes[:, 2] == job] *= np.where(month_slots(settings.grid, starts) == 0, 3.0, 1.0)
    if "second friday" in world.jobs:
        job = int(random.integers(world.dimensions[0][1]))
        week = (starts.astype(np.int64) // 86_400 + 3) // 7
        count[codes[:, 0] == job] *= np.where((weekdays == 4) & (week % 2 == 0), 1.8, 1.0)
    price = world.price * np.exp(random.normal(0, 0.3, len(leaves)))[:, None]
    price = price * (shape if world.exact else steady)
    own = np.exp(random.normal(0, 0.15, len(leaves)))[:, None]
    usual = random.uniform(*world.usual)
    if world.quality == "share":
        rare = min(usual, 1 - usual) * own * steady
        quality = rare if usual <= 0.5 else 1 - rare
    else:
        quality = usual * own * (0.93 + 0.07 * shape)
    newborn = _newborn(random, world, share, codes, nightly)
    return _Means(world, leaves, count, price, quality, newborn, nightly, hours)


def _combinations(
    random: np.random.Generator, world: World
) -> tuple[tuple[tuple[str, ...], ...], Array, NDArray[np.int64]]:
    """Leaves, their shares (L,), and their values as numbers (L, D)."""
    sizes = [size for _, size in world.dimensions]
    every = np.array(list(product(*(range(size) for size in sizes))))
    share = np.exp(random.normal(0, 0.5, len(every)))
    for axis, size in enumerate(sizes):
        zipf = np.arange(1, size + 1) ** -random.uniform(*world.skew)
        share = share * random.permutation(zipf / zipf.sum())[every[:, axis]]
    order = np.argsort(-share)
    most = 2 * world.leaves // 3
    rest = random.permutation(order[most:])[: world.leaves - most]
    kept = np.sort(np.r_[order[:most], rest])
    leaves = tuple(
        tuple(f"{name}_{i}" for (name, _), i in zip(world.dimensions, leaf, strict=True))
        for leaf in every[kept].tolist()
    )
    return leaves, share[kept] / share[kept].sum(), every[kept]


def _shape(
    random: np.random.Generator,
    world: World,
    group: NDArray[np.int64],
    clock: Array,
    weekdays: NDArray[np.int64],
    *,
    daily: bool,
) -> Array:
    """Profile (L, T) of day and weekend, by the value of the first dimension."""
    values = world.dimensions[0][1]
    peak = random.uniform(10, 18, values)[group][:, None]
    depth = random.uniform(*world.day, values)[group][:, None]
    weekend = random.uniform(*world.weekend, values)[group][:, None]
    angle = 2 * np.pi * (clock - peak) / 24
    shape = np.maximum(1 + depth * np.cos(angle) + 0.15 * np.cos(2 * angle), 0.02)
    begin, end = world.opened
    shape = np.ones_like(shape) if daily else shape * ((clock >= begin) & (clock < end))
    return shape * np.where(weekdays >= 5, weekend, 1.0)


def _walks(random: np.random.Generator, rows: int, hours: float, size: int) -> Array:
    """Random walks (rows, T) whose deviation is 1 after a week."""
    return np.cumsum(random.normal(0, np.sqrt(hours / 168), (rows, size)), axis=1)


def _fading(random: np.random.Generator, world: World, share: Array, weeks: Array) -> Array:
    """Factors (L, T): some of the smaller combinations come or go, in the course of weeks."""
    factor = np.ones((len(share), len(weeks)))
    small = np.argsort(share)[: len(share) // 2]
    for leaf in random.permutation(small)[: world.fading]:
        side, middle = random.choice([-1, 1]), random.uniform(0, weeks[-1])
        factor[leaf] = 1 / (1 + np.exp(side * (weeks - middle) / random.uniform(0.3, 1.0)))
    return factor


def _newborn(
    random: np.random.Generator,
    world: World,
    share: Array,
    codes: NDArray[np.int64],
    nightly: str | None,
) -> tuple[str, ...]:
    """The slice of the value that may be born: of middle size, behind the first dimension."""
    found: list[tuple[float, int, str]] = []
    for axis, (name, values) in list(enumerate(world.dimensions))[1:]:
        for value in range(values):
            held = float(share[codes[:, axis] == value].sum())
            if f"{name}_{value}" != nightly and held > 0:
                found.append((abs(np.log(held / 0.1)), axis, f"{name}_{value}"))
    _, axis, born = sorted(found)[int(random.integers(3))]
    return tuple(born if i == axis else ROLLED_UP for i in range(len(world.dimensions)))


def _born(means: _Means, faults: Sequence[Fault]) -> _Means:
    """Nothing of the newborn value before it is born, or at all."""
    begin = next((f.begin for f in faults if f.kind == "birth"), means.count.shape[1])
    count = means.count.copy()
    count[leaves_in(means.leaves, means.newborn), :begin] = 0.0
    return replace(means, count=count)


def _plant(
    random: np.random.Generator,
    means: _Means,
    stretch: Stretch,
    first: int,
    size: int,
    shrink: int,
) -> tuple[Fault, ...]:
    kinds = [
        kind
        for kind in random.permutation(list(FAULTS)).tolist()
        if not (kind in _WITHIN_A_DAY and means.hours >= 24)
        and not (kind == "skipped job" and means.nightly is None)
    ]
    kinds = kinds[: len(kinds) // shrink]
    a_day = max(1, round(24 / means.hours))
    lengths = [_length(random, kind, stretch, a_day) for kind in kinds]
    slack = size - first - sum(lengths) - stretch.gap * (len(kinds) + 1)
    if slack < 0:
        raise ValueError(f"{len(kinds)} faults do not fit into {size - first} intervals")
    extra = np.floor(random.dirichlet(np.ones(len(kinds))) * slack * 0.9).astype(int)
    found: list[Fault] = []
    gone = leaves_in(means.leaves, means.newborn)
    planned = first + stretch.gap
    for kind, length, more in zip(kinds, lengths, extra.tolist(), strict=True):
        planned += more
        at = max(planned, found[-1].end + stretch.gap // 4) if found else planned
        found.append(_fault(random, means, kind, at, length, gone))
        if kind == "death":
            gone |= leaves_in(means.leaves, found[-1].where)
        planned += length + stretch.gap
    hosts = [fault for fault in found if fault.kind not in (*_FOR_GOOD, "outage")]
    for kind in _OVERLAPPING[: 4 // shrink]:
        host = hosts[int(random.integers(len(hosts)))]
        length = _length(random, kind, stretch, a_day)
        begin = int(random.integers(host.begin, host.end))
        other = _fault(random, means, kind, min(begin, size - length - 1), length, gone)
        if (other.where, other.role) != (host.where, host.role):
            found.append(other)
    return tuple(sorted(found, key=lambda fault: fault.begin))


def _length(random: np.random.Generator, kind: str, stretch: Stretch, a_day: int) -> int:
    if kind == "skipped job":
        return a_day
    plan = FAULTS[kind]
    shortest = 4 if kind == "stuck" else 1
    return max(shortest, round(random.integers(plan.shortest, plan.longest + 1) * stretch.pace))


def _fault(
    random: np.random.Generator, means: _Means, kind: str, at: int, length: int, gone: Mask
) -> Fault:
    plan, world = FAULTS[kind], means.world
    total = means.count.sum(axis=0)
    # Where business is closed nothing can go wrong.
    latest = min(at + round(72 / means.hours), len(total) - length - 1)
    while at < latest and total[at] < 0.3 * total.mean():
        at += 1
    if kind not in ("zero", "stuck", "birth", "burst", *LOSING):
        # What changes values has to end within the panel.
        at = min(at, len(total) - length)
    span = slice(at, at + length)
    where = _where(random, means, kind, span, gone)
    role = int(random.choice(plan.roles)) if plan.roles else None
    size = float(random.uniform(*plan.size))
    if kind != "burst":
        size = 1 + (size - 1) * world.strength if size > 1 else size**world.strength
    if kind == "ramp" and role != MEAN and random.random() < 0.4:
        size = 1 / size
    return Fault(kind, role, where, span.start, span.stop, size)


def _where(
    random: np.random.Generator, means: _Means, kind: str, span: slice, gone: Mask
) -> tuple[str, ...]:
    if kind == "birth":
        return means.newborn
    size = len(means.world.dimensions)
    if kind == "skipped job":
        return (ROLLED_UP, str(means.nightly), *[ROLLED_UP] * (size - 2))
    active = means.count[:, span].sum(axis=1) * ~gone
    if not active.any():
        # Nothing goes wrong then, anywhere.
        active = means.count.sum(axis=1) * ~gone
    if kind == "burst":
        rare = np.where(active > 0, active, np.inf)
        chance = (rare <= np.quantile(rare[rare < np.inf], 0.3)).astype(np.float64)
    else:
        chance = np.sqrt(active)
    leaf = means.leaves[int(random.choice(len(chance), p=chance / chance.sum()))]
    depths = FAULTS[kind].depths
    depth = int(random.choice(len(depths), p=depths))
    kept = random.permutation(size)[: size if kind == "burst" else depth]
    return tuple(value if axis in kept else ROLLED_UP for axis, value in enumerate(leaf))


def _change(means: _Means, fault: Fault, held: Mask, role: int) -> Array:
    """Factor of expected values: (1, intervals of the fault), or (leaves held, intervals)."""
    span = slice(fault.begin, fault.end)
    length = fault.end - fault.begin
    one = np.ones((1, length))
    if fault.kind in ("variance", "birth"):
        return one
    if fault.kind in ("zero", *LOSING):
        return 0 * one
    own = means.of(role)[held]
    if fault.kind == "stuck":
        return own[:, span.start][:, None] / np.maximum(own[:, span], 1e-12)
    if fault.kind == "broken season":
        back = round(12 / means.hours)
        then = own[:, span.start - back : span.stop - back]
        return np.where(own[:, span] > 0, then / np.maximum(own[:, span], 1e-12), 1.0)
    if fault.kind == "burst":
        return 1 + fault.size / np.maximum(own[:, span], 1e-12)
    if fault.kind == "ramp":
        size = 1 + (fault.size - 1) * np.arange(1, length + 1)[None] / length
    else:
        size = fault.size * one
    if role != MEAN or means.world.quality == "time":
        return size
    if means.world.quality == "level":
        return 1 + (size - 1) * 0.15
    # Of a share the odds of the rarer side change.
    side = np.minimum(own[:, span], 1 - own[:, span])
    moved = side * size**2 / (1 - side + side * size**2)
    return np.where(own[:, span] <= 0.5, moved, 1 - moved) / own[:, span]


@dataclass(frozen=True)
class _Effect:
    """What all faults do to the measures (3, L, T), and where values stick: measure and leaves."""

    factor: Array
    lost: Mask
    zero: Mask
    stuck: tuple[tuple[int, Mask, slice], ...]


def _effect(random: np.random.Generator, means: _Means, faults: Sequence[Fault]) -> _Effect:
    shape = (3, *means.count.shape)
    factor, stuck = np.ones(shape), []
    lost, zero = np.zeros((2, *shape), dtype=np.bool_)
    for fault in faults:
        held, span = leaves_in(means.leaves, fault.where), slice(fault.begin, fault.end)
        # All measures where none is named.
        roles = slice(None) if fault.role is None else slice(fault.role, fault.role + 1)
        if fault.kind == "birth":
            continue
        if fault.kind == "stuck":
            stuck.append((int(fault.role or 0), held, span))
        elif fault.kind == "variance":
            noise = random.normal(0, 1, fault.end - fault.begin)
            size = _deviation(means.world, fault)
            factor[roles, held, span] *= np.exp(size * noise - size**2 / 2)
        elif fault.kind == "zero":
            zero[roles, held, span] = True
            zero[AMOUNT, held, span] = True
        elif fault.kind in LOSING:
            until = None if fault.kind in _FOR_GOOD else fault.end
            lost[roles, held, fault.begin : until] = True
        else:
            factor[roles, held, span] *= _change(means, fault, held, int(fault.role or 0))
    return _Effect(factor, lost, zero, tuple(stuck))


def _deviation(world: World, fault: Fault) -> float:
    """Of the logarithm, of a variance fault; shares and levels vary little."""
    gentle = fault.role == MEAN and world.quality != "time"
    return fault.size * (0.1 if gentle else 1.0)


def _simulate(
    random: np.random.Generator,
    single: np.random.Generator,
    means: _Means,
    faults: Sequence[Fault],
) -> tuple[dict[str, Array], dict[str, Array], dict[str, Array]]:
    """Values, counts and sums of squares (L, T) of each measure; NaN and 0 where a leaf has no row.

    `single` draws the shares of single things in their sum.
    """
    world, shape = means.world, means.count.shape
    effect = _effect(random, means, faults)
    noise = _common(random, shape[1], world.common, means)[None]
    noise = noise + world.own * random.standard_t(5, shape)
    groups = [leaf[0] for leaf in means.leaves]
    for group in sorted(set(groups)):
        noise[[one == group for one in groups]] += _common(random, shape[1], world.common, means)
    expected = means.count * effect.factor[COUNT]
    if world.exact:
        count = random.binomial(np.round(expected).astype(np.int64), 0.998).astype(np.float64)
    else:
        count = random.poisson(expected * np.exp(noise)).astype(np.float64)
    for role, held, span in effect.stuck:
        if role == COUNT:
            count[held, span] = count[held, span.start][:, None]
    amount, square = _amounts(random, single, world, count, means.price)
    amount = np.round(amount * effect.factor[AMOUNT], 2)
    square = square * np.square(effect.factor[AMOUNT])
    mean = _qualities(random, means, count, effect.factor[MEAN])
    for role, held, span in effect.stuck:
        if role == AMOUNT:
            amount[held, span] = amount[held, span.start][:, None]
            square[held, span] = square[held, span.start][:, None]
        if role == MEAN:
            weight = count[held, span.start] + 1e-9
            mean[held, span] = np.average(mean[held, span.start], weights=weight)
    values, counts = {}, {}
    for role, (name, value) in enumerate(zip(world.measures, (count, amount, mean), strict=True)):
        absent = (count == 0) | effect.lost[role]
        values[name] = np.where(absent, np.nan, np.where(effect.zero[role], 0.0, value))
        counts[name] = np.where(absent, 0.0, count)
    spread = means.quality * {"share": 0.0, "time": TIMES, "level": 0.01}[world.quality]
    around = np.maximum(count - 1.0, 0.0) * np.square(spread) + count * np.square(mean)
    around = mean * count if world.quality == "share" else around
    squares = {
        world.measures[role]: np.where(effect.zero[role], 0.0, one)
        for role, one in ((COUNT, count), (AMOUNT, square), (MEAN, around))
    }
    return values, counts, squares


def _amounts(
    random: np.random.Generator,
    single: np.random.Generator,
    world: World,
    count: Array,
    price: Array,
) -> tuple[Array, Array]:
    """Sums (L, T) of the amounts of so many things, and of their squares; a few are huge."""
    square = world.spread**2
    total = random.gamma(np.maximum(count / square, 1e-12)) * square * price
    total = np.where(count > 0, np.maximum(total, 0.01), 0.0)
    squares = gamma_squares(single, count, total, 1 / square)
    giants = random.poisson(count * world.giants)
    leaf, at = np.nonzero(giants)
    times = giants[leaf, at]
    leaf, at = np.repeat(leaf, times), np.repeat(at, times)
    huge = GIANT * (1 + random.pareto(GIANTS, len(leaf)))
    huge = huge * np.broadcast_to(price, count.shape)[leaf, at]
    np.add.at(total, (leaf, at), huge)
    np.add.at(squares, (leaf, at), np.square(huge))
    return total, squares


def _qualities(random: np.random.Generator, means: _Means, count: Array, factor: Array) -> Array:
    """Means (L, T) of the qualities of so many things."""
    world, shape = means.world, count.shape
    usual = means.quality * factor
    if world.quality == "share":
        swing = np.exp(_common(random, shape[1], 0.03, means))[None]
        usual, high = np.clip(usual, 0.0, 1.0), usual > 0.5
        rare = np.minimum(np.where(high, 1 - usual, usual) * swing, 1.0)
        hits = random.binomial(count.astype(np.int64), rare) / np.maximum(count, 1)
        return np.round(np.where(high, 1 - hits, hits), 6).astype(np.float64)
    wide = 0.02 if world.quality == "time" else 0.01
    noise = _common(random, shape[1], wide, means)[None] + random.normal(0, wide, shape)
    if world.quality == "time":
        noise = noise + TIMES * random.normal(size=shape) / np.sqrt(np.maximum(count, 1))
    return np.round(usual * np.exp(noise), 2)


def _common(random: np.random.Generator, size: int, spread: float, means: _Means) -> Array:
    """Autoregressive noise (T,) of a given deviation, 0.7 from one hour to the next."""
    rho = 0.7 ** min(means.hours, 3.0)
    length = int(np.ceil(np.log(1e-6) / np.log(rho)))
    shocks = random.normal(0, spread * np.sqrt(1 - rho**2), size + length)
    return np.convolve(shocks, rho ** np.arange(length + 1), mode="valid")


def _truths(
    means: _Means, faults: Sequence[Fault], twin: tuple[dict[str, Array], ...]
) -> Iterator[Truth]:
    world, size = means.world, means.count.shape[1]
    for number, fault in enumerate(faults):
        held = leaves_in(means.leaves, fault.where)
        if fault.kind in _FOR_GOOD:
            news = round(_LASTING_HOURS / means.hours) if means.hours < 24 else 14
            fault = replace(fault, end=min(size, fault.begin + news))
        roles: tuple[int, ...] = (COUNT, AMOUNT, MEAN)
        if fault.role is not None:
            follows = fault.role == COUNT and fault.kind != "null"
            roles = (COUNT, AMOUNT) if follows else (fault.role,)
        for role in roles:
            nats = _nats(means, fault, role, held, twin)
            yield Truth(
                number,
                fault.kind,
                world.measures[role],
                fault.where,
                fault.begin,
                fault.end,
                nats,
                held,
            )


def _nats(
    means: _Means,
    fault: Fault,
    role: int,
    held: Mask,
    twin: tuple[dict[str, Array], ...],
) -> float:
    """Expected log-likelihood ratio at the true slice; see the head of this file."""
    span, name = slice(fault.begin, fault.end), means.world.measures[role]
    rows = means.count[held]
    if role == MEAN and fault.kind in LOSING:
        # A slice that ends is an event of its count; of its mean it may be one.
        lost = float(rows[:, span].sum()) if fault.kind in ("outage", "null") else 0.0
        return min(SURE, lost)
    if role == MEAN and fault.kind == "birth":
        return 0.0
    own = means.of(role)[held]
    change = np.ones_like(own)
    # What follows another measure changes by that one's factor.
    change[:, span] = _change(means, fault, held, role if fault.role is None else fault.role)
    seen = np.nan_to_num(twin[0][name][held])
    if role == MEAN:
        share = rows / np.maximum(rows.sum(axis=0), 1e-12)
        normal, faulty = (share * own).sum(axis=0), (share * own * change).sum(axis=0)
        weight = twin[1][name][held]
        total = weight.sum(axis=0)
        seen_mean = (weight * seen).sum(axis=0) / np.maximum(total, 1)
        error = np.where(total > 0, seen_mean - normal, 0.0)
    elif fault.kind == "birth":
        everywhere = means.of(role).sum(axis=0)
        normal, faulty = everywhere - own.sum(axis=0), everywhere
        error = np.nan_to_num(twin[0][name]).sum(axis=0) - everywhere
    else:
        normal, faulty = own.sum(axis=0), (own * change).sum(axis=0)
        error = seen.sum(axis=0) - normal
    found = [evidence(error, normal, faulty, span, WINDOWS, additive=role != MEAN)]
    length = span.stop - span.start
    some = normal > 0
    if not some[span].any():
        return 0.0
    variance = np.full(length, np.mean(error[some] ** 2))
    if role != MEAN:
        variance = np.mean(error[some] ** 2 / normal[some]) * normal[span]
    variance = np.maximum(variance, 1e-12)
    if fault.kind == "variance":
        size = _deviation(means.world, fault)
        ratio = 1 + (np.exp(size**2) - 1) * normal[span] ** 2 / variance
        found.append(float(((ratio - 1 - np.log(ratio)) / 2).sum()))
    if fault.kind == "stuck" and role == fault.role:
        step = {COUNT: 1.0, AMOUNT: 0.01, MEAN: 1e-6 if means.world.quality == "share" else 0.01}
        deviation = np.sqrt(np.mean(variance))
        chance = np.clip(step[role] / (2 * np.sqrt(np.pi) * deviation), 1e-3, 1.0)
        found.append(float((length - 1) * -np.log(chance)))
    return min(SURE, max(found))
