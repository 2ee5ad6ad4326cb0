"""Leases: items of the state table that have one holder at a time, until they expire."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from anomaly_detector.errors import RetryableError
from anomaly_detector.intervals import iso, parse_iso
from anomaly_detector.ledger.table import StateTable, Write

# Each retry follows a concurrent change of the item; that many in a row are not expected.
_ATTEMPTS: Final = 5


class Lease:
    """An exclusive, expiring right.

    The holder's name is the same when a step is retried: acquiring a lease that one already holds
    succeeds, so a lost response blocks nobody. Times are UTC, in whole seconds.

    Parameters
    ----------
    key : sort key of the item.
    """

    def __init__(self, table: StateTable, key: str) -> None:
        self._table = table
        self._key = key

    def take(self, holder: str, now: datetime, until: datetime) -> str | None:
        """Acquire or extend the lease until a time; None on success, otherwise the holder.

        Raises
        ------
        RetryableError
            If the item is changed concurrently several times in a row.
        """
        item = {"holder": holder, "until": iso(until)}
        for _ in range(_ATTEMPTS):
            if self._table.put_new(self._key, item):
                return None
            held = self._table.get(self._key)
            if held is None:
                continue
            if held["holder"] != holder and parse_iso(held["until"]) > now:
                return str(held["holder"])
            seen = {"holder": held["holder"], "until": held["until"]}
            if self._table.update(self._key, item, seen):
                return None
        raise RetryableError(f"The lease {self._key} is being changed concurrently.")

    def renew(self, holder: str, until: datetime) -> bool:
        """Extend the lease until a time; False if this holder does not have it."""
        write = self.renewal(holder, until)
        return self._table.update(write.sk, write.values, write.only_if)

    def renewal(self, holder: str, until: datetime) -> Write:
        """The write that extends the lease, for a transaction that must not outlive it."""
        return Write(self._key, {"until": iso(until)}, {"holder": holder})

    def is_held_by(self, holder: str) -> bool:
        """Whether the lease is the holder's, expired or not."""
        return self.holder() == holder

    def holder(self) -> str | None:
        """Who has the lease, expired or not."""
        held = self._table.get(self._key)
        return None if held is None else str(held["holder"])

    def release(self, holder: str) -> None:
        """Release the lease, if this holder has it."""
        self._table.delete(self._key, {"holder": holder})
