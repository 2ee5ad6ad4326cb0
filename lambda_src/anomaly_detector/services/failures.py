"""Record the failure of a state machine: store the reason, notify the operations topic."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

from anomaly_detector import limits
from anomaly_detector.errors import RetryableError
from anomaly_detector.ledger.items import Detector, Run
from anomaly_detector.ledger.ledger import Ledger
from anomaly_detector.services.payloads import Failure
from anomaly_detector.services.reconcile import MOST_STOPPED
from anomaly_detector.services.topic import Topic
from anomaly_detector.warehouse.faults import DRIFT

# Longer texts are cut; the execution's history has the complete text.
_REASON = 2_000
_DEPTH = 10
# How Lambda reports that a function ran out of memory, in older and newer runtimes.
_OUT_OF_MEMORY = re.compile(
    r"signal: killed|Runtime\.OutOfMemory|Process exited before completing request"
)
Ended = Literal["ABORTED", "FAILED", "TIMED_OUT"]
_ENDINGS: dict[str, str] = {
    "ABORTED": "The execution was stopped.",
    "FAILED": "The execution failed in a way that its state machine could not record; see its "
    "history.",
    "TIMED_OUT": "The execution took longer than its state machine allows.",
}
_STOPPED = ("ABORTED", "TIMED_OUT")
_OUT_OF_TIME = re.compile(rf"Task timed out after {limits.MOST_SECONDS}\b")


def record_failure(
    ledger: Ledger,
    operations: Topic,
    detector_name: str,
    machine: Literal["pipeline", "crawl"],
    execution: str,
    config_hash: str | None,
    error: dict[str, Any],
) -> Failure:
    """Store why an execution failed and notify the operations topic.

    A failed pipeline sets the detector to FAILED, unless a newer document has been uploaded; the
    configuration in force stays so, and is crawled. One that was stopped, or took too long, is
    started again by the next crawl. A failed crawl leaves it ACTIVE: the next crawl retries the
    same intervals, which are FAILED until then.
    """
    reason = explained(innermost(error))[:_REASON]
    detector = ledger.detector()
    further = ""
    if machine == "pipeline":
        config_hash = config_hash or detector.wanted_hash
        further = _further(ledger, detector, config_hash, error)
        if detector.wanted_hash in (None, config_hash):
            after = {"status": "FAILED", "status_reason": reason, "execution": execution}
            if not ledger.advance_detector(detector, detector.model_copy(update=after)):
                # Before the notification, so that a repeated call sends it only once.
                raise RetryableError("The detector was changed concurrently.")
    else:
        if detector.status == "ACTIVE":
            ledger.note_failure(reason)
        if detector.watermark is not None:
            ledger.fail_waiting(detector.watermark, reason, due=DRIFT in reason)
    facts = {
        "detector": detector_name,
        "machine": machine,
        "execution": execution,
        "configuration": config_hash or detector.config_hash,
        "error": str(error.get("Error", "")),
        "reason": reason,
    }
    operations.publish(
        f"{detector_name}: {machine} failed",
        f"The {machine} of detector {detector_name} failed.\n\nReason: {reason}\n{further}"
        f"Execution: {execution}",
        facts,
    )
    # Last, as it tells that the end is recorded: what breaks off before is repeated by the event.
    if machine == "crawl":
        ledger.end_crawl(execution)
    elif config_hash is not None:
        run = ledger.run(config_hash) or Run(attempt=1, status="FAILED")
        status = "STOPPED" if error.get("Error") in _STOPPED else "FAILED"
        failed = {"status": status, "execution": execution, "reason": reason}
        ledger.set_run(config_hash, run.model_copy(update=failed))
    return Failure(reason=reason)


def _further(
    ledger: Ledger, detector: Detector, config_hash: str | None, error: dict[str, Any]
) -> str:
    """What happens after a pipeline has failed, as lines."""
    lines = ""
    if detector.is_live and detector.config_hash != config_hash:
        lines += f"Configuration {detector.config_hash} stays in force.\n"
    run = None if config_hash is None else ledger.run(config_hash)
    if error.get("Error") in _STOPPED and run is not None:
        lines += (
            "The next crawl starts the pipeline again.\n"
            if run.stopped < MOST_STOPPED
            else "It was stopped too often to be started again: upload the document again.\n"
        )
    return lines


def record_end(
    ledger: Ledger, operations: Topic, detector_name: str, execution: str, status: Ended
) -> Failure | None:
    """Record an execution that ended without a step of its own to do so: it was stopped, its time
    was over, it failed in a way that no Catch sees, or it could not record its failure.

    Otherwise a detector would be ACTIVATING for ever, and a stopped crawl would hold up the next
    ones until its lease expires.

    Returns
    -------
    None where the execution has recorded its end, or had nothing in hand.
    """
    machine = execution.split(":")[6].rpartition("-")[2]
    config_hash = None
    if machine == "crawl":
        in_hand = ledger.is_crawling(execution)
    else:
        found = ledger.run_of(execution)
        in_hand = found is not None and found[1].status in ("STARTING", "RUNNING")
        config_hash = found[0] if found else None
    if not in_hand:
        return None
    error = {"Error": status, "Cause": _ENDINGS[status]}
    return record_failure(
        ledger,
        operations,
        detector_name,
        "crawl" if machine == "crawl" else "pipeline",
        execution,
        config_hash,
        error,
    )


def explained(reason: str) -> str:
    """The reason, preceded by what to change if the function exceeded its memory or time limit."""
    if _OUT_OF_MEMORY.search(reason):
        return f"{limits.OUT_OF_MEMORY} ({reason})"
    if _OUT_OF_TIME.search(reason):
        return f"{limits.OUT_OF_TIME} ({reason})"
    return reason


def innermost(error: dict[str, Any]) -> str:
    """The innermost reason in a Catch's error: nested executions and functions wrap theirs in JSON
    text.
    """
    reason = str(error.get("Cause") or error.get("Error") or "unknown")
    value: Any = error
    for _ in range(_DEPTH):
        if not isinstance(value, dict):
            break
        # The error of a function has errorMessage; that of an execution has Cause, or else Error.
        text = value.get("errorMessage") or value.get("Cause") or value.get("Error")
        if not isinstance(text, str):
            break
        reason = text
        try:
            value = json.loads(text)
        except ValueError:
            break
    return reason
