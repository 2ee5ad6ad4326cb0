"""Every input stands in one place: its variable. What is told of it elsewhere agrees with that."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import hcl2
import pytest
from anomaly_detector.config import Config

from scripts.terraform_docs import BEGIN, END, Block, _text, blocks, folders
from tests.shown import DOCUMENTS, FENCE, ROOT

KEY = re.compile(r"^( +)(\w+)\s*= (.+)$", re.MULTILINE)
ITEM = re.compile(r"^( *)- `(\w+)` - (.*)$", re.MULTILINE)
TOLD = re.compile(
    r"`([\w.*]+)`[^.`\n|]{0,50}?\bdefault(?:s to| of| is|:)?,? (`[^`]+`|[\d,.]*\d|\w+)"
)
OPTIONAL = re.compile(r"optional\((?:(?:map|list)\(.*\)|\w+)(?:, (.+))?\)$")


def variables(folder: Path) -> dict[str, Block]:
    return {each.name: each for each in blocks(folder) if each.kind == "variable"}


def nested(lines: list[tuple[str, str, str]]) -> list[tuple[tuple[str, ...], str]]:
    """Keys by their path, from the indents of their lines, each with the rest of its line."""
    found: list[tuple[tuple[str, ...], str]] = []
    above: list[tuple[int, str]] = []
    for indent, key, rest in lines:
        above = [each for each in above if each[0] < len(indent)] + [(len(indent), key)]
        found.append((tuple(name for _, name in above), rest))
    return found


def keys(variable: Block) -> list[tuple[tuple[str, ...], str]]:
    """Keys of the type, with what each may hold."""
    return nested(KEY.findall(variable.arguments["type"]))


def items(variable: Block) -> list[tuple[tuple[str, ...], str]]:
    """Keys that the description tells, with its words."""
    return nested(ITEM.findall(_text(variable.arguments["description"])))


@pytest.mark.parametrize("name", variables(ROOT))
def test_each_key_is_told_once_in_the_order_of_the_type(name: str) -> None:
    variable = variables(ROOT)[name]
    told = dict(items(variable))
    assert len(told) == len(items(variable))

    # Keys of a key may be told in its own line, or be those of another.
    held = [
        (path, holds)
        for path, holds in keys(variable)
        if path in told or not re.search(f"`{path[-1]}`|; same keys", told.get(path[:-1], ""))
    ]
    assert [path for path, _ in held] == list(told)
    for path, holds in held:
        word = "(Optional)" if holds.startswith("optional(") else "(Required)"
        assert told[path].startswith(word), path


@pytest.mark.parametrize("name", variables(ROOT))
def test_the_default_that_is_told_is_the_one_that_holds(name: str) -> None:
    variable = variables(ROOT)[name]
    told = dict(items(variable))

    for path, holds in keys(variable):
        default = OPTIONAL.match(holds)
        says = re.search(r"Defaults to (`[^`]*`|[^.;:,]+)", told.get(path, ""))
        if default is None or path not in told:
            continue
        value = default[1]
        if value is None or re.fullmatch(r"\[.*\]|\{.*\}", value):
            # Nothing, or several: said in words, but never a value.
            assert (
                says is None
                or not re.fullmatch(r"`[\d.]+`|`(true|false)`", says[1])
                or (path[-1] == "max_age_days")
            )
        else:
            assert says, path
            assert says[1].strip("`") == value.strip('"'), path


@cache
def prose(document: Path) -> str:
    """A document without what is generated, and without blocks."""
    text = document.read_text(encoding="utf-8")
    text = re.sub(f"{BEGIN}.*?{END}", "", text, flags=re.DOTALL)
    return FENCE.sub("", text)


def test_documents_tell_no_other_default() -> None:
    defaults = {
        ".".join((name, *path)): (OPTIONAL.match(holds) or {1: None})[1]
        for name, variable in variables(ROOT).items()
        for path, holds in keys(variable)
    }
    compared = 0
    for document in DOCUMENTS:
        for key, value in TOLD.findall(prose(document)):
            ends = f".{key.replace('*.', '')}"
            fitting = [default for name, default in defaults.items() if f".{name}".endswith(ends)]
            if fitting and re.match(r"[\d`]", value):
                compared += 1
                assert value.strip("`").replace(",", "") in fitting, (document.name, key, value)
    assert compared
    assert TOLD.findall("`alerts.*.threshold` (by default `60`)") == [
        ("alerts.*.threshold", "`60`")
    ]
    assert TOLD.findall("`threshold` defaults to 60.") == [("threshold", "60")]


def test_each_key_of_an_input_is_read() -> None:
    """By the document's model, or by a file of Terraform."""
    schema = Config.model_json_schema()
    models = [schema, *schema["$defs"].values()]
    known = {key for model in models for key in model.get("properties", {})}
    # A topic, by its key.
    known |= {"alerts", "operations"}
    source = "\n".join(
        re.sub(r'^variable "\w+" \{\n.*?^\}\n', "", file.read_text("utf-8"), flags=re.M | re.S)
        for file in [*ROOT.glob("*.tf"), *ROOT.glob("modules/*/*.tf")]
    )
    read = set(re.findall(r"\.(\w+)", source))

    for name, variable in variables(ROOT).items():
        assert re.search(rf"\bvar\.{name}\b", source), name
        for path, _ in keys(variable):
            assert path[-1] in known | read, (name, path)


@pytest.mark.parametrize(
    "folder", [each for each in folders() if each.parent.name == "examples"], ids=lambda f: f.name
)
def test_an_example_repeats_no_default_of_the_module(folder: Path) -> None:
    """What it passes on as null or leaves out is the module's default."""
    own = variables(ROOT)
    for name, variable in variables(folder).items():
        if name not in own:
            continue
        known = dict(keys(own[name]))
        for path, holds in keys(variable):
            assert path in known, (name, path)
            mine, its = OPTIONAL.match(holds), OPTIONAL.match(known[path])
            assert not (mine and its and mine[1] and mine[1] == its[1]), (name, path)


def _unknown(
    value: object, holds: str, path: tuple[str, ...], known: dict[tuple[str, ...], str]
) -> Iterator[str]:
    """Keys of a value that the type does not have; what is computed is left out."""
    if isinstance(value, list):
        for each in value:
            yield from _unknown(each, holds.replace("list(object", "object", 1), path, known)
    elif isinstance(value, dict) and "map(object" in holds:
        for each in value.values():
            yield from _unknown(each, holds.replace("map(object", "object", 1), path, known)
    elif isinstance(value, dict) and "object(" in holds:
        for key, each in value.items():
            below = (*path, key.strip('"'))
            if below in known:
                yield from _unknown(each, known[below], below, known)
            else:
                yield ".".join(below)


def _misspelt(given: dict[str, object]) -> list[str]:
    own = variables(ROOT)
    aside = {"source", "version", "providers", "for_each", "depends_on"}
    names = {each for each in given if not each.startswith("__")}  # as of comments
    found = sorted(names - {*own, *aside})
    for name, value in given.items():
        if name in own:
            outermost = own[name].arguments["type"].partition("\n")[0]
            found += _unknown(value, outermost, (name,), _paths(name))
    return found


@cache
def _paths(name: str) -> dict[tuple[str, ...], str]:
    return {(name, *path): holds for path, holds in keys(variables(ROOT)[name])}


def _calls(parsed: dict[str, Any]) -> Iterator[dict[str, object]]:
    """Arguments of calls of the module."""
    for block in parsed.get("module", []):
        for arguments in block.values():
            source = arguments.get("source", '"../.."').strip('"')
            if source.endswith(("redshift-anomaly-detector/aws", "../..")):
                yield arguments


SHOWN = [
    (document.relative_to(ROOT), text)
    for document in DOCUMENTS
    for language, text in FENCE.findall(document.read_text("utf-8"))
    if language == "hcl"
]


@pytest.mark.parametrize("number", range(len(SHOWN)))
def test_keys_that_a_document_shows_exist(number: int) -> None:
    """Terraform ignores a misspelt key of an object without a word."""
    _, text = SHOWN[number]
    parsed = hcl2.loads(text)
    calls = list(_calls(parsed))
    if not {"module", "locals", "data"} & set(parsed):
        calls = [parsed]  # some inputs alone

    assert [_misspelt(each) for each in calls] == [[] for _ in calls]


@pytest.mark.parametrize("folder", folders()[1:], ids=lambda each: each.name)
def test_keys_that_an_example_sets_exist(folder: Path) -> None:
    calls = list(_calls(hcl2.loads((folder / "main.tf").read_text("utf-8"))))

    assert calls or folder.parent.name == "modules"
    assert [_misspelt(each) for each in calls] == [[] for _ in calls]


def test_a_misspelt_key_is_seen() -> None:
    text = """
    alerts   = { a = { treshold = 5, digest = { evry = "day" } } }
    schedule = { offset_second = 5 }
    measures = { r = { direction_by_slice = [{ directions = "up" }], max = 1 } }
    measure  = {}
    """
    found = _misspelt(hcl2.loads(text))

    assert found == [
        "measure",
        "alerts.treshold",
        "alerts.digest.evry",
        "schedule.offset_second",
        "measures.direction_by_slice.directions",
    ]
