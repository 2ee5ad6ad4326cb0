"""Reference e-commerce series: precision and recall over the newest 30 %.

`python -m tests.benchmarks.reference [--short] [--json out]`. One series is generated
(`reference_series.py`), one is public. The detector is trained on the first 70 %; every row of the
rest is judged: anomalous at severity 50 or more, against its label. Both series are easy: less than
1.00 is a defect, 1.00 proves little.
"""

from __future__ import annotations

import csv
import gzip
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from anomaly_detector.detection import THRESHOLD_SEVERITY
from anomaly_detector.panel import Panel
from anomaly_detector.replay import replay
from anomaly_detector.snapshot import Snapshot
from numpy.typing import NDArray

from tests.benchmarks import console, reference_series
from tests.benchmarks.corpora import folder
from tests.unit.detection_panels import DIMENSIONS, settings

MEASURES = ("views", "revenue")
TRAINED = 0.7


def public() -> Path:
    """The public series.

    Raises
    ------
    FileNotFoundError
        If the data is not available.
    """
    place = folder("ecommerce/label.csv.gz")
    if place is None:
        raise FileNotFoundError(
            "The public reference series was not found: put it at "
            "shared/data/ecommerce/label.csv.gz, in a folder beside the checkout."
        )
    return place


def load(place: Path) -> tuple[Panel, NDArray[np.bool_]]:
    """The leaves as a panel, and the labels (T, M, K)."""
    with gzip.open(place, "rt", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    times = {text: index for index, text in enumerate(sorted({row["timestamp"] for row in rows}))}
    leaves = sorted({(row["platform"], row["marketplace"]) for row in rows})
    at = {leaf: index for index, leaf in enumerate(leaves)}
    values = np.full((len(times), len(MEASURES), len(leaves)), np.nan)
    labels = np.zeros(values.shape, dtype=np.bool_)
    for row in rows:
        k, t = at[row["platform"], row["marketplace"]], times[row["timestamp"]]
        for m, measure in enumerate(MEASURES):
            values[t, m, k] = float(row[measure])
            labels[t, m, k] = row[f"{measure}_label"] == "1"
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
    scores = replay(chosen, Snapshot.initial(chosen), whole, score_from=whole.starts[first]).scores
    assert scores.slices.tolist() == whole.slices.tolist()
    rows = []
    for m, measure in enumerate(MEASURES):
        found, planted = scores.severity[:, m] >= THRESHOLD_SEVERITY, labels[first:, m]
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
    """A table for each series, and a note where the public one is not at hand."""
    tables, notes = {}, []
    with tempfile.TemporaryDirectory() as scratch:
        made = Path(scratch) / "series.csv.gz"
        reference_series.write(made)
        places = {"generated": made}
        try:
            places["public"] = public()
        except FileNotFoundError as error:
            notes.append(f"{error}.")
        for name, place in places.items():
            whole, labels = load(place)
            title = f"{name}: {len(whole.slices)} leaves, newest {1 - TRAINED:.0%} scored"
            tables[title] = judge(whole, labels)
    return {"benchmark": "reference", "tables": tables, "notes": notes}


def main() -> int:
    chosen = console.arguments(__doc__.partition("\n")[0]).parse_args()
    console.finish(run(), chosen.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
