"""What can be done about a failed statement, told from the text that the warehouse gives.

Redshift documents no error codes for most of these, and the same fault comes in several wordings,
through several drivers, with or without details: texts are matched loosely. A text that is not
known is UNCERTAIN.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final


class FaultKind(Enum):
    """Kind of a failure."""

    ROLE = "role"  # a new role or its policy is not known everywhere yet; up to two minutes
    PASSING = "passing"  # throttling, a lost connection, a table that is being replaced
    UNCERTAIN = "uncertain"  # may pass or stay: worth a few attempts, then a person
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
        _any(r"(password )?authentication (has )?failed", r"invalid (user ?name or )?password"),
        (
            "The warehouse refused the sign-in: check the secret's username and password "
            "(or db_user), and that the user may sign in."
        ),
    ),
    (
        FaultKind.PERMANENT,
        _any(
            r"endpoint (doesn.?t|does not) exist",
            r"(database|workgroup|namespace|cluster) ?\S* (doesn.?t|does not) exist",
            r"(workgroup|namespace|cluster)\S* .{0,80}not found",
        ),
        "Check redshift.cluster_identifier or workgroup_name, redshift.database and the region.",
    ),
    (
        FaultKind.PERMANENT,
        _any(
            r"not supported on redshift tables",
            r"one per info message",
            r"leader.?node.?only",
            r"only .{0,40}leader node",
        ),
        (
            "The query uses a function or system table that only the leader node has "
            "(generate_series, now, current_schema, pg_…, information_schema): UNLOAD cannot read "
            "it. Write getdate() for now(), a table for generate_series, and leave the others out."
        ),
    ),
    (
        FaultKind.PERMANENT,
        _any(
            r"numeric (data |field )?(value )?overflow",
            r"(64|128).?bit overflow",
            r"overflow.{0,40}code: ?1058|code: ?1058",
            r"(integer|bigint|smallint|numeric)\S* out of range|(?<!field )value out of range",
        ),
        (
            "A number is too large for its type, for example a sum for DECIMAL: cast the measure "
            "in the query, CAST(x AS double precision) AS x."
        ),
    ),
    (
        FaultKind.PERMANENT,
        _any(
            r"usage limit",
            r"(rpu|compute|concurrency scaling|spectrum)\S* .{0,40}limit .{0,20}"
            r"(reached|exceeded)",
        ),
        (
            "The usage limit that was set for the warehouse is used up: raise it, or wait for its "
            "next period."
        ),
    ),
    (
        FaultKind.PERMANENT,
        _any(r"disk ?full", r"no space left on device", r"code: ?1016\b", r"out of disk"),
        (
            "The query's intermediate results do not fit on the warehouse's disks: free space or "
            "resize it, filter the sort key in the query, or make history.chunk shorter."
        ),
    ),
    (
        FaultKind.PERMANENT,
        _any(
            r"permanent ?redirect",
            r"must be addressed using the specified endpoint",
            r"status:? ?301",
            r"authorizationheadermalformed|region \S* is wrong",
            r"illegallocationconstraint",
        ),
        (
            "The bucket lies in another region than the warehouse: apply the module in the "
            "warehouse's region."
        ),
    ),
    (
        FaultKind.PERMANENT,
        _any(r"no ?such ?bucket", r"bucket does not exist"),
        "The bucket does not exist any more: apply the module again.",
    ),
    (
        FaultKind.PERMANENT,
        _any(
            r"kms\S*(disabled|invalidstate|notfound)",
            r"key\S* .{0,200}(is disabled|pending deletion|pending import)",
        ),
        "The bucket's KMS key cannot be used: enable it, or give another one.",
    ),
    (
        FaultKind.PERMANENT,
        _any(r"default iam role (is |was )?not (been )?set", r"no default (iam )?role"),
        (
            "redshift.unload_role is 'default' and the warehouse has no default role: set one, "
            "or give a role's ARN."
        ),
    ),
    (
        FaultKind.PERMANENT,
        _any(r"(spectrum|s3 ?query|external).{0,200}(403|access ?denied|forbidden)"),
        "The role of the external schema may not read the files of the external table.",
    ),
    (
        FaultKind.PERMANENT,
        _any(r"incompatible (parquet|orc|file|type)|(corrupt|invalid|malformed) (parquet|orc)"),
        "The external table's columns are declared otherwise than its files have them.",
    ),
    (
        FaultKind.PERMANENT,
        _any(r"permission denied", r"insufficient privilege", r"must be (the )?owner"),
        "Grant the warehouse user USAGE on the schema and SELECT on the tables of the query.",
    ),
    (
        FaultKind.PERMANENT,
        _any(
            r"statement.?timeout",
            r"query monitoring rule|\bqmr\b",
            r"(cancell?ed|abort\w*) by (the )?wlm|wlm .{0,40}(abort|cancel|timeout)",
            r"max_?(query_)?execution_?time",
        ),
        (
            "The warehouse's time or usage limit ended the query: use smaller history chunks, "
            "filter the sort key in the query, or raise the limit for this user."
        ),
    ),
    (
        FaultKind.PERMANENT,
        _any(
            r"syntax error",
            r"(column|function|operator|type|attribute) .{0,200}does not exist",
            r"\bambiguous\b",
            r"must appear in the group by",
            r"invalid (input syntax|digit|operation: cast)|cannot (be )?cast|"
            r"(date|timestamp).{0,40}(out of range|format)",
            r"division by zero|divide by zero",
            r"with recursive|recursive cte",
            r"subquery .{0,80}(not supported|must return|has too many)",
            r"unterminated|unclosed",
        ),
        "Correct the query; it runs as it stands in the SQL that was sent.",
    ),
    (
        FaultKind.ROLE,
        _any(
            r"not authorized to (perform:? sts:)?assume",
            r"(can|could) ?not (be )?assume",
            r"not (associated|attached) (to|with)",
            r"credentials (of|for) (the )?(iam )?role",
            r"role .{0,300}(is not valid|is invalid|does not exist|not found)",
            r"s3 ?service ?exception.*(access ?denied|not authorized|forbidden)",
            r"status:? ?403|error:? ?accessdenied",
            r"kms\S*.*(access ?denied|not authorized)",
        ),
        (
            "Check that the UNLOAD role is attached to the warehouse, trusts "
            "redshift.amazonaws.com "
            "and may write to the bucket (and use its key)."
        ),
    ),
    (
        FaultKind.UNCERTAIN,
        _any(
            r"could not resolve host|couldn.?t resolve host|curlerror:? ?[67]\b",
            r"(failed|could ?n.t|unable) (to )?connect to .{0,80}s3|s3\S* .{0,40}unreachable",
            r"network is unreachable|no route to host",
        ),
        (
            "The warehouse finds no way to S3: with enhanced VPC routing its subnets need an S3 "
            "gateway endpoint (or NAT) whose policy allows the bucket, and DNS in the VPC."
        ),
    ),
    (
        FaultKind.UNCERTAIN,
        _any(r"(relation|table|schema|view)\S* (\S+ ){0,3}(does not|doesn.?t) exist"),
        (
            "Check the name, write it with its schema, and grant the warehouse user USAGE on that "
            "schema; a table that is dropped and made again should be replaced in one transaction."
        ),
    ),
    (
        FaultKind.UNCERTAIN,
        _any(r"out of memory|code: ?1004\b|insufficient memory"),
        (
            "The query needs more memory than its queue gives: filter the sort key in the query, "
            "make history.chunk shorter, or give the queue more memory."
        ),
    ),
    (
        FaultKind.UNCERTAIN,
        _any(r"cancell?ed (on|by) (the )?user|cancell?ing statement|query cancell?ed"),
        "A person or a limit of the warehouse cancelled the query.",
    ),
    (
        FaultKind.PASSING,
        _any(
            r"slow ?down|reduce your request rate|status:? ?50\d|service ?unavailable",
            r"internal ?error|internal server error|environmental error",
            r"request ?time-?out|throttl|rate exceeded",
            r"too many (requests|connections|clients|sessions|statements|queries)",
            r"(connections?|sessions?|statements?|quer(y|ies)|queue)\S* (count )?(limit|quota)",
            r"limit .{0,40}(connections|sessions|statements|queries)",
            r"queue.{0,40}(full|time-?out|wait)",
            r"connection \S*( \S+){0,4} ?(refused|reset|timed out|closed|failed|lost|aborted)",
            r"could not connect|communication link failure|ssl (syscall|error)|broken pipe",
            r"server closed the connection|unexpected(ly)? (eof|closed)|eof detected",
            r"terminating connection|(shutting|starting) (down|up)|restart|failover",
            r"resum(e|ing)|being (modified|resized|updated|rebooted)|maintenance|read.?only mode",
            r"(is )?not (yet )?available|unavailable",
            # A table that is replaced while the query runs.
            r"could not open relation|relation with oid|cache lookup failed|concurrent",
            r"serializ\w* isolation violation|could not serialize|snapshot too old",
            r"^1023\b|(error|code|operation):? ?1023\b",
            r"deadlock|could not obtain lock|lock (wait )?time-?out",
            r"code: ?1020\b|system requested abort",
            # Spectrum and S3.
            r"s3 ?query ?exception|s3 ?fetch|retries exceeded|spectrum (scan )?error",
            r"code: ?1500[0-9]\b|thread_resource_error|resource temporarily unavailable",
            r"s3 ?curl ?exception|curl ?error|operation too slow|timed out",
            # The next attempt writes to a prefix of its own.
            r"unload destination on s3 is not empty",
        ),
        "The warehouse or S3 could not answer for the moment.",
    ),
)
_LONGEST: Final = 1_000
# Names and values that a text quotes tell nothing of the fault.
_QUOTED: Final = re.compile(r'"[^"]*"|(?<!\w)\'[^\']*\'(?!\w)')


def classify(text: str) -> Fault:
    """Tell what kind of failure a text reports, with one sentence of advice where it is known.

    The sentence begins with the text itself, without "ERROR:" and cut to 1,000 characters.
    """
    told = re.sub(r"^(ERROR|FATAL): *", "", " ".join(text.split()))
    matched = _QUOTED.sub('""', told)
    shown = _ended(told if len(told) <= _LONGEST else f"{told[:_LONGEST]}…")
    for kind, pattern, advice in _KNOWN:
        if pattern.search(matched):
            return Fault(kind, f"{shown} {advice}")
    return Fault(FaultKind.UNCERTAIN, shown if told else "The warehouse gave no reason.")


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
