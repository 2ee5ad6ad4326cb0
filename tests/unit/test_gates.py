"""`make test`: gates side by side, each ending seen, nothing left out unsaid."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts import gates

ROOT = Path(__file__).resolve().parents[2]
MAKE = """
good:
	@echo fine
bad:
	@echo wrong; exit 3
idle:
	@echo "NOT RUN: idle: nobody has installed it."
part:
	@echo "NOT RUN: tests/a.py::test_b: no corpus."
slow:
	@echo $$$$ > pid; exec sleep 600
"""


@pytest.fixture
def make(tmp_path: Path) -> list[str]:
    (tmp_path / "Makefile").write_text(MAKE)
    return ["make", "--no-print-directory", "-C", str(tmp_path)]


def test_every_ending_is_told_and_the_last_line_sums_up(make: list[str]) -> None:
    results = gates.Runner(make, 2).run(["good", "bad", "idle", "part"])

    assert {each.gate: each.word for each in results} == {
        "good": "passed",
        "bad": "FAILED",
        "idle": "NOT RUN",
        "part": "passed",
    }
    *lines, last = gates.summary(results, 61).splitlines()
    assert "NOT RUN: idle: nobody has installed it." in lines
    assert "NOT RUN: tests/a.py::test_b: no corpus." in lines
    assert last == (
        "2 of 4 gates passed in 61 s; FAILED: bad; not run: idle; 1 check left out, see above."
    )


def test_gates_run_side_by_side(make: list[str], tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text(
        "one:\n\t@touch one; until test -e two; do sleep 0.05; done\n"
        "two:\n\t@touch two; until test -e one; do sleep 0.05; done\n"
    )

    results = gates.Runner(make, 2).run(["one", "two"])

    assert [each.status for each in results] == [0, 0]


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_what_was_started_ends_with_an_interrupt(
    make: list[str], tmp_path: Path, sent: signal.Signals
) -> None:
    wrapper = tmp_path / "make"
    wrapper.write_text(f'#!/bin/sh\nexec {" ".join(make)} "$2"\n')
    wrapper.chmod(0o755)
    running = subprocess.Popen(
        # As a shell starts it in the background: with SIGINT ignored.
        [
            *("sh", "-c", 'trap "" INT; exec "$@"', "sh"),
            *(sys.executable, "-m", "scripts.gates", "slow", "--make", str(wrapper)),
        ],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while not (tmp_path / "pid").is_file() or not (tmp_path / "pid").read_text().strip():
        time.sleep(0.05)
    child = int((tmp_path / "pid").read_text())

    running.send_signal(sent)
    said, _ = running.communicate(timeout=300)

    assert running.returncode == 130
    assert "Interrupted." in said
    while _alive(child):
        time.sleep(0.05)


def test_a_gate_that_does_not_end_is_stopped_shown_and_has_failed(
    make: list[str], tmp_path: Path
) -> None:
    began = time.monotonic()

    results = gates.Runner(make, 2, limit=5).run(["slow", "good"])

    # Long before it would have ended.
    assert time.monotonic() - began < 300
    stopped = next(each for each in results if each.gate == "slow")
    assert (stopped.word, stopped.stopped) == ("FAILED", True)
    assert stopped.status != 0
    assert "Stopped: it did not end within 5 s." in stopped.output
    assert not _alive(int((tmp_path / "pid").read_text()))
    assert re.search(
        r"1 of 2 gates passed in 61 s; FAILED: slow \(stopped after \d+ s\)\.$",
        gates.summary(results, 61),
    )


def test_what_ignores_an_interrupt_says_where_it_is_and_ends(
    make: list[str], tmp_path: Path
) -> None:
    (tmp_path / "endless.py").write_text(
        "import signal, time\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "def never_ends():\n"
        "    print('begun', flush=True)\n"
        "    while True: time.sleep(0.01)\n"
        "never_ends()\n"
    )
    (tmp_path / "Makefile").write_text(f"endless:\n\t@{sys.executable} endless.py\n")

    (result,) = gates.Runner(make, 1, limit=5, grace=0.5).run(["endless"])

    assert (result.word, result.stopped) == ("FAILED", True)
    assert result.output.startswith("begun")
    assert "in never_ends" in result.output


def test_what_begins_when_the_time_for_all_is_over_is_stopped_too(make: list[str]) -> None:
    (result,) = gates.Runner(make, 1, whole=0).run(["slow"])

    assert (result.word, result.stopped) == ("FAILED", True)


def test_no_test_runs_for_ever(pytestconfig: pytest.Config) -> None:
    assert 0 < float(pytestconfig.getini("timeout")) <= 300


def _alive(pid: int) -> bool:
    """Whether a process runs; one that has ended may wait for its parent to notice."""
    answer = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True)
    return answer.stdout.strip()[:1] not in ("", "Z")


def test_every_gate_is_a_target_and_all_tests_belong_to_one() -> None:
    text = (ROOT / "Makefile").read_text()
    targets = dict(re.findall(r"^([a-z-]+):[^\n]*\n((?:\t[^\n]*\n)*)", text, re.MULTILINE))

    assert set(gates.QUICK + gates.LONG) <= set(targets)
    run = " ".join(targets[each] for each in gates.QUICK + gates.LONG)
    folders = {each.parent.name for each in (ROOT / "tests").glob("*/test_*.py")}
    assert folders
    assert {each for each in folders if f"tests/{each}" not in run} == set()
