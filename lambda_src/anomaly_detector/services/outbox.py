"""The outbox: what the targets of alerts are told of events, each message once, whatever fails.

An ALERT item holds what is so of an event as far as its alert tells it (`holds`), what each target
knows of it (`knows`), and the state of the message with which each learns the rest (`targets`):
PENDING, CLAIMED while it is sent, then SENT, UNKNOWN or FAILED. One target never waits for another.
One that was down is told what holds when it is back, in one message.

The item names the delivery that sends what is pending. A later one that finds something new takes
it over. Both changes are one conditional write, which also renews the lease of the run.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from anomaly_detector.alerts.https import BusyError, UncertainError
from anomaly_detector.alerts.life import is_news, is_over
from anomaly_detector.alerts.message import (
    Letter,
    Message,
    bundle,
    of_event,
    of_retraction,
    single,
)
from anomaly_detector.alerts.thread import Thread, steps
from anomaly_detector.config import WEB_TARGETS, Config
from anomaly_detector.errors import PermanentError, RetryableError
from anomaly_detector.events.group import Group
from anomaly_detector.lake import layout
from anomaly_detector.lake.store import ObjectStore
from anomaly_detector.ledger.items import (
    PARKED,
    AlertItem,
    AlertStatus,
    Delivery,
    GroupItem,
    TargetStatus,
    Told,
)
from anomaly_detector.ledger.ledger import Ledger
from anomaly_detector.lookout.payload import Origin
from anomaly_detector.services.topic import Topic

# How long decisions are kept.
KEPT = timedelta(days=400)
# After this time, an alert that a target keeps rejecting is reported to the operations topic.
_GIVE_UP = timedelta(days=1)
# The worst first: the state of an alert with several targets.
_FINAL: tuple[Literal["UNKNOWN", "FAILED", "SENT"], ...] = ("UNKNOWN", "FAILED", "SENT")
_REASON = 2_000
# A fraction of the lease.
_RENEWED_AFTER = timedelta(seconds=15)


class Sender(Protocol):
    """Sends one message to one target; `alerts.targets.Targets` is the real one."""

    def send(self, target: str, message: Message) -> str | None:
        """Send once, and return what names the message in a thread, if anything; raises
        RetryableError, PermanentError or UncertainError.
        """


class Pages(Protocol):
    """Refreshes the pages in the bucket; `services.pages.StoredPages` is the real one."""

    def refresh(self, changed: Set[str], gone: Sequence[GroupItem], now: datetime) -> None:
        """Write the pages of groups that have changed, by ID, and of those that are gone."""


@dataclass(frozen=True)
class Post:
    """Adapters and settings of delivery.

    Attributes
    ----------
    pages : None where there are none; alerts then lead to the results of their events.
    """

    detector_name: str
    ledger: Ledger
    objects: ObjectStore
    targets: Sender
    origin: Origin
    operations: Topic
    pages: Pages | None = None


@dataclass
class Run:
    """One run: its hold on the lease, and what it has done.

    Attributes
    ----------
    clock : returns the time, UTC.
    renewed : when the lease was last renewed.
    down : services on the web that have failed in this run, which tries none of them again: a
        slow one would hold back the others.
    changed, gone : groups whose pages tell of what is no more: by ID, and of those that late rows
        or another model have undone, what is on file.
    """

    post: Post
    holder: str
    clock: Callable[[], datetime]
    renewed: datetime
    sent: int = 0
    published: int = 0
    suppressed: int = 0
    reported: int = 0
    muted: int = 0
    retryable: list[str] = field(default_factory=list)
    permanent: list[str] = field(default_factory=list)
    down: set[str] = field(default_factory=set)
    changed: set[str] = field(default_factory=set)
    gone: list[GroupItem] = field(default_factory=list)

    def keep_lease(self) -> None:
        """Renew the lease, unless that was done a few seconds ago.

        Raises
        ------
        RetryableError
            If another run has taken it over.
        """
        now = self.clock()
        if now - self.renewed < _RENEWED_AFTER:
            return
        if not self.post.ledger.keep_delivering(self.holder, now):
            raise overtaken()
        self.renewed = now

    def report(self, title: str, text: str, facts: Mapping[str, object]) -> bool:
        """Publish to the operations topic; False, to be tried again, if that failed."""
        try:
            self.post.operations.publish(title, text, dict(facts))
        except (BotoCoreError, ClientError) as error:
            self.retryable.append(f"the operations topic was not notified: {error}")
            return False
        self.reported += 1
        return True

    def park(self, stored: Mapping[str, Any], error: Exception) -> None:
        """Report a delivery that cannot be read, whole, and put it aside."""
        self.keep_lease()
        name, reason = self.post.detector_name, str(error)[:_REASON]
        text = (
            f"Results of detector {name} could not be delivered; later ones are.\n\nReason: "
            f"{reason}\nThe state table keeps the delivery as {PARKED}{stored['sk']}."
        )
        facts = {
            "detector": name,
            "event": "DELIVERY_PARKED",
            "reason": reason,
            "delivery": stored,
        }
        if self.report(f"{name}: results were not delivered", text, facts):
            self.post.ledger.park_delivery(stored)
            self.permanent.append(f"the delivery {stored['sk']} was parked: {error}")


class Outbox:
    """The messages of one delivery.

    Parameters
    ----------
    delivery : as it is stored.
    groups : of the delivery, as far as alerts tell of them.
    """

    def __init__(
        self, run: Run, config: Config, delivery: Delivery, groups: Sequence[Group]
    ) -> None:
        self._run = run
        self._config = config
        self._alerts = {name: one for name, one in config.alerts.items() if one.targets}
        self.delivery = delivery
        self._groups = sorted(groups, key=lambda one: (one.start, one.id))
        self._ledger = run.post.ledger

    def go_on(self, groups: Sequence[Group], muted: Callable[[Group], str | None]) -> None:
        """Note what is new of events that were told.

        Parameters
        ----------
        groups : those that no newer delivery decides about.
        muted : returns the ID of the mute that holds a group back.
        """
        for one in self._told(groups):
            item, thread = one.item, one.thread
            if item.revision > self.delivery.revision or item.retracted:
                continue
            thread = thread.without([group for group in thread.groups if muted(group)])
            if not thread.groups:
                continue
            holds = thread.holds(self._config, self._alerts[item.alert], item.holds)
            if holds == item.holds:
                continue
            now = self._run.clock()
            after = item.model_copy(
                update={
                    "holds": holds,
                    "turn": item.turn + 1,
                    "targets": _to_tell(item, holds),
                    "since": now,
                    "revision": self.delivery.revision,
                    "attempt_id": self.delivery.attempt_id,
                    "holder": self._run.holder,
                }
            )
            after = after.model_copy(update={"state": _overall(after.targets)})
            if not self._ledger.replace_alert(item, after, now):
                raise overtaken()

    def retract(self, name: str, group_id: str) -> None:
        """Turn an alert into its retraction for whoever was told, be it in another one's thread."""
        item = self._ledger.alert(name, group_id)
        if item is None or item.retracted:
            return
        now = self._run.clock()
        told, threads = list(item.knows), item.threads
        root = self._root(item)
        # If what it is linked to is void, too, the retraction of that one tells of it.
        void = root is not None and (name, root.group_id) in self.delivery.retracted
        if root is not None and item.named and not (void and item.linked):
            told = [
                target
                for target, knows in root.knows.items()
                if item.named in (*knows.later, *knows.linked)
            ]
            threads = root.threads
        targets: dict[str, TargetStatus] = dict.fromkeys(told, "PENDING")
        values = {
            "retracted": True,
            "targets": targets,
            "threads": threads,
            "state": "CLAIMED" if targets else "RETRACTED",
            "since": now,
            "revision": self.delivery.revision,
            "attempt_id": self.delivery.attempt_id,
            "holder": self._run.holder,
        }
        if not self._ledger.replace_alert(item, item.model_copy(update=values), now):
            raise overtaken()

    def send(self) -> bool:
        """Send what is pending of this delivery; return whether nothing is left."""
        pending: dict[tuple[str, str], list[_Pending]] = {}
        for one in self._pending():
            for target, state in one.item.targets.items():
                if state not in _FINAL:
                    pending.setdefault((one.item.alert, target), []).append(one)
        finished = True
        for (name, target), of_target in pending.items():
            # A message that may have been sent is reported by itself.
            fresh = [one for one in of_target if one.item.targets[target] == "PENDING"]
            together = fresh if len(fresh) > self._alerts[name].digest_above else []
            for one in of_target:
                if one not in together:
                    finished &= self._send_each(one, target)
            if together:
                message = bundle(
                    self._run.post.origin,
                    self._config,
                    name,
                    self.delivery.attempt_id,
                    [letter for one in together for letter, _ in self._letters(one, target)],
                )
                finished &= self._send_to(together, target, message)
        return finished

    def _send_each(self, one: _Pending, target: str) -> bool:
        """Send what a target is to be told of one event, and of what came after it."""
        for letter, told in self._letters(one, target):
            message = replace(single(letter), thread=one.item.threads.get(target))
            if not self._send_to([one], target, message, told):
                return False
            if one.item.targets[target] in _FINAL:
                break
        return True

    def is_left(self, item: AlertItem) -> bool:
        """Whether a target of it is still to be told."""
        return not set(item.targets.values()) <= set(_FINAL)

    def send_one(self, item: AlertItem, message: Message) -> bool:
        """Send a message to the targets of an item that are still to be told; whether all are."""
        pending, finished = _Pending(item), True
        for target, state in item.targets.items():
            if state not in _FINAL:
                finished &= self._send_to([pending], target, message)
        return finished

    def _told(self, groups: Sequence[Group]) -> list[_Pending]:
        """The alerts on groups, each with the groups that its event has become."""
        found: dict[tuple[str, str], _Pending] = {}
        for group in sorted(groups, key=lambda one: (one.start, one.id)):
            for name in self._alerts:
                own = self._ledger.alert(name, group.id)
                item = self._root(own)
                if own is not None and item is not None and item.targets:
                    one = found.setdefault((name, item.group_id), _Pending(item))
                    one.thread.add(group, own)
        return list(found.values())

    def _root(self, item: AlertItem | None) -> AlertItem | None:
        """The alert in whose thread one is told, itself if that is its own."""
        seen = set() if item is None else {item.group_id}
        while item is not None and item.because not in {None, *seen}:
            item = self._ledger.alert(item.alert, str(item.because))
            seen |= set() if item is None else {item.group_id}
        return item

    def _pending(self) -> list[_Pending]:
        """What this delivery has to send, oldest event first, retractions at the end."""
        found = [one for one in self._told(self._groups) if not one.item.retracted]
        for name, group_id in self.delivery.retracted:
            item = self._ledger.alert(name, group_id)
            if item is not None and item.retracted and name in self._alerts:
                found.append(_Pending(item))
        return [one for one in found if self._is_pending(one.item)]

    def _is_pending(self, item: AlertItem) -> bool:
        # An item of another delivery is that one's to send.
        return item.attempt_id == self.delivery.attempt_id and self.is_left(item)

    def _letters(self, pending: _Pending, target: str) -> Iterator[tuple[Letter, Told]]:
        """What a target is to be told, one after the other, and what it knows then: of the event,
        and of each that came after it and is new to the target.
        """
        item, origin = pending.item, self._run.post.origin
        asof = self.delivery.asof or self.delivery.window_end
        if item.retracted:
            void, closes = self._void(item), self._closes(item)
            yield of_retraction(origin, self._config, item, asof, void, closes), item.holds
            return
        knows, alert = item.knows.get(target), self._alerts[item.alert]
        for step in steps(self._config, alert, pending.thread, item.holds, knows):
            group = step.group
            named = replace(group, id=item.group_id) if step.named else group
            key = self._leads_to(group)
            linked = [(one, self._leads_to(one)) for one in step.linked]
            told = item.model_copy(update={"holds": step.told})
            yield of_event(origin, self._config, told, named, key, asof, knows, linked), step.told
            knows = step.told

    def _closes(self, item: AlertItem) -> AlertItem:
        """The alert whose incident is over with an event that is void: that in whose thread it was
        told, if it came after that and nothing of the thread goes on; else its own.
        """
        root = self._root(item) if item.again else None
        if root is None:
            return item
        there = [
            group
            for one in self._told(self._groups)
            if (one.item.alert, one.item.group_id) == (root.alert, root.group_id)
            for group in one.thread.groups
        ]
        return root if all(is_over(self._config, one) for one in there) else item

    def _void(self, item: AlertItem) -> list[AlertItem]:
        """What was told in the thread of an alert, and is void with it."""
        found = [
            one
            for name, group_id in self.delivery.retracted
            if name == item.alert
            and group_id != item.group_id
            and (one := self._ledger.alert(name, group_id)) is not None
            and one.linked is not None
        ]
        return [
            one for one in found if (root := self._root(one)) and root.group_id == item.group_id
        ]

    def _leads_to(self, group: Group) -> str:
        """The object that a message leads to."""
        if self._run.post.pages is not None:
            return layout.event_page(group.id)
        return layout.group_file(layout.ANOMALIES, group.start, group.id)

    def _send_to(
        self,
        pending: Sequence[_Pending],
        target: str,
        message: Message,
        told: Told | None = None,
    ) -> bool:
        """Send one message to one target; whether that is done with.

        Parameters
        ----------
        told : what the target knows then; all that holds, if not given.
        """
        name = pending[0].item.alert
        if pending[0].item.targets[target] == "CLAIMED":
            # Only an aborted run leaves this state: it is unknown whether it sent the alert.
            reason = "a run ended while it sent this alert, so that it may not have arrived"
            return self._report(pending, target, "UNKNOWN", reason, message, told)
        now = self._run.clock()
        waits = max((one.item.waits.get(target, now) for one in pending), default=now)
        if waits > now or target in self._run.down:
            self._run.retryable.append(f"alert '{name}' is not sent yet: {target} is left alone")
            return False
        for one in pending:
            claimed = self._with(one.item, target, "CLAIMED")
            if not self._ledger.claim_alert(one.item, claimed, now):
                raise overtaken()
            one.item = claimed
        try:
            thread = self._run.post.targets.send(target, message)
        except UncertainError as error:
            self._note_down(target)
            return self._report(pending, target, "UNKNOWN", str(error), message, told)
        except PermanentError as error:
            self._run.permanent.append(f"alert '{name}' was not sent: {error}")
            return self._report(pending, target, "FAILED", str(error), message)
        except RetryableError as error:
            if now - min(one.item.since for one in pending) < _GIVE_UP:
                self._run.retryable.append(f"alert '{name}' is not sent yet: {error}")
                self._note_down(target)
                self._mark(pending, target, "PENDING", waits=_waits(target, error, now))
                return False
            self._run.permanent.append(f"alert '{name}' was given up after a day: {error}")
            return self._report(pending, target, "FAILED", str(error), message)
        self._run.sent += 1
        threads = {target: thread} if thread is not None and len(pending) == 1 else {}
        self._mark(pending, target, "SENT", told=told, threads=threads)
        return True

    def _note_down(self, target: str) -> None:
        if target.partition(":")[0] in WEB_TARGETS:
            self._run.down.add(target)

    def _report(
        self,
        pending: Sequence[_Pending],
        target: str,
        state: Literal["UNKNOWN", "FAILED"],
        reason: str,
        message: Message,
        told: Told | None = None,
    ) -> bool:
        """Report an alert that did not surely arrive on the operations topic, then close it."""
        name = pending[0].item.alert
        facts = {
            "detector": self._config.name,
            "event": f"ALERT_{state}",
            "reason": reason[:_REASON],
            "target": target,
            "payload": json.loads(message.body),
        }
        fate = "may not have arrived" if state == "UNKNOWN" else "was not sent"
        title = f"{self._config.name}: an alert {fate}"
        text = f"Alert '{name}' {fate} at {target}.\n\nReason: {facts['reason']}"
        if not self._run.report(title, text, facts):
            # The next run continues from here; it may report twice, but never not at all.
            self._mark(pending, target, "CLAIMED" if state == "UNKNOWN" else "PENDING")
            return False
        self._mark(pending, target, state, told=told)
        return True

    def _mark(
        self,
        pending: Sequence[_Pending],
        target: str,
        state: TargetStatus,
        *,
        told: Told | None = None,
        waits: Mapping[str, datetime] | None = None,
        threads: Mapping[str, str] | None = None,
    ) -> None:
        for one in pending:
            after = self._with(one.item, target, state, told)
            after = after.model_copy(
                update={
                    "waits": after.waits | dict(waits or {}),
                    # A thread is that of the first message.
                    "threads": dict(threads or {}) | after.threads,
                }
            )
            if not self._ledger.mark_alert(one.item, after):
                raise overtaken()
            one.item = after

    def _with(
        self, item: AlertItem, target: str, state: TargetStatus, told: Told | None = None
    ) -> AlertItem:
        knows = item.knows
        if state in ("SENT", "UNKNOWN"):
            told = told or item.holds
            knows = knows | {target: told}
            state = "PENDING" if is_news(told, item.holds) else state
        targets = item.targets | {target: state}
        overall = _overall(targets)
        if item.retracted and overall != "CLAIMED":
            overall = "RETRACTED"
        values = {"targets": targets, "knows": knows, "state": overall, "holder": self._run.holder}
        return item.model_copy(update=values)


@dataclass(eq=False)
class _Pending:
    """An alert that something is to be told of, as it is stored, and what is told in its thread."""

    item: AlertItem
    thread: Thread = field(default_factory=Thread)


def overtaken() -> RetryableError:
    """Another run has taken over the delivery."""
    return RetryableError("Another run has taken over the delivery.")


def _waits(target: str, error: RetryableError, now: datetime) -> dict[str, datetime]:
    if isinstance(error, BusyError) and error.seconds > 0:
        return {target: now + timedelta(seconds=error.seconds)}
    return {}


def _to_tell(item: AlertItem, holds: Told) -> dict[str, TargetStatus]:
    """The targets of an alert when something else holds."""
    found: dict[str, TargetStatus] = dict(item.targets)
    for target, status in item.targets.items():
        knows = item.knows.get(target)
        # Who does not know of the event is told all of it, or has refused it.
        if knows is not None and status != "CLAIMED":
            done = status if status in _FINAL else "SENT"
            found[target] = "PENDING" if is_news(knows, holds) else done
    return found


def _overall(targets: Mapping[str, TargetStatus]) -> AlertStatus:
    states = set(targets.values())
    if not states <= set(_FINAL):
        return "CLAIMED"
    return next(state for state in _FINAL if state in states)
