"""The time of a row: each type of the timestamp column, in each zone, for a detector in each zone,
is read right or refused. Plain Python says what is right.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from itertools import pairwise, product
from random import Random
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa
import pytest
from anomaly_detector.config import Config
from anomaly_detector.errors import PermanentError
from anomaly_detector.intervals import Grid
from anomaly_detector.warehouse import checks, sql
from anomaly_detector.warehouse.statement import Column
from anomaly_detector.warehouse.time_format import TimeFormat

from tests.unit import standin
from tests.unit.test_warehouse_sql import ZONES as MORE_ZONES
from tests.unit.test_warehouse_sql import changes

ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/Havana",  # clocks go back over midnight: it comes twice
    "America/Sao_Paulo",  # had no midnight on the first day of summer
    "Australia/Lord_Howe",  # half hours, and half an hour of summer time
]
# One year in which all of these change their clocks; rows lie around the changes and both ends.
BEGIN, END = datetime(2018, 2, 1, tzinfo=UTC), datetime(2018, 12, 1, tzinfo=UTC)
STEP = timedelta(minutes=30)
Read = Callable[[datetime, str], object]


def wall(instant: datetime, zone: str) -> datetime:
    return instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)


@dataclass(frozen=True)
class Kind:
    """A type of column: how it writes an instant, and what the Data API calls it."""

    declared: str
    type_name: str
    write: Read
    format: str | None = None
    days: bool = False


KINDS = {
    "timestamp": Kind("timestamp", "timestamp", wall),
    "timestamptz": Kind("timestamptz", "timestamptz", lambda instant, _: instant),
    "date": Kind("date", "date", lambda instant, zone: wall(instant, zone).date(), days=True),
    "text": Kind(
        "varchar",
        "varchar",
        lambda instant, zone: f"{wall(instant, zone):%Y-%m-%dT%H:%M:%S}",
        "yyyy-MM-dd'T'HH:mm:ss",
    ),
    "text out of order": Kind(
        "varchar",
        "bpchar",
        lambda instant, zone: f"{wall(instant, zone):%d.%m.%Y %I:%M %p}",
        "dd.MM.yyyy hh:mm a",
    ),
    "text of days": Kind(
        "varchar",
        "varchar",
        lambda instant, zone: f"{wall(instant, zone):%Y%m%d}",
        "yyyyMMdd",
        days=True,
    ),
}


@lru_cache
def instants() -> tuple[datetime, ...]:
    hours = [BEGIN + timedelta(hours=n) for n in range((END - BEGIN) // timedelta(hours=1))]
    changes = {
        after
        for zone in ZONES
        for before, after in pairwise(hours)
        if offset(before, zone) != offset(after, zone)
    }
    near = {change + STEP * step for change in (*changes, BEGIN, END) for step in range(-30, 31)}
    return tuple(sorted(near))


def offset(instant: datetime, zone: str) -> timedelta:
    return instant.astimezone(ZoneInfo(zone)).utcoffset() or timedelta()


def config(kind: Kind, column: str, detector: str, interval: str) -> Config:
    conditions = {
        True: "ts >= {{ window_start }} and ts < {{ window_end }}",
        False: "ts >= '{{ window_start }}' and ts <= '{{ window_end }}'",
    }[kind.format is None]
    if kind.format and not TimeFormat.parse(kind.format).sortable:
        conditions = "'{{ window_start }}' <> '{{ window_end }}'"
    return Config.model_validate(
        {
            "interval": interval,
            "timezone": detector,
            "timestamp_column": {"name": "ts", "format": kind.format, "timezone": column},
            "measures": {"views": {}},
            "dimensions": ["id"],
            "rollups": [],
            "query": f"select ts, id, 1 as views from shop where {conditions}",
        }
    )


@lru_cache(maxsize=1)
def connection() -> duckdb.DuckDBPyConnection:
    return standin.open_database()


def fill(kind: Kind, values: list[object]) -> None:
    opened = connection()
    opened.execute(f"create or replace table shop(ts {kind.declared}, id integer)")
    rows = pa.table({"ts": pa.array(values), "id": pa.array(range(len(values)), pa.int32())})
    opened.register("given", rows)
    opened.execute("insert into shop select * from given")


def landed(given: Config, begin: datetime, end: datetime) -> dict[int, datetime]:
    rows = standin.run(connection(), sql.aggregate(given, begin, end, history=False))
    return {int(row["dimension_0"]): row["interval_start"].replace(tzinfo=UTC) for row in rows}


def refused(given: Config, kind: Kind) -> list[str]:
    columns = [Column("ts", kind.type_name), Column("id", "int4"), Column("views", "int4")]
    return checks.judge_columns(given, columns)


def right(kind: Kind, written: object, instant: datetime, column: str, grid: Grid) -> set[datetime]:
    """The intervals that a value may belong to: several where the clocks came back to it."""
    if kind.days:
        day = wall(instant, column).date()
        noon = datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(grid.timezone))
        return {grid.floor(noon)}
    if isinstance(written, datetime) and written.tzinfo:
        return {grid.floor(instant)}
    clock = wall(instant, column).replace(tzinfo=ZoneInfo(column))
    return {grid.floor(clock.replace(fold=fold).astimezone(UTC)) for fold in (0, 1)}


@pytest.mark.parametrize("interval", ["P1D", "PT1H"])
@pytest.mark.parametrize("name", KINDS)
def test_every_type_in_every_zone_is_read_right_or_refused(name: str, interval: str) -> None:
    kind = KINDS[name]
    for column in ZONES:
        written = [kind.write(instant, column) for instant in instants()]
        fill(kind, written)
        # The detector's zone moves days through the whole year, and hours by a fixed shift.
        for detector in ZONES if interval == "P1D" else ("UTC", "Australia/Lord_Howe"):
            given = config(kind, column, detector, interval)
            if problems := refused(given, kind):
                assert (kind.days and interval != "P1D") or (
                    kind.type_name == "timestamptz" and column != "UTC"
                ), problems
                continue
            grid = Grid.of(given)
            begin, end = grid.floor(BEGIN), grid.floor(END)
            found = landed(given, begin, end)
            wrong: list[tuple[object, ...]] = []
            for place, (instant, value) in enumerate(zip(instants(), written, strict=True)):
                allowed = right(kind, value, instant, column, grid)
                inside = {start for start in allowed if begin <= start < end}
                start = found.get(place)
                if start is None and inside == allowed:
                    wrong.append((value, None, allowed))
                elif start is not None and start not in inside:
                    wrong.append((value, start, allowed))
            assert not wrong, (column, detector, wrong[:3])


@pytest.mark.parametrize("seed", range(40))
def test_any_window_at_any_change_of_clocks_holds_its_rows_and_no_others(seed: int) -> None:
    # given a column and a detector in any zones, and a short window where the clocks of one change
    draw = Random(seed)
    kind = draw.choice(list(KINDS.values()))
    detector = draw.choice(MORE_ZONES)
    column = "UTC" if kind.type_name == "timestamptz" else draw.choice([*MORE_ZONES, detector])
    interval = "P1D" if kind.days else draw.choice(["PT5M", "PT15M", "PT1H", "P1D"])
    given = config(kind, column, detector, interval)
    assert not refused(given, kind)
    grid = Grid.of(given)
    change = draw.choice([*changes(column), *changes(detector), BEGIN])
    begin = grid.floor(change - timedelta(minutes=draw.randrange(600)))
    end = grid.shift(begin, draw.randint(1, 4) * (1 if interval == "P1D" else 6))
    margin = timedelta(hours=30 if interval == "P1D" else 4)
    count = (end - begin + 2 * margin) // STEP
    times = [begin - margin + STEP * number for number in range(count)]
    times += [edge + timedelta(minutes=late) for edge in (begin, end) for late in (-1, 0, 1)]
    written = [kind.write(instant, column) for instant in times]
    fill(kind, written)
    # when it is asked for
    found = landed(given, begin, end)
    # then each row that can be told apart is in its interval, and none is where it cannot belong
    for place, (instant, value) in enumerate(zip(times, written, strict=True)):
        allowed = right(kind, value, instant, column, grid)
        inside = {start for start in allowed if begin <= start < end}
        start = found.get(place)
        assert start in inside or (start is None and inside != allowed), (value, start, allowed)


def test_a_refusal_says_what_to_set() -> None:
    berlin = config(KINDS["timestamptz"], "Europe/Berlin", "UTC", "PT1H")
    assert "set timestamp_column.timezone to 'UTC'" in refused(berlin, KINDS["timestamptz"])[0]
    for name, what in [("date", "is DATE"), ("text of days", "has the format 'yyyyMMdd'")]:
        hourly = config(KINDS[name], "UTC", "UTC", "PT1H")
        (problem,) = refused(hourly, KINDS[name])
        assert f"{what}, which has no time of day; set interval to 'P1D'" in problem


@pytest.mark.parametrize("name", ["date", "text of days"])
@pytest.mark.parametrize(("column", "detector"), list(product(ZONES[:3], ZONES)))
def test_each_day_alone_lands_its_own_date_and_no_other(
    name: str, column: str, detector: str
) -> None:
    # given the days around the changes over midnight, one row each
    kind = KINDS[name]
    days = [date(2018, 11, 1) + timedelta(days=n) for n in range(8)]
    fill(kind, [day if kind.format is None else f"{day:%Y%m%d}" for day in days])
    given = config(kind, column, detector, "P1D")
    grid = Grid.of(given)
    for place, day in enumerate(days[1:-1], 1):
        # when a crawl asks for that day only
        start = grid.floor(
            datetime(day.year, day.month, day.day, 12, tzinfo=ZoneInfo(detector)).astimezone(UTC)
        )
        # then it gets that date
        assert landed(given, start, grid.shift(start, 1)) == {place: start}


def test_a_query_that_makes_days_itself_gets_whole_days() -> None:
    # given a query that filters a UTC timestamp by the placeholders and returns the days of Berlin
    given = config(KINDS["date"], "UTC", "Europe/Berlin", "P1D").model_copy(
        update={
            "query": "select cast(convert_timezone('Europe/Berlin', ts) as date) as ts,"
            " 1 as id, count(*) as views from shop"
            " where ts >= {{ window_start }} and ts < {{ window_end }} group by 1"
        }
    )
    hours = [datetime(2024, 7, 1, tzinfo=UTC) + timedelta(hours=n) for n in range(96)]
    fill(KINDS["timestamp"], [hour.replace(tzinfo=None) for hour in hours])
    grid = Grid.of(given)
    start = grid.floor(datetime(2024, 7, 2, 12, tzinfo=UTC))
    # when
    rows = standin.run(
        connection(), sql.aggregate(given, start, grid.shift(start, 1), history=False)
    )
    # then the day holds its 24 hours
    assert [
        (row["interval_start"].replace(tzinfo=UTC), row["measure_0_value"]) for row in rows
    ] == [(start, 24.0)]


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("yyyy-MM-dd'T'HH:mm:ss'Z'", "2018-03-04T05:06:07Z"),
        ("yyyy'Y'MM'M'dd'D' HH'h'mm", "2018Y03M04D 05h06"),
        ("dd MMM yyyy 'kl' HH:mm", "04 Mar 2018 kl 05:06"),
        ("yyyy年MM月dd日 HH:mm", "2018年03月04日 05:06"),
    ],
)
def test_words_between_the_fields_need_no_undocumented_format(pattern: str, text: str) -> None:
    kind = Kind("varchar", "varchar", wall, pattern)
    fill(kind, [text])
    assert '"' not in TimeFormat.parse(pattern).redshift
    given = config(kind, "UTC", "UTC", "PT1H").model_copy(
        update={
            "query": "select ts, id, 1 as views from shop"
            " where '{{ window_start }}' <> '{{ window_end }}'"
        }
    )
    start = datetime(2018, 3, 4, 5, tzinfo=UTC)
    assert landed(given, start, start + timedelta(hours=1)) == {0: start}


@pytest.mark.parametrize("pattern", ["dd MMM yyyy 'a' HH", "yyyy-MM-dd hh 'm' a", "yyyy '1' MM dd"])
def test_a_word_that_a_field_may_hold_is_refused(pattern: str) -> None:
    with pytest.raises(PermanentError, match="no text between its fields that a field can contain"):
        TimeFormat.parse(pattern)
