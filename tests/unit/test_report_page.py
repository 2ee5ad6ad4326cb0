"""The page: all it promises is on it, within its budget, and nothing of users' data runs."""

from __future__ import annotations

import base64
import hashlib
import struct
from dataclasses import replace
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from anomaly_detector.config import ROLLED_UP
from anomaly_detector.events.group import Cause, Part, Related
from anomaly_detector.lookout.group import anomaly_group, group_item, group_of
from anomaly_detector.panel import Panel
from anomaly_detector.report import explorer
from anomaly_detector.report.charts import Span
from anomaly_detector.report.content import Quality, Said, Status, empty_spans
from anomaly_detector.report.page import event_page, page, void_page

from tests.unit.report_pages import BEGIN, HOSTILE, HOUR, Read, config, content, group, learnt

DAY = timedelta(days=1)
NAMED = f"revenue {HOSTILE}"
EVENT = group(1, where={"platform": "app"})
OPEN = group(2, measure="latency", start=330, hours=6, severity=60, state="OPEN", where={})


@pytest.fixture(scope="module")
def whole() -> Read:
    return Read(page(content([EVENT, OPEN], missing=(100, 101, 102))))


# What it holds


def test_given_events_when_shown_then_open_ones_first_and_the_state_in_words(whole):
    links = [one["href"] for one in whole.all("a") if "#event=" in (one["href"] or "")]
    assert links[:2] == [f"#event={OPEN.id}", f"#event={EVENT.id}"]
    assert "1 event open . Watched from Sun 1 Nov 2026, 01:00 until Sun 15 Nov" in whole.text


def test_given_an_event_when_shown_then_sentence_facts_life_sql_and_link(whole):
    assert "revenue down 90 % on app on 9 Nov 2026 from 09:00 to 12:00, 300 instead of 3,000" in (
        whole.text
    )
    assert {"id": f"event={EVENT.id}"}.items() <= whole.all("article")[1].items()
    for told in ("Opened.", "Furthest from what was expected:", "Ended.", "Still open"):
        assert told in whole.text
    assert "GROUP BY interval_start" in whole.text
    assert "-90 % (-2,700)" in whole.text


def test_given_an_event_when_shown_then_where_it_comes_from_and_the_leaves_that_matter(whole):
    assert "Where it comes from" in whole.text
    assert "by platform" in whole.text
    assert "app / de" in whole.text
    assert "app / fr" in whole.text
    assert "web / de instead" not in whole.text


def test_given_events_at_the_same_time_when_shown_then_each_names_the_other():
    other = group(3, measure="latency", start=201, where={"platform": "app"})
    far = group(4, measure="latency", start=50, where={"platform": "app"})

    found = Read(page(content([EVENT, other, far])))

    places = [at for at, (tag, _) in enumerate(found.elements) if tag == "article"]
    first = [one for tag, one in found.elements[places[0] : places[1]] if tag == "a"]
    assert f"#event={other.id}" in [one["href"] for one in first]
    assert f"#event={far.id}" not in [one["href"] for one in first]


def test_given_related_events_and_a_cause_when_shown_then_how_and_how_much():
    other = group(3, measure="latency", start=198, where={"platform": "app"})
    cause: Any = "CAUSE_OF_INPUT_ANOMALY_GROUP"
    effect: Any = "EFFECT_OF_INPUT_ANOMALY_GROUP"
    linked = replace(
        EVENT,
        related=(
            Related("latency", other.id, cause, 40.0, 7200, 5, 6, now=True),
            Related("latency", "gone", effect, 12.0, -600, 0, 0, now=False),
        ),
        cause=Cause(
            -2700.0,
            (
                Part({"platform": "app", "market": "de"}, 100.0, 2000.0, -1900.0, 70.0),
                Part({"platform": "app", "market": "fr"}, 200.0, 900.0, -700.0, 26.0),
            ),
            4.0,
        ),
    )

    text = Read(page(content([linked, other]))).text

    assert "may be a cause, of up to 40 % of it; began 2 h earlier; likewise in 5 of 6 earlier" in (
        text
    )
    assert "may be an effect, to which this gave up to 12 %; began 10 min later; only a habit" in (
        text
    )
    assert "platform app, market de 100 instead of 2,000 70 %" in text
    assert "the rest 4 %" in text


def test_given_no_event_when_shown_then_a_sentence_says_so_and_what_came_closest():
    found = content()
    values = found.stored.values.copy()
    place = found.stored.index["revenue", ("web", "fr")]
    values[0, place, 40] = 1.5 * values[1, place, 40]

    text = Read(page(replace(found, stored=replace(found.stored, values=values)))).text

    assert "No event in 14 days; the closest to one was revenue, web / fr, on Mon 2 Nov" in text
    assert "No event is open" in text


def test_given_missing_intervals_when_shown_then_the_times_and_the_counts():
    found = content(missing=(100, 101))
    spans = empty_spans(
        [BEGIN + n * HOUR for n in range(5)], BEGIN + 5 * HOUR, [True, False, False, True, False]
    )
    assert spans == [Span(BEGIN + HOUR, BEGIN + 3 * HOUR), Span(BEGIN + 4 * HOUR, BEGIN + 5 * HOUR)]
    quality = Quality(336, 334, empty=spans, revised=3, rows=99, notes=("2 rows ignored.",))

    text = Read(page(replace(found, quality=quality))).text

    assert "on 1 Nov 2026 from 02:00 to 04:00" in text
    assert "scored again, late rows 3" in text
    assert "2 rows ignored." in text


def test_given_a_deployed_detector_when_shown_then_its_state_next_look_and_delay():
    status = Status(
        "active", next_look=BEGIN + timedelta(days=14, hours=1, minutes=5), delay=5400.0
    )

    text = Read(page(content([EVENT], status=status))).text

    assert "the detector is active" in text
    assert "next look Sun 15 Nov 2026, 02:05" in text
    assert "1 h 30 min delay of the data" in text


def test_given_what_was_learnt_when_shown_then_a_row_a_class_and_pictures_of_the_seasons():
    found = Read(page(content(training=[learnt(dimensions=["platform"], series=2, level=None)])))

    assert "revenue in total 1 4,000 day and week 2.4 %" in found.text
    assert "revenue by platform 2 – day and week" in found.text
    assert "revenue: a day" in found.text
    assert "revenue: a week" in found.text


def test_given_a_recommendation_when_shown_then_it_is_said_with_the_strongest_events():
    advice = {
        "messages_per_week": 1.0,
        "threshold": 62,
        "expected_per_week": 0.5,
        "strongest": [
            {"id": EVENT.id, "severity": 90.0, "event": "revenue down"},
            {"id": "of-another-page", "severity": 88.3, "event": f"latency {HOSTILE}"},
        ],
    }

    found = Read(page(replace(content([EVENT]), advice=advice)))

    assert (
        "For at most 1 a week (messages_per_week), set the threshold of alerts to 62: 0.5 a week in"
        in found.text
    )
    assert "The strongest events of that time: 90 revenue down 88.3 latency" in found.text
    links = [one["href"] for one in found.all("a")]
    assert links.count(f"#event={EVENT.id}") == 3
    assert not [one for one in links if "of-another-page" in str(one)]


def test_given_what_people_said_when_shown_then_who_what_and_the_event_it_is_about():
    said = [
        Said(BEGIN + 300 * HOUR, "No anomaly:", "as it was then", f"by {HOSTILE}", EVENT.id),
        Said(BEGIN + 200 * HOUR, "Anomaly:", "revenue up on web", "by alice", "of-another-page"),
        Said(BEGIN, "No alerts on", "latency", "until Sun 15 Nov 2026, 01:00; a move"),
    ]
    found = content([EVENT])

    text = Read(page(replace(found, said=said))).text

    assert "What people said Fri 13 Nov 2026, 13:00 No anomaly: revenue down 90 % on app" in text
    assert "Anomaly: revenue up on web by alice" in text
    assert "No alerts on latency until Sun 15 Nov 2026, 01:00; a move" in text
    assert "Nobody has said yet" in Read(page(replace(found, said=()))).text
    assert "said" not in {one["id"] for one in Read(page(found)).all("section") if "id" in one}


def test_given_an_event_that_grows_when_shown_then_its_life_says_when_and_to_how_many_slices():
    found = content([EVENT])
    anomalous = found.stored.anomalous.copy()
    anomalous[found.stored.index["revenue", ("app", "fr")], 200] = False

    text = Read(page(replace(found, stored=replace(found.stored, anomalous=anomalous)))).text

    assert "Mon 9 Nov 2026, 10:00 Grown to 2 finest slices, from 1." in text


def test_given_a_severity_when_shown_then_never_more_than_it_is():
    found = Read(page(content([replace(EVENT, severity=93.97), replace(OPEN, severity=100.0)])))

    assert [one["data-severity"] for one in found.all("li") if "data-severity" in one] == [
        "100",
        "93.9",
    ]
    assert "93.9 of 100" in found.text


def test_given_a_day_before_the_time_of_the_page_when_shown_then_for_its_events_alone():
    found = content()
    values = found.stored.values.copy()
    place = found.stored.index["revenue", ("web", "fr")]
    values[0, place, 40] = 1.5 * values[1, place, 40]
    values[0, place, 80] = 1.2 * values[1, place, 80]
    later = Span(BEGIN + 3 * DAY, found.watched.end)
    stored = replace(found.stored, values=values)

    text = Read(page(replace(found, stored=stored, watched=later))).text

    assert "the closest to one was revenue, web / fr, on Wed 4 Nov" in text


def test_given_whole_days_when_shown_then_ends_are_the_last_day():
    found = content([replace(EVENT, start=BEGIN + 3 * DAY, end=BEGIN + 5 * DAY)])
    chosen = config(interval="P1D", timezone="UTC")
    quality = Quality(14, 12, empty=[Span(BEGIN + DAY, BEGIN + 3 * DAY)])

    text = Read(page(replace(found, config=chosen, quality=quality))).text

    assert "Watched from Sun 1 Nov 2026 until Sat 14 Nov 2026" in text
    assert "from 2 Nov 2026 to 3 Nov 2026" in text
    assert "on app from 4 Nov 2026 to 5 Nov 2026" in text
    assert "Thu 5 Nov 2026 Ended." in text


def test_given_values_before_when_put_first_then_nothing_was_expected_of_them():
    stored = content([EVENT], days=2).stored
    begin = stored.edges[0]
    panel = Panel(
        starts=begin + np.arange(-3, 0) * np.timedelta64(3600, "s"),
        dimensions=stored.dimensions,
        slices=np.array([("app", ROLLED_UP), ("gone", "de")], dtype=object),
        measures=("latency", "revenue"),
        values=np.arange(12.0).reshape(3, 2, 2),
        counts=np.ones((3, 2, 2)),
    )

    found = stored.after(panel)

    place = stored.index["revenue", ("app", ROLLED_UP)]
    assert found.edges.tolist()[3:] == stored.edges.tolist()
    assert found.values[0, place, :3].tolist() == [2.0, 6.0, 10.0]
    assert np.isnan(found.values[1:, :, :3]).all()
    assert np.isnan(found.values[0, found.index["revenue", ("web", "de")], :3]).all()
    assert np.array_equal(found.values[:, :, 3:], stored.values, equal_nan=True)
    assert np.array_equal(found.anomalous[:, 3:], stored.anomalous)
    assert not found.anomalous[:, :3].any()
    assert stored.after(panel.cut(0, 0)) is stored


def test_given_an_alert_when_shown_then_the_slider_begins_at_its_threshold():
    alerts = {"mine": {"threshold": 72, "sns_topic_arns": ["arn:aws:sns:eu-west-1:123456789012:t"]}}

    found = Read(page(content([EVENT], chosen=config(alerts=alerts))))

    [slider] = found.all("input", id="threshold")
    assert slider["value"] == "72"


@pytest.mark.parametrize("dimensions", [[], ["platform"]])
@pytest.mark.parametrize("interval", ["P1D", "P1M", "PT5M"])
def test_given_other_detectors_when_shown_then_the_page_is_whole(dimensions, interval):
    chosen = config(dimensions=dimensions, interval="PT1H")
    found = content([group(1, contributions={})], chosen=chosen)
    if interval != "PT1H":
        # Nothing is stored on this grid, as after a change of the interval.
        chosen = config(dimensions=dimensions, interval=interval)
        table = found.stored
        found = replace(found, config=chosen, stored=replace(table, dimensions=tuple(dimensions)))

    assert "</html>" in page(found)


def test_given_no_scores_when_shown_then_the_page_says_that_nothing_is_stored():
    found = content([EVENT])
    empty = replace(
        found.stored,
        names=(),
        values=found.stored.values[:, :0],
        anomalous=found.stored.anomalous[:0],
    )

    text = Read(page(replace(found, stored=empty))).text

    assert "The series of this event are not stored for this time." in text


# Its budget


def test_given_more_series_than_the_budget_when_shown_then_the_rest_is_left_out_and_told():
    found = Read(page(content([EVENT], values={"market": [f"m{n}" for n in range(30)]}),
                      series_bytes=60_000))  # fmt: skip

    held = found.data["series"]
    assert 5 < len(held) < 20
    assert f"This page holds {len(held)} of 186 series" in found.text
    # Those of the event, then the widest.
    values = [one["values"] for one in found.data["dimensions"]]
    first = held[0]["s"]
    assert (values[0][first[0]], first[1]) == ("app", -1)
    assert [-1, -1] in [one["s"] for one in held[1:3]]


def test_given_more_pictures_than_the_budget_when_shown_then_the_worst_are_drawn_and_it_is_told():
    many = [group(n, start=100 + n, severity=50 + n, where={"platform": "app"}) for n in range(9)]

    found = Read(page(content(many), picture_bytes=40_000))

    charts = [one for one in found.all("svg") if one["class"] == "chart series"]
    assert 0 < len(charts) < 9 * 3
    assert "are left out: those of the others, open and severe ones first" in found.text
    assert len(found.all("article")) == 9


def test_given_series_when_packed_then_they_unpack_to_what_was_stored(whole):
    stored = content([EVENT, OPEN], missing=(100, 101, 102)).stored
    data = whole.data
    for one in data["series"]:
        values = [
            ROLLED_UP if value < 0 else dimension["values"][value]
            for value, dimension in zip(one["s"], data["dimensions"], strict=True)
        ]
        place = stored.index[data["measures"][one["m"]]["name"], tuple(values)]
        size = len(stored.edges) - 1
        steps = np.array(struct.unpack(f"<{4 * size}H", base64.b64decode(one["v"])))
        found = one["l"] + (one["h"] - one["l"]) * steps / 65_534
        found[steps == 65_535] = np.nan
        span = one["h"] - one["l"]
        assert np.allclose(
            found.reshape(4, size), stored.values[:, place], atol=span / 65_000, equal_nan=True
        )
        assert one["a"] == np.flatnonzero(stored.anomalous[place]).tolist()
    assert len(data["edges"]) == 14 * 24 + 1


# Its safety


def test_given_a_page_when_read_then_its_policy_lets_its_own_scripts_run_and_nothing_else(whole):
    [policy] = [one["content"] for one in whole.all("meta") if "http-equiv" in one]
    rules = dict(rule.strip().split(" ", 1) for rule in str(policy).split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["base-uri"] == rules["form-action"] == "'none'"

    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    first, _, last = whole.scripts
    assert rules["style-src"] == digest(whole.styles[0])
    assert rules["script-src"].split(" ") == [digest(first), digest(last)]
    for tag, attributes in whole.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "style"], tag
        for name in ("href", "src", "action", "srcset", "xlink:href"):
            assert (attributes.get(name) or "#").startswith("#"), (tag, attributes)


@pytest.mark.parametrize("single", [False, True])
def test_given_hostile_names_when_shown_then_they_are_texts_everywhere(single):
    chosen = config(
        measures={NAMED: {}, "latency": {"aggregation": "AVG"}},
        dimensions=[HOSTILE[:100], "market"],
    )
    hostile = group(
        1,
        measure=NAMED,
        where={HOSTILE[:100]: HOSTILE},
        contributions={HOSTILE[:100]: {HOSTILE: 100.0}},
    )
    found = content(
        [hostile],
        chosen=chosen,
        values={HOSTILE[:100]: [HOSTILE, "web"]},
        training=[learnt(measure=NAMED, dimensions=[HOSTILE[:100]])],
    )
    found = replace(found, quality=Quality(1, 1, notes=(HOSTILE,)), source=HOSTILE)

    text = event_page(found, hostile) if single else page(found)

    read = Read(text)
    assert len(read.scripts) == 3
    assert not read.all("img")
    assert "49" not in read.texts
    assert "alert(" not in read.scripts[0] + read.scripts[2]
    assert HOSTILE in {value for one in read.data["dimensions"] for value in one["values"]}


def test_given_an_event_of_its_own_page_when_shown_then_that_event_and_its_series_alone():
    found = content([EVENT, OPEN], values={"market": [f"m{n}" for n in range(300)]})

    read = Read(event_page(found, EVENT))

    assert len(read.all("article")) == 1
    assert not read.all("input", id="threshold")
    assert len(read.data["series"]) < 110


def test_given_a_void_event_when_shown_then_one_sentence():
    text = Read(void_page(config(), "revenue on 9 Nov is no event any more")).text

    assert "revenue on 9 Nov is no event any more" in text


# Its sources


def test_given_a_stored_group_when_read_then_it_is_the_group_without_its_points():
    assert group_of(anomaly_group(EVENT)) == EVENT
    assert group_of(group_item(OPEN)) == OPEN


def test_given_several_slices_when_shown_together_then_sums_add_and_means_are_between():
    stored = content([EVENT]).stored
    places = [stored.index["revenue", (name, ROLLED_UP)] for name in ("app", "web")]

    both = stored.together(places, summed=True)
    mean = stored.together(places, summed=False)

    actual = stored.values[0, places]
    assert np.allclose(both.actual, actual.sum(axis=0))
    assert np.allclose(mean.actual, actual.mean(axis=0))
    assert (both.lower < both.expected).all()
    assert (both.expected < both.upper).all()
    # Narrower than the sum of the bounds: they do not go astray together.
    assert (both.upper - both.expected < 0.08 * both.expected).all()


def test_given_a_budget_of_nothing_when_chosen_then_one_series_is_left():
    stored = content([EVENT]).stored

    assert explorer.choose(stored, [3], 0).places == (3,)
