"""The UNLOAD role through its handler, as Terraform and the statement machine call it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
from anomaly_detector.errors import PermanentError
from anomaly_detector.handlers import warehouse_role
from anomaly_detector.services.warehouse_role import Place
from anomaly_detector.settings import Settings
from anomaly_detector.warehouse.roles import Attached
from botocore.exceptions import ClientError

ROLE = "arn:aws:iam::123456789012:role/detectors/shop-unload"
OLD = {"cluster_identifier": "old", "workgroup_name": None, "role_arn": ROLE}
NEW = {"cluster_identifier": None, "workgroup_name": "new", "role_arn": ROLE}


class Context:
    """What Lambda hands to a handler."""

    function_name = "shop-warehouse-role"
    memory_limit_in_mb = 256
    invoked_function_arn = "arn:aws:lambda:us-east-1:123456789012:function:shop-warehouse-role"
    aws_request_id = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        """Time left."""
        return 900_000


@dataclass
class Parts:
    """The wiring, with warehouses that hold roles and may refuse."""

    attached: dict[str, set[str]]
    refused: dict[str, str] = field(default_factory=dict)
    told: list[tuple[str, str]] = field(default_factory=list)
    silent: bool = False
    done: list[tuple[str, str, str, float]] = field(default_factory=list)

    place: dict[str, Any] | None = field(default_factory=lambda: OLD)

    @property
    def settings(self) -> Settings:
        place = self.place or OLD
        warehouse = {key: place[key] for key in ("cluster_identifier", "workgroup_name")}
        own = {"ATTACHED_ROLE_ARN": ROLE} if self.place else {}
        return Settings.of(
            {
                "DETECTOR_NAME": "shop",
                "TABLE_NAME": "t",
                "BUCKET_NAME": "b",
                "PIPELINE_ARN": "p",
                "CRAWL_ARN": "c",
                "OPERATIONS_TOPIC_ARN": "o",
                "REDSHIFT": json.dumps({**warehouse, "database": "d", "unload_role": ROLE}),
                **own,
            }
        )

    @property
    def operations(self) -> Parts:
        return self

    def publish(self, subject: str, text: str, facts: dict[str, object]) -> None:
        assert facts["detector"] == "shop"
        if self.silent:
            raise ClientError({"Error": {"Code": "NotFound"}}, "Publish")
        self.told.append((subject, text))

    def attachment(self, place: Place) -> Roles:
        return Roles(self, place.cluster_identifier or place.workgroup_name or "")


@dataclass
class Roles:
    """One warehouse."""

    parts: Parts
    name: str

    def _change(self, verb: str, role: str, seconds: float, after: set[str]) -> Attached:
        if self.name in self.parts.refused:
            raise PermanentError(self.parts.refused[self.name])
        self.parts.done.append((verb, self.name, role, seconds))
        before = self.parts.attached[self.name]
        self.parts.attached[self.name] = after
        return Attached(tuple(sorted(after)), changed=before != after)

    def attach(self, role: str, seconds: float) -> Attached:
        return self._change("attach", role, seconds, self.parts.attached[self.name] | {role})

    def detach(self, role: str, seconds: float) -> Attached:
        return self._change("detach", role, seconds, self.parts.attached[self.name] - {role})


@pytest.fixture
def parts(monkeypatch: pytest.MonkeyPatch) -> Parts:
    made = Parts({"old": {"theirs"}, "new": {"theirs"}})
    monkeypatch.setattr(warehouse_role, "wiring", lambda: made)
    return made


def attach(parts: Parts, place: dict[str, Any] | None, **more: Any) -> dict[str, Any]:
    parts.place = place
    return warehouse_role.handler({"action": "attach", **more}, Context())


def detach(place: dict[str, Any], **more: Any) -> dict[str, Any]:
    return warehouse_role.handler({"action": "detach", "place": place, **more}, Context())


def life(action: str, place: dict[str, Any] | None = None) -> dict[str, Any]:
    """What Terraform adds to the input of a CRUD invocation."""
    before = None if place is None else {"action": "detach", "place": place}
    return {"tf": {"action": action, "prev_input": before}}


def test_at_apply_the_role_is_attached_with_the_time_that_the_function_has(parts: Parts) -> None:
    answer = attach(parts, OLD)

    assert answer == {"roles": [ROLE, "theirs"], "changed": True, "left": None}
    assert parts.done == [("attach", "old", ROLE, 870)]
    # Terraform tells what it did.
    assert parts.told == []


def test_an_apply_that_cannot_attach_fails(parts: Parts) -> None:
    parts.refused["old"] = "Cluster 'old' is paused: resume it, then try again."

    with pytest.raises(PermanentError, match="resume it"):
        attach(parts, OLD)


def test_a_role_that_was_given_is_left_alone(parts: Parts) -> None:
    assert attach(parts, None, execution="e") == {"roles": [], "changed": False, "left": None}
    assert parts.done == []


def test_a_role_that_somebody_detached_comes_back_and_the_operators_are_told_once(
    parts: Parts,
) -> None:
    assert attach(parts, NEW, execution="arn:execution")["changed"]
    assert not attach(parts, NEW, execution="arn:execution")["changed"]

    ((subject, text),) = parts.told
    assert subject == "shop: role attached again"
    assert "iam_roles" in text


def test_the_life_of_an_invocation_that_detaches(parts: Parts) -> None:
    attach(parts, OLD)

    assert not detach(OLD, **life("create"))["changed"]
    assert not detach(OLD, **life("update", OLD))["changed"]
    assert parts.attached["old"] == {"theirs", ROLE}
    # the warehouse changes: the new place was attached by the invocation before this one
    assert detach(NEW, **life("update", OLD))["changed"]
    assert parts.attached["old"] == {"theirs"}
    attach(parts, NEW)
    assert detach(NEW, **life("delete", NEW))["changed"]
    assert parts.attached["new"] == {"theirs"}
    assert parts.told == []


@pytest.mark.parametrize("silent", [False, True], ids=["topic", "topic-gone"])
@pytest.mark.parametrize(
    ("place", "tf"),
    [(NEW, life("update", OLD)), (OLD, life("delete", OLD))],
    ids=["another-warehouse", "destroy"],
)
def test_what_cannot_be_detached_is_reported_and_left(
    parts: Parts, place: dict[str, Any], tf: dict[str, Any], *, silent: bool
) -> None:
    parts.refused["old"] = "Cluster 'old' is paused: resume it, then try again."
    parts.silent = silent

    answer = detach(place, **tf)

    assert answer["left"].startswith(f"The role {ROLE} could not be detached from old")
    assert answer["left"].endswith("resume it, then try again.")
    assert parts.told == ([] if silent else [("shop: role not detached", answer["left"])])


def test_the_event_chooses_neither_role_nor_warehouse(parts: Parts) -> None:
    # given an event that names another cluster and another role
    other = {"cluster_identifier": "new", "workgroup_name": None, "role_arn": "arn:admin"}
    # when
    event = {"action": "attach", "place": other, "role_arn": "arn:admin"}
    warehouse_role.handler(event, Context())
    # then
    assert parts.attached == {"old": {"theirs", ROLE}, "new": {"theirs"}}


def test_the_roles_of_others_are_not_detached(parts: Parts) -> None:
    theirs = {**OLD, "role_arn": "arn:aws:iam::123456789012:role/theirs"}

    with pytest.raises(PermanentError, match="Only the role shop-unload of this detector"):
        detach(theirs, **life("delete"))

    assert parts.attached["old"] == {"theirs"}


@pytest.mark.parametrize(
    "event",
    [
        {"action": "detach", "place": OLD},
        {"action": "detach", "place": None, **life("delete")},
        {"place": OLD},
    ],
)
def test_an_event_that_lacks_something_is_refused(parts: Parts, event: dict[str, Any]) -> None:
    with pytest.raises(PermanentError, match="event is invalid"):
        warehouse_role.handler(event, Context())
    assert parts.done == []
