"""Conditions and updates of DynamoDB, compiled once for each text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any

Item = dict[str, Any]
Names = Mapping[str, str]
Values = Mapping[str, Any]
Operand = Callable[[Item, Names, Values], Any]
_TOKEN = re.compile(r"\s*(<>|<=|>=|[=<>(),+-]|[#:]?[A-Za-z_][\w.]*)")
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda one, other: one == other,
    "<>": lambda one, other: one != other,
    "<": lambda one, other: _sortable(one) < _sortable(other),
    "<=": lambda one, other: _sortable(one) <= _sortable(other),
    ">": lambda one, other: _sortable(one) > _sortable(other),
    ">=": lambda one, other: _sortable(one) >= _sortable(other),
}


def _sortable(value: Any) -> Any:
    ((kind, found),) = value.items()
    return Decimal(found) if kind == "N" else found


class _Reader:
    """Tokens of one expression."""

    def __init__(self, text: str) -> None:
        self.tokens = _TOKEN.findall(text)
        assert "".join(self.tokens) == re.sub(r"\s", "", text), text
        self.place = 0

    def peek(self) -> str:
        return self.tokens[self.place] if self.place < len(self.tokens) else ""

    def take(self, wanted: str | None = None) -> str:
        found = self.peek()
        assert wanted is None or found.upper() == wanted, (found, wanted)
        self.place += 1
        return found

    def took(self, wanted: str) -> bool:
        if self.peek().upper() != wanted:
            return False
        self.place += 1
        return True


@lru_cache(maxsize=4096)
def condition(text: str) -> Operand:
    """Whether an item meets a condition: a function of item, names and values."""
    reader = _Reader(text)
    found = _either(reader)
    assert not reader.peek(), text
    return found


def _either(reader: _Reader) -> Operand:
    found = _both(reader)
    while reader.took("OR"):
        found = _joined(found, _both(reader), any)
    return found


def _both(reader: _Reader) -> Operand:
    found = _one(reader)
    while reader.took("AND"):
        found = _joined(found, _one(reader), all)
    return found


def _joined(left: Operand, right: Operand, how: Callable[[Any], bool]) -> Operand:
    return lambda item, names, values: how(part(item, names, values) for part in (left, right))


def _one(reader: _Reader) -> Operand:
    if reader.took("NOT"):
        inner = _one(reader)
        return lambda item, names, values: not inner(item, names, values)
    if reader.took("("):
        found = _either(reader)
        reader.take(")")
        return found
    if reader.peek() in ("attribute_exists", "attribute_not_exists", "begins_with"):
        return _function(reader)
    left = _operand(reader)
    if reader.took("BETWEEN"):
        low = _operand(reader)
        reader.take("AND")
        high = _operand(reader)
        return lambda item, names, values: (
            _sortable(low(item, names, values))
            <= _sortable(left(item, names, values))
            <= _sortable(high(item, names, values))
        )
    holds, right = _ORDER[reader.take()], _operand(reader)

    def compared(item: Item, names: Names, values: Values) -> bool:
        one, other = left(item, names, values), right(item, names, values)
        return one is not None and other is not None and holds(one, other)

    return compared


def _function(reader: _Reader) -> Operand:
    name = reader.take()
    reader.take("(")
    first = _operand(reader)
    if name == "begins_with":
        reader.take(",")
        second = _operand(reader)
        reader.take(")")
        return lambda item, names, values: first(item, names, values)["S"].startswith(
            second(item, names, values)["S"]
        )
    reader.take(")")
    wanted = name == "attribute_exists"
    return lambda item, names, values: (first(item, names, values) is not None) == wanted


def _operand(reader: _Reader) -> Operand:
    name = reader.take()
    if name == "if_not_exists":
        reader.take("(")
        first = _operand(reader)
        reader.take(",")
        second = _operand(reader)
        reader.take(")")

        def either(item: Item, names: Names, values: Values) -> Any:
            found = first(item, names, values)
            return second(item, names, values) if found is None else found

        return either
    if name.startswith(":"):
        return lambda _item, _names, values: values[name]
    path = name.split(".")

    def stored(item: Item, names: Names, values: Values) -> Any:  # noqa: ARG001
        found: Any = {"M": item}
        for part in path:
            found = found.get("M", {}).get(names[part] if part.startswith("#") else part)
            if found is None:
                return None
        return found

    return stored


@lru_cache(maxsize=4096)
def update(text: str) -> Callable[[Item, Names, Values], Item]:
    """What an update makes of an item: a function of item, names and values."""
    reader = _Reader(text)
    changes: list[tuple[str, Operand | None]] = []
    while reader.peek():
        clause = reader.take().upper()
        while True:
            name = reader.take()
            changes.append((name, _sum(reader) if clause == "SET" else None))
            if not reader.took(","):
                break

    def updated(item: Item, names: Names, values: Values) -> Item:
        after = dict(item)
        for name, work in changes:
            key = names[name] if name.startswith("#") else name
            if work is None:
                after.pop(key, None)
            else:
                after[key] = work(item, names, values)
        return after

    return updated


def _sum(reader: _Reader) -> Operand:
    reader.take("=")
    left = _operand(reader)
    sign = reader.peek()
    if sign not in ("+", "-"):
        return left
    reader.take()
    right = _operand(reader)

    def summed(item: Item, names: Names, values: Values) -> Any:
        one, other = (Decimal(part(item, names, values)["N"]) for part in (left, right))
        return {"N": str(one + other if sign == "+" else one - other)}

    return summed
