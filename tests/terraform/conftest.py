"""What several files here read: states of mocked applies."""

from __future__ import annotations

import shutil
from typing import Any

import pytest

from local.terraform import ROOT
from tests.terraform.running import FOLDER, terraform


@pytest.fixture(scope="session")
def states(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """State after each run of documents.tftest.hcl and govcloud.tftest.hcl, provider mocked."""
    folder = tmp_path_factory.mktemp("root")
    skipped = shutil.ignore_patterns(".terraform*", "__pycache__", "*.py")
    for place in ("modules", FOLDER):
        shutil.copytree(ROOT / place, folder / place, ignore=skipped)
    for file in [*ROOT.glob("*.tf"), ROOT / "timezones.txt", ROOT / "holidays.txt"]:
        shutil.copy2(file, folder)
    package = "lambda_src/dist/package.zip"
    (folder / package).parent.mkdir(parents=True)
    shutil.copy2(ROOT / package, folder / package)
    wanted = [f"{FOLDER}/{name}.tftest.hcl" for name in ("documents", "govcloud")]
    for file in (folder / FOLDER).glob("*.tftest.hcl"):
        if f"{FOLDER}/{file.name}" not in wanted:
            file.unlink()
    terraform(folder, "init", "-backend=false", "-input=false", f"-test-directory={FOLDER}")
    lines = terraform(folder, "test", "-json", "-verbose", f"-test-directory={FOLDER}")
    failed = [line["diagnostic"] for line in lines if line["type"] == "diagnostic"]
    assert not failed
    return {
        line["@testrun"]: {
            **line["test_state"]["root_module"],
            "outputs": line["test_state"].get("outputs", {}),
        }
        for line in lines
        if line["type"] == "test_state"
    }
