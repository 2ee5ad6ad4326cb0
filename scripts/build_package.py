"""Build the Lambda package, `lambda_src/dist/package.zip`: the same bytes on every machine.

Stored (zlib versions differ), sorted, with fixed dates and modes; the package's own sources without
what serves the command line alone, and the template engine, of which only the files that are alike
on every machine are taken: pure Python, and the licence. What else the functions import comes from
the two managed layers.
"""

from __future__ import annotations

import argparse
import io
import re
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

SOURCES = Path(__file__).resolve().parent.parent / "lambda_src"
PACKAGE = SOURCES / "dist" / "package.zip"
# The command line, which runs on a laptop: relative to the package.
LAPTOP_ONLY = (
    "__main__.py",
    "cli.py",
    "convert/",
    "local_file/",
    "lookout/answers.py",
    "lookout/api.py",
    "lookout/requests.py",
    "operate/",
)
# Sources, and what pages are made of.
SUFFIXES = (".py", ".css", ".html", ".js")
# Pinned in requirements-cli.txt; no managed layer has them.
VENDORED = ("Jinja2", "MarkupSafe")
_DATE = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_MODE = 0o100644 << 16


def build() -> bytes:
    """Bytes of the zip."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, path in sorted([*_own(), *_vendored()]):
            entry = zipfile.ZipInfo(name, _DATE)
            entry.create_system = _UNIX
            entry.external_attr = _MODE
            # A checkout on Windows may have turned the line ends.
            archive.writestr(entry, path.read_bytes().replace(b"\r\n", b"\n"))
    return target.getvalue()


def _own() -> Iterator[tuple[str, Path]]:
    for path in (SOURCES / "anomaly_detector").rglob("*"):
        inside = path.relative_to(SOURCES / "anomaly_detector").as_posix()
        if path.suffix in SUFFIXES and not inside.startswith(LAPTOP_ONLY):
            yield path.relative_to(SOURCES).as_posix(), path


def _vendored() -> Iterator[tuple[str, Path]]:
    pins = (SOURCES.parent / "requirements-cli.txt").read_text("utf-8")
    for name in VENDORED:
        found = distribution(name)
        if not re.search(rf"^{name}=={re.escape(found.version)}$", pins, re.MULTILINE):
            raise SystemExit(f"{name} {found.version} is not the version in requirements-cli.txt.")
        for file in found.files or ():
            inside = file.parts[0] == name.lower() and file.suffix == ".py"
            if inside or file.name.startswith("LICENSE"):
                place = file.as_posix() if inside else f"{name.lower()}/{file.name}"
                yield place, Path(str(file.locate()))


def main() -> int:
    """Write the package, or with --check say whether the committed one is up to date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check",
        action="store_true",
        help="fail if the committed zip is out of date",
    )
    check = parser.parse_args().check
    package = build()
    if not check:
        PACKAGE.parent.mkdir(exist_ok=True)
        PACKAGE.write_bytes(package)
        print(f"{PACKAGE.name}: {len(package):,} bytes")
        return 0
    if not PACKAGE.exists() or PACKAGE.read_bytes() != package:
        print("lambda_src/dist/package.zip is out of date: run `make package` and commit it.")
        return 1
    print(f"{PACKAGE.name} matches the sources ({len(package):,} bytes)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
