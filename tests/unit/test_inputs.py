"""Every input stands in one place: its variable. What is told of it elsewhere agrees with that."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

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
