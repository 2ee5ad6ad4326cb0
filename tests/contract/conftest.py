"""One local cloud for the contract tests that need it, started when the first one asks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.cloud import LocalCloud
from local.cloud.testing import REGION, Scene


@pytest.fixture(scope="session")
def cloud() -> Iterator[LocalCloud]:
    with LocalCloud(region=REGION, status_seconds=0.02, attach_seconds=0.2) as running:
        yield running


@pytest.fixture
def scene(cloud: LocalCloud) -> Iterator[Scene]:
    """A way to set a scene in the cloud; whatever fault it injected is gone afterwards."""
    yield Scene(cloud)
    cloud.redshift_faults.clear()
