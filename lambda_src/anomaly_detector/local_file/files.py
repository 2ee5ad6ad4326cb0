"""From the user's path to one relation in DuckDB: file kind by content, encoding, header.

Every error is one sentence that names the file and says what to change.
"""

from __future__ import annotations

import codecs
import csv
import filecmp
import io
import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from anomaly_detector.errors import PermanentError
from anomaly_detector.local_file.engine import Engine, quote, text
from anomaly_detector.warehouse.sql import folded

_HEAD: Final = 1 << 18
_BLOCK: Final = 1 << 22
_COMPRESSED: Final = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2"}
# First bytes of what cannot be read, and what to do with it.
_OTHERS: Final = (
    (b"\xd0\xcf\x11\xe0", "an Excel workbook (.xls); save the sheet as CSV UTF-8"),
    (b"\xfd7zXZ", "compressed with xz; unpack it"),
    (b"Rar!", "a RAR archive; unpack it"),
    (b"7z\xbc\xaf", "a 7-Zip archive; unpack it"),
    (b"SQLite format 3", "an SQLite database; export the table as CSV"),
    (b"Obj\x01", "Avro; write it as Parquet or CSV"),
    (b"ORC", "ORC; write it as Parquet or CSV"),
    (b"ARROW1", "Arrow or Feather; write it as Parquet"),
    (b"%PDF", "a PDF; export the rows as CSV"),
    (b"<", "HTML or XML and not a table of rows; export the rows as CSV"),
)
_PACKED: Final = (".gz", ".zst", ".bz2")
# Files in a folder that hold no rows.
_NOTES: Final = re.compile(
    r"(?i)^(readme|licen[cs]e|changelog)\b|\.(md|rst|pdf|docx?|html?|png|jpe?g|svg|sql|py|ipynb|sh|"
    r"ya?ml|toml|xsd|sha256|md5|log)$"
)
_DELIMITERS: Final = (",", ";", "\t", "|", "^", "~", "\x01", "\x1f")
_NUMBER_OR_TIME: Final = re.compile(r"[-+(]?\s?[$€£¥]?\s?\d[\d.,:/'\-+ ]*[TZ]?[\d:.+]*\s?[%€)]?Z?")
_TEXT: Final = "VARCHAR"


@dataclass(frozen=True)
class Files:
    """Files of one kind whose columns are known and whose rows are not read yet.

    Attributes
    ----------
    name : as the user gave it.
    relation : what a FROM clause takes.
    columns : DuckDB's type of each column; VARCHAR for all columns of CSV and JSON.
    parsed : whether every scan parses text again, so that the rows are stored once.
    said : notes for the user on how the files are read.
    """

    name: str
    relation: str
    columns: dict[str, str]
    parsed: bool
    said: tuple[str, ...] = ()

    def name_of(self, column: str) -> str:
        """The column's name in the file; without one of just this spelling, case and the number
        of blanks do not count.

        Raises
        ------
        PermanentError
            Listing the columns that there are.
        """
        if column in self.columns:
            return column
        alike = [name for name in self.columns if _loosely(name) == _loosely(column)]
        if len(alike) == 1:
            return alike[0]
        if alike:
            raise PermanentError(
                f"{self.name} has no column '{column}', and several that differ from it only by "
                f"case: {', '.join(alike)}."
            )
        shown = ", ".join(self.columns)
        raise PermanentError(f"{self.name} has no column '{column}'; its columns are: {shown}.")


def open_files(given: Path, engine: Engine, encoding: str | None = None) -> Files:
    """Find the files and their columns.

    Parameters
    ----------
    given : a file, a folder of parts of one kind, or a pattern such as `exports/*.csv`.
    encoding : of the texts, where it is known; else UTF-8, UTF-16 and UTF-32 are recognized, and
        what is none of them is taken for Windows-1252.

    Raises
    ------
    PermanentError
        Where nothing is there, or it cannot be read as CSV, JSON or Parquet.
    """
    paths, said = _paths(given)
    try:
        parts = [_part(path, engine, encoding) for path in paths]
        kinds = {part.kind: part for part in parts}
        if len(kinds) > 1:
            one, other = list(kinds.values())[:2]
            raise PermanentError(
                f"{given} holds files of several kinds: {one.path} is {one.kind}, {other.path} is "
                f"{other.kind}; give files of one kind."
            )
        kind = parts[0].kind
        read = {"Parquet": _parquet, "JSON": _json, "CSV": _csv}[kind]
        found = read(given, parts, engine)
    except FileNotFoundError as error:
        raise PermanentError(f"{error.filename} does not exist.") from None
    except (OSError, EOFError, pa.ArrowInvalid) as error:
        raise PermanentError(f"{given} cannot be read: {_reason(error)}.") from None
    except duckdb.Error as error:
        raise fault(given, error) from None
    return replace(found, said=(*said, *found.said))


def fault(given: object, error: Exception) -> PermanentError:
    """One sentence for an error of DuckDB's reader."""
    said = str(error)
    line = re.search(r"CSV Error on Line: (\d+)", said)
    if line:
        place = f"{given} cannot be read as CSV: line {int(line[1]):,}"
        fields = re.search(r"Expected Number of Columns: (\d+) Found: (\d+)", said)
        if fields:
            return PermanentError(
                f"{place} has {fields[2]} fields and the header {fields[1]}; correct or remove the "
                "line, or put values that hold the delimiter between quotes."
            )
        if "quote" in said:
            return PermanentError(f"{place} has a quote that is not closed; write it twice.")
    first = said.partition("\n")[0].partition(":")[2].strip() or said.partition("\n")[0]
    where = f" ({place})" if line and (place := f"line {int(line[1]):,}") else ""
    return PermanentError(f"{given} cannot be read{where}: {first.rstrip('.')}.")


def _reason(error: BaseException) -> str:
    strerror = getattr(error, "strerror", None)
    said = " ".join(str(strerror or error).split()).rstrip(".")
    return said or type(error).__name__


def _loosely(name: str) -> str:
    return " ".join(folded(name).split())


def _refuse_doubled(path: Path, names: Sequence[str]) -> None:
    for name, times in Counter(map(folded, names)).items():
        if times > 1:
            raise PermanentError(
                f"{path} has the column '{name}' more than once; names that differ only by case "
                "are one name."
            )


# --- which files --------------------------------------------------------------------------------


def _paths(given: Path) -> tuple[list[Path], list[str]]:
    """The data files, and notes on files left out."""
    if given.is_file():
        return [given], []
    if given.is_dir():
        found = sorted(
            path for path in given.rglob("*") if path.is_file() and _is_data(path, given)
        )
        if not found:
            raise PermanentError(f"The folder {given} holds no files of rows.")
    else:
        found = []
        if set("*?[") & set(str(given)):
            pattern = str(given.relative_to(given.anchor))
            found = sorted(Path(given.anchor).glob(pattern))
            found = [path for path in found if path.is_file() and _is_data(path, path.parent)]
        if not found:
            raise PermanentError(f"{given} does not exist.")
    filled = [path for path in found if path.stat().st_size]
    notes = [path for path in filled if _NOTES.search(path.name)]
    filled = [path for path in filled if path not in notes] or filled
    if not filled:
        raise PermanentError(f"{given} holds empty files only.")
    _refuse_copies(filled)
    said = f"left out, as it holds no rows: {', '.join(path.name for path in notes)}"
    return filled, [said] if notes else []


def _refuse_copies(paths: Sequence[Path]) -> None:
    """Reject two files with the same rows, which would be counted twice."""
    stems: dict[Path, Path] = {}
    sizes: dict[int, list[Path]] = {}
    for path in paths:
        stem = path.with_suffix("") if path.suffix.lower() in _PACKED else path
        other = stems.setdefault(stem, path)
        alike = sizes.setdefault(path.stat().st_size, [])
        if other == path:
            other = next((one for one in alike if filecmp.cmp(one, path, shallow=False)), path)
        alike.append(path)
        if other != path:
            raise PermanentError(
                f"{other} and {path} seem to hold the same rows, which would be counted twice; "
                "remove one of them, or give a pattern that matches one."
            )


def _is_data(path: Path, below: Path) -> bool:
    # _SUCCESS, _metadata, .part.crc; an UNLOAD adds its manifest.
    parts = path.relative_to(below).parts
    return not any(part.startswith((".", "_")) for part in parts) and path.name != "manifest"


@dataclass(frozen=True)
class _Part:
    """One file, rewritten where it is not plain UTF-8."""

    path: Path
    readable: Path
    kind: str
    head: str = ""
    said: str = ""


def _part(path: Path, engine: Engine, known: str | None) -> _Part:
    with path.open("rb") as file:
        first = file.read(8)
    compression = next((name for sign, name in _COMPRESSED.items() if first.startswith(sign)), None)
    with pa.input_stream(path, compression=compression) as stream:
        head = stream.read(_HEAD)
    if not head.strip():
        raise PermanentError(f"{path} is empty: not even a header is in it.")
    if head.startswith(b"PAR1"):
        if compression:
            raise PermanentError(f"{path} is Parquet within {compression}; unpack it.")
        return _Part(path, path, "Parquet")
    _refuse(path, head)
    encoding = known or _encoding(path, head)
    plain, said = path, ""
    ends = head.count(b"\r\n")
    if compression or encoding != "utf-8" or 0 < ends < head.count(b"\n"):
        # Mixed line ends are rewritten too: the reader rejects them.
        plain = engine.new_path()
    try:
        _decode(path, compression, encoding, plain)
    except UnicodeDecodeError:
        if encoding != "utf-8" or known:
            raise PermanentError(f"{path} cannot be read as {_called(encoding)}.") from None
        encoding, plain = "cp1252", engine.new_path()
        _decode(path, compression, encoding, plain)
    with plain.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        shown = file.read(_HEAD)
    if not known and encoding not in ("utf-8", "utf-8-sig"):
        said = f"{path.name} is not UTF-8 and is read as {_called(encoding)}"
        odd = re.search(r"\w*[^\x00-\x7f]\w*", shown)
        if encoding == "cp1252" and odd:
            said += f", so that a value reads '{odd[0]}'; if it should not, give --encoding"
    return _Part(path, plain, "JSON" if _is_json(path, shown) else "CSV", shown, said)


def _called(encoding: str) -> str:
    return _CALLED.get(encoding, encoding)


# Longer marks first: the mark of UTF-32 LE begins with that of UTF-16 LE.
_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
# Bytes of a character, which of them is not zero in Latin text, and the least share of zeros.
_WIDE: Final = (
    ("utf-32-le", 4, 0, 0.6),
    ("utf-32-be", 4, 3, 0.6),
    ("utf-16-le", 2, 0, 0.25),
    ("utf-16-be", 2, 1, 0.25),
)
_CALLED: Final = {
    "utf-32": "UTF-32",
    "utf-32-le": "UTF-32",
    "utf-32-be": "UTF-32",
    "utf-16": "UTF-16",
    "utf-16-le": "UTF-16",
    "utf-16-be": "UTF-16",
    "cp1252": "Windows-1252",
    "latin-1": "Latin-1",
}


def _refuse(path: Path, head: bytes) -> None:
    """Reject what is not a table of rows, recognized by its first bytes."""
    if head.startswith(b"PK\x03\x04"):
        excel = b"xl/" in head or path.suffix.lower() in (".xlsx", ".xlsm")
        what = (
            "an Excel workbook; save the sheet as CSV UTF-8 (File, Save As)"
            if excel
            else "a ZIP archive; unpack it"
        )
        raise PermanentError(f"{path} is {what}, and give that file.")
    start = head.removeprefix(codecs.BOM_UTF8).lstrip()
    for sign, what in _OTHERS:
        if start.startswith(sign):
            raise PermanentError(f"{path} is {what}, and give that file.")


def _encoding(path: Path, head: bytes) -> str:
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    sample = head[:2000]
    if b"\0" not in sample:
        return "utf-8"
    # Most characters of Latin text have zeros in all bytes but one.
    for encoding, width, filled, zeros in _WIDE:
        if not sample[filled::width].count(0) and sample.count(0) > zeros * len(sample):
            return encoding
    raise PermanentError(
        f"{path} holds bytes that are no text; the rows come as CSV with a header, as JSON lines "
        "or as Parquet."
    )


def _decode(path: Path, compression: str | None, encoding: str, plain: Path) -> None:
    decoder = io.IncrementalNewlineDecoder(
        codecs.getincrementaldecoder(encoding)(
            errors="replace" if encoding == "cp1252" else "strict"
        ),
        translate=True,
    )
    out = None if plain == path else plain.open("wb")
    try:
        with pa.input_stream(path, compression=compression) as stream:
            while block := stream.read(_BLOCK):
                if out is None and block.isascii() and not decoder.getstate()[0]:
                    decoded = ""
                else:
                    decoded = decoder.decode(block)
                if "\0" in decoded or (not decoded and b"\0" in block):
                    raise PermanentError(
                        f"{path} changes its encoding: zero bytes follow text in it. Write the "
                        "file again in one encoding, best in UTF-8."
                    )
                if out is not None:
                    out.write(decoded.encode())
        decoder.decode(b"", final=True)
    finally:
        if out is not None:
            out.close()


def _is_json(path: Path, head: str) -> bool:
    """Whether the text is JSON.

    Raises
    ------
    PermanentError
        Where it is JSON, but neither objects one after the other nor an array of them.
    """
    start = head.lstrip()
    if re.match(r"\[\s*\[", start):
        raise PermanentError(
            f"{path} holds lists of values without names; write each row as an object, such as "
            '{"ts": "2022-01-15 04:25:00", "amount": 5}.'
        )
    if not re.match(r"\[?\s*\{", start):
        return False
    inner = start.lstrip("[ \r\n\t")
    try:
        found, _ = json.JSONDecoder().raw_decode(inner)
    except ValueError:
        found = {} if len(inner) > _HEAD // 2 and re.match(r'\{\s*"[^"]*"\s*:', inner) else None
    if found is None:
        return False
    wrapped = re.search(r'"([^"]+)"\s*:\s*\[\s*\{', start) if start.startswith("{") else None
    if wrapped and (not found or _is_only(inner)):
        raise PermanentError(
            f"{path} is one JSON object around the rows; write the rows by themselves: "
            f"jq -c '.{wrapped[1]}[]' {path} > rows.jsonl"
        )
    if found and all(isinstance(value, list | dict) for value in found.values()):
        raise PermanentError(
            f"{path} holds JSON by column and not by row; write an object for each row, in pandas "
            "by to_json(orient='records', lines=True)."
        )
    return True


def _is_only(text_of_object: str) -> bool:
    _, end = json.JSONDecoder().raw_decode(text_of_object)
    return not text_of_object[end:].strip()


# --- columns ------------------------------------------------------------------------------------


def _list(parts: Sequence[_Part]) -> str:
    return "[" + ", ".join(text(str(part.readable)) for part in parts) + "]"


def _hive(parts: Sequence[_Part]) -> str:
    hive = any("=" in folder.name for part in parts for folder in part.path.parents)
    return ", hive_partitioning=true, hive_types_autocast=false" if hive else ""


def _described(engine: Engine, relation: str) -> dict[str, str]:
    return {row[0]: row[1] for row in engine.rows(f"DESCRIBE SELECT * FROM {relation}")}


def _parquet(given: Path, parts: Sequence[_Part], engine: Engine) -> Files:
    for part in parts:
        _refuse_doubled(part.path, pq.read_schema(part.path).names)
    relation = f"read_parquet({_list(parts)}, union_by_name=true{_hive(parts)})"
    return Files(str(given), relation, _described(engine, relation), parsed=False)


def _json(given: Path, parts: Sequence[_Part], engine: Engine) -> Files:
    plain = f"read_json({_list(parts)}, compression='none'"
    sniffed = _described(engine, f"{plain}, union_by_name=true, sample_size=-1)")
    kinds = {
        name: "JSON" if kind.startswith(("STRUCT", "MAP")) or kind.endswith("]") else _TEXT
        for name, kind in sniffed.items()
    }
    columns = "{" + ", ".join(f"{text(name)}: '{kind}'" for name, kind in kinds.items()) + "}"
    relation = f"{plain}, columns={columns}{_hive(parts)})"
    _refuse_spellings(given, parts, engine, list(kinds))
    inner = {name: path for name, kind in sniffed.items() if (path := _extended(kind))}
    if inner:
        read = ", ".join(
            f"json_extract_string({quote(name)}, {text(path)}) AS {quote(name)}"
            for name, path in inner.items()
        )
        relation = f"(SELECT * REPLACE ({read}) FROM {relation})"
    said = tuple(part.said for part in parts if part.said)
    return Files(str(given), relation, _described(engine, relation), True, said)


def _refuse_spellings(
    given: Path, parts: Sequence[_Part], engine: Engine, names: Sequence[str]
) -> None:
    """DuckDB renames the second of two keys that differ only by case."""
    known = set(map(folded, names))
    if any(re.sub(r"_\d+$", "", name) in known for name in known if re.search(r"_\d+$", name)):
        objects = f"read_json_objects({_list(parts)}, compression='none')"
        keys = engine.rows(f"SELECT DISTINCT unnest(json_keys(json)) FROM {objects}")
        _refuse_doubled(given, [str(key) for (key,) in keys])


def _extended(kind: str) -> str | None:
    """JSON path of the value in an object of MongoDB's, such as {"$date": "2022-01-15"}."""
    path = "$"
    while found := re.fullmatch(r'STRUCT\("(\$\w+)" ([^,]+)\)', kind):
        path, kind = f'{path}."{found[1]}"', found[2]
    return path if path != "$" and not kind.startswith("STRUCT") else None


@dataclass(frozen=True)
class _Header:
    delimiter: str
    quote: str
    skip: int
    names: tuple[str, ...]
    said: tuple[str, ...]


def _csv(given: Path, parts: Sequence[_Part], engine: Engine) -> Files:
    headers = [_header(part, engine) for part in parts]
    for part, header in zip(parts, headers, strict=True):
        alike = sorted(header.names) == sorted(headers[0].names)
        if not alike or header.delimiter != headers[0].delimiter:
            raise PermanentError(
                f"{part.path} has other columns than {parts[0].path} ({', '.join(header.names)} "
                f"instead of {', '.join(headers[0].names)}); give files with the same header."
            )
    _refuse_doubled(parts[0].path, headers[0].names)
    relations = []
    for names, skip in dict.fromkeys((header.names, header.skip) for header in headers):
        alike_parts = [
            part
            for part, header in zip(parts, headers, strict=True)
            if (header.names, header.skip) == (names, skip)
        ]
        columns = "{" + ", ".join(f"{text(name)}: '{_TEXT}'" for name in names) + "}"
        relations.append(
            f"read_csv({_list(alike_parts)}, auto_detect=false, compression='none', header=true, "
            f"skip={skip}, "
            f"delim={text(headers[0].delimiter)}, quote={text(headers[0].quote)}, "
            f"escape={text(headers[0].quote)}, columns={columns}{_hive(alike_parts)})"
        )
    engine.semicolons = headers[0].delimiter == ";"
    relation = relations[0]
    if len(relations) > 1:
        united = " UNION ALL BY NAME ".join(f"SELECT * FROM {one}" for one in relations)
        relation = f"({united})"
    said = [part.said for part in parts if part.said]
    said += [line for header in headers for line in header.said]
    described = _described(engine, relation)
    return Files(str(given), relation, described, True, tuple(dict.fromkeys(said)))


def _header(part: _Part, engine: Engine) -> _Header:
    """Find the header with DuckDB's sniffer and the first records."""
    said = []
    lines = part.head.splitlines(keepends=True)
    above = 0
    delimiter = ""
    while above < len(lines) and not lines[above].strip():
        above += 1
    if named := re.fullmatch(r"\"?sep=(.)\"?\s*", lines[above] if above < len(lines) else ""):
        delimiter = named[1]
        above += 1
        while above < len(lines) and not lines[above].strip():
            above += 1
    if above == len(lines):
        raise PermanentError(f"{part.path} is empty: not even a header is in it.")
    delimiter, mark = _dialect(part, engine, lines[above:], delimiter)
    csv.field_size_limit(_HEAD)
    reader = csv.reader(lines[above:], delimiter=delimiter, quotechar=mark, skipinitialspace=True)
    records: list[tuple[int, list[str]]] = []
    for record in reader:
        records.append((above + reader.line_num, record))
        if len(records) == 50:
            break
    widths = [len(record) for _, record in records if any(cell.strip() for cell in record)]
    width = max(set(widths), key=lambda one: (widths.count(one), one))
    first = next((at for at, (_, record) in enumerate(records) if len(record) == width), 0)
    cells = records[first][1]
    following = records[first + 1][1] if len(records) > first + 1 else []
    if first and len(records[first - 1][1]) == width - 1 and _looks_like_data(cells, following):
        first -= 1
        rows = [record for _, record in records[first + 1 :] if len(record) == width]
        cells = _completed(part.path, records[first][1], rows)
    _refuse_data(part.path, cells, following)
    skip = records[first - 1][0] if first else above
    if len(records) > first + 1 and re.fullmatch(
        r"[-=+:| ]*--[-=+:| ]*", "".join(records[first + 1][1])
    ):
        skip = records[first][0]  # a rule below the names, which is skipped in their place
    if first:
        said.append(
            f"in {part.path.name} the lines before the header are left out, from "
            f"'{_short(records[0][1])}' on"
        )
    names, called = _names(cells)
    if called:
        said.append(f"in {part.path.name} {', '.join(called)}; a data frame's index is written so")
    return _Header(delimiter, mark, skip, names, tuple(said))


def _short(cells: Sequence[str]) -> str:
    return " ".join(" ".join(cells).split())[:40]


def _dialect(part: _Part, engine: Engine, lines: Sequence[str], delimiter: str) -> tuple[str, str]:
    """Delimiter and quote."""
    mark = '"'
    found: tuple[Any, ...] = ()
    try:
        given = f", delim={text(delimiter)}" if delimiter else ""
        sniffed = f"sniff_csv({text(str(part.readable))}{given}, compression='none')"
        rows = engine.rows(f"SELECT Delimiter, Quote, len(Columns) FROM {sniffed}")
        found = rows[0]
    except duckdb.Error:
        pass  # lines of different lengths; they are complained of when they are read
    if found and found[2] > 1:
        mark = "'" if found[1] == "'" else '"'
        return delimiter or str(found[0]), mark
    if delimiter:
        return delimiter, mark
    outside = re.sub(r'"[^"]*"', "", "".join(lines[:1]))
    return max(_DELIMITERS, key=outside.count), mark


def _refuse_data(path: Path, cells: Sequence[str], following: Sequence[str]) -> None:
    """Reject a first row whose numbers and dates look like those of the second."""
    if _looks_like_data(cells, following):
        shown = ", ".join(cell.strip() for cell in cells[:4])
        raise PermanentError(
            f"{path} has no header: its first row looks like data ({shown}); write the names of "
            "the columns into a first line, such as ts,country,amount."
        )


def _looks_like_data(cells: Sequence[str], following: Sequence[str]) -> bool:
    if not following:
        return any(_is_data_like(cell.strip()) for cell in cells)
    return any(
        _is_data_like(cell.strip(), below.strip())
        for cell, below in zip(cells, following, strict=False)
    )


def _completed(path: Path, header: list[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Complete a header that is one field shorter than the rows, which end with a delimiter or
    begin with row numbers, as R writes them.
    """
    if not any(row[-1].strip() for row in rows):
        return [*header, ""]
    if [row[0].strip() for row in rows] == [str(place) for place in range(1, len(rows) + 1)]:
        return ["", *header]
    raise PermanentError(
        f"{path} has {len(header)} names in its header and {len(rows[0])} fields in its rows; put "
        "values that hold the delimiter between quotes, or name all columns."
    )


def _is_data_like(cell: str, below: str | None = None) -> bool:
    if _NUMBER_OR_TIME.fullmatch(cell):
        return below is None or bool(_NUMBER_OR_TIME.fullmatch(below))
    # Jan 1, 2025 above Jan 2, 2025
    shape = _shape(cell)
    return shape.count("9") > 1 and below is not None and shape == _shape(below)


def _shape(cell: str) -> str:
    return re.sub(r"[^\W\d_]+", "A", re.sub(r"\d+", "9", cell))


def _names(cells: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """Column names, and notes on the ones made up for columns without a name."""
    names: list[str] = []
    called: list[str] = []
    stripped = [" ".join(cell.replace("\ufeff", "").split()) for cell in cells]
    for place, name in enumerate(stripped, 1):
        if not name:
            name = "index" if place == 1 and "index" not in stripped else f"column_{place}"
            if place == 1:
                called.append(f"column {place} has no name and is called '{name}' here")
        names.append(name)
    return tuple(names), called
