"""Dimension values: one value is one series, and always has the same name."""

from __future__ import annotations

import hashlib
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any

import duckdb
import pytest
from anomaly_detector.config import Config
from anomaly_detector.warehouse import sql
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit import standin

START = datetime(2024, 1, 1, tzinfo=UTC)
LONG = "x" * 255
VALUES = [
    *(None, "", " ", "*", "(*)", "((*))", "(*", "*)", "**", "(null)", "null", "NULL", "(NULL)"),
    *("((null))", "(null", "()", "(", " DE", "DE", "de", "De", "de ", "de   ", "d e", "ＤＥ"),
    *("tab\t", "tab", "line\nbreak", "unit\x1fseparator", "bell\x07", "it's", 'say "x"', "a\\b"),
    *("nbsp", "nbsp\u00a0", "\u00a0", "wide\u3000", "wide"),
    *("%", "_", "{{ x }}", "$$", "--", "ä", "a\u0308", "ß", "ss", "👍", "0", "00", "(empty)"),
    *(LONG, LONG + "y", LONG + "yy", LONG + "z", LONG * 10, LONG * 10 + "y", "ä" * 300),
]


def config(query: str = "select ts, d, e, 1 as views from shop", **changed: object) -> Config:
    window = " where ts >= {{ window_start }} and ts < {{ window_end }}"
    document: dict[str, object] = {
        "interval": "PT1H",
        "timestamp_column": {"name": "ts"},
        "measures": {"views": {}},
        "dimensions": ["d", "e"],
        "rollups": ["total", "single"],
        "query": query + window,
        "shards": 4,
    }
    return Config.model_validate(document | changed)


@lru_cache(maxsize=1)
def connection() -> duckdb.DuckDBPyConnection:
    return standin.open_database()


def landed(
    rows: list[tuple[str | None, str | None]],
    kind: str = "varchar(65535)",
    **changed: Any,
) -> list[dict[str, object]]:
    opened = connection()
    standin.run_script(
        opened,
        f"drop table if exists shop; create table shop (ts timestamp, d {kind}, e varchar(65535))",
    )
    moment = START.replace(tzinfo=None)
    opened.executemany(
        "insert into shop values (?, ?, ?)", [(moment, one, other) for one, other in rows]
    )
    end = START + timedelta(hours=1)
    return standin.run(opened, sql.aggregate(config(**changed), START, end, history=False))


def names(values: list[str | None], kind: str = "varchar(65535)") -> Counter[str]:
    """Rows behind each name of the first dimension."""
    rows = landed([(value, "e") for value in values], kind, dimensions=["d"], rollups=[])
    return Counter({str(row["dimension_0"]): int(str(row["row_count"])) for row in rows})


def known(value: str | None) -> str | None:
    """What tells values apart: their characters, without trailing blanks."""
    return None if value is None else value.rstrip(" ")


def test_no_two_values_share_a_name_and_none_has_two() -> None:
    together = names(VALUES)
    assert sum(together.values()) == len(VALUES)
    assert len(together) == len({known(value) for value in VALUES})
    # Whatever else a window holds, the name is the same.
    apart = [VALUES[part::7] for part in range(7)]
    found = [names(values) for values in apart]
    assert sum(found, Counter()) == together
    for values, known_as in zip(apart, found, strict=True):
        assert len(known_as) == len({known(value) for value in values})
    assert "*" not in together


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "(null)"),
        ("*", "(*)"),
        ("(*)", "((*))"),
        ("(null)", "((null))"),
        ("null", "null"),
        ("", ""),
        ("  ", ""),
        ("web ", "web"),
        (" web", " web"),
        (LONG, LONG),
        (LONG + "y", f"{LONG[:223]} {hashlib.md5((LONG + 'y').encode()).hexdigest()}"),
    ],
)
def test_a_name_is_the_value_but_for_a_few(value: str | None, name: str) -> None:
    assert set(names([value])) == {name}


ALPHABET = "*()nulNUL aA \t\x1f"


@given(st.lists(st.none() | st.text(ALPHABET, max_size=8), min_size=1, max_size=12))
@example(["(null)", None, "null", "((null))"])
@settings(max_examples=30)
def test_any_values_keep_their_names_apart(values: list[str | None]) -> None:
    found = names(values)
    assert len(found) == len({known(value) for value in values})
    assert sum(found.values()) == len(values)


def test_a_collation_without_case_changes_no_name() -> None:
    # given a column to which 'DE' and 'de' are one value
    values: list[str | None] = ["DE", "de", "De", "de ", "(NULL)", "(null)", "NULL", None]
    # when it is grouped, then the names are those of any other column
    found = names(values, "varchar(30) collate case_insensitive")
    assert len(found) == len({known(value) for value in values})
    assert {"DE", "de", "De", "(null)"} <= set(found)
    assert found["de"] == 2


@pytest.mark.parametrize(("kind", "width"), [("char(8)", 8), ("varchar(8)", 0)])
def test_padding_is_no_part_of_a_name(kind: str, width: int) -> None:
    padded: list[str | None] = [None, *(text.ljust(width) for text in ("", "*", "web"))]
    assert set(names(padded, kind)) == {"(null)", "", "(*)", "web"}


def test_values_that_hold_the_separator_are_told_apart_in_every_level() -> None:
    rows = landed([("a\x1fb", "c"), ("a", "b\x1fc")])
    leaves = [(row["dimension_0"], row["dimension_1"]) for row in rows]
    assert len(leaves) == len(set(leaves)) == 1 + 2 + 2 + 2


@pytest.mark.parametrize(
    ("filtered", "kept"),
    [
        (["*"], {"*"}),
        (["(*)"], {"*"}),
        (["((*))"], {"(*)"}),
        (["(null)"], {None}),
        (["((null))"], {"(null)"}),
        ([""], {"", " "}),
        (["de"], {"de", "de ", "de   "}),
        (["DE "], {"DE"}),
        ([LONG + "y"], {LONG + "y"}),
        (sql.value_names(LONG + "y"), {LONG + "y"}),
        (["it's", "a\\b", "👍"], {"it's", "a\\b", "👍"}),
    ],
)
def test_a_filter_names_a_value_as_results_show_it_or_as_it_is(
    filtered: list[str], kept: set[str | None]
) -> None:
    rows = landed([(value, "e") for value in VALUES], dimension_filters={"d": filtered})
    total = next(row for row in rows if row["dimension_0"] == row["dimension_1"] == "*")
    assert total["row_count"] == len(kept)


@pytest.mark.parametrize("kind", ["integer", "bigint", "decimal(9,2)", "date", "timestamp"])
def test_other_types_are_named_by_their_text(kind: str) -> None:
    value = {"date": "2024-01-02", "timestamp": "2024-01-02 03:04:05"}.get(kind, "17")
    assert len(names([value, value, None], kind)) == 2
