"""Attaching the UNLOAD role to a warehouse that is not ours, and taking it off again.

A cluster takes one role more or less (ModifyClusterIamRoles). A Serverless namespace takes the
whole list (UpdateNamespace), so its list is read, merged, written, and read again until the role
stands in it: another writer may have come between.
"""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from anomaly_detector.errors import PermanentError

IN_SYNC: Final = "in-sync"
# A role or policy made seconds ago may be refused for up to two minutes.
PATIENCE_SECONDS: Final = 120.0
SETTLE_SECONDS: Final = 300.0
PAUSE_SECONDS: Final = 5.0

_GONE: Final = frozenset({"ClusterNotFound", "ClusterNotFoundFault", "ResourceNotFoundException"})
_PASSING: Final = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "ConflictException",
        "InternalFailure",
        "InternalServerException",
        "InvalidClusterState",
        "InvalidClusterStateFault",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
        "UnauthorizedOperation",
        "UnrecognizedClientException",
    }
)
# Said of a role that IAM has not told everyone about yet.
_ROLE_UNKNOWN: Final = frozenset({"InvalidParameterValue", "ValidationException", "InvalidRole"})
_NAMESPACE_ROLE: Final = re.compile(r"iamRoleArn=([^,)\s]+(?:,(?!\s*applyStatus=)[^,)\s]+)*)")
_APPLY_STATUS: Final = re.compile(r"applyStatus=([\w-]+)")


class Attachment(ABC):
    """The roles of one warehouse.

    Parameters
    ----------
    sleep, clock : seconds; given so that tests need no time.
    """

    def __init__(
        self,
        name: str,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._sleep = sleep
        self._clock = clock

    def attach(self, role_arn: str) -> tuple[str, ...]:
        """Attach a role, wait until it can be used, and return all roles that are attached.

        Raises
        ------
        PermanentError
            Where the warehouse is not there, or still refuses after two minutes.
        """
        return self._reach(role_arn, wanted=True)

    def detach(self, role_arn: str) -> tuple[str, ...]:
        """Take a role off; a warehouse that is gone has none. Returns the roles that stay.

        Raises
        ------
        PermanentError
            Where the warehouse still refuses after two minutes.
        """
        return self._reach(role_arn, wanted=False)

    @abstractmethod
    def _states(self) -> dict[str, str]:
        """Each role's ARN and its state."""

    @abstractmethod
    def _change(self, role_arn: str, *, wanted: bool) -> None:
        """Ask for one role more or less, as the warehouse stood at the last `_states`."""

    def _reach(self, role_arn: str, *, wanted: bool) -> tuple[str, ...]:
        began = self._clock()
        while True:
            refusal = None
            try:
                states = self._states()
                state = states.get(role_arn)
                if state == (IN_SYNC if wanted else None):
                    return tuple(arn for arn, each in states.items() if each == IN_SYNC)
                # One that is being added or removed must come to rest before it can be changed.
                if state in {None, IN_SYNC, "failed"}:
                    self._change(role_arn, wanted=wanted)
            except ClientError as error:
                if not wanted and _code(error) in _GONE:
                    return ()
                refusal = self._judge(error)
            except BotoCoreError as error:
                refusal = str(error)
            waited = self._clock() - began
            if refusal and waited >= PATIENCE_SECONDS:
                raise PermanentError(
                    f"{self._name} refused for {waited:.0f} seconds to "
                    f"{'attach' if wanted else 'detach'} "
                    f"the role {role_arn}: {refusal}"
                )
            if waited >= SETTLE_SECONDS:
                raise PermanentError(
                    f"{self._name} did not finish to {'attach' if wanted else 'detach'} the role "
                    f"{role_arn} within "
                    f"{waited:.0f} seconds; look at its state in the console and apply again."
                )
            self._sleep(PAUSE_SECONDS)

    def _judge(self, error: ClientError) -> str:
        code = _code(error)
        message = str(error.response.get("Error", {}).get("Message", "")) or code
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if code in _GONE:
            raise PermanentError(
                f"{self._name} was not found in this account and region; check its name. "
                f"({message})"
            ) from error
        if "paused" in message.lower():
            raise PermanentError(
                f"{self._name} is paused; resume it and apply again. ({message})"
            ) from error
        full = re.search(r"at most|quota|limit|maximum", message, re.IGNORECASE)
        about_role = code in _ROLE_UNKNOWN and "role" in message.lower() and not full
        if code in _PASSING or about_role or status >= 500:
            return f"{code}: {message}"
        raise PermanentError(f"{self._name} refused the role ({code}): {message}") from error


class ClusterRoles(Attachment):
    """The roles of a provisioned cluster.

    Parameters
    ----------
    client : boto3's `redshift` client.
    """

    def __init__(
        self,
        client: Any,  # noqa: ANN401 boto3 has no types
        cluster_identifier: str,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(f"Cluster '{cluster_identifier}'", sleep, clock)
        self._client = client
        self._cluster = cluster_identifier

    def _states(self) -> dict[str, str]:
        answer = self._client.describe_clusters(ClusterIdentifier=self._cluster)
        return {
            str(role["IamRoleArn"]): str(role.get("ApplyStatus", IN_SYNC))
            for cluster in answer["Clusters"]
            for role in cluster.get("IamRoles", [])
        }

    def _change(self, role_arn: str, *, wanted: bool) -> None:
        which = {"AddIamRoles" if wanted else "RemoveIamRoles": [role_arn]}
        self._client.modify_cluster_iam_roles(ClusterIdentifier=self._cluster, **which)


class NamespaceRoles(Attachment):
    """The roles of the namespace behind a Serverless workgroup.

    Parameters
    ----------
    client : boto3's `redshift-serverless` client.
    """

    def __init__(
        self,
        client: Any,  # noqa: ANN401 boto3 has no types
        workgroup_name: str,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(f"Workgroup '{workgroup_name}'", sleep, clock)
        self._client = client
        self._workgroup = workgroup_name
        self._namespace: dict[str, Any] = {}

    def _states(self) -> dict[str, str]:
        workgroup = self._client.get_workgroup(workgroupName=self._workgroup)["workgroup"]
        answer = self._client.get_namespace(namespaceName=workgroup["namespaceName"])
        self._namespace = answer["namespace"]
        return dict(parse_namespace_role(text) for text in self._namespace.get("iamRoles", []))

    def _change(self, role_arn: str, *, wanted: bool) -> None:
        roles = [
            arn
            for arn, state in map(parse_namespace_role, self._namespace.get("iamRoles", []))
            if arn != role_arn and state != "removing"
        ]
        given: dict[str, Any] = {"iamRoles": [*roles, role_arn] if wanted else roles}
        # Without it, the API takes a list of roles as a change of the default role.
        default = self._namespace.get("defaultIamRoleArn")
        if default and default in given["iamRoles"]:
            given["defaultIamRoleArn"] = default
        self._client.update_namespace(namespaceName=self._namespace["namespaceName"], **given)


def parse_namespace_role(text: str) -> tuple[str, str]:
    """ARN and state of a role as GetNamespace gives it.

    `IamRole(applyStatus=in-sync, iamRoleArn=arn:…)`, the same with its fields in the other order,
    or the bare ARN.
    """
    arn = _NAMESPACE_ROLE.search(text)
    if arn is None:
        return text, IN_SYNC
    state = _APPLY_STATUS.search(text)
    return arn.group(1), state.group(1) if state else IN_SYNC


def _code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))
