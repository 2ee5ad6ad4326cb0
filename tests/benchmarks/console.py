"""What every benchmark prints: progress to stderr, tables to stdout, and results to a file."""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

BAR = 30


def say(text: str = "") -> None:
    """Write a line to stdout."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def progress(items: Iterable[Any], label: str, size: int) -> Iterator[Any]:
    """Go through the items and draw a bar on stderr: no more than one line of it is left."""
    began, terminal = time.monotonic(), sys.stderr.isatty()
    for done, item in enumerate(items, 1):
        yield item
        if terminal or done == size:
            filled = "#" * (BAR * done // max(1, size))
            passed = time.monotonic() - began
            end = "\n" if done == size else ""
            sys.stderr.write(f"\r{label:<28} [{filled:<{BAR}}] {done}/{size} {passed:.1f} s{end}")
            sys.stderr.flush()


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """The rows as a Markdown table; the columns are those of the first row."""
    if not rows:
        return "(nothing)"
    names = list(rows[0])
    cells = [names, *([_text(row.get(name)) for name in names] for row in rows)]
    width = [max(len(line[place]) for line in cells) for place in range(len(names))]
    lines = [
        "| " + " | ".join(cell.ljust(size) for cell, size in zip(line, width, strict=True)) + " |"
        for line in cells
    ]
    rule = "|" + "|".join("-" * (size + 2) for size in width) + "|"
    return "\n".join([lines[0], rule, *lines[1:]])


def _text(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        if value != value:
            return "-"
        if value and abs(value) < 0.01:
            return f"{value:.1e}"
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3f}"
    return str(value)


def arguments(about: str, seeds: Sequence[int] = ()) -> argparse.ArgumentParser:
    """The options that all benchmarks have."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--short", action="store_true", help="a part of it, in seconds")
    parser.add_argument("--json", type=Path, help="also write the result to this file")
    parser.add_argument(
        "--only", help="comma-separated names of detectors; all that are installed if not given"
    )
    if seeds:
        parser.add_argument(
            "--seeds",
            type=numbers,
            default=tuple(seeds),
            help=f"such as 1-5 or 11,12; {min(seeds)}-{max(seeds)} if not given",
        )
    return parser


def numbers(text: str) -> tuple[int, ...]:
    """Read `1-3,7` as 1, 2, 3 and 7."""
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        found.extend(range(int(first), int(last or first) + 1))
    return tuple(found)


def origin(command: str) -> str:
    """Where a result comes from: command, moment, and how busy the machine was at its end."""
    load = os.getloadavg()[0]
    return f"`{command}`, {datetime.now(UTC):%Y-%m-%d}, load {load:.1f} on {os.cpu_count()} cores"


def peak_bytes() -> int:
    """Largest resident memory of this process.

    What getrusage says on Linux is no smaller than that of the process that started this one.
    """
    status = Path("/proc/self/status")
    if not status.is_file():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # macOS: bytes
    lines = status.read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def finish(result: Mapping[str, Any], target: Path | None) -> None:
    """Print the result's tables, and write all of it where asked for."""
    for name, rows in result["tables"].items():
        say(f"\n{name}\n\n{table(rows)}")
    for note in result.get("notes", ()):
        say(f"\n{note}")
    if target is not None:
        module = f"tests.benchmarks.{Path(sys.argv[0]).stem}"
        # Where the result went is of no use to a reader.
        given = list(sys.argv[1:])
        if "--json" in given:
            at = given.index("--json")
            del given[at : at + 2]
        command = " ".join(["python -m", module, *given])
        result = {**result, "runs": [origin(command)]}
        target.write_text(json.dumps(result, indent=1, default=float) + "\n", encoding="utf-8")
