"""Tokens and the acceptance of the user's query."""

from __future__ import annotations

from datetime import UTC, datetime

import duckdb
import pytest
from anomaly_detector.config import Config
from anomaly_detector.errors import PermanentError
from anomaly_detector.warehouse import sql
from anomaly_detector.warehouse.tokens import Kind, tokenize
from hypothesis import assume, given
from hypothesis import strategies as st
from sqlglot.dialects.redshift import Redshift
from sqlglot.errors import TokenError

WINDOW = "ts >= {{ window_start }} AND ts < {{window_end}}"
START, END = datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC)


def config(**timestamp_column: str) -> Config:
    return Config.model_validate(
        {
            "interval": "PT1H",
            "timestamp_column": {"name": "ts"} | timestamp_column,
            "measures": {"views": {}},
        }
    )


def kinds(text: str) -> list[tuple[str, str]]:
    return [(t.kind.name, t.text) for t in tokenize(text) if t.kind is not Kind.BLANK]


@pytest.mark.parametrize(
    "text",
    [
        "'it''s -- no comment'",
        r"'it\'s; /* still text'",
        r"'ends in a backslash \\'",
        "$$it's $1; -- text$$",
    ],
)
def test_text_is_one_token_whatever_it_holds(text: str) -> None:
    assert kinds(f"select {text} x") == [("WORD", "select"), ("STRING", text), ("WORD", "x")]


@pytest.mark.parametrize("text", ["/* a; ' */", "-- it's a comment; {{ nothing }}"])
def test_comments_are_one_token(text: str) -> None:
    assert kinds(f"select {text}\n1") == [("WORD", "select"), ("COMMENT", text), ("SYMBOL", "1")]


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
def test_a_comment_ends_with_its_line_however_lines_end(end: str) -> None:
    assert kinds(f"select -- all;{end}1") == [
        ("WORD", "select"),
        ("COMMENT", "-- all;"),
        ("SYMBOL", "1"),
    ]


def test_a_dollar_within_a_name_opens_no_text() -> None:
    assert kinds("a$b$ c")[0] == ("WORD", "a$b$")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("select\n'open", "a string begins in line 2"),
        ('select "open', "a quoted name begins in line 1"),
        ("select /* a", "a comment /* begins in line 1"),
        ("select /* a /* b */ */", "a comment that contains another comment begins in line 1"),
        ("select $$ open $", "a dollar-quoted string $$ begins in line 1"),
        ("select $q$ a $q$", "got $q$ in line 1"),
    ],
)
def test_what_is_not_closed_is_named(text: str, said: str) -> None:
    with pytest.raises(PermanentError) as caught:
        tokenize(text)
    assert said in str(caught.value)


PIECES = [
    "'",
    "''",
    '"',
    "$$",
    "$a$",
    "--",
    "/*",
    "*/",
    "\n",
    "\\",
    ";",
    "(",
    ")",
    "{{ window_start }}",
    "x",
    " 1",
]


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_tokens_join_to_the_statement_or_it_is_refused(text: str) -> None:
    try:
        tokens = tokenize(text)
    except PermanentError:
        return
    assert "".join(token.text for token in tokens) == text


# What ends a statement, or changes how deep it is nested.
EDGES = ";()"
texts = st.lists(st.sampled_from([*PIECES, "\r", "-", "/", "*", "é"]), max_size=20).map("".join)


def edges(text: str) -> list[int]:
    """Where a statement that is accepted has edges that are no text, name or comment."""
    found, position = [], 0
    for token in tokenize(text):
        if token.kind is Kind.SYMBOL and token.text in EDGES:
            found.append(position)
        position += len(token.text)
    return found


@given(texts)
def test_a_statement_ends_where_duckdb_ends_it(text: str) -> None:
    # DuckDB's texts have no escapes.
    text = text.replace("\\", "")
    try:
        own = edges(text)
    except PermanentError:
        return
    encoded = text.encode()

    found = [
        len(encoded[:offset].decode())
        for offset, kind in duckdb.tokenize(text)
        if kind == duckdb.token_type.operator and encoded[offset : offset + 1].decode() in EDGES
    ]

    assert own == found


@given(texts)
def test_a_statement_ends_where_sqlglot_ends_it(text: str) -> None:
    try:
        own = edges(text)
    except PermanentError:
        return
    try:
        theirs = Redshift().tokenize(text)
    except TokenError:
        assume(False)

    assert own == [
        token.start for token in theirs if text[token.start : token.end + 1] in (*EDGES,)
    ]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", ""),
        (" -- why\n/* ; */ ", " ; ;; -- done;\n"),
        ("\n", ";\n-- last comment without line break"),
    ],
)
def test_comments_blanks_and_semicolons_around_are_cut(before: str, after: str) -> None:
    query = f"SELECT ts FROM t WHERE {WINDOW}"
    assert sql.validate(before + query + after) == query


@pytest.mark.parametrize(
    "query",
    [
        f"with a as (select ';' x, ts from t where {WINDOW}) select * from a order by ts limit 5",
        f"select row_number() over (partition by a order by ts) n from t where {WINDOW}",
        "select * from t where ts >= '{{ window_start }}' and ts < '{{ window_end }}'",
        f"select 'delete from t', \"into\", f.into_x from t where {WINDOW} -- {{{{ unknown }}}}",
    ],
)
def test_a_query_is_accepted(query: str) -> None:
    sql.validate(query)


# More of what is refused, with Terraform's words: tests/terraform/validation_cases.py.
@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("  -- nothing\n;", "must start with SELECT or WITH; got ''"),
        (
            f"select 1 from t where {WINDOW}) x; drop table t; (select 1",
            "line 1 closes a parenthesis that was not opened",
        ),
        (
            f"with a as (select 1) insert into t select * from a where {WINDOW}",
            "must select after WITH …; got INSERT",
        ),
        (f"select '{{{{ window }}}}' from t where {WINDOW}", "got {{ window }}"),
    ],
)
def test_a_query_is_refused_with_a_sentence(query: str, said: str) -> None:
    with pytest.raises(PermanentError) as caught:
        sql.validate(query)
    assert said in str(caught.value)
    assert str(caught.value).startswith("query ")


@pytest.mark.parametrize(
    "query",
    [
        f"WITH RECURSIVE a AS (select 1) select * from a, t where {WINDOW}",
        f"with /* a tree */ recursive\na(n) as (select 1) select * from a, t where {WINDOW}",
        f"select * from (with recursive a as (select 1) select * from a) s, t where {WINDOW}",
    ],
)
def test_recursion_is_refused_with_what_to_do(query: str) -> None:
    with pytest.raises(
        PermanentError, match=r"query must not contain WITH RECURSIVE.*\(line 1\).*table"
    ):
        sql.validate(query)


def test_recursive_is_a_word_like_any_other_elsewhere() -> None:
    sql.validate(
        f"with a as (select recursive, 'with recursive' x from t where {WINDOW}) "
        "select * from a -- with recursive"
    )


@pytest.mark.parametrize("blank", ["\ufeff", "\u00a0", "\u200b", "\u2003", "\r\n", "\ufeff\n\t"])
def test_a_byte_order_mark_and_pasted_blanks_are_blanks(blank: str) -> None:
    query = f"{blank}select{blank}ts, '{blank}' x from t where {WINDOW}{blank};{blank}"
    accepted = sql.validate(query)
    assert accepted.startswith("select")
    assert f"'{blank}'" in accepted
    assert accepted.replace(f"'{blank}'", "").isascii()


def test_placeholders_become_literals_or_bare_text() -> None:
    query = (
        "select '{{ window_start }}' a, {{window_end}} b, $${{ window_start }}$$ c"
        " /* {{ window_end }} */ from t where x = 1"
    )
    rendered = sql.render(query, START, END, config())
    assert rendered == (
        "select '2024-01-01 00:00:00' a, TIMESTAMP '2024-01-02 00:00:00' b,"
        " $$2024-01-01 00:00:00$$ c /* {{ window_end }} */ from t where x = 1"
    )


def test_placeholders_in_text_follow_the_columns_format() -> None:
    column = config(format="dd.MM.yyyy HH:mm", timezone="Asia/Kolkata")
    rendered = sql.render("select '{{ window_start }}', '{{ window_end }}'", START, END, column)
    assert rendered == "select '01.01.2024 05:30', '02.01.2024 05:30'"
