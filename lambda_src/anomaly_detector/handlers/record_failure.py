"""Stores why a state machine failed and notifies the operations topic; invoked by the machine, or
by the event of an execution that could not do so itself.
"""

from __future__ import annotations

from typing import Any, Literal

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field, TypeAdapter

from anomaly_detector.handlers._boundary import Event, boundary
from anomaly_detector.handlers._wiring import wiring
from anomaly_detector.observability import logger
from anomaly_detector.services.failures import Ended, record_end, record_failure
from anomaly_detector.services.payloads import Failure, Payload


class RecordFailure(Payload):
    """The last step of a machine that failed."""

    machine: Literal["pipeline", "crawl"]
    execution: str
    config_hash: str | None = None
    error: dict[str, Any] = Field(default_factory=dict)


class RecordEnd(Payload):
    """An execution has ended, and not succeeded."""

    execution: str
    status: Ended


_EVENT: TypeAdapter[RecordFailure | RecordEnd] = TypeAdapter(RecordFailure | RecordEnd)


@boundary
def handler(event: Event, context: LambdaContext) -> Event:  # noqa: ARG001
    """Return the reason; nothing where the end was recorded already."""
    parts = wiring()
    wanted = _EVENT.validate_python(event)
    name = parts.settings.detector_name
    answer: Failure | None
    if isinstance(wanted, RecordEnd):
        answer = record_end(parts.ledger, parts.operations, name, wanted.execution, wanted.status)
    else:
        answer = record_failure(
            parts.ledger,
            parts.operations,
            name,
            wanted.machine,
            wanted.execution,
            wanted.config_hash,
            wanted.error,
        )
    if answer is None:
        return {}
    logger.error("failed", extra={"reason": answer.reason})
    return answer.answer()
