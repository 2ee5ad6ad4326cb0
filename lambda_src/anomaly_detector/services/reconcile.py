"""Activate the uploaded document: start the pipeline for it, unless that has been done."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import TypeVar

from botocore.exceptions import ClientError

from anomaly_detector import aws_faults
from anomaly_detector.config import Redshift
from anomaly_detector.errors import PermanentError
from anomaly_detector.lake.store import ObjectStore
from anomaly_detector.ledger.items import Run
from anomaly_detector.ledger.ledger import Ledger
from anomaly_detector.services import documents
from anomaly_detector.services.executions import Executions
from anomaly_detector.services.payloads import Reconciled

Answer = TypeVar("Answer")
Sleep = Callable[[float], None]

FORMER_VERSION = (
    "The model was trained by a former version of this package, which this version cannot read: a "
    "new model is trained from the history."
)
# Executions for one document that may be stopped, or exceed their time, before it is left alone.
MOST_STOPPED = 3
# A new role may be refused for up to two minutes, until it has propagated.
_PAUSES = (2, 4, 8, 16, 30, 30, 30)


def reconcile(
    store: ObjectStore,
    ledger: Ledger,
    pipeline: Executions,
    sleep: Sleep,
    redshift: Redshift | None = None,
) -> Reconciled:
    """Compare the uploaded document with the ledger; start `<hash>-<attempt>` if necessary.

    The pipeline is started for a new document, for one that was active before another document, for
    one that was uploaded again after its run failed, for one whose execution was stopped or took
    too long (three times at most), and for one whose model was trained by a former version of this
    package. However often, however late and at whatever distance from its
    reading of the document this is called, each is started once, and none replaces one that was
    uploaded later.

    Parameters
    ----------
    redshift : the warehouse of the functions' environment; another one is another configuration.

    Raises
    ------
    PermanentError
        If no document was uploaded, or access is still denied after two minutes.
    """
    config_hash, uploaded_at = patiently(lambda: documents.keep_current(store, redshift), sleep)
    started = patiently(lambda: _start(ledger, pipeline, config_hash, uploaded_at), sleep)
    detector = ledger.detector()
    if detector.wanted_hash == config_hash and _is_later(uploaded_at, detector.wanted_at):
        ledger.note_upload(config_hash, uploaded_at)
    return Reconciled(
        config_hash=config_hash,
        started=started,
        status=detector.status,
        reason=FORMER_VERSION if started and detector.is_of_former_version else None,
    )


def patiently(call: Callable[[], Answer], sleep: Sleep) -> Answer:
    """Retry a call while access is denied, for up to two minutes."""
    for pause in _PAUSES:
        try:
            return call()
        except ClientError as error:
            if not aws_faults.is_denied(error):
                raise
        sleep(pause)
    try:
        return call()
    except ClientError as error:
        if not aws_faults.is_denied(error):
            raise
        message = (
            "Access has been denied for two minutes: check that nothing outside of the module, "
            f"such as a permissions boundary or a bucket policy, denies it. {error}"
        )
        raise PermanentError(message) from error


def _start(ledger: Ledger, pipeline: Executions, config_hash: str, uploaded_at: datetime) -> bool:
    run = ledger.run(config_hash)
    if run is None or run.status != "STARTING":
        if run is not None and not _again(ledger, pipeline, run, config_hash, uploaded_at):
            return False
        attempt = 1 if run is None else run.attempt + 1
        reason = FORMER_VERSION if ledger.detector().is_of_former_version else None
        claim = Run(
            attempt=attempt,
            status="STARTING",
            stopped=_stopped(run, uploaded_at),
            uploaded_at=uploaded_at,
            reason=reason,
        )
        if not ledger.claim_run(config_hash, run, claim):
            return False  # a concurrent call has claimed it, or a later document
        run = claim
    # STARTING is also left by a call that crashed after its claim: because of the name, starting
    # the execution again has no effect.
    execution = pipeline.start(f"{config_hash}-{run.attempt}", {"config_hash": config_hash})
    ledger.mark_started(config_hash, run.attempt, execution)
    return True


def _again(
    ledger: Ledger, pipeline: Executions, run: Run, config_hash: str, uploaded_at: datetime
) -> bool:
    detector = ledger.detector()
    if detector.wanted_hash != config_hash:
        return True  # back to an earlier document
    former = detector.is_of_former_version
    if run.status == "SUCCEEDED":
        return former
    anew = _is_later(uploaded_at, run.uploaded_at)
    if run.status == "FAILED":
        return anew
    again = anew or run.stopped < MOST_STOPPED
    if run.status == "STOPPED":
        return again
    if run.execution is None:
        return anew or former
    # What has ended without a word was stopped; it may have spoken since its run was read.
    return again and not pipeline.is_running(run.execution) and ledger.run(config_hash) == run


def _stopped(before: Run | None, uploaded_at: datetime) -> int:
    """How many executions were stopped, if another is started now."""
    if before is None or _is_later(uploaded_at, before.uploaded_at):
        return 0
    return before.stopped + (before.status in ("RUNNING", "STOPPED"))


def _is_later(uploaded_at: datetime, before: datetime | None) -> bool:
    return before is None or uploaded_at > before
