"""State machines and functions agree on errors, fields and function names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from anomaly_detector.services import payloads

ROOT = Path(__file__).parents[2]
TEMPLATES = {
    path.name.removesuffix(".asl.json"): path for path in ROOT.glob("modules/*/*.asl.json")
}
HANDLERS = {
    path.stem
    for path in (ROOT / "lambda_src/anomaly_detector/handlers").glob("*.py")
    if not path.stem.startswith("_")
}


def machine(name: str) -> dict[str, Any]:
    """A template with its interpolations filled in."""
    text = TEMPLATES[name].read_text()
    filled = re.sub(r"\$\{[^}]*\}", "1", text)
    parsed: dict[str, Any] = json.loads(filled)
    return parsed


def states(of: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every state, those inside Maps included."""
    for name, state in of["States"].items():
        yield name, state
        if "ItemProcessor" in state:
            yield from states(state["ItemProcessor"])


def tasks() -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (name, label, state)
        for name in sorted(TEMPLATES)
        for label, state in states(machine(name))
        if state["Type"] == "Task"
    ]


def test_the_three_machines_are_there() -> None:
    assert set(TEMPLATES) == {"pipeline", "statement", "crawl"}


def test_every_task_has_an_end() -> None:
    for name, label, state in tasks():
        assert "TimeoutSeconds" in state, (name, label)


def test_every_function_that_a_machine_calls_has_a_handler() -> None:
    called = set()
    for path in TEMPLATES.values():
        called |= set(re.findall(r"\$\{functions\.(\w+)\}", path.read_text()))
    # Terraform calls it when it destroys; people and dashboards the others.
    assert called | {"stop", "respond", "console"} == HANDLERS


def test_what_a_machine_reads_of_an_answer_is_in_it() -> None:
    fields = {
        "plan": {*payloads.CrawlPlan.model_fields, *payloads.HistoryPlan.model_fields},
        "check": set(payloads.Prepared.model_fields),
        "statement": set(payloads.Statement.model_fields),
    }
    for path in TEMPLATES.values():
        text = path.read_text()
        for part, known in fields.items():
            read = set(re.findall(rf'"\$\.{part}\.(\w+)', text))
            assert read <= known, (path.name, part)


def test_times_in_payloads_have_one_form() -> None:
    window = payloads.Window.model_validate(
        {"window_start": "2022-01-15T05:25:00.123+01:00", "window_end": "2022-01-15T04:30:00Z"}
    )

    assert window.answer() == {
        "window_start": "2022-01-15T04:25:00Z",
        "window_end": "2022-01-15T04:30:00Z",
    }
    with pytest.raises(ValueError, match="UTC offset"):
        payloads.Window.model_validate(
            {"window_start": "2022-01-15T04:25:00", "window_end": "2022-01-15T04:30:00Z"}
        )
