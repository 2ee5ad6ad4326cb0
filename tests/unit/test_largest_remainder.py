"""Rounded shares keep their sum."""

from __future__ import annotations

import pytest
from anomaly_detector.largest_remainder import apportion
from hypothesis import given
from hypothesis import strategies as st

weights = st.lists(st.floats(0, 1e300), min_size=1, max_size=40)


@given(weights, st.sampled_from([100, 10_000]))
def test_the_parts_sum_to_the_total_and_are_off_by_less_than_one(
    given_weights: list[float], total: int
) -> None:
    found = apportion(given_weights, total)

    assert sum(found) == total
    largest = max(given_weights)
    if largest > 0:
        whole = sum(weight / largest for weight in given_weights)
        for part, weight in zip(found, given_weights, strict=True):
            assert abs(part - total * (weight / largest) / whole) < 1 + 1e-6


@pytest.mark.parametrize(
    ("given_weights", "total", "expected"),
    [
        ([1, 1, 1], 100, [34, 33, 33]),
        ([67.6, 32.4], 100, [68, 32]),
        ([0.0, 0.0], 100, [50, 50]),
        ([0.0, 5.0], 10_000, [0, 10_000]),
        ([1e-300, 3e-300], 100, [25, 75]),
        ([], 100, []),
    ],
)
def test_the_largest_remainders_get_what_is_left(
    given_weights: list[float], total: int, expected: list[int]
) -> None:
    assert apportion(given_weights, total) == expected
