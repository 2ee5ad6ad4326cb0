"""The calls on workgroups and namespaces (``redshift-serverless``) that the module uses."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from local.cloud.errors import AwsError
from local.cloud.identity import Caller, authorize
from local.cloud.redshift import serverless_lives
from local.cloud.redshift.cluster_api import check_role, pass_role
from local.cloud.redshift.warehouses import MAX_ROLES, SERVICE_LINKED, Warehouse, Warehouses

_SERVICE = "redshift-serverless"


def call(
    warehouses: Warehouses, caller: Caller, operation: str, given: Mapping[str, Any]
) -> dict[str, Any]:
    """Answer one call."""
    if operation == "GetWorkgroup":
        name = str(given.get("workgroupName", ""))
        found = warehouses.find("workgroup", name, caller)
        authorize(caller, f"{_SERVICE}:GetWorkgroup", _arn(caller, "workgroup", found))
        return {"workgroup": _workgroup(_known(found, f"Workgroup {name} not found."))}
    if operation == "ListWorkgroups":
        authorize(caller, f"{_SERVICE}:ListWorkgroups")
        return {"workgroups": [_workgroup(each) for each in _here(warehouses, caller)]}
    if operation == "ListNamespaces":
        authorize(caller, f"{_SERVICE}:ListNamespaces")
        return {"namespaces": [_namespace(each) for each in _here(warehouses, caller)]}
    if operation in serverless_lives.CALLS:
        answer = serverless_lives.CALLS[operation](warehouses, caller, given)
        if isinstance(answer, Warehouse):
            answer = _workgroup(answer)
        return {"namespace" if operation.endswith("Namespace") else "workgroup": answer}
    if operation in ("GetNamespace", "UpdateNamespace"):
        name = str(given.get("namespaceName", ""))
        found = next((each for each in _here(warehouses, caller) if each.namespace == name), None)
        made = serverless_lives.namespace_of(warehouses, caller, name)
        if found is None and made is not None and operation == "GetNamespace":
            authorize(caller, f"{_SERVICE}:{operation}", made.arn)
            return {"namespace": serverless_lives.without_workgroup(made)}
        authorize(caller, f"{_SERVICE}:{operation}", _arn(caller, "namespace", found))
        if operation == "UpdateNamespace":
            _update(caller, _known(found, f"Namespace {name} not found."), given)
        shown = _namespace(_known(found, f"Namespace {name} not found."))
        return {"namespace": shown | serverless_lives.of_secret(made)}
    if operation == "GetCredentials":
        name = str(given.get("workgroupName", ""))
        found = warehouses.find("workgroup", name, caller)
        authorize(caller, f"{_SERVICE}:GetCredentials", _arn(caller, "workgroup", found))
        _known(found, f"Workgroup {name} not found.")
        return {"dbUser": f"IAMR:{caller.arn.split('/')[-2:][0]}", "dbPassword": "local"}
    if operation == "ListTagsForResource":
        authorize(caller, f"{_SERVICE}:ListTagsForResource", str(given.get("resourceArn", "*")))
        return {"tags": []}
    authorize(caller, f"{_SERVICE}:{operation}")
    raise AwsError(
        "ValidationException", f"{operation} is not in the local stand-in for Redshift Serverless"
    )


def _here(warehouses: Warehouses, caller: Caller) -> list[Warehouse]:
    return [each for each in warehouses.all("workgroup") if each.is_of(caller)]


def _arn(caller: Caller, noun: str, found: Warehouse | None) -> str:
    """Return what a policy has to name; of what is not there nobody knows the id."""
    if found is None:
        return f"arn:aws:{_SERVICE}:{caller.region}:{caller.account}:{noun}/*"
    return found.arn if noun == "workgroup" else found.namespace_arn


def _known(found: Warehouse | None, message: str) -> Warehouse:
    if found is None:
        raise AwsError("ResourceNotFoundException", message, 404)
    return found


def _update(caller: Caller, namespace: Warehouse, given: Mapping[str, Any]) -> None:
    roles = given.get("iamRoles")
    default = given.get("defaultIamRoleArn")
    current = set(namespace.attachments)
    # The list replaces the one before, and each role in it is passed anew.
    for arn in {*(roles or []), *([default] if default else [])}:
        pass_role(caller, arn, "redshift-serverless.amazonaws.com")
    if namespace.changes():
        raise AwsError(
            "ConflictException",
            f"There is an operation running on the namespace {namespace.namespace}. "
            "Try again later.",
        )
    if roles is None:
        if default is not None:
            raise AwsError(
                "ValidationException",
                "To change the default IAM role, you must specify the entire list of IAM roles.",
            )
        return
    if not roles:
        # Likely, not seen: the provider replaces a namespace rather than empty its list.
        raise AwsError("ValidationException", "The list of IAM roles must not be empty.")
    for arn in roles:
        check_role(arn, known=arn in current, code="ValidationException")
    if len(set(roles)) > MAX_ROLES:
        raise AwsError("ValidationException", f"A namespace has at most {MAX_ROLES} roles.")
    default = namespace.default_role if default is None else default
    if default and default not in roles:
        raise AwsError(
            "ValidationException",
            "The list of customer IAM roles must contain the default IAM role.",
        )
    namespace.detach(*(arn for arn in current - set(roles) if SERVICE_LINKED not in arn))
    namespace.attach(*roles)
    namespace.change(default_role=default)


def _workgroup(each: Warehouse) -> dict[str, Any]:
    given = each.given
    return {
        "workgroupName": each.identifier,
        "workgroupId": each.uid,
        "workgroupArn": each.arn,
        "namespaceName": each.namespace,
        "status": _status(each),
        "baseCapacity": given.get("baseCapacity", 8),
        **({"maxCapacity": given["maxCapacity"]} if given.get("maxCapacity") else {}),
        "enhancedVpcRouting": given.get("enhancedVpcRouting", False),
        "publiclyAccessible": given.get("publiclyAccessible", False),
        "port": 5439,
        "endpoint": {"address": f"{each.identifier}.local", "port": 5439, "vpcEndpoints": []},
        "configParameters": given.get("configParameters", []),
        "securityGroupIds": given.get("securityGroupIds", []),
        "subnetIds": given.get("subnetIds", []),
        "trackName": given.get("trackName", "current"),
        "creationDate": _moment(each.created),
    }


def _status(each: Warehouse) -> str:
    if each.status_now() == "deleting":
        return "DELETING"
    return "MODIFYING" if each.changes() else "AVAILABLE"


def _namespace(each: Warehouse) -> dict[str, Any]:
    states = each.role_states()
    return {
        "namespaceName": each.namespace,
        "namespaceId": each.namespace_uid,
        "namespaceArn": each.namespace_arn,
        "dbName": each.default_database,
        "adminUsername": each.user,
        "status": _status(each),
        "defaultIamRoleArn": each.default_role,
        # The service answers each role as this text, not as an ARN.
        "iamRoles": [
            f"IamRole(applyStatus={state}, iamRoleArn={arn})" for arn, state in states.items()
        ],
        "logExports": [],
        "kmsKeyId": "AWS_OWNED_KMS_KEY",
        "creationDate": _moment(each.created),
    }


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
