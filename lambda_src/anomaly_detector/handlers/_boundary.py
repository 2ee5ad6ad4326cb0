"""What every handler is wrapped in: logs, traces, and conversion of errors to the two classes that
the state machines distinguish.
"""

from __future__ import annotations

import traceback
from functools import wraps
from pathlib import Path
from typing import Any

from aws_lambda_powertools.utilities.typing import LambdaContext
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError
from pydantic import ValidationError

from anomaly_detector import aws_faults
from anomaly_detector.errors import PermanentError, RetryableError, places_of
from anomaly_detector.limits import OUT_OF_MEMORY
from anomaly_detector.observability import Handler, log_cause, logger, traced

Event = dict[str, Any]

# Keys of an event that are logged; never rows, SQL or secrets.
_LOGGED = ("execution", "config_hash", "part", "machine", "action", "attempt")


def boundary(function: Handler) -> Handler:
    """Wrap a handler, so that it raises AWS errors as RetryableError or PermanentError."""

    @wraps(function)
    def guarded(event: Event, context: LambdaContext) -> Any:  # noqa: ANN401 whatever it returns
        logger.append_keys(**_logged(event))
        try:
            return function(event, context)
        except (PermanentError, RetryableError) as error:
            log_cause(error)
            # Whatever logs or traces the error next would add the text of its cause.
            raise error from None
        except ValidationError as error:
            raise PermanentError(
                f"The event is invalid: correct or add {places_of(error)} in the function's input."
            ) from None
        except ClientError as error:
            kind = RetryableError if aws_faults.is_transient(error) else PermanentError
            raise kind(str(error)) from error
        except ParamValidationError as error:
            raise _unexpected(error) from None
        except MemoryError as error:
            raise PermanentError(f"{OUT_OF_MEMORY} ({error})") from error
        except BotoCoreError as error:
            raise RetryableError(f"AWS could not be reached: {error}") from error
        except Exception as error:  # noqa: BLE001 its text may quote values of rows
            raise _unexpected(error) from None

    logged = logger.inject_lambda_context(guarded, clear_state=True)
    return traced(logged)


def _unexpected(error: Exception) -> PermanentError:
    """An error of this package by its kind and place: its text may quote values of rows, and would
    be stored and sent.
    """
    frames = traceback.extract_tb(error.__traceback__)
    stack = [f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in frames]
    logger.error("unexpected error", extra={"kind": type(error).__name__, "stack": stack})
    told = PermanentError(
        f"Unexpected {type(error).__name__} at {stack[-1]}: report it with the function's log."
    )
    told.__cause__ = error
    log_cause(told)
    return told


def _logged(event: Event) -> dict[str, object]:
    logged = {key: event[key] for key in _LOGGED if event.get(key) is not None}
    plan = event.get("plan") or event.get("request") or event
    window = (plan.get("window_start"), plan.get("window_end")) if isinstance(plan, dict) else ()
    if any(window):
        logged["interval"] = "/".join(str(bound) for bound in window)
    return logged
