"""First step of the pipeline: check that the document is valid and is the newest."""

from __future__ import annotations

from datetime import datetime, timedelta

from anomaly_detector.config import Config, Redshift
from anomaly_detector.errors import PermanentError, RetryableError
from anomaly_detector.intervals import Grid
from anomaly_detector.lake import layout
from anomaly_detector.lake.store import ObjectStore
from anomaly_detector.ledger.items import Run
from anomaly_detector.ledger.ledger import Ledger
from anomaly_detector.services import documents
from anomaly_detector.services.payloads import Prepared
from anomaly_detector.warehouse import sql

# Length of the query check's sample window: a week, and four weeks for daily intervals.
_SAMPLE_DAYS = 7
_SAMPLE_DAYS_DAILY = 28


def prepare(
    store: ObjectStore,
    ledger: Ledger,
    config_hash: str | None,
    execution: str,
    started_at: datetime,
    redshift: Redshift | None = None,
) -> Prepared:
    """Begin with a document, if it is valid: the detector is ACTIVATING. Meanwhile crawls go on
    with the configuration in force, if there is one.

    Parameters
    ----------
    config_hash : None if the pipeline was started manually; then the uploaded document is used.
    started_at : start of the execution, UTC.
    redshift : the warehouse of the functions' environment, the only one that a document may name.

    Returns
    -------
    The sample window of the query check.

    Raises
    ------
    PermanentError
        Names what is invalid in the document, or states that its SQL statement would be too long;
        or a newer document has been uploaded.
    """
    if config_hash is None:
        config_hash = _by_hand(store, ledger, redshift)
    detector = ledger.detector()
    if detector.wanted_hash not in (None, config_hash):
        raise PermanentError(
            f"Configuration {config_hash} was replaced by {detector.wanted_hash} before it was "
            "activated."
        )
    config = _complete(documents.load(store, config_hash))
    if redshift is not None and config.redshift != redshift:
        raise PermanentError(
            "The configuration is not valid: redshift must be left out of the document, because "
            "warehouse, sign-in and UNLOAD role are set by Terraform, and this document names "
            "others."
        )
    window_start, window_end = sample(config, started_at)
    _refuse_unsendable(store, config, window_start, window_end)
    run = ledger.run(config_hash) or Run(attempt=1, status="RUNNING")
    # Why it was begun; of a run that has ended it says how.
    reason = run.reason if run.status in ("STARTING", "RUNNING") else None
    running = run.model_copy(update={"status": "RUNNING", "execution": execution, "reason": reason})
    ledger.set_run(config_hash, running)
    if (detector.status, detector.execution) != ("ACTIVATING", execution):
        begun = {"status": "ACTIVATING", "status_reason": reason, "execution": execution}
        if not ledger.advance_detector(detector, detector.model_copy(update=begun)):
            raise RetryableError("The detector was changed concurrently.")
    return Prepared(config_hash=config_hash, window_start=window_start, window_end=window_end)


def _by_hand(store: ObjectStore, ledger: Ledger, redshift: Redshift | None) -> str:
    config_hash, uploaded_at = documents.keep_current(store, redshift)
    run = ledger.run(config_hash)
    attempt = 1 if run is None else run.attempt
    claim = Run(attempt=attempt, status="RUNNING", uploaded_at=uploaded_at)
    if not ledger.claim_run(config_hash, run, claim):
        raise RetryableError("The configuration document is being replaced.")
    return config_hash


def _complete(config: Config) -> Config:
    lacking = [name for name in ("query", "redshift") if getattr(config, name) is None]
    if lacking:
        raise PermanentError(f"The configuration is not valid: {lacking[0]} must be set.")
    return config


def _refuse_unsendable(
    store: ObjectStore, config: Config, window_start: datetime, window_end: datetime
) -> None:
    """Check the length of the UNLOAD statements, which are the longest and are sent last, before
    anything is sent.
    """
    assert config.redshift is not None  # see `_complete`
    for history, prefix in [
        (True, layout.history_attempt(config.query_hash, window_start, window_end, "x" * 16)),
        (False, layout.live_attempt(window_start, "x" * 16)),
    ]:
        select = sql.aggregate(config, window_start, window_end, history=history)
        url = f"s3://{store.bucket}/{prefix}"
        role, encrypted = config.redshift.unload_role, config.redshift.encrypted
        sql.unload(select, url, role, encrypted=encrypted)


def sample(config: Config, started_at: datetime) -> tuple[datetime, datetime]:
    """The sample window of the query check: the newest days of the history, on the grid."""
    grid = Grid.of(config)
    end = grid.due_end(started_at, config.offset_seconds)
    days = _SAMPLE_DAYS_DAILY if config.of_days else _SAMPLE_DAYS
    begin = max(end - timedelta(days=days), config.history.begin(end, config.interval))
    return min(grid.floor(begin), grid.shift(end, -1)), end
