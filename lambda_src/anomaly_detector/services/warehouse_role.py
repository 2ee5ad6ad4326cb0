"""Keeps the module's UNLOAD role attached to the warehouse, and detaches it from one that is left.

Attaching fails loudly. Detaching never does: whoever moves or destroys a detector shall not be held
up by a warehouse that is paused, deleted or out of reach, so what stays behind is reported.
"""

from __future__ import annotations

from collections.abc import Callable

from botocore.exceptions import BotoCoreError, ClientError

from anomaly_detector.errors import PermanentError
from anomaly_detector.observability import logger
from anomaly_detector.services.payloads import Payload
from anomaly_detector.services.topic import Topic
from anomaly_detector.warehouse.roles import Attachment


class Place(Payload):
    """A role, and the warehouse that it is attached to."""

    cluster_identifier: str | None = None
    workgroup_name: str | None = None
    role_arn: str


class RoleReport(Payload):
    """What was done.

    Attributes
    ----------
    roles : the roles that are attached afterwards, in sync.
    changed : whether a role had to be attached or detached.
    left : why a role could not be detached, and what to do; None where nothing is left behind.
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
    """Attach the role where it is not.

    Parameters
    ----------
    seconds : how long to wait for a warehouse that is being changed.
    execution : of the state machine whose statement failed without the role; None at apply. Then
        the operators are told who may have detached it.

    Raises
    ------
    PermanentError
        Where the role could not be attached.
    """
    warehouse = roles(place)
    found = warehouse.attach(place.role_arn, seconds)
    if execution is not None and found.changed:
        _tell(
            operations,
            f"{detector_name}: role attached again",
            f"{warehouse.name} had lost the role {place.role_arn} of detector {detector_name}, so "
            "that nothing could be unloaded. It is attached again. If another stack lists the "
            "warehouse's roles (iam_roles), add this one there: its next apply detaches it "
            "otherwise.",
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
    """Detach the role; where that cannot be done, say so and leave it.

    Parameters
    ----------
    seconds : how long to wait for a warehouse that is being changed.
    """
    warehouse = roles(place)
    try:
        found = warehouse.detach(place.role_arn, seconds)
    except PermanentError as error:
        left = (
            f"The role {place.role_arn} could not be detached from {warehouse.name}, where it is "
            f"of no use any more; detach it by hand, unless the warehouse is gone. {error}"
        )
        _tell(
            operations,
            f"{detector_name}: role left behind",
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
        # The topic may be on its way out with the detector; the report is in the answer as well.
        logger.warning("the operations topic could not be told", extra={"reason": str(error)})
