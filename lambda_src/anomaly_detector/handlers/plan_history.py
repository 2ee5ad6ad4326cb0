"""Plans the history chunks to unload, and whether to train a model."""

from __future__ import annotations

from aws_lambda_powertools.utilities.typing import LambdaContext

from anomaly_detector.handlers._boundary import Event, boundary
from anomaly_detector.handlers._wiring import wiring
from anomaly_detector.services.history import plan_history
from anomaly_detector.services.payloads import Counted, Moment, Payload, Retraining


class PlanHistory(Payload):
    """The event; `input` is that of the execution."""

    config_hash: str
    started_at: Moment
    counted: Counted | None = None
    input: Retraining = Retraining()


@boundary
def handler(event: Event, context: LambdaContext) -> Event:  # noqa: ARG001
    """Return the plan."""
    parts = wiring()
    wanted = PlanHistory.model_validate(event)
    return plan_history(
        parts.store,
        parts.ledger,
        wanted.config_hash,
        wanted.started_at,
        wanted.counted,
        wanted.input,
    ).answer()
