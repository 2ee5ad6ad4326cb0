"""Roles with which services act for themselves, and the policies of what they act on.

ministack checks who calls its API, but its Step Functions, Scheduler and EventBridge act as root,
and nobody asks whether a service may assume the role it was given. AWS asks all of it. Without
this file the policies of state machines and schedules would be claimed, not tested.
"""

# ruff: noqa: SLF001, ANN401 - patches ministack's inner functions, whose arguments have no types

from __future__ import annotations

import contextvars
import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ministack.core import responses
from ministack.core.arn import parse_arn
from ministack.services import eventbridge, lambda_svc, scheduler, sns, sqs, stepfunctions

from local.cloud import identity
from local.cloud.faults import FaultPlan

logger = logging.getLogger(__name__)
_MANAGED_RULE = "rule/StepFunctionsGetEventsForStepFunctionsExecutionRule"
_IAM_NAMES = {"sfn": "states", "eventbridge": "events", "cloudwatchlogs": "logs"}


class RoleRefusedError(Exception):
    """A service may not assume a role, or the role may not do what the service wants."""


@dataclass(frozen=True)
class Acting:
    """A state machine at work: its role and itself."""

    role: str
    state_machine: str
    account: str
    region: str


_acting: contextvars.ContextVar[Acting | None] = contextvars.ContextVar("acting", default=None)


def install(plan: FaultPlan) -> None:
    """Patch everything; call once, before serving."""
    roles = _Roles(plan)
    check_function_roles(roles)
    check_state_machine_roles(roles)
    check_schedule_roles(roles)
    check_rule_targets(roles)


class _Roles:
    def __init__(self, plan: FaultPlan) -> None:
        self._plan = plan

    def may_be_assumed(self, role_arn: str, service: str, source_arn: str) -> bool:
        """Whether a service principal may assume a role on behalf of one of its resources."""
        record = identity.find_role(role_arn)
        if record is None:
            return False
        account = role_arn.split(":")[4]
        name = identity.role_name(role_arn)
        created = identity.role_created(name, account) or 0.0
        if self._plan.refuses_role(name, created=created, service=service.partition(".")[0]):
            return False
        context = {"aws:SourceArn": source_arn, "aws:SourceAccount": account}
        trust = record["AssumeRolePolicyDocument"]
        return identity.service_may_assume(trust, [service], context)

    def require(
        self, role_arn: str, service: str, source_arn: str, needs: list[tuple[str, list[str]]]
    ) -> None:
        """Raise unless a service may act with a role and the role may do all of it."""
        if not self.may_be_assumed(role_arn, service, source_arn):
            raise RoleRefusedError(f"{service} is not authorized to assume the role {role_arn}")
        who = identity.role_session(role_arn, service.partition(".")[0], 60)
        region = responses.get_region()
        for action, resources in needs:
            if not any(
                identity.role_is_allowed(role_arn, who, action, resource, region)
                for resource in resources
            ):
                account, name = role_arn.split(":")[4], identity.role_name(role_arn)
                raise RoleRefusedError(
                    f"User: arn:aws:sts::{account}:assumed-role/{name}/{service.partition('.')[0]} "
                    f"is not authorized to perform: {action} on resource: {resources[0]} "
                    f"because no identity-based policy allows the {action} action"
                )


def check_function_roles(roles: _Roles) -> None:
    """Refuse a function whose role Lambda cannot assume, as AWS does when it is created."""
    create = lambda_svc._create_function

    def create_function(data: dict[str, Any]) -> Any:
        source = (
            f"arn:aws:lambda:{responses.get_region()}:{responses.get_account_id()}"
            f":function:{data.get('FunctionName', '')}"
        )
        role = str(data.get("Role", ""))
        if not roles.may_be_assumed(role, "lambda.amazonaws.com", source):
            return responses.error_response_json(
                "InvalidParameterValueException",
                "The role defined for the function cannot be assumed by Lambda.",
                400,
            )
        return create(data)

    lambda_svc._create_function = create_function


def check_state_machine_roles(roles: _Roles) -> None:
    """Let each task of a state machine do only what its role may."""
    create = stepfunctions._create_state_machine
    execute = stepfunctions._execute_task
    invoke = stepfunctions._invoke_resource
    callback = stepfunctions._invoke_with_callback

    def create_state_machine(data: dict[str, Any]) -> Any:
        source = (
            f"arn:aws:states:{responses.get_region()}:{responses.get_account_id()}"
            f":stateMachine:{data.get('name', '')}"
        )
        if not roles.may_be_assumed(str(data.get("roleArn", "")), "states.amazonaws.com", source):
            return responses.error_response_json(
                "AccessDeniedException",
                "Neither the global service principal states.amazonaws.com, nor the regional one "
                "is authorized to assume the provided role.",
                400,
            )
        return create(data)

    def execute_task(state: Any, given: Any, execution: Any, context: Any) -> Any:
        machine = stepfunctions._state_machines.get((execution or {}).get("stateMachineArn", ""))
        if machine is None:
            return execute(state, given, execution, context)
        token = _acting.set(
            Acting(
                str(machine["roleArn"]),
                str(machine["stateMachineArn"]),
                responses.get_account_id(),
                responses.get_region(),
            )
        )
        try:
            return execute(state, given, execution, context)
        finally:
            _acting.reset(token)

    def check(resource: str, given: Any) -> None:
        acting = _acting.get()
        if acting is None:
            return
        needs = needs_of_task(
            resource, given if isinstance(given, dict) else {}, acting.account, acting.region
        )
        try:
            roles.require(acting.role, "states.amazonaws.com", acting.state_machine, needs)
        except RoleRefusedError as error:
            raise stepfunctions._ExecutionError(_error_name(resource), str(error)) from error

    def invoke_resource(resource: str, given: Any) -> Any:
        check(resource, given)
        return invoke(resource, given)

    def invoke_with_callback(resource: str, given: Any, *rest: Any) -> Any:
        check(resource, given)
        return callback(resource, given, *rest)

    stepfunctions._create_state_machine = create_state_machine
    stepfunctions._execute_task = execute_task
    stepfunctions._invoke_resource = invoke_resource
    stepfunctions._invoke_with_callback = invoke_with_callback


def needs_of_task(
    resource: str, given: Mapping[str, Any], account: str, region: str
) -> list[tuple[str, list[str]]]:
    """Return the actions that a task takes, each with resources of which one must be allowed."""
    where = f"{region}:{account}"
    if resource.startswith("arn:aws:lambda:"):
        return [("lambda:InvokeFunction", [resource])]
    service, _, action = resource.partition(":states:::")[2].partition(":")
    action = action.partition(".")[0]
    if service == "lambda":
        return [("lambda:InvokeFunction", [_function_arn(str(given.get("FunctionName")), where)])]
    if service == "states":
        machine = str(given.get("StateMachineArn", ""))
        needs = [("states:StartExecution", [machine])]
        if ".sync" in resource:
            run = f"{machine.replace(':stateMachine:', ':execution:')}:any"
            rule = f"arn:aws:events:{where}:{_MANAGED_RULE}"
            needs += [("states:DescribeExecution", [run]), ("states:StopExecution", [run])]
            needs += [
                (f"events:{each}", [rule]) for each in ("PutTargets", "PutRule", "DescribeRule")
            ]
        return needs
    if service == "aws-sdk":
        service, _, action = resource.partition(":aws-sdk:")[2].partition(":")
        action = action.partition(".")[0]
    if not service or not action:
        return []
    name = f"{_IAM_NAMES.get(service, service)}:{action[0].upper()}{action[1:]}"
    return [(name, [*_arns_in(service, given, where), "*"])]


def _function_arn(reference: str, where: str) -> str:
    if reference.startswith("arn:"):
        return reference
    return f"arn:aws:lambda:{where}:function:{reference}"


def _arns_in(service: str, given: Any, where: str) -> Iterator[str]:
    """Yield the resources that a call's arguments name; which of them counts is not known here."""
    if isinstance(given, str) and given.startswith("arn:"):
        yield given
    if isinstance(given, list):
        for each in given:
            yield from _arns_in(service, each, where)
    if isinstance(given, dict):
        if service == "dynamodb" and "TableName" in given:
            yield f"arn:aws:dynamodb:{where}:table/{given['TableName']}"
        if service == "sqs" and "QueueUrl" in given:
            yield f"arn:aws:sqs:{where}:{str(given['QueueUrl']).rpartition('/')[2]}"
        if service == "s3" and "Bucket" in given:
            yield f"arn:aws:s3:::{given['Bucket']}/{given.get('Key', '')}".rstrip("/")
        if service == "lambda" and "FunctionName" in given:
            yield _function_arn(str(given["FunctionName"]), where)
        if service == "events":
            yield f"arn:aws:events:{where}:event-bus/default"
        for each in given.values():
            yield from _arns_in(service, each, where)


def _error_name(resource: str) -> str:
    if ":lambda:" in resource:
        return "Lambda.AWSLambdaException"
    if ":states:::states:" in resource:
        return "StepFunctions.AccessDeniedException"
    if ":sns:" in resource:
        return "SNS.AuthorizationErrorException"
    service = resource.partition(":states:::")[2].removeprefix("aws-sdk:").partition(":")[0]
    return f"{service[:1].upper()}{service[1:]}.AccessDeniedException"


def check_schedule_roles(roles: _Roles) -> None:
    """Refuse a schedule whose role Scheduler cannot assume, as AWS does when it is created."""
    create = scheduler._create_schedule

    def create_schedule(name: str, body: dict[str, Any]) -> Any:
        role = str((body.get("Target") or {}).get("RoleArn", ""))
        source = schedule_group_arn(str(body.get("GroupName") or "default"))
        if not roles.may_be_assumed(role, "scheduler.amazonaws.com", source):
            return scheduler._error(
                400,
                "ValidationException",
                "The execution role you provide must allow AWS EventBridge Scheduler "
                "to assume the role.",
            )
        return create(name, body)

    scheduler._create_schedule = create_schedule


def schedule_group_arn(group: str) -> str:
    """Return what Scheduler names as the source when it assumes a role: the schedule's group."""
    where = f"{responses.get_region()}:{responses.get_account_id()}"
    return f"arn:aws:scheduler:{where}:schedule-group/{group}"


def check_rule_targets(roles: _Roles) -> None:
    """Hand an event on only if the target's role, or the target's own policy, allows it."""
    invoke = eventbridge._invoke_target

    def invoke_target(
        target: dict[str, Any], event: dict[str, Any], rule: Any, *rest: Any, **named: Any
    ) -> Any:
        try:
            if event.get("Source") == "aws.scheduler":
                group = str(rule.get("GroupName") or "default")
                needs = _needs_of_target(target["Arn"])
                roles.require(
                    str(target.get("RoleArn", "")),
                    "scheduler.amazonaws.com",
                    schedule_group_arn(group),
                    needs,
                )
            else:
                _check_rule_target(roles, target, str((rule or {}).get("Arn", "")))
        except RoleRefusedError as error:
            logger.warning("an event did not reach %s: %s", target.get("Arn"), error)
            _to_dead_letters(roles, target, event, rule, str(error))
            return None
        return invoke(target, event, rule, *rest, **named)

    eventbridge._invoke_target = invoke_target


def _needs_of_target(arn: str) -> list[tuple[str, list[str]]]:
    actions = {
        "states": "states:StartExecution",
        "lambda": "lambda:InvokeFunction",
        "sqs": "sqs:SendMessage",
        "sns": "sns:Publish",
    }
    service = arn.split(":")[2]
    return [(actions[service], [arn])] if service in actions else []


def _check_rule_target(roles: _Roles, target: Mapping[str, Any], rule_arn: str) -> None:
    arn = str(target.get("Arn", ""))
    service = arn.split(":")[2] if arn.count(":") > 2 else ""
    account = responses.get_account_id()
    principal = "events.amazonaws.com"
    allowed = True
    if service == "states":
        role = str(target.get("RoleArn", ""))
        roles.require(role, principal, rule_arn, _needs_of_target(arn))
    elif service == "lambda":
        found = lambda_svc.function_policy_for_arn(arn)
        context = {"aws:SourceArn": rule_arn, "aws:SourceAccount": account}
        allowed = found is not None and identity.service_may_assume(
            found[0], [principal], context, action="lambda:InvokeFunction"
        )
    elif service == "sqs":
        allowed = bool(sqs.queue_policy_allows(arn, principal, rule_arn, account))
    elif service == "sns":
        allowed = bool(sns.topic_policy_allows(arn, principal, rule_arn, account))
    if not allowed:
        raise RoleRefusedError(f"the policy of {arn} does not allow {principal} from {rule_arn}")


def _to_dead_letters(
    roles: _Roles, target: Mapping[str, Any], event: Mapping[str, Any], rule: Any, reason: str
) -> None:
    """Send what could not be delivered to the dead-letter queue, if there is one that allows it."""
    queue = str((target.get("DeadLetterConfig") or {}).get("Arn", ""))
    if not queue:
        return
    try:
        if event.get("Source") == "aws.scheduler":
            group = schedule_group_arn(str(rule.get("GroupName") or "default"))
            role = str(target.get("RoleArn", ""))
            roles.require(role, "scheduler.amazonaws.com", group, [("sqs:SendMessage", [queue])])
        else:
            _check_rule_target(roles, {"Arn": queue}, str((rule or {}).get("Arn", "")))
    except RoleRefusedError as error:
        logger.warning("nor could it be put into the dead-letter queue: %s", error)
        return
    body = target.get("Input") or json.dumps(dict(event), default=str)
    eventbridge._dispatch_to_sqs(parse_arn(queue), body, {})
    logger.info("put into %s: %s", queue, reason)
