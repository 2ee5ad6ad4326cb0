"""The Data API adapter against botocore's own model of the service."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from anomaly_detector.config import Redshift
from anomaly_detector.errors import PermanentError, RetryableError
from anomaly_detector.warehouse.data_api import BusyError, DataApi
from anomaly_detector.warehouse.statement import Column
from botocore.exceptions import EndpointConnectionError
from botocore.stub import ANY, Stubber

ID = "01234567-89ab-cdef-0123-456789abcdef"
ROLE = "arn:aws:iam::123456789012:role/unload"
SECRET = "arn:aws:secretsmanager:us-east-1:123456789012:secret:shop"  # the ARN, not the secret


@pytest.fixture
def stub() -> Iterator[Stubber]:
    client = boto3.client(
        "redshift-data",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    with Stubber(client) as stubber:
        yield stubber
        stubber.assert_no_pending_responses()


def api(stub: Stubber, **given: str) -> DataApi:
    place = {"database": "dev", "unload_role": ROLE} | (given or {"cluster_identifier": "shop"})
    return DataApi(stub.client, Redshift.model_validate(place))


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"cluster_identifier": "shop"}, {"ClusterIdentifier": "shop"}),
        (
            {"cluster_identifier": "shop", "db_user": "u"},
            {"ClusterIdentifier": "shop", "DbUser": "u"},
        ),
        ({"workgroup_name": "shop"}, {"WorkgroupName": "shop"}),
        (
            {"workgroup_name": "shop", "secret_arn": SECRET},
            {"WorkgroupName": "shop", "SecretArn": SECRET},
        ),
    ],
)
def test_a_statement_names_the_warehouse_and_the_sign_in(
    stub: Stubber, given: dict[str, str], sent: dict[str, str]
) -> None:
    token = "t" * 64
    stub.add_response(
        "execute_statement",
        {"Id": ID},
        {
            "Database": "dev",
            "Sql": "select 1",
            "ClientToken": token,
            "StatementName": "n" * 500,
            **sent,
        },
    )
    assert api(stub, **given).submit("select 1", token, "n" * 900) == ID
    assert len(token) == 64


@pytest.mark.parametrize(
    ("code", "status", "kind"),
    [
        ("ThrottlingException", 400, RetryableError),
        ("ActiveStatementsExceededException", 400, RetryableError),
        ("AccessDeniedException", 400, RetryableError),
        ("InternalServerException", 500, RetryableError),
        ("SomethingNew", 503, RetryableError),
        ("ValidationException", 400, PermanentError),
        ("ResourceNotFoundException", 404, PermanentError),
    ],
)
def test_refusals_are_passing_or_permanent(
    stub: Stubber, code: str, status: int, kind: type[Exception]
) -> None:
    stub.add_client_error("execute_statement", code, "no", status)
    with pytest.raises(kind, match=rf"rejected execute_statement \({code}\): no\."):
        api(stub).submit("select 1", "t", "n")


def test_a_paused_cluster_may_be_resumed_and_says_so(stub: Stubber) -> None:
    stub.add_client_error("execute_statement", "ValidationException", "Cluster shop is paused.")
    with pytest.raises(BusyError, match="resume it"):
        api(stub).submit("select 1", "t", "n")


def test_a_lost_connection_is_retryable() -> None:
    class Lost:
        def describe_statement(self, **_: str) -> None:
            raise EndpointConnectionError(endpoint_url="https://redshift-data")

    place = Redshift(cluster_identifier="shop", database="dev", unload_role=ROLE)
    with pytest.raises(RetryableError, match="could not be reached"):
        DataApi(Lost(), place).describe(ID)


def test_what_cannot_be_sent_is_refused_before(stub: Stubber) -> None:
    with pytest.raises(PermanentError, match="1 to 64 characters"):
        api(stub).submit("select 1", "t" * 65, "n")
    with pytest.raises(PermanentError, match="limit of the Redshift Data API is 100,000"):
        api(stub).submit("x" * 100_001, "t", "n")


def test_a_statements_state_is_read(stub: Stubber) -> None:
    stub.add_response(
        "describe_statement",
        {
            "Id": ID,
            "Status": "FAILED",
            "Error": "ERROR: no",
            "ResultRows": -1,
            "Duration": 1_500_000_000,
        },
        {"Id": ID},
    )
    stub.add_response(
        "describe_statement",
        {
            "Id": ID,
            "Status": "FINISHED",
            "ResultRows": 7,
            "HasResultSet": True,
            "RedshiftQueryId": 9,
        },
    )
    failed, finished = api(stub).describe(ID), api(stub).describe(ID)
    assert (failed.status, failed.error, failed.rows) == ("FAILED", "ERROR: no", None)
    assert (failed.duration_seconds, failed.running) == (1.5, False)
    assert (finished.error, finished.rows, finished.query_id) == (None, 7, 9)


def test_all_pages_of_a_result_are_read(stub: Stubber) -> None:
    metadata = [{"name": "a", "typeName": "int8"}, {"name": "b", "typeName": "varchar"}]
    stub.add_response(
        "get_statement_result",
        {
            "Records": [[{"longValue": 1}, {"stringValue": "x"}]],
            "ColumnMetadata": metadata,
            "NextToken": "2",
        },
        {"Id": ID},
    )
    stub.add_response(
        "get_statement_result",
        {"Records": [[{"longValue": 2}, {"isNull": True}]], "ColumnMetadata": metadata},
        {"Id": ID, "NextToken": "2"},
    )
    result = api(stub).result(ID)
    assert result.columns == (Column("a", "int8"), Column("b", "varchar"))
    assert result.rows() == ({"a": 1, "b": "x"}, {"a": 2, "b": None})


def test_cancelling_what_has_ended_is_no_error(stub: Stubber) -> None:
    stub.add_response("cancel_statement", {"Status": True}, {"Id": ANY})
    stub.add_client_error("cancel_statement", "ValidationException", "already FINISHED")
    assert api(stub).cancel(ID) is True
    assert api(stub).cancel(ID) is False


def test_a_name_that_the_service_can_never_take_is_not_tried_again() -> None:
    client = boto3.client(
        "redshift-data",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    # Not a name that the configuration takes.
    place = Redshift.model_construct(database="dev", unload_role=ROLE, workgroup_name="wg")
    with pytest.raises(PermanentError, match="WorkgroupName"):
        DataApi(client, place).submit("select 1", "token", "shop-live")


def test_what_runs_is_listed_over_all_pages_in_the_order_of_a_statements_life(
    stub: Stubber,
) -> None:
    def page(status: str, *ids: str, token: str = "", more: str = "") -> None:
        found = [{"Id": each, "StatementName": f"shop/{each}", "Status": status} for each in ids]
        asked = {"Status": status, "StatementName": "shop/", "RoleLevel": False}
        stub.add_response(
            "list_statements",
            {"Statements": found} | ({"NextToken": more} if more else {}),
            asked | ({"NextToken": token} if token else {}),
        )

    page("SUBMITTED", "a")
    page("PICKED")
    page("STARTED", "a", "b", more="2")
    page("STARTED", "c", token="2")

    found = DataApi(stub.client, None).running("shop/")

    assert found == {"a": "shop/a", "b": "shop/b", "c": "shop/c"}
