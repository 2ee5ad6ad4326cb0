"""The reference e-commerce series: all labels of the newest 30 % are found, and nothing else."""

from __future__ import annotations

import csv
import gzip
from pathlib import Path

import numpy as np
import pytest
from anomaly_detector.detection import THRESHOLD_SEVERITY, initial_state, replay
from anomaly_detector.panel import Panel
from numpy.typing import NDArray

from tests.unit.detection_panels import DIMENSIONS, settings

MEASURES = ("views", "revenue")
TRAINED = 0.7


def _data() -> Path:
    """The data lies beside the checkout, in `shared/`; it is no part of the repository."""
    for folder in Path(__file__).resolve().parents:
        found = folder / "shared" / "data" / "ecommerce" / "label.csv.gz"
        if found.is_file():
            return found
    pytest.skip(
        "the reference series is not at hand: it is read from shared/data/ecommerce/label.csv.gz, "
        "in a folder beside the checkout"
    )


@pytest.fixture(scope="module")
def reference() -> tuple[Panel, NDArray[np.bool_]]:
    """The leaves as a panel, and the labels (K, M, T)."""
    with gzip.open(_data(), "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    times = {text: index for index, text in enumerate(sorted({row["timestamp"] for row in rows}))}
    leaves = sorted({(row["platform"], row["marketplace"]) for row in rows})
    place = {leaf: index for index, leaf in enumerate(leaves)}
    values = np.full((len(leaves), len(MEASURES), len(times)), np.nan)
    labels = np.zeros(values.shape, dtype=np.bool_)
    for row in rows:
        k, t = place[row["platform"], row["marketplace"]], times[row["timestamp"]]
        for m, measure in enumerate(MEASURES):
            values[k, m, t] = float(row[measure])
            labels[k, m, t] = row[f"{measure}_label"] == "1"
    starts = np.array([text.replace(" ", "T") for text in times], dtype="datetime64[s]")
    counts = np.isfinite(values).astype(np.float64)
    return Panel(
        starts, DIMENSIONS, np.array(leaves, dtype=object), MEASURES, values, counts
    ), labels


def test_precision_and_recall_of_the_newest_thirty_percent_are_one(
    reference: tuple[Panel, NDArray[np.bool_]],
) -> None:
    whole, labels = reference
    chosen = settings(
        measures={name: {} for name in MEASURES}, dimensions=DIMENSIONS, false_events_per_week=1
    )
    first = int(len(whole.starts) * TRAINED)

    scores = replay(chosen, initial_state(chosen), whole, score_from=whole.starts[first]).scores

    assert scores.slices.tolist() == whole.slices.tolist()
    for m, measure in enumerate(MEASURES):
        found = scores.severity[:, m] >= THRESHOLD_SEVERITY
        planted = labels[:, m, first:]
        right = int((found & planted).sum())
        assert (right / found.sum(), right / planted.sum()) == (1.0, 1.0), measure
