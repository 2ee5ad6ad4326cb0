"""Finds the intervals that are due at the scheduled time."""

from __future__ import annotations

from datetime import UTC, datetime

from aws_lambda_powertools.utilities.typing import LambdaContext

from anomaly_detector.handlers._boundary import Event, boundary
from anomaly_detector.handlers._wiring import wiring
from anomaly_detector.intervals import parse_iso
from anomaly_detector.observability import logger
from anomaly_detector.services.crawling import plan_crawl
from anomaly_detector.services.payloads import Moment, Payload


class PlanCrawl(Payload):
    """The event. If `scheduled_time` is missing or an unresolved placeholder of Scheduler, the
    start of the execution is used.
    """

    scheduled_time: str | None = None
    started_at: Moment
    execution: str

    @property
    def moment(self) -> datetime:
        """The time for which intervals are due."""
        if not self.scheduled_time or self.scheduled_time.startswith("<"):
            return self.started_at
        return parse_iso(self.scheduled_time)


@boundary
def handler(event: Event, context: LambdaContext) -> Event:  # noqa: ARG001
    """Return the plan."""
    parts = wiring()
    wanted = PlanCrawl.model_validate(event)
    plan = plan_crawl(parts.store, parts.ledger, wanted.moment, wanted.execution, datetime.now(UTC))
    if plan.held_by is not None:
        logger.info("another crawl is running", extra={"held_by": plan.held_by})
    return plan.answer()
