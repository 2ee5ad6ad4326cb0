"""Run a COPY: the role, the objects, the rows."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

import duckdb
from botocore.exceptions import ClientError

from local.cloud.faults import FaultPlan
from local.cloud.redshift import copy_sql, dialect
from local.cloud.redshift.copy_sql import Copy
from local.cloud.redshift.engine import Session, as_redshift
from local.cloud.redshift.errors import RedshiftError
from local.cloud.redshift.unload import assume, objects_as, s3_error
from local.cloud.redshift.warehouses import Warehouse


def run(
    sql: str,
    *,
    session: Session,
    warehouse: Warehouse,
    user: str,
    endpoint: str,
    plan: FaultPlan,
) -> int:
    """Run a COPY and return the rows loaded: all of its objects, or none."""
    copy = copy_sql.parse(sql)
    columns = _columns(copy, session)
    who, _ = assume(copy.roles, warehouse, user, plan)
    s3 = objects_as(who, copy.region or warehouse.region, endpoint)
    try:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=copy.bucket, Prefix=copy.prefix)
        keys = [each["Key"] for page in pages for each in page.get("Contents", [])]
        if not keys:
            raise RedshiftError(f"The specified S3 prefix '{copy.prefix}' does not exist")
        with tempfile.TemporaryDirectory() as folder:
            files = []
            for number, key in enumerate(sorted(keys)):
                body = s3.get_object(Bucket=copy.bucket, Key=key)["Body"].read()
                files.append(Path(folder) / f"part-{number}")
                files[-1].write_bytes(gzip.decompress(body) if copy.gzip else body)
            return _load(copy, columns, files, session)
    except ClientError as error:
        raise s3_error(error) from error


def _columns(copy: Copy, session: Session) -> dict[str, str]:
    """Names and types of the columns that are loaded."""
    schema, _, table = copy.table.rpartition(".")
    try:
        found = session.cursor.execute(
            "SELECT column_name, data_type, column_default FROM information_schema.columns "
            "WHERE table_name = ? AND table_schema = ? ORDER BY ordinal_position",
            [table, schema or "public"],
        ).fetchall()
    except duckdb.Error as error:
        raise as_redshift(error) from error
    if not found:
        raise RedshiftError(f"Cannot COPY into nonexistent table {table}")
    types = {name: kind for name, kind, _ in found}
    identities = {name for name, _, default in found if "nextval" in str(default)}
    for name in copy.columns:
        if name not in types:
            raise RedshiftError(f'column "{name}" of relation "{table}" does not exist')
        if name in identities:
            raise RedshiftError(f'cannot set an identity column "{name}" without EXPLICIT_IDS')
    names = copy.columns or tuple(name for name in types if name not in identities)
    return {name: types[name] for name in names}


def _load(copy: Copy, columns: dict[str, str], files: list[Path], session: Session) -> int:
    table = ".".join(dialect.quote(part) for part in copy.table.split("."))
    names = ", ".join(map(dialect.quote, columns))
    listed = ", ".join(f"'{file}'" for file in files)
    if copy.format == "PARQUET":
        select = f"SELECT {names} FROM read_parquet([{listed}])"
    else:
        fields = ", ".join(f"'{name}': 'VARCHAR'" for name in columns)
        source = (
            f"read_csv([{listed}], header = false, skip = {copy.header}, auto_detect = false, "
            f"delim = '{copy.delimiter}', quote = '\"', escape = '\"', nullstr = '', "
            f"allow_quoted_nulls = false, columns = {{{fields}}})"
        )
        select = (
            f"SELECT {', '.join(_value(copy, *each) for each in columns.items())} FROM {source}"
        )
    try:
        found = session.cursor.execute(f"INSERT INTO {table} ({names}) {select}").fetchone()
    except duckdb.Error as error:
        raise RedshiftError(
            f"Load into table '{copy.table}' failed. Check 'sys_load_error_detail' system table "
            f"for details. ({str(error).splitlines()[0]})"
        ) from error
    return int(found[0]) if found else 0


def _value(copy: Copy, name: str, kind: str) -> str:
    column = dialect.quote(name)
    if kind == "VARCHAR":
        return column if copy.empty_as_null else f"coalesce({column}, '')"
    return f"CAST({column} AS {kind})"
