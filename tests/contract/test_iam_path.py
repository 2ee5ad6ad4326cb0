"""Roles that are made anew, as under another path, keep their policies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from local.cloud.testing import ACCOUNT, REGION, Scene, unique
from local.terraform import Terraform

_WORKGROUP = {
    "workgroup_name": "warehouse",
    "database": "dev",
    "serverless": {
        "workgroup_arn": f"arn:aws:redshift-serverless:{REGION}:{ACCOUNT}:workgroup/1",
        "namespace_arn": f"arn:aws:redshift-serverless:{REGION}:{ACCOUNT}:namespace/2",
        "iam_role_arns": [],
    },
}


def _inputs(name: str, path: str) -> dict[str, Any]:
    def arn(service: str, resource: str, region: str = REGION, account: str = ACCOUNT) -> str:
        return f"arn:aws:{service}:{region}:{account}:{resource}"

    return {
        "name": name,
        "partition": "aws",
        "region": REGION,
        "account_id": ACCOUNT,
        "tags": {},
        "iam": {"path": path},
        "bucket_arn": arn("s3", f"{name}-bucket", "", ""),
        "table_arn": arn("dynamodb", f"table/{name}-state"),
        "encryption": None,
        "redshift": _WORKGROUP,
        "unload_role": {"create": True},
        "alerts_topic_arn": arn("sns", f"{name}-alerts"),
        "operations_topic_arn": arn("sns", f"{name}-operations"),
        "alert_sns_topic_arns": [],
        "alert_lambda_function_arns": [],
        "alert_event_bus_arns": [],
        "alert_secret_arns": [],
        "alert_kms_key_arns": [],
        "dead_letter_queue_arn": arn("sqs", f"{name}-dead-letters"),
        "console": True,
        "tracing": False,
    }


def test_given_another_path_then_each_role_has_its_policy_again(scene: Scene, tmp_path: Path):
    name = unique("pathed")
    terraform = Terraform("local", tmp_path, scene.cloud.environment(), lambda _: None)
    # The submodule alone, as a configuration of its own.
    terraform.folder = terraform.folder.parents[1] / "modules/iam"
    terraform.init()
    policies: dict[str, dict[str, dict[str, Any]]] = {}
    for path in ("/", "/detectors/"):
        terraform.apply(_inputs(name, path))

        found = [
            role
            for page in scene.iam.get_paginator("list_roles").paginate()
            for role in page["Roles"]
            if role["RoleName"].startswith(f"{name}-")
        ]
        assert len(found) > 15
        assert {role["Path"] for role in found} == {path}
        of_path = {role["RoleName"]: _policies(scene, role["RoleName"]) for role in found}
        assert all(of_path.values()), [role for role, held in of_path.items() if not held]
        policies[path] = of_path
    assert policies["/"].keys() == policies["/detectors/"].keys()
    # All that a path changes in them is the role that is handed to Redshift.
    text = json.dumps(policies["/detectors/"], sort_keys=True)
    assert text.replace("role/detectors/", "role/") == json.dumps(policies["/"], sort_keys=True)


def _policies(scene: Scene, role: str) -> dict[str, Any]:
    names = scene.iam.list_role_policies(RoleName=role)["PolicyNames"]
    return {
        name: scene.iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in names
    }
