"""The shares of the dimensions' values."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from anomaly_detector.events.contributions import shares
from anomaly_detector.lattice import Lattice

PLATFORM = ("platform",)
P = ("app", "mobile", "web")
M = ("de", "fr", "uk", "us")
SIZES = {key: 100.0 * (1 + index) for index, key in enumerate(product(P, M))}


def _of(keys: Sequence[tuple[str, ...]]) -> Lattice:
    slices = np.empty((len(keys), len(keys[0])), dtype=object)
    slices[:] = keys
    return Lattice.of(slices)


def _all(lattice: Lattice) -> np.ndarray:
    """Every slice has sums."""
    return np.ones(len(lattice.names), dtype=np.bool_)


def test_a_detector_without_dimensions_has_no_shares() -> None:
    lattice = _of([()])

    assert shares(lattice, (), np.array([-5.0]), -1, _all(lattice)) == {}


def test_shares_follow_the_direction_of_the_event() -> None:
    lattice = _of([("app",), ("mobile",), ("web",)])

    assert shares(lattice, PLATFORM, np.array([-30.0, -10.0, 5.0]), -1, _all(lattice)) == {
        "platform": {"app": 75.0, "mobile": 25.0}
    }
    assert shares(lattice, PLATFORM, np.array([-30.0, -10.0, 5.0]), 1, _all(lattice)) == {
        "platform": {"web": 100.0}
    }


def test_thirds_sum_to_a_hundred() -> None:
    lattice = _of([("app",), ("mobile",), ("web",)])

    assert shares(lattice, PLATFORM, np.array([1.0, 1.0, 1.0]), 1, _all(lattice)) == {
        "platform": {"app": 33.34, "mobile": 33.33, "web": 33.33}
    }


def test_nothing_that_moved_still_sums_to_a_hundred() -> None:
    lattice = _of([("app",), ("web",)])

    assert shares(lattice, PLATFORM, np.zeros(2), 1, _all(lattice)) == {
        "platform": {"app": 50.0, "web": 50.0}
    }
