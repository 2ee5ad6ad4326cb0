"""Reading and writing of Parquet files, with all options of the format."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:  # the command line must not import the AWS libraries
    from anomaly_detector.lake.store import ObjectStore

CONTENT_TYPE = "application/vnd.apache.parquet"


def write(table: pa.Table) -> bytes:
    """A Parquet file that Athena, Redshift Spectrum, pandas and DuckDB read alike.

    Texts and times have dictionaries and statistics, by which rows are found; for measured numbers,
    which hardly come twice, they would take as much time again.
    """
    sink = io.BytesIO()
    named = [field.name for field in table.schema if not pa.types.is_floating(field.type)]
    pq.write_table(
        table,
        sink,
        compression="snappy",
        use_dictionary=named,
        write_statistics=named,
        use_deprecated_int96_timestamps=False,
    )
    return sink.getvalue()


def read(body: bytes) -> pa.Table:
    """A Parquet file as a table; INT96 timestamps are read as microseconds, as nanoseconds end in
    2262.
    """
    return pq.read_table(pa.BufferReader(body), coerce_int96_timestamp_unit="us")


def joined(store: ObjectStore, keys: Sequence[str]) -> pa.Table:
    """Parquet objects with the same columns, concatenated."""
    return pa.concat_tables(store.read_all(keys, read))
