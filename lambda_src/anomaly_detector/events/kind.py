"""What kind of event it is, from what the event holds; it may change while the event grows.

With r the residuals of its slices in the intervals of its life, e their expectations, and c the
factor that they have in common, sum r / sum e:

* **bound**: a static bound is crossed. **few rows**: far fewer rows came than usual (`few_rows`).
  **no data**: half of the intervals have no row, or no value. **stuck**: in two of five the
  evidence is that a value repeats.
* Where c explains less than half of sum r^2 / e: **season** if residuals follow each other, as when
  a day is unlike the day before: three quarters have the sign of the one before, and the sum of
  r_t r_(t-1) is at least 0.35 sum r^2. **variance** if r varies around c by over three times its
  usual variance.
* **ramp**: a line through r / e leaves at most half of what c leaves, and begins at 0.7 of its end
  at most.
* **spike**, **dip**: others, up or down, of half a day or three intervals at most; **level**: of
  more.
"""

from __future__ import annotations

import numpy as np

from anomaly_detector.detection.arrays import Array
from anomaly_detector.detection.rules import SMALL
from anomaly_detector.events.event import Event, Track
from anomaly_detector.events.group import Kind

MISSING, STUCK = 0.5, 0.4
FEWEST = 6  # intervals that have a shape
COMMON, UNSTEADY = 0.5, 3.0
SAME_SIDE, FOLLOWING = 0.75, 0.35
STEEP, BEGINS = 0.5, 0.7
CERTAIN = 5.0  # standard errors that a slope must be from none
SHORT, SHORT_INTERVALS = 43_200, 3


def kind_of(event: Event, side: int, seconds: int) -> Kind:
    """The kind of an event.

    Parameters
    ----------
    side : 1 if the sum of its values is above the expectation, -1 if below.
    seconds : of an interval.
    """
    if event.bound:
        return "bound"
    if event.few_rows:
        return "few rows"
    if event.no_data:
        return "no data"
    life = event.track.until(event.last)
    actual, count = np.array(life.actual), len(life.starts)
    missing = np.isnan(actual)
    if np.count_nonzero(missing) / count >= MISSING:
        return "no data"
    if sum(life.stuck) / count >= STUCK:
        return "stuck"
    if count >= FEWEST:
        actual[missing] = 0.0
        residual, size = _residuals(actual, np.array(life.expected))
        shape = _unsteady(residual, size, life) or _steep(residual, size, life)
        if shape is not None and not (event.both and shape == "ramp"):
            return shape
    if event.both:
        return "season"
    if life.starts[-1] - life.starts[0] + seconds > max(SHORT, SHORT_INTERVALS * seconds):
        return "level"
    return "spike" if side > 0 else "dip"


def _unsteady(residual: Array, size: Array, life: Track) -> Kind | None:
    """The kind of residuals that no common factor explains."""
    common = residual.sum() / size.sum()
    left = residual - common * size
    if np.sum(left**2 / size) <= (1 - COMMON) * np.sum(residual**2 / size):
        return None
    follow = residual[1:] * residual[:-1]
    if np.mean(follow > 0) >= SAME_SIDE and follow.sum() >= FOLLOWING * (residual @ residual):
        return "season"
    usual = np.array(life.variance) * max(1.0, 1.0 + common)
    return "variance" if np.sum(left**2) > UNSTEADY * usual.sum() else None


def _steep(residual: Array, size: Array, life: Track) -> Kind | None:
    """The kind of a change that grows."""
    time = np.array(life.starts, dtype=np.float64)
    time -= (time @ size) / size.sum()
    common = residual.sum() / size.sum()
    rest = np.sum((residual - common * size) ** 2 / size)
    spread = np.square(time) @ size
    slope = (time @ residual) / max(float(spread), SMALL)
    first, last = common + slope * time[[0, -1]]
    # Few values may grow by chance.
    least = max(STEEP, CERTAIN**2 / (CERTAIN**2 + len(size) - 2))
    steep = slope**2 * spread >= least * rest
    return "ramp" if steep and abs(first) <= BEGINS * abs(last) else None


def _residuals(actual: Array, expected: Array) -> tuple[Array, Array]:
    """Residuals, and the size of the expectations, which is never nought."""
    size = np.abs(expected)
    least = max(0.1 * float(size.mean()), SMALL)
    return actual - expected, np.maximum(size, least)
