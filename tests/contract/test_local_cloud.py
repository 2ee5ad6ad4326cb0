"""The local cloud as a whole: start, stop, ports, roles of Lambda functions, ministack's gaps."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from local.cloud import CloudError, LocalCloud
from local.cloud.testing import ACCOUNT, REGION, Scene, allow, eventually, unique

ROOT = Path(__file__).resolve().parents[2]


def run_cli(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "local.cloud", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def processes_of(group: int) -> list[int]:
    """The processes of a group, by the system's own table."""
    found = []
    for each in Path("/proc").iterdir():
        try:
            fields = (each / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if fields[2] == str(group) and fields[0] != "Z":
            found.append(int(each.name))
    return found


def listening(pids: list[int]) -> set[tuple[str, int]]:
    """Address (as the kernel writes it) and port of every TCP socket the processes listen on."""
    inodes = set()
    for pid in pids:
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            try:
                inodes.add(str(entry.readlink()))
            except OSError:
                continue
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                address, port = fields[1].split(":")
                found.add((address, int(port, 16)))
    return found


needs_proc = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs /proc")


RUN_STATEMENT = """
import boto3, os, sys, time

def handle(event, context):
    client = boto3.client("redshift-data")
    try:
        made = client.execute_statement(
            ClusterIdentifier=event["cluster"], Database="dev", Sql="select 1"
        )
        while True:
            found = client.describe_statement(Id=made["Id"])
            if found["Status"] in ("FINISHED", "FAILED", "ABORTED"):
                return {"status": found["Status"], "endpoint": os.environ["AWS_ENDPOINT_URL"]}
            time.sleep(0.01)
    except client.exceptions.ClientError as error:
        return {"status": error.response["Error"]["Code"]}
"""


class TestProcess:
    def test_given_the_command_line_when_it_starts_and_stops_then_nothing_is_left(self, tmp_path):
        state = str(tmp_path / "state")
        started = run_cli("start", "--state-dir", state, "--region", "us-east-1")
        try:
            assert started.returncode == 0, started.stderr
            assert "export AWS_ENDPOINT_URL=http://127.0.0.1:" in started.stdout
            running = json.loads(run_cli("status", "--state-dir", state).stdout)
            assert running["region"] == "us-east-1"
            again = run_cli("start", "--state-dir", state)
            assert f":{running['port']}" in again.stdout
            cloud = LocalCloud.attach(state)
            assert cloud.client("sts").get_caller_identity()["Account"] == ACCOUNT
        finally:
            stopped = run_cli("stop", "--state-dir", state)
        assert stopped.stdout == "stopped\n"
        assert processes_of(running["pid"]) == []
        assert run_cli("status", "--state-dir", state).returncode == 1
        assert run_cli("stop", "--state-dir", state).stdout == "was not running\n"
        with pytest.raises(CloudError):
            LocalCloud.attach(state)

    def test_given_help_then_every_option_is_told(self):
        assert "start" in run_cli("--help").stdout
        assert "--state-dir" in run_cli("start", "--help").stdout

    def test_given_two_clouds_then_neither_sees_the_other(self, cloud: LocalCloud):
        with LocalCloud() as second:
            assert second.port != cloud.port
            name = unique("only-here")
            second.client("dynamodb").create_table(
                TableName=name,
                KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
            second.create_cluster("twin")
            assert name not in cloud.client("dynamodb").list_tables()["TableNames"]
            assert second.client("redshift").describe_clusters()["Clusters"]
            with pytest.raises(CloudError):
                cloud.admin("GET", "redshift/warehouses/twin")
            state = second.settings.state_dir
        assert not state.exists()

    @needs_proc
    def test_given_services_in_use_then_only_loopback_is_listened_on(self, scene: Scene):
        role = scene.role(allow("logs:*"))
        scene.invoke(scene.function(role, "def handle(event, context): return 1"))
        for service, call in (
            ("s3", "list_buckets"),
            ("iam", "list_roles"),
            ("sqs", "list_queues"),
            ("stepfunctions", "list_state_machines"),
            ("kms", "list_keys"),
            ("scheduler", "list_schedules"),
            ("glue", "get_databases"),
            ("sns", "list_topics"),
            ("ssm", "describe_parameters"),
        ):
            getattr(scene.cloud.client(service), call)()
        pids = processes_of(scene.cloud.running.pid)
        assert len(pids) > 1, "the Lambda worker belongs to the group"
        assert listening(pids) == {("0100007F", scene.cloud.port)}

    @needs_proc
    def test_given_a_state_directory_then_no_file_is_made_elsewhere(self, scene: Scene):
        state = scene.cloud.settings.state_dir
        scene.invoke(scene.function(scene.role(), "def handle(event, context): return 1"))
        assert list((state / "tmp").iterdir())
        open_files = {
            str(entry.readlink())
            for pid in processes_of(scene.cloud.running.pid)
            for entry in Path(f"/proc/{pid}/fd").iterdir()
            if entry.is_symlink()
        }
        written = [each for each in open_files if each.startswith(("/tmp/", "/var/"))]
        assert all(each.startswith(str(state)) for each in written)


class TestLambda:
    def test_given_a_role_for_one_cluster_then_the_function_is_refused_on_another(
        self, scene: Scene
    ):
        mine, other = scene.cluster(), scene.cluster()
        role = scene.role(
            allow(
                "redshift-data:ExecuteStatement",
                f"arn:aws:redshift:{REGION}:{ACCOUNT}:cluster:{mine}",
            ),
            allow("redshift:GetClusterCredentialsWithIAM"),
            allow(
                "redshift-data:DescribeStatement",
                Condition={
                    "StringEquals": {"redshift-data:statement-owner-iam-userid": "${aws:userid}"}
                },
            ),
        )
        name = scene.function(role, RUN_STATEMENT)
        assert scene.invoke(name, {"cluster": mine}) == {
            "status": "FINISHED",
            "endpoint": scene.cloud.endpoint,
        }
        assert scene.invoke(name, {"cluster": other}) == {"status": "AccessDeniedException"}

    def test_given_a_function_then_its_user_id_is_its_roles_id_and_its_name(self, scene: Scene):
        source = "import boto3\ndef handle(e, c): return boto3.client('sts').get_caller_identity()"
        role = scene.role()
        name = scene.function(role, source)
        found = scene.invoke(name)
        role_id = scene.iam.get_role(RoleName=role.rsplit("/", 1)[-1])["Role"]["RoleId"]
        assert found["UserId"] == f"{role_id}:{name}"

    def test_given_the_servers_environment_then_a_function_does_not_see_it(self, scene: Scene):
        source = "import os, sys\ndef handle(e, c): return [dict(os.environ), sys.path]"
        environment, path = scene.invoke(scene.function(scene.role(), source))
        assert environment["OF_THE_FUNCTION"] == "yes"
        assert "PYTHONPATH" not in environment
        assert str(ROOT) not in path
        assert environment["AWS_ACCESS_KEY_ID"].startswith("ASIA")

    def test_given_a_fault_then_the_function_is_killed_when_its_call_has_been_done(
        self, scene: Scene
    ):
        bucket = scene.bucket()
        role = scene.role(allow("s3:PutObject", f"arn:aws:s3:::{bucket}/*"))
        source = (
            "import boto3\ndef handle(e, c):\n"
            f"    boto3.client('s3').put_object(Bucket={bucket!r}, Key='done', Body=b'')\n"
            "    return 'alive'"
        )
        name = scene.function(role, source)
        scene.cloud.redshift_faults.kill("another", "PUT *", service="s3")
        fault = scene.cloud.redshift_faults.kill(name, "PUT *", service="s3")
        try:
            killed = scene.invoke(name)
            assert killed["errorType"] == "Runtime.ExitError"
            assert scene.keys(bucket) == ["done"]
            hits = {each["id"]: each["hits"] for each in scene.cloud.redshift_faults.list()}
            assert hits.pop(fault) == 1
            assert set(hits.values()) == {0}
            assert scene.invoke(name) == "alive"
        finally:
            scene.cloud.redshift_faults.clear()

    def test_given_an_idle_limit_then_old_workers_are_stopped(self):
        with LocalCloud(region=REGION, idle_workers=1) as small:
            scene = Scene(small)
            role = scene.role()
            names = [
                scene.function(role, "import os\ndef handle(e, c): return os.getpid()")
                for _ in range(3)
            ]
            workers = {scene.invoke(name) for name in names}
            assert len(workers) == 3
            group = small.running.pid
            eventually(lambda: len(workers & set(processes_of(group))) <= 1)
            assert scene.invoke(names[0]) in processes_of(small.running.pid)


class TestPolicies:
    def test_given_a_policy_variable_then_it_is_filled_in(self, scene: Scene):
        bucket = scene.bucket()
        role = scene.role(
            allow("s3:PutObject", f"arn:aws:s3:::{bucket}/${{aws:PrincipalAccount}}/*")
        )
        client = scene.cloud.client_as(role, "s3")
        client.put_object(Bucket=bucket, Key=f"{ACCOUNT}/a", Body=b"")
        with pytest.raises(ClientError, match="AccessDenied"):
            client.put_object(Bucket=bucket, Key="other/a", Body=b"")
