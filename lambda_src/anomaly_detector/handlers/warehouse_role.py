"""Attaches the UNLOAD role to the warehouse at apply and takes it off at destroy (Terraform's
CRUD life cycle).
"""

from __future__ import annotations

from typing import Literal

from aws_lambda_powertools.utilities.typing import LambdaContext
from pydantic import Field

from anomaly_detector.handlers._boundary import Event, boundary
from anomaly_detector.handlers._wiring import wiring
from anomaly_detector.services.payloads import Payload


class Place(Payload):
    """A role, and the warehouse that it is attached to."""

    cluster_identifier: str | None = None
    workgroup_name: str | None = None
    role_arn: str


class LifeCycle(Payload):
    """What Terraform adds to the input."""

    action: Literal["create", "update", "delete"] = "create"
    prev_input: Place | None = None


class Attach(Place):
    """The event."""

    tf: LifeCycle = Field(default_factory=LifeCycle)


@boundary
def handler(event: Event, context: LambdaContext) -> Event:  # noqa: ARG001
    """Answer the roles that are attached afterwards."""
    parts = wiring()
    wanted = Attach.model_validate(event)
    here = parts.attachment(wanted.cluster_identifier, wanted.workgroup_name)
    if wanted.tf.action == "delete":
        return {"attached": list(here.detach(wanted.role_arn))}
    before = wanted.tf.prev_input
    if before is not None and before != Place(**wanted.model_dump(exclude={"tf"})):
        there = parts.attachment(before.cluster_identifier, before.workgroup_name)
        there.detach(before.role_arn)
    return {"attached": list(here.attach(wanted.role_arn))}
