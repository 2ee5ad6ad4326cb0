"""A lease has one holder at a time, even if a holder crashes or a reply is lost."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from anomaly_detector.ledger.lease import Lease
from anomaly_detector.ledger.table import StateTable
from botocore.exceptions import EndpointConnectionError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from tests import state_table

NOW = datetime(2026, 1, 5, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
_numbers = itertools.count()


class Replies:
    """A DynamoDB client that repeats a call whose reply got lost, as botocore does."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.lose: set[int] = set()
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(**given: Any) -> Any:
            self.calls += 1
            if self.calls in self.lose:
                method(**given)
            return method(**given)

        return call


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Iterator[Replies]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        found = boto3.client("dynamodb", region_name="us-east-1")
        state_table.create(found, "state")
        yield Replies(found)


@pytest.fixture
def lease(client: Replies) -> Lease:
    return Lease(StateTable(client, "state", "shop"), "LEASE#x")


def test_another_waits_until_it_is_released(lease: Lease) -> None:
    assert lease.take("a", NOW, NOW + 10 * MINUTE) is None
    assert lease.take("b", NOW + 9 * MINUTE, NOW + 19 * MINUTE) == "a"

    lease.release("b")
    assert lease.take("b", NOW, NOW + MINUTE) == "a"
    lease.release("a")
    assert lease.take("b", NOW, NOW + MINUTE) is None


def test_what_one_has_already_is_taken_again(lease: Lease) -> None:
    assert lease.take("a", NOW, NOW + 10 * MINUTE) is None
    assert lease.take("a", NOW + 5 * MINUTE, NOW + 15 * MINUTE) is None
    assert lease.take("b", NOW + 14 * MINUTE, NOW + 20 * MINUTE) == "a"


def test_after_its_time_it_is_anybodys_and_the_former_holder_notices(lease: Lease) -> None:
    lease.take("a", NOW, NOW + 10 * MINUTE)
    assert lease.renew("a", NOW + 12 * MINUTE)

    assert lease.take("b", NOW + 11 * MINUTE, NOW + 30 * MINUTE) == "a"
    assert lease.take("b", NOW + 12 * MINUTE, NOW + 30 * MINUTE) is None
    assert not lease.renew("a", NOW + 40 * MINUTE)
    lease.release("a")
    assert lease.take("c", NOW + 13 * MINUTE, NOW + 40 * MINUTE) == "b"


@pytest.mark.parametrize("lost", [1, 2, 3, 4])
@pytest.mark.parametrize("before", [None, "free", "expired"])
def test_a_lost_reply_locks_nobody_out(
    lease: Lease, client: Replies, lost: int, before: str | None
) -> None:
    if before is not None:
        lease.take("z", NOW - 9 * MINUTE, NOW - MINUTE)
    if before == "free":
        lease.release("z")
    client.calls, client.lose = 0, {lost}

    assert lease.take("a", NOW, NOW + 10 * MINUTE) is None
    assert lease.take("b", NOW + MINUTE, NOW + 11 * MINUTE) == "a"


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["take", "renew", "release"]),
            st.sampled_from("abc"),
            st.integers(0, 8),
        ),
        max_size=25,
    ),
    lose=st.sets(st.integers(1, 80)),
)
def test_there_is_never_a_second_holder(
    client: Replies, steps: list[tuple[str, str, int]], lose: set[int]
) -> None:
    client.calls, client.lose = 0, lose
    lease = Lease(StateTable(client, "state", f"shop-{next(_numbers)}"), "LEASE#x")
    now, holder, until = NOW, "", NOW
    for what, who, minutes in steps:
        now += minutes * MINUTE
        ends = now + 10 * MINUTE
        if what == "take":
            other = holder if holder not in ("", who) and until > now else None
            assert lease.take(who, now, ends) == other
            holder, until = (holder, until) if other else (who, ends)
        elif what == "renew":
            assert lease.renew(who, ends) is (who == holder)
            until = ends if who == holder else until
        else:
            lease.release(who)
            holder = "" if who == holder else holder


def test_a_fault_of_the_table_is_not_taken_for_a_lease(client: Replies) -> None:
    class Broken:
        def put_item(self, **_: Any) -> None:
            raise EndpointConnectionError(endpoint_url="x")

    with pytest.raises(EndpointConnectionError):
        Lease(StateTable(Broken(), "state", "shop"), "LEASE#x").take("a", NOW, NOW + MINUTE)
    assert client.calls == 0
