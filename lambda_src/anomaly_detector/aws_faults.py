"""What AWS's refusals mean: which codes of which service say that access is denied, that the call
may be made again, or that what it names does not exist.
"""

from __future__ import annotations

from itertools import chain
from typing import Final

from botocore.exceptions import ClientError

_SERVER_FAULT: Final = 500
_TOO_MANY: Final = 429

# Also returned for a new role or policy, for up to two minutes until it has propagated.
_DENIED: Final = {
    "every service": frozenset(
        {
            "AccessDenied",
            "AccessDeniedException",
            "ExpiredToken",
            "ExpiredTokenException",
            "InvalidClientTokenId",
            "UnrecognizedClientException",
        }
    ),
    "s3": frozenset({"403"}),  # the answer to HEAD has no body, hence no code
    "redshift": frozenset({"UnauthorizedOperation"}),
    "sns": frozenset(
        {
            "AuthorizationError",
            "AuthorizationErrorException",
            "KMSAccessDenied",
            "KMSAccessDeniedException",
        }
    ),
    "lambda": frozenset({"KMSAccessDeniedException"}),
    "stepfunctions": frozenset({"KmsAccessDeniedException"}),
}
# The call was not carried out: there were too many at once, or something is being changed. Codes
# that say "throttl" (Throttled, ThrottlingException, KMSThrottling and others) are not listed.
_BUSY: Final = {
    "every service": frozenset(
        {
            "RequestLimitExceeded",
            "ServiceUnavailable",
            "ServiceUnavailableException",
            "TooManyRequestsException",
        }
    ),
    "s3": frozenset({"OperationAborted", "SlowDown"}),
    "dynamodb": frozenset(
        {
            "LimitExceededException",
            "ProvisionedThroughputExceededException",
            "ReplicatedWriteConflictException",
            "TransactionCanceledException",
            "TransactionConflictException",
            "TransactionInProgressException",
        }
    ),
    "redshift": frozenset({"InvalidClusterState", "InvalidClusterStateFault"}),
    "redshift-data": frozenset(
        {
            "ActiveSessionsExceededException",
            "ActiveStatementsExceededException",
            "ActiveWaitingRequestsExceededException",
            "DatabaseConnectionException",
            "ExecuteStatementException",
            "QueryTimeoutException",
        }
    ),
    "redshift-serverless": frozenset({"ConflictException"}),
    "lambda": frozenset({"ResourceConflictException", "ResourceNotReadyException"}),
    "stepfunctions": frozenset({"ExecutionLimitExceeded"}),
}
# It is unknown whether the call was carried out.
_INTERNAL: Final = frozenset(
    {
        "InternalError",
        "InternalException",
        "InternalFailure",
        "InternalServerError",
        "InternalServerException",
        "InternalServiceError",
        "RequestTimeout",
        "ServiceException",
    }
)
_GONE: Final = {
    "s3": frozenset({"404", "NoSuchKey", "NotFound"}),
    "redshift": frozenset({"ClusterNotFound", "ClusterNotFoundFault"}),
    "redshift-serverless": frozenset({"ResourceNotFoundException"}),
    "stepfunctions": frozenset({"ExecutionDoesNotExist", "StateMachineDoesNotExist"}),
}
# Codes for a role that has not propagated to every service yet.
_ROLE_UNKNOWN: Final = frozenset({"InvalidParameterValue", "InvalidRole", "ValidationException"})

_ALL_DENIED: Final = frozenset(chain.from_iterable(_DENIED.values()))
_ALL_BUSY: Final = frozenset(chain.from_iterable(_BUSY.values()))
_ALL_GONE: Final = frozenset(chain.from_iterable(_GONE.values()))


def code(error: ClientError) -> str:
    """The error's code; empty where there is none."""
    return str(error.response.get("Error", {}).get("Code", ""))


def message(error: ClientError) -> str:
    """The error's text, or its code where there is none."""
    return str(error.response.get("Error", {}).get("Message", "")) or code(error)


def is_denied(error: ClientError) -> bool:
    """Whether access is denied."""
    return code(error) in _ALL_DENIED


def is_gone(error: ClientError) -> bool:
    """Whether what the call names does not exist."""
    return code(error) in _ALL_GONE


def is_role_unknown(error: ClientError) -> bool:
    """Whether a role that the call names may be too new; the message has to name it."""
    return code(error) in _ROLE_UNKNOWN


def is_refused_for_now(error: ClientError) -> bool:
    """Whether the call was certainly not carried out and may succeed later."""
    found = code(error)
    listed = found in _ALL_DENIED | _ALL_BUSY or "throttl" in found.lower()
    return listed or _status(error) == _TOO_MANY


def is_uncertain(error: ClientError) -> bool:
    """Whether the service failed, so that the call may have been carried out or not."""
    unclear = code(error) in _INTERNAL or _status(error) >= _SERVER_FAULT
    return unclear and not is_refused_for_now(error)


def is_transient(error: ClientError) -> bool:
    """Whether the same call may succeed later."""
    return is_refused_for_now(error) or is_uncertain(error)


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
