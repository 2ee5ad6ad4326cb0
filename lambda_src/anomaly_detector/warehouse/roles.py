"""Attaching the UNLOAD role to a warehouse that is not ours, and detaching it again.

A cluster takes one role more or less (ModifyClusterIamRoles). A Serverless namespace takes the
whole list (UpdateNamespace), so its list is read, merged, written, and read again until the role
stands in it: another writer may have come between.
"""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from anomaly_detector.errors import PermanentError

IN_SYNC: Final = "in-sync"
# A role or policy made seconds ago may be refused for up to two minutes.
ACCESS_SECONDS: Final = 120.0
# What a caller without a limit of its own waits for a warehouse that is being changed.
STATE_SECONDS: Final = 840.0
PAUSE_SECONDS: Final = 5.0

_GONE: Final = frozenset({"ClusterNotFound", "ClusterNotFoundFault", "ResourceNotFoundException"})
_ACCESS: Final = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "UnauthorizedOperation",
        "UnrecognizedClientException",
    }
)
_STATE: Final = frozenset(
    {
        "ConflictException",
        "InternalFailure",
        "InternalServerException",
        "InvalidClusterState",
        "InvalidClusterStateFault",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
# Said of a role that IAM has not told everyone about yet.
_ROLE_UNKNOWN: Final = frozenset({"InvalidParameterValue", "ValidationException", "InvalidRole"})
_PASS_ROLE: Final = re.compile(r"iam:PassRole on resource: (\S+)")
_SERVER_FAULT: Final = 500
# Redshift attaches its service-linked role by itself, and refuses it in a list that is sent.
_SERVICE_LINKED: Final = ":role/aws-service-role/"
_NAMESPACE_ROLE: Final = re.compile(r"iamRoleArn=([^,)\s]+(?:,(?!\s*applyStatus=)[^,)\s]+)*)")
_APPLY_STATUS: Final = re.compile(r"applyStatus=([\w-]+)")


@dataclass(frozen=True)
class Attached:
    """The roles that are attached (in sync) afterwards, and whether that took a change."""

    roles: tuple[str, ...]
    changed: bool


@dataclass(frozen=True)
class _Seen:
    """A warehouse as it stands: each role's ARN and state."""

    roles: Mapping[str, str] = field(default_factory=dict)
    paused: bool = False
    leaving: bool = False  # it is being deleted
    ready: bool = True  # its roles can be changed, as far as can be seen


@dataclass(frozen=True)
class _Tried:
    """What one attempt came to."""

    roles: tuple[str, ...] | None = None  # attached at the end: it is as it was wanted
    asked: bool = False  # a change was taken
    refused: str = ""  # access was refused, and why
    busy: str = ""  # what a warehouse said that is being changed


class Attachment(ABC):
    """The roles of one warehouse.

    Parameters
    ----------
    name : what messages call it.
    sleep, clock : seconds; given so that tests need no time.
    """

    def __init__(
        self,
        name: str,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._sleep = sleep
        self._clock = clock

    def attach(self, role_arn: str, seconds: float = STATE_SECONDS) -> Attached:
        """Attach a role and wait until it can be used.

        Parameters
        ----------
        seconds : how long to wait for a warehouse that is being changed. Refused access is waited
            for two minutes at most.

        Raises
        ------
        PermanentError
            Where the warehouse is not there, is paused, or still refuses at the end.
        """
        return self._reach(role_arn, seconds, wanted=True)

    def detach(self, role_arn: str, seconds: float = STATE_SECONDS) -> Attached:
        """Detach a role; a warehouse that is gone has none.

        Parameters
        ----------
        seconds : as for `attach`.

        Raises
        ------
        PermanentError
            Where the warehouse is paused, or still refuses at the end.
        """
        return self._reach(role_arn, seconds, wanted=False)

    @abstractmethod
    def _look(self) -> _Seen:
        """The warehouse as it stands."""

    @abstractmethod
    def _change(self, role_arn: str, *, wanted: bool) -> None:
        """Ask for one role more or less, as the warehouse stood at the last `_look`."""

    def _reach(self, role_arn: str, seconds: float, *, wanted: bool) -> Attached:
        began = self._clock()
        refused_since: float | None = None
        changed = False
        while True:
            tried = self._attempt(role_arn, wanted=wanted)
            changed = changed or tried.asked
            if tried.roles is not None:
                return Attached(tried.roles, changed)
            now = self._clock()
            if not tried.refused:
                refused_since = None
            elif refused_since is None:
                refused_since = now
            refused = 0.0 if refused_since is None else now - refused_since
            late = now - began + PAUSE_SECONDS > seconds
            verb = "attach" if wanted else "detach"
            if tried.refused and (late or refused >= ACCESS_SECONDS):
                raise PermanentError(
                    f"{self.name} refused for {refused:.0f} seconds to {verb} the role "
                    f"{role_arn}: {tried.refused}"
                )
            if late:
                raise PermanentError(
                    f"{self.name} was not ready to {verb} the role {role_arn} within "
                    f"{now - began:.0f} seconds: another change of it goes on. Try again when it "
                    f"has ended.{f' ({tried.busy})' if tried.busy else ''}"
                )
            self._sleep(PAUSE_SECONDS)

    def _attempt(self, role_arn: str, *, wanted: bool) -> _Tried:
        try:
            seen = self._look()
            state = seen.roles.get(role_arn)
            if seen.leaving and not wanted:
                return _Tried(roles=())
            if state == (IN_SYNC if wanted else None):
                return _Tried(
                    roles=tuple(arn for arn, each in seen.roles.items() if each == IN_SYNC)
                )
            if seen.paused:
                raise PermanentError(f"{self.name} is paused: resume it, then try again.")
            if seen.leaving:
                raise PermanentError(f"{self.name} is being deleted.")
            # A role that is being added or removed must come to rest before it can be changed.
            if not seen.ready or state not in {None, IN_SYNC, "failed"}:
                return _Tried()
            self._change(role_arn, wanted=wanted)
            return _Tried(asked=True)
        except ClientError as error:
            if not wanted and _code(error) in _GONE:
                return _Tried(roles=())
            return self._judge(error, role_arn, wanted=wanted)
        except ParamValidationError as error:
            raise PermanentError(f"{self.name}: AWS cannot take this: {error}") from error
        except BotoCoreError as error:
            return _Tried(busy=str(error))

    def _judge(self, error: ClientError, role_arn: str, *, wanted: bool) -> _Tried:
        code = _code(error)
        message = str(error.response.get("Error", {}).get("Message", "")) or code
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
        if code in _GONE:
            raise PermanentError(
                f"{self.name} was not found in this account and region; check its name. ({message})"
            ) from error
        if re.search(r"\bpaused\b", message, re.IGNORECASE):
            raise PermanentError(
                f"{self.name} is paused: resume it, then try again. ({message})"
            ) from error
        if code in _STATE or status >= _SERVER_FAULT:
            return _Tried(busy=f"{code}: {message}")
        full = re.search(r"at most|quota|limit|maximum", message, re.IGNORECASE)
        about_role = wanted and code in _ROLE_UNKNOWN and "role" in message.lower() and not full
        if code not in _ACCESS and not about_role:
            raise PermanentError(f"{self.name} refused the role ({code}): {message}") from error
        passed = _PASS_ROLE.search(message)
        advice = (
            f" {self.name} also has the role {passed.group(1)}, which was attached after the last "
            "apply: apply again, so that it may be passed on with the others."
            if passed and passed.group(1) != role_arn
            else ""
        )
        return _Tried(refused=f"{code}: {message}{advice}")


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

    def _look(self) -> _Seen:
        answer = self._client.describe_clusters(ClusterIdentifier=self._cluster)
        cluster = answer["Clusters"][0]
        status = str(cluster.get("ClusterStatus", ""))
        return _Seen(
            roles={
                str(role["IamRoleArn"]): str(role.get("ApplyStatus", IN_SYNC))
                for role in cluster.get("IamRoles", [])
            },
            paused=status == "paused",
            leaving=status in ("deleting", "final-snapshot"),
        )

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

    def _look(self) -> _Seen:
        workgroup = self._client.get_workgroup(workgroupName=self._workgroup)["workgroup"]
        answer = self._client.get_namespace(namespaceName=workgroup["namespaceName"])
        self._namespace = answer["namespace"]
        status = str(self._namespace.get("status", ""))
        return _Seen(
            roles=dict(parse_namespace_role(text) for text in self._namespace.get("iamRoles", [])),
            leaving=status == "DELETING",
            # A list that is written while another one is being applied could undo it.
            ready=status != "MODIFYING",
        )

    def _change(self, role_arn: str, *, wanted: bool) -> None:
        others = [
            arn
            for arn, state in map(parse_namespace_role, self._namespace.get("iamRoles", []))
            if arn != role_arn and state != "removing" and _SERVICE_LINKED not in arn
        ]
        roles = [*others, role_arn] if wanted else others
        # The API takes both together: a list without the default role is refused, and an empty
        # text stands for none.
        default = str(self._namespace.get("defaultIamRoleArn") or "")
        self._client.update_namespace(
            namespaceName=self._namespace["namespaceName"],
            iamRoles=roles,
            defaultIamRoleArn=default if default in roles else "",
        )


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
