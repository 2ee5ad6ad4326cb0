"""Redshift's types: their names on the wire and in a manifest, and values as text."""

# ruff: noqa: ANN401 - values of results may be anything

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pyarrow as pa


@dataclass(frozen=True)
class ColumnType:
    """A column's type: the Data API's name, the manifest's name, and its sizes."""

    name: str
    base: str
    precision: int = 0
    scale: int = 0
    length: int = 0
    signed: bool = False

    def manifest(self) -> dict[str, Any]:
        """Return the type as a verbose manifest has it."""
        if self.name == "numeric":
            return {"base": self.base, "precision": self.precision, "scale": self.scale}
        if self.name in ("varchar", "bpchar"):
            return {"base": self.base, "max_length": self.precision}
        return {"base": self.base}


_PLAIN: tuple[tuple[Callable[[pa.DataType], bool], ColumnType], ...] = (
    (pa.types.is_boolean, ColumnType("bool", "boolean", 1)),
    (pa.types.is_int16, ColumnType("int2", "smallint", 5, signed=True)),
    (pa.types.is_int32, ColumnType("int4", "integer", 10, signed=True)),
    (pa.types.is_int64, ColumnType("int8", "bigint", 19, signed=True)),
    (pa.types.is_float32, ColumnType("float4", "real", 8, 8, signed=True)),
    (pa.types.is_floating, ColumnType("float8", "double precision", 17, 17, signed=True)),
    (pa.types.is_date, ColumnType("date", "date", 13)),
    (pa.types.is_time, ColumnType("time", "time without time zone", 15)),
    (pa.types.is_nested, ColumnType("super", "super")),
)


def column_type(kind: pa.DataType) -> ColumnType:
    """Return Redshift's type for an Arrow type of a result."""
    if pa.types.is_decimal(kind):
        return ColumnType("numeric", "numeric", kind.precision, kind.scale, signed=True)
    if pa.types.is_timestamp(kind):
        if kind.tz:
            return ColumnType("timestamptz", "timestamp with time zone", 35, 6)
        return ColumnType("timestamp", "timestamp without time zone", 29, 6)
    for is_kind, found in _PLAIN:
        if is_kind(kind):
            return found
    return ColumnType("varchar", "character varying", 65535)


def text_of(value: Any, kind: pa.DataType) -> str:
    """Return a value as Redshift prints it."""
    if isinstance(value, bool):
        return "t" if value else "f"
    if isinstance(value, dt.datetime):
        text = value.replace(tzinfo=None).isoformat(sep=" ")
        text = text.rstrip("0") if "." in text else text
        zone = "+00" if pa.types.is_timestamp(kind) and kind.tz else ""
        return text + zone
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value)


def field_of(value: Any, kind: pa.DataType) -> dict[str, Any]:
    """Return a value as a field of ``GetStatementResult``."""
    if value is None:
        return {"isNull": True}
    if isinstance(value, bool):
        return {"booleanValue": value}
    if isinstance(value, int):
        return {"longValue": value}
    if isinstance(value, float):
        return {"doubleValue": value}
    return {"stringValue": text_of(value, kind)}
