"""Runs a plan, and compares how it ended with the clean run: the same detector and table, without
attacks.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import cache
from typing import Any

from anomaly_detector.alerts.decide import is_within
from anomaly_detector.intervals import iso, parse_iso
from anomaly_detector.lake import layout, parquet
from anomaly_detector.lake.results import by_interval
from boto3.dynamodb.types import TypeDeserializer

from tests.simulation import pure
from tests.simulation.attacks import (
    AT_A_CALL,
    DATA,
    OF_THE_SCHEDULE,
    Plan,
    faults_of,
    schedule,
    table_of,
)
from tests.simulation.shop import kind_named, rows
from tests.simulation.world import ENVIRONMENT, Kept, World

OPERATIONS = ENVIRONMENT["OPERATIONS_TOPIC_ARN"]
# What differs by the execution that wrote it, or by the rows that there were at first.
_OF_AN_ATTEMPT = ("attempt_id", "trained", "statement_id", "milliseconds", "bytes", "sk", "former")


@dataclass(frozen=True)
class Ending:
    """What a run leaves behind.

    Attributes
    ----------
    results : objects below results/ and reports/. models : those in force, by part.
    groups, intervals : items by sort key, without what tells the attempt.
    detector : its item, without what counts tries. left : items that should be gone.
    sent : events by target, as often as they were sent. unknown, failed : alerts reported so.
    after : what each target was told of an event after its opening, as often as it was sent.
    named : by target, the events that it was told of in any message, also beside another one.
    knows : what each target knows of an event in the end: its severity class, and whether it is
        over; by itself at first, or as the new level at once, that depends on when a crawl looks.
    suppressed : events that were told under another name, or in the thread of one of their measure.
    been : slices that each event has been on, as last scored.
    """

    results: Mapping[str, bytes]
    models: Mapping[str, bytes]
    groups: Mapping[str, Any]
    intervals: Mapping[str, Any]
    detector: Mapping[str, Any]
    left: tuple[str, ...]
    sent: Mapping[str, Counter[str]]
    after: Mapping[str, Counter[str]]
    named: Mapping[str, frozenset[str]]
    knows: Mapping[tuple[str, str], Any]
    unknown: frozenset[tuple[str, str]]
    failed: frozenset[tuple[str, str]]
    suppressed: frozenset[str]
    been: Mapping[str, Sequence[Mapping[str, str]]]

    def since(self, live_from: str, base: str) -> Ending:
        """Only what a new model has scored since `live_from`; it has items of the intervals from
        `base` on, and those before are on file with the days of its history.
        """
        groups = {sk: one for sk, one in self.groups.items() if one["start"] >= live_from}
        ids = {sk.rpartition("#")[2] for sk in groups}
        groups = {sk: _by_itself(one, ids) for sk, one in groups.items()}
        results = {
            key: body
            for key, body in self.results.items()
            if not key.startswith(layout.SCORES) and key.rpartition("/")[2].partition(".")[0] in ids
        }
        return replace(
            self,
            results=results | self._scores(live_from),
            groups=groups,
            intervals={sk: one for sk, one in self.intervals.items() if one["start"] >= base},
        )

    def _scores(self, begin: str) -> dict[str, Any]:
        """Rows by interval, in whatever files."""
        found: dict[str, Any] = {}
        for key, body in self.results.items():
            if key.startswith(layout.SCORES) and str(layout.date_of(key)) >= begin[:10]:
                for start, rows in by_interval(parquet.read(body)):
                    if iso(start) >= begin:
                        found.setdefault(f"scores of {iso(start)}", []).extend(rows.to_pylist())
        return {name: repr(rows).encode() for name, rows in found.items()}


def _by_itself(group: Mapping[str, Any], ids: Container[str]) -> dict[str, Any]:
    """A group without what other events than those with `ids` have taught of it: another model may
    know others.
    """
    others = ("AnomalyGroupId", "MetricName", "RelationshipType", "LagSeconds")
    related = [
        {name: one[name] for name in others} for one in group["RelatedMetrics"] if one["Now"]
    ]
    return {name: value for name, value in group.items() if name != "RelatedUnexplained"} | {
        "After": [one for one in group["After"] if one in ids],
        "RelatedMetrics": [one for one in related if one["AnomalyGroupId"] in ids],
    }


def ending(kept: Kept) -> Ending:
    """Read it."""
    plain = TypeDeserializer()
    items = {
        sk: {name: plain.deserialize(value) for name, value in item.items() if name != "pk"}
        for (_, sk), item in sorted(kept.items.items())
    }

    def of(prefix: str) -> dict[str, Any]:
        return {
            sk: {name: item[name] for name in item if name not in _OF_AN_ATTEMPT}
            for sk, item in items.items()
            if sk.startswith(prefix)
        }

    detector = items["DETECTOR"]
    model = f"models/{detector.get('model')}/"
    sent: dict[str, Counter[str]] = {}
    after: dict[str, Counter[str]] = {}
    named: dict[str, set[str]] = {}
    unknown, failed = set(), set()
    for arn, subject, body in kept.received:
        if arn != OPERATIONS:
            message = json.loads(body)
            for one in message.get("alerts", [message]):
                kind = after if "state" in one else sent
                kind.setdefault(arn, Counter())[one["alertEventId"]] += 1
                named.setdefault(arn, set()).update(_events(one))
        elif "an alert" in subject:
            facts = json.loads(body[body.index("\n{") :])
            reported = failed if facts["event"] == "ALERT_FAILED" else unknown
            payload = facts["payload"]
            ids = {payload["alertEventId"], *_events(payload)}
            reported |= {(facts["target"], one) for one in ids}
    told = (
        *("watermark", "base", "status", "status_reason", "config_hash", "parts"),
        *("live_from", "history_end"),
    )
    objects = kept.objects
    return Ending(
        results={
            key: body
            for key, (body, _) in sorted(objects.items())
            if key.startswith(("results/", "reports/"))
        },
        models={
            key.removeprefix(model): body
            for key, (body, _) in sorted(objects.items())
            if key.startswith(model)
        },
        groups=of("GROUP#"),
        intervals=of("INTERVAL#"),
        detector={name: detector.get(name) for name in told},
        left=tuple(sk for sk in items if sk.startswith(("DELIVERY#", "LEASE#", "LOCK#"))),
        sent=sent,
        after=after,
        named={arn: frozenset(ids) for arn, ids in named.items()},
        knows={
            (sk, target): {name: told[name] for name in ("severity_class", "over")}
            for sk, item in items.items()
            if sk.startswith("ALERT#")
            for target, told in item["knows"].items()
        },
        unknown=frozenset(unknown),
        failed=frozenset(failed),
        suppressed=frozenset(
            str(item["group_id"])
            for sk, item in items.items()
            if sk.startswith("ALERT#")
            and item["state"] == "SUPPRESSED"
            # What is linked is named beside another one, under its first name.
            and str(item.get("linked")).partition("/")[0] != item["group_id"]
        ),
        been={
            group["id"]: group["been"]
            for key, (body, _) in sorted(objects.items())
            if key.startswith("live/") and key.endswith(".groups.json")
            for group in json.loads(body)
        },
    )


def _events(message: Mapping[str, Any]) -> set[str]:
    """The events that a message tells of."""
    beside = message.get("linked", {"alerts": []})["alerts"]
    return {_event(one["alertEventId"]) for one in (message, *beside)}


def _event(alert: str) -> str:
    """The event of a message: the ID of an alert without what is told of it."""
    arn, _, told = alert.partition(":event/")
    return f"{arn}:event/{told.partition('/')[0]}"


@cache
def crawled(kind: str, table: int, after: int, total: int) -> Kept:
    """A detector that was just activated, or so many intervals after that."""
    plan = Plan(-1, kind, after, table, whole=False, attacks=(), after=after - 1, settling=0)
    found = kind_named(kind)
    kept = crawled(kind, table, after - 1, total) if after else None
    world = World(found, rows(found, total, table), "unattacked", kept=kept)
    if after:
        schedule(world, plan)
        world.run(found.grid.shift(found.start, after + 1) - timedelta(minutes=10))
    else:
        world.upload(found.document())
        world.run(found.start + timedelta(minutes=1))
    return world.kept()


def clean(plan: Plan) -> Ending:
    """How the same run ends without attacks."""
    return _clean(plan.kind, plan.table, plan.total)


@cache
def _clean(kind: str, table: int, total: int) -> Ending:
    return ending(crawled(kind, table, total, _rounded(total)))


def _rounded(intervals: int) -> int:
    """The same for runs of about the same length."""
    return -(-intervals // 64) * 64


def forget() -> None:
    """Keep no clean run, and no answer, of former runs."""
    crawled.cache_clear()
    _clean.cache_clear()
    pure.forget()


def done(plan: Plan) -> World:
    """Run a plan."""
    kind = kind_named(plan.kind)
    kept = None
    if not plan.whole:
        kept = crawled(plan.kind, plan.table, plan.after, _rounded(plan.total))
    world = World(kind, table_of(plan), plan.seed, faults_of(plan), kept)
    world.until = world.warehouse.until = kind.grid.shift(kind.start, plan.intervals + 1)
    if plan.whole:
        world.upload(kind.document())
    schedule(world, plan)
    world.run(kind.grid.shift(kind.start, plan.total + 1))
    return world


def problems(plan: Plan) -> list[str]:
    """What differs from the clean run, one line each; empty where nothing does."""
    try:
        world = done(plan)
    except Exception as error:  # noqa: BLE001 an error of the simulation is a failure of the seed
        return [f"the run broke off: {type(error).__name__}: {error}"]
    found, wanted = ending(world.kept()), clean(plan)
    ids = Counter(sk.rpartition("#")[2] for sk in found.groups)
    told = [f"groups: {one} is on file {times} times" for one, times in ids.items() if times > 1]
    retrained = "retrain" in {one.name for one in plan.attacks} or world.removed > 0
    if retrained:
        live_from, end = (str(found.detector[name]) for name in ("live_from", "history_end"))
        kind = kind_named(plan.kind)
        base = max(live_from, iso(kind.grid.shift(parse_iso(end), -kind.lookback)))
        found, wanted = found.since(live_from, base), wanted.since(live_from, base)
    told += [
        *_different("results", found.results, wanted.results),
        *_different("groups", found.groups, wanted.groups),
        *_different("models", found.models, wanted.models),
        *_different(
            "detector",
            *(_as_clean(plan, one.detector, retrained=retrained) for one in (found, wanted)),
        ),
        *(f"left behind: {sk}" for sk in found.left),
    ]
    intervals = wanted.intervals
    if plan.data:
        # Whether an interval was revised depends on when its rows came.
        told += _different("intervals", _unrevised(found.intervals), _unrevised(intervals))
    else:
        told += _different("intervals", found.intervals, intervals)
    times = Counter(one.name for one in world.warehouse.statements.values())
    told += [f"submitted {count} times: {name}" for name, count in times.items() if count > 1]
    return told + _of_alerts(plan, world, found, wanted) + _of_executions(plan, world)


def _as_clean(plan: Plan, detector: Mapping[str, Any], *, retrained: bool) -> dict[str, Any]:
    other = {"config_hash"} if "configure" in {one.name for one in plan.attacks} else set()
    other |= {"live_from", "history_end"} if retrained else set()
    return {name: value for name, value in detector.items() if name not in other}


def _of_executions(plan: Plan, world: World) -> list[str]:
    """A step that is struck once is tried again, and crawls that come at other times than they
    should give way to each other: no execution fails.
    """
    names = {one.name for one in plan.attacks}
    struck = len(plan.attacks) == 1 and not plan.whole and names <= {*AT_A_CALL} - {"stall"}
    if not (struck or names <= {*OF_THE_SCHEDULE, *DATA}):
        return []
    return [
        f"{one.arn} ended {one.status}: {one.error}: {one.cause}"
        for one in world.executions.values()
        if one.status != "SUCCEEDED"
    ]


def _of_alerts(plan: Plan, world: World, found: Ending, wanted: Ending) -> list[str]:
    told = []
    # A function that is killed while it sends cannot know whether it has sent; nor can one whose
    # reply is lost.
    excused = any(
        function == "deliver" and _cannot_know(fault.kind, service)
        for _, fault, function, service, _ in world.struck
    )
    for arn, of_target in found.after.items():
        told += [f"sent twice to {arn}: {one}" for one, times in of_target.items() if times > 1]
    if not plan.data:
        # Of intervals that one crawl has made up for, less is told in between.
        told += _different("knows", found.knows, wanted.knows)
    for arn in sorted({*found.sent, *wanted.sent}):
        sent, should = found.sent.get(arn, Counter()), wanted.sent.get(arn, Counter())
        told += [f"sent twice to {arn}: {one}" for one, times in sent.items() if times > 1]
        named = {*found.named.get(arn, ())}
        for one in sorted({*should, *wanted.named.get(arn, ())} - sent.keys()):
            if excused and (arn, _event(one)) in found.unknown:
                continue
            # With rows that come late, what is linked may have been told first.
            if (one not in should or plan.data) and _event(one) in named:
                continue
            if plan.data and one.rpartition("/")[2] in found.suppressed:
                continue
            if plan.data and not _is_of(plan, one, found):
                continue
            told.append(f"not sent to {arn}: {one}")
        if not plan.data:
            told += [f"sent to {arn}, but not by a clean run: {one}" for one in sent - should]
    if not excused:
        told += [f"reported as unknown: {one} at {arn}" for arn, one in sorted(found.unknown)]
    told += [f"reported as failed: {one} at {arn}" for arn, one in sorted(found.failed)]
    return told


def _is_of(plan: Plan, alert: str, found: Ending) -> bool:
    """Whether an event is about what the alert's filters name, as it is in the end: with the rows
    that a crawl sees first, it may have a part elsewhere for an interval.
    """
    of_alert, _, event = alert.partition("alert/")[2].partition(":event/")
    chosen = json.loads(kind_named(plan.kind).document())["alerts"][of_alert]
    filters = chosen.get("dimension_filters", {})
    return any(is_within(one, filters) for one in found.been.get(event, ()))


def _cannot_know(fault: str, service: str) -> bool:
    return fault.startswith("crash") or fault == "stall" or service in ("sns", "lambda")


def _different(name: str, found: Mapping[Any, Any], wanted: Mapping[Any, Any]) -> list[str]:
    return [
        f"{name}: {key} "
        + ("is missing" if key not in found else "is too many" if key not in wanted else "differs")
        + (
            f": {found[key]} instead of {wanted[key]}"
            if key in found and key in wanted and not isinstance(found[key], bytes)
            else ""
        )
        for key in sorted({*found, *wanted})
        if found.get(key) != wanted.get(key)
    ]


def _unrevised(intervals: Mapping[str, Any]) -> dict[str, Any]:
    return {
        sk: item | {"status": "SCORED"} if item["status"] == "REVISED" else item
        for sk, item in intervals.items()
    }


def shrunk(plan: Plan) -> Plan:
    """A smaller plan that fails as well: without the attacks that are not needed, then shorter."""
    again = True
    while again:
        again = False
        for one in plan.attacks:
            less = replace(plan, attacks=tuple(each for each in plan.attacks if each is not one))
            if problems(less):
                plan, again = less, True
                break
    while plan.intervals > 8:
        shorter = replace(plan, intervals=plan.intervals * 3 // 4)
        late = [
            one
            for one in shorter.attacks
            if one.name not in AT_A_CALL and one.at >= shorter.intervals
        ]
        if late or not problems(shorter):
            break
        plan = shorter
    return plan
