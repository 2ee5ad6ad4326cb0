"""Special days from iCalendar text (RFC 5545): the dates of its events, by their summaries.

Only dates matter: of an event with times, every day that it touches, as its own time zone tells
them (UTC: as the detector's). Recurrence rules are expanded by `dateutil`, which botocore brings,
by the clock of the event. A single recurrence that was moved or cancelled (RECURRENCE-ID) is taken
out of its series.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

FIRST, LAST = date(2000, 1, 1), date(2060, 1, 1)
"""What recurring events are expanded within."""
MOST_DAYS = 10_000

_UTC = ZoneInfo("UTC")
_TIME = re.compile(r"(\d{8})(?:T(\d{6})(Z?))?")
_DURATION = re.compile(r"\+?P(?:(\d+)W)?(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:(\d+)S)?)?")
_ESCAPED = re.compile(r"\\([\\;,nN])")


# Parameters, value, and the number of the line.
_Property = tuple[dict[str, str], str, int]


class InvalidError(Exception):
    """The text is no calendar; the message says what is wrong, and in which line."""


@dataclass
class _Event:
    """One VEVENT: its properties by name; `line` is that where it begins."""

    line: int
    values: dict[str, list[_Property]] = field(default_factory=dict)

    def one(self, name: str) -> _Property | None:
        found = self.values.get(name)
        return None if found is None else found[0]

    def text(self, name: str) -> str:
        found = self.one(name)
        return "" if found is None else found[1].strip()


def special_days(text: str, timezone: str) -> dict[str, tuple[date, ...]]:
    """The days of each event by its summary, ascending.

    Parameters
    ----------
    timezone : of the detector, for times in UTC.

    Raises
    ------
    InvalidError
        If the text is not a calendar, or has too many days.
    """
    found: dict[str, set[date]] = {}
    events = list(_events(text.removeprefix("\ufeff")))
    instead: dict[str, list[_Property]] = {}
    for event in events:
        if one := event.one("RECURRENCE-ID"):
            instead.setdefault(event.text("UID"), []).append(one)
    for event in events:
        if event.text("STATUS").upper() == "CANCELLED":
            continue
        summary = event.text("SUMMARY")
        if not summary:
            raise InvalidError(f"the event in line {event.line} has no SUMMARY")
        name = _ESCAPED.sub(lambda one: " " if one[1] in "nN" else one[1], summary).strip()
        moved = [] if event.one("RECURRENCE-ID") else instead.get(event.text("UID"), [])
        found.setdefault(name, set()).update(_days(event, ZoneInfo(timezone), moved))
        if sum(map(len, found.values())) > MOST_DAYS:
            raise InvalidError(f"it has more than {MOST_DAYS} days")
    return {name: tuple(sorted(days)) for name, days in found.items() if days}


def _events(text: str) -> Iterator[_Event]:
    event: _Event | None = None
    inside: list[str] = []
    begun = False
    for number, line in _unfolded(text):
        head, colon, value = _cut(line)
        if not colon:
            raise InvalidError(f"line {number} is not a property, such as SUMMARY:Christmas")
        name, *parameters = head.split(";")
        name = name.upper()
        if name == "BEGIN":
            inside.append(value.strip().upper())
            begun |= inside == ["VCALENDAR"]
            if inside[-1] == "VEVENT":
                event = _Event(number)
        elif name == "END":
            if not inside or inside.pop() != value.strip().upper():
                raise InvalidError(f"line {number} ends what has not begun")
            if event is not None and value.strip().upper() == "VEVENT":
                yield event
                event = None
        elif event is not None and inside[-1] == "VEVENT":
            of = dict(one.upper().split("=", 1) for one in parameters if "=" in one)
            zones = {
                one.split("=", 1)[0].upper(): one.split("=", 1)[1]
                for one in parameters
                if "=" in one
            }
            of |= {"TZID": zones["TZID"].strip('"')} if "TZID" in zones else {}
            event.values.setdefault(name, []).append((of, value, number))
    if not begun or inside:
        raise InvalidError("it must begin with BEGIN:VCALENDAR, and end with END:VCALENDAR")


def _unfolded(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers; a line that begins with a blank continues the one before."""
    whole: tuple[int, str] | None = None
    # Not by `splitlines`: signs that end a line elsewhere may be in a summary.
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), 1):
        if line[:1] in (" ", "\t") and whole is not None:
            whole = (whole[0], whole[1] + line[1:])
            continue
        if whole is not None and whole[1].strip():
            yield whole
        whole = (number, line)
    if whole is not None and whole[1].strip():
        yield whole


def _cut(line: str) -> tuple[str, str, str]:
    """The line before and after the first colon that is not in quotes."""
    quoted = False
    for place, letter in enumerate(line):
        quoted ^= letter == '"'
        if letter == ":" and not quoted:
            return line[:place], ":", line[place + 1 :]
    return line, "", ""


def _days(event: _Event, zone: ZoneInfo, instead: Sequence[_Property]) -> set[date]:
    """The days of an event, without the recurrences that `instead` names."""
    start = event.one("DTSTART")
    if start is None:
        raise InvalidError(f"the event in line {event.line} has no DTSTART")
    # All is reckoned by the clock of the event's beginning, as its rules are.
    own = _zone(start)
    clock = own or zone
    begin = _moment(start, clock)
    length = _length(event, begin, clock)
    listed = [*_listed(event, "EXDATE"), *instead]
    excluded = {_moment(one, clock) for one in listed}
    whole_days = {_moment(one, clock).date() for one in listed if "T" not in one[1]}
    begins = {begin, *(_moment(one, clock) for one in _listed(event, "RDATE"))}
    for rule in event.values.get("RRULE", ()):
        begins |= _recurring(rule, begin, clock)
    found: set[date] = set()
    for each in begins - excluded:
        if each.date() in whole_days:
            continue
        # Midnight belongs to the day before it.
        last = each + max(length, timedelta(seconds=1)) - timedelta(seconds=1)
        first, last = (_as_told(one, own, zone) for one in (each, last))
        found |= {
            first.date() + timedelta(days=day)
            for day in range((last.date() - first.date()).days + 1)
        }
        if len(found) > MOST_DAYS:
            raise InvalidError(f"the event in line {event.line} has more than {MOST_DAYS} days")
    return {day for day in found if FIRST <= day < LAST}


def _as_told(moment: datetime, own: ZoneInfo | None, zone: ZoneInfo) -> datetime:
    """The wall-clock time by which the days of an event are told: its own, or the detector's."""
    if own is not _UTC:
        return moment
    return moment.replace(tzinfo=_UTC).astimezone(zone).replace(tzinfo=None)


def _listed(event: _Event, name: str) -> Iterator[_Property]:
    for parameters, values, line in event.values.get(name, ()):
        for value in values.split(","):
            # Of a period, the start.
            yield parameters, value.split("/")[0], line


def _zone(one: _Property) -> ZoneInfo | None:
    """The time zone of a time; None of a date, of a time without one, and of a zone that only its
    own calendar knows.
    """
    parameters, value, _ = one
    if value.strip().upper().endswith("Z"):
        return _UTC
    try:
        return ZoneInfo(parameters["TZID"]) if "T" in value else None
    except (KeyError, ValueError, OSError):
        return None


def _moment(one: _Property, clock: ZoneInfo) -> datetime:
    """The time by a clock; of a date, midnight."""
    _, value, line = one
    found = _TIME.fullmatch(value.strip())
    try:
        if found is None:
            raise ValueError
        day = datetime.strptime(found[1], "%Y%m%d").date()  # noqa: DTZ007 a date
        moment = datetime.combine(
            day,
            time(0) if found[2] is None else time.fromisoformat(f"{found[2][:2]}:{found[2][2:4]}"),
        )
    except ValueError:
        raise InvalidError(
            f"line {line} must have a date such as 20261225 or a time such as 20261225T080000Z; "
            f"got {value}"
        ) from None
    own = _zone(one)
    if own is None or own == clock:
        return moment
    return moment.replace(tzinfo=own).astimezone(clock).replace(tzinfo=None)


def _length(event: _Event, begin: datetime, clock: ZoneInfo) -> timedelta:
    end, length = event.one("DTEND"), event.one("DURATION")
    if end is not None:
        return _moment(end, clock) - begin
    if length is not None:
        found = _DURATION.fullmatch(length[1].strip())
        if found is None:
            raise InvalidError(
                f"line {length[2]} must have a duration such as P1D; got {length[1]}"
            )
        weeks, days, hours, minutes, seconds = (int(one or 0) for one in found.groups())
        return timedelta(days, seconds, 0, 0, minutes, hours, weeks)
    return timedelta(days=1) if begin.time() == time(0) else timedelta(0)


def _recurring(rule: _Property, begin: datetime, clock: ZoneInfo) -> set[datetime]:
    from dateutil.rrule import rrulestr

    _, text, line = rule
    text = text.strip().upper()
    if re.search(r"FREQ=(HOUR|MINUTE|SECOND)LY", text):
        raise InvalidError(
            f"the rule in line {line} must be of days, weeks, months or years; got {text}"
        )

    def until(found: re.Match[str]) -> str:
        # A day is in it as a whole.
        moment = _moment(({}, found[1], line), clock)
        return f"UNTIL={moment:%Y%m%dT%H%M%S}" if "T" in found[1] else f"UNTIL={found[1]}T235959"

    text = re.sub(r"UNTIL=([0-9TZ]+)", until, text)
    if "UNTIL=" not in text and "COUNT=" not in text:
        # Else a rule without a day, as of 30 February, is looked for until the year 9999.
        text = f"{text};UNTIL={LAST:%Y%m%d}T000000"
    try:
        found = rrulestr(text, dtstart=begin)
        begins = set()
        for moment in found.xafter(datetime.combine(FIRST, time(0)), inc=True):
            if moment.date() >= LAST:
                break
            begins.add(moment)
            if len(begins) > MOST_DAYS:
                raise InvalidError(f"the rule in line {line} has more than {MOST_DAYS} days")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise InvalidError(f"the rule in line {line} cannot be read: {error}") from None
    return begins
