"""Contents of pages that are made up, and what is read back from the pages."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from html.parser import HTMLParser
from typing import Any

import numpy as np
from anomaly_detector import backtest
from anomaly_detector.config import ROLLED_UP, Config, load
from anomaly_detector.events.group import Group
from anomaly_detector.lake import results
from anomaly_detector.panel import Scores
from anomaly_detector.report.charts import Span
from anomaly_detector.report.content import Content, Quality, Status
from anomaly_detector.report.stored import Stored

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
HOSTILE = '"><img src=x onerror=alert(1)></script><script>alert(2)</script>{{ 7*7 }}\u202e&amp;'


def config(**others: Any) -> Config:
    """An hourly detector of two measures by two dimensions."""
    document = {
        "name": "shop",
        "interval": "PT1H",
        "timezone": "Europe/Berlin",
        "timestamp_column": {"name": "ts"},
        "measures": {"revenue": {}, "latency": {"aggregation": "AVG"}},
        "dimensions": ["platform", "market"],
        "query": "select ts, platform, market, revenue, latency from orders "
        "where ts >= {{ window_start }} and ts < {{ window_end }}",
    }
    return load(json.dumps(document | others))


def content(
    groups: Sequence[Group] = (),
    *,
    days: int = 14,
    chosen: Config | None = None,
    values: Mapping[str, Sequence[str]] | None = None,
    missing: Sequence[int] = (),
    status: Status | None = None,
    training: Sequence[Mapping[str, Any]] = (),
) -> Content:
    """Series of a day's rhythm, an event in each group's slices, and nothing at `missing`."""
    chosen = chosen or config()
    scores = _scores(chosen, days, values or {}, groups, missing)
    end = BEGIN + timedelta(days=days)
    return Content(
        config=chosen,
        watched=Span(BEGIN, end),
        asof=end,
        stored=Stored.of(chosen, results.scores_table(scores, chosen), BEGIN, end),
        groups=groups,
        preview=backtest.preview(groups, BEGIN, end),
        training={"classes": [learnt(), *training]},
        quality=Quality(due=24 * days, scored=24 * days - len(missing), rows=1234),
        status=status,
    )


def group(
    number: int = 0,
    *,
    measure: str = "revenue",
    start: int = 200,
    hours: int = 3,
    where: Mapping[str, str] | None = None,
    severity: float = 90.0,
    state: str = "CLOSED",
    contributions: Mapping[str, Mapping[str, float]] | None = None,
) -> Group:
    """An event of a slice, at hours after the begin."""
    return Group(
        id=f"00000000-0000-5000-8000-{number:012d}",
        measure=measure,
        start=BEGIN + start * HOUR,
        end=BEGIN + (start + hours) * HOUR,
        severity=severity,
        direction="down",
        state=state,  # type: ignore[arg-type]
        actual=100.0 * hours,
        expected=1000.0 * hours,
        series_count=2,
        contributions={"platform": {"app": 70.0, "web": 30.0}}
        if contributions is None
        else {name: dict(shares) for name, shares in contributions.items()},
        slices=(dict(where or {}),),
        points=(),
        kind="dip",
    )


def learnt(**others: Any) -> dict[str, Any]:
    """A row of the training report."""
    return {
        "measure": "revenue",
        "aggregation": "SUM",
        "dimensions": [],
        "series": 1,
        "learning": 0,
        "level": 4000.0,
        "seasons": ["day", "week"],
        "spread": 0.0236,
        "share_missing": 0.0,
        "sparse": 0,
        "constant": 0,
    } | others


def _scores(
    chosen: Config,
    days: int,
    values: Mapping[str, Sequence[str]],
    groups: Sequence[Group],
    missing: Sequence[int],
) -> Scores:
    held = [
        [*values.get(name, ("app", "web") if name == "platform" else ("de", "fr")), ROLLED_UP]
        for name in chosen.dimensions
    ]
    names = sorted(_combined(held))
    slices = np.empty((len(names), len(chosen.dimensions)), dtype=object)
    for place, name in enumerate(names):
        slices[place] = name
    size, measures = 24 * days, tuple(chosen.measures)
    begin = np.datetime64(BEGIN.replace(tzinfo=None), "s")
    starts = begin + np.arange(size) * np.timedelta64(3600, "s")
    rhythm = 1000 * (1.5 + np.sin(np.arange(size) % 24 / 24 * 2 * np.pi))
    shape = (size, len(measures), len(names))
    parts = 2.0 ** np.array([list(name).count(ROLLED_UP) for name in names])
    expected = np.broadcast_to(rhythm[:, None, None] * parts, shape).copy()
    random = np.random.default_rng(1)
    actual = expected * random.normal(1, 0.02, shape)
    anomalous = np.zeros(shape, dtype=bool)
    for one in groups:
        low = (one.start - BEGIN) // HOUR
        high = (one.end - BEGIN) // HOUR
        for place, name in enumerate(names):
            told = dict(zip(chosen.dimensions, name, strict=True))
            if any(all(told[key] == value for key, value in s.items()) for s in one.slices):
                where = (slice(low, high), measures.index(one.measure), place)
                actual[where] *= 0.1
                anomalous[where] = True
    actual[list(missing)] = np.nan
    return Scores(
        starts=starts,
        dimensions=chosen.dimensions,
        slices=slices,
        measures=measures,
        actual=actual,
        expected=expected,
        lower=expected * 0.92,
        upper=expected * 1.08,
        severity=np.where(anomalous, 90.0, 0.0),
        direction=np.where(anomalous, -1, 0).astype(np.int8),
        anomalous=anomalous,
    )


def _combined(held: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    if not held:
        return [()]
    return [(value, *rest) for value in held[0] for rest in _combined(held[1:])]


class Read(HTMLParser):
    """The elements of a page with their attributes, its texts, and what is inside each script."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self._inside = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._inside = tag
        if tag == "script":
            self.scripts.append("")
        if tag == "style":
            self.styles.append("")

    def handle_endtag(self, tag: str) -> None:  # noqa: ARG002 the parser's
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts[-1] += data
        elif self._inside == "style":
            self.styles[-1] += data
        else:
            self.texts.append(data)

    def all(self, tag: str, **wanted: str) -> list[dict[str, str | None]]:
        """Attributes of the elements of a name."""
        return [
            attributes
            for name, attributes in self.elements
            if name == tag and all(attributes.get(key) == value for key, value in wanted.items())
        ]

    @property
    def text(self) -> str:
        """All texts, with single blanks."""
        return re.sub(r"\s+", " ", " ".join(self.texts))

    @property
    def data(self) -> Any:
        """The block of series."""
        return json.loads(self.scripts[1])
