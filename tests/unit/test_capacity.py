"""Memory and time: what is refused, and that what is proposed instead is not."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import pytest
from anomaly_detector.capacity import (
    MOST_DUE,
    Size,
    crawl,
    largest_window,
    most_slices,
    refuse_crawl,
    refuse_detector,
    training,
)
from anomaly_detector.config import DEFAULT_HISTORY_DAYS, Config, IntervalName
from anomaly_detector.intervals import SECONDS
from hypothesis import given, settings
from hypothesis import strategies as st

INTERVALS: list[IntervalName] = ["PT5M", "PT1H", "P1D"]


def config(interval: str = "PT1H", measures: int = 2, dimensions: int = 3, **more: Any) -> Config:
    return Config.model_validate(
        {
            "interval": interval,
            "timestamp_column": {"name": "ts"},
            "measures": {f"measure_{place}": {} for place in range(measures)},
            "dimensions": [f"dimension_{place}" for place in range(dimensions)],
            "memory_mb": 1769,
            **more,
        }
    )


def history(slices: int, interval: IntervalName = "PT1H", text: float = 24.0) -> Size:
    intervals = DEFAULT_HISTORY_DAYS[interval] * 86_400 // SECONDS[interval]
    return Size(slices, intervals, slices * intervals, text)


detectors = st.tuples(
    st.builds(
        config,
        interval=st.sampled_from(INTERVALS),
        measures=st.integers(1, 10),
        dimensions=st.integers(0, 10),
        memory_mb=st.integers(512, 10_240),
        lookback_intervals=st.integers(0, 24),
    ),
    st.builds(
        Size,
        slices=st.integers(1, 300_000),
        intervals=st.integers(1, 105_000),
        rows=st.integers(0, 10**8),
        text=st.floats(0, 500),
    ),
)


@settings(max_examples=300, deadline=None)
@given(detectors)
def test_whatever_the_sentence_says_to_set_is_enough(given: tuple[Config, Size]) -> None:
    document, size = given
    said = refuse_detector(document, size, "in the sample window")
    window = largest_window(document, size)
    need = max(training(document, size).least_mb, crawl(document, window).least_mb)

    assert (said is None) == (need <= document.memory_mb)
    if said is None:
        return
    memory = re.search(r"set lambda.memory_mb to at least (\d+)", said)
    days = re.search(r"to at most (\d+) days", said)
    series = re.search(r"at most ([\d,]+) series", said)
    assert (memory is None) == (need > 10_240)
    most = document if memory else document.model_copy(update={"memory_mb": 10_240})
    if memory:
        raised = document.model_copy(update={"memory_mb": int(memory[1])})
        assert refuse_detector(raised, size, "") is None
        assert int(memory[1]) - need < 64
    if days:
        shorter = size.of_intervals(int(days[1]) * 86_400 // SECONDS[document.interval])
        assert refuse_detector(most, shorter, "") is None
    if series:
        fewer = size.of_slices(int(series[1].replace(",", "")) // len(document.measures))
        assert refuse_detector(most, fewer, "") is None
        one_more = size.of_slices(fewer.slices + 1)
        assert refuse_detector(most, one_more, "") is not None


@pytest.mark.parametrize("interval", INTERVALS)
def test_the_last_series_that_fits_passes_and_the_next_is_refused(interval: IntervalName) -> None:
    document = config(interval)
    most = most_slices(document, history(1_000_000, interval))

    assert 0 < most < 1_000_000
    assert refuse_detector(document, history(most, interval), "") is None
    assert refuse_detector(document, history(most + 1, interval), "") is not None


def test_the_sentence_names_every_number() -> None:
    said = refuse_detector(config("PT5M"), history(800, "PT5M"), "in the sample window")

    need = training(config("PT5M"), history(800, "PT5M")).least_mb
    assert said is not None
    assert said.startswith(
        "1,600 series in the sample window: training on 8,640 intervals (30 days of PT5M) needs "
        f"about {need:,.0f} MB, and lambda.memory_mb is 1,769; set lambda.memory_mb to at least "
        f"{64 * math.ceil(need / 64)}, or shorten the history to at most "
    )
    assert said.count(".") - said.count("lambda.memory_mb") - said.count("history.length") == 1


def test_what_no_function_can_hold_has_to_become_less() -> None:
    said = refuse_detector(config("PT5M"), history(100_000, "PT5M"), "in the sample window")

    assert said is not None
    assert "set lambda.memory_mb to" not in said
    assert "series with lambda.memory_mb = 10240" in said


def test_a_later_start_is_proposed_where_history_has_one() -> None:
    document = config(history={"start": "2026-01-01T00:00:00Z"})

    assert "days (a later history.start)" in str(refuse_detector(document, history(5_000), ""))


def test_a_long_history_of_few_series_is_a_matter_of_time() -> None:
    year = Size(5, 105_120, 5 * 105_120)
    small, core = config("PT5M", memory_mb=512), config("PT5M")

    said = refuse_detector(small, year, "in the sample window")

    assert said is not None
    assert training(small, year).bytes < 512 * 2**20
    assert "needs the CPU share of" in said
    assert refuse_detector(core, year, "") is None
    ages = replace(year, intervals=10 * year.intervals, rows=10 * year.rows)
    assert math.isinf(training(core, ages).least_mb)
    said = str(refuse_detector(core, ages, ""))
    assert "and more than 15 minutes, the maximum of a function" in said
    assert "set lambda.memory_mb to" not in said


def test_many_series_of_a_short_history_are_refused_for_their_crawl() -> None:
    document = config("PT5M", lookback_intervals=24)
    few = Size(40_000, 20, 40_000 * 20, 24.0)

    said = refuse_detector(document, few, "in the sample window")

    assert said is not None
    assert f"a crawl of {MOST_DUE + 24} intervals needs about" in said
    assert "days long" not in said


def test_a_crawl_is_judged_by_its_own_window() -> None:
    document = config()
    window = Size(16_000, 72, 16_000 * 72, 24.0)
    one = replace(window, intervals=4, rows=16_000 * 4)

    assert crawl(document, window).least_mb > crawl(document, one).least_mb
    document = config(memory_mb=math.ceil(crawl(document, one).least_mb))
    assert refuse_crawl(document, one, "in the window") is None
    assert "32,000 series in the window: a crawl of 72 intervals needs" in str(
        refuse_crawl(document, window, "in the window")
    )


def test_sparse_rows_need_less_than_rows_in_every_interval() -> None:
    dense = history(1_000)
    sparse = replace(dense, rows=dense.rows // 20)

    assert training(config(measures=1), sparse).bytes < training(config(measures=1), dense).bytes
