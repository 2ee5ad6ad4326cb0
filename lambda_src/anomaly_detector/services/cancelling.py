"""Cancel abandoned statements, which are found by their names.

A statement continues when the execution that waits for it has been stopped or has timed out, and
such an execution can no longer cancel it. So whatever ends an execution of the statement machine
early leads to `cancel`, and a live statement waits for the end of statements that an earlier crawl
has abandoned.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Final

from anomaly_detector.errors import RetryableError
from anomaly_detector.ledger.ledger import Ledger
from anomaly_detector.services.payloads import Cancelled, Purpose
from anomaly_detector.warehouse.data_api import DataApi

Sleep = Callable[[float], None]

# Seconds between checks, half a minute in total: the function has a minute.
_LOOKS: Final = (1, 2, 4, 8, 15)
# ListStatements may be eventually consistent: a new statement may be missing at first.
_QUIET_LOOKS: Final = 2


def statement_name(detector: str, purpose: Purpose, execution: str, attempt: int) -> str:
    """Name of a statement, by which it is found again: `shop/live/<execution>/1`."""
    return f"{detector}/{purpose}/{_short(execution)}/{attempt}"


def cancel_left_behind(api: DataApi, detector: str, execution: str) -> bool:
    """Cancel the running live statements of other executions; return whether there are any.

    To be repeated until there are none: a statement that has not started cannot be cancelled.
    """
    running = api.running(f"{detector}/live/")
    others = [key for key, name in running.items() if _execution_of(name) != _short(execution)]
    for each in others:
        api.cancel(each)
    return bool(others)


def cancel_one(api: DataApi, statement_id: str, sleep: Sleep) -> bool:
    """Cancel a statement that was just submitted, and wait for its end; False if it still runs.

    Only a running statement can be cancelled, not one that waits for its start.
    """
    for pause in _LOOKS:
        # There is no later retry, so transient errors are retried here.
        with suppress(RetryableError):
            api.cancel(statement_id)
            if not api.describe(statement_id).running:
                return True
        sleep(pause)
    return False


def cancel(
    ledger: Ledger,
    api: DataApi,
    detector: str,
    executions: Sequence[str],
    now: datetime,
    sleep: Sleep,
    *,
    everything: bool = False,
) -> Cancelled:
    """Cancel the statements of executions that have ended, and wait for their end.

    From then on these executions submit nothing: one that is just submitting a statement finds the
    mark and cancels the statement itself.

    Parameters
    ----------
    executions : ARNs of executions of the statement machine.
    now : UTC.
    everything : cancel all running statements of this detector.

    Returns
    -------
    Statements that were cancelled, and those that are still running after half a minute.

    Raises
    ------
    RetryableError
        If the Data API is temporarily unavailable.
    PermanentError
        If it rejects the request.
    """
    for execution in executions:
        ledger.mark_stopped(execution, now)
    ended = {_short(execution) for execution in executions}

    def running() -> set[str]:
        names = api.running(f"{detector}/")
        return {key for key, name in names.items() if everything or _execution_of(name) in ended}

    cancelled: set[str] = set()
    left: set[str] = set()
    quiet = 0
    for pause in _LOOKS:
        left = running()
        quiet = 0 if left else quiet + 1
        if quiet == _QUIET_LOOKS:
            break
        cancelled |= {key for key in sorted(left - cancelled) if api.cancel(key)}
        sleep(pause)
    else:
        left = running()
    return Cancelled(cancelled=tuple(sorted(cancelled)), running=tuple(sorted(left)))


def _short(execution: str) -> str:
    return execution.rpartition(":")[2]


def _execution_of(name: str) -> str:
    parts = name.split("/")
    return parts[2] if len(parts) == 4 else ""
