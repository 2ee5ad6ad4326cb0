"""Statements that should not run any more: found by their names, and cancelled.

A statement outlives everything that waits for it, and nothing of an execution that was stopped or
timed out runs any more. So all that ends an execution of the statement machine before its time
calls `cancel`, and a live statement waits for the end of what an earlier crawl has left behind.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from anomaly_detector.ledger.ledger import Ledger
from anomaly_detector.services.payloads import Cancelled, Purpose
from anomaly_detector.warehouse.data_api import DataApi

Sleep = Callable[[float], None]

# Seconds between looks, half a minute in all: the function has a minute.
_LOOKS: Final = (1, 2, 4, 8, 15)


def statement_name(detector: str, purpose: Purpose, execution: str, attempt: int) -> str:
    """Name of a statement, by which it is found again: `shop/live/<execution>/1`."""
    return f"{detector}/{purpose}/{_short(execution)}/{attempt}"


def left_behind(api: DataApi, detector: str, execution: str) -> tuple[str, ...]:
    """Ids of live statements that run for other executions than this one."""
    running = api.running(f"{detector}/live/")
    return tuple(key for key, name in running.items() if _execution_of(name) != _short(execution))


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
    left = running()
    for pause in _LOOKS:
        if not left:
            break
        cancelled |= {key for key in sorted(left - cancelled) if api.cancel(key)}
        sleep(pause)
        left = running()
    return Cancelled(cancelled=tuple(sorted(cancelled)), running=tuple(sorted(left)))


def _short(execution: str) -> str:
    return execution.rpartition(":")[2]


def _execution_of(name: str) -> str:
    parts = name.split("/")
    return parts[2] if len(parts) == 4 else ""
