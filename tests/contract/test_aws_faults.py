"""The error codes that the package knows are those of the services' own models."""

from __future__ import annotations

import botocore.session
import pytest
from anomaly_detector import aws_faults
from botocore.exceptions import ClientError

# S3 answers HEAD with a bare status; its model lacks the codes of throttled and disturbed calls.
_UNMODELLED = {"s3": {"403", "404", "NotFound", "OperationAborted", "SlowDown"}}


def _fault(code: str, status: int = 400) -> ClientError:
    answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(answer, "Call")  # type: ignore[arg-type] # botocore-stubs: a whole answer


def _modelled(service: str) -> set[str]:
    model = botocore.session.get_session().get_service_model(service)
    found = set()
    for shape in model.error_shapes:
        found |= {shape.name, shape.error_code}
    return found


@pytest.mark.parametrize("table", ["_DENIED", "_BUSY", "_GONE"])
def test_given_a_service_when_its_codes_are_listed_then_its_model_has_them(table):
    for service, codes in getattr(aws_faults, table).items():
        if service != "every service":
            assert codes - _UNMODELLED.get(service, set()) <= _modelled(service), service


@pytest.mark.parametrize(
    ("code", "status", "refused", "uncertain"),
    [
        ("AccessDenied", 403, True, False),
        ("Unheard", 429, True, False),
        ("ServiceUnavailable", 503, True, False),
        ("EC2ThrottledException", 502, True, False),
        ("InternalError", 500, False, True),
        ("Unheard", 500, False, True),
        ("RequestTimeout", 400, False, True),
        ("ValidationException", 400, False, False),
        ("NoSuchKey", 404, False, False),
    ],
)
def test_given_a_fault_when_it_is_judged_then_only_an_unclear_end_is_uncertain(
    code, status, refused, uncertain
):
    error = _fault(code, status)
    assert aws_faults.is_refused_for_now(error) is refused
    assert aws_faults.is_uncertain(error) is uncertain
    assert aws_faults.is_transient(error) is (refused or uncertain)


def test_given_a_fault_without_text_when_it_is_told_then_its_code_stands_for_it():
    assert aws_faults.message(_fault("NoSuchKey")) == "NoSuchKey"
    assert aws_faults.code(ClientError({}, "Call")) == ""
