"""`anomaly-detector`, or `python -m anomaly_detector`."""

from __future__ import annotations

import importlib.util
import sys

_NEEDED = ("duckdb", "numpy", "pyarrow", "pydantic", "sqlglot")


def run() -> int:
    """Run the command line, if what it needs is installed; returns the exit status."""
    lacking = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if lacking:
        sys.stderr.write(
            f"anomaly_detector: {' and '.join(lacking)} cannot be imported; run "
            "pip install -r requirements-cli.txt.\n"
        )
        return 2
    from anomaly_detector.cli import main

    return main()


if __name__ == "__main__":
    sys.exit(run())
