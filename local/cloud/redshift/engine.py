"""A database of a warehouse: one DuckDB file, spoken to in Redshift's SQL."""

# ruff: noqa: ANN401 - DuckDB's cursor has no type of its own

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from local.cloud.redshift import dialect, functions
from local.cloud.redshift.errors import RedshiftError

_ERRORS: tuple[tuple[str, str], ...] = (
    (r'Referenced column "([^"]+)" not found', r'column "\1" does not exist'),
    (r'Table "([^"]+)" does not have a column named "([^"]+)"', r'column "\2" does not exist'),
    (r'Values list "[^"]+" does not have a column named "([^"]+)"', r'column "\1" does not exist'),
    (r"Table with name (\S+) does not exist", r'relation "\1" does not exist'),
    (r'Referenced table "([^"]+)" not found', r'relation "\1" does not exist'),
    (r'Table with name "?([^"\s]+)"? already exists', r'Relation "\1" already exists'),
    (r"Schema with name (\S+) does not exist", r'schema "\1" does not exist'),
    (r"Could not convert string '(.*)' to INT", r'Invalid digit, Value "\1", Type: Integer'),
    (r"[Ii]nvalid (?:timestamp|date) field format: \"([^\"]*)\"", r'invalid input syntax: "\1"'),
    # DuckDB and Redshift both sum DECIMAL(p,s) as DECIMAL(38,s).
    (
        r"Overflow in (HUGEINT \w+|SUM of DECIMAL)|Could not cast value .* to DECIMAL",
        "Numeric data overflow (addition)",
    ),
    (r"Unknown TimeZone '([^']*)'", r'time zone "\1" not recognized'),
    (r'Could not parse string "([^"]*)" according', r'invalid value for "\1" in source string'),
    (r"Division by zero", r"division by zero"),
    (
        r'column "([^"]+)" must appear in the GROUP BY clause',
        r'column "\1" must appear in the GROUP BY clause or be used in an aggregate function',
    ),
    (
        r"(?:Scalar|Aggregate|Table)? ?Function with name (\S+) does not exist",
        r"function \1() does not exist",
    ),
    (r'syntax error at or near "([^"]*)"', r'syntax error at or near "\1"'),
)


class Database:
    """One database; every method may be called from any thread."""

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        path.parent.mkdir(parents=True, exist_ok=True)
        self._root = duckdb.connect(
            str(path),
            config={
                "threads": 2,
                "integer_division": True,
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
            },
        )
        self._root.execute("CREATE SCHEMA IF NOT EXISTS public")
        functions.register(self._root)
        self._lock = threading.Lock()
        self._char_columns: dict[str, dict[str, int]] = {}
        self._users: set[str] = set()

    def session(self) -> Session:
        """Return a session of its own: its temporary tables and its transaction."""
        with self._lock:
            cursor = self._root.cursor()
        return Session(self, cursor)

    def run_script(self, sql: str) -> pa.Table | None:
        """Run statements one after the other; returns the last one's rows, if it has any."""
        session = self.session()
        try:
            table = None
            for statement in dialect.split(sql):
                table = session.run(dialect.translate(statement))
            return table
        finally:
            session.close()

    def load_parquet(self, table: str, path: str) -> int:
        """Append a Parquet file, making the table from it if there is none; returns the rows."""
        if "'" in path:
            raise ValueError("a path with a quote in it cannot be loaded")
        source = f"read_parquet('{path}')"
        session = self.session()
        try:
            cursor = session.cursor
            name = ".".join(dialect.quote(part) for part in table.lower().split("."))
            # Redshift has whole microseconds and no unsigned numbers.
            columns = cursor.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
            casts = {
                "TIMESTAMP_NS": "TIMESTAMP",
                "TIMESTAMP_MS": "TIMESTAMP",
                "UBIGINT": "BIGINT",
                "TIMESTAMP_S": "TIMESTAMP",
                "UINTEGER": "BIGINT",
                "TINYINT": "SMALLINT",
            }
            select = ", ".join(
                f"CAST({dialect.quote(c[0])} AS {casts[c[1]]}) AS {dialect.quote(c[0].lower())}"
                if c[1] in casts
                else f"{dialect.quote(c[0])} AS {dialect.quote(c[0].lower())}"
                for c in columns
            )
            cursor.execute(
                f"CREATE TABLE IF NOT EXISTS {name} AS SELECT {select} FROM {source} LIMIT 0"
            )
            found = cursor.execute(f"INSERT INTO {name} BY NAME SELECT {select} FROM {source}")
            row = found.fetchone()
            return int(row[0]) if row else 0
        except duckdb.Error as error:
            raise as_redshift(error) from error
        finally:
            session.close()

    def sign_in(self, user: str) -> None:
        """Make the user of a first sign-in."""
        with self._lock:
            self._users.add(user)

    def create_user(self, user: str) -> None:
        """Make a user, who must not exist."""
        with self._lock:
            if user in self._users:
                raise RedshiftError(f'user "{user}" already exists')
            self._users.add(user)

    def must_know(self, users: Sequence[str]) -> None:
        """Refuse users who do not exist."""
        with self._lock:
            for user in users:
                if user not in self._users:
                    raise RedshiftError(f'user "{user}" does not exist')

    def note_char_columns(self, table: str, widths: Mapping[str, int]) -> None:
        with self._lock:
            self._char_columns[table] = dict(widths)

    def char_columns(self, tables: Sequence[str]) -> dict[str, int]:
        """Return the CHAR columns of some tables and their widths, by column name."""
        with self._lock:
            return {
                column: width
                for table in tables
                for column, width in self._char_columns.get(table, {}).items()
            }

    def close(self) -> None:
        self._root.close()


class Session:
    """A connection of a statement, or of the statements of a batch."""

    def __init__(self, database: Database, cursor: Any) -> None:
        self.database = database
        self.cursor = cursor
        self.affected: int | None = None
        try:
            cursor.execute("SET TimeZone = 'UTC'")
            cursor.execute("SET search_path = 'public,main'")
        except duckdb.Error as error:
            raise as_redshift(error) from error

    def run(self, statement: dialect.Statement) -> pa.Table | None:
        """Run one translated statement; returns a query's rows, and None for all else."""
        if statement.kind == "user":
            self.database.create_user(*statement.users)
        elif statement.kind == "grant":
            self.database.must_know(statement.users)
        if statement.kind in ("user", "grant", "nothing"):
            return None
        if statement.kind in ("copy", "unload"):
            # What reads and writes objects needs a warehouse and a role (`copy`, `unload`).
            word = statement.kind
            raise RedshiftError(f'syntax error at or near "{word}"')
        try:
            for text in statement.before:
                self.cursor.execute(text)
            if statement.kind == "query":
                return as_redshift_types(self.cursor.sql(statement.sql).to_arrow_table())
            result = self.cursor.execute(statement.sql)
            if statement.kind == "write":
                row = result.fetchone() if result.description else None
                self.affected = int(row[0]) if row and isinstance(row[0], int) else None
            if statement.char_columns is not None:
                self.database.note_char_columns(statement.target, statement.char_columns)
            return None
        except duckdb.Error as error:
            raise as_redshift(error) from error

    def begin(self) -> None:
        self.cursor.execute("BEGIN TRANSACTION")

    def commit(self) -> None:
        try:
            self.cursor.execute("COMMIT")
        except duckdb.Error as error:
            raise as_redshift(error) from error

    def roll_back(self) -> None:
        try:
            self.cursor.execute("ROLLBACK")
        except duckdb.Error:
            return

    def interrupt(self) -> None:
        self.cursor.interrupt()

    def close(self) -> None:
        self.cursor.close()


def as_redshift(error: Exception) -> RedshiftError:
    """Return Redshift's text for an error of DuckDB, where it is known."""
    text = str(error)
    for pattern, replacement in _ERRORS:
        found = re.search(pattern, text)
        if found:
            return RedshiftError(found.expand(replacement))
    first = text.partition(":")[2].strip() or text
    return RedshiftError(first.splitlines()[0])


def as_redshift_types(table: pa.Table) -> pa.Table:
    """Return the rows in types that Redshift has; names in lower case."""
    columns = []
    for column in table.columns:
        kind = column.type
        if pa.types.is_timestamp(kind):
            column = column.cast(pa.timestamp("us", tz="UTC" if kind.tz else None))
        elif pa.types.is_int8(kind) or pa.types.is_uint8(kind):
            column = column.cast(pa.int16())
        elif pa.types.is_uint16(kind):
            column = column.cast(pa.int32())
        elif pa.types.is_uint32(kind) or pa.types.is_uint64(kind):
            column = column.cast(pa.int64())
        elif pa.types.is_large_string(kind) or pa.types.is_null(kind):
            column = column.cast(pa.string())
        columns.append(column)
    return pa.table(columns, names=[name.lower() for name in table.column_names])
