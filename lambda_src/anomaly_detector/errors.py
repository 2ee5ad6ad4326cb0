"""The two kinds of failure, which the state machines distinguish by class name."""

from __future__ import annotations

from pydantic import ValidationError


class RetryableError(Exception):
    """A transient error, such as throttling: the same call may succeed later."""


class PermanentError(Exception):
    """An error that a retry cannot solve; its message says what to change."""


def refuse(problem: str | None) -> None:
    """Raise PermanentError with the problem, if there is one."""
    if problem is not None:
        raise PermanentError(problem)


def places_of(error: ValidationError) -> str:
    """Where the values stand that pydantic has refused: `intervals.0.rows, groups`."""
    return ", ".join(".".join(map(str, fault["loc"])) or fault["msg"] for fault in error.errors())
