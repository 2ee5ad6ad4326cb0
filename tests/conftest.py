"""What was skipped is told in a form that `make test` says again in its last lines."""

from __future__ import annotations

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        why = str(reason).removeprefix("Skipped: ")
        terminalreporter.write_line(f"NOT RUN: {report.nodeid}: {why}")
