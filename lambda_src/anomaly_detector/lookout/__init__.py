"""Every shape of Amazon Lookout for Metrics, which ended in 2025: its anomaly group, the payload of
its alerts, its exports, and the operations of its client. Pure, without numpy, but for the client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # the functions and the command line need not import what serves scripts
    from anomaly_detector.lookout.api import Client


def client(name: str, session: Any = None) -> Client:  # noqa: ANN401 boto3 has no types
    """The operations of `boto3.client("lookoutmetrics")` for a deployed detector, so that a script
    written for Lookout for Metrics changes this one line.

    Parameters
    ----------
    name : of the detector, as given to the Terraform module.
    session : a `boto3.Session` with the caller's credentials and region; by default that of the
        environment, as `boto3.client` takes it.
    """
    import boto3

    from anomaly_detector.lookout.api import Client
    from anomaly_detector.operate.deployment import Deployment

    return Client(Deployment(name, boto3.Session() if session is None else session))
