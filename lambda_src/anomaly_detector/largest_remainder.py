"""Rounding of shares so that they keep their sum. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence


def apportion(weights: Sequence[float], total: int) -> list[int]:
    """Whole numbers in proportion to the weights that sum to `total`, by largest remainders.

    Parameters
    ----------
    weights : not negative; where all are zero they count as equal.
    """
    if not weights:
        return []
    largest = max(weights)
    # Divided by the largest first: sums of very small or very large weights would lose them.
    relative = [weight / largest for weight in weights] if largest > 0 else [1.0] * len(weights)
    whole_sum = math.fsum(relative)
    exact = [total * weight / whole_sum for weight in relative]
    found = [math.floor(share) for share in exact]
    missing = total - sum(found)
    by_remainder = sorted(range(len(exact)), key=lambda place: (found[place] - exact[place], place))
    for place in by_remainder[:missing]:
        found[place] += 1
    return found
