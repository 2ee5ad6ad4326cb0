"""The interval grid: half-open `[start, end)` on the detector's own clock, all stored in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from anomaly_detector.config import OF_DAYS, Config, IntervalName

SECONDS: dict[IntervalName, int] = {
    "PT5M": 300,
    "PT10M": 600,
    "PT15M": 900,
    "PT30M": 1800,
    "PT1H": 3600,
    "P1D": 86_400,
    "P1W": 604_800,
    "P1M": 2_592_000,
}
"""Nominal lengths: a month has 30 days."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Grid:
    """All intervals of one detector.

    P1D, P1W and P1M follow the days of the time zone through daylight saving (23 and 25 hours);
    weeks begin on Monday, and months differ in length. Shorter intervals have a fixed length and
    are anchored to the zone's standard offset, so that PT1H in Asia/Kolkata begins at half past the
    hour in UTC.
    """

    interval: IntervalName
    timezone: str

    @classmethod
    def of(cls, config: Config) -> Grid:
        """Grid of a configured detector."""
        return cls(config.interval, config.timezone)

    @property
    def seconds(self) -> int:
        """Nominal length of an interval."""
        return SECONDS[self.interval]

    @property
    def of_days(self) -> bool:
        """Whether intervals consist of whole days in the time zone."""
        return self.interval in OF_DAYS

    @property
    def anchor_seconds(self) -> int:
        """Seconds added to the Unix time before it is floored to `seconds` (not `of_days`)."""
        january = datetime(2001, 1, 1, tzinfo=ZoneInfo(self.timezone))
        offset = january.utcoffset() or timedelta()
        return int((offset - (january.dst() or timedelta())).total_seconds()) % self.seconds

    def floor(self, moment: datetime) -> datetime:
        """Start (UTC) of the interval that contains `moment`, an aware datetime."""
        if self.of_days:
            return self._begin(self._number(moment))
        passed = (moment - _EPOCH) // timedelta(seconds=1)
        return _EPOCH + timedelta(seconds=passed - (passed + self.anchor_seconds) % self.seconds)

    def shift(self, start: datetime, intervals: int) -> datetime:
        """The interval start that is `intervals` after `start` (before, if negative)."""
        if self.of_days:
            return self._begin(self._number(start) + intervals)
        return start + timedelta(seconds=self.seconds * intervals)

    def starts(self, begin: datetime, end: datetime) -> tuple[datetime, ...]:
        """Starts of all intervals in `[begin, end)`; both bounds are on the grid."""
        found = []
        while begin < end:
            found.append(begin)
            begin = self.shift(begin, 1)
        return tuple(found)

    def count(self, begin: datetime, end: datetime) -> int:
        """Number of intervals in `[begin, end)`; negative if end is before begin."""
        if self.of_days:
            return self._number(end) - self._number(begin)
        return (end - begin) // timedelta(seconds=self.seconds)

    def due_end(self, scheduled: datetime, offset_seconds: int) -> datetime:
        """End of the newest interval whose end plus offset has passed at `scheduled`."""
        return self.floor(scheduled - timedelta(seconds=offset_seconds))

    def shown_twice(self, start: datetime, clock: str) -> bool:
        """Whether the rows of the interval cannot be distinguished from those of another interval,
        because clocks in the time zone `clock` go back and its wall-clock times occur twice.

        Warehouses interpret such a time as either of the two: one interval gets the rows of both,
        the other none. Not relevant to whole days, which contain both times, or differ by an hour
        at most.
        """
        edges = (start, start + timedelta(seconds=self.seconds))
        return not self.of_days and any(_is_within(edge, ZoneInfo(clock)) for edge in edges)

    def _number(self, moment: datetime) -> int:
        """Consecutive number of the day, week or month that contains `moment`."""
        day = moment.astimezone(ZoneInfo(self.timezone)).date()
        if self.interval == "P1M":
            return day.year * 12 + day.month - 1
        if self.interval == "P1W":
            return (day.toordinal() - 1) // 7  # 1 January of the year 1 was a Monday
        return day.toordinal() - sum(lost < day for lost in _days_left_out(self.timezone))

    def _begin(self, number: int) -> datetime:
        """Midnight at which the day, week or month of this number begins."""
        if self.interval == "P1M":
            day = date(number // 12, number % 12 + 1, 1)
        elif self.interval == "P1W":
            day = date.fromordinal(number * 7 + 1)
        else:
            for lost in _days_left_out(self.timezone):
                number += number >= lost.toordinal()
            day = date.fromordinal(number)
        midnight = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(self.timezone))
        return midnight.astimezone(UTC)


@lru_cache
def _days_left_out(timezone: str) -> tuple[date, ...]:
    """Days since 1970 that a time zone skipped when it moved across the date line."""
    zone = ZoneInfo(timezone)
    found: list[date] = []
    for day in range(0, 36_525, 28):
        moved = _offset((day + 28) * 86_400, zone) - _offset(day * 86_400, zone)
        if moved > timedelta(hours=12):
            dates = [date(1970, 1, 1) + timedelta(days=day + n) for n in range(-1, 30)]
            found += [one for one in dates if _is_left_out(one, zone)]
    return tuple(dict.fromkeys(found))


def _is_left_out(day: date, zone: ZoneInfo) -> bool:
    midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
    return midnight.astimezone(UTC).astimezone(zone).date() != day


def _offset(seconds: int, zone: ZoneInfo) -> timedelta:
    return datetime.fromtimestamp(seconds, zone).utcoffset() or timedelta()


def _is_within(edge: datetime, zone: ZoneInfo) -> bool:
    """Whether the wall-clock times just before and just after an instant occur twice."""
    shown = [moment.astimezone(zone) for moment in (edge - timedelta(seconds=1), edge)]
    return all(
        clock.replace(fold=0).utcoffset() != clock.replace(fold=1).utcoffset() for clock in shown
    )


def iso(moment: datetime) -> str:
    """`2022-01-15T04:25:00Z`: the format of stored times and of payloads."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_iso(text: str) -> datetime:
    """Parse the format of `iso`, or any ISO 8601 time with an offset.

    Raises
    ------
    ValueError
        If the text is not such a time, or has no offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"'{text}' has no UTC offset")
    return moment.astimezone(UTC)
