"""How the public corpora are judged: events without point adjust, and VUS-PR.

Events
------
A series has a score per point and a set of truth events: labelled windows (NAB), or runs of
consecutive labelled points. Given a threshold a point is *flagged* where its score reaches it. An
alert is raised at a flagged point whose predecessor is not flagged, and again at every 48th point
of a run of flagged points, since an alert that lasts a day or more is a new page to whoever is on
call. Then, summed over the corpus:

* TP: truth events in which at least one alert was raised. A further alert in the same truth event
  neither adds nor costs.
* FN: truth events in which none was raised. An alert raised before the event counts for it only
  where it is raised again within it.
* FP: alerts that were raised outside every truth event.

F1 = 2 TP / (2 TP + FP + FN). No point is "adjusted": a detector gets nothing for the points of an
event beyond the one hit, and pays for each alert outside. One threshold holds for all series of a
corpus; it is the one with the largest F1 of that detector (`best_threshold`), which favours every
detector in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

REPEAT = 48
MOST_THRESHOLDS = 400


@dataclass(frozen=True)
class Counts:
    """Events of a corpus at one threshold."""

    tp: int
    fp: int
    fn: int

    @property
    def f1(self) -> float:
        return 2 * self.tp / max(1, 2 * self.tp + self.fp + self.fn)

    @property
    def precision(self) -> float:
        return self.tp / max(1, self.tp + self.fp)

    @property
    def recall(self) -> float:
        return self.tp / max(1, self.tp + self.fn)


def alerts(flagged: Mask, repeat: int = REPEAT) -> NDArray[np.int64]:
    """Points at which an alert is raised: where a run of flags begins, and every 48 points in it.

    Parameters
    ----------
    flagged : (T,) bool.
    """
    at = np.nonzero(flagged)[0]
    if not len(at):
        return at
    begins = np.r_[True, np.diff(at) > 1]
    run = np.cumsum(begins) - 1
    return at[(at - at[begins][run]) % repeat == 0]


def segments(labels: Mask) -> NDArray[np.int64]:
    """(N, 2) first and last point of each run of labelled points."""
    padded = np.diff(np.r_[0, labels.astype(np.int8), 0])
    return np.stack([np.nonzero(padded == 1)[0], np.nonzero(padded == -1)[0] - 1], axis=1)


def count(scores: Sequence[Array], labels: Sequence[Mask], threshold: float) -> Counts:
    """TP, FP and FN as defined above, over all series of a corpus."""
    return count_raised([alerts(score >= threshold) for score in scores], labels)


def count_raised(raised: Sequence[NDArray[np.int64]], labels: Sequence[Mask]) -> Counts:
    """TP, FP and FN of the points at which alerts are raised, a row for each series."""
    tp = fp = fn = 0
    for at, label in zip(raised, labels, strict=True):
        truth = segments(label)
        inside = label[at]
        event = np.cumsum(np.diff(np.r_[0, label.astype(np.int8)]) == 1)
        hit = len(np.unique(event[at[inside]]))
        tp, fp, fn = tp + hit, fp + int((~inside).sum()), fn + len(truth) - hit
    return Counts(tp, fp, fn)


def best_threshold(scores: Sequence[Array], labels: Sequence[Mask]) -> tuple[float, Counts]:
    """The threshold, one for the corpus, at which F1 is largest.

    400 candidates are tried, at ranks of the pooled scores that grow geometrically, so that the
    rare large scores are gone through one by one.
    """
    pooled = np.sort(np.concatenate(list(scores)))[::-1]
    pooled = pooled[np.isfinite(pooled) & (pooled > pooled.min())]
    if not len(pooled):
        return np.inf, count(scores, labels, np.inf)
    ranks = np.unique(np.geomspace(1, len(pooled), MOST_THRESHOLDS).astype(int) - 1)
    tried = [
        (value, count(scores, labels, value)) for value in np.unique(pooled[ranks])[::-1].tolist()
    ]
    return max(tried, key=lambda one: one[1].f1)


def vus_pr(score: Array, labels: Mask, window: int, thresholds: int = 250) -> float:
    """Volume under the surface of range-based precision and recall.

    Paparrizos et al., "Volume Under the Surface: A New Accuracy Evaluation Measure for Time-Series
    Anomaly Detection", VLDB 2022, section 4; the arithmetic is that of the reference code
    (TheDatumOrg/VUS and TSB-AD, `RangeAUC_volume_opt`): for each buffer length l = 0 … window the
    labels fade out over l / 2 points on either side of an event as sqrt(1 - d / l), recall is
    weighted by the share of events that are touched at all, and the area is summed over 250
    thresholds at equal ranks. VUS-PR is the mean over l. Here the thresholds are one cumulative sum
    over the sorted points, so that only l is looped over.

    Parameters
    ----------
    score : (T,) finite.
    labels : (T,) bool, at least one of them set.
    """
    size, truth = len(score), segments(labels)
    order = np.argsort(-score, kind="stable")
    ranked = score[order]
    cut = ranked[np.linspace(0, size - 1, thresholds).astype(int)]
    # Points that reach each threshold: equal scores fall together.
    predicted = np.searchsorted(-ranked, -cut, side="right")
    positives = float(labels.sum())
    areas = np.empty(window + 1)
    for length in range(window + 1):
        faded = _faded(labels, truth, length)
        buffer = np.where(labels, 0.0, faded)
        hits = np.cumsum(faded[order])[predicted - 1]
        grown = positives + np.cumsum(buffer[order])[predicted - 1]
        ranges = segments(faded > 0)
        peaks = np.array([score[first : last + 1].max() for first, last in ranges])
        existence = (peaks[:, None] >= cut).mean(axis=0)
        recall = np.minimum(hits / ((positives + grown) / 2), 1.0) * existence
        areas[length] = np.dot(np.diff(np.r_[0.0, recall]), hits / predicted)
    return float(areas.mean())


def _faded(labels: Mask, truth: NDArray[np.int64], length: int) -> Array:
    """Labels with a buffer of length / 2 points on either side of each event."""
    faded = labels.astype(np.float64)
    half = length // 2
    if half:
        fall = np.sqrt(1 - np.arange(1, half + 1) / length)
        for first, last in truth:
            after = faded[last + 1 : last + 1 + half]
            after += fall[: len(after)]
            before = faded[max(0, first - half) : first]
            before += fall[: len(before)][::-1]
    return np.minimum(faded, 1.0)
