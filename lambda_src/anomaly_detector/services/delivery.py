"""Delivery: publish the committed results of a crawl, and send each of its alerts once.

The commit writes one DELIVERY item per crawl. Every step below is either idempotent, writing the
same bytes when repeated, or guarded by the item of its alert, so a run may stop anywhere and the
next one continues:

1. scores, groups, contributions and CSV exports are written to the bucket,
2. alerts are decided: one ALERT item each, before anything that the decision depends on changes,
3. GROUP items are written, and groups that late rows have undone are deleted with their files,
4. the DELIVERY item is marked published: a newer delivery may now overwrite what 1 and 3 wrote,
5. alerts are sent: CLAIMED, sent, SENT, separately for each target,
6. the DELIVERY item is deleted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from anomaly_detector.alerts.decide import Decision, decide
from anomaly_detector.alerts.targets import Message, UncertainError
from anomaly_detector.config import Alert, Config, load
from anomaly_detector.errors import PermanentError, RetryableError
from anomaly_detector.events.group import Group
from anomaly_detector.events.store import groups_from_bytes
from anomaly_detector.intervals import Grid
from anomaly_detector.lake import layout, parquet
from anomaly_detector.lake.group_files import group_files
from anomaly_detector.lake.store import ObjectStore
from anomaly_detector.ledger.items import (
    AlertItem,
    AlertStatus,
    Delivery,
    GroupItem,
    TargetStatus,
)
from anomaly_detector.ledger.ledger import Ledger
from anomaly_detector.lookout.payload import Origin, alert_payload, encode, subject
from anomaly_detector.services.publishing import publish_intervals
from anomaly_detector.services.topic import Topic

# After this time, an alert that a target keeps rejecting is reported to the operations topic.
_GIVE_UP = timedelta(days=1)
_KEPT = timedelta(days=400)
# How long before a window a group may have begun that an event of the window continues.
_KIN = timedelta(days=7)
# The worst first: the state of an alert with several targets.
_FINAL: tuple[Literal["UNKNOWN", "FAILED", "SENT"], ...] = ("UNKNOWN", "FAILED", "SENT")
_REASON = 2_000


class Sender(Protocol):
    """Sends one message to one target; `alerts.targets.Targets` is the real one."""

    def send(self, arn: str, message: Message) -> None:
        """Send once; raises RetryableError, PermanentError or UncertainError."""


@dataclass(frozen=True)
class Post:
    """Adapters and settings of delivery."""

    ledger: Ledger
    objects: ObjectStore
    targets: Sender
    origin: Origin
    operations: Topic


@dataclass(frozen=True)
class Delivered:
    """Result of one run.

    Attributes
    ----------
    sent : messages, one per alert, group and target.
    published : intervals whose scores were written.
    suppressed : alerts not sent, because one was sent for the same event under another group.
    reported : alerts published to the operations topic, because they failed or may not have
        arrived.
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
        # A transient error takes precedence, because the step must then be repeated.
        if self.retryable:
            raise RetryableError("; ".join([*self.retryable, *self.permanent]))
        if self.permanent:
            raise PermanentError("; ".join(self.permanent))
        return Delivered(self.sent, self.published, self.suppressed, self.reported)


def deliver(post: Post, *, now: datetime, lease: timedelta, holder: str) -> Delivered:
    """Complete every pending delivery, the oldest first.

    Parameters
    ----------
    now : UTC.
    lease : maximum duration of this run: the remaining time of the function.
    holder : name of this run, such as the request ID.

    Raises
    ------
    RetryableError
        If another run is delivering, or a target rejected an alert with a transient error. Nothing
        is lost: the next run continues.
    PermanentError
        If a target rejected an alert; the alert was published to the operations topic.
    """
    if not post.ledger.begin_delivering(holder, now, lease):
        raise RetryableError("Another run is delivering.")
    try:
        tally = _Tally()
        pending = post.ledger.deliveries()
        for place, delivery in enumerate(pending):
            _Errand(post, delivery, pending[place + 1 :], now, tally).run()
    finally:
        post.ledger.end_delivering(holder)
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
        self._ledger = post.ledger
        self._delivery = delivery
        self._newer = newer
        self._now = now
        self._tally = tally
        self._told: dict[tuple[str, str], bool] = {}
        objects = post.objects
        self._config: Config = load(objects.get(layout.configuration_version(delivery.config_hash)))
        of_parts = objects.read_all(delivery.groups_keys, groups_from_bytes)
        self._groups = tuple(group for groups in of_parts for group in groups)
        # An alert without a target is not sent.
        self._alerts = {name: one for name, one in self._config.alerts.items() if _targets(one)}

    def run(self) -> None:
        if not self._delivery.published:
            detector = self._ledger.detector()
            live_from = self._delivery.live_from or detector.live_from
            # If another model has been activated, it has scored these intervals again.
            current = live_from == detector.live_from
            if current:
                self._publish_scores()
                self._publish_groups()
            self._decide(live_from)
            if current:
                self._keep_groups()
            self._ledger.mark_published(self._delivery)
        if self._send():
            self._ledger.delete_delivery(self._delivery)

    def _publish_scores(self) -> None:
        delivery = self._delivery
        starts = Grid.of(self._config).starts(delivery.window_start, delivery.window_end)
        self._tally.published += publish_intervals(
            self._post.objects,
            {
                start: [layout.scores_from(prefix, start) for prefix in delivery.scored_prefixes]
                for start in starts
            },
        )

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
            self._ledger.decide_alert(
                _alert_item(one, self._alerts[one.alert], self._now, self._delivery.attempt_id)
            )
            self._tally.suppressed += one.because is not None

    def _deferred(self, group: Group) -> bool:
        # A newer pending delivery has scored this event with later rows: it decides.
        return any(
            newer.window_start <= group.start
            and (newer.live_from is None or newer.live_from <= group.start)
            for newer in self._newer
        )

    def _is_told(self, alert: str, group_id: str) -> bool:
        if (alert, group_id) not in self._told:
            self._told[alert, group_id] = self._ledger.alert(alert, group_id) is not None
        return self._told[alert, group_id]

    def _earlier(self) -> list[GroupItem]:
        begin = min([self._delivery.window_start, *(group.start for group in self._groups)])
        return self._ledger.groups(begin - _KIN, self._delivery.window_end)

    def _keep_groups(self) -> None:
        for group in self._groups:
            self._ledger.put_group(group, self._delivery.attempt_id)
        standing = {group.id for group in self._groups}
        for item in self._ledger.groups(self._delivery.window_start, self._delivery.window_end):
            if item.group_id not in standing:
                self._post.objects.delete(
                    layout.group_file(kind, item.start, item.group_id) for kind in layout.OF_GROUPS
                )
                self._ledger.delete_group(item)

    def _send(self) -> bool:
        """Send the pending alerts of this delivery's groups; return whether none is left."""
        finished = True
        for group in sorted(self._groups, key=lambda one: (one.start, one.id)):
            for name in self._alerts:
                item = self._ledger.alert(name, group.id)
                # An item of another delivery is that one's to send.
                if item is None or item.attempt_id != self._delivery.attempt_id:
                    continue
                for arn in [arn for arn, state in item.targets.items() if state not in _FINAL]:
                    item, done = self._send_to(item, arn, group)
                    finished &= done
        return finished

    def _send_to(self, item: AlertItem, arn: str, group: Group) -> tuple[AlertItem, bool]:
        """Send to one target; the item afterwards, and whether that is done with."""
        name = item.alert
        payload = alert_payload(self._post.origin, self._config, name, group, _results_key(group))
        if item.targets[arn] == "CLAIMED":
            # Only an aborted run leaves this state: it is unknown whether it sent the alert.
            reason = "a run ended while it sent this alert, so that it may not have arrived"
            return self._report(item, arn, "UNKNOWN", reason, payload)
        item = self._mark(item, arn, "CLAIMED")
        try:
            message = Message(
                subject(self._config, group), encode(payload), payload["alertEventId"]
            )
            self._post.targets.send(arn, message)
        except UncertainError as error:
            return self._report(item, arn, "UNKNOWN", str(error), payload)
        except PermanentError as error:
            self._tally.permanent.append(f"alert '{name}' was not sent: {error}")
            return self._report(item, arn, "FAILED", str(error), payload)
        except RetryableError as error:
            if self._now - item.since < _GIVE_UP:
                self._tally.retryable.append(f"alert '{name}' is not sent yet: {error}")
                return self._mark(item, arn, "PENDING"), False
            self._tally.permanent.append(f"alert '{name}' was given up after a day: {error}")
            return self._report(item, arn, "FAILED", str(error), payload)
        self._tally.sent += 1
        return self._mark(item, arn, "SENT"), True

    def _report(
        self,
        item: AlertItem,
        arn: str,
        state: Literal["UNKNOWN", "FAILED"],
        reason: str,
        payload: Mapping[str, Any],
    ) -> tuple[AlertItem, bool]:
        """Report an alert that did not surely arrive on the operations topic, then close it."""
        facts = {
            "detector": self._config.name,
            "event": f"ALERT_{state}",
            "reason": reason[:_REASON],
            "target": arn,
            "payload": payload,
        }
        fate = "may not have arrived" if state == "UNKNOWN" else "was not sent"
        title = f"{self._config.name}: an alert {fate}"
        text = f"Alert '{item.alert}' {fate} at {arn}.\n\nReason: {facts['reason']}"
        try:
            self._post.operations.publish(title, text, facts)
        except (BotoCoreError, ClientError) as error:
            # The next run continues from here; it may report twice, but never not at all.
            self._tally.retryable.append(f"the operations topic was not notified: {error}")
            return self._mark(item, arn, "CLAIMED" if state == "UNKNOWN" else "PENDING"), False
        self._tally.reported += 1
        return self._mark(item, arn, state), True

    def _mark(self, item: AlertItem, arn: str, state: TargetStatus) -> AlertItem:
        targets = item.targets | {arn: state}
        after = self._ledger.mark_alert(item, _overall(targets), targets)
        if after is None:
            raise RetryableError(
                f"Another run is sending alert '{item.alert}' for group {item.group_id}."
            )
        return after


def _alert_item(decision: Decision, alert: Alert, now: datetime, attempt: str) -> AlertItem:
    group = decision.group
    sending = decision.because is None
    return AlertItem(
        alert=decision.alert,
        group_id=group.id,
        measure=group.measure,
        start=group.start,
        end=group.end,
        since=now,
        expires_at=int((now + _KEPT).timestamp()),
        state="CLAIMED" if sending else "SUPPRESSED",
        because=decision.because,
        targets=dict.fromkeys(_targets(alert), "PENDING") if sending else {},
        attempt_id=attempt,
    )


def _targets(alert: Alert) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*alert.sns_topic_arns, *alert.lambda_function_arns]))


def _overall(targets: Mapping[str, TargetStatus]) -> AlertStatus:
    states = set(targets.values())
    if not states <= set(_FINAL):
        return "CLAIMED"
    return next(state for state in _FINAL if state in states)


def _results_key(group: Group) -> str:
    return layout.group_file(layout.ANOMALIES, group.start, group.id)
