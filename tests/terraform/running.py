"""Terraform, run by a test in a folder of its own."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from local.terraform import cli_config, find_terraform

FOLDER = "tests/terraform"


def terraform(folder: Path, *arguments: str) -> list[dict[str, Any]]:
    """Lines that Terraform says in JSON; lines in plain text are left out."""
    done = subprocess.run(
        [find_terraform(), *arguments],
        cwd=folder,
        env={
            **os.environ,
            "TF_CLI_CONFIG_FILE": str(cli_config(folder / "terraform.rc")),
            "CHECKPOINT_DISABLE": "1",
            "AWS_REGION": "eu-west-1",
            "AWS_EC2_METADATA_DISABLED": "true",
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert lines or done.returncode == 0, done.stdout + done.stderr
    return lines


def resources_of(state: dict[str, Any], kind: str) -> list[dict[str, Any]]:
    """Attributes of every resource or data source of a type, in modules too."""
    here = [each["values"] for each in state.get("resources", []) if each["type"] == kind]
    below = [resources_of(module, kind) for module in state.get("child_modules", [])]
    return here + [each for found in below for each in found]
