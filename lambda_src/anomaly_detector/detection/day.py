"""Evidence that a day is unlike the days before, which no sum over a window of it shows.

**Season**: a day that is flat, or has the values of other hours, has more than usual at some hours
and less at others: each half of it says little, and their sum nothing. With r the residuals of the
newest hours, f what was expected of them and m the mean of f, r = a m + c f is fitted: c is a level
that changes, as windows show it, and a is how much flatter the day is, 1 where it is flat and more
where night and day are exchanged. The contrast g = 1 - f (sum f / sum f^2) is orthogonal to f, so
that no level brings evidence, and the log-likelihood ratio is (sum g r)^2 / (2 var(sum g r)).
A day without a season tells nothing.

**Variance**: with s the mean of (r - c f)^2 / var(r) over n hours, where c f is the level, that of
more variance is n (s - 1 - ln s) / 2.

By chance a single hour may be far off: residuals are clipped at three deviations, so that it tells
little of a day.

Where hours deviate alike, one after the other, they are fewer than they seem: whoever asks gives a
variance, or divides the nats, by as much as half a day varies more than its hours would by chance.
"""

from __future__ import annotations

import numpy as np

from anomaly_detector.detection.arrays import Array

HOURS = 24
FEWEST_UNITS = 12.0  # dispersions that the day of a count must expect
CLIP = 3.0  # deviations of an hour
LEAST_SEASON = 0.1  # root mean square of the contrast from which a day has a season
FLATTER = 0.2  # share by which a day is flatter at least
_NONE = 1e-200


def season(residuals: Array, bases: Array, dispersion: Array) -> Array:
    """(N,) nats that the days of N series are flatter than was expected.

    Parameters
    ----------
    residuals, bases : (HOURS, N) what the hours deviate by, and what they expect.
    dispersion : (N,) variance of an hour for each unit that it expects.
    """
    residuals = _clipped(residuals, dispersion * bases)
    total = bases.sum(axis=0)
    contrast = 1.0 - total / np.maximum(np.square(bases).sum(axis=0), _NONE) * bases
    # What expects nothing has no part in a day.
    contrast *= bases > 0
    squares = np.square(contrast)
    size, change = squares.sum(axis=0), (contrast * residuals).sum(axis=0)
    tells = size >= LEAST_SEASON**2 * HOURS
    tells &= change * HOURS >= FLATTER * size * total
    variance = dispersion * (squares * bases).sum(axis=0)
    return np.where(tells, np.square(change) / np.maximum(2.0 * variance, _NONE), 0.0)


def varies(residuals: Array, bases: Array, variance: Array) -> Array:
    """(N,) nats that the hours of a day vary by more than was expected.

    Parameters
    ----------
    residuals, bases, variance : (HOURS, N) what the hours deviate by, what they expect, and the
        variance, 0 if nothing was expected.
    """
    residuals = _clipped(residuals, variance)
    hours = np.maximum(np.count_nonzero(variance > 0, axis=0), 1)
    level = residuals.sum(axis=0) / np.maximum(bases.sum(axis=0), _NONE)
    units = np.square(residuals - level * bases) / np.maximum(variance, _NONE) * (variance > 0)
    more = np.maximum(units.sum(axis=0) / hours, 1.0)
    return np.asarray(0.5 * hours * (more - 1.0 - np.log(more)))


def _clipped(residuals: Array, variance: Array) -> Array:
    reach = CLIP * np.sqrt(variance)
    return np.minimum(np.maximum(residuals, -reach), reach)
