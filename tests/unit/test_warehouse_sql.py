"""The wrapped query: run for real on DuckDB, translated by sqlglot."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from anomaly_detector.config import Config
from anomaly_detector.errors import PermanentError
from anomaly_detector.intervals import Grid
from anomaly_detector.warehouse import sql
from anomaly_detector.warehouse.time_format import TimeFormat
from anomaly_detector.warehouse.tokens import tokenize
from hypothesis import example, given, settings
from hypothesis import strategies as st

from local.cloud.redshift.data_api import MAX_SQL_BYTES
from tests.unit import standin

QUERY = """
with base as (select ts, platform, market, views, revenue from shop)
select ts as "timestamp", platform, market, views, revenue, 'it''s; \\\\ $$ --' as note
from base where ts >= {{ window_start }} and ts < {{ window_end }}
order by ts limit 1000000; -- the end"""
START = datetime(2024, 1, 1, tzinfo=UTC)
ROLE = "arn:aws:iam::123456789012:role/unload"
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Havana",  # clocks go back over midnight
    "America/Sao_Paulo",  # had no midnight on the first day of summer
    "Atlantic/Azores",
    "America/St_Johns",  # half hours, and until 2011 a change at one minute past midnight
    "Australia/Lord_Howe",  # half an hour of summer time
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Pacific/Apia",  # skipped 30 December 2011
    "Africa/Casablanca",  # twice back and forth a year
    "Antarctica/Troll",  # two hours
    "Europe/Dublin",  # winter time is the exception
    "Asia/Gaza",
    "Asia/Tehran",
]


def wall(*parts: int) -> datetime:
    """A naive time, as the warehouse has it."""
    return datetime(*parts, tzinfo=UTC).replace(tzinfo=None)  # type: ignore[misc,arg-type]


def config(**given: object) -> Config:
    document: dict[str, object] = {
        "interval": "PT1H",
        "timestamp_column": {"name": "Timestamp"},
        "measures": {"views": {}, "revenue": {"aggregation": "AVG"}},
        "dimensions": ["platform", "market"],
        "query": QUERY,
    }
    return Config.model_validate(document | given)


@lru_cache(maxsize=1)
def connection() -> duckdb.DuckDBPyConnection:
    return standin.open_database()


def run(statement: str) -> list[dict[str, object]]:
    return standin.run(connection(), statement)


def fill(rows: Iterable[tuple[object, ...]], type_of_ts: str = "timestamp") -> None:
    opened = connection()
    opened.execute(
        f"create or replace table shop(ts {type_of_ts}, platform varchar, market varchar,"
        " views integer, revenue decimal(9,2))"
    )
    columns = list(zip(*rows, strict=True))
    if columns:
        given = pa.table([pa.array(one) for one in columns], ["c0", "c1", "c2", "c3", "c4"])
        opened.register("given", given)
        opened.execute("insert into shop select * from given")
        opened.unregister("given")


def test_rows_are_rolled_up_over_every_level() -> None:
    # given one hour with a NULL, a star, a trailing blank; and rows outside of the window
    inside = wall(2024, 1, 1, 0, 59, 59, 900_000)
    fill(
        [
            (inside, "web", "us", 1, "1.10"),
            (inside, "web ", "uk", 2, None),
            (inside, None, "uk", 3, "2.20"),
            (inside, "*", "uk", 4, "2.40"),
            (inside - timedelta(hours=1), "web", "us", 99, "9"),
            (inside + timedelta(hours=1), "web", "us", 99, "9"),
        ]
    )
    # when
    rows = run(sql.aggregate(config(), START, START + timedelta(hours=1), history=False))
    # then
    assert {row["interval_start"] for row in rows} == {wall(2024, 1, 1)}
    assert {row["shard"] for row in rows} == {0}
    views = {(row["dimension_0"], row["dimension_1"]): row["measure_0_value"] for row in rows}
    assert views == {
        ("*", "*"): 10,
        ("web", "*"): 3,
        ("(null)", "*"): 3,
        ("(*)", "*"): 4,
        ("*", "us"): 1,
        ("*", "uk"): 9,
        ("web", "us"): 1,
        ("web", "uk"): 2,
        ("(null)", "uk"): 3,
        ("(*)", "uk"): 4,
    }
    total = next(row for row in rows if row["dimension_0"] == row["dimension_1"] == "*")
    assert total["measure_1_value"] == pytest.approx(1.9)
    assert (total["measure_0_count"], total["measure_1_count"], total["row_count"]) == (4, 3, 4)


def test_an_average_of_nothing_is_null_and_a_count_of_nothing_is_zero() -> None:
    fill([(wall(2024, 1, 1), "web", "us", 1, None)])
    given = config(
        dimensions=[],
        measures={"revenue": {"aggregation": "AVG"}, "views": {"aggregation": "COUNT"}},
    )
    (row,) = run(sql.aggregate(given, START, START + timedelta(hours=1), history=True))
    assert (row["measure_0_value"], row["measure_0_count"]) == (None, 0)
    assert (row["measure_1_value"], row["row_count"], row["shard"]) == (1.0, 1, 0)


def random_rows(seed: int, size: int = 400) -> list[tuple[object, ...]]:
    """Rows of two hours, some without a number, some zero."""
    random = np.random.default_rng(seed)
    return [
        (
            START.replace(tzinfo=None) + timedelta(seconds=int(random.integers(7200))),
            str(random.choice(["web", "app"])),
            str(random.choice(["us", "uk", "de"])),
            None if random.random() < 0.1 else int(random.integers(0, 40)),
            None if random.random() < 0.1 else f"{random.gamma(2) * 10:.2f}",
        )
        for _ in range(size)
    ]


def slices_of(
    rows: Iterable[tuple[object, ...]],
) -> dict[tuple[object, ...], list[tuple[object, ...]]]:
    """Rows behind each hour and slice of all levels."""
    found: dict[tuple[object, ...], list[tuple[object, ...]]] = {}
    for row in rows:
        moment, platform, market = row[:3]
        assert isinstance(moment, datetime)
        hour = moment.replace(minute=0, second=0)
        for one in (platform, "*"):
            for other in (market, "*"):
                found.setdefault((hour, one, other), []).append(row)
    return found


def aggregated(rows: list[tuple[object, ...]], **measures: object) -> list[dict[str, object]]:
    fill(rows)
    given = config(measures=measures)
    return run(sql.aggregate(given, START, START + timedelta(hours=2), history=False))


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("seed", [1, 2])
def test_distinct_counts_and_percentiles_are_those_of_the_rows_of_each_level(
    seed: int,
    exact: bool,  # noqa: FBT001 drawn
) -> None:
    rows = random_rows(seed, 150)
    expected = slices_of(rows)
    wanted = {
        f"{column}_{name}": (name, place)
        for name in ("COUNT_DISTINCT", "P50", "P90", "P99")
        for column, place in (("views", 3), ("revenue", 4))
    }
    columns = ", ".join(f"{name.partition('_')[0]} as {name}" for name in wanted)
    fill(rows)
    given = config(
        query=QUERY.replace("revenue, 'it", f"revenue, {columns}, 'it"),
        measures={name: {"aggregation": one, "exact": exact} for name, (one, _) in wanted.items()},
    )

    landed = run(sql.aggregate(given, START, START + timedelta(hours=2), history=False))

    assert len(landed) == len(expected)
    for row in landed:
        own = expected[row["interval_start"], row["dimension_0"], row["dimension_1"]]
        assert row["row_count"] == len(own)
        for at, (name, place) in enumerate(wanted.values()):
            values = [float(str(one[place])) for one in own if one[place] is not None]
            assert row[f"measure_{at}_count"] == len(values)
            if name == "COUNT_DISTINCT":
                assert row[f"measure_{at}_value"] == len(set(values))
                continue
            method = "linear" if exact else "inverted_cdf"
            value = np.quantile(values, int(name[1:]) / 100, method=method)  # type: ignore[call-overload]
            assert row[f"measure_{at}_value"] == pytest.approx(value, rel=1e-12)


@pytest.mark.parametrize("aggregation", ["SUM", "AVG", "MAX"])
def test_sums_and_means_come_with_their_norm(aggregation: str) -> None:
    rows = random_rows(4)
    expected = slices_of(rows)

    landed = aggregated(rows, revenue={"aggregation": aggregation}, views={"aggregation": "COUNT"})

    assert "measure_1_norm" not in landed[0]
    assert ("measure_0_norm" in landed[0]) == (aggregation != "MAX")
    for row in landed if aggregation != "MAX" else []:
        own = expected[row["interval_start"], row["dimension_0"], row["dimension_1"]]
        values = [float(str(one[4])) for one in own if one[4] is not None]
        assert row["measure_0_norm"] == pytest.approx(np.linalg.norm(values))


def test_a_value_whose_square_no_number_holds_does_not_stop_the_query() -> None:
    fill([(wall(2024, 1, 1), "web", "us", 3, "1")])
    query = (
        'select ts as "timestamp", platform, market, case n when 1 then cast(1e200 as float8) '
        "else views end as views from shop, (select 1 as n union all select 2) as two "
        "where ts >= {{ window_start }} and ts < {{ window_end }}"
    )
    given = config(query=query, measures={"views": {}})
    landed = run(sql.aggregate(given, START, START + timedelta(hours=1), history=False))
    assert {(row["measure_0_value"], row["measure_0_norm"]) for row in landed} == {(1e200, 3.0)}


def test_a_ratio_is_that_of_the_sums_and_weighs_by_its_denominator() -> None:
    rows = random_rows(3)
    expected = slices_of(rows)

    landed = aggregated(
        rows,
        rate={"aggregation": "RATIO", "numerator": "revenue", "denominator": "views"},
        views={},
    )

    assert len(landed) == len(expected)
    for row in landed:
        own = expected[row["interval_start"], row["dimension_0"], row["dimension_1"]]
        over, under = (
            sum(float(str(one[place])) for one in own if one[place] is not None) for place in (4, 3)
        )
        assert row["measure_0_value"] == pytest.approx(over / under)
        assert row["measure_0_count"] == row["measure_1_value"] == under


def test_a_ratio_over_nothing_is_null() -> None:
    moment = wall(2024, 1, 1)
    rate = {"aggregation": "RATIO", "numerator": "revenue", "denominator": "views"}

    for views in (0, None):
        (total, *_) = aggregated([(moment, "web", "us", views, "2.50")], rate=rate)
        assert (total["measure_0_value"], total["measure_0_count"]) == (None, 0)


@pytest.mark.parametrize("count", range(11))
def test_any_number_of_dimensions_gives_each_level_once(count: int) -> None:
    names = [f"d{i}" for i in range(count)]
    columns = "".join(f", 'v{i}' as d{i}" for i in range(count))
    query = (
        f"select ts as timestamp, views{columns} from shop"
        " where ts >= {{ window_start }} and ts < {{ window_end }}"
    )
    fill([(wall(2024, 1, 1), "", "", 1, None)])
    given = config(dimensions=names, measures={"views": {}}, query=query, shards=3)
    rows = run(sql.aggregate(given, START, START + timedelta(hours=1), history=False))
    slices = {tuple(row[f"dimension_{i}"] for i in range(count)) for row in rows}
    assert len(rows) == len(slices) == len(given.levels)
    assert {row["shard"] for row in rows} <= {0, 1, 2}


def test_dimension_filters_apply_before_the_roll_up() -> None:
    moment = wall(2024, 1, 1)
    fill(
        [
            (moment, "it's", "us", 1, None),
            (moment, "b\\c", "us", 2, None),
            (moment, "x", "us", 4, None),
        ]
    )
    given = config(dimension_filters={"platform": ["it's", "b\\c"]})
    rows = run(sql.aggregate(given, START, START + timedelta(hours=1), history=False))
    assert {row["measure_0_value"] for row in rows if row["dimension_0"] == "*"} == {3}


def test_a_column_of_text_is_read_by_its_format() -> None:
    fill(
        [("2024-01-01 05:45:00", "a", "b", 1, None), ("2024-01-01 06:30:00", "a", "b", 2, None)],
        "varchar",
    )
    given = config(
        timestamp_column={
            "name": "timestamp",
            "format": "yyyy-MM-dd HH:mm:ss",
            "timezone": "Asia/Kolkata",
        },
        query=QUERY.replace("{{ window_start }}", "'{{ window_start }}'").replace(
            "{{ window_end }}", "'{{ window_end }}'"
        ),
    )
    statement = sql.aggregate(given, START, START + timedelta(hours=1), history=False)
    assert "source.\"timestamp\" >= '2024-01-01 05:30:00'" in statement
    assert {row["measure_0_value"] for row in run(statement)} == {1}


@st.composite
def windows(draw: st.DrawFn) -> tuple[str, str, str, datetime, int]:
    """Column zone, grid's zone, interval, a moment near a change of clocks, number of intervals."""
    column, zone = draw(st.sampled_from(ZONES)), draw(st.sampled_from(ZONES))
    interval = draw(st.sampled_from(["PT5M", "PT15M", "PT1H", "P1D"]))
    moments = [*changes(column), *changes(zone)] or [START]
    moment = draw(st.sampled_from(moments)) + timedelta(minutes=5 * draw(st.integers(-400, 400)))
    return column, zone, interval, moment, draw(st.integers(1, 4))


@lru_cache
def changes(zone: str) -> tuple[datetime, ...]:
    """Quarter hours (UTC) from 2010 to 2025 before which the zone's offset changed."""
    found = []
    for day in range(16 * 366):
        begin = datetime(2010, 1, 1, tzinfo=UTC) + timedelta(days=day)
        if offset(begin, zone) != offset(begin + timedelta(days=1), zone):
            quarters = (begin + timedelta(minutes=15 * i) for i in range(97))
            found += [
                q for q in quarters if offset(q, zone) != offset(q - timedelta(minutes=15), zone)
            ]
    return tuple(found)


def offset(moment: datetime, zone: str) -> timedelta:
    return moment.astimezone(ZoneInfo(zone)).utcoffset() or timedelta()


@pytest.mark.parametrize("interval", ["P1W", "P1M"])
@pytest.mark.parametrize(
    ("zone", "year"),
    [("UTC", 2023), ("Europe/Berlin", 2023), ("America/Havana", 2023), ("Pacific/Apia", 2011)],
)
def test_weeks_and_months_are_those_of_the_grid(interval: str, zone: str, year: int) -> None:
    grid = Grid(interval, zone)  # type: ignore[arg-type]
    begin = grid.floor(datetime(year, 1, 10, tzinfo=UTC))
    end = grid.floor(datetime(year + 1, 2, 20, tzinfo=UTC))
    moments = [begin + timedelta(hours=5 * step) for step in range((end - begin).days * 24 // 5)]
    # And the edges of each interval.
    moments += list(grid.starts(begin, end))
    moments += [start - timedelta(seconds=1) for start in grid.starts(begin, end)[1:]]
    fill((moment.replace(tzinfo=None), "a", "b", 1, None) for moment in moments)

    rows = run(
        sql.aggregate(
            config(interval=interval, timezone=zone, dimensions=[]), begin, end, history=False
        )
    )

    landed = {
        row["interval_start"].replace(tzinfo=UTC): row["row_count"]  # type: ignore[attr-defined]
        for row in rows
    }
    assert landed == Counter(map(grid.floor, moments))
    assert tuple(sorted(landed)) == grid.starts(begin, end)


@given(windows())
@settings(max_examples=300)
def test_every_instant_of_a_window_lies_within_its_wall_clock_bounds(
    drawn: tuple[str, str, str, datetime, int],
) -> None:
    column, zone, interval, moment, intervals = drawn
    grid = Grid(interval, zone)  # type: ignore[arg-type]
    start = grid.floor(moment)
    end = grid.shift(start, intervals)
    lower, upper = sql.wall_bounds(start, end, column)
    instant = start
    while instant < end:
        assert lower <= instant.astimezone(ZoneInfo(column)).replace(tzinfo=None) < upper
        instant += timedelta(minutes=5)
    last = end - timedelta(microseconds=1)
    assert last.astimezone(ZoneInfo(column)).replace(tzinfo=None) < upper


@given(windows())
@example(("America/Havana", "America/Havana", "P1D", datetime(2023, 11, 5, 5, tzinfo=UTC), 2))
@example(("UTC", "America/Havana", "P1D", datetime(2023, 11, 5, 5, tzinfo=UTC), 2))
@example(("America/Sao_Paulo", "America/Sao_Paulo", "P1D", datetime(2018, 11, 4, 3, tzinfo=UTC), 2))
@example(("Europe/Berlin", "Europe/Berlin", "PT1H", datetime(2024, 10, 27, 0, tzinfo=UTC), 1))
@settings(max_examples=12)
def test_adjacent_windows_give_every_instant_to_exactly_one_interval(
    drawn: tuple[str, str, str, datetime, int],
) -> None:
    # given rows every 15 minutes, kept as the wall-clock time of the column's zone
    column, zone, interval, moment, intervals = drawn
    grid = Grid(interval, zone)  # type: ignore[arg-type]
    bounds = [grid.shift(grid.floor(moment), intervals * i) for i in range(-1, 3)]
    margin = timedelta(hours=3)
    instants = []
    instant = bounds[0] - margin
    while instant < bounds[-1] + margin:
        instants.append(instant)
        instant += timedelta(minutes=15)
    clocks = [i.astimezone(ZoneInfo(column)).replace(tzinfo=None) for i in instants]
    fill((clock, "a", "b", 1, None) for clock in clocks)
    document = {
        "interval": interval,
        "timezone": zone,
        "dimensions": [],
        "timestamp_column": {"name": "timestamp", "timezone": column},
    }
    # when each window is asked for on its own
    landed: Counter[datetime] = Counter()
    for begin, end in pairwise(bounds):
        for row in run(sql.aggregate(config(**document), begin, end, history=False)):
            key = row["interval_start"].replace(tzinfo=UTC)  # type: ignore[attr-defined]
            assert begin <= key < end
            landed[key] += int(str(row["row_count"]))
    # then one window over all says the same: no row is lost or doubled by where the cut is
    whole = run(sql.aggregate(config(**document), bounds[0], bounds[-1], history=False))
    assert sum(landed.values()) == sum(int(str(row["row_count"])) for row in whole)
    assert set(landed) <= set(grid.starts(bounds[0], bounds[-1]))
    # and where the wall clock is no riddle, each row stands in the interval the grid has for it
    expected = Counter(grid.floor(i) for i in instants if bounds[0] <= i < bounds[-1])
    if all(clear(clock, column) for clock in clocks):
        assert landed == expected


def clear(clock: datetime, zone: str) -> bool:
    local = clock.replace(tzinfo=ZoneInfo(zone))
    return local.utcoffset() == local.replace(fold=1).utcoffset()


def test_the_raw_column_is_compared_with_bounds_in_its_own_zone() -> None:
    given = config(timestamp_column={"name": "timestamp", "timezone": "Europe/Berlin"})
    statement = sql.aggregate(given, START, START + timedelta(hours=1), history=False)
    assert (
        "WHERE source.\"timestamp\" >= TIMESTAMP '2024-01-01 01:00:00'\n"
        "  AND source.\"timestamp\" < TIMESTAMP '2024-01-01 02:00:00'" in statement
    )
    assert "WHERE interval_start >= TIMESTAMP '2024-01-01 00:00:00'" in statement


def test_bounds_widen_only_near_a_change_of_clocks() -> None:
    noon = datetime(2024, 10, 27, 0, tzinfo=UTC)
    lower, upper = sql.wall_bounds(noon, noon + timedelta(hours=1), "Europe/Berlin")
    assert (lower, upper) == (wall(2024, 10, 27, 1), wall(2024, 10, 27, 3))
    calm = datetime(2024, 7, 1, tzinfo=UTC)
    lower, upper = sql.wall_bounds(calm, calm + timedelta(hours=1), "Europe/Berlin")
    assert (lower, upper) == (wall(2024, 7, 1, 2), wall(2024, 7, 1, 3))


def test_unload_doubles_quotes_and_backslashes_once_more() -> None:
    select = sql.aggregate(config(), START, START + timedelta(hours=1), history=False)
    text = sql.unload(select, "s3://bucket/live/20240101/0000/attempt=a-0/", ROLE, encrypted=True)
    body, options = text.removeprefix("UNLOAD ('").split("')\nTO ")
    assert body.replace("''", "'").replace("\\\\", "\\") == select
    assert options == (
        "'s3://bucket/live/20240101/0000/attempt=a-0/'\n"
        f"IAM_ROLE '{ROLE}'\nENCRYPTED AUTO\n"
        "FORMAT AS PARQUET\nPARTITION BY (shard)\nMANIFEST VERBOSE"
    )


@given(st.text(alphabet="'\\$;-x\n"))
def test_a_literal_reads_back_as_its_text(text: str) -> None:
    quoted = sql.literal(text)
    (token,) = tokenize(quoted)
    assert token.text == quoted
    assert quoted[1:-1].replace("''", "'").replace("\\\\", "\\") == text


@pytest.mark.parametrize(
    ("role", "said"),
    [
        ("default", "IAM_ROLE default"),
        (f"{ROLE}, {ROLE}2", f"IAM_ROLE '{ROLE},{ROLE}2'"),
        (
            "arn:aws-us-gov:iam::123456789012:role/a/b,c",
            "'arn:aws-us-gov:iam::123456789012:role/a/b,c'",
        ),
    ],
)
def test_roles_are_named_in_each_way(role: str, said: str) -> None:
    text = sql.unload("select 1 as x", "s3://b/p/", role, partition_by=None)
    assert said in text
    assert "PARTITION" not in text
    assert "KMS" not in text


def test_a_role_that_is_none_is_refused() -> None:
    with pytest.raises(PermanentError, match="'unload', which is not the ARN of a role"):
        sql.unload("select 1", "s3://b/p/", "unload")


def test_a_limit_in_the_outermost_select_is_wrapped() -> None:
    text = sql.unload("select x from t limit 5 -- five", "s3://b/p/", ROLE)
    assert text.startswith(
        "UNLOAD ('SELECT *\nFROM (\nselect x from t limit 5 -- five\n) AS limited')"
    )
    assert "limited" not in sql.unload("select (select 1 limit 1) x", "s3://b/p/", ROLE)


def test_a_statement_too_long_is_refused_with_its_size() -> None:
    with pytest.raises(
        PermanentError, match=r"has 200,1\d\d bytes; the limit of the Redshift Data API is 100,000"
    ):
        sql.unload(f"select '{'x' * 200_000}'", "s3://b/p/", ROLE)


def test_one_limit_holds_for_terraform_the_functions_and_the_stand_in() -> None:
    (said,) = re.findall(r"\n\s*bytes\s*=\s*(\d+)", Path("main.tf").read_text("utf-8"))
    assert int(said) == sql.MAX_STATEMENT_BYTES == MAX_SQL_BYTES
    fits = "select " + "'" * (sql.MAX_STATEMENT_BYTES - 7)
    assert sql.within_limit(fits) == fits
    with pytest.raises(PermanentError, match="100,001 bytes"):
        sql.within_limit(fits + "x")
    # What counts is what is sent: the quotes of an UNLOAD's query are doubled.
    with pytest.raises(PermanentError, match="Shorten the query"):
        sql.unload("select '" + "'" * 50_000 + "'", "s3://b/p/", ROLE)


def test_names_are_quoted_in_lower_case() -> None:
    assert sql.identifier('Order "ÄB"') == '"order ""Äb"""'


def test_history_has_its_own_query_where_given() -> None:
    given = config(history_query=QUERY.replace("shop", "archive"))
    assert "archive" in sql.aggregate(given, START, START + timedelta(hours=1), history=True)
    assert "archive" not in sql.aggregate(given, START, START + timedelta(hours=1), history=False)
    broken = config(history_query="delete from shop")
    with pytest.raises(PermanentError, match="history_query must start with SELECT or WITH"):
        sql.aggregate(broken, START, START, history=True)
    with pytest.raises(PermanentError, match="has no query"):
        sql.aggregate(config(query=None), START, START, history=False)


@pytest.mark.parametrize(
    ("pattern", "redshift", "sortable"),
    [
        ("yyyy-MM-dd HH:mm:ss", "YYYY-MM-DD HH24:MI:SS", True),
        ("yyyy-MM-dd'T'HH:mm:ss.SSS", "YYYY-MM-DD HH24:MI:SS.MS", True),
        ("yyyyMMdd", "YYYYMMDD", True),
        ("M/d/yyyy hh:mm a", "MM/DD/YYYY HH12:MI AM", False),
        ("dd MMM yyyy", "DD Mon YYYY", False),
        ("yyyy-MM-dd mm:HH", "YYYY-MM-DD MI:HH24", False),
    ],
)
def test_formats_are_translated(pattern: str, redshift: str, *, sortable: bool) -> None:
    form = TimeFormat.parse(pattern)
    assert (form.redshift, form.sortable) == (redshift, sortable)


def test_a_coarse_format_rounds_the_bounds_outwards() -> None:
    given = config(timestamp_column={"name": "ts", "format": "yyyyMMdd"})
    rendered = sql.render(
        "select '{{ window_start }}', '{{ window_end }}'",
        START + timedelta(hours=5),
        START + timedelta(hours=6),
        given,
    )
    assert rendered == "select '20240101', '20240102'"
