"""What all generators share: the truth about a fault, the panel, how visible a fault is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from anomaly_detector.config import ROLLED_UP
from anomaly_detector.detection import DetectorSettings
from anomaly_detector.panel import Panel
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

VISIBLE = 25.0
FEW = 50  # amounts that are drawn one by one


@dataclass(frozen=True)
class Truth:
    """What a fault does to one measure; `leaves` (L,) are those of its slice."""

    fault: int
    kind: str
    measure: str
    where: tuple[str, ...]
    begin: int
    end: int
    nats: float
    leaves: Mask

    @property
    def visible(self) -> bool:
        return self.nats >= VISIBLE


@dataclass(frozen=True)
class Simulated:
    """A generated world.

    Attributes
    ----------
    first : place in the panel from which intervals are scored; faults lie behind it.
    leaves : L combinations of dimension values.
    levels : which slice of the panel each leaf lies in, (levels, L).
    """

    seed: int
    settings: DetectorSettings
    panel: Panel
    first: int
    leaves: tuple[tuple[str, ...], ...]
    levels: NDArray[np.int64]
    truths: tuple[Truth, ...]

    @property
    def weeks(self) -> float:
        """Weeks that are scored."""
        scored = len(self.panel.starts) - self.first
        return scored / self.settings.intervals_a_week

    def held(self, where: Sequence[str]) -> Mask:
        """(L,) leaves that lie in a slice."""
        return leaves_in(self.leaves, where)


def leaves_in(leaves: Sequence[tuple[str, ...]], where: Sequence[str]) -> Mask:
    """(L,) leaves that lie in a slice."""
    return np.array(
        [
            all(value in (ROLLED_UP, part) for value, part in zip(where, leaf, strict=True))
            for leaf in leaves
        ]
    )


def roll_up(
    names: tuple[str, ...],
    starts: NDArray[np.datetime64],
    leaves: tuple[tuple[str, ...], ...],
    values: dict[str, Array],
    counts: dict[str, Array],
    squares: dict[str, Array],
    settings: DetectorSettings,
) -> tuple[Panel, NDArray[np.int64]]:
    """The panel of all roll-ups, and which slice each leaf lies in, (levels, L).

    Parameters
    ----------
    values, counts, squares : by measure, of each leaf (L, T); the last, the sum of the squares of
        single values, of sums.
    """
    measures = tuple(rule.name for rule in settings.measures)
    size = len(names)
    kept: list[tuple[int, ...]] = [(), *((i,) for i in range(size))]
    kept += [(i, j) for i in range(size) for j in range(i + 1, size)] + [tuple(range(size))]
    place: dict[tuple[str, ...], int] = {}
    levels = np.array(
        [
            [
                place.setdefault(
                    tuple(value if axis in level else ROLLED_UP for axis, value in enumerate(leaf)),
                    len(place),
                )
                for leaf in leaves
            ]
            for level in dict.fromkeys(kept)
        ]
    )
    rolled = np.full((len(place), len(measures), len(starts)), np.nan)
    weights, norms = np.zeros_like(rolled), np.full_like(rolled, np.nan)
    for m, rule in enumerate(settings.measures):
        value, count = values[rule.name], counts[rule.name]
        weighted = np.where(np.isfinite(value), value, 0.0) * (1.0 if rule.additive else count)
        for level in levels:
            total, rows = np.zeros((2, len(place), len(starts)))
            np.add.at(total, level, weighted)
            np.add.at(rows, level, count)
            own = np.unique(level)
            divisor = 1.0 if rule.additive else np.maximum(rows[own], 1.0)
            rolled[own, m] = np.where(rows[own] > 0, total[own] / divisor, np.nan)
            weights[own, m] = rows[own]
            if rule.name in squares:
                total = np.zeros((len(place), len(starts)))
                np.add.at(total, level, np.where(count > 0, squares[rule.name], 0.0))
                norms[own, m] = np.where(rows[own] > 0, np.sqrt(total[own]), np.nan)
    slices = np.empty((len(place), size), dtype=object)
    for key, at in place.items():
        slices[at] = key
    kept_norms = norms.T.astype(np.float32) if squares else None
    return Panel(starts, names, slices, measures, rolled.T, weights.T, kept_norms), levels


def gamma_squares(random: np.random.Generator, count: Array, total: Array, shape: float) -> Array:
    """Sum of the squares of so many gamma-distributed amounts that sum up to `total`.

    The shares of a gamma sum do not depend on it. Of many amounts the mean is taken.
    """
    found = np.square(total) * (shape + 1) / np.maximum(count * shape + 1, shape + 1)
    few = np.nonzero((count >= 2) & (count <= FEW))
    number = count[few].astype(np.int64)
    if not len(number):
        return found
    parts = np.maximum(random.gamma(shape, size=int(number.sum())), 1e-100)
    begins = np.concatenate([[0], np.cumsum(number)[:-1]])
    whole = np.add.reduceat(parts, begins)
    share = np.add.reduceat(np.square(parts), begins) / np.square(whole)
    found[few] = np.square(total[few]) * share
    return found


def evidence(
    error: Array,
    normal: Array,
    faulty: Array,
    span: slice,
    windows: Sequence[int],
    *,
    additive: bool,
) -> float:
    """Expected log-likelihood ratio (nats) of a change of the mean within `span`.

    Parameters
    ----------
    error : (T,) what a fault-free twin shows of the slice less what is normal.
    normal, faulty : (T,) expected values without and with the fault.
    windows : lengths in intervals, ascending; those longer than the span are left out.
    """
    length = span.stop - span.start
    most = [0.0]
    for window in windows:
        if window > length:
            break
        size = _sums(normal, window)
        # Where nothing is expected, nothing varies: night in a shop that closes.
        some = size > 0
        if not some.any():
            continue
        spread = _sums(error, window)[some] ** 2
        c, b = _sums(faulty[span], window), _sums(normal[span], window)
        if additive:
            gain = c * np.log(np.maximum(c, 1e-12) / np.maximum(b, 1e-12)) - (c - b)
            found = gain / max(float(np.mean(spread / size[some])), 1e-12)
        else:
            found = (c - b) ** 2 / (2 * max(float(np.mean(spread)), 1e-12))
        most.append(float(found.max()))
        if window == min(6, length):
            most.append(float(found[::window].sum()))
    return max(most)


def _sums(values: Array, window: int) -> Array:
    return np.lib.stride_tricks.sliding_window_view(values, window).sum(axis=1)
