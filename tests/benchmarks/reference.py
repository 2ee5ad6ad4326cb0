"""The reference e-commerce series: precision and recall over the newest 30 %.

`python -m tests.benchmarks.reference [--short] [--json out]`. The detector learns the first 70 %,
and each row of the rest counts: flagged at severity 50 or more, against its label. It is easy (see
the data's README): less than 1.00 is a fault, 1.00 proves little.
"""

from __future__ import annotations

import csv
import gzip
import sys
from typing import Any

import numpy as np
from anomaly_detector.detection import THRESHOLD_SEVERITY, initial_state, replay
from anomaly_detector.panel import Panel
from numpy.typing import NDArray

from tests.benchmarks import console
from tests.benchmarks.corpora import folder
from tests.unit.detection_panels import DIMENSIONS, settings

MEASURES = ("views", "revenue")
TRAINED = 0.7


def load() -> tuple[Panel, NDArray[np.bool_]]:
    """The leaves as a panel, and the labels (K, M, T).

    Raises
    ------
    FileNotFoundError
        Where the data is not at hand.
    """
    place = folder("ecommerce/label.csv.gz")
    if place is None:
        raise FileNotFoundError(
            "the reference series is not at hand: it is read from "
            "shared/data/ecommerce/label.csv.gz, in a folder beside the checkout"
        )
    with gzip.open(place, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    times = {text: index for index, text in enumerate(sorted({row["timestamp"] for row in rows}))}
    leaves = sorted({(row["platform"], row["marketplace"]) for row in rows})
    at = {leaf: index for index, leaf in enumerate(leaves)}
    values = np.full((len(leaves), len(MEASURES), len(times)), np.nan)
    labels = np.zeros(values.shape, dtype=np.bool_)
    for row in rows:
        k, t = at[row["platform"], row["marketplace"]], times[row["timestamp"]]
        for m, measure in enumerate(MEASURES):
            values[k, m, t] = float(row[measure])
            labels[k, m, t] = row[f"{measure}_label"] == "1"
    starts = np.array([text.replace(" ", "T") for text in times], dtype="datetime64[s]")
    counts = np.isfinite(values).astype(np.float64)
    slices = np.array(leaves, dtype=object)
    return Panel(starts, DIMENSIONS, slices, MEASURES, values, counts), labels


def judge(whole: Panel, labels: NDArray[np.bool_]) -> list[dict[str, Any]]:
    """One row per measure."""
    chosen = settings(
        measures={name: {} for name in MEASURES}, dimensions=DIMENSIONS, false_events_per_week=1
    )
    first = int(len(whole.starts) * TRAINED)
    scores = replay(chosen, initial_state(chosen), whole, score_from=whole.starts[first]).scores
    assert scores.slices.tolist() == whole.slices.tolist()
    rows = []
    for m, measure in enumerate(MEASURES):
        found, planted = scores.severity[:, m] >= THRESHOLD_SEVERITY, labels[:, m, first:]
        right = int((found & planted).sum())
        rows.append(
            {
                "measure": measure,
                "precision": right / max(1, int(found.sum())),
                "recall": right / max(1, int(planted.sum())),
                "labelled": int(planted.sum()),
                "flagged": int(found.sum()),
            }
        )
    return rows


def run() -> dict[str, Any]:
    """The table, or a note where the data is not at hand."""
    try:
        whole, labels = load()
    except FileNotFoundError as error:
        return {"benchmark": "reference", "tables": {}, "notes": [f"{error}."]}
    title = f"reference: {labels[:, 0].shape[0]} leaves, newest {1 - TRAINED:.0%} scored"
    return {"benchmark": "reference", "tables": {title: judge(whole, labels)}, "notes": []}


def main() -> int:
    chosen = console.arguments(__doc__.partition("\n")[0]).parse_args()
    console.finish(run(), chosen.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
