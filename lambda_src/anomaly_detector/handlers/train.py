"""Trains one part of the detector on the unloaded history."""

from __future__ import annotations

from aws_lambda_powertools.utilities.typing import LambdaContext

from anomaly_detector.handlers._boundary import Event, boundary
from anomaly_detector.handlers._wiring import wiring
from anomaly_detector.observability import logger
from anomaly_detector.services.payloads import Moment, Payload
from anomaly_detector.services.training import train


class Train(Payload):
    """The event."""

    config_hash: str
    part: int
    measures: tuple[str, ...]
    history_start: Moment
    history_end: Moment
    execution: str


@boundary
def handler(event: Event, context: LambdaContext) -> Event:  # noqa: ARG001
    """Return the version of the snapshot."""
    parts = wiring()
    wanted = Train.model_validate(event)
    answer = train(parts.store, parts.ledger, **wanted.model_dump())
    logger.info("trained", extra={"series": answer.series})
    return answer.answer()
