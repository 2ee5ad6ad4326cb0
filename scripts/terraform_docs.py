"""Write what terraform-docs writes between its markers in the README of root, modules and examples.

The same bytes as `terraform-docs markdown table` with `.terraform-docs.yml`, for whoever has only
Python: Requirements, Providers, Modules, Resources, Inputs and Outputs. `--check` writes nothing
and fails where a README is not up to date. The parser knows Terraform as `terraform fmt` leaves it
in this repository, no more.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import hcl2

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- BEGIN_TF_DOCS -->", "<!-- END_TF_DOCS -->"
_BLOCK = re.compile(
    r'^(\w+)(?: "([^"]+)")?(?: "([^"]+)")? \{(?:\}|\n(.*?)^\})', re.MULTILINE | re.DOTALL
)
_ARGUMENT = re.compile(r"^  (\w+)\s*=\s*", re.MULTILINE)
_HEREDOC = re.compile(r"<<-?(\w+)\n(.*?)\n\s*\1\s*$", re.DOTALL | re.MULTILINE)
_PROVIDER = re.compile(r"^    (\w+) = \{\n(.*?)^    \}", re.MULTILINE | re.DOTALL)
_TEXT = re.compile(r'^\s*(\w+)\s*=\s*"([^"]*)"', re.MULTILINE)
_BRACKETS = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


@dataclass(frozen=True)
class Block:
    """A block at the top of a file: its kind, its labels, and the source of its arguments."""

    kind: str
    labels: tuple[str, ...]
    arguments: dict[str, str]
    body: str

    @property
    def name(self) -> str:
        return self.labels[-1]

    @property
    def address(self) -> str:
        return ".".join(self.labels)


def blocks(folder: Path) -> list[Block]:
    """All blocks of a folder's files."""
    return [
        Block(kind, tuple(filter(None, labels)), dict(_arguments(body)), body)
        for file in sorted(folder.glob("*.tf"))
        for kind, *labels, body in _BLOCK.findall(file.read_text(encoding="utf-8"))
    ]


def _arguments(body: str) -> Iterator[tuple[str, str]]:
    """Names and expressions of a block's own arguments, nested blocks left out."""
    place = 0
    while match := _ARGUMENT.search(body, place):
        start = match.end()
        heredoc = _HEREDOC.match(body, start)
        place = heredoc.end() if heredoc else _end(body, start)
        yield match[1], body[start:place].strip()


def _end(body: str, start: int) -> int:
    """End of an expression: of its line, or of the line on which its brackets are closed."""
    depth = 0
    quoted = False
    for place in range(start, len(body)):
        sign = body[place]
        if sign == '"' and body[place - 1] != "\\":
            quoted = not quoted
        elif not quoted:
            depth += _BRACKETS.get(sign, 0)
            if sign == "\n" and depth == 0:
                return place
    return len(body)


def _text(expression: str) -> str:
    """Value of a string without templates."""
    heredoc = _HEREDOC.match(expression)
    if heredoc:
        text = textwrap.dedent(heredoc[2])
    else:
        text = re.sub(r"\\(.)", r"\1", expression.removeprefix('"').removesuffix('"'))
    return text.replace("$${", "${").replace("%%{", "%{")


def _value(expression: str) -> object:
    """Value of a default, which is a constant."""
    heredoc = _HEREDOC.match(expression)
    if heredoc:
        return f"{_text(expression)}\n"
    try:
        return json.loads(expression)
    except json.JSONDecodeError:
        return _plain(hcl2.loads(f"value = {expression}\n")["value"])


def _plain(parsed: object) -> object:
    """What the parser of HCL gives, its strings and keys without their quotes."""
    if isinstance(parsed, dict):
        return {_plain(key): _plain(each) for key, each in parsed.items()}
    if isinstance(parsed, list):
        return [_plain(each) for each in parsed]
    return _text(parsed) if isinstance(parsed, str) else parsed


def _code(source: str) -> str:
    """Code in a cell."""
    return f"<pre>{source.replace(chr(10), '<br/>')}</pre>" if "\n" in source else f"`{source}`"


def _escaped(text: str) -> str:
    return text.replace("_", "\\_")


def _cell(text: str) -> str:
    """A description in a cell: code stays as it is, lines end in breaks."""
    return "".join(
        _code_block(part) if place % 2 else _prose(part)
        for place, part in enumerate(text.split("```"))
    )


def _code_block(text: str) -> str:
    return f"<pre>{text.strip().replace(chr(10), '<br/>')}</pre>"


def _prose(text: str) -> str:
    parts = text.split("`")
    # Quoted code has its bars and underscores; so have addresses.
    parts[::2] = [_escaped(each).replace("|", "\\|") for each in parts[::2]]
    text = re.sub(r"\w+://[^\s|<>]+", lambda found: found[0].replace("\\", ""), "`".join(parts))
    # Two blanks at a line's end are a break, too.
    return re.sub(r" *\n", "<br/>", text.strip())


def _anchor(kind: str, name: str) -> str:
    mark = f"{kind}_{name}"
    return f'<a name="{mark}"></a> [{_escaped(name)}](#{_escaped(mark)})'


def _section(title: str, columns: str, rows: Sequence[Sequence[str]]) -> str:
    """A heading and its table, or the sentence that there is nothing."""
    if not rows:
        return f"## {title}\n\nNo {title.lower()}."
    names = columns.split()
    lines = [names, [":------:" if each == "Required" else "-" * len(each) for each in names]]
    table = "\n".join(f"| {' | '.join(each)} |" for each in [*lines, *rows])
    return f"## {title}\n\n{table}"


def _required(found: Sequence[Block]) -> tuple[list[str], dict[str, dict[str, str]]]:
    """Versions of Terraform, and `source` and `version` of each provider, by name."""
    cores = []
    providers = {}
    for each in found:
        if each.kind == "terraform":
            cores += [_text(each.arguments["required_version"])]
            for name, body in _PROVIDER.findall(each.body):
                providers[name] = dict(_TEXT.findall(body))
    return cores, dict(sorted(providers.items()))


def _resource_row(block: Block, sources: dict[str, dict[str, str]]) -> tuple[str, str]:
    provider, _, kind = block.labels[0].partition("_")
    mode, place = {
        "resource": ("resource", "resources"),
        "data": ("data source", "data-sources"),
    }[block.kind]
    source = sources.get(provider, {}).get("source", f"hashicorp/{provider}")
    address = f"https://registry.terraform.io/providers/{source}/latest/docs/{place}/{kind}"
    return f"[{block.address}]({address})", mode


def _input_row(block: Block) -> list[str]:
    default = block.arguments.get("default")
    shown = "n/a"
    if default is not None:
        value = _value(default)
        shown = _code(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False))
    return [
        _anchor("input", block.name),
        _cell(_text(block.arguments.get("description", ""))) or "n/a",
        _code(block.arguments.get("type", "any")),
        shown,
        "yes" if default is None else "no",
    ]


def content(folder: Path) -> str:
    """All sections of a module."""
    found = blocks(folder)
    cores, providers = _required(found)
    used = {
        each.arguments.get("provider") or each.labels[0].partition("_")[0]
        for each in found
        if each.kind in ("resource", "data")
    }

    def version(name: str) -> str:
        return providers.get(name.partition(".")[0], {}).get("version", "n/a")

    def named(kind: str) -> list[Block]:
        return sorted((each for each in found if each.kind == kind), key=lambda each: each.address)

    required = [("terraform", each) for each in cores]
    required += [(name, version(name)) for name in providers]
    sections: list[tuple[str, str, Sequence[Sequence[str]]]] = [
        ("Requirements", "Name Version", [[_anchor("requirement", a), b] for a, b in required]),
        (
            "Providers",
            "Name Version",
            [[_anchor("provider", each), version(each)] for each in sorted(used)],
        ),
        (
            "Modules",
            "Name Source Version",
            [
                [
                    _anchor("module", each.name),
                    _text(each.arguments["source"]),
                    _text(each.arguments.get("version", "n/a")),
                ]
                for each in named("module")
            ],
        ),
        (
            "Resources",
            "Name Type",
            [_resource_row(each, providers) for each in [*named("resource"), *named("data")]],
        ),
        (
            "Inputs",
            "Name Description Type Default Required",
            [_input_row(each) for each in named("variable")],
        ),
        (
            "Outputs",
            "Name Description",
            [
                [_anchor("output", each.name), _cell(_text(each.arguments["description"]))]
                for each in named("output")
            ],
        ),
    ]
    return "\n\n".join(_section(*each) for each in sections)


def with_content(readme: Path) -> str:
    """The README's text with its folder's sections between the markers."""
    before, begun, rest = readme.read_text(encoding="utf-8").partition(f"{BEGIN}\n")
    _, ended, after = rest.partition(END)
    if not (begun and ended):
        raise SystemExit(f"{readme.relative_to(ROOT)} lacks the lines '{BEGIN}' and '{END}'")
    return f"{before}{BEGIN}\n{content(readme.parent)}\n{END}{after}"


def folders() -> list[Path]:
    """Root, every module and every example of one configuration."""
    below = [
        file.parent for place in ("modules", "examples") for file in ROOT.glob(f"{place}/*/main.tf")
    ]
    return [ROOT, *sorted(below)]


def main() -> int:
    """Write or check every README; exit status 1 where a checked one is out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    check = parser.parse_args().check
    stale = []
    for folder in folders():
        readme = folder / "README.md"
        if not readme.is_file():
            print(f"{readme.relative_to(ROOT)} is missing")
            return 1
        new = with_content(readme)
        if new == readme.read_text(encoding="utf-8"):
            continue
        stale.append(str(readme.relative_to(ROOT)))
        if not check:
            readme.write_text(new, encoding="utf-8")
    if check and stale:
        print(f"Out of date: {', '.join(stale)}. Run: make docs")
        return 1
    print(f"READMEs of modules: {', '.join(stale) + ' written' if stale else 'up to date'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
