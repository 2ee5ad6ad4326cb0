"""A warehouse in another account: the functions act as a role there, and UNLOAD writes into the
bucket here, by a chain of roles or with the bucket's policy.
"""

from __future__ import annotations

import json
from typing import Any

import boto3
import pytest
from anomaly_detector import assumed_role
from anomaly_detector.config import Redshift
from anomaly_detector.errors import PermanentError, RetryableError
from anomaly_detector.warehouse import sql
from anomaly_detector.warehouse.data_api import DataApi

from local.cloud import LocalCloud
from local.cloud.testing import ACCOUNT, REGION, Scene, allow, eventually, unique

THERE = "222222222222"
OWNER = {"StringEquals": {"redshift-data:statement-owner-iam-userid": "${aws:userid}"}}
SELECT = "select 1 as shard, 'x' as dimension_0"


class Two:
    """A bucket and a function here; a cluster, and the role that the function acts as, there."""

    def __init__(self, cloud: LocalCloud, scene: Scene) -> None:
        self.cloud, self.scene = cloud, scene
        self.iam = cloud.client("iam", AccessKeyId=THERE, SecretAccessKey="test")
        self.bucket = scene.bucket()
        self.cluster = unique("cluster")
        access = f"arn:aws:iam::{THERE}:role/{unique('access')}"
        self.function = scene.role(allow("sts:AssumeRole", access))
        where = f"{REGION}:{THERE}"
        self.access = self.role_there(
            access.rpartition("/")[2],
            {
                "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                "Condition": {
                    "StringEquals": {"sts:ExternalId": "shop-1"},
                    "ArnEquals": {"aws:PrincipalArn": self.function},
                },
            },
            allow(
                "redshift-data:ExecuteStatement", f"arn:aws:redshift:{where}:cluster:{self.cluster}"
            ),
            allow(
                "redshift:GetClusterCredentialsWithIAM",
                f"arn:aws:redshift:{where}:dbname:{self.cluster}/dev",
            ),
            allow(
                [
                    "redshift-data:DescribeStatement",
                    "redshift-data:GetStatementResult",
                    "redshift-data:ListStatements",
                ],
                Condition=OWNER,
            ),
        )

    def role_there(self, name: str, trust: dict[str, Any], *rights: dict[str, Any]) -> str:
        statement = {"Effect": "Allow", "Action": "sts:AssumeRole", **trust}
        made = self.iam.create_role(
            RoleName=name,
            AssumeRolePolicyDocument=json.dumps(
                {"Version": "2012-10-17", "Statement": [statement]}
            ),
        )
        if rights:
            self.iam.put_role_policy(
                RoleName=name,
                PolicyName="rights",
                PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": list(rights)}),
            )
        return str(made["Role"]["Arn"])

    def api(self, session: str = "shop", **changed: Any) -> DataApi:
        """The adapter as the function has it."""
        given = self.cloud.role_credentials(self.function)
        own = boto3.Session(
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given["SessionToken"],
            region_name=REGION,
        )
        redshift = Redshift(
            **{
                "cluster_identifier": self.cluster,
                "database": "dev",
                "role_arn": self.access,
                "external_id": "shop-1",
                **changed,
            }
        )
        return DataApi(
            assumed_role.acting(own, redshift, session).client("redshift-data"), redshift
        )

    def run(self, api: DataApi, text: str) -> Any:
        statement = api.submit(text, unique("token"), "shop")
        return eventually(lambda: (found := api.describe(statement)).running is False and found)


@pytest.fixture
def two(cloud: LocalCloud, scene: Scene, monkeypatch: pytest.MonkeyPatch) -> Two:
    monkeypatch.setenv("AWS_ENDPOINT_URL", cloud.endpoint)
    made = Two(cloud, scene)
    attached = made.role_there(
        unique("attached"), {"Principal": {"Service": "redshift.amazonaws.com"}}
    )
    cloud.create_cluster(made.cluster, account=THERE, roles=[attached])
    return made


def attached(two: Two) -> str:
    """The role on the cluster there."""
    (role,) = two.cloud.admin("GET", f"redshift/warehouses/{two.cluster}")["roles"]
    return str(role)


def test_a_function_acts_as_the_role_there_and_follows_its_statements(two: Two) -> None:
    found = two.run(two.api(), SELECT)

    assert found.status == "FINISHED", found
    # Another instance of the function has the same session, so that it sees the statement.
    assert two.api().describe(found.id).status == "FINISHED"
    with pytest.raises(RetryableError, match="describe_statement"):
        two.api(session="another").describe(found.id)


def test_without_the_role_or_its_external_id_nothing_is_reached(two: Two) -> None:
    for changed in ({"external_id": None}, {"external_id": "shop-2"}):
        with pytest.raises(RetryableError, match="AssumeRole"):
            two.api(**changed).submit(SELECT, unique("token"), "shop")
    with pytest.raises((PermanentError, RetryableError)):
        two.api(role_arn=None, external_id=None).submit(SELECT, unique("token"), "shop")


@pytest.mark.parametrize("way", ["a chain", "the policy of the bucket"])
def test_rows_are_unloaded_into_the_bucket_here(two: Two, way: str) -> None:
    there = attached(two)
    writer = f"arn:aws:iam::{ACCOUNT}:role/{unique('writer')}"
    chained = way == "a chain"
    rights = [
        allow("s3:ListBucket", f"arn:aws:s3:::{two.bucket}"),
        allow(["s3:PutObject", "s3:DeleteObject"], f"arn:aws:s3:::{two.bucket}/*"),
    ]
    two.iam.put_role_policy(
        RoleName=there.rpartition("/")[2],
        PolicyName="writes",
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [allow("sts:AssumeRole", writer)] if chained else rights,
            }
        ),
    )
    role = f"{there},{writer}" if chained else there
    text = sql.unload(SELECT, f"s3://{two.bucket}/live/a/", role)

    refused = two.run(two.api(), text)
    assert refused.status == "FAILED", refused

    if chained:
        two.scene.role(
            *rights,
            name=writer.rpartition("/")[2],
            trust=[{"Effect": "Allow", "Principal": {"AWS": there}, "Action": "sts:AssumeRole"}],
        )
    else:
        let_in = [{**each, "Principal": {"AWS": there}} for each in rights]
        two.scene.s3.put_bucket_policy(
            Bucket=two.bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": let_in})
        )
    found = two.run(two.api(), text)
    assert found.status == "FINISHED", found
    assert "live/a/manifest" in two.scene.keys(two.bucket)
