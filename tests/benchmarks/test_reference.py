"""The reference e-commerce series: all labels of the newest 30 % are found, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks import reference, reference_series


def _is_found_in_full(place: Path) -> None:
    whole, labels = reference.load(place)

    rows = reference.judge(whole, labels)

    for row in rows:
        assert row["labelled"] > 0, row
        assert (row["precision"], row["recall"]) == (1.0, 1.0), row


def test_precision_and_recall_of_the_generated_series_are_one(tmp_path: Path) -> None:
    # 60 days are scored, with some 500 labelled rows in each measure.
    reference_series.write(tmp_path / "series.csv.gz", days=200)

    _is_found_in_full(tmp_path / "series.csv.gz")


def test_precision_and_recall_of_the_public_series_are_one() -> None:
    try:
        place = reference.public()
    except FileNotFoundError as error:
        pytest.skip(str(error))

    _is_found_in_full(place)


def test_the_generated_series_is_the_same_each_time(tmp_path: Path) -> None:
    for name in ("one", "again"):
        reference_series.write(tmp_path / name, days=20)
    reference_series.write(tmp_path / "other", days=20, seed=2)

    one = (tmp_path / "one").read_bytes()
    assert one == (tmp_path / "again").read_bytes()
    assert one != (tmp_path / "other").read_bytes()
