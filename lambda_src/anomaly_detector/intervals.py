"""The interval grid: half-open `[start, end)` on the detector's own clock, all stored in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from anomaly_detector.config import Config, IntervalName

SECONDS: dict[IntervalName, int] = {
    "PT5M": 300,
    "PT10M": 600,
    "PT15M": 900,
    "PT30M": 1800,
    "PT1H": 3600,
    "P1D": 86_400,
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Grid:
    """All intervals of one detector.

    P1D follows the zone's days through daylight saving (23 and 25 hours). Shorter intervals have a
    fixed length and are anchored to the zone's standard offset, so that PT1H in Asia/Kolkata begins
    at half past, UTC.
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
    def anchor_seconds(self) -> int:
        """What is added to the Unix time before it is floored to `seconds` (not for P1D)."""
        january = datetime(2001, 1, 1, tzinfo=ZoneInfo(self.timezone))
        offset = january.utcoffset() or timedelta()
        return int((offset - (january.dst() or timedelta())).total_seconds()) % self.seconds

    def floor(self, moment: datetime) -> datetime:
        """Start (UTC) of the interval that holds `moment`, an aware datetime."""
        if self.interval == "P1D":
            return self._midnight(moment.astimezone(ZoneInfo(self.timezone)).date())
        passed = (moment - _EPOCH) // timedelta(seconds=1)
        return _EPOCH + timedelta(seconds=passed - (passed + self.anchor_seconds) % self.seconds)

    def shift(self, start: datetime, intervals: int) -> datetime:
        """The interval start that lies `intervals` after `start` (before, where negative)."""
        if self.interval == "P1D":
            day = start.astimezone(ZoneInfo(self.timezone)).date()
            return self._midnight(day + timedelta(days=intervals))
        return start + timedelta(seconds=self.seconds * intervals)

    def starts(self, begin: datetime, end: datetime) -> tuple[datetime, ...]:
        """Starts of all intervals in `[begin, end)`; both bounds lie on the grid."""
        found = []
        while begin < end:
            found.append(begin)
            begin = self.shift(begin, 1)
        return tuple(found)

    def count(self, begin: datetime, end: datetime) -> int:
        """Number of intervals in `[begin, end)`; negative where end lies before begin."""
        if self.interval == "P1D":
            zone = ZoneInfo(self.timezone)
            return (end.astimezone(zone).date() - begin.astimezone(zone).date()).days
        return (end - begin) // timedelta(seconds=self.seconds)

    def due_end(self, scheduled: datetime, offset_seconds: int) -> datetime:
        """End of the newest interval whose end plus offset has passed at `scheduled`."""
        return self.floor(scheduled - timedelta(seconds=offset_seconds))

    def _midnight(self, day: date) -> datetime:
        zone = ZoneInfo(self.timezone)
        midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
        return midnight.astimezone(UTC)


def iso(moment: datetime) -> str:
    """`2022-01-15T04:25:00Z`: how times are stored and handed between functions."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parse_iso(text: str) -> datetime:
    """Read what `iso` wrote, or any ISO 8601 time with an offset.

    Raises
    ------
    ValueError
        Where the text is not such a time, or names no offset.
    """
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"'{text}' names no UTC offset")
    return moment.astimezone(UTC)
