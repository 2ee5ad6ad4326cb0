"""Trains one part of the detector on the unloaded history."""

from __future__ import annotations

from aws_lambda_powertools.utilities.typing import LambdaContext

from anomaly_detector.handlers._boundary import Event, boundary
from anomaly_detector.handlers._wiring import wiring
from anomaly_detector.observability import logger
from anomaly_detector.services.payloads import Moment, Payload, Trained
from anomaly_detector.services.training import train


class Train(Payload):
    """The event."""

    config_hash: str
    part: int
    measures: tuple[str, ...]
    history_start: Moment
    history_end: Moment
    execution: str
    trained: Trained | None = None
    taught: Moment | None = None


@boundary
def handler(event: Event, context: LambdaContext) -> Event:
    """Return the version of the snapshot, and whether it is done."""
    parts = wiring()
    wanted = Train.model_validate(event)
    given = {name: getattr(wanted, name) for name in Train.model_fields}
    answer = train(
        parts.store,
        parts.ledger,
        **given,
        remaining=lambda: context.get_remaining_time_in_millis() / 1000,
    )
    done = {"series": answer.series, "percent": round(100 * answer.share), "round": answer.rounds}
    logger.info("trained" if answer.done else "trained in part", extra=done)
    return answer.answer()
