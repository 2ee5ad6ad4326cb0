"""What one instance of the local cloud is started with, and where its files live."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

HOST = "127.0.0.1"
ACCESS_KEY = "test"
_AHEAD_SECONDS = 10 * 365 * 86_400
SECRET_KEY = "test"


@dataclass(frozen=True)
class Settings:
    """One instance's settings.

    Attributes
    ----------
    state_dir
        Every file of the instance lies below it, so that two instances never meet.
    port
        0 lets the kernel choose a free one.
    status_seconds
        How long a statement rests in each of SUBMITTED and PICKED.
    attach_seconds
        How long attaching or detaching a role takes until it is in sync.
    idle_workers, idle_seconds
        At most so many idle Lambda processes stay warm, none longer than so many seconds.
    """

    state_dir: Path
    port: int = 0
    region: str = "eu-west-1"
    account: str = "000000000000"
    status_seconds: float = 0.05
    attach_seconds: float = 0.3
    idle_workers: int = 16
    idle_seconds: float = 300.0
    log_level: str = "WARNING"

    @property
    def state_file(self) -> Path:
        return self.state_dir / "cloud.json"

    @property
    def log_file(self) -> Path:
        return self.state_dir / "cloud.log"

    def ministack_environment(self, port: int) -> dict[str, str]:
        """Return what ministack reads from the environment, at import, for this instance."""
        return {
            "AUTH": "true",
            "GATEWAY_PORT": str(port),
            "EDGE_PORT": str(port),
            "BIND_HOST": HOST,
            "MINISTACK_HOST": HOST,
            "MINISTACK_ACCOUNT_ID": self.account,
            "MINISTACK_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_REGION": self.region,
            "AWS_ACCESS_KEY_ID": ACCESS_KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
            "AWS_ENDPOINT_URL": f"http://{HOST}:{port}",
            "AWS_EC2_METADATA_DISABLED": "true",
            "S3_DATA_DIR": str(self.state_dir / "s3"),
            "STATE_DIR": str(self.state_dir / "state"),
            "TMPDIR": str(self.state_dir / "tmp"),
            "PERSIST_STATE": "0",
            "S3_PERSIST": "0",
            "LAMBDA_EXECUTOR": "local",
            "LAMBDA_WARM_TTL_SECONDS": str(int(self.idle_seconds)),
            "LOG_LEVEL": self.log_level,
            # Of the detector's functions: the demo and the tests schedule crawls ahead of time.
            "CLOCK_TOLERANCE_SECONDS": str(_AHEAD_SECONDS),
            # Each of these would open a port beside ours, on every interface.
            "SFTP_ENABLED": "0",
            "IOT_MTLS_ENABLED": "0",
            "USE_SSL": "0",
            # A Docker daemon, if there is one, belongs to its user.
            "DOCKER_HOST": f"unix://{self.state_dir / 'no-docker.sock'}",
        }


@dataclass(frozen=True)
class RunningCloud:
    """The state file: what another process needs to use or stop a running cloud."""

    pid: int
    port: int
    endpoint: str
    region: str
    account: str
    access_key_id: str = ACCESS_KEY
    secret_access_key: str = SECRET_KEY
    state_dir: str = field(default="")

    def environment(self) -> dict[str, str]:
        """Return the environment under which any AWS client talks to this cloud as its root."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def save(self, path: Path) -> None:
        """Write the state file so that a reader sees all of it or nothing."""
        draft = path.with_suffix(".tmp")
        draft.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        draft.replace(path)

    @classmethod
    def load(cls, path: Path) -> RunningCloud | None:
        """Read the state file; None when there is none or it is not ours."""
        try:
            return cls(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None
