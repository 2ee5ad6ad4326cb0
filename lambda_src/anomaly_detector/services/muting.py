"""Mutes: alerts that are held back for a while, with a reason and an end.

A mute is declared in the document, or somebody asks for it: the CLI and the console call the
function `respond`, which calls this module. Either way it is an item of the ledger, which acts when
alerts are decided and changes neither scores nor events. What it has held back is recorded with the
alerts, and told on the operations topic when it ends.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from itertools import count
from typing import Any, Literal

from anomaly_detector.alerts.decide import muted_by
from anomaly_detector.config import Config, Mute, load_mute
from anomaly_detector.errors import PermanentError, RetryableError
from anomaly_detector.events.group import Group
from anomaly_detector.intervals import Grid, iso
from anomaly_detector.lake.store import ObjectStore
from anomaly_detector.ledger.items import AlertItem, MuteItem
from anomaly_detector.ledger.ledger import Ledger
from anomaly_detector.services import documents

Facts = dict[str, Any]
State = Literal["WAITING", "ACTIVE", "ENDED"]

# A mute that is forgotten hides what somebody should see.
LONGEST = timedelta(days=366)
_KEPT = timedelta(days=400)
_LISTED = 20


def mute(
    ledger: Ledger, config: Config, values: Mapping[str, object], by: str | None, now: datetime
) -> Facts:
    """Hold back the alerts on events within some measures and dimension values.

    Parameters
    ----------
    values : as in the document: `measures`, `dimension_filters`, `start` (now, if not given), `end`
        and `reason`.
    by : who asks for it. now : UTC.

    Raises
    ------
    PermanentError
        Names what is invalid; or it has ended already, or would last for more than a year.
    """
    start = values.get("start") or iso(now)
    wanted = load_mute({**values, "start": start}, config)
    if wanted.end <= now:
        raise PermanentError(f"The mute must end in the future; got {iso(wanted.end)}.")
    if wanted.end - now > LONGEST:
        raise PermanentError(
            f"The mute must end within {LONGEST.days} days, by {iso(now + LONGEST)}; got "
            f"{iso(wanted.end)}: leave the measure or the values out of the detector instead."
        )
    # The same request, repeated within a second, is the same mute, unless that was lifted.
    for turn in count():
        asked = json.dumps([dict(values), by, turn], sort_keys=True, default=str)
        digest = hashlib.sha256(asked.encode()).hexdigest()[:6]
        item = _item(f"{now:%Y%m%dT%H%M%S}-{digest}", wanted, by, now)
        before = ledger.mute(item.id)
        if before is None or not before.is_over(now):
            break
    ledger.put_mute(None, item)
    return _facts(item, [], now)


def unmute(ledger: Ledger, mute_id: str, now: datetime) -> Facts:
    """End a mute now; events that last are alerted on from their next interval on.

    Raises
    ------
    PermanentError
        If there is none of this ID, it has ended, or the document declares it.
    RetryableError
        If it is changed at the same time.
    """
    found = ledger.mute(mute_id)
    if found is None:
        raise PermanentError(f"There is no mute '{mute_id}': list the mutes for their IDs.")
    if found.declared:
        raise PermanentError(
            f"The mute '{mute_id}' is declared in the configuration: remove it from mutes there."
        )
    if found.is_over(now):
        raise PermanentError(f"The mute '{mute_id}' has ended at {iso(found.until)}.")
    lifted = found.model_copy(update={"lifted_at": now})
    if not ledger.put_mute(found, lifted):
        raise RetryableError(f"The mute '{mute_id}' was changed concurrently.")
    return _facts(lifted, ledger.alerts_held_back(mute_id), now)


def listed(ledger: Ledger, now: datetime, *, ended: bool = False) -> list[Facts]:
    """The mutes by their end, with what they have held back; those that have ended on request."""
    found = [one for one in ledger.mutes() if ended or not one.is_over(now)]
    return [
        _facts(one, ledger.alerts_held_back(one.id), now)
        for one in sorted(found, key=lambda one: (one.until, one.id))
    ]


def judge(ledger: Ledger, config: Config) -> Callable[[Group], str | None]:
    """Returns which mute holds back the alerts on a group, None if none does."""
    grid = Grid.of(config)
    # Those of the document hold before they are recorded, too.
    declared = [_item(name, one, None, one.end) for name, one in config.mutes.items()]
    mutes = [*declared, *(one for one in ledger.mutes() if not one.declared)]

    def held_by(group: Group) -> str | None:
        return muted_by(group, grid.shift(group.end, -1), mutes)

    return held_by


def ended(ledger: Ledger, store: ObjectStore, now: datetime) -> list[MuteItem]:
    """Record the mutes of the document in force, and return those of all that have ended without
    being told.
    """
    detector = ledger.detector()
    stored = {one.id: one for one in ledger.mutes()}
    if detector.config_hash is not None:
        declared = documents.load(store, detector.config_hash).mutes
        for name, wanted in declared.items():
            _record(ledger, stored, _item(name, wanted, None, now, declared=True))
        for name, one in stored.items():
            if one.declared and name not in declared and not one.is_over(now):
                _replace(ledger, stored, one, one.model_copy(update={"lifted_at": now}))
    return [one for one in stored.values() if one.is_over(now) and not one.told]


def end_of(ledger: Ledger, detector: str, one: MuteItem) -> tuple[str, str, Facts]:
    """What is told of a mute that has ended: a title, a text, and facts."""
    held = ledger.alerts_held_back(one.id)
    events = {item.group_id: item for item in held}
    lines = [f"- {_line(item)}" for item in list(events.values())[:_LISTED]]
    if len(events) > _LISTED:
        lines.append(f"and {len(events) - _LISTED} more")
    text = "\n".join(
        [
            f"The mute '{one.id}' of detector {detector} has ended at {iso(one.until)}.",
            f"Reason: {one.reason}{f' ({one.by})' if one.by else ''}",
            f"It held for {scope(one)} and has held back the alerts on {_many(len(events))}.",
            *lines,
        ]
    )
    facts = {"detector": detector, "event": "MUTE_ENDED", "mute": _facts(one, held, one.until)}
    return f"{detector}: the mute '{one.id}' has ended", text, facts


def note_told(ledger: Ledger, one: MuteItem) -> None:
    """Record that the end of a mute was told."""
    ledger.put_mute(one, one.model_copy(update={"told": True}))


def _record(ledger: Ledger, stored: dict[str, MuteItem], wanted: MuteItem) -> None:
    """Record a mute of the document as it stands there; one whose end has moved is told again."""
    before = stored.get(wanted.id)
    if before is not None:
        wanted = wanted.model_copy(
            update={"since": before.since, "told": before.told and before.until == wanted.until}
        )
    elif wanted.end <= wanted.since:
        return
    if before != wanted:
        _replace(ledger, stored, before, wanted)


def _replace(
    ledger: Ledger, stored: dict[str, MuteItem], before: MuteItem | None, after: MuteItem
) -> None:
    if ledger.put_mute(before, after):
        stored[after.id] = after


def _item(
    mute_id: str, wanted: Mute, by: str | None, now: datetime, *, declared: bool = False
) -> MuteItem:
    return MuteItem(
        id=mute_id,
        measures=wanted.measures,
        dimension_filters=wanted.dimension_filters,
        start=wanted.start,
        end=wanted.end,
        reason=wanted.reason,
        by=by,
        since=now,
        declared=declared,
        expires_at=int((wanted.end + _KEPT).timestamp()),
    )


def _facts(one: MuteItem, held: list[AlertItem], now: datetime) -> Facts:
    waiting = one.start is not None and one.start > now
    state: State = "ENDED" if one.is_over(now) else "WAITING" if waiting else "ACTIVE"
    return {
        "id": one.id,
        "state": state,
        "measures": list(one.measures),
        "dimension_filters": {name: list(values) for name, values in one.dimension_filters.items()},
        "start": None if one.start is None else iso(one.start),
        "end": iso(one.until),
        "reason": one.reason,
        "by": one.by,
        "declared": one.declared,
        "alerts": len(held),
        "events": sorted({item.group_id for item in held}),
    }


def scope(one: MuteItem) -> str:
    """Measures and dimension values in words."""
    measures = ", ".join(one.measures) or "all measures"
    values = "; ".join(
        f"{name} {', '.join(values)}" for name, values in one.dimension_filters.items()
    )
    return f"{measures} ({values})" if values else measures


def _line(item: AlertItem) -> str:
    where = "; ".join(
        ", ".join(f"{name} {value}" for name, value in one.items()) or "in total"
        for one in item.slices[:2]
    )
    return f"{item.measure} {item.direction or ''} ({where}), {iso(item.start)} to {iso(item.end)}"


def _many(events: int) -> str:
    return f"{events:,} event{'' if events == 1 else 's'}"
