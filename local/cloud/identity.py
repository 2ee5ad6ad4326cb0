"""Who calls and what they may do, judged by ministack's IAM.

The only file, with ``ministack_gaps``, that uses ministack's inner names; its version is pinned.
"""

# ruff: noqa: SLF001 - ministack has no public names for what AWS keeps to itself

from __future__ import annotations

import copy
import json
import secrets
import time
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, quote

from ministack.core import iam_evaluator, responses
from ministack.core.router import extract_access_key_id, extract_region
from ministack.core.sigv4 import decode_header_value
from ministack.services import iam, sts

from local.cloud.errors import AwsError


@dataclass(frozen=True)
class Caller:
    """A signed caller, as far as it can be told before its signature is checked."""

    access_key: str
    account: str
    region: str
    user_id: str
    arn: str


@dataclass(frozen=True)
class Credentials:
    """Temporary credentials of a role."""

    access_key: str
    secret_key: str
    token: str


def headers_of(scope: Mapping[str, Any]) -> dict[str, str]:
    """Return an ASGI scope's headers, names in lower case."""
    return {
        name.decode("latin-1").lower(): decode_header_value(value)
        for name, value in scope["headers"]
    }


def signed_service(headers: Mapping[str, str]) -> str:
    """Return the service in the SigV4 credential scope, or an empty text."""
    _, found, scope = headers.get("authorization", "").partition("Credential=")
    parts = scope.split(",")[0].split("/")
    return parts[3] if found and len(parts) >= 5 else ""


def signed_by(headers: Mapping[str, str]) -> str:
    """Return the access key in the SigV4 credential scope, or an empty text."""
    _, _, scope = headers.get("authorization", "").partition("Credential=")
    return scope.split("/")[0]


def identify(scope: Mapping[str, Any], body: bytes) -> Caller:
    """Pin a request for ministack's signature check, as its own app does, and name the caller."""
    headers = headers_of(scope)
    query = parse_qs(scope.get("query_string", b"").decode(), keep_blank_values=True)
    client = (scope.get("client") or ("127.0.0.1",))[0]
    responses.set_request_client_ip(client)
    iam_evaluator.pin_request_origin(client, False)
    key = extract_access_key_id(headers, query)
    if key:
        responses.set_request_account_id(iam_evaluator.find_iam_access_key_account(key) or key)
    region = extract_region(headers, query)
    responses.set_request_region(region)
    raw_path = scope.get("raw_path") or quote(scope["path"]).encode()
    iam_evaluator.pin_signed_request(
        scope["method"], raw_path.decode("latin-1"), query, scope["headers"]
    )
    iam_evaluator.pin_signed_body(body)
    known = iam_evaluator.resolve_caller_identity(key) or {}
    return Caller(
        access_key=key,
        account=responses.get_account_id(),
        region=region,
        user_id=str(known.get("userId", "")),
        arn=str(known.get("userArn", "")),
    )


def authorize(
    caller: Caller, action: str, resource: str = "*", context: Mapping[str, str] | None = None
) -> None:
    """Raise :class:`AwsError` unless the caller is who it says and may do this."""
    refused = iam_evaluator.enforce(
        caller.access_key,
        action,
        action.partition(":")[0],
        caller.region,
        resource_arn=resource,
        service_context=dict(context or {}),
    )
    if refused is None:
        return
    if isinstance(refused, iam_evaluator.AuthError):
        raise AwsError(refused.code, refused.message, 403)
    reason = (
        "with an explicit deny in an identity-based policy"
        if refused.decision == "Deny"
        else f"because no identity-based policy allows the {action} action"
    )
    raise AwsError(
        "AccessDeniedException",
        f"User: {refused.principal_arn} is not authorized to perform: {action} "
        f"on resource: {resource} {reason}",
    )


def account_scope(account: str, region: str) -> AbstractContextManager[None]:
    """Return the scope in which a thread of ours may ask ministack."""
    scope: AbstractContextManager[None] = responses.request_scope(account, region)
    return scope


def role_name(arn: str) -> str:
    """Return the name at the end of a role's ARN, whatever its path."""
    return arn.rsplit("/", 1)[-1]


def find_role(arn: str) -> dict[str, Any] | None:
    """Return ministack's record of a role, or None."""
    parts = arn.split(":")
    if len(parts) < 6 or not parts[5].startswith("role/"):
        return None
    role = iam._roles.get_scoped(parts[4], None, role_name(arn))
    return role if role is not None and role.get("Arn") == arn else None


def names_service(role: Mapping[str, Any], services: Iterable[str]) -> bool:
    """Whether a role's trust policy names one of these services at all, conditions not asked."""
    trust = role["AssumeRolePolicyDocument"]
    document = json.loads(trust) if isinstance(trust, str) else trust
    statements = document.get("Statement", [])
    named: set[str] = set()
    for statement in [statements] if isinstance(statements, dict) else statements:
        principal = statement.get("Principal")
        found = principal.get("Service", []) if isinstance(principal, dict) else []
        named |= {found} if isinstance(found, str) else set(found)
    return bool(named & set(services))


def role_created(name: str, account: str) -> float | None:
    """Return when a role was made, in seconds since 1970."""
    role = iam._roles.get_scoped(account, None, name)
    if role is None:
        return None
    made = role.get("CreateDate")
    if isinstance(made, int | float):
        return float(made)
    moment = datetime.fromisoformat(str(made).replace("Z", "+00:00"))
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def role_session(arn: str, session: str, seconds: float = 3600) -> Credentials:
    """Return credentials of a role, its trust policy not asked."""
    role = find_role(arn)
    if role is None:
        raise AwsError("NoSuchEntity", f"The role {arn} cannot be found.", 404)
    account = arn.split(":")[4]
    made = Credentials(
        access_key=f"ASIA{secrets.token_hex(8).upper()}",
        secret_key=secrets.token_hex(20),
        token=secrets.token_hex(32),
    )
    sts.register_session(
        made.access_key,
        {
            "Arn": f"arn:aws:sts::{account}:assumed-role/{role_name(arn)}/{session}",
            "UserId": f"{role['RoleId']}:{session}",
            "AccountId": account,
            "SecretAccessKey": made.secret_key,
            "SessionToken": made.token,
            "Expiration": time.time() + seconds,
        },
    )
    return made


def service_may_assume(
    trust: str | Mapping[str, Any],
    services: Iterable[str],
    context: Mapping[str, str],
    action: str = "sts:AssumeRole",
) -> bool:
    """Whether a trust policy, or another resource's, lets a service principal in, conditions met.

    ministack never asks a service principal for its trust (its own services act as root), so the
    statements that name the service are rewritten to name one principal that can be asked for.
    """
    document = copy.deepcopy(json.loads(trust) if isinstance(trust, str) else dict(trust))
    statements = document.get("Statement", [])
    caller = "service"
    kept = []
    for statement in [statements] if isinstance(statements, dict) else statements:
        principal = statement.get("Principal")
        named = principal.get("Service", []) if isinstance(principal, dict) else []
        named = [named] if isinstance(named, str) else named
        if set(named) & set(services):
            kept.append({**statement, "Principal": {"AWS": caller}})
    asked = iam_evaluator.EvalContext(
        principal_arn=caller,
        principal_type="Service",
        principal_account="",
        action=action,
        resource_arn="*",
        region="",
        service_context={key.lower(): value for key, value in context.items()},
    )
    return bool(iam_evaluator.evaluate_trust_policy({**document, "Statement": kept}, caller, asked))


def role_may_assume(first_arn: str, first: Credentials, second: Mapping[str, Any]) -> bool:
    """Whether a role's session may assume another role: both sides have to say so."""
    account = first_arn.split(":")[4]
    caller = f"arn:aws:sts::{account}:assumed-role/{role_name(first_arn)}/redshift"
    refused = iam_evaluator.enforce(
        first.access_key, "sts:AssumeRole", "sts", "", resource_arn=str(second["Arn"])
    )
    trusts = iam_evaluator.evaluate_trust_policy(second["AssumeRolePolicyDocument"], caller)
    return refused is None and bool(trusts)


def role_is_allowed(arn: str, who: Credentials, action: str, resource: str, region: str) -> bool:
    """Whether a role's session may do something, for checks that ministack leaves out."""
    with account_scope(arn.split(":")[4], region):
        refused = iam_evaluator.enforce(
            who.access_key, action, action.partition(":")[0], region, resource_arn=resource
        )
    return refused is None
