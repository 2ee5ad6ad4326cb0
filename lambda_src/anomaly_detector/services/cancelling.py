"""Statements that should not run any more: found by their names, and cancelled.

A statement outlives everything that waits for it, and nothing of an execution that was stopped or
timed out runs any more. So all that ends an execution of the statement machine before its time
calls `cancel`, and a live statement waits for the end of what an earlier crawl has left behind.
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

# Seconds between looks, half a minute in all: the function has a minute.
_LOOKS: Final = (1, 2, 4, 8, 15)
# ListStatements may lag behind: a statement that was just sent shows a moment later.
_QUIET_LOOKS: Final = 2


def statement_name(detector: str, purpose: Purpose, execution: str, attempt: int) -> str:
    """Name of a statement, by which it is found again: `shop/live/<execution>/1`."""
    return f"{detector}/{purpose}/{_short(execution)}/{attempt}"


def cancel_left_behind(api: DataApi, detector: str, execution: str) -> bool:
    """Cancel live statements that run for other executions than this one; whether there are any.

    Asked again until there are none: what was just sent may take no cancellation yet.
    """
    running = api.running(f"{detector}/live/")
    others = [key for key, name in running.items() if _execution_of(name) != _short(execution)]
    for each in others:
        api.cancel(each)
    return bool(others)


def cancel_one(api: DataApi, statement_id: str, sleep: Sleep) -> bool:
    """Cancel a statement that was just sent, and see it end; False where it runs on nevertheless.

    Only a statement that runs takes a cancellation, not one that waits for its start.
    """
    for pause in _LOOKS:
        # Nobody comes after this one: what may pass is asked again here.
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
    """Cancel the statements of executions that have ended, and see them end.

    From then on these executions submit nothing: one that is just doing so finds the mark and
    cancels its statement itself.

    Parameters
    ----------
    executions : ARNs of executions of the statement machine.
    now : UTC.
    everything : cancel all that runs for this detector.

    Returns
    -------
    What was cancelled, and what still runs after half a minute.

    Raises
    ------
    RetryableError
        Where the Data API does not answer for the moment.
    PermanentError
        Where it refuses.
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
