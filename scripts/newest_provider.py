"""Whether all that the Terraform here uses exists in the newest AWS provider, not deprecated.

The provider itself may not be at hand, so its schema is read from bindings that are generated from
it (`requirements-provider.txt`): arguments, nested blocks and attributes from CDK Terrain's,
deprecations from Pulumi's. They are downloaded once, and read, not run. `--latest` takes the newest
releases in place of the pinned ones. Not seen by this: whether a name is a block or an attribute.
"""

from __future__ import annotations

import argparse
import ast
import keyword
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import hcl2

ROOT = Path(__file__).resolve().parents[1]
PINS = ROOT / "requirements-provider.txt"
_META = {"count", "for_each", "depends_on", "provider", "lifecycle", "provisioner", "connection"}
_MARK = "__is_block__"
_OBJECT = re.compile(r"(?<![\w.])(data\.)?(aws_[a-z0-9_]+)\.[A-Za-z_][\w-]*")
_FOR = re.compile(r"\bfor\s+(?:\w+\s*,\s*)?(\w+)\s+in\s+((?:data\.)?aws_[a-z0-9_]+)\.\w+\s*:")
# Where Pulumi has another name than the rule gives.
_PULUMI_NAMES = {"s3_object": "s3_bucket_objectv2"}


class SchemaError(RuntimeError):
    """The schema cannot be had; the message says why."""


@dataclass(frozen=True)
class Use:
    """A name that a file uses: an argument or block of a path, or an attribute that is read."""

    file: str
    kind: str  # "aws_s3_bucket" or "data.aws_region"
    path: tuple[str, ...]
    read: bool = False

    def __str__(self) -> str:
        return f"{self.file}: {self.kind}.{'.'.join(self.path)}"


# What the configuration uses


def uses(files: Iterable[Path]) -> Iterator[Use]:
    """All arguments, nested blocks and attributes that these files use of the AWS provider."""
    for file in files:
        name = str(file.relative_to(ROOT)) if file.is_relative_to(ROOT) else file.name
        document = hcl2.loads(file.read_text(encoding="utf-8"))
        for section, prefix in (("resource", ""), ("data", "data.")):
            for block in document.get(section, []):
                for kind, labelled in _labels(block):
                    for _, body in _labels(labelled):
                        yield from _arguments(name, prefix + kind, (), body)
        for text in _texts(document):
            yield from _reads(name, text)


def _labels(block: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for label, body in block.items():
        if isinstance(body, Mapping):
            yield label.strip('"'), body


def _arguments(
    file: str, kind: str, path: tuple[str, ...], body: Mapping[str, Any]
) -> Iterator[Use]:
    """The names in a block, those of its nested and dynamic blocks included."""
    for name, value in body.items():
        if name.startswith("__") or (not path and name in _META):
            continue
        blocks = [value] if isinstance(value, Mapping) else value
        nested = isinstance(blocks, list) and any(
            isinstance(each, Mapping) and _MARK in str(each) for each in blocks
        )
        if name == "dynamic" and nested:
            for each in blocks:
                for label, dynamic in _labels(each):
                    yield Use(file, kind, (*path, label))
                    for content in dynamic.get("content", []):
                        yield from _arguments(file, kind, (*path, label), content)
            continue
        yield Use(file, kind, (*path, name))
        if nested:
            for each in blocks:
                yield from _arguments(file, kind, (*path, name), each)


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, each in value.items():
            if key != "__comments__":
                yield from _texts(str(key))
                yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)


def _reads(file: str, text: str) -> Iterator[Use]:
    """Attributes of resources and data sources in an expression."""
    for found in _OBJECT.finditer(text):
        kind = (found[1] or "") + found[2]
        if path := tuple(_traversal(text, found.end())):
            yield Use(file, kind, path, read=True)
    for found in _FOR.finditer(text):
        for each in re.finditer(rf"(?<![\w.]){found[1]}\b", text[found.end() :]):
            if path := tuple(_traversal(text, found.end() + each.end())):
                yield Use(file, found[2], path, read=True)


def _traversal(text: str, place: int) -> Iterator[str]:
    """Names of a traversal such as `["key"].rule[0].id`, its indexes left out."""
    while place < len(text):
        if text[place] == "[":
            depth = 0
            while place < len(text):
                depth += {"[": 1, "]": -1}.get(text[place], 0)
                place += 1
                if depth == 0:
                    break
        elif name := re.compile(r"\.(\*|\w+)").match(text, place):
            place = name.end()
            if name[1] != "*" and not name[1].isdigit():
                yield name[1]
        else:
            return


# What the provider has


class Schema:
    """Arguments and attributes of the provider as CDK Terrain's bindings for Python have them."""

    def __init__(self, wheel: Path) -> None:
        self._wheel = zipfile.ZipFile(wheel)
        self._package = wheel.name.partition("-")[0]
        self._modules: dict[str, Module | None] = {}

    @cached_property
    def version(self) -> str:
        """Version of the provider, such as `6.69.1`."""
        (metadata,) = [each for each in self._wheel.namelist() if each.endswith("/METADATA")]
        text = self._wheel.read(metadata).decode()
        found = re.search(r"hashicorp/aws provider version (\d+\.\d+\.\d+)", text)
        if found is None:
            raise SchemaError("the bindings do not say which provider they are for")
        return found[1]

    def fault(self, use: Use) -> str | None:
        """What is wrong with a use, None where nothing is."""
        module = self._module(use.kind)
        if module is None:
            return "there is no such resource or data source"
        names = module.readable if use.read else module.settable
        at: str | None = module.top_read if use.read else module.top_set
        for name in use.path:
            if at is None:
                # A map or a value of any type: what lies below is not in the schema.
                return None
            known = names(at)
            if name not in known:
                return f"there is no {name} there"
            at = known[name]
        return None

    def missing(self, kind: str, given: Mapping[tuple[str, ...], set[str]]) -> Iterator[str]:
        """Required arguments that a block of a kind does not give."""
        module = self._module(kind)
        if module is None:
            return
        for path, names in given.items():
            at: str | None = module.top_set
            for name in path:
                at = module.settable(at).get(name) if at else None
            if at:
                for name in sorted(module.required(at) - names):
                    yield ".".join([*path, name])

    def _module(self, kind: str) -> Module | None:
        if kind not in self._modules:
            data, name = kind.startswith("data."), kind.rpartition("aws_")[2]
            folder = f"data_aws_{name}" if data else name
            try:
                source = self._wheel.read(f"{self._package}/{folder}/__init__.py").decode()
                self._modules[kind] = Module(source)
            except KeyError:
                self._modules[kind] = None
        return self._modules[kind]


class Module:
    """The classes of one resource or data source."""

    def __init__(self, source: str) -> None:
        tree = ast.parse(source)
        self._classes = {each.name: each for each in tree.body if isinstance(each, ast.ClassDef)}
        kinds = ("TerraformResource", "TerraformDataSource")
        (self.top_read,) = [
            name
            for name, each in self._classes.items()
            if any(ast.unparse(base).endswith(kinds) for base in each.bases)
        ]
        self.top_set = f"{self.top_read}Config"

    def settable(self, name: str) -> dict[str, str | None]:
        """Arguments of a struct: the struct of each where it is a block."""
        return {
            each.arg.rstrip("_"): self._struct(each.annotation)
            for each in self._init(name).kwonlyargs
        }

    def required(self, name: str) -> set[str]:
        found = self._init(name)
        pairs = zip(found.kwonlyargs, found.kw_defaults, strict=True)
        return {each.arg.rstrip("_") for each, default in pairs if default is None}

    def readable(self, name: str) -> dict[str, str | None]:
        """Attributes of a class: the class of each where it has attributes itself."""
        return {
            each.name.rstrip("_"): self._reference(each.returns)
            for each in self._classes[name].body
            if isinstance(each, ast.FunctionDef)
            and any(ast.unparse(one) == "builtins.property" for one in each.decorator_list)
        }

    def _init(self, name: str) -> ast.arguments:
        for each in self._classes[name].body:
            if isinstance(each, ast.FunctionDef) and each.name == "__init__":
                return each.args
        raise SchemaError(f"the bindings' {name} is not made as it was")

    def _struct(self, annotation: ast.expr | None) -> str | None:
        for name in self._named(annotation):
            if not name.endswith(("OutputReference", "List")):
                return name
        return None

    def _reference(self, annotation: ast.expr | None) -> str | None:
        for name in self._named(annotation):
            single = f"{name.removesuffix('List')}OutputReference"
            return name if name.endswith("OutputReference") else single
        return None

    def _named(self, annotation: ast.expr | None) -> list[str]:
        text = ast.unparse(annotation) if annotation else ""
        return [each for each in re.findall(r"\w+", text) if each in self._classes]


class Deprecations:
    """What the provider deprecates, as Pulumi's bindings for Python say it."""

    def __init__(self, wheel: Path) -> None:
        self._wheel = zipfile.ZipFile(wheel)
        self._names = set(self._wheel.namelist())
        self._found: dict[str, dict[tuple[str, str], str]] = {}

    def fault(self, use: Use) -> str | None:
        """The provider's own words on a use that it deprecates."""
        place = self._place(use.kind)
        if place is None:
            return None
        *parents, name = use.path
        words = place.rpartition("/")[2].removeprefix("get_").split("_")
        owner = "".join(each.capitalize() for each in words)
        owner += "".join(_plain(part) for parent in parents for part in parent.split("_"))
        for (known, attribute), said in self._of(place, nested=bool(parents)).items():
            same = _plain(attribute.replace("_", "")) == _plain(name.replace("_", ""))
            if same and _plain(_owner(known)) == _plain(owner):
                return f"deprecated: {said}"
        return None

    def knows(self, kind: str) -> bool:
        """Whether deprecations of a resource or data source can be looked up."""
        return self._place(kind) is not None

    def _place(self, kind: str) -> str | None:
        data, name = kind.startswith("data."), kind.rpartition("aws_")[2]
        service, _, rest = _PULUMI_NAMES.get(name, name).partition("_")
        service += "_" * keyword.iskeyword(service)
        found = [f"{service}/get_{rest}", f"get_{name}"] if data else [f"{service}/{rest}"]
        return next((each for each in found if f"pulumi_aws/{each}.py" in self._names), None)

    def _of(self, place: str, *, nested: bool) -> dict[tuple[str, str], str]:
        folder = place.rpartition("/")[0]
        file = f"{folder}/_inputs".lstrip("/") if nested else place
        if file not in self._found:
            name = f"pulumi_aws/{file}.py"
            tree = ast.parse(self._wheel.read(name)) if name in self._names else ast.parse("")
            self._found[file] = {
                (owner.name, each.name): _said(decorator)
                for owner in ast.walk(tree)
                if isinstance(owner, ast.ClassDef)
                for each in owner.body
                if isinstance(each, ast.FunctionDef)
                for decorator in each.decorator_list
                if isinstance(decorator, ast.Call)
                and ast.unparse(decorator.func).endswith("deprecated")
            }
        return self._found[file]


def _owner(name: str) -> str:
    """`TableArgs`, `_TableState` and `GetTableResult` without what is not the resource's name."""
    return re.sub(r"^_|^Get|(Args|State|Result|ArgsDict)$", "", re.sub(r"^_", "", name))


def _plain(name: str) -> str:
    return name.rstrip("s").lower()


def _said(decorator: ast.Call) -> str:
    (text,) = decorator.args
    return str(ast.literal_eval(text)).strip()


# The two together


def check(files: Iterable[Path], schema: Schema, deprecations: Deprecations) -> list[str]:
    """Faults of all uses, each once."""
    found: dict[str, None] = {}
    given: dict[tuple[str, str], dict[tuple[str, ...], set[str]]] = {}
    for use in uses(files):
        said = schema.fault(use) or deprecations.fault(use)
        if said:
            found[f"{use}: {said}"] = None
        if not use.read:
            blocks = given.setdefault((use.file, use.kind), {})
            blocks.setdefault(use.path[:-1], set()).add(use.path[-1])
    for (file, kind), blocks in given.items():
        for name in schema.missing(kind, blocks):
            found[f"{file}: {kind}.{name}: it is required, and not given"] = None
    return list(found)


def configuration() -> list[Path]:
    """Every Terraform file that a user may apply."""
    places = [ROOT, *sorted((ROOT / "modules").iterdir()), *sorted((ROOT / "examples").iterdir())]
    return [file for place in places for file in sorted(place.glob("*.tf"))]


def download(*, latest: bool) -> list[Path]:
    """The wheels of the bindings, from the cache where they are there already."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    cache = base / "terraform-aws-redshift-anomaly-detector" / "provider"
    wheels = []
    for line in PINS.read_text(encoding="utf-8").splitlines():
        if not line or line.startswith("#"):
            continue
        name, _, version = line.partition("==")
        stem = name.replace("-", "_")
        kept = sorted(cache.glob(f"{stem}-{'*' if latest else version}-*.whl"))
        if latest or not kept:
            command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
            command += ["--only-binary", ":all:", "--dest", str(cache), name if latest else line]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                why = (done.stderr.strip().splitlines() or ["pip failed"])[-1]
                raise SchemaError(f"{line} cannot be downloaded ({why})")
            kept = sorted(cache.glob(f"{stem}-*.whl"), key=lambda each: each.stat().st_mtime)
        wheels.append(kept[-1])
    return wheels


def main() -> int:
    """Check every configuration; exit status 1 where something is gone or deprecated."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--latest", action="store_true", help="use the newest bindings instead of the pinned ones"
    )
    chosen = parser.parse_args()
    try:
        bindings, pulumi = download(latest=chosen.latest)
        schema, deprecations = Schema(bindings), Deprecations(pulumi)
        version = schema.version
    except SchemaError as error:
        print(f"NOT RUN: newest-provider: {error}.")
        return 0
    files = configuration()
    found = check(files, schema, deprecations)
    print("\n".join(found))
    kinds = {each.kind for each in uses(files)}
    unknown = sorted(each for each in kinds if not deprecations.knows(each))
    if unknown:
        print(f"NOT RUN: deprecations of {', '.join(unknown)}: not found in {pulumi.name}.")
    print(
        f"hashicorp/aws {version}: {len(kinds)} resources and data sources, "
        f"{len(set(uses(files)))} uses, {len(found)} faults"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
