"""Estimate the memory and time that a detector needs in its functions, and what to set. Pure.

The sizes of all arrays and tables that exist at the same time are added up, and the largest sum of
a step is used. `BASE`, `HELD` and the seconds were measured by `python -m tests.benchmarks.memory`,
which compares the estimate with the measured usage of each function: `docs/capacity.md` is its
result. The estimate should be above the usage, and at most about twice as large.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

from anomaly_detector.backtest import SCORED_SHARE
from anomaly_detector.config import MOST_MEMORY_MB, Config, IntervalName
from anomaly_detector.detection.settings import DetectorSettings, MeasureRule
from anomaly_detector.detection.state import PARTS
from anomaly_detector.intervals import SECONDS, Grid
from anomaly_detector.limits import CORE_MB, MOST_DUE, MOST_SECONDS

MB = 2**20
# Python, both layers, clients for S3 and DynamoDB, and pools allocated for the first Parquet file.
BASE = 175 * MB
# Bytes that allocators use per requested byte.
HELD = 1.3
# CPU seconds per call, per interval, per value in it, and per series for reading and writing;
# measured with the memory.
CALL_SECONDS = 1.0
INTERVAL_SECONDS = 2.5e-3
SERIES_SECONDS = 1e-4
VALUE_SECONDS = 3e-6
# How much slower a Lambda vCPU is assumed to be: a safety margin, not a measurement.
SLOWER = 2.0

_DAY = 86_400
_FEWEST_DAYS = 14  # shortest history to propose
_STEP_MB = 64
_NUMBER, _OFFSET = 8, 4  # bytes of a number, and of a text's offset in its column
_NAMES = 1_500  # bytes of a slice's names as Python objects, in lists and dictionaries


@dataclass(frozen=True)
class Size:
    """Amount of data that a detector processes.

    Attributes
    ----------
    slices : combinations of dimension values, including roll-ups.
    intervals : of the history or of the crawl's window.
    rows : maximum number of unloaded rows in them.
    text : bytes of all dimension values of a row, on average.
    """

    slices: int
    intervals: int
    rows: int
    text: float = 0.0

    @classmethod
    def least(cls, rows: int, intervals: int) -> Size:
        """Lower bound for a number of unloaded rows: a slice has at most one row per interval."""
        return cls(-(-rows // max(1, intervals)), intervals, rows)

    def of_intervals(self, intervals: int) -> Size:
        """The same slices and density, with another number of intervals."""
        rows = self.rows * intervals // max(1, self.intervals)
        return replace(self, intervals=intervals, rows=rows)

    def of_slices(self, slices: int) -> Size:
        """The same intervals and density, with another number of slices."""
        return replace(self, slices=slices, rows=self.rows * slices // max(1, self.slices))


@dataclass(frozen=True)
class Need:
    """Bytes of memory, and CPU seconds on the measuring machine."""

    bytes: float
    seconds: float

    @property
    def least_mb(self) -> float:
        """Minimum `lambda.memory_mb`; infinite if no function is fast enough."""
        # CPU is proportional to memory up to one vCPU; more memory is not faster.
        share = self.seconds * SLOWER / MOST_SECONDS
        return max(self.bytes / MB, CORE_MB * share) if share <= 1 else math.inf


def training(config: Config, size: Size) -> Need:
    """Training on a history and publishing its backtest."""
    a_day = _DAY // SECONDS[config.interval]
    scored = min(size.intervals, math.ceil(SCORED_SHARE * size.intervals) + a_day)
    parts = _Parts.of(config, size)
    # The state, its copy during training, and the snapshot.
    train = max(parts.read(), parts.panel + 3 * parts.state + parts.score(scored))
    return parts.need(max(train, parts.publish(scored)))


def crawl(config: Config, size: Size) -> Need:
    """Scoring a window, and committing and delivering its results."""
    parts = _Parts.of(config, size)
    # The state, its copy, the snapshot and the model file.
    detect = max(parts.read(), parts.panel + parts.score(size.intervals)) + 4 * parts.state
    return parts.need(max(detect, parts.publish(size.intervals)))


def largest_window(config: Config, size: Size) -> Size:
    """The maximum number of intervals of a crawl, with a row of each slice in each."""
    intervals = MOST_DUE + config.lookback_intervals
    return replace(size, intervals=intervals, rows=size.slices * intervals)


@dataclass(frozen=True)
class _Parts:
    """Bytes of data structures, without the overhead of allocators."""

    size: Size
    values: int  # series x intervals
    series: int
    dimensions: int
    row: float  # an unloaded row in a table
    texts: float  # the dimension values in it
    scored_row: float  # a row of scores in a table
    state: float  # of all series

    @classmethod
    def of(cls, config: Config, size: Size) -> _Parts:
        measures, dimensions = len(config.measures), len(config.dimensions)
        series = size.slices * measures
        texts = size.text + _OFFSET * dimensions
        name = sum(map(len, config.measures)) / measures + _OFFSET
        return cls(
            size=size,
            values=series * size.intervals,
            series=series,
            dimensions=dimensions,
            row=_NUMBER * (2 + 2 * measures) + texts,
            texts=texts,
            # Time, five numbers, the direction as text, and whether it is anomalous.
            scored_row=_NUMBER * 6 + name + texts + 2 + _OFFSET + 1,
            state=series * _state_bytes(config.interval),
        )

    @property
    def panel(self) -> float:
        """Value and count per series and interval."""
        return 2.0 * _NUMBER * self.values

    def read(self) -> float:
        """Files as unloaded, their columns that are used, and the codes of the slices."""
        codes = _NUMBER * (self.dimensions + 8)
        return self.size.rows * (2 * self.row + self.texts + codes) + self.panel

    def score(self, intervals: int) -> float:
        """Arrays of scores, the table made of them and its filtered copy."""
        arrays = 5 * _NUMBER + 2
        return self.series * intervals * (arrays + 2 * self.scored_row + 3 * _NUMBER)

    def publish(self, intervals: int) -> float:
        """Tables of scores, sorted and by date, and the arrays read from them."""
        codes = _NUMBER * (self.dimensions + 8)
        arrays = 6 * _NUMBER + 2
        return self.series * intervals * (2.2 * self.scored_row + codes + arrays)

    def need(self, held: float) -> Need:
        seconds = CALL_SECONDS + INTERVAL_SECONDS * self.size.intervals
        seconds += SERIES_SECONDS * self.series + VALUE_SECONDS * self.values
        return Need(BASE + HELD * (held + _NAMES * self.size.slices), seconds)


@cache
def _state_bytes(interval: IntervalName) -> int:
    """Bytes of a model per series."""
    measure = MeasureRule("one", "SUM")
    settings = DetectorSettings("any", Grid(interval, "UTC"), (), (measure,))
    parts = (part.fresh(settings, 1) for part in PARTS.values())
    return sum(array.nbytes for part in parts for array in part.named().values())


def refuse_detector(config: Config, size: Size, seen: str) -> str | None:
    """A sentence if training or the largest crawl needs more than is configured; else None.

    Parameters
    ----------
    size : of the history.
    seen : where the slices were counted, as worded in the sentence.
    """

    need = _of_both(config)
    window = largest_window(config, size)
    if training(config, size).least_mb < crawl(config, window).least_mb:
        return _refusal(config, size, need, f"a crawl of {window.intervals} intervals", seen)
    days = size.intervals * SECONDS[config.interval] // _DAY
    what = f"training on {size.intervals:,} intervals ({days} days of {config.interval})"
    return _refusal(config, size, need, what, seen, history=True)


def refuse_crawl(config: Config, size: Size, seen: str) -> str | None:
    """A sentence if this crawl needs more than is configured; else None."""
    what = f"a crawl of {size.intervals:,} intervals"
    return _refusal(config, size, lambda other: crawl(config, other), what, seen)


def most_slices(config: Config, size: Size) -> int:
    """Maximum number of slices, up to those of `size`, that fit into `memory_mb`."""
    need = _of_both(config)
    return _most(lambda n: need(size.of_slices(n)).least_mb <= config.memory_mb, size.slices)


def _of_both(config: Config) -> Callable[[Size], Need]:
    def need(size: Size) -> Need:
        one, other = training(config, size), crawl(config, largest_window(config, size))
        return Need(max(one.bytes, other.bytes), max(one.seconds, other.seconds))

    return need


def _refusal(
    config: Config,
    size: Size,
    need: Callable[[Size], Need],
    what: str,
    seen: str,
    *,
    history: bool = False,
) -> str | None:
    found = need(size)
    memory_mb, needed = config.memory_mb, found.least_mb
    if needed <= memory_mb:
        return None
    measures = len(config.measures)
    raised = _rounded(needed) if needed <= MOST_MEMORY_MB else None
    wanted = f"needs about {found.bytes / MB:,.0f} MB"
    if not math.isfinite(needed):
        wanted += f" and more than {MOST_SECONDS // 60} minutes, the maximum of a function"
    elif needed > found.bytes / MB:
        wanted = (
            f"needs the CPU share of {needed:,.0f} MB to finish within {MOST_SECONDS // 60} minutes"
        )
    ways = [f"set lambda.memory_mb to at least {raised}"] if raised else []
    # If even the largest function is too small, the size must be reduced in any case.
    at = memory_mb if raised else MOST_MEMORY_MB
    with_most = "" if raised or at == memory_mb else f" with lambda.memory_mb = {MOST_MEMORY_MB}"
    if history:
        day = _DAY // SECONDS[config.interval]
        days = _most(
            lambda n: need(size.of_intervals(n * day)).least_mb <= at, size.intervals // day
        )
        if days >= _FEWEST_DAYS:
            how = "a later history.start" if config.history.start else f"history.length P{days}D"
            ways.append(f"shorten the history to at most {days} days ({how}){with_most}")
    slices = _most(lambda n: need(size.of_slices(n)).least_mb <= at, size.slices)
    if slices or not ways:
        ways.append(
            f"reduce the detector to at most {slices * measures:,} series{with_most} (fewer "
            "dimension values, dimensions, measures or rollups)"
        )
    return (
        f"{size.slices * measures:,} series {seen}: {what} {wanted}, and lambda.memory_mb is "
        f"{memory_mb:,}; {', or '.join(ways)}."
    )


def _rounded(megabytes: float) -> int:
    return min(MOST_MEMORY_MB, _STEP_MB * math.ceil(megabytes / _STEP_MB))


def _most(fits: Callable[[int], bool], limit: int) -> int:
    """Largest number up to the limit that fits; 0 if none does."""
    low, high = 0, max(0, limit)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low
