"""examples/demo-warehouse: network, warehouse, tables and detector by one apply, and gone with one
destroy. It runs in a cloud of its own: most of its time it waits for statements.
"""

from __future__ import annotations

import os

import pytest

from local.cloud import LocalCloud
from local.harness import Deployment, inventory

# `make demo-cluster`: a provisioned cluster instead of Serverless.
CLUSTER = bool(os.environ.get("DEMO_CLUSTER"))
HISTORY = {"length": "P42D"}
TWO_YEARS = 17544
OF_THE_APPLY = ("CREATE TABLE", "COPY", "GRANT", "--")
# What each incident does to the slices that it hits, against the weeks before and after it.
INCIDENTS = f"""
with placed as (
    select
        datediff(hour, (select min(ts) from ecommerce), ecommerce.ts) - {TWO_YEARS} as n,
        ecommerce.views,
        platform.name as platform,
        marketplace.name as marketplace
    from ecommerce
    join platform on ecommerce.platform = platform.id
    join marketplace on ecommerce.marketplace = marketplace.id
),
seen as (
    select
        incident.begins,
        2.0 * sum(case when weeks.shift = 0 then views end)
        / sum(case when weeks.shift <> 0 then views end) / incident.factor as share
    from incident
    cross join (select -168 as shift union all select 0 union all select 168) as weeks
    join placed
        on placed.n >= incident.begins + weeks.shift
        and placed.n < incident.begins + weeks.shift + incident.hours
        and (incident.platform is null or incident.platform = placed.platform)
        and (incident.marketplace is null or incident.marketplace = placed.marketplace)
    group by incident.begins, incident.factor
)
select count(*) as n, min(begins) as first, max(begins) as last,
    min(share) as least, max(share) as most
from seen
"""


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
            **({"cluster": {}} if CLUSTER else {}),
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
        warehouse = demo.outputs["cluster_identifier" if CLUSTER else "workgroup_name"]
        return cloud.execute(warehouse, sql, database="l4mdemo")[0]

    assert rows("select count(*) as n from platform") == [3]
    assert rows("select max(id) as n from marketplace") == [7]
    assert rows("select count(*) as n from incident") == [163]
    assert rows("select count(*) as n from ecommerce") == [2 * TWO_YEARS * 21]
    span = "select datediff(hour, min(ts), max(ts)) + 1 as n from ecommerce"
    assert rows(span) == [2 * TWO_YEARS]
    twice = "select ts from ecommerce group by ts, platform, marketplace having count(*) > 1"
    assert rows(f"select count(*) as n from ({twice}) as twice") == [0]
    count, first, last, least, most = rows(INCIDENTS)
    assert (count, first, last) == (163, -17260, 17243)
    assert 0.8 < float(str(least)) < 1 < float(str(most)) < 1.25
    # Those of Terraform; the detector's are on their way already.
    sent = [each for each in cloud.statements() if each["sql"].startswith(OF_THE_APPLY)]
    assert [each["status"] for each in sent] == ["FINISHED"] * 9


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
