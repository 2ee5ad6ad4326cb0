"""Leases: an item of the state table that one holder has at a time, until it expires."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from anomaly_detector.errors import RetryableError
from anomaly_detector.intervals import iso, parse_iso
from anomaly_detector.ledger.table import StateTable

# Each further look finds what another has changed meanwhile; nobody changes it so often.
_LOOKS: Final = 5


class Lease:
    """The right to do something alone.

    The holder is a name that stays the same when a step is repeated: taking what one has already is
    a success, so a lost reply locks nobody out. Times are UTC and kept to the second.

    Parameters
    ----------
    key : sort key of the item.
    """

    def __init__(self, table: StateTable, key: str) -> None:
        self._table = table
        self._key = key

    def take(self, holder: str, now: datetime, until: datetime) -> str | None:
        """Take or keep the lease until a time; None, or who else has it.

        Raises
        ------
        RetryableError
            Where others change it at the same moment, time and again.
        """
        item = {"holder": holder, "until": iso(until)}
        for _ in range(_LOOKS):
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
        """Keep the lease until a time; False where it is another's, or nobody's."""
        return self._table.update(self._key, {"until": iso(until)}, {"holder": holder})

    def is_held_by(self, holder: str) -> bool:
        """Whether the lease is the holder's, expired or not."""
        held = self._table.get(self._key)
        return held is not None and held["holder"] == holder

    def release(self, holder: str) -> None:
        """Give the lease back, unless it is another's."""
        self._table.delete(self._key, {"holder": holder})
