"""Commits a crawl: watermark, model, intervals and outbox."""

from __future__ import annotations

from datetime import UTC, datetime

from aws_lambda_powertools.utilities.typing import LambdaContext

from anomaly_detector.handlers._boundary import Event, boundary
from anomaly_detector.handlers._wiring import wiring
from anomaly_detector.observability import logger
from anomaly_detector.services.committing import commit
from anomaly_detector.services.payloads import (
    Committed,
    CrawlPlan,
    Detected,
    LandedFiles,
    Payload,
)


class Commit(Payload):
    """The event."""

    plan: CrawlPlan
    landed: LandedFiles
    parts: tuple[Detected, ...]


@boundary
def handler(event: Event, context: LambdaContext) -> Event:  # noqa: ARG001
    """Return whether this crawl committed, and the number of groups that overlap its window."""
    aws = wiring()
    wanted = Commit.model_validate(event)
    outcome = commit(
        aws.store, aws.ledger, wanted.plan, wanted.landed, wanted.parts, datetime.now(UTC)
    )
    logger.info(
        "committed" if outcome.committed else "superseded by another crawl",
        extra={
            "intervals_scored": outcome.scored,
            "intervals_missing": outcome.missing,
            "intervals_revised": outcome.revised,
            "anomalous_series": outcome.anomalous,
            "groups_open": outcome.open_groups,
            "rows_read": outcome.rows,
        },
    )
    return Committed(committed=outcome.committed, groups=outcome.groups).answer()
