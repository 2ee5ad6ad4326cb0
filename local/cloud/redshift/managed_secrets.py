"""The administrator's secret, which Redshift makes and deletes where it manages the password."""

# ruff: noqa: SLF001 - ministack has no public names for these

from __future__ import annotations

import json

from ministack.services import secretsmanager

from local.cloud.identity import account_scope


def create(warehouse: str, user: str, password: str, account: str, region: str) -> str:
    """Make the secret of a cluster or namespace; returns its ARN."""
    value = {"username": user, "password": password}
    with account_scope(account, region):
        _, _, body = secretsmanager._create_secret(
            {"Name": f"redshift!{warehouse}-{user}", "SecretString": json.dumps(value)}
        )
    return str(json.loads(body)["ARN"])


def delete(arn: str, account: str, region: str) -> None:
    """Delete it at once, as Redshift does."""
    with account_scope(account, region):
        secretsmanager._delete_secret({"SecretId": arn, "ForceDeleteWithoutRecovery": True})
