"""What a page tells: values from a backtest or from the bucket of a deployed detector."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomaly_detector.config import Config
from anomaly_detector.events.group import Group
from anomaly_detector.report.charts import Span
from anomaly_detector.report.stored import Stored


@dataclass(frozen=True)
class Quality:
    """What was read.

    Attributes
    ----------
    due, scored : intervals of the page's time that should have been scored, and that were.
    empty : times without a row.
    revised : intervals that were scored again because of late rows; None where nothing counts them.
    rows : of the query in the page's time; None if unknown.
    notes : sentences about what was left out or is not known.
    """

    due: int
    scored: int
    empty: Sequence[Span] = ()
    revised: int | None = None
    rows: int | None = None
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Status:
    """The state of a deployed detector; times are UTC.

    Attributes
    ----------
    state : in words. delay : seconds from the end of the newest scored interval to now.
    warehouse_seconds : run time of the statements of the month so far.
    """

    state: str
    next_look: datetime | None = None
    delay: float | None = None
    warehouse_seconds: float | None = None


@dataclass(frozen=True)
class Said:
    """What somebody said: an answer on an event, or a mute.

    Attributes
    ----------
    at : UTC. what, about, note : in words; `note` says who, why, and what comes of it.
    group_id : of the event that was answered on; empty for a mute.
    """

    at: datetime
    what: str
    about: str
    note: str = ""
    group_id: str = ""


@dataclass(frozen=True)
class Content:
    """Everything on a page.

    Attributes
    ----------
    watched : the time whose events and intervals are told of; `stored` may begin before it, for
        what precedes an event.
    asof : UTC; when the page was made, or the end of the data.
    groups : events that began in this time, or last into it; points are not needed.
    preview : as `backtest.preview` gives it. training : as `Report.to_dict`.
    advice : as `Recommendation.to_dict`; None if there is none yet.
    said : feedback and mutes, the newest first; None where nobody is asked.
    steps : what happened to an event beside its data, by its ID: time (UTC) and words.
    source : where scores are that the page leaves out.
    """

    config: Config
    watched: Span
    asof: datetime
    stored: Stored
    groups: Sequence[Group]
    preview: Sequence[Mapping[str, float]]
    training: Mapping[str, Any]
    quality: Quality
    advice: Mapping[str, Any] | None = None
    said: Sequence[Said] | None = None
    status: Status | None = None
    steps: Mapping[str, Sequence[tuple[datetime, str]]] | None = None
    source: str = "scores.parquet"


def empty_spans(
    starts: Sequence[datetime], end: datetime, held: Sequence[bool] | NDArray[np.bool_]
) -> list[Span]:
    """The times of consecutive intervals that are not held.

    Parameters
    ----------
    starts : of the intervals, UTC, ascending; `end` is that of the last.
    """
    edges = [*starts, end]
    found: list[Span] = []
    for place, has in enumerate(held):
        if has:
            continue
        if found and found[-1].end == edges[place]:
            found[-1] = Span(found[-1].start, edges[place + 1])
        else:
            found.append(Span(edges[place], edges[place + 1]))
    return found
