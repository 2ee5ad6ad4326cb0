"""Finding a provider mirror, and the CLI configuration that uses it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from local import terraform


@pytest.fixture(autouse=True)
def _no_mirror_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(terraform.MIRROR_VARIABLE, raising=False)
    monkeypatch.delenv("TF_CLI_CONFIG_FILE", raising=False)
    monkeypatch.setattr(terraform, "_usual_folders", lambda: iter(()))
    monkeypatch.setattr(terraform, "_likely_roots", lambda: iter((tmp_path,)))
    monkeypatch.setattr(terraform, "_target", lambda: "linux_amd64")
    monkeypatch.setattr(Path, "home", lambda: tmp_path / "home")


def _mirror(root: Path, version: str = "5.100.0", target: str = "linux_amd64") -> Path:
    (root / "registry.terraform.io" / "hashicorp" / "aws" / version / target).mkdir(parents=True)
    return root


def test_an_unpacked_mirror_is_found_wherever_it_lies(tmp_path: Path) -> None:
    mirror = _mirror(tmp_path / "some" / "where")

    assert terraform.find_mirror() == mirror


def test_a_packed_mirror_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "registry.terraform.io" / "hashicorp" / "aws"
    folder.mkdir(parents=True)
    (folder / "terraform-provider-aws_6.1.0_linux_amd64.zip").touch()

    assert terraform.find_mirror() == tmp_path


@pytest.mark.parametrize(
    ("version", "target"),
    [("5.99.0", "linux_amd64"), ("7.0.0", "linux_amd64"), ("6.0.0", "darwin_arm64")],
)
def test_a_mirror_without_a_fitting_provider_is_none(
    tmp_path: Path, version: str, target: str
) -> None:
    _mirror(tmp_path / "mirror", version, target)

    assert terraform.find_mirror() is None


def test_the_variable_names_the_mirror_or_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror = _mirror(tmp_path / "given")
    monkeypatch.setenv(terraform.MIRROR_VARIABLE, str(mirror / "registry.terraform.io"))
    assert terraform.find_mirror() == mirror

    monkeypatch.setenv(terraform.MIRROR_VARIABLE, str(tmp_path / "empty"))
    with pytest.raises(
        terraform.TerraformError, match="does not contain the hashicorp/aws provider"
    ):
        terraform.find_mirror()


def test_the_mirror_serves_the_provider_and_the_registry_the_rest(tmp_path: Path) -> None:
    file = terraform.write_cli_config(tmp_path / "rc", tmp_path / "mirror")

    text = file.read_text(encoding="utf-8")
    assert f"path    = {json.dumps(str(tmp_path / 'mirror'))}" in text
    assert text.count('["registry.terraform.io/hashicorp/aws"]') == 2


def test_a_users_own_installation_method_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "own.tfrc"
    own.write_text("provider_installation {}\n", encoding="utf-8")
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(own))

    assert terraform.cli_config(tmp_path / "ours") == own


def test_a_configuration_file_that_does_not_exist_is_replaced_by_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _mirror(tmp_path / "mirror")
    monkeypatch.setenv("TF_CLI_CONFIG_FILE", str(tmp_path / "missing"))

    assert terraform.cli_config(tmp_path / "ours") == tmp_path / "ours"


def test_a_missing_terraform_gives_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", {}.get)

    with pytest.raises(terraform.TerraformError, match=r"^Terraform is not installed: .*1\.9"):
        terraform.find_terraform()


def test_progress_counts_resources_and_keeps_errors() -> None:
    said: list[str] = []
    counter = terraform._Counter("apply", said.append)
    changes = {"operation": "plan", "add": 2, "change": 0, "remove": 0}
    done = {"type": "apply_complete", "hook": {"action": "create"}}
    read = {"type": "apply_complete", "hook": {"action": "read"}}
    error = {
        "type": "diagnostic",
        "diagnostic": {"severity": "error", "summary": "No", "detail": "way", "address": "a.b"},
    }
    for message in ({"type": "change_summary", "changes": changes}, read, done, done, error):
        counter.read(json.dumps(message))

    assert said == ["terraform apply: 1 of 2 resources", "terraform apply: 2 of 2 resources"]
    assert counter.errors == ["No (a.b): way"]
