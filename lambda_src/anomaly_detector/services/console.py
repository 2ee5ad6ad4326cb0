"""Widgets of the dashboard in CloudWatch: reads what a widget shows, within bounds that keep it
quick, and has it drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal, cast, get_args

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from anomaly_detector.alerts.figures import figure, unit_of
from anomaly_detector.alerts.words import plain
from anomaly_detector.config import ROLLED_UP, Config
from anomaly_detector.errors import PermanentError, places_of
from anomaly_detector.events.group import Group
from anomaly_detector.intervals import Grid, parse_iso
from anomaly_detector.lake import layout, published
from anomaly_detector.lake.store import ObjectStore
from anomaly_detector.ledger.ledger import Ledger
from anomaly_detector.lookout.group import group_of
from anomaly_detector.report import axes, charts, console
from anomaly_detector.report.charts import Span
from anomaly_detector.report.content import Content, Quality
from anomaly_detector.report.events import Teller, window
from anomaly_detector.report.stored import Stored
from anomaly_detector.services import documents, muting, reporting, status

View = Literal["events", "event", "learnt", "status"]

# An interval is an object to read: so many take some seconds.
_INTERVALS: Final = 400
# Of 5 minutes, so many hold two days before an event, and more.
_AROUND_EVENT: Final = 700
_LISTED: Final = 50
_MOST_DAYS: Final = 366
_CLASSES: Final = 100
# Where a widget says nothing of time.
_AROUND: Final = timedelta(days=7)


class _Range(BaseModel):
    """Milliseconds since 1970."""

    model_config = ConfigDict(extra="ignore")

    start: int
    end: int
    zoom: _Range | None = None


class _Context(BaseModel):
    """What CloudWatch says of the widget."""

    model_config = ConfigDict(extra="ignore")

    theme: str = "light"
    timeRange: _Range | None = None  # noqa: N815 CloudWatch's name
    forms: dict[str, dict[str, Any]] = Field(default_factory=dict)
    params: dict[str, Any] | None = None


@dataclass(frozen=True)
class Wanted:
    """What a widget is to show.

    Attributes
    ----------
    days : up to now; None for the time of the dashboard. begin, end : UTC.
    """

    view: View
    threshold: float | None
    measure: str
    group_id: str
    days: float | None
    begin: datetime
    end: datetime


def answer(
    store: ObjectStore,
    ledger: Ledger,
    event: Mapping[str, Any],
    places: console.Places,
    now: datetime,
) -> str:
    """The HTML of a widget, or a sentence in its place; or its documentation in Markdown.

    Parameters
    ----------
    event : as CloudWatch sends it. now : UTC.
    """
    if event.get("describe"):
        return console.DOCUMENTATION
    theme: console.Theme = "light"
    try:
        context = _context(event)
        theme = "dark" if context.theme == "dark" else "light"
        wanted = _wanted(event, context, now)
        return _Widget(store, ledger, places, theme, now).of(wanted)
    except PermanentError as error:
        return console.sorry(theme, str(error))


def places(function_arn: str, detector: str) -> console.Places:
    """The functions that buttons call, by the ARN with which this one was called."""
    prefix = function_arn.partition(":function:")[0]
    return console.Places(function_arn, f"{prefix}:function:{detector}-respond")


def _context(event: Mapping[str, Any]) -> _Context:
    try:
        return _Context.model_validate(event.get("widgetContext") or {})
    except ValidationError as error:
        raise PermanentError(f"widgetContext is invalid: {places_of(error)}.") from None


def _wanted(event: Mapping[str, Any], context: _Context, now: datetime) -> Wanted:
    """What the widget's parameters say, what a button said instead, and what the form holds."""
    given = {**(context.params or {}), **event, **context.forms.get("all", {})}
    view = given.get("view", "events")
    if view not in get_args(View):
        raise PermanentError(f"view must be {', '.join(get_args(View))}; got {view!r}.")
    days = _number("days", given.get("days"), _MOST_DAYS)
    spans = context.timeRange
    within = spans and (spans.zoom or spans)
    if days:
        begin, end = now - timedelta(days=days), now
    elif within:
        begin, end = _moment(within.start), _moment(within.end)
    else:
        begin, end = now - _AROUND, now
    return Wanted(
        view=cast("View", view),
        threshold=_number("threshold", given.get("threshold"), 100),
        measure=str(given.get("measure") or ""),
        group_id=str(given.get("group_id") or ""),
        days=days,
        begin=begin,
        end=max(begin, end),
    )


def _number(name: str, given: object, most: int) -> float | None:
    if given is None or given == "":
        return None
    try:
        found = float(str(given))
    except ValueError:
        found = -1.0
    if not 0 <= found <= most:
        raise PermanentError(f"{name} must be a number from 0 to {most}; got {given!r}.")
    return found


def _moment(milliseconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        raise PermanentError(f"The time range is invalid: {milliseconds}.") from None


class _Widget:
    def __init__(
        self,
        store: ObjectStore,
        ledger: Ledger,
        places: console.Places,
        theme: console.Theme,
        now: datetime,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._places = places
        self._theme = theme
        self._now = now

    def of(self, wanted: Wanted) -> str:
        """The widget."""
        if wanted.view == "status":
            return self._status()
        config = documents.in_force(self._store, self._ledger)
        if wanted.view == "learnt":
            return self._learnt(config)
        if wanted.measure and wanted.measure not in config.measures:
            known = ", ".join(config.measures)
            raise PermanentError(f"measure must be one of {known}; got {wanted.measure!r}.")
        groups = [group_of(one) for one in self._ledger.anomaly_groups()]
        # A measure may be gone since.
        groups = [one for one in groups if one.measure in config.measures]
        return (self._events if wanted.view == "events" else self._event)(config, groups, wanted)

    def _events(self, config: Config, groups: Sequence[Group], wanted: Wanted) -> str:
        threshold = _lowest(config) if wanted.threshold is None else wanted.threshold
        within = [
            one
            for one in groups
            if one.start < wanted.end
            and one.end > wanted.begin
            and wanted.measure in ("", one.measure)
        ]
        found = sorted((one for one in within if one.severity >= threshold), key=_first)
        listed = found[:_LISTED]
        teller = self._teller(config, listed, wanted.begin, wanted.end)
        rows = [teller.view(one, drawn=False) for one in listed]
        is_open = sum(one.state == "OPEN" for one in found)
        heading = (
            f"{_many(len(found), 'event')} of severity {threshold:g} or more in this time "
            f"({is_open or 'none'} open)"
        )
        closest = max(within, key=lambda one: one.severity, default=None)
        nothing = "Nothing was found in this time."
        if closest is not None:
            said = teller.sentence(closest)
            nothing = f"The closest was of severity {closest.severity:.0f}: {said}."
        days = f"{wanted.days:g}" if wanted.days else ""
        form = console.Form(f"{threshold:g}", wanted.measure, days, list(config.measures))
        hidden = len(found) - len(listed)
        hidden_words = (
            f"{_many(hidden, 'event')} of lower severity are not listed: raise the severity or "
            "shorten the dashboard's time range."
        )
        return console.events(
            self._places,
            self._theme,
            form,
            heading if found else f"No event of severity {threshold:g} or more in this time",
            rows,
            left_out=hidden_words if hidden else "",
            nothing=nothing,
        )

    def _event(self, config: Config, groups: Sequence[Group], wanted: Wanted) -> str:
        if wanted.group_id:
            found = next((one for one in groups if one.id == wanted.group_id), None)
            if found is None:
                return console.sorry(
                    self._theme,
                    "This event is gone: rows that came late, or another model, undid it.",
                )
        else:
            threshold = _lowest(config) if wanted.threshold is None else wanted.threshold
            severe = [one for one in groups if one.severity >= threshold]
            found = max(severe, key=lambda one: (one.state == "OPEN", one.end), default=None)
            if found is None:
                return console.sorry(
                    self._theme, f"No event of severity {threshold:g} or more yet."
                )
        return console.event(self._places, self._theme, self._shown(config, found, groups))

    def _shown(self, config: Config, group: Group, groups: Sequence[Group]) -> console.Shown:
        begin, end = self._around(config, group)
        keep = pc.field("measure") == group.measure
        table = published.scores(self._store, config, begin, end, keep)
        steps = reporting.steps(self._ledger, config, [group], self._ledger.feedback())
        filters = _filters(group)
        shown = ", ".join(f"{name} {' or '.join(each)}" for name, each in filters.items())
        return console.Shown(
            view=_tells(config, table, begin, end, groups, steps).view(group),
            key=charts.key(share=config.band, zone=config.timezone),
            measure=group.measure,
            filters=filters,
            scope=plain(f"{group.measure} ({shown})" if shown else group.measure, 80),
        )

    def _around(self, config: Config, group: Group) -> tuple[datetime, datetime]:
        """The time that is read, on the grid: what its charts show, and not too much."""
        grid = Grid.of(config)
        shown = window(config, group)
        watermark = self._ledger.detector().watermark or group.end
        end = max(grid.floor(min(shown.end, watermark)), group.end)
        return max(grid.floor(shown.start), grid.shift(end, -_AROUND_EVENT)), end

    def _teller(
        self, config: Config, groups: Sequence[Group], begin: datetime, end: datetime
    ) -> Teller:
        """Tells of the groups; their series are read as far as that is quick."""
        grid = Grid.of(config)
        watermark = self._ledger.detector().watermark or end
        last = min(grid.floor(end - timedelta(microseconds=1)), grid.shift(watermark, -1))
        end = grid.shift(last, 1)
        begin = min(max(grid.floor(begin), grid.shift(end, -_INTERVALS)), last)
        keep = pc.scalar(False)
        for measure, values in {
            (group.measure, tuple(one.get(name, ROLLED_UP) for name in config.dimensions))
            for group in groups
            for one in group.slices
        }:
            term = pc.field("measure") == measure
            for name, value in zip(config.dimensions, values, strict=True):
                term &= pc.field(name) == value
            keep |= term
        read = (begin, end) if groups else (begin, begin)
        return _tells(
            config, published.scores(self._store, config, *read, keep), begin, end, groups
        )

    def _learnt(self, config: Config) -> str:
        found = self._store.find(layout.TRAINING)
        if found is None:
            raise PermanentError("Nothing has been learnt yet: the first training is under way.")
        report = self._store.get_json(layout.TRAINING)
        classes = report["classes"]
        until = report["learnt_to"]
        summary = f"{report['intervals']:,} intervals of {report['interval']} were learnt" + (
            f", up to {axes.spoken(parse_iso(until), config.timezone, of_days=config.of_days)}."
            if until
            else "."
        )
        if len(classes) > _CLASSES:
            summary += f" The first {_CLASSES} of {len(classes)} kinds of series are shown."
        return console.learnt(
            self._theme, summary, [_class(config, one) for one in classes[:_CLASSES]]
        )

    def _status(self) -> str:
        facts = status.facts(self._ledger, self._now)
        usage = facts["usage_of_month"]
        watermark = facts["watermark"]
        counted = facts["intervals_of_7_days"]
        detector = self._ledger.detector()
        last = list(
            self._ledger.intervals((detector.watermark or self._now) - _AROUND, self._now).values()
        )
        scored = [one for one in last if not one.is_open]
        rows = [
            ("State", facts["status"]),
            ("Reason", facts["reason"] or ""),
            ("Scored until", watermark or "nothing yet"),
            ("Delay", "" if watermark is None else _long(facts["seconds_since_watermark"])),
            ("Last interval", _interval(scored[-1]) if scored else ""),
            ("Crawl", "running" if facts["crawl"] else "none is running"),
            (
                "Last 7 days",
                ", ".join(f"{n:,} {key}" for key, n in counted.items()) or "no interval",
            ),
            (
                "Warehouse this month",
                "{:,.0f} s in {:,} statements, {:,} rows unloaded".format(
                    usage["milliseconds"] / 1000, usage["statements"], usage["rows"]
                ),
            ),
            ("Trained until", facts["model"]["history_end"] or ""),
            ("Undelivered", str(facts["pending_deliveries"] + len(facts["parked_deliveries"]))),
        ]
        mutes = [
            console.Muted(
                id="" if one["declared"] else one["id"],
                words=_mute(one),
            )
            for one in muting.listed(self._ledger, self._now)
        ]
        return console.status(self._places, self._theme, [row for row in rows if row[1]], mutes)


def _lowest(config: Config) -> float:
    return min((one.threshold for one in config.alerts.values()), default=50.0)


def _first(group: Group) -> tuple[bool, float, float]:
    """Open events first, then by severity, then the newest."""
    return group.state != "OPEN", -group.severity, -group.start.timestamp()


def _tells(
    config: Config,
    table: pa.Table,
    begin: datetime,
    end: datetime,
    groups: Sequence[Group],
    steps: Mapping[str, Sequence[tuple[datetime, str]]] | None = None,
) -> Teller:
    stored = Stored.of(config, table, begin, end)
    return Teller(
        Content(
            config=config,
            watched=Span(begin, end),
            asof=end,
            stored=stored,
            groups=groups,
            preview=(),
            training={},
            quality=Quality(due=0, scored=0),
            steps=steps,
        )
    )


def _filters(group: Group) -> dict[str, list[str]]:
    """The narrowest values that all slices of the event lie within."""
    common = set.intersection(*(set(one) for one in group.slices)) if group.slices else set()
    return {
        name: sorted({one[name] for one in group.slices})
        for name in (group.slices[0] if group.slices else ())
        if name in common
    }


def _class(config: Config, one: Mapping[str, Any]) -> console.Class:
    unit = unit_of(config, one["measure"]) if one["measure"] in config.measures else None
    remarks = [
        f"{one[key]:,} {word}"
        for key, word in (
            ("learning", "still learning"),
            ("sparse", "sparse"),
            ("constant", "constant"),
        )
        if one[key]
    ]
    return console.Class(
        measure=one["measure"],
        by=" and ".join(one["dimensions"]) or "total",
        series=f"{one['series']:,}",
        level="" if one["level"] is None else figure(one["level"], unit),
        spread=_percent(one["spread"]),
        seasons=", ".join(one["seasons"]) or "none",
        missing=_percent(one["share_missing"]),
        remarks=", ".join(remarks),
    )


def _percent(share: float | None) -> str:
    return "" if share is None else f"{100 * share:.1f} %"


def _interval(one: Any) -> str:  # noqa: ANN401 an Interval
    took = "" if one.milliseconds is None else f", {one.milliseconds / 1000:,.1f} s"
    return f"{one.start:%Y-%m-%d %H:%M} UTC, {one.status}, {one.rows or 0:,} rows{took}"


def _mute(one: Mapping[str, Any]) -> str:
    values = "; ".join(
        f"{name} {', '.join(each)}" for name, each in one["dimension_filters"].items()
    )
    what = ", ".join(one["measures"]) or "all measures"
    scope = f"{what} ({values})" if values else what
    return f"{plain(scope, 120)} until {one['end']}: {plain(one['reason'], 200)}"


def _long(seconds: int) -> str:
    hours, minutes = divmod(max(0, seconds) // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def _many(count: int, noun: str, several: str = "") -> str:
    return f"{count:,} {noun if count == 1 else several or noun + 's'}"
