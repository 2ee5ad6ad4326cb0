"""Reads and writes the detector's records: the only access to the state table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from anomaly_detector.events.group import Group
from anomaly_detector.intervals import iso
from anomaly_detector.ledger.items import (
    CRAWLING,
    DELIVERING,
    DELIVERY,
    DETECTOR,
    GROUP,
    INTERVAL,
    RUN,
    AlertItem,
    AlertStatus,
    Chunk,
    Delivery,
    Detector,
    GroupItem,
    Interval,
    Run,
    TargetStatus,
    alert_key,
    chunk_key,
    chunk_prefix,
    delivery_key,
    group_key,
    interval_key,
    run_key,
    stopped_key,
)
from anomaly_detector.ledger.lease import Lease
from anomaly_detector.ledger.table import StateTable, Write
from anomaly_detector.lookout.group import group_item

# What a crawl that has not committed may still change.
_OPEN = (None, "DUE", "LANDED", "FAILED")
# A crawl renews its lease with every look at its statement, once a minute, and at the start of each
# further step; a step takes 15 minutes at most.
_LEASE = timedelta(minutes=20)
# An execution that has ended submits nothing any more after this time.
_STOPPED_KEPT = timedelta(days=2)
# The clocks of two functions may differ by ten seconds; leases are kept to the second.
_CLOCK_SKEW = timedelta(seconds=11)


@dataclass(frozen=True)
class Commit:
    """All that one crawl changes, written together or not at all."""

    before: Detector
    after: Detector
    intervals: Sequence[Interval]
    delivery: Delivery


class Ledger:
    """The detector's memory in one table."""

    def __init__(self, table: StateTable) -> None:
        self._table = table
        self._crawl = Lease(table, CRAWLING)
        self._delivering = Lease(table, DELIVERING)

    def detector(self) -> Detector:
        """The detector; a new one where none is stored."""
        item = self._table.get(DETECTOR)
        return Detector() if item is None else Detector.of(item)

    def run(self, config_hash: str) -> Run | None:
        """The newest attempt to bring a document into force."""
        item = self._table.get(run_key(config_hash))
        return None if item is None else Run.of(item)

    def run_of(self, execution: str) -> tuple[str, Run] | None:
        """The document whose newest run is this execution of the pipeline, and the run."""
        for item in self._table.query(RUN):
            run = Run.of(item)
            if run.execution == execution:
                return str(item["sk"]).removeprefix(RUN), run
        return None

    def claim_run(self, config_hash: str, before: Run | None, after: Run) -> bool:
        """Make `after` the document's run and the document the wanted one; False where another
        did.
        """
        unchanged = {"attempt": None if before is None else before.attempt}
        return self._table.transact(
            [
                Write(run_key(config_hash), after.attributes(), unchanged, fresh=True),
                Write(DETECTOR, {"wanted_hash": config_hash}),
            ]
        )

    def mark_started(self, config_hash: str, attempt: int, execution: str) -> None:
        """Note that the execution exists, unless it has itself gone further already."""
        values = {"status": "RUNNING", "execution": execution}
        self._table.update(run_key(config_hash), values, {"attempt": attempt, "status": "STARTING"})

    def set_run(self, config_hash: str, run: Run) -> None:
        """Note how far a document's run has come."""
        self._table.update(run_key(config_hash), run.model_dump(mode="json"))

    def advance_detector(self, before: Detector, after: Detector) -> bool:
        """Replace the detector's fields, unless its version has moved; the version grows by one."""
        write = _detector_write(before, after)
        return self._table.update(write.sk, write.values, write.only_if)

    def note_failure(self, reason: str) -> None:
        """Keep status and version, and say why the newest crawl failed."""
        self._table.update(DETECTOR, {"status_reason": reason})

    def chunks(self, query_hash: str) -> list[Chunk]:
        """Landed chunks of a query, ascending by start."""
        return [Chunk.of(item) for item in self._table.query(chunk_prefix(query_hash))]

    def put_chunk(self, query_hash: str, chunk: Chunk) -> None:
        """Note that a chunk has landed."""
        key = chunk_key(query_hash, chunk.window_start, chunk.window_end)
        self._table.put(key, chunk.attributes() | {"status": "LANDED"})

    def intervals(self, begin: datetime, end: datetime) -> dict[datetime, Interval]:
        """Intervals on file that start in `[begin, end)`."""
        found = self._table.query(INTERVAL, iso(begin), iso(end))
        items = [Interval.of(item) for item in found]
        return {item.start: item for item in items if item.start < end}

    def mark_intervals(
        self, starts: Iterable[datetime], status: str, **attributes: str | int | None
    ) -> None:
        """Set the status of intervals that are not committed; the others stay as they are."""
        for start in starts:
            values = {"start": iso(start), "status": status, **attributes}
            self._table.update(interval_key(start), values, {"status": _OPEN})

    def fail_waiting(self, begin: datetime, reason: str) -> None:
        """Mark FAILED what starts at or after `begin` and is due or landed."""
        found = [Interval.of(item) for item in self._table.query(INTERVAL, iso(begin), None)]
        waiting = [item.start for item in found if item.status in ("DUE", "LANDED")]
        self.mark_intervals(waiting, "FAILED", reason=reason)

    def commit(self, commit: Commit) -> bool:
        """Move pointer and watermark, the intervals and the outbox together; False for the
        loser.
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

    def forget_groups(self, begin: datetime) -> None:
        """Drop groups that start at or after `begin`; claims of alerts stay, so that none is sent
        again.
        """
        found = self._table.query(GROUP, iso(begin), None)
        self._table.delete_all(item["sk"] for item in found)

    def put_group(self, group: Group, attempt: str) -> None:
        """Store a group as it now is."""
        item = GroupItem(
            group_id=group.id,
            measure=group.measure,
            start=group.start,
            end=group.end,
            attempt_id=attempt,
        )
        key = group_key(group.start, group.id)
        self._table.put(key, item.attributes() | group_item(group))

    def groups(self, begin: datetime, end: datetime) -> list[GroupItem]:
        """Groups that start in `[begin, end)`, ascending by start."""
        found = [GroupItem.of(item) for item in self._table.query(GROUP, iso(begin), iso(end))]
        return [item for item in found if item.start < end]

    def delete_group(self, group: GroupItem) -> None:
        """Delete a group that late rows have undone."""
        self._table.delete(group_key(group.start, group.group_id))

    def forget_intervals(self, begin: datetime) -> None:
        """Drop intervals that start at or after `begin`, which a new model is going to score
        again.
        """
        found = self._table.query(INTERVAL, iso(begin), None)
        self._table.delete_all(item["sk"] for item in found)

    def begin_crawl(self, execution: str, now: datetime) -> str | None:
        """Take the lease under which one execution crawls; None, or the execution that has it.

        A crawl that died keeps it for 20 minutes at most.
        """
        return self._crawl.take(execution, now, now + _LEASE)

    def renew_crawl(self, execution: str, now: datetime) -> bool:
        """Keep the lease; False where another execution has taken over."""
        return self._crawl.renew(execution, now + _LEASE)

    def is_crawling(self, execution: str) -> bool:
        """Whether an execution has taken the lease and not given it back."""
        return self._crawl.is_held_by(execution)

    def end_crawl(self, execution: str) -> None:
        """Give the lease back, unless another execution has taken over."""
        self._crawl.release(execution)

    def mark_stopped(self, execution: str, now: datetime) -> None:
        """Note that an execution of the statement machine has ended: it may submit no more."""
        expires = int((now + _STOPPED_KEPT).timestamp())
        self._table.put(stopped_key(execution), {"execution": execution, "expires_at": expires})

    def is_stopped(self, execution: str) -> bool:
        """Whether `mark_stopped` was called."""
        return self._table.get(stopped_key(execution)) is not None

    def begin_delivering(self, holder: str, now: datetime, lease: timedelta) -> bool:
        """Take the lease under which one run delivers; False where another run has it."""
        return self._delivering.take(holder, now, now + lease + _CLOCK_SKEW) is None

    def end_delivering(self, holder: str) -> None:
        """Give the lease back, unless another run has taken over."""
        self._delivering.release(holder)

    def deliveries(self) -> list[Delivery]:
        """Pending deliveries, the oldest window first."""
        return [Delivery.of(item) for item in self._table.query(DELIVERY)]

    def mark_published(self, delivery: Delivery) -> None:
        """Note that only alerts of a delivery are left to be sent."""
        self._table.update(_delivery_key(delivery), {"published": True})

    def delete_delivery(self, delivery: Delivery) -> None:
        """Delete a delivery of which nothing is left to be done."""
        self._table.delete(_delivery_key(delivery))

    def alert(self, alert: str, group_id: str) -> AlertItem | None:
        """What was decided about an alert for a group; None where nothing was."""
        item = self._table.get(alert_key(alert, group_id))
        return None if item is None else AlertItem.of(item)

    def decide_alert(self, item: AlertItem) -> bool:
        """Store a decision; False where one is stored already."""
        return self._table.put_new(alert_key(item.alert, item.group_id), item.attributes())

    def mark_alert(
        self, item: AlertItem, state: AlertStatus, targets: Mapping[str, TargetStatus]
    ) -> AlertItem | None:
        """Set an alert's status and that of its targets; None where another run did meanwhile."""
        key = alert_key(item.alert, item.group_id)
        values = {"targets": dict(targets), "state": state}
        if not self._table.update(key, values, {"targets": item.targets}):
            return None
        return item.model_copy(update=values)


def _delivery_key(delivery: Delivery) -> str:
    return delivery_key(delivery.due_start, delivery.attempt_id)


def _detector_write(before: Detector, after: Detector) -> Write:
    """The write that moves the detector on, unless its version has moved."""
    # A table without the detector's item, and an item that only reconcile has touched, hold no
    # version.
    known = (None, 0) if before.revision == 0 else before.revision
    values = after.model_copy(update={"revision": before.revision + 1}).model_dump(mode="json")
    # Only reconcile says which document is wanted, at any time and without regard to the version.
    del values["wanted_hash"]
    return Write(DETECTOR, values, {"revision": known})
