"""The two kinds of failure that the state machines tell apart by class name."""

from __future__ import annotations


class RetryableError(Exception):
    """A passing fault (throttling, a role not ready yet): the same call may succeed later."""


class PermanentError(Exception):
    """A fault that a retry cannot mend; its message says what to change."""


def refuse(problem: str | None) -> None:
    """Raise PermanentError with the problem, where there is one."""
    if problem is not None:
        raise PermanentError(problem)
