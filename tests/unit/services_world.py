"""A bucket and a table in memory, a shop whose rows may come late, and the steps of the machines
by hand.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import product
from typing import Any

import boto3
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from anomaly_detector.alerts.message import Message
from anomaly_detector.config import ROLLED_UP, Config, document_hash, load
from anomaly_detector.lake import layout
from anomaly_detector.lake.store import ObjectStore
from anomaly_detector.ledger.items import Chunk
from anomaly_detector.ledger.ledger import Ledger
from anomaly_detector.ledger.table import StateTable
from anomaly_detector.lookout.payload import Origin
from anomaly_detector.services import committing, crawling, history, preparing, training
from anomaly_detector.services.delivery import deliver
from anomaly_detector.services.outbox import Pages, Post
from anomaly_detector.services.payloads import CrawlPlan, Detected, LandedFiles
from anomaly_detector.services.topic import Topic
from anomaly_detector.services.watching import Watch

from tests import state_table
from tests.simulation.cloud import Bucket, Client, Table, Targets, Undisturbed

BUCKET, TABLE = "shop-bucket", "shop"
TOPIC = "arn:aws:sns:eu-central-1:123456789012:alerts"
DAY = timedelta(days=1)
H1 = datetime(2026, 3, 2, tzinfo=UTC)
HISTORY_DAYS = 70
PLATFORMS = ("mobile_app", "pc_web")


@cache
def _made(service: str) -> Any:
    return boto3.client(
        service,
        region_name="us-east-1",
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )


def client(service: str) -> Any:
    """A client of the emulator; making one from nothing takes long.

    What a test hooks into its events stays with the client.
    """
    made = _made(service)
    # Its __getattr__ is nothing for `copy`.
    found = object.__new__(type(made))
    found.__dict__.update(made.__dict__)
    found.meta = copy(made.meta)
    found.meta.events = copy(found.meta.events)
    return found


def _now() -> datetime:
    return datetime.now(UTC)


def document(**changes: Any) -> bytes:
    """A valid configuration of a daily shop."""
    return json.dumps(
        {
            "name": "shop",
            "interval": "P1D",
            "offset_seconds": 0,
            "lookback_intervals": 2,
            "timestamp_column": {"name": "ts"},
            "measures": {"revenue": {}, "views": {"aggregation": "COUNT"}},
            "dimensions": ["platform"],
            "false_events_per_week": 1,
            "query": "SELECT * FROM t WHERE ts >= {{ window_start }} AND ts < {{ window_end }}",
            "redshift": {
                "cluster_identifier": "c",
                "database": "d",
                "unload_role": "arn:aws:iam::123456789012:role/unload",
            },
            "history": {"length": f"P{HISTORY_DAYS}D", "chunk": "P30D"},
            "alerts": {"any": {"sns_topic_arns": [TOPIC]}},
        }
        | changes
    ).encode()


@dataclass(frozen=True)
class Sale:
    """Rows of one platform and day, and when they come into the warehouse."""

    day: datetime
    platform: str
    revenue: float
    rows: int
    known_from: datetime


def sales(days: int, late: dict[tuple[int, str], int] | None = None, seed: int = 1) -> list[Sale]:
    """A shop from the start of history until `days` after H1, with an incident in the live part.

    `late` delays half of the rows of a live day (0 is the first after H1) and platform by some
    days.
    """
    noise = np.random.default_rng(seed)
    found = []
    for number, platform in product(range(HISTORY_DAYS + days), PLATFORMS):
        day = H1 + DAY * (number - HISTORY_DAYS)
        level = 1000 + 100 * day.weekday() + noise.normal(0, 10)
        if number == HISTORY_DAYS + 3 and platform == "mobile_app":
            level *= 0.1
        delay = (late or {}).get((number - HISTORY_DAYS, platform), 0)
        for part, wait in ((0.5, 0), (0.5, delay)):
            found.append(Sale(day, platform, round(level * part, 2), 50, day + DAY + DAY * wait))
    return found


def landed_table(rows: list[Sale], begin: datetime, end: datetime, asof: datetime) -> pa.Table:
    """What the warehouse aggregates of `[begin, end)` as it knows it at `asof`."""
    sums: dict[tuple[datetime, str], list[float]] = {}
    for sale in rows:
        if begin <= sale.day < end and sale.known_from <= asof:
            for platform in (ROLLED_UP, sale.platform):
                entry = sums.setdefault((sale.day, platform), [0.0, 0])
                entry[0] += sale.revenue
                entry[1] += sale.rows
    days = [day.replace(tzinfo=None) for day, _ in sums]
    counts = [int(entry[1]) for entry in sums.values()]
    return pa.table(
        {
            "interval_start": pa.array(days, pa.timestamp("us")),
            "dimension_0": pa.array([platform for _, platform in sums], pa.string()),
            "measure_0_value": pa.array([entry[0] for entry in sums.values()], pa.float64()),
            "measure_0_count": pa.array(counts, pa.int64()),
            "measure_1_value": pa.array([float(count) for count in counts], pa.float64()),
            "measure_1_count": pa.array(counts, pa.int64()),
            "row_count": pa.array(counts, pa.int64()),
        }
    )


@dataclass
class Mailbox:
    """Takes what delivery sends."""

    messages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def news(self) -> list[dict[str, Any]]:
        """Messages on events that have begun, or are void; not on what has become of others."""
        return [one for one in self.messages if "state" not in one]

    def send(self, arn: str, message: Message) -> None:
        """Keep the message."""
        self.messages.append({"arn": arn} | json.loads(message.body))


class World:
    """One detector with everything it owns, in memory.

    Parameters
    ----------
    emulated : whether its clients are boto3's instead, with hooks; use it within `moto.mock_aws`.
    """

    def __init__(self, rows: list[Sale], name: str = "shop", *, emulated: bool = False) -> None:
        self.rows = rows
        bucket = f"{name}-bucket"
        if emulated:
            s3, dynamodb, sns = map(client, ("s3", "dynamodb", "sns"))
            s3.create_bucket(Bucket=bucket)
            state_table.create(dynamodb, name)
            topic = sns.create_topic(Name=f"{name}-operations")["TopicArn"]
        else:
            s3, dynamodb, sns = (
                Client(Undisturbed(), service, backend, 1)
                for service, backend in (
                    ("s3", Bucket(_now)),
                    ("dynamodb", Table(_now)),
                    ("sns", Targets()),
                )
            )
            topic = TOPIC
        self.store = ObjectStore(s3, bucket)
        self.table = StateTable(dynamodb, name, "shop")
        self.ledger = Ledger(self.table)
        self.mail = Mailbox()
        self.pages: Pages | None = None
        self.operations = Topic(sns, topic)
        self.config_hash = ""

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return load(self.store.get(layout.configuration_version(self.config_hash)))

    def upload(self, body: bytes) -> None:
        """Upload a document."""
        self.config_hash = document_hash(body)
        self.store.put(layout.CONFIGURATION, body)

    def land(self, prefix: str, begin: datetime, end: datetime, asof: datetime) -> LandedFiles:
        """UNLOAD a window as the stand-in for the warehouse knows it."""
        table = landed_table(self.rows, begin, end, asof)
        attempt = prefix.rstrip("/").rsplit("=", 1)[1]
        if not table.num_rows:
            return LandedFiles(prefix=prefix, attempt_id=attempt)
        shards = self.config.shards
        of_shard = np.array([len(name) % shards for name in table["dimension_0"].to_pylist()])
        files = {}
        for shard in set(of_shard.tolist()):
            part = table.filter(pa.array(of_shard == shard))
            key = f"{prefix}shard={shard}/0000_part_00.parquet"
            self.put_parquet(key, part)
            files[key] = part.num_rows
        self.store.put_json(layout.manifest(prefix), self.manifest(files))
        return LandedFiles(
            prefix=prefix,
            manifest=layout.manifest(prefix),
            rows=table.num_rows,
            attempt_id=attempt,
            statement_id=f"statement-{attempt}",
        )

    def put_parquet(self, key: str, table: pa.Table, **options: Any) -> None:
        """Write a Parquet file."""
        sink = io.BytesIO()
        pq.write_table(table, sink, **options)
        self.store.put(key, sink.getvalue())

    def manifest(self, keys: dict[str, int]) -> dict[str, Any]:
        """A verbose manifest."""
        return {
            "entries": [
                {
                    "url": f"s3://{self.store.bucket}/{key}",
                    "meta": {"content_length": 1, "record_count": count},
                }
                for key, count in keys.items()
            ],
            "meta": {"content_length": 1, "record_count": sum(keys.values())},
            "schema": {"elements": []},
        }

    def activate(
        self,
        execution: str = "pipeline-1",
        at: datetime = H1,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        """Run the pipeline for the uploaded document, up to its end; `meanwhile` happens when all
        is trained.
        """
        preparing.prepare(self.store, self.ledger, None, execution, at)
        plan = history.plan_history(self.store, self.ledger, self.config_hash, at)
        query_hash = self.config.query_hash
        for number, chunk in enumerate(plan.chunks):
            begin, end = chunk.window_start, chunk.window_end
            attempt = layout.attempt_id(f"{execution}-{number}", 1)
            prefix = layout.history_attempt(query_hash, begin, end, attempt)
            landed = self.land(prefix, begin, end, at)
            self.ledger.put_chunk(
                query_hash,
                Chunk(
                    window_start=begin,
                    window_end=end,
                    prefix=prefix,
                    manifest=landed.manifest,
                    rows=landed.rows,
                    landed_at=at,
                ),
            )
        trained = [
            training.train(
                self.store,
                self.ledger,
                self.config_hash,
                one.part,
                one.measures,
                plan.history_start,
                plan.history_end,
                execution,
                taught=plan.taught,
            )
            for one in plan.parts
        ]
        meanwhile()
        training.activate(
            self.store,
            self.ledger,
            self.config_hash,
            plan.history_start,
            plan.history_end,
            train=plan.train,
            parts=trained,
            execution=execution,
            now=at,
            taught=plan.taught,
        )
        self.deliver(at, execution)

    def plan(self, at: datetime, execution: str, now: datetime | None = None) -> CrawlPlan:
        """First step of a crawl, begun when it is scheduled unless told otherwise."""
        watch = Watch("shop", self.store, self.ledger, lambda: self.operations)
        return crawling.plan_crawl(self.store, self.ledger, watch, at, execution, now or at)

    def unload(self, plan: CrawlPlan, at: datetime, execution: str) -> LandedFiles:
        """Second step."""
        assert plan.due_start
        assert plan.window_start
        assert plan.window_end
        prefix = layout.live_attempt(plan.due_start, layout.attempt_id(execution, 1))
        return self.land(prefix, plan.window_start, plan.window_end, at)

    def detect(self, plan: CrawlPlan, landed: LandedFiles, now: datetime = H1) -> list[Detected]:
        """Third step."""
        return [
            crawling.detect(self.store, self.ledger, plan, landed, one.part, now)
            for one in plan.parts
        ]

    def commit(
        self,
        plan: CrawlPlan,
        landed: LandedFiles,
        parts: Sequence[Detected],
        now: datetime = H1,
    ) -> committing.Outcome:
        """Fourth step."""
        return committing.commit(self.store, self.ledger, plan, landed, parts, now)

    def deliver(self, at: datetime, holder: str = "run") -> None:
        """Last step."""
        post = Post(
            detector_name="shop",
            ledger=self.ledger,
            objects=self.store,
            targets=self.mail,
            origin=Origin("arn:aws:states:eu-central-1:123456789012:stateMachine:s", BUCKET),
            operations=self.operations,
            pages=self.pages,
        )
        deliver(post, clock=lambda: at, holder=holder, sleep=lambda _: None)

    def crawl(self, at: datetime, execution: str, now: datetime | None = None) -> bool:
        """A whole crawl; whether something was committed."""
        plan = self.plan(at, execution, now)
        done = False
        if plan.due:
            landed = self.unload(plan, at, execution)
            done = self.commit(plan, landed, self.detect(plan, landed, at), at).committed
        self.deliver(at, execution)
        return done

    def published(self) -> dict[str, bytes]:
        """Every result in the bucket."""
        return {key: self.store.get(key) for key in self.store.keys("results/")}

    def groups(self) -> list[dict[str, Any]]:
        """Groups on file, without what depends on when crawls look: the attempt that wrote them and
        the groups that late rows have replaced.
        """
        found, out = self.table.query("GROUP#"), ("attempt_id", "former")
        return [{key: item[key] for key in item if key not in out} for item in found]
