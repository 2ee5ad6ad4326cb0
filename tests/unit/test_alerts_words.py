"""The sentence and the other forms of a message: golden files to be read, and what holds for any
event.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import pytest
from anomaly_detector.alerts import forms, words
from anomaly_detector.alerts.digest import Contents, Period, newest, of_period
from anomaly_detector.alerts.figures import change, compared, figure, percent
from anomaly_detector.alerts.life import standing
from anomaly_detector.alerts.message import (
    Message,
    Section,
    bundle,
    of_event,
    of_retraction,
    single,
)
from anomaly_detector.alerts.targets import Targets
from anomaly_detector.config import Digest, Unit
from anomaly_detector.events.group import Cause, Kind, Leaf, Part, Related
from anomaly_detector.lake import layout
from anomaly_detector.ledger.items import Told
from anomaly_detector.lookout.payload import Origin
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.unit.alerts_kinds import HOUR, NINE, document, event, samples
from tests.unit.alerts_samples import CRAWL, NO_SECRETS, NO_WEB, TOPIC, item

ORIGIN = Origin(CRAWL, "shop-results")
GOLDEN = Path(__file__).parent / "messages"
SAMPLES = samples()


def letter(name, knows=None, linked=(), now=None, **changes):
    one = SAMPLES[name] if now is None else replace(SAMPLES[name], **now)
    key = layout.event_page(one.group.id)
    holds = standing(one.config, one.config.alerts["orders"], [one.group])
    found = item(one.group, **{"holds": holds, "late": one.late, **changes})
    beside = [(each, layout.event_page(each.id)) for each in linked]
    return of_event(ORIGIN, one.config, found, one.group, key, one.asof, knows, beside)


def beside(*, is_open: bool = True) -> list[Any]:
    """Events of other measures that are told with the dip: at the same time and place, and not."""
    values: dict[str, Any] = {"is_open": is_open, "end": NINE + 4 * HOUR}
    return [
        event("dip", "views", actual=9_120.0, expected=48_400.0, severity=99.0, **values),
        event(
            "level",
            "latency",
            actual=812.5,
            expected=240.0,
            start=NINE + HOUR,
            slices=({"platform": "mobile_web", "marketplace": "us"},),
            severity=88.0,
            **values,
        ),
    ]


def messages() -> dict[str, Message]:
    found = {name: single(letter(name)) for name in SAMPLES}
    medium = Told(severity_class="medium")
    found["risen"] = single(letter("dip", medium, turn=1))
    found["resolved"] = single(letter("spike", medium, turn=2))
    found["accepted"] = single(letter("accepted", medium, turn=1))
    over = Told(severity_class="high", over=True)
    found["again"] = single(letter("dip", over, turn=3))
    # In the thread of an event that was told four hours before.
    first = {"group_id": "first", "direction": "down", "turn": 3}
    begun = over.model_copy(update={"over": False, "later": ("another/1",)})
    found["after"] = single(letter("dip", over, holds=begun, **first))
    views, latency = beside()
    low = Told(severity_class="low")
    found["linked"] = single(letter("dip", linked=[views], holds=low))
    found["linked-elsewhere"] = single(letter("dip", linked=[views, latency]))
    added = Told(severity_class="high", linked=("1/1",))
    found["linked-later"] = single(letter("dip", medium, holds=added, **first))
    ended = added.model_copy(update={"over": True})
    over_by_now = {
        "group": replace(SAMPLES["dip"].group, state="CLOSED", end=NINE + 4 * HOUR),
        "asof": NINE + 5 * HOUR,
    }
    found["linked-ended"] = single(
        letter("dip", added, beside(is_open=False)[:1], over_by_now, holds=ended, turn=2)
    )
    void = [item(one, retracted=True) for one in (SAMPLES["dip"].group, views)]
    found["linked-retraction"] = single(
        of_retraction(ORIGIN, document(), void[0], NINE + 4 * HOUR, void[1:])
    )
    gone = item(SAMPLES["dip"].group, retracted=True)
    found["retraction"] = single(of_retraction(ORIGIN, document(), gone, NINE + 4 * HOUR))
    period = Period(NINE - timedelta(days=1), NINE)
    small = [SAMPLES[name].group for name in ("ramp", "stuck")]
    contents = Contents(small, [SAMPLES["dip"].group], missing=2, failed=1)
    found["digest"] = of_period(ORIGIN, document(), "orders", period, contents)
    nothing = Contents([], [], missing=0, failed=0)
    found["digest-of-nothing"] = of_period(ORIGIN, document(), "orders", period, nothing)
    several = [letter(name) for name in ("level", "dip", "ramp", "bound")]
    found["bundle"] = bundle(ORIGIN, document(), "orders", "one", several)
    return found


MESSAGES = messages()


def of_forms(message: Message) -> dict[str, str]:
    whole = forms.webhook(message)
    # What is above already.
    assert (whole.pop("longText"), whole.pop("alert")) == (message.text, json.loads(message.body))
    found = {
        "JSON": json.loads(message.body),
        "Slack": forms.slack(message),
        "Teams": forms.teams(message),
        "PagerDuty": forms.pagerduty(message, "<routing key>"),
        "webhook, and event bus": {"detail-type": forms.event_type(message)} | whole,
    }
    return {
        "subject": message.subject,
        "text message": message.short,
        "e-mail": message.text,
        **{name: json.dumps(one, ensure_ascii=False, indent=1) for name, one in found.items()},
    }


@pytest.mark.parametrize("name", MESSAGES)
def test_each_kind_of_event_is_told_as_in_its_golden_file(
    name: str, request: pytest.FixtureRequest
) -> None:
    told = "\n".join(f"==== {key}\n{text}" for key, text in of_forms(MESSAGES[name]).items()) + "\n"
    path = GOLDEN / f"{name}.txt"
    if request.config.getoption("update"):
        path.write_text(told, encoding="utf-8")
    assert told == path.read_text(encoding="utf-8")


def test_there_is_no_golden_file_of_nothing() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == MESSAGES.keys()
    assert len(SAMPLES) >= 12


def test_the_sentence_is_that_of_the_founders() -> None:
    one = SAMPLES["dip"]
    assert words.headline(one.config, one.group, one.asof) == (
        "shop: revenue down 84 % on mobile_web since 09:00, 1,055 instead of 6,547"
    )


@pytest.mark.parametrize("name", MESSAGES)
def test_every_form_is_in_its_limits(name: str) -> None:
    message = MESSAGES[name]
    assert len(message.subject) <= 100
    assert message.subject.isascii()
    assert message.subject.isprintable()
    assert len(message.short) < 160
    assert "\n" not in message.short
    assert len(json.dumps(forms.teams(message)).encode()) <= 28_000
    blocks = forms.slack(message)["blocks"]
    assert len(blocks) <= 50
    assert all(len(one["text"]["text"]) <= 150 for one in blocks if one["type"] == "header")
    assert len(forms.pagerduty(message, "")["dedup_key"]) <= 255
    assert len(json.dumps(forms.teams(message)).encode()) <= 28_000
    blocks = forms.slack(message)["blocks"]
    assert len(blocks) <= 50
    assert all(len(one["text"]["text"]) <= 150 for one in blocks if one["type"] == "header")
    assert len(forms.pagerduty(message, "")["dedup_key"]) <= 255
    assert not re.search("[\u202a-\u202e\u2066-\u2069\r]", message.short + message.text)


def test_nothing_that_a_name_says_is_markup_at_a_target() -> None:
    message = MESSAGES["hostile"]
    slack = forms.slack(message)
    # The only text with markup; all others are plain.
    assert "<" not in slack["text"]
    assert set(_values_of(slack["blocks"], "type")) <= {
        *("header", "section", "actions", "button", "context", "plain_text")
    }
    (card,) = forms.teams(message)["attachments"]
    assert set(_values_of(card["content"]["body"], "type")) == {"RichTextBlock", "TextRun"}


def _values_of(value: object, key: str) -> list[object]:
    if isinstance(value, dict):
        own = [value[key]] if key in value else []
        return own + [found for one in value.values() for found in _values_of(one, key)]
    if isinstance(value, list):
        return [found for one in value for found in _values_of(one, key)]
    return []


def test_what_comes_after_an_event_is_in_its_thread_under_its_own_name() -> None:
    first, after = MESSAGES["dip"], MESSAGES["after"]
    own = first.event.rpartition("/")[2]
    assert json.loads(after.body)["anomalyGroupId"] == own
    assert after.id == f"{first.event}/after/first/ongoing/3"
    thread = first.event.replace(own, "first")
    assert after.event == thread
    assert forms.pagerduty(after, "key")["dedup_key"] == thread
    assert forms.pagerduty(after, "key")["event_action"] == "trigger"
    assert after.line.startswith("shop: again: revenue down 84 %")
    for over, direction in [(False, "down"), (True, "up")]:
        changes = {"group_id": "first", "direction": direction, "holds": Told(later=("another/1",))}
        also = single(letter("dip", Told(over=over), **changes))
        assert also.line.startswith("shop: also: revenue down 84 %")


def test_what_is_told_with_an_event_in_the_same_measure_is_named_by_its_place() -> None:
    config, first = document(), SAMPLES["dip"].group
    beside = replace(first, id="beside", slices=({"platform": "pc_web"},))
    views = replace(beside, id="views", measure="views")
    for told, also in [([beside], "on pc_web"), ([views], "views")]:
        assert words.sentence_of_all(config, first, told, brief=True).endswith(f"; also {also}")
    line = words.sentence_of_all(config, first, [beside])
    assert "; revenue down 84 % on pc_web" in line


def test_a_card_of_teams_that_is_too_large_loses_lines_not_figures() -> None:
    long = Section("Most affected", tuple(f"{place} {'x' * 400}" for place in range(200)))
    message = replace(MESSAGES["dip"], sections=(long, long))
    card = json.dumps(forms.teams(message))
    assert len(card.encode()) <= 28_000
    assert all(value in card for _, value in message.facts)


def test_an_incident_of_pagerduty_that_is_too_large_loses_its_details() -> None:
    long = Section("Most affected", ("x" * 500_000,))
    event = forms.pagerduty(replace(MESSAGES["dip"], sections=(long,)), "key")
    assert event["payload"]["summary"] == MESSAGES["dip"].line
    assert len(json.dumps(event)) < 512_000


names = st.text(min_size=1, max_size=300)
values = st.floats(allow_nan=False, allow_infinity=False)


@given(names, names, st.none() | values, values)
def test_any_name_and_value_can_be_said(measure, value, actual, expected) -> None:
    if measure.strip() in ("", "*") or len(measure) > 127:
        measure = "m"
    config = document(measures={measure: {}}, dimensions=["platform"], alerts={})
    group = event("dip", measure, actual=actual, expected=expected, slices=({"platform": value},))
    for limit in (40, 6):
        line = words.headline(config, group, names=limit)
        assert line.startswith("shop: ")
        assert not any(unicodedata.category(sign) in ("Cc", "Zl", "Zp", "Cs") for sign in line)

    def say(*, names: int = 40, brief: bool = False) -> str:
        return words.headline(config, group, names=names, brief=brief)

    short = words.shortened(say, 100, ascii_only=True)
    assert len(short) <= 100
    assert short.isascii()


signs = st.sampled_from(
    [
        "a",
        '"',
        "\\",
        "\n",
        "\t",
        "<",
        "&",
        "*",
        "`",
        "|",
        "\u202e",
        "\x00",
        "\u2028",
        "é",
        "日",
        "🧨",
    ]
)


def _long(sign: str, size: int) -> str:
    return (sign * size)[:size]


# Control characters take the most bytes in JSON.
@example(["\x00"] * 2 + ["a"] * 8, 2, None, 0.0, "spike", None, 0)
@settings(max_examples=60, deadline=None)
@given(
    st.lists(signs, min_size=10, max_size=10),
    st.integers(1, 10),
    st.none() | values,
    values,
    st.sampled_from(get_args(Kind)),
    st.sampled_from([None, *get_args(Unit)]),
    st.integers(0, 200),
)
def test_any_event_is_in_the_limits_of_every_form(
    of_values, size, actual, expected, kind, unit, leaves
) -> None:
    # given as many dimensions as there may be, with values of 256 characters that are all alike
    dimensions = [f"d{place}{_long(sign, 100)}" for place, sign in enumerate(of_values[:size])]
    value = dict(zip(dimensions, [_long(sign, 256) for sign in of_values], strict=False))
    config = document(
        measures={"m": {} if unit is None else {"unit": unit}},
        dimensions=dimensions,
        query="SELECT '" + _long(of_values[0], 9_000) + "' {{ window_start }} {{ window_end }}",
    )
    of_leaves = tuple(
        Leaf(tuple(value.values()), actual or 0.0, expected, actual or 0.0) for _ in range(leaves)
    )
    part = Part(value, actual or 0.0, expected, expected, 50.0)
    related = Related("m", "1", "CAUSE_OF_INPUT_ANOMALY_GROUP", 60.0, 1, 3, 4, now=True)
    found = event(
        kind,
        "m",
        actual=actual,
        expected=expected,
        slices=(value,) * 8,
        leaves=of_leaves,
        contributions={name: {f"{one}{n}": 1.0 for n in range(90)} for name, one in value.items()},
        cause=Cause(expected, (part,) * 8, 50.0),
        related=(related,) * 8,
    )
    letter = of_event(ORIGIN, config, item(found), found, "key", NINE + HOUR)
    messages = [single(letter), bundle(ORIGIN, config, "orders", "one", [letter] * 60)]
    # when it is told in each form
    for message in messages:
        _assert_sendable(message)


class _Sns:
    def publish(self, **request: Any) -> None:
        self.request = request


def _assert_sendable(message: Message) -> None:
    """Limits of the services, in bytes where they count those."""
    sns = _Sns()
    Targets(lambda *_: sns, NO_SECRETS, NO_WEB).send(TOPIC, message)
    assert len(sns.request["Message"].encode()) <= 256 * 1024 - 1_000
    told = json.loads(sns.request["Message"])
    assert len(told["sms"]) < 160
    assert len(sns.request["Subject"]) <= 100
    assert sns.request["Subject"].isascii()
    assert json.loads(told["default"], parse_constant=_refuse)
    detail = json.dumps(forms.webhook(message), ensure_ascii=False, allow_nan=False)
    assert len(detail.encode()) <= 256 * 1024 - 1_000
    assert len(json.dumps(forms.teams(message), ensure_ascii=False).encode()) <= 28_000
    slack = forms.slack(message)
    assert len(slack["blocks"]) <= 50
    assert all(len(one) <= 3_000 for one in _values_of(slack, "text") if isinstance(one, str))
    incident = forms.pagerduty(message, "key")
    assert len(json.dumps(incident, ensure_ascii=False).encode()) <= 512_000
    assert len(incident["payload"]["summary"]) <= 1_024
    shown = message.short + message.line + "".join(value for _, value in message.facts)
    assert not any(unicodedata.category(one) in ("Cc", "Zl", "Zp", "Cs") for one in shown)
    assert "inf" not in shown
    assert "nan" not in shown


def _refuse(name: str) -> None:
    raise AssertionError(name)


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (1055.0, None, "1,055"),
        (1_204_882.4, None, "1,204,882"),
        (650.25, None, "650.2"),
        (12.5, None, "12.5"),
        (0.0, None, "0"),
        (-0.00001, None, "-0.00001"),
        (1e-9, None, "1e-09"),
        (-3e18, None, "-3e+18"),
        (3512.4, "count", "3,512"),
        (12.4, "count", "12"),
        (3.4, "count", "3.4"),
        (0.0614, "share", "6.14 %"),
        (1.0, "share", "100 %"),
        (1.7e308, "share", "1.7e+308"),
        (None, None, "nothing"),
    ],
)
def test_figures(value, unit, expected) -> None:
    assert figure(value, unit) == expected


@pytest.mark.parametrize(
    ("actual", "expected", "size", "signed", "both"),
    [
        (1055.0, 6547.0, "84 %", "-84 %", "1,055 instead of 6,547"),
        (12.5, 12.497, "0.024 %", "+0.024 %", "12.5 instead of 12.497"),
        (0.4, 1000.0, "99.9 %", "-99.9 %", "0.4 instead of 1,000"),
        (0.0, 1000.0, "100 %", "-100 %", "0 instead of 1,000"),
        (48_210.0, 3_512.4, "1,273 %", "+1,273 %", "48,210 instead of 3,512"),
        (1e9, 1.0, "over 10,000 %", "over +10,000 %", "1,000,000,000 instead of 1"),
        (-300.0, -100.0, "200 %", "-200 %", "-300 instead of -100"),
        (1.0, 0.0, None, "new", "1 instead of 0"),
        (0.0, 0.0, None, None, "0 instead of 0"),
        (None, 5.0, None, None, "5 expected"),
    ],
)
def test_changes(actual, expected, size, signed, both) -> None:
    assert percent(actual, expected) == size
    assert change(actual, expected) == signed
    assert compared(actual, expected) == both


BERLIN = document(timezone="Europe/Berlin")


@pytest.mark.parametrize(
    ("hours", "is_open", "asof", "expected"),
    [
        ((9, 10), True, 11, "since 10:00"),
        ((9, 10), True, None, "since 5 Jan 2026 10:00"),
        ((9, 10), True, 48, "since 5 Jan 10:00"),
        ((9, 11), False, 12, "from 10:00 to 12:00"),
        ((9, 11), False, 48, "on 5 Jan from 10:00 to 12:00"),
        ((9, 23), False, 48, "on 5 Jan from 10:00 to 24:00"),
        ((9, 30), False, 48, "from 5 Jan 10:00 to 6 Jan 07:00"),
        ((-120, 30), False, 48, "from 31 Dec 2025 01:00 to 6 Jan 07:00"),
    ],
)
def test_times_are_said_in_the_detectors_zone(hours, is_open, asof, expected) -> None:
    start, end = (NINE.replace(hour=0) + hour * HOUR for hour in hours)
    told = None if asof is None else NINE.replace(hour=0) + asof * HOUR
    assert words.time(BERLIN, start, end, is_open=is_open, asof=told) == expected


@pytest.mark.parametrize(
    ("interval", "days", "is_open", "expected"),
    [
        ("P1D", (0, 1), True, "since 5 Jan"),
        ("P1D", (0, 1), False, "on 5 Jan"),
        ("P1D", (0, 3), False, "from 5 Jan to 7 Jan"),
        ("P1W", (0, 7), True, "since the week of 5 Jan"),
        ("P1W", (0, 7), False, "in the week of 5 Jan"),
        ("P1W", (0, 21), False, "from the week of 5 Jan to that of 19 Jan"),
        ("P1M", (-4, 27), True, "since Jan 2026"),
        ("P1M", (-4, 27), False, "in Jan 2026"),
        ("P1M", (-4, 55), False, "from Jan 2026 to Feb 2026"),
    ],
)
def test_whole_days_are_said_without_a_clock(interval, days, is_open, expected) -> None:
    monday = datetime(2026, 1, 5, tzinfo=UTC)
    start, end = (monday + timedelta(days=day) for day in days)
    config = document(interval=interval)
    assert words.time(config, start, end, is_open=is_open, asof=monday) == expected


@pytest.mark.parametrize(
    ("every", "until", "begin", "end"),
    [
        # Berlin is an hour ahead of UTC in winter, two in summer.
        ("day", "2026-01-07T06:59", "2026-01-05T07:00", "2026-01-06T07:00"),
        ("day", "2026-01-07T07:00", "2026-01-06T07:00", "2026-01-07T07:00"),
        ("day", "2026-03-29T10:00", "2026-03-28T07:00", "2026-03-29T06:00"),
        ("week", "2026-01-07T07:00", "2025-12-29T07:00", "2026-01-05T07:00"),
        ("week", "2026-01-05T06:59", "2025-12-22T07:00", "2025-12-29T07:00"),
        ("week", "2026-01-05T07:00", "2025-12-29T07:00", "2026-01-05T07:00"),
    ],
)
def test_a_digest_is_of_the_newest_day_or_week_that_has_ended(every, until, begin, end) -> None:
    digest = Digest(every=every, hour=8)
    moments = [datetime.fromisoformat(one).replace(tzinfo=UTC) for one in (until, begin, end)]
    assert newest(BERLIN, digest, moments[0]) == Period(*moments[1:])


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (7_200, "2 hours"),
        (86_400, "1 day"),
        (300, "5 minutes"),
        (90_000, "25 hours"),
        (1, "1 second"),
    ],
)
def test_a_length_of_time_is_said_in_its_largest_whole_unit(seconds, expected) -> None:
    assert words.lasting(seconds) == expected


def test_a_value_that_says_nothing_by_itself_is_said_with_its_dimension() -> None:
    config = document()
    for value, said in [
        ("7", "platform 7"),
        ("true", "platform true"),
        ("(null)", "platform (null)"),
        ("", "platform (empty)"),
        ("us", "us"),
        ("\n", "platform (empty)"),
    ]:
        assert words.where(config, [{"platform": value}]) == f"on {said}"


def test_a_bundle_keeps_the_most_severe_and_counts_the_rest() -> None:
    one = SAMPLES["dip"]
    many = []
    for place in range(80):
        group = event("dip", actual=1.0, expected=9.0, severity=50 + place / 2)
        many.append(of_event(ORIGIN, one.config, item(group), group, "key", one.asof))
    message = bundle(ORIGIN, one.config, "orders", "one", many)
    assert message.subject.startswith("shop: 80 events, the most severe: revenue down 89 %")
    assert message.text.count("\n- ") == 51
    assert "- and 30 more" in message.text
    found = json.loads(message.body)
    assert found["count"] == 80
    assert found["alerts"][0]["anomalyScore"] == 89.5
