"""One module per Lambda function: parse the event, call a service, return its result; no logic."""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder


class _NoPandas(MetaPathFinder):
    """Hides pandas.

    The managed layer contains pandas, and pyarrow imports it, if installed, when an array is
    created from Python or numpy values. That would slow down every cold start. With pandas hidden,
    pyarrow works as if it were not installed, which is how the tests run.
    """

    def find_spec(self, fullname: str, *_: object) -> None:
        """Hide pandas; leave everything else to the other finders."""
        if fullname == "pandas":
            raise ModuleNotFoundError("The functions run without pandas.", name=fullname)


sys.meta_path.insert(0, _NoPandas())
