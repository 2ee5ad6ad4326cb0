"""One version, told alike everywhere; workflows whose actions cannot change under them."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from anomaly_detector.model_format import FORMAT

from local import terraform
from scripts import release
from scripts.terraform_docs import folders

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def test_the_version_is_told_alike_everywhere() -> None:
    assert len(list(release.told())) >= 5
    assert release.faults(releasing=False) == []


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for name in ("pyproject.toml", "CHANGELOG.md", "README.md", "docs/UPGRADE.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy2(ROOT / name, tmp_path / name)
    changes = tmp_path / "CHANGELOG.md"
    text = changes.read_text(encoding="utf-8")
    changes.write_text(re.sub(r"## \[Unreleased\]\n.*?(?=## \[)", "", text, flags=re.DOTALL))
    return tmp_path


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("pyproject.toml", 'version = "', 'version = "7.', "README.md: it says"),
        ("pyproject.toml", 'version = "', 'version = "v', "is not of the form 1.2.3"),
        ("CHANGELOG.md", "## [", "## [9.9.9] - 2027-01-01\n\nx\n\n## [", "is 9.9.9, not"),
        ("CHANGELOG.md", "## [", "## [Unreleased]\n\n- x\n\n## [", "stand under Unreleased"),
        ("CHANGELOG.md", "] - 2", "] - spring-2", "has no date"),
        ("docs/UPGRADE.md", "## To ", "## For ", "docs/UPGRADE.md: it lacks '## To "),
        ("README.md", "?ref=v", "?ref=v0.", "README.md: it says 0."),
    ],
)
def test_what_differs_is_named(copied: Path, file: str, old: str, new: str, said: str) -> None:
    assert release.faults(copied) == []

    text = (copied / file).read_text(encoding="utf-8")
    assert old in text
    (copied / file).write_text(text.replace(old, new, 1), encoding="utf-8")

    assert any(said in each for each in release.faults(copied))


def test_the_notes_are_those_of_the_version_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["release", "notes"])

    assert release.main() == 0

    notes = capsys.readouterr().out
    assert notes.startswith("### ")
    assert "\n## " not in notes


def _steps(workflow: Any) -> list[dict[str, Any]]:
    return [each for job in workflow["jobs"].values() for each in job.get("steps", [job])]


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda each: each.stem)
def test_actions_are_pinned_and_rights_are_least(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    workflow = yaml.safe_load(text)

    used = [each["uses"] for each in _steps(workflow) if "uses" in each]
    told = dict(re.findall(r"uses: (\S+)(?: # (v\d+\.\d+\.\d+))?$", text, re.MULTILINE))
    for action in used:
        local = action.startswith("./") and (ROOT / action).is_file()
        assert local or (re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40}", action) and told[action])
    # Nothing by default; each job says what it needs, and writes where that is its work.
    assert workflow["permissions"] == {}
    for name, job in workflow["jobs"].items():
        assert job["permissions"] == {"contents": "write" if name == "release" else "read"}
        assert "timeout-minutes" in job or "uses" in job


def test_an_action_has_one_version_everywhere() -> None:
    pins = {
        pin for file in WORKFLOWS for pin in re.findall(r"uses: (\S+@.*)", file.read_text("utf-8"))
    }

    assert len({each.partition("@")[0] for each in pins}) == len(pins) > 3


def test_the_oldest_and_the_newest_that_are_allowed_are_tried() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text("utf-8"))
    versions = (ROOT / "versions.tf").read_text("utf-8")
    core = re.search(r'required_version = ">= ([\d.]+)"', versions)
    provider = re.search(r'version = ">= ([\d.]+), (< [\d.]+)"', versions)
    assert core
    assert provider

    tried = workflow["jobs"]["versions"]["strategy"]["matrix"]
    assert tried["terraform"] == [f"{core[1]}.0", "latest"]
    assert tried["provider"] == [f"{provider[1]}.0", provider[2]]

    runtimes = re.findall(r"`python(3\.\d+)`", (ROOT / "variables.tf").read_text("utf-8"))
    assert set(workflow["jobs"]["test"]["strategy"]["matrix"]["python"]) == set(runtimes)


def test_nothing_is_used_that_the_oldest_terraform_lacks() -> None:
    # Newer than 1.9: a negative index of element() (OpenTofu: 1.11), ephemeral values, write-only
    # arguments, and these of tests.
    newer = re.compile(r"\belement\(.*, -\d+\)|\bephemeral|\w_wo\b|override_during|state_key")

    found = {
        f"{file.relative_to(ROOT)}: {line.strip()}"
        for place in (".", "modules", "examples", "tests/terraform")
        for form in ("*.tf", "*.tftest.hcl")
        for file in (ROOT.glob(form) if place == "." else (ROOT / place).rglob(form))
        if ".terraform" not in file.parts
        for line in file.read_text("utf-8").splitlines()
        if newer.search(line)
    }
    assert found == set()


def test_each_kind_of_dependency_is_looked_after() -> None:
    config = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text("utf-8"))

    kinds = {each["package-ecosystem"]: each for each in config["updates"]}
    assert set(kinds) == {"github-actions", "npm", "pip", "terraform"}
    own = {f"/{each.relative_to(ROOT).as_posix()}".replace("/.", "/") for each in folders()}
    assert set(kinds["terraform"]["directories"]) == own


def test_what_is_required_is_the_same_everywhere() -> None:
    required = {
        re.sub(r"^ *#.*\n", "", (each / "versions.tf").read_text("utf-8"), flags=re.MULTILINE)
        for each in folders()
        if each.name != "connector"  # makes nothing, so needs no provider
    }
    assert len(required) == 1
    (text,) = required
    core = re.search(r'required_version = "([^"]+)"', text)
    provider = re.search(r'version = "([^"]+)"\n    }', text)
    assert core
    assert provider
    python = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    told = {
        "Terraform": core[1],
        "`hashicorp/aws`": provider[1],
        "Python": python["requires-python"].replace(">=", ">= "),
    }

    counted = 0
    for file in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "docs/UPGRADE.md"):
        for what, says in re.findall(
            r"(Terraform|Python|`hashicorp/aws`) (>= \d[\d.]*\d(?:, < \d[\d.]*\d)?)",
            file.read_text("utf-8"),
        ):
            counted += 1
            assert says == told[what], (file.name, what)
    assert counted > 6
    assert f"{terraform._NEEDED[0]}.{terraform._NEEDED[1]}" == core[1].removeprefix(">= ")


def test_the_upgrade_page_tells_the_format_of_models() -> None:
    text = (ROOT / "docs/UPGRADE.md").read_text("utf-8")
    newest = text.split("\n## To ")[1].split("\n## ")[0]

    assert re.findall(r"Models have format (\d+)", newest) == [str(FORMAT)]
