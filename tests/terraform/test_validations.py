"""Terraform and the package refuse the same inputs with the same words (`validation_cases`)."""

from __future__ import annotations

import json
import re
import shutil
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from anomaly_detector import config
from anomaly_detector.errors import PermanentError
from anomaly_detector.warehouse import sql, time_format

from local.terraform import ROOT
from scripts import holidays_table
from tests.terraform.running import FOLDER, terraform
from tests.terraform.validation_cases import (
    ACCEPTED,
    BASE,
    BOTH,
    CONNECTOR_ACCEPTED,
    CONNECTOR_REFUSED,
    TERRAFORM,
)

REFUSED = [*BOTH, *TERRAFORM]
Answers = dict[str, str]


def _name(inputs: dict[str, Any], says: str) -> str:
    """An id that can be read, for a case."""
    text = json.dumps(inputs)
    return f"{text if len(text) < 80 else text[:77] + '…'}-{says[:30]}"


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What Terraform says to each case, by its run; runs without a fault are left out.

    Validations need the variables and one block of locals. Without resources and modules, and so
    without the provider, all cases take seconds, in one process.
    """
    folder = tmp_path_factory.mktemp("inputs")
    shutil.copy2(ROOT / "variables.tf", folder)
    for table in ("timezones.txt", "holidays.txt"):
        shutil.copy2(ROOT / table, folder)
    blocks = re.findall(
        r"^locals \{\n.*?^\}\n",
        (ROOT / "main.tf").read_text(encoding="utf-8"),
        re.MULTILINE | re.DOTALL,
    )
    (needed,) = [block for block in blocks if "reserved_columns =" in block]
    (folder / "main.tf").write_text(needed, encoding="utf-8")
    cases = {f"refused_{n}": {**BASE, **inputs} for n, (inputs, _) in enumerate(REFUSED)}
    cases |= {f"accepted_{n}": {**BASE, **inputs} for n, inputs in enumerate(ACCEPTED)}
    return _ask(folder, cases)


@pytest.fixture(scope="module")
def connector_answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    """What the connector says to each file of a Lookout for Metrics connector."""
    folder = tmp_path_factory.mktemp("connector")
    for file in (ROOT / "modules/connector").glob("*.tf"):
        shutil.copy2(file, folder)
    texts = [text for text, _ in CONNECTOR_REFUSED]
    cases = {f"refused_{n}": {"params_json": text} for n, text in enumerate(texts)}
    cases |= {f"accepted_{n}": {"params_json": text} for n, text in enumerate(CONNECTOR_ACCEPTED)}
    return _ask(folder, cases)


def _ask(folder: Path, cases: dict[str, dict[str, Any]]) -> Answers:
    """What Terraform says to each case, a plan of the configuration in this folder."""
    tests = folder / FOLDER
    tests.mkdir(parents=True)
    for run, inputs in cases.items():
        # A file each: a fault skips the runs after it in the same file.
        file = {"run": {run: {"command": "plan", "variables": _escaped(inputs)}}}
        (tests / f"{run}.tftest.json").write_text(json.dumps(file), encoding="utf-8")
    terraform(folder, "init", "-backend=false", "-input=false", f"-test-directory={FOLDER}")
    found: Answers = {}
    seen = set()
    for line in terraform(folder, "test", "-json", f"-test-directory={FOLDER}"):
        if line["type"] == "test_run":
            seen.add(line["@testrun"])
        if line["type"] == "diagnostic":
            run = line.get("@testrun", "")
            found[run] = found.get(run, "") + line["diagnostic"]["detail"] + "\n"
    assert seen == set(cases)
    return found


def _escaped(value: Any) -> Any:
    """JSON in Terraform is a template."""
    if isinstance(value, dict):
        return {_escaped(key): _escaped(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_escaped(each) for each in value]
    return value.replace("${", "$${").replace("%{", "%%{") if isinstance(value, str) else value


@pytest.mark.parametrize(
    ("number", "says"),
    [
        pytest.param(number, says, id=_name(inputs, says))
        for number, (inputs, says) in enumerate(REFUSED)
    ],
)
def test_terraform_refuses_with_these_words(answers: Answers, number: int, says: str) -> None:
    assert says in answers.get(f"refused_{number}", "accepted")


@pytest.mark.parametrize("number", range(len(ACCEPTED)))
def test_terraform_accepts(answers: Answers, number: int) -> None:
    assert f"accepted_{number}" not in answers


@pytest.mark.parametrize(
    ("number", "says"),
    [pytest.param(number, says) for number, (_, says) in enumerate(CONNECTOR_REFUSED)],
)
def test_the_connector_refuses_with_these_words(
    connector_answers: Answers, number: int, says: str
) -> None:
    assert says in connector_answers.get(f"refused_{number}", "accepted")


@pytest.mark.parametrize("number", range(len(CONNECTOR_ACCEPTED)))
def test_the_connector_accepts(connector_answers: Answers, number: int) -> None:
    assert f"accepted_{number}" not in connector_answers


def _document(inputs: dict[str, Any]) -> dict[str, Any]:
    """The configuration document of some inputs, as `local.document` of the root makes it."""
    # Null is the default, and these inputs do not reach the document.
    apart = {"encryption", "iam", "logging", "storage", "subscriptions", "tags"}
    given = {
        key: each
        for key, each in {**BASE, **inputs}.items()
        if each is not None and key not in apart
    }
    history = dict(given.pop("history", {}))
    schedule = {key: each for key, each in given.pop("schedule", {}).items() if key != "enabled"}
    calendar = {key: each for key, each in given.pop("calendar", {}).items() if key != "countries"}
    memory = {key: each for key, each in given.pop("lambda", {}).items() if key == "memory_mb"}
    redshift = dict(given.pop("redshift"))
    role = redshift.pop("unload_role", {}).get("arn", "arn:aws:iam::123456789012:role/shop-unload")
    return {
        **given.pop("detection", {}),
        **given.pop("monitoring", {}),
        **memory,
        **given,
        **schedule,
        "calendar": calendar,
        "history_query": history.pop("query", None),
        "history": history,
        "redshift": {**redshift, "unload_role": role},
    }


def _take(inputs: dict[str, Any]) -> None:
    """Read the document and write the statements, as the pipeline does before it sends any."""
    read = config.load(json.dumps(_document(inputs)))
    end = datetime(2026, 3, 2, tzinfo=UTC)
    begin = read.history.begin(end, read.interval)
    for history in (False, True):
        sql.aggregate(read, begin, end, history=history)


@pytest.mark.parametrize(
    ("inputs", "says"),
    [pytest.param(inputs, says, id=_name(inputs, says)) for inputs, says in BOTH],
)
def test_the_package_refuses_with_these_words(inputs: dict[str, Any], says: str) -> None:
    with pytest.raises(PermanentError) as raised:
        _take(inputs)
    assert says in str(raised.value)


@pytest.mark.parametrize("inputs", ACCEPTED)
def test_the_package_accepts(inputs: dict[str, Any]) -> None:
    _take(inputs)


def test_time_formats_are_those_of_the_package() -> None:
    text = (ROOT / "main.tf").read_text(encoding="utf-8")
    found = re.search(r"^    fields = (\[.*?\])$", text, re.MULTILINE)
    assert found is not None
    assert json.loads(found[1]) == list(time_format._FIELDS)


def test_time_zones_are_those_of_the_iana_database() -> None:
    listed = (ROOT / "timezones.txt").read_text(encoding="utf-8").split()
    known = files("tzdata").joinpath("zones").read_text(encoding="utf-8").split()
    assert listed == sorted(set(known) - {"Factory"})


def test_holidays_are_those_of_the_package() -> None:
    assert (ROOT / "holidays.txt").read_text(encoding="utf-8") == holidays_table.table()


def test_reserved_columns_are_those_of_the_package() -> None:
    found = re.search(
        r"reserved_columns = (\[.*?\])", (ROOT / "main.tf").read_text(encoding="utf-8")
    )
    assert found is not None
    assert set(json.loads(found[1])) == config.RESERVED_COLUMNS
