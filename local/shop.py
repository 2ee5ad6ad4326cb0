"""The sample shop: sales in the old connector's three tables, and incidents planted in them.

Everything follows from `anchor` and `seed`; nothing here reads a clock. The rows reach past the
anchor, so that a demo can let time move on and find incidents that had not happened when the
detector was trained.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

Kind = Literal["combination", "platform", "marketplace"]

PLATFORMS = ("pc_web", "mobile_web", "mobile_app")
MARKETPLACES = ("us", "uk", "de", "fr", "es", "it", "jp")
MEASURES = ("views", "revenue")

_PLATFORM_SHARE = np.array([0.30, 0.24, 0.46])
_MARKETPLACE_SHARE = np.array([0.34, 0.17, 0.16, 0.11, 0.08, 0.06, 0.08])
# Hours that the marketplace's clock is ahead of UTC; fixed, the sample needs no daylight saving.
_MARKETPLACE_CLOCK = np.array([-6, 0, 1, 1, 1, 1, 9])
_WEEKEND = np.array([0.82, 1.05, 1.16])
_EURO_PER_VIEW = np.array([0.62, 0.34, 0.48])
_VIEWS_PER_HOUR = 42_000.0
_GROWTH_PER_YEAR = 0.25

SCHEMA = (
    "CREATE TABLE platform (id BIGINT IDENTITY(1, 1), name VARCHAR(30))",
    "CREATE TABLE marketplace (id BIGINT IDENTITY(1, 1), name VARCHAR(30))",
    """CREATE TABLE ecommerce (id BIGINT IDENTITY(1, 1), ts TIMESTAMP NOT NULL, platform INT,
       marketplace INT, views INT, revenue DECIMAL(9, 2)) SORTKEY (ts)""",
)

# Hours after the anchor at which incidents begin, and how long they last. Those of the first twelve
# hours are what the demo crawls over.
_LIVE: tuple[tuple[int, int, Kind], ...] = (
    (2, 2, "combination"),
    (6, 2, "platform"),
    (10, 2, "marketplace"),
    (18, 3, "combination"),
    (27, 2, "platform"),
    (36, 3, "marketplace"),
)
# In the newest 30 % of a 90-day history.
_PAST: tuple[tuple[int, int, Kind], ...] = (
    (-26 * 24 + 9, 3, "platform"),
    (-22 * 24 + 13, 2, "combination"),
    (-17 * 24 + 17, 4, "marketplace"),
    (-12 * 24 + 6, 3, "combination"),
    (-8 * 24 + 19, 2, "platform"),
    (-4 * 24 + 11, 3, "marketplace"),
)
# Older ones, which the detector must not take for the normal course of things.
_OLD: tuple[tuple[int, int, Kind], ...] = (
    (-80 * 24 + 12, 6, "platform"),
    (-63 * 24 + 15, 5, "marketplace"),
    (-45 * 24 + 9, 8, "combination"),
)


@dataclass(frozen=True)
class Incident:
    """One planted incident.

    Attributes
    ----------
    measures : the measures that it moves.
    start, end : UTC, half-open, whole hours.
    slice : the dimension values that it is confined to.
    factor : what the measures are multiplied by.
    """

    measures: tuple[str, ...]
    start: datetime
    end: datetime
    slice: dict[str, str]
    kind: Kind
    factor: float


@dataclass(frozen=True)
class Shop:
    """The three tables (columns as in `SCHEMA`) and the incidents that are planted in them."""

    platform: pa.Table
    marketplace: pa.Table
    ecommerce: pa.Table
    incidents: tuple[Incident, ...]

    def write(self, folder: Path) -> dict[str, Path]:
        """Write one Parquet file per table and `truth.json`; returns the tables' files by name."""
        folder.mkdir(parents=True, exist_ok=True)
        files = {}
        for name in ("platform", "marketplace", "ecommerce"):
            files[name] = folder / f"{name}.parquet"
            pq.write_table(getattr(self, name), files[name])
        (folder / "truth.json").write_text(truth_to_json(self.incidents), encoding="utf-8")
        return files


def truth_to_json(incidents: Sequence[Incident]) -> str:
    """Incidents as JSON, times in ISO 8601."""
    return (
        json.dumps([asdict(each) for each in incidents], indent=2, default=datetime.isoformat)
        + "\n"
    )


def truth_from_json(text: str) -> tuple[Incident, ...]:
    """Incidents that `truth_to_json` wrote."""
    return tuple(
        Incident(
            **each
            | {
                "measures": tuple(each["measures"]),
                "start": datetime.fromisoformat(each["start"]),
                "end": datetime.fromisoformat(each["end"]),
            }
        )
        for each in json.loads(text)
    )


def build(
    anchor: datetime,
    seed: int = 7,
    *,
    days: int = 365,
    live_hours: int = 48,
    step_minutes: int = 15,
    incidents: Sequence[Incident] | None = None,
) -> Shop:
    """Make the shop's rows in `[anchor - days, anchor + live_hours)`.

    Each platform and marketplace has one row per step, at a random second of it.

    Parameters
    ----------
    anchor : UTC, a whole hour: what the demo takes for now.
    incidents : what is planted; without it `plan_incidents(anchor, seed)`.
    """
    if anchor.minute or anchor.second or anchor.microsecond:
        raise ValueError(f"the anchor must be a whole hour, not {anchor.isoformat()}")
    planted = tuple(plan_incidents(anchor, seed) if incidents is None else incidents)
    random = np.random.default_rng(seed)
    step = step_minutes * 60
    begin = int((anchor - timedelta(days=days)).timestamp())
    starts = np.arange(begin, int(anchor.timestamp()) + live_hours * 3600, step, dtype=np.int64)
    planted = tuple(each for each in planted if starts[0] <= each.start.timestamp() <= starts[-1])

    level = _expected_views(starts, int(anchor.timestamp())) * (step / 3600)
    # A common disturbance that fades over hours, and one of each cell that grows with its level.
    common = _fading_noise(random, len(starts), hours=4.0, step=step) * 0.02
    own = random.standard_normal(level.shape) * 0.04
    mean_views = level * np.exp(common[:, None, None] + own) * _effect(planted, "views", starts)
    views = random.poisson(mean_views).astype(np.int32)
    # A cell's baskets: views carried over into money, unevenly.
    baskets = np.exp(random.standard_normal(level.shape) * 0.05 - 0.00125)
    # What moves the views moves the revenue with them, so only the rest is added here.
    extra = _effect(planted, "revenue", starts) / _effect(planted, "views", starts)
    revenue = np.minimum(views * _EURO_PER_VIEW[None, :, None] * baskets * extra, 9_999_999.0)

    count, platforms, marketplaces = level.shape
    moments = starts[:, None, None] + random.integers(0, step, size=level.shape)
    order = np.argsort(moments.ravel(), kind="stable")
    cells = np.indices((count, platforms, marketplaces)).reshape(3, -1)[:, order]
    ecommerce = pa.table(
        {
            "id": pa.array(np.arange(1, len(order) + 1, dtype=np.int64)),
            "ts": pa.array((moments.ravel()[order] * 1_000_000).astype("datetime64[us]")),
            "platform": pa.array((cells[1] + 1).astype(np.int32)),
            "marketplace": pa.array((cells[2] + 1).astype(np.int32)),
            "views": pa.array(views.ravel()[order]),
            "revenue": pa.array(np.round(revenue.ravel()[order], 2)).cast(
                pa.decimal128(9, 2), safe=False
            ),
        }
    )
    return Shop(_names(PLATFORMS), _names(MARKETPLACES), ecommerce, planted)


def plan_incidents(anchor: datetime, seed: int = 7) -> tuple[Incident, ...]:
    """Incidents before and after the anchor, in order of time.

    When is fixed; where and how strong follows the seed.
    """
    # Another stream than that of the rows, so that given incidents leave the noise as it is.
    random = np.random.default_rng([seed, 1])
    found = []
    for hours, length, kind in (*_OLD, *_PAST, *_LIVE):
        start = anchor + timedelta(hours=hours)
        where: dict[str, str] = {}
        if kind != "marketplace":
            where["platform"] = str(random.choice(PLATFORMS))
        if kind == "marketplace":
            where["marketplace"] = str(random.choice(MARKETPLACES))
        elif kind == "combination":
            # The four largest: nobody would call a hundredth of the shop an incident.
            where["marketplace"] = str(random.choice(MARKETPLACES[:4]))
        down = bool(random.random() < 0.6)
        factor = float(random.uniform(0.15, 0.4) if down else random.uniform(1.8, 2.4))
        # A broken page loses both measures, a broken checkout or a wrong price the revenue alone.
        measures = (
            MEASURES if kind == "platform" else ("revenue",) if random.random() < 0.5 else MEASURES
        )
        found.append(
            Incident(
                tuple(measures),
                start,
                start + timedelta(hours=length),
                where,
                kind,
                round(factor, 3),
            )
        )
    return tuple(found)


def _expected_views(starts: NDArray[np.int64], anchor: int) -> NDArray[np.float64]:
    """Views per hour without noise or incident, (T, platforms, marketplaces)."""
    local_hours = starts[:, None] / 3600 + _MARKETPLACE_CLOCK[None, :]
    day_angle = 2 * np.pi * (local_hours % 24) / 24
    # Low at four in the morning, high from noon on, highest at eight in the evening.
    daily = np.exp(
        0.75 * np.cos(day_angle - 2 * np.pi * 17 / 24)
        + 0.25 * np.cos(2 * (day_angle - 2 * np.pi * 20 / 24))
    )
    weekday = (np.floor(local_hours / 24).astype(np.int64) + 3) % 7
    weekend = (weekday >= 5)[:, None, :]
    weekly = np.where(weekend, _WEEKEND[None, :, None], 1.0)
    years = (starts - anchor) / (365 * 86_400)
    trend = (1 + _GROWTH_PER_YEAR * years) * (1 + 0.08 * np.cos(2 * np.pi * (years + 0.1)))
    share = _PLATFORM_SHARE[:, None] * _MARKETPLACE_SHARE[None, :]
    return np.asarray(
        _VIEWS_PER_HOUR * share[None] * daily[:, None, :] * weekly * trend[:, None, None]
    )


def _fading_noise(
    random: np.random.Generator, count: int, *, hours: float, step: int
) -> NDArray[np.float64]:
    """Standard noise whose memory fades over `hours`: white noise under an exponential window."""
    keep = np.exp(-step / (hours * 3600))
    window = keep ** np.arange(int(8 * hours * 3600 / step))
    noise = np.convolve(random.standard_normal(count + len(window) - 1), window, mode="valid")
    return np.asarray(noise / np.sqrt(np.sum(window**2)))


def _effect(
    incidents: Sequence[Incident], measure: str, starts: NDArray[np.int64]
) -> NDArray[np.float64]:
    """What the planted incidents multiply a measure by, (T, platforms, marketplaces)."""
    effect = np.ones((len(starts), len(PLATFORMS), len(MARKETPLACES)))
    for each in incidents:
        if measure not in each.measures and not (measure == "revenue" and "views" in each.measures):
            continue
        times = (starts >= each.start.timestamp()) & (starts < each.end.timestamp())
        platforms = _selected(PLATFORMS, each.slice.get("platform"))
        marketplaces = _selected(MARKETPLACES, each.slice.get("marketplace"))
        effect[np.ix_(times, platforms, marketplaces)] *= each.factor
    return effect


def _selected(names: Sequence[str], value: str | None) -> NDArray[np.bool_]:
    return np.array([value in (None, name) for name in names])


def _names(names: Sequence[str]) -> pa.Table:
    return pa.table(
        {
            "id": pa.array(np.arange(1, len(names) + 1, dtype=np.int64)),
            "name": pa.array(list(names)),
        }
    )
