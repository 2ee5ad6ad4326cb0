"""Classify a failed statement by the warehouse's error text: what can be done about it.

Redshift documents no error codes for most errors, and the same error is worded differently by
different drivers and layers, so texts are matched loosely. An unknown text is UNCERTAIN.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from typing import Final

from anomaly_detector.warehouse.redaction import without_values


class FaultKind(Enum):
    """Kind of a failure."""

    ROLE = "role"  # a new role or policy has not propagated yet; up to two minutes
    BUSY = "busy"  # paused, waking, being resized, or its queues are full: wait until it is not
    PASSING = "passing"  # throttling, a lost connection, a table that is being replaced
    UNCERTAIN = "uncertain"  # may or may not be transient: worth a few attempts, then reported
    PERMANENT = "permanent"


@dataclass(frozen=True)
class Fault:
    """A failure: its kind, and a sentence with what happened and, if known, what to change."""

    kind: FaultKind
    sentence: str

    @property
    def transient(self) -> bool:
        """Whether the same statement may succeed later."""
        return self.kind is not FaultKind.PERMANENT


def _any(*parts: str) -> re.Pattern[str]:
    return re.compile("|".join(parts), re.IGNORECASE)


_MOMENT: Final = "The warehouse or S3 was temporarily unavailable."
# In order of precedence: permanent errors before transient ones, because error texts quote others.
_KNOWN: Final[tuple[tuple[FaultKind, re.Pattern[str], str], ...]] = (
    (
        FaultKind.BUSY,
        _any(r"\bpaused\b"),
        "The cluster is paused: resume it, or remove the schedule that pauses it.",
    ),
    (
        FaultKind.PERMANENT,
        _any(
            r"(password )?authentication (has )?failed",
            r"invalid (user ?name or )?password",
            r"\buser \S* (does not|doesn.?t) exist|no pg_hba",
        ),
        (
            "The warehouse rejected the credentials: check the username and password in the secret "
            "(or db_user), and that the user is allowed to connect."
        ),
    ),
    (
        FaultKind.PERMANENT,
        _any(
            r"group by limit for approximate percentile_disc",
            r"maximum number of groups for approximate percentile_disc",
        ),
        (
            "The warehouse approximates percentiles of so many slices and intervals at once not: "
            "shorten history.chunk, or set exact to true for the measures with percentiles."
        ),
    ),
    (
        FaultKind.PERMANENT,
        _any(r"cannot connect to shared database"),
        (
            "Set redshift.database to a local database of the warehouse, and qualify the tables of "
            "the datashare in three parts: database.schema.table."
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
            "The query uses a function or system table that exists only on the leader node "
            "(generate_series, now, current_schema, pg_…, information_schema), which UNLOAD cannot "
            "read. Replace now() with getdate() and generate_series with a table, and remove the "
            "others."
        ),
    ),
    (
        FaultKind.PERMANENT,
        _any(
            r"numeric (data |field )?(value )?overflow",
            r"(64|128).?bit overflow",
            r"overflow.{0,40}code: ?1058|code: ?1058",
            r"(integer|bigint|smallint|numeric)\S* out of range|(?<!field )value out of range",
            r"\boverflow\b.{0,60}\btype\b",
        ),
        (
            "A number exceeds the range of its type, for example the sum of a DECIMAL: cast the "
            "measure in the query, CAST(x AS double precision) AS x."
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
            "A usage limit of the warehouse has been reached: raise the limit, or wait for its "
            "next period."
        ),
    ),
    (
        FaultKind.PERMANENT,
        _any(r"disk ?full", r"no space left on device", r"code: ?1016\b", r"out of disk"),
        (
            "The query's intermediate results do not fit on the warehouse's disks: free space, "
            "resize the warehouse, filter on the sort key in the query, or shorten history.chunk."
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
            "The bucket is in a different region than the warehouse: apply the module in the "
            "warehouse's region."
        ),
    ),
    (
        FaultKind.PERMANENT,
        _any(r"no ?such ?bucket", r"bucket does not exist"),
        "The bucket no longer exists: apply the module again.",
    ),
    (
        FaultKind.PERMANENT,
        _any(
            r"kms\S*(disabled|invalidstate|notfound)",
            r"key\S* .{0,200}(is disabled|pending deletion|pending import)",
        ),
        (
            "The bucket's KMS key cannot be used: enable it, or set encryption.kms_key_arn to "
            "another key."
        ),
    ),
    (
        FaultKind.PERMANENT,
        _any(r"default iam role (is |was )?not (been )?set", r"no default (iam )?role"),
        (
            "redshift.unload_role is 'default', but the warehouse has no default role: set one in "
            "the warehouse, or specify the ARN of a role."
        ),
    ),
    (
        FaultKind.PERMANENT,
        _any(
            r"(spectrum|s3 ?query|external).{0,200}(403|access ?denied|forbidden)",
            r"not authorized to perform:? (glue|lakeformation)|insufficient (glue|lake ?formation)",
            r"(glue|external catalog).{0,300}(access ?denied|not authorized|forbidden)",
        ),
        (
            "The role of the external schema lacks permission to read the external table: grant it "
            "in S3, in the Glue catalog and in Lake Formation."
        ),
    ),
    (
        FaultKind.PERMANENT,
        _any(
            r"incompatible (parquet|orc|file|type)|(corrupt|invalid|malformed) (parquet|orc)",
            r"unmatched number of columns",
        ),
        (
            "The column types of the external table do not match its files: correct the "
            "declaration of the table."
        ),
    ),
    (
        FaultKind.PERMANENT,
        _any(r"spectrum nested query"),
        (
            "Select the columns of the external table by name instead of *: nested columns are not "
            "allowed in a subquery."
        ),
    ),
    (
        FaultKind.PERMANENT,
        _any(
            r"permission denied|insufficient (privilege|permission)",
            r"must be (the )?owner|must be superuser",
            r"not authorized by (the )?producer|datashare.{0,100}(not authorized|denied)",
        ),
        (
            "Grant the database user USAGE on the schema and SELECT on the tables that the query "
            "reads."
        ),
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
            "A time or usage limit of the warehouse ended the query: shorten history.chunk, "
            "filter on the sort key in the query, or raise the limit for this user."
        ),
    ),
    (
        FaultKind.PERMANENT,
        _any(r"time zone \S* not recognized|(unknown|invalid) time ?zone"),
        (
            "The warehouse does not know this time zone: use an older name of it, such as "
            "Europe/Kiev for Europe/Kyiv."
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
            r"subquery .{0,80}(not supported|must return|has too many|must have an alias)",
            r"unterminated|unclosed",
            r"window functions?.{0,80}(frame clause|not yet implemented)|limit clause",
            r"more than one row",
            r"conversion function from|error converting|in source string|must be an integer",
            r"invalid (exponent|numeric|data\b|json|date|time)|(bad|invalid|unsupported) utf-?8",
            r"(value|string) (is )?too (long|large)|too long for",
            r"exceeds (the )?(max size|listagg|ddl)",
            r"union types|each union query|same number of columns",
            r"aggregates? .{0,60}not allowed|not allowed in (where|group|having|join|from)\b",
            r"missing from-clause|specified more than once|target lists can have",
            r"stack depth limit|statement is too large|too many (expressions|columns)",
            r"svl_udf_log|\budfs?\b",
        ),
        "Correct the query; the SQL that was sent contains it verbatim.",
    ),
    (
        FaultKind.PASSING,
        _any(
            r"(cancell?ed|aborted|terminated).{0,60}"
            r"(restart|reboot|resiz|maintenance|failover|node failure|internal request)",
            r"request ?time ?too ?skewed",
        ),
        _MOMENT,
    ),
    (
        FaultKind.UNCERTAIN,
        _any(r"expired ?token|token (is |has )?(been )?expired"),
        (
            "The credentials of the UNLOAD role expired before the statement finished; those of "
            "chained roles last one hour: shorten history.chunk."
        ),
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
            "redshift.amazonaws.com, and has permission to write to the bucket and use its key."
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
            "The warehouse cannot reach S3: with enhanced VPC routing, its subnets need an S3 "
            "gateway endpoint whose policy allows the bucket, or NAT, and the VPC needs DNS."
        ),
    ),
    (
        FaultKind.UNCERTAIN,
        _any(r"(relation(?! with oid)|table|schema|view)\S* (\S+ ){0,3}(does not|doesn.?t) exist"),
        (
            "Check the name, qualify it with its schema, and grant the database user USAGE on that "
            "schema; a table that is dropped and created again should be replaced in one "
            "transaction."
        ),
    ),
    (
        FaultKind.UNCERTAIN,
        _any(r"out of memory|code: ?1004\b|insufficient memory"),
        (
            "The query needs more memory than its queue has: filter on the sort key in the query, "
            "shorten history.chunk, or increase the memory of the queue."
        ),
    ),
    (
        FaultKind.UNCERTAIN,
        _any(r"cancell?ed (on|by) (the )?user|cancell?ing statement|query cancell?ed"),
        "The query was cancelled by a user or by a limit of the warehouse.",
    ),
    (
        FaultKind.BUSY,
        _any(
            r"too many (requests|connections|clients|sessions|statements|queries)",
            r"(maximum|max) number of .{0,20}(connections|sessions|statements|queries)",
            r"connection slots",
            r"(connections?|sessions?|statements?|quer(y|ies)|queue)\S* (count )?(limit|quota)",
            r"limit .{0,40}(connections|sessions|statements|queries)",
            r"queue.{0,40}(full|time-?out|wait)",
            r"resum(e|ing)|being (modified|resized|updated|rebooted)|maintenance|read.?only mode",
        ),
        _MOMENT,
    ),
    (
        FaultKind.PASSING,
        _any(
            r"slow ?down|reduce your request rate|status:? ?50\d|service ?unavailable",
            r"internal ?error|internal server error|environmental error",
            r"request ?time-?out|throttl|rate exceeded",
            r"current transaction is aborted",
            r"connection \S*( \S+){0,4} ?(refused|reset|timed out|closed|failed|lost|aborted)",
            r"could not connect|communication link failure|ssl (syscall|error)|broken pipe",
            r"server closed the connection|unexpected(ly)? (eof|closed)|eof detected",
            r"terminating connection|(shutting|starting) (down|up)|restart|failover",
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
            # The next attempt writes to a new prefix.
            r"unload destination on s3 is not empty",
        ),
        _MOMENT,
    ),
    (
        FaultKind.PERMANENT,
        _any(r"not (yet )?(supported|implemented)"),
        "Redshift does not support this: write the query without it.",
    ),
)
DRIFT: Final = (
    "The query no longer fits its tables, as it did when it was checked: intervals stay due, and "
    "are made up for as soon as it does again."
)
_DRIFT: Final = _any(
    r"(column|attribute|relation(?! with oid)|table|schema|view|function|operator|type)\S* "
    r"(\S+ ){0,9}(does not|doesn.?t) exist",
    r"is of type .{0,60} but expression is of type|cannot (be )?cast|operator does not exist",
)
_LONGEST: Final = 1_000
# Quoted names and values say nothing about the kind of the fault.
_QUOTED: Final = re.compile(r'"[^"]*"|(?<!\w)\'[^\']*\'(?!\w)')


def classify(text: str, sql: str | None = None) -> Fault:
    """Classify an error text, with one sentence of advice if the error is known.

    The sentence begins with the text itself, without "ERROR:" and cut to 1,000 characters.

    Parameters
    ----------
    sql : the statement that failed; the sentence is then free of values of rows. None for an error
        of a call, which has read no row.
    """
    reason = re.sub(r"^(ERROR|FATAL): *", "", " ".join(text.split()))
    matched = _QUOTED.sub('""', reason)
    told = reason if sql is None else without_values(reason, sql)
    shown = _ended(told if len(told) <= _LONGEST else f"{told[:_LONGEST]}…")
    for kind, pattern, advice in _KNOWN:
        if pattern.search(matched):
            return Fault(kind, f"{shown} {advice}")
    return Fault(FaultKind.UNCERTAIN, shown if reason else "The warehouse gave no reason.")


def is_drift(text: str) -> bool:
    """Whether an error text tells that tables or columns are no longer what the query expects."""
    return bool(_DRIFT.search(" ".join(text.split())))


def _ended(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."
