"""examples/demo-warehouse: network, warehouse, tables and detector by one apply, and gone with one
destroy. It runs in a cloud of its own: most of its time it waits for statements.
"""

from __future__ import annotations

import pytest

from local.cloud import LocalCloud
from local.harness import Deployment, inventory

HISTORY = {"length": "P42D"}


@pytest.fixture(scope="module")
def before(cloud: LocalCloud, empty: dict[str, set[str]]) -> dict[str, set[str]]:
    """What the cloud holds before it."""
    assert empty
    return inventory(cloud) | _network(cloud)


@pytest.fixture(scope="module")
def demo(
    cloud: LocalCloud, before: dict[str, set[str]], tmp_path_factory: pytest.TempPathFactory
) -> Deployment:
    assert before
    made = Deployment(
        cloud,
        tmp_path_factory.mktemp("demo"),
        {
            "name": "demo-shop",
            "enabled": False,
            "layers": [],
            "tracing": False,
            "history": HISTORY,
        },
        example="demo-warehouse",
    )
    made.terraform.add_local_provider()
    made.apply()
    return made


def _network(cloud: LocalCloud) -> dict[str, set[str]]:
    """What an apply makes besides a detector."""
    ec2 = cloud.client("ec2")
    secrets = cloud.client("secretsmanager").list_secrets()["SecretList"]
    return {
        "networks": {one["VpcId"] for one in ec2.describe_vpcs()["Vpcs"]},
        "endpoints": {one["VpcEndpointId"] for one in ec2.describe_vpc_endpoints()["VpcEndpoints"]},
        "secrets": {one["Name"] for one in secrets},
        "warehouses": {one["identifier"] for one in cloud.admin("GET", "redshift/warehouses")},
    }


def test_the_tables_are_filled_by_statements_that_ended(
    cloud: LocalCloud, demo: Deployment
) -> None:
    def rows(sql: str) -> list[object]:
        return cloud.execute(demo.outputs["workgroup_name"], sql, database="l4mdemo")[0]

    assert rows("select count(*) as n from platform") == [3]
    assert rows("select max(id) as n from marketplace") == [7]
    assert rows("select count(*) as n from incident") == [163]
    assert rows("select count(*) as n from ecommerce") == [2 * 17544 * 21]
    twice = "select ts from ecommerce group by ts, platform, marketplace having count(*) > 1"
    assert rows(f"select count(*) as n from ({twice}) as twice") == [0]
    sent = [each for each in cloud.statements() if each["warehouse"] == "demo-shop"]
    assert {each["status"] for each in sent} == {"FINISHED"}
    assert sum(each["sql"].startswith("COPY") for each in sent) == 3


def test_a_second_plan_changes_nothing_and_the_detector_is_trained(demo: Deployment) -> None:
    assert not demo.plan()

    pipeline = demo.wait_for_pipeline()

    assert pipeline.succeeded, pipeline.cause
    assert demo.detector()["status"] == "ACTIVE"
    crawl = demo.crawl_next()
    assert crawl.succeeded, crawl.cause


def test_destroy_leaves_nothing(
    cloud: LocalCloud, demo: Deployment, before: dict[str, set[str]]
) -> None:
    demo.destroy()

    assert inventory(cloud) | _network(cloud) == before
