"""Series and what is read back from their charts."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import numpy as np
from anomaly_detector.report.charts import Line, Span

SVG = "{http://www.w3.org/2000/svg}"
BEGIN = datetime(2026, 11, 16, tzinfo=UTC)
HOUR = timedelta(hours=1)


def line(actual, *, expected=None, width=0.1, anomalous=(), begin=BEGIN, step=HOUR) -> Line:
    """A series from `begin` on; None is missing."""
    values = np.array([np.nan if one is None else one for one in actual], dtype=float)
    size = len(values)
    usual = np.full(size, np.nan) if expected is None else np.array(expected, dtype=float)
    start = np.datetime64(begin.replace(tzinfo=None), "s")
    edges = start + np.arange(size + 1) * np.timedelta64(int(step.total_seconds()), "s")
    marked = np.zeros(size, dtype=bool)
    marked[list(anomalous)] = True
    return Line(edges, values, usual, usual * (1 - width), usual * (1 + width), marked)


def hours(low: int, high: int, begin: datetime = BEGIN) -> Span:
    """The hours `low` to `high` from `begin` on."""
    return Span(begin + low * HOUR, begin + high * HOUR)


def parsed(svg: str) -> ET.Element:
    """The chart as XML, as strict as a file of its own."""
    return ET.fromstring(str(svg).replace("<svg ", f'<svg xmlns="{SVG[1:-1]}" ', 1))


def paths(svg: str, kind: str) -> list[list[list[tuple[int, int]]]]:
    """The points of each line of each path of a class, in the plot's units."""
    return [
        [_points(one) for one in path.get("d", "").split("M") if one]
        for path in parsed(svg).iter(f"{SVG}path")
        if path.get("class", "").split()[0] == kind
    ]


def texts(svg: str) -> list[str]:
    """All texts to be seen, without title and description."""
    return ["".join(one.itertext()) for one in parsed(svg).iter(f"{SVG}text")]


def _points(text: str) -> list[tuple[int, int]]:
    steps = [int(one) for one in re.findall(r"-?\d+", text.removesuffix("h0"))]
    x, y = steps[:2]
    points = [(x, y)]
    for dx, dy in zip(steps[2::2], steps[3::2], strict=True):
        x, y = x + dx, y + dy
        points.append((x, y))
    return points
