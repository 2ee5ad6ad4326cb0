"""History is cut into blocks that can be held, and no source is read more often than needed."""

from __future__ import annotations

from anomaly_detector.blocks import blocks, intervals_at_once, rows_at_once
from hypothesis import given
from hypothesis import strategies as st

sources = st.lists(
    st.tuples(st.integers(1, 9), st.floats(0, 50, allow_nan=False)), min_size=1, max_size=12
)


@given(sources, st.integers(1, 200))
def test_blocks_cover_history_and_hold_no_more_than_fits(
    given: list[tuple[int, float]], most: int
) -> None:
    of = [number for number, (size, _) in enumerate(given) for _ in range(size)]
    rows = [rate for size, rate in given for _ in range(size)]

    found = blocks(of, rows, most)

    assert [place for low, high in found for place in range(low, high)] == list(range(len(of)))
    for low, high in found:
        held = sum(rows[low:high])
        # one interval cannot be cut, and intervals are of whole numbers
        assert held <= most + max(rows[low:high]) or high - low == 1
        if len(set(of[low:high])) > 1:
            assert held <= most * (1 + 1e-9)


@given(sources)
def test_a_source_that_fits_is_read_once(given: list[tuple[int, float]]) -> None:
    of = [number for number, (size, _) in enumerate(given) for _ in range(size)]
    rows = [rate for size, rate in given for _ in range(size)]
    most = max(size * rate for size, rate in given)

    found = blocks(of, rows, most * (1 + 1e-9) + 1e-9)

    read = [source for low, high in found for source in sorted(set(of[low:high]))]
    assert read == list(range(len(given)))


def test_at_least_one_interval_is_replayed_at_once() -> None:
    assert intervals_at_once(512, 10**9) == 1
    assert intervals_at_once(1769, 0) > 0
    assert rows_at_once(1769, 10) * 10 <= rows_at_once(1769, 1)
