"""A message in all its forms: one line, a short and a long text for people, JSON for programs.
Pure.

The JSON is the ended service's (`lookout.payload`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from anomaly_detector.alerts import words
from anomaly_detector.alerts.figures import change, compared, difference, unit_of
from anomaly_detector.config import ROLLED_UP, Config
from anomaly_detector.errors import PermanentError
from anomaly_detector.events.group import Group
from anomaly_detector.ledger.items import AlertItem
from anomaly_detector.lookout.payload import (
    Origin,
    alert_payload,
    digest_payload,
    encode,
    retraction_payload,
    whole_shares,
)
from anomaly_detector.warehouse.reproduction import reproduction

# Of SNS: a subject has at most 100 ASCII characters, a text message has fewer than 160.
_SUBJECT, _SHORT = 100, 159
# Of a long text, which one message of 256 KB holds beside the JSON.
_MOST_SQL, _MOST_TEXT = 12_000, 24_000
_VALUES, _SERIES, _EVENTS, _SLICES = 5, 10, 50, 5
# Characters of a name, and of a line of free text.
_NAME, _LINE = 80, 1000


@dataclass(frozen=True)
class Message:
    """One message to a target.

    Attributes
    ----------
    event_id : Lookout's `alertEventId`: `<ARN of the alert>:event/<ID of the group>`.
    subject : the sentence in at most 100 printable ASCII characters.
    short : the sentence in fewer than 160 characters. text : for e-mail. body : JSON.
    """

    event_id: str
    subject: str
    short: str
    text: str
    body: str


@dataclass(frozen=True)
class Letter:
    """What is told of one event; a bundle holds several.

    Attributes
    ----------
    say : the sentence, after the detector's name. text : what follows it. payload : as JSON.
    """

    say: words.Sayable
    text: str
    payload: dict[str, Any]


def of_event(
    origin: Origin,
    config: Config,
    name: str,
    group: Group,
    results_key: str,
    asof: datetime,
    *,
    late: bool = False,
    tellings: int = 1,
) -> Letter:
    """What tells of an event that has opened.

    Parameters
    ----------
    name : of the alert.
    results_key, late, tellings : as `alert_payload` takes them.
    asof : UTC; when it is told.
    """

    def say(*, names: int = _NAME, brief: bool = False) -> str:
        found_late = " (found late)" if late and not brief else ""
        return words.headline(config, group, asof, names=names, brief=brief) + found_late

    payload = alert_payload(origin, config, name, group, results_key, late=late, tellings=tellings)
    parts = [
        _facts(config, group),
        _shares(config, group),
        _series(config, group),
        _about(config, name),
        f"Data: {payload['consoleUrl']}",
        _sql(config, group),
    ]
    return Letter(say, "\n\n".join(filter(None, parts)), payload)


def of_retraction(
    origin: Origin, config: Config, name: str, item: AlertItem, asof: datetime
) -> Letter:
    """What tells whoever was told of an event that it is void."""

    def say(*, names: int = _NAME, brief: bool = False) -> str:
        told = words.retracted(
            config, item.measure, item.slices, item.start, item.end, asof, names=names, brief=brief
        )
        return f"{config.name}: {told}"

    text = f"There is nothing to do.\n\n{_about(config, name)}"
    return Letter(say, text, retraction_payload(origin, config, name, item))


def single(letter: Letter) -> Message:
    """The message that holds one letter."""
    return _message(letter.say, letter.text, letter.payload)


def bundle(
    origin: Origin, config: Config, name: str, attempt: str, letters: Sequence[Letter]
) -> Message:
    """One message that holds many letters, the most severe first.

    Parameters
    ----------
    attempt : of the delivery, which names the message.
    """
    ordered = sorted(letters, key=lambda one: -float(one.payload["anomalyScore"]))
    payload = digest_payload(origin, config, name, attempt, [one.payload for one in ordered])

    def say(*, names: int = _NAME, brief: bool = False) -> str:
        worst = ordered[0].say(names=names, brief=brief).removeprefix(f"{config.name}: ")
        return f"{config.name}: {len(ordered):,} events, the most severe: {worst}"

    lines = [f"- {one.say()}" for one in ordered[:_EVENTS]]
    if more := len(ordered) - len(lines):
        lines.append(f"- and {more:,} more, which are in the results")
    return _message(say, "\n".join([*lines, "", _about(config, name)]), payload)


def _message(say: words.Sayable, text: str, payload: Mapping[str, Any]) -> Message:
    return Message(
        event_id=payload["alertEventId"],
        subject=words.shortened(say, _SUBJECT, ascii_only=True),
        short=words.shortened(say, _SHORT),
        text=f"{say()}\n\n{text}\n"[:_MOST_TEXT],
        body=encode(payload),
    )


def _facts(config: Config, group: Group) -> str:
    unit, zone = unit_of(config, group.measure), ZoneInfo(config.timezone)
    begin, end = (one.astimezone(zone) for one in (group.start, group.end))
    slices = [_slice(one) or "in total" for one in group.slices[:_SLICES]]
    if more := len(group.slices) - len(slices):
        slices.append(f"and {more} more")
    ended = "going on" if group.state == "OPEN" else f"to {end:%Y-%m-%d %H:%M}"
    moved = [difference(group.actual, group.expected, unit), change(group.actual, group.expected)]
    known = ", ".join(filter(None, moved))
    aggregation = config.measures[group.measure].aggregation
    lines = {
        "Measure": f"{words.plain(group.measure, _NAME)} ({aggregation})",
        "Where": "; ".join(slices) if config.dimensions else None,
        "When": f"from {begin:%Y-%m-%d %H:%M} {config.timezone}, {ended}",
        "Value": compared(group.actual, group.expected, unit) + (f" ({known})" if known else ""),
        "Severity": f"{group.severity:.0f} of 100",
        "Kind": group.kind,
    }
    width = max(map(len, lines)) + 2
    return "\n".join(f"{f'{key}:':<{width}}{value}" for key, value in lines.items() if value)


def _shares(config: Config, group: Group) -> str | None:
    """How much each value shares."""
    lines = []
    for name in config.dimensions:
        shares = whole_shares(group.contributions.get(name, {}), _VALUES)
        if shares:
            told = ", ".join(f"{_value(value)} {share} %" for value, share in shares)
            lines.append(f"  {words.plain(name, _NAME)}: {told}")
    return "\n".join(["Where it comes from:", *lines]) if lines else None


def _series(config: Config, group: Group) -> str | None:
    """The leaves that moved most."""
    if not config.dimensions or not group.leaves:
        return None
    unit = unit_of(config, group.measure)
    lines = []
    for leaf in group.leaves[:_SERIES]:
        moved = change(leaf.actual, leaf.expected)
        place = " / ".join(_value(value) for value in leaf.slice if value != ROLLED_UP)
        told = compared(leaf.actual, leaf.expected, unit)
        lines.append(f"  {place}: {told}{f' ({moved})' if moved else ''}")
    if more := len(group.leaves) - len(lines):
        lines.append(f"  and {more} more")
    return "\n".join(["Most affected:", *lines])


def _about(config: Config, name: str) -> str:
    given = config.alerts[name].description or ""
    description = "\n".join(words.plain(line, _LINE) for line in given.splitlines())
    return f"Alert '{name}' of detector {config.name}{f': {description}' if description else '.'}"


def _sql(config: Config, group: Group) -> str | None:
    if config.query is None:
        return None
    try:
        found = reproduction(config, group.measure, group.slices, group.start, group.end)
    except PermanentError:
        # It was valid when it was crawled: another version of the package made it.
        return None
    return f"SQL that shows it:\n\n{found};" if len(found) <= _MOST_SQL else None


def _slice(one: Mapping[str, str]) -> str:
    named = (f"{words.plain(name, _NAME)} = {_value(value)}" for name, value in one.items())
    return ", ".join(named)


def _value(value: str) -> str:
    return words.plain(value, _NAME) or "(empty)"
