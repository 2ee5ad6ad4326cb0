"""Publishes committed results and sends alerts."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from aws_lambda_powertools.utilities.typing import LambdaContext

from anomaly_detector.handlers._boundary import Event, boundary
from anomaly_detector.handlers._wiring import wiring
from anomaly_detector.lookout.payload import Origin
from anomaly_detector.observability import logger
from anomaly_detector.services.delivery import deliver
from anomaly_detector.services.outbox import Post
from anomaly_detector.services.pages import StoredPages


@boundary
def handler(event: Event, context: LambdaContext) -> Event:  # noqa: ARG001 what is pending is in the table
    """Return the number of messages sent and intervals published."""
    aws = wiring()
    settings = aws.settings
    post = Post(
        detector_name=settings.detector_name,
        ledger=aws.ledger,
        objects=aws.store,
        targets=aws.targets,
        origin=Origin(settings.crawl_arn, settings.bucket_name),
        operations=aws.operations,
        pages=StoredPages(aws.store, aws.ledger) if settings.pages else None,
    )
    done = deliver(
        post,
        clock=lambda: datetime.now(UTC),
        holder=context.aws_request_id,
        sleep=time.sleep,
    )
    logger.info(
        "left to another run" if done.left else "delivered",
        extra={
            "alerts_sent": done.sent,
            "alerts_suppressed": done.suppressed,
            "alerts_muted": done.muted,
            "alerts_reported": done.reported,
            "intervals_published": done.published,
        },
    )
    return {"sent": done.sent, "published": done.published}
