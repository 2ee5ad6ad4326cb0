"""Every command that a document or `--help` shows is run, or says here which test runs it.

Those on files run on files of these names, those for a deployed detector on one that answers from
memory, in the order in which a page shows them.
"""

from __future__ import annotations

import functools
import gzip
import json
import re
import shlex
import shutil
import webbrowser
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import botocore.session
import pyarrow.csv as arrow_csv
import pyarrow.parquet as pq
import pytest
from anomaly_detector import cli
from anomaly_detector.handlers import respond
from anomaly_detector.ledger.ledger import Ledger
from anomaly_detector.operate import deployment

from local.cloud.__main__ import _parser as cloud_parser
from scripts.terraform_docs import blocks
from tests.shown import ROOT, Shown, commands, of_help
from tests.unit import test_operate
from tests.unit.alerts_samples import group, stored
from tests.unit.cli_files import shop, write_csv
from tests.unit.services_world import DAY, H1, World, document, sales
from tests.unit.test_handlers import Context

ledger, active, answered = test_operate.ledger, test_operate.active, test_operate.answered

SHOWN = list(dict.fromkeys([*commands(), *of_help()]))
OURS = [each for each in SHOWN if each.arguments]
# Run elsewhere, each with the test that does so.
ELSEWHERE = {
    r"python3 -m venv \.venv|\. \.venv/bin/activate|pip install -e \.": "unit/test_distribution.py",
    r".* --from-warehouse .*": "contract/test_from_warehouse.py",
    r"cd examples/terragrunt/.*|terragrunt run --all (plan|apply)": "contract/test_terragrunt.py",
    r"terraform (init|plan)": "terraform/examples.tftest.hcl",
    # A command of the AWS CLI itself, which follows a log group.
    r"aws logs tail /aws/lambda/shop-deliver --since 3h": "terraform/functions.tftest.hcl",
}


def _elsewhere(line: str) -> str | None:
    return next((test for form, test in ELSEWHERE.items() if re.fullmatch(form, line)), None)


def test_each_command_is_of_a_kind_that_is_run() -> None:
    assert len(OURS) > 40
    programs = ("aws", "make", "python -m", "terraform apply")

    strange = [
        each
        for each in SHOWN
        if not (each.arguments or _elsewhere(each.line) or each.line.startswith(programs))
    ]
    assert strange == []
    assert [each for each in set(ELSEWHERE.values()) if not (ROOT / "tests" / each).is_file()] == []


# On files


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the commands name: rows in several forms, and the old connector's files."""
    folder = tmp_path_factory.mktemp("files")
    rows = write_csv(folder / "rows.csv", shop())
    for name in ("orders.csv.gz", "rows.csv.gz"):
        (folder / name).write_bytes(gzip.compress(rows.read_bytes()))
    table = arrow_csv.read_csv(rows)
    (folder / "parts").mkdir()
    half = table.num_rows // 2
    pq.write_table(table.slice(0, half), folder / "parts/1.parquet")
    pq.write_table(table.slice(half), folder / "parts/2.parquet")
    example = ROOT / "examples/from-lookout"
    shutil.copytree(example, folder / "examples/from-lookout")
    for source, name in (
        ("params.json", "params.json"),
        ("query.sql", "query.sql"),
        ("query.sql", "live/query.sql"),
        ("history.sql", "historical/query.sql"),
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy2(example / source, folder / name)
    return folder


ON_FILES: dict[str, list[str]] = {}
for _one in OURS:
    if (
        _one.arguments
        and _one.arguments.startswith(("backtest", "convert"))
        and not _elsewhere(_one.line)
    ):
        ON_FILES.setdefault(_one.document, []).append(_one.arguments)


@pytest.mark.parametrize("page", ON_FILES)
def test_commands_on_files_run(
    page: str, files: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(files)
    for name in ("detector.json", "results"):
        path = files / name
        shutil.rmtree(path, ignore_errors=True)
        path.unlink(missing_ok=True)

    for arguments in ON_FILES[page]:
        command = arguments.partition(" > ")[0]
        assert cli.main(shlex.split(command)) == 0, capsys.readouterr().err
        said = capsys.readouterr().out
        if " --out results" in command:
            assert "Found 1 event" in said
            assert "</html>" in (files / "results/report.html").read_text("utf-8")
        elif command.startswith("convert"):
            assert 'module "' in said
        else:
            assert said or json.loads((files / "detector.json").read_text())["measures"]


# For a deployed detector


def _later(line: str) -> str:
    """Dates of a mute, as far from now as they are from the time of the example."""
    ahead = datetime.now(UTC).date() - datetime(2026, 1, 4, tzinfo=UTC).date()

    def moved(found: re.Match[str]) -> str:
        return str(datetime.fromisoformat(found[0]).date() + ahead)

    return re.sub(r"\b2026-\d\d-\d\d", moved, line)


def _run(capsys: pytest.CaptureFixture[str], arguments: str) -> str:
    assert cli.main(shlex.split(arguments)) == 0, (arguments, capsys.readouterr().err)
    return capsys.readouterr().out


def _only(capsys: pytest.CaptureFixture[str], command: str) -> str:
    """ID of the newest mute or answer that holds."""
    found: dict[str, Any] = json.loads(_run(capsys, f"{command} --name shop --json"))
    (held,) = found.values()
    return str(held[-1]["id"])


DEPLOYED = [
    each.arguments
    for each in OURS
    if not each.arguments.startswith(("backtest", "convert", "report"))
]


def test_commands_for_a_deployed_detector_run(
    answered: Ledger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # One session reads the descriptions of the services once, in place of each command anew.
    monkeypatch.setattr(boto3, "Session", functools.cache(boto3.Session))
    one = group(severity=60.0)
    answered.put_group(stored(one), one)
    machines = boto3.client("stepfunctions")
    (pipeline,) = (
        each["stateMachineArn"]
        for each in machines.list_state_machines()["stateMachines"]
        if each["name"] == "shop-pipeline"
    )

    for shown in dict.fromkeys(DEPLOYED):
        arguments = shown.partition(" | ")[0]
        command = arguments.partition(" ")[0]
        if command == "mute":
            arguments = _later(arguments)
        arguments = re.sub(r"--event \S+", f"--event {one.id}", arguments)
        if command in ("unmute", "undo"):
            made = {
                "unmute": ("mutes", 'mute --name shop --for 1d --reason "r"'),
                "undo": (
                    "answers",
                    f"feedback --name shop --event {one.id} --no --value platform=tv",
                ),
            }[command]
            _run(capsys, made[1])
            arguments = re.sub(r"--id \S+", f"--id {_only(capsys, made[0])}", arguments)

        assert _run(capsys, arguments), arguments
        # One pipeline at a time.
        for each in machines.list_executions(stateMachineArn=pipeline)["executions"]:
            machines.stop_execution(executionArn=each["executionArn"])


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(sales(4))
    world.upload(document())
    world.activate()
    world.crawl(H1 + DAY, "crawl")
    monkeypatch.setattr(deployment, "deployment", lambda *_: world)
    return world


@pytest.mark.usefixtures("scored")
def test_reports_of_a_deployed_detector_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    monkeypatch.chdir(tmp_path)
    lines = dict.fromkeys(
        each.arguments or "" for each in OURS if (each.arguments or "").startswith("report")
    )
    assert len(lines) > 3

    for arguments in lines:
        assert _run(capsys, arguments).startswith("Written to ")
    assert len(opened) == sum("--open" in each for each in lines)


# Others


def test_targets_of_make_exist() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    asked = [each for each in SHOWN if each.program == "make"]
    assert len(asked) > 10

    for each in asked:
        names = [word for word in each.line.split()[1:] if "=" not in word]
        assert set(names) <= set(targets), each


@pytest.mark.parametrize(
    "shown",
    [each for each in SHOWN if each.line.startswith("terraform apply")],
    ids=lambda each: each.document,
)
def test_examples_are_applied_with_their_own_variables(shown: Shown) -> None:
    folder = (ROOT / shown.document).parent
    words = shlex.split(shown.line)
    given = {
        value.partition("=")[0]
        for option, value in zip(words[2::2], words[3::2], strict=True)
        if option == "-var"
    }
    variables = {each.name: each for each in blocks(folder) if each.kind == "variable"}

    assert given <= set(variables)
    assert {name for name, each in variables.items() if "default" not in each.arguments} <= given
    tested = (ROOT / "tests/terraform/examples.tftest.hcl").read_text("utf-8")
    assert f'source = "./{folder.relative_to(ROOT)}"' in tested


def test_modules_of_python_exist_and_have_the_options() -> None:
    asked = [
        each for each in SHOWN if each.line.startswith("python -m ") and each.arguments is None
    ]
    assert len(asked) > 20

    for each in asked:
        _, _, module, *words = each.line.split()
        path = ROOT / module.replace(".", "/")
        file = path / "__main__.py" if path.is_dir() else path.with_suffix(".py")
        source = file.read_text("utf-8")
        # Options that several have in common stand in a module that they import.
        for folder, names in re.findall(r"^from ([\w.]+) import ([\w, ]+)", source, re.MULTILINE):
            for place in (folder, *(f"{folder}.{name}" for name in names.split(", "))):
                common = (ROOT / place.replace(".", "/")).with_suffix(".py")
                source += common.read_text("utf-8") if common.is_file() else ""
        lacking = [word for word in words if word.startswith("--") and f'"{word}"' not in source]
        assert lacking == [], each
        if module == "local.cloud":
            cloud_parser().parse_args(words)


def _snake(option: str) -> str:
    return option.removeprefix("--").replace("-", "").lower()


@pytest.mark.parametrize(
    "shown", [each for each in SHOWN if each.program == "aws" and not _elsewhere(each.line)]
)
def test_calls_of_aws_are_as_its_api_has_them(shown: Shown, answered: Ledger) -> None:
    words = shlex.split(shown.line)
    service = botocore.session.get_session().get_service_model(words[1])
    name = "".join(part.capitalize() for part in words[2].split("-"))
    members = {each.lower() for each in service.operation_model(name).input_shape.members}
    ours_alone = {"clibinaryformat"}

    options = [word for word in words[3:] if word.startswith("--")]
    assert {_snake(each) for each in options} - ours_alone <= members
    if "--payload" in options:
        event = json.loads(_later(words[words.index("--payload") + 1]))
        assert respond.handler(event, Context())["state"] == "ACTIVE"
        assert len(answered.mutes()) == 1
