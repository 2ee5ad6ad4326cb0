"""The state machines' definitions as Terraform renders them."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from local.terraform import ROOT, find_terraform

MACHINES = {
    "statement": ROOT / "modules/pipeline/statement.asl.json",
    "pipeline": ROOT / "modules/pipeline/pipeline.asl.json",
    "crawl": ROOT / "modules/crawler/crawl.asl.json",
}
State = dict[str, Any]


@functools.cache
def retry_blocks() -> dict[str, str]:
    """`local.retry` of the root, worked out by Terraform itself."""
    blocks = re.findall(
        r"^locals \{\n.*?^\}\n",
        (ROOT / "main.tf").read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    (block,) = [each for each in blocks if re.search(r"^  retry = \{$", each, re.MULTILINE)]
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "main.tf").write_text(block, encoding="utf-8")
        done = subprocess.run(
            [find_terraform(), "console"],
            cwd=folder,
            input="jsonencode(local.retry)\n",
            capture_output=True,
            text=True,
            check=True,
        )
    found: dict[str, str] = json.loads(json.loads(done.stdout))
    return found


def render(machine: str) -> State:
    """Fill the template as Terraform does: numbers and retries stand bare, all else in a text."""
    text = MACHINES[machine].read_text(encoding="utf-8")
    retried = re.sub(r"(?<=: )\$\{retry\.(\w+)\}", lambda found: retry_blocks()[found[1]], text)
    bare = re.sub(r"(?<=: )\$\{\w+\}", "3600", retried)
    filled = re.sub(r"\$\{([\w.]+)\}", r"<\1>", bare)
    found: State = json.loads(filled)
    return found
