"""The detectors to compare with. All are causal: a score uses its own point and earlier ones.

Each takes one series and returns a score a point, larger where stranger. A missing value scores 0
and is passed over, or carried forward where the method needs a value at every point.
"""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SHINGLE = 8
TREES = 50  # the default of AWS's library; OpenSearch takes 30
SAMPLE = 256
WINDOW = 48
HISTORY = 256  # differences that spreads are taken from
SEED = 20_240_101


def forward(values: Array) -> Array:
    """Missing values carried forward; the first known one before it."""
    known = np.isfinite(values)
    if not known.any():
        return np.zeros(len(values))
    last = np.maximum.accumulate(np.where(known, np.arange(len(values)), 0))
    return np.where(known[last], values[last], values[known][0])


def rolling_z(values: Array, _slots: int) -> Array:
    """|x - mean| / deviation of the 48 points before it."""
    filled = forward(values)
    padded = np.r_[np.full(WINDOW, np.nan), filled]
    before = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[: len(filled)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # the first points have nothing before
        mean, spread = np.nanmean(before, axis=1), np.nanstd(before, axis=1)
    return _clean(np.abs(filled - mean) / np.maximum(spread, _floor(filled)), values, 8)


def last_value(values: Array, _slots: int) -> Array:
    """|x - last| over the median such difference of the 256 points before it."""
    filled = forward(values)
    moved = np.abs(np.diff(filled, prepend=filled[:1]))
    usual = _before(moved, HISTORY, [50])[0]
    return _clean(moved / np.maximum(usual, _floor(filled)), values, 8)


def seasonal_median(values: Array, slots: int) -> Array:
    """|x - median of this slot of the day| over the median such residual of 256 points before."""
    filled = forward(values)
    median = np.full(len(filled), np.nan)
    for slot in range(slots):
        own = filled[slot::slots]
        for place in range(1, len(own)):
            median[slot + place * slots] = np.median(own[max(0, place - 28) : place])
    residual = np.where(np.isfinite(median), np.abs(filled - median), 0.0)
    usual = _before(residual, HISTORY, [50])[0]
    score = residual / np.maximum(usual, _floor(filled))
    return _clean(np.where(np.isfinite(median), score, 0.0), values, 2 * slots)


def persist(values: Array, _slots: int) -> Array:
    """ADTK's PersistAD, made causal and continuous.

    ADTK (arundo.com, `adtk.detector.PersistAD`, window 1) flags |x - last| over Q3 + c x IQR of all
    such differences, and says yes or no only. Here the quartiles are those of the differences so
    far, and the score is the c at which ADTK would stop flagging.
    """
    filled = forward(values)
    moved = np.abs(np.diff(filled, prepend=filled[:1]))
    low, high = _so_far(moved)
    return _clean((moved - high) / np.maximum(high - low, _floor(filled)), values, 8)


def random_cut_forest(trees: int = TREES) -> Callable[[Array, int], Array] | None:
    """Random Cut Forest (krcf, the Rust port of AWS's), shingle of 8; None if not installed."""
    if importlib.util.find_spec("krcf") is None:
        return None

    def score(values: Array, _slots: int) -> Array:
        grown = forest(trees)
        found = np.zeros(len(values))
        for place, value in enumerate(forward(values).tolist()):
            found[place] = grown.score([value])
            grown.update([value])
        return _clean(found, values, SHINGLE)

    return score


def forest(trees: int = TREES) -> Any:
    """A forest that has seen nothing, 50 trees of 256 points unless told otherwise."""
    from krcf import RandomCutForest

    return RandomCutForest(
        {
            "dimensions": 1,
            "shingle_size": SHINGLE,
            "num_trees": trees,
            "sample_size": SAMPLE,
            "internal_shingling": True,
            "random_seed": SEED,
        }
    )


def isolation_forest() -> Callable[[Array, int], Array] | None:
    """Isolation forest on a point and its 7 lags, refitted on the past; None if not installed.

    It is fitted anew each time that the series has grown by half, from 128 points on.
    """
    if importlib.util.find_spec("sklearn") is None:
        return None

    def score(values: Array, _slots: int) -> Array:
        from sklearn.ensemble import IsolationForest

        filled = forward(values)
        lags = np.lib.stride_tricks.sliding_window_view(
            np.r_[np.full(SHINGLE - 1, filled[0]), filled], SHINGLE
        )
        found = np.zeros(len(values))
        fitted = 128
        while fitted < len(values):
            until = min(len(values), int(fitted * 1.5))
            trees = IsolationForest(n_estimators=TREES, random_state=SEED % 2**31, n_jobs=1)
            found[fitted:until] = -trees.fit(lags[:fitted]).score_samples(lags[fitted:until])
            fitted = until
        return _clean(found, values, 0)

    return score


def installed() -> tuple[dict[str, Callable[[Array, int], Array]], list[str]]:
    """The peers that this machine has, and a sentence for each that it lacks."""
    found: dict[str, Callable[[Array, int], Array]] = {}
    missing = []
    for name, package, peer in [
        ("Random Cut Forest (krcf)", "krcf", random_cut_forest()),
        ("isolation forest on lags", "scikit-learn", isolation_forest()),
    ]:
        if peer is None:
            missing.append(f"{name} is left out: {package} is not installed here (`make bench`).")
        else:
            found[name] = peer
    found |= {
        "rolling z-score": rolling_z,
        "last value / MAD": last_value,
        "seasonal median": seasonal_median,
        "ADTK PersistAD": persist,
    }
    return found, missing


def _before(values: Array, window: int, percent: list[float]) -> Array:
    """(P, T) percentiles of up to `window` values before each point; NaN at the first."""
    padded = np.r_[np.full(window, np.nan), values]
    view = np.lib.stride_tricks.sliding_window_view(padded, window)[: len(values)]
    found = np.empty((len(percent), len(values)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        head = min(window, len(values))
        found[:, :head] = np.nanpercentile(view[:head], percent, axis=1)
        for begin in range(head, len(values), 4096):
            part = view[begin : begin + 4096]
            found[:, begin : begin + 4096] = np.percentile(part, percent, axis=1)
    return found


def _so_far(values: Array) -> Array:
    """(2, T) quartiles of all values before each point, taken anew at each growth by 2 %."""
    found = np.full((2, len(values)), np.nan)
    at = 8
    while at < len(values):
        until = min(len(values), max(at + 1, int(at * 1.02)))
        found[:, at:until] = np.percentile(values[:at], [25, 75])[:, None]
        at = until
    return found


def _floor(filled: Array) -> Array:
    """Smallest spread that is believed: a tenth of the deviation of all values so far.

    No published rival has it. Without it a series that is constant for days reaches scores of 1e5
    at its first change, one threshold cannot serve a corpus, and these peers lose half their F1.
    """
    size = np.arange(1, len(filled) + 1)
    moved = filled - filled[:1]
    mean = np.cumsum(moved) / size
    spread = np.sqrt(np.maximum(np.cumsum(moved * moved) / size - mean * mean, 0.0))
    return 0.1 * spread + 1e-3 * np.cumsum(np.abs(filled)) / size + 1e-12


def _clean(score: Array, values: Array, unknown: int) -> Array:
    """Scores with 0 where the value is missing, not yet scored, or among the first."""
    usable = np.isfinite(values) & np.isfinite(score) & (np.arange(len(values)) >= unknown)
    return np.where(usable, score, 0.0)
