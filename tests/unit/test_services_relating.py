"""What is on file of related events is the same in however many deliveries the groups came."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import boto3
import pytest
from anomaly_detector.events.group import Group
from anomaly_detector.ledger.items import GroupItem
from anomaly_detector.ledger.ledger import Ledger
from anomaly_detector.ledger.table import StateTable
from anomaly_detector.lookout.group import group_of
from anomaly_detector.services.relating import READ, Filed
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from tests import state_table
from tests.examples import examples
from tests.unit.alerts_samples import HOUR, START, group

MEASURES = ("orders", "revenue", "sessions")
PLACES = ({}, {"platform": "web"}, {"platform": "app"})


@pytest.fixture(autouse=True)
def _aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")


def ledgers() -> Iterator[Ledger]:
    """Empty ones, each of a detector of its own."""
    client = boto3.client("dynamodb", "eu-west-1")
    state_table.create(client, "state")
    for number in range(9):
        yield Ledger(StateTable(client, "state", f"shop-{number}"))


def event(measure: str, after: int, hours: int, place: int, severity: int = 70) -> Group:
    """An event that began some hours after the start of all."""
    return group(
        measure,
        START + after * HOUR,
        hours,
        severity=severity,
        points=(),
        slices=(PLACES[place],),
        contributions={"platform": {"web": 60.0, "app": 40.0}},
    )


def deliver(ledger: Ledger, groups: Sequence[Group], gone: Sequence[Group] = ()) -> None:
    """As a delivery does it."""
    lost = [item_of(one) for one in gone]
    filed = Filed.of(ledger, groups, lost, 3600)
    for one in filed.relate(groups):
        ledger.put_group(item_of(one), one)
    filed.relate_back(ledger, groups, lost)
    for item in lost:
        ledger.delete_group(item)


def item_of(one: Group) -> GroupItem:
    return GroupItem(group_id=one.id, measure=one.measure, start=one.start, end=one.end)


def on_file(ledger: Ledger) -> list[dict[str, Any]]:
    kept = ("AnomalyGroupId", "RelatedMetrics", "RelatedUnexplained")
    return [{key: one[key] for key in kept} for one in ledger.anomaly_groups()]


drawn = st.lists(
    st.tuples(
        st.sampled_from(MEASURES),
        st.integers(0, 60),
        st.integers(1, 20),
        st.integers(0, len(PLACES) - 1),
        st.integers(50, 99),
    ),
    min_size=2,
    max_size=12,
    unique_by=lambda one: one[:2],
)


@examples(15)
@given(events=drawn, cuts=st.lists(st.integers(1, 70), max_size=4))
def test_pieces_and_all_at_once_are_the_same(
    events: list[tuple[str, int, int, int, int]], cuts: list[int]
) -> None:
    with mock_aws():
        whole, pieces = (one for one, _ in zip(ledgers(), range(2), strict=False))
        deliver(whole, [event(*one) for one in events])

        before = -100
        for now in sorted({*cuts, 100}):
            seen = []
            for measure, after, hours, place, severity in events:
                # What was over for a day is not delivered again; what lasts may still move.
                if after < now and after + hours + 24 > before:
                    lasts = after + hours > now
                    seen.append(
                        event(
                            measure,
                            after,
                            min(hours, now - after),
                            0 if lasts else place,
                            50 if lasts else severity,
                        )
                    )
            deliver(pieces, seen)
            before = now

        assert on_file(pieces) == on_file(whole)


def test_what_ended_long_ago_learns_of_what_it_is_linked_to() -> None:
    with mock_aws():
        ledger = next(ledgers())
        first, second = event("orders", 0, 40, 0), event("revenue", 2, 3, 1)
        deliver(ledger, [second])
        deliver(ledger, [first])

        orders, revenue = (group_of(one) for one in ledger.anomaly_groups())
        assert [one.group_id for one in orders.related] == [second.id]
        assert [(one.group_id, one.lag) for one in revenue.related] == [(first.id, 7200)]
        assert sum(one.contribution for one in revenue.related) == pytest.approx(
            100 - revenue.related_unexplained
        )

        deliver(ledger, [], gone=[first])

        (revenue,) = (group_of(one) for one in ledger.anomaly_groups())
        assert (revenue.related, revenue.related_unexplained) == ((), 100.0)


def test_what_is_long_over_is_not_read() -> None:
    with mock_aws():
        ledger = next(ledgers())
        deliver(ledger, [event("orders", 0, 1, 0)])
        days = READ // HOUR

        filed, other = (
            Filed.of(ledger, [event("revenue", days + more, 1, 0)], (), 3600) for more in (1, -1)
        )

        assert (len(filed.groups), len(other.groups)) == (0, 1)
