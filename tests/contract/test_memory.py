"""The estimate of memory lies above what the functions take, and not far above."""

from __future__ import annotations

import pytest

from local.cloud import LocalCloud
from tests.benchmarks.memory import SHORT, Shape, case


@pytest.mark.parametrize("shape", SHORT, ids=lambda shape: shape.interval)
def test_the_estimate_lies_above_what_is_taken(cloud: LocalCloud, shape: Shape) -> None:
    row = case(cloud, shape, f"capacity-{shape.interval.lower()}")

    for step in ("train", "crawl"):
        assert 1.0 <= row[step]["estimate / measured"] <= 2.0
