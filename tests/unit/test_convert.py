"""`convert`: what becomes of the old connector's query and params.json, and what is left to do."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
from anomaly_detector.cli import main
from anomaly_detector.config import Config
from anomaly_detector.convert.query import convert, same
from anomaly_detector.errors import PermanentError
from anomaly_detector.local_file import translation
from anomaly_detector.warehouse import sql

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples/from-lookout"
NOW = datetime(2024, 3, 5, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)

# Window predicates of one hour (or day) before NOW, in the words of different people.
WINDOWED = {
    "the connector's": "select ts as timestamp, n from t where n > 0 and ts < DATEADD(hour, 0, "
    "getdate()) and ts > DATEADD(hour, -1, getdate())",
    "turned round": "select t.ts as timestamp, n from t where getdate() >= t.ts and "
    "dateadd(h, -1, sysdate) < ts and n between 2 and 90",
    "between": "select ts timestamp, n from t where ts between dateadd(minute, -60, getdate()) and "
    "getdate() and (n <> 7 or n is null) order by n",
    "truncated": "select x.ts::timestamp as timestamp, x.n from t x where (x.ts >= "
    "date_trunc('hour', dateadd(hour, -1, getdate())) and x.ts < date_trunc('hour', getdate()))",
    "in a WITH": "with recent as (select ts, n from t where ts >= sysdate - interval '1 hour' and "
    "ts < sysdate) select ts as timestamp, n from recent where n < 80 group by 1, 2",
    "in a subquery": "select * from (select ts as timestamp, n from t where ts < getdate() and "
    "ts > dateadd(hour, -1, getdate())) q where\ncase when n > 1 and n < 9 then 1 else 2 end > 1",
    "in both branches": "select ts as timestamp, n from t where ts > dateadd(h, -1, getdate()) and "
    "ts < getdate() and n < 30 union all select ts, n from t where ts < getdate() and "
    "n >= 30 and ts > dateadd(hour,-1,getdate())",
    "commented": "select ts as timestamp, n -- where ts > getdate()\nfrom t where /* hour */ ts "
    "> dateadd(hour, -1, getdate()) /* and */ and ts < getdate() -- now\n;\n",
}


def config(query: str) -> Config:
    document = {
        "interval": "PT1H",
        "timestamp_column": {"name": "timestamp"},
        "measures": {"n": {}},
        "query": query,
    }
    return Config.model_validate(document)


def rows(query: str) -> list[tuple[object, ...]]:
    """The query's rows over a table with a row each seven minutes around NOW."""
    with duckdb.connect() as database:
        database.execute(
            "create table t as select timestamp '2024-03-05 08:03:00' + to_minutes(7 * i) as ts, "
            "i as n from range(60) r(i)"
        )
        return sorted(database.execute(translation.duckdb(query)).fetchall())


def at_now(query: str) -> str:
    """The old query at NOW."""
    now = "TIMESTAMP '2024-03-05 12:00:00'"
    return re.sub(r"(?i)getdate\(\)|sysdate", now, query.rstrip().rstrip(";"))


@pytest.mark.parametrize("name", WINDOWED)
def test_the_windowed_query_returns_the_rows_of_the_old_one(name: str) -> None:
    old = WINDOWED[name]

    new = convert(old, "timestamp")

    assert new.left == ()
    assert "getdate()" not in re.sub(r"--.*", "", new.text)
    document = config(new.text)
    same_hour = sql.rendered_query(document, NOW - HOUR, NOW, history=False)
    assert rows(same_hour) == rows(at_now(old)) != []
    earlier = sql.rendered_query(document, NOW - 3 * HOUR, NOW - HOUR, history=False)
    assert rows(earlier) != []
    assert not {row[0] for row in rows(earlier)} & {row[0] for row in rows(same_hour)}


def test_a_window_with_one_side_gets_the_other() -> None:
    new = convert("select ts as t, n from o where n > 1 and ts < dateadd(hour, -1, sysdate)", "t")

    assert new.text.endswith("where n > 1 and ts >= {{ window_start }} and ts < {{ window_end }}")
    assert new.left == ()


def test_a_query_without_a_window_is_put_into_one() -> None:
    new = convert("select ts as timestamp, n from t where n < 50 -- all of them", "timestamp")

    assert new.left == ()
    assert [
        row[1] for row in rows(sql.rendered_query(config(new.text), NOW - HOUR, NOW, history=False))
    ]
    assert "Move the window to the raw column" in new.done[0]


def test_a_query_with_placeholders_stays_as_it_is() -> None:
    text = "select ts, n from t where ts >= {{ window_start }} and ts < {{window_end}}"

    assert convert(text, "ts").text == text
    assert convert(text, "ts").left == ()


@pytest.mark.parametrize(
    ("where", "line"),
    [
        ("ts > dateadd(hour, -1, getdate())\n or n > 5", 2),
        ("not (ts > dateadd(hour, -1, getdate()))", 2),
        ("n > 5\n and changed_at > getdate() - 1", 3),
        ("date_trunc('hour', ts) = date_trunc('hour', sysdate)", 2),
        ("ts > (select max(ts) from u where ts < getdate())", 2),
        ("ts > n and n >\n case when current_date > ts then 1 else 2 end", 3),
        ("u.ts > getdate() - 1", 2),
        ("ts between '2024-01-01' and getdate()", 2),
        ("n < 'now'::timestamp", 2),
    ],
)
def test_what_is_not_replaced_is_said_with_its_line(where: str, line: int) -> None:
    new = convert(f"select t.ts, t.n from t, u\nwhere {where}", "ts")

    assert any(f"line {line}: «" in each for each in new.left), new
    assert new.text.count("window_") == 0


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("select ts, n from t where {} limit 1000", "LIMIT 1000"),
        ("select top 5 ts, n from t where {}", "LIMIT 5"),
        ("select ts, n - lag(n) over (order by ts) as n from t where {}", "LAG(n) OVER (ORDER BY"),
        (
            "select ts,n from t where {} qualify row_number() over (partition by id order by n)=1",
            "ROW_NUMBER() OVER (PARTITION BY id",
        ),
        (
            "select ts, sum(n) over (partition by date_trunc('hour', ts)) as n from t where {}",
            None,
        ),
    ],
)
def test_what_depends_on_how_much_is_read_is_left_to_a_person(query: str, told: str | None) -> None:
    new = convert(query.format("ts > getdate() - 1 and ts < getdate()"), "ts")

    assert [told in each for each in new.left if told] == ([True] if told else [])
    assert bool(new.left) == bool(told)


def test_a_zone_of_the_old_window_becomes_the_zone_of_the_column() -> None:
    query = (
        "select ts, n from t where ts > convert_timezone('UTC', 'Europe/Berlin', "
        "dateadd(hour, -1, getdate())) and ts < getdate() at time zone 'Europe/Berlin'"
    )

    assert convert(query, "ts").timezone == "Europe/Berlin"


def test_zones_that_differ_are_left_to_a_person() -> None:
    query = (
        "select ts, n from t where ts > convert_timezone('UTC', 'Europe/Berlin', getdate()) - 1 "
        "and ts < getdate()"
    )

    new = convert(query, "ts")

    assert new.timezone is None
    assert any("(Europe/Berlin, that of the session)" in each for each in new.left)


@pytest.mark.parametrize(
    ("end", "told"),
    [
        ("dateadd(hour, 0, getdate())", False),
        ("date_trunc('hour', getdate())", False),
        ("dateadd(hour, -1, getdate())", True),
        ("sysdate - interval '90 minutes'", True),
        ("getdate() - 1/24.0", True),
    ],
)
def test_a_window_that_ended_before_the_run_is_told(
    end: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], *, told: bool
) -> None:
    query = f"select ts, n from t where ts > dateadd(day, -2, getdate()) and (ts) < ({end})"

    assert run(tmp_path, PARAMS, query) == 0

    assert ("set schedule.offset_seconds" in capsys.readouterr().err) == told


def test_quotes_doubled_for_unload_are_undone() -> None:
    new = convert("select ts, n from t where c = ''o''''brien'' and ts > getdate() - 1", "ts")

    assert "c = 'o''brien'" in new.text
    assert convert("select ts, n from t where c = 'us' and ts > sysdate - 1", "ts").text.count(
        "'us'"
    )


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("unload ('select 1') to 's3://b/' iam_role 'x'", "must be a single SELECT"),
        ("select 1; select 2", "must be a single SELECT"),
        ("select from where", "cannot be read as Redshift SQL"),
        ("select 'open", "must close every string"),
        ("", "must be a single SELECT"),
    ],
)
def test_what_is_not_one_select_is_refused(query: str, said: str) -> None:
    with pytest.raises(PermanentError, match=said):
        convert(query, "ts")


def test_queries_are_the_same_in_any_order_of_their_conditions() -> None:
    assert same(
        "select a from t where x = 1 and y = 2 -- one", "SELECT a FROM t\nWHERE y=2 AND x=1"
    )
    assert not same("select a from t where x = 1", "select a from t where x = 2")


def test_the_example_is_what_the_command_writes(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    readme = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    command = re.search(r"python -m anomaly_detector (convert .*?)```", readme, re.DOTALL)
    assert command

    status = main(command[1].replace("\\", "").split())

    out, err = capsys.readouterr()
    assert status == 0, err
    assert out == "\n".join((EXAMPLE / f"{name}.tf").read_text() for name in ("main", "outputs"))
    assert "Both queries differ by their windows only" in err


def run(tmp_path: Path, params: object, query: str, *more: str) -> int:
    (tmp_path / "params.json").write_text(json.dumps(params), encoding="utf-8-sig")
    (tmp_path / "query.sql").write_text(query, encoding="utf-8-sig")
    paths = ["--params", str(tmp_path / "params.json"), "--query", str(tmp_path / "query.sql")]
    return main(["convert", *paths, *more])


PARAMS = {
    "detector_name": "shop",
    "detector_frequency": "PT1H",
    "timestamp_column": {"ColumnName": "ts"},
    "metrics_set": [{"MetricName": "n", "AggregationFunction": "SUM"}],
}


def test_a_workgroup_a_registry_and_a_history_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "history.sql").write_text("select ts, n from old where ts < getdate()")

    status = run(
        tmp_path,
        PARAMS,
        "select ts, n, '${x} %{y}' as mark\nfrom t where ts > getdate() - 1",
        *("--history-query", str(tmp_path / "history.sql"), "--workgroup-name", "analytics"),
        *("--database", "prod", "--source", "git::https://example.com/detector?ref=v1"),
    )

    out, err = capsys.readouterr()
    assert status == 0, err
    assert 'redshift         = { workgroup_name = "analytics", database = "prod" }' in out
    assert '"git::https://example.com/detector//modules/connector?ref=v1"' in out
    assert "'$${x} %%{y}' as mark" in out
    assert "    select ts, n, " in out
    assert "  history = {\n    query = <<-SQL\n      select ts, n from old where" in out
    assert "aws_secretsmanager_secret" not in out
    assert "variables" not in err


def test_columns_that_the_query_lacks_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    params = PARAMS | {"dimension_list": ["Country", "city"]}

    status = run(tmp_path, params, "select ts, country, m from t where ts > getdate() - 1")

    out, err = capsys.readouterr()
    assert status == 1
    assert "module.connector.dimensions" in out
    assert "TO DO: query.sql returns no column n, city: rename or add it." in err


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ([1], "is not the connector's params.json"),
        ({}, "wrong or missing: timestamp_column, metrics_set."),
        (PARAMS | {"dimension_list": [1]}, "wrong or missing: dimension_list.0."),
        (PARAMS | {"metrics_set": ["n"]}, "wrong or missing: metrics_set.0."),
    ],
)
def test_params_that_are_no_params_are_one_sentence(
    params: object, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, params, "select ts, n from t") == 2

    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_files_that_cannot_be_read_are_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "params.json").write_bytes(b"{")
    for params, query in (("none.json", "none.sql"), ("params.json", "none.sql")):
        assert main(["convert", "--params", str(tmp_path / params), "--query", query]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    (tmp_path / "query.sql").write_bytes(b"select '\xe9'")
    (tmp_path / "params.json").write_text(json.dumps(PARAMS))
    command = ["--params", str(tmp_path / "params.json"), "--query", str(tmp_path / "query.sql")]
    assert main(["convert", *command]) == 2
    assert "is not UTF-8 text" in capsys.readouterr().err
