"""Limits used by several modules: those of a Lambda function, and of one crawl."""

from __future__ import annotations

from anomaly_detector.config import MOST_MEMORY_MB

# Lambda: the memory that provides one vCPU, and the maximum duration.
CORE_MB = 1_769
MOST_SECONDS = 900
# Maximum number of calls that train one part, 15 minutes each: those of ten parts and the chunks of
# history fit into the 25,000 events of an execution.
MOST_ROUNDS = 200
# Maximum number of due intervals in a crawl. With the look-back (at most 24), the detector and the
# outbox, they fit into one transaction of 100 writes.
MOST_DUE = 48

# Messages for a function that reached its limits before the estimate could be checked.
_FEWER = "reduce the number of series (fewer dimension values, dimensions, measures or rollups)"
OUT_OF_MEMORY = (
    "A function needed more memory than lambda.memory_mb: increase it (at most "
    f"{MOST_MEMORY_MB}), or {_FEWER}."
)
OUT_OF_TIME = (
    f"A function exceeded its time limit of {MOST_SECONDS // 60} minutes: if lambda.memory_mb is "
    f"below {CORE_MB}, which is one vCPU, increase it; otherwise {_FEWER}."
)
