"""The pages in the bucket: the newest results, and one for each event that an alert leads to."""

from __future__ import annotations

from collections.abc import Sequence, Set
from datetime import datetime, timedelta

from botocore.exceptions import BotoCoreError, ClientError

from anomaly_detector.alerts.words import retracted
from anomaly_detector.errors import PermanentError
from anomaly_detector.intervals import Grid
from anomaly_detector.lake import layout
from anomaly_detector.lake.store import ObjectStore
from anomaly_detector.ledger.items import GroupItem
from anomaly_detector.ledger.ledger import Ledger
from anomaly_detector.observability import logger
from anomaly_detector.report.events import lead
from anomaly_detector.report.page import event_page, page, void_page
from anomaly_detector.services import documents, reporting

# An interval is an object to read, and its rows take memory. Of 5 minutes, so many hold two days
# before an event, and more.
_INTERVALS = 700
_VALUES = 2_000_000
_HTML = "text/html; charset=utf-8"
# Of events that change at once, the most severe have pages of their own.
_PAGES = 20
# What pages cannot do without, as on a day on which nothing is on file yet.
_LACKING = (PermanentError, ClientError, BotoCoreError, ValueError, LookupError, MemoryError)


class StoredPages:
    """Makes pages of what bucket and table hold. What fails is logged: a page is no reason to hold
    back what has been delivered.
    """

    def __init__(self, store: ObjectStore, ledger: Ledger) -> None:
        self._store = store
        self._ledger = ledger

    def refresh(self, changed: Set[str], gone: Sequence[GroupItem], now: datetime) -> None:
        """Write the newest page, those of changed groups, and that others are gone."""
        try:
            self._refresh(changed, gone, now)
        except _LACKING:
            logger.exception("the pages were not refreshed")

    def _refresh(self, changed: Set[str], gone: Sequence[GroupItem], now: datetime) -> None:
        config = documents.in_force(self._store, self._ledger)
        for item in gone:
            if item.measure in config.measures and item.group_id not in changed:
                told = retracted(config, (item.measure,), item.slices, item.start, item.end)
                self._put(layout.event_page(item.group_id), void_page(config, told))
        content = reporting.content(self._store, self._ledger, now, *self._times())
        self._put(layout.PAGE, page(content))
        found = [one for one in content.groups if one.id in changed]
        found.sort(key=lambda one: (one.state != "OPEN", -one.severity, one.id))
        for group in found[:_PAGES]:
            self._put(layout.event_page(group.id), event_page(content, group))

    def _times(self) -> tuple[timedelta, timedelta]:
        """The time that is told of, and the time before that is shown: some hundred intervals
        together, fewer of many series.
        """
        detector = self._ledger.detector()
        config = documents.in_force(self._store, self._ledger)
        grid = Grid.of(config)
        end = detector.watermark
        if end is None:
            raise PermanentError("Nothing has been scored yet.")
        newest = self._ledger.interval(grid.shift(end, -1))
        series = newest.series if newest is not None else None
        count = min(_INTERVALS, max(1, _VALUES // max(1, series or 1)))
        begin = grid.shift(end, -count)
        before = min(lead(config), end - grid.shift(end, -(count // 2)))
        return end - begin - before, before

    def _put(self, key: str, text: str) -> None:
        self._store.put(key, text.encode(), _HTML)
