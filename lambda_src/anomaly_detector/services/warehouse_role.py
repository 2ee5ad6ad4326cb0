"""Keep the module's UNLOAD role attached to the warehouse, and detach it from a previous one.

Attaching raises errors. Detaching does not: a warehouse that is paused, deleted or unreachable must
not block moving or destroying a detector, so a role that stays attached is only reported.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Self

from botocore.exceptions import BotoCoreError, ClientError

from anomaly_detector.errors import PermanentError
from anomaly_detector.observability import logger
from anomaly_detector.services.payloads import Payload
from anomaly_detector.services.topic import Topic
from anomaly_detector.settings import Settings
from anomaly_detector.warehouse.roles import Attachment


class Place(Payload):
    """A role, and the warehouse that it is attached to."""

    cluster_identifier: str | None = None
    workgroup_name: str | None = None
    role_arn: str

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """The module's role and warehouse; None if it uses an existing role."""
        redshift, role = settings.redshift, settings.attached_role_arn
        if role is None:
            return None
        return cls(
            cluster_identifier=redshift.cluster_identifier,
            workgroup_name=redshift.workgroup_name,
            role_arn=role,
        )


class RoleReport(Payload):
    """What was done.

    Attributes
    ----------
    roles : roles that are attached afterwards, in sync.
    changed : whether the role had to be attached or detached.
    left : why the role could not be detached, and what to do; None if it is detached.
    """

    roles: tuple[str, ...] = ()
    changed: bool = False
    left: str | None = None


Roles = Callable[[Place], Attachment]


def attach(
    roles: Roles,
    place: Place,
    seconds: float,
    operations: Topic,
    detector_name: str,
    execution: str | None = None,
) -> RoleReport:
    """Attach the role if it is not attached.

    Parameters
    ----------
    seconds : maximum wait for a warehouse that is being changed.
    execution : execution whose statement failed without the role; None at apply. If given, a
        notification says who may have detached the role.

    Raises
    ------
    PermanentError
        If the role could not be attached.
    """
    warehouse = roles(place)
    found = warehouse.attach(place.role_arn, seconds)
    if execution is not None and found.changed:
        _tell(
            operations,
            f"{detector_name}: role attached again",
            f"The role {place.role_arn} of detector {detector_name} was no longer attached to "
            f"{warehouse.name}, so that nothing could be unloaded. It has been attached again. If "
            "another stack manages the warehouse's role list (iam_roles), add this role to that "
            "list; otherwise its next apply detaches the role again.",
            {
                "detector": detector_name,
                "role": place.role_arn,
                "warehouse": warehouse.name,
                "execution": execution,
            },
        )
    return RoleReport(roles=found.roles, changed=found.changed)


def detach(
    roles: Roles, place: Place, seconds: float, operations: Topic, detector_name: str
) -> RoleReport:
    """Detach the role; if that is impossible, report it and leave the role attached.

    Parameters
    ----------
    place : where it was attached; its warehouse is no longer in the environment.
    seconds : maximum wait for a warehouse that is being changed.

    Raises
    ------
    PermanentError
        If it is not this detector's role: others' roles are not for us to detach.
    """
    own = f"{detector_name}-unload"
    if place.role_arn.rpartition("/")[2] != own:
        raise PermanentError(
            f"Only the role {own} of this detector is detached; got {place.role_arn}."
        )
    warehouse = roles(place)
    try:
        found = warehouse.detach(place.role_arn, seconds)
    except PermanentError as error:
        left = (
            f"The role {place.role_arn} could not be detached from {warehouse.name}, which no "
            "longer needs it; detach it manually, unless the warehouse has been deleted. "
            f"{error}"
        )
        _tell(
            operations,
            f"{detector_name}: role not detached",
            left,
            {"detector": detector_name, "role": place.role_arn, "warehouse": warehouse.name},
        )
        return RoleReport(left=left)
    return RoleReport(roles=found.roles, changed=found.changed)


def _tell(operations: Topic, subject: str, text: str, facts: dict[str, object]) -> None:
    logger.warning(text)
    try:
        operations.publish(subject, text, facts)
    except (BotoCoreError, ClientError) as error:
        # The topic may be deleted with the detector; the result contains the report as well.
        logger.warning("the operations topic could not be notified", extra={"reason": str(error)})
