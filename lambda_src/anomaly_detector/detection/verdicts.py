"""What people said of events: yes, it was one, or no, it was none.

* **No**: an event that is similar (the same measure and direction, most leaves in common) opens
  only if it is stronger than that one was, up to `MOST` times the threshold.
* **Yes**: the intervals of the event teach nothing, it needs `FIRM` times as long to be accepted as
  the new level, and similar events need no more than the root of the multiple that it had.

A verdict holds from the first interval that begins after it was given until it is undone; so it
changes nothing that has been scored, whatever is replayed. A training that knows it takes it for
the whole history.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from anomaly_detector.detection.spans import Span

MOST = 3.0
"""Largest multiple of the threshold, which is severity 75."""
ABOVE = 1.02  # as strong as the event that was none is not enough
FIRM = 4
FOREVER = 2**62


@dataclass(frozen=True)
class Verdict:
    """What somebody said of an event.

    Attributes
    ----------
    span : the series and intervals of the event. names : its slices. side : 1 above, -1 below.
    strength : of the event, as a multiple of the threshold.
    since, until : it holds for intervals that begin in `[since, until)`, seconds since 1970.
    """

    span: Span
    names: tuple[tuple[str, ...], ...]
    side: int
    is_anomaly: bool
    strength: float
    since: int = 0
    until: int = FOREVER

    @property
    def needed(self) -> float:
        """What similar events need, as a multiple of the threshold: at least, if it was none; at
        most, if it was one.
        """
        if self.is_anomaly:
            return math.sqrt(max(1.0, self.strength))
        return min(MOST, max(1.0, ABOVE * self.strength))

    def holds(self, at: int) -> bool:
        """Whether it holds for the interval that begins then."""
        return self.since <= at < self.until


def strength(severity: float) -> float:
    """The multiple of the threshold that a severity stands for."""
    return severity / max(100.0 - severity, 1e-9)


def severity(multiple: float) -> float:
    """The severity of a multiple of the threshold."""
    return 100.0 * multiple / (1.0 + multiple)
