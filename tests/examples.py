"""How many examples are drawn where one takes long: few in `make test`, more in `make bench`."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import settings

_TIMES = int(os.environ.get("EXAMPLES_TIMES", "1"))


def examples(count: int, **others: Any) -> settings:
    """So many in `make test`."""
    return settings(max_examples=count * _TIMES, **others)
