"""The adapters that send alerts: an SNS topic, a Lambda function, and the operations topic."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
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
from anomaly_detector.errors import PermanentError, RetryableError

# A retry inside the client could send twice, for an answer that is lost looks like a call that is.
SEND_ONCE = ClientConfig(
    retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20, user_agent_extra="alerts"
)


class UncertainError(Exception):
    """The service did not say whether it took the message, so sending again might send twice."""


@dataclass(frozen=True)
class Message:
    """What goes to a target: the payload as JSON, and a subject where the target shows one.

    `event_id` is Lookout's `alertEventId`: `<ARN of the alert>:event/<id of the group>`. A FIFO
    topic keeps the events of one alert in order, and drops one that it got within five minutes.
    """

    subject: str
    body: str
    event_id: str


class Targets:
    """SNS topics and Lambda functions of any region, told apart by their ARNs.

    Parameters
    ----------
    client : gives boto3's client for `sns` or `lambda` in a region, made with `SEND_ONCE`. A client
        of one region reaches no function or topic of another.
    """

    def __init__(self, client: Callable[[str, str], Any]) -> None:
        self._client = client

    def send(self, arn: str, message: Message) -> None:
        """Send once.

        Raises
        ------
        RetryableError
            Nothing was sent; the same call may succeed later.
        PermanentError
            Nothing was sent; the target does not exist or does not take the message.
        UncertainError
            It may have been sent.
        """
        _, _, service, region, *_ = [*arn.split(":"), "", "", "", ""]
        if service not in ("sns", "lambda") or not region:
            raise PermanentError(f"'{arn}' is neither an SNS topic nor a Lambda function.")
        client = self._client(service, region)
        try:
            if service == "sns":
                client.publish(
                    TopicArn=arn,
                    Subject=message.subject,
                    Message=message.body,
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


def _fifo(message: Message) -> dict[str, str]:
    # At most 128 characters of which not all may stand in an ARN's last part.
    alert, _, _ = message.event_id.rpartition(":event/")
    return {
        "MessageGroupId": hashlib.sha256(alert.encode()).hexdigest(),
        "MessageDeduplicationId": hashlib.sha256(message.event_id.encode()).hexdigest(),
    }


def _classified(arn: str, error: ClientError) -> Exception:
    text = f"{arn}: {error}"
    if aws_faults.is_refused_for_now(error):
        return RetryableError(text)
    return UncertainError(text) if aws_faults.is_uncertain(error) else PermanentError(text)
