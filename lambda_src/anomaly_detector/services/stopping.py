"""Stop executions and cancel statements in the warehouse before state machines are deleted.

`DeleteStateMachine` lets an execution continue up to its next transition, which may be a day later,
and the warehouse continues a statement that nothing waits for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from anomaly_detector.errors import PermanentError, RetryableError
from anomaly_detector.services.cancelling import Sleep
from anomaly_detector.services.executions import Executions
from anomaly_detector.services.function import Function
from anomaly_detector.services.payloads import Cancelled, Stopped

_CAUSE: Final = "The state machine is being deleted."
# ListExecutions is eventually consistent: a new execution may be missing at first.
_QUIET_LOOKS: Final = 2
_PAUSE: Final = 2.0
_MOST_LOOKS: Final = 60
# Each call of the function takes up to half a minute.
_MOST_CANCELS: Final = 6


def stop(machines: Sequence[Executions], statement: Function | None, sleep: Sleep) -> Stopped:
    """Stop all executions of these state machines, then cancel the detector's statements.

    A repeated call has no effect, nor does a call when nothing is running or a state machine no
    longer exists. An unreachable warehouse, because it is paused or deleted, is reported as a
    problem, not raised as an error.

    Parameters
    ----------
    statement : the function that owns the statements; None if they are not to be cancelled.

    Raises
    ------
    PermanentError
        If new executions keep starting.
    """
    stopped = _stop_executions(machines, sleep)
    if statement is None:
        return Stopped(executions=stopped)
    cancelled: set[str] = set()
    problems: tuple[str, ...] = ()
    event = {"action": "cancel", "executions": stopped, "everything": True, "awaited": False}
    for _ in range(_MOST_CANCELS):
        try:
            answer = Cancelled.model_validate(statement.ask(event))
        except PermanentError as error:
            problems = (_not_cancelled(error),)
            break
        except RetryableError as error:
            problems = (_not_cancelled(error),)
            sleep(_PAUSE)
            continue
        cancelled.update(answer.cancelled)
        if not answer.running:
            problems = ()
            break
        problems = (f"Statements cancelled, but still running: {', '.join(answer.running)}.",)
    return Stopped(executions=stopped, statements=tuple(sorted(cancelled)), problems=problems)


def _not_cancelled(error: Exception) -> str:
    return f"Statements could not be cancelled: {error}"


def _stop_executions(machines: Sequence[Executions], sleep: Sleep) -> tuple[str, ...]:
    stopped: dict[str, None] = {}
    quiet = 0
    for _ in range(_MOST_LOOKS):
        running = [(machine, each) for machine in machines for each in machine.running()]
        quiet = 0 if running else quiet + 1
        if quiet == _QUIET_LOOKS:
            return tuple(stopped)
        for machine, each in running:
            machine.stop(each, _CAUSE)
            stopped[each] = None
        sleep(_PAUSE)
    raise PermanentError(
        "New executions keep starting: disable the schedule and whatever else starts them, "
        f"and destroy again. Running: {', '.join(each for _, each in running)}."
    )
