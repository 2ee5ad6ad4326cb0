"""The SQL that shows an event's values to whoever runs it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from anomaly_detector.config import Config
from anomaly_detector.intervals import Grid
from anomaly_detector.warehouse.query import timestamp_literal
from anomaly_detector.warehouse.sql import (
    aggregated_value,
    identifier,
    interval_start,
    kept_values,
    literal,
    measure_columns,
    placed,
)


def reproduction(
    config: Config,
    measure: str,
    slices: Sequence[Mapping[str, str]],
    start: datetime,
    end: datetime,
) -> str:
    """A SELECT of a measure per interval, over the rows in any of the slices, from the user's own
    query: interval_start (UTC) and the measure, oldest first.

    Parameters
    ----------
    slices : dimension to value, by the names that results and alerts show; `{}` is the total.
    start, end : window `[start, end)`, aware, on the interval grid.

    Raises
    ------
    PermanentError
        If the configuration has no query, or it is invalid.
    """
    read = {name for one in slices for name in one} | set(config.dimension_filters)
    # What is not needed is not selected: the shorter, the easier to read.
    narrow = config.model_copy(
        update={
            "measures": {measure: config.measures[measure]},
            "dimensions": tuple(name for name in config.dimensions if name in read),
        }
    )
    keys = {name: f"key_{place}" for place, name in enumerate(narrow.dimensions)}
    columns = [*keys.values(), *measure_columns(narrow)]
    begins = interval_start(Grid.of(config), "event_time", start, end)
    conditions = [
        f"interval_start >= {timestamp_literal(start.astimezone(UTC))}",
        f"interval_start < {timestamp_literal(end.astimezone(UTC))}",
        *kept_values(narrow),
    ]
    if slices and all(slices):
        alternatives = (
            " AND ".join(f"{keys[name]} = {literal(value)}" for name, value in one.items())
            for one in slices
        )
        conditions.append(f"({' OR '.join(alternatives)})")
    value = aggregated_value(narrow.measures[measure], 0)
    located = ",\n       ".join([f"{begins} AS interval_start", *columns])
    return (
        f"SELECT interval_start,\n       {value} AS {identifier(measure)}\n"
        f"FROM (\nSELECT {located}\nFROM (\n{placed(narrow, start, end, history=False)}\n"
        ") AS placed\n) AS located\nWHERE "
        + "\n  AND ".join(conditions)
        + "\nGROUP BY interval_start\nORDER BY interval_start"
    )
