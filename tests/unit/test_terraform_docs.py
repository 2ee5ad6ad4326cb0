"""The READMEs' sections have the form in which terraform-docs writes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts import terraform_docs

MODULE = """\
terraform {
  required_version = ">= 1.9"

  required_providers {
    time = {
      source  = "hashicorp/time"
      version = "~> 0.12"
    }
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.100, < 7.0"
    }
  }
}

data "aws_region" "current" {}

resource "terraform_data" "this" {}

resource "aws_iam_role_policy" "b" {
  policy = jsonencode({})
}

resource "aws_iam_role" "z" {
  provider = aws.other

  lifecycle {
    ignore_changes = [tags]
  }
}

module "two_rows" {
  source  = "example-org/rows/aws"
  version = "1.0.0"
}

module "near" {
  source = "./modules/near"
}

variable "with_type" {
  description = <<-EOT
    Two lines
    and a list:
    - `a_b` - (Optional) One | two of `x|y`, see_also.
      - `deep` - (Required) $${not} a template.

    An end: https://example.com/a_b.html
    ```
    one = {
      two_three = 4
    }
    ```
  EOT
  type = map(object({
    a_b  = optional(string, "x|y") # Why.
    deep = object({ q = bool })
  }))
  default = {
    z = { deep = { q = true }, a_b = "é<" }
    a = { deep = { q = false } }
  }
}

variable "plain" {
  description = "A \\"quoted\\" word."
  type        = string
}

variable "nothing" {
  type    = list(string)
  default = null
}

variable "empty" {
  description = "Empty."
  type        = map(string)
  default     = {}
  nullable    = false

  validation {
    condition     = length(var.empty) == 0
    error_message = "empty must be empty."
  }
}

variable "share" {
  description = "A number."
  type        = number
  default     = 0.05
}

output "out_arn" {
  description = "ARN of `out_x`."
  value       = "${var.plain}/}"
}
"""

LINK = "https://registry.terraform.io/providers/hashicorp"
EXPECTED = f"""\
## Requirements

| Name | Version |
| ---- | ------- |
| <a name="requirement_terraform"></a> [terraform](#requirement\\_terraform) | >= 1.9 |
| <a name="requirement_aws"></a> [aws](#requirement\\_aws) | >= 5.100, < 7.0 |
| <a name="requirement_time"></a> [time](#requirement\\_time) | ~> 0.12 |

## Providers

| Name | Version |
| ---- | ------- |
| <a name="provider_aws"></a> [aws](#provider\\_aws) | >= 5.100, < 7.0 |
| <a name="provider_aws.other"></a> [aws.other](#provider\\_aws.other) | >= 5.100, < 7.0 |
| <a name="provider_terraform"></a> [terraform](#provider\\_terraform) | n/a |

## Modules

| Name | Source | Version |
| ---- | ------ | ------- |
| <a name="module_near"></a> [near](#module\\_near) | ./modules/near | n/a |
| <a name="module_two_rows"></a> [two\\_rows](#module\\_two\\_rows) | example-org/rows/aws | 1.0.0 |

## Resources

| Name | Type |
| ---- | ---- |
| [aws_iam_role.z]({LINK}/aws/latest/docs/resources/iam_role) | resource |
| [aws_iam_role_policy.b]({LINK}/aws/latest/docs/resources/iam_role_policy) | resource |
| [terraform_data.this]({LINK}/terraform/latest/docs/resources/data) | resource |
| [aws_region.current]({LINK}/aws/latest/docs/data-sources/region) | data source |

## Inputs

| Name | Description | Type | Default | Required |
| ---- | ----------- | ---- | ------- | :------: |
| <a name="input_empty"></a> [empty](#input\\_empty) | Empty. | `map(string)` | `{{}}` | no |
| <a name="input_nothing"></a> [nothing](#input\\_nothing) | n/a | `list(string)` | `null` | no |
| <a name="input_plain"></a> [plain](#input\\_plain) | A "quoted" word. | `string` | n/a | yes |
| <a name="input_share"></a> [share](#input\\_share) | A number. | `number` | `0.05` | no |
"""
# The long row, in pieces.
WITH_TYPE = " | ".join(
    [
        '| <a name="input_with_type"></a> [with\\_type](#input\\_with\\_type)',
        (
            "Two lines<br/>and a list:<br/>- `a_b` - (Optional) One \\| two of `x|y`, see\\_also."
            "<br/>"
            "  - `deep` - (Required) ${not} a template.<br/><br/>"
            "An end: https://example.com/a_b.html<pre>one = {<br/>  two_three = 4<br/>}</pre>"
        ),
        (
            '<pre>map(object({<br/>    a_b  = optional(string, "x|y") # Why.<br/>'
            "    deep = object({ q = bool })<br/>  }))</pre>"
        ),
        (
            '<pre>{<br/>  "a": {<br/>    "deep": {<br/>      "q": false<br/>    }<br/>  },<br/>'
            '  "z": {<br/>    "a_b": "é<",<br/>    "deep": {<br/>      "q": true<br/>    }<br/>'
            "  }<br/>}</pre>"
        ),
        "no |\n",
    ]
)
OUTPUTS = """
## Outputs

| Name | Description |
| ---- | ----------- |
| <a name="output_out_arn"></a> [out\\_arn](#output\\_out\\_arn) | ARN of `out_x`. |"""


def test_a_module_is_told_as_terraform_docs_tells_it(tmp_path: Path) -> None:
    (tmp_path / "main.tf").write_text(MODULE, encoding="utf-8")

    assert terraform_docs.content(tmp_path) == EXPECTED + WITH_TYPE + OUTPUTS


def test_a_module_of_nothing_says_so_in_each_section(tmp_path: Path) -> None:
    told = terraform_docs.content(tmp_path)

    names = ("Requirements", "Providers", "Modules", "Resources", "Inputs", "Outputs")
    assert told == "\n\n".join(f"## {each}\n\nNo {each.lower()}." for each in names)


def test_only_what_stands_between_the_markers_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terraform_docs, "ROOT", tmp_path)
    readme = tmp_path / "README.md"
    readme.write_text(f"# a\n\n{terraform_docs.BEGIN}\nold\n{terraform_docs.END}\n\n## b\n")

    new = terraform_docs.with_content(readme)
    readme.write_text(new, encoding="utf-8")

    assert new.startswith(f"# a\n\n{terraform_docs.BEGIN}\n## Requirements\n")
    assert new.endswith(f"No outputs.\n{terraform_docs.END}\n\n## b\n")
    assert terraform_docs.with_content(readme) == new

    readme.write_text(f"# a\n\n{terraform_docs.BEGIN}\n")
    with pytest.raises(SystemExit, match=r"README\.md lacks the lines"):
        terraform_docs.with_content(readme)
