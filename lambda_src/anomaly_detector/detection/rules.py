"""Per-measure constants of a detector, and constants that several parts share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from anomaly_detector.config import SliceLevel
from anomaly_detector.detection.arrays import Array, Mask
from anomaly_detector.detection.settings import DetectorSettings
from anomaly_detector.detection.spans import Values
from anomaly_detector.lattice import Lattice

TO_DEVIATION = 1.2533  # sqrt(pi / 2): mean absolute residual to standard deviation, Gaussian
LONG = 4  # intervals an hour up to which they are long: 15 minutes or more
FULL_SIZE = 0.2  # relative change from which values and events have full weight
UNCLIPPED_UNTIL = 10  # values before which the spread of a series is unknown
YOUNG_WEEK = 3  # weeks up to which a weekly slot is learned with the wider clip
TINY = 1e-300  # prevents division by zero
SMALL = 1e-100  # the same if the quotient is squared


@dataclass(frozen=True)
class Units:
    """What is known of the values of each measure, as columns (M, 1).

    Attributes
    ----------
    positive : never negative. share : at most 1. whole : whole numbers.
    maybe_share, maybe_whole : whether a series may show that it is.
    """

    positive: Mask
    share: Mask
    whole: Mask
    maybe_share: Mask
    maybe_whole: Mask


@dataclass(frozen=True)
class Rules:
    """Per-measure constants as columns (M, 1), which broadcast over slices; see `on`.

    Attributes
    ----------
    averages : indices of the measures whose values are less certain if they have few rows.
    ratios : those of the ratios, whose rows are not known one by one.
    band_beyond : share of the normal values on each side of the band. band_reach : deviations of a
        normal distribution within which the others lie.
    half_day : intervals of half a day.
    one_sided, minima : whether any measure has a direction, or a minimum change.
    long : whether intervals are so long that hardly a value is zero by chance when a shop is open.
    by_hour : whether forecasts are weighed by what they err by in an hour: of shorter ones, but not
        of the only series of a measure.
    an_hour : intervals an hour, at least 1. pace : its inverse; rates an interval are those of PT1H
        times it.
    lengths : windows as a column (V, 1, 1). within_hour : index of the longest within an hour.
    fewest_gone : missing values in a row that are "no data": one of a day, or two.
    quiet_to_close, ..., settling : limits of events in intervals, see `events.follow`.
    """

    additive: Mask
    absent_is_zero: Mask
    averages: tuple[int, ...]
    ratios: tuple[int, ...]
    up: Mask
    down: Mask
    min_absolute: Array
    min_relative: Array
    an_hour: int
    pace: float
    long: bool
    by_hour: bool
    windows: tuple[int, ...]
    lengths: Array
    within_hour: int
    warm_up: int
    open_after: int
    week_known_after: int
    score_after: int
    few_windows: int
    memory: float
    shift_after: int
    young_week: int
    fewest_gone: int
    quiet_to_close: int
    quiet_at_most: int
    quiet_to_yield: int
    lasted: int
    settled: int
    continued: int
    remembered: int
    settling: int
    learned_after: int
    budget: float
    intervals_a_week: float
    band_beyond: float
    band_reach: float
    units: Units
    measures_in_all: int
    half_day: float
    one_sided: bool
    minima: bool

    @staticmethod
    @lru_cache
    def of(settings: DetectorSettings) -> Rules:
        """Constants of a configured detector."""
        rules = settings.measures
        hour, windows = settings.an_hour, settings.windows
        seconds, day = settings.grid.seconds, 86_400
        beyond = (1.0 - settings.band) / 2.0
        # The only series of a measure has no other slices in which the same fault may show next.
        again = 12 if settings.dimensions else 3

        def mask(values: list[bool]) -> Mask:
            return np.array(values, dtype=np.bool_)[:, None]

        return Rules(
            additive=mask([rule.additive for rule in rules]),
            absent_is_zero=mask([rule.absent_is_zero for rule in rules]),
            averages=tuple(m for m, rule in enumerate(rules) if rule.average),
            ratios=tuple(m for m, rule in enumerate(rules) if rule.aggregation == "RATIO"),
            up=mask([rule.direction != "down" for rule in rules]),
            down=mask([rule.direction != "up" for rule in rules]),
            min_absolute=np.array([[rule.min_absolute_change] for rule in rules]),
            min_relative=np.array([[rule.min_relative_change] for rule in rules]),
            an_hour=hour,
            long=hour <= LONG,
            by_hour=hour > LONG and bool(settings.dimensions),
            pace=1.0 / hour,
            windows=windows,
            lengths=np.array(windows, dtype=np.float64)[:, None, None],
            within_hour=windows.index(hour),
            warm_up=settings.warm_up,
            open_after=settings.open_after,
            week_known_after=settings.week_known_after,
            score_after=settings.score_after,
            few_windows=settings.few_windows,
            memory=settings.memory,
            shift_after=settings.shift_after,
            young_week=YOUNG_WEEK * settings.slots_a_day // settings.slots_a_weekday,
            fewest_gone=1 if seconds >= day else max(2, hour // 4),
            quiet_to_close=4 * max(1, hour // 4),
            quiet_at_most=12 * hour,
            quiet_to_yield=2 * hour,
            lasted=3 if seconds >= day else 12 * hour,
            settled=3 * hour,
            continued=max(1, 3 * day // seconds) if seconds >= day else again * hour,
            remembered=max(2, 7 * day // seconds) if seconds >= day else 24 * hour,
            settling=max(1, 2 * day // seconds) if seconds >= day else 6 * hour,
            learned_after=6 * hour,
            budget=settings.false_events_per_week / settings.intervals_a_week,
            intervals_a_week=settings.intervals_a_week,
            band_beyond=beyond,
            band_reach=NormalDist().inv_cdf(1.0 - beyond),
            units=Units(
                positive=mask([rule.unit in ("share", "count") for rule in rules]),
                share=mask([rule.unit == "share" for rule in rules]),
                whole=mask([rule.unit == "count" for rule in rules]),
                maybe_share=mask([rule.unit is None and not rule.additive for rule in rules]),
                maybe_whole=mask([rule.unit is None for rule in rules]),
            ),
            measures_in_all=settings.measures_in_all,
            half_day=settings.slots_a_day / 2,
            one_sided=any(rule.one_sided for rule in rules),
            minima=any(
                rule.min_absolute_change or rule.min_relative_change or rule.min_change_by_level
                for rule in rules
            ),
        )

    def on(self, settings: DetectorSettings, lattice: Lattice) -> Rules:
        """The rules of the slices of a lattice: directions and minimum changes as (M, K), where
        slices have their own.
        """
        rules = settings.measures
        if not any(rule.min_change_by_level or rule.direction_by_slice for rule in rules):
            return self
        shape = (len(rules), len(lattice.level))
        up, down = np.broadcast_to(self.up, shape).copy(), np.broadcast_to(self.down, shape).copy()
        least = [
            np.broadcast_to(one, shape).astype(np.float64)
            for one in (self.min_absolute, self.min_relative)
        ]
        held = _levels(lattice)
        for m, rule in enumerate(rules):
            # What is named last here counts: a level, and the first direction that fits.
            given = {level: values for level, *values in rule.min_change_by_level}
            for level in reversed(LEVELS):
                for place, value in enumerate(given.get(level, ())):
                    if value is not None:
                        least[place][m, held[level]] = value
            for values, direction in reversed(rule.direction_by_slice):
                inside = _inside(settings.dimensions, values, lattice)
                up[m, inside], down[m, inside] = direction != "down", direction != "up"
        return replace(self, up=up, down=down, min_absolute=least[0], min_relative=least[1])


LEVELS: tuple[SliceLevel, ...] = ("total", "leaves", "single", "pairs")
"""Of a slice on two levels, as the leaf of one dimension, the first that is given counts."""


def _levels(lattice: Lattice) -> dict[SliceLevel, Mask]:
    """(K,) slices of each level."""
    depth = (lattice.codes >= 0).sum(axis=1)
    most = lattice.codes.shape[1]
    return {
        "total": depth == 0,
        "leaves": (depth == most) & (most > 0),
        "single": depth == 1,
        "pairs": depth == 2,
    }


def _inside(dimensions: Sequence[str], values: Values, lattice: Lattice) -> Mask:
    """(K,) slices within some dimension values."""
    wanted = [(dimensions.index(name), frozenset(of)) for name, of in values]
    return np.array([all(one[axis] in of for axis, of in wanted) for one in lattice.names])
