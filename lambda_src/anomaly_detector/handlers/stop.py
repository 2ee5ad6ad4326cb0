"""Stops executions before Terraform deletes the state machines (Terraform's CRUD life cycle)."""

from __future__ import annotations

import time
from typing import Literal

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field

from anomaly_detector.handlers._boundary import Event, boundary
from anomaly_detector.handlers._wiring import wiring
from anomaly_detector.observability import logger
from anomaly_detector.services.payloads import Payload, Stopped
from anomaly_detector.services.stopping import stop


class LifeCycle(Payload):
    """What Terraform adds to the input."""

    action: Literal["create", "update", "delete"] = "create"


class Stop(Payload):
    """The event.

    Attributes
    ----------
    machine_arns : state machines whose executions are stopped.
    statement_function : ARN of the function that owns the detector's statements; null if they are
        not to be cancelled.
    """

    machine_arns: tuple[str, ...]
    statement_function: str | None = None
    tf: LifeCycle = Field(default_factory=LifeCycle)


@boundary
def handler(event: Event, context: LambdaContext) -> Event:  # noqa: ARG001
    """Return what was stopped; only a delete stops anything."""
    wanted = Stop.model_validate(event)
    if wanted.tf.action != "delete":
        return Stopped().answer()
    parts = wiring()
    owner = wanted.statement_function
    answer = stop(
        [parts.executions(arn) for arn in wanted.machine_arns],
        None if owner is None else parts.function(owner),
        time.sleep,
    )
    log = logger.warning if answer.problems else logger.info
    log("stopped", extra=answer.answer())
    return answer.answer()
