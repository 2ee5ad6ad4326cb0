"""What the warehouse quotes of rows goes no further; what helps to correct the query does."""

from __future__ import annotations

import re

import pytest
from anomaly_detector.warehouse.faults import classify
from anomaly_detector.warehouse.redaction import without_values
from hypothesis import given, settings
from hypothesis import strategies as st

SQL = """UNLOAD ('select "order", country from shop.orders_2024 where country = ''DE''')
TO 's3://shop-bucket/live/20260105/0000/attempt=1f/' IAM_ROLE 'arn:aws:iam::123456789012:role/r'"""

# How Redshift words errors about values; {} is the value.
TEXTS = [
    (
        "Invalid digit, Value '{}', Pos 0, Type: Integer DETAIL: error: Invalid digit, Value '{}', "
        "Pos 0, Type: Integer code: 1207 context: {} query: 842451 location: :0 process: "
        "query0_125 [pid=0]"
    ),
    'invalid input syntax for type numeric: "{}"',
    "invalid input syntax for integer: {}",
    'date/time field value out of range: "{}"',
    "Error converting text to date: value: {}",
    "String contains invalid or unsupported UTF8 codepoints. Bad UTF8 hex sequence: {} (error 4)",
    "ERROR: duplicate key value DETAIL: Key (email)=({}) already exists.",
    "ValueError: could not convert string to float: {} svl_udf_log",
    (
        "JSON parsing error DETAIL: code: 8001 context: JSON parsing error: JSON string: "
        '{{"mail": "{}", "age": 4}} query: 12 location: funcs_json.hpp:202'
    ),
    "Numeric data overflow (result) DETAIL: context: 64 bit overflow, value: {} code: 1058",
    "Value out of range for 4 bytes: {}",
    "Invalid exponent, Value '{}",
    "Cannot parse row: {{mail={}}}",
    'Data value "{}" has 12 invalid characters',
]
VALUES = st.one_of(
    st.emails(),
    st.sampled_from(
        ["O'Brien of Cork", 'the "best" of shops', "it's {odd}: 'x' = \"y\" z", "(a) b"]
    ),
    st.from_regex(r"[A-Z][a-z]{5,9} [A-Z][a-z]{5,9}", fullmatch=True),
    st.integers(10**5, 10**12).map(str),
    st.floats(1e3, 1e9).map(lambda value: f"{value:.3f}"),
    st.dates().map(str),
    st.uuids().map(str),
    st.ip_addresses(v=4).map(str),
)


@pytest.mark.parametrize("text", TEXTS)
@given(value=VALUES)
@settings(max_examples=40, deadline=None)
def test_no_word_depends_on_the_value(text: str, value: str) -> None:
    def shown(quoted: str) -> set[str]:
        error = text.replace("{{", "{").replace("}}", "}").replace("{}", quoted)
        return set(re.findall(r"\w+", classify(error, SQL).sentence))

    assert shown(value) <= shown("jane@example.com")


@pytest.mark.parametrize(
    "text",
    [
        'permission denied for relation "orders_2024"',
        'column "order" does not exist',
        'syntax error at or near "country"',
        "S3ServiceException:Access Denied,Status 403,Error AccessDenied,CanRetry 1",
        "Invalid operation: could not open relation with OID 155466714;",
        (
            "User arn:aws:redshift:us-east-1:1:dbuser:c/u is not authorized to assume IAM Role "
            "arn:aws:iam::123456789012:role/r"
        ),
        "Query (842451) cancelled by WLM abort action of Query Monitoring Rule",
        "The query ran longer than 300 seconds",
        "Query doesn't return within the user's limit",
        "Specified unload destination on S3 is not empty: s3://shop-bucket/live/20260105/0000/",
        "code: 1023 Serializable isolation violation on table",
    ],
)
def test_names_codes_and_quantities_are_kept(text: str) -> None:
    assert without_values(text, SQL) == text


def test_the_kind_is_judged_by_the_whole_text() -> None:
    text = "Invalid digit, Value 'x1', Pos 0, Type: Integer"

    assert classify(text, SQL).kind is classify(text).kind
    assert "'…', Pos 0, Type: Integer. Correct the query" in classify(text, SQL).sentence
