"""A message: one line, a short and a long text for people, parts of which a target makes its own
form, and JSON for programs. Pure.

The JSON is the ended service's (`lookout.payload`).
"""

from __future__ import annotations

import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from anomaly_detector.alerts import words
from anomaly_detector.alerts.figures import change, compared, difference, unit_of_event
from anomaly_detector.alerts.life import EventState, adds, begins_again, is_over, state_of
from anomaly_detector.config import ROLLED_UP, Config, SeverityClass
from anomaly_detector.errors import PermanentError
from anomaly_detector.events.group import Group
from anomaly_detector.ledger.items import AlertItem, Told
from anomaly_detector.lookout.payload import (
    MAX_BYTES,
    Origin,
    alert_payload,
    digest_payload,
    encode,
    retraction_payload,
    whole_shares,
    with_linked,
)
from anomaly_detector.warehouse.reproduction import reproduction

# Of SNS: a subject has at most 100 ASCII characters, a text message has fewer than 160.
_SUBJECT, _SHORT = 100, 159
# Bytes of a long text, which one message of 256 KB holds beside the JSON.
_MOST_TEXT = 24_000
# What of it is shorter, in order: the most lines of a section, and whether the SQL is in it.
_SHORTER = ((1_000, True), (1_000, False), (3, False), (0, False))
_VALUES, _SERIES, _EVENTS, _SLICES = 5, 10, 50, 5
# Links to the events that are told with one.
_MORE_LINKS = 3
# Characters of a name, and of a line of free text.
_NAME, _LINE = 80, 1000
# What a message leads to: the file of the event, or its page.
_LINKS = ("Data", "Page of the event")
_RANKS: tuple[SeverityClass, ...] = ("low", "medium", "high")


@dataclass(frozen=True)
class Section:
    """Lines under a title."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Letter:
    """What is told of one event.

    Attributes
    ----------
    events : how many it tells of.
    event : Lookout's `alertEventId` of the first message, which names the event in all messages
        about it, and about what came after it or is linked to it.
    state : of the event.
    say : the sentence, after the detector's name.
    facts : labels and values. links : titles and addresses.
    sql : the query that shows it.
    payload : as JSON.
    """

    event: str
    state: EventState
    severity: float
    severity_class: SeverityClass
    say: words.Sayable
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    links: tuple[tuple[str, str], ...]
    sql: str | None
    about: str
    payload: dict[str, Any]
    events: int = 1


@dataclass(frozen=True)
class Message:
    """One message to a target: a letter, or a bundle of several.

    Attributes
    ----------
    id : names the message; `event` the event, or the bundle.
    line : the sentence. subject : the same in at most 100 printable ASCII characters.
    short : the same in fewer than 160 characters. text : for e-mail.
    about : which alert it is. body : JSON.
    thread : what names the first message about the event at the target, if it has threads.
    """

    id: str
    event: str
    state: EventState
    severity: float
    severity_class: SeverityClass
    line: str
    subject: str
    short: str
    facts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...]
    links: tuple[tuple[str, str], ...]
    sql: str | None
    about: str
    body: str
    thread: str | None = None

    @property
    def text(self) -> str:
        """The long text; if it is too long, without the SQL, a part of which nobody can run, and
        with fewer lines.
        """
        texts = (self._text(lines, sql=sql) for lines, sql in _SHORTER)
        found = next((one for one in texts if _in_json(one) <= _MOST_TEXT), None)
        if found is not None:
            return found
        # A control character takes six bytes.
        return self._text(0, sql=False).encode()[: _MOST_TEXT // 6].decode(errors="ignore")

    def _text(self, lines: int, *, sql: bool) -> str:
        width = max((len(label) for label, _ in self.facts), default=0) + 2
        sections = self.sections if lines else ()
        parts = [
            self.line,
            "\n".join(f"{f'{label}:':<{width}}{value}" for label, value in self.facts),
            *("\n".join([f"{one.title}:", *one.lines[:lines]]) for one in sections),
            self.about,
            "\n".join(f"{title}: {address}" for title, address in self.links),
            f"SQL that shows it:\n\n{self.sql};" if sql and self.sql else "",
        ]
        return "\n\n".join(filter(None, parts)) + "\n"


def _in_json(text: str) -> int:
    """Bytes of a text within JSON, as SNS gets it."""
    return len(json.dumps(text, ensure_ascii=False).encode())


def of_event(
    origin: Origin,
    config: Config,
    item: AlertItem,
    group: Group,
    results_key: str,
    asof: datetime,
    knows: Told | None = None,
    linked: Sequence[tuple[Group, str]] = (),
) -> Letter:
    """What tells of an event to whom knows so much of it: nothing, or what was told before.

    Parameters
    ----------
    item : the alert. group : what the event is now, under the name with which it was told first; or
        one that came after it, or is linked to it.
    results_key : as `alert_payload` takes it.
    asof : UTC; when it is told.
    linked : events that are told with it, and their `results_key`.
    """
    state = state_of(item, knows)
    group, *others = (_as_told(config, one) for one in (group, *(one for one, _ in linked)))
    severity = max(one.severity for one in (group, *others))
    severity_class = item.holds.severity_class
    if knows is None or begins_again(knows, item.holds) or adds(knows, item.holds):
        # Also where no rise is told.
        severity_class = max(severity_class, config.severity_class(severity), key=_RANKS.index)
    before, end = _framed(item, group, state, knows)

    def say(*, names: int = _NAME, brief: bool = False) -> str:
        told = words.sentence_of_all(config, group, others, asof, names=names, brief=brief)
        return f"{config.name}: {before}{told}{'' if brief else end}"

    most = MAX_BYTES // (1 + len(others))
    payload = alert_payload(
        origin,
        config,
        item.alert,
        group,
        results_key,
        late=item.late,
        tellings=item.tellings,
        most=most,
    )
    with_it = [
        alert_payload(origin, config, item.alert, one, key, most=most)
        for one, (_, key) in zip(others, linked, strict=True)
    ]
    told = payload["alertEventId"]
    if state != "OPEN":
        # It may become an event of its own, whose messages have turns of their own.
        after = f"/after/{item.group_id}" if group.id != item.group_id else ""
        payload["alertEventId"] = f"{told}{after}/{state.lower()}/{item.turn}"
        payload["state"] = state
    title = _LINKS[results_key.endswith(".html")]
    links = [
        (f"{title.removesuffix(' of the event')} of {words.plain(one.measure)}", its["consoleUrl"])
        for one, its in zip(others, with_it, strict=True)
    ]
    return Letter(
        event=told.replace(f":event/{group.id}", f":event/{item.group_id}"),
        state=state,
        severity=severity,
        severity_class=severity_class,
        say=say,
        facts=_facts(config, group, config.severity_class(group.severity)),
        sections=tuple(filter(None, _sections(config, group, others, asof))),
        links=((title, payload["consoleUrl"]), *links[:_MORE_LINKS]),
        sql=_sql(config, group),
        about=_about(config, item.alert),
        payload=with_linked(payload, with_it),
        events=1 + len(others),
    )


def of_retraction(
    origin: Origin,
    config: Config,
    item: AlertItem,
    asof: datetime,
    linked: Sequence[AlertItem] = (),
    closes: AlertItem | None = None,
) -> Letter:
    """What tells whoever was told of an event that it is void.

    Parameters
    ----------
    linked : alerts on events that were told with it, and are void with it.
    closes : the alert whose incident is over with that; its own, if None.
    """
    measures = tuple(dict.fromkeys(one.measure for one in (item, *linked)))

    def say(*, names: int = _NAME, brief: bool = False) -> str:
        told = words.retracted(
            config, measures, item.slices, item.start, item.end, asof, names=names, brief=brief
        )
        return f"{config.name}: {told}"

    payload = retraction_payload(origin, config, item.alert, item)
    incident = retraction_payload(origin, config, item.alert, closes or item)
    with_it = [retraction_payload(origin, config, item.alert, one) for one in linked]
    return Letter(
        event=incident["alertEventId"].removesuffix("/retracted"),
        state="RETRACTED",
        severity=0.0,
        severity_class="low",
        say=say,
        facts=(),
        sections=(),
        links=(),
        sql=None,
        about=f"There is nothing to do.\n\n{_about(config, item.alert)}",
        payload=with_linked(payload, with_it),
        events=1 + len(linked),
    )


def single(letter: Letter) -> Message:
    """The message that holds one letter."""
    return Message(
        id=letter.payload["alertEventId"],
        event=letter.event,
        state=letter.state,
        severity=letter.severity,
        severity_class=letter.severity_class,
        line=letter.say(),
        subject=words.shortened(letter.say, _SUBJECT, ascii_only=True),
        short=words.shortened(letter.say, _SHORT),
        facts=letter.facts,
        sections=letter.sections,
        links=letter.links,
        sql=letter.sql,
        about=letter.about,
        body=encode(letter.payload),
    )


def bundle(
    origin: Origin, config: Config, name: str, attempt: str, letters: Sequence[Letter]
) -> Message:
    """One message that holds many letters, the most severe first.

    Parameters
    ----------
    attempt : of the delivery, which names the message.
    """
    ordered = sorted(letters, key=lambda one: -one.severity)
    payload = digest_payload(origin, config, name, attempt, [one.payload for one in ordered])

    def say(*, names: int = _NAME, brief: bool = False) -> str:
        worst = ordered[0].say(names=names, brief=brief).removeprefix(f"{config.name}: ")
        number = sum(one.events for one in ordered)
        return f"{config.name}: {number:,} events, the most severe: {worst}"

    lines = [f"- {one.say()}" for one in ordered[:_EVENTS]]
    if more := len(ordered) - len(lines):
        lines.append(f"- and {more:,} more, which are in the results")
    return Message(
        id=payload["alertEventId"],
        event=payload["alertEventId"],
        state=_of_all([one.state for one in ordered]),
        severity=ordered[0].severity,
        severity_class=max((one.severity_class for one in ordered), key=_RANKS.index),
        line=say(),
        subject=words.shortened(say, _SUBJECT, ascii_only=True),
        short=words.shortened(say, _SHORT),
        facts=(),
        sections=(Section("Events", tuple(lines)),),
        links=(),
        sql=None,
        about=_about(config, name),
        body=encode(payload),
    )


def _of_all(states: Sequence[EventState]) -> EventState:
    """The state of a bundle: that of its events if they have the same, else they have begun."""
    return states[0] if len(set(states)) == 1 else "OPEN"


def _framed(
    item: AlertItem, group: Group, state: EventState, knows: Told | None
) -> tuple[str, str]:
    """What stands before the sentence, and after it."""
    if state == "OPEN" or knows is None:
        return "", " (found late)" if item.late else ""
    if state == "ONGOING" and begins_again(knows, item.holds):
        alike = knows.over and item.direction == group.direction
        return ("again: " if alike else "also: "), ""
    if state == "ONGOING" and adds(knows, item.holds):
        return "also: ", ""
    if state == "ONGOING":
        return ("goes on: " if knows.over else f"now {item.holds.severity_class}: "), ""
    return ("lasts: " if state == "ACCEPTED" else "ended: "), ""


def _facts(
    config: Config, group: Group, severity_class: SeverityClass
) -> tuple[tuple[str, str], ...]:
    unit, zone = unit_of_event(config, group), ZoneInfo(config.timezone)
    begin, end = (one.astimezone(zone) for one in (group.start, group.end))
    slices = [_slice(one) or "in total" for one in group.slices[:_SLICES]]
    if more := len(group.slices) - len(slices):
        slices.append(f"and {more} more")
    ended = "going on" if group.state == "OPEN" else f"to {end:%Y-%m-%d %H:%M}"
    moved = [difference(group.actual, group.expected, unit), change(group.actual, group.expected)]
    known = ", ".join(filter(None, moved))
    aggregation = config.measures[group.measure].aggregation
    found = {
        "Measure": f"{words.plain(group.measure, _NAME)} ({aggregation})",
        "Where": "; ".join(slices) if config.dimensions else None,
        "When": f"from {begin:%Y-%m-%d %H:%M} {config.timezone}, {ended}",
        "Rows" if group.kind == "few rows" else "Value": (
            compared(group.actual, group.expected, unit) + (f" ({known})" if known else "")
        ),
        "Severity": f"{group.severity:.0f} of 100 ({severity_class})",
        "Kind": group.kind,
    }
    return tuple((label, value) for label, value in found.items() if value)


def _as_told(config: Config, group: Group) -> Group:
    """An event that is normal by now is told as one that has ended."""
    return replace(group, state="CLOSED") if is_over(config, group) else group


def _with_it(config: Config, linked: Sequence[Group], asof: datetime) -> Section | None:
    """The events that are told with one."""
    if not linked:
        return None
    lines = [
        f"  {words.sentence(config, one, asof)} (severity {one.severity:.0f})"
        for one in linked[:_EVENTS]
    ]
    if more := len(linked) - len(lines):
        lines.append(f"  and {more:,} more, which are in the results")
    return Section("At about the same time and place", tuple(lines))


def _sections(
    config: Config, group: Group, linked: Sequence[Group], asof: datetime
) -> tuple[Section | None, ...]:
    return (
        _with_it(config, linked, asof),
        _cause(config, group),
        _shares(config, group),
        _series(config, group),
        _related(group, {one.id for one in linked}),
    )


def _shares(config: Config, group: Group) -> Section | None:
    """How much each value shares."""
    lines = []
    for name in config.dimensions:
        shares = whole_shares(group.contributions.get(name, {}), _VALUES)
        if shares:
            told = ", ".join(f"{_value(value)} {share} %" for value, share in shares)
            lines.append(f"  {words.plain(name, _NAME)}: {told}")
    return Section("Where it comes from", tuple(lines)) if lines else None


def _cause(config: Config, group: Group) -> Section | None:
    """What explains the change, in the measure's unit and in percent."""
    if group.cause is None or not group.cause.parts:
        return None
    unit = unit_of_event(config, group)
    lines = []
    for part in group.cause.parts[:_SLICES]:
        why = {"rate": ", its own values", "mix": ", its part in the whole"}.get(part.effect, "")
        moved = difference(part.deviation, 0.0, unit)
        share = f"{part.share:.0f} % of the change"
        lines.append(f"  {_slice(part.slice) or 'in total'}: {moved} ({share}{why})")
    if more := len(group.cause.parts) - len(lines):
        lines.append(f"  and {more} more")
    if group.cause.unexplained >= 1:
        lines.append(f"  unexplained: {group.cause.unexplained:.0f} %")
    return Section("What explains it", tuple(lines))


def _related(group: Group, told: Container[str]) -> Section | None:
    """Events of other measures at the same time and place, the one that began first first; without
    those that are told beside it.
    """
    found = sorted(
        (one for one in group.related if one.now and one.group_id not in told),
        key=lambda one: (-one.lag, one.measure),
    )
    if not found:
        return None
    lines = []
    for one in found[:_SLICES]:
        away = words.lasting(abs(one.lag))
        when = (
            f"began {away} {'earlier' if one.lag > 0 else 'later'}" if one.lag else "began with it"
        )
        habit = f", as in {one.times} of {one.of} earlier events" if one.of and one.times else ""
        lines.append(f"  {words.plain(one.measure, _NAME)}: {when}{habit}")
    if more := len(found) - len(lines):
        lines.append(f"  and {more} more")
    return Section("Related events, which need not be its cause", tuple(lines))


def _series(config: Config, group: Group) -> Section | None:
    """The leaves that moved most."""
    if not config.dimensions or not group.leaves:
        return None
    unit = unit_of_event(config, group)
    lines = []
    for leaf in group.leaves[:_SERIES]:
        moved = change(leaf.actual, leaf.expected)
        place = " / ".join(_value(value) for value in leaf.slice if value != ROLLED_UP)
        told = compared(leaf.actual, leaf.expected, unit)
        lines.append(f"  {place}: {told}{f' ({moved})' if moved else ''}")
    if more := len(group.leaves) - len(lines):
        lines.append(f"  and {more} more")
    return Section("Most affected", tuple(lines))


def _about(config: Config, name: str) -> str:
    given = config.alerts[name].description or ""
    description = "\n".join(words.plain(line, _LINE) for line in given.splitlines())
    return f"Alert '{name}' of detector {config.name}{f': {description}' if description else '.'}"


def _sql(config: Config, group: Group) -> str | None:
    if config.query is None:
        return None
    try:
        shown = _counting(config, group.measure) if group.kind == "few rows" else config
        found = reproduction(shown, group.measure, group.slices, group.start, group.end)
    except PermanentError:
        # It was valid when it was crawled: another version of the package made it.
        return None
    return found


def _counting(config: Config, name: str) -> Config:
    """The configuration in which a measure is the number of its rows; a ratio has no column."""
    measure = config.measures[name]
    if measure.aggregation == "RATIO":
        return config
    counted = measure.model_copy(update={"aggregation": "COUNT"})
    return config.model_copy(update={"measures": {**config.measures, name: counted}})


def _slice(one: Mapping[str, str]) -> str:
    named = (f"{words.plain(name, _NAME)} = {_value(value)}" for name, value in one.items())
    return ", ".join(named)


def _value(value: str) -> str:
    return words.plain(value, _NAME) or "(empty)"
