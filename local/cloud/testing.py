"""Short ways to set a scene in a local cloud, for tests."""

# ruff: noqa: ANN401 - boto3's clients and their arguments have no types

from __future__ import annotations

import io
import itertools
import json
import time
import zipfile
from collections.abc import Callable
from typing import Any, TypeVar

from botocore.exceptions import ClientError

from local.cloud.process import LocalCloud

ACCOUNT = "000000000000"
REGION = "eu-west-1"
T = TypeVar("T")
_numbers = itertools.count(1)


def unique(noun: str) -> str:
    return f"{noun}-{next(_numbers)}"


def allow(
    actions: str | list[str], resources: str | list[str] = "*", **more: Any
) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **more}


def eventually(check: Callable[[], T | None], seconds: float = 300) -> T:
    """Return the first true answer of a check.

    A busy machine may take long; only what never comes fails.
    """
    deadline = time.monotonic() + seconds
    while not (found := check()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not so after {seconds:.0f} s; last seen: {found!r}")
        time.sleep(0.02)
    return found


def allowed(call: Callable[..., T], *arguments: Any) -> T | None:
    """Return a call's answer, None where AWS refuses it."""
    try:
        return call(*arguments)
    except ClientError:
        return None


class Scene:
    """A cluster, a bucket and roles of its own for one test."""

    def __init__(self, cloud: LocalCloud) -> None:
        self.cloud = cloud
        self.iam = cloud.client("iam")
        self.s3 = cloud.client("s3")

    def role(
        self,
        *statements: dict[str, Any],
        service: str = "lambda.amazonaws.com",
        trust: list[dict[str, Any]] | None = None,
        name: str | None = None,
    ) -> str:
        name = name or unique("role")
        trust = trust or [
            {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        ]
        made = self.iam.create_role(
            RoleName=name,
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": trust}),
        )
        if statements:
            self.iam.put_role_policy(
                RoleName=name,
                PolicyName="rights",
                PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}),
            )
        return str(made["Role"]["Arn"])

    def bucket(self) -> str:
        name = unique("lake")
        self.s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        return name

    def unload_role(self, bucket: str, *more: dict[str, Any], **options: Any) -> str:
        options.setdefault("service", "redshift.amazonaws.com")
        return self.role(
            allow("s3:ListBucket", f"arn:aws:s3:::{bucket}"),
            allow(["s3:PutObject", "s3:DeleteObject"], f"arn:aws:s3:::{bucket}/*"),
            *more,
            **options,
        )

    def cluster(self, roles: list[str] | None = None, sql: str = "", **options: Any) -> str:
        name = unique("cluster")
        self.cloud.create_cluster(name, roles=roles or [], **options)
        if sql:
            self.cloud.execute(name, sql)
        return name

    def workgroup(self, roles: list[str] | None = None, sql: str = "", **options: Any) -> str:
        name = unique("workgroup")
        self.cloud.create_workgroup(name, roles=roles or [], **options)
        if sql:
            self.cloud.execute(name, sql)
        return name

    def run(self, cluster: str, sql: str, client: Any = None, **more: Any) -> dict[str, Any]:
        client = client or self.cloud.client("redshift-data")
        noun = "WorkgroupName" if cluster.startswith("workgroup") else "ClusterIdentifier"
        made = client.execute_statement(Database="dev", Sql=sql, **{noun: cluster}, **more)
        return self.wait(made["Id"], client)

    def wait(self, statement: str, client: Any = None, *statuses: str) -> dict[str, Any]:
        client = client or self.cloud.client("redshift-data")
        wanted = statuses or ("FINISHED", "FAILED", "ABORTED")

        def ended() -> dict[str, Any] | None:
            found = client.describe_statement(Id=statement)
            return dict(found) if found["Status"] in wanted else None

        return eventually(ended) or {}

    def attach_in(self, warehouse: str, seconds: float) -> None:
        """Let attaching or detaching a role take so long at a warehouse from now on."""
        path = f"redshift/warehouses/{warehouse}"
        self.cloud.admin("PATCH", path, {"attach_seconds": seconds})

    def end_changes(self, warehouse: str) -> None:
        """Let all roles be in sync, or gone, that are on their way at a warehouse."""
        path = f"redshift/warehouses/{warehouse}"
        states = self.cloud.admin("GET", path)["roles"]
        staying = [role for role, state in states.items() if state != "removing"]
        self.cloud.admin("PATCH", path, {"roles": staying})

    def messages(self, queue: str) -> list[dict[str, Any]]:
        """Return what has arrived at a queue, the first message waited for."""
        client = self.cloud.client("sqs")
        call = {"QueueUrl": queue, "WaitTimeSeconds": 5, "MaxNumberOfMessages": 10}
        return eventually(lambda: list(client.receive_message(**call).get("Messages", [])))

    def rows(self, cluster: str, sql: str) -> list[list[Any]]:
        return self.cloud.execute(cluster, sql)

    def keys(self, bucket: str) -> list[str]:
        found = self.s3.list_objects_v2(Bucket=bucket)
        return [each["Key"] for each in found.get("Contents", [])]

    def read(self, bucket: str, key: str) -> bytes:
        return bytes(self.s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    def function(self, role: str, source: str, name: str | None = None) -> str:
        """Make a Lambda function of one file, ``handle`` its handler, and return its name."""
        content = io.BytesIO()
        with zipfile.ZipFile(content, "w") as archive:
            archive.writestr("main.py", source)
        name = name or unique("function")
        self.cloud.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.12",
            Role=role,
            Handler="main.handle",
            Code={"ZipFile": content.getvalue()},
            Timeout=30,
            Environment={"Variables": {"OF_THE_FUNCTION": "yes"}},
        )
        return name

    def invoke(self, function: str, event: Any = None) -> Any:
        client = self.cloud.client("lambda")
        answer = client.invoke(FunctionName=function, Payload=json.dumps(event))
        return json.loads(answer["Payload"].read())
