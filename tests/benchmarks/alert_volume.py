"""How many messages people get: a year of crawls, each interval by itself, with 60 faults.

Worlds of `world_generator` at PT1H, trained for eight weeks, then 52 weeks with 60 faults on slices
of 1 to 21 combinations, of all kinds that are not in total and not for good. Every interval is
scored as a crawl does, and what an alert at the recommended threshold (50, to which severity is
calibrated) tells of it is what the outbox would send: `alerts.life`. A fault counts once per
measure that it hits, where it is visible (`ground_truth`).

* **found**: visible faults that an opening message tells of. **split**: those of which more than
  one does. **false a week**: opening messages that overlap no fault.
* **resolved after**: hours from a fault's end to the message that says so, in the median and in the
  90th percentile; the first interval after it has been crawled after one.

`python -m tests.benchmarks.alert_volume [--worlds retail,ads] [--seeds 1,2] [--weeks 52]`.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from anomaly_detector.alerts.life import is_news, standing, state_of
from anomaly_detector.config import Alert, Config
from anomaly_detector.events.group import Group
from anomaly_detector.ledger.items import AlertItem, Told
from anomaly_detector.replay import replay
from anomaly_detector.snapshot import Snapshot

from tests.benchmarks import console, world_generator
from tests.benchmarks.ground_truth import Simulated, leaves_in, roll_up
from tests.benchmarks.world_generator import FAULTS, WORLDS, Fault, Stretch

THRESHOLD = 50.0
FAULTS_A_YEAR = 60
MOST_LEAVES = 21
# In total, for good, or of a job: of these there is no slice of a few series.
_OTHERS = ("outage", "mild", "birth", "death", "skipped job")
_TARGET = "people"


@dataclass
class Message:
    """What was sent; `at` is the place of the interval after which it was."""

    state: str
    group: str
    at: int


@dataclass
class Mail:
    """The messages of one alert, kept as the outbox keeps them."""

    config: Config
    alert: Alert
    sent: list[Message] = field(default_factory=list)
    held: dict[str, Told] = field(default_factory=dict)

    def crawl(self, groups: tuple[Group, ...], at: int) -> None:
        """Take in what a crawl has found."""
        for group in groups:
            before = self.held.get(group.id)
            if before is None and group.severity < self.alert.threshold:
                continue
            holds = standing(self.config, self.alert, [group], before)
            self.held[group.id] = holds
            if before is None or is_news(before, holds):
                item = _item(group, holds)
                self.sent.append(Message(state_of(item, before), group.id, at))


def _item(group: Group, holds: Told) -> AlertItem:
    return AlertItem(
        alert="all",
        group_id=group.id,
        measure=group.measure,
        start=group.start,
        end=group.end,
        since=group.end,
        expires_at=0,
        state="CLAIMED",
        holds=holds,
        attempt_id="",
    )


def year(name: str, seed: int, weeks: int) -> Simulated:
    """A world with a fault in each sixtieth of its scored part."""
    world, own = WORLDS[name], world_generator
    key = [seed, *name.encode(), *b"volume"]
    random = np.random.default_rng([*key, 1])
    settings = own._settings(name, world, "PT1H")
    first = 56 * settings.slots_a_day
    size = first + 7 * weeks * settings.slots_a_day
    starts = own._starts(random, settings.grid, size)
    means = own._means(random, world, settings, starts)
    planted = _planted(random, means, first, size)
    means = own._born(means, planted)
    draws = np.random.default_rng([*key, 2]), np.random.default_rng([*key, 4])
    values, counts, squares = own._simulate(*draws, means, planted)
    panel, levels = roll_up(
        settings.dimensions, starts, means.leaves, values, counts, squares, settings
    )
    twin = own._simulate(np.random.default_rng([*key, 3]), draws[1], means, ())
    truths = tuple(own._truths(means, planted, twin))
    return Simulated(seed, settings, panel, first, means.leaves, levels, truths)


def _planted(random: np.random.Generator, means: Any, first: int, size: int) -> tuple[Fault, ...]:
    kinds = [kind for kind in FAULTS if kind not in _OTHERS]
    number = max(1, FAULTS_A_YEAR * (size - first) // (364 * 24))
    room = (size - first) // number
    none = leaves_in(means.leaves, means.newborn)
    found = []
    for place in range(number):
        kind = kinds[int(random.integers(len(kinds)))]
        length = world_generator._length(random, kind, Stretch(56, 364, 1.0, 24), 24)
        at = first + place * room + int(random.integers(24, max(25, room - length - 24)))
        while True:
            fault = world_generator._fault(random, means, kind, at, length, none)
            if 1 <= leaves_in(means.leaves, fault.where).sum() <= MOST_LEAVES:
                break
        found.append(fault)
    return tuple(found)


def run(name: str, seed: int, weeks: int) -> dict[str, Any]:
    """One world's figures."""
    world = year(name, seed, weeks)
    config = Config.model_validate(
        {
            "interval": "PT1H",
            "timezone": world.settings.grid.timezone,
            "timestamp_column": {"name": "ts"},
            "measures": {rule.name: {} for rule in world.settings.measures},
            "dimensions": list(world.settings.dimensions),
        }
    )
    mail, groups = Mail(config, Alert(threshold=THRESHOLD)), {}
    done = replay(world.settings, Snapshot.initial(world.settings), world.panel.cut(0, world.first))
    snapshot = done.after
    size = len(world.panel.starts)
    history = {group.id for group in done.groups}
    for at in range(world.first, size):
        done = replay(world.settings, snapshot, world.panel.cut(at, at + 1))
        snapshot = done.after
        news = tuple(one for one in done.groups if one.id not in history)
        groups |= {one.id: one for one in news}
        mail.crawl(news, at)
    return _figures(name, world, mail, groups)


def _figures(name: str, world: Simulated, mail: Mail, groups: dict[str, Group]) -> dict[str, Any]:
    starts = world.panel.starts

    def place(moment: datetime) -> int:
        return int(np.searchsorted(starts, np.datetime64(moment.replace(tzinfo=None), "s")))

    opened = [one for one in mail.sent if one.state == "OPEN"]
    truths = [one for one in world.truths if one.visible]
    # An event is told of the fault whose time it shares most, of those of its measure.
    of_truth: dict[int, list[str]] = {}
    false = 0
    for message in opened:
        group = groups[message.group]
        begin, end = place(group.start), place(group.end)
        near = [
            (min(end, truth.end + 2) - max(begin, truth.begin), number)
            for number, truth in enumerate(world.truths)
            if truth.measure == group.measure and begin < truth.end + 2 and end > truth.begin
        ]
        if not near:
            # Rows that are lost or doubled move every measure, in whichever they are visible.
            near = [(0, -1) for one in world.truths if begin < one.end + 2 and end > one.begin]
            false += not near
            continue
        of_truth.setdefault(max(near)[1], []).append(group.id)
    visible = [number for number, one in enumerate(world.truths) if one.visible]
    found = [number for number in visible if number in of_truth]
    split = [number for number in found if len(of_truth[number]) > 1]
    ended: list[int] = []
    for number in found:
        ids = set(of_truth[number])
        after = [
            one.at + 1 - world.truths[number].end
            for one in mail.sent
            if one.group in ids
            and one.state in ("RESOLVED", "ACCEPTED", "OPEN")
            and one.at + 1 > world.truths[number].end
        ]
        if after:
            ended.append(min(after))
    states = Counter(one.state for one in mail.sent)
    weeks = world.weeks
    return {
        "world": name,
        "weeks": round(weeks),
        "faults": len({one.fault for one in world.truths}),
        "visible": len(truths),
        "found": f"{100 * len(found) / max(1, len(truths)):.0f} %",
        "split": f"{100 * len(split) / max(1, len(found)):.1f} %",
        "false a week": round(false / weeks, 2),
        "messages a week": round(len(mail.sent) / weeks, 1),
        "opened": states["OPEN"],
        "changed": states["ONGOING"],
        "ended": states["RESOLVED"] + states["ACCEPTED"],
        "resolved after, median h": float(np.median(ended)) if ended else None,
        "resolved after, 90 % h": float(np.quantile(ended, 0.9)) if ended else None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--worlds", default=",".join(WORLDS))
    parser.add_argument("--seeds", default="1")
    parser.add_argument("--weeks", type=int, default=52)
    parser.add_argument("--json", help="file for the results")
    chosen = parser.parse_args()
    rows = [
        run(name, int(seed), chosen.weeks)
        for name in chosen.worlds.split(",")
        for seed in chosen.seeds.split(",")
    ]
    if chosen.json:
        with open(chosen.json, "w", encoding="utf-8") as file:  # noqa: PTH123
            json.dump(rows, file, indent=1)
    print(console.table(rows))  # noqa: T201


if __name__ == "__main__":
    main()
