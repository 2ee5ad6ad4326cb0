"""Write a labelled series like a shop's: hourly, 3 platforms × 7 marketplaces, a year.

`python -m tests.benchmarks.reference_series series.csv.gz [--days 365] [--seed 1]`. The same seed
writes the same rows. Each leaf has a day of its own and noise within bounds; incidents of one to
six hours shift views by more than any noise, up or down, and every hour of them is labelled.
Revenue is a fixed share of views. A detector that misses one, or names another, is broken.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import io
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.unit.detection_panels import MARKETPLACES, PLATFORMS, starts

HEADER = "platform,marketplace,timestamp,views,revenue,views_label,revenue_label"
PRICE = 0.3
# About so many days lie between two incidents of a leaf.
_APART_DAYS = 8
_LONGEST_HOURS = 6


def leaf(size: int, random: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Views (T,) of one leaf by the hour, and whether an incident lies in the hour."""
    hour = np.arange(size) % 24
    level, noise = random.uniform(300, 600), random.uniform(0.005, 0.02)
    day = sum(
        swing * np.cos(2 * np.pi * wave * (hour - random.uniform(0, 24)) / 24)
        for wave, swing in ((1, random.uniform(0.3, 0.5)), (2, random.uniform(0.05, 0.2)))
    )
    views = level * (1 + day + noise * random.uniform(-1, 1, size))
    labels = np.zeros(size, dtype=np.bool_)
    begin = int(random.integers(24, 48 * _APART_DAYS))
    while begin + _LONGEST_HOURS < size:
        hours = slice(begin, begin + int(random.integers(1, _LONGEST_HOURS + 1)))
        factor = random.choice([random.uniform(0, 0.6), random.uniform(1.5, 2.5)])
        views[hours] *= factor
        labels[hours] = True
        begin += int(random.integers(48, 48 * _APART_DAYS - 48))
    return np.round(views), labels


def rows(days: int, seed: int) -> Iterator[list[str]]:
    """Rows in the order of time, as text; the header first."""
    random = np.random.default_rng(seed)
    names = [(platform, market) for platform in PLATFORMS for market in MARKETPLACES]
    leaves = [leaf(24 * days, random) for _ in names]
    yield HEADER.split(",")
    for t, moment in enumerate(starts(24 * days).astype(str)):
        for (platform, market), (views, labels) in zip(names, leaves, strict=True):
            label = str(int(labels[t]))
            value = [f"{views[t]:.0f}", f"{views[t] * PRICE:.2f}"]
            yield [platform, market, moment.replace("T", " "), *value, label, label]


def write(file: Path, days: int = 365, seed: int = 1) -> None:
    """Write the rows as compressed CSV, the same bytes for the same seed."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows(days, seed))
    file.write_bytes(gzip.compress(text.getvalue().encode(), compresslevel=1, mtime=0))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("file", type=Path, help="such as series.csv.gz")
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args()
    write(chosen.file, chosen.days, chosen.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
