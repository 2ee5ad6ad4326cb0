"""What a release needs: one version, told alike everywhere, and the notes of the CHANGELOG.

The version is that of `pyproject.toml`; CHANGELOG, UPGRADE and every place that tells others which
version to take are compared with it. `check` names what differs, `version` and `notes` print what
the release workflow takes.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from collections.abc import Iterator
from datetime import date
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_HEADING = re.compile(r"^## \[([^\]]+)\](?: - (\S+))?\n", re.MULTILINE)
# A registry's source with its version, Terragrunt's, and that of Git.
_TOLD = (
    re.compile(r'redshift-anomaly-detector/aws[^"\n]*"[^\n]*\n\s*version\s*=\s*"([^"]+)"'),
    re.compile(r"redshift-anomaly-detector/aws\?version=([\w.+-]+)"),
    re.compile(r"\?ref=v([\w.+-]+)"),
)
_TELLING = ("*.md", "docs/**/*.md", "modules/**/*.md", "examples/**/*.md", "examples/**/*.hcl")


def version(root: Path = ROOT) -> str:
    """The version, without a `v`."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return str(project["version"])


def sections(root: Path = ROOT) -> list[tuple[str, str | None, str]]:
    """Each version of the CHANGELOG, the newest first: name, date and text."""
    text = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    found = list(_HEADING.finditer(text))
    ends = [each.start() for each in found[1:]] + [len(text)]
    return [
        (each[1], each[2], text[each.end() : end].strip())
        for each, end in zip(found, ends, strict=True)
    ]


def told(root: Path = ROOT) -> Iterator[tuple[str, str]]:
    """Each place that says which version to take: its file and what it says."""
    for pattern in _TELLING:
        for file in sorted(root.glob(pattern)):
            text = file.read_text(encoding="utf-8")
            for form in _TOLD:
                yield from ((str(file.relative_to(root)), each) for each in form.findall(text))


def faults(root: Path = ROOT, *, releasing: bool = True) -> list[str]:
    """What differs, a sentence each; between releases, changes may be waiting as unreleased."""
    now = version(root)
    found = []
    if not re.fullmatch(r"\d+\.\d+\.\d+", now):
        found.append(f"pyproject.toml: {now} is not of the form 1.2.3.")
    waiting = [text for name, _, text in sections(root) if name == "Unreleased" and text]
    if waiting and releasing:
        found.append("CHANGELOG.md: changes stand under Unreleased; put them under the version.")
    released = [each for each in sections(root) if each[0] != "Unreleased"]
    if not released or released[0][0] != now:
        newest = released[0][0] if released else "none"
        found.append(f"CHANGELOG.md: its newest version is {newest}, not {now}.")
    else:
        _, day, text = released[0]
        if not text:
            found.append(f"CHANGELOG.md: {now} has no text.")
        try:
            date.fromisoformat(day or "")
        except ValueError:
            found.append(f"CHANGELOG.md: {now} has no date, as in '## [{now}] - 2026-01-31'.")
    major = f"## To {now.partition('.')[0]}.0.0"
    if major not in (root / "docs/UPGRADE.md").read_text(encoding="utf-8"):
        found.append(f"docs/UPGRADE.md: it lacks '{major}'.")
    found += [f"{file}: it says {other}, not {now}." for file, other in told(root) if other != now]
    return found


def main() -> int:
    """Print what is asked for; exit status 1 where something differs."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=["check", "version", "notes"])
    what = parser.parse_args().what
    if what == "version":
        print(version())
    elif what == "notes":
        print(next(text for name, _, text in sections() if name == version()))
    else:
        found = faults()
        print("\n".join(found) or f"{version()} is told alike everywhere")
        return 1 if found else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
