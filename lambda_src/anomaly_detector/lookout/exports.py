"""The two CSV exports that Lookout wrote for each anomaly group."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from anomaly_detector.config import ROLLED_UP, Config
from anomaly_detector.events.group import Group, Point


def metric_value_csv(group: Group, config: Config) -> str:
    """The export `metricValue_AnomalyScore`: a row per series and interval of the group.

    Columns: key (timestamp and dimension values run together), Timestamp (`2022-01-15 04:25:00`,
    UTC), every dimension, and for every measure `<measure>AnomalyMetricValue` and
    `<measure>GroupScore`, blank where the group is of another measure: all files have one schema.
    """
    measures = tuple(config.measures)
    header = ["key", "Timestamp", *config.dimensions]
    for measure in measures:
        header += [f"{measure}AnomalyMetricValue", f"{measure}GroupScore"]
    rows = []
    for point in relevant_points(group.points):
        when = _csv_time(point.start)
        row: list[object] = [when + "".join(point.slice), when, *point.slice]
        for measure in measures:
            row += (
                [float(point.actual), float(group.severity)]
                if measure == group.measure
                else ["", ""]
            )
        rows.append(row)
    return _csv(header, rows)


def dimension_contributions_csv(group: Group) -> str:
    """The export `dimensionContributions`: a row per dimension and value; Timestamp is UTC."""
    header = ["Timestamp", "metricName", "dimensionName", "dimensionValue", "valueContribution"]
    rows = [
        [_csv_time(group.start), group.measure, dimension, value, share]
        for dimension, shares in group.contributions.items()
        for value, share in shares.items()
    ]
    return _csv(header, rows)


def relevant_points(points: Iterable[Point]) -> tuple[Point, ...]:
    """The points of the finest level of roll-up that occurs.

    Lookout's series were all leaves, and its readers add them up; with roll-ups beside them, the
    same change would count twice.
    """
    found = tuple(point for point in points if math.isfinite(point.actual))
    finest = max((_depth(point) for point in found), default=0)
    return tuple(point for point in found if _depth(point) == finest)


def _depth(point: Point) -> int:
    return sum(value != ROLLED_UP for value in point.slice)


def _csv_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def _csv(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()
