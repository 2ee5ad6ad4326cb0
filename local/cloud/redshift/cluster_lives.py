"""Clusters, subnet groups and parameter groups that are made and deleted by the API, as Terraform
does.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from xml.sax.saxutils import escape

from local.cloud.errors import AwsError
from local.cloud.identity import Caller, authorize
from local.cloud.redshift import managed_secrets
from local.cloud.redshift.warehouses import Group, Warehouse, Warehouses

Fields = Mapping[str, str]
_SUBNETS, _PARAMETERS = "subnetgroup", "parametergroup"
_NOT_FOUND = {
    _SUBNETS: "ClusterSubnetGroupNotFoundFault",
    _PARAMETERS: "ClusterParameterGroupNotFound",
}


def listed(fields: Fields, name: str) -> list[str]:
    """Return a list of the query protocol, whatever its members are called."""
    found = {
        int(match[1]): value
        for key, value in fields.items()
        if (match := re.fullmatch(rf"{name}\.\w+\.(\d+)", key))
    }
    return [found[place] for place in sorted(found)]


def tags_of(fields: Fields) -> str:
    """The tags that something was made with."""
    keys = [key for key in fields if re.fullmatch(r"Tags\.Tag\.\d+\.Key", key)]
    pairs = ((fields[key], fields.get(f"{key[:-3]}Value", "")) for key in sorted(keys))
    return "".join(
        f"<Tag><Key>{escape(key)}</Key><Value>{escape(value)}</Value></Tag>" for key, value in pairs
    )


def create_cluster(warehouses: Warehouses, caller: Caller, fields: Fields) -> Warehouse:
    """Make a cluster, and the administrator's secret where Redshift manages the password."""
    name, user = fields["ClusterIdentifier"], fields["MasterUsername"]
    arn = f"arn:aws:redshift:{caller.region}:{caller.account}:cluster:{name}"
    authorize(caller, "redshift:CreateCluster", arn)
    if warehouses.find("cluster", name, caller):
        raise AwsError("ClusterAlreadyExists", f"Cluster {name} already exists.")
    nodes = int(fields.get("NumberOfNodes", "1"))
    if (fields.get("ClusterType", "multi-node") == "single-node") != (nodes == 1):
        raise AwsError(
            "InvalidParameterCombination",
            "Number of nodes must be 1 for a single-node cluster, and at least 2 for a multi-node.",
        )
    for kind, key in (
        (_SUBNETS, "ClusterSubnetGroupName"),
        (_PARAMETERS, "ClusterParameterGroupName"),
    ):
        if key in fields and not fields[key].startswith("default."):
            _known(warehouses, caller, kind, fields[key])
    managed = fields.get("ManageMasterPassword") == "true"
    if managed == ("MasterUserPassword" in fields):
        raise AwsError(
            "InvalidParameterCombination",
            "Give exactly one of MasterUserPassword and ManageMasterPassword.",
        )
    password = fields.get("MasterUserPassword") or secrets.token_urlsafe(24)
    given = {**fields, "NumberOfNodes": str(nodes)}
    if managed:
        given["MasterPasswordSecretArn"] = managed_secrets.create(
            name, user, password, caller.account, caller.region
        )
    return warehouses.create(
        "cluster",
        name,
        account=caller.account,
        database=fields.get("DBName", "dev"),
        roles=listed(fields, "IamRoles"),
        user=user,
        password=password,
        default_role=fields.get("DefaultIamRoleArn", ""),
        given=given,
    )


def delete_cluster(warehouses: Warehouses, caller: Caller, found: Warehouse) -> None:
    """Delete a cluster with everything in it, and its secret."""
    if secret := found.given.get("MasterPasswordSecretArn"):
        managed_secrets.delete(secret, caller.account, caller.region)
    warehouses.delete(found.identifier)


def _known(warehouses: Warehouses, caller: Caller, kind: str, name: str) -> Group:
    found = warehouses.groups.get((caller.account, caller.region, kind, name))
    if found is None:
        raise AwsError(_NOT_FOUND[kind], f"{kind} {name} not found.", 404)
    return found


def _allowed(caller: Caller, action: str, kind: str, name: str) -> None:
    arn = f"arn:aws:redshift:{caller.region}:{caller.account}:{kind}:{name}"
    authorize(caller, f"redshift:{action}", arn)


def _subnet_group(group: Group) -> str:
    subnets = "".join(
        f"<Subnet><SubnetIdentifier>{escape(each)}</SubnetIdentifier>"
        "<SubnetStatus>Active</SubnetStatus></Subnet>"
        for each in listed(group.given, "SubnetIds")
    )
    return (
        f"<ClusterSubnetGroup><ClusterSubnetGroupName>{escape(group.name)}</ClusterSubnetGroupName>"
        f"<Description>{escape(group.given.get('Description', ''))}</Description>"
        f"<SubnetGroupStatus>Complete</SubnetGroupStatus><Subnets>{subnets}</Subnets>"
        f"<Tags>{tags_of(group.given)}</Tags></ClusterSubnetGroup>"
    )


def _parameter_group(group: Group) -> str:
    return (
        "<ClusterParameterGroup>"
        f"<ParameterGroupName>{escape(group.name)}</ParameterGroupName>"
        f"<ParameterGroupFamily>{escape(group.given['ParameterGroupFamily'])}</ParameterGroupFamily>"
        f"<Description>{escape(group.given.get('Description', ''))}</Description>"
        f"<Tags>{tags_of(group.given)}</Tags></ClusterParameterGroup>"
    )


def _make(kind: str, key: str, shown: Callable[[Group], str]) -> Callable[..., str]:
    def create(warehouses: Warehouses, caller: Caller, action: str, fields: Fields) -> str:
        name = fields[key].lower()
        _allowed(caller, action, kind, name)
        place = (caller.account, caller.region, kind, name)
        if place in warehouses.groups:
            raise AwsError(f"{_NOT_FOUND[kind].partition('NotFound')[0]}AlreadyExists", name)
        warehouses.groups[place] = Group(name, dict(fields))
        return shown(warehouses.groups[place])

    return create


def _describe(
    kind: str, key: str, around: str, shown: Callable[[Group], str]
) -> Callable[..., str]:
    def describe(warehouses: Warehouses, caller: Caller, action: str, fields: Fields) -> str:
        _allowed(caller, action, kind, fields[key])
        return f"<{around}>{shown(_known(warehouses, caller, kind, fields[key]))}</{around}>"

    return describe


def _remove(kind: str, key: str, of_cluster: str) -> Callable[..., str]:
    def delete(warehouses: Warehouses, caller: Caller, action: str, fields: Fields) -> str:
        name = fields[key]
        _allowed(caller, action, kind, name)
        _known(warehouses, caller, kind, name)
        if any(
            each.is_of(caller) and each.given.get(of_cluster) == name
            for each in warehouses.all("cluster")
        ):
            code = f"Invalid{_NOT_FOUND[kind].partition('NotFound')[0]}State"
            raise AwsError(f"{code}Fault" if kind == _SUBNETS else code, f"{name} is in use.")
        del warehouses.groups[caller.account, caller.region, kind, name]
        return ""

    return delete


def _set_parameters(warehouses: Warehouses, caller: Caller, action: str, fields: Fields) -> str:
    name = fields["ParameterGroupName"]
    _allowed(caller, action, _PARAMETERS, name)
    group = _known(warehouses, caller, _PARAMETERS, name)
    for key, value in fields.items():
        if match := re.fullmatch(r"Parameters\.Parameter\.(\d+)\.ParameterName", key):
            chosen = f"Parameters.Parameter.{match[1]}.ParameterValue"
            group.parameters[value] = fields.get(chosen, "")
    return f"<ParameterGroupName>{escape(name)}</ParameterGroupName>"


def _parameters(warehouses: Warehouses, caller: Caller, action: str, fields: Fields) -> str:
    name = fields["ParameterGroupName"]
    _allowed(caller, action, _PARAMETERS, name)
    group = _known(warehouses, caller, _PARAMETERS, name)
    found = "".join(
        f"<Parameter><ParameterName>{escape(key)}</ParameterName>"
        f"<ParameterValue>{escape(value)}</ParameterValue><Source>user</Source></Parameter>"
        for key, value in group.parameters.items()
    )
    return f"<Parameters>{found}</Parameters>"


_SUBNET_NAME, _PARAMETER_NAME = "ClusterSubnetGroupName", "ParameterGroupName"
CALLS: Mapping[str, Callable[[Warehouses, Caller, str, Fields], str]] = {
    "CreateClusterSubnetGroup": _make(_SUBNETS, _SUBNET_NAME, _subnet_group),
    "DescribeClusterSubnetGroups": _describe(
        _SUBNETS, _SUBNET_NAME, "ClusterSubnetGroups", _subnet_group
    ),
    "DeleteClusterSubnetGroup": _remove(_SUBNETS, _SUBNET_NAME, _SUBNET_NAME),
    "CreateClusterParameterGroup": _make(_PARAMETERS, _PARAMETER_NAME, _parameter_group),
    "DescribeClusterParameterGroups": _describe(
        _PARAMETERS, _PARAMETER_NAME, "ParameterGroups", _parameter_group
    ),
    "DeleteClusterParameterGroup": _remove(
        _PARAMETERS, _PARAMETER_NAME, "ClusterParameterGroupName"
    ),
    "ModifyClusterParameterGroup": _set_parameters,
    "DescribeClusterParameters": _parameters,
}
