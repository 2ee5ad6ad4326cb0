"""Events and groups as JSON, whole: one form of each."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pydantic import AliasChoices, AliasGenerator, ConfigDict, TypeAdapter, ValidationError

from anomaly_detector.errors import PermanentError, places_of
from anomaly_detector.events.event import Event, Sums
from anomaly_detector.events.group import Group

# A missing value is NaN, and an event without evidence has minus infinity: JSON has neither.
_CONFIG = ConfigDict(ser_json_inf_nan="strings", arbitrary_types_allowed=True)
# Groups that a delivery of the former version left have a score instead of a severity.
_FORMER = AliasGenerator(
    validation_alias=lambda name: AliasChoices(name, "score") if name == "severity" else name
)
_GROUPS = TypeAdapter(tuple[Group, ...], config=_CONFIG | ConfigDict(alias_generator=_FORMER))
_EVENTS = TypeAdapter(tuple[Event, ...], config=_CONFIG)


def events_to_bytes(events: Sequence[Event]) -> bytes:
    """Events without their sums, which are arrays."""
    return _EVENTS.dump_json(tuple(events), exclude={"__all__": {"sums"}})


def events_from_bytes(body: bytes, sums: Sequence[Sums]) -> tuple[Event, ...]:
    """Read what `events_to_bytes` wrote; `sums` are those of the same events.

    Raises
    ------
    ValueError
        Where the body has another shape.
    """
    stored = json.loads(body)
    return _EVENTS.validate_python(
        [{**one, "sums": of_one} for one, of_one in zip(stored, sums, strict=True)]
    )


def groups_to_bytes(groups: Sequence[Group]) -> bytes:
    """Groups with all their points."""
    return _GROUPS.dump_json(tuple(groups))


def groups_from_bytes(body: bytes) -> tuple[Group, ...]:
    """Read what `groups_to_bytes` wrote.

    Raises
    ------
    PermanentError
        If the body has another shape.
    """
    try:
        return _GROUPS.validate_json(body)
    except ValidationError as error:
        raise PermanentError(f"The stored groups cannot be read: {places_of(error)}.") from error
