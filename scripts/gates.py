"""Run the gates of `make test` concurrently, and print a summary.

Each gate is a make target. Its output is printed when it has ended, failed gates last. A line
`NOT RUN: what: why` in the output is repeated at the end, so that no omission goes unnoticed; if
`what` is the gate itself, it did not run at all.

No gate runs for ever: after its limit it is interrupted, so that tests clean up; what goes on
after that prints where it is and is ended. Its output so far is shown, and it has failed.
"""

from __future__ import annotations

import argparse
import os
import resource
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
    "end-to-end-demo",
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
_FIRST = ("end-to-end", "end-to-end-role", "end-to-end-demo")
# Seconds. The longest gate takes twelve minutes on a busy machine; CI's limit for all is 90.
_GATE_LIMIT = 1500.0
_WHOLE_LIMIT = 4500.0
_GRACE = 30.0
_ENVIRONMENT = {
    # What Python does when it is aborted is printed.
    "PYTHONFAULTHANDLER": "1",
    # One thread each: the cores are shared out already.
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    # Terraform and its provider spend a third of their time on collecting garbage otherwise.
    "GOGC": "400",
    "GOMEMLIMIT": "1536MiB",
}


@dataclass(frozen=True)
class Result:
    """How a gate ended; `left_out` has `what: why` of all that it could not check.

    `stopped`: it did not end by itself within its limit.
    """

    gate: str
    status: int
    seconds: float
    output: str
    left_out: tuple[str, ...]
    stopped: bool

    @property
    def ran(self) -> bool:
        return not any(each.startswith(f"{self.gate}: ") for each in self.left_out)

    @property
    def word(self) -> str:
        if self.status:
            return "FAILED"
        return "passed" if self.ran else "NOT RUN"


class Runner:
    """Runs gates side by side; what it started ends with it.

    Parameters
    ----------
    make : command that is given a gate. lanes : gates at a time.
    limit : seconds for each gate. whole : seconds for all, from now on.
    grace : seconds that a gate has to clean up when it is stopped.
    """

    def __init__(
        self,
        make: Sequence[str],
        lanes: int,
        limit: float = _GATE_LIMIT,
        whole: float = _WHOLE_LIMIT,
        grace: float = _GRACE,
    ) -> None:
        self._make = make
        self._lanes = lanes
        self._limit = limit
        self._until = time.monotonic() + whole
        self._grace = grace
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
        limit = max(min(self._limit, self._until - began), 0)
        stopped = False
        print(f"… {gate}", flush=True)
        with tempfile.TemporaryFile() as output:
            process = self._start(gate, output)
            try:
                status = process.wait(limit)
            except subprocess.TimeoutExpired:
                stopped = True
                self._end(process)
                status = process.wait() or 1
            finally:
                with self._lock:
                    self._running.discard(process)
            output.seek(0)
            text = output.read().decode("utf-8", "replace")
        if stopped:
            text += f"\nStopped: it did not end within {limit:.0f} s.\n"
        left_out = tuple(
            line.removeprefix(_MARK).strip() for line in text.splitlines() if line.startswith(_MARK)
        )
        return Result(gate, status, time.monotonic() - began, text, left_out, stopped)

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
            running = list(self._running)
        if running:
            with ThreadPoolExecutor(len(running)) as ends:
                list(ends.map(self._end, running))

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """End a gate and all that it started in its group."""
        for sent, seconds in (
            (signal.SIGINT, self._grace),
            (signal.SIGABRT, 5.0),
            (signal.SIGKILL, 5.0),
        ):
            if not _reached(process, sent):
                return
            until = time.monotonic() + seconds
            while time.monotonic() < until and _reached(process, 0):
                time.sleep(0.05)


def _reached(process: subprocess.Popen[bytes], sent: int) -> bool:
    """Whether anything of a process's group is left that a signal was sent to."""
    process.poll()
    try:
        os.killpg(process.pid, sent)
    except ProcessLookupError:
        return False
    return True


def _show(result: Result) -> None:
    print(f"\n== {result.gate}: {result.word}, {result.seconds:.0f} s")
    print(result.output.rstrip(), flush=True)


def summary(results: Sequence[Result], seconds: float) -> str:
    """A line for each gate, then what was left out, and all in one sentence at the end."""
    lines = [f"{each.gate:16} {each.word:8} {each.seconds:6.0f} s" for each in results]
    lines += [f"{_MARK}{each}" for result in results for each in result.left_out]
    failed = [
        f"{each.gate} (stopped after {each.seconds:.0f} s)" if each.stopped else each.gate
        for each in results
        if each.status
    ]
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
    parser.add_argument(
        "--limit", type=float, default=_GATE_LIMIT, help="seconds for each gate (%(default)g)"
    )
    parser.add_argument(
        "--whole-limit", type=float, default=_WHOLE_LIMIT, help="seconds for all (%(default)g)"
    )
    chosen = parser.parse_args()
    began = time.monotonic()
    runner = Runner(
        [chosen.make, "--no-print-directory"], chosen.lanes, chosen.limit, chosen.whole_limit
    )
    # What is aborted says where it was, and leaves nothing behind.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
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
