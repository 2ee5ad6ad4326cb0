"""What AWS refuses is sorted by what can be done, for every call that the package makes."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest
from anomaly_detector import aws_faults
from anomaly_detector.alerts.https import UncertainError
from anomaly_detector.alerts.targets import Targets
from anomaly_detector.errors import PermanentError, RetryableError
from anomaly_detector.handlers._boundary import boundary
from anomaly_detector.warehouse.data_api import DataApi
from anomaly_detector.warehouse.roles import ClusterRoles, NamespaceRoles
from botocore.exceptions import ClientError
from botocore.session import get_session

from tests.unit.alerts_samples import NO_SECRETS, NO_WEB, message

CALLS = {
    "dynamodb": [
        "DeleteItem",
        "GetItem",
        "PutItem",
        "Query",
        "TransactWriteItems",
        "UpdateItem",
    ],
    "events": ["PutEvents"],
    "lambda": ["Invoke"],
    "redshift": ["DescribeClusters", "ModifyClusterIamRoles"],
    "redshift-data": [
        "CancelStatement",
        "DescribeStatement",
        "ExecuteStatement",
        "GetStatementResult",
        "ListStatements",
    ],
    "redshift-serverless": ["GetNamespace", "GetWorkgroup", "UpdateNamespace"],
    "s3": ["DeleteObjects", "GetObject", "ListObjectsV2", "PutObject"],
    "secretsmanager": ["GetSecretValue"],
    "sns": ["Publish"],
    "stepfunctions": ["DescribeExecution", "ListExecutions", "StartExecution", "StopExecution"],
}
# Client faults of the models that pass by themselves, though no trait says so.
PASSING = {
    "ActiveSessionsExceededException",
    "ActiveStatementsExceededException",
    "ActiveWaitingRequestsExceededException",
    "AuthorizationError",
    "ConflictException",
    "ExecutionLimitExceeded",
    "InvalidClusterState",
    "KMSAccessDenied",
    "KMSThrottling",
    "KmsAccessDeniedException",
    "KmsThrottlingException",
    "ProvisionedThroughputExceededException",
    "QueryTimeoutException",
    "RequestLimitExceeded",
    "ResourceConflictException",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionCanceledException",
    "TransactionConflictException",
    "TransactionInProgressException",
}


class AwsFault(Enum):
    """Kinds of refused calls."""

    ACCESS = "access"  # may last two minutes
    BUSY = "busy"  # nothing was done
    SERVER = "server"  # it may have been done
    PERMANENT = "permanent"


def fault_of(error: ClientError) -> AwsFault:
    if aws_faults.is_denied(error):
        return AwsFault.ACCESS
    if aws_faults.is_refused_for_now(error):
        return AwsFault.BUSY
    return AwsFault.SERVER if aws_faults.is_uncertain(error) else AwsFault.PERMANENT


# Common to all services, or of S3, whose models do not name them.
COMMON = [
    ("AccessDenied", 403, AwsFault.ACCESS),
    ("AccessDeniedException", 400, AwsFault.ACCESS),
    ("ExpiredTokenException", 403, AwsFault.ACCESS),
    ("InvalidClientTokenId", 403, AwsFault.ACCESS),
    ("UnrecognizedClientException", 403, AwsFault.ACCESS),
    ("OperationAborted", 409, AwsFault.BUSY),
    ("RequestLimitExceeded", 503, AwsFault.BUSY),
    ("ServiceUnavailable", 503, AwsFault.BUSY),
    ("SlowDown", 503, AwsFault.BUSY),
    ("Throttled", 429, AwsFault.BUSY),
    ("ThrottledException", 429, AwsFault.BUSY),
    ("Throttling", 400, AwsFault.BUSY),
    ("anything new", 429, AwsFault.BUSY),
    ("InternalError", 500, AwsFault.SERVER),
    ("InternalFailure", 500, AwsFault.SERVER),
    ("RequestTimeout", 400, AwsFault.SERVER),
    ("anything new", 504, AwsFault.SERVER),
    ("InvalidParameterValue", 400, AwsFault.PERMANENT),
    ("ValidationException", 400, AwsFault.PERMANENT),
    ("anything new", 400, AwsFault.PERMANENT),
]


def refusal(code: str, status: int = 400) -> ClientError:
    return ClientError(
        {
            "Error": {"Code": code, "Message": "no"},
            "ResponseMetadata": {"HTTPStatusCode": status},  # type: ignore[typeddict-item]
        },
        "Call",
    )


def modelled() -> list[Any]:
    """Each error of each call, as botocore's model has it."""
    session = get_session()
    found = []
    for service, operations in CALLS.items():
        model = session.get_service_model(service)
        for operation in operations:
            for shape in model.operation_model(operation).error_shapes:
                traits = shape.metadata
                code = traits.get("error", {}).get("code") or shape.name
                status = traits.get("error", {}).get("httpStatusCode", 400)
                fault = shape._shape_model.get("fault")  # The service's own, as the model says.
                passes = bool(fault or traits.get("retryable")) or code in PASSING
                found.append(pytest.param(code, status, passes, id=f"{service}-{operation}-{code}"))
    return found


class Context:
    """What Lambda hands to a handler."""

    function_name = "f"
    memory_limit_in_mb = 512
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:f"
    aws_request_id = "request-1"


def _raise(error: Exception) -> Any:
    def call(*_: Any) -> Any:
        raise error

    return call


@pytest.mark.parametrize(("code", "status", "passes"), modelled())
def test_what_passes_by_itself_is_tried_again_and_nothing_else(
    code: str,
    status: int,
    passes: bool,  # noqa: FBT001
) -> None:
    error = refusal(code, status)

    assert (fault_of(error) is not AwsFault.PERMANENT) == passes
    with pytest.raises(RetryableError if passes else PermanentError):
        boundary(_raise(error))({}, Context())  # type: ignore[arg-type]


@pytest.mark.parametrize(("code", "status", "fault"), COMMON)
def test_common_codes(code: str, status: int, fault: AwsFault) -> None:
    assert fault_of(refusal(code, status)) is fault


@pytest.mark.parametrize(("code", "status", "fault"), COMMON)
def test_an_alert_is_sent_again_only_where_nothing_was_sent(
    code: str, status: int, fault: AwsFault
) -> None:
    class Client:
        def publish(self, **_: Any) -> None:
            raise refusal(code, status)

    error = {AwsFault.SERVER: UncertainError, AwsFault.PERMANENT: PermanentError}
    targets = Targets(lambda *_: Client(), NO_SECRETS, NO_WEB)
    with pytest.raises(error.get(fault, RetryableError)):
        targets.send("arn:aws:sns:eu-west-1:123456789012:topic", message())


@pytest.mark.parametrize(("code", "status", "fault"), COMMON)
def test_a_statement_is_asked_for_again_where_that_may_help(
    code: str, status: int, fault: AwsFault
) -> None:
    class Client:
        def describe_statement(self, **_: Any) -> None:
            raise refusal(code, status)

    permanent = fault is AwsFault.PERMANENT
    with pytest.raises(PermanentError if permanent else RetryableError):
        DataApi(Client(), None).describe("x")


@pytest.mark.parametrize(("code", "status", "fault"), COMMON)
@pytest.mark.parametrize("kind", [ClusterRoles, NamespaceRoles])
def test_a_role_is_waited_for_as_long_as_the_fault_may_last(
    kind: Any, code: str, status: int, fault: AwsFault
) -> None:
    class Client:
        def describe_clusters(self, **_: Any) -> None:
            raise refusal(code, status)

        get_workgroup = describe_clusters

    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    with pytest.raises(PermanentError):
        kind(Client(), "name", sleep, lambda: now[0]).attach("arn:role", 840)

    patience = {AwsFault.PERMANENT: 0, AwsFault.ACCESS: 120}.get(fault, 835)
    assert patience - 5 <= now[0] <= patience + 5
