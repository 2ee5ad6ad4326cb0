"""Run an UNLOAD: the role, the destination, the files, the manifest."""

# ruff: noqa: ANN401 - boto3 has no types

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import boto3
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from botocore.config import Config
from botocore.exceptions import ClientError

from local.cloud import identity
from local.cloud.faults import FaultPlan
from local.cloud.redshift import dialect, unload_sql
from local.cloud.redshift.engine import Session
from local.cloud.redshift.errors import RedshiftError
from local.cloud.redshift.types import column_type, text_of
from local.cloud.redshift.unload_sql import Unload
from local.cloud.redshift.warehouses import Warehouse

_SLICES = 2
_NULL_PARTITION = "__HIVE_DEFAULT_PARTITION__"
# Characters that Hive's layout writes as %XX in a partition's folder.
_ESCAPED = set("\"#%'*/:=?\\\x7f{[]^") | {chr(code) for code in range(1, 32)}
TimestampEncoding = Literal["int64", "int96"]
_NOT_EMPTY = (
    "Specified unload destination on S3 is not empty. Consider using a different bucket / prefix, "
    "manually removing the target files in S3, or using the ALLOWOVERWRITE option."
)


@dataclass(frozen=True)
class File:
    """A file to be written: its key below the prefix, its bytes and its rows."""

    name: str
    content: bytes
    rows: int


def run(
    sql: str,
    *,
    session: Session,
    warehouse: Warehouse,
    user: str,
    endpoint: str,
    plan: FaultPlan,
    timestamps: TimestampEncoding = "int64",
    stop_after_files: int | None = None,
) -> int:
    """Run an UNLOAD and return the rows unloaded.

    Parameters
    ----------
    stop_after_files
        Write so many data files and no manifest, as an UNLOAD that fails on its way does.
    """
    unload = unload_sql.parse(sql)
    # Redshift plans the query before it looks at the destination.
    query = dialect.translate(unload.select)
    who, role = assume(unload.roles, warehouse, user, plan)
    s3 = objects_as(who, unload.region or warehouse.region, endpoint)
    try:
        _prepare_destination(s3, unload)
        key = _encryption_key(unload, warehouse, role, who, endpoint)
        table = session.run(query)
        assert table is not None
        table = _pad(table, session.database.char_columns(query.tables))
        _check_columns(unload, table)
        return _write(s3, unload, table, key, timestamps, stop_after_files)
    except ClientError as error:
        raise s3_error(error) from error


def objects_as(who: identity.Credentials, region: str, endpoint: str) -> Any:
    """A client of S3 with the credentials that `assume` returned."""
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id=who.access_key,
        aws_secret_access_key=who.secret_key,
        aws_session_token=who.token,
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 2}),
    )


def assume(
    roles: tuple[str, ...], warehouse: Warehouse, user: str, plan: FaultPlan
) -> tuple[identity.Credentials, str]:
    """Return the credentials of the last role of the chain, each link checked, and its ARN."""
    if roles == ("default",):
        if not warehouse.default_role:
            raise RedshiftError(
                "Default IAM role is not set. Set a default IAM role for the cluster and try again."
            )
        roles = (warehouse.default_role,)
    first, *others = roles
    if warehouse.role_states().get(first) != "in-sync":
        raise RedshiftError(f"The requested role {first} is not associated to cluster")
    refusal = RedshiftError(
        f"User {warehouse.user_arn(user)} is not authorized to assume IAM Role {','.join(roles)}"
    )
    with identity.account_scope(warehouse.account, warehouse.region):
        for arn in roles:
            created = identity.role_created(identity.role_name(arn), warehouse.account)
            if identity.find_role(arn) is None or plan.refuses_role(
                identity.role_name(arn),
                created=created or 0.0,
                attached=warehouse.attached_since(first),
                service="redshift",
            ):
                raise refusal
        services = ["redshift.amazonaws.com"]
        if warehouse.kind == "workgroup":
            services = ["redshift-serverless.amazonaws.com", "redshift.amazonaws.com"]
        context = {
            "aws:SourceArn": warehouse.source_arn,
            "aws:SourceAccount": warehouse.account,
            "sts:ExternalId": warehouse.user_arn(user),
        }
        record = identity.find_role(first)
        assert record is not None
        trust = record["AssumeRolePolicyDocument"]
        allowed = [
            service
            for service in services
            if identity.service_may_assume(trust, [service], context)
        ]
        if not allowed:
            raise refusal
        who = identity.role_session(first, "RedshiftIamRoleSession")
        for arn in others:
            record = identity.find_role(arn)
            assert record is not None
            if not identity.role_may_assume(first, who, record):
                raise refusal
            who = identity.role_session(arn, "RedshiftIamRoleSession")
            first = arn
    return who, first


def _prepare_destination(s3: Any, unload: Unload) -> None:
    found = s3.list_objects_v2(Bucket=unload.bucket, Prefix=unload.prefix, MaxKeys=1000)
    if not found.get("KeyCount"):
        return
    if unload.clean_path:
        while found.get("KeyCount"):
            for each in found["Contents"]:
                s3.delete_object(Bucket=unload.bucket, Key=each["Key"])
            found = s3.list_objects_v2(Bucket=unload.bucket, Prefix=unload.prefix)
    elif not unload.allow_overwrite:
        raise RedshiftError(_NOT_EMPTY)


def _encryption_key(
    unload: Unload, warehouse: Warehouse, role: str, who: identity.Credentials, endpoint: str
) -> str | None:
    """Return the key to encrypt with, or None for S3's own; the role must be allowed to use it."""
    if not unload.encrypted:
        return None
    key = unload.kms_key_id
    if key is None:
        bucket = f"arn:aws:s3:::{unload.bucket}"
        action = "s3:GetEncryptionConfiguration"
        if not identity.role_is_allowed(role, who, action, bucket, warehouse.region):
            raise RedshiftError(_refused(action, bucket))
        root = boto3.client("s3", endpoint_url=endpoint, region_name=warehouse.region)
        try:
            rules = root.get_bucket_encryption(Bucket=unload.bucket)
            default = rules["ServerSideEncryptionConfiguration"]["Rules"][0]
            key = default["ApplyServerSideEncryptionByDefault"].get("KMSMasterKeyID")
        except (ClientError, KeyError, IndexError):
            key = None
        if key is None:
            return None
    # An id means a key of the role's own account.
    owner = role.split(":")[4]
    arn = key if key.startswith("arn:") else f"arn:aws:kms:{warehouse.region}:{owner}:key/{key}"
    # ministack stores the key's name with the object but asks nobody.
    for action in ("kms:GenerateDataKey", "kms:Decrypt"):
        if not identity.role_is_allowed(role, who, action, arn, warehouse.region):
            raise RedshiftError(_refused(action, arn))
    return key


def _refused(action: str, arn: str) -> str:
    return (
        f"S3ServiceException:User is not authorized to perform: {action} on resource: {arn},"
        "Status 403,Error AccessDenied,CanRetry 1"
    )


def s3_error(error: ClientError) -> RedshiftError:
    """Return Redshift's text for an error of S3."""
    details = error.response.get("Error", {})
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    message = details.get("Message", "")
    if details.get("Code") == "AccessDenied":
        message = "Access Denied"
    return RedshiftError(
        f"S3ServiceException:{message},Status {status},Error {details.get('Code')},"
        "Rid 0000000000000000,CanRetry 1"
    )


def _pad(table: pa.Table, widths: dict[str, int]) -> pa.Table:
    """Fill CHAR columns with blanks up to their width, as Redshift writes them."""
    for place, name in enumerate(table.column_names):
        if name in widths and pa.types.is_string(table.column(place).type):
            padded = pc.utf8_rpad(table.column(place), widths[name])
            table = table.set_column(place, name, padded)
    return table


def _check_columns(unload: Unload, table: pa.Table) -> None:
    names = table.column_names
    missing = [name for name in unload.partition_by if name not in names]
    if missing:
        raise RedshiftError(f'Partition column "{missing[0]}" does not exist in the SELECT list')
    if unload.partition_by and not unload.include and set(unload.partition_by) >= set(names):
        raise RedshiftError("All columns cannot be partition columns; use INCLUDE")
    if unload.format == "PARQUET" and len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise RedshiftError(f'UNLOAD to PARQUET needs unique column names: "{twice}"')


def _write(
    s3: Any,
    unload: Unload,
    table: pa.Table,
    key: str | None,
    timestamps: TimestampEncoding,
    stop_after_files: int | None,
) -> int:
    # Without a key UNLOAD asks for S3's own, whatever the bucket's default is.
    options: dict[str, Any] = {"ServerSideEncryption": "AES256"}
    if key:
        options = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": key}
    entries = []
    for count, file in enumerate(_files(unload, table, timestamps)):
        if stop_after_files is not None and count >= stop_after_files:
            return 0
        name = unload.prefix + file.name
        s3.put_object(Bucket=unload.bucket, Key=name, Body=file.content, **options)
        meta = {"content_length": len(file.content)}
        if unload.verbose:
            meta["record_count"] = file.rows
        entries.append({"url": f"s3://{unload.bucket}/{name}", "meta": meta})
    if unload.manifest and stop_after_files is None:
        kept = _without_partitions(unload, table)
        document = manifest(entries, kept, verbose=unload.verbose)
        s3.put_object(
            Bucket=unload.bucket,
            Key=f"{unload.prefix}manifest",
            Body=json.dumps(document, indent=2).encode(),
            **options,
        )
    return int(table.num_rows)


def manifest(entries: list[dict[str, Any]], table: pa.Table, *, verbose: bool) -> dict[str, Any]:
    """Return the manifest of an UNLOAD; VERBOSE adds the schema, the totals and the author."""
    document: dict[str, Any] = {"entries": entries}
    if verbose:
        document["schema"] = {
            "elements": [
                {"name": field.name, "type": column_type(field.type).manifest()}
                for field in table.schema
            ]
        }
        document["meta"] = {
            "content_length": sum(each["meta"]["content_length"] for each in entries),
            "record_count": sum(each["meta"]["record_count"] for each in entries),
        }
        document["author"] = {"name": "Amazon Redshift", "version": "1.0.0"}
    return document


def _without_partitions(unload: Unload, table: pa.Table) -> pa.Table:
    if not unload.partition_by or unload.include:
        return table
    return table.drop_columns(list(unload.partition_by))


def _files(unload: Unload, table: pa.Table, timestamps: TimestampEncoding) -> Iterator[File]:
    """Yield the files in the order in which they are written."""
    if not unload.partition_by:
        yield from _slices(unload, table, "", timestamps)
        return
    for folder, rows in _partitions(unload, table):
        yield from _slices(unload, rows, folder, timestamps)


def _partitions(unload: Unload, table: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Yield each combination of partition values with its rows, its columns left out."""
    keys = list(unload.partition_by)
    numbered = table.select(keys).append_column("row", pa.array(range(table.num_rows)))
    groups = numbered.group_by(keys, use_threads=False).aggregate([("row", "list")])
    kept = _without_partitions(unload, table)
    for group in groups.to_pylist():
        folder = "".join(
            f"{name}={_folder_value(group[name], table.schema.field(name).type)}/" for name in keys
        )
        yield folder, kept.take(pa.array(group["row_list"], pa.int64()))


def _folder_value(value: Any, kind: pa.DataType) -> str:
    if value is None or value == "":
        return _NULL_PARTITION
    text = text_of(value, kind)
    return "".join(f"%{ord(each):02X}" if each in _ESCAPED else each for each in text)


def _slices(
    unload: Unload, rows: pa.Table, folder: str, timestamps: TimestampEncoding
) -> Iterator[File]:
    slices = _SLICES if unload.parallel else 1
    extension = unload.extension
    if extension is None:
        extension = ".parquet" if unload.format == "PARQUET" else ""
        extension += ".gz" if unload.compression else ""
    elif not extension.startswith("."):
        extension = f".{extension}"
    share = -(-rows.num_rows // slices) if rows.num_rows else 0
    for number in range(slices):
        part = rows.slice(number * share, share) if share else rows.slice(0, 0)
        if part.num_rows == 0 and (unload.format == "PARQUET" or folder or (number and share)):
            # Parquet leaves no empty file; text does, so that an empty result leaves traces.
            continue
        for place, piece in enumerate(_pieces(unload, part)):
            stem = f"{number:04d}_part_{place:02d}" if unload.parallel else f"{place:03d}"
            content = (
                parquet_bytes(piece, timestamps)
                if unload.format == "PARQUET"
                else text_bytes(piece, unload)
            )
            yield File(f"{folder}{stem}{extension}", content, piece.num_rows)


def _pieces(unload: Unload, part: pa.Table) -> list[pa.Table]:
    """Return a slice's rows cut so that no file is much larger than it may be."""
    limit = unload.max_bytes or int(6.2 * 2**30)
    count = max(1, -(-part.nbytes // limit))
    size = -(-part.num_rows // count) if part.num_rows else 1
    return [part.slice(start, size) for start in range(0, max(part.num_rows, 1), size)]


def parquet_bytes(rows: pa.Table, timestamps: TimestampEncoding = "int64") -> bytes:
    """Return rows as a Parquet file; timestamps as INT64 of microseconds, or as INT96."""
    out = io.BytesIO()
    plain = pa.table(
        rows.columns, schema=pa.schema([replace_field(field) for field in rows.schema])
    )
    pq.write_table(
        plain,
        out,
        compression="snappy",
        use_deprecated_int96_timestamps=timestamps == "int96",
        coerce_timestamps=None if timestamps == "int96" else "us",
        store_schema=False,
    )
    return out.getvalue()


def replace_field(field: pa.Field) -> pa.Field:
    """Return a field without DuckDB's metadata."""
    return pa.field(field.name, field.type, nullable=True)


def text_bytes(rows: pa.Table, unload: Unload) -> bytes:
    """Return rows as delimited text or CSV, as the UNLOAD's options have it."""
    types = [field.type for field in rows.schema]
    records = [
        [
            None if value is None else text_of(value, kind)
            for value, kind in zip(record, types, strict=True)
        ]
        for record in zip(*(column.to_pylist() for column in rows.columns), strict=True)
    ]
    header = [list[str | None](rows.column_names)] if unload.header else []
    if unload.format == "CSV":
        out = io.StringIO(newline="")
        writer = csv.writer(out, delimiter=unload.delimiter or ",", lineterminator="\n")
        for record in header + records:
            writer.writerow(unload.null_as if each is None else each for each in record)
        content = out.getvalue().encode()
    else:
        lines = [_delimited(record, unload) + "\n" for record in header + records]
        content = "".join(lines).encode()
    return gzip.compress(content, mtime=0) if unload.compression else content


def _delimited(record: list[str | None], unload: Unload) -> str:
    """Return one line of plain text; nothing in it is escaped unless the UNLOAD says so."""
    delimiter = unload.delimiter or "|"
    fields = []
    for value in record:
        if value is None:
            fields.append(unload.null_as)
            continue
        if unload.escape:
            for special in ("\\", delimiter, "\n", "\r", '"', "'"):
                value = value.replace(special, f"\\{special}")
        fields.append('"' + value.replace('"', '""') + '"' if unload.add_quotes else value)
    return delimiter.join(fields)
