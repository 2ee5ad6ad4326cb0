"""Bands: the share of normal values between the bounds, and whether faults lie outside of them.

`python -m tests.benchmarks.bands [--seeds 31-33] [--short] [--json out]`. Bounds are the band in
which 99 % of normal values lie. It is measured on the noises of `calibration`, 50 series each, and
on fault-free shops, per size of the expected value; only values of known bounds count. *Width* is
the mean width of the band in mean |deviations| from the expectation: 99 % of a normal distribution
lie within 6.5 of them.

On shops with faults: the share of the faults of which at least one value of their slice lies
outside of its band, on the side of the fault or not, and of which one is *flagged*, by severity 50.
*Visible* faults as in `worlds`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
from anomaly_detector.detection import DetectorSettings
from anomaly_detector.panel import Panel, Scores
from anomaly_detector.replay import replay
from anomaly_detector.snapshot import Snapshot
from numpy.typing import NDArray

from tests.benchmarks import calibration, console
from tests.benchmarks.ground_truth import Simulated
from tests.benchmarks.judging import against_bands
from tests.benchmarks.shop_generator import generate

SEEDS = (31, 32, 33)
NOMINAL = 1e-3
SIZES = ((0.0, 0.1), (0.1, 1.0), (1.0, 10.0), (10.0, np.inf))
SHORT: dict[str, int] = {"train_weeks": 6, "weeks": 4, "per_kind": 1}

Mask = NDArray[np.bool_]


def coverage(name: str, scores: Scores, normal: Mask | None = None) -> dict[str, Any]:
    """One row: how many of the values with known bounds lie where.

    Parameters
    ----------
    normal : (T, M, K) values that count; all if not given.
    """
    known = np.isfinite(scores.actual) & np.isfinite(scores.lower)
    if normal is not None:
        known &= normal
    actual, lower, upper = (one[known] for one in (scores.actual, scores.lower, scores.upper))
    away = np.abs(actual - scores.expected[known]).mean() if known.any() else np.nan
    below, above = (actual < lower).mean(), (actual > upper).mean()
    return {
        "values": name,
        "number": int(known.sum()),
        "inside": float(1 - below - above),
        "below": float(below),
        "above": float(above),
        "width": float((upper - lower).mean() / max(away, 1e-300)),
    }


def by_size(name: str, scores: Scores) -> list[dict[str, Any]]:
    """A row per measure and usual size of a series: sparse series are a kind of their own."""
    size = np.nanmean(np.where(np.isfinite(scores.expected), np.abs(scores.expected), np.nan), 0)
    rows = []
    for m, measure in enumerate(scores.measures):
        for low, high in SIZES:
            held = np.zeros(scores.actual.shape, dtype=np.bool_)
            held[:, m] = (size[m] >= low) & (size[m] < high)
            if (held & np.isfinite(scores.lower)).any():
                rows.append(coverage(f"{name}, {measure} {low:g} to {high:g}", scores, held))
    return rows


def faults(shop: Simulated, scores: Scores) -> dict[str, Any]:
    """One row: faults whose slice has a value outside of its band, and one that is flagged."""
    places = {tuple(key): place for place, key in enumerate(scores.slices.tolist())}
    _, outside = against_bands(shop, scores)
    found = []
    for truth in shop.truths:
        if truth.where not in places:
            continue
        at = (
            slice(truth.begin - shop.first, truth.end - shop.first),
            scores.measures.index(truth.measure),
            places[truth.where],
        )
        found.append((truth.visible, outside[at].any(), scores.anomalous[at].any()))
    told = np.array(found, dtype=np.bool_).reshape(-1, 3)
    visible = told[told[:, 0]]
    return {
        "shop": f"seed {shop.seed}",
        "faults": len(told),
        "outside": float(told[:, 1].mean()),
        "flagged": float(told[:, 2].mean()),
        "visible": len(visible),
        "visible outside": float(visible[:, 1].mean()),
        "visible flagged": float(visible[:, 2].mean()),
    }


def run(seeds: Sequence[int] = SEEDS, *, short: bool = False) -> dict[str, Any]:
    """Tables of the noises, of fault-free shops, and of faults."""
    scored = 4 * calibration.WEEK if short else calibration.SCORED
    noises = []
    for name in console.progress(calibration.NOISES, "noise", len(calibration.NOISES)):
        aggregation, noise = calibration.NOISES[name]
        values = noise(
            np.random.default_rng([seeds[0], 9]),
            (calibration.SERIES, calibration.LEARNT + scored),
        )
        settings, panel = calibration.posed(aggregation, values, NOMINAL)
        noises.append(coverage(name, _scores(settings, panel, calibration.LEARNT)))
    calm, told = [], []
    for seed in console.progress(seeds, "shop", len(seeds)):
        sizes: dict[str, Any] = SHORT if short else {}
        clean = generate(seed, faults=False, **sizes)
        scores = _scores(clean.settings, clean.panel, clean.first)
        calm += [coverage(f"seed {seed}", scores), *by_size(f"seed {seed}", scores)]
        faulty = generate(seed, **sizes)
        told.append(faults(faulty, _scores(faulty.settings, faulty.panel, faulty.first)))
    tables = {"noise": noises, "shops without faults": calm, "faults": told}
    return {"benchmark": "bands", "tables": tables, "notes": []}


def _scores(settings: DetectorSettings, panel: Panel, first: int) -> Scores:
    return replay(
        settings, Snapshot.initial(settings), panel, score_from=panel.starts[first]
    ).scores


def main() -> int:
    chosen = console.arguments(__doc__.partition("\n")[0], SEEDS).parse_args()
    seeds = chosen.seeds[:1] if chosen.short else chosen.seeds
    console.finish(run(seeds, short=chosen.short), chosen.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
