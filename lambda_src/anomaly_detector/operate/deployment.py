"""A deployed detector, found by its name, and a warehouse: creates the clients, the only place of
the commands that does.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

import boto3
from botocore.exceptions import NoCredentialsError

from anomaly_detector import assumed_role
from anomaly_detector.config import Redshift, load
from anomaly_detector.lake import layout
from anomaly_detector.lake.store import ObjectStore
from anomaly_detector.ledger.ledger import Ledger
from anomaly_detector.ledger.table import StateTable
from anomaly_detector.operate.schedule import Schedule
from anomaly_detector.services.executions import Executions
from anomaly_detector.services.function import Function
from anomaly_detector.warehouse.data_api import DataApi


@dataclass(frozen=True)
class Deployment:
    """Resources of one detector, by the names that Terraform gives them.

    Parameters
    ----------
    session : boto3's session, with the caller's credentials and region.
    bucket : name of its bucket, if the caller knows it.
    """

    name: str
    session: Any
    bucket: str | None = None

    @property
    def region(self) -> str:
        """The region of the resources."""
        return str(self.session.region_name)

    @cached_property
    def account(self) -> str:
        """ID of the caller's account."""
        return self._caller[4]

    @cached_property
    def ledger(self) -> Ledger:
        """The records of the detector."""
        table = StateTable(self.session.client("dynamodb"), f"{self.name}-state", self.name)
        return Ledger(table)

    @cached_property
    def schedule(self) -> Schedule:
        """The schedule of its crawls."""
        return Schedule(self.session.client("scheduler"), self.name, f"{self.name}-crawl")

    def machine(self, key: str) -> Executions:
        """Executions of `pipeline` or `crawl`."""
        return Executions(self.session.client("stepfunctions"), self.machine_arn(key))

    def machine_arn(self, key: str) -> str:
        """ARN of `pipeline` or `crawl`."""
        return (
            f"arn:{self._caller[1]}:states:{self.region}:{self.account}:stateMachine:"
            f"{self.name}-{key}"
        )

    @cached_property
    def store(self) -> ObjectStore:
        """The bucket, whose name may be any: its functions know it."""
        bucket = self.bucket or self.delivery["Environment"]["Variables"]["BUCKET_NAME"]
        return ObjectStore(self.session.client("s3"), bucket)

    @cached_property
    def delivery(self) -> dict[str, Any]:
        """Configuration of the function that delivers alerts and results, as Lambda has it."""
        client = self.session.client("lambda")
        found: dict[str, Any] = client.get_function_configuration(
            FunctionName=f"{self.name}-deliver"
        )
        return found

    @cached_property
    def created(self) -> datetime:
        """When the detector's table was created (UTC)."""
        found = self.session.client("dynamodb").describe_table(TableName=f"{self.name}-state")
        created: datetime = found["Table"]["CreationDateTime"]
        return created

    def tags(self) -> dict[str, str]:
        """Tags of the detector's resources."""
        arn = self.machine_arn("crawl")
        found = self.session.client("stepfunctions").list_tags_for_resource(resourceArn=arn)
        return {one["key"]: one["value"] for one in found["tags"]}

    def function(self, key: str) -> Function:
        """The function of this key, such as `respond`."""
        return Function(self.session.client("lambda"), f"{self.name}-{key}")

    @property
    def caller(self) -> str:
        """Who calls: the last part of the ARN, such as `Admin/jane`."""
        return ":".join(self._caller[5:]).partition("/")[2] or self._caller[5]

    @cached_property
    def _caller(self) -> list[str]:
        return str(self.session.client("sts").get_caller_identity()["Arn"]).split(":")


def deployment(
    name: str | None, region: str | None, profile: str | None, bucket: str | None = None
) -> Deployment:
    """The detector of this name, or the one whose results are in the bucket, with the caller's
    credentials.

    Raises
    ------
    PermanentError
        If the bucket holds no configuration.
    """
    session = _session(region, profile)
    if name is None:
        assert bucket is not None  # the parser wants one of them
        name = load(ObjectStore(session.client("s3"), bucket).get(layout.CONFIGURATION)).name
    return Deployment(name, session, bucket)


def data_api(redshift: Redshift, region: str | None, profile: str | None) -> DataApi:
    """A warehouse, with the caller's credentials, or those of its `role_arn`.

    Raises
    ------
    botocore.exceptions.BotoCoreError
        If there is no region, or there are no credentials.
    """
    session = _session(region, profile)
    if session.get_credentials() is None:
        raise NoCredentialsError
    acting = assumed_role.acting(session, redshift, "anomaly-detector")
    return DataApi(acting.client("redshift-data"), redshift)


def _session(region: str | None, profile: str | None) -> boto3.Session:
    # The AWS CLI reads AWS_REGION, boto3 does not.
    own = region or os.environ.get("AWS_REGION")
    return boto3.Session(profile_name=profile, region_name=own)
