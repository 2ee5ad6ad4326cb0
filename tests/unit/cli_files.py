"""Files of rows and their configuration, for the tests of the command line."""

from __future__ import annotations

import gzip
import json
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from anomaly_detector.cli import main
from anomaly_detector.config import Config
from anomaly_detector.local_file.aggregate import Aggregated, aggregate
from anomaly_detector.local_file.engine import Engine
from anomaly_detector.local_file.files import open_files

MONDAY = datetime(2025, 1, 6, tzinfo=UTC)
DAYS = 35
FAULT = MONDAY + timedelta(days=30, hours=9)
FAULT_HOURS = 3
HEADER = ("ts", "platform", "market", "amount", "latency", "note")
Row = tuple[Any, ...]

DOCUMENT: dict[str, Any] = {
    "interval": "PT1H",
    "timestamp_column": {"name": "ts"},
    "measures": {"amount": {}, "latency": {"aggregation": "AVG"}},
    "dimensions": ["platform", "market"],
}


def shop(days: int = DAYS, seed: int = 1) -> list[Row]:
    """Single orders of two platforms and two markets; one slice falls silent for a while."""
    random = np.random.default_rng(seed)
    rows: list[Row] = []
    for hour in range(days * 24):
        start = MONDAY + timedelta(hours=hour)
        for platform in ("app", "web"):
            for market in ("de", "fr"):
                size = 600 * (1.5 + np.sin(hour % 24 / 24 * 2 * np.pi)) * random.normal(1, 0.03)
                if platform == "app" and FAULT <= start < FAULT + timedelta(hours=FAULT_HOURS):
                    size *= 0.2
                for minute in (7, 33):
                    when = (start + timedelta(minutes=minute)).strftime("%Y-%m-%d %H:%M:%S")
                    latency = round(float(random.normal(80, 4)), 3)
                    rows.append((when, platform, market, round(size / 2, 2), latency, "x"))
    return rows


def write_csv(path: Path, rows: Sequence[Row], header: Sequence[str] = HEADER) -> Path:
    """CSV; a field None is empty, and an empty text is quoted."""

    def field(value: object) -> str:
        return "" if value is None else '""' if value == "" else str(value)

    lines = [",".join(header), *(",".join(field(value) for value in row) for row in rows)]
    body = ("\n".join(lines) + "\n").encode()
    path.write_bytes(gzip.compress(body) if path.name.endswith(".gz") else body)
    return path


def write_parquet(path: Path, columns: Mapping[str, Any]) -> Path:
    """Parquet."""
    pq.write_table(pa.table(dict(columns)), path)
    return path


def write_document(path: Path, document: Mapping[str, Any]) -> Path:
    """The configuration."""
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def backtest(document: Mapping[str, Any], data: Path, *options: str) -> Path:
    """Run the command; returns the folder of its results."""
    out = data.parent / f"out-{data.name}"
    config = write_document(data.parent / "detector.json", document)
    status = main(
        ["backtest", "--config", str(config), "--data", str(data), "--out", str(out), *options]
    )
    assert status == 0
    return out


def aggregated(config: Config, data: Path, decimal: Any = None) -> Aggregated:
    """What is read of a file."""
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(Path(folder), lambda _: None)
        return aggregate(config, open_files(data, engine), engine, decimal)


def scores(out: Path) -> list[dict[str, Any]]:
    """Rows of the scores."""
    return list(pq.read_table(out / "scores.parquet").to_pylist())


def groups(out: Path) -> dict[str, Any]:
    """The groups and what stands beside them."""
    return dict(json.loads((out / "groups.json").read_text(encoding="utf-8")))
