"""The end: nothing of the detector is left."""

from __future__ import annotations

from local.cloud import LocalCloud
from local.harness import Deployment, inventory


def test_destroy_leaves_nothing(
    cloud: LocalCloud, detector: Deployment, empty: dict[str, set[str]]
) -> None:
    detector.destroy()

    assert inventory(cloud) == empty
    roles = cloud.admin("GET", "redshift/warehouses/shop")["roles"]
    assert [arn.rsplit("/", 1)[-1] for arn in roles] == ["of-somebody-else"]
