"""What can be done about a failed statement: texts as people have reported them, however worded."""

from __future__ import annotations

import pytest
from anomaly_detector.warehouse.faults import FaultKind, classify

ROLE, PASSING = FaultKind.ROLE, FaultKind.PASSING
UNCERTAIN, PERMANENT = FaultKind.UNCERTAIN, FaultKind.PERMANENT
BUSY = FaultKind.BUSY

# Texts from AWS's documentation and public reports (issues of dbt-redshift, awswrangler, airbyte,
# arthur-redshift-etl, spark-redshift, spectrify, OpenMetadata, snowplow, rudder-server, sqlmesh,
# fivetran's and tuva-health's dbt packages, amazon-redshift-python-driver, awslabs/mcp), shortened.
TEXTS: list[tuple[FaultKind, str, str]] = [
    (
        ROLE,
        "User arn:aws:redshift:us-east-1:1:dbuser:c/u is not authorized to assume IAM Role r",
        "UNLOAD role is attached",
    ),
    (ROLE, "The requested role arn:aws:iam::1:role/r is not associated to cluster", "attached"),
    (ROLE, "ERROR: Not authorized to get credentials of role arn:aws:iam::1:role/r", "attached"),
    (ROLE, "S3ServiceException:Access Denied,Status 403,Error AccessDenied,Rid 1", "attached"),
    (ROLE, "ERROR: The IAM role arn:aws:iam::1:role/r is not valid", "attached"),
    (
        ROLE,
        (
            "S3ServiceException:User: arn:aws:sts::1:assumed-role/r/s is not authorized to "
            "perform: "
            "kms:GenerateDataKey on resource: arn:aws:kms:eu-west-1:1:key/k,Status 403"
        ),
        "use its key",
    ),
    (
        PERMANENT,
        "ERROR: GROUP BY limit for approximate percentile_disc exceeded.",
        "shorten history.chunk, or set exact to true",
    ),
    (PASSING, "S3ServiceException:Please reduce your request rate.,Status 503,Error SlowDown", ""),
    (PASSING, "could not connect to server: Connection refused", ""),
    (PASSING, "SSL SYSCALL error: EOF detected", ""),
    (BUSY, "The workgroup is resuming", ""),
    (PASSING, "ERROR: Specified unload destination on S3 is not empty.", ""),
    (PASSING, "ERROR: could not open relation with OID 155466714", ""),
    (PASSING, "[Amazon](500310) Invalid operation: could not open relation with OID 99;", ""),
    (PASSING, "Database Error\n  cannot open relation with oid 123456789", ""),
    (PASSING, "ERROR: cache lookup failed for relation 12345", ""),
    (
        PASSING,
        (
            "S3Query Exception Connection failed, retries exceeded.\nDETAIL:\n  ---\n  error:  "
            "S3Query "
            "Exception Connection failed, retries exceeded.\n  code:      15005\n  "
            "location: dory_util"
        ),
        "",
    ),
    (
        PASSING,
        (
            "S3 Query Exception (Fetch) DETAIL: code: 15001 context: boost::thread_resource_error: "
            "Resource temporarily unavailable"
        ),
        "",
    ),
    (PASSING, "Spectrum Scan Error: Retries exceeded", ""),
    (PASSING, "abort query DETAIL: code: 1020 context: system requested abort query: 1011", ""),
    (
        PASSING,
        (
            "S3CurlException: Operation too slow. Less than 1 bytes/sec transferred the last 60 "
            "seconds, CurlError 28, multiCurlError 0"
        ),
        "",
    ),
    (
        PASSING,
        (
            "[Amazon](500310) Invalid operation: 1023 \nDetails: Serializable isolation "
            "violation on "
            "table - 100167, transactions forming the cycle are: 557, 558 (pid:16606);"
        ),
        "",
    ),
    (PASSING, "ERROR: 1023 (SQLSTATE XX000)", ""),
    (PASSING, "deadlock detected", ""),
    (BUSY, 'FATAL: connection limit "500" exceeded for non-bootstrap users', ""),
    (BUSY, "Exceeded maximum number of connections, limit of 100 sessions reached", ""),
    (PASSING, "terminating connection due to administrator command", ""),
    (BUSY, "ERROR: cannot execute in read-only mode: cluster is being resized", ""),
    (PASSING, "Remote end closed: server closed the connection unexpectedly", ""),
    (BUSY, "Cluster c is paused. Resume it and try again.", "resume it"),
    (PERMANENT, 'FATAL: password authentication failed for user "u"', "username and password"),
    (PERMANENT, 'FATAL: database "prod" does not exist', "redshift.database"),
    (PERMANENT, "Redshift endpoint doesn't exist in this region.", "the region"),
    (PERMANENT, 'ERROR: column "x" does not exist in shop', "Correct the query"),
    (PERMANENT, 'syntax error at or near "whre" Position: 17', "Correct the query"),
    (PERMANENT, 'column "ts" must appear in the GROUP BY clause', "Correct the query"),
    (PERMANENT, 'Invalid digit, Value "a", Pos 0, Type: Integer', "Correct the query"),
    (PERMANENT, "ERROR: permission denied for relation shop", "SELECT on the tables"),
    (PERMANENT, "permission denied for schema finance", "USAGE on the schema"),
    (PERMANENT, "Query cancelled: statement timeout", "limit"),
    (
        PERMANENT,
        'Query (123) cancelled by WLM abort action of Query Monitoring Rule "long"',
        "limit",
    ),
    (
        PERMANENT,
        (
            "ERROR: Specified types or functions (one per INFO message) not supported on Redshift "
            "tables."
        ),
        "getdate()",
    ),
    (
        PERMANENT,
        (
            'Function "generate_series(integer,integer)" not supported. Specified types '
            "or functions "
            "not supported on Redshift tables."
        ),
        "leader node",
    ),
    (
        PERMANENT,
        (
            "Numeric data overflow (result precision)\nDETAIL:\n code:      1058\n context: 64 bit "
            "overflow\n location: numeric.hpp:161"
        ),
        "double precision",
    ),
    (PERMANENT, "ERROR: Numeric data overflow (addition)", "double precision"),
    (PERMANENT, "ERROR: bigint out of range", "double precision"),
    (PERMANENT, "ERROR: Query reached usage limit", "raise the limit"),
    (PERMANENT, "Query reached usage limit. Serverless RPU hours used", "raise the limit"),
    (PERMANENT, "Disk Full DETAIL: error: Disk Full code: 1016 context: node: 0", "history.chunk"),
    (
        PERMANENT,
        (
            "S3ServiceException:The bucket you are attempting to access must be addressed "
            "using the "
            "specified endpoint. Please send all future requests to this endpoint.,Status 301,"
            "Error "
            "PermanentRedirect"
        ),
        "region",
    ),
    (
        PERMANENT,
        "S3ServiceException:The specified bucket does not exist,Status 404,Error NoSuchBucket",
        "apply the module again",
    ),
    (PERMANENT, "Default IAM role is not set. Set a default IAM role for the cluster", "default"),
    (PERMANENT, "Spectrum Scan Error. S3 403 Forbidden: s3://lake/x.parquet", "external schema"),
    (
        PERMANENT,
        (
            "Spectrum Scan Error Detail: error: Spectrum Scan Error code: 15007 context: File "
            "'https://s3.us-east-1.amazonaws.com/b/f.parquet' has an incompatible Parquet s query: "
            "146667179 location: dory_util.cpp:1777"
        ),
        "do not match its files",
    ),
    (
        UNCERTAIN,
        "S3CurlException: Could not resolve host: b.s3.eu-west-1.amazonaws.com, CurlError 6",
        "endpoint",
    ),
    (UNCERTAIN, "S3CurlException: Failed to connect to b.s3.amazonaws.com, CurlError 7", "VPC"),
    (UNCERTAIN, 'ERROR: relation "shop" does not exist', "USAGE"),
    (UNCERTAIN, "ERROR: Out Of Memory: DETAIL: code: 1004 context: alloc", "memory"),
    (UNCERTAIN, "Query (77) cancelled on user's request", "cancelled"),
    (UNCERTAIN, "ERROR: Assert DETAIL: error: Assert code: 1000 context: status == 0", ""),
    (PASSING, "ERROR: could not complete because of conflict with concurrent transaction", ""),
    (PASSING, "ERROR:  table 6616765 dropped by concurrent transaction", ""),
    (PASSING, "ERROR:  Relation with OID 15170212 does not exist", ""),
    (
        PASSING,
        "current transaction is aborted, commands ignored until end of transaction block",
        "",
    ),
    (PASSING, "Query cancelled because of a cluster restart", ""),
    (BUSY, "FATAL: remaining connection slots are reserved for superuser connections", ""),
    (
        PASSING,
        (
            "S3ServiceException:The difference between the request time and the current time is "
            "too large.,Status 403,Error RequestTimeTooSkewed,Rid 1"
        ),
        "",
    ),
    (
        PASSING,
        (
            "S3ServiceException:Please reduce your request rate.,Status 503,Error SlowDown,Rid 1 "
            "DETAIL: code: 8001 context: Failed to initialize S3 output stream. S3 path: s3://b/p"
        ),
        "",
    ),
    (
        ROLE,
        (
            "S3ServiceException:Access Denied,Status 403,Error AccessDenied,Rid 1 DETAIL: code: "
            "8001 context: Failed to initialize S3 output stream. S3 path: s3://b/p"
        ),
        "UNLOAD role",
    ),
    (
        UNCERTAIN,
        "S3ServiceException:The provided token has expired.,Status 400,Error ExpiredToken,Rid Y",
        "shorten history.chunk",
    ),
    (
        PERMANENT,
        "This type of correlated subquery pattern is not supported due to internal error",
        "Correct the query",
    ),
    (
        PERMANENT,
        (
            "Result size exceeds LISTAGG limit DETAIL: code: 8001 context: LISTAGG limit: 65535 "
            "query: 1136773159[child_sequence:1] location: string_ops.cpp:144"
        ),
        "Correct the query",
    ),
    (
        PERMANENT,
        (
            "Value too long for character type DETAIL: code: 8001 context: Value too long for type "
            "character(30) query: 213818 location: string.cpp:213"
        ),
        "Correct the query",
    ),
    (PERMANENT, "ERROR:  value too long for type character varying(275)", "Correct the query"),
    (PERMANENT, "cannot cast type boolean to character varying", "Correct the query"),
    (
        PERMANENT,
        'failed to find conversion function from "unknown" to character varying',
        "Correct the query",
    ),
    (PERMANENT, "UNION types text and integer cannot be matched", "Correct the query"),
    (
        PERMANENT,
        "each UNION query must have the same number of columns",
        "Correct the query",
    ),
    (
        PERMANENT,
        "Aggregate window functions with an ORDER BY clause require a frame clause",
        "Correct the query",
    ),
    (PERMANENT, "RANGE clause of window functions not yet implemented", "Correct the query"),
    (PERMANENT, "subquery in FROM must have an alias", "Correct the query"),
    (PERMANENT, 'missing FROM-clause entry for table "t"', "Correct the query"),
    (PERMANENT, "aggregates not allowed in WHERE clause", "Correct the query"),
    (PERMANENT, "Single-row subquery returns more than one row.", "Correct the query"),
    (
        PERMANENT,
        'invalid value for "YYYY" in source string DETAIL: Value must be an integer.',
        "Correct the query",
    ),
    (
        PERMANENT,
        "String contains invalid or unsupported UTF8 codepoints. Bad UTF8 hex sequence: e9",
        "Correct the query",
    ),
    (PERMANENT, "Overflow, Value '3000000000', Pos 0, Type: Integer", "double precision"),
    (
        PERMANENT,
        "Value out of range for 4 bytes. DETAIL: code: 8001 context: query: 12",
        "double precision",
    ),
    (PERMANENT, 'time zone "Europe/Kyiv" not recognized', "Europe/Kiev"),
    (PERMANENT, "Spectrum nested query error", "by name"),
    (
        PERMANENT,
        (
            "Spectrum Scan Error Detail: code: 15007 context: Unmatched number of columns between "
            "table and file. Table columns: 20, Data columns: 16, File name: https://s3.us-east-1"
        ),
        "do not match its files",
    ),
    (
        PERMANENT,
        (
            "User: arn:aws:sts::1:assumed-role/spectrum/session is not authorized to "
            "perform: glue:GetTable on resource: arn:aws:glue:eu-west-1:1:table/db/t"
        ),
        "external schema",
    ),
    (
        PERMANENT,
        "Insufficient Lake Formation permission(s) on t (Service: AWSGlue; Status Code: 400)",
        "Lake Formation",
    ),
    (
        PERMANENT,
        (
            'FATAL:  Cannot connect to shared database "d" created from Data Catalog ARN. Connect '
            "to a database in your cluster instead and use cross-database query notation"
        ),
        "three parts",
    ),
    (
        PERMANENT,
        "Datashare writes are not authorized by producer or associated by consumer",
        "Grant",
    ),
    (PERMANENT, 'FATAL: user "IAMR:shop" does not exist', "credentials"),
    (PERMANENT, "Specified data type is not supported in UNLOAD", "write the query without it"),
    (UNCERTAIN, "ERROR: transaction is read-only", ""),
    (UNCERTAIN, "something that no one has reported yet", ""),
    (UNCERTAIN, "", ""),
]


@pytest.mark.parametrize(("kind", "text", "advice"), TEXTS)
def test_a_reported_text_is_known(kind: FaultKind, text: str, advice: str) -> None:
    fault = classify(text)
    assert fault.kind is kind
    assert fault.transient is (kind is not PERMANENT)
    assert advice.lower() in fault.sentence.lower()
    assert fault.sentence.endswith(".")


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, text, _ in TEXTS])
def test_it_is_known_in_any_wrapping(kind: FaultKind, text: str) -> None:
    wrapped = [
        text.upper(),
        text.lower(),
        text.replace(" ", "  \n"),
        f"ERROR: {text}",
        f"[Amazon](500310) Invalid operation: {text};",
        f"{text}\nDETAIL:\n  -----\n  query:     1{'2' * 7}\n  process:   query1_77 [pid=39704]\n",
    ]
    for each in wrapped if text else []:
        assert classify(each).kind is kind, each


@pytest.mark.parametrize("name", ["paused", "usage limit", "disk full", "deadlock", "syntax error"])
def test_names_and_values_in_a_text_tell_nothing(name: str) -> None:
    assert classify(f'relation "{name}" does not exist').kind is UNCERTAIN
    assert classify(f"could not open relation with OID 5 for '{name}'").kind is PASSING


def test_a_text_is_told_whole_up_to_a_length() -> None:
    assert classify("ERROR: out   of\norder").sentence == "out of order."
    long = classify("disk full " + "x" * 5000)
    assert "…" in long.sentence
    assert long.sentence.endswith("or shorten history.chunk.")
    assert len(long.sentence) < 1_300
