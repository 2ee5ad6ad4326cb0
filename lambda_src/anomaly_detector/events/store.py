"""Groups as JSON, whole: what a commit leaves for delivery."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ConfigDict, TypeAdapter

from anomaly_detector.events.group import Group

# A missing value is NaN, which JSON has no number for.
_GROUPS = TypeAdapter(tuple[Group, ...], config=ConfigDict(ser_json_inf_nan="strings"))


def groups_to_bytes(groups: Sequence[Group]) -> bytes:
    """Groups with all their points."""
    return _GROUPS.dump_json(tuple(groups))


def groups_from_bytes(body: bytes) -> tuple[Group, ...]:
    """Read what `groups_to_bytes` wrote."""
    return _GROUPS.validate_json(body)
