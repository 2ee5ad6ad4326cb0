"""The stand-in through its API: Data API, credentials, rights, roles, control calls and faults."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local.cloud import LocalCloud
from local.cloud.errors import AwsError
from local.cloud.faults import FaultPlan
from local.cloud.redshift.statements import Statement, Statements
from local.cloud.testing import ACCOUNT, REGION, Scene, allow, allowed, eventually, unique

OWNER = {"StringEquals": {"redshift-data:statement-owner-iam-userid": "${aws:userid}"}}
SERVICE_LINKED = (
    f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/redshift.amazonaws.com/AWSServiceRoleForRedshift"
)
ORDERS = """
create table orders (
    id bigint identity(1, 1), platform varchar(32), placed timestamp, amount decimal(18, 2)
);
insert into orders (platform, placed, amount) values
    ('web', '2024-01-01 00:00', 1.5), ('app', '2024-01-01 01:00', 2), (null, '2024-01-02 00:00', 3);
"""


def cluster_arn(name: str) -> str:
    return f"arn:aws:redshift:{REGION}:{ACCOUNT}:cluster:{name}"


def data_rights(cluster: str, *more: dict) -> list[dict]:
    """What a function needs to run statements on one cluster with its IAM identity."""
    return [
        allow("redshift-data:ExecuteStatement", cluster_arn(cluster)),
        allow(
            "redshift:GetClusterCredentialsWithIAM",
            f"arn:aws:redshift:{REGION}:{ACCOUNT}:dbname:{cluster}/dev",
        ),
        allow(
            [
                "redshift-data:DescribeStatement",
                "redshift-data:CancelStatement",
                "redshift-data:GetStatementResult",
            ],
            Condition=OWNER,
        ),
        *more,
    ]


def refused(code: str, call, /, *args, **arguments) -> str:
    with pytest.raises(ClientError) as error:
        call(*args, **arguments)
    assert error.value.response["Error"]["Code"] == code, str(error.value)
    return error.value.response["Error"]["Message"]


def once(cloud: LocalCloud, service: str = "redshift-data"):
    """Return a client that does not retry."""
    return boto3.client(
        service,
        endpoint_url=cloud.endpoint,
        region_name=REGION,
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}),
    )


class TestStatements:
    def test_given_a_query_when_it_finishes_then_its_typed_rows_can_be_read(self, scene: Scene):
        cluster = scene.cluster(sql=ORDERS)
        found = scene.run(
            cluster, "select id, platform, placed, amount, true t from orders order by id"
        )
        assert found["Status"] == "FINISHED"
        assert found["HasResultSet"]
        assert found["ResultRows"] == 3
        assert found["QueryString"].startswith("select id")
        assert found["ClusterIdentifier"] == cluster
        assert found["Database"] == "dev"
        assert found["Duration"] > 0
        result = scene.cloud.client("redshift-data").get_statement_result(Id=found["Id"])
        names = [each["typeName"] for each in result["ColumnMetadata"]]
        assert names == ["int8", "varchar", "timestamp", "numeric", "bool"]
        assert result["Records"][0] == [
            {"longValue": 1},
            {"stringValue": "web"},
            {"stringValue": "2024-01-01 00:00:00"},
            {"stringValue": "1.50"},
            {"booleanValue": True},
        ]
        assert result["Records"][2][1] == {"isNull": True}
        assert result["TotalNumRows"] == 3

    def test_given_many_rows_then_they_come_in_pages(self, scene: Scene):
        cluster = scene.cluster(sql="create table n (a int)")
        values = ",".join(f"({number})" for number in range(2500))
        scene.cloud.execute(cluster, f"insert into n values {values}")
        found = scene.run(cluster, "select a from n order by a")
        pages = scene.cloud.client("redshift-data").get_paginator("get_statement_result")
        rows = [row for page in pages.paginate(Id=found["Id"]) for row in page["Records"]]
        assert [row[0]["longValue"] for row in rows] == list(range(2500))

    def test_given_a_slow_start_then_the_statuses_are_seen_in_order(self, scene: Scene):
        cluster = scene.cluster()
        scene.cloud.redshift_faults.stall("slow one", seconds=0.3)
        client = scene.cloud.client("redshift-data")
        made = client.execute_statement(
            ClusterIdentifier=cluster, Database="dev", Sql="select 1 -- slow one"
        )
        seen = []
        while not seen or seen[-1] != "FINISHED":
            status = client.describe_statement(Id=made["Id"])["Status"]
            if not seen or seen[-1] != status:
                seen.append(status)
        order = ["SUBMITTED", "PICKED", "STARTED", "FINISHED"]
        assert seen == [status for status in order if status in seen]
        assert "STARTED" in seen

    def test_given_a_statement_that_fails_then_its_error_is_told(self, scene: Scene):
        cluster = scene.cluster(sql=ORDERS)
        found = scene.run(cluster, "select nope from orders")
        assert found["Status"] == "FAILED"
        assert found["Error"] == 'ERROR: column "nope" does not exist'
        assert found["ResultRows"] == -1
        refused(
            "ResourceNotFoundException",
            scene.cloud.client("redshift-data").get_statement_result,
            Id=found["Id"],
        )

    def test_given_the_same_client_token_then_the_statement_runs_once(self, scene: Scene):
        cluster = scene.cluster(sql="create table once (a int)")
        client = scene.cloud.client("redshift-data")
        call = {
            "ClusterIdentifier": cluster,
            "Database": "dev",
            "ClientToken": unique("token"),
            "Sql": "insert into once values (1)",
        }
        first = client.execute_statement(**call)
        second = client.execute_statement(**call)
        assert first["Id"] == second["Id"]
        scene.wait(first["Id"])
        assert scene.rows(cluster, "select count(*) from once") == [[1]]
        refused(
            "ValidationException",
            once(scene.cloud).execute_statement,
            **{**call, "ClientToken": "x" * 65},
        )

    def test_given_parameters_then_values_are_bound_but_not_inside_an_unload(self, scene: Scene):
        cluster = scene.cluster(sql=ORDERS)
        given = [{"name": "p", "value": "web"}]
        found = scene.run(
            cluster, "select count(*) from orders where platform = :p", Parameters=given
        )
        result = scene.cloud.client("redshift-data").get_statement_result(Id=found["Id"])
        assert result["Records"] == [[{"longValue": 1}]]
        message = refused(
            "ValidationException",
            scene.cloud.client("redshift-data").execute_statement,
            ClusterIdentifier=cluster,
            Database="dev",
            Sql="UNLOAD ('select 1 from orders where a = :p') TO 's3://b/p' IAM_ROLE default",
            Parameters=given,
        )
        assert "unused parameters" in message

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"WorkgroupName": "both"}, "Exactly one"),
            ({"ClusterIdentifier": None}, "Exactly one"),
            ({"ClusterIdentifier": "elsewhere"}, "endpoint doesn't exist"),
            ({"Sql": "select 1; select 2"}, "Multiple statements"),
            ({"Sql": "select '" + "x" * 100_000 + "'"}, "100 KB"),
            ({"Parameters": [{"name": "a", "value": "b"}]}, "unused"),
            ({"Sql": "select :a"}, "Undefined parameters"),
            (
                {
                    "SecretArn": "arn:aws:secretsmanager:eu-west-1:000000000000:secret:no",
                    "DbUser": "u",
                },
                "cannot be used together",
            ),
            (
                {"SecretArn": "arn:aws:secretsmanager:eu-west-1:000000000000:secret:no"},
                "can't find the specified secret",
            ),
        ],
    )
    def test_given_a_call_that_is_wrong_then_it_is_refused(self, scene, change, message):
        call = {
            "ClusterIdentifier": scene.cluster(),
            "Database": "dev",
            "Sql": "select 1",
            **change,
        }
        call = {key: value for key, value in call.items() if value is not None}
        assert message in refused(
            "ValidationException", scene.cloud.client("redshift-data").execute_statement, **call
        )

    def test_given_a_batch_when_one_statement_fails_then_nothing_is_kept(self, scene: Scene):
        cluster = scene.cluster(sql="create table b (a int)")
        client = scene.cloud.client("redshift-data")

        def run(*sqls):
            made = client.batch_execute_statement(
                ClusterIdentifier=cluster, Database="dev", Sqls=list(sqls)
            )
            return scene.wait(made["Id"])

        good = run("insert into b values (1)", "select count(*) from b")
        assert [each["Status"] for each in good["SubStatements"]] == ["FINISHED", "FINISHED"]
        rows = client.get_statement_result(Id=good["SubStatements"][1]["Id"])["Records"]
        assert rows == [[{"longValue": 1}]]
        bad = run("insert into b values (2)", "select nope from b", "select 1")
        assert bad["Status"] == "FAILED"
        assert [each["Status"] for each in bad["SubStatements"]] == [
            "FINISHED",
            "FAILED",
            "ABORTED",
        ]
        assert scene.rows(cluster, "select count(*) from b") == [[1]]
        refused(
            "ValidationException",
            client.batch_execute_statement,
            ClusterIdentifier=cluster,
            Database="dev",
            Sqls=["select 1"] * 41,
        )

    def test_given_a_running_statement_when_it_is_cancelled_then_it_is_aborted(self, scene: Scene):
        cluster = scene.cluster()
        scene.cloud.redshift_faults.stall("endless")
        client = scene.cloud.client("redshift-data")
        made = client.execute_statement(
            ClusterIdentifier=cluster, Database="dev", Sql="select 1 -- endless"
        )
        scene.wait(made["Id"], client, "STARTED")
        assert client.cancel_statement(Id=made["Id"])["Status"]
        assert scene.wait(made["Id"])["Status"] == "ABORTED"
        refused("ValidationException", client.cancel_statement, Id=made["Id"])

    def test_given_a_statement_that_does_not_run_then_it_takes_no_cancellation(self):
        """ "To be canceled, a query must be running" (CancelStatement)."""
        statements = Statements(FaultPlan(), "", 0.0, lambda _: None)
        warehouse: Any = None
        for status in ("SUBMITTED", "PICKED", "FINISHED", "FAILED", "ABORTED"):
            waiting = Statement("id", warehouse, "dev", "user", "owner", [], status=status)
            with pytest.raises(AwsError, match=f"{status} state"):
                statements.cancel(waiting)
        statements.cancel(Statement("id", warehouse, "dev", "user", "owner", [], status="STARTED"))
        statements.close()

    def test_given_no_status_then_the_finished_are_listed_and_all_pages_hold_all(
        self, scene: Scene
    ):
        cluster = scene.cluster()
        client = scene.cloud.client("redshift-data")
        name = unique("listed")
        for number in range(3):
            scene.run(cluster, "select 1", StatementName=f"{name}/{number}")
        scene.cloud.redshift_faults.stall("endless")
        running = client.execute_statement(
            ClusterIdentifier=cluster,
            Database="dev",
            Sql="select 1 -- endless",
            StatementName=f"{name}/endless",
        )["Id"]
        scene.wait(running, client, "STARTED")

        finished = client.list_statements(StatementName=name)["Statements"]
        assert [each["StatementName"][-1] for each in finished] == ["2", "1", "0"]
        started = client.list_statements(StatementName=name, Status="STARTED")["Statements"]
        assert [each["Id"] for each in started] == [running]
        paged, more = [], {}
        while True:
            page = client.list_statements(StatementName=name, Status="ALL", MaxResults=3, **more)
            paged += page["Statements"]
            if "NextToken" not in page:
                break
            more = {"NextToken": page["NextToken"]}
        assert len({each["Id"] for each in paged}) == len(paged) == 4
        client.cancel_statement(Id=running)

    def test_given_too_many_active_statements_then_the_next_is_refused(self, scene: Scene):
        cluster = scene.cluster(max_active=1)
        fault = scene.cloud.redshift_faults.stall("first")
        client = once(scene.cloud)
        call = {"ClusterIdentifier": cluster, "Database": "dev"}
        made = client.execute_statement(**call, Sql="select 1 -- first")
        refused(
            "ActiveStatementsExceededException", client.execute_statement, **call, Sql="select 1"
        )
        scene.cloud.redshift_faults.clear(fault)
        assert scene.wait(made["Id"])["Status"] == "FINISHED"
        client.execute_statement(**call, Sql="select 1")

    def test_given_a_paused_cluster_then_a_statement_is_refused(self, scene: Scene):
        cluster = scene.cluster(status="paused")
        message = refused(
            "ValidationException",
            scene.cloud.client("redshift-data").execute_statement,
            ClusterIdentifier=cluster,
            Database="dev",
            Sql="select 1",
        )
        assert "paused" in message

    def test_given_with_event_then_eventbridge_hears_of_the_end(self, scene: Scene):
        cluster = scene.cluster()
        queue = scene.cloud.client("sqs").create_queue(QueueName=unique("events"))["QueueUrl"]
        arn = scene.cloud.client("sqs").get_queue_attributes(
            QueueUrl=queue, AttributeNames=["QueueArn"]
        )["Attributes"]["QueueArn"]
        scene.cloud.client("sqs").set_queue_attributes(
            QueueUrl=queue,
            Attributes={
                "Policy": json.dumps(
                    {
                        "Version": "2012-10-17",
                        "Statement": [
                            {
                                "Effect": "Allow",
                                "Principal": "*",
                                "Action": "sqs:SendMessage",
                                "Resource": arn,
                            }
                        ],
                    }
                )
            },
        )
        events = scene.cloud.client("events")
        rule = unique("rule")
        events.put_rule(Name=rule, EventPattern=json.dumps({"source": ["aws.redshift-data"]}))
        events.put_targets(Rule=rule, Targets=[{"Id": "q", "Arn": arn}])
        found = scene.run(cluster, "select 1", WithEvent=True)
        detail = json.loads(scene.messages(queue)[0]["Body"])["detail"]
        assert (detail["statementId"], detail["state"]) == (found["Id"], "FINISHED")


class TestRights:
    def test_given_rights_on_one_cluster_then_another_is_refused(self, scene: Scene):
        mine, other = scene.cluster(), scene.cluster()
        role = scene.role(*data_rights(mine))
        client = scene.cloud.client_as(role, "redshift-data")
        assert scene.run(mine, "select 1", client)["Status"] == "FINISHED"
        message = refused(
            "AccessDeniedException",
            client.execute_statement,
            ClusterIdentifier=other,
            Database="dev",
            Sql="select 1",
        )
        assert "redshift-data:ExecuteStatement" in message
        assert cluster_arn(other) in message

    @pytest.mark.parametrize("missing", [0, 1, 2])
    def test_given_one_right_is_missing_then_the_way_is_closed(self, scene: Scene, missing: int):
        cluster = scene.cluster()
        rights = data_rights(cluster)
        del rights[missing]
        client = scene.cloud.client_as(scene.role(*rights), "redshift-data")
        with pytest.raises(ClientError, match="AccessDenied"):
            scene.run(cluster, "select 1", client)

    def test_given_another_session_then_it_may_not_see_the_statement(self, scene: Scene):
        cluster = scene.cluster()
        role = scene.role(*data_rights(cluster))
        owner = scene.cloud.client_as(role, "redshift-data", "one")
        found = scene.run(cluster, "select 1", owner)
        assert owner.get_statement_result(Id=found["Id"])["TotalNumRows"] == 1
        stranger = scene.cloud.client_as(role, "redshift-data", "two")
        for call in (
            stranger.describe_statement,
            stranger.cancel_statement,
            stranger.get_statement_result,
        ):
            refused("AccessDeniedException", call, Id=found["Id"])

    def test_given_another_session_then_only_its_role_finds_the_statement(self, scene: Scene):
        cluster = scene.cluster()
        listing = allow("redshift-data:ListStatements")
        role = scene.role(*data_rights(cluster), listing)
        made = scene.run(cluster, "select 1", scene.cloud.client_as(role, "redshift-data", "one"))

        def found(role: str, **more: bool) -> list[str]:
            client = scene.cloud.client_as(role, "redshift-data", "two")
            return [each["Id"] for each in client.list_statements(**more)["Statements"]]

        assert found(role) == [made["Id"]]
        assert found(role, RoleLevel=False) == []
        assert found(scene.role(listing)) == []
        own = scene.role(
            *data_rights(cluster), allow("redshift-data:ListStatements", Condition=OWNER)
        )
        assert found(own, RoleLevel=False) == []
        for role_of_nobody, more in ((scene.role(), {"RoleLevel": False}), (own, {})):
            with pytest.raises(ClientError, match="AccessDenied"):
                found(role_of_nobody, **more)

    def test_given_db_user_then_temporary_credentials_must_be_allowed(self, scene: Scene):
        cluster = scene.cluster()
        start = f"arn:aws:redshift:{REGION}:{ACCOUNT}"
        execute = allow("redshift-data:ExecuteStatement", cluster_arn(cluster))
        describe = allow("redshift-data:DescribeStatement", Condition=OWNER)
        rights = allow(
            "redshift:GetClusterCredentials",
            [f"{start}:dbuser:{cluster}/reader", f"{start}:dbname:{cluster}/dev"],
        )
        good = scene.cloud.client_as(scene.role(execute, describe, rights), "redshift-data")
        assert scene.run(cluster, "select 1", good, DbUser="reader")["DbUser"] == "reader"
        with pytest.raises(ClientError, match=r"dbuser:.*/writer"):
            scene.run(cluster, "select 1", good, DbUser="writer")
        bad = scene.cloud.client_as(scene.role(execute, describe), "redshift-data")
        with pytest.raises(ClientError, match="GetClusterCredentials"):
            scene.run(cluster, "select 1", bad, DbUser="reader")

    def test_given_a_secret_then_the_callers_right_and_the_password_decide(self, scene: Scene):
        cluster = scene.cluster(user="loader", password="Right-1")
        secrets = scene.cloud.client("secretsmanager")

        def secret(value: str) -> str:
            return secrets.create_secret(Name=unique("login"), SecretString=value)["ARN"]

        right = secret(json.dumps({"username": "loader", "password": "Right-1"}))
        wrong = secret(json.dumps({"username": "loader", "password": "Wrong-1"}))
        empty = secret("loader:Right-1")
        execute = allow("redshift-data:ExecuteStatement", cluster_arn(cluster))
        describe = allow("redshift-data:DescribeStatement", Condition=OWNER)
        read = allow("secretsmanager:GetSecretValue", [right, wrong, empty])
        client = scene.cloud.client_as(scene.role(execute, describe, read), "redshift-data")
        assert scene.run(cluster, "select 1", client, SecretArn=right)["Status"] == "FINISHED"
        failed = scene.run(cluster, "select 1", client, SecretArn=wrong)
        assert failed["Status"] == "FAILED"
        assert 'password authentication failed for user "loader"' in failed["Error"]
        with pytest.raises(ClientError, match="username and password"):
            scene.run(cluster, "select 1", client, SecretArn=empty)
        blind = scene.cloud.client_as(scene.role(execute, describe), "redshift-data")
        with pytest.raises(ClientError, match="secretsmanager:GetSecretValue"):
            scene.run(cluster, "select 1", blind, SecretArn=right)

    def test_given_a_workgroup_then_its_own_credentials_must_be_allowed(self, scene: Scene):
        name = scene.workgroup()
        arn = scene.cloud.client("redshift-serverless").get_workgroup(workgroupName=name)[
            "workgroup"
        ]["workgroupArn"]
        execute = allow("redshift-data:ExecuteStatement", arn)
        describe = allow("redshift-data:DescribeStatement", Condition=OWNER)
        good = scene.role(execute, describe, allow("redshift-serverless:GetCredentials", arn))
        client = scene.cloud.client_as(good, "redshift-data")
        assert scene.run(name, "select 1", client)["Status"] == "FINISHED"
        with pytest.raises(ClientError, match="DbUser"):
            scene.run(name, "select 1", client, DbUser="u")
        bad = scene.cloud.client_as(scene.role(execute, describe), "redshift-data")
        with pytest.raises(ClientError, match="redshift-serverless:GetCredentials"):
            scene.run(name, "select 1", bad)

    def test_given_a_wrong_secret_key_then_the_signature_is_refused(self, scene: Scene):
        cluster = scene.cluster()
        credentials = scene.cloud.role_credentials(scene.role(*data_rights(cluster)))
        client = scene.cloud.client("redshift-data", **{**credentials, "SecretAccessKey": "x"})
        with pytest.raises(ClientError, match=r"[Ss]ignature"):
            client.execute_statement(ClusterIdentifier=cluster, Database="dev", Sql="select 1")


class TestControlCalls:
    def test_given_a_cluster_when_a_role_is_attached_then_it_comes_in_sync_beside_the_others(
        self, scene: Scene
    ):
        client = scene.cloud.client("redshift")
        first, second = (scene.role(service="redshift.amazonaws.com") for _ in range(2))
        cluster = scene.cluster([first])
        scene.attach_in(cluster, 3600)

        def roles() -> dict[str, str]:
            found = client.describe_clusters(ClusterIdentifier=cluster)["Clusters"][0]
            assert found["ClusterStatus"] == "available"
            return {each["IamRoleArn"]: each["ApplyStatus"] for each in found["IamRoles"]}

        client.modify_cluster_iam_roles(ClusterIdentifier=cluster, AddIamRoles=[second])
        assert roles() == {first: "in-sync", second: "adding"}
        scene.end_changes(cluster)
        assert roles()[second] == "in-sync"
        client.modify_cluster_iam_roles(ClusterIdentifier=cluster, RemoveIamRoles=[second])
        assert roles()[second] == "removing"
        scene.end_changes(cluster)
        assert roles() == {first: "in-sync"}

    def test_given_no_right_to_pass_the_role_then_it_is_not_attached(self, scene: Scene):
        cluster = scene.cluster()
        role = scene.role(service="redshift.amazonaws.com")
        modify = allow("redshift:ModifyClusterIamRoles", cluster_arn(cluster))
        passing = allow(
            "iam:PassRole",
            role,
            Condition={"StringEquals": {"iam:PassedToService": "redshift.amazonaws.com"}},
        )
        bad = scene.cloud.client_as(scene.role(modify), "redshift")
        message = refused(
            "AccessDenied",
            bad.modify_cluster_iam_roles,
            ClusterIdentifier=cluster,
            AddIamRoles=[role],
        )
        assert "iam:PassRole" in message
        good = scene.cloud.client_as(scene.role(modify, passing), "redshift")
        good.modify_cluster_iam_roles(ClusterIdentifier=cluster, AddIamRoles=[role])
        refused("AccessDenied", good.describe_clusters, ClusterIdentifier=cluster)

    def test_given_fifty_roles_then_one_more_is_refused(self, scene: Scene):
        start = f"arn:aws:iam::{ACCOUNT}:role/r"
        cluster = scene.cluster([f"{start}{number}" for number in range(50)])
        message = refused(
            "InvalidParameterValue",
            scene.cloud.client("redshift").modify_cluster_iam_roles,
            ClusterIdentifier=cluster,
            AddIamRoles=[scene.role(service="redshift.amazonaws.com")],
        )
        assert "at most 50" in message

    @pytest.mark.parametrize(
        "status", ["maintenance", "modifying", "paused", "rebooting", "resizing", "deleting"]
    )
    def test_given_a_cluster_that_is_not_available_then_its_roles_stay(
        self, scene: Scene, status: str
    ):
        client = scene.cloud.client("redshift")
        role = scene.role(service="redshift.amazonaws.com")
        cluster = scene.cluster([role])
        path = f"redshift/warehouses/{cluster}"
        scene.attach_in(cluster, 3600)
        scene.cloud.admin("PATCH", path, {"status": status, "status_seconds": 3600})
        change = {"ClusterIdentifier": cluster, "RemoveIamRoles": [role]}
        refused("InvalidClusterState", client.modify_cluster_iam_roles, **change)
        found = client.describe_clusters(ClusterIdentifier=cluster)["Clusters"][0]
        assert found["ClusterStatus"] == ("available" if status == "maintenance" else status)
        assert found["ClusterAvailabilityStatus"] != "Available"
        scene.cloud.admin("PATCH", path, {"status": status, "status_seconds": 0.1})
        eventually(
            lambda: (
                client.describe_clusters(ClusterIdentifier=cluster)["Clusters"][0][
                    "ClusterAvailabilityStatus"
                ]
                == "Available"
            )
        )
        client.modify_cluster_iam_roles(**change)
        # The change itself keeps out the next one.
        refused("InvalidClusterState", client.modify_cluster_iam_roles, **change)

    def test_given_a_role_that_redshift_cannot_assume_then_it_is_not_attached(self, scene: Scene):
        client = scene.cloud.client("redshift")
        cluster = scene.cluster()
        for arn, said in [
            (scene.role(service="lambda.amazonaws.com"), "must delegate access"),
            (f"arn:aws:iam::{ACCOUNT}:role/nobody", "must delegate access"),
            (SERVICE_LINKED, "service-linked"),
        ]:
            change = {"ClusterIdentifier": cluster, "AddIamRoles": [arn]}
            message = refused("InvalidParameterValue", client.modify_cluster_iam_roles, **change)
            assert said in message

    def test_given_no_such_cluster_then_the_error_is_redshifts(self, scene: Scene):
        refused(
            "ClusterNotFound",
            scene.cloud.client("redshift").describe_clusters,
            ClusterIdentifier="nowhere",
        )

    def test_given_a_namespace_when_its_roles_are_updated_then_they_read_as_texts(
        self, scene: Scene
    ):
        client = scene.cloud.client("redshift-serverless")
        first, second = (scene.role(service="redshift.amazonaws.com") for _ in range(2))
        name = scene.workgroup([first])
        namespace = client.get_workgroup(workgroupName=name)["workgroup"]["namespaceName"]
        found = client.get_namespace(namespaceName=namespace)["namespace"]
        assert found["iamRoles"] == [f"IamRole(applyStatus=in-sync, iamRoleArn={first})"]
        scene.attach_in(name, 3600)
        client.update_namespace(
            namespaceName=namespace, iamRoles=[first, second], defaultIamRoleArn=second
        )
        found = client.get_namespace(namespaceName=namespace)["namespace"]
        assert f"IamRole(applyStatus=adding, iamRoleArn={second})" in found["iamRoles"]
        assert found["defaultIamRoleArn"] == second
        assert found["status"] == "MODIFYING"
        refused("ConflictException", client.update_namespace, namespaceName=namespace, iamRoles=[])
        scene.end_changes(name)
        assert client.get_namespace(namespaceName=namespace)["namespace"]["status"] == "AVAILABLE"
        assert name in [each["workgroupName"] for each in client.list_workgroups()["workgroups"]]
        refused("ResourceNotFoundException", client.get_namespace, namespaceName="nowhere")

    @pytest.mark.parametrize(
        ("change", "code", "said"),
        [
            ({"iamRoles": []}, "ValidationException", "must not be empty"),
            ({"iamRoles": ["theirs", "linked"]}, "ValidationException", "service-linked"),
            ({"iamRoles": ["ours"]}, "ValidationException", "must contain the default"),
            (
                {"iamRoles": ["ours"], "defaultIamRoleArn": "theirs"},
                "ValidationException",
                "must contain the default",
            ),
            ({"defaultIamRoleArn": "theirs"}, "ValidationException", "the entire list"),
            ({"iamRoles": ["theirs", "nobody"]}, "ValidationException", "must delegate access"),
        ],
    )
    def test_given_a_list_that_aws_refuses_then_the_namespace_stays_as_it_is(
        self, scene: Scene, change: dict, code: str, said: str
    ):
        client = scene.cloud.client("redshift-serverless")
        arns = {
            "theirs": scene.role(service="redshift.amazonaws.com"),
            "ours": scene.role(service="redshift.amazonaws.com"),
            "linked": SERVICE_LINKED,
            "nobody": f"arn:aws:iam::{ACCOUNT}:role/nobody",
        }
        name = scene.workgroup([arns["theirs"], SERVICE_LINKED], default_role=arns["theirs"])
        given = {
            key: [arns[one] for one in value] if isinstance(value, list) else arns[value]
            for key, value in change.items()
        }
        namespace = f"{name}-namespace"
        assert said in refused(code, client.update_namespace, namespaceName=namespace, **given)
        found = client.get_namespace(namespaceName=namespace)["namespace"]
        assert (found["status"], len(found["iamRoles"])) == ("AVAILABLE", 2)
        assert found["defaultIamRoleArn"] == arns["theirs"]
        # An empty text stands for no default role; the service-linked role stays by itself.
        client.update_namespace(
            namespaceName=namespace, iamRoles=[arns["ours"]], defaultIamRoleArn=""
        )
        scene.end_changes(name)
        found = client.get_namespace(namespaceName=namespace)["namespace"]
        assert [text.rpartition("=")[2] for text in found["iamRoles"]] == [
            f"{SERVICE_LINKED})",
            f"{arns['ours']})",
        ]
        assert not found["defaultIamRoleArn"]

    @pytest.mark.parametrize("status", ["modifying", "deleting"])
    def test_given_a_workgroup_that_changes_then_its_namespace_is_not_changed(
        self, scene: Scene, status: str
    ):
        client = scene.cloud.client("redshift-serverless")
        role = scene.role(service="redshift.amazonaws.com")
        name = scene.workgroup([role])
        scene.cloud.admin("PATCH", f"redshift/warehouses/{name}", {"status": status})
        assert client.get_workgroup(workgroupName=name)["workgroup"]["status"] == status.upper()
        refused(
            "ConflictException",
            client.update_namespace,
            namespaceName=f"{name}-namespace",
            iamRoles=[role],
        )

    def test_given_rights_on_no_namespace_then_serverless_calls_are_refused(self, scene: Scene):
        name = scene.workgroup()
        client = scene.cloud.client_as(scene.role(), "redshift-serverless")
        refused("AccessDeniedException", client.get_workgroup, workgroupName=name)
        refused("AccessDeniedException", client.get_namespace, namespaceName=f"{name}-namespace")


class TestFaults:
    def test_given_a_fault_then_only_the_next_matching_statement_fails(self, scene: Scene):
        cluster = scene.cluster()
        scene.cloud.redshift_faults.fail("two", error="ERROR: out of disk", count=1)
        assert scene.run(cluster, "select 1")["Status"] == "FINISHED"
        failed = scene.run(cluster, "select 2 as two")
        assert (failed["Status"], failed["Error"]) == ("FAILED", "ERROR: out of disk")
        assert scene.run(cluster, "select 2 as two")["Status"] == "FINISHED"

    def test_given_an_abort_then_the_statement_ends_aborted(self, scene: Scene):
        cluster = scene.cluster()
        scene.cloud.redshift_faults.abort()
        assert scene.run(cluster, "select 1")["Status"] == "ABORTED"

    def test_given_throttling_then_the_next_calls_are_refused_and_counted(self, scene: Scene):
        cluster = scene.cluster()
        client = once(scene.cloud)
        faults = scene.cloud.redshift_faults
        faults.throttle("ExecuteStatement", count=2)
        call = {"ClusterIdentifier": cluster, "Database": "dev", "Sql": "select 1"}
        for _ in range(2):
            refused("ThrottlingException", client.execute_statement, **call)
        made = client.execute_statement(**call)
        faults.throttle("DescribeStatement")
        refused("ThrottlingException", client.describe_statement, Id=made["Id"])
        assert [each["hits"] for each in faults.list()] == [2, 1]

    @pytest.mark.parametrize("drop", [False, True])
    def test_given_a_lost_reply_then_the_token_finds_the_statement_again(self, scene, drop):
        cluster = scene.cluster(sql="create table lost (a int)")
        scene.cloud.redshift_faults.lose_reply("ExecuteStatement", drop=drop)
        call = {
            "ClusterIdentifier": cluster,
            "Database": "dev",
            "ClientToken": unique("token"),
            "Sql": "insert into lost values (1)",
        }
        with pytest.raises((ClientError, BotoCoreError)):
            once(scene.cloud).execute_statement(**call)
        made = once(scene.cloud).execute_statement(**call)
        assert scene.wait(made["Id"])["Status"] == "FINISHED"
        assert scene.rows(cluster, "select count(*) from lost") == [[1]]
        ran = [each for each in scene.cloud.statements("into lost") if each["warehouse"] == cluster]
        assert len(ran) == 1

    def test_given_a_fault_of_another_service_then_it_answers_in_its_own_protocol(
        self, scene: Scene
    ):
        faults = scene.cloud.redshift_faults
        faults.refuse_call("dynamodb", "ListTables", code="ThrottlingException")
        refused("ThrottlingException", once(scene.cloud, "dynamodb").list_tables)
        once(scene.cloud, "dynamodb").list_tables()
        faults.refuse_call("s3", "PUT /*", code="SlowDown", status=503)
        bucket = unique("slow")
        s3 = once(scene.cloud, "s3")
        where = {"LocationConstraint": REGION}
        refused("SlowDown", s3.create_bucket, Bucket=bucket, CreateBucketConfiguration=where)
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=where)

    def test_given_a_young_role_then_it_is_refused_until_its_time_has_come(self, scene: Scene):
        cluster = scene.cluster()
        fault = scene.cloud.redshift_faults.refuse_role("young-*", seconds=3600)
        role = scene.role(*data_rights(cluster), allow("dynamodb:ListTables"), name=unique("young"))
        client = scene.cloud.client_as(role, "redshift-data")
        with pytest.raises(ClientError, match="AccessDenied"):
            scene.run(cluster, "select 1", client)
        with pytest.raises(ClientError, match="AccessDenied"):
            scene.cloud.client_as(role, "dynamodb").list_tables()
        scene.cloud.redshift_faults.clear(fault)
        scene.cloud.redshift_faults.refuse_role("young-*", seconds=2)
        made = eventually(lambda: allowed(scene.run, cluster, "select 1", client))
        assert made["Status"] == "FINISHED"

    def test_given_lost_object_events_then_eventbridge_hears_nothing(self, scene: Scene):
        bucket = scene.bucket()
        sqs = scene.cloud.client("sqs")
        queue = sqs.create_queue(QueueName=unique("objects"))["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"][
            "QueueArn"
        ]
        sqs.set_queue_attributes(
            QueueUrl=queue,
            Attributes={
                "Policy": json.dumps(
                    {
                        "Version": "2012-10-17",
                        "Statement": [
                            {
                                "Effect": "Allow",
                                "Principal": "*",
                                "Action": "sqs:SendMessage",
                                "Resource": arn,
                            }
                        ],
                    }
                )
            },
        )
        events = scene.cloud.client("events")
        rule = unique("rule")
        events.put_rule(
            Name=rule,
            EventPattern=json.dumps(
                {"source": ["aws.s3"], "detail": {"bucket": {"name": [bucket]}}}
            ),
        )
        events.put_targets(Rule=rule, Targets=[{"Id": "q", "Arn": arn}])
        scene.s3.put_bucket_notification_configuration(
            Bucket=bucket, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )
        scene.cloud.redshift_faults.drop_object_events(f"{bucket}/lost", count=1)
        for key in ("lost", "found"):
            scene.s3.put_object(Bucket=bucket, Key=key, Body=b"")
        got = scene.messages(queue)
        keys = [json.loads(each["Body"])["detail"]["object"]["key"] for each in got]
        assert keys == ["found"]

    def test_given_many_clients_at_once_then_all_statements_finish(self, scene: Scene):
        cluster = scene.cluster(sql=ORDERS)
        with ThreadPoolExecutor(16) as pool:
            found = list(
                pool.map(
                    lambda number: scene.run(cluster, f"select count(*) + {number} from orders"),
                    range(40),
                )
            )
        assert {each["Status"] for each in found} == {"FINISHED"}


def test_given_a_role_that_never_signed_in_then_a_grant_needs_its_user_first(scene: Scene) -> None:
    cluster = scene.cluster(sql="create table orders (id int)")
    user = '"IAMR:shop-statement"'
    grant = f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {user}"
    refused = scene.run(cluster, grant)
    assert 'user "IAMR:shop-statement" does not exist' in refused["Error"]
    assert scene.run(cluster, f"CREATE USER {user} PASSWORD DISABLE")["Status"] == "FINISHED"
    assert scene.run(cluster, grant)["Status"] == "FINISHED"
    again = scene.run(cluster, f"CREATE USER {user} PASSWORD DISABLE")
    assert "already exists" in again["Error"]
    assert scene.run(cluster, "grant usage on schema public to public, group a")["Status"] == (
        "FINISHED"
    )


def test_given_a_role_that_signed_in_then_its_user_exists(scene: Scene) -> None:
    cluster = scene.cluster(sql="create table orders (id int)")
    role = scene.role(
        allow("redshift-data:*", "*"), allow("redshift:GetClusterCredentialsWithIAM", "*")
    )
    client = scene.cloud.client_as(role, "redshift-data")
    assert scene.run(cluster, "select 1 as x", client)["Status"] == "FINISHED"
    name = role.rsplit("/", 1)[-1]
    assert scene.run(cluster, f'grant select on orders to "IAMR:{name}"')["Status"] == "FINISHED"
