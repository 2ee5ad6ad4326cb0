"""Attaching the UNLOAD role, against botocore's own model of both services."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

import boto3
import pytest
from anomaly_detector.errors import PermanentError
from anomaly_detector.warehouse.roles import ClusterRoles, NamespaceRoles, parse_namespace_role
from botocore.stub import Stubber

OURS = "arn:aws:iam::123456789012:role/path/ours"
THEIRS = "arn:aws:iam::123456789012:role/theirs"
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


def look(stubs: dict[str, Stubber], *roles: str, default: str | None = None) -> None:
    stub = stubs["redshift-serverless"]
    stub.add_response(
        "get_workgroup",
        {"workgroup": {"workgroupName": "group", "namespaceName": "space"}},
        {"workgroupName": "group"},
    )
    found: dict[str, object] = {"namespaceName": "space", "iamRoles": list(roles)}
    if default:
        found["defaultIamRoleArn"] = default
    stub.add_response("get_namespace", {"namespace": found}, {"namespaceName": "space"})


def shown(arn: str, state: str = "in-sync") -> str:
    return f"IamRole(applyStatus={state}, iamRoleArn={arn})"


def update(stubs: dict[str, Stubber], *roles: str, **given: str) -> None:
    stubs["redshift-serverless"].add_response(
        "update_namespace",
        {"namespace": {"namespaceName": "space"}},
        {"namespaceName": "space", "iamRoles": list(roles), **given},
    )


def test_a_cluster_gets_one_role_more_and_is_waited_for(
    stubs: dict[str, Stubber], cluster: ClusterRoles
) -> None:
    describe(stubs, theirs="in-sync")
    modify(stubs, "AddIamRoles")
    describe(stubs, theirs="in-sync", ours="adding")
    describe(stubs, theirs="in-sync", ours="in-sync")
    assert cluster.attach(OURS) == (THEIRS, OURS)


def test_an_attached_role_is_left_as_it_is(
    stubs: dict[str, Stubber], cluster: ClusterRoles
) -> None:
    describe(stubs, theirs="in-sync", ours="in-sync")
    assert cluster.attach(OURS) == (THEIRS, OURS)


def test_a_role_on_its_way_out_is_waited_for_before_it_is_added(
    stubs: dict[str, Stubber], cluster: ClusterRoles
) -> None:
    describe(stubs, ours="removing")
    describe(stubs)
    modify(stubs, "AddIamRoles")
    describe(stubs, ours="in-sync")
    assert cluster.attach(OURS) == (OURS,)


def test_a_cluster_loses_only_our_role(stubs: dict[str, Stubber], cluster: ClusterRoles) -> None:
    describe(stubs, theirs="in-sync", ours="in-sync")
    modify(stubs, "RemoveIamRoles")
    describe(stubs, theirs="in-sync", ours="removing")
    describe(stubs, theirs="in-sync")
    assert cluster.detach(OURS) == (THEIRS,)


def test_a_refusal_is_tried_again_for_two_minutes(
    stubs: dict[str, Stubber], cluster: ClusterRoles, time: Time
) -> None:
    for code in ["AccessDenied", "InvalidClusterState", "Throttling"]:
        describe(stubs)
        stubs["redshift"].add_client_error("modify_cluster_iam_roles", code, "not now")
    describe(stubs)
    modify(stubs, "AddIamRoles")
    describe(stubs, ours="in-sync")
    assert cluster.attach(OURS) == (OURS,)
    assert time.now == 20


def test_a_lasting_refusal_ends_with_a_sentence(
    stubs: dict[str, Stubber], cluster: ClusterRoles, time: Time
) -> None:
    for _ in range(25):
        stubs["redshift"].add_client_error("describe_clusters", "AccessDenied", "never")
    with pytest.raises(
        PermanentError, match=r"Cluster 'shop' refused for 120 seconds to attach .*never"
    ):
        cluster.attach(OURS)
    assert time.now == 120


def test_a_role_that_never_settles_ends_with_a_sentence(
    stubs: dict[str, Stubber], cluster: ClusterRoles
) -> None:
    for _ in range(61):
        describe(stubs, ours="adding")
    with pytest.raises(PermanentError, match="did not finish to attach the role"):
        cluster.attach(OURS)


def test_a_cluster_that_is_gone_has_nothing_to_detach_and_nothing_to_attach_to(
    stubs: dict[str, Stubber], cluster: ClusterRoles
) -> None:
    stubs["redshift"].add_client_error("describe_clusters", "ClusterNotFound", "gone")
    assert cluster.detach(OURS) == ()
    stubs["redshift"].add_client_error("describe_clusters", "ClusterNotFound", "gone")
    with pytest.raises(PermanentError, match="was not found in this account and region"):
        cluster.attach(OURS)


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
    update(stubs, THEIRS, OURS, defaultIamRoleArn=THEIRS)
    look(stubs, shown(THEIRS), shown(OURS, "adding"), default=THEIRS)
    look(stubs, shown(THEIRS), shown(OURS), default=THEIRS)
    assert namespace.attach(OURS) == (THEIRS, OURS)


def test_a_list_that_another_writer_overwrote_is_merged_again(
    stubs: dict[str, Stubber], namespace: NamespaceRoles
) -> None:
    look(stubs, shown(THEIRS))
    update(stubs, THEIRS, OURS)
    look(stubs, shown(THEIRS), shown(GOING))
    update(stubs, THEIRS, GOING, OURS)
    look(stubs, shown(THEIRS), shown(GOING), shown(OURS))
    assert namespace.attach(OURS) == (THEIRS, GOING, OURS)


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
    assert namespace.attach(OURS) == (OURS,)


def test_a_namespace_loses_only_our_role(
    stubs: dict[str, Stubber], namespace: NamespaceRoles
) -> None:
    look(stubs, shown(THEIRS), shown(OURS), default=THEIRS)
    update(stubs, THEIRS, defaultIamRoleArn=THEIRS)
    look(stubs, shown(THEIRS), default=THEIRS)
    assert namespace.detach(OURS) == (THEIRS,)


def test_a_workgroup_that_is_gone_has_nothing_to_detach(
    stubs: dict[str, Stubber], namespace: NamespaceRoles
) -> None:
    stubs["redshift-serverless"].add_client_error(
        "get_workgroup", "ResourceNotFoundException", "gone"
    )
    assert namespace.detach(OURS) == ()


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
