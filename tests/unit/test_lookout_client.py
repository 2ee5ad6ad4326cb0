"""The former client on a detector that has found an event: answers, paging, errors."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from anomaly_detector import lookout
from anomaly_detector.intervals import iso
from anomaly_detector.lookout import requests
from anomaly_detector.lookout.api import Client
from anomaly_detector.operate.deployment import Deployment
from anomaly_detector.services import feedback
from botocore.exceptions import ClientError, ParamValidationError

from tests import old_client
from tests.unit.services_world import DAY, H1, TOPIC, World, document, sales

ARN = "arn:aws:states:eu-central-1:123456789012:stateMachine:shop-crawl"
ROLE = "arn:aws:iam::123456789012:role/shop-deliver"
FORMER = "arn:aws:lookoutmetrics:us-east-1:123456789012"
TAGS = {"team": "sales"}


class Deployed(Deployment):
    """A deployment whose lookups are answered, and whose records are a world's."""

    def __init__(self, world: World) -> None:
        super().__init__("shop", None)
        self.__dict__ |= {
            "ledger": world.ledger,
            "store": world.store,
            "created": H1,
            "delivery": {"Role": ROLE},
            "account": "123456789012",
        }

    @property
    def region(self) -> str:
        return "eu-central-1"

    def machine_arn(self, key: str) -> str:
        return ARN.replace("-crawl", f"-{key}")

    def tags(self) -> dict[str, str]:
        return TAGS

    def function(self, key: str) -> Any:
        return self.__dict__[key]


@pytest.fixture(scope="module")
def world() -> World:
    made = World(sales(6))
    made.upload(
        document(
            alerts={
                "any": {"sns_topic_arns": [TOPIC], "threshold": 40},
                "some": {
                    "lambda_function_arns": [
                        "arn:aws:lambda:eu-central-1:123456789012:function:told"
                    ],
                    "description": "Sales",
                    "measures": ["revenue"],
                    "dimension_filters": {"platform": ["mobile_app"]},
                },
            },
            dimension_filters={"platform": ["mobile_app", "pc_web"]},
        )
    )
    made.activate()
    for day in range(1, 7):
        made.crawl(H1 + day * DAY, f"crawl-{day}")
    return made


@pytest.fixture
def client(world: World) -> Client:
    return Client(Deployed(world))


def code(caught: pytest.ExceptionInfo[ClientError]) -> tuple[str, str]:
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def test_the_one_line_that_a_script_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")

    made = lookout.client(name="shop")

    assert isinstance(made, Client)
    assert made._detector.region == "eu-west-1"


@pytest.mark.parametrize("at_once", [1, 2, 100])
def test_an_old_script_finds_the_groups_and_their_series(client: Client, at_once: int) -> None:
    detector = old_client.the_detector(client, "shop")

    found = old_client.groups(client, detector, 40, at_once)

    assert detector == ARN
    of_revenue = [one for one in found if one["PrimaryMetricName"] == "revenue"]
    fall = next(one for one in of_revenue if one["StartTime"] == iso(H1 + 3 * DAY))
    assert set(fall) == {
        *("StartTime", "EndTime", "AnomalyGroupId", "AnomalyGroupScore", "PrimaryMetricName"),
        *("MetricLevelImpactList", "Series"),
    }
    assert fall["AnomalyGroupScore"] >= 40
    ((values, by_time, series_id),) = fall["Series"]
    assert values == {"platform": "mobile_app"}
    assert next(iter(by_time)) == fall["StartTime"]
    assert by_time[fall["StartTime"]] == pytest.approx(130, abs=20)
    assert re.fullmatch("[0-9a-f]{128}", series_id)
    # Every group once, the newest first, however many at once.
    ids = [one["AnomalyGroupId"] for one in found]
    assert len(ids) == len(set(ids))
    assert [one["StartTime"] for one in found] == sorted(
        (one["StartTime"] for one in found), reverse=True
    )


def test_an_old_script_gives_feedback_and_reads_it_back(world: World, client: Client) -> None:
    told: list[dict[str, Any]] = []

    class Respond:
        """The function `respond`, which the command line calls as well."""

        def ask(self, event: dict[str, Any]) -> dict[str, Any]:
            told.append(event)
            said = (event["group_id"], event["is_anomaly"], event["series"], event["by"])
            return feedback.give(world.ledger, world.config, *said, H1 + 7 * DAY)

    client._detector.__dict__ |= {"respond": Respond(), "_caller": [*"abcd", "", "user/jane"]}
    (group, *_) = old_client.groups(client, ARN, 40, 100)
    ((values, _, series_id),) = group["Series"]

    assert old_client.deny(client, ARN, group, series_id) == {series_id: False}

    assert [(one["action"], one["series"], one["by"]) for one in told] == [
        ("feedback", values, "jane")
    ]
    (item,) = world.ledger.feedback()
    assert (item.slices, item.is_anomaly) == ((values,), False)
    other = {"AnomalyGroupId": group["AnomalyGroupId"], "TimeSeriesId": "0" * 128}
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.put_feedback(
            AnomalyDetectorArn=ARN, AnomalyGroupTimeSeriesFeedback=other | {"IsAnomaly": True}
        )
    found = client.get_feedback(AnomalyDetectorArn=ARN, AnomalyGroupTimeSeriesFeedback=other)
    assert found["AnomalyGroupTimeSeriesFeedback"] == []


def test_an_old_script_learns_what_is_watched(client: Client) -> None:
    facts = old_client.facts(client, ARN)

    sample = facts.pop("sample")
    assert facts == {
        "interval": "P1D",
        "measures": {"revenue": "SUM", "views": "COUNT"},
        "dimensions": ["platform"],
        "alerts": [40, 50],
        "runs": ["COMPLETED"] * 5,
        "rows": 200,
        "tags": TAGS,
    }
    assert sample["HeaderValues"] == ["ts", "platform", "revenue", "views"]
    assert [row[:2] for row in sample["SampleRows"]] == [
        [iso(H1 + 5 * DAY), "mobile_app"],
        [iso(H1 + 5 * DAY), "pc_web"],
    ]
    assert all(float(row[2]) > 500 for row in sample["SampleRows"])


def test_the_shapes_are_those_of_the_reference(client: Client) -> None:
    described = client.describe_anomaly_detector(AnomalyDetectorArn=ARN)
    assert {key: described[key] for key in described if "Time" not in key} == {
        "AnomalyDetectorArn": ARN,
        "AnomalyDetectorName": "shop",
        "AnomalyDetectorConfig": {"AnomalyDetectorFrequency": "P1D"},
        "Status": "ACTIVE",
        "ResponseMetadata": {"HTTPStatusCode": 200, "HTTPHeaders": {}, "RetryAttempts": 0},
    }
    assert described["CreationTime"] == H1

    dataset = client.describe_metric_set(MetricSetArn=f"{ARN}:metric-set/shop")
    assert dataset["DimensionFilterList"] == [
        {
            "Name": "platform",
            "FilterList": [
                {"DimensionValue": "mobile_app", "FilterOperation": "EQUALS"},
                {"DimensionValue": "pc_web", "FilterOperation": "EQUALS"},
            ],
        }
    ]
    assert dataset["TimestampColumn"] == {"ColumnName": "ts"}
    assert (dataset["Offset"], dataset["Timezone"]) == (0, "UTC")
    assert dataset["MetricSource"] == {
        "RedshiftSourceConfig": {
            "ClusterIdentifier": "c",
            "DatabaseName": "d",
            "RoleArn": "arn:aws:iam::123456789012:role/unload",
        }
    }

    alert = client.describe_alert(AlertArn=f"{ARN}:alert/some")["Alert"]
    assert alert["AlertType"] == "LAMBDA"
    assert alert["AlertDescription"] == "Sales"
    assert alert["Action"]["LambdaConfiguration"]["RoleArn"] == ROLE
    assert alert["AlertFilters"] == {
        "MetricList": ["revenue"],
        "DimensionFilterList": [
            {"DimensionName": "platform", "DimensionValueList": ["mobile_app"]}
        ],
    }
    alert = client.describe_alert(AlertArn=f"{ARN}:alert/any")["Alert"]
    assert alert["Action"] == {
        "SNSConfiguration": {"RoleArn": ROLE, "SnsTopicArn": TOPIC, "SnsFormat": "JSON"}
    }
    assert "AlertFilters" not in alert

    (quality,) = client.get_data_quality_metrics(AnomalyDetectorArn=ARN)[
        "AnomalyDetectorDataQualityMetricList"
    ]
    assert quality["StartTimestamp"] == H1 + 5 * DAY
    (of_dataset,) = quality["MetricSetDataQualityMetricList"]
    assert [
        (one["MetricType"], one.get("RelatedColumnName"), one["MetricValue"])
        for one in of_dataset["DataQualityMetricList"]
    ] == [
        ("ROWS_PROCESSED", None, 200.0),
        ("TIME_SERIES_COUNT", None, 4.0),
        ("COLUMN_COMPLETENESS", "revenue", 100.0),
        ("COLUMN_COMPLETENESS", "views", 100.0),
        ("DIMENSION_UNIQUENESS", "platform", 2.0),
    ]


def test_groups_are_counted_whatever_the_page(client: Client) -> None:
    page = client.list_anomaly_group_summaries(
        AnomalyDetectorArn=ARN, SensitivityThreshold=0, MaxResults=1
    )

    counted = page["AnomalyGroupStatistics"]
    assert counted["TotalCount"] >= 1
    assert counted["TotalCount"] == sum(
        one["OccurrenceCount"] for one in counted["ItemizedMetricStatsList"]
    )
    # The newest 30 % of 70 days of history were scored.
    assert counted["EvaluationStartDate"] == iso(H1 - 21 * DAY)


def test_a_group_that_goes_between_two_pages_repeats_and_hides_no_other(
    world: World, client: Client
) -> None:
    arguments: dict[str, Any] = {"AnomalyDetectorArn": ARN, "MaxResults": 2}
    first = client.describe_anomaly_detection_executions(**arguments)
    last = first["ExecutionList"][-1]["Timestamp"]
    stored = world.table.query("INTERVAL#", last, last)[0]
    world.table.delete(stored["sk"])
    try:
        second = client.describe_anomaly_detection_executions(
            **arguments, NextToken=first["NextToken"]
        )
    finally:
        world.table.put(stored["sk"], stored)

    starts = [one["Timestamp"] for page in (first, second) for one in page["ExecutionList"]]
    assert starts == [iso(H1 + day * DAY) for day in (5, 4, 3, 2)]


def test_the_run_of_one_interval(client: Client) -> None:
    for text in (iso(H1 + DAY), f"{H1 + DAY + timedelta(hours=1):%Y-%m-%dT%H:%M:%S}+01:00[CET]"):
        found = client.describe_anomaly_detection_executions(AnomalyDetectorArn=ARN, Timestamp=text)
        assert found["ExecutionList"] == [{"Timestamp": iso(H1 + DAY), "Status": "COMPLETED"}]


@pytest.mark.parametrize(
    "arn", [ARN, f"{FORMER}:AnomalyDetector:shop", f"{FORMER}:AnomalyDetector:Shop"]
)
def test_the_arn_of_a_former_detector_with_its_name_is_understood(client: Client, arn: str) -> None:
    assert client.describe_anomaly_detector(AnomalyDetectorArn=arn)["AnomalyDetectorArn"] == ARN


def test_former_arns_of_datasets_and_alerts_are_understood(client: Client) -> None:
    dataset = client.describe_metric_set(MetricSetArn=f"{FORMER}:MetricSet/shop/orders")
    assert dataset["MetricSetName"] == "shop"
    alert = client.describe_alert(AlertArn=f"{FORMER}:Alert:any")["Alert"]
    assert alert["AlertArn"] == f"{ARN}:alert/any"


@pytest.mark.parametrize(
    ("operation", "arguments", "message"),
    [
        ("describe_anomaly_detector", {"AnomalyDetectorArn": ARN + "s"}, f"knows {ARN}."),
        (
            "describe_anomaly_detector",
            {"AnomalyDetectorArn": f"{FORMER}:AnomalyDetector:orders"},
            "There is no AnomalyDetectorArn",
        ),
        ("describe_metric_set", {"MetricSetArn": ARN}, "There is no MetricSetArn"),
        ("describe_alert", {"AlertArn": f"{ARN}:alert/none"}, "knows any, some."),
        ("list_tags_for_resource", {"ResourceArn": f"{ARN}:alert/none"}, "There is no Resource"),
        (
            "get_anomaly_group",
            {
                "AnomalyDetectorArn": ARN,
                "AnomalyGroupId": "12345678-1234-1234-1234-123456789012",
            },
            "There is no AnomalyGroupId 12345678-",
        ),
    ],
)
def test_what_does_not_exist_is_not_found(
    client: Client, operation: str, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(client.exceptions.ResourceNotFoundException) as caught:
        getattr(client, operation)(**arguments)

    assert code(caught)[0] == "ResourceNotFoundException"
    assert message in code(caught)[1]
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"SensitivityThreshold": 5}, 'Missing required parameter in input: "AnomalyDetectorArn"'),
        (
            {"AnomalyDetectorArn": ARN, "SensitivityThreshold": "5"},
            "Invalid type for parameter SensitivityThreshold",
        ),
        (
            {"AnomalyDetectorArn": ARN, "SensitivityThreshold": 5, "Threshold": 5},
            'Unknown parameter in input: "Threshold"',
        ),
        (
            {"AnomalyDetectorArn": ARN, "SensitivityThreshold": 5, "MaxResults": 0},
            "Invalid value for parameter MaxResults",
        ),
    ],
)
def test_arguments_are_checked_as_boto3_did(
    client: Client, arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(ParamValidationError, match=re.escape(message)):
        client.list_anomaly_group_summaries(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"SensitivityThreshold": 101}, "Value '101' at 'SensitivityThreshold' failed"),
        ({"MaxResults": 101}, "Member must have value less than or equal to 100"),
        ({"AnomalyDetectorArn": "shop"}, "satisfy regular expression pattern: arn:"),
        ({"AnomalyDetectorArn": ARN + "x" * 300}, "have length less than or equal to 256"),
        ({"NextToken": "next"}, "NextToken must be that of an answer to the same arguments."),
    ],
)
def test_arguments_are_checked_as_the_service_did(
    client: Client, arguments: dict[str, Any], message: str
) -> None:
    given = {"AnomalyDetectorArn": ARN, "SensitivityThreshold": 5} | arguments
    with pytest.raises(client.exceptions.ValidationException) as caught:
        client.list_anomaly_group_summaries(**given)

    assert message in code(caught)[1]
    assert caught.value.operation_name == "ListAnomalyGroupSummaries"


def test_a_token_is_of_the_arguments_that_it_was_given_for(client: Client) -> None:
    first = client.describe_anomaly_detection_executions(AnomalyDetectorArn=ARN, MaxResults=1)

    with pytest.raises(client.exceptions.ValidationException, match="the same arguments"):
        client.list_metric_sets(AnomalyDetectorArn=ARN, NextToken=first["NextToken"])


@pytest.mark.parametrize("operation", requests.ENDED)
def test_what_has_no_meaning_any_more_says_what_to_do_instead(
    client: Client, operation: str
) -> None:
    method = re.sub("(?<!^)([A-Z])", r"_\1", operation).lower()

    with pytest.raises(client.exceptions.ValidationException) as caught:
        getattr(client, method)(AnomalyDetectorArn=ARN)

    assert caught.value.response["Reason"] == "UNKNOWN_OPERATION"
    assert caught.value.operation_name == operation
    assert requests.ENDED[operation] in code(caught)[1]


def test_every_operation_of_the_former_client_is_there(client: Client) -> None:
    for operation in (*requests.OPERATIONS, *requests.ENDED):
        assert callable(getattr(client, re.sub("(?<!^)([A-Z])", r"_\1", operation).lower()))
    with pytest.raises(AttributeError, match="list_groups"):
        client.list_groups()
    with pytest.raises(TypeError):
        client.list_alerts(ARN)


def test_a_measure_that_the_group_is_not_of_is_refused(client: Client) -> None:
    (group, *_) = old_client.groups(client, ARN, 0, 100)
    other = {"revenue": "views", "views": "revenue"}[group["PrimaryMetricName"]]

    with pytest.raises(client.exceptions.ValidationException, match="measure of the group"):
        client.list_anomaly_group_time_series(
            AnomalyDetectorArn=ARN, AnomalyGroupId=group["AnomalyGroupId"], MetricName=other
        )


@pytest.mark.parametrize(
    ("kind", "measures"),
    [(None, ["views", "orders"]), ("CAUSE", ["views"]), ("EFFECT", ["orders"])],
)
def test_related_measures_are_causes_effects_or_both(
    world: World, client: Client, kind: str | None, measures: list[str]
) -> None:
    stored = world.ledger.anomaly_groups()[-1]
    impacts = [
        {
            "MetricName": measure,
            "AnomalyGroupId": stored["AnomalyGroupId"],
            "RelationshipType": f"{which}_OF_INPUT_ANOMALY_GROUP",
            "ContributionPercentage": 40.5,
            "LagSeconds": 0,
        }
        for measure, which in (("views", "CAUSE"), ("orders", "EFFECT"))
    ]
    world.table.put(stored["sk"], stored | {"RelatedMetrics": impacts})
    wanted = {} if kind is None else {"RelationshipTypeFilter": f"{kind}_OF_INPUT_ANOMALY_GROUP"}
    try:
        found = client.list_anomaly_group_related_metrics(
            AnomalyDetectorArn=ARN, AnomalyGroupId=stored["AnomalyGroupId"], **wanted
        )["InterMetricImpactList"]
    finally:
        world.table.put(stored["sk"], stored)

    assert [one["MetricName"] for one in found] == measures
    assert set(found[0]) == {
        *("MetricName", "AnomalyGroupId", "RelationshipType", "ContributionPercentage")
    }


def test_a_sample_is_of_the_detectors_own_rows(client: Client) -> None:
    with pytest.raises(client.exceptions.ValidationException, match="leave S3SourceConfig out"):
        client.get_sample_data(S3SourceConfig={"RoleArn": ROLE, "FileFormatDescriptor": {}})


@pytest.mark.parametrize(
    ("theirs", "ours", "message"),
    [
        ("AccessDeniedException", "AccessDeniedException", "not authorized"),
        ("ThrottlingException", "TooManyRequestsException", "not authorized"),
        ("ResourceNotFoundException", "ResourceNotFoundException", "There is no detector 'shop'"),
        ("ValidationException", "InternalServerException", "not authorized"),
    ],
)
def test_errors_of_the_services_behind_are_those_of_the_former_one(
    client: Client, theirs: str, ours: str, message: str
) -> None:
    def failing() -> None:
        error = {"Code": theirs, "Message": "not authorized"}
        raise ClientError({"Error": error}, "GetItem")

    client._detector.__dict__["ledger"] = _Failing(failing)
    with pytest.raises(getattr(client.exceptions, ours)) as caught:
        client.describe_anomaly_detector(AnomalyDetectorArn=ARN)

    assert caught.value.operation_name == "DescribeAnomalyDetector"
    assert message in code(caught)[1]


def test_before_a_configuration_is_there_it_says_so() -> None:
    with pytest.raises(ClientError, match="has no configuration yet: apply the module"):
        Client(Deployed(World(sales(1)))).list_alerts()


class _Failing:
    def __init__(self, fail: Any) -> None:
        self.detector = fail
