"""Creates the AWS clients and adapters; no other module does. A warm function reuses them."""

from __future__ import annotations

import os
from functools import cache, cached_property
from typing import Any

import boto3
from botocore.config import Config as ClientConfig

from anomaly_detector import assumed_role
from anomaly_detector.alerts.https import Https
from anomaly_detector.alerts.secrets import Secrets
from anomaly_detector.alerts.targets import SEND_ONCE, Targets
from anomaly_detector.config import Redshift
from anomaly_detector.errors import PermanentError
from anomaly_detector.lake.store import ObjectStore
from anomaly_detector.ledger.ledger import Ledger
from anomaly_detector.ledger.table import StateTable
from anomaly_detector.services.executions import Executions
from anomaly_detector.services.function import Function
from anomaly_detector.services.topic import Topic
from anomaly_detector.services.warehouse_role import Place
from anomaly_detector.settings import Settings
from anomaly_detector.warehouse.data_api import DataApi
from anomaly_detector.warehouse.roles import Attachment, ClusterRoles, NamespaceRoles

# The state machines retry too; these retries are for lost packets and brief throttling.
_RETRYING = ClientConfig(
    retries={"mode": "standard", "total_max_attempts": 4}, connect_timeout=5, read_timeout=60
)
# An invoked function may take up to a minute.
_ASKING = ClientConfig(
    retries={"mode": "standard", "total_max_attempts": 2}, connect_timeout=5, read_timeout=90
)


class Wiring:
    """Adapters of one function, each created on first use."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    @cached_property
    def store(self) -> ObjectStore:
        """The bucket."""
        return ObjectStore(_client("s3"), self.settings.bucket_name)

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger, backed by the state table."""
        settings = self.settings
        return Ledger(StateTable(_client("dynamodb"), settings.table_name, settings.detector_name))

    @cached_property
    def pipeline(self) -> Executions:
        """Executions of the pipeline."""
        return self.executions(self.settings.pipeline_arn)

    def executions(self, machine: str) -> Executions:
        """Executions of a state machine."""
        return Executions(_client("stepfunctions"), machine)

    def function(self, arn: str) -> Function:
        """Another function of this detector."""
        return Function(_client("lambda", _ASKING), arn)

    @cached_property
    def operations(self) -> Topic:
        """The operations topic."""
        return Topic(_client("sns"), self.settings.operations_topic_arn)

    @cached_property
    def targets(self) -> Targets:
        """The targets of alerts."""
        return Targets(_sender, Secrets(_reader), Https())

    def warehouse(self, redshift: Redshift | None) -> DataApi:
        """The warehouse of the environment; None for calls that need no authentication.

        Parameters
        ----------
        redshift : what the configuration was activated for.

        Raises
        ------
        PermanentError
            If that is another warehouse, as until the pipeline has activated a new one.
        """
        own = self.settings.redshift
        if redshift is not None and redshift.place != own.place:
            raise PermanentError(
                "This configuration is for another warehouse or database than the functions are: "
                "it is replaced as soon as the pipeline has activated the configuration for the "
                "new one."
            )
        client = self.warehouse_session.client("redshift-data", config=_RETRYING)
        return DataApi(client, None if redshift is None else own)

    @cached_property
    def warehouse_session(self) -> Any:  # noqa: ANN401 boto3 has no types
        """The function's own session, or that of the role in the warehouse's account."""
        return assumed_role.acting(
            boto3.Session(), self.settings.redshift, self.settings.detector_name
        )

    def attachment(self, place: Place) -> Attachment:
        """The roles of a cluster or workgroup."""
        if place.cluster_identifier:
            return ClusterRoles(_client("redshift"), place.cluster_identifier)
        if place.workgroup_name:
            return NamespaceRoles(_client("redshift-serverless"), place.workgroup_name)
        raise PermanentError("Set exactly one of cluster_identifier and workgroup_name.")


@cache
def wiring() -> Wiring:
    """Adapters for the resources named in the environment."""
    return Wiring(Settings.of(os.environ))


@cache
def _sender(service: str, region: str) -> Any:  # noqa: ANN401 boto3 has no types
    return boto3.client(service, region_name=region, config=SEND_ONCE)


@cache
def _reader(service: str, region: str) -> Any:  # noqa: ANN401 boto3 has no types
    return boto3.client(service, region_name=region, config=_RETRYING)


def _client(service: str, config: ClientConfig = _RETRYING) -> Any:  # noqa: ANN401 boto3 has no types
    return boto3.client(service, config=config)
