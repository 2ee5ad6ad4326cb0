"""What is watched in a simulation: documents, and a table of a shop with incidents in it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import product
from math import sin, tau
from random import Random
from typing import Any

from anomaly_detector.config import Config, load
from anomaly_detector.intervals import Grid

from tests.simulation.warehouse import Row, Rows

REGION = "arn:aws:{}:eu-central-1:123456789012:{}"
TOPIC, OTHER_TOPIC = (REGION.format("sns", name) for name in ("everyone", "mobile"))
FUNCTION = REGION.format("lambda", "function:pager")
PLATFORMS, MARKETS = ("mobile_app", "pc_web"), ("de", "us")
# A clean run tells at once what a run tells that has missed days.
NEVER_OLD = 3650
OFFSET = timedelta(seconds=300)


@dataclass(frozen=True)
class Kind:
    """A kind of detector.

    Attributes
    ----------
    begins : about when the live part begins, UTC.
    history : intervals of history.
    """

    name: str
    interval: str = "PT1H"
    timezone: str = "UTC"
    lookback: int = 3
    begins: datetime = datetime(2026, 3, 4, tzinfo=UTC)
    history: int = 504

    @property
    def grid(self) -> Grid:
        """The intervals."""
        return Grid.of(self.config)

    @property
    def start(self) -> datetime:
        """The first live interval."""
        return self.grid.floor(self.begins)

    @property
    def config(self) -> Config:
        """The configuration."""
        return _config(self)

    def document(self, **changes: Any) -> bytes:
        """The configuration document."""
        return _document(self, **changes)


KINDS = {
    one.name: one
    for one in (
        Kind("hourly"),
        Kind("hourly-without-lookback", lookback=0),
        # The clocks go forward in the live part; the grid of hours is half an hour off UTC's.
        Kind("hourly-kathmandu", timezone="Asia/Kathmandu"),
        *(
            Kind(f"daily-{name}", "P1D", zone, 3, datetime(2026, month, 1, 12, tzinfo=UTC), 84)
            for name, zone, month in (
                ("berlin", "Europe/Berlin", 3),
                ("new-york", "America/New_York", 10),
                ("lord-howe", "Australia/Lord_Howe", 9),
            )
        ),
    )
}

# Trained within a moment, and too short to find anything.
SHORT = Kind("short", history=72)


def kind_named(name: str) -> Kind:
    """One of them."""
    return SHORT if name == SHORT.name else KINDS[name]


@lru_cache
def _config(kind: Kind) -> Config:
    # The grid is needed before history.start is known, which the grid does not depend on.
    return load(_raw(kind, "2020-01-01T00:00:00Z"))


# What the functions' environment says.
WAREHOUSE = {
    "cluster_identifier": "c",
    "database": "d",
    "unload_role": "arn:aws:iam::123456789012:role/unload",
}


def _document(kind: Kind, **changes: Any) -> bytes:
    start = kind.grid.shift(kind.start, -kind.history)
    return _raw(kind, f"{start:%Y-%m-%dT%H:%M:%SZ}", **changes)


def _raw(kind: Kind, start: str, **changes: Any) -> bytes:
    measures = {"revenue": {}, "views": {"aggregation": "COUNT"}}
    document = {
        "name": "shop",
        "interval": kind.interval,
        "timezone": kind.timezone,
        "offset_seconds": int(OFFSET.total_seconds()),
        "lookback_intervals": kind.lookback,
        "timestamp_column": {"name": "ts"},
        "measures": measures,
        "dimensions": ["platform", "market"],
        "false_events_per_week": 1,
        "query": "SELECT * FROM t WHERE ts >= {{ window_start }} AND ts < {{ window_end }}",
        "history": {"start": start, "chunk": "P30D"},
        "alerts": {
            "any": {
                "threshold": 10,
                "max_age_days": NEVER_OLD,
                "link_measures": True,
                "sns_topic_arns": [TOPIC],
                "lambda_function_arns": [FUNCTION],
            },
            "mobile": {
                "threshold": 10,
                "max_age_days": NEVER_OLD,
                "dimension_filters": {"platform": ["mobile_app"]},
                "sns_topic_arns": [OTHER_TOPIC],
            },
        },
    }
    return json.dumps(document | changes).encode()


def rows(kind: Kind, intervals: int, seed: int) -> Rows:
    """The shop's table: history without incidents, then at least `intervals` live ones with some;
    the first ones are the same however many there are.
    """
    return _rows(kind, -(-intervals // 64) * 64, seed)


@lru_cache(maxsize=16)
def _rows(kind: Kind, intervals: int, seed: int) -> Rows:
    history, incidents = Random(kind.name), _Incidents(Random(f"{kind.name} {seed}"), intervals)
    live = Random(f"{kind.name} {seed} rows")
    found: dict[datetime, tuple[Row, ...]] = {}
    for number in range(-kind.history, intervals):
        at = kind.grid.shift(kind.start, number)
        known = kind.grid.shift(at, 1)
        random = history if number < 0 else live
        found[at] = tuple(
            row
            for values in product(PLATFORMS, (*MARKETS, "nz"))
            if (row := _row(at, known, values, incidents.factor(number, values), random))
        )
    return Rows(found)


def _row(
    at: datetime, known: datetime, values: tuple[str, str], factor: float, random: Random
) -> Row | None:
    size = {"mobile_app": 3, "pc_web": 2}[values[0]] * {"de": 2, "us": 1, "nz": 0.5}[values[1]]
    season = 1 + 0.3 * sin(tau * (at.hour / 24 + at.weekday() / 7))
    views = round(100 * size * season * random.gauss(1, 0.02) * factor)
    if views <= 0:
        return None
    revenue = round(views * 12 * random.gauss(1, 0.01), 2)
    return Row(at, values, revenue, views, since=known)


class _Incidents:
    """What befalls the live part: drops and rises of some slices; births and deaths under them."""

    def __init__(self, random: Random, intervals: int) -> None:
        self._found: list[tuple[int, int, tuple[str | None, str | None], float]] = []
        begin = random.randrange(3, 8)
        while begin < intervals - 6:
            length = random.randrange(1, 7)
            where = (random.choice((None, *PLATFORMS)), random.choice((None, *MARKETS)))
            # Without a row, a value has died, maybe until the end of the incident.
            factor = random.choice((0.1, 0.3, 3.0, 6.0, 0.0))
            self._found.append((begin, begin + length, where, factor))
            begin += length + random.randrange(-1, 12)
        # A value that is born while something is open.
        self._born = (self._found[0][0] if self._found else 0) + random.randrange(3)
        self._gone = self._born + random.randrange(4, 40)

    def factor(self, number: int, values: tuple[str, str]) -> float:
        """By how much the values of a slice are multiplied."""
        if values[1] == "nz" and not (self._born <= number < self._gone):
            return 0.0
        found = 1.0
        for begin, end, where, factor in self._found:
            names = zip(where, values, strict=True)
            if begin <= number < end and all(one in (None, name) for one, name in names):
                found *= factor
        return found


def changed(given: Rows, kind: Kind, random: Random, numbers: range, how: tuple[str, ...]) -> Rows:
    """The same table in the end, but some rows of the intervals with these numbers come late, were
    others at first, or were there and are deleted: within the look-back.
    """
    if not kind.lookback:
        return given
    found = dict(given.by_interval)
    for _ in range(random.randrange(2, 8)):
        number = random.choice(numbers)
        at = kind.grid.shift(kind.start, number)
        delay = random.randrange(1, kind.lookback + 1)
        until = kind.grid.shift(at, 1 + delay)
        what, own = random.choice(how), list(found[at])
        if not own:
            continue
        place = random.randrange(len(own))
        row = own[place]
        if row.since > kind.grid.shift(at, 1):
            continue
        if what in ("late", "changed"):
            own[place] = replace(row, since=until)
        if what == "changed":
            factor = random.choice((0.1, 0.7, 4.0))
            own.append(replace(row, revenue=row.revenue * factor, until=until))
        if what == "deleted":
            own.append(replace(row, views=row.views * 2, revenue=row.revenue * 3, until=until))
        found[at] = tuple(own)
    return Rows(found)
