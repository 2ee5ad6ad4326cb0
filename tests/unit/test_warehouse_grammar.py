"""Every statement that can be sent parses in sqlfluff's Redshift dialect, and so does the query
within an UNLOAD. Its grammar lacks nothing of what is sent; what it lacks one day is to be cut out
here, with the page of the documentation that has it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import pytest
from anomaly_detector.config import Config
from anomaly_detector.intervals import Grid
from anomaly_detector.warehouse import checks, sql
from sqlfluff.core import FluffConfig, Linter

from local.cloud.redshift import unload_sql

ROOT = Path(__file__).resolve().parents[2]
ROLE = "arn:aws:iam::123456789012:role/unload"
WINDOW = "ts >= {{ window_start }} and ts < {{ window_end }}"
# The clocks of Havana go back over midnight in it.
START = datetime(2023, 11, 1, 4, tzinfo=UTC)


@lru_cache(maxsize=1)
def linter() -> Linter:
    return Linter(config=FluffConfig(overrides={"dialect": "redshift"}))


@cache
def faults(statement: str) -> list[str]:
    return [str(violation) for violation in linter().parse_string(statement).violations]


def config(**changed: Any) -> Config:
    document: dict[str, Any] = {
        "interval": "PT1H",
        "timestamp_column": {"name": "ts"},
        "measures": {"revenue": {}},
        "dimensions": ["platform"],
        "query": f"select * from shop where {WINDOW}",
    }
    return Config.model_validate(document | changed)


def five(prefix: str) -> list[str]:
    """As good as the ten that are allowed: the rest are repeats, which take long to parse."""
    return [f"{prefix}{n}" for n in range(5)]


# One branch of the rendering each, and everything at once.
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "plain": {},
    "minutes": {"interval": "PT5M"},
    "days in UTC": {"interval": "P1D"},
    "days in a zone": {"interval": "P1D", "timezone": "Europe/Berlin"},
    "weeks in a zone": {"interval": "P1W", "timezone": "Europe/Berlin"},
    "months in UTC": {"interval": "P1M"},
    "days without one midnight": {"interval": "P1D", "timezone": "America/Havana"},
    "hours between the hours": {"timezone": "Asia/Kolkata"},
    "column in a zone": {"timestamp_column": {"name": "ts", "timezone": "America/New_York"}},
    "days of a column in a zone": {
        "interval": "P1D",
        "timestamp_column": {"name": "ts", "timezone": "America/New_York"},
    },
    "text in order": {"timestamp_column": {"name": "ts", "format": "yyyy-MM-dd HH:mm:ss"}},
    "text with words": {
        "timestamp_column": {"name": "ts", "format": "yyyy-MM-dd'T'HH:mm:ss.SSS'Z'"}
    },
    "text out of order": {
        "timestamp_column": {"name": "ts", "format": "dd.MM.yyyy hh:mm a", "timezone": "Asia/Tokyo"}
    },
    "text of days": {
        "interval": "P1D",
        "timezone": "America/Havana",
        "timestamp_column": {"name": "ts", "format": "yyyyMMdd"},
    },
    "no dimension": {"dimensions": []},
    "two dimensions": {"dimensions": ["platform", "market"], "shards": 7},
    "leaves only": {"dimensions": ["platform", "market"], "rollups": []},
    "total only": {"dimensions": ["platform", "market"], "rollups": ["total"]},
    "no total": {"dimensions": ["a", "b", "c"], "rollups": ["single", "pairs"]},
    "filters": {"dimension_filters": {"platform": ["it's", "b\\c", "*", "(null)", "x" * 300, "ä"]}},
    "odd names": {
        "timestamp_column": {"name": "Time Stamp"},
        "dimensions": ['the "best" ünit', "select"],
        "measures": {"sum(x)": {}, "100%": {}},
    },
    "aggregations": {
        "measures": {
            name: {"aggregation": name.upper()}
            for name in ("sum", "avg", "min", "max", "count", "count_distinct")
        }
    },
    "percentiles": {
        "measures": {name: {"aggregation": name.upper()} for name in ("p50", "p90", "p95", "p99")}
    },
    "ratio": {
        "measures": {"rate": {"aggregation": "RATIO", "numerator": "a", "denominator": "the b"}}
    },
    "exact": {
        "dimensions": ["platform", "market"],
        "measures": {
            "revenue": {},
            **{
                name: {"aggregation": name.upper(), "exact": True}
                for name in ("count_distinct", "p50", "p99")
            },
        },
    },
    "exact without dimensions": {
        "dimensions": [],
        "measures": {"p90": {"aggregation": "P90", "exact": True}},
    },
    "everything": {
        "interval": "P1D",
        "timezone": "America/Havana",
        "timestamp_column": {"name": "ts", "timezone": "Europe/Berlin"},
        "dimensions": five("dimension "),
        "measures": {name: {"aggregation": "AVG"} for name in five("m")},
        "dimension_filters": {"dimension 3": ["a", "b"]},
        "shards": 64,
    },
    "another query for history": {
        "history_query": f"select ts, platform, revenue from archive.shop where {WINDOW}"
    },
    "a query with much in it": {
        "query": "/* all of it */ with base as (select ts, platform, $$it's$$ note, revenue "
        f"from shop s join \"Other\" o on s.id = o.id where {WINDOW} and 'a\\\\b' <> 'it''s') "
        "select ts, platform, sum(revenue)::decimal(18,2) as revenue from base where note is not "
        "null group by 1, 2 having count(*) > 0 order by ts desc limit 1000 -- the end"
    },
}


# Queries as people write them.
QUERIES = {
    "names of the wrapper": f"with source as (select * from shop where {WINDOW}), read as "
    "(select * from source), placed as (select * from read) select * from placed",
    "comment at the end": f"select * from shop where {WINDOW}; -- done; yes",
    "dollar quotes": f"select *, $$it's ; -- /* $$ as note from shop where {WINDOW}",
    "braces": f"""select *, '{{"a": {{"b": 1}}}}' as note from shop where {WINDOW}""",
    "placeholders in texts": "select * from shop where ts >= timestamp '{{ window_start }}' and ts "
    "< cast('{{window_end}}' as timestamp)",
    "dates of placeholders": "select * from shop where day between date '{{ window_start }}' and "
    "dateadd(day, 1, {{ window_end }})",
    "union": f"select * from shop where {WINDOW} union all select * from past where {WINDOW} order "
    "by 1 limit 10",
    "window function": "select ts, platform, revenue, row_number() over (partition by platform "
    f"order by ts) as rn, sum(revenue) over (order by ts rows unbounded preceding) s from shop "
    f"where {WINDOW}",
    "top": f"select top 5 * from shop where {WINDOW}",
    "qualify": f"select * from shop where {WINDOW} qualify row_number() over (order by ts) = 1",
    "reserved and mixed names": f'select ts, "select" as platform, "Mixed Case" as revenue from '
    f'"My Schema"."Order" where {WINDOW}',
    "names of other alphabets": f'select ts, platform as "größe", "平台" as revenue '
    f"from shop where {WINDOW}",
    "super": "select s.ts, s.payload.items[0].name::varchar as platform, i.n::int as revenue from "
    f"shop s, s.payload.items i where s.{WINDOW}",
    "three parts": f"select * from sales_share.public.shop where {WINDOW}",
    "external": f'select ts, "$path" as platform, revenue from spectrum.shop where {WINDOW}',
    "temporary": f"select * from #shop where {WINDOW}",
    "operators": "select *, revenue::float / nullif(views, 0) as r, platform ~ '^w' as m, "
    f"views % 2 as odd from shop where {WINDOW} and platform not ilike '%x\\\\_%' and views != 4",
    "pivot": f"select * from (select ts, platform, market, revenue from shop where {WINDOW}) pivot "
    "(sum(revenue) for market in ('us', 'de'))",
    "listagg": "select ts, listagg(platform, ',') within group (order by platform) as platform, "
    f"sum(revenue) as revenue from shop where {WINDOW} group by ts",
    "zone": f"select ts at time zone 'UTC' as ts, platform, revenue from shop where {WINDOW}",
    "epoch": "select timestamp 'epoch' + s * interval '1 second' as ts, platform, revenue "
    f"from shop where {WINDOW}",
    "exists": "select * from shop s where s.ts >= {{ window_start }} and s.ts < {{ window_end }} "
    "and exists (select 1 from shop u where u.platform = s.platform)",
}


@pytest.mark.parametrize("name", QUERIES)
def test_a_query_parses_in_what_is_made_of_it(name: str) -> None:
    given = config(query=QUERIES[name])
    statement = checks.columns_statement(given, START, START + timedelta(days=1))
    assert not faults(statement), statement
    aggregate = sql.aggregate(given, START, START + timedelta(hours=1), history=False)
    assert unload_sql.parse(sql.unload(aggregate, "s3://bucket/live/", ROLE)).select == aggregate


def statements(given: Config) -> Iterator[tuple[str, str]]:
    start = Grid.of(given).floor(START)
    end = Grid.of(given).floor(START + timedelta(days=10))
    for history in (False, True)[: 2 if given.history_query else 1]:
        yield "aggregate", sql.aggregate(given, start, end, history=history)
        yield "series", checks.series_statement(given, start, end, history=history)
    yield "columns", checks.columns_statement(given, start, end)


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_what_is_sent_parses(name: str) -> None:
    for kind, statement in statements(config(**CONFIGURATIONS[name])):
        assert not faults(statement), (kind, statement)


@pytest.mark.parametrize("role", [ROLE, f"{ROLE}, {ROLE}2", "default"])
@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize(
    "select", ["select 'it''s' as x from t", "select x from t limit 5 -- five"]
)
def test_an_unload_parses_in_each_form(select: str, *, encrypted: bool, role: str) -> None:
    for partition_by in ("shard", None):
        url = "s3://bucket/live/attempt=a-1/"
        text = sql.unload(select, url, role, encrypted=encrypted, partition_by=partition_by)  # type: ignore[arg-type]
        assert not faults(text), text


def test_the_query_within_an_unload_is_the_query_that_was_parsed() -> None:
    given = config(**CONFIGURATIONS["everything"])
    ((_, select), *_) = statements(given)
    text = sql.unload(select, "s3://bucket/live/attempt=a-1/", ROLE)
    assert not faults(text)
    (quoted,) = re.findall(r"(?s)^UNLOAD \('(.*)'\)\nTO ", text)
    assert quoted.replace("''", "'").replace("\\\\", "\\") == select


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT FROM WHERE",
        "SELECT a,, b FROM t",
        "UNLOAD ('select 1') TO 's3://b/p/' FORMAT AS PARQUET WITHOUT ANYTHING",
        "SELECT a FROM (SELECT b FROM t",
    ],
)
def test_a_statement_that_is_wrong_is_seen(statement: str) -> None:
    assert faults(statement)


# --- docs/other-sources.md ----------------------------------------------------------------------

_PAGE = (ROOT / "docs/other-sources.md").read_text(encoding="utf-8")
SOURCES = dict(
    re.findall(r"^## (.+)\n(?:(?!^## )[\s\S])*?```sql\n([\s\S]*?)```", _PAGE, re.MULTILINE)
)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("interval", ["PT1H", "P1D"])
def test_the_query_of_each_other_source_is_rendered_and_parsed(source: str, interval: str) -> None:
    rendered = config(
        interval=interval,
        timestamp_column={"name": "ordered_at"},
        measures={"amount": {}},
        dimensions=["country"],
        query=SOURCES[source],
    )
    end = START + timedelta(days=7)

    for statement in (
        checks.columns_statement(rendered, START, end),
        checks.series_statement(rendered, START, end, history=True),
        sql.aggregate(rendered, START, end, history=True),
        sql.unload(sql.aggregate(rendered, START, end, history=False), "s3://b/live/", ROLE),
    ):
        assert "{{" not in statement
        assert faults(statement) == []


def test_every_section_about_a_source_has_a_query() -> None:
    assert list(SOURCES) == re.findall(r"^## (.+)", _PAGE, re.MULTILINE)
    assert len(SOURCES) == 6


# --- examples/demo-warehouse --------------------------------------------------------------------

_FILLED_IN = {
    "table": "platform",
    "columns": "name",
    "url": "s3://bucket/platform.csv",
    "role": ROLE,
    "hours_past": "17544",
    "hours_past + hours_ahead": "35088",
}


@pytest.mark.parametrize(
    "file", sorted((ROOT / "examples/demo-warehouse/sql").glob("*.sql")), ids=lambda file: file.name
)
def test_the_demo_warehouse_s_statements_parse(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    if file.name == "query.sql":
        text = sql.rendered_query(config(query=text), START, START + timedelta(1), history=False)

    statement = re.sub(r"\$\{([^}]+)\}", lambda found: _FILLED_IN[found[1]], text)

    assert faults(statement) == []
    assert len(statement) < sql.MAX_STATEMENT_BYTES
