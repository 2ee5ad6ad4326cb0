"""What Terragrunt does with the units of examples/terragrunt, as far as these files need it.

HCL is read by python-hcl2 and its expressions are evaluated by Terraform itself; what only
Terragrunt has (its functions, `include`, `dependency`, how inputs are merged and reach Terraform)
is here, as its documentation (https://terragrunt.gruntwork.io/docs/reference/hcl/blocks/) and its
source (AsTerraformEnvVarJSONValue, NullTFVarsFile) have it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import hcl2

from local.terraform import find_terraform

NULL_VARIABLES = ".terragrunt-null-vars.auto.tfvars.json"
_ATTRIBUTES = {"inputs"}
_BLOCKS = {"include", "locals", "dependency", "terraform", "remote_state", "generate", "errors"}
_CALL = re.compile(
    r"\b(read_terragrunt_config|find_in_parent_folders|path_relative_to_include|file)"
    r"\((\"[^\"]*\")?\)"
)


@dataclass(frozen=True)
class Unit:
    """A unit after merging.

    Attributes
    ----------
    source : of the module.
    generated : files by name.
    backend : configuration of the remote state.
    dependencies : folders of the units that come first.
    """

    source: str
    inputs: Mapping[str, Any]
    generated: Mapping[str, str]
    backend: Mapping[str, Any]
    dependencies: tuple[Path, ...]

    @property
    def environment(self) -> dict[str, str]:
        """`TF_VAR_…`: a text as it is, anything else as JSON without templates."""
        return {
            f"TF_VAR_{name}": value if isinstance(value, str) else _json(value)
            for name, value in self.inputs.items()
            if value is not None
        }

    @property
    def null_variables(self) -> str:
        """Content of the file with the inputs that are null, which an environment cannot hold."""
        return json.dumps({name: None for name, value in self.inputs.items() if value is None})


def read(folder: Path, root: Path) -> Unit:
    """Read a unit; nothing is looked for above `root`."""
    folder, root = folder.resolve(), root.resolve()
    own = _evaluate(folder / "terragrunt.hcl", folder, root)
    inputs: dict[str, Any] = {}
    deep: set[str] = set()
    files = [own]
    for given in own.get("include", {}).values():
        parent = _evaluate((folder / given["path"]).resolve(), folder, root)
        assert "include" not in parent, f"{given['path']}: only a unit may include"
        found = parent.get("inputs", {})
        # Which of several includes wins is not documented, so none may have to.
        assert not set(found) & set(inputs), f"{given['path']}: an input of another include"
        inputs |= found
        deep |= set(found) if given.get("merge_strategy") == "deep" else set()
        files.insert(0, parent)
    for name, value in own.get("inputs", {}).items():
        inputs[name] = _deep(inputs[name], value) if name in deep else value
    (source,) = (file["terraform"][""]["source"] for file in files if "terraform" in file)
    (backend,) = (file["remote_state"][""] for file in files if "remote_state" in file)
    generated = [one for file in files for one in file.get("generate", {}).values()]
    dependencies = [one for file in files for one in file.get("dependency", {}).values()]
    assert all("plan" in one["mock_outputs_allowed_terraform_commands"] for one in dependencies)
    return Unit(
        source=source,
        inputs=inputs,
        generated={one["path"]: one["contents"] for one in generated},
        backend=backend["config"],
        dependencies=tuple((folder / one["config_path"]).resolve() for one in dependencies),
    )


def _deep(parent: Any, child: Any) -> Any:
    """Maps key by key, lists one after the other, anything else from the child."""
    if isinstance(parent, dict) and isinstance(child, dict):
        return parent | {
            name: _deep(parent[name], value) if name in parent else value
            for name, value in child.items()
        }
    if isinstance(parent, list) and isinstance(child, list):
        return [*parent, *child]
    return child


@cache
def _evaluate(path: Path, unit: Path, root: Path) -> dict[str, Any]:
    """The blocks of a file by kind and label, its locals and its inputs, seen from a unit."""
    document = hcl2.loads(
        path.read_text(encoding="utf-8"),
        serialization_options=hcl2.SerializationOptions(with_comments=False),
    )
    unknown = set(document) - _BLOCKS - _ATTRIBUTES
    assert not unknown, f"{path}: {unknown}"
    expressions: dict[tuple[str, str], str] = {}
    for kind in _ATTRIBUTES & set(document):
        expressions[kind, ""] = _text(document[kind])
    # What is tried again decides about no input.
    for kind in (_BLOCKS - {"errors"}) & set(document):
        for block in document[kind]:
            label = next((name for name in block if name.startswith('"')), '""')
            held = _attributes(block.get(label, block))
            if kind == "locals":
                expressions |= {(kind, name): _text(value) for name, value in held.items()}
            else:
                expressions[kind, json.loads(label)] = _text(held)
    names = {
        place: place[1] if place[0] == "locals" else "__".join(place).strip("_") + "__value"
        for place in expressions
    }
    lines = [
        f"  {names[place]} = {_resolved(text, path, unit, root)}"
        for place, text in expressions.items()
    ]
    values = _terraform("locals {\n" + "\n".join(lines) + "\n}\n", list(names.values()))
    found: dict[str, Any] = {}
    for kind, label in expressions:
        value = values[names[kind, label]]
        if kind in _ATTRIBUTES:
            found[kind] = value
        else:
            found.setdefault(kind, {})[label] = value
    return found


def _attributes(block: Mapping[str, Any]) -> dict[str, Any]:
    """A block's attributes, and its own blocks as objects."""
    return {
        name: _attributes(value[0]) if isinstance(value, list) and _is_block(value) else value
        for name, value in block.items()
        if not name.startswith("__")
    }


def _is_block(value: list[Any]) -> bool:
    return len(value) == 1 and isinstance(value[0], dict) and "__is_block__" in value[0]


def _text(value: Any) -> str:
    """HCL of what python-hcl2 has read."""
    written = hcl2.dumps({"value": value}).partition("=")[2].strip()
    # Only the marker may stand on the last line of a heredoc; python-hcl2 adds a comma.
    for marker in re.findall(r"<<-?(\w+)\n", written):
        written = re.sub(rf"(?m)^(\s*{marker}),$", r"\1", written)
    return written


def _resolved(text: str, path: Path, unit: Path, root: Path) -> str:
    """The expression without what only Terragrunt knows."""
    while (found := _CALL.search(text)) is not None:
        given = json.loads(found[2]) if found[2] else ""
        literal = _json(_called(found[1], given, path, unit, root))
        text = text[: found.start()] + literal + text[found.end() :]
    return re.sub(
        r"\bdependency\.(\w+)\.outputs\b", r"local.dependency__\1__value.mock_outputs", text
    )


def _called(name: str, given: str, path: Path, unit: Path, root: Path) -> Any:
    if name == "find_in_parent_folders":
        for folder in unit.parents:
            if (folder / given).is_file():
                return os.path.relpath(folder / given, unit)
            assert folder != root, f"{path}: {given} is in no parent folder of {unit}"
    if name == "read_terragrunt_config":
        other = _evaluate((unit / given).resolve(), unit, root)
        return {"locals": other.get("locals", {}), "inputs": other.get("inputs", {})}
    if name == "path_relative_to_include":
        return unit.relative_to(path.parent).as_posix()
    return (unit / given).read_text(encoding="utf-8")


def _terraform(configuration: str, names: list[str]) -> dict[str, Any]:
    """Values of locals."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "main.tf").write_text(configuration, encoding="utf-8")
        listed = ", ".join(f"{name} = local.{name}" for name in names)
        done = subprocess.run(
            [find_terraform(), "console"],
            input=f"jsonencode({{ {listed} }})\n",
            cwd=folder,
            env={**os.environ, "TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 0, f"{configuration}\n{done.stdout}{done.stderr}"
    return dict(json.loads(json.loads(done.stdout)))


def _json(value: Any) -> str:
    """JSON in which nothing is a template of HCL."""
    return re.sub(r"(?<!\$)\$\{", "$${", json.dumps(value))
