"""Adapter of Lambda: invokes another function of the detector."""

from __future__ import annotations

import json
from typing import Any, cast

from botocore.exceptions import BotoCoreError, ClientError

from anomaly_detector import aws_faults
from anomaly_detector.errors import PermanentError, RetryableError


class Function:
    """One function.

    Parameters
    ----------
    client : boto3's Lambda client.
    arn : ARN of the function.
    """

    def __init__(self, client: Any, arn: str) -> None:  # noqa: ANN401 boto3 has no types
        self._client = client
        self._arn = arn

    def ask(self, event: dict[str, Any]) -> dict[str, Any]:
        """Invoke the function and return its response.

        Raises
        ------
        RetryableError
            With the function's error message, or why it could not be invoked, if the error is
            transient.
        PermanentError
            The same, if the error is permanent.
        """
        try:
            answer = self._client.invoke(FunctionName=self._arn, Payload=json.dumps(event))
            body = json.loads(answer["Payload"].read())
        except ClientError as error:
            passing = aws_faults.is_transient(error)
            raise _error(f"The function {self._arn} cannot be invoked: {error}", passing) from error
        except BotoCoreError as error:
            raise _error(f"The function {self._arn} cannot be reached: {error}", True) from error
        if answer.get("FunctionError"):
            # All else than our own word for it may pass: the time was over, the process ended.
            passing = body.get("errorType") != PermanentError.__name__
            raise _error(str(body.get("errorMessage") or body), passing)
        return cast("dict[str, Any]", body)


def _error(text: str, passing: bool) -> RetryableError | PermanentError:  # noqa: FBT001
    return RetryableError(text) if passing else PermanentError(text)
