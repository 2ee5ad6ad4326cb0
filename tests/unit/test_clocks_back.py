"""Clocks go back: wall-clock times come twice, their rows land in one of two intervals, and neither
the doubled nor the empty one is an event. Clocks go forward: times are skipped, and that is none.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from anomaly_detector import backtest
from anomaly_detector.config import Config
from anomaly_detector.detection.slots import shown_twice
from anomaly_detector.events.group import Group
from anomaly_detector.intervals import Grid, parse_iso
from anomaly_detector.local_file.aggregate import Aggregated
from anomaly_detector.panel import second
from anomaly_detector.replay import replay
from anomaly_detector.snapshot import Snapshot
from anomaly_detector.warehouse import sql
from moto import mock_aws

from tests.unit import standin
from tests.unit.cli_files import aggregated, write_csv
from tests.unit.detection_panels import panel, seasonal, settings
from tests.unit.services_world import Sale, World, document

STEP = timedelta(minutes=15)
# Zone of the times, when its clocks go back (UTC), interval, zone of the detector, unscored.
CHANGES = [
    ("Europe/Berlin", "2024-10-27T01:00Z", "PT1H", "Europe/Berlin", 2),
    ("Europe/Dublin", "2024-10-27T01:00Z", "PT15M", "UTC", 8),
    ("America/New_York", "2024-11-03T06:00Z", "PT1H", "Asia/Kolkata", 3),
    ("Australia/Lord_Howe", "2024-04-06T15:00Z", "PT1H", "UTC", 2),
    ("Australia/Lord_Howe", "2024-04-06T15:00Z", "PT1H", "Australia/Lord_Howe", 0),
    ("America/Havana", "2024-11-03T05:00Z", "PT1H", "America/Havana", 2),
    ("America/Sao_Paulo", "2018-02-18T02:00Z", "PT30M", "UTC", 4),
    ("Africa/Casablanca", "2024-03-10T02:00Z", "PT1H", "Africa/Casablanca", 2),
    ("Antarctica/Troll", "2024-10-27T01:00Z", "PT5M", "UTC", 48),
    ("Asia/Kolkata", "2024-10-27T01:00Z", "PT1H", "UTC", 0),
]
# The same of clocks that go forward.
FORWARD = [
    ("Europe/Berlin", "2024-03-31T01:00Z", "PT1H", "Europe/Berlin", 0),
    ("America/New_York", "2024-03-10T07:00Z", "PT15M", "UTC", 0),
    ("America/New_York", "2024-03-10T07:00Z", "PT1H", "America/New_York", 0),
    ("Australia/Lord_Howe", "2024-10-05T15:30Z", "PT1H", "UTC", 0),
    ("Australia/Lord_Howe", "2024-10-05T15:30Z", "PT1H", "Australia/Lord_Howe", 0),
]


def read(
    folder: Path, zone: str, change: str, interval: str, detector: str, days: int = 3
) -> tuple[Aggregated, list[datetime]]:
    """A file in the wall-clock times of a zone, whose clocks change near its end; its times."""
    random = np.random.default_rng(7)
    begin = parse_iso(change) - timedelta(days=days)
    instants = [begin + number * STEP for number in range((days + 2) * 96)]
    rows = [
        (f"{instant.astimezone(ZoneInfo(zone)):%Y-%m-%d %H:%M:%S}", round(random.normal(100, 2), 2))
        for instant in instants
    ]
    config = Config.model_validate(
        {
            "interval": interval,
            "timezone": detector,
            "timestamp_column": {"name": "ts", "timezone": zone},
            "measures": {"orders": {}},
        }
    )
    return aggregated(config, write_csv(folder / "rows.csv", rows, ("ts", "orders"))), instants


@pytest.mark.parametrize(
    ("zone", "change", "interval", "detector", "unscored"), [*CHANGES, *FORWARD]
)
def test_what_holds_rows_of_another_interval_is_not_scored_and_the_user_is_told(
    tmp_path: Path, zone: str, change: str, interval: str, detector: str, unscored: int
) -> None:
    rows, instants = read(tmp_path, zone, change, interval, detector)
    grid = Grid.of(rows.config)
    # given the intervals that hold other rows than they should
    true = Counter(grid.floor(instant) for instant in instants)
    held = dict(zip(grid.starts(rows.begin, rows.end), rows.panel.counts[:, 0, 0], strict=True))
    wrong = {start for start, count in held.items() if count != true[start]}
    # then these are not scored
    starts = rows.panel.starts
    unclear = starts[shown_twice(grid, starts, rows.config.timestamp_column.timezone)]
    assert wrong <= {one.replace(tzinfo=UTC) for one in unclear.tolist()}
    assert len(unclear) == unscored
    # and the user is told
    said = [line for line in rows.said if "show their times twice" in line]
    assert len(said) == (unscored > 0)
    assert not said or said[0].startswith(f"{unscored} intervals, the first from ")


@pytest.mark.parametrize(
    "case",
    [CHANGES[0], CHANGES[3], ("America/New_York", "2024-11-03T06:00Z", "PT1H", "UTC", 2), *FORWARD],
)
def test_neither_what_comes_twice_nor_what_is_skipped_is_an_event(
    tmp_path: Path, case: tuple[str, str, str, str, int]
) -> None:
    zone, change, interval, detector, unscored = case
    rows, _ = read(tmp_path, zone, change, interval, detector, days=15)
    assert not events(rows.config, rows, change)
    # given a reader that takes the doubled hour for what it seems, then it is an event
    column = rows.config.timestamp_column.model_copy(update={"timezone": "UTC"})
    unaware = rows.config.model_copy(update={"timestamp_column": column})
    assert bool(events(unaware, rows, change)) == bool(unscored)


@pytest.mark.parametrize("case", [*CHANGES, *FORWARD])
def test_the_warehouse_has_the_rows_where_the_file_has_them(
    tmp_path: Path, case: tuple[str, str, str, str, int]
) -> None:
    # given a file around a change of the clocks
    zone = case[0]
    rows, instants = read(tmp_path, *case[:4], days=1)
    # when the same rows are aggregated in a warehouse
    opened = standin.open_database()
    opened.execute("create table rows(ts timestamp, orders double)")
    opened.executemany(
        "insert into rows values (?, 1)",
        [[instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)] for instant in instants],
    )
    query = "select * from rows where ts >= {{ window_start }} and ts < {{ window_end }}"
    config = rows.config.model_copy(update={"query": query})
    landed = standin.run(opened, sql.aggregate(config, rows.begin, rows.end, history=False))
    # then each interval has as many
    found = {row["interval_start"]: row["measure_0_count"] for row in landed}
    starts = rows.panel.starts.tolist()
    assert [found.get(one, 0) for one in starts] == rows.panel.counts[:, 0, 0].tolist()


def events(config: Config, rows: Aggregated, change: str) -> tuple[Group, ...]:
    """Events of the days around the change."""
    begin = Grid.of(config).floor(parse_iso(change) - timedelta(hours=6))
    scored = backtest.score(config, rows.panel, score_from=second(begin))
    return scored.groups


def test_times_with_their_offset_are_all_scored(tmp_path: Path) -> None:
    # given a file whose times tell themselves apart
    zone = ZoneInfo("Europe/Berlin")
    begin = datetime(2024, 10, 20, tzinfo=UTC)
    hours = [(begin + timedelta(hours=n)).astimezone(zone) for n in range(14 * 24)]
    data = write_csv(
        tmp_path / "rows.csv", [(hour.isoformat(), 10) for hour in hours], ("ts", "orders")
    )
    config = Config.model_validate(
        {
            "interval": "PT1H",
            "timestamp_column": {"name": "ts", "timezone": "Europe/Berlin"},
            "measures": {"orders": {}},
        }
    )
    # when it is read, then no interval is left out
    rows = aggregated(config, data)
    assert rows.config.timestamp_column.timezone == "UTC"
    assert not [line for line in rows.said if "twice" in line]


def test_other_time_zone_rules_of_the_reader_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone, change, interval, detector, _ = CHANGES[0]
    told = "time zone data of DuckDB for Europe/Berlin"
    assert not [line for line in read(tmp_path, *CHANGES[0][:4])[0].said if told in line]
    # given a reader whose rules for the zone are an hour off
    monkeypatch.setattr(sql, "zone_seconds", lambda *_: "3600")
    # then the user is told
    rows, _ = read(tmp_path, zone, change, interval, detector)
    assert [line for line in rows.said if told in line]


def test_nothing_is_learnt_of_it_and_it_is_shown_as_missing() -> None:
    # given a series that is usual, with a doubled hour
    usual = seasonal(24 * 18)
    chosen = replace(settings(), clock="Europe/Berlin")
    start = np.datetime64("2025-10-26T00:00:00", "s") - np.timedelta64(24 * 17, "h")
    whole = panel({"a": usual})
    whole = replace(whole, starts=start + np.arange(len(usual)) * np.timedelta64(1, "h"))
    odd = whole.values.copy()
    odd[24 * 17] *= 2
    odd[24 * 17 + 1] = np.nan
    # when it is replayed, then all else is as in a series with other values there
    other_values = whole.values.copy()
    other_values[24 * 17 : 24 * 17 + 2] = [[[np.nan]], [[0.0]]]
    one, other = (
        replay(chosen, Snapshot.initial(chosen), replace(whole, values=values)).scores
        for values in (odd, other_values)
    )
    for name in ("actual", "expected", "lower", "upper", "severity"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert np.isnan(one.actual[24 * 17, 0, 0])
    assert np.isfinite(one.expected[24 * 17, 0, 0])


@mock_aws
def test_a_crawl_says_why_an_interval_is_not_scored() -> None:
    # given an hourly detector in Sydney, whose clocks go back on 5 April 2026 at 16:00 UTC before
    back = datetime(2026, 4, 4, 16, tzinfo=UTC)
    hours = [back + timedelta(hours=n) for n in range(-24 * 5, 6)]
    landed = [hour for hour in hours if hour != back]
    rows = [
        Sale(hour, platform, 2000.0 if hour == back - timedelta(hours=1) else 1000.0, 1, hour)
        for hour in landed
        for platform in ("app", "web")
    ]
    world = World(rows)
    world.upload(
        document(
            interval="PT1H",
            timestamp_column={"name": "ts", "timezone": "Australia/Sydney"},
            history={"length": "P4D"},
            lookback_intervals=0,
        )
    )
    world.activate(at=back - timedelta(hours=3))
    # when the hours around it are crawled
    for number in range(-2, 4):
        world.crawl(back + timedelta(hours=number), f"run-{number + 2}")
    # then both are told, and no alert is sent
    told = world.ledger.intervals(back - timedelta(hours=3), back + timedelta(hours=3))
    reasons = {start: one.reason for start, one in told.items() if one.reason}
    assert set(reasons) == {back - timedelta(hours=1), back}
    assert set(reasons.values()) == {"Not scored: clocks in Australia/Sydney show its times twice."}
    assert not world.groups()
