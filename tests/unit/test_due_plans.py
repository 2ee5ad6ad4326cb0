"""What is due: whatever watermark, look-back and time of a crawl are, an interval is planned once
its end and the offset have passed, oldest first, and once.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from anomaly_detector.config import document_hash
from anomaly_detector.intervals import SECONDS, Grid
from anomaly_detector.lake import layout
from anomaly_detector.lake.store import ObjectStore
from anomaly_detector.ledger.items import DETECTOR, Detector
from anomaly_detector.ledger.ledger import Ledger
from anomaly_detector.ledger.table import StateTable
from anomaly_detector.limits import MOST_DUE
from anomaly_detector.model_format import FORMAT
from anomaly_detector.services.crawling import plan_crawl
from anomaly_detector.services.payloads import CrawlPlan
from anomaly_detector.services.topic import Topic
from anomaly_detector.services.watching import Watch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.cloud import Bucket, Client, Table, Undisturbed
from tests.unit.services_world import document

ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]
NOW = datetime(2026, 3, 4, tzinfo=UTC)
grids = st.builds(Grid, st.sampled_from(sorted(SECONDS)), st.sampled_from(ZONES))
moments = st.integers(1_700_000_000, 1_800_000_000).map(
    lambda seconds: datetime.fromtimestamp(seconds, UTC)
)


class Account:
    """A detector that has learned up to `base` and crawled up to `watermark`."""

    def __init__(
        self, grid: Grid, base: datetime, watermark: datetime, lookback: int, offset: int
    ) -> None:
        body = document(
            interval=grid.interval,
            timezone=grid.timezone,
            lookback_intervals=lookback,
            offset_seconds=offset,
            history={"start": "2020-01-01T00:00:00Z"},
        )
        line, self.bucket = Undisturbed(), Bucket(lambda: NOW)
        self.store = ObjectStore(Client(line, "s3", self.bucket, 4), "shop-bucket")
        self.table = StateTable(Client(line, "dynamodb", Table(lambda: NOW), 4), "shop", "shop")
        self.ledger = Ledger(self.table)
        self.bucket.write(layout.configuration_version(document_hash(body)), body)
        self.set(
            Detector(
                status="ACTIVE",
                config_hash=document_hash(body),
                watermark=watermark,
                base=base,
                model="model",
                model_format=FORMAT,
                parts=(tuple(json.loads(body)["measures"]),),
            )
        )

    def set(self, detector: Detector) -> None:
        self.table.put(DETECTOR, detector.attributes())

    def plans(self, scheduled: datetime) -> list[CrawlPlan]:
        """Plans of crawls one after the other, each committed, until nothing is due."""
        found: list[CrawlPlan] = []
        watch = Watch("shop", self.store, self.ledger, lambda: Topic(None, ""))
        while True:
            execution = f"crawl-{len(found)}"
            plan = plan_crawl(self.store, self.ledger, watch, scheduled, execution, scheduled)
            if not plan.due:
                return found
            found.append(plan)
            moved = {"watermark": plan.window_end, "base": plan.next_base}
            self.set(self.ledger.detector().model_copy(update=moved))
            self.ledger.end_crawl(execution)


@settings(max_examples=50)
@given(
    grids,
    moments,
    st.integers(0, 30),
    st.integers(0, 24),
    st.sampled_from([0, 1, 300, 7200, 86_400]),
    st.one_of(st.integers(-2, 5), st.integers(5, 2 * MOST_DUE + 3)),
    st.floats(0, 1, exclude_max=True),
)
def test_every_interval_that_is_over_is_planned_once_and_the_look_back_before_it_is_read_again(
    grid: Grid,
    moment: datetime,
    learned: int,
    lookback: int,
    offset: int,
    waiting: int,
    share: float,
) -> None:
    watermark = grid.floor(moment)
    base = grid.shift(watermark, -min(learned, lookback))
    near = grid.shift(watermark, waiting)
    within = (grid.shift(near, 1) - near).total_seconds() * share
    scheduled = near + timedelta(seconds=offset + int(within))
    account = Account(grid, base, watermark, lookback, offset)

    plans = account.plans(scheduled)

    due = [
        start
        for plan in plans
        for start in grid.starts(plan.due_start or NOW, plan.window_end or NOW)
    ]
    # Those that are over, told without the grid's own word for it.
    over = [
        start
        for start in (grid.shift(watermark, number) for number in range(max(0, waiting) + 3))
        if grid.shift(start, 1) + timedelta(seconds=offset) <= scheduled
    ]
    assert due == over
    assert list(account.ledger.intervals(watermark, grid.shift(watermark, len(due) + 3))) == due
    assert [plan.more for plan in plans] == [True] * (len(plans) - 1) + [False] * bool(plans)
    begin = base
    for plan in plans:
        assert plan.window_end is not None
        assert (plan.window_start, plan.due_start) == (begin, plan.due_start)
        assert 1 <= grid.count(plan.due_start or NOW, plan.window_end) <= MOST_DUE
        assert plan.next_base == max(begin, grid.shift(plan.window_end, -lookback))
        begin = plan.next_base
    assert all(one.window_end == other.due_start for one, other in pairwise(plans))


@settings(max_examples=20)
@given(grids, moments, st.integers(1, 10), st.integers(0, 5))
def test_a_crawl_that_comes_again_or_late_plans_nothing_twice(
    grid: Grid, moment: datetime, waiting: int, lookback: int
) -> None:
    watermark = grid.floor(moment)
    account = Account(grid, watermark, watermark, lookback, 0)
    newest, late = (grid.shift(watermark, number) for number in (waiting, waiting - 1))

    first = account.plans(newest)

    assert [plan.window_end for plan in first] == [newest]
    assert account.plans(newest) == account.plans(late) == []
