"""Which failures of a statement pass by themselves, told from the text that the warehouse gives."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final


class FaultKind(Enum):
    """Kind of a failure."""

    ROLE = "role"  # a new role or its policy is not known everywhere yet; up to two minutes
    PASSING = "passing"  # throttling, a lost connection, a warehouse that wakes
    PERMANENT = "permanent"


@dataclass(frozen=True)
class Fault:
    """A failure: its kind, and what happened and, where known, what to do about it."""

    kind: FaultKind
    sentence: str

    @property
    def transient(self) -> bool:
        """Whether the same statement may succeed later."""
        return self.kind is not FaultKind.PERMANENT


def _any(*parts: str) -> re.Pattern[str]:
    return re.compile("|".join(parts), re.IGNORECASE)


# In this order: what surely stays comes before what may pass, because texts quote each other.
_KNOWN: Final[tuple[tuple[FaultKind, re.Pattern[str], str], ...]] = (
    (
        FaultKind.PERMANENT,
        _any(r"\bpaused\b"),
        "The cluster is paused: resume it, or remove the schedule that pauses it.",
    ),
    (
        FaultKind.PERMANENT,
        _any(r"password authentication failed", r"authentication failed for user"),
        (
            "The warehouse refused the sign-in: check the secret's username and password "
            "(or db_user), and that the user may sign in."
        ),
    ),
    (
        FaultKind.PERMANENT,
        _any(r"endpoint doesn.?t exist", r"database \"[^\"]*\" does not exist"),
        "Check redshift.cluster_identifier or workgroup_name, redshift.database and the region.",
    ),
    (
        FaultKind.PERMANENT,
        _any(r"permission denied"),
        "Grant the warehouse user USAGE on the schema and SELECT on the tables of the query.",
    ),
    (
        FaultKind.PERMANENT,
        _any(r"statement timeout", r"query monitoring rule", r"cancelled by WLM"),
        (
            "The warehouse's time or usage limit ended the query: use smaller history chunks, "
            "filter the sort key in the query, or raise the limit for this user."
        ),
    ),
    (
        FaultKind.ROLE,
        _any(
            r"not authorized to assume",
            r"cannot be assumed",
            r"not associated (to|with)",
            r"not authorized to get credentials of role",
            r"role .* (is not valid|does not exist)",
            r"S3ServiceException.*(AccessDenied|Access Denied|not authorized)",
            r"(Status 403|Error AccessDenied)",
            r"KMS\S*.*(AccessDenied|not authorized|Access Denied)",
        ),
        (
            "Check that the UNLOAD role is attached to the warehouse, trusts "
            "redshift.amazonaws.com "
            "and may write to the bucket (and use its key)."
        ),
    ),
    (
        FaultKind.PASSING,
        _any(
            r"SlowDown|reduce your request rate|Status 50[0-9]|ServiceUnavailable|InternalError",
            r"RequestTimeout|throttl|too many (requests|connections)|rate exceeded",
            r"connection (refused|reset|timed out|limit|to .* (lost|closed|failed))",
            r"could not connect|communication link failure|SSL SYSCALL|server closed the "
            r"connection",
            r"terminating connection|(shutting|starting) (down|up)|restart",
            r"resum(e|ing)|being (modified|resized|updated)|is not available|not yet available",
            r"serializable isolation violation|deadlock detected",
            r"internal error|environmental error|spectrum scan error.*retries exceeded",
            # The next attempt writes to a prefix of its own.
            r"unload destination on S3 is not empty",
        ),
        "The warehouse or S3 could not answer for the moment.",
    ),
)


def classify(text: str) -> Fault:
    """Tell what kind of failure a text reports; one that is not known is permanent."""
    told = " ".join(text.split()).removeprefix("ERROR: ")
    for kind, pattern, advice in _KNOWN:
        if pattern.search(told):
            return Fault(kind, f"{_ended(told)} {advice}")
    return Fault(FaultKind.PERMANENT, _ended(told) if told else "The warehouse gave no reason.")


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
