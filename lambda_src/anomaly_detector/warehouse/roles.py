"""Attach the UNLOAD role to an existing warehouse, and detach it.

A cluster accepts a single role to add or remove (ModifyClusterIamRoles). A Serverless namespace
accepts only the complete list (UpdateNamespace), so its list is read, merged, written, and read
again until it contains the role, because there may be concurrent changes.
"""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from anomaly_detector import aws_faults
from anomaly_detector.errors import PermanentError

IN_SYNC: Final = "in-sync"
# A new role or policy may be refused for up to two minutes, until it has propagated.
ACCESS_SECONDS: Final = 120.0
# Default wait for a warehouse that is being changed.
STATE_SECONDS: Final = 840.0
PAUSE_SECONDS: Final = 5.0

_PASS_ROLE: Final = re.compile(r"iam:PassRole on resource: (\S+)")
# Redshift attaches its service-linked role itself, and rejects it in the list of a request.
_SERVICE_LINKED: Final = ":role/aws-service-role/"
_NAMESPACE_ROLE: Final = re.compile(r"iamRoleArn=([^,)\s]+(?:,(?!\s*applyStatus=)[^,)\s]+)*)")
_APPLY_STATUS: Final = re.compile(r"applyStatus=([\w-]+)")


@dataclass(frozen=True)
class Attached:
    """The roles that are attached (in sync) afterwards, and whether a change was necessary."""

    roles: tuple[str, ...]
    changed: bool


@dataclass(frozen=True)
class _Seen:
    """Current state of a warehouse: ARN and state of each role."""

    roles: Mapping[str, str] = field(default_factory=dict)
    paused: bool = False
    leaving: bool = False  # it is being deleted
    ready: bool = True  # its roles can be changed, as far as is known


@dataclass(frozen=True)
class _Tried:
    """Result of one attempt."""

    roles: tuple[str, ...] | None = None  # attached roles, if the wanted state is reached
    asked: bool = False  # a change was accepted
    refused: str = ""  # reason why access was denied
    busy: str = ""  # error of a warehouse that is being changed


class Attachment(ABC):
    """The roles of one warehouse.

    Parameters
    ----------
    name : name of the warehouse in messages.
    sleep, clock : seconds; parameters so that tests need not wait.
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
        seconds : maximum wait for a warehouse that is being changed; for denied access it is two
            minutes.

        Raises
        ------
        PermanentError
            If the warehouse does not exist, is paused, or still rejects the change at the end.
        """
        return self._reach(role_arn, seconds, wanted=True)

    def detach(self, role_arn: str, seconds: float = STATE_SECONDS) -> Attached:
        """Detach a role; a deleted warehouse has no roles.

        Parameters
        ----------
        seconds : as for `attach`.

        Raises
        ------
        PermanentError
            If the warehouse is paused, or still rejects the change at the end.
        """
        return self._reach(role_arn, seconds, wanted=False)

    @abstractmethod
    def _look(self) -> _Seen:
        """Current state of the warehouse."""

    @abstractmethod
    def _change(self, role_arn: str, *, wanted: bool) -> None:
        """Request to add or remove one role, based on the state at the last `_look`."""

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
                    f"{self.name} rejected {verb}ing the role {role_arn} for {refused:.0f} "
                    f"seconds: {tried.refused}"
                )
            if late:
                raise PermanentError(
                    f"{self.name} was not ready to {verb} the role {role_arn} within "
                    f"{now - began:.0f} seconds, because another change is in progress. Try again "
                    f"when it has ended.{f' ({tried.busy})' if tried.busy else ''}"
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
                raise PermanentError(
                    f"{self.name} is being deleted: configure another warehouse, or destroy the "
                    "detector."
                )
            # A role that is being added or removed cannot be changed until that has ended.
            if not seen.ready or state not in {None, IN_SYNC, "failed"}:
                return _Tried()
            self._change(role_arn, wanted=wanted)
            return _Tried(asked=True)
        except ClientError as error:
            if not wanted and aws_faults.is_gone(error):
                return _Tried(roles=())
            return self._judge(error, role_arn, wanted=wanted)
        except ParamValidationError as error:
            raise PermanentError(f"{self.name}: the request is invalid: {error}") from error
        except BotoCoreError as error:
            return _Tried(busy=str(error))

    def _judge(self, error: ClientError, role_arn: str, *, wanted: bool) -> _Tried:
        code, message = aws_faults.code(error), aws_faults.message(error)
        if aws_faults.is_gone(error):
            raise PermanentError(
                f"{self.name} was not found in this account and region; check its name. ({message})"
            ) from error
        if re.search(r"\bpaused\b", message, re.IGNORECASE):
            raise PermanentError(
                f"{self.name} is paused: resume it, then try again. ({message})"
            ) from error
        denied = aws_faults.is_denied(error)
        if aws_faults.is_transient(error) and not denied:
            return _Tried(busy=f"{code}: {message}")
        full = re.search(r"at most|quota|limit|maximum", message, re.IGNORECASE)
        about_role = wanted and aws_faults.is_role_unknown(error) and "role" in message.lower()
        if not denied and (full or not about_role):
            raise PermanentError(f"{self.name} rejected the role ({code}): {message}") from error
        passed = _PASS_ROLE.search(message)
        advice = (
            f" {self.name} also has the role {passed.group(1)}, which was attached after the last "
            "apply: apply again to grant permission to pass it."
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
            # Writing the list during another change could undo that change.
            ready=status != "MODIFYING",
        )

    def _change(self, role_arn: str, *, wanted: bool) -> None:
        others = [
            arn
            for arn, state in map(parse_namespace_role, self._namespace.get("iamRoles", []))
            if arn != role_arn and state != "removing" and _SERVICE_LINKED not in arn
        ]
        roles = [*others, role_arn] if wanted else others
        # The API requires both together: a list without the default role is rejected; an empty
        # text means no default role.
        default = str(self._namespace.get("defaultIamRoleArn") or "")
        self._client.update_namespace(
            namespaceName=self._namespace["namespaceName"],
            iamRoles=roles,
            defaultIamRoleArn=default if default in roles else "",
        )


def parse_namespace_role(text: str) -> tuple[str, str]:
    """ARN and state of a role as returned by GetNamespace.

    `IamRole(applyStatus=in-sync, iamRoleArn=arn:…)`, the same with the fields in the other order,
    or only the ARN.
    """
    arn = _NAMESPACE_ROLE.search(text)
    if arn is None:
        return text, IN_SYNC
    state = _APPLY_STATUS.search(text)
    return arn.group(1), state.group(1) if state else IN_SYNC
