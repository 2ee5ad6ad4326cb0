"""Run the gates of `make test` concurrently, and print a summary.

Each gate is a make target. Its output is printed when it has ended, failed gates last. A line
`NOT RUN: what: why` in the output is repeated at the end, so that no omission goes unnoticed; if
`what` is the gate itself, it did not run at all.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[1]
_MARK = "NOT RUN: "
# Long gates first, so that all cores stay busy until the end.
QUICK = ("fmt", "lint", "package-check", "docs-check")
LONG = (
    "end-to-end",
    "end-to-end-role",
    "detector",
    "unit",
    "simulation-first",
    "simulation-second",
    "cli",
    "simulation-calls",
    "terraform-test",
    "benchmarks",
    "contract",
    "browser",
    "types",
    "checkov",
    "tflint",
    "validate",
    "newest-provider",
)
# The longest, and mostly waiting; the others give way to them.
_FIRST = ("end-to-end", "end-to-end-role")
_ENVIRONMENT = {
    # One thread each: the cores are shared out already.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # Terraform and its provider spend a third of their time on collecting garbage otherwise.
    "GOGC": "400",
    "GOMEMLIMIT": "1536MiB",
}


@dataclass(frozen=True)
class Result:
    """How a gate ended; `left_out` has `what: why` of all that it could not check."""

    gate: str
    status: int
    seconds: float
    output: str
    left_out: tuple[str, ...]

    @property
    def ran(self) -> bool:
        return not any(each.startswith(f"{self.gate}: ") for each in self.left_out)

    @property
    def word(self) -> str:
        if self.status:
            return "FAILED"
        return "passed" if self.ran else "NOT RUN"


class Runner:
    """Runs gates side by side; what it started ends with it."""

    def __init__(self, make: Sequence[str], lanes: int) -> None:
        self._make = make
        self._lanes = lanes
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()

    def run(self, gates: Sequence[str]) -> list[Result]:
        """Results in the order in which the gates ended."""
        results = []
        with ThreadPoolExecutor(self._lanes) as lanes:
            ends = [lanes.submit(self._one, gate) for gate in gates]
            try:
                for end in as_completed(ends):
                    results.append(end.result())
                    _show(results[-1])
            except BaseException:
                for each in ends:
                    each.cancel()
                self._stop()
                raise
        return results

    def _one(self, gate: str) -> Result:
        began = time.monotonic()
        print(f"… {gate}", flush=True)
        with tempfile.TemporaryFile() as output:
            process = self._start(gate, output)
            try:
                status = process.wait()
            finally:
                with self._lock:
                    self._running.discard(process)
            output.seek(0)
            text = output.read().decode("utf-8", "replace")
        left_out = tuple(
            line.removeprefix(_MARK).strip() for line in text.splitlines() if line.startswith(_MARK)
        )
        return Result(gate, status, time.monotonic() - began, text, left_out)

    def _start(self, gate: str, output: IO[bytes]) -> subprocess.Popen[bytes]:
        with self._lock:
            process = subprocess.Popen(
                [*([] if gate in _FIRST else ["nice", "-n", "5"]), *self._make, gate],
                cwd=ROOT,
                env={**os.environ, **_ENVIRONMENT},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # A group of its own, so that all it started can be ended with it.
                start_new_session=True,
            )
            self._running.add(process)
        return process

    def _stop(self) -> None:
        with self._lock:
            for process in self._running:
                os.killpg(process.pid, signal.SIGTERM)


def _show(result: Result) -> None:
    print(f"\n== {result.gate}: {result.word}, {result.seconds:.0f} s")
    print(result.output.rstrip(), flush=True)


def summary(results: Sequence[Result], seconds: float) -> str:
    """A line for each gate, then what was left out, and all in one sentence at the end."""
    lines = [f"{each.gate:16} {each.word:8} {each.seconds:6.0f} s" for each in results]
    lines += [f"{_MARK}{each}" for result in results for each in result.left_out]
    failed = [each.gate for each in results if each.status]
    idle = [each.gate for each in results if not each.status and not each.ran]
    parts = sum(len(each.left_out) for each in results if each.ran)
    said = f"{len(results) - len(failed) - len(idle)} of {len(results)} gates passed"
    said += f" in {seconds:.0f} s"
    if failed:
        said += f"; FAILED: {', '.join(failed)}"
    if idle:
        said += f"; not run: {', '.join(idle)}"
    if parts:
        said += f"; {parts} {'check' if parts == 1 else 'checks'} left out, see above"
    return "\n".join([*lines, f"{said}."])


def main() -> int:
    """Run the quick gates, then, where they pass, the long ones; exit status 1 where one fails."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("gates", nargs="*", help="gates to run (default: all)")
    parser.add_argument("--make", default="make", help="make command to use")
    lanes = (os.cpu_count() or 2) + 1  # one more, for gates that wait
    parser.add_argument("--lanes", type=int, default=lanes, help="number of concurrent gates")
    chosen = parser.parse_args()
    began = time.monotonic()
    runner = Runner([chosen.make, "--no-print-directory"], chosen.lanes)
    results: list[Result] = []
    # Where a shell starts this in the background, SIGINT is ignored from the beginning.
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.default_int_handler)
    try:
        for gates in [chosen.gates] if chosen.gates else [QUICK, LONG]:
            results += runner.run(gates)
            if any(each.status for each in results):
                break
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    print(f"\n{summary(results, time.monotonic() - began)}")
    return 1 if any(each.status for each in results) else 0


if __name__ == "__main__":
    sys.exit(main())
