"""The one logger, metrics and tracer of every function."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

from aws_lambda_powertools import Logger, Metrics, Tracer

Handler = Callable[[dict[str, Any], Any], dict[str, Any]]

# Both are named by Terraform; the defaults serve the CLI and the tests.
_SERVICE = os.environ.get("POWERTOOLS_SERVICE_NAME", "anomaly-detector")
_NAMESPACE = os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "AnomalyDetector")

# Many calls count nothing, and say so by it.
warnings.filterwarnings("ignore", message="No application metrics to publish")

logger = Logger(service=_SERVICE)
metrics = Metrics(service=_SERVICE, namespace=_NAMESPACE)
# Even a disabled Tracer imports the X-Ray SDK. The managed Powertools layer has it, a layer of the
# user's own may not: then nothing is traced, and everything else works.
tracer = Tracer(service=_SERVICE) if find_spec("aws_xray_sdk") is not None else None


def traced(function: Handler) -> Handler:
    """Trace a handler where that can be done; its answer stays out of the trace."""
    if tracer is None:
        return function
    wrapped: Handler = tracer.capture_lambda_handler(function, capture_response=False)
    return wrapped
