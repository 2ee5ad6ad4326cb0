"""Delivery: publish the committed results of a crawl, and send each of its alerts once.

The commit writes one DELIVERY item per crawl. Every step below is either idempotent, writing the
same bytes when repeated, or guarded by the item of its alert, so a run may stop anywhere and the
next one continues. One run at a time delivers: its lease is short and renewed before each step, and
decisions and claims of alerts renew it in the same transaction, so that a run that has lost it
changes nothing more.

1. scores, groups, contributions and CSV exports are written to the bucket,
2. alerts are decided: one ALERT item each, before anything that the decision depends on changes,
3. GROUP items are written, groups on file learn of those that are related to them, and groups that
   late rows have undone are deleted with their files,
4. the DELIVERY item is marked published: a newer delivery may now overwrite what 1 and 3 wrote,
5. messages are sent (`services.outbox`): of new events, of what has become of those that were told,
   and of those that late rows or another model have undone,
6. digests that are due are sent (`services.digests`),
7. the DELIVERY item is deleted.

At the end, the pages of what has changed are refreshed, and the operations topic is told which
mutes have ended.

A delivery that cannot be read is reported and parked, and the next ones go on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from anomaly_detector.alerts.decide import Decision, Linked, decide, near
from anomaly_detector.alerts.life import standing
from anomaly_detector.alerts.past import former_of, is_alike
from anomaly_detector.config import Alert, Config, load
from anomaly_detector.errors import PermanentError, RetryableError
from anomaly_detector.events.group import Group, in_order
from anomaly_detector.events.store import groups_from_bytes
from anomaly_detector.intervals import Grid
from anomaly_detector.lake import layout, parquet
from anomaly_detector.lake.group_files import group_files
from anomaly_detector.ledger.items import AlertItem, AlertStatus, Delivery, GroupItem, Interval
from anomaly_detector.services import digests, muting
from anomaly_detector.services.outbox import KEPT, Outbox, Post, Run, overtaken
from anomaly_detector.services.publishing import (
    forget_backtest,
    publish_backtest,
    publish_intervals,
)
from anomaly_detector.services.relating import Filed

# An older event is recorded, not sent, unless the alert says otherwise or the look-back is longer.
_MAX_AGE = timedelta(days=7)
# Of a group's slices, so many are kept with its alerts.
_SLICES = 20
# How long a run waits for another one: longer than the lease of one that was killed.
_LOOKS, _PAUSE = 16, 5.0
# What reading stored objects raises where they are lacking or broken.
_UNREADABLE = (PermanentError, ValueError, LookupError)


@dataclass(frozen=True)
class Delivered:
    """Result of one run.

    Attributes
    ----------
    sent : messages, one per alert, group and target.
    published : intervals whose scores were written.
    suppressed : alerts not sent, because one was sent for the same event under another group.
    muted : alerts that a mute has held back.
    reported : alerts published to the operations topic, because they failed or may not have
        arrived.
    left : whether another run is delivering, which takes what was pending, too.
    """

    sent: int
    published: int
    suppressed: int
    reported: int
    muted: int = 0
    left: bool = False


def deliver(
    post: Post,
    *,
    clock: Callable[[], datetime],
    holder: str,
    sleep: Callable[[float], None],
) -> Delivered:
    """Complete every pending delivery, the oldest first.

    If another run is delivering, this one waits until it has ended. If it has not after more than a
    minute, nothing is left to do: it looks for new deliveries before it ends.

    Parameters
    ----------
    clock : returns the time, UTC.
    holder : name of this run, such as the request ID; another one for each attempt.

    Raises
    ------
    RetryableError
        If another run has taken over, or a target rejected an alert with a transient error. Nothing
        is lost: the next run continues.
    PermanentError
        If a target rejected an alert, or a delivery could not be read; the operations topic was
        notified.
    """
    run = _begin(post, clock, holder, sleep)
    if run is None:
        return Delivered(0, 0, 0, 0, left=True)
    try:
        _deliver(run)
        _refresh_pages(run)
        _tell_ended_mutes(run)
    finally:
        post.ledger.end_delivering(holder)
    return _done(run)


def _done(run: Run) -> Delivered:
    """The result; raises what went wrong."""
    # A transient error takes precedence, because the step must then be repeated.
    if run.retryable:
        raise RetryableError("; ".join([*run.retryable, *run.permanent]))
    if run.permanent:
        raise PermanentError("; ".join(run.permanent))
    return Delivered(run.sent, run.published, run.suppressed, run.reported, run.muted)


def _begin(
    post: Post, clock: Callable[[], datetime], holder: str, sleep: Callable[[float], None]
) -> Run | None:
    for look in range(_LOOKS):
        if look:
            sleep(_PAUSE)
        begun = clock()
        if post.ledger.begin_delivering(holder, begun):
            return Run(post, holder, clock, begun)
    return None


def _deliver(run: Run) -> None:
    seen: set[str] = set()
    # Until there are no new ones, as whoever committed them may have found this run at work.
    while fresh := [one for one in run.post.ledger.deliveries() if one["sk"] not in seen]:
        seen |= {one["sk"] for one in fresh}
        _deliver_each(run, fresh)


def _refresh_pages(run: Run) -> None:
    if run.post.pages is not None and (run.changed or run.gone):
        run.keep_lease()
        run.post.pages.refresh(run.changed, run.gone, run.clock())


def _tell_ended_mutes(run: Run) -> None:
    """Say on the operations topic which mutes have ended, and what they have held back."""
    post = run.post
    for mute in muting.ended(post.ledger, post.objects, run.clock()):
        run.keep_lease()
        if run.report(*muting.end_of(post.ledger, post.detector_name, mute)):
            muting.note_told(post.ledger, mute)


def _deliver_each(run: Run, pending: Sequence[Mapping[str, Any]]) -> None:
    errands: list[_Errand] = []
    # All are read first, as those that cannot be read decide about no alerts.
    for stored in pending:
        try:
            errands.append(_Errand(run, stored))
        except _UNREADABLE as error:
            run.park(stored, error)
    # In the order of the commits: the results of a model overwrite those of the one before it.
    errands.sort(key=lambda one: one.delivery.revision)
    for place, errand in enumerate(errands):
        try:
            errand.run([newer.delivery for newer in errands[place + 1 :]])
        except _UNREADABLE as error:
            run.park(errand.stored, error)


class _Errand:
    """One delivery."""

    def __init__(self, run: Run, stored: Mapping[str, Any]) -> None:
        self.stored = stored
        self.delivery = delivery = Delivery.of(stored)
        self._run = run
        self._post = run.post
        self._ledger = run.post.ledger
        objects = run.post.objects
        self._config: Config = load(objects.get(layout.configuration_version(delivery.config_hash)))
        of_parts = objects.read_all(delivery.groups_keys, groups_from_bytes)
        # An alert without a target is not sent.
        self._alerts = {name: one for name, one in self._config.alerts.items() if one.targets}
        self._take(tuple(group for groups in of_parts for group in groups))

    def run(self, newer: Sequence[Delivery]) -> None:
        """Complete the delivery; those that are newer decide about their own windows."""
        stored = self._stored()
        gone = self._gone(stored)
        filed = self._filed(gone)
        groups = self._begun_as_filed(filed)
        if groups != self._groups:
            self._take(groups)
            stored = self._stored()
        self._take(filed.relate(groups))
        if not self.delivery.published:
            self._run.keep_lease()
            detector = self._ledger.detector()
            # If another model has been activated, it has scored these intervals again.
            current = self.delivery.trained == detector.trained
            if current:
                self._publish()
            former = self._former(stored)
            self._decide(former, newer)
            if current:
                self._go_on(newer)
                self._retract(gone)
                self._keep_groups(former, stored)
                filed.relate_back(self._ledger, self._groups, gone)
                self._forget_groups(gone)
                self._run.changed |= {
                    group.id for group in self._groups if _is_new(group, stored.get(group.id))
                }
                self._run.gone += gone
            elif any(one.base is not None for one in newer):
                # What was told is on file when the backtest tells what has become of it.
                self._keep_groups(former, stored, new=True)
            self._ledger.mark_published(self.delivery)
        if self._outbox.send():
            if not self.is_backtest:
                digests.tell(self._run, self._outbox, self._config, self.delivery)
            self._finish()

    def _filed(self, gone: Sequence[GroupItem]) -> Filed:
        """What the groups may be related to on file; messages tell of it."""
        return Filed.of(self._ledger, self._groups, gone, Grid.of(self._config).seconds)

    def _begun_as_filed(self, filed: Filed) -> tuple[Group, ...]:
        """The groups, which begin as they do on file where that is before the window.

        A new model has seen no more than the end of an event that lasted when its backtest began:
        of one that is over, what is on file is the whole, and stays.
        """
        begun = filed.begun(self.delivery.window_start)
        over = {one.id for one in begun.values() if self.is_backtest and one.state == "CLOSED"}
        return tuple(
            replace(group, start=begun[group.id].start) if group.id in begun else group
            for group in self._groups
            if group.id not in over
        )

    def _take(self, groups: tuple[Group, ...]) -> None:
        self._groups = groups
        self._news = tuple(group for group in groups if not self._is_history(group))
        # Of events that a former model has told, a crawl says how they end; of a backtest, nothing
        # but its news was ever told.
        self._followed = self._news if self.is_backtest else groups
        self._outbox = Outbox(self._run, self._config, self.delivery, self._followed)

    @property
    def is_backtest(self) -> bool:
        """Whether this delivers the backtest of a model."""
        return self.delivery.base is not None

    def _is_history(self, group: Group) -> bool:
        """Whether it had ended before the model came into force, or began before the first did."""
        live_from = self.delivery.live_from
        since = self.delivery.live_since or live_from
        if live_from is None or since is None:
            return False
        return group.start < since or group.end <= live_from

    def _finish(self) -> None:
        if self.is_backtest:
            detector = self._ledger.detector()
            standing = (detector.model, detector.old_model)
            forget_backtest(self._post.objects, self.delivery, standing)
        self._ledger.delete_delivery(self.delivery)

    def _publish(self) -> None:
        base = self.delivery.base
        if base is None:
            self._publish_scores()
            self._publish_groups()
            return
        self._run.published += publish_backtest(
            self._post.objects, self._config, self.delivery, in_order(self._groups)
        )
        self._ledger.forget_intervals(
            min(self.delivery.live_from or base, base), self._is_of_former_model
        )

    def _is_of_former_model(self, one: Interval) -> bool:
        """Whether the model has learned an interval that was due, or scores it again."""
        delivery = self.delivery
        if one.is_open:
            return one.start < delivery.window_end
        scored_again = delivery.base is not None and one.start >= delivery.base
        return scored_again and one.trained != delivery.trained

    def _publish_scores(self) -> None:
        delivery = self.delivery
        begin = delivery.changed_from or delivery.window_start
        starts = Grid.of(self._config).starts(begin, delivery.window_end)
        self._run.published += publish_intervals(
            self._post.objects,
            {
                start: [layout.scores_from(prefix, start) for prefix in delivery.scored_prefixes]
                for start in starts
            },
        )

    def _publish_groups(self) -> None:
        self._run.keep_lease()
        files = group_files(self._groups, self._config)
        self._post.objects.put_all(files, parquet.CONTENT_TYPE)

    def _stored(self) -> dict[str, GroupItem]:
        """Groups on file by ID, as far back as those of this delivery reach."""
        begin = min((self.delivery.window_start, *(group.start for group in self._groups)))
        found = self._ledger.groups(begin, self.delivery.window_end)
        return {item.group_id: item for item in found}

    def _former(self, stored: Mapping[str, GroupItem]) -> dict[str, tuple[str, ...]]:
        standing = {group.id for group in self._groups}
        # An aborted run of this delivery has made the items of its groups: they precede no others.
        mine = self.delivery.attempt_id
        others = [item for item in stored.values() if item.attempt_id != mine]
        return {
            group.id: former_of(group, stored.get(group.id), others, standing)
            for group in self._groups
        }

    def _decide(self, former: Mapping[str, Sequence[str]], newer: Sequence[Delivery]) -> None:
        self._extend()
        decisions = decide(
            self._alerts,
            [group for group in self._news if not _deferred(group, self.delivery, newer)],
            former=former,
            linked=Linked(self._followed, near(Grid.of(self._config).seconds)),
            decided=self._ledger.alert,
            muted=muting.judge(self._ledger, self._config),
        )
        for one in decisions:
            now = self._run.clock()
            item = _alert_item(
                one, self._alerts[one.alert], self._config, now, self.delivery, self._run.holder
            )
            if not self._ledger.decide_alert(one.before, item, now):
                raise overtaken()
            self._run.suppressed += one.because is not None
            self._run.muted += item.state == "MUTED"

    def _extend(self) -> None:
        """Keep the extent of groups with the decisions on them."""
        for group in self._followed:
            for name in self._alerts:
                item = self._ledger.alert(name, group.id)
                if item is None:
                    continue
                now = item.model_copy(
                    update={
                        "end": max(item.end, group.end),
                        "direction": group.direction,
                        "slices": _slices(group),
                    }
                )
                if now != item:
                    self._ledger.extend_alert(now)

    def _go_on(self, newer: Sequence[Delivery]) -> None:
        """Note what has become of events that were told: how severe they are, and whether they are
        over. Of a backtest, the crawls of its model do.
        """
        if not self.is_backtest:
            groups = [one for one in self._followed if not _deferred(one, self.delivery, newer)]
            self._outbox.go_on(groups, muting.judge(self._ledger, self._config))

    def _retract(self, gone: Sequence[GroupItem]) -> None:
        """Turn the alerts on groups that late rows or another model have undone into retractions
        for whoever was told, unless another group is what has become of the event.

        Of what a new model does not know, only what lasted when it came into force is retracted:
        what had ended long before is over, whoever was right.
        """
        found = dict.fromkeys(self.delivery.retracted)
        for group in gone:
            if self.delivery.base is not None and group.end <= self.delivery.base:
                continue
            if any(is_alike(group, one) for one in self._groups):
                continue
            for name in self._alerts:
                if self._ledger.alert(name, group.group_id) is not None:
                    found[name, group.group_id] = None
        if not found:
            return
        # Noted first: once the groups are deleted, nothing else tells of them.
        self.delivery = self.delivery.model_copy(update={"retracted": tuple(found)})
        self._outbox.delivery = self.delivery
        self._ledger.note_retracted(self.delivery)
        for name, group_id in found:
            self._outbox.retract(name, group_id)

    def _gone(self, stored: Mapping[str, GroupItem]) -> list[GroupItem]:
        """Groups on file of the window that stand no more. The intervals from a new model's base on
        are scored again by crawls, which know.
        """
        standing = {group.id for group in self._groups}
        end = self.delivery.base or self.delivery.window_end
        return [
            item
            for item in stored.values()
            if self.delivery.window_start <= item.start < end and item.group_id not in standing
        ]

    def _keep_groups(
        self,
        former: Mapping[str, tuple[str, ...]],
        stored: Mapping[str, GroupItem],
        *,
        new: bool = False,
    ) -> None:
        """Put the items of all groups, or only of those that are not on file."""
        # New ones first: what they were before is told by the others as they were.
        for group in sorted(self._groups, key=lambda one: one.id in stored):
            if new and group.id in stored:
                continue
            self._run.keep_lease()
            item = GroupItem(
                group_id=group.id,
                measure=group.measure,
                start=group.start,
                end=group.end,
                direction=group.direction,
                slices=_slices(group),
                state=group.state,
                attempt_id=self.delivery.attempt_id,
                former=former[group.id],
            )
            self._ledger.put_group(item, group)

    def _forget_groups(self, gone: Sequence[GroupItem]) -> None:
        for group in gone:
            self._run.keep_lease()
            self._post.objects.delete(
                layout.group_file(kind, group.start, group.group_id) for kind in layout.OF_GROUPS
            )
            self._ledger.delete_group(group)


def _is_new(group: Group, item: GroupItem | None) -> bool:
    """Whether what is on file tells something else of an event."""
    return (
        group.state == "OPEN"
        or item is None
        or (item.state, item.end)
        != (
            group.state,
            group.end,
        )
    )


def _deferred(group: Group, delivery: Delivery, newer: Sequence[Delivery]) -> bool:
    # A newer pending delivery has scored this event with later rows: it decides.
    return any(one.trained == delivery.trained and one.window_start <= group.start for one in newer)


def _alert_item(
    decision: Decision,
    alert: Alert,
    config: Config,
    now: datetime,
    delivery: Delivery,
    holder: str,
) -> AlertItem:
    group = decision.group
    old = (delivery.asof or delivery.window_end) - group.end > _max_age(alert, config)
    # What a mute once held back stays counted as such.
    mute = decision.mute or (decision.before.mute if decision.before is not None else None)
    sending = decision.because is None and decision.mute is None and not old
    in_history = delivery.history_end is not None and group.start < delivery.history_end
    return AlertItem(
        alert=decision.alert,
        group_id=group.id,
        measure=group.measure,
        start=group.start,
        end=group.end,
        direction=group.direction,
        slices=_slices(group),
        since=now,
        expires_at=int((now + KEPT).timestamp()),
        state=_state(decision, old=old),
        because=decision.because,
        again=decision.again,
        linked=decision.linked,
        mute=mute,
        targets=dict.fromkeys(alert.targets, "PENDING") if sending else {},
        holds=standing(config, alert, [group]),
        revision=delivery.revision,
        attempt_id=delivery.attempt_id,
        holder=holder,
        # On time, it would have been found before the intervals that were due.
        late=in_history or group.end <= delivery.due_start,
        tellings=decision.tellings,
    )


def _state(decision: Decision, *, old: bool) -> AlertStatus:
    if old:
        return "OLD"
    if decision.because is not None:
        return "SUPPRESSED"
    return "CLAIMED" if decision.mute is None else "MUTED"


def _max_age(alert: Alert, config: Config) -> timedelta:
    if alert.max_age_days is not None:
        return timedelta(days=alert.max_age_days)
    interval = timedelta(seconds=Grid.of(config).seconds)
    return max(_MAX_AGE, interval * (config.lookback_intervals + 1))


def _slices(group: Group) -> tuple[dict[str, str], ...]:
    return tuple(dict(one) for one in group.slices[:_SLICES])
