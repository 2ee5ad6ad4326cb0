"""The configuration document: what is refused, and what its hashes depend on."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from anomaly_detector.config import Config, document_hash, load
from anomaly_detector.errors import PermanentError

DOCUMENT = {
    "name": "shop",
    "interval": "PT1H",
    "timestamp_column": {"name": "ts"},
    "measures": {"views": {"aggregation": "SUM"}, "price": {"aggregation": "AVG"}},
    "dimensions": ["platform", "marketplace"],
    "query": "select 1",
    "redshift": {"cluster_identifier": "shop", "database": "dev", "unload_role": "default"},
}


def config(**changes: object) -> Config:
    return load(json.dumps(DOCUMENT | changes))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"colour": "red"}, "colour: this key is not known"),
        ({"interval": "PT2H"}, "interval: Input should be 'PT5M'"),
        ({"timezone": "Mars/Olympus"}, "timezone: 'Mars/Olympus' is not an IANA time zone"),
        ({"offset_seconds": 432_001}, "offset_seconds: Input should be less than or equal"),
        ({"measures": {}}, "measures: Dictionary should have at least 1 item"),
        ({"dimensions": ["views"]}, "column 'views' cannot be a measure and a dimension"),
        ({"dimensions": ["ts"]}, "column 'ts' is named twice"),
        ({"dimensions": ["Severity"]}, "dimension 'Severity' has the name of a results column"),
        ({"dimension_filters": {"city": ["x"]}}, "names 'city', which is not a dimension"),
        ({"alerts": {"a": {"measures": ["tax"]}}}, "names 'tax', which is not a measure"),
        ({"alerts": {"a": {"threshold": 101}}}, "alerts.a.threshold: Input should be less"),
        ({"history": {"length": "90"}}, "'90' is not a number of days such as 'P90D'"),
        (
            {"redshift": {"database": "dev", "unload_role": "default"}},
            "redshift: give exactly one of cluster_identifier and workgroup_name",
        ),
        (
            {"redshift": DOCUMENT["redshift"] | {"secret_arn": "arn", "db_user": "me"}},
            "redshift: give at most one of secret_arn and db_user",
        ),
    ],
)
def test_a_fault_is_named_by_its_key(changes, sentence):
    with pytest.raises(PermanentError) as raised:
        config(**changes)

    assert sentence in str(raised.value)


def test_text_that_is_no_json_is_refused():
    with pytest.raises(PermanentError, match="not valid"):
        load(b"{")


def test_a_local_file_needs_four_keys_only():
    needed = ("interval", "timestamp_column", "measures", "dimensions")

    small = load(json.dumps({key: DOCUMENT[key] for key in needed}))

    assert small.query is None
    assert small.false_events_per_week == 1


@pytest.mark.parametrize(
    ("changes", "rows", "model"),
    [
        ({}, True, True),
        ({"alerts": {"a": {"threshold": 70}}, "description": "x"}, True, True),
        ({"redshift": DOCUMENT["redshift"] | {"secret_arn": "arn"}}, True, True),
        ({"offset_seconds": 600}, True, True),
        (
            {"measures": {"views": {"direction": "up"}, "price": {"aggregation": "AVG"}}},
            True,
            False,
        ),
        ({"lookback_intervals": 5}, True, False),
        ({"history": {"length": "P10D"}}, True, False),
        ({"query": "select 2"}, False, False),
        ({"rollups": ["total"]}, False, False),
        ({"measures": {"views": {}, "price": {"aggregation": "MAX"}}}, False, False),
    ],
)
def test_hashes_tell_what_must_be_done_again(changes, rows, model):
    before, after = config(), config(**changes)

    assert (before.query_hash == after.query_hash) is rows
    assert (before.model_hash == after.model_hash) is model


def test_levels_hold_each_set_of_dimensions_once():
    assert config().levels == (
        (),
        ("platform",),
        ("marketplace",),
        ("platform", "marketplace"),
    )
    assert config(dimensions=[]).levels == ((),)
    assert config(dimensions=["a", "b", "c"], rollups=["single"]).levels == (
        ("a",),
        ("b",),
        ("c",),
        ("a", "b", "c"),
    )


def test_history_begins_where_it_is_told():
    end = datetime(2024, 6, 1, tzinfo=UTC)

    assert config().history.begin(end, "PT1H") == end - timedelta(days=90)
    assert config(history={"length": "P7D"}).history.begin(end, "PT1H") == end - timedelta(days=7)
    given_start = config(history={"start": "2024-01-01T02:00:00+02:00"})
    assert given_start.history.begin(end, "PT1H") == datetime(2024, 1, 1, tzinfo=UTC)


def test_a_document_is_named_by_its_bytes():
    assert document_hash(b"{}") == document_hash(b"{}")
    assert document_hash(b"{}") != document_hash(b"{ }")
