"""Read an UNLOAD statement. Pure: text in, a frozen description out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from local.cloud.redshift import dialect
from local.cloud.redshift.errors import RedshiftError

Format = Literal["PARQUET", "CSV", "TEXT", "JSON"]
_TOKEN = re.compile(
    r"""\s*(?:--[^\n]*\n\s*|/\*.*?\*/\s*)*(?:
        (?P<dollar>\$(?P<tag>[A-Za-z_]*)\$(?P<dollar_text>.*?)\$(?P=tag)\$)
      | '(?P<text>(?:\\.|''|[^'\\])*)'
      | "(?P<identifier>(?:""|[^"])*)"
      | (?P<number>\d+(?:\.\d+)?)
      | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
      | (?P<sign>[(),;])
    )""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}


@dataclass(frozen=True)
class Unload:
    """An UNLOAD, its texts decoded once.

    Attributes
    ----------
    select
        The query as Redshift sees it inside the quotes.
    bucket, prefix
        The destination; the prefix may end anywhere, file names are appended to it.
    roles
        Role ARNs, first the attached one, each assumed by the one before; ``("default",)``.
    max_bytes
        Upper size of a file, or None for Redshift's 6.2 GB.
    """

    select: str
    bucket: str
    prefix: str
    roles: tuple[str, ...]
    format: Format = "TEXT"
    header: bool = False
    delimiter: str | None = None
    add_quotes: bool = False
    null_as: str = ""
    escape: bool = False
    compression: Literal["", "gzip"] = ""
    partition_by: tuple[str, ...] = ()
    include: bool = False
    manifest: bool = False
    verbose: bool = False
    allow_overwrite: bool = False
    clean_path: bool = False
    parallel: bool = True
    max_bytes: int | None = None
    kms_key_id: str | None = None
    encrypted: bool = False
    region: str | None = None
    extension: str | None = None


def decode(text: str) -> str:
    """Decode the inside of a quoted text: ``''`` and backslash escapes."""

    def one(found: re.Match[str]) -> str:
        pair = found.group(0)
        return "'" if pair == "''" else _ESCAPES.get(pair[1], pair[1])

    return re.sub(r"''|\\.", one, text, flags=re.DOTALL)


class _Reader:
    """The words of a statement, one at a time."""

    def __init__(self, sql: str) -> None:
        self._sql = sql.rstrip()
        self._at = 0
        self._found: re.Match[str] | None = None
        self._next()

    def _next(self) -> None:
        if self._at >= len(self._sql):
            self._found = None
            return
        self._found = _TOKEN.match(self._sql, self._at)
        if self._found is None:
            rest = self._sql[self._at :].strip()
            if rest[:1] == "'":
                raise RedshiftError(f'unterminated quoted string at or near "{rest[:40]}"')
            raise RedshiftError(f'syntax error at or near "{rest[:20]}"')
        self._at = self._found.end()

    @property
    def done(self) -> bool:
        return self._found is None or self._found["sign"] == ";"

    @property
    def word(self) -> str:
        found = self._found
        return (found["word"] or found["sign"] or "").upper() if found else ""

    def fail(self) -> RedshiftError:
        near = self._found.group(0).strip()[:40] if self._found else ""
        return RedshiftError(f'syntax error at or near "{near}"' if near else "syntax error at end")

    def take(self, *words: str) -> bool:
        """Take the words if they come next, all of them in this order or none."""
        at, found = self._at, self._found
        for word in words:
            if self.word != word:
                self._at, self._found = at, found
                return False
            self._next()
        return True

    def expect(self, *words: str) -> None:
        for word in words:
            if not self.take(word):
                raise self.fail()

    def text(self) -> str:
        found = self._found
        if found is None or (found["text"] is None and found["dollar"] is None):
            raise self.fail()
        value = found["dollar_text"] if found["dollar"] is not None else decode(found["text"])
        self._next()
        return value

    def is_text(self) -> bool:
        found = self._found
        return found is not None and (found["text"] is not None or found["dollar"] is not None)

    def number(self) -> float:
        if self._found is None or self._found["number"] is None:
            raise self.fail()
        value = float(self._found["number"])
        self._next()
        return value

    def is_number(self) -> bool:
        return self._found is not None and self._found["number"] is not None

    def name(self) -> str:
        found = self._found
        if found is None or (found["word"] is None and found["identifier"] is None):
            raise self.fail()
        value = (
            found["word"].lower()
            if found["identifier"] is None
            else found["identifier"].replace('""', '"')
        )
        self._next()
        return value

    def end(self) -> None:
        if self.take(";"):
            pass
        if self._found is not None:
            raise self.fail()


def parse(sql: str) -> Unload:
    """Read one UNLOAD statement.

    Raises
    ------
    RedshiftError
        For what Redshift refuses before it runs anything.
    """
    read = _Reader(sql)
    read.expect("UNLOAD", "(")
    select = read.text()
    read.expect(")", "TO")
    target = read.text()
    found = re.fullmatch(r"s3://([^/]+)/?(.*)", target, re.DOTALL)
    if found is None:
        raise RedshiftError(f"The S3 path must start with s3://: {target}")
    given: dict[str, object] = {}
    roles: tuple[str, ...] = ()
    formats: dict[str, Format] = {"PARQUET": "PARQUET", "CSV": "CSV", "JSON": "JSON"}
    while not read.done:
        if read.take("IAM_ROLE"):
            if read.take("DEFAULT"):
                roles = ("default",)
            else:
                roles = tuple(each.strip() for each in read.text().split(","))
        elif read.take("FORMAT"):
            read.take("AS")
            for word, name in formats.items():
                if read.take(word):
                    given["format"] = name
                    break
            else:
                raise read.fail()
        elif read.word in formats:
            given["format"] = formats[read.word]
            read.take(read.word)
        elif read.take("HEADER"):
            given["header"] = True
        elif read.take("DELIMITER"):
            read.take("AS")
            given["delimiter"] = read.text()
        elif read.take("ADDQUOTES"):
            given["add_quotes"] = True
        elif read.take("ESCAPE"):
            given["escape"] = True
        elif read.take("NULL"):
            read.take("AS")
            given["null_as"] = read.text()
        elif read.take("GZIP"):
            given["compression"] = "gzip"
        elif read.word in ("BZIP2", "ZSTD"):
            raise RedshiftError(f"{read.word} is not in the stand-in; use GZIP")
        elif read.take("PARTITION", "BY"):
            read.expect("(")
            columns = [read.name()]
            while read.take(","):
                columns.append(read.name())
            read.expect(")")
            given["partition_by"] = tuple(columns)
            if read.take("INCLUDE"):
                given["include"] = True
        elif read.take("MANIFEST"):
            given["manifest"] = True
            if read.take("VERBOSE"):
                given["verbose"] = True
        elif read.take("ALLOWOVERWRITE"):
            given["allow_overwrite"] = True
        elif read.take("CLEANPATH"):
            given["clean_path"] = True
        elif read.take("PARALLEL"):
            given["parallel"] = _on(read)
        elif read.take("MAXFILESIZE"):
            read.take("AS")
            size = read.number()
            given["max_bytes"] = int(size * (2**30 if _unit(read) == "GB" else 2**20))
        elif read.take("ROWGROUPSIZE"):
            read.take("AS")
            read.number()
            _unit(read)
        elif read.take("KMS_KEY_ID"):
            read.take("AS")
            given["kms_key_id"] = read.text()
        elif read.take("ENCRYPTED"):
            read.take("AUTO")
            given["encrypted"] = True
        elif read.take("REGION"):
            read.take("AS")
            given["region"] = read.text()
        elif read.take("EXTENSION"):
            given["extension"] = read.text()
        else:
            raise read.fail()
    read.end()
    if not roles or not all(roles):
        raise RedshiftError("UNLOAD needs credentials; name a role with IAM_ROLE")
    unload = Unload(
        select=select,
        bucket=found[1],
        prefix=found[2],
        roles=roles,
        **given,  # type: ignore[arg-type]
    )
    _check(unload)
    return unload


def _on(read: _Reader) -> bool:
    for word, value in (("ON", True), ("TRUE", True), ("OFF", False), ("FALSE", False)):
        if read.take(word):
            return value
    raise read.fail()


def _unit(read: _Reader) -> str:
    for word in ("MB", "GB"):
        if read.take(word):
            return word
    return "MB"


def _check(unload: Unload) -> None:
    if unload.header and unload.format not in ("CSV", "TEXT"):
        raise RedshiftError(f"HEADER is not supported for UNLOAD to {unload.format}")
    if unload.format == "PARQUET" and (
        unload.delimiter is not None or unload.add_quotes or unload.escape or unload.null_as
    ):
        raise RedshiftError("DELIMITER, ADDQUOTES, ESCAPE and NULL AS do not go with PARQUET")
    if unload.format == "PARQUET" and unload.compression:
        raise RedshiftError("GZIP is not supported for UNLOAD to PARQUET")
    if unload.format == "JSON":
        raise RedshiftError("FORMAT JSON is not in the stand-in")
    if unload.allow_overwrite and unload.clean_path:
        raise RedshiftError("ALLOWOVERWRITE and CLEANPATH cannot be specified together")
    if unload.kms_key_id and not unload.encrypted:
        raise RedshiftError("KMS_KEY_ID must be used together with ENCRYPTED")
    if unload.max_bytes is not None and not 5 * 2**20 <= unload.max_bytes <= 6.2 * 2**30:
        raise RedshiftError("MAXFILESIZE must be between 5 MB and 6.2 GB")
    if unload.clean_path and not unload.prefix.strip("/"):
        raise RedshiftError("CLEANPATH cannot be used on a whole bucket")
    statements = dialect.split(unload.select)
    if len(statements) != 1:
        raise RedshiftError("UNLOAD takes one SELECT statement")
    if dialect.first_word(unload.select) not in ("select", "with", "("):
        raise RedshiftError("UNLOAD takes a SELECT statement")
    if dialect.has_outer_limit(unload.select):
        raise RedshiftError("Limit clause is not supported")
