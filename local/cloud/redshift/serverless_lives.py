"""Namespaces and workgroups that are made and deleted by the API, as Terraform does."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from local.cloud.errors import AwsError
from local.cloud.identity import Caller, authorize
from local.cloud.redshift import managed_secrets
from local.cloud.redshift.warehouses import Namespace, Warehouse, Warehouses

_SERVICE = "redshift-serverless"
_FEWEST_SUBNETS = 3


def delete_workgroup(
    warehouses: Warehouses, caller: Caller, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Delete a workgroup with everything in it; the namespace stays."""
    name = str(given["workgroupName"])
    found = warehouses.find("workgroup", name, caller)
    authorize(caller, f"{_SERVICE}:DeleteWorkgroup", found.arn if found else "*")
    if found is None:
        raise AwsError("ResourceNotFoundException", f"Workgroup {name} not found.", 404)
    answer = {"workgroupName": name, "workgroupArn": found.arn, "workgroupId": found.uid}
    warehouses.delete(name)
    return {**answer, "status": "DELETING"}


def namespace_of(warehouses: Warehouses, caller: Caller, name: str) -> Namespace | None:
    """The namespace of this name in the caller's account and region, if the API made it."""
    found = warehouses.namespaces.get(name)
    here = (caller.account, caller.region)
    return found if found is not None and (found.account, found.region) == here else None


def of_secret(namespace: Namespace | None) -> dict[str, str]:
    """The administrator's secret, where there is one."""
    secret = namespace.secret_arn if namespace else ""
    return {"adminPasswordSecretArn": secret} if secret else {}


def without_workgroup(namespace: Namespace) -> dict[str, Any]:
    """A namespace as GetNamespace has it before it has a workgroup."""
    given = namespace.given
    created = datetime.fromtimestamp(namespace.created, UTC)
    return {
        "namespaceName": namespace.name,
        "namespaceId": namespace.uid,
        "namespaceArn": namespace.arn,
        "dbName": given.get("dbName", "dev"),
        "adminUsername": namespace.user,
        "status": "AVAILABLE",
        "defaultIamRoleArn": given.get("defaultIamRoleArn", ""),
        "iamRoles": [
            f"IamRole(applyStatus=in-sync, iamRoleArn={arn})" for arn in given.get("iamRoles", [])
        ],
        "logExports": given.get("logExports", []),
        "kmsKeyId": given.get("kmsKeyId", "AWS_OWNED_KMS_KEY"),
        "creationDate": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
        **of_secret(namespace),
    }


def create_namespace(
    warehouses: Warehouses, caller: Caller, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Make a namespace, and the administrator's secret where Redshift manages the password."""
    # What does not exist yet has no ARN that a policy could name.
    authorize(caller, f"{_SERVICE}:CreateNamespace")
    name = str(given["namespaceName"])
    if name in warehouses.namespaces:
        raise AwsError("ConflictException", f"Namespace {name} already exists.")
    managed = bool(given.get("manageAdminPassword"))
    if managed and given.get("adminUserPassword"):
        raise AwsError(
            "ValidationException",
            "You can't use adminUserPassword if manageAdminPassword is true.",
        )
    password = str(given.get("adminUserPassword") or secrets.token_urlsafe(24))
    made = Namespace(name, caller.account, caller.region, dict(given), password)
    if managed:
        made.secret_arn = managed_secrets.create(
            name, made.user, password, caller.account, caller.region
        )
    warehouses.namespaces[name] = made
    return without_workgroup(made)


def delete_namespace(
    warehouses: Warehouses, caller: Caller, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Delete a namespace without a workgroup, and its secret."""
    name = str(given["namespaceName"])
    found = namespace_of(warehouses, caller, name)
    authorize(caller, f"{_SERVICE}:DeleteNamespace", found.arn if found else "*")
    if found is None:
        raise AwsError("ResourceNotFoundException", f"Namespace {name} not found.", 404)
    if any(each.namespace == name for each in warehouses.all("workgroup")):
        raise AwsError("ConflictException", f"Namespace {name} is associated with a workgroup.")
    if found.secret_arn:
        managed_secrets.delete(found.secret_arn, found.account, found.region)
    del warehouses.namespaces[name]
    return {**without_workgroup(found), "status": "DELETING"}


def create_workgroup(warehouses: Warehouses, caller: Caller, given: Mapping[str, Any]) -> Warehouse:
    """Make the workgroup of a namespace, and with it the warehouse."""
    authorize(caller, f"{_SERVICE}:CreateWorkgroup")
    name, of = str(given["workgroupName"]), str(given["namespaceName"])
    namespace = namespace_of(warehouses, caller, of)
    if namespace is None:
        raise AwsError("ResourceNotFoundException", f"Namespace {of} not found.", 404)
    if any(each.namespace == of for each in warehouses.all("workgroup")):
        raise AwsError("ConflictException", f"Namespace {of} already has a workgroup.")
    subnets = given.get("subnetIds") or []
    if subnets and len(set(subnets)) < _FEWEST_SUBNETS:
        raise AwsError(
            "ValidationException",
            "There must be at least three subnets, in three different Availability Zones.",
        )
    return warehouses.create(
        "workgroup",
        name,
        account=caller.account,
        database=str(namespace.given.get("dbName") or "dev"),
        roles=list(namespace.given.get("iamRoles") or []),
        user=namespace.user,
        password=namespace.password,
        namespace=of,
        namespace_uid=namespace.uid,
        default_role=str(namespace.given.get("defaultIamRoleArn") or ""),
        given=dict(given),
    )


CALLS: Mapping[str, Callable[..., dict[str, Any] | Warehouse]] = {
    "CreateNamespace": create_namespace,
    "DeleteNamespace": delete_namespace,
    "CreateWorkgroup": create_workgroup,
    "DeleteWorkgroup": delete_workgroup,
}
