"""Reads and writes the detector's records: the only access to the state table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from anomaly_detector.errors import RetryableError
from anomaly_detector.events.group import Group, Related
from anomaly_detector.intervals import iso, parse_iso
from anomaly_detector.ledger.items import (
    ALERT,
    CRAWLING,
    DELIVERING,
    DELIVERY,
    DETECTOR,
    FEEDBACK,
    GROUP,
    INTERVAL,
    MUTE,
    OPEN,
    PARKED,
    RUN,
    SILENCE,
    AlertItem,
    Chunk,
    Delivery,
    Detector,
    FeedbackItem,
    GroupItem,
    Interval,
    MuteItem,
    Run,
    StoredGroup,
    Usage,
    alert_key,
    chunk_key,
    chunk_prefix,
    delivery_key,
    feedback_key,
    group_key,
    interval_key,
    mute_key,
    run_key,
    stopped_key,
    usage_key,
)
from anomaly_detector.ledger.lease import Lease
from anomaly_detector.ledger.table import Item, NotAfter, StateTable, Write
from anomaly_detector.lookout.group import group_item, related_metrics

# A crawl renews its lease with each poll of its statement, once a minute, and at the start of each
# later step; a step takes at most 15 minutes.
_LEASE = timedelta(minutes=20)
# A delivery renews its lease before each step that another run must not repeat, and the longest
# takes seconds.
_DELIVERY_LEASE = timedelta(minutes=1)
# Longer than any request of a stopped execution can be delayed.
_STOPPED_KEPT = timedelta(days=2)
# Writes that follow a concurrent change; that many in a row are not expected.
_ATTEMPTS = 20
# Statements that end at about the same time: at most 40 chunks, and their attempts.
_RECENT = 100
_BILLED = 60_000
# Clocks of two functions may differ by ten seconds; expiry times are in whole seconds.
_CLOCK_SKEW = timedelta(seconds=11)


@dataclass(frozen=True)
class Commit:
    """The writes of one crawl's commit: all of them or none."""

    before: Detector
    after: Detector
    intervals: Sequence[Interval]
    delivery: Delivery


class Ledger:
    """The records of one detector."""

    def __init__(self, table: StateTable) -> None:
        self._table = table
        self._crawl = Lease(table, CRAWLING)
        self._delivering = Lease(table, DELIVERING)

    def detector(self) -> Detector:
        """The detector's item, or a new one if none is stored."""
        item = self._table.get(DETECTOR)
        return Detector() if item is None else Detector.of(item)

    def run(self, config_hash: str) -> Run | None:
        """The latest run of the pipeline for a configuration, or None."""
        item = self._table.get(run_key(config_hash))
        return None if item is None else Run.of(item)

    def run_of(self, execution: str) -> tuple[str, Run] | None:
        """The hash and run of the configuration whose latest run is this execution, or None."""
        for item in self._table.query(RUN):
            run = Run.of(item)
            if run.execution == execution:
                return str(item["sk"]).removeprefix(RUN), run
        return None

    def claim_run(self, config_hash: str, before: Run | None, after: Run) -> bool:
        """Store `after` as the configuration's run and mark the configuration as requested; False
        if another call has stored a run since `before`, or has requested a document that was
        uploaded later.
        """
        unchanged = {
            "attempt": None if before is None else before.attempt,
            "status": None if before is None else before.status,
        }
        wanted: Item = {"wanted_hash": config_hash}
        newest: dict[str, object] = {}
        if after.uploaded_at is not None:
            wanted["wanted_at"] = iso(after.uploaded_at)
            newest["wanted_at"] = NotAfter(iso(after.uploaded_at))
        return self._table.transact(
            [
                Write(run_key(config_hash), after.attributes(), unchanged, fresh=True),
                Write(DETECTOR, wanted, newest),
            ]
        )

    def note_upload(self, config_hash: str, uploaded_at: datetime) -> None:
        """Record that the requested document was uploaded again."""
        wanted_at = {"wanted_at": iso(uploaded_at)}
        self._table.update(DETECTOR, wanted_at, {"wanted_hash": config_hash})

    def mark_started(self, config_hash: str, attempt: int, execution: str) -> None:
        """Record the started execution, unless the run is past STARTING."""
        values = {"status": "RUNNING", "execution": execution}
        self._table.update(run_key(config_hash), values, {"attempt": attempt, "status": "STARTING"})

    def set_run(self, config_hash: str, run: Run) -> None:
        """Update the run of a configuration."""
        self._table.update(run_key(config_hash), run.model_dump(mode="json"))

    def advance_detector(self, before: Detector, after: Detector) -> bool:
        """Replace the detector's fields and increment its revision; False if that has changed."""
        write = _detector_write(before, after)
        return self._table.update(write.sk, write.values, write.only_if)

    def note_failure(self, reason: str) -> None:
        """Set the reason why the latest crawl failed; status and revision stay the same."""
        self._table.update(DETECTOR, {"status_reason": reason})

    def chunks(self, query_hash: str) -> list[Chunk]:
        """Landed chunks of a query, ascending by start."""
        return [Chunk.of(item) for item in self._table.query(chunk_prefix(query_hash))]

    def put_chunk(self, query_hash: str, chunk: Chunk) -> None:
        """Record a landed chunk."""
        key = chunk_key(query_hash, chunk.window_start, chunk.window_end)
        self._table.put(key, chunk.attributes() | {"status": "LANDED"})

    def intervals(self, begin: datetime, end: datetime) -> dict[datetime, Interval]:
        """Stored intervals that start in `[begin, end)`."""
        found = self._table.query(INTERVAL, iso(begin), iso(end))
        items = [Interval.of(item) for item in found]
        return {item.start: item for item in items if item.start < end}

    def usage(self, now: datetime) -> Usage:
        """What the statements of the month have taken so far."""
        item = self._table.get(usage_key(now))
        return Usage() if item is None else Usage.of(item)

    def add_usage(
        self, now: datetime, statement_id: str, milliseconds: int, rows: int = 0, size: int = 0
    ) -> None:
        """Add an ended statement to the month, once however often this is called.

        Raises
        ------
        RetryableError
            If others are changing the item all the time.
        """
        key = usage_key(now)
        for _ in range(_ATTEMPTS):
            item = self._table.get(key)
            before = Usage() if item is None else Usage.of(item)
            if statement_id in before.recent:
                return
            after = Usage(
                statements=before.statements + 1,
                milliseconds=before.milliseconds + milliseconds,
                billed=before.billed + max(milliseconds, _BILLED),
                rows=before.rows + rows,
                bytes=before.bytes + size,
                recent=(*before.recent, statement_id)[-_RECENT:],
            )
            unchanged = {"statements": None if item is None else before.statements}
            if self._table.update(key, after.attributes(), unchanged):
                return
        raise RetryableError("The usage of the month is being changed concurrently.")

    def interval(self, start: datetime) -> Interval | None:
        """The stored interval that starts then, or None."""
        item = self._table.get(interval_key(start))
        return None if item is None else Interval.of(item)

    def silence_told(self, what: str) -> datetime | None:
        """The beginning of the silence of this kind that was reported last, or None."""
        item = self._table.get(f"{SILENCE}{what}")
        return None if item is None else parse_iso(item["since"])

    def note_silence(self, what: str, since: datetime) -> None:
        """Record that the silence of this kind since then was reported."""
        self._table.put(f"{SILENCE}{what}", {"since": iso(since)})

    def mark_intervals(
        self, starts: Iterable[datetime], status: str, **attributes: str | int | None
    ) -> None:
        """Set the status of intervals; committed intervals remain unchanged. Only DUE begins one: a
        late step of a crawl that was superseded creates no item.
        """
        before = (None, *OPEN) if status == "DUE" else OPEN
        for start in starts:
            values = {"start": iso(start), "status": status, **attributes}
            self._table.update(interval_key(start), values, {"status": before})

    def fail_waiting(self, begin: datetime, reason: str, *, due: bool = False) -> None:
        """Set DUE and LANDED intervals that start at or after `begin` to FAILED, or leave them DUE
        with the reason.
        """
        found = [Interval.of(item) for item in self._table.query(INTERVAL, iso(begin), None)]
        waiting = [item.start for item in found if item.status in ("DUE", "LANDED")]
        self.mark_intervals(waiting, "DUE" if due else "FAILED", reason=reason)

    def forget_intervals(self, begin: datetime, gone: Callable[[Interval], bool]) -> None:
        """Delete intervals from `begin` on that another model has learned or will score."""
        found = [Interval.of(item) for item in self._table.query(INTERVAL, iso(begin), None)]
        self._table.delete_all(interval_key(item.start) for item in found if gone(item))

    def commit(self, commit: Commit) -> bool:
        """Write the detector, the intervals and the delivery in one transaction; False if the
        detector has changed since `commit.before`.
        """
        return self._table.transact(
            [
                _detector_write(commit.before, commit.after),
                *(
                    Write(interval_key(one.start), one.attributes(), fresh=True)
                    for one in commit.intervals
                ),
                Write(_delivery_key(commit.delivery), commit.delivery.attributes(), fresh=True),
            ]
        )

    def activate(self, before: Detector, after: Detector, backtest: Delivery | None) -> bool:
        """Write the detector and the delivery of its backtest in one transaction; False if the
        detector has changed since `before`.
        """
        writes = [_detector_write(before, after)]
        if backtest is not None:
            writes.append(Write(_delivery_key(backtest), backtest.attributes(), fresh=True))
        return self._table.transact(writes)

    def group(self, group_id: str) -> StoredGroup | None:
        """The published group of this ID, or None."""
        found = [item for item in self._table.query(GROUP) if item["group_id"] == group_id]
        return StoredGroup.of(found[-1]) if found else None

    def feedback(self) -> list[FeedbackItem]:
        """All answers of people, those that have ended, too, by time."""
        return [FeedbackItem.of(item) for item in self._table.query(FEEDBACK)]

    def put_feedback(self, new: FeedbackItem | None, ended: FeedbackItem | None) -> bool:
        """Store an answer and end another one, in one transaction; False if that was changed
        concurrently, or the new one exists.
        """
        writes = []
        if new is not None:
            writes.append(Write(feedback_key(new.id), new.attributes(), {"id": None}, fresh=True))
        if ended is not None:
            values = {"undone_at": ended.attributes()["undone_at"]}
            writes.append(
                Write(feedback_key(ended.id), values, {"id": ended.id, "undone_at": None})
            )
        return self._table.transact(writes)

    def mute(self, mute: str) -> MuteItem | None:
        """The mute of this ID, or None."""
        item = self._table.get(mute_key(mute))
        return None if item is None else MuteItem.of(item)

    def mutes(self) -> list[MuteItem]:
        """All mutes that are kept, by ID."""
        return [MuteItem.of(item) for item in self._table.query(MUTE)]

    def put_mute(self, before: MuteItem | None, after: MuteItem) -> bool:
        """Create or replace a mute; False if it has changed since `before`."""
        unchanged: dict[str, object] = {"id": None}
        if before is not None:
            kept = before.attributes()
            unchanged = {name: kept.get(name) for name in ("since", "end", "lifted_at", "told")}
        write = Write(mute_key(after.id), after.attributes(), unchanged, fresh=True)
        return self._table.transact([write])

    def put_group(self, item: GroupItem, group: Group) -> None:
        """Create or replace a group's item."""
        key = group_key(group.start, group.id)
        self._table.put(key, item.attributes() | group_item(group))

    def groups(self, begin: datetime, end: datetime | None) -> list[GroupItem]:
        """Groups that start in `[begin, end)`, or at any later time, ascending by start."""
        last = None if end is None else iso(end)
        found = [GroupItem.of(item) for item in self._table.query(GROUP, iso(begin), last)]
        return [item for item in found if end is None or item.start < end]

    def anomaly_groups(
        self, begin: datetime | None = None, end: datetime | None = None
    ) -> list[dict[str, Any]]:
        """Stored groups as Lookout's AnomalyGroup, ascending by start; all of them, or those that
        start in `[begin, end)`, as far as these are given.
        """
        first, last = (None if one is None else iso(one) for one in (begin, end))
        found = self._table.query(GROUP, first, last)
        return [item for item in found if last is None or str(item["StartTime"]) < last]

    def relate_group(self, group: Group, related: Sequence[Related], unexplained: float) -> None:
        """Replace the related events of a stored group."""
        key = group_key(group.start, group.id)
        only_if = {"group_id": group.id}
        self._table.update(key, related_metrics(related, unexplained), only_if)

    def delete_group(self, group: GroupItem) -> None:
        """Delete a group's item, as late rows have removed the group."""
        self._table.delete(group_key(group.start, group.group_id))

    def begin_crawl(self, execution: str, now: datetime) -> str | None:
        """Acquire the crawl lease; None on success, otherwise the execution that holds it.

        The lease of a crashed crawl expires after 20 minutes.
        """
        return self._crawl.take(execution, now, now + _LEASE)

    def renew_crawl(self, execution: str, now: datetime) -> bool:
        """Renew the crawl lease; False if another execution holds it."""
        return self._crawl.renew(execution, now + _LEASE)

    def is_crawling(self, execution: str) -> bool:
        """Whether the crawl lease has not been released."""
        return self._crawl.is_held_by(execution)

    def crawling(self) -> str | None:
        """The execution that has the crawl lease, or None."""
        return self._crawl.holder()

    def end_crawl(self, execution: str) -> None:
        """Release the crawl lease, unless another execution holds it."""
        self._crawl.release(execution)

    def mark_stopped(self, execution: str, now: datetime) -> None:
        """Record that an execution of the statement machine has ended and must submit nothing."""
        expires = int((now + _STOPPED_KEPT).timestamp())
        self._table.put(stopped_key(execution), {"execution": execution, "expires_at": expires})

    def is_stopped(self, execution: str) -> bool:
        """Whether `mark_stopped` was called for the execution."""
        return self._table.get(stopped_key(execution)) is not None

    def begin_delivering(self, holder: str, now: datetime) -> bool:
        """Acquire the delivery lease for a minute; False if another run holds it."""
        return self._delivering.take(holder, now, _delivered_until(now)) is None

    def keep_delivering(self, holder: str, now: datetime) -> bool:
        """Renew the delivery lease; False if another run has taken it over."""
        return self._delivering.renew(holder, _delivered_until(now))

    def end_delivering(self, holder: str) -> None:
        """Release the delivery lease, unless another run holds it."""
        self._delivering.release(holder)

    def deliveries(self) -> list[dict[str, Any]]:
        """Pending deliveries as they are stored, by start of their window."""
        return self._table.query(DELIVERY)

    def backtests(self) -> list[str]:
        """Versions of the models whose backtest is not delivered yet."""
        return [str(item["trained"]) for item in self.deliveries() if "base" in item]

    def mark_published(self, delivery: Delivery) -> None:
        """Record that a delivery's results are published; only its alerts remain."""
        self._table.update(_delivery_key(delivery), {"published": True})

    def note_retracted(self, delivery: Delivery) -> None:
        """Record which alerts a delivery retracts, before their groups are deleted."""
        pairs = [list(pair) for pair in delivery.retracted]
        self._table.update(_delivery_key(delivery), {"retracted": pairs})

    def delete_delivery(self, delivery: Delivery) -> None:
        """Delete a completed delivery."""
        self._table.delete(_delivery_key(delivery))

    def park_delivery(self, stored: Mapping[str, Any]) -> None:
        """Put a delivery aside that cannot be read, as `PARKED#` and its sort key."""
        self._table.put(f"{PARKED}{stored['sk']}", dict(stored))
        self._table.delete(stored["sk"])

    def parked(self) -> list[dict[str, Any]]:
        """Deliveries that were put aside, as they are stored."""
        return self._table.query(PARKED)

    def unpark_deliveries(self) -> int:
        """Put parked deliveries back, so that the next run tries them again; their number."""
        found = self.parked()
        for stored in found:
            self._table.put(str(stored["sk"]).removeprefix(PARKED), stored)
            self._table.delete(stored["sk"])
        return len(found)

    def alert(self, alert: str, group_id: str) -> AlertItem | None:
        """The decision on an alert for a group, or None."""
        item = self._table.get(alert_key(alert, group_id))
        return None if item is None else AlertItem.of(item)

    def alerts_held_back(self, mute: str) -> list[AlertItem]:
        """Decisions on any alert that a mute has held back, by alert and group."""
        return [
            item for one in self._table.query(ALERT) if (item := AlertItem.of(one)).mute == mute
        ]

    def decide_alert(self, before: AlertItem | None, item: AlertItem, now: datetime) -> bool:
        """Store the decision on an alert and renew the delivery lease, which `item.holder` must
        have; False if it has lost the lease, or another decision is stored than `before`, which was
        retracted or muted.
        """
        key = alert_key(item.alert, item.group_id)
        undecided: dict[str, object] = {"alert": None}
        if before is not None:
            undecided = {"state": before.state, "retracted": before.retracted}
        write = Write(key, item.attributes(), undecided, fresh=True)
        return self._table.transact([write, self._renewal(item, now)])

    def claim_alert(self, before: AlertItem, after: AlertItem, now: datetime) -> bool:
        """Update an alert that `after.holder` is about to send, and renew the delivery lease; False
        if another run has updated the alert or has taken over.

        If it remains unknown whether that was done, it is undone before the error is raised: only
        this run knows that nothing was sent.
        """
        try:
            return self._table.transact([_alert_write(before, after), self._renewal(after, now)])
        except (BotoCoreError, ClientError):
            undone = {"targets": before.targets, "state": before.state}
            with suppress(BotoCoreError, ClientError):
                self.mark_alert(after, after.model_copy(update=undone))
            raise

    def extend_alert(self, item: AlertItem) -> None:
        """Update how far the group of a decided alert extends."""
        values = item.model_dump(mode="json", include={"end", "direction", "slices"})
        key = alert_key(item.alert, item.group_id)
        self._table.update(key, values, {"group_id": item.group_id})

    def replace_alert(self, before: AlertItem, after: AlertItem, now: datetime) -> bool:
        """Replace an alert of which there is news and renew the delivery lease, which
        `after.holder` must have; False if another run has updated it or has taken over.
        """
        key = alert_key(after.alert, after.group_id)
        unchanged = {"targets": before.targets, "holder": before.holder}
        write = Write(key, after.attributes(), unchanged, fresh=True)
        return self._table.transact([write, self._renewal(after, now)])

    def mark_alert(self, before: AlertItem, after: AlertItem) -> bool:
        """Update the status of an alert and its targets; False if another run has updated it."""
        write = _alert_write(before, after)
        return self._table.update(write.sk, write.values, write.only_if)

    def _renewal(self, item: AlertItem, now: datetime) -> Write:
        return self._delivering.renewal(str(item.holder), _delivered_until(now))


def _alert_write(before: AlertItem, after: AlertItem) -> Write:
    changing = {"state", "targets", "knows", "waits", "threads", "holder"}
    values = after.model_dump(mode="json", include=changing)
    unchanged = {"targets": before.targets, "holder": before.holder}
    return Write(alert_key(after.alert, after.group_id), values, unchanged)


def _delivered_until(now: datetime) -> datetime:
    return now + _DELIVERY_LEASE + _CLOCK_SKEW


def _delivery_key(delivery: Delivery) -> str:
    return delivery_key(delivery.due_start, delivery.attempt_id)


def _detector_write(before: Detector, after: Detector) -> Write:
    """The conditional write of the detector's item; it fails if the revision has changed."""
    # There is no revision in a new table, or in an item that only reconcile has written.
    known = (None, 0) if before.revision == 0 else before.revision
    values = after.model_copy(update={"revision": before.revision + 1}).model_dump(mode="json")
    # Only reconcile sets the requested configuration, regardless of the revision.
    del values["wanted_hash"], values["wanted_at"]
    return Write(DETECTOR, values, {"revision": known})
