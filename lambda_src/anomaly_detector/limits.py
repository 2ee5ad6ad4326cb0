"""Limits that many modules know: those of a Lambda function, and of one crawl."""

from __future__ import annotations

from anomaly_detector.config import MOST_MEMORY_MB

# Lambda: the memory that comes with one whole core, and the longest run.
CORE_MB = 1_769
MOST_SECONDS = 900
# Most due intervals that a crawl takes. With the look-back (24 at most), the detector and the
# outbox they fit one transaction of 100 writes.
MOST_DUE = 48

# What is said of a function that came to its end before anybody could count.
_FEWER = (
    "keep fewer series (fewer dimension values, dimensions, measures or rollups) or a shorter "
    "history"
)
OUT_OF_MEMORY = (
    "A function needed more memory than lambda.memory_mb gives it: set it higher (at most "
    f"{MOST_MEMORY_MB}), or {_FEWER}."
)
OUT_OF_TIME = (
    f"A function reached the {MOST_SECONDS // 60} minutes that it may take: where "
    f"lambda.memory_mb is below {CORE_MB}, which is one vCPU, set it higher; else {_FEWER}."
)
