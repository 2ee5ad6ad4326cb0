"""What `terraform test` cannot compare: messages, documents against the package, whole states."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any, get_args

from anomaly_detector import config
from anomaly_detector.handlers import record_failure
from anomaly_detector.lake import results
from anomaly_detector.services import console
from anomaly_detector.services.payloads import Bill

from local.cloud.redshift import dialect
from local.terraform import ROOT
from tests.terraform.running import resources_of

_GLUE_TYPES = {"timestamp[ms, tz=UTC]": "timestamp", "bool": "boolean", "int32": "int"}


def _document(state: dict[str, Any]) -> config.Config:
    (text,) = [
        each["content"]
        for each in resources_of(state, "aws_s3_object")
        if each["key"] == "config/detector.json"
    ]
    return config.load(text)


def _warehouse(state: dict[str, Any]) -> config.Redshift:
    """What every function's environment says about the warehouse, and the document does not."""
    assert _document(state).redshift is None
    found = {
        each["environment"][0]["variables"]["REDSHIFT"]
        for each in resources_of(state, "aws_lambda_function")
    }
    (text,) = found
    return config.Redshift.model_validate_json(text)


def test_least_input_makes_the_documents_defaults(states: dict[str, dict[str, Any]]) -> None:
    made = _document(states["least_input"])
    least = {
        "interval": "PT1H",
        "timestamp_column": {"name": "ts"},
        "measures": {"revenue": {}},
    }
    given = {"name", "query"}
    assert made.model_dump(exclude=given) == config.load(json.dumps(least)).model_dump(
        exclude=given
    )


def test_every_input_reaches_the_document(states: dict[str, dict[str, Any]]) -> None:
    made = _document(states["every_input"])
    assert made.description == "Everything <at> once & more"
    assert made.history_query is not None
    assert made.history_query.startswith("with a as")
    assert made.timestamp_column.timezone == "Europe/Berlin"
    assert made.measures["revenue"].min_relative_change == 0.1
    assert made.measures["revenue"].min_change_by_level["total"].min_absolute_change == 1000
    (own,) = made.measures["revenue"].direction_by_slice
    assert (own.direction, own.dimension_filters) == ("both", {"country": ("FR",)})
    orders = made.measures["orders"]
    assert (orders.aggregation, orders.min, orders.max) == ("COUNT", 1, 1e6)
    assert orders.bounded_series == "widest"
    assert orders.unit == "count"
    assert made.measures["users"].exact
    assert made.measures["clicks"].columns("clicks") == ("clicked", "shown")
    assert made.dimension_filters == {"country": ("DE", "FR")}
    assert (made.interval, made.offset_seconds, made.lookback_intervals) == ("P1D", 7200, 2)
    assert (made.history.chunk, made.history.parallelism) == ("P60D", 8)
    assert (made.rollups, made.shards, made.max_series) == (("total", "single"), 4, 1000)
    assert made.messages_per_week == 3
    assert made.memory_mb == 2048  # what the functions have
    warehouse = _warehouse(states["every_input"])
    assert warehouse.unload_role.count("role/") == 2
    assert warehouse.kms_key_arn is not None
    # An alert without a target goes to the module's own topic, and only such a one.
    assert made.alerts["own"].sns_topic_arns == ("arn:aws:sns:eu-west-1:123456789012:topic",)
    assert made.alerts["function"].sns_topic_arns == ()
    assert made.alerts["revenue"].sns_topic_arns == ("arn:aws:sns:eu-west-1:123456789012:mine",)
    assert made.special_days["DE Christmas Day"][0] == date(2015, 12, 25)
    assert made.special_days["DE-BY Epiphany"][-1] == date(2036, 1, 6)
    assert made.special_days["Fair"] == (date(2026, 2, 1),)
    assert {name[:3] for name in made.special_days} == {"DE ", "DE-", "Fai"}
    assert made.calendar.silent == ("DE-BY Epiphany",)
    assert made.incidents["upgrade"].dimension_filters == {"channel": ("web",)}
    house = made.mutes["house"]
    assert house.start == datetime(2026, 1, 31, 23, tzinfo=UTC)
    assert (house.measures, house.dimension_filters) == (("revenue",), {"country": ("DE",)})


def test_connector_fills_the_document(states: dict[str, dict[str, Any]]) -> None:
    made = _document(states["connector"])
    assert made.name == "redshift-ecommerce-detector"
    assert made.description == "Watches views and revenue"
    assert (made.interval, made.offset_seconds) == ("PT1H", 120)
    assert (made.timestamp_column.name, made.timestamp_column.format) == ("timestamp", None)
    assert made.dimensions == ("platform", "marketplace")
    assert {name: each.aggregation for name, each in made.measures.items()} == {
        "views": "SUM",
        "revenue": "AVG",
    }
    assert made.alerts["old-alert"].threshold == 70
    assert made.alerts["old-alert"].sns_topic_arns == ()
    assert len(made.alerts["old-alert"].lambda_function_arns) == 1
    assert "found-by-name" in str(_warehouse(states["connector"]).secret_arn)


def test_the_bucket_policy_lets_only_named_writers_and_own_functions_write_documents(
    states: dict[str, dict[str, Any]],
) -> None:
    state = states["every_input"]
    (denied,) = [
        statement
        for document in resources_of(state, "aws_iam_policy_document")
        for statement in document.get("statement") or ()
        if statement["sid"] == "DenyConfigurationOfOthers"
    ]
    writers = {arn for each in denied["condition"] for arn in each["values"]}
    roles = {
        f"arn:aws:iam::123456789012:role{each['path']}{each['name']}"
        for each in resources_of(state, "aws_iam_role")
        if each["name"] in ("shop-prepare", "shop-reconcile")
    }
    assert len(roles) == 2
    assert writers == {"arn:aws:iam::123456789012:role/deploy", *roles}


def test_the_package_lies_where_no_document_does(states: dict[str, dict[str, Any]]) -> None:
    objects = {
        each["key"]: each["bucket"] for each in resources_of(states["least_input"], "aws_s3_object")
    }
    assert objects.keys() == {"anomaly_detector.zip", "config/detector.json"}
    assert len(set(objects.values())) == 2
    own = {each["bucket"] for each in resources_of(states["least_input"], "aws_s3_bucket")}
    assert set(objects.values()) == own
    roles = json.dumps(resources_of(states["least_input"], "aws_iam_role_policy"))
    assert objects["anomaly_detector.zip"] not in roles


def test_govcloud_names_no_commercial_arn(states: dict[str, dict[str, Any]]) -> None:
    state = json.dumps(states["govcloud"])
    assert '"aws_iam_role"' in state
    assert "arn:aws-us-gov:" in state
    assert "arn:aws:" not in state


def test_path_and_boundary_are_on_every_role(states: dict[str, dict[str, Any]]) -> None:
    for run, roles in (("every_input", 19), ("govcloud", 20)):
        found = resources_of(states[run], "aws_iam_role")
        assert len(found) == roles
        assert {each["path"] for each in found} == {"/detectors/"}
        assert all(each["permissions_boundary"].endswith("policy/boundary") for each in found)


def test_tags_are_on_all_that_takes_them(states: dict[str, dict[str, Any]]) -> None:
    def untagged(module: dict[str, Any]) -> Iterator[str]:
        for each in module.get("resources", []):
            values = each["values"]
            # An object in S3 takes ten tags only, a resource fifty.
            taggable = each["mode"] == "managed" and each["type"] != "aws_s3_object"
            if taggable and "tags" in values and values["tags"] != {"team": "data"}:
                yield each["address"]
        for child in module.get("child_modules", []):
            yield from untagged(child)

    assert list(untagged(states["every_input"])) == []


def test_what_to_run_for_the_iam_sign_in_is_sql_that_names_the_user(
    states: dict[str, dict[str, Any]],
) -> None:
    text = states["least_input"]["outputs"]["sign_in_sql"]["value"]
    create, *grants = [
        dialect.translate(statement)
        for statement in dialect.split(text.replace("<schema>", "sales"))
    ]
    assert (create.kind, create.users) == ("user", ("IAMR:shop-statement",))
    assert len(grants) == 2
    assert all((each.kind, each.users) == ("grant", create.users) for each in grants)


# Where two resources of one type and name would meet, and the attribute that names them.
_NAMED = {
    "aws_cloudwatch_dashboard": "dashboard_name",
    "aws_cloudwatch_event_rule": "name",
    "aws_cloudwatch_log_group": "name",
    "aws_cloudwatch_metric_alarm": "alarm_name",
    "aws_dynamodb_table": "name",
    "aws_glue_catalog_database": "name",
    "aws_iam_role": "name",
    "aws_lambda_function": "function_name",
    "aws_s3_bucket": "bucket",
    "aws_scheduler_schedule_group": "name",
    "aws_sfn_state_machine": "name",
    "aws_sns_topic": "name",
    "aws_sqs_queue": "name",
}
# Named within a thing of the detector's own, which is named above.
_WITHIN = {
    "aws_athena_named_query",
    "aws_glue_catalog_table",
    "aws_iam_policy",
    "aws_iam_role_policy",
    "aws_scheduler_schedule",
}


def _types(state: dict[str, Any]) -> set[str]:
    here = {
        each["type"]
        for each in state.get("resources", [])
        if each["mode"] == "managed" and isinstance(each["values"].get("name"), str)
    }
    return here.union(*(_types(module) for module in state.get("child_modules", [])))


def test_no_two_detectors_make_a_thing_of_one_name(states: dict[str, dict[str, Any]]) -> None:
    state = states["least_input"]
    name = _document(state).name
    assert _types(state) <= {*_NAMED, *_WITHIN}
    seen = 0
    for kind, attribute in _NAMED.items():
        parts = set()
        for made in resources_of(state, kind):
            before, found, after = made[attribute].replace("_", "-").partition(name)
            assert found, made[attribute]
            parts.add((before, after))
            seen += 1
        # Two names of which one is longer meet only where what follows the shorter ends with what
        # follows the longer.
        assert not [
            (one, two)
            for one in parts
            for two in parts
            if one != two and one[0] == two[0] and one[1].endswith(two[1])
        ], kind
    assert seen > 40


def test_outputs_give_name_and_arn_of_each_thing(states: dict[str, dict[str, Any]]) -> None:
    def leaves(value: Any) -> Iterator[str]:
        if isinstance(value, dict):
            for each in value.values():
                yield from leaves(each)
        elif isinstance(value, str):
            yield value

    def unnamed(module: dict[str, Any], known: set[str]) -> Iterator[str]:
        for each in module.get("resources", []):
            values = each["values"]
            keys = ("function_name", "alarm_name", "dashboard_name", "bucket", "name")
            name = next((values[key] for key in keys if key in values), None)
            arn = values.get("arn") or values.get("dashboard_arn")
            # What has no name of its own is a part of what has; so is an object.
            part = name is None or each["type"] == "aws_s3_object"
            if each["mode"] == "managed" and arn and not part:
                seen.add(each["type"])
                yield from (f"{each['address']}: {lost}" for lost in {arn, name} - known)
        for child in module.get("child_modules", []):
            yield from unnamed(child, known)

    seen: set[str] = set()
    for run in ("least_input", "every_input", "govcloud"):
        outputs = {name: each["value"] for name, each in states[run]["outputs"].items()}
        assert list(unnamed(states[run], set(leaves(outputs)))) == [], run
    # All that has a name of its own, but for a saved query, which has no ARN.
    assert seen == {*_NAMED, "aws_glue_catalog_table", "aws_scheduler_schedule"}


def test_tasks_are_tried_again_by_the_one_rule(states: dict[str, dict[str, Any]]) -> None:
    def tasks(machine: dict[str, Any]) -> Iterator[dict[str, Any]]:
        for each in machine["States"].values():
            if each["Type"] == "Task":
                yield each
            yield from tasks(each.get("ItemProcessor", {"States": {}}))

    machines = resources_of(states["least_input"], "aws_sfn_state_machine")
    assert len(machines) == 3
    rules = {
        (":states:::" in task["Resource"], json.dumps(task["Retry"], sort_keys=True))
        for machine in machines
        for task in tasks(json.loads(machine["definition"]))
    }
    assert len(rules) == 2
    assert all("RetryableError" in rule for nested, rule in rules if not nested)


def test_an_execution_that_cannot_say_how_it_ended_is_recorded(
    states: dict[str, dict[str, Any]],
) -> None:
    state = states["least_input"]
    (rule,) = (
        each
        for each in resources_of(state, "aws_cloudwatch_event_rule")
        if each["name"].endswith("-execution-ended")
    )
    pattern = json.loads(rule["event_pattern"])
    assert pattern["detail"]["status"] == ["ABORTED", "FAILED", "TIMED_OUT"]
    assert len(pattern["detail"]["stateMachineArn"]) == 2
    (target,) = (
        each
        for each in resources_of(state, "aws_cloudwatch_event_target")
        if each["rule"] == rule["name"]
    )
    (transformer,) = target["input_transformer"]
    detail = {"execution": "arn", "status": "ABORTED"}
    event = transformer["input_template"]
    assert set(transformer["input_paths"]) == set(detail)
    for name, value in detail.items():
        event = event.replace(f"<{name}>", value)
    assert record_failure.RecordEnd.model_validate_json(event).model_dump() == detail
    # What the function cannot do is kept.
    kept = resources_of(state, "aws_lambda_function_event_invoke_config")
    assert len(kept) == 3
    assert all(each["destination_config"] for each in kept)


def test_no_file_names_the_partition() -> None:
    files = [
        *ROOT.glob("*.tf"),
        *(ROOT / "modules").rglob("*.tf*"),
        *(ROOT / "examples").rglob("*.tf"),
    ]
    files += (ROOT / "modules").rglob("*.json")
    assert [str(file) for file in files if "arn:aws:" in file.read_text(encoding="utf-8")] == []


def test_results_tables_have_the_columns_that_are_written(
    states: dict[str, dict[str, Any]],
) -> None:
    tables = {
        each["name"]: [
            (column["name"], column["type"]) for column in each["storage_descriptor"][0]["columns"]
        ]
        for each in resources_of(states["every_input"], "aws_glue_catalog_table")
    }
    written = {
        "scores": results.scores_schema(("country", "channel")),
        "anomalies": results.anomalies_table([]).schema,
        "contributions": results.contributions_table([]).schema,
    }
    assert {key for key, _ in tables.pop("statements")} == Bill.model_fields.keys()
    assert tables == {
        name: [(field.name, _GLUE_TYPES.get(str(field.type), str(field.type))) for field in schema]
        for name, schema in written.items()
    }


def test_the_dashboard_has_a_widget_for_each_view_and_places_none_over_another(
    states: dict[str, dict[str, Any]],
) -> None:
    assert resources_of(states["least_input"], "aws_cloudwatch_dashboard") == []
    for run in ("every_input", "govcloud"):
        (made,) = resources_of(states[run], "aws_cloudwatch_dashboard")
        assert made["dashboard_name"] == "shop"
        widgets = json.loads(made["dashboard_body"])["widgets"]
        custom = [one["properties"] for one in widgets if one["type"] == "custom"]
        assert {one["params"]["view"] for one in custom} == set(get_args(console.View))
        (function,) = (
            one
            for one in resources_of(states[run], "aws_lambda_function")
            if one["function_name"] == "shop-console"
        )
        assert {one["endpoint"] for one in custom} == {function["arn"]}
        cells = [
            (x, y)
            for one in widgets
            for x in range(one["x"], one["x"] + one["width"])
            for y in range(one["y"], one["y"] + one["height"])
        ]
        assert len(cells) == len(set(cells))
        assert max(x for x, _ in cells) < 24
        metrics = [
            metric
            for one in widgets
            if one["type"] == "metric"
            for metric in one["properties"]["metrics"]
        ]
        # Fifty metrics a dashboard are free.
        assert 8 <= len(metrics) <= 50
