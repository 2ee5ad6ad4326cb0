"""A warehouse of few rows behind the Redshift Data API: it answers the query check, and unloads."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import chain
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.simulation.cloud import Bucket, refused

DIMENSIONS = ("platform", "market")
MEASURES = ("revenue", "views")
LEVELS = ((), (0,), (1,), (0, 1))
RUNNING = ("SUBMITTED", "PICKED", "STARTED")
_BOUND = r"interval_start {} TIMESTAMP ''([^']+)''"
_REMEMBERED = timedelta(hours=8)


@dataclass(frozen=True)
class Row:
    """Rows of the table with the same time and values, and when the warehouse holds them."""

    at: datetime
    values: tuple[str, str]
    revenue: float
    views: int
    since: datetime
    until: datetime | None = None


@dataclass
class Rows:
    """The table, by interval."""

    by_interval: Mapping[datetime, Sequence[Row]]
    cache: dict[tuple[datetime, tuple[bool, ...]], list[tuple[Any, ...]]] = field(
        default_factory=dict
    )

    def aggregated(self, begin: datetime, end: datetime, now: datetime) -> list[tuple[Any, ...]]:
        """What UNLOAD's SELECT gives of `[begin, end)` as the table is now."""
        found = [
            self._interval(at, rows, now)
            for at, rows in self.by_interval.items()
            if begin <= at < end
        ]
        return list(chain.from_iterable(found))

    def _interval(self, at: datetime, rows: Sequence[Row], now: datetime) -> list[tuple[Any, ...]]:
        seen = tuple(row.since <= now and (row.until is None or now < row.until) for row in rows)
        if (at, seen) not in self.cache:
            sums: dict[tuple[str, ...], list[float]] = {}
            for row in (row for row, there in zip(rows, seen, strict=True) if there):
                for level in LEVELS:
                    names = tuple(
                        row.values[place] if place in level else "*"
                        for place in range(len(DIMENSIONS))
                    )
                    entry = sums.setdefault(names, [0.0, 0])
                    entry[0] += row.revenue
                    entry[1] += row.views
            self.cache[at, seen] = [
                (at, *names, revenue, int(views), float(views), int(views), int(views))
                for names, (revenue, views) in sums.items()
            ]
        return self.cache[at, seen]


_SCHEMA = pa.schema(
    [
        ("interval_start", pa.timestamp("us")),
        ("dimension_0", pa.string()),
        ("dimension_1", pa.string()),
        ("measure_0_value", pa.float64()),
        ("measure_0_count", pa.int64()),
        ("measure_1_value", pa.float64()),
        ("measure_1_count", pa.int64()),
        ("row_count", pa.int64()),
    ]
)


@dataclass
class Submitted:
    """A statement."""

    id: str
    name: str
    sql: str
    begun: datetime
    status: str = "SUBMITTED"
    error: str = ""
    rows: int = -1
    result: dict[str, Any] = field(default_factory=dict)


@dataclass
class Warehouse:
    """The Data API.

    Attributes
    ----------
    trouble : the texts with which the next statements fail, by the number of the statement.
    slow : how long a statement takes, in seconds, by its number; else a few seconds.
    stray : statements that leave a file that their manifest does not list.
    until : from when on statements are untroubled.
    """

    rows: Rows
    bucket: Bucket
    clock: Callable[[], datetime]
    after: Callable[[float, Callable[[], None]], None]
    random: Random
    statements: dict[str, Submitted] = field(default_factory=dict)
    tokens: dict[str, str] = field(default_factory=dict)
    trouble: dict[int, str] = field(default_factory=dict)
    slow: dict[int, float] = field(default_factory=dict)
    stray: set[int] = field(default_factory=set)
    until: datetime | None = None

    def execute_statement(
        self,
        *,
        Sql: str,  # noqa: N803
        ClientToken: str,  # noqa: N803
        StatementName: str,  # noqa: N803
        **_: Any,
    ) -> dict[str, Any]:
        known = self.statements.get(self.tokens.get(ClientToken, ""))
        if known is not None and self.clock() - known.begun < _REMEMBERED:
            return {"Id": known.id}
        number = len(self.statements) + 1
        made = Submitted(f"statement-{number}", StatementName, Sql, self.clock())
        self.statements[made.id] = made
        self.tokens[ClientToken] = made.id
        begins = self.random.uniform(0.1, 2)
        takes, trouble = self.random.uniform(0.5, 4), ""
        if self.until is None or self.clock() < self.until:
            takes, trouble = self.slow.get(number, takes), self.trouble.get(number, "")
        self.after(begins, lambda: self._start(made))
        self.after(begins + takes, lambda: self._finish(made, trouble))
        return {"Id": made.id}

    def describe_statement(self, *, Id: str) -> dict[str, Any]:  # noqa: N803
        found = self._of(Id, "DescribeStatement")
        return {
            "Id": Id,
            "Status": found.status,
            "Error": found.error,
            "ResultRows": found.rows,
            "Duration": 1_500_000_000,
            "RedshiftQueryId": int(Id.rpartition("-")[2]),
            "QueryString": found.sql,
        }

    def get_statement_result(self, *, Id: str) -> dict[str, Any]:  # noqa: N803
        return self._of(Id, "GetStatementResult").result

    def list_statements(self, *, Status: str, StatementName: str, **_: Any) -> dict[str, Any]:  # noqa: N803
        return {
            "Statements": [
                {"Id": one.id, "StatementName": one.name, "Status": one.status}
                for one in self.statements.values()
                if one.status == Status and one.name.startswith(StatementName)
            ]
        }

    def cancel_statement(self, *, Id: str) -> dict[str, Any]:  # noqa: N803
        found = self._of(Id, "CancelStatement")
        if found.status != "STARTED":
            raise refused("ValidationException", "CancelStatement", "Could not cancel a query.")
        found.status, found.error = "ABORTED", "Query cancelled on user's request"
        return {"Status": True}

    def _of(self, name: str, operation: str) -> Submitted:
        if name not in self.statements:
            raise refused("ResourceNotFoundException", operation)
        return self.statements[name]

    def _start(self, statement: Submitted) -> None:
        if statement.status == "SUBMITTED":
            statement.status = "STARTED"

    def _finish(self, statement: Submitted, trouble: str) -> None:
        if statement.status not in RUNNING:
            return
        sql = statement.sql
        if sql.startswith("UNLOAD"):
            trouble = self._unload(statement, trouble)
        elif not trouble:
            columns = "WHERE 1 = 0" in sql
            statement.result = _columns() if columns else self._counts(sql)
            statement.rows = len(statement.result["Records"])
        statement.status = "FAILED" if trouble else "FINISHED"
        statement.error = trouble

    def _unload(self, statement: Submitted, trouble: str) -> str:
        """Write the files, and the manifest unless there is trouble; an error, if there is one."""
        begin, end = (_bound(statement.sql, sign) for sign in (">=", "<"))
        found = re.search(r"\nTO 's3://[^/]+/([^']+)'", statement.sql)
        assert found is not None
        prefix = found[1]
        if any(key.startswith(prefix) for key in self.bucket.objects):
            return "Specified unload destination on S3 is not empty."
        rows = self.rows.aggregated(begin, end, self.clock())
        if not rows:
            return trouble
        columns = [list(column) for column in zip(*rows, strict=True)]
        columns[0] = [at.replace(tzinfo=None) for at in columns[0]]
        sink = io.BytesIO()
        pq.write_table(pa.table(columns, schema=_SCHEMA), sink, compression="none")
        key = f"{prefix}shard=0/0000_part_00.parquet"
        self.bucket.write(key, sink.getvalue())
        if int(statement.id.rpartition("-")[2]) in self.stray:
            self.bucket.write(key.replace("/0000", "/0001"), sink.getvalue())
        if trouble:
            return trouble
        statement.rows = len(rows)
        meta = {"content_length": len(sink.getvalue()), "record_count": len(rows)}
        manifest = {
            "entries": [{"url": f"s3://shop-bucket/{key}", "meta": meta}],
            "schema": {"elements": []},
            "meta": meta,
        }
        self.bucket.write(f"{prefix}manifest", json.dumps(manifest).encode())
        return ""

    def _counts(self, sql: str) -> dict[str, Any]:
        begin, end = (
            _time(found)
            for found in re.findall(r"event_time (?:>=|<) TIMESTAMP '([^']+)'", sql)[:2]
        )
        rows = self.rows.aggregated(begin, end, self.clock())
        names = (
            *("slices_of", "slices", "text_bytes", "rows_inside", "rows_returned"),
            *("earliest", "latest", "session_seconds", "zone_seconds"),
        )
        records = []
        for level in LEVELS:
            marks = "".join("1" if place in level else "0" for place in range(len(DIMENSIONS)))
            of_level = [
                row
                for row in rows
                if all((row[1 + place] != "*") == (mark == "1") for place, mark in enumerate(marks))
            ]
            slices = {row[1:3] for row in of_level}
            count = sum(row[-1] for row in of_level)
            values = (len(slices), sum(len("".join(one)) for one in slices), count, count)
            edges = [f"{at:%Y-%m-%d %H:%M:%S}" for at in (begin, end)]
            records.append(
                [
                    {"stringValue": f"d{marks}"},
                    *({"longValue": value} for value in values),
                    *({"stringValue": edge} for edge in edges),
                    {"longValue": 0},
                    {"longValue": 0},
                ]
            )
        return {
            "ColumnMetadata": [{"name": name, "typeName": "int8"} for name in names],
            "Records": records,
        }


def _columns() -> dict[str, Any]:
    kinds = {"ts": "timestamp"} | dict.fromkeys(DIMENSIONS, "varchar")
    kinds |= dict.fromkeys(MEASURES, "float8")
    return {
        "ColumnMetadata": [{"name": name, "typeName": kind} for name, kind in kinds.items()],
        "Records": [],
    }


def _bound(sql: str, sign: str) -> datetime:
    found = re.search(_BOUND.format(sign), sql)
    assert found is not None, sql
    return _time(found[1])


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
