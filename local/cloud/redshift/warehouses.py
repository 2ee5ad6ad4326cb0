"""Clusters and serverless workgroups: names, ARNs, databases, attached roles."""

# ruff: noqa: ANN401 - options come from JSON

from __future__ import annotations

import shutil
import threading
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from local.cloud.identity import Caller
from local.cloud.redshift.engine import Database

WarehouseKind = Literal["cluster", "workgroup"]
MAX_ROLES = 50
SERVICE_LINKED = ":role/aws-service-role/"
# What ClusterStatus may say; "maintenance" is told by ClusterAvailabilityStatus beside "available".
STATUSES = (
    "available",
    "creating",
    "deleting",
    "maintenance",
    "modifying",
    "paused",
    "pausing",
    "rebooting",
    "resizing",
    "resuming",
)


@dataclass
class Attachment:
    """A role on its way on or off a warehouse; at `until` (epoch seconds) it has arrived."""

    arn: str
    since: float
    until: float
    leaving: bool = False


@dataclass
class Namespace:
    """A namespace that was made by the API; its warehouse exists as long as it has a workgroup.

    Attributes
    ----------
    given : what it was made with, in the API's own names.
    secret_arn : the administrator's secret, where Redshift manages the password.
    """

    name: str
    account: str
    region: str
    given: dict[str, Any]
    password: str
    secret_arn: str = ""
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))
    created: float = field(default_factory=time.time)

    @property
    def user(self) -> str:
        return str(self.given.get("adminUsername") or "admin")

    @property
    def arn(self) -> str:
        return f"arn:aws:redshift-serverless:{self.region}:{self.account}:namespace/{self.uid}"


@dataclass
class Group:
    """A subnet group or parameter group of clusters.

    Attributes
    ----------
    given : what it was made with, in the API's own names.
    parameters : those that were set, of a parameter group.
    """

    name: str
    given: dict[str, str]
    parameters: dict[str, str] = field(default_factory=dict)


@dataclass
class Warehouse:
    """One provisioned cluster, or one workgroup with its namespace."""

    kind: WarehouseKind
    identifier: str
    account: str
    region: str
    folder: Path
    attach_seconds: float
    user: str = "awsuser"
    password: str = "Local-cloud-1"
    default_database: str = "dev"
    namespace: str = ""
    uid: str = field(default_factory=lambda: str(uuid.uuid4()))
    namespace_uid: str = field(default_factory=lambda: str(uuid.uuid4()))
    status: str = "available"
    available_at: float | None = None
    max_active: int = 500
    # Of a warehouse that was made by the API: what it was made with, in the API's own names.
    given: dict[str, Any] = field(default_factory=dict)
    default_role: str = ""
    attachments: dict[str, Attachment] = field(default_factory=dict)
    databases: dict[str, Database] = field(default_factory=dict)
    created: float = field(default_factory=time.time)
    lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self.be(self.status)
        self.namespace = self.namespace or f"{self.identifier}-namespace"
        self.add_database(self.default_database)

    @property
    def arn(self) -> str:
        """What IAM policies name: the cluster, or the workgroup."""
        if self.kind == "cluster":
            return f"arn:aws:redshift:{self.region}:{self.account}:cluster:{self.identifier}"
        return f"arn:aws:redshift-serverless:{self.region}:{self.account}:workgroup/{self.uid}"

    @property
    def namespace_arn(self) -> str:
        service = "redshift" if self.kind == "cluster" else "redshift-serverless"
        joint = ":" if self.kind == "cluster" else "/"
        return (
            f"arn:aws:{service}:{self.region}:{self.account}:namespace{joint}{self.namespace_uid}"
        )

    @property
    def source_arn(self) -> str:
        """What assumes a role for UNLOAD: the cluster, or the namespace."""
        return self.arn if self.kind == "cluster" else self.namespace_arn

    def user_arn(self, user: str) -> str:
        return f"arn:aws:redshift:{self.region}:{self.account}:dbuser:{self.identifier}/{user}"

    def database_arn(self, database: str) -> str:
        return f"arn:aws:redshift:{self.region}:{self.account}:dbname:{self.identifier}/{database}"

    def add_database(self, name: str) -> Database:
        with self.lock:
            if name not in self.databases:
                self.databases[name] = Database(name, self.folder / f"{name}.duckdb")
            return self.databases[name]

    def database(self, name: str | None = None) -> Database:
        """Return a database; raises LookupError where there is none of that name."""
        with self.lock:
            name = name or self.default_database
            if name not in self.databases:
                raise LookupError(f'database "{name}" does not exist')
            return self.databases[name]

    def be(self, status: str, seconds: float | None = None) -> None:
        """Take a status; after some seconds, where they are given, it is available again."""
        if status not in STATUSES:
            raise ValueError(f"a warehouse's status is one of {', '.join(STATUSES)}")
        with self.lock:
            self.status = status
            self.available_at = None if seconds is None else time.time() + seconds

    def status_now(self) -> str:
        with self.lock:
            if self.available_at is not None and time.time() >= self.available_at:
                self.status, self.available_at = "available", None
            return self.status

    def changes(self) -> bool:
        """Whether something is under way that AWS lets end before the next change."""
        states = self.role_states()
        return self.status_now() != "available" or any(
            state != "in-sync" for state in states.values()
        )

    def role_states(self) -> dict[str, str]:
        """Return the attached roles with ``adding``, ``in-sync`` or ``removing``."""
        now = time.time()
        with self.lock:
            for arn, each in list(self.attachments.items()):
                if each.leaving and now >= each.until:
                    del self.attachments[arn]
            return {
                arn: "removing" if each.leaving else ("in-sync" if now >= each.until else "adding")
                for arn, each in self.attachments.items()
            }

    def attached_since(self, arn: str) -> float | None:
        with self.lock:
            found = self.attachments.get(arn)
            return found.since if found else None

    def attach(self, *arns: str) -> None:
        with self.lock:
            for arn in arns:
                found = self.attachments.get(arn)
                if found is None or found.leaving:
                    self.attachments[arn] = self._attachment(arn)

    def _attachment(self, arn: str, *, leaving: bool = False) -> Attachment:
        now = time.time()
        return Attachment(arn, now, now + self.attach_seconds, leaving)

    def detach(self, *arns: str) -> None:
        with self.lock:
            for arn in arns:
                found = self.attachments.get(arn)
                if found is not None and not found.leaving:
                    self.attachments[arn] = self._attachment(arn, leaving=True)
                if self.default_role == arn:
                    self.default_role = ""

    def change(self, **values: Any) -> None:
        """Change what the admin interface may change."""
        with self.lock:
            for name, value in values.items():
                if name == "roles":
                    self.detach(*(set(self.attachments) - set(value)))
                    self.attach(*value)
                    for each in self.attachments.values():
                        each.until = each.since
                elif name == "database":
                    self.add_database(value)
                elif name == "status":
                    self.be(value, values.get("status_seconds"))
                elif name in (
                    "password",
                    "user",
                    "max_active",
                    "default_role",
                    "attach_seconds",
                ):
                    setattr(self, name, value)
                elif name != "status_seconds":
                    raise ValueError(f"a warehouse has no {name} that can be changed")

    def describe(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "identifier": self.identifier,
            "arn": self.arn,
            "namespace": self.namespace,
            "namespace_arn": self.namespace_arn,
            "source_arn": self.source_arn,
            "user": self.user,
            "databases": sorted(self.databases),
            "roles": self.role_states(),
            "default_role": self.default_role,
            "status": self.status_now(),
        }

    def is_of(self, caller: Caller) -> bool:
        """Whether it is of the caller's account and region: nothing else can be called."""
        return (self.account, self.region) == (caller.account, caller.region)

    def close(self) -> None:
        for database in self.databases.values():
            database.close()


class Warehouses:
    """All clusters and workgroups of one local cloud."""

    def __init__(self, folder: Path, account: str, region: str, attach_seconds: float) -> None:
        self._folder = folder
        self._account = account
        self._region = region
        self._attach_seconds = attach_seconds
        self._all: dict[tuple[WarehouseKind, str], Warehouse] = {}
        self.namespaces: dict[str, Namespace] = {}
        # By account, region, kind and name.
        self.groups: dict[tuple[str, str, str, str], Group] = {}
        self._lock = threading.Lock()

    def create(
        self,
        kind: WarehouseKind,
        identifier: str,
        *,
        database: str = "dev",
        account: str | None = None,
        roles: list[str] | None = None,
        **options: Any,
    ) -> Warehouse:
        """Make a warehouse, its roles attached and in sync already."""
        if kind not in ("cluster", "workgroup"):
            raise ValueError(f"kind is cluster or workgroup, not {kind}")
        allowed = {"user", "password", "namespace", "namespace_uid", "given"}
        allowed |= {"default_role", "status", "max_active"}
        if unknown := set(options) - allowed:
            raise ValueError(f"a warehouse has no {', '.join(sorted(unknown))}")
        with self._lock:
            if (kind, identifier) in self._all:
                raise ValueError(f"{kind} {identifier} exists already")
            made = Warehouse(
                kind=kind,
                identifier=identifier,
                account=account or self._account,
                region=self._region,
                folder=self._folder / f"{kind}-{identifier}",
                attach_seconds=self._attach_seconds,
                default_database=database,
                **options,
            )
            made.change(roles=roles or [])
            self._all[kind, identifier] = made
            return made

    def delete(self, identifier: str) -> None:
        found = self.by_name(identifier)
        with self._lock:
            del self._all[found.kind, found.identifier]
        found.close()
        shutil.rmtree(found.folder, ignore_errors=True)

    def all(self, kind: WarehouseKind | None = None) -> list[Warehouse]:
        with self._lock:
            return [each for each in self._all.values() if kind in (None, each.kind)]

    def find(self, kind: WarehouseKind, identifier: str, caller: Caller) -> Warehouse | None:
        """Return a warehouse of the caller's account and region."""
        with self._lock:
            found = self._all.get((kind, identifier))
        return found if found is not None and found.is_of(caller) else None

    def by_name(self, identifier: str) -> Warehouse:
        for each in self.all():
            if each.identifier == identifier:
                return each
        raise LookupError(f"there is no warehouse {identifier}")

    def close(self) -> None:
        for each in self.all():
            each.close()
