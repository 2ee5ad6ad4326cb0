"""Finds the intervals that are due at the scheduled time."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import partial

from aws_lambda_powertools.utilities.typing import LambdaContext

from anomaly_detector.handlers._boundary import Event, boundary
from anomaly_detector.handlers._wiring import wiring
from anomaly_detector.intervals import parse_iso
from anomaly_detector.observability import logger
from anomaly_detector.services.crawling import plan_crawl
from anomaly_detector.services.payloads import Moment, Payload
from anomaly_detector.services.watching import Watch


class PlanCrawl(Payload):
    """The event."""

    scheduled_time: str | None = None
    started_at: Moment
    execution: str

    def moment(self, now: datetime, tolerance: timedelta) -> datetime:
        """The time for which intervals are due.

        If `scheduled_time` is missing or an unresolved placeholder of Scheduler, it is the start of
        the execution. A time in the future is not believed, because intervals that have not ended
        would count as missing: then it is `now` (UTC).
        """
        if not self.scheduled_time or self.scheduled_time.startswith("<"):
            return self.started_at
        scheduled = parse_iso(self.scheduled_time)
        return scheduled if scheduled <= now + tolerance else now


def _measured(detector: str, share: float) -> None:
    """Log the used share of the budget as CloudWatch's embedded metric format reads it: a metric
    of its own, without a call.
    """
    metric = {
        "Namespace": "AnomalyDetector",
        "Dimensions": [["Detector"]],
        "Metrics": [{"Name": "BudgetUsed", "Unit": "Percent"}],
    }
    embedded = {
        "_aws": {"Timestamp": round(time.time() * 1000), "CloudWatchMetrics": [metric]},
        "Detector": detector,
        "BudgetUsed": round(share * 100, 2),
    }
    logger.info("budget", extra=embedded)


@boundary
def handler(event: Event, context: LambdaContext) -> Event:  # noqa: ARG001
    """Return the plan."""
    parts = wiring()
    wanted = PlanCrawl.model_validate(event)
    now = datetime.now(UTC)
    moment = wanted.moment(now, timedelta(seconds=parts.settings.clock_tolerance_seconds))
    if moment == now:
        logger.warning("scheduled in the future", extra={"scheduled_time": wanted.scheduled_time})
    name = parts.settings.detector_name
    watch = Watch(
        name, parts.store, parts.ledger, lambda: parts.operations, partial(_measured, name)
    )
    plan = plan_crawl(parts.store, parts.ledger, watch, moment, wanted.execution, now)
    if plan.held_by is not None:
        logger.info("another crawl is running", extra={"held_by": plan.held_by})
    return plan.answer()
