"""A session that acts as another role, for a warehouse in another account."""

from __future__ import annotations

import boto3
import botocore.session
from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials

from anomaly_detector.config import Redshift


def acting(session: boto3.Session, redshift: Redshift, name: str) -> boto3.Session:
    """The session itself, or one of `redshift.role_arn`, whose credentials are renewed before they
    expire.

    Parameters
    ----------
    name : of the role session. The Data API shows a statement only to the session that sent it, so
        it must be the same for every instance of a function.
    """
    if redshift.role_arn is None:
        return session
    external = {"ExternalId": redshift.external_id} if redshift.external_id else {}
    fetcher = AssumeRoleCredentialFetcher(
        client_creator=session.client,
        source_credentials=session.get_credentials(),
        role_arn=redshift.role_arn,
        extra_args={"RoleSessionName": name, **external},
    )
    assumed = botocore.session.Session()
    # botocore assumes roles of profiles only by itself.
    assumed._credentials = DeferredRefreshableCredentials(  # noqa: SLF001
        fetcher.fetch_credentials, "assume-role"
    )
    return boto3.Session(botocore_session=assumed, region_name=session.region_name)
