"""Compare the groups that a detector found with the incidents that were planted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from anomaly_detector.intervals import parse_iso

from local.shop import Incident


@dataclass(frozen=True)
class Plant:
    """One incident as one measure shows it: what a detector can find."""

    incident: Incident
    measure: str


@dataclass(frozen=True)
class Judgement:
    """What was found of what was planted.

    Attributes
    ----------
    found : each plant that a group matches, with the ids of its groups.
    missed : plants that no group matches.
    false : ids of groups that match no plant.
    """

    found: tuple[tuple[Plant, tuple[str, ...]], ...]
    missed: tuple[Plant, ...]
    false: tuple[str, ...]

    @property
    def precision(self) -> float:
        """Share of the groups that match a plant; 1 where there is no group."""
        right = len({group for _, groups in self.found for group in groups})
        return right / (right + len(self.false)) if right or self.false else 1.0

    @property
    def recall(self) -> float:
        """Share of the plants that a group matches; 1 where nothing was planted."""
        planted = len(self.found) + len(self.missed)
        return len(self.found) / planted if planted else 1.0


def judge(
    groups: Sequence[Mapping[str, Any]],
    incidents: Sequence[Incident],
    begin: datetime,
    end: datetime,
) -> Judgement:
    """Match groups (the documents that the detector stores) with what began in `[begin, end)`.

    A group matches a plant if both are of the same measure, overlap in time, and at least one of
    the slices by which the group explains itself is the planted one or lies within it.
    """
    plants = [
        Plant(incident, measure)
        for incident in incidents
        if begin <= incident.start < end
        for measure in incident.measures
    ]
    matches = [
        (plant, tuple(str(each["AnomalyGroupId"]) for each in groups if matches_plant(each, plant)))
        for plant in plants
    ]
    right = {group for _, found in matches for group in found}
    return Judgement(
        found=tuple((plant, found) for plant, found in matches if found),
        missed=tuple(plant for plant, found in matches if not found),
        false=tuple(
            str(group["AnomalyGroupId"])
            for group in groups
            if str(group["AnomalyGroupId"]) not in right
        ),
    )


def matches_plant(group: Mapping[str, Any], plant: Plant) -> bool:
    """Whether a group is what a plant looks like; see `judge`."""
    if group["PrimaryMetricName"] != plant.measure:
        return False
    begin, end = parse_iso(group["StartTime"]), parse_iso(group["EndTime"])
    if begin >= plant.incident.end or end <= plant.incident.start:
        return False
    planted = plant.incident.slice.items()
    return any(planted <= each.items() for each in group["Slices"])
