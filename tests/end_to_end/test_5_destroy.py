"""The end: nothing of the detector is left."""

from __future__ import annotations

from local.cloud import LocalCloud
from local.harness import Deployment, Patience, inventory


def test_destroy_in_the_middle_of_statements_ends_them_and_leaves_nothing(
    cloud: LocalCloud, detector: Deployment, empty: dict[str, set[str]]
) -> None:
    cloud.redshift_faults.stall(count=None)
    before = len(cloud.statements())
    crawl = detector.start_crawl(detector.next_tick())
    detector.wait_for_unload("STARTED")
    pipeline = detector.start_pipeline()
    patience = Patience(cloud, "the check of the query")
    while [each["status"] for each in cloud.statements()[before:]] != ["STARTED", "STARTED"]:
        patience.wait()
    assert [detector.execution(each).status for each in (crawl, pipeline)] == ["RUNNING"] * 2

    detector.destroy()

    assert {each["status"] for each in cloud.statements()[before:]} == {"ABORTED"}
    assert inventory(cloud) == empty
    roles = cloud.admin("GET", "redshift/warehouses/shop")["roles"]
    assert [arn.rsplit("/", 1)[-1] for arn in roles] == ["of-somebody-else"]
