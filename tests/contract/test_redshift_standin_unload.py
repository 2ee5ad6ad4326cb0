"""UNLOAD through the Data API: the role's trust and rights, the files, the manifest, faults."""

from __future__ import annotations

import gzip
import io
import json

import pyarrow.parquet as pq
import pytest

from local.cloud.testing import ACCOUNT, REGION, Scene, allow, eventually, unique

ORDERS = """
create table orders (
    id bigint identity(1, 1), platform varchar(32), code char(4), placed timestamp,
    amount decimal(18, 2), weight double precision, paid boolean
);
insert into orders (platform, code, placed, amount, weight, paid) values
    ('web', 'ab', '2024-01-01 00:00', 1.5, 0.5, true),
    ('web', 'cd', '2024-01-01 01:00:00.25', 2, 1.5, false),
    ('it''s', null, '2024-01-02 00:00', 3, null, true),
    (null, 'x', '2024-01-03 00:00', 4, 2, null);
"""


def text(select: str, target: str, role: str, options: str = "FORMAT AS PARQUET") -> str:
    quoted = select.replace("'", "''")
    name = role if role == "default" else f"'{role}'"
    return f"UNLOAD ('{quoted}') TO 's3://{target}' IAM_ROLE {name} {options}"


@pytest.fixture
def lake(scene: Scene) -> tuple[str, str, str]:
    """A bucket, a role that may write it, and a cluster with the role attached and rows."""
    bucket = scene.bucket()
    role = scene.unload_role(bucket)
    return bucket, role, scene.cluster([role], ORDERS)


def read(scene: Scene, bucket: str, key: str):
    return pq.read_table(io.BytesIO(scene.read(bucket, key)))


class TestFiles:
    def test_given_parquet_then_two_slices_with_redshifts_types_and_a_manifest(self, scene, lake):
        bucket, role, cluster = lake
        columns = "id, platform, code, placed as Placed, amount, weight, paid"
        select = f"select {columns} from orders order by id"
        found = scene.run(
            cluster, text(select, f"{bucket}/p/", role, "FORMAT PARQUET MANIFEST VERBOSE")
        )
        assert found["Status"] == "FINISHED", found
        assert not found["HasResultSet"]
        assert scene.keys(bucket) == [
            "p/0000_part_00.parquet",
            "p/0001_part_00.parquet",
            "p/manifest",
        ]
        first = read(scene, bucket, "p/0000_part_00.parquet")
        assert first.column_names == [
            "id",
            "platform",
            "code",
            "placed",
            "amount",
            "weight",
            "paid",
        ]
        kinds = dict(zip(first.column_names, map(str, first.schema.types), strict=True))
        assert kinds == {
            "id": "int64",
            "platform": "string",
            "code": "string",
            "placed": "timestamp[us]",
            "amount": "decimal128(18, 2)",
            "weight": "double",
            "paid": "bool",
        }
        assert first.column("code").to_pylist() == ["ab  ", "cd  "]
        manifest = json.loads(scene.read(bucket, "p/manifest"))
        assert [each["url"] for each in manifest["entries"]] == [
            f"s3://{bucket}/p/0000_part_00.parquet",
            f"s3://{bucket}/p/0001_part_00.parquet",
        ]
        assert manifest["meta"]["record_count"] == 4
        assert manifest["entries"][0]["meta"]["record_count"] == 2
        assert manifest["schema"]["elements"][4] == {
            "name": "amount",
            "type": {"base": "numeric", "precision": 18, "scale": 2},
        }

    def test_given_int96_then_timestamps_are_written_so(self, scene, lake):
        bucket, role, cluster = lake
        kinds = {}
        for encoding in ("int96", "int64"):
            scene.cloud.admin("PUT", "redshift/timestamps", {"encoding": encoding})
            prefix = f"{bucket}/{encoding}/"
            scene.run(cluster, text("select placed from orders where id = 2", prefix, role))
            content = io.BytesIO(scene.read(bucket, f"{encoding}/0000_part_00.parquet"))
            file = pq.ParquetFile(content)
            kinds[encoding] = file.schema.column(0).physical_type
            assert str(file.read().column(0)[0]).startswith("2024-01-01 01:00:00.25")
        assert kinds == {"int96": "INT96", "int64": "INT64"}

    def test_given_partitions_then_folders_hold_the_values_and_files_do_not(self, scene, lake):
        bucket, role, cluster = lake
        options = "FORMAT PARQUET PARTITION BY (platform) MANIFEST"
        found = scene.run(
            cluster, text("select platform, amount from orders", f"{bucket}/p/", role, options)
        )
        assert found["Status"] == "FINISHED", found
        assert scene.keys(bucket) == [
            "p/manifest",
            "p/platform=__HIVE_DEFAULT_PARTITION__/0000_part_00.parquet",
            "p/platform=it%27s/0000_part_00.parquet",
            "p/platform=web/0000_part_00.parquet",
            "p/platform=web/0001_part_00.parquet",
        ]
        assert read(scene, bucket, "p/platform=web/0000_part_00.parquet").column_names == ["amount"]
        manifest = json.loads(scene.read(bucket, "p/manifest"))
        assert set(manifest) == {"entries"}
        assert "record_count" not in manifest["entries"][0]["meta"]

    def test_given_include_then_the_partition_column_stays(self, scene, lake):
        bucket, role, cluster = lake
        options = "FORMAT PARQUET PARTITION BY (platform) INCLUDE"
        scene.run(
            cluster,
            text("select platform, amount from orders where id = 1", f"{bucket}/p", role, options),
        )
        assert scene.keys(bucket) == ["pplatform=web/0000_part_00.parquet"]
        table = read(scene, bucket, "pplatform=web/0000_part_00.parquet")
        assert table.column_names == ["platform", "amount"]

    def test_given_csv_with_header_then_every_file_has_it(self, scene, lake):
        bucket, role, cluster = lake
        scene.run(
            cluster,
            text(
                "select id, platform, paid from orders order by id",
                f"{bucket}/c/",
                role,
                "FORMAT CSV HEADER",
            ),
        )
        assert scene.keys(bucket) == ["c/0000_part_00", "c/0001_part_00"]
        assert scene.read(bucket, "c/0000_part_00") == b"id,platform,paid\n1,web,t\n2,web,f\n"
        assert scene.read(bucket, "c/0001_part_00") == b"id,platform,paid\n3,it's,t\n4,,\n"

    def test_given_gzip_serial_text_then_one_file_with_pipes(self, scene, lake):
        bucket, role, cluster = lake
        options = "GZIP PARALLEL OFF NULL AS '\\\\N'"
        scene.run(
            cluster,
            text(
                "select id, platform from orders where id > 2 order by id",
                f"{bucket}/t/x_",
                role,
                options,
            ),
        )
        assert scene.keys(bucket) == ["t/x_000.gz"]
        assert gzip.decompress(scene.read(bucket, "t/x_000.gz")) == b"3|it's\n4|\\N\n"

    @pytest.mark.parametrize(
        ("options", "keys", "content"),
        [
            ("FORMAT PARQUET MANIFEST", ["e/manifest"], None),
            ("FORMAT CSV HEADER", ["e/0000_part_00", "e/0001_part_00"], b"id\n"),
            ("FORMAT CSV", ["e/0000_part_00", "e/0001_part_00"], b""),
        ],
    )
    def test_given_no_rows_then_each_format_leaves_what_redshift_leaves(
        self, scene, lake, options, keys, content
    ):
        bucket, role, cluster = lake
        found = scene.run(
            cluster, text("select id from orders where id < 0", f"{bucket}/e/", role, options)
        )
        assert found["Status"] == "FINISHED"
        assert scene.keys(bucket) == keys
        if content is None:
            assert json.loads(scene.read(bucket, keys[0])) == {"entries": []}
        else:
            assert scene.read(bucket, keys[0]) == content

    def test_given_backslashes_and_quotes_then_they_arrive_as_written(self, scene, lake):
        bucket, role, cluster = lake
        # In the text of the query a backslash is doubled once for its literal, once for UNLOAD's.
        sql = (
            f"UNLOAD ('select id from orders where platform ~ ''^\\\\\\\\w+$'' or platform = "
            f"''it\\\\''s'' order by id') TO 's3://{bucket}/b/' IAM_ROLE '{role}' "
            "FORMAT CSV PARALLEL OFF"
        )
        assert scene.run(cluster, sql)["Status"] == "FINISHED"
        assert scene.read(bucket, "b/000") == b"1\n2\n3\n"
        dollars = (
            f"UNLOAD ($$select id from orders where platform = 'it''s'$$) TO 's3://{bucket}/d/' "
            f"IAM_ROLE '{role}' FORMAT CSV PARALLEL OFF"
        )
        assert scene.run(cluster, dollars)["Status"] == "FINISHED"
        assert scene.read(bucket, "d/000") == b"3\n"


class TestDestination:
    def test_given_a_prefix_in_use_then_it_takes_an_option_to_write_there(self, scene, lake):
        bucket, role, cluster = lake
        scene.s3.put_object(Bucket=bucket, Key="p/old", Body=b"old")
        select = "select id from orders"
        failed = scene.run(cluster, text(select, f"{bucket}/p/", role))
        assert failed["Status"] == "FAILED"
        assert "Specified unload destination on S3 is not empty." in failed["Error"]
        assert "using the ALLOWOVERWRITE option." in failed["Error"]
        kept = scene.run(
            cluster, text(select, f"{bucket}/p/", role, "FORMAT PARQUET ALLOWOVERWRITE")
        )
        assert kept["Status"] == "FINISHED"
        assert "p/old" in scene.keys(bucket)
        cleaned = scene.run(cluster, text(select, f"{bucket}/p/", role, "FORMAT PARQUET CLEANPATH"))
        assert cleaned["Status"] == "FINISHED"
        assert "p/old" not in scene.keys(bucket)

    def test_given_no_such_bucket_then_s3s_error_is_told(self, scene, lake):
        _, role, cluster = lake
        other = scene.unload_role("nowhere-at-all")
        failed = scene.run(
            scene.cluster([other], ORDERS),
            text("select id from orders", "nowhere-at-all/p/", other),
        )
        assert "Error NoSuchBucket" in failed["Error"]
        denied = scene.run(cluster, text("select id from orders", "nowhere-at-all/p/", role))
        assert denied["Status"] == "FAILED"

    def test_given_a_limit_or_a_bad_column_then_nothing_is_written(self, scene, lake):
        bucket, role, cluster = lake
        for select, error in (
            ("select id from orders limit 1", "Limit clause is not supported"),
            ("select nope from orders", 'column "nope" does not exist'),
        ):
            failed = scene.run(cluster, text(select, f"{bucket}/p/", role))
            assert error in failed["Error"]
        assert scene.keys(bucket) == []


class TestRole:
    def test_given_a_role_that_is_not_attached_then_the_unload_fails(self, scene, lake):
        bucket, _, cluster = lake
        role = scene.unload_role(bucket)
        sql = text("select id from orders", f"{bucket}/p/", role)
        failed = scene.run(cluster, sql)
        assert failed["Error"] == f"ERROR: The requested role {role} is not associated to cluster"
        redshift = scene.cloud.client("redshift")
        redshift.modify_cluster_iam_roles(ClusterIdentifier=cluster, AddIamRoles=[role])
        scene.end_changes(cluster)
        assert scene.run(cluster, sql)["Status"] == "FINISHED"

    @pytest.mark.parametrize(
        ("principal", "condition", "allowed"),
        [
            ("redshift.amazonaws.com", {}, True),
            ("lambda.amazonaws.com", {}, False),
            ("redshift-serverless.amazonaws.com", {}, False),
            ("redshift.amazonaws.com", {"StringEquals": {"aws:SourceAccount": ACCOUNT}}, True),
            ("redshift.amazonaws.com", {"StringEquals": {"aws:SourceAccount": "1" * 12}}, False),
            (
                "redshift.amazonaws.com",
                {"ArnLike": {"aws:SourceArn": f"arn:aws:redshift:{REGION}:{ACCOUNT}:cluster:*"}},
                True,
            ),
            (
                "redshift.amazonaws.com",
                {"ArnLike": {"aws:SourceArn": f"arn:aws:redshift:{REGION}:{ACCOUNT}:cluster:x"}},
                False,
            ),
        ],
    )
    def test_given_a_trust_policy_then_it_decides_whether_the_cluster_assumes_the_role(
        self, scene: Scene, principal: str, condition: dict, allowed
    ):
        bucket = scene.bucket()
        trust = {"Effect": "Allow", "Principal": {"Service": principal}, "Action": "sts:AssumeRole"}
        if condition:
            trust["Condition"] = condition
        role = scene.unload_role(bucket, trust=[trust])
        cluster = scene.cluster([role], ORDERS)
        found = scene.run(cluster, text("select id from orders", f"{bucket}/p/", role))
        if allowed:
            assert found["Status"] == "FINISHED", found
        else:
            assert "is not authorized to assume IAM Role" in found["Error"]

    def test_given_a_workgroup_then_its_namespace_is_the_source(self, scene: Scene):
        bucket = scene.bucket()
        name = unique("workgroup")
        made = scene.cloud.create_workgroup(name)
        scene.cloud.execute(name, ORDERS)
        role = scene.unload_role(
            bucket,
            trust=[
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "redshift-serverless.amazonaws.com"},
                    "Action": "sts:AssumeRole",
                    "Condition": {"ArnEquals": {"aws:SourceArn": made["namespace_arn"]}},
                }
            ],
        )
        client = scene.cloud.client("redshift-serverless")
        client.update_namespace(
            namespaceName=made["namespace"], iamRoles=[role], defaultIamRoleArn=role
        )
        scene.end_changes(name)
        found = scene.run(name, text("select id from orders", f"{bucket}/p/", "default"))
        assert found["Status"] == "FINISHED", found

    def test_given_a_role_without_a_right_then_s3_refuses(self, scene: Scene):
        bucket = scene.bucket()
        listing = allow("s3:ListBucket", f"arn:aws:s3:::{bucket}")
        writing = allow("s3:PutObject", f"arn:aws:s3:::{bucket}/p/*")
        for rights in ([listing], [writing]):
            role = scene.role(*rights, service="redshift.amazonaws.com")
            failed = scene.run(
                scene.cluster([role], ORDERS), text("select id from orders", f"{bucket}/p/", role)
            )
            assert "S3ServiceException:Access Denied,Status 403" in failed["Error"]
        role = scene.role(listing, writing, service="redshift.amazonaws.com")
        cluster = scene.cluster([role], ORDERS)
        assert (
            scene.run(cluster, text("select id from orders", f"{bucket}/p/", role))["Status"]
            == "FINISHED"
        )
        assert (
            scene.run(cluster, text("select id from orders", f"{bucket}/q/", role))["Status"]
            == "FAILED"
        )

    def test_given_a_bucket_policy_that_denies_then_the_unload_fails(self, scene, lake):
        bucket, role, cluster = lake
        scene.s3.put_bucket_policy(
            Bucket=bucket,
            Policy=json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {
                            "Effect": "Deny",
                            "Principal": "*",
                            "Action": "s3:PutObject",
                            "Resource": f"arn:aws:s3:::{bucket}/*",
                            "Condition": {"ArnEquals": {"aws:PrincipalArn": role}},
                        }
                    ],
                }
            ),
        )
        failed = scene.run(cluster, text("select id from orders", f"{bucket}/p/", role))
        assert failed["Status"] == "FAILED"

    def test_given_a_chain_then_each_role_must_let_the_one_before_in(self, scene: Scene):
        bucket = scene.bucket()
        second_name = unique("second")
        second = f"arn:aws:iam::{ACCOUNT}:role/{second_name}"
        first = scene.role(allow("sts:AssumeRole", second), service="redshift.amazonaws.com")
        third = scene.role(service="redshift.amazonaws.com")
        scene.unload_role(
            bucket,
            name=second_name,
            trust=[{"Effect": "Allow", "Principal": {"AWS": first}, "Action": "sts:AssumeRole"}],
        )
        cluster = scene.cluster([first, third], ORDERS)
        sql = "select id from orders"
        assert (
            scene.run(cluster, text(sql, f"{bucket}/p/", f"{first},{second}"))["Status"]
            == "FINISHED"
        )
        failed = scene.run(cluster, text(sql, f"{bucket}/q/", f"{third},{second}"))
        assert "is not authorized to assume IAM Role" in failed["Error"]
        alone = scene.run(cluster, text(sql, f"{bucket}/q/", second))
        assert "is not associated to cluster" in alone["Error"]

    def test_given_a_key_then_the_role_must_be_allowed_to_use_it(self, scene: Scene):
        bucket = scene.bucket()
        key = scene.cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
        plain = scene.unload_role(bucket)
        keyed = scene.unload_role(bucket, allow(["kms:GenerateDataKey", "kms:Decrypt"], key))
        cluster = scene.cluster([plain, keyed], ORDERS)
        key_id = key.rsplit("/", 1)[1]
        options = f"FORMAT PARQUET KMS_KEY_ID '{key_id}' ENCRYPTED"
        failed = scene.run(cluster, text("select id from orders", f"{bucket}/p/", plain, options))
        assert "kms:GenerateDataKey" in failed["Error"]
        good = scene.run(cluster, text("select id from orders", f"{bucket}/p/", keyed, options))
        assert good["Status"] == "FINISHED", good
        head = scene.s3.head_object(Bucket=bucket, Key="p/0000_part_00.parquet")
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", key_id)

    def test_given_auto_then_the_bucket_s_key_is_used_and_without_it_never(self, scene: Scene):
        bucket = scene.bucket()
        key = scene.cloud.client("kms").create_key()["KeyMetadata"]["Arn"]
        default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key}
        scene.s3.put_bucket_encryption(
            Bucket=bucket,
            ServerSideEncryptionConfiguration={
                "Rules": [{"ApplyServerSideEncryptionByDefault": default}]
            },
        )
        use = allow(["kms:GenerateDataKey", "kms:Decrypt"], key)
        blind = scene.unload_role(bucket, use)
        look = allow("s3:GetEncryptionConfiguration", f"arn:aws:s3:::{bucket}")
        good = scene.unload_role(bucket, use, look)
        cluster = scene.cluster([blind, good], ORDERS)
        sql = "select id from orders"

        def run(prefix: str, role: str, options: str) -> dict:
            return scene.run(cluster, text(sql, f"{bucket}/{prefix}/", role, options))

        refused = run("p", blind, "FORMAT PARQUET ENCRYPTED AUTO")
        assert "s3:GetEncryptionConfiguration" in refused["Error"]
        assert run("p", good, "FORMAT PARQUET ENCRYPTED AUTO")["Status"] == "FINISHED"
        assert run("q", good, "FORMAT PARQUET")["Status"] == "FINISHED"
        heads = [
            scene.s3.head_object(Bucket=bucket, Key=f"{prefix}/0000_part_00.parquet")
            for prefix in "pq"
        ]
        assert [head["ServerSideEncryption"] for head in heads] == ["aws:kms", "AES256"]
        assert heads[0]["SSEKMSKeyId"] == key

    def test_given_a_role_attached_a_moment_ago_then_it_can_be_refused_on_request(
        self, scene, lake
    ):
        bucket, _, cluster = lake
        role = scene.unload_role(bucket)
        name = role.rsplit("/", 1)[-1]
        fault = scene.cloud.redshift_faults.refuse_role(
            name, seconds=3600, since="attachment", service="redshift"
        )
        scene.cloud.client("redshift").modify_cluster_iam_roles(
            ClusterIdentifier=cluster, AddIamRoles=[role]
        )
        scene.end_changes(cluster)
        sql = text("select id from orders", f"{bucket}/p/", role)
        assert "is not authorized to assume IAM Role" in scene.run(cluster, sql)["Error"]
        scene.cloud.redshift_faults.clear(fault)
        scene.cloud.redshift_faults.refuse_role(
            name, seconds=1.0, since="attachment", service="redshift"
        )
        assert eventually(lambda: scene.run(cluster, sql)["Status"] == "FINISHED")


class TestFaults:
    def test_given_a_failure_on_the_way_then_some_files_are_left_behind(self, scene, lake):
        bucket, role, cluster = lake
        scene.cloud.redshift_faults.fail("unload", error="ERROR: disk full", files=1)
        sql = text("select id from orders", f"{bucket}/p/", role, "FORMAT PARQUET MANIFEST")
        failed = scene.run(cluster, sql)
        assert (failed["Status"], failed["Error"]) == ("FAILED", "ERROR: disk full")
        assert scene.keys(bucket) == ["p/0000_part_00.parquet"]
        assert "is not empty" in scene.run(cluster, sql)["Error"]
