"""Adapter of EventBridge Scheduler: reads, disables and enables one schedule."""

from __future__ import annotations

from typing import Any, Final

# What UpdateSchedule takes; it replaces the whole schedule.
_KEPT: Final = (
    "ActionAfterCompletion",
    "Description",
    "EndDate",
    "FlexibleTimeWindow",
    "GroupName",
    "KmsKeyArn",
    "Name",
    "ScheduleExpression",
    "ScheduleExpressionTimezone",
    "StartDate",
    "Target",
)


class Schedule:
    """One schedule.

    Parameters
    ----------
    client : boto3's EventBridge Scheduler client.
    """

    def __init__(self, client: Any, group: str, name: str) -> None:  # noqa: ANN401 boto3 has no types
        self._client = client
        self._group = group
        self._name = name

    def state(self) -> str:
        """ENABLED or DISABLED."""
        return str(self._found()["State"])

    def switch(self, state: str) -> bool:
        """Make it ENABLED or DISABLED; False if it was already."""
        found = self._found()
        if found["State"] == state:
            return False
        kept = {key: found[key] for key in _KEPT if key in found}
        self._client.update_schedule(**kept, State=state)
        return True

    def _found(self) -> dict[str, Any]:
        found: dict[str, Any] = self._client.get_schedule(GroupName=self._group, Name=self._name)
        return found
