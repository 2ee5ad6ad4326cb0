"""The Python package: its wheel, installed into a fresh environment, has the command."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from importlib.metadata import PathDistribution, version
from pathlib import Path

import pytest

from tests.unit.cli_files import DOCUMENT, shop, write_csv, write_document

ROOT = Path(__file__).resolve().parents[2]


def _run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env={"PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


_OFFLINE = ("--quiet", "--no-deps", "--no-index", "--no-build-isolation")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy, so that nothing is left behind in the checkout."""
    folder = tmp_path_factory.mktemp("sources")
    for name in ("pyproject.toml", "README.md", "LICENSE", *map(str, ROOT.glob("requirements*"))):
        shutil.copy2(ROOT / name, folder)
    skipped = shutil.ignore_patterns("__pycache__")
    shutil.copytree(
        ROOT / "lambda_src/anomaly_detector", folder / "lambda_src/anomaly_detector", ignore=skipped
    )
    return folder


@pytest.fixture(scope="module")
def wheel(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    built = tmp_path_factory.mktemp("wheel")
    _run(sys.executable, "-m", "pip", "wheel", *_OFFLINE, "-w", built, sources, cwd=sources)
    (found,) = built.glob("*.whl")
    return found


def _installed(folder: Path, *what: str | Path) -> Path:
    """An environment with this alone; what it depends on is that of the tests."""
    _run(sys.executable, "-m", "venv", "--without-pip", folder, cwd=folder.parent)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    target = ("-m", "pip", "--python", folder / "bin/python", "install", *_OFFLINE)
    _run(sys.executable, *target, *what, cwd=folder.parent)
    return folder


def _place(environment: Path, cwd: Path) -> Path:
    """The package's folder as that environment sees it from elsewhere."""
    show = "import anomaly_detector; print(anomaly_detector.__path__[0])"
    return Path(_run(environment / "bin/python", "-c", show, cwd=cwd).strip())


@pytest.fixture(scope="module")
def fresh(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _installed(tmp_path_factory.mktemp("fresh") / "venv", wheel)


def test_the_wheel_holds_the_package_and_what_pages_are_made_of(wheel: Path) -> None:
    held = {
        name for name in zipfile.ZipFile(wheel).namelist() if not re.search(r"\.dist-info/", name)
    }
    source = ROOT / "lambda_src"

    assert held == {
        path.relative_to(source).as_posix()
        for path in (source / "anomaly_detector").rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_it_requires_what_the_tests_run_with(fresh: Path) -> None:
    (found,) = fresh.glob("lib/python*/site-packages/*.dist-info")
    requires = PathDistribution(found).requires or []
    python = ".".join(map(str, sys.version_info[:2]))
    pins = [re.match(r"([\w-]+)==([\w.]+)(.*)", each) for each in requires]

    assert any("boto3" in each and 'extra == "aws"' in each for each in requires)
    for pin in pins:
        assert pin, requires
        other = "python_version" in pin[3] and (("<" in pin[3]) != (python < "3.12"))
        assert other or version(pin[1]) == pin[2]


def test_the_command_runs_a_backtest_as_the_module_does(fresh: Path, tmp_path: Path) -> None:
    command = fresh / "bin/anomaly-detector"
    write_csv(tmp_path / "rows.csv", shop())
    write_document(tmp_path / "detector.json", DOCUMENT)

    told = _run(
        *(command, "backtest", "--config", "detector.json", "--data", "rows.csv", "--out", "out"),
        cwd=tmp_path,
    )

    assert _place(fresh, tmp_path).is_relative_to(fresh)
    assert "Found 1 event" in told
    assert json.loads((tmp_path / "out/groups.json").read_text())["groups"]
    assert _run(command, "--help", cwd=tmp_path).startswith("usage: anomaly-detector ")


def test_installed_editable_it_is_the_checkout_itself(sources: Path, tmp_path: Path) -> None:
    environment = _installed(tmp_path / "venv", "-e", sources)

    assert _place(environment, tmp_path) == sources / "lambda_src/anomaly_detector"
    told = _run(environment / "bin/python", "-m", "anomaly_detector", "--help", cwd=tmp_path)
    assert told.startswith("usage: ")
