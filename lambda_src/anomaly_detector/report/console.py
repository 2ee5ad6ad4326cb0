"""Widgets of the dashboard in CloudWatch: values in, HTML out.

CloudWatch takes HTML with CSS and SVG and removes scripts. A button is an element that a
`<cwdb-action>` follows: its JSON goes to a function, with the rights of whoever presses it and with
what the widget's forms hold. Colours are those of the dashboard's theme.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from jinja2 import Environment, FunctionLoader
from markupsafe import Markup

from anomaly_detector.report import charts
from anomaly_detector.report.events import EventView

Theme = Literal["light", "dark"]
Payload = Mapping[str, object]

DOCUMENTATION = """\
## Anomaly detector
Shows what a detector has found. Buttons about an event (feedback, mutes) call the function
`<name>-respond` with your own rights: whoever may not invoke it can look, and change nothing.

### Widget parameters
Param | Description
---|---
**view** | `events` (default), `event`, `learnt` or `status`
**threshold** | Events of at least this severity, 0-100; by default that of the lowest alert
**measure** | Events of this measure only
**days** | Events of the last days, at most 366; by default of the dashboard's time range
**group_id** | The event of the view `event`; by default an open one, or the newest

### Example parameters
``` yaml
view: events
threshold: 60
measure: revenue
```
"""


@dataclass(frozen=True)
class Form:
    """What the list of events is narrowed to, and the measures to choose from."""

    threshold: str
    measure: str
    days: str
    measures: Sequence[str]


@dataclass(frozen=True)
class Shown:
    """One event.

    Attributes
    ----------
    key : of its chart. measure, filters : what a mute of it holds for; `scope` in words.
    """

    view: EventView
    key: Markup
    measure: str
    filters: Mapping[str, Sequence[str]]
    scope: str

    def feedback(self, is_anomaly: bool) -> Payload:  # noqa: FBT001 the answer is the argument
        """What the buttons below the question send."""
        return {"action": "feedback", "group_id": self.view.key, "is_anomaly": is_anomaly}

    def mute(self, days: int) -> Payload:
        """What the buttons that hold back alerts send; the reason is in the form."""
        wanted = {"measures": [self.measure], "dimension_filters": dict(self.filters)}
        return {"action": "mute", "days": days, "mute": wanted}


@dataclass(frozen=True)
class Class:
    """A row of what was learnt, in words."""

    measure: str
    by: str
    series: str
    level: str
    spread: str
    seasons: str
    missing: str
    remarks: str


@dataclass(frozen=True)
class Muted:
    """A mute in words; `id` is empty where it cannot be ended here."""

    id: str
    words: str


@dataclass(frozen=True)
class Places:
    """ARNs of the function that draws the widgets, and of the one that takes what people say."""

    here: str
    say: str


def events(
    places: Places,
    theme: Theme,
    form: Form,
    heading: str,
    rows: Sequence[EventView],
    *,
    left_out: str = "",
    nothing: str = "",
) -> str:
    """The list of events.

    Parameters
    ----------
    left_out : a sentence about events that are not listed. nothing : one for an empty list.
    """
    body = _macro("events")(places.here, form, heading, rows, left_out, nothing)
    return _widget(theme, body)


def event(places: Places, theme: Theme, shown: Shown) -> str:
    """One event, with the buttons."""
    return _widget(theme, _macro("event")(places.here, places.say, shown))


def learnt(theme: Theme, summary: str, classes: Sequence[Class]) -> str:
    """What the detector has learnt."""
    return _widget(theme, _macro("learnt")(summary, classes))


def status(
    places: Places, theme: Theme, rows: Sequence[tuple[str, str]], mutes: Sequence[Muted]
) -> str:
    """State, watermark, delay and cost of the detector, and the mutes in force."""
    return _widget(theme, _macro("status")(rows, mutes, places.say))


def sorry(theme: Theme, text: str) -> str:
    """A sentence instead of a widget."""
    return _widget(theme, _macro("sorry")(text))


def _widget(theme: Theme, body: Markup) -> str:
    style = Markup(charts.css(theme, ".ad") + _resource("console.css"))  # noqa: S704 files of ours
    return str(Markup('<div class="ad"><style>{}</style>{}</div>').format(style, body))


def _action(payload: Payload) -> Markup:
    """JSON without any character that HTML would have to escape."""
    text = json.dumps(payload)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)  # noqa: S704 made safe above


def _macro(name: str) -> Any:  # noqa: ANN401 jinja2 gives what the template defines
    return getattr(_module(), name)


@cache
def _module() -> Any:  # noqa: ANN401 as above
    environment = Environment(loader=FunctionLoader(_resource), autoescape=True)
    environment.filters["action"] = _action
    return environment.get_template("console.html").module


@cache
def _resource(name: str) -> str:
    return (files(__package__) / name).read_text("utf-8")
