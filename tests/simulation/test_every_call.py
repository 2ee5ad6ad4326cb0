"""Every client call and every invocation of a crawl, and of a pipeline, fails once, in turn."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import product

import pytest

from tests.simulation.attacks import TABLES, Attack, Plan
from tests.simulation.oracle import clean, done, problems

# Calls that show what is wrong; the others are then left out.
ENOUGH = 5
PIPELINE = Plan(0, "short", 1, 0, whole=True, attacks=(), settling=1)
# The name of a fault, and how many attempts of a client it strikes: all, or the first.
FAULTS: list[tuple[str, int]] = [
    ("crash-before", 9),
    ("crash-after", 9),
    ("throttle", 9),
    ("lost", 9),
    ("lost", 1),
]


# Without a look-back no later crawl mends what one has left undone.
WITHOUT = "hourly-without-lookback"
CASES = [("hourly", *each) for each in FAULTS] + [(WITHOUT, *each) for each in FAULTS[:2]]


@cache
def crawl(kind: str) -> Plan:
    """A crawl in which events begin, and are told to all three targets."""
    for table, number in product(range(TABLES), range(20)):
        plan = Plan(0, kind, number + 1, table, False, (), after=number, settling=2)
        before, now = (
            clean(replace(plan, intervals=size, settling=0)).sent for size in (number, number + 1)
        )
        if number and len([arn for arn in now if now[arn] != before.get(arn)]) == 3:
            return plan
    raise AssertionError("no event is told to all")


def calls_of(plan: Plan) -> int:
    """How many there are in the attacked part."""
    return done(replace(plan, settling=0)).calls


@pytest.mark.parametrize(
    ("kind", "name", "depth"),
    [pytest.param(*each, id="-".join(map(str, each))) for each in CASES],
)
def test_a_crawl_of_which_one_call_fails_ends_as_a_clean_one(
    kind: str, name: str, depth: int
) -> None:
    total = calls_of(crawl(kind))
    assert total > 50

    found = {}
    for number in range(1, total + 1):
        told = problems(replace(crawl(kind), attacks=(Attack(name, number, depth),)))
        if told:
            found[number] = told
        if len(found) == ENOUGH:
            break

    assert found == {}


def test_a_pipeline_of_which_one_call_fails_ends_as_a_clean_one() -> None:
    total = calls_of(replace(PIPELINE, intervals=0))
    assert total > 90

    found = {}
    for number in range(1, total + 1):
        name, depth = FAULTS[number % len(FAULTS)]
        told = problems(replace(PIPELINE, attacks=(Attack(name, number, depth),)))
        if told:
            found[number, name] = told
        if len(found) == ENOUGH:
            break

    assert found == {}
