"""Documents that are uploaded by hand: one that is not valid, and one of days in Berlin."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from local.cloud import LocalCloud
from local.harness import Deployment

BERLIN = ZoneInfo("Europe/Berlin")
# The newest 30 % are scored: more than half a year, so clocks change within them.
DAYS = 730


def test_a_document_that_is_not_valid_is_refused_by_key_until_a_valid_one_comes(
    detector: Deployment,
) -> None:
    good = detector.document()
    watermark = detector.watermark()
    detector.received("operations")

    detector.upload({**good, "meazures": {}, "lookback_intervals": 99})
    pipeline = detector.wait_for_pipeline()

    assert pipeline.status == "FAILED"
    state = detector.detector()
    assert state["status"] == "FAILED"
    for fault in ("meazures is not a known key", "lookback_intervals must be "):
        assert fault in state["status_reason"]
    (told,) = detector.received("operations")
    assert "meazures" in str(told["Message"])
    # Crawls go on with the configuration in force.
    crawl = detector.crawl_next()
    assert crawl.succeeded, crawl.cause
    watermark += timedelta(hours=1)
    assert detector.watermark() == watermark

    detector.upload(good)
    pipeline = detector.wait_for_pipeline()

    assert pipeline.succeeded, pipeline.cause
    assert detector.detector()["status"] == "ACTIVE"
    assert detector.watermark() == watermark
    assert detector.crawl_next().succeeded
    assert detector.watermark() == watermark + timedelta(hours=1)


@pytest.fixture
def takings(cloud: LocalCloud, tmp_path: Path) -> dict[date, list[float]]:
    """A table `till` of text in Berlin's wall clock, two years and four days; amounts by day."""
    today = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    generator = np.random.default_rng(5)
    moments = [today + timedelta(hours=2 * step) for step in range(-12 * DAYS - 48, 12 * 4)]
    rows = [(each.astimezone(BERLIN), float(generator.integers(90, 110))) for each in moments]
    file = tmp_path / "till.parquet"
    texts = [f"{wall:%Y-%m-%dT%H:%M:%S}" for wall, _ in rows]
    pq.write_table(pa.table({"at": texts, "amount": [amount for _, amount in rows]}), file)
    cloud.load_table("shop", "till", file)
    amounts: dict[date, list[float]] = defaultdict(list)
    for wall, amount in rows:
        amounts[wall.date()].append(amount)
    return amounts


def test_days_follow_the_clocks_of_their_zone_in_every_aggregation(
    detector: Deployment, takings: dict[date, list[float]]
) -> None:
    detector.upload(
        {
            **detector.document(),
            "interval": "P1D",
            "timezone": "Europe/Berlin",
            "timestamp_column": {
                "name": "at",
                "format": "yyyy-MM-dd'T'HH:mm:ss",
                "timezone": "Europe/Berlin",
            },
            "measures": {
                "amount": {},
                "prices": {"aggregation": "COUNT_DISTINCT"},
                "ticket": {"aggregation": "P50"},
                "large": {"aggregation": "P90", "exact": True},
                "mean": {"aggregation": "RATIO", "numerator": "amount", "denominator": "sales"},
            },
            "dimensions": [],
            "alerts": {},
            "query": "select at, amount, amount as prices, amount as ticket, amount as large, "
            "1 as sales from till where at >= '{{ window_start }}' and at < '{{ window_end }}'",
            "history": {"length": f"P{DAYS}D", "chunk": "P365D"},
        }
    )
    pipeline = detector.wait_for_pipeline()
    assert pipeline.succeeded, pipeline.cause
    tomorrow = (detector.watermark() + timedelta(hours=36)).astimezone(BERLIN).date()

    crawl = detector.crawl(_midnight(tomorrow + timedelta(days=1)) + timedelta(hours=1))

    assert crawl.succeeded, crawl.cause
    assert detector.watermark() == _midnight(tomorrow + timedelta(days=1))
    scores = detector.results("scores")
    aggregated = {
        "prices": lambda amounts: len(set(amounts)),
        "ticket": lambda amounts: np.quantile(amounts, 0.5, method="inverted_cdf"),
        "large": lambda amounts: np.quantile(amounts, 0.9),
        "mean": np.mean,
    }
    for row in scores.to_pylist():
        if row["measure"] in aggregated:
            amounts = takings[row["interval_start"].astimezone(BERLIN).date()]
            assert row["actual"] == pytest.approx(aggregated[row["measure"]](amounts)), row
    assert set(aggregated) < set(scores["measure"].to_pylist())
    scores = scores.filter(pc.equal(scores["measure"], "amount"))
    found = {}
    for row in scores.to_pylist():
        day = row["interval_start"].astimezone(BERLIN)
        assert (day.hour, day.minute) == (0, 0)
        found[day.date()] = row["actual"]
    days = sorted(found)
    assert len(days) > 215
    assert days[-1] == tomorrow
    assert found == {day: pytest.approx(sum(takings[day])) for day in days}
    lengths = {_midnight(day + timedelta(days=1)) - _midnight(day) for day in days}
    assert len(lengths) > 1, "clocks changed meanwhile"


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=BERLIN).astimezone(UTC)
