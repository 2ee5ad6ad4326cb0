"""The files that people have: headers, encodings, numbers and times as they are written, each
compared with the truth that was written into them.
"""

from __future__ import annotations

import bz2
import gzip
import json
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from anomaly_detector.config import Config, load
from anomaly_detector.errors import PermanentError
from anomaly_detector.local_file.aggregate import aggregate
from anomaly_detector.local_file.engine import Engine
from anomaly_detector.local_file.files import open_files
from anomaly_detector.local_file.infer import infer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.cli_files import aggregated

DAY0 = datetime(2025, 1, 1, tzinfo=UTC)
VALUES = [1200.5, 934.0, 1367.25, 80.0, 1999.99, 1500.0, 12.3, 1042.75] * 8
DAYS = [DAY0 + timedelta(days=day) for day in range(len(VALUES))]


def proposal(path: Path, encoding: str | None = None) -> tuple[dict[str, Any], str]:
    """The proposed document and all reasons."""
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(Path(folder), lambda _: None)
        found = infer(open_files(path, engine, encoding), "rows", engine)
    load(json.dumps(found.document))
    return found.document, "\n".join(found.reasons)


def totals(path: Path, document: dict[str, Any]) -> tuple[list[datetime], list[float]]:
    """Starts and the sum of sales in total, of a file read by a configuration."""
    config = Config.model_validate(document)
    panel = aggregated(config, path).panel
    total = panel.slices.tolist().index(["*"] * len(config.dimensions))
    starts = [start.item().replace(tzinfo=UTC) for start in panel.starts]
    return starts, panel.values[:, list(config.measures).index("sales"), total].tolist()


def text_of(
    times: Sequence[str], numbers: Sequence[str], delimiter: str = ",", header: str = ""
) -> str:
    """CSV of a date, a region and sales; two rows a day, the second without a value."""
    quoted = [f'"{text}"' if delimiter in text else text for text in numbers]
    stamps = [f'"{text}"' if delimiter in text else text for text in times]
    lines = [header or delimiter.join(("date", "region", "sales"))]
    for stamp, number in zip(stamps, quoted, strict=True):
        lines.append(delimiter.join((stamp, "de", number)))
        lines.append(delimiter.join((stamp, "fr", "")))
    return "\n".join(lines) + "\n"


def iso(days: Sequence[datetime] = DAYS) -> list[str]:
    return [f"{day:%Y-%m-%d}" for day in days]


def plain() -> list[str]:
    return [f"{value:.2f}" for value in VALUES]


def check(path: Path, days: Sequence[datetime] = DAYS) -> str:
    """What is inferred reads what was written; returns the reasons."""
    document, reasons = proposal(path)
    assert document["interval"] == "P1D", reasons
    assert document["measures"]["sales"]["aggregation"] == "SUM", reasons
    assert document["dimensions"] == ["region"]
    starts, sums = totals(path, document)
    assert starts == list(days)
    assert sums == VALUES
    return reasons


# --- headers, encodings and kinds ---------------------------------------------------------------

TEXT = text_of(iso(), plain())


@pytest.mark.parametrize(
    "body",
    [
        TEXT.encode(),
        b"\n\n" + TEXT.encode(),
        b"\xef\xbb\xbf" + TEXT.encode(),
        b"\xef\xbb\xbfsep=;\r\n" + TEXT.replace(",", ";").replace("\n", "\r\n").encode(),
        b"Sales, all shops\nmade by hand\n\n" + TEXT.encode(),
        TEXT.replace(",", ", ").encode(),
        TEXT.replace("date,region,sales", '"date", "region", "sales"').encode(),
        TEXT.replace(",de,", ', "de",').encode(),
        TEXT.replace(",", "\t").encode(),
        TEXT.replace(",", "|").encode(),
        TEXT.replace("\n", "\r").encode(),
        TEXT.replace("\n", "\r\n", 20).encode(),
        TEXT.encode("utf-16"),
        TEXT.encode("utf-16-le"),
        TEXT.encode("utf-16-be"),
        TEXT.replace(",fr,", ",Köln – €,").encode("cp1252"),
        gzip.compress(TEXT.encode()),
        bz2.compress(TEXT.encode()),
        (TEXT + "Grand total,,99999\n").encode(),
        (TEXT + "Summe,,99999\n").encode(),
        (TEXT + "2099-12-31,de,5\n").encode(),
        TEXT.encode("utf-32"),
        TEXT.encode("utf-32-be"),
        TEXT.replace("\n", ",\n").replace("sales,", "sales", 1).encode(),
        "\n".join(
            f"{n},{line}" if n else line for n, line in enumerate(TEXT.splitlines())
        ).encode(),
        TEXT.replace("sales\n", "sales\n----------,------,-----\n", 1).encode(),
        TEXT.replace(",", "^").encode(),
        TEXT.replace(",", "\x01").encode(),
        (TEXT + TEXT.partition("\n")[0] + "\n").encode(),
        (TEXT + "1900-01-00,de,5\n").encode(),
        pa.compress(TEXT.encode(), "zstd", asbytes=True),
    ],
)
def test_given_a_file_as_programs_write_it_then_it_reads(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "rows.csv.gz"  # whatever it is
    path.write_bytes(body)

    check(path)


def records() -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for day, value in zip(iso(), VALUES, strict=True):
        rows.append({"date": day, "region": "de", "sales": value, "tags": {"a": 1}})
        rows.append({"date": day, "region": "fr", "sales": None})
    return rows


ROWS = [{name: row[name] for name in ("date", "region", "sales")} for row in records()]


def lines_of(rows: Sequence[dict[str, Any]]) -> str:
    return "\n".join(json.dumps(row) for row in rows)


def extended(row: dict[str, Any]) -> dict[str, Any]:
    """As MongoDB exports it."""
    number = None if row["sales"] is None else {"$numberDouble": str(row["sales"])}
    moment = int(datetime.fromisoformat(row["date"] + "T00:00Z").timestamp() * 1000)
    return {**row, "date": {"$date": {"$numberLong": str(moment)}}, "sales": number}


def test_given_an_export_of_mongodb_then_its_values_are_unwrapped(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(lines_of([extended(row) for row in ROWS]))

    check(path)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (json.dumps({"rows": ROWS[:4]}), "jq -c '.rows[]'"),
        (json.dumps({"meta": 1, "data": ROWS * 60}, indent=1), "jq -c '.data[]'"),
        (json.dumps({name: [row[name] for row in ROWS] for name in ROWS[0]}), "JSON by column"),
        (json.dumps([list(row.values()) for row in ROWS]), "write each row as an object"),
        (lines_of([{"ts": row["date"], "Ts": "x", "n": 1} for row in ROWS]), "more than once"),
    ],
)
def test_given_json_that_holds_no_rows_by_themselves_then_it_is_said_how_to_write_them(
    tmp_path: Path, body: str, said: str
) -> None:
    path = tmp_path / "rows.json"
    path.write_text(body)

    with pytest.raises(PermanentError) as error:
        proposal(path)

    assert said in str(error.value)


def test_given_another_code_page_then_it_is_said_and_may_be_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(TEXT.replace(",fr,", ",東京,").encode("shift_jis"))

    assert "give --encoding" in check(path)
    document, reasons = proposal(path, "shift_jis")
    assert "--encoding" not in reasons
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(Path(folder), lambda _: None)
        files = open_files(path, engine, "shift_jis")
        panel = aggregate(Config.model_validate(document), files, engine).panel
    assert ["東京"] in panel.slices.tolist()
    with pytest.raises(PermanentError, match="cannot be read as ascii"):
        proposal(path, "ascii")


def test_given_json_lines_or_an_array_under_any_name_then_they_read(tmp_path: Path) -> None:
    lines, array = tmp_path / "lines.csv", tmp_path / "array.parquet"
    lines.write_text("\n".join(json.dumps(row) for row in records()))
    array.write_text(json.dumps(records(), indent=1))

    check(lines)
    check(array)


def test_given_parts_in_a_folder_or_by_a_pattern_then_they_are_one(tmp_path: Path) -> None:
    folder = tmp_path / "unloaded"
    rows = pa.Table.from_pylist([row | {"tags": None} for row in records()]).drop_columns(["tags"])
    for place, region in enumerate(("de", "fr")):
        part = folder / f"region={region}" / f"000{place}_part_00.parquet"
        part.parent.mkdir(parents=True)
        kept = rows.filter(pa.compute.equal(rows["region"], region)).drop_columns(["region"])
        pq.write_table(kept, part)
    (folder / "manifest").write_text("{}")
    (folder / "_SUCCESS").write_text("")
    for place in range(2):
        part = tmp_path / f"day-{place}.csv"
        lines = TEXT.splitlines(keepends=True)
        part.write_text(lines[0] + "".join(lines[1 + place :: 2]))

    check(folder)
    check(tmp_path / "day-*.csv")
    assert pq.read_metadata(folder / "region=de" / "0000_part_00.parquet").num_rows == len(VALUES)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (TEXT.partition("\n")[2].encode(), "has no header: its first row looks like data (2025"),
        (b"Jan 1 2025,de,5\nJan 2 2025,de,6\n", "has no header"),
        (b"date,region,sales\n2025-01-01,de,5\n2025-01-02,6\n", "line 3 has 2 fields"),
        (b'date,region,sales\n2025-01-01,"de,5\n2025-01-02,de,6\n', "a quote that is not closed"),
        (b"\n\n\n", "is empty"),
        (b"a,b\nfoo,1\nbar,2\n", "the nearest is 'a', which holds 'foo' in row 1"),
        (b"date,n\n2025-01,1\n2025-02,2\n2025-03,2\n", "'2025-01' in row 1 (a month"),
        (b"date,n\n45658,1\n45659,2\n45660,5\n", "'45658' in row 1 (a day number of Excel?"),
        (b"date,n\n2025-01-01,1\n2025-01-02,2\nlast week,3\n", "'last week' in row 3"),
        (TEXT.encode() + TEXT.encode("utf-16-le"), "changes its encoding"),
        (TEXT.replace(".", ",").encode(), "3 names in its header and 4 fields in its rows"),
        (b"date,n\n" + b"2568-01-01,1\n2568-01-02,2\n", "of the Buddhist calendar"),
        (b"date,n\n" + b"01/02/1403,1\n20/02/1403,2\n", "of the Islamic or Persian calendar"),
    ],
)
def test_given_what_cannot_be_read_then_it_is_named(tmp_path: Path, body: bytes, said: str) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(body)

    with pytest.raises(PermanentError) as error:
        proposal(path)

    assert said in str(error.value)


def test_given_folders_that_do_not_fit_then_they_are_named(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    (mixed / "a.csv").write_text(TEXT)
    (mixed / "b.csv").write_text("\n".join(json.dumps(row) for row in records()))
    twice = tmp_path / "twice"
    twice.mkdir()
    (twice / "a.csv").write_text(TEXT)
    (twice / "a.csv.gz").write_bytes(gzip.compress(TEXT.encode()))
    copied = tmp_path / "copied"
    copied.mkdir()
    (copied / "a.csv").write_text(TEXT)
    (copied / "a (1).csv").write_text(TEXT)
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.csv").write_text(TEXT)
    (other / "b.csv").write_text(TEXT.replace("sales", "revenue"))

    for folder, said in (
        ("empty", "holds no files of rows"),
        ("mixed", "holds files of several kinds"),
        ("other", "has other columns than"),
        ("twice", "which would be counted twice"),
        ("copied", "which would be counted twice"),
        ("none*.csv", "does not exist"),
    ):
        with pytest.raises(PermanentError) as error:
            proposal(tmp_path / folder)
        assert said in str(error.value)


def test_given_notes_and_other_orders_of_columns_in_a_folder_then_the_rows_read(
    tmp_path: Path,
) -> None:
    lines = TEXT.splitlines()
    (tmp_path / "README.md").write_text("# Sales\n\nAll shops, by day.\n")
    (tmp_path / "a.csv").write_text("\n".join(lines[:61]))
    turned = [",".join(line.split(",")[::-1]) for line in (lines[0], *lines[61:])]
    (tmp_path / "b.csv").write_text("\n".join(turned))

    assert "left out, as it holds no rows: README.md" in check(tmp_path)


def test_given_a_data_frames_index_then_it_is_no_measure(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    lines = TEXT.splitlines()
    numbered = [f"{place - 1 if place else ''},{line}" for place, line in enumerate(lines)]
    path.write_text("\n".join(numbered))

    assert "counts the rows" in check(path)
    dated = tmp_path / "dated.csv"
    dated.write_text(TEXT.replace("date,", ",", 1))
    document, _ = proposal(dated)
    assert document["timestamp_column"] == {"name": "index"}


# --- numbers ------------------------------------------------------------------------------------


def grouped(value: float, group: str, decimal: str) -> str:
    whole = f"{value:,.2f}"
    return whole.replace(",", "\0").replace(".", decimal).replace("\0", group)


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    style=st.sampled_from([",.", ".,", "\u202f,", " ,", "'.", "’."]),
    unit=st.sampled_from(["", "$", "€ ", "EUR ", "R$ ", " €", " CHF", "kr "]),
    minus=st.sampled_from(["-{}", "−{}", "({})", "{}-", ""]),
    null=st.sampled_from(["", "NULL", r"\N", "None", "NaN", "n/a", "-", " "]),
    delimiter=st.sampled_from([",", ";", "\t"]),
)
def test_given_numbers_of_one_style_then_they_are_the_numbers(
    tmp_path: Path,
    style: str,
    unit: str,
    minus: str,
    null: str,
    delimiter: str,
) -> None:
    def written(value: float) -> str:
        text = grouped(abs(value), *style)
        text = text + unit if unit.startswith(" ") else unit + text
        return minus.format(text) if value < 0 else text

    sign = -1 if minus else 1
    wanted = [value * sign if place % 3 == 0 else value for place, value in enumerate(VALUES)]
    texts = [null if place % 7 == 5 else written(value) for place, value in enumerate(wanted)]
    path = tmp_path / "rows.csv"
    path.write_text(text_of(iso(), texts, delimiter), encoding="utf-8")

    document, reasons = proposal(path)

    assert document["measures"] == {"sales": {"aggregation": "SUM"}}, reasons
    _, sums = totals(path, document)
    for place, value in enumerate(wanted):
        if place % 7 == 5:
            assert np.isnan(sums[place])
        else:
            assert sums[place] == pytest.approx(value, abs=1e-9)


@pytest.mark.parametrize(
    ("texts", "decimal", "read", "said"),
    [
        (["1.367", "934"], None, [1367, 934], "'1.367' can mean 1367 or 1.367"),
        (["1.367", "934"], ".", [1.367, 934], ""),
        (["1.367", "934.5"], None, [1.367, 934.5], ""),
        (["1,367", "934"], None, [1367, 934], "'1,367' can mean 1367 or 1.367"),
        (["1,367", "934"], ",", [1.367, 934], "is read as 1.367"),
        (["0.367", "1.934"], None, [0.367, 1.934], ""),
        (["12,34,567.5", "1,367"], None, [1234567.5, 1367], "is read as"),
        (["1,5E+03", "2,5E+03"], None, [1500, 2500], "is read as"),
        (["13.67%", "9 %"], None, [13.67, 9], "is read as"),
        (["true", "False"], None, [1, 0], "are read as 1 and 0"),
        (["1_000", "2_000"], None, [1000, 2000], "is read as"),
        (["NT$1,367.5", "NT$934"], None, [1367.5, 934], "is read as"),
        (["13.5 eur", "9.25 EUR"], None, [13.5, 9.25], "is read as"),
        (['="13.5"', '="9"'], None, [13.5, 9], ""),
        (["'13.5", "'9.25"], None, [13.5, 9.25], "is read as"),
        (["13,5-€", "9,25 €"], None, [-13.5, 9.25], "is read as"),
        (["١٣٫٥", "٩"], None, [13.5, 9], "is read as"),
        (["$13.5", "9.25"], None, [13.5, 9.25], "others no currency"),
    ],
)
def test_given_numbers_then_the_reading_is_said(
    tmp_path: Path, texts: list[str], decimal: Any, read: list[float], said: str
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(text_of(iso(DAYS[:4]), texts * 2), encoding="utf-8")
    config = Config.model_validate(
        {"interval": "P1D", "timestamp_column": {"name": "date"}, "measures": {"sales": {}}}
    )

    found = aggregated(config, path, decimal)

    assert found.panel.values[:, 0, 0].tolist() == read * 2
    assert said in " ".join(found.said)
    assert bool(said) == bool(found.said)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["1.5", "2.5", "3 pieces", "4 pieces"], "'3 pieces' in row 5, which is not a number as"),
        (["web", "app", "web", "shop"], "holds no number, but 'web' in row 1; take it out of"),
        (["$1.5", "$2.5", "€3", "$4"], "'€3' in row 5"),
        (["1.5%", "2.5%", "3", "4%"], "'3' in row 5"),
        (["1.367,5", "2.367,5", "3.5.1", "4"], "'3.5.1' in row 5"),
        (["1.5", "2.5", "1.2k", "4"], "export the numbers in full"),
        (["1.5", "2.5", "3 CR", "4"], "write debits and credits as numbers with a sign"),
    ],
)
def test_given_a_value_that_does_not_fit_then_its_row_is_named(
    tmp_path: Path, texts: list[str], said: str
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(text_of(iso(DAYS[:4]), texts, ";"), encoding="utf-8")
    config = Config.model_validate(
        {"interval": "P1D", "timestamp_column": {"name": "date"}, "measures": {"sales": {}}}
    )

    with pytest.raises(PermanentError) as error:
        aggregated(config, path)

    assert said in str(error.value)


# --- times --------------------------------------------------------------------------------------


def unix(day: datetime) -> int:
    return int(day.timestamp())


GERMAN = (
    *("Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September"),
    *("Oktober", "November", "Dezember"),
)
STYLES: dict[str, Any] = {
    "iso": lambda day: f"{day:%Y-%m-%d}",
    "slashes": lambda day: f"{day:%Y/%m/%d}",
    "zoned": lambda day: f"{day:%Y-%m-%dT%H:%M:%S}Z",
    "offset": lambda day: f"{day + timedelta(hours=2):%Y-%m-%dT%H:%M:%S}.125+02:00",
    "offset apart": lambda day: f"{day - timedelta(hours=5):%Y-%m-%d %H:%M:%S} -0500",
    "compact": lambda day: f"{day:%Y%m%d}",
    "compact hours": lambda day: f"{day:%Y%m%d%H}",
    "compact zoned": lambda day: f"{day:%Y%m%dT%H%M%S}Z",
    "seconds": lambda day: str(unix(day)),
    "seconds as decimals": lambda day: f"{unix(day)}.0",
    "milliseconds": lambda day: str(unix(day) * 1000),
    "microseconds": lambda day: str(unix(day) * 10**6),
    "nanoseconds": lambda day: str(unix(day) * 10**9),
    "German": lambda day: f"{day:%d.%m.%Y}",
    "German, short": lambda day: f"{day.day}.{day.month}.{day:%y}",
    "German words": lambda day: f"{day.day}. {GERMAN[day.month - 1]} {day.year}",
    "German clock": lambda day: f"{day:%d.%m.%Y %H:%M}",
    "British": lambda day: f"{day:%d/%m/%Y}",
    "American": lambda day: f"{day:%m/%d/%Y}",
    "American, short": lambda day: f"{day.month}/{day.day}/{day:%y}",
    "American clock": lambda day: f"{day.month}/{day.day}/{day.year} {day:%I:%M:%S %p}",
    "American, narrow blank": lambda day: f"{day.month}/{day.day}/{day.year}, 12:00:00\u202fAM",
    "American, dotted": lambda day: f"{day:%m/%d/%Y} 12:00 a.m.",
    "words": lambda day: f"{day:%b} {day.day}, {day.year}",
    "long words": lambda day: f"{day:%A}, {day:%B} {day.day}, {day.year}",
    "Oracle": lambda day: f"{day:%d-%b-%y}".upper(),
    "mail": lambda day: f"{day:%a, %d %b %Y %H:%M:%S} GMT",
    "year first, short": lambda day: f"{day:%y-%m-%d}",
    "Apache": lambda day: f"[{day:%d/%b/%Y:%H:%M:%S} +0000]",
    "ctime": lambda day: day.ctime(),
    "date command": lambda day: f"{day:%a %b} {day.day:2d} 00:00:00 UTC {day.year}",
    "JavaScript": lambda day: f"{day:%a %b %d %Y} 01:00:00 GMT+0100 (Central European Time)",
    "Java": lambda day: f"{day:%Y-%m-%d}T01:00:00+01:00[Europe/Berlin]",
    "GMT+1": lambda day: f"{day:%Y-%m-%d} 01:00:00 GMT+1",
    "UTC+02:00": lambda day: f"{day:%Y-%m-%d} 02:00:00 UTC+02:00",
    "small letters": lambda day: f"{day:%Y-%m-%d}t00:00:00z",
    "Python's logging": lambda day: f"{day:%Y-%m-%d %H:%M:%S},123",
    "Uhr": lambda day: f"{day:%d.%m.%Y %H:%M} Uhr",
    "French clock": lambda day: f"{day:%d/%m/%Y} à 00h00",
    "at": lambda day: f"{day:%B} {day.day}, {day.year} at 12:00 AM",
    "Oracle's timestamps": lambda day: f"{day:%d-%b-%y} 12.00.00.000000 AM".upper(),
    "clock first": lambda day: f"00:00 {day:%d.%m.%Y}",
    "Chinese": lambda day: f"{day.year}年{day.month}月{day.day}日",
    "Chinese clock": lambda day: f"{day.year}年{day.month}月{day.day}日 00时00分00秒",
    ".NET": lambda day: f"/Date({unix(day) * 1000})/",
    ".NET with offset": lambda day: f"{day.month}/{day.day}/{day.year} 12:00:00 AM +00:00",
    "compact milliseconds": lambda day: f"{day:%Y%m%d%H%M%S}000",
    "kept as text by Excel": lambda day: f'="{day:%Y-%m-%d}"',
    "end of the day before": lambda day: f"{day - timedelta(days=1):%Y-%m-%d} 24:00",
    "end of the day before, German": lambda day: f"{day - timedelta(days=1):%d.%m.%Y} 24:00:00",
}


@pytest.mark.parametrize("style", STYLES)
def test_given_times_of_one_style_then_they_are_the_times(tmp_path: Path, style: str) -> None:
    days = [DAY0 + timedelta(days=9 + day) for day in range(len(VALUES))]
    path = tmp_path / "rows.csv"
    path.write_text(text_of([STYLES[style](day) for day in days], plain()), encoding="utf-8")

    check(path, days)


@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    style=st.sampled_from(sorted(STYLES)),
    first=st.integers(0, 700),
    step=st.sampled_from([1, -1]),
    null=st.sampled_from(["NULL", r"\N", "None", "nan", "0000-00-00", "Total", " "]),
)
def test_given_any_days_in_order_then_they_are_found(
    tmp_path: Path, style: str, first: int, step: int, null: str
) -> None:
    days = [DAY0 + timedelta(days=first + day) for day in range(len(VALUES))]
    texts = [STYLES[style](day) for day in days]
    body = text_of(texts[::step], plain()[::step]).rstrip("\n")
    path = tmp_path / "rows.csv"
    path.write_text(f"{body}\n{null},de,77777\n", encoding="utf-8")

    check(path, days)


def test_given_day_and_month_that_both_fit_then_the_order_of_rows_decides(tmp_path: Path) -> None:
    days = [day for day in (DAY0 + timedelta(days=n) for n in range(400)) if day.day <= 12]
    days = days[: len(VALUES)]
    for style, wanted in (("British", "dd/MM/yyyy"), ("American", "MM/dd/yyyy")):
        path = tmp_path / f"{style}.csv"
        path.write_text(text_of([STYLES[style](day) for day in days], plain()), encoding="utf-8")

        document, reasons = proposal(path)

        assert document["timestamp_column"]["format"] == wanted
        assert "reads as dd/MM/yyyy or as MM/dd/yyyy" in reasons or (
            "reads as MM/dd/yyyy or as dd/MM/yyyy" in reasons
        )
        assert "in order of time" in reasons


# --- proposals ----------------------------------------------------------------------------------


def test_given_parts_of_dates_codes_and_places_then_none_is_summed(tmp_path: Path) -> None:
    random = np.random.default_rng(4)
    header = (
        "ts,year,monat,kw,wday,hour,lat,lon,plz,phone,customerId,is_new,unit_price,conversion,qty"
    )
    lines = [header]
    for hour in range(24 * 120):
        at = DAY0 + timedelta(hours=hour)
        cells = [
            f"{at:%Y-%m-%d %H:%M:%S}",
            at.year,
            at.month,
            at.isocalendar().week,
            at.weekday(),
            at.hour,
            round(52 + random.random(), 5),
            round(13 + random.random(), 5),
            random.choice(["01067", "99423", "80331"]),
            1_700_000_000 + int(random.integers(0, 10**8)),
            int(random.integers(1, 10**6)),
            int(random.integers(0, 2)),
            round(5 + random.random(), 2),
            round(float(random.random()), 4),
            int(random.integers(1, 9)),
        ]
        lines.append(",".join(map(str, cells)))
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(lines))

    document, reasons = proposal(path)

    assert document["interval"] == "PT1H"
    assert document["measures"] == {
        "unit_price": {"aggregation": "AVG"},
        "conversion": {"aggregation": "AVG"},
        "qty": {"aggregation": "SUM"},
    }
    assert document["dimensions"] == ["plz"]
    for name in ("year", "monat", "kw", "wday", "hour", "lat", "lon", "phone", "customerId"):
        assert f"column '{name}' is left out: " in reasons
    assert "if they are of another zone" in reasons


def test_given_a_clock_beside_a_date_then_it_is_said(tmp_path: Path) -> None:
    lines = ["date,hour,sales"]
    lines += [f"{day:%Y-%m-%d},{hour},{hour + 1.5}" for day in DAYS[:20] for hour in range(24)]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(lines))

    assert "column 'hour' is left out: it is the time of day" in proposal(path)[1]


@pytest.mark.parametrize(("days", "interval"), [(7, "P1W"), (365.25 / 12, "P1M")])
def test_dates_a_week_or_a_month_apart_give_that_interval(
    tmp_path: Path, days: float, interval: str
) -> None:
    first = datetime(2021, 3, 15, 12, tzinfo=UTC)
    # From the middle of a month, so that each month contains one date.
    dates = [(first + timedelta(days=days * n)).date() for n in range(60)]
    path = tmp_path / "rows.csv"
    path.write_text(
        "\n".join(["date,sales", *(f"{day},{7 + n % 5}" for n, day in enumerate(dates))])
    )

    document, reasons = proposal(path)

    assert document["interval"] == interval, reasons
    found = aggregated(Config.model_validate(document), path)
    assert found.panel.values.shape[0] == 60
    assert np.isfinite(found.panel.values).all()


# --- what is left out, and said -----------------------------------------------------------------

SINGLE = {"interval": "P1D", "timestamp_column": {"name": "ts"}, "measures": {"n": {}}}


def test_given_dates_far_off_then_they_do_not_stretch_the_history(tmp_path: Path) -> None:
    lines = ["ts,n", "1970-01-01,1", *(f"{day},2" for day in iso()), "2099-12-31,1", "9999-12-31,1"]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(lines))

    found = aggregated(Config.model_validate(SINGLE), path)

    assert [start.item().replace(tzinfo=UTC) for start in found.panel.starts] == DAYS
    assert sum("left out" in line for line in found.said) == 3
    assert found.rows == len(DAYS) + 3


def test_given_a_half_done_first_or_last_interval_then_it_is_left_out(tmp_path: Path) -> None:
    times = [DAY0 + timedelta(minutes=20 * row + 15 * 60) for row in range(72 * 20)]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(["ts,n", *(f"{at:%Y-%m-%d %H:%M:%S},1" for at in times)]))

    found = aggregated(Config.model_validate(SINGLE), path)

    assert found.panel.values[:, 0, 0].tolist() == [72.0] * 19
    assert "the last interval, from 2025-01-21T00:00:00Z, is incomplete" in found.said[0]
    assert "the first interval, from 2025-01-01T00:00:00Z, is incomplete" in found.said[1]


@pytest.mark.parametrize(("interval", "whole"), [("P1W", 20), ("P1M", 10)])
def test_given_a_half_done_week_or_month_then_it_is_left_out(
    tmp_path: Path, interval: str, whole: int
) -> None:
    # 20 weeks and three days, or ten months and eight days.
    size = {"P1W": 143, "P1M": 313}[interval]
    days = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(days=n) for n in range(size)]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(["ts,n", *(f"{day:%Y-%m-%d},1" for day in days)]))

    found = aggregated(Config.model_validate(SINGLE | {"interval": interval}), path)

    assert found.panel.values.shape[0] == whole
    assert "is incomplete and left out" in " ".join(found.said)


def test_given_markers_of_nothing_in_a_dimension_then_they_are_one_value(tmp_path: Path) -> None:
    names = ["de", "NULL", r"\N", "None", "NaN", "nan", "N/A", "", " ", "null", "<NA>"]
    lines = ["ts,region,n", *(f"{day},{name},1" for day in iso(DAYS[:9]) for name in names)]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(lines))

    panel = aggregated(Config.model_validate(SINGLE | {"dimensions": ["region"]}), path).panel

    assert panel.slices.tolist() == [["(null)"], ["*"], ["de"]]
    assert panel.values[:, 0, 0].tolist() == [10.0] * 9
    codes = tmp_path / "codes.csv"
    codes.write_text("\n".join(lines).replace("NULL", "NA").replace("de", "EU"))
    kept = aggregated(Config.model_validate(SINGLE | {"dimensions": ["region"]}), codes).panel
    assert ["NA"] in kept.slices.tolist()


def test_given_rows_in_another_order_then_sums_are_the_same_to_the_last_digit(
    tmp_path: Path,
) -> None:
    random = np.random.default_rng(7)
    days = [f"{day}" for day in iso() for _ in range(200)]
    numbers = np.round(random.lognormal(3, 2, len(days)), 3)
    found = []
    for order in (np.arange(len(days)), random.permutation(len(days))):
        path = tmp_path / "rows.csv"
        path.write_text("\n".join(["ts,n", *(f"{days[i]},{numbers[i]:.3f}" for i in order)]))
        typed = tmp_path / "rows.parquet"
        pq.write_table(pa.table({"ts": [days[i] for i in order], "n": numbers[order]}), typed)
        panels = [aggregated(Config.model_validate(SINGLE), one).panel for one in (path, typed)]
        found += [panel.values.tobytes() for panel in panels]

    assert len(set(found)) == 1


def test_given_names_in_capitals_then_sums_and_means_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(TEXT.replace("date,region,sales", "DATE,Region,SALES"))

    document, _ = proposal(path)
    panel = aggregated(Config.model_validate(document), path).panel

    assert document["measures"] == {"SALES": {"aggregation": "SUM"}}
    assert panel.values[:, 0, 0].tolist() == VALUES


@pytest.mark.parametrize(
    ("time", "number", "said"),
    [
        ("2025-12-31", "n/a", ""),
        ("2025-12-31T00:00:00", "1.5", ""),
        ("2025-12-31", "1.375", ""),
        ("2025-12-31", "1e1", ""),
        ("2025-12-31", "1234567890123456.25", ""),
        ("Total", "99", "left out whose 'date' is 'Total'"),
        ("date", "sales", ""),
        ("2025-12-32", "99", "which is not a time"),
        ("2025-12-31", "1,5", "which is not a number"),
    ],
)
def test_given_a_late_row_that_is_written_differently_then_all_rows_count_as_read_at_once(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    time: str,
    number: str,
    said: str,
) -> None:
    path = tmp_path / "rows.csv"
    quoted = f'"{number}"' if "," in number else number
    path.write_text(f"{TEXT}{time},de,{quoted}\n")
    config = Config.model_validate(
        {
            "interval": "P1D",
            "timestamp_column": {"name": "date"},
            "measures": {"sales": {}},
            "dimensions": ["region"],
        }
    )
    found = []
    for sample in (100, 1_000):  # the row stands outside the sample, and in it
        monkeypatch.setattr("anomaly_detector.local_file.rows._SAMPLE", sample)
        try:
            read = aggregated(config, path)
            found.append(
                (read.panel.values.tobytes(), read.rows, read.undated, " ".join(read.said))
            )
        except PermanentError as error:
            found.append((b"", 0, 0, str(error)))

    assert found[0] == found[1]
    assert said in found[0][-1]


def test_given_prices_without_cents_then_the_dash_is_no_sign(tmp_path: Path) -> None:
    whole = [round(value) for value in VALUES]
    path = tmp_path / "rows.csv"
    path.write_text(text_of(iso(), [f"{value},-" for value in whole], ";"))

    document, _ = proposal(path)

    assert totals(path, document)[1] == whole


@pytest.mark.parametrize("zone", ["CET", "Europe/Berlin"])
def test_given_times_with_the_name_of_a_zone_then_an_offset_is_asked_for(
    tmp_path: Path, zone: str
) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(text_of([f"{day:%Y-%m-%d %H:%M:%S} {zone}" for day in DAYS], plain()))

    with pytest.raises(PermanentError, match="write its zone as an offset"):
        proposal(path)


def test_given_a_text_of_any_length_then_the_others_are_read(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    header, first, *others = text_of(iso(), plain()).splitlines()
    path.write_text(
        "\n".join(
            [f"{header},note", f"{first},{'x' * 200_000}", *(f"{line},y" for line in others), ""]
        )
    )

    document, _ = proposal(path)

    assert totals(path, document)[1] == VALUES
