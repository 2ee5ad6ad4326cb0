"""The end: nothing of the detector is left."""

from __future__ import annotations

import time

from local.cloud import LocalCloud
from local.harness import Deployment, inventory


def test_destroy_in_the_middle_of_statements_ends_them_and_leaves_nothing(
    cloud: LocalCloud, detector: Deployment, empty: dict[str, set[str]]
) -> None:
    cloud.redshift_faults.stall(count=None)
    before = len(cloud.statements())
    executions = [detector.start_crawl(detector.next_tick()), detector.start_pipeline()]
    detector.wait_for_unload("STARTED")
    while len(cloud.statements()[before:]) < 2:
        time.sleep(0.1)
    assert [detector.execution(each).status for each in executions] == ["RUNNING", "RUNNING"]

    detector.destroy()

    assert {each["status"] for each in cloud.statements()[before:]} == {"ABORTED"}
    assert inventory(cloud) == empty
    roles = cloud.admin("GET", "redshift/warehouses/shop")["roles"]
    assert [arn.rsplit("/", 1)[-1] for arn in roles] == ["of-somebody-else"]
