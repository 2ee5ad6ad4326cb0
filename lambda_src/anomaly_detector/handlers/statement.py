"""Submits one statement to the warehouse, or sees how it stands."""

from __future__ import annotations

from typing import Annotated, Literal

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field, TypeAdapter

from anomaly_detector.handlers._boundary import Event, boundary
from anomaly_detector.handlers._wiring import wiring
from anomaly_detector.observability import logger
from anomaly_detector.services.payloads import Payload, Request, Statement
from anomaly_detector.services.statement import poll, submit


class Submit(Payload):
    """Begin an attempt."""

    action: Literal["submit"]
    request: Request
    execution: str
    attempt: int = 1


class Poll(Payload):
    """Look after an attempt."""

    action: Literal["poll"]
    request: Request
    statement: Statement


_EVENT: TypeAdapter[Submit | Poll] = TypeAdapter(
    Annotated[Submit | Poll, Field(discriminator="action")]
)


@boundary
def handler(event: Event, context: LambdaContext) -> Event:  # noqa: ARG001
    """Answer where the statement stands."""
    parts = wiring()
    wanted = _EVENT.validate_python(event)
    if isinstance(wanted, Submit):
        answer = submit(
            parts.store, parts.warehouse, wanted.request, wanted.execution, wanted.attempt
        )
    else:
        answer = poll(parts.store, parts.ledger, parts.warehouse, wanted.request, wanted.statement)
    logger.info(
        answer.status,
        extra={
            "purpose": wanted.request.purpose,
            "statement_id": answer.statement_id,
            "attempt": answer.attempt,
            "rows": answer.result.get("rows"),
        },
    )
    return answer.answer()
