"""Delivery: what a crawl has committed is published, and its alerts are sent once each.

The commit leaves one DELIVERY item per crawl. Every step below either writes the same bytes again
when it is repeated, or is guarded by the item of its alert; so a run may stop anywhere and the next
one goes on:

1. scores, groups, contributions and CSV exports go to their places in the bucket,
2. alerts are decided: an ALERT item each, before anything that the decision rests on is changed,
3. GROUP items are written, and groups that late rows have undone are removed, files included,
4. the DELIVERY item is marked published: a newer delivery may now overwrite what 1 and 3 wrote,
5. alerts are sent: CLAIMED, sent, SENT, for each target on its own,
6. the DELIVERY item is deleted.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict

from anomaly_detector.alerts.decide import Decision, Extent, decide
from anomaly_detector.alerts.targets import Message, UncertainError
from anomaly_detector.config import Alert, Config, load
from anomaly_detector.errors import PermanentError, RetryableError
from anomaly_detector.events.group import Group
from anomaly_detector.events.store import groups_from_bytes
from anomaly_detector.intervals import iso, parse_iso
from anomaly_detector.lake import layout, parquet, results
from anomaly_detector.lake.group_files import group_files
from anomaly_detector.lake.store import ObjectStore
from anomaly_detector.ledger.items import (
    DELIVERY,
    DETECTOR,
    GROUP,
    Detector,
    alert_key,
    delivery_key,
    group_key,
)
from anomaly_detector.ledger.lease import Lease
from anomaly_detector.ledger.table import Item, StateTable
from anomaly_detector.lookout.group import group_item
from anomaly_detector.lookout.payload import Origin, alert_payload, encode, subject

LOCK = "LOCK#deliver"
# Clocks of two functions may differ by ten seconds; leases are kept to the second.
_CLOCK_SKEW = timedelta(seconds=11)
# A target that has refused for so long will not take the alert any more; people are told instead.
_GIVE_UP = timedelta(days=1)
_KEPT = timedelta(days=400)
# How far before a window a group may have begun that an event of the window descends from.
_KIN = timedelta(days=7)
_FINAL = frozenset({"SENT", "UNKNOWN", "FAILED"})
_REASON = 2_000


class Delivery(BaseModel):
    """The DELIVERY item: where the results of one committed crawl lie. Times are UTC.

    Attributes
    ----------
    due_start, attempt_id : name the item.
    window_start, window_end : all intervals that the attempt scored, look-back included.
    events_key : object that holds the groups that touch the window.
    scored_keys : Parquet objects that hold its scores, one per shard.
    live_from : watermark at the activation that was in force at the commit.
    published : whether only alerts are left to be sent.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    due_start: datetime
    attempt_id: str
    config_hash: str
    window_start: datetime
    window_end: datetime
    events_key: str
    scored_keys: tuple[str, ...]
    live_from: datetime | None = None
    published: bool = False

    @property
    def key(self) -> str:
        """Sort key of the item."""
        return delivery_key(self.due_start, self.attempt_id)

    def attributes(self) -> Item:
        """What is stored, without what is None."""
        return self.model_dump(mode="json", exclude_none=True)


class Sender(Protocol):
    """Sends one message to one target; `alerts.targets.Targets` is the real one."""

    def send(self, arn: str, message: Message) -> None:
        """Send once; raises RetryableError, PermanentError or UncertainError."""


@dataclass(frozen=True)
class Post:
    """What delivery works with.

    Attributes
    ----------
    read_groups : reads the object at `Delivery.events_key`: the groups that touch the window.
    """

    table: StateTable
    objects: ObjectStore
    targets: Sender
    origin: Origin
    operations_topic_arn: str
    read_groups: Callable[[bytes], Sequence[Group]] = groups_from_bytes


@dataclass(frozen=True)
class Delivered:
    """What one run did.

    Attributes
    ----------
    sent : messages, one per alert, group and target.
    published : intervals whose scores were written.
    suppressed : alerts held back, as the event had been told under another group.
    reported : alerts handed to the operations topic, as they failed or may have failed to arrive.
    """

    sent: int
    published: int
    suppressed: int
    reported: int


@dataclass
class _Tally:
    sent: int = 0
    published: int = 0
    suppressed: int = 0
    reported: int = 0
    retryable: list[str] = field(default_factory=list)
    permanent: list[str] = field(default_factory=list)

    def close(self) -> Delivered:
        # A fault that may pass comes first, for then the step has to be repeated.
        if self.retryable:
            raise RetryableError("; ".join([*self.retryable, *self.permanent]))
        if self.permanent:
            raise PermanentError("; ".join(self.permanent))
        return Delivered(self.sent, self.published, self.suppressed, self.reported)


def deliver(post: Post, *, now: datetime, lease: timedelta, holder: str) -> Delivered:
    """Bring every pending delivery to its end, the oldest first.

    Parameters
    ----------
    now : UTC.
    lease : how long this run can last at most, the remaining time of the function.
    holder : name of this run, such as the request id.

    Raises
    ------
    RetryableError
        Another run is delivering, or a target refused for a reason that may pass. Nothing is lost:
        the next run goes on.
    PermanentError
        A target will not take an alert; the alert was handed to the operations topic.
    """
    lock = Lease(post.table, LOCK)
    if lock.take(holder, now, now + lease + _CLOCK_SKEW) is not None:
        raise RetryableError("Another run is delivering.")
    try:
        tally = _Tally()
        pending = [Delivery.model_validate(item) for item in post.table.query(DELIVERY)]
        for place, delivery in enumerate(pending):
            _Errand(post, delivery, pending[place + 1 :], now, tally).run()
    finally:
        lock.release(holder)
    return tally.close()


class _Errand:
    """One delivery."""

    def __init__(
        self,
        post: Post,
        delivery: Delivery,
        newer: Sequence[Delivery],
        now: datetime,
        tally: _Tally,
    ) -> None:
        self._post = post
        self._delivery = delivery
        self._newer = newer
        self._now = now
        self._tally = tally
        self._told: dict[str, bool] = {}
        objects = post.objects
        self._config: Config = load(objects.get(layout.configuration_version(delivery.config_hash)))
        self._groups = tuple(post.read_groups(objects.get(delivery.events_key)))
        # An alert without a target has nobody to tell.
        self._alerts = {name: one for name, one in self._config.alerts.items() if _targets(one)}

    def run(self) -> None:
        if not self._delivery.published:
            item = self._post.table.get(DETECTOR)
            detector = Detector() if item is None else Detector.of(item)
            live_from = self._delivery.live_from or detector.live_from
            # Where another model has come into force, it has scored these intervals anew.
            current = live_from == detector.live_from
            if current:
                self._publish_scores()
                self._publish_groups()
            self._decide(live_from)
            if current:
                self._keep_groups()
            self._post.table.update(self._delivery.key, {"published": True})
        if self._send():
            self._post.table.delete(self._delivery.key)

    def _publish_scores(self) -> None:
        if not self._delivery.scored_keys:
            return
        order = [(name, "ascending") for name in ("measure", *self._config.dimensions)]
        table = parquet.joined(self._post.objects, self._delivery.scored_keys)
        # In one order whatever the shards, so that a replay writes the same bytes.
        files = {
            layout.interval_scores(start): parquet.write(rows.sort_by(order))
            for start, rows in results.by_interval(table)
        }
        self._post.objects.put_all(files, parquet.CONTENT_TYPE)
        self._tally.published += len(files)

    def _publish_groups(self) -> None:
        files = group_files(self._groups, self._config)
        self._post.objects.put_all(files, parquet.CONTENT_TYPE)

    def _decide(self, live_from: datetime | None) -> None:
        decisions = decide(
            self._alerts,
            [group for group in self._groups if not self._deferred(group)],
            self._config.dimensions,
            live_from=live_from,
            earlier=self._earlier(),
            told=self._is_told,
        )
        for one in decisions:
            item = _alert_item(one, self._alerts[one.alert], self._now)
            item["attempt_id"] = self._delivery.attempt_id
            self._post.table.put_new(alert_key(one.alert, one.group.id), item)
            self._tally.suppressed += one.action == "SUPPRESS"

    def _deferred(self, group: Group) -> bool:
        # A newer delivery waits that has judged this event with later rows: it decides.
        return any(
            newer.window_start <= group.start
            and (newer.live_from is None or newer.live_from <= group.start)
            for newer in self._newer
        )

    def _is_told(self, alert: str, group_id: str) -> bool:
        key = alert_key(alert, group_id)
        if key not in self._told:
            self._told[key] = self._post.table.get(key) is not None
        return self._told[key]

    def _earlier(self) -> tuple[Extent, ...]:
        return tuple(
            Extent(
                item["group_id"], item["measure"], parse_iso(item["start"]), parse_iso(item["end"])
            )
            for item in self._stored(
                min([self._delivery.window_start, *(group.start for group in self._groups)]) - _KIN
            )
        )

    def _stored(self, begin: datetime) -> list[Item]:
        end = self._delivery.window_end
        found = self._post.table.query(GROUP, iso(begin), iso(end))
        return [item for item in found if parse_iso(item["start"]) < end]

    def _keep_groups(self) -> None:
        for group in self._groups:
            item = {
                "group_id": group.id,
                "measure": group.measure,
                "start": iso(group.start),
                "end": iso(group.end),
                "attempt_id": self._delivery.attempt_id,
                **group_item(group),
            }
            self._post.table.put(group_key(group.start, group.id), item)
        standing = {group.id for group in self._groups}
        for item in self._stored(self._delivery.window_start):
            if item["group_id"] not in standing:
                start = parse_iso(item["start"])
                self._post.objects.delete(
                    layout.group_file(kind, start, item["group_id"]) for kind in layout.OF_GROUPS
                )
                self._post.table.delete(group_key(start, item["group_id"]))

    def _send(self) -> bool:
        """Send what is claimed for the groups of this delivery; whether nothing is left."""
        finished = True
        for group in sorted(self._groups, key=lambda one: (one.start, one.id)):
            for name in self._alerts:
                key = alert_key(name, group.id)
                item = self._post.table.get(key)
                # An item of another delivery is that one's to send.
                if item is None or item.get("attempt_id") != self._delivery.attempt_id:
                    continue
                for arn in _unfinished(item):
                    finished &= self._send_to(key, arn, name, group)
        return finished

    def _send_to(self, key: str, arn: str, name: str, group: Group) -> bool:
        item = self._post.table.get(key) or {}
        payload = alert_payload(self._post.origin, self._config, name, group, _results_key(group))
        if item["targets"][arn] == "CLAIMED":
            # Only a run that broke off leaves this behind: whether it sent, nobody knows.
            reason = "a run ended while it sent this alert, so that it may not have arrived"
            return self._report(key, item, arn, "UNKNOWN", reason, payload)
        item = self._mark(key, item, arn, "CLAIMED")
        try:
            message = Message(
                subject(self._config, group), encode(payload), payload["alertEventId"]
            )
            self._post.targets.send(arn, message)
        except UncertainError as error:
            return self._report(key, item, arn, "UNKNOWN", str(error), payload)
        except PermanentError as error:
            self._tally.permanent.append(f"alert '{name}' was not sent: {error}")
            return self._report(key, item, arn, "FAILED", str(error), payload)
        except RetryableError as error:
            if self._now - parse_iso(item["since"]) < _GIVE_UP:
                self._mark(key, item, arn, "PENDING")
                self._tally.retryable.append(f"alert '{name}' is not sent yet: {error}")
                return False
            self._tally.permanent.append(f"alert '{name}' was given up after a day: {error}")
            return self._report(key, item, arn, "FAILED", str(error), payload)
        self._mark(key, item, arn, "SENT")
        self._tally.sent += 1
        return True

    def _report(
        self,
        key: str,
        item: Item,
        arn: str,
        state: str,
        reason: str,
        payload: Mapping[str, Any],
    ) -> bool:
        """Hand an alert that did not surely arrive to the operations topic, then close it."""
        report = {
            "detector": self._config.name,
            "event": "ALERT_UNKNOWN" if state == "UNKNOWN" else "ALERT_FAILED",
            "reason": reason[:_REASON],
            "target": arn,
            "payload": payload,
        }
        words = "may not have arrived" if state == "UNKNOWN" else "was not sent"
        title = f"{self._config.name}: an alert {words}"
        try:
            self._post.targets.send(
                self._post.operations_topic_arn,
                Message(
                    title,
                    json.dumps(report, ensure_ascii=False, allow_nan=False),
                    payload["alertEventId"],
                ),
            )
        except (RetryableError, PermanentError, UncertainError) as error:
            # The next run goes on from here: it reports twice rather than never.
            self._mark(key, item, arn, "CLAIMED" if state == "UNKNOWN" else "PENDING")
            self._tally.retryable.append(f"the operations topic was not told: {error}")
            return False
        self._mark(key, item, arn, state)
        self._tally.reported += 1
        return True

    def _mark(self, key: str, item: Item, arn: str, state: str) -> Item:
        targets = item["targets"] | {arn: state}
        values = {"targets": targets, "state": _overall(targets)}
        if not self._post.table.update(key, values, {"targets": item["targets"]}):
            raise RetryableError(f"Another run is sending {key}.")
        return item | values


def _alert_item(decision: Decision, alert: Alert, now: datetime) -> Item:
    group = decision.group
    sending = decision.action == "SEND"
    return {
        "alert": decision.alert,
        "group_id": group.id,
        "measure": group.measure,
        "start": iso(group.start),
        "end": iso(group.end),
        "since": iso(now),
        "expires_at": int((now + _KEPT).timestamp()),
        "state": "CLAIMED" if sending else "SUPPRESSED",
        "because": decision.because,
        "targets": dict.fromkeys(_targets(alert), "PENDING") if sending else {},
    }


def _targets(alert: Alert) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*alert.sns_topic_arns, *alert.lambda_function_arns]))


def _unfinished(item: Item) -> Iterator[str]:
    for arn, state in item.get("targets", {}).items():
        if state not in _FINAL:
            yield arn


def _overall(targets: Mapping[str, str]) -> str:
    states = set(targets.values())
    if not states <= _FINAL:
        return "CLAIMED"
    return next(state for state in ("UNKNOWN", "FAILED", "SENT") if state in states)


def _results_key(group: Group) -> str:
    return layout.group_file(layout.ANOMALIES, group.start, group.id)
