"""How much is read and replayed at once, so that memory does not grow with the length of the
history. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

# Values per MB of a function: with their tables, they use about a sixth of its memory.
_VALUES_A_MB = 600


def values_at_once(memory_mb: int) -> int:
    """Number of values that are replayed at once, unless a single interval has more."""
    return memory_mb * _VALUES_A_MB


def rows_at_once(memory_mb: int, measures: int) -> int:
    """Number of unloaded rows that are read at once; each has a value of every measure."""
    return values_at_once(memory_mb) // measures


def intervals_at_once(memory_mb: int, series: int) -> int:
    """Number of intervals that are replayed at once."""
    return max(1, values_at_once(memory_mb) // max(1, series))


def blocks(sources: Sequence[int], rows: Sequence[float], most: float) -> list[tuple[int, int]]:
    """Divide T intervals into blocks of at most `most` rows, as half-open index ranges.

    A source is read once per block that contains intervals of it, so that it is divided only if it
    is larger than a block.

    Parameters
    ----------
    sources : T numbers, the source of each interval; equal numbers are adjacent.
    rows : T numbers, the expected number of rows per interval.
    """
    size = len(sources)
    changes = [place for place in range(1, size) if sources[place] != sources[place - 1]]
    found: list[tuple[int, int]] = []
    begin, held = 0, 0.0
    for low, high in pairwise([0, *changes, size]):
        of_source = float(sum(rows[low:high]))
        if begin < low and held + of_source > most:
            found.append((begin, low))
            begin, held = low, 0.0
        held += of_source
        if held > most:
            pieces = min(high - begin, int(-(-held // most)))
            cuts = [begin + number * (high - begin) // pieces for number in range(pieces + 1)]
            found.extend(pairwise(cuts))
            begin, held = high, 0.0
    if begin < size:
        found.append((begin, size))
    return found
