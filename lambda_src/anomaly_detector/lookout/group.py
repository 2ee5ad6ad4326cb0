"""The anomaly group as Lookout's API gave it (`AnomalyGroup`), and the lists made of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from anomaly_detector.events.group import Cause, Earlier, Group, Part, Related
from anomaly_detector.intervals import iso, parse_iso

# An item of the state table holds 400 KB; the whole lists are in the results tables.
_ITEM_VALUES = 100
_ITEM_TEXT = 400


def anomaly_group(group: Group) -> dict[str, Any]:
    """Lookout's AnomalyGroup, with our own keys besides, from State on."""
    dimensions = [
        {
            "DimensionName": name,
            "DimensionValueContributionList": [
                {"DimensionValue": value, "ContributionScore": share}
                for value, share in values.items()
            ],
        }
        for name, values in group.contributions.items()
    ]
    return {
        "StartTime": iso(group.start),
        "EndTime": iso(group.end),
        "AnomalyGroupId": group.id,
        "AnomalyGroupScore": round(group.severity, 2),
        "PrimaryMetricName": group.measure,
        "MetricLevelImpactList": [
            {
                "MetricName": group.measure,
                "NumTimeSeries": group.series_count,
                "ContributionMatrix": {"DimensionContributionList": dimensions},
            }
        ],
        "State": group.state,
        "Direction": group.direction,
        "Kind": group.kind,
        "Accepted": group.accepted,
        "Habit": group.habit,
        "Actual": group.actual,
        "Expected": group.expected,
        "Slices": [dict(one) for one in group.slices],
        "RootCause": None if group.cause is None else root_cause(group.cause),
        "After": [one.id for one in group.after],
    } | related_metrics(group.related, group.related_unexplained)


def related_metrics(related: Sequence[Related], unexplained: float) -> dict[str, Any]:
    """Related events: Lookout's InterMetricImpact, with our own keys from LagSeconds on."""
    return {
        "RelatedMetrics": [
            {
                "MetricName": one.measure,
                "AnomalyGroupId": one.group_id,
                "RelationshipType": one.relationship,
                "ContributionPercentage": one.contribution,
                "LagSeconds": one.lag,
                "Times": one.times,
                "Of": one.of,
                "Now": one.now,
            }
            for one in related
        ],
        "RelatedUnexplained": unexplained,
    }


def root_cause(cause: Cause) -> dict[str, Any]:
    """The numbers of the slices, in their order; percentages sum to 100."""
    return {
        "Deviation": cause.deviation,
        "Unexplained": cause.unexplained,
        "RateShare": cause.rate,
        "MixShare": cause.mix,
        "Slices": [
            {
                "Dimensions": dict(one.slice),
                "Actual": one.actual,
                "Expected": one.expected,
                "Deviation": one.deviation,
                "Share": one.share,
                "Effect": one.effect,
                "New": one.new,
            }
            for one in cause.parts
        ],
    }


def group_of(document: Mapping[str, Any]) -> Group:
    """The group of an AnomalyGroup with our own keys, such as one of `groups.json` or of the state
    table; without its points and leaves.
    """
    (impact,) = document["MetricLevelImpactList"]
    return Group(
        id=document["AnomalyGroupId"],
        measure=document["PrimaryMetricName"],
        start=parse_iso(document["StartTime"]),
        end=parse_iso(document["EndTime"]),
        severity=float(document["AnomalyGroupScore"]),
        direction=document["Direction"],
        state=document["State"],
        actual=None if document.get("Actual") is None else float(document["Actual"]),
        expected=float(document.get("Expected") or 0),
        series_count=impact["NumTimeSeries"],
        contributions={
            one["DimensionName"]: {
                each["DimensionValue"]: float(each["ContributionScore"])
                for each in one["DimensionValueContributionList"]
            }
            for one in impact["ContributionMatrix"]["DimensionContributionList"]
        },
        slices=tuple(dict(one) for one in document["Slices"]),
        points=(),
        kind=document.get("Kind"),
        accepted=document.get("Accepted", False),
        habit=document.get("Habit", ""),
        cause=_cause_of(document.get("RootCause")),
        related=tuple(
            Related(
                one["MetricName"],
                one["AnomalyGroupId"],
                one["RelationshipType"],
                float(one["ContributionPercentage"]),
                int(one["LagSeconds"]),
                int(one["Times"]),
                int(one["Of"]),
                one["Now"],
            )
            for one in document.get("RelatedMetrics", ())
        ),
        related_unexplained=float(document.get("RelatedUnexplained", 100)),
        after=tuple(Earlier(one) for one in document.get("After", ())),
    )


def _cause_of(document: Mapping[str, Any] | None) -> Cause | None:
    """Read what `root_cause` made."""
    if document is None:
        return None
    rate, mix = (document[name] for name in ("RateShare", "MixShare"))
    return Cause(
        float(document["Deviation"]),
        tuple(
            Part(
                dict(one["Dimensions"]),
                float(one["Actual"]),
                float(one["Expected"]),
                float(one["Deviation"]),
                float(one["Share"]),
                one["Effect"],
                one["New"],
            )
            for one in document["Slices"]
        ),
        float(document["Unexplained"]),
        None if rate is None else float(rate),
        None if mix is None else float(mix),
    )


def groups_json(
    groups: Sequence[Group], *, threshold: float, scored_from: datetime, scored_to: datetime
) -> str:
    """The content of `groups.json`: all groups of a backtest over `[scored_from, scored_to)`."""
    document = {
        "threshold": threshold,
        "scored_from": iso(scored_from),
        "scored_to": iso(scored_to),
        "groups": [anomaly_group(group) for group in groups],
    }
    return json.dumps(document, ensure_ascii=False, indent=1)


def group_item(group: Group) -> dict[str, Any]:
    """The anomaly group for the state table: JSON values only, numbers that DynamoDB can store.

    Long lists keep the largest shares, so that the item stays below 400 KB.
    """
    most = max(1, _ITEM_VALUES // max(1, len(group.contributions)))
    cut = replace(
        group,
        severity=float(group.severity),
        contributions={
            dimension: {
                value[:_ITEM_TEXT]: float(share) for value, share in largest_first(shares)[:most]
            }
            for dimension, shares in group.contributions.items()
        },
        slices=tuple(_short(one) for one in group.slices[:most]),
        cause=None if group.cause is None else _storable_cause(group.cause, most),
    )
    values = {"Actual": _storable(group.actual), "Expected": _storable(group.expected)}
    return anomaly_group(cut) | values


def largest_first(shares: Mapping[str, float]) -> list[tuple[str, float]]:
    """Values and their shares, the largest share first, equal shares by value."""
    return sorted(shares.items(), key=lambda pair: (-pair[1], pair[0]))


def _short(one: Mapping[str, str]) -> dict[str, str]:
    return {name: value[:_ITEM_TEXT] for name, value in one.items()}


def _storable_cause(cause: Cause, most: int) -> Cause | None:
    """None where a number cannot be stored."""
    parts = cause.parts[:most]
    numbers = [cause.deviation, cause.rate or 0.0, cause.mix or 0.0]
    numbers += [value for one in parts for value in (one.actual, one.expected, one.deviation)]
    if any(_storable(value) is None for value in numbers):
        return None

    def stored(value: float) -> float:
        return _storable(value) or 0.0

    return replace(
        cause,
        deviation=stored(cause.deviation),
        parts=tuple(
            replace(
                one,
                slice=_short(one.slice),
                actual=stored(one.actual),
                expected=stored(one.expected),
                deviation=stored(one.deviation),
            )
            for one in parts
        ),
    )


def _storable(value: float | None) -> float | None:
    if value is None:
        return None
    value = float(value)
    # DynamoDB's numbers end at 1e126 and begin at 1e-130.
    if abs(value) < 1e-100:
        return 0.0
    return value if abs(value) < 1e100 else None
