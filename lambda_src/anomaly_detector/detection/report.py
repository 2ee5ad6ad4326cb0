"""What a trained detector has learnt, per series class: a measure at one level of the lattice.

A **season** explains the variance of its profile over the slots, less what chance gives means of as
many values; its **share** is of the sum of day, week and s^2, s the residual deviation. It is
**found** where its swing, twice the deviation that it explains, is larger than s, and the profile's
variance is over three times that of chance. Others are **found** where something is expected within
the next days for sure: on a day of the month or the quarter, or on a date of the
year (`alike`); or where forecasts are better with the season that an input names (`month`).

**Events an interval** are what a series of small numbers is made of: for SUM and COUNT its level
over the size of one event, as the forecast's floor takes it, and for every aggregation the rows
behind a value, where intervals without a row show that they are few.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.detection.arrays import Array, Mask
from anomaly_detector.detection.forecast import RATE_DAY, RATE_WEEK
from anomaly_detector.detection.habits import MOSTLY, Habits
from anomaly_detector.detection.month import BETTER, WITH, WITHOUT, Month
from anomaly_detector.detection.recurring import expected_on
from anomaly_detector.detection.rules import TO_DEVIATION, Rules
from anomaly_detector.detection.settings import DetectorSettings, MeasureRule
from anomaly_detector.detection.slots import dates
from anomaly_detector.detection.state import State
from anomaly_detector.lattice import Lattice

Season = Literal["day", "week", "month", "quarter", "year", "season_intervals"]

OTHERS: tuple[Season, ...] = ("month", "quarter", "year")
SEASONS: tuple[Season, ...] = ("day", "week", *OTHERS, "season_intervals")
SPARSE = 5.0  # events an interval below which a series is sparse
GAPS = float(np.exp(-SPARSE))  # share of intervals without a row that so few events leave
BEYOND_CHANCE = 3.0
SWING = 0.3  # variance of a season that is worth telling, in that of the noise
OF_WEEK = (
    0.05  # share of the week's variance below which that of the day is the week's, half learned
)
AHEAD = 100  # days in which what is expected is looked for
CONSTANT = 1e-6  # relative deviation below which there is nothing but float noise

_ABSENT_IS_ZERO = (
    f"absent rows count as zero in series that lack over {1 - MOSTLY:.0%} of them; slices "
    "that expect too little are left to longer windows, and then to their roll-up"
)
_ABSENT_IS_UNKNOWN = "missing rows are no evidence, and a series learns from the rows it has"


@dataclass(frozen=True)
class SeriesClass:
    """The series of one measure by the same dimensions; None where no series tells.

    Attributes
    ----------
    measure, aggregation : the measure. dimensions : those that are not rolled up; none in total.
    series : those that have had a value; `learning` of them have not had enough to be scored, or
        learn a new level.
    intervals_learnt : median number of values that a series has learnt, since its level moved.
    level : median of the usual value, in the measure's unit.
    seasons : those that at least half of the series beyond learning have. `with_day`, `with_week`
        are the series, `day_share`, `week_share` (0-1) the medians of the share of the usual
        variation that the profile of the day explains, and that the weekday adds.
    spread : median residual deviation as a share of the level; without those of a level near 0.
    share_missing : mean share (0-1) of intervals without a row, of those in which any series had
        one; of the newest 500 or so.
    sparse : series with fewer than 5 events an interval, and `treatment` is what becomes of them.
    absent_is_zero : series whose absent rows count as zero; only SUM and COUNT.
    windows_only : series that expect so little that the scan looks at no single interval of them.
    left_to_rollup : those of them that it leaves to their roll-up in its longest window, too.
    constant : series beyond learning that vary by float noise at most, which never alerts.
    """

    measure: str
    aggregation: str
    dimensions: tuple[str, ...]
    series: int
    learning: int
    intervals_learnt: float | None
    level: float | None
    seasons: tuple[Season, ...]
    with_day: int
    with_week: int
    day_share: float | None
    week_share: float | None
    spread: float | None
    share_missing: float | None
    sparse: int
    absent_is_zero: int
    windows_only: int
    left_to_rollup: int
    constant: int
    treatment: str


@dataclass(frozen=True)
class Report:
    """What was learnt.

    Attributes
    ----------
    interval : ISO 8601 duration.
    learnt_to : UTC start of the newest interval that was learnt, None before the first.
    intervals : learnt. warm_up : values of a series before it can open an event; values are scored
        earlier, see `DetectorSettings.score_after`.
    classes : per measure, in its order, from the total to the leaves.
    """

    interval: str
    learnt_to: str | None
    intervals: int
    warm_up: int
    classes: tuple[SeriesClass, ...]

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it; there is no NaN in it."""
        return asdict(self)


@dataclass(frozen=True)
class _Learnt:
    """What is told of each series; arrays (M, K), NaN where unknown."""

    born: Mask
    scored: Mask
    seen: Array
    level: Array
    day_share: Array
    week_share: Array
    with_day: Mask
    with_week: Mask
    spread: Array
    missing: Array
    sparse: Mask
    absent_is_zero: Mask
    windows_only: Mask
    left: Mask
    constant: Mask
    others: dict[Season, Mask]

    def of_measure(self, m: int) -> _Learnt:
        """The series of one measure, arrays (K,)."""
        arrays = {one.name: getattr(self, one.name) for one in fields(self)}
        others = {season: held[m] for season, held in arrays.pop("others").items()}
        return _Learnt(**{name: array[m] for name, array in arrays.items()}, others=others)


def describe(settings: DetectorSettings, state: State) -> Report:
    """Tell per series class what the state has learnt.

    Parameters
    ----------
    state : of the same settings, after training.
    """
    lattice = Lattice.of(state.slices)
    levels = sorted(_levels(lattice, state.dimensions), key=lambda one: (len(one[0]), one[1]))
    learnt = _learnt(settings, state)
    classes = [
        _class(rule, dimensions, learnt.of_measure(m), lattice.level == number)
        for m, rule in enumerate(settings.measures)
        for dimensions, number in levels
    ]
    return Report(
        interval=settings.grid.interval,
        learnt_to=None if np.isnat(state.until) else f"{state.until.astype('datetime64[s]')}Z",
        intervals=state.clock,
        warm_up=settings.open_after,
        classes=tuple(classes),
    )


def _levels(lattice: Lattice, names: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int]]:
    """The dimensions of each level, and its number."""
    for number in range(lattice.count):
        codes = lattice.codes[np.argmax(lattice.level == number)]
        yield tuple(name for name, code in zip(names, codes, strict=True) if code >= 0), number


def _learnt(settings: DetectorSettings, state: State) -> _Learnt:
    rules, habits, forecast = Rules.of(settings), state.habits, state.forecast
    scored = habits.seen >= settings.warm_up
    level, day = _profile(forecast.day, forecast.day_seen)
    level = np.where(np.isfinite(level), level, habits.level)
    _, week = _profile(forecast.week, forecast.week_seen)
    residual, _ = _profile(forecast.spread, forecast.day_seen)
    deviation = TO_DEVIATION * np.nan_to_num(residual)
    variance = np.square(deviation)

    size = np.maximum(np.abs(level), habits.magnitude)
    flat = np.sqrt(np.maximum(day, week)) <= CONSTANT * size
    constant = scored & flat & (deviation <= CONSTANT * size)

    week_chance = variance * _chance(forecast.week_seen, RATE_WEEK * rules.pace)
    day_chance = variance * _chance(forecast.day_seen, RATE_DAY)
    by_week = np.maximum(week - week_chance, 0.0)
    by_day = np.maximum(day - day_chance, 0.0)
    if settings.slots_a_day == 1:
        by_day = np.zeros_like(by_day)
    total = by_day + by_week + variance
    telling = scored & ~constant & (total > 0)
    total = np.where(telling, total, 1.0)

    # A weekend that is still being learned lifts the hours of the day that it has reached.
    with_day = by_day > OF_WEEK * by_week

    def found(explained: Array, raw: Array, chance: Array) -> Mask:
        swing = explained > SWING * variance
        return np.asarray(telling & (explained > 0) & swing & (raw > BEYOND_CHANCE * chance))

    spread = np.full(level.shape, np.nan)
    np.divide(deviation, np.abs(level), out=spread, where=np.abs(level) > CONSTANT * deviation)
    unit = habits.unit(rules, forecast.spread_all)
    little = state.scan.expects_little(rules, habits, unit)
    return _Learnt(
        born=habits.born,
        scored=scored,
        seen=habits.seen,
        level=level,
        day_share=np.where(telling, by_day / total, 0.0),
        week_share=np.where(telling, by_week / total, 0.0),
        with_day=with_day & found(by_day, day, day_chance),
        with_week=found(by_week, week, week_chance),
        spread=spread,
        missing=1.0 - habits.presence,
        sparse=_events(habits, unit) < SPARSE,
        absent_is_zero=rules.absent_is_zero & habits.born & habits.often_absent,
        windows_only=little[0],
        left=np.asarray(little.all(axis=0)),
        constant=constant,
        others=_others(settings, state),
    )


def _others(settings: DetectorSettings, state: State) -> dict[Season, Mask]:
    """(M, K) series that have seasons beside those of day and week."""
    found: dict[Season, Mask] = {}

    def add(season: Season, held: Mask) -> None:
        found[season] = held | found.get(season, np.zeros_like(held))

    if len(state.days.day) and not np.isnat(state.until):
        today = int(dates(settings.grid, np.array([state.until]))[0])
        for number in range(today + 1, today + AHEAD + 1):
            for kind, held in expected_on(state.days, state.moments, number).items():
                for season in OTHERS:
                    if kind.startswith(season):
                        add(season, held)
    profiles: tuple[tuple[Season, Month], ...] = (
        ("month", state.month),
        ("season_intervals", state.season),
    )
    for season, profile in profiles:
        if len(profile.error):
            better = profile.error[WITH] < BETTER * profile.error[WITHOUT]
            add(season, better)
    return found


def _profile(profile: NDArray[Any], seen: NDArray[Any]) -> tuple[Array, Array]:
    """(M, K) mean, NaN where nothing was seen, and variance of the slots (S, M, K) that were."""
    known = seen > 0
    count = known.sum(axis=0)
    held = np.maximum(count, 1)
    mean = np.sum(profile, axis=0, where=known, dtype=np.float64) / held
    square = np.sum(np.square(profile - mean), axis=0, where=known, dtype=np.float64) / held
    return np.where(count > 0, mean, np.nan), square


def _chance(seen: NDArray[Any], rate: float) -> Array:
    """(M, K) variance of a slot that chance gives, in units of s^2: a mean first, then a decay."""
    known = seen > 0
    each = np.maximum(1.0 / np.maximum(seen, 1), rate / (2.0 - rate))
    total = np.sum(each, axis=0, where=known, dtype=np.float64)
    return np.asarray(total / np.maximum(known.sum(axis=0), 1))


def _events(habits: Habits, unit: Array) -> Array:
    """(M, K) events an interval, infinite where nothing says that they are few."""
    presence = habits.presence
    values = np.full(unit.shape, np.inf)
    np.divide(np.abs(habits.level), unit, out=values, where=unit > 0)
    rows = np.where(1.0 - presence > GAPS, habits.rows * presence, np.inf)
    return np.asarray(np.minimum(values, rows))


def _class(
    rule: MeasureRule, dimensions: tuple[str, ...], learnt: _Learnt, of_level: Mask
) -> SeriesClass:
    born = learnt.born & of_level
    scored = born & learnt.scored
    counts: dict[Season, int] = {
        "day": int((scored & learnt.with_day).sum()),
        "week": int((scored & learnt.with_week).sum()),
    }
    enough = max(1.0, scored.sum() / 2)
    counts |= {season: int((scored & held).sum()) for season, held in learnt.others.items()}
    seasons: tuple[Season, ...] = tuple(season for season in SEASONS if season in counts)
    return SeriesClass(
        measure=rule.name,
        aggregation=rule.aggregation,
        dimensions=dimensions,
        series=int(born.sum()),
        learning=int((born & ~learnt.scored).sum()),
        intervals_learnt=_median(learnt.seen[born]),
        level=_median(learnt.level[born]),
        seasons=tuple(season for season in seasons if counts[season] >= enough),
        with_day=counts["day"],
        with_week=counts["week"],
        day_share=_median(learnt.day_share[scored]),
        week_share=_median(learnt.week_share[scored]),
        spread=_median(learnt.spread[scored]),
        share_missing=_rounded(learnt.missing[born].mean()) if born.any() else None,
        sparse=int((born & learnt.sparse).sum()),
        absent_is_zero=int((born & learnt.absent_is_zero).sum()),
        windows_only=int((born & learnt.windows_only).sum()),
        left_to_rollup=int((born & learnt.left).sum()),
        constant=int((born & learnt.constant).sum()),
        treatment=_ABSENT_IS_ZERO if rule.absent_is_zero else _ABSENT_IS_UNKNOWN,
    )


def _median(values: Array) -> float | None:
    known = values[np.isfinite(values)]
    return _rounded(np.median(known)) if len(known) else None


def _rounded(value: float | np.floating[Any]) -> float:
    """Six digits: all that a reader needs, and the same on every machine."""
    return float(f"{float(value):.6g}")
