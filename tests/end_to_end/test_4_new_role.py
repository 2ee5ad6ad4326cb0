"""The UNLOAD role of another detector: new, detached by others, moved, and left behind.

It runs in a cloud of its own or, in one go with the other files, beside the first detector.
"""

from __future__ import annotations

import pytest
from conftest import HISTORY

from local.cloud import LocalCloud
from local.cloud.testing import eventually
from local.harness import Deployment, inventory
from local.terraform import TerraformError

REFUSED_SECONDS = 60


@pytest.fixture(scope="module")
def before(cloud: LocalCloud, empty: dict[str, set[str]]) -> dict[str, set[str]]:
    """What the cloud holds before this detector, another one perhaps."""
    assert empty
    return inventory(cloud)


@pytest.fixture(scope="module")
def others(cloud: LocalCloud) -> dict[str, set[str]]:
    """Roles of other people on both warehouses."""
    return {
        name: set(cloud.admin("GET", f"redshift/warehouses/{name}")["roles"])
        for name in ("shop", "young")
    }


@pytest.fixture(scope="module")
def young(
    cloud: LocalCloud,
    before: dict[str, set[str]],
    others: dict[str, set[str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Deployment:
    """A detector on the serverless workgroup, applied while IAM does not know its roles yet."""
    assert before
    assert others
    cloud.redshift_faults.refuse_role("young-*", seconds=REFUSED_SECONDS)
    # Nothing to sign in with: the functions' own roles are the warehouse's users.
    made = Deployment(
        cloud,
        tmp_path_factory.mktemp("young"),
        {
            "name": "young",
            "cluster_identifier": None,
            "workgroup_name": "young",
            "history": HISTORY,
            "enabled": False,
            "shards": 2,
        },
    )
    made.apply()
    return made


def test_roles_refused_for_the_first_minute_only_delay_it(
    cloud: LocalCloud, young: Deployment, others: dict[str, set[str]]
) -> None:
    pipeline = young.wait_for_pipeline()

    assert pipeline.succeeded, pipeline.cause
    assert any(each["hits"] for each in cloud.redshift_faults.list()), "no call was refused"
    assert young.detector()["status"] == "ACTIVE"
    assert young.received("operations") == []
    crawl = young.crawl_next()
    assert crawl.succeeded, crawl.cause
    # Rows are unloaded in two parts, and one model scores them all.
    assert [each["series"] for each in crawl.output["parts"]] == [64]
    # The other detector is not touched by any of this.
    assert set(young.attached_roles("young")) == {*others["young"], role(young)}
    assert not young.plan()


def test_a_role_that_another_stack_detaches_comes_back_by_itself(
    cloud: LocalCloud, young: Deployment, others: dict[str, set[str]]
) -> None:
    # given a stack that lists the namespace's roles, without ours
    cloud.client("redshift-serverless").update_namespace(
        namespaceName="young-namespace", iamRoles=sorted(others["young"]), defaultIamRoleArn=""
    )
    wait_until_gone(young, "young")

    crawl = young.crawl_next()

    assert crawl.succeeded, crawl.cause
    assert set(young.attached_roles("young")) == {*others["young"], role(young)}
    (told,) = young.received("operations")
    assert told["Subject"] == "young: role attached again"
    assert "iam_roles" in told["Message"]


def test_another_warehouse_gets_the_role_before_the_old_one_loses_it(
    cloud: LocalCloud, young: Deployment, others: dict[str, set[str]]
) -> None:
    # given a cluster that cannot take it at first
    cloud.admin("PATCH", "redshift/warehouses/shop", {"status": "paused"})
    with pytest.raises(TerraformError, match=r"Cluster 'shop' is paused: resume it"):
        young.apply(workgroup_name=None, cluster_identifier="shop")
    assert set(young.attached_roles("young")) == {*others["young"], role(young)}
    cloud.admin("PATCH", "redshift/warehouses/shop", {"status": "available"})

    young.apply()
    pipeline = young.wait_for_pipeline()

    assert pipeline.succeeded, pipeline.cause
    assert set(young.attached_roles("shop")) == {*others["shop"], role(young)}
    assert set(young.attached_roles("young")) == others["young"]
    assert not young.plan()


def test_a_paused_cluster_does_not_hold_up_destroy(
    cloud: LocalCloud, young: Deployment, before: dict[str, set[str]], others: dict[str, set[str]]
) -> None:
    cloud.admin("PATCH", "redshift/warehouses/shop", {"status": "paused"})

    try:
        young.destroy()
    finally:
        cloud.admin("PATCH", "redshift/warehouses/shop", {"status": "available"})

    assert inventory(cloud) == before
    # What a paused cluster does not let go is left there; its owner does the rest.
    assert set(young.attached_roles("shop")) == {*others["shop"], role(young)}
    cloud.client("redshift").modify_cluster_iam_roles(
        ClusterIdentifier="shop", RemoveIamRoles=[role(young)]
    )
    wait_until_gone(young, "shop")


def role(deployment: Deployment) -> str:
    """ARN of its UNLOAD role."""
    return str(deployment.outputs["unload_role_arn"])


def wait_until_gone(deployment: Deployment, warehouse: str) -> None:
    """Wait until a warehouse has let go of the role."""
    eventually(lambda: role(deployment) not in deployment.attached_roles(warehouse))
