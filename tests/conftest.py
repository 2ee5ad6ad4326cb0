"""What holds for all tests: no speed of the machine fails one, and what is skipped is told."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "any-machine", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any-machine")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell what was skipped in the form that `make test` says again in its last lines."""
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        why = str(reason).removeprefix("Skipped: ")
        terminalreporter.write_line(f"NOT RUN: {report.nodeid}: {why}")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Golden files are written anew on request, to be read before they are committed."""
    parser.addoption("--update", action="store_true", help="write the golden files anew")
