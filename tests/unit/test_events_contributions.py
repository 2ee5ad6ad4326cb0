"""The smallest set of slices that explains an event, and the shares of the dimensions' values."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
import pytest
from anomaly_detector.events.contributions import explaining_slices, shares
from anomaly_detector.lattice import Lattice

PLATFORM = ("platform",)
P = ("app", "mobile", "web")
M = ("de", "fr", "uk", "us")
SIZES = {key: 100.0 * (1 + index) for index, key in enumerate(product(P, M))}


def _of(keys: Sequence[tuple[str, ...]]) -> Lattice:
    slices = np.empty((len(keys), len(keys[0])), dtype=object)
    slices[:] = keys
    return Lattice.of(slices)


def _lattice(*, rollups: bool = True) -> Lattice:
    keys = list(product(P, M))
    if rollups:
        keys += [(p, "*") for p in P] + [("*", m) for m in M] + [("*", "*")]
    return _of(sorted(keys))


def _all(lattice: Lattice) -> np.ndarray:
    """Every slice has sums."""
    return np.ones(len(lattice.names), dtype=np.bool_)


def _leaves(key: tuple[str, ...]) -> list[tuple[str, str]]:
    return [
        leaf
        for leaf in SIZES
        if all(value in ("*", part) for value, part in zip(key, leaf, strict=True))
    ]


def _explain(
    faults: dict[tuple[str, str], float], *, rollups: bool = True, noise: float = 0.03
) -> tuple[tuple[str, ...], ...]:
    """Slices blamed when those of `faults` change by a share; what moved by a tenth is flagged."""
    lattice = _lattice(rollups=rollups)
    random = np.random.default_rng(1)
    moved = {leaf: size * random.normal(0, noise) for leaf, size in SIZES.items()}
    for key, change in faults.items():
        for leaf in _leaves(key):
            moved[leaf] += change * SIZES[leaf]
    deviation = np.array([sum(moved[leaf] for leaf in _leaves(key)) for key in lattice.names])
    expected = np.array([sum(SIZES[leaf] for leaf in _leaves(key)) for key in lattice.names])
    return explaining_slices(
        lattice, deviation, expected, np.abs(deviation) > 0.1 * expected, _all(lattice)
    )


@pytest.mark.parametrize("rollups", [True, False])
@pytest.mark.parametrize("change", [-0.6, 0.8])
@pytest.mark.parametrize(
    "where", [("*", "*"), ("app", "*"), ("web", "*"), ("*", "us"), ("mobile", "de"), ("web", "us")]
)
def test_the_planted_slice_is_blamed(
    where: tuple[str, str], change: float, *, rollups: bool
) -> None:
    assert _explain({where: change}, rollups=rollups) == (where,)


def test_two_faults_are_named_both() -> None:
    assert _explain({("app", "*"): -0.6, ("web", "de"): -0.7}) == (("app", "*"), ("web", "de"))


def test_a_detector_without_dimensions_blames_the_total() -> None:
    lattice = _of([()])

    blamed = explaining_slices(
        lattice, np.array([-5.0]), np.array([9.0]), np.array([True]), _all(lattice)
    )

    assert blamed == ((),)
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
