"""Read a COPY statement. Pure: text in, a frozen description out."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from sqlglot.tokenizer_core import Token, TokenType

from local.cloud.redshift import dialect
from local.cloud.redshift.errors import RedshiftError

_URL = re.compile(r"s3://([^/]+)/(.+)")


@dataclass(frozen=True)
class Copy:
    """A COPY of CSV or Parquet from S3.

    Attributes
    ----------
    table, columns
        Names in lower case; no columns: all of the table but those of IDENTITY.
    bucket, prefix
        Every object whose key begins so is loaded.
    roles
        Role ARNs, first the attached one, each assumed by the one before; ``("default",)``.
    header
        Lines to leave out at the beginning of each object.
    empty_as_null
        Whether an empty text becomes NULL; an empty number always does.
    """

    table: str
    columns: tuple[str, ...]
    bucket: str
    prefix: str
    roles: tuple[str, ...]
    format: Literal["CSV", "PARQUET"] = "CSV"
    header: int = 0
    delimiter: str = ","
    empty_as_null: bool = False
    gzip: bool = False
    region: str | None = None


class _Reader:
    def __init__(self, sql: str) -> None:
        self._tokens = dialect.tokens_of(sql)
        self._place = 0

    def at_end(self) -> bool:
        return self._place >= len(self._tokens)

    def next(self) -> Token:
        if self.at_end():
            raise RedshiftError("syntax error at end of input")
        token = self._tokens[self._place]
        self._place += 1
        return token

    def word(self) -> str:
        return self.next().text.lower()

    def skip(self, *words: str) -> bool:
        """Skip the next word if it is one of these."""
        here = "" if self.at_end() else self._tokens[self._place].text.lower()
        self._place += here in words
        return here in words

    def text(self) -> str:
        token = self.next()
        if token.token_type != TokenType.STRING:
            raise _wrong(token)
        return token.text

    def number(self) -> int:
        token = self.next()
        if token.token_type != TokenType.NUMBER:
            raise _wrong(token)
        return int(token.text)

    def expect(self, word: str) -> None:
        token = self.next()
        if token.text.lower() != word:
            raise _wrong(token)


def _wrong(token: Token) -> RedshiftError:
    return RedshiftError(f'syntax error at or near "{token.text}"')


def parse(sql: str) -> Copy:
    """Read a COPY.

    Raises
    ------
    RedshiftError
        Where Redshift would refuse the statement, or the stand-in does not know an option.
    """
    reader = _Reader(sql)
    reader.expect("copy")
    table = reader.word()
    while reader.skip("."):
        table = f"{table}.{reader.word()}"
    columns: list[str] = []
    if reader.skip("("):
        while not columns or reader.skip(","):
            columns.append(reader.word())
        reader.expect(")")
    reader.expect("from")
    url = _URL.fullmatch(source := reader.text())
    if url is None:
        raise RedshiftError(f"The source {source} is not in the stand-in: only s3://bucket/prefix.")
    reader.expect("iam_role")
    roles = ("default",) if reader.skip("default") else tuple(reader.text().split(","))
    options: dict[str, object] = {}
    while not reader.at_end():
        options |= _option(reader)
    if "format" not in options:
        raise RedshiftError("COPY in the stand-in reads FORMAT CSV or PARQUET; none was given.")
    if options["format"] == "PARQUET" and set(options) - {"format", "region"}:
        raise RedshiftError("COPY from this file format only accepts IAM_ROLE credentials")
    return Copy(
        table=table,
        columns=tuple(columns),
        bucket=url[1],
        prefix=url[2],
        roles=tuple(role.strip() for role in roles),
        **options,  # type: ignore[arg-type]
    )


def _option(reader: _Reader) -> dict[str, object]:
    token = reader.next()
    word = token.text.lower()
    if word == "format":
        reader.skip("as")
        word = reader.word()
    if word in ("csv", "parquet"):
        return {"format": word.upper()}
    if word == "ignoreheader":
        reader.skip("as")
        return {"header": reader.number()}
    if word == "delimiter":
        reader.skip("as")
        return {"delimiter": reader.text()}
    if word == "emptyasnull":
        return {"empty_as_null": True}
    if word == "gzip":
        return {"gzip": True}
    if word == "region":
        reader.skip("as")
        return {"region": reader.text()}
    raise _wrong(token)
