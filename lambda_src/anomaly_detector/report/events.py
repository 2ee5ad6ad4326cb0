"""What a page tells of one event."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from markupsafe import Markup

from anomaly_detector.alerts.figures import change, compared, difference, figure, unit_of
from anomaly_detector.alerts.words import plain, sentence, time
from anomaly_detector.config import ROLLED_UP, Config, Unit
from anomaly_detector.errors import PermanentError
from anomaly_detector.events.group import Group, Related
from anomaly_detector.intervals import Grid
from anomaly_detector.report import axes, charts
from anomaly_detector.report.charts import Bar, Line, Span
from anomaly_detector.report.content import Content
from anomaly_detector.report.explorer import counts
from anomaly_detector.warehouse.reproduction import reproduction

# Long enough to judge: before an event a week, ten times its length, and so many intervals.
_BEFORE, _TIMES, _LEAST = timedelta(days=7), 10, 28
_AFTER = timedelta(days=2)
_VALUES, _LEAVES, _RELATED = 6, 6, 4
# A leaf matters from this share of the change on.
_MATTERS = 0.02
# A value that carries so many percent of an event is what it is found by.
_FOUND_BY = 10.0
_NAME = 60
_NOTHING = Markup()


@dataclass(frozen=True)
class Small:
    """A chart in a row of charts, with its label; `key` is the event that it leads to."""

    label: str
    chart: Markup
    note: str = ""
    key: str = ""


@dataclass(frozen=True)
class EventView:
    """One event as texts and pictures; those that the budget leaves out are empty."""

    key: str
    sentence: str
    severity: str
    is_open: bool
    measure: str
    start: int
    end: int
    found_by: tuple[tuple[str, str], ...]
    spark: Markup
    facts: tuple[tuple[str, str], ...]
    life: tuple[tuple[str, str], ...]
    sql: str
    chart: Markup = _NOTHING
    bars: tuple[Small, ...] = ()
    leaves: tuple[Small, ...] = ()
    related: tuple[Small, ...] = ()

    @property
    def size(self) -> int:
        """Characters of the pictures beside the spark."""
        rows = (*self.bars, *self.leaves, *self.related)
        return len(self.chart) + sum(len(one.chart) for one in rows)


def lead(config: Config) -> timedelta:
    """What is shown before an event at least."""
    return max(_BEFORE, _LEAST * timedelta(seconds=Grid.of(config).seconds))


def window(config: Config, group: Group) -> Span:
    """The time that an event is shown over."""
    length = group.end - group.start
    before = max(lead(config), _TIMES * length)
    return Span(group.start - before, group.end + max(_AFTER, length))


def scored(severity: float) -> str:
    """`93.6`, never more than it is: what is shown as 94 reaches a threshold of 94."""
    return f"{math.floor(10 * severity) / 10:g}"


class Teller:
    """Makes the views of the events of a page."""

    def __init__(self, content: Content) -> None:
        self._content = content
        self._config: Config = content.config
        self._stored = content.stored
        # Asked for again by related events.
        self._lines: dict[str, Line | None] = {}

    def sentence(self, group: Group) -> str:
        """The sentence about an event."""
        return sentence(self._config, group)

    def view(self, group: Group, *, drawn: bool = True) -> EventView:
        """The view; of one that is not drawn, there is a spark alone."""
        line = self._line(group)
        low, high = self._window(group)
        shown = line is not None and high > low
        return EventView(
            key=group.id,
            sentence=self.sentence(group),
            severity=scored(group.severity),
            is_open=group.state == "OPEN",
            measure=group.measure,
            start=int(group.start.timestamp()),
            end=int(group.end.timestamp()),
            found_by=self._found_by(group),
            spark=self._spark(group, low, high) if shown else Markup(),
            facts=tuple(self._facts(group)),
            life=tuple(self._life(group, line)),
            sql=self._sql(group),
            chart=self._chart(group, low, high) if shown and drawn else Markup(),
            bars=tuple(self._bars(group)) if drawn else (),
            leaves=tuple(self._leaves(group, low, high)) if shown and drawn else (),
            related=tuple(self._related(group, low, high)) if drawn else (),
        )

    def places(self, group: Group) -> list[int]:
        """The series of the event's slices, as far as they are stored."""
        names = [self._stored.named(group.measure, one) for one in group.slices]
        return [self._stored.index[one] for one in names if one in self._stored.index]

    def _line(self, group: Group) -> Line | None:
        if group.id not in self._lines:
            places, summed = self.places(group), counts(self._config, group.measure)
            found = self._stored.together(places, summed=summed) if places else None
            self._lines[group.id] = found
        return self._lines[group.id]

    def _window(self, group: Group) -> tuple[int, int]:
        """The intervals that an event is shown over."""
        shown = window(self._config, group)
        return self._stored.place(shown.start), self._stored.place(shown.end)

    def _chart(self, group: Group, low: int, high: int, height: int = 250) -> Markup:
        line = self._line(group)
        if line is None or high <= low:
            return Markup()
        return charts.series(
            line.cut(low, high),
            title=self.sentence(group),
            zone=self._config.timezone,
            unit=unit_of(self._config, group.measure),
            zero=counts(self._config, group.measure),
            event=Span(group.start, group.end),
            height=height,
        )

    def _spark(self, group: Group, low: int, high: int) -> Markup:
        line = self._line(group)
        assert line is not None
        return charts.spark(
            line.cut(low, high),
            title=self.sentence(group),
            zone=self._config.timezone,
            zero=counts(self._config, group.measure),
            event=Span(group.start, group.end),
        )

    def _facts(self, group: Group) -> list[tuple[str, str]]:
        unit = unit_of(self._config, group.measure)
        found = [
            ("actual", figure(group.actual, unit)),
            ("expected", figure(group.expected, unit)),
        ]
        moved = change(group.actual, group.expected)
        size = difference(group.actual, group.expected, unit)
        if moved:
            found.append(("change", f"{moved} ({size})" if size else moved))
        found.append(("severity", f"{scored(group.severity)} of 100"))
        found.append(("kind", group.kind or "change"))
        found.append(("where", "; ".join(_named(one) for one in group.slices) or "in total"))
        found.append(("finest slices that show it", f"{group.series_count:,}"))
        return found

    def _life(self, group: Group, line: Line | None) -> list[tuple[str, str]]:
        """The steps of an event, dated, oldest first."""
        of_data = [(group.start, "Opened."), *self._growth(group)]
        worst = None if line is None else self._worst(group, line)
        if worst is not None:
            of_data.append(worst)
        steps = [(at, self.when(at), told) for at, told in of_data]
        if group.accepted:
            last = "Accepted as the new level, which is expected from now on."
        elif group.habit:
            last = f"A habit by now ({group.habit}): expected from now on."
        elif group.state == "OPEN":
            last = "Still open: the newest interval that shows it."
        else:
            last = "Ended."
        steps.append((group.end, self.last(group.end), last))
        for at, told in (self._content.steps or {}).get(group.id, ()):
            steps.append((at, self.to_the_minute(at), told))
        steps.sort(key=lambda one: one[0])
        return [(when, told) for _, when, told in steps]

    def _growth(self, group: Group) -> list[tuple[datetime, str]]:
        """When the last of the finest slices joined that were not in the event at first."""
        places = self._stored.inside(group.measure, group.slices)
        low, high = self._stored.place(group.start), self._stored.place(group.end)
        shown = self._stored.anomalous[places, low:high]
        joined = np.logical_or.accumulate(shown, axis=1).sum(axis=0)
        if not joined.size or joined[-1] == joined[0]:
            return []
        at = int(np.argmax(joined == joined[-1]))
        told = f"Grown to {charts.many(int(joined[-1]), 'finest slice')}, from {joined[0]:,}."
        return [(self._stored.edge(low + at), told)]

    def _worst(self, group: Group, line: Line) -> tuple[datetime, str] | None:
        low, high = self._stored.place(group.start), self._stored.place(group.end)
        off = np.abs(np.nan_to_num(line.actual[low:high]) - line.expected[low:high])
        if not np.isfinite(off).any():
            return None
        place = low + int(np.nanargmax(off))
        value = float(line.actual[place])
        told = compared(
            value if np.isfinite(value) else None,
            float(line.expected[place]),
            unit_of(self._config, group.measure),
        )
        return self._stored.edge(
            place
        ), f"Furthest from what was expected: {told} in this interval."

    def _bars(self, group: Group) -> list[Small]:
        unit = unit_of(self._config, group.measure)
        found = self._cause(group, unit)
        for dimension, shares in group.contributions.items():
            ordered = sorted(shares.items(), key=lambda pair: (-pair[1], pair[0]))
            ordered = [pair for pair in ordered if pair[1] > 0]
            if not ordered:
                continue
            rows = [
                Bar(plain(value, _NAME) or "(empty)", share, *self._values(group, dimension, value))
                for value, share in ordered[:_VALUES]
            ]
            if rest := ordered[_VALUES:]:
                left = sum(share for _, share in rest)
                rows.append(Bar(f"{len(rest):,} more", left, rest=True))
            label = f"by {plain(dimension, _NAME)}"
            found.append(Small(label, charts.bars(rows, title=label, unit=unit)))
        return found

    def _cause(self, group: Group, unit: Unit | None) -> list[Small]:
        """The slices that explain the event, as far as there are several, or a rest."""
        cause = group.cause
        if cause is None or (len(cause.parts) < 2 and cause.unexplained < 1):
            return []
        rows = [
            Bar(_named(one.slice) or "in total", one.share, one.actual, one.expected)
            for one in cause.parts[:_VALUES]
        ]
        rest = sum(one.share for one in cause.parts[_VALUES:]) + cause.unexplained
        if rest > 0:
            rows.append(Bar("the rest", rest, rest=True))
        label = "what explains it"
        return [Small(label, charts.bars(rows, title=label, unit=unit))]

    def _values(
        self, group: Group, dimension: str, value: str
    ) -> tuple[float | None, float | None]:
        """What came of a value during the event, and what was expected; None where not stored."""
        places = []
        for one in group.slices:
            if one.get(dimension, value) != value:
                continue
            name = self._stored.named(group.measure, dict(one) | {dimension: value})
            if name not in self._stored.index:
                return None, None
            places.append(self._stored.index[name])
        if not places:
            return None, None
        low, high = self._stored.place(group.start), self._stored.place(group.end)
        summed = counts(self._config, group.measure)
        line = self._stored.together(places, summed=summed).cut(low, high)
        expected = line.expected
        actual = np.where(np.isfinite(expected), line.actual, np.nan)
        if not np.isfinite(expected).any():
            return None, None
        total = np.nansum if summed else np.nanmean
        came = float(total(actual)) if np.isfinite(actual).any() else 0.0 if summed else None
        return came, float(total(expected))

    def _leaves(self, group: Group, low: int, high: int) -> list[Small]:
        """The finest slices that matter, on one scale."""
        places = self._stored.inside(group.measure, group.slices)
        if len(places) < 2:
            return []
        first, last = self._stored.place(group.start), self._stored.place(group.end)
        actual, expected = self._stored.values[:2, places, first:last]
        off = np.nansum(np.where(np.isfinite(actual), actual - expected, -expected), axis=1)
        off = off if group.direction == "up" else -off
        least = _MATTERS * max(float(off.clip(min=0).sum()), 1e-300)
        best = [place for place in np.argsort(-off, kind="stable")[:_LEAVES] if off[place] > least]
        lines = [self._stored.line(int(places[place])).cut(low, high) for place in best]
        unit = unit_of(self._config, group.measure)
        found = []
        for place, line in zip(best, lines, strict=True):
            label = self.label(self._stored.names[places[place]][1])
            chart = charts.series(
                line,
                title=f"{plain(group.measure, _NAME)}, {label}",
                zone=self._config.timezone,
                unit=unit,
                zero=counts(self._config, group.measure),
                event=Span(group.start, group.end),
                like=lines,
                height=140,
            )
            came = float(np.nansum(actual[place]))
            usual = float(np.nansum(expected[place]))
            if not counts(self._config, group.measure):
                size = max(1, int(np.isfinite(actual[place]).sum()))
                came, usual = came / size, usual / max(1, int(np.isfinite(expected[place]).sum()))
            moved = change(came, usual)
            told = compared(came, usual, unit)
            found.append(Small(label, chart, f"{told} ({moved})" if moved else told))
        return found

    def _related(self, group: Group, low: int, high: int) -> list[Small]:
        """Events of other measures that are related, then others at the same time, those that share
        most of it first.
        """
        known = {one.id: one for one in self._content.groups}
        found: list[Small] = []
        for link in group.related:
            other = known.get(link.group_id)
            label = self.sentence(other) if other else plain(link.measure, _NAME)
            chart = self._chart(other, low, high, 120) if other else Markup()
            found.append(Small(label, chart, _linked(link), link.group_id if other else ""))
        told = {group.id, *(link.group_id for link in group.related)}
        beside: list[tuple[float, Group]] = []
        for other in self._content.groups:
            both = min(group.end, other.end) - max(group.start, other.start)
            if other.id not in told and both > timedelta(0):
                whole = max(group.end, other.end) - min(group.start, other.start)
                beside.append((both / whole, other))
        beside.sort(key=lambda pair: (-pair[0], -pair[1].severity, pair[1].id))
        found += [
            Small(self.sentence(other), self._chart(other, low, high, 120), key=other.id)
            for _, other in beside
        ]
        return found[:_RELATED]

    def _found_by(self, group: Group) -> tuple[tuple[str, str], ...]:
        """Dimensions and values by which an event is found."""
        found = dict.fromkeys(pair for one in group.slices for pair in one.items())
        for dimension, shares in group.contributions.items():
            found |= dict.fromkeys(
                (dimension, value) for value, share in shares.items() if share >= _FOUND_BY
            )
        return tuple(found)

    def _sql(self, group: Group) -> str:
        try:
            return reproduction(self._config, group.measure, group.slices, group.start, group.end)
        except PermanentError:
            # A local file needs no query.
            return ""

    def when(self, moment: datetime) -> str:
        """A time in the detector's zone."""
        return axes.spoken(moment, self._config.timezone, of_days=self._config.of_days)

    def last(self, end: datetime) -> str:
        """The end of a time in the detector's zone: of whole days, the last one."""
        return self.when(end - timedelta(seconds=1) if self._config.of_days else end)

    def to_the_minute(self, moment: datetime) -> str:
        """A time in the detector's zone that has nothing to do with its intervals."""
        return axes.spoken(moment, self._config.timezone)

    def span(self, one: Span) -> str:
        """`from 5 Jan 2026 09:00 to 6 Jan 2026 11:00`, as in the sentences about events."""
        return time(self._config, one.start, one.end, is_open=False)

    def label(self, one: Sequence[str]) -> str:
        """A slice by its values."""
        held = [plain(value, _NAME) or "(empty)" for value in one if value != ROLLED_UP]
        return " / ".join(held) or "in total"


def _linked(link: Related) -> str:
    """How an event of another measure is related."""
    if link.relationship == "CAUSE_OF_INPUT_ANOMALY_GROUP":
        told = [f"may be a cause, of up to {link.contribution:.0f} % of it"]
    else:
        told = [f"may be an effect, to which this gave up to {link.contribution:.0f} %"]
    if link.lag:
        minutes = abs(link.lag) // 60
        days, hours = minutes // 1440, minutes // 60
        size = f"{days} d" if days >= 2 else f"{hours} h" if hours else f"{minutes} min"
        told.append(f"began {size} {'earlier' if link.lag > 0 else 'later'}")
    if link.times:
        told.append(f"likewise in {link.times:,} of {charts.many(link.of, 'earlier event')}")
    if not link.now:
        told.append("only a habit: it is not there now")
    return "; ".join(told)


def _named(one: Mapping[str, str]) -> str:
    return ", ".join(f"{plain(name, _NAME)} {plain(value, _NAME)}" for name, value in one.items())
