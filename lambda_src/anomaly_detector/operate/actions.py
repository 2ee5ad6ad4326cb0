"""What each command does: reads the ledger or starts a machine, and returns a value for JSON."""

from __future__ import annotations

import hashlib
import webbrowser
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from anomaly_detector.errors import PermanentError
from anomaly_detector.intervals import iso
from anomaly_detector.ledger.items import Detector
from anomaly_detector.operate.deployment import Deployment
from anomaly_detector.report.page import page
from anomaly_detector.services import reporting
from anomaly_detector.services import status as state

Facts = dict[str, Any]


def status(detector: Deployment, now: datetime) -> Facts:
    """The state of the detector, and what is under way or waits.

    Parameters
    ----------
    now : UTC.
    """
    return {
        "name": detector.name,
        "account": detector.account,
        "region": detector.region,
        "schedule": detector.schedule.state(),
        **state.facts(detector.ledger, now),
    }


def intervals(
    detector: Deployment, begin: datetime | None, end: datetime | None, last: int, now: datetime
) -> Facts:
    """The items of intervals that start in `[begin, end)`, ascending; without `begin` the last of
    them.
    """
    ledger = detector.ledger
    until = end or now
    if begin is not None:
        found = list(ledger.intervals(begin, until).values())
    else:
        found = []
        # Items are sparse or dense, depending on the interval: widened until enough are found.
        for days in (1, 7, 31, 366, 3_660):
            found = list(ledger.intervals(until - timedelta(days=days), until).values())
            if len(found) >= last:
                break
        found = found[-last:]
    return {"intervals": [one.model_dump(mode="json", exclude_none=True) for one in found]}


def retrain(detector: Deployment, now: datetime) -> Facts:
    """Start the pipeline, which loads what is missing of the history and trains a new model."""
    return _start(detector, {"retrain": True}, now)


def replay(detector: Deployment, begin: datetime, end: datetime, now: datetime) -> Facts:
    """Start the pipeline, which unloads `[begin, end)` again and trains and scores with it."""
    if begin >= end:
        raise PermanentError(f"--from must be before --to; got {iso(begin)} and {iso(end)}.")
    if begin >= now:
        raise PermanentError(f"--from must be in the past; got {iso(begin)}.")
    again = {"window_start": iso(begin), "window_end": iso(end)}
    return _start(detector, {"retrain": True, "again": again}, now)


def pause(detector: Deployment) -> Facts:
    """Disable the schedule; a crawl that is running ends as usual."""
    changed = detector.schedule.switch("DISABLED")
    return {"schedule": "DISABLED", "changed": changed}


def resume(detector: Deployment, *, parked: bool) -> Facts:
    """Enable the schedule; the next crawl takes what has become due, oldest first.

    Parameters
    ----------
    parked : whether deliveries that could not be read are tried again.
    """
    facts: Facts = {"changed": detector.schedule.switch("ENABLED"), "schedule": "ENABLED"}
    if parked:
        facts["unparked_deliveries"] = detector.ledger.unpark_deliveries()
    return facts


def mute(
    detector: Deployment,
    measures: Sequence[str],
    values: Mapping[str, Sequence[str]],
    begin: datetime | None,
    end: datetime,
    reason: str,
) -> Facts:
    """Hold back alerts until `end`."""
    wanted = {
        "measures": list(measures),
        "dimension_filters": {name: list(each) for name, each in values.items()},
        "start": _time(begin),
        "end": iso(end),
        "reason": reason,
    }
    asked = {"action": "mute", "mute": wanted, "by": detector.caller}
    return detector.function("respond").ask(asked)


def unmute(detector: Deployment, mute_id: str) -> Facts:
    """End a mute."""
    return detector.function("respond").ask({"action": "unmute", "id": mute_id})


def mutes(detector: Deployment, *, ended: bool) -> Facts:
    """The mutes that hold or will hold, and those that have ended on request."""
    return detector.function("respond").ask({"action": "mutes", "ended": ended})


def feedback(
    detector: Deployment, event: str, *, is_anomaly: bool, series: Mapping[str, str]
) -> Facts:
    """Say whether an event, or one series of it, was an anomaly."""
    asked = {
        "action": "feedback",
        "group_id": event,
        "is_anomaly": is_anomaly,
        "series": dict(series) or None,
        "by": detector.caller,
    }
    return detector.function("respond").ask(asked)


def undo(detector: Deployment, feedback_id: str) -> Facts:
    """End an answer."""
    return detector.function("respond").ask({"action": "undo", "id": feedback_id})


def answers(detector: Deployment, *, ended: bool) -> Facts:
    """The answers with their effects, and those that have ended on request."""
    return detector.function("respond").ask({"action": "answers", "ended": ended})


def _start(detector: Deployment, value: Facts, now: datetime) -> Facts:
    machine, found = detector.machine("pipeline"), detector.ledger.detector()
    _refuse_second(found, machine.running())
    # The same command within a minute is the same execution.
    digest = hashlib.sha256(repr(sorted(value.items())).encode()).hexdigest()[:8]
    execution = machine.start(f"operator-{now:%Y%m%dT%H%M}-{digest}", value)
    return {"execution": execution, "input": value}


def _refuse_second(found: Detector, running: tuple[str, ...]) -> None:
    if found.wanted_hash is None:
        raise PermanentError(
            "No configuration has been uploaded yet: apply the module, which uploads it and starts "
            "the pipeline."
        )
    if running:
        raise PermanentError(
            f"The pipeline is running already ({running[0]}): wait for its end, or stop it."
        )


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else iso(moment)


def report(
    detector: Deployment, length: timedelta, out: Path, now: datetime, *, show: bool
) -> Facts:
    """Write the page of the newest `length`, and open it in the browser if it is to be shown.

    Raises
    ------
    PermanentError
        If nothing has been scored yet, or the file cannot be written.
    """
    content = reporting.content(detector.store, detector.ledger, now, length)
    try:
        out.write_text(page(content), "utf-8")
    except OSError as error:
        raise PermanentError(f"{out} cannot be written: {error.strerror or error}.") from None
    if show:
        webbrowser.open(out.resolve().as_uri())
    return {
        "file": str(out),
        "from": iso(content.watched.start),
        "to": iso(content.watched.end),
        "events": len(content.groups),
        "series": len(content.stored.names),
    }
