"""`backtest` on a file: what it writes, what it says, and each fault as one sentence."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from anomaly_detector.cli import _line, main
from anomaly_detector.config import load
from anomaly_detector.intervals import iso, parse_iso
from anomaly_detector.local_file.progress import Progress

from tests.unit.alerts_samples import config, group
from tests.unit.cli_files import (
    DAYS,
    DOCUMENT,
    FAULT,
    FAULT_HOURS,
    HEADER,
    MONDAY,
    backtest,
    groups,
    scores,
    shop,
    write_csv,
    write_document,
    write_parquet,
)
from tests.unit.report_pages import Read

SOURCES = Path(__file__).resolve().parents[2] / "lambda_src"


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return backtest(DOCUMENT, write_csv(tmp_path_factory.mktemp("shop") / "rows.csv", shop()))


# --- what is written ----------------------------------------------------------------------------


def test_scores_have_the_columns_and_types_that_others_read(out: Path) -> None:
    schema = pq.read_schema(out / "scores.parquet")

    assert [(field.name, str(field.type)) for field in schema] == [
        ("interval_start", "timestamp[ms, tz=UTC]"),
        ("measure", "string"),
        ("platform", "string"),
        ("market", "string"),
        ("actual", "double"),
        ("expected", "double"),
        ("lower", "double"),
        ("upper", "double"),
        ("severity", "double"),
        ("direction", "string"),
        ("anomalous", "bool"),
    ]


def test_the_newest_intervals_are_scored_for_every_series_in_order(out: Path) -> None:
    total = DAYS * 24
    first = MONDAY + timedelta(hours=round(total * 0.7))
    rows = scores(out)
    order = [
        (row["interval_start"], row["measure"], row["platform"], row["market"]) for row in rows
    ]

    assert order == sorted(order)
    assert len(rows) == (total - round(total * 0.7)) * 9 * 2
    assert order[0] == (first, "amount", "*", "*")
    assert order[-1][0] == MONDAY + timedelta(hours=total - 1)
    written = groups(out)
    assert list(written) == ["threshold", "scored_from", "scored_to", "groups"]
    assert written["threshold"] == 50
    assert written["scored_from"] == iso(first)
    assert written["scored_to"] == iso(MONDAY + timedelta(days=DAYS))


def test_actual_values_are_those_of_the_rows(out: Path) -> None:
    wanted: dict[tuple[str, str], list[tuple[float, float]]] = {}
    hour = FAULT.strftime("%Y-%m-%d %H")
    for when, platform, market, amount, latency, _ in shop():
        if when.startswith(hour):
            for key in ((platform, market), (platform, "*"), ("*", market), ("*", "*")):
                wanted.setdefault(key, []).append((amount, latency))

    found = {
        (row["measure"], row["platform"], row["market"]): row["actual"]
        for row in scores(out)
        if row["interval_start"] == FAULT
    }

    assert len(found) == 18
    for key, values in wanted.items():
        assert found["amount", *key] == pytest.approx(sum(value for value, _ in values))
        assert found["latency", *key] == pytest.approx(np.mean([value for _, value in values]))


def test_the_incident_is_found_and_explained(out: Path) -> None:
    hits = [
        group
        for group in groups(out)["groups"]
        if group["StartTime"] < iso(FAULT + timedelta(hours=FAULT_HOURS))
        and group["EndTime"] > iso(FAULT)
        and group["PrimaryMetricName"] == "amount"
    ]

    best = max(hits, key=lambda group: float(group["AnomalyGroupScore"]))
    assert best["Slices"] == [{"platform": "app"}]
    assert best["StartTime"] == iso(FAULT)
    assert best["Actual"] / best["Expected"] == pytest.approx(0.2, rel=0.3)


def test_the_preview_counts_the_groups(out: Path) -> None:
    preview = json.loads((out / "preview.json").read_text(encoding="utf-8"))
    found = groups(out)["groups"]
    weeks = (DAYS * 24 - round(DAYS * 24 * 0.7)) / 168

    assert [set(row) for row in preview] == [{"threshold", "events_per_week"}] * len(preview)
    assert preview[0]["threshold"] == 50
    assert preview[0]["events_per_week"] == pytest.approx(len(found) / weeks, abs=0.01)


def test_the_report_says_what_was_learnt(out: Path) -> None:
    report = json.loads((out / "training.json").read_text(encoding="utf-8"))
    found = {(one["measure"], *one["dimensions"]): one for one in report["classes"]}

    assert report["interval"] == "PT1H"
    assert report["learnt_to"] == iso(MONDAY + timedelta(days=DAYS) - timedelta(hours=1))
    assert list(found) == [
        (measure, *kept)
        for measure in ("amount", "latency")
        for kept in ((), ("platform",), ("market",), ("platform", "market"))
    ]
    assert [one["series"] for one in found.values()] == [1, 2, 2, 4] * 2
    assert [one["seasons"] for one in found.values()] == [["day"]] * 4 + [[]] * 4
    # Of 80 with noise of 4, a mean of two rows.
    latency = found["latency", "platform", "market"]
    assert latency["spread"] == pytest.approx(4 / 80 / np.sqrt(2), rel=0.15)
    assert latency["level"] == pytest.approx(80, rel=0.02)


def test_the_page_shows_the_events_and_is_named_in_the_summary(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = backtest(DOCUMENT, write_csv(tmp_path / "rows.csv", shop()))

    read = Read((out / "report.html").read_text("utf-8"))
    found = groups(out)["groups"]
    assert found
    assert {one["id"] for one in read.all("article")} == {
        f"event={group['AnomalyGroupId']}" for group in found
    }
    assert len(read.data["series"]) == 18
    said = capsys.readouterr().out
    for line in (line.split("  ")[-1] for line in said.splitlines() if " instead of " in line):
        assert line in read.text
    assert f"Open {out / 'report.html'} in a browser" in said


def test_the_report_is_a_table_in_the_summary(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = shop(21)
    gaps = [row for hour, row in enumerate(rows) if row[1] == "web" or hour // 8 % 4 == 0]
    backtest(DOCUMENT, write_csv(tmp_path / "rows.csv", gaps))

    said = capsys.readouterr().out.splitlines()

    first = said.index("Learned, over all intervals:")
    table = said[first + 1 :]
    assert table[0].split() == [
        *("series", "class", "series", "learning", "seasons"),
        *("spread", "missing", "sparse", "constant"),
    ]
    total, both = table[1].split(), table[4].split()
    assert total[:6] == ["amount", "in", "total", "1", "0", "day"]
    assert total[-4:] == ["0", "%", "0", "0"]
    # Half of the leaves have a row in one of four hours.
    assert both[:7] == ["amount", "by", "platform", "and", "market", "4", "0"]
    assert float(both[-4]) == pytest.approx(37.5, abs=3)
    assert both[-2:] == ["2", "0"]
    assert "sparse series: absent rows are zero in 3" in table[9]


def test_the_share_that_is_learnt_is_given(tmp_path: Path) -> None:
    data = write_csv(tmp_path / "rows.csv", shop(10))

    first = groups(backtest(DOCUMENT, data, "--train-fraction", "0.9"))["scored_from"]

    assert first == iso(MONDAY + timedelta(days=9))


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return backtest(DOCUMENT, write_csv(tmp_path_factory.mktemp("plain") / "plain.csv", shop(16)))


@pytest.mark.parametrize("kind", ["csv.gz", "parquet", "semicolons", "shuffled"])
def test_the_kind_of_file_and_the_order_of_rows_change_nothing(
    tmp_path: Path, plain: Path, kind: str
) -> None:
    rows = shop(16)
    if kind == "csv.gz":
        data = write_csv(tmp_path / "rows.csv.gz", rows)
    elif kind == "semicolons":
        data = tmp_path / "rows.csv"
        text = (plain.parent / "plain.csv").read_text(encoding="utf-8")
        data.write_text("\ufeff" + text.replace(",", ";"), encoding="utf-8")
    elif kind == "shuffled":
        order = np.random.default_rng(3).permutation(len(rows))
        data = write_csv(tmp_path / "rows.csv", [rows[index] for index in order])
    else:
        columns = dict(zip(HEADER, map(list, zip(*rows, strict=True)), strict=True))
        times = [datetime.fromisoformat(text) for text in columns["ts"]]
        data = write_parquet(
            tmp_path / "rows.parquet",
            columns
            | {
                "ts": pa.array(times, pa.timestamp("us")),
                "platform": pa.array(columns["platform"]).dictionary_encode(),
            },
        )

    other = backtest(DOCUMENT, data)

    for name in ("scores.parquet", "groups.json", "preview.json"):
        assert (other / name).read_bytes() == (plain / name).read_bytes()


def test_filters_leave_rows_out_before_they_are_rolled_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_csv(tmp_path / "rows.csv", shop(16))
    found = backtest(DOCUMENT | {"dimension_filters": {"platform": ["app", "tv"]}}, data)

    assert {row["platform"] for row in scores(found)} == {"*", "app"}
    half = {row["actual"] for row in scores(found) if row["platform"] == "*"}
    assert half == {row["actual"] for row in scores(found) if row["platform"] == "app"}
    assert f"{16 * 24 * 4:,} rows left out by dimension_filters" in capsys.readouterr().out


def test_a_summary_in_words_goes_to_standard_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [*shop(16), (None, "app", "de", 1, 1, "x")]
    backtest(DOCUMENT, write_csv(tmp_path / "rows.csv", rows))

    said = capsys.readouterr()
    assert "384 intervals of PT1H, 18 series (9 slices, 2 measures)." in said.out
    assert "1 row without a timestamp ignored." in said.out
    assert (
        "then scored 115 from 2025-01-17T05:00:00Z: 30% of the intervals, with 30% of the rows"
        in said.out
    )
    assert "\r" not in said.err
    assert "Replaying 384 intervals: 100 %" in said.err


def test_wild_numbers_change_no_other_slice(tmp_path: Path, plain: Path) -> None:
    rows = shop(16)
    wild = [
        (row[0], "tv", "de", value, "NaN", "x")
        for index, row in enumerate(rows)
        for value in [("1e300", "inf", "-Infinity", "NaN", None)[index // 8 % 5]]
    ]
    found = backtest(DOCUMENT, write_csv(tmp_path / "wild.csv", rows + wild))

    def forecasts(out: Path) -> list[tuple[Any, ...]]:
        return [
            (row["interval_start"], row["measure"], row["market"], row["actual"], row["expected"])
            for row in scores(out)
            if row["platform"] == "web"
        ]

    for one, other in zip(forecasts(found), forecasts(plain), strict=True):
        assert one[:3] == other[:3]
        # Beside infinities a sum is one of floating point, in which the last digit may differ.
        assert one[3:] == pytest.approx(other[3:], rel=1e-12)


def test_too_short_a_history_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = backtest(DOCUMENT, write_csv(tmp_path / "rows.csv", shop(2)))

    assert groups(found)["groups"] == []
    assert "give a longer history" in capsys.readouterr().out


def test_days_of_a_zone_follow_its_clock(tmp_path: Path) -> None:
    start = datetime(2025, 2, 1, tzinfo=UTC)
    times = [start + timedelta(hours=hour) for hour in range(24 * 90)]
    data = write_parquet(
        tmp_path / "rows.parquet", {"at": pa.array(times, pa.timestamp("ns", "UTC"))}
    )
    document = {
        "interval": "P1D",
        "timezone": "Europe/Berlin",
        "timestamp_column": {"name": "AT"},
        "measures": {"at": {"aggregation": "COUNT"}},
        "dimensions": [],
    }

    found = {row["interval_start"]: row["actual"] for row in scores(backtest(document, data))}

    assert 23 not in found.values()  # 30 March lies in the part that is learnt
    whole = scores(backtest(document, data, "--train-fraction", "0.1"))
    days = {row["interval_start"]: row["actual"] for row in whole}
    assert days[datetime(2025, 3, 29, 23, tzinfo=UTC)] == 23
    assert days[datetime(2025, 3, 30, 22, tzinfo=UTC)] == 24


# --- as a command -------------------------------------------------------------------------------


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"PYTHONPATH": str(SOURCES)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_runs_as_a_module_and_explains_itself() -> None:
    helped = command("-m", "anomaly_detector", "backtest", "--help")

    assert helped.returncode == 0
    for word in ("--config", "--data", "--out", "--train-fraction", "--infer", "scores.parquet"):
        assert word in helped.stdout


def test_it_needs_no_aws() -> None:
    code = (
        "import sys, anomaly_detector.cli; "
        "print({'boto3', 'botocore', 'aws_lambda_powertools'} & set(sys.modules))"
    )

    assert command("-c", code).stdout.strip() == "set()"


class Terminal(io.StringIO):
    """Takes what a terminal is sent."""

    def isatty(self) -> bool:
        return True


def test_a_bar_is_drawn_on_a_terminal_and_taken_off_at_the_end() -> None:
    terminal = Terminal()

    with Progress(terminal) as progress:
        progress.start("Replaying")
        progress(0.5)

    assert " 50%" in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")
    assert "\n" not in terminal.getvalue()


# --- a proposal ---------------------------------------------------------------------------------


def propose(data: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    capsys.readouterr()
    assert main(["backtest", "--infer", "--data", str(data)]) == 0
    said = capsys.readouterr().out
    load(said)
    return dict(json.loads(said))


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("x.csv", "detector"),
        ("2025-01.csv", "detector"),
        ("2025_Orders.csv", "orders"),
        ("日.csv", "detector"),
        ("a" * 40 + ".csv", "a" * 32),
    ],
)
def test_every_file_name_gives_a_valid_name(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], file: str, name: str
) -> None:
    data = write_csv(tmp_path / file, shop(2))
    assert main(["backtest", "--infer", "--data", str(data)]) == 0
    assert json.loads(capsys.readouterr().out)["name"] == name


def test_a_configuration_is_proposed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = propose(write_csv(tmp_path / "My shop.csv", shop()), capsys)

    assert found == {
        "name": "my-shop",
        "interval": "PT1H",
        "timestamp_column": {"name": "ts"},
        "measures": {"amount": {"aggregation": "SUM"}, "latency": {"aggregation": "AVG"}},
        "dimensions": ["platform", "market"],
    }


def test_days_marks_keys_and_formats_are_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    header = ("order_id", "day", "store_id", "sold", "is_test", "who")
    rows = [
        (
            number,
            (MONDAY + timedelta(days=number // 3)).strftime("%d.%m.%Y"),
            number % 3,
            number * 7 % 50,
            number % 2,
            f"customer {number}",
        )
        for number in range(300)
    ]

    found = propose(write_csv(tmp_path / "sales.csv", rows, header), capsys)

    assert found["timestamp_column"] == {"name": "day", "format": "dd.MM.yyyy"}
    assert found["interval"] == "P1D"
    assert found["measures"] == {"sold": {"aggregation": "SUM"}}
    assert found["dimensions"] == ["store_id"]


@pytest.mark.parametrize(("interval", "size"), [("P1W", 120), ("P1M", 70)])
def test_weeks_and_months_are_scored_and_their_faults_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], interval: str, size: int
) -> None:
    random = np.random.default_rng(5)
    begin = date(2019, 7, 1)  # a Monday
    days = [begin + timedelta(days=n) for n in range(size * (7 if interval == "P1W" else 31))]
    periods = [
        (day - timedelta(days=day.weekday())) if interval == "P1W" else day.replace(day=1)
        for day in days
    ]
    fault = sorted(set(periods))[-5]
    rows = [
        (day, round(random.normal(100, 5) * (0.4 if period == fault else 1), 2))
        for day, period in zip(days, periods, strict=True)
    ]
    document = {
        "interval": interval,
        "timezone": "Europe/Berlin",
        "timestamp_column": {"name": "day"},
        "measures": {"sold": {}},
        "dimensions": [],
    }

    found = groups(backtest(document, write_csv(tmp_path / "rows.csv", rows, ("day", "sold"))))

    (worst,) = [one for one in found["groups"] if one["AnomalyGroupScore"] >= 50]
    midnight = datetime(fault.year, fault.month, fault.day, tzinfo=ZoneInfo("Europe/Berlin"))
    assert parse_iso(worst["StartTime"]) == midnight.astimezone(UTC)
    assert f"intervals of {interval}" in capsys.readouterr().out


def test_rows_are_counted_where_there_is_no_number(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [(row[0], row[1]) for row in shop(20)]

    found = propose(write_csv(tmp_path / "log.csv", rows, ("ts", "platform")), capsys)

    assert found["measures"] == {"ts": {"aggregation": "COUNT"}}
    assert found["dimensions"] == ["platform"]


def test_a_proposal_is_written_or_run_where_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = str(write_csv(tmp_path / "rows.csv", shop(16)))
    config, folder = tmp_path / "new.json", tmp_path / "all"

    assert main(["backtest", "--infer", "--data", data, "--config", str(config)]) == 0
    assert capsys.readouterr().out == ""
    assert main(["backtest", "--infer", "--data", data, "--config", str(config)]) == 2
    refused = capsys.readouterr().err
    assert "already exists" in refused
    assert "Inspecting" not in refused
    assert main(["backtest", "--infer", "--data", data, "--out", str(folder)]) == 0

    assert (folder / "detector.json").read_text() == config.read_text()
    assert (folder / "scores.parquet").exists()


# --- faults -------------------------------------------------------------------------------------


def fault(
    capsys: pytest.CaptureFixture[str], data: Path, document: object = None, **options: str
) -> str:
    """Run with something wrong; returns the one sentence."""
    config = data.parent / "faulty.json"
    if isinstance(document, str):
        config.write_text(document, encoding="utf-8")
    else:
        write_document(config, DOCUMENT | (document if isinstance(document, dict) else {}))
    given = {"config": str(config), "data": str(data), "out": str(data.parent / "out")} | options
    capsys.readouterr()
    parts = [part for name, value in given.items() for part in (f"--{name}", value)]
    assert main(["backtest", *parts]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    lines = said.err.splitlines()
    assert not any("Traceback" in line for line in lines)
    assert lines[-1].startswith("anomaly_detector: ")
    assert lines[-1].endswith(".")
    return lines[-1].removeprefix("anomaly_detector: ")


ROW = ("2025-01-06 00:00:00", "app", "de", 1.5, 80, "x")
LATER = ("2025-01-06 05:00:00", "app", "de", 1.5, 80, "x")


@pytest.mark.parametrize(
    ("rows", "changes", "said"),
    [
        ([ROW, LATER], {"dimensions": ["country"]}, "no column 'country'; its columns are: ts, pl"),
        (
            [ROW, ("6th of Jan", *ROW[1:])],
            {},
            "Column 'ts' (timestamp_column) holds '6th of Jan' in row 2, which is not a time",
        ),
        ([ROW, ("2025-02-30 00:00:00", *ROW[1:])], {}, "holds '2025-02-30 00:00:00' in row 2"),
        ([ROW, ("1736121600", *ROW[1:])], {}, "holds '1736121600' in row 2, which is a number"),
        (
            [ROW, LATER],
            {"timestamp_column": {"name": "ts", "format": "dd.MM.yyyy"}},
            "holds '2025-01-06 00:00:00' in row 1, which is not a time in the format 'dd.MM.yyyy'",
        ),
        (
            [ROW, LATER],
            {"timestamp_column": {"name": "ts", "format": "QQ"}},
            "timestamp_column.format must consist of yyyy, MMM",
        ),
        (
            [ROW, (*LATER[:3], "3 pieces", 1, "x")],
            {},
            "Column 'amount' (measure) holds '3 pieces' in row 2, which is not a number",
        ),
        ([ROW, ROW], {}, "All rows lie in one interval of PT1H, which starts at 2025-01-06T00:00"),
        ([], {}, "holds no rows"),
        ([(None, *ROW[1:])], {}, "Column 'ts' (timestamp_column) of"),
        ([("2025-01-06", *ROW[1:]), ("2025-01-09", *ROW[1:])], {}, "set interval to 'P1D'"),
        ([ROW, LATER], {"max_series": 7}, "8 series (2 measures times 4 slices), above max_series"),
        ([ROW, ("0001-01-01", *ROW[1:])], {}, "at most 1,000,000 are taken"),
        ([ROW, LATER], {"dimension_filters": {"market": ["us"]}}, "passes dimension_filters"),
        ([ROW, LATER], {"colour": "red"}, "The configuration is not valid: colour is not a known"),
        ([ROW, LATER], "{", "is not JSON"),
        ([ROW, LATER], "[]", "The configuration is not valid"),
        ([ROW, ROW[:4]], {}, "cannot be read as CSV"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    rows: list[tuple[Any, ...]],
    changes: object,
    said: str,
) -> None:
    assert said in fault(capsys, write_csv(tmp_path / "rows.csv", rows), changes)


@pytest.mark.parametrize(
    ("name", "body", "said"),
    [
        ("rows.csv", b"PK\x03\x04\0xl/workbook.xml", "is an Excel workbook; save the sheet as CSV"),
        ("rows.csv", b"PK\x03\x04\0rows.csv", "is a ZIP archive; unpack it"),
        ("rows.csv", b"\xd0\xcf\x11\xe0\xa1\xb1", "is an Excel workbook (.xls)"),
        ("rows.csv", b"<!DOCTYPE html><table>", "is HTML or XML"),
        ("rows.csv", b"\x7fELF\x01\0\x03\0\xff\xfe", "holds bytes that are no text"),
        ("rows.csv", b"", "is empty"),
        ("rows.csv", b"ts,amount,ts\n", "the column 'ts' more than once"),
        ("rows.csv.gz", b"ts,amount\n", "holds no rows"),
        ("rows.csv.gz", gzip.compress(b"ts,amount\n" * 10_000)[:-20], "cannot be read: "),
        ("rows.parquet", b"ts,amount\n", "holds no rows"),
        ("rows.parquet", b"PAR1\0\0\0\0", "cannot be read: "),
        ("rows.parquet", b"", "is empty"),
        ("lacking.csv", None, "does not exist"),
    ],
)
def test_a_file_that_is_none_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, body: bytes | None, said: str
) -> None:
    if body is not None:
        (tmp_path / name).write_bytes(body)
    document = {"measures": {"amount": {}}, "dimensions": []}

    assert said in fault(capsys, tmp_path / name, document)


@pytest.mark.parametrize(
    ("column", "kind", "said"),
    [
        (
            "ts",
            pa.int64(),
            "Column 'ts' (timestamp_column) holds '3600' in row 2, which is not a time",
        ),
        ("ts", pa.bool_(), "Column 'ts' (timestamp_column) is BOOLEAN, not a timestamp"),
        ("amount", pa.timestamp("s"), "Column 'amount' (measure) is TIMESTAMP, not a number"),
        ("platform", pa.float64(), "Column 'platform' (dimension) is DOUBLE, which cannot tell"),
    ],
)
def test_a_column_of_the_wrong_type_is_named(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    column: str,
    kind: pa.DataType,
    said: str,
) -> None:
    hours = pa.array([0, 3600, 7200], pa.int64())
    columns = {
        "ts": hours.cast(pa.timestamp("s")),
        "platform": pa.array(["a", "b", None]),
        "amount": hours,
    }
    data = write_parquet(tmp_path / "rows.parquet", columns | {column: hours.cast(kind)})

    document = {"measures": {"amount": {}}, "dimensions": ["platform"]}
    assert said in fault(capsys, data, document)


def test_times_with_a_zone_are_not_read_in_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    times = pa.array([0, 3600], pa.int64()).cast(pa.timestamp("s", "UTC"))
    data = write_parquet(tmp_path / "rows.parquet", {"ts": times, "amount": times.cast(pa.int64())})
    stamp = {"name": "ts", "timezone": "Europe/Berlin"}

    said = fault(
        capsys, data, {"timestamp_column": stamp, "measures": {"amount": {}}, "dimensions": []}
    )

    assert "set timestamp_column.timezone to 'UTC'" in said


def test_results_that_cannot_be_written_are_complained_of_before_the_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_csv(tmp_path / "rows.csv", [ROW, LATER])
    (tmp_path / "taken").write_bytes(b"")

    assert "cannot be written" in fault(capsys, data, out=str(tmp_path / "taken"))
    assert "cannot be written" in fault(capsys, data, out=str(tmp_path / "taken" / "below"))
    assert "cannot be read" in fault(capsys, data, config=str(tmp_path / "none.json"))


@pytest.mark.parametrize(
    "options",
    [
        ["--config", "c.json", "--data", "d.csv"],
        ["--data", "d.csv", "--out", "o"],
        ["--infer", "--data", "none.csv"],
    ],
)
def test_what_is_missing_is_named(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backtest", *options]) == 2
    assert capsys.readouterr().err.startswith("anomaly_detector: ")


@pytest.mark.parametrize("options", [[], ["backtest"], ["backtest", "--train-fraction", "70"]])
def test_a_wrong_option_ends_with_the_same_status(
    options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(options)

    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("anomaly_detector: ")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"kind": "dip"},
            "down 35 % on mobile_app on 15 Jan 2022 from 04:00 to 05:00, 650 instead of 1,000",
        ),
        (
            {
                "kind": "level",
                "direction": "up",
                "actual": 71511.2,
                "accepted": True,
                "slices": [{}],
            },
            (
                "up 7,051 % at a new level in total on 15 Jan 2022 from 04:00 to 05:00, "
                "71,511 instead of 1,000, accepted as the new level"
            ),
        ),
        (
            {"kind": "no data", "actual": None, "slices": [{}]},
            "has no data in total on 15 Jan 2022 from 04:00 to 05:00, 1,000 expected",
        ),
    ],
)
def test_an_event_is_told_in_one_line(changes: dict[str, Any], said: str) -> None:
    assert _line(config(), group(**changes)) == f" 83  revenue {said}"
