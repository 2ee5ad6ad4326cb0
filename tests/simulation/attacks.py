"""What is done to a detector in a simulation: drawn from a seed."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random

from tests.simulation import shop
from tests.simulation.shop import KINDS, OFFSET, kind_named
from tests.simulation.warehouse import Rows
from tests.simulation.world import Fault, World

# Different incidents; the clean run of each is kept.
TABLES = 3
# Client calls of a crawl, about; where a fault strikes is drawn from all of a run.
_CALLS = {"hourly-without-lookback": 55}
# A pipeline that meets it fails, and says so, as the next attempt would meet it as well.
_LIMIT = "cancelled by WLM abort action of Query Monitoring Rule"
_TROUBLE = (
    f"ERROR: Query (12) {_LIMIT}",
    "ERROR: could not open relation with OID 12",
    "ERROR: Connection to the warehouse was lost",
    "S3ServiceException: Please reduce your request rate., Status 503, Error SlowDown",
)
_REFUSALS = ("Throttled", "AuthorizationError", "KMSThrottling")


@dataclass(frozen=True)
class Attack:
    """One thing that is done.

    Attributes
    ----------
    at : number of a call, or of an interval. size : how long, how often, how late, or which.
    """

    name: str
    at: int
    size: int = 0


@dataclass(frozen=True)
class Plan:
    """A run: its detector, its length in intervals, and the attacks on it.

    Attributes
    ----------
    intervals : with those before the first attack. settling : further ones after the last attack,
        in which what is late may catch up.
    table : which incidents there are. whole : whether the pipeline is attacked as well.
    after : intervals before the first attack, which runs have in common. Calls are counted from
        then on.
    """

    seed: int
    kind: str
    intervals: int
    table: int
    whole: bool
    attacks: tuple[Attack, ...]
    after: int = 0
    settling: int = 4

    @property
    def total(self) -> int:
        """All intervals."""
        return self.intervals + self.settling

    @property
    def data(self) -> tuple[str, ...]:
        """How rows change."""
        return tuple(one.name for one in self.attacks if one.name in DATA)


Draw = Callable[[Random, int, int], Attack]


def _at_a_call(name: str, sizes: tuple[int, ...]) -> Draw:
    return lambda random, calls, _: Attack(name, random.randrange(1, calls), random.choice(sizes))


def _at_an_interval(name: str, first: int, last: int) -> Draw:
    return lambda random, _, intervals: Attack(
        name, random.randrange(intervals), random.randrange(first, last + 1)
    )


# The size of a fault at a call is the number of the client's attempts that it strikes: with 9, the
# code sees it.
ATTACKS: dict[str, Draw] = {
    "crash-before": _at_a_call("crash-before", (9,)),
    "crash-after": _at_a_call("crash-after", (9,)),
    "lost": _at_a_call("lost", (1, 2, 9)),
    "throttle": _at_a_call("throttle", (1, 9)),
    "stall": _at_a_call("stall", (5, 40, 300, 1000, 1800)),
    "kill": _at_an_interval("kill", 0, 40),
    "missed": _at_an_interval("missed", 1, 12),
    "doubled": _at_an_interval("doubled", 0, 5),
    "concurrent": _at_an_interval("concurrent", 1, 60),
    "disordered": _at_an_interval("disordered", 1, 3),
    "refuse": _at_an_interval("refuse", 1, 8),
    "warehouse": _at_an_interval("warehouse", 0, len(_TROUBLE)),
    "stray": _at_an_interval("stray", 0, 0),
    "configure": _at_an_interval("configure", 0, 40),
    "retrain": _at_an_interval("retrain", 0, 40),
    "late": _at_an_interval("late", 0, 0),
    "changed": _at_an_interval("changed", 0, 0),
    "deleted": _at_an_interval("deleted", 0, 0),
}
AT_A_CALL = ("crash-before", "crash-after", "lost", "throttle", "stall")
OF_THE_SCHEDULE = ("missed", "doubled", "concurrent", "disordered")
DATA = ("late", "changed", "deleted")


def drawn(seed: int, intervals: int, names: tuple[str, ...]) -> Plan:
    """The plan of a seed, whose attacks have these names."""
    random = Random(f"attacks {seed}")
    kind = list(KINDS)[seed % len(KINDS)]
    calls = _CALLS.get(kind, 80) * intervals
    whole = random.random() < 0.15 and any(name in AT_A_CALL for name in names)
    number = random.choice((1, 2, 4, 8, 12))
    attacks = []
    for _ in range(number):
        attack = ATTACKS[random.choice(names)](random, calls, intervals)
        if whole and attack.name in AT_A_CALL:
            attack = replace(attack, at=random.randrange(1, 160))
        attacks.append(attack)
    table = seed // len(KINDS) % TABLES
    plan = Plan(seed, kind, intervals, table, whole, tuple(attacks))
    return plan if whole else _begun(plan, calls // intervals)


def _begun(plan: Plan, calls: int) -> Plan:
    """The plan with what comes before its first attack, at so many calls a crawl."""

    def interval(attack: Attack) -> int:
        return (attack.at - 1) // calls if attack.name in AT_A_CALL else attack.at

    after = min(map(interval, plan.attacks))
    attacks = (
        replace(one, at=one.at - after * calls) if one.name in AT_A_CALL else one
        for one in plan.attacks
    )
    return replace(plan, attacks=tuple(attacks), after=after)


def table_of(plan: Plan) -> Rows:
    """The rows as they come in."""
    kind = kind_named(plan.kind)
    rows = shop.rows(kind, plan.total, plan.table)
    if not plan.data:
        return rows
    numbers = range(plan.after, plan.intervals)
    return shop.changed(rows, kind, Random(f"rows {plan.seed}"), numbers, plan.data)


def faults_of(plan: Plan) -> dict[int, Fault]:
    """What befalls calls."""
    return {one.at: Fault(one.name, one.size) for one in plan.attacks if one.name in AT_A_CALL}


def schedule(world: World, plan: Plan) -> None:
    """Have all crawls start, but as the attacks say; and the rest of what they are."""
    world.removable = (_LIMIT,)
    for number, waits in _waits(plan).items():
        for wait in waits:
            world.crawl_at(_due(plan, number) + wait, _due(plan, number))
    for one in plan.attacks:
        due, statement = _due(plan, one.at), one.at - plan.after + 1
        if one.name == "kill":
            world.abort_at(due + timedelta(seconds=one.size), "crawl")
        elif one.name == "refuse":
            target = (shop.TOPIC, shop.FUNCTION, shop.OTHER_TOPIC)[one.at % 3]
            # No longer than a day, after which an alert is given up; and it is over when what is
            # late may catch up.
            last = min(one.at + one.size, plan.intervals)
            until = min(_due(plan, last) - OFFSET / 2, due + timedelta(hours=20))
            world.refusals.append((target, due, until, _REFUSALS[one.size % len(_REFUSALS)]))
        elif one.name == "warehouse" and one.size < len(_TROUBLE):
            world.warehouse.trouble[statement] = _TROUBLE[one.size]
        elif one.name in ("configure", "retrain"):
            world.loop.at(due + timedelta(seconds=one.size), _change(world, one))
        elif one.name == "stray":
            world.warehouse.stray.add(statement)
        elif one.name == "warehouse":
            world.warehouse.slow[statement] = 1500.0


def _change(world: World, attack: Attack) -> Callable[[], None]:
    """Another document, by which nothing is scored otherwise; or another version of the package,
    which cannot read the model and trains one from the history.
    """

    def configure() -> None:
        alerts = json.loads(world.kind.document())["alerts"]
        for one in alerts.values():
            one["description"] = f"changed at {world.loop.now}"
        world.upload(world.kind.document(alerts=alerts))

    def retrain() -> None:
        item = world.table.items["shop", "DETECTOR"]
        world.table.items["shop", "DETECTOR"] = item | {"model_format": {"N": "0"}}
        world.invoked_by_event("reconcile", {})

    return configure if attack.name == "configure" else retrain


def _due(plan: Plan, number: int) -> datetime:
    """When the crawl of an interval is scheduled."""
    kind = kind_named(plan.kind)
    return kind.grid.shift(kind.start, number + 1) + OFFSET


def _waits(plan: Plan) -> dict[int, list[timedelta]]:
    """How much later than scheduled the crawls of each interval start."""
    waits = {number: [timedelta()] for number in range(plan.after, plan.intervals + plan.settling)}
    for one in plan.attacks:
        if one.name == "missed":
            for number in range(one.at, min(one.at + one.size, plan.intervals)):
                waits[number] = []
        elif one.name in ("doubled", "concurrent"):
            waits[one.at].append(timedelta(seconds=one.size))
        elif one.name == "disordered":
            late = _due(plan, one.at + one.size) - _due(plan, one.at)
            waits[one.at] = [late + timedelta(seconds=one.at % 40 - 20)]
    return waits
