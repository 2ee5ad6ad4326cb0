"""Widgets of the dashboard in CloudWatch: what they show, and what their buttons ask for."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from anomaly_detector.events.group import Cause, Part
from anomaly_detector.intervals import iso
from anomaly_detector.ledger.items import GroupItem
from anomaly_detector.lookout.group import anomaly_group, group_of
from anomaly_detector.report import console as widgets
from anomaly_detector.report.events import EventView, Small
from anomaly_detector.services import console, pressing
from markupsafe import Markup

from tests.unit.alerts_samples import group
from tests.unit.services_world import DAY, H1, TOPIC, World, document, sales
from tests.widget_rules import Widget

ARN = "arn:aws:lambda:eu-central-1:123456789012:function:shop-console"
RESPOND = "arn:aws:lambda:eu-central-1:123456789012:function:shop-respond"
PLACES = console.places(ARN, "shop")
NOW = H1 + 6 * DAY + timedelta(hours=2)
HOSTILE = "<script>alert('x')</script>\"&</style><iframe src=//e.vil>"


@pytest.fixture(scope="module")
def world() -> World:
    made = World(sales(6))
    made.upload(document(alerts={"any": {"sns_topic_arns": [TOPIC], "threshold": 40}}))
    made.activate()
    for day in range(1, 7):
        made.crawl(H1 + day * DAY, f"crawl-{day}")
    return made


def context(**changes: Any) -> dict[str, Any]:
    """What CloudWatch sends with every call."""
    span = {"mode": "relative", "start": _ms(H1), "end": _ms(NOW), "relativeStart": 1}
    return {
        "dashboardName": "shop",
        "widgetId": "widget-1",
        "accountId": "123456789012",
        "locale": "en",
        "timezone": {"label": "UTC", "offsetISO": "+00:00", "offsetInMinutes": 0},
        "period": 300,
        "isAutoPeriod": True,
        "timeRange": span,
        "theme": "light",
        "linkCharts": True,
        "title": "Events",
        "forms": {"all": {}},
        "params": {"view": "events"},
        "width": 588,
        "height": 369,
    } | changes


def _ms(moment: Any) -> int:
    return round(moment.timestamp() * 1000)


def shown(world: World, event: dict[str, Any] | None = None, **changes: Any) -> Widget:
    """The widget, which keeps CloudWatch's rules."""
    asked = {**(event or {}), "widgetContext": context(**changes)}
    html = console.answer(world.store, world.ledger, asked, PLACES, NOW)
    found = Widget(html)
    assert found.faults == []
    return found


def pressed(world: World, on: Widget, button: str, place: int = 0, **form: str) -> Widget:
    """What a button that draws the widget again shows."""
    action = on.button(button, place)
    assert action.attributes["endpoint"] == ARN
    assert action.attributes.get("display", "widget") == "widget"
    return shown(world, action.payload, forms={"all": {**on.fields, **form}})


def test_events_are_listed_with_severity_sentence_and_chart(world: World) -> None:
    found = shown(world)

    assert "of severity 40 or more in this time" in found.text
    assert "revenue down " in found.text
    assert "on mobile_app" in found.text
    assert "svg" in found.tags
    assert found.fields == {"threshold": "40", "measure": "", "days": ""}
    assert {one.on for one in found.actions} == {"Show", "Open"}


def test_the_form_narrows_the_list(world: World) -> None:
    first = shown(world)

    found = pressed(world, first, "Show", threshold="100", measure="views")

    assert "No event of severity 100 or more in this time" in found.text
    assert found.fields == {"threshold": "100", "measure": "views", "days": ""}
    found = pressed(world, first, "Show", measure="revenue")
    assert "revenue down" in found.text


def test_parameters_of_the_widget_and_the_time_of_the_dashboard_count(world: World) -> None:
    found = shown(world, params={"view": "events", "threshold": 99.5})
    assert found.fields["threshold"] == "99.5"

    early = {"start": _ms(H1 - 9 * DAY), "end": _ms(H1 - 8 * DAY)}
    found = shown(world, timeRange=early)
    assert "Nothing was found in this time." in found.text
    found = shown(world, timeRange={"start": 0, "end": 1, "zoom": early})
    assert "Nothing was found in this time." in found.text


def test_the_form_may_ask_for_other_days_than_the_dashboard_shows(world: World) -> None:
    early = {"start": _ms(H1 - 9 * DAY), "end": _ms(H1 - 8 * DAY)}
    first = shown(world, timeRange=early)

    action = first.button("Show")
    form = {"all": {**first.fields, "days": "5"}}
    found = shown(world, action.payload, timeRange=early, forms=form)

    assert "revenue down" in found.text
    assert found.fields["days"] == "5"


def test_when_none_is_severe_enough_the_closest_is_named(world: World) -> None:
    found = shown(world, {"threshold": "100"})

    assert "The closest was of severity" in found.text


def test_an_event_is_shown_whole_and_leads_back(world: World) -> None:
    found = pressed(world, shown(world), "Open")

    assert "svg" in found.tags
    assert "99 % of normal values" in found.text
    assert "Where it comes from by platform" in found.text
    assert "mobile_app" in found.text
    assert "Opened." in found.text
    assert "SQL that shows it in the warehouse SELECT" in found.text
    back = pressed(world, found, "All events")
    assert "of severity 40 or more" in back.text


def test_without_an_id_an_open_event_or_the_newest_is_shown(world: World) -> None:
    found = shown(world, params={"view": "event"})

    assert "Hold back its alerts" in found.text


def test_buttons_call_the_function_that_takes_what_people_say(world: World) -> None:
    found = shown(world, params={"view": "event"})

    for name, said in (("Yes", True), ("No", False)):
        action = found.button(name)
        assert action.attributes["endpoint"] == RESPOND
        assert action.attributes["display"] == "popup"
        assert action.payload["action"] == "feedback"
        assert action.payload["is_anomaly"] is said
    for name, days in (("For a day", 1), ("For a week", 7)):
        action = found.button(name)
        assert action.attributes["endpoint"] == RESPOND
        assert action.attributes["confirmation"].startswith("Hold back alerts on ")
        assert (action.payload["action"], action.payload["days"]) == ("mute", days)
    assert "reason" in found.fields


def test_status_says_what_is_scored_what_it_cost_and_what_is_muted(world: World) -> None:
    found = shown(world, params={"view": "status"})

    assert f"Scored until {iso(H1 + 6 * DAY)}" in found.text
    assert "State ACTIVE" in found.text
    assert "Delay 2 h 0 min" in found.text
    assert "Warehouse this month 0 s in 0 statements" in found.text
    assert "Last interval 2026-03-07 00:00 UTC, SCORED, 200 rows" in found.text


def test_what_was_learnt_is_a_table(world: World) -> None:
    found = shown(world, params={"view": "learnt"})

    assert "intervals of P1D were learnt" in found.text
    assert found.text.count("revenue") == 2
    assert "week" in found.text


def test_a_call_for_its_documentation_gets_markdown(world: World) -> None:
    found = console.answer(world.store, world.ledger, {"describe": True}, PLACES, NOW)

    assert found.startswith("## ")
    assert "``` yaml" in found
    for name in ("view", "threshold", "measure", "days", "group_id"):
        assert f"**{name}** |" in found


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_colours_are_those_of_the_theme(world: World, theme: str) -> None:
    html = console.answer(
        world.store, world.ledger, {"widgetContext": context(theme=theme)}, PLACES, NOW
    )

    assert ("--paper:#ffffff" in html) is (theme == "light")
    assert "prefers-color-scheme" not in html


@pytest.mark.parametrize(
    ("event", "words"),
    [
        ({"view": "graph"}, "view must be events, event, learnt, status; got 'graph'"),
        ({"threshold": "high"}, "threshold must be a number from 0 to 100; got 'high'"),
        ({"days": "-1"}, "days must be a number from 0 to 366; got '-1'"),
        ({"measure": "cost"}, "measure must be one of revenue, views; got 'cost'"),
        ({"view": "event", "group_id": "gone"}, "This event is gone"),
        ({"view": HOSTILE}, "view must be"),
        ({"measure": HOSTILE}, "measure must be"),
    ],
)
def test_what_is_wrong_is_a_sentence_in_the_widget(
    world: World, event: dict[str, Any], words: str
) -> None:
    assert words in shown(world, event).text


def test_an_unreadable_context_is_a_sentence_too(world: World) -> None:
    html = console.answer(
        world.store, world.ledger, {"widgetContext": {"timeRange": 5}}, PLACES, NOW
    )

    assert "widgetContext is invalid: timeRange" in Widget(html).text


def test_before_the_first_training_it_says_so() -> None:
    young = World(sales(1))
    for view in ("events", "event", "learnt"):
        assert "No configuration is in force yet" in shown(young, {"view": view}).text
    assert "State INACTIVE" in shown(young, {"view": "status"}).text


def test_hostile_names_and_values_are_text() -> None:
    small = Small(HOSTILE, Markup(), HOSTILE, HOSTILE)
    row = EventView(
        key=HOSTILE,
        sentence=HOSTILE,
        severity="80",
        is_open=True,
        measure=HOSTILE,
        start=0,
        end=1,
        found_by=((HOSTILE, HOSTILE),),
        spark=Markup(),
        facts=((HOSTILE, HOSTILE),),
        life=((HOSTILE, HOSTILE),),
        sql=HOSTILE,
        bars=(small,),
        leaves=(small,),
        related=(small,),
    )
    form = widgets.Form(HOSTILE, HOSTILE, HOSTILE, [HOSTILE])
    listed = Widget(widgets.events(PLACES, "light", form, HOSTILE, [row], left_out=HOSTILE))
    assert listed.faults == []
    assert HOSTILE in listed.text
    assert listed.button("Open").payload["group_id"] == HOSTILE
    assert listed.fields["measure"] == HOSTILE

    one = widgets.Shown(row, Markup(), HOSTILE, {HOSTILE: [HOSTILE]}, HOSTILE)
    event = Widget(widgets.event(PLACES, "dark", one))
    assert event.faults == []
    assert event.button("For a week").payload["mute"]["dimension_filters"] == {HOSTILE: [HOSTILE]}
    assert HOSTILE in event.button("For a day").attributes["confirmation"]
    # What is related and gone is told, and leads nowhere.
    gone = replace(row, related=(replace(small, key=""),))
    event = Widget(widgets.event(PLACES, "dark", replace(one, view=gone)))
    assert event.faults == []
    assert not [each for each in event.actions if each.on == HOSTILE]
    assert f"Related, and at the same time {HOSTILE} {HOSTILE}" in event.text


def test_five_hundred_events_are_listed_within_bounds() -> None:
    big = World(sales(1))
    big.upload(document())
    big.activate()
    for place in range(500):
        one = group(start=H1 - timedelta(minutes=place), severity=50 + place / 20)
        item = GroupItem(group_id=one.id, measure=one.measure, start=one.start, end=one.end)
        big.ledger.put_group(item, one)

    found = shown(big, timeRange={"start": _ms(H1 - DAY), "end": _ms(NOW)})

    assert "500 events of severity 50 or more" in found.text
    assert sum(one.on == "Open" for one in found.actions) == 50
    assert "450 events of lower severity are not listed" in found.text


def test_a_stored_group_is_read_back() -> None:
    parts = (Part({"platform": "web"}, 4.0, 9.0, -5.0, 62.5, "mix"),)
    cause = Cause(-8.0, parts, 37.5, rate=-1.25, mix=101.25)
    whole = group(kind="level", accepted=True, habit="first of the month", cause=cause)

    back = group_of(json.loads(json.dumps(anomaly_group(whole))))

    assert anomaly_group(back) == anomaly_group(whole)
    assert (back.start, back.end, back.slices) == (whole.start, whole.end, whole.slices)
    assert back.cause == cause


def press(world: World, on: Widget, button: str, **form: str) -> str:
    """What a popup shows after a button was pressed, by the function that takes it."""
    from anomaly_detector.services import documents, feedback, muting

    def answer(asked: dict[str, Any]) -> dict[str, Any]:
        config = documents.in_force(world.store, world.ledger)
        if asked["action"] == "feedback":
            said = (asked["group_id"], asked["is_anomaly"], None, asked["by"])
            return feedback.give(world.ledger, config, *said, NOW)
        if asked["action"] == "mute":
            return muting.mute(world.ledger, config, asked["mute"], asked["by"], NOW)
        return muting.unmute(world.ledger, asked["id"], NOW)

    event = {**on.button(button).payload, "widgetContext": context(forms={"all": form})}
    answered = pressing.answered(event, NOW, answer)
    assert answered.keys() == {"markdown"}
    return str(answered["markdown"])


def test_a_mute_needs_a_reason_and_ends_where_the_button_says(world: World) -> None:
    found = shown(world, params={"view": "event"})

    assert press(world, found, "For a day").startswith("**Not done.** Say why in the field Reason")
    assert world.ledger.mutes() == []

    assert press(world, found, "No").startswith("Noted as no anomaly")
    life = shown(world, params={"view": "event"}).text
    assert "Alert 'any' was sent." in life
    assert "Said to be no anomaly by dashboard shop." in life

    told = press(world, found, "For a week", reason="*Sale*\nof the year")
    assert told.startswith(
        f"Alerts are held back until {iso(NOW + 7 * DAY)}: \\*Sale\\* of the year"
    )
    (mute,) = world.ledger.mutes()
    assert (mute.end, mute.reason, mute.by) == (
        NOW + 7 * DAY,
        "*Sale*\nof the year",
        "dashboard shop",
    )
    assert mute.measures == (found.button("For a week").payload["mute"]["measures"][0],)

    status = shown(world, params={"view": "status"})
    assert "Alerts that are held back" in status.text
    assert press(world, status, "End it").startswith("The mute has ended")
    assert "Alerts that are held back" not in shown(world, params={"view": "status"}).text


def test_what_people_say_of_an_event_is_on_file(world: World) -> None:
    found = shown(world, params={"view": "event"})

    assert press(world, found, "No").startswith("Noted as no anomaly: events like it need")
    assert press(world, found, "Yes").startswith("Noted as an anomaly: its ")

    (said,) = [one for one in world.ledger.feedback() if one.undone_at is None]
    assert (said.is_anomaly, said.by) == (True, "dashboard shop")
    assert said.group_id == found.button("Yes").payload["group_id"]


def test_a_button_mutes_for_a_day_or_a_week() -> None:
    event = {"action": "mute", "days": 3_000, "mute": {}, "widgetContext": context()}

    answered = pressing.answered(event, NOW, lambda asked: asked)

    assert answered["markdown"].startswith("**Not done.** A button mutes for 1 or 7 days")


def test_only_events_of_widgets_are_presses() -> None:
    assert pressing.is_press({"widgetContext": {}})
    assert not pressing.is_press({"action": "mutes"})
    assert not pressing.is_press({"widgetContext": None})
