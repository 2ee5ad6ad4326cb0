"""Interprets the part of the Amazon States Language (JSONPath) that the state machines use."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, Protocol

State = Mapping[str, Any]


class StepError(Exception):
    """A step failed: its error name and cause."""

    def __init__(self, error: str, cause: str) -> None:
        super().__init__(f"{error}: {cause}")
        self.error, self.cause = error, cause


class Machinery(Protocol):
    """What a machine is run by."""

    def invoke(self, function: str, payload: Any, seconds: float) -> Any:
        """Call a function; raises StepError."""

    def nested(self, machine: str, payload: Any, seconds: float) -> Any:
        """Run an execution of another machine to its end; raises StepError."""

    def sleep(self, seconds: float) -> None:
        """Wait."""

    def jitter(self, seconds: float) -> float:
        """A wait from 0 to this long."""

    def parallel(self, calls: list[Callable[[], Any]]) -> list[Any]:
        """Do several things at once; their results, or the error of the first that failed."""


@dataclass(frozen=True)
class Run:
    """Runs states for one execution; `context` is what `$$` names."""

    by: Machinery
    context: Mapping[str, Any]

    def states(self, part: State, data: Any) -> Any:
        """From StartAt to an end: the output."""
        name: str | None = part["StartAt"]
        while name is not None:
            state = part["States"][name]
            data, name = self._step(state, data)
        return data

    def _step(self, state: State, data: Any) -> tuple[Any, str | None]:
        """One state: its output, and the next."""
        kind, given = state["Type"], self._selected(state, data)
        if kind == "Choice":
            return data, self._chosen(state, given)
        if kind == "Succeed":
            return given, None
        if kind == "Fail":
            raise self._failure(state, data)
        following = None if state.get("End") else str(state["Next"])
        if kind == "Wait":
            path = state.get("SecondsPath")
            self.by.sleep(state["Seconds"] if path is None else self._path(path, given))
            return given, following
        if kind == "Pass":
            result = self._filled(state["Parameters"], given) if "Parameters" in state else given
            return self._placed(state, data, state.get("Result", result)), following
        try:
            result = self._tried(state, given)
        except StepError as error:
            for catch in state.get("Catch", ()):
                if _matches(catch["ErrorEquals"], error.error):
                    found = {"Error": error.error, "Cause": error.cause}
                    return self._placed(catch, data, found), str(catch["Next"])
            raise
        if "ResultSelector" in state:
            result = self._filled(state["ResultSelector"], result)
        return self._placed(state, data, result), following

    def _chosen(self, state: State, given: Any) -> str:
        for rule in state["Choices"]:
            if self._holds(rule, given):
                return str(rule["Next"])
        if "Default" not in state:
            raise StepError("States.NoChoiceMatched", "no choice matched")
        return str(state["Default"])

    def _failure(self, state: State, data: Any) -> StepError:
        error, cause = (
            self._path(state[f"{key}Path"], data) if f"{key}Path" in state else state.get(key)
            for key in ("Error", "Cause")
        )
        return StepError(str(error), str(cause))

    def _tried(self, state: State, given: Any) -> Any:
        """A Task or a Map, retried as its Retry says."""
        retries = [0] * len(state.get("Retry", ()))
        while True:
            try:
                return (
                    self._map(state, given) if state["Type"] == "Map" else self._task(state, given)
                )
            except StepError as error:
                rules = enumerate(state.get("Retry", ()))
                found = [each for each in rules if _matches(each[1]["ErrorEquals"], error.error)]
                if not found:
                    raise
                number, rule = found[0]
                if retries[number] >= rule.get("MaxAttempts", 3):
                    raise
                wait = (
                    rule.get("IntervalSeconds", 1) * rule.get("BackoffRate", 2) ** retries[number]
                )
                wait = min(wait, rule.get("MaxDelaySeconds", wait))
                retries[number] += 1
                full = rule.get("JitterStrategy") == "FULL"
                self.by.sleep(self.by.jitter(wait) if full else wait)

    def _task(self, state: State, given: Any) -> Any:
        payload = self._filled(state["Parameters"], given) if "Parameters" in state else given
        resource, seconds = str(state["Resource"]), float(state["TimeoutSeconds"])
        if resource.endswith(":states:startExecution.sync:2"):
            return self.by.nested(payload["StateMachineArn"], payload["Input"], seconds)
        found = re.fullmatch(r"<functions\.(\w+)>", resource)
        assert found is not None, resource
        # What a function gets and gives is JSON, so that nothing is shared with it.
        return json.loads(
            json.dumps(self.by.invoke(found[1], json.loads(json.dumps(payload)), seconds))
        )

    def _map(self, state: State, given: Any) -> list[Any]:
        def of_item(number: int, item: Any) -> Callable[[], Any]:
            inner = copy(self.context) | {"Map": {"Item": {"Index": number, "Value": item}}}
            run = Run(self.by, inner)
            start = run._filled(state["ItemSelector"], given) if "ItemSelector" in state else item
            return lambda: run.states(state["ItemProcessor"], start)

        items = self._path(state.get("ItemsPath", "$"), given)
        return self.by.parallel([of_item(number, item) for number, item in enumerate(items)])

    def _selected(self, state: State, data: Any) -> Any:
        path = state.get("InputPath", "$")
        return {} if path is None else self._path(path, data)

    def _placed(self, state: State, data: Any, result: Any) -> Any:
        path = state.get("ResultPath", "$")
        if path is None:
            return data
        if path == "$":
            return result
        found = re.fullmatch(r"\$\.(\w+)", path)
        assert found is not None, path
        return {**data, found[1]: result}

    def _path(self, path: str, data: Any) -> Any:
        value = self.context if path.startswith("$$") else data
        for name in path.lstrip("$").removeprefix(".").split("."):
            if name:
                if not isinstance(value, Mapping) or name not in value:
                    raise StepError("States.Runtime", f"{path} does not exist in the input")
                value = value[name]
        return value

    def _filled(self, template: Any, data: Any) -> Any:
        if isinstance(template, Mapping):
            return {
                name.removesuffix(".$"): self._worked_out(value, data)
                if name.endswith(".$")
                else self._filled(value, data)
                for name, value in template.items()
            }
        if isinstance(template, list):
            return [self._filled(one, data) for one in template]
        return template

    def _worked_out(self, text: str, data: Any) -> Any:
        if text.startswith("$"):
            return self._path(text, data)
        found = re.fullmatch(r"States\.(Format|MathAdd)\((.*)\)", text)
        assert found is not None, text
        arguments = [
            self._worked_out(one, data)
            if one.startswith(("$", "States."))
            else one[1:-1]
            if one.startswith("'")
            else json.loads(one)
            for one in re.findall(r"'[^']*'|[^\s,][^,]*", found[2])
        ]
        if found[1] == "MathAdd":
            return arguments[0] + arguments[1]
        return str(arguments[0]).format(*arguments[1:])

    def _holds(self, rule: State, data: Any) -> bool:
        if "And" in rule:
            return all(self._holds(one, data) for one in rule["And"])
        if "Not" in rule:
            return not self._holds(rule["Not"], data)
        try:
            value = self._path(rule["Variable"], data)
        except StepError:
            if "IsPresent" not in rule:
                raise
            return not rule["IsPresent"]
        ((name, wanted),) = [(k, v) for k, v in rule.items() if k not in ("Variable", "Next")]
        tests: dict[str, Callable[[], bool]] = {
            "IsPresent": lambda: bool(wanted),
            "IsString": lambda: isinstance(value, str) == wanted,
            "IsNull": lambda: (value is None) == wanted,
            "StringEquals": lambda: isinstance(value, str) and value == wanted,
            "BooleanEquals": lambda: isinstance(value, bool) and value == wanted,
            "NumericLessThan": lambda: isinstance(value, (int, float)) and value < wanted,
            "NumericEquals": lambda: isinstance(value, (int, float)) and value == wanted,
        }
        return tests[name]()


def _matches(named: list[str], error: str) -> bool:
    if error in named:
        return True
    if error == "States.Runtime":
        return False
    return "States.ALL" in named or ("States.TaskFailed" in named and error != "States.Timeout")
