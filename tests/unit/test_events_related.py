"""Events of other measures at the same time and place, and by habit: related, never proven."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from anomaly_detector.events.group import Related
from anomaly_detector.events.related import CAUSE, EFFECT, Events, Happened

HOUR = timedelta(hours=1)
NOW = datetime(2026, 3, 2, 9, tzinfo=UTC)
WEB, APP = {"platform": "web"}, {"platform": "app"}


def event(
    measure: str,
    after: float = 0,
    hours: float = 3,
    *,
    slices: Sequence[Mapping[str, str]] = (WEB,),
    severity: float = 70,
    contributions: Mapping[str, Mapping[str, float]] | None = None,
    since: datetime = NOW,
) -> Happened:
    """An event that begins some hours after a time."""
    start = since + after * HOUR
    return Happened(
        f"{measure} {start:%d %H}",
        measure,
        start,
        start + hours * HOUR,
        severity,
        tuple(slices),
        contributions or {"platform": {"web": 100.0}},
    )


def related(one: Happened, *others: Happened) -> tuple[dict[str, Related], float]:
    found, unexplained = Events([*others, one], 3600).related(one)
    return {told.measure: told for told in found}, unexplained


def test_of_two_linked_events_the_one_that_began_first_may_be_the_cause() -> None:
    orders, revenue = event("orders"), event("revenue", 1)

    of_revenue, rest = related(revenue, orders)
    of_orders, all_of_it = related(orders, revenue)

    assert of_revenue["orders"] == Related("orders", orders.id, CAUSE, 50.0, 3600, 0, 0, now=True)
    assert rest == 50.0
    assert of_orders["revenue"] == Related(
        "revenue", revenue.id, EFFECT, 50.0, -3600, 0, 0, now=True
    )
    assert all_of_it == 100.0


@pytest.mark.parametrize(
    "other",
    [
        event("orders", slices=(APP,)),
        event("orders", -20, 2),
        event("orders", 20, 2),
        event("revenue", -1),
    ],
    ids=["elsewhere", "long before", "long after", "the same measure"],
)
def test_another_place_or_time_or_the_same_measure_is_not_related(other: Happened) -> None:
    assert related(event("revenue"), other) == ({}, 100.0)


@pytest.mark.parametrize(
    ("other", "share"),
    [
        (({},), 100),
        ((WEB,), 80),
        ((APP,), 20),
        ((WEB, APP), 100),
        (({"platform": "web", "country": "de"},), 20),
        (({"country": "uk"},), 0),
    ],
)
def test_a_cause_has_the_share_of_the_change_in_its_place(
    other: Sequence[dict[str, str]], share: float
) -> None:
    revenue = event(
        "revenue",
        slices=({},),
        contributions={
            "platform": {"web": 80.0, "app": 20.0},
            "country": {"de": 25.0, "fr": 75.0},
        },
    )

    found, rest = related(revenue, event("orders", -1, slices=other))

    assert found["orders"].contribution == pytest.approx(share / 2)
    assert rest == pytest.approx(100 - share / 2)


def test_several_causes_share_what_they_explain_and_leave_a_rest() -> None:
    causes = [event(name, -2) for name in ("orders", "sessions", "stock")]

    found, rest = related(event("revenue"), *causes)

    shares = [found[one.measure].contribution for one in causes]
    assert sum(shares) + rest == pytest.approx(100)
    assert max(shares) - min(shares) < 0.02
    assert rest == pytest.approx(12.5, abs=0.01)


def test_what_led_before_counts_and_is_told_with_its_lag() -> None:
    past = [NOW - day * timedelta(days=3) for day in range(1, 7)]
    before = [
        one
        for place, since in enumerate(past)
        for one in (
            event("revenue", since=since),
            event("orders" if place < 5 else "stock", -2, since=since),
        )
    ]

    found, rest = related(event("revenue"), event("orders", -1), *before)

    orders = found["orders"]
    assert (orders.lag, orders.times, orders.of) == (3600, 5, 6)
    assert orders.contribution == pytest.approx(100 * 6 / 8)
    assert rest == pytest.approx(25)


@pytest.mark.parametrize(("lag", "kind"), [(-2, CAUSE), (3, EFFECT)])
def test_a_measure_that_led_or_followed_is_told_without_an_event_now(lag: int, kind: str) -> None:
    past = [NOW - day * timedelta(days=9) for day in range(1, 9)]
    before = [
        one
        for since in past
        for one in (event("revenue", since=since), event("orders", lag, since=since))
    ]
    # As often as orders, but never near.
    before += [event("stock", 30, since=since) for since in past]

    found, rest = related(event("revenue"), *before)

    assert found == {
        "orders": Related(
            "orders",
            event("orders", lag, since=past[0]).id,
            kind,  # type: ignore[arg-type]
            0.0,
            -lag * 3600,
            8,
            8,
            now=False,
        )
    }
    assert rest == 100.0


def test_what_coincides_by_chance_is_no_habit() -> None:
    # Every seventh hour something happens to stock: near everything.
    stock = [event("stock", -7 * turn, 1) for turn in range(2, 300)]
    before = [event("revenue", -24 * day) for day in range(1, 9)]

    found, _ = related(event("revenue", slices=(WEB,)), *stock, *before)

    assert not any(not one.now for one in found.values())


def test_a_habit_of_long_ago_is_forgotten() -> None:
    before = [
        one
        for day in range(100, 160, 9)
        for since in [NOW - timedelta(days=day)]
        for one in (event("revenue", since=since), event("orders", -2, since=since))
    ]

    assert related(event("revenue"), *before) == ({}, 100.0)


def test_what_comes_later_does_not_change_what_is_said_of_an_event() -> None:
    events = [event("revenue"), event("orders", -1), event("stock", 2)]
    later = [event(name, 40 + hour) for hour, name in enumerate(("revenue", "orders", "stock"))]

    for one in events:
        assert related(one, *[other for other in events if other != one]) == related(
            one, *[other for other in (*later, *events) if other != one]
        )
