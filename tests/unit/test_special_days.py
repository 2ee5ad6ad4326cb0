"""Special days of a calendar, and incidents: what is expected of them, and what they teach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import numpy as np
import pytest
from anomaly_detector.detection import DetectorSettings
from anomaly_detector.detection.calendar import SILENT, Calendar
from anomaly_detector.events.group import Group
from anomaly_detector.panel import Panel
from anomaly_detector.replay import Replay, replay
from anomaly_detector.snapshot import Snapshot, from_bytes, to_bytes
from numpy.typing import NDArray

from tests.unit import detection_panels

NAMES = ("a", "b", "c")
SHARES = np.array([0.5, 0.3, 0.2])
CHRISTMAS = [date(year, 12, 25) for year in range(2022, 2026)]
GOOD_FRIDAY = [date(2022, 4, 15), date(2023, 4, 7), date(2024, 3, 29)]
DAYS = {
    "Christmas": [str(day) for day in CHRISTMAS],
    "Good Friday": [str(day) for day in GOOD_FRIDAY],
}
BEGIN = np.datetime64("2022-01-03T00:00:00", "s")
Starts = NDArray[np.datetime64]


def settings(interval: str = "P1D", **others: Any) -> DetectorSettings:
    return detection_panels.settings(interval, false_events_per_week=0.02, **others)


def axis(size: int, seconds: int = 86_400) -> Starts:
    return BEGIN + np.arange(size) * np.timedelta64(seconds, "s")


def panel(starts: Starts, changes: Mapping[date, float], seed: int) -> Panel:
    """Sales by weekday, changed by a factor on some days, and their total."""
    days = starts.astype("datetime64[D]")
    hours = (starts - days).astype("timedelta64[h]").astype(int)
    level = 3000.0 * (1 + 0.2 * np.sin((days.astype(int) + 3) % 7))
    if len(np.unique(hours)) > 1:
        level = level / 6 * (1 + 0.6 * np.sin((hours - 6) / 24 * 2 * np.pi))
    leaves = np.random.default_rng(seed).poisson(level[:, None] * SHARES).astype(np.float64)
    for day, factor in changes.items():
        leaves[days == np.datetime64(day)] *= factor
    leaves = np.rint(leaves)
    values = np.concatenate([leaves.sum(axis=1, keepdims=True), leaves], axis=1)[:, None, :]
    slices = np.array([["*"], *([name] for name in NAMES)], dtype=object)
    return Panel(starts, ("platform",), slices, ("views",), values, 9 * np.ones_like(values))


def run(wanted: DetectorSettings, shown: Panel) -> Replay:
    return replay(wanted, Snapshot.initial(wanted), shown)


def each(panels: Mapping[str, Panel], **others: Any) -> dict[str, list[Group]]:
    """Groups of panels, replayed beside each other with a budget for each."""
    wanted = detection_panels.settings(
        "P1D",
        measures={name: {} for name in panels},
        false_events_per_week=0.02 * len(panels),
        **others,
    )
    groups = run(wanted, detection_panels.beside(panels)).groups
    return {name: [one for one in groups if one.measure == name] for name in panels}


def on(groups: Sequence[Group], days: Sequence[date]) -> list[tuple[str, str]]:
    return [
        (one.start.date().isoformat(), one.direction) for one in groups if one.start.date() in days
    ]


USUAL = {**dict.fromkeys(CHRISTMAS, 0.3), **dict.fromkeys(GOOD_FRIDAY, 1.6)}
HOLIDAYS = [*CHRISTMAS, *GOOD_FRIDAY]


def test_three_years_of_holidays_alarm_nobody_with_the_calendar_and_without_it_do() -> None:
    # given: one holiday on a fixed date, one that moves; three shops, as measures of one panel
    shown = {f"shop {seed}": panel(axis(3 * 365), USUAL, seed) for seed in (1, 2, 3)}
    third = [day for day in HOLIDAYS if day.year == 2024]

    # when
    known = each(shown, calendar={"days": DAYS})
    unknown = each(shown)

    # then
    for name in shown:
        assert on(known[name], HOLIDAYS) == []
        assert on(unknown[name], third) == [("2024-03-29", "up")]


def test_a_holiday_unlike_those_before_is_an_event() -> None:
    shown = {
        name: panel(axis(3 * 365), USUAL | {CHRISTMAS[2]: factor}, 4)
        for name, factor in (("down", 0.03), ("up", 1.0))
    }

    known = each(shown, calendar={"days": DAYS})

    for direction, groups in known.items():
        assert on(groups, HOLIDAYS) == [("2024-12-25", direction)]


def test_what_is_expected_of_a_holiday_is_what_came_on_those_before() -> None:
    shown = panel(axis(3 * 365), USUAL, 5)
    scores = run(settings(calendar={"days": DAYS}), shown).scores
    (at,) = np.flatnonzero(scores.starts == np.datetime64("2024-12-25"))

    expected, usual = scores.expected[at, 0], scores.expected[at - 7, 0]

    assert expected == pytest.approx(0.3 * usual, rel=0.15)
    assert (scores.lower[at, 0] < scores.actual[at, 0]).all()
    assert (scores.actual[at, 0] < scores.upper[at, 0]).all()


def test_below_a_day_each_part_of_a_holiday_is_like_that_part() -> None:
    # given: hours of which the morning is lost, every time
    starts = axis(24 * 64, 3600)
    days = starts.astype("datetime64[D]")
    hours = (starts - days).astype("timedelta64[h]").astype(int)
    fairs = [date(2022, 2, 1), date(2022, 2, 17), date(2022, 3, 4)]
    shown = panel(starts, {}, 6)
    lost = np.isin(days, np.array(fairs, dtype="datetime64[D]")) & (hours < 12)
    shown.values[lost] = np.rint(0.2 * shown.values[lost])

    # when
    names = {"days": {"fair": [str(day) for day in fairs]}}
    known, unknown = (run(settings("PT1H", **more), shown) for more in ({"calendar": names}, {}))

    # then
    assert on(known.groups, fairs) == []
    assert [day for day, _ in on(unknown.groups, fairs)] == [str(day) for day in fairs]


def hide(kind: str) -> dict[str, Any]:
    """Settings that leave 1 and 2 March 2023 out."""
    if kind == "silent":
        days = {"days": {"works": ["2023-03-01", "2023-03-02"]}, "silent": ["works"]}
        return {"calendar": days}
    span = {"start": "2023-03-01T00:30:00Z", "end": "2023-03-03T00:00:00Z", "reason": "works"}
    return {"incidents": {"works": span}}


@pytest.mark.parametrize("kind", ["silent", "incident"])
@pytest.mark.parametrize("interval", ["P1D", "PT1H"])
def test_what_is_left_out_neither_alerts_nor_teaches(kind, interval) -> None:
    # given: an outage, and the same time without one
    if interval == "P1D":
        starts = axis(500)
    else:
        starts = axis(24 * 40, 3600) + (np.datetime64("2023-02-01", "s") - BEGIN)
    out = {date(2023, 3, 1): 0.0, date(2023, 3, 2): 5.0}
    wanted = settings(interval, **hide(kind))

    # when
    with_it, without = (run(wanted, panel(starts, changes, 7)) for changes in (out, {}))
    told = run(settings(interval), panel(starts, out, 7))

    # then
    left = [date(2023, 3, 1), date(2023, 3, 2)]
    assert on(told.groups, left) != []
    assert on(with_it.groups, left) == []
    assert to_bytes(with_it.after) == to_bytes(without.after)
    at = with_it.scores.starts.astype("datetime64[D]") == np.datetime64("2023-03-01")
    first = int(np.flatnonzero(at)[12 if interval == "PT1H" else 0])
    assert with_it.scores.actual[first, 0, 0] == 0.0  # it is shown
    assert with_it.scores.expected[first, 0, 0] > 100
    assert not with_it.scores.severity[first].any()


def test_an_incident_leaves_out_what_shares_rows_with_it_and_nothing_else() -> None:
    # given: maintenance of `a`, and meanwhile an outage of `b`
    shown = panel(axis(500), {}, 8)
    at = shown.starts == np.datetime64("2023-03-01", "s")
    for name in ("a", "b"):
        place = 1 + NAMES.index(name)
        shown.values[at, 0, 0] -= shown.values[at, 0, place]
        shown.values[at, 0, place] = 0.0
    span = {"start": "2023-03-01T00:00:00Z", "end": "2023-03-02T00:00:00Z", "reason": "works"}
    only_a: dict[str, Any] = {
        "incidents": {"works": span | {"dimension_filters": {"platform": ["a"]}}}
    }

    # when
    found = [
        one for one in run(settings(**only_a), shown).groups if one.start.date() == date(2023, 3, 1)
    ]

    # then
    assert [one.slices for one in found] == [({"platform": "b"},)]


def test_an_incident_of_another_measure_leaves_nothing_out() -> None:
    span = {"start": "2023-03-01T00:00:00Z", "end": "2023-03-02T00:00:00Z", "reason": "works"}
    both: dict[str, Any] = {"measures": {"views": {}, "sales": {}}}
    other = settings(**both, incidents={"works": span | {"measures": ["sales"]}}).part(["views"])
    day = [date(2023, 3, 1)]

    found = run(other, panel(axis(500), {day[0]: 0.0}, 9))

    assert on(found.groups, day) == [("2023-03-01", "down")]


@pytest.mark.parametrize("interval", ["P1D", "PT1H"])
def test_pieces_with_stored_snapshots_give_what_one_run_gives(interval: str) -> None:
    # given: special, silent and left-out days, some of them where the pieces meet
    seconds = 86_400 if interval == "P1D" else 3600
    starts = axis(900 if interval == "P1D" else 24 * 35, seconds)
    if interval == "PT1H":
        starts = starts + (np.datetime64("2023-02-20", "s") - BEGIN)
    fairs = [
        date(2023, 2, 27),
        date(2023, 3, 8),
        date(2023, 3, 9),
        date(2023, 3, 20),
        date(2023, 3, 21),
    ]
    calendar = {
        "days": DAYS | {"fair": [str(day) for day in fairs], "quiet": ["2023-03-10"]},
        "silent": ["quiet"],
    }
    span = {"start": "2023-03-15T05:00:00Z", "end": "2023-03-15T09:30:00Z", "reason": "works"}
    wanted = settings(interval, calendar=calendar, incidents={"works": span})
    shown = panel(starts, dict.fromkeys(fairs, 2.0) | {date(2023, 3, 24): 0.1}, 10)

    whole = run(wanted, shown)
    after, groups, scores = Snapshot.initial(wanted), {}, []
    step = 61 if interval == "P1D" else 29
    for low in range(0, len(starts), step):
        done = replay(wanted, from_bytes(to_bytes(after)), shown.cut(low, low + step))
        after = done.after
        groups |= {one.id: one for one in done.groups}
        scores.append(done.scores.severity)

    assert to_bytes(after) == to_bytes(whole.after)
    assert np.array_equal(np.concatenate(scores), whole.scores.severity)
    assert sorted(groups.values(), key=lambda one: one.id) == sorted(
        whole.groups, key=lambda one: one.id
    )
    assert whole.groups


def test_days_in_a_row_are_told_apart_and_the_first_name_counts() -> None:
    calendar = Calendar.of(
        {"new year": [date(2023, 1, 22), date(2023, 1, 23), date(2024, 2, 10)],
         "other": [date(2023, 1, 22), date(2024, 5, 1)], "quiet": [date(2024, 5, 2)]},
        ["quiet"],
    )  # fmt: skip
    kinds = {str(date.fromordinal(719_163 + day)): kind for day, kind in calendar.days}
    assert kinds == {
        "2023-01-22": 0,
        "2023-01-23": 1,
        "2024-02-10": 0,
        "2024-05-01": 2,
        "2024-05-02": SILENT,
    }
    assert calendar.kinds == 3


def test_a_week_is_special_if_a_day_of_it_is() -> None:
    calendar = Calendar.of({"x": [date(2026, 1, 7)]}, [])
    monday = (date(2026, 1, 5) - date(1970, 1, 1)).days
    assert calendar.kind(monday, 7) == 0
    assert calendar.kind(monday, 1) is None
    assert calendar.kind(monday + 7, 7) is None


def test_a_shop_that_is_closed_on_holidays_is_expected_to_be() -> None:
    shown = panel(axis(3 * 365), {}, 11)
    closed = np.isin(shown.starts.astype("datetime64[D]"), np.array(CHRISTMAS, "datetime64[D]"))
    shown.values[closed] = np.nan
    shown.counts[closed] = 0

    assert on(run(settings(calendar={"days": DAYS}), shown).groups, CHRISTMAS) == []
