"""The stand-in's SQL, without a server: what it translates, decodes and refuses."""

from __future__ import annotations

from pathlib import Path

import pytest
from anomaly_detector.local_file.functions import fnv1a

from local.cloud.redshift import dialect, unload_sql
from local.cloud.redshift.engine import Database
from local.cloud.redshift.errors import RedshiftError

ROLE = "IAM_ROLE 'arn:aws:iam::000000000000:role/unload'"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    made = Database("dev", Path(tmp_path_factory.mktemp("db")) / "dev.duckdb")
    made.run_script(
        """
        create table orders (
            id bigint identity(1, 1) not null,
            platform varchar(64) encode lzo distkey,
            placed timestamp sortkey,
            amount decimal(18, 2) default 0,
            quantity integer,
            code char(5),
            primary key (id)
        ) diststyle key compound sortkey (placed, platform);
        insert into orders (platform, placed, amount, quantity, code) values
            ('web', '2024-03-31 00:30:00', 10.50, 3, 'a'),
            ('web', '2024-03-31 01:30:00', 20.00, 4, 'b'),
            ('app', '2024-07-01 12:00:00', 5.25, null, null);
        """
    )
    return made


def value(database: Database, sql: str):
    table = database.run_script(sql)
    assert table is not None
    return table.column(0).to_pylist()[0]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("fnv_hash(1)", -5968735742475085980),
        ("fnv_hash('Amazon Redshift')", 7783490368944507294),
        ("fnv_hash('Amazon Redshift', fnv_hash(1))", -2202602717770968555),
        ("md5('a')", "0cc175b9c0f1b6a831c399e269772661"),
        ("len('abc')", 3),
        ("nvl(null, 2)", 2),
        ("decode(2, 1, 'x', 2, 'y', 'z')", "y"),
        ("strtol('ff', 16)", 255),
        ("7 / 2", 3),
        ("mod(-7, 3)", -1),
        ("floor(2.7)::int", 2),
        ("datediff(day, '2024-01-01'::timestamp, '2024-01-02 00:01'::timestamp)", 1),
        (
            "to_char(dateadd(hour, 3, '2024-01-01'::timestamp), 'YYYY-MM-DD HH24:MI')",
            "2024-01-01 03:00",
        ),
        (
            "convert_timezone('Europe/Berlin', 'UTC', '2024-07-01 12:00'::timestamp)::varchar",
            "2024-07-01 10:00:00",
        ),
        (
            "convert_timezone('Europe/Berlin', '2024-01-01 12:00'::timestamp)::varchar",
            "2024-01-01 13:00:00",
        ),
        ("date_trunc('hour', '2024-01-01 12:34'::timestamp)::varchar", "2024-01-01 12:00:00"),
        ("extract(epoch from '1970-01-02'::timestamp)::bigint", 86400),
        ("date_part(dow, '2024-03-31'::timestamp)::int", 0),
        (
            "to_timestamp('31.03.2024 01:02', 'DD.MM.YYYY HH24:MI')::varchar",
            "2024-03-31 01:02:00+00",
        ),
        (
            """to_timestamp('2024-03-31T01:02', 'YYYY-MM-DD"T"HH24:MI')::timestamp::varchar""",
            "2024-03-31 01:02:00",
        ),
        (
            "to_timestamp('3/1/2024 01:02 pm', 'MM/DD/YYYY HH12:MI AM')::timestamp::varchar",
            "2024-03-01 13:02:00",
        ),
        (
            "to_timestamp('05 Mar 2024 06.123', 'DD Mon YYYY HH24.MS')::timestamp::varchar",
            "2024-03-05 06:00:00.123",
        ),
        ("to_date('20240331', 'YYYYMMDD')::varchar", "2024-03-31"),
        ("'abc' ilike 'A%'", True),
        (r"'a1' ~ '^\\w\\d$'", True),
        (r"'it\'s' || 'a''b' || '\\'", "it'sa'b\\"),
        ("getdate() <= sysdate", True),
        ("split_part('a,b', ',', 2)", "b"),
        ("json_extract_path_text('{\"a\": {\"b\": \"c\"}}', 'a', 'b')", "c"),
    ],
)
def test_given_an_expression_of_redshift_then_its_value_is_redshifts(
    database: Database, expression: str, expected: object
) -> None:
    assert value(database, f"select {expression}") == expected


def test_given_groups_and_lists_then_they_are_as_in_redshift(database: Database) -> None:
    table = database.run_script(
        "select platform, grouping(platform) g, sum(amount) total, count(*) n, "
        "listagg(code, ',') within group (order by code) codes, approximate count(distinct id) d "
        "from orders group by grouping sets ((platform), ()) order by 2, 1"
    )
    assert table is not None
    assert table.column("n").to_pylist() == [1, 2, 3]
    assert table.column("codes").to_pylist() == [None, "a,b", "a,b"]
    assert [str(each) for each in table.column("total").to_pylist()] == ["5.25", "30.50", "35.75"]
    for grouping in ("rollup (platform, code)", "cube (platform, code)"):
        assert database.run_script(f"select count(*) from orders group by {grouping}") is not None


def test_given_no_table_then_the_leader_node_answers(database: Database) -> None:
    assert value(database, "select current_schema()") == "public"
    assert value(database, "select now() is not null")
    assert value(database, "with recursive a(x) as (select 1) select x from a") == 1


def test_given_a_collation_without_case_then_spellings_are_one_value(database: Database) -> None:
    database.run_script(
        "create table c (a varchar(9) collate case_insensitive);"
        "insert into c values ('DE'), ('de'), ('fr')"
    )
    assert value(database, "select count(distinct a) from c") == 2
    assert value(database, "select count(*) from c where a = 'dE'") == 2
    told_apart = "select collate(a, 'case_sensitive') as k from c"
    assert value(database, f"select count(*) from ({told_apart}) s where k = 'DE'") == 1
    assert value(database, f"select count(distinct k) from ({told_apart}) s") == 3


def test_given_approximate_aggregates_then_they_stand_beside_each_other(database: Database) -> None:
    table = database.run_script(
        "select approximate count(distinct platform) as a, approximate percentile_disc(0.5) "
        "within group (order by amount) as b, approximate percentile_disc(0.9) within group (order "
        "by id) as c, sum(amount) as d from orders"
    )
    assert table is not None
    (row,) = table.to_pylist()
    assert (row["a"], float(row["b"]), row["c"], float(row["d"])) == (2, 10.5, 3, 35.75)


def test_given_an_identity_column_then_rows_are_numbered_and_keys_are_not_enforced(
    database: Database,
) -> None:
    database.run_script(
        "create table k (a int primary key, b int unique); insert into k values (1, 1), (1, 1)"
    )
    assert value(database, "select count(*) from k") == 2
    assert value(database, "select max(id) from orders") == 3


@pytest.mark.parametrize(
    ("sql", "message"),
    [
        ("select nope from orders", 'column "nope" does not exist'),
        ("select o.nope from orders o", 'column "nope" does not exist'),
        ("select 1 from nowhere", 'relation "nowhere" does not exist'),
        ("select epoch_ms(placed) from orders", "function epoch_ms() does not exist"),
        ("select list_sum(a) from orders", "function list_sum() does not exist"),
        ("select strptime('a', 'b')", "function strptime() does not exist"),
        ("select time_bucket(interval '1 hour', placed) from orders", "time_bucket()"),
        ("select unnest(a) from orders", "unnest() does not exist"),
        ("select platform, count(*) from orders group by all", 'syntax error at or near "all"'),
        ("select platform from orders order by all", 'syntax error at or near "all"'),
        ("from orders", 'syntax error at or near "from"'),
        ("select 1 from (from orders)", 'syntax error at or near "from"'),
        ("select count(*) filter (where id > 1) from orders", "syntax error"),
        ("select distinct on (platform) id from orders", "DISTINCT ON"),
        ("select [1, 2]", "syntax error"),
        ("select * from (values (1)) v", "syntax error"),
        ("select 1 from orders, generate_series(1, 3)", "not supported on Redshift tables"),
        ("select now() from orders", "not supported on Redshift tables"),
        ("select current_schema(), id from orders", "not supported on Redshift tables"),
        ("select id from orders where placed < current_timestamp", "not supported on Redshift"),
        (
            "select * from (with recursive a as (select 1 x) select * from a) s",
            "WITH RECURSIVE is not supported in a subquery",
        ),
        (
            "select sum(cast('90000000' as decimal(38, 30))) from orders",
            "Numeric data overflow (addition)",
        ),
        ("select collate(platform, 'german') from orders", "collation german is not supported"),
        ("select 1 from orders, lateral (select 1)", "syntax error"),
        ("select * replace (1 as id) from orders", "syntax error"),
        ("select amount / 0 from orders", "division by zero"),
        ("select platform, count(*) from orders", "must appear in the GROUP BY clause"),
        ("select id from (select id from orders)", "subquery in FROM must have an alias"),
        ("select 1 from orders o join (select 1 as x) on x = o.id", "must have an alias"),
        ("select sum(id) over (order by placed) from orders", "require a frame clause"),
        ("select last_value(id) over (order by placed) from orders", "require a frame clause"),
        (
            "select sum(id) over (order by placed range unbounded preceding) from orders",
            "RANGE clause of window functions not yet implemented",
        ),
        ("select id from orders intersect all select 1", "INTERSECT ALL"),
        (
            "select median(id), percentile_cont(0.9) within group (order by amount) from orders",
            "within group ORDER BY clauses for aggregate functions must be the same",
        ),
        (
            "select median(id), count(distinct code) from orders",
            "MEDIAN aggregate functions with other distinct aggregate function not supported",
        ),
        (
            "select percentile_disc(0.9) within group (order by id) from orders",
            "percentile_disc() is a window function, or an aggregate with APPROXIMATE",
        ),
        ("select id from orders except all select 1", "EXCEPT ALL"),
        ("select id, from orders", 'syntax error at or near "from"'),
        ("select id from orders where id in (1, 2,)", 'syntax error at or near ")"'),
        ("select id from orders where id == 1", 'syntax error at or near "=="'),
        ("select id from orders where code regexp 'a'", 'syntax error at or near "regexp"'),
        ("select if(id = 1, 2, 3) from orders", "function if() does not exist"),
        ("select cast(id = 1 as varchar) from orders", "cannot cast type boolean"),
        ("select (id = 1)::varchar(5) from orders", "cannot cast type boolean"),
        ("select id from orders, pg_catalog.pg_class", "not supported on Redshift tables"),
        ("select id from orders, information_schema.tables", "not supported on Redshift tables"),
        (
            "select convert_timezone('Europe/Nowhere', 'UTC', placed) from orders",
            'time zone "Europe/Nowhere" not recognized',
        ),
        ("select to_timestamp(platform, 'YYYY') from orders", "in source string"),
        ("selec 1", 'syntax error at or near "selec"'),
        ("copy orders from 's3://x'", 'syntax error at or near "copy"'),
        ("select 1; select 2 from", "syntax error"),
        ("select 'abc", "quoted string"),
    ],
)
def test_given_what_redshift_refuses_then_it_is_refused_with_its_text(
    database: Database, sql: str, message: str
) -> None:
    with pytest.raises(RedshiftError) as refused:
        database.run_script(sql)
    assert message in str(refused.value)
    assert str(refused.value).startswith("ERROR:")


def test_given_qualify_and_a_cte_with_columns_then_they_are_accepted(database: Database) -> None:
    table = database.run_script(
        "with t (p, n) as (select platform, id from orders) "
        "select p, n from t qualify row_number() over (partition by p order by n desc) = 1 "
        "order by p"
    )
    assert table is not None
    assert table.column("n").to_pylist() == [3, 2]


@pytest.mark.parametrize(
    "sql",
    [
        "select sum(id) over (order by placed rows unbounded preceding) from orders",
        "select avg(id) over (order by id rows between 3 preceding and current row) from orders",
        "select sum(id) over (partition by code), count(*) over () from orders",
        "select row_number() over (order by id), lag(id) over (order by id) from orders",
        "select id from orders union select 1 except select 2",
        "select o.id from orders o join (select 1 as x) as s on s.x = o.id",
        "select * from (select code, id from orders) pivot (sum(id) for code in ('a', 'b'))",
        "select id::varchar, placed::varchar(10), null::varchar from orders",
    ],
)
def test_given_what_redshift_takes_then_it_is_taken(database: Database, sql: str) -> None:
    assert database.run_script(sql) is not None


def test_given_columns_without_a_name_then_they_are_named_as_in_redshift(
    database: Database,
) -> None:
    table = database.run_script(
        "select count(*), sum(amount), id::varchar, 1 + 1, nvl(code, 'x'), "
        "case when id = 1 then 2 end from orders group by 3, 5, 6"
    )
    assert table is not None
    assert table.column_names == ["count", "sum", "id", "?column?", "coalesce", "case"]
    inner = "select max(count) from (select count(*) from orders group by platform) as counted"
    assert value(database, inner) == 2


def test_given_parameters_then_they_bind_values_only() -> None:
    statement = dialect.translate("select id from t where a = :a", {"a": "x' or '1'='1"})
    assert "'x'' or ''1''=''1'" in statement.sql
    assert dialect.placeholders("select ':no', a::int, :yes from t") == {"yes"}
    with pytest.raises(RedshiftError):
        dialect.translate("select :a", {})


def test_given_a_hash_with_a_seed_then_it_goes_on_from_it() -> None:
    assert fnv1a(b"ab") == fnv1a(b"b", fnv1a(b"a"))


@pytest.mark.parametrize(
    ("literal", "select"),
    [
        ("'select ''a'' as x'", "select 'a' as x"),
        (r"'select \'a\' as x'", "select 'a' as x"),
        (r"'select ''\\\\d'' as x'", r"select '\\d' as x"),
        ("$$select 'a' as x$$", "select 'a' as x"),
        ("$q$select '$$' as x$q$", "select '$$' as x"),
        ("'select 1 -- it''s\n'", "select 1 -- it's\n"),
    ],
)
def test_given_a_quoted_select_then_it_is_decoded_once(literal: str, select: str) -> None:
    assert unload_sql.parse(f"UNLOAD ({literal}) TO 's3://b/p' {ROLE}").select == select


def test_given_every_option_then_each_is_read() -> None:
    unload = unload_sql.parse(
        "unload ('select 1 as a, 2 as b') to 's3://bucket/some/prefix-' "
        "iam_role 'arn:aws:iam::000000000000:role/a,arn:aws:iam::000000000000:role/b' "
        "format as csv header gzip delimiter as ';' partition by (\"A\", b) include "
        "manifest verbose allowoverwrite parallel off maxfilesize 100 mb region 'eu-west-1' "
        "kms_key_id '1234abcd-12ab-34cd-56ef-1234567890ab' encrypted extension 'csv.gz';"
    )
    assert (unload.bucket, unload.prefix) == ("bucket", "some/prefix-")
    assert [role[-1] for role in unload.roles] == ["a", "b"]
    assert unload.partition_by == ("A", "b")
    assert unload.max_bytes == 100 * 2**20
    assert unload.header
    assert unload.include
    assert unload.verbose
    assert not unload.parallel
    assert unload.kms_key_id == "1234abcd-12ab-34cd-56ef-1234567890ab"
    assert unload.extension == "csv.gz"
    assert unload_sql.parse("unload ('select 1') to 's3://b/' iam_role default").roles == (
        "default",
    )


@pytest.mark.parametrize(
    ("select", "options", "message"),
    [
        ("select a from t limit 5", "", "Limit clause is not supported"),
        ("select top 5 a from t", "", "Limit clause is not supported"),
        ("(select a from t limit 5)", "", "Limit clause is not supported"),
        ("select 1", "FORMAT PARQUET HEADER", "HEADER is not supported for UNLOAD to PARQUET"),
        ("select 1", "FORMAT PARQUET GZIP", "GZIP"),
        ("select 1", "ALLOWOVERWRITE CLEANPATH", "cannot be specified together"),
        ("select 1", "KMS_KEY_ID 'k'", "ENCRYPTED"),
        (
            "select 1",
            "KMS_KEY_ID 'arn:aws:kms:eu-west-1:000000000000:key/1234abcd' ENCRYPTED",
            "id of a key",
        ),
        ("select 1", "KMS_KEY_ID 'alias/orders' ENCRYPTED", "id of a key"),
        (
            "select 1",
            "KMS_KEY_ID '1234abcd-12ab-34cd-56ef-1234567890ab' ENCRYPTED AUTO",
            "with ENCRYPTED AUTO",
        ),
        ("select 1", "ENCRYPTED", "ENCRYPTED needs"),
        ("select 1", "MAXFILESIZE 1 MB", "between 5 MB"),
        ("select 1", "NONSENSE", "syntax error"),
        ("delete from t", "", "takes a SELECT"),
        ("select 1; select 2", "", "one SELECT"),
    ],
)
def test_given_an_unload_that_redshift_refuses_then_so_does_the_parser(
    select: str, options: str, message: str
) -> None:
    with pytest.raises(RedshiftError, match=message):
        unload_sql.parse(f"UNLOAD ('{select}') TO 's3://b/p/' {ROLE} {options}")


def test_given_a_limit_inside_then_it_is_accepted() -> None:
    unload_sql.parse(f"UNLOAD ('select * from (select a from t limit 5)') TO 's3://b/p/' {ROLE}")


@pytest.mark.parametrize(
    "sql",
    [
        f"UNLOAD ('select 'a'') TO 's3://b/p' {ROLE}",
        "UNLOAD ('select 1') TO 's3://b/p'",
        f"UNLOAD ('select 1') TO 'http://b/p' {ROLE}",
        f"UNLOAD ($$select $$ as x$$) TO 's3://b/p' {ROLE}",
        f"UNLOAD ('select 1') TO 's3://b/p' {ROLE}; drop table t",
    ],
)
def test_given_a_broken_unload_then_it_is_an_error(sql: str) -> None:
    with pytest.raises(RedshiftError):
        unload_sql.parse(sql)
