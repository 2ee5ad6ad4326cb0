"""The commit is one transaction: its function imports no library of arrays."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import sys
import anomaly_detector.handlers.{}
print(*sorted({{"numpy", "pyarrow"}} & set(sys.modules)))
"""


@pytest.mark.parametrize(
    ("handler", "imported"),
    [("commit", ""), ("reconcile", ""), ("record_failure", ""), ("detect", "numpy pyarrow")],
)
def test_only_functions_that_compute_import_numpy_and_pyarrow(handler: str, imported: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(handler)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "lambda_src")},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.strip() == imported
