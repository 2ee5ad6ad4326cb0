"""Widgets in Chromium, in a page that does with them what CloudWatch does: it shows the HTML, and
sends what a button says, and what the forms hold, to the function that the button names.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from anomaly_detector.services import console, documents, muting, pressing

from tests.unit.services_world import DAY, H1, TOPIC, World, document, sales
from tests.unit.test_console import ARN, NOW, PLACES, RESPOND, context

# The default styles of CloudWatch that matter here, and what it does with an action.
HOST = """
<style>
body { margin: 0; background: BACKGROUND; font: 14px sans-serif; }
.btn { display: inline-block; border: 2px solid #0972d3; border-radius: 12px; padding: 2px 10px; }
cwdb-action { display: none; }
</style>
<div id="widget" style="width: 588px; height: 369px; overflow: auto"></div>
<dialog id="popup"></dialog>
<script>
const widget = document.getElementById("widget");
function show(html) {
  widget.innerHTML = html;
  for (const action of widget.querySelectorAll("cwdb-action")) {
    action.previousElementSibling.addEventListener("click", async () => {
      const forms = {};
      for (const field of widget.querySelectorAll("form [name]")) forms[field.name] = field.value;
      const said = await call(action.getAttribute("endpoint"), action.textContent, forms);
      if (action.getAttribute("display") === "popup") {
        document.getElementById("popup").textContent = JSON.parse(said).markdown;
        document.getElementById("popup").show();
      } else show(said);
    });
  }
}
</script>
"""


@pytest.fixture(scope="module")
def world() -> World:
    made = World(sales(6))
    made.upload(document(alerts={"any": {"sns_topic_arns": [TOPIC], "threshold": 40}}))
    made.activate()
    for day in range(1, 7):
        made.crawl(H1 + day * DAY, f"crawl-{day}")
    return made


class Host:
    """A dashboard with one widget; `faults` are what the browser complained of or requested."""

    def __init__(self, browser: Any, world: World, theme: str) -> None:
        self.world = world
        self.theme = theme
        self.faults: list[str] = []
        self.page = browser.new_page(viewport={"width": 620, "height": 420})
        self.page.on("console", lambda said: self.faults.append(said.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda request: self.faults.append(request.url))
        self.page.expose_function("call", self._call)
        background = "#161d26" if theme == "dark" else "#ffffff"
        self.page.set_content(HOST.replace("BACKGROUND", background))

    def show(self, view: str) -> Any:
        """Show a widget; returns the page."""
        self.page.evaluate("html => show(html)", self._call(ARN, json.dumps({"view": view}), {}))
        return self.page

    def _call(self, endpoint: str, payload: str, forms: dict[str, str]) -> str:
        event = json.loads(payload)
        event["widgetContext"] = context(theme=self.theme, forms={"all": forms}, params={})
        if endpoint == RESPOND:
            return json.dumps(pressing.answered(event, NOW, self._respond))
        assert endpoint == ARN
        return console.answer(self.world.store, self.world.ledger, event, PLACES, NOW)

    def _respond(self, asked: dict[str, Any]) -> dict[str, Any]:
        config = documents.in_force(self.world.store, self.world.ledger)
        return muting.mute(self.world.ledger, config, asked["mute"], asked["by"], NOW)


@pytest.fixture(params=["light", "dark"])
def host(request: pytest.FixtureRequest, browser: Any, world: World) -> Iterator[Host]:
    made = Host(browser, world, request.param)
    yield made
    made.page.close()
    assert made.faults == []


@pytest.mark.parametrize("view", ["events", "event", "learnt", "status"])
def test_a_widget_is_drawn_in_its_place(host: Host, view: str) -> None:
    page = host.show(view)

    assert page.locator(".ad").bounding_box()["width"] <= 588
    for width in (588, 320):
        page.evaluate("width => widget.style.width = width + 'px'", width)
        # What is wider is scrolled within the widget, not the dashboard.
        assert page.evaluate("document.documentElement.scrollWidth") <= 620
    assert page.evaluate("getComputedStyle(document.querySelector('.ad')).backgroundColor") == (
        "rgb(21, 24, 28)" if host.theme == "dark" else "rgb(255, 255, 255)"
    )


def test_an_event_is_opened_and_its_chart_is_seen(host: Host) -> None:
    page = host.show("events")

    page.get_by_text("Open", exact=True).click()

    page.get_by_text("Hold back its alerts").wait_for()
    box = page.locator("svg.series").bounding_box()
    assert box["width"] > 400
    assert box["height"] > 200
    assert page.locator("svg.series title").text_content().startswith("revenue down")
    page.get_by_text("All events").click()
    page.get_by_text("of severity 40 or more").wait_for()


def test_the_form_narrows_the_list(host: Host) -> None:
    page = host.show("events")

    page.get_by_label("Severity from").fill("100")
    page.get_by_label("Measure").select_option("revenue")
    page.get_by_text("Show", exact=True).click()

    page.get_by_text("No event of severity 100 or more").wait_for()
    assert page.get_by_label("Measure").input_value() == "revenue"


def test_a_mute_is_asked_for_with_its_reason(host: Host, world: World) -> None:
    page = host.show("event")

    page.get_by_text("For a day").click()
    page.get_by_text("Say why in the field Reason").wait_for()
    page.get_by_label("Reason").fill(f"Sale in {host.theme}")
    page.get_by_text("For a day").click()

    page.get_by_text("Alerts are held back until").wait_for()
    assert f"Sale in {host.theme}" in {one.reason for one in world.ledger.mutes()}
