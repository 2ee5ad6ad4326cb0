"""Charts: what is drawn is what was stored, and whoever looks can read it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from anomaly_detector.report import axes, charts
from anomaly_detector.report.charts import Bar, Mark, Span
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.report_lines import BEGIN, HOUR, SVG, hours, line, parsed, paths, texts

ZONE = "Europe/Berlin"
HOSTILE = '"><script>alert(1)</script>\x00\x1b\ud800 & \u202e'
FLOATS = st.floats(allow_nan=False, allow_infinity=False, width=64)


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1200, None, "1.2 k"),
        (-1055, None, "-1.055 k"),
        (3_400_000, None, "3.4 M"),
        (2.5e9, None, "2.5 G"),
        (999, None, "999"),
        (0.0321, None, "0.0321"),
        (0.0321, "share", "3.21 %"),
        (0.0, None, "0"),
    ],
)
def test_given_a_value_when_on_an_axis_then_it_reads_in_si_steps(value, unit, text):
    assert axes.labels([value], unit) == [text]


# Axes


def test_given_values_close_to_each_other_when_on_an_axis_then_they_are_told_apart():
    assert axes.labels([3, 3.0001, 3.0002]) == ["3", "3.0001", "3.0002"]
    assert axes.labels([12_000.0, 12_000.5], "count") == ["12 k", "12.0005 k"]


@given(low=FLOATS, span=st.floats(1e-9, 1e12))
def test_given_any_range_when_values_are_marked_then_at_most_six_round_ones_around_it(low, span):
    low = low % 1e12
    high = low + max(span, abs(low) * 1e-6)

    ticks = axes.value_ticks(low, high)

    assert 2 <= len(ticks) <= axes.MOST_TICKS
    step = ticks[1] - ticks[0]
    assert ticks[0] <= low + step / 100
    assert ticks[-1] >= high - step / 100
    assert f"{step:.6e}"[0] in "125" or f"{step:.3e}".startswith("9.99")


@given(
    hours_since=st.floats(0, 600_000),
    minutes=st.floats(10, 60 * 24 * 3650),
    zone=st.sampled_from(
        ["UTC", ZONE, "Asia/Kolkata", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia"]
    ),
)
def test_given_any_time_when_it_is_marked_then_at_most_six_round_times_of_the_zone(
    hours_since, minutes, zone
):
    begin = datetime(1990, 1, 1, tzinfo=UTC) + timedelta(hours=hours_since)
    end = begin + timedelta(minutes=minutes)

    ticks = axes.time_ticks(begin, end, zone)

    assert 1 <= len(ticks) <= axes.MOST_TICKS
    assert [one.at for one in ticks] == sorted({one.at for one in ticks})
    for one in ticks:
        assert begin <= one.at <= end
        wall = one.at.astimezone(ZoneInfo(zone))
        assert wall.second == 0
        assert wall.minute % 5 == 0
        if ":" in one.label:
            assert one.label == f"{wall:%H:%M}"
        elif " " in one.label:
            assert one.label == f"{wall.day} {wall:%b}"
    assert all(one.below or one.label.isdecimal() for one in ticks[:1])


def test_given_two_days_when_times_are_marked_then_the_date_stands_where_it_changes():
    ticks = axes.time_ticks(BEGIN, BEGIN + 48 * HOUR, ZONE)

    told = [(one.label, one.below) for one in ticks]
    assert told == [
        ("12:00", "16 Nov"),
        ("00:00", "17 Nov"),
        ("12:00", ""),
        ("00:00", "18 Nov"),
    ]


def test_given_the_end_of_summer_time_when_days_are_marked_then_each_at_its_own_midnight():
    begin = datetime(2026, 10, 23, 22, tzinfo=UTC)

    ticks = axes.time_ticks(begin, begin + timedelta(days=4), ZONE)

    assert [one.at.hour for one in ticks] == [22, 22, 23, 23]
    assert [one.label for one in ticks] == ["24 Oct", "25 Oct", "26 Oct", "27 Oct"]


# A series


def test_given_a_series_when_drawn_then_each_value_is_where_the_axis_says():
    svg = charts.series(line([0, 50, 100, 25]), title="revenue", zone="UTC")

    [[points]] = paths(svg, "actual")
    bottom = points[0][1]
    assert [x for x, _ in points] == [250, 750, 1250, 1750]
    assert [round(1 - y / bottom, 2) for _, y in points] == [0, 0.5, 1, 0.25]
    assert {"0", "20", "100"} <= set(texts(svg))


def test_given_missing_values_when_drawn_then_a_gap_and_a_mark_on_the_axis_and_no_zero():
    svg = charts.series(line([5, 6, None, None, 7, None, 8]), title="revenue", zone="UTC")

    [drawn] = paths(svg, "actual")
    assert [len(one) for one in drawn] == [2, 1, 1]
    [path] = [one for one in parsed(svg).iter(f"{SVG}path") if one.get("class") == "missing"]
    marks = re.findall(r"M(\d+) \d+H(\d+)", path.get("d", ""))
    assert [(int(a), int(b)) for a, b in marks] == [(571, 1142), (1428, 1714)]
    assert "Missing in 3 intervals." in svg


def test_given_what_precedes_the_first_value_when_drawn_then_it_is_not_missing():
    svg = charts.series(line([None, None, 5, 6]), title="revenue", zone="UTC")

    assert 'class="missing"' not in svg


@given(
    size=st.integers(4001, 12_000),
    places=st.lists(st.integers(0, 4000), min_size=2, max_size=2, unique=True),
)
def test_given_more_values_than_pixels_when_drawn_then_every_peak_stays(size, places):
    values = np.full(size, 100.0)
    values[places[0]], values[places[1]] = 1000.0, 3.0

    svg = charts.series(line(values), title="revenue", zone="UTC")

    [[points]] = paths(svg, "actual")
    assert len(points) <= 4000
    ys = [y for _, y in points]
    scale = charts._Scale.of([line(values)], zero=True, plot=190)
    assert min(ys) == round(float(scale.y(np.array([1000.0]))[0]))
    assert max(ys) == round(float(scale.y(np.array([3.0]))[0]))
    xs = [x for x, _ in points]
    assert xs == sorted(xs)


@given(st.lists(st.one_of(st.none(), st.floats(-1e3, 1e3)), min_size=1, max_size=40))
def test_given_any_gaps_when_a_long_series_is_drawn_then_a_column_without_a_value_stays_empty(
    pattern,
):
    values = np.repeat(np.array([np.nan if one is None else one for one in pattern]), 500)
    held = np.isfinite(values)
    runs = int(np.sum(np.diff(held.astype(int), prepend=0) == 1))

    svg = charts.series(line(values), title="revenue", zone="UTC")

    drawn = paths(svg, "actual")
    assert sum(len(one) for one in drawn) == runs


def test_given_an_event_when_drawn_then_its_time_is_shaded_and_its_intervals_are_marked():
    svg = charts.series(
        line([10] * 10, expected=[20] * 10, anomalous=(4, 5)),
        title="revenue",
        zone="UTC",
        event=hours(4, 6),
    )

    [shade] = [one for one in parsed(svg).iter(f"{SVG}rect") if one.get("class") == "event"]
    assert (shade.get("x"), shade.get("width")) == ("800", "400")
    [marks] = paths(svg, "marks")
    assert [one[0][0] for one in marks] == [900, 1100]
    assert "The event is from Mon 16 Nov 2026, 04:00 to Mon 16 Nov 2026, 06:00." in svg


def test_given_a_missing_anomalous_interval_when_drawn_then_it_is_marked_where_it_was_expected():
    svg = charts.series(
        line([20, None, 20], expected=[20, 20, 20], anomalous=(1,)), title="x", zone="UTC"
    )

    [marks] = paths(svg, "marks")
    assert len(marks) == 1


def test_given_a_wide_band_when_drawn_then_the_values_still_fill_the_plot():
    values = [100, 120, 110, 90]
    svg = charts.series(line(values, expected=values, width=50), title="x", zone="UTC", zero=False)

    [[points]] = paths(svg, "actual")
    span = max(y for _, y in points) - min(y for _, y in points)
    assert span > 0.25 * charts._FINE * 190


def test_given_a_mean_when_drawn_then_zero_may_be_left_out_and_the_axis_says_so():
    values = [1000, 1010, 1005]

    assert "the axis leaves out 0" in texts(
        charts.series(line(values), title="x", zone="UTC", zero=False)
    )
    told = texts(charts.series(line(values), title="x", zone="UTC"))
    assert "0" in told
    assert "the axis leaves out 0" not in told


EDGES = [
    [],
    [None, None],
    [0],
    [5],
    [-5, -5],
    [1e300, -1e300],
    [1e-300, 2e-300],
    [None, 3],
    [0, 0, 0],
]


@pytest.mark.parametrize("values", [one for one in EDGES if one])
@pytest.mark.parametrize("zero", [True, False])
def test_given_few_or_odd_values_when_drawn_then_the_chart_is_whole(values, zero):
    for svg in (
        charts.series(line(values), title="x", zone=ZONE, zero=zero),
        charts.spark(line(values, expected=values), title="x", zone=ZONE, zero=zero),
    ):
        assert "nan" not in svg.lower()
        assert "inf" not in svg.lower()
        parsed(svg)


@given(
    st.lists(
        st.tuples(st.one_of(st.none(), FLOATS), st.one_of(st.none(), FLOATS)),
        min_size=1,
        max_size=60,
    ),
    st.booleans(),
)
def test_given_any_values_when_drawn_then_the_chart_is_well_formed_and_within_its_plot(rows, zero):
    actual = [a for a, _ in rows]
    expected = [np.nan if e is None else e for _, e in rows]

    svg = charts.series(line(actual, expected=expected), title="x", zone=ZONE, zero=zero)

    for kind in ("actual", "expected"):
        for drawn in paths(svg, kind):
            for x, y in (point for one in drawn for point in one):
                assert 0 <= x <= 2000
                assert 0 <= y <= charts._FINE * 190


def test_given_series_side_by_side_when_drawn_like_each_other_then_on_one_scale():
    small, large = line([1, 2]), line([100, 200])

    assert "200" in texts(charts.series(small, title="x", zone="UTC", like=[large]))


# Others


def test_given_contributions_when_drawn_then_each_with_what_came_instead_of_what():
    svg = charts.bars(
        [Bar("mobile_web", 62.4, 1055, 6547), Bar("5 others", 0.25, rest=True)], title="platform"
    )

    assert texts(svg) == ["mobile_web", "1,055 instead of 6,547", "62 %", "5 others", "0.2 %"]
    widths = [one.get("width") for one in parsed(svg).iter(f"{SVG}rect")]
    assert widths == ["85%", "53.04%", "85%", "0.21%"]


def test_given_events_at_the_same_time_when_on_the_timeline_then_none_hides_another():
    spans = [hours(0, 10), hours(5, 15), hours(10, 20), hours(3, 4)]
    marks = [Mark("revenue", span, 50 + n, f"event {n}") for n, span in enumerate(spans)]

    svg = charts.timeline(marks, ["revenue", "views"], hours(0, 24), title="events", zone="UTC")

    boxes = [
        (float(one.attrib["y"]), float(one.attrib["x"][:-1]), float(one.attrib["width"][:-1]))
        for one in parsed(svg).iter(f"{SVG}rect")
    ]
    assert len(boxes) == 4
    for place, (y, x, _) in enumerate(boxes):
        for other_y, other_x, other_width in boxes[:place]:
            assert y != other_y or not other_x < x < other_x + other_width - 0.01


def test_given_the_preview_when_drawn_then_the_threshold_in_force_is_marked():
    preview = [{"threshold": at, "events_per_week": (100 - at) / 7} for at in range(50, 100, 5)]

    svg = charts.weekly(preview, title="preview", threshold=62)

    kinds = [one.get("class") for one in parsed(svg).iter(f"{SVG}rect")]
    assert kinds.index("chosen") == 2
    assert kinds.count("chosen") == 1
    assert "at 50: 7.143 a week" in svg


def test_given_names_of_users_when_drawn_then_they_are_texts():
    drawn = [
        charts.series(line([1, 2]), title=HOSTILE, zone="UTC"),
        charts.spark(line([1, 2]), title=HOSTILE, zone="UTC"),
        charts.bars([Bar(HOSTILE, 50)], title=HOSTILE),
        charts.timeline([Mark(HOSTILE, hours(0, 2), 99, HOSTILE, HOSTILE)], [HOSTILE],
                        hours(0, 9), title=HOSTILE, zone="UTC"),
        charts.profile([1, 2], [HOSTILE], title=HOSTILE),
        charts.frame(BEGIN, BEGIN + HOUR, title=HOSTILE, zone="UTC"),
    ]  # fmt: skip

    for svg in drawn:
        assert "<script" not in svg
        assert parsed(svg).find(f"{SVG}title").text.startswith('"><script>alert(1)</script>')


def test_given_each_chart_when_read_aloud_then_it_has_a_title_and_says_what_is_to_be_seen():
    span = Span(BEGIN, BEGIN + 9 * HOUR)
    drawn = [
        charts.series(line([1, 2], anomalous=(1,)), title="revenue", zone="UTC"),
        charts.spark(line([1, 2]), title="revenue", zone="UTC"),
        charts.bars([Bar("a", 50)], title="revenue"),
        charts.timeline([], ["revenue"], span, title="revenue", zone="UTC"),
        charts.weekly([{"threshold": 50, "events_per_week": 1}], title="revenue"),
        charts.profile([1, 2], ["00"], title="revenue"),
    ]

    for svg in drawn:
        chart = parsed(svg)
        assert chart.get("role") == "img"
        assert [one.tag for one in chart][:2] == [f"{SVG}title", f"{SVG}desc"]
        assert chart[0].text == "revenue"
        assert chart[1].text


# Colours


def _colours(text: str) -> dict[str, str]:
    return dict(re.findall(r"--(\w+):(#[0-9a-f]+)", text))


def _contrast(one: str, other: str) -> float:
    def luminance(colour: str) -> float:
        channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_given_either_theme_when_colours_are_compared_then_text_and_lines_are_clear(theme):
    colours = _colours(charts.css(theme))

    for name in ("ink", "muted"):
        assert _contrast(colours[name], colours["paper"]) >= 4.5, name
    for name in ("actual", "expected", "mark", "bar", "missing", "third", "fourth", "fifth"):
        assert _contrast(colours[name], colours["paper"]) >= 3, name


def test_given_no_theme_when_styled_then_the_reader_decides_and_print_is_light():
    text = charts.css()

    assert "@media screen and (prefers-color-scheme:dark)" in text
    assert text.startswith(":root{--ink:#1c2024")
    assert _colours(charts.css("dark", scope=".console"))["paper"] == "#15181c"
