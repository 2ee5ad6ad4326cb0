"""Attaching the UNLOAD role, against botocore's own model of both services."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import boto3
import pytest
from anomaly_detector.errors import PermanentError
from anomaly_detector.warehouse.roles import (
    Attached,
    ClusterRoles,
    NamespaceRoles,
    parse_namespace_role,
)
from botocore.stub import Stubber

OURS = "arn:aws:iam::123456789012:role/path/ours"
THEIRS = "arn:aws:iam::123456789012:role/theirs"
LINKED = (
    "arn:aws:iam::123456789012:role/aws-service-role/redshift.amazonaws.com/"
    "AWSServiceRoleForRedshift"
)
GOING = "arn:aws:iam::123456789012:role/going"


class Time:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def clock(self) -> float:
        return self.now


@pytest.fixture
def stubs() -> Iterator[dict[str, Stubber]]:
    with ExitStack() as stack:
        made = {}
        for service in ("redshift", "redshift-serverless"):
            client = boto3.client(
                service,
                region_name="us-east-1",
                aws_access_key_id="test",
                aws_secret_access_key="test",
            )
            made[service] = stack.enter_context(Stubber(client))
        yield made
        for stubber in made.values():
            stubber.assert_no_pending_responses()


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def cluster(stubs: dict[str, Stubber], time: Time) -> ClusterRoles:
    return ClusterRoles(stubs["redshift"].client, "shop", time.sleep, time.clock)


@pytest.fixture
def namespace(stubs: dict[str, Stubber], time: Time) -> NamespaceRoles:
    return NamespaceRoles(stubs["redshift-serverless"].client, "group", time.sleep, time.clock)


def describe(stubs: dict[str, Stubber], **roles: str) -> None:
    arns = {"ours": OURS, "theirs": THEIRS}
    listed = [{"IamRoleArn": arns[name], "ApplyStatus": state} for name, state in roles.items()]
    stubs["redshift"].add_response(
        "describe_clusters",
        {"Clusters": [{"ClusterIdentifier": "shop", "IamRoles": listed}]},
        {"ClusterIdentifier": "shop"},
    )


def modify(stubs: dict[str, Stubber], which: str) -> None:
    stubs["redshift"].add_response(
        "modify_cluster_iam_roles", {}, {"ClusterIdentifier": "shop", which: [OURS]}
    )


def look(
    stubs: dict[str, Stubber],
    *roles: str,
    default: str | None = None,
    status: str = "AVAILABLE",
) -> None:
    stub = stubs["redshift-serverless"]
    stub.add_response(
        "get_workgroup",
        {"workgroup": {"workgroupName": "group", "namespaceName": "space"}},
        {"workgroupName": "group"},
    )
    found: dict[str, object] = {
        "namespaceName": "space",
        "status": status,
        "iamRoles": list(roles),
    }
    if default:
        found["defaultIamRoleArn"] = default
    stub.add_response("get_namespace", {"namespace": found}, {"namespaceName": "space"})


def shown(arn: str, state: str = "in-sync") -> str:
    return f"IamRole(applyStatus={state}, iamRoleArn={arn})"


def update(stubs: dict[str, Stubber], *roles: str, default: str = "") -> None:
    stubs["redshift-serverless"].add_response(
        "update_namespace",
        {"namespace": {"namespaceName": "space"}},
        {"namespaceName": "space", "iamRoles": list(roles), "defaultIamRoleArn": default},
    )


def test_a_cluster_gets_one_role_more_and_is_waited_for(
    stubs: dict[str, Stubber], cluster: ClusterRoles
) -> None:
    describe(stubs, theirs="in-sync")
    modify(stubs, "AddIamRoles")
    describe(stubs, theirs="in-sync", ours="adding")
    describe(stubs, theirs="in-sync", ours="in-sync")
    assert cluster.attach(OURS) == Attached((THEIRS, OURS), changed=True)


def test_an_attached_role_is_left_as_it_is(
    stubs: dict[str, Stubber], cluster: ClusterRoles
) -> None:
    describe(stubs, theirs="in-sync", ours="in-sync")
    assert cluster.attach(OURS) == Attached((THEIRS, OURS), changed=False)


def test_a_role_on_its_way_out_is_waited_for_before_it_is_added(
    stubs: dict[str, Stubber], cluster: ClusterRoles
) -> None:
    describe(stubs, ours="removing")
    describe(stubs)
    modify(stubs, "AddIamRoles")
    describe(stubs, ours="in-sync")
    assert cluster.attach(OURS).roles == (OURS,)


def test_a_cluster_loses_only_our_role(stubs: dict[str, Stubber], cluster: ClusterRoles) -> None:
    describe(stubs, theirs="in-sync", ours="in-sync")
    modify(stubs, "RemoveIamRoles")
    describe(stubs, theirs="in-sync", ours="removing")
    describe(stubs, theirs="in-sync")
    assert cluster.detach(OURS).roles == (THEIRS,)


def test_a_refusal_is_tried_again_for_two_minutes(
    stubs: dict[str, Stubber], cluster: ClusterRoles, time: Time
) -> None:
    for code in ["AccessDenied", "InvalidClusterState", "Throttling"]:
        describe(stubs)
        stubs["redshift"].add_client_error("modify_cluster_iam_roles", code, "not now")
    describe(stubs)
    modify(stubs, "AddIamRoles")
    describe(stubs, ours="in-sync")
    assert cluster.attach(OURS).roles == (OURS,)
    assert time.now == 20


def test_a_lasting_refusal_ends_with_a_sentence(
    stubs: dict[str, Stubber], cluster: ClusterRoles, time: Time
) -> None:
    for _ in range(25):
        stubs["redshift"].add_client_error("describe_clusters", "AccessDenied", "never")
    with pytest.raises(
        PermanentError, match=r"Cluster 'shop' rejected attaching .* for 120 seconds: .*never"
    ):
        cluster.attach(OURS)
    assert time.now == 120


def test_a_role_that_never_settles_ends_with_a_sentence(
    stubs: dict[str, Stubber], cluster: ClusterRoles, time: Time
) -> None:
    for _ in range(61):
        describe(stubs, ours="adding")
    with pytest.raises(PermanentError, match=r"not ready to attach .* within 300 seconds"):
        cluster.attach(OURS, seconds=300)
    assert time.now == 300


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("InvalidClusterState", "The Cluster is being modified by a concurrent operation."),
        ("InvalidClusterState", "The cluster is being resized."),
        ("Throttling", "Rate exceeded"),
    ],
)
def test_a_cluster_that_is_being_changed_is_waited_for_as_long_as_the_caller_can(
    stubs: dict[str, Stubber], cluster: ClusterRoles, time: Time, code: str, said: str
) -> None:
    # given a change that takes ten minutes
    for _ in range(120):
        describe(stubs, theirs="in-sync")
        stubs["redshift"].add_client_error("modify_cluster_iam_roles", code, said)
    describe(stubs, theirs="in-sync")
    modify(stubs, "AddIamRoles")
    describe(stubs, theirs="in-sync", ours="in-sync")
    assert cluster.attach(OURS, seconds=840).changed
    assert time.now == 605
    # and given one that takes longer than the caller has
    for _ in range(9):
        describe(stubs)
        stubs["redshift"].add_client_error("modify_cluster_iam_roles", code, said)
    with pytest.raises(PermanentError, match=f"within 40 seconds.*{code}: {said}"):
        cluster.attach(OURS, seconds=40)


def test_two_minutes_of_refused_access_count_from_the_first_refusal_in_a_row(
    stubs: dict[str, Stubber], cluster: ClusterRoles, time: Time
) -> None:
    # given a change that takes five minutes, and rights that come a minute after it
    for code, times in [("InvalidClusterState", 60), ("AccessDenied", 12)]:
        for _ in range(times):
            describe(stubs)
            stubs["redshift"].add_client_error("modify_cluster_iam_roles", code, "not now")
    describe(stubs)
    modify(stubs, "AddIamRoles")
    describe(stubs, ours="in-sync")
    assert cluster.attach(OURS).roles == (OURS,)
    assert time.now == 365


def test_a_cluster_that_is_gone_has_nothing_to_detach_and_nothing_to_attach_to(
    stubs: dict[str, Stubber], cluster: ClusterRoles
) -> None:
    stubs["redshift"].add_client_error("describe_clusters", "ClusterNotFound", "gone")
    assert cluster.detach(OURS).roles == ()
    stubs["redshift"].add_client_error("describe_clusters", "ClusterNotFound", "gone")
    with pytest.raises(PermanentError, match="was not found in this account and region"):
        cluster.attach(OURS)


@pytest.mark.parametrize(("status", "told"), [("paused", "resume it"), ("deleting", "deleted")])
def test_a_cluster_that_sleeps_or_goes_is_left_alone(
    stubs: dict[str, Stubber], cluster: ClusterRoles, time: Time, status: str, told: str
) -> None:
    for listed in ([{"IamRoleArn": OURS, "ApplyStatus": "in-sync"}], []):
        stubs["redshift"].add_response(
            "describe_clusters",
            {"Clusters": [{"ClusterStatus": status, "IamRoles": listed}]},
            {"ClusterIdentifier": "shop"},
        )
    if status == "deleting":
        assert cluster.detach(OURS) == Attached((), changed=False)
    else:
        with pytest.raises(PermanentError, match=told):
            cluster.detach(OURS)
    with pytest.raises(PermanentError, match=told):
        cluster.attach(OURS)
    assert time.now == 0


def test_a_paused_cluster_and_a_full_one_are_not_tried_again(
    stubs: dict[str, Stubber], cluster: ClusterRoles
) -> None:
    for code, said, told in [
        ("InvalidClusterState", "Cluster shop is paused.", "resume it"),
        ("InvalidParameterValue", "A cluster can have at most 50 IAM roles.", "at most 50"),
    ]:
        describe(stubs)
        stubs["redshift"].add_client_error("modify_cluster_iam_roles", code, said)
        with pytest.raises(PermanentError, match=told):
            cluster.attach(OURS)


def test_a_namespace_is_given_the_merged_list_and_keeps_its_default(
    stubs: dict[str, Stubber], namespace: NamespaceRoles
) -> None:
    # given a namespace with a default role and one that is being removed
    look(stubs, shown(THEIRS), shown(GOING, "removing"), default=THEIRS)
    update(stubs, THEIRS, OURS, default=THEIRS)
    look(stubs, shown(THEIRS), shown(OURS, "adding"), default=THEIRS)
    look(stubs, shown(THEIRS), shown(OURS), default=THEIRS)
    assert namespace.attach(OURS).roles == (THEIRS, OURS)


def test_the_service_linked_role_is_left_out_of_the_list(
    stubs: dict[str, Stubber], namespace: NamespaceRoles
) -> None:
    look(stubs, shown(LINKED), shown(THEIRS))
    update(stubs, THEIRS, OURS)
    look(stubs, shown(LINKED), shown(THEIRS), shown(OURS))
    assert namespace.attach(OURS).roles == (LINKED, THEIRS, OURS)


def test_a_namespace_that_is_being_changed_is_not_written_to(
    stubs: dict[str, Stubber], namespace: NamespaceRoles
) -> None:
    look(stubs, shown(THEIRS), status="MODIFYING")
    look(stubs, shown(THEIRS), shown(GOING))
    update(stubs, THEIRS, GOING, OURS)
    look(stubs, shown(THEIRS), shown(GOING), shown(OURS))
    assert namespace.attach(OURS).changed


def test_our_role_as_the_default_is_cleared_with_it(
    stubs: dict[str, Stubber], namespace: NamespaceRoles
) -> None:
    look(stubs, shown(THEIRS), shown(OURS), default=OURS)
    update(stubs, THEIRS)
    look(stubs, shown(THEIRS))
    assert namespace.detach(OURS).roles == (THEIRS,)


def test_a_list_that_may_not_become_empty_is_told_at_once(
    stubs: dict[str, Stubber], namespace: NamespaceRoles, time: Time
) -> None:
    look(stubs, shown(OURS))
    stubs["redshift-serverless"].add_client_error(
        "update_namespace", "ValidationException", "The list of IAM roles must not be empty."
    )
    with pytest.raises(PermanentError, match="must not be empty"):
        namespace.detach(OURS)
    assert time.now == 0


def test_a_role_that_may_not_be_passed_on_is_named_with_what_to_do(
    stubs: dict[str, Stubber], namespace: NamespaceRoles
) -> None:
    for arn, told in [(THEIRS, f"also has the role {THEIRS}.*apply again"), (OURS, "PassRole")]:
        for _ in range(25):
            look(stubs, shown(THEIRS))
            stubs["redshift-serverless"].add_client_error(
                "update_namespace",
                "AccessDeniedException",
                f"User: u is not authorized to perform: iam:PassRole on resource: {arn} because "
                "no identity-based policy allows the iam:PassRole action",
            )
        with pytest.raises(PermanentError, match=told) as caught:
            namespace.attach(OURS)
        assert ("apply again" in str(caught.value)) == (arn == THEIRS)


def test_a_list_that_another_writer_overwrote_is_merged_again(
    stubs: dict[str, Stubber], namespace: NamespaceRoles
) -> None:
    look(stubs, shown(THEIRS))
    update(stubs, THEIRS, OURS)
    look(stubs, shown(THEIRS), shown(GOING))
    update(stubs, THEIRS, GOING, OURS)
    look(stubs, shown(THEIRS), shown(GOING), shown(OURS))
    assert namespace.attach(OURS).roles == (THEIRS, GOING, OURS)


def test_a_busy_namespace_and_a_role_not_known_yet_are_tried_again(
    stubs: dict[str, Stubber], namespace: NamespaceRoles
) -> None:
    for code, said in [
        ("ConflictException", "There is an operation running on the namespace."),
        ("ValidationException", f"The role {OURS} does not exist or cannot be assumed."),
    ]:
        look(stubs)
        stubs["redshift-serverless"].add_client_error("update_namespace", code, said)
    look(stubs)
    update(stubs, OURS)
    look(stubs, shown(OURS))
    assert namespace.attach(OURS).roles == (OURS,)


def test_a_namespace_loses_only_our_role(
    stubs: dict[str, Stubber], namespace: NamespaceRoles
) -> None:
    look(stubs, shown(THEIRS), shown(OURS), default=THEIRS)
    update(stubs, THEIRS, default=THEIRS)
    look(stubs, shown(THEIRS), default=THEIRS)
    assert namespace.detach(OURS).roles == (THEIRS,)


def test_a_workgroup_that_is_gone_has_nothing_to_detach(
    stubs: dict[str, Stubber], namespace: NamespaceRoles
) -> None:
    stubs["redshift-serverless"].add_client_error(
        "get_workgroup", "ResourceNotFoundException", "gone"
    )
    assert namespace.detach(OURS).roles == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"IamRole(applyStatus=in-sync, iamRoleArn={OURS})", (OURS, "in-sync")),
        (f"IamRole(iamRoleArn={OURS}, applyStatus=adding)", (OURS, "adding")),
        (f"IamRole(iamRoleArn={OURS},b, applyStatus=adding)", (f"{OURS},b", "adding")),
        (OURS, (OURS, "in-sync")),
    ],
)
def test_a_namespaces_roles_are_read_in_each_form(text: str, expected: tuple[str, str]) -> None:
    assert parse_namespace_role(text) == expected
