"""Feedback: what people say of events, by the CLI and the function `respond`.

Every answer is an item of the ledger, with the time from which it holds; another answer to the same
event ends the one before, and undoing it ends it, too. None is changed otherwise, so that a replay
of any interval reads what it read before (`detection.verdicts`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from anomaly_detector.config import ROLLED_UP, Config
from anomaly_detector.detection.spans import Span
from anomaly_detector.detection.verdicts import FIRM, MOST, Verdict, severity, strength
from anomaly_detector.errors import PermanentError, RetryableError
from anomaly_detector.intervals import Grid, iso
from anomaly_detector.ledger.items import FeedbackItem
from anomaly_detector.ledger.ledger import Ledger

Facts = dict[str, Any]

MOST_ANSWERS = 1_000


def give(
    ledger: Ledger,
    config: Config,
    group_id: str,
    is_anomaly: bool,  # noqa: FBT001 it is what is said
    series: Mapping[str, str] | None,
    by: str | None,
    now: datetime,
) -> Facts:
    """Say whether an event was an anomaly, or one series of it.

    Parameters
    ----------
    series : value of each dimension that is not rolled up; None for the event.
    by : who says so. now : UTC.

    Raises
    ------
    PermanentError
        If there is no such event, the series is none, or the event is one of a static bound and was
        none; or there are too many answers.
    RetryableError
        If another answer is given at the same time.
    """
    group = ledger.group(group_id)
    if group is None:
        raise PermanentError(
            f"There is no event '{group_id}': give the anomalyGroupId of an alert."
        )
    if group.kind == "bound" and not is_anomaly:
        raise PermanentError(
            f"The event '{group_id}' crosses a static bound: change min or max of the measure "
            f"{group.measure} instead."
        )
    slices = group.slices if series is None else (dict(series),)
    for one in slices:
        if not set(one) <= set(config.dimensions):
            raise PermanentError(
                f"The series must be keyed by dimensions ({', '.join(config.dimensions)}); got "
                f"{', '.join(one)}."
            )
    known = ledger.feedback()
    same = [item for item in known if item.group_id == group_id and item.slices == slices]
    before = next((item for item in same if item.undone_at is None), None)
    if before is not None and before.is_anomaly == is_anomaly:
        return _facts(before, config)
    if sum(item.undone_at is None for item in known) >= MOST_ANSWERS:
        raise PermanentError(
            f"There are {MOST_ANSWERS} answers already: undo some that are not needed any more."
        )
    # What is said again within a second, after it was undone, is another answer.
    digest = hashlib.sha256(repr((group_id, slices, is_anomaly, len(same))).encode())
    item = FeedbackItem(
        id=f"{now:%Y%m%dT%H%M%S}-{digest.hexdigest()[:6]}",
        group_id=group_id,
        measure=group.measure,
        slices=slices,
        direction=group.direction,
        severity=group.severity,
        start=group.start,
        end=group.end,
        is_anomaly=is_anomaly,
        by=by,
        since=now,
    )
    ended = None if before is None else before.model_copy(update={"undone_at": now})
    if not ledger.put_feedback(item, ended):
        raise RetryableError("Another answer is given at the same time.")
    return _facts(item, config)


def undo(ledger: Ledger, config: Config, feedback_id: str, now: datetime) -> Facts:
    """End an answer: from the next interval on, all is as if it had not been given.

    Raises
    ------
    PermanentError
        If there is none of this ID, or it has ended.
    RetryableError
        If it is changed at the same time.
    """
    found = next((item for item in ledger.feedback() if item.id == feedback_id), None)
    if found is None:
        raise PermanentError(f"There is no answer '{feedback_id}': list the answers for their IDs.")
    if found.undone_at is not None:
        raise PermanentError(
            f"The answer '{feedback_id}' has ended at {iso(found.undone_at)} already."
        )
    ended = found.model_copy(update={"undone_at": now})
    if not ledger.put_feedback(None, ended):
        raise RetryableError(f"The answer '{feedback_id}' was changed concurrently.")
    return _facts(ended, config)


def listed(ledger: Ledger, config: Config, *, ended: bool = False) -> list[Facts]:
    """The answers by time, with their effects; those that have ended on request."""
    found = sorted(ledger.feedback(), key=lambda one: (one.since, one.id))
    return [_facts(one, config) for one in found if ended or one.undone_at is None]


def verdicts(ledger: Ledger, config: Config, taught: datetime | None) -> tuple[Verdict, ...]:
    """What holds for the intervals of a replay.

    Parameters
    ----------
    taught : UTC; what was said until then the model's training knew, for the whole history.
    """
    found = []
    for item in ledger.feedback():
        ended = item.undone_at
        if ended is not None and taught is not None and ended <= taught:
            continue
        # Another configuration may have neither the measure nor the dimensions.
        named = {name for one in item.slices for name in one}
        if item.measure not in config.measures or not named <= set(config.dimensions):
            continue
        known = taught is not None and item.since <= taught
        found.append(
            _verdict(
                item,
                config,
                0 if known else _after(item.since),
                None if ended is None else _after(ended),
            )
        )
    return tuple(found)


def _verdict(
    item: FeedbackItem, config: Config, since: int = 0, until: int | None = None
) -> Verdict:
    slices = [{name: (value,) for name, value in one.items()} for one in item.slices]
    span = Span.of(Grid.of(config), (item.measure,), slices, item.start, item.end)
    names = tuple(
        tuple(one.get(name, ROLLED_UP) for name in config.dimensions) for one in item.slices
    )
    side = 1 if item.direction == "up" else -1
    said = Verdict(span, names, side, item.is_anomaly, strength(item.severity), since)
    return said if until is None else Verdict(**(vars(said) | {"until": until}))


def _after(moment: datetime) -> int:
    """The first whole second at or after a moment, since 1970."""
    return -int(-moment.timestamp() // 1)


def needed(item: FeedbackItem, config: Config) -> float:
    """The severity that events like that of an answer need, while it holds."""
    return round(severity(_verdict(item, config).needed), 1)


def _facts(item: FeedbackItem, config: Config) -> Facts:
    """An answer, and its effect in numbers."""
    least = needed(item, config)
    effect: Facts = {"similar_events_need_severity": least, "at_most": severity(MOST)}
    if item.is_anomaly:
        effect = {
            "intervals_not_learned": Grid.of(config).count(item.start, item.end),
            "accepted_after_times": FIRM,
            "similar_events_need_severity_at_most": least,
        }
    return {
        "id": item.id,
        "group_id": item.group_id,
        "is_anomaly": item.is_anomaly,
        "measure": item.measure,
        "direction": item.direction,
        "slices": list(item.slices),
        "severity": item.severity,
        "start": iso(item.start),
        "end": iso(item.end),
        "by": item.by,
        "since": iso(item.since),
        "undone_at": None if item.undone_at is None else iso(item.undone_at),
        "effect": effect if item.undone_at is None else {},
    }
