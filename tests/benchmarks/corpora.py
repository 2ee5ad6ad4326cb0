"""The public series of `shared/data`, each put on its own grid."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from anomaly_detector.config import IntervalName
from anomaly_detector.intervals import SECONDS
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Series:
    """One labelled series.

    Attributes
    ----------
    interval : its own usual distance of points, at least PT5M, the shortest that is known.
    starts : (T,) datetime64[s], every interval from the first to the last.
    values : (T,) float64, NaN where the file has no row; the mean where it has several.
    labels : (T,) bool, whether the interval lies in an anomaly.
    """

    name: str
    interval: IntervalName
    starts: NDArray[np.datetime64]
    values: Array
    labels: Mask


def folder(name: str = "") -> Path | None:
    """The data beside the checkout, in `shared/`; it is no part of the repository."""
    for above in Path(__file__).resolve().parents:
        found = above / "shared" / "data"
        if found.is_dir():
            return found / name if (found / name).exists() else None
    return None


def load(corpus: str) -> list[Series]:
    """All series of `nab` or `cloud_monitoring`, by name.

    Raises
    ------
    FileNotFoundError
        Where the data is not at hand.
    """
    place = folder(corpus)
    if place is None:
        raise FileNotFoundError(f"shared/data/{corpus} is not in a folder beside the checkout")
    return list(_nab(place) if corpus == "nab" else _cloud(place))


def _nab(place: Path) -> Iterator[Series]:
    windows = json.loads((place / "combined_windows.json").read_text(encoding="utf-8"))
    for file in sorted(place.glob("*/*.csv")):
        moments, values = _columns(file)[:2]
        inside = np.zeros(len(moments), dtype=np.bool_)
        for begin, end in windows[f"{file.parent.name}/{file.name}"]:
            inside |= (moments >= _moment(begin)) & (moments <= _moment(end))
        yield _on_grid(file.stem, moments, values, inside)


def _cloud(place: Path) -> Iterator[Series]:
    for file in sorted(place.glob("*/*.csv")):
        moments, values, labels = _columns(file)
        yield _on_grid(file.stem, moments, values, labels > 0)


def _columns(file: Path) -> tuple[NDArray[np.datetime64], Array, Array]:
    with file.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.reader(lines))[1:]
    moments = np.array([_moment(row[0]) for row in rows])
    values = np.array([float(row[1]) if row[1].strip() else np.nan for row in rows])
    labels = np.array([float(row[2]) if len(row) > 2 else 0.0 for row in rows])
    return moments, values, labels


def _moment(text: str) -> np.datetime64:
    return np.datetime64(text.strip().replace(" ", "T").removesuffix("Z"), "s")


def _on_grid(name: str, moments: NDArray[np.datetime64], values: Array, labels: Mask) -> Series:
    """Floor each row to the usual distance of rows; average what falls together."""
    seconds = moments.astype(np.int64)
    steps = np.diff(np.unique(seconds))
    usual = int(np.bincount(steps).argmax())
    interval = min(SECONDS, key=lambda known: (SECONDS[known] < usual, abs(SECONDS[known] - usual)))
    size = SECONDS[interval]
    slots = seconds // size
    place = slots - slots.min()
    length = int(place.max()) + 1
    known = np.isfinite(values)
    rows = np.bincount(place, known, length)
    sums = np.bincount(place, np.where(known, values, 0.0), length)
    mean = np.where(rows > 0, sums / np.maximum(rows, 1), np.nan)
    marked = np.bincount(place, labels, length) > 0
    # A gap inside an anomaly is part of it: else one event would count as two.
    gap = np.bincount(place, minlength=length) == 0
    since = np.maximum.accumulate(np.where(~gap, np.arange(length), 0))
    until = np.minimum.accumulate(np.where(~gap, np.arange(length), length - 1)[::-1])[::-1]
    marked |= gap & marked[since] & marked[until]
    starts = (slots.min() + np.arange(length)) * size
    return Series(name, interval, starts.astype("datetime64[s]"), mean, marked)
