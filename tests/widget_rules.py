"""CloudWatch's rules for the HTML of custom widgets, as its user guide states them: what it removes
for security, what a `<cwdb-action>` may say, and what a function can return.

It removes scripts, `<iframe>` and `<use>`; an action applies to the element right before it, is
`call` (with the ARN of a function, and JSON to pass) or `html`, may ask for confirmation, and shows
its result in the `widget` or a `popup`, on `click`, `dblclick` or, for `html`, `mouseenter`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any

# Lambda's limit for an answer is 6 MB; a widget that large would be no use.
MOST_BYTES = 1_000_000
_REMOVED = {"script", "iframe", "use", "object", "embed", "link", "meta", "base", "frame", "applet"}
_VOID = {"input", "br", "hr", "img", "col", "wbr"}
_ACTION = {
    "action": {"call", "html"},
    "display": {"popup", "widget"},
    "event": {"click", "dblclick", "mouseenter"},
}
_FREE = {"confirmation", "endpoint"}
_FUNCTION = re.compile(
    r"arn:aws[a-z-]*:lambda:[a-z0-9-]+:\d{12}:function:[A-Za-z0-9_-]{1,64}(:[A-Za-z0-9$_-]+)?"
)
_SCHEME = re.compile(r"^\s*(javascript|data|vbscript):", re.IGNORECASE)


@dataclass
class Action:
    """A `<cwdb-action>`: its attributes, what it passes, and the text of the element before it."""

    on: str
    attributes: dict[str, str]
    payload: dict[str, Any]


@dataclass(repr=False)
class Widget(HTMLParser):
    """What a widget holds, and what CloudWatch would object to."""

    html: str
    faults: list[str] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[str] = []
        # Of each level: the last element that was closed, and whether text came since.
        self._before: list[tuple[str, str]] = [("", "")]
        self._inside: list[str] = [""]
        self._select = ""
        self._action: dict[str, str] | None = None
        self._body = ""
        size = len(json.dumps(self.html).encode())
        if size > MOST_BYTES:
            self.faults.append(f"{size:,} bytes")
        if not self.html.lstrip().startswith("<"):
            self.faults.append("it is not HTML: CloudWatch would show JSON or text")
        self.feed(self.html)
        self.close()
        if self._open:
            self.faults.append(f"not closed: {self._open}")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self.tags.append(tag)
        if tag in _REMOVED:
            self.faults.append(f"<{tag}> is removed")
        self._check(tag, given)
        if tag == "cwdb-action":
            self._begin(given)
        if tag not in _VOID:
            self._open.append(tag)
            self._before.append(("", ""))
            self._inside.append("")

    def _check(self, tag: str, given: dict[str, str]) -> None:
        for name, value in given.items():
            if name.startswith("on"):
                self.faults.append(f"{name} is removed")
            if name in ("href", "src", "action", "xlink:href") and _SCHEME.match(value):
                self.faults.append(f"{name}={value} is removed")
            if name in ("src", "href") and tag != "a":
                self.faults.append(f"<{tag}> requests {value}")
        if self._action is not None:
            self.faults.append("an element in the JSON of an action")
        self._keep(tag, given)
        if tag in ("input", "select", "textarea") and (
            "form" not in self._open or "label" not in self._open or not given.get("name")
        ):
            self.faults.append(f"<{tag}> has no form, label or name")

    def _keep(self, tag: str, given: dict[str, str]) -> None:
        """The fields of forms, as CloudWatch sends them with an action."""
        if tag == "input":
            self.fields[given.get("name", "")] = given.get("value", "")
        if tag == "select":
            self._select = given.get("name", "")
            self.fields[self._select] = ""
        if tag == "option" and "selected" in given:
            self.fields[self._select] = given.get("value", "")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in _VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open[-1] != tag:
            self.faults.append(f"</{tag}> within {self._open[-3:]}")
            return
        self._open.pop()
        self._before.pop()
        inside = self._inside.pop()
        self._inside[-1] += inside
        if tag == "cwdb-action":
            self._end()
        self._before[-1] = (tag, inside.strip())

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "style":
            self._style(data)
            return
        if self._action is not None:
            self._body += data
            return
        self.texts.append(data)
        self._inside[-1] += data
        if data.strip():
            self._before[-1] = ("", "")

    def handle_comment(self, data: str) -> None:
        self.faults.append(f"a comment: {data}")

    def _style(self, text: str) -> None:
        if re.search(r"@import|url\(|expression\(", text):
            self.faults.append("the style requests something")
        # What is not scoped would restyle the console.
        plain = re.sub(r"@media[^{]*\{((?:[^{}]*\{[^{}]*\})*)\s*\}", r"\1", text)
        for selector in re.findall(r"([^{}]+)\{", plain):
            for one in selector.split(","):
                if not re.match(r"\s*\.(ad|chart)", one):
                    self.faults.append(f"the style is not scoped: {one.strip()}")

    def _begin(self, given: dict[str, str]) -> None:
        self._action, self._body = given, ""
        if not self._before[-1][0] or self._before[-1][0] == "cwdb-action":
            self.faults.append("an action without an element before it")
        for name, value in given.items():
            if name not in {*_ACTION, *_FREE} or value not in _ACTION.get(name, {value}):
                self.faults.append(f"cwdb-action {name}={value}")
        if given.get("action") == "call":
            if not _FUNCTION.fullmatch(given.get("endpoint", "")):
                self.faults.append(f"endpoint {given.get('endpoint')}")
            if given.get("event") == "mouseenter":
                self.faults.append("a call on mouseenter")

    def _end(self) -> None:
        assert self._action is not None
        # Whether CloudWatch takes the text or the HTML of the element must not matter.
        if re.search(r"[<>&]", self._body):
            self.faults.append(f"characters of HTML in the JSON of an action: {self._body}")
        try:
            payload = json.loads(self._body)
        except ValueError:
            payload = None
        if not isinstance(payload, dict):
            self.faults.append(f"no JSON in an action: {self._body}")
            payload = {}
        self.actions.append(Action(self._before[-1][1], self._action, payload))
        self._action = None

    def button(self, text: str, place: int = 0) -> Action:
        """The action of the button with this text."""
        return [one for one in self.actions if one.on == text][place]

    @property
    def text(self) -> str:
        """All text, in order."""
        return " ".join(" ".join(self.texts).split())
