"""What the warehouse says of a statement, as values."""

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
    status : as the Data API names it.
    error : its text where the statement failed, else None.
    rows : rows of the result, or that an UNLOAD wrote; None where unknown.
    duration_seconds : time that it ran in the warehouse.
    has_result : whether `DataApi.result` can be asked.
    query_id : the warehouse's own number of the query, for its system tables.
    sql : the text that was sent.
    """

    id: str
    status: Status
    error: str | None
    rows: int | None
    duration_seconds: float
    has_result: bool
    query_id: int
    sql: str = field(default="", repr=False)

    @property
    def running(self) -> bool:
        """Whether the end is still to come."""
        return self.status in RUNNING


@dataclass(frozen=True)
class Column:
    """A result's column and its type as Redshift calls it (`int4`, `timestamptz`, …); precision and
    scale of a `numeric`.
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
