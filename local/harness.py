"""A detector on the local cloud: deploy it, advance its time, read its results, destroy it.

The demo and the end-to-end tests drive the module through this, and through nothing else.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
from anomaly_detector.config import Redshift, document_hash
from anomaly_detector.intervals import iso, parse_iso
from anomaly_detector.services.documents import complete
from boto3.dynamodb.types import TypeDeserializer

from local.cloud import LocalCloud
from local.shop import SCHEMA, Shop
from local.terraform import Changes, Report, Terraform

_POLL_SECONDS = 0.25
# A wait ends when nothing has moved for so long. How fast things move is up to the machine.
_STILL_SECONDS = 300.0
_ENDED = ("SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED")


class HarnessError(RuntimeError):
    """The deployed detector did not reach the expected state."""


class Patience:
    """Waits as long as functions and state machines of a cloud do anything.

    Parameters
    ----------
    cloud : where something is waited for.
    what : its name in the error.
    """

    def __init__(self, cloud: LocalCloud, what: str) -> None:
        self._cloud = cloud
        self._what = what
        self._calls = -1
        self._moved = 0.0

    def wait(self, seconds: float = _POLL_SECONDS) -> None:
        """Sleep, unless nothing has moved for too long.

        Raises
        ------
        HarnessError
            Where no role has made a call for five minutes.
        """
        now, calls = time.monotonic(), self._cloud.role_calls()
        if calls != self._calls:
            self._calls, self._moved = calls, now
        elif now - self._moved > _STILL_SECONDS:
            raise HarnessError(f"{self._what}: no progress for {_STILL_SECONDS:.0f} s.")
        time.sleep(seconds)


@dataclass(frozen=True)
class Execution:
    """An execution of a state machine; `output` is empty unless it succeeded."""

    arn: str
    name: str
    status: str
    output: Mapping[str, Any]
    error: str
    cause: str

    @property
    def succeeded(self) -> bool:
        return self.status == "SUCCEEDED"


def load_shop(cloud: LocalCloud, warehouse: str, shop: Shop, folder: Path) -> int:
    """Create the shop's tables in a warehouse and load them; returns the rows."""
    for statement in SCHEMA:
        cloud.execute(warehouse, statement)
    return sum(
        cloud.load_table(warehouse, table, file) for table, file in shop.write(folder).items()
    )


def create_secret(cloud: LocalCloud, warehouse: str, name: str, password: str | None = None) -> str:
    """Make the secret that a warehouse's user signs in with, in the old connector's form."""
    known = cloud.admin("GET", f"redshift/warehouses/{warehouse}")
    value = {
        "username": known["user"],
        # What the local warehouse is made with; a wrong one can be given.
        "password": password or "Local-cloud-1",
        "dbClusterIdentifier": warehouse,
        "db": "dev",
        "host": "127.0.0.1",
        "port": 5439,
    }
    answer = cloud.client("secretsmanager").create_secret(Name=name, SecretString=json.dumps(value))
    return str(answer["ARN"])


class Deployment:
    """One detector that Terraform deploys to a local cloud.

    Parameters
    ----------
    cloud : a local cloud that runs.
    run_dir : where Terraform's copy and state go; one folder per deployment.
    variables : inputs of `examples/local`; `apply` may change them.
    report : told of progress, a line at a time.
    """

    def __init__(
        self,
        cloud: LocalCloud,
        run_dir: Path,
        variables: Mapping[str, Any],
        report: Report = print,
        example: str = "local",
    ) -> None:
        self.cloud = cloud
        self.variables: dict[str, Any] = dict(variables)
        self.outputs: dict[str, Any] = {}
        self._report = report
        self.terraform = Terraform(example, run_dir, cloud.environment(), report)
        self._initialised = False
        # Events of which something has arrived.
        self._told: set[str | None] = set()
        self._deserialize = TypeDeserializer().deserialize

    # Terraform

    def apply(self, **changes: object) -> dict[str, Any]:
        """Apply with these inputs, which also hold for later applies; returns the outputs.

        Only a plan, and a destroy, read again what was applied before: it takes its time.
        """
        self.variables.update(changes)
        if not self._initialised:
            self.terraform.init()
            self._initialised = True
        self.outputs = self.terraform.apply(self.variables, refresh=False)
        return self.outputs

    def plan(self) -> Changes:
        """What a further apply would change."""
        return self.terraform.plan(self.variables)

    def destroy(self) -> None:
        """Destroy everything that was applied."""
        self.terraform.destroy()

    # Pipeline and crawl

    def config_hash(self) -> str:
        """Hash of the document in the bucket, completed as the functions do."""
        return self._uploaded()[0]

    def _uploaded(self) -> tuple[str, datetime]:
        """Hash of the document in the bucket, and when it was uploaded."""
        answer = self.cloud.client("s3").get_object(
            Bucket=self.outputs["bucket_name"], Key=self.outputs["configuration_key"]
        )
        function = self.cloud.client("lambda").get_function_configuration(
            FunctionName=self.outputs["function_names"]["reconcile"]
        )
        redshift = Redshift.model_validate_json(function["Environment"]["Variables"]["REDSHIFT"])
        body = complete(answer["Body"].read(), redshift)
        return document_hash(body), answer["LastModified"]

    def pipelines(self, config_hash: str) -> list[Execution]:
        """Executions of the pipeline for one document, oldest first."""
        found = self.executions(self.outputs["pipeline_arn"])
        return [each for each in found if each.name.startswith(config_hash)]

    def wait_for_pipeline(self) -> Execution:
        """Wait until the pipeline has ended that the newest upload of the document needs: the one
        that it starts or, where none is necessary, the one before it.

        Raises
        ------
        HarnessError
            Where none starts or nothing moves. A failed execution is returned, not raised.
        """
        patience = Patience(self.cloud, "The pipeline of the uploaded document")
        said = ""
        while True:
            found = self._pipeline_of_document()
            if found is not None and found.status in _ENDED:
                return found
            if found is not None and (now := self._pipeline_progress()) != said:
                said = now
                self._report(now)
            patience.wait(2 * _POLL_SECONDS)

    def _pipeline_of_document(self) -> Execution | None:
        """The execution that the detector has decided on for the document; None before it has."""
        config_hash, uploaded_at = self._uploaded()
        detector = self.detector()
        # An execution of the same document may have ended before it was uploaded again.
        seen = detector.get("wanted_at")
        if detector.get("wanted_hash") != config_hash or parse_iso(str(seen)) < uploaded_at:
            return None
        (run,) = self.items(f"RUN#{config_hash}")
        return self.execution(run["execution"]) if "execution" in run else None

    def _pipeline_progress(self) -> str:
        landed = sum(1 for each in self.items("CHUNK#") if "LANDED" in str(each.get("status", "")))
        rows = sum(
            int(each["rows"] or 0) for each in self.items("CHUNK#") if each.get("rows") is not None
        )
        if not landed:
            return "pipeline: checking the query"
        return f"pipeline: {landed} pieces of history landed, {rows:,} aggregated rows"

    def crawl(self, scheduled: datetime) -> Execution:
        """Start the crawl as the scheduler would at this time, and wait for its end."""
        return self.wait_for(self.start_crawl(scheduled))

    def next_tick(self, intervals: int = 1) -> datetime:
        """When the scheduler starts the crawl after so many further hours (the example's grid)."""
        return self.watermark() + timedelta(hours=intervals, minutes=1)

    def crawl_next(self, intervals: int = 1) -> Execution:
        """Move time on by so many intervals and crawl once."""
        return self.crawl(self.next_tick(intervals))

    def start_pipeline(self) -> str:
        """Start the pipeline manually; returns the execution's ARN."""
        answer = self.cloud.client("stepfunctions").start_execution(
            stateMachineArn=self.outputs["pipeline_arn"], input="{}"
        )
        return str(answer["executionArn"])

    def document(self) -> dict[str, Any]:
        """The configuration document in the bucket."""
        answer = self.cloud.client("s3").get_object(
            Bucket=self.outputs["bucket_name"], Key=self.outputs["configuration_key"]
        )
        return cast("dict[str, Any]", json.loads(answer["Body"].read()))

    def upload(self, document: Mapping[str, Any]) -> None:
        """Upload another configuration document to the bucket, bypassing Terraform."""
        self.cloud.client("s3").put_object(
            Bucket=self.outputs["bucket_name"],
            Key=self.outputs["configuration_key"],
            Body=json.dumps(document).encode(),
            ContentType="application/json",
        )

    def start_crawl(self, scheduled: datetime) -> str:
        """Start the crawl as the scheduler would at this time; returns the execution's ARN."""
        answer = self.cloud.client("stepfunctions").start_execution(
            stateMachineArn=self.outputs["crawl_arn"],
            input=json.dumps({"scheduled_time": iso(scheduled)}),
        )
        return str(answer["executionArn"])

    def stop(self, execution_arn: str) -> None:
        """Stop an execution, as a user would."""
        self.cloud.client("stepfunctions").stop_execution(executionArn=execution_arn)

    def wait_for_unload(self, status: str) -> dict[str, Any]:
        """Wait until the newest UNLOAD has this status."""
        patience = Patience(self.cloud, f"an UNLOAD that is {status}")
        while not (found := self.unloads()) or found[-1]["status"] != status:
            patience.wait()
        return found[-1]

    def wait_for(self, execution_arn: str) -> Execution:
        """Wait until an execution has ended, however it ends."""
        patience = Patience(self.cloud, execution_arn)
        while (found := self.execution(execution_arn)).status not in _ENDED:
            patience.wait()
        return found

    def execution(self, execution_arn: str) -> Execution:
        """One execution as it is now."""
        found = self.cloud.client("stepfunctions").describe_execution(executionArn=execution_arn)
        output = json.loads(found.get("output") or "{}")
        return Execution(
            arn=execution_arn,
            name=found["name"],
            status=found["status"],
            output=output if isinstance(output, dict) else {},
            error=found.get("error") or "",
            cause=found.get("cause") or "",
        )

    def executions(self, machine_arn: str) -> list[Execution]:
        """All executions of a state machine, oldest first."""
        pages = self.cloud.client("stepfunctions").get_paginator("list_executions")
        found = [
            each
            for page in pages.paginate(stateMachineArn=machine_arn)
            for each in page["executions"]
        ]
        found.sort(key=lambda each: each["startDate"])
        return [self.execution(each["executionArn"]) for each in found]

    # What the detector knows and has told

    def items(self, prefix: str) -> list[dict[str, Any]]:
        """Items of the state table whose sort key begins so, in its order."""
        condition, values = "pk = :pk", {":pk": {"S": self.variables["name"]}}
        if prefix:
            condition += " AND begins_with(sk, :sk)"
            values[":sk"] = {"S": prefix}
        answer = (
            self.cloud.client("dynamodb")
            .get_paginator("query")
            .paginate(
                TableName=self.outputs["table_name"],
                KeyConditionExpression=condition,
                ExpressionAttributeValues=values,
                ConsistentRead=True,
            )
        )
        return [
            {name: _plain(self._deserialize(value)) for name, value in item.items()}
            for page in answer
            for item in page["Items"]
        ]

    def detector(self) -> dict[str, Any]:
        """The detector's own item: status, reason, watermark."""
        found = [each for each in self.items("DETECTOR") if each["sk"] == "DETECTOR"]
        return found[0] if found else {}

    def watermark(self) -> datetime:
        """End (UTC) of the newest interval that is committed."""
        return parse_iso(str(self.detector()["watermark"]))

    def groups(self) -> list[dict[str, Any]]:
        """Every stored group (AnomalyGroup with State, Actual, Expected, Slices), by start."""
        found = [_group(each) for each in self.items("GROUP#")]
        return sorted(found, key=lambda each: (each["StartTime"], each["PrimaryMetricName"]))

    def received(self, topic: str) -> list[dict[str, Any]]:
        """Take what has arrived at the queue that is subscribed to a topic.

        Parameters
        ----------
        topic : `alerts` or `operations`.

        Returns
        -------
        the notifications as SNS wraps them, `Message` read where it is JSON.
        """
        queue = self.cloud.client("sqs")
        url = self.outputs["received_queue_urls"][topic]
        found: list[dict[str, Any]] = []
        while True:
            answer = queue.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
            if not answer.get("Messages"):
                return found
            for message in answer["Messages"]:
                body = json.loads(message["Body"])
                body["Message"] = _json_or_text(body["Message"])
                found.append(body)
                queue.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    def alerts(self) -> list[dict[str, Any]]:
        """Take what has arrived of new events and of retractions, not of how events went on.

        What comes after another event in the same place is new, too: it has a name of its own.
        """
        new = []
        for each in self.received("alerts"):
            told = each["Message"]
            event = told.get("anomalyGroupId")
            if "state" not in told or (told["state"] == "ONGOING" and event not in self._told):
                new.append(told)
            self._told.add(event)
        return new

    def objects(self, prefix: str) -> dict[str, bytes]:
        """Objects of the bucket by key."""
        store = self.cloud.client("s3")
        bucket = self.outputs["bucket_name"]
        pages = store.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
        keys = [each["Key"] for page in pages for each in page.get("Contents", [])]
        return {key: store.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}

    def results(self, table: str) -> pa.Table:
        """A results table (scores, anomalies, contributions) as a reader of Parquet sees it."""
        parts = [
            pq.read_table(pa.BufferReader(content))
            for key, content in sorted(self.objects(f"results/{table}/").items())
            if key.endswith(".parquet")
        ]
        # Another configuration may have had other dimensions: a reader finds none in its files.
        return pa.concat_tables(parts, promote_options="default") if parts else pa.table({})

    def copy_results(self, folder: Path) -> int:
        """Copy everything below results/ and reports/ to a folder; returns the number of files."""
        count = 0
        for prefix in ("results/", "reports/"):
            for key, content in self.objects(prefix).items():
                file = folder / key
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
                count += 1
        return count

    def unloads(self) -> list[dict[str, Any]]:
        """Every UNLOAD that was submitted to the warehouse, oldest first."""
        return self.cloud.statements("unload (")

    def attached_roles(self, warehouse: str) -> dict[str, str]:
        """Roles that are attached to a warehouse, and their state."""
        return dict(self.cloud.admin("GET", f"redshift/warehouses/{warehouse}")["roles"])


def inventory(cloud: LocalCloud) -> dict[str, set[str]]:
    """Names of all that an apply can make, by kind; equal before apply and after destroy."""
    return {kind: set(list_names(cloud)) for kind, list_names in _KINDS.items()}


def _pages(
    service: str, operation: str, field: str, name: str
) -> Callable[[LocalCloud], list[str]]:
    def names(cloud: LocalCloud) -> list[str]:
        client = cloud.client(service)
        if client.can_paginate(operation):
            pages = client.get_paginator(operation).paginate()
        else:
            pages = [getattr(client, operation)()]
        found: list[Any] = [each for page in pages for each in page.get(field) or []]
        return [str(each[name] if name else each) for each in found]

    return names


_KINDS: Mapping[str, Callable[[LocalCloud], list[str]]] = {
    "buckets": _pages("s3", "list_buckets", "Buckets", "Name"),
    "roles": _pages("iam", "list_roles", "Roles", "RoleName"),
    "functions": _pages("lambda", "list_functions", "Functions", "FunctionName"),
    "log groups": _pages("logs", "describe_log_groups", "logGroups", "logGroupName"),
    "machines": _pages("stepfunctions", "list_state_machines", "stateMachines", "name"),
    "schedules": _pages("scheduler", "list_schedules", "Schedules", "Name"),
    "schedule groups": _pages("scheduler", "list_schedule_groups", "ScheduleGroups", "Name"),
    "rules": _pages("events", "list_rules", "Rules", "Name"),
    "tables": _pages("dynamodb", "list_tables", "TableNames", ""),
    "topics": _pages("sns", "list_topics", "Topics", "TopicArn"),
    "subscriptions": _pages("sns", "list_subscriptions", "Subscriptions", "SubscriptionArn"),
    "queues": _pages("sqs", "list_queues", "QueueUrls", ""),
    "alarms": _pages("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    "catalogues": _pages("glue", "get_databases", "DatabaseList", "Name"),
    "dashboards": _pages("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
    "queries": _pages("athena", "list_named_queries", "NamedQueryIds", ""),
}


def hours(begin: datetime, count: int, step: int = 1) -> Iterator[datetime]:
    """Whole hours from `begin`, `step` apart."""
    return (begin + timedelta(hours=step * number) for number in range(count))


def largest_share(group: Mapping[str, Any]) -> dict[str, tuple[str, float]]:
    """Per dimension the value with the largest share of a group, and that share."""
    matrix: Sequence[Mapping[str, Any]] = group["MetricLevelImpactList"][0]["ContributionMatrix"][
        "DimensionContributionList"
    ]
    found = {}
    for each in matrix:
        top = max(each["DimensionValueContributionList"], key=lambda one: one["ContributionScore"])
        found[each["DimensionName"]] = (top["DimensionValue"], float(top["ContributionScore"]))
    return found


def _group(item: Mapping[str, Any]) -> dict[str, Any]:
    """The group's document, wherever in its item it is kept."""
    if "AnomalyGroupId" in item:
        return dict(item)
    for value in item.values():
        found = _json_or_text(value) if isinstance(value, str) else value
        if isinstance(found, dict) and "AnomalyGroupId" in found:
            return found
    raise HarnessError(f"The item {item.get('sk')} holds no group.")


def _plain(value: object) -> object:
    """DynamoDB's value with its decimals as numbers."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value


def _json_or_text(text: str) -> object:
    try:
        return cast("object", json.loads(text))
    except ValueError:
        return text
