"""Attaches the UNLOAD role to the warehouse at apply, and again if a statement fails without it;
detaches it from the previous warehouse if another one is configured, and at destroy (Terraform's
CRUD life cycle).
"""

from __future__ import annotations

from typing import Annotated, Literal

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field, TypeAdapter

from anomaly_detector.handlers._boundary import Event, boundary
from anomaly_detector.handlers._wiring import wiring
from anomaly_detector.services.payloads import Payload
from anomaly_detector.services.warehouse_role import Place, RoleReport, attach, detach

# Part of the function's time that is reserved for a last call and the response.
_MARGIN_SECONDS = 30.0


class Attach(Payload):
    """Attach the role of the environment to the warehouse of the environment, whatever else the
    event says.
    """

    action: Literal["attach"]
    execution: str | None = None


class Before(Payload):
    """The previous input."""

    place: Place | None = None


class LifeCycle(Payload):
    """What Terraform adds to the input."""

    action: Literal["create", "update", "delete"]
    prev_input: Before | None = None


class Detach(Payload):
    """Detach the role from the previous warehouse, or at destroy from the current one."""

    action: Literal["detach"]
    place: Place
    tf: LifeCycle

    @property
    def left(self) -> Place | None:
        """What to detach from, if anything."""
        if self.tf.action == "delete":
            return self.place
        before = self.tf.prev_input.place if self.tf.prev_input else None
        return before if self.tf.action == "update" and before != self.place else None


_EVENT: TypeAdapter[Attach | Detach] = TypeAdapter(
    Annotated[Attach | Detach, Field(discriminator="action")]
)


@boundary
def handler(event: Event, context: LambdaContext) -> Event:
    """Return the roles that are attached afterwards, and what could not be detached."""
    parts = wiring()
    wanted = _EVENT.validate_python(event)
    seconds = context.get_remaining_time_in_millis() / 1000 - _MARGIN_SECONDS
    name, operations = parts.settings.detector_name, parts.operations
    report = RoleReport()
    if isinstance(wanted, Attach):
        place = Place.of(parts.settings)
        if place is not None:
            report = attach(parts.attachment, place, seconds, operations, name, wanted.execution)
    elif wanted.left is not None:
        report = detach(parts.attachment, wanted.left, seconds, operations, name)
    return report.answer()
