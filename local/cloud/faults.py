"""Faults on request: the plan that the server keeps, and the client that fills it."""

# ruff: noqa: ANN401 - JSON values may be anything

from __future__ import annotations

import itertools
import re
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Literal

Kind = Literal["statement", "call", "role", "object_event"]


@dataclass
class Fault:
    """One thing that shall go wrong.

    Attributes
    ----------
    kind
        ``statement``: a Redshift statement; ``call``: an API call of any service; ``role``: a role
        that IAM does not know yet; ``object_event``: S3's event to EventBridge.
    outcome
        Statement: ``fail``, ``abort``, ``stall``. Call: ``refuse`` (not done), ``lose`` (done, then
        answered 500), ``drop`` (done, then the connection breaks) or ``kill`` (done, then the
        function that made it is killed). Unused otherwise.
    match
        Regular expression, searched in the statement's text, the call's body or the object's key,
        ignoring case.
    count
        How often it strikes; None for ever.
    seconds
        Statement: how long it stalls, None until removed. Role: how long it is refused.
    function
        Call: strikes only what this function calls.
    since
        Role: its seconds run from its ``creation``, its ``attachment`` or ``now``.
    """

    kind: Kind
    outcome: str = ""
    match: str = ""
    count: int | None = 1
    seconds: float | None = None
    error: str = ""
    code: str = ""
    status: int = 400
    files: int = 0
    service: str = "*"
    operation: str = "*"
    role: str = "*"
    function: str = ""
    since: Literal["creation", "attachment", "now"] = "creation"
    id: str = ""
    hits: int = 0
    made: float = field(default_factory=time.time)

    def matches(self, text: str) -> bool:
        return re.search(self.match, text, re.IGNORECASE | re.DOTALL) is not None

    def names(self, service: str, operation: str) -> bool:
        return fnmatchcase(service, self.service) and fnmatchcase(operation, self.operation)


class FaultPlan:
    """The faults that wait to strike; safe to use from any thread."""

    def __init__(self) -> None:
        self._faults: dict[str, Fault] = {}
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> Fault:
        re.compile(fault.match)
        with self._lock:
            fault.id = f"fault-{next(self._numbers)}"
            self._faults[fault.id] = fault
        return fault

    def remove(self, fault_id: str | None = None) -> None:
        """Remove one fault, or all; what stalls goes on."""
        with self._lock:
            if fault_id is None:
                self._faults.clear()
            else:
                self._faults.pop(fault_id, None)

    def waits(self, fault_id: str) -> bool:
        with self._lock:
            return fault_id in self._faults

    def all(self, kind: Kind | None = None) -> list[Fault]:
        with self._lock:
            return [each for each in self._faults.values() if kind in (None, each.kind)]

    def strike(self, kind: Kind, fits: Callable[[Fault], bool]) -> Fault | None:
        """Return the first fault that fits and use it up by one; None when there is none."""
        with self._lock:
            for fault in self._faults.values():
                spent = fault.count is not None and fault.hits >= fault.count
                if fault.kind == kind and not spent and fits(fault):
                    fault.hits += 1
                    return fault
        return None

    def refuses_role(
        self, role_name: str, *, created: float, attached: float | None = None, service: str = ""
    ) -> bool:
        """Whether a role is refused at this moment because IAM "does not know it yet"."""
        now = time.time()
        for fault in self.all("role"):
            if not fnmatchcase(role_name, fault.role.rsplit("/", 1)[-1]):
                continue
            if service and not fnmatchcase(service, fault.service):
                continue
            start = {"creation": created, "attachment": attached or now, "now": fault.made}
            if fault.seconds is None or now < start[fault.since] + fault.seconds:
                fault.hits += 1
                return True
        return False


class RedshiftFaults:
    """Inject faults into a running cloud; every method returns the fault's id."""

    def __init__(self, admin: Callable[..., Any]) -> None:
        self._admin = admin

    def add(self, kind: Kind, **fields: Any) -> str:
        """Add any fault by the fields of :class:`Fault`."""
        return str(self._admin("POST", "faults", {"kind": kind, **fields})["id"])

    def fail(self, match: str = "", *, error: str, count: int | None = 1, files: int = 0) -> str:
        """Fail the next statements; an UNLOAD leaves ``files`` data files behind."""
        return self.add(
            "statement", outcome="fail", match=match, error=error, count=count, files=files
        )

    def abort(self, match: str = "", *, count: int | None = 1) -> str:
        """End the next statements ABORTED."""
        return self.add("statement", outcome="abort", match=match, count=count)

    def stall(self, match: str = "", *, seconds: float | None = None, count: int | None = 1) -> str:
        """Keep the next statements STARTED for some seconds, or until the fault is removed."""
        return self.add("statement", outcome="stall", match=match, seconds=seconds, count=count)

    def throttle(
        self,
        operation: str = "*",
        *,
        count: int | None = 1,
        service: str = "redshift-data",
        code: str = "ThrottlingException",
        match: str = "",
    ) -> str:
        """Refuse the next calls as too many, with this or another of the service's codes."""
        return self.refuse_call(
            service, operation, count=count, code=code, error="Rate exceeded", match=match
        )

    def refuse_call(
        self,
        service: str,
        operation: str = "*",
        *,
        code: str,
        error: str = "",
        status: int = 400,
        count: int | None = 1,
        match: str = "",
    ) -> str:
        """Refuse the next calls of any service with an error."""
        return self.add(
            "call",
            outcome="refuse",
            service=service,
            operation=operation,
            code=code,
            error=error or code,
            status=status,
            count=count,
            match=match,
        )

    def lose_reply(
        self,
        operation: str = "ExecuteStatement",
        *,
        service: str = "redshift-data",
        count: int | None = 1,
        match: str = "",
        drop: bool = False,
    ) -> str:
        """Do what the next calls ask, then answer 500 or break the connection."""
        return self.add(
            "call",
            outcome="drop" if drop else "lose",
            service=service,
            operation=operation,
            count=count,
            match=match,
        )

    def kill(self, function: str, operation: str, *, service: str) -> str:
        """Kill a function's process when its next call of an operation has been done."""
        return self.add(
            "call", outcome="kill", function=function, service=service, operation=operation
        )

    def refuse_role(
        self,
        role: str = "*",
        *,
        seconds: float | None,
        since: Literal["creation", "attachment", "now"] = "creation",
        service: str = "*",
    ) -> str:
        """Refuse a role (name or pattern) for its first seconds, as IAM's slow spread does."""
        return self.add(
            "role", role=role, seconds=seconds, since=since, service=service, count=None
        )

    def drop_object_events(self, match: str = "", *, count: int | None = None) -> str:
        """Let S3's events to EventBridge get lost, for objects ``bucket/key`` that match."""
        return self.add("object_event", match=match, count=count)

    def clear(self, fault_id: str | None = None) -> None:
        """Remove one fault, or all."""
        self._admin("DELETE", f"faults/{fault_id}" if fault_id else "faults")

    def list(self) -> Iterable[Mapping[str, Any]]:
        """Return the faults with how often each struck."""
        found: Iterable[Mapping[str, Any]] = self._admin("GET", "faults")
        return found
