"""Draws the widgets of the dashboard in CloudWatch; reads, and changes nothing."""

from __future__ import annotations

from datetime import UTC, datetime

from aws_lambda_powertools.utilities.typing import LambdaContext

from anomaly_detector.handlers._boundary import Event, boundary
from anomaly_detector.handlers._wiring import wiring
from anomaly_detector.services import console


@boundary
def handler(event: Event, context: LambdaContext) -> str:
    """Return the HTML of a widget, or its documentation in Markdown."""
    parts = wiring()
    places = console.places(context.invoked_function_arn, parts.settings.detector_name)
    return console.answer(parts.store, parts.ledger, event, places, datetime.now(UTC))
