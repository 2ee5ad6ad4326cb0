from __future__ import annotations

import io
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from anomaly_detector.errors import PermanentError
from anomaly_detector.lake import parquet, results
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
def test_scores_come_back_from_a_file_as_they_were(slices, intervals, seed) -> None:
    before = scores([list(one) for one in slices], intervals, seed)
    stored = pq.read_table(io.BytesIO(parquet.write(results.scores_table(before, config()))))
    after = results.scores_from_table(stored, config(), before.starts)
    assert after.measures == before.measures
    np.testing.assert_array_equal(after.starts, before.starts)
    np.testing.assert_array_equal(after.slices, before.slices)
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))


def test_tables_of_shards_are_read_back_together_in_any_order_of_rows() -> None:
    one = scores([["a", "us"], ["b", "us"]], 3, 1)
    other = scores([["a", "de"]], 3, 2)
    table = pa.concat_tables([results.scores_table(part, config()) for part in (one, other)])
    shuffled = table.take(pa.array(np.random.default_rng(0).permutation(table.num_rows)))
    found = results.scores_from_table(shuffled, config())
    place = [tuple(row) for row in found.slices].index(("a", "de"))
    np.testing.assert_array_equal(found.actual[:, :, place], other.actual[:, :, 0])
    assert found.actual.shape == (3, 2, 3)


def test_a_detector_without_dimensions_has_one_series_per_measure() -> None:
    plain = config(dimensions=[])
    before = scores([[]], 2, dimensions=())
    after = results.scores_from_table(results.scores_table(before, plain), plain)
    assert after.slices.shape == (1, 0)
    np.testing.assert_array_equal(after.severity, before.severity)


def test_a_table_that_does_not_fit_is_refused_by_name() -> None:
    table = results.scores_table(scores([["a", "us"]], 2), config())
    with pytest.raises(PermanentError, match="'marketplace'"):
        results.scores_from_table(table.drop_columns(["marketplace"]), config())
    with pytest.raises(PermanentError, match="outside the window"):
        results.scores_from_table(table, config(), np.array(["2022-01-14T22:00"], "datetime64[s]"))
    with pytest.raises(PermanentError, match="measure"):
        results.scores_from_table(table, config(measures={"views": {}}))
    with pytest.raises(PermanentError, match="dimensions"):
        results.scores_table(scores([["a", "us"]], 1), config(dimensions=["platform"]))


def test_a_table_is_cut_by_interval_and_by_date_in_utc() -> None:
    table = results.scores_table(scores([["a", "us"], ["b", "us"]], 4), config())
    table = pa.concat_tables([table.slice(8), table.slice(0, 8)])
    by_interval = list(results.by_interval(table))
    first = datetime(2022, 1, 14, 22, tzinfo=UTC)
    assert [start for start, _ in by_interval] == [first + n * HOUR for n in range(4)]
    assert all(rows.num_rows == 4 for _, rows in by_interval)
    by_date = [(day, rows.num_rows) for day, rows in results.by_date(table)]
    assert by_date == [(date(2022, 1, 14), 8), (date(2022, 1, 15), 8)]
    assert list(results.by_interval(table.slice(0, 0))) == []


def test_a_window_of_scores_is_half_open() -> None:
    begin = datetime(2022, 1, 14, 23, tzinfo=UTC)
    cut = results.window(scores([["a", "us"]], 5), begin, begin + 2 * HOUR)
    assert cut.starts.astype(str).tolist() == ["2022-01-14T23:00:00", "2022-01-15T00:00:00"]
    assert cut.actual.shape == (2, 2, 1)


def test_groups_and_their_contributions_are_rows() -> None:
    one = group(hours=2)
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
    }
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
