"""COPY, and warehouses that are made by the API, as examples/demo-warehouse does."""

from __future__ import annotations

import gzip
import json

import pytest
from botocore.exceptions import ClientError

from local.cloud.redshift import copy_sql
from local.cloud.redshift.errors import RedshiftError
from local.cloud.testing import Scene, allow, unique

TABLE = "create table shops (id bigint identity(1, 1), name varchar(30), size int, opened date)"


def role(scene: Scene, bucket: str) -> str:
    return scene.role(
        allow("s3:ListBucket", f"arn:aws:s3:::{bucket}"),
        allow("s3:GetObject", f"arn:aws:s3:::{bucket}/*"),
        service="redshift.amazonaws.com",
    )


def copy(bucket: str, role_arn: str, options: str = "FORMAT AS CSV", table: str = "shops") -> str:
    return f"COPY {table} FROM 's3://{bucket}/in/' IAM_ROLE '{role_arn}' {options}"


class TestCopy:
    def test_given_files_then_their_rows_are_loaded_and_identities_counted(self, scene: Scene):
        bucket = scene.bucket()
        cluster = scene.cluster([arn := role(scene, bucket)], TABLE)
        for key, text in (
            ("in/a.csv", "name,size,opened\nde,1,2024-01-01\n"),
            ("in/b.csv", 'name,size,opened\n"f, r",,\n,3,2024-02-01\n'),
        ):
            scene.s3.put_object(Bucket=bucket, Key=key, Body=text.encode())

        found = scene.run(cluster, copy(bucket, arn, "CSV IGNOREHEADER AS 1 EMPTYASNULL"))

        assert found["Status"] == "FINISHED", found
        assert (found["ResultRows"], found["HasResultSet"]) == (3, False)
        rows = scene.rows(cluster, "select id, name, size, opened from shops order by id")
        assert rows == [
            [1, "de", 1, "2024-01-01"],
            [2, "f, r", None, None],
            [3, None, 3, "2024-02-01"],
        ]

    def test_given_chosen_columns_and_gzip_then_only_these_are_loaded(self, scene: Scene):
        bucket = scene.bucket()
        cluster = scene.cluster([arn := role(scene, bucket)], TABLE)
        scene.s3.put_object(Bucket=bucket, Key="in/a.gz", Body=gzip.compress(b"5|x\n6|\n"))

        found = scene.run(
            cluster, copy(bucket, arn, "FORMAT CSV GZIP DELIMITER '|'", "shops (size, name)")
        )

        assert found["Status"] == "FINISHED", found
        assert scene.rows(cluster, "select size, name from shops order by size") == [
            [5, "x"],
            [6, ""],
        ]

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("name,size\n", "Load into table 'shops' failed"),
            ("x,many,2024-01-01\n", "Load into table 'shops' failed"),
            (None, "The specified S3 prefix 'in/' does not exist"),
        ],
    )
    def test_given_what_does_not_fit_then_nothing_is_loaded(
        self, scene: Scene, text: str | None, said: str
    ):
        bucket = scene.bucket()
        cluster = scene.cluster([arn := role(scene, bucket)], TABLE)
        if text is not None:
            scene.s3.put_object(Bucket=bucket, Key="in/good.csv", Body=b"a,1,2024-01-01\n")
            scene.s3.put_object(Bucket=bucket, Key="in/wrong.csv", Body=text.encode())

        failed = scene.run(cluster, copy(bucket, arn))

        assert failed["Status"] == "FAILED"
        assert said in failed["Error"]
        assert scene.rows(cluster, "select count(*) as n from shops") == [[0]]

    def test_given_a_role_without_the_right_or_not_attached_then_it_fails(self, scene: Scene):
        bucket = scene.bucket()
        blind = scene.role(
            allow("s3:ListBucket", f"arn:aws:s3:::{bucket}"), service="redshift.amazonaws.com"
        )
        cluster = scene.cluster([blind], TABLE)
        scene.s3.put_object(Bucket=bucket, Key="in/a.csv", Body=b"a,1,2024-01-01\n")

        denied = scene.run(cluster, copy(bucket, blind))
        assert "S3ServiceException:Access Denied,Status 403" in denied["Error"]
        other = scene.run(cluster, copy(bucket, role(scene, bucket)))
        assert "is not associated to cluster" in other["Error"]
        assert "nonexistent table" in scene.run(cluster, copy(bucket, blind, table="no"))["Error"]

    @pytest.mark.parametrize(
        "sql",
        [
            "copy t from 'dynamodb://x' iam_role default csv",
            "copy t from 's3://b/p' csv",
            "copy t from 's3://b/p' iam_role default",
            "copy t from 's3://b/p' iam_role default format as orc",
            "copy t from 's3://b/p' iam_role default parquet ignoreheader 1",
            "copy t (a from 's3://b/p' iam_role default csv",
            "copy t from 's3://b/p' iam_role default csv ignoreheader",
        ],
    )
    def test_given_what_is_not_read_then_it_is_refused(self, sql: str):
        with pytest.raises(RedshiftError):
            copy_sql.parse(sql)


class TestServerless:
    def test_given_a_namespace_and_a_workgroup_then_they_live_and_end(self, scene: Scene):
        client = scene.cloud.client("redshift-serverless")
        secrets = scene.cloud.client("secretsmanager")
        name = unique("made")
        made = client.create_namespace(
            namespaceName=name, dbName="sales", adminUsername="boss", manageAdminPassword=True
        )["namespace"]
        secret = made["adminPasswordSecretArn"]
        assert client.get_namespace(namespaceName=name)["namespace"]["status"] == "AVAILABLE"
        with pytest.raises(ClientError, match="at least three subnets"):
            client.create_workgroup(
                workgroupName=name, namespaceName=name, subnetIds=["subnet-1", "subnet-2"]
            )

        given = {"enhancedVpcRouting": True, "subnetIds": ["s-1", "s-2", "s-3"], "baseCapacity": 4}
        client.create_workgroup(workgroupName=name, namespaceName=name, **given)

        found = client.get_workgroup(workgroupName=name)["workgroup"]
        assert {key: found[key] for key in given} == given
        assert (
            json.loads(secrets.get_secret_value(SecretId=secret)["SecretString"])["username"]
            == "boss"
        )
        data = scene.cloud.client("redshift-data")
        sent = data.execute_statement(
            WorkgroupName=name, Database="sales", SecretArn=secret, Sql="select 1"
        )
        assert scene.wait(sent["Id"])["Status"] == "FINISHED"
        with pytest.raises(ClientError, match="associated with a workgroup"):
            client.delete_namespace(namespaceName=name)

        client.delete_workgroup(workgroupName=name)
        client.delete_namespace(namespaceName=name)

        with pytest.raises(ClientError, match="not found"):
            client.get_namespace(namespaceName=name)
        with pytest.raises(ClientError):
            secrets.get_secret_value(SecretId=secret)


class TestCluster:
    def test_given_a_cluster_with_its_groups_then_they_live_and_end(self, scene: Scene):
        client = scene.cloud.client("redshift")
        name = unique("made")
        client.create_cluster_subnet_group(
            ClusterSubnetGroupName=name, Description="private", SubnetIds=["s-1", "s-2"]
        )
        client.create_cluster_parameter_group(
            ParameterGroupName=name, ParameterGroupFamily="redshift-1.0", Description="TLS"
        )
        client.modify_cluster_parameter_group(
            ParameterGroupName=name,
            Parameters=[{"ParameterName": "require_ssl", "ParameterValue": "true"}],
        )
        given = {
            "ClusterIdentifier": name,
            "NodeType": "ra3.large",
            "ClusterSubnetGroupName": name,
            "Encrypted": True,
            "EnhancedVpcRouting": True,
            "PubliclyAccessible": False,
            "Tags": [{"Key": "a", "Value": "b & c"}],
        }
        made = {
            **given,
            "ClusterType": "single-node",
            "ClusterParameterGroupName": name,
            "MasterUsername": "boss",
            "DBName": "sales",
        }
        with pytest.raises(ClientError, match="exactly one of"):
            client.create_cluster(**made)

        client.create_cluster(**made, ManageMasterPassword=True)

        (found,) = client.describe_clusters(ClusterIdentifier=name)["Clusters"]
        assert {key: found[key] for key in given} == given
        assert found["NumberOfNodes"] == 1
        (parameter,) = client.describe_cluster_parameters(ParameterGroupName=name)["Parameters"]
        assert parameter["ParameterValue"] == "true"
        (group,) = client.describe_cluster_subnet_groups(ClusterSubnetGroupName=name)[
            "ClusterSubnetGroups"
        ]
        assert [each["SubnetIdentifier"] for each in group["Subnets"]] == ["s-1", "s-2"]
        data = scene.cloud.client("redshift-data")
        sent = data.execute_statement(
            ClusterIdentifier=name,
            Database="sales",
            SecretArn=found["MasterPasswordSecretArn"],
            Sql="select 1",
        )
        assert scene.wait(sent["Id"])["Status"] == "FINISHED"
        for refuse in (
            lambda: client.delete_cluster_subnet_group(ClusterSubnetGroupName=name),
            lambda: client.delete_cluster_parameter_group(ParameterGroupName=name),
            lambda: client.create_cluster(**made, ManageMasterPassword=True),
        ):
            with pytest.raises(ClientError):
                refuse()

        client.delete_cluster(ClusterIdentifier=name, SkipFinalClusterSnapshot=True)
        client.delete_cluster_subnet_group(ClusterSubnetGroupName=name)
        client.delete_cluster_parameter_group(ParameterGroupName=name)

        with pytest.raises(ClientError, match="not found"):
            client.describe_cluster_subnet_groups(ClusterSubnetGroupName=name)
        with pytest.raises(ClientError, match="not found"):
            client.describe_cluster_parameter_groups(ParameterGroupName=name)
        with pytest.raises(ClientError, match="not found"):
            client.describe_clusters(ClusterIdentifier=name)
        with pytest.raises(ClientError):
            scene.cloud.client("secretsmanager").get_secret_value(
                SecretId=found["MasterPasswordSecretArn"]
            )
