"""Buttons of the dashboard in CloudWatch that call the function `respond`: what they ask for is in
the button, what people have typed in the widget's form, and the answer is Markdown for a popup.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from anomaly_detector.alerts.words import plain
from anomaly_detector.errors import PermanentError, RetryableError
from anomaly_detector.intervals import iso

Event = dict[str, Any]

_MARKDOWN = "\\`*_{}[]()#+-.!|<>"


def is_press(event: Mapping[str, Any]) -> bool:
    """Whether a widget sends the event."""
    return isinstance(event.get("widgetContext"), Mapping)


def answered(event: Mapping[str, Any], now: datetime, answer: Callable[[Event], Event]) -> Event:
    """What a popup shows when a button was pressed.

    Parameters
    ----------
    answer : what the function answers to the event of a command.
    """
    try:
        asked = _asked(event, now)
        return {"markdown": _words(asked, answer(asked))}
    except (PermanentError, RetryableError) as error:
        return {"markdown": f"**Not done.** {_escaped(str(error), 1000)}"}


def _asked(event: Mapping[str, Any], now: datetime) -> Event:
    context = event["widgetContext"]
    form = (context.get("forms") or {}).get("all") or {}
    dashboard = str(context.get("dashboardName") or "")
    asked = {name: value for name, value in event.items() if name not in ("widgetContext", "days")}
    if asked.get("action") in ("feedback", "mute"):
        asked["by"] = plain(f"dashboard {dashboard}", 200)
    if asked.get("action") == "mute":
        days = event.get("days")
        if days not in (1, 7):
            raise PermanentError(f"A button mutes for 1 or 7 days; got {days!r}.")
        reason = str(form.get("reason") or "").strip()
        if not reason:
            raise PermanentError("Say why in the field Reason, and press again.")
        wanted = event.get("mute")
        asked["mute"] = {
            **(wanted if isinstance(wanted, Mapping) else {}),
            "end": iso(now + timedelta(days=days)),
            "reason": reason,
        }
    return asked


def _words(asked: Mapping[str, Any], answer: Mapping[str, Any]) -> str:
    if asked["action"] == "mute":
        return (
            f"Alerts are held back until {answer['end']}: {_escaped(answer['reason'])} "
            f"(mute `{answer['id']}`). Events are found and shown as before."
        )
    if asked["action"] == "unmute":
        return f"The mute has ended; it held back {answer['alerts']:,} alerts."
    effect = answer["effect"]
    if answer["is_anomaly"]:
        return (
            f"Noted as an anomaly: its {effect['intervals_not_learned']:,} intervals teach the "
            f"detector nothing (answer `{answer['id']}`)."
        )
    return (
        "Noted as no anomaly: events like it need a severity of "
        f"{effect['similar_events_need_severity']:g} from now on (answer `{answer['id']}`)."
    )


def _escaped(text: str, limit: int = 500) -> str:
    """Text that Markdown shows as it is."""
    return "".join(f"\\{sign}" if sign in _MARKDOWN else sign for sign in plain(text, limit))
