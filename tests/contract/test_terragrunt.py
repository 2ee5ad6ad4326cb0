"""The units of examples/terragrunt: merged as Terragrunt merges them, then planned by Terraform in
two accounts, with the generated provider, the inputs in the environment, and null for what is
missing.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from local.cloud import LocalCloud
from local.cloud.testing import allow
from local.terraform import ROOT, Terraform
from tests.contract import terragrunt

LIVE = ROOT / "examples/terragrunt"
UNITS = sorted(file.parent for file in LIVE.rglob("terragrunt.hcl"))
DETECTORS = [unit for unit in UNITS if unit.name != "warehouse"]


def values(planned: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """Planned attributes of every resource of a type."""

    def below(module: dict[str, Any]) -> list[dict[str, Any]]:
        here = [each["values"] for each in module.get("resources", []) if each["type"] == kind]
        return here + [each for one in module.get("child_modules", []) for each in below(one)]

    return below(planned["planned_values"]["root_module"])


@pytest.mark.parametrize("folder", UNITS, ids=lambda each: each.relative_to(LIVE).as_posix())
def test_a_unit_has_its_own_state_in_its_own_account(folder: Path) -> None:
    unit = terragrunt.read(folder, LIVE)
    account, region, name = folder.relative_to(LIVE).parts
    number = {"production": "111111111111", "staging": "222222222222"}[account]

    assert unit.backend["key"] == f"{account}/{region}/{name}/terraform.tfstate"
    assert unit.backend["bucket"] == f"terraform-state-{number}-{region}"
    assert f'allowed_account_ids = ["{number}"]' in unit.generated["provider.tf"]
    assert re.fullmatch(r"tfr:///[\w-]+(/[\w-]+){2}\?version=\d+\.\d+\.\d+", unit.source)
    assert unit.dependencies == (() if name == "warehouse" else (folder.parent / "warehouse",))


def test_what_a_unit_overrides_is_merged_key_by_key() -> None:
    production, staging = (
        terragrunt.read(LIVE / place, LIVE).inputs
        for place in ("production/eu-west-1/shop", "staging/eu-central-1/shop")
    )

    assert production["measures"] == staging["measures"]
    assert (production["alerts"], staging["alerts"]) == (
        {"anything": {"threshold": 60}},
        {"anything": {"threshold": 90}},
    )
    assert staging["subscriptions"] is None


@pytest.mark.parametrize(
    "folder",
    [unit for unit in DETECTORS if unit.name == "shop"],
    ids=lambda each: each.relative_to(LIVE).parts[0],
)
def test_terraform_plans_a_unit_with_what_terragrunt_gives_it(
    folder: Path, cloud: LocalCloud, tmp_path: Path
) -> None:
    unit = terragrunt.read(folder, LIVE)
    account = unit.backend["bucket"].split("-")[2]
    if unit.inputs["lambda"]["layers"] is None:
        # The public parameters of the managed layers are not on the local cloud.
        layer = f"arn:aws:lambda:{unit.backend['region']}:{account}:layer:managed:1"
        unit = replace(unit, inputs={**unit.inputs, "lambda": {"layers": [layer]}})
    _prepare(cloud, account)
    terraform = Terraform(
        "local",
        tmp_path,
        {
            **cloud.environment(),
            "AWS_ACCESS_KEY_ID": account,
            "AWS_REGION": "us-east-1",  # the generated provider says another one
            **unit.environment,
        },
        lambda _: None,
    )
    # The module itself, as Terragrunt has it from the registry.
    terraform.folder = terraform.folder.parents[1]
    for name, content in unit.generated.items():
        (terraform.folder / name).write_text(content, encoding="utf-8")
    nulls = terraform.folder / terragrunt.NULL_VARIABLES
    nulls.write_text(unit.null_variables, encoding="utf-8")
    terraform.init()

    planned = terraform.planned({})

    roles = values(planned, "aws_iam_role")
    assert len(roles) > 15
    assert {role["path"] for role in roles} == {"/detectors/"}
    boundary = unit.inputs["iam"]["permissions_boundary_arn"]
    assert {role["permissions_boundary"] for role in roles} == {boundary}
    # What Terraform has read from the environment and the file of nulls.
    read = {name: each.get("value") for name, each in planned["variables"].items()}
    for name, value in unit.inputs.items():
        assert read[name] == value, name
    subscriptions = values(planned, "aws_sns_topic_subscription")
    assert len(subscriptions) == (1 if unit.inputs["subscriptions"] else 0)
    (bucket,) = (
        each for each in values(planned, "aws_s3_bucket") if each["bucket"].startswith("shop-")
    )
    assert bucket["bucket"] == f"shop-{account}-{unit.backend['region']}"
    assert bucket["tags"]["environment"] == folder.relative_to(LIVE).parts[0]


def _prepare(cloud: LocalCloud, account: str) -> None:
    """The role that the provider assumes."""
    access = {"AccessKeyId": account, "SecretAccessKey": "test"}
    iam = cloud.client("iam", **access)
    trust = {"Effect": "Allow", "Principal": {"AWS": f"arn:aws:iam::{account}:root"}}
    iam.create_role(
        RoleName="terraform",
        AssumeRolePolicyDocument=json.dumps(
            {"Version": "2012-10-17", "Statement": [trust | {"Action": "sts:AssumeRole"}]}
        ),
    )
    iam.put_role_policy(
        RoleName="terraform",
        PolicyName="administrator",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [allow("*")]}),
    )
