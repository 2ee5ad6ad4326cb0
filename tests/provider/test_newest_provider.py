"""The check against the newest provider finds what is wrong, and nothing where nothing is."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import newest_provider

GOOD = """
data "aws_region" "this" {}

resource "aws_dynamodb_table" "this" {
  for_each = toset(["a"])
  name     = each.key
  hash_key = "pk"

  attribute {
    name = "pk"
    type = "S"
  }

  dynamic "ttl" {
    for_each = [true]
    content {
      attribute_name = "until"
      enabled        = ttl.value
    }
  }

  lifecycle {
    prevent_destroy = true
  }

  timeouts {
    delete = "30m"
  }
}

output "arns" {
  value = { for name, table in aws_dynamodb_table.this : name => table.arn }
}

output "one" {
  value = "${aws_dynamodb_table.this["a"].stream_arn} in ${data.aws_region.this.region}"
}
"""
# What is replaced, by what, and the words that name the fault.
MUTATIONS = {
    "an argument": ("hash_key =", "hush_key =", "aws_dynamodb_table.hush_key: there is no"),
    "of a nested block": ('type = "S"', 'kind = "S"', "attribute.kind: there is no kind"),
    "of a dynamic block": ("enabled ", "enabbled ", "ttl.enabbled: there is no"),
    "a block": ("attribute {", "atribute {", "atribute: there is no"),
    "a dynamic block": ('dynamic "ttl"', 'dynamic "tll"', "tll: there is no"),
    "of time-outs": ("delete =", "destroy =", "timeouts.destroy: there is no"),
    "an attribute of one instance": (".stream_arn", ".streem_arn", "streem_arn: there is no"),
    "an attribute in a for": ("table.arn", "table.arm", "aws_dynamodb_table.arm: there is no"),
    "a resource": ('"aws_dynamodb_table"', '"aws_opsworks_stack"', "no such resource"),
    "a required argument": ("  name     = each.key\n", "", "aws_dynamodb_table.name: it is req"),
    "one of a nested block": ('    type = "S"\n', "", "attribute.type: it is required"),
    "what 6.0 deprecates": (".this.region", ".this.name", "data.aws_region.name: deprecated"),
    "what 6.47 deprecates": (".this.region", ".this.id", "data.aws_region.id: deprecated"),
    "a deprecated argument of a nested block": (
        "  lifecycle {",
        (
            '  global_secondary_index {\n    name = "i"\n    hash_key = "pk"\n'
            '    projection_type = "ALL"\n  }\n\n  lifecycle {'
        ),
        "global_secondary_index.hash_key: deprecated",
    ),
}


@pytest.fixture(scope="module")
def newest() -> tuple[newest_provider.Schema, newest_provider.Deprecations]:
    try:
        bindings, pulumi = newest_provider.download(latest=False)
    except newest_provider.SchemaError as error:
        pytest.skip(str(error))
    return newest_provider.Schema(bindings), newest_provider.Deprecations(pulumi)


def test_nothing_is_found_where_nothing_is_wrong(newest, tmp_path: Path) -> None:
    file = tmp_path / "main.tf"
    file.write_text(GOOD)

    assert newest_provider.check([file], *newest) == []
    assert newest[0].version.startswith("6.")


@pytest.mark.parametrize("name", MUTATIONS)
def test_what_the_newest_provider_lacks_is_found(newest, tmp_path: Path, name: str) -> None:
    old, new, said = MUTATIONS[name]
    assert GOOD.count(old) == 1
    file = tmp_path / "main.tf"
    file.write_text(GOOD.replace(old, new))

    found = newest_provider.check([file], *newest)

    assert any(said in each for each in found), found


def test_every_configuration_is_looked_at() -> None:
    files = {
        str(file.relative_to(newest_provider.ROOT)) for file in newest_provider.configuration()
    }

    assert {"main.tf", "modules/storage/main.tf", "examples/complete/main.tf"} <= files
    kinds = {use.kind for use in newest_provider.uses(newest_provider.configuration())}
    assert {"aws_lambda_function", "data.aws_iam_policy_document"} <= kinds
