"""The Lambda package holds what the functions import, and nothing of the command line."""

from __future__ import annotations

import ast
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
for name in ("duckdb", "sqlglot", "markupsafe._speedups"):
    sys.modules[name] = None
import importlib, zipfile
names = [
    name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    for name in zipfile.ZipFile(sys.argv[1]).namelist()
    if name.endswith(".py")
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


def test_each_module_of_the_package_is_used_by_a_function() -> None:
    modules = {
        name.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        for name in zipfile.ZipFile(io.BytesIO(build())).namelist()
        if name.startswith("anomaly_detector/") and name.endswith(".py")
    }
    reached: set[str] = set()
    ahead = [name for name in modules if name.startswith("anomaly_detector.handlers")]
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead += _imported(name, modules)

    assert modules - reached == set(), "only the command line uses it: see LAPTOP_ONLY"


def _imported(name: str, modules: set[str]) -> set[str]:
    """The package's modules that a module imports, and the packages that they are in."""
    path = SOURCES / name.replace(".", "/")
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    named: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            named |= {node.module, *(f"{node.module}.{each.name}" for each in node.names)}
    parents = {
        each.rsplit(".", count)[0] for each in named for count in range(1, each.count(".") + 1)
    }
    return (named | parents) & modules


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


def test_only_files_that_are_alike_on_every_machine_are_taken_of_the_template_engine() -> None:
    with zipfile.ZipFile(io.BytesIO(build())) as archive:
        names = [name for name in archive.namelist() if not name.startswith("anomaly_detector/")]

    assert {"jinja2/environment.py", "markupsafe/_native.py"} <= set(names)
    assert {"jinja2/LICENSE.txt", "markupsafe/LICENSE.txt"} <= set(names)
    assert {Path(name).suffix for name in names} == {".py", ".txt"}


def test_what_pages_are_made_of_is_in_the_package() -> None:
    names = zipfile.ZipFile(io.BytesIO(build())).namelist()
    own = [path for path in (SOURCES / "anomaly_detector" / "report").iterdir() if path.is_file()]

    assert {f"anomaly_detector/report/{path.name}" for path in own} <= set(names)
