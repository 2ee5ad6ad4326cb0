"""Stores why a state machine failed and notifies the operations topic."""

from __future__ import annotations

from typing import Any, Literal

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field

from anomaly_detector.handlers._boundary import Event, boundary
from anomaly_detector.handlers._wiring import wiring
from anomaly_detector.observability import logger
from anomaly_detector.services.failures import record_failure
from anomaly_detector.services.payloads import Payload


class RecordFailure(Payload):
    """The event."""

    machine: Literal["pipeline", "crawl"]
    execution: str
    config_hash: str | None = None
    error: dict[str, Any] = Field(default_factory=dict)


@boundary
def handler(event: Event, context: LambdaContext) -> Event:  # noqa: ARG001
    """Return the reason."""
    parts = wiring()
    wanted = RecordFailure.model_validate(event)
    answer = record_failure(
        parts.ledger,
        parts.operations,
        parts.settings.detector_name,
        wanted.machine,
        wanted.execution,
        wanted.config_hash,
        wanted.error,
    )
    logger.error("failed", extra={"reason": answer.reason})
    return answer.answer()
