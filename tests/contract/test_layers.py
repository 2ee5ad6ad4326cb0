"""The tests run the package versions of the managed layers (layers.toml), which are deployed."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parents[2]
RUNTIMES = ("3.11", "3.12", "3.13")
HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def _deployed() -> dict[str, dict[str, Any]]:
    """What the layers that variables.tf names hold."""
    text = (ROOT / "variables.tf").read_text()
    table = tomllib.loads((ROOT / "layers.toml").read_text())
    found = dict(re.findall(r'(\w+)_version\s*=\s*optional\(string, "([\d.]+)"\)', text))
    assert set(found) == {"sdk_for_pandas", "powertools"}
    return {layer: table[layer][number] for layer, number in found.items()}


def _held(runtime: str) -> dict[str, str]:
    held: dict[str, str] = {}
    for layer in _deployed().values():
        for package, number in layer["holds"].items():
            held[package] = number if isinstance(number, str) else number[runtime]
    return held


def _pinned(runtime: str) -> dict[str, str]:
    lines = [
        line
        for name in ("requirements-cli.txt", "requirements-dev.txt")
        for line in (ROOT / name).read_text().splitlines()
        if line and not line.startswith(("#", "-r"))
    ]
    environment = {"python_version": runtime, "python_full_version": f"{runtime}.0"}
    return {
        wanted.name: str(wanted.specifier).removeprefix("==")
        for wanted in map(Requirement, lines)
        if wanted.marker is None or wanted.marker.evaluate(environment)
    }


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_given_a_runtime_when_the_tests_environment_is_pinned_then_it_is_what_the_layers_hold(
    runtime,
):
    held, pinned = _held(runtime), _pinned(runtime)
    assert {"numpy", "pyarrow", "pydantic", "aws-lambda-powertools", "aws-xray-sdk"} <= set(held)
    assert {name: pinned.get(name) for name in held} == held


@pytest.mark.skipif(
    HERE not in RUNTIMES, reason=f"Lambda's Python {HERE} is not among the runtimes"
)
def test_given_this_environment_when_it_runs_the_tests_then_it_holds_what_is_pinned():
    held = _held(HERE)
    assert {name: version(name) for name in held} == held


def test_given_the_runtimes_when_variables_are_validated_then_they_are_those_of_the_table():
    text = (ROOT / "variables.tf").read_text()
    pattern = re.search(r'can\(regex\("([^"]+)", var\.lambda\.runtime\)\)', text)
    assert pattern
    expression = pattern[1].replace("\\\\", "\\")
    taken = [f"3.{minor}" for minor in range(8, 20) if re.match(expression, f"python3.{minor}")]
    assert tuple(taken) == RUNTIMES
