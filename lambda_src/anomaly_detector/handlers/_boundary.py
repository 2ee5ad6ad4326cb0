"""What every handler is wrapped in: logs, traces, and conversion of errors to the two classes that
the state machines distinguish.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from pydantic import ValidationError

from anomaly_detector import aws_faults
from anomaly_detector.errors import PermanentError, RetryableError, places_of
from anomaly_detector.limits import OUT_OF_MEMORY
from anomaly_detector.observability import Handler, logger, traced

Event = dict[str, Any]

# Keys of an event that are logged; never rows, SQL or secrets.
_LOGGED = ("execution", "config_hash", "part", "machine", "action", "attempt")


def boundary(function: Handler) -> Handler:
    """Wrap a handler, so that it raises AWS errors as RetryableError or PermanentError."""

    @wraps(function)
    def guarded(event: Event, context: LambdaContext) -> Event:
        logger.append_keys(**_logged(event))
        try:
            return function(event, context)
        except ValidationError as error:
            raise PermanentError(
                f"The event is invalid: correct or add {places_of(error)} in the function's input."
            ) from None
        except ClientError as error:
            kind = RetryableError if aws_faults.is_transient(error) else PermanentError
            raise kind(str(error)) from error
        except ParamValidationError as error:
            raise PermanentError(f"Invalid request to AWS: {error}") from error
        except MemoryError as error:
            raise PermanentError(f"{OUT_OF_MEMORY} ({error})") from error
        except BotoCoreError as error:
            raise RetryableError(f"AWS could not be reached: {error}") from error

    logged = logger.inject_lambda_context(guarded, clear_state=True)
    return traced(logged)


def _logged(event: Event) -> dict[str, object]:
    logged = {key: event[key] for key in _LOGGED if event.get(key) is not None}
    plan = event.get("plan") or event.get("request") or event
    window = (plan.get("window_start"), plan.get("window_end")) if isinstance(plan, dict) else ()
    if any(window):
        logged["interval"] = "/".join(str(bound) for bound in window)
    return logged
