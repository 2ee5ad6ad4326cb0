"""How a sum is made up: by many values, or by a single large one ("ticket": an order, an invoice).

The noise of a sum of n independent tickets x is compound Poisson: its variance is n E[x^2]. With
the norm of the tickets behind a sum, the root of the sum of their squares, that variance is known,
and so is what a single ticket may have brought: if S2 is the sum of squares of an interval and q
the usual square of a ticket, one ticket of size sqrt(S2 - n q) explains what they exceed.

**Cut**: of that ticket, what exceeds `CAP` usual deviations of the sum is taken off the residual,
if it is of a size seen before: up to `TWICE` the largest one seen in any leaf of the measure. What
is left is judged and learned, so a single order of a known size is no event, however often it
comes, while many larger ones are: n tickets of f times the usual size exceed the sum by n (f - 1),
and one ticket explains sqrt(n (f^2 - 1)) of it. A larger ticket than any before is an event.

Without norms (files of earlier versions, other aggregations) nothing is cut.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from anomaly_detector.detection.arrays import Array, Mask, Part, kept
from anomaly_detector.detection.habits import LARGEST, Habits, Observed
from anomaly_detector.detection.rules import SMALL, Rules
from anomaly_detector.lattice import Lattice

CAP = 3.0  # usual deviations of a sum that a single ticket may bring
TWICE = 2.0  # times the largest ticket of its measure that is still of a size seen before
GROWTH = 3.0  # by which a single ticket may raise the largest one
RATE, RATE_LARGEST = 0.003, 0.0005
TIDE = 25.0  # most that an interval may expect relative to the mean one


@dataclass(frozen=True)
class Ticket:
    """Tickets of one interval; arrays (M, K).

    Attributes
    ----------
    known : whether the norm is. largest : the one ticket that explains what is unusual of it.
    squares : sum of squares, with that ticket reduced to `cap`.
    cut : what is taken off the residual.
    seen : (M, 1) the largest one that any leaf of the measure has had.
    """

    known: Mask
    largest: Array
    squares: Array
    cut: Array
    seen: Array


@dataclass
class Tickets(Part):
    """Usual squares of the tickets of each series, and the largest ticket."""

    rows: Array = kept()  # decayed mean of the number of tickets of an interval
    total: Array = kept()  # the same of their sum, as learned
    squares: Array = kept()  # the same of the sum of their squares, without single large ones
    largest: Array = kept()  # largest ticket, slowly forgotten

    def judge(
        self,
        rules: Rules,
        observed: Observed,
        norm: Array | None,
        expected: Array,
        residual: Array,
        signed: Array,
        lattice: Lattice,
    ) -> Ticket | None:
        """What single tickets bring to an interval; None if no norm is known.

        Parameters
        ----------
        norm : (M, K), NaN where unknown; None if it is unknown throughout.
        residual : value minus expectation. signed : 1 if a value was ever negative.
        """
        if norm is None:
            return None
        known = (norm <= LARGEST) & observed.live & rules.additive & (observed.count > 0)
        if not known.any():
            return None
        square = np.square(np.where(known, norm, 0.0))
        usual = self.squares / np.maximum(self.rows, SMALL)
        largest = np.sqrt(np.maximum(square - usual * observed.count, 0.0))
        tide = np.abs(expected) / np.maximum(np.abs(self.total), SMALL)
        tide = np.where(signed > 0, 1.0, np.minimum(tide, TIDE))
        cap = CAP * np.sqrt(np.maximum(self.squares * tide, usual))
        over = largest - cap
        over *= known & (self.squares > 0)
        leaves = self.largest.take(lattice.leaves, axis=1)
        seen = leaves.max(axis=1, keepdims=True, initial=0.0)
        cut = np.minimum(over, TWICE * seen - cap)
        cut = np.minimum(np.maximum(cut, 0.0), np.abs(residual))
        cut *= (residual > 0) | (signed > 0)
        squares = square - np.where(over > 0, np.square(largest) - np.square(cap), 0.0)
        return Ticket(known, largest, squares, np.copysign(cut, residual), seen)

    def learn(
        self,
        rules: Rules,
        habits: Habits,
        observed: Observed,
        value: Array,
        ticket: Ticket | None,
        on: Mask,
    ) -> None:
        """Learn one interval of the series `on`; call this before `habits` learn.

        Parameters
        ----------
        value : without what was cut.
        """
        if ticket is None:
            return
        # A sum without rows is zero, and so are its squares.
        told = on & (ticket.known | (rules.additive & (observed.count == 0)))
        rate = np.maximum(habits.young, RATE * rules.pace)
        rate *= told
        for mean, one in (
            (self.rows, observed.count),
            (self.total, value),
            (self.squares, ticket.squares),
        ):
            mean += rate * (one - mean)
        # An event, too, shows which sizes there are, but one wrong number does not make all usual.
        most = np.where(ticket.seen > 0, GROWTH * ticket.seen, np.inf)
        self.largest *= 1.0 - RATE_LARGEST * rules.pace
        tells = ticket.known & observed.born
        np.maximum(self.largest, np.minimum(ticket.largest, most), out=self.largest, where=tells)
