"""What the detector has to know of the configuration, and nothing more."""

from __future__ import annotations

import sys
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Self

from anomaly_detector.config import (
    PERCENTILES,
    Aggregation,
    BoundedSeries,
    Config,
    Direction,
    SliceLevel,
    Unit,
)
from anomaly_detector.detection.calendar import PARTS_OF_A_DAY, Calendar
from anomaly_detector.detection.slots import MONTH_SLOTS
from anomaly_detector.detection.spans import Span, Values
from anomaly_detector.detection.verdicts import Verdict
from anomaly_detector.intervals import Grid

THRESHOLD_SEVERITY = 50.0
"""Severity of a value that is exactly as surprising as the false-event budget allows."""

LONGEST = 48
"""Length of the longest window of events, in hours, or in intervals if they are longer."""

_HOUR = 3_600
_DAY = 86_400
_WEEK = 604_800


@dataclass(frozen=True)
class MeasureRule:
    """How a measure is aggregated, which changes of it count, and its static bounds."""

    name: str
    aggregation: Aggregation
    direction: Direction = "both"
    min_absolute_change: float = 0.0
    min_relative_change: float = 0.0
    min: float | None = None
    max: float | None = None
    bounded_series: BoundedSeries = "all"
    unit: Unit | None = None
    min_change_by_level: tuple[tuple[SliceLevel, float | None, float | None], ...] = ()
    direction_by_slice: tuple[tuple[Values, Direction], ...] = ()

    def direction_in(self, one: Mapping[str, str]) -> Direction:
        """The direction of a slice, given by its values of dimensions that are not rolled up."""
        for values, direction in self.direction_by_slice:
            if all(one.get(name) in of for name, of in values):
                return direction
        return self.direction

    @property
    def one_sided(self) -> bool:
        """Whether it has a direction, at least in some slices."""
        return self.direction != "both" or bool(self.direction_by_slice)

    @property
    def bounded(self) -> bool:
        """Whether the measure has a static bound."""
        return self.min is not None or self.max is not None

    @property
    def additive(self) -> bool:
        """Whether parts add up to their roll-up."""
        return self.aggregation in ("SUM", "COUNT")

    @property
    def absent_is_zero(self) -> bool:
        """Whether no row means zero."""
        return self.aggregation in ("SUM", "COUNT", "COUNT_DISTINCT")

    @property
    def weighted_mean(self) -> bool:
        """Whether a roll-up is the mean of its parts, weighted by their rows (`RATIO`: by their
        denominators).
        """
        return self.aggregation in ("AVG", "RATIO")

    @property
    def average(self) -> bool:
        """Whether a value of few rows is less certain than one of many."""
        return self.aggregation in ("AVG", "RATIO", *PERCENTILES)


@dataclass(frozen=True)
class DetectorSettings:
    """The part of the configuration that scores and events depend on.

    Attributes
    ----------
    band : share of the normal values that lie between the bounds.
    season_intervals : length of a season beside day, week and month; 0 if there is none.
    clock : zone of the wall-clock times of the rows.
    calendar : special days.
    incidents : what is neither scored nor learned. verdicts : what people said of events.
    measures_elsewhere : measures of the detector that are not among these: thresholds count them,
        so that a part of a detector gives what the whole gives.
    """

    name: str
    grid: Grid
    dimensions: tuple[str, ...]
    measures: tuple[MeasureRule, ...]
    false_events_per_week: float = 1.0
    band: float = 0.99
    season_intervals: int = 0
    clock: str = "UTC"
    calendar: Calendar = field(default_factory=Calendar)
    incidents: tuple[Span, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    measures_elsewhere: int = 0

    @classmethod
    def of(cls, config: Config, grid: Grid) -> DetectorSettings:
        """Settings of a configured detector."""
        measures = tuple(
            MeasureRule(
                name,
                measure.aggregation,
                measure.direction,
                measure.min_absolute_change,
                measure.min_relative_change,
                measure.min,
                measure.max,
                measure.bounded_series,
                measure.unit,
                tuple(
                    (level, one.min_absolute_change, one.min_relative_change)
                    for level, one in measure.min_change_by_level.items()
                ),
                tuple(
                    (tuple(one.dimension_filters.items()), one.direction)
                    for one in measure.direction_by_slice
                ),
            )
            for name, measure in config.measures.items()
        )
        return cls(
            config.name,
            grid,
            config.dimensions,
            measures,
            config.false_events_per_week,
            config.band,
            config.season_intervals or 0,
            config.timestamp_column.timezone,
            Calendar.of(config.special_days, config.calendar.silent),
            tuple(
                Span.of(grid, one.measures, [one.dimension_filters], one.start, one.end)
                for one in config.incidents.values()
            ),
        )

    def part(self, measures: Collection[str]) -> Self:
        """Settings of the part of the detector that has these of its measures."""
        kept = tuple(rule for rule in self.measures if rule.name in measures)
        return replace(self, measures=kept, measures_elsewhere=self.measures_in_all - len(kept))

    @property
    def measures_in_all(self) -> int:
        """Measures of the whole detector."""
        return len(self.measures) + self.measures_elsewhere

    @property
    def an_hour(self) -> int:
        """Intervals an hour, at least 1: rates and limits in hours are those of PT1H."""
        return max(1, _HOUR // self.grid.seconds)

    @property
    def windows(self) -> tuple[int, ...]:
        """Lengths, in intervals, of the windows over which evidence of events is added up."""
        hour = self.an_hour
        if hour == 1:
            return (1, 2, 3, 6, 12, 24, LONGEST)
        shortest = {1, max(1, hour // 4), hour}
        return (*sorted(shortest), *(hour * one for one in (3, 6, 12, 24, LONGEST)))

    @property
    def window_count(self) -> int:
        """Number of windows."""
        return len(self.windows)

    @property
    def window_sums(self) -> int:
        """Number of sums that are kept for the windows."""
        return 3 if any(rule.average for rule in self.measures) else 2

    @property
    def recent(self) -> int:
        """Intervals that are kept one by one; 0 if an hour has only one."""
        return self.an_hour if self.an_hour > 1 else 0

    @property
    def blocks(self) -> int:
        """Hours, or intervals if longer, whose sums are kept: the longest window may begin within
        one of several intervals.
        """
        return LONGEST + (self.an_hour > 1)

    @property
    def slots_a_day(self) -> int:
        """Slots of the daily profile."""
        return max(1, _DAY // self.grid.seconds)

    @property
    def slots_a_weekday(self) -> int:
        """Slots of one weekday in the weekly profile: hours at most, to keep the state small."""
        return min(self.slots_a_day, 24)

    @property
    def slots_a_week(self) -> int:
        """Slots of the weekly profile."""
        return 7 * self.slots_a_weekday

    @property
    def slots_a_month(self) -> int:
        """Slots of the monthly profile: days, for daily data only."""
        return MONTH_SLOTS if self.grid.interval == "P1D" else 0

    @property
    def month_errors(self) -> int:
        """Errors that the monthly profile is weighed by: without it, and with it."""
        return 2 if self.slots_a_month else 0

    @property
    def season_errors(self) -> int:
        """Errors that the profile of the season is weighed by: without it, and with it."""
        return 2 if self.season_intervals else 0

    @property
    def special_parts(self) -> int:
        """Parts of a special day that are kept apart."""
        return PARTS_OF_A_DAY if self.grid.seconds < _DAY else 1

    @property
    def special_slots(self) -> int:
        """Parts of all special days by name that are kept."""
        return self.calendar.kinds * self.special_parts

    @property
    def special_now(self) -> int:
        """Parts of special days that are under way: one, if there are any."""
        return int(self.special_slots > 0)

    @property
    def channels(self) -> int:
        """Channels that evaluate a value; below an hour, its newest change is one more."""
        return 5 + (self.grid.seconds < _HOUR)

    @property
    def distances(self) -> int:
        """Channels with a learned unit: all but one."""
        return self.channels - 1

    @property
    def remembered_days(self) -> int:
        """Days that stood out and are remembered: of two years in daily data, of a few months in
        shorter intervals; longer ones have none.
        """
        if self.grid.seconds > _DAY:
            return 0
        return 40 if self.grid.seconds == _DAY else 16

    @property
    def remembered_moments(self) -> int:
        """Intervals of a day that stood out and are remembered; in hourly data 24."""
        if self.grid.seconds >= _DAY:
            return 0
        return min(64, 24 * 3600 // self.grid.seconds)

    @property
    def intervals_a_week(self) -> float:
        """Intervals that a series is scored in, in a week."""
        return _WEEK / self.grid.seconds

    @property
    def warm_up(self) -> int:
        """Values of a series before it is fully trusted: two weeks, within 10 and 336."""
        return max(10, min(336, 2 * _WEEK // self.grid.seconds))

    @property
    def few_windows(self) -> int:
        """Windows that are enough to know the dispersion of weeks and months, which are few."""
        return {"P1W": 26, "P1M": 12}.get(self.grid.interval, sys.maxsize)

    @property
    def open_after(self) -> int:
        """Values of a series before it can open an event: the warm-up, at least a week."""
        return max(self.warm_up, _WEEK // self.grid.seconds)

    @property
    def week_known_after(self) -> int:
        """Values of a series before its week is known: one to know the day, one the week."""
        return 2 * _WEEK // self.grid.seconds

    @property
    def score_after(self) -> int:
        """Values of a series after which it is scored: two days, within 14 and the warm-up."""
        return min(self.warm_up, max(14, 2 * _DAY // self.grid.seconds))

    @property
    def memory(self) -> float:
        """Intervals that an anomaly's aftermath lasts: a quarter of a day, within 6 and 72."""
        return float(max(6, min(72, _DAY // 4 // self.grid.seconds)))

    @property
    def shift_after(self) -> int:
        """Intervals on one side of the forecast that make a new level: a day, at least 7."""
        return max(7, _DAY // self.grid.seconds)

    @property
    def accept_after(self) -> int:
        """Intervals after which an event is the new level: three days, at least 10."""
        return max(10, 3 * _DAY // self.grid.seconds)
