"""Says on the operations topic that nothing is scored any more, or that a document does not come
into force: once each, however often crawls look.

An alarm of CloudWatch says so, too, but neither why nor where intervals are weeks or months, and
this module never gets to say it where no crawl is started any more.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from botocore.exceptions import BotoCoreError, ClientError

from anomaly_detector.config import Config
from anomaly_detector.errors import PermanentError
from anomaly_detector.intervals import Grid, iso
from anomaly_detector.lake.store import ObjectStore
from anomaly_detector.ledger.items import Detector
from anomaly_detector.ledger.ledger import Ledger
from anomaly_detector.services import documents
from anomaly_detector.services.topic import Topic

# Where no document is valid.
_INTERVALS, _SECONDS = 3, 3600
# Loading history and training take their time, however short intervals are.
_LEAST = timedelta(hours=1)


@dataclass(frozen=True)
class Watch:
    """Looks whether the detector is alive.

    `operations` makes the topic, as it is hardly ever needed; `measured` takes the used share of
    the budget at each crawl, if there is one.
    """

    detector_name: str
    store: ObjectStore
    ledger: Ledger
    operations: Callable[[], Topic]
    measured: Callable[[float], None] = lambda _: None

    def scored(
        self, config: Config, watermark: datetime, waiting: int, held_by: str | None
    ) -> None:
        """Report that no interval was scored since `watermark`, if more than
        `silence_intervals` wait, and not only because this is the first crawl after a pause.

        Parameters
        ----------
        waiting : number of due intervals. held_by : another crawl that is at work.
        """
        if waiting <= config.silence_intervals:
            return
        first = self.ledger.interval(watermark)
        reason = None if first is None else first.reason
        if held_by is not None:
            reason = f"The execution {held_by} is still crawling."
        if reason is None:
            return
        self._tell(
            "scored",
            watermark,
            "no interval is scored",
            f"Detector {self.detector_name} has scored no interval since {iso(watermark)}; "
            f"{waiting} are due and will be made up for.",
            reason,
        )

    def spent(self, config: Config, now: datetime) -> str | None:
        """Why crawls pause until the month (UTC) ends, as its budget is spent, or None."""
        usage = self.ledger.usage(now)
        share = config.budget.used(usage.milliseconds, usage.billed)
        if share is None:
            return None
        self.measured(share)
        if share < 1:
            return None
        month = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        after = (month + timedelta(days=32)).replace(day=1)
        reason = (
            f"The month's budget is spent: {usage.statements} statements took "
            f"{usage.milliseconds / 1000:,.0f} seconds in the warehouse. Crawls pause until "
            f"{iso(after)}, unless the budget is raised; then all intervals are made up for."
        )
        self._tell(
            "budget",
            month,
            "the budget is spent",
            f"Detector {self.detector_name} has paused its crawls.",
            reason,
        )
        return reason

    def in_force(self, detector: Detector, now: datetime) -> None:
        """Report that the newest document has not come into force within `silence_intervals`, and
        an hour.
        """
        begun = detector.wanted_at
        if detector.status == "ACTIVE" or begun is None:
            return
        config = self._newest(detector)
        intervals = _INTERVALS if config is None else config.silence_intervals
        if config is None:
            waited = (now - begun).total_seconds() / _SECONDS
        else:
            waited = Grid.of(config).count(Grid.of(config).floor(begun), now)
        if waited <= intervals or now - begun <= _LEAST:
            return
        rest = "and nothing is watched"
        if detector.is_live:
            rest = f"while configuration {detector.config_hash} stays in force"
        self._tell(
            "in force",
            begun,
            f"has not been ACTIVE for {intervals} intervals",
            f"Detector {self.detector_name} has been {detector.status} since the document "
            f"{detector.wanted_hash} was uploaded at {iso(begun)}, {rest}.",
            detector.status_reason or "The pipeline has not ended yet.",
        )

    def _newest(self, detector: Detector) -> Config | None:
        for config_hash in (detector.wanted_hash, detector.config_hash):
            with suppress(PermanentError):
                return documents.load(self.store, str(config_hash))
        return None

    def _tell(
        self,
        what: Literal["scored", "in force", "budget"],
        since: datetime,
        title: str,
        text: str,
        reason: str,
    ) -> None:
        if self.ledger.silence_told(what) == since:
            return
        name = self.detector_name
        facts = {
            "detector": name,
            "event": "DETECTOR_SILENT",
            "since": iso(since),
            "reason": reason,
        }
        # What could not be published is published by the next crawl.
        with suppress(BotoCoreError, ClientError):
            self.operations().publish(f"{name}: {title}", f"{text}\n\nReason: {reason}", facts)
            self.ledger.note_silence(what, since)
