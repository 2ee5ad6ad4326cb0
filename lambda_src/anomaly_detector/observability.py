"""Logger and tracer of every function.

Counts are logged: a custom metric costs $0.30 a month, and the alarms use metrics that AWS provides
for free.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from aws_lambda_powertools import Logger, Tracer

Handler = Callable[[dict[str, Any], Any], Any]

# Set by Terraform; the default is for tests.
_SERVICE = os.environ.get("POWERTOOLS_SERVICE_NAME", "anomaly-detector")

# Whether error texts that may quote values of rows are logged (logging.row_values).
_ROW_VALUES = os.environ.get("LOG_ROW_VALUES", "false") == "true"

logger = Logger(service=_SERVICE)
# Even a disabled Tracer imports the X-Ray SDK. The managed Powertools layer contains it, but a
# custom layer may not: then nothing is traced, and everything else works.
tracer = Tracer(service=_SERVICE) if find_spec("aws_xray_sdk") is not None else None


def log_cause(error: BaseException) -> None:
    """Log the text that an error was derived from, if the settings allow it: texts of the warehouse
    and of Arrow quote values of rows.
    """
    if _ROW_VALUES and error.__cause__ is not None:
        logger.error("the complete error", extra={"complete": str(error.__cause__)})


def traced(function: Handler) -> Handler:
    """Trace a handler if possible; its result is not part of the trace."""
    if tracer is None:
        return function
    wrapped: Handler = tracer.capture_lambda_handler(function, capture_response=False)
    return wrapped
