"""Attack the detector in simulated runs, and compare each with a clean run."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from tests.simulation.attacks import ATTACKS, drawn
from tests.simulation.oracle import forget, problems, shrunk
from tests.simulation.shop import KINDS

# Characters of a difference that are shown.
_LINE = 600
# Runs that share what is kept: memory grows with them.
_MOST = 120


def _seeds(text: str) -> list[int]:
    first, _, last = text.partition("-")
    return list(range(int(first), int(last or first) + 1))


def _some(seeds: list[int], intervals: int, names: tuple[str, ...]) -> list[dict[str, Any]]:
    """Runs of one kind of detector, which have clean runs and pure answers in common."""
    logging.disable(logging.CRITICAL)
    forget()
    return [_one(seed, intervals, names) for seed in seeds]


def _one(seed: int, intervals: int, names: tuple[str, ...]) -> dict[str, Any]:
    began = time.process_time()
    plan = drawn(seed, intervals, names)
    found = problems(plan)
    return {
        "seed": seed,
        "seconds": round(time.process_time() - began, 2),
        "plan": asdict(plan),
        "problems": found,
    }


def main() -> int:
    """Run the seeds; exit status 1 where one fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=_seeds, default=_seeds("0-199"), help="such as 0-199")
    parser.add_argument("--intervals", type=int, default=60, help="intervals of a run")
    parser.add_argument("--only", type=lambda text: tuple(text.split(",")), help=", ".join(ATTACKS))
    parser.add_argument(
        "--without", type=lambda text: tuple(text.split(",")), default=(), help="attacks left out"
    )
    parser.add_argument("--shard", default="1/1", help="such as 1/2: the first half of the seeds")
    parser.add_argument("--jobs", type=int, default=1, help="processes")
    parser.add_argument("--json", type=Path, help="write the results to a file")
    parser.add_argument("--no-shrinking", action="store_true", help="print failing seeds as drawn")
    chosen = parser.parse_args()
    names = tuple(one for one in chosen.only or ATTACKS if one not in chosen.without)
    unknown = {*names, *chosen.without} - {*ATTACKS}
    if unknown:
        parser.error(f"unknown attacks: {', '.join(sorted(unknown))}; known: {', '.join(ATTACKS)}")
    shard, shards = map(int, chosen.shard.split("/"))
    # Neighbouring seeds are of other kinds of detectors.
    of_kinds = [
        [seed for seed in chosen.seeds if seed % len(KINDS) == kind]
        for kind in range(shard - 1, len(KINDS), shards)
    ]
    parts = [
        seeds[first : first + _MOST] for seeds in of_kinds for first in range(0, len(seeds), _MOST)
    ]
    began = time.monotonic()
    run = partial(_some, intervals=chosen.intervals, names=names)
    if chosen.jobs > 1:
        with ProcessPoolExecutor(chosen.jobs, get_context("spawn")) as workers:
            done = list(workers.map(run, parts))
    else:
        done = [run(part) for part in parts]
    results = sorted((one for part in done for one in part), key=lambda one: one["seed"])
    failed = [one for one in results if one["problems"]]
    for one in failed:
        _show(one["seed"], chosen.intervals, names, shrink=not chosen.no_shrinking)
    if chosen.json:
        chosen.json.write_text(json.dumps(results, indent=1), encoding="utf-8")
    seconds = time.monotonic() - began
    print(f"{len(results) - len(failed)} of {len(results)} runs passed in {seconds:.0f} s.")
    return 1 if failed else 0


def _show(seed: int, intervals: int, names: tuple[str, ...], *, shrink: bool) -> None:
    plan = drawn(seed, intervals, names)
    if shrink:
        plan = shrunk(plan)
    print(f"seed {seed} ({plan.kind}, {plan.intervals} intervals, table {plan.table}):")
    for attack in plan.attacks:
        print(f"  attack  {attack}")
    found = problems(plan)
    for line in found[:12]:
        print(f"  FAILED  {line[:_LINE]}")
    if len(found) > 12:
        print(f"  … and {len(found) - 12} more")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
