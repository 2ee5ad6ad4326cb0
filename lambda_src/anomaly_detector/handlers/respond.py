"""Takes what people say to events: the commands and the console call it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field, TypeAdapter

from anomaly_detector.handlers._boundary import Event, boundary
from anomaly_detector.handlers._wiring import wiring
from anomaly_detector.observability import logger
from anomaly_detector.services import documents, muting, pressing
from anomaly_detector.services.payloads import Payload

By = Annotated[str, Field(max_length=200)]


class MuteThem(Payload):
    """Hold back alerts; `mute` has the keys of the configuration's mutes."""

    action: Literal["mute"]
    mute: dict[str, Any]
    by: By | None = None


class Unmute(Payload):
    """End a mute now."""

    action: Literal["unmute"]
    id: str


class ListMutes(Payload):
    """List mutes; those that have ended, too, if `ended`."""

    action: Literal["mutes"]
    ended: bool = False


_EVENT: TypeAdapter[MuteThem | Unmute | ListMutes] = TypeAdapter(
    Annotated[MuteThem | Unmute | ListMutes, Field(discriminator="action")]
)


@boundary
def handler(event: Event, context: LambdaContext) -> Event:  # noqa: ARG001
    """Return the mute, or the list of mutes; to a button of the dashboard, a sentence."""
    now = datetime.now(UTC)
    if pressing.is_press(event):
        return pressing.answered(event, now, lambda asked: _answer(asked, now))
    return _answer(event, now)


def _answer(event: Event, now: datetime) -> Event:
    wanted = _EVENT.validate_python(event)
    parts = wiring()
    answer: Event
    if isinstance(wanted, MuteThem):
        config = documents.in_force(parts.store, parts.ledger)
        answer = muting.mute(parts.ledger, config, wanted.mute, wanted.by, now)
    elif isinstance(wanted, Unmute):
        answer = muting.unmute(parts.ledger, wanted.id, now)
    else:
        answer = {"mutes": muting.listed(parts.ledger, now, ended=wanted.ended)}
    logger.info(wanted.action, extra={"answered": answer.get("id")})
    return answer
