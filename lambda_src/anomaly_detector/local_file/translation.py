"""Redshift's SQL into DuckDB's, for a file and for the stand-in alike.

Pure: text in, text out.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import ClassVar

import sqlglot
from sqlglot import exp
from sqlglot.dialects.redshift import Redshift
from sqlglot.parsers.redshift import RedshiftParser


class Grammar(Redshift):
    """sqlglot's Redshift, which leaves formats of TO_TIMESTAMP and TO_DATE as they are written."""

    class Parser(RedshiftParser):
        FUNCTIONS: ClassVar = {
            name: build
            for name, build in RedshiftParser.FUNCTIONS.items()
            if name not in ("TO_TIMESTAMP", "TO_DATE")
        }


# Longest first: what TO_TIMESTAMP reads, and strptime's sign for it.
_TIME_FIELDS = {
    "YYYY": "%Y",
    "MONTH": "%B",
    "HH24": "%H",
    "HH12": "%I",
    "DDD": "%j",
    "MON": "%b",
    "YY": "%y",
    "MM": "%m",
    "DD": "%d",
    "HH": "%I",
    "MI": "%M",
    "SS": "%S",
    "MS": "%g",
    "US": "%f",
    "AM": "%p",
    "PM": "%p",
}
_TIME_PIECE = re.compile(rf'"([^"]*)"|({"|".join(_TIME_FIELDS)})|(.)', re.IGNORECASE | re.DOTALL)
_COLLATIONS = {
    "case_sensitive": "c",
    "cs": "c",
    "case_insensitive": "nocase",
    "ci": "nocase",
}
_READ_TIME = {"to_timestamp": "timestamptz", "to_date": "date"}


def duckdb(select: str, ordered: Collection[str] = ()) -> str:
    """Translate one statement.

    Parameters
    ----------
    ordered : columns of floating-point numbers, which are summed in the order of their values, so
        that the order of rows changes no digit.
    """
    tree = rewrite(sqlglot.parse_one(select, dialect=Grammar))
    for each in list(tree.find_all(exp.Sum)):
        if isinstance(each.this, exp.Column) and each.this.name in ordered:
            column = each.this.copy()
            each.set("this", exp.Order(this=column, expressions=[exp.Ordered(this=column.copy())]))
    return generate(tree)


def generate(tree: exp.Expr) -> str:
    """DuckDB's text of a tree that `rewrite` has returned."""
    return tree.sql(dialect="duckdb", copy=False)


def rewrite(tree: exp.Expr) -> exp.Expr:
    """Return the tree with what sqlglot leaves or mistakes put right for DuckDB.

    Raises
    ------
    ValueError
        With Redshift's text, where TO_TIMESTAMP or TO_DATE is called without a format, or COLLATE
        with a collation that does not exist.
    """
    return tree.transform(_change, copy=False)


def _change(node: exp.Expr) -> exp.Expr:
    if isinstance(node, exp.CurrentTimestamp):
        name = "rs_sysdate" if node.args.get("sysdate") else "rs_getdate"
        return exp.Anonymous(this=name)
    if isinstance(node, exp.Collate):
        return exp.Collate(this=node.this, expression=collation(node.expression.name))
    # An approximation need not be one: exact values are the same in every run.
    if isinstance(node, exp.ApproxDistinct):
        return exp.Count(this=exp.Distinct(expressions=[node.this]))
    if isinstance(node, exp.ApproxQuantile):
        return exp.Anonymous(this="quantile_disc", expressions=[node.this, node.args["quantile"]])
    if isinstance(node, exp.FromBase):
        return exp.Anonymous(this="rs_strtol", expressions=[node.this, node.expression])
    if isinstance(node, exp.Window) and node.this.name.lower() == "ratio_to_report":
        value = node.this.expressions[0]
        total = node.copy()
        total.set("this", exp.Sum(this=value.copy()))
        share = exp.Cast(this=value.copy(), to=exp.DataType.build("double"))
        return exp.Div(this=share, expression=total)
    if isinstance(node, exp.Anonymous) and node.name.lower() == "grouping_id":
        return exp.Anonymous(this="grouping", expressions=node.expressions)
    if isinstance(node, exp.Anonymous) and node.name.lower() in _READ_TIME:
        return _read_time(node)
    return node


def collation(name: str) -> exp.Expr:
    """DuckDB's collation for Redshift's; raises ValueError where there is none of that name."""
    found = _COLLATIONS.get(name.lower())
    if found is None:
        raise ValueError(f"collation {name} is not supported")
    return exp.Var(this=found)


def _read_time(call: exp.Anonymous) -> exp.Expr:
    """TO_TIMESTAMP and TO_DATE of a text by a format, whose quoted text stands for itself."""
    if len(call.expressions) < 2 or not call.expressions[1].is_string:
        raise ValueError(f"function {call.name.lower()}() needs a text and its format")
    text, pattern = call.expressions[:2]
    format_ = strptime_format(pattern.name)
    read = exp.Anonymous(this="strptime", expressions=[text, exp.Literal.string(format_)])
    return exp.Cast(this=read, to=exp.DataType.build(_READ_TIME[call.name.lower()]))


def strptime_format(pattern: str) -> str:
    """A format of TO_TIMESTAMP as strptime takes it."""
    return _TIME_PIECE.sub(
        lambda found: (
            _TIME_FIELDS[found[2].upper()]
            if found[2]
            else (found[1] if found[1] is not None else found[3]).replace("%", "%%")
        ),
        pattern,
    )
