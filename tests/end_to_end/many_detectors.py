"""Ten detectors on one warehouse, applied at once: `make many-detectors`.

It takes longer than all of `make test`, so it is no part of it.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from conftest import HISTORY

from local.cloud import LocalCloud
from local.harness import Patience, inventory
from local.terraform import Terraform

DETECTORS = 10


def test_ten_detectors_share_a_warehouse_and_nothing_else(
    cloud: LocalCloud, secret: str, tmp_path: Path
) -> None:
    before, roles_before = inventory(cloud), _roles(cloud)
    terraform = Terraform("many-detectors", tmp_path, cloud.environment())
    terraform.add_local_provider()
    terraform.init()
    variables = {
        "redshift": {"cluster_identifier": "shop", "database": "dev", "secret_arn": secret},
        "email": "me@example.com",
        "history": {"length": HISTORY["length"]},
        "enabled": False,
        "layers": [],
        "tracing": False,
        "force_destroy": True,
    }

    outputs = terraform.apply(variables)

    assert not terraform.plan(variables)
    assert len(set(outputs["table_names"].values())) == DETECTORS
    roles = _roles(cloud)
    assert len(roles) == len(roles_before) + DETECTORS
    assert set(roles.values()) == {"in-sync"}
    scheduler = cloud.client("scheduler")
    expressions = {
        scheduler.get_schedule(Name=one["Name"], GroupName=one["GroupName"])["ScheduleExpression"]
        for one in scheduler.list_schedules()["Schedules"]
    }
    assert len(expressions) == DETECTORS
    _wait_for_pipelines(cloud)

    terraform.destroy()

    assert inventory(cloud) == before
    assert _roles(cloud) == roles_before


def _roles(cloud: LocalCloud) -> dict[str, str]:
    return dict(cloud.admin("GET", "redshift/warehouses/shop")["roles"])


def _wait_for_pipelines(cloud: LocalCloud) -> None:
    """Until each detector is trained."""
    client = cloud.client("stepfunctions")
    machines = [
        one["stateMachineArn"]
        for one in client.list_state_machines()["stateMachines"]
        if one["name"].endswith("-pipeline")
    ]
    patience = Patience(cloud, "the pipelines")
    while True:
        found = Counter(
            one["status"]
            for machine in machines
            for one in client.list_executions(stateMachineArn=machine)["executions"]
        )
        if found["SUCCEEDED"] >= DETECTORS:
            break
        assert not {"FAILED", "TIMED_OUT", "ABORTED"} & set(found), found
        patience.wait(2)
