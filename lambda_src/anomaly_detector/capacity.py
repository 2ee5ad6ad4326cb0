"""Estimate the memory and time that a detector needs in its functions, and what to set. Pure.

The sizes of all arrays and tables that exist at the same time are added up, and the largest sum of
a step is used. `BASE`, `HELD` and the seconds were measured by `python -m tests.benchmarks.memory`,
which compares the estimate with the measured usage of each function: `docs/capacity.md` is its
result. The estimate should be above the usage, and at most about twice as large.

History is read and replayed in blocks, so that its length affects time, not memory. Measures are
independent of each other: if they do not fit together, they are split into parts, each with its own
snapshot and function calls.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise

from anomaly_detector.backtest import SCORED_SHARE
from anomaly_detector.blocks import rows_at_once, values_at_once
from anomaly_detector.config import MOST_MEMORY_MB, Config, IntervalName
from anomaly_detector.detection.calendar import Calendar
from anomaly_detector.detection.settings import DetectorSettings, MeasureRule
from anomaly_detector.detection.state import PARTS
from anomaly_detector.intervals import SECONDS, Grid
from anomaly_detector.limits import CORE_MB, MOST_DUE, MOST_ROUNDS, MOST_SECONDS

MB = 2**20
# Python, both layers, clients for S3 and DynamoDB, and pools allocated for the first Parquet file.
BASE = 175 * MB
# Bytes that allocators use per requested byte.
HELD = 1.3
# CPU seconds per call, per interval, per value in it, and per series for reading and writing;
# measured with the memory.
CALL_SECONDS = 1.0
INTERVAL_SECONDS = 2.5e-3
SERIES_SECONDS = 5e-5
VALUE_SECONDS = 3e-6
# How much slower a Lambda vCPU is assumed to be: a safety margin, not a measurement.
SLOWER = 2.0
# Share of the memory that parts leave free: the query check counts the slices of a sample window,
# and the history may have more.
SPARE = 0.25

_DAY = 86_400
_FEWEST_DAYS = 14  # shortest history to propose
_STEP_MB = 64
_NUMBER, _NORM, _OFFSET = 8, 4, 4  # bytes of a number, a norm, and a text's offset in its column
_NAMES = 1_500  # bytes of a slice's names as Python objects, in lists and dictionaries


@dataclass(frozen=True)
class Size:
    """How much a detector holds.

    Attributes
    ----------
    slices : combinations of dimension values, roll-ups included.
    intervals : of the history or of the crawl's window.
    rows : landed rows in them, at most.
    text : bytes of all dimension values of a row, on average.
    """

    slices: int
    intervals: int
    rows: int
    text: float = 0.0

    def of_intervals(self, intervals: int) -> Size:
        """As many slices, as densely, over other intervals."""
        rows = self.rows * intervals // max(1, self.intervals)
        return replace(self, intervals=intervals, rows=rows)

    def of_slices(self, slices: int) -> Size:
        """As many intervals, as densely, of other slices."""
        return replace(self, slices=slices, rows=self.rows * slices // max(1, self.slices))


@dataclass(frozen=True)
class Need:
    """Bytes of memory, and CPU seconds on the measuring machine.

    Attributes
    ----------
    rounds : number of calls that the seconds can be divided among.
    """

    bytes: float
    seconds: float
    rounds: int = 1

    @property
    def least_mb(self) -> float:
        """Minimum `lambda.memory_mb`; infinite if no function is fast enough."""
        # CPU is proportional to memory up to one vCPU; more memory is not faster.
        share = self.seconds * SLOWER / (MOST_SECONDS * self.rounds)
        return max(self.bytes / MB, CORE_MB * share) if share <= 1 else math.inf


def training(config: Config, size: Size, measures: int | None = None) -> Need:
    """Training a part with this number of measures (default: all)."""
    step = _Step.of(config, size, measures)
    a_day = max(1, _DAY // SECONDS[config.interval])
    scored = step.series * (math.ceil(SCORED_SHARE * size.intervals) + a_day)
    # The snapshot before a block, its copy during the replay, the one of the look-back, and a file.
    held = step.read() + step.score(min(step.values, scored)) + 4 * step.state
    return step.need(held, MOST_ROUNDS)


def crawl(config: Config, size: Size, measures: int | None = None) -> Need:
    """Scoring a window of a part with this number of measures (default: all), and committing and
    delivering the results of all parts.
    """
    step = _Step.of(config, size, measures)
    # The state, its copy, the snapshot, and both model files.
    detect = step.read() + step.score(step.values) + 5 * step.state
    return step.need(max(detect, step.publish(len(config.measures))), 1)


def largest_window(config: Config, size: Size) -> Size:
    """As many intervals as one crawl takes, with a row of each slice in each."""
    intervals = MOST_DUE + config.lookback_intervals
    return replace(size, intervals=intervals, rows=size.slices * intervals)


def parts(config: Config, size: Size) -> tuple[tuple[str, ...], ...]:
    """The minimum number of parts that fit into `memory_mb`: measures in their order, divided
    evenly. At most one part per measure.

    Parameters
    ----------
    size : of the history.
    """
    names = tuple(config.measures)
    for count in range(1, len(names) + 1):
        largest = -(-len(names) // count)
        needs = _of_detector(config, size, largest)
        spared = max(need.bytes for need in needs.values()) / (1 - SPARE)
        if max(spared / MB, _least_mb(needs)) <= config.memory_mb:
            break
    cuts = [number * len(names) // count for number in range(count + 1)]
    return tuple(names[low:high] for low, high in pairwise(cuts))


@dataclass(frozen=True)
class _Step:
    """Bytes of data structures, without the overhead of allocators."""

    size: Size
    series: int
    values: int  # replayed at once
    rows: int  # read at once
    row: float  # an unloaded row in arrays
    text: float  # the dimension values in it
    scored_row: float  # a row of scores in a table
    state: float  # of all series

    @classmethod
    def of(cls, config: Config, size: Size, measures: int | None) -> _Step:
        count, dimensions = measures or len(config.measures), len(config.dimensions)
        series = size.slices * count
        name = max(map(len, config.measures)) + _OFFSET
        of_interval = -(-size.rows // max(1, size.intervals))
        return cls(
            size=size,
            series=series,
            values=max(series, min(values_at_once(config.memory_mb), series * size.intervals)),
            rows=max(of_interval, min(rows_at_once(config.memory_mb, count), size.rows)),
            row=_OFFSET * (2 + dimensions) + (2 * _NUMBER + _NORM) * count,
            text=size.text + _OFFSET * dimensions,
            # Time, five numbers, the direction, whether it is anomalous, and offsets of the texts.
            scored_row=_NUMBER * 6 + _OFFSET * (2 + dimensions) + name + 1,
            state=series
            * _state_bytes(
                config.interval,
                config.season_intervals or 0,
                Calendar.of(config.special_days, config.calendar.silent).kinds,
            ),
        )

    def read(self) -> float:
        """Files as unloaded, their rows in arrays, and the codes of the slices."""
        return self.rows * (2 * self.row + self.text + 2 * _NUMBER)

    def score(self, scored: int) -> float:
        """Values, counts and norms, arrays of the scored values, and the table made of them."""
        arrays = 5 * _NUMBER + 2
        return (2 * _NUMBER + _NORM) * self.values + scored * (arrays + 2 * self.scored_row)

    def publish(self, measures: int) -> float:
        """Tables of one interval of all parts, as read and merged."""
        return self.size.slices * measures * 2.5 * (self.scored_row + self.text)

    def need(self, held: float, rounds: int) -> Need:
        values = self.series * self.size.intervals
        seconds = CALL_SECONDS + INTERVAL_SECONDS * self.size.intervals
        seconds += SERIES_SECONDS * self.series + VALUE_SECONDS * values
        return Need(BASE + HELD * (held + _NAMES * self.size.slices), seconds, rounds)


@cache
def _state_bytes(interval: IntervalName, season: int, kinds: int) -> int:
    """What a model holds of one series; of averages it is most."""
    measure = MeasureRule("one", "AVG")
    settings = DetectorSettings(
        "any",
        Grid(interval, "UTC"),
        (),
        (measure,),
        season_intervals=season,
        calendar=Calendar(kinds),
    )
    parts = (part.fresh(settings, 1) for part in PARTS.values())
    return sum(array.nbytes for part in parts for array in part.named().values())


def refuse_detector(config: Config, size: Size, seen: str) -> str | None:
    """A sentence if training or the largest crawl of a single measure needs more than is
    configured; else None.

    Parameters
    ----------
    size : of the history.
    seen : where the slices were counted, as worded in the sentence.
    """
    return _refusal(config, size, 1, seen, _of_detector)


def refuse_part(config: Config, size: Size, measures: int, seen: str) -> str | None:
    """A sentence if training or the largest crawl of a part with this number of measures needs more
    than is configured; else None.
    """
    return _refusal(config, size, measures, seen, _of_detector)


def refuse_crawl(config: Config, size: Size, measures: int, seen: str) -> str | None:
    """A sentence if this crawl of a part needs more than is configured; else None."""
    return _refusal(config, size, measures, seen, _of_crawl)


def most_slices(config: Config, size: Size) -> int:
    """Maximum number of slices, up to those of `size`, that fit into `memory_mb` with one part per
    measure.
    """

    def fits(slices: int) -> bool:
        return _least_mb(_of_detector(config, size.of_slices(slices), 1)) <= config.memory_mb

    return _most(fits, size.slices)


_Needs = dict[str, Need]


def _of_detector(config: Config, size: Size, measures: int) -> _Needs:
    days = size.intervals * SECONDS[config.interval] // _DAY
    trained = f"training on {size.intervals:,} intervals ({days} days of {config.interval})"
    window = largest_window(config, size)
    crawled = f"a crawl of {window.intervals} intervals"
    return {
        trained: training(config, size, measures),
        crawled: crawl(config, window, measures),
    }


def _of_crawl(config: Config, size: Size, measures: int) -> _Needs:
    return {f"a crawl of {size.intervals:,} intervals": crawl(config, size, measures)}


def _least_mb(needs: _Needs) -> float:
    return max(need.least_mb for need in needs.values())


def _refusal(
    config: Config,
    size: Size,
    measures: int,
    seen: str,
    needs: Callable[[Config, Size, int], _Needs],
) -> str | None:
    def fits(with_memory: Config, other: Size) -> bool:
        return _least_mb(needs(with_memory, other, measures)) <= with_memory.memory_mb

    if fits(config, size):
        return None
    # Blocks are larger with more memory, so that the usage grows with it.
    steps = range(_STEP_MB * (config.memory_mb // _STEP_MB + 1), MOST_MEMORY_MB + 1, _STEP_MB)
    larger = (config.model_copy(update={"memory_mb": step}) for step in steps)
    raised = next((one for one in larger if fits(one, size)), None)
    # If even the maximum memory does not suffice, only a smaller detector helps.
    most = config.model_copy(update={"memory_mb": MOST_MEMORY_MB})
    at = config if raised else most
    raises = at.memory_mb > config.memory_mb
    with_most = f" with lambda.memory_mb = {MOST_MEMORY_MB}" if raises else ""

    of_size = needs(raised or most, size, measures)
    what = max(of_size, key=lambda name: of_size[name].least_mb)
    found = of_size[what]
    slow = found.least_mb > found.bytes / MB
    minutes = found.rounds * MOST_SECONDS // 60
    wanted = f"needs about {found.bytes / MB:,.0f} MB"
    if not math.isfinite(found.least_mb):
        wanted += f" and more than {minutes:,} minutes, the maximum of {found.rounds} calls"
    elif slow:
        wanted = (
            f"needs the CPU share of {found.least_mb:,.0f} MB to finish within {minutes:,} minutes"
        )
    ways = [f"set lambda.memory_mb to at least {raised.memory_mb}"] if raised else []
    if slow:
        # Time depends on the length of the history, memory does not.
        seconds = SECONDS[config.interval]

        def fits_days(days: int) -> bool:
            return fits(at, size.of_intervals(days * _DAY // seconds))

        days = _most(fits_days, size.intervals * seconds // _DAY)
        if days >= _FEWEST_DAYS:
            how = "a later history.start" if config.history.start else f"history.length P{days}D"
            ways.append(f"shorten the history to at most {days} days ({how}){with_most}")
    slices = _most(lambda n: fits(at, size.of_slices(n)), size.slices)
    if slices or not ways:
        ways.append(
            f"reduce the detector to at most {slices * len(config.measures):,} series{with_most} "
            "(fewer dimension values, dimensions or rollups)"
        )
    several = " of each measure" if measures == 1 and len(config.measures) > 1 else ""
    return (
        f"{size.slices * len(config.measures):,} series {seen}: {what}{several} {wanted}, and "
        f"lambda.memory_mb is {config.memory_mb:,}; {', or '.join(ways)}."
    )


def _most(fits: Callable[[int], bool], limit: int) -> int:
    """Largest number up to the limit that fits; 0 if none does."""
    low, high = 0, max(0, limit)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low
