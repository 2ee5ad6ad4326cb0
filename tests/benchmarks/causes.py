"""Causes: localisation of planted faults in cubes, beside published methods, on exact slices.

`python -m tests.benchmarks.causes [--seeds 1000-1199] [--short] [--json out]`. The cubes are those
of `cubes`: three to six dimensions, 960 to 9,600 leaves, one to three faults of one to three
dimensions; a cube for each seed and kind. Peers are own implementations of the published methods
(`cause_peers`), with the constants of their papers.

*ours* is `events.cause`, as the detector calls it for an event, but without the usual variance of
each leaf, which the detector knows: all get the same numbers, actual and expected, of one moment.
A slice is found if a slice with exactly its leaves is named. F1 is of all slices of all cubes.
Seeds below 1000 served to make the method, those from 1000 on did not.

*time* is CPU time of a case on one core. The last table is the largest case: ten dimensions and
10,000 leaves, of which no combination occurs twice, and three faults of two and three dimensions.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from anomaly_detector.events.cause import Leaves, causes

from tests.benchmarks import console
from tests.benchmarks.cause_peers import PEERS
from tests.benchmarks.cubes import KINDS, Cube, Slice, cubes

SEEDS = tuple(range(1000, 1200))
SHORT_SEEDS = tuple(range(1000, 1012))
OURS = "ours"
LARGE_DIMENSIONS, LARGE_LEAVES = 10, 10_000


@dataclass
class Tally:
    """Slices found, named in vain, and missed; seconds of each case."""

    tp: int = 0
    fp: int = 0
    fn: int = 0
    seconds: list[float] = field(default_factory=list)

    @property
    def f1(self) -> float:
        return 2 * self.tp / max(1, 2 * self.tp + self.fp + self.fn)

    def add(self, cube: Cube, named: Iterable[Slice], seconds: float) -> None:
        found = {cube.held(name).tobytes() for name in named}
        planted = {held.tobytes() for held in cube.faults}
        self.tp += len(found & planted)
        self.fp += len(found - planted)
        self.fn += len(planted - found)
        self.seconds.append(seconds)


def ours(cube: Cube) -> list[Slice]:
    """As the detector localises an event."""
    change = float((cube.actual - cube.usual).sum())
    return list(causes(Leaves(cube.codes, cube.actual, cube.usual), 1 if change > 0 else -1))


DETECTORS: dict[str, Callable[[Cube], list[Slice]]] = {OURS: ours, **PEERS}


def judge(kind: str, seeds: Sequence[int]) -> dict[str, Tally]:
    """What each detector makes of the cubes of a kind."""
    tallies = {name: Tally() for name in DETECTORS}
    for cube in cubes(KINDS[kind], seeds):
        for name, detector in DETECTORS.items():
            began = time.process_time()
            named = detector(cube)
            tallies[name].add(cube, named, time.process_time() - began)
    return tallies


def large(vary: int) -> tuple[float, int, int]:
    """CPU seconds of the largest case, and how many of its faults are named, and other slices."""
    random = np.random.default_rng((vary, 10))
    codes = np.unique(random.integers(0, 4 + vary, (3 * LARGE_LEAVES, LARGE_DIMENSIONS)), axis=0)
    codes = codes[random.permutation(len(codes))[:LARGE_LEAVES]]
    expected = random.weibull(0.7, len(codes)) * 100
    actual = expected * np.maximum(0.0, random.normal(1, 0.1, len(codes)))
    planted = set()
    for axes in ((0, 1), (2, 3), (4, 5, 6)):
        name = np.full(LARGE_DIMENSIONS, -1)
        name[list(axes)] = codes[int(random.integers(len(codes))), list(axes)]
        held = ((name < 0) | (codes == name)).all(axis=1)
        actual = np.where(held, 0.4 * actual, actual)
        planted.add(tuple(name.tolist()))
    began = time.process_time()
    named = set(causes(Leaves(codes, actual, expected), -1))
    return time.process_time() - began, len(named & planted), len(named - planted)


def run(seeds: Sequence[int] = SEEDS) -> dict[str, Any]:
    """Tables of F1 by kind, and of time."""
    rows: list[dict[str, Any]] = []
    both = {quality: {name: Tally() for name in DETECTORS} for quality in ("clean", "noisy")}
    cases: dict[str, list[float]] = {name: [] for name in DETECTORS}
    for kind in console.progress(KINDS, "causes", len(KINDS)):
        tallies = judge(kind, seeds)
        rows.append({"cubes": kind} | {name: one.f1 for name, one in tallies.items()})
        for name, one in tallies.items():
            whole = both[kind.partition(",")[0]][name]
            whole.tp, whole.fp, whole.fn = whole.tp + one.tp, whole.fp + one.fp, whole.fn + one.fn
            cases[name] += one.seconds
    rows += [
        {"cubes": f"all {quality}"} | {name: one.f1 for name, one in of.items()}
        for quality, of in both.items()
    ]
    times = [
        {
            "detector": name,
            "median ms": 1000 * float(np.median(own)),
            "99 % ms": 1000 * float(np.quantile(own, 0.99)),
            "longest ms": 1000 * max(own),
        }
        for name, own in cases.items()
    ]
    big = [
        {
            "values a dimension": 4 + vary,
            "s": found[0],
            "faults found of 3": found[1],
            "others named": found[2],
        }
        for vary in range(0, 10, 2)
        for found in [large(vary)]
    ]
    return {
        "benchmark": "causes",
        "tables": {
            f"F1 on exact slices, {len(seeds)} cubes of each kind": rows,
            "CPU time of a case, all kinds": times,
            f"{LARGE_DIMENSIONS} dimensions, {LARGE_LEAVES:,} leaves": big,
        },
        "notes": [],
    }


def main() -> int:
    parser = console.arguments(__doc__.partition("\n")[0], SEEDS)
    chosen = parser.parse_args()
    console.finish(run(SHORT_SEEDS if chosen.short else chosen.seeds), chosen.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
