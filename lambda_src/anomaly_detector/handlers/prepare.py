"""First step of the pipeline: validates the configuration document."""

from __future__ import annotations

from aws_lambda_powertools.utilities.typing import LambdaContext

from anomaly_detector.handlers._boundary import Event, boundary
from anomaly_detector.handlers._wiring import wiring
from anomaly_detector.services.payloads import Moment, Payload
from anomaly_detector.services.preparing import prepare


class Prepare(Payload):
    """The event; without a hash, the uploaded document is used."""

    config_hash: str | None = None
    execution: str
    started_at: Moment


@boundary
def handler(event: Event, context: LambdaContext) -> Event:  # noqa: ARG001
    """Return the hash, and the sample window of the query check."""
    parts = wiring()
    wanted = Prepare.model_validate(event)
    return prepare(
        parts.store,
        parts.ledger,
        wanted.config_hash,
        wanted.execution,
        wanted.started_at,
        parts.settings.redshift,
    ).answer()
