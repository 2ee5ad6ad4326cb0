"""The adapter of Lambda: asks another function of the detector."""

from __future__ import annotations

import json
from typing import Any, cast

from botocore.exceptions import BotoCoreError, ClientError

from anomaly_detector.errors import PermanentError


class Function:
    """One function.

    Parameters
    ----------
    client : a Lambda client of boto3.
    arn : of the function.
    """

    def __init__(self, client: Any, arn: str) -> None:  # noqa: ANN401 boto3 has no types
        self._client = client
        self._arn = arn

    def ask(self, event: dict[str, Any]) -> dict[str, Any]:
        """Invoke it and return its answer.

        Raises
        ------
        PermanentError
            With the function's own words where it failed, or the reason why it cannot be invoked.
        """
        try:
            answer = self._client.invoke(FunctionName=self._arn, Payload=json.dumps(event))
            body = json.loads(answer["Payload"].read())
        except (ClientError, BotoCoreError) as error:
            raise PermanentError(f"The function {self._arn} cannot be invoked: {error}") from error
        if answer.get("FunctionError"):
            raise PermanentError(str(body.get("errorMessage") or body))
        return cast("dict[str, Any]", body)
