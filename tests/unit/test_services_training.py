"""Training in blocks, calls and parts gives the same bytes, wherever it is interrupted."""

from __future__ import annotations

import io
import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from anomaly_detector import capacity
from anomaly_detector.errors import PermanentError
from anomaly_detector.events.store import groups_from_bytes
from anomaly_detector.lake import layout
from anomaly_detector.ledger.items import Chunk
from anomaly_detector.limits import MOST_ROUNDS
from anomaly_detector.services import history, preparing, replaying, training
from anomaly_detector.services.payloads import HistoryPlan, Trained
from moto import mock_aws

from tests.unit.services_world import DAY, H1, HISTORY_DAYS, Sale, World, document, sales

MEASURES = {
    "revenue": {},
    "views": {"aggregation": "COUNT"},
    "price": {"aggregation": "AVG"},
}


class Killed(BaseException):
    """The function is gone."""


class Mortal:
    """A client whose n-th call never returns."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.left = 10**9

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._client, name)
        if not callable(found) or name.startswith("_"):
            return found

        def call(*args: Any, **given: Any) -> Any:
            self.left -= 1
            if self.left < 0:
                raise Killed
            return found(*args, **given)

        return call


def table(world: World, begin: datetime, end: datetime) -> pa.Table:
    """Rows of three measures: one does not know every slice, one has values that are NULL."""
    noise = np.random.default_rng(int(begin.timestamp()))
    rows = [sale for sale in world.rows if begin <= sale.day < end]
    # an incident in the scored part of history
    bad = {H1 - DAY * 9, H1 - DAY * 8, H1 - DAY * 7}
    rows = [
        replace(sale, revenue=sale.revenue / 20, rows=sale.rows // 10) if sale.day in bad else sale
        for sale in rows
    ]
    by_key: dict[tuple[datetime, str], list[Sale]] = {}
    for sale in rows:
        by_key.setdefault((sale.day, "*"), []).append(sale)
        by_key.setdefault((sale.day, sale.platform), []).append(sale)
    columns: dict[str, list[Any]] = {"interval_start": [], "dimension_0": [], "row_count": []}
    for place in range(3):
        columns |= {f"measure_{place}_value": [], f"measure_{place}_count": []}
    for (day, platform), found in by_key.items():
        number = (day - H1).days + HISTORY_DAYS
        count = sum(sale.rows for sale in found)
        values: list[float | None] = [sum(sale.revenue for sale in found), float(count), 5.0]
        values[2] = None if platform == "pc_web" else 5.0 + float(noise.normal())
        if noise.random() < 0.1 or number % 13 == 4:
            values[0] = None
        if number % 17 == 3:
            values = [None, None, values[2]]
        columns["interval_start"].append(day.replace(tzinfo=None))
        columns["dimension_0"].append(platform)
        columns["row_count"].append(count)
        for place, value in enumerate(values):
            columns[f"measure_{place}_value"].append(value)
            columns[f"measure_{place}_count"].append(0 if value is None else count)
    made = pa.table(
        {**columns, "interval_start": pa.array(columns["interval_start"], pa.timestamp("us"))}
    )
    for place in range(3):
        name = f"measure_{place}_value"
        made = made.set_column(
            made.column_names.index(name), name, pa.array(columns[name], pa.float64())
        )
    return made


def landed(**changes: Any) -> tuple[World, HistoryPlan]:
    """A detector whose history has landed, in chunks of six days."""
    world = World(sales(4))
    world.upload(
        document(
            measures=MEASURES, history={"length": f"P{HISTORY_DAYS}D", "chunk": "P6D"}, **changes
        )
    )
    preparing.prepare(world.store, world.ledger, None, "pipeline-1", H1)
    plan = history.plan_history(world.store, world.ledger, world.config_hash, H1)
    for number, chunk in enumerate(plan.chunks):
        rows = table(world, chunk.window_start, chunk.window_end)
        query = world.config.query_hash
        prefix = layout.history_attempt(query, chunk.window_start, chunk.window_end, f"a-{number}")
        key = f"{prefix}shard=0/0000_part_00.parquet"
        world.put_parquet(key, rows, row_group_size=5)
        world.store.put_json(layout.manifest(prefix), world.manifest({key: rows.num_rows}))
        world.ledger.put_chunk(
            query,
            Chunk(
                window_start=chunk.window_start,
                window_end=chunk.window_end,
                prefix=prefix,
                manifest=layout.manifest(prefix),
                rows=rows.num_rows,
                landed_at=H1,
            ),
        )
    return world, plan


def trained(
    world: World,
    plan: HistoryPlan,
    part: int,
    measures: tuple[str, ...],
    die: Callable[[], int] = lambda: 10**9,
    remaining: Callable[[], float] = lambda: 900.0,
) -> tuple[Trained, int]:
    """Call until it is done, as the machine does; the answer, and how often it was killed."""
    client = Mortal(world.store._client)
    world.store._client = client
    answer: Trained | None = None
    killed = 0
    try:
        while answer is None or not answer.done:
            client.left = die()
            try:
                answer = training.train(
                    world.store,
                    world.ledger,
                    world.config_hash,
                    part,
                    measures,
                    plan.history_start,
                    plan.history_end,
                    "pipeline-1",
                    answer,
                    remaining=remaining,
                )
            except Killed:
                killed += 1
    finally:
        world.store._client = client._client
    return answer, killed


def written(world: World) -> dict[str, bytes]:
    return {key: world.store.get(key) for key in world.store.keys("models/")}


def wiped(world: World) -> None:
    world.store.delete(list(world.store.keys("models/")))


@pytest.fixture(scope="module")
def shop() -> Iterator[tuple[World, HistoryPlan]]:
    with pytest.MonkeyPatch.context() as patch, mock_aws():
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield landed()


@pytest.fixture(autouse=True)
def _wiped(shop: tuple[World, HistoryPlan]) -> Iterator[None]:
    yield
    wiped(shop[0])


@pytest.fixture
def blockwise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of some days only, replayed in pieces, and everything stored after each."""
    monkeypatch.setattr(training, "rows_at_once", lambda *_: 25)
    monkeypatch.setattr(replaying, "intervals_at_once", lambda *_: 3)
    monkeypatch.setattr(training, "_STORED_AFTER", 1.0)


@pytest.fixture(scope="module")
def whole(shop: tuple[World, HistoryPlan]) -> dict[str, bytes]:
    """What training in one block writes."""
    world, plan = shop
    answer, _ = trained(world, plan, 0, tuple(MEASURES))
    assert (answer.done, answer.share, answer.rounds) == (True, 1.0, 1)
    found = written(world)
    wiped(world)
    return found


def scores(of: dict[str, bytes]) -> pa.Table:
    files = [pq.read_table(io.BytesIO(of[key])) for key in sorted(of) if "/scores/" in key]
    return pa.concat_tables(files).sort_by(
        [(name, "ascending") for name in ("interval_start", "measure", "platform")]
    )


@pytest.mark.usefixtures("blockwise")
def test_blocks_and_a_kill_at_every_call_change_no_byte(
    shop: tuple[World, HistoryPlan], whole: dict[str, bytes]
) -> None:
    world, plan = shop
    random_calls, clock = random.Random(5), itertools.count(0, 2)
    for mortal, die in ((False, lambda: 10**9), (True, lambda: random_calls.randint(6, 16))):
        wiped(world)
        answer, killed = trained(
            world, plan, 0, tuple(MEASURES), die, lambda: 900.0 - next(clock) % 700
        )
        found = written(world)

        assert answer.done
        assert {*found} == {*whole}
        assert [key for key in whole if found[key] != whole[key]] == []
        assert (killed > 3) == mortal


@pytest.mark.usefixtures("blockwise")
def test_it_stops_in_good_time_and_says_how_far_it_has_come(
    shop: tuple[World, HistoryPlan], whole: dict[str, bytes]
) -> None:
    world, plan = shop
    seen = []
    answer: Trained | None = None
    while answer is None or not answer.done:
        # the function is as good as over after its first block
        answer = training.train(
            world.store,
            world.ledger,
            world.config_hash,
            0,
            tuple(MEASURES),
            plan.history_start,
            plan.history_end,
            "pipeline-1",
            answer,
            remaining=lambda: 10.0,
        )
        seen.append(answer)

    assert len(seen) > 5
    assert [one.rounds for one in seen] == list(range(1, len(seen) + 1))
    shares = [one.share for one in seen]
    assert shares == sorted(set(shares))
    assert written(world) == whole


def test_parts_by_measure_give_what_one_part_gives(
    shop: tuple[World, HistoryPlan], whole: dict[str, bytes]
) -> None:
    # given measures of which one does not know every slice and one lacks values
    world, plan = shop
    version = layout.version_of(next(iter(whole)))
    # when
    for part, name in enumerate(MEASURES):
        trained(world, plan, part, (name,))
    parts = written(world)
    # then
    assert scores(parts).equals(scores(whole))
    of_parts = [
        group
        for part in range(len(MEASURES))
        for group in groups_from_bytes(parts[layout.backtest_groups(version, part)])
    ]
    of_one = groups_from_bytes(whole[layout.backtest_groups(version, 0)])
    assert sorted(of_parts, key=lambda one: (one.start, one.measure, one.id)) == list(of_one)
    assert of_one


def test_history_that_has_expired_meanwhile_is_no_empty_history(
    shop: tuple[World, HistoryPlan],
) -> None:
    world, plan = shop
    chunk = world.ledger.chunks(world.config.query_hash)[3]
    assert chunk.manifest
    body = world.store.get(chunk.manifest)
    world.store.delete([chunk.manifest])
    try:
        with pytest.raises(PermanentError, match="no longer in the bucket"):
            trained(world, plan, 0, tuple(MEASURES))
    finally:
        world.store.put(chunk.manifest, body)


def test_a_training_that_never_ends_is_given_up(shop: tuple[World, HistoryPlan]) -> None:
    world, plan = shop
    before = Trained(
        part=0, measures=tuple(MEASURES), version="v", series=1, done=False, rounds=MOST_ROUNDS
    )

    with pytest.raises(PermanentError, match="more than 200 calls"):
        training.train(
            world.store,
            world.ledger,
            world.config_hash,
            0,
            tuple(MEASURES),
            plan.history_start,
            plan.history_end,
            "pipeline-1",
            before,
        )


def test_a_detector_in_parts_crawls_and_stores_what_one_part_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")

    number = itertools.count()

    def run() -> tuple[dict[str, bytes], Any, Any, int]:
        with mock_aws():
            world = World(sales(6), f"parts-{next(number)}")
            world.upload(document())
            world.activate()
            for day in range(1, 6):
                assert world.crawl(H1 + DAY * day + DAY / 2, f"c{day}")
            detector = world.ledger.detector()
            live = {key: body for key, body in world.published().items() if "/history-" not in key}
            rows = [
                pq.read_table(io.BytesIO(body))
                for key, body in world.published().items()
                if "/history-" in key
            ]
            backtest = pa.concat_tables(rows).sort_by(
                [(name, "ascending") for name in ("interval_start", "measure", "platform")]
            )
            return live, world.groups(), backtest, len(detector.parts)

    one = run()
    monkeypatch.setattr(
        capacity, "parts", lambda config, _: tuple((name,) for name in config.measures)
    )
    two = run()

    assert (one[3], two[3]) == (1, 2)
    assert one[0].keys() == two[0].keys()
    assert [key for key in one[0] if one[0][key] != two[0][key]] == []
    assert one[1] == two[1]
    assert one[1]
    assert one[2].equals(two[2])
