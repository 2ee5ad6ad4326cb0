"""The form of a message at each kind of target. Pure.

Names and values come from data that anybody may write. They are shown as plain text: where a target
has no text without markup, its signs are escaped.

There is a link instead of a picture: an incoming webhook takes no file, and both Slack and Teams
show only pictures that anybody can load, which those of a private bucket are not. An address that
is signed with a function's credentials ends with them, within hours.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Final

from anomaly_detector.alerts.message import Message
from anomaly_detector.config import SeverityClass

Json = dict[str, Any]

# Limits of Slack: characters of a header, of a text, of a field; blocks of a message.
_HEADER, _TEXT, _FIELD, _FIELDS, _BLOCKS = 150, 3_000, 2_000, 10, 50
# Of a card in Teams: 28 KB, in which there is room for the frame.
_CARD: Final = 24_000
_CARD_LINES = (60, 20, 5, 0)
# Characters of a fact in the shortest card.
_CARD_FACT = 500
# Of PagerDuty: characters of the key and the summary; bytes of an event.
_KEY, _SUMMARY, _EVENT = 255, 1_024, 400_000
_COLORS: dict[SeverityClass, str] = {"low": "default", "medium": "warning", "high": "attention"}
_PAGED: dict[SeverityClass, str] = {"low": "warning", "medium": "error", "high": "critical"}
_ENDED = ("RESOLVED", "ACCEPTED", "RETRACTED")
_HAPPENED = {
    "OPEN": "Anomaly Opened",
    "ONGOING": "Anomaly Changed",
    "RESOLVED": "Anomaly Resolved",
    "ACCEPTED": "Anomaly Accepted",
    "RETRACTED": "Anomaly Retracted",
}


def slack(message: Message) -> Json:
    """A message of Slack: the sentence, figures, sections and buttons that link."""
    blocks: list[Json] = []
    if len(message.line) <= _HEADER:
        blocks.append({"type": "header", "text": _plain(message.line, _HEADER)})
    else:
        blocks.append({"type": "section", "text": _plain(message.line, _TEXT)})
    if message.facts:
        fields = [_plain(f"{label}\n{value}", _FIELD) for label, value in message.facts[:_FIELDS]]
        blocks.append({"type": "section", "fields": fields})
    for one in message.sections:
        text = "\n".join([f"{one.title}:", *(line.strip() for line in one.lines)])
        blocks.append({"type": "section", "text": _plain(text, _TEXT)})
    if message.links:
        buttons = [
            {"type": "button", "text": _plain(title, 75), "url": address}
            for title, address in message.links
        ]
        blocks.append({"type": "actions", "elements": buttons})
    blocks.append({"type": "context", "elements": [_plain(message.about, _TEXT)]})
    # Shown in notifications; here, three signs have a meaning.
    text = message.line
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;")):
        text = text.replace(sign, entity)
    return {
        "text": text[:_TEXT],
        "blocks": blocks[:_BLOCKS],
        "unfurl_links": False,
        "unfurl_media": False,
    }


def teams(message: Message) -> Json:
    """An adaptive card in a message of Microsoft Teams, with as many lines as fit."""
    for lines in _CARD_LINES:
        found = _card(message, lines)
        if len(json.dumps(found, ensure_ascii=False).encode()) <= _CARD:
            break
    return found


def pagerduty(message: Message, routing_key: str) -> Json:
    """An event of PagerDuty's Events API v2: one incident for all messages about an event."""
    # Shorter than an ARN may be.
    key = message.event
    if len(key) > _KEY:
        key = hashlib.sha256(key.encode()).hexdigest()
    found: Json = {
        "routing_key": routing_key,
        "event_action": "resolve" if message.state in _ENDED else "trigger",
        "dedup_key": key,
        "payload": {
            "summary": message.line[:_SUMMARY],
            "source": message.event.partition(":alert/")[0],
            "severity": _PAGED[message.severity_class],
            "custom_details": {
                **dict(message.facts),
                **{one.title: [line.strip() for line in one.lines] for one in message.sections},
                "Alert": message.about,
            },
        },
        "links": [{"href": address, "text": title} for title, address in message.links],
    }
    if len(json.dumps(found).encode()) > _EVENT:
        del found["payload"]["custom_details"]
    return found


def webhook(message: Message) -> Json:
    """What a webhook and an event bus get: the facts for programs, and texts for people."""
    return {
        "id": message.id,
        "event": message.event,
        "state": message.state,
        "severity": round(message.severity, 2),
        "severityClass": message.severity_class,
        "text": message.line,
        "longText": message.text,
        "links": [{"title": title, "url": address} for title, address in message.links],
        "alert": json.loads(message.body),
    }


def event_type(message: Message) -> str:
    """The `detail-type` on an event bus."""
    return _HAPPENED[message.state]


def _plain(text: str, limit: int) -> Json:
    shown = text if len(text) <= limit else f"{text[: limit - 1]}…"
    return {"type": "plain_text", "text": shown or " ", "emoji": False}


def _card(message: Message, lines: int) -> Json:
    # Text runs have no markup, unlike all other texts of a card.
    body = [_runs(message.line, size="medium", weight="bolder", color=_color(message))]
    for label, value in message.facts:
        body.append(_runs(f"{label}: ", value if lines else value[:_CARD_FACT]))
    for one in message.sections if lines else ():
        body.append(_runs(one.title, weight="bolder"))
        body += [_runs(line.strip(), spacing="none") for line in one.lines[:lines]]
    about = message.about if lines else message.about[:_CARD_FACT]
    body.append(_runs(about, size="small"))
    card: Json = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "msteams": {"width": "Full"},
        "body": body,
        "actions": [
            {"type": "Action.OpenUrl", "title": title, "url": address}
            for title, address in message.links
        ],
    }
    content = {
        "contentType": "application/vnd.microsoft.card.adaptive",
        "contentUrl": None,
        "content": card,
    }
    return {"type": "message", "attachments": [content]}


def _runs(*texts: str, spacing: str = "small", **style: str) -> Json:
    styles = [{"weight": "bolder"}, {}] if len(texts) > 1 else [style]
    runs = [
        {"type": "TextRun", "text": text, **one} for text, one in zip(texts, styles, strict=True)
    ]
    return {"type": "RichTextBlock", "inlines": runs, "spacing": spacing}


def _color(message: Message) -> str:
    return "good" if message.state in _ENDED else _COLORS[message.severity_class]
