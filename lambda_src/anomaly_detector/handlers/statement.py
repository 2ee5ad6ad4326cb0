"""Submits one statement to the warehouse, polls it, or cancels abandoned statements."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated, Literal

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field, TypeAdapter

from anomaly_detector.errors import RetryableError
from anomaly_detector.handlers._boundary import Event, boundary
from anomaly_detector.handlers._wiring import wiring
from anomaly_detector.observability import logger
from anomaly_detector.services.cancelling import cancel
from anomaly_detector.services.payloads import Moment, Payload, Request, Statement
from anomaly_detector.services.statement import poll, submit


class Submit(Payload):
    """Start an attempt."""

    action: Literal["submit"]
    request: Request
    execution: str
    started_at: Moment
    attempt: int = 1
    busy: int = 0


class Poll(Payload):
    """Check an attempt."""

    action: Literal["poll"]
    request: Request
    execution: str
    started_at: Moment
    statement: Statement


class Cancel(Payload):
    """Cancel the running statements of these executions, or all of the detector's.

    Attributes
    ----------
    awaited : whether it is an error if a statement is still running at the end.
    """

    action: Literal["cancel"]
    executions: tuple[str, ...] = ()
    everything: bool = False
    awaited: bool = True


_EVENT: TypeAdapter[Submit | Poll | Cancel] = TypeAdapter(
    Annotated[Submit | Poll | Cancel, Field(discriminator="action")]
)


@boundary
def handler(event: Event, context: LambdaContext) -> Event:  # noqa: ARG001
    """Return the state of the statement, or the cancelled statements."""
    wanted = _EVENT.validate_python(event)
    return _cancelled(wanted) if isinstance(wanted, Cancel) else _statement(wanted)


def _statement(wanted: Submit | Poll) -> Event:
    parts = wiring()
    if isinstance(wanted, Submit):
        answer = submit(
            parts.store,
            parts.ledger,
            parts.warehouse,
            wanted.request,
            wanted.execution,
            wanted.attempt,
            datetime.now(UTC),
            time.sleep,
            wanted.started_at,
            wanted.busy,
        )
    else:
        answer = poll(
            parts.store,
            parts.ledger,
            parts.warehouse,
            wanted.request,
            wanted.statement,
            wanted.execution,
            wanted.started_at,
            datetime.now(UTC),
        )
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


def _cancelled(wanted: Cancel) -> Event:
    parts = wiring()
    answer = cancel(
        parts.ledger,
        parts.warehouse(None),
        parts.settings.detector_name,
        wanted.executions,
        datetime.now(UTC),
        time.sleep,
        everything=wanted.everything,
    )
    logger.info("cancelled", extra=answer.answer())
    if answer.running and wanted.awaited:
        raise RetryableError(
            f"Statements cancelled, but still running: {', '.join(answer.running)}."
        )
    return answer.answer()
