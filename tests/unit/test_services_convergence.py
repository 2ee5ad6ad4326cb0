"""Whatever happens to the crawls, what is stored in the end equals what a clean run stores."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given
from hypothesis import strategies as st
from moto import mock_aws

from tests.examples import examples
from tests.unit.services_world import DAY, H1, PLATFORMS, World, document, sales

LIVE_DAYS = 8
LOOKBACK = 2
# The rows of the last days may come up to the look-back later: those crawls read them again.
END_DAY = LIVE_DAYS + LOOKBACK
NOON = timedelta(hours=12)
MINUTE = timedelta(minutes=1)
# After this time a lease that nobody renews is free.
EXPIRED = timedelta(minutes=20)
STEPS = ("plan", "unload", "detect", "commit")


@pytest.fixture(autouse=True)
def _aws(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


def world(late: dict[tuple[int, str], int] | None = None) -> World:
    """An active detector."""
    found = World(sales(LIVE_DAYS, late))
    found.upload(document(lookback_intervals=LOOKBACK))
    found.activate()
    return found


@cache
def clean() -> tuple[dict[str, bytes], Any, frozenset[str], Any]:
    """Results, groups, alerted groups and counts of intervals of a run in which every row and crawl
    is in time.
    """
    with mock_aws():
        found = world()
        # To the same end: in days without any row, an event may go on.
        for day in range(1, END_DAY + 1):
            found.crawl(H1 + DAY * day + NOON, f"clean-{day}")
        alerted = frozenset(message["anomalyGroupId"] for message in found.mail.messages)
        return found.published(), found.groups(), alerted, counts(found)


crawls = st.lists(
    st.tuples(
        st.integers(1, LIVE_DAYS),  # day on which it is scheduled
        # Whole, doubled (the second finds the lease held, or expired), or broken off after a step.
        st.sampled_from(("whole", "overlapped", "twice", *STEPS)),
    ),
    max_size=6,
)
delays = st.dictionaries(
    st.tuples(st.integers(-LOOKBACK, LIVE_DAYS - 1), st.sampled_from(PLATFORMS)),
    st.integers(1, LOOKBACK),
    max_size=4,
)


def broken_crawl(found: World, day: int, execution: str, last: str) -> None:
    """A crawl that dies after the step `last`; nothing is delivered."""
    at = H1 + DAY * day + NOON
    plan = found.plan(at, execution)
    if last == "plan" or not plan.due:
        return
    landed = found.unload(plan, at, execution)
    if last == "unload":
        return
    parts = found.detect(plan, landed)
    if last == "commit":
        found.commit(plan, landed, parts)


def overlapped_crawl(found: World, day: int, execution: str) -> None:
    """A crawl during which the next one comes, and goes again at once."""
    at = H1 + DAY * day + NOON
    plan = found.plan(at, execution)
    if not plan.due:
        return
    landed = found.unload(plan, at, execution)
    second = found.plan(at + DAY, f"{execution}-next", at + MINUTE)
    assert (second.due, second.held_by) == (False, execution)
    parts = found.detect(plan, landed, at + MINUTE)
    assert found.commit(plan, landed, parts, at + 2 * MINUTE).committed
    found.deliver(at)


def doubled_crawl(found: World, day: int, execution: str) -> None:
    """Two crawls at once, as the first did not renew its lease: of their commits one wins."""
    at = H1 + DAY * day + NOON
    plans = [found.plan(at, f"{execution}-{twin}", at + EXPIRED * n) for n, twin in enumerate("ab")]
    landed = [
        found.unload(plan, at, f"{execution}-{twin}") if plan.due else None
        for plan, twin in zip(plans, "ab", strict=True)
    ]
    won = []
    for plan, files in zip(plans, landed, strict=True):
        if files is not None:
            parts = found.detect(plan, files)
            won.append(found.commit(plan, files, parts).committed)
    # The first may find the lease of a crawl that died on the same day.
    assert won in ([], [True], [True, False])
    found.deliver(at)


# Shrinking would take minutes; the drawn crawls are few enough to read.
@examples(
    3,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
@given(drawn=crawls, late=delays)
# Two events in one place are found at once.
# An event moves as late rows come.
@example(
    drawn=[(1, "detect"), (4, "commit"), (1, "overlapped"), (3, "overlapped"), (4, "overlapped")],
    late={(6, "pc_web"): 1, (2, "pc_web"): 1, (1, "mobile_app"): 1, (2, "mobile_app"): 2},
)
@example(drawn=[(1, "plan"), (2, "detect"), (8, "unload")], late={})
def test_stored_results_equal_those_of_a_clean_run(
    drawn: list[tuple[int, str]], late: dict[tuple[int, str], int]
) -> None:
    results, groups, alerted, counted = clean()
    with mock_aws():
        found = world(late)
        for number, (day, how) in enumerate(sorted(drawn, key=lambda one: one[0])):
            if how == "whole":
                found.crawl(H1 + DAY * day + NOON, f"crawl-{number}")
            elif how == "overlapped":
                overlapped_crawl(found, day, f"crawl-{number}")
            elif how == "twice":
                doubled_crawl(found, day, f"crawl-{number}")
            else:
                broken_crawl(found, day, f"crawl-{number}", how)
        for day in range(LIVE_DAYS, END_DAY + 1):
            found.crawl(H1 + DAY * day + NOON, f"last-{day}")
        kept = found.published()
        assert kept.keys() == results.keys()
        assert [key for key in results if kept[key] != results[key]] == []
        assert found.groups() == groups
        assert counts(found) == counted
        sent = [message["alertEventId"] for message in found.mail.messages]
        assert len(sent) == len(set(sent))
        told = {message["anomalyGroupId"] for message in found.mail.messages}
        assert alerted <= told | suppressed(found)


def counts(found: World) -> dict[datetime, tuple[int | None, ...]]:
    """Rows, series and anomalous series of each interval."""
    items = found.ledger.intervals(H1, H1 + DAY * END_DAY)
    return {start: (one.rows, one.series, one.anomalous) for start, one in items.items()}


def suppressed(found: World) -> set[str]:
    """Groups whose event was told under another group's name."""
    items = found.table.query("ALERT#")
    return {item["group_id"] for item in items if item["state"] == "SUPPRESSED"}
