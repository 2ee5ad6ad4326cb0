"""The one logger and tracer of every function.

What is counted is logged: a metric of one's own costs $0.30 a month whether or not it is looked at,
and the alarms watch metrics that AWS keeps for nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from aws_lambda_powertools import Logger, Tracer

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]

# Named by Terraform; the default serves the tests.
_SERVICE = os.environ.get("POWERTOOLS_SERVICE_NAME", "anomaly-detector")

logger = Logger(service=_SERVICE)
# Even a disabled Tracer imports the X-Ray SDK. The managed Powertools layer has it, a layer of the
# user's own may not: then nothing is traced, and everything else works.
tracer = Tracer(service=_SERVICE) if find_spec("aws_xray_sdk") is not None else None


def traced(function: Handler) -> Handler:
    """Trace a handler where that can be done; its answer stays out of the trace."""
    if tracer is None:
        return function
    wrapped: Handler = tracer.capture_lambda_handler(function, capture_response=False)
    return wrapped
