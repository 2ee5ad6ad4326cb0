"""The files of a group: rows of the results tables, and Lookout's exports. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from anomaly_detector.config import Config
from anomaly_detector.events.group import Group
from anomaly_detector.lake import layout, parquet, results
from anomaly_detector.lookout.exports import dimension_contributions_csv, metric_value_csv


def group_files(groups: Iterable[Group], config: Config) -> dict[str, bytes]:
    """Contents of the groups' files by key, one per group and prefix in `layout.OF_GROUPS`."""
    return {
        layout.group_file(kind, group.start, group.id): body
        for group in groups
        for kind, body in {
            layout.ANOMALIES: parquet.write(results.anomalies_table([group])),
            layout.CONTRIBUTIONS: parquet.write(results.contributions_table([group])),
            layout.METRIC_VALUES_CSV: metric_value_csv(group, config).encode(),
            layout.CONTRIBUTIONS_CSV: dimension_contributions_csv(group).encode(),
        }.items()
    }
