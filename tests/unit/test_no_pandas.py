"""The managed layer holds pandas beside pyarrow; a cold start is not to pay for importing it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
# pyarrow swallows an ImportError: the attempt is what counts.
FAKE = """
import os, pathlib
pathlib.Path(os.environ["ATTEMPT"]).touch()
raise ImportError("pandas is not to be imported")
"""
WHOLE_WAY = """
import importlib, os, pkgutil
import moto
from anomaly_detector import handlers
from tests.unit.services_world import DAY, H1, World, document, sales
with moto.mock_aws():
    for module in pkgutil.iter_modules(handlers.__path__):
        importlib.import_module(f"anomaly_detector.handlers.{module.name}")
    world = World(sales(6, late={(2, "pc_web"): 1}))
    world.upload(document(shards=2))
    world.activate()
    for day in range(1, 6):
        assert world.crawl(H1 + DAY * day, f"crawl-{day}")
    assert world.mail.messages
    assert any(key.endswith(".parquet") for key in world.published())
# A process that exits soon after reading Parquet may abort: https://github.com/apache/arrow/issues/34314
os._exit(0)
"""


@pytest.mark.parametrize(
    ("script", "imported"),
    [
        (WHOLE_WAY, False),
        # What the first would be worth without the guard.
        ("import numpy, pyarrow; pyarrow.array(numpy.zeros(1))", True),
    ],
    ids=["functions-never-do", "pyarrow-alone-does"],
)
def test_given_pandas_beside_pyarrow_when_run_then_it_is_imported_only_by_pyarrow_itself(
    script, imported, tmp_path
):
    package = tmp_path / "pandas"
    package.mkdir()
    (package / "__init__.py").write_text(FAKE)
    attempt = tmp_path / "attempt"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, (tmp_path, ROOT / "lambda_src", ROOT))),
            "ATTEMPT": str(attempt),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert attempt.exists() == imported
