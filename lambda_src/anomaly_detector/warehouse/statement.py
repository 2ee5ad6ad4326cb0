"""A statement's state and result, as values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

Status: TypeAlias = Literal["SUBMITTED", "PICKED", "STARTED", "FINISHED", "FAILED", "ABORTED"]
# In the order of a statement's life.
RUNNING: Final[tuple[Status, ...]] = ("SUBMITTED", "PICKED", "STARTED")
Value: TypeAlias = str | int | float | bool | bytes | None


@dataclass(frozen=True)
class Statement:
    """A statement's state.

    Attributes
    ----------
    status : as named by the Data API.
    error : error text if the statement failed, else None.
    rows : rows of the result, or rows that an UNLOAD wrote; None if unknown.
    duration_seconds : run time in the warehouse.
    query_id : ID of the query in the warehouse's system tables.
    sql : the text that was sent.
    """

    id: str
    status: Status
    error: str | None
    rows: int | None
    duration_seconds: float
    query_id: int
    sql: str = field(default="", repr=False)

    @property
    def running(self) -> bool:
        """Whether the statement has not ended."""
        return self.status in RUNNING


@dataclass(frozen=True)
class Column:
    """A column of a result and its type in Redshift's spelling (`int4`, `timestamptz`, …);
    precision and scale for `numeric`.
    """

    name: str
    type_name: str
    precision: int = 0
    scale: int = 0


@dataclass(frozen=True)
class Result:
    """All rows of a result, in order."""

    columns: tuple[Column, ...]
    records: tuple[tuple[Value, ...], ...]

    def rows(self) -> tuple[dict[str, Value], ...]:
        """The records by column name."""
        names = [column.name for column in self.columns]
        return tuple(dict(zip(names, record, strict=True)) for record in self.records)
