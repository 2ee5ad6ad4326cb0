"""Capacity: the memory and time that a detector needs, measured and estimated.

`python -m tests.benchmarks.memory [--short] [--json out] [--out docs/capacity.md]`. History is
written to the bucket of a local cloud as UNLOAD writes it: Parquet in the chunks planned by the
pipeline, eight files each. Then the handlers train, activate, detect, commit and deliver run as the
state machines call them, for each part of the detector, each in a separate process. Peak memory is
the peak resident set size of that process (VmHWM), including Python, numpy, pyarrow and Powertools;
time is its CPU time, including reading and writing of files.

`anomaly_detector/capacity.py` estimates the requirements in advance. The query check rejects a
detector that does not fit into `lambda.memory_mb`; training and every crawl check again, with the
unloaded slices counted, before they allocate memory. *estimate / measured* compares the estimate
with the function that needs the most memory: train and activate; detect, commit and deliver. It
should be at least 1, and at most about 2.

* **series** are measures x slices, including roll-ups; **letters** of each dimension value;
  **present** is the share of intervals in which a slice has a row.
* **Memory does not depend on the length of the history.** It is read and replayed in blocks whose
  size depends on `lambda.memory_mb`. Training that takes more than 15 minutes continues in another
  call (at most 200) from a stored snapshot, and so it does after a crash, with the same result.
* **parts**: if the measures do not fit together, they are divided into the minimum number of parts
  that fit, which are trained and crawled in parallel with the same results. A measure is not
  divided: the memory must hold its slices.
* **Chunks of history** are short enough to be read in one block, at most `history.chunk`. Each
  chunk is an UNLOAD that scans its time range; on a table that is not sorted by time, each UNLOAD
  scans the whole table.
* **outage**: all values drop to a third in the last 36 intervals of the history and in the crawl.
  Events need little memory, because each series is flagged once.
* Before the history is unloaded, series are counted in a sample window only, of one week (four
  weeks for daily data): counting the whole history would mean scanning all of it. Parts leave a
  quarter of the memory free for series that do not occur in the sample, and training counts again.
* A Lambda vCPU is assumed to be half as fast as the core measured. This is a safety margin, not a
  measurement: the log of a function shows how long it takes in your account.
* Nothing is written to /tmp of a function. Payloads between functions stay small: the windows of at
  most 500 chunks of history, and the measures of the parts.
* **USD an hour**: one crawl an hour at list price: twice the CPU seconds at `memory_mb`, requests
  to S3 as counted, and the rest as in the README's table. Without the warehouse.
"""

from __future__ import annotations

import io
import itertools
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from anomaly_detector import capacity
from anomaly_detector.capacity import Need, Size
from anomaly_detector.config import DEFAULT_HISTORY_DAYS, MOST_MEMORY_MB, ROLLED_UP, Config, load
from anomaly_detector.intervals import Grid
from anomaly_detector.lake import layout
from anomaly_detector.lake.store import ObjectStore
from anomaly_detector.ledger.items import Chunk
from anomaly_detector.ledger.ledger import Ledger
from anomaly_detector.ledger.table import StateTable
from anomaly_detector.limits import MOST_DUE
from anomaly_detector.services import crawling, history, preparing
from anomaly_detector.services.payloads import Counted, LandedFiles
from anomaly_detector.services.topic import Topic
from anomaly_detector.services.watching import Watch
from botocore.client import BaseClient

from local.cloud import LocalCloud
from scripts import cost as prices
from tests import state_table
from tests.benchmarks import console

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 3, 2, tzinfo=UTC)
FILES = 8
NAME = "capacity"


@dataclass(frozen=True)
class Shape:
    """One detector: K x M series over `days` of history.

    Attributes
    ----------
    letters : characters of each dimension value.
    present : share of intervals in which a slice has a row.
    outage : whether every series breaks down in the newest intervals of history and of the crawl.
    due, lookback : intervals of the crawl.
    """

    series: int
    interval: str = "PT1H"
    days: int = 90
    measures: int = 2
    dimensions: int = 3
    letters: int = 8
    present: float = 1.0
    outage: bool = False
    memory_mb: int = 1_769
    due: int = MOST_DUE
    lookback: int = 24

    @property
    def document(self) -> dict[str, Any]:
        return {
            "name": NAME,
            "interval": self.interval,
            "offset_seconds": 0,
            "lookback_intervals": self.lookback,
            "timestamp_column": {"name": "ts"},
            "measures": {
                f"measure_{place}": {"aggregation": ("SUM", "AVG")[place % 2]}
                for place in range(self.measures)
            },
            "dimensions": [f"dimension_{place}" for place in range(self.dimensions)],
            "memory_mb": self.memory_mb,
            "query": "SELECT * FROM t WHERE ts >= {{ window_start }} AND ts < {{ window_end }}",
            "redshift": {
                "cluster_identifier": "c",
                "database": "d",
                "unload_role": "arn:aws:iam::000000000000:role/unload",
            },
            "history": {"length": f"P{self.days}D"},
        }


SHAPES = (
    Shape(10, "PT5M", 30, dimensions=1, memory_mb=512),
    Shape(1_000, "PT5M", 30),
    Shape(1_000),
    Shape(1_000, memory_mb=512),
    Shape(1_000, letters=40),
    Shape(1_000, present=0.1),
    Shape(1_000, measures=8),
    Shape(1_000, dimensions=6),
    Shape(1_000, outage=True),
    Shape(10_000, days=30),
    Shape(50_000, days=10),
    Shape(50_000, days=10, measures=8, memory_mb=1_024),
    Shape(10_000, "P1D", 730),
    Shape(100_000, "P1D", 60, memory_mb=3_008),
)
SHORT = (Shape(400, days=20), Shape(600, "P1D", 100, measures=6, memory_mb=512))
# One due interval and a look-back of three. Where history is shorter than 90 days, the table says
# what 90 days take: time is in proportion, and memory does not depend on it.
SCALE = (
    Shape(10_000, due=1, lookback=3),
    Shape(50_000, due=1, lookback=3),
    # One of the ten parts of a million series, in full: parts do not depend on each other.
    Shape(100_000, measures=1, memory_mb=4_096, due=1, lookback=3),
    Shape(250_000, days=4, measures=5, memory_mb=3_008, due=1, lookback=3),
    Shape(1_000_000, days=2, measures=10, memory_mb=4_096, due=1, lookback=3),
)
TRAIN, CRAWL = ("train", "activate"), ("detect", "commit", "deliver")
MEMORIES = (512, 1_769, 3_008, MOST_MEMORY_MB)


class Warehouse:
    """Lands what UNLOAD would: one row per interval and slice."""

    def __init__(self, shape: Shape, config: Config) -> None:
        self._shape, self._config, self._grid = shape, config, Grid.of(config)
        self._random = np.random.default_rng(1)
        wanted = max(1, round(shape.series / shape.measures))
        place: dict[tuple[str, ...], int] = {}
        many = [max(2, round(wanted ** (1 / max(1, shape.dimensions))))] * shape.dimensions
        if shape.dimensions:
            many[-1] *= 4
        for values in itertools.product(*(range(size) for size in many)):
            leaf = [f"{value}".rjust(shape.letters, "v") for value in values]
            keys = [
                tuple(
                    value if name in level else ROLLED_UP
                    for name, value in zip(config.dimensions, leaf, strict=True)
                )
                for level in config.levels
            ]
            if len(place) + sum(key not in place for key in keys) > wanted and place:
                break
            for key in keys:
                place.setdefault(key, len(place))
        self.slices = list(place)
        self._level = 20 * np.exp(self._random.normal(0, 1, len(place)))

    @property
    def series(self) -> int:
        return len(self.slices) * self._shape.measures

    def size(self, intervals: int) -> Size:
        """What capacity is told of these slices over so many intervals."""
        text = sum(len(value) for key in self.slices for value in key) / len(self.slices)
        rows = round(len(self.slices) * intervals * self._shape.present)
        return Size(len(self.slices), intervals, rows, text)

    def land(
        self, store: ObjectStore, prefix: str, begin: datetime, end: datetime, bad: datetime
    ) -> LandedFiles:
        """Write `[begin, end)`; from `bad` on an outage shape's values are a third."""
        starts = self._grid.starts(begin, end)
        entries = []
        edges = np.linspace(0, len(starts), min(FILES, len(starts)) + 1).astype(int)
        for number, (low, high) in enumerate(itertools.pairwise(edges)):
            table = self._table(starts[low:high], bad)
            key = f"{prefix}shard=0/{number:04}_part_00.parquet"
            sink = io.BytesIO()
            pq.write_table(table, sink, compression="snappy")
            store.put(key, sink.getvalue())
            url = f"s3://{store.bucket}/{key}"
            entries.append({"url": url, "meta": {"record_count": table.num_rows}})
        rows = sum(entry["meta"]["record_count"] for entry in entries)
        manifest = layout.manifest(prefix)
        store.put_json(manifest, {"entries": entries, "meta": {"record_count": rows}})
        return LandedFiles(prefix=prefix, manifest=manifest, rows=rows, attempt_id="a-1")

    def _table(self, starts: Sequence[datetime], bad: datetime) -> pa.Table:
        size = len(self.slices)
        hour = np.array([start.timestamp() / 3600 for start in starts])
        factor = 1 + 0.5 * np.sin(2 * np.pi * hour / 24)
        if self._shape.outage:
            factor *= np.where([start >= bad for start in starts], 1 / 3, 1.0)
        mean = (factor[:, None] * self._level).reshape(-1)
        which = np.tile(np.arange(size, dtype=np.int32), len(starts))
        when = np.repeat([int(start.timestamp()) for start in starts], size) * 1_000_000
        if self._shape.present < 1:
            kept = self._random.random(len(mean)) < self._shape.present
            mean, which, when = mean[kept], which[kept], when[kept]
        columns: dict[str, pa.Array] = {"interval_start": pa.array(when).cast(pa.timestamp("us"))}
        for place in range(self._shape.dimensions):
            texts = pa.array([key[place] for key in self.slices], pa.string())
            columns[f"dimension_{place}"] = texts.take(pa.array(which))
        counts = np.maximum(mean, 1).astype(np.int64)
        for place in range(self._shape.measures):
            values = mean * (1 + 0.1 * self._random.standard_normal(len(mean)))
            columns[f"measure_{place}_value"] = pa.array(values)
            columns[f"measure_{place}_count"] = pa.array(counts)
        columns["row_count"] = pa.array(counts)
        return pa.table(columns)


def case(cloud: LocalCloud, shape: Shape, name: str) -> dict[str, Any]:
    """One line of the table: the whole way, each function in a process of its own.

    Parameters
    ----------
    name : of a new bucket, table and detector.
    """
    store, ledger = _fresh(cloud, name)
    body = json.dumps(shape.document).encode()
    store.put(layout.CONFIGURATION, body)
    config = load(body)
    grid, warehouse = Grid.of(config), Warehouse(shape, config)
    config_hash = preparing.prepare(store, ledger, None, "pipeline", NOW).config_hash
    size = warehouse.size(Grid.of(config).count(NOW - timedelta(days=shape.days), NOW))
    counted = Counted(slices=size.slices, intervals=size.intervals, rows=size.rows, text=size.text)
    plan = history.plan_history(store, ledger, config_hash, NOW, counted)
    bad = grid.shift(plan.history_end, -36)
    for number, chunk in enumerate(plan.chunks):
        begin, end = chunk.window_start, chunk.window_end
        prefix = layout.history_attempt(config.query_hash, begin, end, f"h-{number}")
        landed = warehouse.land(store, prefix, begin, end, bad).model_dump()
        held = Chunk.model_validate({**landed, "window_start": begin, "window_end": end})
        ledger.put_chunk(config.query_hash, held)
    intervals = grid.count(plan.history_start, plan.history_end)
    bounds = plan.model_dump(mode="json", include={"config_hash", "history_start", "history_end"})
    costs: dict[str, list[Cost]] = {}

    def run(function: str, event: dict[str, Any]) -> dict[str, Any]:
        done = _apart(cloud, name, function, event)
        costs.setdefault(function, []).append(Cost(**done["cost"]))
        answer: dict[str, Any] = done["answer"]
        return answer

    own = {**bounds, "execution": "pipeline"}
    parts = plan.answer()["parts"]
    trained = []
    for part in parts:
        answer = run("train", {**own, **part})
        while not answer["done"]:
            answer = run("train", {**own, **part, "trained": answer})
        trained.append(answer)
    run("activate", {**own, "train": True, "parts": trained})
    run("deliver", {})
    at = grid.shift(NOW, shape.due)
    watch = Watch("shop", store, ledger, lambda: Topic(None, ""))
    crawl = crawling.plan_crawl(store, ledger, watch, at, "crawl", datetime.now(UTC)).answer()
    begin, end = (datetime.fromisoformat(crawl[key]) for key in ("window_start", "window_end"))
    landed = warehouse.land(store, layout.live_attempt(begin, "a-1"), begin, end, NOW).answer()
    detected = [
        run("detect", {"plan": crawl, "landed": landed, "part": part["part"]}) for part in parts
    ]
    run("commit", {"plan": crawl, "landed": landed, "parts": detected})
    run("deliver", {})
    largest = max(len(part["measures"]) for part in parts)
    crawled = grid.count(begin, end)
    about = {
        "series": warehouse.series,
        "interval": shape.interval,
        "measures": shape.measures,
        "dimensions": shape.dimensions,
        "letters": shape.letters,
        "present": shape.present,
        "outage": "yes" if shape.outage else "no",
        "memory_mb": shape.memory_mb,
        "parts": len(parts),
    }
    train_need = capacity.training(config, warehouse.size(intervals), largest)
    crawl_need = capacity.crawl(config, warehouse.size(crawled), largest)
    return {
        "train": about | {"intervals": intervals} | _compared(TRAIN, costs, train_need),
        "crawl": about | {"intervals": crawled} | _compared(CRAWL, costs, crawl_need),
        "scale": _scale(cloud, name, shape, warehouse.series, len(parts), intervals, costs),
    }


@dataclass(frozen=True)
class Cost:
    """What one call took: peak memory, CPU, and requests to S3."""

    MB: float
    CPU: float
    s3_writes: int
    s3_reads: int


def _compared(functions: Sequence[str], costs: dict[str, list[Cost]], need: Need) -> dict[str, Any]:
    estimate = need.bytes / capacity.MB
    peaks = {name: max(cost.MB for cost in costs[name]) for name in functions}
    return {
        **{f"{name}, MB": round(peak) for name, peak in peaks.items()},
        "estimate, MB": round(estimate),
        "estimate / measured": estimate / max(peaks.values()),
        "CPU, s": max(cost.CPU for name in functions for cost in costs[name]),
        "estimate, s": need.seconds,
    }


def _scale(
    cloud: LocalCloud,
    name: str,
    shape: Shape,
    series: int,
    parts: int,
    intervals: int,
    costs: dict[str, list[Cost]],
) -> dict[str, Any]:
    """Training, and one crawl, of all parts."""
    s3 = cloud.client("s3")
    pages = s3.get_paginator("list_objects_v2")
    stored = {
        prefix: sum(
            each["Size"]
            for page in pages.paginate(Bucket=name, Prefix=prefix)
            for each in page.get("Contents", ())
        )
        for prefix in ("history/", "live/", "models/")
    }
    training = sum(cost.CPU for cost in costs["train"])
    crawl = [cost for function in CRAWL for cost in costs[function]]
    busy = sum(cost.CPU for cost in crawl) * capacity.SLOWER
    usd = (
        busy * shape.memory_mb / 1024 * prices.GB_SECOND
        + sum(cost.s3_writes for cost in crawl) * prices.S3_WRITE
        + sum(cost.s3_reads for cost in crawl) * prices.S3_READ
        + (parts - 1) * (prices.TRANSITION + prices.INVOCATION)
        + small_crawl()
    )
    return {
        "series": series,
        "parts": parts,
        "memory_mb": shape.memory_mb,
        "intervals trained": intervals,
        "calls": len(costs["train"]),
        "train, MB": round(max(cost.MB for cost in costs["train"])),
        "train, CPU s": training,
        "per value, us": training / series / intervals * 1e6,
        "90 days, CPU min": training / intervals * 2_160 / 60,
        "activate, CPU s": sum(cost.CPU for cost in costs["activate"]),
        "activate, MB": round(max(cost.MB for cost in costs["activate"])),
        "detect of a part, MB": round(max(cost.MB for cost in costs["detect"])),
        "detect of a part, CPU s": max(cost.CPU for cost in costs["detect"]),
        "commit + deliver, MB": round(max(cost.MB for cost in costs["commit"] + costs["deliver"])),
        "commit + deliver, CPU s": sum(cost.CPU for cost in costs["commit"] + costs["deliver"]),
        "history a day, MB": stored["history/"] / intervals * 24 / 1e6,
        "crawl, MB stored": stored["live/"] / 1e6,
        "snapshot, MB": stored["models/"] / 2 / 1e6,
        "USD an hour": usd,
    }


def small_crawl() -> float:
    """USD of what a crawl of a small detector takes besides its computing and its files."""
    crawl = prices.CRAWL
    return sum(
        line.usd
        for line in prices.lines(crawl)
        if line.crawls and line.part not in ("Lambda", "S3 requests")
    ) + (crawl.invocations * prices.INVOCATION)


def fitting() -> list[dict[str, Any]]:
    """Most series that each memory holds, of two measures and three dimensions, by the formula."""
    rows = []
    for interval, days in DEFAULT_HISTORY_DAYS.items():
        row: dict[str, Any] = {"interval": interval, "history": f"P{days}D"}
        for memory in MEMORIES:
            shape = Shape(0, interval, days)
            config = load(json.dumps({**shape.document, "memory_mb": memory}))
            slices = 1_000_000
            intervals = days * 86_400 // Grid.of(config).seconds
            size = Size(slices, intervals, slices * intervals, 3.0 * shape.letters)
            found = capacity.most_slices(config, size)
            row[f"{memory:,} MB"] = f"{2 * found:,}"
        rows.append(row)
    return rows


def _fresh(cloud: LocalCloud, name: str) -> tuple[ObjectStore, Ledger]:
    s3, dynamodb = cloud.client("s3"), cloud.client("dynamodb")
    location = {"LocationConstraint": cloud.region}
    s3.create_bucket(Bucket=name, CreateBucketConfiguration=location)
    state_table.create(dynamodb, name)
    return ObjectStore(s3, name), Ledger(StateTable(dynamodb, name, name))


def _apart(cloud: LocalCloud, name: str, function: str, event: dict[str, Any]) -> dict[str, Any]:
    """Call a handler in a process of its own."""
    nowhere = "arn:aws:sns:eu-west-1:000000000000:nowhere"
    environment = {
        **os.environ,
        **cloud.environment(),
        "PYTHONPATH": f"{ROOT / 'lambda_src'}:{ROOT}",
        "DETECTOR_NAME": name,
        "TABLE_NAME": name,
        "BUCKET_NAME": name,
        "PIPELINE_ARN": nowhere,
        "CRAWL_ARN": nowhere,
        "OPERATIONS_TOPIC_ARN": nowhere,
        "REDSHIFT": json.dumps({"workgroup_name": name, "database": "d", "unload_role": "default"}),
        "POWERTOOLS_TRACE_DISABLED": "true",
        "POWERTOOLS_LOG_LEVEL": "ERROR",
        "POWERTOOLS_METRICS_DISABLED": "true",
    }
    command = [sys.executable, "-m", "tests.benchmarks.memory", "--job", function]
    done = subprocess.run(
        command,
        input=json.dumps(event),
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{function} failed: {done.stderr[-2000:]}")
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


class _Context:
    """What Lambda hands to a handler; the 15 minutes are those on the clock."""

    function_name = NAME
    memory_limit_in_mb = 10_240
    invoked_function_arn = f"arn:aws:lambda:eu-west-1:000000000000:function:{NAME}"
    aws_request_id = "request"

    def __init__(self) -> None:
        self._end = time.monotonic() + 900

    def get_remaining_time_in_millis(self) -> int:
        return round((self._end - time.monotonic()) * 1000)


def job(function: str, event: dict[str, Any]) -> dict[str, Any]:
    """Call the handler in this process."""
    import importlib

    handler = importlib.import_module(f"anomaly_detector.handlers.{function}").handler
    requests = {"write": 0, "read": 0}
    send = BaseClient._make_api_call

    def counted(client: Any, operation: str, given: Any) -> Any:
        if client.meta.service_model.service_name == "s3":
            requests["read" if operation == "GetObject" else "write"] += 1
        return send(client, operation, given)

    BaseClient._make_api_call = counted
    ticks = time.process_time()
    answer = handler(event, _Context())
    return {
        "answer": answer,
        "cost": {
            "MB": console.peak_bytes() / 2**20,
            "CPU": time.process_time() - ticks,
            "s3_writes": requests["write"],
            "s3_reads": requests["read"],
        },
    }


def run(shapes: Sequence[Shape] = SHAPES, scale: Sequence[Shape] = SCALE) -> dict[str, Any]:
    """Tables of what was measured, and of what the estimate lets fit."""
    rows = []
    every = [*shapes, *scale]
    for shape in console.progress(every, "capacity", len(every)):
        with LocalCloud() as cloud:  # one each: it holds in memory whatever was landed
            rows.append(case(cloud, shape, NAME))
    return {
        "benchmark": "capacity",
        "tables": {
            "capacity: scale: a crawl of one due interval and three of look-back": [
                row["scale"] for row in rows[len(shapes) :]
            ],
            "capacity: training and activation": [row["train"] for row in rows[: len(shapes)]],
            "capacity: a crawl of 48 due intervals": [row["crawl"] for row in rows[: len(shapes)]],
            "capacity: series that fit, as the query check says": fitting(),
        },
        "notes": [],
    }


def main() -> int:
    parser = console.arguments(__doc__.partition("\n")[0])
    parser.add_argument("--job", help="call one handler in this process; the event is read")
    parser.add_argument("--out", type=Path, help="also write the document")
    chosen = parser.parse_args()
    if chosen.job:
        console.say(json.dumps(job(chosen.job, json.load(sys.stdin)), default=str))
        # A process that exits soon after it has read Parquet may abort: apache/arrow issue 34314.
        os._exit(0)
    result = run(SHORT, ()) if chosen.short else run()
    console.finish(result, chosen.json)
    if chosen.out:
        title, _, about = (__doc__ or "").partition("\n")
        parts = [f"# {title}", about.strip().replace(" x ", " × ")]
        packages = ("numpy", "pyarrow", "aws-lambda-powertools")
        versions = ", ".join(f"{name} {metadata.version(name)}" for name in packages)
        parts.append(
            f"Measured by {console.origin('python -m tests.benchmarks.memory')}; "
            f"{platform.machine()}, Python {platform.python_version()}, {versions}."
        )
        for heading, rows in result["tables"].items():
            parts += [f"## {heading.partition(': ')[2].capitalize()}", console.table(rows)]
        chosen.out.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
