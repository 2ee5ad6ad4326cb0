"""Write the table of a detector's monthly costs, each line with its calculation, into README.md.

`--check` writes nothing and fails if the table in README.md is out of date. Tests count what a
crawl does and fail if it changes: tests/end_to_end/test_1_whole_way.py counts state transitions
and invocations, tests/unit/test_cost.py requests. Lambda duration and log volume are assumptions.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"
BEGIN, END = "<!-- cost:begin -->", "<!-- cost:end -->"
HOURS = 730

# USD, list prices of us-east-1 without free tiers, 2026-11.
TRANSITION = 25 / 1e6
INVOCATION = 0.20 / 1e6
GB_SECOND = 0.0000133334  # arm64
S3_WRITE = 5 / 1e6  # PUT and LIST
S3_READ = 0.4 / 1e6
TABLE_WRITE = 0.625 / 1e6  # of 1 KB; a transaction takes two
TABLE_READ = 0.125 / 1e6  # of 4 KB
SECRET_READ = 0.05 / 1e4
SECRET = 0.40
START = 1 / 1e6
EVENT = 1 / 1e6  # of an object in S3: EventBridge's opt-in data events
TRACE = 5 / 1e6
LOG_GB = 0.50
ALARM = 0.10
RPU_HOUR = 0.375

CPU_GB = 1769 / 1024

ALARMS = 11
# Cold starts: expected after an idle hour, hardly ever after a few idle minutes.
CRAWLS = {"every 5 minutes": 12 * HOURS, "hourly": HOURS, "daily": HOURS / 24}
COLD = ("hourly", "daily")
FUNCTIONS = ("reconcile", "plan_crawl", "statement", "detect", "commit", "deliver")


@dataclass(frozen=True)
class Crawl:
    """Usage of one crawl with one due interval and a few dozen series, whose query has finished at
    the first poll.

    `gb_seconds` assumes 25 ms per request to S3 and DynamoDB at 1,769 MB; the detector's own work
    on so few series takes less. `gb_seconds_to_start` is measured by `--measure`: Lambda allocates
    CPU in proportion to memory, so a cold start takes the same GB-seconds at any memory up to one
    vCPU. `events` are objects created and deleted, by the functions, UNLOAD (a file and a manifest)
    and, after `storage.live_retention_days`, S3. `traces` assumes one per execution. `log_bytes`
    assumes, per invocation, 400 bytes of Lambda's own lines and one line of 700.
    """

    transitions: int
    invocations: int
    gb_seconds: float
    gb_seconds_to_start: float
    s3_writes: int
    s3_reads: int
    events: int
    table_writes: int
    table_reads: int
    traces: int
    log_bytes: int


CRAWL = Crawl(
    transitions=20,
    invocations=7,
    gb_seconds=2.7,
    gb_seconds_to_start=20.0,
    s3_writes=12,
    s3_reads=14,
    events=17,
    table_writes=20,
    table_reads=20,
    traces=2,
    log_bytes=8_000,
)


@dataclass(frozen=True)
class Line:
    """A line of the bill: USD per crawl, or per month if `crawls` is false."""

    part: str
    counted: str
    usd: float
    crawls: bool = True
    usd_to_start: float = 0

    def month(self, name: str) -> float:
        """USD per month at one of the schedules in `CRAWLS`."""
        if not self.crawls:
            return self.usd
        return CRAWLS[name] * (self.usd + (self.usd_to_start if name in COLD else 0))


def lines(crawl: Crawl) -> list[Line]:
    """The bill of everything except the warehouse."""
    return [
        Line(
            "Step Functions",
            f"{crawl.transitions} transitions × $25/M",
            crawl.transitions * TRANSITION,
        ),
        Line(
            "Lambda",
            f"{crawl.invocations} requests × $0.20/M + {crawl.gb_seconds:.1f} GB-s (assumed) "
            "× $0.0000133",
            crawl.invocations * INVOCATION + crawl.gb_seconds * GB_SECOND,
        ),
        Line(
            "Lambda cold starts",
            f"{crawl.gb_seconds_to_start:.0f} GB-s × $0.0000133; none at 5-minute intervals",
            0,
            usd_to_start=crawl.gb_seconds_to_start * GB_SECOND,
        ),
        Line(
            "S3 requests",
            f"{crawl.s3_writes} writes × $5/M + {crawl.s3_reads} reads × $0.40/M",
            crawl.s3_writes * S3_WRITE + crawl.s3_reads * S3_READ,
        ),
        Line(
            "DynamoDB",
            f"{crawl.table_writes} writes × $0.625/M + {crawl.table_reads} reads × $0.125/M",
            crawl.table_writes * TABLE_WRITE + crawl.table_reads * TABLE_READ,
        ),
        Line(
            "CloudWatch Logs",
            f"{crawl.log_bytes / 1000:.0f} KB (assumed) × $0.50/GB",
            crawl.log_bytes / 1e9 * LOG_GB,
        ),
        Line(
            "EventBridge, Secrets Manager",
            f"1 start × $1/M + {crawl.events} S3 events × $1/M + 1 read × $5/M",
            START + crawl.events * EVENT + SECRET_READ,
        ),
        Line("X-Ray", f"{crawl.traces} traces (assumed) × $5/M", crawl.traces * TRACE),
        Line("CloudWatch alarms", f"{ALARMS} × $0.10", ALARMS * ALARM, crawls=False),
    ]


def measure() -> float:
    """GB-seconds of one cold start of each function: its imports, without cached bytecode."""
    script = (
        "import resource, anomaly_detector.handlers.{}; "
        "used = resource.getrusage(resource.RUSAGE_SELF); print(used.ru_utime + used.ru_stime)"
    )
    total = 0.0
    for name in FUNCTIONS:
        with tempfile.TemporaryDirectory() as empty:
            done = subprocess.run(
                [sys.executable, "-B", "-X", f"pycache_prefix={empty}", "-c", script.format(name)],
                env={**os.environ, "PYTHONPATH": str(ROOT / "lambda_src")},
                capture_output=True,
                text=True,
                check=True,
            )
        seconds = float(done.stdout)
        print(f"{name:<12} {seconds:.2f} s CPU time")
        total += seconds * CPU_GB
    return total


def table() -> str:
    """The table, in Markdown; the printed amounts of each column add up to its total."""
    return "\n".join(_rows())


def _rows() -> Iterator[str]:
    names = list(CRAWLS)
    yield f"| part | per crawl (alarms: per month) | {' | '.join(names)} |"
    yield f"|---|---|{'---:|' * len(names)}"
    bill = [(line, [round(line.month(name), 2) for name in names]) for line in lines(CRAWL)]
    for line, months in bill:
        yield f"| {line.part} | {line.counted} | {' | '.join(f'${usd:.2f}' for usd in months)} |"
    sums = [sum(months[place] for _, months in bill) for place in range(len(names))]
    yield f"| **a month** | | {' | '.join(f'**${usd:.2f}**' for usd in sums)} |"
    resume = 8 * RPU_HOUR / 60
    resumed = " | ".join(f"${resume * CRAWLS[name]:.2f}" for name in names)
    yield (
        "| Redshift Serverless, resumed by each crawl | 8 RPU × 1 minute × $0.375/RPU-hour "
        f"| {resumed} |"
    )


def main() -> int:
    """Write or check the table; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if README.md is out of date"
    )
    parser.add_argument(
        "--measure", action="store_true", help="measure the functions' cold starts, write nothing"
    )
    given = parser.parse_args()
    if given.measure:
        print(f"{measure():.1f} GB-seconds")
        return 0
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    wanted = f"{before}{BEGIN}\n{table()}\n{END}{after}"
    if wanted == text:
        return 0
    if given.check:
        print(
            "README.md: the cost table is out of date; run python -m scripts.cost", file=sys.stderr
        )
        return 1
    README.write_text(wanted, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
