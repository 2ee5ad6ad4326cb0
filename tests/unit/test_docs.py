"""What the documents say of tests, files, alarms and gates is so."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from scripts import gates
from tests.shown import DOCUMENTS, FENCE, ROOT

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|(?:href|src|srcset)=\"([^\"]+)\"")
PLACE = re.compile(r"`((?:\w[\w.-]*/)+[\w.-]*\w|[\w-]+\.(?:md|py|tf|toml))`")
QUOTED = re.compile(r"`((?:[a-z_0-9]+/)*test_\w+\.py)::(\w+)`")
FILES = re.compile(r"`([a-z_]+\.tftest\.hcl)`(?: \(([^)]*)\))?")


@pytest.mark.parametrize("document", ["reliability.md", "security.md"])
def test_every_test_that_is_quoted_exists(document: str) -> None:
    text = (ROOT / "docs" / document).read_text(encoding="utf-8")
    quoted = QUOTED.findall(text)
    assert len(quoted) > 5

    lacking = [
        f"{file}::{test}"
        for file, test in quoted
        if f"def {test}(" not in (ROOT / "tests" / file).read_text(encoding="utf-8")
    ]
    assert lacking == []

    for file, runs in FILES.findall(text):
        source = (ROOT / "tests/terraform" / file).read_text(encoding="utf-8")
        for run in re.findall(r"`(\w+)`", runs):
            assert f'run "{run}"' in source


@cache
def prose(document: Path) -> str:
    """A document without its code blocks."""
    return FENCE.sub("", document.read_text(encoding="utf-8"))


@cache
def anchors(document: Path) -> set[str]:
    """What GitHub calls its headings, and names that it gives itself."""
    heads = re.findall(r"^#+ (.+)$", prose(document), re.MULTILINE)
    plain = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", each) for each in heads]
    made = {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in plain}
    return made | set(re.findall(r"<a (?:id|name)=\"([^\"]+)\"", prose(document)))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda each: str(each.relative_to(ROOT)))
def test_every_link_within_the_repository_leads_somewhere(document: Path) -> None:
    lacking = []
    for one, other in LINK.findall(prose(document)):
        link = (one or other).replace("\\_", "_")
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        to = (document.parent / path).resolve() if path else document
        if not to.exists() or (anchor and anchor not in anchors(to)):
            lacking.append(link)
    assert lacking == []


def test_every_alarm_has_its_place_in_the_runbook() -> None:
    source = (ROOT / "modules/monitoring/main.tf").read_text(encoding="utf-8")
    blocks = source.split("alarms = merge(")
    own = re.findall(r"^    ([a-z-]+) = \{", blocks[1].split("\n}\n")[0], re.MULTILINE)
    outcomes = re.findall(r"^    ([a-z-]+) += \"Executions", source, re.MULTILINE)
    alarms = {f"{machine}-{one}" for machine in ("crawl", "pipeline") for one in outcomes}
    alarms |= {"silence", "budget", *own}
    assert len(outcomes) == 3
    assert len(own) > 3

    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^### `([a-z-]+)`$", text, re.MULTILINE)) == alarms


def test_every_message_of_the_operations_topic_is_in_the_runbook() -> None:
    text = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    table = text.split("## Other messages of the operations topic")[1].split("\n## ")[0]
    told = [
        subject
        for row in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
        for subject in re.findall(r"`([^`]+)`", row)
    ]
    files = sorted((ROOT / "lambda_src/anomaly_detector/services").glob("*.py"))
    source = "\n".join(file.read_text(encoding="utf-8") for file in files)
    subjects = re.findall(r'f"\{(?:[\w.]*name|detector)\}: ([^"]+)"', source)
    assert len(told) > 8
    assert len(subjects) > 5

    def parts(words: str, varying: str) -> list[str]:
        return [each.strip(" '") for each in re.split(varying, words) if each.strip(" '")]

    # What differs from message to message, in the document and in the code.
    lacking = [each for each in subjects for part in parts(each, r"\{.*?\}") if part not in table]
    assert lacking == []
    varying = r"^pipeline|^crawl|^an alert|\bN\b|…"
    unknown = [each for each in told for part in parts(each, varying) if part not in source]
    assert unknown == []


def test_every_gate_is_told_to_who_contributes() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.split("<!-- gates:begin -->")[1].split("<!-- gates:end -->")[0]

    told = re.findall(r"^\| `([a-z-]+)` \|", table, re.MULTILINE)
    assert told == [*gates.QUICK, *gates.LONG]


@pytest.mark.parametrize("document", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_every_file_that_a_guide_names_exists(document: str) -> None:
    roots = [
        "",
        "docs",
        "tests",
        "tests/terraform",
        "tests/contract",
        "lambda_src/anomaly_detector",
    ]
    named = set(PLACE.findall(prose(ROOT / document)))
    assert len(named) > 20
    # In the bucket, and in a registry.
    elsewhere = {"config/detector.json", "hashicorp/aws"}

    lacking = [
        each
        for each in sorted(named - elsewhere)
        if not any([*(ROOT / root).glob(each), *(ROOT / root).glob(f"*/{each}")] for root in roots)
    ]
    assert lacking == []


def test_the_core_imports_nothing_of_aws() -> None:
    """As docs/architecture.md says of its rooms."""
    sources = ROOT / "lambda_src"
    edge = ("lookout/api.py", "lookout/requests.py", "warehouse/data_api.py", "warehouse/roles.py")
    rooms = ("detection/*", "events/*", "report/*", "lookout/*", "warehouse/*")
    single = ("replay", "snapshot", "panel", "lattice", "intervals", "config")
    package = sources / "anomaly_detector"
    files = [each for room in rooms for each in package.glob(f"{room}.py")]
    names = [
        each.relative_to(sources).with_suffix("").as_posix().replace("/", ".")
        for each in [*files, *(package / f"{name}.py" for name in single)]
        if each.relative_to(package).as_posix() not in edge
    ]
    assert len(names) > 40
    code = (
        "import importlib, sys\n"
        f"for name in {names!r}: importlib.import_module(name.removesuffix('.__init__'))\n"
        "print({'boto3', 'botocore'} & set(sys.modules))"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        env={"PYTHONPATH": str(sources)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stdout == "set()\n", done.stdout + done.stderr
