"""What has to end before state machines are deleted: executions, and statements in the warehouse.

`DeleteStateMachine` lets an execution run up to its next transition, which may be a day away, and
the warehouse goes on with a statement that nobody waits for.
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
# ListExecutions lags behind: an execution that was just started may show a moment later.
_QUIET_LOOKS: Final = 2
_PAUSE: Final = 2.0
_MOST_LOOKS: Final = 60
# Each asks the function for half a minute.
_MOST_CANCELS: Final = 6


def stop(machines: Sequence[Executions], statement: Function | None, sleep: Sleep) -> Stopped:
    """Stop all executions of these machines, then cancel the detector's statements.

    Called again, or where nothing runs or a machine is gone, it finds nothing to do. A warehouse
    that cannot be asked, as it is paused or deleted, is a problem that is told, and no error.

    Parameters
    ----------
    statement : the function that owns the statements; None where they are left alone.

    Raises
    ------
    PermanentError
        Where new executions are started all the time.
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
        problems = (f"Cancelled, but still running: {', '.join(answer.running)}.",)
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
