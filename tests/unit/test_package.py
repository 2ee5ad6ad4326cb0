"""The Lambda package holds what the functions import, and nothing of the command line."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from scripts.build_package import LAPTOP_ONLY, SOURCES, build

# Imports every module of the zip; what a function's layers do not hold cannot be imported.
IMPORT_ALL = """
import sys
sys.path[0] = sys.argv[1]
for name in ("duckdb", "sqlglot"):
    sys.modules[name] = None
import importlib, zipfile
names = [
    name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    for name in zipfile.ZipFile(sys.argv[1]).namelist()
]
for name in names:
    importlib.import_module(name)
    assert sys.argv[1] in sys.modules[name].__file__, name
print(len(names))
"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("package") / "package.zip"
    path.write_bytes(build())
    return path


def test_the_command_line_is_not_in_the_package() -> None:
    names = zipfile.ZipFile(io.BytesIO(build())).namelist()
    laptop = [
        f"anomaly_detector/{path.relative_to(SOURCES / 'anomaly_detector').as_posix()}"
        for path in (SOURCES / "anomaly_detector").rglob("*.py")
        if path.relative_to(SOURCES / "anomaly_detector").as_posix().startswith(LAPTOP_ONLY)
    ]

    assert len(laptop) > 5
    assert not set(laptop) & set(names)
    assert "anomaly_detector/handlers/detect.py" in names


def test_each_module_of_the_package_can_be_imported_without_it(package: Path) -> None:
    environment = {
        "AWS_DEFAULT_REGION": "us-east-1",
        "PATH": "",
    }
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_ALL, str(package)],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )

    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 50
