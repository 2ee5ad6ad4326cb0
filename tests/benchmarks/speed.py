"""Speed: one interval of many series beside Random Cut Forest, a large CSV beside plain readers.

`python -m tests.benchmarks.speed [--short] [--json out]`. A series is one measure of one slice.
Half of the series belong to a SUM, half to an AVG measure; slices are the total, single values,
pairs and leaves of three dimensions. Training covers 360 intervals, more than the warm-up of any
series; then 5 single intervals are timed in which the values of one dimension value are halved, so
that an event is open.

* **one interval**: `replay` of a panel of one interval, groups included, as a live crawl calls it;
  the median of 5, as wall-clock time and as CPU time (one thread), which is less affected by other
  processes. Reading and writing files is excluded.
* **in a replay**: CPU time of 8 intervals in one call, divided by 8, as the look-back and training
  call them; the median of the last 5 training calls.
* **peak memory**: of the process that trains and scores, including Python and numpy.
* **state a series**: bytes of the state's arrays, and of its file, per series.
* **RCF / ours**: CPU time that one forest (krcf, shingle 8, 50 trees of 256) takes to score and
  learn a point, times the number of series, divided by this detector's CPU time for one interval,
  alone or in a replay.
* **a CSV file**: the command line's reading of 10 million rows, `open_files` and `aggregate`, into
  hourly series of three dimensions with all roll-ups, and what DuckDB and pyarrow take for a GROUP
  BY of the file with inferred types. DuckDB groups by the same eight sets of dimensions, pyarrow by
  the leaves only. Neither checks or explains anything.

Each case runs in its own process. Times depend on the machine and its load.
"""

from __future__ import annotations

import importlib.util
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
from anomaly_detector.config import ROLLED_UP, Config
from anomaly_detector.detection import DetectorSettings
from anomaly_detector.intervals import Grid
from anomaly_detector.local_file.aggregate import aggregate
from anomaly_detector.local_file.engine import Engine
from anomaly_detector.local_file.files import open_files
from anomaly_detector.panel import Panel
from anomaly_detector.replay import replay
from anomaly_detector.snapshot import Snapshot, to_bytes
from numpy.typing import NDArray

from tests.benchmarks import console, peers

Array = NDArray[np.float64]

SIZES = (50, 1_000, 10_000, 50_000)
INTERVALS = ("PT1H", "PT5M")
LEARNT, CALL, TIMED = 360, 8, 5
TRAINING = (10_000, 2_160)
NAMES = ("region", "product", "channel")
ROWS = 10_000_000
READERS = ("ours", "DuckDB", "pyarrow")


class World:
    """Slices with their roll-ups, and values of any interval."""

    def __init__(self, series: int, interval: str) -> None:
        config = Config.model_validate(
            {
                "interval": interval,
                "timestamp_column": {"name": "timestamp"},
                "measures": {"orders": {"aggregation": "SUM"}, "latency": {"aggregation": "AVG"}},
                "dimensions": list(NAMES),
                "max_series": 1_000_000,
            }
        )
        self.settings = DetectorSettings.of(config, Grid.of(config))
        self._random = np.random.default_rng(5)
        place: dict[tuple[str, ...], int] = {}
        leaves: list[list[int]] = []
        kept = [level for size in range(4) for level in itertools.combinations(range(3), size)]
        many = max(4, round((series / 2) ** 0.5))
        for product, region, channel in itertools.product(range(many), range(many), range(4)):
            leaf = (f"r{region}", f"p{product}", f"c{channel}")
            keys = [
                tuple(value if axis in level else ROLLED_UP for axis, value in enumerate(leaf))
                for level in kept
            ]
            new = sum(key not in place for key in keys)
            if len(place) + new > series // 2:
                break
            leaves.append([place.setdefault(key, len(place)) for key in keys])
        self._levels = np.array(leaves).T
        self.slices = np.empty((len(place), 3), dtype=object)
        for key, at in place.items():
            self.slices[at] = key
        self._mean = 20 * np.exp(self._random.normal(0, 1, len(leaves)))
        self._hit = np.array([self.slices[leaf[-1]][0] == "r0" for leaf in leaves])
        self._begin = np.datetime64("2025-01-06T00:00:00", "s")

    @property
    def series(self) -> int:
        return 2 * len(self.slices)

    def panel(self, begin: int, size: int, *, fault: bool = False) -> Panel:
        """The intervals from `begin`."""
        shape = (size, 2, len(self.slices))
        values, counts = np.zeros(shape), np.ones(shape)
        seconds = self.settings.grid.seconds
        for t in range(size):
            hour = (begin + t) * seconds / 3600
            season = 1 + 0.5 * np.sin(2 * np.pi * hour / 24)
            mean = self._mean * season * np.where(self._hit & fault, 0.5, 1.0)
            orders = self._random.poisson(mean).astype(np.float64)
            for level in self._levels:
                values[t, 0] += np.bincount(level, orders, len(self.slices))
            counts[t, 0] = np.maximum(values[t, 0], 1)
        values[:, 1] = 100 + self._random.normal(size=values[:, 1].shape) / np.sqrt(counts[:, 0])
        counts[:, 1] = counts[:, 0]
        starts = self._begin + (begin + np.arange(size)) * np.timedelta64(seconds, "s")
        # Each order is one; of means there is none.
        norms = np.sqrt(values).astype(np.float32)
        norms[:, 1] = np.nan
        return Panel(starts, NAMES, self.slices, ("orders", "latency"), values, counts, norms)


def case(series: int, interval: str, learnt: int = LEARNT) -> dict[str, Any]:
    """One line of the table, measured in this process."""
    world = World(series, interval)
    settings = world.settings
    learnt_so_far, batch = Snapshot.initial(settings), []
    for begin in range(0, learnt, CALL):
        panel = world.panel(begin, CALL)
        ticks = time.process_time()
        learnt_so_far = replay(settings, learnt_so_far, panel).after
        batch.append((time.process_time() - ticks) / CALL)
    single, busy, groups = [], [], 0
    for begin in range(len(batch) * CALL, len(batch) * CALL + TIMED):
        panel = world.panel(begin, 1, fault=True)
        clock, ticks = time.perf_counter(), time.process_time()
        done = replay(settings, learnt_so_far, panel)
        single.append(time.perf_counter() - clock)
        busy.append(time.process_time() - ticks)
        learnt_so_far, groups = done.after, len(done.groups)
    peak = console.peak_bytes()
    memory = learnt_so_far.state.nbytes
    file = len(to_bytes(learnt_so_far))
    return {
        "series": world.series,
        "interval": interval,
        "one interval, s": float(np.median(single)),
        "CPU, s": float(np.median(busy)),
        "in a replay, CPU s": float(np.median(batch[-TIMED:])),
        "CPU, us a series": 1e6 * float(np.median(busy)) / world.series,
        "peak memory, MB": peak / 1e6,
        "state a series, B": memory / world.series,
        "file a series, B": file / world.series,
        "events open": groups,
    }


def forest_cost(points: int = 2000) -> float | None:
    """CPU seconds that a forest takes for a point; None where krcf is not installed."""
    if importlib.util.find_spec("krcf") is None:
        return None
    values = np.random.default_rng(1).normal(size=points + 1000).tolist()
    trees = peers.forest()
    for value in values[:1000]:
        trees.update([value])
    clock = time.process_time()
    for value in values[1000:]:
        trees.score([value])
        trees.update([value])
    return (time.process_time() - clock) / points


def training(series: int, intervals: int) -> dict[str, Any]:
    """Seconds of replaying a history in blocks of 120 intervals, events of the newest 30 %."""
    world = World(series, "PT1H")
    learnt, spent, busy, scored_from = Snapshot.initial(world.settings), 0.0, 0.0, None
    for begin in range(0, intervals, 120):
        panel = world.panel(begin, min(120, intervals - begin))
        clock, ticks = time.perf_counter(), time.process_time()
        if scored_from is None and begin >= 0.7 * intervals:
            scored_from = panel.starts[0]
        # The last interval alone, while nothing is scored.
        learnt = replay(
            world.settings, learnt, panel, score_from=scored_from or panel.starts[-1]
        ).after
        spent += time.perf_counter() - clock
        busy += time.process_time() - ticks
    return {"series": world.series, "intervals": intervals, "seconds": spent, "CPU, s": busy}


def write_rows(path: Path, rows: int) -> None:
    """CSV of single orders over 90 days: a time, three dimensions, a count and an amount."""
    duckdb.execute(
        f"""COPY (
        SELECT TIMESTAMP '2025-01-01' + to_seconds(i * 7776000 // {rows}) AS ordered_at,
            'region-' || hash(i) % 7 AS region, 'product-' || hash(i + 1) % 40 AS product,
            ['web', 'app', 'shop', 'partner'][1 + (hash(i + 2) % 4)::INTEGER] AS channel,
            1 + hash(i + 3) % 9 AS items, (hash(i + 4) % 100000) / 100 AS amount
        FROM range({rows}) AS t(i)) TO '{path}' (HEADER)"""
    )


def reading(reader: str, path: Path) -> dict[str, Any]:
    """One reader's time and memory for a file of `write_rows`."""
    clock, ticks = time.perf_counter(), time.process_time()
    rows = {"ours": _ours, "DuckDB": _duckdb, "pyarrow": _pyarrow}[reader](path)
    return {
        "reader": reader,
        "rows": rows,
        "file, MB": path.stat().st_size / 1e6,
        "seconds": time.perf_counter() - clock,
        "CPU, s": time.process_time() - ticks,
        "peak memory, MB": console.peak_bytes() / 1e6,
    }


def _ours(path: Path) -> int:
    config = Config.model_validate(
        {
            "interval": "PT1H",
            "timestamp_column": {"name": "ordered_at"},
            "measures": {"items": {}, "amount": {"aggregation": "AVG"}},
            "dimensions": list(NAMES),
        }
    )
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(Path(folder), lambda _: None)
        return aggregate(config, open_files(path, engine), engine).rows


def _duckdb(path: Path) -> int:
    sets = [", ".join(level) for size in range(4) for level in itertools.combinations(NAMES, size)]
    grouped = ", ".join(f"(hour{', ' * bool(level)}{level})" for level in sets)
    found = duckdb.sql(
        f"SELECT date_trunc('hour', ordered_at) AS hour, {', '.join(NAMES)}, sum(items), "
        f"avg(amount), count(*) AS rows FROM read_csv('{path}') GROUP BY GROUPING SETS ({grouped})"
    ).to_arrow_table()
    return int(pa.compute.sum(found["rows"]).as_py()) // len(sets)


def _pyarrow(path: Path) -> int:
    table = pa_csv.read_csv(path)
    hours = pa.compute.floor_temporal(table["ordered_at"], unit="hour")
    grouped = table.append_column("hour", hours).group_by(["hour", *NAMES])
    return int(
        pa.compute.sum(
            grouped.aggregate([("items", "sum"), ("amount", "mean"), ([], "count_all")])[
                "count_all"
            ]
        ).as_py()
    )


def run(
    sizes: Sequence[int] = SIZES,
    intervals: Sequence[str] = INTERVALS,
    *,
    learnt: int = LEARNT,
    trained: tuple[int, int] | None = TRAINING,
    read: int = ROWS,
) -> dict[str, Any]:
    """All tables, each case in a process of its own."""
    jobs: list[list[str]] = [
        ["case", str(size), interval, str(learnt)] for interval in intervals for size in sizes
    ]
    if trained:
        jobs.append(["training", str(trained[0]), str(trained[1])])
    forest, notes = forest_cost(), []
    if forest is None:
        notes.append("Random Cut Forest is left out: krcf is not installed here (`make bench`).")
    rows, last = [], []
    for job in console.progress(jobs, "speed", len(jobs)):
        row = _apart(job)
        if job[0] == "training":
            last.append(row)
            continue
        if forest:
            row["RCF, us a series"] = 1e6 * forest
            row["RCF / ours"] = forest * row["series"] / row["CPU, s"]
            row["in a replay"] = forest * row["series"] / row["in a replay, CPU s"]
        rows.append(row)
    tables: dict[str, Any] = {"speed: one interval": rows}
    if last:
        tables["speed: training"] = last
    tables["speed: a CSV file"] = _readings(read)
    return {"benchmark": "speed", "tables": tables, "notes": notes}


def _readings(rows: int) -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.csv"
        write_rows(path, rows)
        found = [
            _apart(["reading", reader, str(path)])
            for reader in console.progress(READERS, "reading", len(READERS))
        ]
    for row in found:
        row["CPU / DuckDB's"] = row["CPU, s"] / found[1]["CPU, s"]
    return found


def _apart(job: Sequence[str]) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.benchmarks.speed", "--job", *job]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(job)} failed: {done.stderr.strip()}")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def main() -> int:
    parser = console.arguments(__doc__.partition("\n")[0])
    parser.add_argument("--job", nargs="+", help="one case in this process; prints JSON")
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)))
    parser.add_argument("--intervals", default=",".join(INTERVALS))
    parser.add_argument("--no-training", action="store_true", help="leave it out")
    parser.add_argument("--only-file", action="store_true", help="only the reading of a CSV file")
    chosen = parser.parse_args()
    if chosen.job:
        kind, *rest = chosen.job
        if kind == "case":
            result = case(int(rest[0]), rest[1], int(rest[2]))
        elif kind == "reading":
            result = reading(rest[0], Path(rest[1]))
        else:
            result = training(int(rest[0]), int(rest[1]))
        console.say(json.dumps(result))
        return 0
    sizes, intervals = console.numbers(chosen.sizes), tuple(chosen.intervals.split(","))
    trained = None if chosen.short or chosen.no_training else TRAINING
    if chosen.short:
        sizes, intervals = sizes[:1], intervals[:1]
    read = ROWS // 100 if chosen.short else ROWS
    if chosen.only_file:
        tables = {"speed: a CSV file": _readings(read)}
        console.finish({"benchmark": "speed", "tables": tables, "notes": []}, chosen.json)
        return 0
    result = run(sizes, intervals, trained=trained, read=read)
    console.finish(result, chosen.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
