"""Adapter that sends alerts to SNS topics and Lambda functions."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from botocore.config import Config as ClientConfig
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    ParamValidationError,
)

from anomaly_detector import aws_faults
from anomaly_detector.alerts.message import Message
from anomaly_detector.errors import PermanentError, RetryableError

# A retry by the client could send twice, because a lost response looks like a lost request.
SEND_ONCE = ClientConfig(
    retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20, user_agent_extra="alerts"
)


class UncertainError(Exception):
    """It is unknown whether the service accepted the message, so sending again might send twice."""


class Targets:
    """SNS topics and Lambda functions in any region, distinguished by their ARNs.

    Parameters
    ----------
    client : returns boto3's client for `sns` or `lambda` in a region, created with `SEND_ONCE`. A
        client reaches functions and topics in its own region only.
    """

    def __init__(self, client: Callable[[str, str], Any]) -> None:
        self._client = client

    def send(self, arn: str, message: Message) -> None:
        """Send once.

        Raises
        ------
        RetryableError
            If nothing was sent, and the same call may succeed later.
        PermanentError
            If nothing was sent; the target does not exist or does not accept the message.
        UncertainError
            If the message may have been sent.
        """
        _, _, service, region, *_ = [*arn.split(":"), "", "", "", ""]
        if service not in ("sns", "lambda") or not region:
            raise PermanentError(
                f"'{arn}' is not the ARN of an SNS topic or a Lambda function: correct alerts."
            )
        client = self._client(service, region)
        try:
            if service == "sns":
                client.publish(
                    TopicArn=arn,
                    Subject=message.subject,
                    Message=_by_protocol(message),
                    MessageStructure="json",
                    **(_fifo(message) if arn.endswith(".fifo") else {}),
                )
            else:
                client.invoke(
                    FunctionName=arn, InvocationType="Event", Payload=message.body.encode()
                )
        except (ConnectTimeoutError, EndpointConnectionError, NoCredentialsError) as error:
            raise RetryableError(f"{arn}: {error}") from error
        except ParamValidationError as error:
            raise PermanentError(f"{arn}: {error}") from error
        except ClientError as error:
            raise _classified(arn, error) from error
        except BotoCoreError as error:
            raise UncertainError(f"{arn}: {error}") from error


def _by_protocol(message: Message) -> str:
    """What each protocol delivers; those that are not named get the JSON."""
    found = {"default": message.body, "email": message.text, "sms": message.short}
    return json.dumps(found, ensure_ascii=False)


def _fifo(message: Message) -> dict[str, str]:
    # A FIFO topic delivers the events of an alert in order, and drops duplicates within five
    # minutes. IDs are limited to 128 characters, and not all characters of an ARN are allowed.
    alert = message.event.partition(":event/")[0].partition(":digest/")[0]
    return {
        "MessageGroupId": hashlib.sha256(alert.encode()).hexdigest(),
        "MessageDeduplicationId": hashlib.sha256(message.id.encode()).hexdigest(),
    }


def _classified(arn: str, error: ClientError) -> Exception:
    text = f"{arn}: {error}"
    if aws_faults.is_refused_for_now(error):
        return RetryableError(text)
    return UncertainError(text) if aws_faults.is_uncertain(error) else PermanentError(text)
