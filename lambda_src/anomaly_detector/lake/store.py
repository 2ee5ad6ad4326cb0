"""S3 adapter of the bucket: get, put, copy, list and delete, with paging."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from anomaly_detector import aws_faults
from anomaly_detector.errors import PermanentError

# Parallel requests, as files are small and latency dominates; well below the client's connection
# pool.
_WORKERS = 8
_DELETED_AT_ONCE = 1000

Content = TypeVar("Content")


@dataclass(frozen=True)
class Stored:
    """An object's bytes, and when it was written (UTC, whole seconds)."""

    body: bytes
    modified: datetime


class ObjectStore:
    """One bucket.

    Parameters
    ----------
    client : an S3 client of boto3.
    """

    def __init__(self, client: Any, bucket: str) -> None:  # noqa: ANN401 boto3 has no types
        self._client = client
        self.bucket = bucket

    def find(self, key: str) -> Stored | None:
        """The object, or None if it does not exist."""
        try:
            answer = self._client.get_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            if aws_faults.is_gone(error):
                return None
            raise
        return Stored(answer["Body"].read(), answer["LastModified"])

    def get(self, key: str) -> bytes:
        """The object's bytes.

        Raises
        ------
        PermanentError
            Where there is no such object.
        """
        found = self.find(key)
        if found is None:
            raise PermanentError(f"s3://{self.bucket}/{key} does not exist.")
        return found.body

    def read_all(self, keys: Sequence[str], read: Callable[[bytes], Content]) -> list[Content]:
        """The result of `read` for the bytes of each object; objects are read in parallel."""
        with ThreadPoolExecutor(_WORKERS) as workers:
            return list(workers.map(lambda key: read(self.get(key)), keys))

    def bodies(self, keys: Sequence[str]) -> Iterator[bytes]:
        """The bytes of each object, in order; the next few are read ahead."""
        with ThreadPoolExecutor(_WORKERS) as workers:
            coming: deque[Future[bytes]] = deque()
            for key in keys:
                coming.append(workers.submit(self.get, key))
                if len(coming) == _WORKERS:
                    yield coming.popleft().result()
            while coming:
                yield coming.popleft().result()

    def put(self, key: str, body: bytes, content_type: str = "application/octet-stream") -> None:
        """Create or replace an object."""
        self._client.put_object(Bucket=self.bucket, Key=key, Body=body, ContentType=content_type)

    def put_if_it_can(self, key: str, body: bytes, content_type: str) -> bool:
        """Write an optional object; False if that fails."""
        try:
            self.put(key, body, content_type)
        except (ClientError, BotoCoreError):
            return False
        return True

    def put_all(self, objects: Mapping[str, bytes], content_type: str) -> None:
        """Write objects in parallel; keys that end in .csv have the content type text/csv."""
        kinds = {key: "text/csv" if key.endswith(".csv") else content_type for key in objects}
        with ThreadPoolExecutor(_WORKERS) as workers:
            # Consuming the results raises errors.
            list(workers.map(lambda key: self.put(key, objects[key], kinds[key]), objects))

    def copy_all(self, copies: Mapping[str, str]) -> int:
        """Copy objects within the bucket, pairs of target and source; their number."""
        with ThreadPoolExecutor(_WORKERS) as workers:
            return sum(workers.map(self._copy, copies.values(), copies))

    def _copy(self, source: str, target: str) -> bool:
        try:
            self._client.copy_object(
                Bucket=self.bucket, Key=target, CopySource={"Bucket": self.bucket, "Key": source}
            )
        except ClientError as error:
            if aws_faults.is_gone(error):
                return False
            raise
        return True

    def get_json(self, key: str) -> Any:  # noqa: ANN401 as json.loads
        """The object as parsed JSON."""
        return json.loads(self.get(key))

    def put_json(self, key: str, value: object) -> None:
        """Write a value as JSON; NaN, which is not JSON, raises ValueError."""
        body = json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
        self.put(key, body, "application/json")

    def keys(self, prefix: str) -> Iterator[str]:
        """Keys below a prefix, ascending."""
        return (key for key, _ in self.modified(prefix))

    def modified(self, prefix: str) -> Iterator[tuple[str, datetime]]:
        """Keys below a prefix, ascending, with the time of the last write (UTC)."""
        pages = self._client.get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=self.bucket, Prefix=prefix):
            for item in page.get("Contents", ()):
                yield str(item["Key"]), item["LastModified"]

    def delete(self, keys: Iterable[str]) -> None:
        """Delete objects, whether they exist or not."""
        named = list(keys)
        for first in range(0, len(named), _DELETED_AT_ONCE):
            some = named[first : first + _DELETED_AT_ONCE]
            answer = self._client.delete_objects(
                Bucket=self.bucket,
                Delete={"Objects": [{"Key": key} for key in some], "Quiet": True},
            )
            if answer.get("Errors"):
                fault = answer["Errors"][0]
                raise ClientError(
                    {"Error": {"Code": fault["Code"], "Message": fault.get("Message", "")}},
                    "DeleteObjects",
                )
