"""What the documents say of tests is so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
QUOTED = re.compile(r"`((?:[a-z_0-9]+/)*test_\w+\.py)::(\w+)`")
FILES = re.compile(r"`([a-z_]+\.tftest\.hcl)`(?: \(([^)]*)\))?")


@pytest.mark.parametrize("document", ["reliability.md", "security.md"])
def test_every_test_that_is_quoted_exists(document: str) -> None:
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    quoted = QUOTED.findall(text)
    assert len(quoted) > 5

    lacking = [
        f"{file}::{test}"
        for file, test in quoted
        if f"def {test}(" not in (ROOT / "tests" / file).read_text(encoding="utf-8")
    ]
    assert lacking == []

    for file, runs in FILES.findall(text):
        source = (ROOT / "tests/terraform" / file).read_text(encoding="utf-8")
        for run in re.findall(r"`(\w+)`", runs):
            assert f'run "{run}"' in source
