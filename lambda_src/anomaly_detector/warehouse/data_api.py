"""The Redshift Data API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, cast

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from anomaly_detector import aws_faults
from anomaly_detector.config import Redshift
from anomaly_detector.errors import PermanentError, RetryableError
from anomaly_detector.warehouse.faults import FaultKind, classify
from anomaly_detector.warehouse.sql import within_limit
from anomaly_detector.warehouse.statement import RUNNING, Column, Result, Statement, Status, Value

MAX_NAME: Final = 500


class BusyError(RetryableError):
    """The warehouse takes no statement for now: it may take the same one in minutes or hours."""


class DataApi:
    """Statements on one warehouse.

    Every method raises `RetryableError` if the call may succeed later (throttling, too many
    statements, a lost connection, a role that has not propagated) and `PermanentError` otherwise.
    A failed statement is not an error of the call: see `Statement.error` and `classify`.

    Parameters
    ----------
    client : boto3's `redshift-data` client.
    redshift : the warehouse (cluster or workgroup), database and authentication: secret, database
        user, or neither for the caller's IAM identity. None if statements are only listed,
        described and cancelled.
    """

    def __init__(self, client: Any, redshift: Redshift | None) -> None:  # noqa: ANN401 boto3 has no types
        self._client = client
        self._redshift = redshift
        self._place: dict[str, str] = {}
        if redshift is None:
            return
        self._place["Database"] = redshift.database
        if redshift.cluster_identifier:
            self._place["ClusterIdentifier"] = redshift.cluster_identifier
        elif redshift.workgroup_name:
            self._place["WorkgroupName"] = redshift.workgroup_name
        if redshift.secret_arn:
            self._place["SecretArn"] = redshift.secret_arn
        elif redshift.db_user:
            self._place["DbUser"] = redshift.db_user

    @property
    def redshift(self) -> Redshift:
        """The warehouse."""
        if self._redshift is None:
            raise PermanentError("No warehouse is given: redshift must be set.")
        return self._redshift

    def submit(self, sql: str, token: str, name: str) -> str:
        """Submit a statement and return its ID.

        Parameters
        ----------
        token : at most 64 characters; for 8 hours the same token answers the same statement.
        name : what the statement is for, shown in the console; cut to 500 characters.

        Raises
        ------
        BusyError
            If the warehouse takes no statement for now, or it is unknown whether it took this one.
        """
        if not 1 <= len(token) <= 64:
            raise PermanentError(
                f"A client token has 1 to 64 characters, '{token}' has {len(token)}."
            )
        sent = within_limit(sql)
        method = self._client.execute_statement
        try:
            answer = method(
                Sql=sent, ClientToken=token, StatementName=name[:MAX_NAME], **self._place
            )
        except (ClientError, BotoCoreError) as error:
            raise _refused(error, "execute_statement", BusyError) from error
        return str(answer["Id"])

    def describe(self, statement_id: str) -> Statement:
        """Request the state of a statement."""
        answer = self._call("describe_statement", Id=statement_id)
        rows = int(answer.get("ResultRows", -1))
        return Statement(
            id=statement_id,
            status=cast("Status", answer["Status"]),
            error=answer.get("Error") or None,
            rows=rows if rows >= 0 else None,
            duration_seconds=max(int(answer.get("Duration", 0)), 0) / 1e9,
            query_id=int(answer.get("RedshiftQueryId", 0)),
            sql=str(answer.get("QueryString", "")),
        )

    def result(self, statement_id: str) -> Result:
        """Read all pages of the result of a finished statement."""
        pages = list(self.pages(statement_id))
        return Result(pages[0].columns, tuple(row for page in pages for row in page.records))

    def pages(self, statement_id: str) -> Iterator[Result]:
        """Read the result of a finished statement page by page, at least one."""
        columns: tuple[Column, ...] = ()
        more: dict[str, str] = {}
        while True:
            page = self._call("get_statement_result", Id=statement_id, **more)
            columns = columns or tuple(
                Column(
                    str(each.get("label") or each["name"]),
                    str(each["typeName"]),
                    int(each.get("precision", 0)),
                    int(each.get("scale", 0)),
                )
                for each in page.get("ColumnMetadata", [])
            )
            records = (tuple(_value(field) for field in record) for record in page["Records"])
            yield Result(columns, tuple(records))
            if not page.get("NextToken"):
                return
            more = {"NextToken": str(page["NextToken"])}

    def running(self, prefix: str) -> dict[str, str]:
        """Statements of this caller that have not ended and whose name has the prefix: ID to
        name.
        """
        found: dict[str, str] = {}
        # In the order of a statement's life, so that one that changes its status is not missed.
        for status in RUNNING:
            # Of the caller's own session only: statements of others cannot be cancelled.
            asked: dict[str, Any] = {"Status": status, "StatementName": prefix, "RoleLevel": False}
            while True:
                page = self._call("list_statements", **asked)
                for each in page["Statements"]:
                    found[str(each["Id"])] = str(each.get("StatementName", ""))
                if not page.get("NextToken"):
                    break
                asked["NextToken"] = str(page["NextToken"])
        return found

    def cancel(self, statement_id: str) -> bool:
        """Cancel a statement; False if that is refused, because it has ended or has not started
        yet. When it has stopped, `describe` returns ABORTED.
        """
        try:
            return bool(self._call("cancel_statement", Id=statement_id).get("Status", False))
        except PermanentError:
            return False

    def _call(self, method: str, **given: str | bool) -> dict[str, Any]:
        try:
            return cast("dict[str, Any]", getattr(self._client, method)(**given))
        except (ClientError, BotoCoreError) as error:
            raise _refused(error, method, RetryableError) from error


def _refused(
    error: ClientError | BotoCoreError, method: str, later: type[RetryableError]
) -> RetryableError | PermanentError:
    """What to raise for a refusal: `later` if it may pass in minutes or hours."""
    if isinstance(error, ParamValidationError):
        return PermanentError(f"Invalid request to the Redshift Data API: {error}")
    if isinstance(error, BotoCoreError):
        return later(f"The Redshift Data API could not be reached: {error}")
    fault = classify(aws_faults.message(error))
    reason = f"The Redshift Data API rejected {method} ({aws_faults.code(error)}): {fault.sentence}"
    if fault.kind is FaultKind.ROLE or aws_faults.is_denied(error):
        return RetryableError(reason)
    passing = fault.kind in (FaultKind.BUSY, FaultKind.PASSING)
    return later(reason) if passing or aws_faults.is_transient(error) else PermanentError(reason)


def _value(field: dict[str, Any]) -> Value:
    if field.get("isNull"):
        return None
    return cast("Value", next(iter(field.values())))
