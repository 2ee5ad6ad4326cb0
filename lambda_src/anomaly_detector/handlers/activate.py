"""Activates the configuration."""

from __future__ import annotations

from datetime import UTC, datetime

from aws_lambda_powertools.utilities.typing import LambdaContext

from anomaly_detector.handlers._boundary import Event, boundary
from anomaly_detector.handlers._wiring import wiring
from anomaly_detector.observability import logger
from anomaly_detector.services.payloads import Moment, Payload, Trained
from anomaly_detector.services.training import activate


class Activate(Payload):
    """The event."""

    config_hash: str
    history_start: Moment
    history_end: Moment
    train: bool
    parts: tuple[Trained, ...] = ()
    execution: str
    taught: Moment | None = None


@boundary
def handler(event: Event, context: LambdaContext) -> Event:  # noqa: ARG001
    """Return the status and the watermark."""
    parts = wiring()
    wanted = Activate.model_validate(event)
    answer = activate(
        parts.store,
        parts.ledger,
        wanted.config_hash,
        wanted.history_start,
        wanted.history_end,
        train=wanted.train,
        parts=wanted.parts,
        execution=wanted.execution,
        now=datetime.now(UTC),
        taught=wanted.taught,
    ).answer()
    logger.info("activated", extra=answer)
    return answer
