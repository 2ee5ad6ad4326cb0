"""The state of a deployed detector, for the command line and the console."""

from __future__ import annotations

from collections import Counter
from datetime import datetime, timedelta
from typing import Any, Final

from anomaly_detector.intervals import iso
from anomaly_detector.ledger.ledger import Ledger

# Intervals that are counted.
_RECENT: Final = timedelta(days=7)


def facts(ledger: Ledger, now: datetime) -> dict[str, Any]:
    """The state, and what is under way or waits, as JSON values.

    Parameters
    ----------
    now : UTC.
    """
    found = ledger.detector()
    wanted = None if found.wanted_hash is None else ledger.run(found.wanted_hash)
    end = found.watermark or now
    recent = ledger.intervals(end - _RECENT, now)
    counted = Counter(one.status for one in recent.values())
    return {
        "status": found.status,
        "reason": found.status_reason,
        "in_force": found.is_live,
        "watermark": _time(found.watermark),
        "seconds_since_watermark": (
            None if found.watermark is None else round((now - found.watermark).total_seconds())
        ),
        "crawl": ledger.crawling(),
        "pipeline": None if wanted is None else wanted.model_dump(mode="json"),
        "configuration": {"active": found.config_hash, "uploaded": found.wanted_hash},
        "model": {"trained": found.trained, "history_end": _time(found.history_end)},
        "intervals_of_7_days": dict(sorted(counted.items())),
        "usage_of_month": ledger.usage(now).model_dump(mode="json", exclude={"recent"}),
        "pending_deliveries": len(ledger.deliveries()),
        "parked_deliveries": [str(one["sk"]) for one in ledger.parked()],
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else iso(moment)
