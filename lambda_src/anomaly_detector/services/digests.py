"""Digests: sent with the first crawl after a day or a week has ended, each once.

A digest is an ALERT item whose group is the period: the item is made by a conditional write, and
its targets are claimed as those of other messages are. Its contents are read from the ledger when
it is sent.
"""

from __future__ import annotations

from anomaly_detector.alerts.decide import is_within
from anomaly_detector.alerts.digest import Contents, Period, newest, of_period
from anomaly_detector.config import Config
from anomaly_detector.events.group import Group
from anomaly_detector.ledger.items import AlertItem, Delivery
from anomaly_detector.lookout.group import group_of
from anomaly_detector.services.outbox import KEPT, Outbox, Run, overtaken


def tell(run: Run, outbox: Outbox, config: Config, delivery: Delivery) -> None:
    """Send the digests that are due at the end of a delivery's window.

    An incident is no place for a digest: PagerDuty gets none.
    """
    since = delivery.live_since or delivery.live_from
    for name, alert in config.alerts.items():
        targets = [one for one in alert.targets if not one.startswith("pagerduty:")]
        if alert.digest is None or not targets:
            continue
        period = newest(config, alert.digest, delivery.window_end)
        if since is not None and period.begin < since:
            continue
        item = run.post.ledger.alert(name, period.name)
        if item is None:
            item = _item(run, name, period, targets, delivery)
            if not run.post.ledger.decide_alert(None, item, run.clock()):
                raise overtaken()
        if outbox.is_left(item):
            contents = _contents(run, config, name, period)
            outbox.send_one(item, of_period(run.post.origin, config, name, period, contents))


def _item(run: Run, name: str, period: Period, targets: list[str], delivery: Delivery) -> AlertItem:
    now = run.clock()
    return AlertItem(
        alert=name,
        group_id=period.name,
        measure="",
        start=period.begin,
        end=period.end,
        slices=(),
        since=now,
        expires_at=int((now + KEPT).timestamp()),
        state="CLAIMED",
        targets=dict.fromkeys(targets, "PENDING"),
        attempt_id=delivery.attempt_id,
        holder=run.holder,
    )


def _contents(run: Run, config: Config, name: str, period: Period) -> Contents:
    ledger, alert = run.post.ledger, config.alerts[name]
    small: list[Group] = []
    muted: list[Group] = []
    for document in ledger.anomaly_groups(period.begin, period.end):
        group = group_of(document)
        # A former configuration may have had other measures.
        if group.measure not in (alert.measures or config.measures):
            continue
        if not any(is_within(one, alert.dimension_filters) for one in group.slices):
            continue
        item = ledger.alert(name, group.id)
        if item is None and group.severity < alert.threshold:
            small.append(group)
        elif item is not None and item.state == "MUTED":
            muted.append(group)
    intervals = ledger.intervals(period.begin, period.end).values()
    return Contents(
        small,
        muted,
        missing=sum(one.status == "MISSING" for one in intervals),
        failed=sum(one.is_open for one in intervals),
    )
