"""Reads the columns of a CSV or Parquet file; every fault is one sentence that says where it is."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from anomaly_detector.errors import PermanentError
from anomaly_detector.warehouse.sql import folded

_DELIMITERS: Final = (",", ";", "\t", "|")
_KINDS: Final = {".csv": "csv", ".csv.gz": "csv", ".parquet": "parquet"}
_BLOCK_BYTES: Final = 1 << 24


@dataclass(frozen=True)
class Source:
    """A file whose columns are known and whose rows are not read yet.

    Attributes
    ----------
    types : Arrow type of each column; text for all columns of a CSV file.
    """

    path: Path
    kind: str
    types: dict[str, pa.DataType]
    delimiter: str = ","

    @classmethod
    def open(cls, path: Path) -> Source:
        """Read names and types of the columns.

        Raises
        ------
        PermanentError
            Where there is no such file, or it is neither CSV nor Parquet, or has no header.
        """
        kind = next((kind for end, kind in _KINDS.items() if path.name.lower().endswith(end)), None)
        if kind is None:
            raise PermanentError(
                f"{path} ends in none of {', '.join(_KINDS)}: the rows come as CSV with a header, "
                "plain or gzipped, or as Parquet."
            )
        try:
            if kind == "parquet":
                schema = pq.read_schema(path)
                return cls._with(path, kind, {}, list(zip(schema.names, schema.types, strict=True)))
            line = _first_line(path)
        except FileNotFoundError:
            raise PermanentError(f"{path} does not exist.") from None
        except (OSError, EOFError, UnicodeDecodeError, pa.ArrowInvalid) as error:
            raise PermanentError(_unreadable(path, kind, error)) from None
        if not line.strip():
            raise PermanentError(f"{path} is empty: not even a header is in it.")
        delimiter = max(_DELIMITERS, key=line.count)
        names = _read_csv(path, delimiter, line).column_names
        return cls._with(
            path, kind, {"delimiter": delimiter}, [(name, pa.string()) for name in names]
        )

    @classmethod
    def _with(
        cls, path: Path, kind: str, options: dict[str, str], columns: list[tuple[str, pa.DataType]]
    ) -> Source:
        names = [name for name, _ in columns]
        doubled = next((name for name in names if names.count(name) > 1), None)
        if doubled is not None:
            raise PermanentError(f"{path} has the column '{doubled}' more than once.")
        return cls(path, kind, dict(columns), **options)

    def name_of(self, column: str) -> str:
        """The column's name in the file; without one of just this spelling, case does not count.

        Raises
        ------
        PermanentError
            Listing the columns that there are.
        """
        if column in self.types:
            return column
        alike = [name for name in self.types if folded(name) == folded(column)]
        if len(alike) == 1:
            return alike[0]
        shown = ", ".join(self.types)
        if alike:
            raise PermanentError(
                f"{self.path} has no column '{column}', and several that differ from it only by "
                f"case: {', '.join(alike)}."
            )
        raise PermanentError(f"{self.path} has no column '{column}'; its columns are: {shown}.")

    def read(self, columns: Sequence[str]) -> pa.Table:
        """Some columns, as they stand in the file.

        In CSV an empty field is NULL; a quoted empty one ("") is an empty text.

        Raises
        ------
        PermanentError
            Where the file breaks off, is not UTF-8, or a line has another number of fields.
        """
        names = list(dict.fromkeys(columns))
        try:
            if self.kind == "parquet":
                return pq.read_table(
                    self.path, columns=names, coerce_int96_timestamp_unit="us", partitioning=None
                )
            with pa.input_stream(self.path, compression=_compression(self.path)) as stream:
                return _csv(stream, self.delimiter, names, _BLOCK_BYTES)
        except (OSError, EOFError, pa.ArrowInvalid) as error:
            raise PermanentError(_unreadable(self.path, self.kind, error)) from None


def _first_line(path: Path) -> str:
    opened: Any = gzip.open if _compression(path) else open
    with opened(path, "rt", encoding="utf-8-sig", newline="") as file:
        # A quoted name may hold a line break.
        lines = list(itertools.islice(file, 1))
    return str(lines[0]) if lines else ""


def _read_csv(path: Path, delimiter: str, line: str) -> pa.Table:
    try:
        return _csv(pa.BufferReader(line.encode()), delimiter, None, None)
    except pa.ArrowInvalid as error:
        raise PermanentError(_unreadable(path, "csv", error)) from None


def _csv(
    stream: object, delimiter: str, names: Sequence[str] | None, block: int | None
) -> pa.Table:
    return pa_csv.read_csv(
        stream,
        read_options=pa_csv.ReadOptions(block_size=block),
        parse_options=pa_csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        convert_options=pa_csv.ConvertOptions(
            # Read as text: what a value means is decided, and complained of, in one place.
            column_types={name: pa.string() for name in names or ()},
            include_columns=names,
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            null_values=[""],
        ),
    )


def _compression(path: Path) -> str | None:
    return "gzip" if path.name.lower().endswith(".gz") else None


def _unreadable(path: Path, kind: str, error: Exception) -> str:
    name = {"csv": "CSV (UTF-8)", "parquet": "Parquet"}[kind]
    said = " ".join(str(error).split()).rstrip(".")
    return f"{path} cannot be read as {name}: {said or type(error).__name__}."
