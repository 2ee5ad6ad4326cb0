"""One Chromium for all tests here; without it they do not run, and say so."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM = next((path for name in _NAMES if (path := shutil.which(name))), None)
LACKING = (
    "Playwright is not installed"
    if find_spec("playwright") is None
    else "there is no Chromium: install the package chromium"
    if CHROMIUM is None
    else ""
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests of this folder where there is no browser."""
    for item in items:
        if LACKING and "tests/browser/" in item.path.as_posix():
            item.add_marker(pytest.mark.skip(reason=LACKING))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Say so where `make test` looks for it."""
    if LACKING:
        terminalreporter.write_line(f"NOT RUN: browser: {LACKING}")


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Chromium, driven by Playwright."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        # As root, Chromium has no sandbox.
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The accessibility checker, a script for the page; installed by npm once."""
    folder = Path(__file__).parent
    script = folder / "node_modules" / "axe-core" / "axe.min.js"
    if not script.exists():
        npm = shutil.which("npm")
        if npm is None:
            pytest.skip("axe-core is not installed, and there is no npm")
        command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"axe-core cannot be installed: {done.stderr.strip()[:200]}")
    return script.read_text("utf-8")
