from __future__ import annotations

import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from anomaly_detector.errors import PermanentError
from anomaly_detector.events.group import Cause, Part
from anomaly_detector.lake import parquet, results
from anomaly_detector.lookout.group import anomaly_group
from anomaly_detector.panel import Scores
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.alerts_samples import HOUR, START, config, group

ARRAYS = ("actual", "expected", "lower", "upper", "severity", "direction", "anomalous")


def scores(
    slices: list[list[str]], intervals: int, seed: int = 0, dimensions=("platform", "marketplace")
) -> Scores:
    noise = np.random.default_rng(seed)
    shape = (intervals, 2, len(slices))

    def numbers() -> np.ndarray:
        return np.where(noise.random(shape) < 0.2, np.nan, noise.normal(size=shape))

    axis = np.datetime64("2022-01-14T22:00:00") + np.arange(intervals) * np.timedelta64(3600, "s")
    return Scores(
        starts=axis.astype("datetime64[s]"),
        dimensions=tuple(dimensions),
        slices=np.array(slices, dtype=object).reshape(len(slices), len(dimensions)),
        measures=("revenue", "views"),
        actual=numbers(),
        expected=numbers(),
        lower=numbers(),
        upper=numbers(),
        severity=noise.random(shape) * 100,
        direction=noise.integers(-1, 2, shape).astype(np.int8),
        anomalous=noise.random(shape) < 0.1,
    )


def test_scores_table_has_the_documented_columns_and_types() -> None:
    table = results.scores_table(scores([["a", "us"], ["*", "*"]], 3), config())
    stored = pq.read_table(io.BytesIO(parquet.write(table)))
    number = pa.float64()
    assert list(zip(stored.column_names, stored.schema.types, strict=True)) == [
        ("interval_start", pa.timestamp("ms", tz="UTC")),
        ("measure", pa.string()),
        ("platform", pa.string()),
        ("marketplace", pa.string()),
        ("actual", number),
        ("expected", number),
        ("lower", number),
        ("upper", number),
        ("severity", number),
        ("direction", pa.string()),
        ("anomalous", pa.bool_()),
    ]


def test_timestamps_are_stored_as_milliseconds_not_int96() -> None:
    body = parquet.write(results.scores_table(scores([["a", "us"]], 1), config()))
    column = pq.ParquetFile(io.BytesIO(body)).schema.column(0)
    assert column.physical_type == "INT64"
    assert "timeUnit=milliseconds" in str(column.logical_type)


def test_missing_numbers_are_null_and_no_direction_is_null() -> None:
    given_scores = scores([["a", "us"]], 1)
    given_scores.actual[:] = np.nan
    given_scores.direction[0, :, 0] = [0, -1]
    rows = results.scores_table(given_scores, config()).to_pylist()
    assert [row["actual"] for row in rows] == [None, None]
    assert [row["direction"] for row in rows] == [None, "down"]
    assert rows[0]["interval_start"] == datetime(2022, 1, 14, 22, tzinfo=UTC)
    assert (rows[0]["platform"], rows[0]["marketplace"]) == ("a", "us")


values = st.text(st.characters(codec="utf-8"), max_size=5)


@settings(max_examples=40)
@given(
    slices=st.lists(st.tuples(values, values), unique=True, max_size=6),
    intervals=st.integers(1, 4),
    seed=st.integers(0, 1000),
)
def test_a_row_says_what_the_scores_say(slices, intervals, seed) -> None:
    before = scores([list(one) for one in sorted(slices)], intervals, seed)
    silent = np.random.default_rng(seed).random(before.actual.shape) < 0.3
    before.actual[silent] = before.expected[silent] = np.nan
    stored = pq.read_table(io.BytesIO(parquet.write(results.scores_table(before, config()))))
    rows = stored.to_pylist()
    keys = [
        (row["interval_start"], row["measure"], row["platform"], row["marketplace"]) for row in rows
    ]
    assert keys == sorted(keys)
    assert len(rows) == np.sum(~(np.isnan(before.actual) & np.isnan(before.expected)))
    names = [tuple(one) for one in before.slices.tolist()]
    for row in rows:
        start = np.datetime64(row["interval_start"].replace(tzinfo=None), "s")
        t = before.starts.tolist().index(start.item())
        m = before.measures.index(row["measure"])
        k = names.index((row["platform"], row["marketplace"]))
        for name in ("actual", "expected", "lower", "upper", "severity"):
            value = getattr(before, name)[t, m, k]
            assert row[name] == value or (row[name] is None and np.isnan(value))
        side = {"up": 1, "down": -1, None: 0}[row["direction"]]
        assert side == before.direction[t, m, k]
        assert row["anomalous"] == before.anomalous[t, m, k]


def test_a_detector_without_dimensions_has_one_series_per_measure() -> None:
    one = scores([[]], 2, dimensions=())
    one.expected[:] = 1.0
    table = results.scores_table(one, config(dimensions=[]))
    assert table["measure"].to_pylist() == sorted(config().measures) * 2


def test_scores_of_other_dimensions_are_refused() -> None:
    with pytest.raises(PermanentError, match="dimensions"):
        results.scores_table(scores([["a", "us"]], 1), config(dimensions=["platform"]))


@given(
    slices=st.lists(st.tuples(values, values), unique=True, min_size=1, max_size=6),
    seed=st.integers(0, 1000),
)
def test_parts_put_together_are_what_one_part_gives(slices, seed) -> None:
    whole = scores([list(one) for one in sorted(slices)], 1, seed)
    parts = []
    for m, name in enumerate(whole.measures):
        cut = {each: getattr(whole, each)[:, m : m + 1] for each in ARRAYS}
        parts.append(results.scores_table(replace(whole, measures=(name,), **cut), config()))
    stored = [parquet.read(parquet.write(part)) for part in parts]
    assert parquet.write(results.by_measure(stored)) == parquet.write(
        results.scores_table(whole, config())
    )


def test_a_table_is_cut_by_date_and_by_interval_in_utc() -> None:
    one = scores([["a", "us"], ["b", "us"]], 5)
    one.expected[:] = 1.0
    table = results.scores_table(one, config())
    first = datetime(2022, 1, 14, 22, tzinfo=UTC)
    by_interval = list(results.by_interval(table))
    assert [start for start, _ in by_interval] == [first + n * HOUR for n in range(5)]
    assert all(rows.num_rows == 4 for _, rows in by_interval)
    # two intervals of the 14th, two of the 15th before the bound, and one after it
    cut = [(at, rows.num_rows) for at, rows in results.by_date_until(table, first + 4 * HOUR)]
    assert cut == [(first, 8), (first + 2 * HOUR, 8), (first + 4 * HOUR, 4)]
    whole = pa.concat_tables([rows for _, rows in results.by_date_until(table, first + HOUR)])
    assert whole.equals(table)
    assert list(results.by_interval(table.slice(0, 0))) == []


def test_groups_and_their_contributions_are_rows() -> None:
    part = Part({"platform": "mobile_app"}, 650.0, 1000.0, -340.0, 97.14)
    one = group(hours=2, cause=Cause(-350.0, (part,), 2.86))
    (row,) = results.anomalies_table([one]).to_pylist()
    assert row == {
        "group_id": one.id,
        "measure": "revenue",
        "start_time": START,
        "end_time": START + 2 * HOUR,
        "severity": 83.333,
        "direction": "down",
        "state": "CLOSED",
        "actual": 650.0,
        "expected": 1000.0,
        "series_count": 3,
        "kind": "dip",
        "slices": '[{"platform": "mobile_app"}]',
        "root_cause": json.dumps(anomaly_group(one)["RootCause"]),
    }
    assert results.anomalies_table([group()])["root_cause"].to_pylist() == [None]
    rows = results.contributions_table([one]).to_pylist()
    assert [(row["dimension"], row["value"], row["contribution"]) for row in rows] == [
        ("platform", "mobile_app", 100.0),
        ("marketplace", "us", 67.6),
        ("marketplace", "de", 32.4),
    ]
    assert results.anomalies_table([]).num_rows == 0
    assert results.contributions_table([]).num_rows == 0


def test_dates_of_results_are_utc_whatever_the_zone_of_the_time() -> None:
    table = results.anomalies_table([group(start=START.astimezone() + timedelta())])
    assert table["start_time"].to_pylist() == [START]
