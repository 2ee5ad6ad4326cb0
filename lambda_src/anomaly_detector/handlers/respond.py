"""Takes what people say to events: the commands and the console call it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field, TypeAdapter

from anomaly_detector.handlers._boundary import Event, boundary
from anomaly_detector.handlers._wiring import wiring
from anomaly_detector.observability import logger
from anomaly_detector.services import documents, feedback, muting, pressing
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


class Feedback(Payload):
    """Say whether an event was an anomaly, or the series of it with these dimension values."""

    action: Literal["feedback"]
    group_id: str
    is_anomaly: bool
    series: dict[str, str] | None = None
    by: By | None = None


class Undo(Payload):
    """End an answer."""

    action: Literal["undo"]
    id: str


class ListFeedback(Payload):
    """List answers; those that have ended, too, if `ended`."""

    action: Literal["answers"]
    ended: bool = False


Wanted = MuteThem | Unmute | ListMutes | Feedback | Undo | ListFeedback
_EVENT: TypeAdapter[Wanted] = TypeAdapter(Annotated[Wanted, Field(discriminator="action")])


@boundary
def handler(event: Event, context: LambdaContext) -> Event:  # noqa: ARG001
    """Return the mute or the answer, or the list; to a button of the dashboard, a sentence."""
    now = datetime.now(UTC)
    if pressing.is_press(event):
        return pressing.answered(event, now, lambda asked: _answer(asked, now))
    return _answer(event, now)


def _answer(event: Event, now: datetime) -> Event:
    wanted = _EVENT.validate_python(event)
    parts = wiring()
    ledger = parts.ledger
    answer: Event
    if isinstance(wanted, Unmute):
        answer = muting.unmute(ledger, wanted.id, now)
    elif isinstance(wanted, ListMutes):
        answer = {"mutes": muting.listed(ledger, now, ended=wanted.ended)}
    else:
        config = documents.in_force(parts.store, ledger)
        if isinstance(wanted, MuteThem):
            answer = muting.mute(ledger, config, wanted.mute, wanted.by, now)
        elif isinstance(wanted, Feedback):
            said = (wanted.group_id, wanted.is_anomaly, wanted.series, wanted.by)
            answer = feedback.give(ledger, config, *said, now)
        elif isinstance(wanted, Undo):
            answer = feedback.undo(ledger, config, wanted.id, now)
        else:
            answer = {"answers": feedback.listed(ledger, config, ended=wanted.ended)}
    logger.info(wanted.action, extra={"answered": answer.get("id")})
    return answer
