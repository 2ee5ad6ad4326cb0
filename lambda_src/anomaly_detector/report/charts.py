"""Charts as SVG: one renderer for page, console and command line.

A chart is as wide as its place and has a fixed height: texts keep their size, and the plot between
them is stretched. Colours are CSS custom properties (`css`); no chart has a style of its own, an
ID, a link or a script, so that a strict content security policy and CloudWatch accept it. Each has
a title, and a description that says what is to be seen.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.resources import files
from typing import Literal, Self

import numpy as np
from markupsafe import Markup, escape
from numpy.typing import NDArray

from anomaly_detector.alerts.figures import compared, figure
from anomaly_detector.config import Unit
from anomaly_detector.report import axes

Array = NDArray[np.float64]
Theme = Literal["auto", "light", "dark"]

# Okabe and Ito's colours, which colour-blind readers tell apart; text is 4.5:1 on its background.
_LIGHT = {
    "ink": "#1c2024",
    "muted": "#59616b",
    "paper": "#ffffff",
    "line": "#d9dde2",
    "actual": "#0072b2",
    "expected": "#59616b",
    "band": "#0072b226",
    "mark": "#d55e00",
    "event": "#d55e0024",
    "bar": "#0072b2",
    "missing": "#8a929c",
    "second": "#d55e00",
    "third": "#009e73",
    "fourth": "#cc79a7",
    "fifth": "#b07a00",
}
_DARK = _LIGHT | {
    "ink": "#e8eaed",
    "muted": "#a4acb6",
    "paper": "#15181c",
    "line": "#343a42",
    "actual": "#56b4e9",
    "expected": "#a4acb6",
    "band": "#56b4e92b",
    "mark": "#ff8a3d",
    "event": "#ff8a3d33",
    "bar": "#56b4e9",
    "missing": "#7b848f",
    "second": "#ff8a3d",
    "third": "#2fc79a",
    "fourth": "#e39cc4",
    "fifth": "#f0c419",
}
_RULES = (files(__package__) / "charts.css").read_text("utf-8")

# The plot's own units: so many columns, and so many steps a pixel of its height.
_COLUMNS, _FINE = 2000, 4
_DENSE_COLUMNS = 1000
_SPARK_COLUMNS = 80
# Values shown one by one.
_FEW = 40
_TOP, _BOTTOM = 16, 34
# The difference of larger values would be infinite, and nothing could be divided by a smaller one.
_LARGEST, _SMALLEST = 1e150, 1e-150
# Beyond the values by this share of their span, the band ends at the edge of the plot.
_BAND_SHOWN = 0.6
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
_LABEL = 34
_LOW, _HIGH = 60, 80
# More events at the same time hide each other.
_MOST_LANES = 8


@dataclass(frozen=True)
class Line:
    """One series over consecutive intervals.

    Attributes
    ----------
    edges : (T + 1,) datetime64[s], UTC: the start of each interval, and the end of the last.
    actual, expected, lower, upper : (T,) NaN where missing.
    anomalous : (T,) bool.
    """

    edges: NDArray[np.datetime64]
    actual: Array
    expected: Array
    lower: Array
    upper: Array
    anomalous: NDArray[np.bool_]

    def cut(self, low: int, high: int) -> Self:
        """The intervals `low` to `high`, as views."""
        return replace(
            self,
            edges=self.edges[low : high + 1],
            actual=self.actual[low:high],
            expected=self.expected[low:high],
            lower=self.lower[low:high],
            upper=self.upper[low:high],
            anomalous=self.anomalous[low:high],
        )

    @property
    def missing(self) -> NDArray[np.bool_]:
        """(T,) intervals without a value since the first one."""
        held = np.isfinite(self.actual)
        return np.asarray(~held & (np.cumsum(held | np.isfinite(self.expected)) > 0))


@dataclass(frozen=True)
class Span:
    """The time `[start, end)`, UTC."""

    start: datetime
    end: datetime


@dataclass(frozen=True)
class Bar:
    """What a value of a dimension contributes: `share` in percent; actual and expected where known.

    `rest` marks what stands for all others.
    """

    label: str
    share: float
    actual: float | None = None
    expected: float | None = None
    rest: bool = False


@dataclass(frozen=True)
class Mark:
    """An event on the timeline; `key` names it for a script."""

    row: str
    span: Span
    severity: float
    title: str
    key: str = ""


def css(theme: Theme = "auto", scope: str = ":root") -> str:
    """The style sheet of all charts; `scope` is the selector of the element that holds them."""
    light, dark = (
        f"{scope}{{{''.join(f'--{name}:{value};' for name, value in colours.items())}}}"
        for colours in (_LIGHT, _DARK)
    )
    if theme != "auto":
        return (dark if theme == "dark" else light) + _RULES
    return f"{light}@media screen and (prefers-color-scheme:dark){{{dark}}}{_RULES}"


def series(
    line: Line,
    *,
    title: str,
    zone: str,
    unit: Unit | None = None,
    zero: bool = True,
    event: Span | None = None,
    like: Sequence[Line] = (),
    height: int = 240,
) -> Markup:
    """A series: band, expected, actual, anomalous intervals, the event, and what is missing.

    Parameters
    ----------
    zone : IANA time zone of the axis.
    zero : whether zero is on the axis, as it must be for sums and counts.
    like : series on the same scale, as in small multiples.
    """
    scale = _Scale.of([line, *like], zero=zero, plot=height - _TOP - _BOTTOM)
    begin, end = _moment(line.edges[0]), _moment(line.edges[-1])
    over = _Over(begin, end)
    plot = [
        *([_event(over, event, scale)] if event else []),
        *(
            _one("line", "base" if value == 0 else "grid", x2=_COLUMNS, y1=y, y2=y)
            for value, y in scale.ticks()
        ),
        *_drawn(line, scale, _DENSE_COLUMNS),
        _missing(line, scale),
    ]
    told = axes.labels(scale.steps, unit)
    labels = [_value(one, y) for one, (_, y) in zip(told, scale.ticks(), strict=True)]
    if scale.low > 0 or scale.high < 0:
        labels.append(_text("the axis leaves out 0", x="100%", y=10, anchor="end"))
    ticks = axes.time_ticks(begin, end, zone)
    return _svg(
        "chart series",
        height,
        title,
        _said(line, zone, unit, event),
        [_plot(plot, scale.plot), *labels, *_times(ticks, over, _TOP + scale.plot)],
    )


def spark(
    line: Line, *, title: str, zone: str, zero: bool = True, event: Span | None = None
) -> Markup:
    """A small chart of a series without axes: its values, its band, and what is marked."""
    height = 40
    scale = _Scale.of([line], zero=zero, plot=height, padded=True)
    over = _Over(_moment(line.edges[0]), _moment(line.edges[-1]))
    plot = [
        *([_event(over, event, scale)] if event else []),
        *_drawn(line, scale, _SPARK_COLUMNS, ("actual",)),
        _missing(line, scale),
    ]
    said = _said(line, zone, None, event)
    return _svg("chart spark", height, title, said, [_plot(plot, height, top=0)])


def frame(begin: datetime, end: datetime, *, title: str, zone: str, height: int = 280) -> Markup:
    """An empty chart of a time, for a script to fill: its plot has the class `plot`."""
    plot = height - _TOP - _BOTTOM
    ticks = axes.time_ticks(begin, end, zone)
    times = _times(ticks, _Over(begin, end), _TOP + plot)
    return _svg("chart frame", height, title, "", [_plot([], plot), *times])


def bars(
    rows: Sequence[Bar], *, title: str, unit: Unit | None = None, height_of_row: int = 40
) -> Markup:
    """Contributions of the values of a dimension, the largest first."""
    parts: list[Markup] = []
    for place, row in enumerate(rows):
        top = place * height_of_row
        parts.append(_text(_cut(row.label), x=0, y=top + 13, kind="strong"))
        if row.expected is not None:
            told = compared(row.actual, row.expected, unit)
            parts.append(_text(told, x="100%", y=top + 13, anchor="end"))
        share = min(max(row.share, 0.0), 100.0) * 0.85
        kind = "other" if row.rest else "bar"
        parts.append(_one("rect", "track", x=0, y=top + 19, width="85%", height=8, rx=2))
        parts.append(_one("rect", kind, x=0, y=top + 19, width=f"{share:.2f}%", height=8, rx=2))
        parts.append(_text(_percent(row.share), x="100%", y=top + 27, anchor="end", kind="strong"))
    said = "; ".join(
        f"{row.label} {_percent(row.share)}"
        + ("" if row.expected is None else f", {compared(row.actual, row.expected, unit)}")
        for row in rows
    )
    return _svg("chart bars", max(1, len(rows)) * height_of_row, title, said or "Nothing.", parts)


def timeline(
    marks: Sequence[Mark], rows: Sequence[str], within: Span, *, title: str, zone: str
) -> Markup:
    """Events over measures: a row each, with as many lanes as there are events side by side."""
    over = _Over(within.start, within.end)
    parts: list[Markup] = []
    y = 4
    for row in rows:
        parts.append(_text(_cut(row), x=0, y=y + 10, kind="strong"))
        lanes = _lanes([one for one in marks if one.row == row])
        y += 16
        for lane in lanes:
            for one in lane:
                left, width = over.percent(one.span)
                parts.append(
                    _tag(
                        "rect",
                        {
                            "class": f"span {_class_of(one.severity)}",
                            "x": f"{left:.2f}%",
                            "y": y,
                            "width": f"{width:.2f}%",
                            "height": 9,
                            "rx": 2,
                            "data-event": one.key or None,
                        },
                        [_tag("title", {}, [escape(clean(one.title))])],
                    )
                )
            y += 11
        y += 2 if lanes else 6
        parts.append(_one("line", "grid", x2="100%", y1=y, y2=y))
        y += 4
    ticks = axes.time_ticks(within.start, within.end, zone)
    said = "; ".join(
        f"{row}: {many(sum(one.row == row for one in marks), 'event')}" for row in rows
    )
    return _svg("chart timeline", y + _BOTTOM, title, said, [*parts, *_times(ticks, over, y)])


def weekly(
    preview: Sequence[Mapping[str, float]], *, title: str, threshold: float | None = None
) -> Markup:
    """Events a week at each alert threshold; the one in force is marked."""
    height, plot = 150, 100
    most = max((one["events_per_week"] for one in preview), default=0.0) or 1.0
    each = 100 / max(1, len(preview))
    at = [one["threshold"] for one in preview]
    chosen = max((one for one in at if threshold is not None and one <= threshold), default=None)
    parts: list[Markup] = []
    for place, one in enumerate(preview):
        size = plot * one["events_per_week"] / most
        middle = f"{(place + 0.5) * each:.2f}%"
        is_chosen = one["threshold"] == chosen
        parts.append(
            _one(
                "rect",
                "chosen" if is_chosen else "bar",
                x=f"{(place + 0.12) * each:.2f}%",
                y=f"{18 + plot - size:.1f}",
                width=f"{0.76 * each:.2f}%",
                height=f"{max(size, 1):.1f}",
                rx=2,
            )
        )
        above = figure(one["events_per_week"])
        parts.append(_text(above, x=middle, y=f"{13 + plot - size:.1f}", anchor="middle"))
        kind = "strong" if is_chosen else ""
        name = f"{one['threshold']:g}"
        parts.append(_text(name, x=middle, y=plot + 33, anchor="middle", kind=kind))
    parts.append(_one("line", "base", x2="100%", y1=plot + 18, y2=plot + 18))
    said = "; ".join(
        f"at {one['threshold']:g}: {figure(one['events_per_week'])} a week" for one in preview
    )
    return _svg("chart weekly", height, title, said or "Nothing.", parts)


def profile(values: Sequence[float], labels: Sequence[str], *, title: str) -> Markup:
    """Means of the slots of a season, such as the hours of a day; NaN where nothing is known."""
    known = np.array(values, dtype=np.float64)
    edges = np.arange(len(values) + 1).astype("datetime64[s]")
    nothing = np.full(len(values), np.nan)
    line = Line(edges, known, nothing, nothing, nothing, np.zeros(len(values), np.bool_))
    plot = 64
    scale = _Scale.of([line], zero=False, plot=plot, padded=True)
    parts = [_plot(_drawn(line, scale, _SPARK_COLUMNS), plot, top=2)]
    # A label of one value stands below it, another one where its values begin.
    each = len(labels) == len(values)
    for place, label in enumerate(labels):
        share = 100 * (place + 0.5 * each) / max(1, len(labels))
        anchor = "middle" if each else ""
        parts.append(_text(label, x=f"{share:.2f}%", y=plot + 15, anchor=anchor))
    held = np.flatnonzero(np.isfinite(known))
    said = "Nothing." if not len(held) else _extremes(known, held, labels)
    return _svg("chart profile", plot + 20, title, said, parts)


def key(*, share: float = 0.99, zone: str = "", event: bool = True) -> Markup:
    """What lines and marks mean, as a list in HTML; `share` is that of the band."""
    rows = [
        ("actual", _one("path", "actual", d="M2 6H24")),
        ("expected", _one("path", "expected", d="M1 6H25")),
        (f"{100 * share:g} % of normal values", _one("rect", "band", width=26, height=12)),
        ("anomalous", _one("path", "marks", d="M13 6h0")),
        ("event", _one("rect", "event", width=26, height=12)),
        ("missing", _one("path", "missing", d="M0 6H26")),
    ]
    items = [
        _tag("li", {}, [_swatch(drawn), escape(name)])
        for name, drawn in rows
        if event or name != "event"
    ]
    if zone:
        items.append(_tag("li", {}, [escape(f"times in {zone}")]))
    return _tag("ul", {"class": "chart-key"}, items)


def many(number: int, noun: str) -> str:
    """`1 event`, `1,200 events`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def clean(text: str) -> str:
    """Text without characters that XML forbids."""
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


@dataclass(frozen=True)
class _Over:
    """The time that a chart is as wide as."""

    begin: datetime
    end: datetime

    def share(self, moment: datetime) -> float:
        whole = (self.end - self.begin).total_seconds() or 1.0
        return min(1.0, max(0.0, (moment - self.begin).total_seconds() / whole))

    def percent(self, span: Span) -> tuple[float, float]:
        """Left edge and width, wide enough to be seen."""
        left, right = self.share(span.start), self.share(span.end)
        width = max(100 * (right - left), 0.6)
        return min(100 * left, 100 - width), width


@dataclass(frozen=True)
class _Scale:
    """Values on the height of a plot in pixels; `low` and `high` are its edges."""

    low: float
    high: float
    plot: int
    steps: tuple[float, ...]

    @classmethod
    def of(cls, lines: Sequence[Line], *, zero: bool, plot: int, padded: bool = False) -> _Scale:
        values = [_finite(array) for line in lines for array in (line.actual, line.expected)]
        bands = [_finite(array) for line in lines for array in (line.lower, line.upper)]
        held = np.concatenate(values)
        if not len(held):
            held = np.concatenate(bands) if any(map(len, bands)) else np.zeros(1)
        low, high = float(held.min()), float(held.max())
        room = _BAND_SHOWN * (high - low)
        for band in bands:
            if len(band) and room:
                low = min(low, max(float(band.min()), low - room))
                high = max(high, min(float(band.max()), high + room))
        if zero:
            low, high = min(low, 0.0), max(high, 0.0)
        if high - low <= max(1e-9 * max(abs(low), abs(high)), _SMALLEST):
            half = abs(high) / 2 if abs(high) > _SMALLEST else 1.0
            low, high = (0.0, 2 * half) if zero and high == 0 else (low - half, high + half)
        if padded:
            edge = 0.08 * (high - low)
            return cls(low - edge, high + edge, plot, ())
        steps = axes.value_ticks(low, high)
        return cls(steps[0], steps[-1], plot, tuple(steps))

    def y(self, values: Array) -> Array:
        """In the plot's own units, within it."""
        share = (np.clip(values, self.low, self.high) - self.low) / (self.high - self.low)
        return np.asarray(_FINE * self.plot * (1.0 - share))

    def ticks(self) -> Iterator[tuple[float, float]]:
        """Values and their places."""
        for value in self.steps:
            yield value, round(float(self.y(np.array([value]))[0]), 1)


def _finite(values: Array) -> Array:
    return np.clip(values[np.isfinite(values)], -_LARGEST, _LARGEST)


def _moment(time: np.datetime64) -> datetime:
    return datetime.fromtimestamp(int(time.astype("datetime64[s]").astype(np.int64)), UTC)


def _drawn(
    line: Line, scale: _Scale, columns: int, names: Sequence[str] = ("expected", "actual")
) -> list[Markup]:
    """Band, lines and marks, as far as there are any."""
    size = len(line.actual)
    at = _columns_of(line)
    dense = " dense" * (size > 2 * columns)
    parts = [_one("path", "band", d=_area(at, scale.y(line.lower), scale.y(line.upper), columns))]
    for name in names:
        x, y = _thinned(at, scale.y(getattr(line, name)), columns)
        parts.append(_one("path", name + dense, d=_path(x, y)))
    if not dense:
        parts.append(_one("path", "points", d=_dots(at, scale.y(_alone(line.actual)))))
    marked = line.anomalous
    # A missing value that was expected is marked where it should have been.
    shown = np.where(np.isfinite(line.actual), line.actual, line.expected)
    if marked.any():
        x, y = at[marked], scale.y(shown[marked])
        if len(x) > columns // 4:
            x, y = _thinned(x, y, columns // 4)
        parts.append(_one("path", "marks", d=_dots(x, y)))
    return [part for part in parts if 'd=""' not in part]


def _alone(values: Array) -> Array:
    """What is drawn value by value: few ones, and those that no line leads to."""
    if len(values) <= _FEW:
        return values
    held = np.pad(np.isfinite(values), 1)
    return np.where(held[:-2] | held[2:], np.nan, values)


def _columns_of(line: Line) -> Array:
    """(T,) the middle of each interval, in the plot's columns."""
    seconds = line.edges.astype("datetime64[s]").astype(np.int64).astype(np.float64)
    whole = (seconds[-1] - seconds[0]) or 1.0
    middles = (seconds[:-1] + seconds[1:]) / 2
    return np.asarray((middles - seconds[0]) / whole * _COLUMNS)


def _thinned(x: Array, y: Array, columns: int) -> tuple[Array, Array]:
    """The smallest and the largest value of each column, in the order in which they come; what is
    missing stays missing where a column has no value.
    """
    if len(x) <= 2 * columns:
        return x, y
    column = np.minimum((x * columns / _COLUMNS).astype(np.int64), columns - 1)
    edges = np.flatnonzero(np.diff(column, prepend=-1))
    high = np.maximum.reduceat(np.where(np.isnan(y), -np.inf, y), edges)
    low = np.minimum.reduceat(np.where(np.isnan(y), np.inf, y), edges)
    lengths = np.diff(np.append(edges, len(y)))
    place = np.arange(len(y))

    def first(of: Array) -> NDArray[np.int64]:
        hit = np.where(y == np.repeat(of, lengths), place, len(y))
        return np.asarray(np.minimum.reduceat(hit, edges))

    at = np.sort(np.stack([first(low), first(high)]), axis=0)
    # A column without a value keeps its first, missing one.
    at = np.where(np.isfinite(low), at, edges)
    kept = np.unique(at.T.reshape(-1))
    return x[kept], y[kept]


def _area(x: Array, top: Array, bottom: Array, columns: int) -> str:
    """The outline of what lies between two lines."""
    known = np.isfinite(top) & np.isfinite(bottom)
    upper, lower = np.where(known, bottom, np.nan), np.where(known, top, np.nan)
    if len(x) > columns:
        column = np.minimum((x * columns / _COLUMNS).astype(np.int64), columns - 1)
        edges = np.flatnonzero(np.diff(column, prepend=-1))
        # A column is as wide as any of its intervals.
        upper = np.fmin.reduceat(upper, edges)
        lower = np.fmax.reduceat(lower, edges)
        x = x[edges]
    found = []
    for low, high in _runs(np.isfinite(upper)):
        there = _path(x[low:high], upper[low:high])
        back = _path(x[low:high][::-1], lower[low:high][::-1])
        found.append(f"{there}L{back[1:]}Z" if high - low > 1 else "")
    return "".join(found)


def _path(x: Array, y: Array) -> str:
    """Lines between neighbours; a value alone is a dot."""
    found = []
    for low, high in _runs(np.isfinite(y)):
        points = np.rint(np.stack([x[low:high], y[low:high]], axis=1)).astype(np.int64)
        steps = np.diff(points, axis=0).reshape(-1)
        tail = f"l{_numbers(steps)}" if len(steps) else "h0"
        found.append(f"M{_numbers(points[0])}{tail}")
    return "".join(found)


def _dots(x: Array, y: Array) -> str:
    points = np.rint(np.stack([x, y], axis=1))[np.isfinite(y)].astype(np.int64)
    return "".join(f"M{a} {b}h0" for a, b in points.tolist())


def _numbers(values: NDArray[np.int64]) -> str:
    return " ".join(map(str, values.tolist())).replace(" -", "-")


def _runs(held: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """`[low, high)` of each run of true values."""
    edges = np.flatnonzero(np.diff(held.astype(np.int8), prepend=0, append=0))
    pairs = edges.reshape(-1, 2).tolist()
    return [(int(low), int(high)) for low, high in pairs]


def _event(over: _Over, event: Span, scale: _Scale) -> Markup:
    left, width = over.percent(event)
    x, size, deep = (round(_COLUMNS / 100 * left), round(_COLUMNS / 100 * width), scale.plot)
    shade = _one("rect", "event", x=x, y=0, width=size, height=_FINE * deep)
    return shade + _one("path", "edge", d=f"M{x} 0v{_FINE * deep}m{size} 0v-{_FINE * deep}")


def _missing(line: Line, scale: _Scale) -> Markup:
    """A mark on the axis where values are missing."""
    whole = len(line.actual) or 1
    y = _FINE * scale.plot - 3 * _FINE
    # Marks that would touch are one.
    columns = np.arange(whole) * _COLUMNS // whole
    found: list[list[int]] = []
    for low, high in _runs(line.missing):
        left = int(columns[low])
        right = max(int(columns[high]) if high < whole else _COLUMNS, left + 4)
        if found and left <= found[-1][1] + 1:
            found[-1][1] = right
        else:
            found.append([left, right])
    path = "".join(f"M{left} {y}H{right}" for left, right in found)
    return _one("path", "missing", d=path) if path else Markup()


def _said(line: Line, zone: str, unit: Unit | None, event: Span | None) -> str:
    """What a chart of a series shows, in words."""
    begin, end = _moment(line.edges[0]), _moment(line.edges[-1])
    parts = [f"From {axes.spoken(begin, zone)} to {axes.spoken(end, zone)}, times in {zone}."]
    held = np.flatnonzero(np.isfinite(line.actual))
    if len(held):
        low, high = held[np.argmin(line.actual[held])], held[np.argmax(line.actual[held])]
        parts.append(
            f"Actual between {figure(float(line.actual[low]), unit)} "
            f"({axes.spoken(_moment(line.edges[low]), zone)}) and "
            f"{figure(float(line.actual[high]), unit)} "
            f"({axes.spoken(_moment(line.edges[high]), zone)})."
        )
    else:
        parts.append("No value.")
    missing, marked = int(line.missing.sum()), int(line.anomalous.sum())
    if missing:
        parts.append(f"Missing in {many(missing, 'interval')}.")
    if marked:
        parts.append(f"Anomalous in {many(marked, 'interval')}.")
    if event:
        parts.append(
            f"The event is from {axes.spoken(event.start, zone)} to {axes.spoken(event.end, zone)}."
        )
    return " ".join(parts)


def _extremes(known: Array, held: NDArray[np.int64], labels: Sequence[str]) -> str:
    def named(place: int) -> str:
        return labels[place * len(labels) // len(known)] if labels else str(place)

    low, high = held[np.argmin(known[held])], held[np.argmax(known[held])]
    return f"Lowest about {named(int(low))}, highest about {named(int(high))}."


def _lanes(marks: Sequence[Mark]) -> list[list[Mark]]:
    lanes: list[list[Mark]] = []
    for one in sorted(marks, key=lambda mark: (mark.span.start, mark.span.end, mark.key)):
        free = next((lane for lane in lanes if lane[-1].span.end <= one.span.start), None)
        if free is None and len(lanes) == _MOST_LANES:
            free = lanes[-1]
        if free is None:
            lanes.append([one])
        else:
            free.append(one)
    return lanes


def _class_of(severity: float) -> str:
    return "low" if severity < _LOW else "middle" if severity < _HIGH else "high"


def _percent(share: float) -> str:
    return f"{share:.0f} %" if share >= 1 or share <= 0 else f"{share:.1f} %"


def _cut(label: str) -> str:
    text = clean(" ".join(label.split())) or "(empty)"
    return text if len(text) <= _LABEL else f"{text[: _LABEL - 1]}…"


def _value(told: str, y: float) -> Markup:
    # In the padding to the left of the plot.
    return _text(told, x=-7, y=f"{_TOP + y / _FINE + 4:.1f}", anchor="end")


def _times(ticks: Sequence[axes.Tick], over: _Over, bottom: int) -> list[Markup]:
    """Marks and labels of the time axis below `bottom`."""
    parts: list[Markup] = []
    for tick in ticks:
        share = over.share(tick.at)
        x = f"{100 * share:.2f}%"
        anchor = "start" if share < 0.03 else "end" if share > 0.97 else "middle"
        parts.append(_one("line", "base", x1=x, x2=x, y1=bottom, y2=bottom + 4))
        parts.append(_text(tick.label, x=x, y=bottom + 16, anchor=anchor))
        if tick.below:
            parts.append(_text(tick.below, x=x, y=bottom + 29, anchor=anchor, kind="strong"))
    return parts


def _plot(parts: Sequence[Markup], height: int, top: int = _TOP) -> Markup:
    return _tag(
        "svg",
        {
            "class": "plot",
            "y": top,
            "width": "100%",
            "height": height,
            "viewBox": f"0 0 {_COLUMNS} {_FINE * height}",
            "preserveAspectRatio": "none",
        },
        parts,
    )


def _swatch(drawn: Markup) -> Markup:
    attributes = {"class": "chart", "width": 26, "height": 12, "aria-hidden": "true"}
    return _tag("svg", attributes, [drawn])


def _svg(kind: str, height: int, title: str, said: str, parts: Sequence[Markup]) -> Markup:
    named = [_tag("title", {}, [escape(clean(title))]), _tag("desc", {}, [escape(clean(said))])]
    attributes = {"class": kind, "role": "img", "width": "100%", "height": height}
    return _tag("svg", attributes, [*(named if said else named[:1]), *parts])


def _text(words: str, *, x: object, y: object, anchor: str = "", kind: str = "") -> Markup:
    attributes = {"class": kind or None, "x": x, "y": y, "text-anchor": anchor or None}
    return _tag("text", attributes, [escape(clean(words))])


def _one(name: str, kind: str, **attributes: object) -> Markup:
    return _tag(name, {"class": kind, **attributes}, [])


def _tag(name: str, attributes: Mapping[str, object], parts: Sequence[Markup]) -> Markup:
    shown = "".join(
        f' {key}="{escape(clean(str(value)))}"'
        for key, value in attributes.items()
        if value is not None
    )
    inside = "".join(parts)
    # Texts and attributes are escaped by now.
    return Markup(f"<{name}{shown}>{inside}</{name}>" if inside else f"<{name}{shown}/>")  # noqa: S704
