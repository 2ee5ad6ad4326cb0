"""One local cloud and one detector for all tests here; files run in the order of their names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local import shop
from local.cloud import LocalCloud
from local.harness import Deployment, create_secret, inventory, load_shop

HOUR = timedelta(hours=1)
# Detectors here learn from six weeks, which is enough and quick to load.
HISTORY = {"length": "P42D", "chunk": "P14D"}


def _incident(
    anchor: datetime, start: int, length: int, where: dict[str, str], factor: float, *measures: str
) -> shop.Incident:
    begin = anchor + start * HOUR
    kind: shop.Kind = (
        "combination" if len(where) == 2 else "platform" if "platform" in where else "marketplace"
    )
    return shop.Incident(measures, begin, begin + length * HOUR, where, kind, factor)


@pytest.fixture(scope="session")
def sample() -> shop.Shop:
    """Seven weeks of the shop and three days ahead, with incidents at known hours."""
    anchor = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    incidents = [
        _incident(anchor, 2, 2, {"platform": "mobile_app", "marketplace": "de"}, 0.2, "revenue"),
        _incident(anchor, 6, 2, {"platform": "mobile_web"}, 0.3, "views", "revenue"),
        _incident(anchor, 10, 2, {"marketplace": "jp"}, 2.3, "views", "revenue"),
        # Within the hours that nobody crawls in time.
        _incident(anchor, 21, 2, {"platform": "pc_web"}, 0.3, "revenue"),
    ]
    return shop.build(anchor, 11, days=50, live_hours=72, step_minutes=30, incidents=incidents)


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory, sample: shop.Shop) -> Iterator[LocalCloud]:
    """A local cloud that holds the shop in a cluster and in a serverless workgroup."""
    folder = tmp_path_factory.mktemp("cloud")
    with LocalCloud(folder) as running:
        trust = {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "redshift.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                }
            ],
        }
        role = running.client("iam").create_role(
            RoleName="of-somebody-else", AssumeRolePolicyDocument=json.dumps(trust)
        )
        running.create_cluster("shop", roles=[role["Role"]["Arn"]])
        running.create_workgroup("young", roles=[role["Role"]["Arn"]])
        load_shop(running, "shop", sample, folder / "shop")
        load_shop(running, "young", sample, folder / "shop")
        yield running


@pytest.fixture(scope="session")
def secret(cloud: LocalCloud) -> str:
    """ARN of the secret that the cluster's user signs in with."""
    return create_secret(cloud, "shop", "shop-warehouse")


@pytest.fixture(scope="session")
def empty(cloud: LocalCloud, secret: str) -> dict[str, set[str]]:
    """What the cloud holds before anything is deployed."""
    assert secret
    return inventory(cloud)


@pytest.fixture(scope="session")
def detector(
    cloud: LocalCloud,
    secret: str,
    empty: dict[str, set[str]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Deployment:
    """The detector, applied; the last file destroys it."""
    assert not empty["functions"]
    deployment = Deployment(
        cloud,
        Path(tmp_path_factory.mktemp("terraform")),
        {
            "name": "shop",
            "cluster_identifier": "shop",
            "secret_arn": secret,
            "history": HISTORY,
            # Time is moved by the tests alone.
            "enabled": False,
        },
    )
    deployment.apply()
    return deployment


@pytest.fixture(autouse=True)
def _no_fault_is_left(cloud: LocalCloud) -> Iterator[None]:
    yield
    cloud.redshift_faults.clear()
