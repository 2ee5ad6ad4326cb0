"""The format of stored models: a package that has another one trains its models again."""

from __future__ import annotations

FORMAT = 25
