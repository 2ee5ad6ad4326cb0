"""Adapter of Step Functions: starts, lists and stops executions."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

from anomaly_detector import aws_faults


class Executions:
    """Executions of one state machine.

    Parameters
    ----------
    client : boto3's Step Functions client.
    machine : ARN of the state machine.
    """

    def __init__(self, client: Any, machine: str) -> None:  # noqa: ANN401 boto3 has no types
        self._client = client
        self._machine = machine

    def start(self, name: str, value: dict[str, Any]) -> str:
        """Start an execution with this name, unless there is or was one; return its ARN."""
        try:
            answer = self._client.start_execution(
                stateMachineArn=self._machine, name=name, input=json.dumps(value, sort_keys=True)
            )
        except ClientError as error:
            if aws_faults.code(error) != "ExecutionAlreadyExists":
                raise
            return f"{self._machine.replace(':stateMachine:', ':execution:')}:{name}"
        return str(answer["executionArn"])

    def is_running(self, execution: str) -> bool:
        """Whether the execution has not ended; an unknown execution has ended."""
        try:
            answer = self._client.describe_execution(executionArn=execution)
        except ClientError as error:
            if not aws_faults.is_gone(error):
                raise
            return False
        return bool(answer["status"] in ("RUNNING", "PENDING_REDRIVE"))

    def running(self) -> tuple[str, ...]:
        """ARNs of executions that have not ended; none if the state machine does not exist."""
        found = self._client.get_paginator("list_executions")
        try:
            pages = found.paginate(stateMachineArn=self._machine, statusFilter="RUNNING")
            return tuple(each["executionArn"] for page in pages for each in page["executions"])
        except ClientError as error:
            if not aws_faults.is_gone(error):
                raise
            return ()

    def stop(self, execution: str, cause: str) -> None:
        """Stop an execution, unless it has ended."""
        try:
            self._client.stop_execution(executionArn=execution, error="Stopped", cause=cause)
        except ClientError as error:
            # An execution that has ended is refused as not valid.
            if not aws_faults.is_gone(error) and aws_faults.code(error) != "ValidationException":
                raise
