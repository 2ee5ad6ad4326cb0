"""The one logger, metrics and tracer of every function."""

from __future__ import annotations

import os
from importlib.util import find_spec

from aws_lambda_powertools import Logger, Metrics, Tracer

# Both are named by Terraform; the defaults serve the CLI and the tests.
_SERVICE = os.environ.get("POWERTOOLS_SERVICE_NAME", "anomaly-detector")
_NAMESPACE = os.environ.get("POWERTOOLS_METRICS_NAMESPACE", "AnomalyDetector")

logger = Logger(service=_SERVICE)
metrics = Metrics(service=_SERVICE, namespace=_NAMESPACE)
# In Lambda, Tracer loads the X-Ray SDK when it is made. The managed Powertools layer has it, a layer of
# the user's own may not: then nothing is traced, and everything else works. Outside Lambda it is off by itself.
tracer = Tracer(service=_SERVICE, disabled=None if find_spec("aws_xray_sdk") is not None else True)
