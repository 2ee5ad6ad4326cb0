"""What ministack leaves out or does differently from AWS, mended from outside.

Each function patches one gap and says what AWS does. ``local/README.md`` lists them. The names
patched are ministack's inner ones, so its version is pinned.
"""

# ruff: noqa: SLF001, ANN401 - patches ministack's inner functions, which have no types

from __future__ import annotations

import contextvars
import dataclasses
import json
import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from xml.sax.saxutils import escape

from ministack import app as ministack_app
from ministack.core import iam_evaluator, lambda_runtime
from ministack.services import (
    cloudwatch,
    ec2,
    eventbridge,
    iam,
    lambda_svc,
    s3,
    scheduler,
    secretsmanager,
    sqs,
    stepfunctions,
    sts,
)

from local.cloud.faults import FaultPlan
from local.cloud.identity import role_created

_CLASS_MARK = "errorType="
_VARIABLE = re.compile(r"\$\{([^}]*)\}")


def install(plan: FaultPlan) -> None:
    """Patch everything; call once, after ministack was imported and before it serves."""
    count_loopback_as_tls()
    resolve_policy_variables()
    name_roles_as_principals()
    name_sessions_by_role_id()
    name_roles_in_bucket_policies()
    keep_prefix_lists_of_rules()
    refuse_roles(plan)
    lose_object_events(plan)
    fill_scheduler_variables()
    describe_alarms_in_full()
    remember_tracing()
    keep_all_fields_of_alarms()
    name_errors_by_class()
    answer_repeated_calls()


def count_loopback_as_tls() -> None:
    """Let ``aws:SecureTransport`` be true; our port speaks plain HTTP, and only to this machine.

    Without it every policy that demands TLS would refuse every caller.
    """
    pin = iam_evaluator.pin_request_origin

    def pin_secure(source_ip: str, _secure_transport: bool) -> None:  # noqa: FBT001
        pin(source_ip, True)

    # Also where no request is served, such as in a thread that asks for a role's rights.
    iam_evaluator._request_origin = contextvars.ContextVar(
        "request_origin", default=("127.0.0.1", True)
    )
    iam_evaluator.pin_request_origin = pin_secure
    ministack_app.pin_request_origin = pin_secure


def resolve_policy_variables() -> None:
    """Fill in ``${aws:userid}`` and the like; ministack compares the text as it stands.

    Without it the condition on ``redshift-data:statement-owner-iam-userid`` could never hold.
    """

    def expand(text: str, context: Any) -> str:
        def value(found: re.Match[str]) -> str:
            name, _, default = found.group(1).partition(",")
            if name in ("*", "?", "$"):
                return name
            known = iam_evaluator._resolve_condition_key(name.strip(), context)
            if known is None:
                # AWS matches nothing on a variable without a value, unless it has a default.
                return default.strip().strip("'") if default else found.group(0)
            return str(known)

        return _VARIABLE.sub(value, text)

    def expand_all(value: Any, context: Any) -> Any:
        if isinstance(value, str):
            return expand(value, context) if "${" in value else value
        if isinstance(value, list):
            return [expand_all(each, context) for each in value]
        if isinstance(value, dict):
            return {key: expand_all(each, context) for key, each in value.items()}
        return value

    first_match = iam_evaluator._first_match

    def match(context: Any, statements: list[Any], effect: str) -> Any:
        filled = [
            dataclasses.replace(
                each,
                resources=expand_all(each.resources, context),
                not_resources=expand_all(each.not_resources, context),
                conditions=expand_all(each.conditions, context),
            )
            for each in statements
        ]
        return first_match(context, filled, effect)

    iam_evaluator._first_match = match


def name_roles_as_principals() -> None:
    """Let ``aws:PrincipalArn`` of a session be the role's ARN; ministack gives the session's."""
    resolve = iam_evaluator._resolve_condition_key

    def resolve_condition_key(key: str, context: Any) -> Any:
        if key.lower() == "aws:principalarn" and ":assumed-role/" in context.principal_arn:
            account, name = context.principal_arn.split(":")[4], context.principal_arn.split("/")[1]
            role = iam._roles.get_scoped(account, None, name)
            return role["Arn"] if role is not None else context.principal_arn
        return resolve(key, context)

    iam_evaluator._resolve_condition_key = resolve_condition_key


def name_sessions_by_role_id() -> None:
    """Give a function's session the user id ``AROA…:name``; ministack puts the role's name."""
    register = sts.register_session

    def register_session(access_key: str, session: dict[str, Any]) -> None:
        arn = str(session.get("Arn", ""))
        if ":assumed-role/" in arn:
            _, name, session_name = arn.split(":", 5)[5].split("/", 2)
            role = iam._roles.get_scoped(arn.split(":")[4], None, name)
            if role is not None:
                session["UserId"] = f"{role['RoleId']}:{session_name}"
        register(access_key, session)

    sts.register_session = register_session


def name_roles_in_bucket_policies() -> None:
    """Let a bucket's policy name a role of another account; ministack asks for the account only."""
    allows, evaluate = s3._foreign_bucket_allows, iam_evaluator.evaluate_resource_policy
    caller: contextvars.ContextVar[str] = contextvars.ContextVar("caller", default="")

    def foreign_bucket_allows(
        owner: str,
        bucket: str,
        key: str,
        method: str,
        query: dict[str, Any],
        account: str,
        headers: Any = None,
    ) -> bool:
        access_key = s3._request_access_key(method, key, headers or {}, query, b"")
        known = iam_evaluator.resolve_caller_identity(access_key) if access_key else None
        token = caller.set(str((known or {}).get("userArn", "")))
        try:
            return bool(allows(owner, bucket, key, method, query, account, headers))
        finally:
            caller.reset(token)

    def evaluate_resource_policy(document: Any, context: Any, *more: Any, **named: Any) -> Any:
        arn = caller.get()
        if ":assumed-role/" in arn:
            context = dataclasses.replace(context, principal_arn=arn, principal_type="AssumedRole")
        return evaluate(document, context, *more, **named)

    s3._foreign_bucket_allows = foreign_bucket_allows
    iam_evaluator.evaluate_resource_policy = evaluate_resource_policy


def keep_prefix_lists_of_rules() -> None:
    """Keep the prefix lists that a security group's rule names; ministack drops them."""
    parse = ec2._parse_ip_permissions

    def parse_ip_permissions(fields: Any, prefix: str) -> Any:
        rules = parse(fields, prefix)
        for place, rule in enumerate(rules, 1):
            start = f"{prefix}.{place}.PrefixListIds"
            number = 1
            while listed := ec2._p(fields, f"{start}.{number}.PrefixListId"):
                said = ec2._p(fields, f"{start}.{number}.Description")
                about = {"Description": said} if said else {}
                rule["PrefixListIds"].append({"PrefixListId": listed, **about})
                number += 1
        return rules

    describe = ec2._sg_rule_xml

    def sg_rule_xml(group: str, rule: Mapping[str, Any], **more: Any) -> str:
        text = str(describe(group, rule, **more))
        for each in rule.get("PrefixListIds") or []:
            listed = f"<prefixListId>{escape(each['PrefixListId'])}</prefixListId>"
            text = text.replace("<securityGroupRuleArn>", f"{listed}<securityGroupRuleArn>", 1)
        return text

    ec2._parse_ip_permissions = parse_ip_permissions
    ec2._sg_rule_xml = sg_rule_xml


def refuse_roles(plan: FaultPlan) -> None:
    """Let IAM refuse a role on request, in every service, as it does while a new role spreads."""
    enforce = iam_evaluator.enforce

    def enforce_or_refuse(
        access_key_id: str,
        iam_action: str,
        service: str,
        region: str,
        resource_arn: str = "*",
        service_context: dict[str, Any] | None = None,
    ) -> Any:
        if plan.all("role"):
            session = sts._sessions.get(access_key_id) or {}
            arn = str(session.get("Arn", ""))
            if ":assumed-role/" in arn:
                name, account = arn.split("/")[1], arn.split(":")[4]
                created = role_created(name, account) or 0.0
                if plan.refuses_role(name, created=created, service=service):
                    return iam_evaluator.EvalResult(
                        "ImplicitDeny", arn, "", "The role is not known yet"
                    )
        return enforce(
            access_key_id,
            iam_action,
            service,
            region,
            resource_arn=resource_arn,
            service_context=service_context,
        )

    iam_evaluator.enforce = enforce_or_refuse


def lose_object_events(plan: FaultPlan) -> None:
    """Let an object's event to EventBridge get lost on request."""
    dispatch = eventbridge._dispatch_event

    def dispatch_or_lose(event: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        if event.get("Source") == "aws.s3" and plan.all("object_event"):
            detail = eventbridge.json.loads(event.get("Detail") or "{}")
            key = f"{detail['bucket']['name']}/{detail['object']['key']}"
            if plan.strike("object_event", lambda fault: fault.matches(key)):
                return None
        return dispatch(event, *args, **kwargs)

    eventbridge._dispatch_event = dispatch_or_lose


def fill_scheduler_variables() -> None:
    """Fill in ``<aws.scheduler.scheduled-time>`` and its like, which ministack hands on unread."""
    invoke = eventbridge._invoke_target

    def invoke_target(
        target: dict[str, Any], event: dict[str, Any], rule: Any, *args: Any, **kwargs: Any
    ) -> Any:
        if event.get("Source") == "aws.scheduler" and target.get("Input"):
            # Scheduler works by the minute: the moment meant is the minute's start.
            minute = float(event.get("Time") or time.time()) // 60 * 60
            values = {
                "schedule-arn": rule.get("Arn", ""),
                "scheduled-time": datetime.fromtimestamp(minute, UTC).strftime(
                    "%Y-%m-%dT%H:%M:%SZ"
                ),
                "execution-id": str(event.get("EventId", "")),
                "attempt-number": "1",
            }
            text = str(target["Input"])
            for name, value in values.items():
                text = text.replace(f"<aws.scheduler.{name}>", value)
            target = {**target, "Input": text}
        return invoke(target, event, rule, *args, **kwargs)

    # The scheduler looks the function up at each tick, so it finds ours.
    eventbridge._invoke_target = invoke_target


def describe_alarms_in_full() -> None:
    """Answer DescribeAlarms by the query protocol with all that an alarm has; ministack leaves out.

    The AWS provider speaks that protocol, and would find every alarm changed.
    """
    describe = cloudwatch._describe_alarms

    def member(value: Any) -> str:
        if isinstance(value, dict):
            return "".join(
                f"<{name}>{member(each)}</{name}>"
                for name, each in value.items()
                if each is not None
            )
        if isinstance(value, list):
            return "".join(f"<member>{member(each)}</member>" for each in value)
        if isinstance(value, bool):
            return str(value).lower()
        return escape(str(value))

    def moments(alarm: Mapping[str, Any]) -> dict[str, Any]:
        return {
            name: datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            if name.endswith("Timestamp") and isinstance(value, int | float)
            else value
            for name, value in alarm.items()
        }

    def describe_alarms(params: Any, cbor_data: Any, is_cbor: bool, is_json: bool = False) -> Any:  # noqa: FBT001
        if is_cbor or is_json:
            return describe(params, cbor_data, is_cbor, is_json)
        names = [cloudwatch._p(params, f"AlarmNames.member.{i}") for i in range(1, 101)]
        types = [cloudwatch._p(params, f"AlarmTypes.member.{i}") for i in range(1, 3)]
        asked = {
            "AlarmNames": [each for each in names if each],
            "AlarmTypes": [each for each in types if each],
            **{
                name: cloudwatch._p(params, name) or None
                for name in ("AlarmNamePrefix", "StateValue", "MaxRecords", "NextToken")
            },
        }
        status, _, body = describe(params, asked, False, True)
        if status >= 400:
            return describe(params, cbor_data, is_cbor, is_json)
        found = {
            name: [moments(each) for each in value] if isinstance(value, list) else value
            for name, value in json.loads(body).items()
        }
        inner = f"<DescribeAlarmsResult>{member(found)}</DescribeAlarmsResult>"
        return cloudwatch._xml(200, "DescribeAlarmsResponse", inner)

    cloudwatch._describe_alarms = describe_alarms


def remember_tracing() -> None:
    """Let a state machine keep its tracing configuration, which ministack forgets."""
    create, update = stepfunctions._create_state_machine, stepfunctions._update_state_machine

    def keep(data: Mapping[str, Any], answer: Any) -> Any:
        status, _, body = answer
        arn = data.get("stateMachineArn") or json.loads(body).get("stateMachineArn")
        machine = stepfunctions._state_machines.get(arn) if status < 400 else None
        if machine is not None:
            given = data.get("tracingConfiguration") or machine.get("tracingConfiguration")
            machine["tracingConfiguration"] = given or {"enabled": False}
        return answer

    stepfunctions._create_state_machine = lambda data: keep(data, create(data))
    stepfunctions._update_state_machine = lambda data: keep(data, update(data))


# What ministack says of a process that was killed, when it was at work or was started.
_KILLED = re.compile("Worker process (died|exited immediately)|Worker returned no response")


def name_errors_by_class() -> None:
    """Let a function's failure carry its exception's class, as AWS's ``errorType`` does.

    ministack says ``Runtime.HandlerError`` of every one, so no Retry by class could match. The
    class reaches the server at the end of the trace that the worker sends. A process that was
    killed sends nothing, which AWS calls ``Runtime.ExitError``.
    """
    reported = '"trace": traceback.format_exc()'
    script = lambda_runtime._PYTHON_WORKER_SCRIPT
    assert reported in script, "ministack's worker has changed"
    marked = reported + f' + "{_CLASS_MARK}" + type(e).__name__'
    lambda_runtime._PYTHON_WORKER_SCRIPT = script.replace(reported, marked)
    execute = lambda_svc._execute_function_warm

    def execute_function(func: Any, event: Any, request_id: str) -> Any:
        result = execute(func, event, request_id)
        log, mark, name = str(result.get("log") or "").rpartition(_CLASS_MARK)
        if result.get("error") and mark:
            result["log"] = log
            if result["body"].get("errorType") == "Runtime.HandlerError":
                result["body"] |= {
                    "errorType": name.strip(),
                    "requestId": request_id,
                    "stackTrace": log.splitlines(keepends=True),
                }
        elif result.get("error") and _KILLED.search(str(result["body"])):
            result["body"] |= {"errorType": "Runtime.ExitError"}
        return result

    lambda_svc._execute_function_warm = execute_function


def answer_repeated_calls() -> None:
    """Answer a call that is made again as AWS does; a client repeats what got no reply.

    Where AWS refuses the second call as well (DeleteRole, DeleteBucket, CreateTable and most
    others), ministack does, and nothing is patched.
    """
    _repeat_state_machines()
    _repeat_schedules()
    _repeat_secrets()
    _repeat_deleted_messages()


def _repeat_state_machines() -> None:
    """DeleteStateMachine of none succeeds; StartExecution by name and input starts it once."""
    delete, start = stepfunctions._delete_state_machine, stepfunctions._start_execution

    def delete_state_machine(data: Mapping[str, Any]) -> Any:
        if data.get("stateMachineArn") not in stepfunctions._state_machines:
            return stepfunctions.json_response({})
        return delete(data)

    def start_execution(data: Mapping[str, Any]) -> Any:
        answer = start(data)
        status, _, body = answer
        error = json.loads(body) if status >= 400 else {}
        if "ExecutionAlreadyExists" not in str(error.get("__type")):
            return answer
        arn = str(error.get("message", "")).split("'")[1]
        execution = stepfunctions._executions.get(arn)
        same = execution is not None and execution["input"] == data.get("input", "{}")
        if not same or execution["status"] != "RUNNING":
            return answer
        return stepfunctions.json_response(
            {"executionArn": arn, "startDate": execution["startDate"]}
        )

    stepfunctions._delete_state_machine = delete_state_machine
    stepfunctions._start_execution = start_execution


def _repeat_schedules() -> None:
    """A creation with the ClientToken of the one before is that one."""

    def once(create: Any) -> Any:
        made: dict[tuple[str, str], Any] = {}

        def create_once(name: str, body: Mapping[str, Any]) -> Any:
            answer = create(name, body)
            token = name, str(body.get("ClientToken"))
            if answer[0] == 409 and token in made:
                return made[token]
            if answer[0] < 400 and body.get("ClientToken"):
                made[token] = answer
            return answer

        return create_once

    scheduler._create_schedule = once(scheduler._create_schedule)
    scheduler._create_schedule_group = once(scheduler._create_schedule_group)


def _repeat_secrets() -> None:
    """CreateSecret with its ClientRequestToken is made once; to force a deletion always works."""
    create, delete = secretsmanager._create_secret, secretsmanager._delete_secret
    made: dict[str, Any] = {}

    def create_secret(data: Mapping[str, Any]) -> Any:
        answer = create(data)
        if answer[0] < 400:
            made[str(data["Name"])] = data, answer
            return answer
        before, known = made.get(str(data.get("Name")), (None, None))
        return known if data.get("ClientRequestToken") and data == before else answer

    def delete_secret(data: Mapping[str, Any]) -> Any:
        answer = delete(data)
        forced = data.get("ForceDeleteWithoutRecovery")
        if forced and "ResourceNotFoundException" in str(answer[2]):
            return secretsmanager.json_response(
                {"Name": data.get("SecretId"), "DeletionDate": int(time.time())}
            )
        return answer

    secretsmanager._create_secret = create_secret
    secretsmanager._delete_secret = delete_secret


def _repeat_deleted_messages() -> None:
    """DeleteMessage succeeds again for a message that it deleted."""
    delete = sqs._HANDLERS["DeleteMessage"]
    deleted: set[tuple[str, str]] = set()

    def delete_message(data: Mapping[str, Any], queue: str) -> Any:
        handle = str(data.get("QueueUrl", queue)), str(data.get("ReceiptHandle"))
        if handle in deleted:
            return {}
        answer = delete(data, queue)
        deleted.add(handle)
        return answer

    sqs._HANDLERS["DeleteMessage"] = delete_message


def stop_idle_workers(most: int, seconds: float) -> int:
    """Stop idle Lambda processes beyond a number or an age; ministack keeps one each for ever."""
    now = time.time()
    stopped = []
    with lambda_runtime._lock:
        idle = sorted(
            (
                (worker.last_used, key, worker)
                for key, workers in lambda_runtime._workers.items()
                for worker in workers
                if not worker.in_use
            ),
            key=lambda each: each[0],
            reverse=True,
        )
        for place, (last_used, key, worker) in enumerate(idle):
            if place >= most or now - last_used > seconds:
                lambda_runtime._workers[key].remove(worker)
                stopped.append(worker)
        for key in [key for key, workers in lambda_runtime._workers.items() if not workers]:
            del lambda_runtime._workers[key]
    lambda_runtime.kill_workers(stopped)
    return len(stopped)


def is_running(function: str) -> bool:
    """Whether a function is at work."""
    return bool(_at_work(function))


def kill_running(function: str) -> None:
    """Kill the processes that are running a function."""
    for process in _at_work(function):
        process.kill()


def _at_work(function: str) -> list[Any]:
    """Processes that are running a function."""
    with lambda_runtime._lock:
        busy = [
            worker._proc
            for workers in lambda_runtime._workers.values()
            for worker in workers
            if worker.in_use and worker.config.get("FunctionName") == function
        ]
    return [each for each in busy if each is not None and each.poll() is None]


def stop_all_workers() -> None:
    """Stop every Lambda process, busy or not."""
    with lambda_runtime._lock:
        workers = [each for pool in lambda_runtime._workers.values() for each in pool]
        lambda_runtime._workers.clear()
    lambda_runtime.kill_workers(workers)


_ALARM_EXTRAS = (
    "Metrics",
    "ThresholdMetricId",
    "InsufficientDataActions",
    "EvaluateLowSampleCountPercentile",
)


def keep_all_fields_of_alarms() -> None:
    """Keep what ministack drops when an alarm is put, such as the queries of metric math."""
    put = cloudwatch._put_metric_alarm

    def put_alarm(params: Any, data: Any, is_cbor: bool, is_json: bool = False) -> Any:  # noqa: FBT001
        given = data if is_cbor or is_json else nested_parameters(params)
        answer = put(params, data, is_cbor, is_json)
        alarm = cloudwatch._alarms.get(str(given.get("AlarmName", "")))
        if answer[0] == 200 and alarm is not None:
            alarm.update({name: given[name] for name in _ALARM_EXTRAS if given.get(name)})
            # ministack fills these in where AWS leaves them out.
            for name in ("Period", "Statistic", "Threshold"):
                if name not in given:
                    alarm.pop(name, None)
        return answer

    cloudwatch._put_metric_alarm = put_alarm


def nested_parameters(params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of the query protocol, ``A.member.1.B``, as dicts and lists."""
    root: dict[str, Any] = {}
    for key, values in params.items():
        *path, last = re.sub(r"\.member\.(\d+)", r".#\1", key).split(".")
        at = root
        for step in path:
            at = at.setdefault(step, {})
        at[last] = values[0] if isinstance(values, list) else values

    def fold(value: Any) -> Any:
        if not isinstance(value, dict):
            return {"true": True, "false": False}.get(value, value)
        out = {name: fold(each) for name, each in value.items()}
        if out and all(name.startswith("#") for name in out):
            return [out[name] for name in sorted(out, key=lambda each: int(each[1:]))]
        return out

    folded: dict[str, Any] = fold(root)
    return folded
