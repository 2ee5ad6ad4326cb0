"""A local file gives what the deployed detector gives: the same aggregates as the warehouse SQL,
and the same scores and events as training and the live crawl.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from anomaly_detector.config import Config
from anomaly_detector.lake import parquet
from anomaly_detector.warehouse import sql
from moto import mock_aws

from tests.unit import standin
from tests.unit.cli_files import aggregated, backtest, groups, scores, write_csv
from tests.unit.services_world import DAY, H1, HISTORY_DAYS, World, document, sales

# --- aggregates ---------------------------------------------------------------------------------

QUERY = "select * from rows where ts >= {{ window_start }} and ts < {{ window_end }}"


def random_rows(seed: int, begin: datetime, hours: int) -> list[tuple[Any, ...]]:
    """Rows with NULLs, stars, trailing blanks and empty texts, over a change of the clocks."""
    random = np.random.default_rng(seed)
    names = ["app", "web", "web ", "*", None, ""]
    rows: list[tuple[Any, ...]] = []
    for _ in range(1500):
        when = begin + timedelta(seconds=int(random.integers(0, hours * 3600)))
        platform, market = names[random.integers(6)], f"m{random.integers(3)}"
        value = None if random.random() < 0.2 else round(float(random.normal(80, 50)), 2)
        rows.append((when.strftime("%Y-%m-%d %H:%M:%S"), platform, market, value))
    return rows


def wall_gap(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Without the wall-clock times that a change of the clocks skips or repeats."""
    return [row for row in rows if not "2025-03-30 02" <= str(row[0]) < "2025-03-30 03"]


def of_warehouse(
    config: Config, rows: list[tuple[Any, ...]], begin: datetime, end: datetime
) -> Any:
    opened = standin.open_database()
    opened.execute(
        "create table rows(ts timestamp, platform varchar, market varchar, "
        + ", ".join(f"{name} double" for name in config.measures)
        + ")"
    )
    marks = ", ".join(["?"] * (3 + len(config.measures)))
    opened.executemany(
        f"insert into rows values ({marks})",
        # A file does not tell an empty text from none.
        [(row[0], row[1] or None, row[2], *[row[3]] * len(config.measures)) for row in rows],
    )
    statement = sql.aggregate(config, begin, end, history=False)
    return [tuple(row.values()) for row in standin.run(opened, statement)]


@pytest.mark.parametrize(
    ("interval", "timezone", "written_in", "rollups"),
    [
        ("PT1H", "UTC", "UTC", ["total", "single", "pairs"]),
        ("PT1H", "Asia/Kolkata", "Europe/Berlin", ["total"]),
        ("PT5M", "UTC", "America/New_York", []),
        ("P1D", "Europe/Berlin", "Europe/Berlin", ["single"]),
        ("P1W", "America/New_York", "Europe/Berlin", ["total"]),
        ("P1M", "Europe/Berlin", "Europe/Berlin", ["total"]),
    ],
)
def test_rows_are_aggregated_as_the_warehouse_does(
    tmp_path: Path, interval: str, timezone: str, written_in: str, rollups: list[str]
) -> None:
    names = ("SUM", "AVG", "MIN", "MAX", "COUNT", "COUNT_DISTINCT", "P50", "P95")
    measures: dict[str, dict[str, Any]] = {name.lower(): {"aggregation": name} for name in names}
    measures["p95"]["exact"] = True
    measures["rate"] = {"aggregation": "RATIO", "numerator": "sum", "denominator": "count_distinct"}
    config = Config.model_validate(
        {
            "interval": interval,
            "timezone": timezone,
            "timestamp_column": {"name": "ts", "timezone": written_in},
            "measures": measures,
            "dimensions": ["platform", "market"],
            "dimension_filters": {"market": ["m0", "m2"]},
            "rollups": rollups,
            "query": QUERY,
        }
    )
    rows = wall_gap(random_rows(5, datetime(2025, 3, 29, 1, tzinfo=UTC), 90))
    header = ("ts", "platform", "market", *config.measures)
    data = write_csv(
        tmp_path / "rows.csv", [(*row, *[row[3]] * len(names)) for row in rows], header
    )

    found = aggregated(config, data)

    landed = of_warehouse(config, rows, found.begin, found.end)
    panel = found.panel
    place = {tuple(key): index for index, key in enumerate(panel.slices.tolist())}
    when = {start.item(): index for index, start in enumerate(panel.starts)}
    assert set(place) == {(row[1], row[2]) for row in landed}
    values, counts = np.full(panel.values.shape, np.nan), np.zeros(panel.counts.shape)
    for row in landed:
        for measure in range(len(measures)):
            value, count = row[3 + 2 * measure], row[4 + 2 * measure]
            at = when[row[0]], measure, place[row[1], row[2]]
            values[at] = np.nan if value is None else value
            counts[at] = count
    np.testing.assert_allclose(panel.values, values, rtol=1e-12, atol=1e-9)
    np.testing.assert_array_equal(panel.counts, counts)
    norms = np.full(panel.values.shape, np.nan)
    normed = [place for place, one in enumerate(config.measures.values()) if one.normed]
    for row in landed:
        of_row = row[3 + 2 * len(measures) :]
        norms[when[row[0]], normed, place[row[1], row[2]]] = of_row[: len(normed)]
    assert panel.norms is not None
    np.testing.assert_allclose(panel.norms, norms, rtol=1e-6)


def read(tmp_path: Path, text: str, **stamp: str) -> list[datetime]:
    """Starts of the first and last interval of a file of these times."""
    config = Config.model_validate(
        {
            "interval": "PT5M",
            "timestamp_column": {"name": "ts"} | stamp,
            "measures": {"ts": {"aggregation": "COUNT"}},
        }
    )
    path = tmp_path / "times.csv"
    path.write_text(f"ts\n{text}\n", encoding="utf-8")
    found = aggregated(config, path)
    return [start.item().replace(tzinfo=UTC) for start in found.panel.starts[[0, -1]]]


@pytest.mark.parametrize(
    ("text", "stamp"),
    [
        ("2025-07-01 14:05:59\n2025-07-01 15:00:00.75", {}),
        ("2025-07-01T14:05:59Z\n2025-07-01T17:00+02:00", {}),
        ("2025-07-01T07:05:00-0700\n2025-07-01 15:00", {"timezone": "UTC"}),
        ("2025-07-01 16:05\n2025-07-01 17:00", {"timezone": "Europe/Berlin"}),
        ("20250701140559\n20250701150000", {"format": "yyyyMMddHHmmss"}),
        ("1.7.2025 14:05\n01.07.2025 15:00", {"format": "d.M.yyyy HH:mm"}),
        ("01-Jul-2025 02:05:59 PM\n01-jul-2025 03:00:00 pm", {"format": "dd-MMM-yyyy hh:mm:ss a"}),
        ("2025-07-01T14:05:59.123\n2025-07-01T15:00:00.5", {"format": "yyyy-MM-dd'T'HH:mm:ss.SSS"}),
    ],
)
def test_times_are_read_in_each_form(tmp_path: Path, text: str, stamp: dict[str, str]) -> None:
    first = datetime(2025, 7, 1, 14, 5, tzinfo=UTC)

    assert read(tmp_path, text, **stamp) == [first, first + timedelta(minutes=55)]


# --- scores and events --------------------------------------------------------------------------

LIVE = 6


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """The shop, trained on its history and crawled for some days."""
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        # Whole numbers: a sum of them has no last digit that depends on the order of rows.
        whole = [replace(sale, revenue=round(sale.revenue)) for sale in sales(LIVE)]
        made = World(whole)
        made.upload(document())
        made.activate()
        for day in range(1, LIVE + 1):
            assert made.crawl(H1 + DAY * day, f"crawl-{day}")
        yield made


def file_of(world: World, path: Path, days: int) -> Path:
    """The single rows behind the aggregates that the world lands, up to `days` after H1."""
    rows: list[tuple[Any, ...]] = []
    for sale in world.rows:
        if sale.day < H1 + DAY * days:
            when = f"{sale.day:%Y-%m-%d %H:%M:%S}"
            rows.append((when, sale.platform, sale.revenue, 1))
            rows.extend([(when, sale.platform, 0, 1)] * (sale.rows - 1))
    order = np.random.default_rng(2).permutation(len(rows))
    return write_csv(path, [rows[i] for i in order], ("ts", "platform", "revenue", "views"))


def stored(world: World) -> list[dict[str, Any]]:
    keys = sorted(key for key in world.published() if key.startswith("results/scores/"))
    table = pa.concat_tables([parquet.read(world.store.get(key)) for key in keys])
    return list(table.sort_by([(name, "ascending") for name in table.column_names[:3]]).to_pylist())


def before(rows: list[dict[str, Any]], end: datetime) -> list[dict[str, Any]]:
    return [row for row in rows if row["interval_start"] < end]


@pytest.mark.parametrize("days", [0, LIVE])
def test_scores_are_those_of_training_and_of_the_live_crawl(
    world: World, tmp_path: Path, days: int
) -> None:
    # The first scored interval is that of the deployed detector's backtest.
    share = 1 - (round(HISTORY_DAYS * 0.3) + days) / (HISTORY_DAYS + days)

    data = file_of(world, tmp_path / "rows.csv", days)
    found = scores(backtest(json.loads(document()), data, "--train-fraction", repr(share)))

    # A row of an interval is rewritten by no later crawl unless late rows came; there were none.
    assert found == before(stored(world), H1 + DAY * days)
    assert len(found) == (round(HISTORY_DAYS * 0.3) + days) * 3 * 2


def test_events_are_those_of_the_live_crawl(world: World, tmp_path: Path) -> None:
    data = file_of(world, tmp_path / "rows.csv", LIVE)
    share = 1 - (round(HISTORY_DAYS * 0.3) + LIVE) / (HISTORY_DAYS + LIVE)
    out = backtest(json.loads(document()), data, "--train-fraction", repr(share))

    found = {one["AnomalyGroupId"]: one for one in groups(out)["groups"]}

    live = {one["AnomalyGroupId"]: one for one in world.groups()}
    assert found.keys() == live.keys()
    assert found
    for name, one in found.items():
        assert {key: live[name][key] for key in one} == one


def test_the_preview_of_training_is_that_of_the_file(world: World, tmp_path: Path) -> None:
    out = backtest(json.loads(document()), file_of(world, tmp_path / "rows.csv", 0))

    written = json.loads((out / "preview.json").read_text(encoding="utf-8"))
    assert written == world.store.get_json("reports/preview.json")
    advice = json.loads((out / "recommendation.json").read_text(encoding="utf-8"))
    assert advice == world.store.get_json("reports/recommendation.json")


def test_the_report_of_training_is_that_of_the_file(world: World, tmp_path: Path) -> None:
    out = backtest(json.loads(document()), file_of(world, tmp_path / "rows.csv", 0))

    written = json.loads((out / "training.json").read_text(encoding="utf-8"))
    # A file has no crawls that rows could be too late for.
    assert written | {"late_rows": 0} == world.store.get_json("reports/training.json")
    assert written["intervals"] == HISTORY_DAYS
    found = {(one["measure"], *one["dimensions"]): one for one in written["classes"]}
    assert list(found) == [
        ("revenue",),
        ("revenue", "platform"),
        ("views",),
        ("views", "platform"),
    ]
    # A platform sells 1,000 and 100 more on every day since Monday, with noise of 10.
    platforms = found["revenue", "platform"]
    assert (platforms["series"], platforms["learning"]) == (2, 0)
    assert platforms["seasons"] == ["week"]
    assert platforms["level"] == pytest.approx(1300, rel=0.05)
    assert (found["views",]["constant"], found["views", "platform"]["constant"]) == (1, 2)
