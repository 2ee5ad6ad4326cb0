"""One Chromium for all tests here; without it they do not run, and say so."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
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
