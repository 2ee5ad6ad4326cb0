"""What the simulation runs on behaves as what it stands for: moto, and the stand-in's SQL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from anomaly_detector.lake.store import ObjectStore
from anomaly_detector.ledger.table import StateTable, Write
from anomaly_detector.warehouse import sql
from botocore.exceptions import ClientError
from moto import mock_aws

from tests import state_table
from tests.simulation import shop
from tests.simulation.cloud import Bucket, Client, Table, Undisturbed
from tests.simulation.loop import Loop
from tests.simulation.machines import Run, StepError
from tests.simulation.warehouse import MEASURES
from tests.unit import standin
from tests.unit.services_world import client

NOW = datetime(2026, 3, 4, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield


def drawn_value(random: Random) -> Any:
    """A value that the ledger may store."""
    return random.choice(
        [None, "", "a", "b", 0, 1, 2.5, True, {"x": "SENT"}, {"x": "SENT", "y": None}, ["p", "q"]]
    )


def drawn_step(random: Random) -> tuple[str, tuple[Any, ...]]:
    """A call of the table's adapter."""
    sk = f"{random.choice('AB')}#{random.randrange(3)}"
    item = {name: drawn_value(random) for name in random.sample("uvw", 2)}
    only_if = {
        name: random.choice([None, "a", 1, (None, "a", 0), {"x": "SENT"}])
        for name in random.sample("uvw", random.randrange(3))
    }
    return random.choice(
        [
            ("put", (sk, item)),
            ("put_new", (sk, item)),
            ("update", (sk, item, only_if)),
            ("delete", (sk, only_if)),
            ("get", (sk,)),
            ("query", ("A#",)),
            ("query", ("A#", "1", None)),
            ("query", ("A#", "0", "1")),
            (
                "transact",
                (
                    [
                        Write(sk, item, only_if, fresh=random.random() < 0.5),
                        Write("C#1", {"u": drawn_value(random)}),
                    ],
                ),
            ),
        ]
    )


@pytest.mark.parametrize("seed", range(4))
def test_the_table_answers_as_dynamodb(seed: int) -> None:
    random = Random(seed)
    dynamodb = client("dynamodb")
    state_table.create(dynamodb, "shop")
    real = StateTable(dynamodb, "shop", "shop")
    ours = StateTable(Client(Undisturbed(), "dynamodb", Table(lambda: NOW), 4), "shop", "shop")
    for number in range(120):
        name, arguments = drawn_step(random)
        answers = []
        for table in (real, ours):
            try:
                answers.append(getattr(table, name)(*arguments))
            except ClientError as error:
                answers.append(error.response["Error"]["Code"])
        assert answers[0] == answers[1], (number, name, arguments)
    for prefix in ("A#", "B#", "C#"):
        assert real.query(prefix) == ours.query(prefix)


def test_the_bucket_answers_as_s3() -> None:
    s3 = client("s3")
    s3.create_bucket(Bucket="shop-bucket")
    stores = [
        ObjectStore(s3, "shop-bucket"),
        ObjectStore(Client(Undisturbed(), "s3", Bucket(lambda: NOW), 4), "shop-bucket"),
    ]

    def told(store: ObjectStore) -> list[Any]:
        store.put("a/1", b"one")
        store.put_all({"a/2": b"two", "b/3.csv": b"three"}, "text/plain")
        found: list[Any] = [store.copy_all({"c/1": "a/1", "c/2": "missing"})]
        found += [list(store.keys("a/")), list(store.keys("")), store.find("missing")]
        store.delete(["a/1", "missing"])
        return [*found, list(store.keys("")), store.get("c/1")]

    assert told(stores[0]) == told(stores[1])


def test_a_listing_of_several_pages_is_whole() -> None:
    bucket = Bucket(lambda: NOW)
    store = ObjectStore(Client(Undisturbed(), "s3", bucket, 4), "shop-bucket")
    keys = [f"k/{number:04}" for number in range(450)]
    for key in keys:
        bucket.write(key, b"")

    assert list(store.keys("k/")) == keys


@pytest.mark.parametrize("kind", ["hourly", "hourly-kathmandu", "daily-berlin"])
def test_the_warehouse_aggregates_as_the_sql_does(kind: str) -> None:
    of_kind = shop.KINDS[kind]
    given = shop.rows(of_kind, 8, 0)
    opened = standin.open_database()
    begin, end = of_kind.start, of_kind.grid.shift(of_kind.start, 8)
    late = end + timedelta(days=9)
    stored = [
        # Somewhere in its interval; the revenue is in the first.
        (
            (row.at + timedelta(seconds=number % 3600)).replace(tzinfo=None),
            *row.values,
            row.revenue if number == 0 else 0.0,
            1,
        )
        for at, rows in given.by_interval.items()
        if begin <= at < end
        for row in rows
        for number in range(row.views)
    ]
    names = ("ts", "platform", "market", "revenue", "views")
    columns = dict(zip(names, map(list, zip(*stored, strict=True)), strict=True))
    opened.register("stored", pa.table(columns))
    opened.execute("CREATE TABLE t AS SELECT * FROM stored")
    select = sql.aggregate(of_kind.config, begin, end, history=False)

    found = standin.run(opened, select)

    wanted = given.aggregated(begin, end, late)
    keys = ("interval_start", "dimension_0", "dimension_1")
    by_key = {tuple(row[name] for name in keys): row for row in found}
    assert len(by_key) == len(wanted) > 40
    for at, *names, revenue, count, views, _, rows in wanted:  # type: ignore[assignment]
        row = by_key[at.replace(tzinfo=None), *names]
        assert row["measure_0_value"] == pytest.approx(revenue)
        assert row["measure_1_value"] == views
        assert (row["measure_0_count"], row["measure_1_count"], row["row_count"]) == (
            count,
            count,
            rows,
        )
    assert list(of_kind.config.measures) == list(MEASURES)


def test_tasks_take_turns_and_time_passes() -> None:
    loop, told = Loop(NOW, Random(1)), []

    def sleeper(name: str, seconds: float) -> None:
        loop.sleep(seconds)
        told.append((name, (loop.now - NOW).total_seconds()))

    tasks = [
        loop.spawn(name, lambda n=name, s=s: sleeper(n, s))  # type: ignore[misc]
        for name, s in [("a", 9), ("b", 3)]
    ]
    loop.spawn("c", lambda: told.append(("joined", loop.join(tasks[0], 5))))

    loop.run(NOW + timedelta(seconds=60))

    assert told == [("b", 3.0), ("joined", False), ("a", 9.0)]
    assert loop.now == NOW + timedelta(seconds=60)


class Steps:
    """Answers for a machine, by function."""

    def __init__(self, answers: dict[str, list[Any]]) -> None:
        self.answers = answers
        self.slept: list[float] = []

    def invoke(self, function: str, payload: Any, seconds: float) -> Any:  # noqa: ARG002
        answer = self.answers[function].pop(0)
        if isinstance(answer, Exception):
            raise answer
        return payload if answer == "echo" else answer

    def nested(self, machine: str, payload: Any, seconds: float) -> Any:
        raise AssertionError(f"{machine} is started with {payload} for {seconds} s")

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)

    def jitter(self, seconds: float) -> float:
        return seconds

    def parallel(self, calls: list[Any]) -> list[Any]:
        return [call() for call in calls]


def run(states: dict[str, Any], given: Any, **answers: list[Any]) -> tuple[Any, Steps]:
    """Run states that go one to the next."""
    names = list(states)
    for name, following in zip(names, [*names[1:], None], strict=True):
        if not {"Next", "End", "Choices"} & set(states[name]) and states[name]["Type"] not in (
            "Succeed",
            "Fail",
        ):
            states[name] |= {"Next": following} if following else {"End": True}
    steps = Steps(answers)
    context = {"Execution": {"Id": "e", "StartTime": "2026-03-04T00:00:00Z"}}
    machine = {"StartAt": names[0], "States": states}
    return Run(steps, context).states(json.loads(json.dumps(machine)), given), steps


def test_a_task_is_tried_again_and_caught() -> None:
    retry = {"ErrorEquals": ["Busy"], "IntervalSeconds": 2, "MaxAttempts": 2, "BackoffRate": 3}
    task = {"Type": "Task", "Resource": "<functions.one>", "TimeoutSeconds": 9, "Retry": [retry]}
    caught = {"Catch": [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "B"}]}
    states = {"A": task | caught, "B": {"Type": "Succeed"}}
    busy = StepError("Busy", "too many")

    assert run(states, {"x": 1}, one=[busy, busy, "ok"])[0] == "ok"
    found, steps = run(states, {"x": 1}, one=[busy] * 3)
    assert found == {"x": 1, "error": {"Error": "Busy", "Cause": "too many"}}
    assert steps.slept == [2, 6]
    assert run(states, {}, one=[StepError("Other", "")])[0]["error"]["Error"] == "Other"
    with pytest.raises(StepError, match="Busy"):
        run({"A": task}, {}, one=[busy] * 3)


def test_paths_templates_and_choices() -> None:
    parameters = {
        "a.$": "$.x.y",
        "b": [1],
        "c.$": "$$.Execution.Id",
        "n.$": "States.MathAdd($.n, 1)",
    }
    parameters["t.$"] = "States.Format('{} of {}', $.n, $.x.y)"
    choice = {
        "Type": "Choice",
        "Choices": [
            {"And": [{"Variable": "$.n", "NumericLessThan": 5}], "Next": "C"},
            {"Not": {"Variable": "$.missing", "IsPresent": True}, "Next": "D"},
        ],
    }
    states = {
        "A": {"Type": "Pass", "Parameters": parameters, "ResultPath": "$.made", "Next": "B"},
        "B": choice,
        "C": {"Type": "Succeed", "InputPath": "$.made"},
        "D": {"Type": "Fail", "ErrorPath": "$.x.y", "Cause": "why"},
    }
    made = {"a": "q", "b": [1], "c": "e", "n": 4, "t": "3 of q"}

    assert run(states, {"x": {"y": "q"}, "n": 3})[0] == made
    with pytest.raises(StepError, match="q: why"):
        run(states, {"x": {"y": "q"}, "n": 7})


def test_a_map_runs_each_item() -> None:
    part = {
        "StartAt": "One",
        "States": {
            "One": {"Type": "Task", "Resource": "<functions.one>", "TimeoutSeconds": 9, "End": True}
        },
    }
    states = {
        "A": {
            "Type": "Map",
            "ItemsPath": "$.items",
            "ItemSelector": {"v.$": "$$.Map.Item.Value.name", "x.$": "$.x"},
            "ItemProcessor": part,
            "ResultPath": "$.all",
        }
    }

    found, _ = run(states, {"items": [{"name": "p"}, {"name": "q"}], "x": 1}, one=["echo"] * 2)

    assert found["all"] == [{"v": "p", "x": 1}, {"v": "q", "x": 1}]
