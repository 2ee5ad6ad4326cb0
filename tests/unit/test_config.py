"""The configuration document: what is refused, and what its hashes depend on."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import get_args

import pytest
from anomaly_detector.config import Config, Measure, document_hash, load
from anomaly_detector.errors import PermanentError
from pydantic import BaseModel

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


# What Terraform refuses as well: tests/terraform/validation_cases.py.
@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"colour": "red"}, "colour is not a known key"),
        (
            {"measures": {"views": {"agregation": "SUM"}}},
            "measures.views.agregation is not a known key",
        ),
        (
            {"interval": 60},
            "interval must be PT5M, PT10M, PT15M, PT30M, PT1H, P1D, P1W or P1M; got 60",
        ),
        ({"timestamp_column": {}}, "timestamp_column.name must be set"),
        (
            {"measures": {"views": {"max": "high"}}},
            'measures.views.max must be a number; got "high"',
        ),
        ({"alerts": {"a": {"threshold": "high"}}}, "alerts.a.threshold must be a number from 0 to"),
        ({"description": 1}, "description must be a string; got 1"),
        ({"measures": ["views"]}, 'measures must be an object; got ["views"]'),
        ({"dimensions": "platform"}, 'dimensions must be a list; got "platform"'),
        ({"alerts": ["a"]}, 'alerts must be an object; got ["a"]'),
        ({"timestamp_column": "ts"}, 'timestamp_column must be an object; got "ts"'),
        # As Terraform groups them.
        (
            {"schedule": {"timezone": "Europe/Berlin"}},
            "schedule is not a known key: write its keys (timezone, offset_seconds) without it",
        ),
        (
            {"dimensions": ["views", "ts"]},
            'contain a measure; got ["views","ts"]; dimensions must not contain the timestamp',
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
    assert small.band == 0.99
    assert small.season_intervals is None


def test_of_days_and_longer_one_interval_in_70_may_be_false_by_default():
    document = DOCUMENT | {"false_events_per_week": None}

    found = {
        interval: load(json.dumps(document | {"interval": interval})).false_events_per_week
        for interval in ("PT5M", "PT1H", "P1D", "P1W", "P1M")
    }

    assert found == {"PT5M": 1, "PT1H": 1, "P1D": 0.1, "P1W": 0.014, "P1M": 0.003}


# Every field: a change of it, and whether the landed rows and the model stay the same.
FIELDS: dict[str, list[tuple[object, bool, bool]]] = {
    "name": [("other", True, False)],
    "description": [("x", True, True)],
    "interval": [("PT30M", False, False), ("P1W", False, False), ("P1M", False, False)],
    "timezone": [("Europe/Berlin", False, False)],
    "offset_seconds": [(600, True, True)],
    "lookback_intervals": [(5, True, False)],
    "timestamp_column.name": [("at", False, False)],
    "timestamp_column.format": [("yyyy-MM-dd HH:mm", False, False)],
    "timestamp_column.timezone": [("Europe/Berlin", False, False)],
    "measures": [
        ({"views": {}, "price": {}}, False, False),
        ({"views": {}}, False, False),
        # Landed columns are numbered in this order.
        ({"price": {"aggregation": "AVG"}, "views": {}}, False, False),
        ({"views": {"aggregation": "SUM"}, "price": {"aggregation": "AVG"}}, True, True),
    ],
    "measures.views.aggregation": [("MAX", False, False)],
    "measures.views.numerator": [],  # together, see below
    "measures.views.denominator": [],
    "measures.views.exact": [],
    "measures.views.direction": [("up", True, False)],
    "measures.views.min_absolute_change": [(5, True, False)],
    "measures.views.min_relative_change": [(0.5, True, False)],
    "measures.views.min_change_by_level": [({"total": {"min_absolute_change": 5}}, True, False)],
    "measures.views.direction_by_slice": [
        ([{"dimension_filters": {"platform": ["a"]}, "direction": "up"}], True, False)
    ],
    "measures.views.min": [(0, True, False)],
    "measures.views.max": [(9.5, True, False)],
    "measures.views.bounded_series": [("widest", True, False)],
    "measures.views.unit": [("count", True, False)],
    "dimensions": [(["platform"], False, False), (["marketplace", "platform"], False, False)],
    "dimension_filters": [
        ({"platform": ["web"]}, False, False),
        ({}, True, True),
    ],
    "rollups": [
        (["total"], False, False),
        (["pairs", "single", "total"], True, True),
        (["single", "total"], True, True),  # of two dimensions the pair is the leaf
    ],
    "false_events_per_week": [(2, True, False)],
    "messages_per_week": [(3, True, True)],
    "band": [(0.9, True, False)],
    "season_intervals": [(10, True, False)],
    "silence_intervals": [(5, True, True)],
    "max_series": [(10, True, True)],
    "memory_mb": [(4096, True, True)],
    "shards": [(8, True, True)],
    "query": [("select 2", False, False)],
    "history_query": [("select 3", False, False)],
    "redshift.cluster_identifier": [("other", False, False)],
    "redshift.workgroup_name": [],  # another kind of place, see below
    "redshift.database": [("prod", False, False)],
    "redshift.secret_arn": [("arn:aws:secretsmanager:eu-west-1:123456789012:secret:s", True, True)],
    "redshift.db_user": [("me", True, True)],
    "redshift.role_arn": [("arn:aws:iam::210987654321:role/access", True, True)],
    "redshift.external_id": [],  # only with role_arn; who is assumed changes no row
    "redshift.unload_role": [("arn:aws:iam::123456789012:role/r", True, True)],
    "redshift.kms_key_arn": [("arn", True, True)],
    "history.start": [("2024-01-01T00:00:00Z", True, False)],
    "history.length": [("P10D", True, False), ("P90D", True, True)],  # the default of PT1H
    "history.chunk": [("P5D", True, True)],
    "history.parallelism": [(1, True, True)],
    "budget.seconds": [(3600, True, True)],
    "budget.dollars": [(5, True, True)],
    "budget.dollars_per_hour": [(4, True, True)],
    "severity_classes.medium": [(60, True, True)],
    "severity_classes.high": [(95, True, True)],
    "alerts": [({"a": {"threshold": 70}}, True, True)],
    "calendar.days": [({"Fair": ["2026-02-01"]}, True, False)],
    "calendar.ical": [
        (
            "BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:a\nDTSTART:20260101\nEND:VEVENT\nEND:VCALENDAR",
            True,
            False,
        )
    ],
    "calendar.silent": [(["*"], True, False)],
    "incidents": [
        (
            {"m": {"start": "2025-01-01T00:00:00Z", "end": "2026-01-01T00:00:00Z", "reason": "r"}},
            True,
            False,
        )
    ],
    "mutes": [({"m": {"end": "2026-01-01T00:00:00Z", "reason": "r"}}, True, True)],
}


def fields(model: type[BaseModel], prefix: str = "") -> set[str]:
    """Names of all fields, those of nested models behind a point."""
    found = set()
    for name, field in model.model_fields.items():
        inner = next(
            (
                one
                for one in (field.annotation, *get_args(field.annotation))
                if isinstance(one, type) and issubclass(one, BaseModel)
            ),
            None,
        )
        if inner is None or name in ("alerts", "incidents", "measures", "mutes"):
            found.add(prefix + name)
        else:
            found |= fields(inner, f"{prefix}{name}.")
    return found


def changed(path: str, value: object) -> Config:
    document = json.loads(json.dumps(DOCUMENT))
    place = document
    *parents, last = path.split(".")
    for parent in parents:
        place = place.setdefault(parent, {})
    place[last] = value
    return load(json.dumps(document))


def test_every_field_is_thought_of():
    of_measures = {f"measures.views.{name}" for name in Measure.model_fields}

    assert set(FIELDS) == fields(Config) | of_measures


@pytest.mark.parametrize(
    ("path", "value", "rows", "model"),
    [(path, *case) for path, cases in FIELDS.items() for case in cases],
)
def test_a_changed_field_changes_what_depends_on_it(path, value, rows, model):
    before, after = config(), changed(path, value)

    assert (before.query_hash == after.query_hash) is rows
    assert (before.model_hash == after.model_hash) is model


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"aggregation": "P95"}, {"aggregation": "P95", "exact": True}),
        (
            {"aggregation": "RATIO", "numerator": "a", "denominator": "b"},
            {"aggregation": "RATIO", "numerator": "c", "denominator": "b"},
        ),
        (
            {"aggregation": "RATIO", "numerator": "a", "denominator": "b"},
            {"aggregation": "RATIO", "numerator": "a", "denominator": "c"},
        ),
    ],
)
def test_another_way_to_aggregate_makes_other_rows(one, other):
    before, after = (config(measures={"m": keys}) for keys in (one, other))

    assert before.query_hash != after.query_hash
    assert before.model_hash != after.model_hash


def test_another_kind_of_place_holds_other_rows():
    place = {"workgroup_name": "shop", "database": "dev", "unload_role": "default"}

    assert config().query_hash != config(redshift=place).query_hash


def test_filters_are_the_same_in_any_order():
    one, other = ({"platform": list(values)} for values in ("ab", "bab"))

    assert config(dimension_filters=one).query_hash == config(dimension_filters=other).query_hash


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
