"""A clock that stands still, so that no test depends on when it runs."""

from __future__ import annotations

from datetime import datetime, tzinfo
from types import ModuleType

import pytest


def stop(patches: pytest.MonkeyPatch, now: datetime, *modules: ModuleType) -> None:
    """Let modules at the edge, where the clock is read, read one moment."""

    class Stopped(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return now.astimezone(tz)

    for module in modules:
        patches.setattr(module, "datetime", Stopped)
