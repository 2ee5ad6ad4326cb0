"""What surrounds every handler: logs, traces, and the two error classes that the
machines know.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from pydantic import ValidationError

from anomaly_detector.errors import PermanentError, RetryableError
from anomaly_detector.limits import OUT_OF_MEMORY
from anomaly_detector.observability import Handler, logger, traced

Event = dict[str, Any]

# Refused access is among them: a role or policy made seconds ago may be refused for up to two
# minutes.
_PASSING = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "InternalError",
        "InternalServerError",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionCanceledException",
        "TransactionConflictException",
        "TransactionInProgressException",
        "UnrecognizedClientException",
    }
)
# What a log line tells of an event; never rows, SQL or secrets.
_LOGGED = ("execution", "config_hash", "shard", "machine", "action", "attempt")
_SERVER_FAULT = 500


def boundary(function: Handler) -> Handler:
    """Wrap a handler; AWS errors leave it as RetryableError or PermanentError."""

    @wraps(function)
    def guarded(event: Event, context: LambdaContext) -> Event:
        logger.append_keys(**_told(event))
        try:
            return function(event, context)
        except ValidationError as error:
            places = ", ".join(".".join(map(str, fault["loc"])) for fault in error.errors())
            raise PermanentError(f"The event is not valid: {places}.") from None
        except ClientError as error:
            raise _sorted(error) from error
        except ParamValidationError as error:
            raise PermanentError(f"AWS cannot take this: {error}") from error
        except MemoryError as error:
            raise PermanentError(f"{OUT_OF_MEMORY} ({error})") from error
        except BotoCoreError as error:
            raise RetryableError(f"AWS could not be reached: {error}") from error

    logged = logger.inject_lambda_context(guarded, clear_state=True)
    return traced(logged)


def _told(event: Event) -> dict[str, object]:
    told = {key: event[key] for key in _LOGGED if event.get(key) is not None}
    plan = event.get("plan") or event.get("request") or event
    window = (plan.get("window_start"), plan.get("window_end")) if isinstance(plan, dict) else ()
    if any(window):
        told["interval"] = "/".join(str(bound) for bound in window)
    return told


def _sorted(error: ClientError) -> RetryableError | PermanentError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in _PASSING or status >= _SERVER_FAULT:
        return RetryableError(str(error))
    return PermanentError(str(error))
