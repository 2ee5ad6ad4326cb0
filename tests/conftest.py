"""What holds for all tests: no speed of the machine fails one, and what is skipped is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "any-machine", settings(), deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any-machine")

# Seconds for a test with its fixtures, where others' programs or whole runs take their time; else
# pyproject.toml says how many.
_LIMITS = {"end_to_end": 900, "provider": 900, "simulation": 900, "terraform": 900}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """No test runs for ever; one that names its own limit keeps it."""
    for item in items:
        folder = item.path.relative_to(Path(__file__).parent).parts[0]
        if folder in _LIMITS and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(_LIMITS[folder]))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Tell what was skipped in the form that `make test` says again in its last lines."""
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        why = str(reason).removeprefix("Skipped: ")
        terminalreporter.write_line(f"NOT RUN: {report.nodeid}: {why}")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Golden files are written anew on request, to be read before they are committed."""
    parser.addoption("--update", action="store_true", help="write the golden files anew")
