"""The query check: its statements, and how their results are judged."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pytest
from anomaly_detector.config import Config
from anomaly_detector.warehouse import checks, sql
from anomaly_detector.warehouse.faults import classify
from anomaly_detector.warehouse.statement import Column, Result

from local.cloud.redshift.engine import as_redshift
from tests.unit import standin

QUERY = "select * from shop where ts >= {{ window_start }} and ts < {{ window_end }} -- all of it"
START = datetime(2024, 1, 1, tzinfo=UTC)
END = START + timedelta(days=1)
GOOD = {
    "ts": "timestamp",
    "platform": "varchar",
    "market": "bpchar",
    "views": "int4",
    "revenue": "numeric",
}


def wall(*parts: int) -> datetime:
    """A naive time, as the warehouse has it."""
    return datetime(*parts, tzinfo=UTC).replace(tzinfo=None)  # type: ignore[misc,arg-type]


def config(**given: object) -> Config:
    document: dict[str, object] = {
        "interval": "PT1H",
        "timestamp_column": {"name": "ts"},
        "measures": {"views": {}, "revenue": {}},
        "dimensions": ["platform", "market"],
        "query": QUERY,
    }
    return Config.model_validate(document | given)


def judge(given: Config | None = None, **changed: str) -> list[str]:
    types = GOOD | changed
    return checks.judge_columns(given or config(), [Column(n, t) for n, t in types.items() if t])


def test_good_columns_have_no_problem() -> None:
    assert judge() == []
    assert judge(views="DECIMAL(9,2)", platform="character varying(30)", ts="timestamptz") == []
    assert judge(config(interval="P1D"), ts="date") == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"views": ""},
            "'views' (measure) is not returned by the query, which returns: ts, platform, market",
        ),
        ({"platform": ""}, "Column 'platform' (dimension) is not returned"),
        ({"views": "varchar"}, "'views' (measure) is VARCHAR, not a number; cast it"),
        ({"platform": "super"}, "'platform' (dimension) is SUPER"),
        ({"platform": "bool"}, "'platform' (dimension) is BOOLEAN"),
        ({"platform": "unknown"}, "CAST('…' AS varchar(64)) AS platform"),
        ({"ts": "int8"}, "'ts' (timestamp_column) is INT8, not a timestamp"),
        ({"ts": "varchar"}, "'ts' (timestamp_column) is VARCHAR; set timestamp_column.format"),
        ({"ts": "date"}, "'ts' (timestamp_column) is DATE, which has no time of day"),
        ({"Views": "int4"}, "'views' (measure) is returned more than once (views, Views)"),
        ({"views": "", "Views": "int4"}, "'views' (measure) is returned as \"Views\""),
    ],
)
def test_a_bad_column_is_named_with_what_to_change(changed: dict[str, Any], said: str) -> None:
    (problem,) = judge(**changed)
    assert said in problem


def test_every_problem_is_told_at_once() -> None:
    assert len(judge(views="varchar", revenue="bool", market="geometry")) == 3


@pytest.mark.parametrize("name", ["COUNT", "COUNT_DISTINCT"])
def test_counts_take_any_type(name: str) -> None:
    assert judge(config(measures={"views": {"aggregation": name}}), views="varchar") == []


def test_columns_of_a_ratio_are_checked_and_its_name_is_no_column() -> None:
    ratio = {"aggregation": "RATIO", "numerator": "views", "denominator": "revenue"}
    given = config(measures={"rate": ratio})

    assert judge(given) == []
    (problem,) = judge(given, views="varchar")
    assert "Column 'views' (measure) is VARCHAR, not a number" in problem
    missing = config(measures={"rate": ratio | {"numerator": "clicks"}})
    (problem,) = judge(missing)
    assert "Column 'clicks' (measure) is not returned by the query" in problem


def test_a_column_twice_in_the_result_is_told() -> None:
    columns = [Column(n, t) for n, t in GOOD.items()] + [Column("views", "int4")]
    (problem,) = checks.judge_columns(config(), columns)
    assert "'views' (measure) is returned more than once" in problem


def test_a_timestamptz_needs_utc_and_a_format_needs_text() -> None:
    berlin = config(timestamp_column={"name": "ts", "timezone": "Europe/Berlin"})
    (problem,) = judge(berlin, ts="timestamptz")
    assert "TIMESTAMPTZ, which is stored in UTC; set timestamp_column.timezone to 'UTC'" in problem
    text = config(timestamp_column={"name": "ts", "format": "yyyy-MM-dd HH"})
    assert judge(text, ts="varchar") == []
    assert "remove timestamp_column.format" in judge(text)[0]


def run(statement: str, rows: list[tuple[object, ...]]) -> Result:
    with standin.open_database() as opened:
        opened.execute(
            "create table shop(ts timestamp, platform varchar, market varchar,"
            " views int, revenue decimal(9,2))"
        )
        if rows:
            opened.executemany("insert into shop values (?, ?, ?, ?, ?)", rows)
        answer = standin.table(opened, statement)
        columns = tuple(Column(field.name, str(field.type)) for field in answer.schema)
        return Result(columns, tuple(tuple(row.values()) for row in answer.to_pylist()))


def numbers(given: Config, rows: list[tuple[object, ...]]) -> checks.SeriesNumbers:
    statement = checks.series_statement(given, START, END, history=False)
    return checks.read_series(given, run(statement, rows))


def test_the_columns_statement_returns_names_and_no_rows() -> None:
    result = run(
        checks.columns_statement(config(), START, END),
        [(START.replace(tzinfo=None), "a", "b", 1, 1)],
    )
    assert [column.name for column in result.columns] == list(GOOD)
    assert result.records == ()


def test_both_queries_are_asked_in_one_statement_and_judged_apart() -> None:
    # given a history query that lacks a measure and whose time is a date
    both = config(
        history_query=QUERY.replace("*", "cast(ts as date) as ts, platform, market, views")
    )
    # when
    statement = checks.columns_statement(both, START, END)
    arrow = {"timestamp[us]": "timestamp", "date32[day]": "date", "string": "varchar"}
    arrow |= {"int32": "int4", "decimal128(9, 2)": "numeric"}
    result = run(statement, [])
    columns = [Column(each.name, arrow[each.type_name]) for each in result.columns]
    # then
    problems = checks.judge_columns(both, columns)
    assert [problem.split(" is ")[0] for problem in problems] == [
        "In history_query: Column 'ts' (timestamp_column)",
        "In history_query: Column 'revenue' (measure)",
    ]


@pytest.mark.parametrize(
    ("precision", "scale", "refused"),
    [
        (9, 2, False),
        (38, 2, False),  # what SUM of DECIMAL(9,2) gives
        (38, 18, False),
        (29, 24, False),
        (38, 30, True),
        (38, 37, True),
        (30, 25, True),
    ],
)
def test_a_decimal_whose_sum_has_no_room_is_told(
    precision: int, scale: int, *, refused: bool
) -> None:
    types = [Column(n, t) for n, t in GOOD.items() if n != "revenue"]
    columns = [*types, Column("revenue", "numeric", precision, scale)]
    problems = checks.judge_columns(config(), columns)
    assert bool(problems) is refused
    if refused:
        assert "cast it in the query: CAST(revenue AS double precision) AS revenue" in problems[0]
    highest = config(measures={"views": {}, "revenue": {"aggregation": "MAX"}})
    assert checks.judge_columns(highest, columns) == []


def test_a_sum_that_overflows_fails_loudly_and_says_what_to_do() -> None:
    with standin.open_database() as opened:
        standin.run_script(
            opened,
            "create table shop (ts timestamp, platform varchar(9), market varchar(9), views int,"
            " revenue decimal(38, 30)); insert into shop values"
            " ('2024-01-01 12:00', 'a', 'b', 1, 90000000),"
            " ('2024-01-01 12:30', 'a', 'b', 1, 90000000)",
        )
        with pytest.raises(duckdb.Error) as caught:
            standin.run(opened, sql.aggregate(config(), START, END, history=False))
    text = str(as_redshift(caught.value))
    assert text == "ERROR: Numeric data overflow (addition)"
    assert "CAST(x AS double precision)" in classify(text).sentence


NOON = wall(2024, 1, 1, 12)
OUTSIDE = wall(2023, 5, 6, 7)
ROWS: list[tuple[object, ...]] = [
    (NOON, "web", "us", 1, 1),
    (NOON, "web", "uk", 1, 1),
    (NOON, "app", "us", 1, 1),
    (NOON, "app", None, 1, 1),
]


def test_series_are_slices_of_every_level_times_measures() -> None:
    found = numbers(config(), ROWS)
    assert found.slices == {(): 1, ("platform",): 2, ("market",): 3, ("platform", "market"): 4}
    assert (found.series, found.rows_inside) == ((1 + 2 + 3 + 4) * 2, 4)
    assert found.session_seconds == 0
    # Of 10 slices: 1 + 1, web * and app *, * us and * uk and * (null), and four leaves.
    assert found.text == pytest.approx((2 + 2 * 4 + (3 + 3 + 7) + (3 * 5 + 9)) / 10)
    assert checks.judge_series(config(), found) == []


def test_series_are_counted_with_no_dimension_and_with_few_levels() -> None:
    assert numbers(config(dimensions=[]), ROWS).series == 2
    leaves = numbers(config(rollups=[]), ROWS)
    assert leaves.series == 4 * 2
    assert leaves.slices[("market",)] == 3


def test_too_many_series_name_the_largest_dimension() -> None:
    given = config(max_series=19)
    (problem,) = checks.judge_series(given, numbers(given, ROWS))
    assert "at least 20 series (2 measures × 10 slices), more than max_series (19)" in problem
    assert "dimension 'market' has the most values, 3" in problem


def test_a_session_that_is_not_in_utc_is_told_where_it_matters() -> None:
    off = replace(numbers(config(), ROWS), session_seconds=10_800)
    berlin = {"name": "ts", "timezone": "Europe/Berlin"}
    (problem,) = checks.judge_series(config(), off)
    assert "ALTER USER … SET timezone TO 'UTC'" in problem
    assert checks.judge_series(config(timestamp_column=berlin), off) == []
    text = config(timestamp_column=berlin | {"format": "yyyy-MM-dd HH:mm"})
    assert len(checks.judge_series(text, off)) == 1


@pytest.mark.parametrize("interval", ["PT1H", "P1D"])
def test_a_warehouse_with_other_time_zone_rules_is_told(interval: str) -> None:
    # given a warehouse that has the rules of another zone under that name
    berlin = {"name": "ts", "timezone": "Europe/Berlin"}
    given = config(timestamp_column=berlin, interval=interval, timezone="Asia/Tokyo")
    assert numbers(given, ROWS).zone_seconds == 0
    assert numbers(config(), ROWS).zone_seconds == 0
    for zone, other, hours in [
        ("Europe/Berlin", "Europe/Athens", 25),
        ("Europe/Berlin", "Africa/Lagos", 14),
        ("Asia/Tokyo", "Asia/Shanghai", 25 if interval == "P1D" else 0),
    ]:
        statement = checks.series_statement(given, START, END, history=False)
        told = sql.zone_seconds(given, END).replace(zone, other)
        assert told in statement.replace(zone, other)
        found = replace(
            numbers(given, ROWS),
            zone_seconds=standin.run(standin.open_database(), f"select {told} as n")[0]["n"],
        )
        assert found.zone_seconds == hours * 3600
        problems = checks.judge_series(given, found)
        assert [("use a fixed offset" in problem) for problem in problems] == [True] * bool(hours)


def test_an_empty_window_hints_at_the_placeholders_and_the_zone() -> None:
    (problem,) = checks.judge_series(config(), numbers(config(), []))
    assert "returns no rows for the sample window" in problem
    assert "timestamp_column.timezone ('UTC')" in problem


def test_rows_outside_of_the_window_are_told_apart() -> None:
    given = config(query="select * from shop where '{{ window_start }}' < '{{ window_end }}'")
    (problem,) = checks.judge_series(given, numbers(given, [(OUTSIDE, "a", "b", 1, 1)]))
    assert "returns 1 rows, none of them in the sample window" in problem
    assert "from 2023-05-06 07:00:00 to 2023-05-06 07:00:00" in problem


def test_filters_apply_to_the_count() -> None:
    given = config(dimension_filters={"platform": ["app"]})
    assert numbers(given, ROWS).rows_inside == 2
