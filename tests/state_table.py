"""The state table as Terraform creates it, for the AWS emulators."""

from __future__ import annotations

from typing import Any


def create(client: Any, name: str) -> None:
    """Create the table with a DynamoDB client."""
    keys = {"pk": "HASH", "sk": "RANGE"}
    client.create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys.items()],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in keys],
    )
