"""S3, DynamoDB and message targets in memory, behind clients that look like boto3's.

A call goes through `Line`, which may strike it with a fault, as often as the real client would try.
"""

from __future__ import annotations

import io
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from botocore.exceptions import ClientError

from tests.simulation import expressions

Call = Callable[..., dict[str, Any]]
# Items on one page of a query, keys on one of a listing: few, so that there are several.
_PAGE = 200
# For how long DynamoDB knows the token of a transaction.
_REMEMBERED = timedelta(minutes=10)


def refused(code: str, operation: str, message: str = "", **more: Any) -> ClientError:
    """An error of AWS."""
    error = {"Error": {"Code": code, "Message": message or code}}
    return ClientError({**error, **more}, operation)


class Line(Protocol):
    """What lies between a client and its service."""

    def through(self, service: str, operation: str, attempts: int, call: Call, given: Any) -> Any:
        """Make the call, or fail it."""


class Undisturbed:
    """A line on which nothing happens."""

    def through(
        self, _service: str, _operation: str, _attempts: int, call: Call, given: Any
    ) -> Any:
        """Make the call."""
        return call(**given)


class Client:
    """A client of boto3."""

    def __init__(self, line: Line, service: str, backend: Any, attempts: int) -> None:
        self._line, self._service = line, service
        self._backend, self._attempts = backend, attempts
        self._tokens = itertools.count()

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        call: Call = getattr(self._backend, operation)

        def made(**given: Any) -> Any:
            if operation == "transact_write_items":
                # boto3 makes it once for all its attempts.
                given["ClientRequestToken"] = f"{id(self)}-{next(self._tokens)}"
            return self._line.through(self._service, operation, self._attempts, call, given)

        return made

    def get_paginator(self, operation: str) -> _Paginator:
        """Pages of a listing."""
        return _Paginator(getattr(self, operation))


@dataclass(frozen=True)
class _Paginator:
    call: Call

    def paginate(self, **given: Any) -> Iterator[dict[str, Any]]:
        more: dict[str, Any] = {}
        while True:
            page = self.call(**given, **more)
            yield page
            more = page.get("More", {})
            if not more:
                return


@dataclass
class Bucket:
    """S3: one bucket's objects. `changed` is told the key of each that is written."""

    clock: Callable[[], datetime]
    objects: dict[str, tuple[bytes, datetime]] = field(default_factory=dict)
    changed: Callable[[str], None] = lambda _key: None

    def write(self, key: str, body: bytes) -> None:
        """Create or replace an object."""
        self.objects[key] = (body, self.clock().replace(microsecond=0))
        self.changed(key)

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: ARG002, N803
        if Key not in self.objects:
            raise refused("NoSuchKey", "GetObject")
        body, modified = self.objects[Key]
        return {"Body": io.BytesIO(body), "LastModified": modified, "ContentLength": len(body)}

    def head_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: ARG002, N803
        if Key not in self.objects:
            raise refused("404", "HeadObject")
        body, modified = self.objects[Key]
        return {"LastModified": modified, "ContentLength": len(body)}

    def put_object(
        self,
        *,
        Bucket: str,  # noqa: ARG002, N803
        Key: str,  # noqa: N803
        Body: bytes,  # noqa: N803
        ContentType: str,  # noqa: ARG002, N803
    ) -> dict[str, Any]:
        self.write(Key, bytes(Body))
        return {}

    def copy_object(
        self,
        *,
        Bucket: str,  # noqa: ARG002, N803
        Key: str,  # noqa: N803
        CopySource: dict[str, str],  # noqa: N803
    ) -> dict[str, Any]:
        if CopySource["Key"] not in self.objects:
            raise refused("NoSuchKey", "CopyObject")
        self.write(Key, self.objects[CopySource["Key"]][0])
        return {}

    def delete_objects(self, *, Bucket: str, Delete: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002, N803
        for one in Delete["Objects"]:
            self.objects.pop(one["Key"], None)
        return {}

    def list_objects_v2(
        self,
        *,
        Bucket: str,  # noqa: ARG002, N803
        Prefix: str,  # noqa: N803
        StartAfter: str = "",  # noqa: N803
    ) -> dict[str, Any]:
        keys = sorted(key for key in self.objects if key.startswith(Prefix) and key > StartAfter)
        page = {
            "Contents": [{"Key": key, "LastModified": self.objects[key][1]} for key in keys[:_PAGE]]
        }
        more = len(keys) > _PAGE
        return {**page, "More": {"StartAfter": keys[_PAGE - 1]}} if more else page


@dataclass
class Table:
    """DynamoDB: one table's items, typed as the API gives them; nobody changes a given one."""

    clock: Callable[[], datetime]
    items: dict[tuple[str, str], dict[str, Any]] = field(default_factory=dict)
    tokens: dict[str, datetime] = field(default_factory=dict)

    def get_item(self, *, Key: dict[str, Any], **_: Any) -> dict[str, Any]:  # noqa: N803
        found = self.items.get(_key(Key))
        return {} if found is None else {"Item": found}

    def put_item(self, *, Item: dict[str, Any], **given: Any) -> dict[str, Any]:  # noqa: N803
        self._check(Item, given, "PutItem")
        self.items[_key(Item)] = Item
        return {}

    def update_item(self, *, Key: dict[str, Any], **given: Any) -> dict[str, Any]:  # noqa: N803
        self._check(Key, given, "UpdateItem")
        self._update(Key, given)
        return {}

    def delete_item(self, *, Key: dict[str, Any], **given: Any) -> dict[str, Any]:  # noqa: N803
        self._check(Key, given, "DeleteItem")
        self.items.pop(_key(Key), None)
        return {}

    def transact_write_items(
        self,
        *,
        TransactItems: list[dict[str, Any]],  # noqa: N803
        ClientRequestToken: str,  # noqa: N803
    ) -> dict[str, Any]:
        made = self.tokens.get(ClientRequestToken)
        if made is not None and self.clock() - made < _REMEMBERED:
            return {}
        reasons = []
        for write in TransactItems:
            ((kind, given),) = write.items()
            try:
                self._check(given.get("Key", given.get("Item")), given, kind)
                reasons.append({"Code": "None"})
            except ClientError:
                reasons.append({"Code": "ConditionalCheckFailed"})
        if any(reason["Code"] != "None" for reason in reasons):
            raise refused(
                "TransactionCanceledException", "TransactWriteItems", CancellationReasons=reasons
            )
        for write in TransactItems:
            ((kind, given),) = write.items()
            if kind == "Put":
                self.items[_key(given["Item"])] = given["Item"]
            elif kind == "Update":
                self._update(given["Key"], given)
            elif kind == "Delete":
                self.items.pop(_key(given["Key"]), None)
        self.tokens[ClientRequestToken] = self.clock()
        return {}

    def query(
        self,
        *,
        KeyConditionExpression: str,  # noqa: N803
        ExpressionAttributeValues: dict[str, Any],  # noqa: N803
        ExclusiveStartKey: tuple[str, str] | None = None,  # noqa: N803
        **_: Any,
    ) -> dict[str, Any]:
        holds = expressions.condition(KeyConditionExpression)
        # All sort keys are told apart by what they begin with.
        begin = ExpressionAttributeValues[":first"]["S"].partition("#")[0]
        found = sorted(
            (key, item)
            for key, item in self.items.items()
            if key[1].startswith(begin)
            and (ExclusiveStartKey is None or key > ExclusiveStartKey)
            and holds({"pk": {"S": key[0]}, "sk": {"S": key[1]}}, {}, ExpressionAttributeValues)
        )
        page: dict[str, Any] = {"Items": [item for _, item in found[:_PAGE]]}
        if len(found) > _PAGE:
            page["More"] = {"ExclusiveStartKey": found[_PAGE - 1][0]}
        return page

    def _check(self, named: dict[str, Any], given: dict[str, Any], operation: str) -> None:
        text = given.get("ConditionExpression")
        if text is None:
            return
        item = self.items.get(_key(named), {})
        names, values = _placeholders(given)
        if not expressions.condition(text)(item, names, values):
            raise refused("ConditionalCheckFailedException", operation)

    def _update(self, key: dict[str, Any], given: dict[str, Any]) -> None:
        names, values = _placeholders(given)
        item = self.items.get(_key(key), dict(key))
        after = expressions.update(given["UpdateExpression"])(item, names, values)
        self.items[_key(key)] = after


def _key(item: dict[str, Any]) -> tuple[str, str]:
    return item["pk"]["S"], item["sk"]["S"]


def _placeholders(given: dict[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    return (
        given.get("ExpressionAttributeNames", {}),
        given.get("ExpressionAttributeValues", {}),
    )


@dataclass
class Targets:
    """SNS and Lambda as receivers of messages: what each got, in order.

    Attributes
    ----------
    told : is called with what a topic gets: its subject and text.
    """

    received: list[tuple[str, str, str]] = field(default_factory=list)
    told: Callable[[str, str], None] = lambda _subject, _text: None

    def publish(
        self,
        *,
        TopicArn: str,  # noqa: N803
        Subject: str,  # noqa: N803
        Message: str,  # noqa: N803
        MessageStructure: str = "",  # noqa: N803
        **_: Any,
    ) -> dict[str, Any]:
        if MessageStructure == "json":
            Message = json.loads(Message)["default"]  # noqa: N806
        self.received.append((TopicArn, Subject, Message))
        self.told(Subject, Message)
        return {"MessageId": str(len(self.received))}

    def invoke(self, *, FunctionName: str, Payload: bytes, **_: Any) -> dict[str, Any]:  # noqa: N803
        self.received.append((FunctionName, "", Payload.decode()))
        return {"StatusCode": 202}
