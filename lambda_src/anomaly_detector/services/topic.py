"""Adapter of SNS for notifications on the operations topic."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

# Limits of SNS: a subject has at most 100 ASCII characters, a message at most 256 KB.
_SUBJECT = 100
_TEXT = 256 * 1024


class Topic:
    """One SNS topic.

    Parameters
    ----------
    client : boto3's SNS client.
    """

    def __init__(self, client: Any, arn: str) -> None:  # noqa: ANN401 boto3 has no types
        self._client = client
        self._arn = arn

    def publish(self, subject: str, text: str, facts: Mapping[str, object]) -> None:
        """Publish a text for people, followed by the same facts as JSON."""
        line = " ".join(subject.encode("ascii", "replace").decode().split())
        body = f"{text}\n\n{json.dumps(facts, indent=2, ensure_ascii=False)}".encode()
        self._client.publish(
            TopicArn=self._arn,
            Subject=line[:_SUBJECT],
            Message=body[:_TEXT].decode(errors="ignore"),
        )
