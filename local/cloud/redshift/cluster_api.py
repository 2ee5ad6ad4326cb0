"""The calls on provisioned clusters (``redshift``, query protocol) that the module uses."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from xml.sax.saxutils import escape

from local.cloud import identity
from local.cloud.errors import AwsError
from local.cloud.identity import Caller, authorize
from local.cloud.redshift import cluster_lives
from local.cloud.redshift.cluster_lives import listed
from local.cloud.redshift.warehouses import MAX_ROLES, SERVICE_LINKED, Warehouse, Warehouses

_PRINCIPALS = ("redshift.amazonaws.com", "redshift-serverless.amazonaws.com")
_CONCURRENT = (
    "The Cluster is being modified by a concurrent operation. Please check the Cluster's status "
    "and try again."
)
_BUSY = {
    "paused": "You can't modify the IAM roles of a paused cluster. Resume the cluster first.",
    "deleting": "The cluster is being deleted.",
}


def call(warehouses: Warehouses, caller: Caller, action: str, fields: Mapping[str, str]) -> str:
    """Answer one call with the inside of its result element."""
    if action == "DescribeClusters":
        return _describe(warehouses, caller, fields)
    if action == "ModifyClusterIamRoles":
        return _modify_roles(warehouses, caller, fields)
    if action in ("GetClusterCredentials", "GetClusterCredentialsWithIAM"):
        return _credentials(warehouses, caller, action, fields)
    if action == "CreateCluster":
        for arn in listed(fields, "IamRoles"):
            pass_role(caller, arn, "redshift.amazonaws.com")
            check_role(arn, known=False, code="InvalidParameterValue")
        return _cluster(cluster_lives.create_cluster(warehouses, caller, fields))
    if action == "DeleteCluster":
        found = _named(warehouses, caller, action, fields)
        shown = _cluster(found)
        cluster_lives.delete_cluster(warehouses, caller, found)
        return shown
    if action in cluster_lives.CALLS:
        return cluster_lives.CALLS[action](warehouses, caller, action, fields)
    if action == "DescribeTags":
        authorize(caller, "redshift:DescribeTags", fields.get("ResourceName", "*"))
        return "<TaggedResources/>"
    if action == "DescribeLoggingStatus":
        _named(warehouses, caller, action, fields)
        return "<LoggingEnabled>false</LoggingEnabled>"
    authorize(caller, f"redshift:{action}")
    raise AwsError("InvalidAction", f"{action} is not in the local stand-in for Redshift")


def _describe(warehouses: Warehouses, caller: Caller, fields: Mapping[str, str]) -> str:
    identifier = fields.get("ClusterIdentifier", "")
    resource = (
        f"arn:aws:redshift:{caller.region}:{caller.account}:cluster:{identifier}"
        if identifier
        else f"arn:aws:redshift:{caller.region}:{caller.account}:cluster:*"
    )
    authorize(caller, "redshift:DescribeClusters", resource)
    if identifier:
        found = [_find(warehouses, caller, identifier)]
    else:
        found = [each for each in warehouses.all("cluster") if each.is_of(caller)]
    return f"<Clusters>{''.join(_cluster(each) for each in found)}</Clusters>"


def _named(
    warehouses: Warehouses, caller: Caller, action: str, fields: Mapping[str, str]
) -> Warehouse:
    """Return the cluster that a call names, the caller's right to the call checked first."""
    identifier = fields.get("ClusterIdentifier", "")
    resource = f"arn:aws:redshift:{caller.region}:{caller.account}:cluster:{identifier}"
    authorize(caller, f"redshift:{action}", resource)
    return _find(warehouses, caller, identifier)


def _modify_roles(warehouses: Warehouses, caller: Caller, fields: Mapping[str, str]) -> str:
    identifier = fields.get("ClusterIdentifier", "")
    resource = f"arn:aws:redshift:{caller.region}:{caller.account}:cluster:{identifier}"
    authorize(caller, "redshift:ModifyClusterIamRoles", resource)
    added, removed = listed(fields, "AddIamRoles"), listed(fields, "RemoveIamRoles")
    default = fields.get("DefaultIamRoleArn", "")
    for arn in {*added, *([default] if default else [])}:
        pass_role(caller, arn, "redshift.amazonaws.com")
    cluster = _find(warehouses, caller, identifier)
    if cluster.changes():
        raise AwsError("InvalidClusterState", _BUSY.get(cluster.status_now(), _CONCURRENT))
    states = cluster.role_states()
    for arn in added:
        check_role(arn, known=arn in states, code="InvalidParameterValue")
    if len({arn for arn, state in states.items() if state != "removing"} | set(added)) > MAX_ROLES:
        raise AwsError(
            "InvalidParameterValue", f"A cluster can have at most {MAX_ROLES} IAM roles."
        )
    cluster.detach(*removed)
    cluster.attach(*added)
    if default:
        cluster.change(default_role=default)
    return f"<Cluster>{_cluster_body(cluster)}</Cluster>"


def check_role(arn: str, *, known: bool, code: str) -> None:
    """Raise unless Redshift takes a role; one that is attached already is not looked at again."""
    if SERVICE_LINKED in arn:
        raise AwsError(
            code, f"The IAM Role ARN {arn} can't be used since it's a AWS service-linked IAM role."
        )
    role = None if known else identity.find_role(arn)
    if known or (role is not None and identity.names_service(role, _PRINCIPALS)):
        return
    raise AwsError(
        code,
        f"The IAM role {identity.role_name(arn)} is not valid. The IAM role must delegate access "
        "to an Amazon Redshift account.",
    )


def pass_role(caller: Caller, arn: str, service: str) -> None:
    """Raise unless the caller may pass a role to a service."""
    authorize(caller, "iam:PassRole", arn, {"iam:PassedToService": service})


def _credentials(
    warehouses: Warehouses, caller: Caller, action: str, fields: Mapping[str, str]
) -> str:
    identifier = fields.get("ClusterIdentifier", "")
    start = f"arn:aws:redshift:{caller.region}:{caller.account}"
    database = fields.get("DbName", "")
    user = fields.get("DbUser", "")
    if action == "GetClusterCredentials":
        authorize(caller, "redshift:GetClusterCredentials", f"{start}:dbuser:{identifier}/{user}")
    authorize(caller, f"redshift:{action}", f"{start}:dbname:{identifier}/{database or '*'}")
    _find(warehouses, caller, identifier)
    expires = datetime.fromtimestamp(time.time() + 900, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return (
        f"<DbUser>IAM:{escape(user or caller.arn.rsplit('/', 1)[-1])}</DbUser>"
        f"<DbPassword>{secrets.token_hex(16)}</DbPassword><Expiration>{expires}</Expiration>"
    )


def _find(warehouses: Warehouses, caller: Caller, identifier: str) -> Warehouse:
    found = warehouses.find("cluster", identifier, caller)
    if found is None:
        raise AwsError("ClusterNotFound", f"Cluster {identifier} not found.", 404)
    return found


def _cluster(cluster: Warehouse) -> str:
    return f"<Cluster>{_cluster_body(cluster)}</Cluster>"


def _cluster_body(cluster: Warehouse) -> str:
    status = cluster.status_now()
    availability = {
        "available": "Available",
        "maintenance": "Maintenance",
        "modifying": "Modifying",
    }
    created = datetime.fromtimestamp(cluster.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    roles = "".join(
        f"<ClusterIamRole><IamRoleArn>{escape(arn)}</IamRoleArn>"
        f"<ApplyStatus>{state}</ApplyStatus></ClusterIamRole>"
        for arn, state in cluster.role_states().items()
    )
    given = cluster.given
    plain = {
        "ClusterIdentifier": cluster.identifier,
        "NodeType": given.get("NodeType", "ra3.large"),
        "ClusterStatus": "available" if status == "maintenance" else status,
        "ClusterAvailabilityStatus": availability.get(status, "Unavailable"),
        "MasterUsername": cluster.user,
        "DBName": cluster.default_database,
        "ClusterCreateTime": created,
        "AutomatedSnapshotRetentionPeriod": "1",
        "ManualSnapshotRetentionPeriod": "-1",
        "PreferredMaintenanceWindow": "sun:03:00-sun:03:30",
        "ClusterVersion": "1.0",
        "AllowVersionUpgrade": "true",
        "NumberOfNodes": given.get("NumberOfNodes", "2"),
        "PubliclyAccessible": given.get("PubliclyAccessible", "false"),
        "Encrypted": given.get("Encrypted", "false"),
        "EnhancedVpcRouting": given.get("EnhancedVpcRouting", "false"),
        "MaintenanceTrackName": "current",
        "AvailabilityZone": f"{cluster.region}a",
        "DefaultIamRoleArn": cluster.default_role,
        "ClusterNamespaceArn": cluster.namespace_arn,
        "MultiAZ": "Disabled",
        "AvailabilityZoneRelocationStatus": "disabled",
        "ClusterSubnetGroupName": given.get("ClusterSubnetGroupName", ""),
        "MasterPasswordSecretArn": given.get("MasterPasswordSecretArn", ""),
    }
    groups = "".join(
        f"<VpcSecurityGroup><VpcSecurityGroupId>{escape(each)}</VpcSecurityGroupId>"
        "<Status>active</Status></VpcSecurityGroup>"
        for each in listed(given, "VpcSecurityGroupIds")
    )
    parameters = given.get("ClusterParameterGroupName", "default.redshift-1.0")
    texts = "".join(f"<{name}>{escape(value)}</{name}>" for name, value in plain.items() if value)
    # The stand-in speaks no wire protocol: the endpoint is what a client prints, no more.
    return (
        f"{texts}<Endpoint><Address>{escape(cluster.identifier)}.local</Address>"
        f"<Port>5439</Port></Endpoint><IamRoles>{roles}</IamRoles>"
        f"<Tags>{cluster_lives.tags_of(given)}</Tags>"
        f"<ClusterSecurityGroups/><VpcSecurityGroups>{groups}</VpcSecurityGroups><ClusterNodes/>"
        "<ClusterParameterGroups><ClusterParameterGroup>"
        f"<ParameterGroupName>{escape(parameters)}</ParameterGroupName>"
        "<ParameterApplyStatus>in-sync</ParameterApplyStatus>"
        "</ClusterParameterGroup></ClusterParameterGroups>"
    )
