"""A deployment to a serverless workgroup while IAM does not know its new roles yet."""

from __future__ import annotations

from conftest import HISTORY

from local.cloud import LocalCloud
from local.harness import Deployment, inventory

REFUSED_SECONDS = 60


def test_roles_refused_for_the_first_minute_only_delay_it(
    cloud: LocalCloud, detector: Deployment, tmp_path_factory
) -> None:
    assert detector.outputs
    before = inventory(cloud)
    roles = set(detector.attached_roles("young"))
    cloud.redshift_faults.refuse_role("young-*", seconds=REFUSED_SECONDS)
    # Nothing to sign in with: the functions' own roles are the warehouse's users.
    young = Deployment(
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

    young.apply()
    pipeline = young.wait_for_pipeline()

    assert pipeline.succeeded, pipeline.cause
    assert any(each["hits"] for each in cloud.redshift_faults.list()), "no call was refused"
    assert young.detector()["status"] == "ACTIVE"
    assert young.received("operations") == []
    crawl = young.crawl_next()
    assert crawl.succeeded, crawl.cause
    # Rows are unloaded in two parts, and one model scores them all.
    assert [each["series"] for each in crawl.output["shards"]] == [64]
    # The other detector is not touched by any of this.
    assert set(young.attached_roles("young")) == {*roles, young.outputs["unload_role_arn"]}

    young.destroy()

    assert inventory(cloud) == before
    assert set(detector.attached_roles("young")) == roles
