"""A deployed detector, found by its name: creates the clients, the only place of the commands that
does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import boto3

from anomaly_detector.ledger.ledger import Ledger
from anomaly_detector.ledger.table import StateTable
from anomaly_detector.operate.schedule import Schedule
from anomaly_detector.services.executions import Executions


@dataclass(frozen=True)
class Deployment:
    """Resources of one detector, by the names that Terraform gives them.

    Parameters
    ----------
    session : boto3's session, with the caller's credentials and region.
    """

    name: str
    session: Any

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
        arn = (
            f"arn:{self._caller[1]}:states:{self.region}:{self.account}:stateMachine:"
            f"{self.name}-{key}"
        )
        return Executions(self.session.client("stepfunctions"), arn)

    @cached_property
    def _caller(self) -> list[str]:
        return str(self.session.client("sts").get_caller_identity()["Arn"]).split(":")


def deployment(name: str, region: str | None, profile: str | None) -> Deployment:
    """The detector of this name, with the caller's credentials."""
    session = boto3.Session(profile_name=profile, region_name=region)
    return Deployment(name, session)
