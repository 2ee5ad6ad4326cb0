"""DynamoDB adapter of the state table: plain items, conditions, paging and transactions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from boto3.dynamodb.types import TypeDeserializer, TypeSerializer
from botocore.exceptions import BotoCoreError, ClientError

from anomaly_detector import aws_faults
from anomaly_detector.errors import PermanentError

Item = dict[str, Any]


@dataclass(frozen=True)
class NotAfter:
    """A condition: the attribute does not exist, or is at most this value."""

    value: str


# Attribute -> the required value, None if it must not exist, or a tuple of alternatives, which may
# include NotAfter.
Condition = Mapping[str, object]
# DynamoDB's limit for a transaction.
MOST_WRITES = 100
# Whole numbers beyond this were stored as floats.
_EXACT = 2**53


@dataclass(frozen=True)
class Write:
    """One write of a transaction.

    Attributes
    ----------
    values : attributes to set; others are unchanged. None removes an attribute.
    fresh : whether to replace the whole item instead.
    """

    sk: str
    values: Item
    only_if: Condition = field(default_factory=dict)
    fresh: bool = False


class StateTable:
    """The items of one detector, identified by sort key.

    If the reply to a conditional write is lost, the condition of the next attempt fails because of
    the first. So a write whose values are stored already counts as done: conditions that exclude
    others need values that name the writer.

    Parameters
    ----------
    client : a DynamoDB client of boto3.
    partition : name of the detector, the partition key of all its items.
    """

    def __init__(self, client: Any, table: str, partition: str) -> None:  # noqa: ANN401 boto3 has no types
        self._client = client
        self._table = table
        self._partition = partition

    def get(self, sk: str) -> Item | None:
        """The item (consistent read), or None."""
        answer = self._client.get_item(
            TableName=self._table, Key=self._key(sk), ConsistentRead=True
        )
        return _plain(answer["Item"]) if "Item" in answer else None

    def query(self, prefix: str, first: str | None = None, last: str | None = None) -> list[Item]:
        """Items whose sort key begins with `prefix`, ascending.

        Parameters
        ----------
        first, last : inclusive bounds of what follows the prefix, if given.
        """
        return list(self._query(prefix, first, last))

    def put(self, sk: str, item: Item) -> None:
        """Create or replace an item."""
        self._client.put_item(TableName=self._table, Item=self._item(sk, item))

    def put_new(self, sk: str, item: Item) -> bool:
        """Create an item; False if it exists."""
        return self._tried(
            Write(sk, item, fresh=True),
            self._client.put_item,
            Item=self._item(sk, item),
            ConditionExpression="attribute_not_exists(pk)",
        )

    def update(self, sk: str, values: Item, only_if: Condition | None = None) -> bool:
        """Set attributes (None removes one), leaving others unchanged; False if the condition
        fails.
        """
        write = Write(sk, values, only_if or {})
        return self._tried(write, self._client.update_item, **self._update(write))

    def delete(self, sk: str, only_if: Condition | None = None) -> None:
        """Delete an item if it exists and the condition holds."""
        condition = _Expression()
        self._tried(
            None,
            self._client.delete_item,
            Key=self._key(sk),
            **condition.arguments(condition.of(only_if or {})),
        )

    def delete_all(self, sort_keys: Iterable[str]) -> None:
        """Delete items."""
        for sk in sort_keys:
            self.delete(sk)

    def transact(self, writes: Sequence[Write]) -> bool:
        """Perform all writes or none; False if a condition fails.

        Raises
        ------
        PermanentError
            If there are more writes than a transaction can contain.
        """
        if len(writes) > MOST_WRITES:
            raise PermanentError(f"{len(writes)} writes do not fit one transaction.")
        items = []
        for write in writes:
            if write.fresh:
                condition = _Expression()
                arguments = condition.arguments(condition.of(write.only_if))
                put: Item = {"TableName": self._table, "Item": self._item(write.sk, write.values)}
                items.append({"Put": put | arguments})
            else:
                items.append({"Update": {"TableName": self._table} | self._update(write)})
        return self._attempted(
            writes, lambda: self._client.transact_write_items(TransactItems=items)
        )

    def _query(self, prefix: str, first: str | None, last: str | None) -> Iterator[Item]:
        if first is None and last is None:
            range_of_keys = "begins_with(sk, :first)"
            values = {":pk": self._partition, ":first": prefix}
        else:
            range_of_keys = "sk BETWEEN :first AND :last"
            # '~' sorts after all characters in these keys.
            values = {
                ":pk": self._partition,
                ":first": prefix + (first or ""),
                ":last": prefix + (last if last is not None else "~"),
            }
        pages = self._client.get_paginator("query").paginate(
            TableName=self._table,
            KeyConditionExpression=f"pk = :pk AND {range_of_keys}",
            ExpressionAttributeValues=_typed(values),
            ConsistentRead=True,
        )
        for page in pages:
            for item in page["Items"]:
                yield _plain(item)

    def _tried(self, write: Write | None, call: Callable[..., object], **arguments: object) -> bool:
        writes = () if write is None else (write,)
        return self._attempted(writes, lambda: call(TableName=self._table, **arguments))

    def _attempted(self, writes: Sequence[Write], call: Callable[[], object]) -> bool:
        """Whether the writes are done; a call that was throttled to the end, or whose outcome is
        unknown, is made once more: an alert that was sent must not go unrecorded.
        """
        try:
            return self._called(writes, call)
        except BotoCoreError:
            pass
        except ClientError as error:
            if not aws_faults.is_transient(error):
                raise
        return self._called(writes, call)

    def _called(self, writes: Sequence[Write], call: Callable[[], object]) -> bool:
        try:
            call()
        except ClientError as error:
            if not _is_refused(error):
                raise
            return bool(writes) and all(self._is_done(write) for write in writes)
        return True

    def _is_done(self, write: Write) -> bool:
        found = self.get(write.sk)
        if found is None:
            return False
        kept = {key: value for key, value in write.values.items() if value is not None}
        stored = _plain(_typed(kept))
        if write.fresh:
            return found == stored | {"sk": write.sk}
        others = write.only_if.keys() - write.values.keys()
        return all(found.get(key) == stored.get(key) for key in write.values) and all(
            _holds(found.get(key), write.only_if[key]) for key in others
        )

    def _key(self, sk: str) -> Item:
        return _typed({"pk": self._partition, "sk": sk})

    def _item(self, sk: str, item: Item) -> Item:
        kept = {name: value for name, value in item.items() if value is not None}
        return _typed(kept | {"pk": self._partition, "sk": sk})

    def _update(self, write: Write) -> Item:
        names = _Expression()
        kept = {key: value for key, value in write.values.items() if value is not None}
        gone = [key for key, value in write.values.items() if value is None]
        clauses = []
        if kept:
            pairs = [f"{names.name(key)} = {names.value(value)}" for key, value in kept.items()]
            clauses.append(f"SET {', '.join(pairs)}")
        if gone:
            clauses.append(f"REMOVE {', '.join(names.name(key) for key in gone)}")
        condition = names.of(write.only_if)
        return {
            "Key": self._key(write.sk),
            "UpdateExpression": " ".join(clauses),
            **names.arguments(condition),
        }


class _Expression:
    """Placeholders of one expression, as attribute names may be reserved words."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._values: Item = {}

    def name(self, attribute: str) -> str:
        place = f"#n{len(self._names)}"
        self._names[place] = attribute
        return place

    def value(self, value: object) -> str:
        place = f":v{len(self._values)}"
        self._values[place] = value
        return place

    def of(self, condition: Condition) -> str:
        parts = []
        for attribute, wanted in condition.items():
            name = self.name(attribute)
            choices = (self._choice(name, choice) for choice in _choices(wanted))
            parts.append(f"({' OR '.join(choices)})")
        return " AND ".join(parts)

    def _choice(self, name: str, choice: object) -> str:
        if choice is None:
            return f"attribute_not_exists({name})"
        if isinstance(choice, NotAfter):
            return f"attribute_not_exists({name}) OR {name} <= {self.value(choice.value)}"
        return f"{name} = {self.value(choice)}"

    def arguments(self, condition: str) -> Item:
        found: Item = {}
        if condition:
            found["ConditionExpression"] = condition
        if self._names:
            found["ExpressionAttributeNames"] = self._names
        if self._values:
            found["ExpressionAttributeValues"] = _typed(self._values)
        return found


def _is_refused(error: ClientError) -> bool:
    """Whether a condition has failed."""
    reasons = {reason.get("Code") for reason in error.response.get("CancellationReasons", ())}
    refused = aws_faults.code(error) == "ConditionalCheckFailedException"
    return refused or "ConditionalCheckFailed" in reasons


def _choices(wanted: object) -> tuple[object, ...]:
    return wanted if isinstance(wanted, tuple) else (wanted,)


def _holds(value: object, wanted: object) -> bool:
    return any(
        value is None or str(value) <= choice.value
        if isinstance(choice, NotAfter)
        else value == choice
        for choice in _choices(wanted)
    )


def _typed(item: Mapping[str, object]) -> Item:
    serializer = TypeSerializer()
    return {key: serializer.serialize(_decimal(value)) for key, value in item.items()}


def _plain(item: Item) -> Item:
    deserializer = TypeDeserializer()
    found = {key: _number(deserializer.deserialize(value)) for key, value in item.items()}
    return {key: value for key, value in found.items() if key != "pk"}


def _decimal(value: object) -> object:
    if isinstance(value, float):
        # repr is the shortest text that gives the same float, within DynamoDB's 38 digits.
        return Decimal(repr(value))
    if isinstance(value, Mapping):
        return {key: _decimal(one) for key, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [_decimal(one) for one in value]
    return value


def _number(value: Any) -> Any:  # noqa: ANN401 a JSON value
    if isinstance(value, Decimal):
        whole = value == value.to_integral_value() and abs(value) < _EXACT
        return int(value) if whole else float(value)
    if isinstance(value, dict):
        return {key: _number(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_number(one) for one in value]
    return value
