"""How many messages people get: a year of crawls, each interval by itself, with 60 faults.

Worlds of `world_generator` at PT1H, half a year of history without faults, then 52 weeks with 60
faults on slices of 1 to 21 combinations, of all kinds that are not in total and not for good; each
is drawn until its evidence is visible in a measure (`ground_truth`), and a value that sticks where
rows come in each interval. The threshold is the one that the preview recommends for one message a
week by the newest 30 % of the history; others are tried with `--threshold`. Every interval is
scored as a crawl does, and what an alert tells of it is what delivery decides: `alerts.past`,
`alerts.decide`, `alerts.life`.

A fault counts once per measure in which it is visible. A message that opens an event, or says that
one has begun again, is of the fault of its measure whose time it shares most, if they share a
combination; one that shares time and combinations with a fault in another measure is *beside* it,
as rows that are lost move all of them.

* **faults found**, **faults split**: faults that a message tells of in any measure, and those that
  more than one opening message does, whatever their measures.
* **found**: the same by measure, of those in which one is visible; **of clear** ones, with twice as
  much evidence as is needed to be visible. **split**: those of which more than one opening message
  does; what begins again is told in the thread of the former one.
* **false a week**: opening messages that share no time or no combination with any fault.
* **end told**: hours in which the slice has rows, from a fault's end to the message that says so,
  in the median and in the 90th percentile, and the share that is told with the first of them.

`python -m tests.benchmarks.alert_volume [--worlds retail,ads] [--seeds 1,2] [--weeks 52]
[--threshold 50] [--apart]`.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np
from anomaly_detector.alerts.decide import Decision, Linked, decide, near
from anomaly_detector.alerts.life import adds, begins_again, is_news, standing, state_of
from anomaly_detector.alerts.past import former_of
from anomaly_detector.alerts.thread import Step, Thread, steps
from anomaly_detector.backtest import SCORED_SHARE, recommend
from anomaly_detector.config import ROLLED_UP, Alert, Config
from anomaly_detector.events.group import Group
from anomaly_detector.intervals import Grid
from anomaly_detector.ledger.items import AlertItem, GroupItem, Told
from anomaly_detector.replay import replay
from anomaly_detector.snapshot import Snapshot

from tests.benchmarks import console, world_generator
from tests.benchmarks.ground_truth import VISIBLE, Simulated, Truth, leaves_in, roll_up
from tests.benchmarks.world_generator import FAULTS, WORLDS, Fault, Stretch

HISTORY_DAYS = 182
FAULTS_A_YEAR = 60
MOST_LEAVES = 21
WISHED_A_WEEK = 1.0
CLEAR = 2 * VISIBLE
# In total, for good, or of a job: of these there is no slice of a few series.
_OTHERS = ("outage", "mild", "birth", "death", "skipped job")
_ROWS_TO_STICK = 3.0  # an interval without a row is rare
_READER = "reader"
_AFTER = 2  # intervals after a fault in which an event may still be of it


@dataclass(frozen=True)
class Message:
    """What was sent; `at` is the place of the interval after which it was, `thread` the group that
    was told first. What begins again in a thread is AGAIN; what is linked to it, ALSO, or, where it
    is told in the same message as another one, WITH that.
    """

    state: str
    group: str
    at: int
    thread: str


@dataclass
class Mail:
    """The messages of one alert, decided and kept as delivery and outbox do."""

    config: Config
    alert: Alert
    sent: list[Message] = field(default_factory=list)
    filed: dict[str, GroupItem] = field(default_factory=dict)
    items: dict[str, AlertItem] = field(default_factory=dict)

    def crawl(self, groups: tuple[Group, ...], at: int) -> None:
        """Take in what a crawl has found."""
        standing_now = {one.id for one in groups}
        former = {
            one.id: former_of(one, self.filed.get(one.id), self.filed.values(), standing_now)
            for one in groups
        }
        decisions = decide(
            {"all": self.alert},
            groups,
            former=former,
            linked=Linked(groups, near(Grid.of(self.config).seconds)),
            decided=lambda _, group_id: self.items.get(group_id),
            muted=lambda _: None,
        )
        for one in decisions:
            holds = standing(self.config, self.alert, [one.group])
            self.items[one.group.id] = _item(one, holds)
        for told, thread in self._told(groups):
            knows = told.knows.get(_READER)
            holds = thread.holds(self.config, self.alert, told.holds)
            item = told.model_copy(update={"holds": holds})
            if knows is None or is_news(knows, holds):
                for step in steps(self.config, self.alert, thread, holds, knows):
                    told = item.model_copy(update={"holds": step.told})
                    self._tell(told, thread, step, knows, at)
                    knows = step.told
            self.items[told.group_id] = item.model_copy(update={"knows": {_READER: knows or holds}})
        self.filed |= {one.id: _filed(one, former) for one in groups}

    def _tell(
        self, item: AlertItem, thread: Thread, step: Step, knows: Told | None, at: int
    ) -> None:
        """Note a message."""
        state: str = state_of(item, knows)
        if state == "ONGOING" and knows is not None:
            if begins_again(knows, step.told):
                state = "AGAIN"
            elif adds(knows, step.told):
                state = "ALSO"
        new = {
            group.id for group, name in thread.linked if knows is None or name not in knows.linked
        }
        self.sent += [
            Message("WITH", one.id, at, item.group_id) for one in step.linked if one.id in new
        ]
        self.sent.append(Message(state, step.group.id, at, item.group_id))

    def _told(self, groups: tuple[Group, ...]) -> list[tuple[AlertItem, Thread]]:
        found: dict[str, Thread] = {}
        for group in sorted(groups, key=lambda one: (one.start, one.id)):
            item = own = self.items.get(group.id)
            while item is not None and item.because is not None:
                item = self.items.get(item.because)
            if own is not None and item is not None:
                found.setdefault(item.group_id, Thread()).add(group, own)
        return [(self.items[group_id], thread) for group_id, thread in found.items()]


def _item(decision: Decision, holds: Told) -> AlertItem:
    group, because = decision.group, decision.because
    return AlertItem(
        alert="all",
        group_id=group.id,
        measure=group.measure,
        start=group.start,
        end=group.end,
        since=group.end,
        expires_at=0,
        state="SENT" if because is None else "SUPPRESSED",
        because=because,
        again=decision.again,
        linked=decision.linked,
        holds=holds,
        attempt_id="",
    )


def _filed(group: Group, former: Mapping[str, tuple[str, ...]]) -> GroupItem:
    return GroupItem(
        group_id=group.id,
        measure=group.measure,
        start=group.start,
        end=group.end,
        direction=group.direction,
        slices=group.slices,
        state=group.state,
        former=former[group.id],
    )


def year(name: str, seed: int, weeks: int) -> Simulated:
    """A world with a visible fault in each sixtieth of its scored part."""
    world, own = WORLDS[name], world_generator
    key = [seed, *name.encode(), *b"volume"]
    random = np.random.default_rng([*key, 1])
    settings = own._settings(name, world, "PT1H")
    first = HISTORY_DAYS * settings.slots_a_day
    size = first + 7 * weeks * settings.slots_a_day
    starts = own._starts(random, settings.grid, size)
    means = own._born(own._means(random, world, settings, starts), ())
    two, three, four, five = (np.random.default_rng([*key, one]) for one in (2, 3, 4, 5))
    twin = own._simulate(three, five, means, ())
    planted = _planted(random, means, twin, first, size)
    values, counts, squares = own._simulate(two, four, means, planted)
    panel, levels = roll_up(
        settings.dimensions, starts, means.leaves, values, counts, squares, settings
    )
    truths = tuple(own._truths(means, planted, twin))
    return Simulated(seed, settings, panel, first, means.leaves, levels, truths)


def _planted(
    random: np.random.Generator, means: Any, twin: Any, first: int, size: int
) -> tuple[Fault, ...]:
    own, kinds = world_generator, [kind for kind in FAULTS if kind not in _OTHERS]
    number = max(1, FAULTS_A_YEAR * (size - first) // (364 * 24))
    room = (size - first) // number
    none = leaves_in(means.leaves, means.newborn)
    found: list[Fault] = []
    while len(found) < number:
        kind = kinds[int(random.integers(len(kinds)))]
        length = own._length(random, kind, Stretch(HISTORY_DAYS, 364, 1.0, 24), 24)
        begin = first + len(found) * room
        at = begin + int(random.integers(24, max(25, room - length - 24)))
        fault = own._fault(random, means, kind, at, length, none)
        held = leaves_in(means.leaves, fault.where).sum()
        if not 1 <= held <= MOST_LEAVES or fault.end > begin + room:
            continue
        if kind == "stuck" and _rows(means, fault).min() < _ROWS_TO_STICK:
            continue
        if any(one.nats >= VISIBLE for one in own._truths(means, (fault,), twin)):
            found.append(fault)
    return tuple(found)


def _rows(means: Any, fault: Fault) -> Any:
    """Expected rows of a fault's slice in each of its intervals."""
    held = leaves_in(means.leaves, fault.where)
    return means.count[held, fault.begin : fault.end].sum(axis=0)


@dataclass(frozen=True)
class Year:
    """A year of crawls: what was sent, by the threshold, and the groups as they were last."""

    world: Simulated
    threshold: float
    sent: list[Message]
    groups: dict[str, Group]


def run(
    name: str, seed: int, weeks: int, threshold: float | None = None, *, apart: bool = False
) -> Year:
    """The year of one world, at a threshold or the recommended one; events of several measures are
    told as one, or apart.
    """
    alert = Alert(link_measures=not apart)
    world = year(name, seed, weeks)
    settings, starts = world.settings, world.panel.starts
    scored = world.first - round(SCORED_SHARE * world.first)
    done = replay(
        settings,
        Snapshot.initial(settings),
        world.panel.cut(0, world.first),
        score_from=starts[scored],
    )
    history = {group.id for group in done.groups}
    if threshold is None:
        begin, end = (starts[one].item().replace(tzinfo=UTC) for one in (scored, world.first))
        threshold = recommend(
            done.groups, begin, end, WISHED_A_WEEK, settings.grid.seconds, [alert]
        ).threshold
    config = Config.model_validate(
        {
            "interval": "PT1H",
            "timezone": settings.grid.timezone,
            "timestamp_column": {"name": "ts"},
            "measures": {rule.name: {} for rule in settings.measures},
            "dimensions": list(settings.dimensions),
        }
    )
    mail, groups = Mail(config, alert.model_copy(update={"threshold": threshold})), {}
    for at in range(world.first, len(starts)):
        done = replay(settings, done.after, world.panel.cut(at, at + 1))
        news = tuple(one for one in done.groups if one.id not in history)
        groups |= {one.id: one for one in news}
        mail.crawl(news, at)
    return Year(world, threshold, mail.sent, groups)


@dataclass(frozen=True)
class Matched:
    """Which opening messages are of which truth, by its place, or beside it; and those of none."""

    of_truth: dict[int, list[Message]]
    beside: dict[int, list[Message]]
    false: list[Message]


def match(done: Year) -> Matched:
    """Assign the opening messages to the faults."""
    world, starts = done.world, done.world.panel.starts

    def place(moment: datetime) -> int:
        return int(np.searchsorted(starts, np.datetime64(moment.replace(tzinfo=None), "s")))

    def shared(group: Group, truth: Truth) -> int:
        """Intervals that an event and a fault have in common; 0 if they are elsewhere."""
        begin, end = place(group.start), place(group.end)
        if not any((truth.leaves & _leaves(world, one)).any() for one in group.slices):
            return 0
        return max(0, min(end, truth.end + _AFTER) - max(begin, truth.begin))

    found = Matched({}, {}, [])
    for message in done.sent:
        if message.state not in ("OPEN", "AGAIN", "ALSO", "WITH"):
            continue
        group = done.groups[message.group]
        near = [(shared(group, one), number) for number, one in enumerate(world.truths)]
        own = [one for one in near if world.truths[one[1]].measure == group.measure]
        if max(own)[0] > 0:
            found.of_truth.setdefault(max(own)[1], []).append(message)
        elif max(near)[0] > 0:
            found.beside.setdefault(max(near)[1], []).append(message)
        elif message.state == "OPEN":
            found.false.append(message)
    return found


def _leaves(world: Simulated, one: Mapping[str, str]) -> Any:
    return world.held([one.get(name, ROLLED_UP) for name in world.settings.dimensions])


def figures(name: str, done: Year) -> dict[str, Any]:
    """One world's figures."""
    truths, matched = done.world.truths, match(done)
    visible = [number for number, one in enumerate(truths) if one.visible]
    found = [number for number in visible if number in matched.of_truth]
    clear = [number for number in visible if truths[number].nats >= CLEAR]
    opened = {
        number: [one.state for one in matched.of_truth[number]].count("OPEN") for number in found
    }
    split = [number for number in found if opened[number] > 1]
    faults = {truths[number].fault for number in visible}
    of_fault: dict[int, list[str]] = {}
    for number, messages in (*matched.of_truth.items(), *matched.beside.items()):
        of_fault.setdefault(truths[number].fault, []).extend(one.state for one in messages)
    told_of = [told for fault, told in of_fault.items() if fault in faults]
    twice = [told for told in told_of if told.count("OPEN") > 1]
    ended = [hours for number in found if (hours := _end_told(done, matched, number)) is not None]
    states, weeks = Counter(one.state for one in done.sent), done.world.weeks
    return {
        "world": name,
        "seed": done.world.seed,
        "weeks": round(weeks),
        "threshold": done.threshold,
        "faults": len(faults),
        "faults found": f"{100 * len(told_of) / max(1, len(faults)):.0f} %",
        "faults split": f"{100 * len(twice) / max(1, len(told_of)):.1f} %",
        "visible": len(visible),
        "found": f"{100 * len(found) / max(1, len(visible)):.0f} %",
        "found of clear": f"{100 * _share(clear, matched.of_truth):.0f} %",
        "split": f"{100 * len(split) / max(1, len(found)):.1f} %",
        "false a week": round(len(matched.false) / weeks, 2),
        "messages a week": round((len(done.sent) - states["WITH"]) / weeks, 1),
        "opened": states["OPEN"],
        "linked": states["WITH"] + states["ALSO"],
        "beside": sum(map(len, matched.beside.values())),
        "again": states["AGAIN"],
        "changed": states["ONGOING"],
        "ended": states["RESOLVED"] + states["ACCEPTED"],
        "end told, median h": float(np.median(ended)) if ended else None,
        "90 % h": float(np.quantile(ended, 0.9)) if ended else None,
        "at once": f"{100 * float(np.mean([one <= 1 for one in ended])):.0f} %" if ended else None,
    }


def _share(numbers: Sequence[int], found: Mapping[int, object]) -> float:
    return sum(number in found for number in numbers) / max(1, len(numbers))


def _end_told(done: Year, matched: Matched, number: int) -> int | None:
    """Hours with rows from the end of a fault until its messages say that it is over; None if
    never.
    """
    world, truth = done.world, done.world.truths[number]
    end, ids = truth.end, {one.thread for one in matched.of_truth[number]}
    last = {one.thread: one for one in done.sent if one.thread in ids}
    if any(one.state not in ("RESOLVED", "ACCEPTED", "OPEN") for one in last.values()):
        return None
    told = max(one.at for one in last.values()) + 1
    # Of a slice that has no row, nobody can say so: by night in what is closed.
    places = world.levels[-1][truth.leaves]
    rows = world.panel.counts[end:told, world.panel.measures.index(truth.measure)][:, places]
    return int(np.count_nonzero(rows.any(axis=1)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--worlds", default=",".join(WORLDS))
    parser.add_argument("--seeds", default="1")
    parser.add_argument("--weeks", type=int, default=52)
    parser.add_argument("--threshold", type=float, help="default: the recommended one")
    parser.add_argument("--apart", action="store_true", help="a message for each measure")
    parser.add_argument("--json", help="file for the results")
    chosen = parser.parse_args()
    rows = [
        figures(name, run(name, int(seed), chosen.weeks, chosen.threshold, apart=chosen.apart))
        for name in chosen.worlds.split(",")
        for seed in chosen.seeds.split(",")
    ]
    if chosen.json:
        with open(chosen.json, "w", encoding="utf-8") as file:  # noqa: PTH123
            json.dump(rows, file, indent=1)
    print(console.table(rows))  # noqa: T201


if __name__ == "__main__":
    main()
