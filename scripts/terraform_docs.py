"""Write the tables of inputs and outputs between the markers of root's and every module's README.

`--check` writes nothing and fails where a table is not up to date. The parser knows Terraform as
`terraform fmt` leaves it in this repository, no more.
"""

from __future__ import annotations

import argparse
import re
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_BLOCK = re.compile(r'^(variable|output) "(\w+)" \{\n(.*?)^\}\n', re.MULTILINE | re.DOTALL)
_ARGUMENT = re.compile(r"^  (\w+)\s*=\s*", re.MULTILINE)
_HEREDOC = re.compile(r"<<-?(\w+)\n(.*?)\n\s*\1\s*$", re.DOTALL | re.MULTILINE)
_BRACKETS = {"(": 1, "[": 1, "{": 1, ")": -1, "]": -1, "}": -1}


@dataclass(frozen=True)
class Entry:
    """One variable or output; `default` is None where the input is required."""

    name: str
    description: str
    type: str
    default: str | None


def entries(file: Path) -> list[Entry]:
    """Variables or outputs of a file, in its order."""
    if not file.is_file():
        return []
    found = []
    for _, name, body in _BLOCK.findall(file.read_text(encoding="utf-8")):
        arguments = dict(_arguments(body))
        if "description" not in arguments:
            raise SystemExit(f"{file.relative_to(ROOT)}: '{name}' has no description")
        found.append(
            Entry(
                name=name,
                description=_text(arguments["description"]),
                type=_short_type(arguments.get("type", "")),
                default=arguments.get("default"),
            )
        )
    return found


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
    heredoc = _HEREDOC.match(expression)
    if heredoc:
        return textwrap.dedent(heredoc[2])
    return re.sub(r"\\(.)", r"\1", expression.removeprefix('"').removesuffix('"'))


def _short_type(expression: str) -> str:
    """`map(object)` for `map(object({ … }))`: the description names the keys."""
    return re.sub(r"object\(\{.*\}\)", "object", expression, flags=re.DOTALL)


def _cell(text: str) -> str:
    """Text of a table's cell; a list item goes to its own line, deeper ones behind an indent."""
    lines: list[str] = []
    for line in text.strip().splitlines():
        item = re.match(r"( *)- ", line)
        if item:
            lines.append("&nbsp;" * len(item[1]) + "• " + line[item.end() :])
        elif lines and not lines[-1].startswith(("•", "&nbsp;")):
            lines[-1] += " " + line.strip()
        else:
            lines.append(line.strip())
    return "<br>".join(lines).replace("|", "\\|")


def _default(expression: str | None) -> str:
    if expression is None:
        return "required"
    return f"`{' '.join(expression.split())}`"


def inputs_table(variables: list[Entry]) -> str:
    """Markdown table of inputs."""
    rows = ["| name | description | type | default |", "|---|---|---|---|"]
    rows += [
        f"| `{each.name}` | {_cell(each.description)} | `{each.type}` | {_default(each.default)} |"
        for each in variables
    ]
    return "\n".join(rows)


def outputs_table(outputs: list[Entry]) -> str:
    """Markdown table of outputs."""
    rows = ["| name | description |", "|---|---|"]
    rows += [f"| `{each.name}` | {_cell(each.description)} |" for each in outputs]
    return "\n".join(rows)


def with_tables(readme: str, folder: Path) -> str:
    """The README's text with the tables of its folder's files between the markers."""
    tables = {
        "inputs": inputs_table(entries(folder / "variables.tf")),
        "outputs": outputs_table(entries(folder / "outputs.tf")),
    }
    for kind, table in tables.items():
        begin, end = f"<!-- {kind}:begin -->", f"<!-- {kind}:end -->"
        before, found, rest = readme.partition(begin)
        _, closed, after = rest.partition(end)
        if found and not closed:
            raise SystemExit(f"{folder / 'README.md'}: '{begin}' is not closed by '{end}'")
        if found:
            readme = f"{before}{begin}\n{table}\n{end}{after}"
    return readme


def main() -> int:
    """Write or check every README; exit status 1 where a checked one is out of date."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, fail on a difference")
    check = parser.parse_args().check
    folders = [ROOT, *sorted(file.parent for file in (ROOT / "modules").glob("*/main.tf"))]
    folders += sorted(file.parent for file in (ROOT / "examples").glob("*/main.tf"))
    stale = []
    for folder in folders:
        readme = folder / "README.md"
        if not readme.is_file():
            print(f"{readme.relative_to(ROOT)} is missing")
            return 1
        old = readme.read_text(encoding="utf-8")
        new = with_tables(old, folder)
        if new == old:
            continue
        stale.append(str(readme.relative_to(ROOT)))
        if not check:
            readme.write_text(new, encoding="utf-8")
    if check and stale:
        print(f"Out of date: {', '.join(stale)}. Run: make docs")
        return 1
    print(
        f"Tables of inputs and outputs: {', '.join(stale) + ' written' if stale else 'up to date'}"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
