"""What the day of the month adds to a daily series: pay days, first and last days.

A slot holds the decayed mean residual of its day (the last day of a month has one of its own), as a
share of the forecast (of the level, where values can be negative). It counts once two months have
shown it and it stands out of the noise, and only while forecasts with it are better than without: a
series that knows no such days pays nothing.
Arrays have the axes M, K.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

SEEN_FROM = 2  # months that have shown a slot before it counts
YOUNG = 12  # months in which a slot is learnt even while an event is open
STANDS_OUT = 2.5  # deviations of a slot's mean
CLIP = 30.0  # deviations that a residual is clipped at
RATE = 0.3
RATE_ERROR = 0.01
BETTER = 0.97
WITHOUT, WITH = 0, 1
TINY = 1e-100


def expect(
    arrays: dict[str, Array], slot: int, forecast: Array, deviation: Array
) -> tuple[Array, Array]:
    """What the slot would add to the forecast, and what of it is believed.

    Parameters
    ----------
    forecast : without the month.
    deviation : of single residuals.
    """
    seen = arrays["month_seen"][slot].astype(np.float64)
    adds = arrays["month"][slot] * _size(arrays, forecast)
    out = np.abs(adds) > STANDS_OUT * deviation / np.sqrt(np.maximum(seen, 1.0))
    adds = np.where((seen >= SEEN_FROM) & out, adds, 0.0)
    error = arrays["month_error"]
    return adds, np.where(error[WITH] < BETTER * error[WITHOUT], adds, 0.0)


def learn(
    arrays: dict[str, Array],
    slot: int,
    forecast: Array,
    residual: Array,
    adds: Array,
    deviation: Array,
    live: Mask,
    frozen: Mask,
) -> None:
    """Learn one day.

    Parameters
    ----------
    residual : of the forecast without the month.
    adds : what the slot would have added.
    """
    seen = arrays["month_seen"][slot].astype(np.float64)
    size = np.maximum(_size(arrays, forecast), TINY)
    reach = CLIP * deviation
    clipped = np.clip(residual, -reach, reach)
    rate = np.maximum(1.0 / (np.maximum(arrays["seen"], 1.0)), RATE_ERROR)
    for number, left in ((WITHOUT, clipped), (WITH, clipped - adds)):
        error = arrays["month_error"][number]
        arrays["month_error"][number] += live * rate * (np.abs(left) - error)
    on = live & (~frozen | (seen < YOUNG))
    share = np.clip(clipped / size, -100.0, 100.0)
    step = on * np.maximum(1.0 / (seen + 1.0), RATE)
    arrays["month"][slot] += step * (share - arrays["month"][slot])
    arrays["month_seen"][slot] = np.minimum(seen + on, 250)


def _size(arrays: dict[str, Array], forecast: Array) -> Array:
    return np.abs(np.where(arrays["signed"] > 0, arrays["level"], forecast))
