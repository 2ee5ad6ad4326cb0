"""The Terraform gates: `validate` of every configuration, `test` with a mocked provider."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from local.terraform import ROOT, TerraformError, cli_config, find_terraform

TESTS = "tests/terraform"
# Run by tests/terraform/test_terraform.py, which looks at the whole states after them.
_BY_PYTEST = {"documents", "govcloud"}


def folders() -> list[Path]:
    """Root, every module and every example."""
    below = [
        file.parent for place in ("modules", "examples") for file in ROOT.glob(f"{place}/*/main.tf")
    ]
    return [ROOT, *sorted(below)]


class Gates:
    """Terraform under one CLI configuration and one plugin folder per configuration."""

    def __init__(self, scratch: Path) -> None:
        self._binary = find_terraform()
        self._scratch = scratch
        self._config = cli_config(scratch / "terraform.rc")

    def validate(self, folder: Path) -> bool:
        """Whether the configuration is valid; what Terraform says goes to standard output."""
        return self._run(folder, "init", "-backend=false", "-input=false") and self._run(
            folder, "validate", "-no-color"
        )

    def test(self) -> bool:
        """Whether `terraform test` passes in the root, but for what pytest runs anyway."""
        folder = f"-test-directory={TESTS}"
        files = [
            f"-filter={file.relative_to(ROOT)}"
            for file in sorted((ROOT / TESTS).glob("*.tftest.hcl"))
            if file.name.partition(".")[0] not in _BY_PYTEST
        ]
        return self._run(ROOT, "init", "-backend=false", "-input=false", folder) and self._run(
            ROOT, "test", "-no-color", folder, *files, quiet=False
        )

    def _run(self, folder: Path, *arguments: str, quiet: bool = True) -> bool:
        done = subprocess.run(
            [self._binary, *arguments],
            cwd=folder,
            env={
                **os.environ,
                "TF_CLI_CONFIG_FILE": str(self._config),
                "TF_DATA_DIR": str(self._scratch / folder.relative_to(ROOT.parent)),
                "CHECKPOINT_DISABLE": "1",
                # The mocked provider never calls AWS; nothing of the caller's account is read.
                "AWS_REGION": "eu-west-1",
                "AWS_EC2_METADATA_DISABLED": "true",
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if quiet else None,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        if done.returncode and quiet:
            print(done.stdout)
        return done.returncode == 0


def main() -> int:
    """Run one gate; exit status 1 where it fails."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gate", choices=["validate", "test"])
    gate = parser.parse_args().gate
    try:
        with tempfile.TemporaryDirectory(prefix="terraform-gates-") as scratch:
            gates = Gates(Path(scratch))
            if gate == "test":
                return 0 if gates.test() else 1
            failed = [str(each.relative_to(ROOT)) for each in folders() if not gates.validate(each)]
    except TerraformError as error:
        print(error, file=sys.stderr)
        return 1
    names = ", ".join(failed) or "none"
    print(f"terraform validate: {len(folders())} configurations, failed: {names}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
