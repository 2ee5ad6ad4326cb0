"""Read an UNLOAD statement. Pure: text in, a frozen description out."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

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
# The documentation knows no ARN and no alias here.
_KEY_ID = re.compile(r"(mrk-)?[0-9a-f-]{32,36}")
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
    bucket_key
        ENCRYPTED AUTO: the bucket's default key is used.
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
    bucket_key: bool = False
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

    def number(self) -> float:
        if self._found is None or self._found["number"] is None:
            raise self.fail()
        value = float(self._found["number"])
        self._next()
        return value

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
    given: dict[str, Any] = {}
    while not read.done:
        _option(read, given)
    read.end()
    roles = given.get("roles", ())
    if not roles or not all(roles):
        raise RedshiftError("UNLOAD needs credentials; name a role with IAM_ROLE")
    unload = Unload(select=select, bucket=found[1], prefix=found[2], **given)
    _check(unload)
    return unload


def _option(read: _Reader, given: dict[str, Any]) -> None:
    """Read one option, whichever comes, into the fields that it sets."""
    word = read.word
    if word in _FORMATS:
        read.take(word)
        given["format"] = word
    elif word in _FLAGS:
        read.take(word)
        given[_FLAGS[word]] = True
        if word == "MANIFEST" and read.take("VERBOSE"):
            given["verbose"] = True
        elif word == "ENCRYPTED":
            given["bucket_key"] = read.take("AUTO")
    elif word in _TEXTS:
        read.take(word)
        read.take("AS")
        given[_TEXTS[word]] = read.text()
    elif word in _OTHERS:
        read.take(word)
        _OTHERS[word](read, given)
    elif word in ("BZIP2", "ZSTD"):
        raise RedshiftError(f"{word} is not in the stand-in; use GZIP")
    else:
        raise read.fail()


def _role(read: _Reader, given: dict[str, Any]) -> None:
    if read.take("DEFAULT"):
        given["roles"] = ("default",)
    else:
        given["roles"] = tuple(each.strip() for each in read.text().split(","))


def _format(read: _Reader, given: dict[str, Any]) -> None:
    read.take("AS")
    if read.word not in _FORMATS:
        raise read.fail()
    given["format"] = read.word
    read.take(read.word)


def _partition(read: _Reader, given: dict[str, Any]) -> None:
    read.expect("BY", "(")
    columns = [read.name()]
    while read.take(","):
        columns.append(read.name())
    read.expect(")")
    given["partition_by"] = tuple(columns)
    given["include"] = read.take("INCLUDE")


def _max_size(read: _Reader, given: dict[str, Any]) -> None:
    read.take("AS")
    size = read.number()
    given["max_bytes"] = int(size * (2**30 if _unit(read) == "GB" else 2**20))


def _group_size(read: _Reader, _: dict[str, Any]) -> None:
    read.take("AS")
    read.number()
    _unit(read)


def _compression(_: _Reader, given: dict[str, Any]) -> None:
    given["compression"] = "gzip"


def _parallel(read: _Reader, given: dict[str, Any]) -> None:
    given["parallel"] = _on(read)


_FORMATS = ("PARQUET", "CSV", "JSON")
_FLAGS = {
    "HEADER": "header",
    "ADDQUOTES": "add_quotes",
    "ESCAPE": "escape",
    "MANIFEST": "manifest",
    "ALLOWOVERWRITE": "allow_overwrite",
    "CLEANPATH": "clean_path",
    "ENCRYPTED": "encrypted",
}
_TEXTS = {
    "DELIMITER": "delimiter",
    "NULL": "null_as",
    "KMS_KEY_ID": "kms_key_id",
    "REGION": "region",
    "EXTENSION": "extension",
}
_OTHERS: dict[str, Callable[[_Reader, dict[str, Any]], None]] = {
    "IAM_ROLE": _role,
    "FORMAT": _format,
    "GZIP": _compression,
    "PARTITION": _partition,
    "PARALLEL": _parallel,
    "MAXFILESIZE": _max_size,
    "ROWGROUPSIZE": _group_size,
}


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


def _check_encryption(unload: Unload) -> None:
    if unload.kms_key_id and not unload.encrypted:
        raise RedshiftError("KMS_KEY_ID must be used together with ENCRYPTED")
    if unload.kms_key_id and unload.bucket_key:
        raise RedshiftError("KMS_KEY_ID cannot be used with ENCRYPTED AUTO")
    if unload.kms_key_id and not _KEY_ID.fullmatch(unload.kms_key_id):
        raise RedshiftError(f"KMS_KEY_ID must be the id of a key, it is '{unload.kms_key_id}'")
    if unload.encrypted and not (unload.kms_key_id or unload.bucket_key):
        raise RedshiftError("ENCRYPTED needs AUTO, KMS_KEY_ID or a MASTER_SYMMETRIC_KEY")


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
    _check_encryption(unload)
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
