"""The one sentence about an event: the same in every message, on every page and in the CLI. Pure.

What, where, since when, how far, the measure's name first: `revenue down 84 % on mobile_web since
09:00, 1,055 instead of 6,547`.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from anomaly_detector.alerts.figures import change, compared, figure, percent, unit_of_event
from anomaly_detector.config import Config
from anomaly_detector.events.group import Group, Kind

MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# Characters of a name that a sentence shows, where there is room.
_NAME = 40
# Shorter forms of a text, in order: the length of names, and whether the figures are left out.
_FORMS = (
    *((length, False) for length in (_NAME, 24, 16)),
    *((length, True) for length in (_NAME, 24, 16, 10, 6)),
)
_FEWEST_LETTERS = 2
_SLICES = 2
# Events of a sentence.
_EVENTS = 3
# What stands for itself in no sentence: the dimension is named, too.
_BARE = frozenset({"true", "false", "yes", "no", "null", "(null)", "none", "nan", "other", "n/a"})
# They join letters in several scripts, and emoji.
_JOINERS = "\u200c\u200d"
_TOLD_BY_FIGURES = (None, "spike", "dip", "level", "new value")
_WORDS: dict[Kind, tuple[str, str]] = {
    "ramp": ("rises steadily", "falls steadily"),
    "stuck": ("is stuck", "is stuck"),
    "season": ("breaks its season", "breaks its season"),
    "variance": ("varies more than usual", "varies more than usual"),
    "no data": ("has no data", "has no data"),
    "few rows": ("has far fewer rows than usual", "has far fewer rows than usual"),
}


class Sayable(Protocol):
    """A text that can be said shorter."""

    def __call__(self, *, names: int = _NAME, brief: bool = False) -> str:
        """The text, in which names are cut to so many characters; if brief, without figures."""


def sentence(
    config: Config,
    group: Group,
    asof: datetime | None = None,
    *,
    names: int = _NAME,
    brief: bool = False,
) -> str:
    """What, where, since when and how far, in one line without the detector's name.

    Parameters
    ----------
    asof : UTC; when it is told. What was on the same day is said without the date, and what was in
        the same year without the year.
    names : longer names and values are cut to so many characters.
    brief : without what came instead of what.
    """
    what = plain(group.measure, names)
    verb = _verb(config, group)
    most = 1 if brief else _SLICES
    place = where(config, group.slices, new=group.kind == "new value", names=names, most=most)
    when = time(config, group.start, group.end, is_open=group.state == "OPEN", asof=asof)
    told = " ".join(part for part in (what, verb, place, when) if part)
    return told if brief else f"{told}, {_figures(config, group)}{_ending(group)}"


def sentence_of_all(
    config: Config,
    group: Group,
    linked: Sequence[Group],
    asof: datetime | None = None,
    *,
    names: int = _NAME,
    brief: bool = False,
) -> str:
    """The sentence about an event and those that are told with it: at the same time and place,
    `views down 84 % and revenue down 80 % on mobile_web since 09:00, views 1,055 instead of 6,547,
    revenue 310 instead of 1,540`; else one after the other.

    Parameters
    ----------
    asof, names, brief : as `sentence` takes them.
    """
    if not linked:
        return sentence(config, group, asof, names=names, brief=brief)
    most = 1 if brief else _SLICES

    def placed(one: Group) -> tuple[str, str]:
        place = where(config, one.slices, new=one.kind == "new value", names=names, most=most)
        return place, time(config, one.start, one.end, is_open=one.state == "OPEN", asof=asof)

    alike = [group, *(one for one in linked if placed(one) == placed(group))]
    apart = [one for one in linked if one not in alike]
    shown = alike[:_EVENTS]
    verbs = [f"{plain(one.measure, names)} {_verb(config, one)}" for one in shown]
    told = " ".join(part for part in (_listed(verbs), *placed(group)) if part)
    if not brief:
        figures = [f"{_figures(config, one)}{_ending(one)}" for one in shown]
        if len(shown) > 1:
            named = zip(shown, figures, strict=True)
            figures = [f"{plain(one.measure, names)} {each}" for one, each in named]
        told = ", ".join((told, *figures))
    others = apart[: _EVENTS - len(shown)]
    if brief and others:
        also = (
            placed(one)[0] if one.measure == group.measure else plain(one.measure, names)
            for one in others
        )
        told = f"{told}; also {_listed(list(dict.fromkeys(also)))}"
    else:
        told = "; ".join((told, *(sentence(config, one, asof, names=names) for one in others)))
    more = 1 + len(linked) - len(shown) - len(others)
    return f"{told}; and {more:,} more" if more else told


def _listed(parts: Sequence[str]) -> str:
    """`one, two and three`."""
    *others, last = parts
    return f"{', '.join(others)} and {last}" if others else last


def headline(
    config: Config,
    group: Group,
    asof: datetime | None = None,
    *,
    names: int = _NAME,
    brief: bool = False,
) -> str:
    """The sentence after the detector's name: `shop: revenue down 84 % …`."""
    return f"{config.name}: {sentence(config, group, asof, names=names, brief=brief)}"


def retracted(
    config: Config,
    measures: Sequence[str],
    slices: Sequence[Mapping[str, str]],
    start: datetime,
    end: datetime,
    asof: datetime | None = None,
    *,
    names: int = _NAME,
    brief: bool = False,
) -> str:
    """That an event that was told is void, because rows that came late explain it.

    Parameters
    ----------
    measures : its own first, and those that it was told with.
    """
    place = where(config, slices, names=names, most=1 if brief else _SLICES)
    when = time(config, start, end, is_open=False, asof=asof)
    shown = [plain(one, names) for one in measures[:_EVENTS]]
    if more := len(measures) - len(shown):
        shown.append(f"{more:,} more")
    told = " ".join(part for part in (_listed(shown), place, when) if part)
    verb, they = ("is", "it") if len(measures) == 1 else ("are", "them")
    why = "" if brief else f": rows that came late explain {they}"
    return f"{told} {verb} no event any more{why}"


def shortened(say: Sayable, limit: int, *, ascii_only: bool = False) -> str:
    """The longest form of a text that is not longer than `limit` characters."""
    told = [say(names=names, brief=brief) for names, brief in _FORMS]
    told = [as_ascii(one) for one in told] if ascii_only else told
    return next((one for one in told if len(one) <= limit), told[-1][:limit])


def where(
    config: Config,
    slices: Sequence[Mapping[str, str]],
    *,
    new: bool = False,
    names: int = _NAME,
    most: int = _SLICES,
) -> str:
    """`on mobile_web / us and pc_web / de`, `in total`; nothing where there are no dimensions.

    Parameters
    ----------
    new : whether the slices were never seen before, and are said to be new.
    most : of more slices, so many are named.
    """
    if not config.dimensions:
        return ""
    if not slices or not all(slices):
        return "in total"
    shown = [_slice(one, named=new and len(one) == 1, names=names) for one in slices[:most]]
    if more := len(slices) - len(shown):
        shown.append(f"{more} more")
    told = _listed(shown)
    return f"on new {told}" if new else f"on {told}"


def time(
    config: Config, start: datetime, end: datetime, *, is_open: bool, asof: datetime | None = None
) -> str:
    """`since 09:00`, `from 5 Jan 09:00 to 11:00`, `on 5 Jan`, `since Mar 2026`; in the detector's
    time zone.

    Parameters
    ----------
    start, end : UTC; half-open.
    """
    zone = ZoneInfo(config.timezone)
    first, last = start.astimezone(zone), (end - timedelta(seconds=1)).astimezone(zone)
    now = None if asof is None else asof.astimezone(zone)
    if config.of_days:
        return _days(config, first, last, now, is_open=is_open)
    begin, until = _clock(first), _clock(end.astimezone(zone))
    today = now is not None and first.date() == now.date()
    if is_open:
        return f"since {begin}" if today else f"since {_day(first, now)} {begin}"
    if first.date() == last.date():
        until = "24:00" if until == "00:00" else until
        return f"{'' if today else f'on {_day(first, now)} '}from {begin} to {until}"
    return f"from {_day(first, now)} {begin} to {_day(end.astimezone(zone), now)} {until}"


def lasting(seconds: int) -> str:
    """A length of time in its largest whole unit: `2 hours`, `1 day`."""
    for name, size in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= size and seconds % size == 0:
            number = seconds // size
            return f"{number:,} {name}{'' if number == 1 else 's'}"
    return f"{seconds:,} second{'' if seconds == 1 else 's'}"


def plain(text: str, limit: int = _NAME) -> str:
    """A name or value as part of a line: without control characters and marks that turn the
    direction of text, and cut to `limit` characters.
    """
    # A value may have 256 characters, or be anything else.
    signs = [_sign(sign) for sign in text[: 4 * limit]]
    line = " ".join("".join(signs).split())
    return line if len(line) <= limit else f"{line[: limit - 1].rstrip()}…"


def as_ascii(text: str) -> str:
    """Letters without their accents, a question mark for others."""
    folded = unicodedata.normalize("NFKD", text.replace("…", "..."))
    kept = "".join(sign for sign in folded if not unicodedata.combining(sign))
    return kept.encode("ascii", "replace").decode()


def _sign(sign: str) -> str:
    if sign in _JOINERS:
        return sign
    kind = unicodedata.category(sign)
    return " " if kind in ("Cc", "Zl", "Zp") else "" if kind in ("Cf", "Cs") else sign


def _verb(config: Config, group: Group) -> str:
    up = group.direction == "up"
    if group.kind == "bound":
        return _beyond(config, group)
    if group.kind not in _TOLD_BY_FIGURES:
        return _WORDS[group.kind][0 if up else 1]
    size = percent(group.actual, group.expected)
    verb = f"{'up' if up else 'down'}{f' {size}' if size else ''}"
    return f"{verb} at a new level" if group.kind == "level" else verb


def _beyond(config: Config, group: Group) -> str:
    """Which bound is crossed; another configuration may have had one."""
    measure = config.measures[group.measure]
    name, bound = ("maximum", measure.max) if group.direction == "up" else ("minimum", measure.min)
    side = "above" if group.direction == "up" else "below"
    known = "" if bound is None else f" of {figure(bound, unit_of_event(config, group))}"
    return f"is {side} its {name}{known}"


def _figures(config: Config, group: Group) -> str:
    told = compared(group.actual, group.expected, unit_of_event(config, group))
    if group.kind == "few rows":
        return f"{told} rows"
    if group.kind in _TOLD_BY_FIGURES or group.kind == "no data":
        return told
    moved = change(group.actual, group.expected)
    return f"{told} ({moved})" if moved else told


def _ending(group: Group) -> str:
    """What has become of it."""
    then = ", accepted as the new level" if group.accepted else ""
    return f"{then}, a habit by now ({group.habit})" if group.habit else then


def _slice(one: Mapping[str, str], *, named: bool, names: int) -> str:
    return " / ".join(_value(name, value, named=named, names=names) for name, value in one.items())


def _value(name: str, value: str, *, named: bool, names: int) -> str:
    shown = plain(value, names) or "(empty)"
    letters = sum(sign.isalpha() for sign in shown)
    bare = letters < _FEWEST_LETTERS or shown.casefold() in _BARE or shown == "(empty)"
    return f"{plain(name, names)} {shown}" if named or bare else shown


def _days(
    config: Config, first: datetime, last: datetime, now: datetime | None, *, is_open: bool
) -> str:
    if config.interval == "P1M":
        begin, until = (f"{MONTHS[one.month - 1]} {one.year}" for one in (first, last))
        single = f"in {begin}"
    elif config.interval == "P1W":
        monday = last - timedelta(days=last.weekday())
        begin, until = f"the week of {_day(first, now)}", f"that of {_day(monday, now)}"
        single = f"in {begin}"
        last = monday
    else:
        begin, until = _day(first, now), _day(last, now)
        single = f"on {begin}"
    if is_open:
        return f"since {begin}"
    alike = until == begin or first.date() == last.date()
    return single if alike else f"from {begin} to {until}"


def _day(moment: datetime, now: datetime | None) -> str:
    year = "" if now is not None and moment.year == now.year else f" {moment.year}"
    return f"{moment.day} {MONTHS[moment.month - 1]}{year}"


def _clock(moment: datetime) -> str:
    return f"{moment:%H:%M}"
