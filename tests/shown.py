"""The commands that documents and `--help` show, as one would type them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from anomaly_detector import cli

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), ROOT / "local/README.md"]
    + [each for place in ("docs", "examples", "modules") for each in ROOT.glob(f"{place}/**/*.md")]
)
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
# In a block without a language, what begins with one of these is a command.
PROGRAMS = ("anomaly-detector", "aws", "make", "pip", "pipx", "python", "terraform", "terragrunt")
_SHELLS = ("bash", "console", "sh", "shell")
_INLINE = re.compile(r"`((?:python -m|make) [^`…<]+)`")
_COMMENT = re.compile(r"\s+#\s.*$")
_OURS = re.compile(r"(?:python -m anomaly_detector|anomaly-detector) (?=[a-z])")


@dataclass(frozen=True)
class Shown:
    """A command line, without comment and prompt, and the document that shows it."""

    document: str
    line: str

    @property
    def program(self) -> str:
        return self.line.split()[0]

    @property
    def arguments(self) -> str | None:
        """Those of our own command; None for any other."""
        ours = _OURS.match(self.line)
        return self.line[ours.end() :] if ours else None


def commands() -> list[Shown]:
    """Every command of a block, and those in a sentence."""
    found = []
    for document in DOCUMENTS:
        name = str(document.relative_to(ROOT))
        text = document.read_text(encoding="utf-8")
        for language, block in FENCE.findall(text):
            lines = block.replace("\\\n", " ").splitlines()
            for line in (" ".join(_COMMENT.sub("", each).split()) for each in lines):
                first = line.partition(" ")[0]
                if line and (language in _SHELLS or (not language and first in PROGRAMS)):
                    found.append(Shown(name, line))
        # In a sentence, `[…]` may be left out, and a command without options is but named.
        for line in _INLINE.findall(FENCE.sub("", text)):
            one = Shown(name, " ".join(re.sub(r"[\[\]]", "", line).split()))
            if one.arguments is None or " --" in line:
                found.append(one)
    return found


def of_help() -> list[Shown]:
    """The examples in the help of our own commands."""
    (choices,) = (each.choices for each in cli._parser()._actions if each.dest == "command")
    found = []
    for name, parser in choices.items():
        lines = (" ".join(each.split()) for each in parser.epilog.replace("\\\n", " ").splitlines())
        found += [Shown(f"{name} --help", each) for each in lines if _OURS.match(each)]
    return found
