"""Adapter of Secrets Manager: addresses and keys of targets, which no configuration holds."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from anomaly_detector import aws_faults
from anomaly_detector.errors import PermanentError, RetryableError

# A secret that was rotated is known after so many seconds.
_KEPT: Final = 300.0


class Secrets:
    """Secrets in any region, by their ARNs; a warm function keeps them for five minutes.

    Parameters
    ----------
    client : returns boto3's client for `secretsmanager` in a region.
    clock : seconds, ascending.
    """

    def __init__(
        self, client: Callable[[str, str], Any], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._clock = clock
        self._kept: dict[str, tuple[float, dict[str, str]]] = {}

    def read(self, arn: str, only: str) -> dict[str, str]:
        """The texts of a secret by key.

        Parameters
        ----------
        only : the key of a secret that is one text, not a JSON object.

        Raises
        ------
        RetryableError
            If it cannot be read now.
        PermanentError
            If it does not exist, or holds something else.
        """
        now = self._clock()
        found = self._kept.get(arn)
        if found is None or now - found[0] >= _KEPT:
            found = self._kept[arn] = (now, _texts(arn, self._get(arn), only))
        return found[1]

    def _get(self, arn: str) -> str:
        client = self._client("secretsmanager", arn.split(":")[3])
        try:
            return str(client.get_secret_value(SecretId=arn).get("SecretString") or "")
        except ClientError as error:
            kind = RetryableError if aws_faults.is_transient(error) else PermanentError
            raise kind(f"The secret {arn} cannot be read: {error}") from error
        except BotoCoreError as error:
            raise RetryableError(f"The secret {arn} cannot be read: {error}") from error


def _texts(arn: str, text: str, only: str) -> dict[str, str]:
    if not text.strip():
        raise PermanentError(f"The secret {arn} is empty.")
    if not text.lstrip().startswith("{"):
        return {only: text.strip()}
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(one, str) for one in found.values()):
        raise PermanentError(f"The secret {arn} must hold one text, or a JSON object of texts.")
    return found
