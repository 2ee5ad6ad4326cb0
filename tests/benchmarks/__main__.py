"""Run all benchmarks and write `docs/benchmarks.md`; `make bench` runs this.

`python -m tests.benchmarks [--out docs/benchmarks.md] [--results DIR] [--date 2026-01-31]`. With
`--results` each result is stored there as JSON, and a benchmark whose result exists is not run
again. The summary and the end of the document stay as people have written them: the figures that
matter, and what is still lost.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any

from tests.benchmarks import (
    bands,
    calibration,
    causes,
    console,
    public,
    reference,
    speed,
    world_peers,
    worlds,
)

BENCHES: dict[str, Callable[[], dict[str, Any]]] = {
    "reference": reference.run,
    "public": public.run,
    "worlds": partial(worlds.run, budgets=worlds.BUDGETS),
    "world_peers": world_peers.run,
    "causes": causes.run,
    "bands": bands.run,
    "calibration": calibration.run,
    "speed": speed.run,
}
SUMMARY = "## In short"
REMARKS = "## Still lost"
_ABOUT = {
    "reference": reference,
    "public": public,
    "worlds": worlds,
    "world_peers": world_peers,
    "causes": causes,
    "bands": bands,
    "calibration": calibration,
    "speed": speed,
}


def report(results: dict[str, dict[str, Any]], date: str, before: str) -> str:
    """The document: what was run, where, every table; summary and remarks of the one `before`."""
    packages = []
    for package in ("numpy", "krcf", "scikit-learn"):
        try:
            packages.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            packages.append(f"{package} not installed")
    parts = [
        "# Benchmarks",
        (
            f"Compiled on {date} with {os.cpu_count()} cores ({platform.machine()}), "
            f"Python {platform.python_version()}, {', '.join(packages)}. Each section names the "
            "run or runs that its tables come from. `make bench` repeats all of them."
        ),
        "".join(before.partition(SUMMARY)[1:]).partition("\n## ")[0].strip(),
    ]
    for name, result in results.items():
        about = (_ABOUT[name].__doc__ or "").strip()
        title, _, rest = about.partition("\n")
        parts += [
            f"## {name.replace('_', ' ').capitalize()}",
            title,
            rest.strip().replace(" x ", " × "),
        ]
        parts.append("Measured by " + "; ".join(result.get("runs", ["an unknown run"])))
        for heading, rows in result["tables"].items():
            parts += [f"### {heading}", console.table(rows)]
        parts += list(result.get("notes", ()))
    parts.append("".join(before.partition(REMARKS)[1:]).strip())
    return "\n\n".join(part for part in parts if part) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("docs/benchmarks.md"))
    parser.add_argument("--results", type=Path, help="folder of JSON files, kept and reused")
    parser.add_argument("--date", help="of the run; today's if not given")
    chosen = parser.parse_args()
    results: dict[str, dict[str, Any]] = {}
    for name, bench in BENCHES.items():
        kept = chosen.results / f"{name}.json" if chosen.results else None
        if kept and kept.is_file():
            results[name] = json.loads(kept.read_text(encoding="utf-8"))
            continue
        console.say(f"\n{name}")
        found = bench()
        results[name] = {**found, "runs": [console.origin("make bench")]}
        console.finish(results[name], None)
        if kept:
            kept.parent.mkdir(parents=True, exist_ok=True)
            kept.write_text(json.dumps(results[name], default=float), encoding="utf-8")
    date = chosen.date or f"{datetime.now(UTC):%Y-%m-%d}"
    before = chosen.out.read_text(encoding="utf-8") if chosen.out.is_file() else ""
    chosen.out.write_text(report(results, date, before), encoding="utf-8")
    console.say(f"\nWritten: {chosen.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
