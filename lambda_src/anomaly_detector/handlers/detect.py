"""Scores one part of the detector over an unloaded window."""

from __future__ import annotations

from datetime import UTC, datetime

from aws_lambda_powertools.utilities.typing import LambdaContext

from anomaly_detector.handlers._boundary import Event, boundary
from anomaly_detector.handlers._wiring import wiring
from anomaly_detector.observability import logger
from anomaly_detector.services.crawling import detect
from anomaly_detector.services.payloads import CrawlPlan, LandedFiles, Payload


class Detect(Payload):
    """The event."""

    plan: CrawlPlan
    landed: LandedFiles
    part: int


@boundary
def handler(event: Event, context: LambdaContext) -> Event:  # noqa: ARG001
    """Return the version of the snapshot for the next crawl."""
    parts = wiring()
    wanted = Detect.model_validate(event)
    answer = detect(
        parts.store,
        parts.ledger,
        wanted.plan,
        wanted.landed,
        wanted.part,
        datetime.now(UTC),
    )
    logger.info("scored", extra={"series": answer.series})
    return answer.answer()
