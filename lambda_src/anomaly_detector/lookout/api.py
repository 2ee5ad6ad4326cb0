"""The operations of boto3's former client `lookoutmetrics` on a deployed detector.

Names, arguments, answers, paging and errors are those of the former client, with these differences:

* ARNs are those of the alerts: the detector's is the ARN of its crawl machine. Former ARNs are
  understood if the detector has the same name.
* Times of groups are UTC.
* Aggregations and intervals may be others than the former service knew.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NoReturn, TypeVar

import pyarrow as pa
from botocore.exceptions import ClientError

from anomaly_detector import aws_faults
from anomaly_detector.config import ROLLED_UP, Config
from anomaly_detector.errors import PermanentError, RetryableError
from anomaly_detector.intervals import Grid, iso, parse_iso
from anomaly_detector.lake import published
from anomaly_detector.ledger.items import Interval
from anomaly_detector.lookout import answers, requests
from anomaly_detector.lookout.payload import time_series_id
from anomaly_detector.operate import actions
from anomaly_detector.operate.deployment import Deployment
from anomaly_detector.services import documents

Given = Mapping[str, Any]
Answer = dict[str, Any]
Method = Callable[["Client", Given], Answer]
Value = TypeVar("Value")

_PAGE: Final = 100
# Time whose data quality is described, at least one interval.
_QUALITY: Final = timedelta(days=1)
# Intervals before any of a detector's.
_EVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


def _operation(method: Method) -> Callable[..., Answer]:
    """A method of the former client: keyword arguments in, answer with metadata out."""
    name = "".join(part.title() for part in method.__name__.split("_"))

    @functools.wraps(method)
    def call(self: Client, **arguments: Any) -> Answer:  # noqa: ANN401 checked against the operation
        requests.check(name, arguments)
        try:
            requests.check_as_the_service(name, arguments)
            answer = method(self, arguments)
        except requests.RefusedError as refused:
            raise refused.of(name) from None
        except (ClientError, PermanentError, RetryableError) as error:
            raise self.translated(error).of(name) from error
        metadata = {"HTTPStatusCode": 200, "HTTPHeaders": {}, "RetryAttempts": 0}
        return answer | {"ResponseMetadata": metadata}

    return call


class Client:
    """A client of one detector; see `anomaly_detector.lookout.client`.

    Each method takes keyword arguments only, as it did in boto3. Operations that have no meaning
    any more raise a `ValidationException` that says what to do instead.

    Attributes
    ----------
    exceptions : the classes of its errors, each a `botocore.exceptions.ClientError`.
    """

    def __init__(self, detector: Deployment) -> None:
        self.exceptions = requests.EXCEPTIONS
        self._detector = detector

    @_operation
    def describe_alert(self, given: Given) -> Answer:
        """An alert of the configuration in force, as `Alert`."""
        name = self._names.alert_of(given["AlertArn"])
        config = self._config
        if name not in config.alerts:
            raise self._not_found("AlertArn", given["AlertArn"], config.alerts)
        described = answers.alert(
            self._names,
            name,
            config.alerts[name],
            self._detector.ledger.detector(),
            self._detector.created,
            self._detector.delivery["Role"],
        )
        return {"Alert": described}

    @_operation
    def describe_anomaly_detection_executions(self, given: Given) -> Answer:
        """The run of each interval, the newest first, or of the one that starts at Timestamp."""
        operation = "DescribeAnomalyDetectionExecutions"
        self._check_detector(given)
        ledger = self._detector.ledger
        if "Timestamp" in given:
            found = ledger.interval(_moment(given["Timestamp"]))
            intervals = [] if found is None else [found]
        else:
            intervals = list(ledger.intervals(_EVER, datetime.now(UTC) + _QUALITY).values())
        keyed = [(iso(one.start), answers.execution(one)) for one in reversed(intervals)]
        page, token = self._page(operation, given, keyed, newest_first=True)
        return {"ExecutionList": page, **token}

    @_operation
    def describe_anomaly_detector(self, given: Given) -> Answer:
        """The detector: status, reason of a failure, interval."""
        self._check_detector(given)
        detector = self._detector
        return answers.detector(
            self._names, self._config, detector.ledger.detector(), detector.created
        )

    @_operation
    def describe_metric_set(self, given: Given) -> Answer:
        """The query of the detector as the dataset that it is: measures, dimensions, source."""
        self._check_metric_set(given)
        detector = self._detector
        return answers.metric_set(
            self._names, self._config, detector.ledger.detector(), detector.created
        )

    @_operation
    def get_anomaly_group(self, given: Given) -> Answer:
        """A group with its contributions, as `AnomalyGroup`."""
        return {"AnomalyGroup": answers.anomaly_group(self._group(given))}

    @_operation
    def get_data_quality_metrics(self, given: Given) -> Answer:
        """Rows, series, completeness and dimension values of the newest day of intervals."""
        self._check_detector(given)
        if "MetricSetArn" in given:
            self._check_metric_set(given)
        intervals = self._newest()
        described = []
        if intervals:
            rows = self._scores(intervals)
            described = answers.data_quality(self._names, self._config, intervals, rows)
        return {"AnomalyDetectorDataQualityMetricList": described}

    @_operation
    def get_feedback(self, given: Given) -> Answer:
        """What was said of the series of a group, or of one of them."""
        asked = given["AnomalyGroupTimeSeriesFeedback"]
        group = self._group({**given, **asked})
        said = [
            item
            for item in self._detector.ledger.feedback()
            if item.group_id == asked["AnomalyGroupId"] and item.undone_at is None
        ]
        slices = self._slices(group)
        found = answers.feedback(self._config, group["PrimaryMetricName"], slices, said)
        keyed = [
            (one["TimeSeriesId"], one)
            for one in sorted(found, key=lambda one: str(one["TimeSeriesId"]))
            if asked.get("TimeSeriesId") in (None, one["TimeSeriesId"])
        ]
        page, token = self._page("GetFeedback", given, keyed)
        return {"AnomalyGroupTimeSeriesFeedback": page, **token}

    @_operation
    def get_sample_data(self, given: Given) -> Answer:
        """Some aggregated rows of the newest interval, as text."""
        if "S3SourceConfig" in given:
            raise requests.invalid(
                "The detector reads from its warehouse, not from S3: leave S3SourceConfig out, and "
                "some aggregated rows of its newest interval are returned.",
            )
        rows = self._scores(self._newest()[-1:])
        return answers.sample(self._config, rows)

    @_operation
    def list_alerts(self, given: Given) -> Answer:
        """The alerts of the configuration in force, by name."""
        if "AnomalyDetectorArn" in given:
            self._check_detector(given)
        found, tags = self._detector.ledger.detector(), self._detector.tags()
        keyed = [
            (
                name,
                answers.alert_summary(self._names, name, one, found, self._detector.created, tags),
            )
            for name, one in sorted(self._config.alerts.items())
        ]
        page, token = self._page("ListAlerts", given, keyed)
        return {"AlertSummaryList": page, **token}

    @_operation
    def list_anomaly_detectors(self, given: Given) -> Answer:
        """The one detector of this client."""
        detector = self._detector
        described = answers.detector_summary(
            self._names, self._config, detector.ledger.detector(), detector.created, detector.tags()
        )
        page, token = self._page("ListAnomalyDetectors", given, [(detector.name, described)])
        return {"AnomalyDetectorSummaryList": page, **token}

    @_operation
    def list_anomaly_group_related_metrics(self, given: Given) -> Answer:
        """Events of other measures that are related to a group, as it was stored."""
        related = answers.related(self._group(given), given.get("RelationshipTypeFilter"))
        keyed = [(f"{place:06}", one) for place, one in enumerate(related)]
        page, token = self._page("ListAnomalyGroupRelatedMetrics", given, keyed)
        return {"InterMetricImpactList": page, **token}

    @_operation
    def list_anomaly_group_summaries(self, given: Given) -> Answer:
        """The groups of at least this severity, the newest first."""
        self._check_detector(given)
        groups = [
            one
            for one in self._detector.ledger.anomaly_groups()
            if one["AnomalyGroupScore"] >= given["SensitivityThreshold"]
        ]
        keyed = [(str(one["sk"]), answers.summary(one)) for one in reversed(groups)]
        page, token = self._page("ListAnomalyGroupSummaries", given, keyed, newest_first=True)
        since = published.scored_since(self._detector.store)
        return {
            "AnomalyGroupSummaryList": page,
            "AnomalyGroupStatistics": answers.statistics(groups, since),
            **token,
        }

    @_operation
    def list_anomaly_group_time_series(self, given: Given) -> Answer:
        """The series of a group, of the finest level that shows it, and their values meanwhile."""
        operation = "ListAnomalyGroupTimeSeries"
        group = self._group(given)
        measure, config = given["MetricName"], self._config
        if measure != group["PrimaryMetricName"]:
            raise requests.invalid(
                f"MetricName must be the measure of the group, {group['PrimaryMetricName']}; got "
                f"{measure}.",
            )
        begin, end = parse_iso(group["StartTime"]), parse_iso(group["EndTime"])
        starts = Grid.of(config).starts(begin, end)
        slices = self._slices(group)
        keyed = [("\x1f".join(one), one) for one in slices]
        page, token = self._page(operation, given, keyed)
        rows = published.scores(self._detector.store, config, begin, end)
        return {
            "AnomalyGroupId": group["AnomalyGroupId"],
            "MetricName": measure,
            "TimestampList": [iso(one) for one in starts],
            "TimeSeriesList": answers.time_series(config, measure, starts, page, rows),
            **token,
        }

    @_operation
    def list_metric_sets(self, given: Given) -> Answer:
        """The one dataset of the detector, which is its query."""
        if "AnomalyDetectorArn" in given:
            self._check_detector(given)
        found, tags = self._detector.ledger.detector(), self._detector.tags()
        described = answers.metric_set_summary(self._names, found, self._detector.created, tags)
        page, token = self._page("ListMetricSets", given, [(self._detector.name, described)])
        return {"MetricSetSummaryList": page, **token}

    @_operation
    def list_tags_for_resource(self, given: Given) -> Answer:
        """The tags of the detector, which are those of its dataset and alerts."""
        arn, names = given["ResourceArn"], self._names
        known = (
            names.is_detector(arn)
            or names.is_metric_set(arn)
            or names.alert_of(arn) in self._config.alerts
        )
        if not known:
            raise self._not_found("ResourceArn", arn, (names.detector,))
        return {"Tags": self._detector.tags()}

    @_operation
    def put_feedback(self, given: Given) -> Answer:
        """Say whether a series of a group was an anomaly, through the function `respond`."""
        asked = given["AnomalyGroupTimeSeriesFeedback"]
        group, config = self._group({**given, **asked}), self._config
        known = {
            time_series_id(group["PrimaryMetricName"], config.dimensions, one): one
            for one in self._slices(group)
        }
        if asked["TimeSeriesId"] not in known:
            raise self._not_found("TimeSeriesId", asked["TimeSeriesId"])
        values = zip(config.dimensions, known[asked["TimeSeriesId"]], strict=True)
        series = {name: value for name, value in values if value != ROLLED_UP}
        try:
            actions.feedback(
                self._detector,
                asked["AnomalyGroupId"],
                is_anomaly=asked["IsAnomaly"],
                series=series,
            )
        except PermanentError as error:
            raise requests.invalid(str(error)) from error
        return {}

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        operation = "".join(part.title() for part in name.split("_"))
        if operation not in requests.ENDED:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

        def ended(**_: object) -> NoReturn:
            text = (
                "Amazon Lookout for Metrics ended in 2025, and the detector "
                f"{self._detector.name} takes no {operation}: {requests.ENDED[operation]}."
            )
            raise requests.invalid(text, "UNKNOWN_OPERATION").of(operation)

        return ended

    def translated(
        self, error: ClientError | PermanentError | RetryableError
    ) -> requests.RefusedError:
        """The former service's error for one of a service that was called instead."""
        code, text = "InternalServerException", str(error)
        if isinstance(error, RetryableError):
            code = "TooManyRequestsException"
        elif isinstance(error, ClientError):
            if aws_faults.is_gone(error):
                place = f"{self._detector.region} in account {self._detector.account}"
                code = "ResourceNotFoundException"
                text = f"There is no detector '{self._detector.name}' in {place}: {error}."
            elif aws_faults.is_denied(error):
                code = "AccessDeniedException"
            elif aws_faults.is_refused_for_now(error):
                code = "TooManyRequestsException"
        return requests.RefusedError(code, text)

    @functools.cached_property
    def _names(self) -> answers.Names:
        return answers.Names(self._detector.machine_arn("crawl"), self._detector.name)

    @property
    def _config(self) -> Config:
        found = self._detector.ledger.detector()
        in_force = found.config_hash or found.wanted_hash
        if in_force is None:
            raise PermanentError(
                f"Detector {self._detector.name} has no configuration yet: apply the module."
            )
        return documents.load(self._detector.store, in_force)

    def _newest(self) -> list[Interval]:
        """The scored intervals of the newest day, ascending; at least one, if any is scored."""
        watermark = self._detector.ledger.detector().watermark
        if watermark is None:
            return []
        grid = Grid.of(self._config)
        begin = min(watermark - _QUALITY, grid.shift(watermark, -1))
        found = self._detector.ledger.intervals(begin, watermark).values()
        return [one for one in found if not one.is_open]

    def _scores(self, intervals: Sequence[Interval]) -> pa.Table:
        if not intervals:
            return published.scores(self._detector.store, self._config, _EVER, _EVER)
        end = Grid.of(self._config).shift(intervals[-1].start, 1)
        return published.scores(self._detector.store, self._config, intervals[0].start, end)

    def _group(self, given: Given) -> dict[str, Any]:
        self._check_detector(given)
        group_id = given["AnomalyGroupId"]
        for one in self._detector.ledger.anomaly_groups():
            if one["AnomalyGroupId"] == group_id:
                return one
        raise self._not_found("AnomalyGroupId", group_id)

    def _slices(self, group: Mapping[str, Any]) -> list[tuple[str, ...]]:
        start, group_id = parse_iso(group["StartTime"]), group["AnomalyGroupId"]
        return published.series_of(self._detector.store, self._config, start, group_id)

    def _check_detector(self, given: Given) -> None:
        arn = given["AnomalyDetectorArn"]
        if not self._names.is_detector(arn):
            raise self._not_found("AnomalyDetectorArn", arn, (self._names.detector,))

    def _check_metric_set(self, given: Given) -> None:
        arn = given["MetricSetArn"]
        if not self._names.is_metric_set(arn):
            raise self._not_found("MetricSetArn", arn, (self._names.metric_set,))

    def _not_found(self, what: str, got: str, known: Iterable[str] = ()) -> requests.RefusedError:
        those = f"; this client knows {', '.join(known)}" if known else ""
        text = f"There is no {what} {got} in detector {self._detector.name}{those}."
        return requests.RefusedError("ResourceNotFoundException", text, {"ResourceId": got})

    def _page(
        self,
        operation: str,
        given: Given,
        keyed: Sequence[tuple[str, Value]],
        *,
        newest_first: bool = False,
    ) -> tuple[list[Value], Answer]:
        """The values of a page, and its NextToken where there are more.

        A token names the last key that was given, so that what comes or goes between two calls
        repeats and skips nothing else.
        """
        asked = {
            key: value for key, value in given.items() if key not in ("MaxResults", "NextToken")
        }
        digest = hashlib.sha256(json.dumps([operation, asked], sort_keys=True).encode()).hexdigest()
        if "NextToken" in given:
            try:
                of, last = json.loads(base64.urlsafe_b64decode(given["NextToken"]))
            except (binascii.Error, ValueError, TypeError):
                of, last = "", ""
            if of != digest[:16]:
                raise requests.invalid("NextToken must be that of an answer to the same arguments.")
            keyed = [pair for pair in keyed if (pair[0] < last if newest_first else pair[0] > last)]
        page = keyed[: given.get("MaxResults", _PAGE)]
        token: Answer = {}
        if len(page) < len(keyed):
            named = json.dumps([digest[:16], page[-1][0]]).encode()
            token["NextToken"] = base64.urlsafe_b64encode(named).decode()
        return [value for _, value in page], token


def _moment(text: str) -> datetime:
    """A time as the former service wrote it, with a zone in brackets or without."""
    try:
        return parse_iso(text.partition("[")[0])
    except ValueError:
        raise requests.invalid(f"Timestamp must be a time; got {text}.") from None
