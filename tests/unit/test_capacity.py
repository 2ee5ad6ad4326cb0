"""Memory and time: what is refused, and that what is proposed instead is not."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import pytest
from anomaly_detector.capacity import (
    SPARE,
    Size,
    crawl,
    largest_window,
    most_slices,
    parts,
    refuse_crawl,
    refuse_detector,
    refuse_part,
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


def needs(document: Config, size: Size, measures: int = 1) -> float:
    """Least memory for both, each part of so many measures."""
    window = largest_window(document, size)
    found = training(document, size, measures), crawl(document, window, measures)
    return max(need.least_mb for need in found)


def of_memory(document: Config, memory_mb: int) -> Config:
    return document.model_copy(update={"memory_mb": memory_mb})


@settings(max_examples=200, deadline=None)
@given(detectors)
def test_whatever_the_sentence_says_to_set_is_enough(given: tuple[Config, Size]) -> None:
    document, size = given
    said = refuse_detector(document, size, "in the sample window")

    assert (said is None) == (needs(document, size) <= document.memory_mb)
    if said is None:
        return
    memory = re.search(r"set lambda.memory_mb to at least (\d+)", said)
    days = re.search(r"at most (\d+) days", said)
    series = re.search(r"at most ([\d,]+) series", said)
    most = document if memory else of_memory(document, 10_240)
    if memory:
        raised = int(memory[1])
        assert refuse_detector(of_memory(document, raised), size, "") is None
        # the step before is not enough
        assert raised - 64 <= document.memory_mb or refuse_detector(
            of_memory(document, raised - 64), size, ""
        )
    else:
        assert refuse_detector(most, size, "") is not None
    if days:
        shorter = size.of_intervals(int(days[1]) * 86_400 // SECONDS[document.interval])
        assert refuse_detector(most, shorter, "") is None
    if series:
        fewer = size.of_slices(int(series[1].replace(",", "")) // len(document.measures))
        assert refuse_detector(most, fewer, "") is None
        one_more = size.of_slices(fewer.slices + 1)
        assert refuse_detector(most, one_more, "") is not None


@settings(max_examples=200, deadline=None)
@given(detectors)
def test_there_are_as_few_parts_as_fit(given: tuple[Config, Size]) -> None:
    document, size = given
    found = parts(document, size)

    assert [name for part in found for name in part] == list(document.measures)
    lengths = [len(part) for part in found]
    assert max(lengths) - min(lengths) <= 1
    if len(found) < len(document.measures):
        assert needs(document, size, max(lengths)) <= document.memory_mb
        assert refuse_part(document, size, max(lengths), "") is None
    if len(found) > 1:
        # what the sample window has not shown needs room as well
        fewer = -(-len(document.measures) // (len(found) - 1))
        window = largest_window(document, size)
        held = training(document, size, fewer).bytes, crawl(document, window, fewer).bytes
        full = max(held) / (1 - SPARE) / 2**20 > document.memory_mb
        assert full or needs(document, size, fewer) > document.memory_mb


def test_a_small_detector_is_one_part() -> None:
    assert parts(config(measures=10), Size(0, 2160, 0)) == (tuple(config(measures=10).measures),)
    assert len(parts(config(measures=10), history(1_000))) == 1


@pytest.mark.parametrize("interval", INTERVALS)
def test_memory_does_not_depend_on_the_length_of_history(interval: IntervalName) -> None:
    document = config(interval)
    year = history(5_000, interval)

    assert training(document, year.of_intervals(2 * year.intervals)).bytes == pytest.approx(
        training(document, year).bytes
    )


@pytest.mark.parametrize("interval", INTERVALS)
def test_the_last_series_that_fits_passes_and_the_next_is_refused(interval: IntervalName) -> None:
    document = config(interval)
    most = most_slices(document, history(1_000_000, interval))

    assert 0 < most < 1_000_000
    assert refuse_detector(document, history(most, interval), "") is None
    assert refuse_detector(document, history(most + 1, interval), "") is not None


def test_the_sentence_names_every_number() -> None:
    most = most_slices(config(), history(1_000_000))
    said = refuse_detector(config(), history(2 * most), "in the sample window")

    assert said is not None
    told = re.fullmatch(
        r"([\d,]+) series in the sample window: (?:training on 2,160 intervals \(90 days of PT1H\)|"
        r"a crawl of 51 intervals) of each measure needs about ([\d,]+) MB, and lambda.memory_mb "
        r"is 1,769; set lambda.memory_mb to at least (\d+), or reduce the detector to at most "
        r"([\d,]+) series "
        r"\(fewer dimension values, dimensions or rollups\).",
        said,
    )
    assert told is not None
    series, needed, raised, kept = (int(number.replace(",", "")) for number in told.groups())
    assert (series, kept) == (4 * most, 2 * most)
    assert raised - 64 < needed <= raised


def test_what_no_function_can_hold_has_to_become_less() -> None:
    said = refuse_detector(config("PT5M"), history(3_000_000, "PT5M"), "in the sample window")

    assert said is not None
    assert "set lambda.memory_mb to" not in said
    assert "series with lambda.memory_mb = 10240" in said


def test_a_later_start_is_proposed_where_history_has_one() -> None:
    document = config("PT5M", measures=1, history={"start": "2026-01-01T00:00:00Z"})
    ages = Size(20_000, 10_000_000, 20_000 * 10_000_000)

    assert "days (a later history.start)" in str(refuse_detector(document, ages, ""))


def test_a_long_history_of_few_series_is_a_matter_of_time() -> None:
    year = Size(5, 100 * 105_120, 100 * 5 * 105_120)
    small, core = config("PT5M", memory_mb=512), config("PT5M")

    assert refuse_detector(core, year, "") is None
    ages = year.of_intervals(1000 * year.intervals)
    assert math.isinf(training(core, ages).least_mb)
    said = str(refuse_detector(core, ages, ""))
    assert "and more than 3,000 minutes, the maximum of 200 calls" in said
    assert "set lambda.memory_mb to" not in said
    several = year.of_intervals(2 * year.intervals)
    assert training(small, several).bytes < 512 * 2**20
    assert "needs the CPU share of" in str(refuse_detector(small, several, ""))


def test_a_crawl_is_judged_by_its_own_window() -> None:
    document = config()
    window = Size(16_000, 72, 16_000 * 72, 24.0)
    one = replace(window, intervals=4, rows=16_000 * 4)

    assert crawl(document, window).least_mb > crawl(document, one).least_mb
    least = next(
        mb for mb in range(512, 10_240) if not refuse_crawl(of_memory(document, mb), one, 2, "")
    )
    document = of_memory(document, least)
    assert refuse_crawl(document, one, 2, "in the window") is None
    assert "32,000 series in the window: a crawl of 72 intervals needs" in str(
        refuse_crawl(document, window, 2, "in the window")
    )
