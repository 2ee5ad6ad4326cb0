"""A seeded shop of another hand: written without knowledge of the other generators.

What a detector is tuned to may be the habits of a generator, not those of the field. This shop
shares with `shop_generator` and `world_generator` no more than the roll-ups and the formula of the
nats. Its draws are fixed: what was measured of a seed stays comparable.

The world (UTC; `STRETCHES` of four intervals): platform, country, payment and, if there are four
dimensions, channel, with log-normal shares; 48 to 120 combinations exist. A day has a peak in the
evening and a shoulder at noon, in the local time of the country. Weekdays differ by country, and
some have a promotion of four hours once a week, which is season. Growth; a year's wave at P1D; a
few small combinations that come or go over weeks. Noise is smooth (autoregressive over hours, and
from day to day), shared by all and by each value, and single leaves have mild outliers. Counts are
negative binomial.

The measures: `orders` (COUNT); `revenue` (SUM of log-normal prices); `latency` (AVG in ms, over
orders), which rises a little with the load; `success` (AVG, a share near one) for even seeds and
`items` (SUM) for odd ones. A leaf without orders has no row.

Faults come one after another, 0 to 4 dimensions deep, and each of the 13 of `KINDS` twice (PT5M: 10
in all). What loses or adds orders is a fault of all sums, so it has a row for each of them.
*season* is the day of eight hours earlier (P1D: the week of three days earlier), or no season at
all; *stuck* repeats orders, revenue or latency; *missing* is latency without rows.

Nats are those of `shop_generator` over the windows of the detector, with these for what is no
change of a mean: stuck, -ln P(orders repeat by chance), and -ln .005 an interval of revenue and
latency; missing, and means of an outage, as many as orders were to come. A variance has those of
the change that was drawn.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, NamedTuple
from zlib import crc32

import numpy as np
from anomaly_detector.config import ROLLED_UP, Config, IntervalName
from anomaly_detector.detection import DetectorSettings
from anomaly_detector.intervals import Grid
from numpy.typing import NDArray

from tests.benchmarks.ground_truth import Simulated, Truth, evidence, leaves_in, roll_up

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

DIMENSIONS = ("platform", "country", "payment", "channel")
PLATFORMS = ("web", "ios", "android")
OFFSETS = {
    "DE": 1,
    "FR": 1,
    "UK": 0,
    "US": -6,
    "CA": -5,
    "JP": 9,
    "AU": 10,
    "BR": -3,
    "IN": 5,
    "ES": 1,
}
PAYMENTS = ("card", "paypal", "wallet", "invoice", "bnpl")
CHANNELS = ("organic", "paid", "email")
KINDS = (
    "outage",
    "drop",
    "drop",
    "rise",
    "ramp",
    "level",
    "latency",
    "stuck",
    "missing",
    "variance",
    "season",
    "spike",
    "price",
)
DAY = 86_400
_SPREADS = (0.6, 1.0, 0.8, 0.7)  # of the logarithms of the shares, by dimension
_WEEKDAYS = (1, 0.98, 1, 1.02, 1.05, 1, 0.95)
_FAR = (9, 10, -3)  # offsets of the countries that are slow to reach
_SMALL = 0.004  # share of leaves that may come or go
_FEW_FAULTS = 10  # of the one week that is scored at PT5M
_DEPTHS = (0.15, 0.35, 0.3, 0.2)
_LEAST_SHARE = 0.003  # of a slice that a fault hits
_LATENCY_SPREAD = 0.5
_REPEATS = 0.005  # chance that revenue or latency repeats


class Stretch(NamedTuple):
    """How much of the shop there is at an interval; `seconds` of an interval."""

    seconds: int
    train_weeks: int
    weeks: int

    @property
    def daily(self) -> bool:
        return self.seconds >= DAY

    @property
    def week(self) -> int:
        """Intervals of a week."""
        return 7 * DAY // self.seconds

    @property
    def first(self) -> int:
        return self.train_weeks * self.week

    @property
    def size(self) -> int:
        return (self.train_weeks + self.weeks) * self.week


STRETCHES: dict[IntervalName, Stretch] = {
    "PT5M": Stretch(300, 3, 1),
    "PT15M": Stretch(900, 4, 4),
    "PT1H": Stretch(3600, 8, 8),
    "P1D": Stretch(DAY, 52, 52),
}


@dataclass(frozen=True)
class Fault:
    """One planted fault; `begin` and `end` are places in the panel, half-open.

    `measure` is whose values stick or are missing; the other kinds need none.
    """

    kind: str
    where: tuple[str, ...]
    begin: int
    end: int
    leaves: Mask
    measure: str = "latency"


class _Promotion(NamedTuple):
    """Four hours of a week in which a country buys more."""

    weekday: int
    hour: int
    factor: float


@dataclass(frozen=True)
class _Leaves:
    """The combinations that exist, the values of each dimension, and shares (L,)."""

    parts: tuple[tuple[str, ...], ...]
    each: tuple[tuple[str, ...], ...]
    share: Array


@dataclass(frozen=True)
class _Market:
    """What is expected without faults.

    Attributes
    ----------
    orders, latency : (L, T) with the noise that is shared.
    normal, usual_latency : (L, T) without.
    dispersion, price : (L,) variance of a count of its mean; median price.
    price_spread : deviation of the logarithm of a price.
    more_items : items of an order beside the first.
    success : its rate, None if items are counted instead.
    """

    leaves: _Leaves
    stretch: Stretch
    orders: Array
    normal: Array
    latency: Array
    usual_latency: Array
    dispersion: Array
    price: Array
    price_spread: float
    more_items: float
    success: float | None


@dataclass(frozen=True)
class _Effect:
    """Factors (L, T) of what the faults change."""

    orders: Array
    price: Array
    latency: Array


class _Rows(NamedTuple):
    """Values, rows and sums of squares of the leaves (L, T), by measure."""

    values: dict[str, Array]
    counts: dict[str, Array]
    squares: dict[str, Array]


def generate(
    seed: int,
    interval: IntervalName = "PT1H",
    *,
    faults: bool = True,
    dimensions: int = 3,
) -> Simulated:
    """The shop of a seed: the same bytes each time.

    Parameters
    ----------
    faults : whether faults are planted in the scored weeks. Without, the shop of a seed is another.
    dimensions : 3 or 4.
    """
    stretch = STRETCHES[interval]
    random = np.random.default_rng([seed, crc32(interval.encode()), dimensions, int(faults)])
    market = _market(random, stretch, dimensions, with_success=seed % 2 == 0)
    settings = _settings(interval, DIMENSIONS[:dimensions], market)
    planted = _plant(random, market, dimensions) if faults else []
    effect, planted = _effect(random, market, planted)
    rows = _simulate(np.random.default_rng([seed, 5]), market, effect)
    truths: tuple[Truth, ...] = ()
    if planted:
        for fault in planted:
            _spoil(fault, rows)
        twin = _simulate(np.random.default_rng([seed, 6]), market, _no_effect(market))
        judged = _Judged(market, effect, twin, rows.counts, settings.windows)
        truths = tuple(
            truth for at, fault in enumerate(planted) for truth in _truths(judged, at, fault)
        )
    values = {
        name: np.where(rows.counts[name] > 0, value, np.nan) for name, value in rows.values.items()
    }
    leaves, starts = market.leaves.each, _starts(stretch)
    panel, levels = roll_up(
        settings.dimensions, starts, leaves, values, rows.counts, rows.squares, settings
    )
    return Simulated(seed, settings, panel, stretch.first, leaves, levels, truths)


def _settings(interval: IntervalName, names: Sequence[str], market: _Market) -> DetectorSettings:
    last = {"items": "SUM"} if market.success is None else {"success": "AVG"}
    measures = {"orders": "COUNT", "revenue": "SUM", "latency": "AVG"} | last
    config = Config.model_validate(
        {
            "name": "market",
            "interval": interval,
            "timezone": "UTC",
            "timestamp_column": {"name": "timestamp"},
            "measures": {name: {"aggregation": how} for name, how in measures.items()},
            "dimensions": list(names),
        }
    )
    return DetectorSettings.of(config, Grid.of(config))


def _starts(stretch: Stretch) -> NDArray[np.datetime64]:
    monday = np.datetime64("2025-03-03T00:00:00", "s")
    return monday + np.arange(stretch.size) * np.timedelta64(stretch.seconds, "s")


def _market(
    random: np.random.Generator, stretch: Stretch, dimensions: int, *, with_success: bool
) -> _Market:
    leaves = _combinations(random, dimensions)
    normal = _expected(random, leaves, stretch)
    shape = normal.shape
    orders = normal * _shared_noise(random, leaves, stretch)
    odd = random.random(shape) < 1 / 4000 * stretch.seconds / 3600
    # What is odd for an hour is less so for the day that holds it.
    hours = max(1, stretch.seconds // 3600)
    orders = np.where(odd, orders * (1 + (random.uniform(1.4, 2.5, shape) - 1) / hours), orders)
    dispersion = random.uniform(1.02, 1.6, len(leaves.each))
    price = np.array([30 * np.exp(random.normal() * 0.3) for _ in leaves.each])
    price_spread = random.uniform(0.6, 1.1)
    more_items = random.uniform(0.6, 1.6)
    usual, latency = _latency(random, leaves, stretch, normal, orders)
    success = random.uniform(0.94, 0.985) if with_success else None
    return _Market(
        leaves,
        stretch,
        orders,
        normal,
        latency,
        usual,
        dispersion,
        price,
        price_spread,
        more_items,
        success,
    )


def _combinations(random: np.random.Generator, dimensions: int) -> _Leaves:
    countries = random.permutation(list(OFFSETS))[: random.integers(6, 9)].tolist()
    payments = PAYMENTS[: random.integers(3, 6)]
    parts = (PLATFORMS, tuple(countries), payments, CHANNELS)[:dimensions]
    share: dict[str, float] = {}
    for part, spread in zip(parts, _SPREADS, strict=False):
        own = np.exp(random.normal(size=len(part)) * spread)
        own = np.maximum(own / own.sum(), 0.02)
        share |= zip(part, own / own.sum(), strict=True)
    every = list(product(*parts))
    most = min(int(random.integers(60, 121)), int(0.9 * len(every)))
    weight = np.array([np.prod([share[value] for value in leaf]) for leaf in every])
    weight = weight * np.exp(random.normal(size=len(every)) * 0.5)
    order = np.argsort(-weight * np.exp(random.normal(size=len(every)) * 0.5))
    kept = np.sort(order[:most])
    return _Leaves(parts, tuple(every[k] for k in kept), weight[kept] / weight[kept].sum())


def _expected(random: np.random.Generator, leaves: _Leaves, stretch: Stretch) -> Array:
    """Orders (L, T) that are expected: season, growth, and leaves that come or go."""
    an_hour = float(np.exp(random.uniform(np.log(400), np.log(4000))))
    starts = _starts(stretch)
    hours = (starts - starts[0]).astype(np.int64) / 3600
    weekdays = {country: _weekdays(random) for country in leaves.parts[1]}
    promotions = {country: _promotion(random) for country in leaves.parts[1]}
    years = hours / 24 / 365
    growth = np.exp(years * random.normal(0.15, 0.1))
    wave: Any = 1.0
    if stretch.daily:
        wave = 1 + 0.08 * np.sin(2 * np.pi * (years - random.random()))
    seasons: dict[tuple[str, str], Array] = {}
    found = np.empty((len(leaves.each), stretch.size))
    for k, leaf in enumerate(leaves.each):
        platform, country = leaf[:2]
        if (platform, country) not in seasons:
            local = hours + OFFSETS[country]
            day = _profile(random, local % 24, platform, stretch)
            season = day * weekdays[country][(local // 24).astype(int) % 7]
            season = season * _promoted(promotions[country], local, stretch)
            seasons[platform, country] = season / season.mean()
        level = an_hour * stretch.seconds / 3600 * leaves.share[k]
        found[k] = level * seasons[platform, country] * growth * wave
    _come_and_go(random, leaves, stretch, found)
    return found


def _weekdays(random: np.random.Generator) -> Array:
    """Factors (7,) of the days of a country's week, from Monday on."""
    own = np.array(_WEEKDAYS) * np.exp(random.normal(size=7) * 0.04)
    return own * np.where(np.arange(7) >= 5, random.uniform(0.75, 1.25), 1)


def _promotion(random: np.random.Generator) -> _Promotion | None:
    if random.random() >= 0.4:
        return None
    weekday, hour = int(random.integers(7)), int(random.integers(8, 19))
    return _Promotion(weekday, hour, random.uniform(1.15, 1.5))


def _promoted(promotion: _Promotion | None, local: Array, stretch: Stretch) -> Array:
    """Factors (T,) of a promotion; of a day, a third of what those of its hours are."""
    if promotion is None:
        return np.ones(len(local))
    weekday, hour, factor = promotion
    on = (local // 24).astype(int) % 7 == weekday
    if stretch.daily:
        return np.where(on, 1 + (factor - 1) / 3, 1)
    return np.where(on & (local % 24 >= hour) & (local % 24 < hour + 4), factor, 1)


def _profile(random: np.random.Generator, clock: Array, platform: str, stretch: Stretch) -> Array:
    """Factors (T,) of the hours of a day; people are on the web at work, in apps at home."""
    if stretch.daily:
        return np.ones(len(clock))
    peak, noon = (15.0, 11.0) if platform == "web" else (20.5, 12.5)
    peak += random.normal() * 0.5
    depth = random.uniform(0.85, 1.2)
    evening = 0.9 * np.exp(-0.5 * (((clock - peak + 12) % 24 - 12) / 3.2) ** 2)
    shoulder = 0.65 * np.exp(-0.5 * (((clock - noon + 12) % 24 - 12) / 2.8) ** 2)
    return np.asarray((0.12 + evening + shoulder) ** depth)


def _come_and_go(
    random: np.random.Generator, leaves: _Leaves, stretch: Stretch, orders: Array
) -> None:
    """Lets a few small leaves fade in or out over some weeks."""
    small = np.nonzero(leaves.share < _SMALL)[0]
    for k in random.permutation(small)[: random.integers(2, 5)]:
        at = int(random.uniform(0.2, 0.95) * stretch.size)
        weeks = random.uniform(5, 16) if stretch.daily else random.uniform(2, 6)
        ramp = np.clip((np.arange(stretch.size) - at) / (stretch.week * weeks), 0, 1)
        orders[k] *= ramp if random.random() < 0.5 else 1 - ramp


def _shared_noise(random: np.random.Generator, leaves: _Leaves, stretch: Stretch) -> Array:
    """Factors (L, T) of noise that all leaves share, and all leaves of a value."""
    common = _smooth(random, stretch, random.uniform(4, 14), random.uniform(0.02, 0.04))
    common = common * _by_day(random, stretch, random.uniform(0.02, 0.04))
    own = {
        value: _smooth(random, stretch, random.uniform(3, 20), random.uniform(0.01, 0.025))
        * _by_day(random, stretch, 0.01)
        for part in leaves.parts
        for value in part
    }
    return np.array(
        [common * np.prod([own[value] for value in leaf], axis=0) for leaf in leaves.each]
    )


def _smooth(random: np.random.Generator, stretch: Stretch, hours: float, spread: float) -> Array:
    """Factors (T,) of autoregressive noise that is forgotten within so many hours."""
    rho = np.exp(-stretch.seconds / 3600 / hours)
    shocks = random.normal(size=stretch.size) * np.sqrt(1 - rho * rho)
    found = np.empty(stretch.size)
    state = random.normal()
    for at, shock in enumerate(shocks):
        state = rho * state + shock
        found[at] = state
    return np.asarray(np.exp(spread * found - spread * spread / 2))


def _by_day(random: np.random.Generator, stretch: Stretch, spread: float) -> Array:
    """Factors (T,) of noise from day to day, with no leap at midnight."""
    days = np.arange(stretch.size) * stretch.seconds / DAY
    number = stretch.size * stretch.seconds // DAY + 3
    level = random.normal(size=number) * spread
    if stretch.daily:
        return np.asarray(np.exp(level[: stretch.size]))
    return np.asarray(np.exp(np.interp(days, np.arange(number), level)))


def _latency(
    random: np.random.Generator,
    leaves: _Leaves,
    stretch: Stretch,
    normal: Array,
    orders: Array,
) -> tuple[Array, Array]:
    """Latency (L, T) that is usual, and the same with the load and noise of the day."""
    base = {platform: random.uniform(150, 600) for platform in PLATFORMS}
    noise = {
        platform: _smooth(random, stretch, random.uniform(2, 10), random.uniform(0.015, 0.04))
        for platform in PLATFORMS
    }
    common = _smooth(random, stretch, random.uniform(2, 10), 0.02)
    own = np.array(
        [
            base[leaf[0]] * (1 + 0.25 * (OFFSETS[leaf[1]] in _FAR)) * np.exp(random.normal() * 0.1)
            for leaf in leaves.each
        ]
    )[:, None]
    by_platform = np.array([noise[leaf[0]] for leaf in leaves.each])
    return own * _load(normal) ** 0.12, own * _load(orders) ** 0.12 * common * by_platform


def _load(orders: Array) -> Array:
    """All orders (T,) of an interval, of their mean."""
    total = orders.sum(axis=0)
    return np.asarray(total / total.mean())


def _simulate(random: np.random.Generator, market: _Market, effect: _Effect) -> _Rows:
    expected = market.orders * effect.orders
    excess = market.dispersion[:, None] - 1
    rate = random.gamma(np.maximum(expected, 1e-9) / excess) * excess * (expected > 0)
    number = random.poisson(rate)
    rows = np.sqrt(np.maximum(number, 1))
    revenue, prices = _revenue(random, market, number, effect.price)
    noise = np.exp(random.normal(size=number.shape) * _LATENCY_SPREAD / rows)
    latency = market.latency * effect.latency * noise
    times = number * latency * latency * np.exp(_LATENCY_SPREAD**2)
    times = times * np.exp(random.normal(size=number.shape) * 0.8 / rows)
    # A mean of squares is not below the square of the mean.
    times = np.maximum(times, number * latency * latency)
    orders = number.astype(np.float64)
    values = {"orders": orders, "revenue": revenue, "latency": latency}
    squares = {"revenue": prices, "latency": times}
    if market.success is not None:
        values["success"] = random.binomial(number, market.success) / np.maximum(number, 1)
        squares["success"] = values["success"] * number
    else:
        values["items"] = (number + random.poisson(number * market.more_items)).astype(np.float64)
        an_order = (1 + market.more_items) ** 2
        squares["items"] = number * an_order + number * market.more_items
    return _Rows(values, {name: orders.copy() for name in values}, squares)


def _revenue(
    random: np.random.Generator, market: _Market, number: NDArray[np.int64], factor: Array
) -> tuple[Array, Array]:
    """Sums (L, T) of the prices of so many orders, and of their squares."""
    sums, squares = np.zeros(number.shape), np.zeros(number.shape)
    size, spread = number.shape[1], market.price_spread
    for k, own in enumerate(number):
        total = int(own.sum())
        if not total:
            continue
        logs = random.normal(size=total) * spread + np.log(market.price[k]) - spread**2 / 2
        prices = np.round(np.exp(logs), 2)
        at = np.repeat(np.arange(size), own)
        sums[k] = np.bincount(at, prices, size)
        squares[k] = np.bincount(at, prices * prices, size)
    return sums * factor, squares * factor**2


def _plant(random: np.random.Generator, market: _Market, dimensions: int) -> list[Fault]:
    stretch, leaves = market.stretch, market.leaves
    kinds = [*random.permutation(KINDS).tolist(), *random.permutation(KINDS).tolist()]
    if stretch.seconds == STRETCHES["PT5M"].seconds:
        kinds = kinds[:_FEW_FAULTS]
    gap = (stretch.size - stretch.first) / len(kinds)
    found = []
    for number, planned in enumerate(kinds):
        kind, length = _length(random, planned, stretch)
        length = min(length, int(gap * 0.8))
        room = max(1, int(gap * 0.9) - length)
        begin = stretch.first + int(number * gap) + int(random.integers(0, room))
        where = _slice(random, kind, leaves, dimensions)
        held = leaves_in(leaves.each, where)
        found.append(Fault(kind, where, begin, begin + length, held))
    return found


def _length(random: np.random.Generator, kind: str, stretch: Stretch) -> tuple[str, int]:
    """A kind of fault that this interval has room for, and its length in intervals."""
    short = stretch.seconds == STRETCHES["PT5M"].seconds
    low, high = (1, 12) if stretch.daily else (2, 10 if short else 72)  # days, hours
    lasts = np.exp(random.uniform(np.log(low), np.log(high)))
    if kind == "level":
        lasts = np.exp(random.uniform(np.log(high / 3), np.log(high)))
    elif kind == "ramp":
        lasts = np.exp(random.uniform(np.log(high / 6), np.log(high)))
    elif kind == "season":
        lasts = random.uniform(5, 10) if stretch.daily else random.uniform(24, 72)
        # A week that is scored has no room for a season that is broken for days.
        kind = "drop" if short else kind
    elif kind == "variance":
        lasts = max(lasts, 8)
    if kind == "spike":
        return kind, 1 if stretch.seconds >= 3600 else int(random.integers(1, 4))
    unit = 1.0 if stretch.daily else 3600 / stretch.seconds
    return kind, max(2, round(float(lasts * unit)))


def _slice(
    random: np.random.Generator, kind: str, leaves: _Leaves, dimensions: int
) -> tuple[str, ...]:
    """The slice of a fault; tried until it has orders enough to be worth one."""
    chance = leaves.share**0.7 / (leaves.share**0.7).sum()
    for _ in range(200):
        depth = int(random.choice(4, p=_DEPTHS))
        if kind == "outage" and random.random() < 0.5:
            depth = 0
        leaf = leaves.each[int(random.choice(len(chance), p=chance))]
        axes = random.permutation(dimensions)
        if depth == 3 and dimensions == 4:
            depth = int(random.choice([3, 4]))
        named = set(axes[:depth].tolist())
        where = tuple(value if axis in named else ROLLED_UP for axis, value in enumerate(leaf))
        if leaves.share[leaves_in(leaves.each, where)].sum() > _LEAST_SHARE:
            break
    return where


def _no_effect(market: _Market) -> _Effect:
    return _Effect(*(np.ones(market.normal.shape) for _ in range(3)))


def _effect(
    random: np.random.Generator, market: _Market, faults: Sequence[Fault]
) -> tuple[_Effect, list[Fault]]:
    """What all faults change together, and the faults with the measure of those that stick."""
    effect, found = _no_effect(market), []
    for fault in faults:
        at = np.ix_(fault.leaves, np.arange(fault.begin, fault.end))
        upward = random.random() < 0.5
        measure = fault.measure
        if fault.kind == "latency":
            effect.latency[at] *= np.exp(random.uniform(np.log(1.3), np.log(4)))
        elif fault.kind == "price":
            effect.price[at] *= random.uniform(1.6, 4) if upward else random.uniform(0.1, 0.6)
        elif fault.kind == "season":
            effect.orders[at] *= _other_season(market, fault, upward=upward)
        elif fault.kind == "stuck":
            measure = str(random.choice(["orders", "revenue", "latency"]))
        elif fault.kind != "missing":
            length = fault.end - fault.begin
            effect.orders[at] *= _change(random, fault.kind, length, upward=upward)
        found.append(replace(fault, measure=measure))
    return effect, found


def _change(random: np.random.Generator, kind: str, length: int, *, upward: bool) -> Array | float:
    """The factor of the orders of a fault, one or (its length,)."""
    if kind == "outage":
        return 0.0
    if kind == "drop":
        return 1 - random.uniform(0.3, 0.9)
    if kind == "rise":
        return float(np.exp(random.uniform(np.log(1.3), np.log(5))))
    if kind == "level":
        return random.uniform(1.4, 2.5) if upward else random.uniform(0.3, 0.7)
    if kind == "spike":
        return random.uniform(2.5, 8)
    if kind == "ramp":
        to = random.uniform(1.6, 4) if upward else random.uniform(0.05, 0.5)
        return np.asarray(1 + (to - 1) * (np.arange(length) + 1) / length)
    own = np.random.default_rng(random.integers(1 << 31)).normal(size=length)
    return np.asarray(np.exp(own * random.uniform(0.4, 0.8)))


def _other_season(market: _Market, fault: Fault, *, upward: bool) -> Array:
    """Factors (its length,) that move the season of a slice, or take it away."""
    own = market.normal[fault.leaves].sum(axis=0)
    span, stretch = slice(fault.begin, fault.end), market.stretch
    # Of days the week is moved, of hours the day; either is taken away the other time.
    moved, back = (3, 28) if stretch.daily else (DAY // stretch.seconds // 3, stretch.week)
    if upward != stretch.daily:
        want = np.roll(own, moved)[span]
    else:
        want = own[max(0, fault.begin - back) : fault.begin].mean()
    return np.asarray(want / np.maximum(own[span], 1e-12))


def _spoil(fault: Fault, rows: _Rows) -> None:
    """Repeats what the interval before a stuck fault shows, or takes the rows of a missing one."""
    name, held, span = fault.measure, fault.leaves, slice(fault.begin, fault.end)
    if fault.kind == "missing":
        rows.counts[name][held, span] = 0
    if fault.kind != "stuck":
        return
    last = slice(fault.begin - 1, fault.begin)
    before = rows.counts[name][held, last]
    rows.values[name][held, span] = rows.values[name][held, last]
    if name == "orders":
        rows.counts[name][held, span] = before
        return
    rows.squares[name][held, span] = rows.squares[name][held, last]
    now = np.maximum(rows.counts[name][held, span], 1)
    rows.counts[name][held, span] = np.where(before > 0, now, 0)


class _Judged(NamedTuple):
    """What the nats of faults are reckoned from; `counts` are the rows that are seen."""

    market: _Market
    effect: _Effect
    twin: _Rows
    counts: Mapping[str, Array]
    windows: Sequence[int]


def _truths(judged: _Judged, number: int, fault: Fault) -> Iterator[Truth]:
    """One row for each measure that a fault changes."""
    if fault.kind in ("stuck", "missing"):
        found = {fault.measure: _nats_of_rows(judged, fault)}
    elif fault.kind == "latency":
        found = {"latency": _nats_of_latency(judged, fault)}
    else:
        found = _nats_of_sums(judged, fault)
    for measure, nats in found.items():
        yield Truth(
            number,
            fault.kind,
            measure,
            fault.where,
            fault.begin,
            fault.end,
            float(nats),
            fault.leaves,
        )


def _nats_of_rows(judged: _Judged, fault: Fault) -> float:
    """How visible values are that repeat, or that are missing."""
    span, name = slice(fault.begin, fault.end), fault.measure
    orders = judged.market.normal[fault.leaves].sum(axis=0)[span]
    if fault.kind == "missing":
        return float(orders.sum())
    if not judged.counts[name][fault.leaves, fault.begin - 1].sum() > 0:
        return 0.0
    chance = np.full(len(orders), _REPEATS)
    if name == "orders":
        chance = np.minimum(1, 1 / np.sqrt(2 * np.pi * np.maximum(orders, 0.2)))
    return float(-np.log(np.clip(chance, 0.003, 1)).sum())


def _nats_of_sums(judged: _Judged, fault: Fault) -> dict[str, float]:
    """How visible a change of orders or of prices is in each sum, and an outage in the means."""
    market, held, span = judged.market, fault.leaves, slice(fault.begin, fault.end)
    units = {
        "orders": np.ones(len(held)),
        "revenue": market.price,
        "items": np.full(len(held), 1 + market.more_items),
    }
    changed, names = judged.effect.orders, tuple(units)
    if fault.kind == "price":
        changed, names = judged.effect.price, ("revenue",)
    orders, found = market.normal[held], {}
    for name in names:
        if name in judged.twin.values:
            unit = units[name][held][:, None]
            normal = (orders * unit).sum(axis=0)
            faulty = (orders * changed[held] * unit).sum(axis=0)
            error = judged.twin.values[name][held].sum(axis=0) - normal
            found[name] = evidence(error, normal, faulty, span, judged.windows, additive=True)
    if fault.kind == "outage":
        means = [name for name in ("latency", "success") if name in judged.twin.values]
        found |= dict.fromkeys(means, orders.sum(axis=0)[span].sum())
    return found


def _nats_of_latency(judged: _Judged, fault: Fault) -> float:
    market, held, span = judged.market, fault.leaves, slice(fault.begin, fault.end)
    orders, usual = market.normal[held], market.usual_latency[held]
    normal = (orders * usual).sum(axis=0) / orders.sum(axis=0)
    faulty = (orders * usual * judged.effect.latency[held]).sum(axis=0) / orders.sum(axis=0)
    rows = judged.twin.counts["latency"][held]
    seen = (judged.twin.values["latency"][held] * rows).sum(axis=0)
    seen = seen / np.maximum(rows.sum(axis=0), 1)
    error = np.where(rows.sum(axis=0) > 0, seen - normal, 0)
    return evidence(error, normal, faulty, span, judged.windows, additive=False)
