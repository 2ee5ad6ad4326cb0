"""The page in Chromium, opened from a file: what it shows, what its filters, links and keys do."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest
from anomaly_detector.config import ROLLED_UP
from anomaly_detector.report import axes, charts
from anomaly_detector.report.charts import Span
from anomaly_detector.report.content import Said
from anomaly_detector.report.page import event_page, page
from anomaly_detector.report.stored import Stored

from local import shop
from tests.unit.cli_files import backtest
from tests.unit.report_lines import paths
from tests.unit.report_pages import BEGIN, HOSTILE, config, content, group

DEMO = {
    "name": "shop",
    "interval": "PT1H",
    "timestamp_column": {"name": "timestamp"},
    "measures": {"revenue": {}, "views": {}},
    "dimensions": ["platform", "marketplace"],
    "query": "select * from sales where timestamp >= {{ window_start }} "
    "and timestamp < {{ window_end }}",
}
PHONE = {"width": 400, "height": 800}
DESK = {"width": 1200, "height": 900}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of the demo's shop, as `backtest` writes it."""
    folder = tmp_path_factory.mktemp("demo")
    shop.build(datetime(2026, 11, 26, 16, tzinfo=UTC), days=60, live_hours=12).write(folder)
    duckdb.sql(
        f"""COPY (SELECT ts AS timestamp, p.name AS platform, m.name AS marketplace, views, revenue
        FROM '{folder}/ecommerce.parquet' e JOIN '{folder}/platform.parquet' p ON platform = p.id
        JOIN '{folder}/marketplace.parquet' m ON marketplace = m.id) TO '{folder}/rows.parquet'"""
    )
    return (backtest(DEMO, folder / "rows.parquet") / "report.html").as_uri()


class Visit:
    """A tab with a page; `faults` are what the browser complained of, or asked for elsewhere."""

    def __init__(self, browser: Any, address: str, **context: Any) -> None:
        self.context = browser.new_context(**{"viewport": DESK} | context)
        self.tab = self.context.new_page()
        self.faults: list[str] = []
        self.tab.on("console", lambda said: self.faults.append(said.text))
        self.tab.on("pageerror", lambda error: self.faults.append(str(error)))
        self.tab.on("dialog", lambda dialog: self.faults.append(f"dialog {dialog.message}"))
        self.tab.on("request", self._asked)
        self.address = address
        self.tab.goto(address)

    def _asked(self, request: Any) -> None:
        if request.url.split("#")[0] != self.address.split("#")[0]:
            self.faults.append(f"request {request.url}")

    def seen(self, selector: str) -> list[str]:
        """Texts of what is to be seen."""
        found = [one for one in self.tab.locator(selector).all() if one.is_visible()]
        return [(one.text_content() or "").strip() for one in found]


@pytest.fixture
def visit(browser: Any) -> Iterator[Any]:
    """Opens tabs, and fails where the browser has complained of one, or one has asked for more."""
    opened: list[Visit] = []

    def opening(address: str, **context: Any) -> Visit:
        opened.append(Visit(browser, address, **context))
        return opened[-1]

    yield opening
    for one in opened:
        one.context.close()
    assert [one.faults for one in opened if one.faults] == []


def written(folder: Path, text: str) -> str:
    file = folder / "report.html"
    file.write_text(text, "utf-8")
    return file.as_uri()


# What it shows


def test_the_demos_page_opens_from_a_file_and_is_under_five_megabytes(visit, demo):
    one = visit(demo)

    assert one.seen("h1") == ["shop"]
    assert len(one.seen(".list > li")) >= 5
    assert len(one.tab.content()) < 5_000_000
    assert one.seen(".detail") == []


def test_without_script_everything_is_shown_in_order(visit, demo):
    one = visit(demo, java_script_enabled=False)

    listed = one.seen(".list > li a")
    assert listed == [text.removesuffix(" open") for text in one.seen(".detail h3")]
    assert len(one.seen(".detail .series")) >= len(listed)
    assert one.seen("form") == []
    assert len(one.seen("#explorer figure")) == 2
    one.tab.locator(".list a").nth(2).click()
    assert "#event=" in one.tab.url


def test_the_slider_filters_and_says_what_it_does(visit, demo):
    one = visit(demo)
    severities = [
        float(each.get_attribute("data-severity")) for each in one.tab.locator(".list > li").all()
    ]
    weeks = float(one.tab.locator("#told").get_attribute("data-weeks"))

    for least in (50, 80, 99):
        one.tab.locator("#threshold").fill(str(least))

        above = [severity for severity in severities if severity >= least]
        assert len(one.seen(".list > li")) == len(above)
        week = re.sub(r"\.0$", "", f"{math.floor(10 * len(above) / weeks + 0.5) / 10}")
        assert f"{least}: {week} event" in one.seen("#told")[0]
    one.tab.locator("#threshold").focus()
    one.tab.keyboard.press("ArrowLeft")
    assert one.seen("#threshold-shown") == ["98"]


def test_measure_value_and_time_filter_and_are_taken_off_as_chips(visit, demo):
    one = visit(demo)
    whole = len(one.seen(".list > li"))

    one.tab.locator("#measure").select_option(label="views")
    assert all(text.startswith("views") for text in one.seen(".list .what"))
    one.tab.locator("#time").select_option(label="newest day")
    newest = len(one.seen(".list > li"))
    assert 0 < newest < whole
    one.tab.locator("#value").select_option(index=1)
    chips = one.seen("#chips button")
    assert len(chips) == 3
    assert chips[0] == "views ×"
    for _ in range(3):
        one.tab.locator("#chips button").first.click()
    assert one.seen("#chips button") == []
    assert len(one.seen(".list > li")) == whole


def test_filters_that_nothing_passes_are_a_sentence(visit, tmp_path):
    one = visit(written(tmp_path, page(content([group(1, severity=60)]))))

    one.tab.locator("#threshold").fill("90")

    assert one.seen(".list > li") == []
    assert "No event passes these filters." in one.seen("#told")[0]


def test_an_event_opens_and_its_link_opens_it_again(visit, demo):
    one = visit(demo)
    link = one.tab.locator(".list a").nth(2)
    sentence = link.text_content()

    link.click()

    assert one.seen(".detail h3") == [sentence]
    assert one.seen("#events") == one.seen("#explorer") == []
    assert len(one.seen(".detail .series")) >= 1
    assert "GROUP BY" in one.seen(".detail .sql")[0]
    again = visit(one.tab.url)
    assert again.seen(".detail h3") == [sentence]
    assert again.tab.title().startswith(sentence)
    again.tab.locator(".detail.shown .back a").click()
    assert again.seen(".detail") == []
    assert len(again.seen(".list > li")) > 2
    again.tab.go_back()
    assert again.seen(".detail h3") == [sentence]


def test_a_link_to_what_is_not_there_says_so(visit, demo):
    for key in ("nothing", "%E0%A4%A", '"><b>'):
        one = visit(f"{demo}#event={key}")

        assert "This page has no such event." in one.seen("#unknown")[0]
        one.tab.locator("#unknown a").click()
        assert len(one.seen(".list > li")) > 2


def test_a_mark_on_the_timeline_opens_its_event(visit, demo):
    one = visit(demo)
    mark = one.tab.locator(".timeline [data-event]").first

    mark.click()

    assert one.tab.url.endswith(str(mark.get_attribute("data-event")))
    assert len(one.seen(".detail h3")) == 1


def test_sql_and_link_are_copied(visit, demo):
    one = visit(demo)
    one.context.grant_permissions(["clipboard-read", "clipboard-write"])
    one.tab.locator(".list a").first.click()

    one.tab.locator(".detail.shown [data-copy=sql]").click()
    assert (
        one.tab.evaluate("navigator.clipboard.readText()")
        == one.tab.locator(".detail.shown .sql").text_content()
    )
    one.tab.locator(".detail.shown [data-copy=link]").click()
    assert one.tab.evaluate("navigator.clipboard.readText()") == one.tab.url


# The explorer


def test_the_explorer_draws_what_the_charts_of_the_page_draw(visit, tmp_path):
    made = content([group(1, where={"platform": "app"})], missing=(50, 51, 60))
    one = visit(written(tmp_path, page(made)))
    choose(one, "platform app")
    one.tab.locator("#chosen button").first.click()

    stored = made.stored
    place = stored.index["revenue", ("app", ROLLED_UP)]
    drawn = charts.series(stored.line(place), title="x", zone="Europe/Berlin", height=280)
    assert one.seen("#chosen button") == ["platform app ×"]
    scale = charts._Scale.of([stored.line(place)], zero=True, plot=230)
    assert one.seen("#plot .tick") == axes.labels(scale.steps)
    for kind in ("actual", "expected"):
        [mine] = paths(drawn, kind)
        theirs = lines_of(one.tab.locator(f"#plot .{kind}").get_attribute("d"))
        assert [len(line) for line in theirs] == [len(line) for line in mine]
        for line, other in zip(theirs, mine, strict=True):
            assert np.abs(np.array(line) - np.array(other)).max() <= 1
    marks = one.tab.locator("#plot .marks").get_attribute("d")
    assert marks.count("M") == 3
    assert one.tab.locator("#plot .missing").get_attribute("d").count("M") == 2


def test_the_explorer_keeps_peaks_and_gaps_of_a_year_of_hours(visit, tmp_path):
    made = content(days=200, missing=tuple(range(3000, 3300)))
    place = made.stored.index["revenue", (ROLLED_UP, ROLLED_UP)]
    values = made.stored.values.copy()
    values[0, place, 1234], values[0, place, 4321] = 90_000, 1
    made = replace(made, stored=replace(made.stored, values=values))

    one = visit(written(tmp_path, page(made)))

    lines = lines_of(one.tab.locator("#plot .actual").get_attribute("d"))
    assert len(lines) == 2
    assert sum(map(len, lines)) <= 4000
    scale = charts._Scale.of([made.stored.line(place)], zero=True, plot=230)
    peaks = scale.y(np.array([90_000.0, 1.0])).round()
    ys = [y for line in lines for _, y in line]
    assert [min(ys), max(ys)] == pytest.approx(peaks, abs=1)
    assert one.tab.locator("#plot .missing").get_attribute("d").count("M") == 1


@pytest.mark.parametrize(
    ("low", "high"),
    [(0, 1), (0, 17.3), (3, 3.0004), (-5e-7, 4e-7), (0, 9.99e14), (1e18, 2e18), (-20_000, 1055)],
)
def test_the_explorers_axes_are_those_of_the_charts(visit, tmp_path, low, high):
    made = content(days=2)
    values = np.broadcast_to(np.array([low, high] * 24, dtype=float), made.stored.values.shape)
    made = replace(made, stored=replace(made.stored, values=values.copy()))

    one = visit(written(tmp_path, page(made)))

    one.tab.locator("#series-measure").select_option(label="latency")
    scale = charts._Scale.of([made.stored.line(0)], zero=False, plot=230)
    assert one.seen("#plot .tick") == [
        *axes.labels(scale.steps),
        *(["the axis leaves out 0"] if scale.low > 0 or scale.high < 0 else []),
    ]


def test_up_to_five_series_are_compared_and_read_with_the_keyboard(visit, demo):
    one = visit(demo)
    for name in ("platform mobile_web", "platform pc_web", "marketplace us", "marketplace jp"):
        choose(one, name)
    assert len(one.seen("#chosen button")) == 5
    choose(one, "marketplace de")
    assert one.seen("#chooser-told") == ["Five series at a time: remove one first."]
    assert [one.tab.locator(f"#plot .{kind}").count() for kind in ("one", "five", "band")] == [
        1,
        1,
        0,
    ]

    one.tab.locator("#plot").focus()
    one.tab.keyboard.press("Home")
    first = one.tab.locator("#plot").get_attribute("aria-valuetext")
    one.tab.keyboard.press("ArrowRight")
    second = one.tab.locator("#plot").get_attribute("aria-valuetext")
    assert first != second
    # Of what precedes the scored time, nothing was expected.
    assert "expected" not in str(second)
    one.tab.keyboard.press("End")
    second = one.tab.locator("#plot").get_attribute("aria-valuetext")
    assert all(name in str(second) for name in ("in total: ", "marketplace us: ", ", expected "))
    choose(one, "no such value")
    assert 'no series "no such value"' in one.seen("#chooser-told")[0]
    for _ in range(5):
        one.tab.locator("#chosen button").first.click()
    assert one.tab.locator("#plot .actual").count() == 0


def test_pointing_at_the_chart_reads_its_interval(visit, tmp_path):
    one = visit(written(tmp_path, page(content(days=10))))
    box = one.tab.locator("#plot .plot").bounding_box()

    one.tab.locator("#plot").scroll_into_view_if_needed()
    box = one.tab.locator("#plot .plot").bounding_box()
    one.tab.mouse.move(box["x"] + box["width"] * (36.5 / 240), box["y"] + 20)

    assert one.seen("#reading")[0].startswith("Mon 2 Nov 2026, 13:00: ")


def test_one_value_and_one_that_stands_alone_are_seen(visit, tmp_path):
    few = content(days=2, missing=tuple(range(1, 48)))
    long = content(days=4, missing=(10, 12))

    for made, first in ((few, 0), (long, 11)):
        one = visit(written(tmp_path, page(made)))
        points = lines_of(one.tab.locator("#plot .points").get_attribute("d"))
        place = made.stored.index["revenue", (ROLLED_UP, ROLLED_UP)]
        drawn = charts.series(made.stored.line(place), title="x", zone="UTC", height=280)
        [theirs] = paths(drawn, "points")
        assert len(points) == len(theirs) == 1
        assert np.abs(np.array(points) - np.array(theirs)).max() <= 1
        assert points[0][0][0] == round(2000 * (first + 0.5) / (len(made.stored.edges) - 1))
        choose(one, "platform app")
        assert one.tab.locator("#plot .points").count() == 2


def test_what_has_no_bounds_is_read_without(visit, tmp_path):
    made = content(days=2)
    values = made.stored.values.copy()
    values[2:] = np.nan

    one = visit(written(tmp_path, page(replace(made, stored=replace(made.stored, values=values)))))

    assert re.fullmatch(
        r"Tue 3 Nov 2026, 00:00: [\d.,]+, expected [\d.,]+", one.seen("#reading")[0]
    )


def test_a_page_without_series_or_events_is_whole(visit, tmp_path):
    made = content()
    stored = made.stored
    empty = replace(stored, names=(), values=stored.values[:, :0], anomalous=stored.anomalous[:0])

    one = visit(written(tmp_path, page(replace(made, stored=empty))))

    assert one.seen("#told") == ["No event in 14 days."]
    assert one.seen("#threshold") == []
    choose(one, "app")
    assert 'no series "app"' in one.seen("#chooser-told")[0]


def test_what_people_said_leads_to_the_event(visit, tmp_path):
    event = group(1)
    said = [Said(BEGIN, "No anomaly:", "", "by alice", event.id)]
    one = visit(written(tmp_path, page(replace(content([event]), said=said))))

    one.tab.locator("#said a").click()

    assert len(one.seen(".detail h3")) == 1


@pytest.mark.parametrize("place", ["", "event"])
def test_on_paper_everything_is_there_or_the_event_that_is_open(visit, demo, place):
    one = visit(demo, color_scheme="dark")
    listed = len(one.seen(".list > li"))
    if place:
        one.tab.locator(".list a").nth(1).click()

    one.tab.emulate_media(media="print")

    assert one.seen("form") == one.seen("nav") == one.seen(".actions") == []
    assert len(one.seen(".detail")) == (1 if place else listed)
    assert len(one.seen("#explorer figure")) == (0 if place else 2)
    assert len(one.seen("#learnt")) == (0 if place else 1)
    # Nothing scrolls on paper.
    cut = """() => [...document.querySelectorAll(".sql,.scroll")].filter(each =>
        each.checkVisibility() && (each.scrollHeight > each.clientHeight + 2
            || each.scrollWidth > each.clientWidth + 2)).length"""
    one.tab.set_viewport_size({"width": 720, "height": 1000})
    assert one.tab.evaluate(cut) == 0
    paper = one.tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert paper == "rgb(255, 255, 255)"


def test_an_event_of_its_own_page_leads_nowhere_else(visit, tmp_path):
    event, other = group(1), group(2, measure="latency", start=201)
    address = written(tmp_path, event_page(content([event, other]), event))

    for link in (address, f"{address}#event={event.id}"):
        one = visit(link)
        assert len(one.seen(".detail h3")) == 1
        assert one.tab.locator("#plot").is_visible()
        keys = [each.get_attribute("href") for each in one.tab.locator("main a").all()]
        assert keys == [f"#event={event.id}"]


# Who reads it


def test_keys_alone_reach_everything_and_open_an_event(visit, demo):
    one = visit(demo)
    wanted = one.tab.evaluate(
        """() => [...document.querySelectorAll("a[href],button,input,select,[tabindex='0']")]
        .filter(each => each.checkVisibility() && each.tabIndex >= 0).length"""
    )

    seen: list[str] = []
    for _ in range(wanted + 5):
        one.tab.keyboard.press("Tab")
        place = one.tab.evaluate(
            """() => {
                const all = [...document.querySelectorAll("*")], on = document.activeElement;
                return on === document.body ? -1 : all.indexOf(on);
            }"""
        )
        if place in seen or place == -1:
            break
        seen.append(place)
    assert len(seen) == wanted
    assert seen == sorted(seen)

    one.tab.locator(".list a").first.focus()
    one.tab.keyboard.press("Enter")
    assert len(one.seen(".detail h3")) == 1
    # The focus is on what has opened: one step on leads into it.
    assert one.tab.evaluate("document.activeElement.closest('.detail') !== null")
    one.tab.keyboard.press("Tab")
    assert one.tab.evaluate("document.activeElement.closest('.detail') !== null")


@pytest.mark.parametrize("place", ["", "event"])
@pytest.mark.parametrize("made", ["demo", "hostile"])
def test_nothing_is_cut_off_at_the_width_of_a_phone(visit, demo, place, made, tmp_path):
    address = demo if made == "demo" else written(tmp_path, page(hostile(n=5)))
    one = visit(address, viewport=PHONE)
    if place:
        one.tab.locator(".list a").nth(2).click()

    assert one.tab.evaluate("document.documentElement.scrollWidth") <= 400
    beyond = one.tab.evaluate(
        """() => [...document.querySelectorAll("body *")].filter(each => {
            const box = each.getBoundingClientRect();
            return each.checkVisibility() && box.width && (box.right > 400.5 || box.left < -0.5)
                && !each.closest(".scroll,.sql,.skip,.unseen");
        }).map(each => each.outerHTML.slice(0, 200))"""
    )
    assert beyond == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("place", ["", "event", "hostile"])
def test_an_accessibility_check_finds_nothing_serious(browser, demo, axe, scheme, place, tmp_path):
    address = written(tmp_path, page(hostile())) if place == "hostile" else demo
    one = Visit(browser, address, color_scheme=scheme)
    if place:
        one.tab.locator(".list a").first.click()

    one.tab.evaluate(axe)
    found = one.tab.evaluate("axe.run({resultTypes: ['violations']})")

    told = [
        (each["id"], each["impact"], [node["html"][:150] for node in each["nodes"][:3]])
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
    ]
    one.context.close()
    assert told == []
    assert len(found["passes"]) > 15


# Whose data it holds


# Names as long as they may be, of one word, of many, of emoji, and of what turns the direction.
NASTY = (
    "W" * 120,
    "\u202egnp.exe\u2066",
    "\U0001f469\u200d\U0001f4bb" * 40,
    "line\nbreak\r\n\ttab \u2028",
    "\u0645\u062a\u062c\u0631 " * 30,
)


def hostile(n: int = 0) -> Any:
    """Events of hostile names, and of so many nasty ones."""
    measure = f"revenue {HOSTILE}"
    chosen = config(
        measures={measure: {}, "latency": {"aggregation": "AVG"}},
        dimensions=[HOSTILE, "market"],
    )
    event = group(
        1, measure=measure, where={HOSTILE: HOSTILE}, contributions={HOSTILE: {HOSTILE: 100.0}}
    )
    events = [event]
    for place, name in enumerate(NASTY[:n]):
        where = {HOSTILE: name, "market": name[::-1]}
        shares = {key: {value: 100.0} for key, value in where.items()}
        one = group(2 + place, measure=measure, where=where, contributions=shares)
        events.append(replace(one, severity=99.0))
    values = {HOSTILE: [HOSTILE, "web", *NASTY[:n]]}
    if n:
        values["market"] = [name[::-1] for name in NASTY[:n]]
    return content(events, chosen=chosen, values=values)


@pytest.mark.parametrize("single", [False, True])
def test_hostile_names_show_as_text(visit, tmp_path, single):
    made = hostile()
    text = event_page(made, made.groups[0]) if single else page(made)

    one = visit(written(tmp_path, text))

    if not single:
        choose(one, "alert(2)")
        one.tab.locator(".list a").first.click()
    assert '"><img src=x onerror=alert(1)>' in one.seen(".detail h3")[0]
    assert one.tab.locator("img").count() == 0
    assert one.tab.locator("script").count() == 3


def test_a_script_that_gets_into_the_page_does_not_run(browser, demo, tmp_path):
    text = Path(demo.removeprefix("file://")).read_text("utf-8")
    evil = (
        "<script>document.title = 'evil'</script><style>main { display: none }</style>"
        "<img src='https://example.com/x' onerror='document.title = 1'>"
    )
    address = written(tmp_path, text.replace("<main>", f"<main>{evil}", 1))

    one = Visit(browser, address)

    assert one.tab.title() == "shop: anomalies"
    assert one.tab.locator("main").is_visible()
    refused = [fault for fault in one.faults if "Content Security Policy" in fault]
    assert len(refused) == 4
    one.context.close()


# How large it may be


def large() -> Any:
    """500 events among 5,000 hourly series of 60 days."""
    values = {"platform": [f"p{n}" for n in range(49)], "market": [f"m{n}" for n in range(49)]}
    days = 60
    small = content(days=days, values={"platform": ["p0"], "market": ["m0"]})
    names = sorted(
        (measure, (platform, market))
        for measure in small.config.measures
        for platform in (*values["platform"], ROLLED_UP)
        for market in (*values["market"], ROLLED_UP)
    )
    random = np.random.default_rng(1)
    rhythm = small.stored.values[1, 0]
    expected = rhythm * random.lognormal(0, 1, (len(names), 1))
    actual = expected * random.normal(1, 0.05, expected.shape)
    whole = np.stack([actual, expected, expected * 0.85, expected * 1.15])
    stored = Stored(small.stored.edges, small.stored.dimensions, tuple(names), whole,
                    random.random(expected.shape) < 0.001)  # fmt: skip
    groups = [
        group(
            n,
            measure=list(small.config.measures)[n % 2],
            start=int(random.integers(0, days * 24 - 8)),
            hours=int(random.integers(1, 8)),
            severity=float(random.uniform(50, 100)),
            state="OPEN" if n < 5 else "CLOSED",
            where={"platform": f"p{n % 49}"} | ({"market": f"m{n % 48}"} if n % 3 else {}),
        )
        for n in range(500)
    ]
    return replace(
        small, stored=stored, groups=groups, watched=Span(BEGIN, BEGIN + timedelta(days))
    )


def test_five_hundred_events_and_five_thousand_series_open_within_a_second(visit, tmp_path, capsys):
    text = page(large())
    address = written(tmp_path, text)

    one = visit("about:blank")
    # The processor's time: a busy machine takes longer, and fails nothing.
    session = one.context.new_cdp_session(one.tab)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    one.address = address
    one.tab.goto(address)
    one.tab.wait_for_function("performance.getEntriesByName('first-contentful-paint').length")
    metrics = session.send("Performance.getMetrics")["metrics"]
    seconds = next(each["value"] for each in metrics if each["name"] == "TaskDuration")
    paint, load = (
        one.tab.evaluate(f"performance.getEntries().find((one) => one.{key}).{time}")
        for key, time in (
            ("name === 'first-contentful-paint'", "startTime"),
            ("entryType === 'navigation'", "loadEventEnd"),
        )
    )
    with capsys.disabled():
        sys.stdout.write(
            f"{len(text):,} bytes: first paint {paint:.0f} ms, loaded {load:.0f} ms, "
            f"of the processor {1000 * seconds:.0f} ms\n"
        )

    assert seconds < 1
    assert len(one.tab.locator(".list > li").all()) == 500
    told = one.seen("#explorer .note")[0]
    assert "of 5,000 series: those of the events, then the widest and largest." in told
    one.tab.locator("#threshold").fill("90")
    assert 20 < len(one.seen(".list > li")) < 150


# Helpers


def choose(one: Visit, name: str) -> None:
    one.tab.locator("#series-slice").fill(name)
    one.tab.keyboard.press("Enter")


def lines_of(path: str) -> list[list[tuple[int, int]]]:
    """The points of each line of a path with absolute places."""
    return [
        [
            (int(a), int(b))
            for a, b in (point.removesuffix("h0").split(" ") for point in line.split("L"))
        ]
        for line in path.split("M")
        if line
    ]
