"""The SQL of a message gives the values that the detector saw."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from anomaly_detector.config import Config
from anomaly_detector.warehouse import sql
from anomaly_detector.warehouse.reproduction import reproduction

from tests.unit import standin

START = datetime(2024, 1, 1, 6, tzinfo=UTC)
HOUR = timedelta(hours=1)
QUERY = "select * from shop where ts >= {{ window_start }} and ts < {{ window_end }}"
# The strange ones have other names in results than in the table.
PLATFORMS = ("app", "web", None, "*", "it's \\ x", "y" * 300)


def config(**changes: Any) -> Config:
    document: dict[str, Any] = {
        "interval": "PT1H",
        "timestamp_column": {"name": "ts"},
        "measures": {
            "revenue": {},
            "orders": {"aggregation": "COUNT"},
            "price": {"aggregation": "AVG"},
            "share": {"aggregation": "RATIO", "numerator": "price", "denominator": "revenue"},
        },
        "dimensions": ["market", "platform"],
        "query": QUERY,
    }
    return Config.model_validate(document | changes)


@pytest.fixture(scope="module")
def database() -> Any:
    opened = standin.open_database()
    standin.run_script(
        opened,
        "create table shop (ts timestamp, market varchar(9), platform varchar(999), "
        "revenue decimal(9,2), orders int, price double precision)",
    )
    begin = START.replace(tzinfo=None) + timedelta(minutes=7)
    rows = [
        (begin + hour * HOUR, market, platform, 10 * hour + n + 0.25, n or None, 3.5 * n)
        for hour in range(-2, 5)
        for market in ("de", "us")
        for n, platform in enumerate(PLATFORMS)
    ]
    opened.executemany("insert into shop values (?, ?, ?, ?, ?, ?)", rows)
    return opened


def unloaded(database: Any, config: Config, measure: str, one: Mapping[str, str]) -> list[Any]:
    """What the detector sees of a slice."""
    place = list(config.measures).index(measure)
    rows = standin.run(database, sql.aggregate(config, START, START + 3 * HOUR, history=False))
    names = [one.get(name, "*") for name in config.dimensions]
    return [
        (row["interval_start"], row[f"measure_{place}_value"])
        for row in sorted(rows, key=lambda row: row["interval_start"])
        if [row[f"dimension_{n}"] for n in range(len(names))] == names
    ]


def shown(database: Any, config: Config, measure: str, *slices: Mapping[str, str]) -> list[Any]:
    text = reproduction(config, measure, slices, START, START + 3 * HOUR)
    return [tuple(row.values()) for row in standin.run(database, text)]


@pytest.mark.parametrize("measure", config().measures)
@pytest.mark.parametrize(
    "one",
    [
        {},
        {"market": "de"},
        {"platform": "app"},
        {"market": "us", "platform": "web"},
        {"platform": "(null)"},
        {"platform": "(*)"},
        {"platform": "it's \\ x"},
    ],
)
def test_it_gives_what_was_unloaded(database: Any, measure: str, one: Mapping[str, str]) -> None:
    found = shown(database, config(), measure, one)
    assert len(found) == 3
    assert found == unloaded(database, config(), measure, one)


def test_a_value_that_is_told_by_its_hash_is_found(database: Any) -> None:
    (name,) = {
        row["dimension_1"]
        for row in standin.run(
            database, sql.aggregate(config(), START, START + 3 * HOUR, history=False)
        )
        if row["dimension_1"].startswith("y")
    }
    one = {"platform": name}
    assert shown(database, config(), "revenue", one) == unloaded(database, config(), "revenue", one)


def test_several_slices_are_summed_and_none_twice(database: Any) -> None:
    both = shown(
        database, config(), "revenue", {"market": "de"}, {"market": "de", "platform": "app"}
    )
    assert both == shown(database, config(), "revenue", {"market": "de"})
    apart = shown(database, config(), "revenue", {"platform": "app"}, {"platform": "web"})
    sums = zip(
        shown(database, config(), "revenue", {"platform": "app"}),
        shown(database, config(), "revenue", {"platform": "web"}),
        strict=True,
    )
    assert apart == [(start, one + other) for (start, one), (_, other) in sums]


def test_what_the_detector_filters_is_filtered(database: Any) -> None:
    filtered = config(dimension_filters={"platform": ["app"]})
    assert shown(database, filtered, "revenue", {}) == unloaded(database, filtered, "revenue", {})


def test_whole_days_in_a_time_zone_are_those_of_the_detector(database: Any) -> None:
    berlin = config(interval="P1D", timezone="Europe/Berlin")
    start = datetime(2023, 12, 31, 23, tzinfo=UTC)
    text = reproduction(berlin, "orders", [{"market": "de"}], start, start + timedelta(days=1))
    (row,) = standin.run(database, text)
    assert row["interval_start"] == start.replace(tzinfo=None)
