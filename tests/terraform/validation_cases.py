"""Inputs that are refused, each with the words that say why.

Terraform and the package's model refuse the same, with the same words: one pytest reads these
cases and asks both (`test_validations.py`). An input is written as in Terraform; what does not
reach the configuration document is refused by Terraform alone.
"""

from __future__ import annotations

import json
from typing import Any

WINDOW = "ts >= {{ window_start }} and ts < {{ window_end }}"
BASE: dict[str, Any] = {
    "name": "shop",
    "redshift": {"cluster_identifier": "analytics", "database": "prod"},
    "query": f"select * from orders where {WINDOW}",
    "timestamp_column": {"name": "ts"},
    "measures": {"revenue": {}},
    "dimensions": ["country", "channel"],
    "interval": "PT1H",
}
_CLUSTER = {"cluster_identifier": "a", "database": "prod"}
_WORKGROUP = {"workgroup_name": "analytics", "database": "prod"}
_SERVERLESS = {
    "workgroup_arn": "arn:aws:redshift-serverless:eu-west-1:123456789012:workgroup/0a1b2c3d",
    "namespace_arn": "arn:aws:redshift-serverless:eu-west-1:123456789012:namespace/4e5f6a7b",
}
_SECRET = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:s-AbCdEf"
_ROLE = "arn:aws:iam::123456789012:role/a"
_INCIDENT = {
    "start": "2026-02-01T00:00:00+01:00",
    "end": "2026-02-02T00:00:00Z",
    "reason": "maintenance",
}
_OTHER_ROLE = {"create": False, "arn": _ROLE}
_MUTE = {"end": "2026-02-02T00:00:00Z", "reason": "moving house"}


def _alert(**keys: Any) -> dict[str, Any]:
    return {"alerts": {"a": keys}}


def _revenue(**keys: Any) -> dict[str, Any]:
    return {"measures": {"revenue": keys}}


def _calendar(**keys: Any) -> dict[str, Any]:
    return {"calendar": keys}


def _query(text: str) -> list[dict[str, Any]]:
    """The same text as the query and as that of the history."""
    return [{"query": text}, {"history": {"query": text}}]


def _format(text: str) -> dict[str, Any]:
    return {"timestamp_column": {"name": "ts", "format": text}}


# What reaches the configuration document: inputs that differ from BASE, words of the refusal.
BOTH: list[tuple[dict[str, Any], str]] = [
    *[
        ({"name": name}, "name must be 3-32 lowercase letters, digits and hyphens, starting with a")
        for name in ("Shop", "ab", "a" * 33, "shop-", "1shop", "my_shop", "")
    ],
    (
        {"redshift": {"database": "prod"}},
        "must have exactly one of cluster_identifier and workgroup_name; got null and null",
    ),
    (
        {"redshift": {**_CLUSTER, "workgroup_name": "abc"}},
        'must have exactly one of cluster_identifier and workgroup_name; got "a" and "abc"',
    ),
    (
        {"redshift": {"workgroup_name": "wg", "database": "prod"}},
        'workgroup_name must be 3-63 lowercase letters, digits and hyphens; got "wg"',
    ),
    (
        {"redshift": {"workgroup_name": "w" * 64, "database": "prod"}},
        "workgroup_name must be 3-63 lowercase letters, digits and hyphens; got",
    ),
    *[
        (
            {"redshift": {"cluster_identifier": name, "database": "prod"}},
            "not ending with a hyphen and without two hyphens in a row; got",
        )
        for name in ("shop--prod", "shop-", "1shop", "")
    ],
    (
        {"redshift": {"cluster_identifier": "a.redshift.amazonaws.com", "database": "prod"}},
        "cluster_identifier must be 1-63 lowercase letters, digits and hyphens",
    ),
    *[
        (
            {"redshift": {"cluster_identifier": "a", "database": name}},
            "database must be 1-127 characters long",
        )
        for name in ("", "d" * 128, None)
    ],
    *[
        (
            {"redshift": {**_CLUSTER, "db_user": name}},
            "db_user must be 1-64 letters, digits and _ + . @ -, starting with a letter; got",
        )
        for name in ("", "1st", "a:b", "a/b", "a" * 65)
    ],
    (
        {"redshift": {**_CLUSTER, "secret_arn": _SECRET, "db_user": "u"}},
        "must have at most one of secret_arn and db_user",
    ),
    (
        {"redshift": {"workgroup_name": "abc", "database": "prod", "db_user": "u"}},
        "db_user must not be set with a workgroup",
    ),
    (
        {"redshift": {**_CLUSTER, "secret_arn": "my-secret"}},
        'secret_arn must be the ARN of a Secrets Manager secret; got "my-secret"',
    ),
    (
        {"redshift": {**_CLUSTER, "role_arn": "role", "unload_role": _OTHER_ROLE}},
        'role_arn must be the ARN of an IAM role; got "role"',
    ),
    *[
        (
            {"redshift": {**_CLUSTER, **given, "unload_role": _OTHER_ROLE}},
            "external_id must be 2-1000 letters, digits and _ + = , . @ : / -, and be set only",
        )
        for given in (
            {"external_id": "shop-1"},
            {"external_id": "x", "role_arn": _ROLE},
            {"external_id": "two words", "role_arn": _ROLE},
        )
    ],
    *[
        (
            {"redshift": {**_CLUSTER, "unload_role": {"create": False, "arn": arn}}},
            "must be the ARN of an IAM role, a chain of role ARNs separated by commas without",
        )
        for arn in ("role", f"{_ROLE}, {_ROLE}", f"{_ROLE},default", "")
    ],
    *[
        (inputs, "must contain both {{ window_start }} and {{ window_end }} outside of comments")
        for text in (
            "select * from orders where ts >= {{ window_start }}",
            "select * from orders where ts < {{ window_end }}",
            f"select * from orders -- where {WINDOW}",
            f"select * from orders /* where {WINDOW} */",
            "select * from orders",
            f"select * from orders -- where {WINDOW}\rlimit 5",
        )
        for inputs in _query(text)
    ],
    *[
        (inputs, "must contain no placeholder other than {{ window_start }} and {{ window_end }}")
        for inputs in _query(f"select * from {{{{ table }}}} where {WINDOW}")
    ],
    *[
        (inputs, "must start with SELECT or WITH")
        for text in (f"delete from orders where {WINDOW}", f"(select 1) -- {WINDOW}")
        for inputs in _query(text)
    ],
    *[
        (inputs, "must be a single statement: something follows a semicolon")
        for text in (
            f"select * from orders where {WINDOW}; drop table orders",
            f"select ';' from orders where {WINDOW}; select 1",
            f"select * from orders where {WINDOW}; -- and\nselect 1",
            f"select * from orders where {WINDOW} -- done\r; drop table orders",
        )
        for inputs in _query(text)
    ],
    *[
        (inputs, "must close every string, quoted name and comment, and must not nest comments")
        for text in (
            f"select 'a from orders where {WINDOW}",
            f'select "a from orders where {WINDOW}',
            f"select $$a from orders where {WINDOW}",
            f"select a from orders where {WINDOW} /* b",
            f"select a /* b /* c */ d */ from orders where {WINDOW}",
        )
        for inputs in _query(text)
    ],
    *[
        (inputs, "must not quote strings with a tag such as $q$")
        for inputs in _query(f"select $q$; drop$q$ from orders where {WINDOW}")
    ],
    *[
        (inputs, "must have balanced parentheses")
        for text in (
            f"select sum(a from orders where {WINDOW}",
            f"select a) from orders where {WINDOW}",
        )
        for inputs in _query(text)
    ],
    *[
        (inputs, "must not contain SELECT … INTO, which creates a table")
        for inputs in _query(f"select * into copy from orders where {WINDOW}")
    ],
    *[
        (inputs, "must select after WITH …")
        for text in (
            f"with a as (select 1) insert into b select * from a where {WINDOW}",
            f"-- a\nWITH a AS (SELECT f((1), (2)) FROM c) DELETE FROM b WHERE {WINDOW}",
            f"with a (x) as (select ')'), \"b\" as (select 2) update c set d = 1 where {WINDOW}",
            f"with a as (select 1 where {WINDOW}) (select * from a)",
            f"with a as (select 1 where {WINDOW});",
        )
        for inputs in _query(text)
    ],
    *[
        (inputs, "must not contain template tags such as {% … %}: give the rendered SQL")
        for tag in ("{% if x %} and 1 = 1 {% endif %}", "{# why #}")
        for inputs in _query(f"select * from orders where {WINDOW} {tag}")
    ],
    *[
        (inputs, "must not contain WITH RECURSIVE, which Redshift rejects in a subquery")
        for inputs in _query(
            f"with recursive t as (select 1) select * from t, orders where {WINDOW}"
        )
    ],
    *[
        ({"timestamp_column": {"name": name}}, "name must be the name of a column, 1-127")
        for name in ("", " ", "*", "t" * 128, None)
    ],
    *[
        (_format(text), "format must contain year, month and day, such as yyyy-MM-dd HH:mm:ss")
        for text in ("yyyy-MM", "HH:mm:ss", "MM/dd", "'yyyy'-MM-dd", "")
    ],
    *[
        (_format(text), "format must consist of yyyy, MMM, MM, M, dd, d, HH, H, hh, a, mm, ss")
        for text in (
            "YYYY-MM-DD",
            "yyyy-MM-ddTHH:mm:ss",
            "yyyy-MM-dd HH:mm:ssZ",
            "yyyy-MM-dd HH:mm:ss z",
            "yyyyMMddd",
            "yyyy-MMMM-dd",
            "yyyy-MM-dd hh:mm aa",
            "yy-MM-dd",
        )
    ],
    (_format("yyyy-MM-dd'T"), "format must close its quotes"),
    *[
        (_format(text), "format must have no text between its fields that a field can contain")
        for text in ("dd MMM'T'yyyy", "yyyy-MM-dd'7'HH", "yyyy-MM-dd'a'hh:mm a", "yyyy0MM0dd")
    ],
    *[
        (_format(text), "format must use hh (hours 1-12) and a (AM or PM) together, or HH")
        for text in ("yyyy-MM-dd hh:mm", "yyyy-MM-dd HH:mm a")
    ],
    *[
        (inputs, f'timezone must be an IANA time zone such as Europe/Berlin, or UTC; got "{zone}"')
        for zone in ("CET+1", "CEST", "Europe/Berln", "europe/berlin", "UTC+2", "", "localtime")
        for inputs in (
            {"timestamp_column": {"name": "ts", "timezone": zone}},
            {"schedule": {"timezone": zone}},
        )
    ],
    ({"measures": {}}, "measures must have 1 to 10 entries; got 0"),
    ({"measures": {f"m{i}": {} for i in range(11)}}, "measures must have 1 to 10 entries; got 11"),
    *[
        ({"measures": {name: {}}}, "measures must be keyed by names of columns, 1-127 characters")
        for name in ("", " ", "*", "m" * 128)
    ],
    ({"measures": {"a": {}, "A": {}}}, "measures must not name a column twice, in any case"),
    *[
        (
            {"measures": {"revenue": {"aggregation": name}}},
            "aggregation must be SUM, AVG, MIN, MAX, COUNT, COUNT_DISTINCT, P50, P90, P95, P99 or",
        )
        for name in ("MEDIAN", "sum", "P75", "COUNT DISTINCT", "")
    ],
    *[
        (
            {"measures": {"rate": keys}},
            "must have numerator and denominator if, and only if, its aggregation is RATIO; got",
        )
        for keys in (
            {"aggregation": "RATIO"},
            {"aggregation": "RATIO", "numerator": "clicks"},
            {"aggregation": "RATIO", "denominator": "views"},
            {"aggregation": "AVG", "numerator": "clicks", "denominator": "views"},
            {"denominator": "views"},
        )
    ],
    *[
        (
            {"measures": {"rate": {"aggregation": "RATIO", **columns}}},
            f"{key} must be the name of a column, 1-127 characters and not *; got",
        )
        for name in ("", " ", "*", "c" * 128)
        for key, columns in (
            ("numerator", {"numerator": name, "denominator": "views"}),
            ("denominator", {"numerator": "clicks", "denominator": name}),
        )
    ],
    *[
        (
            {"measures": {"revenue": {"aggregation": name, "exact": True}}},
            "must not be exact unless its aggregation is COUNT_DISTINCT, P50, P90, P95 or P99; got",
        )
        for name in ("SUM", "AVG", "COUNT")
    ],
    (
        {"measures": {"revenue": {"direction": "sideways"}}},
        "direction must be up, down or both; got",
    ),
    *[
        ({"measures": {"revenue": {key: -0.1}}}, f"{key} must be 0 or greater; got")
        for key in ("min_absolute_change", "min_relative_change")
    ],
    *[
        (
            {"measures": {"revenue": {"min": low, "max": high}}},
            "must not have a min that is greater than its max; got",
        )
        for low, high in ((1, 0.5), (0, -1))
    ],
    *[
        (
            {"measures": {"revenue": {"unit": name}}},
            "unit must be share, amount or count; got",
        )
        for name in ("percent", "Share", "")
    ],
    *[
        (
            {"measures": {"revenue": {"max": 1, "bounded_series": name}}},
            "bounded_series must be all or widest; got",
        )
        for name in ("total", "")
    ],
    (
        {"dimensions": [f"d{i}" for i in range(11)]},
        "dimensions must have at most 10 entries; got 11",
    ),
    *[
        ({"dimensions": [name]}, "dimensions must be names of columns, 1-127 characters and not *")
        for name in ("", " ", "*", "d" * 128)
    ],
    (
        {"dimensions": ["country", "Country"]},
        'dimensions must not name a column twice, in any case; got ["country","Country"]',
    ),
    (
        {"dimensions": ["Severity"]},
        "dimensions must not use the name of a results column",
    ),
    *[
        ({"dimensions": ["country", name]}, "dimensions must not contain a measure")
        for name in ("revenue", "Revenue")
    ],
    *[
        ({"dimensions": [name]}, "dimensions must not contain the timestamp column")
        for name in ("ts", "TS")
    ],
    (
        {"dimension_filters": {"city": ["Rome"]}},
        "dimension_filters must be keyed by dimensions (country, channel); got",
    ),
    (
        {"dimension_filters": {"country": []}},
        "dimension_filters must have at least one value for each dimension; got",
    ),
    *[
        (
            {"interval": name},
            "interval must be PT5M, PT10M, PT15M, PT30M, PT1H, P1D, P1W or P1M; got",
        )
        for name in ("PT2H", "pt1h", "P2W", "P1Y", "")
    ],
    *[
        (
            {"schedule": {"offset_seconds": number}},
            f"offset_seconds must be a whole number from 0 to 432000; got {number}",
        )
        for number in (-1, 432001, 0.5)
    ],
    (
        {"history": {"start": "2024-01-01T00:00:00Z", "length": "P90D"}},
        "history must have at most one of start and length; got",
    ),
    *[
        (
            {"history": {"start": time}},
            f'start must be an RFC 3339 timestamp such as 2024-01-01T00:00:00Z; got "{time}"',
        )
        for time in ("2024-01-01", "2024-01-01T00:00:00", "2024-01-01 00:00:00Z", "1704067200", "")
    ],
    ({"history": {"start": "2999-01-01T00:00:00Z"}}, "history.start must be in the past"),
    *[
        (
            {"history": {key: length}},
            f'{key} must be a number of days such as {such}; got "{length}"',
        )
        for key, such in (("length", "P90D"), ("chunk", "P30D"))
        for length in ("P3M", "P0D", "90", "")
    ],
    *[
        (
            {"history": {"parallelism": number}},
            f"parallelism must be a whole number from 1 to 40; got {number}",
        )
        for number in (0, 41, 1.5)
    ],
    *[
        (
            {"detection": {"season_intervals": number}},
            f"season_intervals must be a whole number from 2 to 1000; got {number}",
        )
        for number in (1, 1001, 2.5)
    ],
    *[
        (
            {"detection": {"lookback_intervals": number}},
            f"lookback_intervals must be a whole number from 0 to 24; got {number}",
        )
        for number in (-1, 25, 0.5)
    ],
    *[
        (
            {"monitoring": {"silence_intervals": number}},
            f"silence_intervals must be a whole number from 1 to 7; got {number}",
        )
        for number in (0, 8, 1.5)
    ],
    *[
        ({"budget": {key: number}}, "must be greater than 0; got")
        for key in ("seconds", "dollars", "dollars_per_hour")
        for number in (0, -1)
    ],
    *[
        (
            {"detection": {"rollups": names}},
            "rollups must be any of total, single and pairs, each at most once; got",
        )
        for names in (["triples"], ["total", "total"])
    ],
    *[
        (
            {"detection": {"false_events_per_week": number}},
            "false_events_per_week must be greater than 0 and at most 1000; got",
        )
        for number in (0, 1000.5, -1)
    ],
    *[
        (
            {"detection": {"messages_per_week": number}},
            "messages_per_week must be greater than 0 and at most 1000; got",
        )
        for number in (0, 1000.5, -1)
    ],
    *[
        (
            {"detection": {"band": number}},
            f"band must be a number from 0.5 to 0.999; got {number}",
        )
        for number in (0, 0.49, 1, 99)
    ],
    *[
        (
            {"detection": {"max_series": number}},
            "max_series must be a whole number from 1 to 1000000; got",
        )
        for number in (0, 1000001, 1.5)
    ],
    *[
        (
            {"detection": {"shards": number}},
            f"shards must be a whole number from 1 to 64; got {number}",
        )
        for number in (0, 65, 1.5)
    ],
    *[
        (
            {"lambda": {"memory_mb": number}},
            "memory_mb must be a whole number from 512 to 10240; got",
        )
        for number in (128, 10241, 512.5)
    ],
    ({"alerts": {f"a{i}": {} for i in range(11)}}, "alerts must have at most 10 entries; got 11"),
    (
        {"mutes": {f"m{i}": _MUTE for i in range(101)}},
        "mutes must have at most 100 entries; got 101",
    ),
    ({"mutes": {"a b": _MUTE}}, "mutes must be keyed by names of 1-63 letters, digits, hyphens"),
    *[
        (
            {"mutes": {"m": {**_MUTE, key: moment}}},
            f".{key} must be an RFC 3339 timestamp such as 2024-01-01T00:00:00Z; got",
        )
        for key in ("start", "end")
        for moment in ("2026-02-01", "tomorrow", "2026-02-01T00:00:00")
    ],
    (
        {"mutes": {"m": {**_MUTE, "start": "2026-02-03T00:00:00+01:00"}}},
        " must start before its end; got",
    ),
    *[
        ({"mutes": {"m": {**_MUTE, "reason": text}}}, ".reason must be a text of 1-500 characters")
        for text in ("", "  ", "x" * 501)
    ],
    ({"mutes": {"m": {**_MUTE, "measures": ["x"]}}}, ".measures must be measures (revenue); got"),
    (
        {"mutes": {"m": {**_MUTE, "dimension_filters": {"x": ["a"]}}}},
        ".dimension_filters must be keyed by dimensions (country, channel); got",
    ),
    *[
        ({"incidents": {"m": {**_INCIDENT, key: "2026-02-01"}}}, f".{key} must be an RFC 3339 time")
        for key in ("start", "end")
    ],
    (
        {"incidents": {f"m{i}": _INCIDENT for i in range(501)}},
        "incidents must have at most 500 entries; got 501",
    ),
    *[
        (_revenue(min_change_by_level={"total": {key: -1}}), " must be 0 or greater; got")
        for key in ("min_absolute_change", "min_relative_change")
    ],
    (_revenue(min_change_by_level={"one": {}}), "min_change_by_level must be keyed by total, sin"),
    (
        _revenue(direction_by_slice=[{"dimension_filters": {"country": ["de"]}, "direction": "x"}]),
        ".direction_by_slice.direction must be up, down or both; got",
    ),
    *[
        (
            _revenue(direction_by_slice=[{"dimension_filters": filters, "direction": "up"}]),
            f".direction_by_slice.dimension_filters must {says}; got",
        )
        for filters, says in (
            ({"x": ["a"]}, "be keyed by dimensions (country, channel)"),
            ({}, "be keyed by dimensions (country, channel)"),
            ({"country": []}, "have at least one value for each dimension"),
        )
    ],
    (
        _revenue(
            direction_by_slice=[{"dimension_filters": {"country": ["de"]}, "direction": "up"}] * 21
        ),
        ".direction_by_slice must have at most 20 entries; got",
    ),
    ({"incidents": {"a b": _INCIDENT}}, "incidents must be keyed by names of 1-63 letters"),
    ({"incidents": {"m": {**_INCIDENT, "reason": ""}}}, ".reason must be a text of 1-500 char"),
    ({"incidents": {"m": {**_INCIDENT, "end": _INCIDENT["start"]}}}, " must start before its end"),
    ({"incidents": {"m": {**_INCIDENT, "measures": ["x"]}}}, ".measures must be measures (reve"),
    (
        {"incidents": {"m": {**_INCIDENT, "dimension_filters": {"x": ["a"]}}}},
        ".dimension_filters must be keyed by dimensions (country, channel); got",
    ),
    *[
        (_calendar(days={"Fair": ["2026-02-01", day]}), "must be dates such as 2024-12-25; got")
        for day in ("2026-02-30", "1.2.2026", "", "2026-2-1")
    ],
    *[
        (_calendar(days={name: []}), "calendar.days must be keyed by names of 1-100 characters")
        for name in ("", "*", "x" * 101)
    ],
    (_calendar(ical="DTSTART:20260101"), "calendar.ical must be iCalendar text: "),
    (_calendar(silent=["Fair"]), 'calendar.silent must be * or names of days (); got ["Fair"]'),
    (
        {"interval": "P1M", **_calendar(days={"Fair": ["2026-02-01"]})},
        "calendar must not be set with months (P1M): every one has its special days",
    ),
    (
        {"mutes": {"m": {**_MUTE, "dimension_filters": {"country": []}}}},
        ".dimension_filters must have at least one value for each dimension; got",
    ),
    *[
        (
            {"severity_classes": {name: number}},
            f"severity_classes.{name} must be a number from 0 to 100; got",
        )
        for name, number in (("medium", -1), ("high", 100.5))
    ],
    (
        {"severity_classes": {"medium": 95}},
        "severity_classes must not have a medium that is greater than high; got 95 and 90",
    ),
    *[
        (
            {"alerts": {name: {}}},
            "alerts must be keyed by names of 1-63 letters, digits, hyphens and underscores",
        )
        for name in ("a b", "", "-a", "a" * 64)
    ],
    *[
        (_alert(threshold=number), "threshold must be a number from 0 to 100; got")
        for number in (-1, 100.5)
    ],
    *[
        (_alert(max_age_days=number), "max_age_days must be greater than 0 and at most 3650; got")
        for number in (0, -1, 3651)
    ],
    *[
        (_alert(digest_above=number), "digest_above must be a whole number from 1 to 1000; got")
        for number in (0, 1001, 1.5)
    ],
    *[
        (_alert(sns_topic_arns=[arn]), "sns_topic_arns must be ARNs of SNS topics; got")
        for arn in ("topic", "arn:aws:sqs:eu-west-1:123456789012:queue", "")
    ],
    *[
        (
            _alert(lambda_function_arns=[arn]),
            "lambda_function_arns must be ARNs of Lambda functions; got",
        )
        for arn in ("function", "arn:aws:sns:eu-west-1:123456789012:topic", "")
    ],
    (_alert(digest={"every": "month"}), "digest.every must be day or week; got"),
    *[
        (_alert(digest={"hour": hour}), "digest.hour must be a whole number from 0 to 23; got")
        for hour in (-1, 24, 7.5)
    ],
    *[
        (
            _alert(event_bus_arns=[arn]),
            "event_bus_arns must be ARNs of EventBridge event buses; got",
        )
        for arn in ("default", "arn:aws:events:eu-west-1:123456789012:rule/r", "")
    ],
    *[
        (
            _alert(**{f"{kind}_secret_arns": [arn]}),
            f"{kind}_secret_arns must be ARNs of Secrets Manager secrets; got",
        )
        for kind in ("slack", "teams", "pagerduty", "webhook")
        for arn in ("https://hooks.slack.com/services/x", "")
    ],
    (_alert(measures=["views"]), "measures must be measures (revenue); got"),
    (
        _alert(dimension_filters={"city": ["Rome"]}),
        "dimension_filters must be keyed by dimensions (country, channel); got",
    ),
    (
        _alert(dimension_filters={"country": []}),
        "dimension_filters must have at least one value for each dimension; got",
    ),
]

# What only Terraform reads.
TERRAFORM: list[tuple[dict[str, Any], str]] = [
    ({"name": None}, "name"),
    ({"measures": None}, "measures"),
    # What JSON and Terragrunt may hold where nothing is meant.
    ({"measures": {"revenue": None}}, "measures.* must not be null: use {} for the defaults"),
    ({"alerts": {"a": None}}, "alerts.* must not be null: use {} for the defaults"),
    ({"mutes": {"a": None}}, "mutes.* must not be null; got"),
    ({"incidents": {"a": None}}, "incidents.* must not be null; got"),
    *[
        (_calendar(countries=[code]), "calendar.countries must be ISO 3166 codes of countries such")
        for code in ("XX", "de", "DE-XX", "DE-", "DEU", "")
    ],
    ({"dimensions": [None]}, "dimensions must be names of columns, 1-127 characters and not *"),
    (_alert(measures=[None]), "measures must be measures (revenue); got"),
    *[
        (inputs, f"dimension_filters must {says}")
        for filters, says in (
            ({"country": None}, "have at least one value for each dimension; got"),
            ({"country": ["DE", None]}, 'not contain null: write "(null)" for NULL; got'),
        )
        for inputs in ({"dimension_filters": filters}, _alert(dimension_filters=filters))
    ],
    *[
        ({"subscriptions": {topic: {"a": None}}}, "must not be null: leave the entry out; got")
        for topic in ("alerts", "operations")
    ],
    *[
        (
            {"subscriptions": {"operations": {"a": {"protocol": protocol, "endpoint": endpoint}}}},
            "endpoint must fit the protocol: an email address, a URL https://…, a phone number +…",
        )
        for protocol, endpoint in (
            ("email", ""),
            ("email", None),
            ("email-json", "https://a.b"),
            ("https", "http://a.b"),
            ("lambda", "function"),
            ("sms", "me@a.b"),
            ("sqs", "https://sqs.eu-west-1.amazonaws.com/123456789012/queue"),
            # Standard topics, as the module's are, take no FIFO queue.
            ("sqs", "arn:aws:sqs:eu-west-1:123456789012:queue.fifo"),
        )
    ],
    *[
        (
            {"name": name},
            "name must not start with xn--, sthree- or amzn-s3-demo-, which S3 reserves",
        )
        for name in ("xn--shop", "sthree-shop", "amzn-s3-demo-shop")
    ],
    (
        _alert(kms_key_arns=["alias/aws/sns"]),
        "alerts.*.kms_key_arns must be ARNs of KMS keys, not of aliases; got",
    ),
    (
        {"redshift": {**_CLUSTER, "secret_kms_key_arn": "arn:aws:kms:eu-west-1:1:alias/a"}},
        "secret_kms_key_arn must be the ARN of a KMS key, not of an alias",
    ),
    (
        {"redshift": {**_CLUSTER, "role_arn": _ROLE}},
        "redshift.unload_role.create must be false with redshift.role_arn",
    ),
    (
        {
            "redshift": {
                "workgroup_name": "abc",
                "database": "prod",
                "role_arn": _ROLE,
                "unload_role": _OTHER_ROLE,
            }
        },
        "redshift.serverless must be set for a workgroup with redshift.role_arn",
    ),
    *[
        (
            {"redshift": {**_CLUSTER, "unload_role": role}},
            "unload_role.arn must be set if, and only if, unload_role.create is false",
        )
        for role in ({"arn": "default"}, {"create": False})
    ],
    (
        {"redshift": {**_CLUSTER, "serverless": _SERVERLESS}},
        "redshift.serverless must not be set with a cluster",
    ),
    *[
        (
            {"redshift": {**_WORKGROUP, "serverless": {**_SERVERLESS, key: arn}}},
            "redshift.serverless must have workgroup_arn and namespace_arn, ARNs that end in the",
        )
        for key, arn in (
            ("workgroup_arn", _SERVERLESS["namespace_arn"]),
            ("namespace_arn", "arn:aws:redshift-serverless:eu-west-1:123456789012:namespace/*"),
        )
    ],
    (
        {
            "redshift": {
                **_WORKGROUP,
                "serverless": {
                    **_SERVERLESS,
                    "iam_role_arns": ["arn:aws:iam::123456789012:role/*"],
                },
            }
        },
        "redshift.serverless.iam_role_arns must be ARNs of IAM roles; got",
    ),
    *[
        (inputs, "must be at most")
        for inputs in _query(f"select * from orders where {WINDOW} -- " + "long " * 21_000)
    ],
    (
        {"subscriptions": {"alerts": {"pager": {"protocol": "http", "endpoint": "http://a.b"}}}},
        'protocol must be email, email-json, https, lambda, sms or sqs; got ["http"]',
    ),
    (
        {"encryption": {"kms_key_arn": "alias/mine"}},
        'encryption.kms_key_arn must be the ARN of a KMS key, not of an alias; got "alias/mine"',
    ),
    ({"logging": {"retention_days": 10}}, "3288 or 3653; got 10"),
    (
        {"logging": {"level": "TRACE"}},
        'logging.level must be DEBUG, INFO, WARNING or ERROR; got "TRACE"',
    ),
    *[
        (
            {"lambda": {"runtime": name}},
            f'python3.12 or python3.13, which both layers support; got "{name}"',
        )
        for name in ("python3.9", "python3.14")
    ],
    *[
        ({"lambda": {"layers": layers}}, "lambda.layers must be at most 5 ARNs of layer versions")
        for layers in (
            ["numpy"],
            ["arn:aws:lambda:eu-west-1:123456789012:layer:numpy"],
            [None],
            [f"arn:aws:lambda:eu-west-1:123456789012:layer:part:{n}" for n in range(1, 7)],
        )
    ],
    (
        {"lambda": {"architecture": "amd64"}},
        'lambda.architecture must be arm64 or x86_64; got "amd64"',
    ),
    *[
        ({"iam": {"path": path}}, "iam.path must start and end with a slash, contain no spaces and")
        for path in ("detectors", "/detectors", "/my detectors/", "//", f"/{'a' * 511}/")
    ],
    (
        {"iam": {"permissions_boundary_arn": "boundary"}},
        "iam.permissions_boundary_arn must be the ARN of an IAM policy",
    ),
    (
        {"storage": {"bucket_name": "My_Bucket"}},
        "storage.bucket_name must be 3-63 lowercase letters, digits and hyphens",
    ),
    *[
        (
            {"storage": {"bucket_name": name}},
            "storage.bucket_name must not start with xn--, sthree- or amzn-s3-demo-, nor end with",
        )
        for name in ("xn--shop", "sthree-shop", "amzn-s3-demo-shop", "shop-s3alias", "shop--x-s3")
    ],
    (
        {"storage": {"athena_workgroup": "my group"}},
        "storage.athena_workgroup must be the name of an Athena workgroup",
    ),
    *[
        (
            {"storage": {f"{key}_retention_days": days}},
            f"{key}_retention_days must be a whole {says}",
        )
        for key, says, least in (
            ("history", "number, at least 30, or null; got", 30),
            ("live", "number, at least 30; got", 30),
            ("results", "number, at least 1, or null; got", 1),
        )
        for days in (least - 1, least + 0.5)
    ],
]

# What both take, though it looks like what they refuse.
ACCEPTED: list[dict[str, Any]] = [
    {},
    {"query": f"-- revenue; by hour\n/* and\nviews; */\nSELECT * FROM orders WHERE {WINDOW}"},
    {"query": f"-- a carriage return ends a comment\rselect * from orders where {WINDOW}"},
    {"query": f"with a as (select * from orders) select * from a where {WINDOW}"},
    {"query": f"select * from orders where {WINDOW};\n ; -- done\n"},
    {
        "query": "with a (x) as (select count(*) from (select max((y)) from b)), c as (select 1)"
        " -- (\n"
        f"select \"delete\", sum(x) as update, 'insert', (select 1) from a, c where {WINDOW}"
    },
    {"query": f"with a as (select {'(' * 20}1{')' * 20} as x) select * from a where {WINDOW}"},
    {
        "query": "select ts, ';' as a, 'it''s; fine' as b, $$;x$$ as c, \"odd;name\", 'a\\';b' as d"
        f" /* ; e */ -- ; f\nfrom orders where {WINDOW}"
    },
    {"query": f"select '\\\\' as a, ';x' as b from orders where {WINDOW}"},
    {"query": f"select '(' as a, '/* ''' as b, \"into\" from orders where {WINDOW}"},
    {"query": "select * from orders where ts >= '{{window_start}}' and ts < '{{window_end}}'"},
    {"history": {"query": f"select * from archive where {WINDOW}"}},
    {"history": {"start": "2024-01-01T00:00:00+01:00"}},
    {"redshift": {**_CLUSTER, "db_user": "watcher"}},
    {
        "redshift": {
            "workgroup_name": "analytics",
            "database": "prod",
            "unload_role": {"create": False, "arn": "default"},
        }
    },
    {
        "redshift": {
            **_CLUSTER,
            "role_arn": _ROLE,
            "external_id": "shop-1",
            "unload_role": _OTHER_ROLE,
        }
    },
    {"redshift": {**_CLUSTER, "unload_role": {"create": False, "arn": f"{_ROLE},{_ROLE}"}}},
    *[
        _format(text)
        for text in (
            "yyyy-MM-dd'T'HH:mm:ss",
            "d MMM yyyy hh:mm a",
            "yyyy-MM-dd'at'HH",
            "d. MMM 'week' yyyy",
            "yyyyMMddHHmm",
            "M/d/yyyy H:mm",
        )
    ],
    *[
        {"schedule": {"timezone": zone}}
        for zone in ("Europe/Berlin", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "UTC")
    ],
    *[
        {"lambda": {"layers": layers}}
        for layers in ([], ["arn:aws-us-gov:lambda:us-gov-west-1:123456789012:layer:num_py-2:12"])
    ],
    {"dimensions": [f"dimension_{i}" for i in range(10)]},
    {"measures": {f"m{i}": {} for i in range(10)}},
    *[
        {"subscriptions": {"alerts": {"a": {"protocol": protocol, "endpoint": endpoint}}}}
        for protocol, endpoint in (
            ("email", "on-call+shop@example.co.uk"),
            ("https", "https://events.example.com/integration/a?b=c"),
            ("lambda", "arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:tell:prod"),
            ("sms", "+49 170 1234567"),
            ("sqs", "arn:aws-cn:sqs:cn-north-1:123456789012:queue_1"),
        )
    ],
    # Terragrunt passes null for what is not set.
    {
        **dict.fromkeys(
            ["alerts", "detection", "dimension_filters", "encryption", "history", "iam", "lambda"]
        ),
        **dict.fromkeys(["description", "logging", "schedule", "storage", "subscriptions", "tags"]),
    },
    {"alerts": {f"a{i}": {} for i in range(10)}},
    {"mutes": {f"m{i}": _MUTE for i in range(100)}},
    {"incidents": {f"m{i}": _INCIDENT for i in range(500)}},
    _revenue(
        min_change_by_level={"total": {"min_absolute_change": 5}, "leaves": {}},
        direction_by_slice=[{"dimension_filters": {"country": ["de"]}, "direction": "up"}],
    ),
    _calendar(countries=["DE", "DE-BY", "US-CA"], silent=["*"]),
    _calendar(
        days={"Fair": ["2026-02-01", "2024-02-29"]},
        ical="BEGIN:VCALENDAR\r\nBEGIN:VEVENT\r\nSUMMARY:Sale\r\nDTSTART:20260101\r\nEND:VEVENT\r\n"
        "END:VCALENDAR\r\n",
        silent=["Fair", "Sale"],
    ),
    {
        "mutes": {
            "m": {
                **_MUTE,
                "start": "2026-02-02T00:00:00+01:00",
                "measures": ["revenue"],
                "dimension_filters": {"country": ["de", "fr"]},
            }
        }
    },
]


_PARAMS: dict[str, Any] = {
    "detector_name": "shop",
    "detector_frequency": "PT1H",
    "timestamp_column": {"ColumnName": "ts"},
    "metrics_set": [{"MetricName": "revenue", "AggregationFunction": "SUM"}],
}


def _params(**changes: Any) -> str:
    """A `params.json`; what is changed to ... is left out."""
    return json.dumps({key: each for key, each in (_PARAMS | changes).items() if each is not ...})


# Files of a Lookout for Metrics connector that modules/connector refuses, and why.
CONNECTOR_REFUSED: list[tuple[str, str]] = [
    *[
        (text, "params_json must be a JSON object; got")
        for text in ("", "[]", "null", '"text"', "{'a': 1}", '{"a": 1,}')
    ],
    *[
        (
            _params(metrics_set=value),
            "metrics_set must be a list of objects with MetricName, each name once, and Aggre",
        )
        for value in (
            ...,
            None,
            "revenue",
            ["revenue"],
            [{"MetricName": "revenue"}],
            [{"MetricName": None, "AggregationFunction": "SUM"}],
            [{"MetricName": "revenue", "AggregationFunction": None}],
            [{"MetricName": "a", "AggregationFunction": each} for each in ("SUM", "AVG")],
        )
    ],
    *[
        (_params(dimension_list=value), "dimension_list must be a list of column names; got")
        for value in ("platform", [["a"]], [None], [""], {"a": {}})
    ],
    *[
        (_params(timestamp_column=value), "timestamp_column must be an object with ColumnName")
        for value in (..., None, "ts", {}, {"ColumnName": ""}, {"ColumnName": None})
    ],
    *[
        (_params(**{key: value}), "detector_name and detector_frequency must be set; got")
        for key in ("detector_name", "detector_frequency")
        for value in (..., None, "", {}, [])
    ],
    *[
        (_params(**{key: value}), "offset and alert_threshold must be numbers; got")
        for key in ("offset", "alert_threshold")
        for value in ("soon", True, [], {})
    ],
    *[
        (
            _params(**{key: value}),
            "detector_description, alert_name, alert_description, alert_lambda_arn and secret_name",
        )
        for key in (
            "detector_description",
            "alert_name",
            "alert_description",
            "alert_lambda_arn",
            "secret_name",
        )
        for value in ({"a": 1}, ["x"])
    ],
]
CONNECTOR_ACCEPTED: list[str] = [
    _params(),
    "\ufeff" + _params(),
    _params(dimension_list=None, offset=None, alert_threshold=None, alert_name=None),
    _params(dimension_list=[], offset="300", alert_name="a", alert_threshold="70"),
    _params(dimension_list=["platform", 7], detector_name="Ümläut 2!", unknown={"a": [1]}),
    _params(detector_name="---", detector_description="${a} %{b} <c>"),
]
