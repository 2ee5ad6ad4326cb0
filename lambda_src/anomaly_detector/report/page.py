"""The page: one file that holds all it shows, and asks for nothing.

Names and values are users' data: the template escapes by default, the file's content security
policy runs no script but its own, and nothing of theirs is part of a script or a style.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from jinja2 import DictLoader, Environment, StrictUndefined, Template
from markupsafe import Markup
from numpy.typing import NDArray

from anomaly_detector.alerts.figures import compared, figure, unit_of
from anomaly_detector.alerts.words import lasting, plain
from anomaly_detector.config import Config
from anomaly_detector.events.group import Group
from anomaly_detector.intervals import iso
from anomaly_detector.report import charts, explorer
from anomaly_detector.report.charts import Mark, many
from anomaly_detector.report.content import Content
from anomaly_detector.report.events import EventView, Small, Teller, scored

# What a page may be: series for the explorer, and pictures of events, in bytes.
SERIES_BYTES = 3_000_000
PICTURE_BYTES = 2_000_000
_OPENED_AT = 50.0  # events open at this severity
_WEEK = timedelta(days=7)
_SHOWN_TIMES = 20
_NAME = 60
_INTERVALS = {
    "PT5M": "every 5 minutes",
    "PT10M": "every 10 minutes",
    "PT15M": "every 15 minutes",
    "PT30M": "every 30 minutes",
    "PT1H": "every hour",
    "P1D": "every day",
    "P1W": "every week",
    "P1M": "every month",
}
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True)
class Told:
    """What somebody said, in words; `key` is of the event that it leads to."""

    when: str
    what: str
    about: str
    note: str
    key: str


@dataclass(frozen=True)
class Season:
    """The picture of a season that a measure has."""

    label: str
    chart: Markup


def page(
    content: Content, *, series_bytes: int = SERIES_BYTES, picture_bytes: int = PICTURE_BYTES
) -> str:
    """The page of a detector, in HTML.

    Parameters
    ----------
    series_bytes, picture_bytes : budgets of the explorer's series and of the events' pictures. What
        they leave out is said on the page.
    """
    return _rendered(content, content.groups, series_bytes, picture_bytes, single=False)


def event_page(content: Content, group: Group, *, series_bytes: int = 400_000) -> str:
    """The page of one event among the content's: with its related events, and its series."""
    return _rendered(content, [group], series_bytes, PICTURE_BYTES, single=True)


def advised(advice: Mapping[str, Any]) -> str:
    """The recommendation for the threshold of alerts, given as JSON, in a sentence."""
    return (
        f"For at most {advice['messages_per_week']:g} a week (messages_per_week), set the "
        f"threshold of alerts to {advice['threshold']}: {advice['expected_per_week']:g} a week in "
        "the scored part."
    )


def void_page(config: Config, told: str) -> str:
    """The page of an event that was told and is void: one sentence."""
    template = _templates().get_template("void.html")
    return _policed(template, name=plain(config.name, _NAME), told=told)


def _rendered(
    content: Content,
    groups: Sequence[Group],
    series_bytes: int,
    picture_bytes: int,
    *,
    single: bool,
) -> str:
    config, stored = content.config, content.stored
    teller = Teller(content)
    ordered = sorted(groups, key=lambda one: (one.state != "OPEN", -one.severity, -_since(one)))
    events = _views(teller, ordered, picture_bytes)
    first = [
        place for group in ordered for place in _of_event(teller, content, group, single=single)
    ]
    chosen = explorer.choose(stored, first, series_bytes)
    threshold = min((one.threshold for one in config.alerts.values()), default=_OPENED_AT)
    zone = config.timezone
    return _policed(
        _templates().get_template("page.html"),
        single=single,
        name=plain(config.name, _NAME),
        about=_about(config),
        content=content,
        events=events,
        undrawn=sum(not one.chart and bool(one.spark) for one in events),
        open=sum(one.is_open for one in events),
        recent=sum(one.end > (content.watched.end - _WEEK).timestamp() for one in events),
        since=teller.when(content.watched.start),
        until=teller.last(content.watched.end),
        made=iso(content.asof),
        learnt_before=_learnt_before(content),
        advice=advised(content.advice) if content.advice else "",
        strongest=_strongest(content, events),
        said=None if content.said is None else _told(teller, content, events),
        next_look=_next_look(teller, content),
        delay=_delay(content),
        threshold=max(_OPENED_AT, threshold),
        weeks=(content.watched.end - content.watched.start) / _WEEK,
        measures=[(place, plain(one, _NAME)) for place, one in enumerate(config.measures)],
        choices=_choices(config, events),
        found_by=_numbered(config, events),
        nothing="" if events else _nothing(teller, content),
        timeline="" if single else _timeline(content, events),
        key=charts.key(share=config.band, zone=zone),
        preview=charts.weekly(
            content.preview, title="Events a week at each threshold", threshold=threshold
        ),
        empty=_empty(teller, content),
        totals=[] if single else list(_totals(teller, content)),
        seasons=[] if single else list(_seasons(content)),
        numbers={name: place for place, name in enumerate(config.measures)},
        classes=[
            _cells(config, one)
            for one in content.training["classes"]
            if one["series"] and one["measure"] in config.measures
        ],
        many=many,
        chosen=chosen,
        frame=charts.frame(stored.edge(0), stored.edge(-1), title="Chosen series", zone=zone),
        data=Markup(explorer.block(config, stored, chosen.places)),  # noqa: S704 it is escaped
    )


def _policed(template: Template, **values: object) -> str:
    """The page with a policy that lets its own styles and scripts work, and nothing else."""
    styles = charts.css() + _text("page.css")
    first, last = _text("first.js"), _text("page.js")
    policy = (
        f"default-src 'none'; style-src {_digest(styles)}; "
        f"script-src {_digest(first)} {_digest(last)}; base-uri 'none'; form-action 'none'"
    )
    own = {"styles": styles, "first": first, "last": last}
    texts = {name: Markup(text) for name, text in own.items()}  # noqa: S704 files of this package
    found = template.render(policy=policy, **texts, **values)
    # A lone surrogate, which some source may hold, cannot be written.
    return found.encode("utf-8", "replace").decode()


def _digest(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


@lru_cache
def _text(name: str) -> str:
    return (files(__package__) / name).read_text("utf-8")


@lru_cache
def _templates() -> Environment:
    names = ("page.html", "event.html", "void.html")
    return Environment(
        loader=DictLoader({name: _text(name) for name in names}),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _views(teller: Teller, groups: Sequence[Group], budget: int) -> list[EventView]:
    """Views of the events, drawn as far as the budget goes."""
    found = []
    for group in groups:
        view = teller.view(group, drawn=budget > 0)
        budget -= view.size
        found.append(view)
    return found


def _of_event(teller: Teller, content: Content, group: Group, *, single: bool) -> list[int]:
    places = teller.places(group)
    if single:
        inside = content.stored.inside(group.measure, group.slices)
        places = [*places, *inside.tolist()]
    return places


def _since(group: Group) -> float:
    return group.start.timestamp()


def _about(config: Config) -> str:
    measures = ", ".join(plain(name, _NAME) for name in config.measures)
    by = " and ".join(plain(name, _NAME) for name in config.dimensions)
    return f"{measures}{f' by {by}' if by else ''}, {_INTERVALS[config.interval]}"


def _next_look(teller: Teller, content: Content) -> str:
    status = content.status
    return teller.to_the_minute(status.next_look) if status and status.next_look else ""


def _delay(content: Content) -> str:
    status = content.status
    if status is None or status.delay is None:
        return ""
    minutes = max(0, round(status.delay / 60))
    days, hours = minutes // 1440, minutes // 60
    if days >= 2:
        return f"{days} d {hours % 24} h"
    return f"{hours} h {minutes % 60} min" if hours else f"{minutes} min"


def _choices(
    config: Config, events: Sequence[EventView]
) -> list[tuple[str, list[tuple[str, str]]]]:
    """Values to filter by, of each dimension: those of the events."""
    found = []
    for place, name in enumerate(config.dimensions):
        values = sorted({value for one in events for key, value in one.found_by if key == name})
        options = [(f"{place}.{number}", plain(value, _NAME) or "(empty)")
                   for number, value in enumerate(values)]  # fmt: skip
        if options:
            found.append((plain(name, _NAME), options))
    return found


def _numbered(config: Config, events: Sequence[EventView]) -> dict[str, str]:
    """The keys of the choices by which each event is found."""
    numbers: dict[tuple[str, str], str] = {}
    for place, name in enumerate(config.dimensions):
        values = sorted({value for one in events for key, value in one.found_by if key == name})
        numbers |= {(name, value): f"{place}.{number}" for number, value in enumerate(values)}
    return {one.key: " ".join(numbers[pair] for pair in one.found_by if pair in numbers)
            for one in events}  # fmt: skip


def _nothing(teller: Teller, content: Content) -> str:
    """That there was no event, and what came closest to one."""
    stored = content.stored
    length = content.watched.end - content.watched.start
    days = round(length / timedelta(days=1))
    said = f"No event in {many(days, 'day') if days else lasting(round(length.total_seconds()))}"
    actual, expected, lower, upper = stored.values
    with np.errstate(all="ignore"):
        room = np.where(actual > expected, upper - expected, expected - lower)
        off = np.where(room > 0, np.abs(actual - expected) / room, np.nan)
    off[:, : stored.place(content.watched.start)] = np.nan
    if not np.isfinite(off).any():
        return f"{said}."
    place, at = (int(one) for one in np.unravel_index(np.nanargmax(off), off.shape))
    measure, one = stored.names[place]
    told = compared(
        float(actual[place, at]), float(expected[place, at]), unit_of(content.config, measure)
    )
    when = teller.when(stored.edge(at))
    name = plain(measure, _NAME)
    return f"{said}; the closest to one was {name}, {teller.label(one)}, on {when}: {told}."


def _learnt_before(content: Content) -> bool:
    """Whether values are shown of which nothing was expected, as they lie before the scores."""
    first = content.stored.place(content.watched.start)
    return first > 0 and not np.isfinite(content.stored.values[1, :, :first]).any()


def _strongest(content: Content, events: Sequence[EventView]) -> list[tuple[str, str, str]]:
    """Severity, sentence and key of the strongest events of the preview; those that are not on the
    page have no key.
    """
    held = {one.key for one in events}
    return [
        (scored(one["severity"]), one["event"], one["id"] if one["id"] in held else "")
        for one in (content.advice or {}).get("strongest", ())
    ]


def _told(teller: Teller, content: Content, events: Sequence[EventView]) -> list[Told]:
    sentences = {one.key: one.sentence for one in events}
    found = []
    for one in content.said or ():
        about = sentences.get(one.group_id, one.about)
        key = one.group_id if one.group_id in sentences else ""
        found.append(Told(teller.to_the_minute(one.at), one.what, about, one.note, key))
    return found


def _timeline(content: Content, events: Sequence[EventView]) -> Markup:
    marks = [
        Mark(
            plain(one.measure, _NAME),
            charts.Span(
                datetime.fromtimestamp(one.start, UTC), datetime.fromtimestamp(one.end, UTC)
            ),
            float(one.severity),
            one.sentence,
            one.key,
        )
        for one in events
    ]
    rows = [plain(name, _NAME) for name in content.config.measures]
    return charts.timeline(
        marks, rows, content.watched, title="Events by measure", zone=content.config.timezone
    )


def _empty(teller: Teller, content: Content) -> tuple[list[str], int]:
    """Times without rows, and how many more there are."""
    shown = [teller.span(one) for one in content.quality.empty[:_SHOWN_TIMES]]
    return shown, len(content.quality.empty) - len(shown)


def _totals(teller: Teller, content: Content) -> Iterator[Small]:
    """The widest series of each measure, for readers whose browser runs no script."""
    for measure, place in _widest(content):
        label = f"{plain(measure, _NAME)}, {teller.label(content.stored.names[place][1])}"
        yield Small(
            label,
            charts.series(
                content.stored.line(place),
                title=label,
                zone=content.config.timezone,
                unit=unit_of(content.config, measure),
                zero=explorer.counts(content.config, measure),
            ),
        )


def _widest(content: Content) -> Iterator[tuple[str, int]]:
    stored = content.stored
    for measure in content.config.measures:
        places = np.flatnonzero(stored.measures == measure)
        if len(places):
            sizes = np.nansum(np.abs(stored.values[0, places]), axis=1)
            best = np.lexsort((-sizes, stored.depth[places]))[0]
            yield measure, int(places[best])


def _cells(config: Config, one: Mapping[str, Any]) -> tuple[str, ...]:
    """What was learnt of a class of series: one row of the table."""
    by = " and ".join(plain(name, _NAME) for name in one["dimensions"])
    level = one["level"]
    return (
        plain(one["measure"], _NAME),
        f"by {by}" if by else "in total",
        f"{one['series']:,}",
        "–" if level is None else figure(level, unit_of(config, one["measure"])),
        " and ".join(one["seasons"]).replace("_", " ") or "none",
        *(
            "–" if one[key] is None else f"{100 * one[key]:.1f} %"
            for key in ("spread", "share_missing")
        ),
        *(f"{one[key]:,}" for key in ("learning", "sparse", "constant")),
    )


def _seasons(content: Content) -> Iterator[Season]:
    """The day and the week of what is expected of each measure."""
    config, stored = content.config, content.stored
    zone = ZoneInfo(config.timezone)
    walls = [stored.edge(at).astimezone(zone) for at in range(len(stored.edges) - 1)]
    if config.interval in ("P1W", "P1M") or not walls:
        return
    minutes = np.array([one.hour * 60 + one.minute for one in walls])
    weekdays = np.array([one.weekday() for one in walls])
    learnt = {(one["measure"], len(one["dimensions"])): one for one in content.training["classes"]}
    for measure, place in _widest(content):
        seasons = learnt.get((measure, int(stored.depth[place])), {}).get("seasons", ())
        expected = stored.values[1, place]
        name = plain(measure, _NAME)
        if "day" in seasons and not config.of_days:
            slots, labels = minutes, ["00:00", "06:00", "12:00", "18:00"]
            yield _season(f"{name}: a day", slots, expected, labels)
        if "week" in seasons:
            slots = weekdays if config.of_days else weekdays * 1440 + minutes
            yield _season(f"{name}: a week", slots, expected, _WEEKDAYS)


def _season(
    label: str, slots: NDArray[np.int64], expected: NDArray[np.float64], labels: Sequence[str]
) -> Season:
    known = np.isfinite(expected)
    found = np.unique(slots)
    sums = np.zeros(len(found))
    sizes = np.zeros(len(found))
    place = np.searchsorted(found, slots[known])
    np.add.at(sums, place, expected[known])
    np.add.at(sizes, place, 1)
    means = np.where(sizes > 0, sums / np.maximum(sizes, 1), np.nan)
    return Season(label, charts.profile(means.tolist(), labels, title=label))
