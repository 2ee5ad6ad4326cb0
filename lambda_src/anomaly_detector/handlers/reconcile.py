"""Starts the pipeline for a document that it has not run for; invoked by the object's event, by
apply and by every crawl.
"""

from __future__ import annotations

import time

from aws_lambda_powertools.utilities.typing import LambdaContext

from anomaly_detector.handlers._boundary import Event, boundary
from anomaly_detector.handlers._wiring import wiring
from anomaly_detector.observability import logger
from anomaly_detector.services.reconcile import reconcile


@boundary
def handler(event: Event, context: LambdaContext) -> Event:  # noqa: ARG001 the bucket decides, not the event
    """Return the document's hash, whether the pipeline was started, and the detector's status."""
    parts = wiring()
    answer = reconcile(
        parts.store, parts.ledger, parts.pipeline, time.sleep, parts.settings.redshift
    )
    logger.info("reconciled", extra=answer.answer())
    return answer.answer()
