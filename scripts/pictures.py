"""Take the pictures of the page in README.md, light and dark, of the page of the newest demo.

Run `make demo` first. Needs Chromium and Playwright, as the browser tests do.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "images"
# As wide as GitHub shows a README, twice.
_THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
WIDTH, HEIGHT = 1100, 860


def newest() -> Path:
    """The page of the newest demo."""
    found = sorted((ROOT / ".local" / "demo").glob("*/results/report.html"))
    if not found:
        raise SystemExit("There is no page of a demo: run make demo.")
    return found[-1]


def take(page: Path) -> list[Path]:
    """Take both pictures."""
    from playwright.sync_api import ViewportSize, sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise SystemExit("There is no Chromium: install the package chromium.")
    FOLDER.mkdir(parents=True, exist_ok=True)
    taken = []
    with sync_playwright() as playwright:
        # As root, Chromium has no sandbox.
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for theme in _THEMES:
            size: ViewportSize = {"width": WIDTH, "height": HEIGHT}
            tab = browser.new_page(viewport=size, color_scheme=theme)
            tab.goto(page.resolve().as_uri())
            taken.append(FOLDER / f"page-{theme}.png")
            tab.screenshot(path=taken[-1])
        browser.close()
    return taken


def main() -> int:
    """Take the pictures and say where they are."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("page", nargs="?", type=Path, help="page (default: of the newest demo)")
    chosen = parser.parse_args().page or newest()
    for picture in take(chosen):
        print(f"{picture.relative_to(ROOT)}: {picture.stat().st_size:,} bytes, of {chosen}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
