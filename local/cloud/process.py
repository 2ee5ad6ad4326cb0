"""Start, find and stop a local cloud that runs in a process of its own."""

# ruff: noqa: ANN401 - boto3 has no types, and JSON values may be anything

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from local.cloud.faults import RedshiftFaults
from local.cloud.settings import RunningCloud, Settings

_ROOT = Path(__file__).resolve().parents[2]
DEFAULT_STATE_DIR = _ROOT / ".local" / "cloud"
# These only end what would never end: a busy machine may be ten times as slow.
_START_SECONDS = 300.0
_STOP_SECONDS = 60.0
_REPLY_SECONDS = 600


class CloudError(RuntimeError):
    """The local cloud could not be started, reached or told what to do."""


class LocalCloud:
    """A local cloud as a context manager; it starts on entry and leaves nothing behind on exit.

    Parameters
    ----------
    state_dir
        Where its files go. Without it a temporary folder is made, and removed on exit.
    options
        Any other field of :class:`local.cloud.settings.Settings`.

    Examples
    --------
    >>> with LocalCloud() as cloud:                                       # doctest: +SKIP
    ...     cloud.client("s3").create_bucket(Bucket="b")
    """

    def __init__(self, state_dir: Path | str | None = None, **options: Any) -> None:
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        if state_dir is None:
            self._temporary = tempfile.TemporaryDirectory(
                prefix="local-cloud-", ignore_cleanup_errors=True
            )
            state_dir = self._temporary.name
        self.settings = Settings(state_dir=Path(state_dir).resolve(), **options)
        self._running: RunningCloud | None = None

    def __enter__(self) -> LocalCloud:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @classmethod
    def attach(cls, state_dir: Path | str) -> LocalCloud:
        """Return the cloud that already runs with this state directory; raise if none does."""
        cloud = cls(state_dir)
        if cloud.status() is None:
            raise CloudError(f"no local cloud is running with the state directory {state_dir}")
        return cloud

    def start(self) -> LocalCloud:
        """Start the server and return when it answers; harmless when it runs already."""
        if self.status() is not None:
            return self
        directory = self.settings.state_dir
        directory.mkdir(parents=True, exist_ok=True)
        self.settings.state_file.unlink(missing_ok=True)
        command = [sys.executable, "-m", "local.cloud", "serve", "--state-dir", str(directory)]
        for name in (
            "port",
            "region",
            "account",
            "status_seconds",
            "attach_seconds",
            "idle_workers",
            "idle_seconds",
            "log_level",
        ):
            command += [f"--{name.replace('_', '-')}", str(getattr(self.settings, name))]
        with self.settings.log_file.open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=_ROOT,
                env=_clean_environment(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Its own group: stopping the group stops the Lambda workers too.
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise CloudError(f"the local cloud ended immediately; see {self.settings.log_file}")
            if (running := self.status()) is not None and running.pid == process.pid:
                return self
            time.sleep(0.05)
        _stop_group(process.pid)
        raise CloudError(f"the local cloud did not respond; see {self.settings.log_file}")

    def status(self) -> RunningCloud | None:
        """Return what is running with this state directory, or None."""
        running = RunningCloud.load(self.settings.state_file)
        if running is None or not _answers(running):
            self._running = None
        else:
            self._running = running
        return self._running

    def stop(self) -> bool:
        """Stop the server and all its children; True if something was stopped."""
        running = RunningCloud.load(self.settings.state_file)
        stopped = False
        # The file may outlive its process, whose number may be somebody else's by now.
        if running is not None and _is_ours(running.pid, self.settings.state_dir):
            _stop_group(running.pid)
            stopped = True
        self.settings.state_file.unlink(missing_ok=True)
        self._running = None
        if self._temporary is not None:
            self._temporary.cleanup()
        return stopped

    @property
    def running(self) -> RunningCloud:
        """The running instance; raises :class:`CloudError` when it is not running."""
        found = self._running or self.status()
        if found is None:
            raise CloudError("the local cloud is not running")
        return found

    @property
    def endpoint(self) -> str:
        return self.running.endpoint

    @property
    def port(self) -> int:
        return self.running.port

    @property
    def region(self) -> str:
        return self.running.region

    @property
    def account(self) -> str:
        return self.running.account

    def environment(self) -> dict[str, str]:
        """Return the variables to export for the AWS CLI, boto3 or Terraform."""
        return self.running.environment()

    def client(self, service: str, **credentials: Any) -> Any:
        """Return a boto3 client: the root's, or that of the credentials given.

        Takes boto3's own names, or the ``Credentials`` of an STS answer as keywords.
        """
        import boto3
        from botocore.config import Config

        names = {
            "AccessKeyId": "aws_access_key_id",
            "SecretAccessKey": "aws_secret_access_key",
            "SessionToken": "aws_session_token",
        }
        arguments = {names.get(key, key): value for key, value in credentials.items()}
        arguments.pop("Expiration", None)
        arguments.setdefault("aws_access_key_id", self.running.access_key_id)
        arguments.setdefault("aws_secret_access_key", self.running.secret_access_key)
        arguments.setdefault("region_name", self.region)
        # On a busy machine a reply is slow, never lost: nothing is sent again for want of patience.
        config = Config(read_timeout=_REPLY_SECONDS, connect_timeout=_REPLY_SECONDS)
        return boto3.client(service, endpoint_url=self.endpoint, config=config, **arguments)

    def client_as(self, role_arn: str, service: str, session: str = "test") -> Any:
        """Return a client with the rights of a role, whoever its trust policy names."""
        return self.client(service, **self.role_credentials(role_arn, session))

    def role_credentials(self, role_arn: str, session: str = "test") -> dict[str, str]:
        """Return credentials of a role without asking its trust policy, as its service has them."""
        answer = self.admin("POST", "role-session", {"role_arn": role_arn, "session": session})
        return {str(key): str(value) for key, value in answer.items()}

    def admin(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Call the admin interface, ``/_local/<path>``, and return its JSON."""
        request = urllib.request.Request(
            f"{self.endpoint}/_local/{path}",
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"content-type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=_REPLY_SECONDS) as answer:
                return json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            raise CloudError(f"{method} /_local/{path}: {error.read().decode()}") from error

    @property
    def redshift_faults(self) -> RedshiftFaults:
        """Faults to inject, in Redshift and in the rest of the cloud."""
        return RedshiftFaults(self.admin)

    def create_cluster(self, identifier: str, **options: Any) -> dict[str, Any]:
        """Make a provisioned cluster; see the admin interface for the options."""
        body = {"kind": "cluster", "identifier": identifier, **options}
        return dict(self.admin("POST", "redshift/warehouses", body))

    def create_workgroup(self, name: str, **options: Any) -> dict[str, Any]:
        """Make a serverless workgroup with its namespace."""
        body = {"kind": "workgroup", "identifier": name, **options}
        return dict(self.admin("POST", "redshift/warehouses", body))

    def load_table(
        self, warehouse: str, table: str, parquet: Path | str, *, database: str | None = None
    ) -> int:
        """Append a Parquet file to a table, made from the file if need be; returns its rows."""
        body = {"table": table, "parquet": str(Path(parquet).resolve()), "database": database}
        answer = self.admin("POST", f"redshift/warehouses/{warehouse}/load", body)
        return int(answer["rows"])

    def execute(self, warehouse: str, sql: str, *, database: str | None = None) -> list[list[Any]]:
        """Run SQL of the warehouse's dialect as its owner, past the Data API; returns the rows."""
        body = {"sql": sql, "database": database}
        answer = self.admin("POST", f"redshift/warehouses/{warehouse}/sql", body)
        return [list(row) for row in answer["rows"]]

    def role_calls(self) -> int:
        """Return how many calls functions, state machines and the like have made: work goes on."""
        return int(self.admin("GET", "health")["role_calls"])

    def statements(self, contains: str = "") -> list[dict[str, Any]]:
        """Return every Data API statement so far, oldest first, whose text holds ``contains``."""
        found = self.admin("GET", "redshift/statements")
        return [dict(each) for each in found if contains.lower() in each["sql"].lower()]


def _clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the environment without what would leak into the cloud or its Lambda functions."""
    return {
        name: value
        for name, value in environment.items()
        if not name.startswith(("AWS_", "MINISTACK_", "LAMBDA_", "LOCALSTACK_", "TF_"))
        and name not in ("PYTHONPATH", "PYTHONHOME", "SERVICES", "http_proxy", "HTTP_PROXY")
    }


def _answers(running: RunningCloud) -> bool:
    try:
        with urllib.request.urlopen(f"{running.endpoint}/_local/health", timeout=30) as answer:
            return bool(json.loads(answer.read()).get("pid") == running.pid)
    except (OSError, ValueError):
        return False


def _is_ours(pid: int, state_dir: Path) -> bool:
    """Whether the process is a server of this state directory, as far as the system tells."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, PermissionError):
        return False
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        found = subprocess.run(
            ["ps", "-o", "command=", "-p", str(pid)],
            capture_output=True,
            text=True,
            check=False,
        )
        return "local.cloud" in found.stdout and str(state_dir) in found.stdout
    return "local.cloud" in command and str(state_dir) in command


def _stop_group(pid: int) -> None:
    """End a process group: politely, then not; returns when it is gone."""
    for sign, seconds in ((signal.SIGTERM, _STOP_SECONDS), (signal.SIGKILL, 5.0)):
        try:
            os.killpg(pid, sign) if sign == signal.SIGKILL else os.kill(pid, sign)
        except (ProcessLookupError, PermissionError):
            break
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and _alive(pid):
            time.sleep(0.05)
        if not _alive(pid):
            break
    try:
        # Whatever the server left, such as a worker that was starting.
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _alive(pid: int) -> bool:
    try:
        done, _ = os.waitpid(pid, os.WNOHANG)
        return done == 0
    except ChildProcessError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
