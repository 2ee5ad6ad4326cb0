"""The sample shop: the same seed gives the same rows, and the truth on file is in them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from local import shop

ANCHOR = datetime(2026, 3, 4, 13, tzinfo=UTC)


def _hourly(table: pa.Table, measure: str, platform: str | None = None) -> NDArray[np.float64]:
    hours = table["ts"].to_numpy().astype("datetime64[h]").astype(np.int64)
    values = table[measure].cast(pa.float64()).to_numpy()
    if platform is not None:
        keep = table["platform"].to_numpy() == shop.PLATFORMS.index(platform) + 1
        hours, values = hours[keep], values[keep]
    return np.bincount(hours - hours.min(), weights=values).astype(np.float64)


def test_the_same_seed_gives_the_same_rows_and_another_seed_does_not() -> None:
    first = shop.build(ANCHOR, 3, days=5)
    again = shop.build(ANCHOR, 3, days=5)
    other = shop.build(ANCHOR, 4, days=5)

    assert first.ecommerce.equals(again.ecommerce)
    assert not first.ecommerce.equals(other.ecommerce)


def test_a_year_of_rows_reaches_past_the_anchor_within_the_limit() -> None:
    made = shop.build(ANCHOR)

    moments = made.ecommerce["ts"].to_numpy()
    assert made.ecommerce.num_rows <= 800_000
    assert moments.min() < np.datetime64((ANCHOR - timedelta(days=364)).replace(tzinfo=None))
    assert moments.max() > np.datetime64((ANCHOR + timedelta(hours=47)).replace(tzinfo=None))
    assert (np.diff(moments.astype(np.int64)) >= 0).all()
    assert made.ecommerce.schema.field("revenue").type == pa.decimal128(9, 2)
    assert min(made.ecommerce["revenue"].to_pylist()) >= Decimal(0)


def test_level_follows_day_week_and_trend_and_noise_grows_with_it() -> None:
    made = shop.build(ANCHOR.replace(hour=0), incidents=(), live_hours=0)

    app = _hourly(made.ecommerce, "views", "mobile_app")
    office = _hourly(made.ecommerce, "views", "pc_web")
    total = app + office
    by_hour = total.reshape(-1, 24).mean(axis=0)
    assert by_hour.max() > 2 * by_hour.min()
    days_app, days_office = app.reshape(-1, 24).sum(axis=1), office.reshape(-1, 24).sum(axis=1)
    # The first day is Tuesday, the 4th of March 2025.
    weekday = (1 + np.arange(len(days_app))) % 7
    assert days_app[weekday >= 5].mean() > 1.08 * days_app[weekday < 5].mean()
    assert days_office[weekday >= 5].mean() < 0.9 * days_office[weekday < 5].mean()
    assert total[-28 * 24 :].mean() > 1.15 * total[: 28 * 24].mean()
    # Week against week at the same hour: differences are larger where the level is.
    change = np.abs(total[168:] - total[:-168])
    high = total[168:] > np.median(total)
    assert change[high].mean() > 1.5 * change[~high].mean()


@pytest.mark.parametrize("kind", ["combination", "platform", "marketplace"])
def test_a_planted_incident_multiplies_its_slice_and_nothing_else(kind: shop.Kind) -> None:
    where = {
        "combination": {"platform": "mobile_app", "marketplace": "de"},
        "platform": {"platform": "mobile_app"},
        "marketplace": {"marketplace": "de"},
    }[kind]
    start = ANCHOR + timedelta(hours=4)
    incident = shop.Incident(("revenue",), start, start + timedelta(hours=2), where, kind, 0.25)

    plain = shop.build(ANCHOR, days=2, incidents=()).ecommerce.to_pydict()
    made = shop.build(ANCHOR, days=2, incidents=(incident,)).ecommerce.to_pydict()

    assert made["views"] == plain["views"]
    for row, moment in enumerate(made["ts"]):
        inside = (
            incident.start <= moment.replace(tzinfo=UTC) < incident.end
            and shop.PLATFORMS[made["platform"][row] - 1]
            == where.get("platform", shop.PLATFORMS[made["platform"][row] - 1])
            and shop.MARKETPLACES[made["marketplace"][row] - 1]
            == where.get("marketplace", shop.MARKETPLACES[made["marketplace"][row] - 1])
        )
        expected = float(plain["revenue"][row]) * (0.25 if inside else 1.0)
        assert float(made["revenue"][row]) == pytest.approx(expected, abs=0.02)


def test_incidents_cover_every_kind_before_and_after_the_anchor() -> None:
    planned = shop.plan_incidents(ANCHOR)

    for later in (False, True):
        kinds = {each.kind for each in planned if (each.start > ANCHOR) is later}
        assert kinds == {"combination", "platform", "marketplace"}
    assert list(planned) == sorted(planned, key=lambda each: each.start)
    tested = [each for each in planned if ANCHOR - timedelta(days=27) <= each.start < ANCHOR]
    assert len(tested) >= 5


def test_tables_and_truth_are_written_and_read_back(tmp_path: Path) -> None:
    made = shop.build(ANCHOR, days=30)

    files = made.write(tmp_path)

    assert pq.read_table(files["ecommerce"]).num_rows == made.ecommerce.num_rows
    assert pq.read_table(files["platform"])["name"].to_pylist() == list(shop.PLATFORMS)
    assert (
        shop.truth_from_json((tmp_path / "truth.json").read_text(encoding="utf-8"))
        == made.incidents
    )


def test_an_anchor_within_an_hour_is_refused() -> None:
    with pytest.raises(ValueError, match="whole hour"):
        shop.build(ANCHOR + timedelta(minutes=5))
