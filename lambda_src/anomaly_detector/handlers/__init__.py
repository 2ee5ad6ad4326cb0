"""One module per Lambda function: parse the event, call one service, answer. No logic."""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder


class _NoPandas(MetaPathFinder):
    """Finds no pandas.

    The managed layer holds it, and pyarrow imports it where it is installed, as soon as an array is
    made of Python or numpy values. Every cold start would pay for it; without it, pyarrow works as
    it does where none is installed, which is how the tests run.
    """

    def find_spec(self, fullname: str, *_: object) -> None:
        """Refuse pandas; leave all else to the other finders."""
        if fullname == "pandas":
            raise ModuleNotFoundError("The functions run without pandas.", name=fullname)


sys.meta_path.insert(0, _NoPandas())
