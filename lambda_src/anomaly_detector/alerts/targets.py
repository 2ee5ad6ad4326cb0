"""Adapters that send a message to a target: SNS, Lambda, an event bus, or a service on the web."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any, Final

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
from anomaly_detector.alerts import forms
from anomaly_detector.alerts.https import Https, UncertainError
from anomaly_detector.alerts.message import Message
from anomaly_detector.alerts.secrets import Secrets
from anomaly_detector.config import WEB_TARGETS
from anomaly_detector.errors import PermanentError, RetryableError

# A retry by the client could send twice, because a lost response looks like a lost request.
SEND_ONCE = ClientConfig(
    retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=20, user_agent_extra="alerts"
)
SLACK_API: Final = "https://slack.com/api/chat.postMessage"
PAGERDUTY_API: Final = "https://events.pagerduty.com/v2/enqueue"
EVENT_SOURCE: Final = "anomaly-detector"
# Errors of Slack's API that pass.
_PASSING: Final = frozenset(
    {"ratelimited", "rate_limited", "service_unavailable", "internal_error", "fatal_error"}
)


class Targets:
    """Every kind of target, distinguished by its name: an ARN, or the ARN of a secret behind the
    kind of a service on the web (`slack:arn:…`).

    Parameters
    ----------
    client : returns boto3's client for a service in a region, created with `SEND_ONCE`. A client
        reaches what is in its own region only.
    secrets, web : adapters of Secrets Manager and HTTPS.
    clock : returns seconds since 1970, which a webhook's signature names.
    """

    def __init__(
        self,
        client: Callable[[str, str], Any],
        secrets: Secrets,
        web: Https,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._secrets = secrets
        self._web = web
        self._clock = clock

    def send(self, target: str, message: Message) -> str | None:
        """Send once; returns what a later message in the same thread has to name, if anything.

        Raises
        ------
        RetryableError
            If nothing was sent, and the same call may succeed later.
        PermanentError
            If nothing was sent; the target does not exist or does not accept the message.
        UncertainError
            If the message may have been sent.
        """
        kind, _, secret = target.partition(":")
        if kind in WEB_TARGETS:
            return self._post(kind, secret, message)
        _, _, service, region, *_ = [*target.split(":"), "", "", "", ""]
        if service not in ("sns", "lambda", "events") or not region:
            raise PermanentError(
                f"'{target}' is not the ARN of an SNS topic, a Lambda function or an event bus: "
                "correct alerts."
            )
        client = self._client(service, region)
        try:
            _call(client, service, target, message)
        except (ConnectTimeoutError, EndpointConnectionError, NoCredentialsError) as error:
            raise RetryableError(f"{target}: {error}") from error
        except ParamValidationError as error:
            raise PermanentError(f"{target}: {error}") from error
        except ClientError as error:
            raise _classified(target, error) from error
        except BotoCoreError as error:
            raise UncertainError(f"{target}: {error}") from error
        return None

    def _post(self, kind: str, arn: str, message: Message) -> str | None:
        if kind == "slack":
            return self._slack(arn, message)
        if kind == "teams":
            self._web.post(self._url(arn), _json(forms.teams(message)), {})
        elif kind == "pagerduty":
            held = self._secrets.read(arn, "routing_key")
            event = forms.pagerduty(message, _held(held, arn, "routing_key"))
            # It knows an event that it gets again by its key.
            self._web.post(held.get("url", PAGERDUTY_API), _json(event), {}, repeatable=True)
        else:
            held = self._secrets.read(arn, "url")
            url, key = _held(held, arn, "url"), _held(held, arn, "key")
            body, now = _json(forms.webhook(message)), str(int(self._clock()))
            headers = {
                "X-Anomaly-Id": hashlib.sha256(message.id.encode()).hexdigest(),
                "X-Anomaly-Timestamp": now,
                "X-Anomaly-Signature": f"sha256={signature(key, now, body)}",
            }
            self._web.post(url, body, headers)
        return None

    def _slack(self, arn: str, message: Message) -> str | None:
        held = self._secrets.read(arn, "url")
        body = forms.slack(message)
        if "token" not in held:
            self._web.post(_held(held, arn, "url"), _json(body), {})
            return None
        # An incoming webhook does not say which message it has made; with a token, later ones are
        # its thread.
        body["channel"] = _held(held, arn, "channel")
        if message.thread is not None:
            body |= {"thread_ts": message.thread, "reply_broadcast": message.state == "ONGOING"}
        answer = self._web.post(
            held.get("url", SLACK_API),
            _json(body),
            {
                "Authorization": f"Bearer {held['token']}",
                "Content-Type": "application/json; charset=utf-8",
            },
        )
        try:
            said = json.loads(answer.body)
        except ValueError:
            raise UncertainError("Slack has answered something else than JSON.") from None
        if said.get("ok"):
            return str(said["ts"]) if "ts" in said else None
        reason = str(said.get("error", "unknown"))
        raise (RetryableError if reason in _PASSING else PermanentError)(f"Slack: {reason}")

    def _url(self, arn: str) -> str:
        return _held(self._secrets.read(arn, "url"), arn, "url")


def signature(key: str, timestamp: str, body: bytes) -> str:
    """HMAC-SHA256 of `<timestamp>.<body>` as hex digits, by which a webhook's receiver knows who
    has sent it, and when.
    """
    return hmac.new(key.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


def _call(client: Any, service: str, target: str, message: Message) -> None:  # noqa: ANN401 boto3 has no types
    if service == "sns":
        client.publish(
            TopicArn=target,
            Subject=message.subject,
            Message=_by_protocol(message),
            MessageStructure="json",
            MessageAttributes={
                "state": {"DataType": "String", "StringValue": message.state},
                "severity_class": {"DataType": "String", "StringValue": message.severity_class},
            },
            **(_fifo(message) if target.endswith(".fifo") else {}),
        )
    elif service == "lambda":
        client.invoke(FunctionName=target, InvocationType="Event", Payload=message.body.encode())
    else:
        entry = {
            "Source": EVENT_SOURCE,
            "DetailType": forms.event_type(message),
            "Detail": _json(forms.webhook(message)).decode(),
            "EventBusName": target,
            "Resources": [message.event.partition(":alert/")[0]],
        }
        answer = client.put_events(Entries=[entry])
        if answer.get("FailedEntryCount"):
            (failed,) = answer["Entries"]
            text = f"{target}: {failed.get('ErrorCode')}: {failed.get('ErrorMessage')}"
            passing = failed.get("ErrorCode") in ("ThrottlingException", "InternalFailure")
            raise (RetryableError if passing else PermanentError)(text)


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


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode()


def _held(held: dict[str, str], arn: str, key: str) -> str:
    if not held.get(key):
        raise PermanentError(f"The secret {arn} must hold '{key}'; see docs/alerts.md.")
    return held[key]


def _classified(target: str, error: ClientError) -> Exception:
    text = f"{target}: {error}"
    if aws_faults.is_refused_for_now(error):
        return RetryableError(text)
    return UncertainError(text) if aws_faults.is_uncertain(error) else PermanentError(text)
