"""Redshift's SQL into DuckDB's: what Redshift refuses is refused here, with its text.

Pure: text in, text out.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import sqlglot
from anomaly_detector.local_file.translation import Grammar, collation, generate, rewrite
from sqlglot import exp
from sqlglot.dialects.redshift import Redshift
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType

from local.cloud.redshift.errors import RedshiftError
from local.cloud.redshift.functions import KNOWN, LEADER_FUNCTIONS, LEADER_WORDS

Kind = Literal["query", "write", "ddl", "copy", "unload", "user", "grant", "nothing"]


_NOTHING = {"analyze", "vacuum", "revoke", "set", "reset", "comment"}
_NAME = r'"(?:[^"]|"")+"|[a-z_]\w*'
_CREATE_USER = re.compile(
    rf"(?is)\s*create\s+user\s+({_NAME})\s+(?:with\s+)?password\s+(?:disable|'[^']*')\b.*"
)
_GRANTED = re.compile(r"(?is)\s*grant\s.+\sto\s+(.+?)(?:\s+with\s+grant\s+option)?\s*")
_GRANTEE = re.compile(rf"(?is)\s*(?:(group|role)\s+)?({_NAME})\s*")
_TRANSACTION = {"begin", "start", "commit", "end", "rollback", "abort"}


def _near(text: str) -> str:
    return f'syntax error at or near "{text}"'


def _is_nameless(node: exp.Expr) -> bool:
    """Whether it is a derived table without a name; PIVOT needs none."""
    in_from = isinstance(node.parent, exp.From | exp.Join)
    return in_from and not node.alias and not node.args.get("pivots")


def _orders_by_all(node: exp.Expr) -> bool:
    column = node.this
    return (
        isinstance(column, exp.Column) and not column.this.quoted and column.name.lower() == "all"
    )


def _needs_frame(window: exp.Expr) -> bool:
    """Whether it is a window over sorted rows of a function that asks for a frame."""
    function = window.this
    while isinstance(function, exp.IgnoreNulls | exp.RespectNulls):
        function = function.this
    return (
        isinstance(function, _OVER_FRAMES)
        and window.args.get("order") is not None
        and window.args.get("spec") is None
    )


_TEXTS = (exp.DType.VARCHAR, exp.DType.TEXT, exp.DType.CHAR, exp.DType.NCHAR, exp.DType.NVARCHAR)
# Functions that rank, or look at another row, take no frame.
_OVER_FRAMES = (
    exp.Avg,
    exp.Count,
    exp.FirstValue,
    exp.LastValue,
    exp.Max,
    exp.Min,
    exp.NthValue,
    exp.Stddev,
    exp.StddevPop,
    exp.StddevSamp,
    exp.Sum,
    exp.Variance,
    exp.VariancePop,
)
# A kind of node, when it is foreign to Redshift, and Redshift's answer.
_FOREIGN: tuple[tuple[type[exp.Expr], Callable[[exp.Expr], bool], str], ...] = (
    (exp.Array, lambda node: bool(node.args.get("bracket_notation")), _near("[")),
    (exp.Group, lambda node: bool(node.args.get("all")), _near("all")),
    (exp.Ordered, _orders_by_all, _near("all")),
    (
        exp.Distinct,
        lambda node: bool(node.args.get("on")),
        "SELECT DISTINCT ON is not supported",
    ),
    (
        exp.Star,
        lambda node: bool(node.args.get("replace") or node.args.get("rename")),
        _near("replace"),
    ),
    (
        exp.Subquery,
        lambda node: _is_nameless(node),
        "subquery in FROM must have an alias\n  Hint: For example, FROM (SELECT ...) [AS] foo.",
    ),
    (
        exp.Window,
        _needs_frame,
        "Aggregate window functions with an ORDER BY clause require a frame clause",
    ),
    (
        exp.WindowSpec,
        lambda node: str(node.args.get("kind")).upper() != "ROWS",
        "RANGE clause of window functions not yet implemented",
    ),
    (
        exp.Intersect,
        lambda node: not node.args.get("distinct"),
        "INTERSECT ALL is not supported",
    ),
    (exp.Except, lambda node: not node.args.get("distinct"), "EXCEPT ALL is not supported"),
    (exp.Values, lambda node: not isinstance(node.parent, exp.Insert), _near("values")),
)
_FOREIGN_WORDS = {"==", "regexp", "rlike", "glob"}
_QUOTED = (TokenType.STRING, TokenType.IDENTIFIER)
_UNKNOWN_CLASSES = {
    exp.Filter: 'syntax error at or near "("',
    exp.Lateral: 'syntax error at or near "LATERAL"',
    exp.Unnest: "function unnest() does not exist",
    exp.TableSample: 'syntax error at or near "TABLESAMPLE"',
    exp.NullSafeEQ: 'syntax error at or near "DISTINCT"',
    exp.NullSafeNEQ: 'syntax error at or near "DISTINCT"',
    exp.Struct: 'syntax error at or near "{"',
    exp.Lambda: 'syntax error at or near "->"',
    exp.List: 'syntax error at or near "["',
}


@dataclass(frozen=True)
class Statement:
    """One statement, ready to run.

    Attributes
    ----------
    kind
        What it is; ``copy`` and ``unload`` are left as they were written.
    sql
        DuckDB's text, empty where there is nothing to do.
    before
        Texts to run first, such as an identity column's sequence.
    tables
        Names of the tables that it reads, in lower case.
    users
        Of a CREATE USER: who is made; of a GRANT: who must exist.
    char_columns
        Of a CREATE TABLE: the CHAR columns and their widths.
    """

    kind: Kind
    sql: str
    before: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    target: str = ""
    users: tuple[str, ...] = ()
    char_columns: Mapping[str, int] | None = None


def _name(text: str) -> str:
    return text[1:-1].replace('""', '"') if text.startswith('"') else text.lower()


def _grantees(sql: str) -> tuple[str, ...]:
    """Return the users that a GRANT names; PUBLIC, groups and roles are none."""
    found = _GRANTED.fullmatch(sql)
    grantees = [_GRANTEE.fullmatch(each) for each in found[1].split(",")] if found else [None]
    if not all(grantees):
        raise RedshiftError(_near("grant"))
    return tuple(
        _name(each[2]) for each in grantees if each and not each[1] and each[2].lower() != "public"
    )


def split(sql: str) -> list[str]:
    """Return the statements of a text, without semicolons, comments left where they are."""
    statements: list[str] = []
    start = 0
    used = False
    for token in tokens_of(sql):
        if token.token_type == TokenType.SEMICOLON:
            if used:
                statements.append(sql[start : token.start].strip())
            start, used = token.end + 1, False
        else:
            used = True
    if used:
        statements.append(sql[start:].strip())
    return statements


def tokens_of(sql: str) -> list[Token]:
    """Return the tokens of a text; raises :class:`RedshiftError` where it has none."""
    try:
        return list(Redshift().tokenize(sql))
    except SqlglotError as error:
        # Any text has tokens, unless a quote, a comment or a dollar quote in it has no end.
        raise RedshiftError(f'unterminated quoted string at or near "{sql[:40]}"') from error


def first_word(sql: str) -> str:
    """Return a statement's first word in lower case."""
    tokens = tokens_of(sql)
    return tokens[0].text.lower().split()[0] if tokens else ""


def translate(sql: str, parameters: Mapping[str, str] | None = None) -> Statement:
    """Translate one statement.

    Raises
    ------
    RedshiftError
        Where Redshift would refuse the statement, or the stand-in does not know it.
    """
    word = first_word(sql)
    if word in ("copy", "unload"):
        return Statement("copy" if word == "copy" else "unload", sql)
    if word in _NOTHING or word in _TRANSACTION:
        return Statement("nothing", "")
    if word == "grant":
        return Statement("grant", "", users=_grantees(sql))
    if word == "create" and re.match(r"(?is)\s*create\s+user\b", sql):
        found = _CREATE_USER.fullmatch(sql)
        if found is None:
            raise RedshiftError(_near("user"))
        return Statement("user", "", users=(_name(found[1]),))
    if word == "create" and re.match(r"(?is)^\W*create\s+(local\s+)?(temp\w*\s+)?table\b", sql):
        return _create_table(sql)
    if word in ("select", "with", "("):
        return _query(sql, parameters or {})
    if word in ("insert", "update", "delete", "truncate", "create", "drop", "alter"):
        tree = _parse(sql)
        _refuse(sql, tree)
        tree = _rewrite(tree, parameters or {})
        kind: Kind = "write" if word in ("insert", "update", "delete", "truncate") else "ddl"
        target = tree.find(exp.Table)
        return Statement(
            kind,
            generate(tree),
            tables=_tables(tree),
            target=target.name if target else "",
        )
    raise RedshiftError(f'syntax error at or near "{word}"')


def _query(sql: str, parameters: Mapping[str, str]) -> Statement:
    tree = _parse(sql)
    _refuse(sql, tree)
    tree = _rewrite(tree, parameters)
    return Statement("query", generate(tree), tables=_tables(tree))


def has_outer_limit(sql: str) -> bool:
    """Whether a query's outermost SELECT has LIMIT (or TOP), which UNLOAD does not allow."""
    tree = _parse(sql)
    while isinstance(tree, exp.Paren | exp.Subquery):
        if tree.args.get("limit"):
            return True
        tree = tree.this
    return tree.args.get("limit") is not None or tree.args.get("fetch") is not None


def placeholders(sql: str) -> set[str]:
    """Return the names of the ``:name`` parameters in a statement, outside of texts."""
    found = set()
    tokens = tokens_of(sql)
    for colon, name in itertools.pairwise(tokens):
        if colon.token_type == TokenType.COLON and name.start == colon.end + 1:
            found.add(name.text)
    return found


def _parse(sql: str) -> exp.Expr:
    try:
        trees = [tree for tree in sqlglot.parse(sql, dialect=Grammar) if tree is not None]
    except SqlglotError as error:
        details = getattr(error, "errors", None) or [{}]
        near = str(details[0].get("highlight") or "").strip()
        raise RedshiftError(f'syntax error at or near "{near}"') from error
    if len(trees) != 1:
        raise RedshiftError("cannot insert multiple commands into a prepared statement")
    tree = trees[0]
    if isinstance(tree, exp.Command) or not isinstance(tree, exp.Expr):
        raise RedshiftError(f'syntax error at or near "{sql.split(None, 1)[0]}"')
    return tree


def _refuse(sql: str, tree: exp.Expr) -> None:
    """Raise for what DuckDB would run but Redshift would not."""
    _refuse_tokens(tokens_of(sql))
    for kind, message in _UNKNOWN_CLASSES.items():
        if tree.find(kind):
            raise RedshiftError(message)
    for node_kind, is_foreign, message in _FOREIGN:
        if any(is_foreign(node) for node in tree.find_all(node_kind)):
            raise RedshiftError(message)
    for select in tree.find_all(exp.Select):
        _refuse_aggregates(select)
    for join in tree.find_all(exp.Join):
        method = (join.args.get("method") or join.args.get("kind") or "").upper()
        if method in ("ASOF", "POSITIONAL", "SEMI", "ANTI", "ARRAY"):
            raise RedshiftError(_near(method))
    for clause in tree.find_all(exp.With):
        if clause.recursive and clause.parent is not tree:
            raise RedshiftError("WITH RECURSIVE is not supported in a subquery")
    leader = _of_leader(tokens_of(sql)) or any(map(_is_catalog, tree.find_all(exp.Table)))
    if leader and (isinstance(tree, exp.Insert | exp.Create) or _tables(tree)):
        raise RedshiftError(
            "Specified types or functions (one per INFO message) not supported on Redshift tables."
        )


def _refuse_aggregates(select: exp.Select) -> None:
    """Raise for aggregates that Redshift does not compute in one SELECT."""
    own = [
        node
        for column in select.expressions
        for node in column.walk(prune=lambda node: isinstance(node, exp.Window | exp.Select))
    ]
    orders = set()
    for node in own:
        if isinstance(node, exp.PercentileDisc):
            raise RedshiftError(
                "percentile_disc() is a window function, or an aggregate with APPROXIMATE"
            )
        if isinstance(node, exp.WithinGroup) and isinstance(
            node.this, exp.PercentileCont | exp.GroupConcat
        ):
            orders.add(node.expression.sql())
        if isinstance(node, exp.Median):
            orders.add(exp.Order(expressions=[exp.Ordered(this=node.this.copy())]).sql())
    if len(orders) > 1:
        raise RedshiftError(
            "within group ORDER BY clauses for aggregate functions must be the same"
        )
    if orders and any(isinstance(node, exp.Distinct) for node in own):
        raise RedshiftError(
            "Using LISTAGG/PERCENTILE_CONT/MEDIAN aggregate functions with other distinct "
            "aggregate function not supported"
        )


def _is_catalog(table: exp.Table) -> bool:
    return table.db.lower() in ("pg_catalog", "information_schema") or table.name.lower() in (
        "pg_class",
        "pg_namespace",
        "pg_table_def",
        "pg_tables",
        "pg_user",
    )


def _of_leader(tokens: list[Token]) -> bool:
    """Whether a text calls what only the leader node has, which no query of tables may."""
    words = [token.text.lower() for token in tokens if token.token_type != TokenType.STRING]
    return any(
        word in LEADER_WORDS or (word in LEADER_FUNCTIONS and following == "(")
        for word, following in itertools.pairwise([*words, ""])
    )


def _refuse_tokens(tokens: list[Token]) -> None:
    for place, token in enumerate(tokens):
        before = tokens[place - 1] if place else None
        after = tokens[place + 1] if place + 1 < len(tokens) else None
        opening = before is None or before.token_type == TokenType.L_PAREN
        trailing = before is not None and before.token_type == TokenType.COMMA
        if (token.token_type == TokenType.FROM and (opening or trailing)) or (
            token.token_type == TokenType.R_PAREN and trailing
        ):
            raise RedshiftError(_near(token.text))
        if token.text.lower() in _FOREIGN_WORDS and token.token_type not in _QUOTED:
            raise RedshiftError(_near(token.text))
        if after is None or after.token_type != TokenType.L_PAREN:
            continue
        if token.token_type not in (TokenType.VAR, TokenType.UNNEST):
            continue
        if before is not None and (
            before.token_type
            in (
                TokenType.VAR,
                TokenType.IDENTIFIER,
                TokenType.R_PAREN,
                TokenType.ALIAS,
                TokenType.INTO,
                TokenType.TABLE,
                TokenType.DOT,
                TokenType.WITH,
                TokenType.RECURSIVE,
            )
            and before.text.lower() not in KNOWN - {"identity"}
        ):
            continue
        if _names_a_list(tokens, place + 1):
            continue
        name = token.text.lower()
        if name not in KNOWN:
            raise RedshiftError(
                f"function {name}() does not exist\n  Hint: No function matches the given name "
                "and argument types. You may need to add explicit type casts."
            )


def _names_a_list(tokens: list[Token], opening: int) -> bool:
    """Whether ``name (`` begins ``name (a, b) AS (``, a common table expression's columns."""
    depth = 0
    for place in range(opening, len(tokens)):
        kind = tokens[place].token_type
        depth += (kind == TokenType.L_PAREN) - (kind == TokenType.R_PAREN)
        if depth == 0:
            follow = [each.token_type for each in tokens[place + 1 : place + 3]]
            return follow == [TokenType.ALIAS, TokenType.L_PAREN]
    return False


def _rewrite(tree: exp.Expr, parameters: Mapping[str, str]) -> exp.Expr:
    def fill(node: exp.Expr) -> exp.Expr:
        if not isinstance(node, exp.Placeholder):
            return node
        if node.name not in parameters:
            raise RedshiftError('syntax error at or near ":"')
        return exp.Literal.string(parameters[node.name])

    def guard(node: exp.Expr) -> exp.Expr:
        if isinstance(node, exp.Cast) and node.to.is_type(*_TEXTS):
            node.set("this", exp.Anonymous(this="rs_text", expressions=[node.this]))
        return node

    for select in tree.find_all(exp.Select):
        _name_columns(select)
    try:
        return rewrite(tree.transform(fill, copy=False).transform(guard, copy=False))
    except ValueError as error:
        raise RedshiftError(str(error)) from error


def _name_columns(select: exp.Select) -> None:
    """Name columns without a name as Redshift does: by column, by function, or ``?column?``."""
    named: list[exp.Expr] = []
    for column in select.expressions:
        inner = column
        while isinstance(inner, exp.Paren | exp.Cast | exp.Window | exp.WithinGroup):
            inner = inner.this
        if isinstance(column, exp.Alias | exp.Column | exp.Star | exp.Dot | exp.Placeholder):
            named.append(column)
            continue
        if isinstance(inner, exp.Column | exp.Anonymous):
            name = inner.name
        elif isinstance(inner, exp.CurrentTimestamp):
            name = "timestamp" if inner.args.get("sysdate") else "getdate"
        elif isinstance(inner, exp.Func) and not isinstance(inner, exp.Binary):
            name = inner.sql_name()
        else:
            name = "?column?"
        named.append(exp.alias_(column, name.lower(), quoted=True))
    select.set("expressions", named)


def _tables(tree: exp.Expr) -> tuple[str, ...]:
    known = {cte.alias_or_name.lower() for cte in tree.find_all(exp.CTE)}
    names = {table.name.lower() for table in tree.find_all(exp.Table) if not _is_catalog(table)}
    return tuple(sorted(name for name in names - known if name))


def _create_table(sql: str) -> Statement:
    """Translate CREATE TABLE, dropping what only lays data out on Redshift's disks."""
    pieces: list[str] = []
    last = 0
    tokens = tokens_of(sql)
    place = 0
    while place < len(tokens):
        end = _layout_end(tokens, place)
        if end > place:
            pieces.append(sql[last : tokens[place].start])
            last = tokens[end - 1].end + 1
            place = end
        else:
            place += 1
    tree = _parse("".join([*pieces, sql[last:]]))
    if not isinstance(tree, exp.Create):
        raise RedshiftError('syntax error at or near "create"')
    if isinstance(tree.expression, exp.Query):
        _refuse(sql, tree.expression)
    table = tree.find(exp.Table)
    name = table.name.lower() if table else ""
    before: list[str] = []
    widths: dict[str, int] = {}
    for column in tree.find_all(exp.ColumnDef):
        kind = column.args.get("kind")
        if kind is not None and kind.is_type(exp.DType.CHAR, exp.DType.NCHAR):
            size = kind.expressions[0].name if kind.expressions else "1"
            widths[column.name.lower()] = int(size)
        kept = []
        for constraint in column.args.get("constraints") or []:
            rule = constraint.args.get("kind")
            if isinstance(rule, exp.GeneratedAsIdentityColumnConstraint):
                sequence = f"identity_{name}_{column.name.lower()}"
                start = rule.args.get("start") or exp.Literal.number(1)
                step = rule.args.get("increment") or exp.Literal.number(1)
                before.append(
                    f'CREATE SEQUENCE IF NOT EXISTS "{sequence}" START WITH {start.sql()} '
                    f"INCREMENT BY {step.sql()}"
                )
                default = exp.DefaultColumnConstraint(
                    this=exp.func("nextval", exp.Literal.string(sequence))
                )
                kept.append(exp.ColumnConstraint(kind=default))
            elif isinstance(rule, exp.CollateColumnConstraint):
                rule.set("this", _collation(rule.this.name))
                kept.append(constraint)
            # Redshift does not enforce keys, so they must not be enforced here.
            elif isinstance(rule, exp.NotNullColumnConstraint | exp.DefaultColumnConstraint):
                kept.append(constraint)
        column.set("constraints", kept)
    schema = tree.this
    if isinstance(schema, exp.Schema):
        schema.set(
            "expressions", [each for each in schema.expressions if isinstance(each, exp.ColumnDef)]
        )
    tree = _rewrite(tree, {})
    return Statement("ddl", generate(tree), before=tuple(before), target=name, char_columns=widths)


def _collation(name: str) -> exp.Expr:
    try:
        return collation(name)
    except ValueError as error:
        raise RedshiftError(str(error)) from error


def _layout_end(tokens: list[Token], place: int) -> int:
    """Return where a clause of layout that starts at ``place`` ends; ``place`` if none does."""

    def text(index: int) -> str:
        return tokens[index].text.lower() if index < len(tokens) else ""

    def closing(index: int) -> int:
        depth = 0
        for at in range(index, len(tokens)):
            depth += (text(at) == "(") - (text(at) == ")")
            if depth == 0:
                return at + 1
        return len(tokens)

    word = text(place)
    if tokens[place].token_type in (TokenType.STRING, TokenType.IDENTIFIER):
        return place
    if word in ("encode", "diststyle", "backup"):
        return place + 2
    if word in ("compound", "interleaved") and text(place + 1) == "sortkey":
        return closing(place + 2)
    if word in ("sortkey", "distkey") and place:
        if text(place + 1) == "(" and text(place - 1) in (")", "auto", "all", "even", "key"):
            return closing(place + 1)
        if text(place + 1) == "auto":
            return place + 2
        return place + 1
    return place


def quote(name: str) -> str:
    """Return a name as a quoted identifier."""
    return '"' + name.replace('"', '""') + '"'
