"""iCalendar text into special days."""

from __future__ import annotations

from datetime import date

import pytest
from anomaly_detector.ical import InvalidError, special_days


def calendar(*lines: str, ending: str = "\r\n") -> str:
    head = ("BEGIN:VCALENDAR", "VERSION:2.0", "BEGIN:VEVENT")
    return ending.join([*head, *lines, "END:VEVENT", "END:VCALENDAR", ""])


def days(*lines: str, timezone: str = "UTC") -> list[str]:
    (found,) = special_days(calendar("SUMMARY:x", *lines), timezone).values()
    return [day.isoformat() for day in found]


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["DTSTART;VALUE=DATE:20261225"], ["2026-12-25"]),
        (["DTSTART:20261225"], ["2026-12-25"]),
        (["DTSTART:20261231", "DTEND;VALUE=DATE:20270102"], ["2026-12-31", "2027-01-01"]),
        (["DTSTART;VALUE=DATE:20261231", "DURATION:P2D"], ["2026-12-31", "2027-01-01"]),
        (["DTSTART;TZID=Europe/Berlin:20260105T220000", "DTEND;TZID=Europe/Berlin:20260106T020000"],
         ["2026-01-05", "2026-01-06"]),
        (["DTSTART:20260105T090000", "DTEND:20260106T000000"], ["2026-01-05"]),
        (["DTSTART:20260105T090000", "DURATION:PT90M"], ["2026-01-05"]),
        (["DTSTART:20260105T090000"], ["2026-01-05"]),
        (["DTSTART:20240229", "RRULE:FREQ=YEARLY;UNTIL=20330101T000000Z"],
         ["2024-02-29", "2028-02-29", "2032-02-29"]),
        (["DTSTART:20231124", "RRULE:FREQ=YEARLY;BYMONTH=11;BYDAY=4FR;COUNT=3"],
         ["2023-11-24", "2024-11-22", "2025-11-28"]),
        (["DTSTART:20260105", "RRULE:FREQ=DAILY;COUNT=3", "EXDATE;VALUE=DATE:20260106",
          "RDATE;VALUE=DATE:20260201,20260301"],
         ["2026-01-05", "2026-01-07", "2026-02-01", "2026-03-01"]),
    ],
)  # fmt: skip
def test_an_event_is_the_days_that_it_touches(lines: list[str], expected: list[str]) -> None:
    assert days(*lines) == expected


def test_times_in_utc_are_those_of_the_detectors_zone() -> None:
    lines = ("DTSTART:20260105T230000Z", "DTEND:20260106T003000Z")
    assert days(*lines) == ["2026-01-05", "2026-01-06"]
    assert days(*lines, timezone="Europe/Berlin") == ["2026-01-06"]


@pytest.mark.parametrize(
    ("lines", "timezone", "expected"),
    [
        # A rule is reckoned by the event's own clock: Sundays in UTC, Mondays in Berlin.
        (["DTSTART:20260104T233000Z", "RRULE:FREQ=WEEKLY;BYDAY=SU;COUNT=2"], "Europe/Berlin",
         ["2026-01-05", "2026-01-12"]),
        # The end of a rule in UTC is that instant: here, the recurrence of the 5th.
        (["DTSTART;TZID=Asia/Tokyo:20260103T080000", "RRULE:FREQ=DAILY;UNTIL=20260104T230000Z"],
         "UTC", ["2026-01-03", "2026-01-04", "2026-01-05"]),
        (["DTSTART;TZID=America/New_York:20260103T200000",
          "RRULE:FREQ=DAILY;UNTIL=20260105T010000Z"], "UTC", ["2026-01-03", "2026-01-04"]),
        # As a date, it is that day.
        (["DTSTART:20260103T080000", "RRULE:FREQ=DAILY;UNTIL=20260105"], "UTC",
         ["2026-01-03", "2026-01-04", "2026-01-05"]),
        # Exceptions in another form than the beginning.
        (["DTSTART;TZID=Europe/Berlin:20260103T000000", "RRULE:FREQ=DAILY;COUNT=3",
          "EXDATE:20260103T230000Z"], "America/New_York", ["2026-01-03", "2026-01-05"]),
        (["DTSTART;TZID=Europe/Berlin:20260103T090000", "RRULE:FREQ=DAILY;COUNT=3",
          "EXDATE;TZID=Asia/Tokyo:20260104T170000"], "UTC", ["2026-01-03", "2026-01-05"]),
        (["DTSTART:20260103T090000", "RRULE:FREQ=DAILY;COUNT=3", "EXDATE;VALUE=DATE:20260104"],
         "UTC", ["2026-01-03", "2026-01-05"]),
        # Across a change of the clocks, a rule keeps its hour.
        (["DTSTART;TZID=Europe/Berlin:20260328T003000", "RRULE:FREQ=DAILY;COUNT=3"], "UTC",
         ["2026-03-28", "2026-03-29", "2026-03-30"]),
        (["DTSTART;TZID=Europe/Berlin:20260328T230000", "DTEND:20260329T003000Z"], "UTC",
         ["2026-03-28", "2026-03-29"]),
        # A zone that only the calendar knows.
        (["DTSTART;TZID=W. Europe Standard Time:20260328T230000", "DURATION:PT1H"], "Asia/Tokyo",
         ["2026-03-28"]),
        # There is no such day: it is not looked for until the year 9999.
        (["DTSTART:20260105", "RRULE:FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30"], "UTC", ["2026-01-05"]),
    ],
)  # fmt: skip
def test_recurrences_and_exceptions_are_of_the_events_own_clock(
    lines: list[str], timezone: str, expected: list[str]
) -> None:
    assert days(*lines, timezone=timezone) == expected


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (["DTSTART:20260113"], ["2026-01-05", "2026-01-13", "2026-01-19"]),
        (["STATUS:CANCELLED", "DTSTART:20260112"], ["2026-01-05", "2026-01-19"]),
        (["SUMMARY:y", "DTSTART:20260112"], ["2026-01-05", "2026-01-19"]),
    ],
)
def test_a_recurrence_that_was_moved_or_cancelled_is_none_of_its_series(
    override: list[str], expected: list[str]
) -> None:
    series = ["UID:1", "SUMMARY:x", "DTSTART:20260105", "RRULE:FREQ=WEEKLY;COUNT=3"]
    moved = ["UID:1", "RECURRENCE-ID:20260112", *override]
    moved += [] if any(one.startswith("SUMMARY") for one in override) else ["SUMMARY:x"]
    # An event of another series is not concerned.
    other = ["UID:2", "SUMMARY:z", "DTSTART:20260112"]
    text = calendar(
        *series, "END:VEVENT", "BEGIN:VEVENT", *moved, "END:VEVENT", "BEGIN:VEVENT", *other
    )
    found = special_days(text, "UTC")
    assert [day.isoformat() for day in found["x"]] == expected
    assert found["z"] == (date(2026, 1, 12),)


def test_a_byte_order_mark_and_odd_line_ends_are_read() -> None:
    text = "\ufeff" + calendar("SUMMARY:a\x85b\u2028c", "DTSTART:20260105", ending="\r")
    assert special_days(text, "UTC") == {"a\x85b\u2028c": (date(2026, 1, 5),)}


def test_names_are_unfolded_and_unescaped_and_events_of_a_name_are_one() -> None:
    text = (
        'BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY;LANGUAGE="a:b":Black\n  Friday\\, the sa\n\tle\n'
        "DTSTART:20251128\nBEGIN:VALARM\nSUMMARY:no\nTRIGGER:-PT5M\nEND:VALARM\nEND:VEVENT\n"
        "BEGIN:VEVENT\nDTSTART:20241129\nSUMMARY:Black Friday\\, the sale\nEND:VEVENT\n"
        "BEGIN:VEVENT\nDTSTART:20230101\nSUMMARY:off\nSTATUS:CANCELLED\nEND:VEVENT\n"
        "BEGIN:VTODO\nSUMMARY:not a day\nEND:VTODO\nEND:VCALENDAR\n"
    )
    assert special_days(text, "UTC") == {
        "Black Friday, the sale": (date(2024, 11, 29), date(2025, 11, 28))
    }


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "it must begin with BEGIN:VCALENDAR"),
        ("hello", "line 1 is not a property"),
        ("BEGIN:VCALENDAR\nEND:VEVENT\n", "line 2 ends what has not begun"),
        (calendar("SUMMARY:x", "DTSTART:20260101")[:-15], "it must begin with"),
        (calendar("DTSTART:20260101"), "the event in line 3 has no SUMMARY"),
        (calendar("SUMMARY:x"), "the event in line 3 has no DTSTART"),
        (calendar("SUMMARY:x", "DTSTART:2026-01-01"), "line 5 must have a date such as 2026"),
        (calendar("SUMMARY:x", "DTSTART:20260230"), "line 5 must have a date such as 2026"),
        (calendar("SUMMARY:x", "DTSTART:20260101", "DURATION:1d"), "line 6 must have a duration"),
        (calendar("SUMMARY:x", "DTSTART:20260101", "RRULE:FREQ=X"), "the rule in line 6 cannot be"),
        (calendar("SUMMARY:x", "DTSTART:20260101", "RRULE:FREQ=SECONDLY"), "must be of days"),
        (calendar("SUMMARY:x", "DTSTART:20000101", "DTEND:20590101"), "has more than 10000 days"),
    ],
)  # fmt: skip
def test_what_is_no_calendar_is_refused_with_the_line(text: str, says: str) -> None:
    with pytest.raises(InvalidError) as raised:
        special_days(text, "UTC")
    assert says in str(raised.value)
