"""The Redshift Data API (``redshift-data``)."""

# ruff: noqa: SLF001, ANN401 - ministack has no public names for these; JSON may be anything

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Mapping
from typing import Any

from ministack.services import eventbridge, secretsmanager

from local.cloud.errors import AwsError
from local.cloud.identity import Caller, account_scope, authorize
from local.cloud.redshift import dialect
from local.cloud.redshift.errors import RedshiftError
from local.cloud.redshift.statements import (
    RESULT_SECONDS,
    Statement,
    Statements,
    SubStatement,
    new_id,
)
from local.cloud.redshift.types import column_type, field_of
from local.cloud.redshift.warehouses import Warehouse, Warehouses

logger = logging.getLogger(__name__)
# The documentation says 100 KB and not which; the smaller is refused in any case.
MAX_SQL_BYTES = 100_000
MAX_BATCH = 40
PAGE_ROWS = 1000
PAGE_STATEMENTS = 100
_OWNER_KEY = "redshift-data:statement-owner-iam-userid"


def call(
    warehouses: Warehouses,
    statements: Statements,
    caller: Caller,
    operation: str,
    given: Mapping[str, Any],
) -> dict[str, Any]:
    """Answer one call."""
    if operation in ("ExecuteStatement", "BatchExecuteStatement"):
        return _execute(warehouses, statements, caller, operation, given)
    if operation == "ListStatements":
        # Likely: the statements of a whole role have no one owner that a condition could name.
        of_session = given.get("RoleLevel") is False
        owner = caller.user_id if of_session else caller.user_id.partition(":")[0]
        authorize(caller, "redshift-data:ListStatements", "*", {_OWNER_KEY: owner})
        return _list(statements, caller, given)
    if operation in ("DescribeStatement", "CancelStatement", "GetStatementResult"):
        identifier = str(given.get("Id", ""))
        owner = _owner(statements, identifier)
        # Of a statement that is not there the owner is nobody; the policy is asked all the same.
        authorize(caller, f"redshift-data:{operation}", "*", {_OWNER_KEY: owner})
        statement = statements.find(identifier)
        if operation == "DescribeStatement":
            return _describe(statement, identifier)
        if operation == "CancelStatement":
            statements.cancel(statement)
            return {"Status": True}
        return _result(statement, identifier, str(given.get("NextToken", "")))
    authorize(caller, f"redshift-data:{operation}")
    raise AwsError("ValidationException", f"{operation} is not in the local stand-in")


def _owner(statements: Statements, identifier: str) -> str:
    try:
        return statements.find(identifier).owner
    except AwsError:
        return ""


def _execute(
    warehouses: Warehouses,
    statements: Statements,
    caller: Caller,
    operation: str,
    given: Mapping[str, Any],
) -> dict[str, Any]:
    cluster, workgroup = given.get("ClusterIdentifier"), given.get("WorkgroupName")
    if bool(cluster) == bool(workgroup):
        raise AwsError(
            "ValidationException",
            "Exactly one of ClusterIdentifier and WorkgroupName must be specified.",
        )
    warehouse = (
        warehouses.find("cluster", str(cluster), caller)
        if cluster
        else warehouses.find("workgroup", str(workgroup), caller)
    )
    authorize(caller, f"redshift-data:{operation}", _resource(caller, cluster, warehouse))
    if warehouse is None or warehouse.status_now() == "deleting":
        raise AwsError("ValidationException", "Redshift endpoint doesn't exist in this region.")
    database = str(given.get("Database") or "")
    if not database:
        raise AwsError("ValidationException", "Database must be specified.")
    token = given.get("ClientToken")
    if token is not None and not 1 <= len(str(token)) <= 64:
        raise AwsError("ValidationException", "ClientToken must have 1 to 64 characters.")
    parts = _parts(operation, given)
    user, login_error = _log_in(warehouse, caller, database, given)
    if warehouse.status_now() == "paused":
        raise AwsError(
            "ValidationException",
            f"Cluster {warehouse.identifier} is paused. Resume it and try again.",
        )
    statement = Statement(
        id=parts[0].id.partition(":")[0],
        warehouse=warehouse,
        database=database,
        user=user,
        owner=caller.user_id,
        parts=parts,
        batch=operation == "BatchExecuteStatement",
        secret_arn=str(given.get("SecretArn") or ""),
        db_user=str(given.get("DbUser") or ""),
        name=str(given.get("StatementName") or ""),
        login_error=login_error,
        with_event=bool(given.get("WithEvent")),
    )
    kept = statements.submit(statement, str(token) if token else None)
    answer = {"Id": kept.id, "CreatedAt": kept.created, "Database": kept.database}
    answer["ClusterIdentifier" if cluster else "WorkgroupName"] = warehouse.identifier
    if kept.secret_arn:
        answer["SecretArn"] = kept.secret_arn
    elif kept.db_user:
        answer["DbUser"] = kept.db_user
    return answer


def _resource(caller: Caller, cluster: Any, found: Warehouse | None) -> str:
    if found is not None:
        return found.arn
    if cluster:
        return f"arn:aws:redshift:{caller.region}:{caller.account}:cluster:{cluster}"
    return f"arn:aws:redshift-serverless:{caller.region}:{caller.account}:workgroup/*"


def _parts(operation: str, given: Mapping[str, Any]) -> list[SubStatement]:
    batch = operation == "BatchExecuteStatement"
    texts = [str(each) for each in (given.get("Sqls") or [])] if batch else [given.get("Sql")]
    if not texts or len(texts) > MAX_BATCH or not all(texts):
        raise AwsError(
            "ValidationException",
            f"Sqls must hold 1 to {MAX_BATCH} statements." if batch else "Sql must be specified.",
        )
    parameters: dict[str, str] = {}
    for each in given.get("Parameters") or []:
        name, value = each.get("name"), each.get("value")
        if not name or not value:
            raise AwsError("ValidationException", "A parameter's value cannot be null or empty.")
        parameters[name] = value
    whole = new_id()
    parts = []
    used: set[str] = set()
    for number, text in enumerate(texts, 1):
        sql = str(text)
        if len(sql.encode()) > MAX_SQL_BYTES:
            raise AwsError("ValidationException", "Query string is too long: at most 100 KB.")
        try:
            several = len(dialect.split(sql)) > 1
            names = dialect.placeholders(sql)
        except RedshiftError:
            # A text that cannot be read fails when it runs, not when it is sent.
            several, names = False, set()
        if several:
            raise AwsError(
                "ValidationException", "Multiple statements are not allowed: send one at a time."
            )
        if missing := names - set(parameters):
            raise AwsError(
                "ValidationException", f"Undefined parameters in the sql: {sorted(missing)}"
            )
        used |= names
        identifier = f"{whole}:{number}" if batch else whole
        parts.append(SubStatement(id=identifier, sql=sql, parameters=parameters))
    if unused := set(parameters) - used:
        raise AwsError(
            "ValidationException",
            f"Parameters list contains unused parameters. Unused parameters: {sorted(unused)}",
        )
    return parts


def _log_in(
    warehouse: Warehouse, caller: Caller, database: str, given: Mapping[str, Any]
) -> tuple[str, str]:
    """Return the database user, and the error with which the warehouse will refuse it, if any."""
    secret_arn, user = given.get("SecretArn"), given.get("DbUser")
    if secret_arn and user:
        raise AwsError("ValidationException", "SecretArn and DbUser cannot be used together.")
    if secret_arn:
        return _secret_user(warehouse, caller, str(secret_arn))
    if warehouse.kind == "workgroup":
        if user:
            raise AwsError("ValidationException", "DbUser is not supported for workgroups.")
        authorize(caller, "redshift-serverless:GetCredentials", warehouse.arn)
        return _iam_user(caller), ""
    if user:
        action = "redshift:GetClusterCredentials"
        authorize(caller, action, warehouse.user_arn(str(user)))
        authorize(caller, action, warehouse.database_arn(database))
        return str(user), ""
    authorize(caller, "redshift:GetClusterCredentialsWithIAM", warehouse.database_arn(database))
    return _iam_user(caller), ""


def _iam_user(caller: Caller) -> str:
    """Return the database user of an IAM identity: ``IAMR:role``, or ``IAM:user``."""
    parts = caller.arn.split(":", 5)[-1].split("/")
    return f"IAMR:{parts[1]}" if parts[0] == "assumed-role" else f"IAM:{parts[-1]}"


def _secret_user(warehouse: Warehouse, caller: Caller, secret_arn: str) -> tuple[str, str]:
    with account_scope(caller.account, caller.region):
        _, record = secretsmanager._resolve(secret_arn, use_arn_scope=True)
    arn = record["ARN"] if record else secret_arn
    authorize(caller, "secretsmanager:GetSecretValue", arn)
    with account_scope(caller.account, caller.region):
        text = secretsmanager.resolve_secret_string(secret_arn)
    if record is None or text is None:
        raise AwsError("ValidationException", "Secrets Manager can't find the specified secret.")
    key = str(record.get("KmsKeyId") or "")
    if key and "alias/aws/secretsmanager" not in key:
        resource = (
            key
            if key.startswith("arn:")
            else f"arn:aws:kms:{caller.region}:{caller.account}:key/{key}"
        )
        authorize(caller, "kms:Decrypt", resource)
    try:
        login = json.loads(text)
        user, password = str(login["username"]), str(login["password"])
    except (ValueError, KeyError, TypeError):
        raise AwsError(
            "ValidationException", "The secret must be JSON with the keys username and password."
        ) from None
    if (user, password) != (warehouse.user, warehouse.password):
        return user, f'FATAL: password authentication failed for user "{user}"'
    return user, ""


def _describe(statement: Statement, identifier: str) -> dict[str, Any]:
    part = statement.part(identifier)
    if part is not None and statement.batch:
        return {**_part(part), **_where(statement)}
    only = statement.parts[0]
    started = min((each.started for each in statement.parts if each.started), default=0.0)
    ended = max((each.ended for each in statement.parts), default=0.0)
    last = statement.parts[-1]
    answer = {
        "Id": statement.id,
        "Status": statement.status,
        "CreatedAt": statement.created,
        "UpdatedAt": statement.updated,
        "Duration": int(max(0.0, ended - started) * 1e9) if started and ended else -1,
        "HasResultSet": any(each.result is not None for each in statement.parts),
        "ResultRows": last.rows if statement.status == "FINISHED" else -1,
        "ResultSize": last.result.nbytes if last.result is not None else -1,
        "RedshiftPid": 1073750016 if started else 0,
        "RedshiftQueryId": only.query_id or 0,
        "ResultFormat": "json",
        **_where(statement),
    }
    if statement.batch:
        answer["SubStatements"] = [_part(each) for each in statement.parts]
    else:
        answer["QueryString"] = only.sql
        if only.parameters:
            answer["QueryParameters"] = [
                {"name": name, "value": value} for name, value in only.parameters.items()
            ]
    if statement.error:
        answer["Error"] = statement.error
    return answer


def _where(statement: Statement) -> dict[str, Any]:
    noun = "ClusterIdentifier" if statement.warehouse.kind == "cluster" else "WorkgroupName"
    found = {noun: statement.warehouse.identifier, "Database": statement.database}
    if statement.secret_arn:
        found["SecretArn"] = statement.secret_arn
    if statement.db_user:
        found["DbUser"] = statement.db_user
    return found


def _part(part: SubStatement) -> dict[str, Any]:
    answer = {
        "Id": part.id,
        "QueryString": part.sql,
        "Status": part.status,
        "CreatedAt": part.created,
        "UpdatedAt": part.updated,
        "Duration": int((part.ended - part.started) * 1e9) if part.ended else -1,
        "HasResultSet": part.result is not None,
        "ResultRows": part.rows,
        "ResultSize": part.result.nbytes if part.result is not None else -1,
        "RedshiftQueryId": part.query_id or 0,
    }
    if part.error:
        answer["Error"] = part.error
    return answer


def _list(statements: Statements, caller: Caller, given: Mapping[str, Any]) -> dict[str, Any]:
    """List the statements of the caller's role, or session; without a status, the finished ones."""
    wanted = str(given.get("Status") or "FINISHED")
    name = str(given.get("StatementName") or "")
    of_role = given.get("RoleLevel") is not False

    def own(owner: str) -> bool:
        if of_role:
            return owner.partition(":")[0] == caller.user_id.partition(":")[0]
        return owner == caller.user_id

    found = [
        {
            "Id": each.id,
            "QueryString": each.parts[0].sql,
            "QueryStrings": [part.sql for part in each.parts],
            "StatementName": each.name,
            "Status": each.status,
            "CreatedAt": each.created,
            "UpdatedAt": each.updated,
            "IsBatchStatement": each.batch,
            "SecretArn": each.secret_arn,
        }
        for each in reversed(statements.all())
        if own(each.owner)
        and wanted in ("ALL", each.status)
        and each.name.startswith(name)
        and time.time() < each.created + RESULT_SECONDS
    ]
    start, size = _page(given.get("NextToken")), int(given.get("MaxResults") or PAGE_STATEMENTS)
    answer: dict[str, Any] = {"Statements": found[start : start + size]}
    if start + size < len(found):
        answer["NextToken"] = base64.b64encode(str(start + size).encode()).decode()
    return answer


def _page(token: Any) -> int:
    try:
        return int(base64.b64decode(str(token))) if token else 0
    except ValueError:
        raise AwsError("ValidationException", "NextToken is not valid.") from None


def _result(statement: Statement, identifier: str, token: str) -> dict[str, Any]:
    part = statement.part(identifier)
    if part is None:
        raise AwsError(
            "ValidationException",
            "A batch has one result per statement: give a sub-statement's id.",
        )
    if part.status != "FINISHED" or part.result is None:
        raise AwsError("ResourceNotFoundException", "Query does not have result.")
    table = part.result
    start = _page(token)
    page = table.slice(start, PAGE_ROWS)
    kinds = [column.type for column in table.columns]
    columns = [column.to_pylist() for column in page.columns]
    answer: dict[str, Any] = {
        "ColumnMetadata": [
            _column(name, kind) for name, kind in zip(table.column_names, kinds, strict=True)
        ],
        "Records": [
            [field_of(value, kind) for value, kind in zip(row, kinds, strict=True)]
            for row in zip(*columns, strict=True)
        ],
        "TotalNumRows": table.num_rows,
    }
    if start + PAGE_ROWS < table.num_rows:
        answer["NextToken"] = base64.b64encode(str(start + PAGE_ROWS).encode()).decode()
    return answer


def _column(name: str, kind: Any) -> dict[str, Any]:
    found = column_type(kind)
    return {
        "name": name,
        "label": name,
        "typeName": found.name,
        "precision": found.precision,
        "scale": found.scale,
        "length": found.length,
        "nullable": 1,
        "isSigned": found.signed,
        "isCurrency": False,
        "isCaseSensitive": found.name in ("varchar", "bpchar"),
        "schemaName": "",
        "tableName": "",
        "columnDefault": None,
    }


def send_event(statement: Statement) -> None:
    """Send the EventBridge event of a statement that asked for it."""
    if not statement.with_event:
        return
    warehouse = statement.warehouse
    detail = {
        "principal": statement.owner,
        "statementName": statement.name,
        "statementId": statement.id,
        "redshiftQueryId": statement.parts[0].query_id,
        "state": statement.status,
        "rows": statement.parts[-1].rows,
        "expireAt": int(statement.created + 24 * 3600),
    }
    event = {
        "EventId": statement.id,
        "Source": "aws.redshift-data",
        "DetailType": "Redshift Data Statement Status Change",
        "Detail": json.dumps(detail),
        "EventBusName": "default",
        "Time": statement.updated,
        "Resources": [warehouse.arn],
        "Account": warehouse.account,
        "Region": warehouse.region,
    }
    try:
        with account_scope(warehouse.account, warehouse.region):
            eventbridge._dispatch_event(event)
    except Exception:
        logger.exception("the event of a statement could not be sent")
