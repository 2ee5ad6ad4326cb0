"""The saved queries, as Terraform renders them, on results as the package writes them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
import sqlfluff
from anomaly_detector.config import Config
from anomaly_detector.lake import layout, parquet, results
from anomaly_detector.lake.group_files import group_files
from anomaly_detector.panel import Scores
from anomaly_detector.services.payloads import Bill
from sqlglot import exp, parse_one

from tests.terraform.running import resources_of
from tests.unit.alerts_samples import config, group, point

HOUR = timedelta(hours=1)
SLICES = (("*", "*"), ("mobile", "*"), ("mobile", "us"), ("web", "us"))
TABLES = ("scores", "anomalies", "contributions", "statements")
# The event: three hours of yesterday in which one slice fell to a third.
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
BEGIN = NOW.replace(hour=0) - timedelta(days=2)
FALL = BEGIN + timedelta(days=1, hours=6)


def _scores(hours: int, detector: Config) -> Scores:
    shape = (hours, 2, len(SLICES))
    expected = np.full(shape, 100.0)
    expected[:, :, 0] = 200
    actual = expected.copy()
    fall = slice((FALL - BEGIN) // HOUR, (FALL - BEGIN) // HOUR + 3)
    actual[fall, 0, 2] = 30
    actual[5, 1, 3] = np.nan
    anomalous = np.zeros(shape, bool)
    anomalous[fall, 0, 2] = True
    axis = np.datetime64(BEGIN.replace(tzinfo=None), "s") + np.arange(hours) * np.timedelta64(
        1, "h"
    )
    return Scores(
        starts=axis,
        dimensions=detector.dimensions,
        slices=np.array(SLICES, dtype=object)[:, : len(detector.dimensions)],
        measures=("revenue", "views"),
        actual=actual,
        expected=expected,
        lower=expected - 20,
        upper=expected + 20,
        severity=np.where(anomalous, 90.0, 1.0),
        direction=np.where(anomalous, -1, 0).astype(np.int8),
        anomalous=anomalous,
    )


def _write(folder: Path, detector: Config) -> None:
    files: dict[str, bytes] = {}
    for start, rows in results.by_interval(results.scores_table(_scores(48, detector), detector)):
        files[layout.interval_scores(start)] = parquet.write(rows)
    fallen = ("mobile", "us")
    old = NOW - timedelta(days=120)
    groups = [
        group(start=FALL, hours=3, severity=90, kind="dip", points=[point(FALL, fallen)]),
        group("views", NOW - 2 * HOUR, 2, severity=55, state="OPEN", kind="level"),
        group(start=NOW - timedelta(days=20), severity=99, kind="spike"),
        group(start=old, severity=100, state="OPEN"),
    ]
    files |= group_files(groups, config())
    for number, (purpose, milliseconds) in enumerate(
        (("live", 1500), ("live", 90_000), ("history", 5))
    ):
        bill = Bill(
            statement_id=f"s-{number}",
            purpose=purpose,  # type: ignore[arg-type]
            status="FINISHED",
            started_at=NOW,
            milliseconds=milliseconds,
            row_count=10,
            byte_count=500_000,
        )
        files[layout.statement_row(NOW, bill.statement_id)] = bill.model_dump_json().encode()
    for key, body in files.items():
        (folder / key).parent.mkdir(parents=True, exist_ok=True)
        (folder / key).write_bytes(body)


def _database(folder: Path) -> duckdb.DuckDBPyConnection:
    """The tables as Athena shows them: the partition is a text, times have no zone."""
    found = duckdb.connect()
    times = {
        "scores": ["interval_start"],
        "contributions": ["start_time"],
        "anomalies": ["start_time", "end_time"],
    }
    for name in ("scores", "anomalies", "contributions"):
        plain = ", ".join(f"{one} AT TIME ZONE 'UTC' AS {one}" for one in times[name])
        found.execute(
            f"CREATE VIEW {name} AS SELECT * REPLACE ({plain}) FROM read_parquet("
            f"'{folder}/results/{name}/*/*.parquet', hive_partitioning=true, "
            "hive_types_autocast=false)"
        )
    found.execute(
        f"CREATE VIEW statements AS SELECT * FROM read_json('{folder}/statements/*/*.json', "
        "hive_partitioning=true, hive_types_autocast=false)"
    )
    return found


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    folder = tmp_path_factory.mktemp("results")
    _write(folder, config(dimensions=["country", "channel"]))
    with _database(folder) as found:
        yield found


@pytest.fixture(scope="module")
def queries(states: dict[str, dict[str, Any]]) -> dict[str, str]:
    made = resources_of(states["every_input"], "aws_athena_named_query")
    assert {one["workgroup"] for one in made} == {"primary"}
    return {one["name"].removeprefix("shop-"): one["query"] for one in made}


def _rows(
    database: duckdb.DuckDBPyConnection, query: str, *parameters: str
) -> list[dict[str, Any]]:
    found = database.execute(query, list(parameters))
    names = [column[0] for column in found.description]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]


def test_there_are_ten(queries: dict[str, str]) -> None:
    assert len(queries) == 10


def test_each_is_described_read_by_athena_and_limits_the_dates(
    states: dict[str, dict[str, Any]],
) -> None:
    for one in resources_of(states["every_input"], "aws_athena_named_query"):
        assert one["description"].endswith(".")
        assert one["database"] == "shop_results"
        faults = [
            fault["description"]
            for fault in sqlfluff.lint(one["query"].replace("?", "'x'"), dialect="athena")
            if fault["code"] == "PRS"
        ]
        assert not faults, one["name"]
        tree = parse_one(one["query"], dialect="athena")
        # Without it, Athena would read every date since the first.
        for table in tree.find_all(exp.Table):
            if table.name in TABLES:
                where = table.find_ancestor(exp.Select).find(exp.Where)
                assert where
                assert any(column.name == "date" for column in where.find_all(exp.Column))


def test_worst_events_of_the_week(
    database: duckdb.DuckDBPyConnection, queries: dict[str, str]
) -> None:
    found = _rows(database, queries["worst-events-of-the-week"])

    assert [one["severity"] for one in found] == [90, 55]
    assert found[0]["start_time"] == FALL.replace(tzinfo=None)
    assert found[0]["change_percent"] == pytest.approx(-35)


def test_open_events(database: duckdb.DuckDBPyConnection, queries: dict[str, str]) -> None:
    found = _rows(database, queries["open-events"])

    assert [(one["measure"], one["kind"]) for one in found] == [("views", "level")]


def test_events_per_week(database: duckdb.DuckDBPyConnection, queries: dict[str, str]) -> None:
    found = _rows(database, queries["events-per-week"])

    assert sum(one["events"] for one in found) == 3
    assert sum(one["from_60"] for one in found) == 2
    assert sum(one["from_90"] for one in found) == 2
    assert all(one["week"].weekday() == 0 for one in found)


def test_series_of_an_event(database: duckdb.DuckDBPyConnection, queries: dict[str, str]) -> None:
    (event,) = (
        one for one in _rows(database, queries["worst-events-of-the-week"]) if one["severity"] == 90
    )

    found = _rows(database, queries["series-of-an-event"], event["group_id"])

    assert {(one["measure"], one["country"], one["channel"]) for one in found} == {
        ("revenue", "mobile", "us")
    }
    fallen = [one for one in found if one["anomalous"]]
    assert [one["actual"] for one in fallen] == [30, 30, 30]
    starts = [one["interval_start"] for one in found]
    assert starts == sorted(starts)
    assert starts[0] == BEGIN.replace(tzinfo=None)
    assert starts[-1] < (FALL + 27 * HOUR).replace(tzinfo=None)


def test_where_an_event_comes_from(
    database: duckdb.DuckDBPyConnection, queries: dict[str, str]
) -> None:
    event = _rows(database, queries["open-events"])[0]

    found = _rows(database, queries["where-an-event-comes-from"], event["group_id"])

    assert [(one["dimension"], one["value"]) for one in found] == [
        ("marketplace", "us"),
        ("marketplace", "de"),
        ("platform", "mobile_app"),
    ]


def test_totals_of_the_week(database: duckdb.DuckDBPyConnection, queries: dict[str, str]) -> None:
    found = _rows(database, queries["totals-of-the-week"])

    assert len(found) == 2 * 48
    assert {one["expected"] for one in found} == {200}


def test_coverage_by_day(database: duckdb.DuckDBPyConnection, queries: dict[str, str]) -> None:
    found = _rows(database, queries["coverage-by-day"])

    assert [(one["intervals"], one["expected_values"]) for one in found] == [(24, 48)] * 4
    lacking = [one for one in found if one["values_arrived"] < 48]
    assert [(one["date"], one["measure"]) for one in lacking] == [(f"{BEGIN:%Y-%m-%d}", "views")]
    assert lacking[0]["arrived_percent"] == pytest.approx(100 * 47 / 48)


def test_series_most_often_anomalous(
    database: duckdb.DuckDBPyConnection, queries: dict[str, str]
) -> None:
    (found,) = _rows(database, queries["series-most-often-anomalous"])

    assert (found["country"], found["channel"], found["intervals"]) == ("mobile", "us", 3)
    assert found["latest"] == (FALL + 2 * HOUR).replace(tzinfo=None)


def test_how_well_the_band_fits(
    database: duckdb.DuckDBPyConnection, queries: dict[str, str]
) -> None:
    revenue, views = _rows(database, queries["how-well-the-band-fits"])

    assert (revenue["measure"], revenue["scored_values"]) == ("revenue", 96)
    assert revenue["inside_percent"] == pytest.approx(100 * 93 / 96)
    assert revenue["error_percent"] == pytest.approx(100 * 3 * 70 / (93 * 100 + 90))
    assert (views["scored_values"], views["inside_percent"]) == (95, 100)


def test_cost_by_day(database: duckdb.DuckDBPyConnection, queries: dict[str, str]) -> None:
    history, live = _rows(database, queries["cost-by-day"])

    assert (history["purpose"], history["statements"], history["billed_seconds"]) == (
        "history",
        1,
        60,
    )
    assert (live["seconds"], live["billed_seconds"]) == (91.5, 150)
    assert (live["rows_unloaded"], live["megabytes"], live["date"]) == (20, 1, f"{NOW:%Y-%m-%d}")


def test_a_detector_without_dimensions_has_them_too(
    states: dict[str, dict[str, Any]], tmp_path: Path
) -> None:
    made = resources_of(states["least_input"], "aws_athena_named_query")
    _write(tmp_path, config(dimensions=[]))

    with _database(tmp_path) as database:
        counts = {
            one["name"]: len(_rows(database, one["query"], *["-"] * one["query"].count("?")))
            for one in made
        }
    assert len(counts) == 10
    assert {name for name, count in counts.items() if not count} == {
        "shop-series-of-an-event",
        "shop-where-an-event-comes-from",
    }


def _grafana() -> dict[str, Any]:
    file = Path(__file__).resolve().parents[2] / "examples/dashboards/grafana.json"
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return document


def _filled(sql: str) -> str:
    """The SQL as Grafana sends it, for the days of the test."""
    begin, end = BEGIN, BEGIN + timedelta(days=2)
    times = [f"TIMESTAMP '{one:%Y-%m-%d %H:%M:%S}'" for one in (begin, end)]
    sql = re.sub(r"\$__timeFilter\((\w+)\)", rf"\1 BETWEEN {times[0]} AND {times[1]}", sql)
    for name, value in {
        "${__from:date:YYYY-MM-DD}": f"{begin:%Y-%m-%d}",
        "${__to:date:YYYY-MM-DD}": f"{end:%Y-%m-%d}",
        "$measure": "revenue",
        "$threshold": "50",
        "$total": "\"country\" = '*' AND \"channel\" = '*'",
        "$event": "-",
    }.items():
        sql = sql.replace(name, value)
    assert "$" not in sql
    return sql


def test_each_panel_of_the_grafana_dashboard_is_read_by_athena_and_shows_rows(
    database: duckdb.DuckDBPyConnection,
) -> None:
    document = _grafana()
    variables = [one["query"] for one in document["templating"]["list"] if one["type"] == "query"]
    shown = {}
    for panel in document["panels"]:
        (target,) = panel["targets"]
        assert target["connectionArgs"].keys() == {"region", "catalog", "database"}
        shown[panel["title"]] = found = _rows(database, _filled(target["rawSQL"]))
        # Time series need a column of times.
        assert target["format"] == (panel["type"] != "timeseries")
        assert panel["type"] != "timeseries" or isinstance(found[0]["time"], datetime)
    assert [title for title, found in shown.items() if not found] == [
        "Where the event $event comes from"
    ]
    assert {one["measure"] for one in _rows(database, _filled(variables[0]["rawSQL"]))} == {
        *("revenue", "views")
    }
    for sql in [*variables, *(panel["targets"][0] for panel in document["panels"])]:
        linted = sqlfluff.lint(_filled(sql["rawSQL"]), dialect="athena")
        assert [fault for fault in linted if fault["code"] == "PRS"] == []


def test_the_panels_of_the_grafana_dashboard_do_not_overlap() -> None:
    panels = _grafana()["panels"]
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in panels}) == len(panels)
