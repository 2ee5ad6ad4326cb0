"""The stand-in's SQL engine without a server: Redshift's text, run on DuckDB."""

from __future__ import annotations

from typing import Any

import duckdb
import pyarrow as pa

from local.cloud.redshift import dialect, functions


def open_database() -> duckdb.DuckDBPyConnection:
    """An empty database in memory."""
    opened = duckdb.connect(config={"integer_division": True})
    opened.execute("SET TimeZone = 'UTC'")
    functions.register(opened)
    return opened


def run_script(opened: duckdb.DuckDBPyConnection, script: str) -> None:
    """Run statements of Redshift, one after the other."""
    for text in dialect.split(script):
        statement = dialect.translate(text)
        for each in (*statement.before, statement.sql):
            opened.execute(each)


def run(opened: duckdb.DuckDBPyConnection, statement: str) -> list[dict[str, Any]]:
    """The rows of one query of Redshift."""
    return table(opened, statement).to_pylist()


def table(opened: duckdb.DuckDBPyConnection, statement: str) -> pa.Table:
    """The answer to one query of Redshift."""
    return opened.sql(dialect.translate(statement).sql).to_arrow_table()
