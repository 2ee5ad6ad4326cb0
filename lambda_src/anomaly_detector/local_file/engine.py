"""DuckDB, with bounded memory, and progress while a query runs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa

from anomaly_detector.local_file import functions, translation

# What exceeds it spills to the temporary folder.
_MEMORY: Final = "1GB"
_TICK: Final = 0.2
_BATCH: Final = 100_000


class Engine:
    """One database in memory, with tables of many rows in a file.

    Parameters
    ----------
    folder : for what does not fit into memory, and for files that are rewritten before reading.
    progress : is told the share of the running query that is done.
    """

    def __init__(self, folder: Path, progress: Callable[[float], None]) -> None:
        self.folder = folder
        # Where fields are separated by semicolons, the comma is usually the decimal separator.
        self.semicolons = False
        self._progress = progress
        self._files = 0
        self._connection = duckdb.connect(
            config={
                "memory_limit": _MEMORY,
                "temp_directory": str(folder / "spilled"),
                "autoinstall_known_extensions": False,
                "autoload_known_extensions": False,
                "integer_division": True,
            }
        )
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute("SET enable_progress_bar = true")
        self._connection.execute("SET enable_progress_bar_print = false")
        functions.register(self._connection)
        self._connection.execute(f"ATTACH {text(str(folder / 'rows.duckdb'))} AS disk")

    def new_path(self) -> Path:
        """Path for a file that is rewritten before it is read."""
        self._files += 1
        return self.folder / f"part-{self._files}"

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a query.

        Raises
        ------
        duckdb.Error
        """
        return list(self._run(lambda: self._connection.execute(sql).fetchall()))

    def row(self, sql: str) -> dict[str, Any]:
        """The only row of a query, by the names of its columns."""
        (found,) = self.table(sql).to_pylist()
        return dict(found)

    def table(self, sql: str) -> pa.Table:
        """The rows of a query with a small result."""
        return self._run(lambda: self._connection.sql(sql).to_arrow_table())

    def batches(self, sql: str) -> Iterator[pa.RecordBatch]:
        """The rows of a query, batch by batch."""
        yield from self._run(lambda: self._connection.sql(sql).to_arrow_reader(_BATCH))

    def insert(self, name: str, rows: pa.Table) -> None:
        """Add rows to a table; columns are matched by name, and cast."""
        self._connection.register("incoming", rows)
        self._connection.execute(f"INSERT INTO {quote(name)} BY NAME FROM incoming")
        self._connection.unregister("incoming")

    def redshift(self, select: str, ordered: Collection[str] = ()) -> str:
        """The module's own SQL, as this database reads it; see `translation.duckdb`."""
        return translation.duckdb(select, ordered)

    def _run(self, query: Callable[[], Any]) -> Any:  # noqa: ANN401 - results have no one type
        with ThreadPoolExecutor(1) as pool:
            running = pool.submit(query)
            try:
                while True:
                    try:
                        return running.result(_TICK)
                    except TimeoutError:
                        if running.done():
                            raise
                        self._progress(max(0.0, self._connection.query_progress() / 100))
            except KeyboardInterrupt:
                self._connection.interrupt()
                raise


@dataclass(frozen=True)
class Plain:
    """A column whose texts SQL can convert: the type, and SQL of the value, which is NULL for any
    text that is not written so.
    """

    kind: str
    expression: str


def quote(name: str) -> str:
    """A name as an identifier."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A text literal."""
    return "'" + value.replace("'", "''") + "'"
