"""Requests of Lookout's former client: which arguments each operation takes, and its errors.

What boto3 checked before it called the service raises botocore's `ParamValidationError`, what the
service checked a `ValidationException` of the client.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from botocore.errorfactory import ClientExceptionsFactory
from botocore.exceptions import ClientError
from botocore.model import ServiceModel, ShapeResolver, StructureShape
from botocore.validate import validate_parameters

Members = dict[str, dict[str, Any]]

_ERRORS: Final = {
    "AccessDeniedException": 403,
    "ConflictException": 409,
    "InternalServerException": 500,
    "ResourceNotFoundException": 400,
    "ServiceQuotaExceededException": 402,
    "TooManyRequestsException": 429,
    "ValidationException": 400,
}
_ARN: Final = {"type": "string", "max": 256, "pattern": r"arn:([a-z\d-]+):.*:.*:.*:.+"}
_UUID: Final = {
    "type": "string",
    "max": 63,
    "pattern": r"[a-z0-9]{8}-[a-z0-9]{4}-[a-z0-9]{4}-[a-z0-9]{4}-[a-z0-9]{12}",
}
_SERIES: Final = {"type": "string", "max": 520, "pattern": r".*\S.*"}
_MEASURE: Final = {"type": "string", "max": 256}
_TIME: Final = {
    "type": "string",
    "max": 60,
    "pattern": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(Z|[+-]\d\d:\d\d(\[[\w/+-]+\])?)",
}
_ANYTHING: Final = {"type": "structure", "members": {}, "document": True}
_PAGES: Final[Members] = {
    "MaxResults": {"type": "integer", "min": 1, "max": 100},
    "NextToken": {"type": "string", "min": 1, "max": 3000},
}


@dataclass(frozen=True)
class _Structure:
    members: Mapping[str, dict[str, Any] | _Structure]
    required: tuple[str, ...] = ()


_DETECTOR: Final[Members] = {"AnomalyDetectorArn": _ARN}
_GROUP: Final[Members] = _DETECTOR | {"AnomalyGroupId": _UUID}
_OF_SERIES: Final[Members] = {"AnomalyGroupId": _UUID, "TimeSeriesId": _SERIES}
# Arguments of each operation that has a meaning.
OPERATIONS: Final = {
    "DescribeAlert": _Structure({"AlertArn": _ARN}, ("AlertArn",)),
    "DescribeAnomalyDetectionExecutions": _Structure(
        {**_DETECTOR, "Timestamp": _TIME, **_PAGES}, ("AnomalyDetectorArn",)
    ),
    "DescribeAnomalyDetector": _Structure(_DETECTOR, ("AnomalyDetectorArn",)),
    "DescribeMetricSet": _Structure({"MetricSetArn": _ARN}, ("MetricSetArn",)),
    "GetAnomalyGroup": _Structure(_GROUP, ("AnomalyGroupId", "AnomalyDetectorArn")),
    "GetDataQualityMetrics": _Structure(
        {**_DETECTOR, "MetricSetArn": _ARN}, ("AnomalyDetectorArn",)
    ),
    "GetFeedback": _Structure(
        {
            **_DETECTOR,
            "AnomalyGroupTimeSeriesFeedback": _Structure(_OF_SERIES, ("AnomalyGroupId",)),
            **_PAGES,
        },
        ("AnomalyDetectorArn", "AnomalyGroupTimeSeriesFeedback"),
    ),
    "GetSampleData": _Structure({"S3SourceConfig": _ANYTHING}),
    "ListAlerts": _Structure({**_DETECTOR, **_PAGES}),
    "ListAnomalyDetectors": _Structure(_PAGES),
    "ListAnomalyGroupRelatedMetrics": _Structure(
        {
            **_GROUP,
            "RelationshipTypeFilter": {
                "type": "string",
                "enum": ["CAUSE_OF_INPUT_ANOMALY_GROUP", "EFFECT_OF_INPUT_ANOMALY_GROUP"],
            },
            **_PAGES,
        },
        ("AnomalyDetectorArn", "AnomalyGroupId"),
    ),
    "ListAnomalyGroupSummaries": _Structure(
        {
            **_DETECTOR,
            "SensitivityThreshold": {"type": "integer", "min": 0, "max": 100},
            **_PAGES,
        },
        ("AnomalyDetectorArn", "SensitivityThreshold"),
    ),
    "ListAnomalyGroupTimeSeries": _Structure(
        {**_GROUP, "MetricName": _MEASURE, **_PAGES},
        ("AnomalyDetectorArn", "AnomalyGroupId", "MetricName"),
    ),
    "ListMetricSets": _Structure({**_DETECTOR, **_PAGES}),
    "ListTagsForResource": _Structure({"ResourceArn": _ARN}, ("ResourceArn",)),
    "PutFeedback": _Structure(
        {
            **_DETECTOR,
            "AnomalyGroupTimeSeriesFeedback": _Structure(
                {**_OF_SERIES, "IsAnomaly": {"type": "boolean"}},
                ("AnomalyGroupId", "TimeSeriesId", "IsAnomaly"),
            ),
        },
        ("AnomalyDetectorArn", "AnomalyGroupTimeSeriesFeedback"),
    ),
}
_MODULE: Final = "the inputs of the Terraform module, and apply"
# Operations without a meaning, and what to do instead.
ENDED: Final = {
    "ActivateAnomalyDetector": "run `python -m anomaly_detector resume --name NAME`",
    "BackTestAnomalyDetector": "run `python -m anomaly_detector backtest`, or read the groups "
    "before the detector's activation, which are its backtest",
    "CreateAlert": f"add it to `alerts` in {_MODULE}",
    "CreateAnomalyDetector": "add a Terraform module for it, and apply",
    "CreateMetricSet": f"set `query`, `measures` and `dimensions` in {_MODULE}",
    "DeactivateAnomalyDetector": "run `python -m anomaly_detector pause --name NAME`",
    "DeleteAlert": f"remove it from `alerts` in {_MODULE}",
    "DeleteAnomalyDetector": "run `terraform destroy`",
    "DetectMetricSetConfig": "run `python -m anomaly_detector infer` on a file",
    "TagResource": f"set `tags` in {_MODULE}",
    "UntagResource": f"remove it from `tags` in {_MODULE}",
    "UpdateAlert": f"change `alerts` in {_MODULE}",
    "UpdateAnomalyDetector": f"change {_MODULE}",
    "UpdateMetricSet": f"change `query`, `measures` and `dimensions` in {_MODULE}",
}


def _classes() -> Any:  # noqa: ANN401 botocore has no types
    shapes = {name: {"type": "structure", "members": {}, "exception": True} for name in _ERRORS}
    metadata = {"serviceId": "LookoutMetrics", "apiVersion": "2017-07-25", "protocol": "rest-json"}
    model = ServiceModel({"metadata": metadata, "operations": {}, "shapes": shapes}, "lookout")
    return ClientExceptionsFactory().create_client_exceptions(model)


EXCEPTIONS: Final = _classes()
"""What `client.exceptions` is: a class for each error of the service, beside `ClientError`."""


@dataclass
class RefusedError(Exception):
    """An answer of the former service that is an error.

    Attributes
    ----------
    more : keys beside Message, such as Reason.
    """

    code: str
    text: str
    more: Mapping[str, str] = field(default_factory=dict)

    def of(self, operation: str) -> ClientError:
        """The exception that boto3 made of it."""
        answer = {
            "Error": {"Code": self.code, "Message": self.text},
            "Message": self.text,
            "ResponseMetadata": {
                "HTTPStatusCode": _ERRORS[self.code],
                "HTTPHeaders": {},
                "RetryAttempts": 0,
            },
            **self.more,
        }
        made: ClientError = getattr(EXCEPTIONS, self.code)(answer, operation)
        return made


def invalid(text: str, reason: str = "FIELD_VALIDATION_FAILED") -> RefusedError:
    """A ValidationException."""
    return RefusedError("ValidationException", text, {"Reason": reason})


def check(operation: str, arguments: Mapping[str, Any]) -> None:
    """Check names, presence, types and lower limits, as boto3 did.

    Raises
    ------
    botocore.exceptions.ParamValidationError
        States each fault and the argument.
    """
    shapes: dict[str, Any] = {}
    _add(shapes, operation, OPERATIONS[operation])
    validate_parameters(
        arguments, StructureShape(operation, shapes[operation], ShapeResolver(shapes))
    )


def check_as_the_service(operation: str, arguments: Mapping[str, Any]) -> None:
    """Check upper limits, patterns and values out of a list, as the service did.

    Raises
    ------
    RefusedError
        States each fault and the argument.
    """
    found = list(_faults(OPERATIONS[operation], arguments, ""))
    if found:
        count = f"{len(found)} validation error{'s' * (len(found) > 1)} detected"
        raise invalid(f"{count}: {'; '.join(found)}")


def _add(shapes: dict[str, Any], name: str, one: dict[str, Any] | _Structure) -> None:
    if not isinstance(one, _Structure):
        shapes[name] = one
        return
    for member, of_member in one.members.items():
        _add(shapes, f"{name}.{member}", of_member)
    shapes[name] = {
        "type": "structure",
        "required": list(one.required),
        "members": {member: {"shape": f"{name}.{member}"} for member in one.members},
    }


def _faults(structure: _Structure, given: Mapping[str, Any], place: str) -> Iterator[str]:
    for name, value in given.items():
        rule = structure.members[name]
        if isinstance(rule, _Structure):
            yield from _faults(rule, value, f"{place}{name}.")
            continue
        said = f"Value '{value}' at '{place}{name}' failed to satisfy constraint: Member must"
        size = len(value) if isinstance(value, str) else value
        if "max" in rule and size > rule["max"]:
            what = "length" if isinstance(value, str) else "value"
            yield f"{said} have {what} less than or equal to {rule['max']}"
        elif "pattern" in rule and not re.fullmatch(rule["pattern"], value):
            yield f"{said} satisfy regular expression pattern: {rule['pattern']}"
        elif "enum" in rule and value not in rule["enum"]:
            yield f"{said} satisfy enum value set: [{', '.join(rule['enum'])}]"
